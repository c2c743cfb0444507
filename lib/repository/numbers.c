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
    state->least = numbers->least;
    memcpy(state->waits, numbers->waits, sizeof state->waits);
    memcpy(state->origin, publisher->origin, sizeof publisher->origin);
    int rc = remed_spool_save(&publisher->spool, error);
    if (rc == 0)
        numbers->bound = numbers->next + BOUND_STEP;
    return rc;
}

/* What the spool remembers of the publisher before. What waits is that one's: with another origin
 * this is remembered until nothing of it is left. */
static const char *numbers_recall(struct remed_publisher *publisher)
{
    struct remed_numbers *numbers = &publisher->numbers;
    const struct remed_spool_state *state = &publisher->spool.state;
    bool same = strcmp(state->origin, publisher->origin) == 0;
    if (state->next > numbers->next)
        numbers->next = state->next;
    numbers->base = state->base;
    numbers->shift = state->shift;
    numbers->least = state->least;
    if (remed_spool_waiting(&publisher->spool) > 0)
        memcpy(numbers->waits, state->waits[0] != '\0' ? state->waits : state->origin,
               sizeof numbers->waits);
    if (same && state->epoch > numbers->epoch)
        numbers->epoch = state->epoch;
    return same ? state->position : NULL;
}

static bool numbers_are_of(const struct remed_record *record, const char *origin)
{
    return strlen(origin) == record->origin_length &&
           memcmp(origin, record->origin, record->origin_length) == 0;
}

/* One that waits without a state: the least and the greatest sequence that were filled in. */
static void numbers_look(struct remed_publisher *publisher, const struct remed_message *message,
                         unsigned filled, uint64_t *least)
{
    struct remed_numbers *numbers = &publisher->numbers;
    const struct remed_record *record = numbers->scratch;
    size_t length = remed_record_strip(message->value, message->value_length, NULL);
    if (message->value_length == 0 ||
        remed_record_decode(numbers->scratch, message->value, length, NULL) < 0)
        return;
    bool ours = filled == REMED_FILLED_UNKNOWN ? numbers_are_of(record, publisher->origin)
                                               : (filled & REMED_FILLED_SEQUENCE) != 0;
    if (ours && record->sequence < *least)
        *least = record->sequence;
    if (record->sequence >= numbers->next)
        numbers->next = record->sequence + 1;
    if (record->epoch > numbers->epoch && numbers_are_of(record, publisher->origin))
        numbers->epoch = record->epoch;
}

/* A spool whose state is gone: its records tell what was given out. */
static int numbers_recover(struct remed_publisher *publisher, struct remed_error *error)
{
    struct remed_spool *spool = &publisher->spool;
    struct remed_message message;
    uint64_t tag, least = UINT64_MAX;
    unsigned filled;
    int rc;
    while ((rc = remed_spool_next(spool, &message, &tag, &filled)) == 1)
        numbers_look(publisher, &message, filled, &least);
    if (rc < 0)
        return remed_error_set(error, rc, "spool: %s", spool->reader.error.message);
    publisher->numbers.base = least != UINT64_MAX ? least : 0;
    return remed_spool_rewind(spool, error);
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
             "cannot read what '%s' published before, so sequences go by the %s alone: %s",
             publisher->origin,
             remed_publisher_has_spool(publisher) ? "spool and the clock" : "clock", why);
    if (publisher->log.write != NULL)
        publisher->log.write(publisher->log.context, REMED_LOG_WARNING, "publisher", text);
}

/* A repository that we may write to and not read, or that has a place which can't be read, is no
 * reason not to write. */
