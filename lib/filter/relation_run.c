/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running a relation such as `tcp[tcpflags] & tcp-syn != 0`: numbers of 32 bits without sign, as in
 * libpcap's machine.
 *
 * Threads: no state.
 */
#include "filter/view.h"

/* The load of libpcap: base and index do not wrap, but an index behind the IP header is added to
 * its length first, and that wraps. */
static bool step_load(const struct remed_view *view, const struct remed_test *test,
                      const struct remed_step *step, uint32_t index, uint32_t *value)
{
    uint32_t base = 0, first, offset = step->offset;
    if (step->base == REMED_BASE_PPP && view->inner)
        offset = 0; /* as for a frame: what is around the innermost packet does not shift */
    else if (step->base == REMED_BASE_PPP)
        base = view->link.payload;
    else if (step->base >= REMED_BASE_NETWORK && view->link.status == REMED_LINK_TRUNCATED)
        return false;
    else if (step->base >= REMED_BASE_NETWORK)
        base = remed_view_payload(view, test);
    if (step->base == REMED_BASE_TRANSPORT) {
        if (!remed_view8(view, base, &first))
            return false;
        index += (first & 15) * 4;
    }
    uint64_t at = (uint64_t)base + offset + index;
    if (at > UINT32_MAX)
        return false;
    if (step->size == 1)
        return remed_view8(view, (uint32_t)at, value);
    return step->size == 2 ? remed_view16(view, (uint32_t)at, value)
                           : remed_view32(view, (uint32_t)at, value);
}

/* False when there is no result: a division by 0. */
bool remed_step_fold(unsigned op, uint32_t a, uint32_t b, uint32_t *result)
{
    switch (op) {
    case REMED_STEP_ADD:
        *result = a + b;
        return true;
    case REMED_STEP_SUBTRACT:
        *result = a - b;
        return true;
    case REMED_STEP_MULTIPLY:
        *result = a * b;
        return true;
    case REMED_STEP_DIVIDE:
        *result = b != 0 ? a / b : 0;
        return b != 0;
    case REMED_STEP_MODULO:
        *result = b != 0 ? a % b : 0;
        return b != 0;
    case REMED_STEP_AND:
        *result = a & b;
        return true;
    case REMED_STEP_OR:
        *result = a | b;
        return true;
    case REMED_STEP_XOR:
        *result = a ^ b;
        return true;
    case REMED_STEP_SHIFT_LEFT:
        *result = b < 32 ? a << b : 0;
        return true;
    case REMED_STEP_SHIFT_RIGHT:
        *result = b < 32 ? a >> b : 0;
        return true;
    case REMED_STEP_EQUAL:
        *result = a == b;
        return true;
    case REMED_STEP_UNEQUAL:
        *result = a != b;
        return true;
    case REMED_STEP_GREATER:
        *result = a > b;
        return true;
    case REMED_STEP_AT_LEAST:
        *result = a >= b;
        return true;
    case REMED_STEP_LESS:
        *result = a < b;
        return true;
    default:
        *result = a <= b;
        return true;
    }
}

/* An operator with two numbers; returns the new count on the stack, 0 without a result. */
static unsigned step_combine(const struct remed_step *step, uint32_t *stack, unsigned count)
{
    uint32_t right = step->value;
    if (step->immediate == REMED_IMMEDIATE_NONE)
        right = stack[--count];
    uint32_t left = stack[count - 1];
    if (step->immediate == REMED_IMMEDIATE_LEFT) {
        right = left;
        left = step->value;
    }
    return remed_step_fold(step->op, left, right, &stack[count - 1]) ? count : 0;
}

/* The compiler has made sure that the stack neither overflows nor runs empty. */
enum remed_answer remed_relation_run(const struct remed_view *view, const struct remed_test *test)
{
    uint32_t stack[REMED_RELATION_STACK];
    unsigned count = 0;
    stack[0] = 0;
    for (uint32_t i = 0; i < test->high; i++) {
        const struct remed_step *step = &view->steps[test->low + i];
        uint32_t index;
        switch (step->op) {
        case REMED_STEP_NUMBER:
            stack[count++] = step->value;
            break;
        case REMED_STEP_LENGTH:
            stack[count++] = view->packet->wire;
            break;
        case REMED_STEP_LOAD:
            index = step->immediate == REMED_IMMEDIATE_NONE ? stack[--count] : step->value;
            if (!step_load(view, test, step, index, &stack[count++]))
                return REMED_ANSWER_BEYOND;
            break;
        case REMED_STEP_NEGATE:
            stack[count - 1] = 0 - stack[count - 1];
            break;
        default:
            count = step_combine(step, stack, count);
            if (count == 0)
                return REMED_ANSWER_BEYOND;
        }
    }
    return stack[0] != 0 ? REMED_ANSWER_YES : REMED_ANSWER_NO;
}
