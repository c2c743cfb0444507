/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Positions in files, kept over restarts: a line that names the file they belong to, a line for
 * each file that had that name, and a sum of it all, so that a position that is damaged, or of
 * another file, is never gone on from.
 *
 * Threads: no state.
 */
#include "backend/syslog/follow.h"

#include "base/private_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAGIC "remediate-position "
#define FIRST_FORMAT MAGIC "1 %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNx64 " %u%n"
#define LINE_FORMAT "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIx64 " %" PRIu32 "\n"
#define SCAN_FORMAT "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNx64 " %" SCNu32 "%n"
#define SUM_FORMAT "sum %016" PRIx64 "\n"
#define SUM_BYTES 21u
#define NAME_MAX_BYTES 3073u /* of a path of 1,023 bytes, with escapes */
#define TEXT_MAX 8192u
#define FRESH ".remediate-new"

static uint64_t sum_of(const uint8_t *bytes, size_t length)
{
    uint64_t sum = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ bytes[i]) * 1099511628211u;
    return sum;
}

/* How many of the first `most` bytes there are, and their sum; -1 with errno. */
static ssize_t sum_beginning(int fd, uint32_t most, uint64_t *sum)
{
    uint8_t bytes[PRINT_BYTES];
    ssize_t got;
    do
        got = pread(fd, bytes, most, 0);
    while (got < 0 && errno == EINTR);
    if (got >= 0)
        *sum = sum_of(bytes, (size_t)got);
    return got;
}

int remed_position_sum(int fd, uint32_t most, uint64_t *sum)
{
    if (most > PRINT_BYTES)
        return 1;
    ssize_t got = sum_beginning(fd, most, sum);
    return got < 0 ? -1 : got != (ssize_t)most;
}

int remed_position_learn(int fd, uint64_t *sum, uint32_t *summed)
{
    ssize_t got = sum_beginning(fd, PRINT_BYTES, sum);
    *summed = got > 0 ? (uint32_t)got : 0;
    return got < 0 ? -1 : 0;
}

int remed_position_fits(const struct position *position, int fd)
{
    struct stat state;
    uint64_t sum;
    if (fstat(fd, &state) < 0)
        return -1;
    if (!S_ISREG(state.st_mode) || (uint64_t)state.st_dev != position->device ||
        (uint64_t)state.st_ino != position->inode || (uint64_t)state.st_size < position->offset)
        return 0;
    int rc = remed_position_sum(fd, position->summed, &sum);
    return rc < 0 ? -1 : rc == 0 && sum == position->sum;
}

/* A path as one word. */
static void put_name(char name[NAME_MAX_BYTES], const char *path)
{
    size_t at = 0;
    for (; *path != '\0' && at + 4 <= NAME_MAX_BYTES; path++) {
        uint8_t c = (uint8_t)*path;
        if (c > ' ' && c < 0x7f && c != '%')
            name[at++] = (char)c;
        else
            at += (size_t)snprintf(name + at, NAME_MAX_BYTES - at, "%%%02X", c);
    }
    name[at] = '\0';
}

static bool read_line(const char **at, struct position *position, const char *format)
{
    int length = 0;
    if (sscanf(*at, format, &position->device, &position->inode, &position->offset, &position->sum,
               &position->summed, &length) != 5 ||
        (*at)[length] != '\n' || position->summed > PRINT_BYTES)
        return false;
    *at += length + 1;
    return true;
}

/* Version 1: each line has all that there is. */
static bool read_first_version(const char *text, struct positions *positions)
{
    positions->unnamed = true;
    while (*text != '\0') {
        if (positions->count == FILES ||
            !read_line(&text, &positions->each[positions->count], FIRST_FORMAT))
            return false;
        positions->count++;
    }
    return positions->count > 0;
}

static bool has_its_sum(const char *text, size_t length)
{
    char sum[SUM_BYTES + 1];
    if (length < SUM_BYTES)
        return false;
    length -= SUM_BYTES;
    snprintf(sum, sizeof sum, SUM_FORMAT, sum_of((const uint8_t *)text, length));
    return strcmp(text + length, sum) == 0;
}

static bool read_version(const char *text, struct positions *positions, char name[NAME_MAX_BYTES])
{
    unsigned count = 0;
    int length = 0;
    if (!has_its_sum(text, strlen(text)) ||
        sscanf(text, MAGIC "2 %u %3072s%n", &count, name, &length) != 2 || text[length] != '\n' ||
        count > FILES)
        return false;
    text += length + 1;
    while (positions->count < count)
        if (!read_line(&text, &positions->each[positions->count++], SCAN_FORMAT))
            return false;
    return strlen(text) == SUM_BYTES;
}

