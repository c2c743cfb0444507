/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signatures of records: their form by docs/wire.md, with OpenSSL's one-shot HMAC() and msgpack-c
 * as the oracles; every bit flipped, every length cut; what was signed for something else.
 */
#include "unit/test.h"

#include <msgpack.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <remediate/crypto.h>
#include <stdio.h>
#include <string.h>

#define ID 0x01020304u
#define OTHER_ID 0x01020305u /* a bit away */
#define TWIN_ID 0x01020306u  /* as well, with the secret of ID */

static const uint8_t secret[32] = {1, 2, 3, 4}, other_secret[20] = {9};

static struct remed_keyring *keyring;
static struct remed_record *record;
static struct remed_mac mac;
static struct remed_error error;

static uint8_t value[REMED_SIGNED_MAX], key[REMED_KEY_MAX];
static size_t key_length, record_length, length;

static int verify(const uint8_t *of_key, size_t of_key_length, const uint8_t *bytes, size_t size)
{
    size_t found = 77;
    memset(&error, 0, sizeof error);
    int rc = remed_record_verify(&mac, of_key, of_key_length, bytes, size, &found, &error);
    CU_ASSERT_EQUAL(found, rc == 0 ? size - REMED_SIGNATURE_SIZE : 0);
    CU_ASSERT_EQUAL(error.code, rc);
    CU_ASSERT_EQUAL(error.message[0] == '\0', rc == 0);
    return rc;
}

static int verify_value(void)
{
    return verify(key, key_length, value, length);
}

/* A record of each of two kinds: a counter, or opaque data. */
static void encode(const char *domain, const char *name, const uint8_t *data, uint32_t data_length)
{
    struct remed_record_head head;
    struct remed_counter counter = {.value = 42};
    const struct remed_opaque opaque = {.key = (const uint8_t *)name,
                                        .data = data,
                                        .key_length = (uint32_t)strlen(name),
                                        .data_length = data_length};
    remed_record_head_init(&head, sizeof head);
    head.domain = domain;
    head.epoch = 1;
    head.sequence = 1000;
    snprintf(counter.name, sizeof counter.name, "%s", name);
    CU_ASSERT_EQUAL_FATAL(remed_record_set_head(record, &head, &error), 0);
    int rc =
        data != NULL
            ? remed_record_set_body(record, REMED_KIND_OPAQUE, &opaque, sizeof opaque, &error)
            : remed_record_set_body(record, REMED_KIND_COUNTER, &counter, sizeof counter, &error);
    CU_ASSERT_EQUAL_FATAL(rc, 0);
    CU_ASSERT_EQUAL_FATAL(remed_record_encode(record, value, REMED_RECORD_MAX, &length), 0);
    record_length = length;
    key_length = remed_record_key(record, key, sizeof key);
}

static void sign(uint32_t id)
{
    CU_ASSERT_EQUAL_FATAL(
        remed_record_sign(&mac, id, key, key_length, value, sizeof value, &length, &error), 0);
    CU_ASSERT_EQUAL(length, record_length + REMED_SIGNATURE_SIZE);
}

static void setup(void)
{
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&record, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(remed_keyring_new(&keyring, NULL), 0);
    CU_ASSERT_EQUAL(remed_keyring_add(keyring, ID, secret, sizeof secret, NULL), 0);
    CU_ASSERT_EQUAL(remed_keyring_add(keyring, OTHER_ID, other_secret, sizeof other_secret, NULL),
                    0);
    CU_ASSERT_EQUAL(remed_keyring_add(keyring, TWIN_ID, secret, sizeof secret, NULL), 0);
    remed_keyring_mac(keyring, &mac, sizeof mac);
    encode("edge-1", "rx.bytes", NULL, 0);
}

static void teardown(void)
{
    remed_keyring_free(keyring);
    remed_record_free(record);
    keyring = NULL;
    record = NULL;
}

/* What docs/wire.md says, put together by hand. */
static void test_form(void)
{
    uint8_t text[1024] = "remediate signed record 1", right[EVP_MAX_MD_SIZE];
    const uint8_t head[] = {0xc7, 36, 0x52, 1, 2, 3, 4};
    size_t at = 26;
    memcpy(text + at, head + 3, 4);
    at += 4 + 7;
    text[at++] = (uint8_t)key_length;
    memcpy(text + at, key, key_length);
    memcpy(text + at + key_length, value, record_length);
    at += key_length + record_length;
    sign(ID);
    CU_ASSERT_PTR_NOT_NULL(HMAC(EVP_sha256(), secret, sizeof secret, text, at, right, NULL));
    CU_ASSERT_EQUAL(memcmp(value + record_length, head, sizeof head), 0);
    CU_ASSERT_EQUAL(memcmp(value + record_length + sizeof head, right, 32), 0);
    CU_ASSERT_EQUAL(verify_value(), 0);

    msgpack_unpacked tree;
    size_t offset = record_length;
    msgpack_unpacked_init(&tree);
    CU_ASSERT_EQUAL(msgpack_unpack_next(&tree, (const char *)value, length, &offset),
                    MSGPACK_UNPACK_SUCCESS);
    CU_ASSERT_EQUAL(offset, length);
    CU_ASSERT_EQUAL(tree.data.type, MSGPACK_OBJECT_EXT);
    CU_ASSERT_EQUAL(tree.data.via.ext.type, 0x52);
    CU_ASSERT_EQUAL(tree.data.via.ext.size, 36);
    msgpack_unpacked_destroy(&tree);
}

