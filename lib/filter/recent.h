/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A SPAN that watches a port both ways, or two ports, hands out each packet twice. The copy is told
 * by what no sender sends twice within a few milliseconds: the same IP length, identification and
 * fragment offset, and all the same bytes behind the network header, in the same flow. The TTL and
 * all below IP may differ.
 *
 * All bytes: a checksum speaks for none where it is absent, or left to the card. Where there is no
 * identification (IPv6, or IPv4 with 0), a TCP segment with SYN, FIN or payload is known by its
 * sequence number. Whatever else is sent twice may be meant twice (a datagram, a pure ACK): it is a
 * duplicate only within a tap's own delay.
 *
 * Only packets that a rule wants are asked about and remembered, in one small table for the whole
 * filter: of those of the last milliseconds, the oldest of four is forgotten. What was forgotten is
 * copied twice, no more.
 *
 * Threads: belongs to one filter.
 */
#ifndef REMED_FILTER_RECENT_H
#define REMED_FILTER_RECENT_H

#include <remediate/packet.h>
#include "base/base.h"

#define REMED_RECENT_TIME 5000000u         /* ns between a packet and its duplicate, at most */
#define REMED_RECENT_NAMELESS_TIME 100000u /* ns, of what has no number of its own */
#define REMED_RECENT_SETS 1024u
#define REMED_RECENT_WAYS 4u

struct remed_recent_packet {
    uint64_t signature; /* 0: none */
    uint64_t time;      /* steady */
};

struct remed_recent {
    struct remed_recent_packet packet[REMED_RECENT_SETS][REMED_RECENT_WAYS];
};

/* What a packet is known by within its flow, and how long (ns): value 0 is for one of which too
 * little is there to tell. */
struct remed_signature {
    uint64_t value;
    uint32_t within;
};

/* The caller gives the flow's number and when it began. */
struct remed_signature remed_recent_sign(const struct remed_packet *packet,
                                         const struct remed_headers *headers, uint32_t flow,
                                         uint64_t began, const uint64_t secret[2]);
bool remed_recent_has(const struct remed_recent *recent, struct remed_signature signature,
                      uint64_t now);
void remed_recent_add(struct remed_recent *recent, uint64_t signature, uint64_t now);

#endif
