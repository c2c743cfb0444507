/* SPDX-License-Identifier: BSD-3-Clause */
/* The publisher of source.h. */
#include "conformance/source.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define UPDATES_A_MILLISECOND 5u
#define GOLDEN 2654435761u

static void on_delivered(void *context, uint64_t tag, int code)
{
    struct source *source = context;
    (void)tag;
    source->delivered += code == 0;
    source->lost += code != 0;
}

void source_open(struct source *source, const char *uri, uint32_t keys)
{
    struct remed_transport_opts opts;
    memset(source, 0, sizeof *source);
    live_opts(&opts);
    opts.events.context = source;
    opts.events.delivered = on_delivered;
    opts.origin = "fw1";
    source->keys = keys;
    source->transport = live_open(uri, &opts);
    source->expected = live_replica(keys + 16);
    if (remed_record_new(&source->record, NULL) < 0)
        live_die("no memory for a record");
}

static void publish(struct source *source, uint32_t key)
{
    live_binding(source->record, key, ++source->sequence);
    while (live_publish(source->transport, source->record, 0) == REMED_EBUSY)
        live_drive(source->transport, 100);
    if (remed_replica_apply_record(source->expected, source->record, live_real(), NULL) < 0)
        live_die("the expected table is full");
}

void source_await(struct source *source)
{
    while (source->delivered + source->lost < source->sequence)
        live_drive(source->transport, 100);
    if (source->lost != 0)
        live_die("%llu publications are lost", (unsigned long long)source->lost);
}

void source_publish_all(struct source *source)
{
    uint64_t begin = live_now();
    for (uint32_t key = 0; key < source->keys; key++)
        publish(source, key);
    source_await(source);
    double seconds = (double)(live_now() - begin) * 1e-9;
    printf("published %u bindings in %.1f s, %.0f a second\n", source->keys, seconds,
           source->keys / seconds);
}

void source_update(struct source *source, unsigned milliseconds)
{
    uint64_t due = live_now();
    for (unsigned turn = 0; turn < milliseconds; turn++) {
        for (unsigned i = 0; i < UPDATES_A_MILLISECOND; i++)
            publish(source, (uint32_t)(source->sequence * GOLDEN % source->keys));
        live_drive(source->transport, 0);
        due += 1000000;
        uint64_t now = live_now();
        if (now < due)
            nanosleep(&(struct timespec){.tv_nsec = (long)(due - now)}, NULL);
    }
}

void source_close(struct source *source)
{
    remed_transport_close(source->transport, NULL);
    remed_replica_free(source->expected);
    remed_record_free(source->record);
}
