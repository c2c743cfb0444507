/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tags of publications that wait for their delivery report, first in, first out, in a ring of fixed
 * size.
 *
 * Threads: belongs to one transport.
 */
#ifndef REMED_REPOSITORY_TAGS_H
#define REMED_REPOSITORY_TAGS_H

#include "base/base.h"

struct remed_tags {
    uint64_t *ring;
    uint32_t room, first, count;
};

static inline int remed_tags_init(struct remed_tags *tags, uint32_t room,
                                  const struct remed_allocator *allocator)
{
    *tags = (struct remed_tags){.room = room};
    tags->ring = remed_allocate(allocator, (size_t)room * sizeof *tags->ring);
    return tags->ring == NULL ? REMED_ENOMEM : 0;
}

static inline void remed_tags_fini(struct remed_tags *tags, const struct remed_allocator *allocator)
{
    remed_release(allocator, tags->ring, (size_t)tags->room * sizeof *tags->ring);
    tags->ring = NULL;
}

static inline bool remed_tags_push(struct remed_tags *tags, uint64_t tag)
{
    if (tags->count == tags->room)
        return false;
    uint32_t at = tags->first + tags->count++;
    tags->ring[at < tags->room ? at : at - tags->room] = tag;
    return true;
}

static inline uint64_t remed_tags_pop(struct remed_tags *tags)
{
    uint64_t tag = tags->ring[tags->first];
    tags->first = tags->first + 1 < tags->room ? tags->first + 1 : 0;
    tags->count--;
    return tag;
}

#endif
