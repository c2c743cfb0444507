/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Three readers follow a writer that begins a new segment every few dozen records: each has to get
 * every record, in order. The writer stays close before the readers, so that they are at the end of
 * a segment all the time; with `slow`, listing a folder takes long, so that segments come and go
 * while it is listed; with `compact`, they are replaced as well.
 *
 * Usage: file_race_check RECORDS FOLDER [slow] [compact]. The folder is made, and removed.
 */
#include <remediate/transport.h>

#include <dirent.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READERS 3u
#define PATIENCE_S 120u
#define BURST 7u

/* What the processes see of each other. */
static struct {
    volatile uint64_t received[READERS];
    volatile uint64_t failed;
} * shared;

static bool is_slow;
static uint32_t chance = 1;

static uint32_t draw(uint32_t below)
{
    chance = chance * 1664525u + 1013904223u;
    return (chance >> 8) % below;
}

static void pause_us(unsigned micros)
{
    const struct timespec time = {.tv_nsec = (long)micros * 1000};
    nanosleep(&time, NULL);
}

/* The linker puts these between the library and the system. */
struct dirent *__real_readdir(DIR *folder);
struct dirent *__wrap_readdir(DIR *folder);
struct dirent64 *__real_readdir64(DIR *folder);
struct dirent64 *__wrap_readdir64(DIR *folder);

static void dawdle(void)
{
    if (is_slow && draw(64) == 0)
        pause_us(200);
}

struct dirent *__wrap_readdir(DIR *folder)
{
    dawdle();
    return __real_readdir(folder);
}

struct dirent64 *__wrap_readdir64(DIR *folder)
{
    dawdle();
    return __real_readdir64(folder);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

struct end {
    unsigned number;
    uint64_t next, lost, jumps, repeats;
};

static void on_message(void *context, const struct remed_message *message)
{
    struct end *end = context;
    if (message->offset > end->next) {
        end->lost += message->offset - end->next;
        end->jumps++;
    } else if (message->offset < end->next)
        end->repeats++;
    end->next = message->offset + 1;
    shared->received[end->number] = end->next;
}

static struct remed_transport *open_uri(const char *uri, struct end *end)
{
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    struct remed_error error = {0};
    remed_transport_opts_init(&opts, sizeof opts);
    opts.events = (struct remed_transport_events){.context = end, .message = on_message};
    if (remed_transport_open(&transport, uri, &opts, &error) < 0) {
        printf("%s: %s\n", uri, error.message);
        _exit(2);
    }
    return transport;
}

/* Waits for the descriptor or the deadline. */
static void await(const struct remed_transport *transport)
{
    struct pollfd descriptor = {.fd = -1};
    uint64_t now = now_ns(), deadline = remed_transport_deadline(transport);
    descriptor.fd = remed_transport_fd(transport, &descriptor.events);
    if (deadline > now) {
        uint64_t wait = (deadline - now + 999999) / 1000000;
        poll(&descriptor, descriptor.fd >= 0, wait < 1000 ? (int)wait : 1000);
    }
}

static int read_all(const char *uri, unsigned number, uint64_t records)
{
    struct end end = {.number = number};
    struct remed_error error = {0};
    struct remed_transport_stats stats;
    struct remed_transport *transport = open_uri(uri, &end);
    uint64_t turns = 0, until = now_ns() + PATIENCE_S * 1000000000ull, seen = 0;
    chance = number + 1;
    int rc = remed_transport_subscribe(transport, "begin", &error);
    while (rc >= 0 && end.next < records && now_ns() < until && shared->failed == 0) {
        await(transport);
        rc = remed_transport_process(transport, now_ns(), &error);
        turns++;
        if (end.next != seen)
            until = now_ns() + PATIENCE_S * 1000000000ull;
        seen = end.next;
    }
    remed_transport_stats(transport, &stats, sizeof stats);
    remed_transport_close(transport, NULL);
    printf("reader %u: %llu records in %llu turns, %llu lost at %llu places, %llu repeated, %llu "
           "damaged %s\n",
           number, (unsigned long long)stats.received, (unsigned long long)turns,
           (unsigned long long)end.lost, (unsigned long long)end.jumps,
           (unsigned long long)end.repeats, (unsigned long long)stats.damaged, error.message);
    bool good =
        rc >= 0 && end.next == records && end.lost == 0 && end.repeats == 0 && stats.damaged == 0;
    if (!good)
        shared->failed = 1;
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static uint64_t slowest(void)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < READERS; i++)
        least = shared->received[i] < least ? shared->received[i] : least;
    return least;
}

/* Publishes by bursts, and never gets far before the slowest reader. */
static int write_all(const char *uri, uint64_t records)
{
    uint8_t value[60] = {0};
    struct end end = {.number = 0};
    struct remed_error error = {0};
    struct remed_transport *transport = open_uri(uri, &end);
    int rc = 0;
    for (uint64_t number = 0; number < records && rc >= 0 && shared->failed == 0; number++) {
        const struct remed_message message = {.key = (const uint8_t *)&number,
                                              .value = value,
                                              .key_length = sizeof number,
                                              .value_length = sizeof value};
        rc = remed_transport_publish(transport, &message, number, &error);
        if (rc == 0 && draw(BURST) == 0)
            rc = remed_transport_process(transport, now_ns(), &error);
        while (rc >= 0 && number > slowest() + 100 + draw(400) && shared->failed == 0) {
            rc = remed_transport_process(transport, now_ns(), &error);
            pause_us(20);
        }
    }
    if (rc >= 0)
        rc = remed_transport_close(transport, &error);
    if (rc < 0)
        printf("writer: %s\n", error.message);
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static bool run(const char *folder, uint64_t records, bool compacts)
{
    char uri[512];
    bool good = true;
    snprintf(uri, sizeof uri, "file://%s?segment=4KiB&sync=never&compact=%d", folder,
             compacts ? 3 : 0);
    fflush(stdout);
    for (unsigned i = 0; i < READERS; i++)
        if (fork() == 0) {
            int code = read_all(uri, i, records);
            fflush(stdout);
            _exit(code);
        }
    good = write_all(uri, records) == EXIT_SUCCESS;
    if (!good)
        shared->failed = 1;
    for (unsigned i = 0; i < READERS; i++) {
        int status = 0;
        wait(&status);
        good = good && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
    }
    return good;
}

int main(int argc, char **argv)
{
    char remove[512];
    bool compacts = false;
    if (argc < 3)
        return 2;
    for (int i = 3; i < argc; i++) {
        is_slow |= strcmp(argv[i], "slow") == 0;
        compacts |= strcmp(argv[i], "compact") == 0;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return EXIT_FAILURE;
    snprintf(remove, sizeof remove, "rm -rf %.400s", argv[2]);
    if (system(remove) != 0)
        return EXIT_FAILURE;
    uint64_t begun = now_ns();
    bool good = run(argv[2], strtoull(argv[1], NULL, 10), compacts);
    printf("%s records, %.1f s: %s\n", argv[1], (double)(now_ns() - begun) / 1e9,
           good ? "all passed" : "FAILED");
    if (system(remove) != 0)
        good = false;
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
