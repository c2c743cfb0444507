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
#include "repository/publishing.h"

#include <limits.h>
#include <stdio.h>

#define LEAST_SPOOL ((uint64_t)1 << 20)
#define DRAIN_A_PROCESS 1024u
#define RESUME_NS (100 * 1000000ull)

_Static_assert(REMED_SIGNED_MAX + REMED_SPOOL_HEAD <= REMED_TRANSPORT_VALUE_MAX &&
                   4 * REMED_SIGNED_MAX < LEAST_SPOOL,
               "the longest record fits into each spool");

void remed_publisher_opts_init(struct remed_publisher_opts *opts, size_t size)
{
    const struct remed_publisher_opts defaults = {
        .size = size, .epoch = 1, .first_sequence = 1, .spool_bytes = (uint64_t)1 << 30};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

static bool has_spool(const struct remed_publisher *publisher)
{
    return remed_publisher_has_spool(publisher);
}

void remed_publisher_report(struct remed_publisher *publisher, uint64_t tag, int code,
                            const char *cause)
{
    publisher->stats.delivered += code == 0;
    publisher->stats.lost += code != 0;
    publisher->stats.pending--;
    if (code != 0)
        remed_losses_add(&publisher->losses, code, cause);
    if (publisher->delivered != NULL && !publisher->close_later)
        publisher->delivered(publisher->context, tag, code);
}

static void on_spool_lost(void *context, uint64_t tag, int code, const char *cause)
{
    remed_publisher_report(context, tag, code, cause);
}

/* Slots whose reports have come, from the oldest on. */
static void let_go(struct remed_publisher *publisher)
{
    const struct remed_flight_slot *slot;
    while ((slot = remed_flight_pop(&publisher->flight)) != NULL)
        if (slot->spool_offset != REMED_FLIGHT_DIRECT)
            remed_spool_done(&publisher->spool, slot->spool_offset + 1);
        else if (has_spool(publisher))
            remed_spool_unreserve(&publisher->spool, slot->key_length, slot->value_length);
}

static void end_flight(struct remed_publisher *publisher, uint64_t number, int code,
                       const char *cause)
{
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
        remed_publisher_report(publisher, tag, code, cause);
        return;
    }
    publisher->stats.recovered += code == 0;
    publisher->stats.lost += code != 0;
    if (code != 0)
        remed_losses_add(&publisher->losses, code, cause);
}

static void on_delivered(void *context, uint64_t number, int code)
{
    struct remed_publisher *publisher = context;
    end_flight(publisher, number, code, publisher->cause);
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
    if (opts->resume > 1)
        return remed_error_set(error, REMED_EINVAL, "publisher: resume is 0 or 1, not %u",
                               opts->resume);
    if (opts->first_sequence > REMED_NUMBER_MAX || opts->epoch > REMED_NUMBER_GIVEN_MAX)
        return remed_error_set(
            error, REMED_EINVAL,
            "publisher: an epoch is beyond 2^61, or a first sequence beyond 2^62");
    if (opts->mac != NULL && (opts->mac->size < sizeof *opts->mac || opts->mac->compute == NULL))
        return remed_error_set(error, REMED_EINVAL, "publisher: the mac is not filled in");
    return 0;
}

/* The transport, with our events in the place of the host's. */
static int open_transport(struct remed_publisher *publisher, const char *uri,
                          struct remed_transport_opts opts, struct remed_error *error)
{
    publisher->host = opts.events;
    publisher->log = opts.log;
    opts.events = (struct remed_transport_events){.context = publisher,
                                                  .delivered = on_delivered,
                                                  .message = on_message,
                                                  .caught_up = on_caught_up,
                                                  .share = on_share};
    if (opts.origin == NULL && publisher->origin[0] != '\0')
        opts.origin = publisher->origin;
    int rc = remed_transport_open(&publisher->transport, uri, &opts, error);
    if (rc < 0)
        return rc;
    uint64_t bytes = has_spool(publisher) ? opts.max_pending_bytes : 0;
    if (bytes > SIZE_MAX / 2 ||
        remed_flight_init(&publisher->flight, opts.max_pending, bytes, &publisher->allocator) < 0)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a publisher");
    return 0;
}

