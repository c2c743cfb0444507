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
    remed_release(allocator, match->text, match->text_size);
    remed_release(allocator, match, sizeof *match);
}

int remed_match_copy(struct remed_match **copy, const struct remed_match *match,
                     const struct remed_allocator *allocator)
{
    struct remed_match *made = remed_allocate(allocator, sizeof *made);
    if (made == NULL)
        return REMED_ENOMEM;
    *made = (struct remed_match){.count = match->count, .text_size = match->text_size};
    made->tests = remed_allocate(allocator, match->count * sizeof *made->tests);
    made->text = remed_allocate(allocator, match->text_size);
    if (made->tests == NULL || made->text == NULL) {
        remed_match_free(made, allocator);
        return REMED_ENOMEM;
    }
    memcpy(made->tests, match->tests, match->count * sizeof *made->tests);
    memcpy(made->text, match->text, match->text_size);
    *copy = made;
    return 0;
}

bool remed_match_equal(const struct remed_match *a, const struct remed_match *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->count == b->count && memcmp(a->tests, b->tests, a->count * sizeof *a->tests) == 0;
}
