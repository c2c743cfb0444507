/* SPDX-License-Identifier: BSD-3-Clause */
/* The protocol of resp.h. Threads: belongs to one transport. */
#include "backend/redis/resp.h"

#include <stdio.h>

#define LEAST_ROOM 4096u
#define LINE_MOST 4096u /* of a status or an error, the CRLF included */

bool remed_redis_buffer_reserve(struct remed_redis_buffer *buffer, size_t size)
{
    if (buffer->room - buffer->end >= size)
        return true;
    size_t held = remed_redis_buffer_held(buffer);
    if (buffer->begin > 0 && held > 0)
        memmove(buffer->bytes, buffer->bytes + buffer->begin, held);
    buffer->begin = 0;
    buffer->end = held;
    if (buffer->room - held >= size)
        return true;
    size_t room = buffer->room > LEAST_ROOM / 2 ? buffer->room : LEAST_ROOM / 2;
    while (room <= SIZE_MAX / 2 && room - held < size)
        room *= 2;
    uint8_t *grown = room - held >= size
                         ? remed_reallocate(&buffer->allocator, buffer->bytes, buffer->room, room)
                         : NULL;
    if (grown == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->bytes = grown;
    buffer->room = room;
    return true;
}

void remed_redis_buffer_append(struct remed_redis_buffer *buffer, const void *bytes, size_t size)
{
    if (size == 0 || !remed_redis_buffer_reserve(buffer, size))
        return;
    memcpy(buffer->bytes + buffer->end, bytes, size);
    buffer->end += size;
}

void remed_redis_buffer_clear(struct remed_redis_buffer *buffer, size_t keep)
{
    buffer->begin = buffer->end = 0;
    buffer->failed = false;
    if (buffer->room <= keep)
        return;
    remed_release(&buffer->allocator, buffer->bytes, buffer->room);
    buffer->bytes = NULL;
    buffer->room = 0;
}

static void write_head(struct remed_redis_buffer *buffer, char kind, uint64_t number)
{
    char head[24], *at = head + sizeof head;
    *--at = '\n';
    *--at = '\r';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    *--at = kind;
    remed_redis_buffer_append(buffer, at, (size_t)(head + sizeof head - at));
}

void remed_resp_array(struct remed_redis_buffer *buffer, uint64_t count)
{
    write_head(buffer, '*', count);
}

void remed_resp_bytes(struct remed_redis_buffer *buffer, const void *bytes, size_t length)
{
    write_head(buffer, '$', length);
    remed_redis_buffer_append(buffer, bytes, length);
    remed_redis_buffer_append(buffer, "\r\n", 2);
}

void remed_resp_text(struct remed_redis_buffer *buffer, const char *text)
{
    remed_resp_bytes(buffer, text, strlen(text));
}

void remed_resp_number(struct remed_redis_buffer *buffer, uint64_t number)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    remed_resp_bytes(buffer, text, (size_t)length);
}

