/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A record of state from within. All that is short lies in the struct, so that decoding into a
 * record that is used again allocates nothing; only blobs and what a later version added take
 * memory of their own, and that is kept when the record is cleared.
 *
 * Threads: one thread a record.
 */
#ifndef REMED_STATE_RECORD_H
#define REMED_STATE_RECORD_H

#include <remediate/state.h>
#include "base/base.h"
#include "state/wire.h"

#define REMED_WIRE_VERSION 1u
#define REMED_EXTRA_MAX 4096u /* bytes of fields that this version does not know */
#define REMED_SKIP_BUDGET 4096u

/* Bytes that grow and are kept. */
struct remed_blob {
    uint8_t *bytes;
    uint32_t length;
    uint32_t room;
};

/* Elements at the end of an array that a later version added, as they stood. */
struct remed_extra {
    struct remed_blob raw;
    uint32_t count;
};

union remed_body {
    struct remed_nat_binding nat_binding;
    struct remed_lb_assignment lb_assignment;
    struct remed_session session;
    struct remed_flow_rule flow_rule; /* its pointers are the blobs' */
    struct remed_counter counter;
    struct remed_opaque opaque; /* its pointers are the blobs' */
};

struct remed_record {
    uint8_t kind; /* 0: empty */
    uint8_t op;
    uint8_t source;
    uint8_t domain_length;
    uint8_t origin_length;
    char domain[REMED_NAME_MAX + 1];
    char origin[REMED_NAME_MAX + 1];
    uint64_t epoch, sequence, observed, expires;
    union remed_body body;
    struct remed_blob blob[2]; /* match and actions, or key and data */
    struct remed_extra extra, body_extra;
    struct remed_allocator allocator;
};

/* Copies bytes into a blob. */
int remed_blob_set(struct remed_blob *blob, const uint8_t *bytes, size_t length,
                   const struct remed_allocator *allocator);

/* Takes all the memory now that decoding into the record may need. */
int remed_record_reserve(struct remed_record *record);

/* Checks a body as remed_record_set_body() promises. */
int remed_body_check(unsigned kind, const void *body, unsigned op, struct remed_error *error);
/* Bytes of the struct of a kind; 0 for no kind. */
size_t remed_body_size(unsigned kind);

/* Eight characters at once: none is below ' ', DEL, or beyond ASCII. */
static inline uint64_t remed_not_plain(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u;
    return (word | (word - ones * 0x20) | (word + ones)) & ones << 7;
}

/* Nearly all texts are ASCII: a look without a branch a byte. */
static inline bool remed_is_plain_ascii(const char *text, size_t length)
{
    uint64_t word, other = 0;
    for (; length >= 8; text += 8, length -= 8) {
        memcpy(&word, text, 8);
        other |= remed_not_plain(word);
    }
    for (; length > 0; text++, length--)
        other |= (uint8_t)*text - 0x20u > 0x5e;
    return other == 0;
}

/* UTF-8 without control characters (RFC 3629). */
bool remed_is_plain_text(const char *text, size_t length);

static inline unsigned remed_address_length(unsigned ip_version)
{
    return ip_version == 4 ? 4 : ip_version == 6 ? 16 : 0;
}

#endif
