/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Relations of MATCH: `tcp[tcpflags] & tcp-syn != 0`, as pcap-filter(7) has them.
 *
 * Operators bind as in libpcap's grammar, which gives `%` and `^` no rank: they take all that
 * follows them as their right side, and what stands before them belongs to them first. And as in
 * libpcap, the bytes of a header are there only when the packet has that header: the leftmost bytes
 * of each side of a relation bring this test with them (guards), those behind an operator do not.
 *
 * Threads: belongs to one parse.
 */
#include "filter/compiler.h"

#include "filter/words.h"
#include "packet/link.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define RANK_NONE 0u
#define RANK_MINUS 6u /* of a sign */

struct remed_guard {
    struct remed_test test;
    uint32_t next;
};

void remed_compiler_fini(struct remed_compiler *compiler)
{
    remed_release(compiler->allocator, compiler->guards.items,
                  compiler->guards.room * sizeof(struct remed_guard));
}

/* A header whose bytes can be named. */
struct accessor {
    const char *name;
    uint32_t value; /* EtherType, or IP protocol */
    uint8_t base;   /* enum remed_step_base */
};

static const struct accessor accessors[] = {
    {"ether", 0, REMED_BASE_FRAME},
    {"link", 0, REMED_BASE_FRAME},
    {"ip", REMED_ETHERTYPE_IPV4, REMED_BASE_NETWORK},
    {"ip6", REMED_ETHERTYPE_IPV6, REMED_BASE_NETWORK},
    {"arp", 0x0806, REMED_BASE_NETWORK},
    {"rarp", 0x8035, REMED_BASE_NETWORK},
    {"tcp", 6, REMED_BASE_TRANSPORT},
    {"udp", 17, REMED_BASE_TRANSPORT},
    {"sctp", 132, REMED_BASE_TRANSPORT},
    {"icmp", 1, REMED_BASE_TRANSPORT},
    {"igmp", 2, REMED_BASE_TRANSPORT},
    {"igrp", 9, REMED_BASE_TRANSPORT},
    {"pim", 103, REMED_BASE_TRANSPORT},
    {"vrrp", 112, REMED_BASE_TRANSPORT},
    {"carp", 112, REMED_BASE_TRANSPORT},
};

/* Its bytes follow the IPv6 header at once: extension headers are not stepped over. */
static const struct accessor icmp6 = {"icmp6", 58, REMED_BASE_NETWORK};

static const struct operator_row {
    const char *mark;
    uint8_t op;
    uint8_t rank; /* RANK_NONE: takes all that follows */
} operators[] = {
    {"|", REMED_STEP_OR, 1},          {"&", REMED_STEP_AND, 2},
    {"<<", REMED_STEP_SHIFT_LEFT, 3}, {">>", REMED_STEP_SHIFT_RIGHT, 3},
    {"+", REMED_STEP_ADD, 4},         {"-", REMED_STEP_SUBTRACT, 4},
    {"*", REMED_STEP_MULTIPLY, 5},    {"/", REMED_STEP_DIVIDE, 5},
    {"%", REMED_STEP_MODULO, 0},      {"^", REMED_STEP_XOR, 0},
};

static const struct operator_row relations[] = {
    {"=", REMED_STEP_EQUAL, 0},     {"==", REMED_STEP_EQUAL, 0},  {"!=", REMED_STEP_UNEQUAL, 0},
    {"<", REMED_STEP_LESS, 0},      {">", REMED_STEP_GREATER, 0}, {"<=", REMED_STEP_AT_MOST, 0},
    {">=", REMED_STEP_AT_LEAST, 0},
};

static const struct operator_row *find_operator(const struct operator_row *table, size_t count,
                                                const struct remed_token *token)
{
    for (size_t i = 0; i < count; i++)
        if (token->kind == REMED_TOKEN_MARK && remed_token_is(token, table[i].mark))
            return &table[i];
    return NULL;
}

bool remed_is_relation(const struct remed_token *token)
{
    return find_operator(relations, COUNT(relations), token) != NULL;
}

static bool is_operator(const struct remed_token *token)
{
    return remed_is_relation(token) || find_operator(operators, COUNT(operators), token) != NULL;
}

/* The bytes of the token that are a number: `12/4` and `4-2` are more than one. */
static size_t number_length(const struct remed_token *token)
{
    size_t length = 0;
    if (token->kind != REMED_TOKEN_WORD || *token->text < '0' || *token->text > '9')
        return token->length;
    while (length < token->length && token->text[length] != '/' && token->text[length] != '-')
        length++;
    return length;
}

