/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer of file_writer.h. Threads: one thread a writer. */
#define _DEFAULT_SOURCE /* flock */
#include "repository/file_writer.h"

#include "repository/file_recover.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define RETRY_NS (100 * 1000000ull)
#define FIRST_ROOM (64u << 10)

static int fail_io(struct remed_error *error, const char *what)
{
    int code = errno == EACCES || errno == EPERM || errno == EROFS ? REMED_EPERM : REMED_EIO;
    return remed_error_set(error, code, "file: cannot %s: %s", what, strerror(errno));
}

static int take_lock(struct remed_file_writer *writer, const char *path, struct remed_error *error)
{
    writer->lock = openat(writer->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (writer->lock < 0)
        return fail_io(error, "open the lock");
    if (flock(writer->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK
               ? remed_error_set(error, REMED_EBUSY, "file: another process writes to %s", path)
               : fail_io(error, "lock the folder");
}

/* A new segment for the records from next_offset on. */
static int begin_segment(struct remed_file_writer *writer, struct remed_error *error)
{
    char name[REMED_SEGMENT_NAME];
    uint8_t header[REMED_SEGMENT_HEADER];
    remed_segment_name(name, writer->next_offset);
    remed_segment_header(header, 0);
    int fd = openat(writer->folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail_io(error, "create a segment");
    if (write(fd, header, sizeof header) != (ssize_t)sizeof header || fsync(fd) < 0 ||
        fsync(writer->folder) < 0) {
        int rc = fail_io(error, "begin a segment");
        close(fd);
        unlinkat(writer->folder, name, 0);
        return rc;
    }
    if (writer->segment >= 0)
        close(writer->segment);
    writer->segment = fd;
    writer->first = writer->next_offset;
    writer->length = sizeof header;
    return 0;
}

int remed_file_writer_open(struct remed_file_writer *writer, const char *path,
                           struct remed_error *error)
{
    struct remed_recovery recovery;
    writer->lock = writer->segment = -1;
    writer->sync_at = UINT64_MAX;
    int rc = take_lock(writer, path, error);
    if (rc == 0)
        rc = remed_file_recover(writer->folder, writer->crc, &writer->allocator, &recovery, error);
    if (rc < 0)
        return rc;
    writer->next_offset = recovery.next_offset != 0 ? recovery.next_offset : writer->base;
    writer->repaired = recovery.lost;
    writer->segment = recovery.segment;
    writer->first = recovery.first;
    writer->length = recovery.length;
    return recovery.segment < 0 ? begin_segment(writer, error) : 0;
}

static bool make_room(struct remed_file_writer *writer, size_t wanted)
{
    if (writer->used + wanted > writer->max_bytes)
        return false;
    size_t room = writer->room == 0 ? FIRST_ROOM : writer->room;
    while (room < writer->used + wanted)
        room *= 2;
    if (room == writer->room)
        return true;
    uint8_t *grown = remed_reallocate(&writer->allocator, writer->buffer, writer->room, room);
    if (grown == NULL)
        return false;
    writer->buffer = grown;
    writer->room = room;
    return true;
}

int remed_file_writer_publish(struct remed_file_writer *writer, const struct remed_message *message,
                              uint64_t tag, struct remed_error *error)
{
    struct remed_message own = *message;
    size_t wanted = REMED_SEGMENT_RECORD + message->key_length + message->value_length;
    if (writer->failure.code != 0) {
        if (error != NULL)
            *error = writer->failure;
        return writer->failure.code;
    }
    if (writer->tags.count == writer->tags.room || !make_room(writer, wanted))
        return remed_error_set(error, REMED_EBUSY, "file: %zu bytes wait to be written%s%s",
                               writer->used, writer->full != 0 ? ": " : "",
                               writer->full != 0 ? strerror(writer->full) : "");
    own.offset = writer->next_offset++;
    writer->used += remed_segment_write(writer->crc, writer->buffer + writer->used, &own);
    remed_tags_push(&writer->tags, tag);
    return 0;
}

static void deliver(struct remed_file_writer *writer, uint32_t count, int code)
{
    for (; count > 0; count--)
        writer->events->delivered(writer->events->context, remed_tags_pop(&writer->tags), code);
}

/* Writes the whole buffer, or nothing of it. */
static bool write_out(struct remed_file_writer *writer, uint64_t now)
{
    size_t done = 0;
    while (done < writer->used) {
        ssize_t got = pwrite(writer->segment, writer->buffer + done, writer->used - done,
                             (off_t)(writer->length + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            writer->full = got < 0 ? errno : ENOSPC;
            writer->retry_at = now + RETRY_NS;
            if (ftruncate(writer->segment, (off_t)writer->length) < 0)
                writer->full = errno; /* the tail is torn, and mended when next written */
            return false;
        }
        done += (size_t)got;
    }
    writer->length += writer->used;
    writer->used = 0;
    writer->full = 0;
    writer->retry_at = 0;
    writer->written = writer->tags.count;
    return true;
}

static int sync_out(struct remed_file_writer *writer)
{
    uint32_t count = writer->written;
    writer->sync_at = UINT64_MAX;
    writer->written = 0;
    if (writer->sync != REMED_SYNC_NEVER && fdatasync(writer->segment) < 0) {
        int rc = fail_io(&writer->failure, "sync");
        deliver(writer, writer->tags.count, rc);
        return rc;
    }
    deliver(writer, count, 0);
    return 0;
}

static bool is_sync_due(struct remed_file_writer *writer, uint64_t now)
{
    if (writer->written == 0)
        return false;
    if (writer->sync != REMED_SYNC_INTERVAL)
        return true;
    if (writer->sync_at == UINT64_MAX)
        writer->sync_at = now + writer->interval;
    return now >= writer->sync_at || writer->length >= writer->segment_bytes;
}

void remed_file_writer_roll(struct remed_file_writer *writer, uint64_t now)
{
    if (writer->written == 0 && writer->used == 0 && now >= writer->retry_at &&
        begin_segment(writer, NULL) < 0)
        writer->retry_at = now + RETRY_NS; /* goes on in the old one meanwhile */
}

int remed_file_writer_process(struct remed_file_writer *writer, uint64_t now,
                              struct remed_error *error)
{
    int rc = 0;
    if (writer->failure.code == 0 && writer->used > 0 && now >= writer->retry_at)
        write_out(writer, now);
    if (writer->failure.code == 0 && is_sync_due(writer, now))
        rc = sync_out(writer);
    if (rc == 0 && writer->failure.code == 0 && writer->length >= writer->segment_bytes)
        remed_file_writer_roll(writer, now);
    if (writer->failure.code != 0 && error != NULL)
        *error = writer->failure;
    return writer->failure.code;
}

uint64_t remed_file_writer_deadline(const struct remed_file_writer *writer)
{
    if (writer->failure.code != 0)
        return UINT64_MAX;
    if (writer->used > 0)
        return writer->retry_at;
    if (writer->written > 0)
        return writer->sync_at == UINT64_MAX ? 0 : writer->sync_at;
    return UINT64_MAX;
}

int remed_file_writer_close(struct remed_file_writer *writer, struct remed_error *error)
{
    int rc = writer->failure.code;
    if (writer->segment >= 0 && rc == 0) {
        if (writer->used > 0 && !write_out(writer, 0))
            rc = remed_error_set(error, REMED_EIO, "file: %zu bytes could not be written: %s",
                                 writer->used, strerror(writer->full));
        if (writer->written > 0 && sync_out(writer) < 0)
            rc = writer->failure.code;
    }
    deliver(writer, writer->tags.count, rc < 0 ? rc : REMED_EIO);
    if (writer->segment >= 0)
        close(writer->segment);
    if (writer->lock >= 0)
        close(writer->lock);
    remed_release(&writer->allocator, writer->buffer, writer->room);
    writer->segment = writer->lock = -1;
    writer->buffer = NULL;
    writer->used = writer->room = 0;
    return rc;
}
