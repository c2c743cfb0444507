/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Snapshots of replicas: the same table again, marks and position included; whatever is cut or
 * flipped in the file is refused whole. And partitions, which a snapshot keeps.
 */
#include "unit/bindings.h"

#include "repository/segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <remediate/repository.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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
        CU_ASSERT(load(other, position, sizeof position) < 0);
        CU_ASSERT_EQUAL(pwrite(file, &byte, 1, at), 1);
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

/* Files in the folder whose names begin with the snapshot's. */
static unsigned files_beside(void)
{
    unsigned count = 0;
    const char *name = strrchr(path, '/') + 1;
    DIR *folder = opendir("/tmp");
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
        count += strncmp(entry->d_name, name, strlen(name)) == 0;
    closedir(folder);
    return count;
}

/* A disk that is full keeps the older snapshot, and what was begun is gone. */
static void full_disk(void)
{
    char position[8];
    struct rlimit before, small;
    apply(replica, 1, REMED_OP_UPSERT, 1, 0);
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "1", &error), 0);
    for (uint32_t i = 2; i < 2000; i++)
        apply(replica, i, REMED_OP_UPSERT, 1, 0);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    small = (struct rlimit){10000, before.rlim_max};
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = remed_replica_save(replica, path, "2", &error);
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    CU_ASSERT_EQUAL(rc, REMED_EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "File too large"));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, path));
    CU_ASSERT_EQUAL(files_beside(), 1);
    CU_ASSERT_EQUAL(load(other, position, sizeof position), 0);
    CU_ASSERT_STRING_EQUAL(position, "1");
}

static unsigned mode_of(const char *file)
{
    struct stat status;
    return stat(file, &status) == 0 ? status.st_mode & 07777 : 0;
}

/* 0600 whatever the umask, when written and when read; and what lies beside is not ours. */
static void private_files(void)
{
    static const mode_t masks[] = {0, 022, 0277, 0777};
    char beside[128], link[128], position[8];
    snprintf(beside, sizeof beside, "%s.tmp", path);
    snprintf(link, sizeof link, "%s.tmp-%ld-0", path, (long)getpid());
    int file = open(beside, O_WRONLY | O_CREAT | O_EXCL, 0644);
    CU_ASSERT_EQUAL(write(file, "thesis", 6), 6);
    close(file);
    CU_ASSERT_EQUAL(symlink(beside, link), 0); /* not followed either */
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        mode_t before = umask(masks[i]);
        CU_ASSERT_EQUAL(remed_replica_save(replica, path, "1", &error), 0);
        umask(before);
        CU_ASSERT_EQUAL(mode_of(path), 0600);
        CU_ASSERT_EQUAL(chmod(path, 0664), 0);
        CU_ASSERT_EQUAL(load(other, position, sizeof position), 0);
        CU_ASSERT_EQUAL(mode_of(path), 0600);
    }
    struct stat status;
    CU_ASSERT(stat(beside, &status) == 0 && status.st_size == 6);
    CU_ASSERT(lstat(link, &status) == 0 && S_ISLNK(status.st_mode));
    CU_ASSERT_EQUAL(files_beside(), 3);
    unlink(beside);
    unlink(link);
    CU_ASSERT_EQUAL(load(other, position, sizeof position), 0);
    CU_ASSERT_EQUAL(remed_replica_load(other, "/tmp", position, sizeof position, 1, &error),
                    REMED_EPERM);
}

/* A snapshot with records that this test makes up, each with a right checksum. */
static void forge(const struct remed_message *records, size_t count)
{
    static uint8_t bytes[1u << 17];
    struct remed_crc crc;
    size_t length = 24;
    remed_crc_init(&crc);
    memset(bytes, 0, 24);
    memcpy(bytes, "REMEDSNP\1", 9);
    bytes[16] = (uint8_t)(count + 1);
    struct remed_message position = {
        .key = (const uint8_t *)"position", .key_length = 8, .value_length = 0};
    length += remed_segment_write(&crc, bytes + length, &position);
    for (size_t i = 0; i < count; i++) {
        struct remed_message message = records[i];
        message.offset = i + 1;
        length += remed_segment_write(&crc, bytes + length, &message);
    }
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CU_ASSERT_EQUAL(write(file, bytes, length), (ssize_t)length);
    close(file);
}

