/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Positions belong to one repository; its files belong to one user; and what is not ours in its
 * folder stays.
 */
#include "unit/files.h"

#include <sys/file.h>

#define FIRST "00000000000000000000.log"
#define SETTINGS "?sync=never&compact=0"

static struct files_seen seen;
static struct remed_error error;

static void setup(void)
{
    memset(&error, 0, sizeof error);
    files_begin();
}

static void test_resumes(void)
{
    char position[128];
    CU_ASSERT_EQUAL(files_write(SETTINGS, 0, 10, &error), 0);
    CU_ASSERT_EQUAL(files_read(SETTINGS, "begin", &seen), 0);
    snprintf(position, sizeof position, "%s", seen.position);
    CU_ASSERT(strlen(position) <= 100 && strchr(position, ':') != NULL);
    CU_ASSERT_EQUAL(files_write(SETTINGS, 10, 15, &error), 0);
    CU_ASSERT_EQUAL(files_read(SETTINGS, position, &seen), 0);
    CU_ASSERT_EQUAL(seen.count, 5);
    CU_ASSERT_EQUAL(files_read(SETTINGS, "10", &seen), 0); /* as it was written before */
    CU_ASSERT_EQUAL(seen.count, 5);
}

static void test_another_repository_refuses(void)
{
    char position[128];
    CU_ASSERT_EQUAL(files_write("/edge-1" SETTINGS, 0, 10, &error), 0);
    CU_ASSERT_EQUAL(files_write("/edge-2" SETTINGS, 0, 10, &error), 0);
    CU_ASSERT_EQUAL(files_read("/edge-1" SETTINGS, "begin", &seen), 0);
    snprintf(position, sizeof position, "%s", seen.position);
    CU_ASSERT_EQUAL(files_read("/edge-2" SETTINGS, position, &seen), REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(seen.error.message, "is of repository"));
    CU_ASSERT_EQUAL(files_read("/edge-1" SETTINGS, position, &seen), 0);
}

static void test_compaction_keeps_the_id(void)
{
    char position[128];
    CU_ASSERT_EQUAL(files_write("?segment=4KiB&sync=never&compact=1", 0, 300, &error), 0);
    CU_ASSERT_EQUAL(files_read(SETTINGS, "begin", &seen), 0);
    snprintf(position, sizeof position, "%s", seen.position);
    CU_ASSERT_EQUAL(files_write("?segment=4KiB&sync=never&compact=1", 300, 600, &error), 0);
    CU_ASSERT_EQUAL(files_read(SETTINGS, position, &seen), 0);
    CU_ASSERT_EQUAL(seen.count, 300);
}

static void test_a_repository_without_an_id_gets_one(void)
{
    CU_ASSERT_EQUAL(files_write(SETTINGS, 0, 10, &error), 0);
    files_remove("id");
    CU_ASSERT_EQUAL(files_read(SETTINGS, "begin", &seen), 0);
    CU_ASSERT_STRING_EQUAL(seen.position, "10");
    CU_ASSERT_EQUAL(seen.stats.damaged, 0);
    CU_ASSERT_EQUAL(files_write(SETTINGS, 10, 11, &error), 0);
    CU_ASSERT_EQUAL(files_read(SETTINGS, "10", &seen), 0);
    CU_ASSERT_EQUAL(seen.count, 1);
    CU_ASSERT_PTR_NOT_NULL(strchr(seen.position, ':'));
}

static void test_a_damaged_id_is_told(void)
{
    for (long at = 0; at < 41; at += 4) {
        CU_ASSERT_EQUAL(files_write(SETTINGS, 0, 10, &error), 0);
        files_flip("id", at, 1);
        CU_ASSERT_EQUAL(files_read(SETTINGS, "begin", &seen), 0);
        CU_ASSERT_EQUAL(seen.count, 10);
        CU_ASSERT_EQUAL(seen.stats.damaged, 1);
        CU_ASSERT_PTR_NOT_NULL(strstr(seen.damage, "/id: byte 0"));
        CU_ASSERT_EQUAL(files_write(SETTINGS, 10, 11, &error), 0);
        files_end();
        files_begin();
    }
}

static void test_beyond_the_end(void)
{
    CU_ASSERT_EQUAL(files_write(SETTINGS, 0, 10, &error), 0);
    CU_ASSERT_EQUAL(files_read(SETTINGS, "10", &seen), 0);
    CU_ASSERT_EQUAL(files_read(SETTINGS, "11", &seen), REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(seen.error.message, "beyond the end"));
}

static void test_no_positions(void)
{
    static const char *const texts[] = {"",
                                        "x",
                                        "-1",
                                        " 1",
                                        "1 ",
                                        "18446744073709551616",
                                        "0123456789abcdef",
                                        "0123456789abcdef:",
                                        "0123456789abcdeg:1",
                                        "0000000000000000:1",
                                        "0123456789abcdef:1:1"};
    CU_ASSERT_EQUAL(files_write(SETTINGS, 0, 10, &error), 0);
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        CU_ASSERT_EQUAL(files_read(SETTINGS, texts[i], &seen), REMED_EINVAL);
        CU_ASSERT_PTR_NOT_NULL(strstr(seen.error.message, "position"));
    }
}

