/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * file: the embedded default. A folder of append-only segments, one process that writes, any number
 * that read (docs/transports.md). The writing half takes its lock with the first publication, so a
 * reader needs none.
 *
 * Parameters: sync=always|never|TIME (10ms), segment=SIZE (64MiB), compact=N complete segments (4;
 * 0 never), memory=SIZE for a compaction's keys (256MiB).
 *
 * What blocks: writing, and fdatasync, in process and close.
 *
 * Threads: one thread a transport.
 */
#define _POSIX_C_SOURCE 200809L
#include "repository/drivers.h"
#include "repository/file_compact.h"
#include "repository/file_writer.h"
#include "repository/uri.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGES_A_PROCESS 1024u
#define POLL_NS (5 * 1000000ull)

struct file_transport {
    int folder;
    char path[1024];
    struct remed_crc crc;
    struct remed_transport_events events;
    struct remed_file_writer writer;
    struct remed_file_compact compact;
    struct remed_file_reader reader;
    bool writes, reads, caught_up;
    uint64_t compact_after; /* complete segments; 0 never */
    uint64_t rolled;        /* the writer's segment when a compaction was last considered */
    uint64_t poll_at;
    struct remed_allocator allocator;
};

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
    snprintf(file->path, sizeof file->path, "%s", uri->path);
    if (mkdir(file->path, 0777) < 0 && errno != EEXIST)
        return remed_error_set(error, errno == ENOENT ? REMED_ENOENT : REMED_EPERM,
                               "file: cannot make %s: %s", file->path, strerror(errno));
    file->folder = open(file->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->folder < 0)
        return remed_error_set(error, errno == EACCES ? REMED_EPERM : REMED_EIO, "file: %s: %s",
                               file->path, strerror(errno));
    return 0;
}

static int file_open(void **state, const struct remed_uri *uri,
                     const struct remed_transport_opts *opts,
                     const struct remed_transport_events *events, struct remed_error *error)
{
    struct remed_allocator allocator = remed_allocator_or_default(opts->allocator);
    struct file_transport *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a transport");
    made->allocator = made->writer.allocator = made->compact.allocator = allocator;
    made->folder = -1;
    made->events = *events;
    remed_crc_init(&made->crc);
    int rc = read_parameters(made, uri, error);
    if (rc == 0)
        rc = open_folder(made, uri, error);
    if (rc == 0 && remed_tags_init(&made->writer.tags, opts->max_pending, &allocator) < 0)
        rc = remed_error_set(error, REMED_ENOMEM, "no memory for a transport");
    if (rc < 0) {
        if (made->folder >= 0)
            close(made->folder);
        remed_release(&allocator, made, sizeof *made);
        return rc;
    }
    made->writer.crc = made->compact.crc = &made->crc;
    made->writer.folder = made->compact.folder = made->folder;
    made->writer.events = &made->events;
    made->writer.max_bytes = opts->max_pending_bytes;
    made->compact.output = made->compact.reader.segment = -1;
    *state = made;
    return 0;
}

static int file_publish(void *state, const struct remed_message *message, uint64_t tag,
                        struct remed_error *error)
{
    struct file_transport *file = state;
    if (!file->writes) {
        int rc = remed_file_writer_open(&file->writer, file->path, error);
        if (rc < 0) {
            (void)remed_file_writer_close(&file->writer, NULL);
            if (rc == REMED_EBUSY && error != NULL)
                error->code = REMED_EPERM;
            return rc == REMED_EBUSY ? REMED_EPERM : rc; /* trying again at once is no use */
        }
        file->writes = true;
        file->rolled = file->writer.first;
    }
    return remed_file_writer_publish(&file->writer, message, tag, error);
}

static void make_reader(struct file_transport *file)
{
    file->reader = (struct remed_file_reader){
        .crc = &file->crc, .folder = file->folder, .allocator = file->allocator};
}

