/* SPDX-License-Identifier: BSD-3-Clause */
/* The writer of file_writer.h. Threads: one thread a writer. */
#define _DEFAULT_SOURCE /* flock */
#include "repository/file_writer.h"

#include "repository/file_recover.h"

#include "base/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_NS (100 * 1000000ull)
#define FIRST_ROOM (64u << 10)
#define BEGUN "remediate-segment.tmp"
#define OLD_OUTPUT "compaction.tmp" /* of compactions of earlier versions */
#define MOST_OFFSET ((uint64_t)1 << 62)
#define LOCK_TRIES 10u

void remed_file_writer_init(struct remed_file_writer *writer, const struct remed_crc *crc,
                            int folder, const struct remed_allocator *allocator)
{
    *writer = (struct remed_file_writer){.crc = crc,
                                         .folder = folder,
                                         .lock = -1,
                                         .segment = -1,
                                         .sync_at = UINT64_MAX,
                                         .allocator = *allocator};
}

static int code_of(int number)
{
    return number == EACCES || number == EPERM || number == EROFS ? REMED_EPERM : REMED_EIO;
}

/* Of a call that failed on a file of the folder. */
static int fail_call(const struct remed_file_writer *writer, struct remed_error *error,
                     const char *what, const char *name)
{
    int number = errno;
    return remed_error_set(error, code_of(number), "file: cannot %s %.120s%s%s: %s", what,
                           writer->path, *name != '\0' ? "/" : "", name, strerror(number));
}

static int fail_segment(const struct remed_file_writer *writer, struct remed_error *error,
                        const char *what, uint64_t first)
{
    char name[REMED_SEGMENT_NAME];
    remed_segment_name(name, first);
    return fail_call(writer, error, what, name);
}

/* Whether the name leads to the file that is open. */
static bool is_named(int folder, int fd, const char *name)
{
    struct stat open, named;
    return fstat(fd, &open) == 0 && fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

static int try_lock(struct remed_file_writer *writer, struct remed_error *error)
{
    char who[160];
    snprintf(who, sizeof who, "file: %.120s", writer->path);
    int fd = remed_private_open(writer->folder, "lock", O_RDWR | O_CREAT, who, error);
    if (fd < 0)
        return fd;
    writer->lock = fd;
    int rc;
    do
        rc = flock(fd, LOCK_EX | LOCK_NB);
    while (rc < 0 && errno == EINTR);
    if (rc == 0)
        return is_named(writer->folder, fd, "lock"); /* or it was put in another's place */
    return errno == EWOULDBLOCK
               ? remed_error_set(error, REMED_EBUSY, "file: another process writes to %.150s",
                                 writer->path)
               : fail_call(writer, error, "lock", "lock");
}

static int take_lock(struct remed_file_writer *writer, struct remed_error *error)
{
    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        int rc = try_lock(writer, error);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        close(writer->lock);
        writer->lock = -1;
    }
    return remed_error_set(error, REMED_EIO, "file: %.150s/lock is replaced all the time",
                           writer->path);
}

