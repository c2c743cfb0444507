/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What can go wrong with a real Redis server. REMED_REDIS is the URI up to the stream's name,
 * REMED_REDIS_QUERY more parameters.
 *
 * - redis_faults_check trim: of a stream that keeps little, a newcomer gets the newest of each key;
 *   who fell behind is told so.
 * - redis_faults_check large: values of 1 MiB.
 * - redis_faults_check many: several publishers at once.
 * - redis_faults_check follow SECONDS: a publisher and a subscriber, while the caller kills the
 *   server.
 */
#include <remediate/redis.h>

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KEYS 1000u
#define PATIENCE_S 60u
#define PUBLISHERS 4u
#define CALL_LIMIT_MS 1000.0 /* nothing blocks; the machine may be busy */

static const char *server, *query;
static uint8_t large[REMED_TRANSPORT_VALUE_MAX];

struct end {
    struct remed_transport *transport;
    uint64_t delivered, failed, received, disorder;
    bool caught_up;
    uint64_t value[PUBLISHERS * KEYS];
};

static double longest_publish, longest_process; /* ms */

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void note(double *longest, uint64_t begin)
{
    double ms = (double)(now_ns() - begin) * 1e-6;
    if (ms > *longest)
        *longest = ms;
}

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    printf("  FAILED: %s\n", what);
    exit(EXIT_FAILURE);
}

static void on_delivered(void *context, uint64_t tag, int code)
{
    struct end *end = context;
    (void)tag;
    end->delivered += code == 0;
    end->failed += code != 0;
}

/* Values of one key only grow. */
static void on_message(void *context, const struct remed_message *message)
{
    struct end *end = context;
    uint32_t key;
    uint64_t value;
    require(message->key_length == sizeof key &&
                (message->value_length == sizeof value || message->value_length == sizeof large),
            "a message of another form");
    memcpy(&key, message->key, sizeof key);
    memcpy(&value, message->value, sizeof value);
    require(key < PUBLISHERS * KEYS, "a key that nobody published");
    end->received++;
    end->disorder += value <= end->value[key];
    end->value[key] = value;
}

static void on_caught_up(void *context)
{
    ((struct end *)context)->caught_up = true;
}

static struct end *open_end(const char *stream, const char *parameter, const char *from)
{
    const struct remed_transport_driver *drivers[] = {remed_redis_driver(), remed_rediss_driver()};
    struct end *end = calloc(1, sizeof *end);
    struct remed_transport_opts opts;
    struct remed_error error = {0};
    char uri[1024];
    require(end != NULL, "no memory");
    remed_transport_opts_init(&opts, sizeof opts);
    opts.events = (struct remed_transport_events){.context = end,
                                                  .delivered = on_delivered,
                                                  .message = on_message,
                                                  .caught_up = on_caught_up};
    opts.drivers = drivers;
    opts.driver_count = 2;
    opts.max_pending = 4096;
    snprintf(uri, sizeof uri, "%s%s-%ld?%s%s%s", server, stream, (long)getpid(), parameter,
             *query != '\0' ? "&" : "", query);
    int rc = remed_transport_open(&end->transport, uri, &opts, &error);
    if (rc == 0 && from != NULL)
        rc = remed_transport_subscribe(end->transport, from, &error);
    require(rc == 0, error.message);
    return end;
}

static void close_end(struct end *end)
{
    remed_transport_close(end->transport, NULL);
    free(end);
}

static int process(struct end *end, struct remed_error *error)
{
    uint64_t begin = now_ns();
    int rc = remed_transport_process(end->transport, begin, error);
    note(&longest_process, begin);
    return rc;
}

/* Waits for what the transport waits for, a while; then processes. */
static void turn(struct end *end)
{
    struct remed_error error = {0};
    uint64_t deadline = remed_transport_deadline(end->transport), now = now_ns();
    struct pollfd descriptor = {.fd = remed_transport_fd(end->transport, &descriptor.events)};
    if (deadline > now)
        poll(&descriptor, 1, deadline - now > 10000000 ? 10 : 1);
    require(process(end, &error) >= 0, error.message);
}

