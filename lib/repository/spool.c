/* SPDX-License-Identifier: BSD-3-Clause */
/* The spool of spool.h. Threads: belongs to one publisher. */
#define _POSIX_C_SOURCE 200809L
#include "repository/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPOOL_BASE ((uint64_t)1 << 40)
#define LEAST_SEGMENT (64u << 10)
#define MOST_SEGMENT (8u << 20)
#define BUFFER_BYTES (4u << 20)
#define BUFFER_RECORDS 65536u
#define SYNC_NS (10 * 1000000ull)
#define VALUE_BYTES (REMED_SPOOL_TAG + REMED_TRANSPORT_VALUE_MAX)
#define FRONT "front.tmp"

/* The writer tells in order. What was handed out already is the publisher's, whatever the disk did
 * with it. */
static void on_written(void *context, uint64_t tag, int code)
{
    const struct remed_spool *spool = context;
    uint64_t offset = spool->writer.next_offset - spool->writer.tags.count - 1;
    if (code != 0 && offset >= spool->reader.next_offset && spool->lost != NULL)
        spool->lost(spool->context, tag, code);
}

static uint64_t size_of(const struct remed_spool *spool, uint64_t first)
{
    char name[REMED_SEGMENT_NAME];
    struct stat status;
    remed_segment_name(name, first);
    return fstatat(spool->folder, name, &status, 0) == 0 ? (uint64_t)status.st_size : 0;
}

/* Removes segments of delivered records alone, and counts the bytes of those that stay. */
static int tidy(struct remed_spool *spool)
{
    uint64_t *firsts = NULL;
    size_t count, room = 0;
    char name[REMED_SEGMENT_NAME];
    int rc = remed_segment_list(spool->folder, &firsts, &count, &room, &spool->allocator);
    spool->complete_bytes = 0;
    spool->removable_at = UINT64_MAX;
    for (size_t i = 0; rc == 0 && i + 1 < count; i++) {
        remed_segment_name(name, firsts[i]);
        if (firsts[i + 1] <= spool->done && unlinkat(spool->folder, name, 0) == 0)
            continue;
        spool->complete_bytes += size_of(spool, firsts[i]);
        if (spool->removable_at == UINT64_MAX)
            spool->removable_at = firsts[i + 1];
    }
    spool->counted = spool->writer.first;
    remed_release(&spool->allocator, firsts, room * sizeof *firsts);
    return rc;
}

/* The first offset that is there. */
static int oldest(struct remed_spool *spool, uint64_t *first)
{
    uint64_t *firsts = NULL;
    size_t count, room = 0;
    int rc = remed_segment_list(spool->folder, &firsts, &count, &room, &spool->allocator);
    *first = rc == 0 && count > 0 ? firsts[0] : spool->writer.first;
    remed_release(&spool->allocator, firsts, room * sizeof *firsts);
    return rc;
}

static int open_folder(struct remed_spool *spool, const char *path, struct remed_error *error)
{
    if (snprintf(spool->path, sizeof spool->path, "%s", path) >= (int)sizeof spool->path)
        return remed_error_set(error, REMED_EINVAL, "spool: the path is too long");
    if (mkdir(path, 0777) < 0 && errno != EEXIST)
        return remed_error_set(error, errno == ENOENT ? REMED_ENOENT : REMED_EPERM,
                               "spool: cannot make %s: %s", path, strerror(errno));
    spool->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (spool->folder < 0)
        return remed_error_set(error, errno == EACCES ? REMED_EPERM : REMED_EIO, "spool: %s: %s",
                               path, strerror(errno));
    return 0;
}

/* Not a spool that begins at its base: a repository, which would be handed out and removed. */
static int check_folder(struct remed_spool *spool, struct remed_error *error)
{
    uint64_t first;
    if (oldest(spool, &first) < 0)
        return remed_error_set(error, REMED_EIO, "spool: cannot list %s", spool->path);
    return first >= SPOOL_BASE / 2
               ? 0
               : remed_error_set(error, REMED_EINVAL, "spool: %s has segments of something else",
                                 spool->path);
}

