/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Redis transport against a bare client on the same server, by turns: records a second when
 * they are published as fast as they go, and the age of a record when a subscriber has it, at
 * 10,000 a second. The bare client is hiredis: one XADD a record, 256 under way; XREAD BLOCK to
 * read. REMED_REDIS is "127.0.0.1:PORT". Ages are of the median and of the 99th percentile; there
 * the smaller ratio is the better one.
 */
#include "bench/bench.h"

#include <remediate/redis.h>

#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEYS 10000u
#define VALUE_BYTES 100u
#define RECORDS 50000u /* of a round of publishing */
#define DEPTH 256u
#define RATE 10000u /* a second, where ages are measured */
#define AGES 12000u /* of a round; the first sixth warms up */
#define WARM 2000u

static char host[128];
static int port;
static unsigned stream_number;

static double wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench_redis: %s\n", what);
    exit(EXIT_FAILURE);
}

static size_t make_key(char *key, size_t size, uint64_t number)
{
    return (size_t)snprintf(key, size, "flow-%012llu", (unsigned long long)(number % KEYS));
}

/* A value that begins with the time. */
static void make_value(char *value)
{
    double now = wall();
    memset(value, 'v', VALUE_BYTES);
    memcpy(value, &now, sizeof now);
}

/* What a reader has seen. */
struct ages {
    uint32_t count;
    double age[AGES];
};

static void note_age(struct ages *ages, const void *value, size_t length)
{
    double sent;
    require(length == VALUE_BYTES && ages->count < AGES, "another value than was sent");
    memcpy(&sent, value, sizeof sent);
    ages->age[ages->count++] = wall() - sent;
}

/* Ours. */

struct end {
    struct remed_transport *transport;
    uint64_t delivered;
    bool caught_up;
    struct ages *ages;
};

static void on_delivered(void *context, uint64_t tag, int code)
{
    (void)tag;
    require(code == 0, "a record was not delivered");
    ((struct end *)context)->delivered++;
}

static void on_message(void *context, const struct remed_message *message)
{
    note_age(((struct end *)context)->ages, message->value, message->value_length);
}

static void on_caught_up(void *context)
{
    ((struct end *)context)->caught_up = true;
}

static void open_end(struct end *end, const char *stream)
{
    const struct remed_transport_driver *drivers[] = {remed_redis_driver()};
    struct remed_transport_opts opts;
    struct remed_error error;
    char uri[256];
    remed_transport_opts_init(&opts, sizeof opts);
    opts.drivers = drivers;
    opts.driver_count = 1;
    opts.events = (struct remed_transport_events){.context = end,
                                                  .delivered = on_delivered,
                                                  .message = on_message,
                                                  .caught_up = on_caught_up};
    snprintf(uri, sizeof uri, "redis://%s:%d/%s", host, port, stream);
    require(remed_transport_open(&end->transport, uri, &opts, &error) == 0, "cannot open");
}

static void process(struct end *end)
{
    struct remed_error error;
    uint64_t now = (uint64_t)(wall() * 1e9);
    if (remed_transport_process(end->transport, now, &error) < 0)
        require(false, error.message);
}

static void wait_and_process(struct end *end)
{
    uint64_t deadline = remed_transport_deadline(end->transport), now = (uint64_t)(wall() * 1e9);
    struct pollfd descriptor = {.fd = remed_transport_fd(end->transport, &descriptor.events)};
    if (deadline > now)
        poll(&descriptor, 1, 100);
    process(end);
}

static void publish(struct end *end, uint64_t number)
{
    char key[32], value[VALUE_BYTES];
    struct remed_message message = {
        .key = (const uint8_t *)key, .value = (const uint8_t *)value, .value_length = sizeof value};
    message.key_length = make_key(key, sizeof key, number);
    make_value(value);
    while (remed_transport_publish(end->transport, &message, number, NULL) == REMED_EBUSY)
        wait_and_process(end);
}

