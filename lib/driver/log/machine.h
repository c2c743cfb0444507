/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The machine that runs a rule's steps over a line, and what it leaves behind.
 *
 * Values are kept where they were written last, with a bit each that tells whether they hold; going
 * on at another alternative gives the bits back and nothing else.
 *
 * Threads: one thread a machine; rules are only read.
 */
#ifndef REMED_DRIVER_LOG_MACHINE_H
#define REMED_DRIVER_LOG_MACHINE_H

#include "driver/log/calendar.h"
#include "driver/log/program.h"

struct remed_log_span {
    const uint8_t *text;
    size_t length;
};

struct remed_log_machine {
    const struct remed_log_rules *rules;
    struct remed_calendar calendar;
    uint64_t have;                     /* bit by enum remed_log_slot */
    struct remed_endpoint endpoint[6]; /* slot / 2; their ports apart */
    uint16_t port[6];
    uint8_t protocol;
    uint64_t number[4]; /* from REMED_SLOT_CBYTES on */
    uint64_t time[3];   /* stamp, date, clock */
    struct remed_log_span span[REMED_SLOT_NONE - REMED_SLOT_NAME];
    const uint8_t *at; /* where the run that matched ended */

    /* For people: the farthest step that failed. */
    bool tracing;
    const uint8_t *far;
    uint32_t far_step, far_line, far_column;
};

/* Counts steps and bytes for the test that shows that they grow with the line and no faster. */
#if !defined(REMED_LOG_WORK)
#define REMED_LOG_WORK(count) ((void)0)
#endif

#define REMED_HAS(machine, slot) (((machine)->have >> (slot)&1) != 0)

/* Runs the steps from `start` at `at`; true when they match. */
bool remed_log_machine_run(struct remed_log_machine *machine, uint32_t start, const uint8_t *at,
                           const uint8_t *end);
/* Reads a value of a type into its slot; what is behind it, or NULL. */
const uint8_t *remed_log_read(struct remed_log_machine *machine, unsigned type, unsigned slot,
                              const uint8_t *at, const uint8_t *end);
/* The walk over keys or columns; `end`, or NULL when the line is not as the rule says. */
const uint8_t *remed_log_walk_run(struct remed_log_machine *machine,
                                  const struct remed_log_walk *walk, const uint8_t *at,
                                  const uint8_t *end);

#endif
