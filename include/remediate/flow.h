/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file flow.h
 * The flow table: a fixed number of bidirectional flows, found in batches.
 *
 * All memory is taken when the table is made. Idle flows end by a timeout of their protocol and TCP
 * state; a tuple used again after a close, after its timeout, or by a SYN with another sequence
 * number that is answered, is a new flow.
 *
 * When the table is full, newcomers make room first: flows that were seen in one direction only,
 * half-open ones, and ended ones; of the kind that has the most of them, the one that is there
 * longest (a one-way flow of more than one packet gets a second chance). Flows that talked both ways
 * are evicted only when all newcomers together hold less than a 64th of the table: then the one
 * among 16 that would expire first, and before it those that only exchanged one question and one
 * answer. So a flood of strangers evicts strangers.
 *
 * Time comes in with the packet. Packets may be a second out of order. A clock that steps back or
 * jumps and returns changes nothing: what counts is the time that passed.
 *
 * Threads: one thread a table. Scale over cores by remed_flow_key_hash(): it is symmetric.
 */
#ifndef REMEDIATE_FLOW_H
#define REMEDIATE_FLOW_H

#include <remediate/entropy.h>
#include <remediate/error.h>
#include <remediate/flow_key.h>
#include <remediate/memory.h>
#include <stdbool.h>

REMED_BEGIN_DECLS

/** Where a TCP connection stands, as far as a watcher can tell; others are ::REMED_FLOW_NEW/OPEN. */
enum remed_flow_state {
    REMED_FLOW_NEW = 0,    /**< seen in one direction only */
    REMED_FLOW_OPEN,       /**< both sides talked; TCP: established, or picked up midstream */
    REMED_FLOW_SYN,        /**< TCP: SYN seen */
    REMED_FLOW_SYN_ACK,    /**< TCP: SYN+ACK seen */
    REMED_FLOW_CLOSING,    /**< TCP: one side sent FIN */
    REMED_FLOW_CLOSED,     /**< TCP: both sides sent FIN, or one RST */
    REMED_FLOW_STATE_COUNT /**< how many there are; not a state */
};

/** Idle timeouts, by what the flow is. */
enum remed_flow_timeout {
    REMED_TIMEOUT_TCP_OPENING = 0, /**< TCP, SCTP and DCCP until both sides have talked; default
                                        240 s (RFC 5382, REQ-5) */
    REMED_TIMEOUT_TCP_OPEN,        /**< established; default 7,440 s (RFC 5382, REQ-5) */
    REMED_TIMEOUT_TCP_CLOSING,     /**< a FIN seen; default 240 s (RFC 5382, REQ-5) */
    REMED_TIMEOUT_TCP_CLOSED,      /**< closed or reset; default 240 s (RFC 5382, REQ-5) */
    REMED_TIMEOUT_UDP,             /**< UDP and UDP-Lite; default 300 s (RFC 4787, REQ-5) */
    REMED_TIMEOUT_ICMP,            /**< default 60 s (RFC 5508, REQ-1) */
    REMED_TIMEOUT_SCTP,            /**< SCTP and DCCP, both sides have talked; default 7,440 s */
    REMED_TIMEOUT_OTHER,           /**< any other protocol; default 600 s */
    REMED_TIMEOUT_COUNT            /**< how many there are; not a timeout */
};

/** A flow table. */
struct remed_flow_table;

/** Options of a flow table. */
struct remed_flow_table_opts {
    size_t size;         /**< sizeof this struct, set by the init function */
    uint32_t max_flows;  /**< hard size, 16 to 2^28; default 2^20. 147 to 157 bytes each */
    uint32_t reserved;   /**< zero; ::REMED_EINVAL if not */
    uint64_t seed[2];    /**< the hash's secret; zeros: drawn when the table is made */
    uint64_t timeout[REMED_TIMEOUT_COUNT]; /**< ns idle until the flow ends; 0 never */
    const struct remed_allocator *allocator; /**< NULL: malloc */
    const struct remed_entropy *entropy;     /**< draws the secret; NULL: the system's */
};

/** What one packet tells its flow. */
struct remed_flow_packet {
    struct remed_flow_key key; /**< canonical */
    uint64_t time;             /**< ns */
    uint32_t bytes;            /**< bytes on the wire */
    uint32_t tcp_sequence;     /**< TCP only */
    uint32_t tcp_ack;          /**< TCP only */
    uint8_t direction;         /**< as in struct remed_headers */
    uint8_t tcp_flags;         /**< TCP only, else 0 */
    uint8_t is_report;         /**< 1: an ICMP error about the flow; counted, but nobody talked */
    uint8_t reserved;          /**< zero */
};

/** No flow. */
#define REMED_NO_FLOW UINT32_MAX

/** A flow, for reports. Index 0 of pairs is the opener's direction. */
struct remed_flow_info {
    struct remed_flow_key key; /**< canonical */
    uint64_t first_seen;       /**< ns, time of the first packet */
    uint64_t last_seen;        /**< ns, first_seen and the time that passed until the latest packet */
    uint64_t packets[2];       /**< by direction, from the opener first */
    uint64_t bytes[2];         /**< by direction, on the wire */
    uint8_t opener;            /**< which endpoint of the key opened the flow: 0 or 1 */
    uint8_t state;             /**< enum remed_flow_state */
    uint8_t reserved[6];       /**< zero */
};

