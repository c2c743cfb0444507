/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flow table's slow side: making it, making and ending flows, and finding room.
 *
 * Nothing is swept while there is room: an idle flow is found out when its tuple comes again, so
 * one packet with a wild clock can't end the flows of all others. Who goes when no record is free
 * is told in evict.h. remed_flow_table_expire() sweeps for hosts that want exact counts.
 *
 * Threads: one thread a table.
 */
#include "base/entropy.h"
#include "flow/evict.h"

#define MIN_FLOWS 16u
#define NEWCOMERS 64u /* a share of one in so many is theirs */

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
    if (table->cold == NULL)
        return REMED_ENOMEM;
    table->links = take(table, 3, table->max_flows, sizeof *table->links);
    return table->links == NULL ? REMED_ENOMEM : 0;
}

static int check_opts(const struct remed_flow_table_opts *opts, struct remed_error *error)
{
    if (opts->max_flows < MIN_FLOWS || opts->max_flows > REMED_FLOW_MAX)
        return remed_error_set(error, REMED_EINVAL, "max_flows is %u, must be %u to %u",
                               opts->max_flows, MIN_FLOWS, REMED_FLOW_MAX);
    if (opts->reserved != 0)
        return remed_error_set(error, REMED_EINVAL, "flow table: reserved must be 0");
    return 0;
}

static void set_opts(struct remed_flow_table *table, const struct remed_flow_table_opts *opts)
{
    table->max_flows = opts->max_flows;
    table->bucket_mask = bucket_count(opts->max_flows) - 1;
    table->newcomers = opts->max_flows >= NEWCOMERS ? opts->max_flows / NEWCOMERS : 1;
    table->free_record = REMED_NO_FLOW;
    table->clock = &table->own_clock;
    remed_clock_init(table->clock);
    for (unsigned i = 0; i < REMED_TIMEOUT_COUNT; i++)
        table->timeout[i] =
            opts->timeout[i] == 0 || opts->timeout[i] > INT64_MAX ? INT64_MAX : opts->timeout[i];
}

int remed_flow_table_new(struct remed_flow_table **table, const struct remed_flow_table_opts *given,
                         struct remed_error *error)
{
    struct remed_flow_table_opts opts;
    uint64_t secret[2];
    remed_flow_table_opts_init(&opts, sizeof opts);
    int rc = given != NULL ? remed_opts_copy(&opts, sizeof opts, given, "flow table", error) : 0;
    if (rc == 0)
        rc = check_opts(&opts, error);
    if (rc == 0)
        rc = remed_entropy_secret(secret, opts.seed, opts.entropy, error);
    if (rc < 0)
        return rc;
    struct remed_allocator allocator = remed_allocator_or_default(opts.allocator);
    struct remed_flow_table *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for the flow table");
    made->allocator = allocator;
    memcpy(made->secret, secret, sizeof made->secret);
    set_opts(made, &opts);
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
    for (unsigned i = 0; i < 4; i++)
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

void remed_flow_end(struct remed_flow_table *table, uint32_t number)
{
    tell_end(table, number);
    remed_flow_delist(table, number);
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
    remed_flow_end(table, number);
    table->stats.expired++;
    return true;
}

static uint32_t move_hand(struct remed_flow_table *table)
{
    uint32_t at = table->hand;
    table->hand = at + 1 < table->fresh ? at + 1 : 0;
    return at;
}

static uint32_t take_record(struct remed_flow_table *table, uint64_t now)
{
    if (table->free_record == REMED_NO_FLOW && table->fresh < table->max_flows)
        return table->fresh++;
    if (table->free_record == REMED_NO_FLOW)
        remed_flow_make_room(table, now);
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
    case REMED_IPPROTO_DCCP:
    case REMED_IPPROTO_SCTP: /* until both sides have talked */
        return REMED_TIMEOUT_TCP_OPENING;
    case 17:  /* UDP */
    case 136: /* UDP-Lite */
        return REMED_TIMEOUT_UDP;
    case 1:  /* ICMP */
    case 58: /* ICMPv6 */
        return REMED_TIMEOUT_ICMP;
    default:
        return REMED_TIMEOUT_OTHER;
    }
}

/* Beyond 68 years, a clock's offset is not told. */
static int32_t clock_offset(const struct remed_seen *packet)
{
    int64_t seconds = remed_clock_since(packet->shown, packet->time) / (int64_t)REMED_NS_PER_S;
    return seconds >= INT32_MIN && seconds <= INT32_MAX ? (int32_t)seconds : 0;
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
    struct remed_flow_cold *cold = &table->cold[number];
    cold->copied[0] = cold->copied[1] = packet->time;
    cold->clock_offset = clock_offset(packet);
    cold->flags = 0;
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
    remed_flow_enlist(table, number, REMED_CLASS_ONE_WAY);
    return number;
}

void remed_flow_restart(struct remed_flow_table *table, uint32_t number,
                        const struct remed_seen *packet, bool reopened)
{
    tell_end(table, number);
    unsigned class = table->links[number].class;
    bool is_idle = remed_flow_record_expired(table, &table->records[number], packet->time);
    table->stats.expired += is_idle;
    table->stats.reopened += !is_idle && reopened;
    begin(table, number, packet);
    if (!is_idle && class >= REMED_CLASS_CLOSED)
        return;
    remed_flow_delist(table, number);
    remed_flow_enlist(table, number, REMED_CLASS_ONE_WAY);
}

size_t remed_flow_table_expire(struct remed_flow_table *table, uint64_t now, size_t budget)
{
    size_t ended = 0;
    now = remed_clock_read(table->clock, now);
    if (budget > table->fresh)
        budget = table->fresh;
    for (size_t i = 0; i < budget; i++)
        ended += end_if_idle(table, move_hand(table), now);
    return ended;
}
