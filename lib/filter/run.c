/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The filter runs: from a batch of packets to a batch of verdicts.
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
#include "filter/decide.h"
#include "filter/filter.h"

#define WAVE REMED_FLOW_BATCH
#define ANY_FRAGMENT (REMED_HEADERS_FRAGMENT | REMED_HEADERS_OUTER_FRAGMENT)

/* A wave's packets between its steps. */
struct wave {
    struct remed_headers headers[WAVE];
    struct remed_probe probe[WAVE];
    uint64_t time[WAVE]; /* steady */
    uint32_t rule[WAVE];
    bool tracked[WAVE]; /* takes part in the flow table */
};

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
    wave->time[i] = remed_clock_read(&filter->clock, packet->time);
    if (REMED_UNLIKELY((headers->flags & ANY_FRAGMENT) != 0))
        unclassified = remed_fragments_track_packet(filter->fragments, packet, headers);
    uint32_t rule = filter->single ? 0 : first_match(filter, packet, headers);
    wave->rule[i] = rule;
    wave->tracked[i] =
        filter->table != NULL && unclassified == 0 && wants_flow(filter, rule, packet->side);
    if (wave->tracked[i])
        remed_flow_probe(filter->table, &headers->key, headers->tcp_flags, &wave->probe[i]);
}

static uint32_t update_flow(struct remed_filter *filter, const struct remed_packet *packet,
                            const struct wave *wave, size_t i, struct remed_sighting *sighting)
{
    const struct remed_headers *headers = &wave->headers[i];
    const struct remed_seen seen = {
        .key = &headers->key,
        .time = wave->time[i],
        .shown = packet->time,
        .bytes = packet->wire,
        .tcp_sequence = sighting->signal.sequence,
        .tcp_ack = sighting->signal.ack,
        .direction = headers->direction,
        .tcp_flags = sighting->signal.flags,
        .is_report = (headers->flags & REMED_HEADERS_ICMP_ERROR) != 0,
    };
    uint32_t flow = remed_flow_touch(filter->table, &wave->probe[i], seen, &sighting->events);
    sighting->record = &filter->table->records[flow];
    return flow;
}

static bool is_refresh_due(const struct remed_filter *filter, const struct remed_policy_rule *rule,
                           uint32_t flow, uint64_t now, const struct remed_sighting *sighting)
{
    unsigned direction = sighting->headers->direction;
    return rule->refresh != 0 &&
           remed_clock_is_due(filter->table->cold[flow].copied[direction], now, rule->refresh) &&
           remed_refreshes(sighting);
}

/* What was copied a moment ago, seen again: it uses up nothing of its flow. */
static bool is_duplicate(struct remed_filter *filter, const struct remed_policy_rule *rule,
                         const struct remed_packet *packet, const struct wave *wave, size_t i,
                         uint32_t flow, const struct remed_sighting *sighting)
{
    const struct remed_headers *headers = &wave->headers[i];
    if (filter->recent == NULL || !remed_rule_tells_duplicates(rule))
        return false;
    uint64_t began = sighting->record != NULL ? sighting->record->first_seen : 0;
    const struct remed_signature signature =
        remed_recent_sign(packet, headers, flow, began, filter->secret);
    bool is_first = (sighting->events & REMED_EVENT_NEW) != 0; /* of a flow on the same record */
    if (signature.value == 0)
        return false;
    if (is_first || !remed_recent_has(filter->recent, signature, wave->time[i])) {
        remed_recent_add(filter->recent, signature.value, wave->time[i]);
        return false;
    }
    if (flow != REMED_NO_FLOW)
        remed_flow_record_uncount(&filter->table->records[flow], headers->direction, packet->wire);
    return true;
}

/* The rule's word on a classified packet on a wanted side. */
static enum remed_reason judge(struct remed_filter *filter, const struct remed_policy_rule *rule,
                               const struct remed_packet *packet, const struct wave *wave, size_t i,
                               uint32_t flow, const struct remed_sighting *sighting)
{
    enum remed_reason reason = remed_decide(rule, sighting);
    bool is_told = remed_reason_copies(reason);
    if (is_told && is_duplicate(filter, rule, packet, wave, i, flow, sighting))
        return REMED_REASON_DUPLICATE;
    if (!is_told && is_refresh_due(filter, rule, flow, wave->time[i], sighting))
        reason = REMED_REASON_REFRESH;
    return reason;
}