#define UNTIL(end, holds)                                                                          \
    do {                                                                                           \
        uint64_t limit = now_ns() + PATIENCE_S * 1000000000ull;                                    \
        while (!(holds) && now_ns() < limit)                                                       \
            turn(end);                                                                             \
        require(holds, #holds);                                                                    \
    } while (0)

/* Bytes that begin with the value; false when the queue is full. */
static bool publish_bytes(struct end *end, uint32_t key, uint64_t value, const uint8_t *bytes,
                          size_t length)
{
    struct remed_error error = {0};
    const struct remed_message message = {.key = (const uint8_t *)&key,
                                          .value = bytes,
                                          .key_length = sizeof key,
                                          .value_length = length};
    uint64_t begin = now_ns();
    int rc = remed_transport_publish(end->transport, &message, value, &error);
    note(&longest_publish, begin);
    require(rc == 0 || rc == REMED_EBUSY, error.message);
    return rc == 0;
}

static bool publish(struct end *end, uint32_t key, uint64_t value)
{
    return publish_bytes(end, key, value, (const uint8_t *)&value, sizeof value);
}

/* Rounds of all keys, each publication an entry of its own. */
static void publish_singly(struct end *end, uint64_t from, uint64_t rounds)
{
    for (uint64_t round = from; round < from + rounds; round++)
        for (uint32_t key = 0; key < KEYS; key++) {
            while (!publish(end, key, round))
                turn(end);
            turn(end);
        }
}

static void expect_fallen(struct end *end)
{
    struct remed_error error = {0};
    uint64_t limit = now_ns() + PATIENCE_S * 1000000000ull;
    int rc;
    while ((rc = process(end, &error)) >= 0 && now_ns() < limit)
        poll(NULL, 0, 1);
    printf("  told: %s\n", error.message);
    require(rc == REMED_ENOENT, "who fell behind is told so");
    require(process(end, &error) == REMED_ENOENT, "and told so again");
}

static void trim(void)
{
    char position[1024];
    struct end *writer = open_end("trim", "maxlen=10", NULL);
    struct end *slow = open_end("trim", "maxlen=10", "begin");
    struct end *resumed = open_end("trim", "maxlen=10", "begin");
    puts("a stream that keeps 10 entries");
    UNTIL(slow, slow->caught_up);
    publish_singly(writer, 1, 1);
    UNTIL(writer, writer->delivered == KEYS);
    UNTIL(resumed, resumed->received == KEYS && resumed->caught_up);
    remed_transport_position(resumed->transport, position, sizeof position);
    close_end(resumed);
    publish_singly(writer, 2, 2);
    UNTIL(writer, writer->delivered == 3 * KEYS);

    struct end *late = open_end("trim", "maxlen=10", "begin");
    UNTIL(late, late->caught_up);
    require(late->received == KEYS && late->disorder == 0, "a newcomer gets each key once");
    for (uint32_t key = 0; key < KEYS; key++)
        require(late->value[key] == 3, "a newcomer gets the newest of each key");
    printf("  a newcomer got %llu keys\n", (unsigned long long)late->received);
    expect_fallen(slow);
    resumed = open_end("trim", "maxlen=10", position);
    expect_fallen(resumed);
    close_end(slow);
    close_end(resumed);
    close_end(late);
    close_end(writer);
}

/* More than a scan's first step may ask for, and small ones between. */
static void large_values(void)
{
    struct end *writer = open_end("large", "maxlen=4", NULL);
    puts("values of 1 MiB");
    for (uint32_t key = 0; key < KEYS; key++) {
        uint64_t value = 1;
        memcpy(large, &value, sizeof value);
        while (key % 25 == 0 ? !publish_bytes(writer, key, value, large, sizeof large)
                             : !publish(writer, key, value))
            turn(writer);
    }
    UNTIL(writer, writer->delivered == KEYS);
    struct end *late = open_end("large", "maxlen=4", "begin");
    UNTIL(late, late->caught_up);
    require(late->received == KEYS && late->disorder == 0, "a newcomer gets each key once");
    printf("  a newcomer got %llu keys\n", (unsigned long long)late->received);
    close_end(late);
    close_end(writer);
}

static void many(void)
{
    struct end *writers[PUBLISHERS], *reader = open_end("many", "maxlen=0", "begin");
    uint64_t rounds = 20, total = PUBLISHERS * KEYS * rounds;
    printf("%u publishers at once\n", PUBLISHERS);
    for (unsigned i = 0; i < PUBLISHERS; i++)
        writers[i] = open_end("many", "maxlen=0", NULL);
    for (uint64_t round = 1; round <= rounds; round++)
        for (uint32_t key = 0; key < KEYS; key++)
            for (unsigned i = 0; i < PUBLISHERS; i++) {
                while (!publish(writers[i], i * KEYS + key, round))
                    turn(writers[i]);
                if (key % 100 == i)
                    turn(writers[i]);
            }
    for (unsigned i = 0; i < PUBLISHERS; i++)
        UNTIL(writers[i], writers[i]->delivered == KEYS * rounds);
    UNTIL(reader, reader->caught_up);
    for (uint32_t key = 0; key < PUBLISHERS * KEYS; key++)
        UNTIL(reader, reader->value[key] == rounds);
    require(reader->disorder == 0, "in order");
    printf("  published %llu, all of them there\n", (unsigned long long)total);
    for (unsigned i = 0; i < PUBLISHERS; i++)
        close_end(writers[i]);
    close_end(reader);
}

/* 5,000 a second, as far as the queue takes it; returns how many it took in all. */
static uint64_t run(struct end *writer, struct end *reader, double seconds, uint64_t number)
{
    struct remed_error error = {0};
    uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9);
    for (uint64_t due = begin; due < end; due += 2000000) {
        uint64_t now = now_ns();
        if (due > now)
            nanosleep(&(struct timespec){.tv_nsec = (long)(due - now)}, NULL);
        for (unsigned i = 0; i < 10 && publish(writer, number % KEYS, number / KEYS + 1); i++)
            number++;
        require(process(writer, &error) >= 0, error.message);
        require(process(reader, &error) >= 0, error.message);
    }
    return number;
}

