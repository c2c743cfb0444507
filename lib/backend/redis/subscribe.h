/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Subscribing. From the beginning: the id of the last entry (the start), then a scan of the newest
 * values up to the start, then the stream behind it; so each key's values come in order, since what
 * is newer than the start comes by the stream alone. The scan's end is marked by the id that is
 * the last then: the subscriber has caught up when the stream was read to there, whatever changed
 * while it scanned. From the end or a position there is no scan.
 *
 *     START ─▶ SCAN ─▶ MARK ─▶ READ        end: START ─▶ READ      position: MARK ─▶ READ
 *
 * Every entry names its predecessor. When that is another than the last that was seen, entries were
 * trimmed away unseen, or the server lost some: an error, never a silent jump.
 *
 * On each connection the stream's id is asked for first: when it is another than before, or than
 * the position names, the stream was made anew, and that is an error too.
 *
 * A lost connection begins a scan again, with the same start, and goes on with the stream where it
 * was: whole entries are handed out or none of them.
 *
 * Threads: belongs to one transport.
 */
#ifndef REMED_BACKEND_REDIS_SUBSCRIBE_H
#define REMED_BACKEND_REDIS_SUBSCRIBE_H

#include "backend/redis/link.h"
#include "backend/redis/position.h"

enum remed_redis_reading {
    REMED_REDIS_NOT,
    REMED_REDIS_START,
    REMED_REDIS_SCAN,
    REMED_REDIS_MARK,
    REMED_REDIS_READ
};

/* How much to ask for at once, by what came of it. */
struct remed_redis_pace {
    uint32_t count, most;
};

struct remed_redis_subscriber {
    struct remed_redis_link link;
    const struct remed_redis_options *options;
    struct remed_transport_events events;
    enum remed_redis_reading reading;
    bool from_end, caught_up, asked;
    bool identified; /* the server was asked which stream this is, on this connection */
    bool renamed;    /* and once more on it, when the first entries came to a stream without id */
    char identity[REMED_REDIS_IDENTITY + 1]; /* which stream this is; "": not known */
    uint64_t session;                        /* the link's, of what was asked */
    struct remed_redis_id start, mark;
    struct remed_redis_id seen; /* last entry handed out: the next one's predecessor */
    struct remed_redis_id at;   /* where to read on: `seen`, or what is not ours behind it */
    char cursor[24];            /* of the scan */
    struct remed_redis_pace pace;
    uint64_t damaged;
    char damage[160];              /* the first; "" without */
    char newest[300], id_key[300]; /* keys on the server */
    char lost[200];                /* it can't go on: entries are gone; "" while it can */
};

void remed_redis_subscriber_init(struct remed_redis_subscriber *subscriber);
void remed_redis_subscriber_fini(struct remed_redis_subscriber *subscriber);
int remed_redis_subscriber_begin(struct remed_redis_subscriber *subscriber, const char *from,
                                 struct remed_error *error);
/* Asks, and hands out what comes: 1 when there is more at once. */
int remed_redis_subscriber_process(struct remed_redis_subscriber *subscriber, uint64_t now,
                                   struct remed_error *error);
/* The part of it behind the link's. */
int remed_redis_subscriber_run(struct remed_redis_subscriber *subscriber,
                               struct remed_error *error);
uint64_t remed_redis_subscriber_deadline(const struct remed_redis_subscriber *subscriber);
size_t remed_redis_subscriber_position(const struct remed_redis_subscriber *subscriber, char *text,
                                       size_t size);

/* hand_out.c: takes a reply of HSCAN or of XREAD (which is not nil). 0; REMED_EFORMAT when it has
 * another form; REMED_ENOENT with `lost` set. */
int remed_redis_take_scan(struct remed_redis_subscriber *subscriber,
                          struct remed_resp_cursor *reply, struct remed_error *error);
int remed_redis_take_entries(struct remed_redis_subscriber *subscriber,
                             struct remed_resp_cursor *reply, struct remed_error *error);
/* Notes that it can't go on, in words for people. */
int remed_redis_lose(struct remed_redis_subscriber *subscriber, struct remed_redis_id next,
                     struct remed_error *error);

static inline int remed_redis_id_compare(struct remed_redis_id a, struct remed_redis_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return a.sequence < b.sequence ? -1 : a.sequence > b.sequence;
}

#endif
