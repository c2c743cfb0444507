/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines through the shipped rule sets, the set chosen by the first byte: what they give can be
 * encoded and read back, the counts agree, and explaining changes nothing.
 */
#include <remediate/log_rules.h>
#include <rule_sets.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SETS 64

static void check(int holds)
{
    if (!holds)
        abort();
}

static struct remed_record *back;
static size_t given;

static void on_record(void *context, size_t line, const struct remed_record *record)
{
    static uint8_t wire[REMED_RECORD_MAX];
    size_t length;
    (void)context;
    (void)line;
    check(remed_record_encode(record, wire, sizeof wire, &length) == 0);
    check(remed_record_decode(back, wire, length, NULL) == 0);
    check(remed_record_compare(record, back) == 0);
    given++;
}

/* Made once, and kept for the life of the process. */
static struct remed_log_parser *parser_of(size_t index)
{
    static struct remed_log_parser *parsers[SETS];
    static struct remed_log_rules *rules[SETS];
    struct remed_log_parser_opts opts;
    if (parsers[index] != NULL)
        return parsers[index];
    const struct rule_set *set = &rule_sets[index];
    remed_log_parser_opts_init(&opts, sizeof opts);
    opts.domain = "fuzz";
    opts.record = on_record;
    check(back != NULL || remed_record_new(&back, NULL) == 0);
    check(remed_log_rules_parse(&rules[index], NULL, set->text, set->length, NULL) == 0);
    check(remed_log_parser_new(&parsers[index], rules[index], &opts, NULL) == 0);
    return parsers[index];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t sets = 0;
    while (rule_sets[sets].name != NULL && sets < SETS)
        sets++;
    if (size < 1)
        return 0;
    struct remed_log_parser *parser = parser_of(data[0] % sets);
    const struct remed_log_line line = {
        .text = (const char *)data + 1, .length = size - 1, .received = 1795521600000000000ull};
    struct remed_log_verdict verdict, again;
    struct remed_log_trace traces[8];
    given = 0;
    check(remed_log_parser_run(parser, &line, 1, &verdict) == given);
    check(verdict.records == given && (given > 0) == (verdict.outcome == REMED_LOG_RECORDS));
    remed_log_parser_explain(parser, &line, traces, 8);
    remed_log_parser_run(parser, &line, 1, &again);
    check(memcmp(&verdict, &again, sizeof verdict) == 0);
    return 0;
}
