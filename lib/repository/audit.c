/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Audits: leaf by leaf by digest, entry by entry where a digest differs. Where the two replicas'
 * digests have different keys, the second one's are made anew by the first one's key, in a pass
 * over its table; the replica itself stays as it is.
 *
 * Threads: reads only.
 */
#include "repository/replica.h"
#include "state/compare.h"

struct comparison {
    const struct remed_replica *a, *b;
    struct remed_record *of_a, *of_b;
    struct remed_digest *summed; /* b's leaves by a's key; NULL: b has that key itself */
    uint8_t differs[REMED_DIGEST_LEAVES / 8];
    remed_audit_fn difference;
    void *context;
    struct remed_audit audit;
    uint8_t body[REMED_BODY_MAX];
};

static bool is_marked(const struct comparison *comparison, uint32_t leaf)
{
    return (comparison->differs[leaf / 8] >> leaf % 8 & 1) != 0;
}

/* Of the second one's entries, by the first one's key. */
static uint32_t leaf_of_second(const struct comparison *comparison, const struct remed_entry *entry)
{
    return comparison->summed == NULL
               ? entry->leaf
               : remed_digest_leaf(&comparison->a->digest, entry->bytes, entry->key_length);
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
    uint32_t hash = remed_table_hash(replica, entry->bytes, entry->key_length);
    const struct remed_entry *at =
        *remed_table_find(replica, hash, entry->bytes, entry->key_length);
    return at != NULL && at->wire_length != 0 ? at : NULL;
}

static int compare_bodies(struct comparison *comparison, const struct remed_entry *a,
                          const struct remed_entry *b)
{
    char fields[160];
    bool comparable = comparison->summed == NULL;
    if (comparable && a->as.sum[0] == b->as.sum[0] && a->as.sum[1] == b->as.sum[1])
        return 0;
    if (remed_entry_record(a, comparison->of_a) < 0 || remed_entry_record(b, comparison->of_b) < 0)
        return REMED_ENOMEM;
    remed_body_differences(comparison->of_a, comparison->of_b, fields, sizeof fields);
    if (fields[0] == '\0')
        return 0;
    bool stale = remed_record_compare(comparison->of_b, comparison->of_a) < 0;
    tell(comparison, stale ? REMED_DIFFERENCE_STALE : REMED_DIFFERENCE_FIELD, comparison->of_a,
         comparison->of_b, fields);
    return 0;
}

static int compare_entry(struct comparison *comparison, const struct remed_entry *a)
{
    const struct remed_entry *b = twin(comparison->b, a);
    if (b != NULL)
        return compare_bodies(comparison, a, b);
    if (remed_entry_record(a, comparison->of_a) < 0)
        return REMED_ENOMEM;
    tell(comparison, REMED_DIFFERENCE_MISSING, comparison->of_a, NULL, "");
    return 0;
}

static int find_extra(struct comparison *comparison, const struct remed_entry *b)
{
    if (twin(comparison->a, b) != NULL)
        return 0;
    if (remed_entry_record(b, comparison->of_b) < 0)
        return REMED_ENOMEM;
    tell(comparison, REMED_DIFFERENCE_EXTRA, NULL, comparison->of_b, "");
    return 0;
}

static int compare_leaves(struct comparison *comparison)
{
    const struct remed_replica *a = comparison->a, *b = comparison->b;
    const struct remed_entry *entry;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < a->bucket_count; i++)
        for (entry = a->buckets[i]; rc == 0 && entry != NULL; entry = entry->chain)
            if (entry->wire_length != 0 && is_marked(comparison, entry->leaf))
                rc = compare_entry(comparison, entry);
    for (size_t i = 0; rc == 0 && i < b->bucket_count; i++)
        for (entry = b->buckets[i]; rc == 0 && entry != NULL; entry = entry->chain)
            if (entry->wire_length != 0 && is_marked(comparison, leaf_of_second(comparison, entry)))
                rc = find_extra(comparison, entry);
    return rc;
}

