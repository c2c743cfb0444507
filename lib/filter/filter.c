/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filters made, counted and freed; run.c runs them.
 *
 * Threads: one thread a filter.
 */
#include "filter/filter.h"

#include "base/entropy.h"

static bool rule_needs_flows(const struct remed_policy_rule *rule)
{
    return rule->refresh != 0 || rule->action == REMED_ACTION_HANDSHAKE ||
           rule->action == REMED_ACTION_FIRST || rule->action == REMED_ACTION_FIRST_EACH ||
           rule->action == REMED_ACTION_FIRST_BYTES;
}

static bool policy_needs_flows(const struct remed_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        if (rule_needs_flows(&rules->rule[i].data))
            return true;
    return false;
}

static bool policy_refreshes(const struct remed_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        if (rules->rule[i].data.refresh != 0)
            return true;
    return false;
}

void remed_filter_opts_init(struct remed_filter_opts *opts, size_t size)
{
    struct remed_flow_table_opts table;
    remed_flow_table_opts_init(&table, sizeof table);
    struct remed_filter_opts defaults = {
        .size = size, .max_flows = table.max_flows, .fragments = 4096};
    memcpy(defaults.timeout, table.timeout, sizeof defaults.timeout);
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

static int make_table(struct remed_filter *filter, const struct remed_filter_opts *opts,
                      struct remed_error *error)
{
    struct remed_flow_table_opts table;
    remed_flow_table_opts_init(&table, sizeof table);
    table.max_flows = opts->max_flows;
    table.allocator = opts->allocator;
    memcpy(table.seed, filter->secret, sizeof table.seed);
    memcpy(table.timeout, opts->timeout, sizeof table.timeout);
    int rc = remed_flow_table_new(&filter->table, &table, error);
    if (rc == 0) {
        filter->table->uses_cold = filter->refreshes;
        filter->table->clock = &filter->clock;
    }
    return rc;
}

static int make_fragments(struct remed_filter *filter, const struct remed_filter_opts *opts,
                          struct remed_error *error)
{
    struct remed_fragments_opts fragments;
    remed_fragments_opts_init(&fragments, sizeof fragments);
    fragments.capacity = opts->fragments;
    fragments.seed = filter->secret[1];
    fragments.allocator = opts->allocator;
    return remed_fragments_new(&filter->fragments, &fragments, error);
}

static int make_recent(struct remed_filter *filter, struct remed_error *error)
{
    bool is_asked = false;
    for (size_t i = 0; i < filter->rules.count; i++)
        is_asked |= remed_rule_tells_duplicates(&filter->rules.rule[i].data);
    if (!is_asked)
        return 0;
    filter->recent = remed_allocate(&filter->allocator, sizeof *filter->recent);
    if (filter->recent == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for the latest copies");
    return 0;
}

static int make_parts(struct remed_filter *filter, const struct remed_policy *policy,
                      const struct remed_filter_opts *opts, struct remed_error *error)
{
    int rc = remed_rules_copy(&filter->rules, remed_policy_rules_of(policy), &filter->allocator);
    if (rc < 0)
        return remed_error_set(error, rc, "no memory for the policy");
    const struct remed_rules *rules = &filter->rules;
    filter->rule_stats =
        remed_allocate(&filter->allocator, (rules->count + 1) * sizeof *filter->rule_stats);
    if (filter->rule_stats == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for the rules' counters");
    filter->scope = (enum remed_scope)opts->scope;
    filter->single = rules->count > 0 && rules->rule[0].match == NULL;
    filter->refreshes = policy_refreshes(rules);
    remed_limit_init(&filter->limit, rules->limit);
    rc = remed_entropy_secret(filter->secret, opts->seed, opts->entropy, error);
    if (rc == 0)
        rc = make_fragments(filter, opts, error);
    if (rc == 0)
        rc = make_recent(filter, error);
    if (rc == 0 && (opts->track != 0 || policy_needs_flows(rules)))
        rc = make_table(filter, opts, error);
    return rc;
}

int remed_filter_new(struct remed_filter **filter, const struct remed_policy *policy,
                     const struct remed_filter_opts *given, struct remed_error *error)
{
    struct remed_filter_opts opts;
    remed_filter_opts_init(&opts, sizeof opts);
    int rc = given != NULL ? remed_opts_copy(&opts, sizeof opts, given, "filter", error) : 0;
    if (rc < 0)
        return rc;
    if (opts.scope > REMED_SCOPE_INNER || opts.track > 1)
        return remed_error_set(error, REMED_EINVAL, "filter: scope or track out of range");
    struct remed_allocator allocator = remed_allocator_or_default(opts.allocator);
    struct remed_filter *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for the filter");
    made->allocator = allocator;
    remed_clock_init(&made->clock);
    rc = make_parts(made, policy, &opts, error);
    if (rc < 0) {
        remed_filter_free(made);
        return rc;
    }
    *filter = made;
    return 0;
}

void remed_filter_free(struct remed_filter *filter)
{
    if (filter == NULL)
        return;
    struct remed_allocator allocator = filter->allocator;
    remed_flow_table_free(filter->table);
    remed_fragments_free(filter->fragments);
    remed_release(&allocator, filter->recent, sizeof *filter->recent);
    remed_release(&allocator, filter->rule_stats,
                  (filter->rules.count + 1) * sizeof *filter->rule_stats);
    remed_rules_fini(&filter->rules, &allocator);
    remed_release(&allocator, filter, sizeof *filter);
}

void remed_filter_stats(const struct remed_filter *filter, struct remed_filter_stats *stats,
                        size_t size)
{
    struct remed_filter_stats own = filter->stats;
    own.tracks_flows = filter->table != NULL;
    own.duplicates = filter->reasons[REMED_REASON_DUPLICATE];
    remed_stats_copy(stats, size, &own, sizeof own);
}

uint64_t remed_filter_reason_packets(const struct remed_filter *filter, unsigned reason)
{
    return reason < REMED_REASON_COUNT ? filter->reasons[reason] : 0;
}

uint64_t remed_filter_unclassified_packets(const struct remed_filter *filter, unsigned reason)
{
    return reason < REMED_UNCLASSIFIED_COUNT ? filter->unclassified[reason] : 0;
}

int remed_filter_flow_stats(const struct remed_filter *filter, struct remed_flow_stats *stats,
                            size_t size)
{
    if (filter->table == NULL)
        return REMED_ENOENT;
    remed_flow_table_stats(filter->table, stats, size);
    return 0;
}

void remed_filter_fragments_stats(const struct remed_filter *filter,
                                  struct remed_fragments_stats *stats, size_t size)
{
    remed_fragments_stats(filter->fragments, stats, size);
}

int remed_filter_rule_stats(const struct remed_filter *filter, size_t rule,
                            struct remed_rule_stats *stats, size_t size)
{
    if (rule >= filter->rules.count)
        return REMED_ENOENT;
    remed_stats_copy(stats, size, &filter->rule_stats[rule], sizeof filter->rule_stats[rule]);
    return 0;
}

struct remed_flow_table *remed_filter_flows(struct remed_filter *filter)
{
    return filter->table;
}

const char *remed_reason_name(unsigned reason)
{
    static const char *const names[REMED_REASON_COUNT] = {
        "no-rule", "none",   "not-wanted", "side",    "unclassified",
        "limit",   "all",    "syn",        "syn-ack", "handshake-ack",
        "first",   "sample", "refresh",    "close",   "duplicate"};
    return reason < REMED_REASON_COUNT ? names[reason] : "unknown";
}