static int numbers_resume(struct remed_publisher *publisher, const char *uri,
                          const struct remed_transport_opts *transport, const char *position,
                          struct remed_error *error)
{
    struct remed_numbers *numbers = &publisher->numbers;
    struct remed_error own = {0};
    if (numbers->base == 0)
        numbers->base = numbers->next;
    const struct remed_resume_for whom = {publisher->origin, numbers->waits, numbers->epoch};
    int rc = remed_resume_begin(&numbers->resume, uri, transport, &whom, &publisher->mac, position,
                                &own);
    if (rc == REMED_ENOMEM)
        return remed_error_set(error, rc, "no memory for a publisher");
    if (rc < 0) {
        numbers_warn(publisher, own.message);
        return 0;
    }
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
    numbers->resumes = opts->resume != 0;
    if (remed_record_new(&numbers->scratch, &publisher->allocator) < 0)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a publisher");
    if (remed_publisher_has_spool(publisher))
        position = numbers_recall(publisher);
    if (remed_spool_waiting(&publisher->spool) > 0 && publisher->spool.state.next == 0)
        rc = numbers_recover(publisher, error);
    if (rc == 0 && numbers->resumes)
        rc = numbers_resume(publisher, uri, transport, position, error);
    else if (numbers->shift == 0 && numbers->least == 0)
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

/* Nothing that was given numbers is here: the next ones can be anything. */
static bool numbers_wait(const struct remed_publisher *publisher)
{
    return remed_numbers_has_backlog(&publisher->numbers) ||
           remed_spool_waiting(&publisher->spool) > 0;
}

static bool numbers_are_used_up(const struct remed_numbers *numbers)
{
    return numbers->next > REMED_NUMBER_MAX || numbers->next + numbers->shift > REMED_NUMBER_MAX;
}

int remed_numbers_next(struct remed_publisher *publisher, uint64_t *sequence,
                       struct remed_error *error)
{
    struct remed_numbers *numbers = &publisher->numbers;
    bool over = numbers_are_used_up(numbers);
    if (over && numbers->resumes && !remed_numbers_are_known(numbers))
        return remed_error_set(error, REMED_EBUSY,
                               "publisher: the sequences of '%s' are used up in epoch %llu; what "
                               "waits goes before the next epoch",
                               publisher->origin, (unsigned long long)numbers->epoch);
    if (over && (!numbers->resumes || numbers->epoch >= REMED_NUMBER_MAX))
        return remed_error_set(error, REMED_ELIMIT,
                               "publisher: the sequences of '%s' are used up in epoch %llu; go on "
                               "in a greater epoch",
                               publisher->origin, (unsigned long long)numbers->epoch);
    if (over) {
        numbers->epoch++;
        numbers->next = 1;
    }
    *sequence = numbers->next;
    return !over && numbers->next < numbers->bound ? 0 : numbers_save(publisher, error);
}

void remed_numbers_given(struct remed_publisher *publisher, const struct remed_record *record)
{
    struct remed_numbers *numbers = &publisher->numbers;
    if (record->sequence >= numbers->next + numbers->shift)
        numbers->next = record->sequence + 1 - numbers->shift;
    if (numbers->resumes && record->epoch > numbers->epoch &&
        numbers_are_of(record, publisher->origin))
        numbers->epoch = record->epoch;
}

/* Behind the last sequence of an epoch the next epoch goes on, for what waits as well. */
static void numbers_overflow(struct remed_publisher *publisher)
{
    struct remed_numbers *numbers = &publisher->numbers;
    const struct remed_resume *resume = &numbers->resume;
    uint64_t last = resume->latest > numbers->epoch ? resume->low : 0;
    numbers->least = ++numbers->epoch;
    numbers->shift = 0;
    if (!numbers_wait(publisher))
        numbers->next = numbers->base = last + 1;
    else if (last >= numbers->base)
        numbers->shift = last + 1 - numbers->base;
}

/* What was read is beyond what was given out: that is to be shifted. */
static void numbers_compare(struct remed_publisher *publisher)
{
    struct remed_numbers *numbers = &publisher->numbers;
    const struct remed_resume *resume = &numbers->resume;
    uint64_t last = resume->low > resume->high ? resume->low : resume->high;
    if (resume->epoch > numbers->epoch)
        numbers->epoch = resume->epoch;
    if (resume->least > numbers->least)
        numbers->least = resume->least;
    if (last >= numbers->base && last + 1 - numbers->base > numbers->shift)
        numbers->shift = last + 1 - numbers->base;
    if (numbers_are_used_up(numbers) && numbers->epoch < REMED_NUMBER_MAX)
        numbers_overflow(publisher);
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
    if (rc == REMED_ENOMEM)
        return remed_error_set(error, rc, "no memory for a publisher");
    if (rc < 0)
        numbers_warn(publisher, own.message);
    else if (remed_publisher_has_spool(publisher))
        remed_spool_state_position(&publisher->spool.state, numbers->resume.position);
    numbers_compare(publisher); /* what was read counts, be it all or not */
    numbers->resuming = false;
    remed_resume_end(&numbers->resume);
    rc = numbers_save(publisher, error);
    return rc < 0 && rc != REMED_EBUSY ? rc : 1;
}

int remed_numbers_settle(struct remed_publisher *publisher, struct remed_error *error)
{
    struct remed_numbers *numbers = &publisher->numbers;
    const struct remed_numbers before = *numbers;
    if (numbers->resuming || numbers_wait(publisher))
        return 0;
    remed_flight_fini(&numbers->backlog, &publisher->allocator);
    if (numbers->base == 0)
        return 0;
    numbers->next += numbers->shift;
    numbers->base = numbers->shift = numbers->least = 0;
    numbers->waits[0] = '\0';
    int rc = numbers_save(publisher, error);
    if (rc < 0) { /* as before, until it can be noted down */
        numbers->next = before.next;
        numbers->base = before.base;
        numbers->shift = before.shift;
        numbers->least = before.least;
        memcpy(numbers->waits, before.waits, sizeof before.waits);
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

/* Which of a record's numbers are this publisher's, or an earlier one's on the spool. */
static unsigned numbers_of_ours(const struct remed_publisher *publisher,
                                const struct remed_record *record, unsigned filled)
{
    const struct remed_numbers *numbers = &publisher->numbers;
    bool known = filled != REMED_FILLED_UNKNOWN;
    if (!known && (numbers_are_of(record, publisher->origin) ||
                   (numbers->waits[0] != '\0' && numbers_are_of(record, numbers->waits))))
        filled = REMED_FILLED_SEQUENCE | REMED_FILLED_EPOCH;
    if ((filled & REMED_FILLED_SEQUENCE) != 0 && record->sequence < numbers->base)
        return 0; /* they were final when it was taken */
    return filled;
}

int remed_numbers_restamp(struct remed_publisher *publisher, struct remed_message *message,
                          unsigned filled, struct remed_error *error)
{
    const struct remed_numbers *numbers = &publisher->numbers;
    struct remed_record *record = numbers->scratch;
    if (numbers->base == 0 || message->value_length == 0)
        return 0;
    size_t length = remed_record_strip(message->value, message->value_length, NULL);
    if (remed_record_decode(record, message->value, length, NULL) < 0)
        return 0; /* replicas refuse it, and say so */
    unsigned ours = numbers_of_ours(publisher, record, filled);
    bool shifts = (ours & REMED_FILLED_SEQUENCE) != 0 && numbers->shift != 0;
    bool raises = (ours & REMED_FILLED_EPOCH) != 0 && record->epoch < numbers->least;
    if (!shifts && !raises)
        return 0;
    if (shifts && record->sequence > REMED_NUMBER_MAX - numbers->shift)
        return remed_error_set(error, REMED_ELIMIT,
                               "publisher: a record that waits would have a sequence beyond 2^62");
    record->sequence += shifts ? numbers->shift : 0;
    record->epoch = raises ? numbers->least : record->epoch;
    return numbers_encode(publisher, message, length < message->value_length, error);
}
