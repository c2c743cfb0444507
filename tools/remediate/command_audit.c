/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remediate audit: how equal the newest of each key are in two places; with a digest of one of
 * them, where they differ.
 *
 * Threads: one.
 */
#include "carry.h"
#include "keys.h"
#include "leaves.h"
#include "pipe_input.h"

#include <getopt.h>
#include <string.h>

#define DEFAULT_ENTRIES (1u << 20)

static const char audit_help[] =
    "Usage: remediate audit A B [OPTION]...\n"
    "Compares the state of two repositories, of files of records ('-': standard input), or of\n"
    "those that 'snapshot --output' wrote:\n"
    "what B misses of A, what it has beside, what is stale or otherwise different. Of a file that\n"
    "'snapshot --digest' wrote it tells the leaves that differ; of those alone 'snapshot "
    "--leaves'\n"
    "gives the records.\n"
    "Exit status: 0 equal, 1 different, damaged or failed, 2 wrong usage.\n"
    "\n"
    "  -q, --quiet           the summary alone\n"
    "      --leaves LIST     only records of these leaves of the digest, as the audit\n"
    "                        of a digest printed them\n"
    "      --verify FILE     take only records of a repository that a key of the file signed\n"
    "      --wait TIME       how long to wait for a server that is away (default: for ever)\n"
    "      --max-entries N   most entries of each (default 1048576)\n"
    "      --json            one JSON object a difference, and one for the summary\n"
    "  -h, --help            this help\n";

static const char *const causes[] = {"missing", "extra", "stale", "field"};

