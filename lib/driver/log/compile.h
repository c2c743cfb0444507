/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiling a rule set: what the statements, patterns and conditions share while it is done.
 *
 * Threads: one compilation is one thread's.
 */
#ifndef REMED_DRIVER_LOG_COMPILE_H
#define REMED_DRIVER_LOG_COMPILE_H

#include "driver/log/program.h"
#include "driver/log/text.h"

#define REMED_LOG_LETS 64u
#define REMED_LOG_NESTING 8u /* of lets within lets */

/* A pattern with a name, read anew wherever it is used. */
struct remed_log_let {
    const char *name, *parameter; /* parameter NULL: none */
    size_t name_length, parameter_length;
    struct remed_log_reader body;
    size_t body_length; /* bytes of its text */
};

/* What a let's parameter stands for. */
struct remed_log_binding {
    const char *parameter, *argument;
    size_t parameter_length, argument_length;
};

struct remed_log_compiler {
    struct remed_log_reader reader;
    struct remed_log_rules *rules;
    struct remed_log_rules_opts opts;
    struct remed_error *error;
    struct remed_log_let lets[REMED_LOG_LETS];
    unsigned let_count, nesting;
    struct remed_log_binding binding;
    const char *words[REMED_LOG_WORDS]; /* names of the rule at hand */
    size_t word_lengths[REMED_LOG_WORDS];
    unsigned word_count, depth;
    uint32_t told[2];          /* the pair of rules that the log hook heard of last */
    uint32_t told_count;       /* pairs that it heard of */
    uint64_t length;           /* of the text */
    uint64_t expanded;         /* bytes that lets stood for, so far */
    uint64_t work;             /* steps of checking, so far: bounds.c */
    uint64_t sets, begin_sets; /* slots that the pattern at hand, and `begin`, may set */
    bool in_rule, has_match;
};

/* Fails at the token at hand. */
int remed_log_fault(struct remed_log_compiler *compiler, const char *message);
int remed_log_no_memory(struct remed_log_compiler *compiler);
/* Puts text into the pool, with a NUL; *at is its place. */
int remed_log_intern(struct remed_log_compiler *compiler, const char *text, size_t length,
                     uint32_t *at);
/* The slot of a name; a name that is not known becomes a word's when `make`. REMED_SLOT_NONE when
 * there is none. */
unsigned remed_log_slot_of(struct remed_log_compiler *compiler, const char *name, size_t length,
                           bool make);
/* A number, as the token at hand; *value is at most `most`. */
int remed_log_read_count(struct remed_log_compiler *compiler, uint32_t most, const char *what,
                         uint32_t *value);

/* A pattern up to the end of its line; its first step is *start. */
int remed_log_compile_pattern(struct remed_log_compiler *compiler, uint32_t *start);
/* `keys STYLE { … }` and `columns "," { … }`, the token behind the word at hand; *walk is its
 * number. */
int remed_log_compile_keys(struct remed_log_compiler *compiler, uint32_t *walk);
int remed_log_compile_columns(struct remed_log_compiler *compiler, uint32_t *walk);
/* [SLOT:]TYPE into a type and a slot. `value`: text is the whole value. */
int remed_log_compile_field(struct remed_log_compiler *compiler, bool value, uint8_t *type,
                            uint8_t *slot);

/* `event …`, `opener …` and `give …`, the token behind the word at hand. */
int remed_log_compile_event(struct remed_log_compiler *compiler);
int remed_log_compile_opener(struct remed_log_compiler *compiler);
int remed_log_compile_give(struct remed_log_compiler *compiler);
/* Whether the rule that ends here can set what its records need. */
int remed_log_check_needs(struct remed_log_compiler *compiler);

/* Counts what a use of a let stands for. REMED_ELIMIT, at the token at hand, beyond the bound. */
int remed_log_expand(struct remed_log_compiler *compiler, size_t bytes);
/* Whether checking has done as much as it may; then it fails at a rule's line. */
int remed_log_check_work(struct remed_log_compiler *compiler, uint32_t line);
/* Whether no two rules have one name. */
int remed_log_check_names(struct remed_log_compiler *compiler);

/* What patterns can begin with; the table from keys to rules; and what overlaps. */
void remed_log_find_first(struct remed_log_rules *rules);
int remed_log_build_dispatch(struct remed_log_compiler *compiler);
int remed_log_check_overlap(struct remed_log_compiler *compiler);

#endif
