/* SPDX-License-Identifier: BSD-3-Clause */
/* The sharing of live.h. */
#include "conformance/live.h"

#if defined(REMED_HAVE_KAFKA)
#include <remediate/kafka.h>
#endif
#if defined(REMED_HAVE_REDIS)
#include <remediate/redis.h>
#endif

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * LIVE_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t live_now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t live_real(void)
{
    return clock_ns(CLOCK_REALTIME);
}

void live_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("failed: ", stdout);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
    exit(EXIT_FAILURE);
}

void live_opts(struct remed_transport_opts *opts)
{
    static const struct remed_transport_driver *drivers[3];
    remed_transport_opts_init(opts, sizeof *opts);
#if defined(REMED_HAVE_KAFKA)
    drivers[opts->driver_count++] = remed_kafka_driver();
#endif
#if defined(REMED_HAVE_REDIS)
    drivers[opts->driver_count++] = remed_redis_driver();
    drivers[opts->driver_count++] = remed_rediss_driver();
#endif
    opts->drivers = drivers;
}

struct remed_transport *live_open(const char *uri, const struct remed_transport_opts *opts)
{
    struct remed_transport *transport = NULL;
    struct remed_error error;
    if (remed_transport_open(&transport, uri, opts, &error) < 0)
        live_die("%s: %s", uri, error.message);
    return transport;
}

void live_subscribe(struct remed_transport *transport, const char *from)
{
    struct remed_error error;
    if (remed_transport_subscribe(transport, from, &error) < 0)
        live_die("subscribe: %s", error.message);
}

void live_drive(struct remed_transport *transport, int most_ms)
{
    struct remed_error error;
    uint64_t now = live_now(), deadline = remed_transport_deadline(transport);
    if (most_ms > 0 && deadline > now) {
        struct pollfd descriptor = {.fd = -1};
        descriptor.fd = remed_transport_fd(transport, &descriptor.events);
        uint64_t wait = (deadline - now) / 1000000 + 1;
        poll(&descriptor, descriptor.fd >= 0, wait < (uint64_t)most_ms ? (int)wait : most_ms);
    }
    if (remed_transport_process(transport, live_now(), &error) < 0)
        live_die("process: %s", error.message);
}

struct remed_replica *live_replica(uint32_t max_entries)
{
    struct remed_replica *replica = NULL;
    struct remed_replica_opts opts;
    struct remed_error error;
    remed_replica_opts_init(&opts, sizeof opts);
    opts.max_entries = max_entries;
    if (remed_replica_new(&replica, &opts, &error) < 0)
        live_die("%s", error.message);
    return replica;
}

void live_binding(struct remed_record *record, uint32_t key, uint64_t sequence)
{
    struct remed_record_head head;
    struct remed_nat_binding body = {
        .inside = {.address = {10, (uint8_t)(key >> 16), (uint8_t)(key >> 8), (uint8_t)key},
                   .port = 1000,
                   .ip_version = 4},
        .outside = {.address = {198, 51, (uint8_t)(sequence >> 24), (uint8_t)(sequence >> 16)},
                    .port = (uint16_t)sequence,
                    .ip_version = 4},
        .remote = {.address = {203, 0, 113, 9}, .port = 443, .ip_version = 4},
        .protocol = 6};
    remed_record_head_init(&head, sizeof head);
    head.domain = "edge-1";
    head.origin = "fw1";
    head.epoch = 1;
    head.sequence = sequence;
    head.observed = live_real();
    if (remed_record_set_head(record, &head, NULL) < 0 ||
        remed_record_set_body(record, REMED_KIND_NAT_BINDING, &body, sizeof body, NULL) < 0)
        live_die("a binding is refused");
}

int live_publish(struct remed_transport *transport, const struct remed_record *record, uint64_t tag)
{
    uint8_t key[REMED_KEY_MAX], wire[512];
    struct remed_message message = {.key = key, .value = wire};
    struct remed_error error;
    if (remed_record_encode(record, wire, sizeof wire, &message.value_length) < 0)
        live_die("a binding is too long");
    message.key_length = remed_record_key(record, key, sizeof key);
    int rc = remed_transport_publish(transport, &message, tag, &error);
    if (rc < 0 && rc != REMED_EBUSY)
        live_die("publish: %s", error.message);
    return rc;
}

static uint64_t read_status(const char *name)
{
    char line[256];
    unsigned long long kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (file == NULL)
        live_die("no /proc/self/status");
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kilobytes = strtoull(line + strlen(name), NULL, 10);
    fclose(file);
    return kilobytes * 1024;
}

uint64_t live_memory(void)
{
    return read_status("VmRSS:");
}

uint64_t live_memory_peak(void)
{
    return read_status("VmHWM:");
}

bool live_audit(const char *name, const struct remed_replica *expected,
                const struct remed_replica *found)
{
    struct remed_audit audit;
    int rc = remed_replica_audit(expected, found, NULL, NULL, &audit, sizeof audit);
    if (rc < 0)
        live_die("no memory for an audit");
    printf("%s: %llu of %llu entries equal, %llu missing, %llu extra, %llu stale, %llu differ\n",
           name, (unsigned long long)audit.equal, (unsigned long long)audit.entries[0],
           (unsigned long long)audit.differences[REMED_DIFFERENCE_MISSING],
           (unsigned long long)audit.differences[REMED_DIFFERENCE_EXTRA],
           (unsigned long long)audit.differences[REMED_DIFFERENCE_STALE],
           (unsigned long long)audit.differences[REMED_DIFFERENCE_FIELD]);
    return rc == 0;
}
