/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a closing publisher had in flight, put before all that is in its spool (spool.h). It is a
 * segment of its own, written under another name first: half of it is never taken for a segment.
 *
 * Threads: belongs to one publisher.
 */
#define _POSIX_C_SOURCE 200809L
#include "repository/spool.h"

#include "base/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define FRONT "spool-front.tmp"

void remed_spool_front_clear(struct remed_spool *spool)
{
    (void)unlinkat(spool->folder, FRONT, 0);
}

int remed_spool_front_begin(struct remed_spool *spool, struct remed_spool_front *front,
                            uint64_t count, size_t bytes, struct remed_error *error)
{
    uint64_t first;
    int rc = remed_spool_oldest(spool, &first, error);
    if (rc < 0)
        return rc;
    if (first <= count)
        return remed_error_set(error, REMED_ELIMIT, "spool: no numbers are left in front of %s",
                               spool->path);
    *front = (struct remed_spool_front){.first = first - count, .next = first - count};
    front->room =
        REMED_SEGMENT_HEADER + bytes + (size_t)count * (REMED_SEGMENT_RECORD + REMED_SPOOL_HEAD);
    front->bytes = remed_reallocate(&spool->allocator, NULL, 0, front->room);
    if (front->bytes == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for what is in flight");
    remed_segment_header(front->bytes, 0);
    front->used = REMED_SEGMENT_HEADER;
    return 0;
}

void remed_spool_front_put(struct remed_spool *spool, struct remed_spool_front *front,
                           const struct remed_message *message, unsigned filled)
{
    struct remed_message own = remed_spool_with_head(spool, message, 0, filled);
    own.offset = front->next++;
    front->used += remed_segment_write(&spool->crc, front->bytes + front->used, &own);
}

/* Bytes that the disk took; less than all with errno. */
static size_t front_write(int file, const uint8_t *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t got = write(file, bytes + done, length - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = ENOSPC;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

/* Records that are whole within `length` bytes; *end: behind the last. */
static uint64_t front_whole(const struct remed_spool_front *front, size_t length, size_t *end)
{
    uint64_t count = 0;
    *end = REMED_SEGMENT_HEADER;
    while (*end + REMED_SEGMENT_RECORD <= length) {
        const uint8_t *record = front->bytes + *end;
        size_t bytes = (size_t)REMED_SEGMENT_RECORD + remed_load32_little(record + 16) +
                       remed_load32_little(record + 20);
        if (bytes > length - *end)
            break;
        *end += bytes;
        count++;
    }
    return count;
}

static int front_fail(const struct remed_spool *spool, const char *what, int number,
                      struct remed_error *error)
{
    return remed_error_set(error, REMED_EIO, "spool: cannot %s what is in flight to %s: %s", what,
                           spool->path, strerror(number));
}

/* Makes what was written last, under its name: *kept records. */
static int front_place(struct remed_spool *spool, const struct remed_spool_front *front, int file,
                       uint64_t *kept, struct remed_error *error)
{
    char name[REMED_SEGMENT_NAME];
    size_t end, done = front_write(file, front->bytes, front->used);
    int number = done < front->used ? errno : 0, rc = 0;
    uint64_t whole = front_whole(front, done, &end);
    if (number != 0) /* the rest is lost, and this is why */
        rc = front_fail(spool, "write", number, error);
    if (whole == 0)
        return rc;
    remed_segment_name(name, front->first);
    bool good = (end == done || ftruncate(file, (off_t)end) == 0) && fsync(file) == 0 &&
                renameat(spool->folder, FRONT, spool->folder, name) == 0;
    if (!good)
        return front_fail(spool, "write", errno, error);
    *kept = whole;
    if (fsync(spool->folder) < 0) {
        *kept = 0; /* nobody knows whether it will be there */
        return front_fail(spool, "sync", errno, error);
    }
    return rc;
}

int remed_spool_front_end(struct remed_spool *spool, struct remed_spool_front *front,
                          uint64_t *kept, struct remed_error *error)
{
    *kept = 0;
    int file =
        remed_private_open(spool->folder, FRONT, O_WRONLY | O_CREAT | O_TRUNC, "spool", error);
    int rc = file < 0 ? file : front_place(spool, front, file, kept, error);
    if (file >= 0)
        close(file);
    if (rc < 0)
        (void)unlinkat(spool->folder, FRONT, 0);
    remed_release(&spool->allocator, front->bytes, front->room);
    front->bytes = NULL;
    return rc;
}
