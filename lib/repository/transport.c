/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The side of a transport that is the same for all: finding the driver, limits, counting, and
 * closing within a callback, which waits until the driver's process has returned.
 *
 * Threads: one thread a transport.
 */
#include "repository/drivers.h"
#include "repository/uri.h"

#include "base/base.h"

struct remed_transport {
    const struct remed_transport_driver *driver;
    void *state;
    struct remed_transport_events events; /* the host's */
    struct remed_transport_stats stats;
    uint32_t max_pending;
    bool subscribed;
    bool processing; /* within the driver's process: callbacks come from there */
    bool closing;    /* closed by a callback */
    bool ending;     /* the driver closes: it still reports, and takes nothing more */
    bool more;       /* process has more to do at once: it is due */
    uint64_t now;    /* the driver's clock: the host's and `behind` */
    uint64_t behind; /* how far the host's clock stepped back, ns: the driver's never does */
    struct remed_allocator allocator;
};

void remed_transport_opts_init(struct remed_transport_opts *opts, size_t size)
{
    const struct remed_transport_opts defaults = {
        .size = size, .max_pending = 65536, .max_pending_bytes = 64u << 20};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

static void on_delivered(void *context, uint64_t tag, int code)
{
    struct remed_transport *transport = context;
    transport->stats.delivered += code == 0;
    transport->stats.failed += code != 0;
    transport->stats.pending--;
    if (transport->events.delivered != NULL && !transport->closing)
        transport->events.delivered(transport->events.context, tag, code);
}

static void on_message(void *context, const struct remed_message *message)
{
    struct remed_transport *transport = context;
    if (transport->closing)
        return;
    transport->stats.received++;
    if (transport->events.message != NULL)
        transport->events.message(transport->events.context, message);
}

static void on_caught_up(void *context)
{
    struct remed_transport *transport = context;
    if (transport->events.caught_up != NULL && !transport->closing)
        transport->events.caught_up(transport->events.context);
}

static void on_share(void *context, uint32_t partition, int gained)
{
    struct remed_transport *transport = context;
    if (transport->events.share != NULL && !transport->closing)
        transport->events.share(transport->events.context, partition, gained);
}

static const struct remed_transport_driver *find(const char *scheme,
                                                 const struct remed_transport_opts *opts)
{
    const struct remed_transport_driver *const own[] = {&remed_memory_driver, &remed_file_driver};
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(own[i]->scheme, scheme) == 0)
            return own[i];
    for (uint32_t i = 0; i < opts->driver_count; i++)
        if (strcmp(opts->drivers[i]->scheme, scheme) == 0)
            return opts->drivers[i];
    return NULL;
}

static int open_driver(struct remed_transport *transport, const struct remed_uri *uri,
                       const struct remed_transport_opts *opts, struct remed_error *error)
{
    transport->driver = find(uri->scheme, opts);
    if (transport->driver == NULL)
        return remed_error_set(error, REMED_EUNSUPPORTED,
                               "no transport for '%s:' (is its library linked, its driver given?)",
                               uri->scheme);
    const struct remed_transport_events events = {.context = transport,
                                                  .delivered = on_delivered,
                                                  .message = on_message,
                                                  .caught_up = on_caught_up,
                                                  .share = on_share};
    return transport->driver->open(&transport->state, uri, opts, &events, error);
}

int remed_transport_open(struct remed_transport **transport, const char *uri,
                         const struct remed_transport_opts *given, struct remed_error *error)
{
    struct remed_transport_opts opts;
    struct remed_uri_parts parts;
    remed_transport_opts_init(&opts, sizeof opts);
    int rc = given != NULL ? remed_opts_copy(&opts, sizeof opts, given, "transport", error) : 0;
    if (rc == 0 && (opts.max_pending == 0 || opts.max_pending > 1u << 24 ||
                    opts.max_pending_bytes < REMED_TRANSPORT_VALUE_MAX))
        rc = remed_error_set(error, REMED_EINVAL, "max_pending or max_pending_bytes out of range");
    if (rc == 0)
        rc = remed_uri_parse(&parts, uri, error);
    if (rc < 0)
        return rc;
    struct remed_allocator allocator = remed_allocator_or_default(opts.allocator);
    struct remed_transport *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a transport");
    made->allocator = allocator;
    made->events = opts.events;
    made->max_pending = opts.max_pending;
    rc = open_driver(made, &parts.uri, &opts, error);
    if (rc < 0)
        remed_release(&allocator, made, sizeof *made);
    else
        *transport = made;
    return rc;
}

