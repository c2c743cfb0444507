/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A publisher that goes on behind what its origin published before: a clock that stepped back over
 * restarts, with and without a spool, while the repository is there, away, or not to be read;
 * epochs, signatures, the end of all numbers; and what waiting and losses are told as.
 */
#include "unit/peer.h"

#include <remediate/repository.h>
#include <unistd.h>

#define MOST_NUMBER ((uint64_t)1 << 62)

static char folder[64];
static struct remed_record *record;
static struct remed_error error;
static uint64_t delivered, lost;
static char logged[400];
static struct remed_publisher_opts opts;

static void on_delivered(void *context, uint64_t tag, int code)
{
    (void)context;
    (void)tag;
    delivered += code == 0;
    lost += code != 0;
}

static void on_log(void *context, enum remed_log_level level, const char *module,
                   const char *message)
{
    (void)context;
    CU_ASSERT(level <= REMED_LOG_WARNING);
    snprintf(logged, sizeof logged, "%s: %s", module, message);
}

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/remediate-spool-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    peer_reset();
    delivered = lost = 0;
    logged[0] = '\0';
    remed_publisher_opts_init(&opts, sizeof opts);
    opts.origin = "fw1";
    opts.resume = 1;
    opts.delivered = on_delivered;
    opts.spool_bytes = 1u << 20;
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

static struct remed_publisher *make(uint64_t clock, bool spool)
{
    struct remed_publisher *made = NULL;
    struct remed_transport_opts transport;
    peer_opts(&transport);
    transport.max_pending = 1000;
    transport.log.write = on_log;
    opts.first_sequence = clock;
    opts.spool = spool ? folder : NULL;
    CU_ASSERT_EQUAL_FATAL(
        remed_publisher_new(&made, "peer://a/one?group=g&x=1", &transport, &opts, &error), 0);
    memset(&transport, 0xee, sizeof transport); /* nobody needs it any more */
    return made;
}

static int publish(struct remed_publisher *publisher, uint32_t number)
{
    make_binding(record, number % 20, (uint16_t)(number + 1), REMED_OP_UPSERT, 0, 0, 0);
    return remed_publisher_publish(publisher, &record, 1, number, &error);
}

static void turn(struct remed_publisher *publisher, unsigned times)
{
    static uint64_t now = 1;
    for (; times > 0; times--)
        CU_ASSERT(remed_publisher_process(publisher, now += 200000000, &error) >= 0);
}

static struct remed_publisher_stats stats_of(const struct remed_publisher *of)
{
    struct remed_publisher_stats stats;
    remed_publisher_stats(of, &stats, sizeof stats);
    return stats;
}

/* What a replica has of the log: the last number of each of the 20 keys is `last` or just before.
 */
static void check_newest(uint32_t last)
{
    struct remed_replica *replica = NULL;
    struct remed_replica_stats stats;
    uint32_t wrong = 0;
    CU_ASSERT_EQUAL_FATAL(remed_replica_new(&replica, NULL, NULL), 0);
    for (unsigned i = 0; i < peer.length; i++) {
        const struct peer_value *value = &peer.log[i];
        const struct remed_message message = {.key = value->key,
                                              .value = value->value,
                                              .key_length = value->key_length,
                                              .value_length = value->value_length};
        wrong += remed_replica_apply_message(replica, &message, 1, NULL) == REMED_APPLIED_STALE;
    }
    remed_replica_stats(replica, &stats, sizeof stats);
    CU_ASSERT_EQUAL(wrong, 0); /* each was newer than what was there */
    CU_ASSERT_EQUAL(stats.entries, last + 1 < 20 ? last + 1 : 20);
    remed_replica_free(replica);
}

static uint64_t last_sequence(uint64_t *epoch)
{
    struct remed_record_head head;
    const struct peer_value *value = &peer.log[peer.length - 1];
    CU_ASSERT_FATAL(peer.length > 0);
    size_t length = remed_record_strip(value->value, value->value_length, NULL);
    CU_ASSERT_EQUAL(remed_record_decode(record, value->value, length, NULL), 0);
    remed_record_head(record, &head, sizeof head);
    if (epoch != NULL)
        *epoch = head.epoch;
    return head.sequence;
}

