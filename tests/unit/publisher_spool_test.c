/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The publisher's spool: its bound in any moment, what is in flight put in front of it over many
 * lives and on disks without room, whose it is, and what lies in its folder.
 */
#include "unit/peer.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPOOL_BYTES ((uint64_t)1 << 20)

static char folder[64];
static struct remed_record *record;
static struct remed_error error;
static uint64_t delivered, lost;

static void on_delivered(void *context, uint64_t tag, int code)
{
    (void)context;
    (void)tag;
    delivered += code == 0;
    lost += code != 0;
}

static void setup(void)
{
    snprintf(folder, sizeof folder, "/tmp/remediate-spool-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    peer_reset();
    delivered = lost = 0;
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&record, NULL), 0);
}

static int run(const char *format)
{
    char command[512];
    snprintf(command, sizeof command, "cd %s && ", folder);
    snprintf(command + strlen(command), sizeof command - strlen(command), "%s", format);
    return system(command);
}

static void teardown(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CU_ASSERT_EQUAL(system(command), 0);
    remed_record_free(record);
    record = NULL;
}

static int open_at(struct remed_publisher **made, const char *uri, uint64_t first_sequence)
{
    struct remed_transport_opts transport;
    struct remed_publisher_opts opts;
    peer_opts(&transport);
    remed_publisher_opts_init(&opts, sizeof opts);
    opts.spool = folder;
    opts.spool_bytes = SPOOL_BYTES;
    opts.origin = "fw1";
    opts.first_sequence = first_sequence;
    opts.delivered = on_delivered;
    return remed_publisher_new(made, uri, &transport, &opts, &error);
}

static struct remed_publisher *make(void)
{
    struct remed_publisher *made = NULL;
    CU_ASSERT_EQUAL_FATAL(open_at(&made, "peer://a/one", 1), 0);
    return made;
}

static int publish(struct remed_publisher *publisher, uint32_t number)
{
    make_binding(record, number, 1, REMED_OP_UPSERT, 0, 0, 0);
    return remed_publisher_publish(publisher, &record, 1, number, &error);
}

static struct remed_publisher_stats stats_of(const struct remed_publisher *of)
{
    struct remed_publisher_stats stats;
    remed_publisher_stats(of, &stats, sizeof stats);
    return stats;
}

static void turn(struct remed_publisher *publisher, unsigned times)
{
    static uint64_t now = 1;
    for (; times > 0; times--)
        CU_ASSERT(remed_publisher_process(publisher, now += 200000000, &error) >= 0);
}

