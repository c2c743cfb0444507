/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the reading of syslog shares: where a frame ends, which bytes are what.
 *
 * Threads: no state.
 */
#ifndef REMED_DRIVER_SYSLOG_SYSLOG_H
#define REMED_DRIVER_SYSLOG_SYSLOG_H

#include <remediate/syslog.h>
#include "base/base.h"

/* The length without trailers: a line may end in CR LF, some count the trailer in, and some send it
 * at the end of a datagram, or a NUL. */
static inline size_t remed_syslog_trim(const uint8_t *text, size_t length)
{
    while (length > 0 &&
           (text[length - 1] == '\n' || text[length - 1] == '\r' || text[length - 1] == '\0'))
        length--;
    return length;
}

/* A place in a message, and its end. */
struct remed_syslog_cursor {
    const uint8_t *at, *end;
};

static inline struct remed_syslog_text remed_syslog_span(const uint8_t *from, const uint8_t *to)
{
    return (struct remed_syslog_text){(const char *)from, (size_t)(to - from)};
}

/* Behind <0> to <191>, both parts set; NULL without one. */
const uint8_t *remed_syslog_priority(struct remed_syslog_message *message, const uint8_t *at,
                                     const uint8_t *end);
/* The header behind `<PRI>1 `; false: it is none. */
bool remed_syslog_read_5424(struct remed_syslog_message *message, const uint8_t *at,
                            const uint8_t *end, const struct remed_syslog_context *context);
/* What stands behind `<PRI>`, or at the beginning, as boxes have it. */
void remed_syslog_read_3164(struct remed_syslog_message *message, const uint8_t *at,
                            const uint8_t *end, const struct remed_syslog_context *context);

#endif
