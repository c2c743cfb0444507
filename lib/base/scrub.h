/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Secrets in the words of others: a library or a server may quote a value, or a part of it, in what
 * it says. Runs of bytes that a secret has are made '*' before the text goes into a message.
 *
 * Threads: no state.
 */
#ifndef REMED_BASE_SCRUB_H
#define REMED_BASE_SCRUB_H

#include "base/base.h"

#define REMED_SCRUB_RUN 4u /* so many bytes of a secret in a row are taken for a part of it */

static inline bool remed_scrub_is_in(const char *run, size_t length, const char *secret,
                                     size_t secret_length)
{
    for (size_t i = 0; i + length <= secret_length; i++)
        if (memcmp(secret + i, run, length) == 0)
            return true;
    return false;
}

/* Marks in `hidden`, a byte for each of `text`, what `secret` has too. */
static inline void remed_scrub_mark(const char *text, size_t length, bool *hidden,
                                    const char *secret, size_t secret_length)
{
    size_t run = secret_length < REMED_SCRUB_RUN ? secret_length : REMED_SCRUB_RUN;
    for (size_t i = 0; run > 0 && i + run <= length; i++)
        if (remed_scrub_is_in(text + i, run, secret, secret_length))
            for (size_t j = 0; j < run; j++)
                hidden[i + j] = true;
}

/* Copies a text without what any of the secrets has; `secrets`: texts, each with its NUL. What does
 * not fit is cut off. */
static inline void remed_scrub(char *to, size_t size, const char *text, const char *secrets,
                               size_t secrets_length)
{
    bool hidden[1024] = {false};
    size_t length = strlen(text);
    if (length >= size)
        length = size - 1;
    if (length > sizeof hidden)
        length = sizeof hidden;
    for (size_t at = 0; at < secrets_length; at += strlen(secrets + at) + 1)
        remed_scrub_mark(text, length, hidden, secrets + at, strlen(secrets + at));
    for (size_t i = 0; i < length; i++) {
        bool printable = (unsigned char)text[i] >= 0x20 && text[i] != 0x7f;
        to[i] = printable ? text[i] : ' ';
        if (hidden[i])
            to[i] = '*';
    }
    to[length] = '\0';
}

#endif
