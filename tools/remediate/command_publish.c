/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remediate publish: records from standard input to a repository. It ends when all are
 * acknowledged, or with a spool when it is told to, and then leaves the rest on the disk.
 *
 * Threads: one.
 */
#include "intake.h"
#include "keys.h"
#include "waiting.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define READ_AHEAD 65536u
#define TELL_BEFORE_NS 100000000u

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
    "      --no-resume       do not read first what the origin published before: sequences then\n"
    "                        go by the clock alone, and one that stepped back voids records\n"
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
    char busy[REMED_ERROR_MESSAGE_SIZE]; /* why there was none */
    char said[REMED_ERROR_MESSAGE_SIZE]; /* what ended it; the closing may say the same */
    struct waiting waiting;
    uint64_t moved;           /* reports at the last look */
    uint64_t until;           /* when waiting ends; UINT64_MAX: not yet, or never */
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
        if (publishing->holds) {
            memcpy(publishing->busy, error.message, sizeof publishing->busy);
            return EXIT_OK;
        }
        if (rc < 0)
            return fail("record %llu: %s", (unsigned long long)publishing->intake.number,
                        error.message);
    }
}

/* Waits for input, for the transport, or for what is due. Some input is read even while there is no
 * room, so that its end is seen. */
static int await(const struct publishing *publishing, bool *readable)
{
    struct pollfd files[2] = {{.fd = -1}, {.fd = -1, .events = POLLIN}};
    uint64_t now = monotonic_ns(), due = remed_publisher_deadline(publishing->publisher);
    files[0].fd = remed_publisher_fd(publishing->publisher, &files[0].events);
    if (!publishing->intake.at_end && (!publishing->holds || publishing->intake.held < READ_AHEAD))
        files[1].fd = STDIN_FILENO;
    due = due < publishing->until ? due : publishing->until;
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

/* What holds things up, in words: the library's where it has some. */
static void tell_waiting(struct publishing *publishing)
{
    char text[WAITING_TEXT];
    struct remed_publisher_stats stats;
    remed_publisher_stats(publishing->publisher, &stats, sizeof stats);
    uint64_t reports = publishing->delivered + publishing->lost + stats.recovered;
    bool moves = reports != publishing->moved;
    publishing->moved = reports;
    if (remed_publisher_waiting(publishing->publisher, text, sizeof text) == 0 && !moves) {
        if (publishing->holds)
            snprintf(text, sizeof text, "%s", publishing->busy);
        else if (publishing->intake.at_end && stats.pending + stats.waiting > 0)
            snprintf(text, sizeof text, "records are not acknowledged yet");
    }
    if (text[0] != '\0' && publishing->until == UINT64_MAX && publishing->wait != UINT64_MAX) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used,
                 "; gives up %.1f s after the end of standard input",
                 (double)publishing->wait / 1e9);
    }
    uint64_t now = monotonic_ns();
    if (publishing->until == UINT64_MAX || now + TELL_BEFORE_NS < publishing->until)
        waiting_look(&publishing->waiting, text, publishing->until,
                     now); /* else it is told as lost */
}

static int take_turn(struct publishing *publishing)
{
    struct remed_error error;
    bool readable = false;
    int code = await(publishing, &readable);
    if (code == EXIT_OK && readable)
        code = intake_read(&publishing->intake, STDIN_FILENO);
    if (code == EXIT_OK)
        code = publish_input(publishing);
    if (code == EXIT_OK &&
        remed_publisher_process(publishing->publisher, monotonic_ns(), &error) < 0) {
        memcpy(publishing->said, error.message, sizeof publishing->said);
        code = fail("%s", error.message);
    }
    uint64_t now = monotonic_ns();
    if (publishing->intake.at_end && publishing->until == UINT64_MAX &&
        publishing->wait < UINT64_MAX - now)
        publishing->until = now + publishing->wait;
    tell_waiting(publishing);
    return code;
}

/* Input that was read and not published is not passed over in silence. */
static int complain_of_rest(const struct publishing *publishing)
{
    const struct intake *intake = &publishing->intake;
    if (!publishing->holds && intake->held == 0)
        return EXIT_OK;
    unsigned long long first = intake->number + !publishing->holds;
    return fail("from record %llu on standard input was not published%s%s", first,
                publishing->holds ? ": " : "", publishing->holds ? publishing->busy : "");
}

static int run(struct publishing *publishing)
{
    int code = EXIT_OK;
    while (code == EXIT_OK && !is_done(publishing) && !interrupted &&
           monotonic_ns() < publishing->until)
        code = take_turn(publishing);
    waiting_end(&publishing->waiting);
    if (code == EXIT_OK)
        code = complain_of_rest(publishing);
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
        code = fail("%llu places of the spool %s could not be read: the records in them are lost",
                    (unsigned long long)stats.damaged, publishing->opts.spool);
    if (rc < 0 && strcmp(error.message, publishing->said) != 0)
        fail("%s", error.message);
    if (rc < 0)
        code = EXIT_FAILED;
    return lost > 0 ? EXIT_FAILED : code;
}

enum long_option {
    DOMAIN_NAME = 256,
    ORIGIN,
    EPOCH,
    SOURCE,
    SPOOL,
    SPOOL_SIZE,
    NO_RESUME,
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
    case NO_RESUME:
        publishing->opts.resume = 0;
        return 0;
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
    waiting_init(&publishing->waiting, uri);
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
                                            {"no-resume", no_argument, NULL, NO_RESUME},
                                            {"wait", required_argument, NULL, WAIT},
                                            {"sign", required_argument, NULL, SIGN},
                                            {"key", required_argument, NULL, KEY},
                                            {"json", no_argument, NULL, JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct publishing publishing = {.wait = UINT64_MAX, .until = UINT64_MAX};
    int option, code = EXIT_OK;
    if (!intake_init(&publishing.intake, "-"))
        return fail("no memory");
    publishing.intake.defaults.source = REMED_LEARNED_EXTRACTED;
    remed_publisher_opts_init(&publishing.opts, sizeof publishing.opts);
    publishing.opts.origin = "remediate";
    publishing.opts.delivered = on_ended;
    publishing.opts.context = &publishing;
    publishing.opts.first_sequence = real_ns();
    publishing.opts.resume = 1; /* the clock may have stepped back */
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
