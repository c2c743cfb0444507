/* SPDX-License-Identifier: BSD-3-Clause */
/* The listener on loopback, sockets and files of its own: stopping and going on, drops, eviction,
 * every n-th allocation failing. What other programs send is tests/integration/listen_test.sh's. */
#include "unit/test.h"

#include <remediate/listener.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_LINES 4096

static struct remed_listener *listener;
static struct remed_listener_opts opts;
static char folder[] = "/tmp/remed-listener-XXXXXX";
static char path[128], state[128], uri[512];
static int seen[MAX_LINES]; /* numbers of lines, in order */
static unsigned count, stop_after, unmatched_every;
static bool frees;

static int on_line(void *context, const struct remed_listener_line *line)
{
    char text[32] = "";
    (void)context;
    snprintf(text, sizeof text, "%.*s", (int)(line->length < 31 ? line->length : 31), line->text);
    const char *number = strrchr(text, ' ');
    if (count < MAX_LINES)
        seen[count++] = number != NULL ? atoi(number + 1) : -1;
    if (unmatched_every != 0 && count % unmatched_every == 0)
        remed_listener_unmatched(listener, line->source);
    if (frees) {
        remed_listener_free(listener);
        listener = NULL;
    }
    return stop_after != 0 && count % stop_after == 0;
}