static int sum_entry(struct comparison *comparison, const struct remed_entry *entry)
{
    const struct remed_digest_secret *secret = &comparison->a->digest;
    uint64_t sum[2];
    if (remed_entry_record(entry, comparison->of_b) < 0)
        return REMED_ENOMEM;
    remed_digest_part(secret, entry->bytes, entry->key_length, comparison->of_b, comparison->body,
                      sum);
    struct remed_digest *leaf =
        &comparison->summed[remed_digest_leaf(secret, entry->bytes, entry->key_length)];
    leaf->sum[0] += sum[0];
    leaf->sum[1] += sum[1];
    leaf->count++;
    return 0;
}

/* The second one's leaves by the first one's key. */
static int sum_second(struct comparison *comparison)
{
    const struct remed_replica *a = comparison->a, *b = comparison->b;
    struct remed_digest_key keys[2];
    int rc = 0;
    remed_replica_digest_key(a, &keys[0]);
    remed_replica_digest_key(b, &keys[1]);
    if (keys[0].word[0] == keys[1].word[0] && keys[0].word[1] == keys[1].word[1])
        return 0;
    comparison->summed =
        remed_allocate(&a->allocator, REMED_DIGEST_LEAVES * sizeof *comparison->summed);
    if (comparison->summed == NULL)
        return REMED_ENOMEM;
    for (size_t i = 0; rc == 0 && i < b->bucket_count; i++)
        for (const struct remed_entry *entry = b->buckets[i]; rc == 0 && entry != NULL;
             entry = entry->chain)
            if (entry->wire_length != 0)
                rc = sum_entry(comparison, entry);
    return rc;
}

static void mark_leaves(struct comparison *comparison)
{
    const struct remed_digest *first = comparison->a->leaves, *second = comparison->summed;
    if (second == NULL)
        second = comparison->b->leaves;
    for (uint32_t leaf = 0; leaf < REMED_DIGEST_LEAVES; leaf++) {
        const struct remed_digest *a = &first[leaf], *b = &second[leaf];
        if (a->sum[0] == b->sum[0] && a->sum[1] == b->sum[1] && a->count == b->count)
            continue;
        comparison->differs[leaf / 8] |= (uint8_t)(1u << leaf % 8);
        comparison->audit.leaves++;
    }
}

static int compare(struct comparison *comparison)
{
    const struct remed_allocator *allocator = &comparison->a->allocator;
    int rc = remed_record_new(&comparison->of_a, allocator);
    if (rc == 0)
        rc = remed_record_new(&comparison->of_b, allocator);
    if (rc == 0)
        rc = sum_second(comparison);
    if (rc < 0)
        return rc;
    mark_leaves(comparison);
    return comparison->audit.leaves > 0 ? compare_leaves(comparison) : 0;
}

int remed_replica_audit(const struct remed_replica *a, const struct remed_replica *b,
                        remed_audit_fn difference, void *context, struct remed_audit *audit,
                        size_t size)
{
    struct comparison *comparison = remed_allocate(&a->allocator, sizeof *comparison);
    if (comparison == NULL)
        return REMED_ENOMEM;
    comparison->a = a;
    comparison->b = b;
    comparison->difference = difference;
    comparison->context = context;
    comparison->audit.entries[0] = a->stats.entries;
    comparison->audit.entries[1] = b->stats.entries;
    int rc = compare(comparison);
    const uint64_t *differences = comparison->audit.differences;
    comparison->audit.equal = a->stats.entries - differences[REMED_DIFFERENCE_MISSING] -
                              differences[REMED_DIFFERENCE_STALE] -
                              differences[REMED_DIFFERENCE_FIELD];
    if (rc == 0)
        rc = differences[0] + differences[1] + differences[2] + differences[3] != 0;
    remed_stats_copy(audit, size, &comparison->audit, sizeof comparison->audit);
    remed_record_free(comparison->of_a);
    remed_record_free(comparison->of_b);
    remed_release(&a->allocator, comparison->summed,
                  REMED_DIGEST_LEAVES * sizeof *comparison->summed);
    remed_release(&a->allocator, comparison, sizeof *comparison);
    return rc;
}
