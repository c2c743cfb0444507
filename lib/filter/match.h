/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A compiled MATCH: a flat array of tests, each with where to go on when it holds and when not, run
 * without recursion. It means what libpcap's compiled filter means, to the point of what happens at
 * the end of the captured bytes: reading beyond them rejects the packet, under `not` as well.
 *
 * As in pcap-filter(7), `vlan`, `mpls` and `pppoes` move the place where everything that follows
 * them in the text looks. Each test carries that place as a layer.
 *
 * Threads: never changed after compiling.
 */
#ifndef REMED_FILTER_MATCH_H
#define REMED_FILTER_MATCH_H

#include "filter/lexer.h"
#include "filter/rules.h"

#define REMED_MATCH_ACCEPT UINT32_MAX
#define REMED_MATCH_REJECT (UINT32_MAX - 1)
#define REMED_MATCH_MAX_TESTS 4096u
#define REMED_MATCH_MAX_STEPS 16384u
#define REMED_RELATION_STACK 16u /* numbers at once, as in libpcap's machine */

enum remed_test_kind {
    REMED_TEST_TRUE,      /* any */
    REMED_TEST_ETHERTYPE, /* low: the type */
    REMED_TEST_PROTOCOL,  /* low: IP protocol, over `families` */
    REMED_TEST_ADDRESS4,
    REMED_TEST_ADDRESS6,
    REMED_TEST_PORT,    /* low to high, over `transports` */
    REMED_TEST_VLAN,    /* low: the id, or REMED_TEST_ANY_ID */
    REMED_TEST_MPLS,    /* low: the label, or REMED_TEST_ANY_ID */
    REMED_TEST_PPPOES,  /* low: the session, or REMED_TEST_ANY_ID */
    REMED_TEST_LESS,    /* low: the greatest length */
    REMED_TEST_GREATER, /* low: the least length */
    REMED_TEST_MAC,     /* address: 6 bytes; low: 1 for any link's broadcast address */
    REMED_TEST_GROUP,   /* a destination of many; families: IPv4 or IPv6, none for Ethernet */
    REMED_TEST_FIRST_FRAGMENT, /* IPv4 with a fragment offset of 0 */
    REMED_TEST_NEXT_HEADER,    /* low: that of the IPv6 header itself */
    REMED_TEST_RELATION        /* low: its first step, high: how many */
};

#define REMED_TEST_ANY_ID UINT32_MAX

enum remed_test_direction {
    REMED_DIRECTION_OR = 0,
    REMED_DIRECTION_SOURCE,
    REMED_DIRECTION_DESTINATION,
    REMED_DIRECTION_AND
};

/* Families of a test: where its protocol or address may stand. */
enum remed_test_family {
    REMED_FAMILY_IPV4 = 1 << 0,
    REMED_FAMILY_IPV6 = 1 << 1,
    REMED_FAMILY_ARP = 1 << 2,
    REMED_FAMILY_RARP = 1 << 3
};

enum remed_test_transport {
    REMED_TRANSPORT_TCP = 1 << 0,
    REMED_TRANSPORT_UDP = 1 << 1,
    REMED_TRANSPORT_SCTP = 1 << 2
};

/* One step of a relation's arithmetic, on a stack of numbers of 32 bits without sign. */
enum remed_step_op {
    REMED_STEP_NUMBER, /* pushes `value` */
    REMED_STEP_LENGTH, /* pushes the packet's length on the wire */
    REMED_STEP_LOAD,   /* replaces an index by `size` bytes there */
    REMED_STEP_NEGATE,
    REMED_STEP_ADD, /* from here on: two numbers become one */
    REMED_STEP_SUBTRACT,
    REMED_STEP_MULTIPLY,
    REMED_STEP_DIVIDE,
    REMED_STEP_MODULO,
    REMED_STEP_AND,
    REMED_STEP_OR,
    REMED_STEP_XOR,
    REMED_STEP_SHIFT_LEFT,
    REMED_STEP_SHIFT_RIGHT,
    REMED_STEP_EQUAL,
    REMED_STEP_UNEQUAL,
    REMED_STEP_GREATER,
    REMED_STEP_AT_LEAST,
    REMED_STEP_LESS,
    REMED_STEP_AT_MOST
};

/* Where an index counts from. */
enum remed_step_base {
    REMED_BASE_FRAME,    /* the first captured byte */
    REMED_BASE_PPP,      /* the PPP header behind `pppoes` */
    REMED_BASE_NETWORK,  /* the layer's payload */
    REMED_BASE_TRANSPORT /* behind the IPv4 header there */
};

/* A number that stands in the step itself, and on which side of the operator. */
enum remed_step_immediate {
    REMED_IMMEDIATE_NONE,
    REMED_IMMEDIATE_RIGHT, /* also a load's index */
    REMED_IMMEDIATE_LEFT
};

struct remed_step {
    uint32_t value;
    uint32_t offset; /* of a load, beyond its base */
    uint8_t op;      /* enum remed_step_op */
    uint8_t size;    /* of a load: 1, 2 or 4 */
    uint8_t base;
    uint8_t immediate;
};

/* What the innermost of the moves before a test was. */
enum remed_layer_kind { REMED_LAYER_LINK, REMED_LAYER_VLAN, REMED_LAYER_PPP, REMED_LAYER_MPLS };

struct remed_test {
    uint32_t if_true, if_false;
    uint32_t low, high;
    uint32_t shift; /* bytes from the link payload to the layer's payload */
    uint8_t kind;
    uint8_t direction;
    uint8_t families;
    uint8_t transports;
    uint8_t layer; /* enum remed_layer_kind */
    uint8_t reserved[3];
    uint8_t address[16]; /* IPv4: the first 4 bytes; masked already */
    uint8_t mask[16];
};

struct remed_match {
    struct remed_test *tests;
    size_t count;
    struct remed_step *steps; /* of all relations; NULL without */
    size_t step_count;
    char *text; /* as it is printed back; NUL-terminated */
    size_t text_size;
};

/*
 * Reads a MATCH up to its colon. *match stays NULL for `any` alone.
 */
int remed_match_compile(struct remed_match **match, struct remed_lexer *lexer, uint32_t max_depth,
                        const struct remed_allocator *allocator, struct remed_error *error);
int remed_match_copy(struct remed_match **copy, const struct remed_match *match,
                     const struct remed_allocator *allocator);
bool remed_match_equal(const struct remed_match *a, const struct remed_match *b);
void remed_match_free(struct remed_match *match, const struct remed_allocator *allocator);

/* What an operator makes of two constants; false for a division by 0. */
bool remed_step_fold(unsigned op, uint32_t a, uint32_t b, uint32_t *result);

/* A growing array, for parsing only. */
struct remed_growing {
    void *items;
    size_t count, room;
};
/* Room for one more of `size` bytes; NULL without memory. */
void *remed_grow(struct remed_growing *growing, size_t size,
                 const struct remed_allocator *allocator);

#endif
