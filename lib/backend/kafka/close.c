/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Closing within a second, whatever the broker does.
 *
 * A producer's pending messages are purged. A member of a group tells the group that it goes, so
 * that another takes over at once; librdkafka waits five seconds for the answer, and no setting of
 * its own makes that less. So the consumer's sockets are ours: when the deadline has passed they
 * are shut down, librdkafka takes that for a lost connection, and ends. The group then finds out by
 * the session's timeout.
 *
 * Threads: closing is the transport's thread; sockets are made and closed by librdkafka's threads,
 * under a mutex.
 */
#include "backend/kafka/kafka.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLOSE_MS 1000
#define TURN_MS 10
#define BATCH 64u

static uint64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void remed_kafka_sockets_init(struct remed_kafka_sockets *sockets)
{
    pthread_mutex_init(&sockets->mutex, NULL);
    for (unsigned i = 0; i < REMED_KAFKA_SOCKETS; i++)
        sockets->open[i] = -1;
}

void remed_kafka_sockets_fini(struct remed_kafka_sockets *sockets)
{
    pthread_mutex_destroy(&sockets->mutex);
}

/* The first place that holds a number; NULL without one. */
static int *find(struct remed_kafka_sockets *sockets, int number)
{
    for (unsigned i = 0; i < REMED_KAFKA_SOCKETS; i++)
        if (sockets->open[i] == number)
            return &sockets->open[i];
    return NULL;
}

static int on_socket(int domain, int type, int protocol, void *opaque)
{
    struct remed_kafka_sockets *sockets = &((struct remed_kafka *)opaque)->sockets;
    int made = -1;
    pthread_mutex_lock(&sockets->mutex);
    int *place = find(sockets, -1);
    if (sockets->cut)
        errno = ECONNABORTED;
    else
        made = socket(domain, type | SOCK_CLOEXEC, protocol);
    if (place != NULL && made >= 0)
        *place = made; /* without a place it lives, and closing may take longer */
    pthread_mutex_unlock(&sockets->mutex);
    return made;
}

static int on_close_socket(int number, void *opaque)
{
    struct remed_kafka_sockets *sockets = &((struct remed_kafka *)opaque)->sockets;
    pthread_mutex_lock(&sockets->mutex);
    int *place = find(sockets, number);
    if (place != NULL)
        *place = -1;
    int rc = close(number);
    pthread_mutex_unlock(&sockets->mutex);
    return rc;
}

void remed_kafka_own_sockets(rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_socket_cb(conf, on_socket);
    rd_kafka_conf_set_closesocket_cb(conf, on_close_socket);
}

/* Ends all connections, and lets no other begin. */
static void cut(struct remed_kafka_sockets *sockets)
{
    pthread_mutex_lock(&sockets->mutex);
    sockets->cut = true;
    for (unsigned i = 0; i < REMED_KAFKA_SOCKETS; i++)
        if (sockets->open[i] >= 0)
            shutdown(sockets->open[i], SHUT_RDWR);
    pthread_mutex_unlock(&sockets->mutex);
}

void remed_kafka_close_producer(struct remed_kafka *kafka)
{
    uint64_t deadline = monotonic_ms() + CLOSE_MS;
    remed_kafka_lose_held(kafka);
    rd_kafka_purge(kafka->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_outq_len(kafka->producer) > 0 && monotonic_ms() < deadline)
        rd_kafka_poll(kafka->producer, TURN_MS);
    rd_kafka_queue_destroy(kafka->producer_queue);
    if (kafka->producer_topic != NULL)
        rd_kafka_topic_destroy(kafka->producer_topic);
    rd_kafka_destroy(kafka->producer);
}

/* Messages are thrown away, and the group's taking of partitions is answered. */
static void leave_group(struct remed_kafka *kafka)
{
    rd_kafka_message_t *messages[BATCH];
    uint64_t deadline = monotonic_ms() + CLOSE_MS;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka->consumer);
    rd_kafka_error_destroy(rd_kafka_consumer_close_queue(kafka->consumer, queue));
    while (!rd_kafka_consumer_closed(kafka->consumer) && monotonic_ms() < deadline) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, TURN_MS, messages, BATCH);
        for (ssize_t i = 0; i < count; i++)
            rd_kafka_message_destroy(messages[i]);
    }
    rd_kafka_queue_destroy(queue);
    if (!rd_kafka_consumer_closed(kafka->consumer))
        cut(&kafka->sockets);
}

void remed_kafka_close_consumer(struct remed_kafka *kafka)
{
    remed_kafka_stop_asking(kafka);
    if (kafka->group[0] != '\0')
        leave_group(kafka);
    rd_kafka_queue_destroy(kafka->consumer_queue);
    rd_kafka_destroy_flags(kafka->consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}
