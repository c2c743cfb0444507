/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server that stops answering (SIGSTOP) and goes on later: no call of ours may block beyond what
 * docs/transports.md states, memory stays bounded, nothing is lost in the end.
 *
 * stop_check run URI PID SECONDS: publishes at a steady rate while the server stands still so long,
 * with one subscriber that was there and one that comes meanwhile.
 * stop_check close URI PID [GROUP-URI]: closes a publisher, a subscriber and a member of a group
 * while it stands still; what was reported as lost is published again.
 *
 * It fails on lost records, on memory, and on calls far beyond the stated bounds; it prints
 * figures.
 */
#include "conformance/live.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS 20000u
#define RATE 3000u     /* a second */
#define PENDING 16384u /* so that the queue fills within the stop */
#define PENDING_BYTES (8u << 20)
#define STEADY_S 3u           /* before and after the stop */
#define PATIENCE_S 120u       /* for what must come in the end */
#define LEFT_PENDING 5000u    /* when a publisher is closed */
#define CALL_LIMIT_MS 1000.0  /* stated: nothing blocks but closing */
#define CLOSE_LIMIT_MS 4000.0 /* stated: 1000 */
#define MEMORY_LIMIT_MB 64.0  /* growth while the server stands still */

static pid_t server;
static struct remed_record *record;
static struct remed_replica *expected;

struct end {
    struct remed_transport *transport;
    struct remed_replica *replica;
    uint64_t delivered, failed;
    bool caught_up;
    uint64_t *lost; /* tags of what was reported as lost; NULL: none may be */
};

/* Longest calls, ms. */
static struct {
    double open, publish, process, subscribe, close;
} longest;

static void note(double *most, uint64_t begin)
{
    double spent = (double)(live_now() - begin) * 1e-6;
    if (spent > *most)
        *most = spent;
}

static void let_go(void)
{
    kill(server, SIGCONT);
}

static void stand_still(void)
{
    if (kill(server, SIGSTOP) < 0)
        live_die("no server with this process number");
}

static void on_delivered(void *context, uint64_t tag, int code)
{
    struct end *end = context;
    end->delivered += code == 0;
    if (code < 0 && end->lost != NULL && end->failed < PENDING)
        end->lost[end->failed] = tag;
    end->failed += code < 0;
}

static void on_message(void *context, const struct remed_message *message)
{
    struct end *end = context;
    struct remed_error error;
    if (remed_replica_apply_message(end->replica, message, live_real(), &error) < 0)
        live_die("apply: %s", error.message);
}

static void on_caught_up(void *context)
{
    ((struct end *)context)->caught_up = true;
}

/* A publisher, or a subscriber from the beginning. */
static void open_end(struct end *end, const char *uri, bool subscribes)
{
    struct remed_transport_opts opts;
    memset(end, 0, sizeof *end);
    live_opts(&opts);
    opts.max_pending = PENDING;
    opts.max_pending_bytes = PENDING_BYTES;
    opts.events = (struct remed_transport_events){.context = end,
                                                  .delivered = on_delivered,
                                                  .message = on_message,
                                                  .caught_up = on_caught_up};
    uint64_t begin = live_now();
    end->transport = live_open(uri, &opts);
    note(&longest.open, begin);
    if (!subscribes)
        return;
    end->replica = live_replica(2 * KEYS);
    begin = live_now();
    live_subscribe(end->transport, "begin");
    note(&longest.subscribe, begin);
}

static void close_end(struct end *end)
{
    uint64_t begin = live_now();
    remed_transport_close(end->transport, NULL);
    note(&longest.close, begin);
    end->transport = NULL;
}

static void process(struct end *end)
{
    uint64_t begin = live_now();
    live_drive(end->transport, 0);
    note(&longest.process, begin);
}

/* False when the queue is full. */
static bool publish(struct end *end, uint64_t number)
{
    live_binding(record, (uint32_t)(number % KEYS), number + 1);
    uint64_t begin = live_now();
    int rc = live_publish(end->transport, record, number);
    note(&longest.publish, begin);
    if (rc == 0 && remed_replica_apply_record(expected, record, live_real(), NULL) < 0)
        live_die("the expected table is full");
    return rc == 0;
}

