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
#define LOOK_NS (30 * REMED_NS_PER_S)        /* for partitions that were added */
#define TROUBLE_LOOK_NS (1 * REMED_NS_PER_S) /* whether trouble is over, where nothing comes */

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
    char cluster[REMED_KAFKA_NAME], topic[REMED_KAFKA_NAME];
    const char *at = remed_kafka_read_position(kafka->from, cluster, topic);
    uint32_t partition;
    int64_t offset;
    for (uint32_t i = 0; i < kafka->share_count; i++)
        kafka->shares[i].next = at_end ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
    while (at != NULL && remed_kafka_read_place(&at, &partition, &offset)) {
        if (partition < kafka->share_count)
            kafka->shares[partition].next = offset;
        if (*at == '\0')
            break;
    }
}

/* Hands librdkafka all partitions, each from where it is. */
static int assign_shares(struct remed_kafka *kafka, struct remed_error *error)
{
    int count = (int)kafka->share_count;
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
    return 1;
}

/* A topic of that name in another cluster is another topic. */
static int check_cluster(const struct remed_kafka *kafka, struct remed_error *error)
{
    char cluster[REMED_KAFKA_NAME], topic[REMED_KAFKA_NAME];
    if (remed_kafka_read_position(kafka->from, cluster, topic) == NULL || cluster[0] == '\0' ||
        kafka->asking.cluster[0] == '\0' || strcmp(cluster, kafka->asking.cluster) == 0)
        return 0;
    return remed_error_set(error, REMED_ENOENT,
                           "kafka: the position belongs to cluster %.60s, this is cluster %.60s; "
                           "begin anew",
                           cluster, kafka->asking.cluster);
}

static int assign_all(struct remed_kafka *kafka, uint64_t now, struct remed_error *error)
{
    int count = remed_kafka_partitions(kafka, now, error);
    if (count <= 0)
        return count; /* not known yet: no answer, no broker or no topic */
    int rc = check_cluster(kafka, error);
    if (rc < 0)
        return rc;
    if (grow_shares(kafka, (uint32_t)count) < 0)
        return remed_error_set(error, REMED_ENOMEM, "kafka: no memory for %d partitions", count);
    place_shares(kafka);
    rc = assign_shares(kafka, error);
    if (rc > 0)
        remed_kafka_forget_position(kafka);
    kafka->retry_at = now + LOOK_NS;
    return rc;
}

/* From the end, a partition's place is known when its end was seen. */
static bool is_placed(const struct remed_kafka *kafka)
{
    for (uint32_t i = 0; i < kafka->share_count; i++)
        if (kafka->shares[i].next == RD_KAFKA_OFFSET_END)
            return false;
    return true;
}

/* Looks for partitions that were added, which would be read by nobody, and whether trouble is over:
 * where no message comes nothing else tells. */
static int look_again(struct remed_kafka *kafka, uint64_t now, struct remed_error *error)
{
    bool in_group = kafka->group[0] != '\0';
    uint64_t soon = now + TROUBLE_LOOK_NS;
    if (kafka->trouble.is && kafka->retry_at > soon)
        kafka->retry_at = soon;
    if (!kafka->asking.begun && (now < kafka->retry_at || (in_group && !kafka->trouble.is)))
        return 0;
    int count = remed_kafka_partitions(kafka, now, error);
    if (kafka->asking.begun || count < 0)
        return count;
    kafka->retry_at = now + (kafka->trouble.is ? TROUBLE_LOOK_NS : LOOK_NS);
    if (in_group || count <= (int)kafka->share_count || !is_placed(kafka))
        return 0;
    if (grow_shares(kafka, (uint32_t)count) < 0)
        return remed_error_set(error, REMED_ENOMEM, "kafka: no memory for %d partitions", count);
    return assign_shares(kafka, error);
}

uint64_t remed_kafka_asking_deadline(const struct remed_kafka *kafka)
{
    bool asks =
        kafka->subscribes && !kafka->asking.begun && (kafka->group[0] == '\0' || kafka->trouble.is);
    if (!asks)
        return UINT64_MAX;
    uint64_t soon = kafka->now + TROUBLE_LOOK_NS;
    return kafka->trouble.is && soon < kafka->retry_at ? soon : kafka->retry_at;
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
    if (kafka->trouble.is)
        remed_kafka_clear(kafka);
    kafka->progress_at = kafka->now;
    if (from->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        of->next = from->offset;
        of->caught_up = true;
        check_caught_up(kafka);
        return;
    }
    if (from->offset < of->next)
        return; /* fetched before the partitions were handed over anew */
    of->next = from->offset + 1;
    const struct remed_message message = {.key = from->key,
                                          .value = from->len != 0 ? from->payload : NULL,
                                          .key_length = from->key_len,
                                          .value_length = from->len,
                                          .offset = (uint64_t)from->offset,
                                          .partition = partition};
    if (message.key_length != 0 && message.key_length <= REMED_TRANSPORT_KEY_MAX)
        kafka->events.message(kafka->events.context, &message);
    else if (kafka->damaged++ == 0)
        snprintf(kafka->damage, sizeof kafka->damage,
                 "topic %.60s, partition %u, offset %lld: a key of %zu bytes", kafka->topic,
                 partition, (long long)from->offset, from->key_len);
}

/* 1: a message or an end; 0: an error that may pass; or a final one. */
static int judge(struct remed_kafka *kafka, const rd_kafka_message_t *message,
                 struct remed_error *error)
{
    char shown[160];
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR ||
        message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return 1;
    struct remed_kafka_judgement judgement = remed_kafka_judge(message->err);
    if (judgement.verdict != REMED_KAFKA_FINAL) {
        remed_kafka_note(kafka, message->err, rd_kafka_message_errstr(message));
        return 0;
    }
    remed_kafka_scrub(kafka, shown, sizeof shown, rd_kafka_message_errstr(message));
    if (judgement.error == REMED_ENOENT)
        return remed_error_set(error, REMED_ENOENT, "kafka: the position is gone; begin anew");
    return remed_error_set(error, judgement.error, "kafka: topic %.80s, partition %d: %.120s",
                           kafka->topic, (int)message->partition, shown);
}

int remed_kafka_consume(struct remed_kafka *kafka, uint64_t now, struct remed_error *error)
{
    rd_kafka_message_t *messages[BATCH];
    int rc = 0;
    if (!kafka->assigned) {
        rc = kafka->group[0] != '\0' ? join_group(kafka, error) : assign_all(kafka, now, error);
    } else
        rc = look_again(kafka, now, error);
    if (rc < 0)
        return rc;
    ssize_t count = rd_kafka_consume_batch_queue(kafka->consumer_queue, 0, messages, BATCH);
    for (ssize_t i = 0; i < count; i++) {
        int verdict = rc < 0 ? 0 : judge(kafka, messages[i], error);
        if (verdict == 1)
            take(kafka, messages[i]);
        else if (verdict < 0)
            rc = verdict;
        rd_kafka_message_destroy(messages[i]);
    }
    return rc < 0 ? rc
                  : rc > 0 || count > 0; /* the eventfd speaks only of an empty queue filling */
}
