/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Room in a replica: whatever came and went before, in whatever sizes, a record is taken exactly
 * when the bytes of the entries that live leave room for its own. Sizes and orders are chosen to
 * leave holes everywhere. And what it costs: bytes moved for each byte taken.
 */
#include "repository/replica.h"
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 60000u
#define MIB ((size_t)1 << 20)

static struct remed_replica *replica;
static struct remed_record *record;
static struct remed_error error;
static uint64_t sequence;
static uint32_t state;
static size_t memory, calls;

/* What must be in the table: block bytes of each key's entry; 0 without one. */
static uint32_t sizes[KEYS];
static uint64_t live, entries, taken_bytes;

static void *counting_resize(void *context, void *old, size_t old_size, size_t new_size)
{
    (void)context;
    calls += new_size != 0;
    memory += new_size - old_size;
    if (new_size != 0)
        return realloc(old, new_size);
    free(old);
    return NULL;
}

static void make(size_t max_bytes)
{
    static const struct remed_allocator allocator = {NULL, counting_resize};
    struct remed_replica_opts opts;
    remed_replica_opts_init(&opts, sizeof opts);
    opts.max_entries = 1u << 16;
    opts.max_bytes = max_bytes;
    opts.allocator = &allocator;
    CU_ASSERT_EQUAL_FATAL(remed_replica_new(&replica, &opts, &error), 0);
    memset(sizes, 0, sizeof sizes);
    live = entries = taken_bytes = 0;
}

static void setup(void)
{
    state = 7;
    sequence = 0;
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&record, NULL), 0);
}

static void teardown(void)
{
    remed_record_free(record);
    remed_replica_free(replica);
    replica = NULL;
    record = NULL;
    CU_ASSERT_EQUAL(memory, 0);
}

static uint32_t draw(uint32_t below)
{
    state = state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(state >> 4) * below >> 28);
}

