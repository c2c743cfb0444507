/* SPDX-License-Identifier: BSD-3-Clause */
/* The chunks of arena.h. Threads: belongs to one replica. */
#include "repository/arena.h"

#define LIVE_OF_EIGHT 7u

void remed_arena_init(struct remed_arena *arena, uint64_t max_bytes,
                      const struct remed_allocator *allocator)
{
    uint64_t most = max_bytes / REMED_ARENA_CHUNK;
    *arena = (struct remed_arena){.head = REMED_ARENA_NONE,
                                  .spare = REMED_ARENA_NONE,
                                  .most = (uint32_t)(most < UINT32_MAX / 2 ? most : UINT32_MAX / 2),
                                  .allocator = *allocator};
    arena->limit = (uint64_t)(arena->most - 1) * (REMED_ARENA_CHUNK / 8 * LIVE_OF_EIGHT);
}

void remed_arena_fini(struct remed_arena *arena)
{
    for (uint32_t i = 0; i < arena->count; i++)
        remed_release(&arena->allocator, arena->chunks[i].bytes, REMED_ARENA_CHUNK);
    remed_release(&arena->allocator, arena->chunks, arena->room * sizeof *arena->chunks);
    arena->chunks = NULL;
    arena->count = arena->room = 0;
}

static void push_spare(struct remed_arena *arena, uint32_t number)
{
    arena->chunks[number].used = 0;
    arena->chunks[number].next = arena->spare;
    arena->spare = number;
    arena->spares++;
}

static uint32_t pop_spare(struct remed_arena *arena)
{
    uint32_t number = arena->spare;
    arena->spare = arena->chunks[number].next;
    arena->spares--;
    return number;
}

static bool add_chunk(struct remed_arena *arena)
{
    if (arena->count == arena->room) {
        uint32_t room = arena->room == 0 ? 16 : 2 * arena->room;
        struct remed_chunk *grown = remed_reallocate(
            &arena->allocator, arena->chunks, arena->room * sizeof *grown, room * sizeof *grown);
        if (grown == NULL)
            return false;
        arena->chunks = grown;
        arena->room = room;
    }
    uint8_t *bytes = remed_reallocate(&arena->allocator, NULL, 0, REMED_ARENA_CHUNK);
    if (bytes == NULL)
        return false;
    arena->chunks[arena->count] = (struct remed_chunk){.bytes = bytes};
    push_spare(arena, arena->count++);
    return true;
}

/* More memory only when half of what there is, the spare chunk aside, is in use. */
static bool may_grow(const struct remed_arena *arena)
{
    return arena->count < arena->most &&
           (arena->count < 2 || arena->live >= (arena->count - 1) * (REMED_ARENA_CHUNK / 2));
}

static struct remed_block *cut(struct remed_arena *arena, size_t size)
{
    struct remed_chunk *head = &arena->chunks[arena->head];
    struct remed_block *block = (struct remed_block *)(void *)(head->bytes + head->used);
    *block = (struct remed_block){(uint32_t)size, arena->head};
    head->used += (uint32_t)size;
    head->live += (uint32_t)size;
    return block;
}

static uint32_t emptiest(const struct remed_arena *arena)
{
    uint32_t found = REMED_ARENA_NONE;
    for (uint32_t i = 0; i < arena->count; i++)
        if (arena->chunks[i].used != 0 && /* a spare one has nothing to give */
            (found == REMED_ARENA_NONE || arena->chunks[i].live < arena->chunks[found].live))
            found = i;
    return found;
}

static void move_blocks(struct remed_arena *arena, struct remed_chunk *chunk)
{
    for (size_t at = 0; at < chunk->used;) {
        struct remed_block *from = (struct remed_block *)(void *)(chunk->bytes + at);
        at += from->size;
        if (from->chunk == REMED_ARENA_NONE)
            continue;
        struct remed_block *to = cut(arena, from->size);
        memcpy(to + 1, from + 1, from->size - sizeof *from);
        arena->moved += from->size;
        arena->tell(arena->context, from, to);
    }
    chunk->live = 0;
}

/* Moves the blocks of the emptiest chunk into the spare one, which becomes the head. */
static bool compact(struct remed_arena *arena)
{
    uint32_t victim = emptiest(arena);
    if (victim == REMED_ARENA_NONE || arena->spares == 0 ||
        arena->chunks[victim].live > REMED_ARENA_CHUNK - REMED_ARENA_LARGEST)
        return false; /* only when chunks could not be had */
    arena->head = pop_spare(arena);
    move_blocks(arena, &arena->chunks[victim]);
    push_spare(arena, victim);
    return true;
}

/* Another head. One spare chunk is always left, as there would be nowhere to move to without. */
static bool renew_head(struct remed_arena *arena)
{
    while (arena->spares < 2 && may_grow(arena) && add_chunk(arena))
        ;
    if (arena->spares < 2)
        return compact(arena);
    arena->head = pop_spare(arena);
    return true;
}

struct remed_block *remed_arena_take(struct remed_arena *arena, size_t size)
{
    bool full = arena->head == REMED_ARENA_NONE ||
                arena->chunks[arena->head].used + size > REMED_ARENA_CHUNK;
    if (full && (size > REMED_ARENA_LARGEST || !renew_head(arena)))
        return NULL;
    arena->live += size;
    return cut(arena, size);
}

static void make_hole(struct remed_arena *arena, struct remed_block *block, size_t size,
                      uint32_t number)
{
    struct remed_chunk *chunk = &arena->chunks[number];
    *block = (struct remed_block){(uint32_t)size, REMED_ARENA_NONE};
    arena->live -= size;
    chunk->live -= (uint32_t)size;
    if (chunk->live > 0)
        return;
    if (number == arena->head)
        chunk->used = 0;
    else
        push_spare(arena, number);
}

void remed_arena_shrink(struct remed_arena *arena, struct remed_block *block, size_t size)
{
    size_t rest = block->size - size;
    if (rest == 0)
        return;
    block->size = (uint32_t)size;
    make_hole(arena, (struct remed_block *)(void *)((uint8_t *)block + size), rest, block->chunk);
}

void remed_arena_give(struct remed_arena *arena, struct remed_block *block)
{
    make_hole(arena, block, block->size, block->chunk);
}
