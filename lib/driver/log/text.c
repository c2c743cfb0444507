/* SPDX-License-Identifier: BSD-3-Clause */
/* The reading of text.h. Threads: a reader belongs to one compilation. */
#include "driver/log/text.h"

#include <stdio.h>

void remed_log_reader_init(struct remed_log_reader *reader, const char *text, size_t length)
{
    memset(reader, 0, sizeof *reader);
    reader->at = reader->line_start = text;
    reader->end = text + length;
    reader->line = 1;
    remed_log_next(reader);
}

static void next_line(struct remed_log_reader *reader)
{
    reader->at++;
    reader->line++;
    reader->line_start = reader->at;
}

/* Over blanks, comments, and ends of lines that end nothing. */
static void skip(struct remed_log_reader *reader)
{
    while (reader->at < reader->end) {
        char c = *reader->at;
        if (c == ' ' || c == '\t' || c == '\r') {
            reader->at++;
        } else if (c == '#') {
            while (reader->at < reader->end && *reader->at != '\n')
                reader->at++;
        } else if (c == '\n' && reader->depth > 0) {
            next_line(reader);
        } else if (c == '\\' && reader->end - reader->at > 1 && reader->at[1] == '\n') {
            reader->at++;
            next_line(reader);
        } else {
            return;
        }
    }
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static void bad(struct remed_log_token *token, const char *why)
{
    token->kind = REMED_LOG_BAD;
    token->value_length = (size_t)snprintf(token->value, sizeof token->value, "%s", why);
}

/* What stands behind a backslash; -1 when it is nothing known. */
static int escaped(struct remed_log_reader *reader)
{
    char c = *reader->at++;
    if (c == 't')
        return '\t';
    if (c == '"' || c == '\\')
        return c;
    if (c == 'x' && reader->end - reader->at >= 2 && remed_hex_digit(reader->at[0]) >= 0 &&
        remed_hex_digit(reader->at[1]) >= 0) {
        reader->at += 2;
        return remed_hex_digit(reader->at[-2]) << 4 | remed_hex_digit(reader->at[-1]);
    }
    return -1;
}

static void read_string(struct remed_log_reader *reader)
{
    struct remed_log_token *token = &reader->token;
    token->kind = REMED_LOG_STRING;
    for (reader->at++; reader->at < reader->end && *reader->at != '"' && *reader->at != '\n';) {
        int c = (unsigned char)*reader->at++;
        if (c == '\\')
            c = reader->at < reader->end ? escaped(reader) : -1;
        if (c < 0) {
            bad(token, "an escape other than \\\" \\\\ \\t \\xNN");
            return;
        }
        if (token->value_length == REMED_LOG_STRING_MAX) {
            bad(token, "a string of more than 250 bytes");
            return;
        }
        token->value[token->value_length++] = (char)c;
    }
    if (reader->at == reader->end || *reader->at != '"') {
        bad(token, "a string without its closing \"");
        return;
    }
    reader->at++;
    token->value[token->value_length] = '\0';
}

static void read_mark(struct remed_log_reader *reader)
{
    struct remed_log_token *token = &reader->token;
    char c = *reader->at++;
    token->kind = REMED_LOG_MARK;
    if (c == '(' || c == '[' || c == '{')
        reader->depth++;
    else if ((c == ')' || c == ']' || c == '}') && reader->depth > 0)
        reader->depth--;
    else if (c == '\0' || strchr(")]}|:$=?", c) == NULL)
        bad(token, "a byte that no rule has");
}

void remed_log_next(struct remed_log_reader *reader)
{
    struct remed_log_token *token = &reader->token;
    skip(reader);
    token->text = reader->at;
    token->line = reader->line;
    token->column = (uint32_t)(reader->at - reader->line_start) + 1;
    token->value_length = 0;
    if (reader->at == reader->end) {
        token->kind = REMED_LOG_END;
    } else if (*reader->at == '\n') {
        token->kind = REMED_LOG_LINE;
        next_line(reader);
    } else if (*reader->at == '"') {
        read_string(reader);
    } else if (is_word_byte(*reader->at)) {
        token->kind = REMED_LOG_WORD;
        while (reader->at < reader->end && is_word_byte(*reader->at))
            reader->at++;
        if (reader->at - token->text == 2 && memcmp(token->text, "..", 2) == 0)
            token->kind = REMED_LOG_MARK;
    } else {
        read_mark(reader);
    }
    token->length = (size_t)(reader->at - token->text);
}

bool remed_log_is(const struct remed_log_reader *reader, const char *text)
{
    const struct remed_log_token *token = &reader->token;
    return (token->kind == REMED_LOG_WORD || token->kind == REMED_LOG_MARK) &&
           token->length == strlen(text) && memcmp(token->text, text, token->length) == 0;
}

int remed_log_expected(const struct remed_log_reader *reader, struct remed_error *error,
                       const char *what)
{
    const struct remed_log_token *token = &reader->token;
    int shown = token->length > 40 ? 40 : (int)token->length;
    if (token->kind == REMED_LOG_BAD)
        return remed_error_at(error, REMED_ESYNTAX, token->line, token->column, "%s", token->value);
    if (token->kind == REMED_LOG_LINE || token->kind == REMED_LOG_END)
        return remed_error_at(error, REMED_ESYNTAX, token->line, token->column,
                              "expected %s, found the end of the %s", what,
                              token->kind == REMED_LOG_LINE ? "line" : "rule set");
    return remed_error_at(error, REMED_ESYNTAX, token->line, token->column,
                          "expected %s, found '%.*s'", what, shown, token->text);
}
