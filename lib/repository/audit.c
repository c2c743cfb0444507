/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Digests and audits. A leaf's digest is the sum of its entries' hashes, so it follows every change
 * at the cost of that change, and does not depend on the order. Two 64-bit sums by different
 * secrets: two tables that differ are taken for equal once in 2^128, unless someone makes them so
 * on purpose; the audit is for operators, not against forgers (those are what signing is for).
 *
 * Threads: reads only.
 */
#include "repository/replica.h"
#include "state/compare.h"

#include "base/hash.h"

static const uint64_t leaf_secret[2] = {0x2545f4914f6cdd1dull, 0x9fb21c651e98df25ull};
static const uint64_t sum_secret[2][2] = {{0xd6e8feb86659fd93ull, 0xa0761d6478bd642full},
                                          {0xe7037ed1a0b428dbull, 0x8ebc6af09c88c6e3ull}};

uint32_t remed_replica_leaf(const uint8_t *key, size_t length)
{
    return (uint32_t)(remed_hash_bytes(key, length, leaf_secret) % REMED_DIGEST_LEAVES);
}

void remed_digest_part(const uint8_t *key, size_t key_length, const struct remed_record *record,
                       uint64_t sum[2])
{
    uint8_t small[512];
    size_t length = remed_body_write(record, small, sizeof small);
    bool fits = length <= sizeof small;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t hash = remed_hash_bytes(key, key_length, sum_secret[i]);
        if (fits) {
            hash = remed_hash_words(hash, remed_hash_bytes(small, length, sum_secret[i]),
                                    sum_secret[i]);
        } else { /* a long body: its parts */
            hash = remed_hash_words(
                hash,
                remed_hash_bytes(record->blob[0].bytes, record->blob[0].length, sum_secret[i]),
                sum_secret[i]);
            hash = remed_hash_words(
                hash,
                remed_hash_bytes(record->blob[1].bytes, record->blob[1].length, sum_secret[i]),
                sum_secret[i]);
            hash = remed_hash_words(
                hash, record->kind == REMED_KIND_FLOW_RULE ? record->body.flow_rule.cookie : 0,
                sum_secret[i]);
            hash = remed_hash_words(hash,
                                    remed_hash_bytes(record->body_extra.raw.bytes,
                                                     record->body_extra.raw.length, sum_secret[i]),
                                    sum_secret[i]);
        }
        sum[i] = remed_hash_finish(hash);
    }
}

void remed_replica_digest(const struct remed_replica *replica, uint32_t leaf,
                          struct remed_digest *digest)
{
    *digest = replica->leaves[leaf % REMED_DIGEST_LEAVES];
}

struct comparison {
    const struct remed_replica *a, *b;
    struct remed_record *of_a, *of_b;
    uint8_t differs[REMED_DIGEST_LEAVES / 8];
    remed_audit_fn difference;
    void *context;
    struct remed_audit audit;
};

static bool is_marked(const struct comparison *comparison, uint32_t leaf)
{
    return (comparison->differs[leaf / 8] >> leaf % 8 & 1) != 0;
}

static void tell(struct comparison *comparison, enum remed_difference what,
                 const struct remed_record *a, const struct remed_record *b, const char *fields)
{
    comparison->audit.differences[what]++;
    if (comparison->difference != NULL)
        comparison->difference(comparison->context, what, a, b, fields);
}

static const struct remed_entry *twin(const struct remed_replica *replica,
                                      const struct remed_entry *entry)
{
    uint64_t hash = remed_hash_bytes(entry->bytes, entry->key_length, replica->secret);
    const struct remed_entry *at = replica->buckets[hash & (replica->bucket_count - 1)];
    while (at != NULL && (at->hash != hash || at->key_length != entry->key_length ||
                          memcmp(at->bytes, entry->bytes, entry->key_length) != 0))
        at = at->chain;
    return at != NULL && at->wire_length != 0 ? at : NULL;
}

