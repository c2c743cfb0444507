/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The filter: from a batch of packets to a batch of verdicts.
 *
 * The cost of a packet is the cache misses it makes, so a batch runs in waves of 32, each wave in
 * steps: parse, match and hash (the bytes of the packets 32 ahead are prefetched on the way), then
 * tags, then records. By the time a step reads a line, the step before has asked for it.
 *
 * The rule is known before the flow is touched, as MATCH looks at the packet alone. So a packet on
 * the side that its rule excludes does not count for its flow: with taps on both sides of a
 * firewall each packet is seen twice, and `first 5, in` means five of those on the inner side.
 *
 * Threads: one thread a filter.
 */
#include <remediate/filter.h>

#include "filter/decide.h"
#include "filter/limit.h"
#include "filter/rules.h"

#define WAVE REMED_FLOW_BATCH
#define ANY_FRAGMENT (REMED_HEADERS_FRAGMENT | REMED_HEADERS_OUTER_FRAGMENT)

struct remed_filter {
    struct remed_rules rules;
    struct remed_rule_stats *rule_stats;
    struct remed_flow_table *table; /* NULL when no rule needs one */
    struct remed_fragments *fragments;
    struct remed_limit limit;
    enum remed_scope scope;
    bool single;    /* rule 0 decides every packet: `any` comes first */
    bool refreshes; /* some rule has refresh */
    struct remed_filter_stats stats;
    struct remed_allocator allocator;
};

/* A wave's packets between its steps. */
struct wave {
    struct remed_headers headers[WAVE];
    struct remed_probe probe[WAVE];
    uint32_t rule[WAVE];
    bool tracked[WAVE]; /* takes part in the flow table */
};

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
    memcpy(table.seed, opts->seed, sizeof table.seed);
    memcpy(table.timeout, opts->timeout, sizeof table.timeout);
    int rc = remed_flow_table_new(&filter->table, &table, error);
    if (rc == 0)
        filter->table->uses_cold = filter->refreshes;
    return rc;
}

static int make_fragments(struct remed_filter *filter, const struct remed_filter_opts *opts,
                          struct remed_error *error)
{
    struct remed_fragments_opts fragments;
    remed_fragments_opts_init(&fragments, sizeof fragments);
    fragments.capacity = opts->fragments;
    fragments.seed = opts->seed[0] ^ REMED_HASH_C1;
    fragments.allocator = opts->allocator;
    return remed_fragments_new(&filter->fragments, &fragments, error);
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
    rc = make_fragments(filter, opts, error);
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
    remed_release(&allocator, filter->rule_stats,
                  (filter->rules.count + 1) * sizeof *filter->rule_stats);
    remed_rules_fini(&filter->rules, &allocator);
    remed_release(&allocator, filter, sizeof *filter);
}

static uint32_t first_match(const struct remed_filter *filter, const struct remed_packet *packet,
                            const struct remed_headers *headers)
{
    const struct remed_rules *rules = &filter->rules;
    for (size_t i = 0; i < rules->count; i++)
        if (rules->rule[i].match == NULL ||
            remed_match_run(rules->rule[i].match, packet, filter->scope, headers))
            return (uint32_t)i;
    return REMED_NO_RULE;
}

/* The side is wanted: `both`, or one that the packet is known to be on. */
static bool side_wanted(const struct remed_policy_rule *rule, uint8_t side)
{
    return (rule->sides & 3) == 3 ||
           (side != REMED_SIDE_UNKNOWN && (rule->sides & (1u << (side - 1))) != 0);
}

static bool wants_flow(const struct remed_filter *filter, uint32_t rule, uint8_t side)
{
    return rule == REMED_NO_RULE || side_wanted(&filter->rules.rule[rule].data, side);
}

