/* SPDX-License-Identifier: BSD-3-Clause */
/* Ethernet with VLAN tags, IPv4, IPv6, IP in IP, GRE, VXLAN, Geneve. Threads: no state. */
#include "backend/pcap/layout.h"

#define TYPE_IP4 0x0800u
#define TYPE_IP6 0x86ddu
#define TYPE_ETHERNET 0x6558u
#define PROTOCOL_IP4 4u
#define PROTOCOL_TCP 6u
#define PROTOCOL_UDP 17u
#define PROTOCOL_IP6 41u
#define PROTOCOL_GRE 47u
#define PROTOCOL_ICMP 1u
#define PROTOCOL_ICMP6 58u
#define PROTOCOL_SCTP 132u
#define PORT_VXLAN 4789u
#define PORT_VXLAN_OLD 8472u
#define PORT_GENEVE 6081u
#define LONGEST_MERGED (1u << 20)

/* The place of reading. */
struct walk {
    const uint8_t *data;
    uint32_t length, at;
    struct remed_layout *layout;
};

static bool walk_has(const struct walk *walk, uint32_t bytes)
{
    return walk->length - walk->at >= bytes;
}

static bool add_layer(struct walk *walk, enum remed_layer_kind kind)
{
    struct remed_layout *layout = walk->layout;
    if (layout->count == REMED_LAYERS)
        return false;
    layout->layer[layout->count].kind = (uint8_t)kind;
    layout->layer[layout->count++].at = walk->at;
    return true;
}

/* Over the Ethernet header and its tags, to the type of what follows. */
static bool walk_ethernet(struct walk *walk, unsigned *type)
{
    if (!walk_has(walk, 14))
        return false;
    *type = remed_load16(walk->data + walk->at + 12);
    walk->at += 14;
    while (*type == 0x8100 || *type == 0x88a8 || *type == 0x9100) {
        if (!walk_has(walk, 4))
            return false;
        *type = remed_load16(walk->data + walk->at + 2);
        walk->at += 4;
    }
    return true;
}

/* The outermost datagram ends where its header says; a merged one may be too long to say. */
static void set_end(struct walk *walk, uint32_t said, uint32_t start, uint32_t wire)
{
    struct remed_layout *layout = walk->layout;
    if (layout->count > 1)
        return;
    bool unsaid = said == start && wire > start && wire <= LONGEST_MERGED;
    layout->end = unsaid ? wire : said;
}

static bool walk_ip4(struct walk *walk, uint32_t wire, unsigned *protocol, bool *fragment)
{
    const uint8_t *header = walk->data + walk->at;
    if (!walk_has(walk, 20) || header[0] >> 4 != 4)
        return false;
    uint32_t length = (header[0] & 15u) * 4;
    if (length < 20 || !walk_has(walk, length) || !add_layer(walk, REMED_LAYER_IP4))
        return false;
    set_end(walk, walk->at + remed_load16(header + 2), walk->at, wire);
    *protocol = header[9];
    *fragment = (remed_load16(header + 6) & 0x3fff) != 0;
    walk->at += length;
    return true;
}

/* Over the headers that go with every fragment. */
static bool walk_ip6(struct walk *walk, uint32_t wire, unsigned *protocol, bool *fragment)
{
    const uint8_t *header = walk->data + walk->at;
    if (!walk_has(walk, 40) || header[0] >> 4 != 6 || !add_layer(walk, REMED_LAYER_IP6))
        return false;
    set_end(walk, walk->at + 40 + remed_load16(header + 4), walk->at + 40, wire);
    uint32_t next_at = walk->at + 6;
    *protocol = header[6];
    walk->at += 40;
    while (*protocol == 0 || *protocol == 43 || *protocol == 60) {
        if (!walk_has(walk, 8))
            return false;
        uint32_t length = (walk->data[walk->at + 1] + 1u) * 8;
        if (!walk_has(walk, length))
            return false;
        next_at = walk->at;
        *protocol = walk->data[walk->at];
        walk->at += length;
    }
    *fragment = *protocol == 44;
    if (walk->layout->count == 1)
        walk->layout->next_at = next_at;
    return true;
}

