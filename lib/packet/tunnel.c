/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tunnels: IPIP and 6in4 (RFC 2003, 4213), MPLS in IP (RFC 4023), EtherIP (RFC 3378), GRE (RFC
 * 2784, 2890, 2637), ERSPAN I to III, EoIP; in UDP: GRE (RFC 8086), MPLS (RFC 7510), VXLAN (RFC
 * 7348) and its generic extension, Geneve (RFC 8926), GTP-U (3GPP TS 29.281), L2TP (RFC 2661), LISP
 * (RFC 9300), Teredo (RFC 4380).
 *
 * A port number is a hint, not a proof. So the packet inside is parsed on its own, and counts only
 * when it is sound; else the packet around it stays what classifies. A first fragment is opened as
 * far as it reaches.
 *
 * Threads: no state.
 */
#include "packet/parse.h"

#include "packet/link.h"

#define ETHERTYPE_BRIDGED 0x6558u
#define ETHERTYPE_ERSPAN 0x88beu
#define ETHERTYPE_ERSPAN3 0x22ebu
#define ETHERTYPE_PPTP 0x880bu
#define ETHERTYPE_EOIP 0x6400u

/* What is inside, and where. */
struct inside {
    uint32_t offset;
    uint32_t type; /* EtherType; ETHERTYPE_BRIDGED: Ethernet; ETHERTYPE_PPTP: PPP */
};

/* An IP packet that says by its first nibble which. */
#define BY_VERSION REMED_ETHERTYPE_IPV4

/* Behind GRE: nothing without a sequence number (type I), else 8 bytes (II) or 12 and maybe 8 more
 * (III), told apart by their version. */
static bool open_erspan(const struct remed_frame *frame, bool has_header, struct inside *inside)
{
    uint32_t at = inside->offset;
    if (inside->type == ETHERTYPE_ERSPAN && !has_header) {
        inside->type = ETHERTYPE_BRIDGED;
        return true;
    }
    if (!remed_holds(frame, at, 12))
        return false;
    unsigned version = frame->data[at] >> 4, flags = remed_load16(frame->data + at + 10);
    bool is_ip = version == 2 && (flags >> 10 & 31) == 2;
    if (version != 1 && version != 2)
        return false;
    inside->offset = at + (version == 1 ? 8 : 12);
    if (version == 2 && (flags & 1) != 0)
        inside->offset += 8;
    inside->type = is_ip ? BY_VERSION : ETHERTYPE_BRIDGED;
    return true;
}

/* GRE's version 1: PPP of PPTP, and Ethernet of EoIP. */
static bool open_gre1(const struct remed_frame *frame, uint32_t at, uint32_t flags,
                      struct inside *inside)
{
    if ((flags & 0x2000) == 0)
        return false;
    inside->offset = at + 8;
    if (inside->type == ETHERTYPE_EOIP && flags == 0x2001) {
        inside->type = ETHERTYPE_BRIDGED;
        return true;
    }
    inside->offset += ((flags & 0x1000) != 0 ? 4u : 0) + ((flags & 0x80) != 0 ? 4u : 0);
    return inside->type == ETHERTYPE_PPTP && remed_holds(frame, at, 8);
}

/* Cisco MetaData behind GRE names what follows first, where behind Ethernet it does so last. */
static bool open_metadata(const struct remed_frame *frame, struct inside *inside)
{
    if (!remed_holds(frame, inside->offset, 8))
        return false;
    inside->type = remed_load16(frame->data + inside->offset);
    inside->offset += 8;
    return true;
}

static bool open_gre(const struct remed_frame *frame, uint32_t at, struct inside *inside)
{
    if (!remed_holds(frame, at, 4))
        return false;
    uint32_t flags = remed_load16(frame->data + at);
    inside->type = remed_load16(frame->data + at + 2);
    bool checksum = (flags & 0x8000) != 0, key = (flags & 0x2000) != 0;
    bool sequence = (flags & 0x1000) != 0, routing = (flags & 0x4000) != 0;
    if ((flags & 7) == 1)
        return open_gre1(frame, at, flags, inside);
    if ((flags & 7) != 0 || routing)
        return false;
    inside->offset = at + 4 + (checksum ? 4 : 0) + (key ? 4 : 0) + (sequence ? 4 : 0);
    if (inside->type == ETHERTYPE_ERSPAN || inside->type == ETHERTYPE_ERSPAN3)
        return open_erspan(frame, sequence, inside);
    return inside->type != REMED_ETHERTYPE_METADATA || open_metadata(frame, inside);
}

