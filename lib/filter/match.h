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

enum remed_test_kind {
    REMED_TEST_TRUE,      /* any */
    REMED_TEST_ETHERTYPE, /* low: the type */
    REMED_TEST_PROTOCOL,  /* low: IP protocol, over `families` */
    REMED_TEST_ADDRESS4,
    REMED_TEST_ADDRESS6,
    REMED_TEST_PORT,   /* low to high, over `transports` */
    REMED_TEST_VLAN,   /* low: the id, or REMED_TEST_ANY_ID */
    REMED_TEST_MPLS,   /* low: the label, or REMED_TEST_ANY_ID */
    REMED_TEST_PPPOES, /* low: the session, or REMED_TEST_ANY_ID */
    REMED_TEST_LESS,   /* low: the greatest length */
    REMED_TEST_GREATER /* low: the least length */
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

/* A growing array, for parsing only. */
struct remed_growing {
    void *items;
    size_t count, room;
};
/* Room for one more of `size` bytes; NULL without memory. */
void *remed_grow(struct remed_growing *growing, size_t size,
                 const struct remed_allocator *allocator);

#endif
