/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flow table from within.
 *
 * Measured on x86-64, a lookup among a million flows costs what its cache misses cost. So there are
 * just two for an IPv4 flow, and both are known early enough to prefetch:
 *
 *   bucket, one cache line:  8 tags of 16 bits, 8 record numbers of 32 bits
 *   hot record, one line:    the compact key, times and counters: all that a packet changes
 *   cold record, one line:   IPv6 addresses, refresh times, and what only openings and ends need:
 *                            the plain packets of an IPv4 flow without refresh never touch it
 *   link, 8 bytes:           its place in the list of its class (evict.h); touched when it changes
 *
 * That is 136 bytes a flow, and 11 to 21 for its share of the buckets.
 *
 * A batch goes through three steps, each over all its packets: `probe` hashes and prefetches the
 * bucket, `candidate` compares tags and prefetches the record, `touch` compares the key and
 * updates. A candidate is only a hint: touch checks the whole key and searches again when it is
 * wrong, so a flow made earlier in the same batch is found.
 *
 * A full bucket overflows into the next one and counts that, so that a search knows when to go on.
 * Buckets have room for twice the flows, and the records, not the buckets, are what runs out.
 *
 * Threads: one thread a table.
 */
#ifndef REMED_FLOW_TABLE_H
#define REMED_FLOW_TABLE_H

#include <remediate/flow.h>
#include <remediate/packet.h>
#include "base/base.h"
#include "base/hash.h"
#include "flow/clock.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define REMED_BUCKET_SLOTS 8u
#define REMED_FLOW_BATCH 32u
#define REMED_FLOW_MAX (1u << 28)
#define REMED_IPPROTO_TCP 6
#define REMED_IPPROTO_DCCP 33
#define REMED_IPPROTO_SCTP 132

struct remed_bucket {
    uint16_t tag[REMED_BUCKET_SLOTS]; /* 0: the slot is free */
    uint32_t record[REMED_BUCKET_SLOTS];
    uint32_t overflow; /* flows whose search passes through this bucket to a later one */
    uint32_t reserved[3];
};

enum remed_record_flag {
    REMED_FLOW_RECORD_OPENER = 1 << 0,       /* the endpoint that opened the flow */
    REMED_FLOW_RECORD_FIN_0 = 1 << 1,        /* endpoint 0 sent FIN */
    REMED_FLOW_RECORD_FIN_1 = 1 << 2,        /* endpoint 1 sent FIN */
    REMED_FLOW_RECORD_SYN_ACK_SEEN = 1 << 3, /* `expected_ack` is set */
    REMED_FLOW_RECORD_SYN_ACK_FROM = 1 << 4, /* the endpoint that sent the SYN+ACK */
    REMED_FLOW_RECORD_COMPLETED = 1 << 5,    /* the completing ACK was seen */
    REMED_FLOW_RECORD_PLAIN_0 = 1 << 6, /* a segment of endpoint 0 without SYN, FIN, RST, or its */
    REMED_FLOW_RECORD_PLAIN_1 = 1 << 7  /* datagram, changes no state; the same of endpoint 1 */
};

struct remed_flow_record {
    uint64_t addresses;      /* IPv4: both; IPv6: the hash, the addresses are cold */
    uint64_t identity;       /* ports, protocol, IP version; 0: the record is free */
    uint64_t last_seen;      /* steady ns */
    uint64_t first_seen;     /* steady ns; of a free record: the next free one */
    uint64_t bytes[2];       /* by endpoint */
    uint32_t packets[2];     /* by endpoint, low 32 bits */
    uint32_t expected_ack;   /* the latest SYN+ACK's sequence + 1 */
    uint8_t packets_high[2]; /* and the next 8 bits of packets */
    uint8_t flags;           /* enum remed_record_flag */
    uint8_t state : 4;       /* enum remed_flow_state */
    uint8_t timeout : 4;     /* enum remed_flow_timeout */
};

enum remed_cold_flag {
    REMED_COLD_SYN = 1 << 0,        /* `syn_sequence` is set */
    REMED_COLD_SYN_FROM = 1 << 1,   /* the endpoint that sent it */
    REMED_COLD_REUSE = 1 << 2,      /* it is not the flow's own: a new flow if it is answered */
    REMED_COLD_OTHER_ACK = 1 << 3,  /* `other_ack` is set */
    REMED_COLD_TALKED_0 = 1 << 4,   /* endpoint 0 sent something that neither opens nor resets */
    REMED_COLD_TALKED_1 = 1 << 5,   /* endpoint 1 did */
    REMED_COLD_RESET = 1 << 6,      /* closed by RST */
    REMED_COLD_RESET_FROM = 1 << 7, /* the endpoint that sent it */
    REMED_COLD_ENDED_0 = 1 << 8,    /* endpoint 0 sent FIN or RST before the flow was closed */
    REMED_COLD_FIN = 1 << 10,       /* `fin_sequence` is set, and not `other_ack` */
    REMED_COLD_FIN_FROM = 1 << 11,  /* the endpoint that sent it */
    REMED_COLD_ENDED_1 = 1 << 9     /* endpoint 1 did */
};

