/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a key to the rules that it may mean; and what a compiled set tells of itself.
 *
 * Threads: one compilation is one thread's; a compiled set is only read.
 */
#include "driver/log/compile.h"

static struct remed_log_bucket *add_bucket(struct remed_log_rules *rules,
                                           const struct remed_log_word *word)
{
    struct remed_log_bucket *bucket =
        remed_array_add(&rules->buckets, sizeof *bucket, &rules->allocator);
    if (bucket == NULL)
        return NULL;
    const uint8_t *key = (const uint8_t *)remed_log_text(rules, word->text);
    struct remed_log_ends ends = remed_log_ends_of(key, word->length);
    uint32_t place = (uint32_t)(remed_log_mix(ends, word->length) >> 32) & (rules->head_count - 1);
    uint32_t *head = &rules->heads[place];
    bucket->head = ends.head;
    bucket->tail = ends.tail;
    bucket->text = word->text;
    bucket->length = word->length;
    bucket->next = *head;
    *head = (uint32_t)rules->buckets.count;
    return bucket;
}

/* As remed_log_find_bucket(), with its steps counted. */
static struct remed_log_bucket *find_counted(struct remed_log_compiler *compiler,
                                             const struct remed_log_word *word)
{
    struct remed_log_rules *rules = compiler->rules;
    const uint8_t *key = (const uint8_t *)remed_log_text(rules, word->text);
    struct remed_log_ends ends = remed_log_ends_of(key, word->length);
    uint32_t at =
        rules->heads[(uint32_t)(remed_log_mix(ends, word->length) >> 32) & (rules->head_count - 1)];
    compiler->work++;
    while (at != 0) {
        struct remed_log_bucket *bucket =
            REMED_ITEM(rules->buckets, struct remed_log_bucket, at - 1);
        compiler->work++;
        if (bucket->length == word->length &&
            memcmp(remed_log_text(rules, bucket->text), key, word->length) == 0)
            return bucket;
        at = bucket->next;
    }
    return NULL;
}

static int count_keys(struct remed_log_compiler *compiler,
                      const struct remed_log_program_rule *rule)
{
    struct remed_log_rules *rules = compiler->rules;
    for (uint32_t k = 0; k < rule->key_count; k++) {
        const struct remed_log_word *word =
            REMED_ITEM(rules->words, struct remed_log_word, rule->keys + k);
        struct remed_log_bucket *bucket = find_counted(compiler, word);
        if (bucket == NULL && (bucket = add_bucket(rules, word)) == NULL)
            return remed_log_no_memory(compiler);
        bucket->count++;
        int rc = remed_log_check_work(compiler, rule->line);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Room in the order array for each key's rules, then for those without a key. */
static int lay_out(struct remed_log_compiler *compiler)
{
    struct remed_log_rules *rules = compiler->rules;
    uint32_t total = 0;
    for (size_t i = 0; i < rules->buckets.count; i++) {
        struct remed_log_bucket *bucket = REMED_ITEM(rules->buckets, struct remed_log_bucket, i);
        bucket->rules = total;
        total += bucket->count;
        bucket->count = 0;
    }
    rules->unkeyed = total;
    for (size_t i = 0; i < rules->rules.count; i++)
        total += REMED_ITEM(rules->rules, struct remed_log_program_rule, i)->key_count == 0;
    while (rules->order.count < total)
        if (remed_array_add(&rules->order, sizeof(uint32_t), &rules->allocator) == NULL)
            return remed_log_no_memory(compiler);
    return 0;
}

int remed_log_build_dispatch(struct remed_log_compiler *compiler)
{
    struct remed_log_rules *rules = compiler->rules;
    const struct remed_log_program_rule *all = rules->rules.items;
    size_t keys = 0;
    for (size_t i = 0; i < rules->rules.count; i++)
        keys += all[i].key_count;
    for (rules->head_count = 16; rules->head_count < 4 * keys;)
        rules->head_count *= 2;
    rules->heads = remed_allocate(&rules->allocator, rules->head_count * sizeof *rules->heads);
    if (rules->heads == NULL) {
        rules->head_count = 0;
        return remed_log_no_memory(compiler);
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < rules->rules.count; i++)
        rc = count_keys(compiler, &all[i]);
    if (rc == 0)
        rc = lay_out(compiler);
    for (uint32_t i = 0; rc == 0 && i < rules->rules.count; i++) {
        if (all[i].key_count == 0)
            *REMED_ITEM(rules->order, uint32_t, rules->unkeyed + rules->unkeyed_count++) = i;
        for (uint32_t k = 0; k < all[i].key_count; k++) {
            const struct remed_log_word *word =
                REMED_ITEM(rules->words, struct remed_log_word, all[i].keys + k);
            struct remed_log_bucket *bucket = remed_log_find_bucket(
                rules, (const uint8_t *)remed_log_text(rules, word->text), word->length);
            *REMED_ITEM(rules->order, uint32_t, bucket->rules + bucket->count++) = i;
        }
    }
    return rc;
}

const char *remed_log_rules_title(const struct remed_log_rules *rules)
{
    return remed_log_text(rules, rules->title);
}

size_t remed_log_rules_count(const struct remed_log_rules *rules)
{
    return rules->rules.count;
}

static uint32_t values_of(const struct remed_log_rules *rules, uint32_t first, uint32_t count)
{
    uint32_t values = 0;
    for (uint32_t i = 0; i < count; i++)
        values |= 1u << REMED_ITEM(rules->clauses, struct remed_log_clause, first + i)->value;
    return values;
}

int remed_log_rules_get(const struct remed_log_rules *rules, size_t index,
                        struct remed_log_rule *rule, size_t size)
{
    if (index >= rules->rules.count)
        return REMED_ENOENT;
    const struct remed_log_program_rule *of =
        REMED_ITEM(rules->rules, struct remed_log_program_rule, index);
    const struct remed_log_rule own = {.name = of->name,
                                       .line = of->line,
                                       .kinds = values_of(rules, of->give, of->give_count),
                                       .events = values_of(rules, of->event, of->event_count)};
    remed_stats_copy(rule, size, &own, sizeof own);
    return 0;
}

const char *remed_log_event_name(unsigned event)
{
    static const char *const names[REMED_LOG_EVENT_COUNT] = {"none",  "open", "update", "close",
                                                             "allow", "deny", "packet"};
    return event < REMED_LOG_EVENT_COUNT ? names[event] : NULL;
}

const char *remed_log_outcome_name(unsigned outcome)
{
    static const char *const names[REMED_LOG_OUTCOMES] = {
        "foreign", "unknown", "unmatched", "silent", "denied", "incomplete", "records"};
    return outcome < REMED_LOG_OUTCOMES ? names[outcome] : NULL;
}