static enum remed_number_kind number_at(const struct remed_token *token, uint32_t *number,
                                        const char **fault)
{
    struct remed_token first = *token;
    first.length = number_length(token);
    return remed_word_number(&first, number, fault);
}

/* A number is a value, such as a port, unless an operator follows it, or the parentheses around it.
 */
static bool is_compared(const struct remed_compiler *compiler)
{
    struct remed_lexer ahead = *compiler->lexer;
    uint32_t closed = 0;
    do
        remed_lexer_next(&ahead);
    while (closed++ < compiler->max_depth && remed_token_is(&ahead.token, ")"));
    return is_operator(&ahead.token);
}

bool remed_begins_arithmetic(const struct remed_compiler *compiler)
{
    const struct remed_token *token = &compiler->lexer->token;
    uint32_t number;
    const char *fault;
    if (remed_token_is(token, "-") || remed_token_is(token, "len") ||
        remed_token_is(token, "length"))
        return true;
    if (token->kind != REMED_TOKEN_WORD)
        return false;
    if (number_at(token, &number, &fault) != REMED_NUMBER_NONE)
        return is_compared(compiler);
    struct remed_lexer ahead = *compiler->lexer;
    remed_lexer_next(&ahead);
    return remed_token_is(&ahead.token, "[");
}

static int write_token(struct remed_compiler *compiler, bool glued)
{
    const struct remed_token *token = &compiler->lexer->token;
    return remed_compiler_write(compiler, token->text, token->length, glued);
}

/* Takes the token at hand, which is in the text as it stands. */
static int take_token(struct remed_compiler *compiler, bool glued)
{
    int rc = write_token(compiler, glued);
    remed_lexer_next(compiler->lexer);
    return rc;
}

static int take_mark(struct remed_compiler *compiler, const char *mark, bool glued,
                     const char *expected)
{
    if (!remed_token_is(&compiler->lexer->token, mark))
        return remed_expected(compiler->lexer, compiler->error, expected);
    return take_token(compiler, glued);
}

static int step_add(struct remed_compiler *compiler, const struct remed_step *step)
{
    const struct remed_token *token = &compiler->lexer->token;
    if (compiler->steps.count >= REMED_MATCH_MAX_STEPS)
        return remed_error_at(compiler->error, REMED_ELIMIT, token->line, token->column,
                              "a match has at most %u steps of arithmetic", REMED_MATCH_MAX_STEPS);
    if (compiler->stacked > REMED_RELATION_STACK)
        return remed_error_at(compiler->error, REMED_ELIMIT, token->line, token->column,
                              "a relation holds at most %u numbers at once", REMED_RELATION_STACK);
    struct remed_step *place = remed_grow(&compiler->steps, sizeof *place, compiler->allocator);
    if (place == NULL)
        return remed_compiler_no_memory(compiler);
    *place = *step;
    return 0;
}

/* A step that leaves one more number on the stack. */
static int step_push(struct remed_compiler *compiler, const struct remed_step *step)
{
    compiler->stacked++;
    return step_add(compiler, step);
}

static int guard_add(struct remed_compiler *compiler, struct remed_operand *operand,
                     enum remed_test_kind kind, uint32_t low, uint8_t families)
{
    struct remed_guard *guard = remed_grow(&compiler->guards, sizeof *guard, compiler->allocator);
    if (guard == NULL)
        return remed_compiler_no_memory(compiler);
    memset(guard, 0, sizeof *guard);
    guard->test.kind = (uint8_t)kind;
    guard->test.low = low;
    guard->test.families = families;
    guard->next = REMED_NO_GUARD;
    uint32_t index = (uint32_t)compiler->guards.count - 1;
    struct remed_guard *guards = compiler->guards.items;
    if (operand->guard == REMED_NO_GUARD)
        operand->guard = index;
    else
        guards[operand->last].next = index;
    operand->last = index;
    return 0;
}

/* Puts the guards of `index` behind those of `operand`. */
static void guards_append(struct remed_compiler *compiler, struct remed_operand *operand,
                          const struct remed_operand *index)
{
    struct remed_guard *guards = compiler->guards.items;
    if (index->guard == REMED_NO_GUARD)
        return;
    if (operand->guard == REMED_NO_GUARD)
        operand->guard = index->guard;
    else
        guards[operand->last].next = index->guard;
    operand->last = index->last;
}

