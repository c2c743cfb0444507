/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parse, flow and `first 5` of a capture in memory, against libpcap's bpf_filter of a bare SYN test
 * over the same packets, by turns in one run; nanoseconds of CPU a packet.
 */
#include "bench/bench.h"

#include <pcap/pcap.h>
#include <remediate/filter.h>
#include <remediate/pcap.h>

#define BATCH 1024u

static struct remed_packet *packets;
static size_t count;

static void load(const char *path)
{
    struct remed_pcap_source *source = NULL;
    struct remed_error error;
    size_t room = 4u << 20, used = 0, arena = (size_t)3 << 30;
    uint8_t *bytes = bench_memory(arena);
    packets = bench_memory(room * sizeof *packets);
    if (remed_pcap_open_file(&source, path, NULL, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    int got;
    while (count + BATCH <= room &&
           (got = remed_pcap_read(source, packets + count, BATCH, NULL)) > 0)
        for (int i = 0; i < got; i++, count++) {
            if (used + packets[count].captured + 16 > arena)
                exit(1);
            memcpy(bytes + used, packets[count].data, packets[count].captured);
            packets[count].data = bytes + used;
            used += packets[count].captured + 16; /* as with the record headers of a file */
        }
    remed_pcap_source_free(source);
}

static struct remed_filter *make_filter(const char *text)
{
    const struct remed_allocator allocator = {NULL, bench_resize};
    struct remed_policy *policy = NULL;
    struct remed_filter *filter = NULL;
    struct remed_filter_opts opts;
    remed_filter_opts_init(&opts, sizeof opts);
    opts.seed[0] = 0x243f6a8885a308d3ull;
    opts.seed[1] = 0x13198a2e03707344ull;
    opts.allocator = &allocator;
    if (remed_policy_parse(&policy, NULL, text, strlen(text), NULL) < 0 ||
        remed_filter_new(&filter, policy, &opts, NULL) < 0)
        exit(1);
    remed_policy_free(policy);
    return filter;
}

static double run_ours(struct remed_filter *filter)
{
    static struct remed_verdict verdicts[BATCH];
    double begin = bench_now();
    for (size_t i = 0; i + BATCH <= count; i += BATCH)
        remed_filter_run(filter, packets + i, BATCH, verdicts);
    return (bench_now() - begin) / (double)count * 1e9;
}

static uint64_t matched;

static double run_bpf(const struct bpf_program *program)
{
    double begin = bench_now();
    for (size_t i = 0; i < count; i++)
        matched += bpf_filter(program->bf_insns, packets[i].data, packets[i].wire,
                              packets[i].captured) != 0;
    return (bench_now() - begin) / (double)count * 1e9;
}

int main(int argc, char **argv)
{
    struct bpf_program program;
    double ours[BENCH_ROUNDS], theirs[BENCH_ROUNDS];
    if (argc != 2) {
        fprintf(stderr, "usage: bench_filter CAPTURE\n");
        return 2;
    }
    load(argv[1]);
    pcap_t *dead = pcap_open_dead(DLT_EN10MB, 262144);
    if (pcap_compile(dead, &program, "tcp[tcpflags] & tcp-syn != 0", 1, PCAP_NETMASK_UNKNOWN) < 0)
        return 1;
    struct remed_filter *filter = make_filter("any : first 5");
    run_ours(filter);
    run_bpf(&program);
    for (unsigned i = 0; i < BENCH_ROUNDS; i++) {
        ours[i] = run_ours(filter);
        theirs[i] = run_bpf(&program);
    }
    bench_row("parse + flow + first 5, in memory", "bpf_filter of SYN", ours, theirs, 0.75);
    remed_filter_free(filter);
    pcap_freecode(&program);
    pcap_close(dead);
    return matched == 42 ? 1 : 0;
}
