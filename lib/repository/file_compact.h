/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compaction of the file transport: all complete segments become one that holds the newest value of
 * each key, under the first one's name. It goes on a few megabytes a step, so that the writer is
 * never held up for long; readers keep the files that they have open.
 *
 * Segments with damage are kept beside (file_aside.h): a compaction must not remove what may have
 * been acknowledged, nor the sign that something is missing.
 *
 * A removal is kept once, so that a reader on its way hears of it, and left out by the next
 * compaction; the header tells how far that went. When there are more keys than fit the stated
 * memory, nothing is compacted, and that is counted: the log grows, but loses nothing.
 *
 * Threads: belongs to the writer.
 */
#ifndef REMED_REPOSITORY_FILE_COMPACT_H
#define REMED_REPOSITORY_FILE_COMPACT_H

#include "repository/file_reader.h"

struct remed_key_slot {
    uint64_t hash;
    uint64_t offset; /* of the newest value */
    uint64_t key;    /* place in the arena + 1; 0: free */
};

struct remed_file_compact {
    const struct remed_crc *crc;
    const char *path; /* the folder's, for messages; borrowed */
    int folder;       /* borrowed */
    int output;       /* -1: none */
    enum { REMED_COMPACT_IDLE, REMED_COMPACT_INDEX, REMED_COMPACT_COPY } phase;
    struct remed_file_reader reader;
    uint64_t first, end; /* offsets that are compacted: [first, end) */
    uint64_t horizon;    /* removals below were kept once */
    uint64_t left_out;   /* behind the last removal that was left out */
    uint64_t seen_end;   /* `end` of the last compaction: below, nothing is new */
    uint64_t segments;   /* complete ones at the last compaction */
    struct remed_key_slot *slots;
    size_t slot_count, used;
    uint8_t *arena; /* keys, each with its length before it */
    size_t arena_used, arena_room;
    size_t max_bytes; /* of slots and arena together */
    uint8_t *buffer;
    size_t held;
    uint64_t secret[2]; /* of the hash: keys are strangers' */
    uint64_t *aside;    /* segments with damage that are read now */
    size_t aside_count, aside_room;
    bool is_aside_full;       /* there was no memory for one */
    uint64_t done, abandoned; /* compactions */
    struct remed_error error; /* why the last one was abandoned */
    struct remed_allocator allocator;
};

/* Idle, and nothing of the host's in it. Whatever has a compaction calls this first. */
void remed_file_compact_init(struct remed_file_compact *compact, const struct remed_crc *crc,
                             int folder, const char *path, const struct remed_allocator *allocator);
/* Begins when it is worth it: `minimum` complete segments that are new. */
void remed_file_compact_consider(struct remed_file_compact *compact, size_t minimum);
/* One step: 1 when there is more to do at once, 0 when idle. Failures abandon the
 * compaction, and are told in `error`. */
int remed_file_compact_step(struct remed_file_compact *compact);
void remed_file_compact_end(struct remed_file_compact *compact);

#endif
