/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A mirror policy in the host's own packet loop: batches in, verdicts out, the copies to a capture.
 *
 *   cc mirror.c $(pkg-config --cflags --libs libremediate-pcap) -o mirror
 *   ./mirror 'tcp : handshake, refresh 10s' in.pcap out.pcap
 */
#include <remediate/pcap.h>
#include <remediate/remediate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64

static void die(const char *what, const struct remed_error *error)
{
    fprintf(stderr, "%s:%u:%u: %s\n", what, error->line, error->column, error->message);
    exit(1);
}

int main(int argc, char **argv)
{
    struct remed_error error;
    struct remed_policy *policy = NULL;
    struct remed_filter *filter = NULL;
    struct remed_pcap_source *source = NULL;
    struct remed_pcap_sink *sink = NULL;
    if (argc != 4) {
        fprintf(stderr, "usage: mirror POLICY IN OUT\n");
        return 2;
    }
    if (remed_policy_parse(&policy, NULL, argv[1], strlen(argv[1]), &error) < 0)
        die("policy", &error);

    struct remed_filter_opts opts;
    remed_filter_opts_init(&opts, sizeof opts);
    opts.max_flows = 1u << 16;
    if (remed_filter_new(&filter, policy, &opts, &error) < 0)
        die("filter", &error);
    remed_policy_free(policy); /* the filter keeps what it needs */

    if (remed_pcap_open_file(&source, argv[2], NULL, &error) < 0)
        die(argv[2], &error);
    if (remed_pcap_create_file(&sink, argv[3], NULL, &error) < 0)
        die(argv[3], &error);

    struct remed_packet packets[BATCH];
    struct remed_verdict verdicts[BATCH];
    int got;
    while ((got = remed_pcap_read(source, packets, BATCH, &error)) > 0) {
        remed_filter_run(filter, packets, (size_t)got, verdicts);
        for (int i = 0; i < got; i++)
            if (verdicts[i].copy && remed_pcap_write(sink, &packets[i], 1, &error) < 0)
                die(argv[3], &error);
    }
    if (got < 0)
        die(argv[2], &error);
    if (remed_pcap_sink_close(sink, &error) < 0)
        die(argv[3], &error);

    struct remed_filter_stats stats;
    remed_filter_stats(filter, &stats, sizeof stats);
    printf("%llu of %llu packets copied\n", (unsigned long long)stats.copied_packets,
           (unsigned long long)stats.packets);
    remed_pcap_source_free(source);
    remed_filter_free(filter);
    return 0;
}
