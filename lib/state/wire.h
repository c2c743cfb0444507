/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part of MessagePack that records use (docs/wire.md), as a writer and a reader of our own: a
 * record has a fixed shape, and msgpack-c's generic packer and its object tree cost more than the
 * rest of a publish. msgpack-c is the oracle in the tests.
 *
 * The writer counts what does not fit instead of failing at once, so one pass tells the size. The
 * reader never goes back, allocates nothing and believes no length: it compares each with what is
 * left first. After a fault it stands still at the byte, and every further read fails too.
 *
 * Threads: no state.
 */
#ifndef REMED_STATE_WIRE_H
#define REMED_STATE_WIRE_H

#include "base/base.h"

struct remed_writer {
    uint8_t *at; /* beyond `end` once it did not fit; never written there */
    uint8_t *end;
    size_t length; /* of all, fitting or not */
};

static inline void remed_write_bytes(struct remed_writer *writer, const void *bytes, size_t length)
{
    writer->length += length;
    if (REMED_UNLIKELY((size_t)(writer->end - writer->at) < length)) {
        writer->end = writer->at; /* nothing after the gap */
        return;
    }
    if (length != 0)
        memcpy(writer->at, bytes, length);
    writer->at += length;
}

/* The same for short bytes out of an array of `REMED_SHORT` at least: with room for all of it, one
 * copy of a fixed length does. */
#define REMED_SHORT 32u

static inline void remed_write_short(struct remed_writer *writer, const void *bytes, size_t length)
{
    if (REMED_LIKELY(length <= REMED_SHORT && writer->end - writer->at >= (ptrdiff_t)REMED_SHORT)) {
        memcpy(writer->at, bytes, REMED_SHORT);
        writer->at += length;
        writer->length += length;
        return;
    }
    remed_write_bytes(writer, bytes, length);
}

static inline void remed_store_big(uint8_t *to, uint64_t value, unsigned width)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (width == 8) {
        value = __builtin_bswap64(value);
        memcpy(to, &value, sizeof value);
        return;
    }
#endif
    for (unsigned i = 0; i < width; i++)
        to[i] = (uint8_t)(value >> 8 * (width - 1 - i));
}

/* A type byte and a number of 0 to 8 bytes. With room for the widest, one store of eight bytes
 * does, whatever the width: what is written too much is written over. */
static inline void remed_write_tagged(struct remed_writer *writer, uint8_t type, uint64_t value,
                                      unsigned width)
{
    if (REMED_LIKELY(writer->end - writer->at >= 9)) {
        writer->at[0] = type;
        remed_store_big(writer->at + 1, width != 0 ? value << (64 - 8 * width) : 0, 8);
        writer->at += 1 + width;
        writer->length += 1 + width;
        return;
    }
    uint8_t bytes[9] = {type};
    remed_store_big(bytes + 1, value, width);
    remed_write_bytes(writer, bytes, 1 + width);
}

static inline void remed_write_uint(struct remed_writer *writer, uint64_t value)
{
    if (value < 128)
        remed_write_tagged(writer, (uint8_t)value, 0, 0);
    else if (value <= UINT8_MAX)
        remed_write_tagged(writer, 0xcc, value, 1);
    else if (value <= UINT16_MAX)
        remed_write_tagged(writer, 0xcd, value, 2);
    else if (value <= UINT32_MAX)
        remed_write_tagged(writer, 0xce, value, 4);
    else
        remed_write_tagged(writer, 0xcf, value, 8);
}

static inline void remed_write_array(struct remed_writer *writer, uint32_t count)
{
    if (count < 16)
        remed_write_tagged(writer, (uint8_t)(0x90 | count), 0, 0);
    else
        remed_write_tagged(writer, 0xdc, count, 2);
}

/* The text lies in an array of REMED_SHORT bytes at least. */
static inline void remed_write_str(struct remed_writer *writer, const char *text, size_t length)
{
    if (length < 32)
        remed_write_tagged(writer, (uint8_t)(0xa0 | length), 0, 0);
    else
        remed_write_tagged(writer, length <= UINT8_MAX ? 0xd9 : 0xda, length,
                           length <= UINT8_MAX ? 1 : 2);
    remed_write_short(writer, text, length);
}

static inline void remed_write_bin(struct remed_writer *writer, const uint8_t *bytes, size_t length)
{
    remed_write_tagged(writer, length <= UINT8_MAX ? 0xc4 : 0xc5, length,
                       length <= UINT8_MAX ? 1 : 2);
    remed_write_bytes(writer, bytes, length);
}

