/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The publisher among misfortunes: callbacks that publish again, a transport that leaves
 * publications without a report or refuses one for good, a spool whose disk is full, foreign files
 * in it. Every record that was taken is delivered, reported as lost, or kept.
 */
#include "unit/bindings.h"

#include <remediate/publisher.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MOST 4096u

/* The transport: takes `room` publications, delivers while `open`; `mute`, it never reports. */
static struct {
    struct remed_transport_events events;
    uint64_t tags[MOST];
    unsigned first, count, room, taken;
    bool open, mute;
    unsigned char refused; /* last byte of the inside address that it never takes; 0: none */
} peer;

static char folder[64];
static struct remed_publisher *again; /* what each report publishes to once more, or NULL */
static struct remed_record *record;
static struct remed_error error;
static uint64_t delivered, lost;
static unsigned repeats;
static int refusal;

static int peer_open(void **state, const struct remed_uri *uri,
                     const struct remed_transport_opts *opts,
                     const struct remed_transport_events *events, struct remed_error *ignored)
{
    (void)uri;
    (void)opts;
    (void)ignored;
    peer.events = *events;
    *state = &peer;
    return 0;
}

static int peer_publish(void *state, const struct remed_message *message, uint64_t tag,
                        struct remed_error *ignored)
{
    (void)state;
    (void)ignored;
    if (peer.refused != 0 && message->key[13] == peer.refused)
        return REMED_ELIMIT;
    if (peer.count == peer.room)
        return REMED_EBUSY;
    peer.taken++;
    peer.tags[(peer.first + peer.count++) % MOST] = tag;
    return 0;
}

static int peer_subscribe(void *state, const char *from, struct remed_error *ignored)
{
    (void)state;
    (void)from;
    (void)ignored;
    return 0;
}

static void end_all(int code)
{
    for (unsigned count = peer.count; count > 0; count--) {
        uint64_t tag = peer.tags[peer.first];
        peer.first = (peer.first + 1) % MOST;
        peer.count--;
        peer.events.delivered(peer.events.context, tag, code);
    }
}

static int peer_process(void *state, uint64_t now, struct remed_error *ignored)
{
    (void)state;
    (void)now;
    (void)ignored;
    if (peer.open)
        end_all(0);
    return 0;
}

static int peer_close(void *state, struct remed_error *ignored)
{
    (void)state;
    (void)ignored;
    if (!peer.mute)
        end_all(REMED_EIO);
    peer.first = peer.count = 0;
    return 0;
}

static const struct remed_transport_driver peer_driver = {
    .size = sizeof peer_driver,
    .scheme = "peer",
    .open = peer_open,
    .publish = peer_publish,
    .subscribe = peer_subscribe,
    .process = peer_process,
    .close = peer_close,
};

static int publish(struct remed_publisher *publisher, uint32_t number)
{
    make_binding(record, number, 1, REMED_OP_UPSERT, 0, 0, 0);
    return remed_publisher_publish(publisher, &record, 1, number, &error);
}

static void on_delivered(void *context, uint64_t tag, int code)
{
    (void)context;
    delivered += code == 0;
    lost += code != 0;
    if (again == NULL || repeats == 1000)
        return;
    repeats++;
    refusal = publish(again, (uint32_t)tag);
    CU_ASSERT(refusal == 1 || refusal == REMED_EINVAL);
}

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/remediate-spool-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    memset(&peer, 0, sizeof peer);
    peer.room = 16;
    delivered = lost = repeats = 0;
    refusal = 0;
    again = NULL;
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&record, NULL), 0);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CU_ASSERT_EQUAL(system(command), 0);
    remed_record_free(record);
    record = NULL;
}

static struct remed_publisher *make(const char *uri, bool spool)
{
    static const struct remed_transport_driver *const drivers[] = {&peer_driver};
    struct remed_publisher *made = NULL;
    struct remed_transport_opts transport;
    struct remed_publisher_opts opts;
    remed_transport_opts_init(&transport, sizeof transport);
    transport.drivers = drivers;
    transport.driver_count = 1;
    remed_publisher_opts_init(&opts, sizeof opts);
    opts.spool = spool ? folder : NULL;
    opts.spool_bytes = 1u << 20;
    opts.delivered = on_delivered;
    CU_ASSERT_EQUAL_FATAL(remed_publisher_new(&made, uri, &transport, &opts, &error), 0);
    return made;
}

static struct remed_publisher_stats stats_of(const struct remed_publisher *of)
{
    struct remed_publisher_stats stats;
    remed_publisher_stats(of, &stats, sizeof stats);
    return stats;
}

static void turn(struct remed_publisher *publisher, unsigned times)
{
    static uint64_t now = 1;
    for (; times > 0; times--)
        CU_ASSERT(remed_publisher_process(publisher, now += 200000000, &error) >= 0);
}

/* Each report publishes another: process comes back all the same, and closing takes none. */
static void published_within(void)
{
    char uri[96];
    snprintf(uri, sizeof uri, "file://%s/repository?sync=always", folder);
    const char *const uris[] = {"memory:", uri, "peer:"};
    for (unsigned i = 0; i < 3; i++) {
        struct remed_publisher *publisher = again = make(uris[i], false);
        peer.open = true;
        delivered = lost = repeats = 0;
        CU_ASSERT_EQUAL(publish(publisher, 1), 1);
        turn(publisher, 3);
        CU_ASSERT_EQUAL(delivered, 3);
        CU_ASSERT_EQUAL(stats_of(publisher).pending, 1);
        uint64_t before = repeats;
        (void)remed_publisher_close(publisher, NULL);
        CU_ASSERT_EQUAL(repeats, before + 1);
        CU_ASSERT_EQUAL(refusal, REMED_EINVAL);
        CU_ASSERT_EQUAL(delivered + lost, 4);
    }
}

