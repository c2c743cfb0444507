/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The consumer: which partitions it reads and from where, its messages, and when it has caught up.
 *
 * Without a group it reads all partitions, assigned by hand once the metadata tells how many there
 * are. In a group it reads its share, each partition from the beginning whenever it is gained, so a
 * dead member's share is taken over whole.
 *
 * Threads: the transport's thread.
 */
#include "backend/kafka/kafka.h"
#include "backend/kafka/position.h"

#include <stdio.h>

#define BATCH 256u

static int grow_shares(struct remed_kafka *kafka, uint32_t count)
{
    if (count <= kafka->share_count)
        return 0;
    void *grown =
        remed_reallocate(&kafka->allocator, kafka->shares,
                         kafka->share_count * sizeof *kafka->shares, count * sizeof *kafka->shares);
    if (grown == NULL)
        return REMED_ENOMEM;
    kafka->shares = grown;
    for (uint32_t i = kafka->share_count; i < count; i++)
        kafka->shares[i] = (struct remed_kafka_partition){.next = RD_KAFKA_OFFSET_BEGINNING};
    kafka->share_count = count;
    return 0;
}

void remed_kafka_forget_position(struct remed_kafka *kafka)
{
    if (kafka->from != NULL)
        remed_release(&kafka->allocator, kafka->from, strlen(kafka->from) + 1);
    kafka->from = NULL;
}

/* Where each partition is to begin. One that a position does not name begins at its beginning. */
static void place_shares(struct remed_kafka *kafka)
{
    bool at_end = strcmp(kafka->from, "end") == 0;
    const char *at = kafka->from;
    uint32_t partition;
    int64_t offset;
    for (uint32_t i = 0; i < kafka->share_count; i++)
        kafka->shares[i].next = at_end ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
    while (remed_kafka_read_place(&at, &partition, &offset)) {
        if (partition < kafka->share_count)
            kafka->shares[partition].next = offset;
        if (*at == '\0')
            break;
    }
}

static int assign_all(struct remed_kafka *kafka, uint64_t now, struct remed_error *error)
{
    int count = remed_kafka_partitions(kafka, now, error);
    if (count <= 0)
        return count; /* not known yet: no answer, no broker or no topic */
    if (grow_shares(kafka, (uint32_t)count) < 0)
        return remed_error_set(error, REMED_ENOMEM, "kafka: no memory for %d partitions", count);
    place_shares(kafka);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++) {
        kafka->shares[i].ours = true;
        rd_kafka_topic_partition_list_add(list, kafka->topic, i)->offset = kafka->shares[i].next;
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(kafka->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return remed_error_set(error, REMED_EIO, "kafka: %s", rd_kafka_err2str(code));
    kafka->assigned = true;
    remed_kafka_forget_position(kafka);
    return 1;
}

static int join_group(struct remed_kafka *kafka, struct remed_error *error)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, kafka->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(kafka->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    kafka->assigned = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    return kafka->assigned ? 0
                           : remed_error_set(error, REMED_EIO, "kafka: %s", rd_kafka_err2str(code));
}

static void share(struct remed_kafka *kafka, int32_t partition, bool gained)
{
    if (partition < 0)
        return;
    if (grow_shares(kafka, (uint32_t)partition + 1) < 0) {
        snprintf(kafka->fatal, sizeof kafka->fatal, "no memory for partition %d", (int)partition);
        return; /* process fails: a partition that is read by nobody would be lost silently */
    }
    kafka->shares[partition].ours = gained;
    kafka->shares[partition].caught_up = false;
    kafka->shares[partition].next = RD_KAFKA_OFFSET_BEGINNING;
    if (!kafka->closing) /* callbacks come from process alone */
        kafka->events.share(kafka->events.context, (uint32_t)partition, gained);
}

void remed_kafka_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
                           rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct remed_kafka *kafka = opaque;
    bool gained = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    bool cooperative = strcmp(rd_kafka_rebalance_protocol(client), "COOPERATIVE") == 0;
    for (int i = 0; i < list->cnt; i++) {
        list->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
        share(kafka, list->elems[i].partition, gained);
    }
    if (cooperative)
        rd_kafka_error_destroy(gained ? rd_kafka_incremental_assign(client, list)
                                      : rd_kafka_incremental_unassign(client, list));
    else
        rd_kafka_assign(client, gained ? list : NULL);
}

static void check_caught_up(struct remed_kafka *kafka)
{
    bool any = false;
    for (uint32_t i = 0; i < kafka->share_count; i++) {
        if (kafka->shares[i].ours && !kafka->shares[i].caught_up)
            return;
        any = any || kafka->shares[i].ours;
    }
    if (any && !kafka->caught_up) {
        kafka->caught_up = true;
        kafka->events.caught_up(kafka->events.context);
    }
}

static void take(struct remed_kafka *kafka, const rd_kafka_message_t *from)
{
    uint32_t partition = from->partition >= 0 ? (uint32_t)from->partition : UINT32_MAX;
    if (partition >= kafka->share_count || !kafka->shares[partition].ours)
        return; /* fetched before the group took the partition away */
    struct remed_kafka_partition *of = &kafka->shares[partition];
    if (from->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        of->next = from->offset;
        of->caught_up = true;
        check_caught_up(kafka);
        return;
    }
    of->next = from->offset + 1;
    const struct remed_message message = {.key = from->key,
                                          .value = from->len != 0 ? from->payload : NULL,
                                          .key_length = from->key_len,
                                          .value_length = from->len,
                                          .offset = (uint64_t)from->offset,
                                          .partition = partition};
    if (message.key_length != 0 && message.key_length <= REMED_TRANSPORT_KEY_MAX)
        kafka->events.message(kafka->events.context, &message);
}

/* Errors that pass by themselves are librdkafka's business. */
static int judge(const rd_kafka_message_t *message, struct remed_error *error)
{
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        return 1;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return remed_error_set(error, REMED_ENOENT, "kafka: the position is gone; begin anew");
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return remed_error_set(error, REMED_EPERM, "kafka: %s", rd_kafka_err2str(message->err));
    default:
        return 0;
    }
}

int remed_kafka_consume(struct remed_kafka *kafka, uint64_t now, struct remed_error *error)
{
    rd_kafka_message_t *messages[BATCH];
    int rc = 0;
    if (!kafka->assigned) {
        rc = kafka->group[0] != '\0' ? join_group(kafka, error) : assign_all(kafka, now, error);
        if (rc < 0)
            return rc;
    }
    ssize_t count = rd_kafka_consume_batch_queue(kafka->consumer_queue, 0, messages, BATCH);
    for (ssize_t i = 0; i < count; i++) {
        int verdict = rc < 0 ? 0 : judge(messages[i], error);
        if (verdict == 1)
            take(kafka, messages[i]);
        else if (verdict < 0)
            rc = verdict;
        rd_kafka_message_destroy(messages[i]);
    }
    return rc < 0 ? rc
                  : rc > 0 || count > 0; /* the eventfd speaks only of an empty queue filling */
}
