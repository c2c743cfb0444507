/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls a function for each capture at hand: those of REMED_TEST_DATA (../shared/data without it),
 * folders within folders, and our own.
 */
#ifndef REMED_TEST_WALK_H
#define REMED_TEST_WALK_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef void (*walk_fn)(const char *path, const char *name, void *context);

static inline void walk_folder(const char *folder, walk_fn visit, void *context)
{
    DIR *open = opendir(folder);
    struct dirent *entry;
    while (open != NULL && (entry = readdir(open)) != NULL) {
        char path[4096];
        struct stat status;
        int length = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof path || entry->d_name[0] == '.' ||
            stat(path, &status) < 0)
            continue;
        if (S_ISDIR(status.st_mode))
            walk_folder(path, visit, context);
        else if (S_ISREG(status.st_mode))
            visit(path, entry->d_name, context);
    }
    if (open != NULL)
        closedir(open);
}

static inline void walk_captures(walk_fn visit, void *context)
{
    static const char *const folders[] = {"pcap", "ids"};
    const char *data = getenv("REMED_TEST_DATA");
    for (unsigned i = 0; i < 2; i++) {
        char folder[4096];
        snprintf(folder, sizeof folder, "%s/%s", data != NULL ? data : "../shared/data",
                 folders[i]);
        walk_folder(folder, visit, context);
    }
    walk_folder("tests/data", visit, context);
}

#endif