/* What the folder holds, each file and itself in whole blocks of 4 KiB. */
static uint64_t folder_bytes(void)
{
    struct stat status;
    char path[384];
    uint64_t bytes = 0;
    DIR *open = opendir(folder);
    const struct dirent *entry;
    while (open != NULL && (entry = readdir(open)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (strcmp(entry->d_name, "..") == 0 || stat(path, &status) < 0)
            continue;
        bytes += ((uint64_t)status.st_size + 4095) / 4096 * 4096;
    }
    if (open != NULL)
        closedir(open);
    return bytes;
}

/* Filled in an outage, with a transport that takes more than the spool may hold: never above the
 * bound, the closing included, and nothing is lost. */
static void bound(void)
{
    static const unsigned rooms[] = {1, 300, 4000};
    for (unsigned i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL(run("rm -rf ./*"), 0);
        peer_reset();
        peer.room = rooms[i];
        peer.away = true;
        struct remed_publisher *publisher = make();
        uint32_t taken = 0;
        uint64_t most = 0;
        while (taken < 20000 && publish(publisher, taken) == 1) {
            taken++;
            turn(publisher, taken % 50 == 0);
            uint64_t bytes = taken % 50 == 0 ? folder_bytes() : 0;
            most = bytes > most ? bytes : most;
        }
        CU_ASSERT(taken > 4000 && taken < 20000);
        CU_ASSERT(stats_of(publisher).pending == taken);
        CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
        most = folder_bytes() > most ? folder_bytes() : most;
        CU_ASSERT(most <= SPOOL_BYTES);
        CU_ASSERT_EQUAL(lost, 0);
        peer.away = false;
        peer.room = 64;
        publisher = make();
        for (unsigned turns = 0; turns < 2000 && stats_of(publisher).waiting > 0; turns++) {
            turn(publisher, 1);
            CU_ASSERT(folder_bytes() <= SPOOL_BYTES);
        }
        CU_ASSERT_EQUAL(stats_of(publisher).recovered, taken);
        CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    }
}

/* A transport that takes everything at once and reports nothing: what is in flight alone fills the
 * bound. */
static void in_flight_counts(void)
{
    peer.room = PEER_PENDING;
    peer.away = true;
    struct remed_publisher *publisher = make();
    uint32_t taken = 0;
    while (taken < 20000 && publish(publisher, taken) == 1)
        taken++;
    CU_ASSERT_EQUAL(error.code, REMED_EBUSY);
    char text[400];
    CU_ASSERT(remed_publisher_waiting(publisher, text, sizeof text) > 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "the peer is away; spool "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "are in use"));
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    CU_ASSERT(folder_bytes() <= SPOOL_BYTES);
    CU_ASSERT_EQUAL(lost, 0);
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* No room for all of what is in flight: as much as fits is kept, the rest is lost and says why. */
static void front_on_a_full_disk(void)
{
    static const rlim_t sizes[] = {0, 20, 30, 500, 5000, 20000, 100000};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CU_ASSERT_EQUAL(run("rm -rf ./*"), 0);
        peer_reset();
        peer.room = 300;
        peer.away = true;
        lost = 0;
        struct remed_publisher *publisher = make();
        for (uint32_t number = 0; number < 300; number++)
            CU_ASSERT_EQUAL(publish(publisher, number), 1);
        limit_files(sizes[i]);
        int rc = remed_publisher_close(publisher, &error);
        limit_files(RLIM_INFINITY);
        CU_ASSERT_EQUAL(rc, lost > 0 ? REMED_EIO : 0);
        CU_ASSERT_EQUAL(lost == 0, sizes[i] == 100000);
        CU_ASSERT(sizes[i] < 1000 || lost < 300);
        if (lost > 0) {
            CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "records were lost: spool: cannot write"));
            CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "File too large"));
        }
        uint64_t missing = lost;
        peer.away = false;
        publisher = make();
        turn(publisher, 30);
        CU_ASSERT_EQUAL(stats_of(publisher).recovered + missing, 300);
        CU_ASSERT_EQUAL(stats_of(publisher).waiting, 0);
        CU_ASSERT_EQUAL(stats_of(publisher).damaged, 0);
        CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    }
}

/* The room in front is not used up, whatever the number of lives. */
static void fronts_for_ever(void)
{
    for (unsigned life = 0; life < 60; life++) {
        peer.away = life % 3 != 2;
        struct remed_publisher *publisher = make();
        unsigned before = peer.length;
        turn(publisher, peer.away ? 1 : 30);
        for (uint32_t number = 0; number < 16; number++)
            CU_ASSERT_EQUAL(publish(publisher, number), 1);
        turn(publisher, peer.away ? 0 : 3);
        CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
        CU_ASSERT(peer.away || peer.length - before >= 16);
    }
    CU_ASSERT_EQUAL(lost, 0);
    CU_ASSERT_EQUAL(run("for f in *.log; do test ${f%.log} -gt 00000001099511000000; done"), 0);
    CU_ASSERT(folder_bytes() < SPOOL_BYTES / 8);
}

/* Half a front, as a crash while closing leaves it, is nobody's record; what is not ours stays. */
static void foreign_files(void)
{
    CU_ASSERT_EQUAL(run("echo x >thesis.tmp2; echo x >front.tmp; head -c 5000 /dev/urandom "
                        ">spool-front.tmp; echo half >spool-state.tmp; : >lock; chmod 700 ."),
                    0);
    struct remed_publisher *publisher = make();
    peer.away = true;
    for (uint32_t number = 0; number < 100; number++)
        CU_ASSERT_EQUAL(publish(publisher, number), 1);
    turn(publisher, 3);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    CU_ASSERT_EQUAL(run("test -e thesis.tmp2 && test ! -e spool-front.tmp && test ! -e "
                        "spool-state.tmp"),
                    0);
    peer.away = false;
    publisher = make();
    turn(publisher, 30);
    CU_ASSERT_EQUAL(stats_of(publisher).recovered, 100);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
}

