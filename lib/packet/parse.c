/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a frame to headers. Nearly all packets are Ethernet, IPv4 without options, TCP or UDP: these
 * take one straight path. The rest goes layer by layer through the functions of parse.h.
 *
 * Threads: no state.
 */
#include "packet/parse.h"

#include "base/hash.h"
#include "packet/link.h"

#define ETHERNET_HEADER 14u
#define IPV4_HEADER 20u
#define MAX_LINK_LAYERS 32u

static void clear(struct remed_headers *headers)
{
    memset(headers, 0, sizeof *headers);
    headers->network = headers->transport = headers->payload = REMED_NO_OFFSET;
    headers->vlan = 0xffff;
}

void remed_parse_ethernet(const struct remed_frame *frame, uint32_t offset,
                          struct remed_headers *headers)
{
    if (!remed_holds(frame, offset, ETHERNET_HEADER)) {
        headers->unclassified = REMED_UNCLASSIFIED_LINK_TRUNCATED;
        return;
    }
    struct remed_frame within = *frame;
    if (++within.ethernets > REMED_ETHERNET_DEPTH) {
        headers->unclassified = REMED_UNCLASSIFIED_TUNNEL_DEPTH;
        return;
    }
    uint32_t type = remed_load16(frame->data + offset + 12);
    remed_parse_ethertype(&within, offset + ETHERNET_HEADER, type, headers);
}

/* An 802.3 length: the type may stand in a SNAP header (RFC 1042). */
static void parse_llc(const struct remed_frame *frame, uint32_t offset,
                      struct remed_headers *headers)
{
    static const uint8_t snap[] = {0xaa, 0xaa, 0x03, 0, 0, 0};
    bool is_snap =
        remed_holds(frame, offset, 8) && memcmp(frame->data + offset, snap, sizeof snap) == 0;
    uint32_t type = is_snap ? remed_load16(frame->data + offset + 6) : REMED_ETHERTYPE_NONE;
    if (type == REMED_ETHERTYPE_IPV4 || type == REMED_ETHERTYPE_IPV6)
        remed_parse_ip(frame, offset + 8, headers);
    else
        headers->unclassified = REMED_UNCLASSIFIED_NOT_IP;
}

/* A label stack (RFC 3032). What is below says nothing of itself, so its first nibble is asked; 0
 * is a pseudowire's control word (RFC 4385) with Ethernet behind it. */
static void parse_mpls(const struct remed_frame *frame, uint32_t offset,
                       struct remed_headers *headers)
{
    for (unsigned i = 0; i < MAX_LINK_LAYERS; i++, offset += 4) {
        if (!remed_holds(frame, offset, 5)) {
            headers->unclassified = REMED_UNCLASSIFIED_LINK_TRUNCATED;
            return;
        }
        if ((frame->data[offset + 2] & 1) == 0)
            continue;
        unsigned nibble = frame->data[offset + 4] >> 4;
        if (nibble == 4 || nibble == 6)
            remed_parse_ip(frame, offset + 4, headers);
        else if (nibble == 0)
            remed_parse_ethernet(frame, offset + 8, headers);
        else
            headers->unclassified = REMED_UNCLASSIFIED_NOT_IP;
        return;
    }
    headers->unclassified = REMED_UNCLASSIFIED_NOT_IP;
}

void remed_parse_ppp(const struct remed_frame *frame, uint32_t offset,
                     struct remed_headers *headers)
{
    if (!remed_holds(frame, offset, 2)) {
        headers->unclassified = REMED_UNCLASSIFIED_LINK_TRUNCATED;
        return;
    }
    struct remed_link link;
    remed_link_decode(frame->data + offset, frame->captured - offset, REMED_LINK_PPP, &link);
    if (link.status != REMED_LINK_OK) {
        headers->unclassified = REMED_UNCLASSIFIED_LINK_TRUNCATED;
        return;
    }
    remed_parse_ethertype(frame, offset + link.payload, link.protocol, headers);
}

