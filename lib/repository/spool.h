/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The publisher's spool: publications that wait on a disk while their repository is away, first in,
 * first out, within a hard number of bytes.
 *
 * It is a folder of the file transport's segments (segment.h), with its writer and its reader, so a
 * torn tail is mended and damage counted as there. What was delivered goes away by whole segments,
 * from the oldest on; after a crash the rest of the oldest is handed out once more, in order, which
 * replicas do not mind. A value begins with the publication's tag (8 bytes, little-endian) and a
 * byte that tells which of the record's numbers the publisher filled in. Spools of before have the
 * tag alone: the record's first byte is 0x80 or above there, as it is an array of MessagePack.
 *
 * A spool begins at offset SPOOL_BASE and not at 0, so that there is room in front: what a closing
 * publisher had in flight is older than what is here, and is put before it. Only a publisher whose
 * spool was idle has anything in flight that is not here, so a front always lies before the segment
 * that the writer began then: fronts do not add up, and the room in front is never used up.
 *
 * The bound is on what the folder holds in any moment, each file rounded up to a block: segments,
 * the buffer that is to be written, the next segment's header, the state, the folder itself, and
 * what is in flight and may have to be put in front (remed_spool_reserve()).
 *
 * The folder is 0700 and its files are 0600. What else lies in it is left alone.
 *
 * What blocks: writing and fdatasync.
 *
 * Threads: belongs to one publisher.
 */
#ifndef REMED_REPOSITORY_SPOOL_H
#define REMED_REPOSITORY_SPOOL_H

#include "repository/file_reader.h"
#include "repository/file_writer.h"
#include "repository/spool_state.h"

#define REMED_SPOOL_TAG 8u
#define REMED_SPOOL_HEAD (REMED_SPOOL_TAG + 1u) /* bytes before the value */

/* Which numbers of a record that waits are the publisher's and not the host's. */
enum remed_filled {
    REMED_FILLED_SEQUENCE = 1,
    REMED_FILLED_EPOCH = 2,
    REMED_FILLED_UNKNOWN = 4 /* it comes from a spool of before; never written */
};

/* Hears of one that was put in and that the disk did not take, and why. */
typedef void (*remed_spool_fn)(void *context, uint64_t tag, int code, const char *cause);

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
    uint64_t front_bytes;    /* what is in flight directly, as a front would have it */
    bool refused;            /* the last one that came found no room */
    uint8_t *value;          /* where a head and a value are put together */
    struct remed_spool_state state;
    remed_spool_fn lost; /* set after opening; called by process and close */
    void *context;       /* for `lost` */
    struct remed_allocator allocator;
};

/* As none is open: no member is taken for a descriptor. */
void remed_spool_init(struct remed_spool *spool);
/* `uri`: the repository. A spool in which something waits for another one is refused. */
int remed_spool_open(struct remed_spool *spool, const char *path, const char *uri,
                     uint64_t max_bytes, const struct remed_allocator *allocator,
                     struct remed_error *error);
/* Writes the state down; errors as remed_spool_state_save(). */
int remed_spool_save(struct remed_spool *spool, struct remed_error *error);
/* Keeps room for a message that is to go directly, and lets go of it. */
int remed_spool_reserve(struct remed_spool *spool, size_t key_length, size_t value_length,
                        struct remed_error *error);
void remed_spool_unreserve(struct remed_spool *spool, size_t key_length, size_t value_length);
/* Appends. REMED_EBUSY when it is full, or the disk is. */
int remed_spool_put(struct remed_spool *spool, const struct remed_message *message, uint64_t tag,
                    unsigned filled, struct remed_error *error);
/* The oldest that was not handed out yet, without its head: 1, 0 when there is none, an error.
 * Valid until the next call. */
int remed_spool_next(struct remed_spool *spool, struct remed_message *message, uint64_t *tag,
                     unsigned *filled);
/* Hands out from the oldest on once more; only before anything was done with. */
int remed_spool_rewind(struct remed_spool *spool, struct remed_error *error);
/* All below this offset were delivered. */
void remed_spool_done(struct remed_spool *spool, uint64_t offset);
/* For people: that it is full, or its disk is, as snprintf; 0 when neither. */
size_t remed_spool_trouble(const struct remed_spool *spool, char *text, size_t size);
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
 * makes them last, as many from the first on as the disk takes: *kept. Their tags end here: who
 * finds them has another publisher's. */
struct remed_spool_front {
    uint8_t *bytes;
    size_t used, room;
    uint64_t first, next;
};
/* What a closing left that was cut short. */
void remed_spool_front_clear(struct remed_spool *spool);
int remed_spool_front_begin(struct remed_spool *spool, struct remed_spool_front *front,
                            uint64_t count, size_t bytes, struct remed_error *error);
void remed_spool_front_put(struct remed_spool *spool, struct remed_spool_front *front,
                           const struct remed_message *message, unsigned filled);
int remed_spool_front_end(struct remed_spool *spool, struct remed_spool_front *front,
                          uint64_t *kept, struct remed_error *error);

/* Within: the first offset that is there; a message with its head before the value. */
int remed_spool_oldest(struct remed_spool *spool, uint64_t *first, struct remed_error *error);
struct remed_message remed_spool_with_head(struct remed_spool *spool,
                                           const struct remed_message *message, uint64_t tag,
                                           unsigned filled);

int remed_spool_close(struct remed_spool *spool, struct remed_error *error);

#endif
