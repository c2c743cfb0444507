/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whose numbers a publisher may change, and how far: what the host gave stays and is bounded, what
 * was filled in goes behind all that there is, over restarts with other options, without the
 * spool's state, and where something can't be read.
 */
#include "repository/publishing.h"
#include "unit/peer.h"

#include <remediate/repository.h>
#include <unistd.h>

#define MOST_NUMBER ((uint64_t)1 << 62)
#define MOST_GIVEN ((uint64_t)1 << 61)

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
    (void)level;
    snprintf(logged, sizeof logged, "%s: %s", module, message);
}

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/remediate-numbers-XXXXXX");
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
    CU_ASSERT_EQUAL_FATAL(remed_publisher_new(&made, "peer://a/one", &transport, &opts, &error), 0);
    return made;
}

/* A record with numbers of its own, 0 for none, of an origin, "" for none. */
static int publish_as(struct remed_publisher *publisher, uint16_t port, const char *origin,
                      uint64_t epoch, uint64_t sequence)
{
    struct remed_record_head head;
    make_binding(record, 1, port, REMED_OP_UPSERT, 0, 0, 0);
    remed_record_head(record, &head, sizeof head);
    char domain[REMED_NAME_MAX + 1];
    snprintf(domain, sizeof domain, "%s", head.domain);
    head.kind = 0;
    head.domain = domain;
    head.origin = origin;
    head.epoch = epoch;
    head.sequence = sequence;
    CU_ASSERT_EQUAL(remed_record_set_head(record, &head, &error), 0);
    return remed_publisher_publish(publisher, &record, 1, port, &error);
}

static void turn(struct remed_publisher *publisher, unsigned times)
{
    static uint64_t now = 1;
    for (; times > 0; times--)
        CU_ASSERT(remed_publisher_process(publisher, now += 200000000, &error) >= 0);
}

/* The numbers of the log's record `at`, from its end. */
static void check_numbers(unsigned at, uint64_t epoch, uint64_t sequence)
{
    struct remed_record_head head;
    CU_ASSERT_FATAL(peer.length > at);
    const struct peer_value *value = &peer.log[peer.length - 1 - at];
    CU_ASSERT_EQUAL(remed_record_decode(record, value->value, value->value_length, NULL), 0);
    remed_record_head(record, &head, sizeof head);
    CU_ASSERT_EQUAL(head.epoch, epoch);
    CU_ASSERT_EQUAL(head.sequence, sequence);
}

static void close_well(struct remed_publisher *publisher)
{
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    CU_ASSERT_EQUAL(lost, 0);
}

/* One life: it publishes `count` records, of one key, that leave all out. */
static void live(uint64_t clock, bool spool, unsigned count)
{
    struct remed_publisher *publisher = make(clock, spool);
    for (unsigned i = 0; i < count; i++)
        CU_ASSERT_EQUAL(publish_as(publisher, (uint16_t)(i + 1), "", 0, 0), 1);
    turn(publisher, 6);
    close_well(publisher);
}

/* What a host gives is bounded below what the publisher needs behind it. */
static void given_bound(void)
{
    static const uint64_t bad[] = {MOST_GIVEN + 1, MOST_NUMBER};
    struct remed_publisher *publisher = make(5, false);
    turn(publisher, 3);
    for (unsigned i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(publish_as(publisher, 1, "", 0, bad[i]), REMED_ELIMIT);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "sequence"));
        CU_ASSERT_EQUAL(publish_as(publisher, 1, "", bad[i], 0), REMED_ELIMIT);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "epoch"));
    }
    CU_ASSERT_EQUAL(publish_as(publisher, 1, "", MOST_GIVEN, MOST_GIVEN), 1);
    CU_ASSERT_EQUAL(publish_as(publisher, 1, "", 0, 0), 1);
    turn(publisher, 3);
    check_numbers(0, MOST_GIVEN, MOST_GIVEN + 1);
    close_well(publisher);
    opts.epoch = 1;
    live(7, true, 1);
    check_numbers(0, MOST_GIVEN, MOST_GIVEN + 2);
    opts.epoch = MOST_GIVEN + 1;
    publisher = NULL;
    CU_ASSERT_EQUAL(remed_publisher_new(&publisher, "memory:", NULL, &opts, &error), REMED_EINVAL);
}

