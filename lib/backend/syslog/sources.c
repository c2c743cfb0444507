/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counters by source, in a table of a hard size: row 0 are the others, inputs have rows that stay,
 * senders the rest, and the one not heard for the longest makes room.
 *
 * Threads: one thread a listener.
 */
#include "backend/syslog/listener.h"

#include "base/entropy.h"
#include "base/hash.h"

#include <arpa/inet.h>
#include <stdio.h>

#define NONE UINT32_MAX
#define KEY_MAX (8 + REMED_LISTENER_NAME_MAX)

struct source {
    struct remed_listener_source counters;
    uint32_t chain;        /* in its bucket */
    uint32_t newer, older; /* senders, by when they were heard */
    uint32_t bucket;
    uint8_t key_length;
    uint8_t key[KEY_MAX];
};

/* Counts looks at rows; a test has it count. */
#ifndef REMED_SOURCE_LOOKED
#define REMED_SOURCE_LOOKED() ((void)0)
#endif

int remed_sources_init(struct remed_listener *listener, struct remed_error *error)
{
    struct sources *sources = &listener->sources;
    int rc =
        remed_entropy_secret(sources->secret, listener->opts.seed, listener->opts.entropy, error);
    if (rc < 0)
        return rc;
    sources->capacity = listener->opts.max_sources + REMED_LISTENER_INPUTS_MAX + 1;
    for (sources->buckets = 16; sources->buckets < listener->opts.max_sources;)
        sources->buckets *= 2;
    sources->rows = remed_allocate(&listener->allocator, sources->capacity * sizeof(struct source));
    sources->heads = remed_allocate(&listener->allocator, sources->buckets * sizeof(uint32_t));
    if (sources->rows == NULL || sources->heads == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for %u sources",
                               listener->opts.max_sources);
    memset(sources->heads, 0xff, sources->buckets * sizeof(uint32_t));
    sources->oldest = sources->newest = NONE;
    remed_source_pin(listener, "others");
    remed_source(listener, 0)->role = REMED_LISTENER_OTHERS;
    return 0;
}

void remed_sources_fini(struct remed_listener *listener)
{
    struct sources *sources = &listener->sources;
    remed_release(&listener->allocator, sources->rows, sources->capacity * sizeof(struct source));
    remed_release(&listener->allocator, sources->heads, sources->buckets * sizeof(uint32_t));
}

struct remed_listener_source *remed_source(struct remed_listener *listener, uint32_t row)
{
    return &listener->sources.rows[row].counters;
}

static void set_name(struct remed_listener_source *source, const char *name, size_t length)
{
    if (length > REMED_LISTENER_NAME_MAX)
        length = REMED_LISTENER_NAME_MAX;
    for (size_t i = 0; i < length; i++)
        source->name[i] = (uint8_t)name[i] > ' ' && (uint8_t)name[i] < 0x7f ? name[i] : '?';
    source->name[length] = '\0';
}

static uint32_t fresh(struct sources *sources)
{
    uint32_t row = sources->count++;
    memset(&sources->rows[row], 0, sizeof sources->rows[row]);
    sources->rows[row].counters.size = sizeof sources->rows[row].counters;
    return row;
}

uint32_t remed_source_pin(struct remed_listener *listener, const char *name)
{
    uint32_t row = fresh(&listener->sources);
    struct remed_listener_source *source = remed_source(listener, row);
    source->role = REMED_LISTENER_INPUT;
    source->input = row;
    set_name(source, name, strcspn(name, "?")); /* without its parameters */
    return row;
}

/* Takes back the last pin: its input could not be opened. */
void remed_source_unpin(struct remed_listener *listener)
{
    listener->sources.count--;
}

static void leave_order(struct sources *sources, uint32_t row)
{
    struct source *source = &sources->rows[row];
    *(source->newer != NONE ? &sources->rows[source->newer].older : &sources->newest) =
        source->older;
    *(source->older != NONE ? &sources->rows[source->older].newer : &sources->oldest) =
        source->newer;
}

static void join_order(struct sources *sources, uint32_t row)
{
    struct source *source = &sources->rows[row];
    source->newer = NONE;
    source->older = sources->newest;
    *(sources->newest != NONE ? &sources->rows[sources->newest].newer : &sources->oldest) = row;
    sources->newest = row;
}

