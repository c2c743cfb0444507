/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Snapshots: a replica's entries and marks in a file, with the position of the transport that they
 * stand for, so that a replica that starts again reads on from there and not from the beginning.
 *
 * The file is a header of 24 bytes ("REMEDSNP", version, reserved, how many records follow) and the
 * records of segment.h, so each has a checksum; the first one's value is the position. The value of
 * the others begins with a byte (0 entry, 1 mark) and the partition (4 bytes, little-endian); then
 * comes the wire form, or a mark's epoch, sequence and time (8 bytes each).
 *
 * It is written beside, under a name that nothing has yet, and renamed, so there is an old one or a
 * new one. It is read once, as another process may write to it meanwhile: what was checked is what
 * is applied, first to a replica beside the real one.
 *
 * Beside the file transport the only part of the core that touches files. What blocks: reading,
 * writing and fsync.
 *
 * Threads: as the replica.
 */
#define _POSIX_C_SOURCE 200809L
#include "base/private_file.h"
#include "repository/replica.h"
#include "repository/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 1u
#define HEAD 5u /* of a value: which, partition */
#define WHOLE                                                                                      \
    (REMED_SEGMENT_RECORD + REMED_KEY_MAX + HEAD + REMED_RECORD_MAX) /* a record at most */
#define BUFFER_BYTES (4 * WHOLE)
#define MARK_BYTES (HEAD + 24u)
#define PATH_BYTES 1024u
#define MOST_NAMES 1000u /* tried for a file beside */

static const uint8_t magic[8] = {'R', 'E', 'M', 'E', 'D', 'S', 'N', 'P'};
static const uint8_t position_key[] = {'p', 'o', 's', 'i', 't', 'i', 'o', 'n'};

/* One that is written or read. */
struct snapshot {
    struct remed_crc crc;
    int file;
    uint64_t count; /* records written or read, that of the position included */
    uint8_t *buffer;
    size_t begin, held; /* what lies in it */
    int number;         /* errno of a read that failed */
    bool ended;         /* all of the file was read */
    size_t position_length;
    uint8_t value[HEAD + REMED_RECORD_MAX]; /* of a record that is written; the position read */
};

static int fail_io(struct remed_error *error, const char *path, const char *what)
{
    int code = errno == ENOENT                     ? REMED_ENOENT
               : errno == EACCES || errno == EPERM ? REMED_EPERM
                                                   : REMED_EIO;
    return remed_error_set(error, code, "snapshot: cannot %s %.100s: %s", what, path,
                           strerror(errno));
}

static struct snapshot *begin(const struct remed_replica *replica)
{
    struct snapshot *snapshot = remed_allocate(&replica->allocator, sizeof *snapshot);
    if (snapshot == NULL)
        return NULL;
    snapshot->file = -1;
    snapshot->buffer = remed_reallocate(&replica->allocator, NULL, 0, BUFFER_BYTES);
    if (snapshot->buffer == NULL) {
        remed_release(&replica->allocator, snapshot, sizeof *snapshot);
        return NULL;
    }
    remed_crc_init(&snapshot->crc);
    return snapshot;
}

static void end(const struct remed_replica *replica, struct snapshot *snapshot)
{
    if (snapshot->file >= 0)
        close(snapshot->file);
    remed_release(&replica->allocator, snapshot->buffer, BUFFER_BYTES);
    remed_release(&replica->allocator, snapshot, sizeof *snapshot);
}

