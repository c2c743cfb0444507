/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pcapng format (draft-ietf-opsawg-pcapng): sections in either byte order, several interfaces
 * with link types and clocks of their own, enhanced, simple and obsolete packet blocks. Unknown
 * blocks are stepped over.
 *
 * Threads: one thread a source.
 */
#include "backend/pcap/source.h"

#define BLOCK_SECTION 0x0a0d0d0au
#define BLOCK_INTERFACE 1u
#define BLOCK_PACKET 2u /* obsolete */
#define BLOCK_SIMPLE 3u
#define BLOCK_ENHANCED 6u
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define MIN_BLOCK 12u
#define MAX_INTERFACES 65536u
#define OPTION_FLAGS 2u
#define OPTION_TSRESOL 9u
#define OPTION_TSOFFSET 14u
#define MAX_POWER 19u /* of ten in 64 bits */
#define NS_POWER 9u

struct option_reader {
    const uint8_t *at, *end;
    uint32_t code, length;
    const uint8_t *value;
};

/* The next option; false at the end, or where an option says more than there is. */
static bool next_option(const struct remed_pcap_source *source, struct option_reader *reader)
{
    if (reader->end - reader->at < 4)
        return false;
    reader->code = remed_file16(source, reader->at);
    reader->length = remed_file16(source, reader->at + 2);
    reader->value = reader->at + 4;
    size_t padded = ((size_t)reader->length + 3) & ~(size_t)3;
    if (reader->code == 0 || (size_t)(reader->end - reader->value) < padded)
        return false;
    reader->at = reader->value + padded;
    return true;
}

static uint64_t power_of_ten(unsigned exponent)
{
    uint64_t power = 1;
    while (exponent-- > 0)
        power *= 10;
    return power;
}

static void set_resolution(struct remed_pcapng_interface *interface, unsigned resolution)
{
    bool binary = (resolution & 0x80) != 0;
    unsigned digits = resolution & 0x7f;
    interface->shift = binary ? digits : 0;
    interface->exponent = binary ? 0 : digits;
    interface->units = 0;
    if (digits == 0)
        interface->units = 1;
    else if (!binary && digits <= MAX_POWER)
        interface->units = power_of_ten(digits);
}

/* 64 bits in the section's byte order. */
static int64_t read_offset(const struct remed_pcap_source *source, const uint8_t *at)
{
    uint64_t value, swapped = 0;
    memcpy(&value, at, sizeof value);
    for (unsigned i = 0; i < 8; i++)
        swapped = swapped << 8 | (value >> (8 * i) & 0xff);
    return (int64_t)(source->swapped ? swapped : value);
}

static int read_interface(struct remed_pcap_source *source, const uint8_t *body, size_t length,
                          struct remed_error *error)
{
    if (length < 8)
        return remed_source_damage(source, error, REMED_EFORMAT, "an interface block too short");
    if (source->interface_count == source->interface_room) {
        size_t room = source->interface_room == 0 ? 4 : source->interface_room * 2;
        if (room > MAX_INTERFACES)
            return remed_source_damage(source, error, REMED_EFORMAT, "too many interfaces");
        void *grown = remed_reallocate(&source->allocator, source->interfaces,
                                       source->interface_room * sizeof *source->interfaces,
                                       room * sizeof *source->interfaces);
        if (grown == NULL)
            return remed_error_set(error, REMED_ENOMEM, "no memory for interfaces");
        source->interfaces = grown;
        source->interface_room = room;
    }
    struct remed_pcapng_interface interface = {
        .link_type = remed_file16(source, body),
        .snap_length = remed_file32(source, body + 4),
        .units = 1000000,
    };
    struct option_reader reader = {.at = body + 8, .end = body + length};
    while (next_option(source, &reader)) {
        if (reader.code == OPTION_TSRESOL && reader.length >= 1)
            set_resolution(&interface, reader.value[0]);
        if (reader.code == OPTION_TSOFFSET && reader.length == 8)
            interface.offset = read_offset(source, reader.value);
    }
    source->nanoseconds = source->nanoseconds || interface.units != 1000000;
    source->interfaces[source->interface_count++] = interface;
    if (source->link_type == UINT32_MAX)
        source->link_type = interface.link_type;
    return 0;
}

/* Units of 2^-shift seconds, less than a second of them, in nanoseconds. */
static uint64_t binary_fraction(uint64_t units, unsigned shift)
{
    if (shift <= 32)
        return (units * REMED_NS_PER_S) >> shift;
    uint64_t high = (units >> 32) * REMED_NS_PER_S, low = (units & UINT32_MAX) * REMED_NS_PER_S;
    return shift < 96 ? (high + (low >> 32)) >> (shift - 32) : 0;
}

