/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rule sets as text: what compiles, where errors are and what they say, what covers what, limits.
 */
#include "unit/test.h"

#include <remediate/log_rules.h>
#include <rule_sets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULE "rule a\n match src:ip \" \" dst:ip \" \" proto:protocol\n event open\n give session\n"

static int parse(struct remed_log_rules **rules, const struct remed_log_rules_opts *opts,
                 const char *text, struct remed_error *error)
{
    *rules = NULL;
    memset(error, 0, sizeof *error);
    int rc = remed_log_rules_parse(rules, opts, text, strlen(text), error);
    CU_ASSERT_EQUAL(rc < 0, *rules == NULL);
    return rc;
}

static void fails(const char *text, uint32_t line, uint32_t column, const char *says)
{
    struct remed_log_rules *rules;
    struct remed_error error;
    CU_ASSERT_EQUAL(parse(&rules, NULL, text, &error), REMED_ESYNTAX);
    if (error.line != line || error.column != column || strstr(error.message, says) == NULL) {
        fprintf(stderr, "\n%s\n%u:%u: %s, not %u:%u: %s\n", text, error.line, error.column,
                error.message, line, column, says);
        CU_FAIL("another error");
    }
    remed_log_rules_free(rules);
}

static void compiles(const char *text)
{
    struct remed_log_rules *rules;
    struct remed_error error;
    CU_ASSERT_EQUAL(parse(&rules, NULL, text, &error), 0);
    if (rules == NULL)
        fprintf(stderr, "\n%s\n%u:%u: %s\n", text, error.line, error.column, error.message);
    remed_log_rules_free(rules);
}

static void shipped(void)
{
    for (const struct rule_set *set = rule_sets; set->name != NULL; set++) {
        struct remed_log_rules *rules = NULL;
        struct remed_log_rule rule;
        struct remed_error error;
        CU_ASSERT_EQUAL(remed_log_rules_parse(&rules, NULL, set->text, set->length, &error), 0);
        CU_ASSERT_PTR_NOT_NULL_FATAL(rules);
        CU_ASSERT(remed_log_rules_title(rules)[0] != '\0');
        uint32_t kinds = 0;
        size_t count = remed_log_rules_count(rules);
        for (size_t i = 0; i < count; i++) {
            CU_ASSERT_EQUAL(remed_log_rules_get(rules, i, &rule, sizeof rule), 0);
            CU_ASSERT(rule.events != 0 && rule.line > 0);
            kinds |= rule.kinds;
        }
        CU_ASSERT(kinds != 0);
        CU_ASSERT_EQUAL(remed_log_rules_get(rules, count, &rule, sizeof rule), REMED_ENOENT);
        remed_log_rules_free(rules);
    }
}

static void statements(void)
{
    compiles(RULE);
    compiles("# comment\n\ntitle \"x\"\nheader none\n" RULE);
    compiles(
        "let pair(s) = s:ip \"/\" s.port:port\nrule a\n match $pair(src) \">\" $pair(dst) rest\n"
        " proto tcp\n event close\n opener either\n give session\n");
    compiles("begin key:digits \":\"\nrule a key 1 2 \"x y\"\n match rest\n event deny\n");
    compiles(
        "rule a\n match keys equals { \"a\" word:word stop \"b\" }\n event none when word is x "
        "or \"y z\" and has word\n event deny\n");
    fails("", 1, 1, "a rule");
    fails("rule", 1, 5, "the rule's name");
    fails("match \"x\"\n", 1, 1, "title, header, begin, let or rule");
    fails("rule a\n mtach \"x\"\n", 2, 2, "match, proto, event");
    fails("rule a\n", 1, 1, "has no match");
    fails("rule a\n match \"x\"\n match \"y\"\n", 3, 8, "one match");
    fails(RULE "rule a\n match \"x\"\n", 5, 6, "of this name already");
    fails(RULE "begin \"x\"\n", 5, 7, "before the rules");
    fails("rule a key 1\n match \"x\"\n", 1, 8, "no begin of this set has a key");
    fails("title x\n" RULE, 1, 7, "in quotes");
    fails("header nothing\n" RULE, 1, 8, "syslog or none");
}

