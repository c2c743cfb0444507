/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making the topic when it is missing: compacted, with the partitions, the replication and the
 * settings that the URI says. Whoever comes first makes it, publisher or subscriber; that it is
 * there already is the common case. While the broker is away, or answers as one that starts, it is
 * asked again (verdict.c); what the broker refuses for good is an error of process and not a wait
 * without end.
 *
 * Threads: the transport's thread.
 */
#include "backend/kafka/kafka.h"

#include <stdio.h>

#define RETRY_NS (1000 * 1000000ull)

int remed_kafka_keep_config(struct remed_kafka *kafka, const char *name, const char *value,
                            struct remed_error *error)
{
    size_t left = sizeof kafka->topic_config - kafka->topic_config_used;
    size_t wanted = strlen(name) + strlen(value) + 2;
    if (*name == '\0' || wanted > left)
        return remed_error_set(error, REMED_EINVAL,
                               "kafka: config. wants a name, and %zu bytes of all at most",
                               sizeof kafka->topic_config);
    char *to = kafka->topic_config + kafka->topic_config_used;
    memcpy(to, name, strlen(name) + 1);
    memcpy(to + strlen(name) + 1, value, strlen(value) + 1);
    kafka->topic_config_used += wanted;
    return 0;
}

static int ask(struct remed_kafka *kafka, rd_kafka_t *client, struct remed_kafka_making *making,
               struct remed_error *error)
{
    char why[REMED_KAFKA_TEXT];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(kafka->topic, kafka->partitions, kafka->replication, why, sizeof why);
    if (topic == NULL) /* librdkafka's words are of its arguments: name, partitions, copies */
        return remed_error_set(error, REMED_EINVAL, "kafka: topic %.80s: %.120s", kafka->topic,
                               why);
    (void)rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "compact");
    const char *end = kafka->topic_config + kafka->topic_config_used;
    for (const char *name = kafka->topic_config, *value; name < end;
         name = value + strlen(value) + 1) {
        value = name + strlen(name) + 1;
        (void)rd_kafka_NewTopic_set_config(topic, name, value);
    }
    making->answers = rd_kafka_queue_new(client);
    remed_kafka_wake_by(kafka, making->answers);
    rd_kafka_CreateTopics(client, &topic, 1, NULL, making->answers);
    rd_kafka_NewTopic_destroy(topic);
    return 0;
}

static void warn(struct remed_kafka *kafka, const char *text)
{
    char message[REMED_KAFKA_TEXT];
    snprintf(message, sizeof message, "topic %.80s is not made: %.400s", kafka->topic, text);
    if (kafka->log.write != NULL)
        kafka->log.write(kafka->log.context, REMED_LOG_WARNING, "kafka", message);
}

/* What the broker says of it: done, to be asked again, or an error. */
static int judge(struct remed_kafka *kafka, struct remed_kafka_making *making,
                 rd_kafka_resp_err_t code, const char *text, struct remed_error *error)
{
    char shown[REMED_KAFKA_TEXT];
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        making->done = true;
        remed_kafka_clear(kafka);
        return 0;
    }
    remed_kafka_scrub(kafka, shown, sizeof shown, text != NULL ? text : rd_kafka_err2str(code));
    warn(kafka, shown);
    if (code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
        code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED) {
        making->done = true; /* it may well be there: using it tells */
        return 0;
    }
    struct remed_kafka_judgement judgement = remed_kafka_judge(code);
    if (judgement.verdict == REMED_KAFKA_FINAL)
        return remed_error_set(error, judgement.error, "kafka: topic %.80s is not made: %.120s",
                               kafka->topic, shown);
    if (judgement.verdict == REMED_KAFKA_STARTS || !kafka->trouble.is)
        remed_kafka_note(kafka, code, text);
    return 0;
}

static int take_answer(struct remed_kafka *kafka, struct remed_kafka_making *making, uint64_t now,
                       struct remed_error *error)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(making->answers, 0);
    size_t count = 0;
    if (event == NULL)
        return 0;
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
    const rd_kafka_topic_result_t *const *topics =
        result != NULL ? rd_kafka_CreateTopics_result_topics(result, &count) : NULL;
    int rc = count > 0 ? judge(kafka, making, rd_kafka_topic_result_error(topics[0]),
                               rd_kafka_topic_result_error_string(topics[0]), error)
                       : judge(kafka, making, RD_KAFKA_RESP_ERR__FAIL,
                               rd_kafka_event_error_string(event), error);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(making->answers);
    making->answers = NULL;
    making->retry_at = now + RETRY_NS;
    return rc;
}

int remed_kafka_make_topic(struct remed_kafka *kafka, uint64_t now, struct remed_error *error)
{
    rd_kafka_t *const clients[] = {kafka->producer, kafka->consumer};
    int rc = 0;
    for (unsigned i = 0; rc == 0 && i < 2; i++) {
        struct remed_kafka_making *making = &kafka->making[i];
        if (clients[i] == NULL || making->done)
            continue;
        if (making->answers != NULL)
            rc = take_answer(kafka, making, now, error);
        else if (now >= making->retry_at)
            rc = ask(kafka, clients[i], making, error);
    }
    return rc;
}

uint64_t remed_kafka_making_deadline(const struct remed_kafka *kafka)
{
    const rd_kafka_t *const clients[] = {kafka->producer, kafka->consumer};
    uint64_t due = UINT64_MAX;
    for (unsigned i = 0; i < 2; i++) {
        const struct remed_kafka_making *making = &kafka->making[i];
        if (clients[i] != NULL && !making->done && making->answers == NULL &&
            making->retry_at < due)
            due = making->retry_at;
    }
    return due;
}
