/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a watcher can tell of a TCP connection's state (RFC 9293, 3.3.2), from either or both sides.
 * A tap may see one direction only, so nothing waits for the other side: whatever is no SYN shows
 * that the connection is past its opening.
 *
 * Threads: a record belongs to its table's thread.
 */
#include "flow/table.h"

static void enter(struct remed_flow_record *record, enum remed_flow_state state)
{
    static const uint8_t timeouts[REMED_FLOW_STATE_COUNT] = {
        [REMED_FLOW_NEW] = REMED_TIMEOUT_TCP_OPEN,
        [REMED_FLOW_OPEN] = REMED_TIMEOUT_TCP_OPEN,
        [REMED_FLOW_SYN] = REMED_TIMEOUT_TCP_OPENING,
        [REMED_FLOW_SYN_ACK] = REMED_TIMEOUT_TCP_OPENING,
        [REMED_FLOW_CLOSING] = REMED_TIMEOUT_TCP_CLOSING,
        [REMED_FLOW_CLOSED] = REMED_TIMEOUT_TCP_CLOSED,
    };
    record->state = state & 15;
    record->timeout = timeouts[state] & 15;
}

static void on_syn_ack(struct remed_flow_record *record, const struct remed_seen *packet)
{
    uint32_t expected = packet->tcp_sequence + 1;
    unsigned from = packet->direction != 0 ? REMED_FLOW_RECORD_SYN_ACK_FROM : 0;
    bool again = (record->flags & REMED_FLOW_RECORD_SYN_ACK_SEEN) != 0 &&
                 record->expected_ack == expected &&
                 (record->flags & REMED_FLOW_RECORD_SYN_ACK_FROM) == from;
    if (!again) { /* a retransmission does not ask for a second completing ACK */
        unsigned kept = record->flags &
                        ~(unsigned)(REMED_FLOW_RECORD_SYN_ACK_FROM | REMED_FLOW_RECORD_COMPLETED);
        record->flags = (uint8_t)(kept | REMED_FLOW_RECORD_SYN_ACK_SEEN | from);
        record->expected_ack = expected;
    }
    if (record->state == REMED_FLOW_NEW || record->state == REMED_FLOW_SYN)
        enter(record, REMED_FLOW_SYN_ACK);
}

static bool is_completing(const struct remed_flow_record *record, const struct remed_seen *packet)
{
    unsigned from = (record->flags & REMED_FLOW_RECORD_SYN_ACK_FROM) != 0;
    return (record->flags & (REMED_FLOW_RECORD_SYN_ACK_SEEN | REMED_FLOW_RECORD_COMPLETED)) ==
               REMED_FLOW_RECORD_SYN_ACK_SEEN &&
           packet->direction != from && (packet->tcp_flags & REMED_TCP_ACK) != 0 &&
           (packet->tcp_flags & REMED_TCP_RST) == 0 && packet->tcp_ack == record->expected_ack;
}

static void on_fin(struct remed_flow_record *record, unsigned direction)
{
    record->flags |= (uint8_t)(direction != 0 ? REMED_FLOW_RECORD_FIN_1 : REMED_FLOW_RECORD_FIN_0);
    const unsigned both = REMED_FLOW_RECORD_FIN_0 | REMED_FLOW_RECORD_FIN_1;
    enter(record, (record->flags & both) == both ? REMED_FLOW_CLOSED : REMED_FLOW_CLOSING);
}

unsigned remed_flow_tcp(struct remed_flow_record *record, const struct remed_seen *packet)
{
    unsigned flags = packet->tcp_flags, events = 0;
    bool closed = record->state == REMED_FLOW_CLOSED;
    if ((flags & REMED_TCP_SYN) != 0) {
        if ((flags & REMED_TCP_ACK) != 0)
            on_syn_ack(record, packet);
        else if (record->state == REMED_FLOW_NEW)
            enter(record, REMED_FLOW_SYN);
    } else {
        if (is_completing(record, packet)) {
            record->flags |= REMED_FLOW_RECORD_COMPLETED;
            events = REMED_EVENT_COMPLETING_ACK;
        }
        bool both = packet->direction != (record->flags & REMED_FLOW_RECORD_OPENER);
        if (record->state == REMED_FLOW_SYN || record->state == REMED_FLOW_SYN_ACK ||
            (record->state == REMED_FLOW_NEW && both))
            enter(record, REMED_FLOW_OPEN);
    }
    if ((flags & REMED_TCP_RST) != 0)
        enter(record, REMED_FLOW_CLOSED);
    else if ((flags & REMED_TCP_FIN) != 0 && !closed)
        on_fin(record, packet->direction);
    return events;
}

void remed_flow_record_settle(struct remed_flow_record *record)
{
    const unsigned waiting = REMED_FLOW_RECORD_SYN_ACK_SEEN | REMED_FLOW_RECORD_COMPLETED;
    unsigned plain = 0, opener = record->flags & REMED_FLOW_RECORD_OPENER;
    if (record->state == REMED_FLOW_OPEN)
        plain = REMED_FLOW_RECORD_PLAIN_0 | REMED_FLOW_RECORD_PLAIN_1;
    else if (record->state == REMED_FLOW_NEW)
        plain = opener != 0 ? REMED_FLOW_RECORD_PLAIN_1 : REMED_FLOW_RECORD_PLAIN_0;
    if ((record->flags & waiting) ==
        REMED_FLOW_RECORD_SYN_ACK_SEEN) /* the other side's ACK may come */
        plain &= (record->flags & REMED_FLOW_RECORD_SYN_ACK_FROM) != 0 ? REMED_FLOW_RECORD_PLAIN_1
                                                                       : REMED_FLOW_RECORD_PLAIN_0;
    const unsigned both = REMED_FLOW_RECORD_PLAIN_0 | REMED_FLOW_RECORD_PLAIN_1;
    record->flags = (uint8_t)((record->flags & ~both) | plain);
}