/* PPPoE's session stage (RFC 2516): 6 bytes, then PPP. */
static void parse_pppoe(const struct remed_frame *frame, uint32_t offset,
                        struct remed_headers *headers)
{
    if (!remed_holds(frame, offset, 8))
        headers->unclassified = REMED_UNCLASSIFIED_LINK_TRUNCATED;
    else if (frame->data[offset + 1] != 0)
        headers->unclassified = REMED_UNCLASSIFIED_NOT_IP;
    else
        remed_parse_ppp(frame, offset + 6, headers);
}

/* Bytes of a tag up to the next EtherType, which its last two are; 0 for all that is no tag. */
static uint32_t tag_length(uint32_t type)
{
    switch (type) {
    case REMED_ETHERTYPE_VLAN:
    case REMED_ETHERTYPE_QINQ:
    case REMED_ETHERTYPE_QINQ_OLD:
        return 4;
    case REMED_ETHERTYPE_VNTAG:
    case REMED_ETHERTYPE_HSR:
        return 6;
    case REMED_ETHERTYPE_ETAG:
    case REMED_ETHERTYPE_METADATA:
        return 8;
    default:
        return 0;
    }
}

/* Steps over VLAN and other tags; false when the bytes end within one. */
static bool skip_tags(const struct remed_frame *frame, uint32_t *offset, uint32_t *type,
                      struct remed_headers *headers)
{
    uint32_t length = tag_length(*type);
    for (unsigned i = 0; length != 0 && i < MAX_LINK_LAYERS; i++) {
        if (!remed_holds(frame, *offset, length))
            return false;
        if (headers->vlan == 0xffff && length == 4)
            headers->vlan = remed_load16(frame->data + *offset) & 0xfff;
        *type = remed_load16(frame->data + *offset + length - 2);
        *offset += length;
        length = tag_length(*type);
    }
    return true;
}

/* The network service header (RFC 8300): its length in words, and what it carries. NSH in NSH is
 * taken as anything else that is not known. */
static void parse_nsh(const struct remed_frame *frame, uint32_t offset,
                      struct remed_headers *headers)
{
    if (!remed_holds(frame, offset, 8)) {
        headers->unclassified = REMED_UNCLASSIFIED_LINK_TRUNCATED;
        return;
    }
    uint32_t length = (frame->data[offset + 1] & 0x3fu) * 4;
    unsigned next = frame->data[offset + 3];
    if (length < 8 || next == 0 || next > 5 || next == 4)
        headers->unclassified = REMED_UNCLASSIFIED_NOT_IP;
    else if (next == 3)
        remed_parse_ethernet(frame, offset + length, headers);
    else if (next == 5)
        parse_mpls(frame, offset + length, headers);
    else
        remed_parse_ip(frame, offset + length, headers);
}

void remed_parse_ethertype(const struct remed_frame *frame, uint32_t offset, uint32_t type,
                           struct remed_headers *headers)
{
    if (!skip_tags(frame, &offset, &type, headers)) {
        headers->unclassified = REMED_UNCLASSIFIED_LINK_TRUNCATED;
        return;
    }
    switch (type) {
    case REMED_ETHERTYPE_IPV4:
    case REMED_ETHERTYPE_IPV6:
        remed_parse_ip(frame, offset, headers);
        break;
    case REMED_ETHERTYPE_MPLS:
    case REMED_ETHERTYPE_MPLS_MULTICAST:
        parse_mpls(frame, offset, headers);
        break;
    case REMED_ETHERTYPE_PPPOE_SESSION:
        parse_pppoe(frame, offset, headers);
        break;
    case REMED_ETHERTYPE_NSH:
        parse_nsh(frame, offset, headers);
        break;
    case REMED_ETHERTYPE_PBB: /* 802.1ah: an Ethernet header behind 4 bytes */
        remed_parse_ethernet(frame, offset + 4, headers);
        break;
    default:
        if (type < 0x600)
            parse_llc(frame, offset, headers);
        else
            headers->unclassified = REMED_UNCLASSIFIED_NOT_IP;
    }
}

