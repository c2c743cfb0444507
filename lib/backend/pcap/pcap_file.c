/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pcap format (draft-ietf-opsawg-pcap): both byte orders, micro- and nanoseconds, the modified
 * format of early Linux kernels, and the swapped lengths of versions before 2.3.
 *
 * Threads: one thread a source.
 */
#include "backend/pcap/source.h"

#include <stdio.h>

#define FILE_HEADER 24u

static int damaged_record(struct remed_pcap_source *source, uint32_t captured,
                          struct remed_error *error)
{
    char why[80];
    snprintf(why, sizeof why, "the record claims %u bytes, more than the limit of %u", captured,
             source->opts.max_packet);
    return remed_source_damage(source, error, REMED_EFORMAT, why);
}

/* Before version 2.3 the two lengths stood the other way round; in 2.3 some did. */
static void straighten(const struct remed_pcap_source *source, uint32_t *captured, uint32_t *wire)
{
    if (REMED_LIKELY(source->minor > 3) || (source->minor == 3 && *captured <= *wire))
        return;
    uint32_t other = *captured;
    *captured = *wire;
    *wire = other;
}

/* Makes the record at block.begin whole in the buffer. */
static int fetch_record(struct remed_pcap_source *source, struct remed_error *error)
{
    int rc = remed_block_fill(source, source->record_header, error);
    if (rc < 0 || source->stop)
        return rc < 0 ? rc : 0;
    if (rc == 0 && source->block.end == source->block.begin)
        return 0; /* the end, between records */
    if (rc == 0)
        return remed_source_damage(source, error, REMED_ETRUNCATED,
                                   "the file ends within a record header");
    const uint8_t *record = source->block.data + source->block.begin;
    uint32_t captured = remed_file32(source, record + 8), wire = remed_file32(source, record + 12);
    straighten(source, &captured, &wire);
    if (captured > source->opts.max_packet)
        return damaged_record(source, captured, error);
    rc = remed_block_fill(source, source->record_header + (size_t)captured, error);
    if (rc == 0 && !source->stop)
        return remed_source_damage(source, error, REMED_ETRUNCATED,
                                   "the file ends within a packet");
    return rc;
}

/* Hands out the whole records of the buffer. Inlined twice: with and without swapping. */
static inline __attribute__((always_inline)) int
hand_out(struct remed_pcap_source *source, struct remed_packet *packets, size_t count, bool swapped)
{
    const uint8_t *at = source->block.data + source->block.begin;
    const uint8_t *end = source->block.data + source->block.end;
    const uint32_t header = source->record_header, limit = source->opts.max_packet;
    const uint32_t link_type = source->link_type;
    const uint64_t fraction = source->nanoseconds ? 1 : 1000;
    const bool cooked = link_type == REMED_LINK_LINUX_SLL || link_type == REMED_LINK_LINUX_SLL2;
    const uint8_t side = (uint8_t)source->opts.side;
    size_t n = 0;
    for (; n < count && (size_t)(end - at) >= header; n++) {
        uint32_t words[4];
        memcpy(words, at, sizeof words);
        for (unsigned i = 0; swapped && i < 4; i++)
            words[i] = remed_swap32(words[i]);
        straighten(source, &words[2], &words[3]);
        if (words[2] > limit || (size_t)(end - at) - header < words[2])
            break;
        packets[n] = (struct remed_packet){
            .data = at + header,
            .captured = words[2],
            .wire = words[3],
            .time = words[0] * REMED_NS_PER_S + words[1] * fraction,
            .link_type = link_type,
            .side = cooked ? remed_source_side(source, link_type, at + header, words[2]) : side,
        };
        at += header + words[2];
    }
    source->block.begin = (size_t)(at - source->block.data);
    return (int)n;
}

static int parse_records(struct remed_pcap_source *source, struct remed_packet *packets,
                         size_t count, struct remed_error *error)
{
    int got = source->swapped ? hand_out(source, packets, count, true)
                              : hand_out(source, packets, count, false);
    if (got > 0)
        return got;
    int rc = fetch_record(source, error);
    if (rc <= 0)
        return rc;
    return source->swapped ? hand_out(source, packets, count, true)
                           : hand_out(source, packets, count, false);
}

static bool whole_record(const struct remed_pcap_source *source)
{
    const uint8_t *record = source->block.data + source->block.begin;
    size_t left = source->block.end - source->block.begin;
    if (left < source->record_header)
        return false;
    uint32_t captured = remed_file32(source, record + 8), wire = remed_file32(source, record + 12);
    straighten(source, &captured, &wire);
    return captured <= left - source->record_header || captured > source->opts.max_packet;
}

/* The magic number tells order, resolution and record header. */
static bool read_magic(struct remed_pcap_source *source)
{
    uint32_t magic;
    memcpy(&magic, source->block.data, sizeof magic);
    for (unsigned i = 0; i < 2; i++, magic = remed_swap32(magic)) {
        source->swapped = i == 1;
        source->record_header = magic == 0xa1b2cd34 ? 24 : 16;
        source->nanoseconds = magic == 0xa1b23c4d;
        if (magic == 0xa1b2c3d4 || magic == 0xa1b2cd34 || magic == 0xa1b23c4d)
            return true;
    }
    return false;
}

int remed_pcap_begin(struct remed_pcap_source *source, struct remed_error *error)
{
    if (!read_magic(source))
        return remed_error_set(error, REMED_EFORMAT, "neither a pcap nor a pcapng file");
    int rc = remed_block_fill(source, FILE_HEADER, error);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return remed_error_set(error, REMED_ETRUNCATED, "the file ends within its header");
    const uint8_t *header = source->block.data;
    uint32_t major = remed_file16(source, header + 4);
    uint32_t link = remed_file32(source, header + 20);
    source->minor = remed_file16(source, header + 6);
    if (major != 2 && !(major == 543 && source->minor == 0))
        return remed_error_set(error, REMED_EFORMAT, "pcap version %u.%u is not known", major,
                               source->minor);
    if (major == 543)
        source->minor = 4;
    if ((link & 0x03ff0000) != 0)
        return remed_error_set(error, REMED_EFORMAT,
                               "the link type's reserved bits are set (0x%08x)", link);
    source->link_type = link & 0xffff; /* above are the frame check sequence's length and flag */
    source->block.begin = FILE_HEADER;
    source->parse = parse_records;
    source->whole = whole_record;
    return 0;
}
