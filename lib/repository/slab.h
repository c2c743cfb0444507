/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks of sizes in steps of a quarter of a power of two, cut from chunks of a megabyte, within a
 * hard number of bytes. Freed blocks go to the list of their size, so a table in motion allocates
 * nothing.
 *
 * Threads: belongs to one replica.
 */
#ifndef REMED_REPOSITORY_SLAB_H
#define REMED_REPOSITORY_SLAB_H

#include "base/base.h"

#define REMED_SLAB_CLASSES 48u
#define REMED_SLAB_CHUNK ((size_t)1 << 20)

struct remed_slab {
    void *free[REMED_SLAB_CLASSES]; /* each begins with a pointer to the next */
    uint8_t *chunk;                 /* the newest; each begins with a pointer to the one before */
    size_t used;                    /* of the newest */
    size_t bytes, max_bytes;        /* of all chunks */
    struct remed_allocator allocator;
};

/* Class of a size, and the bytes that its blocks have: 64, 80, 96, 112, 128, 160, … */
static inline unsigned remed_slab_class(size_t size, size_t *bytes)
{
    unsigned class = 0;
    size_t base = 64;
    while (base * 2 <= size)
        base *= 2, class += 4;
    size_t steps = size <= base ? 0 : (size - base + base / 4 - 1) / (base / 4);
    *bytes = base + steps * (base / 4);
    return class + (unsigned)steps;
}

static inline bool remed_slab_grow(struct remed_slab *slab)
{
    if (slab->bytes + REMED_SLAB_CHUNK > slab->max_bytes)
        return false;
    uint8_t *chunk = slab->allocator.resize(slab->allocator.context, NULL, 0, REMED_SLAB_CHUNK);
    if (chunk == NULL)
        return false;
    memcpy(chunk, &slab->chunk, sizeof slab->chunk);
    slab->chunk = chunk;
    slab->used = 64;
    slab->bytes += REMED_SLAB_CHUNK;
    return true;
}

/* A block of `size` bytes at least, at most 512 KiB; not zeroed. NULL when there is no room. */
static inline void *remed_slab_take(struct remed_slab *slab, size_t size)
{
    size_t bytes;
    unsigned class = remed_slab_class(size, &bytes);
    void *block = slab->free[class];
    if (block != NULL) {
        memcpy(&slab->free[class], block, sizeof block);
        return block;
    }
    if ((slab->chunk == NULL || slab->used + bytes > REMED_SLAB_CHUNK) && !remed_slab_grow(slab))
        return NULL;
    block = slab->chunk + slab->used;
    slab->used += bytes;
    return block;
}

static inline void remed_slab_give(struct remed_slab *slab, void *block, size_t size)
{
    size_t bytes;
    unsigned class = remed_slab_class(size, &bytes);
    memcpy(block, &slab->free[class], sizeof block);
    slab->free[class] = block;
}

static inline void remed_slab_fini(struct remed_slab *slab)
{
    for (uint8_t *chunk = slab->chunk, *before; chunk != NULL; chunk = before) {
        memcpy(&before, chunk, sizeof before);
        slab->allocator.resize(slab->allocator.context, chunk, REMED_SLAB_CHUNK, 0);
    }
}

#endif