/* The numbering that VXLAN-GPE and NSH share. */
static bool take_next_protocol(unsigned next, uint32_t offset, struct inside *inside)
{
    static const uint32_t types[] = {0,
                                     REMED_ETHERTYPE_IPV4,
                                     REMED_ETHERTYPE_IPV6,
                                     ETHERTYPE_BRIDGED,
                                     REMED_ETHERTYPE_NSH,
                                     REMED_ETHERTYPE_MPLS};
    if (next == 0 || next >= sizeof types / sizeof *types)
        return false;
    *inside = (struct inside){offset, types[next]};
    return true;
}

static bool open_vxlan(const struct remed_frame *frame, uint32_t at, struct inside *inside)
{
    if (!remed_holds(frame, at, 8) || (frame->data[at] & 0x08) == 0)
        return false;
    *inside = (struct inside){at + 8, ETHERTYPE_BRIDGED};
    return true;
}

/* The generic extension: the last byte of the first word names what is inside. Some senders leave
 * out the flag that says so. */
static bool open_vxlan_gpe(const struct remed_frame *frame, uint32_t at, struct inside *inside)
{
    if (!remed_holds(frame, at, 8) || (frame->data[at] & 0x0c) == 0)
        return false;
    unsigned next = frame->data[at + 3];
    if (next == 0)
        return open_vxlan(frame, at, inside);
    return take_next_protocol(next == 7 ? 5 : next, at + 8, inside); /* 7: MPLS, here alone */
}

/* Only data, of version 2; PPP is inside. */
static bool open_l2tp(const struct remed_frame *frame, uint32_t at, struct inside *inside)
{
    if (!remed_holds(frame, at, 6))
        return false;
    uint32_t flags = remed_load16(frame->data + at);
    if ((flags & 0x800f) != 2)
        return false;
    uint32_t offset = at + 6 + ((flags & 0x4000) != 0 ? 2 : 0) + ((flags & 0x0800) != 0 ? 4 : 0);
    if ((flags & 0x0200) != 0) {
        if (!remed_holds(frame, offset, 2))
            return false;
        offset += 2u + remed_load16(frame->data + offset);
    }
    *inside = (struct inside){offset, ETHERTYPE_PPTP};
    return true;
}

static bool open_geneve(const struct remed_frame *frame, uint32_t at, struct inside *inside)
{
    if (!remed_holds(frame, at, 8) || frame->data[at] >> 6 != 0)
        return false;
    uint32_t options = (uint32_t)(frame->data[at] & 0x3f) * 4;
    *inside = (struct inside){at + 8 + options, remed_load16(frame->data + at + 2)};
    return true;
}

static bool open_gtp(const struct remed_frame *frame, uint32_t at, struct inside *inside)
{
    const uint8_t *gtp = frame->data + at;
    if (!remed_holds(frame, at, 8) || (gtp[0] & 0xf0) != 0x30 || gtp[1] != 255)
        return false;
    uint32_t offset = at + 8;
    if ((gtp[0] & 7) != 0) { /* sequence, N-PDU number, type of the first extension */
        offset += 4;
        if (!remed_holds(frame, at, 12))
            return false;
        unsigned next = (gtp[0] & 4) != 0 ? gtp[11] : 0;
        for (unsigned i = 0; next != 0; i++) {
            uint32_t length = remed_holds(frame, offset, 1) ? frame->data[offset] * 4u : 0;
            if (length == 0 || i == REMED_TUNNEL_DEPTH || !remed_holds(frame, offset, length))
                return false;
            next = frame->data[offset + length - 1];
            offset += length;
        }
    }
    *inside = (struct inside){offset, BY_VERSION};
    return true;
}

static bool open_teredo(const struct remed_frame *frame, uint32_t at, struct inside *inside)
{
    if (remed_holds(frame, at, 8) && remed_load16(frame->data + at) == 0)
        at += 8; /* origin indication */
    if (!remed_holds(frame, at, 1) || frame->data[at] >> 4 != 6)
        return false;
    *inside = (struct inside){at, BY_VERSION};
    return true;
}