static bool same_body(const struct remed_entry *a, const struct remed_entry *b)
{
    return a->as.sum[0] == b->as.sum[0] && a->as.sum[1] == b->as.sum[1];
}

static int compare_entry(struct comparison *comparison, const struct remed_entry *a)
{
    char fields[160];
    const struct remed_entry *b = twin(comparison->b, a);
    if (b != NULL && same_body(a, b))
        return 0;
    if (remed_entry_record(a, comparison->of_a) < 0 ||
        (b != NULL && remed_entry_record(b, comparison->of_b) < 0))
        return REMED_ENOMEM;
    if (b == NULL) {
        tell(comparison, REMED_DIFFERENCE_MISSING, comparison->of_a, NULL, "");
        return 0;
    }
    remed_body_differences(comparison->of_a, comparison->of_b, fields, sizeof fields);
    bool stale = remed_record_compare(comparison->of_b, comparison->of_a) < 0;
    tell(comparison, stale ? REMED_DIFFERENCE_STALE : REMED_DIFFERENCE_FIELD, comparison->of_a,
         comparison->of_b, fields);
    return 0;
}

static int compare_leaves(struct comparison *comparison)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < comparison->a->bucket_count; i++)
        for (const struct remed_entry *entry = comparison->a->buckets[i]; rc == 0 && entry != NULL;
             entry = entry->chain)
            if (entry->wire_length != 0 && is_marked(comparison, entry->leaf))
                rc = compare_entry(comparison, entry);
    for (size_t i = 0; rc == 0 && i < comparison->b->bucket_count; i++)
        for (const struct remed_entry *entry = comparison->b->buckets[i]; rc == 0 && entry != NULL;
             entry = entry->chain) {
            if (entry->wire_length == 0 || !is_marked(comparison, entry->leaf) ||
                twin(comparison->a, entry) != NULL)
                continue;
            if (remed_entry_record(entry, comparison->of_b) < 0)
                rc = REMED_ENOMEM;
            else
                tell(comparison, REMED_DIFFERENCE_EXTRA, NULL, comparison->of_b, "");
        }
    return rc;
}

static void mark_leaves(struct comparison *comparison)
{
    for (uint32_t leaf = 0; leaf < REMED_DIGEST_LEAVES; leaf++) {
        const struct remed_digest *a = &comparison->a->leaves[leaf];
        const struct remed_digest *b = &comparison->b->leaves[leaf];
        if (a->sum[0] == b->sum[0] && a->sum[1] == b->sum[1] && a->count == b->count)
            continue;
        comparison->differs[leaf / 8] |= (uint8_t)(1u << leaf % 8);
        comparison->audit.leaves++;
    }
}

int remed_replica_audit(const struct remed_replica *a, const struct remed_replica *b,
                        remed_audit_fn difference, void *context, struct remed_audit *audit,
                        size_t size)
{
    struct comparison comparison = {.a = a, .b = b, .difference = difference, .context = context};
    mark_leaves(&comparison);
    comparison.audit.entries[0] = a->stats.entries;
    comparison.audit.entries[1] = b->stats.entries;
    int rc = remed_record_new(&comparison.of_a, &a->allocator);
    if (rc == 0)
        rc = remed_record_new(&comparison.of_b, &a->allocator);
    if (rc == 0 && comparison.audit.leaves > 0)
        rc = compare_leaves(&comparison);
    remed_record_free(comparison.of_a);
    remed_record_free(comparison.of_b);
    const uint64_t *differences = comparison.audit.differences;
    comparison.audit.equal = a->stats.entries - differences[REMED_DIFFERENCE_MISSING] -
                             differences[REMED_DIFFERENCE_STALE] -
                             differences[REMED_DIFFERENCE_FIELD];
    remed_stats_copy(audit, size, &comparison.audit, sizeof comparison.audit);
    if (rc < 0)
        return rc;
    return differences[0] + differences[1] + differences[2] + differences[3] != 0;
}
