/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keyed hashing of flow keys: one 64x64→128-bit multiplication a pair of words, each word masked
 * with a secret first, so that who chooses addresses and ports can't choose buckets. A key is read
 * as numbers, never as raw memory, so the result is the same on every machine.
 *
 * Threads: no state.
 */
#ifndef REMED_BASE_HASH_H
#define REMED_BASE_HASH_H

#include <remediate/flow_key.h>
#include "base/base.h"

/* Odd constants without structure (digits of the golden ratio and of sqrt 3). */
#define REMED_HASH_C0 0x9e3779b97f4a7c15ull
#define REMED_HASH_C1 0xbb67ae8584caa73bull

static inline uint64_t remed_hash_fold(uint64_t a, uint64_t b)
{
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (uint32_t)middle;
    return (a * b) ^ (a1 * b1 + (middle >> 32) + (other >> 32));
#endif
}

/* A table's secret from the host's seed; a seed of zeros must not make words of zeros collide. */
static inline void remed_hash_secret(uint64_t secret[2], const uint64_t seed[2])
{
    secret[0] = seed[0] ^ REMED_HASH_C0;
    secret[1] = seed[1] ^ REMED_HASH_C1;
}

static inline uint64_t remed_hash_words(uint64_t a, uint64_t b, const uint64_t secret[2])
{
    return remed_hash_fold(a ^ secret[0], b ^ secret[1]);
}

/* The last round spreads every bit over bucket number and tag. */
static inline uint64_t remed_hash_finish(uint64_t hash)
{
    hash = (hash ^ (hash >> 32)) * REMED_HASH_C0;
    return hash ^ (hash >> 29);
}

/* Ports, protocol and IP version as one word: on a little-endian machine, as they lie in memory. */
static inline uint64_t remed_key_identity(const struct remed_flow_key *key)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t identity;
    memcpy(&identity, key->port, sizeof identity);
    return identity & 0xffffffffffff; /* the reserved bytes are no part of it */
#else
    return (uint64_t)key->ip_version << 40 | (uint64_t)key->protocol << 32 |
           (uint64_t)key->port[1] << 16 | key->port[0];
#endif
}

/* Sets those fields, and zeroes the reserved ones, by one store: the load above, soon after, then
 * takes the word from the store queue. `ports` is port[1] above port[0]. */
static inline void remed_key_set_identity(struct remed_flow_key *key, uint32_t ports,
                                          unsigned protocol, unsigned ip_version)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t identity = (uint64_t)ip_version << 40 | (uint64_t)protocol << 32 | ports;
    memcpy(key->port, &identity, sizeof identity);
#else
    key->port[0] = (uint16_t)ports;
    key->port[1] = (uint16_t)(ports >> 16);
    key->protocol = (uint8_t)protocol;
    key->ip_version = (uint8_t)ip_version;
    memset(key->reserved, 0, sizeof key->reserved);
#endif
}

static inline uint64_t remed_hash_key6(const struct remed_flow_key *key, const uint64_t secret[2])
{
    uint64_t identity = remed_key_identity(key);
    uint64_t swapped[2] = {secret[1] + REMED_HASH_C0, secret[0] + REMED_HASH_C1};
    uint64_t first = remed_hash_words(remed_load64_little(key->address[0]),
                                      remed_load64_little(key->address[0] + 8), secret);
    uint64_t second = remed_hash_words(remed_load64_little(key->address[1]),
                                       remed_load64_little(key->address[1] + 8), swapped);
    return remed_hash_finish(
        remed_hash_words(first ^ identity, second + (identity << 1 | 1) * REMED_HASH_C1, secret));
}

/* Both IPv4 addresses as one word. */
static inline uint64_t remed_key_addresses4(const struct remed_flow_key *key)
{
    return (uint64_t)remed_load32_little(key->address[1]) << 32 |
           remed_load32_little(key->address[0]);
}

static inline uint64_t remed_hash_key(const struct remed_flow_key *key, const uint64_t secret[2])
{
    if (REMED_UNLIKELY(key->ip_version != 4))
        return remed_hash_key6(key, secret);
    return remed_hash_finish(
        remed_hash_words(remed_key_addresses4(key), remed_key_identity(key), secret));
}

/* Any bytes, two words at a time; the length goes in, so that zeros at the end count. */
static inline uint64_t remed_hash_bytes(const uint8_t *bytes, size_t length,
                                        const uint64_t secret[2])
{
    uint64_t hash = length * REMED_HASH_C1;
    for (; length > 16; bytes += 16, length -= 16)
        hash = remed_hash_words(remed_load64_little(bytes) ^ hash, remed_load64_little(bytes + 8),
                                secret);
    uint8_t last[16] = {0};
    if (length != 0)
        memcpy(last, bytes, length);
    hash =
        remed_hash_words(remed_load64_little(last) ^ hash, remed_load64_little(last + 8), secret);
    return remed_hash_finish(hash);
}

#endif
