/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MATCH from text to tests. `and` and `or` bind equally and to the left, as in pcap-filter(7). A
 * parenthesis may hold an expression or a number, which only what follows it tells:
 * `(tcp[12] & 0xf0) >> 2 = 20`. So a term is an expression or a number until it is compared.
 *
 * Threads: belongs to one parse.
 */
#include "filter/compiler.h"

#define NO_END UINT32_MAX
#define TERM_IS_NUMBER 1 /* it is in compiler.operand */

static uint32_t *end_field(struct remed_compiler *compiler, uint32_t end)
{
    struct remed_test *tests = compiler->tests.items;
    return (end & 1) != 0 ? &tests[end / 2].if_true : &tests[end / 2].if_false;
}

static struct remed_ends join(struct remed_compiler *compiler, struct remed_ends a,
                              struct remed_ends b)
{
    *end_field(compiler, a.tail) = b.head;
    return (struct remed_ends){a.head, b.tail};
}

static void point(struct remed_compiler *compiler, struct remed_ends ends, uint32_t target)
{
    for (uint32_t end = ends.head; end != NO_END;) {
        uint32_t *field = end_field(compiler, end);
        end = *field;
        *field = target;
    }
}

void remed_compiler_join(struct remed_compiler *compiler, struct remed_expression *left,
                         const struct remed_expression *right, uint32_t next, bool both)
{
    point(compiler, both ? left->if_true : left->if_false, next);
    if (both) {
        left->if_true = right->if_true;
        left->if_false = join(compiler, left->if_false, right->if_false);
    } else {
        left->if_false = right->if_false;
        left->if_true = join(compiler, left->if_true, right->if_true);
    }
}

int remed_compiler_no_memory(struct remed_compiler *compiler)
{
    return remed_error_set(compiler->error, REMED_ENOMEM, "no memory for the policy");
}

int remed_compiler_deeper(struct remed_compiler *compiler)
{
    const struct remed_token *token = &compiler->lexer->token;
    if (++compiler->depth <= compiler->max_depth)
        return 0;
    return remed_error_at(compiler->error, REMED_ELIMIT, token->line, token->column,
                          "nested deeper than %u", compiler->max_depth);
}

static int write_byte(struct remed_compiler *compiler, char byte)
{
    char *place = remed_grow(&compiler->text, 1, compiler->allocator);
    if (place == NULL)
        return remed_compiler_no_memory(compiler);
    *place = byte;
    return 0;
}

int remed_compiler_write(struct remed_compiler *compiler, const char *word, size_t length,
                         bool glued)
{
    const char *items = compiler->text.items;
    size_t count = compiler->text.count;
    bool opened = count == 0 || strchr("([:", items[count - 1]) != NULL;
    int rc = opened || glued || *word == ')' ? 0 : write_byte(compiler, ' ');
    for (size_t i = 0; rc == 0 && i < length; i++)
        rc = write_byte(compiler, word[i]);
    return rc;
}

static int write_text(struct remed_compiler *compiler, const char *word)
{
    return remed_compiler_write(compiler, word, strlen(word), false);
}

int remed_compiler_add(struct remed_compiler *compiler, const struct remed_test *test,
                       struct remed_expression *expression)
{
    uint32_t index = (uint32_t)compiler->tests.count;
    if (index >= REMED_MATCH_MAX_TESTS)
        return remed_error_at(compiler->error, REMED_ELIMIT, compiler->lexer->token.line,
                              compiler->lexer->token.column, "a match has at most %u terms",
                              REMED_MATCH_MAX_TESTS);
    struct remed_test *place = remed_grow(&compiler->tests, sizeof *place, compiler->allocator);
    if (place == NULL)
        return remed_compiler_no_memory(compiler);
    *place = *test;
    place->if_true = place->if_false = NO_END;
    expression->if_true = (struct remed_ends){2 * index + 1, 2 * index + 1};
    expression->if_false = (struct remed_ends){2 * index, 2 * index};
    return 0;
}

static int compile_expression(struct remed_compiler *compiler, struct remed_expression *expression);
static int compile_term(struct remed_compiler *compiler, struct remed_expression *expression);

static bool is_not(const struct remed_token *token)
{
    return remed_token_is(token, "not") || remed_token_is(token, "!");
}

static int expect_relation(struct remed_compiler *compiler)
{
    return remed_expected(compiler->lexer, compiler->error, "one of = != < > <= >=");
}

/* `port (80 or 443)`, `host not 10.0.0.1`: the head holds for all values that follow. */
static int compile_values(struct remed_compiler *compiler, struct remed_expression *expression)
{
    compiler->values++;
    int rc = compile_term(compiler, expression);
    compiler->values--;
    return rc;
}

static int compile_primitive(struct remed_compiler *compiler, struct remed_expression *expression)
{
    struct remed_test test;
    char text[REMED_PRIMITIVE_TEXT];
    int rc = remed_primitive_read(compiler->lexer, &compiler->qualifiers, &compiler->place,
                                  compiler->values > 0, &test, text, compiler->error);
    if (rc == REMED_PRIMITIVE_HEAD)
        return compile_values(compiler, expression);
    if (rc == 0)
        rc = remed_compiler_add(compiler, &test, expression);
    return rc < 0 ? rc : write_text(compiler, text);
}

