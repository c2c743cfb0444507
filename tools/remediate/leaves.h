/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Digests as text, and sets of leaves: what two far tables tell each other to find where they
 * differ without shipping either.
 *
 * A digest file has a line "remediate digest 1 LEAVES", then for each leaf that has entries
 * "LEAF COUNT SUM SUM", the sums in hexadecimal.
 *
 * Threads: one.
 */
#ifndef REMEDIATE_LEAVES_H
#define REMEDIATE_LEAVES_H

#include "tool.h"

struct leaves {
    uint8_t bits[REMED_DIGEST_LEAVES / 8];
    bool all; /* no list was given */
};

/* "5", "1,7-9", "@FILE" with such a list. Complains. */
bool leaves_parse(struct leaves *leaves, const char *text);
/* As a list that leaves_parse() reads. */
void leaves_print(const struct leaves *leaves);
void leaves_add(struct leaves *leaves, uint32_t leaf);
bool leaves_have(const struct leaves *leaves, uint32_t leaf);
/* Of the entry that a record is about. */
bool leaves_have_record(const struct leaves *leaves, const struct remed_record *record);
/* Entries of a replica in these leaves. */
uint64_t leaves_entries(const struct leaves *leaves, const struct remed_replica *replica);

void digest_print(const struct remed_replica *replica);
bool digest_is_file(const char *path);
/* Reads a digest file into REMED_DIGEST_LEAVES digests; complains. */
bool digest_read(const char *path, struct remed_digest *digests);

#endif
