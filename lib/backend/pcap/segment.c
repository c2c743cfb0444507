/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A frame is built from the packet's headers and a part of its payload; then lengths, numbers and
 * checksums are set from the innermost header outwards, as an outer checksum covers the inner ones.
 *
 * Threads: no state.
 */
#include "backend/pcap/segment.h"
#include "backend/pcap/checksum.h"

#define TCP 6u
#define UDP 17u
#define ICMP 1u
#define ICMP6 58u
#define SCTP 132u
#define FLAG_FIN 0x01u
#define FLAG_PSH 0x08u
#define FLAG_CWR 0x80u
#define DONT_FRAGMENT 0x4000u
#define MORE_FRAGMENTS 0x2000u

/* One part of a packet. */
struct part {
    uint32_t offset, length; /* of the payload */
    uint32_t number;         /* from 0 */
    bool last;
};

static void store16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void store32(uint8_t *at, uint32_t value)
{
    store16(at, value >> 16);
    store16(at + 2, value);
}

/* Bytes of the packet; zeros for those that were not captured. */
static void copy_bytes(uint8_t *to, const struct remed_packet *packet, uint32_t from,
                       uint32_t length)
{
    uint32_t there = from < packet->captured ? packet->captured - from : 0;
    there = there < length ? there : length;
    memcpy(to, packet->data + (there > 0 ? from : 0), there);
    memset(to + there, 0, length - there);
}

/* The sum over addresses, protocol and length that TCP, UDP and ICMPv6 put in front. */
static uint64_t pseudo_header(const uint8_t *frame, const struct remed_layout *layout,
                              uint32_t layer, uint32_t protocol, uint32_t length)
{
    const uint8_t *ip = frame + layout->layer[layer].at;
    uint64_t sum = protocol + length;
    return layout->layer[layer].kind == REMED_LAYER_IP4 ? remed_checksum_add(sum, ip + 12, 8)
                                                        : remed_checksum_add(sum, ip + 8, 32);
}

static void set_checksum(uint8_t *frame, uint32_t from, uint32_t at, uint64_t sum, uint32_t end)
{
    store16(frame + at, 0);
    store16(frame + at, remed_checksum_end(remed_checksum_add(sum, frame + from, end - from)));
}

static void set_udp_checksum(uint8_t *frame, const struct remed_layout *layout, uint32_t layer,
                             uint32_t at, uint32_t end)
{
    set_checksum(frame, at, at + 6, pseudo_header(frame, layout, layer, UDP, end - at), end);
    if (remed_load16(frame + at + 6) == 0)
        store16(frame + at + 6, 0xffff); /* 0 says that there is none */
}

static void finish_tcp(uint8_t *header, const struct part *part)
{
    store32(header + 4, remed_load32(header + 4) + part->offset);
    if (!part->last)
        header[13] &= (uint8_t) ~(FLAG_FIN | FLAG_PSH);
    if (part->number > 0)
        header[13] &= (uint8_t)~FLAG_CWR;
}

static void finish_transport(uint8_t *frame, const struct remed_packet *packet,
                             const struct remed_layout *layout, const struct part *part,
                             uint32_t end)
{
    uint32_t at = layout->transport, ip = layout->count - 1;
    switch (layout->protocol) {
    case TCP:
        finish_tcp(frame + at, part);
        set_checksum(frame, at, at + 16, pseudo_header(frame, layout, ip, TCP, end - at), end);
        break;
    case UDP: {
        bool without = remed_load16(frame + at + 6) == 0;
        store16(frame + at + 4, end - at);
        if (!without || (packet->offload & REMED_OFFLOAD_CHECKSUM) != 0)
            set_udp_checksum(frame, layout, ip, at, end);
        break;
    }
    case ICMP:
        set_checksum(frame, at, at + 2, 0, end);
        break;
    case ICMP6:
        set_checksum(frame, at, at + 2, pseudo_header(frame, layout, ip, ICMP6, end - at), end);
        break;
    case SCTP: {
        store32(frame + at + 8, 0);
        uint32_t crc = remed_crc32c(frame + at, end - at);
        store32(frame + at + 8, __builtin_bswap32(crc));
        break;
    }
    default:
        break;
    }
}

static void finish_ip4(uint8_t *header, uint32_t length, uint32_t number)
{
    uint32_t header_length = (header[0] & 15u) * 4;
    store16(header + 2, length);
    store16(header + 4, remed_load16(header + 4) + number);
    set_checksum(header, 0, 10, 0, header_length);
}

static void finish_layers(uint8_t *frame, const struct remed_layout *layout,
                          const struct part *part, uint32_t end)
{
    for (uint32_t i = layout->count; i-- > 0;) {
        uint32_t at = layout->layer[i].at;
        if (layout->layer[i].kind == REMED_LAYER_IP4) {
            finish_ip4(frame + at, end - at, part->number);
        } else if (layout->layer[i].kind == REMED_LAYER_IP6) {
            store16(frame + at + 4, end - at - 40);
        } else {
            store16(frame + at + 4, end - at);
            if (remed_load16(frame + at + 6) != 0)
                set_udp_checksum(frame, layout, i - 1, at, end);
        }
    }
}

