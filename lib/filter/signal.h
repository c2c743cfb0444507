/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a packet does to a connection, in TCP's words. SCTP's chunks (RFC 9260) and DCCP's types
 * (RFC 4340) stand for TCP's flags:
 *
 *   SYN        INIT             Request
 *   SYN+ACK    INIT ACK         Response
 *   FIN        SHUTDOWN, -ACK, -COMPLETE   CloseReq, Close
 *   RST        ABORT            Reset
 *   ACK        all others       all others
 *
 * and their tags and numbers for TCP's, so that an answer is told from a guess: SCTP's initiate tag
 * is the number that its peer acknowledges in each packet's verification tag.
 *
 * Threads: no state.
 */
#ifndef REMED_FILTER_SIGNAL_H
#define REMED_FILTER_SIGNAL_H

#include <remediate/packet.h>
#include "base/base.h"

struct remed_signal {
    uint32_t sequence;
    uint32_t ack;
    uint8_t flags;     /* enum remed_tcp_flag; 0: no connection, or not captured */
    bool is_handshake; /* without SYN: part of a handshake all the same (SCTP's cookies) */
};

/* Of an SCTP or DCCP packet; nothing of another. */
struct remed_signal remed_signal_read(const struct remed_packet *packet,
                                      const struct remed_headers *headers);

static inline struct remed_signal remed_signal_of(const struct remed_packet *packet,
                                                  const struct remed_headers *headers)
{
    if (REMED_LIKELY((headers->flags & REMED_HEADERS_TCP) != 0))
        return (struct remed_signal){headers->tcp_sequence, headers->tcp_ack, headers->tcp_flags,
                                     false};
    if (REMED_LIKELY(headers->protocol != 132 && headers->protocol != 33))
        return (struct remed_signal){0, 0, 0, false};
    return remed_signal_read(packet, headers);
}

/* Where the packet's own bytes end within what was captured: behind them is the link's padding. */
static inline uint32_t remed_packet_end(const struct remed_packet *packet,
                                        const struct remed_headers *headers)
{
    const uint8_t *ip = packet->data + headers->network;
    if (headers->network >= packet->captured || packet->captured - headers->network < 20)
        return packet->captured;
    uint32_t length = headers->ip_version == 4 ? remed_load16(ip + 2) : 40u + remed_load16(ip + 4);
    bool is_told = length > (headers->ip_version == 4 ? 0u : 40u); /* else the card was to cut it */
    uint32_t rest = packet->captured - headers->network;
    return is_told && length < rest ? headers->network + length : packet->captured;
}

/* Opens, without being an answer. */
static inline bool remed_signal_is_syn(const struct remed_signal *signal)
{
    return (signal->flags & (REMED_TCP_SYN | REMED_TCP_ACK)) == REMED_TCP_SYN;
}

static inline bool remed_signal_is_close(const struct remed_signal *signal)
{
    return (signal->flags & (REMED_TCP_FIN | REMED_TCP_RST)) != 0;
}

#endif
