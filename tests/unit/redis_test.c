/* SPDX-License-Identifier: BSD-3-Clause */
/* What a redis: URI says, and Redis' protocol: commands byte by byte, replies in any pieces. */
#include "unit/test.h"

#include "backend/redis/options.h"
#include "backend/redis/resp.h"
#include "repository/uri.h"

#include <remediate/redis.h>
#include <stdio.h>
#include <stdlib.h>

static struct remed_redis_options options;
static struct remed_error error;

static int read_uri(const char *text)
{
    struct remed_uri_parts parts;
    memset(&error, 0, sizeof error);
    CU_ASSERT_EQUAL_FATAL(remed_uri_parse(&parts, text, &error), 0);
    return remed_redis_options_read(&options, &parts.uri, &error);
}

static void test_defaults(void)
{
    CU_ASSERT_EQUAL(read_uri("redis://example.org/stream"), 0);
    CU_ASSERT_STRING_EQUAL(options.host, "example.org");
    CU_ASSERT_STRING_EQUAL(options.port, "6379");
    CU_ASSERT_STRING_EQUAL(options.stream, "stream");
    CU_ASSERT_STRING_EQUAL(options.user, "");
    CU_ASSERT_STRING_EQUAL(options.password, "");
    CU_ASSERT_EQUAL(options.max_entries, 16384);
    CU_ASSERT_EQUAL(options.timeout, 5000000000ull);
    CU_ASSERT_EQUAL(options.database, 0);
    CU_ASSERT_FALSE(options.secure);
}

static void test_all_said(void)
{
    CU_ASSERT_EQUAL(read_uri("rediss://us%40er:p%3A%2Fw@[2001:db8::1]:16379/%7Bs%7D?db=3&maxlen=0&"
                             "timeout=250ms&cafile=/ca&cadir=/cas&cert=/c&key=/k&servername=n"),
                    0);
    CU_ASSERT_STRING_EQUAL(options.user, "us@er");
    CU_ASSERT_STRING_EQUAL(options.password, "p:/w");
    CU_ASSERT_STRING_EQUAL(options.host, "2001:db8::1");
    CU_ASSERT_STRING_EQUAL(options.port, "16379");
    CU_ASSERT_STRING_EQUAL(options.stream, "{s}");
    CU_ASSERT_EQUAL(options.database, 3);
    CU_ASSERT_EQUAL(options.max_entries, 0);
    CU_ASSERT_EQUAL(options.timeout, 250000000ull);
    CU_ASSERT_STRING_EQUAL(options.ca_file, "/ca");
    CU_ASSERT_STRING_EQUAL(options.ca_folder, "/cas");
    CU_ASSERT_STRING_EQUAL(options.certificate, "/c");
    CU_ASSERT_STRING_EQUAL(options.key, "/k");
    CU_ASSERT_STRING_EQUAL(options.server_name, "n");
    CU_ASSERT_TRUE(options.secure);
    CU_ASSERT_EQUAL(read_uri("redis://:secret@h/s"), 0);
    CU_ASSERT_STRING_EQUAL(options.user, "");
    CU_ASSERT_STRING_EQUAL(options.password, "secret");
}

static void test_bad_uris(void)
{
    static const char *const bad[] = {
        "redis:///s",
        "redis://h",
        "redis://h/",
        "redis://h/0/s",
        "redis://h:0/s",
        "redis://h:65536/s",
        "redis://h:99999999999/s",
        "redis://h:1x/s",
        "redis://h:/s",
        "redis://[::1/s",
        "redis://[::1]6379/s",
        "redis://[]/s",
        "redis://user@h/s",
        "redis://u:%2@h/s",
        "redis://u:%00@h/s",
        "redis://h/s?db=",
        "redis://h/s?db=1x",
        "redis://h/s?db=70000",
        "redis://h/s?db=-1",
        "redis://h/s?maxlen=99999999999999999999",
        "redis://h/s?timeout=5",
        "redis://h/s?timeout=50ms",
        "redis://h/s?timeout=5m",
        "redis://h/s?timeout=4000s",
        "redis://h/s?cafile=/x",
        "redis://h/s?nonsense=1",
        "rediss://h/s?cert=/x",
        "redis://:p@h/s?password_file=/dev/null",
        "redis://h/s?password_file=/dev/null",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int rc = read_uri(bad[i]);
        CU_ASSERT_EQUAL(rc, REMED_EINVAL);
        CU_ASSERT_EQUAL(error.code, REMED_EINVAL);
        CU_ASSERT_NOT_EQUAL(error.message[0], '\0');
        if (rc != REMED_EINVAL)
            printf("    taken: %s\n", bad[i]);
    }
    CU_ASSERT_EQUAL(read_uri("redis://h/s?password_file=/nonexistent"), REMED_ENOENT);
}

