/* SPDX-License-Identifier: BSD-3-Clause */
/* Stepping over values that this version does not know. Threads: no state. */
#include "state/wire.h"

/* What a type byte says: bytes of its length field, bytes of its payload, values that follow. */
struct shape {
    uint8_t length_bytes;
    uint8_t payload;
    uint8_t values; /* for each unit of length: 0 bytes, 1 array, 2 map */
};

static bool shape_of(uint8_t type, struct shape *shape)
{
    static const struct shape shapes[32] = {
        {0, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0, 0, 0},             /* nil, unused, false, true */
        {1, 0, 0}, {2, 0, 0}, {4, 0, 0},                        /* bin */
        {1, 1, 0}, {2, 1, 0}, {4, 1, 0},                        /* ext: a byte of type as well */
        {0, 4, 0}, {0, 8, 0},                                   /* float */
        {0, 1, 0}, {0, 2, 0}, {0, 4, 0}, {0, 8, 0},             /* uint */
        {0, 1, 0}, {0, 2, 0}, {0, 4, 0}, {0, 8, 0},             /* int */
        {0, 2, 0}, {0, 3, 0}, {0, 5, 0}, {0, 9, 0}, {0, 17, 0}, /* fixext */
        {1, 0, 0}, {2, 0, 0}, {4, 0, 0},                        /* str */
        {2, 0, 1}, {4, 0, 1},                                   /* array */
        {2, 0, 2}, {4, 0, 2},                                   /* map */
    };
    if (type < 0xc0 || type >= 0xe0) {
        *shape = (struct shape){0, 0, 0};
        return true;
    }
    *shape = shapes[type - 0xc0];
    return type != 0xc1;
}

/* One value's own bytes; returns how many values it holds. */
static uint64_t skip_one(struct remed_reader *reader)
{
    uint8_t type = remed_read_type(reader);
    struct shape shape;
    if (reader->code != 0)
        return 0;
    if (!shape_of(type, &shape)) {
        remed_reader_fail(reader, REMED_EFORMAT, "a value");
        return 0;
    }
    if ((type & 0xf0) == 0x80 || (type & 0xf0) == 0x90) { /* small map, small array */
        reader->at++;
        return (uint64_t)(type & 15) * ((type & 0xf0) == 0x80 ? 2 : 1);
    }
    uint64_t length = (type & 0xe0) == 0xa0 ? type & 31u : 0;
    if (shape.length_bytes != 0)
        length = remed_read_wide(reader, shape.length_bytes);
    else
        reader->at++;
    uint64_t bytes = shape.payload + (shape.values == 0 ? length : 0);
    if (bytes > remed_reader_left(reader))
        remed_reader_fail(reader, REMED_ETRUNCATED, "a value");
    if (reader->code != 0)
        return 0;
    reader->at += bytes;
    return length * shape.values;
}

void remed_reader_skip(struct remed_reader *reader, unsigned budget)
{
    uint64_t left = 1;
    for (; left > 0 && reader->code == 0; left--) {
        if (budget-- == 0) {
            remed_reader_fail(reader, REMED_ELIMIT, "fewer values");
            return;
        }
        left += skip_one(reader);
    }
}