static void follow(double seconds)
{
    struct remed_transport_stats writing, reading;
    struct end *writer = open_end("follow", "timeout=2s", NULL);
    struct end *reader = open_end("follow", "timeout=2s", "begin");
    UNTIL(reader, reader->caught_up);
    puts("  running");
    uint64_t number = run(writer, reader, seconds, 0);
    UNTIL(writer, writer->delivered == number);
    UNTIL(reader, reader->received >= number);
    remed_transport_stats(writer->transport, &writing, sizeof writing);
    remed_transport_stats(reader->transport, &reading, sizeof reading);
    printf(
        "  published %llu, delivered %llu, lost %llu; received %llu, out of order or twice %llu\n",
        (unsigned long long)number, (unsigned long long)writer->delivered,
        (unsigned long long)writer->failed, (unsigned long long)reader->received,
        (unsigned long long)reader->disorder);
    printf(
        "  connections made anew %llu and %llu; %llu times busy; longest call, ms: publish %.1f, "
        "process %.1f\n",
        (unsigned long long)writing.reconnects, (unsigned long long)reading.reconnects,
        (unsigned long long)writing.refused, longest_publish, longest_process);
    require(writer->failed == 0, "none is given up");
    require(reader->received == number && reader->disorder == 0, "each comes once, in order");
    require(writing.reconnects > 0 && reading.reconnects > 0, "the connections were lost");
    require(longest_publish < CALL_LIMIT_MS && longest_process < CALL_LIMIT_MS, "no call blocks");
    close_end(writer);
    close_end(reader);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    server = getenv("REMED_REDIS");
    query = getenv("REMED_REDIS_QUERY");
    if (query == NULL)
        query = "";
    if (server == NULL) {
        puts("skipped: REMED_REDIS names no server");
        return 77;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(mode, "trim") == 0)
        trim();
    else if (strcmp(mode, "large") == 0)
        large_values();
    else if (strcmp(mode, "many") == 0)
        many();
    else if (strcmp(mode, "follow") == 0 && argc == 3)
        follow(strtod(argv[2], NULL));
    else
        return 2;
    return EXIT_SUCCESS;
}
