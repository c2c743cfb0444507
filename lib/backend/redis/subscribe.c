/* SPDX-License-Identifier: BSD-3-Clause */
/* The subscribing of subscribe.h: what to ask next. Threads: belongs to one transport. */
#include "backend/redis/subscribe.h"

#include <stdio.h>

#define COUNT_FIRST 16u
#define COUNT_MOST 1024u
#define REPLIES_A_PROCESS 8u

void remed_redis_subscriber_init(struct remed_redis_subscriber *subscriber)
{
    snprintf(subscriber->newest, sizeof subscriber->newest, "%s:newest",
             subscriber->options->stream);
    snprintf(subscriber->id_key, sizeof subscriber->id_key, "%s:id", subscriber->options->stream);
    subscriber->pace = (struct remed_redis_pace){.count = COUNT_FIRST, .most = COUNT_MOST};
}

void remed_redis_subscriber_fini(struct remed_redis_subscriber *subscriber)
{
    remed_redis_link_fini(&subscriber->link);
}

int remed_redis_subscriber_begin(struct remed_redis_subscriber *subscriber, const char *from,
                                 struct remed_error *error)
{
    subscriber->from_end = strcmp(from, "end") == 0;
    if (subscriber->from_end || strcmp(from, "begin") == 0) {
        subscriber->reading = REMED_REDIS_START;
        return 0;
    }
    int rc = remed_redis_position_read(subscriber->options, from, subscriber->identity,
                                       &subscriber->seen, error);
    if (rc < 0)
        return rc;
    subscriber->at = subscriber->seen;
    subscriber->reading = REMED_REDIS_MARK;
    return 0;
}

static void ask_identity(struct remed_redis_subscriber *subscriber)
{
    struct remed_redis_buffer *out = &subscriber->link.out;
    remed_resp_array(out, 3);
    remed_resp_text(out, "HGET");
    remed_resp_text(out, subscriber->id_key);
    remed_resp_text(out, "id");
}

static void ask_last(struct remed_redis_subscriber *subscriber)
{
    struct remed_redis_buffer *out = &subscriber->link.out;
    remed_resp_array(out, 3);
    remed_resp_text(out, "HGET");
    remed_resp_text(out, subscriber->newest);
    remed_resp_text(out, "");
}

static void ask_scan(struct remed_redis_subscriber *subscriber)
{
    struct remed_redis_buffer *out = &subscriber->link.out;
    remed_resp_array(out, 5);
    remed_resp_text(out, "HSCAN");
    remed_resp_text(out, subscriber->newest);
    remed_resp_text(out, subscriber->cursor);
    remed_resp_text(out, "COUNT");
    remed_resp_number(out, subscriber->pace.count);
}

/* It waits shorter than we do for an answer. */
static void ask_entries(struct remed_redis_subscriber *subscriber)
{
    struct remed_redis_buffer *out = &subscriber->link.out;
    char id[48];
    snprintf(id, sizeof id, "%llu-%llu", (unsigned long long)subscriber->at.ms,
             (unsigned long long)subscriber->at.sequence);
    remed_resp_array(out, 8);
    remed_resp_text(out, "XREAD");
    remed_resp_text(out, "COUNT");
    remed_resp_number(out, subscriber->pace.count);
    remed_resp_text(out, "BLOCK");
    remed_resp_number(out, subscriber->options->timeout / 2000000);
    remed_resp_text(out, "STREAMS");
    remed_resp_text(out, subscriber->options->stream);
    remed_resp_text(out, id);
}

static void ask(struct remed_redis_subscriber *subscriber)
{
    if (!subscriber->identified)
        ask_identity(subscriber);
    else if (subscriber->reading == REMED_REDIS_SCAN)
        ask_scan(subscriber);
    else if (subscriber->reading == REMED_REDIS_READ)
        ask_entries(subscriber);
    else
        ask_last(subscriber);
    subscriber->asked = true;
    remed_redis_link_expect(&subscriber->link);
}

