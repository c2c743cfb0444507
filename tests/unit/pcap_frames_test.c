/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets made into frames for a link: merged TCP and UDP, checksums left undone, tunnels, VLAN
 * tags, what a snap length cut, what is longer than the MTU; the queue of those that wait. What
 * comes out is put together again and checked by sums of its own.
 */
#include "backend/pcap/injector.h"
#include "unit/test.h"

#include <stdlib.h>

#define FRAME_MAX 70000u
#define FRAMES 200u

struct bytes {
    uint8_t at[FRAME_MAX];
    uint32_t length;
};

static struct bytes frame;
static struct {
    uint8_t *bytes;
    uint32_t length;
    bool last;
} out[FRAMES];
static unsigned outs;
static uint8_t scratch[2][REMED_LONGEST_FRAME];

static int keep(void *context, const uint8_t *bytes, uint32_t length, bool last)
{
    (void)context;
    CU_ASSERT_FATAL(outs < FRAMES);
    out[outs].bytes = malloc(length);
    CU_ASSERT_FATAL(out[outs].bytes != NULL);
    memcpy(out[outs].bytes, bytes, length);
    out[outs].last = last;
    out[outs++].length = length;
    return 0;
}

static void forget(void)
{
    while (outs > 0)
        free(out[--outs].bytes);
}

static void put8(unsigned value)
{
    frame.at[frame.length++] = (uint8_t)value;
}

static void put16(unsigned value)
{
    put8(value >> 8);
    put8(value);
}

static void put32(uint32_t value)
{
    put16(value >> 16);
    put16(value & 0xffff);
}

static void begin_frame(unsigned vlan_tags, unsigned type)
{
    for (unsigned i = 0; i < 12; i++)
        put8(2);
    for (unsigned i = 0; i < vlan_tags; i++) {
        put16(0x8100);
        put16(7);
    }
    put16(type);
}

static void put_ip4(unsigned protocol, unsigned length, unsigned flags)
{
    put16(0x4500);
    put16(20 + length);
    put16(0x1234);
    put16(flags);
    put8(64);
    put8(protocol);
    put16(0);
    put32(0x0a000001);
    put32(0xc6336401);
}

static void put_ip6(unsigned protocol, unsigned length)
{
    put32(0x60000000);
    put16(length);
    put8(protocol);
    put8(64);
    for (unsigned i = 0; i < 32; i++)
        put8(i);
}

/* With a timestamp option: 32 bytes. */
static void put_tcp(unsigned flags)
{
    put16(40000);
    put16(443);
    put32(0xfffffff0); /* numbers turn over within the frame */
    put32(77);
    put8(0x80);
    put8(flags);
    put16(500);
    put16(0xdead);
    put16(0);
    put32(0x0101080a);
    put32(1);
    put32(2);
}

static void put_udp(unsigned to, unsigned length, unsigned checksum)
{
    put16(5000);
    put16(to);
    put16(8 + length);
    put16(checksum);
}

static void put_payload(unsigned length)
{
    for (unsigned i = 0; i < length; i++)
        put8(i * 7 + (i >> 8));
}

static int split(uint32_t mtu, unsigned offload, unsigned segment, uint32_t captured)
{
    static uint32_t identification;
    const struct remed_packet packet = {.data = frame.at,
                                        .captured = captured,
                                        .wire = frame.length,
                                        .link_type = REMED_LINK_ETHERNET,
                                        .offload = (uint8_t)offload,
                                        .segment = (uint16_t)segment};
    const struct remed_frame_sink sink = {
        .take = keep, .scratch = scratch[0], .part = scratch[1], .identification = &identification};
    forget();
    int rc = remed_frame_split(&packet, mtu, &sink);
    for (unsigned i = 0; i < outs; i++)
        CU_ASSERT_EQUAL(out[i].last, i + 1 == outs);
    return rc;
}