/* 0700 and 0600, whatever the umask. */
static void permissions(void)
{
    for (unsigned i = 0; i < 2; i++) {
        CU_ASSERT_EQUAL(run("cd .. && rm -rf \"$OLDPWD\""), 0);
        mode_t before = umask(i == 0 ? 0 : 0277);
        struct remed_publisher *publisher = make();
        peer.away = true;
        for (uint32_t number = 0; number < 20; number++)
            CU_ASSERT_EQUAL(publish(publisher, number), 1);
        CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
        umask(before);
        CU_ASSERT_EQUAL(run("test \"$(stat -c %a .)\" = 700"), 0);
        CU_ASSERT_EQUAL(run("test \"$(stat -c %a spool-state)\" = 600"), 0);
        CU_ASSERT_EQUAL(run("test \"$(stat -c %a \"$(ls *.log | head -1)\")\" = 600"),
                        0); /* front */
    }
    struct remed_publisher *publisher = NULL;
    CU_ASSERT_EQUAL(run("chmod 1777 ."), 0);
    CU_ASSERT_EQUAL(open_at(&publisher, "peer://a/one", 1), REMED_EPERM);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "others may write"));
}

/* What waits for one repository is not another's; secrets are not written down. */
static void whose_it_is(void)
{
    struct remed_publisher *publisher = NULL;
    CU_ASSERT_EQUAL_FATAL(open_at(&publisher, "peer://bob:SECRET@a/one?password=SECRET", 1), 0);
    peer.away = true;
    CU_ASSERT_EQUAL(publish(publisher, 1), 1);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    CU_ASSERT_EQUAL(run("! grep -rq SECRET . && grep -q 'uri peer://a/one$' spool-state"), 0);
    static const char *const others[] = {"peer://a/two", "peer://b/one",
                                         "memory:", "peer://a/one?db=2"};
    for (unsigned i = 0; i < 4; i++) {
        publisher = NULL;
        CU_ASSERT_EQUAL(open_at(&publisher, others[i], 1), REMED_EINVAL);
        CU_ASSERT_PTR_NULL(publisher);
        CU_ASSERT_PTR_NOT_NULL(
            strstr(error.message, "has records for peer://a/one; publish there"));
    }
    CU_ASSERT_EQUAL_FATAL(open_at(&publisher, "peer://a/one?password=other", 1), 0);
    peer.away = false;
    turn(publisher, 3);
    CU_ASSERT_EQUAL(stats_of(publisher).recovered, 1);
    peer.away = true;
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    CU_ASSERT_EQUAL_FATAL(open_at(&publisher, "peer://a/two", 1), 0); /* nothing waits */
    CU_ASSERT_EQUAL(publish(publisher, 1), 1);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    CU_ASSERT_EQUAL(open_at(&publisher, "peer://a/one", 1), REMED_EINVAL);
    CU_ASSERT_EQUAL(run("rm spool-state"), 0); /* as the message says */
    CU_ASSERT_EQUAL_FATAL(open_at(&publisher, "peer://a/one", 1), 0);
    peer.away = false;
    turn(publisher, 3);
    CU_ASSERT_EQUAL(stats_of(publisher).recovered, 1);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
}

