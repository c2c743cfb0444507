/* SPDX-License-Identifier: BSD-3-Clause */
/* The recovery of file_recover.h. Threads: no state. */
#define _DEFAULT_SOURCE
#include "repository/file_recover.h"

#include "base/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEAST_RECORD (REMED_SEGMENT_RECORD + 1u)
#define MEMORY (sizeof(struct remed_segment_search) + REMED_SEGMENT_WINDOW)

/* A segment as it is scanned, through a window on it. */
struct scan {
    const struct remed_crc *crc;
    int fd;
    uint8_t *window;
    uint64_t begin; /* file offset of the window */
    size_t held;
    uint64_t first;                      /* the segment's, by name */
    uint64_t good;                       /* behind the last whole record */
    uint64_t next_offset;                /* behind the last whole record's */
    uint64_t damaged;                    /* bytes that are no record, with records behind them */
    uint64_t place;                      /* of the first of them */
    bool is_torn;                        /* what lies behind `good` is the beginning of a record */
    struct remed_segment_search *search; /* the window is behind it, in one allocation */
};

/* Reads on until the window is full: 1; 0 at the end of the file; -1 with errno. */
static int read_on(struct scan *scan)
{
    while (scan->held < REMED_SEGMENT_WINDOW) {
        ssize_t got = pread(scan->fd, scan->window + scan->held, REMED_SEGMENT_WINDOW - scan->held,
                            (off_t)(scan->begin + scan->held));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return (int)got;
        scan->held += (size_t)got;
    }
    return 1;
}

static void step(struct scan *scan, size_t at)
{
    memmove(scan->window, scan->window + at, scan->held - at);
    scan->begin += at;
    scan->held -= at;
}

/* Steps over a record. */
static void keep(struct scan *scan, uint64_t begin, size_t used, uint64_t offset)
{
    if (begin != scan->good && scan->damaged == 0)
        scan->place = scan->good;
    scan->damaged += begin - scan->good;
    scan->good = begin + used;
    if (offset >= scan->next_offset)
        scan->next_offset = offset + 1;
}

/* Goes through what is in the window; returns how far it came. */
static size_t scan_window(struct scan *scan, bool is_last)
{
    size_t at = 0, used;
    remed_segment_search_begin(scan->search, scan->crc, scan->window, scan->held);
    while (at < scan->held) {
        struct remed_message message;
        enum remed_segment_result result =
            remed_segment_search_read(scan->search, at, &message, &used);
        if (result == REMED_SEGMENT_OK && remed_segment_can_hold(scan->first, message.offset)) {
            keep(scan, scan->begin + at, used, message.offset);
            at += used;
            continue;
        }
        if (result == REMED_SEGMENT_SHORT && !is_last)
            break;
        if (is_last && scan->begin + at == scan->good)
            scan->is_torn = remed_segment_is_torn(scan->crc, scan->window + at, scan->held - at,
                                                  scan->next_offset);
        at = remed_segment_skip(scan->search, at);
    }
    return at;
}

static int scan_records(struct scan *scan)
{
    int more = 1;
    while (more > 0) {
        more = read_on(scan);
        if (more < 0)
            return -1;
        step(scan, scan_window(scan, more == 0));
    }
    return 0;
}

/* Takes what was found to the recovery: what can be cut, and what is left. */
static void conclude(struct remed_recovery *recovery, const struct scan *scan, uint64_t size)
{
    uint64_t tail = size - scan->good;
    recovery->next_offset = scan->next_offset;
    recovery->length = scan->good;
    recovery->damaged = scan->damaged;
    recovery->place = scan->damaged != 0 ? scan->place : scan->good;
    if (scan->is_torn && scan->damaged == 0)
        recovery->cut = tail;
    else
        recovery->damaged += tail;
    if (recovery->damaged != 0 && (tail != 0 || recovery->next_offset == recovery->first))
        /* in what is left records may have been acknowledged */
        recovery->next_offset += tail / LEAST_RECORD + 1;
}

static int fail_recovery(struct remed_error *error, int code, const char *path, uint64_t first,
                         const char *what)
{
    char name[REMED_SEGMENT_NAME];
    int number = errno;
    remed_segment_name(name, first);
    return remed_error_set(error, code, "file: cannot %s %.120s/%s: %s", what, path, name,
                           strerror(number));
}