void remed_publisher_release(struct remed_publisher *publisher)
{
    struct remed_allocator allocator = publisher->allocator;
    remed_numbers_end(publisher);
    remed_flight_fini(&publisher->flight, &allocator);
    remed_release(&allocator, publisher, sizeof *publisher);
}

static int open_spool(struct remed_publisher *publisher, const char *uri,
                      const struct remed_publisher_opts *opts, struct remed_error *error)
{
    remed_spool_init(&publisher->spool);
    int rc = opts->spool == NULL
                 ? 0
                 : remed_spool_open(&publisher->spool, opts->spool, uri, opts->spool_bytes,
                                    &publisher->allocator, error);
    publisher->spool.lost = on_spool_lost;
    publisher->spool.context = publisher;
    return rc;
}

/* Both structs of options, as this library knows them. */
static int take_opts(struct remed_publisher_opts *opts, struct remed_transport_opts *transport,
                     const struct remed_publisher_opts *given,
                     const struct remed_transport_opts *given_transport, struct remed_error *error)
{
    int rc = 0;
    remed_publisher_opts_init(opts, sizeof *opts);
    remed_transport_opts_init(transport, sizeof *transport);
    if (given != NULL)
        rc = remed_opts_copy(opts, sizeof *opts, given, "publisher", error);
    if (rc == 0 && given_transport != NULL)
        rc = remed_opts_copy(transport, sizeof *transport, given_transport, "transport", error);
    return rc < 0 ? rc : check_opts(opts, error);
}

int remed_publisher_new(struct remed_publisher **publisher, const char *uri,
                        const struct remed_transport_opts *given_transport,
                        const struct remed_publisher_opts *given, struct remed_error *error)
{
    struct remed_publisher_opts opts;
    struct remed_transport_opts transport;
    int rc = take_opts(&opts, &transport, given, given_transport, error);
    if (rc < 0)
        return rc;
    struct remed_allocator allocator = remed_allocator_or_default(opts.allocator);
    struct remed_publisher *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a publisher");
    made->allocator = allocator;
    made->delivered = opts.delivered;
    made->context = opts.context;
    made->key_id = opts.key_id;
    if (opts.mac != NULL)
        made->mac = *opts.mac;
    if (opts.origin != NULL)
        memcpy(made->origin, opts.origin, strlen(opts.origin) + 1);
    rc = open_spool(made, uri, &opts, error);
    if (rc == 0)
        rc = open_transport(made, uri, transport, error);
    if (rc == 0)
        rc = remed_numbers_begin(made, uri, &transport, &opts, error);
    if (rc == 0) {
        *publisher = made;
        return 0;
    }
    (void)remed_transport_close(made->transport, NULL);
    if (has_spool(made))
        (void)remed_spool_close(&made->spool, NULL);
    remed_publisher_release(made);
    return rc;
}

/* To the transport, when it takes it. */
static int send(struct remed_publisher *publisher, const struct remed_message *message,
                uint64_t tag, unsigned filled, uint64_t spool_offset, struct remed_error *error)
{
    uint64_t at;
    bool keeps_room = spool_offset == REMED_FLIGHT_DIRECT && has_spool(publisher);
    if (!remed_flight_fits(&publisher->flight, message->key_length + message->value_length, &at))
        return remed_error_set(error, REMED_EBUSY,
                               "publisher: what is in flight leaves no room for another");
    int rc = keeps_room ? remed_spool_reserve(&publisher->spool, message->key_length,
                                              message->value_length, error)
                        : 0;
    if (rc < 0)
        return rc;
    rc = remed_transport_publish(publisher->transport, message, publisher->flight.next, error);
    if (rc == 0)
        remed_flight_push(&publisher->flight, message, tag, filled, spool_offset, at);
    else if (keeps_room)
        remed_spool_unreserve(&publisher->spool, message->key_length, message->value_length);
    return rc;
}