static __attribute__((noinline)) void parse_slowly(const struct remed_packet *packet,
                                                   enum remed_scope scope,
                                                   struct remed_headers *headers)
{
    struct remed_frame frame = {packet->data, packet->captured, (uint8_t)scope, 0, 0, 0};
    struct remed_link link;
    clear(headers);
    remed_link_decode(packet->data, packet->captured, packet->link_type, &link);
    if (link.status == REMED_LINK_UNKNOWN)
        headers->unclassified = REMED_UNCLASSIFIED_LINK_TYPE;
    else if (link.status != REMED_LINK_OK)
        headers->unclassified = REMED_UNCLASSIFIED_LINK_TRUNCATED;
    else if (packet->link_type == REMED_LINK_ETHERNET)
        remed_parse_ethernet(&frame, 0, headers);
    else
        remed_parse_ethertype(&frame, link.payload, link.protocol, headers);
}

/* An unfragmented IPv4 TCP or UDP packet whose headers are whole, in Ethernet. */
static inline bool is_plain(const struct remed_packet *packet, enum remed_scope scope)
{
    const uint8_t *d = packet->data;
    if (packet->link_type != REMED_LINK_ETHERNET ||
        packet->captured < ETHERNET_HEADER + IPV4_HEADER + 20 || d[12] != 8 || d[13] != 0 ||
        d[14] != 0x45 || (remed_load16(d + 20) & 0x3fff) != 0 || remed_load16(d + 16) < 40)
        return false;
    return d[23] == REMED_PROTO_TCP || (d[23] == REMED_PROTO_UDP && scope == REMED_SCOPE_OUTER);
}

/* The canonical key of an IPv4 packet with ports, without a search or a call. */
static inline unsigned set_key4(struct remed_flow_key *key, const uint8_t *addresses,
                                const uint8_t *ports, unsigned protocol)
{
    uint64_t source = (uint64_t)remed_load32(addresses) << 16 | remed_load16(ports);
    uint64_t destination = (uint64_t)remed_load32(addresses + 4) << 16 | remed_load16(ports + 2);
    unsigned direction = source > destination;
    memset(key->address, 0, sizeof key->address);
    memcpy(key->address[0], addresses + 4 * direction, 4);
    memcpy(key->address[1], addresses + 4 * (direction ^ 1), 4);
    /* Turned, not chosen: the direction of packets can't be predicted. */
    uint32_t pair = (uint32_t)remed_load16(ports + 2) << 16 | remed_load16(ports);
    unsigned turn = 16 * direction;
    pair = pair << turn | pair >> (-turn & 31);
    remed_key_set_identity(key, pair, protocol, 4);
    return direction;
}

enum remed_unclassified remed_packet_parse(const struct remed_packet *packet,
                                           enum remed_scope scope, struct remed_headers *headers)
{
    if (REMED_UNLIKELY(!is_plain(packet, scope))) {
        parse_slowly(packet, scope, headers);
        return (enum remed_unclassified)headers->unclassified;
    }
    const uint8_t *d = packet->data, *transport = d + ETHERNET_HEADER + IPV4_HEADER;
    bool tcp = d[23] == REMED_PROTO_TCP;
    headers->direction = (uint8_t)set_key4(&headers->key, d + 26, transport, d[23]);
    headers->network = ETHERNET_HEADER;
    headers->transport = ETHERNET_HEADER + IPV4_HEADER;
    headers->fragment_id = 0;
    headers->around = 0;
    headers->vlan = 0xffff;
    headers->ip_version = 4;
    headers->protocol = d[23];
    headers->unclassified = REMED_CLASSIFIED;
    uint32_t header = tcp ? (uint32_t)(transport[12] >> 4) * 4 : 8;
    headers->tcp_sequence = tcp ? remed_load32(transport + 4) : 0;
    headers->tcp_ack = tcp ? remed_load32(transport + 8) : 0;
    headers->tcp_flags = tcp ? transport[13] : 0;
    headers->flags = tcp ? REMED_HEADERS_TCP : 0;
    uint32_t payload = headers->transport + header;
    bool sound = payload <= packet->captured && (!tcp || header >= 20);
    headers->payload = sound ? payload : REMED_NO_OFFSET;
    return REMED_CLASSIFIED;
}

const char *remed_unclassified_name(unsigned reason)
{
    static const char *const names[REMED_UNCLASSIFIED_COUNT] = {
        "classified",   "link-type",           "link-truncated", "not-ip",      "ip-truncated",
        "ip-malformed", "transport-truncated", "fragment",       "tunnel-depth"};
    return reason < REMED_UNCLASSIFIED_COUNT ? names[reason] : "unknown";
}
