/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lookup and update among a million flows, in batches of 32: our table, DPDK's rte_hash (bulk
 * lookup, then the record, prefetched), and the memory limit: a bucket line whose place is known
 * beforehand, and the record line whose number stands in it, touched with the same prefetch, and
 * nothing hashed or compared. Both tables are filled in one
 * order and looked up in another, random one, so that neither finds its records in a row. A batch
 * is put together before its clock starts, as a parser would have left it: in the cache. All in one
 * run, by turns, on huge pages; nanoseconds a packet.
 */
#include "bench/bench.h"

#include <remediate/flow.h>
#include <remediate/packet.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>

#define FLOWS 1000000u
#define BATCH 32u
#define LIMIT_BUCKET_BITS 18
#define LIMIT_BUCKETS (1u << LIMIT_BUCKET_BITS)

struct record {
    uint64_t last_seen, first_seen, bytes[2];
    uint32_t packets[2];
    uint8_t rest[24];
};

struct state {
    struct remed_flow_packet batch[BATCH];
    uint8_t keys[BATCH][40]; /* as rte_hash takes them: 16 or 40 bytes each */
    uint32_t place[BATCH];   /* of the batch's flows in `buckets` */
    uint32_t *order;         /* of flows */
    unsigned version;
    uint32_t key_size;
    struct remed_flow_table *table;
    struct rte_hash *hash;
    struct record *records, *cold;
    uint32_t *buckets;  /* of 16 words; the first 8 are record numbers */
    uint32_t *place_of; /* by flow */
};

static uint64_t sink;

static void make_packet(struct state *state, uint32_t flow, unsigned at)
{
    uint8_t client[16] = {10, (uint8_t)(flow >> 16), (uint8_t)(flow >> 8), (uint8_t)flow};
    const uint8_t server[16] = {192, 0, 2, (uint8_t)(flow % 200)};
    struct remed_flow_packet *packet = &state->batch[at];
    uint8_t *key = state->keys[0] + (size_t)at * state->key_size;
    memset(packet, 0, sizeof *packet);
    packet->direction = (uint8_t)remed_flow_key_init(&packet->key, state->version, 6, client,
                                                     (uint16_t)(1024 + flow % 50000), server, 443);
    packet->time = 1000000000ull;
    packet->bytes = 500;
    packet->tcp_flags = REMED_TCP_ACK;
    if (state->version == 6) {
        memcpy(key, &packet->key, 40);
    } else {
        memset(key, 0, 16);
        memcpy(key, packet->key.address[0], 4);
        memcpy(key + 4, packet->key.address[1], 4);
        memcpy(key + 8, packet->key.port, 4);
        key[12] = 6;
    }
    state->place[at] = state->place_of[flow];
}

/* The packets of the flows from order[i] on. */
static void make_batch(struct state *state, size_t i)
{
    for (unsigned j = 0; j < BATCH; j++)
        make_packet(state, state->order[i + j], j);
}

static void update(struct record *record, const struct remed_flow_packet *packet)
{
    record->last_seen = packet->time > record->last_seen ? packet->time : record->last_seen;
    record->bytes[packet->direction] += packet->bytes;
    record->packets[packet->direction]++;
}

static void batch_ours(struct state *state, const uint32_t *flows)
{
    uint32_t numbers[BATCH];
    (void)flows;
    remed_flow_table_update(state->table, state->batch, BATCH, numbers);
    sink += numbers[0];
}

static void batch_rte(struct state *state, const uint32_t *flows)
{
    const void *keys[BATCH];
    void *data[BATCH];
    uint64_t hits;
    (void)flows;
    for (unsigned j = 0; j < BATCH; j++)
        keys[j] = state->keys[0] + (size_t)j * state->key_size;
    rte_hash_lookup_bulk_data(state->hash, keys, BATCH, &hits, data);
    for (unsigned j = 0; j < BATCH; j++)
        __builtin_prefetch(&state->records[(uintptr_t)data[j]], 1);
    for (unsigned j = 0; j < BATCH; j++)
        update(&state->records[(uintptr_t)data[j]], &state->batch[j]);
}

static void batch_limit(struct state *state, const uint32_t *flows)
{
    uint32_t numbers[BATCH];
    (void)flows;
    for (unsigned j = 0; j < BATCH; j++)
        __builtin_prefetch(&state->buckets[state->place[j]]);
    for (unsigned j = 0; j < BATCH; j++) {
        numbers[j] = state->buckets[state->place[j]];
        __builtin_prefetch(&state->records[numbers[j]], 1);
        if (state->key_size == 40)
            __builtin_prefetch(&state->cold[numbers[j]]);
    }
    for (unsigned j = 0; j < BATCH; j++) {
        update(&state->records[numbers[j]], &state->batch[j]);
        if (state->key_size == 40)
            sink += state->cold[numbers[j]].last_seen;
    }
}

/* Spreads the flows over the limit's buckets; a full one overflows into the next. */
static void fill_limit(struct state *state)
{
    for (uint32_t flow = 0; flow < FLOWS; flow++) {
        uint32_t bucket = flow * 2654435761u >> (32 - LIMIT_BUCKET_BITS);
        while (state->buckets[bucket * 16 + 15] == 8) /* the last word counts */
            bucket = (bucket + 1) % LIMIT_BUCKETS;
        state->place_of[flow] = bucket * 16 + state->buckets[bucket * 16 + 15]++;
        state->buckets[state->place_of[flow]] = flow;
    }
}

