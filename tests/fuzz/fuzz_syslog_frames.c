/* SPDX-License-Identifier: BSD-3-Clause */
/* A stream cut into frames: the same whole and byte by byte, and never more than came. The first
 * byte chooses the framing, and whether the callback stops after each frame. */
#include <remediate/syslog.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
    uint64_t frames, bytes, hash;
    int stops;
};

static void check(int holds)
{
    if (!holds)
        abort();
}

static int on_frame(void *context, const struct remed_syslog_frame *frame)
{
    struct sum *sum = context;
    check(frame->length > 0 && frame->length <= 480);
    sum->frames++;
    sum->bytes += frame->length;
    for (size_t i = 0; i < frame->length; i++)
        sum->hash = (sum->hash ^ (uint8_t)frame->text[i]) * 1099511628211u;
    sum->hash = (sum->hash ^ frame->cut ^ 0x100) * 1099511628211u;
    return sum->stops;
}

/* Pushes all of it in pieces of `piece` bytes. */
static struct remed_syslog_frames_stats run(const uint8_t *data, size_t size, size_t piece,
                                            uint32_t framing, struct sum *sum)
{
    struct remed_syslog_frames_opts opts;
    struct remed_syslog_frames_stats stats;
    struct remed_syslog_frames *frames;
    remed_syslog_frames_opts_init(&opts, sizeof opts);
    opts.frame = on_frame;
    opts.context = sum;
    opts.framing = framing;
    opts.max_frame = 480;
    check(remed_syslog_frames_new(&frames, &opts, NULL) == 0);
    for (size_t at = 0; at < size;) {
        size_t taken =
            remed_syslog_frames_push(frames, data + at, size - at < piece ? size - at : piece);
        check(taken > 0);
        at += taken;
    }
    check(remed_syslog_frames_held(frames) <= size);
    remed_syslog_frames_end(frames);
    check(remed_syslog_frames_held(frames) == 0);
    remed_syslog_frames_stats(frames, &stats, sizeof stats);
    check(stats.bytes == size && stats.frames == sum->frames && sum->bytes <= size);
    remed_syslog_frames_free(frames);
    return stats;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct sum whole = {.stops = data[0] >> 1 & 1}, bytes = {.stops = 0};
    uint32_t framing = data[0] & 1;
    const struct remed_syslog_frames_stats one = run(data + 1, size - 1, size, framing, &whole);
    const struct remed_syslog_frames_stats two = run(data + 1, size - 1, 1, framing, &bytes);
    check(whole.hash == bytes.hash && memcmp(&one, &two, sizeof one) == 0);
    return 0;
}
