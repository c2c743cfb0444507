/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines to records by the shipped rule sets, against PCRE2's JIT, liblognorm and a scan written by
 * hand for the very lines; 10^6 lines made from the formats, one thread, all sides by turns in one
 * run. All sides read addresses and ports to numbers, liblognorm by way of JSON; ours reads the
 * header's time too and fills a record.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "bench/bench.h"
#include "bench/log_lines.h"

#include <liblognorm.h>
#include <pcre2.h>
#include <remediate/log_rules.h>
#include <rule_sets.h>
#include <unistd.h>

#define LINES 1000000u
#define FEW 50000u /* of liblognorm, which takes its time */
#define ROUNDS 7u

static uint64_t sink;

struct side {
    const char *name;
    double (*run)(const struct lines *lines);
    double bar;
};

static struct remed_log_parser *parser;

static void on_record(void *context, size_t line, const struct remed_record *record)
{
    (void)context;
    (void)record;
    sink += line;
}

static struct remed_log_parser *make_parser(const char *text, size_t length)
{
    struct remed_log_rules *rules = NULL;
    struct remed_log_parser *made = NULL;
    struct remed_log_parser_opts opts;
    struct remed_error error;
    remed_log_parser_opts_init(&opts, sizeof opts);
    opts.domain = "bench";
    opts.record = on_record;
    if (remed_log_rules_parse(&rules, NULL, text, length, &error) < 0 ||
        remed_log_parser_new(&made, rules, &opts, &error) < 0) {
        fprintf(stderr, "%u:%u: %s\n", error.line, error.column, error.message);
        exit(1);
    }
    return made;
}

static const struct rule_set *shipped(const char *name)
{
    const struct rule_set *set = rule_sets;
    while (strcmp(set->name, name) != 0)
        set++;
    return set;
}

static double run_ours(const struct lines *lines)
{
    struct remed_log_line batch[64];
    size_t records = 0;
    double begin = bench_now();
    for (size_t at = 0; at < LINES;) {
        size_t count = 0;
        for (; count < 64 && at < LINES; count++, at++)
            batch[count] = (struct remed_log_line){.text = line_text(lines, at),
                                                   .length = line_length(lines, at),
                                                   .received = 1795428000000000000ull};
        records += remed_log_parser_run(parser, batch, count, NULL);
    }
    double spent = bench_now() - begin;
    if (records < LINES)
        exit(1);
    return spent / LINES;
}

static double run_scan(const struct lines *lines)
{
    size_t found = 0;
    double begin = bench_now();
    for (size_t i = 0; i < LINES; i++) {
        struct tuple tuple = {0};
        found += scan_line(lines->asa, line_text(lines, i), line_length(lines, i), &tuple);
        sink += tuple.client_port;
    }
    double spent = bench_now() - begin;
    if (found < LINES)
        exit(1);
    return spent / LINES;
}

/* What the rules take: addresses of both kinds, and the user that may stand behind an end. */
#define IP "((?:\\d{1,3}\\.){3}\\d{1,3}|[0-9A-Fa-f:.]+)"
#define END "[^\\s:/()]+:" IP "/(\\d{1,5})"
#define USER "(?:\\([^)]*\\))?"
#define AFTER " \\(" IP "/(\\d{1,5})\\)" USER
static const char *const asa_patterns[8] = {
    "\\GBuilt (\\S+) (?:Probe )?TCP connection \\d+ for " END USER AFTER " to " END USER AFTER,
    "\\GTeardown (?:Probe )?(TCP) connection \\d+ for " END USER " to " END USER " duration ",
    "\\GBuilt (\\S+) (?:Probe )?UDP connection \\d+ for " END USER AFTER " to " END USER AFTER,
    "\\GTeardown (?:Probe )?(UDP) connection \\d+ for " END USER " to " END USER " duration ",
    "\\GBuilt (\\S+) ICMP connection for faddr " IP "/(\\d+)" USER " gaddr " IP "/(\\d+) laddr " IP
    "/(\\d+)",
    "\\GTeardown (ICMP) connection for faddr " IP "/(\\d+)" USER " gaddr " IP "/(\\d+) laddr " IP
    "/(\\d+)",
    "\\GBuilt (?:dynamic|static) (\\S+) translation from " END USER " to " END,
    "\\GTeardown (?:dynamic|static) (\\S+) translation from " END USER " to " END};
