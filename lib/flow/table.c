/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flow table's slow side: making it, making and ending flows, and finding room.
 *
 * Nothing is swept while there is room: an idle flow is found out when its tuple comes again, so
 * one packet with a wild clock can't end the flows of all others. When no record is free, a hand
 * that goes round the records looks at sixteen: the first idle one makes room, else the one that
 * would expire first. remed_flow_table_expire() sweeps for hosts that want exact counts.
 *
 * Threads: one thread a table.
 */
#include "flow/table.h"

#define EVICT_CHOICE 16u
#define MIN_FLOWS 16u
#define MAX_FLOWS (1u << 28)

void remed_flow_table_opts_init(struct remed_flow_table_opts *opts, size_t size)
{
    static const uint64_t seconds[REMED_TIMEOUT_COUNT] = {
        [REMED_TIMEOUT_TCP_OPENING] = 240, [REMED_TIMEOUT_TCP_OPEN] = 7440,
        [REMED_TIMEOUT_TCP_CLOSING] = 240, [REMED_TIMEOUT_TCP_CLOSED] = 240,
        [REMED_TIMEOUT_UDP] = 300,         [REMED_TIMEOUT_ICMP] = 60,
        [REMED_TIMEOUT_SCTP] = 7440,       [REMED_TIMEOUT_OTHER] = 600,
    };
    struct remed_flow_table_opts defaults = {.size = size, .max_flows = 1u << 20};
    for (unsigned i = 0; i < REMED_TIMEOUT_COUNT; i++)
        defaults.timeout[i] = seconds[i] * REMED_NS_PER_S;
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

static uint32_t bucket_count(uint32_t max_flows)
{
    uint32_t count = 1;
    while ((uint64_t)count * REMED_BUCKET_SLOTS < (uint64_t)max_flows + max_flows / 2)
        count *= 2;
    return count;
}

static void *take(struct remed_flow_table *table, unsigned which, size_t count, size_t size)
{
    if (count > SIZE_MAX / size - 1)
        return NULL;
    return remed_allocate_lines(&table->allocator, count * size, &table->memory[which],
                                &table->memory_size[which]);
}

static int take_memory(struct remed_flow_table *table)
{
    size_t buckets = (size_t)table->bucket_mask + 1;
    table->buckets = take(table, 0, buckets, sizeof *table->buckets);
    if (table->buckets == NULL)
        return REMED_ENOMEM;
    table->records = take(table, 1, table->max_flows, sizeof *table->records);
    if (table->records == NULL)
        return REMED_ENOMEM;
    table->cold = take(table, 2, table->max_flows, sizeof *table->cold);
    return table->cold == NULL ? REMED_ENOMEM : 0;
}

int remed_flow_table_new(struct remed_flow_table **table, const struct remed_flow_table_opts *given,
                         struct remed_error *error)
{
    struct remed_flow_table_opts opts;
    remed_flow_table_opts_init(&opts, sizeof opts);
    int rc = given != NULL ? remed_opts_copy(&opts, sizeof opts, given, "flow table", error) : 0;
    if (rc < 0)
        return rc;
    if (opts.max_flows < MIN_FLOWS || opts.max_flows > MAX_FLOWS)
        return remed_error_set(error, REMED_EINVAL, "max_flows is %u, must be %u to %u",
                               opts.max_flows, MIN_FLOWS, MAX_FLOWS);
    struct remed_allocator allocator = remed_allocator_or_default(opts.allocator);
    struct remed_flow_table *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for the flow table");
    made->allocator = allocator;
    made->max_flows = opts.max_flows;
    made->bucket_mask = bucket_count(opts.max_flows) - 1;
    made->free_record = REMED_NO_FLOW;
    remed_hash_secret(made->secret, opts.seed);
    for (unsigned i = 0; i < REMED_TIMEOUT_COUNT; i++)
        made->timeout[i] =
            opts.timeout[i] == 0 || opts.timeout[i] > INT64_MAX ? INT64_MAX : opts.timeout[i];
    if (take_memory(made) < 0) {
        remed_flow_table_free(made);
        return remed_error_set(error, REMED_ENOMEM, "no memory for a table of %u flows",
                               opts.max_flows);
    }
    *table = made;
    return 0;
}

void remed_flow_table_free(struct remed_flow_table *table)
{
    if (table == NULL)
        return;
    struct remed_allocator allocator = table->allocator;
    for (unsigned i = 0; i < 3; i++)
        remed_release(&allocator, table->memory[i], table->memory_size[i]);
    remed_release(&allocator, table, sizeof *table);
}

void remed_flow_table_on_end(struct remed_flow_table *table, remed_flow_end_fn end, void *context)
{
    table->end = end;
    table->end_context = context;
}

static void tell_end(struct remed_flow_table *table, uint32_t number)
{
    if (table->end == NULL)
        return;
    struct remed_flow_info info;
    remed_flow_describe(table, number, &info);
    table->end(table->end_context, &info);
}

/* Finds the slot of a record that is in the table. */
static struct remed_bucket *slot_of(struct remed_flow_table *table, uint32_t number, unsigned *slot)
{
    struct remed_flow_info info;
    remed_flow_describe(table, number, &info);
    uint64_t hash = remed_hash_key(&info.key, table->secret);
    uint32_t at = (uint32_t)hash & table->bucket_mask;
    for (;; at = (at + 1) & table->bucket_mask) {
        struct remed_bucket *bucket = &table->buckets[at];
        for (unsigned i = 0; i < REMED_BUCKET_SLOTS; i++)
            if (bucket->tag[i] != 0 && bucket->record[i] == number) {
                *slot = i;
                return bucket;
            }
        bucket->overflow--;
    }
}

static void end_flow(struct remed_flow_table *table, uint32_t number)
{
    tell_end(table, number);
    unsigned slot = 0;
    struct remed_bucket *bucket = slot_of(table, number, &slot);
    bucket->tag[slot] = 0;
    struct remed_flow_record *record = &table->records[number];
    record->identity = 0;
    record->first_seen = table->free_record;
    table->free_record = number;
    table->stats.live--;
}

static bool end_if_idle(struct remed_flow_table *table, uint32_t number, uint64_t now)
{
    const struct remed_flow_record *record = &table->records[number];
    if (record->identity == 0 || !remed_flow_record_expired(table, record, now))
        return false;
    end_flow(table, number);
    table->stats.expired++;
    return true;
}

static uint32_t move_hand(struct remed_flow_table *table)
{
    uint32_t at = table->hand;
    table->hand = at + 1 < table->fresh ? at + 1 : 0;
    return at;
}

static uint64_t time_left(const struct remed_flow_table *table,
                          const struct remed_flow_record *record, uint64_t now)
{
    uint64_t limit = table->timeout[record->timeout];
    uint64_t idle = now > record->last_seen ? now - record->last_seen : 0;
    if (limit ==
        INT64_MAX) /* never expires: the longest idle goes first, after all that do expire */
        return UINT64_MAX - idle;
    return limit > idle ? limit - idle : 0;
}

static void make_room(struct remed_flow_table *table, uint64_t now)
{
    uint32_t victim = REMED_NO_FLOW;
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < EVICT_CHOICE; i++) {
        uint32_t at = move_hand(table);
        if (end_if_idle(table, at, now))
            return;
        uint64_t left = time_left(table, &table->records[at], now);
        if (victim == REMED_NO_FLOW || left < least) {
            victim = at;
            least = left;
        }
    }
    end_flow(table, victim);
    table->stats.evicted++;
}

