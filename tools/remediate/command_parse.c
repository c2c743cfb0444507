/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remediate parse: lines of a middlebox's log in, records of state out, by a rule set.
 *
 * Threads: one.
 */
#include "carry.h"
#include "explain.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_LINE (1u << 20)

static const char help[] =
    "Usage: remediate parse --rules NAME|FILE [OPTION]... [LOG]...\n"
    "Reads lines of a middlebox's log (of standard input without LOG) and prints the records of\n"
    "state that they give, by a rule set: a shipped one ('remediate rules list') or a file.\n"
    "\n"
    "  -r, --rules R     the rule set\n"
    "      --json        each record as one JSON object, its line's number in it\n"
    "      --explain     also, for each line, what became of it and how far each rule got\n"
    "      --domain D    of the records (default: log)\n"
    "      --origin O    of the records (default: remediate)\n"
    "      --epoch N     of the records (default: 1)\n"
    "      --zone HOURS  of times that name no zone, such as +1 or -5:30 (default: 0)\n"
    "      --now TIME    when the lines arrived, such as 2026-11-24T10:00:00Z: the year of times\n"
    "                    without one (default: the clock's)\n"
    "      --virtual A   the address that a balancer's clients see, where its log does not say\n"
    "  -q, --quiet       no count of lines at the end\n"
    "  -h, --help        this help\n";

struct parsing {
    const char *rules_name;
    struct remed_log_rules *rules;
    struct remed_log_parser *parser;
    struct remed_log_parser_opts opts;
    uint64_t number, now, too_long;
    bool json, explain, quiet;
    int code;
};

static const char *endpoint_text(char *text, const struct remed_endpoint *endpoint)
{
    remed_endpoint_print(endpoint, text);
    return text;
}

static void print_text(const struct parsing *parsing, const struct remed_record *record)
{
    struct remed_record_head head;
    struct remed_session session;
    struct remed_nat_binding nat;
    struct remed_lb_assignment lb;
    char a[REMED_ENDPOINT_PRINT_SIZE], b[REMED_ENDPOINT_PRINT_SIZE], c[REMED_ENDPOINT_PRINT_SIZE],
        d[REMED_ENDPOINT_PRINT_SIZE], protocol[16];
    remed_record_head(record, &head, sizeof head);
    printf("%" PRIu64 ": %s %s ", parsing->number, head.op == REMED_OP_REMOVE ? "remove" : "upsert",
           remed_kind_name(head.kind));
    if (remed_record_body(record, REMED_KIND_SESSION, &session, sizeof session) == 0) {
        write_protocol(protocol, sizeof protocol, session.protocol);
        printf("%s %s > %s", protocol, endpoint_text(a, &session.client),
               endpoint_text(b, &session.server));
        if (session.client_outside.ip_version != 0 || session.server_inside.ip_version != 0)
            printf(" as %s > %s", endpoint_text(c, &session.client_outside),
                   endpoint_text(d, &session.server_inside));
        putchar('\n');
    } else if (remed_record_body(record, REMED_KIND_NAT_BINDING, &nat, sizeof nat) == 0) {
        write_protocol(protocol, sizeof protocol, nat.protocol);
        printf("%s %s as %s %s%s\n", nat.protocol != 0 ? protocol : "any",
               endpoint_text(a, &nat.inside), endpoint_text(b, &nat.outside),
               nat.remote.ip_version != 0 ? "to " : "", endpoint_text(c, &nat.remote));
    } else if (remed_record_body(record, REMED_KIND_LB_ASSIGNMENT, &lb, sizeof lb) == 0) {
        write_protocol(protocol, sizeof protocol, lb.protocol);
        printf("%s %s > %s by %s%s%s\n", protocol, endpoint_text(a, &lb.client),
               endpoint_text(b, &lb.service), endpoint_text(c, &lb.backend),
               lb.backend.ip_version != 0 && lb.backend_name[0] != '\0' ? " " : "",
               lb.backend_name);
    }
}

/* The record's object, with the line's number as its first member. */
static void print_json(struct parsing *parsing, const struct remed_record *record)
{
    static char text[16384];
    size_t length;
    int rc = remed_json_write(record, text, sizeof text, &length);
    if (rc < 0) {
        parsing->code = fail("a record can't be written as JSON: %s", remed_strerror(rc));
        return;
    }
    printf("{\"line\":%" PRIu64 ",", parsing->number);
    fwrite(text + 1, 1, length - 1, stdout);
    putchar('\n');
}

static void on_record(void *context, size_t line, const struct remed_record *record)
{
    struct parsing *parsing = context;
    (void)line;
    if (parsing->json)
        print_json(parsing, record);
    else
        print_text(parsing, record);
}

static void take_line(struct parsing *parsing, const char *text, size_t length)
{
    const struct remed_log_line line = {
        .text = text,
        .length = length,
        .received = parsing->now != 0 ? parsing->now : real_ns(),
    };
    struct remed_log_verdict verdict;
    parsing->number++;
    remed_log_parser_run(parsing->parser, &line, 1, &verdict);
    if (parsing->explain)
        explain_line(parsing->rules, parsing->parser, &line, &verdict, parsing->number,
                     parsing->json);
}

