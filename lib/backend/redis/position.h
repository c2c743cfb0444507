/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Positions as text: "redis:ID/DATABASE/STREAM/MS-SEQUENCE". They name what they belong to: the
 * stream, its database, and the id that its first publisher gave it, which survives a restart of
 * the server and a replica that takes over, and not a stream that was made anew. '-' stands for an
 * id that the stream does not have (yet).
 *
 * Threads: no state.
 */
#ifndef REMED_BACKEND_REDIS_POSITION_H
#define REMED_BACKEND_REDIS_POSITION_H

#include "backend/redis/options.h"

#define REMED_REDIS_IDENTITY 32u /* hexadecimal digits of a stream's id */

/* An id of the stream's entries, "milliseconds-sequence". */
struct remed_redis_id {
    uint64_t ms, sequence;
};

/* "ms-sequence" and nothing else. */
bool remed_redis_id_read(const uint8_t *text, size_t length, struct remed_redis_id *id);

/* Whether it is the id of a stream. */
bool remed_redis_is_identity(const uint8_t *text, size_t length);

/* Writes a position, as snprintf does. `identity` "": none is known. */
size_t remed_redis_position_write(const struct remed_redis_options *options, const char *identity,
                                  struct remed_redis_id at, char *text, size_t size);
/* Reads one of this stream; REMED_EINVAL for another text, and for one of another stream.
 * `identity` has room for REMED_REDIS_IDENTITY + 1 bytes. */
int remed_redis_position_read(const struct remed_redis_options *options, const char *text,
                              char *identity, struct remed_redis_id *at, struct remed_error *error);

#endif
