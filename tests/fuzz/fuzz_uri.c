/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * URIs of transports, read and printed. A secret is planted where secrets stand, between bytes of
 * the fuzzer: it is never in what is printed, nor in a complaint. What is printed has no control
 * characters, and is the same in less room, but for its end.
 */
#include "repository/uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 4096u
#define SECRET "Xy7QpassWordZ9kv"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_text(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
        check(*c >= 0x20 && *c != 0x7f);
}

static void check_uri(const char *uri, bool secret)
{
    static char whole[8 * LONGEST + 9], part[8 * LONGEST + 9];
    struct remed_uri_parts parts;
    struct remed_error error;
    size_t length = remed_uri_redacted(uri, whole, sizeof whole);
    check(length == strlen(whole) && length <= 4 * strlen(uri) + 8);
    check_text(whole);
    size_t room = length / 2 + 1;
    check(remed_uri_redacted(uri, part, room) == length);
    check(strlen(part) == room - 1 && memcmp(part, whole, room - 1) == 0);
    if (secret)
        check(strstr(whole, SECRET) == NULL);
    if (remed_uri_parse(&parts, uri, &error) < 0) {
        check_text(error.message);
        check(!secret || strstr(error.message, SECRET) == NULL);
        return;
    }
    static const char *const names[] = {"db", NULL};
    if (remed_uri_check(&parts.uri, names, &error) < 0)
        check(!secret || strstr(error.message, SECRET) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* What stands before, between and behind; a path of file: is no place of a secret. */
    static const char *const forms[] = {"redis://user:%s" SECRET "%s@host/stream",
                                        "kafka://host:9/t?%s&sasl.password=" SECRET "%s",
                                        "kafka://host:9/t?sasl.password=" SECRET "%s&%s",
                                        "kafka://host:9/t?%s&sasl.password=%s" SECRET,
                                        "redis:%s:" SECRET "%s@host",
                                        "x%s://u:" SECRET "%s@h"};
    size_t count = sizeof forms / sizeof *forms;
    if (size < 2 || size > LONGEST || memmem(data, size, SECRET, sizeof SECRET - 1) != NULL)
        return 0; /* where the fuzzer plants it, it may be no secret */
    char *raw = malloc(size), *first = malloc(size), *uri = malloc(2 * LONGEST);
    if (raw != NULL && first != NULL && uri != NULL) {
        size_t cut = (size - 2) * data[1] / 255;
        memcpy(first, data + 2, cut);
        first[cut] = '\0';
        memcpy(raw, data + 2, size - 2);
        raw[size - 2] = '\0';
        check_uri(raw, false);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(uri, 2 * LONGEST, forms[data[0] % count], first,
                 strlen(raw) >= cut ? raw + cut : "");
#pragma GCC diagnostic pop
        check_uri(uri, true);
    }
    free(raw);
    free(first);
    free(uri);
    return 0;
}