static uint32_t take_record(struct remed_flow_table *table, uint64_t now)
{
    if (table->free_record == REMED_NO_FLOW && table->fresh < table->max_flows)
        return table->fresh++;
    if (table->free_record == REMED_NO_FLOW)
        make_room(table, now);
    uint32_t number = table->free_record;
    table->free_record = (uint32_t)table->records[number].first_seen;
    return number;
}

static void place(struct remed_flow_table *table, const struct remed_probe *probe, uint32_t number)
{
    for (uint32_t at = probe->bucket;; at = (at + 1) & table->bucket_mask) {
        struct remed_bucket *bucket = &table->buckets[at];
        unsigned mask = remed_bucket_match(bucket, 0);
        if (mask != 0) {
            unsigned slot = remed_mask_slot(mask);
            bucket->tag[slot] = (uint16_t)probe->tags;
            bucket->record[slot] = number;
            return;
        }
        bucket->overflow++;
    }
}

static uint8_t timeout_of(unsigned protocol)
{
    switch (protocol) {
    case REMED_IPPROTO_TCP:
        return REMED_TIMEOUT_TCP_OPEN;
    case 17:  /* UDP */
    case 136: /* UDP-Lite */
        return REMED_TIMEOUT_UDP;
    case 1:  /* ICMP */
    case 58: /* ICMPv6 */
        return REMED_TIMEOUT_ICMP;
    case 33:  /* DCCP */
    case 132: /* SCTP */
        return REMED_TIMEOUT_SCTP;
    default:
        return REMED_TIMEOUT_OTHER;
    }
}

/* Begins a flow in a record whose key is set. */
static void begin(struct remed_flow_table *table, uint32_t number, const struct remed_seen *packet)
{
    struct remed_flow_record *record = &table->records[number];
    record->state = REMED_FLOW_NEW;
    record->flags = packet->direction != 0 ? REMED_FLOW_RECORD_OPENER : 0;
    record->first_seen = packet->time;
    record->last_seen = packet->time;
    memset(record->bytes, 0, sizeof record->bytes);
    memset(record->packets, 0, sizeof record->packets);
    memset(record->packets_high, 0, sizeof record->packets_high);
    record->timeout = timeout_of(remed_flow_record_protocol(record));
    record->expected_ack = 0;
    if (table->uses_cold)
        table->cold[number].copied[0] = table->cold[number].copied[1] = REMED_NEVER;
    table->stats.created++;
}

uint32_t remed_flow_insert(struct remed_flow_table *table, const struct remed_probe *probe,
                           const struct remed_seen *packet)
{
    uint32_t number = take_record(table, packet->time);
    struct remed_flow_record *record = &table->records[number];
    record->addresses = probe->addresses;
    record->identity = probe->identity;
    if (!probe->is_ipv4)
        memcpy(table->cold[number].address, packet->key->address, sizeof packet->key->address);
    place(table, probe, number);
    table->stats.live++;
    begin(table, number, packet);
    return number;
}

void remed_flow_restart(struct remed_flow_table *table, uint32_t number,
                        const struct remed_seen *packet, bool reopened)
{
    tell_end(table, number);
    if (remed_flow_record_expired(table, &table->records[number], packet->time))
        table->stats.expired++;
    else if (reopened)
        table->stats.reopened++;
    begin(table, number, packet);
}

size_t remed_flow_table_expire(struct remed_flow_table *table, uint64_t now, size_t budget)
{
    size_t ended = 0;
    if (budget > table->fresh)
        budget = table->fresh;
    for (size_t i = 0; i < budget; i++)
        ended += end_if_idle(table, move_hand(table), now);
    return ended;
}
