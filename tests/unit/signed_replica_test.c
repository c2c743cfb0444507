/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A replica that asks for signatures: what it takes, what it refuses and counts, and that what was
 * refused changes nothing; a replica that does not ask takes signed records as they are.
 */
#include "unit/test.h"

#include <remediate/crypto.h>
#include <remediate/publisher.h>
#include <remediate/repository.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OLD_KEY 1u
#define NEW_KEY 2u
#define SIGN_NOT 0u

static const uint8_t old_secret[32] = {1}, new_secret[32] = {2}, strange_secret[32] = {3};

static struct remed_keyring *keyring, *strange;
static struct remed_replica *replica, *plain;
static struct remed_record *record;
static struct remed_mac mac;
static struct remed_error error;

/* One value as a transport would bring it. */
struct value {
    uint8_t key[REMED_KEY_MAX], bytes[512];
    size_t key_length, length;
};

static struct remed_replica *make(const struct remed_mac *asked, const char *domain)
{
    struct remed_replica *made = NULL;
    struct remed_replica_opts opts;
    remed_replica_opts_init(&opts, sizeof opts);
    opts.max_entries = 1000;
    opts.mac = asked;
    opts.domain = domain;
    CU_ASSERT_EQUAL_FATAL(remed_replica_new(&made, &opts, &error), 0);
    return made;
}