/* Behind what waits in memory for the numbers. */
static int put_back(struct remed_publisher *publisher, const struct remed_message *message,
                    uint64_t tag, unsigned filled, struct remed_error *error)
{
    struct remed_flight *backlog = &publisher->numbers.backlog;
    uint64_t at;
    if (!remed_flight_fits(backlog, message->key_length + message->value_length, &at))
        return remed_error_set(error, REMED_EBUSY,
                               "publisher: all room is used by records that wait until it is read "
                               "what '%s' published before",
                               publisher->origin);
    remed_flight_push(backlog, message, tag, filled, REMED_FLIGHT_DIRECT, at);
    return 0;
}

static int take(struct remed_publisher *publisher, const struct remed_message *message,
                uint64_t tag, unsigned filled, struct remed_error *error)
{
    const struct remed_numbers *numbers = &publisher->numbers;
    bool waits = numbers->resuming || remed_numbers_has_backlog(numbers);
    if (!has_spool(publisher))
        return waits ? put_back(publisher, message, tag, filled, error)
                     : send(publisher, message, tag, filled, REMED_FLIGHT_DIRECT, error);
    int rc = REMED_EBUSY;
    if (remed_numbers_are_known(numbers) && remed_spool_is_idle(&publisher->spool) &&
        !publisher->gave_up)
        rc = send(publisher, message, tag, filled, REMED_FLIGHT_DIRECT, error);
    if (rc != REMED_EBUSY)
        return rc;
    rc = remed_spool_put(&publisher->spool, message, tag, filled, error);
    publisher->stats.spooled += rc == 0;
    return rc;
}

/* Behind the greatest numbers of a host there must be room for the publisher's own. */
static int check_given(const struct remed_record *record, struct remed_error *error)
{
    const bool epoch = record->epoch > REMED_NUMBER_GIVEN_MAX;
    if (!epoch && record->sequence <= REMED_NUMBER_GIVEN_MAX)
        return 0;
    return remed_error_set(error, REMED_ELIMIT,
                           "the record's %s %llu is beyond 2^61, the greatest that may be given; "
                           "leave it out to have it filled in",
                           epoch ? "epoch" : "sequence",
                           (unsigned long long)(epoch ? record->epoch : record->sequence));
}

static int fill_in(struct remed_publisher *publisher, struct remed_record *record, unsigned *filled,
                   struct remed_error *error)
{
    int rc = check_given(record, error);
    if (rc < 0)
        return rc;
    *filled = (record->sequence == 0 ? REMED_FILLED_SEQUENCE : 0u) |
              (record->epoch == 0 ? REMED_FILLED_EPOCH : 0u);
    if (record->sequence == 0) /* first: it may go to the next epoch */
        rc = remed_numbers_next(publisher, &record->sequence, error);
    if (record->origin_length == 0) {
        record->origin_length = (uint8_t)strlen(publisher->origin);
        memcpy(record->origin, publisher->origin, sizeof record->origin);
    }
    if (record->epoch == 0)
        record->epoch = publisher->numbers.epoch;
    return rc;
}

static int encode_and_take(struct remed_publisher *publisher, struct remed_record *record,
                           uint64_t tag, struct remed_error *error)
{
    uint8_t key[REMED_KEY_MAX];
    size_t length;
    unsigned filled;
    int rc = fill_in(publisher, record, &filled, error);
    if (rc < 0)
        return rc;
    rc = remed_record_encode(record, publisher->wire, REMED_RECORD_MAX, &length);
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
    return take(publisher, &message, tag, filled, error);
}