static void test_every_bit(void)
{
    sign(ID);
    for (size_t bit = 0; bit < 8 * length; bit++) {
        size_t byte = bit / 8;
        int expected = REMED_EPERM;
        value[byte] ^= (uint8_t)(1u << bit % 8);
        if (byte >= record_length && byte < record_length + 3)
            expected = REMED_EFORMAT;
        else if (byte >= record_length + 3 && byte < record_length + 7)
            expected = bit / 2 == 4 * (record_length + 6) ? REMED_EPERM : REMED_ENOENT;
        CU_ASSERT_EQUAL(verify_value(), expected);
        value[byte] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * key_length; bit++) {
        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CU_ASSERT_EQUAL(verify_value(), REMED_EPERM);
        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    CU_ASSERT_EQUAL(verify_value(), 0);
}

static void test_every_length(void)
{
    sign(ID);
    for (size_t cut = 0; cut < length; cut++) {
        CU_ASSERT_EQUAL(verify(key, key_length, value, cut), REMED_EFORMAT);
        CU_ASSERT(verify(key, key_length, value + length - cut, cut) < 0);
    }
    CU_ASSERT_EQUAL(verify(key, key_length, NULL, 0), REMED_EFORMAT);
    for (size_t cut = 0; cut < key_length; cut++)
        CU_ASSERT_EQUAL(verify(key, cut, value, length), REMED_EPERM);
    CU_ASSERT_EQUAL(verify(key, key_length, value, length + 1), REMED_EFORMAT);
}

static void test_splices(void)
{
    uint8_t first[REMED_SIGNATURE_SIZE], longer[sizeof key + sizeof value];
    sign(ID);
    memcpy(first, value + record_length, sizeof first);
    /* one byte from the record's head to the key's tail, and back */
    memcpy(longer, key, key_length);
    memcpy(longer + key_length, value, length);
    CU_ASSERT_EQUAL(verify(longer, key_length + 1, longer + key_length + 1, length - 1),
                    REMED_EPERM);
    CU_ASSERT_EQUAL(verify(longer, key_length - 1, longer + key_length - 1, length + 1),
                    REMED_EPERM);
    /* another key's number, though it stands for the same secret */
    value[record_length + 6] = TWIN_ID & 0xff;
    CU_ASSERT_EQUAL(verify_value(), REMED_EPERM);
    value[record_length + 6] = OTHER_ID & 0xff;
    CU_ASSERT_EQUAL(verify_value(), REMED_EPERM);
    /* the signature of another record, of another domain with its own key */
    encode("edge-2", "rx.bytes", NULL, 0);
    memcpy(value + length, first, sizeof first);
    CU_ASSERT_EQUAL(verify(key, key_length, value, length + sizeof first), REMED_EPERM);
    /* two signatures, one behind the other */
    sign(ID);
    memcpy(value + length, value + record_length, REMED_SIGNATURE_SIZE);
    CU_ASSERT_EQUAL(verify(key, key_length, value, length + REMED_SIGNATURE_SIZE), REMED_EPERM);
}

static void test_rotation(void)
{
    uint8_t old[REMED_SIGNED_MAX];
    sign(ID);
    size_t old_length = length;
    memcpy(old, value, length);
    length = record_length;
    sign(OTHER_ID);
    CU_ASSERT_EQUAL(verify(key, key_length, old, old_length), 0);
    CU_ASSERT_EQUAL(verify_value(), 0);
    CU_ASSERT_EQUAL(remed_keyring_remove(keyring, ID), 0);
    CU_ASSERT_EQUAL(verify(key, key_length, old, old_length), REMED_ENOENT);
    CU_ASSERT_STRING_EQUAL(error.message, "key 16909060 is not held");
    CU_ASSERT_EQUAL(verify_value(), 0);
    CU_ASSERT_EQUAL(remed_keyring_add(keyring, ID, other_secret, sizeof other_secret, NULL), 0);
    CU_ASSERT_EQUAL(verify(key, key_length, old, old_length), REMED_EPERM); /* another secret */
}

static void test_room(void)
{
    for (size_t room = 0; room < REMED_SIGNATURE_SIZE; room++) {
        memset(value + record_length, 0xee, REMED_SIGNATURE_SIZE + 1);
        CU_ASSERT_EQUAL(remed_record_sign(&mac, ID, key, key_length, value, record_length + room,
                                          &length, &error),
                        REMED_ELIMIT);
        CU_ASSERT_EQUAL(length, record_length);
        CU_ASSERT_EQUAL(value[record_length + room], 0xee);
    }
    size_t none = 0, beyond = sizeof value + 1;
    CU_ASSERT_EQUAL(
        remed_record_sign(&mac, ID, key, key_length, value, sizeof value, &none, &error),
        REMED_EINVAL);
    CU_ASSERT_EQUAL(
        remed_record_sign(&mac, ID, key, key_length, value, sizeof value, &beyond, &error),
        REMED_EINVAL);
    CU_ASSERT_EQUAL(remed_record_sign(&mac, 7, key, key_length, value, sizeof value, &length, NULL),
                    REMED_ENOENT);
    CU_ASSERT_EQUAL(length, record_length);
    memset(value + record_length, 0xee, REMED_SIGNATURE_SIZE + 1);
    CU_ASSERT_EQUAL(remed_record_sign(&mac, ID, key, key_length, value,
                                      record_length + REMED_SIGNATURE_SIZE, &length, NULL),
                    0);
    CU_ASSERT_EQUAL(value[length], 0xee);
    CU_ASSERT_EQUAL(verify_value(), 0);
}

/* Fails with the code that its context points to. */
static int cannot(void *context, uint32_t key_id, const struct remed_mac_part *parts, size_t count,
                  uint8_t *result)
{
    (void)key_id, (void)parts, (void)count, (void)result;
    return *(const int *)context;
}

static void test_macs_that_fail(void)
{
    static const int codes[][2] = {{REMED_EBUSY, REMED_EBUSY},   {REMED_ENOMEM, REMED_ENOMEM},
                                   {REMED_ENOENT, REMED_ENOENT}, {REMED_EFORMAT, REMED_EIO},
                                   {REMED_EPERM, REMED_EIO},     {1, REMED_EIO}};
    sign(ID);
    mac.size = sizeof mac - 1;
    CU_ASSERT_EQUAL(verify_value(), REMED_EINVAL);
    mac.size = sizeof mac;
    mac.compute = NULL;
    CU_ASSERT_EQUAL(verify_value(), REMED_EINVAL);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        int code = codes[i][0];
        mac = (struct remed_mac){.size = sizeof mac, .context = &code, .compute = cannot};
        length = record_length + REMED_SIGNATURE_SIZE;
        CU_ASSERT_EQUAL(verify_value(), codes[i][1]);
        length = record_length;
        CU_ASSERT_EQUAL(
            remed_record_sign(&mac, ID, key, key_length, value, sizeof value, &length, &error),
            codes[i][1]);
        CU_ASSERT_EQUAL(length, record_length);
    }
}

