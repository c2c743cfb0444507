/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flow table: finding, ending and counting flows, against a plain array as the oracle.
 */
#include "unit/test.h"

#include "flow/table.h"

#include <remediate/flow.h>
#include <remediate/packet.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ull

static struct remed_flow_table *table;

static void make(uint32_t max_flows)
{
    struct remed_flow_table_opts opts;
    remed_flow_table_opts_init(&opts, sizeof opts);
    opts.max_flows = max_flows;
    opts.seed[0] = 0x1234567890abcdefull;
    opts.seed[1] = 42;
    CU_ASSERT_EQUAL_FATAL(remed_flow_table_new(&table, &opts, NULL), 0);
}

static void teardown(void)
{
    remed_flow_table_free(table);
    table = NULL;
}

static struct remed_flow_packet packet4(uint32_t client, uint16_t port, unsigned reply,
                                        uint8_t protocol, uint8_t tcp_flags, uint64_t time)
{
    uint8_t inside[4] = {10, (uint8_t)(client >> 16), (uint8_t)(client >> 8), (uint8_t)client};
    const uint8_t outside[4] = {198, 51, 100, 1};
    struct remed_flow_packet packet = {.time = time, .bytes = 100, .tcp_flags = tcp_flags};
    packet.direction =
        reply ? (uint8_t)remed_flow_key_init(&packet.key, 4, protocol, outside, 80, inside, port)
              : (uint8_t)remed_flow_key_init(&packet.key, 4, protocol, inside, port, outside, 80);
    return packet;
}

static struct remed_flow_packet packet6(uint32_t client, uint64_t time)
{
    uint8_t inside[16] = {0x20, 1, 0xd, 0xb8}, outside[16] = {0x20, 1, 0xd, 0xb8, 1};
    memcpy(inside + 12, &client, 4);
    struct remed_flow_packet packet = {.time = time, .bytes = 60};
    packet.direction = (uint8_t)remed_flow_key_init(&packet.key, 6, 17, inside, 53, outside, 5353);
    return packet;
}

static uint32_t see(const struct remed_flow_packet *packet, size_t *made)
{
    uint32_t flow = REMED_NO_FLOW;
    size_t count = remed_flow_table_update(table, packet, 1, &flow);
    if (made != NULL)
        *made = count;
    return flow;
}

static struct remed_flow_info info_of(uint32_t flow)
{
    struct remed_flow_info info = {0};
    CU_ASSERT_EQUAL(remed_flow_table_get(table, flow, &info, sizeof info), 0);
    return info;
}

static struct remed_flow_stats stats_of(void)
{
    struct remed_flow_stats stats;
    remed_flow_table_stats(table, &stats, sizeof stats);
    return stats;
}

static void test_both_directions_are_one_flow(void)
{
    make(64);
    struct remed_flow_packet there = packet4(7, 1234, 0, 17, 0, SECOND);
    struct remed_flow_packet back = packet4(7, 1234, 1, 17, 0, 2 * SECOND);
    uint32_t flow = see(&there, NULL);
    CU_ASSERT_EQUAL(info_of(flow).state, REMED_FLOW_NEW);
    CU_ASSERT_EQUAL(see(&back, NULL), flow);
    struct remed_flow_info info = info_of(flow);
    CU_ASSERT_EQUAL(info.packets[0], 1);
    CU_ASSERT_EQUAL(info.packets[1], 1);
    CU_ASSERT_EQUAL(info.bytes[0], 100);
    CU_ASSERT_EQUAL(info.state, REMED_FLOW_OPEN);
    CU_ASSERT_EQUAL(info.opener, there.direction);
    CU_ASSERT_EQUAL(memcmp(&info.key, &there.key, sizeof info.key), 0);
    CU_ASSERT_EQUAL(remed_flow_table_find(table, &back.key), flow);
}

