/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The policy language: what text means, where errors are, and that printing gives back an equal
 * policy, on hand-written texts and on thousands of generated ones.
 */
#include "unit/test.h"

#include <remediate/policy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct remed_policy *parse(const char *text, struct remed_error *error)
{
    struct remed_policy *policy = NULL;
    memset(error, 0, sizeof *error);
    int rc = remed_policy_parse(&policy, NULL, text, strlen(text), error);
    CU_ASSERT_EQUAL(rc < 0, policy == NULL);
    return policy;
}

static struct remed_policy_rule rule_of(const char *text)
{
    struct remed_error error;
    struct remed_policy_rule rule = {.line = 0};
    struct remed_policy *policy = parse(text, &error);
    if (policy == NULL)
        fprintf(stderr, "%s: %s\n", text, error.message);
    CU_ASSERT_PTR_NOT_NULL_FATAL(policy);
    CU_ASSERT_EQUAL(remed_policy_rules(policy), 1);
    CU_ASSERT_EQUAL(remed_policy_rule(policy, 0, &rule, sizeof rule), 0);
    CU_ASSERT_EQUAL(remed_policy_rule(policy, 1, &rule, sizeof rule), REMED_ENOENT);
    remed_policy_free(policy);
    return rule;
}

static void check_rule(const char *text, unsigned action, uint64_t amount, uint64_t refresh,
                       unsigned sides)
{
    struct remed_policy_rule rule = rule_of(text);
    CU_ASSERT_EQUAL(rule.action, action);
    CU_ASSERT_EQUAL(rule.amount, amount);
    CU_ASSERT_EQUAL(rule.refresh, refresh);
    CU_ASSERT_EQUAL(rule.sides, sides);
}

static void actions(void)
{
    const uint64_t s = 1000000000;
    check_rule("any : none", REMED_ACTION_NONE, 0, 0, 3);
    check_rule("tcp and dst port 21 : all", REMED_ACTION_ALL, 0, 0, 3);
    check_rule("any: syn", REMED_ACTION_SYN, 0, 0, 3);
    check_rule("tcp:handshake,refresh 10s", REMED_ACTION_HANDSHAKE, 0, 10 * s, 3);
    check_rule("udp or icmp : first 1, refresh 1500ms, in", REMED_ACTION_FIRST, 1, 3 * s / 2, 1);
    check_rule("any : first 4 each, out, refresh 2m", REMED_ACTION_FIRST_EACH, 4, 120 * s, 2);
    check_rule("any : first 64kB, both", REMED_ACTION_FIRST_BYTES, 64000, 0, 3);
    check_rule("any : first 64KiB", REMED_ACTION_FIRST_BYTES, 65536, 0, 3);
    check_rule("any : first 1b", REMED_ACTION_FIRST_BYTES, 1, 0, 3);
    check_rule("any : sample 1/8", REMED_ACTION_SAMPLE, 8, 0, 3);
    check_rule("any : close, out", REMED_ACTION_CLOSE, 0, 0, 2);
    check_rule("tcp : handshake, close, refresh 10s", REMED_ACTION_HANDSHAKE, 0, 10 * s, 3);
    CU_ASSERT_EQUAL(rule_of("tcp : handshake, close, refresh 10s").close, 1);
    CU_ASSERT_EQUAL(rule_of("tcp : handshake, in, close").close, 1);
    CU_ASSERT_EQUAL(rule_of("tcp : handshake, refresh 10s").close, 0);
    check_rule("host 2001:db8::1 : all", REMED_ACTION_ALL, 0, 0, 3);
    check_rule("host 2001:db8::1: all", REMED_ACTION_ALL, 0, 0, 3);
    check_rule("host :: : all", REMED_ACTION_ALL, 0, 0, 3);
    check_rule("\n\n# words\n  any : all # more\r\n;;\n", REMED_ACTION_ALL, 0, 0, 3);
}