static double our_rate(const char *stream)
{
    struct end end = {.delivered = 0};
    open_end(&end, stream);
    publish(&end, 0); /* and so connects */
    while (end.delivered < 1)
        wait_and_process(&end);
    double begin = wall();
    for (uint64_t i = 1; i <= RECORDS; i++) {
        publish(&end, i);
        if (i % DEPTH == 0)
            process(&end);
    }
    while (end.delivered < RECORDS + 1)
        wait_and_process(&end);
    double rate = RECORDS / (wall() - begin) * 1e-3;
    remed_transport_close(end.transport, NULL);
    return rate;
}

static void rest_until(double due)
{
    double left = due - wall();
    if (left > 0)
        nanosleep(&(struct timespec){.tv_nsec = (long)(left * 1e9)}, NULL);
}

static void our_sender(const char *stream)
{
    struct end end = {.delivered = 0};
    open_end(&end, stream);
    double begin = wall();
    for (uint64_t i = 0; i < AGES; i++) {
        rest_until(begin + (double)i / RATE);
        publish(&end, i);
        process(&end);
    }
    while (end.delivered < AGES)
        wait_and_process(&end);
    remed_transport_close(end.transport, NULL);
}

static void our_reader(const char *stream, struct ages *ages, void (*start)(const char *))
{
    struct end end = {.ages = ages};
    open_end(&end, stream);
    require(remed_transport_subscribe(end.transport, "begin", NULL) == 0, "cannot subscribe");
    while (!end.caught_up)
        wait_and_process(&end);
    start(stream);
    while (ages->count < AGES)
        wait_and_process(&end);
    remed_transport_close(end.transport, NULL);
}

/* Theirs. */

static redisContext *connect_bare(void)
{
    redisContext *context = redisConnect(host, port);
    require(context != NULL && context->err == 0, "cannot connect");
    return context;
}

static void append_bare(redisContext *context, const char *stream, uint64_t number)
{
    char key[32], value[VALUE_BYTES];
    const char *arguments[] = {"XADD", stream, "*", "key", key, "value", value};
    const size_t lengths[] = {4, strlen(stream), 1, 3, make_key(key, sizeof key, number),
                              5, sizeof value};
    make_value(value);
    require(redisAppendCommandArgv(context, 7, arguments, lengths) == REDIS_OK, "no memory");
}

static void take_bare(redisContext *context)
{
    redisReply *reply = NULL;
    require(redisGetReply(context, (void **)&reply) == REDIS_OK && reply != NULL &&
                reply->type == REDIS_REPLY_STRING,
            "no answer to XADD");
    freeReplyObject(reply);
}

static double their_rate(const char *stream)
{
    redisContext *context = connect_bare();
    unsigned under_way = 0;
    double begin = wall();
    for (uint64_t i = 1; i <= RECORDS; i++) {
        append_bare(context, stream, i);
        if (++under_way == DEPTH)
            for (; under_way > 0; under_way--)
                take_bare(context);
    }
    for (; under_way > 0; under_way--)
        take_bare(context);
    double rate = RECORDS / (wall() - begin) * 1e-3;
    redisFree(context);
    return rate;
}

/* Sends at once, and takes the answers that are there. */
static void pump_bare(redisContext *context, unsigned *answers)
{
    struct pollfd descriptor = {.fd = context->fd, .events = POLLIN};
    void *reply = NULL;
    int done = 0;
    while (done == 0)
        require(redisBufferWrite(context, &done) == REDIS_OK, "cannot send");
    if (poll(&descriptor, 1, 0) > 0)
        require(redisBufferRead(context) == REDIS_OK, "cannot receive");
    while (redisGetReplyFromReader(context, &reply) == REDIS_OK && reply != NULL) {
        freeReplyObject(reply);
        (*answers)++;
    }
}

