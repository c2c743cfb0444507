/* SPDX-License-Identifier: BSD-3-Clause */
/* The two sides of kafka_ends.h. */
#include "bench/kafka_ends.h"

#include <poll.h>
#include <remediate/kafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PENDING 65536u
#define ADMIN_MS 30000

static void die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

uint64_t bench_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const char *broker(void)
{
    const char *address = getenv("REMED_KAFKA");
    if (address == NULL)
        die("REMED_KAFKA", "names no broker");
    return address;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        die(name, why);
}

static rd_kafka_t *make(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[256];
    set(conf, "bootstrap.servers", broker());
    rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof why);
    if (client == NULL)
        die("librdkafka", why);
    return client;
}

/* Waits for the answer to a request about one topic. */
static void finish(rd_kafka_t *client, rd_kafka_queue_t *answers)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(answers, ADMIN_MS);
    if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("topic", event == NULL ? "no answer" : rd_kafka_event_error_string(event));
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(answers);
    rd_kafka_destroy(client);
}

void bench_make_topic(const char *topic, int partitions)
{
    char why[256];
    rd_kafka_t *client = make(RD_KAFKA_PRODUCER, rd_kafka_conf_new());
    rd_kafka_queue_t *answers = rd_kafka_queue_new(client);
    rd_kafka_NewTopic_t *made = rd_kafka_NewTopic_new(topic, partitions, -1, why, sizeof why);
    if (made == NULL)
        die(topic, why);
    rd_kafka_NewTopic_set_config(made, "cleanup.policy", "compact");
    rd_kafka_CreateTopics(client, &made, 1, NULL, answers);
    rd_kafka_NewTopic_destroy(made);
    finish(client, answers);
}

void bench_delete_topic(const char *topic)
{
    rd_kafka_t *client = make(RD_KAFKA_PRODUCER, rd_kafka_conf_new());
    rd_kafka_queue_t *answers = rd_kafka_queue_new(client);
    rd_kafka_DeleteTopic_t *gone = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_DeleteTopics(client, &gone, 1, NULL, answers);
    rd_kafka_DeleteTopic_destroy(gone);
    finish(client, answers);
}

static struct remed_transport *open_ours(const char *topic, unsigned linger_ms, bool headers,
                                         const struct remed_transport_events *events)
{
    const struct remed_transport_driver *const drivers[] = {remed_kafka_driver()};
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    struct remed_error error;
    char uri[512];
    remed_transport_opts_init(&opts, sizeof opts);
    opts.drivers = drivers;
    opts.driver_count = 1;
    opts.max_pending = PENDING;
    opts.origin = "bench";
    opts.events = *events;
    snprintf(uri, sizeof uri, "kafka://%s/%s?linger.ms=%u&headers=%s", broker(), topic, linger_ms,
             headers ? "yes" : "no");
    if (remed_transport_open(&transport, uri, &opts, &error) < 0)
        die(uri, error.message);
    return transport;
}

static void serve_ours(struct remed_transport *transport, int most_ms)
{
    struct remed_error error;
    if (most_ms > 0 && remed_transport_deadline(transport) > bench_clock()) {
        struct pollfd descriptor = {.fd = -1};
        descriptor.fd = remed_transport_fd(transport, &descriptor.events);
        poll(&descriptor, 1, most_ms);
    }
    if (remed_transport_process(transport, bench_clock(), &error) < 0)
        die("process", error.message);
}

static void on_delivered(void *context, uint64_t tag, int code)
{
    struct bench_publisher *publisher = context;
    (void)tag;
    if (code < 0)
        die("delivery", "lost");
    publisher->delivered++;
}

static void on_report(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct bench_publisher *publisher = opaque;
    (void)client;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("delivery", rd_kafka_err2str(message->err));
    publisher->delivered++;
}

/* Our transport's defaults, set by hand. */
static void open_bare_publisher(struct bench_publisher *publisher, const char *topic,
                                const char *linger)
{
    char number[32];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    snprintf(number, sizeof number, "%u", PENDING);
    set(conf, "enable.idempotence", "true");
    set(conf, "message.timeout.ms", "0");
    set(conf, "queue.buffering.max.messages", number);
    set(conf, "queue.buffering.max.kbytes", "65536");
    set(conf, "linger.ms", linger);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_opaque(conf, publisher);
    publisher->client = make(RD_KAFKA_PRODUCER, conf);
    publisher->topic = rd_kafka_topic_new(publisher->client, topic, NULL);
    if (publisher->topic == NULL)
        die(topic, "no topic");
}

void bench_open_publisher(struct bench_publisher *publisher, const char *topic, unsigned linger_ms)
{
    const struct remed_transport_events events = {.context = publisher, .delivered = on_delivered};
    char linger[32];
    snprintf(linger, sizeof linger, "%u", linger_ms);
    publisher->delivered = 0;
    if (publisher->ours)
        publisher->transport = open_ours(topic, linger_ms, publisher->headers, &events);
    else
        open_bare_publisher(publisher, topic, linger);
}