/* A record at the very end of an epoch, of any software: the next epoch goes on, waiting or not. */
static void next_epoch(void)
{
    opts.resume = 0;
    live(MOST_NUMBER, false, 1);
    check_numbers(0, 1, MOST_NUMBER);
    opts.resume = 1;
    live(1000, false, 0);
    struct remed_publisher *publisher = make(1000, false);
    CU_ASSERT_EQUAL(publish_as(publisher, 1, "", 0, 0), 1); /* it waits: its sequence may stay */
    turn(publisher, 4);
    check_numbers(0, 2, 1000);
    close_well(publisher);
    live(10, true, 2);
    check_numbers(0, 2, 1002);
    peer.length = 1;
    publisher = make(MOST_NUMBER - 1, false);
    turn(publisher, 4);
    for (unsigned i = 1; i < 4; i++) {
        CU_ASSERT_EQUAL(publish_as(publisher, 1, "", 0, 0), 1);
        turn(publisher, 2);
        check_numbers(0, 2, i);
    }
    close_well(publisher);
}

/* Sequences end while it goes on. */
static void ends_meanwhile(void)
{
    struct remed_publisher *publisher = make(MOST_NUMBER, false);
    turn(publisher, 3);
    for (unsigned i = 0; i < 3; i++)
        CU_ASSERT_EQUAL(publish_as(publisher, 1, "", 0, 0), 1);
    turn(publisher, 3);
    check_numbers(2, 1, MOST_NUMBER);
    check_numbers(1, 2, 1);
    check_numbers(0, 2, 2);
    close_well(publisher);
}

/* What waits while the repository's last sequence is near the end: the next epoch, all of it. */
static void waits_near_the_end(void)
{
    for (unsigned spool = 0; spool < 2; spool++) {
        peer.length = 0;
        opts.resume = 0;
        live(MOST_NUMBER - 5, false, 1);
        opts.resume = 1;
        struct remed_publisher *publisher = make(10, spool != 0);
        for (unsigned i = 0; i < 20; i++)
            CU_ASSERT_EQUAL(publish_as(publisher, 1, "", 0, 0), 1);
        turn(publisher, 6);
        close_well(publisher);
        CU_ASSERT_EQUAL(peer.length, 21);
        check_numbers(19, 2, 10);
        check_numbers(0, 2, 29);
    }
}

/* Numbers that nobody could read are never written: lost with their cause, and no exit 0. */
static void beyond_all(void)
{
    static uint8_t bytes[REMED_RECORD_MAX];
    size_t length;
    for (unsigned i = 0; i < 2; i++) {
        make_binding(record, 1, 1, REMED_OP_UPSERT, 0, MOST_NUMBER, 0);
        CU_ASSERT_EQUAL(remed_record_encode(record, bytes, sizeof bytes, &length), 0);
        *(i == 0 ? &record->epoch : &record->sequence) = MOST_NUMBER + 1;
        CU_ASSERT_EQUAL(remed_record_encode(record, bytes, sizeof bytes, &length), REMED_EINVAL);
    }
    for (unsigned spool = 0; spool < 2; spool++) {
        lost = 0;
        peer.room = 0;
        struct remed_publisher *publisher = make(10, spool != 0);
        for (unsigned i = 0; i < 3; i++)
            CU_ASSERT_EQUAL(publish_as(publisher, 1, "", 0, 0), 1);
        turn(publisher, 5);
        publisher->numbers.shift = MOST_NUMBER;
        peer.room = 16;
        turn(publisher, 5);
        CU_ASSERT_EQUAL(lost, 3);
        CU_ASSERT_EQUAL(peer.length, 0);
        CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), REMED_EIO);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "3 records were lost"));
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "beyond 2^62"));
    }
}

/* The spool's state as an earlier version wrote it. */
static void make_state_old(void)
{
    static struct remed_crc crc;
    char path[128], text[4000], old[4000];
    snprintf(path, sizeof path, "%s/spool-state", folder);
    FILE *file = fopen(path, "r+");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = '\0';
    char *waits = strstr(text, "\nwaits "), *position = strstr(text, "\nposition ");
    char *end = strstr(text, "\nsum ");
    CU_ASSERT_FATAL(waits != NULL && position != NULL && end != NULL);
    text[strlen("remediate spool ")] = '1';
    size_t used = (size_t)snprintf(old, sizeof old, "%.*s%.*s\n", (int)(waits - text), text,
                                   (int)(end - position), position);
    remed_crc_init(&crc);
    used += (size_t)snprintf(old + used, sizeof old - used, "sum %08x\n",
                             (unsigned)remed_crc_of(&crc, (const uint8_t *)old, used));
    rewind(file);
    CU_ASSERT_EQUAL(fwrite(old, 1, used, file), used);
    CU_ASSERT_EQUAL(ftruncate(fileno(file), (off_t)used), 0);
    fclose(file);
}

