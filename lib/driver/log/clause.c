/* SPDX-License-Identifier: BSD-3-Clause */
/* Events, openers, records, and the conditions on them. Threads: one compilation is one thread's.
 */
#include "driver/log/compile.h"

#include "driver/log/scan.h"

static struct remed_log_program_rule *rule_at_hand(struct remed_log_compiler *compiler)
{
    return REMED_ITEM(compiler->rules->rules, struct remed_log_program_rule,
                      compiler->rules->rules.count - 1);
}

/* One word that a term's value may be; a protocol becomes its number. */
static int read_choice(struct remed_log_compiler *compiler, struct remed_log_term *term)
{
    const struct remed_log_token *token = &compiler->reader.token;
    struct remed_log_rules *rules = compiler->rules;
    bool string = token->kind == REMED_LOG_STRING;
    if (!string && token->kind != REMED_LOG_WORD)
        return remed_log_expected(&compiler->reader, compiler->error, "a word or a string");
    struct remed_log_word word = {0, 0};
    uint8_t number;
    if (term->slot == REMED_SLOT_PROTO) {
        if (!remed_protocol_number(token->text, token->length, &number))
            return remed_log_expected(&compiler->reader, compiler->error, "a protocol's name");
        word.text = number;
    } else {
        word.length = (uint32_t)(string ? token->value_length : token->length);
        int rc = remed_log_intern(compiler, string ? token->value : token->text, word.length,
                                  &word.text);
        if (rc < 0)
            return rc;
    }
    struct remed_log_word *added = remed_array_add(&rules->words, sizeof word, &rules->allocator);
    if (added == NULL)
        return remed_log_no_memory(compiler);
    *added = word;
    term->count++;
    remed_log_next(&compiler->reader);
    return 0;
}

/* Words in a row; only what a pattern read can be asked for. */
static int read_slot(struct remed_log_compiler *compiler, struct remed_log_term *term)
{
    const struct remed_log_token *token = &compiler->reader.token;
    if (token->kind != REMED_LOG_WORD)
        return remed_log_expected(&compiler->reader, compiler->error, "a name, 'has' or 'not'");
    unsigned slot = remed_log_slot_of(compiler, token->text, token->length, false);
    uint64_t set = compiler->sets | compiler->begin_sets;
    if (slot == REMED_SLOT_NONE || (set >> slot & 1) == 0)
        return remed_log_expected(&compiler->reader, compiler->error,
                                  "a name that this rule's pattern sets");
    term->slot = (uint8_t)slot;
    remed_log_next(&compiler->reader);
    return 0;
}

static int read_is(struct remed_log_compiler *compiler, struct remed_log_term *term)
{
    int rc = read_slot(compiler, term);
    if (rc < 0)
        return rc;
    if (term->slot < REMED_SLOT_NAME && term->slot != REMED_SLOT_PROTO)
        return remed_log_fault(compiler, "'is' goes with words and proto; say 'has' of others");
    if (!remed_log_is(&compiler->reader, "is"))
        return remed_log_expected(&compiler->reader, compiler->error, "'is'");
    remed_log_next(&compiler->reader);
    if (remed_log_is(&compiler->reader, "not")) {
        term->negated = 1;
        remed_log_next(&compiler->reader);
    }
    term->first = (uint32_t)compiler->rules->words.count;
    rc = read_choice(compiler, term);
    while (rc == 0 && remed_log_is(&compiler->reader, "or")) {
        remed_log_next(&compiler->reader);
        rc = read_choice(compiler, term);
    }
    return rc;
}

/* NAME is [not] WORD or WORD, or [not] has NAME */
static int read_term(struct remed_log_compiler *compiler, struct remed_log_term *term)
{
    *term = (struct remed_log_term){0};
    if (remed_log_is(&compiler->reader, "not")) {
        term->negated = 1;
        remed_log_next(&compiler->reader);
        if (!remed_log_is(&compiler->reader, "has"))
            return remed_log_expected(&compiler->reader, compiler->error, "'has'");
    }
    if (!remed_log_is(&compiler->reader, "has"))
        return read_is(compiler, term);
    term->test = REMED_TEST_HAS;
    remed_log_next(&compiler->reader);
    return read_slot(compiler, term);
}

static int end_of_line(struct remed_log_compiler *compiler, const char *what)
{
    enum remed_log_token_kind kind = compiler->reader.token.kind;
    if (kind == REMED_LOG_LINE || kind == REMED_LOG_END)
        return 0;
    return remed_log_expected(&compiler->reader, compiler->error, what);
}

/* [when TERM and TERM …], and the clause with it */
static int add_clause(struct remed_log_compiler *compiler, unsigned value)
{
    struct remed_log_rules *rules = compiler->rules;
    struct remed_log_clause clause = {.value = (uint8_t)value,
                                      .terms = (uint32_t)rules->terms.count};
    int rc = 0;
    if (remed_log_is(&compiler->reader, "when")) {
        clause.conditional = 1;
        do {
            struct remed_log_term term, *added;
            remed_log_next(&compiler->reader);
            rc = read_term(compiler, &term);
            term.last = !remed_log_is(&compiler->reader, "and");
            added = rc == 0 ? remed_array_add(&rules->terms, sizeof term, &rules->allocator) : NULL;
            if (rc == 0 && added == NULL)
                rc = remed_log_no_memory(compiler);
            if (rc == 0)
                *added = term;
        } while (rc == 0 && remed_log_is(&compiler->reader, "and"));
    }
    if (rc == 0)
        rc = end_of_line(compiler, clause.conditional ? "'or', 'and' or the end of the line"
                                                      : "'when' or the end of the line");
    if (rc < 0)
        return rc;
    struct remed_log_clause *added =
        remed_array_add(&rules->clauses, sizeof clause, &rules->allocator);
    if (added == NULL)
        return remed_log_no_memory(compiler);
    *added = clause;
    return 0;
}

