/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Positions of transports whose place is one number: "ID:NUMBER", the id of what it belongs to as
 * 16 hexadecimal digits, so that a position is not taken by another repository; or the number
 * alone, as it was written before there were ids, and as a person writes it.
 *
 * Threads: no state.
 */
#ifndef REMED_REPOSITORY_POSITION_H
#define REMED_REPOSITORY_POSITION_H

#include "base/base.h"

/* As snprintf. Without an id (0) the number alone. */
size_t remed_position_write(uint64_t id, uint64_t number, char *text, size_t size);
/* Reads one; *id is 0 when the number stands alone. False: it is none. */
bool remed_position_parse(const char *text, uint64_t *id, uint64_t *number);

#endif
