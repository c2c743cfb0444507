/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reading half of the file transport: any number of processes, without a lock.
 *
 * A reader follows the segments by name. At the end of one it looks for the next, in this order: is
 * there one that begins where this one ends? Was this one replaced by a compaction (another inode
 * under its name, or none)? Then it goes on in the one that covers the next offset, past what it
 * has handed out. Is there a later one? A segment that has a later one is complete, but was perhaps
 * not when its end was read: so it is read once more before the reader goes on.
 *
 * A writer that begins anew cuts a torn record off and writes others in its place. So bytes that
 * are no whole record are never kept to read the rest of it behind them: all are read again, and at
 * least once before they are called damage or left.
 *
 * Damage is passed over, counted, and its first place kept. Bytes at the end of the last segment
 * that are no whole record may be one on its way; they are damage when a whole record follows them,
 * when a later segment exists, or when the owner says so (`is_settled`). Then they are counted, but
 * the beginning of a record that was never written to its end is no damage.
 *
 * Threads: one thread a reader.
 */
#ifndef REMED_REPOSITORY_FILE_READER_H
#define REMED_REPOSITORY_FILE_READER_H

#include "repository/segment.h"

#define REMED_DAMAGE_TEXT 160u

struct remed_file_reader {
    const struct remed_crc *crc;
    const char *path;               /* the folder's, for messages; borrowed, may be NULL */
    int folder;                     /* borrowed */
    int segment;                    /* -1: none yet */
    uint64_t first;                 /* the segment's, by name */
    uint64_t at;                    /* file offset of the window */
    uint64_t behind;                /* offset behind the last whole record of the segment */
    uint64_t next_offset;           /* to hand out; what is below is passed over */
    uint64_t purged;                /* the greatest that a header told */
    uint64_t damaged;               /* places */
    char damage[REMED_DAMAGE_TEXT]; /* the first of them: "NAME: byte N: what" */
    bool passes_damage;             /* the spool's way: what belongs in a segment behind is passed
                                       over, and what is missing between two is not told */
    uint64_t bound;                 /* then: where the next segment begins */
    bool started;     /* something was handed out, or the start was not the beginning */
    bool is_oldest;   /* no segment was before this one, and there were others */
    bool is_readable; /* a regular file */
    bool has_header;  /* it was read */
    bool is_counting; /* what was passed last is damage, and counted */
    bool is_settled;  /* in: nothing more comes to the bytes that wait */
    bool waits;       /* out: at the end are bytes that are no whole record */
    bool hears;       /* in: the owner hears of new segments, and tells in `heard` */
    uint64_t heard;   /* in: the greatest that is known of; no later one is looked for */
    unsigned gone;    /* how often running a segment that was listed was gone */
    uint8_t *window;
    size_t begin, held;                  /* within the window */
    uint64_t sure;                       /* file offset before which the window was read twice */
    struct remed_segment_search *search; /* behind the window, in one allocation */
    uint64_t *firsts;
    size_t first_count, first_room;
    struct remed_error error;                         /* why next failed */
    void (*on_damage)(void *context, uint64_t first); /* hears of each segment with a damaged place,
                                                         or behind a gap; may be NULL */
    void *context;
    struct remed_allocator allocator;
};

/* Closed, and nothing of the host's in it. Whatever has a reader calls this first. */
void remed_file_reader_init(struct remed_file_reader *reader, const struct remed_crc *crc,
                            int folder, const char *path, const struct remed_allocator *allocator);
int remed_file_reader_begin(struct remed_file_reader *reader, uint64_t from);
/* The next message: 1, 0 when there is none yet, or an error that reader->error describes:
 * REMED_EIO, REMED_ENOMEM, REMED_EUNSUPPORTED for a segment of a newer version, REMED_ENOENT when
 * removals or records were left out that this reader has not heard of. Valid until the next call.
 */
int remed_file_reader_next(struct remed_file_reader *reader, struct remed_message *message);
void remed_file_reader_end(struct remed_file_reader *reader);

#endif
