/* SPDX-License-Identifier: BSD-3-Clause */
/* What a listener leaves to its host and to other peers: descriptors, places for connections; and
 * what may be called within its callback, and a clock that steps back. */
#include "unit/test.h"

#include "backend/syslog/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND 1000000000ull

static struct remed_listener *listener;
static struct remed_listener_opts opts;
static struct remed_error error;
static char folder[64], uri[300], heard[512];
static unsigned lines, heard_count;
static uint64_t now;
static int (*within)(void);
static int within_said;

static int on_line(void *context, const struct remed_listener_line *line)
{
    (void)context;
    (void)line;
    if (lines++ == 0 && within != NULL)
        within_said = within();
    return 0;
}

static void on_log(void *context, enum remed_log_level level, const char *module,
                   const char *message)
{
    (void)context;
    (void)level;
    (void)module;
    snprintf(heard, sizeof heard, "%s", message);
    heard_count++;
}

static void setup(void)
{
    strcpy(folder, "/tmp/remed-bounds-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    lines = heard_count = 0;
    heard[0] = '\0';
    within = NULL;
    now = 1000 * SECOND;
    remed_listener_opts_init(&opts, sizeof opts);
    opts.line = on_line;
    opts.log.write = on_log;
    CU_ASSERT_EQUAL_FATAL(remed_listener_new(&listener, &opts, NULL), 0);
}

static void teardown(void)
{
    char command[160];
    remed_listener_free(listener);
    listener = NULL;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CU_ASSERT_EQUAL(system(command), 0);
}

static void remake(void)
{
    remed_listener_free(listener);
    listener = NULL;
    CU_ASSERT_EQUAL_FATAL(remed_listener_new(&listener, &opts, NULL), 0);
}

static void turns(unsigned count, uint64_t step)
{
    for (unsigned i = 0; i < count && listener != NULL; i++) {
        struct pollfd wait = {.fd = remed_listener_fd(listener), .events = POLLIN};
        poll(&wait, 1, 2);
        remed_listener_process(listener, now += step, &error);
    }
}

/* The port of the input that is added: one that is free. */
static uint16_t add_tcp(void)
{
    for (unsigned port = 20000 + (unsigned)getpid() % 20000; port < 60000; port++) {
        snprintf(uri, sizeof uri, "syslog+tcp://127.0.0.1:%u", port);
        if (remed_listener_add(listener, uri, NULL) == 0)
            return (uint16_t)port;
    }
    return 0;
}

static int connect_from(uint16_t port, const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    inet_pton(AF_INET, address, &from.sin_addr);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool is_closed(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

static unsigned count_open(const int *fds, unsigned count)
{
    unsigned open = 0;
    for (unsigned i = 0; i < count; i++)
        open += !is_closed(fds[i]);
    return open;
}

static void close_all(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

static uint64_t refusals(void)
{
    struct remed_listener_source source;
    uint64_t refused = 0;
    for (uint32_t i = 0; remed_listener_source(listener, i, &source, sizeof source) == 0; i++)
        refused += source.refused;
    return refused;
}

static void test_per_address(void)
{
    int fds[10];
    opts.max_per_address = 3;
    remake();
    uint16_t port = add_tcp();
    for (unsigned i = 0; i < 10; i++)
        fds[i] = connect_from(port, i < 6 ? "127.0.0.1" : "127.0.0.9");
    turns(5, SECOND / 100);
    CU_ASSERT_EQUAL(count_open(fds, 6), 3);
    CU_ASSERT_EQUAL(count_open(fds + 6, 4), 3);
    CU_ASSERT_EQUAL(refusals(), 4);
    CU_ASSERT_PTR_NOT_NULL(strstr(heard, "as many as one may have"));
    CU_ASSERT_EQUAL(heard_count, 1); /* who is refused does not fill a log */
    close(fds[0]);
    turns(3, SECOND / 100); /* its place is free again */
    fds[0] = connect_from(port, "127.0.0.1");
    turns(3, SECOND / 100);
    CU_ASSERT_EQUAL(count_open(fds, 1), 1);
    close_all(fds, 10);
}

/* Of one address, too, the oldest without a line gives way to a new one, in time. */
static void test_within_an_address(void)
{
    int fds[4];
    opts.max_per_address = 3;
    remake();
    uint16_t port = add_tcp();
    for (unsigned i = 0; i < 3; i++)
        fds[i] = connect_from(port, "127.0.0.1");
    CU_ASSERT_EQUAL(write(fds[0], "x\n", 2), 2);
    turns(13, SECOND);
    fds[3] = connect_from(port, "127.0.0.1");
    turns(3, SECOND / 100);
    CU_ASSERT_EQUAL(count_open(fds, 4), 3);
    CU_ASSERT(is_closed(fds[1]));
    close_all(fds, 4);
}

/* On a local socket, a user has them. */
static void test_per_user(void)
{
    int fds[4];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s/s", folder);
    opts.max_per_address = 2;
    remake();
    snprintf(uri, sizeof uri, "syslog+unix://%s?type=stream", name.sun_path);
    CU_ASSERT_EQUAL_FATAL(remed_listener_add(listener, uri, NULL), 0);
    for (unsigned i = 0; i < 4; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
        CU_ASSERT_EQUAL(connect(fds[i], (struct sockaddr *)&name, sizeof name), 0);
    }
    turns(5, SECOND / 100);
    CU_ASSERT_EQUAL(count_open(fds, 4), 2);
    close_all(fds, 4);
}

/* An IPv6 /64 is one peer; an IPv4 address, and one that looks alike in IPv6, are two. */
static void test_networks(void)
{
    struct connection each[5];
    static const struct {
        uint8_t family;
        const char *address;
    } peers[5] = {{6, "2001:db8:0:1::1"},
                  {6, "2001:db8:0:1:ffff::2"},
                  {6, "2001:db8:0:2::1"},
                  {4, "32.1.13.184"},
                  {4, "32.1.13.185"}};
    for (unsigned i = 0; i < 5; i++) {
        memset(&each[i], 0, sizeof each[i]);
        each[i].watch.fd = -1;
        each[i].family = peers[i].family;
        inet_pton(peers[i].family == 4 ? AF_INET : AF_INET6, peers[i].address, each[i].address);
        CU_ASSERT_FATAL(remed_peer_join(listener, &each[i]));
    }
    CU_ASSERT_PTR_EQUAL(each[0].peer, each[1].peer);
    CU_ASSERT_PTR_NOT_EQUAL(each[0].peer, each[2].peer);
    CU_ASSERT_PTR_NOT_EQUAL(each[0].peer, each[3].peer);
    CU_ASSERT_PTR_NOT_EQUAL(each[3].peer, each[4].peer);
    for (unsigned i = 0; i < 5; i++)
        remed_peer_leave(listener, &each[i]);
}

/* Of connections that hold all places, the oldest without a line gives way; others do not. */
static void test_giving_way(void)
{
    int fds[6];
    opts.max_connections = 4;
    remake();
    CU_ASSERT_EQUAL(listener->opts.max_per_address, 4);
    uint16_t port = add_tcp();
    for (unsigned i = 0; i < 4; i++)
        fds[i] = connect_from(port, "127.0.0.1");
    CU_ASSERT_EQUAL(write(fds[0], "a line\nand more", 15), 15);
    CU_ASSERT_EQUAL(write(fds[1], "no line", 7), 7);
    turns(5, SECOND / 100);
    CU_ASSERT_EQUAL(lines, 1);
    fds[4] = connect_from(port, "127.0.0.2"); /* too early: all may yet say something */
    turns(3, SECOND / 100);
    CU_ASSERT(is_closed(fds[4]));
    close(fds[4]);
    turns(12, SECOND);
    CU_ASSERT_EQUAL(count_open(fds, 4), 4);
    fds[4] = connect_from(port, "127.0.0.2");
    turns(3, SECOND / 100);
    CU_ASSERT_EQUAL(count_open(fds, 1), 1);
    CU_ASSERT(is_closed(fds[1]));
    CU_ASSERT_EQUAL(count_open(fds + 2, 3), 3);
    turns(12, SECOND);
    CU_ASSERT_EQUAL(write(fds[4], "x\n", 2), 2);
    CU_ASSERT_EQUAL(write(fds[2], "x\n", 2), 2);
    CU_ASSERT_EQUAL(write(fds[3], "x\n", 2), 2);
    turns(3, SECOND / 100);
    fds[5] = connect_from(port, "127.0.0.3"); /* all gave lines: nobody gives way */
    turns(3, SECOND / 100);
    CU_ASSERT(is_closed(fds[5]));
    CU_ASSERT_EQUAL(count_open(fds, 5), 4);
    close_all(fds, 6);
}

/* Nobody is idle while the host does not read. */
static void test_standing_still(void)
{
    uint16_t port = add_tcp();
    remed_listener_free(listener);
    CU_ASSERT_EQUAL_FATAL(remed_listener_new(&listener, &opts, NULL), 0);
    snprintf(uri, sizeof uri, "syslog+tcp://127.0.0.1:%u?idle=5s", port);
    CU_ASSERT_EQUAL_FATAL(remed_listener_add(listener, uri, NULL), 0);
    int fd = connect_from(port, "127.0.0.1");
    turns(3, SECOND / 100);
    now += 3600 * SECOND;
    turns(3, SECOND / 100);
    CU_ASSERT_FALSE(is_closed(fd));
    turns(8, SECOND);
    CU_ASSERT(is_closed(fd));
    close(fd);
}

/* Runs in a process of its own, as it changes what all of one share: its number, 0 when all is
 * well. The process does not end as others do: what the parent has is not its own to free. */
static int in_child(int (*run)(void))
{
    int ends[2], status;
    uint8_t said = 255;
    CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC), 0);
    int far = fcntl(ends[1], F_DUPFD_CLOEXEC, 200); /* out of the way */
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        close(ends[1]);
        said = (uint8_t)run();
        if (write(far, &said, 1) == 1)
            raise(SIGKILL);
        _exit(1);
    }
    CU_ASSERT_FATAL(child > 0);
    close(ends[1]);
    close(far);
    CU_ASSERT(read(ends[0], &said, 1) == 1);
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    close(ends[0]);
    return said;
}

static int flood_descriptors(void)
{
    int fds[150], spare[64];
    struct rlimit files = {.rlim_cur = 4096, .rlim_max = 4096};
    struct remed_listener_stats stats;
    getrlimit(RLIMIT_NOFILE, &files);
    rlim_t before = files.rlim_cur;
    opts.max_per_address = 1024;
    remed_listener_free(listener);
    if (remed_listener_new(&listener, &opts, NULL) < 0)
        return 1;
    uint16_t port = add_tcp();
    for (unsigned i = 0; i < 100; i++) /* the backlog takes as many */
        if ((fds[i] = connect_from(port, "127.0.0.1")) < 0)
            return 2;
    files.rlim_cur = (rlim_t)fds[99] + 61; /* 60 more */
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        return 3;
    turns(5, SECOND / 100);
    remed_listener_stats(listener, &stats, sizeof stats);
    if (stats.connections == 0 || stats.connections + refusals() != 100)
        return 4;
    if (strstr(heard, "descriptors") == NULL)
        return 5;
    unsigned got = 0;
    while (got < 64 && (spare[got] = open("/dev/null", O_RDONLY)) >= 0)
        got++;
    if (got < 30) /* what else must be opened can be */
        return 6;
    files.rlim_cur = (rlim_t)spare[got - 1] + 1; /* none is left at all */
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        return 7;
    files.rlim_cur = before;
    heard_count = 0;
    for (unsigned i = 100; i < 104; i++) {
        close(spare[--got]);
        if ((fds[i] = connect_from(port, "127.0.0.1")) < 0)
            return 8;
    }
    turns(50, SECOND / 1000); /* neither spins nor fills a log */
    if (heard_count > 1)
        return 9;
    setrlimit(RLIMIT_NOFILE, &files);
    turns(12, SECOND);
    remed_listener_stats(listener, &stats, sizeof stats);
    return stats.connections + refusals() >= 104 ? 0 : 10;
}

static int small_limit(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = 256;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        return 1;
    remed_listener_free(listener);
    if (remed_listener_new(&listener, &opts, NULL) < 0)
        return 2;
    if (listener->opts.max_connections != 192 || heard[0] != '\0')
        return 3;
    return add_tcp() != 0 && strstr(heard, "at most 192 connections") != NULL ? 0 : 4;
}

static void test_descriptor_limit(void)
{
    CU_ASSERT_EQUAL(in_child(flood_descriptors), 0);
    CU_ASSERT_EQUAL(in_child(small_limit), 0);
}

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
            int said = in_child(leave_descriptors);
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
    CU_ASSERT_EQUAL(in_child(read_badly), 0);
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
    {"places of one address", test_per_address},
    {"giving way within an address", test_within_an_address},
    {"places of one user", test_per_user},
    {"networks", test_networks},
    {"giving way", test_giving_way},
    {"nobody is idle while the host stands still", test_standing_still},
    {"a slow handshake", test_slow_handshake},
    {"the limit of descriptors", test_descriptor_limit},
    {"descriptors of the host's", test_descriptors_of_the_host},
    {"standard input can't be read", test_reading_fails},
    {"within the callback", test_within},
    {"options", test_options},
    {"a clock that steps back", test_clock},
    {NULL, NULL}};

const struct test_suite test_suites[] = {{"listener_bounds", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
