/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the headers of an Ethernet frame lie whose lengths and checksums change when it is sent in
 * parts. Threads: no state.
 */
#ifndef REMED_PCAP_LAYOUT_H
#define REMED_PCAP_LAYOUT_H

#include <remediate/packet.h>
#include "base/base.h"

#define REMED_LAYERS 8u

enum remed_layer_kind { REMED_LAYER_IP4, REMED_LAYER_IP6, REMED_LAYER_UDP };

struct remed_layout {
    struct {
        uint8_t kind; /* enum remed_layer_kind */
        uint32_t at;
    } layer[REMED_LAYERS]; /* outermost first; UDP only where it carries a tunnel */
    uint32_t count;
    uint32_t network;      /* of the outermost IP header: the MTU counts from here */
    uint32_t fragmentable; /* behind the outermost IP header and what stays with each fragment */
    uint32_t next_at;      /* IPv6: of the byte that names what stands at `fragmentable` */
    uint32_t transport;    /* of the header that `protocol` names */
    uint32_t payload;      /* behind it */
    uint32_t end;          /* of the outermost datagram: what follows is padding */
    uint8_t protocol;      /* 0: none that we know the checksum of, or a fragment */
    bool fragment;         /* the outermost header says so */
};

/* Reads a frame's headers; `inner`: through its tunnels. False when they are not whole or not
 * known. */
bool remed_layout_read(const struct remed_packet *packet, bool inner, struct remed_layout *layout);

#endif
