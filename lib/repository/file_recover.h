/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a writer finds when it opens a folder: the last segment may end in a record that was being
 * written when the power went. A torn tail is cut off. Where whole records follow the damage it is
 * no torn tail but a bad disk: then nothing is cut, and a new segment begins behind.
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
    uint64_t lost;        /* bytes cut off or stepped over */
};

int remed_file_recover(int folder, const struct remed_crc *crc,
                       const struct remed_allocator *allocator, struct remed_recovery *recovery,
                       struct remed_error *error);

#endif
