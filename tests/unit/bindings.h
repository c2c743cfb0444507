/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of NAT bindings for tests: the binding of 10.x.y.z:1000, by number, to 192.0.2.1:outside.
 */
#ifndef REMED_TEST_BINDINGS_H
#define REMED_TEST_BINDINGS_H

#include <remediate/state.h>
#include "unit/test.h"

static inline const struct remed_record *make_binding(struct remed_record *record, uint32_t number,
                                                      uint16_t outside, unsigned op, uint64_t epoch,
                                                      uint64_t sequence, uint64_t expires)
{
    struct remed_record_head head;
    struct remed_nat_binding body = {
        .inside = {.address = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                               (uint8_t)number},
                   .port = 1000,
                   .ip_version = 4},
        .outside = {.address = {192, 0, 2, 1}, .port = outside, .ip_version = 4},
        .protocol = 17};
    remed_record_head_init(&head, sizeof head);
    head.domain = "edge-1";
    head.op = op;
    head.epoch = epoch;
    head.sequence = sequence;
    head.expires = expires;
    remed_record_clear(record);
    CU_ASSERT_EQUAL(remed_record_set_head(record, &head, NULL), 0);
    CU_ASSERT_EQUAL(remed_record_set_body(record, REMED_KIND_NAT_BINDING, &body, sizeof body, NULL),
                    0);
    return record;
}

#endif
