/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the checks on live servers share: the drivers that there are, a loop that waits and
 * processes, numbered bindings, memory. What goes wrong here ends the check.
 */
#ifndef REMED_CONFORMANCE_LIVE_H
#define REMED_CONFORMANCE_LIVE_H

#include <remediate/repository.h>
#include <remediate/transport.h>
#include <stdbool.h>

#define LIVE_SECOND 1000000000ull

uint64_t live_now(void);  /* monotonic, ns: the transports' clock */
uint64_t live_real(void); /* ns since the Unix epoch */

/* Prints what is wrong and ends the check as failed. */
_Noreturn void live_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Sets what is to be the same for all transports of the checks: the drivers. */
void live_opts(struct remed_transport_opts *opts);
struct remed_transport *live_open(const char *uri, const struct remed_transport_opts *opts);
void live_subscribe(struct remed_transport *transport, const char *from);
/* Processes; waits before where there is nothing to do, at most so long. */
void live_drive(struct remed_transport *transport, int most_ms);

/* A replica of at most so many entries. */
struct remed_replica *live_replica(uint32_t max_entries);

/* The binding of a key, whose body tells the sequence. */
void live_binding(struct remed_record *record, uint32_t key, uint64_t sequence);
/* Publishes a record; what remed_transport_publish() returns, where it is no error but busy. */
int live_publish(struct remed_transport *transport, const struct remed_record *record,
                 uint64_t tag);

/* Bytes resident now, and at most so far. */
uint64_t live_memory(void);
uint64_t live_memory_peak(void);

/* Audits the second by the first and says what came of it; true when they are equal. */
bool live_audit(const char *name, const struct remed_replica *expected,
                const struct remed_replica *found);

#endif