static void test_ipv6_flows_are_told_apart(void)
{
    make(4096);
    for (uint32_t i = 0; i < 2000; i++) {
        struct remed_flow_packet packet = packet6(i, SECOND);
        size_t made;
        see(&packet, &made);
        CU_ASSERT_EQUAL(made, 1);
    }
    for (uint32_t i = 0; i < 2000; i++) {
        struct remed_flow_packet packet = packet6(i, SECOND);
        uint32_t flow = remed_flow_table_find(table, &packet.key);
        CU_ASSERT_NOT_EQUAL_FATAL(flow, REMED_NO_FLOW);
        struct remed_flow_info info = info_of(flow);
        CU_ASSERT_EQUAL(memcmp(&info.key, &packet.key, sizeof info.key), 0);
    }
    CU_ASSERT_EQUAL(stats_of().live, 2000);
}

static void test_a_flow_made_in_the_same_batch_is_found(void)
{
    make(64);
    struct remed_flow_packet packets[40];
    uint32_t flows[40];
    for (unsigned i = 0; i < 40; i++)
        packets[i] = packet4(i % 3, 9, i & 1, 6, REMED_TCP_ACK, SECOND + i);
    CU_ASSERT_EQUAL(remed_flow_table_update(table, packets, 40, flows), 3);
    for (unsigned i = 3; i < 40; i++)
        CU_ASSERT_EQUAL(flows[i], flows[i % 3]);
}

static void test_idle_flows_expire_by_protocol(void)
{
    make(64);
    struct remed_flow_packet udp = packet4(1, 1, 0, 17, 0, 0);
    struct remed_flow_packet icmp = packet4(1, 1, 0, 1, 0, 0);
    see(&udp, NULL);
    see(&icmp, NULL);
    size_t made;
    udp.time = 300 * SECOND;
    see(&udp, &made);
    CU_ASSERT_EQUAL(made, 0);
    udp.time = 600 * SECOND + 1;
    see(&udp, &made);
    CU_ASSERT_EQUAL(made, 1);
    icmp.time = 60 * SECOND + 1;
    see(&icmp, &made);
    CU_ASSERT_EQUAL(made, 1);
    CU_ASSERT_EQUAL(stats_of().expired, 2);
    CU_ASSERT_EQUAL(stats_of().live, 2);
}

static void test_time_going_backwards_expires_nothing(void)
{
    make(64);
    struct remed_flow_packet packet = packet4(1, 1, 0, 17, 0, 5000 * SECOND);
    uint32_t flow = see(&packet, NULL);
    packet.time = 0;
    size_t made;
    CU_ASSERT_EQUAL(see(&packet, &made), flow);
    CU_ASSERT_EQUAL(made, 0);
    CU_ASSERT_EQUAL(info_of(flow).last_seen, 5000 * SECOND);
    packet.time = 5300 * SECOND;
    see(&packet, &made);
    CU_ASSERT_EQUAL(made, 0);
}

struct step {
    unsigned reply, flags, state;
};

static void walk(uint32_t client, const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct remed_flow_packet packet =
            packet4(client, 1, steps[i].reply, 6, (uint8_t)steps[i].flags, SECOND + i);
        packet.tcp_ack = 1; /* both begin with 0 */
        CU_ASSERT_EQUAL(info_of(see(&packet, NULL)).state, steps[i].state);
    }
}

static void test_tcp_states(void)
{
    make(64);
    static const struct step orderly[] = {
        {0, REMED_TCP_SYN, REMED_FLOW_SYN},
        {1, REMED_TCP_SYN | REMED_TCP_ACK, REMED_FLOW_SYN_ACK},
        {0, REMED_TCP_ACK, REMED_FLOW_OPEN},
        {0, REMED_TCP_ACK | REMED_TCP_FIN, REMED_FLOW_CLOSING},
        {1, REMED_TCP_ACK, REMED_FLOW_CLOSING},
        {1, REMED_TCP_ACK | REMED_TCP_FIN, REMED_FLOW_CLOSED},
        {0, REMED_TCP_ACK, REMED_FLOW_CLOSED},
    };
    static const struct step refused[] = {
        {0, REMED_TCP_SYN, REMED_FLOW_SYN},
        {1, REMED_TCP_RST | REMED_TCP_ACK, REMED_FLOW_CLOSED},
    };
    static const struct step midstream[] = {
        {0, REMED_TCP_ACK, REMED_FLOW_NEW},
        {1, REMED_TCP_ACK, REMED_FLOW_OPEN},
    };
    walk(1, orderly, sizeof orderly / sizeof *orderly);
    walk(2, refused, sizeof refused / sizeof *refused);
    walk(3, midstream, sizeof midstream / sizeof *midstream);
}

