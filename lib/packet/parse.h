/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parser from within: a cursor over the frame, and one function for each layer. Every function
 * takes an offset, checks `captured` (or the IP packet's own end) before it reads, and on a packet
 * that it can't go on with sets `headers->unclassified`.
 *
 * Layers call one another downwards only; tunnels are the exception and carry a depth.
 *
 * Threads: no state.
 */
#ifndef REMED_PACKET_PARSE_H
#define REMED_PACKET_PARSE_H

#include <remediate/packet.h>
#include "base/base.h"

#define REMED_TUNNEL_DEPTH 8u
#define REMED_ETHERNET_DEPTH 16u /* Ethernet headers in one another, with tunnels or without */

enum remed_ip_protocol {
    REMED_PROTO_ICMP = 1,
    REMED_PROTO_IPIP = 4,
    REMED_PROTO_TCP = 6,
    REMED_PROTO_UDP = 17,
    REMED_PROTO_DCCP = 33,
    REMED_PROTO_IPV6 = 41,
    REMED_PROTO_FRAGMENT = 44,
    REMED_PROTO_GRE = 47,
    REMED_PROTO_AH = 51,
    REMED_PROTO_ICMPV6 = 58,
    REMED_PROTO_ETHERIP = 97,
    REMED_PROTO_SCTP = 132,
    REMED_PROTO_UDPLITE = 136,
    REMED_PROTO_MPLS = 137
};

struct remed_frame {
    const uint8_t *data;
    uint32_t captured;
    uint8_t scope;     /* enum remed_scope */
    uint8_t depth;     /* tunnels around the layer at hand */
    uint8_t quoted;    /* 1: within an ICMP error; opens neither tunnels nor further quotes */
    uint8_t ethernets; /* Ethernet headers so far: every circle of link layers has one */
};

/* An IP header's word on what follows it. */
struct remed_network {
    uint32_t transport; /* offset */
    uint32_t end;       /* offset behind the last byte that belongs to the packet */
    const uint8_t *source;
    const uint8_t *destination;
};

static inline bool remed_holds(const struct remed_frame *frame, uint32_t offset, uint32_t length)
{
    return offset <= frame->captured && frame->captured - offset >= length;
}

/* What follows an EtherType, an IP header (either version, told by the first nibble), or Ethernet.
 */
void remed_parse_ethertype(const struct remed_frame *frame, uint32_t offset, uint32_t type,
                           struct remed_headers *headers);
void remed_parse_ip(const struct remed_frame *frame, uint32_t offset,
                    struct remed_headers *headers);
void remed_parse_ethernet(const struct remed_frame *frame, uint32_t offset,
                          struct remed_headers *headers);
void remed_parse_ppp(const struct remed_frame *frame, uint32_t offset,
                     struct remed_headers *headers);
/* Ports, flags and quotes of the packet whose addresses `network` has. */
void remed_parse_transport(const struct remed_frame *frame, const struct remed_network *network,
                           struct remed_headers *headers);
/* Replaces `headers` by those of the packet inside, if there is a sound one. */
void remed_parse_tunnel(const struct remed_frame *frame, const struct remed_network *network,
                        struct remed_headers *headers);

#endif
