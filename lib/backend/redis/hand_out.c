/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a subscriber hands out of a scan's step and of the stream's entries. What is not of our
 * making is passed over and counted.
 *
 * Threads: belongs to one transport.
 */
#include "backend/redis/subscribe.h"

#include <stdio.h>

#define STEP_BYTES 262144u /* what a reply is to have, about */

/* Aims at replies of STEP_BYTES, growing at most twofold. */
static void set_pace(struct remed_redis_pace *pace, size_t bytes, uint32_t count)
{
    uint64_t wanted = bytes > 0 ? (uint64_t)count * STEP_BYTES / bytes : pace->most;
    if (wanted > 2 * (uint64_t)pace->count)
        wanted = 2 * (uint64_t)pace->count;
    if (wanted > pace->most)
        wanted = pace->most;
    pace->count = wanted > 0 ? (uint32_t)wanted : 1;
}

/* Counts what is passed over, and keeps what the first was. */
static void note_damage(struct remed_redis_subscriber *subscriber, struct remed_redis_id id,
                        const char *what)
{
    if (subscriber->damaged++ == 0)
        snprintf(subscriber->damage, sizeof subscriber->damage, "stream %.80s, entry %llu-%llu: %s",
                 subscriber->options->stream, (unsigned long long)id.ms,
                 (unsigned long long)id.sequence, what);
}

/* A number that grows with the id; all values of one entry have the same. */
static uint64_t offset_of(struct remed_redis_id id)
{
    return id.ms << 20 | (id.sequence & 0xfffff);
}

static void hand_out(struct remed_redis_subscriber *subscriber, struct remed_redis_id id,
                     const struct remed_resp_item *key, const uint8_t *value, size_t length)
{
    const struct remed_message message = {.key = key->text,
                                          .value = length != 0 ? value : NULL,
                                          .key_length = key->length,
                                          .value_length = length,
                                          .offset = offset_of(id)};
    if (key->length == 0 || key->length > REMED_TRANSPORT_KEY_MAX ||
        length > REMED_TRANSPORT_VALUE_MAX)
        note_damage(subscriber, id, "a key or a value of another length than ours have");
    else
        subscriber->events.message(subscriber->events.context, &message);
}

/* A value of the hash, "id value". What is newer than the start comes by the stream. */
static void take_newest(struct remed_redis_subscriber *subscriber,
                        const struct remed_resp_item *key, const struct remed_resp_item *text)
{
    struct remed_redis_id id = {0, 0};
    const uint8_t *blank = memchr(text->text, ' ', text->length);
    if (key->length == 0)
        return; /* the last entry's id */
    if (blank == NULL || !remed_redis_id_read(text->text, (size_t)(blank - text->text), &id)) {
        note_damage(subscriber, subscriber->start, "a newest value without the id of its entry");
        return;
    }
    if (remed_redis_id_compare(id, subscriber->start) <= 0)
        hand_out(subscriber, id, key, blank + 1, text->length - (size_t)(blank + 1 - text->text));
}

int remed_redis_take_scan(struct remed_redis_subscriber *subscriber,
                          struct remed_resp_cursor *reply, struct remed_error *error)
{
    struct remed_resp_item item, key, value;
    size_t bytes = (size_t)(reply->end - reply->at);
    if (!remed_resp_take(reply, REMED_RESP_ARRAY, &item) || item.number != 2 ||
        !remed_resp_take(reply, REMED_RESP_TEXT, &item) || item.length == 0 ||
        item.length >= sizeof subscriber->cursor)
        return remed_error_set(error, REMED_EFORMAT, "redis: no answer to HSCAN");
    memcpy(subscriber->cursor, item.text, item.length);
    subscriber->cursor[item.length] = '\0';
    if (!remed_resp_take(reply, REMED_RESP_ARRAY, &item))
        return remed_error_set(error, REMED_EFORMAT, "redis: no answer to HSCAN");
    for (int64_t left = item.number / 2; left > 0; left--) {
        if (!remed_resp_take(reply, REMED_RESP_TEXT, &key) ||
            !remed_resp_take(reply, REMED_RESP_TEXT, &value))
            return remed_error_set(error, REMED_EFORMAT, "redis: no answer to HSCAN");
        take_newest(subscriber, &key, &value);
    }
    set_pace(&subscriber->pace, bytes, subscriber->pace.count);
    return 0;
}

