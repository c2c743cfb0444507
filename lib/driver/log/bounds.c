/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What compiling may cost. A few lines of lets can stand for more text than any memory holds, and
 * comparing rules with one another grows faster than their text; so both are counted, and their
 * bounds grow with the text's length and no faster.
 *
 * Threads: one compilation is one thread's.
 */
#include "driver/log/compile.h"

#define EXPANDED_FREE (64u << 10)   /* what lets may stand for in any set, */
#define EXPANDED_A_BYTE 32u         /* for each byte of its text, */
#define EXPANDED_MOST (64ull << 20) /* and at most */
#define WORK_FREE (1u << 20)        /* the same of steps of checking, */
#define WORK_A_BYTE 128u            /* for each byte of the text and of what lets stand for */
#define WORK_MOST (1ull << 27)

static uint64_t bound(uint64_t start, uint64_t each, uint64_t bytes, uint64_t most)
{
    uint64_t sum = start + each * bytes;
    return sum < most ? sum : most;
}

/* An empty let costs its use, too: the byte on top. */
int remed_log_expand(struct remed_log_compiler *compiler, size_t bytes)
{
    const struct remed_log_token *token = &compiler->reader.token;
    uint64_t most = bound(EXPANDED_FREE, EXPANDED_A_BYTE, compiler->length, EXPANDED_MOST);
    compiler->expanded += bytes + 1;
    if (compiler->expanded <= most)
        return 0;
    return remed_error_at(compiler->error, REMED_ELIMIT, token->line, token->column,
                          "lets stand for more than %llu bytes of patterns",
                          (unsigned long long)most);
}

int remed_log_check_work(struct remed_log_compiler *compiler, uint32_t line)
{
    uint64_t most = bound(WORK_FREE, WORK_A_BYTE, compiler->length + compiler->expanded, WORK_MOST);
    if (compiler->work <= most)
        return 0;
    return remed_error_at(compiler->error, REMED_ELIMIT, line, 1,
                          "the rules up to here are too many and too alike to be compared");
}

static uint32_t name_hash(const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *name != '\0'; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash ^ hash >> 15;
}

/* Puts one rule's name into the table; fails when it stands there. */
static int take_name(struct remed_log_compiler *compiler, uint32_t *table, uint32_t mask,
                     uint32_t index)
{
    const struct remed_log_program_rule *rules = compiler->rules->rules.items;
    const struct remed_log_program_rule *rule = &rules[index];
    uint32_t place = name_hash(rule->name) & mask;
    for (; table[place] != 0; place = (place + 1) & mask) {
        compiler->work++;
        if (strcmp(rules[table[place] - 1].name, rule->name) == 0)
            return remed_error_at(compiler->error, REMED_ESYNTAX, rule->line, rule->column,
                                  "there is a rule of this name already");
    }
    table[place] = index + 1;
    return remed_log_check_work(compiler, rule->line);
}

int remed_log_check_names(struct remed_log_compiler *compiler)
{
    struct remed_log_rules *rules = compiler->rules;
    uint32_t room = 16;
    while (room < 2 * rules->rules.count)
        room *= 2;
    uint32_t *table = remed_allocate(&rules->allocator, room * sizeof *table);
    if (table == NULL)
        return remed_log_no_memory(compiler);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < rules->rules.count; i++)
        rc = take_name(compiler, table, room - 1, i);
    remed_release(&rules->allocator, table, room * sizeof *table);
    return rc;
}
