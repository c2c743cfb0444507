/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flow table from within.
 *
 * Measured on x86-64, a lookup among a million flows costs what its cache misses cost. So there are
 * just two for an IPv4 flow, and both are known early enough to prefetch:
 *
 *   bucket, one cache line:  8 tags of 16 bits, 8 record numbers of 32 bits
 *   hot record, one line:    the compact key, times and counters: all that a packet changes
 *   cold record, one line:   IPv6 addresses and refresh times; IPv4 without refresh never touches
 * it
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

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define REMED_BUCKET_SLOTS 8u
#define REMED_FLOW_BATCH 32u
#define REMED_IPPROTO_TCP 6

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
    uint64_t last_seen;      /* ns */
    uint64_t first_seen;     /* ns; of a free record: the next free one */
    uint64_t bytes[2];       /* by endpoint */
    uint32_t packets[2];     /* by endpoint, low 32 bits */
    uint32_t expected_ack;   /* SYN+ACK's sequence + 1 */
    uint8_t packets_high[2]; /* and the next 8 bits of packets */
    uint8_t flags;           /* enum remed_record_flag */
    uint8_t state : 4;       /* enum remed_flow_state */
    uint8_t timeout : 4;     /* enum remed_flow_timeout */
};

struct remed_flow_cold {
    uint8_t address[2][16]; /* IPv6 */
    uint64_t copied[2];     /* time of the last copy by direction, or REMED_NEVER */
    uint64_t reserved[2];
};

_Static_assert(sizeof(struct remed_bucket) == 64, "a bucket is one cache line");
_Static_assert(sizeof(struct remed_flow_record) == 64, "a hot record is one cache line");
_Static_assert(sizeof(struct remed_flow_cold) == 64, "a cold record is one cache line");
_Static_assert(sizeof(struct remed_flow_key) == 40, "padding would be part of the key");

#define REMED_NEVER UINT64_MAX

struct remed_flow_table {
    struct remed_bucket *buckets;
    struct remed_flow_record *records;
    struct remed_flow_cold *cold;
    uint64_t secret[2];
    uint64_t timeout[REMED_TIMEOUT_COUNT]; /* ns; INT64_MAX for never */
    uint32_t bucket_mask;
    uint32_t max_flows;
    uint32_t fresh;       /* records from here on were never used */
    uint32_t free_record; /* head of the list of used and freed records */
    uint32_t hand;        /* where the sweep goes on */
    bool uses_cold;       /* refresh times are kept: prefetch the cold record as well */
    struct remed_flow_stats stats;
    remed_flow_end_fn end;
    void *end_context;
    struct remed_allocator allocator;
    void *memory[3];
    size_t memory_size[3];
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
};

/* A packet as the table sees it: struct remed_flow_packet, with the key where it is. */
struct remed_seen {
    const struct remed_flow_key *key;
    uint64_t time;
    uint32_t bytes;
    uint32_t tcp_sequence;
    uint32_t tcp_ack;
    uint8_t direction;
    uint8_t tcp_flags;
};

/* What a packet did to its flow. */
enum remed_flow_event { REMED_EVENT_NEW = 1 << 0, REMED_EVENT_COMPLETING_ACK = 1 << 1 };

/* Makes a record for a flow that is not in the table; cold path of remed_flow_touch(). */
uint32_t remed_flow_insert(struct remed_flow_table *table, const struct remed_probe *probe,
                           const struct remed_seen *packet);
/* Ends the flow of a record and begins another of the same key in its place. */
void remed_flow_restart(struct remed_flow_table *table, uint32_t number,
                        const struct remed_seen *packet, bool reopened);
/* The whole search, without a hint. */
uint32_t remed_flow_search(const struct remed_flow_table *table, const struct remed_probe *probe,
                           const struct remed_flow_key *key);
/* All that step 3 does for a packet that is not plain. The packet comes by value, so that the fast
 * path need not keep it in memory. */
uint32_t remed_flow_touch_slowly(struct remed_flow_table *table, const struct remed_probe *probe,
                                 struct remed_seen packet, unsigned *events);
/* TCP's part of an update; returns events. */
unsigned remed_flow_tcp(struct remed_flow_record *record, const struct remed_seen *packet);
/* Sets the plain flags by state; called after every change of state or of the other flags. */
void remed_flow_record_settle(struct remed_flow_record *record);

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

/* Step 1: hash and prefetch the bucket. */
static inline void remed_flow_probe(const struct remed_flow_table *table,
                                    const struct remed_flow_key *key, struct remed_probe *probe)
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
    probe->wants_cold = !probe->is_ipv4 || table->uses_cold;
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
}

/* Time going backwards never expires anything: the difference is negative then. */
static inline bool remed_flow_record_expired(const struct remed_flow_table *table,
                                             const struct remed_flow_record *record, uint64_t now)
{
    return (int64_t)(now - record->last_seen) > (int64_t)table->timeout[record->timeout];
}

static inline void remed_flow_record_count(struct remed_flow_record *record,
                                           const struct remed_seen *packet)
{
    unsigned direction = packet->direction;
    record->last_seen = packet->time > record->last_seen ? packet->time : record->last_seen;
    record->bytes[direction] += packet->bytes;
    record->packets[direction]++;
    if (REMED_UNLIKELY(record->packets[direction] == 0))
        record->packets_high[direction]++;
}

/* Step 3: finds or makes the flow, brings it up to date, and returns its number. The bulk of all
 * packets opens and closes nothing: the candidate is right, and only times and counters change. */
static inline uint32_t remed_flow_touch(struct remed_flow_table *table,
                                        const struct remed_probe *probe, struct remed_seen packet,
                                        unsigned *events)
{
    const unsigned turning = REMED_TCP_SYN | REMED_TCP_FIN | REMED_TCP_RST;
    uint32_t number = probe->candidate;
    if (REMED_UNLIKELY(number == REMED_NO_FLOW))
        return remed_flow_touch_slowly(table, probe, packet, events);
    struct remed_flow_record *record = &table->records[number];
    unsigned plain = (unsigned)record->flags >> (6 + packet.direction) & 1;
    if (REMED_UNLIKELY(!remed_flow_record_is(table, number, probe, packet.key) || plain == 0 ||
                       (packet.tcp_flags & turning) != 0 ||
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
