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
#define FILES 8          /* the one that has the name, and those that had it before */

/* How far a file was read. A file is known by its number and by the sum of its beginning, as
 * numbers are used again. */
struct position {
    uint64_t device, inode, offset;
    uint64_t sum;
    uint32_t summed; /* bytes, at most PRINT_BYTES; 0: nothing was read, or there is no file */
};

/* What a state file holds. */
struct positions {
    struct position each[FILES];
    unsigned count;
    bool damaged; /* there is a file, and it is no position; it was told */
    bool unnamed; /* of version 1, which did not say what file it belongs to */
};

/* Sums the first `most` bytes of a file; 0; 1 when there are fewer; -1 with errno. */
int remed_position_sum(int fd, uint32_t most, uint64_t *sum);
/* Sums as much of a file's beginning as is there, PRINT_BYTES at most; 0, or -1 with errno. */
int remed_position_learn(int fd, uint64_t *sum, uint32_t *summed);
/* 1: the open file is the position's, and as long; 0: it is not; -1 with errno. */
int remed_position_fits(const struct position *position, int fd);
/* Reads a state file, which must belong to `path`; that there is none is no failure. One that is
 * neither empty nor of positions is refused and left as it is. */
int remed_positions_load(const struct remed_listener *listener, const char *state, const char *path,
                         struct positions *positions, struct remed_error *error);
/* Whether two paths name one file, be it there or not. */
bool remed_position_same_name(const char *one, const char *other);
/* Whether a state file can be written. */
int remed_positions_check(const char *state, struct remed_error *error);
/* Replaces the state file at once. */
int remed_positions_save(const char *state, const char *path, const struct position *positions,
                         unsigned count, struct remed_error *error);
/* The file that a position is of, by whatever name it now has in the folder of `path`, or in
 * that of the file it is a link to; -1: none;
 * REMED_EIO (below -1) when the folder or the file can't be read. */
int remed_position_find(const char *path, const struct position *position,
                        struct remed_error *error);

#endif
