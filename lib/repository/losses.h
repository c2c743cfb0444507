/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records that a publisher lost: how many by each code, and the cause of the first of each in
 * words, so that no loss is told without one.
 *
 * Threads: belongs to one publisher.
 */
#ifndef REMED_REPOSITORY_LOSSES_H
#define REMED_REPOSITORY_LOSSES_H

#include "base/base.h"

#define REMED_LOSSES_MAX 6u

struct remed_loss {
    int code;
    uint64_t count;
    char cause[REMED_ERROR_MESSAGE_SIZE];
};

struct remed_losses {
    struct remed_loss of[REMED_LOSSES_MAX]; /* the last one takes what has no place of its own */
    unsigned kinds;
    uint64_t total;
};

/* `cause` may be NULL or "": the code's own words stand for it. */
void remed_losses_add(struct remed_losses *losses, int code, const char *cause);
/* The words for a code that has come without; later ones stay unheard. */
void remed_losses_explain(struct remed_losses *losses, int code, const char *cause);
/* "12 records were lost: 10 by …; 2 by …", cut to fit. Returns REMED_EIO. */
int remed_losses_tell(const struct remed_losses *losses, struct remed_error *error);

#endif
