/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file that is followed, and where reading it stands.
 *
 * Threads: one thread a listener.
 */
#ifndef REMED_BACKEND_SYSLOG_FOLLOW_H
#define REMED_BACKEND_SYSLOG_FOLLOW_H

#include "backend/syslog/listener.h"

#include <sys/stat.h>

#define PRINT_BYTES 256u /* of a file's beginning, by which it is known again */

/* How far a file was read. A file is known by its number and by the sum of its beginning, as
 * numbers are used again. */
struct position {
    uint64_t device, inode, offset;
    uint64_t sum;
    uint32_t summed; /* bytes, at most PRINT_BYTES; 0: nothing was read, or there is no file */
};

/* Sums the first `most` bytes of a file; 0, or -1 when they are not there. */
int remed_position_sum(int fd, uint32_t most, uint64_t *sum);
/* Whether the open file is the position's, and as long. */
bool remed_position_fits(const struct position *position, int fd);
/* Reads at most `most` positions; how many, 0 also when the file is damaged, which is told. */
unsigned remed_positions_load(const struct remed_listener *listener, const char *path,
                              struct position *positions, unsigned most);
/* Replaces the file at once. */
int remed_positions_save(const char *path, const struct position *positions, unsigned count,
                         struct remed_error *error);
/* The file that a position is of, by whatever name it now has in the folder of `path`; -1: none. */
int remed_position_find(const char *path, const struct position *position);

#endif
