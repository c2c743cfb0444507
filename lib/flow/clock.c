/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The steady clock's slow side: what a time that does not follow the last one means.
 *
 * Threads: a clock belongs to one object.
 */
#include "flow/clock.h"

/* An offset is remembered, in place of itself, of a free place, or of the oldest. */
static void keep_offset(struct remed_clock *clock, int64_t value, uint64_t steady)
{
    struct remed_clock_offset *place = &clock->others[0];
    for (unsigned i = 0; i < REMED_CLOCK_OFFSETS; i++) {
        struct remed_clock_offset *other = &clock->others[i];
        if (other->is_set && other->value == value) {
            place = other;
            break;
        }
        if (place->is_set && (!other->is_set || other->used < place->used))
            place = other;
    }
    *place = (struct remed_clock_offset){steady, value, true};
}

static bool is_remembered(const struct remed_clock_offset *other, uint64_t steady)
{
    return other->is_set && remed_clock_since(other->used, steady) <= REMED_CLOCK_MEMORY;
}

static int64_t size_of(int64_t passed)
{
    return passed >= 0 ? passed : -(passed + 1);
}

/* What a time is by the offsets that are remembered. */
enum meaning {
    MEANS_NOTHING,
    MEANS_A_TIME,     /* the offset that makes the least time pass is taken */
    MEANS_STANDSTILL, /* of an earlier clock, where the others ran on */
};

static enum meaning take_offset(struct remed_clock *clock, uint64_t steady, uint64_t time)
{
    int64_t least = INT64_MAX, behind = INT64_MIN, taken = 0;
    for (unsigned i = 0; i < REMED_CLOCK_OFFSETS; i++) {
        const struct remed_clock_offset *other = &clock->others[i];
        int64_t passed = remed_clock_since(steady, time + (uint64_t)other->value);
        if (!is_remembered(other, steady))
            continue;
        if (passed < -(int64_t)REMED_CLOCK_ORDER) {
            behind = passed > behind ? passed : behind;
        } else if (least == INT64_MAX || size_of(passed) < size_of(least)) {
            least = passed;
            taken = other->value;
        }
    }
    if (least > REMED_CLOCK_MEMORY && behind >= -REMED_CLOCK_MEMORY && least != INT64_MAX)
        return MEANS_STANDSTILL;
    if (least == INT64_MAX)
        return MEANS_NOTHING;
    clock->offset = taken;
    return MEANS_A_TIME;
}

/* What passed on the clock on which a jump landed, until the next jump. */
static int64_t run_of(const struct remed_clock *clock, unsigned jump)
{
    uint64_t end = jump + 1 < clock->jumps ? clock->jump[jump + 1].steady_before
                                           : clock->last + (uint64_t)clock->offset;
    return remed_clock_since(clock->jump[jump].steady_landing, end);
}

static void forget_jump(struct remed_clock *clock, unsigned jump)
{
    clock->jumps--;
    for (unsigned i = jump; i < clock->jumps; i++)
        clock->jump[i] = clock->jump[i + 1];
}

/* A jump after which ten minutes were spent was none of a wild clock. */
static void forget_old_jumps(struct remed_clock *clock)
{
    int64_t run = 0;
    for (unsigned i = clock->jumps; i-- > 0;) {
        int64_t own = run_of(clock, i);
        run += own >= 0 && own <= REMED_CLOCK_MEMORY ? own : REMED_CLOCK_MEMORY + 1;
        if (run > REMED_CLOCK_MEMORY) {
            for (unsigned old = 0; old <= i; old++)
                forget_jump(clock, 0);
            return;
        }
    }
}

/* The narrowest makes room: packets far between jump all the time. */
static void remember_jump(struct remed_clock *clock, uint64_t time, uint64_t steady_before)
{
    struct remed_clock_jump *jump = clock->jump;
    if (clock->jumps == REMED_CLOCK_JUMPS) {
        unsigned narrowest = 0;
        for (unsigned i = 1; i < clock->jumps; i++)
            if (jump[i].steady_landing - jump[i].steady_before <
                jump[narrowest].steady_landing - jump[narrowest].steady_before)
                narrowest = i;
        forget_jump(clock, narrowest);
    }
    jump[clock->jumps++] =
        (struct remed_clock_jump){clock->last, time, steady_before, time + (uint64_t)clock->offset};
}

/* The first of the jumps whose earlier times have come again: from there on, no time passed. */
static unsigned wild_jump(const struct remed_clock *clock, uint64_t time)
{
    unsigned i = 0;
    while (i < clock->jumps &&
           (remed_clock_since(clock->jump[i].before, time) < -(int64_t)REMED_CLOCK_ORDER ||
            remed_clock_since(time, clock->jump[i].landing) <= 0))
        i++;
    return i;
}

/* The offset by which `time` is `steady`, or less than a second later: some time has passed. */
static int64_t offset_after(uint64_t time, uint64_t steady)
{
    const int64_t second = (int64_t)REMED_NS_PER_S;
    int64_t offset = remed_clock_since(time, steady), rest = offset % second;
    return (int64_t)((uint64_t)(offset - rest) + (uint64_t)(rest > 0 ? second : 0));
}

/* The offset by which `time` is `steady`, to half a second: so that many clocks do not drift. */
static int64_t offset_between(uint64_t time, uint64_t steady)
{
    const int64_t second = (int64_t)REMED_NS_PER_S;
    int64_t offset = remed_clock_since(time, steady), rest = offset % second;
    uint64_t whole = (uint64_t)(offset - rest);
    if (rest >= second / 2)
        whole += (uint64_t)second;
    else if (rest < -second / 2)
        whole -= (uint64_t)second;
    return (int64_t)whole;
}

/* The wild times may come again, as those of other clocks: their offsets are remembered. */
static void end_jumps(struct remed_clock *clock, unsigned first, uint64_t time)
{
    const struct remed_clock_jump *jump = &clock->jump[first];
    clock->offset = remed_clock_since(jump->before, jump->steady_before);
    const uint64_t steady = time + (uint64_t)clock->offset;
    for (unsigned i = first; i < clock->jumps; i++) {
        uint64_t end = i + 1 < clock->jumps ? clock->jump[i + 1].before : clock->last;
        keep_offset(clock, offset_between(end, steady), steady);
    }
    clock->jumps = first;
}

/* Neither in order nor just out of it; returns the steady time. */
static uint64_t choose_offset(struct remed_clock *clock, uint64_t time)
{
    const uint64_t steady = clock->last + (uint64_t)clock->offset;
    keep_offset(clock, clock->offset, steady);
    enum meaning meaning = take_offset(clock, steady, time);
    if (meaning == MEANS_STANDSTILL)
        return steady; /* as if it had not been seen */
    if (meaning == MEANS_NOTHING) {
        clock->offset = offset_after(time, steady);
        clock->jumps = 0;
    } else if (remed_clock_since(steady, time + (uint64_t)clock->offset) >
               (int64_t)REMED_CLOCK_ORDER) {
        remember_jump(clock, time, steady);
    }
    clock->last = time;
    return time + (uint64_t)clock->offset;
}

uint64_t remed_clock_turn(struct remed_clock *clock, uint64_t time)
{
    int64_t passed = remed_clock_since(clock->last, time);
    forget_old_jumps(clock);
    unsigned wild = clock->started && passed < 0 ? wild_jump(clock, time) : clock->jumps;
    if (wild == clock->jumps && clock->started)
        return choose_offset(clock, time);
    if (clock->started)
        end_jumps(clock, wild, time);
    clock->started = true;
    clock->last = time;
    return time + (uint64_t)clock->offset;
}
