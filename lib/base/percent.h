/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Percent-encoding of URIs (RFC 3986, 2.1), as the core and the backends read it.
 *
 * Threads: no state.
 */
#ifndef REMED_BASE_PERCENT_H
#define REMED_BASE_PERCENT_H

#include "base/base.h"

/* Decodes %XX; false when it is badly escaped, has a NUL or does not fit with its own NUL. */
static inline bool remed_percent_decode(char *to, size_t size, const char *from, size_t length)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        char c = from[i];
        if (c == '%') {
            int high = length - i > 2 ? remed_hex_digit(from[i + 1]) : -1;
            int low = high >= 0 ? remed_hex_digit(from[i + 2]) : -1;
            if (low < 0 || (high | low) == 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (used + 1 >= size)
            return false;
        to[used++] = c;
    }
    to[used] = '\0';
    return true;
}

#endif
