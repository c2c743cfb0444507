/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of private_file.h. Threads: no state. */
#define _DEFAULT_SOURCE
#include "base/private_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* A 32-bit target without large files fails to list and to stat on some file systems. */
_Static_assert(sizeof(off_t) >= 8 && sizeof(ino_t) >= 8, "build with _FILE_OFFSET_BITS=64");

static int code_of(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return REMED_ENOENT;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
        return REMED_EPERM;
    default:
        return REMED_EIO;
    }
}

/* Closes, and keeps errno for the caller. */
static int refuse(int fd, int code, int number)
{
    close(fd);
    errno = number;
    return code;
}

/* Root may look at what is another user's, and does not write there: what it made would be in that
 * user's way. */
static bool may_use(const struct stat *status, bool writes)
{
    return status->st_uid == geteuid() || status->st_uid == 0 || (geteuid() == 0 && !writes);
}

/* Nobody but the owner reads or writes it from now on. What lies on a medium that nobody writes to
 * may be read as it is: a backup is no danger to what is live. */
static bool take_back(int fd, const struct stat *status, bool writes)
{
    if ((status->st_mode & 07777) == 0600 || status->st_uid != geteuid() || fchmod(fd, 0600) == 0)
        return true;
    return (status->st_mode & 0077) == 0 || (errno == EROFS && !writes);
}

/* Root looks into another user's folder, whoever else writes there, and makes nothing in it then.
 */
static bool is_open_elsewhere(const struct stat *status)
{
    return geteuid() == 0 && status->st_uid != 0 && (status->st_mode & 0022) != 0;
}

static bool may_make_in(int folder)
{
    struct stat status;
    return folder == AT_FDCWD || fstat(folder, &status) < 0 || !is_open_elsewhere(&status);
}

int remed_private_open(int folder, const char *name, int flags, const char *who,
                       struct remed_error *error)
{
    struct stat status;
    bool makes = (flags & O_CREAT) != 0;
    if (makes && !may_make_in(folder)) {
        errno = EACCES;
        return remed_error_set(error, REMED_EPERM,
                               "%s: cannot make %s: others may write to its folder, which belongs "
                               "to another user; chmod go-w it",
                               who, name);
    }
    /* O_NONBLOCK: a pipe in the place of a file must not hold us up; a file does not know it. */
    int all = flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (makes ? O_NOFOLLOW : 0);
    int fd = openat(folder, name, all, 0600);
    if (fd < 0 || fstat(fd, &status) < 0) {
        int number = errno;
        remed_error_set(error, code_of(number), "%s: cannot open %s: %s", who, name,
                        strerror(number));
        if (fd >= 0 && (flags & O_EXCL) != 0) /* made by this call, and of no use to anybody */
            (void)unlinkat(folder, name, 0);
        return fd < 0 ? code_of(number) : refuse(fd, code_of(number), number);
    }
    if (!S_ISREG(status.st_mode)) {
        remed_error_set(error, REMED_EPERM, "%s: cannot open %s: not a regular file", who, name);
        return refuse(fd, REMED_EPERM, EACCES);
    }
    if (!may_use(&status, (flags & O_ACCMODE) != O_RDONLY)) {
        remed_error_set(error, REMED_EPERM, "%s: cannot open %s: it belongs to another user", who,
                        name);
        return refuse(fd, REMED_EPERM, EACCES);
    }
    if (!take_back(fd, &status, (flags & O_ACCMODE) != O_RDONLY)) {
        int number = errno;
        remed_error_set(error, REMED_EPERM, "%s: cannot take %s back from other users: %s", who,
                        name, strerror(number));
        return refuse(fd, REMED_EPERM, number);
    }
    return fd;
}

/* A umask may have taken the owner's rights to a new folder as well, so that it can't be opened.
 * What is not the folder that was made, as somebody put something in its place, is left alone. */
static int give_rights(const char *path, const char *who, struct remed_error *error)
{
    struct stat status;
    if (lstat(path, &status) < 0)
        return remed_error_set(error, code_of(errno), "%s: %s: %s", who, path, strerror(errno));
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid())
        return remed_error_set(error, REMED_EPERM, "%s: %s is not the folder that was made", who,
                               path);
    if ((status.st_mode & 0777) == 0700 || fchmodat(AT_FDCWD, path, 0700, 0) == 0)
        return 0;
    int number = errno;
    rmdir(path);
    return remed_error_set(error, REMED_EPERM, "%s: %s: %s", who, path, strerror(number));
}

/* Empty, or with the lock of a repository. */
static bool is_repository(int folder)
{
    struct stat status;
    if (fstatat(folder, "lock", &status, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *open = fd >= 0 ? fdopendir(fd) : NULL;
    if (open == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    unsigned count = 0;
    errno = 0;
    while (readdir(open) != NULL)
        count++;
    bool empty = errno == 0 && count <= 2; /* . and .. */
    closedir(open);
    return empty;
}

/* Nobody writes there, whatever its modes say. */
static bool is_read_only(int fd)
{
    struct statvfs system;
    return fstatvfs(fd, &system) == 0 && (system.f_flag & ST_RDONLY) != 0;
}

static int check_folder(int fd, const char *path, const char *who, struct remed_error *error)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return remed_error_set(error, REMED_EIO, "%s: %s: %s", who, path, strerror(errno));
    if (!may_use(&status, false))
        return remed_error_set(error, REMED_EPERM, "%s: %s belongs to another user", who, path);
    if ((status.st_mode & 0022) == 0 || is_open_elsewhere(&status) || is_read_only(fd))
        return 0;
    bool can_take = (status.st_mode & S_ISVTX) == 0 && status.st_uid == geteuid();
    if (can_take && is_repository(fd) && fchmod(fd, 0700) == 0)
        return 0;
    return remed_error_set(error, REMED_EPERM,
                           "%s: others may write to %s; give it a folder of its own, or chmod go-w",
                           who, path);
}

/* The name of a new folder must last as what is put into it. */
static int sync_parent(int fd, const char *path, const char *who, struct remed_error *error)
{
    int parent = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return 0; /* it can't be read: nothing to be done about it */
    int rc = fsync(parent);
    if (rc < 0 && errno != EINVAL) /* a file system that does not sync folders */
        rc = remed_error_set(error, REMED_EIO, "%s: cannot sync the folder of %s: %s", who, path,
                             strerror(errno));
    else
        rc = 0;
    close(parent);
    return rc;
}

int remed_private_folder(const char *path, const char *who, struct remed_error *error)
{
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return remed_error_set(error, code_of(errno), "%s: cannot make %s: %s", who, path,
                               strerror(errno));
    int rc = made ? give_rights(path, who, error) : 0;
    if (rc < 0)
        return rc;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return remed_error_set(error, code_of(errno), "%s: %s: %s", who, path, strerror(errno));
    rc = check_folder(fd, path, who, error);
    if (rc == 0 && made)
        rc = sync_parent(fd, path, who, error);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}