/* Step 1 for one packet. */
static inline void open_packet(struct remed_filter *filter, const struct remed_packet *packet,
                               struct wave *wave, size_t i)
{
    struct remed_headers *headers = &wave->headers[i];
    unsigned unclassified = remed_packet_parse(packet, filter->scope, headers);
    if (REMED_UNLIKELY((headers->flags & ANY_FRAGMENT) != 0))
        unclassified = remed_fragments_track_packet(filter->fragments, packet, headers);
    uint32_t rule = filter->single ? 0 : first_match(filter, packet, headers);
    wave->rule[i] = rule;
    wave->tracked[i] =
        filter->table != NULL && unclassified == 0 && wants_flow(filter, rule, packet->side);
    if (wave->tracked[i])
        remed_flow_probe(filter->table, &headers->key, &wave->probe[i]);
}

static uint32_t update_flow(struct remed_filter *filter, const struct remed_packet *packet,
                            const struct wave *wave, size_t i, unsigned *events)
{
    const struct remed_headers *headers = &wave->headers[i];
    const struct remed_seen seen = {
        .key = &headers->key,
        .time = packet->time,
        .bytes = packet->wire,
        .tcp_sequence = headers->tcp_sequence,
        .tcp_ack = headers->tcp_ack,
        .direction = headers->direction,
        .tcp_flags = remed_has_tcp(headers) ? headers->tcp_flags : 0,
    };
    return remed_flow_touch(filter->table, &wave->probe[i], seen, events);
}

static bool refresh_due(const struct remed_filter *filter, const struct remed_policy_rule *rule,
                        uint32_t flow, unsigned direction, uint64_t now)
{
    const struct remed_flow_record *record = &filter->table->records[flow];
    uint64_t last = filter->table->cold[flow].copied[direction];
    if (last == REMED_NEVER)
        last = record->first_seen;
    return now > last && now - last >= rule->refresh;
}

static bool is_opening(enum remed_reason reason, unsigned events)
{
    return (events & REMED_EVENT_NEW) != 0 || reason == REMED_REASON_SYN ||
           reason == REMED_REASON_SYN_ACK || reason == REMED_REASON_HANDSHAKE_ACK;
}

/* The rule's word on a classified packet on a wanted side. */
static enum remed_reason judge(struct remed_filter *filter, const struct remed_policy_rule *rule,
                               const struct remed_packet *packet, const struct wave *wave, size_t i,
                               uint32_t flow, unsigned events)
{
    const struct remed_headers *headers = &wave->headers[i];
    const struct remed_sighting sighting = {
        .headers = headers,
        .record = flow != REMED_NO_FLOW ? &filter->table->records[flow] : NULL,
        .wire = packet->wire,
        .events = events,
    };
    enum remed_reason reason = remed_decide(rule, &sighting);
    if (!remed_reason_copies(reason) && rule->refresh != 0 &&
        refresh_due(filter, rule, flow, headers->direction, packet->time))
        reason = REMED_REASON_REFRESH;
    return reason;
}

static enum remed_reason reason_of(struct remed_filter *filter, const struct remed_packet *packet,
                                   const struct wave *wave, size_t i, uint32_t flow,
                                   unsigned events)
{
    if (wave->rule[i] == REMED_NO_RULE)
        return REMED_REASON_NO_RULE;
    const struct remed_policy_rule *rule = &filter->rules.rule[wave->rule[i]].data;
    if (!side_wanted(rule, packet->side))
        return REMED_REASON_SIDE;
    if (wave->headers[i].unclassified == 0)
        return judge(filter, rule, packet, wave, i, flow, events);
    if (rule->action == REMED_ACTION_ALL)
        return REMED_REASON_ALL;
    return rule->action == REMED_ACTION_NONE ? REMED_REASON_NONE : REMED_REASON_UNCLASSIFIED;
}