static void close_well(struct remed_publisher *publisher)
{
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    CU_ASSERT_EQUAL(lost, 0);
}

/* A clock that goes back at each restart, mixed with and without a spool. */
static void clock_steps_back(void)
{
    uint32_t number = 0;
    peer.room = 64;
    for (unsigned life = 0; life < 24; life++) {
        struct remed_publisher *publisher = make(1000000 - life * 1000, life % 3 == 1);
        for (unsigned i = 0; i < 30; i++) {
            CU_ASSERT_EQUAL(publish(publisher, number), 1);
            number++;
            turn(publisher, i % 4 == 0);
        }
        for (unsigned i = 0; i < 100 && stats_of(publisher).pending > 0; i++)
            turn(publisher, 1);
        close_well(publisher);
    }
    CU_ASSERT_EQUAL(delivered, number);
    check_newest(number - 1);
}

/* The repository is away when a publisher starts with a clock that is too early: its records wait,
 * over restarts, and are newer all the same when they arrive. */
static void away_at_start(void)
{
    struct remed_publisher *publisher = make(5000000, false);
    uint32_t number = 0;
    for (; number < 100; number++) {
        CU_ASSERT_EQUAL(publish(publisher, number), 1);
        turn(publisher, 2);
    }
    close_well(publisher);
    peer.away = true;
    for (unsigned life = 0; life < 4; life++) {
        publisher = make(1000 - life, true);
        for (unsigned i = 0; i < 50; i++)
            CU_ASSERT_EQUAL(publish(publisher, number++), 1);
        turn(publisher, 3);
        close_well(publisher);
    }
    peer.away = false;
    for (unsigned life = 0; life < 3; life++) { /* a few at a time, with restarts between */
        publisher = make(10, true);
        CU_ASSERT_EQUAL(publish(publisher, number++), 1);
        turn(publisher, 5 + 30 * life);
        CU_ASSERT_EQUAL(publish(publisher, number++), 1);
        turn(publisher, life == 2 ? 60 : 0);
        close_well(publisher);
    }
    CU_ASSERT(last_sequence(NULL) > 5000100);
    publisher = make(1, false);
    for (unsigned i = 0; i < 20; i++, turn(publisher, 3))
        CU_ASSERT_EQUAL(publish(publisher, number++), 1);
    close_well(publisher);
    /* Some came twice, so staleness is no fault; the newest of each key is the last published. */
    uint64_t newest[20] = {0};
    uint16_t outside[20] = {0};
    for (unsigned i = 0; i < peer.length; i++) {
        struct remed_record_head head;
        struct remed_nat_binding body;
        CU_ASSERT_EQUAL(
            remed_record_decode(record, peer.log[i].value, peer.log[i].value_length, NULL), 0);
        remed_record_head(record, &head, sizeof head);
        memset(&body, 0, sizeof body);
        CU_ASSERT(remed_record_body(record, REMED_KIND_NAT_BINDING, &body, sizeof body) >= 0);
        unsigned key = body.inside.address[3];
        if (head.sequence >= newest[key]) {
            newest[key] = head.sequence;
            outside[key] = body.outside.port;
        }
    }
    for (unsigned key = 0; key < 20; key++)
        CU_ASSERT(outside[key] > number - 20);
}

/* The same without a spool: they wait in memory, and beyond that is busy. */
static void backlog(void)
{
    struct remed_publisher *publisher = make(5000, false);
    CU_ASSERT_EQUAL(publish(publisher, 0), 1);
    turn(publisher, 4);
    close_well(publisher);
    peer.away = true;
    publisher = make(10, false);
    uint32_t number = 1;
    while (number < 5000 && publish(publisher, number) == 1)
        number++;
    CU_ASSERT_EQUAL(number, 1001);
    CU_ASSERT_EQUAL(error.code, REMED_EBUSY);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "what 'fw1' published before"));
    char text[200];
    CU_ASSERT(remed_publisher_waiting(publisher, text, sizeof text) > 0);
    CU_ASSERT_STRING_EQUAL(text, "the peer is away");
    CU_ASSERT_EQUAL(remed_publisher_waiting(publisher, NULL, 0), strlen(text));
    peer.away = false;
    for (unsigned i = 0; i < 300; i++) {
        turn(publisher, 1);
        if (number < 1200 && publish(publisher, number) == 1)
            number++;
    }
    CU_ASSERT_EQUAL(stats_of(publisher).pending, 0);
    close_well(publisher);
    check_newest(number - 1);
    CU_ASSERT_EQUAL(delivered, number);
    peer.away = true; /* closed before: lost, and why */
    publisher = make(10, false);
    for (unsigned i = 0; i < 7; i++)
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), REMED_EIO);
    CU_ASSERT_STRING_EQUAL(error.message, "publisher: 7 records were lost: the peer is away");
    CU_ASSERT_EQUAL(lost, 7);
}

