/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The publisher: what it fills in, back-pressure, the spool and its order over outages, closings
 * and deaths, and that every record is accounted for. The transport is one of the test's own, whose
 * gate opens and closes at will; the real ones are in the conformance tests and scripts.
 */
#include "unit/bindings.h"

#include <remediate/publisher.h>
#include <remediate/repository.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 200000u

/* What arrived, in order: of each message the number of its inside address and its sequence. */
static struct {
    uint32_t number;
    uint64_t sequence;
} arrived[MOST];
static unsigned arrivals;

/* The transport: takes `room` publications, delivers while `open`, fails the rest when closed. */
static struct {
    const struct remed_transport_events *events;
    struct remed_transport_events copy;
    uint64_t tags[64];
    unsigned first, count, room;
    bool open;
    int refuse; /* the code that everything pending ends with */
    char origin[32];
} gate;

static struct remed_record *record;
static struct remed_error error;
static char folder[64];
static uint64_t delivered, lost, tag_sum;
static struct remed_publisher **close_in_callback;

static int gate_open(void **state, const struct remed_uri *uri,
                     const struct remed_transport_opts *opts,
                     const struct remed_transport_events *events, struct remed_error *ignored)
{
    (void)uri;
    (void)ignored;
    gate.copy = *events;
    snprintf(gate.origin, sizeof gate.origin, "%s", opts->origin != NULL ? opts->origin : "");
    *state = &gate;
    return 0;
}

static int gate_publish(void *state, const struct remed_message *message, uint64_t tag,
                        struct remed_error *why)
{
    struct remed_record_head head;
    (void)state;
    if (gate.count == gate.room) {
        if (why != NULL)
            snprintf(why->message, sizeof why->message, "the gate is full");
        return REMED_EBUSY;
    }
    CU_ASSERT_EQUAL(remed_record_decode(record, message->value, message->value_length, NULL), 0);
    remed_record_head(record, &head, sizeof head);
    CU_ASSERT_FATAL(arrivals < MOST);
    arrived[arrivals].number =
        (uint32_t)message->key[11] << 16 | (uint32_t)message->key[12] << 8 | message->key[13];
    arrived[arrivals++].sequence = head.sequence;
    gate.tags[(gate.first + gate.count++) % 64] = tag;
    return 0;
}

static int gate_subscribe(void *state, const char *from, struct remed_error *ignored)
{
    (void)state;
    (void)from;
    (void)ignored;
    return 0;
}

static void gate_end(int code)
{
    while (gate.count > 0) {
        uint64_t tag = gate.tags[gate.first];
        gate.first = (gate.first + 1) % 64;
        gate.count--;
        gate.copy.delivered(gate.copy.context, tag, code);
    }
}

static int gate_process(void *state, uint64_t now, struct remed_error *ignored)
{
    (void)state;
    (void)now;
    (void)ignored;
    if (gate.open || gate.refuse != 0)
        gate_end(gate.refuse);
    return 0;
}

static int gate_close(void *state, struct remed_error *ignored)
{
    (void)state;
    (void)ignored;
    gate_end(REMED_EIO);
    return 0;
}

static const struct remed_transport_driver gate_driver = {
    .size = sizeof gate_driver,
    .scheme = "gate",
    .open = gate_open,
    .publish = gate_publish,
    .subscribe = gate_subscribe,
    .process = gate_process,
    .close = gate_close,
};

static void on_delivered(void *context, uint64_t tag, int code)
{
    (void)context;
    delivered += code == 0;
    lost += code != 0;
    tag_sum += tag;
    if (close_in_callback != NULL && *close_in_callback != NULL) {
        remed_publisher_close(*close_in_callback, NULL);
        *close_in_callback = NULL;
    }
}

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/remediate-spool-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    memset(&gate, 0, sizeof gate);
    gate.room = 16;
    gate.open = true;
    arrivals = 0;
    delivered = lost = tag_sum = 0;
    close_in_callback = NULL;
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

