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

/* Takes the remembered offset that makes the least time pass; false when there is none. */
static bool take_offset(struct remed_clock *clock, uint64_t steady, uint64_t time)
{
    int64_t least = INT64_MAX, taken = 0;
    for (unsigned i = 0; i < REMED_CLOCK_OFFSETS; i++) {
        const struct remed_clock_offset *other = &clock->others[i];
        int64_t passed = remed_clock_since(steady, time + (uint64_t)other->value);
        if (is_remembered(other, steady) && passed >= -(int64_t)REMED_CLOCK_ORDER &&
            passed < least) {
            least = passed;
            taken = other->value;
        }
    }
    if (least != INT64_MAX)
        clock->offset = taken;
    return least != INT64_MAX;
}

/* The times before a jump forward have come again: it was no time that passed. */
static bool is_back_from_jump(const struct remed_clock *clock, uint64_t time)
{
    return clock->jumped && remed_clock_since(clock->before, time) >= -(int64_t)REMED_CLOCK_ORDER &&
           remed_clock_since(clock->landing, clock->last) <= REMED_CLOCK_MEMORY;
}

/* A jump forward may be a wild one: where it began is remembered. One within ten minutes of a wide
 * one belongs to that; else the widest counts, since packets far between jump all the time. */
static void remember_jump(struct remed_clock *clock, uint64_t time, int64_t passed)
{
    int64_t width = clock->jumped ? remed_clock_since(clock->before, clock->landing) : 0;
    bool is_recent =
        clock->jumped && remed_clock_since(clock->landing, clock->last) <= REMED_CLOCK_MEMORY;
    if (is_recent && width <= REMED_CLOCK_MEMORY && passed < width)
        return;
    if (!is_recent || width <= REMED_CLOCK_MEMORY)
        clock->before = clock->last;
    clock->landing = time;
    clock->jumped = true;
}

/* The offset by which `time` is `steady`, or less than a second later. */
static int64_t offset_between(uint64_t time, uint64_t steady)
{
    const int64_t second = (int64_t)REMED_NS_PER_S;
    int64_t offset = remed_clock_since(time, steady), rest = offset % second;
    return (int64_t)((uint64_t)(offset - rest) + (uint64_t)(rest > 0 ? second : 0));
}

/* The wild times may come again, as those of another clock: their offset is remembered. */
static void end_jump(struct remed_clock *clock, uint64_t time)
{
    const uint64_t steady = time + (uint64_t)clock->offset;
    clock->jumped = false;
    keep_offset(clock, offset_between(clock->last, steady), steady);
}

/* Neither in order nor just out of it. */
static void choose_offset(struct remed_clock *clock, uint64_t time, int64_t passed)
{
    const uint64_t steady = clock->last + (uint64_t)clock->offset;
    const int64_t offset = clock->offset;
    keep_offset(clock, offset, steady);
    if (!take_offset(clock, steady, time)) {
        clock->offset = offset_between(time, steady);
        clock->jumped = false;
    } else if (clock->offset == offset && passed > 0) {
        remember_jump(clock, time, passed);
    }
}

uint64_t remed_clock_turn(struct remed_clock *clock, uint64_t time)
{
    int64_t passed = remed_clock_since(clock->last, time);
    if (clock->started && passed < 0 && is_back_from_jump(clock, time))
        end_jump(clock, time);
    else if (clock->started)
        choose_offset(clock, time, passed);
    clock->started = true;
    clock->last = time;
    return time + (uint64_t)clock->offset;
}
