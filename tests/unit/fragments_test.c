/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Later fragments find the flow of the first, for a while, from a table of fixed size.
 */
#include "base/hash.h"
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

/* A clock that steps or jumps, for one packet or for good, loses no datagram that is under way. */
static void clock_steps(void)
{
    const uint64_t hour = 3600 * SECOND;
    make(16);
    fragment(4, 1, 1, false, 10 * hour);
    CU_ASSERT_NOT_EQUAL(fragment(4, 1, 1, true, 99 * hour).unclassified, 0); /* one odd stamp */
    CU_ASSERT_EQUAL(fragment(4, 1, 1, true, 10 * hour + SECOND).unclassified, 0);
    /* Back for good: what comes in afterwards stands as long as ever. */
    for (unsigned id = 100; id < 116; id++)
        fragment(4, id, 1, false, 10 * hour);
    for (unsigned id = 200; id < 300; id++) {
        fragment(4, id, 1, false, 9 * hour + id);
        CU_ASSERT_EQUAL(fragment(4, id, 1, true, 9 * hour + id).unclassified, 0);
        if (id >= 204) /* four places a bucket, whatever the old times say */
            CU_ASSERT_EQUAL(fragment(4, id - 3, 1, true, 9 * hour + id).unclassified, 0);
    }
    /* And what was stamped later than now ages from now on. */
    teardown();
    make(16);
    fragment(4, 1, 1, false, 10 * hour);
    CU_ASSERT_EQUAL(fragment(4, 1, 1, true, 9 * hour).unclassified, 0);
    CU_ASSERT_EQUAL(fragment(4, 1, 1, true, 9 * hour + 30 * SECOND).unclassified, 0);
    CU_ASSERT_NOT_EQUAL(fragment(4, 1, 1, true, 9 * hour + 31 * SECOND).unclassified, 0);
}

static unsigned kept_of(const unsigned *ids, unsigned count)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < count; i++)
        fragment(4, ids[i], 1, false, 1);
    for (unsigned i = 0; i < count; i++)
        kept += fragment(4, ids[i], 1, true, 1).unclassified == 0;
    return kept;
}

/* The bucket of fragment(4, id, 1, …), for one who knows the seed. */
static uint64_t bucket_of(unsigned id, uint64_t seed, uint64_t buckets)
{
    static const uint8_t source[16] = {10, 0, 0, 1}, destination[16] = {192, 0, 2, 2};
    const uint64_t words[2] = {seed, ~seed};
    uint64_t secret[2];
    remed_hash_secret(secret, words);
    uint64_t hash = remed_hash_words(remed_load64(source), remed_load64(source + 8), secret);
    hash ^= remed_hash_words(remed_load64(destination) ^ REMED_HASH_C0,
                             remed_load64(destination + 8), secret);
    hash = remed_hash_finish(remed_hash_words(hash, (uint64_t)id << 16 | 17, secret));
    return hash & (buckets - 1);
}

static void make_seeded(uint64_t seed)
{
    struct remed_fragments_opts opts;
    remed_fragments_opts_init(&opts, sizeof opts);
    opts.seed = seed;
    opts.capacity = 1024;
    CU_ASSERT_EQUAL_FATAL(remed_fragments_new(&fragments, &opts, NULL), 0);
}

/* Ids that fill one bucket for a known seed are spread when the secret is drawn: a seed of 0. */
static void attacked(void)
{
    unsigned ids[64], count = 0;
    for (unsigned id = 1; id < 65536 && count < 64; id++)
        if (bucket_of(id, 7, 256) == 0)
            ids[count++] = id;
    CU_ASSERT_EQUAL_FATAL(count, 64);
    make_seeded(7);
    CU_ASSERT_EQUAL(kept_of(ids, count), 4);
    for (unsigned i = 0; i < 8; i++) {
        teardown();
        make_seeded(0);
        CU_ASSERT(kept_of(ids, count) > 48);
    }
}

static int fill_none(void *context, void *bytes, size_t length)
{
    (void)bytes;
    *(size_t *)context += length;
    return -1;
}

static void entropy(void)
{
    struct remed_fragments_opts opts;
    struct remed_error error = {0};
    size_t asked = 0;
    const struct remed_entropy none = {&asked, fill_none};
    remed_fragments_opts_init(&opts, sizeof opts);
    opts.entropy = &none;
    CU_ASSERT_EQUAL(remed_fragments_new(&fragments, &opts, &error), REMED_EIO);
    CU_ASSERT_EQUAL(asked, 16);
    CU_ASSERT_PTR_NULL(fragments);
    opts.seed = 1;
    CU_ASSERT_EQUAL(remed_fragments_new(&fragments, &opts, &error), 0);
    CU_ASSERT_EQUAL(asked, 16);
}