static void check_caught_up(struct remed_redis_subscriber *subscriber)
{
    if (subscriber->caught_up || remed_redis_id_compare(subscriber->seen, subscriber->mark) < 0)
        return;
    subscriber->caught_up = true;
    subscriber->events.caught_up(subscriber->events.context);
}

/* Which stream this is; nil: it has no id, as it is empty or of an older version. */
static int take_identity(struct remed_redis_subscriber *subscriber, struct remed_resp_cursor *reply,
                         struct remed_error *error)
{
    struct remed_resp_item item;
    bool some = remed_resp_next(reply, &item) && item.kind == REMED_RESP_TEXT;
    if (!some && item.kind != REMED_RESP_NIL)
        return remed_error_set(error, REMED_EFORMAT, "redis: no answer to HGET");
    if (some && !remed_redis_is_identity(item.text, item.length))
        return remed_error_set(error, REMED_EFORMAT, "redis: %s has no id of a stream in it",
                               subscriber->id_key);
    bool known = subscriber->identity[0] != '\0';
    if (known && (!some || memcmp(item.text, subscriber->identity, item.length) != 0)) {
        snprintf(subscriber->lost, sizeof subscriber->lost,
                 "the stream is not the one that was read before: it %s; begin anew",
                 some ? "was made anew" : "is gone");
        return remed_error_set(error, REMED_ENOENT, "redis: %s", subscriber->lost);
    }
    if (some)
        memcpy(subscriber->identity, item.text, item.length); /* its NUL is there */
    subscriber->identified = true;
    return 0;
}

/* The last entry's id; nil: there is none. */
static int take_last(struct remed_redis_subscriber *subscriber, struct remed_resp_cursor *reply,
                     struct remed_error *error)
{
    struct remed_resp_item item;
    struct remed_redis_id last = {0, 0};
    if (!remed_resp_next(reply, &item) ||
        (item.kind != REMED_RESP_NIL &&
         (item.kind != REMED_RESP_TEXT || !remed_redis_id_read(item.text, item.length, &last))))
        return remed_error_set(error, REMED_EFORMAT, "redis: %s has no id of its last entry",
                               subscriber->newest);
    if (subscriber->reading == REMED_REDIS_MARK) {
        if (remed_redis_id_compare(last, subscriber->seen) < 0)
            return remed_redis_lose(subscriber, last, error);
        subscriber->mark = last;
        subscriber->reading = REMED_REDIS_READ;
    } else if (subscriber->from_end) {
        subscriber->start = subscriber->seen = subscriber->at = subscriber->mark = last;
        subscriber->reading = REMED_REDIS_READ;
    } else {
        subscriber->start = last;
        memcpy(subscriber->cursor, "0", 2);
        subscriber->reading = REMED_REDIS_SCAN;
    }
    if (subscriber->reading == REMED_REDIS_READ)
        check_caught_up(subscriber);
    return 0;
}

static int take_step(struct remed_redis_subscriber *subscriber, struct remed_resp_cursor *reply,
                     struct remed_error *error)
{
    int rc = remed_redis_take_scan(subscriber, reply, error);
    if (rc == 0 && strcmp(subscriber->cursor, "0") == 0) {
        subscriber->seen = subscriber->at = subscriber->start;
        subscriber->reading = REMED_REDIS_MARK;
        subscriber->pace = (struct remed_redis_pace){.count = COUNT_FIRST, .most = COUNT_MOST};
    }
    return rc;
}

/* Nil comes when there was nothing in time: but up to the mark there was something. */
static int take_read(struct remed_redis_subscriber *subscriber, struct remed_resp_cursor *reply,
                     struct remed_error *error)
{
    struct remed_resp_cursor look = *reply;
    struct remed_resp_item item;
    if (remed_resp_next(&look, &item) && item.kind == REMED_RESP_NIL)
        return remed_redis_id_compare(subscriber->seen, subscriber->mark) < 0
                   ? remed_redis_lose(subscriber, subscriber->mark, error)
                   : 0;
    int rc = remed_redis_take_entries(subscriber, reply, error);
    if (rc == 0)
        check_caught_up(subscriber);
    if (rc == 0 && subscriber->identity[0] == '\0' && !subscriber->renamed) {
        subscriber->renamed = true; /* it had no entry before, and so no id */
        subscriber->identified = false;
    }
    return rc;
}