/* Only what came since is read when the spool knows how far it was. */
static void from_a_position(void)
{
    struct remed_publisher *publisher = make(5000, true);
    CU_ASSERT_STRING_EQUAL(peer.from, "begin");
    for (uint32_t i = 0; i < 10; i++, turn(publisher, 3))
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
    close_well(publisher);
    publisher = make(4000, true);
    CU_ASSERT_STRING_EQUAL(peer.from, "0");
    turn(publisher, 3);
    close_well(publisher);
    publisher = make(4000, true);
    CU_ASSERT_STRING_EQUAL(peer.from, "10");
    CU_ASSERT_EQUAL(publish(publisher, 10), 1);
    turn(publisher, 3);
    close_well(publisher);
    check_newest(10);
    peer.length = 3; /* another log in its place: the position is gone */
    publisher = make(4000, true);
    CU_ASSERT_STRING_EQUAL(peer.from, "begin");
    CU_ASSERT_EQUAL(publish(publisher, 11), 1);
    turn(publisher, 3);
    CU_ASSERT(last_sequence(NULL) > 5010);
    close_well(publisher);
}

/* The origin's last epoch is not gone below, others' epochs do not matter; but sequences are behind
 * all that there are, as records may name any origin. */
static void epochs(void)
{
    uint64_t epoch;
    opts.epoch = 5;
    struct remed_publisher *publisher = make(700, false);
    CU_ASSERT_EQUAL(publish(publisher, 1), 1);
    turn(publisher, 3);
    close_well(publisher);
    opts.epoch = 9;
    opts.origin = "another";
    publisher = make(900, false);
    CU_ASSERT_EQUAL(publish(publisher, 2), 1);
    turn(publisher, 3);
    close_well(publisher);
    opts.origin = "fw1";
    opts.epoch = 1;
    for (unsigned spool = 0; spool < 2; spool++) {
        publisher = make(10, spool != 0);
        CU_ASSERT_EQUAL(publish(publisher, 1), 1);
        turn(publisher, 4);
        CU_ASSERT_EQUAL(publish(publisher, 1), 1);
        turn(publisher, 4);
        close_well(publisher);
        CU_ASSERT_EQUAL(last_sequence(&epoch), 902 + 2 * spool);
        CU_ASSERT_EQUAL(epoch, 5);
    }
    opts.epoch = 6; /* a greater one counts by itself */
    publisher = make(10, false);
    CU_ASSERT_EQUAL(publish(publisher, 1), 1);
    turn(publisher, 4);
    close_well(publisher);
    CU_ASSERT_EQUAL(last_sequence(&epoch), 905);
    CU_ASSERT_EQUAL(epoch, 6);
}

static int sum(void *context, uint32_t key_id, const struct remed_mac_part *parts, size_t count,
               uint8_t *mac)
{
    (void)context;
    uint64_t value = key_id * 77u;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < parts[i].length; k++)
            value = value * 31 + parts[i].bytes[k];
    memset(mac, 0, REMED_MAC_SIZE);
    memcpy(mac, &value, sizeof value);
    return key_id == 1 ? 0 : REMED_ENOENT;
}

