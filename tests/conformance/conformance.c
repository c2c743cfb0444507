/* SPDX-License-Identifier: BSD-3-Clause */
/* The suite of conformance.h. */
#include "conformance/conformance.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS 500u
#define PATIENCE_S 60u

static const struct conformance *suite;
static unsigned topic, failures;

#define CHECK(holds)                                                                               \
    do {                                                                                           \
        if (!(holds)) {                                                                            \
            printf("    %s:%d: %s\n", __func__, __LINE__, #holds);                                 \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

/* One end: what it was told. */
struct end {
    struct remed_transport *transport;
    uint64_t delivered, failed, received, caught_up;
    uint64_t received_at_marker;
    uint32_t value[KEYS]; /* newest of each key; 0: removed or never seen */
    unsigned disorder;
    struct remed_transport **close_in_callback;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void on_delivered(void *context, uint64_t tag, int code)
{
    struct end *end = context;
    (void)tag;
    end->delivered += code == 0;
    end->failed += code != 0;
}

static void on_message(void *context, const struct remed_message *message)
{
    struct end *end = context;
    uint32_t key = 0, value = 0;
    if (message->key_length != 4 || (message->value_length != 0 && message->value_length < 4)) {
        end->disorder += 1000;
        return;
    }
    memcpy(&key, message->key, 4);
    if (message->value_length != 0)
        memcpy(&value, message->value, 4);
    end->received++;
    if (key >= KEYS) {
        end->disorder += 1000;
        return;
    }
    /* Values of one key only grow in these tests, but for removals and repeats from a restart. */
    end->disorder += value != 0 && value < end->value[key];
    end->value[key] = value;
    if (end->close_in_callback != NULL && *end->close_in_callback != NULL) {
        remed_transport_close(*end->close_in_callback, NULL);
        *end->close_in_callback = NULL;
    }
}

static void on_caught_up(void *context)
{
    struct end *end = context;
    end->caught_up++;
    end->received_at_marker = end->received;
}

static bool open_end(struct end *end, uint32_t max_pending, const char *from)
{
    struct remed_transport_opts opts;
    struct remed_error error = {0};
    char uri[1024];
    memset(end, 0, sizeof *end);
    remed_transport_opts_init(&opts, sizeof opts);
    opts.events = (struct remed_transport_events){.context = end,
                                                  .delivered = on_delivered,
                                                  .message = on_message,
                                                  .caught_up = on_caught_up};
    opts.drivers = suite->drivers;
    opts.driver_count = suite->driver_count;
    opts.hub = suite->hub != NULL ? suite->hub(topic) : NULL;
    opts.max_pending = max_pending;
    suite->uri(uri, sizeof uri, topic);
    int rc = remed_transport_open(&end->transport, uri, &opts, &error);
    if (rc == 0 && from != NULL)
        rc = remed_transport_subscribe(end->transport, from, &error);
    if (rc < 0)
        printf("    %s: %s\n", uri, error.message);
    CHECK(rc == 0);
    return rc == 0;
}

static void close_end(struct end *end)
{
    remed_transport_close(end->transport, NULL);
    end->transport = NULL;
}

/* Processes once, waiting a little where there is nothing to do. */
static void turn(struct end *end)
{
    struct remed_error error = {0};
    int rc = remed_transport_process(end->transport, now_ns(), &error);
    if (rc < 0)
        printf("    process: %s\n", error.message);
    CHECK(rc >= 0);
    uint64_t deadline = remed_transport_deadline(end->transport), now = now_ns();
    struct pollfd descriptor = {.fd = remed_transport_fd(end->transport, &descriptor.events)};
    if (rc == 0 && deadline > now)
        poll(&descriptor, descriptor.fd >= 0, deadline - now > 5000000 ? 5 : 1);
}

#define UNTIL(end, holds)                                                                          \
    do {                                                                                           \
        uint64_t limit = now_ns() + PATIENCE_S * 1000000000ull;                                    \
        while (!(holds) && now_ns() < limit)                                                       \
            turn(end);                                                                             \
        CHECK(holds);                                                                              \
    } while (0)

/* Publishes, waiting out back-pressure. A value of 0 removes. */
static void publish(struct end *end, uint32_t key, uint32_t value)
{
    uint8_t bytes[100] = {0};
    memcpy(bytes, &value, 4);
    const struct remed_message message = {.key = (const uint8_t *)&key,
                                          .value = value != 0 ? bytes : NULL,
                                          .key_length = 4,
                                          .value_length = value != 0 ? sizeof bytes : 0};
    struct remed_error error = {0};
    uint64_t limit = now_ns() + PATIENCE_S * 1000000000ull;
    int rc;
    while ((rc = remed_transport_publish(end->transport, &message, key, &error)) == REMED_EBUSY &&
           now_ns() < limit)
        turn(end);
    if (rc < 0)
        printf("    publish: %s\n", error.message);
    CHECK(rc == 0);
}

static void publish_all(struct end *end, uint32_t rounds, uint32_t base)
{
    for (uint32_t round = 1; round <= rounds; round++)
        for (uint32_t key = 0; key < KEYS; key++)
            publish(end, key, base + round);
    UNTIL(end, end->delivered + end->failed >= (uint64_t)rounds * KEYS);
    CHECK(end->failed == 0);
}

static unsigned holding(const struct end *end, uint32_t value)
{
    unsigned count = 0;
    for (uint32_t key = 0; key < KEYS; key++)
        count += end->value[key] == value;
    return count;
}

static void late_subscriber(void)
{
    struct end writer, reader;
    if (!open_end(&writer, 65536, NULL))
        return;
    publish_all(&writer, 20, 0);
    CHECK(writer.delivered == 20 * KEYS);
    if (open_end(&reader, 65536, "begin")) {
        UNTIL(&reader, reader.caught_up > 0);
        CHECK(reader.caught_up == 1);
        CHECK(reader.received_at_marker >= KEYS);
        CHECK(holding(&reader, 20) == KEYS);
        CHECK(reader.disorder == 0);
        publish(&writer, 7, 99); /* and what comes later comes later */
        UNTIL(&writer, writer.delivered == 20 * KEYS + 1);
        UNTIL(&reader, reader.value[7] == 99);
        CHECK(reader.caught_up == 1);
        close_end(&reader);
    }
    close_end(&writer);
}

static void several_live(void)
{
    struct end writer, readers[3];
    bool open = open_end(&writer, 65536, NULL);
    for (unsigned i = 0; i < 3; i++)
        open = open && open_end(&readers[i], 65536, "begin");
    if (!open)
        return;
    for (unsigned i = 0; i < 3; i++)
        UNTIL(&readers[i], readers[i].caught_up == 1); /* of nothing */
    publish_all(&writer, 10, 0);
    for (unsigned i = 0; i < 3; i++) {
        UNTIL(&readers[i], holding(&readers[i], 10) == KEYS);
        CHECK(readers[i].disorder == 0);
        CHECK(readers[i].caught_up == 1);
        close_end(&readers[i]);
    }
    close_end(&writer);
}

static void removals(void)
{
    struct end writer, live, late;
    if (!open_end(&writer, 65536, NULL) || !open_end(&live, 65536, "begin"))
        return;
    UNTIL(&live, live.caught_up == 1); /* of nothing: what is removed later, it sees */
    publish_all(&writer, 1, 0);
    for (uint32_t key = 0; key < KEYS; key += 2)
        publish(&writer, key, 0);
    UNTIL(&writer, writer.delivered == KEYS + KEYS / 2);
    UNTIL(&live, holding(&live, 0) == KEYS / 2 && live.received >= KEYS);
    if (open_end(&late, 65536, "begin")) {
        UNTIL(&late, late.caught_up == 1);
        CHECK(holding(&late, 1) == KEYS / 2);
        CHECK(late.value[0] == 0 && late.value[1] == 1);
        close_end(&late);
    }
    close_end(&live);
    close_end(&writer);
}

static void from_end(void)
{
    struct end writer, reader;
    if (!open_end(&writer, 65536, NULL))
        return;
    publish_all(&writer, 1, 0);
    if (open_end(&reader, 65536, "end")) {
        UNTIL(&reader, reader.caught_up == 1);
        CHECK(reader.received == 0);
        publish(&writer, 3, 50);
        UNTIL(&writer, writer.delivered == KEYS + 1);
        UNTIL(&reader, reader.received == 1);
        CHECK(reader.value[3] == 50);
        close_end(&reader);
    }
    close_end(&writer);
}

/* A replica that stops and goes on misses nothing in between. */
static void from_position(void)
{
    struct end writer, reader;
    char position[1024];
    if (!open_end(&writer, 65536, NULL) || !open_end(&reader, 65536, "begin"))
        return;
    publish_all(&writer, 1, 0);
    UNTIL(&reader, holding(&reader, 1) == KEYS);
    CHECK(remed_transport_position(reader.transport, position, sizeof position) < sizeof position);
    close_end(&reader);
    publish_all(&writer, 1, 1);
    publish(&writer, 5, 0);
    UNTIL(&writer, writer.delivered == 2 * KEYS + 1);
    if (open_end(&reader, 65536, position)) {
        /* From "begin", which a position may be, the removed key does not come. */
        UNTIL(&reader, holding(&reader, 2) == KEYS - 1 && reader.received >= KEYS - 1);
        UNTIL(&reader, reader.caught_up == 1);
        CHECK(reader.value[5] == 0);
        CHECK(holding(&reader, 1) == 0);
        close_end(&reader);
    }
    close_end(&writer);
}

static void back_pressure(void)
{
    struct end writer, reader;
    struct remed_transport_stats stats;
    uint32_t key = 1;
    const struct remed_message message = {.key = (const uint8_t *)&key,
                                          .value = (const uint8_t *)"abcd",
                                          .key_length = 4,
                                          .value_length = 4};
    if (!open_end(&writer, 16, NULL))
        return;
    unsigned taken = 0;
    struct remed_error error = {0};
    while (taken < 100 && remed_transport_publish(writer.transport, &message, 0, &error) == 0)
        taken++;
    CHECK(taken == 16);
    CHECK(error.code == REMED_EBUSY && error.message[0] != '\0');
    CHECK(remed_err_is_retriable(error.code));
    remed_transport_stats(writer.transport, &stats, sizeof stats);
    CHECK(stats.pending == 16 && stats.refused == 1);
    UNTIL(&writer, writer.delivered == 16);
    writer.delivered = 0;
    publish_all(&writer, 4, 2000000000u); /* waits its way through 16 places */
    if (open_end(&reader, 16, "begin")) {
        UNTIL(&reader, reader.caught_up == 1);
        CHECK(holding(&reader, 2000000004u) == KEYS);
        close_end(&reader);
    }
    close_end(&writer);
}

static void limits(void)
{
    static uint8_t key[REMED_TRANSPORT_KEY_MAX + 1];
    static uint8_t value[REMED_TRANSPORT_VALUE_MAX + 1];
    struct end end;
    struct remed_message message = {
        .key = key, .value = value, .key_length = sizeof key, .value_length = 1};
    if (!open_end(&end, 16, "begin"))
        return;
    CHECK(remed_transport_publish(end.transport, &message, 0, NULL) == REMED_ELIMIT);
    message.key_length = 0;
    CHECK(remed_transport_publish(end.transport, &message, 0, NULL) == REMED_ELIMIT);
    message.key_length = 1;
    message.value_length = sizeof value;
    CHECK(remed_transport_publish(end.transport, &message, 0, NULL) == REMED_ELIMIT);
    CHECK(remed_transport_subscribe(end.transport, "begin", NULL) == REMED_EINVAL);
    close_end(&end);
    if (open_end(&end, 16, NULL)) {
        CHECK(remed_transport_subscribe(end.transport, "no position", NULL) == REMED_EINVAL);
        close_end(&end);
    }
}

/* The transport may go in the middle of what it hands out. */
static void close_within(void)
{
    struct end writer, reader;
    if (!open_end(&writer, 65536, NULL))
        return;
    publish_all(&writer, 1, 0);
    if (open_end(&reader, 65536, "begin")) {
        reader.close_in_callback = &reader.transport;
        uint64_t limit = now_ns() + PATIENCE_S * 1000000000ull;
        while (reader.transport != NULL && now_ns() < limit) {
            struct remed_transport *transport = reader.transport;
            remed_transport_process(transport, now_ns(), NULL);
        }
        CHECK(reader.transport == NULL);
        CHECK(reader.received == 1);
    }
    close_end(&writer);
}

unsigned conformance_run(const char *name, const struct conformance *given)
{
    static const struct {
        const char *what;
        void (*run)(void);
    } cases[] = {{"a late subscriber gets the newest of each key, and a marker", late_subscriber},
                 {"several live subscribers, in order", several_live},
                 {"removals", removals},
                 {"from the end", from_end},
                 {"from a position", from_position},
                 {"back-pressure loses nothing", back_pressure},
                 {"limits", limits},
                 {"closed within a callback", close_within}};
    unsigned failed = 0;
    suite = given;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        topic++;
        failures = 0;
        cases[i].run();
        printf("  %s: %s ... %s\n", name, cases[i].what, failures == 0 ? "passed" : "FAILED");
        failed += failures != 0;
    }
    return failed;
}
