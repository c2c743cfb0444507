/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Link headers, one small decoder each. What a header says of its payload is turned into an
 * EtherType, so that all that follows knows one numbering.
 *
 * Threads: no state.
 */
#include "packet/link.h"

#include <remediate/packet.h>
#include "base/base.h"

#define PPP_IPV4 0x0021u
#define PPP_IPV6 0x0057u
#define PPP_MPLS 0x0281u
#define ETHERTYPE_ARP 0x0806u
#define ETHERTYPE_RARP 0x8035u

static void found(struct remed_link *link, uint32_t payload, uint32_t protocol)
{
    link->payload = payload;
    link->protocol = protocol;
}

static void truncated(struct remed_link *link)
{
    link->status = REMED_LINK_TRUNCATED;
}

/* The type is known; the payload may still lie beyond the captured bytes. */
static void cut_at(struct remed_link *link, uint32_t captured)
{
    if (captured < link->payload)
        link->status = REMED_LINK_CUT;
}

static void by_version(struct remed_link *link, const uint8_t *data, uint32_t captured,
                       uint32_t offset)
{
    if (captured <= offset) {
        truncated(link);
        return;
    }
    unsigned version = data[offset] >> 4;
    found(link, offset,
          version == 4   ? REMED_ETHERTYPE_IPV4
          : version == 6 ? REMED_ETHERTYPE_IPV6
                         : REMED_ETHERTYPE_NONE);
}

static void ethertype_at(struct remed_link *link, const uint8_t *data, uint32_t captured,
                         uint32_t offset, uint32_t payload)
{
    if (captured < offset + 2) {
        truncated(link);
        return;
    }
    uint32_t type = remed_load16(data + offset);
    found(link, payload, type >= 0x600 ? type : REMED_ETHERTYPE_NONE);
}

/* BSD loopback: an address family, whose number for IPv6 each system chose for itself. */
static void loopback(struct remed_link *link, const uint8_t *data, uint32_t captured,
                     bool swappable)
{
    if (captured < 4) {
        truncated(link);
        return;
    }
    uint32_t family = remed_load32(data);
    if (swappable && (family & 0xffff0000u) != 0)
        family = (family >> 24) | (family >> 8 & 0xff00);
    bool v6 = family == 10 || family == 24 || family == 28 || family == 30;
    found(link, 4,
          family == 2 ? REMED_ETHERTYPE_IPV4
          : v6        ? REMED_ETHERTYPE_IPV6
                      : REMED_ETHERTYPE_NONE);
}

static uint32_t ppp_ethertype(uint32_t protocol)
{
    switch (protocol) {
    case PPP_IPV4:
        return REMED_ETHERTYPE_IPV4;
    case PPP_IPV6:
        return REMED_ETHERTYPE_IPV6;
    case PPP_MPLS:
        return REMED_ETHERTYPE_MPLS;
    default:
        return REMED_ETHERTYPE_NONE;
    }
}

/* PPP with or without its HDLC address and control (RFC 1662), the protocol possibly in one byte.
 */
static void ppp(struct remed_link *link, const uint8_t *data, uint32_t captured, uint32_t offset)
{
    if (captured >= offset + 2 && data[offset] == 0xff && data[offset + 1] == 0x03)
        offset += 2;
    if (captured < offset + 2) {
        truncated(link);
        return;
    }
    if ((data[offset] & 1) != 0) /* compressed: only the last byte is odd (RFC 1661, 6.5) */
        found(link, offset + 1, ppp_ethertype(data[offset]));
    else
        found(link, offset + 2, ppp_ethertype(remed_load16(data + offset)));
}

/* Cisco HDLC, where some senders use PPP's numbers. */
static void cisco_hdlc(struct remed_link *link, const uint8_t *data, uint32_t captured)
{
    if (captured >= 4 && data[0] == 0xff && data[1] == 0x03)
        ppp(link, data, captured, 0);
    else
        ethertype_at(link, data, captured, 2, 4);
}