int remed_transport_publish(struct remed_transport *transport, const struct remed_message *message,
                            uint64_t tag, struct remed_error *error)
{
    if (transport->closing || transport->ending)
        return remed_error_set(error, REMED_EINVAL, "this transport closes");
    if (message->reserved != 0)
        return remed_error_set(error, REMED_EINVAL, "a message's reserved member is not zero");
    if (message->key_length == 0 || message->key_length > REMED_TRANSPORT_KEY_MAX)
        return remed_error_set(error, REMED_ELIMIT, "a key of %zu bytes, not 1 to %u",
                               message->key_length, REMED_TRANSPORT_KEY_MAX);
    if (message->value_length > REMED_TRANSPORT_VALUE_MAX)
        return remed_error_set(error, REMED_ELIMIT, "a value of %zu bytes, more than %u",
                               message->value_length, REMED_TRANSPORT_VALUE_MAX);
    if (message->reserved != 0)
        return remed_error_set(error, REMED_EINVAL, "a reserved member of the message is not zero");
    int rc = REMED_EBUSY;
    if (transport->stats.pending < transport->max_pending)
        rc = transport->driver->publish(transport->state, message, tag, error);
    else
        remed_error_set(error, REMED_EBUSY, "%u publications wait for their report",
                        transport->max_pending);
    transport->stats.published += rc == 0;
    transport->stats.pending += rc == 0;
    transport->stats.refused += rc == REMED_EBUSY;
    return rc;
}

int remed_transport_subscribe(struct remed_transport *transport, const char *from,
                              struct remed_error *error)
{
    if (transport->subscribed)
        return remed_error_set(error, REMED_EINVAL, "this transport is subscribed already");
    int rc = transport->driver->subscribe(transport->state, from, error);
    transport->subscribed = rc == 0;
    return rc;
}

static int destroy(struct remed_transport *transport, struct remed_error *error)
{
    struct remed_allocator allocator = transport->allocator;
    transport->processing = transport->ending = true; /* its last reports call back */
    int rc = transport->driver->close(transport->state, error);
    remed_release(&allocator, transport, sizeof *transport);
    return rc;
}

/* Deadlines of drivers would lie far ahead, or be long past, after a step backwards. */
static uint64_t steady(struct remed_transport *transport, uint64_t now)
{
    if (now > UINT64_MAX - transport->behind || now + transport->behind < transport->now)
        transport->behind = transport->now > now ? transport->now - now : 0;
    transport->now = now + transport->behind;
    return transport->now;
}

int remed_transport_process(struct remed_transport *transport, uint64_t now,
                            struct remed_error *error)
{
    if (transport->processing)
        return remed_error_set(error, REMED_EINVAL, "process was called from its own callback");
    transport->processing = true;
    int rc = transport->driver->process(transport->state, steady(transport, now), error);
    transport->processing = false;
    transport->more = rc > 0;
    if (!transport->closing)
        return rc;
    (void)destroy(transport, NULL);
    return 0;
}

int remed_transport_fd(const struct remed_transport *transport, short *events)
{
    short none = 0;
    if (events == NULL)
        events = &none;
    *events = 0;
    return transport->driver->descriptor != NULL
               ? transport->driver->descriptor(transport->state, events)
               : -1;
}

uint64_t remed_transport_deadline(const struct remed_transport *transport)
{
    if (transport->more)
        return 0;
    uint64_t due = transport->driver->deadline != NULL
                       ? transport->driver->deadline(transport->state)
                       : UINT64_MAX;
    if (due == UINT64_MAX)
        return due;
    return due > transport->behind ? due - transport->behind : 0;
}

size_t remed_transport_position(const struct remed_transport *transport, char *text, size_t size)
{
    if (size > 0)
        text[0] = '\0';
    return transport->driver->position != NULL
               ? transport->driver->position(transport->state, text, size)
               : 0;
}

/* A driver that was built with an older header ends before its newer functions. */
#define DRIVER_HAS(driver, member)                                                                 \
    ((driver)->size >= offsetof(struct remed_transport_driver, member) + sizeof(driver)->member && \
     (driver)->member != NULL)

size_t remed_transport_damage(const struct remed_transport *transport, char *text, size_t size)
{
    if (size > 0)
        text[0] = '\0';
    return DRIVER_HAS(transport->driver, damage)
               ? transport->driver->damage(transport->state, text, size)
               : 0;
}

size_t remed_transport_waiting(const struct remed_transport *transport, char *text, size_t size)
{
    if (size > 0)
        text[0] = '\0';
    return DRIVER_HAS(transport->driver, waiting)
               ? transport->driver->waiting(transport->state, text, size)
               : 0;
}

void remed_transport_stats(const struct remed_transport *transport,
                           struct remed_transport_stats *stats, size_t size)
{
    struct remed_transport_stats own = transport->stats;
    if (transport->driver->stats != NULL)
        transport->driver->stats(transport->state, &own);
    remed_stats_copy(stats, size, &own, sizeof own);
}

int remed_transport_close(struct remed_transport *transport, struct remed_error *error)
{
    if (transport == NULL)
        return 0;
    if (!transport->processing)
        return destroy(transport, error);
    transport->closing = true;
    return 0;
}
