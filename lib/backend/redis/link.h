/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection to the server, kept up: made without blocking, in the clear or over TLS, greeted
 * (AUTH, SELECT, SCRIPT LOAD), and made anew with a growing delay when it is lost or an answer does
 * not come in time. Its owner writes commands into `out`, tells how many answers it expects, and
 * takes replies; `session` tells it that a new connection knows nothing of the old one.
 *
 *     DOWN ─▶ CONNECTING ─▶ SECURING (TLS) ─▶ GREETING ─▶ READY
 *      ▲───────────┴──────────────┴──────────────┴──────────┘ lost: delay 100 ms to 2 s
 *
 * Threads: belongs to one transport.
 */
#ifndef REMED_BACKEND_REDIS_LINK_H
#define REMED_BACKEND_REDIS_LINK_H

#include "backend/redis/resp.h"
#include "backend/redis/tls.h"

#include <remediate/log.h>

/* Largest reply that is taken: a scan's step or some entries of the stream, each with values of 1
 * MiB. */
#define REMED_REDIS_REPLY_MOST ((size_t)64 << 20)

enum remed_redis_link_state {
    REMED_REDIS_DOWN,
    REMED_REDIS_CONNECTING,
    REMED_REDIS_SECURING,
    REMED_REDIS_GREETING,
    REMED_REDIS_READY
};

struct remed_redis_link {
    const struct remed_redis_options *options;
    const struct remed_redis_tls *tls;
    const char *script; /* to be loaded with each connection; NULL: none */
    char sha[41];       /* the server's name for it */
    struct remed_log log;
    int wake; /* the epoll that the host waits for */
    enum remed_redis_link_state state;
    int fd;
    SSL *ssl;
    short wanted, armed; /* poll's events: what TLS waits for; what epoll was told */
    unsigned attempt;    /* which of the host's addresses is next */
    unsigned greeted;    /* answers to the greeting so far */
    uint32_t awaited;    /* answers that are to come */
    bool more;           /* there is more to read at once */
    uint64_t session;    /* counts connections that got READY */
    uint64_t now, active_at, retry_at, delay;
    char why[128];     /* it is down; "" while it is not */
    char trouble[128]; /* the last `why`, until the owner had an answer that is good, and cleared it
                        */
    struct remed_redis_buffer in, out;
    struct remed_resp_scan scan;
};

void remed_redis_link_init(struct remed_redis_link *link, const struct remed_redis_options *options,
                           const struct remed_redis_tls *tls, int wake, const struct remed_log *log,
                           const struct remed_allocator *allocator);
void remed_redis_link_fini(struct remed_redis_link *link);

/* Gets on: connects, greets, sends, receives, gives up what takes too long. A lost connection is no
 * error; a refusal of ours or of the server's is, and is tried again after the delay. */
int remed_redis_link_process(struct remed_redis_link *link, uint64_t now,
                             struct remed_error *error);
/* Takes one whole reply: 1, 0 when there is none yet; REMED_EFORMAT or REMED_ELIMIT, and the
 * connection is dropped. The bytes are good until the link is processed again. */
int remed_redis_link_reply(struct remed_redis_link *link, struct remed_resp_cursor *reply,
                           struct remed_error *error);
/* A command was written into `out`. */
void remed_redis_link_expect(struct remed_redis_link *link);
/* Sends what the socket takes. */
void remed_redis_link_flush(struct remed_redis_link *link);
/* Lets go of the connection, to be made anew after the delay. */
void remed_redis_link_drop(struct remed_redis_link *link, const char *why);
/* Judges an error of the server's, drops the connection, and returns 0 for one that passes by
 * itself. */
int remed_redis_link_refused(struct remed_redis_link *link, const struct remed_resp_item *reply,
                             struct remed_error *error);
/* What it waits for and why, as snprintf does; 0 when it is all right. */
size_t remed_redis_link_waiting(const struct remed_redis_link *link, char *text, size_t size);
/* When it is due. */
uint64_t remed_redis_link_deadline(const struct remed_redis_link *link);

#endif
