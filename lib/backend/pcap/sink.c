/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing captures: pcap, or pcapng where several link types must fit. Packets are copied into one
 * buffer, which is written when it is full.
 *
 * Threads: one thread a sink.
 */
#include "backend/pcap/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define BUFFER_BYTES (512u << 10)
#define MICROSECONDS 1000u

void remed_pcap_sink_opts_init(struct remed_pcap_sink_opts *opts, size_t size)
{
    const struct remed_pcap_sink_opts defaults = {
        .size = size, .link_type = REMED_LINK_ETHERNET, .snap_length = 262144};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

int remed_sink_make(struct remed_pcap_sink **sink, const char *where,
                    const struct remed_pcap_sink_opts *given, struct remed_error *error)
{
    struct remed_pcap_sink_opts opts;
    remed_pcap_sink_opts_init(&opts, sizeof opts);
    int rc = given != NULL ? remed_opts_copy(&opts, sizeof opts, given, "pcap sink", error) : 0;
    if (rc < 0)
        return rc;
    struct remed_allocator allocator = remed_allocator_or_default(opts.allocator);
    struct remed_pcap_sink *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory to write to %s", where);
    made->allocator = allocator;
    made->opts = opts;
    made->fd = -1;
    *sink = made;
    return 0;
}

int remed_pcap_create_file(struct remed_pcap_sink **sink, const char *path,
                           const struct remed_pcap_sink_opts *given, struct remed_error *error)
{
    struct remed_pcap_sink *made = NULL;
    int rc = remed_sink_make(&made, path, given, error);
    if (rc < 0)
        return rc;
    struct remed_allocator allocator = made->allocator;
    made->buffer = remed_allocate(&allocator, BUFFER_BYTES);
    made->size = BUFFER_BYTES;
    if (made->buffer == NULL)
        rc = remed_error_set(error, REMED_ENOMEM, "no memory to write %s", path);
    else
        made->fd = strcmp(path, "-") == 0
                       ? STDOUT_FILENO
                       : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (rc == 0 && made->fd < 0)
        rc = remed_error_set(error,
                             errno == EACCES   ? REMED_EPERM
                             : errno == ENOENT ? REMED_ENOENT
                                               : REMED_EIO,
                             "%s: %s", path, strerror(errno));
    if (rc < 0) {
        remed_release(&allocator, made->buffer, made->buffer != NULL ? made->size : 0);
        remed_release(&allocator, made, sizeof *made);
        return rc;
    }
    *sink = made;
    return 0;
}

static int write_all(struct remed_pcap_sink *sink, const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t wrote = write(sink->fd, data, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return remed_error_set(&sink->failure, REMED_EIO, "cannot write: %s", strerror(errno));
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
                               "a pcap file holds one link type (%u), and here comes another (%u); "
                               "write pcapng",
                               sink->link_types[0], link_type);
    if (sink->link_type_count == REMED_SINK_LINK_TYPES)
        return remed_error_set(error, REMED_EUNSUPPORTED, "more than %u link types",
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
                               "a time after the year 2106 does not fit pcap; write pcapng");
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
    if (sink->injects)
        return remed_inject(sink, packets, count, error);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = write_packet(sink, &packets[i], error);
    return report(sink, rc, error);
}

int remed_pcap_flush(struct remed_pcap_sink *sink, struct remed_error *error)
{
    return sink->injects ? 0 : report(sink, flush(sink), error);
}

void remed_pcap_sink_stats(const struct remed_pcap_sink *sink, struct remed_pcap_sink_stats *stats,
                           size_t size)
{
    remed_stats_copy(stats, size, &sink->stats, sizeof sink->stats);
}

static int finish_file(struct remed_pcap_sink *sink)
{
    int rc = sink->begun ? 0 : begin_file(sink, sink->opts.link_type);
    if (rc == 0)
        rc = flush(sink);
    return rc;
}

int remed_pcap_sink_close(struct remed_pcap_sink *sink, struct remed_error *error)
{
    if (sink == NULL)
        return 0;
    int rc = sink->injects ? 0 : report(sink, finish_file(sink), error);
    if (sink->fd > STDOUT_FILENO && close(sink->fd) < 0 && rc == 0)
        rc = remed_error_set(error, REMED_EIO, "cannot close: %s", strerror(errno));
    struct remed_allocator allocator = sink->allocator;
    remed_release(&allocator, sink->buffer, sink->size);
    remed_release(&allocator, sink, sizeof *sink);
    return rc;
}