/* Whole seconds, and the rest in nanoseconds. */
static uint64_t split_time(const struct remed_pcapng_interface *interface, uint64_t units,
                           uint64_t *fraction)
{
    if (REMED_LIKELY(interface->units != 0)) {
        uint64_t rest = units % interface->units;
        *fraction = interface->units <= REMED_NS_PER_S ? rest * (REMED_NS_PER_S / interface->units)
                                                       : rest / (interface->units / REMED_NS_PER_S);
        return units / interface->units;
    }
    unsigned shift = interface->shift, exponent = interface->exponent;
    if (shift == 0) { /* 64 bits of less than 10^-19 seconds are less than two */
        *fraction =
            exponent - NS_POWER <= MAX_POWER ? units / power_of_ten(exponent - NS_POWER) : 0;
        return 0;
    }
    uint64_t seconds = shift < 64 ? units >> shift : 0;
    *fraction = binary_fraction(shift < 64 ? units & ((UINT64_C(1) << shift) - 1) : units, shift);
    return seconds;
}

/* False for a time before 1970, or behind what 64 bits of nanoseconds hold (the year 2554). */
static bool to_ns(const struct remed_pcapng_interface *interface, uint64_t units, uint64_t *ns)
{
    uint64_t fraction, seconds = split_time(interface, units, &fraction);
    return !__builtin_add_overflow(seconds, interface->offset, &seconds) &&
           !__builtin_mul_overflow(seconds, REMED_NS_PER_S, ns) &&
           !__builtin_add_overflow(*ns, fraction, ns);
}

static uint8_t flagged_side(const struct remed_pcap_source *source, const uint8_t *options,
                            const uint8_t *end, uint8_t fallback)
{
    struct option_reader reader = {.at = options, .end = end};
    while (next_option(source, &reader))
        if (reader.code == OPTION_FLAGS && reader.length == 4) {
            unsigned direction = remed_file32(source, reader.value) & 3;
            return direction == 1 ? REMED_SIDE_IN : direction == 2 ? REMED_SIDE_OUT : fallback;
        }
    return fallback;
}

/* Enhanced (6) and obsolete (2) packet blocks differ in the width of the interface's number. */
static int read_packet(struct remed_pcap_source *source, uint32_t type, const uint8_t *body,
                       size_t length, struct remed_packet *packet, struct remed_error *error)
{
    if (length < 20)
        return remed_source_damage(source, error, REMED_EFORMAT, "a packet block too short");
    uint32_t number =
        type == BLOCK_ENHANCED ? remed_file32(source, body) : remed_file16(source, body);
    uint32_t captured = remed_file32(source, body + 12);
    if (number >= source->interface_count)
        return remed_source_damage(source, error, REMED_EFORMAT,
                                   "a packet of an interface that was not described");
    if (captured > length - 20)
        return remed_source_damage(source, error, REMED_EFORMAT, "a packet longer than its block");
    const struct remed_pcapng_interface *interface = &source->interfaces[number];
    uint64_t units =
        (uint64_t)remed_file32(source, body + 4) << 32 | remed_file32(source, body + 8);
    size_t padded = ((size_t)captured + 3) & ~(size_t)3;
    const uint8_t *options = padded <= length - 20 ? body + 20 + padded : body + length;
    uint8_t side = remed_source_side(source, interface->link_type, body + 20, captured);
    uint64_t time;
    if (!to_ns(interface, units, &time))
        return remed_source_damage(source, error, REMED_EFORMAT,
                                   "its time is not within 1970 to 2554, what 64 bits of "
                                   "nanoseconds hold");
    *packet = (struct remed_packet){
        .data = body + 20,
        .captured = captured,
        .wire = remed_file32(source, body + 16),
        .time = time,
        .link_type = interface->link_type,
        .side = flagged_side(source, options, body + length, side),
    };
    return 1;
}

static int read_simple(struct remed_pcap_source *source, const uint8_t *body, size_t length,
                       struct remed_packet *packet, struct remed_error *error)
{
    if (length < 4)
        return remed_source_damage(source, error, REMED_EFORMAT, "a packet block too short");
    if (source->interface_count == 0)
        return remed_source_damage(source, error, REMED_EFORMAT,
                                   "a packet before any interface was described");
    const struct remed_pcapng_interface *interface = &source->interfaces[0];
    uint32_t wire = remed_file32(source, body), captured = wire;
    if (interface->snap_length != 0 && captured > interface->snap_length)
        captured = interface->snap_length;
    if (captured > length - 4)
        return remed_source_damage(source, error, REMED_EFORMAT, "a packet longer than its block");
    *packet = (struct remed_packet){
        .data = body + 4,
        .captured = captured,
        .wire = wire,
        .link_type = interface->link_type,
        .side = remed_source_side(source, interface->link_type, body + 4, captured),
    };
    return 1;
}

/* Learns a section's byte order; its interfaces begin anew. */
static int read_section(struct remed_pcap_source *source, const uint8_t *block,
                        struct remed_error *error)
{
    uint32_t magic;
    memcpy(&magic, block + 8, sizeof magic);
    if (magic != BYTE_ORDER_MAGIC && magic != remed_swap32(BYTE_ORDER_MAGIC))
        return remed_source_damage(source, error, REMED_EFORMAT,
                                   "a section without its byte-order magic");
    source->swapped = magic != BYTE_ORDER_MAGIC;
    source->interface_count = 0;
    return 0;
}

