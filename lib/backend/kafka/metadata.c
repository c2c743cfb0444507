/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many partitions the topic has. librdkafka's call for that blocks, for as long as a far broker
 * takes or a dead one is waited for, so a thread asks and process looks whether it knows.
 *
 * Threads: the transport's thread; ask() runs in one of its own, touches the consumer, the answer
 * and the eventfd alone, and is joined before any of them goes.
 */
#include "backend/kafka/kafka.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define ASK_MS 1000
#define RETRY_NS (100 * 1000000ull)
#define UNKNOWN (-1)
#define MAX_PARTITIONS 10000

/* It came with the metadata. */
static void ask_cluster(struct remed_kafka *kafka)
{
    char *cluster = rd_kafka_clusterid(kafka->consumer, ASK_MS);
    if (cluster != NULL)
        snprintf(kafka->asking.cluster, sizeof kafka->asking.cluster, "%s", cluster);
    rd_kafka_mem_free(kafka->consumer, cluster);
}

static int count_partitions(struct remed_kafka *kafka)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka->consumer, kafka->topic, NULL);
    int count = 0;
    kafka->asking.code = RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    if (topic == NULL)
        return 0;
    rd_kafka_resp_err_t code = rd_kafka_metadata(kafka->consumer, 0, topic, &metadata, ASK_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (metadata->topic_cnt == 1)
            code = metadata->topics[0].err;
        if (metadata->topic_cnt == 1 && code == RD_KAFKA_RESP_ERR_NO_ERROR)
            count = metadata->topics[0].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
        ask_cluster(kafka);
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka->asking.code = code;
    rd_kafka_topic_destroy(topic);
    return count <= MAX_PARTITIONS ? count : MAX_PARTITIONS;
}

static void *ask(void *context)
{
    static const uint64_t one = 1;
    struct remed_kafka *kafka = context;
    atomic_store(&kafka->asking.count, count_partitions(kafka));
    (void)!write(kafka->wake, &one, sizeof one);
    return NULL;
}

/* The host's signals are not for this thread. */
static int start(struct remed_kafka *kafka)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&kafka->asking.thread, NULL, ask, kafka);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

/* Whether what was noted says more than that nobody answered, or that the topic is not made yet. */
static bool knows_better(const struct remed_kafka *kafka)
{
    rd_kafka_resp_err_t code = kafka->asking.code;
    bool missing =
        code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    if (missing && !kafka->making[1].done)
        return true;
    return kafka->trouble.is && remed_kafka_judge(code).verdict == REMED_KAFKA_PASSES;
}

int remed_kafka_partitions(struct remed_kafka *kafka, uint64_t now, struct remed_error *error)
{
    if (!kafka->asking.begun) {
        if (now < kafka->retry_at)
            return 0;
        atomic_store(&kafka->asking.count, UNKNOWN);
        if (start(kafka) != 0)
            return remed_error_set(error, REMED_ENOMEM, "kafka: no thread to ask for partitions");
        kafka->asking.begun = true;
    }
    int count = atomic_load(&kafka->asking.count);
    if (count == UNKNOWN)
        return 0;
    remed_kafka_stop_asking(kafka);
    kafka->retry_at = now + RETRY_NS;
    if (count > 0)
        remed_kafka_clear(kafka);
    else if (!knows_better(kafka))
        remed_kafka_note(kafka, kafka->asking.code, NULL);
    return count;
}

void remed_kafka_stop_asking(struct remed_kafka *kafka)
{
    if (kafka->asking.begun)
        pthread_join(kafka->asking.thread, NULL);
    kafka->asking.begun = false;
}
