/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one partition and one replica carry: a million NAT bindings published into one partition
 * from one thread, then read from the beginning and applied by one thread; and what a key takes in
 * the replica's memory. docs/scaling.md reckons with these.
 *
 * bench_kafka_scale publish|read TOPIC [PROPERTIES]: in two processes, so that memory is the
 * reader's own; the topic is new to publish; PROPERTIES as in a URI, with their '&'.
 */
#include "conformance/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 1000000u

static uint64_t delivered, bytes, messages;
static bool caught_up;
static struct remed_replica *replica;

static void on_delivered(void *context, uint64_t tag, int code)
{
    (void)context;
    (void)tag;
    if (code < 0)
        live_die("a publication is lost");
    delivered++;
}

static void on_message(void *context, const struct remed_message *message)
{
    (void)context;
    messages++;
    bytes += message->key_length + message->value_length;
    if (remed_replica_apply_message(replica, message, live_real(), NULL) < 0)
        live_die("a message is refused");
}

static void on_caught_up(void *context)
{
    (void)context;
    caught_up = true;
}

static struct remed_transport *open_transport(const char *uri)
{
    struct remed_transport_opts opts;
    live_opts(&opts);
    opts.origin = "fw1";
    opts.events.delivered = on_delivered;
    opts.events.message = on_message;
    opts.events.caught_up = on_caught_up;
    return live_open(uri, &opts);
}

static void publish_all(const char *uri)
{
    struct remed_transport *transport = open_transport(uri);
    struct remed_record *record = NULL;
    if (remed_record_new(&record, NULL) < 0)
        live_die("no memory for a record");
    uint64_t begin = live_now();
    for (uint32_t key = 0; key < KEYS; key++) {
        live_binding(record, key, key + 1);
        while (live_publish(transport, record, key) == REMED_EBUSY)
            live_drive(transport, 100);
    }
    while (delivered < KEYS)
        live_drive(transport, 100);
    printf("publish: %.0f records/s\n", KEYS / ((double)(live_now() - begin) * 1e-9));
    remed_transport_close(transport, NULL);
    remed_record_free(record);
}

static void read_all(const char *uri)
{
    uint64_t before = live_memory();
    replica = live_replica(KEYS);
    struct remed_transport *transport = open_transport(uri);
    live_subscribe(transport, "begin");
    uint64_t begin = live_now();
    while (!caught_up)
        live_drive(transport, 100);
    double seconds = (double)(live_now() - begin) * 1e-9;
    uint64_t peak = live_memory_peak();
    struct remed_replica_stats stats;
    remed_replica_stats(replica, &stats, sizeof stats);
    remed_transport_close(transport, NULL);
    if (messages < KEYS)
        live_die("only %llu messages came", (unsigned long long)messages);
    printf("subscribe and apply: %.0f records/s, %.1f MB/s of keys and values, %.1f bytes each\n",
           (double)messages / seconds, (double)bytes * 1e-6 / seconds,
           (double)bytes / (double)messages);
    printf("replica: %.0f bytes a key in entries, %.0f resident, %.0f at the peak of reading\n",
           (double)stats.bytes / KEYS, (double)(live_memory() - before) / KEYS,
           (double)(peak - before) / KEYS);
    remed_replica_free(replica);
}

int main(int argc, char **argv)
{
    char uri[1024];
    const char *broker = getenv("REMED_KAFKA");
    if (argc < 3 || broker == NULL)
        live_die("usage: REMED_KAFKA=HOST:PORT bench_kafka_scale publish|read TOPIC [PROPERTIES]");
    snprintf(uri, sizeof uri, "kafka://%s/%s?partitions=1%s", broker, argv[2],
             argc > 3 ? argv[3] : "");
    if (strcmp(argv[1], "publish") == 0)
        publish_all(uri);
    else
        read_all(uri);
    return 0;
}