/* Reads the last segment through, to stand behind its last record. */
static int go_to_end(struct file_transport *file)
{
    struct remed_message message;
    uint64_t *firsts = NULL, from = 0;
    size_t count, room = 0;
    int rc = remed_segment_list(file->folder, &firsts, &count, &room, &file->allocator);
    if (rc == 0 && count > 0)
        from = firsts[count - 1];
    remed_release(&file->allocator, firsts, room * sizeof *firsts);
    if (rc == 0)
        rc = remed_file_reader_begin(&file->reader, from);
    if (rc == 0)
        while ((rc = remed_file_reader_next(&file->reader, &message)) == 1)
            continue;
    return rc;
}

static int file_subscribe(void *state, const char *from, struct remed_error *error)
{
    struct file_transport *file = state;
    unsigned long long position = 0;
    int length = 0, rc;
    if (strcmp(from, "begin") != 0 && strcmp(from, "end") != 0 &&
        (sscanf(from, "%llu%n", &position, &length) != 1 || from[length] != '\0'))
        return remed_error_set(error, REMED_EINVAL, "'%.60s' is no position of file:", from);
    make_reader(file);
    rc = strcmp(from, "end") == 0 ? go_to_end(file)
                                  : remed_file_reader_begin(&file->reader, position);
    if (rc < 0) {
        remed_file_reader_end(&file->reader);
        return remed_error_set(error, rc, "file: cannot read %s", file->path);
    }
    file->reads = true;
    file->poll_at = 0;
    return 0;
}

static int read_messages(struct file_transport *file, uint64_t now, struct remed_error *error)
{
    struct remed_message message;
    unsigned count = 0;
    int rc = 1;
    while (count < MESSAGES_A_PROCESS &&
           (rc = remed_file_reader_next(&file->reader, &message)) == 1) {
        count++;
        file->events.message(file->events.context, &message);
    }
    if (rc < 0)
        return remed_error_set(error, rc,
                               rc == REMED_ENOENT ? "file: fell behind a compaction; begin anew"
                                                  : "file: cannot read a segment");
    if (rc == 0 && !file->caught_up) {
        file->caught_up = true;
        file->events.caught_up(file->events.context);
    }
    file->poll_at = rc == 0 ? now + POLL_NS : 0;
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
    return remed_file_compact_step(&file->compact);
}

static int file_process(void *state, uint64_t now, struct remed_error *error)
{
    struct file_transport *file = state;
    int rc = 0, more = 0;
    if (file->writes) {
        rc = remed_file_writer_process(&file->writer, now, error);
        more = rc == 0 && compact(file) > 0;
    }
    if (rc == 0 && file->reads && now >= file->poll_at)
        rc = read_messages(file, now, error);
    return rc < 0 ? rc : rc > 0 || more;
}

static uint64_t file_deadline(const void *state)
{
    const struct file_transport *file = state;
    uint64_t deadline = file->writes ? remed_file_writer_deadline(&file->writer) : UINT64_MAX;
    if (file->writes && file->compact.phase != REMED_COMPACT_IDLE)
        return 0;
    return file->reads && file->poll_at < deadline ? file->poll_at : deadline;
}

static size_t file_position(const void *state, char *text, size_t size)
{
    const struct file_transport *file = state;
    return (size_t)snprintf(text, size, "%llu", (unsigned long long)file->reader.next_offset);
}

static void file_stats(const void *state, struct remed_transport_stats *stats)
{
    const struct file_transport *file = state;
    stats->damaged += file->reader.damaged;
}

static int file_close(void *state, struct remed_error *error)
{
    struct file_transport *file = state;
    struct remed_allocator allocator = file->allocator;
    int rc = 0;
    if (file->writes)
        rc = remed_file_writer_close(&file->writer, error);
    remed_file_compact_end(&file->compact);
    if (file->reads)
        remed_file_reader_end(&file->reader);
    remed_tags_fini(&file->writer.tags, &allocator);
    close(file->folder);
    remed_release(&allocator, file, sizeof *file);
    return rc;
}

const struct remed_transport_driver remed_file_driver = {
    .size = sizeof(struct remed_transport_driver),
    .scheme = "file",
    .open = file_open,
    .publish = file_publish,
    .subscribe = file_subscribe,
    .process = file_process,
    .deadline = file_deadline,
    .position = file_position,
    .stats = file_stats,
    .close = file_close,
};