static void add_up(struct remed_listener_source *to, const struct remed_listener_source *from)
{
    to->lines += from->lines;
    to->bytes += from->bytes;
    to->oversize += from->oversize;
    to->cut += from->cut;
    to->unmatched += from->unmatched;
    to->connections += from->connections;
    to->refused += from->refused;
    to->heard = from->heard > to->heard ? from->heard : to->heard;
}

/* The sender not heard for the longest joins the others; its row is free. */
static uint32_t evict(struct remed_listener *listener)
{
    struct sources *sources = &listener->sources;
    uint32_t row = sources->oldest;
    struct source *source = &sources->rows[row];
    uint32_t *link = &sources->heads[source->bucket];
    while (*link != row) {
        REMED_SOURCE_LOOKED();
        link = &sources->rows[*link].chain;
    }
    *link = source->chain;
    leave_order(sources, row);
    add_up(&sources->rows[0].counters, &source->counters);
    sources->evicted++;
    memset(source, 0, sizeof *source);
    source->counters.size = sizeof source->counters;
    return row;
}

static uint32_t find(struct remed_listener *listener, uint32_t input, const uint8_t *key,
                     size_t length, bool *found)
{
    struct sources *sources = &listener->sources;
    uint32_t bucket =
        (uint32_t)remed_hash_bytes(key, length, sources->secret) & (sources->buckets - 1);
    uint32_t row = sources->heads[bucket];
    while (row != NONE && (sources->rows[row].key_length != length ||
                           memcmp(sources->rows[row].key, key, length) != 0)) {
        REMED_SOURCE_LOOKED();
        row = sources->rows[row].chain;
    }
    *found = row != NONE;
    if (*found) {
        leave_order(sources, row);
    } else {
        /* rows for inputs that may yet come are kept free */
        uint32_t senders = sources->count - listener->input_count - 1;
        row = senders < listener->opts.max_sources ? fresh(sources) : evict(listener);
        struct source *source = &sources->rows[row];
        memcpy(source->key, key, length);
        source->key_length = (uint8_t)length;
        source->bucket = bucket;
        source->chain = sources->heads[bucket];
        sources->heads[bucket] = row;
        source->counters.role = REMED_LISTENER_SENDER;
        source->counters.input = input;
    }
    join_order(sources, row);
    return row;
}

static void put_input(uint8_t key[8], uint32_t input, unsigned kind)
{
    memset(key, 0, 8);
    for (unsigned i = 0; i < 4; i++)
        key[i] = (uint8_t)(input >> 8 * i);
    key[4] = (uint8_t)kind;
}

uint32_t remed_source_address(struct remed_listener *listener, uint32_t input, unsigned family,
                              const uint8_t *address)
{
    uint8_t key[8 + 16];
    size_t length = family == 4 ? 4 : 16;
    bool found;
    if (family == 0)
        return input;
    put_input(key, input, family);
    memcpy(key + 8, address, length);
    uint32_t row = find(listener, input, key, 8 + length, &found);
    if (!found) {
        char text[INET6_ADDRSTRLEN] = "";
        inet_ntop(family == 4 ? AF_INET : AF_INET6, address, text, sizeof text);
        set_name(remed_source(listener, row), text, strlen(text));
    }
    return row;
}

uint32_t remed_source_host(struct remed_listener *listener, uint32_t input,
                           struct remed_syslog_text host)
{
    uint8_t key[KEY_MAX];
    size_t length = host.length < REMED_LISTENER_NAME_MAX ? host.length : REMED_LISTENER_NAME_MAX;
    bool found;
    put_input(key, input, 1);
    memcpy(key + 8, host.text, length);
    uint32_t row = find(listener, input, key, 8 + length, &found);
    if (!found)
        set_name(remed_source(listener, row), host.text, length);
    return row;
}

void remed_listener_unmatched(struct remed_listener *listener, uint32_t source)
{
    remed_source(listener, source)->unmatched++;
}

int remed_listener_source(struct remed_listener *listener, uint32_t index,
                          struct remed_listener_source *source, size_t size)
{
    if (index >= listener->sources.count)
        return REMED_ENOENT;
    for (uint32_t i = 0; i < listener->input_count; i++)
        if (listener->inputs[i]->row == index && listener->inputs[i]->kind == INPUT_DATAGRAM)
            remed_datagrams_count_drops(listener, listener->inputs[i]);
    remed_stats_copy(source, size, remed_source(listener, index), sizeof *source);
    source->size = size;
    return 0;
}
