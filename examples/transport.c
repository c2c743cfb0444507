/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host's own transport: ring: keeps the last 64 messages in an array. Publishes three records'
 * worth of bytes through it and prints what comes out.
 *
 *   cc transport.c $(pkg-config --cflags --libs libremediate) && ./a.out
 */
#include <remediate/remediate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 64u

struct ring {
    struct remed_transport_events events;
    struct {
        uint8_t key[64], value[64];
        size_t key_length, value_length;
        uint64_t tag;
    } slot[ROOM];
    uint64_t published, reported, handed_out;
    int subscribed, caught_up;
};

static int ring_open(void **state, const struct remed_uri *uri,
                     const struct remed_transport_opts *opts,
                     const struct remed_transport_events *events, struct remed_error *error)
{
    static const char *const parameters[] = {NULL};
    struct ring *ring = calloc(1, sizeof *ring);
    int rc = ring != NULL ? remed_uri_check(uri, parameters, error) : REMED_ENOMEM;
    (void)opts;
    if (rc < 0) {
        free(ring);
        return rc;
    }
    ring->events = *events;
    *state = ring;
    return 0;
}

static int ring_publish(void *state, const struct remed_message *message, uint64_t tag,
                        struct remed_error *error)
{
    struct ring *ring = state;
    (void)error;
    if (message->key_length > 64 || message->value_length > 64)
        return REMED_ELIMIT;
    if (ring->published - ring->handed_out == ROOM)
        return REMED_EBUSY; /* tried again once process has handed some out */
    size_t at = ring->published++ % ROOM;
    memcpy(ring->slot[at].key, message->key, ring->slot[at].key_length = message->key_length);
    if ((ring->slot[at].value_length = message->value_length) != 0)
        memcpy(ring->slot[at].value, message->value, message->value_length);
    ring->slot[at].tag = tag;
    return 0;
}

static int ring_subscribe(void *state, const char *from, struct remed_error *error)
{
    (void)error;
    ((struct ring *)state)->subscribed = 1;
    return strcmp(from, "begin") == 0 ? 0 : REMED_EINVAL;
}

static int ring_process(void *state, uint64_t now, struct remed_error *error)
{
    struct ring *ring = state;
    (void)now, (void)error;
    for (; ring->reported < ring->published; ring->reported++)
        ring->events.delivered(ring->events.context, ring->slot[ring->reported % ROOM].tag, 0);
    for (; ring->subscribed && ring->handed_out < ring->published; ring->handed_out++) {
        size_t at = ring->handed_out % ROOM;
        const struct remed_message message = {.key = ring->slot[at].key,
                                              .value = ring->slot[at].value,
                                              .key_length = ring->slot[at].key_length,
                                              .value_length = ring->slot[at].value_length,
                                              .offset = ring->handed_out};
        ring->events.message(ring->events.context, &message);
    }
    if (ring->subscribed && !ring->caught_up++)
        ring->events.caught_up(ring->events.context);
    return 0;
}

static int ring_close(void *state, struct remed_error *error)
{
    (void)error;
    free(state);
    return 0;
}

static const struct remed_transport_driver ring_driver = {
    .size = sizeof ring_driver,
    .scheme = "ring",
    .open = ring_open,
    .publish = ring_publish,
    .subscribe = ring_subscribe,
    .process = ring_process,
    .close = ring_close,
};

static void on_message(void *context, const struct remed_message *message)
{
    (void)context;
    printf("%.*s = %.*s\n", (int)message->key_length, (const char *)message->key,
           (int)message->value_length, (const char *)message->value);
}

int main(void)
{
    const struct remed_transport_driver *const drivers[] = {&ring_driver};
    static const char *const values[] = {"one", "two", "three"};
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    struct remed_error error;
    remed_transport_opts_init(&opts, sizeof opts);
    opts.drivers = drivers;
    opts.driver_count = 1;
    opts.events.message = on_message;
    if (remed_transport_open(&transport, "ring:", &opts, &error) < 0 ||
        remed_transport_subscribe(transport, "begin", &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    for (unsigned i = 0; i < 3; i++) {
        const struct remed_message message = {.key = (const uint8_t *)"key",
                                              .key_length = 3,
                                              .value = (const uint8_t *)values[i],
                                              .value_length = strlen(values[i])};
        remed_transport_publish(transport, &message, i, NULL);
    }
    remed_transport_process(transport, 0, NULL);
    return remed_transport_close(transport, NULL) < 0;
}
