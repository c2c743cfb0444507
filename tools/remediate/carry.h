/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the commands on records share: clocks, transports driven until something happened, records
 * as lines, replicas filled from a URI or a file.
 *
 * Threads: one; the signal handler only sets a flag.
 */
#ifndef REMEDIATE_CARRY_H
#define REMEDIATE_CARRY_H

#include "waiting.h"

#include <remediate/json.h>

/* Set by SIGINT and SIGTERM. */
extern volatile int interrupted;
void catch_interrupts(void);

uint64_t real_ns(void);      /* since the Unix epoch */
uint64_t monotonic_ns(void); /* the transports' clock */

/* All drivers that there are; their warnings go to standard error. */
void add_drivers(struct remed_transport_opts *opts);
/* Opens a transport with all drivers; complains. NULL: it did. */
struct remed_transport *open_transport(const char *uri,
                                       const struct remed_transport_events *events);
/* Describes what a transport had to pass over; "" when nothing. */
#define DAMAGE_TEXT 1400u
void describe_damage(const struct remed_transport *transport, char text[DAMAGE_TEXT]);
/* Complains of a URI, without what may be secret. */
int fail_at(const char *uri, const char *message);
/* Waits until something is to be done, at most `most_ms`, and does it; EXIT_OK, or complains. */
int drive(struct remed_transport *transport, int most_ms);

/* How long a command waits for a server that is away, telling it. */
struct patience {
    uint64_t most;  /* ns at a stretch; UINT64_MAX: for ever */
    uint64_t since; /* it waits since then; 0: it does not */
    struct waiting waiting;
};
/* The same as drive(), and tells what it waits for; complains when that takes too long. */
int drive_telling(struct remed_transport *transport, struct patience *patience);

/* One JSON line. */
int print_record(FILE *out, const struct remed_record *record);

/* A replica of what a URI holds now, of a file that snapshot --output wrote, or of records ("-":
 * standard input). `position`: REMED_SNAPSHOT_POSITION_MAX + 1 bytes for that of a URI, or NULL.
 * With a mac the values of a URI must be signed; files are the host's own. A server that is away is
 * waited for `wait` ns at most, UINT64_MAX: for ever. Complains; but what was damaged and passed
 * over is only described in `damage`, for when its records are given. */
struct remed_replica *gather_replica(const char *where, uint32_t max_entries,
                                     const struct remed_mac *mac, uint64_t wait, char *position,
                                     char damage[DAMAGE_TEXT]);

#endif
