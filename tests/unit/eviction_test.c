/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who goes from a full table: floods of each kind, against flows that live but are silent, closed
 * by strangers, or answered by one side only.
 */
#include "unit/test.h"

#include <remediate/flow.h>
#include <remediate/packet.h>
#include <string.h>

#define SECOND 1000000000ull
#define SYN REMED_TCP_SYN
#define ACK REMED_TCP_ACK
#define FIN REMED_TCP_FIN
#define RST REMED_TCP_RST
#define LIVE 100u
#define TABLE 256u

static struct remed_flow_table *table;
static unsigned ends; /* of live flows */

static void on_end(void *context, const struct remed_flow_info *info)
{
    (void)context;
    ends += info->key.address[0][1] == 0;
}

static void setup(void)
{
    struct remed_flow_table_opts opts;
    remed_flow_table_opts_init(&opts, sizeof opts);
    opts.max_flows = TABLE;
    opts.seed[0] = 7;
    CU_ASSERT_EQUAL_FATAL(remed_flow_table_new(&table, &opts, NULL), 0);
    remed_flow_table_on_end(table, on_end, NULL);
    ends = 0;
}

static void teardown(void)
{
    remed_flow_table_free(table);
    table = NULL;
}

static struct remed_flow_stats stats_of(void)
{
    struct remed_flow_stats stats;
    remed_flow_table_stats(table, &stats, sizeof stats);
    return stats;
}

/* Flow `who` from 10.0.0.0 on (live ones below LIVE) with 198.51.100.1, at a time in ms. */
static void see(unsigned protocol, uint32_t who, unsigned reply, unsigned flags, uint32_t sequence,
                uint32_t ack, uint64_t ms)
{
    const uint8_t strange = who >= LIVE;
    const uint8_t inside[4] = {10, strange, (uint8_t)(who >> 8), (uint8_t)who};
    const uint8_t outside[4] = {198, 51, 100, 1};
    struct remed_flow_packet packet = {.time = SECOND + ms * 1000000,
                                       .bytes = 100,
                                       .tcp_flags = (uint8_t)flags,
                                       .tcp_sequence = sequence,
                                       .tcp_ack = ack};
    uint8_t kind = (uint8_t)protocol;
    packet.direction =
        (uint8_t)(reply ? remed_flow_key_init(&packet.key, 4, kind, outside, 80, inside,
                                              (uint16_t)(5 + who / 65536))
                        : remed_flow_key_init(&packet.key, 4, kind, inside,
                                              (uint16_t)(5 + who / 65536), outside, 80));
    uint32_t flow;
    remed_flow_table_update(table, &packet, 1, &flow);
}

static void handshake(uint32_t who, uint64_t ms)
{
    see(6, who, 0, SYN, 100, 0, ms);
    see(6, who, 1, SYN | ACK, 900, 101, ms);
    see(6, who, 0, ACK, 101, 901, ms);
}

static void talk(uint32_t who, uint64_t ms)
{
    see(6, who, 0, ACK, 101, 901, ms);
    see(6, who, 1, ACK, 901, 121, ms);
}

static void live(bool talks)
{
    for (uint32_t i = 0; i < LIVE; i++) {
        handshake(i, 0);
        if (talks)
            talk(i, 10);
    }
}

static void flood_syns(uint64_t ms)
{
    for (uint32_t i = 0; i < 5000; i++)
        see(6, 1000 + i, 0, SYN, i, 0, ms + i);
}

/* Handshakes, and what the bots do next: nothing, talk, or talk and close. */
static void flood_connections(uint64_t ms, unsigned then)
{
    for (uint32_t i = 0; i < 5000; i++) {
        handshake(1000 + i, ms + i * 2);
        if (then > 0)
            talk(1000 + i, ms + i * 2);
        if (then > 1)
            see(6, 1000 + i, 0, RST | ACK, 121, 901, ms + i * 2);
    }
}

static void test_silent_handshakes_evict_themselves(void)
{
    for (unsigned talks = 0; talks < 2; talks++) {
        teardown();
        setup();
        live(talks != 0);
        flood_connections(4000, 0);
        CU_ASSERT_EQUAL(ends, 0);
        CU_ASSERT(stats_of().evicted > 4000);
    }
}

/* With taps that see all twice, too. */
static void test_a_handshake_seen_twice_is_silent(void)
{
    live(true);
    for (uint32_t i = 0; i < 5000; i++) {
        handshake(1000 + i, 4000 + i * 2);
        see(6, 1000 + i, 0, ACK, 101, 901, 4000 + i * 2);
    }
    for (uint32_t i = 0; i < 300; i++)
        see(17, 7000 + i, 0, 0, 0, 0, 14000 + i); /* and newcomers */
    CU_ASSERT_EQUAL(ends, 0);
}

static void test_who_opens_talks_and_closes_evicts_their_like(void)
{
    live(true);
    flood_connections(4000, 2);
    CU_ASSERT_EQUAL(ends, 0);
    CU_ASSERT_EQUAL(stats_of().established, LIVE);
    CU_ASSERT_EQUAL(stats_of().evicted, stats_of().evicted_ended + stats_of().evicted_half_open +
                                            stats_of().evicted_one_way);
}