/* Unsigned and forged records push nobody's numbers up; what is shifted is signed anew. */
static void signatures(void)
{
    const struct remed_mac mac = {.size = sizeof mac, .compute = sum};
    struct remed_publisher *publisher = make(MOST_NUMBER - 5, false);
    CU_ASSERT_EQUAL(publish(publisher, 1), 1);
    turn(publisher, 3);
    close_well(publisher);
    opts.mac = &mac;
    opts.key_id = 1;
    for (unsigned life = 0; life < 3; life++) {
        publisher = make(1000 - life * 100, life == 1);
        for (uint32_t i = 0; i < 5; i++)
            CU_ASSERT_EQUAL(publish(publisher, i), 1);
        turn(publisher, 10);
        close_well(publisher);
        CU_ASSERT_EQUAL(last_sequence(NULL), 1004 + 5 * life);
    }
    unsigned checked = 0;
    for (unsigned i = 1; i < peer.length; i++) {
        const struct peer_value *value = &peer.log[i];
        size_t length;
        checked += remed_record_verify(&mac, value->key, value->key_length, value->value,
                                       value->value_length, &length, NULL) == 0;
    }
    CU_ASSERT_EQUAL(checked, 15);
}

/* Signed records wait that must be signed anew, and the key is gone: told, and they stay. */
static void key_is_gone(void)
{
    const struct remed_mac mac = {.size = sizeof mac, .compute = sum};
    opts.mac = &mac;
    opts.key_id = 1;
    struct remed_publisher *publisher = make(1000, false);
    CU_ASSERT_EQUAL(publish(publisher, 1), 1);
    turn(publisher, 3);
    close_well(publisher);
    peer.away = true;
    publisher = make(1, true);
    CU_ASSERT_EQUAL(publish(publisher, 1), 1);
    close_well(publisher);
    peer.away = false;
    opts.mac = NULL;
    publisher = make(1, true);
    int rc = 0;
    for (unsigned i = 0; i < 3 && rc >= 0; i++)
        rc = remed_publisher_process(publisher, (uint64_t)1 << 50, &error);
    CU_ASSERT_EQUAL(rc, REMED_EPERM);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "must be signed anew"));
    close_well(publisher);
    opts.mac = &mac;
    publisher = make(1, true);
    turn(publisher, 4);
    CU_ASSERT_EQUAL(stats_of(publisher).recovered, 1);
    close_well(publisher);
    CU_ASSERT_EQUAL(peer.length, 2);
    CU_ASSERT(last_sequence(NULL) > 1000);
}

/* What may be written to and not read is written to, with a word about it. */
static void unreadable(void)
{
    peer.unreadable = true;
    for (unsigned spool = 0; spool < 2; spool++) {
        struct remed_publisher *publisher = make(500 + 100 * spool, spool != 0);
        CU_ASSERT_EQUAL(publish(publisher, 1), 1);
        turn(publisher, 4);
        close_well(publisher);
        CU_ASSERT_EQUAL(last_sequence(NULL), 500 + 100 * spool);
        char wanted[200];
        snprintf(wanted, sizeof wanted,
                 "publisher: cannot read what 'fw1' published before, so sequences go by the %s "
                 "alone: reading is not for you",
                 spool != 0 ? "spool and the clock" : "clock");
        CU_ASSERT_STRING_EQUAL(logged, wanted);
    }
}

/* The last number, and nothing behind it; with `resume` the next epoch. */
static void end_of_numbers(void)
{
    struct remed_publisher *publisher = NULL;
    static const uint64_t beyond[] = {MOST_NUMBER + 1, UINT64_MAX};
    for (unsigned i = 0; i < 4; i++) {
        opts.first_sequence = i < 2 ? beyond[i] : 1;
        opts.epoch = i < 2 ? 1 : beyond[i - 2];
        CU_ASSERT_EQUAL(remed_publisher_new(&publisher, "memory:", NULL, &opts, &error),
                        REMED_EINVAL);
    }
    opts.epoch = 1;
    for (unsigned spool = 0; spool < 2; spool++) {
        opts.resume = spool;
        publisher = make(MOST_NUMBER - 1, spool != 0);
        turn(publisher, 3);
        if (spool == 0) {
            CU_ASSERT_EQUAL(publish(publisher, 1), 1);
            CU_ASSERT_EQUAL(publish(publisher, 2), 1);
            CU_ASSERT_EQUAL(publish(publisher, 3), REMED_ELIMIT);
            CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "used up in epoch 1"));
        } else {
            uint64_t epoch;
            CU_ASSERT_EQUAL(publish(publisher, 3), 1);
            turn(publisher, 3);
            CU_ASSERT_EQUAL(last_sequence(&epoch), 1);
            CU_ASSERT_EQUAL(epoch, 2);
        }
        make_binding(record, 1, 1, REMED_OP_UPSERT, 0, 5, 0); /* with a number of its own */
        CU_ASSERT_EQUAL(remed_publisher_publish(publisher, &record, 1, 4, &error), 1);
        turn(publisher, 3);
        close_well(publisher);
    }
    opts.epoch = 2; /* as the message says */
    publisher = make(1, false);
    turn(publisher, 2);
    CU_ASSERT_EQUAL(publish(publisher, 3), 1);
    turn(publisher, 2);
    close_well(publisher);
    CU_ASSERT_EQUAL(last_sequence(NULL), 6);
}

