/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every bit of a repository of 200 records over three segments is flipped, one at a time. At most
 * the record that it is in may be missing, and it must be told: for a reader; for a writer that
 * adds a record, and whoever reads then; and for a compaction, and whoever reads then. No byte that
 * was there may go, but by a compaction, which leaves the damaged segment beside.
 *
 * Usage: file_bits_check [STEP]: every STEP-th bit alone
 */
#include <remediate/transport.h>

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORDS 200u
#define VALUE 17u
#define LONG_VALUE 1000u /* of what is added: a few fill a segment */
#define ADDED 6u
#define MOST_NUMBER 1000u
#define MOST_FILES 8u
#define MOST_BYTES 16384u
#define WORKERS 2u
#define SECOND 1000000000ull

static char original[96], copy[96];
static unsigned failed;

struct file {
    char name[64];
    uint8_t bytes[MOST_BYTES];
    size_t length;
};

static struct file files[MOST_FILES];
static unsigned file_count;

struct seen {
    bool has[MOST_NUMBER];
    unsigned delivered, lost;
    bool caught_up;
};

static void on_delivered(void *context, uint64_t tag, int code)
{
    struct seen *seen = context;
    (void)tag;
    seen->delivered += code == 0;
    seen->lost += code != 0;
}

static void on_message(void *context, const struct remed_message *message)
{
    struct seen *seen = context;
    uint32_t number;
    memcpy(&number, message->key, sizeof number);
    if (number < MOST_NUMBER)
        seen->has[number] = true;
}

static void on_caught_up(void *context)
{
    ((struct seen *)context)->caught_up = true;
}

static void complain(const char *what, const char *more)
{
    if (failed++ < 20)
        printf("  %s: %s\n", what, more);
}

static struct remed_transport *open_uri(const char *folder, const char *parameters,
                                        struct seen *seen)
{
    char uri[256];
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    struct remed_error error = {0};
    snprintf(uri, sizeof uri, "file://%s?sync=never&segment=4KiB&%s", folder, parameters);
    remed_transport_opts_init(&opts, sizeof opts);
    opts.max_pending = 512;
    opts.max_pending_bytes = REMED_TRANSPORT_VALUE_MAX;
    opts.events = (struct remed_transport_events){.context = seen,
                                                  .delivered = on_delivered,
                                                  .message = on_message,
                                                  .caught_up = on_caught_up};
    if (remed_transport_open(&transport, uri, &opts, &error) < 0) {
        printf("%s: %s\n", uri, error.message);
        exit(EXIT_FAILURE);
    }
    return transport;
}

static int publish(struct remed_transport *transport, uint32_t number, struct remed_error *error)
{
    uint8_t value[LONG_VALUE] = {0};
    memcpy(value, &number, sizeof number);
    const struct remed_message message = {.key = (const uint8_t *)&number,
                                          .value = value,
                                          .key_length = sizeof number,
                                          .value_length = number < RECORDS ? VALUE : sizeof value};
    return remed_transport_publish(transport, &message, number, error);
}

/* Publishes numbers, and processes until nothing is to be done. */
static bool write_numbers(const char *folder, const char *parameters, uint32_t from, uint32_t to)
{
    struct seen seen = {.delivered = 0};
    struct remed_error error = {0};
    struct remed_transport *transport = open_uri(folder, parameters, &seen);
    int rc = 0;
    for (uint32_t number = from; number < to && rc >= 0; number++) {
        rc = publish(transport, number, &error);
        if (rc == 0)
            rc = remed_transport_process(transport, number, &error);
    }
    for (unsigned i = 0; i < 1000 && rc > 0; i++)
        rc = remed_transport_process(transport, MOST_NUMBER + i, &error);
    if (rc == 0)
        rc = remed_transport_close(transport, &error);
    else
        remed_transport_close(transport, NULL);
    if (rc < 0)
        complain("writing", error.message);
    return rc == 0 && seen.delivered == to - from && seen.lost == 0;
}

static void load_files(const char *folder)
{
    DIR *open_folder = opendir(folder);
    const struct dirent *entry;
    while (open_folder != NULL && (entry = readdir(open_folder)) != NULL) {
        struct file *file = &files[file_count];
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "lock") == 0)
            continue;
        snprintf(file->name, sizeof file->name, "%.60s", entry->d_name);
        int fd = openat(dirfd(open_folder), entry->d_name, O_RDONLY);
        ssize_t got = fd >= 0 ? read(fd, file->bytes, sizeof file->bytes) : -1;
        if (got < 0 || got == MOST_BYTES || ++file_count == MOST_FILES)
            exit(EXIT_FAILURE);
        file->length = (size_t)got;
        close(fd);
    }
    if (open_folder != NULL)
        closedir(open_folder);
}

/* The repository anew, one bit of it flipped. */
static void make_copy(const struct file *flipped, size_t at, unsigned bit)
{
    DIR *open_folder = opendir(copy);
    const struct dirent *entry;
    if (open_folder == NULL)
        exit(EXIT_FAILURE);
    while ((entry = readdir(open_folder)) != NULL)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(open_folder), entry->d_name, 0);
    for (unsigned i = 0; i < file_count; i++) {
        static uint8_t bytes[MOST_BYTES];
        memcpy(bytes, files[i].bytes, files[i].length);
        if (&files[i] == flipped)
            bytes[at] ^= (uint8_t)(1u << bit);
        int fd = openat(dirfd(open_folder), files[i].name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd < 0 || write(fd, bytes, files[i].length) != (ssize_t)files[i].length)
            exit(EXIT_FAILURE);
        close(fd);
    }
    closedir(open_folder);
}

