/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file policy.h
 * The mirror policy: which packets a standby needs, as text and as data.
 *
 * One rule a line, `MATCH : ACTION [, close] [, refresh TIME] [, in|out|both]`; the first rule whose MATCH
 * holds decides. MATCH is a subset of pcap-filter(7) with the same meaning. A policy does nothing by
 * itself: it can be checked, printed back, compared, and compiled (filter.h).
 *
 * Threads: a policy never changes after parsing; any number of threads may read it.
 */
#ifndef REMEDIATE_POLICY_H
#define REMEDIATE_POLICY_H

#include <remediate/error.h>
#include <remediate/memory.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REMED_BEGIN_DECLS

/** A parsed policy. */
struct remed_policy;

/** What a rule does. */
enum remed_action {
    REMED_ACTION_NONE = 0,     /**< copy nothing */
    REMED_ACTION_ALL,          /**< copy every packet */
    REMED_ACTION_SYN,          /**< TCP with SYN and without ACK; needs no flow table (paper, 6.1) */
    REMED_ACTION_HANDSHAKE,    /**< TCP SYN, SYN+ACK, and the ACK that completes it; SCTP's and DCCP's */
    REMED_ACTION_FIRST,        /**< the first `amount` packets of the bidirectional flow */
    REMED_ACTION_FIRST_EACH,   /**< the first `amount` packets of each direction */
    REMED_ACTION_FIRST_BYTES,  /**< the packets that hold the flow's first `amount` bytes */
    REMED_ACTION_SAMPLE,       /**< every packet of one flow in `amount` */
    REMED_ACTION_CLOSE         /**< what ends a connection alone: FIN and RST; needs no flow table */
};

/** One rule, for reports and for compilers to other datapaths. */
struct remed_policy_rule {
    uint32_t action;     /**< enum remed_action */
    uint32_t line;       /**< line of the rule in the text, from 1 */
    uint64_t amount;     /**< packets, bytes or the divisor, by action; else 0 */
    uint64_t refresh;    /**< ns between refresh copies each way; 0 without */
    uint8_t sides;       /**< bit 0: `in`, bit 1: `out`; 3 is `both` */
    uint8_t close;       /**< 1: also what ends a connection, as for ::REMED_ACTION_CLOSE */
    uint8_t reserved[6]; /**< zero */
};

/** Limits and the allocator for parsing. */
struct remed_policy_opts {
    size_t size;        /**< sizeof this struct, set by the init function */
    uint32_t max_rules; /**< most rules, 1 to 65,535; default 4,096 */
    uint32_t max_depth; /**< deepest nesting of ( ) and not, 1 to 256; default 64 */
    const struct remed_allocator *allocator; /**< NULL: malloc */
};

/** Sets the defaults. @param opts not NULL @param size sizeof *opts */
REMED_API void remed_policy_opts_init(struct remed_policy_opts *opts, size_t size);
/**
 * Parses a policy.
 * @param[out] policy to be freed with remed_policy_free(); untouched on failure; not NULL
 * @param opts NULL for the defaults
 * @param text the policy, UTF-8 or ASCII; needs no NUL; a NUL byte within is a syntax error
 * @param length bytes of @p text
 * @param error filled on failure with line, column and what was expected; may be NULL
 * @return 0; ::REMED_ESYNTAX; ::REMED_ELIMIT for too many rules or too deep nesting; ::REMED_ENOMEM
 */
REMED_API int remed_policy_parse(struct remed_policy **policy, const struct remed_policy_opts *opts,
                                 const char *text, size_t length, struct remed_error *error);
/**
 * Prints the policy as text that parses to an equal one.
 * @param policy not NULL
 * @param[out] text @p size bytes, NUL-terminated when size > 0; may be NULL with size 0
 * @param size bytes at @p text
 * @return bytes of the whole text without its NUL, as snprintf does
 */
REMED_API size_t remed_policy_print(const struct remed_policy *policy, char *text, size_t size);
/** Compares two policies rule by rule. @param a not NULL @param b not NULL
 *  @return true when they mean the same */
REMED_API bool remed_policy_equal(const struct remed_policy *a, const struct remed_policy *b);
/** Counts the rules. @param policy not NULL @return how many, presets expanded */
REMED_API size_t remed_policy_rules(const struct remed_policy *policy);
/**
 * Reads one rule.
 * @param policy not NULL @param index from 0 @param[out] rule not NULL @param size sizeof *rule
 * @return 0; ::REMED_ENOENT beyond the last rule
 */
REMED_API int remed_policy_rule(const struct remed_policy *policy, size_t index,
                                struct remed_policy_rule *rule, size_t size);
/**
 * Prints one rule as one line of policy text, as remed_policy_print() does the whole.
 * @param policy not NULL @param index from 0 @param[out] text as in remed_policy_print() @param size
 * @return bytes of the text without NUL; 0 beyond the last rule
 */
REMED_API size_t remed_policy_print_rule(const struct remed_policy *policy, size_t index, char *text,
                                         size_t size);
/** Reads `limit`. @param policy not NULL @return bits a second, 0 without a limit */
REMED_API uint64_t remed_policy_limit(const struct remed_policy *policy);
/**
 * Walks the stock policies.
 * @param index from 0
 * @param[out] name static string ("nat"); may be NULL
 * @param[out] text its policy text, static; may be NULL
 * @return 0; ::REMED_ENOENT beyond the last
 */
REMED_API int remed_policy_preset(size_t index, const char **name, const char **text);
/** Names an action ("first"). @param action any value @return static string */
REMED_API const char *remed_action_name(unsigned action);
/** Frees a policy; filters made of it keep what they need. @param policy may be NULL */
REMED_API void remed_policy_free(struct remed_policy *policy);

REMED_END_DECLS
#endif
