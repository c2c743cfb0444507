/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Kafka transport from within: a producer made with the first publication, a consumer made by
 * the subscription, and one eventfd that both wake.
 *
 * Threads: one thread a transport; librdkafka's own threads only fill its queues and the eventfd,
 * and make and close a group member's sockets.
 */
#ifndef REMED_BACKEND_KAFKA_H
#define REMED_BACKEND_KAFKA_H

#include <remediate/kafka.h>
#include "base/base.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

#define REMED_KAFKA_TEXT 512u
#define REMED_KAFKA_SOCKETS 256u

struct remed_kafka_partition {
    int64_t next;   /* offset of the next message, or where to begin */
    bool ours;      /* handed to us by the group, or by assignment */
    bool caught_up; /* the end was reached once */
};

/* A group member's connections, for close.c. */
struct remed_kafka_sockets {
    pthread_mutex_t mutex;
    int open[REMED_KAFKA_SOCKETS]; /* -1: free */
    bool cut;                      /* no other is made */
};

/* Asking for the number of partitions, for metadata.c. */
struct remed_kafka_asking {
    pthread_t thread;
    bool begun;       /* the thread is to be joined */
    atomic_int count; /* its answer; below 0 before */
};

/* One client's asking for the topic to be made. */
struct remed_kafka_making {
    rd_kafka_queue_t *answers; /* NULL: not asked now */
    uint64_t retry_at;
    bool done;
};

struct remed_kafka {
    char servers[1024];
    char topic[256];
    char group[256];
    char origin[256]; /* "": not told */
    bool headers;     /* messages carry them */
    int partitions,
        replication;       /* for a topic that is made; replication -1: the broker's default */
    rd_kafka_conf_t *conf; /* what the URI and the file say; copied for each client */
    rd_kafka_t *producer, *consumer;
    rd_kafka_topic_t *producer_topic;
    struct remed_kafka_sockets sockets;
    struct remed_kafka_asking asking;
    rd_kafka_queue_t *producer_queue, *consumer_queue;
    struct remed_kafka_making making[2]; /* by producer and by consumer */
    char topic_config[2048];             /* for a topic that is made: name, NUL, value, NUL, … */
    size_t topic_config_used;
    int wake; /* eventfd */
    struct remed_transport_events events;
    struct remed_log log;
    char *from; /* the subscription's, until partitions are assigned; NULL without */
    bool subscribes, assigned, caught_up, closing;
    struct remed_kafka_partition *shares;
    uint32_t share_count;
    uint32_t max_pending;
    uint64_t max_pending_bytes;
    uint64_t retry_at; /* when partitions are asked for again */
    uint64_t reconnects;
    char fatal[REMED_KAFKA_TEXT]; /* "" while all is well */
    struct remed_allocator allocator;
};

/* Reads the URI into `kafka`, its conf included. */
int remed_kafka_configure(struct remed_kafka *kafka, const struct remed_uri *uri,
                          struct remed_error *error);
/* A client of a kind with its share of the settings; wakes the eventfd. */
int remed_kafka_make_producer(struct remed_kafka *kafka, struct remed_error *error);
int remed_kafka_make_consumer(struct remed_kafka *kafka, struct remed_error *error);
/* Has a queue wake the eventfd. */
void remed_kafka_wake_by(struct remed_kafka *kafka, rd_kafka_queue_t *queue);

/* Keeps a setting of a topic that is made. */
int remed_kafka_keep_config(struct remed_kafka *kafka, const char *name, const char *value,
                            struct remed_error *error);
/* Has the topic made; that it is there already is fine. Called by process until it is. */
int remed_kafka_make_topic(struct remed_kafka *kafka, uint64_t now, struct remed_error *error);
uint64_t remed_kafka_making_deadline(const struct remed_kafka *kafka);

/* How many partitions the topic has: 0 while that is not known. Does not block. */
int remed_kafka_partitions(struct remed_kafka *kafka, uint64_t now, struct remed_error *error);
/* Waits for the thread that asks, a second at most. */
void remed_kafka_stop_asking(struct remed_kafka *kafka);
/* Lets go of the text of `from`. */
void remed_kafka_forget_position(struct remed_kafka *kafka);
/* The consumer's part of process: 1 when there is more at once. */
int remed_kafka_consume(struct remed_kafka *kafka, uint64_t now, struct remed_error *error);
/* The group gave and took partitions. */
void remed_kafka_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
                           rd_kafka_topic_partition_list_t *list, void *opaque);

void remed_kafka_sockets_init(struct remed_kafka_sockets *sockets);
void remed_kafka_sockets_fini(struct remed_kafka_sockets *sockets);
/* Has a client make its sockets by us. */
void remed_kafka_own_sockets(rd_kafka_conf_t *conf);
/* Both take a second at most each, whatever the broker does. */
void remed_kafka_close_producer(struct remed_kafka *kafka);
void remed_kafka_close_consumer(struct remed_kafka *kafka);

#endif