static void lines_and_limit(void)
{
    struct remed_error error;
    struct remed_policy_rule rule = {.line = 0};
    struct remed_policy *policy =
        parse("# head\ntcp : syn\n\nlimit 50Mbit\npreset nat\nany : none", &error);
    CU_ASSERT_PTR_NOT_NULL_FATAL(policy);
    CU_ASSERT_EQUAL(remed_policy_limit(policy), 50000000);
    size_t count = remed_policy_rules(policy);
    CU_ASSERT(count > 2);
    remed_policy_rule(policy, 0, &rule, sizeof rule);
    CU_ASSERT_EQUAL(rule.line, 2);
    remed_policy_rule(policy, 1, &rule, sizeof rule);
    CU_ASSERT_EQUAL(rule.line, 5); /* a preset's rules stand where it is named */
    remed_policy_rule(policy, count - 1, &rule, sizeof rule);
    CU_ASSERT_EQUAL(rule.line, 6);
    remed_policy_free(policy);
}

/* A wrong text, the place of the error, and a word that the message must hold. */
static const struct wrong {
    const char *text;
    unsigned line, column;
    const char *says;
} wrong[] = {
    {"", 1, 1, "a rule"},
    {"# nothing\n", 2, 1, "a rule"},
    {"tcp", 1, 4, "':'"},
    {"tcp :", 1, 6, "an action"},
    {"tcp : handshak", 1, 7, "'handshake'"},
    {"tcp : first", 1, 12, "a number of packets"},
    {"tcp : first 0", 1, 13, "a number of packets"},
    {"tcp : first 5 packets", 1, 15, "the end of the rule"},
    {"tcp : first 18446744073709551616", 1, 13, "a number of packets"},
    {"tcp : sample 3", 1, 14, "1/8"},
    {"tcp : sample 1/0", 1, 14, "1/8"},
    {"tcp : all, refresh 10", 1, 20, "10s"},
    {"tcp : all, refresh 1s, refresh 2s", 1, 24, "one refresh"},
    {"tcp : all, in, out", 1, 16, "refresh, or the end"},
    {"tcp : all, close, close", 1, 19, "one close"},
    {"tcp : close, close", 1, 14, "one close"},
    {"tcp : clsoe", 1, 7, "'close'"},
    {"tcp : all, sideways", 1, 12, "in, out or both"},
    {"any : none\nudp and : all", 2, 9, ""},
    {"(tcp : all", 1, 6, "')'"},
    {"tcp) : all", 1, 4, "':'"},
    {"tcp and not", 1, 12, ""},
    {"port : all", 1, 6, ""},
    {"port 65536 : all", 1, 6, "65535"},
    {"host 10.0.0.256 : all", 1, 6, ""},
    {"host example.org : all", 1, 6, ""},
    {"net 10.0.0.1/33 : all", 1, 5, ""},
    {"host 2001:db8:::1 : all", 1, 6, ""},
    {"vlan 4096 : all", 1, 6, ""},
    {"host 02:00:00:00:00:01 : all", 1, 6, "ether host"},
    {"ether host 02:00:00:00:00 : all", 1, 12, "Ethernet address"},
    {"pppoes and ether host 02:00:00:00:00:01 : all", 1, 23, "no Ethernet header"},
    {"pppoes and ether broadcast : all", 1, 18, "no Ethernet header"},
    {"ether : all", 1, 7, "proto"},
    {"ether proto 0x600000 : all", 1, 13, "out of range"},
    {"ether proto 6 : all", 1, 13, "ether[12:2]"},
    {"ether proto 0x809b : all", 1, 13, "ether[12:2]"},
    {"ip proto 256 : all", 1, 10, "out of range"},
    {"tcp proto 6 : all", 1, 11, "ether, ip, ip6"},
    {"src proto 6 : all", 1, 11, "ether, ip, ip6"},
    {"ip protochain 6 : all", 1, 4, "'proto'"},
    {"ip broadcast : all", 1, 4, "dst host"},
    {"tcp multicast : all", 1, 5, "ether, ip or ip6"},
    {"udp port http : all", 1, 10, "its number"},
    {"portrange a-b : all", 1, 11, "5000-5010"},
    {"port 080 : all", 1, 6, "octal"},
    {"port 0x100000000 : all", 1, 6, "32 bits"},
    {"443 : all", 1, 1, "port"},
    {"gateway r1 : all", 1, 1, "ether host"},
    {"inbound : all", 1, 1, "in"},
    {"wlan host 02:00:00:00:00:01 : all", 1, 1, "802.11"},
    {"port (80 or tcp) : all", 1, 13, "port"},
    {"port (80 : all", 1, 10, "')'"},
    {"esp[0] = 1 : all", 1, 1, "ether, ip, ip6"},
    {"tcp[0 : all", 1, 9, "1, 2 or 4"},
    {"tcp[0:3] = 1 : all", 1, 7, "1, 2 or 4"},
    {"tcp[0:len] = 1 : all", 1, 7, "1, 2 or 4"},
    {"tcp[] = 1 : all", 1, 5, "a number"},
    {"tcp[0] : all", 1, 8, "="},
    {"(tcp[0]) : all", 1, 10, "="},
    {"not (tcp[0]) and ip : all", 1, 14, "="},
    {"tcp and (udp or tcp[0]) : all", 1, 23, "="},
    {"tcp[0] = : all", 1, 10, "a number"},
    {"tcp[0] = 1 = 2 : all", 1, 12, "and"},
    {"(tcp[0] = 1) + 2 = 3 : all", 1, 14, "and"},
    {"len = 4294967296 : all", 1, 7, "32 bits"},
    {"len = 1 / 0 : all", 1, 9, "division"},
    {"len % (4 - 4) = 1 : all", 1, 5, "division"},
    {"len << 32 = 1 : all", 1, 5, "31 bits"},
    {"limit 50", 1, 7, "50Mbit"},
    {"any : all\nlimit 5bit\nlimit 6bit", 3, 1, "one limit"},
    {"preset router", 1, 8, "firewall"},
    {"any : all\ntcp @ : all", 2, 5, "'@'"},
};

