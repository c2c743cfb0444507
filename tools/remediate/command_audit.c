/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remediate snapshot: the newest of each key; remediate audit: how equal two of them are.
 *
 * Threads: one.
 */
#include "carry.h"
#include "keys.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#define DEFAULT_ENTRIES (1u << 20)

static const char snapshot_help[] =
    "Usage: remediate snapshot URI [OPTION]...\n"
    "Prints the newest record of each key that a repository holds, one JSON object a line. URI "
    "may\n"
    "also be a file that --output wrote.\n"
    "\n"
    "  -o, --output FILE     write a replica's snapshot file instead, with its position and "
    "removals\n"
    "      --msgpack         the wire form of the records, one behind the other\n"
    "      --verify FILE     take only records that a key of the file signed\n"
    "      --max-entries N   most entries (default 1048576)\n"
    "      --json            as it is: records are JSON anyway\n"
    "  -h, --help            this help\n";

static const char audit_help[] =
    "Usage: remediate audit A B [OPTION]...\n"
    "Compares the state of two repositories, of files of records ('-': standard input), or of\n"
    "those that 'snapshot --output' wrote:\n"
    "what B misses of A, what it has beside, what is stale or otherwise different.\n"
    "Exit status: 0 equal, 1 different or failed, 2 wrong usage.\n"
    "\n"
    "  -q, --quiet           the summary alone\n"
    "      --verify FILE     take only records of a repository that a key of the file signed\n"
    "      --max-entries N   most entries of each (default 1048576)\n"
    "      --json            one JSON object a difference, and one for the summary\n"
    "  -h, --help            this help\n";

static int write_wire(const struct remed_record *record)
{
    static uint8_t wire[REMED_RECORD_MAX];
    size_t length;
    if (remed_record_encode(record, wire, sizeof wire, &length) < 0 ||
        fwrite(wire, 1, length, stdout) != length)
        return fail("cannot write: %s", strerror(errno));
    return EXIT_OK;
}

static int save(const struct remed_replica *replica, const char *path, const char *position)
{
    struct remed_error error;
    return remed_replica_save(replica, path, position, &error) < 0 ? fail("%s", error.message)
                                                                   : EXIT_OK;
}

static int snapshot(const char *uri, const char *output, bool msgpack, uint32_t max_entries,
                    const struct remed_mac *mac)
{
    static char position[REMED_SNAPSHOT_POSITION_MAX + 1];
    struct remed_replica *replica = gather_replica(uri, max_entries, mac, position);
    struct remed_record *record = NULL;
    uint64_t cursor = 0;
    int code = replica != NULL ? EXIT_OK : EXIT_FAILED;
    if (replica != NULL && output != NULL)
        code = save(replica, output, position);
    else if (replica != NULL && remed_record_new(&record, NULL) < 0)
        code = fail("no memory");
    while (output == NULL && code == EXIT_OK && remed_replica_next(replica, &cursor, record) == 1)
        code = msgpack ? write_wire(record) : print_record(stdout, record);
    remed_record_free(record);
    remed_replica_free(replica);
    return code;
}

int command_snapshot(int argc, char **argv)
{
    enum { MSGPACK = 256, MAX_ENTRIES, VERIFY, JSON };
    static const struct option options[] = {{"msgpack", no_argument, NULL, MSGPACK},
                                            {"verify", required_argument, NULL, VERIFY},
                                            {"output", required_argument, NULL, 'o'},
                                            {"max-entries", required_argument, NULL, MAX_ENTRIES},
                                            {"json", no_argument, NULL, JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    uint64_t entries = DEFAULT_ENTRIES;
    const char *output = NULL, *key_file = NULL;
    struct keys keys = {.signer = 0};
    bool msgpack = false;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":o:h", options, NULL)) != -1)
        switch (option) {
        case 'o':
            output = optarg;
            break;
        case MSGPACK:
            msgpack = true;
            break;
        case MAX_ENTRIES:
            if (!read_number(optarg, 16, 1u << 28, &entries))
                return usage_error("snapshot", "'%s' is no number of entries", optarg);
            break;
        case VERIFY:
            key_file = optarg;
            break;
        case JSON:
            break;
        case 'h':
            fputs(snapshot_help, stdout);
            return EXIT_OK;
        default:
            return bad_option("snapshot", option, argv);
        }
    if (argc - optind != 1)
        return usage_error("snapshot", "one URI is needed");
    catch_interrupts();
    int code = load_verifier(&keys, key_file);
    if (code == EXIT_OK)
        code = snapshot(argv[optind], output, msgpack, (uint32_t)entries, keys_mac(&keys));
    free_keys(&keys);
    return code;
}

