/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The conformance suite on a real Kafka broker: REMED_KAFKA is "host:port", REMED_KAFKA_QUERY more
 * parameters. In the clear also the headers, as another consumer sees them, positions that are
 * none, a topic that the broker compacts, and topics that it refuses.
 */
#include "conformance/live.h"
#include "conformance/conformance.h"

#include <librdkafka/rdkafka.h>
#include <remediate/kafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *server, *query;
static unsigned long run;

static void kafka_uri(char *text, size_t size, unsigned topic)
{
    snprintf(text, size, "kafka://%s/conformance-%lu-%u?partitions=%u&linger.ms=1%s%s", server, run,
             topic, topic % 2 != 0 ? 1 : 3, *query != '\0' ? "&" : "", query);
}

static void on_delivered(void *context, uint64_t tag, int code)
{
    (void)tag;
    *(int *)context = code == 0 ? 1 : -1;
}

static void publish_one(const char *uri, const char *origin)
{
    const struct remed_message message = {.key = (const uint8_t *)"key",
                                          .key_length = 3,
                                          .value = (const uint8_t *)"value",
                                          .value_length = 5};
    struct remed_transport_opts opts;
    struct remed_error error;
    int delivered = 0;
    live_opts(&opts);
    opts.origin = origin;
    opts.events.context = &delivered;
    opts.events.delivered = on_delivered;
    struct remed_transport *transport = live_open(uri, &opts);
    if (remed_transport_publish(transport, &message, 0, &error) < 0)
        live_die("publish: %s", error.message);
    while (delivered == 0)
        live_drive(transport, 100);
    remed_transport_close(transport, NULL);
    if (delivered < 0)
        live_die("the message with headers is lost");
}

/* Headers as "name=value name=value", by a consumer that is not ours. */
static void read_headers(const char *topic, char *text, size_t size)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t length, used = 0;
    rd_kafka_conf_set(conf, "bootstrap.servers", server, why, sizeof why);
    rd_kafka_conf_set(conf, "group.id", "headers", why, sizeof why);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = 0;
    rd_kafka_assign(client, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_message_t *message = rd_kafka_consumer_poll(client, 30000);
    if (message == NULL || message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        live_die("no message to read headers of");
    text[0] = '\0';
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
        for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &length) == 0; i++)
            used += (size_t)snprintf(text + used, size - used, "%s%s=%.*s", i > 0 ? " " : "", name,
                                     (int)length, (const char *)value);
    rd_kafka_message_destroy(message);
    rd_kafka_destroy(client);
}

static unsigned check_headers(const char *parameters, const char *origin, const char *wanted)
{
    static unsigned number;
    char topic[64], uri[256], found[256];
    snprintf(topic, sizeof topic, "headers-%lu-%u", run, number++);
    snprintf(uri, sizeof uri, "kafka://%s/%s%s", server, topic, parameters);
    publish_one(uri, origin);
    read_headers(topic, found, sizeof found);
    bool right = strcmp(found, wanted) == 0;
    printf("  kafka: headers '%s' ... %s\n", wanted, right ? "passed" : found);
    return !right;
}

/* Texts that are no positions are refused, those beyond librdkafka's numbers too. */
static unsigned check_positions(void)
{
    static const char *const none[] = {"",
                                       "0",
                                       "0:",
                                       "0:-1",
                                       "-1:0",
                                       " 0:1",
                                       "0:1,",
                                       "0:1",
                                       "kafka:",
                                       "kafka:-/t/0:1",
                                       "kafka:-//0:1",
                                       "redis:-/0/t/1-1",
                                       "0:1x",
                                       "0:1,,1:1",
                                       "0:9223372036854775808"};
    unsigned failed = 0;
    char uri[256];
    struct remed_transport_opts opts;
    live_opts(&opts);
    snprintf(uri, sizeof uri, "kafka://%s/positions-%lu", server, run);
    for (unsigned i = 0; i < sizeof none / sizeof *none; i++) {
        struct remed_transport *transport = live_open(uri, &opts);
        failed += remed_transport_subscribe(transport, none[i], NULL) != REMED_EINVAL;
        remed_transport_close(transport, NULL);
    }
    printf("  kafka: positions that are none ... %s\n", failed == 0 ? "passed" : "FAILED");
    return failed;
}

