/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file filter.h
 * The decision for each packet: copy it to the standby or not, by which rule, and why.
 *
 * A filter joins parsing (packet.h), the flow table (flow.h) and a policy (policy.h). One call
 * takes a batch, allocates nothing and makes no system call. A policy whose rules need no memory of
 * flows (none, all, syn, sample without refresh) runs without a flow table.
 *
 * Threads: one thread a filter.
 */
#ifndef REMEDIATE_FILTER_H
#define REMEDIATE_FILTER_H

#include <remediate/error.h>
#include <remediate/flow.h>
#include <remediate/packet.h>
#include <remediate/policy.h>

REMED_BEGIN_DECLS

/** A filter. */
struct remed_filter;

/** Options of a filter. */
struct remed_filter_opts {
    size_t size;         /**< sizeof this struct, set by the init function */
    uint32_t max_flows;  /**< hard size of the flow table, 16 to 2^28; default 2^20 */
    uint32_t scope;      /**< enum remed_scope; default ::REMED_SCOPE_OUTER. It classifies flows and
                              is what MATCH reads: with INNER, the packet inside of all tunnels */
    uint32_t track;      /**< 1: keep the flow table even if no rule needs it; default 0 */
    uint32_t fragments;  /**< datagrams whose fragments are followed, 1 to 2^20; default 4,096 */
    uint64_t seed[2];    /**< the secret of all hashes; zeros: drawn when the filter is made */
    uint64_t timeout[REMED_TIMEOUT_COUNT]; /**< as in struct remed_flow_table_opts */
    const struct remed_allocator *allocator; /**< NULL: malloc */
    const struct remed_entropy *entropy;     /**< draws the secret; NULL: the system's */
};

/** Why a packet is copied or not. */
enum remed_reason {
    REMED_REASON_NO_RULE = 0,   /**< not: no rule matched */
    REMED_REASON_NONE,          /**< not: the rule says none */
    REMED_REASON_NOT_WANTED,    /**< not: beyond the first N, no handshake packet, not sampled, … */
    REMED_REASON_SIDE,          /**< not: seen on the other side, or the side is not known */
    REMED_REASON_UNCLASSIFIED,  /**< not: the rule needs a flow and the packet has none */
    REMED_REASON_LIMIT,         /**< not: wanted, but over the limit */
    REMED_REASON_ALL,           /**< copied: the rule says all */
    REMED_REASON_SYN,           /**< copied: a SYN; SCTP: INIT; DCCP: Request */
    REMED_REASON_SYN_ACK,       /**< copied: a SYN+ACK; SCTP: INIT ACK; DCCP: Response */
    REMED_REASON_HANDSHAKE_ACK, /**< copied: the ACK that completes the handshake; SCTP: its cookies */
    REMED_REASON_FIRST,         /**< copied: among the first packets or bytes */
    REMED_REASON_SAMPLE,        /**< copied: its flow is sampled */
    REMED_REASON_REFRESH,       /**< copied: to keep the standby fresh */
    REMED_REASON_CLOSE,         /**< copied: a FIN or RST, or what SCTP and DCCP have for them */
    REMED_REASON_DUPLICATE,     /**< not: seen twice within 5 ms (a SPAN's duplicate), copied once */
    REMED_REASON_COUNT          /**< how many there are; not a reason */
};

/** No rule. */
#define REMED_NO_RULE UINT32_MAX

/** The decision for one packet. */
struct remed_verdict {
    uint32_t rule;         /**< index of the deciding rule, or ::REMED_NO_RULE */
    uint32_t flow;         /**< flow number, or ::REMED_NO_FLOW (also without a flow table) */
    uint8_t copy;          /**< 1: copy the packet to the standby */
    uint8_t reason;        /**< enum remed_reason */
    uint8_t unclassified;  /**< enum remed_unclassified; 0 when the packet has a flow key */
    uint8_t new_flow;      /**< 1: the packet opened the flow */
    uint32_t reserved;     /**< zero */
};

/**
 * Counters of a filter. Those by reason, of the flow table and of the fragment table have functions
 * of their own.
 */