/* A record that was not taken stays as it was: numbers that it had then may be too small later. */
static int publish(struct remed_publisher *publisher, struct remed_record *record, uint64_t tag,
                   struct remed_error *error)
{
    uint8_t origin_length = record->origin_length;
    uint64_t epoch = record->epoch, sequence = record->sequence;
    int rc = encode_and_take(publisher, record, tag, error);
    publisher->stats.published += rc == 0;
    publisher->stats.pending += rc == 0;
    publisher->stats.refused += rc == REMED_EBUSY;
    if (rc == 0) {
        publisher->numbers.next += sequence == 0;
        if (sequence != 0 || epoch != 0)
            remed_numbers_given(publisher, record);
        return 0;
    }
    record->origin_length = origin_length;
    record->origin[origin_length] = '\0';
    record->epoch = epoch;
    record->sequence = sequence;
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
static void lose_held(struct remed_publisher *publisher, const char *cause)
{
    struct remed_flight *flight = &publisher->flight;
    const struct remed_message *held = &publisher->held;
    uint64_t at, number = flight->next;
    (void)remed_flight_fits(flight, held->key_length + held->value_length, &at); /* it was asked */
    remed_flight_push(flight, held, publisher->held_tag, publisher->held_filled, held->offset, at);
    end_flight(publisher, number, REMED_ELIMIT, cause);
}

/* Whatever was damaged at the end of the spool is done with, too. */
static void pass_damage(struct remed_publisher *publisher)
{
    const struct remed_flight *flight = &publisher->flight;
    if (flight->spooled == 0 && flight->first == flight->next)
        remed_spool_done(&publisher->spool, publisher->spool.reader.next_offset);
}

static int fail_with(struct remed_error *error, int rc, const struct remed_error *own)
{
    if (error != NULL)
        *error = *own;
    return rc;
}

/* From the spool to the transport: 1 when there is more at once, 0, an error. */
static int drain(struct remed_publisher *publisher, struct remed_error *error)
{
    struct remed_spool *spool = &publisher->spool;
    for (unsigned i = 0; i < DRAIN_A_PROCESS; i++) {
        struct remed_error own = {0};
        int rc = publisher->holds ? 1
                                  : remed_spool_next(spool, &publisher->held, &publisher->held_tag,
                                                     &publisher->held_filled);
        if (rc < 0)
            return remed_error_set(error, rc, "spool: %s", spool->reader.error.message);
        publisher->holds = rc == 1;
        if (rc == 0) {
            pass_damage(publisher);
            return 0;
        }
        struct remed_message message = publisher->held;
        rc = remed_numbers_restamp(publisher, &message, publisher->held_filled, &own);
        if (rc == 0)
            rc = send(publisher, &message, publisher->held_tag, publisher->held_filled,
                      publisher->held.offset, &own);
        if (rc < 0 && rc != REMED_ELIMIT)
            return rc == REMED_EBUSY ? 0 : fail_with(error, rc, &own);
        if (rc == REMED_ELIMIT)
            lose_held(publisher, own.message);
        publisher->holds = false;
    }
    return 1;
}

/* The same from the backlog of a publisher without spool. */
static int drain_backlog(struct remed_publisher *publisher, struct remed_error *error)
{
    struct remed_flight *backlog = &publisher->numbers.backlog;
    for (unsigned i = 0; i < DRAIN_A_PROCESS; i++) {
        if (!remed_numbers_has_backlog(&publisher->numbers))
            return 0;
        struct remed_flight_slot *slot = remed_flight_slot(backlog, backlog->first);
        struct remed_message message = remed_flight_message(backlog, slot);
        uint64_t tag = slot->tag;
        struct remed_error own = {0};
        int rc = remed_numbers_restamp(publisher, &message, slot->filled, &own);
        if (rc == 0)
            rc = send(publisher, &message, tag, slot->filled, REMED_FLIGHT_DIRECT, &own);
        if (rc < 0 && rc != REMED_ELIMIT)
            return rc == REMED_EBUSY ? 0 : fail_with(error, rc, &own);
        slot->state = REMED_FLIGHT_ENDED;
        (void)remed_flight_pop(backlog);
        if (rc == REMED_ELIMIT)
            remed_publisher_report(publisher, tag, rc, own.message);
    }
    return 1;
}

static int process_transport(struct remed_publisher *publisher, struct remed_error *error)
{
    struct remed_error own = {0};
    int rc = remed_transport_process(publisher->transport, publisher->now, &own);
    if (rc >= 0)
        return rc;
    snprintf(publisher->cause, sizeof publisher->cause, "%s", own.message);
    remed_losses_explain(&publisher->losses, rc, own.message);
    if (error != NULL)
        *error = own;
    return rc;
}

static int process_spool(struct remed_publisher *publisher, struct remed_error *error)
{
    int rc = remed_spool_process(&publisher->spool, publisher->now, error);
    if (rc == 0 && publisher->gave_up)
        return remed_error_set(error, REMED_EIO,
                               "publisher: the transport gave records up; the spool keeps them");
    if (rc == 0 && !publisher->numbers.resuming && remed_spool_waiting(&publisher->spool) > 0)
        rc = drain(publisher, error);
    return rc;
}

static int process(struct remed_publisher *publisher, struct remed_error *error)
{
    int numbers = remed_numbers_process(publisher, error);
    if (numbers < 0)
        return numbers;
    int more = process_transport(publisher, error), rc = 0;
    if (more < 0 || publisher->close_later)
        return more;
    if (has_spool(publisher))
        rc = process_spool(publisher, error);
    else if (!publisher->numbers.resuming)
        rc = drain_backlog(publisher, error);
    if (rc < 0)
        return rc;
    int settled = remed_numbers_settle(publisher, error);
    return settled < 0 ? settled : more > 0 || rc > 0 || numbers > 0;
}

int remed_publisher_process(struct remed_publisher *publisher, uint64_t now,
                            struct remed_error *error)
{
    if (publisher->processing)
        return remed_error_set(error, REMED_EINVAL, "process was called from its own callback");
    publisher->processing = true;
    publisher->now = remed_steady_now(&publisher->steady, now);
    int rc = process(publisher, error);
    publisher->processing = false;
    publisher->more = rc > 0;
    if (!publisher->close_later)
        return rc;
    publisher->close_later = false;
    publisher->delivered = NULL; /* the host has let go of it */
    (void)remed_publisher_close_now(publisher, NULL);
    return 0;
}

/* The transport of the moment; what the other has to do is done by time meanwhile. */
int remed_publisher_fd(const struct remed_publisher *publisher, short *events)
{
    const struct remed_transport *reader = publisher->numbers.resume.transport;
    int fd = reader != NULL ? remed_transport_fd(reader, events) : -1;
    return fd >= 0 ? fd : remed_transport_fd(publisher->transport, events);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t remed_publisher_deadline(const struct remed_publisher *publisher)
{
    const struct remed_transport *reader = publisher->numbers.resume.transport;
    uint64_t due = remed_transport_deadline(publisher->transport);
    if (publisher->more)
        return 0;
    due = earlier(due, remed_spool_deadline(&publisher->spool));
    if (reader != NULL) {
        due = earlier(due, remed_transport_deadline(reader));
        due = earlier(due, remed_steady_add(publisher->now, RESUME_NS));
    }
    return remed_steady_deadline(&publisher->steady, due);
}

/* One more of what is waited for. */
static size_t join(char *text, size_t size, size_t used, const char *more)
{
    int got = 0;
    if (more[0] != '\0')
        got = snprintf(used < size ? text + used : NULL, used < size ? size - used : 0, "%s%s",
                       used > 0 ? "; " : "", more);
    return used + (got > 0 ? (size_t)got : 0);
}

size_t remed_publisher_waiting(const struct remed_publisher *publisher, char *text, size_t size)
{
    char resume[256], transport[256], spool[256];
    (void)remed_resume_text(&publisher->numbers.resume, resume, sizeof resume);
    (void)remed_transport_waiting(publisher->transport, transport, sizeof transport);
    (void)remed_spool_trouble(&publisher->spool, spool, sizeof spool);
    if (strcmp(resume, transport) == 0)
        transport[0] = '\0'; /* both wait for the same server */
    if (size > 0)
        text[0] = '\0';
    size_t used = join(text, size, 0, resume);
    used = join(text, size, used, transport);
    return join(text, size, used, spool);
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
        return remed_publisher_close_now(publisher, error);
    publisher->close_later = true;
    return 0;
}