static bool write_header(int fd)
{
    uint8_t header[REMED_SEGMENT_HEADER];
    size_t done = 0;
    remed_segment_header(header, 0);
    while (done < sizeof header) {
        ssize_t got = write(fd, header + done, sizeof header - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = ENOSPC;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return fsync(fd) == 0;
}

/* A file with a header, under no name that a reader takes. */
static int make_segment(struct remed_file_writer *writer, struct remed_error *error)
{
    char who[160];
    snprintf(who, sizeof who, "file: %.120s", writer->path);
    (void)unlinkat(writer->folder, BEGUN, 0); /* of a process that died here */
    int fd = remed_private_open(writer->folder, BEGUN, O_RDWR | O_CREAT | O_EXCL, who, error);
    if (fd < 0 || write_header(fd))
        return fd;
    int rc = fail_call(writer, error, "write", BEGUN);
    close(fd);
    (void)unlinkat(writer->folder, BEGUN, 0);
    return rc;
}

/* Gives it its name, which nothing may have. Some file systems have no hard links. */
static int name_segment(struct remed_file_writer *writer, const char *name,
                        struct remed_error *error)
{
    struct stat status;
    if (linkat(writer->folder, BEGUN, writer->folder, name, 0) == 0) {
        (void)unlinkat(writer->folder, BEGUN, 0);
        return 0;
    }
    if (errno == EEXIST)
        return fail_call(writer, error, "create", name);
    if (fstatat(writer->folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT) {
        errno = errno == ENOENT ? EEXIST : errno;
        return fail_call(writer, error, "create", name);
    }
    return renameat(writer->folder, BEGUN, writer->folder, name) < 0
               ? fail_call(writer, error, "create", name)
               : 0;
}

/* The name must last as the records do. Without that the writer stays where it is; when the name
 * can't be taken back either, readers have gone on to it, and the writer can't stay. */
static int sync_name(struct remed_file_writer *writer, const char *name, struct remed_error *error)
{
    if (fsync(writer->folder) == 0)
        return 0;
    int rc = fail_call(writer, error, "sync the folder", "");
    if (unlinkat(writer->folder, name, 0) < 0)
        rc = fail_call(writer, &writer->failure, "take back after a failed sync", name);
    return rc;
}

/* A new segment for the records from next_offset on. */
static int begin_segment(struct remed_file_writer *writer, struct remed_error *error)
{
    char name[REMED_SEGMENT_NAME];
    remed_segment_name(name, writer->next_offset);
    int fd = make_segment(writer, error);
    if (fd < 0)
        return fd;
    int rc = name_segment(writer, name, error);
    if (rc < 0)
        (void)unlinkat(writer->folder, BEGUN, 0);
    else
        rc = sync_name(writer, name, error);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    if (writer->segment >= 0)
        close(writer->segment);
    writer->segment = fd;
    writer->first = writer->next_offset;
    writer->length = REMED_SEGMENT_HEADER;
    return 0;
}

/* A file of that name that is no segment is someone else's, and stays. */
static void remove_old_output(int folder)
{
    uint8_t magic[8];
    int fd = openat(folder, OLD_OUTPUT, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    bool ours =
        pread(fd, magic, sizeof magic, 0) == 8 && memcmp(magic, "REMEDSEG", sizeof magic) == 0;
    close(fd);
    if (ours)
        (void)unlinkat(folder, OLD_OUTPUT, 0);
}

int remed_file_writer_open(struct remed_file_writer *writer, const char *path,
                           struct remed_error *error)
{
    struct remed_recovery recovery;
    writer->lock = writer->segment = -1;
    writer->sync_at = UINT64_MAX;
    writer->failure.code = 0;
    writer->path = path;
    int rc = take_lock(writer, error);
    if (rc == 0)
        rc = remed_file_recover(writer->folder, path, writer->crc, &writer->allocator, &recovery,
                                error);
    if (rc < 0)
        return rc;
    remove_old_output(writer->folder);
    writer->next_offset = recovery.next_offset != 0 ? recovery.next_offset : writer->base;
    writer->cut = recovery.cut;
    writer->damaged = recovery.damaged;
    writer->damaged_first = recovery.first;
    writer->damaged_place = recovery.place;
    writer->segment = recovery.segment;
    writer->first = recovery.first;
    writer->length = recovery.length;
    if (recovery.segment < 0)
        return begin_segment(writer, error);
    return fsync(writer->folder) < 0 ? fail_call(writer, error, "sync the folder", "") : 0;
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
        return remed_error_set(error, REMED_EBUSY, "file: %.120s: %zu bytes wait to be written%s%s",
                               writer->path, writer->used, writer->full != 0 ? ": " : "",
                               writer->full != 0 ? strerror(writer->full) : "");
    if (writer->next_offset >= MOST_OFFSET)
        return remed_error_set(error, REMED_ELIMIT, "file: %.150s has no offset left",
                               writer->path);
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

/* Takes note of what was written whole: `done` bytes of the buffer are in the file. */
static void keep_whole(struct remed_file_writer *writer, size_t done)
{
    size_t whole = 0;
    uint32_t count = 0;
    while (whole < done) {
        const uint8_t *record = writer->buffer + whole;
        size_t length = (size_t)REMED_SEGMENT_RECORD + remed_load32_little(record + 16) +
                        remed_load32_little(record + 20);
        if (length > done - whole)
            break;
        whole += length;
        count++;
    }
    writer->length += whole;
    writer->written += count;
    writer->used -= whole;
    memmove(writer->buffer, writer->buffer + whole, writer->used);
}

/* Writes the buffer. When the disk takes a part of it, readers may have seen its whole records, so
 * they stay; the beginning of the next one is cut off. */
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
            keep_whole(writer, done);
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
        int rc = fail_segment(writer, &writer->failure, "sync", writer->first);
        deliver(writer, writer->tags.count, rc);
        return rc;
    }
    deliver(writer, count, 0);
    return 0;
}

/* Whether a time has come that was `most` ahead when it was set: a clock that went back must not
 * put it off. */
static bool has_come(uint64_t at, uint64_t now, uint64_t most)
{
    return now >= at || at - now > most;
}

static bool is_sync_due(struct remed_file_writer *writer, uint64_t now)
{
    if (writer->written == 0)
        return false;
    if (writer->sync != REMED_SYNC_INTERVAL)
        return true;
    if (writer->sync_at == UINT64_MAX)
        writer->sync_at = now + writer->interval;
    return has_come(writer->sync_at, now, writer->interval) ||
           writer->length >= writer->segment_bytes;
}

void remed_file_writer_roll(struct remed_file_writer *writer, uint64_t now)
{
    struct remed_error error;
    if (writer->written != 0 || writer->used != 0 || writer->failure.code != 0 ||
        !has_come(writer->retry_at, now, RETRY_NS) || begin_segment(writer, &error) == 0)
        return;
    writer->retry_at = now + RETRY_NS; /* goes on in the old one meanwhile */
}

int remed_file_writer_process(struct remed_file_writer *writer, uint64_t now,
                              struct remed_error *error)
{
    int rc = 0;
    if (writer->failure.code == 0 && writer->used > 0 && has_come(writer->retry_at, now, RETRY_NS))
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

size_t remed_file_writer_waiting(const struct remed_file_writer *writer, char *text, size_t size)
{
    char name[REMED_SEGMENT_NAME];
    if (writer->full == 0 || writer->failure.code != 0)
        return 0;
    remed_segment_name(name, writer->first);
    return (size_t)snprintf(text, size, "%.150s/%s: %s; tries again until it can be written",
                            writer->path, name, strerror(writer->full));
}

/* The last that can be done for what was taken. */
static int finish(struct remed_file_writer *writer, struct remed_error *error)
{
    int rc = writer->failure.code;
    if (rc == 0 && writer->used > 0 && !write_out(writer, 0)) {
        errno = writer->full;
        rc = fail_segment(writer, error, "write the last records to", writer->first);
    }
    if (writer->failure.code == 0 && writer->written > 0 && sync_out(writer) < 0)
        rc = writer->failure.code;
    if (writer->failure.code != 0 && error != NULL)
        *error = writer->failure;
    return rc;
}

int remed_file_writer_close(struct remed_file_writer *writer, struct remed_error *error)
{
    int rc = writer->segment >= 0 ? finish(writer, error) : 0;
    deliver(writer, writer->tags.count, rc < 0 ? rc : REMED_EIO);
    if (writer->segment >= 0 && close(writer->segment) < 0 && errno != EINTR && rc == 0)
        rc = fail_segment(writer, error, "close", writer->first);
    if (writer->lock >= 0)
        close(writer->lock);
    remed_release(&writer->allocator, writer->buffer, writer->room);
    writer->segment = writer->lock = -1;
    writer->buffer = NULL;
    writer->used = writer->room = 0;
    return rc;
}