static void test_a_closed_tuple_used_again_is_a_new_flow(void)
{
    make(64);
    struct remed_flow_packet syn = packet4(1, 1, 0, 6, REMED_TCP_SYN, SECOND);
    struct remed_flow_packet reset = packet4(1, 1, 1, 6, REMED_TCP_RST, 2 * SECOND);
    size_t made;
    see(&syn, NULL);
    see(&syn, &made); /* a retransmission */
    CU_ASSERT_EQUAL(made, 0);
    see(&reset, NULL);
    syn.time = 3 * SECOND;
    uint32_t flow = see(&syn, &made);
    CU_ASSERT_EQUAL(made, 1);
    CU_ASSERT_EQUAL(info_of(flow).packets[0], 1);
    CU_ASSERT_EQUAL(info_of(flow).first_seen, 3 * SECOND);
    CU_ASSERT_EQUAL(stats_of().reopened, 1);
    CU_ASSERT_EQUAL(stats_of().live, 1);
}

static unsigned ended;

static void on_end(void *context, const struct remed_flow_info *info)
{
    CU_ASSERT_PTR_EQUAL(context, &ended);
    CU_ASSERT(info->packets[0] + info->packets[1] > 0);
    ended++;
}

static void test_a_full_table_evicts_and_counts(void)
{
    make(16);
    ended = 0;
    remed_flow_table_on_end(table, on_end, &ended);
    for (uint32_t i = 0; i < 1000; i++) {
        struct remed_flow_packet packet = packet4(i, 5, 0, 17, 0, SECOND + i);
        uint32_t flow = see(&packet, NULL);
        CU_ASSERT_EQUAL(remed_flow_table_find(table, &packet.key), flow);
    }
    struct remed_flow_stats stats = stats_of();
    CU_ASSERT_EQUAL(stats.live, 16);
    CU_ASSERT_EQUAL(stats.created, 1000);
    CU_ASSERT_EQUAL(stats.evicted, 984);
    CU_ASSERT_EQUAL(ended, 984);
    CU_ASSERT_EQUAL(stats.refused, 0);
}

/* Of flows that talked both ways, when there is nobody else. */
static void test_the_flow_nearest_its_end_is_evicted(void)
{
    make(16);
    for (uint32_t i = 0; i < 16; i++)
        for (unsigned j = 0; j < 3; j++) { /* one ICMP flow: 60 s, not 300 s */
            struct remed_flow_packet packet = packet4(i, 5, j & 1, i == 11 ? 1 : 17, 0, SECOND);
            see(&packet, NULL);
        }
    struct remed_flow_packet one_more = packet4(99, 5, 0, 17, 0, SECOND);
    struct remed_flow_packet gone = packet4(11, 5, 0, 1, 0, SECOND);
    CU_ASSERT_EQUAL(stats_of().established, 16);
    see(&one_more, NULL);
    CU_ASSERT_EQUAL(remed_flow_table_find(table, &gone.key), REMED_NO_FLOW);
    CU_ASSERT_EQUAL(stats_of().evicted, 1);
    CU_ASSERT_EQUAL(stats_of().evicted_established, 1);
}

