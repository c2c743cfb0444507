/* SPDX-License-Identifier: BSD-3-Clause */
/* Walks: the keys and columns that a rule wants, into a table. Threads: one compilation is one
 * thread's. */
#include "driver/log/compile.h"

static int add_walk(struct remed_log_compiler *compiler, unsigned style, uint32_t *number)
{
    struct remed_log_rules *rules = compiler->rules;
    struct remed_log_walk *walk = remed_array_add(&rules->walks, sizeof *walk, &rules->allocator);
    if (walk == NULL)
        return remed_log_no_memory(compiler);
    walk->style = (uint8_t)style;
    walk->entries = (uint32_t)rules->entries.count;
    *number = (uint32_t)rules->walks.count - 1;
    return 0;
}

/* What is wanted of a key's or a column's value: a literal, or a type with a slot. */
static int read_want(struct remed_log_compiler *compiler, struct remed_log_entry *entry)
{
    const struct remed_log_token *token = &compiler->reader.token;
    entry->slot = REMED_SLOT_NONE;
    entry->line = token->line;
    entry->place = token->column;
    if (token->kind == REMED_LOG_STRING) {
        int rc = remed_log_intern(compiler, token->value, token->value_length, &entry->literal);
        entry->literal_length = (uint32_t)token->value_length;
        remed_log_next(&compiler->reader);
        return rc;
    }
    int rc = remed_log_compile_field(compiler, true, &entry->type, &entry->slot);
    if (rc == 0 && entry->slot == REMED_SLOT_NONE)
        rc = remed_log_fault(compiler, "a value without a name: write NAME:TYPE");
    if (rc == 0 && remed_log_is(&compiler->reader, "..")) {
        entry->more = 1;
        remed_log_next(&compiler->reader);
    }
    if (rc == 0 && remed_log_is(&compiler->reader, "?")) {
        entry->optional = 1;
        remed_log_next(&compiler->reader);
    }
    return rc;
}

static int add_entry(struct remed_log_compiler *compiler, uint32_t number,
                     const struct remed_log_entry *entry)
{
    struct remed_log_rules *rules = compiler->rules;
    struct remed_log_walk *walk = REMED_ITEM(rules->walks, struct remed_log_walk, number);
    if (walk->count == REMED_LOG_ENTRIES)
        return remed_log_fault(compiler, "more than 64 keys or columns");
    unsigned place = entry->column;
    if (walk->style != REMED_STYLE_COLUMNS) {
        place =
            remed_log_key_hash((const uint8_t *)remed_log_text(rules, entry->text), entry->length);
        while (walk->bucket[place] != 0)
            place = (place + 1) % REMED_LOG_BUCKETS;
    }
    struct remed_log_entry *added =
        remed_array_add(&rules->entries, sizeof *added, &rules->allocator);
    if (added == NULL)
        return remed_log_no_memory(compiler);
    *added = *entry;
    if (entry->type == REMED_TYPE_NONE && !entry->stop)
        walk->required |= 1ull << walk->count;
    walk->bucket[place] = ++walk->count;
    return 0;
}

static bool has_key(const struct remed_log_compiler *compiler, uint32_t number)
{
    const struct remed_log_rules *rules = compiler->rules;
    const struct remed_log_token *token = &compiler->reader.token;
    const struct remed_log_walk *walk = REMED_ITEM(rules->walks, struct remed_log_walk, number);
    for (unsigned i = 0; i < walk->count; i++) {
        const struct remed_log_entry *entry =
            REMED_ITEM(rules->entries, struct remed_log_entry, walk->entries + i);
        if (entry->length == token->value_length &&
            memcmp(remed_log_text(rules, entry->text), token->value, entry->length) == 0)
            return true;
    }
    return false;
}

/* What parts key=value, where blanks do not. */
static int read_separator(struct remed_log_compiler *compiler, uint32_t number)
{
    const struct remed_log_token *token = &compiler->reader.token;
    struct remed_log_walk *walk = REMED_ITEM(compiler->rules->walks, struct remed_log_walk, number);
    walk->separator = ' ';
    if (token->kind != REMED_LOG_STRING)
        return 0;
    if (token->value_length != 1)
        return remed_log_expected(&compiler->reader, compiler->error, "a separator of one byte");
    walk->separator = token->value[0];
    remed_log_next(&compiler->reader);
    return 0;
}

