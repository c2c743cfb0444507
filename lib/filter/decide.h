/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One packet against one rule: what the rule's action wants, by what the flow was before and is
 * now. Kept apart from the batch loop so that the meaning of each action stands in one place.
 *
 * Threads: no state.
 */
#ifndef REMED_FILTER_DECIDE_H
#define REMED_FILTER_DECIDE_H

#include <remediate/filter.h>
#include "flow/table.h"

/* What a packet looks like to a rule. */
struct remed_sighting {
    const struct remed_headers *headers;
    const struct remed_flow_record *record; /* after the update; NULL without a flow table */
    uint32_t wire;
    unsigned events; /* enum remed_flow_event */
};

static inline bool remed_has_tcp(const struct remed_headers *headers)
{
    return (headers->flags & REMED_HEADERS_TCP) != 0;
}

static inline enum remed_reason remed_decide_syn(const struct remed_headers *headers)
{
    const unsigned both = REMED_TCP_SYN | REMED_TCP_ACK;
    return remed_has_tcp(headers) && (headers->tcp_flags & both) == REMED_TCP_SYN
               ? REMED_REASON_SYN
               : REMED_REASON_NOT_WANTED;
}

static inline enum remed_reason remed_decide_handshake(const struct remed_sighting *sighting)
{
    if (!remed_has_tcp(sighting->headers))
        return REMED_REASON_NOT_WANTED;
    unsigned flags = sighting->headers->tcp_flags;
    if ((flags & REMED_TCP_SYN) != 0)
        return (flags & REMED_TCP_ACK) != 0 ? REMED_REASON_SYN_ACK : REMED_REASON_SYN;
    return (sighting->events & REMED_EVENT_COMPLETING_ACK) != 0 ? REMED_REASON_HANDSHAKE_ACK
                                                                : REMED_REASON_NOT_WANTED;
}

static inline bool remed_is_first(const struct remed_sighting *sighting, uint32_t action,
                                  uint64_t amount)
{
    const struct remed_flow_record *record = sighting->record;
    if (action == REMED_ACTION_FIRST)
        return remed_flow_record_packets(record, 0) + remed_flow_record_packets(record, 1) <=
               amount;
    if (action == REMED_ACTION_FIRST_EACH)
        return remed_flow_record_packets(record, sighting->headers->direction) <= amount;
    return record->bytes[0] + record->bytes[1] - sighting->wire < amount;
}

/* What the action alone says of a packet with a flow key, refresh and limit aside. */
static inline enum remed_reason remed_decide(const struct remed_policy_rule *rule,
                                             const struct remed_sighting *sighting)
{
    switch (rule->action) {
    case REMED_ACTION_FIRST:
    case REMED_ACTION_FIRST_EACH:
    case REMED_ACTION_FIRST_BYTES:
        return remed_is_first(sighting, rule->action, rule->amount) ? REMED_REASON_FIRST
                                                                    : REMED_REASON_NOT_WANTED;
    case REMED_ACTION_SYN:
        return remed_decide_syn(sighting->headers);
    case REMED_ACTION_HANDSHAKE:
        return remed_decide_handshake(sighting);
    case REMED_ACTION_SAMPLE:
        return remed_flow_key_hash(&sighting->headers->key, 0) % rule->amount == 0
                   ? REMED_REASON_SAMPLE
                   : REMED_REASON_NOT_WANTED;
    case REMED_ACTION_ALL:
        return REMED_REASON_ALL;
    default:
        return REMED_REASON_NONE;
    }
}

static inline bool remed_reason_copies(enum remed_reason reason)
{
    return reason >= REMED_REASON_ALL;
}

#endif
