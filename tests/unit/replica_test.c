/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The replica: order-proof and idempotent, fenced, bounded; the digest that follows it; the audit
 * that finds exactly what differs.
 */
#include "unit/bindings.h"

#include <remediate/repository.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct remed_replica *replica, *other;
static struct remed_record *record;
static struct remed_error error;
static unsigned changes[8];

static void on_change(void *context, enum remed_applied what, const struct remed_record *changed)
{
    struct remed_record_head head;
    (void)context;
    remed_record_head(changed, &head, sizeof head);
    CU_ASSERT_EQUAL(head.kind, REMED_KIND_NAT_BINDING);
    changes[what]++;
}

static struct remed_replica *make(uint32_t max_entries)
{
    struct remed_replica *made = NULL;
    struct remed_replica_opts opts;
    remed_replica_opts_init(&opts, sizeof opts);
    opts.max_entries = max_entries;
    opts.change = on_change;
    CU_ASSERT_EQUAL_FATAL(remed_replica_new(&made, &opts, &error), 0);
    return made;
}

static void setup(void)
{
    memset(changes, 0, sizeof changes);
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&record, NULL), 0);
    replica = make(200000);
    other = make(200000);
}

static void teardown(void)
{
    remed_record_free(record);
    remed_replica_free(replica);
    remed_replica_free(other);
    replica = other = NULL;
    record = NULL;
}

static const struct remed_record *make_record(uint32_t number, uint16_t outside, unsigned op,
                                              uint64_t epoch, uint64_t sequence, uint64_t expires)
{
    return make_binding(record, number, outside, op, epoch, sequence, expires);
}

static int apply(struct remed_replica *to, uint32_t number, uint16_t outside, unsigned op,
                 uint64_t epoch, uint64_t sequence)
{
    return remed_replica_apply_record(to, make_record(number, outside, op, epoch, sequence, 0), 100,
                                      &error);
}

static int outside_of(struct remed_replica *of, uint32_t number)
{
    uint8_t key[REMED_KEY_MAX];
    struct remed_nat_binding body;
    size_t length = remed_record_key(make_record(number, 0, 0, 0, 0, 0), key, sizeof key);
    if (remed_replica_get(of, key, length, record) < 0)
        return -1;
    CU_ASSERT_EQUAL(remed_record_body(record, REMED_KIND_NAT_BINDING, &body, sizeof body), 0);
    return body.outside.port;
}

static struct remed_replica_stats stats_of(const struct remed_replica *of)
{
    struct remed_replica_stats stats;
    remed_replica_stats(of, &stats, sizeof stats);
    return stats;
}

