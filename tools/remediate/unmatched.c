/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines that no rule matched, one of so many, in a file: as they are, to be tried with 'remediate
 * parse', but for control characters, which are written as #ooo (octal). The file has a bound, as
 * who sends lines must not fill the disk; opening it anew begins to count anew.
 *
 * Threads: one.
 */
#include "listening.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

int unmatched_open(struct unmatched *unmatched)
{
    struct stat state;
    if (unmatched->path == NULL)
        return EXIT_OK;
    FILE *file = fopen(unmatched->path, "ae");
    if (file == NULL)
        return fail("%s: %s", unmatched->path, strerror(errno));
    if (unmatched->file != NULL)
        fclose(unmatched->file);
    unmatched->file = file;
    unmatched->written =
        fstat(fileno(file), &state) == 0 && state.st_size > 0 ? (uint64_t)state.st_size : 0;
    return EXIT_OK;
}

static void put(FILE *file, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= ' ' && c != 0x7f)
            putc(c, file);
        else
            fprintf(file, "#%03o", c);
    }
    putc('\n', file);
}

void unmatched_take(struct unmatched *unmatched, const char *text, size_t length)
{
    if (unmatched->file == NULL || unmatched->seen++ % unmatched->every != 0)
        return;
    uint64_t bytes = 4 * (uint64_t)length + 1; /* at most */
    if (unmatched->written + bytes > unmatched->most) {
        unmatched->left_out++;
        return;
    }
    unmatched->written += bytes;
    put(unmatched->file, text, length);
}

void unmatched_flush(struct unmatched *unmatched)
{
    if (unmatched->file != NULL)
        fflush(unmatched->file);
}

int unmatched_close(struct unmatched *unmatched)
{
    if (unmatched->file == NULL)
        return EXIT_OK;
    bool failed = ferror(unmatched->file) != 0;
    failed |= fclose(unmatched->file) != 0;
    unmatched->file = NULL;
    return failed ? fail("%s: not all could be written", unmatched->path) : EXIT_OK;
}
