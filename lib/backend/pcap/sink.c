/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing captures: pcap, or pcapng where several link types must fit. Packets are copied into one
 * buffer, which is written when it is full.
 *
 * Threads: one thread a sink.
 */
#include "backend/pcap/injector.h"
#include "backend/pcap/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES (512u << 10)
#define MICROSECONDS 1000u

void remed_pcap_sink_opts_init(struct remed_pcap_sink_opts *opts, size_t size)
{
    const struct remed_pcap_sink_opts defaults = {
        .size = size, .link_type = REMED_LINK_ETHERNET, .snap_length = 262144};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

static int check_opts(const struct remed_pcap_sink_opts *opts, struct remed_error *error)
{
    const char *wrong = opts->link_type > UINT16_MAX ? "link_type"
                        : opts->nanoseconds > 1      ? "nanoseconds"
                        : opts->pcapng > 1           ? "pcapng"
                        : opts->hold_ms > 60000      ? "hold_ms"
                        : opts->reserved != 0        ? "reserved"
                                                     : NULL;
    if (wrong == NULL)
        return 0;
    return remed_error_set(error, REMED_EINVAL, "pcap sink: %s is out of range", wrong);
}

int remed_sink_make(struct remed_pcap_sink **sink, const char *where,
                    const struct remed_pcap_sink_opts *given, struct remed_error *error)
{
    struct remed_pcap_sink_opts opts;
    remed_pcap_sink_opts_init(&opts, sizeof opts);
    int rc = given != NULL ? remed_opts_copy(&opts, sizeof opts, given, "pcap sink", error) : 0;
    if (rc < 0)
        return rc;
    rc = check_opts(&opts, error);
    if (rc < 0)
        return rc;
    struct remed_allocator allocator = remed_allocator_or_default(opts.allocator);
    struct remed_pcap_sink *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory to write to %s", where);
    snprintf(made->name, sizeof made->name, "%s",
             strcmp(where, "-") == 0 ? "standard output" : where);
    made->allocator = allocator;
    made->opts = opts;
    made->fd = -1;
    *sink = made;
    return 0;
}

/* Two names of one file, by whatever way they lead there. */
static bool is_source_file(const struct remed_pcap_sink *sink, int fd)
{
    struct stat read, written;
    return sink->opts.source != NULL && sink->opts.source->live == NULL &&
           fstat(sink->opts.source->block.fd, &read) == 0 && fstat(fd, &written) == 0 &&
           (S_ISREG(written.st_mode) || S_ISBLK(written.st_mode)) &&
           read.st_dev == written.st_dev && read.st_ino == written.st_ino;
}

/* Nothing of an existing file is lost before it is known not to be the one that is read. */
static int open_output(struct remed_pcap_sink *sink, const char *path, struct remed_error *error)
{
    struct stat status;
    bool standard = strcmp(path, "-") == 0;
    sink->fd = standard ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (sink->fd < 0)
        return remed_error_set(error,
                               errno == EACCES   ? REMED_EPERM
                               : errno == ENOENT ? REMED_ENOENT
                                                 : REMED_EIO,
                               "%s: %s", path, strerror(errno));
    sink->owns_fd = !standard;
    if (is_source_file(sink, sink->fd))
        return remed_error_set(error, REMED_EINVAL,
                               "%s: is the file that is read; write to another", sink->name);
    if (!standard && fstat(sink->fd, &status) == 0 && S_ISREG(status.st_mode) &&
        ftruncate(sink->fd, 0) < 0)
        return remed_error_set(error, REMED_EIO, "%s: %s", path, strerror(errno));
    return 0;
}

static void free_sink(struct remed_pcap_sink *sink)
{
    struct remed_allocator allocator = sink->allocator;
    if (sink->injector != NULL)
        remed_injector_free(sink);
    if (sink->owns_fd)
        close(sink->fd);
    remed_release(&allocator, sink->buffer, sink->size);
    remed_release(&allocator, sink, sizeof *sink);
}

int remed_pcap_create_file(struct remed_pcap_sink **sink, const char *path,
                           const struct remed_pcap_sink_opts *given, struct remed_error *error)
{
    struct remed_pcap_sink *made = NULL;
    int rc = remed_sink_make(&made, path, given, error);
    if (rc < 0)
        return rc;
    made->buffer = remed_allocate(&made->allocator, BUFFER_BYTES);
    made->size = made->buffer != NULL ? BUFFER_BYTES : 0;
    rc = made->buffer != NULL ? open_output(made, path, error)
                              : remed_error_set(error, REMED_ENOMEM, "no memory to write %s", path);
    made->opts.source = NULL;
    if (rc < 0)
        free_sink(made);
    else
        *sink = made;
    return rc;
}

static int write_all(struct remed_pcap_sink *sink, const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t wrote = write(sink->fd, data, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return remed_error_set(&sink->failure, REMED_EIO, "%s: cannot write: %s", sink->name,
                                   strerror(errno));
        data += wrote;
        length -= (size_t)wrote;
    }
    return 0;
}

static int flush(struct remed_pcap_sink *sink)
{
    if (sink->failure.code != 0)
        return sink->failure.code;
    int rc = write_all(sink, sink->buffer, sink->used);
    sink->used = 0;
    return rc;
}

static void put(struct remed_pcap_sink *sink, const void *data, size_t length)
{
    memcpy(sink->buffer + sink->used, data, length);
    sink->used += length;
}

/* Room for a header of `length` bytes. */
static int reserve(struct remed_pcap_sink *sink, size_t length)
{
    return sink->size - sink->used >= length ? 0 : flush(sink);
}

/* A packet's bytes; one larger than the buffer goes straight out. */
static int put_bytes(struct remed_pcap_sink *sink, const uint8_t *data, size_t length)
{
    if (sink->size - sink->used < length) {
        int rc = flush(sink);
        if (rc < 0 || length > sink->size)
            return rc < 0 ? rc : write_all(sink, data, length);
    }
    if (length > 0)
        put(sink, data, length);
    return 0;
}

static int begin_pcap(struct remed_pcap_sink *sink, uint32_t link_type)
{
    const struct {
        uint32_t magic;
        uint16_t major, minor;
        uint32_t zone, accuracy, snap_length, link_type;
    } header = {sink->opts.nanoseconds != 0 ? 0xa1b23c4d : 0xa1b2c3d4,
                2,
                4,
                0,
                0,
                sink->opts.snap_length,
                link_type};
    put(sink, &header, sizeof header);
    return 0;
}

static int begin_pcapng(struct remed_pcap_sink *sink)
{
    const uint32_t section[7] = {0x0a0d0d0a, 28, 0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX, 28};
    put(sink, section, sizeof section); /* version 1.0; the section's length is not told */
    return 0;
}

/* An interface with nanosecond times. */
static int add_interface(struct remed_pcap_sink *sink, uint32_t link_type)
{
    struct {
        uint32_t type, length;
        uint16_t link_type, reserved;
        uint32_t snap_length;
        uint16_t code, size;
        uint8_t resolution, padding[3];
        uint32_t end, trailer;
    } block = {1, 32, (uint16_t)link_type, 0, sink->opts.snap_length, 9, 1, 9, {0}, 0, 32};
    int rc = reserve(sink, sizeof block);
    if (rc == 0)
        put(sink, &block, sizeof block);
    return rc;
}

static int begin_file(struct remed_pcap_sink *sink, uint32_t link_type)
{
    sink->begun = true;
    return sink->opts.pcapng != 0 ? begin_pcapng(sink) : begin_pcap(sink, link_type);
}

/* The interface's number for a link type, described before if it is new. */
static int interface_of(struct remed_pcap_sink *sink, uint32_t link_type, struct remed_error *error)
{
    for (size_t i = 0; i < sink->link_type_count; i++)
        if (sink->link_types[i] == link_type)
            return (int)i;
    if (sink->link_type_count > 0 && sink->opts.pcapng == 0)
        return remed_error_set(error, REMED_EUNSUPPORTED,
                               "%s: a pcap file holds one link type (%u), and here comes another "
                               "(%u); write pcapng",
                               sink->name, sink->link_types[0], link_type);
    if (sink->link_type_count == REMED_SINK_LINK_TYPES)
        return remed_error_set(error, REMED_EUNSUPPORTED, "%s: more than %u link types", sink->name,
                               REMED_SINK_LINK_TYPES);
    int rc = sink->begun ? 0 : begin_file(sink, link_type);
    if (rc == 0 && sink->opts.pcapng != 0)
        rc = add_interface(sink, link_type);
    if (rc < 0)
        return rc;
    sink->link_types[sink->link_type_count] = link_type;
    return (int)sink->link_type_count++;
}

static int write_pcap(struct remed_pcap_sink *sink, const struct remed_packet *packet,
                      struct remed_error *error)
{
    uint64_t seconds = packet->time / REMED_NS_PER_S, rest = packet->time % REMED_NS_PER_S;
    if (seconds > UINT32_MAX)
        return remed_error_set(error, REMED_EUNSUPPORTED,
                               "%s: a time after the year 2106 does not fit pcap; write pcapng",
                               sink->name);
    const uint32_t header[4] = {
        (uint32_t)seconds, (uint32_t)(sink->opts.nanoseconds != 0 ? rest : rest / MICROSECONDS),
        packet->captured, packet->wire};
    int rc = reserve(sink, sizeof header);
    if (rc < 0)
        return rc;
    put(sink, header, sizeof header);
    return put_bytes(sink, packet->data, packet->captured);
}

static int write_pcapng(struct remed_pcap_sink *sink, uint32_t interface,
                        const struct remed_packet *packet)
{
    static const uint8_t zeros[4];
    size_t padding = (4 - packet->captured % 4) % 4;
    uint32_t flags = packet->side; /* 1 inbound, 2 outbound: the same numbers */
    uint32_t length = (uint32_t)(32 + packet->captured + padding + (flags != 0 ? 12 : 0));
    const uint32_t header[7] = {6,
                                length,
                                interface,
                                (uint32_t)(packet->time >> 32),
                                (uint32_t)packet->time,
                                packet->captured,
                                packet->wire};
    const uint16_t option[2] = {2, 4};
    const uint32_t end = 0;
    int rc = reserve(sink, sizeof header);
    if (rc == 0) {
        put(sink, header, sizeof header);
        rc = put_bytes(sink, packet->data, packet->captured);
    }
    if (rc == 0)
        rc = reserve(sink, 32);
    if (rc < 0)
        return rc;
    put(sink, zeros, padding);
    if (flags != 0) {
        put(sink, option, sizeof option);
        put(sink, &flags, sizeof flags);
        put(sink, &end, sizeof end);
    }
    put(sink, &length, sizeof length);
    return 0;
}

static int write_packet(struct remed_pcap_sink *sink, const struct remed_packet *packet,
                        struct remed_error *error)
{
    int interface = interface_of(sink, packet->link_type, error);
    if (interface < 0)
        return interface;
    int rc = sink->opts.pcapng != 0 ? write_pcapng(sink, (uint32_t)interface, packet)
                                    : write_pcap(sink, packet, error);
    if (rc == 0) {
        sink->stats.packets++;
        sink->stats.bytes += packet->captured;
    }
    return rc;
}

static int report(const struct remed_pcap_sink *sink, int rc, struct remed_error *error)
{
    if (rc < 0 && sink->failure.code != 0 && error != NULL)
        *error = sink->failure;
    return rc;
}

int remed_pcap_write(struct remed_pcap_sink *sink, const struct remed_packet *packets, size_t count,
                     struct remed_error *error)
{
    if (sink->failure.code != 0)
        return report(sink, sink->failure.code, error);
    if (sink->injector != NULL)
        return remed_inject(sink, packets, count, error);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = write_packet(sink, &packets[i], error);
    return report(sink, rc, error);
}

int remed_pcap_flush(struct remed_pcap_sink *sink, struct remed_error *error)
{
    if (sink->injector != NULL)
        return remed_inject_waiting(sink, error);
    return report(sink, flush(sink), error);
}

void remed_pcap_sink_stats(const struct remed_pcap_sink *sink, struct remed_pcap_sink_stats *stats,
                           size_t size)
{
    struct remed_pcap_sink_stats own = sink->stats;
    own.waiting = sink->injector != NULL ? sink->injector->waiting : 0;
    remed_stats_copy(stats, size, &own, sizeof own);
}

static int finish_file(struct remed_pcap_sink *sink)
{
    int rc = sink->begun || sink->fd < 0 ? 0 : begin_file(sink, sink->opts.link_type);
    return rc == 0 ? flush(sink) : rc;
}

int remed_pcap_sink_finish(struct remed_pcap_sink *sink, struct remed_error *error)
{
    if (sink->injector == NULL)
        return report(sink, finish_file(sink), error);
    remed_inject_rest(sink);
    return 0;
}

int remed_pcap_sink_close(struct remed_pcap_sink *sink, struct remed_error *error)
{
    if (sink == NULL)
        return 0;
    int rc = remed_pcap_sink_finish(sink, error);
    if (sink->owns_fd && close(sink->fd) < 0 && rc == 0)
        rc = remed_error_set(error, REMED_EIO, "%s: cannot close: %s", sink->name, strerror(errno));
    sink->owns_fd = false;
    free_sink(sink);
    return rc;
}
