/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keyring: the vectors of RFC 4231 through its mac, keys added and taken away, key files that
 * are right and wrong, secrets wiped, nothing allocated for a MAC.
 */
#include "backend/crypto/keyring.h"
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct remed_keyring *keyring;
static struct remed_mac mac;
static struct remed_error error;

/* libcrypto's own allocations. */
static size_t library_calls;

static void *library_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    library_calls++;
    return malloc(size);
}

static void *library_realloc(void *memory, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    library_calls++;
    return realloc(memory, size);
}

static void library_free(void *memory, const char *file, int line)
{
    (void)file, (void)line;
    free(memory);
}

/* Counts, fails the n-th, and sees that what was a secret's is given back wiped. */
struct watching {
    size_t calls, fail_at, live_bytes, dirty;
};

static void *watching_resize(void *context, void *memory, size_t old_size, size_t new_size)
{
    struct watching *watching = context;
    if (new_size == 0) {
        for (size_t i = 0; i < old_size; i++)
            watching->dirty += ((const uint8_t *)memory)[i] != 0;
        watching->live_bytes -= old_size;
        free(memory);
        return NULL;
    }
    if (++watching->calls == watching->fail_at)
        return NULL;
    watching->live_bytes += new_size;
    return realloc(memory, new_size);
}

static struct watching watching;
static const struct remed_allocator allocator = {&watching, watching_resize};

static void setup(void)
{
    static bool counted;
    if (!counted) /* before libcrypto allocates anything */
        CU_ASSERT_EQUAL_FATAL(
            CRYPTO_set_mem_functions(library_malloc, library_realloc, library_free), 1);
    counted = true;
    memset(&watching, 0, sizeof watching);
    memset(&error, 0, sizeof error);
    CU_ASSERT_EQUAL_FATAL(remed_keyring_new(&keyring, &allocator), 0);
    remed_keyring_mac(keyring, &mac, sizeof mac);
}

static void teardown(void)
{
    remed_keyring_free(keyring);
    keyring = NULL;
    CU_ASSERT_EQUAL(watching.live_bytes, 0);
    CU_ASSERT_EQUAL(watching.dirty, 0);
}

