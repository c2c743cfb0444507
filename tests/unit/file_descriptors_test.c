/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nothing of the host's is closed: transports are opened, used, compacted, failed and closed with
 * descriptors 0 to 2 closed and with them open, and after it exactly the host's are open. And a
 * reader waits for the descriptor that it gives, not for a short time.
 */
#include "unit/child.h"
#include "unit/files.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define MOST_DESCRIPTORS 64
#define FIRST "00000000000000000000.log"

static struct files_seen seen;
static struct remed_error error;

struct open_files {
    struct {
        int open;
        ino_t inode;
        dev_t device;
    } at[MOST_DESCRIPTORS];
};

static struct open_files look_at_descriptors(void)
{
    struct open_files files;
    memset(&files, 0, sizeof files);
    for (int fd = 0; fd < MOST_DESCRIPTORS; fd++) {
        struct stat status;
        files.at[fd].open = fstat(fd, &status) == 0;
        files.at[fd].inode = files.at[fd].open ? status.st_ino : 0;
        files.at[fd].device = files.at[fd].open ? status.st_dev : 0;
    }
    return files;
}

static int open_and_close(void)
{
    struct remed_transport *transport = files_open("?compact=1", &seen);
    return transport == NULL ? -1 : remed_transport_close(transport, NULL);
}

static int fail_to_open(void)
{
    struct remed_transport *transport = NULL;
    char uri[128];
    snprintf(uri, sizeof uri, "file://%s?segment=1", files_folder);
    if (remed_transport_open(&transport, uri, NULL, NULL) == 0)
        return -1;
    snprintf(uri, sizeof uri, "file://%s/none/at/all", files_folder);
    return remed_transport_open(&transport, uri, NULL, NULL) == 0 ? -1 : 0;
}

static int fail_to_write(void)
{
    if (files_write("?compact=0", 0, 10, &error) != 0)
        return -1;
    files_put(FIRST, 8, "\2\0\0\0\xaf\xa9\xf9\x87", 8); /* a newer version */
    if (files_write("?compact=0", 10, 11, &error) != REMED_EUNSUPPORTED)
        return -1;
    return files_read("", "begin", &seen) == REMED_EUNSUPPORTED ? 0 : -1;
}

static int write_and_compact(void)
{
    int rc = files_write("?segment=4KiB&compact=1&sync=never", 0, 600, &error);
    return rc < 0 ? rc : files_size("00000000000000000114.log") == -1 ? 0 : -1;
}

static int write_and_read(void)
{
    char position[sizeof seen.position];
    int rc = files_write("?segment=4KiB&compact=0", 0, 300, &error);
    if (rc == 0)
        rc = files_read("", "begin", &seen);
    snprintf(position, sizeof position, "%s", seen.position);
    if (rc == 0)
        rc = files_read("", position, &seen);
    return rc == 0 ? files_read("", "end", &seen) : rc;
}

static int follow(void)
{
    struct files_seen written;
    memset(&written, 0, sizeof written);
    struct remed_transport *reader = files_open("", &seen), *writer = files_open("", &written);
    int rc = remed_transport_subscribe(reader, "begin", &error);
    for (uint32_t number = 0; number < 100 && rc >= 0; number++) {
        rc = files_publish(writer, number, &error);
        if (rc >= 0)
            rc = remed_transport_process(writer, number * FILES_SECOND, &error);
        if (rc >= 0)
            rc = remed_transport_process(reader, number * FILES_SECOND, &error);
    }
    int fd = remed_transport_fd(reader, NULL);
    remed_transport_close(writer, NULL);
    remed_transport_close(reader, NULL);
    return rc < 0 || fd < 0 ? -1 : 0;
}

static int use_memory(void)
{
    struct remed_memory_hub *hub = NULL;
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    remed_transport_opts_init(&opts, sizeof opts);
    int rc = remed_memory_hub_new(&hub, 1 << 20, NULL);
    opts.hub = hub;
    if (rc == 0)
        rc = remed_transport_open(&transport, "memory:", &opts, &error);
    if (rc == 0)
        rc = remed_transport_subscribe(transport, "begin", &error);
    if (rc == 0)
        rc = files_publish(transport, 1, &error);
    for (unsigned i = 0; i < 3 && rc >= 0; i++)
        rc = remed_transport_process(transport, i, &error);
    remed_transport_close(transport, NULL);
    remed_memory_hub_free(hub);
    return rc;
}

static int (*chosen)(void);
static int closes_first;

/* 0; 1: descriptors differ; 2: it failed. */
static int use_and_look(void)
{
    for (int fd = 0; closes_first && fd < 3; fd++)
        close(fd);
    struct open_files before = look_at_descriptors();
    int rc = chosen();
    struct open_files after = look_at_descriptors();
    return rc != 0 ? 2 : memcmp(&before, &after, sizeof before) != 0;
}

/* In a process of its own, whose descriptors 0 to 2 are closed or open. */
static void expect_untouched(const char *name, int (*use)(void), int closes)
{
    files_begin();
    chosen = use;
    closes_first = closes;
    fflush(stdout);
    int said = test_in_child(use_and_look);
    CU_ASSERT_EQUAL(said, 0);
    if (said != 0)
        printf("\n    %s, closed %d: %d\n", name, closes, said);
    files_end();
}

