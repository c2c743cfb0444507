/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules that take lines from one another. A rule that an earlier one covers is never reached: that
 * is an error. Two that may both match some line are told to the log hook: the first one has it.
 *
 * Covering is shown step by step, so it is not found in every case; it is never found wrongly.
 *
 * Threads: one compilation is one thread's.
 */
#include "driver/log/compile.h"

#include <stdio.h>

static bool same_literal(const struct remed_log_rules *rules, const struct remed_log_step *a,
                         const struct remed_log_step *b)
{
    return a->length == b->length &&
           memcmp(remed_log_text(rules, a->text), remed_log_text(rules, b->text), a->length) == 0;
}

static const struct remed_log_entry *entry_like(struct remed_log_compiler *compiler,
                                                const struct remed_log_walk *walk,
                                                const struct remed_log_entry *wanted)
{
    const struct remed_log_rules *rules = compiler->rules;
    for (unsigned i = 0; i < walk->count; i++) {
        const struct remed_log_entry *entry =
            REMED_ITEM(rules->entries, struct remed_log_entry, walk->entries + i);
        compiler->work++;
        if (entry->column == wanted->column && entry->length == wanted->length &&
            memcmp(remed_log_text(rules, entry->text), remed_log_text(rules, wanted->text),
                   entry->length) == 0)
            return entry;
    }
    return NULL;
}

static bool same_want(const struct remed_log_rules *rules, const struct remed_log_entry *a,
                      const struct remed_log_entry *b)
{
    return a->type == b->type && a->stop == b->stop && a->literal_length == b->literal_length &&
           memcmp(remed_log_text(rules, a->literal), remed_log_text(rules, b->literal),
                  a->literal_length) == 0;
}

/* What the first asks of a key, the second asks too. */
static bool walk_covers(struct remed_log_compiler *compiler, const struct remed_log_walk *a,
                        const struct remed_log_walk *b)
{
    const struct remed_log_rules *rules = compiler->rules;
    if (a->style != b->style || a->separator != b->separator || a->base != b->base)
        return false;
    for (unsigned i = 0; i < a->count; i++) {
        const struct remed_log_entry *entry =
            REMED_ITEM(rules->entries, struct remed_log_entry, a->entries + i);
        if (entry->optional)
            continue;
        const struct remed_log_entry *like = entry_like(compiler, b, entry);
        if (like == NULL || like->optional || !same_want(rules, entry, like))
            return false;
    }
    return true;
}

/* Two walks that want different literals of one key never take the same line. */
static bool walks_meet(struct remed_log_compiler *compiler, const struct remed_log_walk *a,
                       const struct remed_log_walk *b)
{
    const struct remed_log_rules *rules = compiler->rules;
    for (unsigned i = 0; i < a->count; i++) {
        const struct remed_log_entry *entry =
            REMED_ITEM(rules->entries, struct remed_log_entry, a->entries + i);
        const struct remed_log_entry *like = entry_like(compiler, b, entry);
        if (like != NULL && entry->type == REMED_TYPE_NONE && like->type == REMED_TYPE_NONE &&
            !entry->stop && !like->stop && !same_want(rules, entry, like))
            return false;
    }
    return true;
}

static bool step_covers(struct remed_log_compiler *compiler, const struct remed_log_step *a,
                        const struct remed_log_step *b)
{
    const struct remed_log_rules *rules = compiler->rules;
    compiler->work++;
    if (a->code != b->code)
        return false;
    switch (a->code) {
    case REMED_CODE_FIELD:
    case REMED_CODE_IP:
    case REMED_CODE_PORT:
    case REMED_CODE_WORD:
    case REMED_CODE_PROTO:
        return a->type == b->type &&
               ((a->type != REMED_TYPE_UNTIL && a->type != REMED_TYPE_ESCAPED) ||
                same_literal(rules, a, b));
    case REMED_CODE_LITERAL:
    case REMED_CODE_BEFORE:
    case REMED_CODE_NOT:
    case REMED_CODE_LACKS:
        return same_literal(rules, a, b);
    case REMED_CODE_FIND:
        return same_literal(rules, a, b) &&
               (a->limit == 0 || (b->limit != 0 && a->limit >= b->limit));
    case REMED_CODE_WALK:
        return walk_covers(compiler, REMED_ITEM(rules->walks, struct remed_log_walk, a->target),
                           REMED_ITEM(rules->walks, struct remed_log_walk, b->target));
    case REMED_CODE_OPEN:
    case REMED_CODE_CLOSE:
        return a->slot == b->slot;
    default:
        return true;
    }
}

static const struct remed_log_step *steps_of(const struct remed_log_rules *rules,
                                             const struct remed_log_program_rule *rule)
{
    return REMED_ITEM(rules->steps, struct remed_log_step, rule->start);
}

