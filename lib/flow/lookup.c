/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Looking things up in the flow table: the batched update, the single search, walking and counting.
 *
 * Threads: one thread a table.
 */
#include "flow/table.h"

uint32_t remed_flow_search(const struct remed_flow_table *table, const struct remed_probe *probe,
                           const struct remed_flow_key *key)
{
    for (uint32_t at = probe->bucket;; at = (at + 1) & table->bucket_mask) {
        const struct remed_bucket *bucket = &table->buckets[at];
        for (unsigned mask = remed_bucket_match(bucket, probe->tags); mask != 0;
             mask = remed_mask_rest(mask)) {
            uint32_t number = bucket->record[remed_mask_slot(mask)];
            if (remed_flow_record_is(table, number, probe, key))
                return number;
        }
        if (bucket->overflow == 0)
            return REMED_NO_FLOW;
    }
}

static bool is_reopening(const struct remed_flow_record *record, const struct remed_seen *packet)
{
    const unsigned looked_at = REMED_TCP_SYN | REMED_TCP_ACK | REMED_TCP_RST;
    return record->state == REMED_FLOW_CLOSED && (packet->tcp_flags & looked_at) == REMED_TCP_SYN;
}

/* A packet of a flow that has ended, or of the next on the same tuple: begins that one. */
static bool begin_next(struct remed_flow_table *table, uint32_t number,
                       const struct remed_seen *packet)
{
    const struct remed_flow_record *record = &table->records[number];
    bool reopening = is_reopening(record, packet);
    bool expired = remed_flow_record_expired(table, record, packet->time) &&
                   !remed_flow_goes_on(table, number, packet);
    if (reopening || expired)
        remed_flow_restart(table, number, packet, reopening);
    else if (remed_flow_is_reuse(table, number, packet))
        remed_flow_reuse(table, number, packet);
    else
        return false;
    return true;
}

uint32_t remed_flow_touch_slowly(struct remed_flow_table *table, const struct remed_probe *probe,
                                 struct remed_seen packet, unsigned *events)
{
    uint32_t number = probe->candidate;
    *events = 0;
    if (number == REMED_NO_FLOW || !remed_flow_record_is(table, number, probe, packet.key))
        number = remed_flow_search(table, probe, packet.key);
    if (number == REMED_NO_FLOW) {
        number = remed_flow_insert(table, probe, &packet);
        *events = REMED_EVENT_NEW;
    } else if (begin_next(table, number, &packet)) {
        *events = REMED_EVENT_NEW;
    }
    remed_flow_record_count(&table->records[number], &packet);
    *events |= remed_flow_follow(table, number, &packet);
    return number;
}

static struct remed_seen as_seen(struct remed_flow_table *table,
                                 const struct remed_flow_packet *packet)
{
    uint64_t steady = remed_clock_read(table->clock, packet->time);
    return (struct remed_seen){.key = &packet->key,
                               .time = steady,
                               .shown = packet->time,
                               .bytes = packet->bytes,
                               .tcp_sequence = packet->tcp_sequence,
                               .tcp_ack = packet->tcp_ack,
                               .direction = packet->direction,
                               .tcp_flags = packet->tcp_flags,
                               .is_report = packet->is_report != 0};
}

static size_t update_batch(struct remed_flow_table *table, const struct remed_flow_packet *packets,
                           size_t count, uint32_t *flows)
{
    struct remed_probe probes[REMED_FLOW_BATCH];
    size_t made = 0;
    for (size_t i = 0; i < count; i++)
        remed_flow_probe(table, &packets[i].key, packets[i].tcp_flags, &probes[i]);
    for (size_t i = 0; i < count; i++)
        remed_flow_candidate(table, &probes[i]);
    for (size_t i = 0; i < count; i++) {
        unsigned events;
        uint32_t number = remed_flow_touch(table, &probes[i], as_seen(table, &packets[i]), &events);
        made += events & REMED_EVENT_NEW;
        if (flows != NULL)
            flows[i] = number;
    }
    return made;
}

