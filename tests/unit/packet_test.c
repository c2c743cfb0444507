/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parser, layer by layer. Each case is a packet, what it must say of itself, and how many bytes
 * that takes: every shorter packet is parsed as well, from memory that ends where the packet ends,
 * so that a sanitizer sees a read beyond it.
 */
#include "unit/packets.h"
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>

#define INNER REMED_SCOPE_INNER
#define OUTER REMED_SCOPE_OUTER
#define NO_VLAN 0xffff

/* What a packet must say. Addresses are by their last byte, as pile_ip4() and pile_ip6() set them.
 */
struct expected {
    unsigned version, protocol, from, to, source, destination;
    unsigned vlan;
    unsigned flags; /* of the whole packet */
    uint32_t least; /* bytes from which on there is a flow */
};

struct packet_case {
    const char *name;
    void (*build)(struct pile *pile);
    struct expected expected;
    unsigned link_type;
    enum remed_scope scope;
};

#define IS(version, protocol, source, destination, least)                                          \
    {                                                                                              \
        version, protocol, 1, 2, source, destination, NO_VLAN, 0, least                            \
    }
#define FLAGGED(version, protocol, source, destination, flags, least)                              \
    {                                                                                              \
        version, protocol, 1, 2, source, destination, NO_VLAN, flags, least                        \
    }
#define OUTSIDE(version, protocol, source, destination, least)                                     \
    {                                                                                              \
        version, protocol, 8, 9, source, destination, NO_VLAN, 0, least                            \
    }
#define ETHERNET REMED_LINK_ETHERNET

