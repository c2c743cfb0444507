/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Redis' protocol, RESP2: commands written into a buffer, replies measured as they grow and walked
 * in place when they are whole. Why not hiredis' reader: it allocates every element of a reply, by
 * malloc, and believes what a server says of an array's size.
 *
 *     +OK\r\n          status          $5\r\nhello\r\n    text, $-1\r\n: nil
 *     -ERR why\r\n     error           *2\r\n…            array of the two items that follow
 *     :7\r\n           number
 *
 * Threads: belongs to one transport.
 */
#ifndef REMED_BACKEND_REDIS_RESP_H
#define REMED_BACKEND_REDIS_RESP_H

#include "base/base.h"

/* Bytes from `begin` to `end` of `room`. */
struct remed_redis_buffer {
    uint8_t *bytes;
    size_t room, begin, end;
    bool failed; /* there was no memory: what was written is not whole */
    struct remed_allocator allocator;
};

/* Makes room for `size` bytes more behind `end`; false sets `failed`. */
bool remed_redis_buffer_reserve(struct remed_redis_buffer *buffer, size_t size);
void remed_redis_buffer_append(struct remed_redis_buffer *buffer, const void *bytes, size_t size);
/* Empties it; gives back what is beyond `keep` bytes. */
void remed_redis_buffer_clear(struct remed_redis_buffer *buffer, size_t keep);

static inline size_t remed_redis_buffer_held(const struct remed_redis_buffer *buffer)
{
    return buffer->end - buffer->begin;
}

/* A command: an array of texts. */
void remed_resp_array(struct remed_redis_buffer *buffer, uint64_t count);
void remed_resp_bytes(struct remed_redis_buffer *buffer, const void *bytes, size_t length);
void remed_resp_text(struct remed_redis_buffer *buffer, const char *text);
void remed_resp_number(struct remed_redis_buffer *buffer, uint64_t number);

enum remed_resp_kind {
    REMED_RESP_STATUS,
    REMED_RESP_ERROR,
    REMED_RESP_NUMBER,
    REMED_RESP_TEXT,
    REMED_RESP_NIL,
    REMED_RESP_ARRAY
};

struct remed_resp_item {
    enum remed_resp_kind kind;
    int64_t number;      /* of a number; of an array: how many items follow */
    const uint8_t *text; /* of a status, an error or a text; borrowed from the buffer */
    size_t length;
};

#define REMED_RESP_DEPTH 8u

/* How far a reply was looked at, so that nothing is looked at twice; all zero to begin. */
struct remed_resp_scan {
    size_t at;
    unsigned depth;
    int64_t left[REMED_RESP_DEPTH];
};

/*
 * Looks for the end of the reply that begins at `bytes`: 1 when it is whole and `scan->at` bytes
 * long, 0 when more must come, REMED_EFORMAT for what is no reply, REMED_ELIMIT for one of more
 * than `most` bytes, as soon as it says so.
 */
int remed_resp_measure(struct remed_resp_scan *scan, const uint8_t *bytes, size_t length,
                       size_t most);

struct remed_resp_cursor {
    const uint8_t *at, *end;
};

/* Takes the next item; an array's items follow it. False at the end. */
bool remed_resp_next(struct remed_resp_cursor *cursor, struct remed_resp_item *item);
/* The same when it is of that kind; else false, and something was taken. */
bool remed_resp_take(struct remed_resp_cursor *cursor, enum remed_resp_kind kind,
                     struct remed_resp_item *item);
/* Passes over one item with all that is in it. */
bool remed_resp_skip(struct remed_resp_cursor *cursor);

#endif
