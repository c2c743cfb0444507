/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * file: the embedded default. A folder of append-only segments, one process that writes, any number
 * that read (docs/transports.md). The writing half takes its lock with the first publication, so a
 * reader needs none.
 *
 * Parameters: sync=always|never|TIME (10ms), segment=SIZE (64MiB), compact=N complete segments (4;
 * 0 never), memory=SIZE for a compaction's keys (256MiB).
 *
 * What blocks: reading, writing, and fdatasync, in process and close; the first publication reads
 * the last segment, and a subscription from the end or a position as well.
 *
 * Threads: one thread a transport.
 */
#define _POSIX_C_SOURCE 200809L
#include "repository/drivers.h"
#include "repository/file_aside.h"
#include "repository/file_compact.h"
#include "repository/file_id.h"
#include "repository/file_watch.h"
#include "repository/file_writer.h"
#include "repository/position.h"
#include "repository/uri.h"

#include "base/entropy.h"
#include "base/private_file.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MESSAGES_A_PROCESS 1024u
#define TAIL_NS REMED_NS_PER_S /* bytes at the end that are no record for so long are damage */

/* Bytes at the end of the last segment that are no whole record, perhaps on their way. */
struct tail {
    bool waits;
    uint64_t first, at; /* where */
    uint64_t since;
};

struct file_transport {
    int folder; /* -1: not open */
    char path[1024];
    struct remed_crc crc;
    struct remed_transport_events events;
    struct remed_file_writer writer;
    struct remed_file_compact compact;
    struct remed_file_reader reader;
    struct remed_file_watch watch;
    struct tail tail;
    bool writes, reads, caught_up;
    uint64_t id;            /* of the repository; 0: it has none yet, or a damaged one */
    uint64_t drawn;         /* what it gets when it has none */
    uint64_t compact_after; /* complete segments; 0 never */
    uint64_t rolled;        /* the writer's segment when a compaction was last considered */
    uint64_t aside;         /* segments with damage that compactions have left */
    char aside_name[REMED_ASIDE_NAME]; /* of one */
    struct remed_error id_error;       /* what is wrong with the id */
    struct remed_log log;
    struct remed_allocator allocator;
};

static void say(const struct file_transport *file, enum remed_log_level level, const char *format,
                ...) __attribute__((format(printf, 3, 4)));

