/* SPDX-License-Identifier: BSD-3-Clause */
/* The report of a mirror run: for people, and as one JSON object. Threads: one. */
#include "tool.h"

#include <stdlib.h>

#define PRINTED(x) ((unsigned long long)(x))

static double share(uint64_t part, uint64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : 0.0;
}

static void json_rules(FILE *out, const struct report *report)
{
    fputs("\"rules\":[", out);
    for (size_t i = 0; i < remed_policy_rules(report->policy); i++) {
        struct remed_policy_rule rule;
        struct remed_rule_stats stats;
        char *text = rule_text(report->policy, i);
        remed_policy_rule(report->policy, i, &rule, sizeof rule);
        remed_filter_rule_stats(report->filter, i, &stats, sizeof stats);
        fprintf(out, "%s{\"index\":%zu,\"line\":%u,\"text\":", i > 0 ? "," : "", i, rule.line);
        json_string(out, text != NULL ? text : "");
        fprintf(out,
                ",\"packets\":%llu,\"bytes\":%llu,\"copied_packets\":%llu,\"copied_bytes\":%llu,"
                "\"limited\":%llu}",
                PRINTED(stats.packets), PRINTED(stats.bytes), PRINTED(stats.copied_packets),
                PRINTED(stats.copied_bytes), PRINTED(stats.limited));
        free(text);
    }
    fputs("],", out);
}

/* Packets by reason: a counter and a name for each of `count`. */
struct counters {
    uint64_t (*packets_of)(const struct remed_filter *filter, unsigned reason);
    const char *(*name_of)(unsigned reason);
    unsigned from, count;
};

static const struct counters by_reason = {remed_filter_reason_packets, remed_reason_name, 0,
                                          REMED_REASON_COUNT};
static const struct counters by_unclassified = {
    remed_filter_unclassified_packets, remed_unclassified_name, 1, REMED_UNCLASSIFIED_COUNT};

static void json_counters(FILE *out, const char *name, const struct remed_filter *filter,
                          const struct counters *counters)
{
    fprintf(out, "\"%s\":{", name);
    for (unsigned i = counters->from; i < counters->count; i++) {
        if (i > counters->from)
            fputc(',', out);
        json_string(out, counters->name_of(i));
        fprintf(out, ":%llu", PRINTED(counters->packets_of(filter, i)));
    }
    fputs("},", out);
}

static void json_flows(FILE *out, const struct remed_filter *filter)
{
    struct remed_flow_stats flows;
    if (remed_filter_flow_stats(filter, &flows, sizeof flows) < 0) {
        fputs("\"flows\":null,", out);
        return;
    }
    fprintf(out,
            "\"flows\":{\"created\":%llu,\"live\":%llu,\"reopened\":%llu,\"expired\":%llu,"
            "\"evicted\":%llu,",
            PRINTED(flows.created), PRINTED(flows.live), PRINTED(flows.reopened),
            PRINTED(flows.expired), PRINTED(flows.evicted));
    fprintf(out,
            "\"live_by_class\":{\"one_way\":%llu,\"half_open\":%llu,\"ended\":%llu,"
            "\"established\":%llu},",
            PRINTED(flows.one_way), PRINTED(flows.half_open), PRINTED(flows.ended),
            PRINTED(flows.established));
    fprintf(out,
            "\"evicted_by_class\":{\"one_way\":%llu,\"half_open\":%llu,\"ended\":%llu,"
            "\"established\":%llu}},",
            PRINTED(flows.evicted_one_way), PRINTED(flows.evicted_half_open),
            PRINTED(flows.evicted_ended), PRINTED(flows.evicted_established));
}

static void json_limit(FILE *out, const struct report *report,
                       const struct remed_filter_stats *stats)
{
    if (remed_policy_limit(report->policy) == 0)
        fputs("\"limited\":null,", out);
    else
        fprintf(out, "\"limited\":{\"live\":%llu,\"answered\":%llu,\"rest\":%llu},",
                PRINTED(stats->limited_live), PRINTED(stats->limited_answered),
                PRINTED(stats->limited_rest));
}

static void json_fragments(FILE *out, const struct remed_filter *filter)
{
    struct remed_fragments_stats fragments;
    remed_filter_fragments_stats(filter, &fragments, sizeof fragments);
    fprintf(out,
            "\"fragments\":{\"first\":%llu,\"matched\":%llu,\"orphans\":%llu,\"evicted\":%llu},",
            PRINTED(fragments.first), PRINTED(fragments.matched), PRINTED(fragments.orphans),
            PRINTED(fragments.evicted));
}

static void json_ends(FILE *out, const struct report *report)
{
    if (report->source != NULL)
        fprintf(out, "\"kernel\":{\"received\":%llu,\"dropped\":%llu,\"interface_dropped\":%llu},",
                PRINTED(report->source->kernel_received), PRINTED(report->source->kernel_dropped),
                PRINTED(report->source->interface_dropped));
    else
        fputs("\"kernel\":null,", out);
    if (report->sink != NULL)
        fprintf(out,
                "\"written\":%llu,\"refused\":%llu,\"link_lost\":%llu,\"retried\":%llu,"
                "\"split_packets\":%llu,\"split_frames\":%llu,",
                PRINTED(report->sink->packets), PRINTED(report->sink->refused),
                PRINTED(report->sink->link_lost), PRINTED(report->sink->retried),
                PRINTED(report->sink->split_packets), PRINTED(report->sink->split_frames));
    else
        fputs("\"written\":null,\"refused\":null,", out);
}