static int open_writer(struct remed_spool *spool, struct remed_error *error)
{
    struct remed_file_writer *writer = &spool->writer;
    uint64_t segment = spool->max_bytes / 16;
    writer->crc = &spool->crc;
    writer->events = &spool->events;
    writer->folder = spool->folder;
    writer->allocator = spool->allocator;
    writer->segment_bytes = segment < LEAST_SEGMENT  ? LEAST_SEGMENT
                            : segment > MOST_SEGMENT ? MOST_SEGMENT
                                                     : segment;
    writer->max_bytes = BUFFER_BYTES;
    writer->sync = REMED_SYNC_INTERVAL;
    writer->interval = SYNC_NS;
    writer->base = SPOOL_BASE;
    writer->lock = writer->segment = -1;
    if (remed_tags_init(&writer->tags, BUFFER_RECORDS, &spool->allocator) < 0)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a spool");
    int rc = remed_file_writer_open(writer, spool->path, error);
    if (rc != REMED_EBUSY)
        return rc;
    if (error != NULL)
        error->code = REMED_EPERM;
    return REMED_EPERM; /* trying again at once is no use */
}

int remed_spool_open(struct remed_spool *spool, const char *path, uint64_t max_bytes,
                     const struct remed_allocator *allocator, struct remed_error *error)
{
    memset(spool, 0, sizeof *spool);
    spool->writer.first = SPOOL_BASE; /* until it is open */
    spool->folder = spool->writer.lock = spool->writer.segment = spool->reader.segment = -1;
    spool->allocator = *allocator;
    spool->max_bytes = max_bytes;
    spool->events = (struct remed_transport_events){.context = spool, .delivered = on_written};
    remed_crc_init(&spool->crc);
    int rc = open_folder(spool, path, error);
    if (rc == 0)
        rc = check_folder(spool, error);
    if (rc == 0)
        rc = open_writer(spool, error);
    spool->reader = (struct remed_file_reader){.crc = &spool->crc,
                                               .folder = spool->folder,
                                               .segment = -1,
                                               .allocator = *allocator,
                                               .passes_damage = true};
    if (rc == 0) {
        spool->value = remed_reallocate(allocator, NULL, 0, VALUE_BYTES);
        if (spool->value == NULL || oldest(spool, &spool->done) < 0 || tidy(spool) < 0 ||
            remed_file_reader_begin(&spool->reader, spool->done) < 0)
            rc = remed_error_set(error, REMED_ENOMEM, "no memory for a spool");
        spool->inherited = spool->writer.next_offset;
    }
    if (rc < 0)
        (void)remed_spool_close(spool, NULL);
    return rc;
}

static uint64_t bytes_of(const struct remed_spool *spool)
{
    return spool->complete_bytes + spool->writer.length + spool->writer.used;
}

/* A message with its tag before the value. */
static struct remed_message with_tag(struct remed_spool *spool, const struct remed_message *message,
                                     uint64_t tag)
{
    struct remed_message own = *message;
    for (unsigned i = 0; i < REMED_SPOOL_TAG; i++)
        spool->value[i] = (uint8_t)(tag >> 8 * i);
    if (message->value_length != 0)
        memcpy(spool->value + REMED_SPOOL_TAG, message->value, message->value_length);
    own.value = spool->value;
    own.value_length += REMED_SPOOL_TAG;
    return own;
}

int remed_spool_put(struct remed_spool *spool, const struct remed_message *message, uint64_t tag,
                    struct remed_error *error)
{
    size_t wanted =
        REMED_SEGMENT_RECORD + message->key_length + message->value_length + REMED_SPOOL_TAG;
    if (message->value_length > REMED_TRANSPORT_VALUE_MAX - REMED_SPOOL_TAG)
        return remed_error_set(error, REMED_ELIMIT, "spool: a value of %zu bytes",
                               message->value_length);
    if (bytes_of(spool) + wanted > spool->max_bytes)
        return remed_error_set(error, REMED_EBUSY, "spool: %llu of %llu bytes are in use",
                               (unsigned long long)bytes_of(spool),
                               (unsigned long long)spool->max_bytes);
    const struct remed_message own = with_tag(spool, message, tag);
    return remed_file_writer_publish(&spool->writer, &own, tag, error);
}

/* A reader waits at damage in the last segment, as it may be a record on its way. Here it is none
 * when all is written: a new segment makes the damaged one complete. True: read again. */
static bool step_over_damage(struct remed_spool *spool)
{
    struct remed_file_writer *writer = &spool->writer;
    if (spool->reader.next_offset == writer->next_offset || writer->used != 0)
        return false;
    if (writer->length > REMED_SEGMENT_HEADER) {
        uint64_t before = writer->first;
        remed_file_writer_roll(writer, UINT64_MAX);
        return writer->first != before;
    }
    spool->reader.next_offset = writer->next_offset; /* nothing whole comes any more */
    return false;
}