struct telling {
    bool quiet, json;
    uint64_t wait;                 /* for a server that is away, ns; UINT64_MAX: for ever */
    const struct remed_replica *a; /* by whose digest the leaves are told */
    struct leaves leaves;
    uint64_t differences[4];
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
    struct telling *telling = context;
    if (!leaves_have_record(&telling->leaves, telling->a, a != NULL ? a : b))
        return;
    telling->differences[what]++;
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

/* A match that is not whole is not rounded to be. */
static double percent(uint64_t equal, uint64_t all)
{
    double match = all > 0 ? 100.0 * (double)equal / (double)all : 100.0;
    return equal != all && match > 99.9999 ? 99.9999 : match;
}

static bool summarize(const struct telling *telling, const struct remed_replica *a,
                      const struct remed_replica *b)
{
    const uint64_t *different = telling->differences;
    uint64_t entries[2] = {leaves_entries(&telling->leaves, a),
                           leaves_entries(&telling->leaves, b)};
    uint64_t equal = entries[0] - different[REMED_DIFFERENCE_MISSING] -
                     different[REMED_DIFFERENCE_STALE] - different[REMED_DIFFERENCE_FIELD];
    uint64_t all = entries[0] + different[REMED_DIFFERENCE_EXTRA];
    printf(
        telling->json ? "{\"entries\":[%llu,%llu],\"equal\":%llu,\"missing\":%llu,\"extra\":%llu,"
                        "\"stale\":%llu,\"field\":%llu,\"match_percent\":%.4f}\n"
                      : "entries %llu and %llu: %llu equal, %llu missing, %llu extra, %llu stale, "
                        "%llu with other fields; state match %.4f %%\n",
        (unsigned long long)entries[0], (unsigned long long)entries[1], (unsigned long long)equal,
        (unsigned long long)different[0], (unsigned long long)different[1],
        (unsigned long long)different[2], (unsigned long long)different[3], percent(equal, all));
    return equal == all;
}

/* Where they differ is all that a digest can tell. */
static int audit_digest(struct remed_replica *a, const char *path, const struct telling *telling)
{
    static struct digest far;
    const struct remed_digest *theirs = far.leaves;
    struct leaves differing = {.all = false};
    struct remed_digest ours;
    uint64_t entries = 0;
    unsigned count = 0;
    if (!digest_read(path, &far))
        return EXIT_FAILED;
    if (!telling->leaves.all && memcmp(&telling->leaves.key, &far.key, sizeof far.key) != 0)
        return fail("--leaves: the list is of another digest than %s", path);
    differing.key = far.key;
    remed_replica_rekey(a, &far.key, NULL); /* no key of zeros is ever read */
    for (uint32_t leaf = 0; leaf < REMED_DIGEST_LEAVES; leaf++) {
        remed_replica_digest(a, leaf, &ours);
        entries += theirs[leaf].count;
        if (!leaves_have(&telling->leaves, leaf) ||
            (ours.count == theirs[leaf].count && ours.sum[0] == theirs[leaf].sum[0] &&
             ours.sum[1] == theirs[leaf].sum[1]))
            continue;
        leaves_add(&differing, leaf);
        count++;
    }
    printf(telling->json ? "{\"entries\":[%llu,%llu],\"leaves\":%u,\"differ\":%u,\"list\":\""
                         : "entries %llu and %llu: of %u leaves %u differ: ",
           (unsigned long long)leaves_entries(&(struct leaves){.all = true}, a),
           (unsigned long long)entries, REMED_DIGEST_LEAVES, count);
    leaves_print(&differing);
    puts(telling->json ? "\"}" : "");
    return count == 0 ? EXIT_OK : EXIT_FAILED;
}

static int audit_replicas(struct remed_replica *a, struct remed_replica *b, struct telling *telling)
{
    struct remed_audit found;
    leaves_rekey(&telling->leaves, a);
    leaves_rekey(&telling->leaves, b);
    telling->a = a;
    if (remed_replica_audit(a, b, tell, telling, &found, sizeof found) < 0)
        return fail("no memory");
    return summarize(telling, a, b) ? EXIT_OK : EXIT_FAILED;
}

static int audit(const char *first, const char *second, uint32_t max_entries,
                 const struct remed_mac *mac, struct telling *telling)
{
    static char damage[2][DAMAGE_TEXT];
    int code = EXIT_FAILED;
    struct remed_replica *a = NULL, *b = NULL;
    first = pipe_as_input(first);
    if (first != NULL)
        a = gather_replica(first, max_entries, mac, telling->wait, NULL, damage[0]);
    second = a != NULL ? pipe_as_input(second) : NULL;
    bool by_digest = second != NULL && digest_is_file(second);
    if (second != NULL && !by_digest)
        b = gather_replica(second, max_entries, mac, telling->wait, NULL, damage[1]);
    if (by_digest)
        code = audit_digest(a, second, telling);
    else if (b != NULL)
        code = audit_replicas(a, b, telling);
    fflush(stdout);
    for (unsigned i = 0; i < 2; i++)
        if (damage[i][0] != '\0' && (i == 0 ? a : b) != NULL)
            code = fail("%s", damage[i]);
    remed_replica_free(a);
    remed_replica_free(b);
    return code;
}

int command_audit(int argc, char **argv)
{
    enum { MAX_ENTRIES = 256, LEAVES, VERIFY, WAIT, JSON };
    static const struct option options[] = {{"quiet", no_argument, NULL, 'q'},
                                            {"leaves", required_argument, NULL, LEAVES},
                                            {"verify", required_argument, NULL, VERIFY},
                                            {"wait", required_argument, NULL, WAIT},
                                            {"max-entries", required_argument, NULL, MAX_ENTRIES},
                                            {"json", no_argument, NULL, JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct telling telling = {.leaves.all = true, .wait = UINT64_MAX};
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
        case LEAVES:
            if (!leaves_parse(&telling.leaves, optarg))
                return EXIT_USAGE;
            break;
        case VERIFY:
            key_file = optarg;
            break;
        case WAIT:
            if (!read_time(optarg, &telling.wait))
                return usage_error("audit", "'%s' is no time such as 10s", optarg);
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
