/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Making producer and consumer. The producer is idempotent and never gives a message up, as
 * the queue is bounded and back-pressure tells the host; what the URI says of librdkafka's
 * properties comes after our own.
 *
 * Threads: called from the transport's thread.
 */
#include "backend/kafka/kafka.h"

#include <stdio.h>

/* A message that no broker will ever take is told apart from one that this broker does not. */
static int code_of(rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return remed_kafka_judge(code).error == REMED_ELIMIT ? REMED_ELIMIT : REMED_EIO;
}

/* Once for each cause: the host counts. */
static void tell_loss(struct remed_kafka *kafka, rd_kafka_resp_err_t code)
{
    bool purged =
        code == RD_KAFKA_RESP_ERR__PURGE_QUEUE || code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
    char text[REMED_KAFKA_TEXT];
    if (code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
        code = RD_KAFKA_RESP_ERR__PURGE_QUEUE;
    if (code == kafka->told || kafka->log.write == NULL)
        return;
    kafka->told = code;
    snprintf(text, sizeof text, "publications to topic %.80s are lost: %.100s%s%.250s",
             kafka->topic, purged ? "closed before they were acknowledged" : rd_kafka_err2str(code),
             kafka->trouble.is ? "; " : "", kafka->trouble.is ? kafka->trouble.text : "");
    kafka->log.write(kafka->log.context, REMED_LOG_ERROR, "kafka", text);
}

void remed_kafka_report(struct remed_kafka *kafka, uint64_t tag, rd_kafka_resp_err_t code)
{
    kafka->pending--;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        tell_loss(kafka, code);
    else
        remed_kafka_clear(kafka);
    kafka->events.delivered(kafka->events.context, tag, code_of(code));
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct remed_kafka *kafka = opaque;
    (void)client;
    remed_kafka_report(kafka, (uint64_t)(uintptr_t)message->_private, message->err);
}

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct remed_kafka *kafka = opaque;
    char text[REMED_KAFKA_TEXT];
    remed_kafka_note(kafka, code, reason);
    kafka->reconnects += code == RD_KAFKA_RESP_ERR__TRANSPORT;
    if (code == RD_KAFKA_RESP_ERR__FATAL &&
        rd_kafka_fatal_error(client, text, sizeof text) != RD_KAFKA_RESP_ERR_NO_ERROR)
        remed_kafka_scrub(kafka, kafka->fatal, sizeof kafka->fatal, text);
}

/* librdkafka's messages come through its queue, so in the transport's thread. */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    struct remed_kafka *kafka = rd_kafka_opaque(client);
    char shown[REMED_KAFKA_TEXT];
    (void)facility;
    if (kafka->log.write == NULL)
        return;
    remed_kafka_scrub(kafka, shown, sizeof shown, text);
    /* An error of ours is what costs the host something: librdkafka tries again after its own. */
    if (level < REMED_LOG_WARNING)
        level = REMED_LOG_WARNING;
    kafka->log.write(kafka->log.context, (enum remed_log_level)level, "kafka", shown);
}

/* Settings that the URI did not make: ours are defaults. */
static void set_default(rd_kafka_conf_t *conf, const rd_kafka_conf_t *given, const char *name,
                        const char *value)
{
    char now[REMED_KAFKA_TEXT], stock[REMED_KAFKA_TEXT];
    size_t now_size = sizeof now, stock_size = sizeof stock;
    rd_kafka_conf_t *fresh = rd_kafka_conf_new();
    bool same = rd_kafka_conf_get(given, name, now, &now_size) == RD_KAFKA_CONF_OK &&
                rd_kafka_conf_get(fresh, name, stock, &stock_size) == RD_KAFKA_CONF_OK &&
                strcmp(now, stock) == 0;
    rd_kafka_conf_destroy(fresh);
    if (same || rd_kafka_conf_get(given, name, NULL, &now_size) == RD_KAFKA_CONF_UNKNOWN)
        (void)rd_kafka_conf_set(conf, name, value, NULL, 0);
}

static rd_kafka_conf_t *copy_conf(struct remed_kafka *kafka)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(kafka->conf);
    rd_kafka_conf_set_opaque(conf, kafka);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    return conf;
}

