/* SPDX-License-Identifier: BSD-3-Clause */
/* The keys of keys.h. Threads: one. */
#include "keys.h"

#if defined(REMED_HAVE_CRYPTO)
#include <remediate/crypto.h>

int load_verifier(struct keys *keys, const char *file)
{
    struct remed_error error;
    if (file == NULL)
        return EXIT_OK;
    if (remed_keyring_new(&keys->ring, NULL) < 0)
        return fail("no memory");
    remed_keyring_mac(keys->ring, &keys->mac, sizeof keys->mac);
    if (remed_keyring_load(keys->ring, file, &error) == 0)
        return EXIT_OK;
    int code = error.line > 0 ? fail("%s:%u:%u: %s", file, error.line, error.column, error.message)
                              : fail("%s", error.message);
    free_keys(keys);
    return code;
}

int load_signer(struct keys *keys, const char *file, uint32_t number)
{
    int code = load_verifier(keys, file);
    if (code != EXIT_OK || file == NULL)
        return code;
    keys->signer = number != 0 ? number : remed_keyring_signer(keys->ring);
    if (remed_keyring_has(keys->ring, keys->signer))
        return EXIT_OK;
    free_keys(keys);
    return fail("%s: there is no key %u in it", file, number);
}

void free_keys(struct keys *keys)
{
    remed_keyring_free(keys->ring);
    *keys = (struct keys){.signer = 0};
}
#else
int load_verifier(struct keys *keys, const char *file)
{
    (void)keys;
    return file == NULL ? EXIT_OK : fail("%s: built without libremediate-crypto", file);
}

int load_signer(struct keys *keys, const char *file, uint32_t number)
{
    (void)number;
    return load_verifier(keys, file);
}

void free_keys(struct keys *keys)
{
    (void)keys;
}
#endif

const struct remed_mac *keys_mac(const struct keys *keys)
{
    return keys->ring != NULL ? &keys->mac : NULL;
}

int open_value(const struct keys *keys, const struct remed_message *message, size_t *length,
               struct remed_error *error)
{
    if (keys->ring != NULL)
        return remed_record_verify(&keys->mac, message->key, message->key_length, message->value,
                                   message->value_length, length, error);
    *length = remed_record_strip(message->value, message->value_length, NULL);
    return 0;
}
