/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A packet as the tests of a MATCH look at it, and loads that know where the captured bytes end.
 *
 * Threads: no state.
 */
#ifndef REMED_FILTER_VIEW_H
#define REMED_FILTER_VIEW_H

#include "filter/match.h"

#include "packet/link.h"

enum remed_answer {
    REMED_ANSWER_NO = 0,
    REMED_ANSWER_YES = 1,
    REMED_ANSWER_BEYOND =
        2 /* a load beyond the captured bytes, or a division by 0: no match at all */
};

struct remed_view {
    const struct remed_packet *packet;
    const struct remed_headers *headers;
    const struct remed_step *steps;
    struct remed_link link;
    bool inner; /* read from the classifying IP header on; nothing shifts */
};

static inline bool remed_view8(const struct remed_view *view, uint32_t offset, uint32_t *value)
{
    if (offset >= view->packet->captured)
        return false;
    *value = view->packet->data[offset];
    return true;
}

static inline bool remed_view16(const struct remed_view *view, uint32_t offset, uint32_t *value)
{
    uint32_t captured = view->packet->captured;
    if (offset > captured || captured - offset < 2)
        return false;
    *value = remed_load16(view->packet->data + offset);
    return true;
}

static inline bool remed_view32(const struct remed_view *view, uint32_t offset, uint32_t *value)
{
    uint32_t captured = view->packet->captured;
    if (offset > captured || captured - offset < 4)
        return false;
    *value = remed_load32(view->packet->data + offset);
    return true;
}

/* Where the payload of the test's layer begins. */
static inline uint32_t remed_view_payload(const struct remed_view *view,
                                          const struct remed_test *test)
{
    return view->link.payload + (view->inner ? 0 : test->shift);
}

/* A relation of arithmetic (REMED_TEST_RELATION). */
enum remed_answer remed_relation_run(const struct remed_view *view, const struct remed_test *test);

#endif
