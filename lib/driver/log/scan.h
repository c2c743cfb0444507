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

/* Whether what stands here would make an address before it another number, name or address. */
static inline bool remed_continues(const uint8_t *at, const uint8_t *end)
{
    if (at == end)
        return false;
    static const uint64_t alphanumeric[4] = {0x03ff000000000000ull, 0x07fffffe87fffffeull, 0, 0};
    return (alphanumeric[*at >> 6] >> (*at & 63) & 1) != 0 ||
           (*at == '.' && end - at > 1 && remed_is_digit(at[1]));
}

static inline const uint8_t *remed_scan_ipv4_slow(const uint8_t *at, const uint8_t *end,
                                                  uint8_t address[4])
{
    for (unsigned i = 0;; i++) {
        if (at == end || !remed_is_digit(*at))
            return NULL;
        unsigned octet = (unsigned)(*at++ - '0');
        for (unsigned more = 0; more < 2 && at < end && remed_is_digit(*at); more++) {
            if (octet == 0)
                return NULL;
            octet = octet * 10 + (unsigned)(*at++ - '0');
        }
        if (octet > 255)
            return NULL;
        address[i] = (uint8_t)octet;
        if (i == 3)
            return remed_continues(at, end) ? NULL : at;
        if (at == end || *at++ != '.')
            return NULL;
    }
}

#if defined(__SSE2__)
/* The digits' values of one octet in three bytes, the last one on top. */
static inline uint64_t remed_octet_digits(const uint8_t *at, unsigned digits)
{
    uint32_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    return (bytes ^ 0x30303030u) << (32 - 8 * digits) >> 8;
}

/* Two octets' numbers, in 32 bits each, of their digits. */
static inline uint64_t remed_two_octets(uint64_t low, uint64_t high)
{
    const uint64_t mask = 0x000000ff000000ffull;
    uint64_t digits = low | high << 32;
    return ((digits & mask) * 10 + (digits >> 8 & mask)) * 10 + (digits >> 16 & mask);
}

/* 1.2.3.4 among 20 bytes or more. Octets have one to three digits at random, so that asking for
 * each digit costs more than reading all at once. *packed is as the address lies in memory. */
static inline const uint8_t *remed_scan_ipv4_fast(const uint8_t *at, const uint8_t *end,
                                                  uint32_t *packed)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    unsigned digits = (unsigned)_mm_movemask_epi8(_mm_cmplt_epi8(
        _mm_add_epi8(bytes, _mm_set1_epi8((char)(0x80 - '0'))), _mm_set1_epi8(-128 + 10)));
    unsigned dots = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('.')));
    unsigned zeros = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('0')));
    unsigned others = ~digits | 0x10000;
    unsigned first = (unsigned)__builtin_ctz(others);
    others &= others - 1;
    unsigned second = (unsigned)__builtin_ctz(others | 0x10000);
    others &= others - 1;
    unsigned third = (unsigned)__builtin_ctz(others | 0x10000);
    others &= others - 1;
    unsigned stop = (unsigned)__builtin_ctz(others | 0x10000);
    unsigned marks = 1u << first | 1u << second | 1u << third;
    unsigned a = first, b = second - first - 1, c = third - second - 1, d = stop - third - 1;
    bool leading = (zeros & (marks << 1 | 1) & digits >> 1) != 0; /* octal to some: refused */
    if ((dots & marks) != marks || a - 1 > 2 || b - 1 > 2 || c - 1 > 2 || d - 1 > 2 || leading)
        return NULL;
    uint64_t low =
        remed_two_octets(remed_octet_digits(at, a), remed_octet_digits(at + first + 1, b));
    uint64_t high = remed_two_octets(remed_octet_digits(at + second + 1, c),
                                     remed_octet_digits(at + third + 1, d));
    at += stop;
    *packed = (uint32_t)((low | low >> 24) & 0xffff) | (uint32_t)((high | high >> 24) & 0xffff)
                                                           << 16;
    return ((low | high) & 0xffffff00ffffff00ull) == 0 && !remed_continues(at, end) ? at : NULL;
}
#endif