/* A stranger each, and what a flood of them is counted as. */
static void test_a_flood_evicts_the_flood(void)
{
    static const uint8_t flags[] = {REMED_TCP_SYN, REMED_TCP_ACK, 0, REMED_TCP_FIN, REMED_TCP_RST};
    for (unsigned i = 0; i < sizeof flags; i++) {
        make(256);
        for (uint32_t j = 0; j < 240; j++)
            for (unsigned k = 0; k < 4; k++) { /* midstream, both ways */
                struct remed_flow_packet packet = packet4(j, 5, k & 1, 6, REMED_TCP_ACK, SECOND);
                see(&packet, NULL);
            }
        for (uint32_t j = 0; j < 5000; j++) {
            struct remed_flow_packet packet = packet4(1000 + j, 5, 0, 6, flags[i], 2 * SECOND + j);
            see(&packet, NULL);
        }
        struct remed_flow_stats stats = stats_of();
        CU_ASSERT_EQUAL(stats.established, 240);
        CU_ASSERT_EQUAL(stats.evicted, 5000 - 16);
        CU_ASSERT_EQUAL(stats.evicted_established, 0);
        CU_ASSERT_EQUAL(stats.evicted_half_open, i == 0 ? stats.evicted : 0);
        CU_ASSERT_EQUAL(stats.evicted_ended, i == 4 ? stats.evicted : 0);
        CU_ASSERT_EQUAL(stats.evicted_one_way, i > 0 && i < 4 ? stats.evicted : 0);
        CU_ASSERT_EQUAL(stats.one_way + stats.half_open + stats.ended + stats.established,
                        stats.live);
        teardown();
    }
}

/* The kind with the most flows gives one up. */
static void test_one_kind_of_strangers_does_not_evict_another(void)
{
    make(256);
    for (uint32_t i = 0; i < 20; i++) {
        struct remed_flow_packet syn = packet4(i, 5, 0, 6, REMED_TCP_SYN, SECOND);
        see(&syn, NULL);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        struct remed_flow_packet packet = packet4(1000 + i, 5, 0, 17, 0, 2 * SECOND + i);
        see(&packet, NULL);
    }
    CU_ASSERT_EQUAL(stats_of().half_open, 20);
    CU_ASSERT_EQUAL(stats_of().evicted_half_open, 0);
}

/* Where those who talked both ways fill the table, newcomers get a 64th of it and no more. */
static void test_newcomers_have_a_share(void)
{
    make(6400);
    for (uint32_t i = 0; i < 6400; i++)
        for (unsigned k = 0; k < 3; k++) {
            struct remed_flow_packet packet = packet4(i, 5, k & 1, 17, 0, SECOND + i);
            see(&packet, NULL);
        }
    CU_ASSERT_EQUAL(stats_of().established, 6400);
    for (uint32_t i = 0; i < 20000; i++) {
        struct remed_flow_packet packet = packet4(10000 + i, 5, 0, 17, 0, 2 * SECOND + i);
        see(&packet, NULL);
    }
    CU_ASSERT_EQUAL(stats_of().evicted_established, 100);
    CU_ASSERT_EQUAL(stats_of().established, 6300);
}

static void test_a_one_way_flow_that_lasts_outlives_a_flood(void)
{
    make(64);
    for (uint32_t i = 0; i < 5000; i++) {
        struct remed_flow_packet lasting = packet4(7, 5, 0, 17, 0, SECOND + i * SECOND / 100);
        struct remed_flow_packet packet = packet4(1000 + i, 5, 0, 17, 0, SECOND + i * SECOND / 100);
        if (i % 10 == 0)
            see(&lasting, NULL);
        else
            see(&packet, NULL);
    }
    struct remed_flow_packet lasting = packet4(7, 5, 0, 17, 0, 60 * SECOND);
    CU_ASSERT_EQUAL(info_of(see(&lasting, NULL)).packets[0], 501);
}