static int take(struct remed_redis_subscriber *subscriber, struct remed_resp_cursor *reply,
                struct remed_error *error)
{
    struct remed_resp_cursor look = *reply;
    struct remed_resp_item item;
    int rc;
    if (remed_resp_next(&look, &item) && item.kind == REMED_RESP_ERROR)
        return remed_redis_link_refused(&subscriber->link, &item, error);
    if (!subscriber->identified)
        rc = take_identity(subscriber, reply, error);
    else if (subscriber->reading == REMED_REDIS_SCAN)
        rc = take_step(subscriber, reply, error);
    else if (subscriber->reading == REMED_REDIS_READ)
        rc = take_read(subscriber, reply, error);
    else
        rc = take_last(subscriber, reply, error);
    subscriber->asked = false;
    if (rc == 0)
        subscriber->link.trouble[0] = '\0';
    else
        remed_redis_link_drop(&subscriber->link,
                              rc == REMED_ENOENT ? "no way to go on" : "a reply of another form");
    return rc;
}

/* What was asked on an old connection is asked again; a scan's cursor is worth nothing now. */
static void renew(struct remed_redis_subscriber *subscriber)
{
    subscriber->session = subscriber->link.session;
    subscriber->asked = subscriber->identified = subscriber->renamed = false;
    if (subscriber->reading == REMED_REDIS_SCAN)
        memcpy(subscriber->cursor, "0", 2);
}

/* Less at once, when that was too much. */
static int slow_down(struct remed_redis_subscriber *subscriber, int rc)
{
    struct remed_redis_pace *pace = &subscriber->pace;
    if (rc != REMED_ELIMIT || pace->count == 1)
        return rc;
    pace->most = pace->count > 8 ? pace->count / 8 : 1;
    pace->count = 1;
    return 0;
}

int remed_redis_subscriber_run(struct remed_redis_subscriber *subscriber, struct remed_error *error)
{
    struct remed_redis_link *link = &subscriber->link;
    int rc = 0;
    for (unsigned i = 0; i < REPLIES_A_PROCESS && link->state == REMED_REDIS_READY; i++) {
        struct remed_resp_cursor reply;
        if (subscriber->session != link->session)
            renew(subscriber);
        if (!subscriber->asked)
            ask(subscriber);
        rc = slow_down(subscriber, remed_redis_link_reply(link, &reply, error));
        if (rc <= 0)
            break;
        rc = take(subscriber, &reply, error);
        if (rc < 0)
            break;
    }
    remed_redis_link_flush(link);
    bool idle = link->state != REMED_REDIS_READY || subscriber->asked;
    return rc < 0 ? rc : link->more || remed_redis_buffer_held(&link->in) > 0 || !idle;
}

int remed_redis_subscriber_process(struct remed_redis_subscriber *subscriber, uint64_t now,
                                   struct remed_error *error)
{
    if (subscriber->reading == REMED_REDIS_NOT)
        return 0;
    if (subscriber->lost[0] != '\0')
        return remed_error_set(error, REMED_ENOENT, "redis: %s", subscriber->lost);
    int rc = remed_redis_link_process(&subscriber->link, now, error);
    return rc == 0 ? remed_redis_subscriber_run(subscriber, error) : rc;
}

uint64_t remed_redis_subscriber_deadline(const struct remed_redis_subscriber *subscriber)
{
    if (subscriber->reading == REMED_REDIS_NOT || subscriber->lost[0] != '\0')
        return UINT64_MAX;
    return remed_redis_link_deadline(&subscriber->link);
}

size_t remed_redis_subscriber_position(const struct remed_redis_subscriber *subscriber, char *text,
                                       size_t size)
{
    if (subscriber->reading <= REMED_REDIS_SCAN)
        return (size_t)snprintf(text, size, "%s", subscriber->from_end ? "end" : "begin");
    return remed_redis_position_write(subscriber->options, subscriber->identity, subscriber->seen,
                                      text, size);
}