/* Makes a record of a key with so many bytes of data, and tells what its entry will take. */
static uint32_t fill(uint32_t number, size_t data, unsigned op)
{
    static const uint8_t bytes[REMED_BLOB_MAX];
    uint8_t name[] = {'k', (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    struct remed_record_head head;
    struct remed_opaque body = {
        .key = name, .key_length = sizeof name, .data = bytes, .data_length = (uint32_t)data};
    size_t length;
    remed_record_head_init(&head, sizeof head);
    head.domain = "d";
    head.op = op;
    head.sequence = ++sequence;
    if (remed_record_set_head(record, &head, &error) < 0 ||
        remed_record_set_body(record, REMED_KIND_OPAQUE, &body, sizeof body, &error) < 0)
        CU_FAIL_FATAL("no record");
    remed_record_encode(record, NULL, 0, &length);
    return (uint32_t)remed_arena_round(offsetof(struct remed_entry, bytes) +
                                       remed_record_key(record, NULL, 0) + length);
}

/* Puts a record, and compares what happens with what must. */
static int put(uint32_t number, size_t data)
{
    uint32_t size = fill(number, data, REMED_OP_UPSERT), had = sizes[number];
    bool fits = live - had + size <= replica->arena.limit &&
                entries + (had == 0) <= replica->opts.max_entries;
    int rc = remed_replica_apply_record(replica, record, 1, &error);
    int wanted = !fits ? REMED_ELIMIT : had != 0 ? REMED_APPLIED_CHANGED : REMED_APPLIED_NEW;
    if (rc != wanted)
        fprintf(stderr, "key %u of %u bytes: %d, not %d\n", number, size, rc, wanted);
    CU_ASSERT_EQUAL_FATAL(rc, wanted);
    if (!fits)
        return rc;
    live = live - had + size;
    entries += had == 0;
    sizes[number] = size;
    taken_bytes += size;
    return rc;
}

static void take_away(uint32_t number)
{
    fill(number, 0, REMED_OP_REMOVE);
    CU_ASSERT_EQUAL(remed_replica_apply_record(replica, record, 1, &error), REMED_APPLIED_REMOVED);
    live -= sizes[number];
    entries -= sizes[number] != 0;
    sizes[number] = 0;
}

/* From key `from` on until one finds no room; the next key. */
static uint32_t put_until_full(uint32_t from, size_t data)
{
    while (from < KEYS && put(from, data) > 0)
        from++;
    return from;
}

/* Every entry is found by its key, what stats say is what lives, and the arena's own books are
 * right. */
static void check(void)
{
    struct remed_replica_stats stats;
    uint64_t cursor = 0, met = 0, in_chunks = 0;
    remed_replica_stats(replica, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.entries, entries);
    for (uint32_t i = 0; i < KEYS; i++) {
        uint8_t key[] = {
            'd', 0, REMED_KIND_OPAQUE, 'k', (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        int rc = remed_replica_get(replica, key, sizeof key, record);
        if ((rc == 0) != (sizes[i] != 0))
            CU_FAIL_FATAL("an entry is lost, or one is too many");
    }
    while (remed_replica_next(replica, &cursor, record) == 1)
        met++;
    CU_ASSERT_EQUAL(met, entries);
    for (uint32_t i = 0; i < replica->arena.count; i++)
        in_chunks += replica->arena.chunks[i].live;
    CU_ASSERT_EQUAL(in_chunks, replica->arena.live);
    CU_ASSERT(replica->arena.count <= replica->arena.most);
    for (const struct remed_entry *mark = replica->oldest; mark != NULL; mark = mark->as.mark.newer)
        stats.marks--;
    CU_ASSERT_EQUAL(stats.marks, 0);
}

/* What is moved is bounded by what is taken: the stated amortised cost. */
static void check_cost(void)
{
    CU_ASSERT(replica->arena.moved <= 7 * taken_bytes);
}

/* Full of one size, then all but one entry in each piece goes, then full of another: all the room
 * is used each time. */
static void holes_of(size_t first, size_t second, uint32_t piece)
{
    make(3 * MIB);
    CU_ASSERT_EQUAL(replica->arena.limit, 2 * MIB / 8 * 7);
    uint32_t end = put_until_full(0, first);
    CU_ASSERT(live + sizes[0] > replica->arena.limit || end == KEYS);
    for (uint32_t i = 0; i < end; i++)
        if (i % piece != 0)
            take_away(i);
    uint32_t next = put_until_full(end, second);
    CU_ASSERT(next > end);
    check();
    CU_ASSERT(next == KEYS || replica->stats.marks == 0);
    for (uint32_t i = 0; i < next; i++) /* and back, by the other end of each piece */
        if (sizes[i] != 0 && i % piece != piece - 1)
            take_away(i);
    put_until_full(0, first);
    check();
    check_cost();
    remed_replica_free(replica);
    replica = NULL;
}

static void fragments(void)
{
    static const size_t data[] = {0, 40, 1000, REMED_BLOB_MAX};
    enum { COUNT = sizeof data / sizeof *data };
    for (unsigned a = 0; a < COUNT; a++)
        for (unsigned b = 0; b < COUNT; b++)
            if (a != b) {
                holes_of(data[a], data[b], 2);
                holes_of(data[a], data[b], (uint32_t)(MIB / (data[a] + 100)) + 1);
            }
}

/* The least that is allowed, with records of the greatest size among it. */
static void smallest(void)
{
    make(2 * MIB);
    for (unsigned round = 0; round < 20; round++) {
        uint32_t end = put_until_full(0, round % 2 == 0 ? REMED_BLOB_MAX : 3);
        CU_ASSERT(end > 40);
        for (uint32_t i = 0; i < end; i++)
            if (i % 7 != round % 7 && sizes[i] != 0)
                take_away(i);
        check();
    }
    check_cost();
}

/* Anything, for long: entries come, go, grow and shrink; and when the table has been full once, no
 * memory is taken any more. */
static void churn(void)
{
    make(4 * MIB);
    size_t steady = 0, most = 0;
    uint32_t scale = 100;
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t number = draw(KEYS);
        if (i % 20000 == 0)
            scale = 1u << draw(14);
        if (draw(3) == 0 && sizes[number] != 0)
            take_away(number);
        else
            put(number, draw(scale));
        most = memory > most ? memory : most;
        steady = i == 100000 ? calls : steady;
    }
    CU_ASSERT_EQUAL(replica->arena.count, replica->arena.most); /* it was full */
    CU_ASSERT_EQUAL(calls, steady);
    CU_ASSERT(most < 4 * MIB + (1u << 16) * sizeof(void *) + MIB / 2);
    check();
    check_cost();
}

/* Kinds change over the whole table, as in a network that goes from IPv4 to IPv6; removals' marks
 * are all that is left in between. */
static void generations(void)
{
    make(4 * MIB);
    for (unsigned round = 0; round < 12; round++) {
        uint32_t end = put_until_full(0, round * 37 % 500);
        for (uint32_t i = 0; i < end; i++)
            take_away(i);
        CU_ASSERT_EQUAL(entries, 0);
        CU_ASSERT(replica->stats.marks > 0);
    }
    check();
    check_cost();
}

/* A table that lives far below its bound takes no more than twice of what it holds, however much
 * passes through it. */
static void small_in_large(void)
{
    make(256 * MIB);
    for (unsigned i = 0; i < 100000; i++)
        put(i % 5000, 60 + draw(400)); /* in the place of the old one, or not */
    CU_ASSERT(replica->arena.count <= 2 * live / MIB + 3);
    check();
    CU_ASSERT(replica->arena.moved <= taken_bytes + MIB);
}

static const struct test_case cases[] = {
    {"holes of one size, filled with another", fragments},
    {"the smallest table, the greatest records", smallest},
    {"churn", churn},
    {"generations of kinds", generations},
    {"a small table in a large bound", small_in_large},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"room in a replica", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