static void test_an_error_report_is_no_answer(void)
{
    make(64);
    struct remed_flow_packet there = packet4(7, 1234, 0, 17, 0, SECOND);
    struct remed_flow_packet report = packet4(7, 1234, 1, 17, 0, SECOND);
    report.is_report = 1;
    see(&there, NULL);
    see(&report, NULL);
    CU_ASSERT_EQUAL(info_of(see(&there, NULL)).state, REMED_FLOW_NEW);
    CU_ASSERT_EQUAL(stats_of().one_way, 1);
    CU_ASSERT_EQUAL(stats_of().established, 0);
    report = packet4(8, 1234, 1, 17, 0, SECOND); /* a report comes first */
    report.is_report = 1;
    there = packet4(8, 1234, 0, 17, 0, SECOND);
    see(&report, NULL);
    see(&there, NULL);
    report.is_report = 0;
    CU_ASSERT_EQUAL(info_of(see(&report, NULL)).state, REMED_FLOW_OPEN);
}

static void test_who_cannot_receive_opens_nothing(void)
{
    make(64);
    struct remed_flow_packet packet = packet4(1, 1, 0, 6, REMED_TCP_SYN, SECOND);
    see(&packet, NULL);
    packet.tcp_flags = REMED_TCP_ACK;
    packet.tcp_ack = 77;
    CU_ASSERT_EQUAL(info_of(see(&packet, NULL)).state, REMED_FLOW_NEW);
    struct remed_flow_packet answer = packet4(1, 1, 1, 6, REMED_TCP_SYN | REMED_TCP_ACK, SECOND);
    answer.tcp_sequence = 0x70000000;
    answer.tcp_ack = 1;
    CU_ASSERT_EQUAL(info_of(see(&answer, NULL)).state, REMED_FLOW_SYN_ACK);
    CU_ASSERT_EQUAL(info_of(see(&packet, NULL)).state, REMED_FLOW_SYN_ACK);
    CU_ASSERT_EQUAL(stats_of().half_open, 1);
    size_t made;
    packet.time = 242 * SECOND; /* it gets no more than 240 s */
    see(&packet, &made);
    CU_ASSERT_EQUAL(made, 1);
}

static void test_a_wild_time_keeps_no_flow(void)
{
    make(64);
    struct remed_flow_packet packet = packet4(1, 1, 0, 17, 0, 1000 * SECOND);
    struct remed_flow_packet other = packet4(2, 1, 0, 17, 0, 1000 * SECOND);
    size_t made;
    see(&packet, NULL);
    see(&other, NULL);
    packet.time = 4000000000 * SECOND;
    see(&packet, NULL);
    packet.time = 1001 * SECOND;
    see(&packet, NULL);
    other.time = 1002 * SECOND;
    see(&other, &made);
    CU_ASSERT_EQUAL(made, 0); /* nobody else's */
    packet.time = 1302 * SECOND;
    see(&packet, &made);
    CU_ASSERT_EQUAL(made, 1); /* its idle time still ends */
}

static void test_expire_ends_what_is_idle(void)
{
    make(64);
    for (uint32_t i = 0; i < 40; i++) {
        struct remed_flow_packet packet = packet4(i, 5, 0, 17, 0, (i / 20) * 500 * SECOND);
        packet.time += SECOND;
        remed_flow_table_update(table, &packet, 1, NULL);
    }
    size_t before = (size_t)stats_of().expired;
    size_t now_ended = remed_flow_table_expire(table, 502 * SECOND, 64);
    CU_ASSERT_EQUAL(before + now_ended, 20);
    CU_ASSERT_EQUAL(stats_of().live, 20);
    uint32_t cursor = 0;
    size_t walked = 0;
    while (remed_flow_table_next(table, &cursor) != REMED_NO_FLOW)
        walked++;
    CU_ASSERT_EQUAL(walked, 20);
}

