/* SPDX-License-Identifier: BSD-3-Clause */
/* Bodies compared: by hash, and field by field. Threads: no state. */
#ifndef REMED_STATE_COMPARE_H
#define REMED_STATE_COMPARE_H

#include "state/record.h"

/* The wire form of the body alone, unknown fields included; returns its bytes. */
size_t remed_body_write(const struct remed_record *record, uint8_t *bytes, size_t size);
/* Names of the fields that differ, parted by commas. Both are of the same kind. */
void remed_body_differences(const struct remed_record *a, const struct remed_record *b, char *text,
                            size_t size);

#endif
