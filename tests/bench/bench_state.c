/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Encoding and checked decoding of a nat-binding, against msgpack-c packing and unpacking the same
 * fields as an array; nanoseconds of CPU a record. And applying to a replica of 10^6 entries
 * against the bare flow table's insert.
 */
#include "bench/bench.h"

#include <msgpack.h>
#include <remediate/flow.h>
#include <remediate/repository.h>

#define RECORDS 200000u
#define ENTRIES 1000000u

static struct remed_record *record, *back;
static uint64_t sink;

static void fill(uint32_t number, uint64_t sequence)
{
    struct remed_record_head head;
    struct remed_nat_binding body = {
        .inside = {.address = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                               (uint8_t)number},
                   .port = 1234,
                   .ip_version = 4},
        .outside = {.address = {198, 51, 100, 1}, .port = (uint16_t)number, .ip_version = 4},
        .remote = {.address = {203, 0, 113, 9}, .port = 443, .ip_version = 4},
        .protocol = 6};
    remed_record_head_init(&head, sizeof head);
    head.domain = "edge-1";
    head.origin = "fw1";
    head.epoch = 1;
    head.sequence = sequence;
    head.observed = 1795428000123456789ull;
    if (remed_record_set_head(record, &head, NULL) < 0 ||
        remed_record_set_body(record, REMED_KIND_NAT_BINDING, &body, sizeof body, NULL) < 0)
        exit(1);
}

static double run_ours(size_t *length)
{
    uint8_t wire[256];
    double begin = bench_now();
    for (uint32_t i = 0; i < RECORDS; i++) {
        if (remed_record_encode(record, wire, sizeof wire, length) < 0 ||
            remed_record_decode(back, wire, *length, NULL) < 0)
            exit(1);
        sink += *length;
    }
    return (bench_now() - begin) / RECORDS * 1e9;
}

/* The same fields, as msgpack-c's users would pack them. */
static void pack(msgpack_packer *packer)
{
    static const uint8_t endpoints[18] = {10, 0, 0, 1};
    msgpack_pack_array(packer, 8);
    msgpack_pack_uint64(packer, 1);
    msgpack_pack_uint64(packer, 10);
    msgpack_pack_str(packer, 6);
    msgpack_pack_str_body(packer, "edge-1", 6);
    msgpack_pack_str(packer, 3);
    msgpack_pack_str_body(packer, "fw1", 3);
    msgpack_pack_uint64(packer, 1);
    msgpack_pack_uint64(packer, 4000000);
    msgpack_pack_uint64(packer, 1795428000123456789ull);
    msgpack_pack_array(packer, 3);
    msgpack_pack_uint64(packer, 6);
    msgpack_pack_uint64(packer, 21);
    msgpack_pack_bin(packer, sizeof endpoints);
    msgpack_pack_bin_body(packer, endpoints, sizeof endpoints);
}

static double run_msgpack(void)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    msgpack_unpacked tree;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    msgpack_unpacked_init(&tree);
    double begin = bench_now();
    for (uint32_t i = 0; i < RECORDS; i++) {
        size_t at = 0;
        msgpack_sbuffer_clear(&buffer);
        pack(&packer);
        if (msgpack_unpack_next(&tree, buffer.data, buffer.size, &at) != MSGPACK_UNPACK_SUCCESS)
            exit(1);
        sink += tree.data.via.array.size;
    }
    double spent = bench_now() - begin;
    msgpack_unpacked_destroy(&tree);
    msgpack_sbuffer_destroy(&buffer);
    return spent / RECORDS * 1e9;
}

static uint8_t (*wires)[64];
static uint8_t *lengths;

static double run_replica(void)
{
    const struct remed_allocator allocator = {NULL, bench_resize};
    struct remed_replica *replica = NULL;
    struct remed_replica_opts opts;
    remed_replica_opts_init(&opts, sizeof opts);
    opts.max_entries = ENTRIES;
    opts.allocator = &allocator;
    if (remed_replica_new(&replica, &opts, NULL) < 0)
        exit(1);
    double begin = bench_now();
    for (uint32_t i = 0; i < ENTRIES; i++)
        sink += (uint64_t)remed_replica_apply(replica, NULL, 0, wires[i], lengths[i], 1, NULL);
    double spent = bench_now() - begin;
    remed_replica_free(replica);
    return spent / ENTRIES * 1e9;
}

static double run_flows(void)
{
    const struct remed_allocator allocator = {NULL, bench_resize};
    struct remed_flow_table *table = NULL;
    struct remed_flow_table_opts opts;
    remed_flow_table_opts_init(&opts, sizeof opts);
    opts.max_flows = ENTRIES;
    opts.allocator = &allocator;
    if (remed_flow_table_new(&table, &opts, NULL) < 0)
        exit(1);
    double begin = bench_now();
    for (uint32_t i = 0; i < ENTRIES; i++) {
        const uint8_t client[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        const uint8_t server[4] = {203, 0, 113, 9};
        struct remed_flow_packet packet = {.time = 1, .bytes = 60, .tcp_flags = 2};
        packet.direction =
            (uint8_t)remed_flow_key_init(&packet.key, 4, 6, client, 1234, server, 443);
        sink += remed_flow_table_update(table, &packet, 1, NULL);
    }
    double spent = bench_now() - begin;
    remed_flow_table_free(table);
    return spent / ENTRIES * 1e9;
}

int main(void)
{
    double ours[BENCH_ROUNDS], theirs[BENCH_ROUNDS];
    size_t length = 0;
    if (remed_record_new(&record, NULL) < 0 || remed_record_new(&back, NULL) < 0)
        return 1;
    fill(1, 4000000);
    for (unsigned i = 0; i < BENCH_ROUNDS; i++) {
        ours[i] = run_ours(&length);
        theirs[i] = run_msgpack();
    }
    bench_row("nat-binding encode+decode", "msgpack-c pack+unpack", ours, theirs, 0.3);
    printf("%-34s %zu bytes (bar 52)\n", "nat-binding on the wire", length);
    wires = bench_memory(ENTRIES * sizeof *wires);
    lengths = bench_memory(ENTRIES);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        fill(i, 1000000 + i);
        if (remed_record_encode(record, wires[i], sizeof wires[i], &length) < 0)
            return 1;
        lengths[i] = (uint8_t)length;
    }
    for (unsigned i = 0; i < BENCH_ROUNDS; i++) {
        ours[i] = run_replica();
        theirs[i] = run_flows();
    }
    bench_row("apply to a replica of 10^6", "flow table insert", ours, theirs, 3.0);
    return sink == 42 ? 1 : 0;
}
