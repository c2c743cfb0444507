/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Publications that wait for the topic to be made. librdkafka gets none before: a broker that makes
 * topics by itself would make this one by its own settings, not compacted, and what it answers
 * while the cluster starts (no brokers for the replication factor) would fail all that is in the
 * queue.
 *
 * Threads: the transport's thread.
 */
#include "backend/kafka/kafka.h"

static size_t room_of(const struct remed_kafka_held *held)
{
    return sizeof *held + held->key_length + held->value_length;
}

int remed_kafka_hold(struct remed_kafka *kafka, const struct remed_message *message, uint64_t tag,
                     struct remed_error *error)
{
    size_t bytes = message->key_length + message->value_length;
    if (kafka->held_bytes + bytes > kafka->max_pending_bytes)
        return remed_error_set(error, REMED_EBUSY, "kafka: the queue is full%s%.160s",
                               kafka->trouble.is ? ": " : "",
                               kafka->trouble.is ? kafka->trouble.text : "");
    struct remed_kafka_held *held = remed_allocate(&kafka->allocator, sizeof *held + bytes);
    if (held == NULL)
        return remed_error_set(error, REMED_EBUSY, "kafka: no memory for the message");
    held->tag = tag;
    held->key_length = message->key_length;
    held->value_length = message->value_length;
    memcpy(held->bytes, message->key, message->key_length);
    if (message->value_length > 0)
        memcpy(held->bytes + message->key_length, message->value, message->value_length);
    if (kafka->held_last != NULL)
        kafka->held_last->next = held;
    else
        kafka->held = held;
    kafka->held_last = held;
    kafka->held_bytes += bytes;
    return 0;
}

static void let_go(struct remed_kafka *kafka)
{
    struct remed_kafka_held *held = kafka->held;
    kafka->held = held->next;
    if (kafka->held == NULL)
        kafka->held_last = NULL;
    kafka->held_bytes -= held->key_length + held->value_length;
    remed_release(&kafka->allocator, held, room_of(held));
}

void remed_kafka_produce_held(struct remed_kafka *kafka)
{
    while (kafka->held != NULL) {
        struct remed_kafka_held *held = kafka->held;
        const struct remed_message message = {.key = held->bytes,
                                              .value = held->bytes + held->key_length,
                                              .key_length = held->key_length,
                                              .value_length = held->value_length};
        rd_kafka_resp_err_t code = remed_kafka_produce(kafka, &message, held->tag);
        uint64_t tag = held->tag;
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return;
        let_go(kafka);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            remed_kafka_report(kafka, tag, code);
    }
}

void remed_kafka_lose_held(struct remed_kafka *kafka)
{
    while (kafka->held != NULL) {
        uint64_t tag = kafka->held->tag;
        let_go(kafka);
        remed_kafka_report(kafka, tag, RD_KAFKA_RESP_ERR__PURGE_QUEUE);
    }
}