/* The length of the whole block at hand if it is in the buffer; 0 when not; negative at damage. */
static int64_t whole_block(struct remed_pcap_source *source, struct remed_error *error)
{
    const uint8_t *at = source->block.data + source->block.begin;
    size_t left = source->block.end - source->block.begin;
    if (left < MIN_BLOCK)
        return 0;
    if (remed_load32(at) == BLOCK_SECTION) {
        int rc = read_section(source, at, error);
        if (rc < 0)
            return rc;
    }
    uint32_t length = remed_file32(source, at + 4);
    if (length < MIN_BLOCK || (length & 3) != 0)
        return remed_source_damage(source, error, REMED_EFORMAT, "a block of an impossible length");
    if (length > source->opts.max_packet)
        return remed_source_damage(source, error, REMED_EFORMAT, "a block longer than the limit");
    if (left < length)
        return 0;
    if (remed_file32(source, at + length - 4) != length)
        return remed_source_damage(source, error, REMED_EFORMAT,
                                   "a block whose two lengths differ");
    return length;
}

/* One block: 1 when it gave a packet, 0 when not. */
static int read_block(struct remed_pcap_source *source, const uint8_t *block, size_t length,
                      struct remed_packet *packet, struct remed_error *error)
{
    uint32_t type = remed_file32(source, block);
    const uint8_t *body = block + 8;
    switch (type) {
    case BLOCK_INTERFACE:
        return read_interface(source, body, length - MIN_BLOCK, error);
    case BLOCK_ENHANCED:
    case BLOCK_PACKET:
        return read_packet(source, type, body, length - MIN_BLOCK, packet, error);
    case BLOCK_SIMPLE:
        return read_simple(source, body, length - MIN_BLOCK, packet, error);
    default:
        return 0;
    }
}

/* Makes the block at block.begin whole in the buffer. */
static int fetch_block(struct remed_pcap_source *source, struct remed_error *error)
{
    int rc = remed_block_fill(source, MIN_BLOCK, error);
    if (rc < 0 || source->stop)
        return rc < 0 ? rc : 0;
    if (rc == 0 && source->block.begin == source->block.end)
        return 0;
    int64_t whole = rc == 0 ? 0 : whole_block(source, error);
    if (whole != 0)
        return whole < 0 ? (int)whole : 1;
    uint32_t length =
        rc == 0 ? 0 : remed_file32(source, source->block.data + source->block.begin + 4);
    rc = rc == 0 ? 0 : remed_block_fill(source, length, error);
    if (rc == 0 && !source->stop)
        return remed_source_damage(source, error, REMED_ETRUNCATED, "the file ends within a block");
    return rc;
}

static int parse_blocks(struct remed_pcap_source *source, struct remed_packet *packets,
                        size_t count, struct remed_error *error)
{
    size_t n = 0;
    while (n < count) {
        struct remed_error why = {0};
        int64_t length = whole_block(source, &why);
        int rc = length < 0 ? (int)length : 0;
        if (length > 0)
            rc = read_block(source, source->block.data + source->block.begin, (size_t)length,
                            &packets[n], &why);
        else if (length == 0 && n == 0) {
            rc = fetch_block(source, &why);
            if (rc > 0)
                continue;
            if (rc == 0)
                return 0;
        } else if (length == 0)
            break;
        if (rc < 0 && n > 0)
            break; /* first what came before; the damage shows again in the next call */
        if (rc < 0) {
            *error = why;
            return rc;
        }
        source->block.begin += (size_t)length;
        n += (size_t)rc;
    }
    return (int)n;
}

/* Looks over what gives no packet, up to a section that turns the byte order. */
static bool whole_packet(const struct remed_pcap_source *source)
{
    const uint8_t *at = source->block.data + source->block.begin;
    size_t left = source->block.end - source->block.begin;
    while (left >= MIN_BLOCK && (remed_load32(at) != BLOCK_SECTION ||
                                 remed_file32(source, at + 8) == BYTE_ORDER_MAGIC)) {
        uint32_t type = remed_file32(source, at), length = remed_file32(source, at + 4);
        if (length < MIN_BLOCK || length > source->opts.max_packet)
            return true; /* damage is told without waiting */
        if (length > left)
            return false;
        if (type == BLOCK_ENHANCED || type == BLOCK_PACKET || type == BLOCK_SIMPLE)
            return true;
        at += length;
        left -= length;
    }
    return false;
}

int remed_pcapng_begin(struct remed_pcap_source *source, struct remed_error *error)
{
    int rc = remed_block_fill(source, MIN_BLOCK, error);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return remed_error_set(error, REMED_ETRUNCATED, "the file ends within its header");
    source->parse = parse_blocks;
    source->whole = whole_packet;
    return read_section(source, source->block.data, error);
}