static void say(const struct file_transport *file, enum remed_log_level level, const char *format,
                ...)
{
    char message[REMED_ERROR_MESSAGE_SIZE + 128];
    va_list arguments;
    int number = errno;
    if (file->log.write == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    bool named = strncmp(message, "file: ", 6) == 0; /* an error's message names the module */
    file->log.write(file->log.context, level, "file", named ? message + 6 : message);
    errno = number;
}

static int read_sync(struct remed_file_writer *writer, const struct remed_uri *uri,
                     struct remed_error *error)
{
    char text[32];
    writer->sync = REMED_SYNC_INTERVAL;
    writer->interval = 10 * 1000000ull;
    if (remed_uri_parameter(uri, "sync", text, sizeof text) == 1) {
        if (strcmp(text, "always") == 0)
            writer->sync = REMED_SYNC_ALWAYS;
        else if (strcmp(text, "never") == 0)
            writer->sync = REMED_SYNC_NEVER;
        if (writer->sync != REMED_SYNC_INTERVAL)
            return 0;
    }
    return remed_uri_time(uri, "sync", &writer->interval, error);
}

static int read_parameters(struct file_transport *file, const struct remed_uri *uri,
                           struct remed_error *error)
{
    static const char *const names[] = {"sync", "segment", "compact", "memory", NULL};
    char text[24];
    uint64_t memory = 256u << 20;
    file->writer.segment_bytes = 64u << 20;
    file->compact_after = 4;
    int rc = remed_uri_check(uri, names, error);
    if (rc == 0)
        rc = read_sync(&file->writer, uri, error);
    if (rc == 0)
        rc = remed_uri_size(uri, "segment", &file->writer.segment_bytes, error);
    if (rc == 0)
        rc = remed_uri_size(uri, "memory", &memory, error);
    if (rc == 0 && remed_uri_parameter(uri, "compact", text, sizeof text) == 1) {
        char *end;
        file->compact_after = strtoul(text, &end, 10);
        if (*text == '\0' || *end != '\0' || *text == '-')
            rc = remed_error_set(error, REMED_EINVAL, "file: compact is a number of segments");
    }
    if (rc == 0 && file->writer.segment_bytes < 4096)
        rc = remed_error_set(error, REMED_EINVAL, "file: segment is at least 4KiB");
    file->compact.max_bytes = (size_t)memory;
    return rc;
}

static int open_folder(struct file_transport *file, const struct remed_uri *uri,
                       struct remed_error *error)
{
    if (uri->host[0] != '\0' || uri->path[0] == '\0')
        return remed_error_set(error, REMED_EINVAL,
                               "file: wants a folder, as in file:///var/lib/remediate");
    if (snprintf(file->path, sizeof file->path, "%s", uri->path) >= (int)sizeof file->path)
        return remed_error_set(error, REMED_EINVAL, "file: the path has more than %zu bytes",
                               sizeof file->path - 1);
    int fd = remed_private_folder(file->path, "file", error);
    file->folder = fd < 0 ? -1 : fd;
    return fd < 0 ? fd : 0;
}

/* A secret that keys are hashed with, and an id for a repository without one. */
static int draw(struct file_transport *file, const struct remed_entropy *entropy,
                struct remed_error *error)
{
    static const uint64_t none[2] = {0, 0};
    uint64_t drawn[2];
    int rc = remed_entropy_secret(file->compact.secret, none, entropy, error);
    if (rc == 0)
        rc = remed_entropy_secret(drawn, none, entropy, error);
    if (rc == 0)
        file->drawn = drawn[0] != 0 ? drawn[0] : 1;
    return rc;
}

static void release(struct file_transport *file)
{
    struct remed_allocator allocator = file->allocator;
    remed_tags_fini(&file->writer.tags, &allocator);
    if (file->folder >= 0)
        close(file->folder);
    remed_release(&allocator, file, sizeof *file);
}

static int file_open(void **state, const struct remed_uri *uri,
                     const struct remed_transport_opts *opts,
                     const struct remed_transport_events *events, struct remed_error *error)
{
    struct remed_allocator allocator = remed_allocator_or_default(opts->allocator);
    struct file_transport *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a transport");
    made->allocator = allocator;
    made->folder = -1;
    made->events = *events;
    made->log = opts->log;
    remed_crc_init(&made->crc);
    remed_file_writer_init(&made->writer, &made->crc, -1, &allocator);
    remed_file_reader_init(&made->reader, &made->crc, -1, made->path, &allocator);
    remed_file_compact_init(&made->compact, &made->crc, -1, made->path, &allocator);
    remed_file_watch_init(&made->watch);
    int rc = read_parameters(made, uri, error);
    if (rc == 0)
        rc = open_folder(made, uri, error);
    if (rc == 0)
        rc = draw(made, opts->entropy, error);
    if (rc == 0 && remed_tags_init(&made->writer.tags, opts->max_pending, &allocator) < 0)
        rc = remed_error_set(error, REMED_ENOMEM, "no memory for a transport");
    if (rc < 0) {
        release(made);
        return rc;
    }
    made->writer.folder = made->compact.folder = made->folder;
    made->writer.path = made->path;
    made->writer.events = &made->events;
    made->writer.max_bytes = opts->max_pending_bytes;
    *state = made;
    return 0;
}

/* Keeps what is wrong with the id: it hinders nobody but those who come with a position. */
static int take_id_error(struct file_transport *file, int rc, const struct remed_error *error)
{
    if (rc != REMED_EFORMAT)
        return rc;
    file->id_error = *error;
    return 0;
}

static void tell_recovery(const struct file_transport *file)
{
    char name[REMED_SEGMENT_NAME];
    const struct remed_file_writer *writer = &file->writer;
    remed_segment_name(name, writer->damaged_first);
    if (writer->cut != 0)
        say(file, REMED_LOG_NOTICE,
            "%s/%s: cut off %llu bytes of a record that was never written to its end", file->path,
            name, (unsigned long long)writer->cut);
    if (writer->damaged != 0)
        say(file, REMED_LOG_WARNING,
            "%s/%s: byte %llu: %llu bytes are no record; they stay, and what is new goes "
            "behind",
            file->path, name, (unsigned long long)writer->damaged_place,
            (unsigned long long)writer->damaged);
}

static int open_writer(struct file_transport *file, struct remed_error *error)
{
    struct remed_error own;
    int rc = remed_file_writer_open(&file->writer, file->path, &own);
    if (rc == 0)
        rc = take_id_error(
            file,
            remed_file_id_make(file->folder, file->path, &file->crc, file->drawn, &file->id, &own),
            &own);
    if (rc == 0) {
        file->writes = true;
        file->rolled = file->writer.first;
        tell_recovery(file);
        if (file->id_error.code != 0)
            say(file, REMED_LOG_WARNING, "%s", file->id_error.message);
        return 0;
    }
    (void)remed_file_writer_close(&file->writer, NULL);
    file->id = 0;
    if (rc == REMED_EBUSY)
        rc = own.code = REMED_EPERM; /* trying again at once is no use */
    if (error != NULL)
        *error = own;
    return rc;
}

static int file_publish(void *state, const struct remed_message *message, uint64_t tag,
                        struct remed_error *error)
{
    struct file_transport *file = state;
    int rc = file->writes ? 0 : open_writer(file, error);
    return rc < 0 ? rc : remed_file_writer_publish(&file->writer, message, tag, error);
}

static void make_reader(struct file_transport *file)
{
    remed_file_reader_init(&file->reader, &file->crc, file->folder, file->path, &file->allocator);
}

/* Where the last segment begins: 1, 0 without one, an error. */
static int find_last(struct file_transport *file, uint64_t *first, struct remed_error *error)
{
    uint64_t *firsts = NULL;
    size_t count = 0, room = 0;
    int rc = remed_segment_list(file->folder, &firsts, &count, &room, &file->allocator);
    int number = errno;
    if (rc == 0 && count > 0)
        *first = firsts[count - 1];
    remed_release(&file->allocator, firsts, room * sizeof *firsts);
    if (rc < 0)
        return remed_error_set(error, rc, "file: cannot list %.150s: %s", file->path,
                               rc == REMED_ENOMEM ? "no memory" : strerror(number));
    return count > 0;
}

/* Reads the last segment through, to stand behind its last record or at `until`. */
static int read_last(struct file_transport *file, uint64_t first, uint64_t until)
{
    struct remed_message message;
    int rc = remed_file_reader_begin(&file->reader, first);
    while (rc >= 0 && file->reader.next_offset < until)
        if ((rc = remed_file_reader_next(&file->reader, &message)) <= 0)
            break;
    return rc < 0 ? rc : 0;
}

/* A position beyond what there is would wait for records that others get the numbers of. Where the
 * end is damaged, nobody knows. */
static int check_end(struct file_transport *file, uint64_t first, uint64_t position,
                     struct remed_error *error)
{
    make_reader(file);
    int rc = read_last(file, first, position);
    if (rc < 0 && error != NULL)
        *error = file->reader.error;
    else if (file->reader.next_offset < position && file->reader.damaged == 0 &&
             !file->reader.waits)
        rc = remed_error_set(error, REMED_EINVAL,
                             "file: position %llu lies beyond the end of %.120s, %llu; begin anew",
                             (unsigned long long)position, file->path,
                             (unsigned long long)file->reader.next_offset);
    remed_file_reader_end(&file->reader);
    return rc;
}

/* Whose position it is, and whether it can be one. */
static int check_position(struct file_transport *file, uint64_t id, uint64_t position,
                          struct remed_error *error)
{
    uint64_t first = 0;
    if (id != 0 && id != file->id)
        return remed_error_set(error, REMED_EINVAL,
                               "file: the position is of repository %016llx; %.120s is %016llx%s",
                               (unsigned long long)id, file->path, (unsigned long long)file->id,
                               file->id == 0 ? " (it has no id)" : "");
    int rc = find_last(file, &first, error);
    if (rc < 0)
        return rc;
    return position > first ? check_end(file, first, position, error) : 0;
}

/* What there is to know before the first record. */
static int look_around(struct file_transport *file, struct remed_error *error)
{
    struct remed_error own;
    int rc = remed_file_id_read(file->folder, file->path, &file->crc, &file->id, &own);
    rc = rc < 0 ? take_id_error(file, rc, &own) : 0;
    if (rc < 0 && error != NULL)
        *error = own;
    if (rc == 0 && remed_file_count_aside(file->folder, &file->aside, file->aside_name) < 0)
        rc = remed_error_set(error, REMED_EIO, "file: cannot list %.150s: %s", file->path,
                             strerror(errno));
    return rc;
}

/* Stands where the subscription begins. */
static int begin_reader(struct file_transport *file, bool at_end, uint64_t position,
                        struct remed_error *error)
{
    uint64_t first = 0;
    int rc = at_end ? find_last(file, &first, error) : 0;
    if (rc < 0)
        return rc;
    make_reader(file);
    rc = at_end ? read_last(file, first, UINT64_MAX)
                : remed_file_reader_begin(&file->reader, position);
    if (rc == 0)
        return 0;
    if (error != NULL)
        *error = file->reader.error;
    remed_file_reader_end(&file->reader);
    return rc;
}

static void tell_no_watch(const struct file_transport *file)
{
    say(file, REMED_LOG_NOTICE, "%s: changes are not told here (%s); looks every 5 to 100 ms",
        file->path, strerror(errno));
}

static int file_subscribe(void *state, const char *from, struct remed_error *error)
{
    struct file_transport *file = state;
    uint64_t id = 0, position = 0;
    bool at_end = strcmp(from, "end") == 0, named = at_end || strcmp(from, "begin") == 0;
    if (!named && !remed_position_parse(from, &id, &position))
        return remed_error_set(error, REMED_EINVAL, "'%.60s' is no position of file:", from);
    int rc = look_around(file, error);
    if (rc == 0 && !named)
        rc = check_position(file, id, position, error);
    if (rc < 0)
        return rc;
    if (!remed_file_watch_open(&file->watch, file->folder))
        tell_no_watch(file);
    rc = begin_reader(file, at_end, position, error);
    if (rc < 0)
        remed_file_watch_end(&file->watch);
    file->reads = rc == 0;
    return rc;
}

/* Bytes at the end that stay the same for a while are not on their way any more. */
static void watch_tail(struct file_transport *file, uint64_t now)
{
    struct tail *tail = &file->tail;
    struct remed_file_reader *reader = &file->reader;
    bool same =
        tail->waits && reader->waits && tail->first == reader->first && tail->at == reader->at;
    if (!same)
        *tail = (struct tail){
            .waits = reader->waits, .first = reader->first, .at = reader->at, .since = now};
    reader->is_settled = same && reader->is_settled;
}

static bool is_tail_due(struct file_transport *file, uint64_t now)
{
    struct tail *tail = &file->tail;
    if (!tail->waits || file->reader.is_settled)
        return false;
    if (now < tail->since)
        tail->since = now; /* the clock went back */
    file->reader.is_settled = now - tail->since >= TAIL_NS;
    return file->reader.is_settled;
}

/* Nothing more can be read now. */
static void rest(struct file_transport *file, uint64_t now, bool found)
{
    watch_tail(file, now);
    remed_file_watch_rest(&file->watch, now, found);
    if (file->caught_up || (file->reader.waits && !file->reader.is_settled))
        return;
    file->caught_up = true;
    file->events.caught_up(file->events.context);
}

static int read_messages(struct file_transport *file, uint64_t now, struct remed_error *error)
{
    struct remed_message message;
    unsigned count = 0;
    int rc = 1;
    bool is_due = is_tail_due(file, now);
    if (file->caught_up && !remed_file_watch_begin(&file->watch, file->folder))
        tell_no_watch(file);
    if (!remed_file_watch_is_due(&file->watch, now) && !is_due)
        return 0;
    if (file->id == 0 && file->id_error.code == 0) /* a writer makes one */
        (void)remed_file_id_read(file->folder, file->path, &file->crc, &file->id, NULL);
    file->reader.hears = file->watch.is_on;
    file->reader.heard = file->watch.heard;
    while (count < MESSAGES_A_PROCESS &&
           (rc = remed_file_reader_next(&file->reader, &message)) == 1) {
        count++;
        file->events.message(file->events.context, &message);
    }
    if (rc < 0 && error != NULL)
        *error = file->reader.error;
    if (rc == 0)
        rest(file, now, count > 0);
    return rc;
}

static int compact(struct file_transport *file)
{
    if (file->compact_after == 0)
        return 0;
    if (file->rolled != file->writer.first) {
        file->rolled = file->writer.first;
        remed_file_compact_consider(&file->compact, (size_t)file->compact_after);
    }
    int more = remed_file_compact_step(&file->compact);
    if (file->compact.error.code != 0)
        say(file, REMED_LOG_WARNING, "%s; the log stays as it is", file->compact.error.message);
    file->compact.error.code = 0;
    return more;
}

static int file_process(void *state, uint64_t now, struct remed_error *error)
{
    struct file_transport *file = state;
    int rc = 0, more = 0;
    if (file->writes) {
        rc = remed_file_writer_process(&file->writer, now, error);
        more = rc == 0 && compact(file) > 0;
    }
    if (rc == 0 && file->reads)
        rc = read_messages(file, now, error);
    return rc < 0 ? rc : rc > 0 || more;
}

static int file_descriptor(const void *state, short *events)
{
    const struct file_transport *file = state;
    *events = file->watch.fd >= 0 ? POLLIN : 0;
    return file->watch.fd;
}

static uint64_t file_deadline(const void *state)
{
    const struct file_transport *file = state;
    uint64_t deadline = file->writes ? remed_file_writer_deadline(&file->writer) : UINT64_MAX;
    uint64_t look = file->reads ? remed_file_watch_deadline(&file->watch) : UINT64_MAX;
    if (file->writes && file->compact.phase != REMED_COMPACT_IDLE)
        return 0;
    if (file->tail.waits && !file->reader.is_settled && file->tail.since + TAIL_NS < look)
        look = file->tail.since + TAIL_NS;
    return look < deadline ? look : deadline;
}

static size_t file_position(const void *state, char *text, size_t size)
{
    const struct file_transport *file = state;
    return remed_position_write(file->id, file->reader.next_offset, text, size);
}

static void file_stats(const void *state, struct remed_transport_stats *stats)
{
    const struct file_transport *file = state;
    stats->damaged += file->reader.damaged + file->aside;
    stats->damaged += file->id_error.code != 0;
    stats->damaged += file->writer.damaged != 0;
}

static size_t file_damage(const void *state, char *text, size_t size)
{
    const struct file_transport *file = state;
    char name[REMED_SEGMENT_NAME];
    int length = 0;
    remed_segment_name(name, file->writer.damaged_first);
    if (file->reader.damaged != 0)
        length = snprintf(text, size, "%s/%s", file->path, file->reader.damage);
    else if (file->writer.damaged != 0)
        length = snprintf(text, size, "%s/%s: byte %llu: %llu bytes are no record", file->path,
                          name, (unsigned long long)file->writer.damaged_place,
                          (unsigned long long)file->writer.damaged);
    else if (file->aside != 0)
        length = snprintf(text, size,
                          "%s/%s: a damaged segment that a compaction left; remove it when you "
                          "have seen to it",
                          file->path, file->aside_name);
    else if (file->id_error.code != 0)
        length = snprintf(text, size, "%s", file->id_error.message + sizeof "file: " - 1);
    return (size_t)length;
}

static size_t file_waiting(const void *state, char *text, size_t size)
{
    const struct file_transport *file = state;
    return file->writes ? remed_file_writer_waiting(&file->writer, text, size) : 0;
}

static int file_close(void *state, struct remed_error *error)
{
    struct file_transport *file = state;
    int rc = 0;
    if (file->writes)
        rc = remed_file_writer_close(&file->writer, error);
    remed_file_compact_end(&file->compact);
    remed_file_reader_end(&file->reader);
    remed_file_watch_end(&file->watch);
    release(file);
    return rc;
}

const struct remed_transport_driver remed_file_driver = {
    .size = sizeof(struct remed_transport_driver),
    .scheme = "file",
    .open = file_open,
    .publish = file_publish,
    .subscribe = file_subscribe,
    .process = file_process,
    .descriptor = file_descriptor,
    .deadline = file_deadline,
    .position = file_position,
    .stats = file_stats,
    .close = file_close,
    .damage = file_damage,
    .waiting = file_waiting,
};
