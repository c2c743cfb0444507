/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a URI says: redis[s]://[USER[:PASSWORD]@]HOST[:PORT]/STREAM?PARAMETERS. A password never
 * goes into a message.
 *
 * Threads: no state.
 */
#ifndef REMED_BACKEND_REDIS_OPTIONS_H
#define REMED_BACKEND_REDIS_OPTIONS_H

#include <remediate/transport.h>
#include "base/base.h"

#define REMED_REDIS_PATH 1024u

struct remed_redis_options {
    bool secure;
    char host[256]; /* without brackets */
    char port[8];
    char stream[256];
    char user[256], password[512]; /* "" without */
    uint32_t database;
    uint64_t max_entries; /* about so many the stream keeps; 0: all */
    uint64_t timeout;     /* ns; for a connection and for a reply */
    char ca_file[REMED_REDIS_PATH], ca_folder[REMED_REDIS_PATH];
    char certificate[REMED_REDIS_PATH], key[REMED_REDIS_PATH];
    char server_name[256]; /* that the server's certificate must have; "": the host */
};

int remed_redis_options_read(struct remed_redis_options *options, const struct remed_uri *uri,
                             struct remed_error *error);

#endif
