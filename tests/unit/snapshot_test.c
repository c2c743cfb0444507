/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Snapshots of replicas: the same table again, marks and position included; whatever is cut or
 * flipped in the file is refused whole. And partitions, which a snapshot keeps.
 */
#include "unit/bindings.h"

#include <remediate/repository.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct remed_replica *replica, *other;
static struct remed_record *record;
static struct remed_error error;
static char path[64];
static unsigned released;

static void on_change(void *context, enum remed_applied what, const struct remed_record *changed)
{
    (void)context;
    (void)changed;
    released += what == REMED_APPLIED_RELEASED;
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
    snprintf(path, sizeof path, "/tmp/remediate-snapshot-%ld", (long)getpid());
    released = 0;
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&record, NULL), 0);
    replica = make(100000);
    other = make(100000);
}

static void teardown(void)
{
    unlink(path);
    remed_record_free(record);
    remed_replica_free(replica);
    remed_replica_free(other);
    replica = other = NULL;
    record = NULL;
}

static int apply(struct remed_replica *to, uint32_t number, unsigned op, uint64_t sequence,
                 uint32_t partition)
{
    uint8_t wire[256], key[REMED_KEY_MAX];
    struct remed_message message = {.key = key, .value = wire, .partition = partition};
    make_binding(record, number, (uint16_t)(number + 1), op, 1, sequence, 0);
    message.key_length = remed_record_key(record, key, sizeof key);
    CU_ASSERT_EQUAL(remed_record_encode(record, wire, sizeof wire, &message.value_length), 0);
    return remed_replica_apply_message(to, &message, 100, &error);
}

static struct remed_replica_stats stats_of(const struct remed_replica *of)
{
    struct remed_replica_stats stats;
    remed_replica_stats(of, &stats, sizeof stats);
    return stats;
}

static int load(struct remed_replica *to, char *position, size_t size)
{
    return remed_replica_load(to, path, position, size, 100, &error);
}

static void there_and_back(void)
{
    char position[64];
    struct remed_audit audit;
    for (uint32_t i = 0; i < 20000; i++)
        CU_ASSERT_EQUAL(apply(replica, i, REMED_OP_UPSERT, 1, i % 3), REMED_APPLIED_NEW);
    for (uint32_t i = 0; i < 20000; i += 10)
        CU_ASSERT_EQUAL(apply(replica, i, REMED_OP_REMOVE, 2, i % 3), REMED_APPLIED_REMOVED);
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "0:7,1:9,2:11", &error), 0);
    CU_ASSERT_EQUAL(load(other, position, sizeof position), 0);
    CU_ASSERT_STRING_EQUAL(position, "0:7,1:9,2:11");
    CU_ASSERT_EQUAL(remed_replica_audit(replica, other, NULL, NULL, &audit, sizeof audit), 0);
    CU_ASSERT_EQUAL(audit.equal, 18000);
    CU_ASSERT_EQUAL(stats_of(other).marks, 2000);
    CU_ASSERT_EQUAL(apply(other, 0, REMED_OP_UPSERT, 1, 0), REMED_APPLIED_STALE); /* the mark */
    CU_ASSERT_EQUAL(apply(other, 0, REMED_OP_UPSERT, 3, 0), REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(load(other, position, sizeof position), 0); /* once more: nothing changes */
    CU_ASSERT_EQUAL(stats_of(other).entries, 18001);
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "", &error), 0); /* over the old one */
    CU_ASSERT_EQUAL(load(other, position, sizeof position), 0);
    CU_ASSERT_STRING_EQUAL(position, "");
    CU_ASSERT_EQUAL(load(other, position, 1), 0);
}

/* Into a replica that is not empty: the newer wins, be it an entry or a removal. */
static void over_another(void)
{
    char position[8];
    for (uint32_t i = 0; i < 10; i++) {
        apply(other, i, REMED_OP_UPSERT, i < 5 ? 1 : 3, 0);
        apply(replica, i, REMED_OP_UPSERT, 1, 0);
        apply(replica, i, REMED_OP_REMOVE, 2, 0);
    }
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "", &error), 0);
    CU_ASSERT_EQUAL(load(other, position, sizeof position), 0);
    CU_ASSERT_EQUAL(stats_of(other).entries, 5);
    CU_ASSERT_EQUAL(stats_of(other).marks, 5);
    CU_ASSERT_EQUAL(apply(other, 0, REMED_OP_UPSERT, 2, 0), REMED_APPLIED_STALE);
}