static bool covers(struct remed_log_compiler *compiler, const struct remed_log_program_rule *a,
                   const struct remed_log_program_rule *b)
{
    const struct remed_log_rules *rules = compiler->rules;
    const struct remed_log_step *x = steps_of(rules, a), *y = steps_of(rules, b);
    for (uint32_t i = 0;; i++) {
        if (i == a->steps || i == b->steps)
            return i == a->steps && i == b->steps;
        bool branches = x[i].code == REMED_CODE_TRY || x[i].code == REMED_CODE_COMMIT;
        if (x[i].code == REMED_CODE_REST)
            return true;
        if (!step_covers(compiler, &x[i], &y[i]) ||
            (branches && x[i].target - a->start != y[i].target - b->start))
            return false;
    }
}

/* False only when their first steps can't both match. */
static bool meet(struct remed_log_compiler *compiler, const struct remed_log_program_rule *a,
                 const struct remed_log_program_rule *b)
{
    const struct remed_log_rules *rules = compiler->rules;
    const struct remed_log_step *x = steps_of(rules, a), *y = steps_of(rules, b);
    for (uint32_t i = 0; i < a->steps && i < b->steps; i++) {
        compiler->work++;
        if (x[i].code == REMED_CODE_LITERAL && y[i].code == REMED_CODE_LITERAL) {
            size_t common = x[i].length < y[i].length ? x[i].length : y[i].length;
            if (memcmp(remed_log_text(rules, x[i].text), remed_log_text(rules, y[i].text),
                       common) != 0)
                return false;
            if (x[i].length != y[i].length)
                return true;
        } else if (x[i].code == REMED_CODE_WALK && y[i].code == REMED_CODE_WALK) {
            return walks_meet(compiler,
                              REMED_ITEM(rules->walks, struct remed_log_walk, x[i].target),
                              REMED_ITEM(rules->walks, struct remed_log_walk, y[i].target));
        } else if (x[i].code == REMED_CODE_TRY || y[i].code == REMED_CODE_TRY ||
                   !step_covers(compiler, &x[i], &y[i])) {
            return true;
        }
    }
    return true;
}

#define TOLD_MOST 1000u

/* A set in which all meet all would fill a log. */
static void tell(struct remed_log_compiler *compiler, const struct remed_log_program_rule *a,
                 const struct remed_log_program_rule *b)
{
    char message[320];
    if (compiler->told_count > TOLD_MOST)
        return;
    snprintf(message, sizeof message,
             "%u: rule '%s' and '%s' in line %u may match the same line; '%s' is tried first",
             b->line, b->name, a->name, a->line, a->name);
    if (compiler->told_count++ == TOLD_MOST)
        snprintf(message, sizeof message, "%u: more rules may match the same line", b->line);
    compiler->opts.log.write(compiler->opts.log.context, REMED_LOG_NOTICE, "log", message);
}

static int check_pair(struct remed_log_compiler *compiler, uint32_t first, uint32_t second)
{
    const struct remed_log_rules *rules = compiler->rules;
    const struct remed_log_program_rule *a =
        REMED_ITEM(rules->rules, struct remed_log_program_rule, first);
    const struct remed_log_program_rule *b =
        REMED_ITEM(rules->rules, struct remed_log_program_rule, second);
    compiler->work++;
    if (first == second)
        return remed_error_at(compiler->error, REMED_ESYNTAX, a->line, 1,
                              "rule '%s' has a key twice", a->name);
    if (covers(compiler, a, b))
        return remed_error_at(compiler->error, REMED_ESYNTAX, b->line, 1,
                              "rule '%s' is never reached: '%s' in line %u takes all its lines",
                              b->name, a->name, a->line);
    bool told = compiler->told[0] == first && compiler->told[1] == second; /* by another key */
    if (compiler->opts.log.write != NULL && !told && meet(compiler, a, b)) {
        compiler->told[0] = first;
        compiler->told[1] = second;
        tell(compiler, a, b);
    }
    return remed_log_check_work(compiler, b->line);
}

static int check_row(struct remed_log_compiler *compiler, uint32_t first, uint32_t count)
{
    const uint32_t *order = compiler->rules->order.items;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        for (uint32_t j = i + 1; rc == 0 && j < count && j < i + 256; j++)
            rc = check_pair(compiler, order[first + i], order[first + j]);
    return rc;
}

int remed_log_check_overlap(struct remed_log_compiler *compiler)
{
    const struct remed_log_rules *rules = compiler->rules;
    int rc = check_row(compiler, rules->unkeyed, rules->unkeyed_count);
    for (size_t i = 0; rc == 0 && i < rules->buckets.count; i++) {
        const struct remed_log_bucket *bucket =
            REMED_ITEM(rules->buckets, struct remed_log_bucket, i);
        rc = check_row(compiler, bucket->rules, bucket->count);
    }
    return rc;
}
