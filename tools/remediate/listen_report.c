/* SPDX-License-Identifier: BSD-3-Clause */
/* The report of remediate listen: a row a source, and the counts of lines. Threads: one. */
#include "listening.h"

#include <inttypes.h>

static bool is_told(const struct remed_listener_source *source)
{
    return source->role == REMED_LISTENER_INPUT || source->lines > 0 || source->oversize > 0 ||
           source->connections > 0 || source->refused > 0;
}

static void put_row(FILE *out, const struct remed_listener_source *source)
{
    fprintf(out, "%s%-*s %10" PRIu64 " %12" PRIu64 " %10" PRIu64 " %8" PRIu64 " %8" PRIu64 "\n",
            source->role == REMED_LISTENER_SENDER ? "  " : "",
            source->role == REMED_LISTENER_SENDER ? 38 : 40, source->name, source->lines,
            source->bytes, source->unmatched, source->oversize + source->dropped, source->cut);
}

static void put_object(FILE *out, const struct remed_listener_source *source)
{
    static const char *const roles[] = {"others", "input", "sender"};
    fputs("{\"name\":", out);
    json_string(out, source->name);
    fprintf(out,
            ",\"role\":\"%s\",\"input\":%" PRIu32 ",\"lines\":%" PRIu64 ",\"bytes\":%" PRIu64
            ",\"unmatched\":%" PRIu64 ",\"oversize\":%" PRIu64 ",\"dropped\":%" PRIu64
            ",\"cut\":%" PRIu64 ",\"connections\":%" PRIu64 ",\"refused\":%" PRIu64
            ",\"rotations\":%" PRIu64 "}",
            roles[source->role], source->input, source->lines, source->bytes, source->unmatched,
            source->oversize, source->dropped, source->cut, source->connections, source->refused,
            source->rotations);
}

static void put_sources(const struct listening *listening, FILE *out)
{
    struct remed_listener_source source;
    const char *separator = "";
    for (uint32_t i = 0; remed_listener_source(listening->listener, i, &source, sizeof source) == 0;
         i++) {
        if (!is_told(&source))
            continue;
        if (listening->json) {
            fputs(separator, out);
            put_object(out, &source);
        } else {
            put_row(out, &source);
        }
        separator = ",";
    }
}

static uint64_t matched(const struct interpreter *interpreter)
{
    return interpreter->outcomes[REMED_LOG_SILENT] + interpreter->outcomes[REMED_LOG_DENIED] +
           interpreter->outcomes[REMED_LOG_INCOMPLETE] + interpreter->outcomes[REMED_LOG_RECORDS];
}

static void report_object(const struct listening *listening, FILE *out,
                          const struct remed_listener_stats *lines,
                          const struct remed_publisher_stats *records)
{
    const struct interpreter *interpreter = &listening->interpreter;
    fputs("{\"sources\":[", out);
    put_sources(listening, out);
    fprintf(out, "],\"lines\":%" PRIu64 ",\"lost\":%" PRIu64, lines->lines, lines->lost);
    for (unsigned i = 0; i < REMED_LOG_OUTCOMES; i++)
        fprintf(out, ",\"%s\":%" PRIu64, remed_log_outcome_name(i), interpreter->outcomes[i]);
    fprintf(out,
            ",\"failed_inputs\":%" PRIu32 ",\"given\":%" PRIu64 ",\"published\":%" PRIu64
            ",\"delivered\":%" PRIu64 ",\"pending\":%" PRIu64 ",\"waiting\":%" PRIu64
            ",\"sample_left_out\":%" PRIu64 "}\n",
            lines->failed, interpreter->records, records->published, records->delivered,
            records->pending, (uint64_t)interpreter->held, listening->unmatched.left_out);
}

void listening_report(const struct listening *listening, FILE *out)
{
    const struct interpreter *interpreter = &listening->interpreter;
    struct remed_listener_stats lines;
    struct remed_publisher_stats records;
    remed_listener_stats(listening->listener, &lines, sizeof lines);
    remed_publisher_stats(listening->publisher, &records, sizeof records);
    if (listening->json) {
        report_object(listening, out, &lines, &records);
        return;
    }
    fprintf(out, "%-40s %10s %12s %10s %8s %8s\n", "source", "lines", "bytes", "unmatched", "lost",
            "cut");
    put_sources(listening, out);
    fprintf(out, "lines %" PRIu64 ": matched %" PRIu64 ", unmatched %" PRIu64, lines.lines,
            matched(interpreter), interpreter->lines - matched(interpreter));
    for (unsigned i = 0; i < REMED_LOG_OUTCOMES; i++)
        if (interpreter->outcomes[i] != 0)
            fprintf(out, "%s %s %" PRIu64, i == 0 ? ";" : ",", remed_log_outcome_name(i),
                    interpreter->outcomes[i]);
    fprintf(out,
            "\nlost %" PRIu64 " lines\nrecords %" PRIu64 ": published %" PRIu64
            ", delivered %" PRIu64 ", pending %" PRIu64 "\n",
            lines.lost, interpreter->records, records.published, records.delivered,
            records.pending + interpreter->held);
    if (lines.failed > 0)
        fprintf(out, "inputs that can't be read %" PRIu32 "\n", lines.failed);
    if (listening->unmatched.left_out > 0)
        fprintf(out, "unmatched lines left out of the full sample %" PRIu64 "\n",
                listening->unmatched.left_out);
}
