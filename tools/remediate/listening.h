/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What remediate listen is made of: lines through rule sets to records that wait for the publisher,
 * a file of lines that no rule matched, and the table of sources.
 *
 * Threads: one; signal handlers only set flags.
 */
#ifndef REMEDIATE_LISTENING_H
#define REMEDIATE_LISTENING_H

#include "carry.h"
#include "keys.h"
#include "waiting.h"

#include <remediate/listener.h>

#define RULE_SETS_MAX 16
#define QUEUE_RECORDS 256
#define LINE_RECORDS 2 /* most that a line gives by one rule set */

/* Lines that no rule matched, on a disk, in bounds. */
struct unmatched {
    const char *path; /* NULL: not kept */
    FILE *file;
    uint64_t every; /* one of so many */
    uint64_t most, written;
    uint64_t seen, left_out; /* of those that were to be written, for want of room */
    int fault;               /* errno of writing, told; 0: none */
};

/* Rule sets, and the records that they gave and that the publisher has not taken yet. */
struct interpreter {
    const char *names[RULE_SETS_MAX];
    struct remed_log_rules *rules[RULE_SETS_MAX];
    struct remed_log_parser *parsers[RULE_SETS_MAX];
    unsigned count;
    struct remed_log_parser_opts opts; /* what all parsers share */
    struct remed_record *queue[QUEUE_RECORDS];
    size_t begin, held;
    uint64_t outcomes[REMED_LOG_OUTCOMES];
    uint64_t lines, records, failed; /* failed: records that could not be kept */
};

struct listening {
    struct remed_listener *listener;
    struct remed_listener_opts listener_opts;
    struct remed_publisher *publisher;
    struct remed_publisher_opts publisher_opts;
    struct interpreter interpreter;
    struct unmatched unmatched;
    struct keys keys;
    const char *key_file;
    uint64_t key_number;             /* 0: the highest */
    uint64_t stats_every, stats_due; /* UINT64_MAX: never */
    uint64_t wait;
    uint64_t tag;                        /* of the next record */
    uint64_t mark_tag, mark_due, unsafe; /* unsafe: records before the mark without report */
    uint32_t failed_inputs;              /* that were told of */
    struct waiting waiting;
    uint64_t reported, moved; /* records delivered, when that changed last; which was then */
    char position_fault[REMED_ERROR_MESSAGE_SIZE]; /* as it was told last */
    bool is_marked, lost_some, listener_failed, json;
};

bool interpreter_init(struct interpreter *interpreter);
void interpreter_fini(struct interpreter *interpreter);
/* Loads all rule sets, and on success only takes them in place of those before; complains. */
int interpreter_load(struct interpreter *interpreter);
/* One line; true: a rule matched. There must be room. */
bool interpreter_take(struct interpreter *interpreter, const struct remed_listener_line *line);
bool interpreter_has_room(const struct interpreter *interpreter);
/* The records that wait, as many as lie together; *count of them. */
struct remed_record *const *interpreter_waiting(const struct interpreter *interpreter,
                                                size_t *count);
void interpreter_pass(struct interpreter *interpreter, size_t count);

/* Opens, or opens anew; complains. */
int unmatched_open(struct unmatched *unmatched);
void unmatched_take(struct unmatched *unmatched, const char *text, size_t length);
void unmatched_flush(struct unmatched *unmatched);
int unmatched_close(struct unmatched *unmatched);

/* The table of sources and the counts of lines, on `out`. */
void listening_report(const struct listening *listening, FILE *out);
/* Sets the callbacks in its options. */
void listening_connect(struct listening *listening);
/* Listens until a signal or the end of all inputs, and publishes what is left. */
int listening_run(struct listening *listening);

#endif
