/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The link layer as pcap-filter sees it: where the payload of the outermost header begins and which
 * EtherType says what it is. The packet parser and MATCH both begin here, so that they agree.
 *
 * Threads: no state.
 */
#ifndef REMED_PACKET_LINK_H
#define REMED_PACKET_LINK_H

#include <stdbool.h>
#include <stdint.h>

#define REMED_ETHERTYPE_NONE 0xffffu /* not an EtherType: 802.3 length, unknown PPP protocol, … */
#define REMED_ETHERTYPE_IPV4 0x0800u
#define REMED_ETHERTYPE_IPV6 0x86ddu
#define REMED_ETHERTYPE_VLAN 0x8100u
#define REMED_ETHERTYPE_QINQ 0x88a8u
#define REMED_ETHERTYPE_QINQ_OLD 0x9100u
#define REMED_ETHERTYPE_MPLS 0x8847u
#define REMED_ETHERTYPE_MPLS_MULTICAST 0x8848u
#define REMED_ETHERTYPE_PPPOE_SESSION 0x8864u
#define REMED_ETHERTYPE_PBB 0x88e7u
#define REMED_ETHERTYPE_VNTAG 0x8926u
#define REMED_ETHERTYPE_ETAG 0x893fu
#define REMED_ETHERTYPE_HSR 0x892fu
#define REMED_ETHERTYPE_METADATA 0x8909u
#define REMED_ETHERTYPE_NSH 0x894fu

enum remed_link_status {
    REMED_LINK_OK = 0,
    REMED_LINK_UNKNOWN,   /* no decoder for the link type */
    REMED_LINK_TRUNCATED, /* the captured bytes end within the link header, before its type */
    REMED_LINK_CUT        /* they end behind its type: what it says of its payload is known */
};

struct remed_link {
    uint32_t payload;  /* offset of the payload */
    uint32_t protocol; /* EtherType of the payload, or REMED_ETHERTYPE_NONE */
    uint8_t status;    /* enum remed_link_status */
    uint8_t side; /* enum remed_side where the header tells (cooked, PPP with direction), else 0 */
};

/* Decodes the outermost link header; touches no byte at or beyond `captured`. */
void remed_link_decode(const uint8_t *data, uint32_t captured, uint32_t link_type,
                       struct remed_link *link);

#endif