int remed_redis_lose(struct remed_redis_subscriber *subscriber, struct remed_redis_id next,
                     struct remed_error *error)
{
    snprintf(subscriber->lost, sizeof subscriber->lost,
             "fell behind: entries after %llu-%llu are gone from the server, which is at "
             "%llu-%llu; begin anew",
             (unsigned long long)subscriber->seen.ms, (unsigned long long)subscriber->seen.sequence,
             (unsigned long long)next.ms, (unsigned long long)next.sequence);
    return remed_error_set(error, REMED_ENOENT, "redis: %s", subscriber->lost);
}

/* The fields of one entry, `count` items: '' and its predecessor, then keys and values. */
static int take_fields(struct remed_redis_subscriber *subscriber, struct remed_resp_cursor *reply,
                       struct remed_redis_id id, int64_t count, struct remed_error *error)
{
    struct remed_resp_item key, value;
    struct remed_redis_id before;
    for (int64_t at = 0; at + 1 < count; at += 2) {
        if (!remed_resp_take(reply, REMED_RESP_TEXT, &key) ||
            !remed_resp_take(reply, REMED_RESP_TEXT, &value))
            return remed_error_set(error, REMED_EFORMAT, "redis: no answer to XREAD");
        if (at > 0) {
            hand_out(subscriber, id, &key, value.text, value.length);
            continue;
        }
        if (key.length != 0 || !remed_redis_id_read(value.text, value.length, &before)) {
            note_damage(subscriber, id, "not ours"); /* somebody else's: to its end */
            for (at += 2; at < count; at++)
                if (!remed_resp_skip(reply))
                    return remed_error_set(error, REMED_EFORMAT, "redis: no answer to XREAD");
            return 0;
        }
        if (remed_redis_id_compare(before, subscriber->seen) != 0)
            return remed_redis_lose(subscriber, id, error);
    }
    if (count > 0)
        subscriber->seen = id;
    return 0;
}

static int take_entry(struct remed_redis_subscriber *subscriber, struct remed_resp_cursor *reply,
                      struct remed_error *error)
{
    struct remed_resp_item item;
    struct remed_redis_id id;
    if (!remed_resp_take(reply, REMED_RESP_ARRAY, &item) || item.number != 2 ||
        !remed_resp_take(reply, REMED_RESP_TEXT, &item) ||
        !remed_redis_id_read(item.text, item.length, &id) ||
        remed_redis_id_compare(id, subscriber->at) <= 0)
        return remed_error_set(error, REMED_EFORMAT, "redis: no answer to XREAD");
    if (!remed_resp_next(reply, &item) ||
        (item.kind != REMED_RESP_ARRAY && item.kind != REMED_RESP_NIL) || item.number % 2 != 0)
        return remed_error_set(error, REMED_EFORMAT, "redis: no answer to XREAD");
    int rc = take_fields(subscriber, reply, id, item.number, error);
    if (rc == 0)
        subscriber->at = id;
    return rc;
}

int remed_redis_take_entries(struct remed_redis_subscriber *subscriber,
                             struct remed_resp_cursor *reply, struct remed_error *error)
{
    struct remed_resp_item item;
    size_t bytes = (size_t)(reply->end - reply->at);
    if (!remed_resp_take(reply, REMED_RESP_ARRAY, &item) || item.number != 1 ||
        !remed_resp_take(reply, REMED_RESP_ARRAY, &item) || item.number != 2 ||
        !remed_resp_take(reply, REMED_RESP_TEXT, &item) ||
        !remed_resp_take(reply, REMED_RESP_ARRAY, &item) || item.number > UINT32_MAX)
        return remed_error_set(error, REMED_EFORMAT, "redis: no answer to XREAD");
    for (int64_t left = item.number; left > 0; left--) {
        int rc = take_entry(subscriber, reply, error);
        if (rc < 0)
            return rc;
    }
    set_pace(&subscriber->pace, bytes, (uint32_t)item.number);
    return 0;
}
