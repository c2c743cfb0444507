/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The writing half of the file transport: one process, held to that by a lock on the folder.
 *
 * Publications go into a buffer; process writes it out in one piece and syncs by the policy, and
 * only then are they delivered. A full disk is no failure: the file is cut back to its last whole
 * record, the rest of the buffer stays, and writing is tried again. A failed sync is one, since
 * nobody knows then what the disk has.
 *
 * A new segment is made beside and linked to its name: it appears with its header, and never in the
 * place of another file.
 *
 * Threads: one thread a writer.
 */
#ifndef REMED_REPOSITORY_FILE_WRITER_H
#define REMED_REPOSITORY_FILE_WRITER_H

#include "repository/segment.h"
#include "repository/tags.h"

enum remed_sync { REMED_SYNC_ALWAYS, REMED_SYNC_INTERVAL, REMED_SYNC_NEVER };

struct remed_file_writer {
    const struct remed_crc *crc;
    const struct remed_transport_events *events;
    const char *path;       /* the folder's, for messages; borrowed */
    int folder;             /* borrowed */
    int lock;               /* -1: not taken */
    int segment;            /* -1: not open */
    uint64_t first;         /* offset of the segment's first record */
    uint64_t length;        /* bytes of whole records in it, its header included */
    uint64_t next_offset;   /* of the next publication */
    uint64_t base;          /* where an empty folder begins */
    uint64_t segment_bytes; /* roll over beyond this */
    enum remed_sync sync;
    uint64_t interval; /* ns */
    uint64_t sync_at;  /* when the next sync is due; UINT64_MAX without need */
    uint64_t retry_at; /* after a full disk; 0 without */
    int full;          /* errno of the write that did not go */
    uint8_t *buffer;
    size_t used, room, max_bytes;
    uint32_t written; /* tags whose records are in the file, not synced */
    struct remed_tags tags;
    uint64_t cut;     /* bytes of a torn record that were cut off when it was opened */
    uint64_t damaged; /* bytes that are no record and were left where they are, when opened */
    uint64_t damaged_first, damaged_place; /* their segment, and where in it */
    struct remed_error failure;
    struct remed_allocator allocator;
};

/* Closed, and nothing of the host's in it. Whatever has a writer calls this first. */
void remed_file_writer_init(struct remed_file_writer *writer, const struct remed_crc *crc,
                            int folder, const struct remed_allocator *allocator);
/* Takes the lock and mends the end of the last segment. `path` is kept. REMED_EBUSY: another
 * process writes; REMED_EUNSUPPORTED: the last segment is of a newer version. */
int remed_file_writer_open(struct remed_file_writer *writer, const char *path,
                           struct remed_error *error);
int remed_file_writer_publish(struct remed_file_writer *writer, const struct remed_message *message,
                              uint64_t tag, struct remed_error *error);
int remed_file_writer_process(struct remed_file_writer *writer, uint64_t now,
                              struct remed_error *error);
/* Begins a new segment when all is written and synced; else, or without room, nothing happens now.
 */
void remed_file_writer_roll(struct remed_file_writer *writer, uint64_t now);
uint64_t remed_file_writer_deadline(const struct remed_file_writer *writer);
/* Tells what it waits for: a disk that takes nothing. As snprintf; 0 when for nothing. */
size_t remed_file_writer_waiting(const struct remed_file_writer *writer, char *text, size_t size);
/* Writes and syncs what is there, fails what can't be, and closes. */
int remed_file_writer_close(struct remed_file_writer *writer, struct remed_error *error);

#endif