#define COMPACTED_KEYS 500u
#define ROUNDS 40u

struct counting {
    uint64_t delivered, received;
    bool caught_up;
    uint32_t value[COMPACTED_KEYS], disorder;
};

static void count_delivered(void *context, uint64_t tag, int code)
{
    (void)tag;
    if (code != 0)
        live_die("a message for the compacted topic is lost");
    ((struct counting *)context)->delivered++;
}

static void count_message(void *context, const struct remed_message *message)
{
    struct counting *counting = context;
    uint32_t key = 0, value = 0;
    memcpy(&key, message->key, sizeof key);
    if (message->value_length >= sizeof value)
        memcpy(&value, message->value, sizeof value);
    counting->received++;
    counting->disorder += value < counting->value[key];
    counting->value[key] = value;
}

static void count_caught_up(void *context)
{
    ((struct counting *)context)->caught_up = true;
}

static struct remed_transport *open_counting(const char *uri, struct counting *counting)
{
    struct remed_transport_opts opts;
    live_opts(&opts);
    opts.events = (struct remed_transport_events){.context = counting,
                                                  .delivered = count_delivered,
                                                  .message = count_message,
                                                  .caught_up = count_caught_up};
    return live_open(uri, &opts);
}

/* All values of all keys, in order; then one that makes the segments before it complete. */
static void publish_rounds(const char *uri)
{
    struct counting counting = {.delivered = 0};
    struct remed_transport *transport = open_counting(uri, &counting);
    uint8_t bytes[100] = {0};
    for (uint32_t i = 0; i < ROUNDS * COMPACTED_KEYS; i++) {
        uint32_t key = i % COMPACTED_KEYS, value = i / COMPACTED_KEYS + 1;
        memcpy(bytes, &value, sizeof value);
        const struct remed_message message = {.key = (const uint8_t *)&key,
                                              .key_length = sizeof key,
                                              .value = bytes,
                                              .value_length = sizeof bytes};
        while (remed_transport_publish(transport, &message, i, NULL) < 0)
            live_drive(transport, 10);
    }
    while (counting.delivered < ROUNDS * COMPACTED_KEYS)
        live_drive(transport, 100);
    remed_transport_close(transport, NULL);
}

/* What a newcomer gets; it must be the newest of each key, whatever was cleaned away. */
static bool read_newest(const char *uri, uint64_t *received)
{
    struct counting counting = {.delivered = 0};
    struct remed_transport *transport = open_counting(uri, &counting);
    bool right = remed_transport_subscribe(transport, "begin", NULL) == 0;
    while (right && !counting.caught_up)
        live_drive(transport, 100);
    remed_transport_close(transport, NULL);
    for (uint32_t key = 0; key < COMPACTED_KEYS; key++)
        right = right && counting.value[key] == ROUNDS;
    *received = counting.received;
    return right && counting.disorder == 0;
}

/* The broker cleans the topic, and until it has and after, a newcomer gets the newest of each. */
static unsigned check_compaction(void)
{
    char uri[256];
    uint64_t received = 0;
    bool right = true;
    snprintf(uri, sizeof uri,
             "kafka://%s/compacted-%lu?config.segment.bytes=131072&batch.size=16384&"
             "config.min.cleanable.dirty.ratio=0.01",
             server, run);
    publish_rounds(uri);
    uint64_t limit = live_now() + 60 * LIVE_SECOND;
    do
        right = read_newest(uri, &received);
    while (right && received > ROUNDS * COMPACTED_KEYS / 4 && live_now() < limit);
    right = right && received <= ROUNDS * COMPACTED_KEYS / 4;
    printf("  kafka: the newest of each key after compaction (%llu of %u messages left) ... %s\n",
           (unsigned long long)received, ROUNDS * COMPACTED_KEYS, right ? "passed" : "FAILED");
    return !right;
}

