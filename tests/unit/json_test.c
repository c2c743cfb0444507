/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records as JSON: the design's own examples, each kind there and back, and what is refused.
 */
#include "unit/test.h"

#include <remediate/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct remed_record *record, *other;
static struct remed_error error;

static void setup(void)
{
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&record, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&other, NULL), 0);
}

static void teardown(void)
{
    remed_record_free(record);
    remed_record_free(other);
}

static int read_text(const char *text)
{
    memset(&error, 0, sizeof error);
    return remed_json_read(record, text, strlen(text), NULL, &error);
}

static const char *const lines[] = {
    "{\"domain\":\"edge-1\",\"kind\":\"nat-binding\",\"op\":\"upsert\",\"epoch\":1,\"sequence\":42,"
    "\"origin\":\"fw1\",\"source\":\"logged\",\"observed\":\"2026-11-23T10:00:00.123456789Z\","
    "\"expires\":null,\"body\":{\"protocol\":\"tcp\",\"inside\":\"10.0.0.1:1234\","
    "\"outside\":\"198.51.100.1:40001\",\"remote\":\"203.0.113.9:443\"}}",
    "{\"domain\":\"edge-1\",\"kind\":\"lb-assignment\",\"op\":\"upsert\",\"epoch\":0,\"sequence\":"
    "0,"
    "\"origin\":\"\",\"source\":\"mirrored\",\"observed\":null,\"expires\":null,"
    "\"body\":{\"protocol\":\"tcp\",\"client\":\"[2001:db8::7]:5000\","
    "\"virtual\":\"[2001:db8::1]:443\",\"backend\":\"10.1.0.3:8443\"}}",
    "{\"domain\":\"edge-1\",\"kind\":\"session\",\"op\":\"remove\",\"epoch\":0,\"sequence\":0,"
    "\"origin\":\"\",\"source\":\"mirrored\",\"observed\":null,\"expires\":null,"
    "\"body\":{\"protocol\":\"udp\",\"client\":\"10.0.0.1:53001\",\"server\":\"9.9.9.9:53\"}}",
    "{\"domain\":\"d\",\"kind\":\"session\",\"op\":\"upsert\",\"epoch\":4611686018427387904,"
    "\"sequence\":0,\"origin\":\"\",\"source\":\"extracted\",\"observed\":null,"
    "\"expires\":\"2030-02-28T23:59:59.000000001Z\",\"body\":{\"protocol\":\"icmp\","
    "\"client\":\"10.0.0.1\",\"server\":\"2001:db8::9\",\"client_outside\":\"192.0.2.1:7\","
    "\"tcp_state\":\"established\",\"timeout_ns\":30000000000,\"bytes\":[1,"
    "\"9223372036854775808\"],\"packets\":[2,3],\"windows\":[null,{\"end\":4294967295,"
    "\"max_end\":1,\"max_window\":2,\"scale\":14}]}}",
    "{\"domain\":\"d\",\"kind\":\"flow-rule\",\"op\":\"upsert\",\"epoch\":0,\"sequence\":0,"
    "\"origin\":\"\",\"source\":\"mirrored\",\"observed\":null,\"expires\":null,"
    "\"body\":{\"table\":1,\"priority\":2,\"cookie\":3,\"match\":\"tcp,tp_dst=80\","
    "\"actions\":{\"hex\":\"00ff10\"}}}",
    "{\"domain\":\"d\",\"kind\":\"counter\",\"op\":\"upsert\",\"epoch\":0,\"sequence\":0,"
    "\"origin\":\"\",\"source\":\"mirrored\",\"observed\":null,\"expires\":null,"
    "\"body\":{\"name\":\"rx\",\"value\":12}}",
    "{\"domain\":\"d\",\"kind\":\"opaque\",\"op\":\"upsert\",\"epoch\":0,\"sequence\":0,"
    "\"origin\":\"\",\"source\":\"mirrored\",\"observed\":null,\"expires\":null,"
    "\"body\":{\"key\":\"k\",\"data\":{\"hex\":\"0a\"}}}",
};

