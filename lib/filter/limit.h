/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The limit over all copies: a token bucket in bytes, filled by steady packet time, in three
 * shares, so that strangers starve nobody:
 *
 *   live      half of the rate      what completes a handshake; refreshes, and the first end
 *                                   that each side sends, of flows whose sides both talked
 *   answered  a quarter             answers to SYNs, first packets of such flows
 *   rest      a quarter             all else: unanswered SYNs before all
 *
 * What a full share does not take goes to the others, live first; so any one of them has the whole
 * rate when it is alone. Live and answered also take from the rest what is there.
 *
 * Threads: belongs to one filter.
 */
#ifndef REMED_FILTER_LIMIT_H
#define REMED_FILTER_LIMIT_H

#include "base/base.h"
#include "flow/clock.h"

#define REMED_LIMIT_MIN_DEPTH 131072u /* half of it holds the largest packet */

enum remed_limit_class {
    REMED_LIMIT_LIVE = 0,
    REMED_LIMIT_ANSWERED,
    REMED_LIMIT_REST,
    REMED_LIMIT_CLASSES
};

struct remed_limit {
    uint64_t rate;                        /* bytes a second; 0: no limit */
    uint64_t depth[REMED_LIMIT_CLASSES];  /* bytes */
    uint64_t tokens[REMED_LIMIT_CLASSES]; /* bytes */
    uint64_t credit;                      /* what is less than a byte, in byte-nanoseconds */
    uint64_t odd;                         /* bytes that did not make four */
    uint64_t time;                        /* of the last filling, steady ns */
    bool started;
    bool leapt;                        /* the three below are set */
    uint64_t before_leap;              /* the time before the last wide jump, */
    uint64_t landing;                  /* and after it: it may be taken back */
    uint64_t had[REMED_LIMIT_CLASSES]; /* tokens before it */
};

/* From which on time that passes at once may be a wild clock's. */
#define REMED_LIMIT_LEAP (int64_t)(60 * REMED_NS_PER_S)

static inline void remed_limit_init(struct remed_limit *limit, uint64_t bits_a_second)
{
    memset(limit, 0, sizeof *limit);
    if (bits_a_second == 0)
        return;
    limit->rate = bits_a_second / 8 > 0 ? bits_a_second / 8 : 1;
    uint64_t depth = limit->rate / 8;
    if (depth < REMED_LIMIT_MIN_DEPTH)
        depth = REMED_LIMIT_MIN_DEPTH;
    limit->depth[REMED_LIMIT_LIVE] = limit->depth[REMED_LIMIT_ANSWERED] = depth / 4;
    limit->depth[REMED_LIMIT_REST] = depth - depth / 4 * 2;
    memcpy(limit->tokens, limit->depth, sizeof limit->tokens);
}

/* Gives to one share; what is left over. */
static inline uint64_t remed_limit_give(struct remed_limit *limit, unsigned share, uint64_t bytes)
{
    uint64_t missing = limit->depth[share] - limit->tokens[share];
    uint64_t given = bytes < missing ? bytes : missing;
    limit->tokens[share] += given;
    return bytes - given;
}

static inline void remed_limit_spread(struct remed_limit *limit, uint64_t gained)
{
    uint64_t quarter = (limit->odd + gained) / 4;
    limit->odd = (limit->odd + gained) % 4;
    uint64_t left = remed_limit_give(limit, REMED_LIMIT_LIVE, 2 * quarter);
    left += remed_limit_give(limit, REMED_LIMIT_ANSWERED, quarter);
    left += remed_limit_give(limit, REMED_LIMIT_REST, quarter);
    for (unsigned share = 0; left > 0 && share < REMED_LIMIT_CLASSES; share++)
        left = remed_limit_give(limit, share, left);
}

/* Bytes of the time that passed; a remainder is kept for the next time. */
static inline uint64_t remed_limit_gain(struct remed_limit *limit, uint64_t passed)
{
    uint64_t seconds = passed / REMED_NS_PER_S, part = passed % REMED_NS_PER_S;
    uint64_t whole = limit->rate / REMED_NS_PER_S, rest = limit->rate % REMED_NS_PER_S;
    limit->credit += rest * part; /* both below 10^9 */
    uint64_t gained = seconds * limit->rate + whole * part + limit->credit / REMED_NS_PER_S;
    limit->credit %= REMED_NS_PER_S;
    return gained;
}

/* Time leaps: what is there is remembered. It goes back to where it was before a leap: so do the
 * tokens, or a wild packet now and then would keep them all full. */
static inline void remed_limit_leap(struct remed_limit *limit, uint64_t now, bool back)
{
    if (!back) {
        memcpy(limit->had, limit->tokens, sizeof limit->had);
        limit->before_leap = limit->time;
        limit->landing = now;
        limit->leapt = true;
        return;
    }
    if (!limit->leapt || remed_clock_since(limit->before_leap, now) < -(int64_t)REMED_CLOCK_ORDER)
        return;
    for (unsigned share = 0; share < REMED_LIMIT_CLASSES; share++)
        if (limit->had[share] < limit->tokens[share])
            limit->tokens[share] = limit->had[share];
    limit->leapt = false;
    uint64_t paid = limit->before_leap + (limit->time - limit->landing); /* since the landing */
    limit->time = remed_clock_since(paid, now) > 0 ? paid : now;
}

static inline void remed_limit_fill(struct remed_limit *limit, uint64_t now)
{
    int64_t passed = remed_clock_since(limit->time, now);
    bool is_wild = !limit->started || passed < -(int64_t)REMED_CLOCK_ORDER;
    if (REMED_UNLIKELY(limit->started && (is_wild || passed > REMED_LIMIT_LEAP))) {
        remed_limit_leap(limit, now, is_wild);
        passed = remed_clock_since(limit->time, now);
        is_wild = passed < -(int64_t)REMED_CLOCK_ORDER;
    }
    if (is_wild || passed > 0)
        limit->time = now;
    limit->started = true;
    if (is_wild || passed <= 0)
        return;
    uint64_t missing = 0;
    for (unsigned share = 0; share < REMED_LIMIT_CLASSES; share++)
        missing += limit->depth[share] - limit->tokens[share];
    /* Full again in this time at the latest; also keeps products from overflowing. */
    if ((uint64_t)passed / REMED_NS_PER_S > missing / limit->rate)
        memcpy(limit->tokens, limit->depth, sizeof limit->tokens);
    else
        remed_limit_spread(limit, remed_limit_gain(limit, (uint64_t)passed));
}

/* Takes `bytes` if they are there. */
static inline bool remed_limit_take(struct remed_limit *limit, uint64_t now, uint32_t bytes,
                                    enum remed_limit_class share)
{
    if (limit->rate == 0)
        return true;
    remed_limit_fill(limit, now);
    uint64_t own = limit->tokens[share] < bytes ? limit->tokens[share] : bytes;
    uint64_t others = share != REMED_LIMIT_REST ? limit->tokens[REMED_LIMIT_REST] : 0;
    if (bytes - own > others)
        return false;
    limit->tokens[share] -= own;
    limit->tokens[REMED_LIMIT_REST] -= bytes - own;
    return true;
}

#endif
