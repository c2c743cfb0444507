/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both sides of the Kafka benchmarks behind one shape: our transport, and a bare librdkafka
 * producer and consumer with the same settings. REMED_KAFKA is the broker, "host:port".
 */
#ifndef REMED_KAFKA_ENDS_H
#define REMED_KAFKA_ENDS_H

#include <librdkafka/rdkafka.h>
#include <remediate/transport.h>
#include <stdatomic.h>
#include <stdbool.h>

struct bench_publisher {
    bool ours;
    bool headers;                      /* those that are our default */
    struct remed_transport *transport; /* ours */
    rd_kafka_t *client;                /* theirs */
    rd_kafka_topic_t *topic;
    uint64_t delivered;
};

struct bench_subscriber {
    bool ours;
    struct remed_transport *transport;
    rd_kafka_t *client;
    void (*message)(void *context, const uint8_t *value, size_t length);
    void *context;
};

/* Makes a topic of so many partitions, or deletes it; exits when the broker says no. */
void bench_make_topic(const char *topic, int partitions);
void bench_delete_topic(const char *topic);

void bench_open_publisher(struct bench_publisher *publisher, const char *topic, unsigned linger_ms);
/* Takes one record, waiting out a full queue. */
void bench_publish(struct bench_publisher *publisher, const uint8_t *key, size_t key_length,
                   const uint8_t *value, size_t value_length);
/* Takes delivery reports, waiting at most so long for one. */
void bench_serve_publisher(struct bench_publisher *publisher, int most_ms);
void bench_close_publisher(struct bench_publisher *publisher);

/* Reads all partitions from the beginning. */
void bench_open_subscriber(struct bench_subscriber *subscriber, const char *topic, int partitions);
/* Hands out what has come, waiting at most so long for it. */
void bench_serve_subscriber(struct bench_subscriber *subscriber, int most_ms);
void bench_close_subscriber(struct bench_subscriber *subscriber);

/* Monotonic, ns. */
uint64_t bench_clock(void);

#endif