/* The tunnel's datagram is in fragments; only the first has the headers of the packet inside. */
static struct remed_headers tunnel_fragment(unsigned word, bool inner_fragment,
                                            enum remed_scope scope)
{
    struct pile pile = {.length = 0};
    struct remed_headers headers;
    pile_ethernet(&pile, 0x800);
    pile_ip4(&pile, 47, 8, 9, 0, word);
    if ((word & 0x1fff) == 0) {
        pile_gre(&pile, 0x2000, 0x800);
        pile_ip4(&pile, 17, 1, 2, 0, inner_fragment ? 0x2000 : 0);
        pile.bytes[pile.length - 16] = 0x77; /* its own identification */
        pile_udp(&pile, 5000, 53);
    } else {
        PILE_ADD(&pile, 1, 2, 3, 4, 5, 6, 7, 8);
    }
    pile_close(&pile);
    const struct remed_packet packet = {.data = pile.bytes,
                                        .captured = pile.length,
                                        .wire = pile.length,
                                        .time = SECOND,
                                        .link_type = REMED_LINK_ETHERNET};
    remed_packet_parse(&packet, scope, &headers);
    remed_fragments_track_packet(fragments, &packet, &headers);
    return headers;
}

static struct remed_headers in_tunnel(bool later)
{
    struct pile pile = {.length = 0};
    struct remed_headers headers;
    pile_ethernet(&pile, 0x800);
    pile_ip4(&pile, 47, 8, 9, 0, 0);
    pile_gre(&pile, 0, 0x800);
    pile_ip4(&pile, 17, 1, 2, 0, later ? 185 : 0x2000);
    pile_udp(&pile, 5000, 53);
    pile_close(&pile);
    const struct remed_packet packet = {.data = pile.bytes,
                                        .captured = pile.length,
                                        .wire = pile.length,
                                        .time = SECOND,
                                        .link_type = REMED_LINK_ETHERNET};
    remed_packet_parse(&packet, REMED_SCOPE_INNER, &headers);
    remed_fragments_track_packet(fragments, &packet, &headers);
    return headers;
}

static void tunnels(void)
{
    make(16);
    CU_ASSERT_NOT_EQUAL(in_tunnel(true).unclassified, 0);
    struct remed_headers first = in_tunnel(false), later = in_tunnel(true);
    CU_ASSERT_EQUAL(later.unclassified, 0);
    CU_ASSERT_EQUAL(later.flags & REMED_HEADERS_TUNNEL, REMED_HEADERS_TUNNEL);
    CU_ASSERT_EQUAL(memcmp(&first.key, &later.key, sizeof first.key), 0);
    for (unsigned both = 0; both < 2; both++) {
        teardown();
        make(16);
        CU_ASSERT_NOT_EQUAL(tunnel_fragment(185, false, REMED_SCOPE_INNER).unclassified, 0);
        first = tunnel_fragment(0x2000, both, REMED_SCOPE_INNER);
        later = tunnel_fragment(185, false, REMED_SCOPE_INNER);
        CU_ASSERT_EQUAL(first.unclassified, 0);
        CU_ASSERT_EQUAL(first.key.protocol, 17);
        CU_ASSERT_EQUAL(later.unclassified, 0);
        CU_ASSERT_EQUAL(later.flags & REMED_HEADERS_TUNNEL, REMED_HEADERS_TUNNEL);
        CU_ASSERT_EQUAL(memcmp(&first.key, &later.key, sizeof first.key), 0);
        CU_ASSERT_EQUAL(first.direction, later.direction);
        CU_ASSERT_EQUAL(stats_of().first, 1 + both);
    }
    /* By the outer scope, all belong to the tunnel's own flow. */
    teardown();
    make(16);
    first = tunnel_fragment(0x2000, false, REMED_SCOPE_OUTER);
    later = tunnel_fragment(185, false, REMED_SCOPE_OUTER);
    CU_ASSERT_EQUAL(first.key.protocol, 47);
    CU_ASSERT_EQUAL(later.unclassified, 0);
    CU_ASSERT_EQUAL(memcmp(&first.key, &later.key, sizeof first.key), 0);
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
    opts.capacity = 1;
    opts.reserved = 1;
    CU_ASSERT_EQUAL(remed_fragments_new(&fragments, &opts, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NULL(fragments);
    remed_fragments_free(NULL);
}

static const struct test_case cases[] = {
    {"later fragments find their first", found},
    {"datagrams are forgotten after their time", forgotten},
    {"a full table forgets the oldest, and counts", full},
    {"clocks that step lose nothing", clock_steps},
    {"chosen ids do not collide", attacked},
    {"a seed of 0 is drawn, or there is no table", entropy},
    {"fragments in tunnels, and tunnels in fragments", tunnels},
    {"what is no fragment is left alone", others},
    {"options are checked", options},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"fragments", cases, NULL, teardown},
                                         {NULL, NULL, NULL, NULL}};