size_t remed_flow_table_update(struct remed_flow_table *table,
                               const struct remed_flow_packet *packets, size_t count,
                               uint32_t *flows)
{
    size_t made = 0;
    for (size_t done = 0; done < count; done += REMED_FLOW_BATCH) {
        size_t n = count - done < REMED_FLOW_BATCH ? count - done : REMED_FLOW_BATCH;
        made += update_batch(table, packets + done, n, flows != NULL ? flows + done : NULL);
    }
    return made;
}

uint32_t remed_flow_table_find(const struct remed_flow_table *table,
                               const struct remed_flow_key *key)
{
    struct remed_probe probe;
    remed_flow_probe(table, key, 0, &probe);
    return remed_flow_search(table, &probe, key);
}

static void put32_little(uint8_t *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

void remed_flow_describe(const struct remed_flow_table *table, uint32_t number,
                         struct remed_flow_info *info)
{
    const struct remed_flow_record *record = &table->records[number];
    unsigned opener = record->flags & REMED_FLOW_RECORD_OPENER;
    memset(info, 0, sizeof *info);
    unsigned version = remed_flow_record_version(record);
    if (version == 4) {
        put32_little(info->key.address[0], (uint32_t)record->addresses);
        put32_little(info->key.address[1], (uint32_t)(record->addresses >> 32));
    } else {
        memcpy(info->key.address, table->cold[number].address, sizeof info->key.address);
    }
    info->key.port[0] = (uint16_t)record->identity;
    info->key.port[1] = (uint16_t)(record->identity >> 16);
    info->key.protocol = (uint8_t)remed_flow_record_protocol(record);
    info->key.ip_version = (uint8_t)version;
    int64_t passed = remed_clock_since(record->first_seen, record->last_seen);
    info->first_seen =
        record->first_seen - (uint64_t)table->cold[number].clock_offset * REMED_NS_PER_S;
    info->last_seen = info->first_seen + (passed > 0 ? (uint64_t)passed : 0);
    for (unsigned i = 0; i < 2; i++) {
        info->packets[i] = remed_flow_record_packets(record, opener ^ i);
        info->bytes[i] = record->bytes[opener ^ i];
    }
    info->opener = (uint8_t)opener;
    info->state = record->state;
}

int remed_flow_table_get(const struct remed_flow_table *table, uint32_t flow,
                         struct remed_flow_info *info, size_t size)
{
    if (flow >= table->fresh || table->records[flow].identity == 0)
        return REMED_ENOENT;
    struct remed_flow_info own;
    remed_flow_describe(table, flow, &own);
    remed_stats_copy(info, size, &own, sizeof own);
    return 0;
}

uint32_t remed_flow_table_next(const struct remed_flow_table *table, uint32_t *cursor)
{
    while (*cursor < table->fresh) {
        uint32_t at = (*cursor)++;
        if (table->records[at].identity != 0)
            return at;
    }
    return REMED_NO_FLOW;
}

void remed_flow_table_stats(const struct remed_flow_table *table, struct remed_flow_stats *stats,
                            size_t size)
{
    const struct remed_flow_list *lists = table->lists;
    struct remed_flow_stats own = table->stats;
    own.one_way = lists[REMED_CLASS_ONE_WAY].count;
    own.half_open = lists[REMED_CLASS_HALF_OPEN].count + lists[REMED_CLASS_ANSWERED].count;
    own.ended = lists[REMED_CLASS_ENDED].count + lists[REMED_CLASS_CLOSED].count;
    own.established = lists[REMED_CLASS_EXCHANGED].count + lists[REMED_CLASS_ESTABLISHED].count;
    remed_stats_copy(stats, size, &own, sizeof own);
}

uint64_t remed_flow_key_hash(const struct remed_flow_key *key, uint64_t seed)
{
    uint64_t secret[2] = {seed ^ REMED_HASH_C0, seed + REMED_HASH_C1};
    return remed_hash_key(key, secret);
}

const char *remed_flow_state_name(unsigned state)
{
    static const char *const names[REMED_FLOW_STATE_COUNT] = {"new",     "open",    "syn",
                                                              "syn-ack", "closing", "closed"};
    return state < REMED_FLOW_STATE_COUNT ? names[state] : "unknown";
}