/* A frame of the packet's headers and a part of its payload. Its length. */
static uint32_t build_frame(const struct remed_packet *packet, const struct remed_layout *layout,
                            const struct part *part, uint8_t *frame)
{
    uint32_t end = layout->payload + part->length;
    copy_bytes(frame, packet, 0, layout->payload);
    copy_bytes(frame + layout->payload, packet, layout->payload + part->offset, part->length);
    finish_transport(frame, packet, layout, part, end);
    finish_layers(frame, layout, part, end);
    return end;
}

/* The header of an IPv4 fragment. A datagram that said not to be fragmented may have no number. */
static uint32_t begin_fragment4(uint8_t *part, const uint8_t *frame,
                                const struct remed_layout *layout, uint32_t offset, bool more,
                                uint32_t identification)
{
    memcpy(part, frame, layout->fragmentable);
    uint8_t *header = part + layout->network;
    unsigned before = remed_load16(header + 6);
    unsigned flags = (before & MORE_FRAGMENTS) != 0 || more ? MORE_FRAGMENTS : 0;
    if ((before & DONT_FRAGMENT) != 0)
        store16(header + 4, identification);
    store16(header + 6, flags | ((before & 0x1fff) + offset / 8));
    return layout->fragmentable;
}

static uint32_t begin_fragment6(uint8_t *part, const uint8_t *frame,
                                const struct remed_layout *layout, uint32_t offset, bool more,
                                uint32_t identification)
{
    memcpy(part, frame, layout->fragmentable);
    uint8_t *header = part + layout->fragmentable;
    header[0] = part[layout->next_at];
    header[1] = 0;
    part[layout->next_at] = 44;
    store16(header + 2, offset | (more ? 1 : 0));
    store32(header + 4, identification);
    return layout->fragmentable + 8;
}

/* A finished frame in fragments. */
static int split_datagram(const uint8_t *frame, uint32_t end, const struct remed_layout *layout,
                          uint32_t mtu, bool last, const struct remed_frame_sink *sink)
{
    bool is6 = layout->layer[0].kind == REMED_LAYER_IP6;
    uint32_t headers = layout->fragmentable - layout->network + (is6 ? 8 : 0);
    if (mtu < headers + 8 || (is6 && layout->fragment))
        return REMED_EUNSUPPORTED;
    uint32_t step = (mtu - headers) & ~7u, total = end - layout->fragmentable;
    uint32_t identification = ++*sink->identification;
    for (uint32_t offset = 0; offset < total; offset += step) {
        bool more = total - offset > step;
        uint32_t length = more ? step : total - offset;
        uint32_t at = (is6 ? begin_fragment6 : begin_fragment4)(sink->part, frame, layout, offset,
                                                                more, identification);
        memcpy(sink->part + at, frame + layout->fragmentable + offset, length);
        uint8_t *ip = sink->part + layout->network;
        if (is6)
            store16(ip + 4, at + length - layout->network - 40);
        else
            finish_ip4(ip, at + length - layout->network, 0);
        int rc = sink->take(sink->context, sink->part, at + length, last && !more);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Bytes of payload for each frame. */
static uint32_t part_length(const struct remed_packet *packet, const struct remed_layout *layout,
                            uint32_t mtu)
{
    uint32_t step = layout->end - layout->payload, headers = layout->payload - layout->network;
    bool tcp = layout->protocol == TCP;
    if ((packet->offload & (tcp ? REMED_OFFLOAD_TCP : REMED_OFFLOAD_UDP)) != 0 &&
        packet->segment > 0 && packet->segment < step)
        step = packet->segment;
    if (tcp && mtu > headers && step > mtu - headers)
        step = mtu - headers;
    return step > 0 ? step : 1;
}

/* What the MTU leaves for IP. */
static uint32_t room_for_ip(const struct remed_packet *packet, const struct remed_layout *layout,
                            uint32_t mtu)
{
    uint32_t beyond = layout->network - remed_frame_header(packet);
    return mtu > beyond ? mtu - beyond : 0;
}

int remed_frame_split(const struct remed_packet *packet, uint32_t mtu,
                      const struct remed_frame_sink *sink)
{
    struct remed_layout layout;
    if (!remed_layout_read(packet, (packet->offload & REMED_OFFLOAD_INNER) != 0, &layout))
        return REMED_EUNSUPPORTED;
    mtu = room_for_ip(packet, &layout, mtu);
    uint32_t total = layout.end - layout.payload, step = part_length(packet, &layout, mtu);
    if (layout.payload + (step < total ? step : total) > REMED_LONGEST_FRAME)
        return REMED_EUNSUPPORTED;
    struct part part = {0};
    do {
        part.last = total - part.offset <= step;
        part.length = part.last ? total - part.offset : step;
        uint32_t end = build_frame(packet, &layout, &part, sink->scratch);
        int rc = end - layout.network > mtu
                     ? split_datagram(sink->scratch, end, &layout, mtu, part.last, sink)
                     : sink->take(sink->context, sink->scratch, end, part.last);
        if (rc < 0)
            return rc;
        part.offset += step;
        part.number++;
    } while (!part.last);
    return 0;
}