/* Reads all: at most one of the first records may be missing, and damage is told. */
static void check_reading(const char *where, uint32_t count, const char *aside)
{
    struct seen seen = {.delivered = 0};
    struct remed_transport_stats stats;
    struct remed_error error = {0};
    char text[512] = "", more[700];
    unsigned missing = 0;
    struct remed_transport *transport = open_uri(copy, "compact=0", &seen);
    int rc = remed_transport_subscribe(transport, "begin", &error);
    for (unsigned i = 1; i < 20 && rc >= 0 && !seen.caught_up; i++)
        rc = remed_transport_process(transport, i * SECOND, &error);
    remed_transport_stats(transport, &stats, sizeof stats);
    remed_transport_damage(transport, text, sizeof text);
    remed_transport_close(transport, NULL);
    for (uint32_t number = 0; number < count; number++)
        missing += !seen.has[number];
    bool placed = strstr(text, aside) != NULL && strncmp(text, copy, strlen(copy)) == 0;
    if (strstr(text, "the repository's id is damaged") != NULL)
        placed = true;
    snprintf(more, sizeof more, "%s; caught up %d, %u missing, %llu damaged: %s", error.message,
             seen.caught_up, missing, (unsigned long long)stats.damaged, text);
    if (rc < 0 || !seen.caught_up || missing > 1 || stats.damaged == 0 || !placed)
        complain(where, more);
    for (uint32_t number = RECORDS; number < count; number++)
        if (!seen.has[number])
            complain(where, "a new record is missing");
}

/* All that was there is there, with what was appended behind it. */
static void check_bytes(const char *where, const struct file *flipped, size_t at, unsigned bit)
{
    for (unsigned i = 0; i < file_count; i++) {
        static uint8_t bytes[MOST_BYTES];
        char path[512];
        snprintf(path, sizeof path, "%s/%.60s", copy, files[i].name);
        int fd = open(path, O_RDONLY);
        ssize_t got = fd >= 0 ? read(fd, bytes, files[i].length) : -1;
        if (fd >= 0)
            close(fd);
        if (&files[i] == flipped)
            bytes[at] ^= (uint8_t)(1u << bit);
        if (got != (ssize_t)files[i].length || memcmp(bytes, files[i].bytes, files[i].length) != 0)
            complain(where, files[i].name);
    }
}

static void check_bit(const struct file *file, size_t at, unsigned bit)
{
    char where[256];
    make_copy(file, at, bit);
    snprintf(where, sizeof where, "%.60s: byte %zu bit %u: reader", file->name, at, bit);
    check_reading(where, RECORDS, file->name);
    snprintf(where, sizeof where, "%.60s: byte %zu bit %u: writer", file->name, at, bit);
    if (!write_numbers(copy, "compact=0", RECORDS, RECORDS + 1))
        complain(where, "the record was not delivered");
    check_bytes(where, file, at, bit);
    check_reading(where, RECORDS + 1, file->name);
    snprintf(where, sizeof where, "%.60s: byte %zu bit %u: compaction", file->name, at, bit);
    if (!write_numbers(copy, "compact=1", RECORDS + 1, RECORDS + ADDED))
        complain(where, "records were not delivered");
    check_reading(where, RECORDS + ADDED, file->name);
}

/* One worker's share. */
static int check_share(const char *folder, unsigned step, unsigned worker)
{
    unsigned long turn = 0, bits = 0;
    snprintf(copy, sizeof copy, "%s/copy%u", folder, worker);
    if (mkdir(copy, 0700) < 0)
        return EXIT_FAILURE;
    for (unsigned i = 0; i < file_count; i++)
        for (size_t n = i % step; n < files[i].length * 8; n += step)
            if (turn++ % WORKERS == worker) {
                check_bit(&files[i], n / 8, n % 8);
                bits++;
            }
    printf("%lu bits read, written behind, compacted; %u complaints\n", bits, failed);
    fflush(stdout);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void check_all(const char *folder, unsigned step)
{
    unsigned segments = 0;
    for (unsigned i = 0; i < file_count; i++)
        segments += strstr(files[i].name, ".log") != NULL;
    if (segments != 3)
        complain("the repository", "has not three segments");
    fflush(stdout);
    for (unsigned worker = 0; worker < WORKERS; worker++)
        if (fork() == 0)
            _exit(check_share(folder, step, worker));
    for (unsigned worker = 0; worker < WORKERS; worker++) {
        int status = 0;
        if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS)
            failed++;
    }
}

int main(int argc, char **argv)
{
    char folder[64], remove[128];
    struct stat status;
    unsigned step = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    mallopt(M_MMAP_THRESHOLD, 128 << 10); /* else large zeroed blocks are zeroed by hand */
    const char *base = stat("/dev/shm", &status) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof folder, "%s/remediate-bits-XXXXXX", base);
    if (mkdtemp(folder) == NULL || step == 0)
        return EXIT_FAILURE;
    snprintf(original, sizeof original, "%s/original", folder);
    if (!write_numbers(original, "compact=0", 0, RECORDS))
        return EXIT_FAILURE;
    load_files(original);
    check_all(folder, step);
    snprintf(remove, sizeof remove, "rm -rf %s", folder);
    if (system(remove) != 0)
        failed++;
    printf("%s\n", failed == 0 ? "all passed" : "some FAILED");
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
