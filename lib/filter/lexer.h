/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Policy text into words and marks, with their places.
 *
 * The colon needs care: it ends MATCH, and it stands within IPv6 and Ethernet addresses. A word
 * with a colon is kept whole when it is such an address, and is cut before its colon otherwise. So
 * does the slash, which parts a network from its length and a dividend from its divisor: it stays
 * within words that begin like a number or an address.
 *
 * A word has a greatest length, so that looking for its end costs the same wherever it is cut.
 *
 * Threads: a lexer belongs to one parse.
 */
#ifndef REMED_FILTER_LEXER_H
#define REMED_FILTER_LEXER_H

#include "base/base.h"

enum remed_token_kind {
    REMED_TOKEN_WORD,
    REMED_TOKEN_MARK, /* one of ( ) [ ] ! , : + - * / % & | ^ = < > or && || == != <= >= << >> */
    REMED_TOKEN_LINE, /* end of a line, or `;` */
    REMED_TOKEN_END,
    REMED_TOKEN_BAD /* a byte that no policy has */
};

struct remed_token {
    const char *text;
    size_t length;
    uint32_t line, column;
    enum remed_token_kind kind;
};

struct remed_lexer {
    const char *at, *end;
    uint32_t line, column;
    struct remed_token token; /* the token at hand */
};

void remed_lexer_init(struct remed_lexer *lexer, const char *text, size_t length);
void remed_lexer_next(struct remed_lexer *lexer);
bool remed_token_is(const struct remed_token *token, const char *text);
/* "expected WHAT, found 'TOKEN'" at the token's place; returns REMED_ESYNTAX. */
int remed_expected(const struct remed_lexer *lexer, struct remed_error *error, const char *what);
/* Gives back all but the first `length` bytes of the token at hand, to be read as the next. */
void remed_lexer_cut(struct remed_lexer *lexer, size_t length);
/* A whole word as a decimal number. */
bool remed_token_number(const struct remed_token *token, uint64_t *number);

/* Addresses, without the resolver: exactly one address in `length` bytes of text. */
bool remed_read_ipv6(const char *text, size_t length, uint8_t address[16]);
/* 1 to 4 numbers with dots; returns how many, 0 when it is none. */
unsigned remed_read_ipv4(const char *text, size_t length, uint32_t *address);
/* An Ethernet address: 6 groups parted by one of `:` `-` `.`, 3 parted by `.`, or 12 digits. */
bool remed_read_mac(const char *text, size_t length, uint8_t address[6]);

#endif