/* All flows once, in the order of `order`; nanoseconds a packet, building the batches aside. */
static double run(struct state *state, void (*batch)(struct state *, const uint32_t *))
{
    uint64_t ticks = 0;
    for (size_t i = 0; i + BATCH <= FLOWS; i += BATCH) {
        make_batch(state, i);
        uint64_t begin = bench_ticks();
        batch(state, state->order + i);
        ticks += bench_ticks() - begin;
    }
    return (double)ticks * bench_tick() / FLOWS;
}

static void make_tables(struct state *state)
{
    struct remed_flow_table_opts opts;
    const struct remed_allocator allocator = {NULL, bench_resize};
    remed_flow_table_opts_init(&opts, sizeof opts);
    opts.max_flows = FLOWS;
    opts.seed[0] = 0x243f6a8885a308d3ull;
    opts.seed[1] = 0x13198a2e03707344ull;
    opts.allocator = &allocator;
    struct rte_hash_parameters parameters = {.name = state->key_size == 40 ? "six" : "four",
                                             .entries = FLOWS + FLOWS / 4,
                                             .key_len = state->key_size};
    state->hash = rte_hash_create(&parameters);
    if (state->hash == NULL || remed_flow_table_new(&state->table, &opts, NULL) < 0) {
        fprintf(stderr, "no memory for the tables\n");
        exit(1);
    }
}

/* Packet i, of flow i, makes record i. */
static void fill_tables(struct state *state)
{
    for (uint32_t i = 0; i + BATCH <= FLOWS; i += BATCH) {
        make_batch(state, i);
        batch_ours(state, state->order + i);
        for (uint32_t j = 0; j < BATCH; j++)
            if (rte_hash_add_key_data(state->hash, state->keys[0] + (size_t)j * state->key_size,
                                      (void *)(uintptr_t)(i + j)) < 0)
                exit(1);
    }
}

static uint32_t *in_order(void)
{
    uint32_t *order = malloc(FLOWS * sizeof *order);
    for (uint32_t i = 0; order != NULL && i < FLOWS; i++)
        order[i] = i;
    return order;
}

static void shuffle(uint32_t *order)
{
    uint64_t random = 88172645463325252ull;
    for (uint32_t i = FLOWS - 1; i > 0; i--) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint32_t j = (uint32_t)(random % (i + 1)), other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
}

static void compare(unsigned version)
{
    static struct state state;
    double ours[BENCH_ROUNDS], theirs[BENCH_ROUNDS], limit[BENCH_ROUNDS];
    state =
        (struct state){.version = version, .key_size = version == 6 ? 40 : 16, .order = in_order()};
    state.records = bench_memory(FLOWS * sizeof *state.records);
    state.cold = bench_memory(FLOWS * sizeof *state.cold);
    state.buckets = bench_memory(LIMIT_BUCKETS * 64);
    state.place_of = bench_memory(FLOWS * sizeof *state.place_of);
    memset(state.records, 0, FLOWS * sizeof *state.records);
    memset(state.cold, 0, FLOWS * sizeof *state.cold);
    memset(state.buckets, 0, LIMIT_BUCKETS * 64);
    fill_limit(&state);
    if (state.order == NULL)
        exit(1);
    make_tables(&state);
    fill_tables(&state);
    shuffle(state.order);
    for (unsigned i = 0; i < BENCH_ROUNDS; i++) {
        ours[i] = run(&state, batch_ours);
        theirs[i] = run(&state, batch_rte);
        limit[i] = run(&state, batch_limit);
    }
    const char *work = version == 6 ? "lookup+update, 40-byte keys" : "lookup+update, 16-byte keys";
    bench_row(work, "rte_hash bulk", ours, theirs, version == 6 ? 0.5 : 0.6);
    bench_row(work, "memory limit", ours, limit, version == 6 ? 1.6 : 1.3);
    remed_flow_table_free(state.table);
    rte_hash_free(state.hash);
    free(state.order);
}

/* True when the kernel keeps enough huge pages aside for DPDK (run.sh sees to it). */
static bool has_huge_pages(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/sys/vm/nr_hugepages", "r");
    if (file != NULL && fscanf(file, "%lu", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * BENCH_HUGE >= (size_t)512 << 20;
}

int main(void)
{
    const bool huge = has_huge_pages();
    char arguments[][20] = {"bench_flow", "--in-memory", "--no-pci", "--log-level=error",
                            "-l",         "0",           "-m",       "512"};
    char *argv[8];
    for (unsigned i = 0; i < 8; i++)
        argv[i] = arguments[i];
    char small[] = "--no-huge";
    if (!huge) {
        fprintf(stderr, "no huge pages are kept aside: rte_hash runs on small ones\n");
        argv[1] = small;
    }
    if (rte_eal_init(8, argv) < 0) {
        fprintf(stderr, "DPDK does not start: %s\n", rte_strerror(rte_errno));
        return 1;
    }
    compare(4);
    compare(6);
    return sink == 42 ? 1 : 0;
}
