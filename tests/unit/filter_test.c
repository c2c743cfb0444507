/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The filter: what each action copies and why, on flows built packet by packet.
 */
#include "unit/frames.h"
#include "unit/layers.h"
#include "unit/test.h"

#include <remediate/filter.h>

#define SECOND 1000000000ull
#define SYN REMED_TCP_SYN
#define ACK REMED_TCP_ACK

static struct remed_filter *filter;

static void make_with(const char *text, const struct remed_filter_opts *opts)
{
    struct remed_policy *policy = NULL;
    struct remed_error error = {0};
    int rc = remed_policy_parse(&policy, NULL, text, strlen(text), &error);
    CU_ASSERT_EQUAL_FATAL(rc, 0);
    rc = remed_filter_new(&filter, policy, opts, &error);
    remed_policy_free(policy); /* the filter keeps its own copy */
    CU_ASSERT_EQUAL_FATAL(rc, 0);
}

static void make(const char *text)
{
    make_with(text, NULL);
}

static void teardown(void)
{
    remed_filter_free(filter);
    filter = NULL;
}

static struct remed_verdict run(struct frame_spec spec)
{
    struct frame frame;
    struct remed_verdict verdict;
    memset(&verdict, 0xff, sizeof verdict);
    frame_build(&frame, &spec);
    remed_filter_run(filter, &frame.packet, 1, &verdict);
    bool copies = verdict.reason >= REMED_REASON_ALL && verdict.reason <= REMED_REASON_CLOSE;
    CU_ASSERT_EQUAL(verdict.copy, copies);
    CU_ASSERT_EQUAL(verdict.reserved, 0);
    return verdict;
}

static unsigned reason(struct frame_spec spec)
{
    return run(spec).reason;
}

static struct remed_filter_stats stats_of(void)
{
    struct remed_filter_stats stats;
    remed_filter_stats(filter, &stats, sizeof stats);
    return stats;
}

static struct remed_flow_stats flow_stats_of(void)
{
    struct remed_flow_stats stats;
    CU_ASSERT_EQUAL(remed_filter_flow_stats(filter, &stats, sizeof stats), 0);
    return stats;
}

static struct frame_spec udp(unsigned reply, uint64_t time)
{
    return (struct frame_spec){.protocol = 17, .reply = (uint8_t)reply, .port = 53, .time = time};
}

static struct frame_spec tcp(unsigned reply, unsigned flags, uint32_t sequence, uint32_t ack)
{
    return (struct frame_spec){.protocol = 6,
                               .reply = (uint8_t)reply,
                               .tcp_flags = (uint8_t)flags,
                               .port = 80,
                               .sequence = sequence,
                               .ack = ack,
                               .time = SECOND};
}