/* The whole of a file with a NUL behind it; bytes, or -1 with errno: EFBIG when it is too long. */
static ssize_t read_text(int fd, char text[TEXT_MAX])
{
    size_t length = 0;
    while (length < TEXT_MAX) {
        ssize_t got = read(fd, text + length, TEXT_MAX - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    if (length == TEXT_MAX) {
        errno = EFBIG;
        return -1;
    }
    text[length] = '\0';
    return (ssize_t)length;
}

static int judge(const struct remed_listener *listener, const char *state, const char *path,
                 const char *text, struct positions *positions, struct remed_error *error)
{
    char name[NAME_MAX_BYTES], own[NAME_MAX_BYTES];
    unsigned version = 0;
    int known = sscanf(text, MAGIC "%u ", &version);
    if (known == 1 && version > 2)
        return remed_error_set(error, REMED_EUNSUPPORTED,
                               "state %s: is of a newer version than this library reads", state);
    put_name(own, path);
    if (version == 1 && read_first_version(text, positions))
        return 0;
    if (version == 2 && read_version(text, positions, name)) {
        if (strcmp(name, own) == 0)
            return 0;
        return remed_error_set(
            error, REMED_EINVAL,
            "state %s: belongs to %.120s; each file needs a state file of its own", state, name);
    }
    *positions = (struct positions){.damaged = true};
    remed_listener_say(listener, REMED_LOG_WARNING,
                       "%s: is no position, or is damaged; %s is read from its beginning", state,
                       path);
    return 0;
}

/* The folder that a path names a file of. */
static int folder_of(const char *path, char folder[1100])
{
    const char *slash = strrchr(path, '/');
    size_t length = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    if (length >= 1100)
        return -1;
    memcpy(folder, length > 0 ? path : "./", length > 0 ? length : 2);
    folder[length > 0 ? length : 2] = '\0';
    return 0;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool remed_position_same_name(const char *one, const char *other)
{
    char folders[2][1100];
    struct stat a, b;
    if (strcmp(one, other) == 0 || (stat(one, &a) == 0 && stat(other, &b) == 0 && is_same(&a, &b)))
        return true;
    const char *names[2] = {strrchr(one, '/'), strrchr(other, '/')};
    return strcmp(names[0] != NULL ? names[0] + 1 : one, names[1] != NULL ? names[1] + 1 : other) ==
               0 &&
           folder_of(one, folders[0]) == 0 && folder_of(other, folders[1]) == 0 &&
           stat(folders[0], &a) == 0 && stat(folders[1], &b) == 0 && is_same(&a, &b);
}

/* Whether the state file may be replaced and taken from others. What it is not, it is told before
 * anything is done to it; what can't be opened is told by who opens it next. */
static int check_ours(const char *state, const char *path, struct remed_error *error)
{
    char head[sizeof MAGIC - 1];
    struct stat status;
    ssize_t got = 0;
    if (remed_position_same_name(state, path))
        return remed_error_set(error, REMED_EINVAL,
                               "state %s: is the file that is followed; give it a file of its own",
                               state);
    int fd = open(state, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return 0;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        got = read(fd, head, sizeof head);
    close(fd);
    if (got <= 0 || (got == (ssize_t)sizeof head && memcmp(head, MAGIC, sizeof head) == 0))
        return 0;
    return remed_error_set(error, REMED_EINVAL,
                           "state %s: is another file, not one of positions; name a new file, or "
                           "remove it",
                           state);
}

int remed_positions_load(const struct remed_listener *listener, const char *state, const char *path,
                         struct positions *positions, struct remed_error *error)
{
    char text[TEXT_MAX];
    *positions = (struct positions){.count = 0};
    int rc = check_ours(state, path, error);
    if (rc < 0)
        return rc;
    int fd = remed_private_open(AT_FDCWD, state, O_RDONLY, "state", error);
    if (fd == REMED_ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    ssize_t length = read_text(fd, text);
    int number = errno;
    close(fd);
    if (length < 0 && number != EFBIG)
        return remed_error_set(error, REMED_EIO, "state %s: %s", state, strerror(number));
    if (length < 0 || strlen(text) != (size_t)length)
        text[0] = '\0'; /* no text: damaged */
    return judge(listener, state, path, text, positions, error);
}

int remed_positions_check(const char *state, struct remed_error *error)
{
    char folder[1100];
    if (folder_of(state, folder) < 0 || strlen(state) + sizeof FRESH > 1100)
        return remed_error_set(error, REMED_EINVAL, "state %.80s: is too long a path", state);
    if (access(folder, W_OK | X_OK) < 0)
        return remed_error_set(error, errno == ENOENT ? REMED_ENOENT : REMED_EPERM,
                               "state %s: no file can be made in %s: %s", state, folder,
                               strerror(errno));
    return 0;
}

/* What an earlier save left when its machine stopped: nothing, or the beginning of a position. */
static bool is_leftover(const char *fresh)
{
    char head[sizeof MAGIC - 1];
    struct stat status;
    int fd = open(fresh, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    bool ours = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid();
    ssize_t got = ours ? read(fd, head, sizeof head) : -1;
    close(fd);
    return got >= 0 && memcmp(head, MAGIC, (size_t)got) == 0;
}

static int open_fresh(const char *fresh, struct remed_error *error)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL;
    int fd = remed_private_open(AT_FDCWD, fresh, flags, "state", error);
    if (fd < 0 && errno == EEXIST && is_leftover(fresh) && unlink(fresh) == 0)
        fd = remed_private_open(AT_FDCWD, fresh, flags, "state", error);
    return fd;
}

static bool write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, text, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        text += put;
        length -= (size_t)put;
    }
    return fsync(fd) == 0;
}

/* The new name outlives a crash once its folder is written. */
static bool sync_folder(const char *path)
{
    char folder[1100];
    int fd = folder_of(path, folder) == 0 ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0)
        return errno == EACCES; /* written to and not read: nothing to be done about it */
    bool done = fsync(fd) == 0 || errno == EINVAL; /* a file system that can't, and need not */
    int kept = errno;
    close(fd);
    errno = kept;
    return done;
}

static size_t put_text(char text[TEXT_MAX], const char *path, const struct position *positions,
                       unsigned count)
{
    char name[NAME_MAX_BYTES];
    put_name(name, path);
    size_t at = (size_t)snprintf(text, TEXT_MAX, MAGIC "2 %u %s\n", count, name);
    for (unsigned i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, TEXT_MAX - at, LINE_FORMAT, positions[i].device,
                               positions[i].inode, positions[i].offset, positions[i].sum,
                               positions[i].summed);
    at += (size_t)snprintf(text + at, TEXT_MAX - at, SUM_FORMAT, sum_of((const uint8_t *)text, at));
    return at;
}

int remed_positions_save(const char *state, const char *path, const struct position *positions,
                         unsigned count, struct remed_error *error)
{
    char fresh[1100], text[TEXT_MAX];
    snprintf(fresh, sizeof fresh, "%s" FRESH, state);
    size_t length = put_text(text, path, positions, count);
    int fd = open_fresh(fresh, error);
    if (fd < 0)
        return fd;
    bool done = write_all(fd, text, length);
    int kept = errno;
    if (close(fd) < 0 && done) {
        kept = errno;
        done = false;
    }
    if (done && rename(fresh, state) == 0 && sync_folder(state))
        return 0;
    if (done)
        kept = errno;
    unlink(fresh);
    return remed_error_set(error, REMED_EIO, "state: cannot write %s: %s", state, strerror(kept));
}

/* Opens the name if it is the position's file; -1: it is not, -2: that can't be told, errno why. */
static int open_if_it_fits(int folder, const char *name, const struct position *position)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOENT ? -1 : -2;
    int fits = remed_position_fits(position, fd);
    if (fits > 0)
        return fd;
    int kept = errno;
    close(fd);
    errno = kept;
    return fits == 0 ? -1 : -2;
}

/* Looks in one folder; as remed_position_find(). */
static int find_in(const char *folder, const struct position *position, struct remed_error *error)
{
    DIR *names = opendir(folder);
    if (names == NULL)
        return errno == ENOENT
                   ? -1
                   : remed_error_set(error, REMED_EIO, "%s: %s", folder, strerror(errno));
    int found = -1;
    struct dirent *name;
    errno = 0; /* of a folder's end; another: it can't be read */
    while (found == -1 && (name = readdir(names)) != NULL) {
        if ((uint64_t)name->d_ino == position->inode)
            found = open_if_it_fits(dirfd(names), name->d_name, position);
        if (found == -1)
            errno = 0;
    }
    int number = errno;
    closedir(names);
    if (found == -2 || (found == -1 && number != 0))
        return remed_error_set(error, REMED_EIO, "%s: cannot look for a renamed file: %s", folder,
                               strerror(number));
    return found;
}

int remed_position_find(const char *path, const struct position *position,
                        struct remed_error *error)
{
    char folder[1100];
    if (position->summed == 0 || folder_of(path, folder) < 0)
        return -1;
    int found = find_in(folder, position, error);
    char *real = found == -1 ? realpath(path, NULL) : NULL; /* the name may be a link's */
    if (real != NULL && folder_of(real, folder) == 0)
        found = find_in(folder, position, error);
    free(real);
    return found;
}
