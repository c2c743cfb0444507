/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file redis.h
 * The transports redis: and rediss: (libremediate-redis, on OpenSSL), docs/transports.md.
 *
 * `redis://[USER[:PASSWORD]@]HOST[:6379]/STREAM?db=0&maxlen=16384&timeout=5s&password_file=FILE`, and
 * over TLS `rediss://…?cafile=FILE&cadir=FOLDER&cert=FILE&key=FILE&servername=NAME` beside these.
 *
 * A host name is resolved in remed_transport_process(), which blocks as long as that takes; a numeric
 * address never does.
 *
 * Threads: none of its own; all callbacks come from remed_transport_process().
 */
#ifndef REMEDIATE_REDIS_H
#define REMEDIATE_REDIS_H

#include <remediate/transport.h>

REMED_BEGIN_DECLS

/** Gives the driver of redis:, in the clear, for remed_transport_opts.drivers.
 *  @return static, never NULL */
REMED_API const struct remed_transport_driver *remed_redis_driver(void);
/** Gives the driver of rediss:, over TLS. @return static, never NULL */
REMED_API const struct remed_transport_driver *remed_rediss_driver(void);

REMED_END_DECLS
#endif
