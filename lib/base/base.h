/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every module needs and no user sees: errors filled in one line, the allocator, bounds-free
 * loads (the caller has checked), and the options-struct convention.
 *
 * Threads: no state.
 */
#ifndef REMED_BASE_H
#define REMED_BASE_H

#include <remediate/error.h>
#include <remediate/memory.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define REMED_LIKELY(x) __builtin_expect(!!(x), 1)
#define REMED_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define REMED_NS_PER_S 1000000000ull

/* Fills `error` (which may be NULL) and returns `code`, so that failing is one statement. */
int remed_error_set(struct remed_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with a place in a text. */
int remed_error_at(struct remed_error *error, int code, uint32_t line, uint32_t column,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The allocator in use: the caller's, or malloc for NULL. */
struct remed_allocator remed_allocator_or_default(const struct remed_allocator *allocator);
/* `size` zeroed bytes or NULL. */
void *remed_allocate(const struct remed_allocator *allocator, size_t size);
void *remed_reallocate(const struct remed_allocator *allocator, void *memory, size_t old_size,
                       size_t new_size);
/* `size` is what was asked for; memory may be NULL. */
void remed_release(const struct remed_allocator *allocator, void *memory, size_t size);
/* `size` zeroed bytes at a multiple of 64 or NULL; *base and *base_size are what to release. */
void *remed_allocate_lines(const struct remed_allocator *allocator, size_t size, void **base,
                           size_t *base_size);

/*
 * The options convention: a caller built with an older header has a smaller struct, one with a
 * newer header a larger one. Copies what both know onto defaults; a larger struct must be zero in
 * the part that this library does not know.
 */
int remed_opts_copy(void *own, size_t own_size, const void *given, const char *name,
                    struct remed_error *error);
/* Copies a result struct into a caller's of another size; the caller's surplus is zeroed. */
void remed_stats_copy(void *given, size_t given_size, const void *own, size_t own_size);

/* Bytes before the NUL, `most` when there is none within. */
static inline size_t remed_text_length(const char *text, size_t most)
{
    const char *end = memchr(text, '\0', most);
    return end != NULL ? (size_t)(end - text) : most;
}

/* The value of a hexadecimal digit; -1 for another character. */
static inline int remed_hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static inline uint16_t remed_load16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t remed_load32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Little-endian: one load on most machines, the same number on all. */
static inline uint32_t remed_load32_little(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static inline uint64_t remed_load64_little(const uint8_t *p)
{
    return (uint64_t)remed_load32_little(p + 4) << 32 | remed_load32_little(p);
}

static inline uint64_t remed_load64(const uint8_t *p)
{
    return (uint64_t)remed_load32(p) << 32 | remed_load32(p + 4);
}

#endif
