/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The time of a hostile line grows with its length and no faster: each rule of each shipped set
 * runs over lines of one shape at two lengths, and steps and bytes are counted, not seconds. The
 * machine and the walks are compiled here a second time, with the counter in.
 */
static unsigned long long work;
#define REMED_LOG_WORK(count) (work += (unsigned long long)(count))
#define remed_log_machine_run counted_machine_run
#define remed_log_read counted_read
#define remed_log_walk_run counted_walk_run
#include "driver/log/machine.c"
#include "driver/log/walk.c"
#undef remed_log_machine_run

#include "unit/test.h"

#include <rule_sets.h>
#include <stdio.h>
#include <stdlib.h>

#define SHORT 16384u
#define LONG 65536u

/* What a line is made of: a head, and a piece again and again. */
static const struct shape {
    const char *head, *piece;
} shapes[] = {{"", "SRC= DST= "},
              {"IN=eth0 OUT=eth1 SRC=1.2.3.4 DST=1.2.3.4 LEN=1 ", "PROTO= SPT="},
              {"", "a=\"b\\\" "},
              {"", "\""},
              {"", "k=\""},
              {"", "=\\"},
              {"", "= ="},
              {"", "a, b: c, "},
              {"", ", a a a a a a a a a a a a a a a a a a a a a a"},
              {"", "a:b;"},
              {"", "::"},
              {"", ",\"\"\","},
              {"", "\xff"},
              {"", "\0"},
              {"", "("},
              {"", " -> 1.2.3.4:5 [x] "},
              {"", "1.2.3.4, "},
              {"Built inbound TCP connection 1 for ", "outside:"},
              {"Built inbound TCP connection 1 for a:1.2.3.4/5", "("},
              {"1.2.3.4 - ", "x [ "},
              {"", "                "},
              {"", "0123456789abcdef"},
              {"", "{\"a\":"},
              {"", "[{"},
              {"{", "\"a\":1,"},
              {"{\"a\":\"", "\\"},
              {"CEF:0|a|", "\\|"}};

static unsigned long long run(const struct remed_log_rules *rules, uint32_t start,
                              const struct shape *shape, size_t length)
{
    struct remed_log_machine *machine = calloc(1, sizeof *machine);
    uint8_t *line = malloc(length);
    size_t head = strlen(shape->head), piece = strlen(shape->piece);
    CU_ASSERT_PTR_NOT_NULL_FATAL(machine);
    CU_ASSERT_PTR_NOT_NULL_FATAL(line);
    piece = piece == 0 ? 1 : piece; /* the NUL */
    memcpy(line, shape->head, head);
    for (size_t i = head; i < length; i++)
        line[i] = (uint8_t)shape->piece[(i - head) % piece];
    machine->rules = rules;
    work = 0;
    counted_machine_run(machine, start, line, line + length);
    free(line);
    free(machine);
    return work;
}

static void linear(void)
{
    unsigned long long most = 0;
    for (const struct rule_set *set = rule_sets; set->name != NULL; set++) {
        struct remed_log_rules *rules = NULL;
        CU_ASSERT_EQUAL_FATAL(remed_log_rules_parse(&rules, NULL, set->text, set->length, NULL), 0);
        for (size_t r = 0; r < rules->rules.count; r++)
            for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
                uint32_t start = REMED_ITEM(rules->rules, struct remed_log_program_rule, r)->start;
                unsigned long long few = run(rules, start, &shapes[s], SHORT);
                unsigned long long many = run(rules, start, &shapes[s], LONG);
                most = many > most ? many : most;
                if (many > few * (LONG / SHORT) + SHORT) {
                    fprintf(stderr, "\n%s, rule %zu, shape %zu: %llu, then %llu\n", set->name, r, s,
                            few, many);
                    CU_FAIL("more than linear");
                }
            }
        remed_log_rules_free(rules);
    }
    printf(" at most %.1f steps and bytes a byte ", (double)most / LONG);
    CU_ASSERT(most > LONG / 2);
}

/* The counter counts: a machine that looked at every byte from every byte would be seen. */
static void counted(void)
{
    struct remed_log_rules *rules = NULL;
    static const char text[] = "rule a\n match .. \"ab\" .. \"cd\" rest\n event deny\n";
    CU_ASSERT_EQUAL_FATAL(remed_log_rules_parse(&rules, NULL, text, sizeof text - 1, NULL), 0);
    const struct shape shape = {"ab", "x"};
    unsigned long long counts = run(rules, 0, &shape, LONG);
    CU_ASSERT(counts >= LONG && counts < 3 * LONG);
    remed_log_rules_free(rules);
}

static const struct test_case cases[] = {
    {"steps and bytes grow with the line", linear},
    {"they are counted", counted},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"log_work", cases, NULL, NULL}, {NULL, NULL, NULL, NULL}};
