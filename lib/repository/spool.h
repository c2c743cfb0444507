/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The publisher's spool: publications that wait on a disk while their repository is away, first in,
 * first out, within a hard number of bytes.
 *
 * It is a folder of the file transport's segments (segment.h), with its writer and its reader, so a
 * torn tail is mended and damage counted as there. What was delivered goes away by whole segments,
 * from the oldest on; after a crash the rest of the oldest is handed out once more, in order, which
 * replicas do not mind. A value begins with the publication's tag (8 bytes, little-endian).
 *
 * A spool begins at offset SPOOL_BASE and not at 0, so that there is room in front: what a closing
 * publisher had in flight is older than what is here, and is put before it.
 *
 * What blocks: writing and fdatasync.
 *
 * Threads: belongs to one publisher.
 */
#ifndef REMED_REPOSITORY_SPOOL_H
#define REMED_REPOSITORY_SPOOL_H

#include "repository/file_reader.h"
#include "repository/file_writer.h"

#define REMED_SPOOL_TAG 8u /* bytes before the value */

/* Hears of one that was put in and that the disk did not take. */
typedef void (*remed_spool_fn)(void *context, uint64_t tag, int code);

struct remed_spool {
    int folder; /* -1: there is none */
    char path[1024];
    struct remed_crc crc;
    struct remed_transport_events events; /* of the writer */
    struct remed_file_writer writer;
    struct remed_file_reader reader;
    uint64_t done;      /* all below this offset were delivered */
    uint64_t inherited; /* what is below this came from an earlier publisher */
    uint64_t max_bytes;
    uint64_t complete_bytes; /* of the segments before the writer's */
    uint64_t counted;        /* the writer's segment when they were counted */
    uint64_t removable_at;   /* when `done` is here, the oldest of them can go */
    uint8_t *value;          /* where a tag and a value are put together */
    remed_spool_fn lost;     /* set after opening; called by process and close */
    void *context;           /* for `lost` */
    struct remed_allocator allocator;
};

int remed_spool_open(struct remed_spool *spool, const char *path, uint64_t max_bytes,
                     const struct remed_allocator *allocator, struct remed_error *error);
/* Appends. REMED_EBUSY when it is full, or the disk is. */
int remed_spool_put(struct remed_spool *spool, const struct remed_message *message, uint64_t tag,
                    struct remed_error *error);
/* The oldest that was not handed out yet, without its tag: 1, 0 when there is none, an error.
 * Valid until the next call. */
int remed_spool_next(struct remed_spool *spool, struct remed_message *message, uint64_t *tag);
/* All below this offset were delivered. */
void remed_spool_done(struct remed_spool *spool, uint64_t offset);
/* Writes, syncs and removes what is due. */
int remed_spool_process(struct remed_spool *spool, uint64_t now, struct remed_error *error);
uint64_t remed_spool_deadline(const struct remed_spool *spool);

static inline uint64_t remed_spool_waiting(const struct remed_spool *spool)
{
    return spool->folder >= 0 ? spool->writer.next_offset - spool->done : 0;
}

/* Nothing waits, and nothing that was delivered lies in its segment. */
static inline bool remed_spool_is_idle(const struct remed_spool *spool)
{
    return remed_spool_waiting(spool) == 0 && spool->writer.length == REMED_SEGMENT_HEADER &&
           spool->writer.used == 0;
}

/* Puts messages before all others: begin tells how many will come and their bytes at most, end
 * makes them last. Their tags end here: who finds them has another publisher's. */
struct remed_spool_front {
    uint8_t *bytes;
    size_t used, room;
    uint64_t first, next;
};
int remed_spool_front_begin(struct remed_spool *spool, struct remed_spool_front *front,
                            uint64_t count, size_t bytes);
void remed_spool_front_put(struct remed_spool *spool, struct remed_spool_front *front,
                           const struct remed_message *message);
int remed_spool_front_end(struct remed_spool *spool, struct remed_spool_front *front);

int remed_spool_close(struct remed_spool *spool, struct remed_error *error);

#endif