static const struct packet_case cases[] = {
    {"tcp", tcp_syn, FLAGGED(4, 6, 40000, 80, REMED_HEADERS_TCP, 38), ETHERNET, OUTER},
    {"tcp, inner", tcp_syn, FLAGGED(4, 6, 40000, 80, REMED_HEADERS_TCP, 38), ETHERNET, INNER},
    {"ip options", tcp_options, FLAGGED(4, 6, 80, 40000, REMED_HEADERS_TCP, 78), ETHERNET, OUTER},
    {"udp", udp, IS(4, 17, 5000, 53, 38), ETHERNET, OUTER},
    {"udp-lite", udp_lite, IS(4, 136, 5000, 53, 38), ETHERNET, OUTER},
    {"sctp", sctp, IS(6, 132, 5000, 36412, 58), ETHERNET, OUTER},
    {"dccp", dccp, IS(4, 33, 5000, 5001, 38), ETHERNET, OUTER},
    {"esp", esp, IS(4, 50, 0, 0, 34), ETHERNET, OUTER},
    {"echo request", echo, IS(4, 1, 777, 777, 40), ETHERNET, OUTER},
    {"echo reply 6", echo6, IS(6, 58, 777, 777, 60), ETHERNET, OUTER},
    {"icmp6 without id", router_advertisement, IS(6, 58, 0, 0, 55), ETHERNET, OUTER},
    {"vlan", vlan, {4, 17, 1, 2, 5000, 53, 42, 0, 42}, ETHERNET, OUTER},
    {"802.1ad", qinq, {6, 17, 1, 2, 5000, 53, 100, 0, 66}, ETHERNET, OUTER},
    {"mpls", mpls, IS(4, 17, 5000, 53, 46), ETHERNET, OUTER},
    {"pseudowire", pseudowire, IS(4, 17, 5000, 53, 60), ETHERNET, OUTER},
    {"pppoe", pppoe, IS(4, 17, 5000, 53, 46), ETHERNET, OUTER},
    {"snap", snap, IS(4, 17, 5000, 53, 46), ETHERNET, OUTER},
    {"raw 4", bare_ip, IS(4, 17, 5000, 53, 24), REMED_LINK_RAW, OUTER},
    {"raw 6", bare_ip6, IS(6, 17, 5000, 53, 44), REMED_LINK_RAW, OUTER},
    {"ipv4", bare_ip, IS(4, 17, 5000, 53, 24), REMED_LINK_IPV4, OUTER},
    {"ipv6", bare_ip6, IS(6, 17, 5000, 53, 44), REMED_LINK_IPV6, OUTER},
    {"null", null_little, IS(4, 17, 5000, 53, 28), REMED_LINK_NULL, OUTER},
    {"null, other order", null_big, IS(6, 17, 5000, 53, 48), REMED_LINK_NULL, OUTER},
    {"loop", null_big, IS(6, 17, 5000, 53, 48), REMED_LINK_LOOP, OUTER},
    {"cooked", cooked, IS(4, 17, 5000, 53, 40), REMED_LINK_LINUX_SLL, OUTER},
    {"cooked v2", cooked2, IS(6, 17, 5000, 53, 64), REMED_LINK_LINUX_SLL2, OUTER},
    {"ppp", ppp, IS(4, 17, 5000, 53, 28), REMED_LINK_PPP, OUTER},
    {"extensions", extensions, FLAGGED(6, 6, 40000, 80, REMED_HEADERS_TCP, 94), ETHERNET, OUTER},
    {"first fragment", first_fragment, FLAGGED(4, 17, 5000, 53, REMED_HEADERS_FRAGMENT, 38),
     ETHERNET, OUTER},
    {"first fragment 6", first_fragment6, FLAGGED(6, 17, 5000, 53, REMED_HEADERS_FRAGMENT, 66),
     ETHERNET, OUTER},
    {"atomic fragment", atomic_fragment6, IS(6, 17, 5000, 53, 66), ETHERNET, OUTER},
    {"ipip, outer", ipip, OUTSIDE(4, 4, 0, 0, 34), ETHERNET, OUTER},
    {"ipip, inner", ipip, FLAGGED(4, 17, 5000, 53, REMED_HEADERS_TUNNEL, 34), ETHERNET, INNER},
    {"6in4, inner", six_in_four, FLAGGED(6, 17, 5000, 53, REMED_HEADERS_TUNNEL, 34), ETHERNET,
     INNER},
    {"gre, outer", gre, OUTSIDE(4, 47, 0, 0, 34), ETHERNET, OUTER},
    {"gre, inner", gre, FLAGGED(4, 17, 5000, 53, REMED_HEADERS_TUNNEL, 34), ETHERNET, INNER},
    {"gre bridged",
     gre_bridged,
     {4, 17, 1, 2, 5000, 53, 42, REMED_HEADERS_TUNNEL, 54},
     ETHERNET,
     INNER},
    {"pptp", pptp, FLAGGED(4, 17, 5000, 53, REMED_HEADERS_TUNNEL, 34), ETHERNET, INNER},
    {"vxlan, outer", vxlan, OUTSIDE(4, 17, 51000, 4789, 38), ETHERNET, OUTER},
    {"vxlan, inner", vxlan, FLAGGED(4, 17, 5000, 53, REMED_HEADERS_TUNNEL, 38), ETHERNET, INNER},
    {"geneve", geneve, FLAGGED(4, 17, 5000, 53, REMED_HEADERS_TUNNEL, 38), ETHERNET, INNER},
    {"gtp-u", gtp, FLAGGED(4, 17, 5000, 53, REMED_HEADERS_TUNNEL, 38), ETHERNET, INNER},
    {"gre in vxlan", gre_in_vxlan, FLAGGED(4, 17, 5000, 53, REMED_HEADERS_TUNNEL, 38), ETHERNET,
     INNER},
    {"erspan I",
     erspan1,
     {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 34},
     ETHERNET,
     INNER},
    {"erspan II", erspan2, {6, 17, 1, 2, 5000, 53, 100, REMED_HEADERS_TUNNEL, 34}, ETHERNET, INNER},
    {"erspan III", erspan3, {4, 17, 1, 2, 5000, 53, 42, REMED_HEADERS_TUNNEL, 34}, ETHERNET, INNER},
    {"erspan III, IP",
     erspan3_ip,
     {6, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 34},
     ETHERNET,
     INNER},
    {"gre, mpls",
     gre_mpls,
     {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 34},
     ETHERNET,
     INNER},
    {"gre, metadata",
     gre_metadata,
     {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 34},
     ETHERNET,
     INNER},
    {"gre, nsh",
     gre_nsh,
     {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 34},
     ETHERNET,
     INNER},
    {"eoip", eoip, {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 34}, ETHERNET, INNER},
    {"etherip",
     ether_ip,
     {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 54},
     ETHERNET,
     INNER},
    {"mpls in ip",
     mpls_in_ip,
     {6, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 34},
     ETHERNET,
     INNER},
    {"4in6",
     four_in_six,
     {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 54},
     ETHERNET,
     INNER},
    {"6in6",
     six_in_six,
     {6, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 62},
     ETHERNET,
     INNER},
    {"gre in udp",
     gre_in_udp,
     {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 38},
     ETHERNET,
     INNER},
    {"gre in udp 6",
     gre_in_udp6,
     {6, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 58},
     ETHERNET,
     INNER},
    {"mpls in udp",
     mpls_in_udp,
     {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 38},
     ETHERNET,
     INNER},
    {"vxlan-gpe",
     vxlan_gpe,
     {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 38},
     ETHERNET,
     INNER},
    {"vxlan-gpe, nsh",
     vxlan_gpe_nsh,
     {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 38},
     ETHERNET,
     INNER},
    {"geneve, IP",
     geneve_ip,
     {6, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 38},
     ETHERNET,
     INNER},
    {"l2tp", l2tp, {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 38}, ETHERNET, INNER},
    {"lisp", lisp, {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 38}, ETHERNET, INNER},
    {"vn-tag", vntag, {4, 17, 1, 2, 5000, 53, 42, 0, 48}, ETHERNET, OUTER},
    {"vn-tag, inner", vntag, {4, 17, 1, 2, 5000, 53, 42, 0, 48}, ETHERNET, INNER},
    {"e-tag", etag, {4, 17, 1, 2, 5000, 53, NO_VLAN, 0, 46}, ETHERNET, OUTER},
    {"e-tag, inner", etag, {4, 17, 1, 2, 5000, 53, NO_VLAN, 0, 46}, ETHERNET, INNER},
    {"hsr", hsr, {4, 17, 1, 2, 5000, 53, NO_VLAN, 0, 44}, ETHERNET, OUTER},
    {"hsr, inner", hsr, {4, 17, 1, 2, 5000, 53, NO_VLAN, 0, 44}, ETHERNET, INNER},
    {"metadata", metadata, {4, 17, 1, 2, 5000, 53, NO_VLAN, 0, 46}, ETHERNET, OUTER},
    {"metadata, inner", metadata, {4, 17, 1, 2, 5000, 53, NO_VLAN, 0, 46}, ETHERNET, INNER},
    {"802.1ah", provider_backbone, {4, 17, 1, 2, 5000, 53, NO_VLAN, 0, 56}, ETHERNET, OUTER},
    {"802.1ah, inner", provider_backbone, {4, 17, 1, 2, 5000, 53, NO_VLAN, 0, 56}, ETHERNET, INNER},
    {"vn-tag in vxlan",
     vntag_in_vxlan,
     {4, 17, 1, 2, 5000, 53, 42, REMED_HEADERS_TUNNEL, 38},
     ETHERNET,
     INNER},
    {"three tunnels",
     tunnels,
     {6, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL, 38},
     ETHERNET,
     INNER},
    {"fragment in gre",
     fragment_in_gre,
     {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL | REMED_HEADERS_FRAGMENT, 34},
     ETHERNET,
     INNER},
    {"gre in fragments",
     gre_in_fragments,
     {4, 17, 1, 2, 5000, 53, NO_VLAN, REMED_HEADERS_TUNNEL | REMED_HEADERS_OUTER_FRAGMENT, 34},
     ETHERNET,
     INNER},
    {"not vxlan", not_vxlan, IS(4, 17, 5000, 4789, 38), ETHERNET, INNER},
};