static void round_trips(void)
{
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[2048];
        size_t length = 0;
        int rc = read_text(lines[i]);
        if (rc < 0)
            fprintf(stderr, "line %zu: %s\n", i, error.message);
        CU_ASSERT_EQUAL_FATAL(rc, 0);
        CU_ASSERT_EQUAL(remed_json_write(record, text, sizeof text, &length), 0);
        CU_ASSERT_EQUAL(length, strlen(lines[i]));
        if (strcmp(text, lines[i]) != 0)
            fprintf(stderr, "%s\n%s\n", lines[i], text);
        CU_ASSERT_STRING_EQUAL(text, lines[i]);
        CU_ASSERT_EQUAL(remed_json_write(record, text, length, &length), REMED_ELIMIT);
        /* and over the wire */
        uint8_t wire[1024];
        CU_ASSERT_EQUAL(remed_record_encode(record, wire, sizeof wire, &length), 0);
        CU_ASSERT_EQUAL(remed_record_decode(other, wire, length, &error), 0);
        CU_ASSERT_EQUAL(remed_json_write(other, text, sizeof text, &length), 0);
        CU_ASSERT_STRING_EQUAL(text, lines[i]);
    }
}

/* domain, kind and body suffice; a backend that is no address is a name. */
static void filled_in(void)
{
    struct remed_record_head head;
    struct remed_lb_assignment body;
    const struct remed_json_defaults defaults = {.size = sizeof defaults,
                                                 .domain = "d",
                                                 .origin = "me",
                                                 .epoch = 3,
                                                 .sequence = 9,
                                                 .observed = 77,
                                                 .source = REMED_LEARNED_LOGGED};
    const char *text =
        "{\"kind\":\"lb-assignment\",\"body\":{\"protocol\":6,\"client\":\"10.0.0.1:1\","
        "\"virtual\":\"10.0.0.2:2\",\"backend\":\"srv-3\"}}";
    CU_ASSERT_EQUAL_FATAL(remed_json_read(record, text, strlen(text), &defaults, &error), 0);
    remed_record_head(record, &head, sizeof head);
    CU_ASSERT_STRING_EQUAL(head.domain, "d");
    CU_ASSERT_STRING_EQUAL(head.origin, "me");
    CU_ASSERT(head.epoch == 3 && head.sequence == 9 && head.observed == 77);
    CU_ASSERT_EQUAL(head.source, REMED_LEARNED_LOGGED);
    CU_ASSERT_EQUAL(remed_record_body(record, REMED_KIND_LB_ASSIGNMENT, &body, sizeof body), 0);
    CU_ASSERT_STRING_EQUAL(body.backend_name, "srv-3");
    CU_ASSERT_EQUAL(body.backend.ip_version, 0);
    CU_ASSERT_EQUAL(read_text(text), REMED_EFORMAT); /* without defaults there is no domain */
}

static const struct wrong {
    const char *text;
    int code;
    const char *says;
} wrong[] = {
    {"", REMED_ESYNTAX, ""},
    {"[]", REMED_EFORMAT, "object"},
    {"{\"domain\":\"d\",", REMED_ESYNTAX, ""},
    {"{\"domain\":\"d\",\"domain\":\"e\"}", REMED_ESYNTAX, "duplicate"},
    {"{\"domian\":\"d\"}", REMED_EFORMAT, "domian"},
    {"{\"domain\":\"d\",\"kind\":\"nat\",\"body\":{}}", REMED_EFORMAT, "kind"},
    {"{\"domain\":\"d\",\"kind\":\"counter\"}", REMED_EFORMAT, "body"},
    {"{\"domain\":\"d\",\"kind\":\"counter\",\"body\":{\"name\":\"\"}}", REMED_EFORMAT, "name"},
    {"{\"domain\":\"d\",\"kind\":\"counter\",\"body\":{\"name\":\"x\",\"value\":-1}}",
     REMED_EFORMAT, "value"},
    {"{\"domain\":\"d\",\"kind\":\"counter\",\"body\":{\"name\":\"x\",\"valeu\":1}}", REMED_EFORMAT,
     "valeu"},
    {"{\"domain\":\"d\",\"kind\":\"counter\",\"op\":\"delete\",\"body\":{\"name\":\"x\"}}",
     REMED_EFORMAT, "op"},
    {"{\"domain\":\"d\",\"kind\":\"counter\",\"observed\":\"yesterday\",\"body\":{\"name\":\"x\"}}",
     REMED_EFORMAT, "observed"},
    {"{\"domain\":\"d\",\"kind\":\"nat-binding\",\"body\":{\"protocol\":\"tcp\","
     "\"inside\":\"10.0.0.256:1\"}}",
     REMED_EFORMAT, "inside"},
    {"{\"domain\":\"d\",\"kind\":\"nat-binding\",\"body\":{\"protocol\":\"tcpp\","
     "\"inside\":\"10.0.0.1:1\"}}",
     REMED_EFORMAT, "protocol"},
    {"{\"domain\":\"d\",\"kind\":\"nat-binding\",\"body\":{\"protocol\":\"tcp\","
     "\"inside\":\"10.0.0.1:1\"}}",
     REMED_EFORMAT, "outside"},
    {"{\"domain\":\"d\",\"kind\":\"opaque\",\"body\":{\"key\":{\"hex\":\"0g\"}}}", REMED_EFORMAT,
     "key"},
};

