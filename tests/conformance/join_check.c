/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A replica that joins while flows live and updates keep coming, 5,000 a second: how long until it
 * has caught up, how much it is handed, and that its table is the publisher's in the end. Then the
 * same under faults: the replica killed with -9 in the middle of its joining and started again;
 * killed with -9 after a snapshot and started from it; the server killed with -9 in the middle.
 *
 * join_check URI FOLDER FLOWS PID: FOLDER for snapshots; PID is the server's, which the caller
 * starts again after it was killed.
 */
#include "conformance/member.h"
#include "conformance/source.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define PATIENCE_S 120u
#define PART 3u /* the middle: a third of the flows has come */
#define STEADY_MS 2000u

static const char *uri, *folder;
static struct source source;
static struct member member;
static unsigned number;

static void start(void)
{
    member_start(&member, uri, folder, number, source.keys + 16);
}

static void until_in_the_middle(void)
{
    uint64_t limit = live_now() + PATIENCE_S * LIVE_SECOND;
    while (atomic_load(&member.counters->messages) < source.keys / PART)
        if (live_now() > limit)
            live_die("the replica is handed nothing");
        else
            source_update(&source, 1);
}

static void until_caught_up(const char *step)
{
    uint64_t limit = live_now() + PATIENCE_S * LIVE_SECOND;
    while (atomic_load(&member.counters->caught_up) == 0)
        if (live_now() > limit)
            live_die("%s: not caught up after %u s", step, PATIENCE_S);
        else
            source_update(&source, 1);
    printf("%s: caught up after %.2f s with %llu messages, %.1f MB of keys and values\n", step,
           (double)(atomic_load(&member.counters->caught_up) - member.started) * 1e-9,
           (unsigned long long)atomic_load(&member.counters->at_marker),
           (double)atomic_load(&member.counters->bytes_at_marker) * 1e-6);
}

static bool is_equal(void)
{
    struct remed_replica *found = live_replica(source.keys + 16);
    member_collect(&member, found);
    bool equal = live_audit("  replica", source.expected, found);
    remed_replica_free(found);
    return equal;
}

/* Goes on for a while, then compares; what was published last may still be on its way. */
static void audit(void)
{
    uint64_t limit = live_now() + PATIENCE_S * LIVE_SECOND;
    source_update(&source, STEADY_MS);
    source_await(&source);
    while (!is_equal())
        if (live_now() > limit)
            live_die("the replica is not what was published");
    fflush(stdout);
}

static void join(void)
{
    start();
    until_caught_up("joined");
    audit();
    member_end(&member, SIGTERM);
    number++;
}

static void join_after_kill(void)
{
    start();
    until_in_the_middle();
    member_end(&member, SIGKILL);
    start();
    until_caught_up("killed with -9 on the way, joined again");
    audit(); /* leaves a snapshot */
    member_end(&member, SIGKILL);
    source_update(&source, STEADY_MS);
    start();
    until_caught_up("killed with -9, joined again from its snapshot");
    if (atomic_load(&member.counters->at_marker) > source.keys)
        live_die("it was handed all of it again");
    audit();
    member_end(&member, SIGTERM);
    number++;
}

static void join_without_server(pid_t server)
{
    start();
    until_in_the_middle();
    if (kill(server, SIGKILL) < 0)
        live_die("no server with this process number");
    until_caught_up("server killed with -9 on the way");
    audit();
    member_end(&member, SIGTERM);
}

int main(int argc, char **argv)
{
    member_main(argc, argv);
    if (argc != 5) {
        fputs("usage: join_check URI FOLDER FLOWS PID\n", stderr);
        return 2;
    }
    uri = argv[1];
    folder = argv[2];
    unsigned long flows = strtoul(argv[3], NULL, 10);
    pid_t server = (pid_t)strtol(argv[4], NULL, 10);
    if (flows < 1000 || flows > 1u << 24 || server <= 1)
        live_die("FLOWS or PID is out of range");
    source_open(&source, uri, (uint32_t)flows);
    source_publish_all(&source);
    join();
    join_after_kill();
    join_without_server(server);
    source_close(&source);
    return EXIT_SUCCESS;
}