static struct remed_publisher *make(bool spool, uint64_t first_sequence)
{
    static const struct remed_transport_driver *const drivers[] = {&gate_driver};
    struct remed_publisher *made = NULL;
    struct remed_transport_opts transport;
    struct remed_publisher_opts opts;
    remed_transport_opts_init(&transport, sizeof transport);
    transport.drivers = drivers;
    transport.driver_count = 1;
    remed_publisher_opts_init(&opts, sizeof opts);
    opts.origin = "fw1";
    opts.epoch = 7;
    opts.first_sequence = first_sequence;
    opts.spool = spool ? folder : NULL;
    opts.spool_bytes = 1u << 20;
    opts.delivered = on_delivered;
    CU_ASSERT_EQUAL_FATAL(remed_publisher_new(&made, "gate:", &transport, &opts, &error), 0);
    return made;
}

static struct remed_publisher_stats stats_of(const struct remed_publisher *of)
{
    struct remed_publisher_stats stats;
    remed_publisher_stats(of, &stats, sizeof stats);
    return stats;
}

static int publish(struct remed_publisher *publisher, uint32_t number)
{
    struct remed_record *mine = NULL;
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&mine, NULL), 0);
    make_binding(mine, number, 1, REMED_OP_UPSERT, 0, 0, 0);
    int rc = remed_publisher_publish(publisher, &mine, 1, number, &error);
    remed_record_free(mine);
    return rc;
}

static void turn(struct remed_publisher *publisher, unsigned times)
{
    static uint64_t now = 1;
    for (; times > 0; times--)
        CU_ASSERT(remed_publisher_process(publisher, now += 20000000, &error) >= 0);
}

/* Each key's sequence never goes back, and the newest of each came last. */
static void check_order(unsigned keys, uint64_t newest_at_least)
{
    static uint64_t last[MOST];
    memset(last, 0, sizeof last);
    unsigned back = 0;
    uint64_t newest = 0;
    for (unsigned i = 0; i < arrivals; i++) {
        back += i > 0 && arrived[i].sequence < last[arrived[i].number];
        last[arrived[i].number] = arrived[i].sequence;
        newest = arrived[i].sequence > newest ? arrived[i].sequence : newest;
    }
    CU_ASSERT_EQUAL(back, 0);
    CU_ASSERT(newest >= newest_at_least);
    for (unsigned key = 0; key < keys; key++)
        CU_ASSERT(last[key] > 0);
}

static void straight(void)
{
    struct remed_record_head head;
    struct remed_publisher *publisher = make(false, 100);
    CU_ASSERT_STRING_EQUAL(gate.origin, "fw1");
    CU_ASSERT_EQUAL(publish(publisher, 1), 1);
    remed_record_head(record, &head, sizeof head); /* as the gate decoded it */
    CU_ASSERT_STRING_EQUAL(head.origin, "fw1");
    CU_ASSERT_EQUAL(head.epoch, 7);
    CU_ASSERT_EQUAL(head.sequence, 100);
    for (uint32_t i = 2; i <= 16; i++)
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
    CU_ASSERT_EQUAL(publish(publisher, 17), REMED_EBUSY);
    CU_ASSERT_STRING_EQUAL(error.message, "the gate is full");
    CU_ASSERT_EQUAL(stats_of(publisher).pending, 16);
    CU_ASSERT_EQUAL(stats_of(publisher).refused, 1);
    turn(publisher, 1);
    CU_ASSERT_EQUAL(delivered, 16);
    CU_ASSERT_EQUAL(tag_sum, 16 * 17 / 2);
    CU_ASSERT_EQUAL(publish(publisher, 17), 1);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), REMED_EIO); /* no report came */
    CU_ASSERT_EQUAL(lost, 1);
}

/* As many of a batch as find room, from the first on. */
static void batches(void)
{
    struct remed_record *records[24] = {NULL};
    struct remed_publisher *publisher = make(false, 1);
    for (unsigned i = 0; i < 24; i++) {
        CU_ASSERT_EQUAL_FATAL(remed_record_new(&records[i], NULL), 0);
        make_binding(records[i], i, 1, REMED_OP_UPSERT, 0, 0, 0);
    }
    CU_ASSERT_EQUAL(remed_publisher_publish(publisher, records, 24, 1, &error), 16);
    CU_ASSERT_EQUAL(remed_publisher_publish(publisher, records + 16, 8, 17, &error), REMED_EBUSY);
    turn(publisher, 1);
    CU_ASSERT_EQUAL(remed_publisher_publish(publisher, records + 16, 8, 17, &error), 8);
    turn(publisher, 1);
    CU_ASSERT_EQUAL(tag_sum, 24 * 25 / 2);
    CU_ASSERT_EQUAL(remed_publisher_publish(publisher, records, 0, 1, &error), REMED_EINVAL);
    remed_record_clear(records[0]);
    CU_ASSERT_EQUAL(remed_publisher_publish(publisher, records, 1, 1, &error), REMED_EINVAL);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    for (unsigned i = 0; i < 24; i++)
        remed_record_free(records[i]);
    check_order(24, 24);
}