/** Counters of a flow table. */
struct remed_flow_stats {
    uint64_t live;     /**< flows in the table now, idle ones not yet swept included */
    uint64_t created;  /**< flows made */
    uint64_t reopened; /**< of those, on a tuple used again: closed, or by an answered SYN */
    uint64_t expired;  /**< flows that ended idle */
    uint64_t evicted;  /**< flows ended early, for want of room */
    uint64_t refused;  /**< packets that got no flow; always 0 but for a broken invariant */
    uint64_t one_way;     /**< of those live: one direction talked */
    uint64_t half_open;   /**< of those live: a handshake was begun and not completed */
    uint64_t ended;       /**< of those live: closed or reset */
    uint64_t established; /**< of those live: both sides talked */
    uint64_t evicted_one_way;     /**< of those evicted: one direction talked */
    uint64_t evicted_half_open;   /**< of those evicted: half-open */
    uint64_t evicted_ended;       /**< of those evicted: closed or reset */
    uint64_t evicted_established; /**< of those evicted: both sides talked */
};

/** Sets the defaults. @param opts not NULL @param size sizeof *opts */
REMED_API void remed_flow_table_opts_init(struct remed_flow_table_opts *opts, size_t size);
/**
 * Makes a table and takes all its memory.
 * @param[out] table to be freed with remed_flow_table_free(); not NULL
 * @param opts options, NULL for the defaults
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for an option out of range; ::REMED_ENOMEM; ::REMED_EIO when there are no
 *         random bytes for the secret
 */
REMED_API int remed_flow_table_new(struct remed_flow_table **table,
                                   const struct remed_flow_table_opts *opts,
                                   struct remed_error *error);
/**
 * Finds or makes the flow of each packet and brings it up to date, in order.
 * No allocation, no system call. Flow numbers stay valid until the flow ends.
 * @param table not NULL
 * @param packets @p count of them
 * @param count any number; 32 at a time is what the pipeline is made for
 * @param[out] flows @p count flow numbers; NULL when not wanted
 * @return how many packets made a new flow
 */
REMED_API size_t remed_flow_table_update(struct remed_flow_table *table,
                                         const struct remed_flow_packet *packets, size_t count,
                                         uint32_t *flows);
/**
 * Finds a flow without touching it.
 * @param table not NULL @param key canonical; not NULL
 * @return its number or ::REMED_NO_FLOW
 */
REMED_API uint32_t remed_flow_table_find(const struct remed_flow_table *table,
                                         const struct remed_flow_key *key);
/**
 * Reads one flow.
 * @param table not NULL @param flow a flow number @param[out] info not NULL @param size sizeof *info
 * @return 0; ::REMED_ENOENT when there is no such flow (any more)
 */
REMED_API int remed_flow_table_get(const struct remed_flow_table *table, uint32_t flow,
                                   struct remed_flow_info *info, size_t size);
/**
 * Walks the flows.
 * @param table not NULL
 * @param[in,out] cursor 0 to begin
 * @return the next flow's number, ::REMED_NO_FLOW at the end; flows made meanwhile may be missed
 */
REMED_API uint32_t remed_flow_table_next(const struct remed_flow_table *table, uint32_t *cursor);
/**
 * Ends flows that are idle at @p now.
 * @param table not NULL @param now ns @param budget most flows to look at in this call
 * @return how many ended
 */
REMED_API size_t remed_flow_table_expire(struct remed_flow_table *table, uint64_t now,
                                         size_t budget);
/**
 * Is told of each flow when it ends (idle, evicted, reopened or cleared).
 * @param context as given @param info the flow; valid only during the call
 */
typedef void (*remed_flow_end_fn)(void *context, const struct remed_flow_info *info);
/** Sets the end callback. It must not touch the table. @param table not NULL @param end NULL for none
 *  @param context handed back to @p end */
REMED_API void remed_flow_table_on_end(struct remed_flow_table *table, remed_flow_end_fn end,
                                       void *context);
/** Reads the counters. @param table not NULL @param[out] stats not NULL @param size sizeof *stats */
REMED_API void remed_flow_table_stats(const struct remed_flow_table *table,
                                      struct remed_flow_stats *stats, size_t size);
/** Frees the table, without end callbacks. @param table may be NULL */
REMED_API void remed_flow_table_free(struct remed_flow_table *table);
/**
 * Hashes a key: the same for both directions, for sharding over threads and for `sample`.
 * @param key canonical; not NULL @param seed any value
 * @return 64 well mixed bits, the same on every machine
 */
REMED_API uint64_t remed_flow_key_hash(const struct remed_flow_key *key, uint64_t seed);
/** Names a state for reports ("open"). @param state any value @return static string */
REMED_API const char *remed_flow_state_name(unsigned state);

REMED_END_DECLS
#endif