struct remed_reader {
    const uint8_t *begin, *at, *end;
    int code;        /* 0, or why reading stopped */
    const char *why; /* what was expected at `at` */
};

static inline int remed_reader_fail(struct remed_reader *reader, int code, const char *why)
{
    if (reader->code == 0) {
        reader->code = code;
        reader->why = why;
    }
    return reader->code;
}

static inline size_t remed_reader_left(const struct remed_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static inline uint64_t remed_load_big(const uint8_t *from, unsigned width)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value = value << 8 | from[i];
    return value;
}

/* The number of `width` bytes behind the type byte; steps over both. */
static inline uint64_t remed_read_wide(struct remed_reader *reader, unsigned width)
{
    if (REMED_LIKELY(remed_reader_left(reader) >= 9)) {
        uint64_t wide = remed_load64(reader->at + 1);
        reader->at += 1 + width;
        return wide >> (64 - 8 * width);
    }
    if (REMED_UNLIKELY(remed_reader_left(reader) < 1 + (size_t)width)) {
        remed_reader_fail(reader, REMED_ETRUNCATED, "a number");
        return 0;
    }
    uint64_t value = remed_load_big(reader->at + 1, width);
    reader->at += 1 + width;
    return value;
}

/* The type byte at hand; 0xc1, which no value has, when there is none. */
static inline uint8_t remed_read_type(struct remed_reader *reader)
{
    if (REMED_LIKELY(reader->code == 0 && reader->at < reader->end))
        return *reader->at;
    remed_reader_fail(reader, REMED_ETRUNCATED, "more");
    return 0xc1;
}

static inline uint64_t remed_read_uint(struct remed_reader *reader, uint64_t most, const char *why)
{
    uint8_t type = remed_read_type(reader);
    uint64_t value = 0;
    if (REMED_LIKELY(type < 128)) {
        value = type;
        reader->at++;
    } else if (type >= 0xcc && type <= 0xcf) {
        value = remed_read_wide(reader, 1u << (type - 0xcc));
    } else {
        remed_reader_fail(reader, REMED_EFORMAT, why);
    }
    if (REMED_UNLIKELY(value > most))
        remed_reader_fail(reader, REMED_EFORMAT, why);
    return reader->code == 0 ? value : 0;
}

/* Lengths of arrays, strings and bins: the small form, or 8, 16, 32 bits from type `wide` on. */
static inline uint32_t remed_read_array(struct remed_reader *reader, const char *why)
{
    uint8_t type = remed_read_type(reader);
    if (REMED_LIKELY((type & 0xf0) == 0x90)) {
        reader->at++;
        return type & 15;
    }
    if (type == 0xdc || type == 0xdd) {
        uint32_t count = (uint32_t)remed_read_wide(reader, type == 0xdc ? 2 : 4);
        if (count <= remed_reader_left(reader)) /* an element has a byte at least */
            return count;
        remed_reader_fail(reader, REMED_ETRUNCATED, why);
        return 0;
    }
    remed_reader_fail(reader, REMED_EFORMAT, why);
    return 0;
}

/* The bytes of a string (text) or a bin; NULL after a fault. */
static inline const uint8_t *remed_read_blob(struct remed_reader *reader, bool text, size_t most,
                                             size_t *length, const char *why)
{
    uint8_t type = remed_read_type(reader), first = text ? 0xd9 : 0xc4;
    *length = 0;
    if (text && (type & 0xe0) == 0xa0) {
        *length = type & 31;
        reader->at++;
    } else if (type >= first && type <= first + 2) {
        *length = (size_t)remed_read_wide(reader, 1u << (type - first));
    } else {
        remed_reader_fail(reader, REMED_EFORMAT, why);
    }
    if (REMED_UNLIKELY(*length > most))
        remed_reader_fail(reader, REMED_ELIMIT, why);
    else if (REMED_UNLIKELY(*length > remed_reader_left(reader)))
        remed_reader_fail(reader, REMED_ETRUNCATED, why);
    if (REMED_UNLIKELY(reader->code != 0))
        return NULL;
    reader->at += *length;
    return reader->at - *length;
}

/* Steps over one value of any type, however deep, within `budget` values in all. */
void remed_reader_skip(struct remed_reader *reader, unsigned budget);

#endif
