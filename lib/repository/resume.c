/* SPDX-License-Identifier: BSD-3-Clause */
/* The reading of resume.h. Threads: belongs to one publisher. */
#include "repository/resume.h"

#include "repository/uri.h"
#include "state/record.h"

#include <stdio.h>

#define MOST_TRIES 16u
#define TOLD_STEP 1000000u

/* Epochs from here on are no publisher's: what is there can't be gone behind. */
#define BEYOND_EPOCHS (REMED_NUMBER_MAX - ((uint64_t)1 << 32))

static bool resume_is_of(const struct remed_record *record, const char *origin)
{
    return strlen(origin) == record->origin_length &&
           memcmp(origin, record->origin, record->origin_length) == 0;
}

/* Its own origin, or that of what waits for it. */
static bool resume_is_ours(const struct remed_resume *resume, const struct remed_record *record)
{
    return resume_is_of(record, resume->origin) ||
           (resume->waits[0] != '\0' && resume_is_of(record, resume->waits));
}

/* Whether a record is behind anything that was seen so far. */
static bool resume_is_news(const struct remed_resume *resume, const struct remed_record *record)
{
    bool high = record->sequence > REMED_NUMBER_GIVEN_MAX;
    if (record->epoch > resume->latest || (!high && record->sequence > resume->low) ||
        (high && record->epoch == resume->epoch && record->sequence > resume->high))
        return true;
    return record->epoch > resume->least && resume_is_ours(resume, record);
}

static void resume_count(struct remed_resume *resume, const struct remed_record *record)
{
    if (record->epoch > resume->latest)
        resume->latest = record->epoch;
    if (record->epoch > resume->least && resume_is_ours(resume, record))
        resume->least = record->epoch;
    if (record->epoch > resume->epoch && resume_is_of(record, resume->origin)) {
        resume->epoch = record->epoch;
        resume->high = 0;
    }
    if (record->sequence <= REMED_NUMBER_GIVEN_MAX)
        resume->low = record->sequence > resume->low ? record->sequence : resume->low;
    else if (record->epoch == resume->epoch && record->sequence > resume->high)
        resume->high = record->sequence;
}

static void resume_on_message(void *context, const struct remed_message *message)
{
    struct remed_resume *resume = context;
    size_t length = remed_record_strip(message->value, message->value_length, NULL);
    const struct remed_record *record = resume->record;
    resume->read++;
    if (message->value_length == 0 ||
        remed_record_decode(resume->record, message->value, length, NULL) < 0 ||
        record->epoch >= BEYOND_EPOCHS || !resume_is_news(resume, record))
        return;
    if (resume->mac.compute == NULL ||
        remed_record_verify(&resume->mac, message->key, message->key_length, message->value,
                            message->value_length, &length, NULL) == 0)
        resume_count(resume, record);
}

static void resume_on_caught_up(void *context)
{
    ((struct remed_resume *)context)->caught_up = true;
}

/* A reader of all partitions, whatever group the publisher's URI names: it must take no share away
 * from a group's members. */
static void resume_leave_group(char *uri)
{
    char *query = strchr(uri, '?');
    for (char *at = query != NULL ? query + 1 : NULL; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, "&");
        char *after = at + length + (at[length] == '&');
        if (strncmp(at, "group=", 6) == 0)
            memmove(at, after, strlen(after) + 1);
        else
            at = after;
    }
    size_t length = strlen(uri);
    while (length > 0 && query != NULL && (uri[length - 1] == '&' || uri[length - 1] == '?'))
        uri[--length] = '\0';
}

/* The host's arrays may go once the publisher is made. */
static int resume_copy(struct remed_resume *resume, const char *uri,
                       const struct remed_transport_opts *opts, const char *position)
{
    size_t drivers = opts->driver_count * sizeof *resume->drivers;
    resume->uri = remed_allocate(&resume->allocator, REMED_URI_MAX);
    resume->position = remed_allocate(&resume->allocator, REMED_RESUME_POSITION);
    if (drivers != 0)
        resume->drivers = remed_reallocate(&resume->allocator, NULL, 0, drivers);
    if (resume->uri == NULL || resume->position == NULL ||
        (drivers != 0 && resume->drivers == NULL) ||
        remed_record_new(&resume->record, &resume->allocator) < 0)
        return REMED_ENOMEM;
    snprintf(resume->uri, REMED_URI_MAX, "%s", uri); /* a longer one did not open */
    if (drivers != 0)
        memcpy(resume->drivers, opts->drivers, drivers);
    snprintf(resume->position, REMED_RESUME_POSITION, "%s", position != NULL ? position : "begin");
    return 0;
}

