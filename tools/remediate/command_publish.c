/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remediate publish: records from standard input to a repository. It ends when all are
 * acknowledged, or with a spool when it is told to, and then leaves the rest on the disk.
 *
 * Threads: one.
 */
#include "intake.h"
#include "keys.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

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
    "      --domain D        for records that name none\n"
    "      --origin O        for records that name none (default: remediate)\n"
    "      --epoch N         for records that name none (default: 1)\n"
    "      --source S        mirrored, inferred, logged or extracted (default: extracted)\n"
    "      --spool FOLDER    where records wait while the repository is away; what an earlier\n"
    "                        publish left there goes first\n"
    "      --spool-size SIZE most bytes of it (default: 1GiB)\n"
    "      --wait TIME       how long to wait for acknowledgements at the end (default: for ever)\n"
    "      --sign FILE       sign each record with a key of the file (docs/signing.md)\n"
    "      --key N           the key to sign with (default: the highest number)\n"
    "      --json            the count as one JSON object\n"
    "  -h, --help            this help\n";

struct publishing {
    struct remed_publisher *publisher;
    struct remed_publisher_opts opts;
    struct intake intake;
    struct keys keys;
    const char *key_file;
    uint64_t key_number; /* 0: the highest */
    bool holds;          /* a record that the publisher had no room for */
    bool json;
    uint64_t wait;            /* ns; UINT64_MAX: for ever */
    uint64_t delivered, lost; /* as reported, while closing too */
};

static void on_ended(void *context, uint64_t tag, int code)
{
    struct publishing *publishing = context;
    (void)tag;
    publishing->delivered += code == 0;
    publishing->lost += code != 0;
}

/* Publishes what is whole in the input, until there is no room. */
static int publish_input(struct publishing *publishing)
{
    struct remed_error error;
    for (;;) {
        int rc = publishing->holds ? 1 : intake_next(&publishing->intake);
        if (rc <= 0)
            return rc < 0 ? EXIT_FAILED : EXIT_OK;
        rc = remed_publisher_publish(publishing->publisher, &publishing->intake.record, 1,
                                     publishing->intake.number, &error);
        publishing->holds = rc == REMED_EBUSY;
        if (publishing->holds)
            return EXIT_OK;
        if (rc < 0)
            return fail("record %llu: %s", (unsigned long long)publishing->intake.number,
                        error.message);
    }
}

/* Waits for input, for the transport, or for what is due; at most until `until`. */
static int await(const struct publishing *publishing, uint64_t until, bool *readable)
{
    struct pollfd files[2] = {{.fd = -1}, {.fd = -1, .events = POLLIN}};
    uint64_t now = monotonic_ns(), due = remed_publisher_deadline(publishing->publisher);
    files[0].fd = remed_publisher_fd(publishing->publisher, &files[0].events);
    if (!publishing->holds && !publishing->intake.at_end)
        files[1].fd = STDIN_FILENO;
    due = due < until ? due : until;
    uint64_t wait = due > now ? (due - now + 999999) / 1000000 : 0;
    if (poll(files, 2, wait < 1000 ? (int)wait : 1000) < 0 && errno != EINTR)
        return fail("cannot wait: %s", strerror(errno));
    *readable = files[1].revents != 0;
    return EXIT_OK;
}

static bool is_done(const struct publishing *publishing)
{
    struct remed_publisher_stats stats;
    remed_publisher_stats(publishing->publisher, &stats, sizeof stats);
    return publishing->intake.at_end && publishing->intake.held == 0 && !publishing->holds &&
           stats.pending == 0 && stats.waiting == 0;
}

static int run(struct publishing *publishing)
{
    struct remed_error error;
    uint64_t until = UINT64_MAX;
    int code = EXIT_OK;
    while (code == EXIT_OK && !is_done(publishing) && !interrupted && monotonic_ns() < until) {
        bool readable = false;
        code = await(publishing, until, &readable);
        if (code == EXIT_OK && readable)
            code = intake_read(&publishing->intake, STDIN_FILENO);
        if (code == EXIT_OK)
            code = publish_input(publishing);
        if (code == EXIT_OK &&
            remed_publisher_process(publishing->publisher, monotonic_ns(), &error) < 0)
            code = fail("%s", error.message);
        if (publishing->intake.at_end && until == UINT64_MAX && publishing->wait != UINT64_MAX)
            until = monotonic_ns() + publishing->wait;
    }
    if (interrupted && code == EXIT_OK && publishing->opts.spool == NULL)
        code = fail("interrupted");
    return code;
}

