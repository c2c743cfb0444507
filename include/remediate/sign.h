/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file sign.h
 * Signatures of records: a trailer behind a record's wire form (docs/wire.md), by which a reader
 * knows that a holder of the secret made it, for this key of the repository, and that nobody changed
 * it since.
 *
 * The core has no cryptography of its own: who computes is a struct remed_mac, such as
 * remed_keyring_mac() of libremediate-crypto gives, or the host's own.
 *
 * Threads: no state; a mac is called from the thread that signs or verifies.
 */
#ifndef REMEDIATE_SIGN_H
#define REMEDIATE_SIGN_H

#include <remediate/error.h>
#include <remediate/state.h>
#include <stddef.h>
#include <stdint.h>

REMED_BEGIN_DECLS

/** Bytes of an HMAC-SHA-256. */
#define REMED_MAC_SIZE 32u
/** Bytes that a signature adds to a record's wire form. */
#define REMED_SIGNATURE_SIZE 39u
/** Longest signed record on the wire, bytes. */
#define REMED_SIGNED_MAX (REMED_RECORD_MAX + REMED_SIGNATURE_SIZE)

/** Some of the bytes that a MAC is computed over. Borrowed. */
struct remed_mac_part {
    const uint8_t *bytes; /**< @c length bytes; may be NULL with 0 */
    size_t length;        /**< 0 or more */
};

/** Who computes HMAC-SHA-256, with keys that have numbers. Copied by the objects that take it. */
struct remed_mac {
    size_t size;   /**< sizeof this struct */
    void *context; /**< handed back to `compute` untouched; must outlive the objects */
    /**
     * Computes one MAC over parts as if they were one text.
     * @param context the mac's context
     * @param key_id which key
     * @param parts @p count parts, in their order
     * @param count above 0
     * @param[out] mac ::REMED_MAC_SIZE bytes
     * @return 0; ::REMED_ENOENT for a key that is not held; any other error is handed on, but
     *         ::REMED_EFORMAT and ::REMED_EPERM, which speak of records, as ::REMED_EIO
     */
    int (*compute)(void *context, uint32_t key_id, const struct remed_mac_part *parts, size_t count,
                   uint8_t *mac);
};

/**
 * Signs a record: writes the signature behind its wire form.
 * @param mac not NULL
 * @param key_id the key to sign with; stands in the signature
 * @param key the repository's key that the record will be published with, as remed_record_key()
 *        writes it
 * @param key_length bytes at @p key
 * @param[in,out] bytes the record's wire form, with room for ::REMED_SIGNATURE_SIZE bytes more;
 *        those are undefined on failure
 * @param size bytes at @p bytes, room included
 * @param[in,out] length bytes of the record; on success those of record and signature, unchanged on
 *        failure; not NULL
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for no record at all, or a mac that is none; ::REMED_ELIMIT when the
 *         signature does not fit; ::REMED_ENOENT for a key that is not held; others of the mac
 */
REMED_API int remed_record_sign(const struct remed_mac *mac, uint32_t key_id, const uint8_t *key,
                                size_t key_length, uint8_t *bytes, size_t size, size_t *length,
                                struct remed_error *error);
/**
 * Checks the signature behind a record. What has the form of a signature at its end is taken for
 * signed. The record itself is not looked at: decode it afterwards.
 * @param mac not NULL
 * @param key the repository's key that the value came with
 * @param key_length bytes at @p key
 * @param bytes a value as it came, @p length bytes; may be NULL with 0
 * @param length bytes at @p bytes
 * @param[out] record_length bytes of the record before the signature; 0 on failure; not NULL
 * @param error filled on failure, with the key's number; may be NULL
 * @return 0; ::REMED_EFORMAT when it is not signed; ::REMED_ENOENT when it is signed with a key that
 *         is not held; ::REMED_EPERM when record, key or signature were altered, or the record was
 *         signed for another key; ::REMED_EINVAL for a mac that is none; others of the mac
 */
REMED_API int remed_record_verify(const struct remed_mac *mac, const uint8_t *key,
                                  size_t key_length, const uint8_t *bytes, size_t length,
                                  size_t *record_length, struct remed_error *error);
/**
 * Tells how long the record of a value is without its signature, which is not checked: for a reader
 * that asks for none.
 * @param bytes a value as it came, @p length bytes; may be NULL with 0
 * @param length bytes at @p bytes
 * @param[out] key_id the key that it says to be signed with; untouched without a signature; may be
 *        NULL
 * @return bytes of the record; @p length when no signature is behind a record
 */
REMED_API size_t remed_record_strip(const uint8_t *bytes, size_t length, uint32_t *key_id);

REMED_END_DECLS
#endif