/* Lines of any bytes, each at most 1 MiB: a longer one is counted and left out. */
static int read_lines(struct parsing *parsing, FILE *in, const char *name)
{
    static char buffer[MAX_LINE];
    size_t held = 0;
    bool skipping = false;
    for (;;) {
        size_t got = fread(buffer + held, 1, sizeof buffer - held, in), begin = 0;
        const char *newline;
        held += got;
        while ((newline = memchr(buffer + begin, '\n', held - begin)) != NULL) {
            size_t length = (size_t)(newline - buffer) - begin;
            if (!skipping)
                take_line(parsing, buffer + begin, length);
            skipping = false;
            begin += length + 1;
        }
        memmove(buffer, buffer + begin, held - begin);
        held -= begin;
        if (held == sizeof buffer) {
            parsing->number += !skipping;
            parsing->too_long += !skipping;
            skipping = true;
            held = 0;
        }
        if (ferror(in))
            return fail("%s: %s", name, strerror(errno));
        if (got == 0 || interrupted)
            break;
    }
    if (held > 0 && !skipping)
        take_line(parsing, buffer, held);
    return parsing->code;
}

static int read_file_lines(struct parsing *parsing, const char *path)
{
    if (strcmp(path, "-") == 0)
        return read_lines(parsing, stdin, path);
    FILE *in = fopen(path, "rb");
    if (in == NULL)
        return fail("%s: %s", path, strerror(errno));
    parsing->number = 0;
    int code = read_lines(parsing, in, path);
    fclose(in);
    return code;
}

static void report(const struct parsing *parsing)
{
    struct remed_log_parser_stats stats;
    remed_log_parser_stats(parsing->parser, &stats, sizeof stats);
    fprintf(stderr, "%" PRIu64 " lines, %" PRIu64 " records;", stats.lines + parsing->too_long,
            stats.records);
    for (unsigned i = 0; i < REMED_LOG_OUTCOMES; i++)
        if (stats.outcome[i] != 0)
            fprintf(stderr, " %s %" PRIu64, remed_log_outcome_name(i), stats.outcome[i]);
    if (parsing->too_long != 0)
        fprintf(stderr, " too long %" PRIu64, parsing->too_long);
    fputc('\n', stderr);
}

static bool read_now(const char *text, uint64_t *now)
{
    struct tm parts;
    memset(&parts, 0, sizeof parts);
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (rest == NULL || (*rest != '\0' && strcmp(rest, "Z") != 0))
        return false;
    time_t seconds = timegm(&parts);
    *now = (uint64_t)seconds * 1000000000u;
    return seconds > 0;
}

enum long_option { DOMAIN_NAME = 256, ORIGIN, EPOCH, ZONE, NOW, VIRTUAL, JSON, EXPLAIN };

static int set_option(struct parsing *parsing, int option, char **argv)
{
    switch (option) {
    case 'r':
        parsing->rules_name = optarg;
        return 0;
    case 'q':
        parsing->quiet = true;
        return 0;
    case DOMAIN_NAME:
        parsing->opts.domain = optarg;
        return 0;
    case ORIGIN:
        parsing->opts.origin = optarg;
        return 0;
    case EPOCH:
        return read_number(optarg, 0, UINT64_MAX, &parsing->opts.epoch)
                   ? 0
                   : usage_error("parse", "'%s' is no epoch", optarg);
    case ZONE:
        return read_zone(optarg, &parsing->opts.zone)
                   ? 0
                   : usage_error("parse", "'%s' is no zone", optarg);
    case NOW:
        return read_now(optarg, &parsing->now) ? 0
                                               : usage_error("parse", "'%s' is no time", optarg);
    case VIRTUAL:
        return remed_endpoint_parse(&parsing->opts.service, optarg, strlen(optarg)) == 0
                   ? 0
                   : usage_error("parse", "'%s' is no address", optarg);
    case JSON:
        parsing->json = true;
        return 0;
    case EXPLAIN:
        parsing->explain = true;
        return 0;
    default:
        return bad_option("parse", option, argv);
    }
}

static int run(struct parsing *parsing, int argc, char **argv)
{
    struct remed_error error;
    parsing->rules = load_rules(parsing->rules_name, NULL);
    if (parsing->rules == NULL)
        return EXIT_FAILED;
    parsing->opts.sequence = real_ns(); /* grows over restarts too */
    parsing->opts.record = on_record;
    parsing->opts.context = parsing;
    if (remed_log_parser_new(&parsing->parser, parsing->rules, &parsing->opts, &error) < 0)
        return fail("%s", error.message);
    int code = optind == argc ? read_lines(parsing, stdin, "-") : EXIT_OK;
    for (int i = optind; i < argc && code == EXIT_OK; i++)
        code = read_file_lines(parsing, argv[i]);
    if (!parsing->quiet)
        report(parsing);
    return code;
}

int command_parse(int argc, char **argv)
{
    static const struct option options[] = {{"rules", required_argument, NULL, 'r'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"domain", required_argument, NULL, DOMAIN_NAME},
                                            {"origin", required_argument, NULL, ORIGIN},
                                            {"epoch", required_argument, NULL, EPOCH},
                                            {"zone", required_argument, NULL, ZONE},
                                            {"now", required_argument, NULL, NOW},
                                            {"virtual", required_argument, NULL, VIRTUAL},
                                            {"json", no_argument, NULL, JSON},
                                            {"explain", no_argument, NULL, EXPLAIN},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct parsing parsing = {.code = EXIT_OK};
    int option, code;
    remed_log_parser_opts_init(&parsing.opts, sizeof parsing.opts);
    parsing.opts.domain = "log";
    parsing.opts.origin = "remediate";
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":hqr:", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_OK;
        }
        if ((code = set_option(&parsing, option, argv)) != 0)
            return code;
    }
    if (parsing.rules_name == NULL)
        return usage_error("parse", "--rules is needed");
    catch_interrupts();
    code = run(&parsing, argc, argv);
    remed_log_parser_free(parsing.parser);
    remed_log_rules_free(parsing.rules);
    return code;
}