static void test_first_counts_both_directions(void)
{
    make("any : first 3");
    CU_ASSERT_EQUAL(reason(udp(0, 1)), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(reason(udp(1, 2)), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(reason(udp(0, 3)), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(reason(udp(1, 4)), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(reason(udp(0, 5)), REMED_REASON_NOT_WANTED);
}

static void test_first_each_counts_one_direction(void)
{
    make("any : first 1 each");
    CU_ASSERT_EQUAL(reason(udp(0, 1)), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(reason(udp(0, 2)), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(reason(udp(1, 3)), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(reason(udp(1, 4)), REMED_REASON_NOT_WANTED);
}

static void test_first_bytes_takes_the_packet_across_the_mark(void)
{
    make("any : first 1kB");
    struct frame_spec spec = udp(0, 1);
    spec.wire = 600;
    CU_ASSERT_EQUAL(reason(spec), REMED_REASON_FIRST); /* bytes 0 to 599 */
    CU_ASSERT_EQUAL(reason(spec), REMED_REASON_FIRST); /* bytes 600 to 1199 */
    CU_ASSERT_EQUAL(reason(spec), REMED_REASON_NOT_WANTED);
}

static void test_syn_needs_no_flow_table(void)
{
    make("any : syn");
    CU_ASSERT_PTR_NULL(remed_filter_flows(filter));
    CU_ASSERT_EQUAL(reason(tcp(0, SYN, 1, 0)), REMED_REASON_SYN);
    CU_ASSERT_EQUAL(reason(tcp(1, SYN | ACK, 9, 2)), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(reason(udp(0, 1)), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(run(tcp(0, SYN, 1, 0)).flow, REMED_NO_FLOW);
    CU_ASSERT_EQUAL(stats_of().tracks_flows, 0);
}

static void test_handshake_is_syn_syn_ack_and_the_completing_ack(void)
{
    make("tcp : handshake");
    CU_ASSERT_EQUAL(reason(tcp(0, SYN, 100, 0)), REMED_REASON_SYN);
    CU_ASSERT_EQUAL(reason(tcp(1, SYN | ACK, 900, 101)), REMED_REASON_SYN_ACK);
    CU_ASSERT_EQUAL(reason(tcp(0, ACK, 101, 900)), REMED_REASON_NOT_WANTED); /* not its number */
    CU_ASSERT_EQUAL(reason(tcp(1, ACK, 901, 901)), REMED_REASON_NOT_WANTED); /* not its side */
    CU_ASSERT_EQUAL(reason(tcp(0, ACK, 101, 901)), REMED_REASON_HANDSHAKE_ACK);
    CU_ASSERT_EQUAL(reason(tcp(0, ACK, 101, 901)), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(reason(tcp(1, SYN | ACK, 900, 101)), REMED_REASON_SYN_ACK);
    CU_ASSERT_EQUAL(reason(tcp(0, ACK, 101, 901)), REMED_REASON_NOT_WANTED); /* one only */
    CU_ASSERT_EQUAL(reason(udp(0, 1)), REMED_REASON_NO_RULE);
}

static void test_the_sequence_number_wraps(void)
{
    make("tcp : handshake");
    reason(tcp(0, SYN, 100, 0));
    CU_ASSERT_EQUAL(reason(tcp(1, SYN | ACK, UINT32_MAX, 101)), REMED_REASON_SYN_ACK);
    CU_ASSERT_EQUAL(reason(tcp(0, ACK, 101, 0)), REMED_REASON_HANDSHAKE_ACK);
}

static void test_refresh_is_per_direction(void)
{
    make("any : first 1, refresh 10s");
    CU_ASSERT_EQUAL(reason(udp(0, 1 * SECOND)), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(reason(udp(0, 10 * SECOND)), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(reason(udp(1, 10 * SECOND)), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(reason(udp(0, 11 * SECOND)), REMED_REASON_REFRESH);
    CU_ASSERT_EQUAL(reason(udp(0, 12 * SECOND)), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(reason(udp(1, 12 * SECOND)), REMED_REASON_REFRESH);
    CU_ASSERT_EQUAL(reason(udp(1, 21 * SECOND)), REMED_REASON_NOT_WANTED);
    CU_ASSERT_EQUAL(reason(udp(0, 21 * SECOND)), REMED_REASON_REFRESH);
}

static void test_a_new_flow_on_a_used_tuple_begins_again(void)
{
    make("any : first 1, refresh 10s");
    CU_ASSERT_EQUAL(reason(tcp(0, SYN, 1, 0)), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(reason(tcp(1, REMED_TCP_RST, 1, 0)), REMED_REASON_NOT_WANTED);
    struct remed_verdict verdict = run(tcp(0, SYN, 50, 0));
    CU_ASSERT_EQUAL(verdict.reason, REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(verdict.new_flow, 1);
    CU_ASSERT_EQUAL(flow_stats_of().reopened, 1);
}

static void test_the_first_matching_rule_decides(void)
{
    make("udp and dst port 53 : none\nudp : all\ntcp : syn\n");
    struct remed_verdict query = run(udp(0, 1)), answer = run(udp(1, 1));
    CU_ASSERT_EQUAL(query.rule, 0);
    CU_ASSERT_EQUAL(query.reason, REMED_REASON_NONE);
    CU_ASSERT_EQUAL(answer.rule, 1);
    CU_ASSERT_EQUAL(answer.reason, REMED_REASON_ALL);
    CU_ASSERT_EQUAL(run(tcp(0, SYN, 1, 0)).rule, 2);
    struct remed_rule_stats rule;
    CU_ASSERT_EQUAL(remed_filter_rule_stats(filter, 1, &rule, sizeof rule), 0);
    CU_ASSERT_EQUAL(rule.packets, 1);
    CU_ASSERT_EQUAL(rule.copied_bytes, 54);
    CU_ASSERT_EQUAL(remed_filter_rule_stats(filter, 3, &rule, sizeof rule), REMED_ENOENT);
}

static void test_sides(void)
{
    make("any : first 2, in");
    struct frame_spec inner = udp(0, 1), outer = udp(0, 1);
    inner.side = REMED_SIDE_IN;
    outer.side = REMED_SIDE_OUT;
    CU_ASSERT_EQUAL(reason(inner), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(reason(outer), REMED_REASON_SIDE);
    CU_ASSERT_EQUAL(reason(udp(0, 1)), REMED_REASON_SIDE); /* side not known */
    CU_ASSERT_EQUAL(reason(inner), REMED_REASON_FIRST);    /* the others did not count */
    CU_ASSERT_EQUAL(reason(inner), REMED_REASON_NOT_WANTED);
}

static void test_sample_takes_whole_flows(void)
{
    make("any : sample 1/4");
    unsigned taken = 0;
    for (unsigned client = 0; client < 200; client++) {
        struct frame_spec there = udp(0, 1), back = udp(1, 1);
        there.client = back.client = (uint8_t)client;
        unsigned copied = run(there).copy;
        CU_ASSERT_EQUAL(run(back).copy, copied);
        taken += copied;
    }
    CU_ASSERT(taken > 25 && taken < 80);
}

/* How many of a thousand 100-byte packets of each share are copied in 10 s, when there is room for
 * a quarter of them all: 100 bytes every 10 ms and share, and 7,500 bytes a second. */
static void flood_limit(unsigned copied[3])
{
    memset(copied, 0, 3 * sizeof *copied);
    for (unsigned i = 0; i < 20000; i++) {
        struct frame_spec refreshed = udp(i & 1, SECOND + i * SECOND / 100);
        struct frame_spec answer = tcp(1, SYN | ACK, i * 1000, i + 1), syn = tcp(0, SYN, i, 0);
        syn.time = answer.time = refreshed.time;
        refreshed.wire = answer.wire = syn.wire = 100;
        syn.client = answer.client = 50;
        unsigned rest = run(syn).copy, answered = run(answer).copy, live = run(refreshed).copy;
        if (i < 10000) /* by then the shares are empty */
            continue;
        copied[0] += live;
        copied[1] += answered;
        copied[2] += rest;
    }
}

static void test_limit_has_shares(void)
{
    unsigned copied[3];
    make("udp : none, refresh 1ns\ntcp : handshake\nlimit 60kbit\n");
    for (unsigned i = 0; i < 3; i++)
        run(udp(i & 1, SECOND)); /* talks both ways */
    flood_limit(copied);         /* 100 s: 7,500 packets of 30,000 */
    CU_ASSERT(copied[0] > 3700); /* half, and from the rest */
    CU_ASSERT(copied[1] > 1850); /* a quarter, and from the rest */
    unsigned all = copied[0] + copied[1] + copied[2];
    CU_ASSERT(all > 7450 && all < 7550);
    struct remed_filter_stats stats = stats_of();
    CU_ASSERT_EQUAL(stats.limited_live + stats.limited_answered + stats.limited_rest,
                    remed_filter_reason_packets(filter, REMED_REASON_LIMIT));
    CU_ASSERT(stats.limited_live > 0 && stats.limited_answered > 0 && stats.limited_rest > 0);
}

/* What one share does not need, the others have. */
static void test_limit_shares_are_lent(void)
{
    static const char *const policies[] = {"tcp : none\nudp : all\nlimit 60kbit\n",
                                           "tcp : none\nudp : none, refresh 1ns\nlimit 60kbit\n"};
    for (unsigned i = 0; i < 2; i++) {
        teardown();
        make(policies[i]);
        unsigned copied = 0;
        for (unsigned j = 0; j < 30000; j++) {
            struct frame_spec spec = udp(j & 1, SECOND + j * SECOND / 100);
            spec.wire = 100;
            copied += j >= 20000 ? run(spec).copy : 0 * run(spec).copy;
        }
        CU_ASSERT(copied > 7450 && copied < 7550);
    }
}

/* The verdict on a packet of layers. */
static unsigned see(struct pile *pile, uint64_t time)
{
    struct remed_verdict verdict;
    pile_close(pile);
    const struct remed_packet packet = {.data = pile->bytes,
                                        .captured = pile->length,
                                        .wire = pile->length,
                                        .time = time,
                                        .link_type = REMED_LINK_RAW};
    remed_filter_run(filter, &packet, 1, &verdict);
    return verdict.reason;
}

/* A packet without identification: what it is, what is added, when, and what is said of it. */
struct nameless {
    unsigned version, protocol, flags;
    uint64_t after;
    unsigned reason;
};

static unsigned see_nameless(const struct nameless *kind, unsigned payload, uint64_t time)
{
    struct pile pile = {.length = 0};
    if (kind->version == 4)
        pile_ip4(&pile, kind->protocol, 1, 2, 0, 0x4000);
    else
        pile_ip6(&pile, kind->protocol, 1, 2);
    if (kind->version == 4)
        pile.bytes[4] = pile.bytes[5] = 0;
    if (kind->protocol == 6)
        pile_tcp(&pile, 1000, 80, kind->flags);
    else
        pile_udp(&pile, 1000, 80);
    for (unsigned i = 0; i < payload; i++) /* the end alone may differ, beyond any beginning */
        PILE_ADD(&pile, LOW(i == 200 ? time : 0));
    return see(&pile, time);
}

static void test_what_has_no_identification(void)
{
    static const struct nameless kinds[] = {
        {6, 17, 0, 50000, REMED_REASON_DUPLICATE},   {6, 17, 0, 500000, REMED_REASON_FIRST},
        {4, 17, 0, 500000, REMED_REASON_FIRST},      {6, 6, ACK, 500000, REMED_REASON_FIRST},
        {6, 6, SYN, 500000, REMED_REASON_DUPLICATE}, {6, 132, 0, 500000, REMED_REASON_FIRST},
        {4, 6, ACK, 50000, REMED_REASON_DUPLICATE}};
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        teardown();
        make("any : first 9");
        unsigned payload = kinds[i].protocol == 132 ? 8 : 0;
        CU_ASSERT_EQUAL(see_nameless(&kinds[i], payload, SECOND), REMED_REASON_FIRST);
        CU_ASSERT_EQUAL(see_nameless(&kinds[i], payload, SECOND + kinds[i].after), kinds[i].reason);
    }
    teardown();
    make("any : first 9");
    const struct nameless segment = {6, 6, ACK, 0, 0};
    CU_ASSERT_EQUAL(see_nameless(&segment, 9, SECOND), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(see_nameless(&segment, 9, SECOND + 500000), REMED_REASON_DUPLICATE);
    CU_ASSERT_EQUAL(see_nameless(&segment, 9, SECOND + 9000000), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(see_nameless(&segment, 300, SECOND + 1), REMED_REASON_FIRST);
    CU_ASSERT_EQUAL(see_nameless(&segment, 300, SECOND + 2), REMED_REASON_FIRST);
}

/* Later fragments have no transport header, and no checksum that speaks for them. */
static void test_fragments_are_told_apart(void)
{
    for (unsigned version = 4; version <= 6; version += 2) {
        teardown();
        make("any : first 7");
        for (unsigned i = 0; i < 12; i++) { /* two datagrams of three, each seen twice */
            unsigned part = i / 2 % 3, word = part * 8 | (part < 2);
            struct pile pile = {.length = 0};
            if (version == 4) {
                pile_ip4(&pile, 17, 1, 2, 0, part | (part < 2 ? 0x2000u : 0));
                pile.bytes[5] = LOW(1 + i / 6);
            } else {
                pile_ip6(&pile, 44, 1, 2);
                PILE_ADD(&pile, 17, 0, WORD(word), 0, 0, 0, LOW(1 + i / 6));
            }
            pile_udp(&pile, 0, 0);
            unsigned said = i % 2 == 0 ? REMED_REASON_FIRST : REMED_REASON_DUPLICATE;
            CU_ASSERT_EQUAL(see(&pile, SECOND + i * 1000), said);
        }
    }
}

/* Who only guesses at a flow's tuple neither refreshes it nor puts its refresh off. */
static void test_strangers_put_off_no_refresh(void)
{
    static const uint8_t flags[] = {SYN, REMED_TCP_RST, REMED_TCP_FIN | ACK, SYN | ACK,
                                    SYN | REMED_TCP_RST};
    for (unsigned i = 0; i < sizeof flags; i++) {
        teardown();
        make("tcp : handshake, close, refresh 10s");
        run(tcp(0, SYN, 100, 0));
        run(tcp(1, SYN | ACK, 900, 101));
        run(tcp(0, ACK, 101, 901));
        unsigned refreshed = 0;
        for (unsigned second = 2; second < 62; second++) {
            struct frame_spec spoofed = tcp(0, flags[i], second * 1000000, 0);
            struct frame_spec talk = tcp(0, ACK, 101, 901);
            spoofed.time = second * SECOND, talk.time = second * SECOND + 1;
            CU_ASSERT_NOT_EQUAL(run(spoofed).reason, REMED_REASON_REFRESH);
            refreshed += run(talk).reason == REMED_REASON_REFRESH;
        }
        CU_ASSERT(refreshed == 6 || refreshed == 5);
    }
}

/* Nor who closes it, and opens another in its place that nobody completes. */
static void test_a_spoofed_opening_puts_off_no_refresh(void)
{
    make("tcp : handshake, close, refresh 10s");
    run(tcp(0, SYN, 100, 0));
    run(tcp(1, SYN | ACK, 900, 101));
    run(tcp(0, ACK, 101, 901));
    unsigned refreshed[2] = {0, 0};
    for (unsigned i = 4; i < 120; i++) {
        static const uint8_t spoofed[] = {REMED_TCP_RST, SYN, SYN | ACK};
        for (unsigned j = 0; i % 4 == 0 && j < 3; j++) {
            struct frame_spec spec = tcp(j == 2, spoofed[j], i * 1000000, i * 1000000 + 1);
            spec.time = i * SECOND / 2 + j;
            run(spec);
        }
        struct frame_spec talk = tcp(i & 1, ACK, 101, 101);
        talk.time = i * SECOND / 2 + 9;
        refreshed[i & 1] += run(talk).reason == REMED_REASON_REFRESH;
    }
    CU_ASSERT(refreshed[0] >= 5);
    CU_ASSERT(refreshed[1] >= 5);
}

static void test_an_error_report_refreshes_nothing(void)
{
    make("any : first 1, refresh 10s");
    for (unsigned second = 1; second <= 40; second++) {
        struct pile talk = {.length = 0}, report = talk;
        pile_ip4(&talk, 17, 1, 2, 0, 0);
        pile_udp(&talk, 1000, 80);
        pile_ip4(&report, 1, 9, 9, 0, 0);
        PILE_ADD(&report, 11, 0, 0, 0, 0, 0, 0, 0);
        pile_add(&report, talk.bytes, talk.length);
        unsigned reported = second > 1 ? see(&report, second * SECOND) : REMED_REASON_NOT_WANTED;
        CU_ASSERT_EQUAL(reported, REMED_REASON_NOT_WANTED);
        unsigned wanted = second % 10 == 1 ? REMED_REASON_REFRESH : REMED_REASON_NOT_WANTED;
        wanted = second == 1 ? REMED_REASON_FIRST : wanted;
        CU_ASSERT_EQUAL(see(&talk, second * SECOND + 1), wanted);
    }
}

/* Of what is sent in the name of a live flow's side, one end takes from the share of the live. */
static void test_ends_in_the_name_of_others_take_no_share(void)
{
    for (unsigned i = 0; i < 2; i++) {
        teardown();
        make("tcp : handshake, close\nlimit 60kbit\n");
        run(tcp(0, SYN, 100, 0));
        run(tcp(1, SYN | ACK, 900, 101));
        for (unsigned j = 0; j < 20000; j++) {
            unsigned end = i == 0 ? REMED_TCP_RST : REMED_TCP_FIN | ACK;
            struct frame_spec spec = tcp(0, end, j, 7);
            run(spec); /* and whose side it was talks on */
            run(tcp(0, ACK, 101, 901));
            run(tcp(1, ACK, 901, 101));
        }
        struct remed_filter_stats stats = stats_of();
        CU_ASSERT(stats.limited_rest > 10000);
        CU_ASSERT_EQUAL(stats.limited_live, 0);
        struct frame_spec syn = tcp(0, SYN, 1, 0), answer = tcp(1, SYN | ACK, 5, 2);
        struct frame_spec last = tcp(0, ACK, 2, 6);
        syn.client = answer.client = last.client = 9;
        run(syn), run(answer);
        CU_ASSERT_EQUAL(run(last).reason, REMED_REASON_HANDSHAKE_ACK);
    }
}

static void test_unclassified_packets(void)
{
    make("any : first 5");
    uint8_t arp[42] = {0};
    arp[12] = 8;
    arp[13] = 6;
    struct remed_packet packet = {.data = arp, .captured = 42, .wire = 42, .link_type = 1};
    struct remed_verdict verdict;
    remed_filter_run(filter, &packet, 1, &verdict);
    CU_ASSERT_EQUAL(verdict.reason, REMED_REASON_UNCLASSIFIED);
    CU_ASSERT_EQUAL(verdict.unclassified, REMED_UNCLASSIFIED_NOT_IP);
    CU_ASSERT_EQUAL(remed_filter_unclassified_packets(filter, REMED_UNCLASSIFIED_NOT_IP), 1);
    teardown();
    make("any : all");
    remed_filter_run(filter, &packet, 1, &verdict);
    CU_ASSERT_EQUAL(verdict.reason, REMED_REASON_ALL);
}

/* However packets are cut into batches, the verdicts are the same. */
static void test_batches_do_not_matter(void)
{
    enum { COUNT = 200 };
    static struct frame frames[COUNT];
    struct remed_packet packets[COUNT];
    struct remed_verdict whole[COUNT], single;
    for (unsigned i = 0; i < COUNT; i++) {
        struct frame_spec spec = udp(i & 1, i);
        spec.client = (uint8_t)(i * 7 % 23);
        frame_build(&frames[i], &spec);
        packets[i] = frames[i].packet;
    }
    make("any : first 4");
    remed_filter_run(filter, packets, COUNT, whole);
    teardown();
    make("any : first 4");
    for (unsigned i = 0; i < COUNT; i++) {
        remed_filter_run(filter, &packets[i], 1, &single);
        CU_ASSERT_EQUAL(memcmp(&single, &whole[i], sizeof single), 0);
    }
    struct remed_filter_stats stats = stats_of();
    CU_ASSERT_EQUAL(stats.packets, COUNT);
    CU_ASSERT_EQUAL(flow_stats_of().live, 23);
    CU_ASSERT_EQUAL(stats.copied_packets, 23 * 4);
}

static int no_entropy(void *context, void *bytes, size_t length)
{
    (void)context, (void)bytes, (void)length;
    return -1;
}

static void test_without_entropy_there_is_no_filter(void)
{
    static const char text[] = "any : first 1";
    const struct remed_entropy entropy = {NULL, no_entropy};
    struct remed_policy *policy = NULL;
    struct remed_filter_opts opts;
    struct remed_error error;
    remed_filter_opts_init(&opts, sizeof opts);
    opts.entropy = &entropy;
    CU_ASSERT_EQUAL_FATAL(remed_policy_parse(&policy, NULL, text, sizeof text - 1, &error), 0);
    CU_ASSERT_EQUAL(remed_filter_new(&filter, policy, &opts, &error), REMED_EIO);
    opts.seed[1] = 1; /* a secret of the host's own needs none */
    CU_ASSERT_EQUAL(remed_filter_new(&filter, policy, &opts, &error), 0);
    CU_ASSERT_EQUAL(remed_filter_reason_packets(filter, REMED_REASON_COUNT), 0);
    CU_ASSERT_EQUAL(remed_filter_unclassified_packets(filter, REMED_UNCLASSIFIED_COUNT), 0);
    remed_policy_free(policy);
}

static const struct test_case cases[] = {
    {"first counts both directions", test_first_counts_both_directions},
    {"first each counts one direction", test_first_each_counts_one_direction},
    {"first bytes takes the packet across the mark",
     test_first_bytes_takes_the_packet_across_the_mark},
    {"syn needs no flow table", test_syn_needs_no_flow_table},
    {"handshake", test_handshake_is_syn_syn_ack_and_the_completing_ack},
    {"the sequence number wraps", test_the_sequence_number_wraps},
    {"refresh is per direction", test_refresh_is_per_direction},
    {"a new flow on a used tuple begins again", test_a_new_flow_on_a_used_tuple_begins_again},
    {"the first matching rule decides", test_the_first_matching_rule_decides},
    {"sides", test_sides},
    {"sample takes whole flows", test_sample_takes_whole_flows},
    {"limit has shares", test_limit_has_shares},
    {"limit shares are lent", test_limit_shares_are_lent},
    {"what has no identification", test_what_has_no_identification},
    {"fragments are told apart", test_fragments_are_told_apart},
    {"strangers put off no refresh", test_strangers_put_off_no_refresh},
    {"a spoofed opening puts off no refresh", test_a_spoofed_opening_puts_off_no_refresh},
    {"an error report refreshes nothing", test_an_error_report_refreshes_nothing},
    {"ends in the name of others take no share", test_ends_in_the_name_of_others_take_no_share},
    {"unclassified packets", test_unclassified_packets},
    {"without entropy there is no filter", test_without_entropy_there_is_no_filter},
    {"batches do not matter", test_batches_do_not_matter},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"filter", cases, NULL, teardown},
                                         {NULL, NULL, NULL, NULL}};
