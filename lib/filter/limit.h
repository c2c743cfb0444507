/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The limit over all copies: a token bucket in bytes, filled by packet time. Its last quarter is
 * kept for packets that open a flow, since a standby misses a flow for good when it misses its
 * opening, while a refresh comes again.
 *
 * Threads: belongs to one filter.
 */
#ifndef REMED_FILTER_LIMIT_H
#define REMED_FILTER_LIMIT_H

#include "base/base.h"

#define REMED_LIMIT_MIN_DEPTH 65536u

struct remed_limit {
    uint64_t rate;   /* bytes a second; 0: no limit */
    uint64_t depth;  /* bytes */
    uint64_t tokens; /* bytes */
    uint64_t credit; /* what is less than a byte, in byte-nanoseconds */
    uint64_t time;   /* of the last filling, ns */
    bool started;
};

static inline void remed_limit_init(struct remed_limit *limit, uint64_t bits_a_second)
{
    memset(limit, 0, sizeof *limit);
    if (bits_a_second == 0)
        return;
    limit->rate = bits_a_second / 8 > 0 ? bits_a_second / 8 : 1;
    limit->depth = limit->rate / 8;
    if (limit->depth < REMED_LIMIT_MIN_DEPTH)
        limit->depth = REMED_LIMIT_MIN_DEPTH;
    limit->tokens = limit->depth;
}

static inline void remed_limit_fill(struct remed_limit *limit, uint64_t now)
{
    if (!limit->started || now <= limit->time) {
        limit->time = limit->started && limit->time > now ? limit->time : now;
        limit->started = true;
        return;
    }
    uint64_t passed = now - limit->time;
    limit->time = now;
    uint64_t missing = limit->depth - limit->tokens;
    /* Full again in this time at the latest; also keeps the product below from overflowing. */
    if (passed / REMED_NS_PER_S > missing / limit->rate) {
        limit->tokens = limit->depth;
        return;
    }
    uint64_t seconds = passed / REMED_NS_PER_S, rest = passed % REMED_NS_PER_S;
    uint64_t whole = limit->rate / REMED_NS_PER_S, part = limit->rate % REMED_NS_PER_S;
    limit->credit += part * rest; /* both below 10^9 */
    uint64_t gained = seconds * limit->rate + whole * rest + limit->credit / REMED_NS_PER_S;
    limit->credit %= REMED_NS_PER_S;
    limit->tokens = gained >= missing ? limit->depth : limit->tokens + gained;
}

/* Takes `bytes` if they are there. */
static inline bool remed_limit_take(struct remed_limit *limit, uint64_t now, uint32_t bytes,
                                    bool opening)
{
    if (limit->rate == 0)
        return true;
    remed_limit_fill(limit, now);
    uint64_t kept = opening ? 0 : limit->depth / 4;
    if (limit->tokens < kept + bytes)
        return false;
    limit->tokens -= bytes;
    return true;
}

#endif