struct remed_filter_stats {
    uint64_t packets;          /**< packets seen */
    uint64_t bytes;            /**< their bytes on the wire */
    uint64_t copied_packets;   /**< packets to copy */
    uint64_t copied_bytes;     /**< their bytes on the wire */
    uint64_t tracks_flows;     /**< 1 when there is a flow table */
    uint64_t duplicates;       /**< packets that a tap handed out twice */
    uint64_t limited_live;     /**< over the limit: refreshes and closes of flows both ways */
    uint64_t limited_answered; /**< over the limit: answered handshakes, first packets both ways */
    uint64_t limited_rest;     /**< over the limit: all others */
};

/** Counters of one rule. */
struct remed_rule_stats {
    uint64_t packets;        /**< packets that the rule decided */
    uint64_t bytes;          /**< their bytes on the wire */
    uint64_t copied_packets; /**< of those, copied */
    uint64_t copied_bytes;   /**< their bytes on the wire */
    uint64_t limited;        /**< wanted, but over the limit */
};

/** Sets the defaults. @param opts not NULL @param size sizeof *opts */
REMED_API void remed_filter_opts_init(struct remed_filter_opts *opts, size_t size);
/**
 * Makes a filter and takes all its memory.
 * @param[out] filter to be freed with remed_filter_free(); not NULL
 * @param policy is copied, may be freed at once; not NULL
 * @param opts NULL for the defaults
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for an option out of range; ::REMED_ENOMEM; ::REMED_EIO when there are no
 *         random bytes for the secret
 */
REMED_API int remed_filter_new(struct remed_filter **filter, const struct remed_policy *policy,
                               const struct remed_filter_opts *opts, struct remed_error *error);
/**
 * Decides a batch of packets, in order.
 * @param filter not NULL
 * @param packets @p count of them
 * @param count any number; 32 or more at a time keep the pipeline full
 * @param[out] verdicts @p count of them, filled whole
 */
REMED_API void remed_filter_run(struct remed_filter *filter, const struct remed_packet *packets,
                                size_t count, struct remed_verdict *verdicts);
/**
 * Takes back that a packet was copied, when the copy was not sent after all: the flow's refresh is
 * due again as if its packet had not come. Counters stay. To be called seldom: the packet is parsed
 * and looked up anew.
 * @param filter not NULL
 * @param packet one that remed_filter_run() wanted copied, or a frame made of it; not NULL
 */
REMED_API void remed_filter_not_sent(struct remed_filter *filter,
                                     const struct remed_packet *packet);
/** Reads the counters. @param filter not NULL @param[out] stats not NULL @param size sizeof *stats */
REMED_API void remed_filter_stats(const struct remed_filter *filter,
                                  struct remed_filter_stats *stats, size_t size);
/** Counts the packets of one reason. @param filter not NULL @param reason enum remed_reason
 *  @return how many; 0 for an unknown reason */
REMED_API uint64_t remed_filter_reason_packets(const struct remed_filter *filter, unsigned reason);
/** Counts the packets by why they belong to no flow. @param filter not NULL
 *  @param reason enum remed_unclassified; 0: those with a flow @return how many; 0 for an unknown one */
REMED_API uint64_t remed_filter_unclassified_packets(const struct remed_filter *filter,
                                                     unsigned reason);
/** Reads the counters of the flow table. @param filter not NULL @param[out] stats not NULL
 *  @param size sizeof *stats @return 0; ::REMED_ENOENT without a flow table */
REMED_API int remed_filter_flow_stats(const struct remed_filter *filter,
                                      struct remed_flow_stats *stats, size_t size);
/** Reads the counters of the fragment table. @param filter not NULL @param[out] stats not NULL
 *  @param size sizeof *stats */
REMED_API void remed_filter_fragments_stats(const struct remed_filter *filter,
                                            struct remed_fragments_stats *stats, size_t size);
/**
 * Reads the counters of one rule.
 * @param filter not NULL @param rule from 0 @param[out] stats not NULL @param size sizeof *stats
 * @return 0; ::REMED_ENOENT beyond the last rule
 */
REMED_API int remed_filter_rule_stats(const struct remed_filter *filter, size_t rule,
                                      struct remed_rule_stats *stats, size_t size);
/** The filter's flow table, to be read; NULL without one. @param filter not NULL
 *  @return borrowed, lives as long as the filter */
REMED_API struct remed_flow_table *remed_filter_flows(struct remed_filter *filter);
/** Names a reason ("handshake-ack"). @param reason any value @return static string */
REMED_API const char *remed_reason_name(unsigned reason);
/** Frees the filter. @param filter may be NULL */
REMED_API void remed_filter_free(struct remed_filter *filter);

REMED_END_DECLS
#endif