static void until_caught_up(struct end *end)
{
    uint64_t limit = live_now() + PATIENCE_S * LIVE_SECOND;
    while (!end->caught_up && live_now() < limit)
        live_drive(end->transport, 100);
    if (!end->caught_up)
        live_die("not caught up after %u s", PATIENCE_S);
}

static void until_reported(struct end *end, uint64_t published)
{
    uint64_t limit = live_now() + PATIENCE_S * LIVE_SECOND;
    while (end->delivered + end->failed < published && live_now() < limit)
        live_drive(end->transport, 100);
    if (end->delivered + end->failed < published)
        live_die("%llu of %llu publications without a report after %u s",
                 (unsigned long long)(published - end->delivered - end->failed),
                 (unsigned long long)published, PATIENCE_S);
}

/* What the repository holds now is what was published, as a newcomer sees it. */
static void check_repository(const char *uri)
{
    struct end reader;
    open_end(&reader, uri, true);
    until_caught_up(&reader);
    if (!live_audit("  a new reader", expected, reader.replica))
        live_die("records are lost");
    close_end(&reader);
    remed_replica_free(reader.replica);
}

static void check_calls(void)
{
    printf(
        "  longest call, ms: open %.1f, publish %.1f, process %.1f, subscribe %.1f, close %.1f\n",
        longest.open, longest.publish, longest.process, longest.subscribe, longest.close);
    if (longest.open > CALL_LIMIT_MS || longest.publish > CALL_LIMIT_MS ||
        longest.process > CALL_LIMIT_MS || longest.subscribe > CALL_LIMIT_MS)
        live_die("a call took more than %.0f ms", CALL_LIMIT_MS);
    if (longest.close > CLOSE_LIMIT_MS)
        live_die("a close took more than %.0f ms", CLOSE_LIMIT_MS);
}

static void check_memory(uint64_t before)
{
    double grown = (double)(live_memory_peak() - before) / 1048576.0;
    printf("  memory grew by at most %.1f MB\n", grown);
#if defined(__SANITIZE_ADDRESS__)
    puts("  memory is not judged: the sanitizer keeps what was freed");
#else
    if (grown > MEMORY_LIMIT_MB)
        live_die("memory grew by more than %.0f MB", MEMORY_LIMIT_MB);
#endif
}

static void rest_until(uint64_t due)
{
    uint64_t now = live_now();
    if (due > now)
        nanosleep(&(struct timespec){.tv_nsec = (long)(due - now)}, NULL);
}

/* Publishes for so long at the rate, as far as the queue takes it; returns the next number. */
static uint64_t publish_steadily(struct end *publisher, struct end *readers, unsigned reader_count,
                                 double seconds, uint64_t number)
{
    uint64_t begin = live_now(), wanted = 0, taken = 0;
    uint64_t end = begin + (uint64_t)(seconds * 1e9);
    for (uint64_t due = begin; due < end; due += 2000000) {
        rest_until(due);
        for (wanted += RATE / 500; taken < wanted; taken++)
            if (!publish(publisher, number + taken))
                break;
        if (taken < wanted)
            wanted = taken; /* busy: that is what back-pressure is for */
        process(publisher);
        for (unsigned i = 0; i < reader_count; i++)
            process(&readers[i]);
    }
    return number + taken;
}

static void run(const char *uri, unsigned seconds)
{
    struct end publisher, readers[2];
    struct remed_transport_stats stats;
    open_end(&publisher, uri, false);
    open_end(&readers[0], uri, true);
    uint64_t number = publish_steadily(&publisher, readers, 1, STEADY_S, 0);
    memset(&longest, 0, sizeof longest);
    uint64_t before = live_memory();
    printf("standing still for %u s, %u records a second\n", seconds, RATE);
    fflush(stdout);
    stand_still();
    number = publish_steadily(&publisher, readers, 1, seconds / 2.0, number);
    open_end(&readers[1], uri, true);
    number = publish_steadily(&publisher, readers, 2, seconds / 2.0, number);
    let_go();
    number = publish_steadily(&publisher, readers, 2, STEADY_S, number);
    until_reported(&publisher, number);
    remed_transport_stats(publisher.transport, &stats, sizeof stats);
    printf("  published %llu, delivered %llu, lost %llu; %llu times busy\n",
           (unsigned long long)number, (unsigned long long)publisher.delivered,
           (unsigned long long)publisher.failed, (unsigned long long)stats.refused);
    check_memory(before);
    if (publisher.failed != 0 || publisher.delivered != number)
        live_die("records were given up");
    until_caught_up(&readers[1]);
    close_end(&publisher);
    for (unsigned i = 0; i < 2; i++) {
        close_end(&readers[i]);
        remed_replica_free(readers[i].replica);
    }
    check_calls();
    check_repository(uri);
}

