/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The publisher of publisher.h.
 *
 * Order. A record goes straight to the transport only while the spool is idle: nothing waits in it
 * and its segment is a fresh one. So whatever is in flight directly is older than all that is in
 * the spool's segments, and nothing in them was delivered; that is why a closing publisher may put
 * what was in flight before them. What came from the spool counts as done in its order alone, so
 * what a crash repeats is repeated in order too.
 *
 * Threads: one thread a publisher.
 */
#include <remediate/publisher.h>
#include "repository/flight.h"
#include "repository/spool.h"
#include "state/record.h"

#include <limits.h>

#define LEAST_SPOOL ((uint64_t)1 << 20)
#define DRAIN_A_PROCESS 1024u

struct remed_publisher {
    struct remed_transport *transport;
    struct remed_transport_events host; /* what the host wants to hear of the transport */
    remed_publisher_fn delivered;
    void *context;
    char origin[REMED_NAME_MAX + 1];
    uint64_t epoch, next_sequence;
    struct remed_mac mac; /* compute NULL: nothing is signed */
    uint32_t key_id;
    struct remed_spool spool;
    struct remed_message held; /* read from the spool, not taken by the transport yet */
    uint64_t held_tag;
    bool holds;
    struct remed_flight flight;
    bool gave_up; /* the transport let go of something that the spool is to keep */
    bool processing, more, closing, close_later;
    uint8_t wire[REMED_SIGNED_MAX];
    struct remed_publisher_stats stats;
    struct remed_allocator allocator;
};

