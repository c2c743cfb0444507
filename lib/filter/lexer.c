/* SPDX-License-Identifier: BSD-3-Clause */
/* The lexer of lexer.h. Threads: a lexer belongs to one parse. */
#include "filter/lexer.h"

#define MAX_WORD 256u /* more than any address, name or number has */

void remed_lexer_init(struct remed_lexer *lexer, const char *text, size_t length)
{
    *lexer = (struct remed_lexer){.at = text, .end = text + length, .line = 1, .column = 1};
    remed_lexer_next(lexer);
}

static void advance(struct remed_lexer *lexer, size_t count)
{
    lexer->at += count;
    lexer->column += (uint32_t)count;
}

static void skip_blanks(struct remed_lexer *lexer)
{
    while (lexer->at < lexer->end &&
           (*lexer->at == ' ' || *lexer->at == '\t' || *lexer->at == '\r'))
        advance(lexer, 1);
    if (lexer->at < lexer->end && *lexer->at == '#')
        while (lexer->at < lexer->end && *lexer->at != '\n')
            advance(lexer, 1);
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || c == '/' || c == '\\' || c == ':' || c == '%';
}

static bool is_ipv6_word(const char *text, size_t length)
{
    uint8_t address[16];
    const char *slash = memchr(text, '/', length);
    return remed_read_ipv6(text, slash != NULL ? (size_t)(slash - text) : length, address);
}

/* Bytes of an Ethernet address with colons that the text begins with; 0 without one. */
static size_t mac_length(const char *text, size_t length)
{
    unsigned colons = 0;
    size_t end = 0;
    uint8_t address[6];
    while (end < length && (text[end] != ':' || ++colons < 6))
        end++;
    return colons >= 5 && remed_read_mac(text, end, address) ? end : 0;
}

/* How much of a run of word bytes is the next word; 0 when the run begins with the rule's colon. */
static size_t cut_at_colon(const char *text, size_t length)
{
    const char *colon = memchr(text, ':', length);
    if (colon == NULL || is_ipv6_word(text, length))
        return length;
    if (text[length - 1] == ':' && is_ipv6_word(text, length - 1))
        return length - 1;
    size_t mac = mac_length(text, length);
    if (mac != 0)
        return mac;
    /* More than one colon: an address that is wrong, to be named whole. */
    bool is_rule = memchr(colon + 1, ':', length - 1 - (size_t)(colon - text)) == NULL;
    return is_rule ? (size_t)(colon - text) : length;
}

/* `len/4` is three words, `10.0.0.0/8` and `fe80::/10` are one. */
static size_t cut_at_slash(const char *text, size_t length)
{
    const char *slash = memchr(text, '/', length);
    bool is_number = *text >= '0' && *text <= '9';
    if (slash == NULL || is_number || is_ipv6_word(text, length))
        return length;
    return (size_t)(slash - text);
}

static size_t word_length(const char *at, const char *end)
{
    size_t run = 0;
    while (at + run < end && run < MAX_WORD && is_word_byte(at[run]))
        run++;
    const char *percent = memchr(at, '%', run);
    if (percent != NULL)
        run = (size_t)(percent - at);
    if (run == 0 || *at == '-' || *at == '/')
        return 0;
    return cut_at_slash(at, cut_at_colon(at, run));
}

static size_t mark_length(const char *at, const char *end)
{
    static const char doubled[][3] = {"&&", "||", "==", "!=", "<=", ">=", "<<", ">>"};
    for (size_t i = 0; i < sizeof doubled / sizeof *doubled; i++)
        if (end - at >= 2 && memcmp(at, doubled[i], 2) == 0)
            return 2;
    return memchr("()[]!,:+-*/%&|^=<>", *at, 18) != NULL ? 1 : 0;
}

static void take(struct remed_lexer *lexer, enum remed_token_kind kind, size_t length)
{
    lexer->token = (struct remed_token){lexer->at, length, lexer->line, lexer->column, kind};
    advance(lexer, length);
}

void remed_lexer_next(struct remed_lexer *lexer)
{
    skip_blanks(lexer);
    if (lexer->at == lexer->end) {
        take(lexer, REMED_TOKEN_END, 0);
        return;
    }
    if (*lexer->at == '\n' || *lexer->at == ';') {
        bool newline = *lexer->at == '\n';
        take(lexer, REMED_TOKEN_LINE, 1);
        if (newline) {
            lexer->line++;
            lexer->column = 1;
        }
        return;
    }
    size_t word = word_length(lexer->at, lexer->end);
    size_t mark = mark_length(lexer->at, lexer->end);
    if (word > 0)
        take(lexer, REMED_TOKEN_WORD, word);
    else
        take(lexer, mark > 0 ? REMED_TOKEN_MARK : REMED_TOKEN_BAD, mark > 0 ? mark : 1);
}

void remed_lexer_cut(struct remed_lexer *lexer, size_t length)
{
    size_t back = lexer->token.length - length;
    lexer->at -= back;
    lexer->column -= (uint32_t)back;
    lexer->token.length = length;
}

bool remed_token_is(const struct remed_token *token, const char *text)
{
    return (token->kind == REMED_TOKEN_WORD || token->kind == REMED_TOKEN_MARK) &&
           strlen(text) == token->length && memcmp(token->text, text, token->length) == 0;
}

int remed_expected(const struct remed_lexer *lexer, struct remed_error *error, const char *what)
{
    const struct remed_token *token = &lexer->token;
    if (token->kind == REMED_TOKEN_END || token->kind == REMED_TOKEN_LINE)
        return remed_error_at(error, REMED_ESYNTAX, token->line, token->column,
                              "expected %s, found the end of the %s", what,
                              token->kind == REMED_TOKEN_END ? "text" : "rule");
    int shown = token->length > 40 ? 40 : (int)token->length;
    return remed_error_at(error, REMED_ESYNTAX, token->line, token->column,
                          "expected %s, found '%.*s'", what, shown, token->text);
}

bool remed_token_number(const struct remed_token *token, uint64_t *number)
{
    *number = 0;
    if (token->kind != REMED_TOKEN_WORD || token->length == 0)
        return false;
    for (size_t i = 0; i < token->length; i++) {
        unsigned digit = (unsigned)(token->text[i] - '0');
        if (digit > 9 || *number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return true;
}
