/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remediate flows: every flow of a capture, also those that ended on the way, by their first
 * packet.
 *
 * Threads: one.
 */
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 1024u

static const char help[] =
    "Usage: remediate flows -r FILE [OPTION]...\n"
    "Lists the flows of a capture, one a row, in the order of their first packets.\n"
    "\n"
    "  -r, --read FILE     a pcap or pcapng capture; '-' is standard input\n"
    "      --max-flows N   size of the flow table (default 1048576)\n"
    "      --outer         classify tunnelled packets by the outer tuple (default)\n"
    "      --inner         classify them by the inner tuple\n"
    "      --timeout NAME=T  idle timeout, as for 'remediate mirror'\n"
    "      --json          one JSON object a flow and line\n"
    "  -h, --help          this help\n";

struct listing {
    struct remed_flow_info *flows;
    size_t count, room;
    bool failed;
};

static void add(void *context, const struct remed_flow_info *info)
{
    struct listing *listing = context;
    if (listing->count == listing->room && !listing->failed) {
        size_t room = listing->room == 0 ? 1024 : listing->room * 2;
        struct remed_flow_info *grown = realloc(listing->flows, room * sizeof *grown);
        listing->failed = grown == NULL;
        listing->flows = grown != NULL ? grown : listing->flows;
        listing->room = grown != NULL ? room : listing->room;
    }
    if (!listing->failed)
        listing->flows[listing->count++] = *info;
}

static int by_first_seen(const void *a, const void *b)
{
    const struct remed_flow_info *x = a, *y = b;
    if (x->first_seen != y->first_seen)
        return x->first_seen < y->first_seen ? -1 : 1;
    return memcmp(&x->key, &y->key, sizeof x->key);
}

static void describe(const struct remed_flow_info *info, char *protocol, char *opener,
                     char *responder)
{
    write_protocol(protocol, 16, info->key.protocol);
    remed_flow_key_endpoint(&info->key, info->opener, opener);
    remed_flow_key_endpoint(&info->key, info->opener ^ 1u, responder);
}

static void print_row(const struct remed_flow_info *info)
{
    char protocol[16], opener[REMED_ENDPOINT_TEXT_SIZE], responder[REMED_ENDPOINT_TEXT_SIZE];
    char first[TIME_TEXT];
    describe(info, protocol, opener, responder);
    write_time(first, info->first_seen);
    printf("%-7s %-24s %-24s %9llu %9llu %11llu %11llu %12.6f  %-8s %s\n", protocol, opener,
           responder, (unsigned long long)info->packets[0], (unsigned long long)info->packets[1],
           (unsigned long long)info->bytes[0], (unsigned long long)info->bytes[1],
           (double)(info->last_seen - info->first_seen) / 1e9, remed_flow_state_name(info->state),
           first);
}

static void print_json(const struct remed_flow_info *info)
{
    char protocol[16], opener[REMED_ENDPOINT_TEXT_SIZE], responder[REMED_ENDPOINT_TEXT_SIZE];
    char first[TIME_TEXT], last[TIME_TEXT];
    describe(info, protocol, opener, responder);
    write_time(first, info->first_seen);
    write_time(last, info->last_seen);
    printf("{\"protocol\":\"%s\",\"opener\":\"%s\",\"responder\":\"%s\","
           "\"packets\":[%llu,%llu],\"bytes\":[%llu,%llu],\"first_seen\":\"%s\","
           "\"last_seen\":\"%s\",\"duration\":%.9f,\"state\":\"%s\"}\n",
           protocol, opener, responder, (unsigned long long)info->packets[0],
           (unsigned long long)info->packets[1], (unsigned long long)info->bytes[0],
           (unsigned long long)info->bytes[1], first, last,
           (double)(info->last_seen - info->first_seen) / 1e9, remed_flow_state_name(info->state));
}