static int open_list(struct remed_log_compiler *compiler)
{
    if (!remed_log_is(&compiler->reader, "{"))
        return remed_log_expected(&compiler->reader, compiler->error, "'{'");
    remed_log_next(&compiler->reader);
    return 0;
}

/* "key" WANT, or stop "key" */
static int read_key(struct remed_log_compiler *compiler, uint32_t number)
{
    struct remed_log_entry entry = {0};
    const struct remed_log_token *token = &compiler->reader.token;
    if (remed_log_is(&compiler->reader, "stop")) {
        entry.stop = 1;
        remed_log_next(&compiler->reader);
    }
    if (token->kind != REMED_LOG_STRING || token->value_length == 0)
        return remed_log_expected(&compiler->reader, compiler->error,
                                  "a key in quotes, stop and a key, or '}'");
    if (has_key(compiler, number))
        return remed_log_fault(compiler, "this key stands here twice");
    entry.length = (uint32_t)token->value_length;
    int rc = remed_log_intern(compiler, token->value, token->value_length, &entry.text);
    remed_log_next(&compiler->reader);
    if (rc == 0 && !entry.stop)
        rc = read_want(compiler, &entry);
    return rc == 0 ? add_entry(compiler, number, &entry) : rc;
}

int remed_log_compile_keys(struct remed_log_compiler *compiler, uint32_t *number)
{
    static const char *const styles[] = {"equals", "colon", "commas", "spaced", "json"};
    const unsigned count = sizeof styles / sizeof *styles;
    unsigned style = 0;
    while (style < count && !remed_log_is(&compiler->reader, styles[style]))
        style++;
    if (style == count)
        return remed_log_expected(&compiler->reader, compiler->error,
                                  "equals, colon, commas, spaced or json");
    remed_log_next(&compiler->reader);
    int rc = add_walk(compiler, style, number);
    if (rc == 0 && style == REMED_STYLE_EQUALS)
        rc = read_separator(compiler, *number);
    if (rc == 0)
        rc = open_list(compiler);
    while (rc == 0 && !remed_log_is(&compiler->reader, "}"))
        rc = read_key(compiler, *number);
    if (rc == 0)
        remed_log_next(&compiler->reader);
    return rc;
}

/* NUMBER WANT */
static int read_column(struct remed_log_compiler *compiler, uint32_t number)
{
    struct remed_log_entry entry = {0};
    int rc = remed_log_read_count(compiler, 255, "a column's number, or '}'", &entry.column);
    if (rc < 0)
        return rc;
    struct remed_log_walk *walk = REMED_ITEM(compiler->rules->walks, struct remed_log_walk, number);
    if (entry.column < walk->base || walk->bucket[entry.column] != 0)
        return remed_log_fault(compiler, "a column that stands here twice, or before the first");
    if (entry.column > walk->last)
        walk->last = (uint8_t)entry.column;
    rc = read_want(compiler, &entry);
    return rc == 0 ? add_entry(compiler, number, &entry) : rc;
}

int remed_log_compile_columns(struct remed_log_compiler *compiler, uint32_t *number)
{
    const struct remed_log_token *token = &compiler->reader.token;
    if (token->kind != REMED_LOG_STRING || token->value_length != 1)
        return remed_log_expected(&compiler->reader, compiler->error,
                                  "the separator, one byte in quotes");
    int rc = add_walk(compiler, REMED_STYLE_COLUMNS, number);
    if (rc < 0)
        return rc;
    REMED_ITEM(compiler->rules->walks, struct remed_log_walk, *number)->separator = token->value[0];
    remed_log_next(&compiler->reader);
    uint32_t base = 0;
    if (remed_log_is(&compiler->reader, "from")) {
        remed_log_next(&compiler->reader);
        rc = remed_log_read_count(compiler, 255, "the first column's number", &base);
    }
    struct remed_log_walk *walk =
        REMED_ITEM(compiler->rules->walks, struct remed_log_walk, *number);
    walk->base = walk->last = (uint8_t)base;
    if (rc == 0)
        rc = open_list(compiler);
    while (rc == 0 && !remed_log_is(&compiler->reader, "}"))
        rc = read_column(compiler, *number);
    if (rc == 0)
        remed_log_next(&compiler->reader);
    return rc;
}