static void partitions(void)
{
    char position[8];
    for (uint32_t i = 0; i < 900; i++)
        apply(replica, i, REMED_OP_UPSERT, 1, i % 3);
    apply(replica, 1, REMED_OP_REMOVE, 2, 1);
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "", &error), 0);
    CU_ASSERT_EQUAL(remed_replica_release(replica, 1), 299);
    CU_ASSERT_EQUAL(released, 299);
    CU_ASSERT_EQUAL(stats_of(replica).entries, 600);
    CU_ASSERT_EQUAL(stats_of(replica).marks, 0);
    CU_ASSERT_EQUAL(remed_replica_release(replica, 1), 0);
    CU_ASSERT_EQUAL(load(other, position, sizeof position), 0); /* partitions came along */
    CU_ASSERT_EQUAL(remed_replica_release(other, 1), 299);
    CU_ASSERT_EQUAL(stats_of(other).entries, 600);
    CU_ASSERT_EQUAL(stats_of(other).marks, 0);
}

static off_t size_of_file(void)
{
    struct stat status;
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    return status.st_size;
}

/* Cut at each byte, a bit of each byte flipped: never taken, and nothing of it applied. */
static void damage(void)
{
    char position[8];
    uint8_t byte;
    for (uint32_t i = 0; i < 3; i++)
        apply(replica, i, REMED_OP_UPSERT, 1, 0);
    apply(replica, 0, REMED_OP_REMOVE, 2, 0);
    CU_ASSERT_EQUAL_FATAL(remed_replica_save(replica, path, "12", &error), 0);
    off_t size = size_of_file();
    int file = open(path, O_RDWR);
    CU_ASSERT_FATAL(file >= 0);
    for (off_t at = 0; at < size; at++) {
        CU_ASSERT_EQUAL(pread(file, &byte, 1, at), 1);
        uint8_t flipped = byte ^ (uint8_t)(1 << at % 8);
        CU_ASSERT_EQUAL(pwrite(file, &flipped, 1, at), 1);
        bool reserved = at >= 12 && at < 16;
        CU_ASSERT_EQUAL(load(other, position, sizeof position) == 0, reserved);
        CU_ASSERT_EQUAL(pwrite(file, &byte, 1, at), 1);
        if (reserved)
            continue;
        CU_ASSERT_EQUAL(strncmp(error.message, "snapshot: ", 10), 0);
    }
    remed_replica_free(other);
    other = make(1000);
    for (off_t length = size - 1; length >= 0; length--) {
        CU_ASSERT_EQUAL(ftruncate(file, length), 0);
        CU_ASSERT(load(other, position, sizeof position) < 0);
    }
    CU_ASSERT_EQUAL(stats_of(other).entries + stats_of(other).marks, 0);
    close(file);
}

static void refusals(void)
{
    char position[4];
    CU_ASSERT_EQUAL(load(other, position, sizeof position), REMED_ENOENT);
    CU_ASSERT_EQUAL(remed_replica_save(replica, "/nonexistent/folder/x", "", &error), REMED_ENOENT);
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "12345", &error), 0);
    CU_ASSERT_EQUAL(load(other, position, sizeof position), REMED_EINVAL); /* no room for it */
    for (uint32_t i = 0; i < 100; i++)
        apply(replica, i, REMED_OP_UPSERT, 1, 0);
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "1", &error), 0);
    remed_replica_free(other);
    other = make(16);
    CU_ASSERT_EQUAL(load(other, position, sizeof position), REMED_ELIMIT);
    CU_ASSERT_EQUAL(stats_of(other).entries, 16);
    CU_ASSERT_EQUAL(stats_of(other).refused, 84);
}

/* A disk that is full keeps the older snapshot; /dev/full stands for it. */
static void full_disk(void)
{
    char beside[80], position[8];
    apply(replica, 1, REMED_OP_UPSERT, 1, 0);
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "1", &error), 0);
    snprintf(beside, sizeof beside, "%s.tmp", path);
    CU_ASSERT_EQUAL_FATAL(symlink("/dev/full", beside), 0);
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "2", &error), REMED_EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "space"));
    CU_ASSERT_EQUAL(load(other, position, sizeof position), 0);
    CU_ASSERT_STRING_EQUAL(position, "1");
}

static const struct test_case cases[] = {
    {"there and back", there_and_back},
    {"partitions are released", partitions},
    {"over another replica", over_another},
    {"what is damaged is refused whole", damage},
    {"refusals", refusals},
    {"a full disk keeps the older one", full_disk},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"snapshot", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