/* Opens and subscribes; from the beginning where the position is none any more. */
static int resume_open(struct remed_resume *resume, struct remed_error *error)
{
    for (;;) {
        resume->caught_up = false;
        int rc = remed_transport_open(&resume->transport, resume->uri, &resume->opts, error);
        if (rc < 0)
            return rc;
        rc = remed_transport_subscribe(resume->transport, resume->position, error);
        bool begins = strcmp(resume->position, "begin") == 0;
        if (rc >= 0 || begins || (rc != REMED_EINVAL && rc != REMED_ENOENT))
            return rc;
        (void)remed_transport_close(resume->transport, NULL);
        resume->transport = NULL;
        memcpy(resume->position, "begin", 6);
    }
}

int remed_resume_begin(struct remed_resume *resume, const char *uri,
                       const struct remed_transport_opts *opts, const struct remed_resume_for *whom,
                       const struct remed_mac *mac, const char *position, struct remed_error *error)
{
    *resume = (struct remed_resume){.opts = *opts,
                                    .allocator = remed_allocator_or_default(opts->allocator),
                                    .origin = whom->origin,
                                    .waits = whom->waits,
                                    .epoch = whom->epoch,
                                    .mac = *mac};
    int rc = resume_copy(resume, uri, opts, position);
    if (rc < 0) {
        remed_resume_end(resume);
        return remed_error_set(error, rc, "no memory for a publisher");
    }
    resume_leave_group(resume->uri);
    resume->opts.drivers = resume->drivers;
    resume->opts.allocator = &resume->allocator;
    resume->opts.origin = whom->origin[0] != '\0' ? whom->origin : NULL;
    resume->opts.log = (struct remed_log){0}; /* the publisher's transport speaks for both */
    resume->opts.max_pending = 1;
    resume->opts.max_pending_bytes = REMED_TRANSPORT_VALUE_MAX;
    if (opts->entropy != NULL) {
        resume->entropy = *opts->entropy;
        resume->opts.entropy = &resume->entropy;
    }
    resume->opts.events = (struct remed_transport_events){
        .context = resume, .message = resume_on_message, .caught_up = resume_on_caught_up};
    rc = resume_open(resume, error);
    if (rc < 0)
        remed_resume_end(resume);
    return rc;
}

/* What was read is not lost when the rest is read from the beginning: the greatest stays. */
static int resume_anew(struct remed_resume *resume, struct remed_error *error)
{
    if (++resume->tries > MOST_TRIES)
        return REMED_ENOENT;
    (void)remed_transport_close(resume->transport, NULL);
    resume->transport = NULL;
    memcpy(resume->position, "begin", 6);
    int rc = resume_open(resume, error);
    return rc < 0 ? rc : 1;
}

int remed_resume_process(struct remed_resume *resume, uint64_t now, struct remed_error *error)
{
    if (resume->transport == NULL)
        return 0;
    int rc = remed_transport_process(resume->transport, now, error);
    if (rc == REMED_ENOENT)
        rc = resume_anew(resume, error);
    if (rc < 0 || !resume->caught_up)
        return rc < 0 ? rc : 1;
    size_t length =
        remed_transport_position(resume->transport, resume->position, REMED_RESUME_POSITION);
    if (length >= REMED_RESUME_POSITION)
        resume->position[0] = '\0';
    (void)remed_transport_close(resume->transport, NULL);
    resume->transport = NULL;
    return 0;
}

size_t remed_resume_text(const struct remed_resume *resume, char *text, size_t size)
{
    char waits[160];
    int length;
    if (size > 0)
        text[0] = '\0';
    if (resume->transport == NULL)
        return 0;
    if (remed_transport_waiting(resume->transport, waits, sizeof waits) > 0)
        return (size_t)snprintf(text, size, "%s", waits);
    uint64_t millions = resume->read / TOLD_STEP;
    if (millions == 0)
        length = snprintf(text, size, "reads what '%s' published before", resume->origin);
    else
        length = snprintf(text, size, "reads what '%s' published before: %llu million records",
                          resume->origin, (unsigned long long)millions);
    return length > 0 ? (size_t)length : 0;
}

void remed_resume_end(struct remed_resume *resume)
{
    const struct remed_allocator *allocator = &resume->allocator;
    (void)remed_transport_close(resume->transport, NULL);
    resume->transport = NULL;
    remed_release(allocator, resume->uri, resume->uri != NULL ? REMED_URI_MAX : 0);
    remed_release(allocator, resume->position,
                  resume->position != NULL ? REMED_RESUME_POSITION : 0);
    remed_release(allocator, resume->drivers,
                  resume->drivers != NULL ? resume->opts.driver_count * sizeof *resume->drivers
                                          : 0);
    remed_record_free(resume->record);
    resume->uri = resume->position = NULL;
    resume->drivers = NULL;
    resume->record = NULL;
}
