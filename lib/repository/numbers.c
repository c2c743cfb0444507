/* SPDX-License-Identifier: BSD-3-Clause */
/* The epochs and sequences of publishing.h. Threads: one thread a publisher. */
#include "repository/publishing.h"

#include <stdio.h>

#define BOUND_STEP ((uint64_t)1 << 20) /* sequences that the spool's state allows at once */

/* Writes down what was given out, and allows so many more. */
static int numbers_save(struct remed_publisher *publisher, struct remed_error *error)
{
    struct remed_numbers *numbers = &publisher->numbers;
    struct remed_spool_state *state = &publisher->spool.state;
    if (!remed_publisher_has_spool(publisher))
        return 0;
    state->next = numbers->next + numbers->shift + BOUND_STEP;
    state->base = numbers->base;
    state->shift = numbers->shift;
    state->epoch = numbers->epoch;
    memcpy(state->origin, publisher->origin, sizeof publisher->origin);
    int rc = remed_spool_save(&publisher->spool, error);
    if (rc == 0)
        numbers->bound = numbers->next + BOUND_STEP;
    return rc;
}

/* What the spool remembers of the publisher before. */
static const char *numbers_recall(struct remed_publisher *publisher)
{
    struct remed_numbers *numbers = &publisher->numbers;
    const struct remed_spool_state *state = &publisher->spool.state;
    bool same = strcmp(state->origin, publisher->origin) == 0;
    if (state->next > numbers->next)
        numbers->next = state->next;
    numbers->base = state->base;
    numbers->shift = state->shift;
    if (same && state->epoch > numbers->epoch)
        numbers->epoch = state->epoch;
    return same ? state->position : NULL;
}

static int numbers_make_backlog(struct remed_publisher *publisher,
                                const struct remed_transport_opts *transport,
                                struct remed_error *error)
{
    if (transport->max_pending_bytes > SIZE_MAX / 2 ||
        remed_flight_init(&publisher->numbers.backlog, transport->max_pending,
                          transport->max_pending_bytes, &publisher->allocator) < 0)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a publisher");
    return 0;
}

static void numbers_warn(const struct remed_publisher *publisher, const char *why)
{
    char text[400];
    snprintf(text, sizeof text,
             "may not read what '%s' published before, so sequences go by the clock alone: %s",
             publisher->origin, why);
    if (publisher->log.write != NULL)
        publisher->log.write(publisher->log.context, REMED_LOG_WARNING, "publisher", text);
}

/* A repository that we may write to and not read is no reason not to write. */
static int numbers_resume(struct remed_publisher *publisher, const char *uri,
                          const struct remed_transport_opts *transport, const char *position,
                          struct remed_error *error)
{
    struct remed_numbers *numbers = &publisher->numbers;
    struct remed_error own = {0};
    if (numbers->base == 0)
        numbers->base = numbers->next;
    int rc = remed_resume_begin(&numbers->resume, uri, transport, publisher->origin,
                                &publisher->mac, position, &own);
    if (rc == REMED_EPERM) {
        numbers_warn(publisher, own.message);
        numbers->base = numbers->shift != 0 ? numbers->base : 0;
        return 0;
    }
    if (rc < 0)
        return remed_error_set(error, rc, "publisher: cannot read what '%s' published before: %s",
                               publisher->origin, own.message);
    numbers->resuming = true;
    if (remed_publisher_has_spool(publisher))
        return 0;
    return numbers_make_backlog(publisher, transport, error);
}

int remed_numbers_begin(struct remed_publisher *publisher, const char *uri,
                        const struct remed_transport_opts *transport,
                        const struct remed_publisher_opts *opts, struct remed_error *error)
{
    struct remed_numbers *numbers = &publisher->numbers;
    const char *position = NULL;
    int rc = 0;
    numbers->epoch = opts->epoch;
    numbers->next = opts->first_sequence != 0 ? opts->first_sequence : 1;
    numbers->bound = UINT64_MAX;
    if (remed_publisher_has_spool(publisher))
        position = numbers_recall(publisher);
    if (remed_record_new(&numbers->scratch, &publisher->allocator) < 0)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a publisher");
    if (opts->resume != 0)
        rc = numbers_resume(publisher, uri, transport, position, error);
    else if (numbers->shift == 0)
        numbers->base = 0;
    if (rc == 0)
        rc = numbers_save(publisher, error);
    if (rc == REMED_EBUSY && error != NULL)
        error->code = REMED_EIO;
    return rc == REMED_EBUSY ? REMED_EIO : rc;
}

void remed_numbers_close(struct remed_publisher *publisher)
{
    struct remed_numbers *numbers = &publisher->numbers;
    struct remed_spool_state *state = &publisher->spool.state;
    if (!remed_publisher_has_spool(publisher))
        return;
    state->next = numbers->next + numbers->shift;
    (void)remed_spool_save(&publisher->spool, NULL); /* else what was allowed stands */
}

