/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys that a stranger chose so that they collide by any secret that could be known: they cost what
 * other keys cost, in the buckets, in the leaves and in the sums. And digests by keys: the same key
 * makes the same digest on every machine, another key another one, and an audit finds what differs
 * by whatever keys the two have.
 */
#include "base/hash.h"
#include "repository/replica.h"
#include "unit/test.h"

#include <stdio.h>
#include <string.h>

#define COUNT 20000u

static struct remed_replica *replica, *other;
static struct remed_record *record;
static struct remed_error error;

static struct remed_replica *make(const struct remed_digest_key *key,
                                  const struct remed_entropy *entropy)
{
    struct remed_replica *made = NULL;
    struct remed_replica_opts opts;
    remed_replica_opts_init(&opts, sizeof opts);
    opts.max_entries = 1u << 15;
    opts.entropy = entropy;
    if (key != NULL)
        opts.digest_key = *key;
    CU_ASSERT_EQUAL_FATAL(remed_replica_new(&made, &opts, &error), 0);
    return made;
}

static void setup(void)
{
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&record, NULL), 0);
    replica = make(NULL, NULL);
    other = make(NULL, NULL);
}

static void teardown(void)
{
    remed_record_free(record);
    remed_replica_free(replica);
    remed_replica_free(other);
    record = NULL;
    replica = other = NULL;
}

static void put_opaque(struct remed_replica *to, const uint8_t *key, size_t key_length,
                       const uint8_t *data, size_t data_length)
{
    struct remed_record_head head;
    struct remed_opaque body = {.key = key,
                                .key_length = (uint32_t)key_length,
                                .data = data,
                                .data_length = (uint32_t)data_length};
    remed_record_head_init(&head, sizeof head);
    head.domain = "d";
    head.sequence = 1;
    CU_ASSERT_EQUAL_FATAL(remed_record_set_head(record, &head, &error), 0);
    CU_ASSERT_EQUAL_FATAL(
        remed_record_set_body(record, REMED_KIND_OPAQUE, &body, sizeof body, &error), 0);
    CU_ASSERT_EQUAL_FATAL(remed_replica_apply_record(to, record, 1, &error), REMED_APPLIED_NEW);
}

