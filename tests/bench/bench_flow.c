/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lookup and update among a million flows, in batches of 32, in random order: our table, DPDK's
 * rte_hash (bulk lookup, then the record, prefetched), and the memory limit: the same bucket and
 * record lines touched with the same prefetch, their addresses known beforehand. All in one run, by
 * turns, on transparent huge pages; nanoseconds of CPU a packet.
 */
#include "bench/bench.h"

#include <remediate/flow.h>
#include <remediate/packet.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_memory.h>

#define FLOWS 1000000u
#define BATCH 32u

struct record {
    uint64_t last_seen, first_seen, bytes[2];
    uint32_t packets[2];
    uint8_t rest[24];
};

struct state {
    struct remed_flow_packet *packets;
    uint8_t *keys; /* as rte_hash takes them: 16 or 40 bytes each */
    uint32_t key_size;
    struct remed_flow_table *table;
    struct rte_hash *hash;
    struct record *records, *cold;
    uint8_t *buckets;
    uint32_t *bucket_of, *record_of;
    size_t bucket_count;
};

static uint64_t sink;

static double run_ours(struct state *state)
{
    uint32_t flows[BATCH];
    double begin = bench_now();
    for (size_t i = 0; i + BATCH <= FLOWS; i += BATCH)
        remed_flow_table_update(state->table, state->packets + i, BATCH, flows);
    return (bench_now() - begin) / FLOWS * 1e9;
}

static void update(struct record *record, const struct remed_flow_packet *packet)
{
    record->last_seen = packet->time > record->last_seen ? packet->time : record->last_seen;
    record->bytes[packet->direction] += packet->bytes;
    record->packets[packet->direction]++;
}

static double run_rte(struct state *state)
{
    const void *keys[BATCH];
    void *data[BATCH];
    double begin = bench_now();
    for (size_t i = 0; i + BATCH <= FLOWS; i += BATCH) {
        uint64_t hits;
        for (unsigned j = 0; j < BATCH; j++)
            keys[j] = state->keys + (i + j) * state->key_size;
        rte_hash_lookup_bulk_data(state->hash, keys, BATCH, &hits, data);
        for (unsigned j = 0; j < BATCH; j++)
            __builtin_prefetch(&state->records[(uintptr_t)data[j]], 1);
        for (unsigned j = 0; j < BATCH; j++)
            update(&state->records[(uintptr_t)data[j]], &state->packets[i + j]);
    }
    return (bench_now() - begin) / FLOWS * 1e9;
}

static double run_limit(struct state *state)
{
    double begin = bench_now();
    for (size_t i = 0; i + BATCH <= FLOWS; i += BATCH) {
        for (unsigned j = 0; j < BATCH; j++)
            __builtin_prefetch(state->buckets + (size_t)state->bucket_of[i + j] * 64);
        for (unsigned j = 0; j < BATCH; j++) {
            uint64_t line;
            memcpy(&line, state->buckets + (size_t)state->bucket_of[i + j] * 64, sizeof line);
            sink += line;
            __builtin_prefetch(&state->records[state->record_of[i + j]], 1);
            if (state->key_size == 40)
                __builtin_prefetch(&state->cold[state->record_of[i + j]]);
        }
        for (unsigned j = 0; j < BATCH; j++) {
            update(&state->records[state->record_of[i + j]], &state->packets[i + j]);
            if (state->key_size == 40)
                sink += state->cold[state->record_of[i + j]].last_seen;
        }
    }
    return (bench_now() - begin) / FLOWS * 1e9;
}

static void make_packets(struct state *state, const uint32_t *order, unsigned version)
{
    for (uint32_t i = 0; i < FLOWS; i++) {
        uint32_t flow = order[i];
        uint8_t client[16] = {10, (uint8_t)(flow >> 16), (uint8_t)(flow >> 8), (uint8_t)flow};
        const uint8_t server[16] = {192, 0, 2, (uint8_t)(flow % 200)};
        struct remed_flow_packet *packet = &state->packets[i];
        memset(packet, 0, sizeof *packet);
        packet->direction = (uint8_t)remed_flow_key_init(
            &packet->key, version, 6, client, (uint16_t)(1024 + flow % 50000), server, 443);
        packet->time = 1000000000ull;
        packet->bytes = 500;
        packet->tcp_flags = REMED_TCP_ACK;
        uint8_t *key = state->keys + (size_t)i * state->key_size;
        if (version == 6) {
            memcpy(key, &packet->key, 40);
        } else {
            memset(key, 0, 16);
            memcpy(key, packet->key.address[0], 4);
            memcpy(key + 4, packet->key.address[1], 4);
            memcpy(key + 8, packet->key.port, 4);
            key[12] = 6;
        }
    }
}

