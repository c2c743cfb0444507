/* SPDX-License-Identifier: BSD-3-Clause */
/* Positions in files, kept over restarts. Threads: no state. */
#include "backend/syslog/follow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_FORMAT "remediate-position 1 %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIx64 " %u\n"
#define SCAN_FORMAT "remediate-position 1 %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNx64 " %u%c"

int remed_position_sum(int fd, uint32_t most, uint64_t *sum)
{
    uint8_t bytes[PRINT_BYTES];
    if (most > PRINT_BYTES || pread(fd, bytes, most, 0) != (ssize_t)most)
        return -1;
    *sum = 14695981039346656037u; /* FNV-1a */
    for (uint32_t i = 0; i < most; i++)
        *sum = (*sum ^ bytes[i]) * 1099511628211u;
    return 0;
}

bool remed_position_fits(const struct position *position, int fd)
{
    struct stat state;
    uint64_t sum;
    return fstat(fd, &state) == 0 && S_ISREG(state.st_mode) &&
           (uint64_t)state.st_dev == position->device &&
           (uint64_t)state.st_ino == position->inode &&
           (uint64_t)state.st_size >= position->offset &&
           remed_position_sum(fd, position->summed, &sum) == 0 && sum == position->sum;
}

static bool read_line(FILE *file, struct position *position)
{
    char line[160], newline = '\0';
    return fgets(line, sizeof line, file) != NULL &&
           sscanf(line, SCAN_FORMAT, &position->device, &position->inode, &position->offset,
                  &position->sum, &position->summed, &newline) == 6 &&
           newline == '\n' && position->summed <= PRINT_BYTES;
}

unsigned remed_positions_load(const struct remed_listener *listener, const char *path,
                              struct position *positions, unsigned most)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        if (errno != ENOENT)
            remed_listener_say(listener, REMED_LOG_WARNING, "%s: %s", path, strerror(errno));
        return 0;
    }
    unsigned count = 0;
    while (count < most && read_line(file, &positions[count]))
        count++;
    bool whole = count > 0 && (count == most || feof(file));
    fclose(file);
    if (whole)
        return count;
    remed_listener_say(listener, REMED_LOG_WARNING, "%s: is no position; it is not used", path);
    return 0;
}

int remed_positions_save(const char *path, const struct position *positions, unsigned count,
                         struct remed_error *error)
{
    char fresh[1100];
    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh)
        return remed_error_set(error, REMED_EIO, "%.80s: is too long a path", path);
    FILE *file = fopen(fresh, "we");
    bool done = file != NULL;
    for (unsigned i = 0; i < count && done; i++)
        done = fprintf(file, LINE_FORMAT, positions[i].device, positions[i].inode,
                       positions[i].offset, positions[i].sum, positions[i].summed) > 0;
    done = done && fflush(file) == 0 && fsync(fileno(file)) == 0;
    int kept = errno;
    if (file != NULL && fclose(file) != 0 && done) {
        kept = errno;
        done = false;
    }
    if (done && rename(fresh, path) == 0)
        return 0;
    if (done)
        kept = errno;
    if (file != NULL)
        unlink(fresh);
    return remed_error_set(error, REMED_EIO, "cannot write %s: %s", path, strerror(kept));
}

int remed_position_find(const char *path, const struct position *position)
{
    char folder[1100];
    const char *slash = strrchr(path, '/');
    size_t length = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    if (length == 0 || length >= sizeof folder || position->summed == 0)
        return -1;
    memcpy(folder, path, length);
    folder[length] = '\0';
    DIR *names = opendir(folder);
    if (names == NULL)
        return -1;
    int found = -1;
    for (struct dirent *name = readdir(names); name != NULL && found < 0; name = readdir(names)) {
        if ((uint64_t)name->d_ino != position->inode)
            continue;
        found = openat(dirfd(names), name->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (found >= 0 && !remed_position_fits(position, found)) {
            close(found);
            found = -1;
        }
    }
    closedir(names);
    return found;
}
