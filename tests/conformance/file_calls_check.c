/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each call to the system that the file transport makes fails in turn, once or from then on, while
 * a writer rolls over and compacts, and a reader follows. Afterwards every acknowledged record must
 * be there, the reader must have missed none, and each error must name the folder and its cause.
 *
 * Usage: file_calls_check [STEP]: of later calls of a kind every STEP-th alone
 */
#include <remediate/transport.h>

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define RECORDS 300u
#define SECOND 1000000000ull

enum call {
    PREAD,
    PWRITE,
    WRITE,
    FSYNC,
    FDATASYNC,
    LINK,
    RENAME,
    UNLINK,
    READDIR,
    TRUNCATE,
    CALLS
};
static const char *const names[] = {"pread",  "pwrite",   "write",    "fsync",   "fdatasync",
                                    "linkat", "renameat", "unlinkat", "readdir", "ftruncate"};

static struct {
    bool on, sticky, unlinks_too;
    enum call call;
    unsigned long at, count, hits;
} fault;

static bool hit(enum call call)
{
    bool fails = false;
    if (fault.on && call == fault.call) {
        fault.count++;
        fails = fault.count == fault.at || (fault.sticky && fault.count > fault.at);
    }
    fails = fails || (fault.on && fault.unlinks_too && call == UNLINK);
    fault.hits += fails;
    if (fails)
        errno = EIO;
    return fails;
}

#define WRAP(call, type, name, parameters, arguments, failure)                                     \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return hit(call) ? failure : __real_##name arguments;                                      \
    }

WRAP(PREAD, ssize_t, pread64, (int f, void *b, size_t s, off64_t o), (f, b, s, o), -1)
WRAP(PWRITE, ssize_t, pwrite64, (int f, const void *b, size_t s, off64_t o), (f, b, s, o), -1)
WRAP(WRITE, ssize_t, write, (int f, const void *b, size_t s), (f, b, s), -1)
WRAP(FSYNC, int, fsync, (int f), (f), -1)
WRAP(FDATASYNC, int, fdatasync, (int f), (f), -1)
WRAP(LINK, int, linkat, (int a, const char *b, int c, const char *d, int e), (a, b, c, d, e), -1)
WRAP(RENAME, int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d), -1)
WRAP(UNLINK, int, unlinkat, (int a, const char *b, int c), (a, b, c), -1)
WRAP(READDIR, struct dirent64 *, readdir64, (DIR * d), (d), NULL)
WRAP(TRUNCATE, int, ftruncate64, (int f, off64_t o), (f, o), -1)

static char folder[64];
static unsigned failed;
static char where[128];

struct seen {
    bool has[RECORDS], acknowledged[RECORDS];
    bool caught_up;
    unsigned lost;
};

static void on_delivered(void *context, uint64_t tag, int code)
{
    struct seen *seen = context;
    if (code == 0)
        seen->acknowledged[tag] = true;
    seen->lost += code != 0;
}

static void on_message(void *context, const struct remed_message *message)
{
    uint32_t number;
    memcpy(&number, message->key, sizeof number);
    ((struct seen *)context)->has[number] = true;
}

static void on_caught_up(void *context)
{
    ((struct seen *)context)->caught_up = true;
}

static void complain(const char *what)
{
    if (failed++ < 20)
        printf("  %s: %s\n", where, what);
}

/* What could not be removed is in the way later. */
static void check_error(int rc, const struct remed_error *error)
{
    bool named = strstr(error->message, folder) != NULL;
    bool caused = strstr(error->message, "Input/output error") != NULL ||
                  strstr(error->message, "File exists") != NULL;
    if (rc < 0 && rc != REMED_EBUSY && !(named && caused))
        complain(error->message);
}

static struct remed_transport *open_uri(const char *more, struct seen *seen)
{
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    struct remed_error error = {0};
    char uri[256];
    snprintf(uri, sizeof uri, "file://%s%s", folder, more);
    remed_transport_opts_init(&opts, sizeof opts);
    opts.max_pending = 512;
    opts.events = (struct remed_transport_events){.context = seen,
                                                  .delivered = on_delivered,
                                                  .message = on_message,
                                                  .caught_up = on_caught_up};
    int rc = remed_transport_open(&transport, uri, &opts, &error);
    check_error(rc, &error);
    return rc < 0 ? NULL : transport;
}

