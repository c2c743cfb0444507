/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a hostile server sends: any bytes, in two pieces, to a publisher and to a subscriber. Both
 * must come to an end; each publication is reported once; messages keep their limits.
 */
#include "backend/redis/publish.h"
#include "backend/redis/subscribe.h"

#include <stdio.h>
#include <stdlib.h>

#define PUBLICATIONS 600u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct remed_redis_options options;
static uint64_t next_tag;

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void on_delivered(void *context, uint64_t tag, int code)
{
    (void)context;
    (void)code;
    check(tag == next_tag++);
}

static void on_message(void *context, const struct remed_message *message)
{
    uint64_t *sum = context;
    check(message->key_length > 0 && message->key_length <= REMED_TRANSPORT_KEY_MAX);
    check(message->value_length <= REMED_TRANSPORT_VALUE_MAX);
    check((message->value == NULL) == (message->value_length == 0));
    for (size_t i = 0; i < message->key_length; i++)
        *sum += message->key[i];
    for (size_t i = 0; i < message->value_length; i++)
        *sum += message->value[i];
}

static void on_caught_up(void *context)
{
    (void)context;
}

static void init_link(struct remed_redis_link *link)
{
    const struct remed_allocator allocator = remed_allocator_or_default(NULL);
    const struct remed_log log = {NULL, NULL};
    remed_redis_link_init(link, &options, NULL, -1, &log, &allocator);
    link->state = REMED_REDIS_READY;
    link->session = 1;
}

static void feed_publisher(const uint8_t *data, size_t size, size_t first,
                           const struct remed_transport_events *events)
{
    struct remed_redis_publisher publisher = {.options = &options, .events = *events};
    const struct remed_message message = {.key = (const uint8_t *)"key",
                                          .value = (const uint8_t *)"value",
                                          .key_length = 3,
                                          .value_length = 5};
    init_link(&publisher.link);
    publisher.allocator = publisher.link.in.allocator;
    publisher.max_pending_bytes = 1u << 20;
    check(remed_redis_publisher_init(&publisher, PUBLICATIONS, NULL) == 0);
    for (next_tag = 0; next_tag < PUBLICATIONS; next_tag++)
        check(remed_redis_publisher_take(&publisher, &message, next_tag, NULL) == 0);
    next_tag = 0;
    (void)remed_redis_publisher_run(&publisher, NULL);
    remed_redis_buffer_append(&publisher.link.in, data, first);
    (void)remed_redis_publisher_run(&publisher, NULL);
    if (publisher.link.state == REMED_REDIS_READY)
        remed_redis_buffer_append(&publisher.link.in, data + first, size - first);
    (void)remed_redis_publisher_run(&publisher, NULL);
    remed_redis_publisher_give_up(&publisher);
    check(next_tag == PUBLICATIONS);
    remed_redis_publisher_fini(&publisher);
}

static void feed_subscriber(const uint8_t *data, size_t size, size_t first, const char *from,
                            bool identified, const struct remed_transport_events *events)
{
    struct remed_redis_subscriber subscriber = {.options = &options, .events = *events};
    char position[128];
    init_link(&subscriber.link);
    remed_redis_subscriber_init(&subscriber);
    check(remed_redis_subscriber_begin(&subscriber, from, NULL) == 0);
    subscriber.session = subscriber.link.session;
    subscriber.identified = identified; /* or the first reply is the stream's id */
    remed_redis_buffer_append(&subscriber.link.in, data, first);
    for (unsigned i = 0; i < 64 && remed_redis_subscriber_run(&subscriber, NULL) > 0; i++)
        continue;
    if (subscriber.link.state == REMED_REDIS_READY)
        remed_redis_buffer_append(&subscriber.link.in, data + first, size - first);
    for (unsigned i = 0; i < 64 && remed_redis_subscriber_run(&subscriber, NULL) > 0; i++)
        continue;
    check(remed_redis_subscriber_position(&subscriber, position, sizeof position) <
          sizeof position);
    remed_redis_subscriber_fini(&subscriber);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const from[] = {"begin", "end", "redis:-/0/s/0-0",
                                       "redis:0123456789abcdef0123456789abcdef/0/s/5-1"};
    uint64_t sum = 0;
    const struct remed_transport_events events = {.context = &sum,
                                                  .delivered = on_delivered,
                                                  .message = on_message,
                                                  .caught_up = on_caught_up};
    if (size < 2)
        return 0;
    snprintf(options.host, sizeof options.host, "h");
    snprintf(options.stream, sizeof options.stream, "s");
    options.timeout = 5000000000ull;
    size_t first = (size - 2) * data[1] / 255;
    if (data[0] % 5 == 4)
        feed_publisher(data + 2, size - 2, first, &events);
    else
        feed_subscriber(data + 2, size - 2, first, from[data[0] % 5], data[0] < 128, &events);
    return 0;
}
