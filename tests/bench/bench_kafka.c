/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Publishing 100-byte records under 20-byte keys through our transport against a bare librdkafka
 * producer with the same settings, thousands a second by the clock, into fresh topics of three
 * partitions. The bar is against the same messages; what their headers cost shows against a
 * producer without any. And the age of a record at the subscriber at 10,000 records a second,
 * microseconds, against a bare producer and consumer. By turns on one broker, which REMED_KAFKA
 * names.
 */
#include "bench/bench.h"
#include "bench/kafka_ends.h"

#include <pthread.h>

#define PARTITIONS 3
#define RECORDS 200000u
#define KEYS 100000u
#define LINGER_MS 5 /* librdkafka's own */
#define AGE_LINGER_MS 1
#define TICK_NS 1000000u
#define RECORDS_A_TICK 10u
#define AGES 20000u
#define AGES_TO_WARM_UP 5000u

static char topic[64];

static void next_topic(bool ours)
{
    static unsigned number;
    snprintf(topic, sizeof topic, "bench-%llu-%u-%s", (unsigned long long)bench_clock(), number++,
             ours ? "ours" : "bare");
    bench_make_topic(topic, PARTITIONS);
}

static void publish(struct bench_publisher *publisher, uint32_t number)
{
    uint8_t key[20] = {0}, value[100] = {0};
    uint64_t now = bench_clock();
    uint32_t of = number % KEYS;
    memcpy(key, &of, sizeof of);
    memcpy(value, &now, sizeof now);
    bench_publish(publisher, key, sizeof key, value, sizeof value);
}

static void publish_one_and_wait(struct bench_publisher *publisher)
{
    publish(publisher, 0);
    while (publisher->delivered == 0)
        bench_serve_publisher(publisher, 100);
}

/* Thousands of records a second, from the first to the last report. */
static double run_rate(bool ours, bool headers)
{
    struct bench_publisher publisher = {.ours = ours, .headers = headers};
    next_topic(ours);
    bench_open_publisher(&publisher, topic, LINGER_MS);
    publish_one_and_wait(&publisher);
    uint64_t begin = bench_clock();
    for (uint32_t i = 0; i < RECORDS; i++) {
        publish(&publisher, i);
        if (i % 1024 == 0)
            bench_serve_publisher(&publisher, 0);
    }
    while (publisher.delivered < RECORDS + 1)
        bench_serve_publisher(&publisher, 100);
    double seconds = (double)(bench_clock() - begin) * 1e-9;
    bench_close_publisher(&publisher);
    bench_delete_topic(topic);
    return RECORDS / seconds * 1e-3;
}

static void bench_rate(const char *work, bool headers)
{
    double ours[BENCH_ROUNDS], theirs[BENCH_ROUNDS];
    for (unsigned i = 0; i < BENCH_ROUNDS; i++) {
        ours[i] = run_rate(true, headers);
        theirs[i] = run_rate(false, headers);
    }
    bench_row(work, "librdkafka producer", ours, theirs, 0.9);
}

struct ages {
    struct bench_subscriber subscriber;
    double micros[AGES];
    uint32_t seen; /* the warm-up included */
    atomic_bool ready, done;
};

static void on_value(void *context, const uint8_t *value, size_t length)
{
    struct ages *ages = context;
    uint64_t sent, now = bench_clock();
    if (length < sizeof sent)
        return;
    memcpy(&sent, value, sizeof sent);
    if (ages->seen >= AGES_TO_WARM_UP && ages->seen - AGES_TO_WARM_UP < AGES)
        ages->micros[ages->seen - AGES_TO_WARM_UP] = (double)(now - sent) * 1e-3;
    ages->seen++;
    atomic_store(&ages->ready, true);
}

static void *subscribe(void *context)
{
    struct ages *ages = context;
    ages->subscriber.message = on_value;
    ages->subscriber.context = ages;
    bench_open_subscriber(&ages->subscriber, topic, PARTITIONS);
    while (ages->seen < AGES + AGES_TO_WARM_UP)
        bench_serve_subscriber(&ages->subscriber, 100);
    atomic_store(&ages->done, true);
    bench_close_subscriber(&ages->subscriber);
    return NULL;
}

/* So many records each millisecond, on a steady clock. */
static void publish_steadily(struct bench_publisher *publisher, struct ages *ages)
{
    uint64_t due = bench_clock();
    for (uint32_t number = 1; !atomic_load(&ages->done); due += TICK_NS) {
        uint64_t now = bench_clock();
        if (due > now)
            nanosleep(&(struct timespec){.tv_nsec = (long)(due - now)}, NULL);
        for (unsigned i = 0; i < RECORDS_A_TICK && number < AGES + AGES_TO_WARM_UP; i++)
            publish(publisher, number++);
        bench_serve_publisher(publisher, 0);
    }
}

/* Ages at the median and at the 99th of a hundred. */
static void run_age(bool ours, double *half, double *most)
{
    static struct ages ages;
    struct bench_publisher publisher = {.ours = ours, .headers = true};
    pthread_t thread;
    memset(&ages, 0, sizeof ages);
    ages.subscriber.ours = ours;
    next_topic(ours);
    bench_open_publisher(&publisher, topic, AGE_LINGER_MS);
    publish_one_and_wait(&publisher);
    if (pthread_create(&thread, NULL, subscribe, &ages) != 0)
        exit(1);
    while (!atomic_load(&ages.ready))
        bench_serve_publisher(&publisher, 1);
    publish_steadily(&publisher, &ages);
    pthread_join(thread, NULL);
    while (publisher.delivered < AGES + AGES_TO_WARM_UP)
        bench_serve_publisher(&publisher, 100);
    bench_close_publisher(&publisher);
    bench_delete_topic(topic);
    qsort(ages.micros, AGES, sizeof *ages.micros, bench_compare);
    *half = ages.micros[AGES / 2];
    *most = ages.micros[AGES / 100 * 99];
}

int main(void)
{
    double our_half[BENCH_ROUNDS], their_half[BENCH_ROUNDS];
    double our_most[BENCH_ROUNDS], their_most[BENCH_ROUNDS];
    (void)run_rate(true, true); /* the broker warms up */
    (void)run_rate(false, true);
    bench_rate("publish, 10^3 records/s", true);
    bench_rate("the same, headers=no", false);
    for (unsigned i = 0; i < BENCH_ROUNDS; i++) {
        run_age(true, &our_half[i], &our_most[i]);
        run_age(false, &their_half[i], &their_most[i]);
    }
    bench_row("age at 10,000/s, p50, us", "librdkafka pair", our_half, their_half, 1.2);
    bench_row("age at 10,000/s, p99, us", "librdkafka pair", our_most, their_most, 1.2);
    return 0;
}
