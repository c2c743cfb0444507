/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remediate watch: what passes through a repository, as it comes.
 *
 * Threads: one.
 */
#include "carry.h"
#include "keys.h"

#include <getopt.h>
#include <string.h>

static const char help[] =
    "Usage: remediate watch URI [--from begin|end|POS] [OPTION]...\n"
    "Prints records as they come, one JSON object a line, until interrupted; then the position\n"
    "on standard error, from which another watch goes on.\n"
    "\n"
    "      --from FROM   begin, end (default), or a position\n"
    "  -c, --count N     stop after N records; then no position is told\n"
    "      --once        stop when everything that was there has come\n"
    "      --verify FILE take only records that a key of the file signed\n"
    "      --json        as it is: records are JSON anyway\n"
    "  -h, --help        this help\n"
    "\n"
    "What is damaged costs its own records: that is told on standard error when it is met, and "
    "the\n"
    "exit status is 1.\n";

struct watching {
    struct remed_record *record;
    struct keys keys;
    uint64_t seen, count, bad;
    uint64_t damaged; /* told so far */
    bool once, caught_up;
    int code;
};

static void on_message(void *context, const struct remed_message *message)
{
    struct watching *watching = context;
    struct remed_error error;
    size_t length;
    if (watching->count != 0 && watching->seen >= watching->count)
        return;
    if (message->value_length == 0)
        return; /* the transport let go of a key: no record of state */
    if (open_value(&watching->keys, message, &length, &error) < 0 ||
        remed_record_decode(watching->record, message->value, length, &error) < 0) {
        watching->bad++;
        fail("offset %llu: %s", (unsigned long long)message->offset, error.message);
        return;
    }
    watching->seen++;
    if (watching->code == EXIT_OK)
        watching->code = print_record(stdout, watching->record);
}

static void on_caught_up(void *context)
{
    ((struct watching *)context)->caught_up = true;
}

static bool is_done(const struct watching *watching)
{
    return interrupted || watching->code != EXIT_OK || (watching->once && watching->caught_up) ||
           (watching->count != 0 && watching->seen >= watching->count);
}

/* Damage is told as it is met. */
static void tell_damage(struct watching *watching, const struct remed_transport *transport)
{
    static char damage[DAMAGE_TEXT];
    struct remed_transport_stats stats;
    remed_transport_stats(transport, &stats, sizeof stats);
    if (stats.damaged == watching->damaged)
        return;
    watching->damaged = stats.damaged;
    describe_damage(transport, damage);
    fail("%s", damage);
}

static int watch(struct watching *watching, const char *uri, const char *from)
{
    struct remed_error error;
    static char position[REMED_SNAPSHOT_POSITION_MAX + 1];
    struct patience patience = {.most = UINT64_MAX};
    const struct remed_transport_events events = {
        .context = watching, .message = on_message, .caught_up = on_caught_up};
    struct remed_transport *transport = open_transport(uri, &events);
    if (transport == NULL)
        return EXIT_FAILED;
    waiting_init(&patience.waiting, uri);
    if (remed_transport_subscribe(transport, from, &error) < 0)
        watching->code = fail_at(uri, error.message);
    while (!is_done(watching)) {
        watching->code = drive_telling(transport, &patience);
        fflush(stdout);
        tell_damage(watching, transport);
    }
    waiting_end(&patience.waiting);
    /* With a count, more may have been handed out than was printed. */
    if (watching->code == EXIT_OK && watching->count == 0 &&
        remed_transport_position(transport, position, sizeof position) < sizeof position)
        fprintf(stderr, "position: %s\n", position);
    remed_transport_close(transport, NULL);
    bool bad = watching->bad > 0 || watching->damaged > 0;
    return watching->code == EXIT_OK && bad ? EXIT_FAILED : watching->code;
}

int command_watch(int argc, char **argv)
{
    enum { FROM = 256, ONCE, VERIFY, JSON };
    static const struct option options[] = {{"from", required_argument, NULL, FROM},
                                            {"count", required_argument, NULL, 'c'},
                                            {"once", no_argument, NULL, ONCE},
                                            {"verify", required_argument, NULL, VERIFY},
                                            {"json", no_argument, NULL, JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct watching watching = {.code = EXIT_OK};
    const char *from = "end", *key_file = NULL;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:h", options, NULL)) != -1)
        switch (option) {
        case FROM:
            from = optarg;
            break;
        case 'c':
            if (!read_number(optarg, 1, UINT64_MAX, &watching.count))
                return usage_error("watch", "'%s' is no number of records", optarg);
            break;
        case ONCE:
            watching.once = true;
            break;
        case VERIFY:
            key_file = optarg;
            break;
        case JSON:
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_OK;
        default:
            return bad_option("watch", option, argv);
        }
    if (argc - optind != 1)
        return usage_error("watch", "one URI is needed");
    if (remed_record_new(&watching.record, NULL) < 0)
        return fail("no memory");
    catch_interrupts();
    int code = load_verifier(&watching.keys, key_file);
    if (code == EXIT_OK)
        code = watch(&watching, argv[optind], from);
    free_keys(&watching.keys);
    remed_record_free(watching.record);
    return code;
}