static void store_little(uint8_t *to, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

/* Canonical keys are "d", 0, the kind, and then what the stranger chose: 29 bytes that make it two
 * whole blocks of the hash. A first word of the second block that equals what the secret and the
 * first block make of it has all products of that block zero, whatever the second word is. */
static void choose(uint8_t chosen[29], const uint64_t secret[2], uint32_t number)
{
    uint8_t whole[32] = {'d', 0, REMED_KIND_OPAQUE, 'x'};
    uint64_t hash = 32 * REMED_HASH_C1;
    hash =
        remed_hash_words(remed_load64_little(whole) ^ hash, remed_load64_little(whole + 8), secret);
    store_little(whole + 16, hash ^ secret[0]);
    store_little(whole + 24, number * 0x9e3779b97f4a7c15ull);
    memcpy(chosen, whole + 3, 29);
    CU_ASSERT_EQUAL(remed_hash_bytes(whole, sizeof whole, secret), 0);
}

/* Steps to find each entry, in all, and the most in a leaf. */
static uint64_t probes_of(const struct remed_replica *of, uint64_t *most_in_leaf)
{
    uint64_t probes = 0;
    for (size_t i = 0; i < of->bucket_count; i++) {
        uint64_t depth = 0;
        for (const struct remed_entry *at = of->buckets[i]; at != NULL; at = at->chain)
            probes += ++depth;
    }
    *most_in_leaf = 0;
    for (uint32_t leaf = 0; leaf < REMED_DIGEST_LEAVES; leaf++)
        if (of->leaves[leaf].count > *most_in_leaf)
            *most_in_leaf = of->leaves[leaf].count;
    return probes;
}

static void collide(const uint64_t secret[2])
{
    uint8_t chosen[29], random[29];
    uint64_t leaf[2], state = 1;
    remed_replica_free(replica);
    remed_replica_free(other);
    replica = make(NULL, NULL);
    other = make(NULL, NULL);
    for (uint32_t i = 0; i < COUNT; i++) {
        choose(chosen, secret, i);
        put_opaque(replica, chosen, sizeof chosen, NULL, 0);
        for (unsigned j = 0; j < sizeof random; j++) {
            state = state * 6364136223846793005ull + 1442695040888963407ull;
            random[j] = (uint8_t)(state >> 56);
        }
        put_opaque(other, random, sizeof random, NULL, 0);
    }
    uint64_t attacked = probes_of(replica, &leaf[0]), usual = probes_of(other, &leaf[1]);
    CU_ASSERT(usual < 2 * COUNT);
    CU_ASSERT(attacked < usual + usual / 5);
    CU_ASSERT(leaf[0] < 30 && leaf[1] < 30);
}

/* By the secret that a seed of zeros would make, by the plain zeros, and by all that the digest
 * used to have. */
static void chosen_keys(void)
{
    static const uint64_t known[][2] = {{REMED_HASH_C0, REMED_HASH_C1},
                                        {0, 0},
                                        {0x2545f4914f6cdd1dull, 0x9fb21c651e98df25ull},
                                        {0xd6e8feb86659fd93ull, 0xa0761d6478bd642full},
                                        {0xe7037ed1a0b428dbull, 0x8ebc6af09c88c6e3ull}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        collide(known[i]);
}

/* The attack is a real one: on a replica whose secret is known it takes what a list would take. */
static void attack_itself(void)
{
    static const uint64_t secret[2] = {1 ^ REMED_HASH_C0, REMED_HASH_C1};
    struct remed_replica_opts opts;
    uint8_t chosen[29];
    uint64_t leaf;
    remed_replica_free(replica);
    remed_replica_opts_init(&opts, sizeof opts);
    opts.seed[0] = 1;
    CU_ASSERT_EQUAL_FATAL(remed_replica_new(&replica, &opts, &error), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        choose(chosen, secret, i);
        put_opaque(replica, chosen, sizeof chosen, NULL, 0);
    }
    CU_ASSERT_EQUAL(probes_of(replica, &leaf), 1000 * 1001 / 2);
}

static bool same_digest(const struct remed_replica *a, const struct remed_replica *b)
{
    struct remed_digest digests[2];
    bool same = true;
    for (uint32_t leaf = 0; leaf < REMED_DIGEST_LEAVES; leaf++) {
        remed_replica_digest(a, leaf, &digests[0]);
        remed_replica_digest(b, leaf, &digests[1]);
        same = same && digests[0].sum[0] == digests[1].sum[0] &&
               digests[0].sum[1] == digests[1].sum[1] && digests[0].count == digests[1].count;
    }
    return same;
}

/* Bodies that make the old sums collide make two tables that differ; now it is seen. */
static void chosen_bodies(void)
{
    static const uint64_t secret[2] = {0xd6e8feb86659fd93ull, 0xa0761d6478bd642full};
    struct remed_digest_key key;
    remed_replica_digest_key(replica, &key);
    CU_ASSERT_EQUAL(remed_replica_rekey(other, &key, &error), 0);
    for (uint32_t i = 0; i < 100; i++) {
        uint8_t chosen[29], again[29];
        choose(chosen, secret, i);
        choose(again, secret, i + 1000);
        put_opaque(replica, chosen, sizeof chosen, chosen, sizeof chosen);
        put_opaque(other, chosen, sizeof chosen, again, sizeof again);
    }
    CU_ASSERT_FALSE(same_digest(replica, other));
    struct remed_audit audit;
    CU_ASSERT_EQUAL(remed_replica_audit(replica, other, NULL, NULL, &audit, sizeof audit), 1);
    CU_ASSERT_EQUAL(audit.differences[REMED_DIFFERENCE_FIELD], 100);
}

static void put_number(struct remed_replica *to, uint32_t number, uint8_t data)
{
    uint8_t key[5] = {'k', (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number, 0};
    put_opaque(to, key, sizeof key, &data, 1);
}

static void keys(void)
{
    struct remed_digest_key key, zeros = {{0, 0}};
    uint64_t moved = 0;
    for (uint32_t i = 0; i < 3000; i++) {
        put_number(replica, i, 1);
        put_number(other, 2999 - i, 1);
    }
    CU_ASSERT_FALSE(same_digest(replica, other)); /* each drew its own */
    for (uint32_t i = 0; i < 3000; i++) {
        uint8_t of[3] = {(uint8_t)i, (uint8_t)(i >> 8), 1};
        moved += remed_replica_leaf(replica, of, 3) != remed_replica_leaf(other, of, 3);
    }
    CU_ASSERT(moved > 2900);
    remed_replica_digest_key(replica, &key);
    CU_ASSERT_EQUAL(remed_replica_rekey(other, &zeros, &error), REMED_EINVAL);
    CU_ASSERT_EQUAL(remed_replica_rekey(other, &key, &error), 0);
    CU_ASSERT_TRUE(same_digest(replica, other));
    struct remed_replica *third = make(&key, NULL); /* and one that had it from the beginning */
    for (uint32_t i = 0; i < 3000; i++)
        put_number(third, i, 1);
    CU_ASSERT_TRUE(same_digest(replica, third));
    put_number(third, 5000, 1);
    CU_ASSERT_FALSE(same_digest(replica, third));
    CU_ASSERT_EQUAL(remed_digest_key_draw(&key, NULL, &error), 0);
    CU_ASSERT_EQUAL(remed_replica_rekey(third, &key, &error), 0);
    put_number(replica, 5000, 1);
    CU_ASSERT_EQUAL(remed_replica_rekey(replica, &key, &error), 0);
    CU_ASSERT_TRUE(same_digest(replica, third));
    remed_replica_free(third);
}

/* An audit of two whose digests have other keys: exactly what differs, and neither is changed. */
static void audits_of_any_keys(void)
{
    struct remed_digest_key before, after;
    struct remed_audit audit;
    for (uint32_t i = 0; i < 5000; i++) {
        put_number(replica, i, 1);
        put_number(other, i, i == 77 || i == 78 ? 2 : 1);
    }
    put_number(replica, 6000, 1);
    put_number(other, 6001, 1);
    put_number(other, 6002, 1);
    remed_replica_digest_key(other, &before);
    CU_ASSERT_EQUAL(remed_replica_audit(replica, other, NULL, NULL, &audit, sizeof audit), 1);
    remed_replica_digest_key(other, &after);
    CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof after), 0);
    CU_ASSERT_EQUAL(audit.differences[REMED_DIFFERENCE_MISSING], 1);
    CU_ASSERT_EQUAL(audit.differences[REMED_DIFFERENCE_EXTRA], 2);
    CU_ASSERT_EQUAL(audit.differences[REMED_DIFFERENCE_FIELD], 2);
    CU_ASSERT_EQUAL(audit.equal, 4998);
    CU_ASSERT(audit.leaves <= 5);
}

/* The whole body counts, also behind unknown fields that are long: two that differ in a field alone
 * have other digests. */
static void long_bodies(void)
{
    struct remed_digest_key key;
    uint8_t wire[1024] = {0x98, 1, REMED_KIND_COUNTER << 3, 0xa1, 'd', 0xa0, 1, 1, 1};
    uint8_t *at = wire + 9;
    *at++ = 0x93; /* name, value, and what a later version added: 600 bytes */
    *at++ = 0xa1;
    *at++ = 'n';
    uint8_t *value = at++;
    *at++ = 0xc5;
    *at++ = 600 >> 8;
    *at++ = (uint8_t)600;
    memset(at, 'u', 600);
    size_t length = (size_t)(at - wire) + 600;
    remed_replica_digest_key(replica, &key);
    CU_ASSERT_EQUAL(remed_replica_rekey(other, &key, &error), 0);
    *value = 1;
    CU_ASSERT_EQUAL(remed_replica_apply(replica, NULL, 0, wire, length, 1, &error),
                    REMED_APPLIED_NEW);
    *value = 2;
    CU_ASSERT_EQUAL(remed_replica_apply(other, NULL, 0, wire, length, 1, &error),
                    REMED_APPLIED_NEW);
    CU_ASSERT_FALSE(same_digest(replica, other));
}

static unsigned asked;

static int count_up(void *context, void *bytes, size_t length)
{
    memset(bytes, (int)++asked, length);
    return *(const int *)context;
}

/* Secrets come from the host's source; without random bytes there is no replica. */
static void sources(void)
{
    int failing = 0;
    const struct remed_entropy entropy = {&failing, count_up};
    struct remed_digest_key key;
    struct remed_replica_opts opts;
    remed_replica_free(replica);
    asked = 0;
    replica = make(NULL, &entropy);
    CU_ASSERT_EQUAL(asked, 2);
    CU_ASSERT_EQUAL(remed_digest_key_draw(&key, &entropy, &error), 0);
    CU_ASSERT_EQUAL(asked, 3);
    CU_ASSERT_NOT_EQUAL(replica->secret[0], other->secret[0]);
    failing = 1;
    CU_ASSERT_EQUAL(remed_digest_key_draw(&key, &entropy, &error), REMED_EIO);
    remed_replica_opts_init(&opts, sizeof opts);
    opts.entropy = &entropy;
    struct remed_replica *none = NULL;
    CU_ASSERT_EQUAL(remed_replica_new(&none, &opts, &error), REMED_EIO);
    opts.seed[0] = opts.digest_key.word[0] = 9; /* nothing to draw */
    CU_ASSERT_EQUAL(remed_replica_new(&none, &opts, &error), 0);
    remed_replica_free(none);
}

static const struct test_case cases[] = {
    {"chosen keys cost what others cost", chosen_keys},
    {"with a known secret they would not", attack_itself},
    {"chosen bodies do not look equal", chosen_bodies},
    {"the same key, the same digest", keys},
    {"audits by any keys", audits_of_any_keys},
    {"the whole of a long body counts", long_bodies},
    {"where secrets come from", sources},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"digest", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
