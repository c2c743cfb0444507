/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Digests. A leaf's digest is the sum of its entries' hashes, so it follows every change at the
 * cost of that change, and does not depend on the order. Which leaf an entry is in and what it adds
 * depends on a key: who does not know it can't choose records so that tables that differ look
 * equal, or that all lie in one leaf. Two 64-bit sums by different secrets: two tables that differ
 * are taken for equal once in 2^128.
 *
 * Threads: one thread a replica.
 */
#include "repository/replica.h"
#include "state/compare.h"

#include "base/hash.h"

/* One of the secrets that a key is made into. */
static uint64_t derive(const struct remed_digest_key *key, uint64_t number)
{
    uint64_t a = remed_hash_finish(key->word[0] + number * REMED_HASH_C0);
    uint64_t b = remed_hash_finish(key->word[1] + number * REMED_HASH_C1);
    return remed_hash_finish(remed_hash_fold(a ^ key->word[1], b ^ key->word[0]) + number);
}

void remed_digest_prepare(struct remed_digest_secret *secret, const struct remed_digest_key *key)
{
    uint64_t *const words[] = {&secret->leaf[0],   &secret->leaf[1],   &secret->sum[0][0],
                               &secret->sum[0][1], &secret->sum[1][0], &secret->sum[1][1]};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        *words[i] = derive(key, i + 1);
}

uint32_t remed_digest_leaf(const struct remed_digest_secret *secret, const uint8_t *key,
                           size_t key_length)
{
    return (uint32_t)(remed_hash_bytes(key, key_length, secret->leaf) % REMED_DIGEST_LEAVES);
}

void remed_digest_part(const struct remed_digest_secret *secret, const uint8_t *key,
                       size_t key_length, const struct remed_record *record, uint8_t *body,
                       uint64_t sum[2])
{
    size_t length = remed_body_write(record, body, REMED_BODY_MAX);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t of_key = remed_hash_bytes(key, key_length, secret->sum[i]);
        uint64_t of_body = remed_hash_bytes(body, length, secret->sum[i]);
        sum[i] = remed_hash_finish(remed_hash_words(of_key, of_body, secret->sum[i]));
    }
}

void remed_replica_digest(const struct remed_replica *replica, uint32_t leaf,
                          struct remed_digest *digest)
{
    *digest = replica->leaves[leaf % REMED_DIGEST_LEAVES];
}

uint32_t remed_replica_leaf(const struct remed_replica *replica, const uint8_t *key, size_t length)
{
    return remed_digest_leaf(&replica->digest, key, length);
}

void remed_replica_digest_key(const struct remed_replica *replica, struct remed_digest_key *key)
{
    *key = replica->opts.digest_key;
}

/* Its record was decoded before, into the same memory: this can't fail. */
static void sum_again(struct remed_replica *replica, struct remed_entry *entry)
{
    if (remed_entry_record(entry, replica->scratch) < 0)
        return;
    entry->leaf = (uint16_t)remed_digest_leaf(&replica->digest, entry->bytes, entry->key_length);
    remed_digest_part(&replica->digest, entry->bytes, entry->key_length, replica->scratch,
                      replica->body, entry->as.sum);
    struct remed_digest *leaf = &replica->leaves[entry->leaf];
    leaf->sum[0] += entry->as.sum[0];
    leaf->sum[1] += entry->as.sum[1];
    leaf->count++;
}

int remed_replica_rekey(struct remed_replica *replica, const struct remed_digest_key *key,
                        struct remed_error *error)
{
    const struct remed_digest_key *own = &replica->opts.digest_key;
    if ((key->word[0] | key->word[1]) == 0)
        return remed_error_set(error, REMED_EINVAL, "a digest's key of zeros; draw one");
    if (own->word[0] == key->word[0] && own->word[1] == key->word[1])
        return 0;
    replica->opts.digest_key = *key;
    remed_digest_prepare(&replica->digest, key);
    memset(replica->leaves, 0, sizeof replica->leaves);
    for (size_t i = 0; i < replica->bucket_count; i++)
        for (struct remed_entry *entry = replica->buckets[i]; entry != NULL; entry = entry->chain)
            if (entry->wire_length != 0)
                sum_again(replica, entry);
    return 0;
}
