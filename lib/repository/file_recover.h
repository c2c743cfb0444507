/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a writer finds when it opens a folder. The last segment may end in the beginning of a record
 * that was being written when the process or the power went: that is cut off, and nothing else ever
 * is. Whatever else is no record (a bad disk, blocks that were never written, a damaged header)
 * stays where it is, as it may have been acknowledged; it is told, and a new segment begins behind.
 * Its first offset lies beyond all that may have been in the damage, so that a reader that knows
 * those records does not take new ones for them.
 *
 * Threads: no state.
 */
#ifndef REMED_REPOSITORY_FILE_RECOVER_H
#define REMED_REPOSITORY_FILE_RECOVER_H

#include "repository/segment.h"

struct remed_recovery {
    int segment;          /* open for writing; -1: a new one is needed */
    uint64_t first;       /* its first offset */
    uint64_t length;      /* its bytes up to the last whole record */
    uint64_t next_offset; /* of the next record */
    uint64_t cut;         /* bytes of a torn tail that were cut off */
    uint64_t damaged;     /* bytes that are no record and were left */
    uint64_t place;       /* of the first of them */
};

/* `path` names the folder in messages. On failure nothing is open, and nothing was changed. */
int remed_file_recover(int folder, const char *path, const struct remed_crc *crc,
                       const struct remed_allocator *allocator, struct remed_recovery *recovery,
                       struct remed_error *error);

#endif