/* An outage: records wait on the disk and arrive in order, each once, each with its report. */
static void outage(void)
{
    struct remed_publisher *publisher = make(true, 1);
    for (uint32_t i = 0; i < 100; i++) {
        CU_ASSERT_EQUAL(publish(publisher, i % 50), 1);
        turn(publisher, i % 3 == 0);
    }
    gate.open = false;
    for (uint32_t i = 100; i < 3000; i++) {
        CU_ASSERT_EQUAL(publish(publisher, i % 50), 1);
        turn(publisher, i % 100 == 0);
    }
    CU_ASSERT(stats_of(publisher).spooled > 2800);
    CU_ASSERT(stats_of(publisher).waiting > 2800);
    gate.open = true;
    for (unsigned i = 0; i < 1000 && stats_of(publisher).pending > 0; i++) {
        turn(publisher, 1);
        CU_ASSERT_EQUAL(publish(publisher, i % 50), 1); /* more comes meanwhile: behind */
    }
    turn(publisher, 20);
    for (uint32_t i = 0; i < 10; i++) {
        uint64_t spooled = stats_of(publisher).spooled;
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
        CU_ASSERT_EQUAL(stats_of(publisher).spooled, spooled); /* straight again */
    }
    turn(publisher, 1);
    struct remed_publisher_stats stats = stats_of(publisher);
    CU_ASSERT_EQUAL(stats.pending, 0);
    CU_ASSERT_EQUAL(stats.delivered, stats.published);
    CU_ASSERT_EQUAL(stats.published, arrivals);
    CU_ASSERT_EQUAL(delivered, arrivals);
    CU_ASSERT_EQUAL(lost, 0);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    check_order(50, 3000);
}

static void full_spool(void)
{
    struct remed_publisher *publisher = make(true, 1);
    uint64_t taken = 0;
    gate.open = false;
    while (taken < 50000 && publish(publisher, (uint32_t)taken) == 1) {
        taken++;
        turn(publisher, taken % 64 == 0);
    }
    CU_ASSERT(taken > 5000 && taken < 20000); /* a mebibyte */
    CU_ASSERT_EQUAL(error.code, REMED_EBUSY);
    CU_ASSERT_EQUAL(strncmp(error.message, "spool: ", 7), 0);
    CU_ASSERT_EQUAL(stats_of(publisher).refused, 1);
    gate.open = true;
    for (unsigned i = 0; i < 5000 && stats_of(publisher).pending > 0; i++)
        turn(publisher, 1);
    CU_ASSERT_EQUAL(delivered, taken);
    CU_ASSERT_EQUAL(publish(publisher, 0), 1); /* there is room again */
    turn(publisher, 3);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    CU_ASSERT_EQUAL(arrivals, taken + 1);
}

/* Closed in an outage, again and again: all of it arrives through later publishers, in order. */
static void closed_in_outage(void)
{
    uint64_t sequence = 1;
    uint32_t published = 0;
    for (unsigned life = 0; life < 20; life++) {
        struct remed_publisher *publisher = make(true, sequence);
        gate.open = life % 3 == 1;
        for (unsigned i = 0; i < 10 + life * 7; i++) {
            CU_ASSERT_EQUAL(publish(publisher, published++ % 40), 1);
            turn(publisher, i % 5 == 0);
            gate.open = gate.open && i < 12;
        }
        sequence = published + 1;
        CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    }
    gate.open = true;
    struct remed_publisher *last = make(true, sequence);
    CU_ASSERT(stats_of(last).waiting > 0);
    for (unsigned i = 0; i < 500 && stats_of(last).waiting > 0; i++)
        turn(last, 1);
    CU_ASSERT_EQUAL(stats_of(last).waiting, 0);
    CU_ASSERT(stats_of(last).recovered > 0);
    CU_ASSERT_EQUAL(remed_publisher_close(last, &error), 0);
    CU_ASSERT_EQUAL(lost, 0);
    /* Each one that was published is there; repeats may be, so only the last of each key is in
     * order. */
    static bool seen[MOST];
    uint64_t newest[40] = {0};
    memset(seen, 0, sizeof seen);
    for (unsigned i = 0; i < arrivals; i++) {
        seen[arrived[i].sequence] = true;
        newest[arrived[i].number] = arrived[i].sequence;
    }
    for (uint32_t i = 1; i <= published; i++)
        CU_ASSERT(seen[i]);
    for (uint32_t i = 0; i < 40; i++)
        CU_ASSERT_EQUAL((newest[i] - 1) % 40, i);
    for (uint32_t i = 0; i < 40; i++)
        CU_ASSERT(newest[i] + 40 > published);
    last = make(true, sequence); /* an idle spool hands nothing out again */
    unsigned before = arrivals;
    turn(last, 5);
    CU_ASSERT_EQUAL(arrivals, before);
    CU_ASSERT_EQUAL(stats_of(last).waiting, 0);
    CU_ASSERT_EQUAL(remed_publisher_close(last, &error), 0);
}