static bool read_number(const uint8_t *text, size_t length, int64_t *number)
{
    bool negative = length > 0 && text[0] == '-';
    size_t at = negative;
    int64_t value = 0;
    if (at == length)
        return false;
    for (; at < length; at++) {
        int digit = text[at] - '0';
        if (digit < 0 || digit > 9 || value > (INT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = negative ? -value : value;
    return true;
}

/* A text's or an array's head: its length or its count, -1 for nil. */
static bool read_size(struct remed_resp_item *item)
{
    if (!read_number(item->text, item->length, &item->number) || item->number < -1)
        return false;
    if (item->number == -1) {
        item->kind = REMED_RESP_NIL;
        item->number = 0;
    }
    item->length = item->kind == REMED_RESP_TEXT ? (size_t)item->number : 0;
    return (uint64_t)item->number <= SIZE_MAX / 2;
}

/* The line that begins an item: 1 with its bytes in `used`, 0 when it is not whole. */
static int read_line(const uint8_t *bytes, size_t length, struct remed_resp_item *item,
                     size_t *used)
{
    static const char kinds[] = "+-:$*";
    static const enum remed_resp_kind kind[] = {
        REMED_RESP_STATUS, REMED_RESP_ERROR, REMED_RESP_NUMBER, REMED_RESP_TEXT, REMED_RESP_ARRAY};
    if (length == 0)
        return 0;
    const char *found = bytes[0] != '\0' ? strchr(kinds, bytes[0]) : NULL;
    if (found == NULL)
        return REMED_EFORMAT;
    const uint8_t *newline = memchr(bytes, '\n', length < LINE_MOST ? length : LINE_MOST);
    if (newline == NULL)
        return length < LINE_MOST ? 0 : REMED_EFORMAT;
    if (newline - bytes < 2 || newline[-1] != '\r')
        return REMED_EFORMAT;
    *used = (size_t)(newline - bytes) + 1;
    *item = (struct remed_resp_item){
        .kind = kind[found - kinds], .text = bytes + 1, .length = *used - 3};
    bool right = true;
    if (item->kind == REMED_RESP_NUMBER)
        right = read_number(item->text, item->length, &item->number);
    else if (item->kind == REMED_RESP_TEXT || item->kind == REMED_RESP_ARRAY)
        right = read_size(item);
    return right ? 1 : REMED_EFORMAT;
}

/* One item without those in it: 1 with its bytes in `used`, 0 when it is not whole. */
static int read_item(const uint8_t *bytes, size_t length, size_t most, struct remed_resp_item *item,
                     size_t *used)
{
    int rc = read_line(bytes, length, item, used);
    if (rc <= 0)
        return rc;
    if (*used > most)
        return REMED_ELIMIT;
    if (item->kind == REMED_RESP_ARRAY && (uint64_t)item->number > most / 3) /* 3 bytes at least */
        return REMED_ELIMIT;
    if (item->kind != REMED_RESP_TEXT)
        return 1;
    if (item->length > most - *used || most - *used - item->length < 2)
        return REMED_ELIMIT;
    size_t rest = item->length + 2;
    if (length - *used < rest)
        return 0;
    item->text = bytes + *used;
    *used += rest;
    return memcmp(item->text + item->length, "\r\n", 2) == 0 ? 1 : REMED_EFORMAT;
}

int remed_resp_measure(struct remed_resp_scan *scan, const uint8_t *bytes, size_t length,
                       size_t most)
{
    for (;;) {
        struct remed_resp_item item;
        size_t used = 0;
        if (scan->at > most)
            return REMED_ELIMIT;
        int rc = read_item(bytes + scan->at, length - scan->at, most - scan->at, &item, &used);
        if (rc <= 0)
            return rc;
        scan->at += used;
        if (item.kind == REMED_RESP_ARRAY && item.number > 0) {
            if (scan->depth == REMED_RESP_DEPTH)
                return REMED_EFORMAT;
            scan->left[scan->depth++] = item.number;
            continue;
        }
        while (scan->depth > 0 && --scan->left[scan->depth - 1] == 0)
            scan->depth--;
        if (scan->depth == 0)
            return 1;
    }
}

bool remed_resp_next(struct remed_resp_cursor *cursor, struct remed_resp_item *item)
{
    size_t used = 0, length = (size_t)(cursor->end - cursor->at);
    if (length == 0 || read_item(cursor->at, length, length, item, &used) != 1)
        return false;
    cursor->at += used;
    return true;
}

bool remed_resp_take(struct remed_resp_cursor *cursor, enum remed_resp_kind kind,
                     struct remed_resp_item *item)
{
    return remed_resp_next(cursor, item) && item->kind == kind;
}

bool remed_resp_skip(struct remed_resp_cursor *cursor)
{
    struct remed_resp_item item;
    for (int64_t left = 1; left > 0; left--) {
        if (!remed_resp_next(cursor, &item))
            return false;
        if (item.kind == REMED_RESP_ARRAY)
            left += item.number;
    }
    return true;
}
