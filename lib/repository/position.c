/* SPDX-License-Identifier: BSD-3-Clause */
/* The positions of position.h. Threads: no state. */
#include "repository/position.h"

#include <stdio.h>

#define ID_DIGITS 16u

size_t remed_position_write(uint64_t id, uint64_t number, char *text, size_t size)
{
    int length = id != 0 ? snprintf(text, size, "%016llx:%llu", (unsigned long long)id,
                                    (unsigned long long)number)
                         : snprintf(text, size, "%llu", (unsigned long long)number);
    return (size_t)length;
}

static bool parse_number(const char *text, uint64_t *number)
{
    *number = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        unsigned digit = (unsigned)(*text - '0');
        if (digit > 9 || *number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return true;
}

bool remed_position_parse(const char *text, uint64_t *id, uint64_t *number)
{
    *id = 0;
    if (remed_text_length(text, ID_DIGITS + 1) <= ID_DIGITS || text[ID_DIGITS] != ':')
        return parse_number(text, number);
    for (unsigned i = 0; i < ID_DIGITS; i++) {
        int digit = remed_hex_digit(text[i]);
        if (digit < 0)
            return false;
        *id = *id << 4 | (unsigned)digit;
    }
    return *id != 0 && parse_number(text + ID_DIGITS + 1, number);
}