static void patterns(void)
{
    fails("rule a\n match \"x\n", 2, 8, "without its closing");
    fails("rule a\n match \"\\q\"\n", 2, 8, "an escape other than");
    fails("rule a\n match \"\"\n", 2, 8, "not empty");
    fails("rule a\n match src:number\n", 2, 8, "can't hold a value");
    fails("rule a\n match src:adress\n", 2, 12, "a type");
    fails("rule a\n match adress\n", 2, 8, "is no type");
    fails("rule a\n match [ \"x\"\n", 3, 1, "']'");
    fails("rule a\n match ( \"x\" | \"y\"\n", 3, 1, "'|' or ')'");
    fails("rule a\n match \"x\" )\n", 2, 12, "the end of the line");
    fails("rule a\n match $nothing\n", 2, 9, "a let above");
    fails("rule a\n match .. word\n", 2, 11, "a string");
    fails("rule a\n match .. \"x\" within many\n", 2, 22, "a number of bytes");
    fails("rule a\n match keys some { }\n", 2, 13, "equals, colon, commas, spaced or json");
    fails("rule a\n match keys equals { \"a\" src:ip \"a\" dst:ip }\n", 2, 33, "twice");
    fails("rule a\n match keys equals \"ab\" { }\n", 2, 20, "a separator of one byte");
    fails("rule a\n match columns \"ab\" { }\n", 2, 16, "one byte");
    fails("rule a\n match columns \",\" { 300 src:ip }\n", 2, 22, "a column's number");
    fails("rule a\n match columns \",\" { 1 src:ip 1 dst:ip }\n", 2, 33, "twice");
    fails("rule a\n match \"\x01\" \x02\n", 2, 12, "no rule has");
}

static void clauses(void)
{
    const char head[] = "rule a\n match action:word \" \" src:ip \" \" dst:ip\n";
    char text[512];
    static const struct {
        const char *rest;
        uint32_t line, column;
        const char *says;
    } wrong[] = {
        {" event opened\n", 3, 8, "none, open, update"},
        {" event open when actoin is x\n", 3, 18, "a name that this rule's pattern sets"},
        {" event open when src is x\n", 3, 22, "say 'has'"},
        {" event open when action x\n", 3, 25, "'is'"},
        {" event open when has dst.port\n", 3, 22, "a name that this rule's pattern sets"},
        {" event open\n event close\n", 4, 13, "never reached"},
        {" event open when action is x\n give session\n event close\n", 5, 13,
         "events stand together"},
        {" event open\n give sessions\n", 4, 7, "session, nat-binding"},
        {" event open\n", 1, 6, "no give"},
        {" event open\n give session\n", 1, 6, "never sets proto"},
        {" event open\n give nat-binding\n", 1, 6, "never sets src.after"},
        {" event open\n give lb-assignment\n", 1, 6, "never sets backend"},
        {" opener server\n", 3, 9, "src, dst or either"},
        {" proto xyz\n", 3, 8, "a protocol's name"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(text, sizeof text, "%s%s", head, wrong[i].rest);
        uint32_t column = wrong[i].line == 1 ? 1 : wrong[i].column;
        fails(text, wrong[i].line, column, wrong[i].says);
    }
}

static char notice[512];

static void on_notice(void *context, enum remed_log_level level, const char *module,
                      const char *message)
{
    (void)context;
    CU_ASSERT_EQUAL(level, REMED_LOG_NOTICE);
    CU_ASSERT_STRING_EQUAL(module, "log");
    snprintf(notice, sizeof notice, "%s", message);
}

static void overlap(void)
{
    struct remed_log_rules *rules;
    struct remed_log_rules_opts opts;
    struct remed_error error;
    remed_log_rules_opts_init(&opts, sizeof opts);
    opts.log.write = on_notice;
    fails("rule a\n match \"x\" rest\n event deny\nrule b\n match \"x\" \"y\" rest\n event deny\n",
          4, 1, "never reached: 'a' in line 1");
    fails("rule a\n match keys equals { \"t\" \"x\" }\n event deny\n"
          "rule b\n match keys equals { \"u\" \"y\" \"t\" \"x\" }\n event deny\n",
          4, 1, "never reached");
    fails("begin key:word\nrule a key 1 1\n match rest\n event deny\n", 2, 1, "a key twice");
    compiles("begin key:word\nrule a key 1\n match rest\n event deny\nrule b key 2\n match rest\n "
             "event deny\n");
    notice[0] = '\0';
    CU_ASSERT_EQUAL(
        parse(&rules, &opts,
              "rule a\n match \"x\" word\n event deny\nrule b\n match \"x\" digits\n event "
              "deny\n",
              &error),
        0);
    CU_ASSERT_PTR_NOT_NULL(strstr(notice, "'b' and 'a' in line 1 may match the same line"));
    remed_log_rules_free(rules);
    notice[0] = '\0';
    CU_ASSERT_EQUAL(parse(&rules, &opts,
                          "rule a\n match keys equals { \"t\" \"x\" }\n event deny\n"
                          "rule b\n match keys equals { \"t\" \"y\" }\n event deny\n",
                          &error),
                    0);
    CU_ASSERT_STRING_EQUAL(notice, "");
    remed_log_rules_free(rules);
}

static void bounds(void)
{
    struct remed_log_rules *rules;
    struct remed_log_rules_opts opts;
    struct remed_error error;
    static char text[200000];
    size_t length = 0;
    remed_log_rules_opts_init(&opts, sizeof opts);
    opts.max_rules = 1;
    CU_ASSERT_EQUAL(parse(&rules, &opts, RULE "rule b\n match \"x\"\n event deny\n", &error),
                    REMED_ELIMIT);
    opts.max_rules = 0;
    CU_ASSERT_EQUAL(parse(&rules, &opts, RULE, &error), REMED_EINVAL);
    remed_log_rules_opts_init(&opts, sizeof opts);
    opts.max_steps = 16;
    length = (size_t)sprintf(text, "rule a\n match");
    for (unsigned i = 0; i < 40; i++)
        length += (size_t)sprintf(text + length, " \"x\" word");
    CU_ASSERT_EQUAL(parse(&rules, &opts, text, &error), REMED_ELIMIT);
    /* Lets that double each other end at the limit, not in all memory. */
    length = (size_t)sprintf(text, "let a0 = \"x\" word\n");
    for (unsigned i = 1; i < 30; i++)
        length += (size_t)sprintf(text + length, "let a%u = $a%u $a%u $a%u $a%u $a%u $a%u\n", i,
                                  i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    sprintf(text + length, "rule a\n match $a7 rest\n event deny\n");
    CU_ASSERT_EQUAL(parse(&rules, NULL, text, &error), REMED_ELIMIT);
    sprintf(text + length, "rule a\n match $a29 rest\n event deny\n");
    CU_ASSERT_EQUAL(parse(&rules, NULL, text, &error), REMED_ESYNTAX);
    strcpy(text, "rule a\n match ");
    for (unsigned i = 0; i < 17; i++)
        strcat(text, "[");
    CU_ASSERT_EQUAL(parse(&rules, NULL, text, &error), REMED_ESYNTAX);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "deeper than 16"));
    CU_ASSERT_EQUAL(remed_log_rules_parse(&rules, NULL, "rule\0a", 6, &error), REMED_ESYNTAX);
}