static void store(uint8_t *to, uint64_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

static bool write_all(int file, const uint8_t *bytes, size_t length, off_t at)
{
    while (length > 0) {
        ssize_t got = pwrite(file, bytes, length, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            errno = got == 0 ? ENOSPC : errno;
            return false;
        }
        bytes += got;
        length -= (size_t)got;
        at += got;
    }
    return true;
}

static bool flush(struct snapshot *snapshot)
{
    if (!write_all(snapshot->file, snapshot->buffer, snapshot->held, (off_t)snapshot->begin))
        return false;
    snapshot->begin += snapshot->held;
    snapshot->held = 0;
    return true;
}

static bool put(struct snapshot *snapshot, const uint8_t *key, size_t key_length, size_t length)
{
    const struct remed_message message = {.key = key,
                                          .key_length = key_length,
                                          .value = snapshot->value,
                                          .value_length = length,
                                          .offset = snapshot->count};
    if (snapshot->held > BUFFER_BYTES - WHOLE && !flush(snapshot))
        return false;
    snapshot->held +=
        remed_segment_write(&snapshot->crc, snapshot->buffer + snapshot->held, &message);
    snapshot->count++;
    return true;
}

static bool put_entry(struct snapshot *snapshot, const struct remed_entry *entry)
{
    bool mark = entry->wire_length == 0;
    uint8_t *at = snapshot->value;
    at[0] = mark;
    store(at + 1, entry->partition, 4);
    if (mark) {
        store(at + HEAD, entry->epoch, 8);
        store(at + HEAD + 8, entry->sequence, 8);
        store(at + HEAD + 16, entry->expires, 8);
    } else {
        memcpy(at + HEAD, remed_entry_wire(entry), entry->wire_length);
    }
    return put(snapshot, entry->bytes, entry->key_length,
               mark ? MARK_BYTES : HEAD + entry->wire_length);
}

/* Marks from the oldest on, so that loading gives them the same order. */
static bool put_all(struct snapshot *snapshot, const struct remed_replica *replica,
                    const char *position)
{
    size_t length = strlen(position);
    snapshot->begin = REMED_SEGMENT_HEADER; /* the header comes last */
    memcpy(snapshot->value, position, length);
    bool good = put(snapshot, position_key, sizeof position_key, length);
    for (size_t i = 0; good && i < replica->bucket_count; i++)
        for (const struct remed_entry *entry = replica->buckets[i]; good && entry != NULL;
             entry = entry->chain)
            if (entry->wire_length != 0)
                good = put_entry(snapshot, entry);
    for (const struct remed_entry *mark = replica->oldest; good && mark != NULL;
         mark = mark->as.mark.newer)
        good = put_entry(snapshot, mark);
    return good && flush(snapshot);
}

static bool put_header(struct snapshot *snapshot)
{
    uint8_t header[REMED_SEGMENT_HEADER] = {0};
    memcpy(header, magic, sizeof magic);
    store(header + 8, VERSION, 4);
    store(header + 16, snapshot->count, 8);
    return write_all(snapshot->file, header, sizeof header, 0);
}

/* Makes the new name last over a loss of power. */
static int sync_folder(const char *path, struct remed_error *error)
{
    char folder[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1,
             slash != NULL ? path : ".");
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = file >= 0 && fsync(file) == 0 ? 0 : fail_io(error, folder, "sync the folder");
    if (file >= 0)
        close(file);
    return rc;
}

/* Makes a file beside, under a name that nothing has yet: what lies there is not ours to touch. */
static int create_beside(struct snapshot *snapshot, char beside[PATH_BYTES], const char *path,
                         struct remed_error *error)
{
    int code = REMED_EIO;
    for (unsigned i = 0; i < MOST_NAMES; i++) {
        int length = snprintf(beside, PATH_BYTES, "%s.tmp-%ld-%u", path, (long)getpid(), i);
        if (length >= (int)PATH_BYTES)
            return remed_error_set(error, REMED_ELIMIT, "snapshot: the path is too long");
        int file =
            remed_private_open(AT_FDCWD, beside, O_WRONLY | O_CREAT | O_EXCL, "snapshot", error);
        if (file >= 0) {
            snapshot->file = file;
            return 0;
        }
        code = file;
        if (errno != EEXIST)
            break;
    }
    return code;
}

static int write_beside(struct snapshot *snapshot, const struct remed_replica *replica,
                        const char *beside, const char *position, struct remed_error *error)
{
    if (!put_all(snapshot, replica, position) || !put_header(snapshot))
        return fail_io(error, beside, "write");
    if (fsync(snapshot->file) < 0)
        return fail_io(error, beside, "sync");
    return 0;
}

int remed_replica_save(const struct remed_replica *replica, const char *path, const char *position,
                       struct remed_error *error)
{
    char beside[PATH_BYTES];
    if (strlen(position) > REMED_SNAPSHOT_POSITION_MAX)
        return remed_error_set(error, REMED_ELIMIT, "snapshot: the position is too long");
    struct snapshot *snapshot = begin(replica);
    if (snapshot == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a snapshot");
    int rc = create_beside(snapshot, beside, path, error);
    bool made = rc == 0;
    if (rc == 0)
        rc = write_beside(snapshot, replica, beside, position, error);
    if (rc == 0 && rename(beside, path) < 0)
        rc = fail_io(error, path, "replace");
    if (rc < 0 && made)
        unlink(beside);
    if (rc == 0)
        rc = sync_folder(path, error);
    end(replica, snapshot);
    return rc;
}

/* Fills the buffer behind what is held; false when reading fails. */
static bool fill(struct snapshot *snapshot)
{
    memmove(snapshot->buffer, snapshot->buffer + snapshot->begin, snapshot->held);
    snapshot->begin = 0;
    while (snapshot->held < BUFFER_BYTES) {
        ssize_t got =
            read(snapshot->file, snapshot->buffer + snapshot->held, BUFFER_BYTES - snapshot->held);
        if (got < 0 && errno == EINTR)
            continue;
        snapshot->number = got < 0 ? errno : 0;
        snapshot->ended = got == 0;
        if (got <= 0)
            return got == 0;
        snapshot->held += (size_t)got;
    }
    return true;
}

static void step(struct snapshot *snapshot, size_t bytes)
{
    snapshot->begin += bytes;
    snapshot->held -= bytes;
}

/* The next record: 1, 0 at the end, REMED_EIO, or REMED_EFORMAT for damage. */
static int next(struct snapshot *snapshot, struct remed_message *message)
{
    size_t used;
    if (snapshot->held < WHOLE && !snapshot->ended && !fill(snapshot))
        return REMED_EIO;
    if (snapshot->held == 0)
        return 0;
    if (remed_segment_read(&snapshot->crc, snapshot->buffer + snapshot->begin, snapshot->held,
                           message, &used) != REMED_SEGMENT_OK ||
        message->offset != snapshot->count)
        return REMED_EFORMAT;
    snapshot->count++;
    step(snapshot, used);
    return 1;
}

/* Reads how many records the header promises. */
static int read_header(struct snapshot *snapshot, uint64_t *promised)
{
    const uint8_t *header = snapshot->buffer;
    if (!fill(snapshot))
        return REMED_EIO;
    if (snapshot->held < REMED_SEGMENT_HEADER || memcmp(header, magic, sizeof magic) != 0)
        return REMED_EFORMAT;
    if (remed_load32_little(header + 8) != VERSION)
        return REMED_EUNSUPPORTED;
    if (remed_load32_little(header + 12) != 0)
        return REMED_EFORMAT;
    *promised = remed_load64_little(header + 16);
    step(snapshot, REMED_SEGMENT_HEADER);
    return 0;
}

static bool is_position(const struct remed_message *message)
{
    return message->key_length == sizeof position_key &&
           memcmp(message->key, position_key, sizeof position_key) == 0 &&
           message->value_length <= REMED_SNAPSHOT_POSITION_MAX &&
           (message->value_length == 0 ||
            memchr(message->value, '\0', message->value_length) == NULL);
}

static int read_position(struct snapshot *snapshot)
{
    struct remed_message message;
    int rc = next(snapshot, &message);
    if (rc < 0)
        return rc;
    if (rc == 0 || !is_position(&message))
        return rc == 0 ? REMED_ETRUNCATED : REMED_EFORMAT;
    snapshot->position_length = message.value_length;
    if (message.value_length != 0)
        memcpy(snapshot->value, message.value, message.value_length);
    return 0;
}

static bool is_sound(const struct remed_message *message)
{
    if (message->value_length <= HEAD || message->key_length > REMED_KEY_MAX)
        return false;
    return message->value[0] == 0 ? message->value_length <= HEAD + REMED_RECORD_MAX
                                  : message->value[0] == 1 && message->value_length == MARK_BYTES;
}

/* A mark that finds no room is counted as forgotten, and is no failure. */
static int take_mark(struct remed_replica *staged, const struct remed_message *message)
{
    const uint8_t *at = message->value + HEAD;
    const struct remed_mark mark = {.key = message->key,
                                    .key_length = message->key_length,
                                    .epoch = remed_load64_little(at),
                                    .sequence = remed_load64_little(at + 8),
                                    .observed = remed_load64_little(at + 16),
                                    .partition = remed_load32_little(message->value + 1)};
    if (mark.epoch > REMED_NUMBER_MAX || mark.sequence > REMED_NUMBER_MAX)
        return REMED_EFORMAT;
    int rc = remed_replica_put_mark(staged, &mark);
    return rc == REMED_ENOMEM ? rc : 0;
}

static int take_entry(struct remed_replica *staged, const struct remed_message *message,
                      uint64_t now)
{
    struct remed_message record = *message;
    record.partition = remed_load32_little(message->value + 1);
    record.value += HEAD;
    record.value_length -= HEAD;
    int rc = remed_replica_apply_opened(staged, &record, now, NULL);
    if (rc >= 0 || rc == REMED_ENOMEM || rc == REMED_ELIMIT || rc == REMED_EUNSUPPORTED)
        return rc < 0 ? rc : 0;
    return REMED_EFORMAT; /* its checksum fits, and yet it is no record */
}

/* All that is behind the position: 0, REMED_ELIMIT when not all found room, or what is wrong. */
static int take_records(struct remed_replica *staged, struct snapshot *snapshot, uint64_t promised,
                        uint64_t now)
{
    struct remed_message message;
    int rc, full = 0;
    while ((rc = next(snapshot, &message)) == 1) {
        if (!is_sound(&message))
            return REMED_EFORMAT;
        uint64_t refused = staged->stats.refused;
        rc =
            message.value[0] == 1 ? take_mark(staged, &message) : take_entry(staged, &message, now);
        bool no_room = rc == REMED_ELIMIT && staged->stats.refused != refused;
        if (rc < 0 && !no_room)
            return rc == REMED_ELIMIT ? REMED_EFORMAT : rc;
        full = no_room ? rc : full;
    }
    if (rc == 0 && snapshot->count != promised)
        rc = REMED_ETRUNCATED;
    return rc < 0 ? rc : full;
}

static int read_all(struct remed_replica *staged, struct snapshot *snapshot, uint64_t now)
{
    uint64_t promised = 0;
    int rc = read_header(snapshot, &promised);
    if (rc == 0)
        rc = read_position(snapshot);
    return rc == 0 ? take_records(staged, snapshot, promised, now) : rc;
}

/* Says what is wrong with a file. */
static int blame(const struct snapshot *snapshot, const char *path, int code,
                 struct remed_error *error)
{
    if (code == REMED_EIO)
        return remed_error_set(error, code, "snapshot: cannot read %.100s: %s", path,
                               strerror(snapshot->number));
    if (code == REMED_ENOMEM)
        return remed_error_set(error, code, "snapshot: no memory for what %.100s has", path);
    const char *what = code == REMED_ETRUNCATED ? "cut short" : "damaged, or no snapshot";
    if (code == REMED_EUNSUPPORTED)
        what = "of a version that this library can't read";
    return remed_error_set(error, code, "snapshot: %.100s is %s, at record %llu", path, what,
                           (unsigned long long)snapshot->count);
}

static int load_staged(struct remed_replica *replica, struct snapshot *snapshot, const char *path,
                       char *position, size_t size, uint64_t now, struct remed_error *error)
{
    struct remed_replica *staged = NULL;
    int rc = remed_replica_stage(replica, &staged, error);
    if (rc < 0)
        return rc;
    rc = read_all(staged, snapshot, now);
    bool is_good = rc == 0 || rc == REMED_ELIMIT;
    if (!is_good)
        rc = blame(snapshot, path, rc, error);
    else if (snapshot->position_length >= size)
        rc = remed_error_set(error, REMED_EINVAL, "snapshot: no room for its position");
    if (rc < 0 && rc != REMED_ELIMIT) {
        remed_replica_free(staged);
        return rc;
    }
    memcpy(position, snapshot->value, snapshot->position_length);
    position[snapshot->position_length] = '\0';
    int joined = remed_replica_join(replica, staged, now);
    rc = joined < 0 ? joined : rc;
    if (rc < 0)
        remed_error_set(error, rc, "snapshot: no room for all that %.100s has", path);
    return rc;
}

int remed_replica_load(struct remed_replica *replica, const char *path, char *position, size_t size,
                       uint64_t now, struct remed_error *error)
{
    struct snapshot *snapshot = begin(replica);
    if (snapshot == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a snapshot");
    int rc = remed_private_open(AT_FDCWD, path, O_RDONLY, "snapshot", error);
    if (rc >= 0) {
        snapshot->file = rc;
        rc = load_staged(replica, snapshot, path, position, size, now, error);
    }
    end(replica, snapshot);
    return rc;
}
