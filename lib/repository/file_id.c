/* SPDX-License-Identifier: BSD-3-Clause */
/* The ids of file_id.h. Threads: no state. */
#define _POSIX_C_SOURCE 200809L
#include "repository/file_id.h"

#include "base/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define NAME "id"
#define BEGUN "remediate-id.tmp"
#define BODY "remediate-id 1 %016llx " /* before the checksum */
#define BODY_LENGTH 32u
#define LENGTH 41u

static void name_file(char who[160], const char *path)
{
    snprintf(who, 160, "file: %.140s", path);
}

static void write_text(const struct remed_crc *crc, uint64_t id, char text[LENGTH + 1])
{
    snprintf(text, LENGTH + 1, BODY, (unsigned long long)id);
    snprintf(text + BODY_LENGTH, LENGTH + 1 - BODY_LENGTH, "%08lx\n",
             (unsigned long)remed_crc_of(crc, (const uint8_t *)text, BODY_LENGTH));
}

static int fail_call(struct remed_error *error, const char *path, const char *what)
{
    int number = errno;
    return remed_error_set(error, REMED_EIO, "file: cannot %s %.140s/" NAME ": %s", what, path,
                           strerror(number));
}

static int read_text(int fd, char text[LENGTH + 2])
{
    size_t held = 0;
    while (held < LENGTH + 1) {
        ssize_t got = pread(fd, text + held, LENGTH + 1 - held, (off_t)held);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        held += (size_t)got;
    }
    text[held] = '\0';
    return (int)held;
}

int remed_file_id_read(int folder, const char *path, const struct remed_crc *crc, uint64_t *id,
                       struct remed_error *error)
{
    char who[160], text[LENGTH + 2], expected[LENGTH + 1];
    unsigned long long value = 0;
    name_file(who, path);
    int fd = remed_private_open(folder, NAME, O_RDONLY, who, error);
    if (fd < 0)
        return fd == REMED_ENOENT ? 0 : fd;
    int held = read_text(fd, text), number = errno;
    close(fd);
    errno = number;
    if (held < 0)
        return fail_call(error, path, "read");
    if (sscanf(text, "remediate-id 1 %16llx", &value) == 1)
        write_text(crc, value, expected);
    if (value == 0 || strcmp(text, expected) != 0)
        return remed_error_set(error, REMED_EFORMAT,
                               "file: %.140s/" NAME ": byte 0: the repository's id is damaged; "
                               "without the file the next writer makes a new one",
                               path);
    *id = value;
    return 1;
}

static bool write_file(int fd, const char *text)
{
    size_t done = 0;
    while (done < LENGTH) {
        ssize_t got = write(fd, text + done, LENGTH - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = ENOSPC;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return fsync(fd) == 0;
}

int remed_file_id_make(int folder, const char *path, const struct remed_crc *crc, uint64_t drawn,
                       uint64_t *id, struct remed_error *error)
{
    char who[160], text[LENGTH + 1];
    int rc = remed_file_id_read(folder, path, crc, id, error);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    *id = drawn;
    name_file(who, path);
    write_text(crc, *id, text);
    (void)unlinkat(folder, BEGUN, 0); /* of a process that died here */
    int fd = remed_private_open(folder, BEGUN, O_WRONLY | O_CREAT | O_EXCL, who, error);
    if (fd < 0)
        return fd;
    bool good = write_file(fd, text) && renameat(folder, BEGUN, folder, NAME) == 0;
    if (!good)
        rc = fail_call(error, path, "write");
    close(fd);
    if (!good)
        (void)unlinkat(folder, BEGUN, 0);
    if (good && fsync(folder) < 0)
        rc = fail_call(error, path, "sync the folder of");
    return rc;
}
