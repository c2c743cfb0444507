/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * URIs as they are printed: whatever stands in them and however wrongly they are written, a secret
 * does not come out. And what needs no hiding stays readable.
 */
#include "unit/test.h"

#include "base/scrub.h"
#include "repository/uri.h"

#include <stdio.h>
#include <stdlib.h>

static const char *redact(const char *uri)
{
    static char text[8192];
    size_t length = remed_uri_redacted(uri, text, sizeof text);
    CU_ASSERT(length < sizeof text && length == strlen(text));
    return text;
}

static void test_exact(void)
{
    static const char *const cases[][2] = {
        {"redis://bob:pw@127.0.0.1:99999/s", "redis://bob:***@127.0.0.1:99999/s"},
        {"redis://:pw@h/s", "redis://:***@h/s"},
        {"rediss://u:p@ss@h:1/s?db=1&cafile=/x&key=/k", "rediss://u:***@h:1/s?db=1&cafile=/x&***"},
        {"redis://token@h/s", "redis://***@h/s"},
        {"redis://token:@h/s", "redis://***@h/s"},
        {"redis://u:p/w@h/s", "redis://u:***@h/s"},
        {"redis://u:p?w@h/s", "redis://u:***"},
        {"redis://u:pw/s", "redis://u:***/s"},
        {"redis://u:pw:6379/s", "redis://u:***/s"},
        {"redis:u:pw@h", "redis:u:***@h"},
        {"redis:/u:pw@h", "redis:/u:***@h"},
        {"redis//u:pw@h", "***@h"},
        {"u:pw@h/s", "u:***@h/s"},
        {"pw@h", "***@h"},
        {"redis:pw", "redis:***"},
        {"kafka://h:9/t?sasl.password=pw&sasl.foo=1", "kafka://h:9/t?***"},
        {"kafka://h:9/t?linger.ms=5&sasl%2Epassword=pw", "kafka://h:9/t?linger.ms=5&***"},
        {"kafka://h:9/t&sasl.password=pw", "kafka://h:9/t***"},
        {"kafka://h:9/t%3fsasl.password%3dpw", "kafka://h:9/t***"},
        {"kafka://h:9/t?linger.ms=pw", "kafka://h:9/t?***"},
        {"kafka://h:9/t?pw", "kafka://h:9/t?***"},
        {"kafka://a:1,b:2,[::1]:3/t?linger.ms=5&partitions=3",
         "kafka://a:1,b:2,[::1]:3/t?linger.ms=5&partitions=3"},
        {"kafka://a:1,u:pw,c/t", "kafka://a:1,u:***,c/t"},
        {"file:///home/me@corp/x?sync=10ms", "file:///home/me@corp/x?sync=10ms"},
        {"file:///a b", "file:///a b"},
        {"file:x", "file:x"},
        {"memory:", "memory:"},
        {"records.jsonl", "records.jsonl"},
        {"-", "-"},
        {"", ""},
        {"redis://[::1]:6379/s", "redis://[::1]:6379/s"},
        {"redis://h/a\nb\x1b[2J", "redis://h/a?b?[2J"},
        {"syslog+tcp://[::]:514?idle=1s", "syslog+tcp://[::]:514?***"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CU_ASSERT_STRING_EQUAL(redact(cases[i][0]), cases[i][1]);
        if (strcmp(redact(cases[i][0]), cases[i][1]) != 0)
            printf("    %s: %s\n", cases[i][0], redact(cases[i][0]));
    }
}

/* Whether four bytes in a row of a secret are in a text. */
static bool leaks(const char *text, const char *secret)
{
    for (const char *at = secret; strlen(at) >= 4; at++) {
        char part[5] = {at[0], at[1], at[2], at[3], '\0'};
        if (strstr(text, part) != NULL)
            return true;
    }
    return false;
}

/* A secret in each place where one belongs, with each byte that may end it too early. */
static void test_everywhere(void)
{
    static const char *const places[] = {
        "redis://bob:%s@127.0.0.1:6379/s",
        "rediss://bob:%s@[::1]:99999999/s?db=1",
        "redis://:%s@h",
        "redis://%s@h/s",
        "redis:/bob:%s@h/s",
        "redis:bob:%s@h/s",
        "bob:%s@h/s",
        "//bob:%s@h/s",
        " redis://bob:%s@h/s",
        "kafka://a:1,bob:%s@b:2,c/t",
        "kafka://h:9/t?sasl.password=%s",
        "kafka://h:9/t?linger.ms=5&sasl.password=%s&partitions=3",
        "kafka://h:9/t?SASL.PASSWORD=%s",
        "kafka://h:9/t?s%%61sl.passw%%6Frd=%s",
        "kafka://h:9/t?ssl.key.password=%s&ssl.key.pem=%s",
        "kafka://h:9/t?sasl.oauthbearer.client.secret=%s",
        "kafka://h:9/t?sasl.oauthbearer.config=principal=%s",
        "kafka://h:9/t?token=%s&credential=%s",
        "kafka://h:9/t??sasl.password=%s",
        "kafka://h:9/t?&=%s",
        "kafka://h:9/t?sync=%s",
        "kafka://h:9/t&sasl.password=%s",
        "kafka://h:9/t;sasl.password=%s",
        "kafka://h:9/t#sasl.password=%s",
        "kafka:///t?sasl.password=%s",
        "kafka:?sasl.password=%s",
        "?sasl.password=%s",
        "redis://u:%s",
        "redis://u:%s:6379/s",
    };
    static const char middles[] = "@:/?#&=;, %\\\"'\t\x01\xff[]!~.-_+";
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (size_t j = 0; j < sizeof middles; j++) {
            char secret[32], uri[512];
            snprintf(secret, sizeof secret, "Xy7Qpass%cWordZ9kv", middles[j]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
            snprintf(uri, sizeof uri, places[i], secret, secret);
#pragma GCC diagnostic pop
            if ((middles[j] == '@' && strchr(places[i], '@') == NULL) ||
                (middles[j] == ':' && strchr(places[i], ':') == strrchr(places[i], ':')))
                continue; /* a host behind a user, a password behind a user: as they are shown */
            bool leaked = leaks(redact(uri), "Xy7Qpass");
            /* A URI cannot say that what stands behind the host's end is still a password... */
            bool host_ended = strchr("/?#&;,", middles[j]) != NULL && strstr(uri, "@") == NULL;
            if (!host_ended || strchr(places[i], '?') != NULL)
                leaked = leaked || leaks(redact(uri), "WordZ9kv");
            CU_ASSERT_FALSE(leaked);
            if (leaked)
                printf("    %s: %s\n", uri, redact(uri));
        }
}

/* As snprintf: any room, the length of the whole, always an end, never a byte beyond. */
static void test_room(void)
{
    static const char uri[] = "redis://bob:password@host:6379/stream?db=3&key=/x";
    char whole[128], part[128];
    size_t length = remed_uri_redacted(uri, whole, sizeof whole);
    CU_ASSERT_EQUAL(remed_uri_redacted(uri, NULL, 0), length);
    for (size_t size = 1; size < sizeof part; size++) {
        memset(part, 'x', sizeof part);
        CU_ASSERT_EQUAL(remed_uri_redacted(uri, part, size), length);
        CU_ASSERT_EQUAL(strlen(part), length < size ? length : size - 1);
        CU_ASSERT_EQUAL(strncmp(part, whole, strlen(part)), 0);
        CU_ASSERT_EQUAL(part[size], 'x');
    }
}

static void test_very_long(void)
{
    size_t size = 1u << 20;
    char *uri = malloc(size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(uri);
    memset(uri, 'a', size - 1);
    uri[size - 1] = '\0';
    memcpy(uri, "redis://u:", 10);
    memcpy(uri + size - 10, "@h/stream", 9);
    char text[64];
    remed_uri_redacted(uri, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "redis://u:***@h/stream");
    struct remed_uri_parts parts;
    struct remed_error error;
    CU_ASSERT_EQUAL(remed_uri_parse(&parts, uri, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NULL(strstr(error.message, "aaaa"));
    free(uri);
}

/* The library's own complaints of a URI have no part of it that is hidden. */
static void test_complaints(void)
{
    static const char *const names[] = {"db", NULL};
    static const char *const queries[] = {"Xy7Qpass", "db=1&Xy7Qpass=1", "db=1&Xy7Qpass",
                                          "db=1&=Xy7Qpass", "db=1&Xy7Qpass@h=2"};
    struct remed_error error;
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        const struct remed_uri uri = {"redis", "h", "/s", queries[i]};
        CU_ASSERT_EQUAL(remed_uri_check(&uri, names, &error), REMED_EINVAL);
        CU_ASSERT_FALSE(leaks(error.message, "Xy7Qpass"));
    }
    const struct remed_uri typo = {"redis", "h", "/s", "dbb=1"};
    CU_ASSERT_EQUAL(remed_uri_check(&typo, names, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "'dbb'"));
}

static void test_scrub(void)
{
    static const char secrets[] = "Xy7Qpass\0ab\0";
    char text[128];
    remed_scrub(text, sizeof text, "value Xy7Qpass, y7Qp and ab, xab", secrets, sizeof secrets);
    CU_ASSERT_FALSE(leaks(text, "Xy7Qpass"));
    CU_ASSERT_PTR_NULL(strstr(text, "ab"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "value "));
    remed_scrub(text, 8, "line\nfeed and more", NULL, 0);
    CU_ASSERT_STRING_EQUAL(text, "line fe");
    char *big = calloc(1, 5000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(big);
    memset(big, 'q', 4999);
    char *to = malloc(5000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(to);
    remed_scrub(to, 5000, big, secrets, sizeof secrets);
    CU_ASSERT(strlen(to) <= 1024);
    free(to);
    free(big);
}

/* A driver whose time must not go back, whatever the host's clock does. */
static uint64_t seen[8];
static unsigned seen_count;

static int fake_open(void **state, const struct remed_uri *uri,
                     const struct remed_transport_opts *opts,
                     const struct remed_transport_events *events, struct remed_error *error)
{
    (void)uri;
    (void)opts;
    (void)events;
    (void)error;
    *state = &seen_count;
    return 0;
}

static int fake_publish(void *state, const struct remed_message *message, uint64_t tag,
                        struct remed_error *error)
{
    (void)state;
    (void)message;
    (void)tag;
    (void)error;
    return 0;
}

static int fake_process(void *state, uint64_t now, struct remed_error *error)
{
    (void)state;
    (void)error;
    seen[seen_count++ % 8] = now;
    return 0;
}

static uint64_t fake_deadline(const void *state)
{
    (void)state;
    return seen[(seen_count - 1) % 8] + 100;
}

static int fake_close(void *state, struct remed_error *error)
{
    (void)state;
    (void)error;
    return 0;
}

static void test_clock_and_reserved(void)
{
    static const struct remed_transport_driver driver = {.size = sizeof driver,
                                                         .scheme = "fake",
                                                         .open = fake_open,
                                                         .publish = fake_publish,
                                                         .process = fake_process,
                                                         .deadline = fake_deadline,
                                                         .close = fake_close};
    const struct remed_transport_driver *const drivers[] = {&driver};
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    struct remed_message message = {
        .key = (const uint8_t *)"k", .key_length = 1, .value = (const uint8_t *)"v"};
    remed_transport_opts_init(&opts, sizeof opts);
    opts.drivers = drivers;
    opts.driver_count = 1;
    CU_ASSERT_EQUAL_FATAL(remed_transport_open(&transport, "fake:", &opts, NULL), 0);
    static const uint64_t clock[] = {1000, 2000, 500, 600, 1, UINT64_MAX};
    static const uint64_t wanted[] = {1000, 2000, 2000, 2100, 2100, UINT64_MAX};
    for (unsigned i = 0; i < 5; i++) {
        remed_transport_process(transport, clock[i], NULL);
        CU_ASSERT_EQUAL(seen[i], wanted[i]);
        CU_ASSERT_EQUAL(remed_transport_deadline(transport), clock[i] + 100);
    }
    remed_transport_process(transport, clock[5], NULL);
    CU_ASSERT_EQUAL(seen[5], wanted[5]);
    message.reserved = 1;
    CU_ASSERT_EQUAL(remed_transport_publish(transport, &message, 0, NULL), REMED_EINVAL);
    message.reserved = 0;
    CU_ASSERT_EQUAL(remed_transport_publish(transport, &message, 0, NULL), 0);
    remed_transport_close(transport, NULL);
}

static const struct test_case cases[] = {
    {"what is shown", test_exact},
    {"a secret in each place", test_everywhere},
    {"any room", test_room},
    {"very long", test_very_long},
    {"complaints", test_complaints},
    {"the words of others", test_scrub},
    {"a clock that steps back, and reserved members", test_clock_and_reserved},
    {NULL, NULL}};

const struct test_suite test_suites[] = {{"URIs of transports", cases, NULL, NULL},
                                         {NULL, NULL, NULL, NULL}};
