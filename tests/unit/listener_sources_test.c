/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who chooses addresses must not choose buckets: looks at rows are counted under addresses that
 * collide when the secret is known. The table is compiled here a second time, with the counter in.
 */
static unsigned long long looks;
#define REMED_SOURCE_LOOKED() (looks++)
#define remed_sources_init counted_sources_init
#define remed_sources_fini counted_sources_fini
#define remed_source counted_source
#define remed_source_pin counted_source_pin
#define remed_source_unpin counted_source_unpin
#define remed_source_address counted_source_address
#define remed_source_host counted_source_host
#define remed_listener_unmatched counted_unmatched
#define remed_listener_source counted_listener_source
#include "backend/syslog/sources.c"

#include "unit/test.h"

#include <stdlib.h>

#define CHOSEN 1000u
#define ROUNDS 4u

static uint8_t chosen[CHOSEN][4];
static unsigned drawn;

/* Addresses of one bucket, as who knows the seed would choose them. */
static void choose(const uint64_t seed[2], uint32_t buckets)
{
    uint64_t secret[2];
    uint8_t key[12];
    unsigned found = 0;
    remed_hash_secret(secret, seed);
    for (uint32_t i = 0; found < CHOSEN; i++) {
        const uint8_t address[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        CU_ASSERT_FATAL(i < 1u << 24);
        put_input(key, 1, 4);
        memcpy(key + 8, address, 4);
        if (((uint32_t)remed_hash_bytes(key, sizeof key, secret) & (buckets - 1)) == 7)
            memcpy(chosen[found++], address, 4);
    }
}

static int fill(void *context, void *bytes, size_t length)
{
    (void)context;
    memset(bytes, 0x5a, length);
    drawn++;
    return 0;
}

static int fill_nothing(void *context, void *bytes, size_t length)
{
    (void)context;
    (void)bytes;
    (void)length;
    return -1;
}

/* Looks for each address, once the table has them all. */
static double attack(const uint64_t seed[2], const struct remed_entropy *entropy)
{
    struct remed_listener *listener = calloc(1, sizeof *listener);
    CU_ASSERT_PTR_NOT_NULL_FATAL(listener);
    listener->allocator = remed_allocator_or_default(NULL);
    listener->opts.max_sources = 1024;
    memcpy(listener->opts.seed, seed, sizeof listener->opts.seed);
    listener->opts.entropy = entropy;
    CU_ASSERT_EQUAL_FATAL(counted_sources_init(listener, NULL), 0);
    looks = 0;
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < CHOSEN; i++)
            counted_source_address(listener, 1, 4, chosen[i]);
    counted_sources_fini(listener);
    free(listener);
    return (double)looks / (ROUNDS * CHOSEN);
}

static void secrets(void)
{
    static const uint64_t zeros[2] = {0, 0}, known[2] = {1, 2};
    const struct remed_entropy entropy = {.fill = fill};
    choose(zeros, 1024);
    CU_ASSERT(attack(zeros, NULL) < 3); /* zeros are not the seed: one is drawn */
    CU_ASSERT_EQUAL(drawn, 0);
    CU_ASSERT(attack(zeros, &entropy) < 3);
    CU_ASSERT_EQUAL(drawn, 1);
    choose(known, 1024);
    CU_ASSERT(attack(known, &entropy) > CHOSEN / 4.0); /* the counter counts */
    CU_ASSERT_EQUAL(drawn, 1);
    CU_ASSERT(attack(zeros, NULL) < 3);
}

static void no_entropy(void)
{
    const struct remed_entropy entropy = {.fill = fill_nothing};
    struct remed_listener listener = {.opts = {.max_sources = 16, .entropy = &entropy}};
    struct remed_error error;
    listener.allocator = remed_allocator_or_default(NULL);
    CU_ASSERT_EQUAL(counted_sources_init(&listener, &error), REMED_EIO);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "random"));
}

static const struct test_case cases[] = {{"chosen addresses spread over the buckets", secrets},
                                         {"no random bytes", no_entropy},
                                         {NULL, NULL}};

const struct test_suite test_suites[] = {{"listener_sources", cases, NULL, NULL},
                                         {NULL, NULL, NULL, NULL}};