static void test_a_hub_refuses_another_ones(void)
{
    struct remed_memory_hub *hubs[2] = {NULL, NULL};
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    char position[128];
    remed_transport_opts_init(&opts, sizeof opts);
    for (unsigned i = 0; i < 2; i++)
        CU_ASSERT_EQUAL_FATAL(remed_memory_hub_new(&hubs[i], 1 << 20, NULL), 0);
    for (unsigned i = 0; i < 3; i++) {
        opts.hub = hubs[i == 1];
        CU_ASSERT_EQUAL_FATAL(remed_transport_open(&transport, "memory:", &opts, NULL), 0);
        int rc = remed_transport_subscribe(transport, i == 0 ? "begin" : position, &error);
        CU_ASSERT_EQUAL(rc, i == 1 ? REMED_EINVAL : 0);
        if (i == 0)
            remed_transport_position(transport, position, sizeof position);
        remed_transport_close(transport, NULL);
    }
    for (unsigned i = 0; i < 2; i++)
        remed_memory_hub_free(hubs[i]);
}

static void expect_mode(const char *name, unsigned mode)
{
    char path[160];
    struct stat status = {.st_mode = 0};
    files_path(path, name);
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 07777, mode);
}

static void test_modes_whatever_the_umask(void)
{
    static const mode_t masks[] = {0, 022, 0777};
    for (unsigned i = 0; i < 3; i++) {
        mode_t before = umask(masks[i]);
        CU_ASSERT_EQUAL(files_write("/log?segment=4KiB&compact=1", 0, 300, &error), 0);
        umask(before);
        expect_mode("log", 0700);
        expect_mode("log/lock", 0600);
        expect_mode("log/id", 0600);
        expect_mode("log/" FIRST, 0600);
        files_end();
        files_begin();
    }
}

static void test_others_rights_are_taken_back(void)
{
    char path[160];
    CU_ASSERT_EQUAL(files_write(SETTINGS, 0, 10, &error), 0);
    files_path(path, FIRST);
    CU_ASSERT_EQUAL(chmod(path, 0666), 0);
    files_path(path, "lock");
    CU_ASSERT_EQUAL(chmod(path, 0666), 0);
    CU_ASSERT_EQUAL(files_write(SETTINGS, 10, 11, &error), 0);
    expect_mode("lock", 0600);
    expect_mode(FIRST, 0600);
}

static void test_a_lock_that_is_held(void)
{
    char path[160];
    CU_ASSERT_EQUAL(files_write(SETTINGS, 0, 10, &error), 0);
    files_path(path, "lock");
    int fd = open(path, O_RDWR);
    CU_ASSERT_EQUAL(flock(fd, LOCK_EX | LOCK_NB), 0);
    CU_ASSERT_EQUAL(files_write(SETTINGS, 10, 11, &error), REMED_EPERM);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "another process writes to"));
    CU_ASSERT_EQUAL(files_read(SETTINGS, "begin", &seen), 0);
    close(fd);
    CU_ASSERT_EQUAL(files_write(SETTINGS, 10, 11, &error), 0);
}

static void test_strangers_files_stay(void)
{
    static const char *const names[] = {"thesis.tmp", "compaction.tmp", "notes",
                                        "0000.log.damaged"};
    for (unsigned i = 0; i < 4; i++)
        files_put(names[i], 0, "mine", 4);
    CU_ASSERT_EQUAL(files_write("?segment=4KiB&compact=1", 0, 300, &error), 0);
    for (unsigned i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(files_size(names[i]), 4);
    CU_ASSERT_EQUAL(files_read(SETTINGS, "begin", &seen), 0);
    CU_ASSERT_EQUAL(seen.stats.damaged, 0);
}

static void test_names_that_are_taken(void)
{
    char path[160], target[160];
    files_path(path, "lock");
    files_put("victim", 0, "mine", 4);
    files_path(target, "victim");
    CU_ASSERT_EQUAL(symlink(target, path), 0);
    CU_ASSERT(files_write(SETTINGS, 0, 10, &error) < 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "lock"));
    CU_ASSERT_EQUAL(files_size("victim"), 4);
}

static void test_reserved_members(void)
{
    uint32_t number = 1;
    const struct remed_message message = {
        .key = (const uint8_t *)&number, .key_length = sizeof number, .reserved = 1};
    struct remed_transport *transport = files_open(SETTINGS, &seen);
    CU_ASSERT_EQUAL(remed_transport_publish(transport, &message, 0, &error), REMED_EINVAL);
    remed_transport_close(transport, NULL);
}

static const struct test_case cases[] = {
    {"resumes", test_resumes},
    {"another repository refuses", test_another_repository_refuses},
    {"compaction keeps the id", test_compaction_keeps_the_id},
    {"a repository without an id gets one", test_a_repository_without_an_id_gets_one},
    {"a damaged id is told", test_a_damaged_id_is_told},
    {"beyond the end", test_beyond_the_end},
    {"no positions", test_no_positions},
    {"a hub refuses another one's", test_a_hub_refuses_another_ones},
    {"modes, whatever the umask", test_modes_whatever_the_umask},
    {"others' rights are taken back", test_others_rights_are_taken_back},
    {"a lock that is held", test_a_lock_that_is_held},
    {"strangers' files stay", test_strangers_files_stay},
    {"names that are taken", test_names_that_are_taken},
    {"reserved members", test_reserved_members},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"file positions", cases, setup, files_end},
                                         {NULL, NULL, NULL, NULL}};
