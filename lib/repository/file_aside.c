/* SPDX-License-Identifier: BSD-3-Clause */
/* The damaged segments of file_aside.h. Threads: no state. */
#define _POSIX_C_SOURCE 200809L
#include "repository/file_aside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".damaged"
#define MOST_OF_A_NAME 1000u

/* Whether two names lead to one file. */
static bool is_same_file(int folder, const char *a, const char *b)
{
    struct stat first, second;
    return fstatat(folder, a, &first, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(folder, b, &second, AT_SYMLINK_NOFOLLOW) == 0 && first.st_ino == second.st_ino &&
           first.st_dev == second.st_dev;
}

/* A compaction that failed behind this is tried again: what it has set aside is so already. */
int remed_file_set_aside(int folder, uint64_t first)
{
    char name[REMED_SEGMENT_NAME], aside[REMED_ASIDE_NAME];
    remed_segment_name(name, first);
    for (unsigned i = 0; i < MOST_OF_A_NAME; i++) {
        if (i == 0)
            snprintf(aside, sizeof aside, "%s" SUFFIX, name);
        else
            snprintf(aside, sizeof aside, "%s" SUFFIX ".%u", name, i);
        if (linkat(folder, name, folder, aside, 0) == 0)
            return 0;
        if (errno != EEXIST)
            return REMED_EIO;
        if (is_same_file(folder, name, aside))
            return 0;
    }
    errno = EEXIST;
    return REMED_EIO;
}

static bool is_aside(const char *name)
{
    char begin[REMED_SEGMENT_NAME] = "";
    uint64_t first;
    memcpy(begin, name, remed_text_length(name, sizeof begin - 4));
    return strlen(name) < REMED_ASIDE_NAME && strlen(begin) == 24 &&
           remed_segment_parse_name(begin, &first) &&
           strncmp(name + 24, SUFFIX, sizeof SUFFIX - 1) == 0;
}

int remed_file_count_aside(int folder, uint64_t *count, char name[REMED_ASIDE_NAME])
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *open = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry = NULL;
    int number = errno;
    *count = 0;
    if (open == NULL && fd >= 0)
        close(fd);
    do {
        errno = open != NULL ? 0 : number;
        entry = open != NULL ? readdir(open) : NULL;
        if (entry != NULL && is_aside(entry->d_name) && (*count)++ == 0)
            snprintf(name, REMED_ASIDE_NAME, "%.47s", entry->d_name);
    } while (entry != NULL);
    number = errno;
    if (open != NULL)
        closedir(open);
    errno = number;
    return number == 0 ? 0 : REMED_EIO;
}
