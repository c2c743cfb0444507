/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dates and times out of log lines. Without a year it is the year that puts the time at most a day
 * ahead of the line's arrival: clocks differ a little, and logs lag.
 *
 * Threads: no state.
 */
#ifndef REMED_DRIVER_LOG_CALENDAR_H
#define REMED_DRIVER_LOG_CALENDAR_H

#include "base/base.h"

/* Where a reader of times is, and what it needs to know. */
struct remed_calendar {
    uint64_t received; /* ns since the Unix epoch */
    int32_t zone;      /* seconds east, for times without a zone */
};

/* Reads a date and time; one of
 *   2026-11-24T10:00:00.123+01:00   2026/11/24 10:00:00   Nov 24 10:00:00   Nov 24 2026 10:00:00
 *   24/Nov/2026:10:00:00 +0100
 * Returns what is behind it, or NULL; *ns is the time. */
const uint8_t *remed_read_stamp(const struct remed_calendar *calendar, const uint8_t *at,
                                const uint8_t *end, uint64_t *ns);
/* A date alone, as ns of its midnight in UTC; a time of day alone, as ns since midnight. */
const uint8_t *remed_read_date(const uint8_t *at, const uint8_t *end, uint64_t *ns);
const uint8_t *remed_read_clock(const uint8_t *at, const uint8_t *end, uint64_t *ns);
/* s, ms, us or ns since the Unix epoch, told by the count of digits. */
const uint8_t *remed_read_epoch(const uint8_t *at, const uint8_t *end, uint64_t *ns);

#endif