int remed_spool_next(struct remed_spool *spool, struct remed_message *message, uint64_t *tag)
{
    int rc;
    do {
        rc = remed_file_reader_next(&spool->reader, message);
        if (rc == 1 && message->value_length < REMED_SPOOL_TAG)
            spool->reader.damaged++; /* not written by a publisher */
        else if (rc != 0 || !step_over_damage(spool))
            break;
    } while (true);
    if (rc != 1)
        return rc;
    *tag = remed_load64_little(message->value);
    message->value += REMED_SPOOL_TAG;
    message->value_length -= REMED_SPOOL_TAG;
    if (message->value_length == 0)
        message->value = NULL;
    return 1;
}

void remed_spool_done(struct remed_spool *spool, uint64_t offset)
{
    if (offset > spool->done)
        spool->done = offset;
}

int remed_spool_process(struct remed_spool *spool, uint64_t now, struct remed_error *error)
{
    struct remed_file_writer *writer = &spool->writer;
    uint64_t done = spool->done;
    int rc = remed_file_writer_process(writer, now, error);
    /* Nothing waits: a new segment, so that a restart finds nothing to hand out again. */
    bool empty = rc == 0 && done == writer->next_offset && writer->used == 0;
    if (empty && writer->length > REMED_SEGMENT_HEADER)
        remed_file_writer_roll(writer, now);
    if (rc == 0 && (writer->first != spool->counted || done >= spool->removable_at))
        rc = tidy(spool);
    return rc;
}

uint64_t remed_spool_deadline(const struct remed_spool *spool)
{
    return spool->folder >= 0 ? remed_file_writer_deadline(&spool->writer) : UINT64_MAX;
}

int remed_spool_front_begin(struct remed_spool *spool, struct remed_spool_front *front,
                            uint64_t count, size_t bytes)
{
    uint64_t first;
    int rc = oldest(spool, &first);
    if (rc < 0 || first < count)
        return rc < 0 ? rc : REMED_ELIMIT;
    *front = (struct remed_spool_front){.first = first - count, .next = first - count};
    front->room =
        REMED_SEGMENT_HEADER + bytes + (size_t)count * (REMED_SEGMENT_RECORD + REMED_SPOOL_TAG);
    front->bytes = remed_reallocate(&spool->allocator, NULL, 0, front->room);
    if (front->bytes == NULL)
        return REMED_ENOMEM;
    remed_segment_header(front->bytes, 0);
    front->used = REMED_SEGMENT_HEADER;
    return 0;
}

void remed_spool_front_put(struct remed_spool *spool, struct remed_spool_front *front,
                           const struct remed_message *message)
{
    struct remed_message own = with_tag(spool, message, 0);
    own.offset = front->next++;
    front->used += remed_segment_write(&spool->crc, front->bytes + front->used, &own);
}

int remed_spool_front_end(struct remed_spool *spool, struct remed_spool_front *front)
{
    char name[REMED_SEGMENT_NAME];
    size_t done = 0;
    int file = openat(spool->folder, FRONT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool good = file >= 0;
    while (good && done < front->used) {
        ssize_t got = write(file, front->bytes + done, front->used - done);
        good = got > 0 || (got < 0 && errno == EINTR);
        done += got > 0 ? (size_t)got : 0;
    }
    remed_segment_name(name, front->first);
    good = good && fsync(file) == 0 && renameat(spool->folder, FRONT, spool->folder, name) == 0 &&
           fsync(spool->folder) == 0;
    if (file >= 0)
        close(file);
    if (file >= 0 && !good)
        unlinkat(spool->folder, FRONT, 0);
    remed_release(&spool->allocator, front->bytes, front->room);
    front->bytes = NULL;
    return good ? 0 : REMED_EIO;
}

int remed_spool_close(struct remed_spool *spool, struct remed_error *error)
{
    int rc = 0;
    if (spool->writer.segment >= 0)
        rc = remed_file_writer_close(&spool->writer, error);
    else if (spool->writer.lock >= 0)
        close(spool->writer.lock);
    remed_tags_fini(&spool->writer.tags, &spool->allocator);
    remed_file_reader_end(&spool->reader);
    remed_release(&spool->allocator, spool->value, VALUE_BYTES);
    if (spool->folder >= 0)
        close(spool->folder);
    spool->value = NULL;
    spool->folder = -1;
    return rc;
}
