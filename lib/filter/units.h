/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers with units: times, sizes and rates, read and written back exactly.
 *
 * Threads: no state.
 */
#ifndef REMED_FILTER_UNITS_H
#define REMED_FILTER_UNITS_H

#include "filter/lexer.h"

/* A unit and its worth; tables end with a NULL name, and go from the smallest to the largest. */
struct remed_unit {
    const char *name;
    uint64_t worth;
};

extern const struct remed_unit remed_time_units[]; /* in ns */
extern const struct remed_unit remed_size_units[]; /* in bytes */
extern const struct remed_unit remed_rate_units[]; /* in bits a second */

/* Reads a whole number with a unit from the token; false when it is none, is 0 or overflows. */
bool remed_read_units(const struct remed_token *token, const struct remed_unit *units,
                      uint64_t *value);
/* Writes the value in the largest unit that divides it; returns bytes as snprintf does. */
int remed_write_units(char *text, size_t size, const struct remed_unit *units, uint64_t value);

#endif
