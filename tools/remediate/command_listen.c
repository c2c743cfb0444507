/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remediate listen: lines of logs as they come, from the network, sockets, files and pipes, to
 * records of state in a repository.
 *
 * Threads: one.
 */
#include "listening.h"

#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

static const char help[] =
    "Usage: remediate listen INPUT... --rules NAME|FILE [OPTION]... URI\n"
    "Reads lines of middleboxes' logs as they come and publishes the records of state that they\n"
    "give, by rule sets: shipped ones ('remediate rules list') or files. Ends when all inputs "
    "have,\n"
    "or on SIGTERM, with a table of the sources.\n"
    "\n"
    "INPUT is one of\n"
    "  syslog://HOST:PORT             datagrams; also syslog+udp:  [?rcvbuf=SIZE]\n"
    "  syslog+tcp://HOST:PORT         RFC 6587  [?idle=TIME]\n"
    "  syslog+tls://HOST:PORT?cert=FILE&key=FILE[&cafile=FILE]  RFC 5425\n"
    "  syslog+unix:///PATH            a socket  [?type=dgram|stream&mode=0660]\n"
    "  file:///PATH                   followed over rotation  "
    "[?from=end|begin&state=FILE&poll=TIME]\n"
    "  -                              standard input\n"
    "URI is where to publish, as for 'remediate publish'.\n"
    "\n"
    "  -r, --rules R         a rule set; of several, the first that knows a line reads it\n"
    "      --domain D        of the records (default: log)\n"
    "      --origin O        of the records (default: remediate)\n"
    "      --epoch N         of the records (default: 1)\n"
    "      --zone HOURS      of times that name no zone, such as +1 or -5:30 (default: 0)\n"
    "      --virtual A       the address that a balancer's clients see, where its log does not "
    "say\n"
    "      --spool FOLDER    where records wait while the repository is away\n"
    "      --spool-size SIZE most bytes of it (default: 1GiB)\n"
    "      --no-resume       do not read first what was published before: sequences then go by "
    "the\n"
    "                        clock alone, and one that stepped back voids records\n"
    "      --wait TIME       how long to wait for acknowledgements at the end (default: 10s)\n"
    "      --sign FILE       sign each record with a key of the file (docs/signing.md)\n"
    "      --key N           the key to sign with (default: the highest number)\n"
    "      --unmatched FILE  where lines go that no rule matched\n"
    "      --sample 1/N      one of N of them (default: 1/1)\n"
    "      --unmatched-size SIZE most bytes of it (default: 64MiB)\n"
    "      --max-connections N  most at a time (default: 1024)\n"
    "      --max-per-address N  most of one address (IPv4 /32, IPv6 /64) at a time (default: an\n"
    "                        eighth of all)\n"
    "      --by-host         sources are the hosts that lines name, as behind a relay\n"
    "      --stats TIME      the table every TIME on standard error; SIGUSR1 asks for one\n"
    "      --json            the table as one JSON object\n"
    "  -h, --help            this help\n"
    "\n"
    "SIGHUP loads the rules anew and opens the file of unmatched lines anew.\n";

enum long_option {
    DOMAIN_NAME = 256,
    ORIGIN,
    EPOCH,
    ZONE,
    VIRTUAL,
    SPOOL,
    SPOOL_SIZE,
    NO_RESUME,
    WAIT,
    SIGN,
    KEY,
    UNMATCHED,
    SAMPLE,
    UNMATCHED_SIZE,
    MAX_CONNECTIONS,
    MAX_PER_ADDRESS,
    BY_HOST,
    STATS,
    JSON
};

static int add_rules(struct interpreter *interpreter, const char *name)
{
    for (unsigned i = 0; i < RULE_SETS_MAX; i++)
        if (interpreter->names[i] == NULL) {
            interpreter->names[i] = name;
            return 0;
        }
    return usage_error("listen", "more than %d rule sets", RULE_SETS_MAX);
}

static int value_of(bool holds, const char *what)
{
    return holds ? 0 : usage_error("listen", "'%s' is no %s", optarg, what);
}