/* Looks at the header; without one the records behind it count all the same. */
static int check_header(struct remed_recovery *recovery, uint64_t size, const char *path,
                        struct scan *scan, struct remed_error *error)
{
    uint8_t header[REMED_SEGMENT_HEADER] = {0};
    char name[REMED_SEGMENT_NAME];
    uint64_t purged;
    uint32_t version = 0;
    size_t length = size < sizeof header ? (size_t)size : sizeof header;
    ssize_t got;
    do
        got = pread(scan->fd, header, length, 0);
    while (got < 0 && errno == EINTR);
    if (got >= 0 && got != (ssize_t)length)
        errno = EIO;
    if (got != (ssize_t)length)
        return fail_recovery(error, REMED_EIO, path, recovery->first, "read");
    remed_segment_name(name, recovery->first);
    switch (remed_segment_check_header(header, length, &purged, &version)) {
    case REMED_HEADER_NEWER:
        return remed_error_set(error, REMED_EUNSUPPORTED,
                               "file: %.120s/%s: version %u of the format; this library writes 1",
                               path, name, version);
    case REMED_HEADER_DAMAGED:
        scan->begin = scan->good = length;
        scan->damaged = length != 0 ? length : 1; /* segments appear with their header */
        return 0;
    default:
        scan->begin = scan->good = sizeof header;
        return 0;
    }
}

static int scan_segment(struct remed_recovery *recovery, const struct remed_crc *crc,
                        const struct remed_allocator *allocator, const char *path,
                        struct remed_error *error)
{
    struct scan scan = {.crc = crc,
                        .fd = recovery->segment,
                        .first = recovery->first,
                        .next_offset = recovery->first};
    struct stat status;
    if (fstat(scan.fd, &status) < 0)
        return fail_recovery(error, REMED_EIO, path, recovery->first, "look at");
    int rc = check_header(recovery, (uint64_t)status.st_size, path, &scan, error);
    if (rc < 0)
        return rc;
    scan.search = remed_allocate(allocator, MEMORY);
    if (scan.search == NULL)
        return remed_error_set(error, REMED_ENOMEM, "file: no memory to look at %.150s", path);
    scan.window = (uint8_t *)(scan.search + 1);
    rc = scan_records(&scan);
    int number = errno;
    remed_release(allocator, scan.search, MEMORY);
    errno = number;
    if (rc < 0)
        return fail_recovery(error, REMED_EIO, path, recovery->first, "read");
    conclude(recovery, &scan, (uint64_t)status.st_size);
    return 0;
}

/* Cuts a torn tail off; leaves a damaged segment alone and wants a new one. What readers may have
 * seen is made durable before anything is written behind it. */
static int mend(struct remed_recovery *recovery, const char *path, struct remed_error *error)
{
    if (recovery->cut != 0 && ftruncate(recovery->segment, (off_t)recovery->length) < 0)
        return fail_recovery(error, REMED_EIO, path, recovery->first, "cut a torn record off");
    if (fsync(recovery->segment) < 0)
        return fail_recovery(error, REMED_EIO, path, recovery->first, "sync");
    if (recovery->damaged != 0 || !remed_segment_can_hold(recovery->first, recovery->next_offset)) {
        close(recovery->segment);
        recovery->segment = -1;
    }
    return 0;
}

static int open_last(int folder, struct remed_recovery *recovery, const char *path,
                     struct remed_error *error)
{
    char name[REMED_SEGMENT_NAME], who[160];
    remed_segment_name(name, recovery->first);
    snprintf(who, sizeof who, "file: %.120s", path);
    int fd = remed_private_open(folder, name, O_RDWR, who, error);
    recovery->segment = fd < 0 ? -1 : fd;
    return fd < 0 ? fd : 0;
}

/* The first offset of the last segment: 1, 0 without one, an error. */
static int find_last(int folder, const char *path, const struct remed_allocator *allocator,
                     uint64_t *first, struct remed_error *error)
{
    uint64_t *firsts = NULL;
    size_t count = 0, room = 0;
    int rc = remed_segment_list(folder, &firsts, &count, &room, allocator), number = errno;
    if (rc == 0 && count > 0)
        *first = firsts[count - 1];
    remed_release(allocator, firsts, room * sizeof *firsts);
    if (rc < 0)
        return remed_error_set(error, rc, "file: cannot list %.150s: %s", path,
                               rc == REMED_ENOMEM ? "no memory" : strerror(number));
    return count > 0;
}

int remed_file_recover(int folder, const char *path, const struct remed_crc *crc,
                       const struct remed_allocator *allocator, struct remed_recovery *recovery,
                       struct remed_error *error)
{
    *recovery = (struct remed_recovery){.segment = -1};
    int rc = find_last(folder, path, allocator, &recovery->first, error);
    if (rc <= 0)
        return rc;
    recovery->next_offset = recovery->first;
    rc = open_last(folder, recovery, path, error);
    if (rc == 0)
        rc = scan_segment(recovery, crc, allocator, path, error);
    if (rc == 0)
        rc = mend(recovery, path, error);
    if (rc < 0 && recovery->segment >= 0)
        close(recovery->segment);
    if (rc < 0)
        recovery->segment = -1;
    return rc;
}
