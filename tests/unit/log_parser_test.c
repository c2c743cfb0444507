/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines to records: types are strict, groups and walkers do as the language says, headers are
 * stepped over and no further, times get their year and zone, and a hostile line gives nothing that
 * the line without its payload would not.
 */
#include "unit/test.h"

#include <remediate/log_rules.h>
#include <rule_sets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1795521600000000000ull /* 2026-11-24T12:00:00Z */

static struct remed_log_rules *rules;
static struct remed_log_parser *parser;
static char records[2048]; /* what the last line gave, as text */
static uint64_t observed;
static struct remed_log_verdict verdict;
static struct remed_log_fields fields; /* of the last line that a rule matched */

static void add(const char *text)
{
    strncat(records, text, sizeof records - strlen(records) - 1);
}

static void add_endpoint(const char *before, const struct remed_endpoint *endpoint)
{
    char text[REMED_ENDPOINT_PRINT_SIZE];
    remed_endpoint_print(endpoint, text);
    if (*text != '\0') {
        add(before);
        add(text);
    }
}

static void on_record(void *context, size_t line, const struct remed_record *record)
{
    struct remed_record_head head;
    struct remed_session session;
    struct remed_nat_binding nat;
    struct remed_lb_assignment lb;
    char number[16];
    (void)context;
    (void)line;
    remed_record_head(record, &head, sizeof head);
    CU_ASSERT_EQUAL(head.source, REMED_LEARNED_LOGGED);
    observed = head.observed;
    add(records[0] != '\0' ? "; " : "");
    add(head.op == REMED_OP_REMOVE ? "-" : "+");
    if (remed_record_body(record, REMED_KIND_SESSION, &session, sizeof session) == 0) {
        snprintf(number, sizeof number, "session %u", session.protocol);
        add(number);
        add_endpoint(" ", &session.client);
        add_endpoint(">", &session.server);
        add_endpoint(" as ", &session.client_outside);
        add_endpoint(" at ", &session.server_inside);
    } else if (remed_record_body(record, REMED_KIND_NAT_BINDING, &nat, sizeof nat) == 0) {
        snprintf(number, sizeof number, "nat %u", nat.protocol);
        add(number);
        add_endpoint(" ", &nat.inside);
        add_endpoint(" as ", &nat.outside);
        add_endpoint(" to ", &nat.remote);
    } else if (remed_record_body(record, REMED_KIND_LB_ASSIGNMENT, &lb, sizeof lb) == 0) {
        add("lb");
        add_endpoint(" ", &lb.client);
        add_endpoint(">", &lb.service);
        add_endpoint(" by ", &lb.backend);
        add(lb.backend_name[0] != '\0' ? " named " : "");
        add(lb.backend_name);
    }
}

static void close_all(void)
{
    remed_log_parser_free(parser);
    remed_log_rules_free(rules);
    parser = NULL;
    rules = NULL;
}

static void use_text(const char *text, size_t length)
{
    struct remed_log_parser_opts opts;
    struct remed_error error;
    close_all();
    if (remed_log_rules_parse(&rules, NULL, text, length, &error) < 0)
        fprintf(stderr, "\n%.*s\n%u:%u: %s\n", (int)length, text, error.line, error.column,
                error.message);
    CU_ASSERT_PTR_NOT_NULL_FATAL(rules);
    remed_log_parser_opts_init(&opts, sizeof opts);
    opts.domain = "test";
    opts.record = on_record;
    opts.zone = 3600;
    CU_ASSERT_EQUAL_FATAL(remed_log_parser_new(&parser, rules, &opts, &error), 0);
}

static void use(const char *text)
{
    use_text(text, strlen(text));
}

static void use_set(const char *name)
{
    const struct rule_set *set = rule_sets;
    while (set->name != NULL && strcmp(set->name, name) != 0)
        set++;
    CU_ASSERT_PTR_NOT_NULL_FATAL(set->name);
    use_text(set->text, set->length);
}