static void test_nothing_of_the_hosts_is_closed(void)
{
    static const struct {
        const char *name;
        int (*use)(void);
    } uses[] = {{"open and close", open_and_close}, {"fail to open", fail_to_open},
                {"fail to write", fail_to_write},   {"write and compact", write_and_compact},
                {"write and read", write_and_read}, {"follow", follow},
                {"use memory", use_memory}};
    for (unsigned i = 0; i < sizeof uses / sizeof *uses; i++)
        for (int closes = 0; closes < 2; closes++)
            expect_untouched(uses[i].name, uses[i].use, closes);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * FILES_SECOND + (uint64_t)now.tv_nsec;
}

/* Waits as a host does, and returns how often it woke until the time is over. */
static unsigned wait_for(struct remed_transport *transport, uint64_t time)
{
    unsigned wakes = 0;
    uint64_t until = now_ns() + time;
    for (uint64_t now = now_ns(); now < until; now = now_ns()) {
        uint64_t deadline = remed_transport_deadline(transport);
        struct pollfd file = {.fd = remed_transport_fd(transport, &file.events)};
        deadline = deadline < until ? deadline : until;
        if (deadline > now)
            poll(&file, file.fd >= 0, (int)((deadline - now + 999999) / 1000000));
        wakes++;
        CU_ASSERT(remed_transport_process(transport, now_ns(), NULL) >= 0);
    }
    return wakes;
}

static void expect_waking(unsigned most)
{
    static struct files_seen written;
    memset(&written, 0, sizeof written);
    memset(&seen, 0, sizeof seen);
    struct remed_transport *writer = files_open("?segment=4KiB&compact=0", &written);
    struct remed_transport *reader = files_open("", &seen);
    CU_ASSERT_EQUAL(remed_transport_subscribe(reader, "begin", NULL), 0);
    (void)wait_for(reader, FILES_SECOND / 10); /* caught up, and at rest */
    unsigned wakes = wait_for(reader, FILES_SECOND);
    CU_ASSERT(wakes <= most);
    if (wakes > most)
        printf("\n    %u wakes in a second\n", wakes);
    for (uint32_t number = 0; number < 300; number++) { /* and rolls over */
        CU_ASSERT_EQUAL(files_publish(writer, number, NULL), 0);
        for (unsigned i = 0; i < 3; i++)
            CU_ASSERT(remed_transport_process(writer, now_ns() + FILES_SECOND * i, NULL) >= 0);
        if (number % 50 == 0)
            (void)wait_for(reader, FILES_SECOND / 5);
        CU_ASSERT(number % 50 != 0 || seen.count == number + 1);
    }
    remed_transport_close(reader, NULL);
    remed_transport_close(writer, NULL);
}

static void test_an_idle_reader_sleeps(void)
{
    files_begin();
    expect_waking(3);
    files_end();
}

/* No descriptor is left for inotify: by time then, and not often. */
static void test_without_inotify(void)
{
    struct rlimit before, few;
    files_begin();
    CU_ASSERT_EQUAL(files_write("", 0, 10, &error), 0);
    memset(&seen, 0, sizeof seen);
    struct remed_transport *reader = files_open("", &seen);
    getrlimit(RLIMIT_NOFILE, &before);
    int spare = dup(1);
    few = before;
    few.rlim_cur = (rlim_t)spare + 2; /* one for listing, and none to keep */
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &few), 0);
    int rc = remed_transport_subscribe(reader, "begin", &error);
    setrlimit(RLIMIT_NOFILE, &before);
    close(spare);
    CU_ASSERT_EQUAL(rc, 0);
    (void)wait_for(reader, FILES_SECOND / 2);
    CU_ASSERT_EQUAL(seen.count, 10);
    unsigned wakes = wait_for(reader, FILES_SECOND);
    CU_ASSERT(wakes <= 15);
    remed_transport_close(reader, NULL);
    files_end();
}

/* Its clock steps back: the writer still syncs, and the reader still looks. */
static void test_a_clock_that_goes_back(void)
{
    static struct files_seen written;
    files_begin();
    memset(&written, 0, sizeof written);
    memset(&seen, 0, sizeof seen);
    struct remed_transport *writer = files_open("?sync=10ms", &written);
    struct remed_transport *reader = files_open("", &seen);
    CU_ASSERT_EQUAL(remed_transport_subscribe(reader, "begin", NULL), 0);
    for (unsigned i = 0; i < 4; i++) {
        uint64_t now = (4 - i) * 1000 * FILES_SECOND;
        CU_ASSERT_EQUAL(files_publish(writer, i, NULL), 0);
        CU_ASSERT(remed_transport_process(writer, now, NULL) >= 0);
        CU_ASSERT(remed_transport_process(writer, now - FILES_SECOND, NULL) >= 0);
        CU_ASSERT(remed_transport_process(writer, now - FILES_SECOND + 20000000, NULL) >= 0);
        CU_ASSERT_EQUAL(written.delivered, i + 1);
        CU_ASSERT(remed_transport_process(reader, now, NULL) >= 0);
        CU_ASSERT_EQUAL(seen.count, i + 1);
    }
    remed_transport_close(reader, NULL);
    remed_transport_close(writer, NULL);
    files_end();
}

static const struct test_case cases[] = {
    {"nothing of the host's is closed", test_nothing_of_the_hosts_is_closed},
    {"an idle reader sleeps", test_an_idle_reader_sleeps},
    {"without inotify", test_without_inotify},
    {"a clock that goes back", test_a_clock_that_goes_back},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"file descriptors", cases, NULL, NULL},
                                         {NULL, NULL, NULL, NULL}};
