/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file log_rules.h
 * Log interpretation: lines of a middlebox's log in, records of state out, by rules that a vendor
 * reads and extends without a compiler (docs/log-rules.md).
 *
 * A rule set is text, compiled once. A line is matched in time linear in its length, without
 * backtracking and without allocation: a key in the line (a message id, a tag, a column) names the
 * few rules that may match, each step of a rule runs at most once a line, and what a rule reads has a
 * type. There is no I/O here and no clock: lines and the time of their arrival are handed in.
 *
 * Threads: rules never change after parsing, and any number of threads may share them; a parser
 * belongs to one thread.
 */
#ifndef REMEDIATE_LOG_RULES_H
#define REMEDIATE_LOG_RULES_H

#include <remediate/error.h>
#include <remediate/log.h>
#include <remediate/memory.h>
#include <remediate/state.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REMED_BEGIN_DECLS

/** A compiled rule set. */
struct remed_log_rules;
/** What turns lines into records by a rule set. */
struct remed_log_parser;

/** Longest name of a rule, bytes without NUL. */
#define REMED_LOG_NAME_MAX 63

/** Options of remed_log_rules_parse(). */
struct remed_log_rules_opts {
    size_t size;         /**< sizeof this struct, set by the init function */
    uint32_t max_rules;  /**< most rules, 1 to 65,535; default 4,096 */
    uint32_t max_steps;  /**< most steps of all rules, 16 to 10^6; default 65,536 */
    struct remed_log log; /**< hears of rules that overlap; default none */
    const struct remed_allocator *allocator; /**< NULL: malloc */
};

/** Sets the defaults. @param opts not NULL @param size sizeof *opts */
REMED_API void remed_log_rules_opts_init(struct remed_log_rules_opts *opts, size_t size);
/**
 * Compiles a rule set.
 * @param[out] rules to be freed with remed_log_rules_free(); untouched on failure; not NULL
 * @param opts NULL for the defaults
 * @param text the rule set, UTF-8 or ASCII; needs no NUL; a NUL byte within is a syntax error
 * @param length bytes of @p text, at most 16 MiB
 * @param error filled on failure with line, column and what was expected; may be NULL
 * @return 0; ::REMED_ESYNTAX, also for a rule that can never match, or that leaves unset what its
 *         records need; ::REMED_ELIMIT; ::REMED_ENOMEM; ::REMED_EINVAL for options out of range
 */
REMED_API int remed_log_rules_parse(struct remed_log_rules **rules,
                                    const struct remed_log_rules_opts *opts, const char *text,
                                    size_t length, struct remed_error *error);
/** Frees a rule set, which no parser may use any more. @param rules may be NULL */
REMED_API void remed_log_rules_free(struct remed_log_rules *rules);
/** The set's own title ("Cisco ASA and FTD"). @param rules not NULL
 *  @return static for the life of the rules, "" without one */
REMED_API const char *remed_log_rules_title(const struct remed_log_rules *rules);
/** Counts the rules. @param rules not NULL @return how many */
REMED_API size_t remed_log_rules_count(const struct remed_log_rules *rules);

/** What a line says of a flow. */
enum remed_log_event {
    REMED_LOG_EVENT_NONE = 0, /**< nothing: no record */
    REMED_LOG_EVENT_OPEN,     /**< it was opened, or allowed: upsert */
    REMED_LOG_EVENT_UPDATE,   /**< it lives: upsert */
    REMED_LOG_EVENT_CLOSE,    /**< it ended: remove */
    REMED_LOG_EVENT_ALLOW,    /**< a policy let it pass: upsert */
    REMED_LOG_EVENT_DENY,     /**< it was refused, and is no state: no record */
    REMED_LOG_EVENT_PACKET,   /**< a packet of it was seen, without a verdict: upsert */
    REMED_LOG_EVENT_COUNT     /**< how many there are; not an event */
};
/** Names an event ("open"). @param event any value @return static string or NULL */
REMED_API const char *remed_log_event_name(unsigned event);