static void make_address(uint8_t address[16], unsigned version, unsigned side, unsigned last)
{
    static const uint8_t four[2][4] = {{10, 0, 0}, {192, 0, 2}};
    memset(address, 0, 16);
    if (version == 4) {
        memcpy(address, four[side], 4);
        address[3] = (uint8_t)last;
    } else {
        memcpy(address, (const uint8_t[]){0x20, 1, 0x0d, 0xb8, 0, (uint8_t)side}, 6);
        address[15] = (uint8_t)last;
    }
}

static bool says(const struct remed_headers *headers, const struct expected *expected)
{
    uint8_t from[16], to[16];
    struct remed_flow_key key;
    make_address(from, expected->version, 0, expected->from);
    make_address(to, expected->version, 1, expected->to);
    unsigned direction =
        remed_flow_key_init(&key, expected->version, (uint8_t)expected->protocol, from,
                            (uint16_t)expected->source, to, (uint16_t)expected->destination);
    return memcmp(&key, &headers->key, sizeof key) == 0 && headers->direction == direction &&
           headers->vlan == expected->vlan;
}

static bool offsets_hold(const struct remed_headers *headers, uint32_t captured)
{
    const uint32_t offsets[] = {headers->network, headers->transport, headers->payload};
    for (unsigned i = 0; i < 3; i++)
        if (offsets[i] != REMED_NO_OFFSET && offsets[i] > captured)
            return false;
    return true;
}