/* Killed: what had been synced to the spool is there. */
static void killed(void)
{
    gate.open = false;
    pid_t child = fork();
    if (child == 0) {
        struct remed_publisher *publisher = make(true, 1);
        for (uint32_t i = 0; i < 1000; i++)
            publish(publisher, i);
        turn(publisher, 3); /* written and synced */
        kill(getpid(), SIGKILL);
    }
    int status;
    waitpid(child, &status, 0);
    CU_ASSERT(WIFSIGNALED(status));
    gate.open = true;
    struct remed_publisher *next = make(true, 5000);
    CU_ASSERT_EQUAL(stats_of(next).waiting, 1000 - gate.room);
    for (unsigned i = 0; i < 500 && stats_of(next).waiting > 0; i++)
        turn(next, 1);
    CU_ASSERT_EQUAL(stats_of(next).recovered, 1000 - gate.room);
    CU_ASSERT_EQUAL(delivered, 0); /* those were another's */
    CU_ASSERT_EQUAL(remed_publisher_close(next, &error), 0);
}

/* A transport that gives everything up: the spool keeps it; what it will never take is lost. */
static void given_up(void)
{
    struct remed_publisher *publisher = make(true, 1);
    gate.open = false;
    for (uint32_t i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
    gate.refuse = REMED_ELIMIT;
    turn(publisher, 1);
    CU_ASSERT_EQUAL(lost, 10);
    for (uint32_t i = 0; i < 10; i++)
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
    gate.refuse = REMED_EPERM;
    CU_ASSERT_EQUAL(remed_publisher_process(publisher, 1ull << 50, &error), REMED_EIO);
    CU_ASSERT_EQUAL(publish(publisher, 10), 1); /* to the spool, behind them */
    CU_ASSERT_EQUAL(lost, 10);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), REMED_EIO);
    CU_ASSERT_EQUAL(lost, 10);
    gate.refuse = 0;
    gate.open = true;
    arrivals = 0;
    publisher = make(true, 100);
    CU_ASSERT_EQUAL(stats_of(publisher).waiting, 11);
    turn(publisher, 5);
    CU_ASSERT_EQUAL(arrivals, 11);
    check_order(11, 21);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
}

/* Damage in the spool costs the records in it, and is counted; nothing hangs. */
static void damaged(void)
{
    struct remed_publisher *publisher = make(true, 1);
    char command[256];
    gate.open = false;
    for (uint32_t i = 0; i < 500; i++)
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    snprintf(command, sizeof command,
             "for f in %s/*.log; do printf x | dd of=$f bs=1 seek=5000 conv=notrunc 2>/dev/null; "
             "truncate -s -10 $f; done",
             folder);
    CU_ASSERT_EQUAL(system(command), 0);
    gate.open = true;
    arrivals = 0;
    publisher = make(true, 1000);
    for (unsigned i = 0; i < 500 && stats_of(publisher).waiting > 0; i++)
        turn(publisher, 1);
    CU_ASSERT_EQUAL(stats_of(publisher).waiting, 0);
    CU_ASSERT(stats_of(publisher).damaged > 0);
    CU_ASSERT(arrivals >= 490 && arrivals < 500);
    CU_ASSERT_EQUAL(publish(publisher, 1), 1);
    turn(publisher, 5);
    CU_ASSERT_EQUAL(stats_of(publisher).pending, 0);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
}

