/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys that a stranger chose so that they fall into one place of a hash whose secret is the
 * constant that the source shows: the compaction and the memory hub must not be slower for them.
 */
#include "unit/files.h"

#include "base/hash.h"

#include <time.h>

#define KEYS 30000u
#define KEY 32u

static struct files_seen seen;

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * FILES_SECOND + (uint64_t)now.tv_nsec;
}

/* The second word is the secret's: the product is zero, whatever the first one is. */
static void make_key(uint8_t key[KEY], uint32_t number, int evil)
{
    uint64_t word = evil ? REMED_HASH_C1 : 0x1234567890abcdefull;
    memset(key, 0, KEY);
    memcpy(key, &number, sizeof number);
    for (unsigned i = 0; i < 8; i++)
        key[8 + i] = (uint8_t)(word >> 8 * i);
}

static uint64_t publish_all(struct remed_transport *transport, int evil)
{
    uint64_t begun = cpu_ns();
    int rc = 1;
    for (uint32_t number = 0; number < KEYS; number++) {
        uint8_t key[KEY];
        make_key(key, number, evil);
        const struct remed_message message = {
            .key = key, .value = key, .key_length = KEY, .value_length = KEY};
        CU_ASSERT_EQUAL_FATAL(remed_transport_publish(transport, &message, 0, NULL), 0);
        if (number % 256 == 255)
            rc = remed_transport_process(transport, number, NULL);
    }
    for (unsigned i = 0; i < 100000 && rc > 0; i++)
        rc = remed_transport_process(transport, KEYS + i, NULL);
    CU_ASSERT(rc >= 0);
    return cpu_ns() - begun;
}

static void expect_no_slower(uint64_t evil, uint64_t plain)
{
    CU_ASSERT(evil < 10 * plain);
    printf("\n    %.1f ms with keys chosen to collide, %.1f ms with others ... ",
           (double)evil / 1e6, (double)plain / 1e6);
}

static void test_the_keys_collide_without_a_secret(void)
{
    static const uint64_t zeros[2] = {0, 0};
    uint64_t secret[2], first = 0;
    uint8_t key[KEY];
    remed_hash_secret(secret, zeros);
    for (uint32_t number = 0; number < 100; number++) {
        make_key(key, number, 1);
        uint64_t hash = remed_hash_bytes(key, KEY, secret);
        CU_ASSERT(number == 0 || hash == first);
        first = hash;
    }
}

static void test_compaction(void)
{
    uint64_t times[2];
    for (int evil = 0; evil < 2; evil++) {
        files_begin();
        struct remed_transport *transport =
            files_open("?segment=512KiB&compact=1&sync=never", &seen);
        times[evil] = publish_all(transport, evil);
        remed_transport_close(transport, NULL);
        files_end();
    }
    expect_no_slower(times[1], times[0]);
}

static void test_memory_hub(void)
{
    uint64_t times[2];
    for (int evil = 0; evil < 2; evil++) {
        struct remed_transport *transport = NULL;
        CU_ASSERT_EQUAL_FATAL(remed_transport_open(&transport, "memory:", NULL, NULL), 0);
        times[evil] = publish_all(transport, evil);
        remed_transport_close(transport, NULL);
    }
    expect_no_slower(times[1], times[0]);
}

static int fill(void *context, void *bytes, size_t length)
{
    unsigned *calls = context;
    ++*calls;
    memset(bytes, (int)*calls, length);
    return *calls > 100; /* and then there are none */
}

static void test_the_hosts_entropy(void)
{
    unsigned calls = 0;
    const struct remed_entropy entropy = {.context = &calls, .fill = fill};
    struct remed_transport_opts opts;
    struct remed_transport *transport = NULL;
    char uri[128];
    files_begin();
    remed_transport_opts_init(&opts, sizeof opts);
    opts.entropy = &entropy;
    snprintf(uri, sizeof uri, "file://%s", files_folder);
    CU_ASSERT_EQUAL(remed_transport_open(&transport, uri, &opts, NULL), 0);
    remed_transport_close(transport, NULL);
    CU_ASSERT(calls > 0);
    calls = 100;
    CU_ASSERT_EQUAL(remed_transport_open(&transport, uri, &opts, NULL), REMED_EIO);
    CU_ASSERT_EQUAL(remed_transport_open(&transport, "memory:", &opts, NULL), REMED_EIO);
    files_end();
}

static const struct test_case cases[] = {
    {"the keys collide without a secret", test_the_keys_collide_without_a_secret},
    {"compaction", test_compaction},
    {"memory hub", test_memory_hub},
    {"the host's entropy", test_the_hosts_entropy},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"file floods", cases, NULL, NULL},
                                         {NULL, NULL, NULL, NULL}};