/* Ports of either end: some senders answer from the port that they were spoken to. */
static bool open_by_port(const struct remed_frame *frame, unsigned port, uint32_t payload,
                         struct inside *inside)
{
    switch (port) {
    case 4789:
        return open_vxlan(frame, payload, inside);
    case 4790:
        return open_vxlan_gpe(frame, payload, inside);
    case 6081:
        return open_geneve(frame, payload, inside);
    case 2152:
        return open_gtp(frame, payload, inside);
    case 3544:
        return open_teredo(frame, payload, inside);
    case 1701:
        return open_l2tp(frame, payload, inside);
    default:
        return false;
    }
}

/* What only the port that is spoken to tells. */
static bool open_by_destination(const struct remed_frame *frame, unsigned port, uint32_t payload,
                                struct inside *inside)
{
    switch (port) {
    case 8472:
        return open_vxlan(frame, payload, inside);
    case 4754:
        return open_gre(frame, payload, inside);
    case 6635:
        *inside = (struct inside){payload, REMED_ETHERTYPE_MPLS};
        return true;
    case 4341: /* LISP: 8 bytes */
        *inside = (struct inside){payload + 8, BY_VERSION};
        return true;
    default:
        return false;
    }
}

static bool open_udp(const struct remed_frame *frame, const struct remed_network *network,
                     struct inside *inside)
{
    const uint8_t *udp = frame->data + network->transport;
    unsigned source = remed_load16(udp), destination = remed_load16(udp + 2);
    uint32_t payload = network->transport + 8;
    return open_by_destination(frame, destination, payload, inside) ||
           open_by_port(frame, destination, payload, inside) ||
           open_by_port(frame, source, payload, inside);
}

static bool find_inside(const struct remed_frame *frame, const struct remed_network *network,
                        unsigned protocol, struct inside *inside)
{
    switch (protocol) {
    case REMED_PROTO_IPIP:
    case REMED_PROTO_IPV6:
        *inside = (struct inside){network->transport, BY_VERSION};
        return true;
    case REMED_PROTO_GRE:
        return open_gre(frame, network->transport, inside);
    case REMED_PROTO_UDP:
        return open_udp(frame, network, inside);
    case REMED_PROTO_ETHERIP: /* 2 bytes, whose first nibble is the version */
        *inside = (struct inside){network->transport + 2, ETHERTYPE_BRIDGED};
        return remed_holds(frame, network->transport, 2) &&
               frame->data[network->transport] >> 4 == 3;
    case REMED_PROTO_MPLS:
        *inside = (struct inside){network->transport, REMED_ETHERTYPE_MPLS};
        return true;
    default:
        return false;
    }
}

static void parse_inside(const struct remed_frame *frame, const struct inside *inside,
                         struct remed_headers *headers)
{
    if (inside->type == ETHERTYPE_BRIDGED)
        remed_parse_ethernet(frame, inside->offset, headers);
    else if (inside->type == ETHERTYPE_PPTP)
        remed_parse_ppp(frame, inside->offset, headers);
    else
        remed_parse_ethertype(frame, inside->offset, inside->type, headers);
}

static bool is_sound(const struct remed_headers *headers)
{
    return headers->unclassified == REMED_CLASSIFIED ||
           headers->unclassified == REMED_UNCLASSIFIED_FRAGMENT ||
           headers->unclassified == REMED_UNCLASSIFIED_TUNNEL_DEPTH;
}

void remed_parse_tunnel(const struct remed_frame *frame, const struct remed_network *network,
                        struct remed_headers *headers)
{
    struct remed_frame deeper = *frame;
    struct inside inside;
    deeper.captured = network->end;
    if (frame->scope != REMED_SCOPE_INNER ||
        !find_inside(&deeper, network, headers->protocol, &inside))
        return;
    struct remed_headers found;
    memset(&found, 0, sizeof found);
    found.network = found.transport = found.payload = REMED_NO_OFFSET;
    found.vlan = headers->vlan;
    if (++deeper.depth > REMED_TUNNEL_DEPTH) {
        headers->unclassified = REMED_UNCLASSIFIED_TUNNEL_DEPTH;
        return;
    }
    parse_inside(&deeper, &inside, &found);
    if (!is_sound(&found))
        return;
    found.flags |= REMED_HEADERS_TUNNEL;
    if ((headers->flags & REMED_HEADERS_FRAGMENT) != 0) { /* the outermost one wins */
        found.flags |= REMED_HEADERS_OUTER_FRAGMENT;
        found.around = headers->network;
    }
    *headers = found;
}
