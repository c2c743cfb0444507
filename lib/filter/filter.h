/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A filter from within: made in filter.c, run in run.c.
 *
 * Threads: one thread a filter.
 */
#ifndef REMED_FILTER_FILTER_H
#define REMED_FILTER_FILTER_H

#include <remediate/filter.h>
#include "filter/limit.h"
#include "filter/recent.h"
#include "filter/rules.h"
#include "flow/table.h"

struct remed_filter {
    struct remed_rules rules;
    struct remed_rule_stats *rule_stats;
    struct remed_flow_table *table; /* NULL when no rule needs one */
    struct remed_fragments *fragments;
    struct remed_recent *recent; /* NULL when no rule asks for duplicates */
    struct remed_limit limit;
    struct remed_clock clock;
    uint64_t secret[2];
    enum remed_scope scope;
    bool single;    /* rule 0 decides every packet: `any` comes first */
    bool refreshes; /* some rule has refresh */
    struct remed_filter_stats stats;
    uint64_t reasons[REMED_REASON_COUNT];
    uint64_t unclassified[REMED_UNCLASSIFIED_COUNT];
    struct remed_allocator allocator;
};

/* A duplicate of a packet that such a rule copied is told apart (recent.h). What says `all`, `syn`
 * or `sample` keeps no memory of packets. */
static inline bool remed_rule_tells_duplicates(const struct remed_policy_rule *rule)
{
    return rule->close != 0 || rule->action == REMED_ACTION_CLOSE ||
           rule->action == REMED_ACTION_HANDSHAKE || rule->action == REMED_ACTION_FIRST ||
           rule->action == REMED_ACTION_FIRST_EACH || rule->action == REMED_ACTION_FIRST_BYTES;
}

#endif
