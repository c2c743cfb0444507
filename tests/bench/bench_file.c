/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Acknowledged records a second by the file transport, synced every 10 ms, against fio appending as
 * many bytes in blocks of 64 KiB with fdatasync as often for its bytes, by turns on one disk.
 * Megabytes a second by the clock. Usage: bench_file FOLDER
 */
#include "bench/bench.h"

#include <remediate/transport.h>

#define RECORDS 500000u
#define VALUE 100u
#define KEYS 100000u
#define RECORD_BYTES (24u + 20u + VALUE)
#define BLOCK 65536u
#define SYNC_SECONDS 0.01

static const char *folder;
static uint64_t acknowledged;

static void on_delivered(void *context, uint64_t tag, int code)
{
    (void)context;
    (void)tag;
    acknowledged += code == 0;
}

static uint64_t wall_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void run(const char *command)
{
    if (system(command) != 0)
        exit(1);
}

static void publish_all(struct remed_transport *transport)
{
    uint8_t key[20] = {0}, value[VALUE] = {0};
    const struct remed_message message = {
        .key = key, .key_length = sizeof key, .value = value, .value_length = sizeof value};
    for (uint32_t i = 0; i < RECORDS; i++) {
        uint32_t number = i % KEYS;
        memcpy(key, &number, sizeof number);
        memcpy(value, &i, sizeof i);
        while (remed_transport_publish(transport, &message, i, NULL) < 0)
            if (remed_transport_process(transport, wall_ns(), NULL) < 0)
                exit(1);
        if (i % 256 == 0 && remed_transport_process(transport, wall_ns(), NULL) < 0)
            exit(1);
    }
    while (acknowledged < RECORDS)
        if (remed_transport_process(transport, wall_ns(), NULL) < 0)
            exit(1);
}

static double run_ours(void)
{
    char uri[512], clean[512];
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    remed_transport_opts_init(&opts, sizeof opts);
    opts.events.delivered = on_delivered;
    snprintf(uri, sizeof uri, "file://%s/log?compact=0", folder);
    snprintf(clean, sizeof clean, "rm -rf '%s/log'", folder);
    acknowledged = 0;
    if (remed_transport_open(&transport, uri, &opts, NULL) < 0)
        exit(1);
    uint64_t begin = wall_ns();
    publish_all(transport);
    double seconds = (double)(wall_ns() - begin) * 1e-9;
    remed_transport_close(transport, NULL);
    run(clean);
    return (double)RECORDS * RECORD_BYTES / seconds * 1e-6;
}

/* `rate`: ours in MB/s, which tells how many bytes lie between two syncs. */
static double run_fio(double rate)
{
    char command[1024], line[4096];
    double bytes_a_second = 0;
    unsigned blocks = (unsigned)(rate * 1e6 * SYNC_SECONDS / BLOCK);
    snprintf(command, sizeof command,
             "fio --name=append --directory='%s' --rw=write --bs=%u --size=%u --fdatasync=%u "
             "--ioengine=psync --output-format=json 2>/dev/null; rm -f '%s'/append.*",
             folder, BLOCK, RECORDS * RECORD_BYTES / BLOCK * BLOCK, blocks > 0 ? blocks : 1,
             folder);
    FILE *output = popen(command, "r");
    while (output != NULL && fgets(line, sizeof line, output) != NULL) {
        const char *found = strstr(line, "\"bw_bytes\" :");
        if (found != NULL && bytes_a_second < strtod(found + 12, NULL))
            bytes_a_second = strtod(found + 12, NULL); /* of reading it is 0 */
    }
    if (output == NULL || pclose(output) != 0 || bytes_a_second <= 0) {
        fprintf(stderr, "fio did not run\n");
        exit(1);
    }
    return bytes_a_second * 1e-6;
}

int main(int argc, char **argv)
{
    double ours[BENCH_ROUNDS], theirs[BENCH_ROUNDS];
    if (argc != 2)
        return 2;
    folder = argv[1];
    for (unsigned i = 0; i < BENCH_ROUNDS; i++) {
        ours[i] = run_ours();
        theirs[i] = run_fio(ours[i]);
    }
    bench_row("file: acknowledged, MB/s", "fio append, as many syncs", ours, theirs, 0.5);
    return 0;
}