/* Parses the first `captured` bytes from memory of just that size. */
static void parse_cut(const struct packet_case *test, const struct pile *pile, uint32_t captured,
                      enum remed_scope scope, struct remed_headers *headers)
{
    uint8_t *bytes = malloc(captured != 0 ? captured : 1);
    if (bytes == NULL)
        abort();
    memcpy(bytes, pile->bytes, captured);
    const struct remed_packet packet = {.data = captured != 0 ? bytes : NULL,
                                        .captured = captured,
                                        .wire = pile->length,
                                        .link_type = test->link_type};
    memset(headers, 0xee, sizeof *headers);
    unsigned result = remed_packet_parse(&packet, scope, headers);
    CU_ASSERT_EQUAL(result, headers->unclassified);
    free(bytes);
}

static void check_cut(const struct packet_case *test, const struct pile *pile, uint32_t captured)
{
    struct remed_headers headers, outer;
    parse_cut(test, pile, captured, test->scope, &headers);
    parse_cut(test, pile, captured, REMED_SCOPE_OUTER, &outer);
    bool has_flow = headers.unclassified == REMED_CLASSIFIED;
    bool sound = has_flow == (captured >= test->expected.least) && offsets_hold(&headers, captured);
    /* With a cut tunnel the packet around it classifies. */
    if (has_flow && !says(&headers, &test->expected))
        sound = sound && test->scope == INNER && outer.unclassified == REMED_CLASSIFIED;
    if (!sound)
        fprintf(stderr, "%s, cut to %u: unclassified %s\n", test->name, captured,
                remed_unclassified_name(headers.unclassified));
    CU_ASSERT_TRUE(sound);
}

static void layers(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pile pile = {.length = 0};
        struct remed_headers headers;
        cases[i].build(&pile);
        pile_close(&pile);
        parse_cut(&cases[i], &pile, pile.length, cases[i].scope, &headers);
        bool right = headers.unclassified == 0 && says(&headers, &cases[i].expected) &&
                     headers.flags == cases[i].expected.flags;
        if (!right)
            fprintf(stderr, "%s: wrong headers (%s)\n", cases[i].name,
                    remed_unclassified_name(headers.unclassified));
        CU_ASSERT_TRUE(right);
        for (uint32_t captured = 0; captured < pile.length; captured++)
            check_cut(&cases[i], &pile, captured);
    }
}

static struct remed_headers parsed(void (*build)(struct pile *), unsigned link_type)
{
    const struct packet_case test = {"", build, {0}, link_type, REMED_SCOPE_INNER};
    struct pile pile = {.length = 0};
    struct remed_headers headers;
    build(&pile);
    pile_close(&pile);
    parse_cut(&test, &pile, pile.length, REMED_SCOPE_INNER, &headers);
    return headers;
}

static void tcp_fields(void)
{
    struct remed_headers headers = parsed(tcp_options, REMED_LINK_ETHERNET);
    CU_ASSERT_EQUAL(headers.network, 14);
    CU_ASSERT_EQUAL(headers.transport, 74);
    CU_ASSERT_EQUAL(headers.payload, 94);
    CU_ASSERT_EQUAL(headers.tcp_sequence, 0x01020304);
    CU_ASSERT_EQUAL(headers.tcp_ack, 0x05060708);
    CU_ASSERT_EQUAL(headers.tcp_flags, REMED_TCP_ACK);
    headers = parsed(tcp_syn, REMED_LINK_ETHERNET); /* the fast path says the same */
    CU_ASSERT_EQUAL(headers.network, 14);
    CU_ASSERT_EQUAL(headers.transport, 34);
    CU_ASSERT_EQUAL(headers.payload, 54);
    CU_ASSERT_EQUAL(headers.tcp_sequence, 0x01020304);
    CU_ASSERT_EQUAL(headers.tcp_ack, 0x05060708);
    CU_ASSERT_EQUAL(headers.tcp_flags, REMED_TCP_SYN);
}

