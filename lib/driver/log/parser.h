/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A parser from within: the machine, the record that is used again and again, and the counters.
 *
 * Threads: one thread a parser.
 */
#ifndef REMED_DRIVER_LOG_PARSER_H
#define REMED_DRIVER_LOG_PARSER_H

#include "driver/log/machine.h"
#include "state/record.h"

struct remed_log_parser {
    struct remed_log_machine machine;
    const struct remed_log_rules *rules;
    struct remed_record *record; /* domain, origin and epoch are set once */
    struct remed_log_parser_opts opts;
    struct remed_log_parser_stats stats;
    struct remed_allocator allocator;
    uint64_t sequence;
    uint64_t header_time; /* of the line at hand; 0 without */
    /* The last time in the header without a year: lines come many a second. */
    uint8_t stamp[15];
    uint64_t stamp_ns, stamp_received;
    /* What stood between the time and the set's own text, where that alone tells how far it goes:
     * a box's lines all have the same. */
    uint8_t head[48];
    uint32_t head_length;
    uint32_t matched; /* rule of the last line */
    uint8_t protocol; /* of the line; 255 not told */
    uint8_t reversed;
    uint8_t filled; /* REMED_KIND_SESSION: all of the record's session but its head is zero */
    uint64_t observed;
    uint64_t rule_lines[]; /* by rule */
};

/* Gives the records of a line that `rule` matched; fills outcome, event and records. */
void remed_log_give(struct remed_log_parser *parser, const struct remed_log_program_rule *rule,
                    size_t line, struct remed_log_verdict *verdict);
/* An address with its port out of the machine; nothing when it is not there, or unspecified. */
struct remed_endpoint remed_log_endpoint(const struct remed_log_machine *machine, unsigned slot);
/* The same after translation, of the address in `before`. */
struct remed_endpoint remed_log_translated(const struct remed_log_machine *machine, unsigned slot,
                                           unsigned before);

#endif
