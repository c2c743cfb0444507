/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets built layer by layer, for tests of the parser. Lengths of IP headers are filled in by
 * `pile_close`, so that a packet says of itself what it is.
 */
#ifndef REMED_TEST_LAYERS_H
#define REMED_TEST_LAYERS_H

#include <remediate/packet.h>
#include <string.h>

#define PILE_MAX 512u
#define PILE_HEADERS 8u

struct pile {
    uint8_t bytes[PILE_MAX];
    uint32_t length;
    uint32_t ip[PILE_HEADERS]; /* offsets of IP headers whose length is open */
    unsigned ips;
};

static inline void pile_add(struct pile *pile, const void *bytes, size_t length)
{
    memcpy(pile->bytes + pile->length, bytes, length);
    pile->length += (uint32_t)length;
}

#define PILE_ADD(pile, ...)                                                                        \
    pile_add(pile, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define HIGH(x) (uint8_t)((x) >> 8)
#define LOW(x) (uint8_t)(x)
#define WORD(x) HIGH(x), LOW(x)

static inline void pile_ethernet(struct pile *pile, unsigned type)
{
    PILE_ADD(pile, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, WORD(type));
}

static inline void pile_vlan(struct pile *pile, unsigned id, unsigned type)
{
    PILE_ADD(pile, WORD(id), WORD(type));
}

static inline void pile_mpls(struct pile *pile, unsigned bottom)
{
    PILE_ADD(pile, 0, 1, LOW(0x10 | bottom), 64);
}

/* IPv4 from 10.0.0.`from` to 192.0.2.`to`; `fragment` is the word of flags and offset. */
static inline void pile_ip4(struct pile *pile, unsigned protocol, unsigned from, unsigned to,
                            unsigned option_words, unsigned fragment)
{
    pile->ip[pile->ips++] = pile->length;
    PILE_ADD(pile, LOW(0x45 + option_words), 0, 0, 0, 0x12, 0x34, WORD(fragment), 64, LOW(protocol),
             0, 0, 10, 0, 0, LOW(from), 192, 0, 2, LOW(to));
    for (unsigned i = 0; i < option_words; i++)
        PILE_ADD(pile, 1, 1, 1, 1);
}

/* IPv6 from 2001:db8::`from` to 2001:db8:1::`to`. */
static inline void pile_ip6(struct pile *pile, unsigned protocol, unsigned from, unsigned to)
{
    pile->ip[pile->ips++] = pile->length;
    PILE_ADD(pile, 0x60, 0, 0, 0, 0, 0, LOW(protocol), 64);
    PILE_ADD(pile, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, LOW(from));
    PILE_ADD(pile, 0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, LOW(to));
}

/* An IPv6 extension header of 8 bytes (AH: 12). */
static inline void pile_extension(struct pile *pile, unsigned next)
{
    PILE_ADD(pile, LOW(next), 0, 1, 4, 0, 0, 0, 0);
}

static inline void pile_ip6_fragment(struct pile *pile, unsigned next, unsigned word)
{
    PILE_ADD(pile, LOW(next), 0, WORD(word), 0xca, 0xfe, 0xba, 0xbe);
}

static inline void pile_tcp(struct pile *pile, unsigned from, unsigned to, unsigned flags)
{
    PILE_ADD(pile, WORD(from), WORD(to), 1, 2, 3, 4, 5, 6, 7, 8, 0x50, LOW(flags), 1, 0, 0, 0, 0,
             0);
}

static inline void pile_udp(struct pile *pile, unsigned from, unsigned to)
{
    PILE_ADD(pile, WORD(from), WORD(to), 0, 0, 0, 0);
}

static inline void pile_gre(struct pile *pile, unsigned flags, unsigned type)
{
    PILE_ADD(pile, WORD(flags), WORD(type));
    for (unsigned bit = 0x8000; bit >= 0x1000; bit >>= 1)
        if ((flags & bit) != 0)
            PILE_ADD(pile, 0, 0, 0, 7);
}

static inline void pile_close(struct pile *pile)
{
    for (unsigned i = 0; i < pile->ips; i++) {
        uint8_t *ip = pile->bytes + pile->ip[i];
        uint32_t length = pile->length - pile->ip[i];
        uint8_t *field = ip[0] >> 4 == 4 ? ip + 2 : ip + 4;
        length -= ip[0] >> 4 == 4 ? 0 : 40;
        field[0] = HIGH(length);
        field[1] = LOW(length);
    }
}

#endif
