/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets: the first bytes choose link type and scope, the rest is the frame. Offsets must lie
 * within the frame, and the filter must take whatever the parser made of it.
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

static void check_offset(uint32_t offset, uint32_t captured)
{
    check(offset == REMED_NO_OFFSET || offset <= captured);
}

static struct remed_filter *filter;
static struct remed_fragments *fragments;

static void prepare(void)
{
    static const char text[] =
        "tcp[tcpflags] & tcp-syn != 0 or tcp[tcp[12] / 4:4] = 7 : handshake\n"
        "icmp6[0] >= 128 or ether[len - 1] % ip[0] = 1 : all\n"
        "ether host 02:00:00:00:00:01 and ip multicast : none\n"
        "tcp : handshake, refresh 1s\nany : first 3 each, refresh 1s\n";
    struct remed_policy *policy = NULL;
    struct remed_filter_opts opts;
    remed_filter_opts_init(&opts, sizeof opts);
    opts.max_flows = 64;
    opts.scope = REMED_SCOPE_INNER;
    check(remed_policy_parse(&policy, NULL, text, sizeof text - 1, NULL) == 0);
    check(remed_filter_new(&filter, policy, &opts, NULL) == 0);
    check(remed_fragments_new(&fragments, NULL, NULL) == 0);
    remed_policy_free(policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint32_t link_types[16] = {1,  1,   1,   1,   0,   8,   9,   50,
                                            51, 101, 104, 107, 113, 276, 226, 129};
    static uint64_t time;
    if (filter == NULL)
        prepare();
    if (size < 2)
        return 0;
    struct remed_packet packet = {.data = data + 2,
                                  .captured = (uint32_t)(size - 2),
                                  .wire = (uint32_t)(size - 2),
                                  .time = time += data[1] * 10000000ull,
                                  .link_type = link_types[data[0] & 15]};
    for (unsigned scope = 0; scope < 2; scope++) {
        struct remed_headers headers;
        remed_packet_parse(&packet, (enum remed_scope)scope, &headers);
        check(headers.unclassified < REMED_UNCLASSIFIED_COUNT);
        check(headers.direction < 2);
        check_offset(headers.network, packet.captured);
        check_offset(headers.transport, packet.captured);
        check_offset(headers.payload, packet.captured);
        if ((headers.flags & REMED_HEADERS_OUTER_FRAGMENT) != 0)
            check_offset(headers.around, packet.captured);
        remed_fragments_track_packet(fragments, &packet, &headers);
        char text[REMED_ENDPOINT_TEXT_SIZE];
        remed_flow_key_endpoint(&headers.key, 0, text);
        check(strlen(text) < sizeof text);
    }
    struct remed_verdict verdict;
    remed_filter_run(filter, &packet, 1, &verdict);
    check(verdict.reason < REMED_REASON_COUNT);
    return 0;
}
