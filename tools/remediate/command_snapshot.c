/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * remediate snapshot: the newest of each key, as records, as a replica's file, or as a digest.
 *
 * Threads: one.
 */
#include "carry.h"
#include "keys.h"
#include "leaves.h"
#include "pipe_input.h"

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
    "      --digest          a digest of it instead, for an audit elsewhere\n"
    "      --leaves LIST     only records of these leaves of the digest, as 'audit' of one\n"
    "                        printed them\n"
    "      --msgpack         the wire form of the records, one behind the other\n"
    "      --verify FILE     take only records that a key of the file signed\n"
    "      --wait TIME       how long to wait for a server that is away (default: for ever)\n"
    "      --max-entries N   most entries (default 1048576)\n"
    "      --json            as it is: records are JSON anyway\n"
    "  -h, --help            this help\n"
    "\n"
    "What is damaged costs its own records: the others are given, then the damage is told on\n"
    "standard error, and the exit status is 1.\n";

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

struct snapshot {
    const char *output; /* NULL: standard output */
    bool msgpack, digest;
    struct leaves leaves;
    uint64_t max_entries;
    uint64_t wait; /* ns; UINT64_MAX: for ever */
};

static int print_all(const struct snapshot *snapshot, const struct remed_replica *replica)
{
    struct remed_record *record = NULL;
    uint64_t cursor = 0;
    int code = remed_record_new(&record, NULL) == 0 ? EXIT_OK : fail("no memory");
    while (code == EXIT_OK && remed_replica_next(replica, &cursor, record) == 1)
        if (leaves_have_record(&snapshot->leaves, replica, record))
            code = snapshot->msgpack ? write_wire(record) : print_record(stdout, record);
    remed_record_free(record);
    return code;
}

static int take(const struct snapshot *snapshot, const char *uri, const struct remed_mac *mac)
{
    static char position[REMED_SNAPSHOT_POSITION_MAX + 1];
    static char damage[DAMAGE_TEXT];
    struct remed_replica *replica = NULL;
    uri = pipe_as_input(uri);
    if (uri != NULL)
        replica = gather_replica(uri, (uint32_t)snapshot->max_entries, mac, snapshot->wait,
                                 position, damage);
    int code = EXIT_OK;
    if (replica == NULL)
        return EXIT_FAILED;
    leaves_rekey(&snapshot->leaves, replica);
    if (snapshot->output != NULL)
        code = save(replica, snapshot->output, position);
    else if (snapshot->digest)
        digest_print(replica);
    else
        code = print_all(snapshot, replica);
    remed_replica_free(replica);
    if (damage[0] == '\0')
        return code;
    fflush(stdout);
    return fail("%s", damage);
}

enum long_option { MSGPACK = 256, DIGEST, LEAVES, MAX_ENTRIES, VERIFY, WAIT, JSON };

static int set_option(struct snapshot *snapshot, int option, char **argv)
{
    switch (option) {
    case 'o':
        snapshot->output = optarg;
        return 0;
    case MSGPACK:
        snapshot->msgpack = true;
        return 0;
    case DIGEST:
        snapshot->digest = true;
        return 0;
    case LEAVES:
        return leaves_parse(&snapshot->leaves, optarg) ? 0 : EXIT_USAGE;
    case MAX_ENTRIES:
        return read_number(optarg, 16, 1u << 28, &snapshot->max_entries)
                   ? 0
                   : usage_error("snapshot", "'%s' is no number of entries", optarg);
    case WAIT:
        return read_time(optarg, &snapshot->wait)
                   ? 0
                   : usage_error("snapshot", "'%s' is no time such as 10s", optarg);
    case JSON:
        return 0;
    default:
        return bad_option("snapshot", option, argv);
    }
}

int command_snapshot(int argc, char **argv)
{
    static const struct option options[] = {{"msgpack", no_argument, NULL, MSGPACK},
                                            {"digest", no_argument, NULL, DIGEST},
                                            {"leaves", required_argument, NULL, LEAVES},
                                            {"verify", required_argument, NULL, VERIFY},
                                            {"output", required_argument, NULL, 'o'},
                                            {"wait", required_argument, NULL, WAIT},
                                            {"max-entries", required_argument, NULL, MAX_ENTRIES},
                                            {"json", no_argument, NULL, JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct snapshot snapshot = {
        .leaves.all = true, .max_entries = DEFAULT_ENTRIES, .wait = UINT64_MAX};
    struct keys keys = {.signer = 0};
    const char *key_file = NULL;
    int option, code;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":o:h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(snapshot_help, stdout);
            return EXIT_OK;
        }
        if (option == VERIFY)
            key_file = optarg;
        else if ((code = set_option(&snapshot, option, argv)) != 0)
            return code;
    }
    if (argc - optind != 1)
        return usage_error("snapshot", "one URI is needed");
    if (!snapshot.leaves.all && (snapshot.output != NULL || snapshot.digest))
        return usage_error("snapshot", "--leaves is for records");
    catch_interrupts();
    code = load_verifier(&keys, key_file);
    if (code == EXIT_OK)
        code = take(&snapshot, argv[optind], keys_mac(&keys));
    free_keys(&keys);
    return code;
}
