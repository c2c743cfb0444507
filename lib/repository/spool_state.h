/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a spool remembers over restarts beside its records, in the file `spool-state` of its folder:
 * the repository that it belongs to, the sequences that were given out, and how far the repository
 * was read for them. A file of lines, written whole and synced, and ended by a checksum.
 *
 * Threads: belongs to one spool.
 */
#ifndef REMED_REPOSITORY_SPOOL_STATE_H
#define REMED_REPOSITORY_SPOOL_STATE_H

#include "repository/segment.h"

#define REMED_SPOOL_STATE "spool-state"
#define REMED_SPOOL_URI_MAX 2304u

struct remed_spool_state {
    char uri[REMED_SPOOL_URI_MAX]; /* without secrets; "": a new spool */
    char origin[65];               /* the publisher's */
    char waits[65];                /* that of what waits, where it is another; "": it is not */
    uint64_t epoch;                /* of `next` */
    uint64_t least;                /* what is restamped has this epoch at least */
    uint64_t next;                 /* all sequences given out are below */
    uint64_t
        base; /* sequences from here on were given out before the repository was read; 0: none */
    uint64_t shift; /* to be added to those */
    char *position; /* of the repository, NULL: none */
    size_t bytes;   /* of the file */
    struct remed_allocator allocator;
};

/* What of a URI tells one repository from another: no user, no password, of the parameters `db`. */
void remed_spool_identity(const char *uri, char *text, size_t size);
/* Reads; a state that is not there is an empty one. REMED_EFORMAT: damaged, or of a later version.
 */
int remed_spool_state_load(struct remed_spool_state *state, int folder, const char *path,
                           const struct remed_crc *crc, const struct remed_allocator *allocator,
                           struct remed_error *error);
/* REMED_EBUSY when the disk is full; others are final. The file stays as it was on failure. */
int remed_spool_state_save(struct remed_spool_state *state, int folder, const char *path,
                           const struct remed_crc *crc, struct remed_error *error);
/* Takes a copy; without memory there is none. */
void remed_spool_state_position(struct remed_spool_state *state, const char *position);
void remed_spool_state_end(struct remed_spool_state *state);

#endif