static void setup(void)
{
    strcpy(folder, "/tmp/remed-listener-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(state, sizeof state, "%s/state", folder);
    count = stop_after = unmatched_every = 0;
    frees = false;
    remed_listener_opts_init(&opts, sizeof opts);
    opts.line = on_line;
    CU_ASSERT_EQUAL_FATAL(remed_listener_new(&listener, &opts, NULL), 0);
}

static void teardown(void)
{
    char command[256];
    remed_listener_free(listener);
    listener = NULL;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CU_ASSERT_EQUAL(system(command), 0);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Processes until `wanted` lines have come, at most some seconds, or until it frees itself. */
static void process_until(unsigned wanted)
{
    for (unsigned turn = 0; turn < 20000 && count < wanted && listener != NULL; turn++) {
        struct pollfd wait = {.fd = remed_listener_fd(listener), .events = POLLIN};
        if (remed_listener_deadline(listener) > now_ns())
            poll(&wait, 1, 1);
        CU_ASSERT(remed_listener_process(listener, now_ns(), NULL) >= 0);
    }
}

static void expect_in_order(unsigned wanted)
{
    CU_ASSERT_EQUAL(count, wanted);
    for (unsigned i = 0; i < count; i++)
        CU_ASSERT_EQUAL_FATAL(seen[i], (int)i);
}

/* Adds an input on a port that is free, and connects to it. */
static int connected(int type)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    for (unsigned port = 20000 + (unsigned)getpid() % 20000; port < 60000; port++) {
        snprintf(uri, sizeof uri, "syslog+%s://127.0.0.1:%u", type == SOCK_STREAM ? "tcp" : "udp",
                 port);
        if (remed_listener_add(listener, uri, NULL) < 0)
            continue;
        int fd = socket(AF_INET, type, 0);
        address.sin_port = htons((uint16_t)port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        return fd;
    }
    CU_FAIL_FATAL("no port is free");
    return -1;
}

static void send_line(int fd, int number, bool counted)
{
    char line[64], frame[96];
    int length = snprintf(line, sizeof line, "<13>Nov 24 10:00:00 h a: %d", number);
    if (counted)
        length = snprintf(frame, sizeof frame, "%d %s", length, line);
    else
        length = snprintf(frame, sizeof frame, "%s\n", line);
    CU_ASSERT_EQUAL(write(fd, frame, (size_t)length), length);
}

static struct remed_listener_source source_of(uint32_t index)
{
    struct remed_listener_source source;
    memset(&source, 0, sizeof source);
    remed_listener_source(listener, index, &source, sizeof source);
    return source;
}

static void test_stopping(int type)
{
    int fd = connected(type);
    stop_after = 7; /* within a batch, and within a buffer */
    unmatched_every = 10;
    for (int i = 0; i < 500; i++)
        send_line(fd, i, type == SOCK_STREAM && i % 3 == 0);
    process_until(500);
    expect_in_order(500);
    struct remed_listener_source sender = source_of(2);
    CU_ASSERT_EQUAL(sender.role, REMED_LISTENER_SENDER);
    CU_ASSERT_STRING_EQUAL(sender.name, "127.0.0.1");
    CU_ASSERT_EQUAL(sender.lines, 500);
    CU_ASSERT_EQUAL(sender.unmatched, 50);
    CU_ASSERT_EQUAL(sender.input, 1);
    close(fd);
}

static void test_datagrams_stop(void)
{
    test_stopping(SOCK_DGRAM);
}

static void test_stream_stops(void)
{
    test_stopping(SOCK_STREAM);
}

static void test_drops(void)
{
    int fd = connected(SOCK_DGRAM), size = 4096;
    char datagram[2000];
    /* what the kernel has no room for: the input's buffer holds 4 MiB, so more than that is sent */
    memset(datagram, 'x', sizeof datagram);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    unsigned sent = 0;
    for (; sent < 20000; sent++)
        CU_ASSERT_FATAL(write(fd, datagram, sizeof datagram) > 0);
    struct remed_listener_stats stats;
    remed_listener_stats(listener, &stats, sizeof stats);
    CU_ASSERT(stats.lost > 0);
    count = 0;
    for (unsigned turn = 0; turn < 5000; turn++)
        remed_listener_process(listener, now_ns(), NULL);
    remed_listener_stats(listener, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.lines + stats.lost, sent);
    CU_ASSERT_EQUAL(source_of(1).dropped, stats.lost);
    close(fd);
}

static void write_file(const char *to, const char *mode, int first, int last)
{
    FILE *file = fopen(to, mode);
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    for (int i = first; i < last; i++)
        fprintf(file, "Nov 24 10:00:00 h a: %d\n", i);
    fclose(file);
}

static void follow(void)
{
    snprintf(uri, sizeof uri, "file://%s?from=begin&poll=1ms&state=%s", path, state);
    CU_ASSERT_EQUAL_FATAL(remed_listener_add(listener, uri, NULL), 0);
}

static void begin_anew(void)
{
    remed_listener_free(listener);
    listener = NULL;
    CU_ASSERT_EQUAL_FATAL(remed_listener_new(&listener, &opts, NULL), 0);
    follow();
}

static void test_file_stops(void)
{
    stop_after = 3;
    write_file(path, "w", 0, 1000);
    follow();
    process_until(1000);
    expect_in_order(1000);
}

/* What was marked and committed is not read again; what came after it is. */
static void test_positions(void)
{
    char moved[140];
    write_file(path, "w", 0, 100);
    follow();
    process_until(100);
    remed_listener_mark(listener);
    write_file(path, "a", 100, 120);
    process_until(120);
    CU_ASSERT_EQUAL(remed_listener_commit(listener, NULL), 0);
    count = 100;
    begin_anew();
    process_until(120);
    expect_in_order(120);
    remed_listener_mark(listener);
    CU_ASSERT_EQUAL(remed_listener_commit(listener, NULL), 0);
    snprintf(moved, sizeof moved, "%s.1", path);
    CU_ASSERT_EQUAL(rename(path, moved), 0);
    write_file(moved, "a", 120, 150);
    write_file(path, "w", 150, 200);
    begin_anew();
    process_until(200);
    expect_in_order(200);
}

static void test_damaged_position(void)
{
    static const char *const damaged[] = {"", "remediate-position ", "remediate-position 1 1 2",
                                          "remediate-position x\n\n",
                                          "remediate-position 1 1 2 3 4 999\n"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        FILE *file = fopen(state, "w");
        CU_ASSERT_PTR_NOT_NULL_FATAL(file);
        fputs(damaged[i], file);
        fclose(file);
        count = 0;
        write_file(path, "w", 0, 10);
        begin_anew();
        process_until(10);
        expect_in_order(10);
    }
}

static void test_truncated_file(void)
{
    write_file(path, "w", 0, 50);
    follow();
    process_until(50);
    FILE *file = fopen(path, "r+");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CU_ASSERT_EQUAL(ftruncate(fileno(file), 0), 0);
    fclose(file);
    write_file(path, "a", 50, 60);
    process_until(60);
    expect_in_order(60);
    CU_ASSERT_EQUAL(source_of(1).rotations, 1);
}

static void test_missing_file(void)
{
    follow();
    process_until(0);
    remed_listener_process(listener, now_ns(), NULL);
    write_file(path, "w", 0, 5);
    process_until(5);
    expect_in_order(5);
}

static void test_eviction(void)
{
    struct remed_listener_stats stats;
    remed_listener_free(listener);
    listener = NULL;
    opts.max_sources = 4;
    opts.by_host = 1;
    CU_ASSERT_EQUAL_FATAL(remed_listener_new(&listener, &opts, NULL), 0);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    for (int i = 0; i < 40; i++)
        fprintf(file, "Nov 24 10:00:00 h%d a: %d\n", i % 2 == 0 ? 0 : i, i);
    fclose(file);
    follow();
    process_until(40);
    expect_in_order(40);
    remed_listener_stats(listener, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.sources, 1 + 1 + 4);
    CU_ASSERT_EQUAL(stats.evicted, 21 - 4);
    CU_ASSERT_EQUAL(source_of(0).lines, 17);
    uint64_t lines = 0;
    for (uint32_t i = 0; i < stats.sources; i++) {
        lines += source_of(i).lines;
        CU_ASSERT(strcmp(source_of(i).name, "h0") != 0 || source_of(i).lines == 20);
    }
    CU_ASSERT_EQUAL(lines, 40);
    CU_ASSERT_EQUAL(remed_listener_source(listener, 6, &(struct remed_listener_source){0}, 8),
                    REMED_ENOENT);
}

/* With one row for all senders, every line moves it; none may be counted twice or for an input. */
static void test_eviction_within_a_read(void)
{
    struct remed_listener_stats stats;
    remed_listener_free(listener);
    listener = NULL;
    opts.max_sources = 1;
    opts.by_host = 1;
    CU_ASSERT_EQUAL_FATAL(remed_listener_new(&listener, &opts, NULL), 0);
    follow();
    int fd = connected(SOCK_STREAM);
    for (int i = 0; i < 100; i++) {
        char line[64];
        int length = i % 3 == 0
                         ? snprintf(line, sizeof line, "no header %d\n", i)
                         : snprintf(line, sizeof line, "<13>Nov 24 10:00:00 h%d a: %d\n", i, i);
        CU_ASSERT_EQUAL(write(fd, line, (size_t)length), length);
    }
    process_until(100);
    expect_in_order(100);
    remed_listener_stats(listener, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.sources, 1 + 2 + 1);
    CU_ASSERT_EQUAL(source_of(1).lines, 0);
    CU_ASSERT_EQUAL(source_of(2).lines, 0);
    CU_ASSERT_EQUAL(source_of(3).input, 2);
    CU_ASSERT_EQUAL(source_of(0).lines + source_of(3).lines, 100);
    close(fd);
}

static void test_free_within(void)
{
    int fd = connected(SOCK_STREAM);
    frees = true;
    send_line(fd, 0, false);
    send_line(fd, 1, false);
    process_until(2);
    CU_ASSERT_PTR_NULL(listener);
    CU_ASSERT_EQUAL(count, 1);
    close(fd);
}

static void test_refusals(void)
{
    static const char *const bad[] = {"",
                                      "syslog",
                                      "gopher://x",
                                      "syslog://127.0.0.1:",
                                      "syslog://127.0.0.1:99999999999999999999999999999999999",
                                      "syslog://[::1",
                                      "syslog://127.0.0.1:70000",
                                      "syslog://::1:514",
                                      "syslog://127.0.0.1:0/path",
                                      "syslog://127.0.0.1:0?idle=1s",
                                      "syslog://127.0.0.1:0?rcvbuf=x",
                                      "syslog://127.0.0.1:0?rcvbuf=2GiB",
                                      "syslog+tcp://127.0.0.1:0?idle=x",
                                      "syslog+tls://127.0.0.1:0",
                                      "syslog+tls://127.0.0.1:0?cert=/nothing",
                                      "syslog+unix://host/path",
                                      "syslog+unix:///tmp/x?type=seqpacket",
                                      "syslog+unix:///tmp/x?mode=99",
                                      "syslog+unix:///nothing/x",
                                      "file://host/path",
                                      "file:///etc",
                                      "file:///etc/passwd?from=middle"};
    struct remed_error error;
    struct remed_listener_stats stats;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT(remed_listener_add(listener, bad[i], &error) < 0);
        CU_ASSERT_NOT_EQUAL(error.message[0], '\0');
        CU_ASSERT(remed_listener_add(listener, bad[i], NULL) < 0);
    }
    remed_listener_stats(listener, &stats, sizeof stats);
    CU_ASSERT_EQUAL(stats.inputs, 0);
    CU_ASSERT_EQUAL(stats.sources, 1);
    struct remed_listener *other = NULL;
    struct remed_listener_opts wrong = opts;
    wrong.line = NULL;
    CU_ASSERT_EQUAL(remed_listener_new(&other, &wrong, &error), REMED_EINVAL);
    wrong = opts;
    wrong.max_sources = 0;
    CU_ASSERT_EQUAL(remed_listener_new(&other, &wrong, &error), REMED_EINVAL);
}

static void test_stale_socket(void)
{
    struct stat status;
    snprintf(uri, sizeof uri, "syslog+unix://%s", path);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    CU_ASSERT(remed_listener_add(listener, uri, NULL) < 0); /* someone listens on it */
    close(fd);
    CU_ASSERT_EQUAL(remed_listener_add(listener, uri, NULL), 0);
    remed_listener_free(listener);
    listener = NULL;
    CU_ASSERT_EQUAL(stat(path, &status), -1);
}

static unsigned allocations, fails_at;

static void *scarce(void *context, void *memory, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(memory);
        return NULL;
    }
    return ++allocations == fails_at ? NULL : realloc(memory, new_size);
}