/* 1.2.3.4, and nothing behind it that would make it another number, name or address. */
static inline const uint8_t *remed_scan_ipv4(const uint8_t *at, const uint8_t *end,
                                             uint8_t address[4])
{
#if defined(__SSE2__)
    uint32_t packed;
    if (REMED_LIKELY(end - at >= 20)) {
        at = remed_scan_ipv4_fast(at, end, &packed);
        if (at != NULL)
            memcpy(address, &packed, sizeof packed);
        return at;
    }
#endif
    return remed_scan_ipv4_slow(at, end, address);
}

/* How many of the first 8 bytes are digits. */
static inline unsigned remed_digits8(uint64_t word)
{
    uint64_t high = word & 0xf0f0f0f0f0f0f0f0ull, carried = word + 0x0606060606060606ull;
    uint64_t wrong = (high ^ 0x3030303030303030ull) |
                     ((carried & 0xf0f0f0f0f0f0f0f0ull) ^ 0x3030303030303030ull);
    return wrong == 0 ? 8 : (unsigned)__builtin_ctzll(wrong) / 8;
}

/* Eight digits' values in bytes, the first one lowest. */
static inline uint32_t remed_eight(uint64_t digits)
{
    digits = digits * 10 + (digits >> 8);
    return (uint32_t)(((digits & 0x000000ff000000ffull) * 0x000f424000000064ull +
                       (digits >> 16 & 0x000000ff000000ffull) * 0x0000271000000001ull) >>
                      32);
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
    if (REMED_LIKELY(end - at >= 8)) {
        uint64_t word = remed_load64_little(at);
        unsigned digits = remed_digits8(word);
        if (digits - 1 > 6) /* none, or far too many */
            return NULL;
        number = remed_eight((word ^ 0x3030303030303030ull) << (64 - 8 * digits));
        *port = (uint16_t)number;
        return number <= UINT16_MAX && !remed_is_letter(at[digits]) ? at + digits : NULL;
    }
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
    const uint8_t *next;
#if defined(__SSE2__)
    static const uint8_t version[4] = {0, 0, 4,
                                       0}; /* behind the address: port, version, reserved */
    uint32_t packed;
    if (REMED_LIKELY(end - at >= 20 && (next = remed_scan_ipv4_fast(at, end, &packed)) != NULL)) {
        /* Two stores, as the endpoint will be copied: that need not wait for them. */
        _mm_storeu_si128((__m128i *)(void *)endpoint->address, _mm_cvtsi32_si128((int)packed));
        memcpy((uint8_t *)endpoint + offsetof(struct remed_endpoint, port), version,
               sizeof version);
        return next;
    }
#endif
    next = remed_scan_ipv4(at, end, address);
    if (next == NULL)
        return remed_scan_ipv6(at, end, endpoint);
    memset(endpoint, 0, sizeof *endpoint);
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
const uint8_t *remed_scan_any_protocol(const uint8_t *at, const uint8_t *end, uint8_t *protocol);
static inline const uint8_t *remed_scan_protocol(const uint8_t *at, const uint8_t *end,
                                                 uint8_t *protocol)
{
    if (REMED_LIKELY(end - at > 3 && (at[3] == ' ' || at[3] == ','))) {
        uint32_t folded = ((uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2]) | 0x202020;
        if (folded == 0x746370 || folded == 0x756470) { /* nearly always */
            *protocol = folded == 0x746370 ? 6 : 17;
            return at + 3;
        }
    }
    return remed_scan_any_protocol(at, end, protocol);
}
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
#if defined(__SSE2__)
    if (at <= last && end - at >= 16) { /* fewer than 16 places, but 16 bytes */
        __m128i heads = _mm_loadu_si128((const __m128i *)(const void *)at);
        unsigned hits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(heads, first));
        for (hits &= (2u << (last - at)) - 1; hits != 0; hits &= hits - 1) {
            const uint8_t *hit = at + __builtin_ctz(hits);
            if (hit[length - 1] == bytes[length - 1] && memcmp(hit, bytes, length) == 0)
                return hit;
        }
        return NULL;
    }
    for (; at <= last; at++)
        if (at[0] == bytes[0] && at[length - 1] == bytes[length - 1] &&
            memcmp(at, bytes, length) == 0)
            return at;
#else
    while (at <= last && (at = memchr(at, bytes[0], (size_t)(last - at) + 1)) != NULL) {
        if (memcmp(at, bytes, length) == 0)
            return at;
        at++;
    }
#endif
    return NULL;
}

#endif
