/* SPDX-License-Identifier: BSD-3-Clause */
/* The member of member.h. Threads: one a process. */
#include "conformance/member.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 60u

static volatile sig_atomic_t to_save, to_end;

struct running {
    struct remed_transport *transport;
    struct remed_replica *replica;
    struct member_counters *counters;
    const char *snapshot;
    uint64_t memory_before;
};

static void on_signal(int number)
{
    if (number == SIGUSR1)
        to_save = 1;
    else
        to_end = 1;
}

static struct member_counters *map_counters(const char *snapshot)
{
    char path[160];
    snprintf(path, sizeof path, "%s.counters", snapshot);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *mapped = MAP_FAILED;
    if (file >= 0 && ftruncate(file, sizeof(struct member_counters)) == 0)
        mapped =
            mmap(NULL, sizeof(struct member_counters), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED)
        live_die("%s can't be shared", path);
    close(file);
    return mapped;
}

static void show(struct running *running)
{
    struct remed_replica_stats stats;
    remed_replica_stats(running->replica, &stats, sizeof stats);
    atomic_store(&running->counters->entries, stats.entries);
    atomic_store(&running->counters->stale, stats.stale);
}

static void on_message(void *context, const struct remed_message *message)
{
    struct running *running = context;
    struct remed_error error;
    if (remed_replica_apply_message(running->replica, message, live_real(), &error) < 0)
        live_die("apply: %s", error.message);
    atomic_fetch_add(&running->counters->messages, 1);
    atomic_fetch_add(&running->counters->bytes, message->key_length + message->value_length);
}

static void on_caught_up(void *context)
{
    struct running *running = context;
    struct member_counters *counters = running->counters;
    atomic_store(&counters->at_marker, atomic_load(&counters->messages));
    atomic_store(&counters->bytes_at_marker, atomic_load(&counters->bytes));
    atomic_store(&counters->memory, live_memory() - running->memory_before);
    atomic_store(&counters->caught_up, live_now());
}

static void on_share(void *context, uint32_t partition, int gained)
{
    struct running *running = context;
    if (gained) {
        atomic_fetch_add(&running->counters->partitions, 1);
        return;
    }
    size_t released = remed_replica_release(running->replica, partition);
    atomic_fetch_add(&running->counters->released, released);
    atomic_fetch_sub(&running->counters->partitions, 1);
}

static void save(struct running *running)
{
    static char position[REMED_SNAPSHOT_POSITION_MAX + 1];
    struct remed_error error;
    to_save = 0;
    remed_transport_position(running->transport, position, sizeof position);
    if (remed_replica_save(running->replica, running->snapshot, position, &error) < 0)
        live_die("save: %s", error.message);
    show(running);
    atomic_fetch_add(&running->counters->saved, 1);
}

static void open_member(struct running *running, const char *uri, uint32_t max_entries)
{
    static char position[REMED_SNAPSHOT_POSITION_MAX + 1] = "begin";
    struct remed_transport_opts opts;
    struct remed_error error;
    live_opts(&opts);
    opts.events = (struct remed_transport_events){
        .context = running, .message = on_message, .caught_up = on_caught_up, .share = on_share};
    running->replica = live_replica(max_entries);
    if (access(running->snapshot, F_OK) == 0 &&
        remed_replica_load(running->replica, running->snapshot, position, sizeof position,
                           live_real(), &error) < 0)
        live_die("load: %s", error.message);
    running->memory_before = live_memory();
    running->transport = live_open(uri, &opts);
    live_subscribe(running->transport, position);
}

static int run(const char *uri, const char *snapshot, uint32_t max_entries)
{
    struct running running = {.snapshot = snapshot, .counters = map_counters(snapshot)};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    open_member(&running, uri, max_entries);
    while (!to_end) {
        live_drive(running.transport, 20);
        show(&running);
        if (to_save)
            save(&running);
    }
    remed_transport_close(running.transport, NULL);
    remed_replica_free(running.replica);
    munmap(running.counters, sizeof *running.counters);
    return EXIT_SUCCESS;
}

void member_main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "member") == 0)
        exit(run(argv[2], argv[3], (uint32_t)strtoul(argv[4], NULL, 10)));
}

void member_start(struct member *member, const char *uri, const char *folder, unsigned number,
                  uint32_t max_entries)
{
    char most[16];
    snprintf(most, sizeof most, "%u", max_entries);
    snprintf(member->snapshot, sizeof member->snapshot, "%s/member-%u", folder, number);
    member->counters = map_counters(member->snapshot);
    memset(member->counters, 0, sizeof *member->counters);
    member->started = live_now();
    fflush(stdout);
    member->process = fork();
    if (member->process == 0) {
        execl("/proc/self/exe", "member", "member", uri, member->snapshot, most, (char *)NULL);
        _exit(127);
    }
    if (member->process < 0)
        live_die("no process for a member");
}

void member_collect(struct member *member, struct remed_replica *into)
{
    static char position[REMED_SNAPSHOT_POSITION_MAX + 1];
    struct remed_error error;
    uint64_t before = atomic_load(&member->counters->saved);
    uint64_t limit = live_now() + PATIENCE_S * LIVE_SECOND;
    kill(member->process, SIGUSR1);
    while (atomic_load(&member->counters->saved) == before) {
        if (live_now() > limit || waitpid(member->process, NULL, WNOHANG) != 0)
            live_die("a member saves nothing");
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    if (remed_replica_load(into, member->snapshot, position, sizeof position, live_real(), &error) <
        0)
        live_die("%s: %s", member->snapshot, error.message);
}

void member_end(struct member *member, int signal_number)
{
    int status = 0;
    kill(member->process, signal_number);
    if (waitpid(member->process, &status, 0) < 0)
        live_die("a member is gone already");
    if (signal_number == SIGTERM && status != 0)
        live_die("a member ended with status %d", status);
    munmap(member->counters, sizeof *member->counters);
    member->counters = NULL;
    member->process = 0;
}
