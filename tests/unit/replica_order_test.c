/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Order-proof: the same records in any order, any number of times, with expiry at any time in
 * between, end in the same table; a mark is left by whatever ended, however it came.
 */
#include "unit/bindings.h"

#include <remediate/repository.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEYS 40u
#define RECORDS 400u

static struct remed_replica *replica;
static struct remed_record *record;
static struct remed_error error;
static uint32_t state;

static void setup(void)
{
    state = 11;
    replica = NULL;
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&record, NULL), 0);
}

static void teardown(void)
{
    remed_record_free(record);
    remed_replica_free(replica);
    record = NULL;
    replica = NULL;
}

static struct remed_replica *make(void)
{
    struct remed_replica *made = NULL;
    struct remed_replica_opts opts;
    remed_replica_opts_init(&opts, sizeof opts);
    opts.max_entries = 64;
    CU_ASSERT_EQUAL_FATAL(remed_replica_new(&made, &opts, &error), 0);
    return made;
}

static uint32_t draw(uint32_t below)
{
    state = state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(state >> 4) * below >> 28);
}

static struct planned {
    uint32_t key;
    uint16_t outside;
    unsigned op;
    uint64_t epoch, sequence, expires;
} planned[RECORDS];

/* Versions are drawn, and none twice, so that which is the newest has nothing to do with the order
 * here. */
static void plan(void)
{
    for (uint32_t i = 0; i < RECORDS; i++)
        planned[i] = (struct planned){.key = draw(KEYS),
                                      .outside = (uint16_t)draw(65536),
                                      .op = draw(5) == 0 ? REMED_OP_REMOVE : REMED_OP_UPSERT,
                                      .epoch = draw(3),
                                      .sequence = (uint64_t)draw(1000) << 16 | i,
                                      .expires = draw(2) == 0 ? 0 : 1 + draw(1000)};
}

static int apply(const struct planned *of, uint64_t now)
{
    make_binding(record, of->key, of->outside, of->op, of->epoch, of->sequence, of->expires);
    return remed_replica_apply_record(replica, record, now, &error);
}

static int outside_of(uint32_t number)
{
    uint8_t key[REMED_KEY_MAX];
    struct remed_nat_binding body;
    size_t length = remed_record_key(make_binding(record, number, 0, 0, 0, 0, 0), key, sizeof key);
    if (remed_replica_get(replica, key, length, record) < 0)
        return -1;
    CU_ASSERT_EQUAL(remed_record_body(record, REMED_KIND_NAT_BINDING, &body, sizeof body), 0);
    return body.outside.port;
}

/* What a key must end with at a time: by the newest of its records alone. */
static int wanted_of(uint32_t key, uint64_t now)
{
    const struct planned *newest = NULL;
    for (uint32_t i = 0; i < RECORDS; i++)
        if (planned[i].key == key &&
            (newest == NULL || planned[i].epoch > newest->epoch ||
             (planned[i].epoch == newest->epoch && planned[i].sequence > newest->sequence)))
            newest = &planned[i];
    if (newest == NULL || newest->op == REMED_OP_REMOVE ||
        (newest->expires != 0 && newest->expires <= now))
        return -1;
    return newest->outside;
}

/* All records, shuffled, some again, while time goes on, or back as well, and sweeps come when they
 * come. */
