/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An allocator for tables of many megabytes: huge pages where the kernel has them, since a random
 * access among a million flows misses the TLB nearly every time with small ones.
 *
 * Threads: no state.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

static size_t rounded(size_t size)
{
    return (size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
}

static void *map(size_t size)
{
    size_t whole = rounded(size) + HUGE_PAGE;
    uint8_t *start = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    size_t before = (HUGE_PAGE - (uintptr_t)start % HUGE_PAGE) % HUGE_PAGE;
    if (before > 0)
        munmap(start, before);
    if (HUGE_PAGE - before > 0)
        munmap(start + before + rounded(size), HUGE_PAGE - before);
    (void)madvise(start + before, rounded(size), MADV_HUGEPAGE);
    return start + before;
}

static void *resize(void *context, void *memory, size_t old_size, size_t new_size)
{
    (void)context;
    if (new_size == 0) {
        if (old_size >= HUGE_PAGE)
            munmap(memory, rounded(old_size));
        else
            free(memory);
        return NULL;
    }
    if (old_size < HUGE_PAGE && new_size < HUGE_PAGE)
        return realloc(memory, new_size);
    void *moved = new_size >= HUGE_PAGE ? map(new_size) : malloc(new_size);
    if (moved != NULL && memory != NULL) {
        memcpy(moved, memory, old_size < new_size ? old_size : new_size);
        resize(NULL, memory, old_size, 0);
    }
    return moved;
}

const struct remed_allocator huge_memory = {NULL, resize};
