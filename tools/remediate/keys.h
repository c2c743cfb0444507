/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What --sign, --key and --verify share: a file of keys loaded, and values opened with them.
 *
 * Threads: one.
 */
#ifndef REMEDIATE_KEYS_H
#define REMEDIATE_KEYS_H

#include "tool.h"

struct remed_keyring;

/* Zeroed: no keys, nothing is signed or asked to be. */
struct keys {
    struct remed_keyring *ring;
    struct remed_mac mac;
    uint32_t signer; /* the key to sign with; 0: none */
};

/* Both complain, and return EXIT_OK or what to exit with. A file of NULL is none. */
int load_verifier(struct keys *keys, const char *file);
/* `number` names the key to sign with; 0: the highest. */
int load_signer(struct keys *keys, const char *file, uint32_t number);
void free_keys(struct keys *keys);

/* For a publisher or a replica; NULL without keys. */
const struct remed_mac *keys_mac(const struct keys *keys);
/* The length of the record in a value: its signature is checked, or without keys left away. */
int open_value(const struct keys *keys, const struct remed_message *message, size_t *length,
               struct remed_error *error);

#endif
