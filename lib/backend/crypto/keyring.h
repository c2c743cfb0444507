/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A keyring from within: numbers, and for each the states of SHA-256 behind HMAC's inner and outer
 * pad (RFC 2104, 4). The keys stand in order of their numbers.
 *
 * SHA256_Init() and its kind are used though OpenSSL 3 discourages them: every way through EVP
 * allocates once or more a digest (3.0), and a state can't be copied without.
 *
 * Threads: as crypto.h.
 */
#ifndef REMED_BACKEND_CRYPTO_KEYRING_H
#define REMED_BACKEND_CRYPTO_KEYRING_H

#define OPENSSL_API_COMPAT 0x10101000L

#include <remediate/crypto.h>
#include "base/base.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

struct remed_secret {
    uint32_t id;
    SHA256_CTX inner, outer;
};

struct remed_keys {
    size_t count;
    struct remed_secret of[REMED_KEYRING_MAX];
};

struct remed_keyring {
    struct remed_allocator allocator;
    struct remed_keys keys;
};

/* As remed_keyring_add(). */
int remed_keys_add(struct remed_keys *keys, uint32_t id, const uint8_t *secret, size_t length,
                   struct remed_error *error);
/* Adds the keys of a text to `keys`, which the caller wipes on failure. */
int remed_keys_parse(struct remed_keys *keys, const char *text, size_t length,
                     struct remed_error *error);

#endif
