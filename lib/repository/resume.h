/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a publisher must go on behind: a second transport on the repository reads it through, or on
 * from a position. The greatest sequence of all records is kept, whatever their origin: records may
 * name an origin and leave their sequence to the publisher, and a key's records are compared across
 * origins. Epochs are raised by the publisher's own origin alone: another origin's greater epoch is
 * a switchover, which must not be undone by who comes back. Nothing else is kept, so memory is
 * bounded however large the repository is.
 *
 * A sequence above REMED_NUMBER_GIVEN_MAX counts in the publisher's epoch alone: behind such a one
 * there may be no other, and the next epoch goes on.
 *
 * With a mac only records whose signature holds count: a stranger must not be able to push our
 * numbers up.
 *
 * Threads: belongs to one publisher.
 */
#ifndef REMED_REPOSITORY_RESUME_H
#define REMED_REPOSITORY_RESUME_H

#include <remediate/sign.h>
#include <remediate/state.h>
#include <remediate/transport.h>
#include "base/base.h"

struct remed_resume {
    struct remed_transport *transport; /* NULL: nothing is read */
    struct remed_transport_opts opts;  /* to open it anew */
    const struct remed_transport_driver **drivers;
    struct remed_entropy entropy;
    struct remed_allocator allocator;
    struct remed_mac mac; /* compute NULL: signatures are not looked at */
    struct remed_record *record;
    char *uri;
    const char *origin; /* the publisher's */
    const char *waits;  /* another origin, of what waits; "": none */
    char *position;     /* REMED_RESUME_POSITION bytes: where it begins, then where it ended */
    uint64_t epoch;     /* the publisher's, raised by what its origin published */
    uint64_t least;     /* greatest epoch of records of `origin` and `waits`; 0: none */
    uint64_t low, high; /* greatest sequences, up to REMED_NUMBER_GIVEN_MAX and above; 0: none */
    uint64_t latest;    /* greatest epoch of all */
    uint64_t read;
    unsigned tries;
    bool caught_up;
};

#define REMED_RESUME_POSITION 65537u

/* Whose numbers: both texts stay where they are meanwhile. */
struct remed_resume_for {
    const char *origin, *waits;
    uint64_t epoch;
};

/* `position` NULL: from the beginning. What is not to be read any more is read from the beginning.
 */
int remed_resume_begin(struct remed_resume *resume, const char *uri,
                       const struct remed_transport_opts *opts, const struct remed_resume_for *whom,
                       const struct remed_mac *mac, const char *position,
                       struct remed_error *error);
/* 1: there is more to read, now or later; 0: all was read; an error: it can't be. */
int remed_resume_process(struct remed_resume *resume, uint64_t now, struct remed_error *error);
/* For people: what is read and how far, as snprintf; 0 when nothing is. */
size_t remed_resume_text(const struct remed_resume *resume, char *text, size_t size);
/* Lets go of all; the numbers stay. */
void remed_resume_end(struct remed_resume *resume);

#endif