static int publish(struct remed_transport *transport, uint32_t number, struct remed_error *error)
{
    uint8_t value[100] = {0};
    const struct remed_message message = {.key = (const uint8_t *)&number,
                                          .value = value,
                                          .key_length = sizeof number,
                                          .value_length = sizeof value};
    return remed_transport_publish(transport, &message, number, error);
}

/* A reader that goes on after errors, as the host may. */
static void follow(struct remed_transport *reader, uint64_t now)
{
    struct remed_error error = {0};
    int rc = reader != NULL ? remed_transport_process(reader, now, &error) : 0;
    check_error(rc, &error);
}

/* Writes with the fault; afterwards the fault is off. */
static void live(struct seen *written, struct seen *live)
{
    struct remed_error error = {0};
    struct remed_transport *reader = open_uri("", live);
    struct remed_transport *writer = open_uri("?segment=4KiB&compact=2&sync=always", written);
    if (reader != NULL) {
        int rc = remed_transport_subscribe(reader, "begin", &error);
        check_error(rc, &error);
    }
    uint64_t now = SECOND;
    for (uint32_t number = 0; writer != NULL && number < RECORDS; number++, now += SECOND) {
        int rc = publish(writer, number, &error);
        check_error(rc, &error);
        rc = remed_transport_process(writer, now, &error);
        check_error(rc, &error);
        if (number % 3 == 0)
            follow(reader, now);
    }
    for (unsigned i = 0; writer != NULL && i < 20; i++, now += SECOND)
        (void)remed_transport_process(writer, now, NULL);
    int rc = remed_transport_close(writer, &error);
    check_error(rc, &error);
    fault.on = false;
    for (unsigned i = 0; i < 10; i++, now += 20 * SECOND)
        follow(reader, now);
    remed_transport_close(reader, NULL);
}

static void check_all(const struct seen *written, const struct seen *live, bool followed)
{
    struct seen after = {.lost = 0};
    struct remed_transport *reader = open_uri("", &after);
    if (reader == NULL || remed_transport_subscribe(reader, "begin", NULL) < 0)
        complain("it can't be read afterwards");
    for (unsigned i = 1; reader != NULL && i < 50 && !after.caught_up; i++)
        follow(reader, i * SECOND);
    remed_transport_close(reader, NULL);
    for (uint32_t number = 0; number < RECORDS; number++) {
        if (written->acknowledged[number] && !after.has[number])
            complain("an acknowledged record is missing");
        if (followed && after.has[number] && !live->has[number])
            complain("the reader missed a record");
    }
}

/* One run; returns whether the fault came to be. */
static bool run(enum call call, unsigned long at, bool sticky, bool unlinks_too)
{
    struct seen written = {.lost = 0}, followed = {.lost = 0};
    char command[128];
    snprintf(where, sizeof where, "%s %lu%s%s", names[call], at, sticky ? " and on" : "",
             unlinks_too ? ", unlinkat" : "");
    snprintf(command, sizeof command, "rm -rf %s/*", folder);
    if (system(command) != 0)
        exit(EXIT_FAILURE);
    fault.on = true;
    fault.call = call;
    fault.at = at;
    fault.sticky = sticky;
    fault.unlinks_too = unlinks_too;
    fault.count = fault.hits = 0;
    live(&written, &followed);
    bool came = fault.hits > 0 && fault.count >= at;
    check_all(&written, &followed, call != READDIR && call != PREAD);
    return came;
}

int main(int argc, char **argv)
{
    char remove[128];
    unsigned long runs = 0, step = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof folder, "%s/remediate-calls-XXXXXX", base);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (mkdtemp(folder) == NULL || step == 0)
        return EXIT_FAILURE;
    for (enum call call = 0; call < CALLS; call++)
        for (unsigned kind = 0; kind < 3; kind++) {
            unsigned long at = 1;
            while (at < 400 && run(call, at, kind == 1, kind == 2)) {
                runs++;
                at += at < 10 ? 1 : step;
            }
        }
    printf("%lu faults injected, %u complaints\n", runs, failed);
    snprintf(remove, sizeof remove, "rm -rf %s", folder);
    if (system(remove) != 0)
        failed++;
    printf("%s\n", failed == 0 && runs > 100 ? "all passed" : "some FAILED");
    return failed == 0 && runs > 100 ? EXIT_SUCCESS : EXIT_FAILURE;
}
