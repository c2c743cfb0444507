/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames for tests of what stands above the parser: Ethernet, IPv4, TCP or UDP, built by hand.
 */
#ifndef REMED_TEST_FRAMES_H
#define REMED_TEST_FRAMES_H

#include <remediate/packet.h>
#include <string.h>

struct frame {
    uint8_t bytes[64];
    struct remed_packet packet;
};

struct frame_spec {
    uint8_t protocol; /* 6 or 17 */
    uint8_t reply;    /* 1: from the server */
    uint8_t tcp_flags;
    uint8_t client; /* last byte of the client's address */
    uint16_t port;  /* the server's */
    uint32_t wire;  /* 0: as captured */
    uint32_t sequence, ack;
    uint64_t time;
    uint8_t side;
    uint16_t id; /* IP identification; 0: another one for each frame */
};

static inline void frame_put16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static inline void frame_put32(uint8_t *to, uint32_t value)
{
    frame_put16(to, value >> 16);
    frame_put16(to + 2, value & 0xffff);
}

static inline void frame_build(struct frame *frame, const struct frame_spec *spec)
{
    static const uint8_t ethernet_ip[] = {2, 0, 0,    0, 0, 1,  2, 0, 0, 0, 0, 2,
                                          8, 0, 0x45, 0, 0, 40, 0, 1, 0, 0, 64};
    memset(frame, 0, sizeof *frame);
    uint8_t *b = frame->bytes;
    memcpy(b, ethernet_ip, sizeof ethernet_ip);
    static uint16_t next_id;
    frame_put16(b + 18, spec->id != 0 ? spec->id : ++next_id);
    b[23] = spec->protocol;
    const uint8_t client[4] = {10, 0, 0, spec->client}, server[4] = {192, 0, 2, 1};
    memcpy(b + 26, spec->reply ? server : client, 4);
    memcpy(b + 30, spec->reply ? client : server, 4);
    unsigned client_port = 40000;
    frame_put16(b + 34, spec->reply ? spec->port : client_port);
    frame_put16(b + 36, spec->reply ? client_port : spec->port);
    if (spec->protocol == 6) {
        frame_put32(b + 38, spec->sequence);
        frame_put32(b + 42, spec->ack);
        b[46] = 0x50;
        b[47] = spec->tcp_flags;
    }
    frame->packet = (struct remed_packet){.data = b,
                                          .captured = 54,
                                          .wire = spec->wire != 0 ? spec->wire : 54,
                                          .time = spec->time,
                                          .link_type = REMED_LINK_ETHERNET,
                                          .side = spec->side};
}

#endif