/* A number was read: what it is compared with follows, or the end of its parenthesis. */
static int compile_number(struct remed_compiler *compiler, struct remed_expression *expression)
{
    int rc = remed_arithmetic_go_on(compiler, &compiler->operand);
    if (rc < 0)
        return rc;
    if (compiler->groups > 0 && remed_token_is(&compiler->lexer->token, ")"))
        return TERM_IS_NUMBER;
    const struct remed_operand left = compiler->operand;
    compiler->qualifiers = (struct remed_qualifiers){0, 0, 0};
    return remed_relation_read(compiler, &left, expression);
}

/* Behind a group, a value without a head takes over what stood before the group, as in libpcap. */
static int compile_parenthesis(struct remed_compiler *compiler, struct remed_expression *expression)
{
    const struct remed_qualifiers before = compiler->qualifiers;
    remed_lexer_next(compiler->lexer);
    int rc = write_text(compiler, "(");
    compiler->groups++;
    if (rc == 0)
        rc = compile_expression(compiler, expression);
    compiler->groups--;
    if (rc < 0)
        return rc;
    if (!remed_token_is(&compiler->lexer->token, ")"))
        return remed_expected(compiler->lexer, compiler->error, "'and', 'or' or ')'");
    remed_lexer_next(compiler->lexer);
    int written = write_text(compiler, ")");
    compiler->qualifiers = before;
    if (written < 0)
        return written;
    return rc == TERM_IS_NUMBER ? compile_number(compiler, expression) : 0;
}

static int compile_negation(struct remed_compiler *compiler, struct remed_expression *expression)
{
    remed_lexer_next(compiler->lexer);
    int rc = write_text(compiler, "not");
    if (rc == 0)
        rc = compile_term(compiler, expression);
    if (rc == TERM_IS_NUMBER)
        return expect_relation(compiler);
    struct remed_ends swapped = expression->if_true;
    expression->if_true = expression->if_false;
    expression->if_false = swapped;
    return rc;
}

static int compile_term(struct remed_compiler *compiler, struct remed_expression *expression)
{
    const struct remed_token *token = &compiler->lexer->token;
    bool negated = is_not(token), grouped = remed_token_is(token, "(");
    if (!negated && !grouped) {
        if (compiler->values > 0 || !remed_begins_arithmetic(compiler))
            return compile_primitive(compiler, expression);
        int rc = remed_arithmetic_read(compiler, &compiler->operand);
        return rc < 0 ? rc : compile_number(compiler, expression);
    }
    int rc = remed_compiler_deeper(compiler);
    if (rc < 0)
        return rc;
    rc = grouped ? compile_parenthesis(compiler, expression)
                 : compile_negation(compiler, expression);
    compiler->depth--;
    return rc;
}

static int compile_expression(struct remed_compiler *compiler, struct remed_expression *expression)
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
        struct remed_expression right = {{NO_END, NO_END}, {NO_END, NO_END}};
        if (rc == 0)
            rc = compile_term(compiler, &right);
        if (rc == TERM_IS_NUMBER)
            return expect_relation(compiler);
        if (rc == 0)
            remed_compiler_join(compiler, expression, &right, next, both);
    }
    return rc;
}

static int finish(struct remed_compiler *compiler, const struct remed_expression *expression,
                  struct remed_match **match)
{
    point(compiler, expression->if_true, REMED_MATCH_ACCEPT);
    point(compiler, expression->if_false, REMED_MATCH_REJECT);
    char *end = remed_grow(&compiler->text, 1, compiler->allocator);
    if (end == NULL)
        return remed_compiler_no_memory(compiler);
    *end = '\0';
    const struct remed_match whole = {.tests = compiler->tests.items,
                                      .count = compiler->tests.count,
                                      .steps = compiler->steps.items,
                                      .step_count = compiler->steps.count,
                                      .text = compiler->text.items,
                                      .text_size = compiler->text.count};
    if (whole.count == 1 && whole.tests[0].kind == REMED_TEST_TRUE &&
        whole.tests[0].if_true == REMED_MATCH_ACCEPT) {
        *match = NULL;
        return 0;
    }
    return remed_match_copy(match, &whole, compiler->allocator) < 0
               ? remed_compiler_no_memory(compiler)
               : 0;
}

int remed_match_compile(struct remed_match **match, struct remed_lexer *lexer, uint32_t max_depth,
                        const struct remed_allocator *allocator, struct remed_error *error)
{
    struct remed_compiler compiler = {
        .lexer = lexer, .allocator = allocator, .error = error, .max_depth = max_depth};
    struct remed_expression expression = {{NO_END, NO_END}, {NO_END, NO_END}};
    *match = NULL;
    int rc = compile_expression(&compiler, &expression);
    if (rc == TERM_IS_NUMBER)
        rc = expect_relation(&compiler);
    if (rc == 0)
        rc = finish(&compiler, &expression, match);
    remed_release(allocator, compiler.tests.items, compiler.tests.room * sizeof(struct remed_test));
    remed_release(allocator, compiler.steps.items, compiler.steps.room * sizeof(struct remed_step));
    remed_compiler_fini(&compiler);
    remed_release(allocator, compiler.text.items, compiler.text.room);
    return rc;
}
