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
    REMED_VALUE_PORTRANGE,
    REMED_VALUE_PROTOCOL
};

enum remed_match_protocol {
    REMED_MATCH_NONE = 0,
    REMED_MATCH_ETHER,
    REMED_MATCH_IP,
    REMED_MATCH_IP6,
    REMED_MATCH_ARP,
    REMED_MATCH_RARP,
    REMED_MATCH_TCP,
    REMED_MATCH_UDP,
    REMED_MATCH_SCTP,
    REMED_MATCH_ICMP,
    REMED_MATCH_ICMP6,
    REMED_MATCH_IGMP,
    REMED_MATCH_IGRP,
    REMED_MATCH_PIM,
    REMED_MATCH_VRRP,
    REMED_MATCH_CARP,
    REMED_MATCH_ESP,
    REMED_MATCH_AH,
    REMED_MATCH_PPPOED,
    REMED_MATCH_PROTOCOLS /* how many */
};

/* A protocol by its name: as a primitive, and as the qualifier of one. */
struct remed_match_protocol_row {
    const char *name;
    uint32_t value;   /* EtherType or IP protocol */
    uint8_t kind;     /* of the test when it stands alone */
    uint8_t families; /* of that test, and of addresses qualified with it */
    uint8_t transport;
};

extern const struct remed_match_protocol_row remed_match_protocols[REMED_MATCH_PROTOCOLS];

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
    uint32_t ppp; /* bytes from the link payload to the PPP header of `pppoes`; 0 without */
};

/* Whether the token is a value for the qualifiers. */
bool remed_is_value(const struct remed_token *token, const struct remed_qualifiers *qualifiers);
/* Reads the value at hand into the test. */
int remed_value_read(struct remed_lexer *lexer, const struct remed_qualifiers *qualifiers,
                     struct remed_test *test, struct remed_error *error);
/* Writes the primitive of qualifiers and a value back, into REMED_PRIMITIVE_TEXT bytes. */
void remed_value_print(const struct remed_qualifiers *qualifiers, const struct remed_test *test,
                       char *text);
/* Reads a number up to `most`; `what` says what is expected. Takes the token. */
int remed_number_read(struct remed_lexer *lexer, uint32_t most, const char *what, uint32_t *number,
                      struct remed_error *error);
/* "'TOKEN': WHY" at the token's place; returns REMED_ESYNTAX. */
int remed_refuse(const struct remed_token *at, struct remed_error *error, const char *why);

/*
 * Reads one primitive into *test and its canonical text into `text` (room for
 * REMED_PRIMITIVE_TEXT). `qualifiers` come in as the last primitive's and go out as this one's;
 * `place` moves with vlan, mpls and pppoes. With `value_only` it must be a value of the qualifiers.
 * REMED_PRIMITIVE_HEAD: qualifiers alone were read, and `(` or `not` before their value follows.
 */
#define REMED_PRIMITIVE_TEXT 160u
#define REMED_PRIMITIVE_HEAD 1
int remed_primitive_read(struct remed_lexer *lexer, struct remed_qualifiers *qualifiers,
                         struct remed_place *place, bool value_only, struct remed_test *test,
                         char *text, struct remed_error *error);

#endif