/** One rule, for listings. */
struct remed_log_rule {
    const char *name;   /**< valid as long as the rules */
    uint32_t line;      /**< line of the rule in the text, from 1 */
    uint32_t kinds;     /**< bit by enum remed_kind: the records that it can give */
    uint32_t events;    /**< bit by enum remed_log_event: what it can say */
    uint32_t reserved;  /**< zero */
};
/**
 * Reads one rule.
 * @param rules not NULL @param index from 0 @param[out] rule not NULL @param size sizeof *rule
 * @return 0; ::REMED_ENOENT beyond the last rule
 */
REMED_API int remed_log_rules_get(const struct remed_log_rules *rules, size_t index,
                                  struct remed_log_rule *rule, size_t size);

/** What became of a line. */
enum remed_log_outcome {
    REMED_LOG_FOREIGN = 0, /**< no line of this set: `begin` was not found */
    REMED_LOG_UNKNOWN,     /**< its key has no rule */
    REMED_LOG_UNMATCHED,   /**< no rule of its key matched */
    REMED_LOG_SILENT,      /**< matched, and speaks of no flow */
    REMED_LOG_DENIED,      /**< matched: a flow that was refused */
    REMED_LOG_INCOMPLETE,  /**< matched, but a field that the record needs was empty or unfit */
    REMED_LOG_RECORDS,     /**< matched, and gave records */
    REMED_LOG_OUTCOMES     /**< how many there are; not an outcome */
};
/** Names an outcome ("unmatched"). @param outcome any value @return static string or NULL */
REMED_API const char *remed_log_outcome_name(unsigned outcome);

/** What a line said, field by field; a field without a value is zero or empty. */
struct remed_log_fields {
    size_t size;                   /**< sizeof this struct */
    struct remed_endpoint source;  /**< as the line names it first, before translation */
    struct remed_endpoint destination;       /**< the other side, before translation */
    struct remed_endpoint source_after;      /**< the source after translation */
    struct remed_endpoint destination_after; /**< the destination after translation */
    struct remed_endpoint backend;           /**< the server that a load balancer chose */
    struct remed_endpoint service;           /**< the virtual address */
    const char *backend_name;      /**< @c backend_name_length bytes of the line; NULL without */
    uint32_t backend_name_length;  /**< bytes */
    uint8_t protocol;              /**< IP protocol number; 255 when it was not told */
    uint8_t reversed;              /**< 1: the destination opened the flow */
    uint8_t reserved[2];           /**< zero */
    uint64_t observed;             /**< ns since the Unix epoch */
};

/** One line to be read. */
struct remed_log_line {
    const char *text;   /**< @c length bytes, any bytes; a newline at the end is no part of it */
    size_t length;      /**< bytes */
    uint64_t received;  /**< ns since the Unix epoch: the time of a line that tells none, and the
                             year of one that tells no year (the latest that is at most a day ahead) */
};

/** What became of a line, and by which rule. */
struct remed_log_verdict {
    uint8_t outcome;    /**< enum remed_log_outcome */
    uint8_t event;      /**< enum remed_log_event, when a rule matched */
    uint16_t records;   /**< how many were given */
    uint32_t rule;      /**< index of the rule that matched, else UINT32_MAX */
};

/**
 * Takes one record.
 * @param context the parser's
 * @param line index of the line in the batch
 * @param record borrowed for the call; its source is logged
 */
typedef void (*remed_log_record_fn)(void *context, size_t line, const struct remed_record *record);