/* Random traffic against a plain array: no flow lost, none made twice, counts right. */
static void test_against_a_plain_array(void)
{
    enum { FLOWS = 3000, PACKETS = 60000 };
    static uint64_t packets[FLOWS];
    memset(packets, 0, sizeof packets);
    make(4096);
    uint32_t random = 1;
    for (uint32_t i = 0; i < PACKETS; i++) {
        random = random * 1664525u + 1013904223u;
        uint32_t client = (random >> 8) % FLOWS;
        struct remed_flow_packet packet =
            client % 3 == 0 ? packet6(client, SECOND + i)
                            : packet4(client, (uint16_t)client, random >> 31, 17, 0, SECOND + i);
        uint32_t flow = see(&packet, NULL);
        packets[client]++;
        struct remed_flow_info info = info_of(flow);
        CU_ASSERT_EQUAL_FATAL(info.packets[0] + info.packets[1], packets[client]);
    }
    CU_ASSERT_EQUAL(stats_of().created, stats_of().live);
}

static void test_options_are_checked(void)
{
    struct remed_flow_table_opts opts;
    struct remed_error error;
    remed_flow_table_opts_init(&opts, sizeof opts);
    opts.max_flows = 15;
    CU_ASSERT_EQUAL(remed_flow_table_new(&table, &opts, &error), REMED_EINVAL);
    CU_ASSERT_EQUAL(error.code, REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "max_flows"));
    struct {
        struct remed_flow_table_opts known;
        uint64_t newer;
    } larger;
    memset(&larger, 0, sizeof larger);
    remed_flow_table_opts_init(&larger.known, sizeof larger);
    CU_ASSERT_EQUAL_FATAL(remed_flow_table_new(&table, &larger.known, &error), 0);
    remed_flow_table_free(table);
    table = NULL;
    larger.newer = 1;
    CU_ASSERT_EQUAL(remed_flow_table_new(&table, &larger.known, &error), REMED_EINVAL);
}

static void test_hash_is_symmetric_and_fixed(void)
{
    struct remed_flow_packet there = packet4(7, 1234, 0, 6, 0, 0);
    struct remed_flow_packet back = packet4(7, 1234, 1, 6, 0, 0);
    CU_ASSERT_EQUAL(remed_flow_key_hash(&there.key, 0), remed_flow_key_hash(&back.key, 0));
    CU_ASSERT_NOT_EQUAL(remed_flow_key_hash(&there.key, 0), remed_flow_key_hash(&there.key, 1));
    unsigned low[16] = {0};
    for (uint32_t i = 0; i < 16000; i++) {
        struct remed_flow_packet packet = packet4(i, 1, 0, 6, 0, 0);
        low[remed_flow_key_hash(&packet.key, 0) % 16]++;
    }
    for (unsigned i = 0; i < 16; i++)
        CU_ASSERT(low[i] > 800 && low[i] < 1200);
}

/* Buckets that the search for each of `count` flows of one IPv4 pair looks into. */
static uint64_t probes(const uint64_t addresses, uint32_t count)
{
    uint64_t looked_at = 0;
    struct remed_flow_packet packet = {.time = SECOND, .bytes = 60};
    packet.key.ip_version = 4;
    packet.key.protocol = 17;
    for (unsigned i = 0; i < 4; i++) {
        packet.key.address[0][i] = (uint8_t)(addresses >> 8 * i);
        packet.key.address[1][i] = (uint8_t)(addresses >> (32 + 8 * i));
    }
    for (uint32_t i = 0; i < count; i++) {
        struct remed_probe probe;
        packet.key.port[0] = (uint16_t)i;
        see(&packet, NULL);
        remed_flow_probe(table, &packet.key, 0, &probe);
        for (uint32_t at = probe.bucket;; at = (at + 1) & table->bucket_mask) {
            looked_at++;
            if (table->buckets[at].overflow == 0)
                break;
        }
    }
    return looked_at;
}

