/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers with units; kB is 1,000 bytes (SI) and KiB 1,024 (IEC). Threads: no state. */
#include "filter/units.h"

#include <stdio.h>

const struct remed_unit remed_time_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"s", REMED_NS_PER_S},
    {"m", 60 * REMED_NS_PER_S},
    {"h", 3600 * REMED_NS_PER_S},
    {"d", 86400 * REMED_NS_PER_S},
    {NULL, 0},
};

const struct remed_unit remed_size_units[] = {
    {"B", 1},          {"kB", 1000},       {"KiB", 1024},          {"MB", 1000000},
    {"MiB", 1u << 20}, {"GB", 1000000000}, {"GiB", 1024ull << 20}, {NULL, 0},
};

const struct remed_unit remed_rate_units[] = {
    {"bit", 1},           {"kbit", 1000},          {"Mbit", 1000000},
    {"Gbit", 1000000000}, {"Tbit", 1000000000000}, {NULL, 0},
};

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool same_unit(const char *text, size_t length, const char *name)
{
    if (strlen(name) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (lower(text[i]) != lower(name[i]))
            return false;
    return true;
}

bool remed_read_units(const struct remed_token *token, const struct remed_unit *units,
                      uint64_t *value)
{
    struct remed_token digits = *token;
    uint64_t number;
    digits.length = 0;
    while (digits.length < token->length && token->text[digits.length] >= '0' &&
           token->text[digits.length] <= '9')
        digits.length++;
    if (!remed_token_number(&digits, &number) || number == 0)
        return false;
    const char *unit = token->text + digits.length;
    for (; units->name != NULL; units++)
        if (same_unit(unit, token->length - digits.length, units->name)) {
            *value = number * units->worth;
            return number <= UINT64_MAX / units->worth;
        }
    return false;
}

int remed_write_units(char *text, size_t size, const struct remed_unit *units, uint64_t value)
{
    const struct remed_unit *best = units;
    for (; units->name != NULL; units++)
        if (value % units->worth == 0 && units->worth > best->worth)
            best = units;
    return snprintf(text, size, "%llu%s", (unsigned long long)(value / best->worth), best->name);
}
