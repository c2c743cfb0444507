/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Digests as text, and sets of leaves: what two far tables tell each other to find where they
 * differ without shipping either. Which leaf an entry is in depends on the digest's key, so both
 * carry it.
 *
 * A digest file has a line "remediate digest 2 LEAVES KEY", then for each leaf that has entries
 * "LEAF COUNT SUM SUM"; key and sums in hexadecimal. A list is "KEY:5,17-20".
 *
 * Threads: one.
 */
#ifndef REMEDIATE_LEAVES_H
#define REMEDIATE_LEAVES_H

#include "tool.h"

struct leaves {
    struct remed_digest_key key;
    uint8_t bits[REMED_DIGEST_LEAVES / 8];
    bool all; /* no list was given */
};

/* "KEY:5", "KEY:1,7-9", "@FILE" with such a list. Complains. */
bool leaves_parse(struct leaves *leaves, const char *text);
/* As a list that leaves_parse() reads; nothing when it is empty. */
void leaves_print(const struct leaves *leaves);
void leaves_add(struct leaves *leaves, uint32_t leaf);
bool leaves_have(const struct leaves *leaves, uint32_t leaf);
/* Gives a replica's digest the list's key, when there is a list. */
void leaves_rekey(const struct leaves *leaves, struct remed_replica *replica);
/* Of the entry that a record is about, in a replica whose digest has the list's key. */
bool leaves_have_record(const struct leaves *leaves, const struct remed_replica *replica,
                        const struct remed_record *record);
/* Entries of such a replica in these leaves. */
uint64_t leaves_entries(const struct leaves *leaves, const struct remed_replica *replica);

struct digest {
    struct remed_digest_key key;
    struct remed_digest leaves[REMED_DIGEST_LEAVES];
};

void digest_print(const struct remed_replica *replica);
/* A file, or "-": nothing is taken of it. No pipe by its name: see pipe_input.h. */
bool digest_is_file(const char *path);
/* Reads a digest file; complains. */
bool digest_read(const char *path, struct digest *digest);

#endif