void remed_numbers_end(struct remed_publisher *publisher)
{
    struct remed_numbers *numbers = &publisher->numbers;
    remed_resume_end(&numbers->resume);
    remed_flight_fini(&numbers->backlog, &publisher->allocator);
    remed_record_free(numbers->scratch);
    numbers->scratch = NULL;
}

int remed_numbers_next(struct remed_publisher *publisher, uint64_t *sequence,
                       struct remed_error *error)
{
    struct remed_numbers *numbers = &publisher->numbers;
    *sequence = numbers->next;
    if (numbers->next > REMED_NUMBER_MAX || numbers->next + numbers->shift > REMED_NUMBER_MAX)
        return remed_error_set(error, REMED_ELIMIT,
                               "publisher: the sequences of '%s' are used up in epoch %llu; go on "
                               "in a greater epoch",
                               publisher->origin, (unsigned long long)numbers->epoch);
    return numbers->next < numbers->bound ? 0 : numbers_save(publisher, error);
}

/* What was read is beyond what was given out: that is to be shifted. */
static void numbers_compare(struct remed_numbers *numbers)
{
    const struct remed_resume *resume = &numbers->resume;
    if (resume->epoch < numbers->epoch)
        return;
    if (resume->sequence >= numbers->base && resume->sequence + 1 - numbers->base > numbers->shift)
        numbers->shift = resume->sequence + 1 - numbers->base;
    numbers->epoch = resume->epoch;
}

int remed_numbers_process(struct remed_publisher *publisher, struct remed_error *error)
{
    struct remed_numbers *numbers = &publisher->numbers;
    struct remed_error own = {0};
    if (!numbers->resuming)
        return 0;
    int rc = remed_resume_process(&numbers->resume, publisher->now, &own);
    if (rc > 0)
        return 0; /* its deadline tells when */
    if (rc < 0 && rc != REMED_EPERM)
        return remed_error_set(error, rc, "publisher: cannot read what '%s' published before: %s",
                               publisher->origin, own.message);
    if (rc == REMED_EPERM)
        numbers_warn(publisher, own.message);
    else if (remed_publisher_has_spool(publisher))
        remed_spool_state_position(&publisher->spool.state, numbers->resume.position);
    uint64_t epoch = numbers->epoch;
    numbers_compare(numbers);
    numbers->resuming = false;
    remed_resume_end(&numbers->resume);
    if (numbers->shift == 0 && numbers->epoch == epoch)
        numbers->base = 0;
    rc = numbers_save(publisher, error);
    return rc < 0 && rc != REMED_EBUSY ? rc : 1;
}

int remed_numbers_settle(struct remed_publisher *publisher, struct remed_error *error)
{
    struct remed_numbers *numbers = &publisher->numbers;
    bool waits = remed_numbers_has_backlog(numbers) || remed_spool_waiting(&publisher->spool) > 0;
    if (numbers->resuming || waits)
        return 0;
    remed_flight_fini(&numbers->backlog, &publisher->allocator);
    if (numbers->base == 0)
        return 0;
    uint64_t base = numbers->base, shift = numbers->shift;
    numbers->next += shift;
    numbers->base = numbers->shift = 0;
    int rc = numbers_save(publisher, error);
    if (rc < 0) { /* as before, until it can be noted down */
        numbers->next -= shift;
        numbers->base = base;
        numbers->shift = shift;
    }
    return rc == REMED_EBUSY ? 0 : rc;
}

/* The record anew, and its signature. */
static int numbers_encode(struct remed_publisher *publisher, struct remed_message *message,
                          bool is_signed, struct remed_error *error)
{
    size_t length;
    uint8_t *bytes = publisher->restamped;
    int rc = remed_record_encode(publisher->numbers.scratch, bytes, REMED_RECORD_MAX, &length);
    if (rc == 0 && publisher->mac.compute != NULL)
        rc =
            remed_record_sign(&publisher->mac, publisher->key_id, message->key, message->key_length,
                              bytes, sizeof publisher->restamped, &length, error);
    else if (rc == 0 && is_signed)
        rc = remed_error_set(error, REMED_EPERM,
                             "publisher: records that wait must be signed anew, with newer "
                             "sequences: publish with the key");
    if (rc < 0)
        return rc;
    message->value = bytes;
    message->value_length = length;
    return 0;
}

int remed_numbers_restamp(struct remed_publisher *publisher, struct remed_message *message,
                          struct remed_error *error)
{
    const struct remed_numbers *numbers = &publisher->numbers;
    struct remed_record *record = numbers->scratch;
    if (numbers->base == 0 || message->value_length == 0)
        return 0;
    size_t length = remed_record_strip(message->value, message->value_length, NULL);
    if (remed_record_decode(record, message->value, length, NULL) < 0 ||
        strlen(publisher->origin) != record->origin_length ||
        memcmp(publisher->origin, record->origin, record->origin_length) != 0 ||
        record->sequence < numbers->base || record->epoch > numbers->epoch)
        return 0; /* not one of those */
    record->sequence += numbers->shift;
    record->epoch = numbers->epoch;
    return numbers_encode(publisher, message, length < message->value_length, error);
}