/* GRE's checksum, key and sequence number in all combinations, with what may be inside. */
static void gre_options(void)
{
    for (unsigned flags = 0; flags < 8; flags++)
        for (unsigned kind = 0; kind < 3; kind++) {
            static const unsigned types[] = {0x800, 0x86dd, 0x6558};
            unsigned bits = (flags & 1) << 12 | (flags & 2) << 12 | (flags & 4) << 13;
            struct pile pile = {.length = 0};
            struct remed_headers headers;
            pile_gre_in(&pile, bits, types[kind]);
            if (kind == 0)
                bare_ip(&pile);
            else if (kind == 1)
                bare_ip6(&pile);
            else
                qinq(&pile);
            pile_close(&pile);
            const struct packet_case test = {"", NULL, {0}, ETHERNET, INNER};
            parse_cut(&test, &pile, pile.length, INNER, &headers);
            CU_ASSERT_EQUAL(headers.unclassified, 0);
            CU_ASSERT_EQUAL(headers.ip_version, kind == 0 ? 4 : 6);
            CU_ASSERT_EQUAL(headers.flags, REMED_HEADERS_TUNNEL);
            CU_ASSERT(headers.key.port[0] == 53 || headers.key.port[1] == 53);
        }
}

/* The error on 1 → 2 travels towards 1: it is a packet of the reply direction. */
static void quotes(void)
{
    struct remed_headers error = parsed(icmp_error, REMED_LINK_ETHERNET);
    struct remed_headers segment = parsed(tcp_syn, REMED_LINK_ETHERNET);
    CU_ASSERT_EQUAL(memcmp(&error.key, &segment.key, sizeof error.key), 0);
    CU_ASSERT_EQUAL(error.direction, segment.direction ^ 1);
    CU_ASSERT_EQUAL(error.protocol, 1);
    CU_ASSERT_NOT_EQUAL(error.flags & REMED_HEADERS_ICMP_ERROR, 0);
    CU_ASSERT_EQUAL(error.flags & REMED_HEADERS_TCP, 0);
    struct remed_headers error6 = parsed(icmp6_error, REMED_LINK_ETHERNET);
    struct remed_headers datagram = parsed(bare_ip6, REMED_LINK_RAW);
    CU_ASSERT_EQUAL(memcmp(&error6.key, &datagram.key, sizeof error6.key), 0);
    CU_ASSERT_EQUAL(error6.direction, datagram.direction ^ 1);
}

static void arp(struct pile *p)
{
    pile_ethernet(p, 0x806);
    PILE_ADD(p, 0, 1, 8, 0, 6, 4, 0, 1);
}

static void lldp_length(struct pile *p)
{
    pile_ethernet(p, 3);
    PILE_ADD(p, 0x42, 0x42, 3);
}

static void version_five(struct pile *p)
{
    pile_ethernet(p, 0x800);
    PILE_ADD(p, 0x55, 0, 0, 40);
}

static void short_header(struct pile *p)
{
    pile_ethernet(p, 0x800);
    PILE_ADD(p, 0x44, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2);
}

static void short_length(struct pile *p)
{
    pile_ethernet(p, 0x800);
    PILE_ADD(p, 0x45, 0, 0, 19, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2);
}

static void endless_extensions(struct pile *p)
{
    pile_ethernet(p, 0x86dd);
    pile_ip6(p, 60, 1, 2);
    for (unsigned i = 0; i < 30; i++)
        pile_extension(p, 60);
}

static void tunnels_without_end(struct pile *p)
{
    pile_ethernet(p, 0x800);
    for (unsigned i = 0; i < 20; i++)
        PILE_ADD(p, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 4, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2);
}

