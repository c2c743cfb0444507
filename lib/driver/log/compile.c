/* SPDX-License-Identifier: BSD-3-Clause */
/* Rule sets: from text to a program. Threads: one compilation is one thread's. */
#include "driver/log/compile.h"

#include "driver/log/scan.h"

#include <stdio.h>

#define MAX_TEXT (16u << 20)

void remed_log_rules_opts_init(struct remed_log_rules_opts *opts, size_t size)
{
    const struct remed_log_rules_opts defaults = {
        .size = size, .max_rules = 4096, .max_steps = 65536};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

void *remed_array_add(struct remed_array *array, size_t size,
                      const struct remed_allocator *allocator)
{
    if (array->count == array->room) {
        size_t room = array->room == 0 ? 16 : array->room * 2;
        void *grown = remed_reallocate(allocator, array->items, array->room * size, room * size);
        if (grown == NULL)
            return NULL;
        array->items = grown;
        array->room = room;
    }
    void *added = (char *)array->items + array->count++ * size;
    memset(added, 0, size);
    return added;
}

void remed_array_free(struct remed_array *array, size_t size,
                      const struct remed_allocator *allocator)
{
    remed_release(allocator, array->items, array->room * size);
    *array = (struct remed_array){NULL, 0, 0};
}

int remed_log_fault(struct remed_log_compiler *compiler, const char *message)
{
    return remed_error_at(compiler->error, REMED_ESYNTAX, compiler->reader.token.line,
                          compiler->reader.token.column, "%s", message);
}

int remed_log_no_memory(struct remed_log_compiler *compiler)
{
    return remed_error_set(compiler->error, REMED_ENOMEM, "no memory for the rules");
}

int remed_log_intern(struct remed_log_compiler *compiler, const char *text, size_t length,
                     uint32_t *at)
{
    struct remed_array *pool = &compiler->rules->pool;
    *at = (uint32_t)pool->count;
    for (size_t i = 0; i <= length; i++) {
        char *place = remed_array_add(pool, 1, &compiler->rules->allocator);
        if (place == NULL)
            return remed_log_no_memory(compiler);
        *place = i < length ? text[i] : '\0';
    }
    return 0;
}

int remed_log_read_count(struct remed_log_compiler *compiler, uint32_t most, const char *what,
                         uint32_t *value)
{
    const struct remed_log_token *token = &compiler->reader.token;
    uint64_t number = 0;
    const uint8_t *text = (const uint8_t *)token->text;
    if (token->kind != REMED_LOG_WORD ||
        remed_scan_number(text, text + token->length, &number) != text + token->length ||
        number > most)
        return remed_log_expected(&compiler->reader, compiler->error, what);
    *value = (uint32_t)number;
    remed_log_next(&compiler->reader);
    return 0;
}

static struct remed_log_program_rule *rule_at_hand(struct remed_log_compiler *compiler)
{
    return REMED_ITEM(compiler->rules->rules, struct remed_log_program_rule,
                      compiler->rules->rules.count - 1);
}

static int end_rule(struct remed_log_compiler *compiler)
{
    if (!compiler->in_rule)
        return 0;
    compiler->in_rule = false;
    return remed_log_check_needs(compiler);
}

static int read_title(struct remed_log_compiler *compiler)
{
    const struct remed_log_token *token = &compiler->reader.token;
    if (token->kind != REMED_LOG_STRING)
        return remed_log_expected(&compiler->reader, compiler->error, "the title in quotes");
    int rc = remed_log_intern(compiler, token->value, token->value_length, &compiler->rules->title);
    remed_log_next(&compiler->reader);
    return rc;
}

static int read_header(struct remed_log_compiler *compiler)
{
    bool none = remed_log_is(&compiler->reader, "none");
    if (!none && !remed_log_is(&compiler->reader, "syslog"))
        return remed_log_expected(&compiler->reader, compiler->error, "syslog or none");
    compiler->rules->syslog = !none;
    remed_log_next(&compiler->reader);
    return 0;
}

static int read_begin(struct remed_log_compiler *compiler)
{
    struct remed_log_rules *rules = compiler->rules;
    if (rules->rules.count != 0)
        return remed_log_fault(compiler, "begin stands before the rules");
    uint32_t start, *place;
    compiler->sets = 0;
    int rc = remed_log_compile_pattern(compiler, &start);
    if (rc < 0)
        return rc;
    compiler->begin_sets |= compiler->sets;
    place = remed_array_add(&rules->begins, sizeof *place, &rules->allocator);
    if (place == NULL)
        return remed_log_no_memory(compiler);
    *place = start;
    return 0;
}

/* let NAME = PATTERN, let NAME(PARAMETER) = PATTERN: kept as text, up to the end of its line */
static int read_let(struct remed_log_compiler *compiler)
{
    struct remed_log_reader *reader = &compiler->reader;
    struct remed_log_let *let = &compiler->lets[compiler->let_count];
    if (compiler->let_count == REMED_LOG_LETS)
        return remed_log_fault(compiler, "more than 64 lets");
    if (reader->token.kind != REMED_LOG_WORD)
        return remed_log_expected(reader, compiler->error, "a name");
    *let = (struct remed_log_let){.name = reader->token.text, .name_length = reader->token.length};
    remed_log_next(reader);
    if (remed_log_is(reader, "(")) {
        remed_log_next(reader);
        if (reader->token.kind != REMED_LOG_WORD)
            return remed_log_expected(reader, compiler->error, "the parameter's name");
        let->parameter = reader->token.text;
        let->parameter_length = reader->token.length;
        remed_log_next(reader);
        if (!remed_log_is(reader, ")"))
            return remed_log_expected(reader, compiler->error, "')'");
        remed_log_next(reader);
    }
    if (!remed_log_is(reader, "="))
        return remed_log_expected(reader, compiler->error, "'='");
    remed_log_next(reader);
    let->body = *reader;
    compiler->let_count++;
    const char *begin = reader->token.text;
    while (reader->token.kind != REMED_LOG_LINE && reader->token.kind != REMED_LOG_END) {
        if (reader->token.kind == REMED_LOG_BAD)
            return remed_log_expected(reader, compiler->error, "a pattern");
        remed_log_next(reader);
    }
    let->body_length = (size_t)(reader->token.text - begin);
    return 0;
}

static int read_keys(struct remed_log_compiler *compiler, struct remed_log_program_rule *rule)
{
    struct remed_log_rules *rules = compiler->rules;
    const struct remed_log_token *token = &compiler->reader.token;
    if ((compiler->begin_sets >> REMED_SLOT_KEY & 1) == 0)
        return remed_log_fault(compiler, "no begin of this set has a key");
    remed_log_next(&compiler->reader);
    rule->keys = (uint32_t)rules->words.count;
    while (token->kind == REMED_LOG_WORD || token->kind == REMED_LOG_STRING) {
        bool string = token->kind == REMED_LOG_STRING;
        struct remed_log_word *word =
            remed_array_add(&rules->words, sizeof *word, &rules->allocator);
        if (word == NULL)
            return remed_log_no_memory(compiler);
        word->length = (uint32_t)(string ? token->value_length : token->length);
        int rc = remed_log_intern(compiler, string ? token->value : token->text, word->length,
                                  &word->text);
        if (rc < 0)
            return rc;
        rule->key_count++;
        remed_log_next(&compiler->reader);
    }
    return rule->key_count > 0 ? 0
                               : remed_log_expected(&compiler->reader, compiler->error, "a key");
}

/* rule NAME [key KEY …] */
static int read_rule(struct remed_log_compiler *compiler)
{
    struct remed_log_rules *rules = compiler->rules;
    const struct remed_log_token *token = &compiler->reader.token;
    if (token->kind != REMED_LOG_WORD || token->length > REMED_LOG_NAME_MAX)
        return remed_log_expected(&compiler->reader, compiler->error,
                                  "the rule's name, at most 63 bytes");
    if (rules->rules.count >= compiler->opts.max_rules)
        return remed_error_at(compiler->error, REMED_ELIMIT, token->line, token->column,
                              "more than %u rules", compiler->opts.max_rules);
    struct remed_log_program_rule *rule =
        remed_array_add(&rules->rules, sizeof *rule, &rules->allocator);
    if (rule == NULL)
        return remed_log_no_memory(compiler);
    memcpy(rule->name, token->text, token->length);
    rule->line = token->line;
    rule->column = token->column;
    rule->proto = UINT8_MAX;
    compiler->in_rule = true;
    compiler->has_match = false;
    compiler->word_count = 0;
    compiler->sets = 0;
    remed_log_next(&compiler->reader);
    return remed_log_is(&compiler->reader, "key") ? read_keys(compiler, rule) : 0;
}

static int read_match(struct remed_log_compiler *compiler)
{
    uint32_t start;
    if (compiler->has_match)
        return remed_log_fault(compiler, "a rule has one match");
    compiler->has_match = true;
    int rc = remed_log_compile_pattern(compiler, &start);
    struct remed_log_program_rule *rule = rule_at_hand(compiler);
    rule->start = start;
    rule->steps = (uint32_t)compiler->rules->steps.count - start;
    rule->word_count = (uint8_t)compiler->word_count;
    return rc;
}

static int read_proto(struct remed_log_compiler *compiler)
{
    const struct remed_log_token *token = &compiler->reader.token;
    uint8_t number;
    if (token->kind != REMED_LOG_WORD ||
        !remed_protocol_number(token->text, token->length, &number))
        return remed_log_expected(&compiler->reader, compiler->error, "a protocol's name");
    rule_at_hand(compiler)->proto = number;
    remed_log_next(&compiler->reader);
    return 0;
}

static const struct statement {
    const char *name;
    bool of_rule;
    int (*read)(struct remed_log_compiler *compiler);
} statements[] = {{"title", false, read_title},
                  {"header", false, read_header},
                  {"begin", false, read_begin},
                  {"let", false, read_let},
                  {"rule", false, read_rule},
                  {"match", true, read_match},
                  {"proto", true, read_proto},
                  {"event", true, remed_log_compile_event},
                  {"opener", true, remed_log_compile_opener},
                  {"give", true, remed_log_compile_give}};

static int read_statement(struct remed_log_compiler *compiler)
{
    const struct statement *statement = statements;
    const struct statement *end = statements + sizeof statements / sizeof *statements;
    while (statement < end && !remed_log_is(&compiler->reader, statement->name))
        statement++;
    if (statement == end || (statement->of_rule && !compiler->in_rule))
        return remed_log_expected(&compiler->reader, compiler->error,
                                  compiler->in_rule
                                      ? "match, proto, event, opener, give, let or rule"
                                      : "title, header, begin, let or rule");
    int rc = statement->of_rule || statement->read == read_let ? 0 : end_rule(compiler);
    if (rc < 0)
        return rc;
    remed_log_next(&compiler->reader);
    rc = statement->read(compiler);
    if (rc < 0)
        return rc;
    if (compiler->reader.token.kind != REMED_LOG_LINE &&
        compiler->reader.token.kind != REMED_LOG_END)
        return remed_log_expected(&compiler->reader, compiler->error, "the end of the line");
    return 0;
}

static int compile(struct remed_log_compiler *compiler)
{
    uint32_t empty;
    int rc = remed_log_intern(compiler, "", 0, &empty);
    while (rc == 0 && compiler->reader.token.kind != REMED_LOG_END) {
        if (compiler->reader.token.kind == REMED_LOG_LINE)
            remed_log_next(&compiler->reader);
        else
            rc = read_statement(compiler);
    }
    if (rc == 0)
        rc = end_rule(compiler);
    if (rc == 0 && compiler->rules->rules.count == 0)
        rc = remed_log_expected(&compiler->reader, compiler->error, "a rule");
    if (rc == 0)
        rc = remed_log_check_names(compiler);
    if (rc == 0)
        rc = remed_log_build_dispatch(compiler);
    if (rc == 0)
        rc = remed_log_check_overlap(compiler);
    if (rc == 0)
        remed_log_find_first(compiler->rules);
    return rc;
}

static int check_opts(struct remed_log_rules_opts *own, const struct remed_log_rules_opts *given,
                      struct remed_error *error)
{
    remed_log_rules_opts_init(own, sizeof *own);
    if (given == NULL)
        return 0;
    int rc = remed_opts_copy(own, sizeof *own, given, "log rules options", error);
    if (rc == 0 && (own->max_rules < 1 || own->max_rules > 65535 || own->max_steps < 16 ||
                    own->max_steps > 1000000))
        rc = remed_error_set(error, REMED_EINVAL, "max_rules or max_steps is out of its range");
    return rc;
}

int remed_log_rules_parse(struct remed_log_rules **rules, const struct remed_log_rules_opts *opts,
                          const char *text, size_t length, struct remed_error *error)
{
    struct remed_log_rules_opts own;
    int rc = check_opts(&own, opts, error);
    if (rc < 0)
        return rc;
    if (length > MAX_TEXT)
        return remed_error_set(error, REMED_ELIMIT, "a rule set of more than 16 MiB");
    struct remed_allocator allocator = remed_allocator_or_default(own.allocator);
    struct remed_log_compiler *compiler = remed_allocate(&allocator, sizeof *compiler);
    struct remed_log_rules *made = remed_allocate(&allocator, sizeof *made);
    if (compiler == NULL || made == NULL) {
        remed_release(&allocator, compiler, sizeof *compiler);
        remed_release(&allocator, made, sizeof *made);
        return remed_error_set(error, REMED_ENOMEM, "no memory for the rules");
    }
    made->allocator = allocator;
    made->syslog = true;
    compiler->rules = made;
    compiler->opts = own;
    compiler->error = error;
    compiler->length = length;
    remed_log_reader_init(&compiler->reader, text, length);
    rc = compile(compiler);
    remed_release(&allocator, compiler, sizeof *compiler);
    if (rc < 0)
        remed_log_rules_free(made);
    else
        *rules = made;
    return rc;
}

void remed_log_rules_free(struct remed_log_rules *rules)
{
    if (rules == NULL)
        return;
    struct remed_allocator allocator = rules->allocator;
    remed_array_free(&rules->pool, 1, &allocator);
    remed_array_free(&rules->steps, sizeof(struct remed_log_step), &allocator);
    remed_array_free(&rules->walks, sizeof(struct remed_log_walk), &allocator);
    remed_array_free(&rules->entries, sizeof(struct remed_log_entry), &allocator);
    remed_array_free(&rules->clauses, sizeof(struct remed_log_clause), &allocator);
    remed_array_free(&rules->terms, sizeof(struct remed_log_term), &allocator);
    remed_array_free(&rules->words, sizeof(struct remed_log_word), &allocator);
    remed_array_free(&rules->rules, sizeof(struct remed_log_program_rule), &allocator);
    remed_array_free(&rules->begins, sizeof(uint32_t), &allocator);
    remed_array_free(&rules->buckets, sizeof(struct remed_log_bucket), &allocator);
    remed_array_free(&rules->order, sizeof(uint32_t), &allocator);
    remed_release(&allocator, rules->heads, rules->head_count * sizeof *rules->heads);
    remed_release(&allocator, rules, sizeof *rules);
}
