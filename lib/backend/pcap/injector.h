/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Injection from within: frames on their way out of an interface. A batch of them goes out by one
 * system call; those that there is no room for wait in a queue, in order. Threads: one a sink.
 */
#ifndef REMED_PCAP_INJECTOR_H
#define REMED_PCAP_INJECTOR_H

#include "backend/pcap/segment.h"
#include "backend/pcap/sink.h"

#include <net/if.h>

#define REMED_BATCH_FRAMES 64u
#define REMED_BATCH_BYTES (256u << 10) /* of frames that were made */
#define REMED_QUEUE_BYTES (1u << 20)

/* A frame, and the packet (by a running number) that it is of. */
struct remed_outgoing {
    const uint8_t *bytes;
    uint32_t length;
    bool last; /* of its packet */
    uint64_t packet;
};

enum remed_link { REMED_LINK_UP, REMED_LINK_OFF, REMED_LINK_NO_CARRIER };

struct remed_injector {
    struct remed_outgoing batch[REMED_BATCH_FRAMES];
    uint32_t count;
    uint8_t *made; /* bytes of frames that are not the packets' own */
    uint32_t made_used;
    uint8_t *scratch, *part;
    uint8_t *queue; /* struct remed_outgoing and its bytes, one behind the other */
    uint32_t queue_begin, queue_end;
    uint32_t waiting;        /* frames in the queue */
    uint32_t identification; /* of fragments */
    uint32_t mtu;
    int index;
    enum remed_link link;
    uint64_t lost_before; /* packets lost for the link before it went down now */
    uint64_t number;      /* of the packet at hand, from 1 */
    uint64_t refused;     /* the packet that was refused last */
    char interface[IFNAMSIZ];
};

/* Looks at flags and MTU; tells a change. REMED_EIO when the interface is gone. */
int remed_link_check(struct remed_pcap_sink *sink, struct remed_error *error);
const char *remed_link_words(enum remed_link link);

/* A frame behind the others that wait; false when there is no room. */
bool remed_queue_put(struct remed_injector *injector, const struct remed_outgoing *frame);
/* The first `count` at most; they stay until remed_queue_drop(). */
uint32_t remed_queue_peek(const struct remed_injector *injector, struct remed_outgoing *frames,
                          uint32_t count);
void remed_queue_drop(struct remed_injector *injector, uint32_t count);

#endif