/* Clauses of one sort lie in a row: a rule names all its events, then the openers, then records. */
static int add_to_row(struct remed_log_compiler *compiler, uint32_t *first, uint32_t *count,
                      unsigned value, const char *order)
{
    uint32_t next = (uint32_t)compiler->rules->clauses.count;
    if (*count == 0)
        *first = next;
    if (*first + *count != next)
        return remed_log_fault(compiler, order);
    if (*count != 0 &&
        !REMED_ITEM(compiler->rules->clauses, struct remed_log_clause, next - 1)->conditional)
        return remed_log_fault(compiler, "never reached: the line before it has no 'when'");
    int rc = add_clause(compiler, value);
    if (rc == 0)
        ++*count;
    return rc;
}

int remed_log_compile_event(struct remed_log_compiler *compiler)
{
    unsigned event = 0;
    while (event < REMED_LOG_EVENT_COUNT &&
           !remed_log_is(&compiler->reader, remed_log_event_name(event)))
        event++;
    if (event == REMED_LOG_EVENT_COUNT)
        return remed_log_expected(&compiler->reader, compiler->error,
                                  "none, open, update, close, allow, deny or packet");
    remed_log_next(&compiler->reader);
    struct remed_log_program_rule *rule = rule_at_hand(compiler);
    return add_to_row(compiler, &rule->event, &rule->event_count, event,
                      "events stand together, before opener and give");
}

int remed_log_compile_opener(struct remed_log_compiler *compiler)
{
    static const char *const names[] = {"src", "dst", "either"};
    unsigned opener = 0;
    while (opener < 3 && !remed_log_is(&compiler->reader, names[opener]))
        opener++;
    if (opener == 3)
        return remed_log_expected(&compiler->reader, compiler->error, "src, dst or either");
    remed_log_next(&compiler->reader);
    struct remed_log_program_rule *rule = rule_at_hand(compiler);
    return add_to_row(compiler, &rule->opener, &rule->opener_count, opener,
                      "openers stand together");
}

int remed_log_compile_give(struct remed_log_compiler *compiler)
{
    static const unsigned kinds[] = {REMED_KIND_SESSION, REMED_KIND_NAT_BINDING,
                                     REMED_KIND_LB_ASSIGNMENT};
    unsigned i = 0;
    while (i < 3 && !remed_log_is(&compiler->reader, remed_kind_name(kinds[i])))
        i++;
    if (i == 3)
        return remed_log_expected(&compiler->reader, compiler->error,
                                  "session, nat-binding or lb-assignment");
    remed_log_next(&compiler->reader);
    struct remed_log_program_rule *rule = rule_at_hand(compiler);
    return add_to_row(compiler, &rule->give, &rule->give_count, kinds[i], "gives stand together");
}

struct need {
    uint64_t any; /* one of these slots */
    const char *name;
};

static const char *missing(unsigned kind, uint64_t set)
{
    static const struct need session[] = {{1ull << REMED_SLOT_SRC, "src"},
                                          {1ull << REMED_SLOT_DST, "dst"},
                                          {1ull << REMED_SLOT_PROTO, "proto"},
                                          {0, NULL}};
    static const struct need binding[] = {
        {1ull << REMED_SLOT_SRC, "src"}, {1ull << REMED_SLOT_XSRC, "src.after"}, {0, NULL}};
    static const struct need assignment[] = {
        {1ull << REMED_SLOT_SRC, "src"},
        {1ull << REMED_SLOT_BACKEND | 1ull << REMED_SLOT_NAME, "backend or backend.name"},
        {1ull << REMED_SLOT_PROTO, "proto"},
        {0, NULL}};
    const struct need *need = kind == REMED_KIND_SESSION       ? session
                              : kind == REMED_KIND_NAT_BINDING ? binding
                                                               : assignment;
    for (; need->name != NULL; need++)
        if ((set & need->any) == 0)
            return need->name;
    return NULL;
}

int remed_log_check_needs(struct remed_log_compiler *compiler)
{
    struct remed_log_program_rule *rule = rule_at_hand(compiler);
    uint64_t set = compiler->sets | compiler->begin_sets;
    bool gives = false;
    if (!compiler->has_match)
        return remed_error_at(compiler->error, REMED_ESYNTAX, rule->line, 1,
                              "rule '%s' has no match", rule->name);
    if (rule->proto != UINT8_MAX)
        set |= 1ull << REMED_SLOT_PROTO;
    for (uint32_t i = 0; i < rule->event_count; i++) {
        unsigned event =
            REMED_ITEM(compiler->rules->clauses, struct remed_log_clause, rule->event + i)->value;
        gives = gives || (event != REMED_LOG_EVENT_NONE && event != REMED_LOG_EVENT_DENY);
    }
    if (gives && rule->give_count == 0)
        return remed_error_at(compiler->error, REMED_ESYNTAX, rule->line, 1,
                              "rule '%s' has events of a flow, and no give", rule->name);
    for (uint32_t i = 0; i < rule->give_count; i++) {
        unsigned kind =
            REMED_ITEM(compiler->rules->clauses, struct remed_log_clause, rule->give + i)->value;
        const char *lacks = missing(kind, set);
        if (lacks != NULL)
            return remed_error_at(compiler->error, REMED_ESYNTAX, rule->line, 1,
                                  "rule '%s' gives a %s, and never sets %s", rule->name,
                                  remed_kind_name(kind), lacks);
    }
    return 0;
}
