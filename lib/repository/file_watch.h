/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When a reader looks again: where the system tells of changes in a folder (inotify, Linux), when
 * it does; else by time, from every 5 ms after something came to every 100 ms.
 *
 * The folder is watched from when the reader has read all there is, and then it looks once more; a
 * change is forgotten before the reader looks: so none is missed. Who reads once and closes does
 * not pay for a watch: letting go of one takes the kernel milliseconds.
 *
 * Threads: belongs to one transport.
 */
#ifndef REMED_REPOSITORY_FILE_WATCH_H
#define REMED_REPOSITORY_FILE_WATCH_H

#include "base/base.h"

struct remed_file_watch {
    int fd;          /* to be polled for input; -1: by time */
    bool is_on;      /* changes are told */
    bool has_failed; /* they can't be */
    uint64_t pause;  /* ns to the next look by time */
    uint64_t due_at; /* of that look */
    bool is_due;     /* at once */
    uint64_t heard; /* first offset of the newest segment heard of; UINT64_MAX: look for yourself */
};

void remed_file_watch_init(struct remed_file_watch *watch);
/* Opens the descriptor. False: only by time, for the reason in errno. */
bool remed_file_watch_open(struct remed_file_watch *watch, int folder);
/* Begins to watch, if it does not; the reader has to look after it. False as above. */
bool remed_file_watch_begin(struct remed_file_watch *watch, int folder);
/* Whether the reader is to look now. */
bool remed_file_watch_is_due(struct remed_file_watch *watch, uint64_t now);
/* The reader looked and has read all there is; `found`: there was something. */
void remed_file_watch_rest(struct remed_file_watch *watch, uint64_t now, bool found);
void remed_file_watch_end(struct remed_file_watch *watch);

static inline uint64_t remed_file_watch_deadline(const struct remed_file_watch *watch)
{
    return watch->is_due ? 0 : watch->due_at;
}

#endif
