/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Publishing: publications gather in batches, a batch is one EVALSHA, and some batches are under
 * way at a time. A script, since it does at once what must not be torn apart: the entry in the
 * stream, the newest value of each key, and the number of the batch, by which a batch that is sent
 * again after a lost connection is done once.
 *
 * Batches are numbered from 1. The oldest one without an answer is sent as `first`: it is done when
 * its number is beyond the last that was. Those behind it are done only right behind their
 * predecessor, so that none overtakes one that failed.
 *
 *     first ─▶ under way ─▶ unsent ─▶ last: open, still gathering       spare: used, to be used
 * again
 *
 * Threads: belongs to one transport.
 */
#ifndef REMED_BACKEND_REDIS_PUBLISH_H
#define REMED_BACKEND_REDIS_PUBLISH_H

#include "backend/redis/link.h"
#include "repository/tags.h"

struct remed_redis_batch {
    struct remed_redis_batch *next;
    uint64_t number;
    uint64_t bytes; /* of keys and values */
    uint32_t count;
    bool closed;                    /* sent once: what is in it stays so */
    struct remed_redis_buffer body; /* keys and values as the command has them */
};

struct remed_redis_publisher {
    struct remed_redis_link link;
    const struct remed_redis_options *options;
    struct remed_transport_events events;
    struct remed_tags tags;
    struct remed_redis_batch *first, *unsent, *last, *spare;
    uint32_t under_way;
    uint64_t session; /* the link's, of what is under way */
    uint64_t next_number;
    uint64_t renew_at; /* when the number's expiry on the server is put off again */
    uint64_t pending_bytes, max_pending_bytes;
    bool wanted;                                   /* something was published once */
    char newest[300], id_key[300], publisher[340]; /* keys on the server */
    struct remed_allocator allocator;
};

int remed_redis_publisher_init(struct remed_redis_publisher *publisher, uint32_t max_pending,
                               struct remed_error *error);
void remed_redis_publisher_fini(struct remed_redis_publisher *publisher);
int remed_redis_publisher_take(struct remed_redis_publisher *publisher,
                               const struct remed_message *message, uint64_t tag,
                               struct remed_error *error);
/* Takes answers and sends batches: 1 when there is more at once. */
int remed_redis_publisher_process(struct remed_redis_publisher *publisher, uint64_t now,
                                  struct remed_error *error);
/* The part of it behind the link's: answers that have come, batches to send. */
int remed_redis_publisher_run(struct remed_redis_publisher *publisher, struct remed_error *error);
uint64_t remed_redis_publisher_deadline(const struct remed_redis_publisher *publisher);
/* Reports all that has no answer as failed. */
void remed_redis_publisher_give_up(struct remed_redis_publisher *publisher);

#endif
