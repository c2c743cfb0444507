/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The drivers: the contract of transport.h on a Redis server. A connection to publish, made with
 * the first publication, one to subscribe, and an epoll that holds both for the host.
 *
 * Threads: one thread a transport.
 */
#include <remediate/redis.h>

#include "backend/redis/publish.h"
#include "backend/redis/subscribe.h"

#include <openssl/crypto.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

struct redis_transport {
    struct remed_redis_options options;
    struct remed_redis_tls tls;
    struct remed_redis_publisher publisher;
    struct remed_redis_subscriber subscriber;
    int wake;
    struct remed_allocator allocator;
};

static void release(struct redis_transport *redis)
{
    struct remed_allocator allocator = redis->allocator;
    remed_redis_publisher_fini(&redis->publisher);
    remed_redis_subscriber_fini(&redis->subscriber);
    remed_redis_tls_fini(&redis->tls);
    if (redis->wake >= 0)
        close(redis->wake);
    OPENSSL_cleanse(redis->options.password, sizeof redis->options.password);
    remed_release(&allocator, redis, sizeof *redis);
}

static void init_links(struct redis_transport *redis, const struct remed_transport_opts *opts,
                       const struct remed_transport_events *events)
{
    remed_redis_link_init(&redis->publisher.link, &redis->options, &redis->tls, redis->wake,
                          &opts->log, &redis->allocator);
    remed_redis_link_init(&redis->subscriber.link, &redis->options, &redis->tls, redis->wake,
                          &opts->log, &redis->allocator);
    redis->publisher.options = redis->subscriber.options = &redis->options;
    redis->publisher.events = redis->subscriber.events = *events;
    redis->publisher.allocator = redis->allocator;
    redis->publisher.max_pending_bytes = opts->max_pending_bytes;
}

static int redis_open(void **state, const struct remed_uri *uri,
                      const struct remed_transport_opts *opts,
                      const struct remed_transport_events *events, struct remed_error *error)
{
    struct remed_allocator allocator = remed_allocator_or_default(opts->allocator);
    struct redis_transport *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a transport");
    made->allocator = allocator;
    made->wake = made->publisher.link.fd = made->subscriber.link.fd = -1;
    made->wake = epoll_create1(EPOLL_CLOEXEC);
    init_links(made, opts, events);
    int rc = made->wake >= 0
                 ? remed_redis_options_read(&made->options, uri, error)
                 : remed_error_set(error, REMED_EIO, "redis: no epoll: %s", strerror(errno));
    if (rc == 0 && made->options.secure)
        rc = remed_redis_tls_init(&made->tls, &made->options, error);
    if (rc == 0)
        rc = remed_redis_publisher_init(&made->publisher, opts->max_pending, error);
    if (rc < 0) {
        release(made);
        return rc;
    }
    remed_redis_subscriber_init(&made->subscriber);
    *state = made;
    return 0;
}

static int redis_publish(void *state, const struct remed_message *message, uint64_t tag,
                         struct remed_error *error)
{
    struct redis_transport *redis = state;
    return remed_redis_publisher_take(&redis->publisher, message, tag, error);
}

static int redis_subscribe(void *state, const char *from, struct remed_error *error)
{
    struct redis_transport *redis = state;
    return remed_redis_subscriber_begin(&redis->subscriber, from, error);
}

/* Both get their turn, also when one has an error to tell: the publisher's comes first. */
static int redis_process(void *state, uint64_t now, struct remed_error *error)
{
    struct redis_transport *redis = state;
    int publishing = remed_redis_publisher_process(&redis->publisher, now, error);
    int reading =
        remed_redis_subscriber_process(&redis->subscriber, now, publishing < 0 ? NULL : error);
    if (publishing < 0)
        return publishing;
    return reading < 0 ? reading : publishing > 0 || reading > 0;
}

static int redis_descriptor(const void *state, short *events)
{
    *events = POLLIN;
    return ((const struct redis_transport *)state)->wake;
}

static uint64_t redis_deadline(const void *state)
{
    const struct redis_transport *redis = state;
    uint64_t publishing = remed_redis_publisher_deadline(&redis->publisher);
    uint64_t reading = remed_redis_subscriber_deadline(&redis->subscriber);
    return publishing < reading ? publishing : reading;
}

static size_t redis_position(const void *state, char *text, size_t size)
{
    const struct redis_transport *redis = state;
    return remed_redis_subscriber_position(&redis->subscriber, text, size);
}

static void redis_stats(const void *state, struct remed_transport_stats *stats)
{
    const struct redis_transport *redis = state;
    uint64_t publishing = redis->publisher.link.session;
    uint64_t reading = redis->subscriber.link.session;
    stats->damaged += redis->subscriber.damaged;
    stats->reconnects += (publishing > 0 ? publishing - 1 : 0) + (reading > 0 ? reading - 1 : 0);
}

static size_t redis_damage(const void *state, char *text, size_t size)
{
    const struct redis_transport *redis = state;
    return (size_t)snprintf(text, size, "%s", redis->subscriber.damage);
}

/* A subscriber's silence is none: the server waits for entries. */
static size_t redis_waiting(const void *state, char *text, size_t size)
{
    const struct redis_transport *redis = state;
    const struct remed_redis_subscriber *subscriber = &redis->subscriber;
    size_t length = 0;
    if (redis->publisher.first != NULL)
        length = remed_redis_link_waiting(&redis->publisher.link, text, size);
    bool reads =
        subscriber->reading != REMED_REDIS_NOT && subscriber->lost[0] == '\0' &&
        (subscriber->link.trouble[0] != '\0' || subscriber->link.state != REMED_REDIS_READY ||
         subscriber->reading != REMED_REDIS_READ);
    return length == 0 && reads ? remed_redis_link_waiting(&subscriber->link, text, size) : length;
}

static int redis_close(void *state, struct remed_error *error)
{
    struct redis_transport *redis = state;
    (void)error;
    remed_redis_publisher_give_up(&redis->publisher);
    release(redis);
    return 0;
}

#define DRIVER(name)                                                                               \
    {                                                                                              \
        .size = sizeof(struct remed_transport_driver), .scheme = name, .open = redis_open,         \
        .publish = redis_publish, .subscribe = redis_subscribe, .process = redis_process,          \
        .descriptor = redis_descriptor, .deadline = redis_deadline, .position = redis_position,    \
        .stats = redis_stats, .close = redis_close, .damage = redis_damage,                        \
        .waiting = redis_waiting                                                                   \
    }

const struct remed_transport_driver *remed_redis_driver(void)
{
    static const struct remed_transport_driver driver = DRIVER("redis");
    return &driver;
}

const struct remed_transport_driver *remed_rediss_driver(void)
{
    static const struct remed_transport_driver driver = DRIVER("rediss");
    return &driver;
}
