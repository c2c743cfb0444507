/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Live capture by libpcap, for what ring.c leaves to it: "any", and interfaces without Ethernet's
 * framing. libpcap's packets are valid only within its callback, so they are copied into an arena
 * that is as large as one batch may need.
 *
 * Immediate mode would have the kernel hand out each packet by itself, in slots of the snap length
 * each: a ring of 16 MiB then holds 256 packets however small. Without it libpcap asks for blocks
 * of many packets, which a short timeout keeps fresh.
 *
 * Threads: one thread a source; stop_libpcap() also from signal handlers.
 */
#include "backend/pcap/source.h"

#include <pcap/pcap.h>

#define ARENA_BYTES (1u << 20)
#define FRESH_MS 4 /* a lone packet waits this long, and a timer's tick */

struct libpcap {
    pcap_t *handle;
    uint8_t *arena;
    size_t arena_size, used;
    struct remed_packet *packets;
    size_t count, room;
    struct remed_pcap_source *source;
    struct pcap_stat last; /* libpcap's counters have 32 bits and wrap */
};

/* DLT numbers that are not LINKTYPE numbers. */
static uint32_t link_type_of(int dlt)
{
    return dlt == DLT_RAW ? REMED_LINK_RAW : (uint32_t)dlt;
}

static int explain_status(pcap_t *handle, const char *interface, int status,
                          struct remed_error *error)
{
    int code = status == PCAP_ERROR_NO_SUCH_DEVICE ? REMED_ENOENT
               : status == PCAP_ERROR_PERM_DENIED || status == PCAP_ERROR_PROMISC_PERM_DENIED
                   ? REMED_EPERM
                   : REMED_EIO;
    const char *detail = pcap_geterr(handle);
    return remed_error_set(error, code, "%s: %s%s%s", interface, pcap_statustostr(status),
                           *detail != '\0' ? ": " : "", detail);
}

static int activate_handle(struct libpcap *live, const char *interface,
                           const struct remed_pcap_source_opts *opts, struct remed_error *error)
{
    char text[PCAP_ERRBUF_SIZE] = "";
    live->handle = pcap_create(interface, text);
    if (live->handle == NULL)
        return remed_error_set(error, REMED_EIO, "%s: %s", interface, text);
    pcap_t *handle = live->handle;
    pcap_set_snaplen(handle, (int)opts->snap_length);
    pcap_set_promisc(handle, opts->promiscuous != 0);
    pcap_set_timeout(handle, FRESH_MS);
    pcap_set_buffer_size(handle, (int)opts->buffer_bytes);
    pcap_set_tstamp_precision(handle, PCAP_TSTAMP_PRECISION_NANO);
    int status = pcap_activate(handle);
    if (status < 0)
        return explain_status(handle, interface, status, error);
    if (pcap_setnonblock(handle, 1, text) < 0)
        return remed_error_set(error, REMED_EIO, "%s: %s", interface, text);
    return 0;
}

static void take_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *bytes)
{
    struct libpcap *live = (struct libpcap *)(void *)user;
    const struct remed_pcap_source *source = live->source;
    uint32_t captured = header->caplen;
    if (captured > live->arena_size - live->used) /* cannot be: the arena has a snap length spare */
        captured = (uint32_t)(live->arena_size - live->used);
    uint8_t *copy = live->arena + live->used;
    memcpy(copy, bytes, captured);
    live->used += ((size_t)captured + 7) & ~(size_t)7;
    uint64_t fraction = (uint64_t)header->ts.tv_usec * (source->nanoseconds ? 1 : 1000);
    live->packets[live->count++] = (struct remed_packet){
        .data = copy,
        .captured = captured,
        .wire = header->len,
        .time = (uint64_t)header->ts.tv_sec * REMED_NS_PER_S + fraction,
        .link_type = source->link_type,
        .side = remed_source_side(source, source->link_type, copy, captured),
    };
    if (live->used >= ARENA_BYTES - 8)
        pcap_breakloop(live->handle);
}

static int read_libpcap(struct remed_pcap_source *source, struct remed_packet *packets,
                        size_t count, struct remed_error *error)
{
    struct libpcap *live = source->live_state;
    live->used = live->count = 0;
    live->packets = packets;
    int status = pcap_dispatch(live->handle, (int)count, take_packet, (u_char *)(void *)live);
    if (live->count > 0)
        return (int)live->count;
    if (source->stop)
        return 0;
    if (status == PCAP_ERROR)
        return remed_error_set(error, REMED_EIO, "capture ended: %s", pcap_geterr(live->handle));
    return REMED_EAGAIN;
}

static int libpcap_fd(const struct remed_pcap_source *source)
{
    const struct libpcap *live = source->live_state;
    return pcap_get_selectable_fd(live->handle);
}

static void stop_libpcap(struct remed_pcap_source *source)
{
    struct libpcap *live = source->live_state;
    pcap_breakloop(live->handle);
}

static void libpcap_stats(struct remed_pcap_source *source)
{
    struct libpcap *live = source->live_state;
    struct pcap_stat now;
    if (pcap_stats(live->handle, &now) < 0)
        return;
    source->stats.kernel_received += (uint32_t)(now.ps_recv - live->last.ps_recv);
    source->stats.kernel_dropped += (uint32_t)(now.ps_drop - live->last.ps_drop);
    source->stats.interface_dropped += (uint32_t)(now.ps_ifdrop - live->last.ps_ifdrop);
    live->last = now;
}

static void close_libpcap(struct remed_pcap_source *source)
{
    struct libpcap *live = source->live_state;
    if (live->handle != NULL)
        pcap_close(live->handle);
    remed_release(&source->allocator, live->arena, live->arena_size);
    remed_release(&source->allocator, live, sizeof *live);
}

static const struct remed_live_ops libpcap_ops = {.read = read_libpcap,
                                                  .fd = libpcap_fd,
                                                  .stop = stop_libpcap,
                                                  .stats = libpcap_stats,
                                                  .close = close_libpcap};

int remed_libpcap_begin(struct remed_pcap_source *source, const char *interface,
                        struct remed_error *error)
{
    struct libpcap *live = remed_allocate(&source->allocator, sizeof *live);
    if (live == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory to capture");
    source->live_state = live;
    source->live = &libpcap_ops;
    live->source = source;
    live->arena_size = ARENA_BYTES + source->opts.snap_length;
    live->arena = remed_allocate(&source->allocator, live->arena_size);
    if (live->arena == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory to capture");
    int rc = activate_handle(live, interface, &source->opts, error);
    if (rc < 0)
        return rc;
    source->link_type = link_type_of(pcap_datalink(live->handle));
    source->nanoseconds = pcap_get_tstamp_precision(live->handle) == PCAP_TSTAMP_PRECISION_NANO;
    source->parse = read_libpcap;
    return 0;
}
