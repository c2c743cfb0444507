/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The conformance suite of transports: the contract of transport.h, case by case, on any URI. Each
 * case works in a topic of its own, so servers need not be emptied.
 */
#ifndef REMED_CONFORMANCE_H
#define REMED_CONFORMANCE_H

#include <remediate/transport.h>

struct conformance {
    /** Writes the URI of topic number `topic`. */
    void (*uri)(char *text, size_t size, unsigned topic);
    const struct remed_transport_driver *const *drivers;
    uint32_t driver_count;
    struct remed_memory_hub *(*hub)(unsigned topic); /* NULL but for memory: */
};

/** Runs all cases; returns how many failed, and prints each. */
unsigned conformance_run(const char *name, const struct conformance *conformance);

#endif
