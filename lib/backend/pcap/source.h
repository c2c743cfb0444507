/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A source from within: one object, and what each kind of source does for it.
 *
 * Files are read in blocks into one buffer; packets are handed out where they lie in it. So a read
 * hands out what the buffer holds whole, and only the next read moves the rest and fills it up.
 *
 * Threads: one thread a source; `stop` alone is set from signal handlers.
 */
#ifndef REMED_PCAP_SOURCE_H
#define REMED_PCAP_SOURCE_H

#include <remediate/pcap.h>
#include "base/base.h"

#include <signal.h>

struct remed_block {
    int fd;
    bool owns_fd; /* not standard input, which is the host's */
    uint8_t *data;
    size_t size, begin, end;
    uint64_t file_bytes; /* read so far */
    uint64_t dropped;    /* bytes before data[0] */
    bool at_end;
};

/* One interface of a pcapng section. */
struct remed_pcapng_interface {
    uint32_t link_type;
    uint32_t snap_length;
    uint64_t units;    /* a second, when a power of ten below 2^64; 0: see `shift` and `exponent` */
    uint32_t shift;    /* units of 2^-shift seconds, when not 0 */
    uint32_t exponent; /* else units of 10^-exponent seconds */
    int64_t offset;    /* seconds */
};

struct remed_pcap_source {
    struct remed_pcap_source_opts opts;
    struct remed_allocator allocator;
    struct remed_pcap_source_stats stats;
    /* Hands out what is whole; 0 when more bytes are needed, negative at damage. */
    int (*parse)(struct remed_pcap_source *source, struct remed_packet *packets, size_t count,
                 struct remed_error *error);
    /* Whether the buffer holds a whole packet, so that a read does not have to wait. */
    bool (*whole)(const struct remed_pcap_source *source);
    struct remed_block block;
    uint32_t link_type;
    bool nanoseconds;
    bool swapped;
    struct remed_error failure; /* code is 0 while all is well */
    volatile sig_atomic_t stop;

    /* pcap */
    uint32_t record_header; /* 16, or 24 of the modified format */
    uint32_t minor;

    /* pcapng */
    struct remed_pcapng_interface *interfaces;
    size_t interface_count, interface_room;

    /* live */
    const struct remed_live_ops *live; /* NULL: a file */
    void *live_state;
};

/* What captures live: the kernel's ring, or libpcap where that does not do. */
struct remed_live_ops {
    int (*read)(struct remed_pcap_source *source, struct remed_packet *packets, size_t count,
                struct remed_error *error);
    int (*fd)(const struct remed_pcap_source *source);
    void (*stop)(struct remed_pcap_source *source); /* async-signal-safe; NULL: `stop` is enough */
    bool (*ready)(const struct remed_pcap_source *source); /* without asking; NULL: never */
    void (*stats)(struct remed_pcap_source *source);
    void (*close)(struct remed_pcap_source *source);
};

static inline uint32_t remed_swap32(uint32_t value)
{
    return value >> 24 | (value >> 8 & 0xff00) | (value << 8 & 0xff0000) | value << 24;
}

static inline uint32_t remed_file32(const struct remed_pcap_source *source, const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return source->swapped ? remed_swap32(value) : value;
}

static inline uint32_t remed_file16(const struct remed_pcap_source *source, const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return source->swapped ? (uint32_t)(uint16_t)(value << 8 | value >> 8) : value;
}

static inline uint64_t remed_source_offset(const struct remed_pcap_source *source)
{
    return source->block.dropped + source->block.begin;
}

/* A source that `begin` has made ready. */
int remed_source_make(struct remed_pcap_source **source, const char *where,
                      const struct remed_pcap_source_opts *given,
                      int (*begin)(struct remed_pcap_source *source, const char *where,
                                   struct remed_error *error),
                      struct remed_error *error);
/* The side that a cooked header tells, else the source's. */
uint8_t remed_source_side(const struct remed_pcap_source *source, uint32_t link_type,
                          const uint8_t *data, uint32_t captured);
/* Damage at the place at hand: "packet N, byte M: why". */
int remed_source_damage(const struct remed_pcap_source *source, struct remed_error *error, int code,
                        const char *why);

int remed_pcap_begin(struct remed_pcap_source *source, struct remed_error *error);
int remed_pcapng_begin(struct remed_pcap_source *source, struct remed_error *error);

/* At least `wanted` bytes from block.begin on: 1, or 0 when the file ends before, or negative. */
int remed_block_fill(struct remed_pcap_source *source, size_t wanted, struct remed_error *error);

int remed_live_wait(struct remed_pcap_source *source, int timeout_ms);

/* Both set `live` and `live_state` as soon as there is something to close. */
int remed_ring_begin(struct remed_pcap_source *source, const char *interface,
                     struct remed_error *error);
int remed_libpcap_begin(struct remed_pcap_source *source, const char *interface,
                        struct remed_error *error);

#endif