/* The line in memory of its very length, so that a byte too far is seen. */
static const char *run(const char *text, size_t length)
{
    char *exact = malloc(length > 0 ? length : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
    memcpy(exact, text, length);
    const struct remed_log_line line = {.text = exact, .length = length, .received = NOW};
    records[0] = '\0';
    size_t given = remed_log_parser_run(parser, &line, 1, &verdict);
    CU_ASSERT_EQUAL(given, verdict.records);
    CU_ASSERT_EQUAL(given > 0, verdict.outcome == REMED_LOG_RECORDS);
    CU_ASSERT_EQUAL(remed_log_parser_fields(parser, &fields, sizeof fields) == 0,
                    verdict.rule != UINT32_MAX);
    struct remed_log_trace traces[16];
    remed_log_parser_explain(parser, &line, traces, 16);
    free(exact);
    return records;
}

static void gives(const char *line, const char *expected)
{
    const char *given = run(line, strlen(line));
    if (strcmp(given, expected) != 0) {
        fprintf(stderr, "\n%s\n  gives '%s'\n  not   '%s'\n", line, given, expected);
        CU_FAIL("other records");
    }
}

static void outcome(const char *line, unsigned expected)
{
    run(line, strlen(line));
    if (verdict.outcome != expected) {
        fprintf(stderr, "\n%s\n  is %s, not %s\n", line, remed_log_outcome_name(verdict.outcome),
                remed_log_outcome_name(expected));
        CU_FAIL("another outcome");
    }
}

#define PAIR                                                                                       \
    "rule a\n match src:ip \"/\" src.port:port \" \" dst:ip \"/\" dst.port:port\n proto tcp\n "    \
    "event open\n give session\n"

static void types(void)
{
    use(PAIR);
    gives("10.0.0.1/80 9.9.9.9/1", "+session 6 10.0.0.1:80>9.9.9.9:1");
    gives("10.0.0.1/80 9.9.9.9/1 \n", "+session 6 10.0.0.1:80>9.9.9.9:1");
    gives("2001:db8::1/80 ::2/65535", "+session 6 [2001:db8::1]:80>[::2]:65535");
    gives("::ffff:10.0.0.1/80 9.9.9.9/1", "+session 6 10.0.0.1:80>9.9.9.9:1");
    gives("fe80::1%eth0/80 fe80::2/1", "+session 6 [fe80::1]:80>[fe80::2]:1");
    static const char *const wrong[] = {
        "10.0.0.256/80 9.9.9.9/1", "10.0.0/80 9.9.9.9/1",        "10.0.0.1.2/80 9.9.9.9/1",
        "010.0.0.1/80 9.9.9.9/1",  "10.0.0.1/65536 9.9.9.9/1",   "10.0.0.1/ 9.9.9.9/1",
        "10.0.0.1/80 9.9.9.9/1x",  "10.0.0.1/80 9.9.9.9/1 2",    "10.0.0.1a/80 9.9.9.9/1",
        "1:2/80 9.9.9.9/1",        "10.0.0.1/80 host.name/1",    "10.0.0.1/-1 9.9.9.9/1",
        "10..0.1/80 9.9.9.9/1",    "10.0.0.1/00000080 9.9.9.9/1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        outcome(wrong[i], REMED_LOG_UNMATCHED);
    outcome("10.0.0.1/80 2001:db8::1/1", REMED_LOG_INCOMPLETE);
    use("rule a\n match src:endpoint \" \" dst:endpoint-last \" \" proto:protocol\n event open\n "
        "give session\n");
    gives("10.0.0.1:80 9.9.9.9:1 TCP", "+session 6 10.0.0.1:80>9.9.9.9:1");
    gives("[2001:db8::1]:80 2001:db8::2:1 17", "+session 17 [2001:db8::1]:80>[2001:db8::2]:1");
    gives("10.0.0.1 9.9.9.9:0 icmp", "+session 1 10.0.0.1>9.9.9.9");
    outcome("10.0.0.1 9.9.9.9 tcp", REMED_LOG_INCOMPLETE);
    outcome("10.0.0.1:80 9.9.9.9:1 256", REMED_LOG_UNMATCHED);
    outcome("10.0.0.1:80 9.9.9.9:1 tpc", REMED_LOG_UNMATCHED);
}

static void groups(void)
{
    use("rule a\n match [\"a\" [\"b\"] \"c\"] (\"x\" src:ip | \"xy\" dst:ip | dst:ip \"/\" src:ip) "
        "rest\n"
        " proto gre\n event open\n give session\n");
    outcome("acx1.2.3.4", REMED_LOG_INCOMPLETE);
    gives("abc9.9.9.9/1.2.3.4", "+session 47 1.2.3.4>9.9.9.9");
    outcome("abx1.2.3.4", REMED_LOG_UNMATCHED);
    /* What an alternative set before it failed is gone. */
    use("rule a\n match (src:ip \" \" dst:ip \" x\" | src:ip \" \" ip) rest\n proto gre\n event "
        "open\n give session\n");
    outcome("1.2.3.4 5.6.7.8 y", REMED_LOG_INCOMPLETE);
    gives("1.2.3.4 5.6.7.8 x", "+session 47 1.2.3.4>5.6.7.8");
    use("rule a\n match .. \": \" within 4 not \"no\" name:(\"<\" word) \" \" src:ip \" \" dst:ip "
        "end\n proto gre\n"
        " event open when name is \"<a>\"\n give session\n");
    gives("abcd: <a> 1.1.1.1 2.2.2.2  ", "+session 47 1.1.1.1>2.2.2.2");
    outcome("abcd: <b> 1.1.1.1 2.2.2.2", REMED_LOG_SILENT);
    outcome("abcde: <a> 1.1.1.1 2.2.2.2", REMED_LOG_UNMATCHED);
    use("rule a\n match src:ip \" to \" before \"2\" dst:ip lacks \" to \" rest\n proto gre\n "
        "event open\n "
        "give session\n");
    gives("1.1.1.1 to 2.2.2.2 and more", "+session 47 1.1.1.1>2.2.2.2");
    outcome("1.1.1.1 to 2.2.2.2 and to 3.3.3.3", REMED_LOG_UNMATCHED);
    outcome("1.1.1.1 to 3.3.3.3", REMED_LOG_UNMATCHED);
}

#define WANTED                                                                                     \
    " \"s\" src:ip \"sp\" src.port:port \"d\" dst:ip \"dp\" dst.port:port \"t\" src.after:ip ? "   \
    "}\n "                                                                                         \
    "proto udp\n event open\n give session\n"
#define FLOW "+session 17 1.1.1.1:1>2.2.2.2:2"

static void walks(void)
{
    use("rule a\n match keys equals { \"k\" \"v w\"" WANTED);
    gives("s=1.1.1.1 sp=1 d=2.2.2.2 dp=2 k=\"v w\"", FLOW);
    gives("x k=\"v w\" \"s=9.9.9.9\" s=\"1.1.1.1\" sp=1 s=3.3.3.3 d=2.2.2.2 dp=2", FLOW);
    gives("k=\"v w\" u=\"a\\\" s=9.9.9.9 \" s=1.1.1.1 sp=1 d=2.2.2.2 dp=2 t=junk", FLOW);
    outcome("s=1.1.1.1 sp=1 d=2.2.2.2 dp=2 k=v", REMED_LOG_UNMATCHED);
    outcome("s=1.1.1.1 sp=1 d=2.2.2.2 dp=2", REMED_LOG_UNMATCHED);
    outcome("k=\"v w\" s=1.1.1.1 sp=1 d=2.2.2.2 dp=x", REMED_LOG_UNMATCHED);
    outcome("k=\"v w\" s=1.1.1.1 sp=1 d=\"\" dp=2", REMED_LOG_INCOMPLETE);
    outcome("k=\"v w\" s=1.1.1.1 sp=1 u=\"open d=2.2.2.2 dp=2", REMED_LOG_INCOMPLETE);
    use("rule a\n match keys colon { stop \"z\"" WANTED);
    gives("s:\"1.1.1.1\"; sp:\"1\"; u:\"a; s:9\"; d:\"2.2.2.2\"; dp::\"2\"]", FLOW);
    outcome("s:\"1.1.1.1\"; sp:\"1\"; z:\"x\"; d:\"2.2.2.2\"; dp:\"2\"]", REMED_LOG_INCOMPLETE);
    use("rule a\n match keys commas {" WANTED);
    gives("s: 1.1.1.1, sp: 1, u: a, like b, d: 2.2.2.2, dp: 2", FLOW);
    use("rule a\n match keys spaced {" WANTED);
    gives("m=a b c s=1.1.1.1 sp=1 u=x\\=y d=2.2.2.2 dp=2  ", FLOW);
    use("rule a\n match keys equals \",\" {" WANTED);
    gives("s=1.1.1.1,sp=1,u=\"a,s=9.9.9.9\",d=2.2.2.2,dp=2", FLOW);
    use("begin \"C:\" key:escaped \"|\" \"|\"\nrule a key \"a\\\\|b\"\n match escaped \"|\" \"|\" "
        "keys spaced {" WANTED);
    gives("C:a\\|b|c\\\\|s=1.1.1.1 sp=1 d=2.2.2.2 dp=2", FLOW);
    outcome("C:a\\|b|c\\|s=1.1.1.1 sp=1 d=2.2.2.2 dp=2", REMED_LOG_UNMATCHED);
    use("rule a\n match columns \",\" from 1 { 1 src:ip 2 src.port:port 4 dst:ip 5 dst.port:port "
        "}\n "
        "proto udp\n event open\n give session\n");
    gives("1.1.1.1,1,\"a,\"\"b\",2.2.2.2,\"2\",x", FLOW);
    outcome("1.1.1.1,1,\"a,2.2.2.2,2", REMED_LOG_INCOMPLETE);
}

static void json(void)
{
    use("rule a\n match keys json { \"k.k\" \"v\"" WANTED);
    gives("{\"s\":\"1.1.1.1\", \"sp\" : 1,\"k\":{\"k\":\"v\",\"d\":\"9.9.9.9\"},"
          "\"d\":\"2.2.2.2\",\"dp\":\"2\"}",
          FLOW);
    gives("[{\"s\":\"1.1.1.1\",\"u\":\"\\\"s\\\":{\",\"sp\":1,\"k.k\":\"v\",\"t\":null,"
          "\"d\":\"2.2.2.2\",\"dp\":2,\"s\":\"9.9.9.9\"}]",
          FLOW);
    gives("{\"l\":[\"s\",\"9.9.9.9\"],\"s\":\"1.1.1.1\",\"sp\":1,\"k\":[{\"k\":\"v\"},"
          "{\"k\":\"w\"}],\"d\":\"2.2.2.2\",\"dp\":2,\"dp\":3}",
          FLOW);
    /* Of two flows in an array none is made; what a line's end cuts off is no value. */
    outcome("[{\"k.k\":\"v\",\"s\":\"1.1.1.1\",\"sp\":1},{\"d\":\"2.2.2.2\",\"dp\":2}]",
            REMED_LOG_INCOMPLETE);
    outcome("{\"k.k\":\"v\",\"s\":\"1.1.1.1\",\"sp\":1,\"d\":\"2.2.2.2\",\"dp\":2",
            REMED_LOG_INCOMPLETE);
    outcome("{\"k.k\":\"v\",\"s\":\"1.1.1.1\",\"sp\":1} {\"d\":\"2.2.2.2\",\"dp\":2}",
            REMED_LOG_INCOMPLETE);
    outcome("{\"k\":\"v\",\"s\":\"1.1.1.1\"}", REMED_LOG_UNMATCHED);
    outcome("{\"k.k\":\"v\",\"s\":\"1.1.1.1:1\"}", REMED_LOG_UNMATCHED);
    outcome("\"k.k\":\"v\"", REMED_LOG_UNMATCHED);
    outcome("", REMED_LOG_FOREIGN);
    /* Deeper than any key is looked for. */
    char deep[256] = "";
    for (unsigned i = 0; i < 40; i++)
        strcat(deep, "{\"\":");
    strcat(deep, "{\"k.k\":\"w\"");
    outcome(deep, REMED_LOG_UNMATCHED);
}

static void headers(void)
{
    use("begin \"TAG:\" blanks\nrule a\n match src:ip \" \" dst:ip\n proto gre\n event open\n give "
        "session\n");
    static const char *const good[] = {
        "TAG: ",
        "<134>TAG: ",
        "Nov 24 10:00:00 host TAG: ",
        "<134>Nov  4 10:00:00 host TAG: ",
        "Nov 24 2026 10:00:00: TAG: ",
        "<166>:Nov 24 10:00:00 UTC: TAG: ",
        ":Nov 24 2026 10:00:00: TAG: ",
        "2026-11-24T10:00:00.123456+01:00 host x TAG: ",
        "<134>1 2026-11-24T10:00:00Z host app 123 - - TAG: ",
        "99 <134>Nov 24 10:00:00 host TAG: ",
        "Nov 24 10:00:00 relay 1 2026-11-24T10:00:00Z h a - - - TAG: ",
        "Nov 24 10:00:00 relay <134>Nov 24 10:00:00 host TAG: "};
    char line[256];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(line, sizeof line, "%s1.1.1.1 2.2.2.2", good[i]);
        gives(line, "+session 47 1.1.1.1>2.2.2.2");
    }
    outcome("Nov 24 10:00:00 host sshd[1]: Invalid user TAG: 1.1.1.1 2.2.2.2", REMED_LOG_FOREIGN);
    outcome("Nov 24 10:00:00 host a b c d TAG: 1.1.1.1 2.2.2.2", REMED_LOG_FOREIGN);
    outcome("Nov 24 10:00:00 host \"x TAG: 1.1.1.1 2.2.2.2", REMED_LOG_FOREIGN);
    outcome("", REMED_LOG_FOREIGN);
}

static void at_time(const char *line, uint64_t seconds)
{
    run(line, strlen(line));
    CU_ASSERT_EQUAL(verdict.records, 1);
    if (observed != seconds * 1000000000u) {
        fprintf(stderr, "\n%s: %llu\n", line, (unsigned long long)observed);
        CU_FAIL("another time");
    }
}

static void times(void)
{
    const uint64_t noon = NOW / 1000000000u, day = 86400;
    use("begin \"T \"\nrule a\n match src:ip \" \" dst:ip [\" \" (observed:time | "
        "observed:epoch)]\n proto gre\n event open\n give session\n");
    at_time("T 1.1.1.1 2.2.2.2", noon);
    at_time("Nov 24 13:00:00 T 1.1.1.1 2.2.2.2", noon); /* the zone is an hour east */
    at_time("Nov 24 13:00:00 T 1.1.1.1 2.2.2.2", noon);
    at_time("Nov 25 13:00:00 T 1.1.1.1 2.2.2.2", noon + day);
    at_time("Nov 25 13:00:01 T 1.1.1.1 2.2.2.2", noon + day + 1 - 365 * day);
    at_time("Dec 31 00:00:00 T 1.1.1.1 2.2.2.2", 1767135600);
    at_time("Feb 29 00:00:00 T 1.1.1.1 2.2.2.2", 1709161200);
    at_time("Jan  1 00:00:00 T 1.1.1.1 2.2.2.2 2026-11-24T12:00:00Z", noon);
    at_time("T 1.1.1.1 2.2.2.2 2026/11/24 13:00:00", noon);
    at_time("T 1.1.1.1 2.2.2.2 24/Nov/2026:14:00:00 +0200", noon);
    at_time("T 1.1.1.1 2.2.2.2 2026-11-24 13:00:00", noon);
    at_time("T 1.1.1.1 2.2.2.2 1795521600", noon);
    at_time("T 1.1.1.1 2.2.2.2 1795521600000", noon);
    outcome("T 1.1.1.1 2.2.2.2 2026-02-30 13:00:00", REMED_LOG_UNMATCHED);
    outcome("T 1.1.1.1 2.2.2.2 2026-11-24 24:00:00", REMED_LOG_UNMATCHED);
}

static void events(void)
{
    use("begin key:word \" \"\nrule a key x y\n match kind:word \" \" src:ip \" \" dst:ip [\" \" "
        "src.after:ip]\n"
        " proto gre\n event deny when kind is no\n event close when kind is end or \"stop it\" and "
        "key is x\n"
        " event open when kind is go and not has src.after\n event update when kind is go\n"
        " opener dst when key is y\n opener either\n give session\n");
    gives("x go 1.1.1.1 2.2.2.2", "+session 47 1.1.1.1>2.2.2.2");
    CU_ASSERT_EQUAL(verdict.event, REMED_LOG_EVENT_OPEN);
    gives("y go 1.1.1.1 2.2.2.2 3.3.3.3", "+session 47 2.2.2.2>1.1.1.1 at 3.3.3.3");
    CU_ASSERT_EQUAL(verdict.event, REMED_LOG_EVENT_UPDATE);
    gives("x end 1.1.1.1 2.2.2.2", "-session 47 1.1.1.1>2.2.2.2; -session 47 2.2.2.2>1.1.1.1");
    outcome("x no 1.1.1.1 2.2.2.2", REMED_LOG_DENIED);
    outcome("x other 1.1.1.1 2.2.2.2", REMED_LOG_SILENT);
    outcome("z go 1.1.1.1 2.2.2.2", REMED_LOG_UNKNOWN);
    gives("y go 1.1.1.1 2.2.2.2 0.0.0.0", "+session 47 2.2.2.2>1.1.1.1");
    CU_ASSERT_EQUAL(fields.reversed, 1);
    CU_ASSERT_EQUAL(fields.source.address[0], 1);
    struct remed_log_parser_stats stats;
    remed_log_parser_stats(parser, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.lines, 7);
    CU_ASSERT_EQUAL(stats.records, 5);
    CU_ASSERT_EQUAL(stats.outcome[REMED_LOG_DENIED], 1);
    CU_ASSERT_EQUAL(remed_log_parser_rule_lines(parser, 0), 6);
    CU_ASSERT_EQUAL(remed_log_parser_rule_lines(parser, 1), 0);
    use("rule a\n match src:ip \" \" [backend:endpoint] \" \" backend.name:word\n proto tcp\n "
        "event open\n give lb-assignment\n");
    gives("1.1.1.1 2.2.2.2:80 n", "+lb 1.1.1.1>0.0.0.0 by 2.2.2.2:80 named n");
    gives("::1  web", "+lb ::1>:: named web");
    outcome("1.1.1.1  \xff\xfe", REMED_LOG_INCOMPLETE);
}

/* A line, and the same with a payload at each place: every record of the second is one of the
 * first. */
static void hostile(void)
{
    static const char *const payloads[] = {
        " srcip=6.6.6.6 dstip=6.6.6.6 ",
        "\"",
        "\\\"",
        "=",
        " srcip=",
        "\x80\xff",
        "%ASA-6-302013: ",
        " srcport=666 dstport=666 proto=17 transip=6.6.6.6 action=start type=traffic "};
    static const char line[] =
        "date=2026-11-24 time=10:00:00 devname=\"fw\" type=\"traffic\" subtype=\"forward\" "
        "srcip=10.0.0.1 "
        "srcport=1234 dstip=203.0.113.9 dstport=443 proto=6 action=\"close\" policyid=1 "
        "transip=198.51.100.1 transport=5678 url=\"PAYLOAD\" user=\"u\"";
    char expected[sizeof records], text[65536 + 1024];
    use_set("fortinet");
    gives(line, "-session 6 10.0.0.1:1234>203.0.113.9:443 as 198.51.100.1:5678");
    snprintf(expected, sizeof expected, "%s", records);
    const char *place = strstr(line, "PAYLOAD");
    for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++)
        for (unsigned repeats = 1; repeats < 10000; repeats *= 10) {
            size_t length = (size_t)(place - line), one = strlen(payloads[i]);
            memcpy(text, line, length);
            for (unsigned r = 0; r < repeats && length + one < 65536; r++, length += one)
                memcpy(text + length, payloads[i], one);
            memcpy(text + length, place + 7, strlen(place + 7));
            run(text, length + strlen(place + 7));
            CU_ASSERT_STRING_EQUAL(records, expected);
            text[place - line] = '\0';
            run(text, length + strlen(place + 7));
            CU_ASSERT_STRING_EQUAL(records, expected);
        }
    /* Cut anywhere, it gives the same or nothing. */
    for (size_t length = 0; length < sizeof line; length++) {
        run(line, length);
        CU_ASSERT(records[0] == '\0' ||
                  strncmp(records, "-session 6 10.0.0.1:1234>203.0.113.9:4", 38) == 0);
    }
}