static bool walk_gre(struct walk *walk, unsigned *type)
{
    if (!walk_has(walk, 4))
        return false;
    unsigned flags = remed_load16(walk->data + walk->at);
    uint32_t length = (flags & 0x2000) != 0 ? 8 : 4;
    if ((flags & ~0x2000u) != 0 || !walk_has(walk, length))
        return false; /* a checksum or a sequence number would have to change */
    *type = remed_load16(walk->data + walk->at + 2);
    walk->at += length;
    return true;
}

static bool walk_udp_tunnel(struct walk *walk, unsigned *type)
{
    if (!walk_has(walk, 16))
        return false;
    const uint8_t *header = walk->data + walk->at;
    unsigned port = remed_load16(header + 2);
    if (!add_layer(walk, REMED_LAYER_UDP))
        return false;
    *type = TYPE_ETHERNET;
    uint32_t length = 16;
    if (port == PORT_GENEVE) {
        length += (header[8] & 0x3fu) * 4;
        *type = remed_load16(header + 10);
    } else if (port != PORT_VXLAN && port != PORT_VXLAN_OLD) {
        return false;
    }
    if (!walk_has(walk, length))
        return false;
    walk->at += length;
    return true;
}

/* Into a tunnel, to the type of what it carries. */
static bool walk_tunnel(struct walk *walk, unsigned protocol, unsigned *type)
{
    switch (protocol) {
    case PROTOCOL_IP4:
        *type = TYPE_IP4;
        return true;
    case PROTOCOL_IP6:
        *type = TYPE_IP6;
        return true;
    case PROTOCOL_GRE:
        return walk_gre(walk, type);
    case PROTOCOL_UDP:
        return walk_udp_tunnel(walk, type);
    default:
        return false;
    }
}

static bool is_tunnel(const struct walk *walk, unsigned protocol)
{
    if (protocol != PROTOCOL_UDP)
        return protocol == PROTOCOL_IP4 || protocol == PROTOCOL_IP6 || protocol == PROTOCOL_GRE;
    unsigned port = walk_has(walk, 4) ? remed_load16(walk->data + walk->at + 2) : 0;
    return port == PORT_VXLAN || port == PORT_VXLAN_OLD || port == PORT_GENEVE;
}

static bool read_transport(struct walk *walk, unsigned protocol, bool fragment)
{
    struct remed_layout *layout = walk->layout;
    uint32_t length = protocol == PROTOCOL_TCP    ? 20
                      : protocol == PROTOCOL_UDP  ? 8
                      : protocol == PROTOCOL_SCTP ? 12
                                                  : 0;
    bool checked = protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMP6;
    if (!walk_has(walk, checked ? 4 : length))
        return false;
    layout->transport = layout->payload = walk->at;
    layout->protocol = 0;
    if (fragment || (length == 0 && !checked))
        return true;
    if (protocol == PROTOCOL_TCP)
        length = (walk->data[walk->at + 12] >> 4) * 4u;
    if ((protocol == PROTOCOL_TCP && length < 20) || !walk_has(walk, length))
        return false;
    layout->protocol = (uint8_t)protocol;
    layout->payload += length;
    return true;
}

bool remed_layout_read(const struct remed_packet *packet, bool inner, struct remed_layout *layout)
{
    *layout = (struct remed_layout){0};
    struct walk walk = {.data = packet->data, .length = packet->captured, .layout = layout};
    unsigned type, protocol = 0;
    bool fragment = false;
    if (!walk_ethernet(&walk, &type))
        return false;
    layout->network = walk.at;
    for (;;) {
        if (type == TYPE_ETHERNET && !walk_ethernet(&walk, &type))
            return false;
        bool known = type == TYPE_IP4   ? walk_ip4(&walk, packet->wire, &protocol, &fragment)
                     : type == TYPE_IP6 ? walk_ip6(&walk, packet->wire, &protocol, &fragment)
                                        : false;
        if (!known)
            return false;
        if (layout->count == 1) {
            layout->fragmentable = walk.at;
            layout->fragment = fragment;
        }
        if (fragment || !inner || !is_tunnel(&walk, protocol))
            break;
        if (!walk_tunnel(&walk, protocol, &type))
            return false;
    }
    if (inner && layout->count == 1)
        return false; /* a tunnel that is not known here */
    return read_transport(&walk, protocol, fragment) && layout->end >= layout->payload;
}