/* Closes first: what was lost is then known, and the rest is in the spool. */
static int finish(struct publishing *publishing, int code)
{
    struct remed_publisher_stats stats;
    struct remed_error error;
    remed_publisher_stats(publishing->publisher, &stats, sizeof stats);
    int rc = remed_publisher_close(publishing->publisher, &error);
    uint64_t delivered = publishing->delivered, lost = publishing->lost;
    uint64_t kept = stats.published - delivered - lost;
    if (publishing->json)
        printf("{\"published\":%llu,\"delivered\":%llu,\"lost\":%llu,\"kept\":%llu,"
               "\"recovered\":%llu}\n",
               (unsigned long long)stats.published, (unsigned long long)delivered,
               (unsigned long long)lost, (unsigned long long)kept,
               (unsigned long long)stats.recovered);
    else
        printf("published %llu, delivered %llu, lost %llu", (unsigned long long)stats.published,
               (unsigned long long)delivered, (unsigned long long)lost);
    if (!publishing->json && publishing->opts.spool != NULL)
        printf(", kept in the spool %llu, recovered from it %llu", (unsigned long long)kept,
               (unsigned long long)stats.recovered);
    if (!publishing->json)
        putchar('\n');
    if (stats.damaged > 0)
        fail("%llu places of the spool could not be read", (unsigned long long)stats.damaged);
    if (rc < 0 && code == EXIT_OK)
        code = fail("%s", error.message);
    return lost > 0 ? EXIT_FAILED : code;
}

enum long_option {
    DOMAIN_NAME = 256,
    ORIGIN,
    EPOCH,
    SOURCE,
    SPOOL,
    SPOOL_SIZE,
    WAIT,
    SIGN,
    KEY,
    JSON
};

static int set_source(struct publishing *publishing, const char *name)
{
    for (unsigned i = 0; remed_learned_name(i) != NULL; i++)
        if (strcmp(remed_learned_name(i), name) == 0) {
            publishing->intake.defaults.source = i;
            return 0;
        }
    return usage_error("publish", "'%s' is no source", name);
}

static int set_option(struct publishing *publishing, int option, char **argv)
{
    switch (option) {
    case DOMAIN_NAME:
        publishing->intake.defaults.domain = optarg;
        return 0;
    case ORIGIN:
        publishing->opts.origin = optarg;
        return 0;
    case EPOCH:
        return read_number(optarg, 0, UINT64_MAX, &publishing->opts.epoch)
                   ? 0
                   : usage_error("publish", "'%s' is no epoch", optarg);
    case SOURCE:
        return set_source(publishing, optarg);
    case SPOOL:
        publishing->opts.spool = optarg;
        return 0;
    case SPOOL_SIZE:
        return read_size(optarg, &publishing->opts.spool_bytes)
                   ? 0
                   : usage_error("publish", "'%s' is no size such as 1GiB", optarg);
    case WAIT:
        return read_time(optarg, &publishing->wait)
                   ? 0
                   : usage_error("publish", "'%s' is no time such as 10s", optarg);
    case SIGN:
        publishing->key_file = optarg;
        return 0;
    case KEY:
        return read_number(optarg, 1, UINT32_MAX, &publishing->key_number)
                   ? 0
                   : usage_error("publish", "'%s' is no number of a key", optarg);
    case JSON:
        publishing->json = true;
        return 0;
    default:
        return bad_option("publish", option, argv);
    }
}

static int publish_to(struct publishing *publishing, const char *uri)
{
    struct remed_transport_opts transport;
    struct remed_error error;
    if (publishing->key_number != 0 && publishing->key_file == NULL)
        return usage_error("publish", "--key goes with --sign");
    int code =
        load_signer(&publishing->keys, publishing->key_file, (uint32_t)publishing->key_number);
    if (code != EXIT_OK)
        return code;
    publishing->opts.mac = keys_mac(&publishing->keys);
    publishing->opts.key_id = publishing->keys.signer;
    remed_transport_opts_init(&transport, sizeof transport);
    add_drivers(&transport);
    catch_interrupts();
    if (remed_publisher_new(&publishing->publisher, uri, &transport, &publishing->opts, &error) < 0)
        return fail_at(uri, error.message);
    return finish(publishing, run(publishing));
}

int command_publish(int argc, char **argv)
{
    static const struct option options[] = {{"domain", required_argument, NULL, DOMAIN_NAME},
                                            {"origin", required_argument, NULL, ORIGIN},
                                            {"epoch", required_argument, NULL, EPOCH},
                                            {"source", required_argument, NULL, SOURCE},
                                            {"spool", required_argument, NULL, SPOOL},
                                            {"spool-size", required_argument, NULL, SPOOL_SIZE},
                                            {"wait", required_argument, NULL, WAIT},
                                            {"sign", required_argument, NULL, SIGN},
                                            {"key", required_argument, NULL, KEY},
                                            {"json", no_argument, NULL, JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct publishing publishing = {.wait = UINT64_MAX};
    int option, code;
    if (!intake_init(&publishing.intake, "-"))
        return fail("no memory");
    publishing.intake.defaults.source = REMED_LEARNED_EXTRACTED;
    remed_publisher_opts_init(&publishing.opts, sizeof publishing.opts);
    publishing.opts.origin = "remediate";
    publishing.opts.delivered = on_ended;
    publishing.opts.context = &publishing;
    publishing.opts.first_sequence = real_ns(); /* grows over restarts too */
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            intake_fini(&publishing.intake);
            return EXIT_OK;
        }
        if ((code = set_option(&publishing, option, argv)) != 0) {
            intake_fini(&publishing.intake);
            return code;
        }
    }
    code = argc - optind == 1 ? publish_to(&publishing, argv[optind])
                              : usage_error("publish", "one URI is needed");
    free_keys(&publishing.keys);
    intake_fini(&publishing.intake);
    return code;
}
