/* SPDX-License-Identifier: BSD-3-Clause */
/* What a listener leaves to its host: descriptors, what may be called within its callback, and a
 * clock that steps back; and handshakes that are never done. */
#include "unit/listener_kit.h"

/* What the host has of the descriptors 0 to 3: 0 none, or what file it is. */
static void see(unsigned long long seen[4])
{
    struct stat status;
    for (int fd = 0; fd < 4; fd++)
        seen[fd] = fstat(fd, &status) == 0
                       ? 1 + (unsigned long long)status.st_ino * 31 + status.st_dev
                       : 0;
}

static const char *kind;
static bool starts_closed;

static int leave_descriptors(void)
{
    unsigned long long before[4], after[4];
    remed_listener_free(listener);
    listener = NULL;
    for (int fd = 0; fd < 3; fd++) {
        close(fd);
        if (!starts_closed && open("/dev/zero", fd == 0 ? O_RDONLY : O_RDWR) != fd)
            return 1;
    }
    if (!starts_closed && strcmp(kind, "-") == 0) {
        int ends[2];
        if (pipe(ends) < 0 || dup2(ends[0], 0) != 0 || write(ends[1], "x\ny\n", 4) != 4)
            return 2;
        close(ends[0]);
        close(ends[1]);
    }
    close(3);
    see(before);
    for (unsigned round = 0; round < 3; round++) {
        if (remed_listener_new(&listener, &opts, NULL) < 0)
            return 3;
        int rc = remed_listener_add(listener, kind, &error);
        if ((rc < 0) != (starts_closed && strcmp(kind, "-") == 0))
            return 4;
        int own = open("/dev/null", O_RDONLY); /* the host opens something, too */
        for (unsigned i = 0; i < 5; i++)
            remed_listener_process(listener, now += SECOND, NULL);
        remed_listener_mark(listener);
        remed_listener_commit(listener, NULL);
        remed_listener_free(listener);
        listener = NULL;
        if (fcntl(own, F_GETFD) < 0)
            return 5;
        close(own);
        see(after);
        if (memcmp(before, after, sizeof before) != 0)
            return 6;
    }
    return 0;
}

/* A certificate, and a log of one line, in the folder. */
static bool make_files(void)
{
    char command[900];
    snprintf(
        command, sizeof command,
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x -keyout %s/key.pem -out "
        "%s/cert.pem 2>/dev/null && echo x >%s/log",
        folder, folder, folder);
    return system(command) == 0;
}

/* Who begins a handshake and does not go on loses his place, whatever he has sent of it. */
static void test_slow_handshake(void)
{
    CU_ASSERT_FATAL(make_files());
    uint16_t port = (uint16_t)(add_tcp() + 1);
    snprintf(uri, sizeof uri, "syslog+tls://127.0.0.1:%u?cert=%s/cert.pem&key=%s/key.pem", port,
             folder, folder);
    CU_ASSERT_EQUAL_FATAL(remed_listener_add(listener, uri, NULL), 0);
    int silent = connect_from(port, "127.0.0.1"), slow = connect_from(port, "127.0.0.1");
    CU_ASSERT_EQUAL(write(slow, "\x16\x03\x01\x02", 4), 4); /* a hello's head */
    turns(5, SECOND / 100);
    for (unsigned i = 0; i < 8; i++) {
        CU_ASSERT_EQUAL(write(slow, "", 1), 1);
        turns(1, SECOND);
    }
    CU_ASSERT_FALSE(is_closed(silent));
    turns(6, SECOND);
    CU_ASSERT(is_closed(silent));
    CU_ASSERT(is_closed(slow));
    CU_ASSERT_EQUAL(refusals(), 2);
    close(silent);
    close(slow);
}

static void test_descriptors_of_the_host(void)
{
    char kinds[9][300];
    unsigned port = add_tcp() + 1u;
    bool has_tls = make_files();
    snprintf(kinds[0], 300, "syslog://127.0.0.1:%u", port);
    snprintf(kinds[1], 300, "syslog+tcp://127.0.0.1:%u", port);
    snprintf(kinds[2], 300, "syslog+unix://%s/datagrams", folder);
    snprintf(kinds[3], 300, "syslog+unix://%s/stream?type=stream", folder);
    snprintf(kinds[4], 300, "file://%s/log?from=begin&state=%s/state", folder, folder);
    snprintf(kinds[5], 300, "file://%s/none?from=begin&state=%s/other", folder, folder);
    snprintf(kinds[6], 300, "-");
    snprintf(kinds[7], 300, "syslog+tls://127.0.0.1:%u?cert=%s/cert.pem&key=%s/key.pem", port,
             folder, folder);
    for (unsigned i = 0; i < (has_tls ? 8 : 7); i++)
        for (unsigned closed = 0; closed < 2; closed++) {
            kind = kinds[i];
            starts_closed = closed != 0;
            int said = test_in_child(leave_descriptors);
            if (said != 0)
                fprintf(stderr, "\n%s, %s: %d\n", kind, closed ? "closed" : "open", said);
            CU_ASSERT_EQUAL(said, 0);
        }
    CU_ASSERT(has_tls);
}

