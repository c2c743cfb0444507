/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file crypto.h
 * Keys that sign records (libremediate-crypto, on libcrypto): a keyring gives the struct remed_mac
 * that sign.h and a replica ask for (docs/signing.md).
 *
 * The key with the highest number signs; all that are held verify. So a key is changed without a
 * gap: readers get the new one beside the old one, then writers, and when no record of the old one is
 * left it is taken away.
 *
 * Secrets lie in memory as the two states of SHA-256 that HMAC begins with, and are wiped when they
 * go. A MAC costs no setup of its key and allocates nothing. For that it uses libcrypto's SHA-256
 * directly, which no FIPS provider stands behind: a host that needs one fills in a struct remed_mac
 * of its own.
 *
 * Threads: const means concurrent readers are fine, and computing MACs is reading: one keyring may
 * serve many threads while none of them changes it.
 */
#ifndef REMEDIATE_CRYPTO_H
#define REMEDIATE_CRYPTO_H

#include <remediate/error.h>
#include <remediate/memory.h>
#include <remediate/sign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

REMED_BEGIN_DECLS

/** Keys by number. */
struct remed_keyring;

/** Most keys of a keyring. */
#define REMED_KEYRING_MAX 64u
/** Shortest secret, bytes; 32 random ones are best. */
#define REMED_SECRET_MIN 16u
/** Longest secret, bytes. */
#define REMED_SECRET_MAX 1024u

/**
 * Makes a keyring without keys.
 * @param[out] keyring to be freed with remed_keyring_free(); untouched on failure; not NULL
 * @param allocator NULL for malloc; all memory is taken here and in remed_keyring_load()
 * @return 0; ::REMED_ENOMEM
 */
REMED_API int remed_keyring_new(struct remed_keyring **keyring,
                                const struct remed_allocator *allocator);
/**
 * Adds a key.
 * @param keyring not NULL; unchanged on failure
 * @param id its number, above 0, not yet in the keyring
 * @param secret @p length bytes; the caller's to wipe
 * @param length ::REMED_SECRET_MIN to ::REMED_SECRET_MAX
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for a number or length out of range, or a number that is held;
 *         ::REMED_ELIMIT when ::REMED_KEYRING_MAX keys are held
 */
REMED_API int remed_keyring_add(struct remed_keyring *keyring, uint32_t id, const uint8_t *secret,
                                size_t length, struct remed_error *error);
/** Takes a key away, and wipes it: what it signed is refused from now on. @param keyring not NULL
 *  @param id any number @return 0; ::REMED_ENOENT when it is not held */
REMED_API int remed_keyring_remove(struct remed_keyring *keyring, uint32_t id);
/**
 * Puts the keys of a text in the place of all that are held: one a line, `NUMBER SECRET`, the secret
 * in hexadecimal or as `base64:TEXT`; empty lines and what follows a '#' do not count.
 * @param keyring not NULL; unchanged on failure
 * @param text @p length bytes; the caller's to wipe
 * @param length bytes at @p text
 * @param error filled on failure, with line and column, never with a part of a secret; may be NULL
 * @return 0; ::REMED_ESYNTAX; ::REMED_EINVAL for a secret too short or too long, a number twice, or
 *         no key at all; ::REMED_ELIMIT for more than ::REMED_KEYRING_MAX keys; ::REMED_ENOMEM
 */
REMED_API int remed_keyring_parse(struct remed_keyring *keyring, const char *text, size_t length,
                                  struct remed_error *error);
/**
 * Reads a file of keys, as remed_keyring_parse() does. Call it again when the file has changed. A file
 * is refused that others than its owner may read or write, or whose owner is neither this process's
 * user nor root; a pipe or a device is refused as well. Blocks while it reads.
 * @param keyring not NULL; unchanged on failure
 * @param path of the file; not NULL
 * @param error filled on failure; line and column are 0 when the file itself is at fault; may be NULL
 * @return as remed_keyring_parse(), ::REMED_EINVAL also for a pipe or a device; ::REMED_ENOENT; ::REMED_EPERM when it is refused or may not be
 *         read; ::REMED_ELIMIT for more than 256 KiB; ::REMED_EIO
 */
REMED_API int remed_keyring_load(struct remed_keyring *keyring, const char *path,
                                 struct remed_error *error);
/** Tells which key signs: the one with the highest number. @param keyring not NULL
 *  @return its number; 0 without keys */
REMED_API uint32_t remed_keyring_signer(const struct remed_keyring *keyring);
/** Tells whether a key is held. @param keyring not NULL @param id any number @return it */
REMED_API bool remed_keyring_has(const struct remed_keyring *keyring, uint32_t id);
/** Gives the mac of a keyring, for remed_record_sign(), remed_record_verify() and
 *  remed_replica_opts. It follows the keyring's changes, which must outlive it.
 *  @param keyring not NULL @param[out] mac filled; not NULL @param size sizeof *mac */
REMED_API void remed_keyring_mac(const struct remed_keyring *keyring, struct remed_mac *mac,
                                 size_t size);
/** Wipes and frees all keys. @param keyring may be NULL */
REMED_API void remed_keyring_free(struct remed_keyring *keyring);

REMED_END_DECLS
#endif
