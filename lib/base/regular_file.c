/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of regular_file.h. Threads: no state. */
#define _DEFAULT_SOURCE
#include "base/regular_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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

int remed_regular_open(const char *path, const char *who, struct remed_error *error)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int number = fd < 0 || fstat(fd, &status) < 0 ? errno : 0;
    if (number == 0 && S_ISREG(status.st_mode))
        return fd;
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
