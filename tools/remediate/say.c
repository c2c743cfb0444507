/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What goes to standard error. An argument may be a URI with a password in it, also one that stands
 * where it does not belong, and a message may quote it, whole or cut off: it is then said as
 * remed_uri_redacted() writes it, whoever made the message.
 *
 * Threads: one.
 */
#include "tool.h"

#include <stdlib.h>
#include <string.h>

#define CHANCE 3u

static char **known;
static int known_count;

void know_arguments(int count, char **arguments)
{
    known = arguments;
    known_count = count;
}

/* Plain words, options and paths are said as they are. */
static bool may_have_secret(const char *argument)
{
    return strpbrk(argument, "@?") != NULL || strstr(argument, "://") != NULL;
}

/* How much of the message begins as the argument does. */
static size_t common_length(const char *text, const char *argument)
{
    size_t length = 0;
    while (text[length] != '\0' && text[length] == argument[length])
        length++;
    return length;
}

/* Says the argument for `length` bytes of it, when there is something to hide in them. Returns the
 * bytes that were dealt with, 0 for none. */
static size_t say_argument(const char *text, const char *argument)
{
    static char shown[8192];
    size_t length = common_length(text, argument);
    size_t all = strlen(argument);
    if (length == 0 || remed_uri_redacted(argument, shown, sizeof shown) >= sizeof shown)
        shown[0] = '\0';
    size_t same = common_length(shown, argument);
    bool chance = same == 0 && length < CHANCE && length < all; /* a letter is no quotation */
    if (length <= same || same == all || chance)
        return 0;
    if (length < all)
        memcpy(shown + (same < sizeof shown - 4 ? same : sizeof shown - 4), "***", 4);
    fputs(shown, stderr);
    return length;
}

/* As it is, and without the '@' that names a file with what is meant. */
static size_t say_value(const char *text, const char *value)
{
    size_t said = may_have_secret(value) ? say_argument(text, value) : 0;
    if (said == 0 && *value == '@' && may_have_secret(value + 1))
        said = say_argument(text, value + 1);
    return said;
}

static size_t say_known(const char *text)
{
    size_t said = 0;
    for (int i = 0; i < known_count && said == 0; i++) {
        const char *value = strncmp(known[i], "--", 2) == 0 ? strchr(known[i], '=') : NULL;
        said = say_value(text, known[i]);
        if (said == 0 && value != NULL)
            said = say_value(text, value + 1); /* of --option=value */
    }
    return said;
}

static void say_text(const char *text)
{
    while (*text != '\0') {
        size_t said = say_known(text);
        if (said == 0)
            fputc(*text++, stderr);
        text += said;
    }
}

static void say_formatted(const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = length >= 0 ? malloc((size_t)length + 1) : NULL;
    if (text != NULL)
        vsnprintf(text, (size_t)length + 1, format, arguments);
    say_text(text != NULL ? text : "no memory for a message");
    free(text);
}

void say(const char *format, va_list arguments)
{
    fputs("remediate: ", stderr);
    say_formatted(format, arguments);
}

void say_bare(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_formatted(format, arguments);
    va_end(arguments);
}