static rd_kafka_resp_err_t produce_with_headers(struct bench_publisher *publisher,
                                                const uint8_t *key, size_t key_length,
                                                const uint8_t *value, size_t value_length)
{
    const rd_kafka_vu_t fields[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = publisher->topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key, key_length}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)value, value_length}},
        {.vtype = RD_KAFKA_VTYPE_HEADER, .u.header = {"remediate", "1", 1}},
        {.vtype = RD_KAFKA_VTYPE_HEADER, .u.header = {"origin", "bench", -1}},
    };
    rd_kafka_error_t *failure =
        rd_kafka_produceva(publisher->client, fields, sizeof fields / sizeof *fields);
    rd_kafka_resp_err_t code =
        failure != NULL ? rd_kafka_error_code(failure) : RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_error_destroy(failure);
    return code;
}

static rd_kafka_resp_err_t produce(struct bench_publisher *publisher, const uint8_t *key,
                                   size_t key_length, const uint8_t *value, size_t value_length)
{
    if (publisher->headers)
        return produce_with_headers(publisher, key, key_length, value, value_length);
    return rd_kafka_produce(publisher->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                            (void *)(uintptr_t)value, value_length, key, key_length, NULL) == 0
               ? RD_KAFKA_RESP_ERR_NO_ERROR
               : rd_kafka_last_error();
}

void bench_publish(struct bench_publisher *publisher, const uint8_t *key, size_t key_length,
                   const uint8_t *value, size_t value_length)
{
    if (!publisher->ours) {
        rd_kafka_resp_err_t code;
        while ((code = produce(publisher, key, key_length, value, value_length)) ==
               RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(publisher->client, 100);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            die("produce", rd_kafka_err2str(code));
        return;
    }
    const struct remed_message message = {
        .key = key, .key_length = key_length, .value = value, .value_length = value_length};
    struct remed_error error;
    int rc;
    while ((rc = remed_transport_publish(publisher->transport, &message, 0, &error)) == REMED_EBUSY)
        serve_ours(publisher->transport, 100);
    if (rc < 0)
        die("publish", error.message);
}

void bench_serve_publisher(struct bench_publisher *publisher, int most_ms)
{
    if (publisher->ours)
        serve_ours(publisher->transport, most_ms);
    else
        rd_kafka_poll(publisher->client, most_ms);
}

void bench_close_publisher(struct bench_publisher *publisher)
{
    if (publisher->ours) {
        remed_transport_close(publisher->transport, NULL);
        return;
    }
    rd_kafka_topic_destroy(publisher->topic);
    rd_kafka_destroy(publisher->client);
}

static void on_message(void *context, const struct remed_message *message)
{
    struct bench_subscriber *subscriber = context;
    subscriber->message(subscriber->context, message->value, message->value_length);
}

static void open_bare_subscriber(struct bench_subscriber *subscriber, const char *topic,
                                 int partitions)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "group.id", "remediate");
    set(conf, "enable.partition.eof", "true");
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", "error");
    set(conf, "fetch.error.backoff.ms", "50");
    set(conf, "queued.max.messages.kbytes", "32768");
    set(conf, "queued.min.messages", "400000");
    subscriber->client = make(RD_KAFKA_CONSUMER, conf);
    rd_kafka_poll_set_consumer(subscriber->client);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    if (rd_kafka_assign(subscriber->client, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die(topic, "not assigned");
    rd_kafka_topic_partition_list_destroy(list);
}

void bench_open_subscriber(struct bench_subscriber *subscriber, const char *topic, int partitions)
{
    const struct remed_transport_events events = {.context = subscriber, .message = on_message};
    struct remed_error error;
    if (!subscriber->ours) {
        open_bare_subscriber(subscriber, topic, partitions);
        return;
    }
    subscriber->transport = open_ours(topic, 0, true, &events);
    if (remed_transport_subscribe(subscriber->transport, "begin", &error) < 0)
        die(topic, error.message);
}

void bench_serve_subscriber(struct bench_subscriber *subscriber, int most_ms)
{
    if (subscriber->ours) {
        serve_ours(subscriber->transport, most_ms);
        return;
    }
    rd_kafka_message_t *message = rd_kafka_consumer_poll(subscriber->client, most_ms);
    if (message == NULL)
        return;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        subscriber->message(subscriber->context, message->payload, message->len);
    rd_kafka_message_destroy(message);
}

void bench_close_subscriber(struct bench_subscriber *subscriber)
{
    if (subscriber->ours) {
        remed_transport_close(subscriber->transport, NULL);
        return;
    }
    rd_kafka_consumer_close(subscriber->client);
    rd_kafka_destroy(subscriber->client);
}
