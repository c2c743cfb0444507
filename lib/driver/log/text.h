/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text of a rule set into words, strings and marks, with their places. A statement ends with
 * its line, unless a bracket is open or a backslash ends the line.
 *
 * Threads: a reader belongs to one compilation.
 */
#ifndef REMED_DRIVER_LOG_TEXT_H
#define REMED_DRIVER_LOG_TEXT_H

#include "base/base.h"

#define REMED_LOG_STRING_MAX 250u /* bytes of a string, its escapes read */

enum remed_log_token_kind {
    REMED_LOG_WORD,   /* letters, digits and . _ - */
    REMED_LOG_STRING, /* "…", as it is meant: in `value` */
    REMED_LOG_MARK,   /* one of ( ) [ ] { } | : $ = ?, or .. */
    REMED_LOG_LINE,
    REMED_LOG_END,
    REMED_LOG_BAD /* no token: `value` says why */
};

struct remed_log_token {
    enum remed_log_token_kind kind;
    const char *text; /* as it stands in the set */
    size_t length;
    uint32_t line, column;
    char value[REMED_LOG_STRING_MAX + 1];
    size_t value_length;
};

struct remed_log_reader {
    const char *at, *end, *line_start;
    uint32_t line, depth; /* brackets that are open */
    struct remed_log_token token;
};

void remed_log_reader_init(struct remed_log_reader *reader, const char *text, size_t length);
void remed_log_next(struct remed_log_reader *reader);
bool remed_log_is(const struct remed_log_reader *reader, const char *text);
/* "expected WHAT, found 'TOKEN'" at the token's place; returns REMED_ESYNTAX. */
int remed_log_expected(const struct remed_log_reader *reader, struct remed_error *error,
                       const char *what);

#endif