struct remed_flow_cold {
    uint8_t address[2][16]; /* IPv6 */
    uint64_t copied[2];     /* steady time of the last copy by direction */
    uint32_t syn_sequence;  /* of the latest SYN that was none sent again */
    union {
        uint32_t other_ack;    /* a SYN+ACK before the latest, with another number: its + 1 */
        uint32_t fin_sequence; /* of the latest FIN, once there was one */
    };
    int32_t clock_offset; /* s: steady less shown time, when the flow began */
    uint32_t flags;       /* enum remed_cold_flag */
};

#define REMED_LONG_AGO ((uint64_t)INT64_MAX / 2) /* before now: due, however long a refresh is */

/* By what a flow has shown of itself, it is kept when there is no room. */
enum remed_flow_class {
    REMED_CLASS_ONE_WAY = 0, /* one direction seen */
    REMED_CLASS_HALF_OPEN,   /* a SYN without an answer */
    REMED_CLASS_ANSWERED,    /* a SYN+ACK, and nothing that completes the handshake */
    REMED_CLASS_ENDED,       /* closed or reset before it was in one of the two last classes */
    REMED_CLASS_CLOSED,      /* closed or reset after that, perhaps by a stranger */
    REMED_CLASS_EXCHANGED,   /* one question and one answer, or a handshake and nothing since */
    REMED_CLASS_ESTABLISHED, /* talked both ways */
    REMED_CLASS_COUNT
};

#define REMED_LINK_BITS 28 /* REMED_FLOW_MAX numbers */

/* A flow's neighbours in the ring of its class. */
struct remed_flow_link {
    uint32_t previous : REMED_LINK_BITS;
    uint32_t class : 4; /* enum remed_flow_class */
    uint32_t next;
};

struct remed_flow_list {
    uint32_t head; /* the oldest, if there is any */
    uint32_t count;
};

_Static_assert(sizeof(struct remed_bucket) == 64, "a bucket is one cache line");
_Static_assert(sizeof(struct remed_flow_record) == 64, "a hot record is one cache line");
_Static_assert(sizeof(struct remed_flow_cold) == 64, "a cold record is one cache line");
_Static_assert(sizeof(struct remed_flow_key) == 40, "padding would be part of the key");

struct remed_flow_table {
    struct remed_bucket *buckets;
    struct remed_flow_record *records;
    struct remed_flow_cold *cold;
    struct remed_flow_link *links;
    struct remed_flow_list lists[REMED_CLASS_COUNT];
    struct remed_clock *clock; /* its own, or that of the filter that it belongs to */
    struct remed_clock own_clock;
    uint64_t secret[2];
    uint64_t timeout[REMED_TIMEOUT_COUNT]; /* ns; INT64_MAX for never */
    uint32_t bucket_mask;
    uint32_t max_flows;
    uint32_t fresh;       /* records from here on were never used */
    uint32_t newcomers;   /* as many places established flows leave to others */
    uint32_t free_record; /* head of the list of used and freed records */
    uint32_t hand;        /* where remed_flow_table_expire() goes on */
    bool uses_cold;       /* refresh times are kept: prefetch the cold record as well */
    struct remed_flow_stats stats;
    remed_flow_end_fn end;
    void *end_context;
    struct remed_allocator allocator;
    void *memory[4];
    size_t memory_size[4];
};

/* A packet on its way through the three steps. */
struct remed_probe {
    uint64_t addresses;
    uint64_t identity;
    uint32_t bucket;
    uint32_t candidate;
    uint32_t tags; /* twice: 16 bits of the hash, never 0 */
    bool is_ipv4;
    bool wants_cold;
    bool may_move; /* to the ring of another class */
};

/* A packet as the table sees it: struct remed_flow_packet, with the key where it is. */
struct remed_seen {
    const struct remed_flow_key *key;
    uint64_t time;  /* steady (clock.h) */
    uint64_t shown; /* the packet's own */
    uint32_t bytes;
    uint32_t tcp_sequence;
    uint32_t tcp_ack;
    uint8_t direction;
    uint8_t tcp_flags;
    bool is_report; /* an ICMP error about the flow: nobody talked */
};

