/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One primitive of MATCH: its qualifiers, its value, and the test that it becomes.
 *
 * Threads: belongs to one parse.
 */
#ifndef REMED_FILTER_PRIMITIVE_H
#define REMED_FILTER_PRIMITIVE_H

#include "filter/match.h"

enum remed_value_type {
    REMED_VALUE_DEFAULT = 0,
    REMED_VALUE_HOST,
    REMED_VALUE_NET,
    REMED_VALUE_PORT,
    REMED_VALUE_PORTRANGE
};

/* `[proto] [dir] [type]`, which a following value without any takes over. */
struct remed_qualifiers {
    uint8_t protocol;  /* enum remed_match_protocol, 0 without */
    uint8_t direction; /* enum remed_test_direction */
    uint8_t type;      /* enum remed_value_type */
};

/* Where the text stands: what encloses all that follows. */
struct remed_place {
    uint8_t layer;
    uint32_t shift;
};

/* True when the token can only be a value: a number or an address. */
bool remed_is_value(const struct remed_token *token);
/*
 * Reads one primitive into *test and its canonical text into `text` (room for
 * REMED_PRIMITIVE_TEXT). `qualifiers` come in as the last primitive's and go out as this one's;
 * `place` moves with vlan, mpls and pppoes.
 */
#define REMED_PRIMITIVE_TEXT 160u
int remed_primitive_read(struct remed_lexer *lexer, struct remed_qualifiers *qualifiers,
                         struct remed_place *place, struct remed_test *test, char *text,
                         struct remed_error *error);

#endif