/* The tests that the header is there, in libpcap's order: those of the index stand among them. */
static int guards_of(struct remed_compiler *compiler, const struct accessor *accessor,
                     const struct remed_operand *index, struct remed_operand *operand)
{
    int rc = 0;
    if (accessor->base == REMED_BASE_TRANSPORT) {
        rc = guard_add(compiler, operand, REMED_TEST_ETHERTYPE, REMED_ETHERTYPE_IPV4, 0);
        guards_append(compiler, operand, index);
        if (rc == 0)
            rc = guard_add(compiler, operand, REMED_TEST_PROTOCOL, accessor->value,
                           REMED_FAMILY_IPV4);
        return rc == 0 ? guard_add(compiler, operand, REMED_TEST_FIRST_FRAGMENT, 0, 0) : rc;
    }
    guards_append(compiler, operand, index);
    if (accessor == &icmp6) {
        rc = guard_add(compiler, operand, REMED_TEST_ETHERTYPE, REMED_ETHERTYPE_IPV6, 0);
        return rc == 0 ? guard_add(compiler, operand, REMED_TEST_NEXT_HEADER, icmp6.value, 0) : rc;
    }
    if (accessor->base == REMED_BASE_NETWORK)
        rc = guard_add(compiler, operand, REMED_TEST_ETHERTYPE, accessor->value, 0);
    return rc;
}

static const struct accessor *find_accessor(const struct remed_token *token)
{
    for (size_t i = 0; i < COUNT(accessors); i++)
        if (remed_token_is(token, accessors[i].name))
            return &accessors[i];
    return remed_token_is(token, icmp6.name) ? &icmp6 : NULL;
}

static int arithmetic_read(struct remed_compiler *compiler, struct remed_operand *operand,
                           unsigned rank);

/* `[index]` or `[index:size]`, the bracket at hand. */
static int read_index(struct remed_compiler *compiler, struct remed_operand *index, uint32_t *size)
{
    const char *fault;
    int rc = remed_compiler_deeper(compiler);
    if (rc == 0)
        rc = take_token(compiler, true);
    if (rc == 0)
        rc = arithmetic_read(compiler, index, RANK_NONE);
    compiler->depth--;
    *size = 1;
    if (rc == 0 && remed_token_is(&compiler->lexer->token, ":")) {
        rc = take_token(compiler, true);
        enum remed_number_kind kind = number_at(&compiler->lexer->token, size, &fault);
        if (rc == 0 && (kind != REMED_NUMBER_GOOD || (*size != 1 && *size != 2 && *size != 4)))
            return remed_expected(compiler->lexer, compiler->error, "a size of 1, 2 or 4 bytes");
        if (rc == 0)
            rc = take_token(compiler, true);
    }
    return rc < 0 ? rc : take_mark(compiler, "]", true, "an operator, ':' and a size, or ']'");
}

static struct remed_step load_step(const struct remed_compiler *compiler,
                                   const struct accessor *accessor,
                                   const struct remed_operand *index, uint32_t size)
{
    struct remed_step step = {.op = REMED_STEP_LOAD, .size = (uint8_t)size, .base = accessor->base};
    if (index->constant) {
        step.immediate = REMED_IMMEDIATE_RIGHT;
        step.value = index->value;
    }
    if (accessor == &icmp6)
        step.offset = 40;
    if (accessor->base == REMED_BASE_FRAME && compiler->place.ppp != 0) {
        step.base = REMED_BASE_PPP;
        step.offset = compiler->place.ppp;
    }
    return step;
}

static int read_accessor(struct remed_compiler *compiler, struct remed_operand *operand)
{
    const struct remed_token name = compiler->lexer->token;
    const struct accessor *accessor = find_accessor(&name);
    struct remed_operand index;
    uint32_t size;
    if (accessor == NULL)
        return remed_error_at(compiler->error, REMED_ESYNTAX, name.line, name.column,
                              "'%.*s': no header whose bytes can be named (ether, ip, ip6, arp, "
                              "rarp, tcp, udp, sctp, icmp, icmp6, igmp, igrp, pim, vrrp, carp)",
                              name.length > 40 ? 40 : (int)name.length, name.text);
    int rc = take_token(compiler, false);
    if (rc == 0)
        rc = read_index(compiler, &index, &size);
    if (rc < 0)
        return rc;
    *operand = (struct remed_operand){
        .first = index.first, .guard = REMED_NO_GUARD, .last = REMED_NO_GUARD};
    rc = guards_of(compiler, accessor, &index, operand);
    const struct remed_step step = load_step(compiler, accessor, &index, size);
    if (rc == 0)
        rc = index.constant ? step_push(compiler, &step) : step_add(compiler, &step);
    return rc;
}