static void test_strip(void)
{
    uint32_t id = 0;
    CU_ASSERT_EQUAL(remed_record_strip(value, length, &id), length);
    CU_ASSERT_EQUAL(id, 0);
    sign(ID);
    CU_ASSERT_EQUAL(remed_record_strip(value, length, &id), record_length);
    CU_ASSERT_EQUAL(id, ID);
    CU_ASSERT_EQUAL(remed_record_strip(value, length, NULL), record_length);
    for (size_t cut = 0; cut < length; cut++)
        CU_ASSERT_EQUAL(remed_record_strip(value, cut, NULL), cut);
    CU_ASSERT_EQUAL(remed_record_strip(NULL, 0, NULL), 0);
    CU_ASSERT_EQUAL(remed_record_decode(record, value, record_length, &error), 0);
    CU_ASSERT(remed_record_decode(record, value, length, &error) < 0);
}

/* Data that ends as a signature does: not to be cut off, and not to be believed. */
static void test_lookalike(void)
{
    uint8_t data[REMED_SIGNATURE_SIZE] = {0xc7, 36, 0x52, 1, 2, 3, 4};
    uint32_t id = 0;
    encode("edge-1", "k", data, sizeof data);
    CU_ASSERT_EQUAL(memcmp(value + length - sizeof data, data, sizeof data), 0);
    CU_ASSERT_EQUAL(remed_record_strip(value, length, &id), length);
    CU_ASSERT_EQUAL(id, 0);
    CU_ASSERT_EQUAL(verify_value(), REMED_EPERM);
    sign(ID);
    CU_ASSERT_EQUAL(verify_value(), 0);
    CU_ASSERT_EQUAL(remed_record_strip(value, length, &id), record_length);
    CU_ASSERT_EQUAL(id, ID);
}

static void test_large(void)
{
    static uint8_t data[REMED_BLOB_MAX];
    encode("edge-1", "k", data, sizeof data);
    sign(ID);
    CU_ASSERT_EQUAL(verify_value(), 0);
    CU_ASSERT_EQUAL(remed_record_strip(value, length, NULL), record_length);
    value[record_length / 2] ^= 1;
    CU_ASSERT_EQUAL(verify_value(), REMED_EPERM);
}

static const struct test_case cases[] = {
    {"form", test_form},
    {"every bit", test_every_bit},
    {"every length", test_every_length},
    {"splices", test_splices},
    {"rotation", test_rotation},
    {"room", test_room},
    {"macs that fail", test_macs_that_fail},
    {"strip", test_strip},
    {"data that looks like a signature", test_lookalike},
    {"a large record", test_large},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"sign", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
