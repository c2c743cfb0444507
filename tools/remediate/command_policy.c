/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remediate policy: is it right, what does it say, and what would it do with each packet.
 *
 * Threads: one.
 */
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 256u

static const char help[] =
    "Usage: remediate policy check POLICY\n"
    "       remediate policy print POLICY\n"
    "       remediate policy presets\n"
    "       remediate policy explain POLICY -r FILE [--inner|--outer] [--side in|out] [-c N]\n"
    "                        [--max-flows N] [--timeout NAME=T] [--json]\n"
    "Checks a mirror policy, prints it in full, lists the stock policies, or tells for each "
    "packet\n"
    "of a capture which rule decided and why. POLICY is a file, or the text itself.\n"
    "\n"
    "  -p, --policy POLICY another way to give it\n"
    "  -r, --read FILE     a pcap or pcapng capture; '-' is standard input\n"
    "  -c, --count N       stop after N packets\n"
    "      --max-flows N   size of the flow table (default 1048576)\n"
    "      --outer, --inner  which tuple classifies tunnelled packets (default: the outer)\n"
    "      --side in|out   the side of packets whose side the capture does not tell\n"
    "      --timeout NAME=T  idle timeout, as for 'remediate mirror'\n"
    "      --json          one JSON object a packet and line\n"
    "  -h, --help          this help\n";

struct explaining {
    const char *read, *policy;
    uint64_t count, number;
    bool json;
    struct remed_filter_opts filter_opts;
    struct remed_pcap_source_opts source_opts;
    char **rules; /* their texts */
};

static int check(const char *argument)
{
    struct remed_policy *policy = load_policy(argument);
    if (policy == NULL)
        return EXIT_FAILED;
    printf("ok, %zu rules\n", remed_policy_rules(policy));
    remed_policy_free(policy);
    return EXIT_OK;
}

static int print(const char *argument)
{
    struct remed_policy *policy = load_policy(argument);
    if (policy == NULL)
        return EXIT_FAILED;
    size_t length = remed_policy_print(policy, NULL, 0);
    char *text = malloc(length + 1);
    if (text != NULL) {
        remed_policy_print(policy, text, length + 1);
        fputs(text, stdout);
    }
    remed_policy_free(policy);
    int code = text != NULL ? EXIT_OK : fail("no memory for the text");
    free(text);
    return code;
}

static int presets(void)
{
    const char *name, *text;
    for (size_t i = 0; remed_policy_preset(i, &name, &text) == 0; i++)
        printf("# preset %s\n%s%s", name, text, "\n");
    return EXIT_OK;
}

static void write_tuple(char *text, size_t size, const struct remed_headers *headers)
{
    char protocol[16], a[REMED_ENDPOINT_TEXT_SIZE], b[REMED_ENDPOINT_TEXT_SIZE];
    write_protocol(protocol, sizeof protocol, headers->key.protocol);
    remed_flow_key_endpoint(&headers->key, headers->direction, a);
    remed_flow_key_endpoint(&headers->key, headers->direction ^ 1u, b);
    snprintf(text, size, "%s %s > %s", protocol, a, b);
}

static void explain_json(const struct explaining *explaining, const struct remed_packet *packet,
                         const struct remed_verdict *verdict, const char *tuple)
{
    char time[TIME_TEXT];
    write_time(time, packet->time);
    printf("{\"packet\":%llu,\"time\":\"%s\",\"tuple\":", (unsigned long long)explaining->number,
           time);
    if (*tuple != '\0')
        json_string(stdout, tuple);
    else
        fputs("null", stdout);
    if (verdict->unclassified != 0)
        printf(",\"unclassified\":\"%s\"", remed_unclassified_name(verdict->unclassified));
    else
        fputs(",\"unclassified\":null", stdout);
    if (verdict->rule != REMED_NO_RULE)
        printf(",\"rule\":%u", verdict->rule);
    else
        fputs(",\"rule\":null", stdout);
    printf(",\"copy\":%s,\"reason\":\"%s\"", verdict->copy != 0 ? "true" : "false",
           remed_reason_name(verdict->reason));
    if (verdict->flow != REMED_NO_FLOW)
        printf(",\"flow\":%u", verdict->flow);
    else
        fputs(",\"flow\":null", stdout);
    printf(",\"new_flow\":%s}\n", verdict->new_flow != 0 ? "true" : "false");
}

static void explain_packet(struct explaining *explaining, const struct remed_packet *packet,
                           const struct remed_verdict *verdict)
{
    struct remed_headers headers;
    char tuple[160] = "", time[TIME_TEXT];
    enum remed_scope scope = (enum remed_scope)explaining->filter_opts.scope;
    unsigned unclassified = remed_packet_parse(packet, scope, &headers);
    if (unclassified == 0 || unclassified == REMED_UNCLASSIFIED_FRAGMENT)
        write_tuple(tuple, sizeof tuple, &headers);
    explaining->number++;
    if (explaining->json) {
        explain_json(explaining, packet, verdict, tuple);
        return;
    }
    write_time(time, packet->time);
    printf("%6llu  %s  %-4s %-13s  %s\n", (unsigned long long)explaining->number, time,
           verdict->copy != 0 ? "copy" : "-", remed_reason_name(verdict->reason),
           *tuple != '\0' ? tuple : remed_unclassified_name(verdict->unclassified));
    if (verdict->rule != REMED_NO_RULE)
        printf("        rule %u: %s\n", verdict->rule + 1, explaining->rules[verdict->rule]);
}