static int read_number(struct remed_compiler *compiler, struct remed_operand *operand)
{
    const char *fault;
    struct remed_token *token = &compiler->lexer->token;
    enum remed_number_kind kind = number_at(token, &operand->value, &fault);
    if (kind == REMED_NUMBER_NONE)
        return remed_expected(compiler->lexer, compiler->error,
                              "a number, len, or bytes of a header such as tcp[13]");
    if (kind == REMED_NUMBER_BAD)
        return remed_error_at(compiler->error, REMED_ESYNTAX, token->line, token->column, "%s",
                              fault);
    remed_lexer_cut(compiler->lexer, number_length(token));
    operand->constant = true;
    return take_token(compiler, false);
}

static int read_sign(struct remed_compiler *compiler, struct remed_operand *operand)
{
    const struct remed_step negate = {.op = REMED_STEP_NEGATE};
    int rc = remed_compiler_deeper(compiler);
    if (rc == 0)
        rc = take_token(compiler, false);
    if (rc == 0)
        rc = arithmetic_read(compiler, operand, RANK_MINUS);
    compiler->depth--;
    if (rc < 0 || !operand->constant)
        return rc < 0 ? rc : step_add(compiler, &negate);
    operand->value = 0 - operand->value;
    return 0;
}

static int read_parenthesis(struct remed_compiler *compiler, struct remed_operand *operand)
{
    int rc = remed_compiler_deeper(compiler);
    if (rc == 0)
        rc = take_token(compiler, false);
    if (rc == 0)
        rc = arithmetic_read(compiler, operand, RANK_NONE);
    compiler->depth--;
    return rc < 0 ? rc : take_mark(compiler, ")", true, "an operator or ')'");
}

static int read_operand(struct remed_compiler *compiler, struct remed_operand *operand)
{
    static const struct remed_step length = {.op = REMED_STEP_LENGTH};
    const struct remed_token *token = &compiler->lexer->token;
    *operand = (struct remed_operand){
        .first = (uint32_t)compiler->steps.count, .guard = REMED_NO_GUARD, .last = REMED_NO_GUARD};
    if (remed_token_is(token, "-"))
        return read_sign(compiler, operand);
    if (remed_token_is(token, "("))
        return read_parenthesis(compiler, operand);
    if (remed_token_is(token, "len") || remed_token_is(token, "length")) {
        int rc = step_push(compiler, &length);
        return rc < 0 ? rc : take_token(compiler, false);
    }
    struct remed_lexer ahead = *compiler->lexer;
    remed_lexer_next(&ahead);
    if (token->kind == REMED_TOKEN_WORD && remed_token_is(&ahead.token, "["))
        return read_accessor(compiler, operand);
    return read_number(compiler, operand);
}

static int check_constant(struct remed_compiler *compiler, const struct remed_token *at,
                          unsigned op, uint32_t value)
{
    if ((op == REMED_STEP_DIVIDE || op == REMED_STEP_MODULO) && value == 0)
        return remed_error_at(compiler->error, REMED_ESYNTAX, at->line, at->column,
                              "a division by 0");
    if ((op == REMED_STEP_SHIFT_LEFT || op == REMED_STEP_SHIFT_RIGHT) && value > 31)
        return remed_error_at(compiler->error, REMED_ESYNTAX, at->line, at->column,
                              "a shift by more than 31 bits");
    return 0;
}

/* The step that makes one number of two, of which a constant one stands in the step. */
static int step_combine(struct remed_compiler *compiler, const struct remed_token *at, unsigned op,
                        struct remed_operand *left, const struct remed_operand *right)
{
    struct remed_step step = {.op = (uint8_t)op};
    int rc = right->constant ? check_constant(compiler, at, op, right->value) : 0;
    if (rc < 0)
        return rc;
    if (left->constant && right->constant) {
        remed_step_fold(op, left->value, right->value, &left->value);
        return 0;
    }
    if (right->constant) {
        step.immediate = REMED_IMMEDIATE_RIGHT;
        step.value = right->value;
    } else if (left->constant) {
        step.immediate = REMED_IMMEDIATE_LEFT;
        step.value = left->value;
    } else {
        compiler->stacked--;
    }
    left->constant = false;
    return step_add(compiler, &step);
}

