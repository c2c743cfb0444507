/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A policy from within: what the parser makes and the filter runs. The filter takes its own copy of
 * the array (remed_rules_copy), so that a policy may be freed while filters made of it run.
 *
 * Threads: never changed after parsing.
 */
#ifndef REMED_FILTER_RULES_H
#define REMED_FILTER_RULES_H

#include <remediate/packet.h>
#include <remediate/policy.h>
#include "base/base.h"

struct remed_match; /* a compiled MATCH */

struct remed_rule {
    struct remed_policy_rule data;
    struct remed_match *match; /* NULL is `any` */
};

struct remed_rules {
    struct remed_rule *rule;
    size_t count;
    uint64_t limit; /* bits a second, 0 without */
};

const struct remed_rules *remed_policy_rules_of(const struct remed_policy *policy);
int remed_rules_copy(struct remed_rules *copy, const struct remed_rules *rules,
                     const struct remed_allocator *allocator);
void remed_rules_fini(struct remed_rules *rules, const struct remed_allocator *allocator);

/*
 * Whether the packet is one that MATCH selects. With the outer scope it reads the frame as
 * libpcap's compiled filter does, with the inner scope the classifying IP header (headers->network)
 * and what follows. `headers` is the packet's own, already parsed. No allocation.
 */
bool remed_match_run(const struct remed_match *match, const struct remed_packet *packet,
                     enum remed_scope scope, const struct remed_headers *headers);

#endif
