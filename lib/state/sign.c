/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signatures of records: the form of the trailer, and what its MAC is computed over.
 *
 * What is signed begins with its purpose and has the lengths before what varies, so that no two
 * different (key id, key, record) are the same bytes.
 *
 * Threads: no state.
 */
#include <remediate/sign.h>
#include "state/wire.h"

#define EXT_8 0xc7u
#define EXT_TYPE 0x52u
#define HEAD_SIZE 3u /* type byte, length, type of the extension */
#define ID_SIZE 4u

static const char purpose[] = "remediate signed record 1"; /* with its NUL */

static bool has_signature(const uint8_t *bytes, size_t length)
{
    if (length <= REMED_SIGNATURE_SIZE)
        return false;
    const uint8_t *at = bytes + length - REMED_SIGNATURE_SIZE;
    return at[0] == EXT_8 && at[1] == ID_SIZE + REMED_MAC_SIZE && at[2] == EXT_TYPE;
}

static uint32_t id_of(const uint8_t *bytes, size_t length)
{
    return remed_load32(bytes + length - REMED_SIGNATURE_SIZE + HEAD_SIZE);
}

static int compute(const struct remed_mac *mac, uint32_t key_id, const struct remed_mac_part *key,
                   const struct remed_mac_part *record, uint8_t *result, struct remed_error *error)
{
    uint8_t head[sizeof purpose + ID_SIZE + 8];
    if (mac->size < sizeof *mac || mac->compute == NULL)
        return remed_error_set(error, REMED_EINVAL, "the mac is not filled in");
    memcpy(head, purpose, sizeof purpose);
    remed_store_big(head + sizeof purpose, key_id, ID_SIZE);
    remed_store_big(head + sizeof purpose + ID_SIZE, key->length, 8);
    const struct remed_mac_part parts[] = {{head, sizeof head}, *key, *record};
    int rc = mac->compute(mac->context, key_id, parts, sizeof parts / sizeof *parts, result);
    if (rc == REMED_ENOENT)
        return remed_error_set(error, rc, "key %u is not held", key_id);
    if (rc > 0 || rc == REMED_EFORMAT || rc == REMED_EPERM)
        rc = REMED_EIO; /* those would say something of the record */
    return rc < 0 ? remed_error_set(error, rc, "no MAC: %s", remed_strerror(rc)) : 0;
}

/* Takes the same time wherever they differ: the compiler may not leave early. */
static bool is_same(const uint8_t *a, const uint8_t *b)
{
    volatile uint64_t different = 0;
    for (size_t i = 0; i < REMED_MAC_SIZE; i += 8)
        different = different | (remed_load64(a + i) ^ remed_load64(b + i));
    return different == 0;
}

int remed_record_sign(const struct remed_mac *mac, uint32_t key_id, const uint8_t *key,
                      size_t key_length, uint8_t *bytes, size_t size, size_t *length,
                      struct remed_error *error)
{
    if (*length == 0 || *length > size)
        return remed_error_set(error, REMED_EINVAL, "no record to sign");
    if (size - *length < REMED_SIGNATURE_SIZE)
        return remed_error_set(error, REMED_ELIMIT, "no room for a signature of %u bytes",
                               REMED_SIGNATURE_SIZE);
    const struct remed_mac_part key_part = {key, key_length}, record = {bytes, *length};
    uint8_t *at = bytes + *length;
    at[0] = EXT_8;
    at[1] = ID_SIZE + REMED_MAC_SIZE;
    at[2] = EXT_TYPE;
    remed_store_big(at + HEAD_SIZE, key_id, ID_SIZE);
    int rc = compute(mac, key_id, &key_part, &record, at + HEAD_SIZE + ID_SIZE, error);
    if (rc < 0)
        return rc;
    *length += REMED_SIGNATURE_SIZE;
    return 0;
}

int remed_record_verify(const struct remed_mac *mac, const uint8_t *key, size_t key_length,
                        const uint8_t *bytes, size_t length, size_t *record_length,
                        struct remed_error *error)
{
    uint8_t right[REMED_MAC_SIZE];
    *record_length = 0;
    if (!has_signature(bytes, length))
        return remed_error_set(error, REMED_EFORMAT, "not signed");
    const struct remed_mac_part key_part = {key, key_length};
    const struct remed_mac_part record = {bytes, length - REMED_SIGNATURE_SIZE};
    uint32_t key_id = id_of(bytes, length);
    int rc = compute(mac, key_id, &key_part, &record, right, error);
    if (rc < 0)
        return rc;
    if (!is_same(right, bytes + length - REMED_MAC_SIZE))
        return remed_error_set(error, REMED_EPERM, "altered: the signature of key %u does not fit",
                               key_id);
    *record_length = record.length;
    return 0;
}

/* A record may end in bytes that look like a signature: the record is measured before any are taken
 * off. */
size_t remed_record_strip(const uint8_t *bytes, size_t length, uint32_t *key_id)
{
    size_t record;
    if (!has_signature(bytes, length) || remed_record_measure(bytes, length, &record) < 0 ||
        record != length - REMED_SIGNATURE_SIZE)
        return length;
    if (key_id != NULL)
        *key_id = id_of(bytes, length);
    return record;
}
