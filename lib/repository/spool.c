/* SPDX-License-Identifier: BSD-3-Clause */
/* The spool of spool.h. Threads: belongs to one publisher. */
#define _POSIX_C_SOURCE 200809L
#include "repository/spool.h"

#include "base/private_file.h"

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
#define VALUE_BYTES (REMED_SPOOL_HEAD + REMED_TRANSPORT_VALUE_MAX)
#define BLOCK 4096u

/* The writer tells in order. What was handed out already is the publisher's, whatever the disk did
 * with it. */
static void spool_on_written(void *context, uint64_t tag, int code)
{
    const struct remed_spool *spool = context;
    const struct remed_file_writer *writer = &spool->writer;
    uint64_t offset = writer->next_offset - writer->tags.count - 1;
    if (code == 0 || offset < spool->reader.next_offset || spool->lost == NULL)
        return;
    char cause[REMED_ERROR_MESSAGE_SIZE];
    const char *why = writer->full != 0 ? strerror(writer->full) : remed_strerror(code);
    snprintf(cause, sizeof cause, "spool %.80s: %.140s", spool->path,
             writer->failure.code != 0 ? writer->failure.message : why);
    spool->lost(spool->context, tag, code, cause);
}

static uint64_t spool_rounded(uint64_t bytes)
{
    return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

static int spool_fail(const struct remed_spool *spool, const char *what, struct remed_error *error)
{
    return remed_error_set(error, REMED_EIO, "spool: cannot %s %s: %s", what, spool->path,
                           errno != 0 ? strerror(errno) : "no memory");
}

static int spool_list(struct remed_spool *spool, uint64_t **firsts, size_t *count, size_t *room,
                      struct remed_error *error)
{
    errno = 0;
    int rc = remed_segment_list(spool->folder, firsts, count, room, &spool->allocator);
    if (rc == REMED_ENOMEM)
        return remed_error_set(error, rc, "no memory for a spool");
    return rc < 0 ? spool_fail(spool, "list", error) : 0;
}

/* Removes a segment of delivered records alone, or adds its bytes: 1 when it stays, 0, an error. */
static int spool_drop(struct remed_spool *spool, uint64_t first, uint64_t next, uint64_t *bytes)
{
    char name[REMED_SEGMENT_NAME];
    struct stat status;
    remed_segment_name(name, first);
    if (next <= spool->done && unlinkat(spool->folder, name, 0) == 0)
        return 0;
    if (fstatat(spool->folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        *bytes += spool_rounded((uint64_t)status.st_size);
    else if (errno != ENOENT)
        return REMED_EIO;
    return 1;
}

/* Removes what can go, and counts the bytes of what stays. */
static int spool_tidy(struct remed_spool *spool, struct remed_error *error)
{
    uint64_t *firsts = NULL, bytes = 0, removable_at = UINT64_MAX;
    size_t count, room = 0;
    int rc = spool_list(spool, &firsts, &count, &room, error);
    for (size_t i = 0; rc == 0 && i + 1 < count; i++) {
        int stays = spool_drop(spool, firsts[i], firsts[i + 1], &bytes);
        if (stays < 0)
            rc = spool_fail(spool, "look at the segments of", error);
        else if (stays == 1 && removable_at == UINT64_MAX && firsts[i + 1] > spool->done)
            removable_at = firsts[i + 1];
    }
    remed_release(&spool->allocator, firsts, room * sizeof *firsts);
    if (rc < 0)
        return rc;
    spool->removable_at = removable_at;
    spool->complete_bytes = bytes;
    spool->counted = spool->writer.first;
    return 0;
}

int remed_spool_oldest(struct remed_spool *spool, uint64_t *first, struct remed_error *error)
{
    uint64_t *firsts = NULL;
    size_t count, room = 0;
    int rc = spool_list(spool, &firsts, &count, &room, error);
    *first = rc == 0 && count > 0 ? firsts[0] : spool->writer.first;
    remed_release(&spool->allocator, firsts, room * sizeof *firsts);
    return rc;
}

static int spool_open_folder(struct remed_spool *spool, const char *path, struct remed_error *error)
{
    if (snprintf(spool->path, sizeof spool->path, "%s", path) >= (int)sizeof spool->path)
        return remed_error_set(error, REMED_EINVAL, "spool: the path is too long");
    int fd = remed_private_folder(path, "spool", error);
    if (fd < 0)
        return fd;
    spool->folder = fd;
    return 0;
}

/* Not a spool that begins at its base: a repository, which would be handed out and removed. */
static int spool_check_folder(struct remed_spool *spool, struct remed_error *error)
{
    uint64_t first;
    int rc = remed_spool_oldest(spool, &first, error);
    if (rc < 0)
        return rc;
    return first >= SPOOL_BASE / 2
               ? 0
               : remed_error_set(error, REMED_EINVAL, "spool: %s has segments of something else",
                                 spool->path);
}

static int spool_open_writer(struct remed_spool *spool, struct remed_error *error)
{
    struct remed_file_writer *writer = &spool->writer;
    uint64_t segment = spool->max_bytes / 16;
    remed_file_writer_init(writer, &spool->crc, spool->folder, &spool->allocator);
    writer->events = &spool->events;
    writer->segment_bytes = segment < LEAST_SEGMENT  ? LEAST_SEGMENT
                            : segment > MOST_SEGMENT ? MOST_SEGMENT
                                                     : segment;
    writer->max_bytes = BUFFER_BYTES;
    writer->sync = REMED_SYNC_INTERVAL;
    writer->interval = SYNC_NS;
    writer->base = SPOOL_BASE;
    if (remed_tags_init(&writer->tags, BUFFER_RECORDS, &spool->allocator) < 0)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a spool");
    int rc = remed_file_writer_open(writer, spool->path, error);
    if (rc != REMED_EBUSY)
        return rc;
    return remed_error_set(error, REMED_EPERM, /* trying again at once is no use */
                           "spool: another process uses %s", spool->path);
}

static void spool_make_reader(struct remed_spool *spool)
{
    remed_file_reader_init(&spool->reader, &spool->crc, spool->folder, spool->path,
                           &spool->allocator);
    spool->reader.passes_damage = true;
}

/* Where the handing out begins, and what is there. */
static int spool_begin(struct remed_spool *spool, struct remed_error *error)
{
    spool->value = remed_reallocate(&spool->allocator, NULL, 0, VALUE_BYTES);
    if (spool->value == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a spool");
    int rc = remed_spool_oldest(spool, &spool->done, error);
    if (rc == 0)
        rc = spool_tidy(spool, error);
    if (rc == 0 && remed_file_reader_begin(&spool->reader, spool->done) < 0)
        rc = remed_error_set(error, REMED_ENOMEM, "no memory for a spool");
    spool->inherited = spool->writer.next_offset;
    return rc;
}

/* What waits for one repository is not another's. */
static int spool_claim(struct remed_spool *spool, const char *uri, struct remed_error *error)
{
    struct remed_spool_state *state = &spool->state;
    char own[REMED_SPOOL_URI_MAX];
    int rc = remed_spool_state_load(state, spool->folder, spool->path, &spool->crc,
                                    &spool->allocator, error);
    if (rc < 0)
        return rc;
    remed_spool_identity(uri, own, sizeof own);
    if (strcmp(own, state->uri) == 0)
        return 0;
    if (state->uri[0] != '\0' && remed_spool_waiting(spool) > 0)
        return remed_error_set(error, REMED_EINVAL,
                               "spool: %.60s has records for %.70s; publish there first, or remove "
                               "its file %s to have them delivered here",
                               spool->path, state->uri, REMED_SPOOL_STATE);
    remed_spool_state_position(state, NULL); /* it was another repository's */
    memcpy(state->uri, own, sizeof own);
    return 0;
}

void remed_spool_init(struct remed_spool *spool)
{
    memset(spool, 0, sizeof *spool);
    spool->writer.first = SPOOL_BASE; /* until it is open */
    spool->folder = spool->writer.lock = spool->writer.segment = spool->reader.segment = -1;
}

int remed_spool_open(struct remed_spool *spool, const char *path, const char *uri,
                     uint64_t max_bytes, const struct remed_allocator *allocator,
                     struct remed_error *error)
{
    remed_spool_init(spool);
    spool->allocator = spool->state.allocator = *allocator;
    spool->max_bytes = max_bytes;
    spool->events =
        (struct remed_transport_events){.context = spool, .delivered = spool_on_written};
    remed_crc_init(&spool->crc);
    int rc = spool_open_folder(spool, path, error);
    if (rc == 0)
        rc = spool_check_folder(spool, error);
    if (rc == 0)
        rc = spool_open_writer(spool, error);
    spool_make_reader(spool);
    if (rc == 0) {
        remed_spool_front_clear(spool);
        rc = spool_begin(spool, error);
    }
    if (rc == 0)
        rc = spool_claim(spool, uri, error);
    if (rc < 0)
        (void)remed_spool_close(spool, NULL);
    return rc;
}

int remed_spool_save(struct remed_spool *spool, struct remed_error *error)
{
    return remed_spool_state_save(&spool->state, spool->folder, spool->path, &spool->crc, error);
}

/* What a message takes in a segment. */
static uint64_t spool_cost(size_t key_length, size_t value_length)
{
    return REMED_SEGMENT_RECORD + REMED_SPOOL_HEAD + (uint64_t)key_length + value_length;
}

static uint64_t spool_bytes(const struct remed_spool *spool, uint64_t more, uint64_t front)
{
    uint64_t own = spool_rounded(spool->writer.length + spool->writer.used + more) + BLOCK;
    uint64_t state = 2 * spool_rounded(spool->state.bytes + BLOCK / 4); /* while it is replaced */
    uint64_t ahead = front != 0 ? spool_rounded(REMED_SEGMENT_HEADER + front) : 0;
    return spool->complete_bytes + own + state + ahead +
           3 * BLOCK; /* folder, lock, what is small */
}

static int spool_refuse(struct remed_spool *spool, struct remed_error *error)
{
    spool->refused = true;
    return remed_error_set(error, REMED_EBUSY, "spool: all of %llu bytes in %.120s are in use",
                           (unsigned long long)spool->max_bytes, spool->path);
}

int remed_spool_reserve(struct remed_spool *spool, size_t key_length, size_t value_length,
                        struct remed_error *error)
{
    uint64_t front = spool->front_bytes + spool_cost(key_length, value_length);
    if (spool_bytes(spool, 0, front) > spool->max_bytes)
        return spool_refuse(spool, error);
    spool->front_bytes = front;
    spool->refused = false;
    return 0;
}

void remed_spool_unreserve(struct remed_spool *spool, size_t key_length, size_t value_length)
{
    spool->front_bytes -= spool_cost(key_length, value_length);
}

size_t remed_spool_trouble(const struct remed_spool *spool, char *text, size_t size)
{
    int length = 0;
    if (size > 0)
        text[0] = '\0';
    if (spool->writer.full != 0)
        length = snprintf(text, size, "spool %.120s: %s; tries again until there is room",
                          spool->path, strerror(spool->writer.full));
    else if (spool->refused)
        length = snprintf(text, size, "spool %.120s: all of %llu bytes are in use", spool->path,
                          (unsigned long long)spool->max_bytes);
    return length > 0 ? (size_t)length : 0;
}

/* A message with its head before the value. */
struct remed_message remed_spool_with_head(struct remed_spool *spool,
                                           const struct remed_message *message, uint64_t tag,
                                           unsigned filled)
{
    struct remed_message own = *message;
    for (unsigned i = 0; i < REMED_SPOOL_TAG; i++)
        spool->value[i] = (uint8_t)(tag >> 8 * i);
    spool->value[REMED_SPOOL_TAG] = (uint8_t)filled;
    if (message->value_length != 0)
        memcpy(spool->value + REMED_SPOOL_HEAD, message->value, message->value_length);
    own.value = spool->value;
    own.value_length += REMED_SPOOL_HEAD;
    return own;
}

int remed_spool_put(struct remed_spool *spool, const struct remed_message *message, uint64_t tag,
                    unsigned filled, struct remed_error *error)
{
    uint64_t wanted = spool_cost(message->key_length, message->value_length);
    if (message->value_length > REMED_TRANSPORT_VALUE_MAX - REMED_SPOOL_HEAD)
        return remed_error_set(error, REMED_ELIMIT, "spool: a value of %zu bytes, more than %u",
                               message->value_length, REMED_TRANSPORT_VALUE_MAX - REMED_SPOOL_HEAD);
    if (spool_bytes(spool, wanted, spool->front_bytes) > spool->max_bytes)
        return spool_refuse(spool, error);
    const struct remed_message own = remed_spool_with_head(spool, message, tag, filled);
    int rc = remed_file_writer_publish(&spool->writer, &own, tag, error);
    spool->refused &= rc != 0;
    return rc;
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

/* Parts a value from what is before it. */
static void spool_take_head(struct remed_message *message, uint64_t *tag, unsigned *filled)
{
    size_t head = REMED_SPOOL_TAG;
    *tag = remed_load64_little(message->value);
    *filled = REMED_FILLED_UNKNOWN;
    if (message->value_length > head && message->value[head] < REMED_FILLED_UNKNOWN)
        *filled = message->value[head++];
    message->value += head;
    message->value_length -= head;
    if (message->value_length == 0)
        message->value = NULL;
}

int remed_spool_rewind(struct remed_spool *spool, struct remed_error *error)
{
    remed_file_reader_end(&spool->reader);
    spool_make_reader(spool);
    return remed_file_reader_begin(&spool->reader, spool->done) < 0
               ? remed_error_set(error, REMED_ENOMEM, "no memory for a spool")
               : 0;
}

int remed_spool_next(struct remed_spool *spool, struct remed_message *message, uint64_t *tag,
                     unsigned *filled)
{
    int rc;
    do {
        rc = remed_file_reader_next(&spool->reader, message);
        if (rc == 1 && message->value_length < REMED_SPOOL_TAG)
            spool->reader.damaged++; /* not written by a publisher */
        else if (rc != 0 || !step_over_damage(spool))
            break;
    } while (true);
    if (rc == 1)
        spool_take_head(message, tag, filled);
    return rc;
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
    spool->refused &= spool->done < writer->next_offset || spool->front_bytes != 0;
    /* Nothing waits: a new segment, so that a restart finds nothing to hand out again. */
    bool empty = rc == 0 && done == writer->next_offset && writer->used == 0;
    if (empty && writer->length > REMED_SEGMENT_HEADER)
        remed_file_writer_roll(writer, now);
    if (rc == 0 && (writer->first != spool->counted || done >= spool->removable_at))
        rc = spool_tidy(spool, error);
    return rc;
}

uint64_t remed_spool_deadline(const struct remed_spool *spool)
{
    return spool->folder >= 0 ? remed_file_writer_deadline(&spool->writer) : UINT64_MAX;
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
    remed_spool_state_end(&spool->state);
    if (spool->folder >= 0)
        close(spool->folder);
    spool->value = NULL;
    spool->folder = -1;
    return rc;
}
