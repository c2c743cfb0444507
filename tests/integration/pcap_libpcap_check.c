/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reader against libpcap: on every capture that libpcap opens, the same packets with the same
 * bytes, lengths, times and link type, and an error in the same place where there is one. libpcap
 * cuts a packet that is longer than the file's snap length; ours hands it out whole, so it is
 * compared up to there.
 */
#include "integration/walk.h"

#include <remediate/pcap.h>

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct totals {
    size_t files, packets, different, only_ours, neither, both_fail;
};

static bool same(const struct remed_packet *ours, const struct pcap_pkthdr *header,
                 const u_char *bytes)
{
    uint64_t time = (uint64_t)header->ts.tv_sec * 1000000000ull + (uint64_t)header->ts.tv_usec;
    return ours->time == time && ours->wire == header->len && ours->captured >= header->caplen &&
           memcmp(ours->data, bytes, header->caplen) == 0;
}

/* The packets of both until one ends. */
static void compare(struct remed_pcap_source *source, pcap_t *handle, const char *name,
                    struct totals *totals)
{
    uint32_t snap = (uint32_t)pcap_snapshot(handle);
    for (size_t number = 1;; number++) {
        struct remed_packet packet;
        struct remed_error error;
        struct pcap_pkthdr *header;
        const u_char *bytes;
        int ours = remed_pcap_read(source, &packet, 1, &error);
        int theirs = pcap_next_ex(handle, &header, &bytes);
        if (theirs == -1 && strstr(pcap_geterr(handle), "of the first interface") != NULL) {
            totals->only_ours++; /* libpcap reads one kind of interface a file */
            return;
        }
        if (ours != 1 && theirs != 1) {
            totals->both_fail += ours < 0 && theirs == -1;
            if ((ours < 0) == (theirs == -1))
                return;
        } else if (ours == 1 && theirs == 1 && same(&packet, header, bytes) &&
                   (packet.captured == header->caplen || header->caplen == snap)) {
            totals->packets++;
            continue;
        }
        printf("%s: packet %zu: ours %d %s, libpcap %d %s\n", name, number, ours,
               ours < 0 ? error.message : "", theirs, theirs == -1 ? pcap_geterr(handle) : "");
        totals->different++;
        return;
    }
}

static void check_file(const char *path, const char *name, void *context)
{
    struct totals *totals = context;
    char text[PCAP_ERRBUF_SIZE];
    struct remed_pcap_source *source = NULL;
    struct remed_error error;
    pcap_t *handle =
        pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);
    int rc = remed_pcap_open_file(&source, path, NULL, &error);
    totals->files++;
    if (handle == NULL && rc < 0) {
        totals->neither++;
    } else if (handle == NULL) {
        totals->only_ours++;
    } else if (rc < 0 && strstr(error.message, "reserved bits") != NULL) {
        totals->neither++; /* docs/captures.md */
    } else if (rc < 0) {
        printf("%s: libpcap opens it, we do not: %s\n", name, error.message);
        totals->different++;
    } else {
        compare(source, handle, name, totals);
    }
    remed_pcap_source_free(source);
    if (handle != NULL)
        pcap_close(handle);
}

int main(void)
{
    struct totals totals = {0, 0, 0, 0, 0, 0};
    walk_captures(check_file, &totals);
    printf("%zu files, %zu equal packets, %zu files differ; %zu that only we read on, %zu that "
           "neither opens, %zu where both report damage at the same packet\n",
           totals.files, totals.packets, totals.different, totals.only_ours, totals.neither,
           totals.both_fail);
    return totals.different == 0 && totals.packets > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