/* What a packet did to its flow. */
enum remed_flow_event {
    REMED_EVENT_NEW = 1 << 0,
    REMED_EVENT_COMPLETING_ACK = 1 << 1,
    REMED_EVENT_REUSE_SYN = 1 << 2, /* a SYN that makes a new flow if it is answered */
    REMED_EVENT_ANSWER = 1 << 3,    /* a SYN+ACK after a SYN from the other side */
    REMED_EVENT_CLOSE = 1 << 4      /* the first FIN or RST of a side, of a flow not closed yet */
};

/* Makes a record for a flow that is not in the table; cold path of remed_flow_touch(). */
uint32_t remed_flow_insert(struct remed_flow_table *table, const struct remed_probe *probe,
                           const struct remed_seen *packet);
/* Ends the flow of a record and begins another of the same key in its place. `reopened`: by a SYN,
 * which anybody can send: if the flow was established, it keeps its class until the next one is. */
void remed_flow_restart(struct remed_flow_table *table, uint32_t number,
                        const struct remed_seen *packet, bool reopened);
/* Ends the flow of a record and frees it. */
void remed_flow_end(struct remed_flow_table *table, uint32_t number);
/* The whole search, without a hint. */
uint32_t remed_flow_search(const struct remed_flow_table *table, const struct remed_probe *probe,
                           const struct remed_flow_key *key);
/* All that step 3 does for a packet that is not plain. The packet comes by value, so that the fast
 * path need not keep it in memory. */
uint32_t remed_flow_touch_slowly(struct remed_flow_table *table, const struct remed_probe *probe,
                                 struct remed_seen packet, unsigned *events);
/* What a packet that is not plain, already counted, says of its flow's state; returns events. */
unsigned remed_flow_follow(struct remed_flow_table *table, uint32_t number,
                           const struct remed_seen *packet);
/* Whether the SYN+ACK answers a SYN that is not the flow's own; then the flow is another one. */
bool remed_flow_is_reuse(const struct remed_flow_table *table, uint32_t number,
                         const struct remed_seen *packet);
/* Whether the packet, by its numbers, is the next step of the flow's own handshake: then no time
 * that seems to have passed ended it. */
bool remed_flow_goes_on(const struct remed_flow_table *table, uint32_t number,
                        const struct remed_seen *packet);
/* Begins that other flow: its SYN was seen before its answer. */
void remed_flow_reuse(struct remed_flow_table *table, uint32_t number,
                      const struct remed_seen *packet);
/* Sets the plain flags by state and class; after every change of these or of the other flags. */
void remed_flow_record_settle(struct remed_flow_record *record, const struct remed_flow_cold *cold,
                              unsigned class);

/* Two bits for each slot whose tag it is, slot 0 in the lowest. `tags` is the tag twice. */
static inline unsigned remed_bucket_match(const struct remed_bucket *bucket, uint32_t tags)
{
#if defined(__SSE2__)
    __m128i all = _mm_load_si128((const __m128i *)(const void *)bucket->tag);
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi16(all, _mm_set1_epi32((int)tags)));
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < REMED_BUCKET_SLOTS; i++)
        mask |= (bucket->tag[i] == (uint16_t)tags ? 3u : 0u) << 2 * i;
    return mask;
#endif
}

/* The lowest slot of a mask that is not 0. */
static inline unsigned remed_mask_slot(unsigned mask)
{
    return (unsigned)__builtin_ctz(mask) / 2;
}

static inline unsigned remed_mask_rest(unsigned mask)
{
    mask &= mask - 1;
    return mask & (mask - 1);
}

static inline bool remed_same_addresses(const uint8_t *a, const uint8_t *b)
{
    uint64_t different = 0;
    for (unsigned i = 0; i < 32; i += 8) {
        uint64_t x, y;
        memcpy(&x, a + i, sizeof x);
        memcpy(&y, b + i, sizeof y);
        different |= x ^ y;
    }
    return different == 0;
}

static inline unsigned remed_flow_record_version(const struct remed_flow_record *record)
{
    return (unsigned)(record->identity >> 40) & 0xff;
}

static inline unsigned remed_flow_record_protocol(const struct remed_flow_record *record)
{
    return (unsigned)(record->identity >> 32) & 0xff;
}

static inline bool remed_flow_record_is(const struct remed_flow_table *table, uint32_t number,
                                        const struct remed_probe *probe,
                                        const struct remed_flow_key *key)
{
    const struct remed_flow_record *record = &table->records[number];
    if (((record->addresses ^ probe->addresses) | (record->identity ^ probe->identity)) != 0)
        return false;
    return REMED_LIKELY(probe->is_ipv4) ||
           remed_same_addresses(table->cold[number].address[0], key->address[0]);
}

/* TCP flags that change a flow's state, and so need its cold record. */
#define REMED_TCP_TURNING (REMED_TCP_SYN | REMED_TCP_FIN | REMED_TCP_RST)

