/* SPDX-License-Identifier: BSD-3-Clause */
/* What the benchmarks share: huge pages for all sides alike, time, medians, one table row. */
#ifndef REMED_BENCH_H
#define REMED_BENCH_H

#include <remediate/memory.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define BENCH_ROUNDS 11
#define BENCH_HUGE ((size_t)2 << 20)

static inline size_t bench_rounded(size_t size)
{
    return (size + BENCH_HUGE - 1) & ~(BENCH_HUGE - 1);
}

static inline void *bench_resize(void *context, void *memory, size_t old_size, size_t new_size)
{
    (void)context;
    if (new_size == 0) {
        munmap(memory, bench_rounded(old_size));
        return NULL;
    }
    size_t size = bench_rounded(new_size);
    uint8_t *start =
        mmap(NULL, size + BENCH_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        exit(1);
    start += (BENCH_HUGE - (uintptr_t)start % BENCH_HUGE) % BENCH_HUGE;
    madvise(start, size, MADV_HUGEPAGE);
    return start;
}

static inline void *bench_memory(size_t size)
{
    return bench_resize(NULL, NULL, 0, size);
}

static inline double bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* A clock for spans of a few hundred nanoseconds. */
static inline uint64_t bench_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

/* Nanoseconds of one tick, measured once. */
static inline double bench_tick(void)
{
    static double tick;
    if (tick > 0)
        return tick;
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    uint64_t first = bench_ticks();
    double passed;
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
        passed = (double)(now.tv_sec - begin.tv_sec) * 1e9 + (double)(now.tv_nsec - begin.tv_nsec);
    } while (passed < 5e7);
    tick = passed / (double)(bench_ticks() - first);
    return tick;
}

static inline int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static inline double bench_median(const double *values)
{
    double sorted[BENCH_ROUNDS];
    memcpy(sorted, values, sizeof sorted);
    qsort(sorted, BENCH_ROUNDS, sizeof *sorted, bench_compare);
    return sorted[BENCH_ROUNDS / 2];
}

/* The median of the rounds' ratios: what drifts, drifts for both. Bar 0: there is none. */
static inline void bench_row(const char *work, const char *peer, const double *ours,
                             const double *theirs, double bar)
{
    double ratios[BENCH_ROUNDS];
    for (unsigned i = 0; i < BENCH_ROUNDS; i++)
        ratios[i] = ours[i] / theirs[i];
    printf("%-34s %-24s %8.1f %8.1f %7.2f", work, peer, bench_median(ours), bench_median(theirs),
           bench_median(ratios));
    if (bar > 0)
        printf("  (bar %.2f)", bar);
    putchar('\n');
}

#endif