static void is_refused(const struct remed_message *bad, int code)
{
    static uint8_t good[256], key[REMED_KEY_MAX];
    char position[8];
    struct remed_message records[2] = {{.key = key, .value = good}, *bad};
    make_binding(record, 5, 6, REMED_OP_UPSERT, 1, 1, 0);
    records[0].key_length = remed_record_key(record, key, sizeof key);
    remed_record_encode(record, good + 5, sizeof good - 5, &records[0].value_length);
    records[0].value_length += 5;
    forge(records, 1);
    CU_ASSERT_EQUAL(load(other, position, sizeof position), 0); /* the first alone is right */
    struct remed_replica_stats before = stats_of(other);
    apply(other, 5, REMED_OP_REMOVE, 2, 0); /* by which it could be seen */
    forge(records, 2);
    CU_ASSERT_EQUAL(load(other, position, sizeof position), code);
    CU_ASSERT_EQUAL(strncmp(error.message, "snapshot: ", 10), 0);
    CU_ASSERT_EQUAL(stats_of(other).entries, before.entries - 1);
    remed_replica_free(other);
    other = make(100000);
}

/* Records with a right checksum that are none: nothing of the file is applied. */
static void forged(void)
{
    static uint8_t long_key[1024], value[64], wire[256], key[REMED_KEY_MAX];
    size_t length;
    memset(long_key, 'A', sizeof long_key);
    value[0] = 1;
    is_refused(
        &(struct remed_message){
            .key = long_key, .key_length = 1024, .value = value, .value_length = 29},
        REMED_EFORMAT);
    is_refused(
        &(struct remed_message){
            .key = long_key, .key_length = 9, .value = value, .value_length = 28},
        REMED_EFORMAT);
    memset(value + 5, 0xff, 8); /* a mark's epoch beyond the bound */
    is_refused(
        &(struct remed_message){
            .key = long_key, .key_length = 9, .value = value, .value_length = 29},
        REMED_EFORMAT);
    value[0] = 2;
    is_refused(
        &(struct remed_message){
            .key = long_key, .key_length = 9, .value = value, .value_length = 29},
        REMED_EFORMAT);
    value[0] = 0;
    is_refused(
        &(struct remed_message){
            .key = long_key, .key_length = 9, .value = value, .value_length = 1},
        REMED_EFORMAT);
    is_refused(
        &(struct remed_message){
            .key = long_key, .key_length = 9, .value = value, .value_length = 64},
        REMED_EFORMAT);
    make_binding(record, 7, 6, REMED_OP_UPSERT, 1, 1, 0);
    struct remed_message message = {.key = key, .value = wire};
    message.key_length = remed_record_key(record, key, sizeof key);
    remed_record_encode(record, wire + 5, sizeof wire - 5, &length);
    message.value_length = length + 5;
    key[2] ^= 1; /* not that of the record */
    is_refused(&message, REMED_EFORMAT);
    key[2] ^= 1;
    message.value_length--;
    is_refused(&message, REMED_EFORMAT);
    message.value_length++;
    wire[6] = 9; /* the record's version */
    is_refused(&message, REMED_EUNSUPPORTED);
}

static unsigned told;

static void on_told(void *context, enum remed_applied what, const struct remed_record *changed)
{
    (void)context;
    (void)changed;
    told += what == REMED_APPLIED_NEW;
}

/* The hook hears of what a file brought, and of nothing when the file was bad at its end. */
static void hooks(void)
{
    char position[8];
    struct remed_replica_opts opts;
    for (uint32_t i = 0; i < 50; i++)
        apply(replica, i, REMED_OP_UPSERT, 1, 0);
    apply(replica, 0, REMED_OP_REMOVE, 2, 0);
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "", &error), 0);
    remed_replica_free(other);
    remed_replica_opts_init(&opts, sizeof opts);
    opts.change = on_told;
    CU_ASSERT_EQUAL_FATAL(remed_replica_new(&other, &opts, &error), 0);
    told = 0;
    CU_ASSERT_EQUAL(truncate(path, size_of_file() - 1), 0);
    CU_ASSERT_EQUAL(load(other, position, sizeof position), REMED_EFORMAT);
    CU_ASSERT_EQUAL(told, 0);
    CU_ASSERT_EQUAL(stats_of(other).applied, 0);
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "", &error), 0);
    CU_ASSERT_EQUAL(load(other, position, sizeof position), 0);
    CU_ASSERT_EQUAL(told, 49);
    CU_ASSERT_EQUAL(apply(other, 100, REMED_OP_UPSERT, 1, 0), REMED_APPLIED_NEW); /* it goes on */
    CU_ASSERT_EQUAL(apply(other, 0, REMED_OP_UPSERT, 1, 0), REMED_APPLIED_STALE);
    CU_ASSERT_EQUAL(told, 50);
}

static const struct test_case cases[] = {
    {"there and back", there_and_back},
    {"partitions are released", partitions},
    {"over another replica", over_another},
    {"what is damaged is refused whole", damage},
    {"refusals", refusals},
    {"a full disk keeps the older one", full_disk},
    {"files are private, and others' stay", private_files},
    {"right checksums, wrong records", forged},
    {"the hook hears of what was loaded", hooks},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"snapshot", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
