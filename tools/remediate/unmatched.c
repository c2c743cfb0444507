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

/* Makes it, or opens what is there: a link is not followed, as who may write to its folder could
 * have it lead to another file of ours; a pipe does not hold us up. */
static int open_name(const char *path)
{
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;
    int fd = open(path, flags | O_CREAT | O_EXCL, 0600);
    return fd < 0 && errno == EEXIST ? open(path, flags) : fd;
}

/* 0, or errno of why it is not written to. A device is the user's own matter, as is who reads it.
 */
static int check_sample(int fd, const struct stat *state)
{
    if (S_ISCHR(state->st_mode))
        return 0;
    if (!S_ISREG(state->st_mode))
        return EINVAL;
    if (state->st_uid != geteuid() || state->st_nlink > 1)
        return EPERM;
    return (state->st_mode & 0777) != 0600 && fchmod(fd, 0600) < 0 ? errno : 0;
}

static int open_sample(const char *path, uint64_t *size)
{
    struct stat state;
    int fd = open_name(path);
    if (fd < 0)
        return -1;
    int number = fstat(fd, &state) < 0 ? errno : check_sample(fd, &state);
    if (number == 0) {
        *size = S_ISREG(state.st_mode) ? (uint64_t)state.st_size : 0;
        return fd;
    }
    close(fd);
    errno = number;
    return -1;
}

/* errno of open_sample() in words that say what to do. */
static const char *why_no_sample(int number)
{
    switch (number) {
    case ELOOP:
        return "is a link; name the file itself";
    case ENXIO:
    case EINVAL:
        return "not a regular file";
    case EPERM:
        return "another user's, or one of several names of a file";
    default:
        return strerror(number);
    }
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
        return fail("%s: %s", unmatched->path, why_no_sample(number));
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
