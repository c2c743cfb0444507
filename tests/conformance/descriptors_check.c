/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nothing of the host's is closed, and nothing of a transport's is left open: on each URI, with the
 * descriptors 0 to 2 open and closed before, while the host opens others in between; also where
 * opening fails. Usage: descriptors_check URI...
 */
#include "conformance/live.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOSTS_MOST 32u

/* The host's own: each a file that no other descriptor is. */
static struct {
    int number;
    ino_t inode;
} hosts[HOSTS_MOST];
static unsigned host_count;

static void host_opens(void)
{
    struct stat status;
    int number = memfd_create("host", MFD_CLOEXEC);
    if (number < 0 || fstat(number, &status) < 0 || host_count == HOSTS_MOST)
        _exit(10);
    hosts[host_count].number = number;
    hosts[host_count++].inode = status.st_ino;
}

/* 0, or which of the host's is gone. */
static int missing(void)
{
    struct stat status;
    for (unsigned i = 0; i < host_count; i++)
        if (fstat(hosts[i].number, &status) < 0 || status.st_ino != hosts[i].inode)
            return 20 + (int)i;
    return 0;
}

static unsigned open_count(void)
{
    unsigned count = 0;
    for (int number = 0; number < 1024; number++)
        count += fcntl(number, F_GETFD) >= 0;
    return count;
}

struct ends {
    uint64_t delivered;
    bool caught_up;
};

static void on_delivered(void *context, uint64_t tag, int code)
{
    (void)tag;
    ((struct ends *)context)->delivered += code == 0;
}

static void on_caught_up(void *context)
{
    ((struct ends *)context)->caught_up = true;
}

/* Publishes and reads; what is not done in a minute is a failure. */
static int use(struct remed_transport *transport, const struct ends *ends)
{
    const struct remed_message message = {.key = (const uint8_t *)"key",
                                          .key_length = 3,
                                          .value = (const uint8_t *)"value",
                                          .value_length = 5};
    uint64_t limit = live_now() + 60 * LIVE_SECOND;
    if (remed_transport_publish(transport, &message, 1, NULL) < 0)
        return 11;
    host_opens();
    while (ends->delivered == 0 && live_now() < limit)
        if (remed_transport_process(transport, live_now(), NULL) < 0)
            return 12;
    host_opens();
    if (remed_transport_subscribe(transport, "begin", NULL) < 0)
        return 13;
    host_opens();
    while (!ends->caught_up && live_now() < limit)
        if (remed_transport_process(transport, live_now(), NULL) < 0)
            return 14;
    return ends->delivered == 1 && ends->caught_up ? 0 : 15;
}

static int run(const char *uri, bool closed)
{
    static const char *const failing[] = {"redis://h:0/s", "kafka://h:9/t?nonsense=1",
                                          "rediss://h/s?cafile=/nowhere", "file:///proc/nowhere/x"};
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    struct ends ends = {.delivered = 0};
    for (int number = 0; closed && number < 3; number++)
        close(number);
    unsigned before = open_count();
    live_opts(&opts);
    for (unsigned i = 0; i < sizeof failing / sizeof *failing; i++)
        if (remed_transport_open(&transport, failing[i], &opts, NULL) == 0)
            remed_transport_close(transport, NULL); /* some fail later */
    if (open_count() != before)
        return 16;
    opts.events = (struct remed_transport_events){
        .context = &ends, .delivered = on_delivered, .caught_up = on_caught_up};
    host_opens();
    if (remed_transport_open(&transport, uri, &opts, NULL) < 0)
        return 17;
    host_opens();
    int rc = use(transport, &ends);
    host_opens();
    remed_transport_close(transport, NULL);
    if (rc == 0)
        rc = missing();
    return rc == 0 && open_count() != before + host_count ? 18 : rc;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++)
        for (int closed = 0; closed < 2; closed++) {
            int status = 0;
            fflush(stdout);
            pid_t child = fork();
            if (child == 0)
                _exit(run(argv[i], closed != 0));
            waitpid(child, &status, 0);
            int code = WIFEXITED(status) ? WEXITSTATUS(status) : 99;
            printf("  %.5s...: descriptors 0 to 2 %s before ... %s (%d)\n", argv[i],
                   closed != 0 ? "closed" : "open", code == 0 ? "passed" : "FAILED", code);
            failed += code != 0;
        }
    return failed == 0 && argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