/** Options of a parser. */
struct remed_log_parser_opts {
    size_t size;          /**< sizeof this struct, set by the init function */
    const char *domain;   /**< of the records, 1 to ::REMED_NAME_MAX bytes; not NULL */
    const char *origin;   /**< of the records; default "" */
    uint64_t epoch;       /**< of the records; default 1 */
    uint64_t sequence;    /**< of the first record, then one more each; default 1 */
    int32_t zone;         /**< seconds east of Greenwich for times without a zone, within a day */
    uint32_t reserved;    /**< zero */
    struct remed_endpoint service; /**< the virtual address for lines that tell none; without it
                                        the unspecified address, without a port */
    remed_log_record_fn record; /**< hears of each record; NULL: they are only counted */
    void *context;        /**< for @c record */
    const struct remed_allocator *allocator; /**< NULL: malloc */
};

/** Sets the defaults. @param opts not NULL @param size sizeof *opts */
REMED_API void remed_log_parser_opts_init(struct remed_log_parser_opts *opts, size_t size);
/**
 * Makes a parser.
 * @param[out] parser to be freed with remed_log_parser_free(); untouched on failure; not NULL
 * @param rules not NULL; must outlive the parser
 * @param opts not NULL: the domain has no default
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for an option out of its range; ::REMED_ENOMEM
 */
REMED_API int remed_log_parser_new(struct remed_log_parser **parser,
                                   const struct remed_log_rules *rules,
                                   const struct remed_log_parser_opts *opts,
                                   struct remed_error *error);
/** Frees a parser, also from within its own callback's caller. @param parser may be NULL */
REMED_API void remed_log_parser_free(struct remed_log_parser *parser);
/**
 * Reads lines. Allocates nothing. A line gives none, one or two records: two when it tells the end of
 * a flow and not who had opened it.
 * @param parser not NULL; the callback must not free it
 * @param lines @p count lines; borrowed
 * @param count how many
 * @param[out] verdicts @p count places, or NULL
 * @return how many records were given
 */
REMED_API size_t remed_log_parser_run(struct remed_log_parser *parser,
                                      const struct remed_log_line *lines, size_t count,
                                      struct remed_log_verdict *verdicts);
/**
 * Tells what the last line said, whether it gave a record or not.
 * @param parser not NULL
 * @param[out] fields not NULL; what it points to is valid as long as that line
 * @param size sizeof *fields
 * @return 0; ::REMED_ENOENT when no rule matched it
 */
REMED_API int remed_log_parser_fields(const struct remed_log_parser *parser,
                                      struct remed_log_fields *fields, size_t size);

/** How far a rule got in a line. */
struct remed_log_trace {
    uint32_t rule;      /**< index of the rule; UINT32_MAX for `begin` */
    uint32_t matched;   /**< 1: it matched */
    uint32_t reached;   /**< bytes of the line that were matched */
    uint32_t line;      /**< the step that failed, or the last: its line in the rule set */
    uint32_t column;    /**< and its column */
    uint32_t reserved;  /**< zero */
};
/**
 * Tells how far each rule gets in a line, as remed_log_parser_run() would try them; slow, for people.
 * What the last line said is forgotten.
 * @param parser not NULL
 * @param line not NULL
 * @param[out] traces @p size places, in the order of trying; `begin` first
 * @param size places at @p traces
 * @return how many there are, also when they do not fit
 */
REMED_API size_t remed_log_parser_explain(struct remed_log_parser *parser,
                                          const struct remed_log_line *line,
                                          struct remed_log_trace *traces, size_t size);

/** Counters of a parser. */
struct remed_log_parser_stats {
    uint64_t lines;                        /**< read */
    uint64_t records;                      /**< given */
    uint64_t outcome[REMED_LOG_OUTCOMES];  /**< lines by enum remed_log_outcome */
};
/** Reads the counters. @param parser not NULL @param[out] stats not NULL @param size sizeof *stats */
REMED_API void remed_log_parser_stats(const struct remed_log_parser *parser,
                                      struct remed_log_parser_stats *stats, size_t size);
/** Counts the lines that a rule matched. @param parser not NULL @param rule index
 *  @return how many; 0 beyond the last rule */
REMED_API uint64_t remed_log_parser_rule_lines(const struct remed_log_parser *parser, size_t rule);

REMED_END_DECLS
#endif