void report_json(FILE *out, const struct report *report)
{
    struct remed_filter_stats stats;
    remed_filter_stats(report->filter, &stats, sizeof stats);
    fprintf(out,
            "{\"packets\":%llu,\"bytes\":%llu,\"copied_packets\":%llu,\"copied_bytes\":%llu,"
            "\"copied_packets_share\":%.6f,\"copied_bytes_share\":%.6f,",
            PRINTED(stats.packets), PRINTED(stats.bytes), PRINTED(stats.copied_packets),
            PRINTED(stats.copied_bytes), share(stats.copied_packets, stats.packets),
            share(stats.copied_bytes, stats.bytes));
    json_flows(out, report->filter);
    json_rules(out, report);
    json_limit(out, report, &stats);
    json_counters(out, "reasons", report->filter, &by_reason);
    json_counters(out, "unclassified", report->filter, &by_unclassified);
    json_fragments(out, report->filter);
    json_ends(out, report);
    fprintf(out, "\"seconds\":%.3f}\n", report->seconds);
}

static void text_counters(FILE *out, const char *title, const struct remed_filter *filter,
                          const struct counters *counters)
{
    uint64_t sum = 0;
    for (unsigned i = counters->from; i < counters->count; i++)
        sum += counters->packets_of(filter, i);
    if (sum == 0)
        return;
    fprintf(out, "%s\n", title);
    for (unsigned i = counters->from; i < counters->count; i++)
        if (counters->packets_of(filter, i) > 0)
            fprintf(out, "  %12llu  %s\n", PRINTED(counters->packets_of(filter, i)),
                    counters->name_of(i));
}

static void text_rules(FILE *out, const struct report *report)
{
    fputs("copied by rule\n", out);
    for (size_t i = 0; i < remed_policy_rules(report->policy); i++) {
        struct remed_rule_stats stats;
        char *text = rule_text(report->policy, i);
        remed_filter_rule_stats(report->filter, i, &stats, sizeof stats);
        fprintf(out, "  %12llu  of %llu: %s", PRINTED(stats.copied_packets), PRINTED(stats.packets),
                text != NULL ? text : "");
        if (stats.limited > 0)
            fprintf(out, "  (%llu over the limit)", PRINTED(stats.limited));
        fputc('\n', out);
        free(text);
    }
}

static void text_flows(FILE *out, const struct remed_filter *filter)
{
    struct remed_flow_stats flows;
    if (remed_filter_flow_stats(filter, &flows, sizeof flows) < 0) {
        fputs("flows               -  (no rule of this policy needs them)\n", out);
        return;
    }
    fprintf(out, "flows    %12llu  (%llu live, %llu reopened, %llu expired, %llu evicted)\n",
            PRINTED(flows.created), PRINTED(flows.live), PRINTED(flows.reopened),
            PRINTED(flows.expired), PRINTED(flows.evicted));
    if (flows.evicted > 0)
        fprintf(out,
                "evicted  %12llu  one-way, %llu half-open, %llu ended, %llu established flows\n",
                PRINTED(flows.evicted_one_way), PRINTED(flows.evicted_half_open),
                PRINTED(flows.evicted_ended), PRINTED(flows.evicted_established));
}

static void text_limit(FILE *out, const struct remed_filter_stats *stats)
{
    if (stats->limited_live + stats->limited_answered + stats->limited_rest > 0)
        fprintf(out,
                "limited  %12llu  of live flows, %llu of answered handshakes, %llu of the rest\n",
                PRINTED(stats->limited_live), PRINTED(stats->limited_answered),
                PRINTED(stats->limited_rest));
}

static void text_ends(FILE *out, const struct report *report)
{
    if (report->source != NULL)
        fprintf(out, "kernel   %12llu  received, %llu dropped, %llu dropped by the interface\n",
                PRINTED(report->source->kernel_received), PRINTED(report->source->kernel_dropped),
                PRINTED(report->source->interface_dropped));
    if (report->sink != NULL && report->sink->refused > 0)
        fprintf(out, "refused  %12llu  copies that were not sent (%llu for a link that was down)\n",
                PRINTED(report->sink->refused), PRINTED(report->sink->link_lost));
    if (report->sink != NULL && report->sink->split_packets > 0)
        fprintf(out, "split    %12llu  merged or long packets, sent as %llu frames\n",
                PRINTED(report->sink->split_packets), PRINTED(report->sink->split_frames));
}

void report_text(FILE *out, const struct report *report)
{
    struct remed_filter_stats stats;
    remed_filter_stats(report->filter, &stats, sizeof stats);
    fprintf(out, "seen     %12llu  packets, %llu bytes, in %.3f s\n", PRINTED(stats.packets),
            PRINTED(stats.bytes), report->seconds);
    fprintf(out, "copied   %12llu  packets (%.2f %%), %llu bytes (%.2f %%)\n",
            PRINTED(stats.copied_packets), 100 * share(stats.copied_packets, stats.packets),
            PRINTED(stats.copied_bytes), 100 * share(stats.copied_bytes, stats.bytes));
    text_flows(out, report->filter);
    text_ends(out, report);
    text_rules(out, report);
    text_limit(out, &stats);
    text_counters(out, "packets by reason", report->filter, &by_reason);
    text_counters(out, "packets not classified", report->filter, &by_unclassified);
    struct remed_fragments_stats fragments;
    remed_filter_fragments_stats(report->filter, &fragments, sizeof fragments);
    if (fragments.first + fragments.orphans > 0)
        fprintf(out, "fragments\n  %12llu  joined to their flow\n  %12llu  without a first\n",
                PRINTED(fragments.matched), PRINTED(fragments.orphans));
}