static unsigned get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* RFC 1071, the slow way: 0xffff over bytes that hold their checksum. */
static unsigned add_up(unsigned sum, const uint8_t *at, size_t length)
{
    for (size_t i = 0; i < length; i++)
        sum += i % 2 == 0 ? (unsigned)at[i] << 8 : at[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* An IPv4 or IPv6 header with all that follows is right in itself. */
static void check_ip(const uint8_t *ip, uint32_t length)
{
    bool is4 = ip[0] >> 4 == 4;
    uint32_t header = is4 ? 20 : 40;
    unsigned protocol = is4 ? ip[9] : ip[6];
    CU_ASSERT_EQUAL(is4 ? get16(ip + 2) : 40 + get16(ip + 4), length);
    if (is4)
        CU_ASSERT_EQUAL(add_up(0, ip, 20), 0xffff);
    unsigned sum = add_up(protocol + length - header, is4 ? ip + 12 : ip + 8, is4 ? 8 : 32);
    const uint8_t *transport = ip + header;
    if (protocol == 17)
        CU_ASSERT_EQUAL(get16(transport + 4), length - header);
    if (protocol == 6 || (protocol == 17 && get16(transport + 6) != 0))
        CU_ASSERT_EQUAL(add_up(sum, transport, length - header), 0xffff);
}

/* Segments are as the sender's were: numbers, flags, sums, and all of the payload. */
static void check_tcp(uint32_t network, uint32_t header, unsigned flags, uint32_t total)
{
    uint32_t payload = network + header + 32, done = 0;
    for (unsigned i = 0; i < outs; i++) {
        const uint8_t *tcp = out[i].bytes + network + header;
        uint32_t length = out[i].length - payload;
        check_ip(out[i].bytes + network, out[i].length - network);
        CU_ASSERT_EQUAL(get32(tcp + 4), 0xfffffff0 + done);
        unsigned expected = flags & (i + 1 == outs ? 0xffu : ~9u) & (i == 0 ? 0xffu : ~0x80u);
        CU_ASSERT_EQUAL(tcp[13], expected);
        CU_ASSERT_EQUAL(memcmp(out[i].bytes + payload, frame.at + payload + done, length), 0);
        if (header == 20)
            CU_ASSERT_EQUAL(get16(out[i].bytes + network + 4), 0x1234 + i);
        done += length;
    }
    CU_ASSERT_EQUAL(done, total);
}

static void merged_tcp(void)
{
    const unsigned flags = 0x99; /* CWR, ACK, PSH, FIN */
    for (unsigned tags = 0; tags < 3; tags++) {
        frame.length = 0;
        begin_frame(tags, 0x0800);
        put_ip4(6, 32 + 3001, 0x4000);
        put_tcp(flags);
        put_payload(3001);
        unsigned offload = REMED_OFFLOAD_TCP | REMED_OFFLOAD_CHECKSUM;
        CU_ASSERT_EQUAL(split(1500, offload, 1000, frame.length), 0);
        CU_ASSERT_EQUAL(outs, 4);
        check_tcp(14 + 4 * tags, 20, flags, 3001);
        /* a smaller MTU than the sender's */
        CU_ASSERT_EQUAL(split(600, offload, 1000, frame.length), 0);
        for (unsigned i = 0; i < outs; i++)
            CU_ASSERT(out[i].length <= 600 + (tags > 0 ? 18 : 14));
        check_tcp(14 + 4 * tags, 20, flags, 3001);
    }
    frame.length = 0;
    begin_frame(1, 0x86dd);
    put_ip6(6, 32 + 60000);
    put_tcp(0x10);
    put_payload(60000);
    CU_ASSERT_EQUAL(split(1500, REMED_OFFLOAD_TCP, 1428, frame.length), 0);
    CU_ASSERT_EQUAL(outs, 43);
    check_tcp(18, 40, 0x10, 60000);
}

static void merged_udp(void)
{
    for (unsigned sum = 0; sum < 2; sum++) {
        frame.length = 0;
        begin_frame(0, 0x0800);
        put_ip4(17, 8 + 2500, 0);
        put_udp(53, 2500, sum);
        put_payload(2500);
        CU_ASSERT_EQUAL(split(1500, REMED_OFFLOAD_UDP, 1000, frame.length), 0);
        CU_ASSERT_EQUAL_FATAL(outs, 3);
        for (unsigned i = 0; i < 3; i++) {
            check_ip(out[i].bytes + 14, out[i].length - 14);
            CU_ASSERT_EQUAL(out[i].length, 42 + (i < 2 ? 1000u : 500u));
            CU_ASSERT_EQUAL(get16(out[i].bytes + 40) != 0, sum != 0);
            CU_ASSERT_EQUAL(memcmp(out[i].bytes + 42, frame.at + 42 + 1000 * i, out[i].length - 42),
                            0);
        }
    }
}

static void undone_checksums(void)
{
    frame.length = 0;
    begin_frame(0, 0x0800);
    put_ip4(6, 32 + 5, 0);
    put_tcp(0x18);
    put_payload(5);
    put_payload(3); /* padding, behind the datagram: it goes */
    CU_ASSERT_EQUAL(split(1500, REMED_OFFLOAD_CHECKSUM, 0, frame.length), 0);
    CU_ASSERT_EQUAL_FATAL(outs, 1);
    check_tcp(14, 20, 0x18, 5);
    frame.length = 0;
    begin_frame(0, 0x86dd);
    put_ip6(17, 8 + 11);
    put_udp(53, 11, 0); /* the sum of the pseudo header may be zero: it is made all the same */
    put_payload(11);
    CU_ASSERT_EQUAL(split(1500, REMED_OFFLOAD_CHECKSUM, 0, frame.length), 0);
    CU_ASSERT_EQUAL_FATAL(outs, 1);
    check_ip(out[0].bytes + 14, out[0].length - 14);
    CU_ASSERT_NOT_EQUAL(get16(out[0].bytes + 14 + 40 + 6), 0);
    frame.length = 0; /* SCTP: "123456789" has a known CRC, but not behind its header of zeros */
    begin_frame(0, 0x0800);
    put_ip4(132, 12, 0);
    for (unsigned i = 0; i < 12; i++)
        put8(i < 8 ? 0 : 0xee);
    CU_ASSERT_EQUAL(split(1500, REMED_OFFLOAD_CHECKSUM, 0, frame.length), 0);
    CU_ASSERT_EQUAL_FATAL(outs, 1);
    CU_ASSERT_EQUAL(get32(out[0].bytes + 14 + 20 + 8), 0x5db5602b); /* CRC32c of 12 zeros, turned */
}

static void in_tunnels(void)
{
    for (unsigned outer_sum = 0; outer_sum < 2; outer_sum++) {
        frame.length = 0;
        begin_frame(0, 0x0800);
        put_ip4(17, 8 + 8 + 14 + 20 + 32 + 2000, 0);
        put_udp(4789, 8 + 14 + 20 + 32 + 2000, outer_sum);
        put32(0x08000000);
        put32(42 << 8);
        begin_frame(0, 0x0800);
        put_ip4(6, 32 + 2000, 0);
        put_tcp(0x18);
        put_payload(2000);
        unsigned offload = REMED_OFFLOAD_CHECKSUM | REMED_OFFLOAD_TCP | REMED_OFFLOAD_INNER;
        CU_ASSERT_EQUAL(split(1500, offload, 1200, frame.length), 0);
        CU_ASSERT_EQUAL_FATAL(outs, 2);
        for (unsigned i = 0; i < outs; i++)
            check_ip(out[i].bytes + 14, out[i].length - 14);
        check_tcp(64, 20, 0x18, 2000);
    }
    frame.length = 0;
    begin_frame(0, 0x86dd);
    put_ip6(47, 4 + 20 + 32 + 100);
    put32(0x00000800);
    put_ip4(6, 32 + 100, 0);
    put_tcp(0x10);
    put_payload(100);
    CU_ASSERT_EQUAL(split(1500, REMED_OFFLOAD_CHECKSUM | REMED_OFFLOAD_INNER, 0, frame.length), 0);
    CU_ASSERT_EQUAL_FATAL(outs, 1);
    check_tcp(58, 20, 0x10, 100);
    /* no tunnel that we know: not guessed at */
    frame.at[20] = 97;
    CU_ASSERT_EQUAL(split(1500, REMED_OFFLOAD_CHECKSUM | REMED_OFFLOAD_INNER, 0, frame.length),
                    REMED_EUNSUPPORTED);
}

static void cut_by_snap_length(void)
{
    frame.length = 0;
    begin_frame(0, 0x0800);
    put_ip4(6, 32 + 3000, 0);
    put_tcp(0x18);
    put_payload(3000);
    memset(frame.at + 1000, 0, frame.length - 1000);
    CU_ASSERT_EQUAL(split(1500, REMED_OFFLOAD_TCP, 1400, 1000), 0);
    CU_ASSERT_EQUAL(outs, 3);
    check_tcp(14, 20, 0x18, 3000);
    CU_ASSERT_EQUAL(split(1500, 0, 0, 60), REMED_EUNSUPPORTED); /* within the TCP header */
}

static void check_fragments(uint32_t headers, bool is6, uint32_t total)
{
    uint32_t done = 0;
    for (unsigned i = 0; i < outs; i++) {
        const uint8_t *ip = out[i].bytes + 14;
        uint32_t start = 14 + headers + (is6 ? 8 : 0), length = out[i].length - start;
        unsigned word = is6 ? get16(ip + headers + 2) : get16(ip + 6);
        unsigned offset = is6 ? word & 0xfff8 : (word & 0x1fff) * 8;
        CU_ASSERT_EQUAL(offset, done);
        CU_ASSERT_EQUAL(is6 ? word & 1 : word >> 13, i + 1 < outs);
        CU_ASSERT_EQUAL(is6 ? 40 + get16(ip + 4) : get16(ip + 2), out[i].length - 14);
        if (is6) {
            CU_ASSERT_EQUAL(get32(ip + headers + 4), get32(out[0].bytes + 14 + headers + 4));
        } else {
            CU_ASSERT_EQUAL(add_up(0, ip, 20), 0xffff);
            CU_ASSERT_EQUAL(get16(ip + 4), get16(out[0].bytes + 18));
        }
        CU_ASSERT(out[i].length <= 1514);
        uint32_t skip = done == 0 ? 8 : 0; /* the UDP header has its checksum now */
        CU_ASSERT_EQUAL(memcmp(out[i].bytes + start + skip, frame.at + 14 + headers + done + skip,
                               length - skip),
                        0);
        done += length;
    }
    CU_ASSERT_EQUAL(done, total);
}

static void longer_than_the_mtu(void)
{
    frame.length = 0; /* TCP becomes segments */
    begin_frame(0, 0x0800);
    put_ip4(6, 32 + 8000, 0x4000);
    put_tcp(0x18);
    put_payload(8000);
    CU_ASSERT_EQUAL(split(1500, 0, 0, frame.length), 0);
    CU_ASSERT_EQUAL(outs, 6);
    check_tcp(14, 20, 0x18, 8000);
    frame.length = 0; /* others become fragments, also when the sender said not to */
    begin_frame(0, 0x0800);
    put_ip4(17, 8 + 8000, 0x4000);
    put_udp(53, 8000, 1);
    put_payload(8000);
    CU_ASSERT_EQUAL(split(1500, 0, 0, frame.length), 0);
    CU_ASSERT_EQUAL(outs, 6);
    check_fragments(20, false, 8008);
    CU_ASSERT_NOT_EQUAL(get16(out[0].bytes + 18), 0x1234);
    frame.length = 0;
    begin_frame(0, 0x86dd);
    put_ip6(0, 8 + 8 + 4000);
    put32(0x11000502); /* hop by hop: stays with each fragment */
    put32(0);
    put_udp(53, 4000, 1);
    put_payload(4000);
    CU_ASSERT_EQUAL(split(1500, 0, 0, frame.length), 0);
    CU_ASSERT_EQUAL(outs, 3);
    CU_ASSERT_EQUAL(out[0].bytes[14 + 40], 44);
    check_fragments(48, true, 4008);
    CU_ASSERT_EQUAL(split(50, 0, 0, frame.length), REMED_EUNSUPPORTED);
    frame.length = 0;
    begin_frame(0, 0x0806);
    put_payload(2000);
    CU_ASSERT_EQUAL(split(1500, 0, 0, frame.length), REMED_EUNSUPPORTED);
}

/* Whatever the bytes and the offloads say, nothing is read beyond them, and no frame is too long.
 */
static void any_bytes(void)
{
    uint32_t state = 1;
    for (unsigned round = 0; round < 20000; round++) {
        frame.length = 0;
        begin_frame(round % 3, round % 2 == 0 ? 0x0800 : 0x86dd);
        if (round % 2 == 0)
            put_ip4(round % 5 == 0 ? 17 : 6, 400, 0);
        else
            put_ip6(round % 5 == 0 ? 17 : 6, 400);
        put_tcp(0x10);
        put_payload(300);
        for (unsigned i = 0; i < round % 7; i++) {
            state = state * 1664525 + 1013904223;
            frame.at[12 + (state >> 8) % 70] = (uint8_t)(state >> 24);
        }
        uint32_t wire = frame.length, captured = round % (wire + 1);
        uint8_t *exact = malloc(captured > 0 ? captured : 1);
        CU_ASSERT_FATAL(exact != NULL);
        memcpy(exact, frame.at, captured);
        const struct remed_packet packet = {.data = exact,
                                            .captured = captured,
                                            .wire = wire,
                                            .offload = state >> 12 & 15,
                                            .segment = state >> 16 & 0x3ff};
        uint32_t identification = 0;
        const struct remed_frame_sink sink = {NULL, keep, scratch[0], scratch[1], &identification};
        struct remed_layout layout;
        if (remed_layout_read(&packet, (packet.offload & REMED_OFFLOAD_INNER) != 0, &layout) &&
            packet.segment > 20 && layout.end < 4000) {
            forget();
            (void)remed_frame_split(&packet, 576, &sink);
            for (unsigned i = 0; i < outs; i++)
                CU_ASSERT(out[i].length <= 576 + 18);
        }
        free(exact);
    }
    forget();
}

static void queue_in_order(void)
{
    static struct remed_injector injector;
    static uint8_t queue[REMED_QUEUE_BYTES], bytes[1500];
    injector = (struct remed_injector){.queue = queue};
    uint64_t put = 0, dropped = 0;
    for (unsigned round = 0; round < 5000; round++) {
        struct remed_outgoing one = {.bytes = bytes, .length = 60 + round % 1400, .packet = put};
        memcpy(bytes, &put, sizeof put);
        while (remed_queue_put(&injector, &one)) {
            one.packet = ++put;
            memcpy(bytes, &put, sizeof put);
            if (round % 3 == 0)
                break;
        }
        struct remed_outgoing some[7];
        uint32_t count = remed_queue_peek(&injector, some, 7);
        for (uint32_t i = 0; i < count; i++) {
            CU_ASSERT_EQUAL(some[i].packet, dropped + i);
            CU_ASSERT_EQUAL(memcmp(some[i].bytes, &some[i].packet, 8), 0);
        }
        remed_queue_drop(&injector, count / 2);
        dropped += count / 2;
        CU_ASSERT_EQUAL(injector.waiting, put - dropped);
    }
    CU_ASSERT(put > 5000);
    remed_queue_drop(&injector, injector.waiting);
    struct remed_outgoing none;
    CU_ASSERT_EQUAL(remed_queue_peek(&injector, &none, 1), 0);
}

static const struct test_case cases[] = {
    {"merged TCP", merged_tcp},
    {"merged UDP", merged_udp},
    {"checksums left undone", undone_checksums},
    {"in tunnels", in_tunnels},
    {"cut by the snap length", cut_by_snap_length},
    {"longer than the MTU", longer_than_the_mtu},
    {"any bytes", any_bytes},
    {"the queue keeps order", queue_in_order},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"pcap frames", cases, NULL, forget},
                                         {NULL, NULL, NULL, NULL}};