/* The state damaged at each place: told, and nothing of the spool is lost. */
static void damaged_state(void)
{
    struct remed_publisher *publisher = make();
    peer.away = true;
    CU_ASSERT_EQUAL(publish(publisher, 1), 1);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    char path[128];
    uint8_t bytes[4096];
    snprintf(path, sizeof path, "%s/spool-state", folder);
    FILE *file = fopen(path, "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t i = 0; i < length + length / 4; i++) { /* each byte changed, each fourth cut off */
        size_t wanted = i < length ? length : (i - length) * 4;
        uint8_t flipped = i < length ? (uint8_t)(1u << i % 8) : 0;
        bytes[i % length] ^= flipped;
        file = fopen(path, "wb");
        CU_ASSERT_PTR_NOT_NULL_FATAL(file);
        CU_ASSERT_EQUAL(fwrite(bytes, 1, wanted, file), wanted);
        fclose(file);
        bytes[i % length] ^= flipped;
        publisher = NULL;
        CU_ASSERT_EQUAL(open_at(&publisher, "peer://a/one", 1), REMED_EFORMAT);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "spool-state is damaged"));
    }
    CU_ASSERT_EQUAL(run("rm spool-state"), 0);
    publisher = make();
    peer.away = false;
    turn(publisher, 3);
    CU_ASSERT_EQUAL(stats_of(publisher).recovered, 1);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
}

/* Sequences go on over lives, killed ones too, and a first one that is smaller changes nothing. */
static uint64_t sequence_of_next(uint64_t first_sequence)
{
    struct remed_publisher *publisher = NULL;
    struct remed_record_head head;
    CU_ASSERT_EQUAL_FATAL(open_at(&publisher, "peer://a/one", first_sequence), 0);
    CU_ASSERT_EQUAL(publish(publisher, 1), 1);
    remed_record_head(record, &head, sizeof head);
    turn(publisher, 2);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
    return head.sequence;
}

static void sequences(void)
{
    CU_ASSERT_EQUAL(sequence_of_next(1000), 1000);
    CU_ASSERT_EQUAL(sequence_of_next(1), 1001);
    CU_ASSERT_EQUAL(sequence_of_next(5000), 5000);
    struct remed_publisher *killed = NULL;
    struct remed_record_head head;
    CU_ASSERT_EQUAL_FATAL(open_at(&killed, "peer://a/one", 1), 0);
    CU_ASSERT_EQUAL(run("cp spool-state kept"), 0); /* as at a death */
    CU_ASSERT_EQUAL(publish(killed, 1), 1);
    remed_record_head(record, &head, sizeof head);
    turn(killed, 1);
    CU_ASSERT_EQUAL(remed_publisher_close(killed, &error), 0);
    CU_ASSERT_EQUAL(run("mv kept spool-state && chmod 600 spool-state"), 0);
    CU_ASSERT(sequence_of_next(1) > head.sequence);
}

/* A clock that steps back delays nothing: what was written is synced and delivered. */
static void clock_steps_back(void)
{
    static const uint64_t hour = 3600000000000u;
    struct remed_publisher *publisher = make();
    peer.away = true;
    uint64_t now = 100 * hour;
    for (uint32_t number = 0; number < 100; number++) {
        CU_ASSERT_EQUAL(publish(publisher, number), 1);
        now = number % 10 == 5 ? now - hour : now + 1000000;
        CU_ASSERT(remed_publisher_process(publisher, now, &error) >= 0);
        uint64_t due = remed_publisher_deadline(publisher);
        CU_ASSERT(due == UINT64_MAX || due <= now + 20000000);
    }
    now -= hour;
    CU_ASSERT(remed_publisher_process(publisher, now, &error) >= 0);
    CU_ASSERT(remed_publisher_process(publisher, now + 20000000, &error) >= 0);
    CU_ASSERT_EQUAL(remed_publisher_deadline(publisher), UINT64_MAX); /* all is on the disk */
    peer.away = false;
    for (unsigned i = 0; i < 40; i++)
        CU_ASSERT(remed_publisher_process(publisher, now -= hour / 10, &error) >= 0);
    CU_ASSERT_EQUAL(delivered, 100);
    CU_ASSERT_EQUAL(remed_publisher_close(publisher, &error), 0);
}

static const struct test_case cases[] = {
    {"the bound holds in any moment", bound},
    {"what is in flight counts", in_flight_counts},
    {"a front on a full disk", front_on_a_full_disk},
    {"fronts over 60 lives", fronts_for_ever},
    {"half a front, and files of others", foreign_files},
    {"permissions, whatever the umask", permissions},
    {"whose spool it is", whose_it_is},
    {"a damaged state", damaged_state},
    {"sequences over lives", sequences},
    {"a clock that steps back", clock_steps_back},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"the publisher's spool", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