static void their_sender(const char *stream)
{
    redisContext *context = connect_bare();
    unsigned answers = 0;
    double begin = wall();
    for (uint64_t i = 0; i < AGES; i++) {
        rest_until(begin + (double)i / RATE);
        append_bare(context, stream, i);
        pump_bare(context, &answers);
    }
    for (; answers < AGES; answers++)
        take_bare(context);
    redisFree(context);
}

static void their_reader(const char *stream, struct ages *ages, void (*start)(const char *))
{
    redisContext *context = connect_bare();
    char last[64] = "0-0";
    start(stream);
    while (ages->count < AGES) {
        redisReply *reply =
            redisCommand(context, "XREAD COUNT 1024 BLOCK 1000 STREAMS %s %s", stream, last);
        require(reply != NULL && reply->type != REDIS_REPLY_ERROR, "no answer to XREAD");
        const redisReply *entries = reply->type == REDIS_REPLY_ARRAY ? reply->element[0]->element[1]
                                                                     : reply; /* nil: has none */
        for (size_t i = 0; i < entries->elements; i++) {
            const redisReply *entry = entries->element[i], *value = entry->element[1]->element[3];
            snprintf(last, sizeof last, "%s", entry->element[0]->str);
            note_age(ages, value->str, value->len);
        }
        freeReplyObject(reply);
    }
    redisFree(context);
}

/* Both. */

static void start_process(void (*sender)(const char *), const char *stream)
{
    pid_t child = fork();
    require(child >= 0, "cannot fork");
    if (child > 0)
        return;
    prctl(PR_SET_TIMERSLACK, 1000);
    sender(stream);
    _exit(EXIT_SUCCESS);
}

static void start_ours(const char *stream)
{
    start_process(our_sender, stream);
}

static void start_theirs(const char *stream)
{
    start_process(their_sender, stream);
}

static const char *next_stream(void)
{
    static char stream[64];
    snprintf(stream, sizeof stream, "bench-%ld-%u", (long)getpid(), stream_number++);
    return stream;
}

/* Microseconds: the median and the 99th percentile of the ages. */
static void judge_ages(struct ages *ages, double *median, double *high)
{
    int status;
    require(wait(&status) > 0 && status == 0, "the sender failed");
    size_t count = ages->count - WARM;
    qsort(ages->age + WARM, count, sizeof *ages->age, bench_compare);
    *median = ages->age[WARM + count / 2] * 1e6;
    *high = ages->age[WARM + count * 99 / 100] * 1e6;
    ages->count = 0;
}

static void clean(void)
{
    redisContext *context = connect_bare();
    freeReplyObject(redisCommand(context, "FLUSHALL"));
    redisFree(context);
}

int main(void)
{
    static struct ages ages;
    double ours[3][BENCH_ROUNDS], theirs[3][BENCH_ROUNDS];
    const char *server = getenv("REMED_REDIS");
    const char *colon = server != NULL ? strrchr(server, ':') : NULL;
    require(colon != NULL && (size_t)(colon - server) < sizeof host,
            "REMED_REDIS names no server, as in 127.0.0.1:6379");
    memcpy(host, server, (size_t)(colon - server));
    port = atoi(colon + 1);
    for (unsigned i = 0; i < BENCH_ROUNDS; i++) {
        ours[0][i] = our_rate(next_stream());
        theirs[0][i] = their_rate(next_stream());
        clean();
        our_reader(next_stream(), &ages, start_ours);
        judge_ages(&ages, &ours[1][i], &ours[2][i]);
        their_reader(next_stream(), &ages, start_theirs);
        judge_ages(&ages, &theirs[1][i], &theirs[2][i]);
        clean();
    }
    bench_row("redis: publish, 1000 records/s", "XADD, 256 under way", ours[0], theirs[0], 0.9);
    bench_row("redis: age at 10,000/s, p50, us", "XADD, XREAD BLOCK", ours[1], theirs[1], 1.2);
    bench_row("redis: age at 10,000/s, p99, us", "XADD, XREAD BLOCK", ours[2], theirs[2], 1.2);
    return EXIT_SUCCESS;
}
