/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of a listener's bounds and calls share: one listener, what it hears, and peers. */
#ifndef REMED_LISTENER_KIT_H
#define REMED_LISTENER_KIT_H

#include "unit/child.h"

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

static inline int on_line(void *context, const struct remed_listener_line *line)
{
    (void)context;
    (void)line;
    if (lines++ == 0 && within != NULL)
        within_said = within();
    return 0;
}

static inline void on_log(void *context, enum remed_log_level level, const char *module,
                          const char *message)
{
    (void)context;
    (void)level;
    (void)module;
    snprintf(heard, sizeof heard, "%s", message);
    heard_count++;
}

static inline void setup(void)
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

static inline void teardown(void)
{
    char command[160];
    remed_listener_free(listener);
    listener = NULL;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CU_ASSERT_EQUAL(system(command), 0);
}

static inline void remake(void)
{
    remed_listener_free(listener);
    listener = NULL;
    CU_ASSERT_EQUAL_FATAL(remed_listener_new(&listener, &opts, NULL), 0);
}

static inline void turns(unsigned count, uint64_t step)
{
    for (unsigned i = 0; i < count && listener != NULL; i++) {
        struct pollfd wait = {.fd = remed_listener_fd(listener), .events = POLLIN};
        poll(&wait, 1, 2);
        remed_listener_process(listener, now += step, &error);
    }
}

/* The port of the input that is added: one that is free. */
static inline uint16_t add_tcp(void)
{
    for (unsigned port = 20000 + (unsigned)getpid() % 20000; port < 60000; port++) {
        snprintf(uri, sizeof uri, "syslog+tcp://127.0.0.1:%u", port);
        if (remed_listener_add(listener, uri, NULL) == 0)
            return (uint16_t)port;
    }
    return 0;
}

static inline int connect_from(uint16_t port, const char *address)
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

static inline bool is_closed(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

static inline unsigned count_open(const int *fds, unsigned count)
{
    unsigned open = 0;
    for (unsigned i = 0; i < count; i++)
        open += !is_closed(fds[i]);
    return open;
}

static inline void close_all(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

static inline uint64_t refusals(void)
{
    struct remed_listener_source source;
    uint64_t refused = 0;
    for (uint32_t i = 0; remed_listener_source(listener, i, &source, sizeof source) == 0; i++)
        refused += source.refused;
    return refused;
}

#endif