static void test_password_file(void)
{
    char path[] = "/tmp/remediate-redis-XXXXXX", uri[128];
    int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs("in a file\nnot this\n", file);
    fclose(file);
    snprintf(uri, sizeof uri, "redis://user@h/s?password_file=%s", path);
    CU_ASSERT_EQUAL(read_uri(uri), 0);
    CU_ASSERT_STRING_EQUAL(options.password, "in a file");
    remove(path);
}

static void test_no_password_in_messages(void)
{
    struct remed_transport *transport = NULL;
    const struct remed_transport_driver *drivers[] = {remed_redis_driver()};
    struct remed_transport_opts opts;
    remed_transport_opts_init(&opts, sizeof opts);
    opts.drivers = drivers;
    opts.driver_count = 1;
    static const char *const bad[] = {"redis://user:mistake@h/%zz", "redis://user:mistake@h/s?x=1",
                                      "redis://user:mistake@h:0/s", "redis://user:mistake%@h/s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_EQUAL(remed_transport_open(&transport, bad[i], &opts, &error), REMED_EINVAL);
        CU_ASSERT_PTR_NULL(strstr(error.message, "mistake"));
    }
}

static void test_commands(void)
{
    static const char expected[] = "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$20\r\n18446744073709551615\r\n";
    struct remed_redis_buffer buffer = {.allocator = remed_allocator_or_default(NULL)};
    remed_resp_array(&buffer, 3);
    remed_resp_text(&buffer, "SET");
    remed_resp_bytes(&buffer, NULL, 0);
    remed_resp_number(&buffer, UINT64_MAX);
    CU_ASSERT_EQUAL(remed_redis_buffer_held(&buffer), sizeof expected - 1);
    CU_ASSERT_EQUAL(memcmp(buffer.bytes, expected, sizeof expected - 1), 0);
    CU_ASSERT_FALSE(buffer.failed);
    remed_redis_buffer_clear(&buffer, 0);
    CU_ASSERT_PTR_NULL(buffer.bytes);
}

/* What is taken from the front makes room behind. */
static void test_buffer(void)
{
    struct remed_redis_buffer buffer = {.allocator = remed_allocator_or_default(NULL)};
    uint8_t chunk[3000];
    for (unsigned i = 0; i < 100; i++) {
        memset(chunk, (int)i, sizeof chunk);
        remed_redis_buffer_append(&buffer, chunk, sizeof chunk);
        CU_ASSERT_EQUAL(buffer.bytes[buffer.begin], i);
        CU_ASSERT_EQUAL(buffer.bytes[buffer.end - 1], i);
        buffer.begin += sizeof chunk;
    }
    CU_ASSERT(buffer.room <= 8192);
    remed_redis_buffer_clear(&buffer, 0);
}

static const char nested[] =
    "*5\r\n$5\r\nhe\r\no\r\n:-42\r\n+OK\r\n$-1\r\n*3\r\n*0\r\n*-1\r\n-ERR no\r\n";

static void test_replies_in_pieces(void)
{
    size_t whole = sizeof nested - 1;
    for (size_t first = 0; first < whole; first++) {
        struct remed_resp_scan scan = {0};
        uint8_t *piece = malloc(first + 1); /* exact, so that sanitizers see overreads */
        memcpy(piece, nested, first);
        CU_ASSERT_EQUAL(remed_resp_measure(&scan, piece, first, 4096), 0);
        free(piece);
        CU_ASSERT_EQUAL(remed_resp_measure(&scan, (const uint8_t *)nested, whole, 4096), 1);
        CU_ASSERT_EQUAL(scan.at, whole);
    }
}