static void count(struct remed_filter *filter, const struct remed_packet *packet,
                  const struct remed_verdict *verdict)
{
    struct remed_filter_stats *stats = &filter->stats;
    stats->bytes += packet->wire;
    stats->reasons[verdict->reason]++;
    stats->unclassified[verdict->unclassified]++;
    if (verdict->rule != REMED_NO_RULE) {
        struct remed_rule_stats *rule = &filter->rule_stats[verdict->rule];
        rule->packets++;
        rule->bytes += packet->wire;
        rule->limited += verdict->reason == REMED_REASON_LIMIT;
        rule->copied_packets += verdict->copy;
        rule->copied_bytes += verdict->copy != 0 ? packet->wire : 0;
    }
    stats->copied_packets += verdict->copy;
    stats->copied_bytes += verdict->copy != 0 ? packet->wire : 0;
}

/* Step 3 for one packet. */
static inline void close_packet(struct remed_filter *filter, const struct remed_packet *packet,
                                const struct wave *wave, size_t i, struct remed_verdict *verdict)
{
    unsigned events = 0;
    uint32_t flow =
        wave->tracked[i] ? update_flow(filter, packet, wave, i, &events) : REMED_NO_FLOW;
    enum remed_reason reason = reason_of(filter, packet, wave, i, flow, events);
    if (remed_reason_copies(reason) &&
        !remed_limit_take(&filter->limit, packet->time, packet->wire, is_opening(reason, events)))
        reason = REMED_REASON_LIMIT;
    bool copy = remed_reason_copies(reason);
    if (filter->refreshes && copy && flow != REMED_NO_FLOW)
        filter->table->cold[flow].copied[wave->headers[i].direction] = packet->time;
    *verdict = (struct remed_verdict){
        .rule = wave->rule[i],
        .flow = flow,
        .copy = copy,
        .reason = (uint8_t)reason,
        .unclassified = wave->headers[i].unclassified,
        .new_flow = (events & REMED_EVENT_NEW) != 0,
    };
    count(filter, packet, verdict);
}

/* Frames lie at any address: the bytes from EtherType to TCP flags (12 to 47) may be in two lines.
 */
static inline void fetch_headers(const struct remed_packet *packet)
{
    __builtin_prefetch(packet->data + 12);
    __builtin_prefetch(packet->data + 47);
}

static void run_wave(struct remed_filter *filter, const struct remed_packet *packets, size_t n,
                     size_t ahead, struct remed_verdict *verdicts)
{
    struct wave wave;
    for (size_t i = 0; i < n; i++) {
        if (i + WAVE < ahead)
            fetch_headers(&packets[i + WAVE]);
        open_packet(filter, &packets[i], &wave, i);
    }
    if (filter->table != NULL)
        for (size_t i = 0; i < n; i++)
            if (wave.tracked[i])
                remed_flow_candidate(filter->table, &wave.probe[i]);
    for (size_t i = 0; i < n; i++)
        close_packet(filter, &packets[i], &wave, i, &verdicts[i]);
    filter->stats.packets += n;
}

void remed_filter_run(struct remed_filter *filter, const struct remed_packet *packets, size_t count,
                      struct remed_verdict *verdicts)
{
    for (size_t i = 0; i < count && i < WAVE; i++)
        fetch_headers(&packets[i]);
    for (size_t done = 0; done < count; done += WAVE) {
        size_t n = count - done < WAVE ? count - done : WAVE;
        run_wave(filter, packets + done, n, count - done, verdicts + done);
    }
}

void remed_filter_stats(const struct remed_filter *filter, struct remed_filter_stats *stats,
                        size_t size)
{
    struct remed_filter_stats own = filter->stats;
    own.tracks_flows = filter->table != NULL;
    if (filter->table != NULL)
        remed_flow_table_stats(filter->table, &own.flows, sizeof own.flows);
    remed_fragments_stats(filter->fragments, &own.fragments, sizeof own.fragments);
    remed_stats_copy(stats, size, &own, sizeof own);
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
        "no-rule", "none",    "not-wanted",    "side",  "unclassified", "limit",  "all",
        "syn",     "syn-ack", "handshake-ack", "first", "sample",       "refresh"};
    return reason < REMED_REASON_COUNT ? names[reason] : "unknown";
}
