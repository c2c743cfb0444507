/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLS over a socket that does not block: the server's certificate is always checked, against the
 * URI's authorities or the system's, and so is the name or the address that was asked for.
 *
 * Threads: belongs to one transport; OpenSSL's own set-up is safe from any.
 */
#ifndef REMED_BACKEND_REDIS_TLS_H
#define REMED_BACKEND_REDIS_TLS_H

#include "backend/redis/options.h"

#include <openssl/ssl.h>
#include <sys/types.h>

struct remed_redis_tls {
    SSL_CTX *context;
    BIO_METHOD *socket; /* OpenSSL's own would raise SIGPIPE */
};

/* What a call on the socket came to, where it is below zero. */
#define REMED_REDIS_WAIT (-1)    /* nothing for now; `events` tells what to wait for */
#define REMED_REDIS_LOST (-2)    /* the connection; `why` tells */
#define REMED_REDIS_REFUSED (-3) /* by one of the two sides of TLS; `why` tells */

int remed_redis_tls_init(struct remed_redis_tls *tls, const struct remed_redis_options *options,
                         struct remed_error *error);
void remed_redis_tls_fini(struct remed_redis_tls *tls);

/* Begins on a connected socket; NULL without memory. Freed with SSL_free(). */
SSL *remed_redis_tls_begin(const struct remed_redis_tls *tls,
                           const struct remed_redis_options *options, int fd);
/* Goes on with the handshake: 1 when it is done. */
int remed_redis_tls_handshake(SSL *ssl, short *events, const char **why);
/* Bytes, 0 at the end. */
ssize_t remed_redis_tls_read(SSL *ssl, void *bytes, size_t size, short *events, const char **why);
ssize_t remed_redis_tls_write(SSL *ssl, const void *bytes, size_t size, short *events,
                              const char **why);

#endif
