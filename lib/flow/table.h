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
#include "flow/hash.h"

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
    REMED_RECORD_OPENER = 1 << 0,       /* the endpoint that opened the flow */
    REMED_RECORD_FIN_0 = 1 << 1,        /* endpoint 0 sent FIN */
    REMED_RECORD_FIN_1 = 1 << 2,        /* endpoint 1 sent FIN */
    REMED_RECORD_SYN_ACK_SEEN = 1 << 3, /* `expected_ack` is set */
    REMED_RECORD_SYN_ACK_FROM = 1 << 4, /* the endpoint that sent the SYN+ACK */
    REMED_RECORD_COMPLETED = 1 << 5     /* the completing ACK was seen */
};

struct remed_record {
    uint64_t addresses;      /* IPv4: both; IPv6: bits of the hash, the addresses are cold */
    uint32_t ports;          /* port[0] << 16 | port[1] */
    uint8_t protocol;        /* IP protocol number */
    uint8_t ip_version;      /* 0: the record is free */
    uint8_t state;           /* enum remed_flow_state */
    uint8_t flags;           /* enum remed_record_flag */
    uint64_t last_seen;      /* ns */
    uint64_t first_seen;     /* ns; of a free record: the next free one */
    uint64_t bytes[2];       /* by endpoint */
    uint32_t packets[2];     /* by endpoint, low 32 bits */
    uint8_t packets_high[2]; /* and the next 8 */
    uint8_t timeout;         /* enum remed_flow_timeout */
    uint8_t reserved;
    uint32_t expected_ack; /* SYN+ACK's sequence + 1 */
};

struct remed_cold_record {
    uint8_t address[2][16]; /* IPv6 */
    uint64_t copied[2];     /* time of the last copy by direction, or REMED_NEVER */
    uint64_t reserved[2];
};

_Static_assert(sizeof(struct remed_bucket) == 64, "a bucket is one cache line");
_Static_assert(sizeof(struct remed_record) == 64, "a hot record is one cache line");
_Static_assert(sizeof(struct remed_cold_record) == 64, "a cold record is one cache line");
_Static_assert(sizeof(struct remed_flow_key) == 40, "padding would be part of the key");

#define REMED_NEVER UINT64_MAX

struct remed_flow_table {
    struct remed_bucket *buckets;
    struct remed_record *records;
    struct remed_cold_record *cold;
    uint64_t secret[2];
    uint64_t timeout[REMED_TIMEOUT_COUNT];
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
    uint32_t ports;
    uint32_t bucket;
    uint32_t candidate;
    uint16_t tag;
    uint8_t protocol;
    uint8_t ip_version;
};

/* What a packet did to its flow. */
enum remed_flow_event { REMED_EVENT_NEW = 1 << 0, REMED_EVENT_COMPLETING_ACK = 1 << 1 };

/* Makes a record for a flow that is not in the table; cold path of remed_flow_touch(). */
uint32_t remed_flow_insert(struct remed_flow_table *table, const struct remed_probe *probe,
                           const struct remed_flow_packet *packet);
/* Ends the flow of a record and begins another of the same key in its place. */
void remed_flow_restart(struct remed_flow_table *table, uint32_t number,
                        const struct remed_flow_packet *packet, bool reopened);
/* The whole search, without a hint. */
uint32_t remed_flow_search(const struct remed_flow_table *table, const struct remed_probe *probe,
                           const struct remed_flow_key *key);
/* TCP's part of an update; returns events. */
unsigned remed_flow_tcp(struct remed_record *record, const struct remed_flow_packet *packet);

static inline unsigned remed_bucket_match(const struct remed_bucket *bucket, uint16_t tag)
{
#if defined(__SSE2__)
    __m128i tags = _mm_load_si128((const __m128i *)(const void *)bucket->tag);
    __m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16((short)tag));
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < REMED_BUCKET_SLOTS; i++)
        mask |= (unsigned)(bucket->tag[i] == tag) << i;
    return mask;
#endif
}

static inline bool remed_same_addresses(const void *a, const void *b)
{
    uint64_t x[4], y[4];
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])) == 0;
}

static inline bool remed_record_is(const struct remed_flow_table *table, uint32_t number,
                                   const struct remed_probe *probe,
                                   const struct remed_flow_key *key)
{
    const struct remed_record *record = &table->records[number];
    if (record->addresses != probe->addresses || record->ports != probe->ports ||
        record->protocol != probe->protocol || record->ip_version != probe->ip_version)
        return false;
    return REMED_LIKELY(probe->ip_version == 4) ||
           remed_same_addresses(table->cold[number].address, key->address);
}