/* Operators that bind more tightly than `rank`, and their right sides. */
static int arithmetic_follow(struct remed_compiler *compiler, struct remed_operand *left,
                             unsigned rank)
{
    for (;;) {
        const struct remed_token token = compiler->lexer->token;
        const struct operator_row *row = find_operator(operators, COUNT(operators), &token);
        struct remed_operand right;
        if (row == NULL || (row->rank != RANK_NONE && row->rank <= rank))
            return 0;
        int rc = remed_compiler_deeper(compiler);
        if (rc == 0)
            rc = take_token(compiler, false);
        if (rc == 0)
            rc = arithmetic_read(compiler, &right, row->rank);
        compiler->depth--;
        if (rc == 0)
            rc = step_combine(compiler, &token, row->op, left, &right);
        if (rc < 0)
            return rc;
    }
}

static int arithmetic_read(struct remed_compiler *compiler, struct remed_operand *operand,
                           unsigned rank)
{
    int rc = read_operand(compiler, operand);
    return rc < 0 ? rc : arithmetic_follow(compiler, operand, rank);
}

int remed_arithmetic_read(struct remed_compiler *compiler, struct remed_operand *operand)
{
    return arithmetic_read(compiler, operand, RANK_NONE);
}

int remed_arithmetic_go_on(struct remed_compiler *compiler, struct remed_operand *operand)
{
    return arithmetic_follow(compiler, operand, RANK_NONE);
}

/* Appends a test that must hold too. */
static int and_test(struct remed_compiler *compiler, struct remed_test *test,
                    struct remed_expression *expression, bool *is_first)
{
    struct remed_expression right;
    uint32_t next = (uint32_t)compiler->tests.count;
    test->layer = compiler->place.layer;
    test->shift = compiler->place.shift;
    int rc = remed_compiler_add(compiler, test, *is_first ? expression : &right);
    if (rc == 0 && !*is_first)
        remed_compiler_join(compiler, expression, &right, next, true);
    *is_first = false;
    return rc;
}

static int emit_relation(struct remed_compiler *compiler, uint32_t first, uint32_t guard,
                         struct remed_expression *expression)
{
    struct remed_test test;
    bool is_first = true;
    int rc = 0;
    for (; rc == 0 && guard != REMED_NO_GUARD;) {
        struct remed_guard *held = (struct remed_guard *)compiler->guards.items + guard;
        test = held->test;
        guard = held->next;
        rc = and_test(compiler, &test, expression, &is_first);
    }
    memset(&test, 0, sizeof test);
    test.kind = REMED_TEST_RELATION;
    test.low = first;
    test.high = (uint32_t)compiler->steps.count - first;
    compiler->guards.count = 0;
    compiler->stacked = 0;
    return rc < 0 ? rc : and_test(compiler, &test, expression, &is_first);
}

int remed_relation_read(struct remed_compiler *compiler, const struct remed_operand *left,
                        struct remed_expression *expression)
{
    const struct remed_token token = compiler->lexer->token;
    const struct operator_row *row = find_operator(relations, COUNT(relations), &token);
    struct remed_operand result = *left, right;
    if (row == NULL)
        return remed_expected(compiler->lexer, compiler->error, "one of = != < > <= >=");
    const char *mark = remed_token_is(&token, "==") ? "=" : row->mark;
    int rc = remed_compiler_write(compiler, mark, strlen(mark), false);
    remed_lexer_next(compiler->lexer);
    if (rc == 0)
        rc = arithmetic_read(compiler, &right, RANK_NONE);
    if (rc == 0 && left->constant && right.constant) {
        const struct remed_step number = {.op = REMED_STEP_NUMBER, .value = left->value};
        rc = step_push(compiler, &number);
        result.constant = false;
    }
    if (rc == 0)
        rc = step_combine(compiler, &token, row->op, &result, &right);
    if (rc < 0)
        return rc;
    guards_append(compiler, &result, &right);
    return emit_relation(compiler, result.first, result.guard, expression);
}
