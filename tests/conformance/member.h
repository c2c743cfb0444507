/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A replica in a process of its own, for checks that kill it: it applies what its transport hands
 * out, lets go of partitions that it loses, shows its counters in shared memory, and saves a
 * snapshot on SIGUSR1. SIGTERM closes it in good order.
 *
 * A check's main begins with member_main(), as a member is the same program run again.
 */
#ifndef REMED_CONFORMANCE_MEMBER_H
#define REMED_CONFORMANCE_MEMBER_H

#include "conformance/live.h"

#include <stdatomic.h>
#include <sys/types.h>

/* What a member shows; it alone writes. */
struct member_counters {
    _Atomic uint64_t entries;    /* in its table */
    _Atomic uint64_t messages;   /* handed out to it */
    _Atomic uint64_t bytes;      /* of keys and values in them */
    _Atomic uint64_t stale;      /* messages that were no newer than the table */
    _Atomic uint64_t partitions; /* of its share; 0 without a group */
    _Atomic uint64_t released;   /* entries let go with partitions */
    _Atomic uint64_t caught_up;  /* live_now() when it had; 0 before */
    _Atomic uint64_t at_marker;  /* messages at that moment */
    _Atomic uint64_t bytes_at_marker;
    _Atomic uint64_t memory; /* that the full table took, bytes resident */
    _Atomic uint64_t saved;  /* snapshots so far */
};

struct member {
    pid_t process;
    uint64_t started; /* live_now() */
    char snapshot[128];
    struct member_counters *counters;
};

/* Runs as a member when the arguments say so, and ends then. */
void member_main(int argc, char **argv);

/* Starts one. With a snapshot at its path already, it goes on from there. */
void member_start(struct member *member, const char *uri, const char *folder, unsigned number,
                  uint32_t max_entries);
/* Has it write its snapshot, and applies that to a replica. */
void member_collect(struct member *member, struct remed_replica *into);
/* Ends it by SIGTERM or SIGKILL and waits for it; complains when SIGTERM ends in failure. */
void member_end(struct member *member, int signal_number);

#endif
