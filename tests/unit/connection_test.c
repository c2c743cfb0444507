/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections as the filter follows them: handshakes and ends of TCP, SCTP and DCCP, tuples used
 * again, duplicates of a tap, and clocks that are set.
 */
#include "unit/test.h"

#include <remediate/filter.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ull
#define FIN REMED_TCP_FIN
#define SYN REMED_TCP_SYN
#define RST REMED_TCP_RST
#define ACK REMED_TCP_ACK
#define LENGTH 80u

static struct remed_filter *filter;
static uint16_t next_id;

static void make(const char *text)
{
    struct remed_policy *policy = NULL;
    struct remed_error error = {0};
    remed_filter_free(filter);
    filter = NULL;
    int rc = remed_policy_parse(&policy, NULL, text, strlen(text), &error);
    CU_ASSERT_EQUAL_FATAL(rc, 0);
    rc = remed_filter_new(&filter, policy, NULL, &error);
    remed_policy_free(policy);
    CU_ASSERT_EQUAL_FATAL(rc, 0);
}

static void teardown(void)
{
    remed_filter_free(filter);
    filter = NULL;
}

struct packet {
    unsigned reply, protocol, kind; /* kind: TCP's flags, SCTP's chunk, DCCP's type */
    uint32_t sequence, ack;
    double time;
    uint16_t id; /* 0: another one */
    uint8_t payload;
};

static void put16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static void put32(uint8_t *to, uint32_t value)
{
    put16(to, value >> 16);
    put16(to + 2, value & 0xffff);
}

static void write_transport(uint8_t *to, const struct packet *packet)
{
    put16(to, packet->reply ? 443 : 40000);
    put16(to + 2, packet->reply ? 40000 : 443);
    if (packet->protocol == 6) {
        put32(to + 4, packet->sequence);
        put32(to + 8, packet->ack);
        to[12] = 0x50;
        to[13] = (uint8_t)packet->kind;
        to[20] = packet->payload;
    } else if (packet->protocol == 132) { /* sequence: the initiate tag, ack: the tag */
        put32(to + 4, packet->ack);
        to[12] = (uint8_t)packet->kind;
        put16(to + 14, 20);
        put32(to + 16, packet->sequence);
    } else {
        to[4] = 6;
        to[8] = (uint8_t)(packet->kind << 1 | 1);
        put32(to + 12, packet->sequence);
        put32(to + 20, packet->ack);
    }
}

static unsigned reason(struct packet packet)
{
    uint8_t ip[LENGTH] = {0x45};
    put16(ip + 2, LENGTH);
    put16(ip + 4, packet.id != 0 ? packet.id : ++next_id);
    ip[8] = packet.reply ? 60 : 64;
    ip[9] = (uint8_t)packet.protocol;
    put32(ip + 12, packet.reply ? 0xc6336407 : 0xc0a80102);
    put32(ip + 16, packet.reply ? 0xc0a80102 : 0xc6336407);
    write_transport(ip + 20, &packet);
    struct remed_packet seen = {.data = ip,
                                .captured = LENGTH,
                                .wire = LENGTH,
                                .time = (uint64_t)(packet.time * 1e9),
                                .link_type = REMED_LINK_RAW};
    struct remed_verdict verdict;
    remed_filter_run(filter, &seen, 1, &verdict);
    bool copies = verdict.reason >= REMED_REASON_ALL && verdict.reason <= REMED_REASON_CLOSE;
    CU_ASSERT_EQUAL(verdict.copy, copies);
    return verdict.reason;
}

static unsigned tcp(unsigned reply, unsigned flags, uint32_t sequence, uint32_t ack, double time)
{
    return reason((struct packet){reply, 6, flags, sequence, ack, time, 0, 0});
}

static void opened(double time)
{
    tcp(0, SYN, 100, 0, time);
    tcp(1, SYN | ACK, 900, 101, time);
    tcp(0, ACK, 101, 901, time);
}

