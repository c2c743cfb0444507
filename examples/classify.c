/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flows of a capture, through the core alone: the host brings the bytes, here from a plain pcap
 * file in this machine's byte order.
 *
 *   cc classify.c $(pkg-config --cflags --libs libremediate) -o classify && ./classify FILE
 */
#include <remediate/remediate.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_FRAME 262144

/* The next packet of a pcap file; false at its end. */
static bool next_packet(FILE *file, uint32_t link_type, struct remed_packet *packet)
{
    static uint8_t frame[MAX_FRAME];
    uint32_t record[4];
    if (fread(record, sizeof record, 1, file) != 1 || record[2] > MAX_FRAME ||
        fread(frame, 1, record[2], file) != record[2])
        return false;
    *packet = (struct remed_packet){.data = frame,
                                    .captured = record[2],
                                    .wire = record[3],
                                    .time = record[0] * 1000000000ull + record[1] * 1000ull,
                                    .link_type = link_type};
    return true;
}

static void print_flow(const struct remed_flow_info *info)
{
    char opener[REMED_ENDPOINT_TEXT_SIZE], responder[REMED_ENDPOINT_TEXT_SIZE];
    remed_flow_key_endpoint(&info->key, info->opener, opener);
    remed_flow_key_endpoint(&info->key, info->opener ^ 1u, responder);
    printf("%3u  %-24s %-24s %6llu > %6llu <  %s\n", info->key.protocol, opener, responder,
           (unsigned long long)info->packets[0], (unsigned long long)info->packets[1],
           remed_flow_state_name(info->state));
}

int main(int argc, char **argv)
{
    uint32_t header[6];
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL || fread(header, sizeof header, 1, file) != 1 || header[0] != 0xa1b2c3d4) {
        fprintf(stderr, "usage: classify FILE (pcap, microseconds, this byte order)\n");
        return 2;
    }
    struct remed_error error;
    struct remed_flow_table *flows = NULL;
    if (remed_flow_table_new(&flows, NULL, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    struct remed_packet packet;
    unsigned long unclassified = 0;
    while (next_packet(file, header[5] & 0xffff, &packet)) {
        struct remed_headers headers;
        if (remed_packet_parse(&packet, REMED_SCOPE_OUTER, &headers) != REMED_CLASSIFIED) {
            unclassified++;
            continue;
        }
        struct remed_flow_packet seen = {.key = headers.key,
                                         .time = packet.time,
                                         .bytes = packet.wire,
                                         .tcp_sequence = headers.tcp_sequence,
                                         .tcp_ack = headers.tcp_ack,
                                         .direction = headers.direction,
                                         .tcp_flags = headers.tcp_flags};
        remed_flow_table_update(flows, &seen, 1, NULL);
    }
    struct remed_flow_info info;
    for (uint32_t cursor = 0, flow;
         (flow = remed_flow_table_next(flows, &cursor)) != REMED_NO_FLOW;)
        if (remed_flow_table_get(flows, flow, &info, sizeof info) == 0)
            print_flow(&info);
    printf("%lu packets not classified\n", unclassified);
    remed_flow_table_free(flows);
    fclose(file);
    return 0;
}