static void make_tables(struct state *state, const uint32_t *order)
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
    for (uint32_t i = 0; i < FLOWS; i++) {
        if (rte_hash_add_key_data(state->hash, state->keys + (size_t)i * state->key_size,
                                  (void *)(uintptr_t)order[i]) < 0)
            exit(1);
        state->bucket_of[i] = (uint32_t)(((uint64_t)order[i] * 2654435761u) % state->bucket_count);
        state->record_of[i] = order[i];
    }
}

static uint32_t *shuffled(void)
{
    uint32_t *order = malloc(FLOWS * sizeof *order);
    uint64_t random = 88172645463325252ull;
    for (uint32_t i = 0; i < FLOWS; i++)
        order[i] = i;
    for (uint32_t i = FLOWS - 1; i > 0; i--) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint32_t j = (uint32_t)(random % (i + 1)), other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
    return order;
}

static void compare(unsigned version)
{
    struct state state = {.key_size = version == 6 ? 40 : 16, .bucket_count = 1u << 18};
    uint32_t *order = shuffled();
    double ours[BENCH_ROUNDS], theirs[BENCH_ROUNDS], limit[BENCH_ROUNDS];
    state.packets = bench_memory(FLOWS * sizeof *state.packets);
    state.keys = bench_memory((size_t)FLOWS * state.key_size);
    state.records = bench_memory(FLOWS * sizeof *state.records);
    state.cold = bench_memory(FLOWS * sizeof *state.cold);
    state.buckets = bench_memory(state.bucket_count * 64);
    state.bucket_of = bench_memory(FLOWS * sizeof *state.bucket_of);
    state.record_of = bench_memory(FLOWS * sizeof *state.record_of);
    memset(state.records, 0, FLOWS * sizeof *state.records);
    memset(state.cold, 0, FLOWS * sizeof *state.cold);
    memset(state.buckets, 1, state.bucket_count * 64);
    make_packets(&state, order, version);
    make_tables(&state, order);
    run_ours(&state); /* fills our table, in the same order */
    for (unsigned i = 0; i < BENCH_ROUNDS; i++) {
        ours[i] = run_ours(&state);
        theirs[i] = run_rte(&state);
        limit[i] = run_limit(&state);
    }
    const char *work = version == 6 ? "lookup+update, 40-byte keys" : "lookup+update, 16-byte keys";
    bench_row(work, "rte_hash bulk", ours, theirs, version == 6 ? 0.5 : 0.6);
    bench_row(work, "memory limit", ours, limit, version == 6 ? 1.6 : 1.3);
    remed_flow_table_free(state.table);
    rte_hash_free(state.hash);
    free(order);
}

static int use_huge_pages(const struct rte_memseg_list *list, void *argument)
{
    (void)argument;
    madvise(list->base_va, list->len, MADV_HUGEPAGE);
    return 0;
}

int main(void)
{
    char *arguments[] = {(char *)(uintptr_t) "bench_flow",
                         (char *)(uintptr_t) "--no-huge",
                         (char *)(uintptr_t) "--no-pci",
                         (char *)(uintptr_t) "--no-shconf",
                         (char *)(uintptr_t) "-m",
                         (char *)(uintptr_t) "1024",
                         (char *)(uintptr_t) "--log-level=error",
                         (char *)(uintptr_t) "-l",
                         (char *)(uintptr_t) "0"};
    if (rte_eal_init(9, arguments) < 0) {
        fprintf(stderr, "DPDK does not start: %s\n", rte_strerror(rte_errno));
        return 1;
    }
    rte_memseg_list_walk(use_huge_pages, NULL);
    compare(4);
    compare(6);
    return sink == 42 ? 1 : 0;
}
