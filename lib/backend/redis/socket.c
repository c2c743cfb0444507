/* SPDX-License-Identifier: BSD-3-Clause */
/* The socket of socket.h. Threads: no state. */
#include "backend/redis/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static void set_options(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static int begin(const struct addrinfo *address, const char **why)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 &&
        (connect(fd, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS)) {
        set_options(fd);
        return fd;
    }
    *why = strerror(errno);
    if (fd >= 0)
        close(fd);
    return -1;
}

int remed_redis_socket_connect(const struct remed_redis_options *options, unsigned attempt,
                               bool *last, const char **why)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    unsigned count = 0;
    *last = true;
    int rc = getaddrinfo(options->host, options->port, &hints, &addresses);
    if (rc != 0) {
        *why = gai_strerror(rc);
        return -1;
    }
    for (const struct addrinfo *at = addresses; at != NULL; at = at->ai_next)
        count++;
    const struct addrinfo *address = addresses;
    for (unsigned i = attempt % count; i > 0; i--)
        address = address->ai_next;
    *last = attempt % count == count - 1;
    int fd = begin(address, why);
    freeaddrinfo(addresses);
    return fd;
}

int remed_redis_socket_connected(int fd, const char **why)
{
    struct pollfd descriptor = {.fd = fd, .events = POLLOUT};
    int code = 0;
    socklen_t size = sizeof code;
    if (poll(&descriptor, 1, 0) <= 0)
        return 0;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
        code = errno;
    if (code == 0)
        return 1;
    *why = strerror(code);
    return -1;
}
