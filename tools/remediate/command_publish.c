/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remediate publish: records from standard input to a repository, JSON lines or MessagePack, told
 * by the first byte. It ends when all are acknowledged.
 *
 * Threads: one.
 */
#include "carry.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_LINE (1u << 20)

static const char help[] =
    "Usage: remediate publish URI [OPTION]...\n"
    "Publishes records of state from standard input: JSON lines, or MessagePack as 'snapshot\n"
    "--msgpack' writes it. Of a JSON object domain, kind and body suffice. Ends with the count\n"
    "when all are acknowledged.\n"
    "\n"
    "URI is file:///FOLDER[?sync=always|never|TIME&segment=SIZE&compact=N],\n"
    "kafka://HOST:PORT/TOPIC[?partitions=N&group=NAME&PROPERTY=VALUE] or\n"
    "redis[s]://[USER[:PASSWORD]@]HOST[:PORT]/STREAM[?maxlen=N&password_file=FILE&cafile=FILE].\n"
    "\n"
    "      --domain D    for records that name none\n"
    "      --origin O    for records that name none (default: remediate)\n"
    "      --epoch N     for records that name none (default: 1)\n"
    "      --source S    mirrored, inferred, logged or extracted (default: extracted)\n"
    "      --json        the count as one JSON object\n"
    "  -h, --help        this help\n";

struct publishing {
    struct remed_transport *transport;
    struct remed_record *record;
    struct remed_json_defaults defaults;
    uint64_t taken, delivered, lost, number;
    bool json;
    uint8_t *input;
    size_t held, room;
};

static void on_delivered(void *context, uint64_t tag, int code)
{
    struct publishing *publishing = context;
    (void)tag;
    publishing->delivered += code == 0;
    publishing->lost += code != 0;
}

/* Publishes the record at hand, waiting out a full queue. */
static int publish(struct publishing *publishing)
{
    static uint8_t wire[REMED_RECORD_MAX];
    uint8_t key[REMED_KEY_MAX];
    struct remed_error error;
    size_t length;
    if (remed_record_encode(publishing->record, wire, sizeof wire, &length) < 0)
        return fail("record %llu is too long", (unsigned long long)publishing->number);
    const struct remed_message message = {.key = key,
                                          .key_length =
                                              remed_record_key(publishing->record, key, sizeof key),
                                          .value = wire,
                                          .value_length = length};
    int rc;
    while ((rc = remed_transport_publish(publishing->transport, &message, publishing->number,
                                         &error)) == REMED_EBUSY)
        if (interrupted || drive(publishing->transport, 100) != EXIT_OK)
            return interrupted ? fail("interrupted") : EXIT_FAILED;
    if (rc < 0)
        return fail("%s", error.message);
    publishing->taken++;
    return EXIT_OK;
}

static int take_line(struct publishing *publishing, const uint8_t *line, size_t length)
{
    struct remed_error error;
    publishing->number++;
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (length == 0)
        return EXIT_OK;
    publishing->defaults.sequence = real_ns(); /* grows over restarts too */
    publishing->defaults.observed = publishing->defaults.sequence;
    if (remed_json_read(publishing->record, (const char *)line, length, &publishing->defaults,
                        &error) < 0)
        return fail("-:%llu:%u: %s", (unsigned long long)publishing->number, error.column,
                    error.message);
    return publish(publishing);
}

static int take_record(struct publishing *publishing, const uint8_t *bytes, size_t length)
{
    struct remed_error error;
    publishing->number++;
    if (remed_record_decode(publishing->record, bytes, length, &error) < 0)
        return fail("record %llu: %s", (unsigned long long)publishing->number, error.message);
    return publish(publishing);
}

/* Takes what is whole from the input; *used tells how much. */
static int take_input(struct publishing *publishing, bool at_end, size_t *used)
{
    int code = EXIT_OK;
    *used = 0;
    while (code == EXIT_OK && *used < publishing->held) {
        const uint8_t *at = publishing->input + *used;
        size_t left = publishing->held - *used, length = 0;
        if (publishing->input[0] >= 0x80) {
            int rc = remed_record_measure(at, left, &length);
            if (rc == REMED_ETRUNCATED && !at_end)
                break;
            code = rc < 0 ? fail("record %llu: %s", (unsigned long long)publishing->number + 1,
                                 remed_strerror(rc))
                          : take_record(publishing, at, length);
            *used += length;
            continue;
        }
        const uint8_t *newline = memchr(at, '\n', left);
        if (newline == NULL && !at_end)
            break;
        length = newline != NULL ? (size_t)(newline - at) : left;
        code = take_line(publishing, at, length);
        *used += length + (newline != NULL);
    }
    return code;
}

