/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A publisher of bindings for checks, with the table that its repository must come to.
 */
#ifndef REMED_CONFORMANCE_SOURCE_H
#define REMED_CONFORMANCE_SOURCE_H

#include "conformance/live.h"

struct source {
    struct remed_transport *transport;
    struct remed_record *record;
    struct remed_replica *expected;
    uint32_t keys;
    uint64_t sequence, delivered, lost;
};

void source_open(struct source *source, const char *uri, uint32_t keys);
/* Publishes every key once, waits for all reports, prints the rate. */
void source_publish_all(struct source *source);
/* Publishes 5,000 updates a second for some milliseconds, spread over the keys. */
void source_update(struct source *source, unsigned milliseconds);
/* Waits for all reports; a loss ends the check. */
void source_await(struct source *source);
void source_close(struct source *source);

#endif
