/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A pipe in the place of a file: by its name, or as a shell's <(command). It can be opened and read
 * but once, so it becomes standard input, and what it begins with is looked at without being taken.
 *
 * Threads: one.
 */
#include "pipe_input.h"

#include "carry.h"
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS 100
#define TELL_LOOKS 20 /* after which it is said what is waited for */
#define PEEK_MOST 64u

static int own_input = -1; /* standard input as it was, once a pipe has its place */

/* The descriptor that /dev/fd/N names: opened by that name, a pipe whose writer has gone would be
 * waited for. -1: it is no such name. */
static int named_descriptor(const char *path)
{
    static const char begin[] = "/dev/fd/";
    char *end;
    if (strncmp(path, begin, sizeof begin - 1) != 0)
        return -1;
    const char *digits = path + sizeof begin - 1;
    long number = *digits >= '0' && *digits <= '9' ? strtol(digits, &end, 10) : -1;
    return number >= 0 && number < 1 << 20 && *end == '\0' ? (int)number : -1;
}

/* Until somebody writes, has written, or has gone again; false: interrupted. */
static bool wait_for_writer(const char *path, int fd)
{
    for (unsigned looks = 0; !interrupted; looks++) {
        struct pollfd look = {.fd = fd, .events = POLLIN};
        if (poll(&look, 1, LOOK_MS) > 0)
            return true;
        if (looks == TELL_LOOKS)
            fail("%s: waits for somebody to write to it", path);
    }
    fail("interrupted");
    return false;
}

static int open_pipe(const char *path)
{
    int named = named_descriptor(path);
    int fd = named >= 0 ? fcntl(named, F_DUPFD_CLOEXEC, 3)
                        : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        fail("%s: %s", path, strerror(errno));
        return -1;
    }
    int flags = fcntl(fd, F_GETFL);
    if (!wait_for_writer(path, fd) || flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

const char *pipe_as_input(const char *path)
{
    struct stat state;
    if (strcmp(path, "-") == 0) {
        if (own_input >= 0)
            dup2(own_input, STDIN_FILENO);
        return path;
    }
    if (stat(path, &state) < 0 || !S_ISFIFO(state.st_mode))
        return path;
    int fd = open_pipe(path);
    if (fd < 0)
        return NULL;
    if (own_input < 0)
        own_input = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(fd, STDIN_FILENO);
    close(fd);
    return "-";
}

/* How a pipe begins, as soon as it differs or has all of it. */
static bool pipe_begins_with(int fd, const char *text, size_t length)
{
    char head[PEEK_MOST];
    int copy[2];
    if (pipe2(copy, O_CLOEXEC) < 0)
        return false;
    bool begins = false, done = false;
    while (!done && !interrupted) {
        struct pollfd look = {.fd = fd, .events = POLLIN};
        ssize_t got = poll(&look, 1, LOOK_MS) > 0 ? tee(fd, copy[1], length, 0) : -1;
        if (got < 0) {
            done = look.revents != 0 && errno != EINTR;
            continue;
        }
        size_t have = got > 0 ? (size_t)read(copy[0], head, (size_t)got) : 0;
        bool same = have == (size_t)got && memcmp(head, text, have) == 0;
        begins = same && have == length;
        done = begins || !same || (look.revents & POLLHUP) != 0;
        if (!done)
            poll(NULL, 0, LOOK_MS / 10); /* for the rest of it */
    }
    close(copy[0]);
    close(copy[1]);
    return begins;
}

bool input_begins_with(const char *text)
{
    char head[PEEK_MOST];
    struct stat state;
    size_t length = strlen(text);
    if (length > sizeof head || fstat(STDIN_FILENO, &state) < 0)
        return false;
    if (S_ISFIFO(state.st_mode))
        return pipe_begins_with(STDIN_FILENO, text, length);
    if (!S_ISREG(state.st_mode))
        return false;
    off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
    return pread(STDIN_FILENO, head, length, at) == (ssize_t)length &&
           memcmp(head, text, length) == 0;
}
