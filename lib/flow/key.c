/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flow keys: putting two endpoints into their one order, and writing them out for people.
 *
 * Threads: no state.
 */
#include <remediate/flow_key.h>

#include "base/base.h"

#include <stdio.h>

unsigned remed_flow_key_init(struct remed_flow_key *key, unsigned ip_version, unsigned protocol,
                             const uint8_t *source, uint16_t source_port,
                             const uint8_t *destination, uint16_t destination_port)
{
    size_t length = ip_version == 4 ? 4 : 16;
    int order = memcmp(source, destination, length);
    unsigned direction = order > 0 || (order == 0 && source_port > destination_port);
    memset(key, 0, sizeof *key);
    memcpy(key->address[direction], source, length);
    memcpy(key->address[direction ^ 1], destination, length);
    key->port[direction] = source_port;
    key->port[direction ^ 1] = destination_port;
    key->protocol = (uint8_t)protocol;
    key->ip_version = (uint8_t)ip_version;
    return direction;
}

/* Where the longest run of two or more zero groups begins (RFC 5952, 4.2); 8 without one. */
static unsigned longest_zeros(const uint8_t *address, unsigned *length)
{
    unsigned best = 8, run = 0;
    *length = 1;
    for (unsigned i = 0; i < 8; i++) {
        run = remed_load16(address + 2 * i) == 0 ? run + 1 : 0;
        if (run > *length) {
            *length = run;
            best = i + 1 - run;
        }
    }
    return best;
}

static size_t write_ipv6(char *text, size_t size, const uint8_t *address)
{
    unsigned zeros, start = longest_zeros(address, &zeros);
    size_t at = 0;
    for (unsigned i = 0; i < 8; i++) {
        if (i == start) {
            at += (size_t)snprintf(text + at, size - at, "::");
            i += zeros - 1;
            continue;
        }
        const char *colon = i > 0 && i != start + zeros ? ":" : "";
        at += (size_t)snprintf(text + at, size - at, "%s%x", colon, remed_load16(address + 2 * i));
    }
    return at;
}

static bool has_ports(unsigned protocol)
{
    switch (protocol) {
    case 1:   /* ICMP: the identifier */
    case 6:   /* TCP */
    case 17:  /* UDP */
    case 33:  /* DCCP */
    case 58:  /* ICMPv6: the identifier */
    case 132: /* SCTP */
    case 136: /* UDP-Lite */
        return true;
    default:
        return false;
    }
}

void remed_flow_key_endpoint(const struct remed_flow_key *key, unsigned endpoint, char *text)
{
    const size_t size = REMED_ENDPOINT_TEXT_SIZE;
    const uint8_t *a = key->address[endpoint & 1];
    unsigned port = key->port[endpoint & 1];
    bool identifier = key->protocol == 1 || key->protocol == 58;
    bool ports = has_ports(key->protocol) && !(identifier && port == 0);
    if (key->ip_version == 4) {
        int at = snprintf(text, size, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
        if (ports)
            snprintf(text + at, size - (size_t)at, ":%u", port);
        return;
    }
    size_t at = ports ? (size_t)snprintf(text, size, "[") : 0;
    at += write_ipv6(text + at, size - at, a);
    if (ports)
        snprintf(text + at, size - at, "]:%u", port);
}