static void test_a_lost_ack_is_made_up_for(void)
{
    make("tcp : handshake");
    tcp(0, SYN, 100, 0, 1);
    tcp(1, SYN | ACK, 900, 101, 1);
    CU_ASSERT_EQUAL(tcp(1, ACK, 901, 101, 1), REMED_REASON_NOT_WANTED); /* the server talks first */
    CU_ASSERT_EQUAL(tcp(0, ACK, 101, 941, 1), REMED_REASON_HANDSHAKE_ACK);
    CU_ASSERT_EQUAL(tcp(0, ACK, 101, 941, 1), REMED_REASON_NOT_WANTED);
}

static void test_either_of_two_syn_acks_is_acknowledged(void)
{
    for (unsigned i = 0; i < 2; i++) {
        make("tcp : handshake");
        tcp(0, SYN, 100, 0, 1);
        CU_ASSERT_EQUAL(tcp(1, SYN | ACK, 900, 101, 1), REMED_REASON_SYN_ACK);
        CU_ASSERT_EQUAL(tcp(1, SYN | ACK, 0x80000000, 101, 1), REMED_REASON_SYN_ACK);
        CU_ASSERT_EQUAL(tcp(0, ACK, 101, i == 0 ? 901 : 0x80000001, 1), REMED_REASON_HANDSHAKE_ACK);
    }
}