static void refused(void)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int rc = read_text(wrong[i].text);
        bool right = rc == wrong[i].code && strstr(error.message, wrong[i].says) != NULL;
        if (!right)
            fprintf(stderr, "%s: %d %s\n", wrong[i].text, rc, error.message);
        CU_ASSERT_TRUE(right);
        CU_ASSERT_EQUAL(remed_record_key(record, NULL, 0), 0);
    }
    size_t length = 1u << 16;
    char *deep = malloc(length);
    CU_ASSERT_PTR_NOT_NULL_FATAL(deep);
    memset(deep, '[', length);
    CU_ASSERT_EQUAL(remed_json_read(record, deep, length, NULL, &error), REMED_ESYNTAX);
    free(deep);
}

/* Every member that is a number, as a form with a hole, and its greatest. */
static const struct member {
    const char *name, *form;
    uint64_t most;
} members[] = {
    {"epoch", "\"epoch\":%s,\"kind\":\"counter\",\"body\":{\"name\":\"x\"}", REMED_NUMBER_MAX},
    {"sequence", "\"sequence\":%s,\"kind\":\"counter\",\"body\":{\"name\":\"x\"}",
     REMED_NUMBER_MAX},
    {"value", "\"kind\":\"counter\",\"body\":{\"name\":\"x\",\"value\":%s}", UINT64_MAX},
    {"table", "\"kind\":\"flow-rule\",\"body\":{\"table\":%s}", UINT32_MAX},
    {"priority", "\"kind\":\"flow-rule\",\"body\":{\"table\":1,\"priority\":%s}", UINT32_MAX},
    {"cookie", "\"kind\":\"flow-rule\",\"body\":{\"cookie\" : %s,\"match\":\"a\\\"b\"}",
     UINT64_MAX},
#define SESSION                                                                                    \
    "\"kind\":\"session\",\"body\":{\"protocol\":\"tcp\",\"client\":\"10.0.0.1:1\","               \
    "\"server\":\"10.0.0.2:2\","
    {"timeout_ns", SESSION "\"timeout_ns\":%s}", UINT64_MAX},
    {"bytes", SESSION "\"bytes\":[%s,1]}", UINT64_MAX},
    {"bytes", SESSION "\"bytes\":[1,%s]}", UINT64_MAX},
    {"packets", SESSION "\"packets\":[1,%s]}", UINT64_MAX},
    {"end", SESSION "\"windows\":[{\"end\":%s},null]}", UINT32_MAX},
    {"max_end", SESSION "\"windows\":[null,{\"max_end\":%s}]}", UINT32_MAX},
    {"max_window", SESSION "\"windows\":[null,{\"max_window\":%s}]}", UINT32_MAX},
    {"scale", SESSION "\"windows\":[{\"scale\":%s},null]}", 14},
    {"protocol",
     "\"kind\":\"session\",\"body\":{\"client\":\"10.0.0.1:1\",\"server\":\"10.0.0.2:2\","
     "\"protocol\":%s}",
     255},
};

static int read_member(const struct member *member, const char *value)
{
    char inner[512], text[600];
    snprintf(inner, sizeof inner, member->form, value);
    snprintf(text, sizeof text, "{\"domain\":\"d\",%s}", inner);
    return read_text(text);
}

static void is_named(const struct member *member, const char *value)
{
    int rc = read_member(member, value);
    bool right =
        rc == REMED_EFORMAT && strncmp(error.message, member->name, strlen(member->name)) == 0;
    if (!right)
        fprintf(stderr, "%s %s: %d %s\n", member->name, value, rc, error.message);
    CU_ASSERT_TRUE(right);
}

