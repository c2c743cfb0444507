/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What writing and reading JSON share: names, numbers that JSON has no room for, bytes, times.
 *
 * Threads: no state.
 */
#ifndef REMED_BACKEND_JSON_H
#define REMED_BACKEND_JSON_H

#include <remediate/json.h>
#include "base/base.h"

#include <jansson.h>

#define REMED_TIME_TEXT 56u

/* A record's body, whatever its kind. */
union remed_any_body {
    struct remed_nat_binding nat_binding;
    struct remed_lb_assignment lb_assignment;
    struct remed_session session;
    struct remed_flow_rule flow_rule;
    struct remed_counter counter;
    struct remed_opaque opaque;
};

/* "2026-11-23T10:00:00.123456789Z" (RFC 3339). */
void remed_json_print_time(char text[REMED_TIME_TEXT], uint64_t ns);
bool remed_json_parse_time(const char *text, uint64_t *ns);
/* IP protocols by name where they have one; "" for others. */
const char *remed_json_protocol_name(unsigned protocol);
bool remed_json_protocol_number(const char *name, uint8_t *protocol);

#endif