static const char *const causes[] = {"missing", "extra", "stale", "field"};

struct telling {
    bool quiet, json;
};

/* One side's body and version, as JSON. */
static void tell_side(const char *name, const struct remed_record *record)
{
    static char text[4 * REMED_RECORD_MAX];
    size_t length;
    if (record == NULL)
        printf(",\"%s\":null", name);
    else if (remed_json_write(record, text, sizeof text, &length) == 0)
        printf(",\"%s\":%s", name, text);
}

static void tell(void *context, enum remed_difference what, const struct remed_record *a,
                 const struct remed_record *b, const char *fields)
{
    const struct telling *telling = context;
    if (telling->quiet)
        return;
    if (telling->json) {
        printf("{\"difference\":\"%s\",\"fields\":\"%s\"", causes[what], fields);
        tell_side("a", a);
        tell_side("b", b);
        puts("}");
        return;
    }
    printf("%-8s %s%s", causes[what], fields, *fields != '\0' ? "  " : "");
    print_record(stdout, a != NULL ? a : b);
    if (a != NULL && b != NULL) {
        fputs("         B:  ", stdout);
        print_record(stdout, b);
    }
}

static void summarize(const struct remed_audit *audit, bool json)
{
    uint64_t all = audit->equal + audit->differences[0] + audit->differences[1] +
                   audit->differences[2] + audit->differences[3];
    double match = all > 0 ? 100.0 * (double)audit->equal / (double)all : 100.0;
    printf(json ? "{\"entries\":[%llu,%llu],\"equal\":%llu,\"missing\":%llu,\"extra\":%llu,"
                  "\"stale\":%llu,\"field\":%llu,\"match_percent\":%.4f}\n"
                : "entries %llu and %llu: %llu equal, %llu missing, %llu extra, %llu stale, "
                  "%llu with other fields; state match %.4f %%\n",
           (unsigned long long)audit->entries[0], (unsigned long long)audit->entries[1],
           (unsigned long long)audit->equal, (unsigned long long)audit->differences[0],
           (unsigned long long)audit->differences[1], (unsigned long long)audit->differences[2],
           (unsigned long long)audit->differences[3], match);
}

static int audit(const char *first, const char *second, uint32_t max_entries,
                 const struct remed_mac *mac, struct telling *telling)
{
    struct remed_audit found;
    struct remed_replica *a = gather_replica(first, max_entries, mac, NULL), *b = NULL;
    if (a != NULL)
        b = gather_replica(second, max_entries, mac, NULL);
    int rc = REMED_EIO;
    if (a != NULL && b != NULL) {
        rc = remed_replica_audit(a, b, tell, telling, &found, sizeof found);
        if (rc < 0)
            fail("no memory");
        else
            summarize(&found, telling->json);
    }
    remed_replica_free(a);
    remed_replica_free(b);
    return rc == 0 ? EXIT_OK : EXIT_FAILED;
}

int command_audit(int argc, char **argv)
{
    enum { MAX_ENTRIES = 256, VERIFY, JSON };
    static const struct option options[] = {{"quiet", no_argument, NULL, 'q'},
                                            {"verify", required_argument, NULL, VERIFY},
                                            {"max-entries", required_argument, NULL, MAX_ENTRIES},
                                            {"json", no_argument, NULL, JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct telling telling = {false, false};
    uint64_t entries = DEFAULT_ENTRIES;
    struct keys keys = {.signer = 0};
    const char *key_file = NULL;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":qh", options, NULL)) != -1)
        switch (option) {
        case 'q':
            telling.quiet = true;
            break;
        case MAX_ENTRIES:
            if (!read_number(optarg, 16, 1u << 28, &entries))
                return usage_error("audit", "'%s' is no number of entries", optarg);
            break;
        case VERIFY:
            key_file = optarg;
            break;
        case JSON:
            telling.json = true;
            break;
        case 'h':
            fputs(audit_help, stdout);
            return EXIT_OK;
        default:
            return bad_option("audit", option, argv);
        }
    if (argc - optind != 2)
        return usage_error("audit", "two URIs or files are needed");
    catch_interrupts();
    int code = load_verifier(&keys, key_file);
    if (code == EXIT_OK)
        code = audit(argv[optind], argv[optind + 1], (uint32_t)entries, keys_mac(&keys), &telling);
    free_keys(&keys);
    return code;
}