/* What a stranger sends in the name of both sides, before a flood of SYNs. */
static void test_strangers_make_no_newcomer_of_a_live_flow(void)
{
    static const uint8_t flags[] = {RST, FIN | ACK, SYN, SYN | ACK, SYN | RST};
    for (unsigned i = 0; i < 2 * sizeof flags; i++) {
        teardown();
        setup();
        live(i % 2 == 0);
        for (uint32_t j = 0; j < LIVE; j++)
            for (unsigned side = 0; side < 2; side++)
                see(6, j, side, flags[i / 2], 0x70000000u + j, 7, 3000);
        flood_syns(4000);
        unsigned ended = ends;
        CU_ASSERT_EQUAL(ended, 0);
        for (uint32_t j = 0; j < LIVE; j++)
            talk(j, 20000);
        CU_ASSERT_EQUAL(ends, 0);
        CU_ASSERT_EQUAL(stats_of().established, LIVE);
    }
}

/* A SYN, and the answer to it, in the name of both: the flow begins anew, and is kept. */
static void test_a_spoofed_reuse_is_kept(void)
{
    for (unsigned closed = 0; closed < 2; closed++) {
        teardown();
        setup();
        live(true);
        for (uint32_t j = 0; j < LIVE; j++) {
            if (closed != 0)
                see(6, j, 0, RST, 1, 0, 2900);
            see(6, j, 0, SYN, 0x70000000, 0, 3000);
            see(6, j, 1, SYN | ACK, 88, 0x70000001, 3000);
        }
        CU_ASSERT_EQUAL(ends, LIVE);
        flood_syns(4000);
        CU_ASSERT_EQUAL(ends, LIVE);
        for (uint32_t j = 0; j < LIVE; j++)
            talk(j, 20000);
        CU_ASSERT_EQUAL(ends, LIVE);
        CU_ASSERT_EQUAL(stats_of().established, LIVE);
    }
}

/* After a minute, what was closed goes first. */
static void test_closed_flows_crowd_out_nobody(void)
{
    for (uint32_t i = 0; i < 200; i++) {
        handshake(1000 + i, 0);
        talk(1000 + i, 0);
        see(6, 1000 + i, 0, RST, 121, 0, 10);
    }
    CU_ASSERT_EQUAL(stats_of().ended, 200);
    for (uint32_t i = 0; i < 256; i++)
        see(6, 5000 + i, 0, SYN, i, 0, 70000 + i);
    CU_ASSERT_EQUAL(stats_of().half_open, 256);
    CU_ASSERT_EQUAL(stats_of().ended, 0);
}

static void test_a_question_whose_answers_go_on(void)
{
    for (uint32_t i = 0; i < LIVE; i++) {
        see(17, i, 0, 0, 0, 0, 0);
        for (unsigned j = 0; j < 4; j++)
            see(17, i, 1, 0, 0, 0, 10 + j * 400);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        see(17, 1000 + i, 0, 0, 0, 0, 4000 + i);
        see(17, 1000 + i, 1, 0, 0, 0, 4000 + i);
    }
    CU_ASSERT_EQUAL(ends, 0);
}

static void test_a_true_fin_stays(void)
{
    live(true);
    see(6, 0, 0, FIN | ACK, 121, 901, 20);
    see(6, 0, 1, FIN | ACK, 901, 122, 21);
    see(6, 0, 0, ACK, 122, 902, 22);
    see(6, 0, 1, ACK, 902, 122, 22);
    see(6, 0, 1, ACK, 801, 122, 23); /* sent again */
    CU_ASSERT_EQUAL(stats_of().ended, 1);
    see(6, 1, 0, FIN | ACK, 0x50000000, 901, 20); /* a stranger's */
    see(6, 1, 1, FIN | ACK, 0x60000000, 122, 21);
    CU_ASSERT_EQUAL(stats_of().ended, 2);
    talk(1, 30);
    CU_ASSERT_EQUAL(stats_of().ended, 1);
}

static const struct test_case cases[] = {
    {"silent handshakes evict themselves", test_silent_handshakes_evict_themselves},
    {"a handshake seen twice is silent", test_a_handshake_seen_twice_is_silent},
    {"who opens, talks and closes evicts their like",
     test_who_opens_talks_and_closes_evicts_their_like},
    {"strangers make no newcomer of a live flow", test_strangers_make_no_newcomer_of_a_live_flow},
    {"a spoofed reuse is kept", test_a_spoofed_reuse_is_kept},
    {"closed flows crowd out nobody", test_closed_flows_crowd_out_nobody},
    {"a question whose answers go on", test_a_question_whose_answers_go_on},
    {"a true FIN stays", test_a_true_fin_stays},
    {NULL, NULL},
};

static void fresh(void)
{
    teardown();
    setup();
}

const struct test_suite test_suites[] = {{"eviction", cases, fresh, teardown},
                                         {NULL, NULL, NULL, NULL}};