static int explain_all(struct explaining *explaining, struct remed_pcap_source *source,
                       struct remed_filter *filter)
{
    static struct remed_packet packets[BATCH];
    static struct remed_verdict verdicts[BATCH];
    struct remed_error error;
    while (explaining->count == 0 || explaining->number < explaining->count) {
        uint64_t left = explaining->count != 0 ? explaining->count - explaining->number : BATCH;
        int got = remed_pcap_read(source, packets, left < BATCH ? (size_t)left : BATCH, &error);
        if (got == 0)
            break;
        if (got < 0)
            return fail("%s: %s", explaining->read, error.message);
        remed_filter_run(filter, packets, (size_t)got, verdicts);
        for (int i = 0; i < got; i++)
            explain_packet(explaining, &packets[i], &verdicts[i]);
    }
    return EXIT_OK;
}

static bool load_rule_texts(struct explaining *explaining, const struct remed_policy *policy)
{
    size_t count = remed_policy_rules(policy);
    explaining->rules = calloc(count + 1, sizeof *explaining->rules);
    for (size_t i = 0; explaining->rules != NULL && i < count; i++)
        if ((explaining->rules[i] = rule_text(policy, i)) == NULL)
            return false;
    return explaining->rules != NULL;
}

static int explain(struct explaining *explaining, const char *argument)
{
    struct remed_policy *policy = load_policy(argument);
    struct remed_pcap_source *source = NULL;
    struct remed_filter *filter = NULL;
    struct remed_error error;
    if (policy == NULL)
        return EXIT_FAILED;
    int code = EXIT_OK;
    explaining->filter_opts.track = 1;
    if (!load_rule_texts(explaining, policy))
        code = fail("no memory for the rules");
    else if (remed_pcap_open_file(&source, explaining->read, &explaining->source_opts, &error) <
                 0 ||
             remed_filter_new(&filter, policy, &explaining->filter_opts, &error) < 0)
        code = fail("%s", error.message);
    else
        code = explain_all(explaining, source, filter);
    for (size_t i = 0; explaining->rules != NULL && i < remed_policy_rules(policy); i++)
        free(explaining->rules[i]);
    free(explaining->rules);
    remed_filter_free(filter);
    remed_pcap_source_free(source);
    remed_policy_free(policy);
    return code;
}

enum long_option { MAX_FLOWS = 256, INNER, OUTER, SIDE, TIMEOUT, JSON };

static int set_option(struct explaining *explaining, int option, char **argv)
{
    uint64_t number;
    switch (option) {
    case 'r':
        explaining->read = optarg;
        return 0;
    case 'p':
        explaining->policy = optarg;
        return 0;
    case 'c':
        return read_number(optarg, 1, UINT64_MAX, &explaining->count)
                   ? 0
                   : usage_error("policy", "'%s' is no number of packets", optarg);
    case MAX_FLOWS:
        if (!read_number(optarg, 16, 1u << 28, &number))
            return usage_error("policy", "the table must have 16 to 268435456 flows, not '%s'",
                               optarg);
        explaining->filter_opts.max_flows = (uint32_t)number;
        return 0;
    case INNER:
    case OUTER:
        explaining->filter_opts.scope = option == INNER ? REMED_SCOPE_INNER : REMED_SCOPE_OUTER;
        return 0;
    case SIDE:
        if (strcmp(optarg, "in") != 0 && strcmp(optarg, "out") != 0)
            return usage_error("policy", "the side is in or out, not '%s'", optarg);
        explaining->source_opts.side = *optarg == 'i' ? REMED_SIDE_IN : REMED_SIDE_OUT;
        return 0;
    case TIMEOUT:
        return read_timeout(optarg, explaining->filter_opts.timeout)
                   ? 0
                   : usage_error("policy", "'%s' is no timeout such as udp=30s", optarg);
    case JSON:
        explaining->json = true;
        return 0;
    default:
        return bad_option("policy", option, argv);
    }
}

static int run_verb(struct explaining *explaining, const char *verb, const char *argument)
{
    bool explains = strcmp(verb, "explain") == 0;
    if (strcmp(verb, "presets") == 0 && argument == NULL)
        return presets();
    if (!explains && strcmp(verb, "check") != 0 && strcmp(verb, "print") != 0)
        return usage_error("policy", "'%s' with these words is no command", verb);
    if (argument == NULL)
        return usage_error("policy", "a policy is needed");
    if (explains != (explaining->read != NULL))
        return usage_error("policy", "explain, and only explain, needs a capture (-r)");
    if (explains)
        return explain(explaining, argument);
    return *verb == 'c' ? check(argument) : print(argument);
}

int command_policy(int argc, char **argv)
{
    static const struct option options[] = {{"read", required_argument, NULL, 'r'},
                                            {"policy", required_argument, NULL, 'p'},
                                            {"count", required_argument, NULL, 'c'},
                                            {"max-flows", required_argument, NULL, MAX_FLOWS},
                                            {"inner", no_argument, NULL, INNER},
                                            {"outer", no_argument, NULL, OUTER},
                                            {"side", required_argument, NULL, SIDE},
                                            {"timeout", required_argument, NULL, TIMEOUT},
                                            {"json", no_argument, NULL, JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct explaining explaining;
    int option;
    memset(&explaining, 0, sizeof explaining);
    if (!prepare_filter_opts(&explaining.filter_opts))
        return fail("no random numbers: %s", strerror(errno));
    remed_pcap_source_opts_init(&explaining.source_opts, sizeof explaining.source_opts);
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":r:c:p:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return EXIT_OK;
        }
        int code = set_option(&explaining, option, argv);
        if (code != 0)
            return code;
    }
    if (argc - optind < 1 || argc - optind > 2)
        return usage_error("policy", "check, print, explain or presets, and a policy");
    const char *argument = argc - optind == 2 ? argv[optind + 1] : explaining.policy;
    return run_verb(&explaining, argv[optind], argument);
}