void remed_publisher_opts_init(struct remed_publisher_opts *opts, size_t size)
{
    const struct remed_publisher_opts defaults = {
        .size = size, .epoch = 1, .first_sequence = 1, .spool_bytes = (uint64_t)1 << 30};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

static bool has_spool(const struct remed_publisher *publisher)
{
    return publisher->spool.folder >= 0;
}

static void report(struct remed_publisher *publisher, uint64_t tag, int code)
{
    publisher->stats.delivered += code == 0;
    publisher->stats.lost += code != 0;
    publisher->stats.pending--;
    if (publisher->delivered != NULL && !publisher->close_later)
        publisher->delivered(publisher->context, tag, code);
}

static void on_spool_lost(void *context, uint64_t tag, int code)
{
    report(context, tag, code);
}

/* Slots whose reports have come, from the oldest on. */
static void let_go(struct remed_publisher *publisher)
{
    const struct remed_flight_slot *slot;
    while ((slot = remed_flight_pop(&publisher->flight)) != NULL)
        if (slot->spool_offset != REMED_FLIGHT_DIRECT)
            remed_spool_done(&publisher->spool, slot->spool_offset + 1);
}

static void on_delivered(void *context, uint64_t number, int code)
{
    struct remed_publisher *publisher = context;
    struct remed_flight_slot *slot = remed_flight_slot(&publisher->flight, number);
    uint64_t tag = slot->tag;
    bool inherited = slot->spool_offset < publisher->spool.inherited;
    if (code != 0 && has_spool(publisher) && (publisher->closing || code != REMED_ELIMIT)) {
        slot->state = REMED_FLIGHT_LEFT; /* it is kept: no report */
        publisher->gave_up = true;
        return;
    }
    slot->state = REMED_FLIGHT_ENDED;
    let_go(publisher);
    if (!inherited) {
        report(publisher, tag, code);
        return;
    }
    publisher->stats.recovered += code == 0;
    publisher->stats.lost += code != 0;
}

static void on_message(void *context, const struct remed_message *message)
{
    const struct remed_publisher *publisher = context;
    if (publisher->host.message != NULL && !publisher->close_later)
        publisher->host.message(publisher->host.context, message);
}

static void on_caught_up(void *context)
{
    const struct remed_publisher *publisher = context;
    if (publisher->host.caught_up != NULL && !publisher->close_later)
        publisher->host.caught_up(publisher->host.context);
}

static void on_share(void *context, uint32_t partition, int gained)
{
    const struct remed_publisher *publisher = context;
    if (publisher->host.share != NULL && !publisher->close_later)
        publisher->host.share(publisher->host.context, partition, gained);
}

static int check_opts(const struct remed_publisher_opts *opts, struct remed_error *error)
{
    size_t length = opts->origin != NULL ? remed_text_length(opts->origin, REMED_NAME_MAX + 1) : 0;
    if (length > REMED_NAME_MAX || (length > 0 && !remed_is_plain_text(opts->origin, length)))
        return remed_error_set(error, REMED_EINVAL,
                               "publisher: the origin is too long or no plain text");
    if (opts->spool != NULL && opts->spool_bytes < LEAST_SPOOL)
        return remed_error_set(error, REMED_EINVAL, "publisher: a spool has 1 MiB at least");
    if (opts->mac != NULL && (opts->mac->size < sizeof *opts->mac || opts->mac->compute == NULL))
        return remed_error_set(error, REMED_EINVAL, "publisher: the mac is not filled in");
    return 0;
}

/* The transport, with our events in the place of the host's. */
static int open_transport(struct remed_publisher *publisher, const char *uri,
                          const struct remed_transport_opts *given, struct remed_error *error)
{
    struct remed_transport_opts opts;
    remed_transport_opts_init(&opts, sizeof opts);
    int rc = given != NULL ? remed_opts_copy(&opts, sizeof opts, given, "transport", error) : 0;
    if (rc < 0)
        return rc;
    publisher->host = opts.events;
    opts.events = (struct remed_transport_events){.context = publisher,
                                                  .delivered = on_delivered,
                                                  .message = on_message,
                                                  .caught_up = on_caught_up,
                                                  .share = on_share};
    if (opts.origin == NULL && publisher->origin[0] != '\0')
        opts.origin = publisher->origin;
    rc = remed_transport_open(&publisher->transport, uri, &opts, error);
    if (rc < 0)
        return rc;
    uint64_t bytes = has_spool(publisher) ? opts.max_pending_bytes : 0;
    if (bytes > SIZE_MAX / 2 ||
        remed_flight_init(&publisher->flight, opts.max_pending, bytes, &publisher->allocator) < 0)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a publisher");
    return 0;
}

static void release(struct remed_publisher *publisher)
{
    struct remed_allocator allocator = publisher->allocator;
    remed_flight_fini(&publisher->flight, &allocator);
    remed_release(&allocator, publisher, sizeof *publisher);
}

int remed_publisher_new(struct remed_publisher **publisher, const char *uri,
                        const struct remed_transport_opts *transport,
                        const struct remed_publisher_opts *given, struct remed_error *error)
{
    struct remed_publisher_opts opts;
    remed_publisher_opts_init(&opts, sizeof opts);
    int rc = given != NULL ? remed_opts_copy(&opts, sizeof opts, given, "publisher", error) : 0;
    if (rc == 0)
        rc = check_opts(&opts, error);
    if (rc < 0)
        return rc;
    struct remed_allocator allocator = remed_allocator_or_default(opts.allocator);
    struct remed_publisher *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a publisher");
    made->allocator = allocator;
    made->delivered = opts.delivered;
    made->context = opts.context;
    made->epoch = opts.epoch;
    made->next_sequence = opts.first_sequence;
    made->key_id = opts.key_id;
    if (opts.mac != NULL)
        made->mac = *opts.mac;
    made->spool.folder = -1;
    if (opts.origin != NULL)
        memcpy(made->origin, opts.origin, strlen(opts.origin) + 1);
    if (opts.spool != NULL)
        rc = remed_spool_open(&made->spool, opts.spool, opts.spool_bytes, &allocator, error);
    made->spool.lost = on_spool_lost;
    made->spool.context = made;
    if (rc == 0)
        rc = open_transport(made, uri, transport, error);
    if (rc == 0) {
        *publisher = made;
        return 0;
    }
    (void)remed_transport_close(made->transport, NULL);
    if (has_spool(made))
        (void)remed_spool_close(&made->spool, NULL);
    release(made);
    return rc;
}

/* To the transport, when it takes it. */
static int send(struct remed_publisher *publisher, const struct remed_message *message,
                uint64_t tag, uint64_t spool_offset, struct remed_error *error)
{
    uint64_t at;
    if (!remed_flight_fits(&publisher->flight, message->key_length + message->value_length, &at))
        return remed_error_set(error, REMED_EBUSY,
                               "publisher: what is in flight leaves no room for another");
    int rc = remed_transport_publish(publisher->transport, message, publisher->flight.next, error);
    if (rc == 0)
        remed_flight_push(&publisher->flight, message, tag, spool_offset, at);
    return rc;
}

static int take(struct remed_publisher *publisher, const struct remed_message *message,
                uint64_t tag, struct remed_error *error)
{
    int rc = REMED_EBUSY;
    if (!has_spool(publisher) || (remed_spool_is_idle(&publisher->spool) && !publisher->gave_up))
        rc = send(publisher, message, tag, REMED_FLIGHT_DIRECT, error);
    if (rc != REMED_EBUSY || !has_spool(publisher))
        return rc;
    rc = remed_spool_put(&publisher->spool, message, tag, error);
    publisher->stats.spooled += rc == 0;
    return rc;
}

static void fill_in(struct remed_publisher *publisher, struct remed_record *record)
{
    if (record->origin_length == 0) {
        record->origin_length = (uint8_t)strlen(publisher->origin);
        memcpy(record->origin, publisher->origin, sizeof record->origin);
    }
    if (record->epoch == 0)
        record->epoch = publisher->epoch;
    if (record->sequence == 0)
        record->sequence = publisher->next_sequence++;
}

static int publish(struct remed_publisher *publisher, struct remed_record *record, uint64_t tag,
                   struct remed_error *error)
{
    uint8_t key[REMED_KEY_MAX];
    size_t length;
    fill_in(publisher, record);
    int rc = remed_record_encode(record, publisher->wire, REMED_RECORD_MAX, &length);
    if (rc < 0)
        return remed_error_set(error, rc, "the record has no domain or body, or is too long");
    size_t key_length = remed_record_key(record, key, sizeof key);
    if (publisher->mac.compute != NULL)
        rc = remed_record_sign(&publisher->mac, publisher->key_id, key, key_length, publisher->wire,
                               sizeof publisher->wire, &length, error);
    if (rc < 0)
        return rc;
    const struct remed_message message = {
        .key = key, .key_length = key_length, .value = publisher->wire, .value_length = length};
    rc = take(publisher, &message, tag, error);
    publisher->stats.published += rc == 0;
    publisher->stats.pending += rc == 0;
    publisher->stats.refused += rc == REMED_EBUSY;
    return rc;
}

int remed_publisher_publish(struct remed_publisher *publisher, struct remed_record *const *records,
                            size_t count, uint64_t tag, struct remed_error *error)
{
    if (publisher->closing || publisher->close_later)
        return remed_error_set(error, REMED_EINVAL, "publisher: it closes");
    if (count == 0 || count > INT_MAX)
        return remed_error_set(error, REMED_EINVAL, "publisher: a batch of %zu records", count);
    for (size_t i = 0; i < count; i++) {
        int rc = publish(publisher, records[i], tag + i, error);
        if (rc < 0)
            return i > 0 ? (int)i : rc;
    }
    return (int)count;
}

void remed_publisher_sign_with(struct remed_publisher *publisher, uint32_t key_id)
{
    publisher->key_id = key_id;
}

/* The transport will never take what is held: it is lost in its turn, and the rest goes on. */
static void lose_held(struct remed_publisher *publisher)
{
    struct remed_flight *flight = &publisher->flight;
    const struct remed_message *held = &publisher->held;
    uint64_t at, number = flight->next;
    (void)remed_flight_fits(flight, held->key_length + held->value_length, &at); /* it was asked */
    remed_flight_push(flight, held, publisher->held_tag, held->offset, at);
    on_delivered(publisher, number, REMED_ELIMIT);
}

/* From the spool to the transport: 1 when there is more at once, 0, an error. */
static int drain(struct remed_publisher *publisher, struct remed_error *error)
{
    struct remed_spool *spool = &publisher->spool;
    for (unsigned i = 0; i < DRAIN_A_PROCESS; i++) {
        int rc =
            publisher->holds ? 1 : remed_spool_next(spool, &publisher->held, &publisher->held_tag);
        if (rc < 0)
            return remed_error_set(error, rc, "spool: cannot read %s", spool->path);
        publisher->holds = rc == 1;
        if (rc == 0 && publisher->flight.spooled == 0 &&
            publisher->flight.first == publisher->flight.next)
            remed_spool_done(spool, spool->reader.next_offset); /* whatever was damaged, too */
        if (rc == 0)
            return 0;
        rc = send(publisher, &publisher->held, publisher->held_tag, publisher->held.offset, error);
        if (rc < 0 && rc != REMED_ELIMIT)
            return rc == REMED_EBUSY ? 0 : rc;
        if (rc == REMED_ELIMIT)
            lose_held(publisher);
        publisher->holds = false;
    }
    return 1;
}

static int process(struct remed_publisher *publisher, uint64_t now, struct remed_error *error)
{
    int more = remed_transport_process(publisher->transport, now, error);
    if (more < 0 || !has_spool(publisher) || publisher->close_later)
        return more;
    int rc = remed_spool_process(&publisher->spool, now, error);
    if (rc == 0 && publisher->gave_up)
        return remed_error_set(error, REMED_EIO,
                               "publisher: the transport gave records up; the spool keeps them");
    if (rc == 0 && remed_spool_waiting(&publisher->spool) > 0)
        rc = drain(publisher, error);
    return rc < 0 ? rc : more > 0 || rc > 0;
}

/* Not delivered, and nowhere but here. A transport that closed without a report counts as one that
 * gave it up. */
static bool is_left(const struct remed_flight_slot *slot)
{
    return slot->state != REMED_FLIGHT_ENDED && slot->spool_offset == REMED_FLIGHT_DIRECT;
}

static void lose(struct remed_publisher *publisher, int code)
{
    struct remed_flight *flight = &publisher->flight;
    for (uint64_t i = flight->first; i < flight->next; i++)
        if (is_left(remed_flight_slot(flight, i)))
            report(publisher, remed_flight_slot(flight, i)->tag, code);
}

/* What was in flight directly goes before all that is in the spool. */
static void keep(struct remed_publisher *publisher)
{
    struct remed_flight *flight = &publisher->flight;
    struct remed_spool_front front;
    uint64_t count = 0;
    size_t bytes = 0;
    for (uint64_t i = flight->first; i < flight->next; i++) {
        const struct remed_flight_slot *slot = remed_flight_slot(flight, i);
        if (is_left(slot)) {
            count++;
            bytes += slot->key_length + slot->value_length;
        }
    }
    if (count == 0)
        return;
    int rc = remed_spool_front_begin(&publisher->spool, &front, count, bytes);
    for (uint64_t i = flight->first; rc == 0 && i < flight->next; i++) {
        const struct remed_flight_slot *slot = remed_flight_slot(flight, i);
        if (!is_left(slot))
            continue;
        const struct remed_message message = remed_flight_message(flight, slot);
        remed_spool_front_put(&publisher->spool, &front, &message);
    }
    if (rc == 0)
        rc = remed_spool_front_end(&publisher->spool, &front);
    if (rc < 0)
        lose(publisher, rc);
}

static int close_now(struct remed_publisher *publisher, struct remed_error *error)
{
    publisher->closing = publisher->processing = true;
    int rc = remed_transport_close(publisher->transport, error);
    if (has_spool(publisher)) {
        keep(publisher);
        int closed = remed_spool_close(&publisher->spool, error);
        rc = rc < 0 ? rc : closed;
    } else {
        lose(publisher, REMED_EIO);
    }
    if (rc == 0 && publisher->stats.lost > 0)
        rc = remed_error_set(error, REMED_EIO, "publisher: %llu records were lost",
                             (unsigned long long)publisher->stats.lost);
    release(publisher);
    return rc;
}

int remed_publisher_process(struct remed_publisher *publisher, uint64_t now,
                            struct remed_error *error)
{
    if (publisher->processing)
        return remed_error_set(error, REMED_EINVAL, "process was called from its own callback");
    publisher->processing = true;
    int rc = process(publisher, now, error);
    publisher->processing = false;
    publisher->more = rc > 0;
    if (!publisher->close_later)
        return rc;
    publisher->close_later = false;
    publisher->delivered = NULL; /* the host has let go of it */
    (void)close_now(publisher, NULL);
    return 0;
}

int remed_publisher_fd(const struct remed_publisher *publisher, short *events)
{
    return remed_transport_fd(publisher->transport, events);
}

uint64_t remed_publisher_deadline(const struct remed_publisher *publisher)
{
    uint64_t transport = remed_transport_deadline(publisher->transport);
    uint64_t spool = remed_spool_deadline(&publisher->spool);
    if (publisher->more)
        return 0;
    return transport < spool ? transport : spool;
}

struct remed_transport *remed_publisher_transport(struct remed_publisher *publisher)
{
    return publisher->transport;
}

void remed_publisher_stats(const struct remed_publisher *publisher,
                           struct remed_publisher_stats *stats, size_t size)
{
    struct remed_publisher_stats own = publisher->stats;
    own.waiting = remed_spool_waiting(&publisher->spool);
    own.damaged = publisher->spool.reader.damaged;
    remed_stats_copy(stats, size, &own, sizeof own);
}

int remed_publisher_close(struct remed_publisher *publisher, struct remed_error *error)
{
    if (publisher == NULL || publisher->closing)
        return 0;
    if (!publisher->processing)
        return close_now(publisher, error);
    publisher->close_later = true;
    return 0;
}
