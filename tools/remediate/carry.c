/* SPDX-License-Identifier: BSD-3-Clause */
/* The sharing of carry.h. Threads: one. */
#include "intake.h"

#if defined(REMED_HAVE_KAFKA)
#include <remediate/kafka.h>
#endif
#if defined(REMED_HAVE_REDIS)
#include <remediate/redis.h>
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

volatile int interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

void catch_interrupts(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal; /* without SA_RESTART: a blocked read ends */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t real_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

uint64_t monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int fail_at(const char *uri, const char *message)
{
    char shown[1024];
    remed_uri_redacted(uri, shown, sizeof shown);
    return fail("%s: %s", shown, message);
}

/* What costs records is told. That a server is away passes by itself, and is told as waiting. */
static void on_log(void *context, enum remed_log_level level, const char *module,
                   const char *message)
{
    (void)context;
    bool passes = strcmp(module, "kafka") == 0 || strcmp(module, "redis") == 0;
    if (level <= REMED_LOG_ERROR || (level == REMED_LOG_WARNING && !passes))
        fail("%s: %s", module, message);
}

void describe_damage(const struct remed_transport *transport, char text[DAMAGE_TEXT])
{
    char first[DAMAGE_TEXT - 100];
    struct remed_transport_stats stats;
    remed_transport_stats(transport, &stats, sizeof stats);
    size_t length = remed_transport_damage(transport, first, sizeof first);
    if (stats.damaged == 0)
        text[0] = '\0';
    else
        snprintf(text, DAMAGE_TEXT, "%llu damaged %s passed over%s%s",
                 (unsigned long long)stats.damaged, stats.damaged == 1 ? "place" : "places",
                 length != 0 ? "; the first: " : "", length != 0 ? first : "");
}

void add_drivers(struct remed_transport_opts *opts)
{
    static const struct remed_transport_driver *drivers[3];
    uint32_t count = 0;
#if defined(REMED_HAVE_KAFKA)
    drivers[count++] = remed_kafka_driver();
#endif
#if defined(REMED_HAVE_REDIS)
    drivers[count++] = remed_redis_driver();
    drivers[count++] = remed_rediss_driver();
#endif
    opts->log.write = on_log;
    opts->drivers = drivers;
    opts->driver_count = count;
}

struct remed_transport *open_transport(const char *uri, const struct remed_transport_events *events)
{
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    struct remed_error error;
    remed_transport_opts_init(&opts, sizeof opts);
    opts.events = *events;
    add_drivers(&opts);
    if (remed_transport_open(&transport, uri, &opts, &error) < 0)
        fail_at(uri, error.message);
    return transport;
}

int drive(struct remed_transport *transport, int most_ms)
{
    struct remed_error error;
    uint64_t now = monotonic_ns(), deadline = remed_transport_deadline(transport);
    struct pollfd descriptor = {.events = 0};
    descriptor.fd = remed_transport_fd(transport, &descriptor.events);
    if (deadline > now) {
        uint64_t wait = (deadline - now + 999999) / 1000000;
        int milliseconds = wait < (uint64_t)most_ms ? (int)wait : most_ms;
        if (poll(&descriptor, descriptor.fd >= 0, milliseconds) < 0 && errno != EINTR)
            return fail("cannot wait: %s", strerror(errno));
    }
    if (remed_transport_process(transport, monotonic_ns(), &error) < 0)
        return fail("%s", error.message);
    return EXIT_OK;
}

int drive_telling(struct remed_transport *transport, struct patience *patience)
{
    char text[WAITING_TEXT];
    int code = drive(transport, 1000);
    uint64_t now = monotonic_ns();
    remed_transport_waiting(transport, text, sizeof text);
    if (text[0] == '\0')
        patience->since = 0;
    else if (patience->since == 0)
        patience->since = now;
    bool counts = patience->since != 0 && patience->most != UINT64_MAX;
    uint64_t until = counts ? patience->since + patience->most : UINT64_MAX;
    waiting_look(&patience->waiting, text, until, now);
    if (code == EXIT_OK && now >= until)
        code = fail("%s: gave up: %s", patience->waiting.who, text);
    return code;
}

int print_record(FILE *out, const struct remed_record *record)
{
    static char text[4 * REMED_RECORD_MAX];
    size_t length;
    int rc = remed_json_write(record, text, sizeof text, &length);
    if (rc < 0)
        return fail("a record can't be written as JSON: %s", remed_strerror(rc));
    if (fwrite(text, 1, length, out) != length || fputc('\n', out) == EOF)
        return fail("cannot write: %s", strerror(errno));
    return EXIT_OK;
}

struct gathering {
    uint64_t wait; /* ns; UINT64_MAX: for ever */
    struct remed_replica *replica;
    char *position;                             /* REMED_SNAPSHOT_POSITION_MAX + 1 bytes, or NULL */
    uint64_t no_memory;                         /* of the refused */
    uint64_t bad, refused;                      /* bad: damaged, or not signed as it should be */
    char first_bad[sizeof(struct remed_error)]; /* the first of them: where and what */
    bool caught_up;
    char *damage; /* DAMAGE_TEXT bytes */
};

static void on_message(void *context, const struct remed_message *message)
{
    struct gathering *gathering = context;
    struct remed_error error;
    int rc = remed_replica_apply_message(gathering->replica, message, real_ns(), &error);
    gathering->refused += rc == REMED_ELIMIT || rc == REMED_ENOMEM;
    gathering->no_memory += rc == REMED_ENOMEM;
    if (rc < 0 && rc != REMED_ELIMIT && rc != REMED_ENOMEM && gathering->bad++ == 0)
        snprintf(gathering->first_bad, sizeof gathering->first_bad, "offset %llu: %.200s",
                 (unsigned long long)message->offset, error.message);
}

static void on_caught_up(void *context)
{
    ((struct gathering *)context)->caught_up = true;
}

static int gather_uri(struct gathering *gathering, const char *uri)
{
    struct remed_error error;
    const struct remed_transport_events events = {
        .context = gathering, .message = on_message, .caught_up = on_caught_up};
    struct remed_transport *transport = open_transport(uri, &events);
    if (transport == NULL)
        return EXIT_FAILED;
    int code = EXIT_OK;
    struct patience patience = {.most = gathering->wait};
    waiting_init(&patience.waiting, uri);
    if (remed_transport_subscribe(transport, "begin", &error) < 0)
        code = fail_at(uri, error.message);
    while (code == EXIT_OK && !gathering->caught_up && !interrupted)
        code = drive_telling(transport, &patience);
    waiting_end(&patience.waiting);
    if (interrupted)
        code = fail("interrupted");
    if (code == EXIT_OK && gathering->position != NULL)
        remed_transport_position(transport, gathering->position, REMED_SNAPSHOT_POSITION_MAX + 1);
    describe_damage(transport, gathering->damage);
    remed_transport_close(transport, NULL);
    return code;
}

/* JSON lines, or records in their wire form. */
static int gather_stream(struct gathering *gathering, const char *path)
{
    struct intake intake;
    struct remed_error error;
    int file = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return fail("%s: %s", path, strerror(errno));
    int code = intake_init(&intake, path) ? EXIT_OK : fail("no memory");
    while (code == EXIT_OK && !intake.at_end) {
        int taken = 0;
        code = interrupted ? fail("interrupted") : intake_read(&intake, file);
        while (code == EXIT_OK && (taken = intake_next(&intake)) == 1)
            gathering->refused += remed_replica_apply_record(gathering->replica, intake.record,
                                                             real_ns(), &error) < 0;
        if (taken < 0)
            code = EXIT_FAILED;
    }
    intake_fini(&intake);
    if (file != STDIN_FILENO)
        close(file);
    return code;
}

/* A file of remed_replica_save()? */
static bool is_saved(const char *path)
{
    char begin[8] = "";
    FILE *file = strcmp(path, "-") != 0 ? fopen(path, "rb") : NULL;
    size_t got = file != NULL ? fread(begin, 1, sizeof begin, file) : 0;
    if (file != NULL)
        fclose(file);
    return got == sizeof begin && memcmp(begin, "REMEDSNP", sizeof begin) == 0;
}

static int gather_saved(struct gathering *gathering, const char *path)
{
    static char position[REMED_SNAPSHOT_POSITION_MAX + 1];
    struct remed_error error;
    char *to = gathering->position != NULL ? gathering->position : position;
    int rc = remed_replica_load(gathering->replica, path, to, sizeof position, real_ns(), &error);
    gathering->refused += rc == REMED_ELIMIT;
    return rc < 0 && rc != REMED_ELIMIT ? fail("%s", error.message) : EXIT_OK;
}

/* A scheme is letters and more before a colon; what has a slash before it is a path. */
static bool is_uri(const char *where)
{
    size_t length = strcspn(where, ":/");
    return length > 1 && where[length] == ':';
}

/* Records that no key has signed are refused with all others: who asks for signatures wants no part
 * of what somebody changed. */
static int refuse_unsigned(const char *where, const struct gathering *gathering)
{
    struct remed_replica_stats stats;
    remed_replica_stats(gathering->replica, &stats, sizeof stats);
    if (stats.not_signed + stats.unknown_key + stats.altered == 0)
        return EXIT_OK;
    fail("%s", gathering->first_bad);
    fail("%s: refused %llu not signed, %llu signed with unknown keys, %llu altered", where,
         (unsigned long long)stats.not_signed, (unsigned long long)stats.unknown_key,
         (unsigned long long)stats.altered);
    if (stats.damaged > 0)
        fail("%s: %llu records are damaged", where, (unsigned long long)stats.damaged);
    return EXIT_FAILED;
}

/* Damaged records are left out, and told as other damage is. */
static void describe_bad(const char *where, const struct gathering *gathering)
{
    size_t length = strlen(gathering->damage);
    snprintf(gathering->damage + length, DAMAGE_TEXT - length,
             "%s%.600s: %llu damaged %s left out; the first: %s", length != 0 ? "; " : "", where,
             (unsigned long long)gathering->bad, gathering->bad == 1 ? "record" : "records",
             gathering->first_bad);
}

struct remed_replica *gather_replica(const char *where, uint32_t max_entries,
                                     const struct remed_mac *mac, uint64_t wait, char *position,
                                     char damage[DAMAGE_TEXT])
{
    struct gathering gathering = {.wait = wait, .position = position, .damage = damage};
    char shown[1024];
    struct remed_replica_opts opts;
    struct remed_error error;
    damage[0] = '\0';
    remed_replica_opts_init(&opts, sizeof opts);
    opts.max_entries = max_entries;
    opts.mac = mac;
    opts.max_bytes = SIZE_MAX / 4 < 8ull << 30 ? SIZE_MAX / 4 : 8ull << 30;
    if (remed_replica_new(&gathering.replica, &opts, &error) < 0) {
        fail("%s", error.message);
        return NULL;
    }
    int code = is_uri(where)     ? gather_uri(&gathering, where)
               : is_saved(where) ? gather_saved(&gathering, where)
                                 : gather_stream(&gathering, where);
    remed_uri_redacted(where, shown, sizeof shown);
    if (code == EXIT_OK && gathering.no_memory > 0)
        code =
            fail("%s: no memory for %llu records", shown, (unsigned long long)gathering.no_memory);
    if (code == EXIT_OK && gathering.refused > 0)
        code = fail("%s: %llu records found no room; --max-entries makes more", shown,
                    (unsigned long long)gathering.refused);
    if (code == EXIT_OK && gathering.bad > 0)
        code = refuse_unsigned(shown, &gathering);
    if (code == EXIT_OK && gathering.bad > 0)
        describe_bad(shown, &gathering);
    if (code == EXIT_OK)
        return gathering.replica;
    remed_replica_free(gathering.replica);
    if (damage[0] != '\0')
        fail("%s", damage);
    return NULL;
}