/* An error of reading is no end. */
static int read_badly(void)
{
    struct remed_listener_stats stats;
    int fd = open(folder, O_RDONLY | O_DIRECTORY);
    if (fd < 0 || dup2(fd, 0) != 0 || remed_listener_add(listener, "-", NULL) < 0)
        return 1;
    if (remed_listener_process(listener, now, &error) != REMED_EIO)
        return 2;
    if (strstr(error.message, "standard input") == NULL ||
        strstr(error.message, strerror(EISDIR)) == NULL)
        return 3;
    remed_listener_stats(listener, &stats, sizeof stats);
    if (stats.failed != 1 || stats.inputs != 0)
        return 4;
    return remed_listener_process(listener, now, &error) == 0 ? 0 : 5; /* it is told once */
}

static void test_reading_fails(void)
{
    CU_ASSERT_EQUAL(test_in_child(read_badly), 0);
}

static int process_within(void)
{
    return remed_listener_process(listener, now, &error);
}

static int add_within(void)
{
    return remed_listener_add(listener, uri, &error);
}

static int free_within(void)
{
    remed_listener_free(listener);
    return process_within() == REMED_EINVAL && add_within() == REMED_EINVAL ? 1 : 0;
}

static void send_lines(uint16_t port)
{
    int fd = connect_from(port, "127.0.0.1");
    CU_ASSERT_EQUAL(write(fd, "a\nb\nc\n", 6), 6);
    turns(3, SECOND / 100);
    close(fd);
}

static void test_within(void)
{
    uint16_t port = add_tcp();
    within = process_within;
    send_lines(port);
    CU_ASSERT_EQUAL(within_said, REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "within its own callback"));
    CU_ASSERT_EQUAL(lines, 3);
    lines = 0;
    within = add_within;
    send_lines(port);
    CU_ASSERT_EQUAL(within_said, REMED_EINVAL);
    CU_ASSERT_EQUAL(lines, 3);
    lines = 0;
    within = free_within;
    int fd = connect_from(port, "127.0.0.1");
    CU_ASSERT_EQUAL(write(fd, "a\nb\nc\n", 6), 6);
    for (unsigned i = 0; i < 50 && lines == 0; i++) {
        usleep(1000);
        CU_ASSERT_EQUAL(remed_listener_process(listener, now, NULL), 0);
    }
    listener = NULL; /* freed when process returned */
    CU_ASSERT_EQUAL(within_said, 1);
    CU_ASSERT_EQUAL(lines, 1);
    close(fd);
}

static void test_options(void)
{
    struct remed_listener *other = NULL;
    struct remed_listener_opts wrong = opts;
    wrong.reserved = 1;
    CU_ASSERT_EQUAL(remed_listener_new(&other, &wrong, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "reserved"));
    wrong = opts;
    wrong.max_per_address = 65537;
    CU_ASSERT_EQUAL(remed_listener_new(&other, &wrong, &error), REMED_EINVAL);
    CU_ASSERT_PTR_NULL(other);
    CU_ASSERT(remed_listener_add(listener, "syslog://me:SECRET@127.0.0.1:0", &error) < 0);
    CU_ASSERT_PTR_NULL(strstr(error.message, "SECRET"));
    CU_ASSERT(remed_listener_add(listener, "syslog+tcp://SECRET@127.0.0.1:0", &error) < 0);
    CU_ASSERT_PTR_NULL(strstr(error.message, "SECRET"));
}

/* A clock that steps back stops nothing: files are looked at, connections become idle. */
static void test_clock(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(uri, sizeof uri, "file://%s?from=begin&poll=100ms", path);
    CU_ASSERT_EQUAL_FATAL(remed_listener_add(listener, uri, NULL), 0);
    turns(2, SECOND);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs("x\n", file);
    fclose(file);
    now -= 900 * SECOND;
    turns(1, SECOND / 1000);
    CU_ASSERT(remed_listener_deadline(listener) <= now + SECOND / 5);
    turns(5, SECOND / 10);
    CU_ASSERT_EQUAL(lines, 1);
}

static const struct test_case cases[] = {
    {"a slow handshake", test_slow_handshake},
    {"descriptors of the host's", test_descriptors_of_the_host},
    {"standard input can't be read", test_reading_fails},
    {"within the callback", test_within},
    {"options", test_options},
    {"a clock that steps back", test_clock},
    {NULL, NULL}};

const struct test_suite test_suites[] = {{"listener_calls", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