/* A transport that closes without a word: kept, or without a spool lost. */
static void mute_transport(void)
{
    for (unsigned spool = 0; spool < 2; spool++) {
        struct remed_publisher *publisher = make("peer:", spool != 0);
        peer.mute = true;
        lost = 0;
        for (uint32_t i = 1; i <= 5; i++)
            CU_ASSERT_EQUAL(publish(publisher, i), 1);
        CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), spool != 0 ? 0 : REMED_EIO);
        CU_ASSERT_EQUAL(lost, spool != 0 ? 0 : 5);
    }
    peer.mute = false;
    peer.open = true;
    peer.taken = 0;
    struct remed_publisher *next = make("peer:", true);
    turn(next, 5);
    CU_ASSERT_EQUAL(peer.taken, 5);
    CU_ASSERT_EQUAL(remed_publisher_close(next, &error), 0);
}

/* What the transport refuses for good when it comes from the spool does not stop the rest. */
static void refused_from_the_spool(void)
{
    struct remed_publisher *publisher = make("peer:", true);
    for (uint32_t i = 1; i <= 100; i++)
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
    turn(publisher, 2);
    peer.refused = 50;
    peer.open = true;
    turn(publisher, 30);
    CU_ASSERT_EQUAL(delivered, 99);
    CU_ASSERT_EQUAL(lost, 1);
    CU_ASSERT_EQUAL(stats_of(publisher).pending, 0);
    CU_ASSERT_EQUAL(stats_of(publisher).waiting, 0);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), REMED_EIO);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* No more room on the disk: what could not be kept is reported, one by one. */
static void full_disk(void)
{
    struct remed_publisher *publisher = make("peer:", true);
    for (uint32_t i = 1; i <= 100; i++)
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
    turn(publisher, 2);
    limit_files(20000);
    for (uint32_t i = 101; i <= 400; i++)
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
    turn(publisher, 2);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), REMED_EIO);
    limit_files(RLIM_INFINITY);
    uint64_t missing = lost;
    CU_ASSERT(missing > 100 && missing <= 300); /* what found room whole is kept */
    peer.open = true;
    peer.taken = 0;
    publisher = make("peer:", true);
    turn(publisher, 30);
    CU_ASSERT_EQUAL(peer.taken + missing, 400);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
}

/* Segments that are none, or under another's name, cost what is in them, and are counted; the
 * others go. */
static void damaged_segments(void)
{
    char command[256];
    struct remed_publisher *publisher = make("peer:", true);
    for (uint32_t i = 1; i <= 6000; i++) {
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
        turn(publisher, i % 600 == 0);
    }
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    snprintf(command, sizeof command,
             "cd %s && set -- *.log && test $# -ge 6 && truncate -s 10 $2 && "
             "printf x | dd of=$4 bs=1 conv=notrunc 2>/dev/null && rm $5 && mkdir $5 && "
             "cp $6 00000001099511000000.log",
             folder);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
    peer.open = true;
    peer.taken = 0;
    peer.room = 1000;
    publisher = make("peer:", true);
    turn(publisher, 50);
    CU_ASSERT(peer.taken > 2000 && peer.taken < 6000);
    CU_ASSERT_EQUAL(stats_of(publisher).recovered, peer.taken);
    CU_ASSERT(stats_of(publisher).damaged > 500); /* three segments, and each that is misplaced */
    CU_ASSERT_EQUAL(stats_of(publisher).waiting, 0);
    CU_ASSERT_EQUAL(publish(publisher, 1), 1);
    turn(publisher, 5);
    CU_ASSERT_EQUAL(stats_of(publisher).pending, 0);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
}

/* A repository is no spool; a segment with a name beyond all offsets is no segment. */
static void foreign_folder(void)
{
    char uri[96], command[128];
    struct remed_publisher_opts opts;
    struct remed_publisher *publisher = NULL;
    snprintf(uri, sizeof uri, "file://%s", folder);
    publisher = make(uri, false);
    CU_ASSERT_EQUAL(publish(publisher, 1), 1);
    turn(publisher, 3);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    remed_publisher_opts_init(&opts, sizeof opts);
    opts.spool = folder;
    CU_ASSERT_EQUAL(remed_publisher_new(&publisher, "memory:", NULL, &opts, &error), REMED_EINVAL);
    snprintf(command, sizeof command, "cd %s && rm *.log && : >18446744073709551615.log", folder);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
    for (unsigned life = 0; life < 2; life++) {
        publisher = make("peer:", true);
        for (uint32_t i = 1; life == 0 && i <= 100; i++)
            CU_ASSERT_EQUAL(publish(publisher, i), 1);
        peer.open = life == 1;
        turn(publisher, 20);
        CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    }
    CU_ASSERT_EQUAL(peer.taken, 16 + 100);
}

static const struct test_case cases[] = {
    {"callbacks that publish", published_within},
    {"a transport that closes without reports", mute_transport},
    {"refused for good, from the spool", refused_from_the_spool},
    {"a full disk at closing", full_disk},
    {"segments of the spool that are none", damaged_segments},
    {"a folder that is no spool", foreign_folder},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"publisher among misfortunes", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