/* Numbers that do not fit are errors with their member's name, in every way to write them. */
static void numbers(void)
{
    static const char *const bad[] = {"-1",
                                      "-0.5",
                                      "1.5",
                                      "1.0",
                                      "1e3",
                                      "1E400",
                                      "-1e400",
                                      "9007199254740993.0",
                                      "true",
                                      "{}",
                                      "18446744073709551616",
                                      "99999999999999999999999",
                                      "-9223372036854775809",
                                      "\"18446744073709551616\"",
                                      "\"99999999999999999999\"",
                                      "\"36893488147419103233\"",
                                      "\"-1\"",
                                      "\"+1\"",
                                      "\" 1\"",
                                      "\"1 \"",
                                      "\"\"",
                                      "\"1e3\"",
                                      "\"0x10\"",
                                      "\"1.0\""};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const struct member *member = &members[i];
        bool quoted = strcmp(member->name, "protocol") != 0;
        char text[32];
        for (size_t j = 0; j < sizeof bad / sizeof *bad; j++)
            is_named(member, bad[j]);
        snprintf(text, sizeof text, quoted ? "\"%llu\"" : "%llu", (unsigned long long)member->most);
        CU_ASSERT_EQUAL(read_member(member, text), 0);
        if (member->most == UINT64_MAX)
            continue;
        snprintf(text, sizeof text, "\"%llu\"", (unsigned long long)member->most + 1);
        is_named(member, text);
        snprintf(text, sizeof text, "%llu", (unsigned long long)member->most + 1);
        is_named(member, text);
    }
}

/* Times that no day has, or that do not fit. */
static void wrong_times(void)
{
    static const char *const bad[] = {"2026-02-29T00:00:00Z",  "2026-04-31T00:00:00Z",
                                      "2026-13-01T00:00:00Z",  "2026-00-01T00:00:00Z",
                                      "2026-01-00T00:00:00Z",  "2100-02-29T00:00:00Z",
                                      "1969-12-31T23:59:59Z",  "1970-01-01T00:00:00Z",
                                      "2554-07-21T23:34:34Z",  "2554-07-21T23:34:33.709551616Z",
                                      "9999-12-31T23:59:59Z",  "+026-01-01T00:00:00Z",
                                      " 026-01-01T00:00:00Z",  "2026- 1-01T00:00:00Z",
                                      "2026-01-01T24:00:00Z",  "2026-01-01T00:00:00",
                                      "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567891Z",
                                      "2026-01-01T00:00:00Zx", ""};
    static const char *const names[] = {"observed", "expires"};
    char text[256];
    for (size_t i = 0; i < 2 * sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text,
                 "{\"domain\":\"d\",\"kind\":\"counter\",\"%s\":\"%s\",\"body\":{\"name\":\"x\"}}",
                 names[i % 2], bad[i / 2]);
        int rc = read_text(text);
        if (rc != REMED_EFORMAT || strncmp(error.message, names[i % 2], 7) != 0)
            fprintf(stderr, "%s: %d %s\n", text, rc, error.message);
        CU_ASSERT(rc == REMED_EFORMAT && strncmp(error.message, names[i % 2], 7) == 0);
    }
}

static void defaults_out_of_range(void)
{
    const char *text = "{\"kind\":\"counter\",\"body\":{\"name\":\"x\"}}";
    const struct remed_json_defaults good = {.size = sizeof good, .domain = "d"};
    struct remed_json_defaults bad[4] = {good, good, good, good};
    bad[0].reserved = 1;
    bad[1].epoch = REMED_NUMBER_MAX + 1;
    bad[2].sequence = REMED_NUMBER_MAX + 1;
    bad[3].source = 4;
    CU_ASSERT_EQUAL(remed_json_read(record, text, strlen(text), &good, &error), 0);
    for (unsigned i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(remed_json_read(record, text, strlen(text), &bad[i], &error), REMED_EINVAL);
}

static void times(void)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } known[] = {{"1970-01-01T00:00:00.000000000Z", 0},
                 {"2000-02-29T12:30:15.500000000Z", 951827415500000000ull},
                 {"2100-03-01T00:00:00.000000001Z", 4107542400000000001ull},
                 {"2026-11-23T10:00:00.123456789Z", 1795428000123456789ull},
                 {"2554-07-21T23:34:33.709551615Z", UINT64_MAX}};
    for (size_t i = 1; i < sizeof known / sizeof *known; i++) {
        char text[512];
        struct remed_record_head head;
        snprintf(
            text, sizeof text,
            "{\"domain\":\"d\",\"kind\":\"counter\",\"observed\":\"%s\",\"body\":{\"name\":\"x\"}}",
            known[i].text);
        CU_ASSERT_EQUAL_FATAL(read_text(text), 0);
        remed_record_head(record, &head, sizeof head);
        CU_ASSERT_EQUAL(head.observed, known[i].ns);
        size_t length;
        CU_ASSERT_EQUAL(remed_json_write(record, text, sizeof text, &length), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(text, known[i].text));
    }
}

static const struct test_case cases[] = {
    {"each kind there and back", round_trips},
    {"what is missing is filled in", filled_in},
    {"what is wrong is named", refused},
    {"times", times},
    {"times that are none", wrong_times},
    {"numbers that do not fit", numbers},
    {"defaults out of range", defaults_out_of_range},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"json", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
