/* SPDX-License-Identifier: BSD-3-Clause */
/* The allocator in use, cache-line allocation, and the options-struct convention. Threads: no
 * state. */
#include "base/base.h"

#include <stdlib.h>

#define LINE 64u
#define MAX_OPTS 4096u /* a larger options struct is an uninitialized one */

static void *default_resize(void *context, void *memory, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(memory);
        return NULL;
    }
    return realloc(memory, new_size);
}

struct remed_allocator remed_allocator_or_default(const struct remed_allocator *allocator)
{
    if (allocator != NULL && allocator->resize != NULL)
        return *allocator;
    return (struct remed_allocator){NULL, default_resize};
}

void *remed_allocate(const struct remed_allocator *allocator, size_t size)
{
    if (allocator->resize == default_resize)
        return calloc(1,
                      size); /* fresh pages are zero already: a large table is not touched here */
    void *memory = allocator->resize(allocator->context, NULL, 0, size);
    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

void *remed_reallocate(const struct remed_allocator *allocator, void *memory, size_t old_size,
                       size_t new_size)
{
    return allocator->resize(allocator->context, memory, old_size, new_size);
}

void remed_release(const struct remed_allocator *allocator, void *memory, size_t size)
{
    if (memory != NULL)
        allocator->resize(allocator->context, memory, size, 0);
}

void *remed_allocate_lines(const struct remed_allocator *allocator, size_t size, void **base,
                           size_t *base_size)
{
    if (size > SIZE_MAX - LINE)
        return NULL;
    *base_size = size + LINE;
    *base = remed_allocate(allocator, *base_size);
    if (*base == NULL)
        return NULL;
    return (uint8_t *)*base + (LINE - (uintptr_t)*base % LINE) % LINE;
}

int remed_opts_copy(void *own, size_t own_size, const void *given, const char *name,
                    struct remed_error *error)
{
    size_t given_size;
    memcpy(&given_size, given, sizeof given_size);
    if (given_size < sizeof given_size || given_size > MAX_OPTS)
        return remed_error_set(error, REMED_EINVAL, "%s: call its _init function first", name);
    for (size_t i = own_size; i < given_size; i++)
        if (((const uint8_t *)given)[i] != 0)
            return remed_error_set(error, REMED_EINVAL,
                                   "%s: sets an option that this version of the library lacks",
                                   name);
    memcpy(own, given, given_size < own_size ? given_size : own_size);
    memcpy(own, &own_size, sizeof own_size);
    return 0;
}

void remed_stats_copy(void *given, size_t given_size, const void *own, size_t own_size)
{
    memcpy(given, own, given_size < own_size ? given_size : own_size);
    if (given_size > own_size)
        memset((uint8_t *)given + own_size, 0, given_size - own_size);
}
