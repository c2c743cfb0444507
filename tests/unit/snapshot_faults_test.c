/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each system call that saving and loading make fails in turn, or does less than it was asked: a
 * save that fails leaves the older file and nothing beside it, a load that fails leaves the replica
 * as it was, and both name the file and the cause. The calls are this program's own functions.
 */
#include "unit/bindings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <remediate/repository.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum call { READ, WRITE, SYNC, RENAME, OPEN, CALLS };
static enum call failing;
static unsigned failing_at, made[CALLS]; /* failing_at 0: none */
static bool shortens;                    /* instead of failing */

static bool hit(enum call call)
{
    made[call]++;
    if (call != failing || made[call] != failing_at)
        return false;
    errno = EIO;
    return true;
}

ssize_t read(int fd, void *bytes, size_t length)
{
    bool hits = hit(READ);
    if (hits && !shortens)
        return -1;
    return syscall(SYS_read, fd, bytes, hits && length > 7 ? 7 : length);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at)
{
    bool hits = hit(WRITE);
    if (hits && !shortens)
        return -1;
    if (lseek(fd, at, SEEK_SET) != at)
        return -1;
    return syscall(SYS_write, fd, bytes, hits && length > 7 ? 7 : length);
}

int fsync(int fd)
{
    (void)fd; /* no power fails here */
    return hit(SYNC) ? -1 : 0;
}

int rename(const char *from, const char *to)
{
    return hit(RENAME) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int openat(int folder, const char *name, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return hit(OPEN) ? -1 : (int)syscall(SYS_openat, folder, name, flags, mode);
}

static struct remed_replica *replica, *other;
static struct remed_record *record;
static struct remed_error error;
static char folder[64], path[80];

static struct remed_replica *make(void)
{
    struct remed_replica *made_one = NULL;
    struct remed_replica_opts opts;
    remed_replica_opts_init(&opts, sizeof opts);
    opts.max_entries = 16384;
    CU_ASSERT_EQUAL_FATAL(remed_replica_new(&made_one, &opts, &error), 0);
    return made_one;
}

static void put(uint32_t from, uint32_t end)
{
    for (uint32_t i = from; i < end; i++)
        CU_ASSERT_EQUAL(remed_replica_apply_record(
                            replica, make_binding(record, i, 1, REMED_OP_UPSERT, 1, 1, 0), 1, NULL),
                        REMED_APPLIED_NEW);
}

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/remediate-faults-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/snapshot", folder);
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&record, NULL), 0);
    replica = make();
    other = make();
}

static void teardown(void)
{
    unlink(path);
    CU_ASSERT_EQUAL(rmdir(folder), 0); /* nothing else was left */
    remed_record_free(record);
    remed_replica_free(replica);
    remed_replica_free(other);
    replica = other = NULL;
    record = NULL;
}

static unsigned files(void)
{
    unsigned count = 0;
    DIR *open_folder = opendir(folder);
    for (struct dirent *entry; open_folder != NULL && (entry = readdir(open_folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(open_folder);
    return count;
}

static void fail_next(enum call call, unsigned at, bool less)
{
    memset(made, 0, sizeof made);
    failing = call;
    failing_at = at;
    shortens = less;
}

static int load(char *position, size_t size)
{
    remed_replica_free(other);
    other = make();
    return remed_replica_load(other, path, position, size, 1, &error);
}

/* What the file holds: of which save. */
static void is_saved(const char *wanted, uint64_t entries)
{
    char position[8];
    struct remed_replica_stats stats;
    fail_next(CALLS, 0, false);
    CU_ASSERT_EQUAL(load(position, sizeof position), 0);
    CU_ASSERT_STRING_EQUAL(position, wanted);
    remed_replica_stats(other, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.entries, entries);
}

/* One save with a fault; whether the fault came. */
static bool save_with(enum call call, unsigned at)
{
    fail_next(call, at, false);
    int rc = remed_replica_save(replica, path, "2", &error);
    bool came = made[call] >= at;
    fail_next(CALLS, 0, false);
    CU_ASSERT_EQUAL(files(), 1);
    if (!came) {
        CU_ASSERT_EQUAL(rc, 0);
        return false;
    }
    CU_ASSERT_EQUAL(rc, REMED_EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, folder));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, strerror(EIO)));
    bool is_new = call == SYNC && at == 2; /* the folder's: the file is there already */
    is_saved(is_new ? "2" : "1", is_new ? 5000 : 10);
    return true;
}

static void saving(void)
{
    unsigned faults = 0;
    for (enum call call = WRITE; call < CALLS; call++)
        for (unsigned at = 1, done = 0; done == 0; at++) {
            remed_replica_free(replica);
            replica = make();
            put(0, 10);
            CU_ASSERT_EQUAL(remed_replica_save(replica, path, "1", &error), 0);
            put(10, 5000); /* several buffers */
            done = !save_with(call, at);
            faults += !done;
        }
    CU_ASSERT(faults >= 6);
    is_saved("2", 5000);
}

static void loading(void)
{
    char position[8] = "before";
    struct remed_replica_stats stats;
    unsigned faults = 0;
    put(0, 5000);
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "3", &error), 0);
    for (unsigned at = 1;; at++, faults++) {
        fail_next(READ, at, false);
        int rc = load(position, sizeof position);
        if (made[READ] < at)
            break;
        CU_ASSERT_EQUAL(rc, REMED_EIO);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, path));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, strerror(EIO)));
        CU_ASSERT_STRING_EQUAL(position, "before");
        remed_replica_stats(other, &stats, sizeof stats);
        CU_ASSERT_EQUAL(stats.entries, 0);
    }
    CU_ASSERT(faults >= 3);
    fail_next(OPEN, 1, false);
    CU_ASSERT_EQUAL(load(position, sizeof position), REMED_EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, path));
}

/* Less than was asked for is no fault: what is missing follows. */
static void in_pieces(void)
{
    char position[8];
    put(0, 5000);
    for (unsigned at = 1, came = 1; came != 0; at++) {
        fail_next(WRITE, at, true);
        CU_ASSERT_EQUAL(remed_replica_save(replica, path, "4", &error), 0);
        came = made[WRITE] >= at;
        is_saved("4", 5000);
    }
    for (unsigned at = 1, came = 1; came != 0; at++) {
        fail_next(READ, at, true);
        CU_ASSERT_EQUAL(load(position, sizeof position), 0);
        came = made[READ] >= at;
    }
}

static const struct test_case cases[] = {
    {"each call of a save fails", saving},
    {"each call of a load fails", loading},
    {"calls that do less", in_pieces},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"faults of snapshots", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