static void run(bool steps_back)
{
    enum { END = 700 };
    static uint32_t order[3 * RECORDS];
    for (uint32_t i = 0; i < 3 * RECORDS; i++)
        order[i] = i < RECORDS ? i : draw(RECORDS);
    for (uint32_t i = 3 * RECORDS - 1; i > 0; i--) {
        uint32_t j = draw(i + 1), swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
    replica = make();
    for (uint32_t i = 0; i < 3 * RECORDS; i++) {
        uint64_t now = steps_back ? draw(END) : (uint64_t)i * END / (3 * RECORDS);
        CU_ASSERT(apply(&planned[order[i]], now) >= 0);
        if (draw(4) == 0)
            remed_replica_expire(replica, now, draw(200));
    }
    remed_replica_expire(replica, END, SIZE_MAX);
    for (uint32_t key = 0; key < KEYS; key++)
        CU_ASSERT_EQUAL(outside_of(key), wanted_of(key, END));
    for (uint32_t i = 0; i < RECORDS; i++) /* and each of them is late now */
        CU_ASSERT_EQUAL(apply(&planned[i], END), REMED_APPLIED_STALE);
    struct remed_replica_stats stats;
    remed_replica_stats(replica, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.forgotten, 0);
    remed_replica_free(replica);
    replica = NULL;
}

static void any_order(void)
{
    for (unsigned round = 0; round < 200; round++) {
        plan();
        run(false);
        run(true);
    }
}

/* In each way that an entry can end by time, an older one that comes later is late. */
static void late_after_expiry(void)
{
    const struct planned newer = {
        .key = 1, .outside = 7, .epoch = 1, .sequence = 10, .expires = 200};
    const struct planned older = {.key = 1, .outside = 8, .epoch = 1, .sequence = 9};
    replica = make();
    CU_ASSERT_EQUAL(apply(&newer, 100), REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(remed_replica_expire(replica, 300, SIZE_MAX), 1);
    CU_ASSERT_EQUAL(apply(&older, 300), REMED_APPLIED_STALE);
    remed_replica_free(replica);
    replica = make();
    CU_ASSERT_EQUAL(apply(&newer, 300), REMED_APPLIED_EXPIRED); /* it came too late itself */
    CU_ASSERT_EQUAL(apply(&older, 300), REMED_APPLIED_STALE);
    CU_ASSERT_EQUAL(apply(&newer, 300), REMED_APPLIED_STALE);
    remed_replica_free(replica);
    replica = make();
    CU_ASSERT_EQUAL(apply(&older, 300), REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(apply(&newer, 300), REMED_APPLIED_REMOVED);
    CU_ASSERT_EQUAL(outside_of(1), -1);
    CU_ASSERT_EQUAL(apply(&older, 300), REMED_APPLIED_STALE);
}

/* The mark of what expired goes into a snapshot, and comes back out of it. */
static void late_after_a_snapshot(void)
{
    char path[64], position[8];
    const struct planned newer = {
        .key = 1, .outside = 7, .epoch = 1, .sequence = 10, .expires = 200};
    const struct planned over = {
        .key = 2, .outside = 7, .epoch = 1, .sequence = 10, .expires = 250};
    snprintf(path, sizeof path, "/tmp/remediate-order-%ld", (long)getpid());
    replica = make();
    apply(&newer, 100);
    apply(&over, 100);
    remed_replica_expire(replica, 220, SIZE_MAX);
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "", &error), 0);
    remed_replica_free(replica);
    replica = make();
    CU_ASSERT_EQUAL(remed_replica_load(replica, path, position, sizeof position, 300, &error), 0);
    unlink(path);
    for (uint32_t key = 1; key <= 2; key++) {
        const struct planned older = {.key = key, .outside = 8, .epoch = 1, .sequence = 9};
        CU_ASSERT_EQUAL(apply(&older, 300), REMED_APPLIED_STALE);
    }
}

/* A table full of marks takes entries all the same, at one mark each; the oldest go. */
static void marks_give_way(void)
{
    struct remed_replica_stats stats;
    replica = make();
    for (uint32_t i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(apply(&(struct planned){.key = i, .epoch = 1, .expires = 5}, 10),
                        REMED_APPLIED_EXPIRED);
    remed_replica_stats(replica, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.marks, 64);
    CU_ASSERT_EQUAL(stats.forgotten, 1000 - 64);
    CU_ASSERT_EQUAL(apply(&(struct planned){.key = 999, .expires = 0}, 10), REMED_APPLIED_STALE);
    CU_ASSERT_EQUAL(apply(&(struct planned){.key = 1, .expires = 0}, 10), REMED_APPLIED_NEW);
}

/* Numbers end far below the top, wherever they come in, so that a key always has a newer version.
 */
static void numbers(void)
{
    static const uint64_t most = REMED_NUMBER_MAX;
    struct remed_record_head head;
    uint8_t wire[256];
    size_t length;
    replica = make();
    make_binding(record, 1, 1, REMED_OP_UPSERT, most, most, 0);
    remed_record_head(record, &head, sizeof head);
    CU_ASSERT_EQUAL(remed_record_encode(record, wire, sizeof wire, &length), 0);
    CU_ASSERT_EQUAL(remed_replica_apply(replica, NULL, 0, wire, length, 1, &error),
                    REMED_APPLIED_NEW);
    head.epoch = most + 1;
    CU_ASSERT_EQUAL(remed_record_set_head(record, &head, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "epoch"));
    head.epoch = most;
    head.sequence = UINT64_MAX;
    CU_ASSERT_EQUAL(remed_record_set_head(record, &head, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "sequence"));
    head.sequence = most;
    head.reserved = 1;
    CU_ASSERT_EQUAL(remed_record_set_head(record, &head, &error), REMED_EINVAL);
    unsigned seen = 0; /* both numbers on the wire: cf, 40, seven zeros */
    for (size_t i = 0; i + 9 <= length; i++) {
        if (wire[i] != 0xcf || wire[i + 1] != 0x40)
            continue;
        seen++;
        wire[i + 8] = 1;
        CU_ASSERT_EQUAL(remed_replica_apply(replica, NULL, 0, wire, length, 1, &error),
                        REMED_EFORMAT);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "2^62"));
        wire[i + 1] = 0xff;
        CU_ASSERT_EQUAL(remed_replica_apply(replica, NULL, 0, wire, length, 1, &error),
                        REMED_EFORMAT);
        wire[i + 1] = 0x40;
        wire[i + 8] = 0;
    }
    CU_ASSERT_EQUAL(seen, 2);
    CU_ASSERT_EQUAL(remed_replica_fence(replica, most + 1), REMED_EINVAL);
    CU_ASSERT_EQUAL(remed_replica_fence(replica, UINT64_MAX), REMED_EINVAL);
    CU_ASSERT_EQUAL(apply(&(struct planned){.key = 2}, 1), REMED_APPLIED_NEW); /* no fence */
    CU_ASSERT_EQUAL(remed_replica_fence(replica, most), 0);
    CU_ASSERT_EQUAL(apply(&(struct planned){.key = 3, .epoch = most}, 1), REMED_APPLIED_NEW);
}

