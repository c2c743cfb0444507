/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Typed values out of text: each reads at one place and tells what is behind, or NULL. All are
 * strict: leading zeros in an address, a port above 65535 or an address with more behind it are no
 * value.
 *
 * Threads: no state.
 */
#ifndef REMED_DRIVER_LOG_SCAN_H
#define REMED_DRIVER_LOG_SCAN_H

#include <remediate/state.h>
#include "base/base.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static inline bool remed_is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') <= 9;
}

static inline bool remed_is_letter(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') <= 'z' - 'a';
}

/* 1.2.3.4, and nothing behind it that would make it another number, name or address. */
static inline const uint8_t *remed_scan_ipv4(const uint8_t *at, const uint8_t *end,
                                             uint8_t address[4])
{
    uint32_t packed = 0;
    for (unsigned i = 0;; i++) {
        if (at == end || !remed_is_digit(*at))
            return NULL;
        uint32_t octet = (uint32_t)(*at++ - '0');
        if (at < end && remed_is_digit(*at)) {
            if (octet == 0)
                return NULL;
            octet = octet * 10 + (uint32_t)(*at++ - '0');
            if (at < end && remed_is_digit(*at))
                octet = octet * 10 + (uint32_t)(*at++ - '0');
        }
        packed = packed << 8 | octet;
        if (octet > 255)
            return NULL;
        if (i == 3)
            break;
        if (at == end || *at++ != '.')
            return NULL;
    }
    if (at < end && (remed_is_digit(*at) || remed_is_letter(*at) || *at == '_' ||
                     (*at == '.' && at + 1 < end && remed_is_digit(at[1]))))
        return NULL;
    address[0] = (uint8_t)(packed >> 24);
    address[1] = (uint8_t)(packed >> 16);
    address[2] = (uint8_t)(packed >> 8);
    address[3] = (uint8_t)packed;
    return at;
}

static inline const uint8_t *remed_scan_number(const uint8_t *at, const uint8_t *end,
                                               uint64_t *value)
{
    const uint8_t *begin = at;
    uint64_t number = 0;
    for (; at < end && remed_is_digit(*at); at++) {
        if (number > UINT64_MAX / 10 - 1)
            return NULL;
        number = number * 10 + (uint64_t)(*at - '0');
    }
    *value = number;
    return at > begin ? at : NULL;
}

static inline const uint8_t *remed_scan_port(const uint8_t *at, const uint8_t *end, uint16_t *port)
{
    const uint8_t *begin = at;
    uint32_t number = 0;
    for (; at < end && remed_is_digit(*at); at++) {
        number = number * 10 + (uint32_t)(*at - '0');
        if (number > UINT16_MAX)
            return NULL;
    }
    *port = (uint16_t)number;
    return at > begin && (at == end || !remed_is_letter(*at)) ? at : NULL;
}

/* IPv4 or IPv6, the latter with an interface behind % that is dropped. An IPv4 address mapped into
 * IPv6 is the IPv4 address: that is what the packets have. */
const uint8_t *remed_scan_ipv6(const uint8_t *at, const uint8_t *end,
                               struct remed_endpoint *endpoint);
static inline const uint8_t *remed_scan_ip(const uint8_t *at, const uint8_t *end,
                                           struct remed_endpoint *endpoint)
{
    uint8_t address[4];
    const uint8_t *next = remed_scan_ipv4(at, end, address);
    if (REMED_UNLIKELY(next == NULL))
        return remed_scan_ipv6(at, end, endpoint);
    memset(endpoint->address, 0, sizeof endpoint->address);
    memcpy(endpoint->address, address, sizeof address);
    endpoint->ip_version = 4;
    return next;
}
/* An address with a port, or without. `last`: the number behind the last colon of IPv6 without
 * brackets is a port. */
const uint8_t *remed_scan_endpoint(const uint8_t *at, const uint8_t *end, bool last,
                                   struct remed_endpoint *endpoint, bool *ported);
/* Endpoints with commas between: the last one is taken, and all must be endpoints. */
const uint8_t *remed_scan_list(const uint8_t *at, const uint8_t *end,
                               struct remed_endpoint *endpoint, bool *ported);
/* tcp, TCP, 6, … */
const uint8_t *remed_scan_protocol(const uint8_t *at, const uint8_t *end, uint8_t *protocol);
/* Exactly the name of a protocol in a rule set. */
bool remed_protocol_number(const char *name, size_t length, uint8_t *protocol);

/* The first place of some bytes, or NULL: one look a 16 bytes, at their first and last one. */
static inline const uint8_t *remed_find(const uint8_t *at, const uint8_t *end, const uint8_t *bytes,
                                        size_t length)
{
    if ((size_t)(end - at) < length)
        return NULL;
    const uint8_t *last = end - length; /* the last place where they fit */
#if defined(__SSE2__)
    const __m128i first = _mm_set1_epi8((char)bytes[0]);
    const __m128i final = _mm_set1_epi8((char)bytes[length - 1]);
    for (; last - at >= 15; at += 16) {
        __m128i heads = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i tails = _mm_loadu_si128((const __m128i *)(const void *)(at + length - 1));
        unsigned hits = (unsigned)_mm_movemask_epi8(
            _mm_and_si128(_mm_cmpeq_epi8(heads, first), _mm_cmpeq_epi8(tails, final)));
        for (; hits != 0; hits &= hits - 1) {
            const uint8_t *hit = at + __builtin_ctz(hits);
            if (memcmp(hit, bytes, length) == 0)
                return hit;
        }
    }
#endif
    while (at <= last && (at = memchr(at, bytes[0], (size_t)(last - at) + 1)) != NULL) {
        if (memcmp(at, bytes, length) == 0)
            return at;
        at++;
    }
    return NULL;
}

#endif