static void write_hex(const uint8_t *bytes, size_t length, char *text)
{
    for (size_t i = 0; i < length; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

/* RFC 4231, 4. Text keys and data; `fill` repeats one byte. */
static const struct {
    const char *key_text, *data_text;
    uint8_t key_fill, data_fill;
    size_t key_length, data_length;
    const char *result; /* case 5 has its first half only */
} vectors[] = {
    {NULL, "Hi There", 0x0b, 0, 20, 8,
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    /* Four bytes are too few for a secret of ours; with zeros behind them HMAC is the same. */
    {"Jefe\0\0\0\0\0\0\0\0\0\0\0", "what do ya want for nothing?", 0, 0, 16, 28,
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {NULL, NULL, 0xaa, 0xdd, 20, 50,
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30\31", NULL, 0, 0xcd, 25, 50,
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {NULL, "Test With Truncation", 0x0c, 0, 20, 20, "a3b6167473100ee06e0c796c2955552b"},
    {NULL, "Test Using Larger Than Block-Size Key - Hash Key First", 0xaa, 0, 131, 54,
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {NULL,
     "This is a test using a larger than block-size key and a larger than block-size data. The "
     "key needs to be hashed before being used by the HMAC algorithm.",
     0xaa, 0, 131, 152, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

#define VECTORS (sizeof vectors / sizeof *vectors)

static void check_vector(uint32_t number)
{
    uint8_t data[200], result[REMED_MAC_SIZE];
    char text[2 * REMED_MAC_SIZE + 1];
    size_t length = vectors[number].data_length;
    memset(data, vectors[number].data_fill, sizeof data);
    if (vectors[number].data_text != NULL)
        memcpy(data, vectors[number].data_text, length);
    for (size_t cut = 0; cut <= length; cut++) {
        const struct remed_mac_part parts[] = {{data, cut}, {NULL, 0}, {data + cut, length - cut}};
        memset(result, 0, sizeof result);
        CU_ASSERT_EQUAL_FATAL(mac.compute(mac.context, number + 1, parts, 3, result), 0);
        write_hex(result, sizeof result, text);
        CU_ASSERT_EQUAL(strncmp(text, vectors[number].result, strlen(vectors[number].result)), 0);
    }
}

static void test_vectors(void)
{
    for (uint32_t i = VECTORS; i-- > 0;) {
        uint8_t key[200];
        memset(key, vectors[i].key_fill, sizeof key);
        if (vectors[i].key_text != NULL)
            memcpy(key, vectors[i].key_text, vectors[i].key_length);
        CU_ASSERT_EQUAL_FATAL(remed_keyring_add(keyring, i + 1, key, vectors[i].key_length, &error),
                              0);
    }
    for (uint32_t i = 0; i < VECTORS; i++)
        check_vector(i);
    CU_ASSERT_EQUAL(remed_keyring_remove(keyring, 3), 0);
    for (uint32_t i = 0; i < VECTORS; i++)
        if (i + 1 != 3)
            check_vector(i);
}

static void test_no_allocation(void)
{
    const uint8_t secret[32] = {1};
    uint8_t data[300] = {2}, result[REMED_MAC_SIZE];
    const struct remed_mac_part part = {data, sizeof data};
    CU_ASSERT_EQUAL(remed_keyring_add(keyring, 1, secret, sizeof secret, &error), 0);
    size_t library = library_calls, ours = watching.calls;
    for (unsigned i = 0; i < 1000; i++)
        CU_ASSERT_EQUAL(mac.compute(mac.context, 1, &part, 1, result), 0);
    CU_ASSERT_EQUAL(library_calls, library);
    CU_ASSERT_EQUAL(watching.calls, ours);
    OPENSSL_free(OPENSSL_malloc(1)); /* the counter does count */
    CU_ASSERT(library_calls > library);
}

static int add(uint32_t id, size_t length)
{
    static const uint8_t secret[REMED_SECRET_MAX + 1] = {1, 2, 3};
    return remed_keyring_add(keyring, id, secret, length, &error);
}

static void test_adding_and_removing(void)
{
    uint8_t result[REMED_MAC_SIZE];
    const struct remed_mac_part part = {(const uint8_t *)"x", 1};
    CU_ASSERT_EQUAL(remed_keyring_signer(keyring), 0);
    CU_ASSERT_EQUAL(mac.compute(mac.context, 5, &part, 1, result), REMED_ENOENT);
    CU_ASSERT_EQUAL(add(0, 32), REMED_EINVAL);
    CU_ASSERT_EQUAL(add(5, REMED_SECRET_MIN - 1), REMED_EINVAL);
    CU_ASSERT_EQUAL(add(5, REMED_SECRET_MAX + 1), REMED_EINVAL);
    CU_ASSERT_FALSE(remed_keyring_has(keyring, 5));
    CU_ASSERT_EQUAL(add(5, REMED_SECRET_MIN), 0);
    CU_ASSERT_EQUAL(add(UINT32_MAX, REMED_SECRET_MAX), 0);
    CU_ASSERT_EQUAL(add(1, 32), 0);
    CU_ASSERT_EQUAL(add(5, 32), REMED_EINVAL);
    CU_ASSERT_STRING_EQUAL(error.message, "there is a key 5 already");
    CU_ASSERT_EQUAL(remed_keyring_signer(keyring), UINT32_MAX);
    CU_ASSERT_EQUAL(mac.compute(mac.context, 5, &part, 1, result), 0);
    CU_ASSERT_EQUAL(remed_keyring_remove(keyring, UINT32_MAX), 0);
    CU_ASSERT_EQUAL(remed_keyring_remove(keyring, UINT32_MAX), REMED_ENOENT);
    CU_ASSERT_EQUAL(remed_keyring_signer(keyring), 5);
    CU_ASSERT_EQUAL(mac.compute(mac.context, UINT32_MAX, &part, 1, result), REMED_ENOENT);
    for (uint32_t id = 100; id < 100 + REMED_KEYRING_MAX - 2; id++)
        CU_ASSERT_EQUAL(add(id, 32), 0);
    CU_ASSERT_EQUAL(add(3, 32), REMED_ELIMIT);
    CU_ASSERT_FALSE(remed_keyring_has(keyring, 3));
    CU_ASSERT_EQUAL(remed_keyring_remove(keyring, 1), 0);
    CU_ASSERT_EQUAL(add(3, 32), 0);
    CU_ASSERT_TRUE(remed_keyring_has(keyring, 3) && remed_keyring_has(keyring, 5));
}

/* A place in the keyring that has no key any more has nothing of it. */
static void test_removing_wipes(void)
{
    static const struct remed_secret blank;
    for (uint32_t id = 1; id <= 3; id++)
        CU_ASSERT_EQUAL(add(id, 32), 0);
    for (uint32_t left = 3; left-- > 0;) {
        CU_ASSERT_NOT_EQUAL(memcmp(&keyring->keys.of[left], &blank, sizeof blank), 0);
        CU_ASSERT_EQUAL(remed_keyring_remove(keyring, 3 - left), 0);
        CU_ASSERT_EQUAL(memcmp(&keyring->keys.of[left], &blank, sizeof blank), 0);
    }
}

static int parse(const char *text)
{
    memset(&error, 0, sizeof error);
    return remed_keyring_parse(keyring, text, strlen(text), &error);
}

static void mac_of(uint32_t id, uint8_t result[REMED_MAC_SIZE])
{
    const struct remed_mac_part part = {(const uint8_t *)"text", 4};
    memset(result, 0, REMED_MAC_SIZE);
    CU_ASSERT_EQUAL(mac.compute(mac.context, id, &part, 1, result), 0);
}

/* The same 16, 17 and 18 bytes in both ways to write them. */
static void test_text(void)
{
    uint8_t hex[REMED_MAC_SIZE], base64[REMED_MAC_SIZE];
    const char text[] = "# keys of edge-1\n"
                        "\n"
                        "  1\t000102030405060708090a0b0c0d0e0f # the old one\r\n"
                        "21 base64:AAECAwQFBgcICQoLDA0ODw==\n"
                        "2 000102030405060708090A0B0C0D0E0F10#\n"
                        "22 base64:AAECAwQFBgcICQoLDA0ODxA= \n"
                        "3 000102030405060708090a0b0c0d0e0f10ff\n"
                        "4294967295 base64:AAECAwQFBgcICQoLDA0ODxD/";
    CU_ASSERT_EQUAL(add(77, 32), 0);
    CU_ASSERT_EQUAL(parse(text), 0);
    CU_ASSERT_FALSE(remed_keyring_has(keyring, 77)); /* it replaces */
    CU_ASSERT_EQUAL(remed_keyring_signer(keyring), UINT32_MAX);
    mac_of(1, hex), mac_of(21, base64);
    CU_ASSERT_EQUAL(memcmp(hex, base64, sizeof hex), 0);
    mac_of(2, hex), mac_of(22, base64);
    CU_ASSERT_EQUAL(memcmp(hex, base64, sizeof hex), 0);
    mac_of(3, hex), mac_of(UINT32_MAX, base64);
    CU_ASSERT_EQUAL(memcmp(hex, base64, sizeof hex), 0);
}

#define GOOD "000102030405060708090a0b0c0d0e0f"

static void test_wrong_text(void)
{
    static const struct {
        const char *text;
        int code;
        uint32_t line, column;
    } wrongs[] = {
        {"", REMED_EINVAL, 1, 1},
        {"# none\n\n", REMED_EINVAL, 3, 1},
        {GOOD, REMED_ESYNTAX, 1, 1}, /* no number, for it is 0 */
        {"0 " GOOD, REMED_ESYNTAX, 1, 1},
        {"4294967296 " GOOD, REMED_ESYNTAX, 1, 1},
        {"99999999999999999999999 " GOOD, REMED_ESYNTAX, 1, 1},
        {"-1 " GOOD, REMED_ESYNTAX, 1, 1},
        {"key " GOOD, REMED_ESYNTAX, 1, 1},
        {"1", REMED_ESYNTAX, 1, 2},
        {"1:" GOOD, REMED_ESYNTAX, 1, 2},
        {"1 ", REMED_EINVAL, 1, 1},
        {"1 " GOOD "\n 1 " GOOD "\n", REMED_EINVAL, 2, 2},
        {"1 " GOOD "\n\n2 " GOOD "0\n", REMED_ESYNTAX, 3, 36},
        {"1 " GOOD "x", REMED_ESYNTAX, 1, 35},
        {"1 hex:" GOOD, REMED_ESYNTAX, 1, 3},
        {"1 " GOOD " " GOOD, REMED_ESYNTAX, 1, 35},
        {"1 0001020304", REMED_EINVAL, 1, 1},
        {"1 base64:", REMED_EINVAL, 1, 1},
        {"1 base64:AAECAwQFBgcICQoLDA0ODw", REMED_ESYNTAX, 1, 32},
        {"1 base64:AAECAwQFBgcICQoLDA0ODw=", REMED_ESYNTAX, 1, 33},
        {"1 base64:AAECAwQFBgcICQoLDA0ODw===", REMED_ESYNTAX, 1, 34},
        {"1 base64:AAECAwQFBgcICQoLDA0ODx==", REMED_ESYNTAX, 1, 34},
        {"1 base64:AAECAwQFBgcICQoLDA0ODxD/A", REMED_ESYNTAX, 1, 35},
        {"1 base64:AAECAwQFBgcICQoLDA0OD-D_", REMED_ESYNTAX, 1, 31},
    };
    CU_ASSERT_EQUAL(add(77, 32), 0);
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        int rc = parse(wrongs[i].text);
        if (rc != wrongs[i].code || error.line != wrongs[i].line ||
            error.column != wrongs[i].column)
            printf("\n'%s': %d at %u:%u %s\n", wrongs[i].text, rc, error.line, error.column,
                   error.message);
        CU_ASSERT_EQUAL(rc, wrongs[i].code);
        CU_ASSERT_EQUAL(error.code, wrongs[i].code);
        CU_ASSERT_EQUAL(error.line, wrongs[i].line);
        CU_ASSERT_EQUAL(error.column, wrongs[i].column);
        CU_ASSERT_PTR_NULL(strstr(error.message, "0102"));
        CU_ASSERT_EQUAL(remed_keyring_signer(keyring), 77); /* unchanged */
    }
}

static void test_bounds_of_text(void)
{
    static char text[3 * REMED_SECRET_MAX];
    snprintf(text, sizeof text, "1 %0*d", (int)(2 * REMED_SECRET_MAX), 0);
    CU_ASSERT_EQUAL(parse(text), 0);
    snprintf(text, sizeof text, "1 %0*d", (int)(2 * REMED_SECRET_MAX + 2), 0);
    CU_ASSERT_EQUAL(parse(text), REMED_EINVAL);
    size_t at = 0;
    for (unsigned i = 1; i <= REMED_KEYRING_MAX; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%u " GOOD "\n", i);
    CU_ASSERT_EQUAL(parse(text), 0);
    CU_ASSERT_EQUAL(remed_keyring_signer(keyring), REMED_KEYRING_MAX);
    snprintf(text + at, sizeof text - at, "1000 " GOOD "\n");
    CU_ASSERT_EQUAL(parse(text), REMED_ELIMIT);
    CU_ASSERT_EQUAL(error.line, REMED_KEYRING_MAX + 1);
    CU_ASSERT_EQUAL(remed_keyring_signer(keyring), REMED_KEYRING_MAX);
}

static char path[64];

static void write_file(const char *text, size_t repeat, mode_t mode)
{
    snprintf(path, sizeof path, "/tmp/remediate-keyring-%ld", (long)getpid());
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    for (size_t i = 0; i < repeat; i++)
        fputs(text, file);
    fclose(file);
    CU_ASSERT_EQUAL(chmod(path, mode), 0);
}

static int load(const char *from)
{
    memset(&error, 0, sizeof error);
    return remed_keyring_load(keyring, from, &error);
}

static void test_files(void)
{
    write_file("1 " GOOD "\n9 " GOOD "\n", 1, 0600);
    CU_ASSERT_EQUAL(load(path), 0);
    CU_ASSERT_EQUAL(remed_keyring_signer(keyring), 9);
    static const mode_t open_modes[] = {0640, 0620, 0604, 0602, 0644, 0666};
    for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
        CU_ASSERT_EQUAL(chmod(path, open_modes[i]), 0);
        CU_ASSERT_EQUAL(load(path), REMED_EPERM);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "chmod 600"));
    }
    write_file("1 " GOOD "\n2 x", 1, 0400);
    CU_ASSERT_EQUAL(load(path), REMED_ESYNTAX);
    CU_ASSERT(error.line == 2 && error.column == 3);
    unlink(path);
    CU_ASSERT_EQUAL(load(path), REMED_ENOENT);
    CU_ASSERT_EQUAL(load("/"), REMED_EIO);
    write_file("# much\n", 40000, 0600);
    CU_ASSERT_EQUAL(load(path), REMED_ELIMIT);
    CU_ASSERT_EQUAL(remed_keyring_signer(keyring), 9); /* through all of it */
    unlink(path);
}

static void test_file_of_another(void)
{
    if (geteuid() != 0) {
        printf("left out: only root can give a file away ");
        return;
    }
    write_file("1 " GOOD "\n", 1, 0600);
    CU_ASSERT_EQUAL(chown(path, 65534, 65534), 0);
    CU_ASSERT_EQUAL(load(path), REMED_EPERM);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "neither"));
    unlink(path);
}

static int make_and_load(void)
{
    struct remed_keyring *made = NULL;
    int rc = remed_keyring_new(&made, &allocator);
    if (rc < 0) {
        CU_ASSERT_PTR_NULL(made);
        return rc;
    }
    rc = remed_keyring_load(made, path, &error);
    CU_ASSERT_EQUAL(remed_keyring_signer(made), rc == 0 ? 1 : 0);
    remed_keyring_free(made);
    return rc;
}

static void test_each_allocation_fails_in_turn(void)
{
    write_file("1 " GOOD "\n", 1, 0600);
    size_t before = watching.live_bytes;
    watching.calls = 0;
    CU_ASSERT_EQUAL(make_and_load(), 0);
    size_t calls = watching.calls;
    CU_ASSERT(calls >= 3);
    for (size_t n = 1; n <= calls; n++) {
        watching.calls = 0;
        watching.fail_at = n;
        CU_ASSERT_EQUAL(make_and_load(), REMED_ENOMEM);
        CU_ASSERT_EQUAL(watching.live_bytes, before);
    }
    watching.fail_at = 0;
    unlink(path);
}

/* A host built with an older or newer header than the library. */
static void test_sizes(void)
{
    struct {
        struct remed_mac mac;
        uint64_t more;
    } larger;
    memset(&larger, 0xff, sizeof larger);
    remed_keyring_mac(keyring, &larger.mac, sizeof larger);
    CU_ASSERT_EQUAL(larger.mac.size, sizeof larger);
    CU_ASSERT_EQUAL(larger.more, 0);
    CU_ASSERT(larger.mac.compute == mac.compute);
    remed_keyring_free(NULL);
}

static const struct test_case cases[] = {
    {"RFC 4231", test_vectors},
    {"a MAC allocates nothing", test_no_allocation},
    {"adding and removing", test_adding_and_removing},
    {"removing wipes", test_removing_wipes},
    {"text", test_text},
    {"wrong text", test_wrong_text},
    {"bounds of a text", test_bounds_of_text},
    {"files", test_files},
    {"a file of another", test_file_of_another},
    {"each allocation fails in turn", test_each_allocation_fails_in_turn},
    {"sizes", test_sizes},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"keyring", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