static void options(void)
{
    struct remed_publisher *publisher = NULL;
    opts.resume = 2;
    CU_ASSERT_EQUAL(remed_publisher_new(&publisher, "memory:", NULL, &opts, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NULL(publisher);
    opts.resume = 1;
    CU_ASSERT_EQUAL(remed_publisher_new(&publisher, "memory:", NULL, &opts, &error), 0);
    make_binding(record, 1, 1, REMED_OP_UPSERT, 0, 0, 0);
    CU_ASSERT_EQUAL(remed_publisher_publish(publisher, &record, 1, 1, &error), 1);
    turn(publisher, 3);
    CU_ASSERT_EQUAL(delivered, 1);
    close_well(publisher);
}

/* A record that was refused stays as it was: its number then would be too small later. */
static void refused_stays(void)
{
    struct remed_record_head head;
    opts.resume = 0;
    struct remed_publisher *publisher = make(50, false);
    for (uint32_t i = 0; i < peer.room; i++)
        CU_ASSERT_EQUAL(publish(publisher, i), 1);
    CU_ASSERT_EQUAL(publish(publisher, 99), REMED_EBUSY);
    remed_record_head(record, &head, sizeof head);
    CU_ASSERT(head.sequence == 0 && head.epoch == 0 && head.origin[0] == '\0');
    turn(publisher, 2);
    CU_ASSERT_EQUAL(publish(publisher, 99), 1);
    turn(publisher, 2);
    CU_ASSERT_EQUAL(last_sequence(NULL), 50 + peer.room);
    close_well(publisher);
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

/* Each allocation failed in turn, while opening and while it goes on. */
static void allocations(void)
{
    const struct remed_allocator allocator = {NULL, failing_resize};
    struct remed_transport_opts transport;
    bool done = false;
    for (failing_at = 0; !done && failing_at < 80; failing_at++) {
        struct remed_publisher *fragile = NULL;
        peer_opts(&transport);
        transport.allocator = opts.allocator = &allocator;
        opts.spool = failing_at % 2 == 0 ? folder : NULL;
        calls = held = 0;
        int rc = remed_publisher_new(&fragile, "peer:", &transport, &opts, &error);
        CU_ASSERT(rc == 0 || rc == REMED_ENOMEM || rc == REMED_EIO);
        make_binding(record, 1, 1, REMED_OP_UPSERT, 0, 0, 0);
        int taken = rc == 0 ? remed_publisher_publish(fragile, &record, 1, 1, &error) : 0;
        for (unsigned i = 0; rc == 0 && i < 4; i++)
            (void)remed_publisher_process(fragile, (i + 1) * 200000000u, &error);
        done = rc == 0 && taken == 1 && calls <= failing_at;
        (void)remed_publisher_close(fragile, NULL);
        CU_ASSERT_EQUAL(held, 0);
    }
    CU_ASSERT(done && failing_at > 8);
}

static const struct test_case cases[] = {
    {"a clock that steps back at each restart", clock_steps_back},
    {"away when it starts, with a spool", away_at_start},
    {"away when it starts, without", backlog},
    {"on from a position", from_a_position},
    {"epochs", epochs},
    {"signatures", signatures},
    {"the key of what waits is gone", key_is_gone},
    {"a repository that may not be read", unreadable},
    {"the end of all numbers", end_of_numbers},
    {"options", options},
    {"a refused record stays as it was", refused_stays},
    {"every allocation failed in turn", allocations},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"a publisher that goes on", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