/* Ethernet in MPLS in Ethernet, as far as a frame of 64 kB goes: recursion is bounded. */
static void nested_links(void)
{
    static uint8_t frame[65536];
    static const uint8_t wire[] = {2, 0,    0,    0, 0, 1,    2,  0, 0, 0, 0,
                                   2, 0x88, 0x47, 0, 1, 0x11, 64, 0, 0, 0, 0};
    static const uint8_t backbone[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xe7, 0, 0, 0, 1};
    for (unsigned kind = 0; kind < 2; kind++) {
        const uint8_t *unit = kind == 0 ? wire : backbone;
        size_t length = kind == 0 ? sizeof wire : sizeof backbone;
        for (size_t at = 0; at + length <= sizeof frame; at += length)
            memcpy(frame + at, unit, length);
        struct remed_headers headers;
        const struct remed_packet packet = {.data = frame,
                                            .captured = sizeof frame,
                                            .wire = sizeof frame,
                                            .link_type = REMED_LINK_ETHERNET};
        CU_ASSERT_EQUAL(remed_packet_parse(&packet, OUTER, &headers),
                        REMED_UNCLASSIFIED_TUNNEL_DEPTH);
    }
}

static void later_fragment(struct pile *p)
{
    pile_ethernet(p, 0x800);
    pile_ip4(p, 17, 1, 2, 0, 0x2000 | 185);
    PILE_ADD(p, 1, 2, 3, 4, 5, 6, 7, 8);
}

static void padded(struct pile *p)
{
    pile_ethernet(p, 0x800);
    PILE_ADD(p, 0x45, 0, 0, 22, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2);
    PILE_ADD(p, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10); /* only two of them are the packet's */
}

static void reasons(void)
{
    CU_ASSERT_EQUAL(parsed(udp, 147).unclassified, REMED_UNCLASSIFIED_LINK_TYPE);
    CU_ASSERT_EQUAL(parsed(arp, REMED_LINK_ETHERNET).unclassified, REMED_UNCLASSIFIED_NOT_IP);
    CU_ASSERT_EQUAL(parsed(lldp_length, REMED_LINK_ETHERNET).unclassified,
                    REMED_UNCLASSIFIED_NOT_IP);
    CU_ASSERT_EQUAL(parsed(version_five, REMED_LINK_ETHERNET).unclassified,
                    REMED_UNCLASSIFIED_IP_MALFORMED);
    CU_ASSERT_EQUAL(parsed(short_header, REMED_LINK_ETHERNET).unclassified,
                    REMED_UNCLASSIFIED_IP_MALFORMED);
    CU_ASSERT_EQUAL(parsed(short_length, REMED_LINK_ETHERNET).unclassified,
                    REMED_UNCLASSIFIED_IP_MALFORMED);
    CU_ASSERT_EQUAL(parsed(endless_extensions, REMED_LINK_ETHERNET).unclassified,
                    REMED_UNCLASSIFIED_IP_MALFORMED);
    CU_ASSERT_EQUAL(parsed(tunnels_without_end, REMED_LINK_ETHERNET).unclassified,
                    REMED_UNCLASSIFIED_TUNNEL_DEPTH);
    CU_ASSERT_EQUAL(parsed(padded, REMED_LINK_ETHERNET).unclassified,
                    REMED_UNCLASSIFIED_TRANSPORT_TRUNCATED);
    struct remed_headers headers = parsed(later_fragment, REMED_LINK_ETHERNET);
    CU_ASSERT_EQUAL(headers.unclassified, REMED_UNCLASSIFIED_FRAGMENT);
    CU_ASSERT_EQUAL(headers.fragment_id, 0x1234);
    CU_ASSERT_EQUAL(headers.key.port[0] | headers.key.port[1], 0);
}

static void names(void)
{
    for (unsigned i = 0; i < REMED_UNCLASSIFIED_COUNT; i++)
        for (unsigned j = 0; j < i; j++)
            CU_ASSERT_STRING_NOT_EQUAL(remed_unclassified_name(i), remed_unclassified_name(j));
    CU_ASSERT_STRING_EQUAL(remed_unclassified_name(REMED_UNCLASSIFIED_COUNT), "unknown");
}

static const struct test_case packet_cases[] = {
    {"every layer, and every truncation of it", layers},
    {"TCP's fields and the offsets", tcp_fields},
    {"an ICMP error belongs to the flow it quotes", quotes},
    {"GRE with every option", gre_options},
    {"link layers in one another are bounded", nested_links},
    {"every reason for no flow", reasons},
    {"reasons have names", names},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"packet", packet_cases, NULL, NULL},
                                         {NULL, NULL, NULL, NULL}};
