/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an origin published last: a second transport on the repository reads it through, or on from
 * a position, and the greatest (epoch, sequence) of the origin's records is kept. Nothing else of
 * the repository is, so memory is bounded however large it is.
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
    char *position;     /* REMED_RESUME_POSITION bytes: where it begins, then where it ended */
    uint64_t epoch, sequence; /* the greatest; 0 and 0: none */
    uint64_t read;
    unsigned tries;
    bool caught_up;
};

#define REMED_RESUME_POSITION 65537u

/* `position` NULL: from the beginning. What is not to be read any more is read from the beginning.
 */
int remed_resume_begin(struct remed_resume *resume, const char *uri,
                       const struct remed_transport_opts *opts, const char *origin,
                       const struct remed_mac *mac, const char *position,
                       struct remed_error *error);
/* 1: there is more to read, now or later; 0: all was read; an error: it can't be. */
int remed_resume_process(struct remed_resume *resume, uint64_t now, struct remed_error *error);
/* For people: what is read and how far, as snprintf; 0 when nothing is. */
size_t remed_resume_text(const struct remed_resume *resume, char *text, size_t size);
/* Lets go of all; the numbers stay. */
void remed_resume_end(struct remed_resume *resume);

#endif
