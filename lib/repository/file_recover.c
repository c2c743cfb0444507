/* SPDX-License-Identifier: BSD-3-Clause */
/* The recovery of file_recover.h. Threads: no state. */
#define _DEFAULT_SOURCE
#include "repository/file_recover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A segment as it is scanned, through a window on it. */
struct scan {
    int fd;
    uint8_t *window;
    uint64_t begin; /* file offset of the window */
    size_t held;
    uint64_t first;       /* the segment's, by name */
    uint64_t good;        /* bytes up to the last whole record */
    uint64_t next_offset; /* behind the last whole record */
    uint64_t lost;        /* bytes that are no record, with records behind them */
};

/* Reads on behind what is held; false at the end of the file. */
static bool read_on(struct scan *scan)
{
    while (scan->held < REMED_SEGMENT_WHOLE) {
        ssize_t got = pread(scan->fd, scan->window + scan->held, REMED_SEGMENT_WHOLE - scan->held,
                            (off_t)(scan->begin + scan->held));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        scan->held += (size_t)got;
    }
    return true;
}

static void step(struct scan *scan, size_t at)
{
    memmove(scan->window, scan->window + at, scan->held - at);
    scan->begin += at;
    scan->held -= at;
}

static void scan_records(struct scan *scan, const struct remed_crc *crc)
{
    bool more = true;
    while (more || scan->held > 0) {
        size_t at = 0, used;
        more = read_on(scan);
        while (at < scan->held) {
            struct remed_message message;
            enum remed_segment_result result =
                remed_segment_read(crc, scan->window + at, scan->held - at, &message, &used);
            if (result == REMED_SEGMENT_SHORT && more)
                break;
            if (result == REMED_SEGMENT_OK && remed_segment_can_hold(scan->first, message.offset)) {
                scan->lost += scan->begin + at - scan->good;
                at += used;
                scan->good = scan->begin + at;
                if (message.offset >= scan->next_offset)
                    scan->next_offset = message.offset + 1;
                continue;
            }
            at += remed_segment_resync(scan->window + at, scan->held - at);
            if (!more && scan->held - at < 4)
                at = scan->held;
        }
        step(scan, at);
        if (!more && at == 0)
            break;
    }
}

static int scan_segment(struct remed_recovery *recovery, const struct remed_crc *crc,
                        const struct remed_allocator *allocator)
{
    struct scan scan = {
        .fd = recovery->segment, .first = recovery->first, .next_offset = recovery->first};
    uint8_t header[REMED_SEGMENT_HEADER];
    uint64_t purged;
    struct stat status;
    ssize_t got = pread(scan.fd, header, sizeof header, 0);
    if (fstat(scan.fd, &status) < 0)
        return REMED_EIO;
    if (got < 0 || !remed_segment_is_header(header, (size_t)got, &purged)) {
        recovery->length = 0; /* cut while it was made, or not ours: nothing of it is kept */
        recovery->lost = (uint64_t)status.st_size;
        return 0;
    }
    scan.window = remed_allocate(allocator, REMED_SEGMENT_WHOLE);
    if (scan.window == NULL)
        return REMED_ENOMEM;
    scan.begin = scan.good = sizeof header;
    scan_records(&scan, crc);
    remed_release(allocator, scan.window, REMED_SEGMENT_WHOLE);
    recovery->next_offset = scan.next_offset;
    recovery->length = scan.good;
    recovery->lost = scan.lost + (uint64_t)status.st_size - scan.good;
    return scan.lost != 0;
}

/* Cuts the torn tail off, or leaves a damaged segment alone and wants a new one. */
static int mend(struct remed_recovery *recovery, int scanned, struct remed_error *error)
{
    if (scanned == 0 && recovery->length >= REMED_SEGMENT_HEADER &&
        (recovery->lost == 0 || (ftruncate(recovery->segment, (off_t)recovery->length) == 0 &&
                                 fsync(recovery->segment) == 0)))
        return 0;
    bool cut = scanned == 0 && recovery->length >= REMED_SEGMENT_HEADER;
    if (cut)
        remed_error_set(error, REMED_EIO, "file: cannot mend the last segment: %s",
                        strerror(errno));
    close(recovery->segment);
    recovery->segment = -1;
    return cut ? REMED_EIO : 0;
}

/* What a compaction left when it was cut short. */
static void remove_temporaries(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *open = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    if (open == NULL && fd >= 0)
        close(fd);
    while (open != NULL && (entry = readdir(open)) != NULL) {
        size_t length = strlen(entry->d_name);
        if (length > 4 && strcmp(entry->d_name + length - 4, ".tmp") == 0)
            unlinkat(folder, entry->d_name, 0);
    }
    if (open != NULL)
        closedir(open);
}

int remed_file_recover(int folder, const struct remed_crc *crc,
                       const struct remed_allocator *allocator, struct remed_recovery *recovery,
                       struct remed_error *error)
{
    uint64_t *firsts = NULL;
    size_t count, room = 0;
    char name[REMED_SEGMENT_NAME];
    *recovery = (struct remed_recovery){.segment = -1};
    remove_temporaries(folder);
    int rc = remed_segment_list(folder, &firsts, &count, &room, allocator);
    if (rc == 0 && count > 0)
        recovery->first = recovery->next_offset = firsts[count - 1];
    remed_release(allocator, firsts, room * sizeof *firsts);
    if (rc < 0)
        return remed_error_set(error, rc, "file: cannot list the folder");
    if (count == 0)
        return 0;
    remed_segment_name(name, recovery->first);
    recovery->segment = openat(folder, name, O_RDWR | O_CLOEXEC);
    if (recovery->segment < 0)
        return remed_error_set(error, REMED_EIO, "file: cannot open %s: %s", name, strerror(errno));
    int scanned = scan_segment(recovery, crc, allocator);
    if (scanned < 0) {
        close(recovery->segment);
        return remed_error_set(error, scanned, "file: cannot read %s", name);
    }
    return mend(recovery, scanned, error);
}
