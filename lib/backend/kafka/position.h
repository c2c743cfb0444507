/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Positions as text: "partition:offset", parted by commas, digits alone. Threads: no state.
 */
#ifndef REMED_BACKEND_KAFKA_POSITION_H
#define REMED_BACKEND_KAFKA_POSITION_H

#include <stdbool.h>
#include <stdint.h>

/* Digits up to `most`; *at moves behind them. */
static inline bool remed_kafka_read_digits(const char **at, uint64_t most, uint64_t *number)
{
    const char *digit = *at;
    *number = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        uint64_t value = (uint64_t)(*digit - '0');
        if (*number > (most - value) / 10)
            return false;
        *number = *number * 10 + value;
    }
    bool any = digit != *at;
    *at = digit;
    return any;
}

/* One place; *at moves behind it and its comma. False when it is none, or a comma is the last. */
static inline bool remed_kafka_read_place(const char **at, uint32_t *partition, int64_t *offset)
{
    uint64_t number, place;
    if (!remed_kafka_read_digits(at, INT32_MAX, &number) || *(*at)++ != ':' ||
        !remed_kafka_read_digits(at, INT64_MAX, &place) || (**at != '\0' && **at != ','))
        return false;
    *partition = (uint32_t)number;
    *offset = (int64_t)place;
    *at += **at == ',' && (*at)[1] != '\0';
    return **at != ',';
}

/* Whether a text is places and nothing else. */
static inline bool remed_kafka_is_position(const char *text)
{
    uint32_t partition;
    int64_t offset;
    do
        if (!remed_kafka_read_place(&text, &partition, &offset))
            return false;
    while (*text != '\0');
    return true;
}

#endif
