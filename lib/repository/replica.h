/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The replica from within. An entry is one block: its version, its part of the digest, its key and
 * the record's wire form. Blocks come from a slab of bounded size, so a table in motion allocates
 * nothing.
 *
 * A removal's mark is an entry without a record, in a list by age: the oldest gives way when there
 * is no room.
 *
 * Threads: one thread a replica.
 */
#ifndef REMED_REPOSITORY_REPLICA_H
#define REMED_REPOSITORY_REPLICA_H

#include <remediate/repository.h>
#include "repository/slab.h"
#include "state/record.h"

struct remed_entry {
    struct remed_entry *chain; /* in the hash bucket */
    uint64_t hash;
    uint64_t epoch, sequence, expires;
    union {
        uint64_t sum[2]; /* this entry's part of its leaf's digest */
        struct {
            struct remed_entry *older, *newer;
        } mark;
    } as;
    uint32_t wire_length; /* 0: a removal's mark, whose `expires` is when it was observed */
    uint32_t partition;   /* where it came from */
    uint16_t key_length;
    uint16_t leaf;
    uint8_t bytes[]; /* key, wire form */
};

struct remed_replica {
    struct remed_replica_opts opts;
    char domain[REMED_NAME_MAX + 1]; /* "": all */
    uint64_t secret[2];
    struct remed_mac mac; /* compute NULL: signatures are not asked for */
    uint64_t fence;
    struct remed_entry **buckets;
    size_t bucket_count;                 /* a power of two */
    size_t sweep;                        /* bucket where the expiry goes on */
    struct remed_entry *oldest, *newest; /* marks */
    struct remed_slab slab;
    struct remed_digest leaves[REMED_DIGEST_LEAVES];
    struct remed_record *scratch, *other; /* for decoding */
    struct remed_replica_stats stats;
    struct remed_allocator allocator;
};

static inline const uint8_t *remed_entry_wire(const struct remed_entry *entry)
{
    return entry->bytes + entry->key_length;
}

/* As remed_replica_apply_message(), of a record alone that no signature is asked of. */
int remed_replica_apply_opened(struct remed_replica *replica, const struct remed_message *message,
                               uint64_t now, struct remed_error *error);

/* Puts a removal's mark back, as a snapshot has it. 0, or REMED_ELIMIT without room. */
struct remed_mark {
    const uint8_t *key;
    size_t key_length;
    uint64_t epoch, sequence, observed;
    uint32_t partition;
};
int remed_replica_put_mark(struct remed_replica *replica, const struct remed_mark *mark);

/* An entry's record. What is in the table was decoded before, so this can't fail but for memory. */
int remed_entry_record(const struct remed_entry *entry, struct remed_record *record);

/* What key and body add to their leaf's digest; the same everywhere. */
void remed_digest_part(const uint8_t *key, size_t key_length, const struct remed_record *record,
                       uint64_t sum[2]);

#endif