/* The pair that makes a known secret's hash 0 for all ports costs no more than another pair. */
static void test_a_seed_of_zeros_is_drawn(void)
{
    struct remed_flow_table_opts opts;
    uint64_t found[2];
    static const uint64_t pairs[] = {REMED_HASH_C0, 0x0100000a0100007full};
    for (unsigned i = 0; i < 2; i++) {
        remed_flow_table_opts_init(&opts, sizeof opts);
        opts.max_flows = 4096;
        CU_ASSERT_EQUAL_FATAL(remed_flow_table_new(&table, &opts, NULL), 0);
        CU_ASSERT_NOT_EQUAL(table->secret[0], REMED_HASH_C0);
        found[i] = probes(pairs[i], 4000);
        teardown();
    }
    CU_ASSERT(found[0] < 2 * 4000);
    CU_ASSERT(found[1] < 2 * 4000);
    make(4096); /* a secret that is known can be attacked: the test sees what it is to see */
    CU_ASSERT(probes(table->secret[0], 4000) > 20 * 4000);
}

static int no_entropy(void *context, void *bytes, size_t length)
{
    (void)context, (void)bytes, (void)length;
    return -1;
}

static int fixed_entropy(void *context, void *bytes, size_t length)
{
    memset(bytes, *(int *)context, length);
    return 0;
}

static void test_entropy_comes_from_the_host(void)
{
    struct remed_flow_table_opts opts;
    struct remed_error error;
    int byte = 0x5a;
    struct remed_entropy entropy = {NULL, no_entropy};
    remed_flow_table_opts_init(&opts, sizeof opts);
    opts.max_flows = 16;
    opts.entropy = &entropy;
    CU_ASSERT_EQUAL(remed_flow_table_new(&table, &opts, &error), REMED_EIO);
    CU_ASSERT_PTR_NULL(table);
    entropy = (struct remed_entropy){&byte, fixed_entropy};
    CU_ASSERT_EQUAL_FATAL(remed_flow_table_new(&table, &opts, &error), 0);
    CU_ASSERT_EQUAL(table->secret[0], 0x5a5a5a5a5a5a5a5aull ^ REMED_HASH_C0);
    teardown();
    opts.reserved = 1;
    CU_ASSERT_EQUAL(remed_flow_table_new(&table, &opts, &error), REMED_EINVAL);
}

static const struct test_case cases[] = {
    {"both directions are one flow", test_both_directions_are_one_flow},
    {"IPv6 flows are told apart", test_ipv6_flows_are_told_apart},
    {"a flow made in the same batch is found", test_a_flow_made_in_the_same_batch_is_found},
    {"idle flows expire by protocol", test_idle_flows_expire_by_protocol},
    {"time going backwards expires nothing", test_time_going_backwards_expires_nothing},
    {"TCP states", test_tcp_states},
    {"a closed tuple used again is a new flow", test_a_closed_tuple_used_again_is_a_new_flow},
    {"a full table evicts and counts", test_a_full_table_evicts_and_counts},
    {"the flow nearest its end is evicted", test_the_flow_nearest_its_end_is_evicted},
    {"a flood evicts the flood", test_a_flood_evicts_the_flood},
    {"one kind of strangers does not evict another",
     test_one_kind_of_strangers_does_not_evict_another},
    {"newcomers have a share", test_newcomers_have_a_share},
    {"a one-way flow that lasts outlives a flood", test_a_one_way_flow_that_lasts_outlives_a_flood},
    {"an error report is no answer", test_an_error_report_is_no_answer},
    {"who cannot receive opens nothing", test_who_cannot_receive_opens_nothing},
    {"a wild time keeps no flow", test_a_wild_time_keeps_no_flow},
    {"a seed of zeros is drawn", test_a_seed_of_zeros_is_drawn},
    {"entropy comes from the host", test_entropy_comes_from_the_host},
    {"expire ends what is idle", test_expire_ends_what_is_idle},
    {"against a plain array", test_against_a_plain_array},
    {"options are checked", test_options_are_checked},
    {"hash is symmetric and fixed", test_hash_is_symmetric_and_fixed},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"flow", cases, NULL, teardown}, {NULL, NULL, NULL, NULL}};
