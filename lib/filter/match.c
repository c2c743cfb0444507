/* SPDX-License-Identifier: BSD-3-Clause */
/* A compiled MATCH as an object: copied, compared, freed. Threads: none of its own. */
#include "filter/match.h"

void *remed_grow(struct remed_growing *growing, size_t size,
                 const struct remed_allocator *allocator)
{
    if (growing->count == growing->room) {
        size_t room = growing->room == 0 ? 8 : growing->room * 2;
        void *items =
            remed_reallocate(allocator, growing->items, growing->room * size, room * size);
        if (items == NULL)
            return NULL;
        growing->items = items;
        growing->room = room;
    }
    return (uint8_t *)growing->items + growing->count++ * size;
}

void remed_match_free(struct remed_match *match, const struct remed_allocator *allocator)
{
    if (match == NULL)
        return;
    remed_release(allocator, match->tests, match->count * sizeof *match->tests);
    remed_release(allocator, match->steps, match->step_count * sizeof *match->steps);
    remed_release(allocator, match->text, match->text_size);
    remed_release(allocator, match, sizeof *match);
}

/* A copy of an array; NULL for an array of nothing, or without memory. */
static void *copy_array(const void *items, size_t bytes, const struct remed_allocator *allocator)
{
    void *copy = bytes != 0 ? remed_allocate(allocator, bytes) : NULL;
    if (copy != NULL)
        memcpy(copy, items, bytes);
    return copy;
}

int remed_match_copy(struct remed_match **copy, const struct remed_match *match,
                     const struct remed_allocator *allocator)
{
    struct remed_match *made = remed_allocate(allocator, sizeof *made);
    if (made == NULL)
        return REMED_ENOMEM;
    *made = (struct remed_match){
        .count = match->count, .step_count = match->step_count, .text_size = match->text_size};
    made->tests = copy_array(match->tests, match->count * sizeof *made->tests, allocator);
    made->steps = copy_array(match->steps, match->step_count * sizeof *made->steps, allocator);
    made->text = copy_array(match->text, match->text_size, allocator);
    bool whole = made->tests != NULL && made->text != NULL &&
                 (made->steps != NULL || match->step_count == 0);
    if (!whole) {
        remed_match_free(made, allocator);
        return REMED_ENOMEM;
    }
    *copy = made;
    return 0;
}

bool remed_match_equal(const struct remed_match *a, const struct remed_match *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (a->count != b->count || a->step_count != b->step_count ||
        memcmp(a->tests, b->tests, a->count * sizeof *a->tests) != 0)
        return false;
    return a->step_count == 0 || memcmp(a->steps, b->steps, a->step_count * sizeof *a->steps) == 0;
}