static bool grow(struct publishing *publishing)
{
    size_t room = publishing->room == 0 ? 65536 : publishing->room * 2;
    uint8_t *grown = room <= 2 * MAX_LINE ? realloc(publishing->input, room) : NULL;
    if (grown == NULL)
        return false;
    publishing->input = grown;
    publishing->room = room;
    return true;
}

static int run(struct publishing *publishing)
{
    int code = EXIT_OK;
    bool at_end = false;
    while (code == EXIT_OK && !at_end) {
        if (publishing->held == publishing->room && !grow(publishing))
            return fail("a record longer than 1 MiB");
        ssize_t got = read(STDIN_FILENO, publishing->input + publishing->held,
                           publishing->room - publishing->held);
        if (interrupted)
            return fail("interrupted");
        if (got < 0)
            return fail("cannot read: %s", strerror(errno));
        size_t used;
        at_end = got == 0;
        publishing->held += (size_t)got;
        code = take_input(publishing, at_end, &used);
        memmove(publishing->input, publishing->input + used, publishing->held - used);
        publishing->held -= used;
    }
    while (publishing->delivered + publishing->lost < publishing->taken && !interrupted)
        if (drive(publishing->transport, 100) != EXIT_OK)
            return EXIT_FAILED;
    return code;
}

static int report(const struct publishing *publishing, int code)
{
    const char *format = publishing->json
                             ? "{\"published\":%llu,\"delivered\":%llu,\"lost\":%llu}\n"
                             : "published %llu, delivered %llu, lost %llu\n";
    printf(format, (unsigned long long)publishing->taken, (unsigned long long)publishing->delivered,
           (unsigned long long)(publishing->taken - publishing->delivered));
    return code == EXIT_OK && publishing->delivered < publishing->taken ? EXIT_FAILED : code;
}

enum long_option { DOMAIN_NAME = 256, ORIGIN, EPOCH, SOURCE, JSON };

static int set_option(struct publishing *publishing, int option, char **argv)
{
    switch (option) {
    case DOMAIN_NAME:
        publishing->defaults.domain = optarg;
        return 0;
    case ORIGIN:
        publishing->defaults.origin = optarg;
        return 0;
    case EPOCH:
        return read_number(optarg, 0, UINT64_MAX, &publishing->defaults.epoch)
                   ? 0
                   : usage_error("publish", "'%s' is no epoch", optarg);
    case SOURCE:
        for (unsigned i = 0; remed_learned_name(i) != NULL; i++)
            if (strcmp(remed_learned_name(i), optarg) == 0) {
                publishing->defaults.source = i;
                return 0;
            }
        return usage_error("publish", "'%s' is no source", optarg);
    case JSON:
        publishing->json = true;
        return 0;
    default:
        return bad_option("publish", option, argv);
    }
}

int command_publish(int argc, char **argv)
{
    static const struct option options[] = {{"domain", required_argument, NULL, DOMAIN_NAME},
                                            {"origin", required_argument, NULL, ORIGIN},
                                            {"epoch", required_argument, NULL, EPOCH},
                                            {"source", required_argument, NULL, SOURCE},
                                            {"json", no_argument, NULL, JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct publishing publishing = {.defaults = {.size = sizeof publishing.defaults,
                                                 .origin = "remediate",
                                                 .epoch = 1,
                                                 .source = REMED_LEARNED_EXTRACTED}};
    int option, code;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_OK;
        }
        if ((code = set_option(&publishing, option, argv)) != 0)
            return code;
    }
    if (argc - optind != 1)
        return usage_error("publish", "one URI is needed");
    const struct remed_transport_events events = {.context = &publishing,
                                                  .delivered = on_delivered};
    catch_interrupts();
    publishing.transport = open_transport(argv[optind], &events);
    if (publishing.transport == NULL || remed_record_new(&publishing.record, NULL) < 0)
        return EXIT_FAILED;
    code = run(&publishing);
    if (remed_transport_close(publishing.transport, NULL) < 0 && code == EXIT_OK)
        code = fail("closing failed");
    remed_record_free(publishing.record);
    free(publishing.input);
    return report(&publishing, code);
}
