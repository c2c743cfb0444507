/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Small files that are read whole: keys, passwords, properties, certificates. What is no regular
 * file is refused: a pipe in the place of one would be waited for without an end and without a
 * word. A pipe that the shell hands over as /dev/fd/N, as bash does for <(command), has a writer:
 * it is read at once, 64 KiB at most, and waited for ten seconds.
 *
 * Threads: no state.
 */
#ifndef REMED_BASE_REGULAR_FILE_H
#define REMED_BASE_REGULAR_FILE_H

#include "base/base.h"

/*
 * Opens a regular file, or what a pipe of the shell's gave, for reading. Errors read "WHOPATH:
 * why", so `who` is "" or ends in ": ". Returns the descriptor, or REMED_ENOENT, REMED_EPERM,
 * REMED_EIO (a folder, too), REMED_EINVAL: it is no regular file; REMED_ELIMIT for a pipe with more
 * than 64 KiB.
 */
int remed_regular_open(const char *path, const char *who, struct remed_error *error);

/* For a name that a library opens: 0 when it is one, a folder, or not there, which that tells; else
 * REMED_EINVAL. */
int remed_regular_check(const char *path, const char *who, struct remed_error *error);

#endif
