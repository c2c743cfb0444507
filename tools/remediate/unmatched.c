/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines that no rule matched, one of so many, in a file: as they are, to be tried with 'remediate
 * parse', but for control characters, which are written as #ooo (octal). The file has a bound, as
 * who sends lines must not fill the disk; opening it anew begins to count anew. It is its owner's
 * alone, whatever the umask: it has what logs have.
 *
 * Threads: one.
 */
#include "listening.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A regular file of another user is not written to; a pipe or a terminal is the user's own matter.
 */
static int open_sample(const char *path, uint64_t *size)
{
    struct stat state;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return -1;
    int number = 0;
    if (fstat(fd, &state) < 0)
        number = errno;
    else if (S_ISREG(state.st_mode) && state.st_uid != geteuid())
        number = EPERM;
    else if (S_ISREG(state.st_mode) && (state.st_mode & 0777) != 0600 && fchmod(fd, 0600) < 0)
        number = errno;
    if (number == 0) {
        *size = S_ISREG(state.st_mode) ? (uint64_t)state.st_size : 0;
        return fd;
    }
    close(fd);
    errno = number;
    return -1;
}

int unmatched_open(struct unmatched *unmatched)
{
    uint64_t size = 0;
    if (unmatched->path == NULL)
        return EXIT_OK;
    int fd = open_sample(unmatched->path, &size);
    FILE *file = fd >= 0 ? fdopen(fd, "a") : NULL;
    if (file == NULL) {
        int number = errno;
        if (fd >= 0)
            close(fd);
        return fail("%s: %s", unmatched->path, strerror(number));
    }
    unmatched_flush(unmatched);
    if (unmatched->file != NULL)
        fclose(unmatched->file);
    unmatched->file = file;
    unmatched->written = size;
    return EXIT_OK;
}

/* A full disk is told once; what is not written is missing from the sample alone. */
static void note_fault(struct unmatched *unmatched, int number)
{
    if (unmatched->fault == 0)
        fail("%s: cannot write: %s; the sample lacks lines", unmatched->path, strerror(number));
    unmatched->fault = number;
    clearerr(unmatched->file);
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
    errno = 0;
    put(unmatched->file, text, length);
    if (ferror(unmatched->file))
        note_fault(unmatched, errno);
}

void unmatched_flush(struct unmatched *unmatched)
{
    if (unmatched->file != NULL && fflush(unmatched->file) != 0)
        note_fault(unmatched, errno);
}

int unmatched_close(struct unmatched *unmatched)
{
    if (unmatched->file == NULL)
        return EXIT_OK;
    unmatched_flush(unmatched);
    if (fclose(unmatched->file) != 0 && unmatched->fault == 0) {
        unmatched->fault = errno;
        fail("%s: %s", unmatched->path, strerror(errno));
    }
    unmatched->file = NULL;
    return unmatched->fault == 0 ? EXIT_OK : EXIT_FAILED;
}