static void reserved_members(void)
{
    struct remed_replica_opts opts;
    remed_replica_opts_init(&opts, sizeof opts);
    opts.reserved = 1;
    CU_ASSERT_EQUAL(remed_replica_new(&replica, &opts, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NULL(replica);
    make_binding(record, 1, 1, REMED_OP_UPSERT, 1, 1, 0);
    const struct remed_endpoint here = {.address = {10, 0, 0, 1}, .ip_version = 4};
    struct remed_nat_binding binding = {.inside = here, .outside = here};
    struct remed_lb_assignment assignment = {.client = here, .service = here, .backend = here};
    struct remed_session session = {.client = here, .server = here};
    uint8_t *const nat[] = {&binding.reserved[0], &binding.reserved[2], &binding.inside.reserved,
                            &binding.remote.reserved};
    for (size_t i = 0; i < sizeof nat / sizeof *nat; i++) {
        *nat[i] = 1;
        CU_ASSERT_EQUAL(
            remed_record_set_body(record, REMED_KIND_NAT_BINDING, &binding, sizeof binding, &error),
            REMED_EINVAL);
        *nat[i] = 0;
    }
    assignment.reserved[1] = 1;
    CU_ASSERT_EQUAL(remed_record_set_body(record, REMED_KIND_LB_ASSIGNMENT, &assignment,
                                          sizeof assignment, &error),
                    REMED_EINVAL);
    uint8_t *const of_session[] = {&session.reserved[0], &session.reserved[5],
                                   &session.window[0].reserved[0], &session.window[1].reserved[1]};
    for (size_t i = 0; i < sizeof of_session / sizeof *of_session; i++) {
        *of_session[i] = 1;
        CU_ASSERT_EQUAL(
            remed_record_set_body(record, REMED_KIND_SESSION, &session, sizeof session, &error),
            REMED_EINVAL);
        *of_session[i] = 0;
    }
    CU_ASSERT_EQUAL(
        remed_record_set_body(record, REMED_KIND_SESSION, &session, sizeof session, &error), 0);
}

static const struct test_case cases[] = {
    {"any order, any repeats, any expiry", any_order},
    {"what expired leaves a mark", late_after_expiry},
    {"marks of what expired in snapshots", late_after_a_snapshot},
    {"marks give way", marks_give_way},
    {"numbers have a bound", numbers},
    {"reserved members", reserved_members},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"order in a replica", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