static void setup(void)
{
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&record, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(remed_keyring_new(&keyring, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(remed_keyring_new(&strange, NULL), 0);
    CU_ASSERT_EQUAL(remed_keyring_add(keyring, OLD_KEY, old_secret, 32, NULL), 0);
    CU_ASSERT_EQUAL(remed_keyring_add(strange, OLD_KEY, strange_secret, 32, NULL), 0);
    remed_keyring_mac(keyring, &mac, sizeof mac);
    replica = make(&mac, NULL);
    plain = make(NULL, NULL);
}

static void teardown(void)
{
    remed_replica_free(replica);
    remed_replica_free(plain);
    remed_keyring_free(keyring);
    remed_keyring_free(strange);
    remed_record_free(record);
}

static void sign_with(const struct remed_keyring *with, struct value *value, uint32_t key_id)
{
    struct remed_mac own;
    remed_keyring_mac(with, &own, sizeof own);
    CU_ASSERT_EQUAL(remed_record_sign(&own, key_id, value->key, value->key_length, value->bytes,
                                      sizeof value->bytes, &value->length, &error),
                    0);
}

/* A counter's value at `sequence`. */
static struct value make_value(const char *domain, const char *name, unsigned op, uint64_t sequence,
                               uint32_t key_id)
{
    struct value value;
    struct remed_record_head head;
    struct remed_counter body = {.value = sequence};
    remed_record_head_init(&head, sizeof head);
    head.domain = domain;
    head.op = op;
    head.epoch = 5;
    head.sequence = sequence;
    snprintf(body.name, sizeof body.name, "%s", name);
    CU_ASSERT_EQUAL(remed_record_set_head(record, &head, &error), 0);
    CU_ASSERT_EQUAL(remed_record_set_body(record, REMED_KIND_COUNTER, &body, sizeof body, &error),
                    0);
    CU_ASSERT_EQUAL(remed_record_encode(record, value.bytes, sizeof value.bytes, &value.length), 0);
    value.key_length = remed_record_key(record, value.key, sizeof value.key);
    if (key_id != SIGN_NOT)
        sign_with(keyring, &value, key_id);
    return value;
}

static int apply(struct remed_replica *to, const struct value *value)
{
    memset(&error, 0, sizeof error);
    int rc = remed_replica_apply(to, value->key, value->key_length, value->bytes, value->length,
                                 100, &error);
    CU_ASSERT_EQUAL(error.code, rc < 0 ? rc : 0);
    return rc;
}

static int apply_empty(struct remed_replica *to, const struct value *of)
{
    struct value empty = *of;
    empty.length = 0;
    return apply(to, &empty);
}

/* The sequence of an entry; 0 without one. */
static uint64_t held(struct remed_replica *in, const struct value *of)
{
    struct remed_record_head head;
    if (remed_replica_get(in, of->key, of->key_length, record) < 0)
        return 0;
    remed_record_head(record, &head, sizeof head);
    return head.sequence;
}

static void check_counts(uint64_t not_signed, uint64_t unknown_key, uint64_t altered)
{
    struct remed_replica_stats stats;
    remed_replica_stats(replica, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.not_signed, not_signed);
    CU_ASSERT_EQUAL(stats.unknown_key, unknown_key);
    CU_ASSERT_EQUAL(stats.altered, altered);
    CU_ASSERT_EQUAL(stats.damaged, 0);
}

static void test_takes_signed(void)
{
    struct remed_replica_stats stats, plain_stats;
    struct value first = make_value("edge-1", "rx", REMED_OP_UPSERT, 1, OLD_KEY);
    struct value bare = make_value("edge-1", "rx", REMED_OP_UPSERT, 1, SIGN_NOT);
    struct value removal = make_value("edge-1", "rx", REMED_OP_REMOVE, 3, OLD_KEY);
    CU_ASSERT_EQUAL(apply(replica, &first), REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(apply(plain, &bare), REMED_APPLIED_NEW);
    remed_replica_stats(replica, &stats, sizeof stats);
    remed_replica_stats(plain, &plain_stats, sizeof plain_stats);
    CU_ASSERT_EQUAL(stats.bytes, plain_stats.bytes); /* the signature is not kept */
    CU_ASSERT_EQUAL(held(replica, &first), 1);
    CU_ASSERT_EQUAL(apply(replica, &removal), REMED_APPLIED_REMOVED);
    CU_ASSERT_EQUAL(apply(replica, &first), REMED_APPLIED_STALE); /* signed, but old */
    remed_replica_fence(replica, 6);
    struct value later = make_value("edge-1", "rx", REMED_OP_UPSERT, 9, OLD_KEY);
    CU_ASSERT_EQUAL(apply(replica, &later), REMED_APPLIED_FENCED);
    check_counts(0, 0, 0);
}

static void test_refuses(void)
{
    struct value good = make_value("edge-1", "rx", REMED_OP_UPSERT, 1, OLD_KEY);
    struct value bare = make_value("edge-1", "rx", REMED_OP_UPSERT, 2, SIGN_NOT);
    struct value bare_removal = make_value("edge-1", "rx", REMED_OP_REMOVE, 3, SIGN_NOT);
    struct value forged = bare, unknown = bare;
    sign_with(strange, &forged, OLD_KEY);
    CU_ASSERT_EQUAL(remed_keyring_add(strange, 9, strange_secret, 32, NULL), 0);
    sign_with(strange, &unknown, 9);
    CU_ASSERT_EQUAL(apply(replica, &good), REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(apply(replica, &bare), REMED_EPERM);
    CU_ASSERT_STRING_EQUAL(error.message, "not signed");
    CU_ASSERT_EQUAL(apply(replica, &bare_removal), REMED_EPERM);
    check_counts(2, 0, 0);
    CU_ASSERT_EQUAL(apply(replica, &unknown), REMED_EPERM);
    CU_ASSERT_STRING_EQUAL(error.message, "key 9 is not held");
    check_counts(2, 1, 0);
    CU_ASSERT_EQUAL(apply(replica, &forged), REMED_EPERM);
    check_counts(2, 1, 1);
    CU_ASSERT_EQUAL(held(replica, &good), 1);
    CU_ASSERT_EQUAL(
        remed_replica_apply(replica, good.key, good.key_length, bare.bytes, bare.length, 100, NULL),
        REMED_EPERM);
}

static void test_every_bit_and_length(void)
{
    struct value first = make_value("edge-1", "rx", REMED_OP_UPSERT, 1, OLD_KEY);
    struct value good = make_value("edge-1", "rx", REMED_OP_UPSERT, 2, OLD_KEY);
    struct remed_replica_stats stats;
    uint64_t refused = 0;
    CU_ASSERT_EQUAL(apply(replica, &first), REMED_APPLIED_NEW);
    for (size_t bit = 0; bit < 8 * good.length; bit++, refused++) {
        struct value flipped = good;
        flipped.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CU_ASSERT_EQUAL(apply(replica, &flipped), REMED_EPERM);
    }
    for (size_t length = 1; length < good.length; length++, refused++) {
        struct value cut = good;
        cut.length = length;
        CU_ASSERT_EQUAL(apply(replica, &cut), REMED_EPERM);
    }
    remed_replica_stats(replica, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.not_signed + stats.unknown_key + stats.altered, refused);
    CU_ASSERT_EQUAL(stats.damaged, 0);
    CU_ASSERT_EQUAL(held(replica, &good), 1);
    CU_ASSERT_EQUAL(apply(replica, &good), REMED_APPLIED_CHANGED);
}

static void test_moved_to_another_key(void)
{
    struct value tx = make_value("edge-1", "tx", REMED_OP_UPSERT, 1, SIGN_NOT);
    struct value moved = make_value("edge-1", "rx", REMED_OP_UPSERT, 1, OLD_KEY);
    memcpy(moved.key, tx.key, tx.key_length);
    CU_ASSERT_EQUAL(apply(replica, &moved), REMED_EPERM);
    check_counts(0, 0, 1);
    CU_ASSERT_EQUAL(held(replica, &tx), 0);
    /* signed for a key that is not the record's: a mistake of the writer's, found all the same */
    struct value wrong = make_value("edge-1", "rx", REMED_OP_UPSERT, 1, SIGN_NOT);
    memcpy(wrong.key, tx.key, tx.key_length);
    sign_with(keyring, &wrong, OLD_KEY);
    CU_ASSERT_EQUAL(apply(replica, &wrong), REMED_EFORMAT);
    CU_ASSERT_EQUAL(held(replica, &tx), 0);
}

/* A value of edge-1 in a repository of edge-2: as it is, under a key of edge-2, and rewritten. */
static void test_moved_to_another_domain(void)
{
    remed_replica_free(replica);
    replica = make(&mac, "edge-2");
    struct value here = make_value("edge-2", "rx", REMED_OP_UPSERT, 1, SIGN_NOT);
    struct value moved = make_value("edge-1", "rx", REMED_OP_UPSERT, 1, OLD_KEY);
    CU_ASSERT_EQUAL(apply(replica, &moved), REMED_APPLIED_FOREIGN);
    memcpy(moved.key, here.key, here.key_length);
    CU_ASSERT_EQUAL(apply(replica, &moved), REMED_EPERM);
    memcpy(moved.bytes, here.bytes, here.length);
    CU_ASSERT_EQUAL(apply(replica, &moved), REMED_EPERM);
    check_counts(0, 0, 2);
    CU_ASSERT_EQUAL(held(replica, &here), 0);
    sign_with(keyring, &here, OLD_KEY);
    CU_ASSERT_EQUAL(apply(replica, &here), REMED_APPLIED_NEW);
}

static void test_removal_by_the_transport(void)
{
    struct value entry = make_value("edge-1", "rx", REMED_OP_UPSERT, 1, OLD_KEY);
    struct value removal = make_value("edge-1", "rx", REMED_OP_REMOVE, 2, OLD_KEY);
    CU_ASSERT_EQUAL(apply_empty(replica, &entry), REMED_APPLIED_STALE); /* nothing to take away */
    CU_ASSERT_EQUAL(apply(replica, &entry), REMED_APPLIED_NEW);
    check_counts(0, 0, 0);
    CU_ASSERT_EQUAL(apply_empty(replica, &entry), REMED_EPERM);
    check_counts(1, 0, 0);
    CU_ASSERT_EQUAL(held(replica, &entry), 1);
    CU_ASSERT_EQUAL(apply(replica, &removal), REMED_APPLIED_REMOVED);
    CU_ASSERT_EQUAL(apply_empty(replica, &entry), REMED_APPLIED_STALE);
    CU_ASSERT_EQUAL(apply(replica, &entry), REMED_APPLIED_STALE); /* the mark is still there */
    check_counts(1, 0, 0);
    CU_ASSERT_EQUAL(apply(plain, &entry), REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(apply_empty(plain, &entry), REMED_APPLIED_REMOVED);
}

static void test_rotation(void)
{
    struct value old = make_value("edge-1", "rx", REMED_OP_UPSERT, 1, OLD_KEY);
    CU_ASSERT_EQUAL(apply(replica, &old), REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(remed_keyring_add(keyring, NEW_KEY, new_secret, 32, NULL), 0);
    CU_ASSERT_EQUAL(remed_keyring_signer(keyring), NEW_KEY);
    struct value new = make_value("edge-1", "rx", REMED_OP_UPSERT, 2, NEW_KEY);
    struct value late = make_value("edge-1", "tx", REMED_OP_UPSERT, 3, OLD_KEY);
    CU_ASSERT_EQUAL(apply(replica, &new), REMED_APPLIED_CHANGED);
    CU_ASSERT_EQUAL(apply(replica, &late), REMED_APPLIED_NEW);
    struct value later = make_value("edge-1", "tx", REMED_OP_UPSERT, 4, OLD_KEY);
    CU_ASSERT_EQUAL(remed_keyring_remove(keyring, OLD_KEY), 0);
    CU_ASSERT_EQUAL(apply(replica, &later), REMED_EPERM);
    check_counts(0, 1, 0);
    struct value newer = make_value("edge-1", "tx", REMED_OP_UPSERT, 5, NEW_KEY);
    CU_ASSERT_EQUAL(apply(replica, &newer), REMED_APPLIED_CHANGED);
}

static void test_without_a_mac(void)
{
    struct remed_audit audit;
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", i);
        struct value value =
            make_value("edge-1", name, REMED_OP_UPSERT, i + 1, i % 2 ? OLD_KEY : SIGN_NOT);
        CU_ASSERT_EQUAL(apply(plain, &value), REMED_APPLIED_NEW);
        if (i % 2 == 0)
            sign_with(keyring, &value, OLD_KEY);
        CU_ASSERT_EQUAL(apply(replica, &value), REMED_APPLIED_NEW);
    }
    CU_ASSERT_EQUAL(remed_replica_audit(plain, replica, NULL, NULL, &audit, sizeof audit), 0);
    CU_ASSERT_EQUAL(audit.equal, 100);
    struct value cut = make_value("edge-1", "rx", REMED_OP_UPSERT, 1, OLD_KEY);
    cut.length--;
    CU_ASSERT(apply(plain, &cut) < 0);
}

static void on_message(void *context, const struct remed_message *message)
{
    int *applied = context;
    *applied += remed_replica_apply_message(replica, message, 100, &error) >= 0;
}

static int publish(struct remed_publisher *publisher, const char *name)
{
    struct remed_record *const records[] = {record};
    (void)make_value("edge-1", name, REMED_OP_UPSERT, 1, SIGN_NOT);
    return remed_publisher_publish(publisher, records, 1, 1, &error);
}

/* From a publisher that signs, whose key changes, through a transport. */
static void test_publisher(void)
{
    int applied = 0;
    struct remed_publisher *publisher = NULL;
    struct remed_transport_opts transport;
    struct remed_publisher_opts opts;
    remed_transport_opts_init(&transport, sizeof transport);
    remed_publisher_opts_init(&opts, sizeof opts);
    transport.events = (struct remed_transport_events){.context = &applied, .message = on_message};
    opts.mac = &mac;
    opts.key_id = OLD_KEY;
    CU_ASSERT_EQUAL_FATAL(remed_publisher_new(&publisher, "memory:", &transport, &opts, &error), 0);
    CU_ASSERT_EQUAL(publish(publisher, "a"), 1);
    remed_publisher_sign_with(publisher, NEW_KEY);
    CU_ASSERT_EQUAL(publish(publisher, "b"), REMED_ENOENT);
    CU_ASSERT_EQUAL(remed_keyring_add(keyring, NEW_KEY, new_secret, 32, NULL), 0);
    CU_ASSERT_EQUAL(publish(publisher, "b"), 1);
    CU_ASSERT_EQUAL(remed_keyring_remove(keyring, OLD_KEY), 0);
    CU_ASSERT_EQUAL(
        remed_transport_subscribe(remed_publisher_transport(publisher), "begin", &error), 0);
    for (uint64_t i = 0; i < 10; i++)
        CU_ASSERT(remed_publisher_process(publisher, i, &error) >= 0);
    CU_ASSERT_EQUAL(applied, 1);
    check_counts(0, 1, 0); /* a is of a key that is gone */
    struct value b = make_value("edge-1", "b", REMED_OP_UPSERT, 1, SIGN_NOT);
    CU_ASSERT_EQUAL(held(replica, &b), 1);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    mac.compute = NULL;
    CU_ASSERT_EQUAL(remed_publisher_new(&publisher, "memory:", &transport, &opts, &error),
                    REMED_EINVAL);
}

/* What a replica saves has no signatures: they were checked. */
static void test_snapshot(void)
{
    char path[64], position[16];
    struct remed_audit audit;
    struct value kept = make_value("edge-1", "rx", REMED_OP_UPSERT, 1, OLD_KEY);
    struct value late = make_value("edge-1", "tx", REMED_OP_UPSERT, 1, OLD_KEY);
    struct value gone = make_value("edge-1", "tx", REMED_OP_REMOVE, 2, OLD_KEY);
    struct remed_replica *loaded = make(&mac, NULL);
    snprintf(path, sizeof path, "/tmp/remediate-signed-%ld", (long)getpid());
    CU_ASSERT_EQUAL(apply(replica, &kept), REMED_APPLIED_NEW);
    CU_ASSERT_EQUAL(apply(replica, &gone), REMED_APPLIED_REMOVED);
    CU_ASSERT_EQUAL(remed_replica_save(replica, path, "7", &error), 0);
    CU_ASSERT_EQUAL(remed_replica_load(loaded, path, position, sizeof position, 100, &error), 0);
    CU_ASSERT_STRING_EQUAL(position, "7");
    CU_ASSERT_EQUAL(remed_replica_audit(replica, loaded, NULL, NULL, &audit, sizeof audit), 0);
    CU_ASSERT_EQUAL(audit.equal, 1);
    CU_ASSERT_EQUAL(apply(loaded, &late), REMED_APPLIED_STALE);
    remed_replica_free(loaded);
    unlink(path);
}

static void test_options(void)
{
    struct remed_replica *none = NULL;
    struct remed_replica_opts opts;
    struct value good = make_value("edge-1", "rx", REMED_OP_UPSERT, 1, OLD_KEY);
    CU_ASSERT_EQUAL(remed_replica_apply(replica, NULL, 0, good.bytes, good.length, 100, &error),
                    REMED_EINVAL);
    CU_ASSERT_EQUAL(remed_replica_apply(plain, NULL, 0, good.bytes, good.length, 100, &error),
                    REMED_APPLIED_NEW);
    remed_replica_opts_init(&opts, sizeof opts);
    CU_ASSERT_PTR_NULL(opts.mac);
    opts.mac = &mac;
    mac.compute = NULL;
    CU_ASSERT_EQUAL(remed_replica_new(&none, &opts, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NULL(none);
    CU_ASSERT_EQUAL(apply(replica, &good), REMED_APPLIED_NEW); /* it was copied */
}

static const struct test_case cases[] = {
    {"takes what is signed", test_takes_signed},
    {"refuses what is not", test_refuses},
    {"every bit and length", test_every_bit_and_length},
    {"moved to another key", test_moved_to_another_key},
    {"moved to another domain", test_moved_to_another_domain},
    {"removal by the transport", test_removal_by_the_transport},
    {"rotation", test_rotation},
    {"without a mac", test_without_a_mac},
    {"a publisher that signs", test_publisher},
    {"snapshot files", test_snapshot},
    {"options", test_options},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"signed replica", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
