/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The id of a file repository, so that a position tells what it belongs to: 64 random bits in the
 * file `id` of its folder, drawn by the first writer that finds none. Compaction leaves it alone.
 *
 *   "remediate-id 1 0123456789abcdef 01234567\n": version, id, CRC-32C of what stands before it
 *
 * Threads: no state.
 */
#ifndef REMED_REPOSITORY_FILE_ID_H
#define REMED_REPOSITORY_FILE_ID_H

#include "repository/segment.h"

/* Reads it: 1; 0 when there is none yet; REMED_EFORMAT when it is damaged, REMED_EIO, REMED_EPERM.
 */
int remed_file_id_read(int folder, const char *path, const struct remed_crc *crc, uint64_t *id,
                       struct remed_error *error);
/* Reads it, or when there is none makes it `drawn`, which is not 0. For the holder of the lock. A
 * damaged one stays, and is an error. */
int remed_file_id_make(int folder, const char *path, const struct remed_crc *crc, uint64_t drawn,
                       uint64_t *id, struct remed_error *error);

#endif