static enum remed_reason reason_of(struct remed_filter *filter, const struct remed_packet *packet,
                                   const struct wave *wave, size_t i, uint32_t flow,
                                   const struct remed_sighting *sighting)
{
    if (wave->rule[i] == REMED_NO_RULE)
        return REMED_REASON_NO_RULE;
    const struct remed_policy_rule *rule = &filter->rules.rule[wave->rule[i]].data;
    if (!side_wanted(rule, packet->side))
        return REMED_REASON_SIDE;
    if (wave->headers[i].unclassified == 0)
        return judge(filter, rule, packet, wave, i, flow, sighting);
    if (rule->action == REMED_ACTION_ALL)
        return REMED_REASON_ALL;
    return rule->action == REMED_ACTION_NONE ? REMED_REASON_NONE : REMED_REASON_UNCLASSIFIED;
}

static void count(struct remed_filter *filter, const struct remed_packet *packet,
                  const struct remed_verdict *verdict)
{
    struct remed_filter_stats *stats = &filter->stats;
    stats->bytes += packet->wire;
    filter->reasons[verdict->reason]++;
    filter->unclassified[verdict->unclassified]++;
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

/* Both sides of the flow talked, also if it has ended since. */
static bool is_live(const struct remed_filter *filter, uint32_t flow)
{
    const unsigned both = REMED_COLD_TALKED_0 | REMED_COLD_TALKED_1;
    return flow != REMED_NO_FLOW &&
           ((filter->table->records[flow].flags & REMED_FLOW_RECORD_COMPLETED) != 0 ||
            (filter->table->cold[flow].flags & both) == both);
}

static bool is_over_limit(struct remed_filter *filter, uint64_t now, enum remed_reason reason,
                          uint32_t flow, const struct remed_sighting *sighting)
{
    if (REMED_LIKELY(filter->limit.rate == 0))
        return false;
    enum remed_limit_class class = remed_limit_class_of(sighting, reason, is_live(filter, flow));
    if (remed_limit_take(&filter->limit, now, sighting->wire, class))
        return false;
    struct remed_filter_stats *stats = &filter->stats;
    stats->limited_live += class == REMED_LIMIT_LIVE;
    stats->limited_answered += class == REMED_LIMIT_ANSWERED;
    stats->limited_rest += class == REMED_LIMIT_REST;
    return true;
}

/* Step 3 for one packet. */
static inline void close_packet(struct remed_filter *filter, const struct remed_packet *packet,
                                const struct wave *wave, size_t i, struct remed_verdict *verdict)
{
    const struct remed_headers *headers = &wave->headers[i];
    struct remed_sighting sighting = {.headers = headers,
                                      .record = NULL,
                                      .signal = remed_signal_of(packet, headers),
                                      .wire = packet->wire,
                                      .events = 0};
    uint32_t flow =
        wave->tracked[i] ? update_flow(filter, packet, wave, i, &sighting) : REMED_NO_FLOW;
    enum remed_reason reason = reason_of(filter, packet, wave, i, flow, &sighting);
    if (remed_reason_copies(reason) &&
        is_over_limit(filter, wave->time[i], reason, flow, &sighting))
        reason = REMED_REASON_LIMIT;
    bool copy = remed_reason_copies(reason);
    if (filter->refreshes && copy && flow != REMED_NO_FLOW && remed_refreshes(&sighting))
        filter->table->cold[flow].copied[headers->direction] = wave->time[i];
    *verdict = (struct remed_verdict){
        .rule = wave->rule[i],
        .flow = flow,
        .copy = copy,
        .reason = (uint8_t)reason,
        .unclassified = headers->unclassified,
        .new_flow = (sighting.events & REMED_EVENT_NEW) != 0,
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

void remed_filter_not_sent(struct remed_filter *filter, const struct remed_packet *packet)
{
    struct remed_headers headers;
    if (!filter->refreshes || remed_packet_parse(packet, filter->scope, &headers) != 0)
        return;
    uint32_t flow = remed_flow_table_find(filter->table, &headers.key);
    if (flow != REMED_NO_FLOW)
        filter->table->cold[flow].copied[headers.direction] =
            filter->table->records[flow].last_seen - REMED_LONG_AGO;
}