/* What records say of themselves, and how lines are read. */
static int set_record_option(struct listening *listening, int option)
{
    struct remed_log_parser_opts *opts = &listening->interpreter.opts;
    switch (option) {
    case 'r':
        return add_rules(&listening->interpreter, optarg);
    case DOMAIN_NAME:
        opts->domain = optarg;
        return 0;
    case ORIGIN:
        opts->origin = listening->publisher_opts.origin = optarg;
        return 0;
    case EPOCH:
        return value_of(read_number(optarg, 0, UINT64_MAX, &listening->publisher_opts.epoch),
                        "epoch");
    case ZONE:
        return value_of(read_zone(optarg, &opts->zone), "zone");
    case VIRTUAL:
        return value_of(remed_endpoint_parse(&opts->service, optarg, strlen(optarg)) == 0,
                        "address");
    default:
        return -1;
    }
}

/* How many may connect, and who they are. */
static int set_listener_option(struct listening *listening, int option)
{
    struct remed_listener_opts *opts = &listening->listener_opts;
    uint64_t number = 0;
    int code;
    switch (option) {
    case MAX_CONNECTIONS:
        code = value_of(read_number(optarg, 1, 65536, &number), "number from 1 to 65536");
        opts->max_connections = (uint32_t)number;
        return code;
    case MAX_PER_ADDRESS:
        code = value_of(read_number(optarg, 1, 65536, &number), "number from 1 to 65536");
        opts->max_per_address = (uint32_t)number;
        return code;
    case BY_HOST:
        opts->by_host = 1;
        return 0;
    default:
        return -1;
    }
}

static int set_option(struct listening *listening, int option, char **argv)
{
    int code = set_record_option(listening, option);
    if (code < 0)
        code = set_listener_option(listening, option);
    if (code >= 0)
        return code;
    switch (option) {
    case SPOOL:
        listening->publisher_opts.spool = optarg;
        return 0;
    case SPOOL_SIZE:
        return value_of(read_size(optarg, &listening->publisher_opts.spool_bytes),
                        "size such as 1GiB");
    case NO_RESUME:
        listening->publisher_opts.resume = 0;
        return 0;
    case WAIT:
        return value_of(read_time(optarg, &listening->wait), "time such as 10s");
    case SIGN:
        listening->key_file = optarg;
        return 0;
    case KEY:
        return value_of(read_number(optarg, 1, UINT32_MAX, &listening->key_number),
                        "number of a key");
    case UNMATCHED:
        listening->unmatched.path = optarg;
        return 0;
    case SAMPLE:
        return value_of(strncmp(optarg, "1/", 2) == 0 &&
                            read_number(optarg + 2, 1, UINT32_MAX, &listening->unmatched.every),
                        "sample such as 1/100");
    case UNMATCHED_SIZE:
        return value_of(read_size(optarg, &listening->unmatched.most), "size such as 64MiB");
    case STATS:
        return value_of(read_time(optarg, &listening->stats_every), "time such as 10s");
    case JSON:
        listening->json = true;
        return 0;
    default:
        return bad_option("listen", option, argv);
    }
}

static void on_log(void *context, enum remed_log_level level, const char *module,
                   const char *message)
{
    (void)context;
    (void)level;
    fail("%s: %s", module, message);
}

static int open_repository(struct listening *listening, const char *uri)
{
    struct remed_transport_opts transport;
    struct remed_error error;
    int code = load_signer(&listening->keys, listening->key_file, (uint32_t)listening->key_number);
    if (code != EXIT_OK)
        return code;
    waiting_init(&listening->waiting, uri);
    listening->publisher_opts.mac = keys_mac(&listening->keys);
    listening->publisher_opts.key_id = listening->keys.signer;
    remed_transport_opts_init(&transport, sizeof transport);
    add_drivers(&transport);
    if (remed_publisher_new(&listening->publisher, uri, &transport, &listening->publisher_opts,
                            &error) < 0)
        return fail_at(uri, error.message);
    return EXIT_OK;
}

/* Makes room for the connections that are asked for, as far as the hard limit lets. */
static void raise_limit(uint32_t connections)
{
    struct rlimit files;
    rlim_t wanted = (rlim_t)connections + 256;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= wanted)
        return;
    files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &files); /* else the listener fits what there is, and says so */
}