static void refusals(void)
{
    struct remed_publisher *first = make(true, 1), *second = NULL;
    struct remed_publisher_opts opts;
    remed_publisher_opts_init(&opts, sizeof opts);
    opts.spool = folder;
    CU_ASSERT_EQUAL(remed_publisher_new(&second, "memory:", NULL, &opts, &error), REMED_EPERM);
    CU_ASSERT_EQUAL(error.code, REMED_EPERM);
    opts.spool = "/nonexistent/folder/spool";
    CU_ASSERT_EQUAL(remed_publisher_new(&second, "memory:", NULL, &opts, &error), REMED_ENOENT);
    opts.spool_bytes = 1000;
    CU_ASSERT_EQUAL(remed_publisher_new(&second, "memory:", NULL, &opts, &error), REMED_EINVAL);
    CU_ASSERT_EQUAL(remed_publisher_new(&second, "nothing:", NULL, NULL, &error),
                    REMED_EUNSUPPORTED);
    CU_ASSERT_EQUAL(remed_publisher_close(first, &error), 0);
    CU_ASSERT_EQUAL(remed_publisher_close(NULL, NULL), 0);
}

static void closed_within(void)
{
    struct remed_publisher *publisher = make(true, 1);
    for (uint32_t i = 0; i < 16; i++)
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
    close_in_callback = &publisher;
    CU_ASSERT_EQUAL(remed_publisher_process(publisher, 1, &error), 0);
    CU_ASSERT_PTR_NULL(publisher);
    CU_ASSERT_EQUAL(delivered, 1);
}

/* The same by a real transport, to a replica. */
static void to_a_replica(void)
{
    struct remed_memory_hub *hub = NULL;
    struct remed_publisher *publisher = NULL;
    struct remed_transport_opts transport;
    CU_ASSERT_EQUAL_FATAL(remed_memory_hub_new(&hub, 1u << 20, NULL), 0);
    remed_transport_opts_init(&transport, sizeof transport);
    transport.hub = hub;
    CU_ASSERT_EQUAL_FATAL(remed_publisher_new(&publisher, "memory:", &transport, NULL, &error), 0);
    CU_ASSERT_EQUAL(remed_transport_subscribe(remed_publisher_transport(publisher), "begin", NULL),
                    0);
    for (uint32_t i = 0; i < 100; i++)
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
    turn(publisher, 3);
    struct remed_transport_stats stats;
    remed_transport_stats(remed_publisher_transport(publisher), &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.received, 100);
    CU_ASSERT_EQUAL(stats_of(publisher).delivered, 100);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    remed_memory_hub_free(hub);
}

static unsigned calls, failing_at, held;

static void *failing_resize(void *context, void *memory, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        held -= memory != NULL;
        free(memory);
        return NULL;
    }
    if (calls++ == failing_at)
        return NULL;
    held += memory == NULL;
    return realloc(memory, new_size);
}

static void allocations(void)
{
    const struct remed_allocator allocator = {NULL, failing_resize};
    struct remed_publisher_opts opts;
    bool done = false;
    remed_publisher_opts_init(&opts, sizeof opts);
    opts.spool = folder;
    opts.allocator = &allocator;
    for (failing_at = 0; !done && failing_at < 40; failing_at++) {
        struct remed_publisher *fragile = NULL;
        calls = held = 0;
        int rc = remed_publisher_new(&fragile, "memory:", NULL, &opts, &error);
        CU_ASSERT(rc == 0 || rc == REMED_ENOMEM || rc == REMED_EIO);
        done = rc == 0 && calls <= failing_at;
        CU_ASSERT_EQUAL(remed_publisher_close(fragile, NULL), 0);
        CU_ASSERT_EQUAL(held, 0);
    }
    CU_ASSERT(done && failing_at > 5);
}

static const struct test_case cases[] = {
    {"straight, with back-pressure", straight},
    {"batches", batches},
    {"an outage is spooled, in order", outage},
    {"a full spool refuses", full_spool},
    {"closed in outages, nothing lost", closed_in_outage},
    {"killed: what was synced is there", killed},
    {"a transport that gives up", given_up},
    {"damage in the spool", damaged},
    {"refusals", refusals},
    {"closed within its callback", closed_within},
    {"to a replica", to_a_replica},
    {"every allocation failed in turn", allocations},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"publisher", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
