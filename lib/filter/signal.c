/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading SCTP and DCCP for signal.h. Threads: no state. */
#include "filter/signal.h"

#define SCTP_HEADER 12u
#define SCTP_CHUNKS 16u /* looked at: SHUTDOWN and ABORT may stand behind others */

enum sctp_chunk {
    SCTP_INIT = 1,
    SCTP_INIT_ACK = 2,
    SCTP_ABORT = 6,
    SCTP_SHUTDOWN = 7,
    SCTP_SHUTDOWN_ACK = 8,
    SCTP_COOKIE_ECHO = 10,
    SCTP_COOKIE_ACK = 11,
    SCTP_SHUTDOWN_COMPLETE = 14
};

enum dccp_type {
    DCCP_REQUEST = 0,
    DCCP_RESPONSE = 1,
    DCCP_CLOSE_REQUEST = 5,
    DCCP_CLOSE = 6,
    DCCP_RESET = 7
};

static uint8_t sctp_flags(unsigned chunk)
{
    switch (chunk) {
    case SCTP_INIT:
        return REMED_TCP_SYN;
    case SCTP_INIT_ACK:
        return REMED_TCP_SYN | REMED_TCP_ACK;
    case SCTP_ABORT:
        return REMED_TCP_RST | REMED_TCP_ACK;
    case SCTP_SHUTDOWN:
    case SCTP_SHUTDOWN_ACK:
    case SCTP_SHUTDOWN_COMPLETE:
        return REMED_TCP_FIN | REMED_TCP_ACK;
    default:
        return REMED_TCP_ACK;
    }
}

static struct remed_signal read_sctp(const uint8_t *sctp, uint32_t length)
{
    struct remed_signal signal = {0, 0, 0, false};
    if (length < SCTP_HEADER + 4)
        return signal;
    signal.ack = remed_load32(sctp + 4);
    for (uint32_t at = SCTP_HEADER, i = 0; at + 4 <= length && i < SCTP_CHUNKS; i++) {
        unsigned chunk = sctp[at], size = remed_load16(sctp + at + 2);
        if (size < 4)
            break; /* no chunk */
        signal.flags |= sctp_flags(chunk);
        signal.is_handshake |= chunk == SCTP_COOKIE_ECHO || chunk == SCTP_COOKIE_ACK;
        if ((chunk == SCTP_INIT || chunk == SCTP_INIT_ACK) && at + 8 <= length)
            signal.sequence = remed_load32(sctp + at + 4) - 1; /* its + 1 is what is acknowledged */
        at += (size + 3) & ~3u;
    }
    return signal;
}

static uint8_t dccp_flags(unsigned type)
{
    switch (type) {
    case DCCP_REQUEST:
        return REMED_TCP_SYN;
    case DCCP_RESPONSE:
        return REMED_TCP_SYN | REMED_TCP_ACK;
    case DCCP_CLOSE_REQUEST:
    case DCCP_CLOSE:
        return REMED_TCP_FIN | REMED_TCP_ACK;
    case DCCP_RESET:
        return REMED_TCP_RST | REMED_TCP_ACK;
    default:
        return REMED_TCP_ACK;
    }
}

/* Both numbers have 48 bits while a connection opens; the low 32 tell an answer from a guess. */
static struct remed_signal read_dccp(const uint8_t *dccp, uint32_t length)
{
    struct remed_signal signal = {0, 0, 0, false};
    if (length < 12)
        return signal;
    signal.flags = dccp_flags(dccp[8] >> 1 & 15);
    bool is_extended = (dccp[8] & 1) != 0;
    if (is_extended && length >= 16)
        signal.sequence = remed_load32(dccp + 12);
    if (is_extended && length >= 24 && (signal.flags & REMED_TCP_ACK) != 0)
        signal.ack = remed_load32(dccp + 20) + 1; /* the number itself is acknowledged */
    return signal;
}

struct remed_signal remed_signal_read(const struct remed_packet *packet,
                                      const struct remed_headers *headers)
{
    const unsigned unread = REMED_HEADERS_LATER_FRAGMENT | REMED_HEADERS_ICMP_ERROR;
    uint32_t end = remed_packet_end(packet, headers);
    if (headers->transport >= end || (headers->flags & unread) != 0)
        return (struct remed_signal){0, 0, 0, false};
    const uint8_t *transport = packet->data + headers->transport;
    uint32_t length = end - headers->transport;
    return headers->protocol == 132 ? read_sctp(transport, length) : read_dccp(transport, length);
}
