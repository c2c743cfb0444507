/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of regular_file.h. Threads: no state. */
#define _DEFAULT_SOURCE
#include "base/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIPE_MOST ((size_t)64 << 10)
#define PIPE_WAIT_MS 10000u

static int code_of(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return REMED_ENOENT;
    case EACCES:
    case EPERM:
    case ELOOP:
        return REMED_EPERM;
    default:
        return REMED_EIO;
    }
}

static int refuse_other(const char *path, const char *who, struct remed_error *error)
{
    return remed_error_set(error, REMED_EINVAL, "%s%s: not a regular file", who, path);
}

static bool is_of_the_shell(const char *path)
{
    return strncmp(path, "/dev/fd/", 8) == 0 || strncmp(path, "/proc/self/fd/", 14) == 0 ||
           strcmp(path, "/dev/stdin") == 0;
}

/* Reads until the writer closes; bytes, or -1 with errno: EFBIG, ETIMEDOUT. */
static ssize_t read_pipe(int fd, uint8_t bytes[PIPE_MOST])
{
    size_t held = 0;
    for (unsigned waited = 0; waited < PIPE_WAIT_MS;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, 100) <= 0) {
            waited += 100;
            continue;
        }
        ssize_t got = read(fd, bytes + held, PIPE_MOST - held);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            return got < 0 ? -1 : (ssize_t)held;
        held += (size_t)got;
        if (held == PIPE_MOST) {
            errno = EFBIG;
            return -1;
        }
    }
    errno = ETIMEDOUT;
    return -1;
}

/* What the pipe gave, in a pipe of our own that has an end. */
static int keep_pipe(int fd, const char *path, const char *who, struct remed_error *error)
{
    int ends[2] = {-1, -1};
    uint8_t *bytes = malloc(PIPE_MOST);
    ssize_t held = bytes != NULL ? read_pipe(fd, bytes) : -1;
    bool kept = held >= 0 && pipe(ends) == 0 && fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0 &&
                fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0 &&
                write(ends[1], bytes, (size_t)held) == held;
    int number = errno;
    if (bytes != NULL)
        explicit_bzero(bytes, PIPE_MOST); /* it may be a key */
    free(bytes);
    if (ends[1] >= 0)
        close(ends[1]);
    if (!kept && ends[0] >= 0)
        close(ends[0]);
    if (kept)
        return ends[0];
    return remed_error_set(error, number == EFBIG ? REMED_ELIMIT : REMED_EIO, "%s%s: %s", who, path,
                           strerror(number));
}

int remed_regular_open(const char *path, const char *who, struct remed_error *error)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int number = fd < 0 || fstat(fd, &status) < 0 ? errno : 0;
    if (number == 0 && S_ISREG(status.st_mode))
        return fd;
    if (number == 0 && S_ISFIFO(status.st_mode) && is_of_the_shell(path)) {
        int kept = keep_pipe(fd, path, who, error);
        close(fd);
        return kept;
    }
    if (fd >= 0)
        close(fd);
    if (number == 0 && S_ISDIR(status.st_mode))
        number = EISDIR;
    if (number == 0 || number == ENXIO) /* ENXIO: a socket, or a device that is not there */
        return refuse_other(path, who, error);
    return remed_error_set(error, code_of(number), "%s%s: %s", who, path, strerror(number));
}

int remed_regular_check(const char *path, const char *who, struct remed_error *error)
{
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
        return refuse_other(path, who, error);
    return 0;
}
