/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a publisher has given its transport and no report has come for: a ring of slots, first in,
 * first out, and with a spool a ring of their bytes, so that they can still be kept when the
 * transport lets go of them. Both have a hard size.
 *
 * Threads: belongs to one publisher.
 */
#ifndef REMED_REPOSITORY_FLIGHT_H
#define REMED_REPOSITORY_FLIGHT_H

#include <remediate/transport.h>
#include "base/base.h"

#define REMED_FLIGHT_DIRECT UINT64_MAX

enum remed_flight_state { REMED_FLIGHT_PENDING, REMED_FLIGHT_ENDED, REMED_FLIGHT_LEFT };

struct remed_flight_slot {
    uint64_t tag;          /* the host's */
    uint64_t spool_offset; /* where it lies in the spool; REMED_FLIGHT_DIRECT: it never did */
    uint64_t at;           /* its bytes, by running number */
    uint32_t key_length, value_length;
    unsigned filled; /* enum remed_filled of spool.h */
    enum remed_flight_state state;
};

struct remed_flight {
    struct remed_flight_slot *slots;
    uint8_t *bytes;
    uint64_t room, size;  /* slots; bytes, 0: none are kept */
    uint64_t first, next; /* slots in use, by running number */
    uint64_t begin, end;  /* bytes in use, by running number */
    uint64_t spooled;     /* slots that came from the spool */
};

static inline int remed_flight_init(struct remed_flight *flight, uint32_t room, uint64_t size,
                                    const struct remed_allocator *allocator)
{
    *flight = (struct remed_flight){.room = room, .size = size};
    flight->slots = remed_allocate(allocator, room * sizeof *flight->slots);
    if (size != 0)
        flight->bytes = remed_reallocate(allocator, NULL, 0, (size_t)size);
    return flight->slots == NULL || (size != 0 && flight->bytes == NULL) ? REMED_ENOMEM : 0;
}

static inline void remed_flight_fini(struct remed_flight *flight,
                                     const struct remed_allocator *allocator)
{
    remed_release(allocator, flight->slots, (size_t)flight->room * sizeof *flight->slots);
    remed_release(allocator, flight->bytes, (size_t)flight->size);
    flight->slots = NULL;
    flight->bytes = NULL;
}

static inline struct remed_flight_slot *remed_flight_slot(const struct remed_flight *flight,
                                                          uint64_t number)
{
    return &flight->slots[number % flight->room];
}

/* Whether a message of so many bytes can be taken, and where its bytes go. */
static inline bool remed_flight_fits(const struct remed_flight *flight, size_t bytes, uint64_t *at)
{
    *at = flight->end;
    if (flight->next - flight->first == flight->room)
        return false;
    if (flight->size == 0)
        return true;
    if (*at % flight->size + bytes > flight->size)
        *at += flight->size - *at % flight->size; /* in one piece: on from the front */
    return *at + bytes - flight->begin <= flight->size;
}

/* Takes what fits. */
static inline void remed_flight_push(struct remed_flight *flight,
                                     const struct remed_message *message, uint64_t tag,
                                     unsigned filled, uint64_t spool_offset, uint64_t at)
{
    struct remed_flight_slot *slot = remed_flight_slot(flight, flight->next++);
    *slot = (struct remed_flight_slot){.tag = tag,
                                       .filled = filled,
                                       .spool_offset = spool_offset,
                                       .at = at,
                                       .key_length = (uint32_t)message->key_length,
                                       .value_length = (uint32_t)message->value_length};
    flight->spooled += spool_offset != REMED_FLIGHT_DIRECT;
    if (flight->size == 0)
        return;
    uint8_t *to = flight->bytes + at % flight->size;
    memcpy(to, message->key, message->key_length);
    if (message->value_length != 0)
        memcpy(to + message->key_length, message->value, message->value_length);
    flight->end = at + message->key_length + message->value_length;
}

/* Lets go of the oldest slot when its report has come; NULL when not. Valid until the next push. */
static inline const struct remed_flight_slot *remed_flight_pop(struct remed_flight *flight)
{
    struct remed_flight_slot *slot = remed_flight_slot(flight, flight->first);
    if (flight->first == flight->next || slot->state != REMED_FLIGHT_ENDED)
        return NULL;
    flight->first++;
    flight->begin = slot->at + slot->key_length + slot->value_length;
    flight->spooled -= slot->spool_offset != REMED_FLIGHT_DIRECT;
    return slot;
}

/* A slot's message. */
static inline struct remed_message remed_flight_message(const struct remed_flight *flight,
                                                        const struct remed_flight_slot *slot)
{
    const uint8_t *bytes = flight->bytes + slot->at % flight->size;
    return (struct remed_message){.key = bytes,
                                  .key_length = slot->key_length,
                                  .value =
                                      slot->value_length != 0 ? bytes + slot->key_length : NULL,
                                  .value_length = slot->value_length};
}

#endif
