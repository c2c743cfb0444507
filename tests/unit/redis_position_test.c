/* SPDX-License-Identifier: BSD-3-Clause */
/* Positions of redis:, what they belong to and what is none. */
#include "unit/test.h"

#include "backend/redis/position.h"

#include <stdio.h>

#define ID "0123456789abcdef0123456789abcdef"

static struct remed_redis_options options;
static struct remed_error error;

static void name_stream(const char *name)
{
    memset(&options, 0, sizeof options);
    snprintf(options.stream, sizeof options.stream, "%s", name);
}

static int read_position(const char *text)
{
    char identity[REMED_REDIS_IDENTITY + 1];
    struct remed_redis_id at;
    return remed_redis_position_read(&options, text, identity, &at, &error);
}

static void test_positions(void)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "1",
                                      "1-",
                                      "-1",
                                      "1-1 ",
                                      "1-1x",
                                      "1--1",
                                      "99999999999999999999-0",
                                      "1-1",
                                      "redis:",
                                      "redis:-/0/s/",
                                      "redis:-/0/s/1",
                                      "redis:-/0/s",
                                      "redis:-/0/t/1-1",
                                      "redis:-/1/s/1-1",
                                      "redis:x/0/s/1-1",
                                      "redis:" ID "0/0/s/1-1",
                                      "redis:/0/s/1-1",
                                      "kafka:x/s/0:1",
                                      "redis:-/0/s/1-1/",
                                      "redis:-/0/s/x/1-1"};
    struct remed_redis_id id;
    name_stream("s");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(read_position(bad[i]), REMED_EINVAL);
    CU_ASSERT_TRUE(remed_redis_id_read((const uint8_t *)"18446744073709551615-7", 22, &id));
    CU_ASSERT(id.ms == UINT64_MAX && id.sequence == 7);
    CU_ASSERT_EQUAL(read_position("1-1"), REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "older version"));
    CU_ASSERT_EQUAL(read_position("redis:-/0/t/1-1"), REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(error.message, "belongs to database and stream 0/t, this is 0/s"));
    CU_ASSERT_EQUAL(read_position("redis://u:PW@h/s"), REMED_EINVAL);
    CU_ASSERT_PTR_NULL(strstr(error.message, "PW"));
}

/* Any name of a stream comes back out of its position; a byte more or less of room changes nothing.
 */
static void test_positions_of_odd_names(void)
{
    static const char *const names[] = {"a/b", "%41", "a b", "\x01\xff", "{s}:1", "-", "1-1"};
    const struct remed_redis_id at = {UINT64_MAX, 3};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[128], identity[REMED_REDIS_IDENTITY + 1];
        struct remed_redis_id back = {0, 0};
        name_stream(names[i]);
        size_t length = remed_redis_position_write(&options, ID, at, text, sizeof text);
        CU_ASSERT_EQUAL(length, strlen(text));
        CU_ASSERT_EQUAL(remed_redis_position_read(&options, text, identity, &back, &error), 0);
        CU_ASSERT_STRING_EQUAL(identity, ID);
        CU_ASSERT_EQUAL(back.ms == at.ms && back.sequence == at.sequence, true);
        CU_ASSERT_EQUAL(remed_redis_position_write(&options, ID, at, text, 5), length);
        CU_ASSERT_STRING_EQUAL(text, "redi");
    }
    memset(options.stream, 0xff, sizeof options.stream - 1);
    options.stream[sizeof options.stream - 1] = '\0';
    char text[2048];
    CU_ASSERT(remed_redis_position_write(&options, "", at, text, sizeof text) < sizeof text);
}

static const struct test_case cases[] = {{"what is none", test_positions},
                                         {"of streams with odd names", test_positions_of_odd_names},
                                         {NULL, NULL}};

const struct test_suite test_suites[] = {{"redis: positions", cases, NULL, NULL},
                                         {NULL, NULL, NULL, NULL}};