/* A record without a mark in the spool. */
static void put_old(struct remed_publisher *publisher, const char *origin, uint64_t sequence)
{
    uint8_t key[REMED_KEY_MAX], value[200] = {0};
    size_t length;
    make_binding(record, 1, 1, REMED_OP_UPSERT, 1, sequence, 0);
    record->origin_length = (uint8_t)snprintf(record->origin, sizeof record->origin, "%s", origin);
    CU_ASSERT_EQUAL(remed_record_encode(record, value + 8, sizeof value - 8, &length), 0);
    const struct remed_message message = {.key = key,
                                          .key_length = remed_record_key(record, key, sizeof key),
                                          .value = value,
                                          .value_length = 8 + length};
    CU_ASSERT_EQUAL(remed_file_writer_publish(&publisher->spool.writer, &message, 1, &error), 0);
}

/* A spool of an earlier version is delivered, and its origin's records are behind all. */
static void old_spool(void)
{
    live(5000, false, 1);
    peer.away = true;
    struct remed_publisher *publisher = make(10, true);
    put_old(publisher, "fw1", 12);
    put_old(publisher, "fw2", 13);
    turn(publisher, 3);
    close_well(publisher);
    make_state_old();
    peer.away = false;
    live(20, true, 1);
    CU_ASSERT_EQUAL(peer.length, 4);
    check_numbers(2, 1, 5003); /* 12 is the third from 10 on */
    check_numbers(1, 1, 13);
    CU_ASSERT_STRING_EQUAL(peer.from, "begin");
}

/* What the host gave stays, whenever it was taken; what it left out goes behind. */
static void given_stays(void)
{
    live(5000, false, 1);
    for (unsigned spool = 0; spool < 2; spool++) {
        struct remed_publisher *publisher = make(10, spool != 0);
        peer.length = 1;
        CU_ASSERT_EQUAL(publish_as(publisher, 1, "", 0, 0), 1);
        CU_ASSERT_EQUAL(publish_as(publisher, 2, "", 0, 700), 1); /* both given while it reads */
        CU_ASSERT_EQUAL(publish_as(publisher, 3, "", 3, 9000), 1);
        CU_ASSERT_EQUAL(publish_as(publisher, 4, "", 2, 0), 1);
        turn(publisher, 6);
        check_numbers(2, 1, 700);
        check_numbers(1, 3, 9000);
        check_numbers(0, 2, 9001 + 4991 * 1); /* 9001, shifted as the first one */
        check_numbers(3, 1, 5001);
        close_well(publisher);
        char command[128];
        snprintf(command, sizeof command, "rm -rf %s/*", folder);
        CU_ASSERT_EQUAL(system(command), 0);
    }
}

/* In one run the publisher's own are behind a given one. */
static void own_behind_given(void)
{
    for (unsigned resume = 0; resume < 2; resume++) {
        opts.resume = resume;
        peer.length = 0;
        struct remed_publisher *publisher = make(10, false);
        turn(publisher, 3);
        CU_ASSERT_EQUAL(publish_as(publisher, 1, "", 0, 800), 1);
        CU_ASSERT_EQUAL(publish_as(publisher, 2, "", 0, 0), 1);
        CU_ASSERT_EQUAL(publish_as(publisher, 3, "", 0, 100), 1);
        CU_ASSERT_EQUAL(publish_as(publisher, 4, "", 0, 0), 1);
        CU_ASSERT_EQUAL(publish_as(publisher, 4, "fw7", 0, 900), 1);
        CU_ASSERT_EQUAL(publish_as(publisher, 4, "fw7", 0, 0), 1);
        turn(publisher, 3);
        check_numbers(4, 1, 801);
        check_numbers(2, 1, 802);
        check_numbers(0, 1, 901);
        close_well(publisher);
    }
}

