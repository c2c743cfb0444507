/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts of keys: what is taken has a key that signs, what is not leaves the keys that were there.
 */
#include <remediate/crypto.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t secret[16] = {1};
    struct remed_keyring *keyring = NULL;
    struct remed_error error;
    check(remed_keyring_new(&keyring, NULL) == 0);
    check(remed_keyring_add(keyring, 1, secret, sizeof secret, NULL) == 0);
    int rc = remed_keyring_parse(keyring, (const char *)data, size, &error);
    uint32_t signer = remed_keyring_signer(keyring);
    check(signer != 0 && remed_keyring_has(keyring, signer));
    if (rc < 0)
        check(error.message[0] != '\0' && signer == 1 && remed_keyring_remove(keyring, 1) == 0 &&
              remed_keyring_signer(keyring) == 0);
    remed_keyring_free(keyring);
    return 0;
}
