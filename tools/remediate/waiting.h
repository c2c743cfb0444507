/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Waiting, told: what a command waits for goes to standard error after a second, once, and again
 * when it changes; so does its end. Whoever looks at the screen knows for whom, why and until when.
 *
 * Threads: one.
 */
#ifndef REMEDIATE_WAITING_H
#define REMEDIATE_WAITING_H

#include "tool.h"

#define WAITING_TEXT 600

struct waiting {
    char who[WAITING_TEXT];  /* the URI, without secrets */
    char said[WAITING_TEXT]; /* what was told last; "": nothing, or its end */
    uint64_t since;          /* it waits since then; 0: it does not */
    uint64_t said_at;
    uint64_t clear_since; /* what was told is over since then; 0: it is not */
};

void waiting_init(struct waiting *waiting, const char *uri);
/* To be called each turn, once a second at least. `text` is what is waited for, "" when nothing is;
 * `until` is when the waiting is given up, on the clock of `now`, UINT64_MAX: never. */
void waiting_look(struct waiting *waiting, const char *text, uint64_t until, uint64_t now);
/* The work is done: what was told is over, unless it still holds. */
void waiting_end(struct waiting *waiting);

#endif