/* What the broker will never make is an error, and no wait without end. */
static unsigned check_refused_topic(void)
{
    static const char *const wrong[] = {"config.segment.bytes=many", "replication=7&start=2s"};
    unsigned failed = 0;
    for (unsigned i = 0; i < 2; i++) {
        char uri[256];
        struct counting counting = {.delivered = 0};
        struct remed_error error = {0};
        uint64_t limit = live_now() + 30 * LIVE_SECOND;
        int rc = 0;
        snprintf(uri, sizeof uri, "kafka://%s/refused-%lu?%s", server, run, wrong[i]);
        struct remed_transport *transport = open_counting(uri, &counting);
        bool subscribed = remed_transport_subscribe(transport, "begin", NULL) == 0;
        while (subscribed && rc >= 0 && live_now() < limit)
            rc = remed_transport_process(transport, live_now(), &error);
        remed_transport_close(transport, NULL);
        failed += rc != REMED_EINVAL;
        printf("  kafka: %s ... %s\n", wrong[i], rc == REMED_EINVAL ? error.message : "FAILED");
    }
    return failed;
}

static void add_partitions(const char *topic, size_t count)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", server, why, sizeof why);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    rd_kafka_NewPartitions_t *more = rd_kafka_NewPartitions_new(topic, count, why, sizeof why);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_CreatePartitions(client, &more, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
    if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        live_die("no partitions were added");
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewPartitions_destroy(more);
    rd_kafka_destroy(client);
}

/* Partitions that come later are read too, and nothing of the others twice out of order. */
static unsigned check_added_partitions(void)
{
    char topic[64], uri[256];
    static struct counting reading, writing;
    snprintf(topic, sizeof topic, "grows-%lu", run);
    snprintf(uri, sizeof uri, "kafka://%s/%s", server, topic);
    struct remed_transport *reader = open_counting(uri, &reading);
    live_subscribe(reader, "begin");
    while (!reading.caught_up)
        live_drive(reader, 100);
    add_partitions(topic, 3);
    struct remed_transport *writer = open_counting(uri, &writing);
    for (uint32_t key = 0, value = 1; key < 100; key++) {
        const struct remed_message message = {.key = (const uint8_t *)&key,
                                              .key_length = sizeof key,
                                              .value = (const uint8_t *)&value,
                                              .value_length = sizeof value};
        remed_transport_publish(writer, &message, key, NULL);
    }
    while (writing.delivered < 100)
        live_drive(writer, 100);
    uint64_t limit = live_now() + 60 * LIVE_SECOND;
    while (reading.received < 100 && live_now() < limit)
        live_drive(reader, 100);
    remed_transport_close(writer, NULL);
    remed_transport_close(reader, NULL);
    bool right = reading.received == 100 && reading.disorder == 0;
    printf("  kafka: partitions that are added are read ... %s\n", right ? "passed" : "FAILED");
    return !right;
}

int main(void)
{
    const struct remed_transport_driver *drivers[] = {remed_kafka_driver()};
    const struct conformance kafka = {.uri = kafka_uri, .drivers = drivers, .driver_count = 1};
    server = getenv("REMED_KAFKA");
    query = getenv("REMED_KAFKA_QUERY");
    if (query == NULL)
        query = "";
    if (server == NULL) {
        puts("skipped: REMED_KAFKA names no broker");
        return 77;
    }
    run = (unsigned long)time(NULL);
    unsigned failed = conformance_run(*query != '\0' ? "kafka, TLS and SASL" : "kafka", &kafka);
    if (*query == '\0') {
        failed += check_headers("", "fw1", "remediate=1 origin=fw1");
        failed += check_headers("", NULL, "remediate=1");
        failed += check_headers("?headers=no", "fw1", "");
        failed += check_positions();
        failed += check_compaction();
        failed += check_refused_topic();
        failed += check_added_partitions();
    }
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
