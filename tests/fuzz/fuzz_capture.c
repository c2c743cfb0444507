/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Capture files: bytes through a memory file, read to the end or to the damage, and what was read
 * written again as pcapng. Each packet is also made into frames for a link, as if a kernel had
 * merged it: what the file says of its time stands for the offloads.
 */
#include "backend/pcap/segment.h"

#include <remediate/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

static volatile uint8_t touched;

static void touch(const struct remed_packet *packets, int count)
{
    for (int i = 0; i < count; i++)
        for (uint32_t j = 0; j < packets[i].captured; j++)
            touched ^= packets[i].data[j];
}

struct limits {
    uint32_t longest, frames;
};

static int take_frame(void *context, const uint8_t *bytes, uint32_t length, bool last)
{
    struct limits *limits = context;
    check(length <= limits->longest);
    touched ^= bytes[length - 1];
    return last || ++limits->frames == 1000 ? -1 : 0; /* nothing may follow */
}

static void make_frames(const struct remed_packet *packets, int count)
{
    static uint8_t scratch[2][REMED_LONGEST_FRAME];
    static uint32_t identification;
    for (int i = 0; i < count; i++) {
        struct remed_packet packet = packets[i];
        packet.offload = (uint8_t)(packet.time / 1000 & 15);
        packet.segment = (uint16_t)(packet.time / 16000);
        struct limits limits = {.longest = 576 + 18};
        const struct remed_frame_sink sink = {&limits, take_frame, scratch[0], scratch[1],
                                              &identification};
        (void)remed_frame_split(&packet, 576, &sink);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    char path[64];
    if (fd < 0)
        fd = memfd_create("capture", 0);
    check(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct remed_pcap_source *source = NULL;
    struct remed_pcap_sink *sink = NULL;
    struct remed_error error;
    struct remed_pcap_source_opts opts;
    remed_pcap_source_opts_init(&opts, sizeof opts);
    opts.max_packet = 1u << 20;
    if (remed_pcap_open_file(&source, path, &opts, &error) < 0)
        return 0;
    struct remed_pcap_sink_opts sink_opts;
    remed_pcap_sink_opts_init(&sink_opts, sizeof sink_opts);
    sink_opts.pcapng = 1;
    check(remed_pcap_create_file(&sink, "/dev/null", &sink_opts, &error) == 0);
    struct remed_packet packets[7];
    int got;
    (void)remed_pcap_source_drained(source);
    while ((got = remed_pcap_read(source, packets, 7, &error)) > 0) {
        touch(packets, got);
        make_frames(packets, got);
        (void)remed_pcap_write(sink, packets, (size_t)got, NULL);
        (void)remed_pcap_source_drained(source);
    }
    check(got == 0 || got == REMED_EFORMAT || got == REMED_ETRUNCATED);
    check(got == 0 || remed_pcap_read(source, packets, 7, &error) == got);
    check(remed_pcap_sink_close(sink, NULL) == 0);
    remed_pcap_source_free(source);
    return 0;
}
