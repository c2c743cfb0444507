/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rule sets that would never end compiling, or would fill all memory: the work, the bytes that lets
 * stand for and the memory are counted, and are bounded by the text's length.
 */
#include "unit/test.h"

#include "driver/log/compile.h"

#include <rule_sets.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROOM (4u << 20)
#define FREE_EXPANDED (64u << 10)
#define FREE_WORK (1u << 20)

static char text[ROOM];
static size_t length;
static uint64_t work, expanded;
static size_t held, peak;

/* Reads the compiler's counters when it is given back. */
static void *counting(void *context, void *memory, size_t old_size, size_t new_size)
{
    (void)context;
    if (new_size == 0) {
        if (old_size == sizeof(struct remed_log_compiler)) {
            work = ((struct remed_log_compiler *)memory)->work;
            expanded = ((struct remed_log_compiler *)memory)->expanded;
        }
        held -= old_size;
        free(memory);
        return NULL;
    }
    held += new_size - old_size;
    peak = held > peak ? held : peak;
    return realloc(memory, new_size);
}

static void add(const char *piece)
{
    size_t more = strlen(piece);
    if (length + more < ROOM) {
        memcpy(text + length, piece, more);
        length += more;
    }
}

static void add_times(const char *piece, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        add(piece);
}

static unsigned heard;

static void on_notice(void *context, enum remed_log_level level, const char *module,
                      const char *message)
{
    (void)context;
    (void)level;
    (void)module;
    (void)message;
    heard++;
}

/* Compiles what was added; whatever comes of it, it is in bounds. */
static int compile(const char *name, struct remed_error *error)
{
    const struct remed_allocator allocator = {NULL, counting};
    struct remed_log_rules_opts opts;
    struct remed_log_rules *rules = NULL;
    remed_log_rules_opts_init(&opts, sizeof opts);
    opts.max_rules = 65535;
    opts.max_steps = 1000000;
    opts.allocator = &allocator;
    opts.log.write = on_notice;
    work = expanded = 0;
    held = peak = 0;
    heard = 0;
    memset(error, 0, sizeof *error);
    clock_t begun = clock();
    int rc = remed_log_rules_parse(&rules, &opts, text, length, error);
    double seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
    printf("\n    %-28s %8zu bytes: %2d, work %9llu, lets %8llu, memory %9zu, %.2f s", name, length,
           rc, (unsigned long long)work, (unsigned long long)expanded, peak, seconds);
    CU_ASSERT(rc == 0 || rc == REMED_ELIMIT || rc == REMED_ESYNTAX);
    CU_ASSERT(rc == 0 || (error->line > 0 && error->column > 0));
    CU_ASSERT(expanded <= FREE_EXPANDED + 33 * length + 1);
    CU_ASSERT(work <= FREE_WORK + 128 * (length + expanded) + 65536);
    CU_ASSERT(work <= (1u << 27) + 65536);
    CU_ASSERT(peak <= (64u << 20) + 600 * length);
    CU_ASSERT(heard <= 1001);
    CU_ASSERT(seconds < 60);
    remed_log_rules_free(rules);
    CU_ASSERT_EQUAL(held, 0);
    return rc;
}

/* Lets that each use the one before `times` times; the first is `body`. */
static void chain(const char *body, unsigned depth, unsigned times, const char *use)
{
    char line[64];
    length = 0;
    snprintf(line, sizeof line, "let a0%s = ", strchr(use, '(') != NULL ? "(p)" : "");
    add(line);
    add(body);
    add("\n");
    for (unsigned i = 1; i <= depth; i++) {
        snprintf(line, sizeof line, "let a%u%s =", i, strchr(use, '(') != NULL ? "(p)" : "");
        add(line);
        for (unsigned j = 0; j < times; j++) {
            snprintf(line, sizeof line, use, i - 1);
            add(line);
        }
        add("\n");
    }
}

static void lets(void)
{
    static const struct {
        const char *name, *body, *use, *last;
        int wants;
    } bombs[] = {
        {"empty lets", "", " $a%u", "$a7", REMED_ELIMIT},
        {"lets of comments", "# nothing", " $a%u", "$a7", REMED_ELIMIT},
        {"lets of optionals", "[ ]", " $a%u", "$a7", REMED_ELIMIT},
        {"lets within groups", "", " [ $a%u ]", "$a7", REMED_ELIMIT},
        {"lets with parameters", "p:ip", " $a%u(p)", "$a7(src)", REMED_ELIMIT},
        {"lets of walks", "keys json { \"a\" src:ip \"b\" dst:ip \"c\" \"d\" \"e\" w:word ? }",
         " [ $a%u ]", "$a7", REMED_ELIMIT},
        {"lets nested too deep", "", " $a%u", "$a9", REMED_ESYNTAX},
    };
    struct remed_error error;
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        chain(bombs[i].body, 9, 40, bombs[i].use);
        add("rule r\n match ");
        add(bombs[i].last);
        add(" src:ip rest\n event deny\n");
        CU_ASSERT_EQUAL(compile(bombs[i].name, &error), bombs[i].wants);
        if (bombs[i].wants == REMED_ELIMIT)
            CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "bytes of patterns"));
    }
    chain("\"x\" [ \"y\" ]", 2, 8, " $a%u"); /* what sets do use is far below */
    add("rule r\n match $a2 rest\n event deny\n");
    CU_ASSERT_EQUAL(compile("lets in use", &error), 0);
}

