/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packet times come from clocks that are set: they step back, jump away and come back, and two
 * taps may differ by an hour. Idle times, refreshes and the token bucket need the time that passed.
 * So all of them read a steady time: the packet's own plus an offset.
 *
 *   - A difference of at most a second back is packets out of order: the time is taken as it is.
 *   - A step back gets a new offset, so that the steady time goes on where it was. The second in
 *     which the clock stepped counts as no time, or as less than one second.
 *   - Offsets are remembered for ten minutes: when times of an earlier one come again (two clocks
 *     by turns, or one wild packet), the offset after which the least time has passed is taken.
 *   - A jump forward is believed, as it may be a quiet night. When the times before it come again
 *     within ten minutes, it was a wild one, and the steady time goes back as well. A reader must
 *     therefore bear a time in the future: remed_clock_since() is negative then. The last jumps are
 *     remembered one by one, as several clocks by turns make a chain of them: when the times before
 *     one come again, all from there on were other clocks, and the offset of each is known.
 *   - A wide jump to just before where an earlier clock was is that clock, which stands still.
 *
 * Threads: a clock belongs to one object.
 */
#ifndef REMED_FLOW_CLOCK_H
#define REMED_FLOW_CLOCK_H

#include "base/base.h"

#define REMED_CLOCK_ORDER REMED_NS_PER_S                   /* what packets may be out of order by */
#define REMED_CLOCK_MEMORY (int64_t)(600 * REMED_NS_PER_S) /* offsets are remembered so long */
#define REMED_CLOCK_OFFSETS 8u
#define REMED_CLOCK_JUMPS 8u

struct remed_clock_offset {
    uint64_t used; /* steady, when it was last in use */
    int64_t value; /* ns, whole seconds: the same fraction is shown as in the capture */
    bool is_set;
};

/* A jump forward, in the packets' own times, and steady. */
struct remed_clock_jump {
    uint64_t before, landing;
    uint64_t steady_before, steady_landing;
};

struct remed_clock {
    uint64_t last;  /* the latest packet's own time */
    int64_t offset; /* the one in use */
    bool started;
    unsigned jumps; /* how many there are of the latest: */
    struct remed_clock_jump jump[REMED_CLOCK_JUMPS];
    struct remed_clock_offset others[REMED_CLOCK_OFFSETS];
};

/* The first time read begins it. */
static inline void remed_clock_init(struct remed_clock *clock)
{
    memset(clock, 0, sizeof *clock);
    clock->last =
        (uint64_t)1 << 63; /* no time follows it, so that the first one is no fast path's */
}

uint64_t remed_clock_turn(struct remed_clock *clock, uint64_t time);

/* A packet's steady time. */
static inline uint64_t remed_clock_read(struct remed_clock *clock, uint64_t time)
{
    uint64_t ahead = time - clock->last + REMED_CLOCK_ORDER; /* what is further back wraps */
    if (REMED_UNLIKELY(ahead > 2 * REMED_CLOCK_ORDER))
        return remed_clock_turn(clock, time);
    clock->last = ahead > REMED_CLOCK_ORDER ? time : clock->last;
    return time + (uint64_t)clock->offset;
}

/* Steady time that passed since `then`; negative when that lies ahead. */
static inline int64_t remed_clock_since(uint64_t then, uint64_t now)
{
    return (int64_t)(now - then);
}

/* Whether `least` has passed since `then`. A `then` well ahead was a wild clock's: it has. */
static inline bool remed_clock_is_due(uint64_t then, uint64_t now, uint64_t least)
{
    int64_t passed = remed_clock_since(then, now);
    return passed < 0 ? passed < -(int64_t)REMED_CLOCK_ORDER : (uint64_t)passed >= least;
}

#endif
