/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames made of a captured packet, as they were on the wire or as a link takes them: segments of
 * a merged one, fragments of one that is too long, checksums made, bytes that the snap length cut
 * off filled with zeros. Threads: no state.
 */
#ifndef REMED_PCAP_SEGMENT_H
#define REMED_PCAP_SEGMENT_H

#include "backend/pcap/layout.h"

#define REMED_LONGEST_FRAME (REMED_LONGEST_DATAGRAM + 256u)
#define REMED_LONGEST_DATAGRAM 65575u /* IPv6 with 65,535 bytes behind its header */

/* Where frames go, one by one; `bytes` are valid during the call. Negative ends the work. */
struct remed_frame_sink {
    void *context;
    int (*take)(void *context, const uint8_t *bytes, uint32_t length, bool last);
    uint8_t *scratch;         /* REMED_LONGEST_FRAME bytes */
    uint8_t *part;            /* as many */
    uint32_t *identification; /* of the fragments to come */
};

/* The packet can go out as it is. */
static inline bool remed_frame_is_plain(const struct remed_packet *packet)
{
    return packet->offload == 0 && packet->captured >= packet->wire;
}

/* Bytes of a frame that do not count for the MTU: Ethernet's header and one VLAN tag. */
static inline uint32_t remed_frame_header(const struct remed_packet *packet)
{
    return packet->captured >= 18 && remed_load16(packet->data + 12) == 0x8100 ? 18 : 14;
}

/*
 * Hands out the frames of a packet, none of them longer than the MTU.
 * Returns 0; what `take` returned; REMED_EUNSUPPORTED for a packet that cannot be taken apart.
 */
int remed_frame_split(const struct remed_packet *packet, uint32_t mtu,
                      const struct remed_frame_sink *sink);

#endif