static int open_all(struct listening *listening, char **inputs, int count)
{
    struct remed_error error;
    if (interpreter_load(&listening->interpreter) != EXIT_OK ||
        unmatched_open(&listening->unmatched) != EXIT_OK)
        return EXIT_FAILED;
    listening->listener_opts.log.write = on_log;
    raise_limit(listening->listener_opts.max_connections);
    if (remed_listener_new(&listening->listener, &listening->listener_opts, &error) < 0)
        return fail("%s", error.message);
    for (int i = 0; i < count - 1; i++)
        if (remed_listener_add(listening->listener, inputs[i], &error) < 0)
            return fail_at(inputs[i], error.message);
    return open_repository(listening, inputs[count - 1]);
}

static bool init(struct listening *listening)
{
    listening->wait = 10 * 1000000000ull;
    listening->stats_every = UINT64_MAX;
    listening->unmatched.every = 1;
    listening->unmatched.most = 64u << 20;
    remed_listener_opts_init(&listening->listener_opts, sizeof listening->listener_opts);
    remed_publisher_opts_init(&listening->publisher_opts, sizeof listening->publisher_opts);
    listening->publisher_opts.origin = "remediate";
    listening->publisher_opts.first_sequence = real_ns();
    listening->publisher_opts.resume = 1; /* the clock may have stepped back */
    listening_connect(listening);
    return interpreter_init(&listening->interpreter);
}

/* Options may stand among the inputs. */
static int read_options(struct listening *listening, int argc, char **argv)
{
    static const struct option options[] = {
        {"rules", required_argument, NULL, 'r'},
        {"domain", required_argument, NULL, DOMAIN_NAME},
        {"origin", required_argument, NULL, ORIGIN},
        {"epoch", required_argument, NULL, EPOCH},
        {"zone", required_argument, NULL, ZONE},
        {"virtual", required_argument, NULL, VIRTUAL},
        {"spool", required_argument, NULL, SPOOL},
        {"spool-size", required_argument, NULL, SPOOL_SIZE},
        {"no-resume", no_argument, NULL, NO_RESUME},
        {"wait", required_argument, NULL, WAIT},
        {"sign", required_argument, NULL, SIGN},
        {"key", required_argument, NULL, KEY},
        {"unmatched", required_argument, NULL, UNMATCHED},
        {"sample", required_argument, NULL, SAMPLE},
        {"unmatched-size", required_argument, NULL, UNMATCHED_SIZE},
        {"max-connections", required_argument, NULL, MAX_CONNECTIONS},
        {"max-per-address", required_argument, NULL, MAX_PER_ADDRESS},
        {"by-host", no_argument, NULL, BY_HOST},
        {"stats", required_argument, NULL, STATS},
        {"json", no_argument, NULL, JSON},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    int option, code;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":hr:", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return -1;
        }
        if ((code = set_option(listening, option, argv)) != 0)
            return code;
    }
    if (listening->interpreter.names[0] == NULL)
        return usage_error("listen", "--rules is needed");
    if (listening->key_number != 0 && listening->key_file == NULL)
        return usage_error("listen", "--key goes with --sign");
    if (argc - optind < 2)
        return usage_error("listen", "an INPUT and a URI are needed");
    return 0;
}

int command_listen(int argc, char **argv)
{
    struct listening listening;
    memset(&listening, 0, sizeof listening);
    int code = init(&listening) ? read_options(&listening, argc, argv) : fail("no memory");
    if (code == 0)
        code = open_all(&listening, argv + optind, argc - optind);
    else if (code < 0) {
        interpreter_fini(&listening.interpreter);
        return EXIT_OK;
    }
    if (code == 0)
        code = listening_run(&listening);
    remed_publisher_close(listening.publisher, NULL);
    remed_listener_free(listening.listener);
    int closed = unmatched_close(&listening.unmatched);
    interpreter_fini(&listening.interpreter);
    free_keys(&listening.keys);
    return code != 0 ? code : closed;
}
