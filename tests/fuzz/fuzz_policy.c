/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy text: what parses prints as text that parses to an equal policy, and runs on packets; what
 * does not parse says where.
 */
#include <remediate/filter.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

static struct remed_filter *filter_of(const struct remed_policy *policy)
{
    struct remed_filter_opts opts;
    struct remed_filter *filter = NULL;
    remed_filter_opts_init(&opts, sizeof opts);
    opts.max_flows = 16;
    opts.fragments = 4;
    opts.seed[0] = 1;
    check(remed_filter_new(&filter, policy, &opts, NULL) == 0);
    return filter;
}

/* Both policies say the same of every packet, also of one cut short. */
static void run_on_packets(const struct remed_policy *policy, const struct remed_policy *printed)
{
    static const uint8_t protocols[] = {6, 17, 1, 132};
    uint8_t frame[64] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 40};
    struct remed_filter *filter = filter_of(policy), *other = filter_of(printed);
    frame[26] = 10;
    frame[47] = 2;
    for (uint32_t i = 0; i < 4 * sizeof frame; i += 3) {
        frame[23] = protocols[i & 3];
        struct remed_packet packet = {.data = frame,
                                      .captured = i % (sizeof frame + 1),
                                      .wire = 64,
                                      .link_type = 1,
                                      .time = i};
        struct remed_verdict verdict, same;
        remed_filter_run(filter, &packet, 1, &verdict);
        remed_filter_run(other, &packet, 1, &same);
        check(verdict.rule == same.rule && verdict.reason == same.reason);
    }
    remed_filter_free(filter);
    remed_filter_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct remed_policy *policy = NULL, *again = NULL;
    struct remed_error error;
    if (remed_policy_parse(&policy, NULL, (const char *)data, size, &error) < 0) {
        check(policy == NULL && error.message[0] != '\0');
        check(error.code != REMED_ESYNTAX || (error.line > 0 && error.column > 0));
        return 0;
    }
    size_t length = remed_policy_print(policy, NULL, 0);
    char *text = malloc(length + 1);
    check(text != NULL && remed_policy_print(policy, text, length + 1) == length);
    check(remed_policy_parse(&again, NULL, text, length, &error) == 0);
    check(remed_policy_equal(policy, again));
    run_on_packets(policy, again);
    remed_policy_free(policy);
    remed_policy_free(again);
    free(text);
    return 0;
}
