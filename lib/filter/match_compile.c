/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MATCH from text to tests. `and` and `or` bind equally and to the left, as in pcap-filter(7), so
 * tests stand in the order of the text, and joining two expressions is pointing the loose ends of
 * the left one at the first test of the right one. Loose ends are chained through the very fields
 * that they will fill.
 *
 * Threads: belongs to one parse.
 */
#include "filter/match.h"

#include "filter/primitive.h"

#define NO_END UINT32_MAX

/* Loose ends: 2 * test + (1 for if_true). */
struct ends {
    uint32_t head, tail;
};

struct expression {
    struct ends if_true, if_false;
};

struct compiler {
    struct remed_lexer *lexer;
    const struct remed_allocator *allocator;
    struct remed_error *error;
    struct remed_growing tests;
    struct remed_growing text;
    struct remed_qualifiers qualifiers;
    struct remed_place place;
    uint32_t depth, max_depth;
};

static uint32_t *end_field(struct compiler *compiler, uint32_t end)
{
    struct remed_test *tests = compiler->tests.items;
    return (end & 1) != 0 ? &tests[end / 2].if_true : &tests[end / 2].if_false;
}

static struct ends join(struct compiler *compiler, struct ends a, struct ends b)
{
    *end_field(compiler, a.tail) = b.head;
    return (struct ends){a.head, b.tail};
}

static void point(struct compiler *compiler, struct ends ends, uint32_t target)
{
    for (uint32_t end = ends.head; end != NO_END;) {
        uint32_t *field = end_field(compiler, end);
        end = *field;
        *field = target;
    }
}

static int no_memory(struct compiler *compiler)
{
    return remed_error_set(compiler->error, REMED_ENOMEM, "no memory for the policy");
}

static int write_text(struct compiler *compiler, const char *word)
{
    const char *items = compiler->text.items;
    size_t count = compiler->text.count;
    bool glued = count == 0 || items[count - 1] == '(' || *word == ')';
    for (const char *c = glued ? word : " "; *c != '\0'; c++) {
        char *place = remed_grow(&compiler->text, 1, compiler->allocator);
        if (place == NULL)
            return no_memory(compiler);
        *place = *c;
    }
    if (glued)
        return 0;
    for (; *word != '\0'; word++) {
        char *place = remed_grow(&compiler->text, 1, compiler->allocator);
        if (place == NULL)
            return no_memory(compiler);
        *place = *word;
    }
    return 0;
}

static int compile_primitive(struct compiler *compiler, struct expression *expression)
{
    struct remed_test test;
    char text[REMED_PRIMITIVE_TEXT];
    int rc = remed_primitive_read(compiler->lexer, &compiler->qualifiers, &compiler->place, &test,
                                  text, compiler->error);
    if (rc < 0)
        return rc;
    uint32_t index = (uint32_t)compiler->tests.count;
    if (index >= REMED_MATCH_MAX_TESTS)
        return remed_error_at(compiler->error, REMED_ELIMIT, compiler->lexer->token.line,
                              compiler->lexer->token.column, "a match has at most %u terms",
                              REMED_MATCH_MAX_TESTS);
    struct remed_test *place = remed_grow(&compiler->tests, sizeof *place, compiler->allocator);
    if (place == NULL)
        return no_memory(compiler);
    test.if_true = test.if_false = NO_END;
    *place = test;
    expression->if_true = (struct ends){2 * index + 1, 2 * index + 1};
    expression->if_false = (struct ends){2 * index, 2 * index};
    return write_text(compiler, text);
}

static int compile_expression(struct compiler *compiler, struct expression *expression);

static int compile_parenthesis(struct compiler *compiler, struct expression *expression)
{
    remed_lexer_next(compiler->lexer);
    int rc = write_text(compiler, "(");
    if (rc == 0)
        rc = compile_expression(compiler, expression);
    if (rc < 0)
        return rc;
    if (!remed_token_is(&compiler->lexer->token, ")"))
        return remed_expected(compiler->lexer, compiler->error, "'and', 'or' or ')'");
    remed_lexer_next(compiler->lexer);
    return write_text(compiler, ")");
}