static int make(struct remed_kafka *kafka, rd_kafka_type_t type, rd_kafka_conf_t *conf,
                rd_kafka_t **client, struct remed_error *error)
{
    char shown[REMED_KAFKA_TEXT], why[REMED_KAFKA_TEXT];
    *client = rd_kafka_new(type, conf, why, sizeof why);
    if (*client == NULL) {
        rd_kafka_conf_destroy(conf);
        remed_kafka_scrub(kafka, shown, sizeof shown, why);
        return remed_error_set(error, REMED_EINVAL, "kafka: %.200s", shown);
    }
    rd_kafka_set_log_queue(*client, NULL);
    return 0;
}

void remed_kafka_wake_by(struct remed_kafka *kafka, rd_kafka_queue_t *queue)
{
    static const uint64_t one = 1;
    rd_kafka_queue_io_event_enable(queue, kafka->wake, &one, sizeof one);
}

int remed_kafka_make_producer(struct remed_kafka *kafka, struct remed_error *error)
{
    char number[32];
    rd_kafka_conf_t *conf = copy_conf(kafka);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    set_default(conf, kafka->conf, "enable.idempotence", "true");
    set_default(conf, kafka->conf, "message.timeout.ms", "0");
    set_default(conf, kafka->conf, "reconnect.backoff.max.ms", "1000");
    /* A topic that was just made is not missing before the time of a start has passed. */
    uint64_t start_ms = kafka->start / 1000000;
    snprintf(number, sizeof number, "%llu",
             (unsigned long long)(start_ms < 30000 ? 30000 : start_ms));
    set_default(conf, kafka->conf, "topic.metadata.propagation.max.ms", number);
    snprintf(number, sizeof number, "%u", kafka->max_pending);
    set_default(conf, kafka->conf, "queue.buffering.max.messages", number);
    uint64_t kilobytes = kafka->max_pending_bytes / 1024;
    snprintf(number, sizeof number, "%llu",
             (unsigned long long)(kilobytes < 2097151 ? kilobytes : 2097151));
    set_default(conf, kafka->conf, "queue.buffering.max.kbytes", number);
    int rc = make(kafka, RD_KAFKA_PRODUCER, conf, &kafka->producer, error);
    if (rc < 0)
        return rc;
    kafka->producer_queue = rd_kafka_queue_get_main(kafka->producer);
    remed_kafka_wake_by(kafka, kafka->producer_queue);
    return 0;
}

int remed_kafka_open_topic(struct remed_kafka *kafka, struct remed_error *error)
{
    kafka->producer_topic = rd_kafka_topic_new(kafka->producer, kafka->topic, NULL);
    if (kafka->producer_topic == NULL)
        return remed_error_set(error, REMED_EINVAL, "kafka: topic '%s': %s", kafka->topic,
                               rd_kafka_err2str(rd_kafka_last_error()));
    remed_kafka_produce_held(kafka);
    return 0;
}

int remed_kafka_make_consumer(struct remed_kafka *kafka, struct remed_error *error)
{
    rd_kafka_conf_t *conf = copy_conf(kafka);
    bool in_group = kafka->group[0] != '\0';
    (void)rd_kafka_conf_set(conf, "group.id", in_group ? kafka->group : "remediate", NULL, 0);
    (void)rd_kafka_conf_set(conf, "enable.partition.eof", "true", NULL, 0);
    (void)rd_kafka_conf_set(conf, "enable.auto.commit", "false", NULL, 0);
    set_default(conf, kafka->conf, "auto.offset.reset", "error");
    set_default(conf, kafka->conf, "fetch.error.backoff.ms", "50");
    set_default(conf, kafka->conf, "reconnect.backoff.max.ms", "1000");
    /* librdkafka rests for up to a second when its queue is full, so these bound the rate as well.
     */
    set_default(conf, kafka->conf, "queued.max.messages.kbytes", "32768");
    set_default(conf, kafka->conf, "queued.min.messages", "400000");
    if (in_group) {
        set_default(conf, kafka->conf, "partition.assignment.strategy", "cooperative-sticky");
        rd_kafka_conf_set_rebalance_cb(conf, remed_kafka_rebalance);
        remed_kafka_own_sockets(conf);
    }
    int rc = make(kafka, RD_KAFKA_CONSUMER, conf, &kafka->consumer, error);
    if (rc < 0)
        return rc;
    rd_kafka_poll_set_consumer(kafka->consumer);
    kafka->consumer_queue = rd_kafka_queue_get_consumer(kafka->consumer);
    remed_kafka_wake_by(kafka, kafka->consumer_queue);
    return 0;
}