static int print_all(struct listing *listing, bool json)
{
    if (listing->failed)
        return fail("no memory for more than %zu flows", listing->count);
    if (listing->count > 0)
        qsort(listing->flows, listing->count, sizeof *listing->flows, by_first_seen);
    if (!json)
        printf("%-7s %-24s %-24s %9s %9s %11s %11s %12s  %-8s %s\n", "proto", "opener", "responder",
               "packets>", "<packets", "bytes>", "<bytes", "seconds", "state", "first seen");
    for (size_t i = 0; i < listing->count; i++)
        if (json)
            print_json(&listing->flows[i]);
        else
            print_row(&listing->flows[i]);
    return EXIT_OK;
}

static int read_all(struct remed_pcap_source *source, struct remed_filter *filter, const char *path)
{
    static struct remed_packet packets[BATCH];
    static struct remed_verdict verdicts[BATCH];
    struct remed_error error;
    for (;;) {
        int got = remed_pcap_read(source, packets, BATCH, &error);
        if (got == 0)
            return EXIT_OK;
        if (got < 0)
            return fail("%s: %s", path, error.message);
        remed_filter_run(filter, packets, (size_t)got, verdicts);
    }
}

static void collect(struct remed_flow_table *table, struct listing *listing)
{
    struct remed_flow_info info;
    uint32_t cursor = 0, flow;
    while ((flow = remed_flow_table_next(table, &cursor)) != REMED_NO_FLOW)
        if (remed_flow_table_get(table, flow, &info, sizeof info) == 0)
            add(listing, &info);
}

static int list(const char *path, const struct remed_filter_opts *opts, bool json)
{
    struct remed_policy *policy = NULL;
    struct remed_filter *filter = NULL;
    struct remed_pcap_source *source = NULL;
    struct listing listing = {NULL, 0, 0, false};
    struct remed_error error;
    static const char text[] = "any : none";
    int code = EXIT_OK;
    if (remed_pcap_open_file(&source, path, NULL, &error) < 0 ||
        remed_policy_parse(&policy, NULL, text, sizeof text - 1, &error) < 0 ||
        remed_filter_new(&filter, policy, opts, &error) < 0) {
        code = fail("%s", error.message);
    } else {
        remed_flow_table_on_end(remed_filter_flows(filter), add, &listing);
        code = read_all(source, filter, path);
        collect(remed_filter_flows(filter), &listing);
        int printed = print_all(&listing, json);
        code = code == EXIT_OK ? printed : code;
    }
    free(listing.flows);
    remed_filter_free(filter);
    remed_policy_free(policy);
    remed_pcap_source_free(source);
    return code;
}

enum long_option { MAX_FLOWS = 256, INNER, OUTER, TIMEOUT, JSON };

int command_flows(int argc, char **argv)
{
    static const struct option options[] = {{"read", required_argument, NULL, 'r'},
                                            {"max-flows", required_argument, NULL, MAX_FLOWS},
                                            {"inner", no_argument, NULL, INNER},
                                            {"outer", no_argument, NULL, OUTER},
                                            {"timeout", required_argument, NULL, TIMEOUT},
                                            {"json", no_argument, NULL, JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct remed_filter_opts opts;
    const char *path = NULL;
    bool json = false;
    uint64_t number;
    int option;
    if (!prepare_filter_opts(&opts))
        return fail("no random numbers: %s", strerror(errno));
    opts.track = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":r:h", options, NULL)) != -1) {
        switch (option) {
        case 'r':
            path = optarg;
            break;
        case MAX_FLOWS:
            if (!read_number(optarg, 16, 1u << 28, &number))
                return usage_error("flows", "the table must have 16 to 268435456 flows, not '%s'",
                                   optarg);
            opts.max_flows = (uint32_t)number;
            break;
        case INNER:
        case OUTER:
            opts.scope = option == INNER ? REMED_SCOPE_INNER : REMED_SCOPE_OUTER;
            break;
        case TIMEOUT:
            if (!read_timeout(optarg, opts.timeout))
                return usage_error("flows", "'%s' is no timeout such as udp=30s", optarg);
            break;
        case JSON:
            json = true;
            break;
        case 'h':
            fputs(help, stdout);
            return EXIT_OK;
        default:
            return bad_option("flows", option, argv);
        }
    }
    if (path == NULL || optind < argc)
        return usage_error("flows", "a capture is needed (-r), and nothing more");
    return list(path, &opts, json);
}