/* Records wait; the next start has another epoch, another origin, or both. */
static void other_options(void)
{
    for (unsigned life = 1; life < 4; life++) {
        peer.length = 0;
        opts.epoch = 1;
        opts.origin = "fw1";
        live(5000000, false, 1);
        peer.away = true;
        live(1000, true, 2);
        opts.epoch = (life & 1) != 0 ? 9 : 1;
        opts.origin = (life & 2) != 0 ? "fw2" : "fw1";
        live(900, true, 1);
        live(800, true, 1);
        peer.away = false;
        live(700, true, 1);
        CU_ASSERT_EQUAL(peer.length, 6);
        for (unsigned i = 0; i < peer.length; i++) {
            struct remed_record_head head;
            const struct peer_value *value = &peer.log[i];
            CU_ASSERT_EQUAL(remed_record_decode(record, value->value, value->value_length, NULL),
                            0);
            remed_record_head(record, &head, sizeof head);
            CU_ASSERT_EQUAL(head.epoch, i < 3 ? 1 : opts.epoch);
            CU_ASSERT_STRING_EQUAL(head.origin, i < 3 ? "fw1" : opts.origin);
            CU_ASSERT(i == 0 || head.sequence > 5000000);
        }
        char command[128];
        snprintf(command, sizeof command, "rm -rf %s/*", folder);
        CU_ASSERT_EQUAL(system(command), 0);
    }
}

/* What waits gets the epoch that was read back, and not the option's. */
static void raised_to_read(void)
{
    opts.epoch = 5;
    live(700, false, 1);
    peer.away = true;
    opts.epoch = 2;
    live(10, true, 1);
    opts.epoch = 9;
    peer.away = false;
    live(10, true, 1);
    check_numbers(1, 5, 701);
    struct remed_record_head head;
    const struct peer_value *value = &peer.log[peer.length - 1];
    CU_ASSERT_EQUAL(remed_record_decode(record, value->value, value->value_length, NULL), 0);
    remed_record_head(record, &head, sizeof head);
    CU_ASSERT_EQUAL(head.epoch, 9);
}

/* Records that name an origin and leave the sequence out: a clock that steps back voids none. */
static void named_origin(void)
{
    for (unsigned lives = 0; lives < 6; lives++) {
        struct remed_publisher *publisher = make(100000 - lives * 1000, lives % 2 == 1);
        CU_ASSERT_EQUAL(publish_as(publisher, 1, lives % 3 == 0 ? "fw8" : "fw9", 0, 0), 1);
        turn(publisher, 5);
        check_numbers(0, 1, 100000 + lives);
        close_well(publisher);
    }
}

/* A place that can't be read stops nobody, and what waits in the spool goes. */
static void read_error(void)
{
    peer.broken = true;
    for (unsigned spool = 0; spool < 2; spool++) {
        live(500 + 100 * spool, spool != 0, 1);
        check_numbers(0, 1, 500 + 100 * spool);
        CU_ASSERT_PTR_NOT_NULL(strstr(logged, "a bad block in the peer"));
    }
    peer.away = true;
    live(10, true, 3);
    peer.away = false;
    unsigned before = peer.length;
    live(10, true, 0);
    CU_ASSERT_EQUAL(peer.length, before + 3);
}

/* A spool without its state: its records tell the numbers. */
static void state_is_gone(void)
{
    for (unsigned resume = 0; resume < 2; resume++) {
        char path[128];
        opts.resume = resume;
        peer.length = 0;
        peer.away = true;
        live(90000, true, 4);
        snprintf(path, sizeof path, "%s/spool-state", folder);
        CU_ASSERT_EQUAL(unlink(path), 0);
        peer.away = false;
        live(10, true, 1);
        CU_ASSERT_EQUAL(peer.length, 5);
        check_numbers(0, 1, 90004);
        check_numbers(1, 1, 90003);
        snprintf(path, sizeof path, "rm -rf %s/*", folder);
        CU_ASSERT_EQUAL(system(path), 0);
    }
}

static const struct test_case cases[] = {
    {"numbers that a host gives are bounded", given_bound},
    {"the next epoch goes on", next_epoch},
    {"sequences end while it goes on", ends_meanwhile},
    {"what waits near the end of an epoch", waits_near_the_end},
    {"nothing is written beyond all numbers", beyond_all},
    {"a spool of an earlier version", old_spool},
    {"what the host gave stays", given_stays},
    {"own numbers are behind given ones", own_behind_given},
    {"what waits and other options", other_options},
    {"what waits and the epoch that is read", raised_to_read},
    {"records that name an origin", named_origin},
    {"a place that can't be read", read_error},
    {"a spool without its state", state_is_gone},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"whose numbers", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
