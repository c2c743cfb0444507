/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values that claim to be signed: the first byte is the length of a key, then the key, then the
 * value. What is stripped must leave a whole record; what is signed here must verify, and no longer
 * once a bit of it is altered.
 */
#include <remediate/crypto.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct remed_mac mac;

static void check(int holds)
{
    if (!holds)
        abort();
}

static void make_keys(void)
{
    static const uint8_t secret[32] = {0x52, 0x65, 0x6d};
    struct remed_keyring *keyring = NULL;
    check(remed_keyring_new(&keyring, NULL) == 0);
    check(remed_keyring_add(keyring, 1, secret, sizeof secret, NULL) == 0);
    remed_keyring_mac(keyring, &mac, sizeof mac);
}

/* Signs what came, in a block of its exact size; then alters one byte of it. */
static void check_signing(const uint8_t *key, size_t key_length, const uint8_t *value,
                          size_t length)
{
    size_t signed_length = length, found, at = value[0] % (length + REMED_SIGNATURE_SIZE);
    uint8_t *bytes = malloc(length + REMED_SIGNATURE_SIZE);
    check(bytes != NULL);
    memcpy(bytes, value, length);
    check(remed_record_sign(&mac, 1, key, key_length, bytes, length + REMED_SIGNATURE_SIZE,
                            &signed_length, NULL) == 0);
    check(signed_length == length + REMED_SIGNATURE_SIZE);
    check(remed_record_verify(&mac, key, key_length, bytes, signed_length, &found, NULL) == 0);
    check(found == length && memcmp(bytes, value, length) == 0);
    bytes[at] ^= 1;
    check(remed_record_verify(&mac, key, key_length, bytes, signed_length, &found, NULL) < 0);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t found, measured;
    struct remed_error error;
    uint32_t id = 0;
    if (mac.compute == NULL)
        make_keys();
    if (size == 0 || size - 1 < data[0])
        return 0;
    const uint8_t *key = data + 1, *value = key + data[0];
    size_t length = size - 1 - data[0];
    int rc = remed_record_verify(&mac, key, data[0], value, length, &found, &error);
    check(rc == REMED_EFORMAT || rc == REMED_ENOENT || rc == REMED_EPERM ||
          (rc == 0 && found == length - REMED_SIGNATURE_SIZE));
    check(rc == 0 || (found == 0 && error.message[0] != '\0'));
    size_t stripped = remed_record_strip(value, length, &id);
    check(stripped == length || stripped == length - REMED_SIGNATURE_SIZE);
    if (stripped != length)
        check(rc != REMED_EFORMAT && remed_record_measure(value, length, &measured) == 0 &&
              measured == stripped);
    if (length > 0)
        check_signing(key, data[0], value, length);
    return 0;
}
