/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a publisher ends: what no report has come for is kept in its spool, before all that is there,
 * or lost, each with its cause.
 *
 * Threads: one thread a publisher.
 */
#include "repository/publishing.h"

#include <stdio.h>

/* Not delivered, and nowhere but here. A transport that closed without a report counts as one that
 * gave it up. */
static bool close_is_left(const struct remed_flight_slot *slot)
{
    return slot->state != REMED_FLIGHT_ENDED && slot->spool_offset == REMED_FLIGHT_DIRECT;
}

/* Those that are left, but for the first `kept` of them. */
static void close_lose(struct remed_publisher *publisher, struct remed_flight *flight,
                       uint64_t kept, int code, const char *cause)
{
    for (uint64_t i = flight->first; i < flight->next; i++) {
        const struct remed_flight_slot *slot = remed_flight_slot(flight, i);
        if (!close_is_left(slot))
            continue;
        if (kept > 0)
            kept--;
        else
            remed_publisher_report(publisher, slot->tag, code, cause);
    }
}

/* What was in flight directly goes before all that is in the spool. */
static void close_keep(struct remed_publisher *publisher)
{
    struct remed_flight *flight = &publisher->flight;
    struct remed_spool_front front;
    struct remed_error error = {0};
    uint64_t count = 0, kept = 0;
    size_t bytes = 0;
    for (uint64_t i = flight->first; i < flight->next; i++) {
        const struct remed_flight_slot *slot = remed_flight_slot(flight, i);
        if (close_is_left(slot)) {
            count++;
            bytes += (size_t)slot->key_length + slot->value_length;
        }
    }
    if (count == 0)
        return;
    int rc = remed_spool_front_begin(&publisher->spool, &front, count, bytes, &error);
    for (uint64_t i = flight->first; rc == 0 && i < flight->next; i++) {
        const struct remed_flight_slot *slot = remed_flight_slot(flight, i);
        if (!close_is_left(slot))
            continue;
        const struct remed_message message = remed_flight_message(flight, slot);
        remed_spool_front_put(&publisher->spool, &front, &message, slot->filled);
    }
    if (rc == 0)
        rc = remed_spool_front_end(&publisher->spool, &front, &kept, &error);
    if (rc < 0)
        close_lose(publisher, flight, kept, rc, error.message);
}

/* Why there is no report, while the transport can still say so. */
static void close_note_cause(struct remed_publisher *publisher)
{
    if (publisher->cause[0] == '\0')
        (void)remed_publisher_waiting(publisher, publisher->cause, sizeof publisher->cause);
    if (publisher->cause[0] == '\0')
        snprintf(publisher->cause, sizeof publisher->cause,
                 "closed before the repository acknowledged them");
}

int remed_publisher_close_now(struct remed_publisher *publisher, struct remed_error *error)
{
    struct remed_error first = {0}, second = {0};
    publisher->closing = publisher->processing = true;
    close_note_cause(publisher);
    int rc = remed_transport_close(publisher->transport, &first);
    if (rc < 0 && first.message[0] == '\0')
        remed_error_set(&first, rc, "%s", publisher->cause);
    if (remed_publisher_has_spool(publisher)) {
        close_keep(publisher);
        remed_numbers_close(publisher);
        int closed = remed_spool_close(&publisher->spool, &second);
        if (closed < 0 && second.message[0] == '\0')
            remed_error_set(&second, closed, "spool: %s", remed_strerror(closed));
        if (rc == 0)
            first = second;
        rc = rc < 0 ? rc : closed;
    } else {
        close_lose(publisher, &publisher->flight, 0, REMED_EIO, publisher->cause);
        close_lose(publisher, &publisher->numbers.backlog, 0, REMED_EIO, publisher->cause);
    }
    if (publisher->losses.total > 0)
        rc = remed_losses_tell(&publisher->losses, &first);
    if (error != NULL && rc < 0)
        *error = first;
    remed_publisher_release(publisher);
    return rc;
}
