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
#define REMED_KAFKA_CLUSTER 128u

/* What an error means: see verdict.c. */
enum remed_kafka_verdict {
    REMED_KAFKA_PASSES, /* by itself, whenever that is */
    REMED_KAFKA_STARTS, /* a starting cluster may say so: it passes within `start`, or is final */
    REMED_KAFKA_FINAL
};

struct remed_kafka_judgement {
    rd_kafka_resp_err_t code;
    enum remed_kafka_verdict verdict;
    int error; /* REMED_E…, when it is final */
};

/* What is in the way now, for trouble.c. */
struct remed_kafka_trouble {
    bool is;
    struct remed_kafka_judgement judgement;
    uint64_t since; /* of this verdict */
    char text[256]; /* without secrets */
};

/* A publication that waits for the topic, for hold.c. */
struct remed_kafka_held {
    struct remed_kafka_held *next;
    uint64_t tag;
    size_t key_length, value_length;
    uint8_t bytes[];
};

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
    bool begun;               /* the thread is to be joined */
    atomic_int count;         /* its answer; below 0 before */
    rd_kafka_resp_err_t code; /* why it is 0; read when the count is there, as is the cluster */
    char cluster[REMED_KAFKA_CLUSTER]; /* the cluster's id; "": it has none */
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
    uint64_t retry_at;    /* when partitions are asked for again */
    uint64_t now;         /* of the last process */
    uint64_t start;       /* how long a cluster may take to start, ns */
    uint64_t progress_at; /* when something was last delivered, handed out or answered */
    uint64_t pending;     /* publications without report */
    struct remed_kafka_held *held, *held_last;
    uint64_t held_bytes;
    struct remed_kafka_trouble trouble;
    rd_kafka_resp_err_t told; /* why publications were lost, as it was logged last */
    char *secrets;            /* values of properties, each with its NUL */
    size_t secrets_length;
    uint64_t reconnects, damaged;
    char damage[128];             /* the first; "" without */
    char fatal[REMED_KAFKA_TEXT]; /* "" while all is well */
    struct remed_allocator allocator;
};

/* Reads the URI into `kafka`, its conf included. */
int remed_kafka_configure(struct remed_kafka *kafka, const struct remed_uri *uri,
                          struct remed_error *error);
/* A client of a kind with its share of the settings; wakes the eventfd. */
int remed_kafka_make_producer(struct remed_kafka *kafka, struct remed_error *error);
int remed_kafka_make_consumer(struct remed_kafka *kafka, struct remed_error *error);
/* The topic is there: publications go to librdkafka from now on. */
int remed_kafka_open_topic(struct remed_kafka *kafka, struct remed_error *error);
/* Hands a message to librdkafka. */
rd_kafka_resp_err_t remed_kafka_produce(struct remed_kafka *kafka,
                                        const struct remed_message *message, uint64_t tag);
/* Reports a publication's end; logs why it was lost. */
void remed_kafka_report(struct remed_kafka *kafka, uint64_t tag, rd_kafka_resp_err_t code);
/* Has a queue wake the eventfd. */
void remed_kafka_wake_by(struct remed_kafka *kafka, rd_kafka_queue_t *queue);

/* What an error means. */
struct remed_kafka_judgement remed_kafka_judge(rd_kafka_resp_err_t code);

/* Notes what is in the way (`text` NULL: librdkafka's word for the code), and that it is not. */
void remed_kafka_note(struct remed_kafka *kafka, rd_kafka_resp_err_t code, const char *text);
void remed_kafka_clear(struct remed_kafka *kafka);
/* An error when a start takes longer than it may; and when that is to be looked at. */
int remed_kafka_check_start(const struct remed_kafka *kafka, struct remed_error *error);
uint64_t remed_kafka_start_deadline(const struct remed_kafka *kafka);
/* As remed_transport_waiting(). */
size_t remed_kafka_waiting(const struct remed_kafka *kafka, char *text, size_t size);

/* Keeps a publication until the topic is there; REMED_EBUSY without room. */
int remed_kafka_hold(struct remed_kafka *kafka, const struct remed_message *message, uint64_t tag,
                     struct remed_error *error);
void remed_kafka_produce_held(struct remed_kafka *kafka);
void remed_kafka_lose_held(struct remed_kafka *kafka);

/* Keeps a value that is to be in no message, unless the property is known to be no secret. */
int remed_kafka_keep_secret(struct remed_kafka *kafka, const char *name, const char *value,
                            struct remed_error *error);
void remed_kafka_forget_secrets(struct remed_kafka *kafka);
/* Copies what librdkafka or a broker said, without secrets and control characters. */
void remed_kafka_scrub(const struct remed_kafka *kafka, char *to, size_t size, const char *text);
/* A parameter's name where it may be shown. */
const char *remed_kafka_shown_name(const char *name);

/* Keeps a setting of a topic that is made. */
int remed_kafka_keep_config(struct remed_kafka *kafka, const char *name, const char *value,
                            struct remed_error *error);
/* Has the topic made; that it is there already is fine. Called by process until it is. */
int remed_kafka_make_topic(struct remed_kafka *kafka, uint64_t now, struct remed_error *error);
uint64_t remed_kafka_making_deadline(const struct remed_kafka *kafka);

/* How many partitions the topic has: 0 while that is not known. Does not block. */
int remed_kafka_partitions(struct remed_kafka *kafka, uint64_t now, struct remed_error *error);
/* When they are asked for. */
uint64_t remed_kafka_asking_deadline(const struct remed_kafka *kafka);
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