static void order(void)
{
    CU_ASSERT_EQUAL(apply(replica, 1, 10, REMED_OP_UPSERT, 1, 5), REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(apply(replica, 1, 10, REMED_OP_UPSERT, 1, 5), REMED_APPLIED_STALE);
    CU_ASSERT_EQUAL(apply(replica, 1, 11, REMED_OP_UPSERT, 1, 4), REMED_APPLIED_STALE);
    CU_ASSERT_EQUAL(outside_of(replica, 1), 10);
    CU_ASSERT_EQUAL(apply(replica, 1, 12, REMED_OP_UPSERT, 2, 1), REMED_APPLIED_CHANGED);
    CU_ASSERT_EQUAL(apply(replica, 1, 13, REMED_OP_UPSERT, 1, 99), REMED_APPLIED_STALE);
    CU_ASSERT_EQUAL(outside_of(replica, 1), 12);
    CU_ASSERT_EQUAL(apply(replica, 1, 0, REMED_OP_REMOVE, 2, 2), REMED_APPLIED_REMOVED);
    CU_ASSERT_EQUAL(outside_of(replica, 1), -1);
    CU_ASSERT_EQUAL(apply(replica, 1, 12, REMED_OP_UPSERT, 2, 1), REMED_APPLIED_STALE);
    CU_ASSERT_EQUAL(outside_of(replica, 1), -1); /* a late one does not bring it back */
    CU_ASSERT_EQUAL(apply(replica, 1, 14, REMED_OP_UPSERT, 2, 3), REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(outside_of(replica, 1), 14);
    CU_ASSERT_EQUAL(changes[REMED_APPLIED_NEW], 2);
    CU_ASSERT_EQUAL(changes[REMED_APPLIED_CHANGED], 1);
    CU_ASSERT_EQUAL(changes[REMED_APPLIED_REMOVED], 1);
    struct remed_replica_stats stats = stats_of(replica);
    CU_ASSERT_EQUAL(stats.entries, 1);
    CU_ASSERT_EQUAL(stats.marks, 0);
    CU_ASSERT_EQUAL(stats.stale, 4);
}

static void fence(void)
{
    remed_replica_fence(replica, 3);
    CU_ASSERT_EQUAL(apply(replica, 1, 10, REMED_OP_UPSERT, 2, 5), REMED_APPLIED_FENCED);
    CU_ASSERT_EQUAL(apply(replica, 1, 10, REMED_OP_UPSERT, 3, 1), REMED_APPLIED_NEW);
    remed_replica_fence(replica, 1);
    CU_ASSERT_EQUAL(apply(replica, 2, 10, REMED_OP_UPSERT, 2, 5), REMED_APPLIED_FENCED);
    CU_ASSERT_EQUAL(stats_of(replica).fenced, 2);
}

static void expiry(void)
{
    CU_ASSERT_EQUAL(remed_replica_apply_record(replica, make_record(1, 1, 0, 1, 1, 100), 100, NULL),
                    REMED_APPLIED_EXPIRED);
    CU_ASSERT_EQUAL(remed_replica_apply_record(replica, make_record(1, 1, 0, 1, 2, 200), 100, NULL),
                    REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(remed_replica_expire(replica, 199, SIZE_MAX), 0);
    CU_ASSERT_EQUAL(remed_replica_expire(replica, 200, SIZE_MAX), 1);
    CU_ASSERT_EQUAL(changes[REMED_APPLIED_EXPIRED], 1);
    CU_ASSERT_EQUAL(outside_of(replica, 1), -1);
    CU_ASSERT_EQUAL(stats_of(replica).entries, 0);
    CU_ASSERT_EQUAL(stats_of(replica).expired, 2);
}

static void damage(void)
{
    uint8_t wire[256], key[REMED_KEY_MAX];
    size_t length, key_length;
    make_record(1, 1, 0, 1, 1, 0);
    remed_record_encode(record, wire, sizeof wire, &length);
    key_length = remed_record_key(record, key, sizeof key);
    CU_ASSERT_EQUAL(remed_replica_apply(replica, key, key_length - 1, wire, length, 0, &error),
                    REMED_EFORMAT);
    CU_ASSERT_EQUAL(remed_replica_apply(replica, key, key_length, wire, length - 1, 0, &error),
                    REMED_ETRUNCATED);
    CU_ASSERT_EQUAL(stats_of(replica).damaged, 2);
    CU_ASSERT_EQUAL(remed_replica_apply(replica, key, key_length, wire, length, 0, &error),
                    REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(remed_replica_apply(replica, key, key_length, NULL, 0, 0, &error),
                    REMED_APPLIED_REMOVED);
    CU_ASSERT_EQUAL(stats_of(replica).entries + stats_of(replica).marks, 0);
}

static void full(void)
{
    struct remed_replica *small = make(16);
    for (uint32_t i = 0; i < 16; i++)
        CU_ASSERT_EQUAL(apply(small, i, 1, REMED_OP_UPSERT, 1, 1), REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(apply(small, 99, 1, REMED_OP_UPSERT, 1, 1), REMED_ELIMIT);
    CU_ASSERT_EQUAL(stats_of(small).refused, 1);
    CU_ASSERT_EQUAL(apply(small, 5, 2, REMED_OP_UPSERT, 1, 2), REMED_APPLIED_CHANGED);
    CU_ASSERT_EQUAL(apply(small, 6, 0, REMED_OP_REMOVE, 1, 2), REMED_APPLIED_REMOVED);
    CU_ASSERT_EQUAL(stats_of(small).marks, 1);
    CU_ASSERT_EQUAL(apply(small, 99, 1, REMED_OP_UPSERT, 1, 1), REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(stats_of(small).marks, 0); /* the mark gave way */
    CU_ASSERT_EQUAL(stats_of(small).forgotten, 1);
    CU_ASSERT_EQUAL(stats_of(small).entries, 16);
    remed_replica_free(small);
}

static uint32_t state = 1;

static uint32_t draw(uint32_t below)
{
    state = state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(state >> 4) * below >> 28);
}

static int audit(struct remed_audit *found)
{
    return remed_replica_audit(replica, other, NULL, NULL, found, sizeof *found);
}

/* 50,000 operations on 5,000 keys, to the one in order, to the other shuffled and each twice. */
static void shuffled(void)
{
    enum { OPERATIONS = 50000 };
    static struct operation {
        uint32_t number;
        uint16_t outside;
        uint8_t op;
    } operations[OPERATIONS];
    static uint32_t where[2 * OPERATIONS];
    struct remed_audit found;
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        operations[i] = (struct operation){draw(5000), (uint16_t)draw(65536), draw(4) == 0};
        where[2 * i] = where[2 * i + 1] = i;
    }
    for (uint32_t i = 2 * OPERATIONS - 1; i > 0; i--) {
        uint32_t j = draw(i + 1), swapped = where[i];
        where[i] = where[j];
        where[j] = swapped;
    }
    for (uint32_t i = 0; i < OPERATIONS; i++)
        apply(replica, operations[i].number, operations[i].outside, operations[i].op, 1, i + 1);
    for (uint32_t i = 0; i < 2 * OPERATIONS; i++) {
        const struct operation *operation = &operations[where[i]];
        apply(other, operation->number, operation->outside, operation->op, 1, where[i] + 1);
    }
    CU_ASSERT_EQUAL(audit(&found), 0);
    CU_ASSERT_EQUAL(found.leaves, 0);
    CU_ASSERT(found.entries[0] > 3000);
    CU_ASSERT_EQUAL(found.equal, found.entries[0]);
    CU_ASSERT_EQUAL(found.entries[0], found.entries[1]);
}

struct found {
    unsigned count[4], fields;
};

static void on_difference(void *context, enum remed_difference what, const struct remed_record *a,
                          const struct remed_record *b, const char *fields)
{
    struct found *found = context;
    found->count[what]++;
    CU_ASSERT_EQUAL(a == NULL, what == REMED_DIFFERENCE_EXTRA);
    CU_ASSERT_EQUAL(b == NULL, what == REMED_DIFFERENCE_MISSING);
    found->fields += strcmp(fields, "outside") == 0;
}

/* k differences in a table of 100,000: exactly those k, each with its cause. */
static void divergence(void)
{
    static uint8_t touched[100000];
    struct found wanted = {{0}, 0}, got = {{0}, 0};
    struct remed_audit found;
    memset(touched, 0, sizeof touched);
    for (uint32_t i = 0; i < 100000; i++) {
        apply(replica, i, 7, REMED_OP_UPSERT, 1, 10);
        apply(other, i, 7, REMED_OP_UPSERT, 1, 10);
    }
    CU_ASSERT_EQUAL(audit(&found), 0);
    CU_ASSERT_EQUAL(found.equal, 100000);
    for (unsigned k = 0; k < 500; k++) {
        uint32_t number = draw(100000), what = draw(4);
        if (touched[number])
            continue;
        touched[number] = 1;
        wanted.count[what]++;
        wanted.fields += what >= 2;
        if (what == REMED_DIFFERENCE_MISSING)
            apply(other, number, 0, REMED_OP_REMOVE, 1, 11);
        else if (what == REMED_DIFFERENCE_EXTRA)
            apply(other, 150000 + number, 7, REMED_OP_UPSERT, 1, 10);
        else if (what == REMED_DIFFERENCE_STALE)
            apply(replica, number, 8, REMED_OP_UPSERT, 1, 11);
        else
            apply(other, number, 8, REMED_OP_UPSERT, 2, 1);
    }
    CU_ASSERT_EQUAL(remed_replica_audit(replica, other, on_difference, &got, &found, sizeof found),
                    1);
    CU_ASSERT_EQUAL(memcmp(&wanted, &got, sizeof got), 0);
    for (unsigned i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(found.differences[i], wanted.count[i]);
    CU_ASSERT(found.leaves > 0 && found.leaves <= 500);
}

static void walking(void)
{
    uint64_t cursor = 0, met = 0;
    for (uint32_t i = 0; i < 1000; i++)
        apply(replica, i, 7, REMED_OP_UPSERT, 1, 10);
    apply(replica, 3, 0, REMED_OP_REMOVE, 1, 11);
    while (remed_replica_next(replica, &cursor, record) == 1)
        met++;
    CU_ASSERT_EQUAL(met, 999);
    CU_ASSERT_EQUAL(remed_replica_next(replica, &cursor, record), 0);
}

static unsigned failing_at, calls;
static size_t held;

static void *failing_resize(void *context, void *memory, size_t old_size, size_t new_size)
{
    (void)context;
    if (new_size != 0 && calls++ >= failing_at)
        return NULL;
    held += new_size - old_size;
    if (new_size != 0)
        return realloc(memory, new_size);
    free(memory);
    return NULL;
}

static void allocations(void)
{
    const struct remed_allocator allocator = {NULL, failing_resize};
    struct remed_replica_opts opts;
    bool done = false;
    remed_replica_opts_init(&opts, sizeof opts);
    opts.max_entries = 16;
    opts.allocator = &allocator;
    for (failing_at = 0; !done && failing_at < 20; failing_at++) {
        struct remed_replica *fragile = NULL;
        calls = 0;
        held = 0;
        int rc = remed_replica_new(&fragile, &opts, &error);
        if (rc == 0)
            rc = apply(fragile, 1, 1, REMED_OP_UPSERT, 1, 1);
        CU_ASSERT(rc == REMED_APPLIED_NEW || rc == REMED_ENOMEM || rc == REMED_ELIMIT);
        done = rc == REMED_APPLIED_NEW;
        remed_replica_free(fragile);
        CU_ASSERT_EQUAL(held, 0);
    }
    CU_ASSERT(done && failing_at > 3);
}

static const struct test_case cases[] = {
    {"the newer wins, a late one changes nothing", order},
    {"the fence", fence},
    {"expiry", expiry},
    {"damage is refused and counted", damage},
    {"a full table refuses, marks give way", full},
    {"shuffled and repeated, the same table", shuffled},
    {"an audit finds exactly what differs", divergence},
    {"walking", walking},
    {"every allocation failed in turn", allocations},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"replica", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
