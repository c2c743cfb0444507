/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses out of text. Not the C library's: the core runs where there is none with a resolver,
 * and pcap-filter's short forms (`net 10.1`) are no addresses to inet_pton.
 *
 * Threads: no state.
 */
#include "filter/lexer.h"

unsigned remed_read_ipv4(const char *text, size_t length, uint32_t *address)
{
    unsigned parts = 0, digits = 0;
    uint32_t part = 0;
    *address = 0;
    for (size_t i = 0; i <= length; i++) {
        unsigned digit = i < length ? (unsigned)(text[i] - '0') : 10;
        if (digit <= 9) {
            part = part * 10 + digit;
            if (++digits > 3 || part > 255)
                return 0;
            continue;
        }
        if (digits == 0 || (i < length && text[i] != '.') || ++parts > 4)
            return 0;
        *address = *address << 8 | part;
        part = digits = 0;
    }
    return parts;
}

/* Up to `most` hexadecimal digits; returns how many there are. */
static size_t read_hex(const char *text, size_t length, size_t most, unsigned *value)
{
    size_t digits = 0;
    *value = 0;
    while (digits < length && digits < most && remed_hex_digit(text[digits]) >= 0)
        *value = *value << 4 | (unsigned)remed_hex_digit(text[digits++]);
    return digits;
}

/* Opens the gap that `::` left: the groups behind it move to the end. */
static void spread(uint8_t address[16], unsigned filled, unsigned gap)
{
    unsigned tail = filled - gap;
    memmove(address + 16 - tail, address + gap, tail);
    memset(address + gap, 0, 16 - filled);
}

bool remed_read_ipv6(const char *text, size_t length, uint8_t address[16])
{
    unsigned filled = 0, gap = 17; /* 17: no `::` yet */
    size_t at = 0;
    memset(address, 0, 16);
    if (length >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 0;
        at = 2;
    }
    while (at < length && filled < 16) {
        uint32_t v4;
        if (filled <= 12 && remed_read_ipv4(text + at, length - at, &v4) == 4) {
            for (unsigned i = 0; i < 4; i++)
                address[filled++] = (uint8_t)(v4 >> (24 - 8 * i));
            at = length;
            break;
        }
        unsigned group;
        size_t digits = read_hex(text + at, length - at, 4, &group);
        if (digits == 0)
            return false;
        address[filled++] = (uint8_t)(group >> 8);
        address[filled++] = (uint8_t)group;
        at += digits;
        if (at == length)
            break;
        if (text[at++] != ':' || at == length)
            return false;
        if (text[at] == ':') {
            if (gap != 17)
                return false;
            gap = filled;
            at++;
        }
    }
    if (at != length || (gap == 17 ? filled != 16 : filled > 14))
        return false;
    if (gap != 17)
        spread(address, filled, gap);
    return true;
}

/* `groups` groups of 12 / groups digits at most; a mark between all of them, the same everywhere.
 */
static bool read_mac_groups(const char *text, size_t length, unsigned groups, uint8_t address[6])
{
    const unsigned width = 6 / groups; /* bytes of a group */
    const char *end = text + length;
    char mark = '\0';
    for (unsigned i = 0; i < groups; i++) {
        unsigned value;
        size_t digits = read_hex(text, (size_t)(end - text), 2 * (size_t)width, &value);
        if (digits == 0)
            return false;
        text += digits;
        for (unsigned byte = 0; byte < width; byte++)
            address[i * width + byte] = (uint8_t)(value >> (8 * (width - 1 - byte)));
        if (i + 1 == groups)
            break;
        bool is_mark =
            text < end && (*text == '.' || (groups == 6 && (*text == ':' || *text == '-')));
        if (!is_mark || (mark != '\0' && *text != mark))
            return false;
        mark = *text++;
    }
    return text == end;
}

bool remed_read_mac(const char *text, size_t length, uint8_t address[6])
{
    if (length == 12 && memchr(text, '.', length) == NULL && memchr(text, '-', length) == NULL &&
        memchr(text, ':', length) == NULL) {
        for (unsigned i = 0; i < 6; i++) {
            unsigned value;
            if (read_hex(text + 2 * (size_t)i, 2, 2, &value) != 2)
                return false;
            address[i] = (uint8_t)value;
        }
        return true;
    }
    return read_mac_groups(text, length, 6, address) || read_mac_groups(text, length, 3, address);
}