static const char iptables_pattern[] =
    "IN=\\S* OUT=\\S* .*?SRC=(\\S+) DST=(\\S+) .*?PROTO=(\\S+) SPT=(\\d+) DPT=(\\d+)";
static pcre2_code *asa_codes[8], *asa_number, *iptables_code;
static pcre2_match_data *matched;

static pcre2_code *compile(const char *pattern)
{
    int code;
    PCRE2_SIZE at;
    pcre2_code *made =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, 0, &code, &at, NULL);
    if (made == NULL || pcre2_jit_compile(made, PCRE2_JIT_COMPLETE) != 0)
        exit(1);
    return made;
}

/* The groups with addresses and ports, to numbers. */
static bool convert(const char *text, const PCRE2_SIZE *groups, bool asa, int count,
                    struct tuple *tuple)
{
    static const uint8_t iptables[] = {1, 2, 4, 5};
    for (int i = asa ? 2 : 0; i < (asa ? count : 4); i++) {
        int group = asa ? i : iptables[i];
        const char *from = text + groups[2 * group], *to = text + groups[2 * group + 1];
        bool address = asa ? i % 2 == 0 : i < 2;
        if (!(address ? scan_address(&from, to, &tuple->client)
                      : scan_port(&from, to, &tuple->client_port)) ||
            from != to)
            return false;
    }
    return true;
}

/* Which message it is: an expression of its own, then the one for that message. */
static pcre2_code *asa_code(const char *text, size_t length, size_t *start)
{
    uint32_t number = 0;
    if (pcre2_jit_match(asa_number, (PCRE2_SPTR)text, length, 0, 0, matched, NULL) != 2)
        exit(1);
    const PCRE2_SIZE *groups = pcre2_get_ovector_pointer(matched);
    for (const char *c = text + groups[2]; c < text + groups[3]; c++)
        number = number * 10 + (uint32_t)(*c - '0');
    *start = groups[1];
    return asa_codes[number >= 305011   ? number - 305005
                     : number >= 302020 ? number - 302016
                                        : number - 302013];
}

static double run_pcre2(const struct lines *lines)
{
    size_t found = 0;
    double begin = bench_now();
    for (size_t i = 0; i < LINES; i++) {
        const char *text = line_text(lines, i);
        size_t length = line_length(lines, i), start = 0;
        pcre2_code *code = lines->asa ? asa_code(text, length, &start) : iptables_code;
        struct tuple tuple = {0};
        int count = pcre2_jit_match(code, (PCRE2_SPTR)text, length, start, 0, matched, NULL);
        found += count > 0 &&
                 convert(text, pcre2_get_ovector_pointer(matched), lines->asa, count, &tuple);
        sink += tuple.client_port;
    }
    double spent = bench_now() - begin;
    if (found < LINES)
        exit(1);
    return spent / LINES;
}

static ln_ctx normalizer[2];

static ln_ctx make_normalizer(const char *rulebase)
{
    char path[] = "/tmp/bench_log.XXXXXX";
    int descriptor = mkstemp(path);
    ln_ctx made = ln_initCtx();
    if (descriptor < 0 || made == NULL ||
        write(descriptor, rulebase, strlen(rulebase)) != (ssize_t)strlen(rulebase) ||
        ln_loadSamples(made, path) != 0)
        exit(1);
    close(descriptor);
    unlink(path);
    return made;
}

/* The fields with addresses and ports, out of the JSON and to numbers. */
static bool convert_json(struct json_object *event, bool asa, struct tuple *tuple)
{
    static const char *const of_iptables[] = {"SRC", "SPT", "DST", "DPT", NULL};
    static const char *const of_asa[] = {"ip1",    "port1", "ip2",    "port2", "xip1",
                                         "xport1", "xip2",  "xport2", "f",     "fp",
                                         "g",      "gp",    "l",      "lp",    NULL};
    const char *const *names = asa ? of_asa : of_iptables;
    unsigned found = 0;
    for (size_t i = 0; names[i] != NULL; i++) {
        struct json_object *value;
        if (!fjson_object_object_get_ex(event, names[i], &value))
            continue;
        const char *from = fjson_object_get_string(value), *to = from + strlen(from);
        found += i % 2 == 0 ? scan_address(&from, to, &tuple->client)
                            : scan_port(&from, to, &tuple->client_port);
    }
    return found >= 4;
}