static void publish_all(struct end *publisher, const uint64_t *numbers, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        while (!publish(publisher, numbers != NULL ? numbers[i] : i))
            live_drive(publisher->transport, 100);
}

/* A subscriber that the server has told nothing yet. */
static void close_newcomer(const char *uri)
{
    struct end newcomer;
    open_end(&newcomer, uri, true);
    process(&newcomer);
    longest.close = 0;
    close_end(&newcomer);
    printf("  a subscriber that just came closed in %.1f ms\n", longest.close);
    remed_replica_free(newcomer.replica);
}

static void close_while_standing(const char *uri, struct end *publisher, struct end *reader,
                                 struct end *member)
{
    double most = 0;
    stand_still();
    for (uint64_t i = 0; i < LEFT_PENDING; i++)
        (void)publish(publisher, KEYS + i);
    process(publisher);
    memset(&longest, 0, sizeof longest);
    close_end(publisher);
    printf("  a publisher with %u pending closed in %.1f ms, %llu reported as lost\n", LEFT_PENDING,
           longest.close, (unsigned long long)publisher->failed);
    most = longest.close;
    longest.close = 0;
    close_end(reader);
    printf("  a subscriber closed in %.1f ms\n", longest.close);
    most = longest.close > most ? longest.close : most;
    close_newcomer(uri);
    most = longest.close > most ? longest.close : most;
    if (member->transport != NULL) {
        longest.close = 0;
        close_end(member);
        printf("  a member of a group closed in %.1f ms\n", longest.close);
    }
    longest.close = longest.close > most ? longest.close : most;
    let_go();
}

static void run_close(const char *uri, const char *group_uri)
{
    static uint64_t lost[PENDING];
    struct end publisher, reader, member = {.transport = NULL};
    puts("closing while the server stands still");
    open_end(&publisher, uri, false);
    publisher.lost = lost;
    publish_all(&publisher, NULL, KEYS);
    until_reported(&publisher, KEYS);
    open_end(&reader, uri, true);
    until_caught_up(&reader);
    if (group_uri != NULL) {
        open_end(&member, group_uri, true);
        until_caught_up(&member);
    }
    close_while_standing(uri, &publisher, &reader, &member);
    if (publisher.delivered + publisher.failed != KEYS + LEFT_PENDING)
        live_die(
            "%llu publications without a report",
            (unsigned long long)(KEYS + LEFT_PENDING - publisher.delivered - publisher.failed));
    uint64_t count = publisher.failed;
    open_end(&publisher, uri, false);
    publish_all(&publisher, lost, count);
    until_reported(&publisher, count);
    close_end(&publisher);
    check_calls();
    check_repository(uri);
    remed_replica_free(reader.replica);
    remed_replica_free(member.replica);
}

int main(int argc, char **argv)
{
    bool runs = argc == 5 && strcmp(argv[1], "run") == 0;
    if (!runs && (argc < 4 || argc > 5 || strcmp(argv[1], "close") != 0)) {
        fputs("usage: stop_check run URI PID SECONDS | close URI PID [GROUP-URI]\n", stderr);
        return 2;
    }
    server = (pid_t)strtol(argv[3], NULL, 10);
    if (server <= 1 || remed_record_new(&record, NULL) < 0)
        live_die("'%s' is no process", argv[3]);
    atexit(let_go);
    expected = live_replica(2 * KEYS);
    if (runs)
        run(argv[2], (unsigned)strtoul(argv[4], NULL, 10));
    else
        run_close(argv[2], argv[4]);
    remed_replica_free(expected);
    remed_record_free(record);
    return EXIT_SUCCESS;
}
