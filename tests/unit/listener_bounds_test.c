/* SPDX-License-Identifier: BSD-3-Clause */
/* What a listener leaves to other peers: descriptors, and places for connections. */
#include "unit/listener_kit.h"

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
    uint32_t most = listener->opts.max_connections; /* 192, but for what is open */
    if (most > 192 - 3 || most < 192 - 30 || heard[0] != '\0')
        return 3;
    char told[64];
    snprintf(told, sizeof told, "at most %u connections", most);
    return add_tcp() != 0 && strstr(heard, told) != NULL ? 0 : 4;
}

/* Descriptors are the bound, and silent peers have them all: an honest one gets in, in time. */
static int starve(unsigned limit, unsigned addresses, unsigned host)
{
    int fds[100], held[100];
    struct rlimit all, files;
    struct remed_listener_stats stats;
    getrlimit(RLIMIT_NOFILE, &all);
    files = all;
    files.rlim_cur = limit;
    remed_listener_free(listener);
    listener = NULL;
    for (unsigned i = 0; i < host; i++)
        held[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (setrlimit(RLIMIT_NOFILE, &files) < 0 || remed_listener_new(&listener, &opts, NULL) < 0)
        return 1;
    uint16_t port = add_tcp();
    setrlimit(RLIMIT_NOFILE, &all);
    int base = fcntl(0, F_DUPFD, 300); /* the peers' own descriptors lie above */
    for (unsigned i = 0; i < 80; i++) {
        char from[32];
        snprintf(from, sizeof from, "127.0.0.%u", 10 + i % addresses);
        int fd = connect_from(port, from);
        fds[i] = fcntl(fd, F_DUPFD, base + 1);
        close(fd);
    }
    setrlimit(RLIMIT_NOFILE, &files);
    turns(10, SECOND / 100);
    remed_listener_stats(listener, &stats, sizeof stats);
    uint64_t before = stats.connections;
    if (before == 0 || before >= limit)
        return 2;
    turns(12, SECOND);
    setrlimit(RLIMIT_NOFILE, &all);
    for (unsigned i = 0; i < 3; i++) {
        int fd = connect_from(port, "127.0.0.200");
        fds[80] = fcntl(fd, F_DUPFD, base + 1);
        close(fd);
        setrlimit(RLIMIT_NOFILE, &files);
        lines = 0;
        if (write(fds[80], "x\n", 2) != 2)
            return 3;
        turns(5, SECOND / 5);
        if (lines != 1)
            return 4;
        setrlimit(RLIMIT_NOFILE, &all);
    }
    for (unsigned i = 0; i < host; i++)
        if (held[i] >= 0)
            close(held[i]);
    return 0;
}

static int starve_of_one(void)
{
    return starve(24, 1, 0);
}

static int starve_of_four(void)
{
    return starve(64, 4, 0);
}

/* What the host has open leaves few, whatever the options say. */
static int starve_beside_a_host(void)
{
    opts.max_per_address = 100;
    return starve(64, 8, 30);
}

static void test_starving(void)
{
    CU_ASSERT_EQUAL(test_in_child(starve_of_one), 0);
    CU_ASSERT_EQUAL(test_in_child(starve_of_four), 0);
    CU_ASSERT_EQUAL(test_in_child(starve_beside_a_host), 0);
}

static void test_descriptor_limit(void)
{
    CU_ASSERT_EQUAL(test_in_child(flood_descriptors), 0);
    CU_ASSERT_EQUAL(test_in_child(small_limit), 0);
}

static const struct test_case cases[] = {
    {"places of one address", test_per_address},
    {"giving way within an address", test_within_an_address},
    {"places of one user", test_per_user},
    {"networks", test_networks},
    {"giving way", test_giving_way},
    {"nobody is idle while the host stands still", test_standing_still},
    {"the limit of descriptors", test_descriptor_limit},
    {"silent peers, few descriptors", test_starving},
    {NULL, NULL}};

const struct test_suite test_suites[] = {{"listener_bounds", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
