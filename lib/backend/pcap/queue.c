/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that wait for room, in one block of memory of fixed size. Threads: one a sink. */
#include "backend/pcap/injector.h"

#define ALIGNED(length) (((length) + 7u) & ~7u)

static uint32_t entry_size(const struct remed_outgoing *frame)
{
    return (uint32_t)sizeof *frame + ALIGNED(frame->length);
}

bool remed_queue_put(struct remed_injector *injector, const struct remed_outgoing *frame)
{
    uint32_t size = entry_size(frame), used = injector->queue_end - injector->queue_begin;
    if (size > REMED_QUEUE_BYTES - used)
        return false;
    if (size > REMED_QUEUE_BYTES - injector->queue_end) {
        memmove(injector->queue, injector->queue + injector->queue_begin, used);
        injector->queue_begin = 0;
        injector->queue_end = used;
    }
    uint8_t *at = injector->queue + injector->queue_end;
    memcpy(at, frame, sizeof *frame);
    memcpy(at + sizeof *frame, frame->bytes, frame->length);
    injector->queue_end += size;
    injector->waiting++;
    return true;
}

/* The entry at an offset, its bytes where they are now. */
static struct remed_outgoing queue_entry(const struct remed_injector *injector, uint32_t at)
{
    struct remed_outgoing frame;
    memcpy(&frame, injector->queue + at, sizeof frame);
    frame.bytes = injector->queue + at + sizeof frame;
    return frame;
}

uint32_t remed_queue_peek(const struct remed_injector *injector, struct remed_outgoing *frames,
                          uint32_t count)
{
    uint32_t n = 0;
    for (uint32_t at = injector->queue_begin; n < count && at < injector->queue_end; n++) {
        frames[n] = queue_entry(injector, at);
        at += entry_size(&frames[n]);
    }
    return n;
}

void remed_queue_drop(struct remed_injector *injector, uint32_t count)
{
    for (; count > 0; count--) {
        struct remed_outgoing frame = queue_entry(injector, injector->queue_begin);
        injector->queue_begin += entry_size(&frame);
        injector->waiting--;
    }
    if (injector->waiting == 0)
        injector->queue_begin = injector->queue_end = 0;
}
