/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Blocks of any size within a hard number of bytes, that can never be empty and full: memory is a
 * number of chunks of a megabyte, and blocks are cut from one of them, the head, one behind the
 * other. What is given back is a hole, and when the head is full and no more chunks may be had, the
 * emptiest chunk's blocks are moved together into a spare one. So blocks move, and their owner is
 * told each time.
 *
 * Why it can't get stuck: `limit`, the most that all blocks together may have, is 7/8 of all chunks
 * but one. Then the emptiest chunk is at most 7/8 full, whatever came before, and moving its blocks
 * leaves an eighth of a chunk free, which is more than the largest block. So whether a block fits
 * depends on the bytes of the other blocks alone, never on the order in which they came and went.
 * What it costs: at most 7 bytes are moved for each byte that is taken, when the table is full; far
 * less before, as chunks are only added, and blocks only moved, when half of what is there is
 * holes.
 *
 * Threads: belongs to one replica.
 */
#ifndef REMED_REPOSITORY_ARENA_H
#define REMED_REPOSITORY_ARENA_H

#include "base/base.h"

#define REMED_ARENA_CHUNK ((size_t)1 << 20)
#define REMED_ARENA_STEP 8u                    /* sizes are multiples of it */
#define REMED_ARENA_LARGEST ((size_t)72 << 10) /* block */
#define REMED_ARENA_NONE UINT32_MAX

/* What each block begins with. */
struct remed_block {
    uint32_t size;  /* with this, a multiple of the step */
    uint32_t chunk; /* that it lies in; REMED_ARENA_NONE: a hole */
};

struct remed_chunk {
    uint8_t *bytes;
    uint32_t used; /* cut so far, holes included */
    uint32_t live; /* of blocks */
    uint32_t next; /* in the list of spare ones */
};

/* Told of each block that moved, which is whole in both places. */
typedef void (*remed_arena_moved_fn)(void *context, struct remed_block *from,
                                     struct remed_block *to);

struct remed_arena {
    struct remed_chunk *chunks;
    uint32_t count, room, most; /* chunks, places for them, most of them */
    uint32_t head;              /* REMED_ARENA_NONE: no chunk yet */
    uint32_t spare, spares;     /* list of empty chunks, and how many there are */
    uint64_t live, limit;       /* bytes of all blocks, and the most */
    uint64_t moved;             /* bytes, since it was made */
    remed_arena_moved_fn tell;
    void *context; /* for `tell` */
    struct remed_allocator allocator;
};

/* The bytes that a block of so many has. */
static inline size_t remed_arena_round(size_t size)
{
    return (size + REMED_ARENA_STEP - 1) / REMED_ARENA_STEP * REMED_ARENA_STEP;
}

/* Takes no memory yet. `max_bytes` is two chunks at least. */
void remed_arena_init(struct remed_arena *arena, uint64_t max_bytes,
                      const struct remed_allocator *allocator);
void remed_arena_fini(struct remed_arena *arena);

/* Whether a block of a rounded size fits when one of `freed` bytes goes. */
static inline bool remed_arena_fits(const struct remed_arena *arena, size_t size, size_t freed)
{
    return arena->live - freed + size <= arena->limit;
}

/* A block of a rounded size that fits, its header filled in; the rest is not zeroed. May move any
 * other. NULL only when the allocator gave no chunk that would have been needed. */
struct remed_block *remed_arena_take(struct remed_arena *arena, size_t size);
/* Makes a block smaller where it is. */
void remed_arena_shrink(struct remed_arena *arena, struct remed_block *block, size_t size);
void remed_arena_give(struct remed_arena *arena, struct remed_block *block);

#endif
