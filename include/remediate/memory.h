/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file memory.h
 * The caller's allocator.
 *
 * Each object takes one when it is made and uses it for all its memory, so that firmware can place
 * tables where it wants (huge pages, a static arena). NULL means malloc and free.
 *
 * Threads: the library calls an allocator only from the thread that uses the object.
 */
#ifndef REMEDIATE_MEMORY_H
#define REMEDIATE_MEMORY_H

#include <remediate/export.h>
#include <stddef.h>

REMED_BEGIN_DECLS

/** An allocator: one function and its context. Copied by the objects that take it. */
struct remed_allocator {
    void *context; /**< handed back to `resize` untouched; must outlive the objects */
    /**
     * Allocates, grows, shrinks or frees.
     * @param context the allocator's context
     * @param memory NULL to allocate, else a block that this function returned
     * @param old_size bytes of @p memory as they were asked for; 0 with NULL
     * @param new_size bytes wanted; 0 frees @p memory and the result is ignored
     * @return a block aligned for any type, its first min(old, new) bytes kept and the rest
     *         undefined; NULL when there is no memory, and then @p memory is untouched
     */
    void *(*resize)(void *context, void *memory, size_t old_size, size_t new_size);
};

REMED_END_DECLS
#endif