/* Step 1: hash and prefetch the bucket. */
static inline void remed_flow_probe(const struct remed_flow_table *table,
                                    const struct remed_flow_key *key, struct remed_probe *probe)
{
    uint64_t hash;
    if (REMED_LIKELY(key->ip_version == 4)) {
        probe->addresses = remed_hash_addresses4(key);
        hash = remed_hash_finish(
            remed_hash_words(probe->addresses, remed_hash_tail(key), table->secret));
    } else {
        probe->addresses = hash = remed_hash_key6(key, table->secret);
    }
    probe->bucket = (uint32_t)hash & table->bucket_mask;
    probe->tag = (uint16_t)((hash >> 48) | 1);
    probe->ports = (uint32_t)key->port[0] << 16 | key->port[1];
    probe->protocol = key->protocol;
    probe->ip_version = key->ip_version;
    __builtin_prefetch(&table->buckets[probe->bucket]);
}

/* Step 2: a likely record, prefetched. */
static inline void remed_flow_candidate(const struct remed_flow_table *table,
                                        struct remed_probe *probe)
{
    const struct remed_bucket *bucket = &table->buckets[probe->bucket];
    unsigned mask = remed_bucket_match(bucket, probe->tag);
    probe->candidate = REMED_NO_FLOW;
    if (REMED_UNLIKELY(mask == 0)) {
        if (REMED_LIKELY(bucket->overflow == 0))
            return;
        bucket = &table->buckets[(probe->bucket + 1) & table->bucket_mask];
        mask = remed_bucket_match(bucket, probe->tag);
        if (mask == 0)
            return;
    }
    probe->candidate = bucket->record[__builtin_ctz(mask)];
    __builtin_prefetch(&table->records[probe->candidate], 1);
    if (probe->ip_version != 4 || table->uses_cold)
        __builtin_prefetch(&table->cold[probe->candidate], 1);
}

static inline bool remed_record_expired(const struct remed_flow_table *table,
                                        const struct remed_record *record, uint64_t now)
{
    uint64_t limit = table->timeout[record->timeout];
    return now > record->last_seen && now - record->last_seen > limit && limit != 0;
}

static inline bool remed_flow_is_reopening(const struct remed_record *record,
                                           const struct remed_flow_packet *packet)
{
    return record->state == REMED_FLOW_CLOSED &&
           (packet->tcp_flags & (REMED_TCP_SYN | REMED_TCP_ACK)) == REMED_TCP_SYN;
}

/* The bulk of TCP: a segment that opens and closes nothing, in a connection that is open. */
static inline bool remed_flow_is_plain(const struct remed_record *record,
                                       const struct remed_flow_packet *packet)
{
    const unsigned turning = REMED_TCP_SYN | REMED_TCP_FIN | REMED_TCP_RST;
    const unsigned waiting = REMED_RECORD_SYN_ACK_SEEN | REMED_RECORD_COMPLETED;
    return (packet->tcp_flags & turning) == 0 && record->state == REMED_FLOW_OPEN &&
           (record->flags & waiting) != REMED_RECORD_SYN_ACK_SEEN;
}

/* Step 3: finds or makes the flow, brings it up to date, and returns its number. */
static inline uint32_t remed_flow_touch(struct remed_flow_table *table,
                                        const struct remed_probe *probe,
                                        const struct remed_flow_packet *packet, unsigned *events)
{
    uint32_t number = probe->candidate;
    *events = 0;
    if (REMED_UNLIKELY(number == REMED_NO_FLOW ||
                       !remed_record_is(table, number, probe, &packet->key)))
        number = remed_flow_search(table, probe, &packet->key);
    if (REMED_UNLIKELY(number == REMED_NO_FLOW)) {
        number = remed_flow_insert(table, probe, packet);
        *events = REMED_EVENT_NEW;
    }
    struct remed_record *record = &table->records[number];
    bool reopening = remed_flow_is_reopening(record, packet);
    if (REMED_UNLIKELY(reopening || remed_record_expired(table, record, packet->time))) {
        remed_flow_restart(table, number, packet, reopening);
        *events = REMED_EVENT_NEW;
    }
    unsigned direction = packet->direction;
    record->last_seen = packet->time > record->last_seen ? packet->time : record->last_seen;
    record->bytes[direction] += packet->bytes;
    record->packets[direction]++;
    if (REMED_UNLIKELY(record->packets[direction] == 0))
        record->packets_high[direction]++;
    if (packet->tcp_flags != 0) {
        if (REMED_UNLIKELY(!remed_flow_is_plain(record, packet)))
            *events |= remed_flow_tcp(record, packet);
    } else if (record->state == REMED_FLOW_NEW &&
               direction != (record->flags & REMED_RECORD_OPENER))
        record->state = REMED_FLOW_OPEN;
    return number;
}

static inline uint64_t remed_record_packets(const struct remed_record *record, unsigned endpoint)
{
    return (uint64_t)record->packets_high[endpoint] << 32 | record->packets[endpoint];
}

void remed_flow_describe(const struct remed_flow_table *table, uint32_t number,
                         struct remed_flow_info *info);

#endif