/* An allocator that fails at the n-th call, and counts what is not given back. */
static size_t calls_left, held;

static void *failing(void *context, void *memory, size_t old_size, size_t new_size)
{
    (void)context;
    if (new_size == 0) {
        held -= old_size;
        free(memory);
        return NULL;
    }
    if (calls_left-- == 0) {
        calls_left = 0;
        return NULL;
    }
    void *grown = realloc(memory, new_size);
    held += new_size - old_size;
    return grown;
}

static void no_memory(void)
{
    const struct remed_allocator allocator = {NULL, failing};
    struct remed_log_rules_opts opts;
    struct remed_log_rules *rules = NULL;
    struct remed_error error;
    remed_log_rules_opts_init(&opts, sizeof opts);
    opts.allocator = &allocator;
    const struct rule_set *set = rule_sets;
    while (strcmp(set->name, "cisco_asa") != 0)
        set++;
    int rc = REMED_ENOMEM;
    size_t n = 0;
    for (; rc == REMED_ENOMEM; n++) {
        calls_left = n;
        held = 0;
        rc = remed_log_rules_parse(&rules, &opts, set->text, set->length, &error);
        if (rc < 0) {
            CU_ASSERT_EQUAL(held, 0);
        }
    }
    CU_ASSERT_EQUAL(rc, 0);
    CU_ASSERT(n > 20);
    remed_log_rules_free(rules);
    CU_ASSERT_EQUAL(held, 0);
}

static const struct test_case cases[] = {
    {"the shipped sets compile and name what they give", shipped},
    {"statements and their order", statements},
    {"patterns: errors stand at their place", patterns},
    {"events, openers and records: errors stand at their place", clauses},
    {"rules that cover others are errors, those that meet are told", overlap},
    {"rules, steps and nesting are bounded", bounds},
    {"every allocation may fail", no_memory},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"log_rules", cases, NULL, NULL},
                                         {NULL, NULL, NULL, NULL}};
