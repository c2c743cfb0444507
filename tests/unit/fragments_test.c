/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Later fragments find the flow of the first, for a while, from a table of fixed size.
 */
#include "unit/layers.h"
#include "unit/test.h"

#define SECOND 1000000000ull

static struct remed_fragments *fragments;

static void make(uint32_t capacity)
{
    struct remed_fragments_opts opts;
    remed_fragments_opts_init(&opts, sizeof opts);
    opts.capacity = capacity;
    opts.seed = 42;
    CU_ASSERT_EQUAL_FATAL(remed_fragments_new(&fragments, &opts, NULL), 0);
}

static void teardown(void)
{
    remed_fragments_free(fragments);
    fragments = NULL;
}

static struct remed_fragments_stats stats_of(void)
{
    struct remed_fragments_stats stats;
    remed_fragments_stats(fragments, &stats, sizeof stats);
    return stats;
}

/* A fragment of datagram `id` from 10.0.0.`from`; `later` ones have no ports. */
static struct remed_headers fragment(unsigned version, unsigned id, unsigned from, bool later,
                                     uint64_t time)
{
    struct pile pile = {.length = 0};
    struct remed_headers headers;
    if (version == 4) {
        pile_ip4(&pile, 17, from, 2, 0, later ? 0x2000 | 185 : 0x2000);
        pile.bytes[4] = HIGH(id);
        pile.bytes[5] = LOW(id);
    } else {
        pile_ip6(&pile, 44, from, 2);
        PILE_ADD(&pile, 17, 0, WORD(later ? 1480 | 1 : 1), 0, 0, WORD(id));
    }
    pile_udp(&pile, 5000, 53);
    pile_close(&pile);
    const struct remed_packet packet = {.data = pile.bytes,
                                        .captured = pile.length,
                                        .wire = pile.length,
                                        .time = time,
                                        .link_type = REMED_LINK_RAW};
    remed_packet_parse(&packet, REMED_SCOPE_OUTER, &headers);
    remed_fragments_track(fragments, &headers, time);
    return headers;
}

static void found(void)
{
    make(16);
    for (unsigned version = 4; version <= 6; version += 2) {
        struct remed_headers orphan = fragment(version, 7, 1, true, 0);
        CU_ASSERT_EQUAL(orphan.unclassified, REMED_UNCLASSIFIED_FRAGMENT);
        struct remed_headers first = fragment(version, 7, 1, false, 0);
        struct remed_headers later = fragment(version, 7, 1, true, SECOND);
        CU_ASSERT_EQUAL(first.unclassified, 0);
        CU_ASSERT_EQUAL(later.unclassified, 0);
        CU_ASSERT_EQUAL(memcmp(&first.key, &later.key, sizeof first.key), 0);
        CU_ASSERT_EQUAL(first.direction, later.direction);
        /* Another id, another sender: not the same datagram. */
        CU_ASSERT_NOT_EQUAL(fragment(version, 8, 1, true, SECOND).unclassified, 0);
        CU_ASSERT_NOT_EQUAL(fragment(version, 7, 9, true, SECOND).unclassified, 0);
    }
    struct remed_fragments_stats stats = stats_of();
    CU_ASSERT_EQUAL(stats.first, 2);
    CU_ASSERT_EQUAL(stats.matched, 2);
    CU_ASSERT_EQUAL(stats.orphans, 6);
    CU_ASSERT_EQUAL(stats.evicted, 0);
}

static void forgotten(void)
{
    make(16);
    fragment(4, 7, 1, false, 100 * SECOND);
    CU_ASSERT_EQUAL(fragment(4, 7, 1, true, 130 * SECOND).unclassified, 0);
    CU_ASSERT_NOT_EQUAL(fragment(4, 7, 1, true, 130 * SECOND + 1).unclassified, 0);
    /* A clock that goes back forgets nothing. */
    CU_ASSERT_EQUAL(fragment(4, 7, 1, true, 1).unclassified, 0);
    /* The same id again, from a new datagram, starts the time anew. */
    fragment(4, 7, 1, false, 200 * SECOND);
    CU_ASSERT_EQUAL(fragment(4, 7, 1, true, 230 * SECOND).unclassified, 0);
    CU_ASSERT_EQUAL(stats_of().evicted, 0);
}

static void full(void)
{
    make(16);
    for (unsigned id = 0; id < 1000; id++)
        fragment(4, id, 1, false, id);
    CU_ASSERT_EQUAL(stats_of().first, 1000);
    CU_ASSERT_EQUAL(stats_of().evicted, 1000 - 16);
    unsigned kept = 0;
    for (unsigned id = 0; id < 1000; id++)
        kept += fragment(4, id, 1, true, 1000).unclassified == 0;
    CU_ASSERT_EQUAL(kept, 16);
    CU_ASSERT_EQUAL(fragment(4, 999, 1, true, 1000).unclassified, 0); /* the newest */
}

static void others(void)
{
    make(1);
    struct pile pile = {.length = 0};
    struct remed_headers headers;
    pile_ip4(&pile, 17, 1, 2, 0, 0);
    pile_udp(&pile, 1, 2);
    pile_close(&pile);
    const struct remed_packet packet = {
        .data = pile.bytes, .captured = pile.length, .link_type = REMED_LINK_RAW};
    remed_packet_parse(&packet, REMED_SCOPE_OUTER, &headers);
    struct remed_headers before = headers;
    CU_ASSERT_EQUAL(remed_fragments_track(fragments, &headers, 0), 0);
    CU_ASSERT_EQUAL(memcmp(&before, &headers, sizeof before), 0);
    CU_ASSERT_EQUAL(stats_of().first, 0);
}

static void options(void)
{
    struct remed_fragments_opts opts;
    struct remed_error error = {0};
    remed_fragments_opts_init(&opts, sizeof opts);
    CU_ASSERT_EQUAL(opts.capacity, 4096);
    opts.capacity = 0;
    CU_ASSERT_EQUAL(remed_fragments_new(&fragments, &opts, &error), REMED_EINVAL);
    opts.capacity = (1u << 20) + 1;
    CU_ASSERT_EQUAL(remed_fragments_new(&fragments, &opts, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NULL(fragments);
    remed_fragments_free(NULL);
}

static const struct test_case cases[] = {
    {"later fragments find their first", found},
    {"datagrams are forgotten after their time", forgotten},
    {"a full table forgets the oldest, and counts", full},
    {"what is no fragment is left alone", others},
    {"options are checked", options},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"fragments", cases, NULL, teardown},
                                         {NULL, NULL, NULL, NULL}};