/* Of groups within groups there are 2^16 ways to their first byte. */
static void groups(void)
{
    struct remed_error error;
    length = 0;
    for (unsigned i = 0; i < 200; i++) {
        add("begin ");
        add_times("[ ", 16);
        add("\"x\" ");
        add_times("] [ \"y\" ] ", 1);
        for (unsigned j = 0; j < 15; j++)
            add("[ \"y\" ] ] ");
        add("\n");
    }
    add("rule r\n match rest\n event deny\n");
    CU_ASSERT_EQUAL(compile("groups within groups", &error), 0);
    length = 0;
    add("rule r\n match ");
    add_times("[ ", 100000);
    CU_ASSERT_EQUAL(compile("groups too deep", &error), REMED_ESYNTAX);
    length = 0;
    add("rule r\n match ( \"a\"");
    add_times(" | \"b\"", 100000);
    add(" ) rest\n event deny\n");
    CU_ASSERT_EQUAL(compile("one group, many ways", &error), 0);
    length = 0;
    add("begin ");
    add_times("[ \"b\" ] ", 100000);
    add("\nrule r\n match rest\n event deny\n");
    CU_ASSERT_EQUAL(compile("many optionals in a row", &error), 0);
}

static void add_rule(unsigned number, const char *key, const char *match)
{
    char line[200];
    snprintf(line, sizeof line, "rule %u%s\n match %s\n event deny\n", number, key, match);
    add(line);
}

/* What each pair of rules must be compared for, to its end. */
static void alike(void)
{
    struct remed_error error;
    char match[160], key[64];
    length = 0;
    for (unsigned i = 0; i < 6000; i++) {
        snprintf(match, sizeof match, "word \" \" [ \"a\" ] ( \"b\" | \"c\" ) word \" %u\" rest",
                 i);
        add_rule(i, "", match);
    }
    compile("rules alike", &error);
    length = 0;
    add("\nbegin key:word \" \"\n");
    for (unsigned i = 0; i < 150; i++) {
        snprintf(match, sizeof match, "rule %u key", i);
        add(match);
        for (unsigned j = 0; j < 100; j++) {
            snprintf(key, sizeof key, " %u", j);
            add(key);
        }
        add("\n match keys equals {");
        for (unsigned j = 0; j < 60; j++) {
            snprintf(match, sizeof match, " \"k%u\" \"%u\"", j, j == 59 ? i : 0);
            add(match);
        }
        add(" }\n event deny\n");
    }
    compile("walks alike, keys shared", &error);
    length = 0;
    add("begin key:word \" \"\nrule r key");
    add_times(" 1", 200000);
    add("\n match rest\n event deny\n");
    CU_ASSERT_EQUAL(compile("one key, many times", &error), REMED_ESYNTAX);
}

/* Keys whose ends are alike are one bucket's. */
static void buckets(void)
{
    struct remed_error error;
    char key[64];
    length = 0;
    add("begin key:word \" \"\nrule r key");
    for (unsigned i = 0; i < 7500; i++) {
        snprintf(key, sizeof key, " aaaaaaaa%08uaaaaaaaa", i);
        add(key);
    }
    add("\n match rest\n event deny\n");
    CU_ASSERT_EQUAL(compile("keys of one bucket", &error), REMED_ELIMIT);
    length = 0;
    for (unsigned i = 0; i < 60000; i++)
        add_rule(i, "", i == 0 ? "rest" : "\"x\" rest");
    CU_ASSERT_EQUAL(compile("many rules", &error), REMED_ESYNTAX); /* never reached */
}

static void words(void)
{
    struct remed_error error;
    length = 0;
    add("rule r\n match .. \"x\" within 99999999999999999999999999\n event deny\n");
    CU_ASSERT_EQUAL(compile("a great number", &error), REMED_ESYNTAX);
    length = 0;
    add("rule r\n match ");
    add_times(".. \"x\" within 65535 ", 50000);
    add("rest\n event deny\n");
    CU_ASSERT_EQUAL(compile("great numbers, often", &error), 0);
    length = 0;
    add("rule r\n match ");
    add_times("word", 900000);
    CU_ASSERT_EQUAL(compile("a long word", &error), REMED_ESYNTAX);
    length = 0;
    add_times("title \"tttttttttttttttttttttttttttttttttttttttttttttttttttttttt\"\n", 50000);
    add("rule r\n match rest\n event deny\n");
    CU_ASSERT_EQUAL(compile("titles", &error), 0);
    length = 0;
    add("rule r\n match w:word\n event deny when w is x");
    add_times(" or x", 500000);
    CU_ASSERT_EQUAL(compile("a condition's words", &error), 0);
}

/* What is shipped has room for a hundred times as much. */
static void shipped(void)
{
    struct remed_error error;
    for (const struct rule_set *set = rule_sets; set->name != NULL; set++) {
        memcpy(text, set->text, set->length);
        length = set->length;
        CU_ASSERT_EQUAL(compile(set->name, &error), 0);
        CU_ASSERT(expanded < FREE_EXPANDED);
        CU_ASSERT(work * 20 < FREE_WORK + 128 * (length + expanded));
    }
}

static const struct test_case cases[] = {
    {"lets within lets", lets},
    {"groups", groups},
    {"rules that are alike", alike},
    {"keys that hash alike", buckets},
    {"long words and numbers", words},
    {"the shipped sets are far from it", shipped},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"log_bombs", cases, NULL, NULL},
                                         {NULL, NULL, NULL, NULL}};
