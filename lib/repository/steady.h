/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A host's clock as one that never goes backwards: after a step back it goes on from where it was,
 * so that what was due before the step is still due when its time has passed.
 *
 * Threads: belongs to its object.
 */
#ifndef REMED_REPOSITORY_STEADY_H
#define REMED_REPOSITORY_STEADY_H

#include <stdint.h>

struct remed_steady {
    uint64_t last;  /* the host's, as it was told last */
    uint64_t ahead; /* what all steps back came to */
};

static inline uint64_t remed_steady_add(uint64_t a, uint64_t b)
{
    return a < UINT64_MAX - b ? a + b : UINT64_MAX;
}

/* The host's time as one that only grows. */
static inline uint64_t remed_steady_now(struct remed_steady *steady, uint64_t now)
{
    if (now < steady->last)
        steady->ahead = remed_steady_add(steady->ahead, steady->last - now);
    steady->last = now;
    return remed_steady_add(now, steady->ahead);
}

/* A deadline on the growing clock, as one on the host's. */
static inline uint64_t remed_steady_deadline(const struct remed_steady *steady, uint64_t deadline)
{
    if (deadline == UINT64_MAX)
        return UINT64_MAX;
    return deadline > steady->ahead ? deadline - steady->ahead : 0;
}

#endif
