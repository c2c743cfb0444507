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
#include "filter/limit.h"
#include "filter/signal.h"
#include "flow/table.h"

/* What a packet looks like to a rule. */
struct remed_sighting {
    const struct remed_headers *headers;
    const struct remed_flow_record *record; /* after the update; NULL without a flow table */
    struct remed_signal signal;
    uint32_t wire;
    unsigned events; /* enum remed_flow_event */
};

static inline bool remed_has_tcp(const struct remed_headers *headers)
{
    return (headers->flags & REMED_HEADERS_TCP) != 0;
}

static inline enum remed_reason remed_decide_syn(const struct remed_sighting *sighting)
{
    bool is_syn = remed_has_tcp(sighting->headers) && remed_signal_is_syn(&sighting->signal);
    return is_syn ? REMED_REASON_SYN : REMED_REASON_NOT_WANTED;
}

static inline enum remed_reason remed_decide_handshake(const struct remed_sighting *sighting)
{
    const struct remed_signal *signal = &sighting->signal;
    if ((signal->flags & REMED_TCP_SYN) != 0)
        return remed_signal_is_syn(signal) ? REMED_REASON_SYN : REMED_REASON_SYN_ACK;
    /* SCTP has its cookies for it; another packet may complete the handshake if one was lost */
    if (signal->is_handshake)
        return REMED_REASON_HANDSHAKE_ACK;
    return (sighting->events & REMED_EVENT_COMPLETING_ACK) != 0 ? REMED_REASON_HANDSHAKE_ACK
                                                                : REMED_REASON_NOT_WANTED;
}

static inline enum remed_reason remed_decide_close(const struct remed_sighting *sighting)
{
    return remed_signal_is_close(&sighting->signal) ? REMED_REASON_CLOSE : REMED_REASON_NOT_WANTED;
}

/* A SYN that makes another flow if it is answered is the first of that one. */
static inline bool remed_is_first(const struct remed_sighting *sighting, uint32_t action,
                                  uint64_t amount)
{
    const struct remed_flow_record *record = sighting->record;
    if ((sighting->events & REMED_EVENT_REUSE_SYN) != 0)
        return true;
    if (action == REMED_ACTION_FIRST)
        return remed_flow_record_packets(record, 0) + remed_flow_record_packets(record, 1) <=
               amount;
    if (action == REMED_ACTION_FIRST_EACH)
        return remed_flow_record_packets(record, sighting->headers->direction) <= amount;
    return record->bytes[0] + record->bytes[1] - sighting->wire < amount;
}

/* What the action alone says of a packet with a flow key; closes, refresh and limit aside. */
static inline enum remed_reason remed_decide_action(const struct remed_policy_rule *rule,
                                                    const struct remed_sighting *sighting)
{
    switch (rule->action) {
    case REMED_ACTION_FIRST:
    case REMED_ACTION_FIRST_EACH:
    case REMED_ACTION_FIRST_BYTES:
        return remed_is_first(sighting, rule->action, rule->amount) ? REMED_REASON_FIRST
                                                                    : REMED_REASON_NOT_WANTED;
    case REMED_ACTION_SYN:
        return remed_decide_syn(sighting);
    case REMED_ACTION_HANDSHAKE:
        return remed_decide_handshake(sighting);
    case REMED_ACTION_CLOSE:
        return remed_decide_close(sighting);
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
    return reason >= REMED_REASON_ALL && reason <= REMED_REASON_CLOSE;
}

static inline enum remed_reason remed_decide(const struct remed_policy_rule *rule,
                                             const struct remed_sighting *sighting)
{
    enum remed_reason reason = remed_decide_action(rule, sighting);
    if (rule->close != 0 && !remed_reason_copies(reason) &&
        remed_signal_is_close(&sighting->signal))
        reason = REMED_REASON_CLOSE;
    return reason;
}

/* Anybody can send a SYN, a FIN, a RST or an ICMP error about a flow: such a packet refreshes no
 * standby, and must not take the place of one that does. */
static inline bool remed_refreshes(const struct remed_sighting *sighting)
{
    return (sighting->signal.flags & REMED_TCP_TURNING) == 0 &&
           (sighting->headers->flags & REMED_HEADERS_ICMP_ERROR) == 0;
}

/* Whose share of the limit the packet takes from, whatever action wants it. `is_live`: both sides
 * of its flow talked, before this packet or by it. Each side ends a flow once: what is sent in
 * the name of others beyond that is a flood. */
static inline enum remed_limit_class remed_limit_class_of(const struct remed_sighting *sighting,
                                                          enum remed_reason reason, bool is_live)
{
    const unsigned lives = REMED_EVENT_COMPLETING_ACK | REMED_EVENT_CLOSE;
    if (is_live && (reason == REMED_REASON_REFRESH || (sighting->events & lives) != 0))
        return REMED_LIMIT_LIVE;
    if (remed_signal_is_close(&sighting->signal))
        return REMED_LIMIT_REST;
    bool is_opening = reason == REMED_REASON_FIRST || reason == REMED_REASON_HANDSHAKE_ACK;
    if ((sighting->events & REMED_EVENT_ANSWER) != 0 || (is_live && is_opening))
        return REMED_LIMIT_ANSWERED;
    return REMED_LIMIT_REST;
}

#endif