static void errors(void)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct remed_error error;
        struct remed_policy *policy = parse(wrong[i].text, &error);
        bool right = policy == NULL && error.code == REMED_ESYNTAX && error.line == wrong[i].line &&
                     error.column == wrong[i].column &&
                     strstr(error.message, wrong[i].says) != NULL;
        if (!right)
            fprintf(stderr, "'%s': %d at %u:%u, %s\n", wrong[i].text, error.code, error.line,
                    error.column, error.message);
        CU_ASSERT_TRUE(right);
        remed_policy_free(policy);
    }
}

static void bounds(void)
{
    struct remed_policy_opts opts;
    struct remed_policy *policy = NULL;
    struct remed_error error = {0};
    remed_policy_opts_init(&opts, sizeof opts);
    opts.max_rules = 2;
    opts.max_depth = 3;
    const char *many = "any : all\ntcp : all\nudp : all", *deep = "((((tcp)))) : all";
    CU_ASSERT_EQUAL(remed_policy_parse(&policy, &opts, many, strlen(many), &error), REMED_ELIMIT);
    CU_ASSERT_EQUAL(error.line, 3);
    CU_ASSERT_EQUAL(remed_policy_parse(&policy, &opts, deep, strlen(deep), &error), REMED_ELIMIT);
    CU_ASSERT_EQUAL(remed_policy_parse(&policy, &opts, "any : all\0", 10, &error), REMED_ESYNTAX);
    CU_ASSERT_EQUAL(error.column, 10);
    opts.max_rules = 0;
    CU_ASSERT_EQUAL(remed_policy_parse(&policy, &opts, "any : all", 9, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NULL(policy);
    /* Far deeper than any stack would bear without the bound. */
    size_t length = 1u << 20;
    char *text = malloc(length);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    memset(text, '(', length);
    CU_ASSERT_EQUAL(remed_policy_parse(&policy, NULL, text, length, &error), REMED_ELIMIT);
    memset(text, '!', length);
    CU_ASSERT_EQUAL(remed_policy_parse(&policy, NULL, text, length, &error), REMED_ELIMIT);
    free(text);
}

/* A head, a unit that is repeated, and a tail. */
static int repeated(const char *head, const char *unit, size_t times, const char *tail)
{
    struct remed_policy *policy = NULL;
    struct remed_error error = {0};
    size_t length = strlen(unit), at = strlen(head);
    char *text = malloc(at + length * times + strlen(tail) + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    memcpy(text, head, at);
    for (size_t i = 0; i < times; i++, at += length)
        memcpy(text + at, unit, length);
    strcpy(text + at, tail);
    int rc = remed_policy_parse(&policy, NULL, text, strlen(text), &error);
    CU_ASSERT_EQUAL(rc < 0, policy == NULL);
    if (policy != NULL)
        CU_ASSERT(remed_policy_print(policy, NULL, 0) <= 4 * strlen(text));
    remed_policy_free(policy);
    free(text);
    return rc;
}

/* Whatever is repeated, work and size stay in step with the text, and depth with its bound. */
static void arithmetic_bounds(void)
{
    const size_t most = 1u << 20;
    CU_ASSERT_EQUAL(repeated("len", " + 1 - tcp[0]", 100, " = 1 : all"), 0);
    CU_ASSERT_EQUAL(repeated("len", " / len", most, " = 1 : all"), REMED_ELIMIT);
    CU_ASSERT_EQUAL(repeated("len", "/len", most, " = 1 : all"), REMED_ELIMIT);
    CU_ASSERT_EQUAL(repeated("len", " + 1", 60000, " = 1 : all"), REMED_ELIMIT);
    CU_ASSERT_EQUAL(repeated("len", " % len", 12, " = 1 : all"), 0);
    CU_ASSERT_EQUAL(repeated("len", " % len", 20, " = 1 : all"), REMED_ELIMIT);
    CU_ASSERT_EQUAL(repeated("len % ", "(", most, ""), REMED_ELIMIT);
    CU_ASSERT_EQUAL(repeated("", "-", most, ""), REMED_ELIMIT);
    CU_ASSERT_EQUAL(repeated("", "- ", 60, "1 = len : all"), 0);
    CU_ASSERT_EQUAL(repeated("", "tcp[", most, ""), REMED_ELIMIT);
    CU_ASSERT_EQUAL(repeated("", "(", 60, "len = 1 : all"), REMED_ESYNTAX);
    CU_ASSERT_EQUAL(repeated("port ", "(", most, ""), REMED_ELIMIT);
    CU_ASSERT_EQUAL(repeated("port ", "not ", most, "80 : all"), REMED_ELIMIT);
    CU_ASSERT_EQUAL(repeated("(80", ")", most, " : all"), REMED_ESYNTAX);
    CU_ASSERT_EQUAL(repeated("port 80", " or 80", 4000, " : all"), 0);
    CU_ASSERT_EQUAL(repeated("port 80", " or 80", most, " : all"), REMED_ELIMIT);
    CU_ASSERT_EQUAL(repeated("tcp[0] = 1", " or tcp[0] = 1", 2000, " : all"), REMED_ELIMIT);
    CU_ASSERT_EQUAL(repeated("", "a", most, " : all"), REMED_ESYNTAX);
    CU_ASSERT_EQUAL(repeated("", "1:", most, " : all"), REMED_ESYNTAX);
    CU_ASSERT_EQUAL(repeated("", "preset nat\n", 4096, ""), REMED_ELIMIT);
}

static void presets(void)
{
    const char *name, *text;
    size_t count = 0;
    for (; remed_policy_preset(count, &name, &text) == 0; count++) {
        struct remed_error error;
        char line[64];
        snprintf(line, sizeof line, "preset %s", name);
        struct remed_policy *named = parse(line, &error), *written = parse(text, &error);
        CU_ASSERT_PTR_NOT_NULL_FATAL(named);
        CU_ASSERT_PTR_NOT_NULL_FATAL(written);
        CU_ASSERT_TRUE(remed_policy_equal(named, written));
        remed_policy_free(named);
        remed_policy_free(written);
    }
    CU_ASSERT_EQUAL(count, 4);
}

/* Generated policies. */

static uint32_t state = 1;

static unsigned chance(unsigned below)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 10) % below;
}

#define PICK(words) (words)[chance(sizeof(words) / sizeof *(words))]

static size_t put(char *text, size_t size, const char *word)
{
    return (size_t)snprintf(text, size, "%s", word);
}

static size_t put_number(char *text, size_t size, unsigned depth)
{
    static const char *const atoms[] = {"len",     "0",         "7",       "0x1f",    "017",
                                        "tcp-syn", "icmp-echo", "tcp[13]", "ip[6:2]", "ether[0:4]",
                                        "udp[4]",  "icmp6[0]",  "-5"};
    static const char *const operators[] = {"+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"};
    if (depth == 0 || chance(3) == 0)
        return put(text, size, PICK(atoms));
    static const char *const forms[] = {"(", "tcp[", "ip[2 + ", "- ", ""};
    unsigned form = chance(5);
    size_t at = put(text, size, forms[form]);
    at += put_number(text + at, size - at, depth - 1);
    if (form >= 3) { /* a divisor or a shift that is no constant */
        at += (size_t)snprintf(text + at, size - at, " %s ", PICK(operators));
        at += put(text + at, size - at, chance(2) ? "len" : "tcp[0:2]");
    }
    return at + put(text + at, size - at, form == 0 ? ")" : form < 3 ? "]" : "");
}

static size_t put_relation(char *text, size_t size)
{
    static const char *const relations[] = {" = ", "==", " != ", "<", " > ", "<=", " >= "};
    size_t at = put_number(text, size, 3);
    at += put(text + at, size - at, PICK(relations));
    return at + put_number(text + at, size - at, 2);
}

static size_t put_term(char *text, size_t size)
{
    static const char *const words[] = {"any",
                                        "ip",
                                        "ip6",
                                        "tcp",
                                        "udp",
                                        "icmp",
                                        "sctp",
                                        "icmp6",
                                        "arp",
                                        "vlan",
                                        "vlan 42",
                                        "mpls",
                                        "mpls 7",
                                        "pppoes",
                                        "less 64",
                                        "greater 1500",
                                        "esp",
                                        "igmp",
                                        "proto 47",
                                        "ip proto \\tcp",
                                        "ip6 proto 58",
                                        "ip multicast",
                                        "pim",
                                        "ether proto 0x88cc",
                                        "port (80 or 443)",
                                        "port not 22",
                                        "tcp port http or https",
                                        "ether[0] & 1 = 1",
                                        "vlan 0x2a",
                                        "proto gre or ospf",
                                        "host (10.0.0.1 or 10.0.0.2)"};
    static const char *const directions[] = {"", "src ", "dst ", "src or dst ", "src and dst "};
    static const char *const protocols[] = {"", "tcp ", "udp ", "sctp "};
    static const char *const nets[] = {"net 10",
                                       "net 10.0.0.0/8",
                                       "net 192.0.2.0/24",
                                       "net 172.16",
                                       "net 2001:db8::/32",
                                       "host 10.0.0.1",
                                       "host ::1",
                                       "host 2001:db8::1",
                                       "host 192.0.2.9",
                                       "net 10.1.2.3 mask 255.255.255.255"};
    switch (chance(5)) {
    case 4:
        return put_relation(text, size);
    case 0:
        return (size_t)snprintf(text, size, "%s%sport %u", PICK(protocols), PICK(directions),
                                chance(65536));
    case 1: {
        unsigned from = chance(65536);
        return (size_t)snprintf(text, size, "%s%sportrange %u-%u", PICK(protocols),
                                PICK(directions), from, from + chance(65536 - from));
    }
    case 2:
        return (size_t)snprintf(text, size, "%s%s", PICK(directions), PICK(nets));
    default:
        return put(text, size, PICK(words));
    }
}

static size_t put_match(char *text, size_t size, unsigned depth)
{
    static const char *const joins[] = {" and ", " or ", " && ", " || "};
    static const char *const nots[] = {"", "", "not ", "!", "not not "};
    size_t at = 0, terms = 1 + chance(3);
    for (size_t i = 0; i < terms; i++) {
        at += put(text + at, size - at, i == 0 ? "" : PICK(joins));
        at += put(text + at, size - at, PICK(nots));
        if (depth > 0 && chance(3) == 0) {
            at += put(text + at, size - at, "(");
            at += put_match(text + at, size - at, depth - 1);
            at += put(text + at, size - at, ")");
        } else {
            at += put_term(text + at, size - at);
        }
    }
    return at;
}

static size_t put_policy(char *text, size_t size)
{
    static const char *const acts[] = {"none",       "all",      "syn",          "handshake",
                                       "first 1",    "first 5",  "first 3 each", "first 64kB",
                                       "first 3KiB", "first 7B", "sample 1/8"};
    static const char *const tails[] = {"",
                                        ", refresh 10s",
                                        ", refresh 1500ms, in",
                                        ", out",
                                        ", both",
                                        ", in, refresh 3h",
                                        ", refresh 7ns",
                                        ", close",
                                        ", close, refresh 2s, in"};
    size_t at = 0, rules = 1 + chance(5);
    for (size_t i = 0; i < rules; i++) {
        at += put_match(text + at, size - at, 3);
        at += (size_t)snprintf(text + at, size - at, " : %s%s%s", PICK(acts), PICK(tails),
                               chance(4) == 0 ? " ; " : "\n");
    }
    if (chance(3) == 0)
        at += (size_t)snprintf(text + at, size - at, "\nlimit %ukbit", 1 + chance(5000));
    return at;
}

/* Printing gives an equal policy, and printing that gives the same text. */
static void check_fixpoint(const char *text)
{
    static char first[65536], second[65536];
    struct remed_error error;
    struct remed_policy *policy = parse(text, &error);
    if (policy == NULL)
        fprintf(stderr, "%s\n%u:%u %s\n", text, error.line, error.column, error.message);
    CU_ASSERT_PTR_NOT_NULL_FATAL(policy);
    size_t length = remed_policy_print(policy, first, sizeof first);
    CU_ASSERT_EQUAL(length, strlen(first));
    struct remed_policy *again = parse(first, &error);
    if (again == NULL || !remed_policy_equal(policy, again))
        fprintf(stderr, "not equal:\n%s\nprinted:\n%s\n", text, first);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    CU_ASSERT_TRUE(remed_policy_equal(policy, again));
    remed_policy_print(again, second, sizeof second);
    CU_ASSERT_STRING_EQUAL(first, second);
    /* Too little room cuts the text and nothing else. */
    char little[8];
    CU_ASSERT_EQUAL(remed_policy_print(policy, little, sizeof little), length);
    CU_ASSERT_EQUAL(strlen(little), length < 7 ? length : 7);
    CU_ASSERT_EQUAL(remed_policy_print(policy, NULL, 0), length);
    remed_policy_free(policy);
    remed_policy_free(again);
}

static void fixpoint(void)
{
    static char text[65536];
    check_fixpoint("any : all");
    check_fixpoint("port 80 or 443 or portrange 1000-2000 : first 3");
    check_fixpoint("src host 10.0.0.1 or 10.0.0.2 and not (tcp or udp) : all, in");
    check_fixpoint("preset firewall\nlimit 1500kbit");
    for (unsigned i = 0; i < 20000; i++) {
        state = i;
        put_policy(text, sizeof text);
        check_fixpoint(text);
    }
}

static void unequal(void)
{
    static const char *const different[] = {"any : all",
                                            "any : none",
                                            "tcp : all",
                                            "not tcp : all",
                                            "tcp or udp : all",
                                            "tcp and udp : all",
                                            "any : first 5",
                                            "any : first 6",
                                            "any : first 5 each",
                                            "any : first 5B",
                                            "any : close",
                                            "any : first 5, close",
                                            "any : all, in",
                                            "any : all, out",
                                            "any : all\nlimit 1Mbit",
                                            "any : all, refresh 1s",
                                            "any : all\nany : all",
                                            "port 80 : all",
                                            "src port 80 : all",
                                            "tcp port 80 : all",
                                            "host 10.0.0.1 : all",
                                            "host 10.0.0.2 : all",
                                            "net 10.0.0.0/31 : all",
                                            "vlan : all",
                                            "vlan 1 : all",
                                            "tcp[13] = 2 : all",
                                            "tcp[13] != 2 : all",
                                            "tcp[13] = 3 : all",
                                            "tcp[13:2] = 2 : all",
                                            "udp[13] = 2 : all",
                                            "tcp[13] & 2 = 2 : all",
                                            "ether host 02:00:00:00:00:01 : all",
                                            "ether src host 02:00:00:00:00:01 : all",
                                            "ether proto 0x88cc : all",
                                            "proto 47 : all",
                                            "ip proto 47 : all"};
    const size_t count = sizeof different / sizeof *different;
    struct remed_error error;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            struct remed_policy *a = parse(different[i], &error), *b = parse(different[j], &error);
            CU_ASSERT_EQUAL(remed_policy_equal(a, b), i == j);
            remed_policy_free(a);
            remed_policy_free(b);
        }
}

static const struct test_case cases[] = {
    {"actions, amounts, refresh and sides", actions},
    {"lines, limit and presets in place", lines_and_limit},
    {"errors stand at the right place and say what was expected", errors},
    {"rules, depth and text are bounded", bounds},
    {"repeated text is bounded", arithmetic_bounds},
    {"presets are policies", presets},
    {"20,000 generated policies print to equal ones", fixpoint},
    {"different policies are not equal", unequal},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"policy", cases, NULL, NULL}, {NULL, NULL, NULL, NULL}};