/* Frame relay with a two-byte address and RFC 2427 encapsulation. */
static void frame_relay(struct remed_link *link, const uint8_t *data, uint32_t captured)
{
    if (captured < 4) {
        truncated(link);
        return;
    }
    found(link, 4,
          data[3] == 0xcc   ? REMED_ETHERTYPE_IPV4
          : data[3] == 0x8e ? REMED_ETHERTYPE_IPV6
                            : REMED_ETHERTYPE_NONE);
}

static uint8_t cooked_side(unsigned type)
{
    return type == 4 ? REMED_SIDE_OUT : REMED_SIDE_IN; /* 4: sent by this host */
}

static void cooked(struct remed_link *link, const uint8_t *data, uint32_t captured,
                   unsigned version)
{
    uint32_t header = version == 1 ? 16 : 20;
    ethertype_at(link, data, captured, version == 1 ? 14 : 0, header);
    if (link->status != REMED_LINK_OK)
        return;
    cut_at(link, captured);
    if (link->status == REMED_LINK_OK)
        link->side = cooked_side(version == 1 ? remed_load16(data) : data[10]);
}

static void arcnet(struct remed_link *link, const uint8_t *data, uint32_t captured)
{
    if (captured < 5) {
        truncated(link);
        return;
    }
    unsigned type = data[4]; /* after two addresses and the two offset bytes that Linux keeps */
    found(link, 8,
          type == 212 || type == 240   ? REMED_ETHERTYPE_IPV4
          : type == 196                ? REMED_ETHERTYPE_IPV6
          : type == 213 || type == 241 ? ETHERTYPE_ARP
          : type == 214                ? ETHERTYPE_RARP
                                       : REMED_ETHERTYPE_NONE);
    cut_at(link, captured);
}

static void ipnet(struct remed_link *link, const uint8_t *data, uint32_t captured)
{
    if (captured < 2) {
        truncated(link);
        return;
    }
    found(link, 24,
          data[1] == 2    ? REMED_ETHERTYPE_IPV4
          : data[1] == 26 ? REMED_ETHERTYPE_IPV6
                          : REMED_ETHERTYPE_NONE);
    cut_at(link, captured);
}

void remed_link_decode(const uint8_t *data, uint32_t captured, uint32_t link_type,
                       struct remed_link *link)
{
    *link = (struct remed_link){0, REMED_ETHERTYPE_NONE, REMED_LINK_OK, 0};
    switch (link_type) {
    case REMED_LINK_ETHERNET:
        ethertype_at(link, data, captured, 12, 14);
        break;
    case REMED_LINK_LINUX_SLL:
        cooked(link, data, captured, 1);
        break;
    case REMED_LINK_LINUX_SLL2:
        cooked(link, data, captured, 2);
        break;
    case REMED_LINK_RAW:
    case 12: /* DLT_RAW of most systems, found in files */
    case 14: /* and of OpenBSD */
        by_version(link, data, captured, 0);
        break;
    case REMED_LINK_SLIP:
        by_version(link, data, captured, 16);
        break;
    case REMED_LINK_IPV4:
        found(link, 0, REMED_ETHERTYPE_IPV4);
        break;
    case REMED_LINK_IPV6:
        found(link, 0, REMED_ETHERTYPE_IPV6);
        break;
    case REMED_LINK_NULL:
    case REMED_LINK_LOOP:
        loopback(link, data, captured, link_type == REMED_LINK_NULL);
        break;
    case REMED_LINK_PPP:
    case REMED_LINK_PPP_HDLC:
        ppp(link, data, captured, 0);
        break;
    case REMED_LINK_PPP_WITH_DIR:
        if (captured > 0)
            link->side = data[0] != 0 ? REMED_SIDE_OUT : REMED_SIDE_IN;
        ppp(link, data, captured, 1);
        break;
    case REMED_LINK_PPP_ETHER:
        ppp(link, data, captured, 6);
        break;
    case REMED_LINK_C_HDLC:
        cisco_hdlc(link, data, captured);
        break;
    case REMED_LINK_FRELAY:
        frame_relay(link, data, captured);
        break;
    case REMED_LINK_ARCNET_LINUX:
        arcnet(link, data, captured);
        break;
    case REMED_LINK_IPNET:
        ipnet(link, data, captured);
        break;
    default:
        link->status = REMED_LINK_UNKNOWN;
    }
}
