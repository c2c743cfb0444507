/* SPDX-License-Identifier: BSD-3-Clause */
/* The keyring of crypto.h: keys and the MACs that they make. Threads: as crypto.h. */
#include "backend/crypto/keyring.h"

#define BLOCK_SIZE 64u /* of SHA-256 */
#define INNER_PAD 0x36u
#define OUTER_PAD 0x5cu

/* The place of a key, or where it would stand. */
static size_t place_of(const struct remed_keys *keys, uint32_t id)
{
    size_t low = 0, high = keys->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (keys->of[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct remed_secret *find(const struct remed_keys *keys, uint32_t id)
{
    size_t place = place_of(keys, id);
    return place < keys->count && keys->of[place].id == id ? &keys->of[place] : NULL;
}

static void begin_with(SHA256_CTX *state, const uint8_t block[BLOCK_SIZE], uint8_t pad)
{
    uint8_t padded[BLOCK_SIZE];
    for (size_t i = 0; i < sizeof padded; i++)
        padded[i] = block[i] ^ pad;
    SHA256_Init(state);
    SHA256_Update(state, padded, sizeof padded);
    OPENSSL_cleanse(padded, sizeof padded);
}

/* What HMAC does with a key before it sees any text. */
static void prepare(struct remed_secret *of, const uint8_t *secret, size_t length)
{
    uint8_t block[BLOCK_SIZE] = {0};
    if (length > sizeof block) {
        SHA256_Init(&of->inner);
        SHA256_Update(&of->inner, secret, length);
        SHA256_Final(block, &of->inner);
    } else {
        memcpy(block, secret, length);
    }
    begin_with(&of->inner, block, INNER_PAD);
    begin_with(&of->outer, block, OUTER_PAD);
    OPENSSL_cleanse(block, sizeof block);
}

int remed_keys_add(struct remed_keys *keys, uint32_t id, const uint8_t *secret, size_t length,
                   struct remed_error *error)
{
    size_t place = place_of(keys, id);
    if (id == 0)
        return remed_error_set(error, REMED_EINVAL, "a key's number is above 0");
    if (length < REMED_SECRET_MIN || length > REMED_SECRET_MAX)
        return remed_error_set(error, REMED_EINVAL, "a secret of %zu bytes, must be %u to %u",
                               length, REMED_SECRET_MIN, REMED_SECRET_MAX);
    if (find(keys, id) != NULL)
        return remed_error_set(error, REMED_EINVAL, "there is a key %u already", id);
    if (keys->count == REMED_KEYRING_MAX)
        return remed_error_set(error, REMED_ELIMIT, "more than %u keys", REMED_KEYRING_MAX);
    memmove(&keys->of[place + 1], &keys->of[place], (keys->count - place) * sizeof *keys->of);
    keys->of[place].id = id;
    prepare(&keys->of[place], secret, length);
    keys->count++;
    return 0;
}

int remed_keyring_new(struct remed_keyring **keyring, const struct remed_allocator *given)
{
    struct remed_allocator allocator = remed_allocator_or_default(given);
    struct remed_keyring *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return REMED_ENOMEM;
    made->allocator = allocator;
    *keyring = made;
    return 0;
}

int remed_keyring_add(struct remed_keyring *keyring, uint32_t id, const uint8_t *secret,
                      size_t length, struct remed_error *error)
{
    return remed_keys_add(&keyring->keys, id, secret, length, error);
}

int remed_keyring_remove(struct remed_keyring *keyring, uint32_t id)
{
    struct remed_keys *keys = &keyring->keys;
    size_t place = place_of(keys, id);
    if (find(keys, id) == NULL)
        return REMED_ENOENT;
    keys->count--;
    memmove(&keys->of[place], &keys->of[place + 1], (keys->count - place) * sizeof *keys->of);
    OPENSSL_cleanse(&keys->of[keys->count], sizeof *keys->of);
    return 0;
}

uint32_t remed_keyring_signer(const struct remed_keyring *keyring)
{
    const struct remed_keys *keys = &keyring->keys;
    return keys->count > 0 ? keys->of[keys->count - 1].id : 0;
}

bool remed_keyring_has(const struct remed_keyring *keyring, uint32_t id)
{
    return find(&keyring->keys, id) != NULL;
}

static int compute(void *context, uint32_t key_id, const struct remed_mac_part *parts, size_t count,
                   uint8_t *mac)
{
    const struct remed_keyring *keyring = context;
    const struct remed_secret *secret = find(&keyring->keys, key_id);
    if (secret == NULL)
        return REMED_ENOENT;
    SHA256_CTX state = secret->inner;
    for (size_t i = 0; i < count; i++)
        if (parts[i].length != 0)
            SHA256_Update(&state, parts[i].bytes, parts[i].length);
    SHA256_Final(mac, &state);
    state = secret->outer;
    SHA256_Update(&state, mac, REMED_MAC_SIZE);
    SHA256_Final(mac, &state);
    OPENSSL_cleanse(&state, sizeof state);
    return 0;
}

void remed_keyring_mac(const struct remed_keyring *keyring, struct remed_mac *mac, size_t size)
{
    /* the mac only reads, but its context is one for all kinds */
    const struct remed_mac own = {
        .size = size, .context = (void *)(uintptr_t)keyring, .compute = compute};
    remed_stats_copy(mac, size, &own, sizeof own);
}

void remed_keyring_free(struct remed_keyring *keyring)
{
    if (keyring == NULL)
        return;
    struct remed_allocator allocator = keyring->allocator;
    OPENSSL_cleanse(keyring, sizeof *keyring);
    remed_release(&allocator, keyring, sizeof *keyring);
}
