/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a pattern can begin with, so that most ways that lead nowhere are never taken: each TRY
 * knows the byte that its way needs, and a set knows the bytes that any of its begins needs.
 *
 * Threads: one compilation is one thread's.
 */
#include "driver/log/compile.h"

#include "driver/log/scan.h"

/* The bytes that a value of a type can begin with. */
static bool may_start(unsigned type, uint8_t c)
{
    switch (type) {
    case REMED_TYPE_IP:
    case REMED_TYPE_ENDPOINT:
    case REMED_TYPE_LASTPORT:
    case REMED_TYPE_LIST:
        return remed_is_digit(c) || remed_is_letter(c) || c == ':' || c == '[';
    case REMED_TYPE_PORT:
    case REMED_TYPE_NUMBER:
    case REMED_TYPE_DIGITS:
    case REMED_TYPE_EPOCH:
    case REMED_TYPE_DATE:
    case REMED_TYPE_CLOCK:
        return remed_is_digit(c);
    case REMED_TYPE_PROTOCOL:
    case REMED_TYPE_STAMP:
    case REMED_TYPE_MOMENT:
        return remed_is_digit(c) || remed_is_letter(c);
    case REMED_TYPE_QUOTED:
        return c == '"';
    default:
        return true;
    }
}

/* Adds the bytes that the steps from `at` on can begin with. Ways that meet again are gone once: of
 * groups within groups there are more ways than any time allows. */
static void add_first(struct remed_log_rules *rules, uint32_t at, unsigned depth, uint8_t may[256])
{
    struct remed_log_step *steps = rules->steps.items;
    while (steps[at].code == REMED_CODE_OPEN || steps[at].code == REMED_CODE_COMMIT)
        at = steps[at].code == REMED_CODE_OPEN ? at + 1 : steps[at].target;
    struct remed_log_step *step = &steps[at];
    if (step->seen)
        return;
    step->seen = 1;
    switch (step->code) {
    case REMED_CODE_LITERAL:
    case REMED_CODE_BEFORE:
        may[(uint8_t)*remed_log_text(rules, step->text)] = 1;
        return;
    case REMED_CODE_FIELD:
    case REMED_CODE_IP:
    case REMED_CODE_PORT:
    case REMED_CODE_PROTO:
    case REMED_CODE_DIGITS:
        for (unsigned c = 0; c < 256; c++)
            may[c] |= may_start(step->type, (uint8_t)c);
        return;
    case REMED_CODE_TRY:
        if (depth < REMED_LOG_DEPTH) {
            add_first(rules, at + 1, depth + 1, may);
            add_first(rules, step->target, depth + 1, may);
            return;
        } /* fall through */
    default:
        memset(may, 1, 256);
    }
}

/* Joins a value with the literal behind it: two steps of most patterns become one. The literal
 * stays where it is, for those who come from elsewhere. */
static void join(struct remed_log_step *step)
{
    switch (step->code) {
    case REMED_CODE_IP:
    case REMED_CODE_PORT:
    case REMED_CODE_WORD:
    case REMED_CODE_PROTO:
    case REMED_CODE_NAME:
    case REMED_CODE_DIGITS:
    case REMED_CODE_FIELD:
        step->advance = step[1].code == REMED_CODE_LITERAL ? 2 : 1;
        break;
    default:
        break;
    }
}

void remed_log_find_first(struct remed_log_rules *rules)
{
    struct remed_log_step *steps = rules->steps.items;
    for (size_t i = 0; i < rules->steps.count; i++) {
        join(&steps[i]);
        if (steps[i].code != REMED_CODE_TRY)
            continue;
        const struct remed_log_step *next = &steps[i + 1];
        bool fixed = next->code == REMED_CODE_LITERAL || next->code == REMED_CODE_BEFORE;
        steps[i].first = fixed ? (uint8_t)*remed_log_text(rules, next->text) : 256;
    }
    for (size_t i = 0; i < rules->begins.count; i++)
        add_first(rules, *REMED_ITEM(rules->begins, uint32_t, i), 0, rules->may_begin);
}