static bool is_not(const struct remed_token *token)
{
    return remed_token_is(token, "not") || remed_token_is(token, "!");
}

static int compile_term(struct compiler *compiler, struct expression *expression)
{
    const struct remed_token token = compiler->lexer->token;
    bool negated = is_not(&token), grouped = remed_token_is(&token, "(");
    if (!negated && !grouped)
        return compile_primitive(compiler, expression);
    if (++compiler->depth > compiler->max_depth)
        return remed_error_at(compiler->error, REMED_ELIMIT, token.line, token.column,
                              "nested deeper than %u", compiler->max_depth);
    int rc;
    if (grouped) {
        rc = compile_parenthesis(compiler, expression);
    } else {
        remed_lexer_next(compiler->lexer);
        rc = write_text(compiler, "not");
        if (rc == 0)
            rc = compile_term(compiler, expression);
        struct ends swapped = expression->if_true;
        expression->if_true = expression->if_false;
        expression->if_false = swapped;
    }
    compiler->depth--;
    return rc;
}

static int compile_expression(struct compiler *compiler, struct expression *expression)
{
    int rc = compile_term(compiler, expression);
    while (rc == 0) {
        const struct remed_token *token = &compiler->lexer->token;
        bool both = remed_token_is(token, "and") || remed_token_is(token, "&&");
        if (!both && !remed_token_is(token, "or") && !remed_token_is(token, "||"))
            return 0;
        remed_lexer_next(compiler->lexer);
        rc = write_text(compiler, both ? "and" : "or");
        uint32_t next = (uint32_t)compiler->tests.count;
        struct expression right = {{NO_END, NO_END}, {NO_END, NO_END}};
        if (rc == 0)
            rc = compile_term(compiler, &right);
        if (rc < 0)
            return rc;
        point(compiler, both ? expression->if_true : expression->if_false, next);
        if (both) {
            expression->if_true = right.if_true;
            expression->if_false = join(compiler, expression->if_false, right.if_false);
        } else {
            expression->if_false = right.if_false;
            expression->if_true = join(compiler, expression->if_true, right.if_true);
        }
    }
    return rc;
}

static int finish(struct compiler *compiler, const struct expression *expression,
                  struct remed_match **match)
{
    point(compiler, expression->if_true, REMED_MATCH_ACCEPT);
    point(compiler, expression->if_false, REMED_MATCH_REJECT);
    char *end = remed_grow(&compiler->text, 1, compiler->allocator);
    if (end == NULL)
        return no_memory(compiler);
    *end = '\0';
    const struct remed_match whole = {compiler->tests.items, compiler->tests.count,
                                      compiler->text.items, compiler->text.count};
    if (whole.count == 1 && whole.tests[0].kind == REMED_TEST_TRUE &&
        whole.tests[0].if_true == REMED_MATCH_ACCEPT) {
        *match = NULL;
        return 0;
    }
    return remed_match_copy(match, &whole, compiler->allocator) < 0 ? no_memory(compiler) : 0;
}

int remed_match_compile(struct remed_match **match, struct remed_lexer *lexer, uint32_t max_depth,
                        const struct remed_allocator *allocator, struct remed_error *error)
{
    struct compiler compiler = {
        .lexer = lexer, .allocator = allocator, .error = error, .max_depth = max_depth};
    struct expression expression = {{NO_END, NO_END}, {NO_END, NO_END}};
    *match = NULL;
    int rc = compile_expression(&compiler, &expression);
    if (rc == 0)
        rc = finish(&compiler, &expression, match);
    remed_release(allocator, compiler.tests.items, compiler.tests.room * sizeof(struct remed_test));
    remed_release(allocator, compiler.text.items, compiler.text.room);
    return rc;
}
