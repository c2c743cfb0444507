/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replicas that share a repository as one group: twelve partitions, three members, each key on
 * exactly one of them with its newest value. One is killed with -9, one is added, one leaves;
 * updates keep coming meanwhile. After each step the union of the members' snapshots is audited
 * against the whole, and the sum of their entries is the number of keys, so no key is on two.
 *
 * group_check URI FOLDER KEYS: the URI without the group; FOLDER for snapshots.
 */
#include "conformance/member.h"
#include "conformance/source.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PARTITIONS 12u
#define MEMBERS 4u
#define PATIENCE_S 120u

static const char *uri, *folder;
static char group_uri[1024];
static struct member members[MEMBERS];
static struct source source;

static bool is_whole(void)
{
    uint64_t entries = 0, partitions = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (members[i].process == 0)
            continue;
        uint64_t share = atomic_load(&members[i].counters->partitions);
        if (share == 0)
            return false;
        partitions += share;
        entries += atomic_load(&members[i].counters->entries);
    }
    return entries == source.keys && partitions == PARTITIONS;
}

/* Updates until the members hold the whole between them; prints how long that took. */
static void until_whole(const char *step)
{
    uint64_t begin = live_now(), limit = begin + PATIENCE_S * LIVE_SECOND;
    while (!is_whole() && live_now() < limit)
        source_update(&source, 10);
    if (!is_whole())
        live_die("%s: not whole after %u s", step, PATIENCE_S);
    printf("%s: whole after %.1f s;", step, (double)(live_now() - begin) * 1e-9);
    for (unsigned i = 0; i < MEMBERS; i++)
        if (members[i].process != 0)
            printf(" %llu in %llu partitions",
                   (unsigned long long)atomic_load(&members[i].counters->entries),
                   (unsigned long long)atomic_load(&members[i].counters->partitions));
    putchar('\n');
}

static bool are_exactly_the_whole(void)
{
    struct remed_replica *together = live_replica(source.keys + 16);
    uint64_t entries = 0;
    for (unsigned i = 0; i < MEMBERS; i++)
        if (members[i].process != 0) {
            member_collect(&members[i], together);
            entries += atomic_load(&members[i].counters->entries);
            if (atomic_load(&members[i].counters->stale) != 0)
                live_die("member %u saw a key go back", i);
        }
    bool equal = live_audit("  together", source.expected, together);
    remed_replica_free(together);
    return equal && entries == source.keys;
}

/* What was published last may still be on its way, so an audit that differs is made again. */
static void audit(void)
{
    uint64_t limit = live_now() + PATIENCE_S * LIVE_SECOND;
    source_await(&source);
    while (!are_exactly_the_whole())
        if (live_now() > limit)
            live_die("the members are not the whole");
    fflush(stdout);
}

static void start(unsigned number)
{
    member_start(&members[number], group_uri, folder, number, source.keys + 16);
}

static void run_steps(void)
{
    for (unsigned i = 0; i < 3; i++)
        start(i);
    until_whole("three members");
    audit();
    member_end(&members[0], SIGKILL);
    until_whole("one killed with -9");
    audit();
    start(3);
    until_whole("one added");
    audit();
    if (atomic_load(&members[1].counters->released) + atomic_load(&members[2].counters->released) ==
        0)
        live_die("no share moved to the new member");
    member_end(&members[1], SIGTERM);
    until_whole("one left");
    audit();
    member_end(&members[2], SIGTERM);
    member_end(&members[3], SIGTERM);
}

int main(int argc, char **argv)
{
    member_main(argc, argv);
    if (argc != 4) {
        fputs("usage: group_check URI FOLDER KEYS\n", stderr);
        return 2;
    }
    uri = argv[1];
    folder = argv[2];
    unsigned long keys = strtoul(argv[3], NULL, 10);
    if (keys < 1000 || keys > 1u << 24)
        live_die("'%s' is no number of keys", argv[3]);
    snprintf(group_uri, sizeof group_uri, "%s&group=replicas-%ld", uri, (long)getpid());
    source_open(&source, uri, (uint32_t)keys);
    source_publish_all(&source);
    run_steps();
    source_close(&source);
    return EXIT_SUCCESS;
}