static void test_no_memory(void)
{
    const struct remed_allocator allocator = {.resize = scarce};
    write_file(path, "w", 0, 10);
    opts.allocator = &allocator;
    for (fails_at = 1; fails_at < 40; fails_at++) {
        remed_listener_free(listener);
        listener = NULL;
        allocations = 0;
        int rc = remed_listener_new(&listener, &opts, NULL);
        CU_ASSERT(rc == 0 || rc == REMED_ENOMEM);
        if (rc < 0)
            continue;
        snprintf(uri, sizeof uri, "file://%s?from=begin", path);
        rc = remed_listener_add(listener, uri, NULL);
        CU_ASSERT(rc == 0 || rc == REMED_ENOMEM);
        snprintf(uri, sizeof uri, "syslog+unix://%s.socket", path);
        rc = remed_listener_add(listener, uri, NULL);
        CU_ASSERT(rc == 0 || rc == REMED_ENOMEM);
        CU_ASSERT(remed_listener_process(listener, now_ns(), NULL) >= 0);
    }
    fails_at = 0;
    CU_ASSERT(allocations < 39);
}

static const struct test_case cases[] = {{"datagrams: stopping", test_datagrams_stop},
                                         {"stream: stopping", test_stream_stops},
                                         {"file: stopping", test_file_stops},
                                         {"drops of the kernel", test_drops},
                                         {"positions", test_positions},
                                         {"positions, damaged", test_damaged_position},
                                         {"a file truncated", test_truncated_file},
                                         {"a file that comes later", test_missing_file},
                                         {"eviction of sources", test_eviction},
                                         {"eviction within a read", test_eviction_within_a_read},
                                         {"freeing within the callback", test_free_within},
                                         {"refusals", test_refusals},
                                         {"a socket of nobody's", test_stale_socket},
                                         {"no memory", test_no_memory},
                                         {NULL, NULL}};

const struct test_suite test_suites[] = {{"listener", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
