/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file transport under faults: the publisher killed with -9 at 200 random moments, a full disk,
 * flipped bits. What was acknowledged must be there; what is refused must be counted.
 */
#include <remediate/transport.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLS 200u
#define KEYS 64u

static char folder[64];
static unsigned failed;

#define CHECK(holds)                                                                               \
    do {                                                                                           \
        if (!(holds)) {                                                                            \
            printf("%s:%d: %s\n", __func__, __LINE__, #holds);                                     \
            failed++;                                                                              \
        }                                                                                          \
    } while (0)

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

struct seen {
    uint64_t newest[KEYS]; /* by key: the greatest number */
    uint64_t messages;
    bool caught_up;
    uint64_t delivered, lost;
    int acknowledge; /* where delivered numbers are written, or -1 */
};

static void on_delivered(void *context, uint64_t tag, int code)
{
    struct seen *seen = context;
    seen->delivered += code == 0;
    seen->lost += code != 0;
    if (code == 0 && seen->acknowledge >= 0 &&
        write(seen->acknowledge, &tag, sizeof tag) != (ssize_t)sizeof tag)
        _exit(3);
}

static void on_message(void *context, const struct remed_message *message)
{
    struct seen *seen = context;
    uint64_t number;
    memcpy(&number, message->value, sizeof number);
    uint8_t key = message->key[0];
    if (key < KEYS && number > seen->newest[key])
        seen->newest[key] = number;
    seen->messages++;
}

static void on_caught_up(void *context)
{
    ((struct seen *)context)->caught_up = true;
}

static struct remed_transport *open_uri(const char *uri, struct seen *seen, uint64_t max_bytes)
{
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    struct remed_error error = {0};
    remed_transport_opts_init(&opts, sizeof opts);
    opts.events = (struct remed_transport_events){.context = seen,
                                                  .delivered = on_delivered,
                                                  .message = on_message,
                                                  .caught_up = on_caught_up};
    if (max_bytes != 0)
        opts.max_pending_bytes = max_bytes;
    if (remed_transport_open(&transport, uri, &opts, &error) < 0)
        printf("%s: %s\n", uri, error.message);
    return transport;
}

static int publish(struct remed_transport *transport, uint64_t number, size_t size,
                   struct remed_error *error)
{
    static uint8_t value[4096];
    uint8_t key = (uint8_t)(number % KEYS);
    memcpy(value, &number, sizeof number);
    const struct remed_message message = {
        .key = &key, .value = value, .key_length = 1, .value_length = size};
    return remed_transport_publish(transport, &message, number, error);
}

/* Publishes until it is killed; numbers that are acknowledged go to the pipe. */
static void publish_for_ever(const char *uri, uint64_t from, int pipe)
{
    struct seen seen = {.acknowledge = pipe};
    struct remed_transport *transport = open_uri(uri, &seen, 0);
    if (transport == NULL)
        _exit(2);
    for (uint64_t number = from;; number++) {
        while (publish(transport, number, 8 + number % 300, NULL) < 0)
            remed_transport_process(transport, now_ns(), NULL);
        if (number % 17 == 0)
            remed_transport_process(transport, now_ns(), NULL);
    }
}

static void read_all(const char *uri, struct seen *seen, struct remed_transport_stats *stats)
{
    struct remed_error error = {0};
    *seen = (struct seen){.acknowledge = -1};
    struct remed_transport *transport = open_uri(uri, seen, 0);
    CHECK(transport != NULL && remed_transport_subscribe(transport, "begin", &error) == 0);
    while (transport != NULL && !seen->caught_up &&
           remed_transport_process(transport, now_ns(), &error) >= 0)
        continue;
    CHECK(seen->caught_up);
    if (stats != NULL)
        remed_transport_stats(transport, stats, sizeof *stats);
    remed_transport_close(transport, NULL);
}

/* One life: returns the greatest number acknowledged, and keeps that of each key. */
static uint64_t live_and_die(const char *uri, uint64_t from, unsigned micros,
                             uint64_t *acknowledged)
{
    int ends[2];
    uint64_t number, greatest = from;
    if (pipe(ends) < 0)
        exit(EXIT_FAILURE);
    pid_t child = fork();
    if (child == 0)
        publish_for_ever(uri, from, ends[1]);
    close(ends[1]);
    const struct timespec life = {.tv_sec = 0, .tv_nsec = (long)micros * 1000};
    nanosleep(&life, NULL);
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    while (read(ends[0], &number, sizeof number) == (ssize_t)sizeof number) {
        acknowledged[number % KEYS] = number;
        greatest = number > greatest ? number : greatest;
    }
    close(ends[0]);
    return greatest;
}

static void kills(void)
{
    uint64_t acknowledged[KEYS] = {0}, number = 1, messages = 0;
    unsigned missing = 0;
    struct seen seen;
    char uri[256];
    snprintf(uri, sizeof uri, "file://%s/kills?sync=1ms&segment=256KiB&compact=3", folder);
    srand(42);
    for (unsigned i = 0; i < KILLS; i++) {
        /* beyond what was acknowledged there may be more: numbers never come twice */
        number = live_and_die(uri, number, 2000 + (unsigned)rand() % 30000, acknowledged) + 1000000;
        read_all(uri, &seen, NULL);
        messages += seen.messages;
        for (unsigned key = 0; key < KEYS; key++)
            missing += seen.newest[key] < acknowledged[key];
    }
    printf("%u kills, %llu records read back, %u acknowledged ones missing\n", KILLS,
           (unsigned long long)messages, missing);
    CHECK(missing == 0);
    CHECK(messages > 0);
}

/* A disk of three megabytes: publish until nothing goes, make room, and all that was taken arrives.
 */
static void full_disk(void)
{
    char mount_point[128], uri[256], filler[160];
    struct seen seen = {.acknowledge = -1}, after;
    struct remed_error error = {0};
    snprintf(mount_point, sizeof mount_point, "%s/small", folder);
    snprintf(uri, sizeof uri, "file://%s/log?sync=always&compact=0", mount_point);
    snprintf(filler, sizeof filler, "%s/filler", mount_point);
    if (mkdir(mount_point, 0777) < 0 || mount("tmpfs", mount_point, "tmpfs", 0, "size=3m") < 0) {
        printf("left out: no small disk can be mounted here\n");
        return;
    }
    int fd = open(filler, O_WRONLY | O_CREAT, 0666);
    CHECK(fd >= 0 && ftruncate(fd, 0) == 0 && posix_fallocate(fd, 0, 2700 << 10) == 0);
    struct remed_transport *transport = open_uri(uri, &seen, 1u << 20);
    uint64_t taken = 0;
    int rc = 0;
    for (; taken < 100000 && rc == 0; taken += rc == 0) {
        rc = publish(transport, taken + 1, 1000, &error);
        CHECK(remed_transport_process(transport, now_ns(), NULL) >= 0);
    }
    CHECK(rc == REMED_EBUSY);
    CHECK(strstr(error.message, "space") != NULL);
    uint64_t before = seen.delivered;
    CHECK(before > 0 && before < taken && seen.lost == 0);
    close(fd);
    unlink(filler); /* room again */
    for (unsigned i = 0; i < 2000 && seen.delivered < taken; i++) {
        const struct timespec pause = {.tv_nsec = 1000000};
        if (remed_transport_process(transport, now_ns(), NULL) < 0)
            break;
        nanosleep(&pause, NULL);
    }
    uint64_t delivered = seen.delivered;
    CHECK(remed_transport_close(transport, NULL) == 0);
    CHECK(delivered == taken && seen.lost == 0);
    CHECK(seen.delivered + seen.lost == taken);
    read_all(uri, &after, NULL);
    CHECK(after.messages == seen.delivered);
    printf("full disk: %llu taken, %llu delivered before there was room, %llu in the end, %llu "
           "reported lost\n",
           (unsigned long long)taken, (unsigned long long)before,
           (unsigned long long)seen.delivered, (unsigned long long)seen.lost);
    umount(mount_point);
}

/* Flips one bit of a segment; returns false when there is none. */
static bool flip(const char *path, unsigned which)
{
    DIR *open_folder = opendir(path);
    const struct dirent *entry;
    char name[512] = "";
    while (open_folder != NULL && (entry = readdir(open_folder)) != NULL)
        if (strstr(entry->d_name, ".log") != NULL)
            snprintf(name, sizeof name, "%.200s/%.200s", path, entry->d_name);
    if (open_folder != NULL)
        closedir(open_folder);
    int fd = open(name, O_RDWR);
    struct stat status;
    uint8_t byte;
    bool done = fd >= 0 && fstat(fd, &status) == 0 && status.st_size > 200;
    if (done) {
        off_t at = 24 + (off_t)(which * 7919u) % (status.st_size - 24);
        done = pread(fd, &byte, 1, at) == 1;
        byte ^= (uint8_t)(1u << which % 8);
        done = done && pwrite(fd, &byte, 1, at) == 1;
    }
    if (fd >= 0)
        close(fd);
    return done;
}

/* A flipped bit costs the record that it is in, and is counted; the log goes on. */
static void flipped_bits(void)
{
    for (unsigned i = 0; i < 50; i++) {
        char path[128], uri[256];
        struct seen seen = {.acknowledge = -1}, after;
        struct remed_transport_stats stats;
        snprintf(path, sizeof path, "%s/bits%u", folder, i);
        snprintf(uri, sizeof uri, "file://%s?sync=always&compact=0", path);
        struct remed_transport *transport = open_uri(uri, &seen, 0);
        for (uint64_t number = 1; number <= 100; number++)
            CHECK(publish(transport, number, 50, NULL) == 0);
        CHECK(remed_transport_close(transport, NULL) == 0);
        CHECK(seen.delivered == 100);
        CHECK(flip(path, i));
        seen.delivered = 0;
        transport = open_uri(uri, &seen, 0); /* a writer opens it again, and goes on */
        CHECK(publish(transport, 1000, 50, NULL) == 0);
        CHECK(remed_transport_close(transport, NULL) == 0);
        CHECK(seen.delivered == 1);
        read_all(uri, &after, &stats);
        CHECK(after.newest[1000 % KEYS] == 1000);
        if (after.messages < 100)
            printf("bit %u: %llu records read\n", i, (unsigned long long)after.messages);
        CHECK(after.messages >= 100 && after.messages <= 101);
    }
}

int main(void)
{
    char remove[128];
    snprintf(folder, sizeof folder, "/tmp/remediate-faults-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    kills();
    full_disk();
    flipped_bits();
    snprintf(remove, sizeof remove, "rm -rf %s", folder);
    if (system(remove) != 0)
        failed++;
    printf("%s\n", failed == 0 ? "all passed" : "some FAILED");
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
