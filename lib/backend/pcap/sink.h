/* SPDX-License-Identifier: BSD-3-Clause */
/* A sink from within: a buffered file, or a packet socket. Threads: one thread a sink. */
#ifndef REMED_PCAP_SINK_H
#define REMED_PCAP_SINK_H

#include <remediate/pcap.h>
#include "base/base.h"

#define REMED_SINK_LINK_TYPES 64u

struct remed_pcap_sink {
    struct remed_pcap_sink_opts opts;
    struct remed_allocator allocator;
    struct remed_pcap_sink_stats stats;
    int fd;
    bool owns_fd; /* not standard output, which is the host's */
    uint8_t *buffer;
    size_t size, used;
    bool begun;                                 /* the file's header is written */
    uint32_t link_types[REMED_SINK_LINK_TYPES]; /* pcap: one; pcapng: one an interface */
    size_t link_type_count;
    struct remed_error failure;
    char name[128]; /* for messages: the path or the interface, cut */
    struct remed_injector *injector;
};

/* A sink without a place to write to. */
int remed_sink_make(struct remed_pcap_sink **sink, const char *where,
                    const struct remed_pcap_sink_opts *given, struct remed_error *error);
/* Sends packets; sends those that wait; waits for them a last time, and frees. */
int remed_inject(struct remed_pcap_sink *sink, const struct remed_packet *packets, size_t count,
                 struct remed_error *error);
int remed_inject_waiting(struct remed_pcap_sink *sink, struct remed_error *error);
void remed_inject_rest(struct remed_pcap_sink *sink);
void remed_injector_free(struct remed_pcap_sink *sink);

#endif