static void test_walk(void)
{
    struct remed_resp_cursor cursor = {.at = (const uint8_t *)nested,
                                       .end = (const uint8_t *)nested + sizeof nested - 1};
    struct remed_resp_cursor again = cursor;
    struct remed_resp_item item;
    CU_ASSERT_TRUE(remed_resp_take(&cursor, REMED_RESP_ARRAY, &item));
    CU_ASSERT_EQUAL(item.number, 5);
    CU_ASSERT_TRUE(remed_resp_take(&cursor, REMED_RESP_TEXT, &item));
    CU_ASSERT_EQUAL(item.length, 5);
    CU_ASSERT_EQUAL(memcmp(item.text, "he\r\no", 5), 0);
    CU_ASSERT_TRUE(remed_resp_take(&cursor, REMED_RESP_NUMBER, &item));
    CU_ASSERT_EQUAL(item.number, -42);
    CU_ASSERT_TRUE(remed_resp_take(&cursor, REMED_RESP_STATUS, &item));
    CU_ASSERT_TRUE(remed_resp_take(&cursor, REMED_RESP_NIL, &item));
    CU_ASSERT_TRUE(remed_resp_skip(&cursor));
    CU_ASSERT_FALSE(remed_resp_next(&cursor, &item));
    CU_ASSERT_TRUE(remed_resp_skip(&again));
    CU_ASSERT_PTR_EQUAL(again.at, again.end);
    CU_ASSERT_FALSE(remed_resp_skip(&again));
}

static int measure(const char *text)
{
    struct remed_resp_scan scan = {0};
    return remed_resp_measure(&scan, (const uint8_t *)text, strlen(text), 1024);
}

static void test_bad_replies(void)
{
    static const char *const bad[] = {
        "x",
        "\r\n",
        "$x\r\n",
        "$\r\n",
        "$-2\r\n",
        ":\r\n",
        ":-\r\n",
        ":1 \r\n",
        "+OK\n",
        "*-2\r\n",
        "$1\r\nabc",
        "$1\r\na\nb",
        "%1\r\n",
        "*1\r\n?",
        "$99999999999999999999\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"};
    static const char *const large[] = {"$1024\r\n", "*1000000000\r\n", "$9223372036854775807\r\n",
                                        "*1\r\n$1017\r\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CU_ASSERT_EQUAL(measure(bad[i]), REMED_EFORMAT);
    CU_ASSERT(measure(large[2]) == REMED_EFORMAT || measure(large[2]) == REMED_ELIMIT);
    CU_ASSERT_EQUAL(measure(large[0]), REMED_ELIMIT);
    CU_ASSERT_EQUAL(measure(large[1]), REMED_ELIMIT);
    CU_ASSERT_EQUAL(measure(large[3]), REMED_ELIMIT);
    CU_ASSERT_EQUAL(measure("$1000\r\n"), 0);
    CU_ASSERT_EQUAL(measure("*0\r\n"), 1);
}

/* A line without an end is not waited for. */
static void test_endless_line(void)
{
    struct remed_resp_scan scan = {0};
    uint8_t line[8192];
    memset(line, 'a', sizeof line);
    line[0] = '-';
    CU_ASSERT_EQUAL(remed_resp_measure(&scan, line, 4000, 1u << 20), 0);
    CU_ASSERT_EQUAL(remed_resp_measure(&scan, line, sizeof line, 1u << 20), REMED_EFORMAT);
}

static const struct test_case uri_cases[] = {
    {"the defaults", test_defaults},
    {"everything said", test_all_said},
    {"what is no URI of a stream", test_bad_uris},
    {"a password in a file", test_password_file},
    {"no password in a message", test_no_password_in_messages},
    {NULL, NULL}};

static const struct test_case protocol_cases[] = {
    {"commands", test_commands},
    {"the buffer", test_buffer},
    {"a reply in any two pieces", test_replies_in_pieces},
    {"walking a reply", test_walk},
    {"what is no reply, or too large", test_bad_replies},
    {"a line without an end", test_endless_line},
    {NULL, NULL}};

const struct test_suite test_suites[] = {{"redis: URIs", uri_cases, NULL, NULL},
                                         {"redis: the protocol", protocol_cases, NULL, NULL},
                                         {NULL, NULL, NULL, NULL}};