static void options(void)
{
    struct remed_log_parser_opts opts;
    struct remed_log_parser *made = NULL;
    struct remed_error error;
    use(PAIR);
    remed_log_parser_opts_init(&opts, sizeof opts);
    CU_ASSERT_EQUAL(remed_log_parser_new(&made, rules, &opts, &error), REMED_EINVAL);
    opts.domain = "";
    CU_ASSERT_EQUAL(remed_log_parser_new(&made, rules, &opts, &error), REMED_EINVAL);
    opts.domain = "d";
    opts.zone = 86400;
    CU_ASSERT_EQUAL(remed_log_parser_new(&made, rules, &opts, &error), REMED_EINVAL);
    opts.zone = 0;
    opts.service.ip_version = 5;
    CU_ASSERT_EQUAL(remed_log_parser_new(&made, rules, &opts, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NULL(made);
    remed_log_parser_free(NULL);
    remed_log_rules_free(NULL);
}

static const struct test_case cases[] = {
    {"addresses, ports and protocols are strict", types},
    {"options and alternatives", groups},
    {"walks over keys and columns", walks},
    {"walks over JSON", json},
    {"headers are stepped over, and no further", headers},
    {"times, with and without year and zone", times},
    {"events, openers and records", events},
    {"hostile lines", hostile},
    {"options", options},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"log_parser", cases, NULL, close_all},
                                         {NULL, NULL, NULL, NULL}};
