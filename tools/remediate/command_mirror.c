/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remediate mirror: packets in, decided, the wanted ones out, and a report of what that cost.
 *
 * Threads: one; the signal handler only asks the source to stop.
 */
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH 1024u
#define PROGRESS_NS 500000000ull
#define STALE_NS 100000000ull /* a copy stays no longer in a buffer while packets come */
#define HOLD_MS 1000u         /* a capture can wait for the output, an interface cannot */
#define IDLE_MS 500
#define RETRY_MS 1

static const char help[] =
    "Usage: remediate mirror -p POLICY (-r FILE | -i IFACE) [-w FILE | -o IFACE] [OPTION]...\n"
    "Copies the packets that a standby needs, and reports what that costs.\n"
    "Without -w and -o nothing is copied: the report tells what would be.\n"
    "\n"
    "  -p, --policy POLICY    the mirror policy: a file, or the text itself ('preset nat')\n"
    "  -r, --read FILE        read a pcap or pcapng capture; '-' is standard input\n"
    "  -i, --interface IFACE  capture live, until interrupted\n"
    "  -w, --write FILE       write copies to a capture; '-' is standard output; a name ending\n"
    "                         in .pcapng makes it pcapng\n"
    "  -o, --output IFACE     send copies out of an interface\n"
    "  -c, --count N          stop after N packets\n"
    "      --max-flows N      size of the flow table (default 1048576)\n"
    "      --outer            classify tunnelled packets by the outer tuple (default)\n"
    "      --inner            classify them by the inner tuple, and let MATCH read that\n"
    "      --side in|out      the side of packets whose side the capture does not tell;\n"
    "                         live on Ethernet, of all packets\n"
    "      --timeout NAME=T   idle timeout of flows: tcp-opening, tcp-open, tcp-closing,\n"
    "                         tcp-closed, udp, icmp, sctp, other; T as 30s, 5m, 2h\n"
    "  -s, --snaplen N        live: bytes taken of each packet (default 262144)\n"
    "  -B, --buffer KIB       live: kernel buffer in KiB (default 16384)\n"
    "      --json             the report as one JSON object\n"
    "      --progress         a progress line even when standard error is no terminal\n"
    "      --no-progress      no progress line\n"
    "  -h, --help             this help\n"
    "\n"
    "The report goes to standard output, or to standard error with '-w -'.\n"
    "SIGINT, SIGTERM and SIGHUP end a run with the report; a second one ends it at once.\n"
    "Exit status: 1 also when copies were not sent (see 'refused' in the report).\n";

struct mirror {
    const char *policy_text, *read, *interface, *write, *output;
    uint64_t count;
    bool json, progress;
    bool draining; /* asked to stop: what the kernel had taken by then is handled first */
    bool seekable; /* the input is a file: reading it never pauses */
    struct remed_filter_opts filter_opts;
    struct remed_pcap_source_opts source_opts;
    struct remed_policy *policy;
    struct remed_filter *filter;
    struct remed_pcap_source *source;
    struct remed_pcap_sink *sink;
    struct remed_pcap_sink_stats sink_stats;
    uint64_t begun, told, flushed;
    bool on_line; /* the cursor stands behind a progress line */
    struct remed_packet packets[BATCH];
    struct remed_verdict verdicts[BATCH];
};

static volatile sig_atomic_t stopping;
static struct remed_pcap_source *running_file; /* its read may block */

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
    if (running_file != NULL)
        remed_pcap_source_break(running_file);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

enum long_option { MAX_FLOWS = 256, INNER, OUTER, SIDE, TIMEOUT, JSON, PROGRESS, NO_PROGRESS };

