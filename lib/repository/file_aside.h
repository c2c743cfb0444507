/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segments with damage that a compaction has replaced: they stay as NAME.log.damaged, since what is
 * damaged may have been acknowledged, until an operator has seen to them and removes them. While
 * they are there, readers tell.
 *
 * Threads: no state.
 */
#ifndef REMED_REPOSITORY_FILE_ASIDE_H
#define REMED_REPOSITORY_FILE_ASIDE_H

#include "repository/segment.h"

#define REMED_ASIDE_NAME 48u

/* Gives a segment a second name, under which it stays. REMED_EIO with errno. */
int remed_file_set_aside(int folder, uint64_t first);
/* Counts them, and tells the name of one. REMED_EIO with errno. */
int remed_file_count_aside(int folder, uint64_t *count, char name[REMED_ASIDE_NAME]);

#endif