/* Step 1: hash and prefetch the bucket. `tcp_flags` only tell what to fetch beforehand. */
static inline void remed_flow_probe(const struct remed_flow_table *table,
                                    const struct remed_flow_key *key, unsigned tcp_flags,
                                    struct remed_probe *probe)
{
    uint64_t hash, identity = remed_key_identity(key);
    if (REMED_LIKELY(key->ip_version == 4)) {
        probe->addresses = remed_key_addresses4(key);
        hash = remed_hash_finish(remed_hash_words(probe->addresses, identity, table->secret));
    } else {
        probe->addresses = hash = remed_hash_key6(key, table->secret);
    }
    probe->identity = identity;
    probe->bucket = (uint32_t)hash & table->bucket_mask;
    probe->tags = ((uint32_t)(hash >> 48) | 1) * 0x10001u;
    probe->is_ipv4 = key->ip_version == 4;
    probe->may_move = (tcp_flags & REMED_TCP_TURNING) != 0;
    probe->wants_cold = !probe->is_ipv4 || table->uses_cold || probe->may_move;
    __builtin_prefetch(&table->buckets[probe->bucket]);
}

/* Step 2: a likely record, prefetched. */
static inline void remed_flow_candidate(const struct remed_flow_table *table,
                                        struct remed_probe *probe)
{
    const struct remed_bucket *bucket = &table->buckets[probe->bucket];
    unsigned mask = remed_bucket_match(bucket, probe->tags);
    probe->candidate = REMED_NO_FLOW;
    if (REMED_UNLIKELY(mask == 0)) {
        if (REMED_LIKELY(bucket->overflow == 0))
            return;
        bucket = &table->buckets[(probe->bucket + 1) & table->bucket_mask];
        mask = remed_bucket_match(bucket, probe->tags);
        if (mask == 0)
            return;
    }
    probe->candidate = bucket->record[remed_mask_slot(mask)];
    __builtin_prefetch(&table->records[probe->candidate], 1);
    if (probe->wants_cold)
        __builtin_prefetch(&table->cold[probe->candidate], 1);
    if (probe->may_move)
        __builtin_prefetch(&table->links[probe->candidate], 1);
}

/* A last packet ahead of now never expires anything: the difference is negative then. */
static inline bool remed_flow_record_expired(const struct remed_flow_table *table,
                                             const struct remed_flow_record *record, uint64_t now)
{
    return remed_clock_since(record->last_seen, now) > (int64_t)table->timeout[record->timeout];
}

static inline void remed_flow_record_count(struct remed_flow_record *record,
                                           const struct remed_seen *packet)
{
    unsigned direction = packet->direction;
    /* The latest of what is just out of order; one well ahead was wild and must not stay. */
    if (record->last_seen - packet->time - 1 >= REMED_CLOCK_ORDER)
        record->last_seen = packet->time;
    record->bytes[direction] += packet->bytes;
    record->packets[direction]++;
    if (REMED_UNLIKELY(record->packets[direction] == 0))
        record->packets_high[direction]++;
}

/* Takes back what remed_flow_record_count() did, times aside. */
static inline void remed_flow_record_uncount(struct remed_flow_record *record, unsigned direction,
                                             uint32_t bytes)
{
    record->bytes[direction] -= bytes;
    if (record->packets[direction]-- == 0)
        record->packets_high[direction]--;
}

/* Step 3: finds or makes the flow, brings it up to date, and returns its number. The bulk of all
 * packets opens and closes nothing: the candidate is right, and only times and counters change. */
static inline uint32_t remed_flow_touch(struct remed_flow_table *table,
                                        const struct remed_probe *probe, struct remed_seen packet,
                                        unsigned *events)
{
    uint32_t number = probe->candidate;
    if (REMED_UNLIKELY(number == REMED_NO_FLOW))
        return remed_flow_touch_slowly(table, probe, packet, events);
    struct remed_flow_record *record = &table->records[number];
    unsigned plain = (unsigned)record->flags >> (6 + packet.direction) & 1;
    if (REMED_UNLIKELY(!remed_flow_record_is(table, number, probe, packet.key) || plain == 0 ||
                       (packet.tcp_flags & REMED_TCP_TURNING) != 0 ||
                       remed_flow_record_expired(table, record, packet.time)))
        return remed_flow_touch_slowly(table, probe, packet, events);
    remed_flow_record_count(record, &packet);
    *events = 0;
    return number;
}

static inline uint64_t remed_flow_record_packets(const struct remed_flow_record *record,
                                                 unsigned endpoint)
{
    return (uint64_t)record->packets_high[endpoint] << 32 | record->packets[endpoint];
}

void remed_flow_describe(const struct remed_flow_table *table, uint32_t number,
                         struct remed_flow_info *info);

#endif
