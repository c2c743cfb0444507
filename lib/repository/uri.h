/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * URIs of transports (RFC 3986, the part that is needed): scheme:[//host][/path][?query].
 *
 * Threads: no state.
 */
#ifndef REMED_REPOSITORY_URI_H
#define REMED_REPOSITORY_URI_H

#include <remediate/transport.h>

#define REMED_URI_MAX 4096u

/* The parts, in memory of its own. */
struct remed_uri_parts {
    struct remed_uri uri;
    char scheme[32];
    char host[1024];
    char path[1024];
    char query[2048];
};

int remed_uri_parse(struct remed_uri_parts *parts, const char *text, struct remed_error *error);

/* A time such as 10ms in a parameter; `value` keeps its default when it is not there. */
int remed_uri_time(const struct remed_uri *uri, const char *name, uint64_t *ns,
                   struct remed_error *error);
/* A size such as 64MiB. */
int remed_uri_size(const struct remed_uri *uri, const char *name, uint64_t *bytes,
                   struct remed_error *error);

#endif