static void test_a_guess_completes_nothing(void)
{
    make("tcp : handshake");
    tcp(0, SYN, 100, 0, 1);
    tcp(1, SYN | ACK, 900, 101, 1);
    CU_ASSERT_EQUAL(tcp(0, ACK, 101, 900, 1), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(tcp(0, ACK, 101, 901 + 200000, 1), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(tcp(0, ACK | RST, 101, 901, 1), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(tcp(0, ACK, 101, 901, 1), REMED_REASON_HANDSHAKE_ACK);
}

static void test_data_in_the_syn(void)
{
    make("tcp : handshake");
    tcp(0, SYN, 100, 0, 1);
    CU_ASSERT_EQUAL(tcp(1, SYN | ACK, 900, 501, 1), REMED_REASON_SYN_ACK);
    CU_ASSERT_EQUAL(tcp(0, ACK, 501, 901, 1), REMED_REASON_HANDSHAKE_ACK);
}

static void test_close(void)
{
    make("tcp : handshake, close");
    opened(1);
    CU_ASSERT_EQUAL(tcp(0, ACK, 101, 901, 2), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(tcp(0, FIN | ACK, 101, 901, 2), REMED_REASON_CLOSE);
    CU_ASSERT_EQUAL(tcp(0, FIN | ACK, 101, 901, 3), REMED_REASON_CLOSE); /* sent again */
    CU_ASSERT_EQUAL(tcp(1, ACK, 901, 102, 3), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(tcp(1, FIN | ACK, 901, 102, 3), REMED_REASON_CLOSE);
    CU_ASSERT_EQUAL(tcp(0, ACK, 102, 902, 3), REMED_REASON_NOT_WANTED);
    make("tcp : handshake");
    opened(1);
    CU_ASSERT_EQUAL(tcp(0, FIN | ACK, 101, 901, 2), REMED_REASON_NOT_WANTED);
    make("tcp : close");
    CU_ASSERT_PTR_NULL(remed_filter_flows(filter));
    CU_ASSERT_EQUAL(tcp(0, SYN, 100, 0, 1), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(tcp(1, RST | ACK, 0, 101, 1), REMED_REASON_CLOSE);
    make("tcp : none, close");
    CU_ASSERT_EQUAL(tcp(0, ACK, 100, 0, 1), REMED_REASON_NONE);
    CU_ASSERT_EQUAL(tcp(1, RST, 0, 101, 1), REMED_REASON_CLOSE);
}

/* Chunk or type, from whom, and what `handshake, close` says. */
struct told {
    unsigned reply, kind;
    uint32_t sequence, ack;
    unsigned reason;
};

static void walk(unsigned protocol, const struct told *told, size_t count)
{
    make("any : handshake, close");
    for (size_t i = 0; i < count; i++) {
        struct packet packet = {told[i].reply,
                                protocol,
                                told[i].kind,
                                told[i].sequence,
                                told[i].ack,
                                1 + (double)i,
                                0,
                                0};
        unsigned said = reason(packet);
        if (said != told[i].reason)
            fprintf(stderr, "protocol %u, packet %zu: %s\n", protocol, i, remed_reason_name(said));
        CU_ASSERT_EQUAL(said, told[i].reason);
    }
}

static void test_sctp(void)
{
    static const struct told told[] = {
        {0, 1, 7, 0, REMED_REASON_SYN},            /* INIT */
        {1, 2, 9, 7, REMED_REASON_SYN_ACK},        /* INIT ACK */
        {0, 10, 0, 9, REMED_REASON_HANDSHAKE_ACK}, /* COOKIE ECHO */
        {1, 11, 0, 7, REMED_REASON_HANDSHAKE_ACK}, /* COOKIE ACK */
        {0, 0, 0, 9, REMED_REASON_NOT_WANTED},     /* DATA */
        {1, 3, 0, 7, REMED_REASON_NOT_WANTED},     /* SACK */
        {0, 4, 0, 9, REMED_REASON_NOT_WANTED},     /* HEARTBEAT */
        {0, 7, 0, 9, REMED_REASON_CLOSE},          /* SHUTDOWN */
        {1, 8, 0, 7, REMED_REASON_CLOSE},          /* SHUTDOWN ACK */
        {0, 14, 0, 9, REMED_REASON_CLOSE},         /* SHUTDOWN COMPLETE */
        {0, 6, 0, 9, REMED_REASON_CLOSE},          /* ABORT */
    };
    walk(132, told, sizeof told / sizeof *told);
}

static void test_dccp(void)
{
    static const struct told told[] = {
        {0, 0, 700, 0, REMED_REASON_SYN},             /* Request */
        {1, 1, 900, 700, REMED_REASON_SYN_ACK},       /* Response */
        {0, 3, 701, 899, REMED_REASON_NOT_WANTED},    /* acknowledges something else */
        {0, 3, 701, 900, REMED_REASON_HANDSHAKE_ACK}, /* Ack */
        {1, 4, 901, 701, REMED_REASON_NOT_WANTED},    /* DataAck */
        {0, 4, 702, 901, REMED_REASON_NOT_WANTED},    /* DataAck */
        {1, 5, 902, 702, REMED_REASON_CLOSE},         /* CloseReq */
        {0, 6, 703, 902, REMED_REASON_CLOSE},         /* Close */
        {1, 7, 903, 703, REMED_REASON_CLOSE},         /* Reset */
    };
    walk(33, told, sizeof told / sizeof *told);
}

static struct remed_flow_stats flow_stats(void)
{
    struct remed_flow_stats stats;
    memset(&stats, 0, sizeof stats);
    CU_ASSERT_EQUAL(remed_filter_flow_stats(filter, &stats, sizeof stats), 0);
    return stats;
}

static void test_an_answered_syn_of_another_number_is_a_new_flow(void)
{
    make("any : first 4");
    opened(1);
    tcp(0, ACK, 101, 901, 2);
    CU_ASSERT_EQUAL(tcp(0, ACK, 101, 901, 2), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(tcp(0, SYN, 100, 0, 2), REMED_REASON_NOT_WANTED); /* the same one, late */
    CU_ASSERT_EQUAL(tcp(0, SYN, 5000, 0, 3), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(tcp(0, ACK, 101, 901, 3), REMED_REASON_NOT_WANTED); /* not answered yet */
    CU_ASSERT_EQUAL(tcp(1, ACK, 901, 101, 3), REMED_REASON_NOT_WANTED); /* a challenge */
    CU_ASSERT_EQUAL(flow_stats().created, 1);
    CU_ASSERT_EQUAL(tcp(1, SYN | ACK, 7000, 5001, 3), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(flow_stats().reopened, 1);
    CU_ASSERT_EQUAL(tcp(0, ACK, 5001, 7001, 3), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(tcp(0, ACK, 5001, 7001, 3), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(tcp(0, ACK, 5001, 7001, 3), REMED_REASON_NOT_WANTED);
}

static void test_spoofed_syns_end_nothing(void)
{
    make("any : first 3");
    opened(1);
    for (unsigned i = 0; i < 50; i++)
        tcp(0, SYN, 5000 + i * 7, 0, 2);
    CU_ASSERT_EQUAL(tcp(1, SYN | ACK, 7000, 101, 3), REMED_REASON_NOT_WANTED); /* answers none */
    CU_ASSERT_EQUAL(flow_stats().created, 1);
    CU_ASSERT_EQUAL(flow_stats().established, 1);
}

static void test_a_false_reset_ends_nothing(void)
{
    make("any : handshake, refresh 10s");
    opened(1);
    tcp(1, ACK, 901, 101, 1);
    tcp(1, RST, 1, 0, 2);
    CU_ASSERT_EQUAL(flow_stats().ended, 1);
    tcp(0, ACK, 101, 901, 2); /* this side may not know yet */
    CU_ASSERT_EQUAL(flow_stats().ended, 1);
    tcp(1, ACK, 901, 101, 2); /* who reset it talks on */
    CU_ASSERT_EQUAL(flow_stats().established, 1);
}

static void test_duplicates_use_up_nothing(void)
{
    static const char *const policies[] = {"any : first 2", "any : first 2 each",
                                           "any : first 160B"};
    for (unsigned i = 0; i < 3; i++) {
        make(policies[i]);
        struct packet packet = {0, 6, ACK, 101, 901, 1, 5, 1}, other = packet;
        CU_ASSERT_EQUAL(reason(packet), REMED_REASON_FIRST);
        packet.time += 0.00001;
        CU_ASSERT_EQUAL(reason(packet), REMED_REASON_DUPLICATE);
        CU_ASSERT_EQUAL(reason(packet), REMED_REASON_DUPLICATE);
        packet.time = 1.5; /* too late for a tap */
        other.id = 6, other.time = 1.5;
        CU_ASSERT_EQUAL(reason(i == 0 ? packet : other), REMED_REASON_FIRST);
        struct remed_filter_stats stats;
        remed_filter_stats(filter, &stats, sizeof stats);
        CU_ASSERT_EQUAL(stats.duplicates, 2);
        CU_ASSERT_EQUAL(remed_filter_reason_packets(filter, REMED_REASON_DUPLICATE), 2);
    }
    make("any : first 9");
    struct packet packet = {0, 6, ACK, 101, 901, 1, 5, 1};
    reason(packet);
    packet.payload = 2; /* not the same, whatever its identification says */
    CU_ASSERT_EQUAL(reason(packet), REMED_REASON_FIRST);
    packet.payload = 1, packet.id = 6;
    CU_ASSERT_EQUAL(reason(packet), REMED_REASON_FIRST);
    make("any : all");
    CU_ASSERT_EQUAL(reason(packet), REMED_REASON_ALL);
    CU_ASSERT_EQUAL(reason(packet), REMED_REASON_ALL);
}

/* A packet a second; how many of a hundred are refreshed when the clock is set midway. */
static unsigned refreshes(double step, unsigned from, unsigned to)
{
    unsigned copied = 0;
    make("any : handshake, refresh 10s");
    opened(1000000);
    for (unsigned i = 0; i < 120; i++) {
        double time = 1000001 + i + (i >= from && i < to ? step : 0);
        copied += tcp(0, ACK, 101, 901, time) == REMED_REASON_REFRESH;
    }
    CU_ASSERT_EQUAL(flow_stats().expired, step > 7440);
    return copied;
}

static void test_set_clocks_stop_no_refresh(void)
{
    unsigned wanted = refreshes(0, 0, 0);
    CU_ASSERT_EQUAL(wanted, 12);
    static const double steps[] = {-3600, -1.5, -900000, 3600, 2, 100000000};
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        unsigned once = refreshes(steps[i], 55, 56), by_turns = refreshes(steps[i], 55, 60);
        CU_ASSERT_TRUE(once + 1 >= wanted && once <= wanted + 2);
        if (steps[i] < 7440)
            CU_ASSERT_TRUE(by_turns + 1 >= wanted && by_turns <= wanted + 2);
        if (steps[i] < 0) {
            unsigned for_good = refreshes(steps[i], 55, 1000);
            CU_ASSERT_TRUE(for_good + 1 >= wanted && for_good <= wanted + 1);
        }
    }
}

static void test_set_clocks_stop_no_bucket(void)
{
    static const double steps[] = {0, -3600, 3600};
    for (unsigned i = 0; i < 3; i++) {
        unsigned copied = 0;
        make("any : all\nlimit 6400bit"); /* ten of 80 bytes a second */
        for (unsigned j = 0; j < 20000; j++) {
            double time =
                1000000 + j * 0.01 + (j == 9000 || (steps[i] < 0 && j > 9000) ? steps[i] : 0);
            copied += tcp(0, ACK, 101, 901, time) == REMED_REASON_ALL;
        }
        double full = 65536.0 / 80 + 2000; /* the share of the rest, and what comes in */
        CU_ASSERT_TRUE(copied > full * 0.85 && copied < full * (steps[i] > 0 ? 1.5 : 1.02));
    }
}

/* A packet of a hundred comes from the far future: from one time, or from all over it. */
static void test_wild_packets_fill_no_bucket(void)
{
    for (unsigned kind = 0; kind < 2; kind++) {
        unsigned copied = 0;
        make("any : all\nlimit 6400bit");
        for (unsigned j = 0; j < 20000; j++) {
            double time =
                j % 100 != 50 ? 1000000 + j * 0.01 : 4e9 + kind * 1000.0 * (j * 7919 % 20000);
            copied += tcp(0, ACK, 101, 901, time) == REMED_REASON_ALL;
        }
        double full = 65536.0 / 80 + 2000;
        CU_ASSERT_TRUE(copied > full * 0.85 && copied < full * 1.5);
    }
}

/* Whatever the clocks of three taps say, the numbers tell that it is one handshake. */
static void test_a_handshake_over_three_clocks(void)
{
    make("tcp : handshake");
    CU_ASSERT_EQUAL(tcp(0, SYN, 100, 0, 1000), REMED_REASON_SYN);
    CU_ASSERT_EQUAL(tcp(1, SYN | ACK, 900, 101, 4600), REMED_REASON_SYN_ACK);
    CU_ASSERT_EQUAL(tcp(0, ACK, 101, 901, 8200), REMED_REASON_HANDSHAKE_ACK);
    CU_ASSERT_EQUAL(flow_stats().created, 1);
}

static const struct test_case cases[] = {
    {"a lost ACK is made up for", test_a_lost_ack_is_made_up_for},
    {"either of two SYN+ACKs is acknowledged", test_either_of_two_syn_acks_is_acknowledged},
    {"a guess completes nothing", test_a_guess_completes_nothing},
    {"data in the SYN", test_data_in_the_syn},
    {"close", test_close},
    {"SCTP", test_sctp},
    {"DCCP", test_dccp},
    {"an answered SYN of another number is a new flow",
     test_an_answered_syn_of_another_number_is_a_new_flow},
    {"spoofed SYNs end nothing", test_spoofed_syns_end_nothing},
    {"a false reset ends nothing", test_a_false_reset_ends_nothing},
    {"duplicates use up nothing", test_duplicates_use_up_nothing},
    {"set clocks stop no refresh", test_set_clocks_stop_no_refresh},
    {"set clocks stop no bucket", test_set_clocks_stop_no_bucket},
    {"wild packets fill no bucket", test_wild_packets_fill_no_bucket},
    {"a handshake over three clocks", test_a_handshake_over_three_clocks},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"connection", cases, NULL, teardown},
                                         {NULL, NULL, NULL, NULL}};
