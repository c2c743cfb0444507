/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A TCP socket that does not block.
 *
 * Threads: no state.
 */
#ifndef REMED_BACKEND_REDIS_SOCKET_H
#define REMED_BACKEND_REDIS_SOCKET_H

#include "backend/redis/options.h"

/* Begins to connect to address number `attempt` of the host, counted round: the socket, or -1 with
 * `why`. `*last` tells that all addresses were tried. Asks the resolver when the host is a name. */
int remed_redis_socket_connect(const struct remed_redis_options *options, unsigned attempt,
                               bool *last, const char **why);
/* 1 when it is connected, 0 when not yet, -1 with `why`. */
int remed_redis_socket_connected(int fd, const char **why);

#endif
