/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiling a MATCH: what the parts of the compiler share. Tests stand in the order of the text,
 * and joining two expressions is pointing the loose ends of the left one at the first test of the
 * right one. Loose ends are chained through the very fields that they will fill.
 *
 * What is made is bounded by the text: a primitive makes one test, a header's bytes at most three
 * and a step, a number or an operator one step.
 *
 * Threads: belongs to one parse.
 */
#ifndef REMED_FILTER_COMPILER_H
#define REMED_FILTER_COMPILER_H

#include "filter/match.h"
#include "filter/primitive.h"

/* Loose ends: 2 * test + (1 for if_true); one end points at itself alone. */
struct remed_ends {
    uint32_t head, tail;
};

struct remed_expression {
    struct remed_ends if_true, if_false;
};

/* A number that is not compared yet. */
struct remed_operand {
    bool constant; /* `value` is it, and no step was made */
    uint32_t value;
    uint32_t first;       /* the first of its steps */
    uint32_t guard, last; /* chain of tests that must hold before its bytes count */
};

#define REMED_NO_GUARD UINT32_MAX

struct remed_compiler {
    struct remed_lexer *lexer;
    const struct remed_allocator *allocator;
    struct remed_error *error;
    struct remed_growing tests, steps, text;
    struct remed_growing guards; /* struct remed_guard, of the relation at hand */
    struct remed_qualifiers qualifiers;
    struct remed_place place;
    struct remed_operand operand; /* of a term that turned out to be a number */
    uint32_t depth, max_depth;
    uint32_t groups;  /* parentheses that may turn out to hold a number */
    uint32_t values;  /* only values may follow: `port (80 or 443)` */
    uint32_t stacked; /* numbers on the machine's stack */
};

int remed_compiler_no_memory(struct remed_compiler *compiler);
/* Counts one more level; REMED_ELIMIT beyond the most. */
int remed_compiler_deeper(struct remed_compiler *compiler);
/* Appends a word of the canonical text, without a blank before it when it is `glued`. */
int remed_compiler_write(struct remed_compiler *compiler, const char *word, size_t length,
                         bool glued);
/* Appends a test; it becomes the expression. */
int remed_compiler_add(struct remed_compiler *compiler, const struct remed_test *test,
                       struct remed_expression *expression);
/* Adds the right side, whose first test is `next`, to the left one: by `and`, or by `or`. */
void remed_compiler_join(struct remed_compiler *compiler, struct remed_expression *left,
                         const struct remed_expression *right, uint32_t next, bool both);

/* Frees what relations left behind. */
void remed_compiler_fini(struct remed_compiler *compiler);

/* Whether the term at hand begins with a number, `len` or a header's bytes that are compared. */
bool remed_begins_arithmetic(const struct remed_compiler *compiler);
/* = == != < > <= >= */
bool remed_is_relation(const struct remed_token *token);
/* Reads a number, or what follows one that was read within parentheses. */
int remed_arithmetic_read(struct remed_compiler *compiler, struct remed_operand *operand);
int remed_arithmetic_go_on(struct remed_compiler *compiler, struct remed_operand *operand);
/* The relation whose left side was read: its operator, its right side, and the tests for both. */
int remed_relation_read(struct remed_compiler *compiler, const struct remed_operand *left,
                        struct remed_expression *expression);

#endif
