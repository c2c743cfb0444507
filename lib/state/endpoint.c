/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Endpoints as text: "10.0.0.1:80", "[2001:db8::1]:80", and without a port the address alone
 * (RFC 5952 for IPv6).
 *
 * Threads: no state.
 */
#include "state/record.h"

#include <remediate/flow_key.h>
#include "filter/lexer.h"

void remed_endpoint_print(const struct remed_endpoint *endpoint, char *text)
{
    struct remed_flow_key key = {.ip_version = endpoint->ip_version};
    text[0] = '\0';
    if (remed_address_length(endpoint->ip_version) == 0)
        return;
    memcpy(key.address[0], endpoint->address, sizeof endpoint->address);
    key.port[0] = endpoint->port;
    key.protocol = endpoint->port != 0 ? 6 : 0; /* a protocol with ports, or without */
    remed_flow_key_endpoint(&key, 0, text);
}

static bool read_port(const char *text, size_t length, uint16_t *port)
{
    unsigned value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || i == 5)
            return false;
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    *port = (uint16_t)value;
    return length > 0 && value <= UINT16_MAX;
}

static bool read_ipv4(const char *text, size_t length, uint8_t address[4])
{
    size_t at = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned value = 0, digits = 0;
        for (; at < length && text[at] >= '0' && text[at] <= '9' && digits < 4; at++, digits++)
            value = value * 10 + (unsigned)(text[at] - '0');
        bool leading = digits > 1 && text[at - digits] == '0'; /* octal to some: refused */
        if (digits == 0 || digits > 3 || value > 255 || leading)
            return false;
        address[i] = (uint8_t)value;
        if (i < 3 && (at == length || text[at++] != '.'))
            return false;
    }
    return at == length;
}

int remed_endpoint_parse(struct remed_endpoint *endpoint, const char *text, size_t length)
{
    struct remed_endpoint read = {.ip_version = 6};
    const char *colon = memchr(text, ':', length);
    size_t address = length;
    bool ported = false;
    if (length > 0 && text[0] == '[') {
        const char *close = memchr(text, ']', length);
        size_t behind = close != NULL ? (size_t)(close - text) + 1 : 0;
        if (close == NULL || behind >= length || text[behind] != ':' ||
            !read_port(text + behind + 1, length - behind - 1, &read.port) ||
            !remed_read_ipv6(text + 1, behind - 2, read.address))
            return REMED_ESYNTAX;
        *endpoint = read;
        return 0;
    }
    if (colon != NULL && memchr(colon + 1, ':', length - (size_t)(colon + 1 - text)) == NULL) {
        address = (size_t)(colon - text);
        ported = true;
    }
    if (colon != NULL && !ported) {
        if (!remed_read_ipv6(text, length, read.address))
            return REMED_ESYNTAX;
        *endpoint = read;
        return 0;
    }
    read.ip_version = 4;
    if (!read_ipv4(text, address, read.address) ||
        (ported && !read_port(text + address + 1, length - address - 1, &read.port)))
        return REMED_ESYNTAX;
    *endpoint = read;
    return 0;
}