static double run_lognorm(const struct lines *lines)
{
    size_t found = 0;
    double begin = bench_now();
    for (size_t i = 0; i < FEW; i++) {
        struct json_object *event = NULL;
        struct tuple tuple = {0};
        if (ln_normalize(normalizer[lines->asa], line_text(lines, i), line_length(lines, i),
                         &event) == 0)
            found += convert_json(event, lines->asa, &tuple);
        sink += tuple.client_port;
        fjson_object_put(event);
    }
    double spent = bench_now() - begin;
    if (found < FEW)
        exit(1);
    return spent / FEW;
}

/* The shipped set with 400 rules more, each with keys of its own. */
static struct remed_log_parser *with_400(const struct rule_set *set)
{
    static char text[1 << 20];
    size_t length = set->length;
    memcpy(text, set->text, length);
    for (unsigned i = 0; i < 400; i++)
        length += (size_t)snprintf(
            text + length, sizeof text - length,
            "\nrule more_%u key 9%05u\n    match \"Built \" word \" TCP connection \" digits "
            "\" for \" $side(src) \" to \" $side(dst) rest\n    proto tcp\n    event open\n    "
            "give session\n",
            i, i);
    return make_parser(text, length);
}

static void row(const char *work, const char *peer, const double *ours, const double *theirs,
                double bar)
{
    double ratios[BENCH_ROUNDS] = {0}, a[BENCH_ROUNDS] = {0}, b[BENCH_ROUNDS] = {0};
    for (unsigned i = 0; i < ROUNDS; i++) {
        a[i] = 1e-3 / ours[i];
        b[i] = 1e-3 / theirs[i];
        ratios[i] = theirs[i] / ours[i];
    }
    qsort(a, ROUNDS, sizeof *a, bench_compare);
    qsort(b, ROUNDS, sizeof *b, bench_compare);
    qsort(ratios, ROUNDS, sizeof *ratios, bench_compare);
    printf("%-34s %-24s %8.0f %8.0f %7.2f  (bar %.2f; thousand lines a second)\n", work, peer,
           a[ROUNDS / 2], b[ROUNDS / 2], ratios[ROUNDS / 2], bar);
    fflush(stdout);
}

static void compare(const char *work, const struct lines *lines, const struct rule_set *set,
                    const struct side *sides, size_t count)
{
    double ours[ROUNDS], theirs[3][ROUNDS];
    parser = make_parser(set->text, set->length);
    for (unsigned i = 0; i < ROUNDS; i++) {
        ours[i] = run_ours(lines);
        for (size_t side = 0; side < count; side++)
            theirs[side][i] = sides[side].run(lines);
    }
    for (size_t side = 0; side < count; side++)
        row(work, sides[side].name, ours, theirs[side], sides[side].bar);
}

static void compare_400(const struct lines *lines, const struct rule_set *set)
{
    struct remed_log_parser *few = make_parser(set->text, set->length), *many = with_400(set);
    double with[ROUNDS], without[ROUNDS];
    for (unsigned i = 0; i < ROUNDS; i++) {
        parser = few;
        without[i] = run_ours(lines);
        parser = many;
        with[i] = run_ours(lines);
    }
    row("ASA, 400 rules more", "the shipped set", with, without, 0.95);
}

int main(void)
{
    static const struct side iptables_sides[] = {
        {"PCRE2 JIT", run_pcre2, 1.0}, {"liblognorm", run_lognorm, 10}, {"C scan", run_scan, 0.75}};
    static const struct side asa_sides[] = {
        {"PCRE2 JIT", run_pcre2, 1.6}, {"liblognorm", run_lognorm, 9}, {"C scan", run_scan, 0.75}};
    struct lines lines;
    matched = pcre2_match_data_create(16, NULL);
    iptables_code = compile(iptables_pattern);
    asa_number = compile("%ASA-\\d-(\\d{6}): ");
    for (unsigned i = 0; i < 8; i++)
        asa_codes[i] = compile(asa_patterns[i]);
    normalizer[0] = make_normalizer(iptables_rulebase);
    normalizer[1] = make_normalizer(asa_rulebase);
    make_iptables_lines(&lines, LINES);
    compare("iptables line to record", &lines, shipped("iptables"), iptables_sides, 3);
    free_lines(&lines);
    make_asa_lines(&lines, LINES);
    compare("ASA mix of 8 types to records", &lines, shipped("cisco_asa"), asa_sides, 3);
    compare_400(&lines, shipped("cisco_asa"));
    free_lines(&lines);
    ln_exitCtx(normalizer[0]);
    ln_exitCtx(normalizer[1]);
    return sink == 42 ? 1 : 0;
}
