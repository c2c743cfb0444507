/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reading half of the file transport: any number of processes, without a lock.
 *
 * A reader follows the segments by name. At the end of one it looks, in this order: was the file
 * replaced by a compaction (another inode under its name, or none)? Then it goes on in the one that
 * covers the next offset, past what it has handed out. Is there a later segment? Then this one is
 * complete. Else it waits for more.
 *
 * Threads: one thread a reader.
 */
#ifndef REMED_REPOSITORY_FILE_READER_H
#define REMED_REPOSITORY_FILE_READER_H

#include "repository/segment.h"

struct remed_file_reader {
    const struct remed_crc *crc;
    int folder;           /* borrowed */
    int segment;          /* -1: none yet */
    uint64_t first;       /* the segment's, by name */
    uint64_t at;          /* file offset of the window */
    uint64_t next_offset; /* to hand out; what is below is passed over */
    uint64_t purged;      /* the greatest that a header told */
    uint64_t damaged;
    bool passes_damage; /* a segment that is none is counted and passed over, the last excepted; so
                           is what belongs in one behind it */
    uint64_t bound;     /* then: where the next segment begins */
    bool started;       /* something was handed out, or the start was not the beginning */
    uint8_t *window;
    size_t begin, held; /* within the window */
    uint64_t *firsts;
    size_t first_count, first_room;
    struct remed_allocator allocator;
};

int remed_file_reader_begin(struct remed_file_reader *reader, uint64_t from);
/* The next message: 1, 0 when there is none yet, REMED_EIO, or REMED_ENOENT when removals were left
 * out that this reader has not heard of. Valid until the next call. */
int remed_file_reader_next(struct remed_file_reader *reader, struct remed_message *message);
void remed_file_reader_end(struct remed_file_reader *reader);

#endif