static const struct option options[] = {{"policy", required_argument, NULL, 'p'},
                                        {"read", required_argument, NULL, 'r'},
                                        {"interface", required_argument, NULL, 'i'},
                                        {"write", required_argument, NULL, 'w'},
                                        {"output", required_argument, NULL, 'o'},
                                        {"count", required_argument, NULL, 'c'},
                                        {"max-flows", required_argument, NULL, MAX_FLOWS},
                                        {"inner", no_argument, NULL, INNER},
                                        {"outer", no_argument, NULL, OUTER},
                                        {"side", required_argument, NULL, SIDE},
                                        {"timeout", required_argument, NULL, TIMEOUT},
                                        {"snaplen", required_argument, NULL, 's'},
                                        {"buffer", required_argument, NULL, 'B'},
                                        {"json", no_argument, NULL, JSON},
                                        {"progress", no_argument, NULL, PROGRESS},
                                        {"no-progress", no_argument, NULL, NO_PROGRESS},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

/* Options whose value is a number, and where it goes. */
static int set_number(struct mirror *mirror, int option)
{
    uint64_t number;
    switch (option) {
    case 'c':
        if (!read_number(optarg, 1, UINT64_MAX, &mirror->count))
            return usage_error("mirror", "'%s' is no number of packets", optarg);
        return 0;
    case 's':
        if (!read_number(optarg, 64, 262144, &number))
            return usage_error("mirror", "the snap length must be 64 to 262144, not '%s'", optarg);
        mirror->source_opts.snap_length = (uint32_t)number;
        return 0;
    case 'B':
        if (!read_number(optarg, 64, 2097151, &number))
            return usage_error("mirror", "the buffer must be 64 to 2097151 KiB, not '%s'", optarg);
        mirror->source_opts.buffer_bytes = (uint32_t)(number * 1024);
        return 0;
    default:
        if (!read_number(optarg, 16, 1u << 28, &number))
            return usage_error("mirror", "the flow table must have 16 to 268435456 flows, not '%s'",
                               optarg);
        mirror->filter_opts.max_flows = (uint32_t)number;
        return 0;
    }
}

static int set_side(struct mirror *mirror)
{
    bool in = strcmp(optarg, "in") == 0;
    if (!in && strcmp(optarg, "out") != 0)
        return usage_error("mirror", "the side is in or out, not '%s'", optarg);
    mirror->source_opts.side = in ? REMED_SIDE_IN : REMED_SIDE_OUT;
    return 0;
}

static int set_option(struct mirror *mirror, int option, char **argv)
{
    const char **texts[] = {['p'] = &mirror->policy_text,
                            ['r'] = &mirror->read,
                            ['i'] = &mirror->interface,
                            ['w'] = &mirror->write,
                            ['o'] = &mirror->output};
    switch (option) {
    case 'p':
    case 'r':
    case 'i':
    case 'w':
    case 'o':
        *texts[option] = optarg;
        return 0;
    case 'c':
    case 's':
    case 'B':
    case MAX_FLOWS:
        return set_number(mirror, option);
    case INNER:
    case OUTER:
        mirror->filter_opts.scope = option == INNER ? REMED_SCOPE_INNER : REMED_SCOPE_OUTER;
        return 0;
    case SIDE:
        return set_side(mirror);
    case TIMEOUT:
        return read_timeout(optarg, mirror->filter_opts.timeout)
                   ? 0
                   : usage_error("mirror", "'%s' is no timeout such as udp=30s", optarg);
    case JSON:
        mirror->json = true;
        return 0;
    case PROGRESS:
    case NO_PROGRESS:
        mirror->progress = option == PROGRESS;
        return 0;
    default:
        return bad_option("mirror", option, argv);
    }
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return S_ISREG(a->st_mode) && a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Copies are written neither over the policy nor where the report goes. */
static int check_output_file(const struct mirror *mirror)
{
    struct stat output, other;
    if (mirror->write == NULL || strcmp(mirror->write, "-") == 0 ||
        stat(mirror->write, &output) < 0)
        return 0;
    if (stat(mirror->policy_text, &other) == 0 && same_file(&output, &other))
        return fail("%s: is the policy; write to another file", mirror->write);
    for (int number = STDOUT_FILENO; number <= STDERR_FILENO; number++)
        if (fstat(number, &other) == 0 && same_file(&output, &other))
            return fail("%s: is where the report or the messages go; write to another file",
                        mirror->write);
    return 0;
}

static int check_options(const struct mirror *mirror)
{
    if (mirror->policy_text == NULL)
        return usage_error("mirror", "a policy is needed (-p)");
    if ((mirror->read == NULL) == (mirror->interface == NULL))
        return usage_error("mirror", "one input is needed: -r FILE or -i IFACE");
    if (mirror->write != NULL && mirror->output != NULL)
        return usage_error("mirror", "one output at the most: -w FILE or -o IFACE");
    if (mirror->interface != NULL && mirror->output != NULL &&
        strcmp(mirror->interface, mirror->output) == 0)
        return usage_error("mirror", "copies sent to %s would be captured and copied again",
                           mirror->output);
    if (mirror->write != NULL && strcmp(mirror->write, "-") == 0 && isatty(STDOUT_FILENO))
        return usage_error("mirror", "a capture is not written to a terminal");
    return check_output_file(mirror);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Messages begin on a line of their own. */
static void end_progress(struct mirror *mirror)
{
    if (mirror->on_line)
        fputc('\n', stderr);
    mirror->on_line = false;
}

static void say_link(void *context, enum remed_log_level level, const char *module,
                     const char *message)
{
    (void)level;
    (void)module;
    end_progress(context);
    fprintf(stderr, "remediate: %s\n", message);
}

static void on_refused(void *context, const struct remed_packet *packet)
{
    struct mirror *mirror = context;
    remed_filter_not_sent(mirror->filter, packet);
}

static int open_source(struct mirror *mirror)
{
    struct remed_error error;
    int rc = mirror->read != NULL
                 ? remed_pcap_open_file(&mirror->source, mirror->read, &mirror->source_opts, &error)
                 : remed_pcap_open_live(&mirror->source, mirror->interface, &mirror->source_opts,
                                        &error);
    if (rc < 0)
        return fail("%s", error.message);
    struct remed_pcap_source_stats stats;
    remed_pcap_source_stats(mirror->source, &stats, sizeof stats);
    mirror->seekable = stats.file_size > 0;
    return 0;
}

/* Its carrier is told up to a second after an interface was brought up. */
static int open_injector(struct mirror *mirror, const struct remed_pcap_sink_opts *opts,
                         struct remed_error *error)
{
    int rc = remed_pcap_open_injector(&mirror->sink, mirror->output, opts, error);
    for (unsigned tries = 0; rc == REMED_EAGAIN && tries < 20 && stopping == 0; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        rc = remed_pcap_open_injector(&mirror->sink, mirror->output, opts, error);
    }
    return rc;
}

static int open_sink(struct mirror *mirror)
{
    struct remed_error error;
    struct remed_pcap_sink_opts opts;
    remed_pcap_sink_opts_init(&opts, sizeof opts);
    uint32_t link_type = remed_pcap_source_link_type(mirror->source);
    opts.link_type = link_type != UINT32_MAX ? link_type : opts.link_type;
    opts.nanoseconds = remed_pcap_source_nanoseconds(mirror->source);
    opts.pcapng = mirror->write != NULL && ends_with(mirror->write, ".pcapng");
    opts.source = mirror->source;
    opts.log = (struct remed_log){mirror, say_link};
    opts.refused = on_refused;
    opts.refused_context = mirror;
    opts.hold_ms = mirror->read != NULL ? HOLD_MS : 0;
    if (mirror->output != NULL && link_type != UINT32_MAX && link_type != REMED_LINK_ETHERNET)
        return fail("%s: frames of link type %u cannot be sent on Ethernet", mirror->output,
                    link_type);
    int rc = 0;
    if (mirror->write != NULL)
        rc = remed_pcap_create_file(&mirror->sink, mirror->write, &opts, &error);
    else if (mirror->output != NULL)
        rc = open_injector(mirror, &opts, &error);
    return rc < 0 ? fail("%s", error.message) : 0;
}

static int prepare(struct mirror *mirror)
{
    struct remed_error error;
    mirror->policy = load_policy(mirror->policy_text);
    if (mirror->policy == NULL)
        return EXIT_FAILED;
    if (remed_filter_new(&mirror->filter, mirror->policy, &mirror->filter_opts, &error) < 0)
        return fail("%s", error.message);
    int code = open_source(mirror);
    return code != 0 ? code : open_sink(mirror);
}

static void tell_progress(struct mirror *mirror)
{
    uint64_t now = now_ns();
    if (now - mirror->told < PROGRESS_NS)
        return;
    struct remed_pcap_source_stats stats;
    remed_pcap_source_stats(mirror->source, &stats, sizeof stats);
    double seconds = (double)(now - mirror->begun) / 1e9;
    if (stats.file_size > 0)
        fprintf(stderr, "\r%5.1f %%", 100.0 * (double)stats.file_bytes / (double)stats.file_size);
    else
        fprintf(stderr, "\r");
    fprintf(stderr, "  %llu packets, %.0f a second  ", (unsigned long long)stats.packets,
            (double)stats.packets / seconds);
    mirror->on_line = true;
    mirror->told = now;
}

/* Moves the wanted packets to the front. */
static size_t gather(struct mirror *mirror, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        mirror->packets[kept] = mirror->packets[i];
        kept += mirror->verdicts[i].copy;
    }
    return kept;
}

/* Copies are not kept back: what waits for more packets, or for long, is written out first. */
static int keep_fresh(struct mirror *mirror, struct remed_error *error)
{
    if (mirror->sink == NULL || mirror->seekable)
        return 0;
    uint64_t now = now_ns();
    bool pauses = mirror->read != NULL && remed_pcap_source_drained(mirror->source);
    if (!pauses && now - mirror->flushed < STALE_NS)
        return 0;
    mirror->flushed = now;
    return remed_pcap_flush(mirror->sink, error);
}

/* No packet is there. What the output had no room for is tried again soon. */
static int wait_for_packets(struct mirror *mirror, struct remed_error *error)
{
    struct remed_pcap_sink_stats stats = {0};
    int rc = mirror->sink != NULL ? remed_pcap_flush(mirror->sink, error) : 0;
    if (rc < 0)
        return rc;
    if (mirror->sink != NULL)
        remed_pcap_sink_stats(mirror->sink, &stats, sizeof stats);
    if (remed_pcap_wait(mirror->source, stats.waiting > 0 ? RETRY_MS : IDLE_MS) >= 0)
        return 1;
    snprintf(error->message, sizeof error->message, "%s: cannot wait for packets",
             mirror->interface);
    return REMED_EIO;
}

/* Live, asked to stop: no more than what is in the kernel's buffer now. */
static void begin_draining(struct mirror *mirror)
{
    struct remed_pcap_source_stats stats;
    remed_pcap_source_stats(mirror->source, &stats, sizeof stats);
    uint64_t done = stats.packets + stats.kernel_dropped;
    uint64_t left = stats.kernel_received > done ? stats.kernel_received - done : 1;
    if (mirror->count == 0 || left < mirror->count)
        mirror->count = left;
    mirror->draining = true;
}

static int read_batch(struct mirror *mirror, struct remed_error *error)
{
    size_t most = mirror->count != 0 && mirror->count < BATCH ? (size_t)mirror->count : BATCH;
    int got = remed_pcap_read(mirror->source, mirror->packets, most, error);
    if (got < 0 && got != REMED_EAGAIN && mirror->read != NULL) {
        const struct remed_error why = *error;
        snprintf(error->message, sizeof error->message, "%s: %.160s",
                 strcmp(mirror->read, "-") == 0 ? "standard input" : mirror->read, why.message);
    }
    return got;
}

/* One batch: packets handled, 0 at the end, negative on failure. */
static int step(struct mirror *mirror, struct remed_error *error)
{
    if (stopping && !mirror->draining && mirror->interface != NULL)
        begin_draining(mirror);
    int rc = keep_fresh(mirror, error);
    int got = rc < 0 ? rc : read_batch(mirror, error);
    if (got == REMED_EAGAIN && mirror->draining)
        return 0;
    if (got == REMED_EAGAIN)
        return wait_for_packets(mirror, error);
    if (got <= 0)
        return got;
    remed_filter_run(mirror->filter, mirror->packets, (size_t)got, mirror->verdicts);
    if (mirror->sink != NULL)
        rc = remed_pcap_write(mirror->sink, mirror->packets, gather(mirror, (size_t)got), error);
    if (rc < 0)
        return rc;
    bool done = mirror->count != 0 && (mirror->count -= (uint64_t)got) == 0;
    return done ? 0 : got;
}

static int run(struct mirror *mirror)
{
    struct remed_error error = {0};
    for (;;) {
        int got = step(mirror, &error);
        if (got < 0)
            end_progress(mirror);
        if (got <= 0)
            return got == 0 ? EXIT_OK : fail("%s", error.message);
        if (mirror->progress)
            tell_progress(mirror);
    }
}

static int report(struct mirror *mirror, int code)
{
    struct remed_pcap_source_stats source;
    remed_pcap_source_stats(mirror->source, &source, sizeof source);
    const struct report report = {
        .policy = mirror->policy,
        .filter = mirror->filter,
        .source = mirror->interface != NULL ? &source : NULL,
        .sink = mirror->write != NULL || mirror->output != NULL ? &mirror->sink_stats : NULL,
        .seconds = (double)(now_ns() - mirror->begun) / 1e9,
    };
    bool taken = mirror->write != NULL && strcmp(mirror->write, "-") == 0;
    FILE *out = taken ? stderr : stdout;
    end_progress(mirror);
    if (mirror->json)
        report_json(out, &report);
    else
        report_text(out, &report);
    return code;
}

static void catch_signals(struct mirror *mirror)
{
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESETHAND; /* without SA_RESTART: a blocked read ends */
    running_file = mirror->read != NULL ? mirror->source : NULL;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, NULL, &before);
    if (before.sa_handler != SIG_IGN) /* nohup keeps it running */
        sigaction(SIGHUP, &action, NULL);
}

static int close_sink(struct mirror *mirror, int code)
{
    struct remed_error error;
    struct remed_pcap_sink_stats *stats = &mirror->sink_stats;
    if (mirror->sink == NULL)
        return code;
    int rc = remed_pcap_flush(mirror->sink, &error);
    if (rc == 0)
        rc = remed_pcap_sink_finish(mirror->sink, &error);
    remed_pcap_sink_stats(mirror->sink, stats, sizeof *stats);
    remed_pcap_sink_close(mirror->sink, NULL);
    mirror->sink = NULL;
    end_progress(mirror);
    if (rc < 0 && code == EXIT_OK)
        code = fail("%s", error.message);
    if (stats->refused > 0 && code == EXIT_OK)
        code = fail("%s: %llu copies were not sent, %llu of them for a link that was down",
                    mirror->output, (unsigned long long)stats->refused,
                    (unsigned long long)stats->link_lost);
    return code;
}

static int mirror_all(struct mirror *mirror)
{
    int code = prepare(mirror);
    if (code == 0) {
        catch_signals(mirror);
        mirror->begun = now_ns();
        code = run(mirror);
        code = close_sink(mirror, code);
        code = report(mirror, code);
    }
    running_file = NULL;
    code = close_sink(mirror, code);
    remed_pcap_source_free(mirror->source);
    remed_filter_free(mirror->filter);
    remed_policy_free(mirror->policy);
    return code;
}

int command_mirror(int argc, char **argv)
{
    static struct mirror mirror;
    if (!prepare_filter_opts(&mirror.filter_opts))
        return fail("no random numbers: %s", strerror(errno));
    remed_pcap_source_opts_init(&mirror.source_opts, sizeof mirror.source_opts);
    mirror.progress = isatty(STDERR_FILENO);
    opterr = 0;
    int option;
    while ((option = getopt_long(argc, argv, ":p:r:i:w:o:c:s:B:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_OK;
        }
        int code = set_option(&mirror, option, argv);
        if (code != 0)
            return code;
    }
    if (optind < argc)
        return usage_error("mirror", "'%s' is too much", argv[optind]);
    int code = check_options(&mirror);
    return code != 0 ? code : mirror_all(&mirror);
}
