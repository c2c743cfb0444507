/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A transport of the tests' own, "peer:": a log in memory that any number of transports share, with
 * a peer that can be away, refuse to be read or to take, and a count of what it takes. For tests of
 * the publisher.
 */
#ifndef REMED_TEST_PEER_H
#define REMED_TEST_PEER_H

#include "unit/bindings.h"

#include <remediate/publisher.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEER_PENDING 4096u
#define PEER_LOG 60000u

struct peer_value {
    uint8_t key[64], value[200];
    size_t key_length, value_length;
};

/* One transport on the log. */
struct peer_end {
    struct remed_transport_events events;
    uint64_t tags[PEER_PENDING];
    unsigned first, count, at;
    bool subscribed, caught_up;
};

static struct {
    struct peer_value log[PEER_LOG];
    unsigned length, room; /* room: of publications without report */
    bool away;             /* nothing is reported, nothing is read */
    bool unreadable;       /* reading is denied */
    bool broken;           /* reading fails */
    unsigned reads;        /* subscriptions */
    char from[32];         /* of the last */
} peer;

static int peer_open(void **state, const struct remed_uri *uri,
                     const struct remed_transport_opts *opts,
                     const struct remed_transport_events *events, struct remed_error *error)
{
    struct peer_end *end = calloc(1, sizeof *end);
    (void)uri;
    (void)opts;
    (void)error;
    end->events = *events;
    *state = end;
    return end != NULL ? 0 : REMED_ENOMEM;
}

static int peer_publish(void *state, const struct remed_message *message, uint64_t tag,
                        struct remed_error *error)
{
    struct peer_end *end = state;
    if (end->count == peer.room) {
        if (error != NULL)
            snprintf(error->message, sizeof error->message, "the peer is full");
        return REMED_EBUSY;
    }
    CU_ASSERT_FATAL(peer.length < PEER_LOG && message->value_length <= 200);
    struct peer_value *value = &peer.log[peer.length];
    memcpy(value->key, message->key, message->key_length);
    memcpy(value->value, message->value, message->value_length);
    value->key_length = message->key_length;
    value->value_length = message->value_length;
    peer.length += !peer.away; /* away: it never arrives */
    end->tags[(end->first + end->count++) % PEER_PENDING] = tag;
    return 0;
}

static int peer_subscribe(void *state, const char *from, struct remed_error *error)
{
    struct peer_end *end = state;
    (void)error;
    peer.reads++;
    snprintf(peer.from, sizeof peer.from, "%s", from);
    end->subscribed = true;
    if (strcmp(from, "begin") == 0)
        return 0;
    end->at = (unsigned)strtoul(from, NULL, 10);
    return end->at <= peer.length ? 0 : REMED_EINVAL;
}

static void peer_end_all(struct peer_end *end, int code)
{
    for (unsigned count = end->count; count > 0; count--) {
        uint64_t tag = end->tags[end->first];
        end->first = (end->first + 1) % PEER_PENDING;
        end->count--;
        end->events.delivered(end->events.context, tag, code);
    }
}

static int peer_process(void *state, uint64_t now, struct remed_error *error)
{
    struct peer_end *end = state;
    (void)now;
    if (peer.away)
        return 0;
    peer_end_all(end, 0);
    if (end->subscribed && peer.unreadable) {
        if (error != NULL)
            snprintf(error->message, sizeof error->message, "reading is not for you");
        return REMED_EPERM;
    }
    if (end->subscribed && peer.broken) {
        if (error != NULL)
            snprintf(error->message, sizeof error->message, "a bad block in the peer");
        return REMED_EIO;
    }
    for (unsigned i = 0; end->subscribed && i < 100 && end->at < peer.length; i++) {
        const struct peer_value *value = &peer.log[end->at];
        const struct remed_message message = {.key = value->key,
                                              .value = value->value,
                                              .key_length = value->key_length,
                                              .value_length = value->value_length,
                                              .offset = end->at++};
        end->events.message(end->events.context, &message);
    }
    if (end->subscribed && !end->caught_up && end->at == peer.length) {
        end->caught_up = true;
        end->events.caught_up(end->events.context);
    }
    return 0;
}

static size_t peer_position(const void *state, char *text, size_t size)
{
    return (size_t)snprintf(text, size, "%u", ((const struct peer_end *)state)->at);
}

static size_t peer_waiting(const void *state, char *text, size_t size)
{
    (void)state;
    return peer.away ? (size_t)snprintf(text, size, "the peer is away") : 0;
}

static int peer_close(void *state, struct remed_error *error)
{
    (void)error;
    peer_end_all(state, REMED_EIO);
    free(state);
    return 0;
}

static const struct remed_transport_driver peer_driver = {.size = sizeof peer_driver,
                                                          .scheme = "peer",
                                                          .open = peer_open,
                                                          .publish = peer_publish,
                                                          .subscribe = peer_subscribe,
                                                          .process = peer_process,
                                                          .position = peer_position,
                                                          .waiting = peer_waiting,
                                                          .close = peer_close};

static void peer_reset(void)
{
    peer.length = peer.reads = 0;
    peer.room = 16;
    peer.away = peer.unreadable = peer.broken = false;
}

/* Options of a transport with this driver; `opts` is set. */
static inline void peer_opts(struct remed_transport_opts *opts)
{
    static const struct remed_transport_driver *const drivers[] = {&peer_driver};
    remed_transport_opts_init(opts, sizeof *opts);
    opts->drivers = drivers;
    opts->driver_count = 1;
}

#endif
