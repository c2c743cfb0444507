/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The replica from within. An entry is one block: its version, its part of the digest, its key and
 * the record's wire form. Blocks come from an arena of bounded size, which moves them together when
 * it must: an entry is reached by its bucket's chain, and a mark by its neighbours as well, so both
 * are mended then. Hold no pointer to an entry over a call that may take a block.
 *
 * A mark is an entry without a record: of what was removed or has expired, so that an older record
 * does not bring it back. Marks stand in a list by age: the oldest gives way when there is no room.
 * What becomes a mark gets smaller where it is, so that needs no room at all.
 *
 * Threads: one thread a replica.
 */
#ifndef REMED_REPOSITORY_REPLICA_H
#define REMED_REPOSITORY_REPLICA_H

#include <remediate/repository.h>
#include "repository/arena.h"
#include "state/record.h"

/* Longest body that a record can have: blobs, unknown fields, and the rest. */
#define REMED_BODY_MAX (REMED_KEY_MAX + REMED_BLOB_MAX + REMED_EXTRA_MAX + 1024u)

struct remed_entry {
    struct remed_block block;
    struct remed_entry *chain; /* in the hash bucket */
    uint64_t epoch, sequence, expires;
    union {
        uint64_t sum[2]; /* this entry's part of its leaf's digest */
        struct {
            struct remed_entry *older, *newer;
        } mark;
    } as;
    uint32_t hash;
    uint32_t wire_length; /* 0: a mark, whose `expires` is when its record was observed */
    uint32_t partition;   /* where it came from */
    uint16_t key_length;
    uint16_t leaf;
    uint8_t bytes[]; /* key, wire form */
};

/* What a digest's key is made into. */
struct remed_digest_secret {
    uint64_t leaf[2], sum[2][2];
};

struct remed_replica {
    struct remed_replica_opts opts;
    char domain[REMED_NAME_MAX + 1]; /* "": all */
    uint64_t secret[2];              /* of the buckets */
    struct remed_digest_secret digest;
    struct remed_mac mac; /* compute NULL: signatures are not asked for */
    uint64_t fence;
    struct remed_entry **buckets;
    size_t bucket_count;                 /* a power of two */
    size_t sweep;                        /* bucket where the expiry goes on */
    struct remed_entry *oldest, *newest; /* marks */
    struct remed_arena arena;
    struct remed_digest leaves[REMED_DIGEST_LEAVES];
    struct remed_record *scratch, *other; /* for decoding; with all the memory that it may take */
    struct remed_replica_stats stats;
    struct remed_allocator allocator;
    uint8_t body[REMED_BODY_MAX];   /* for digests */
    uint8_t wire[REMED_RECORD_MAX]; /* for records that come decoded */
};

static inline const uint8_t *remed_entry_wire(const struct remed_entry *entry)
{
    return entry->bytes + entry->key_length;
}

/* What is to be put into the table: a record, or a mark. */
struct remed_candidate {
    const struct remed_record *record; /* NULL for a mark from a snapshot */
    uint64_t epoch, sequence, time; /* time: of an entry when it expires, of a mark when observed */
    uint32_t partition;
    uint32_t hash;
    size_t key_length;
    const uint8_t *wire;
    size_t wire_length; /* 0: a mark */
    uint8_t key[REMED_KEY_MAX];
};

/* table.c: entries and marks, without a word to the hook but of what expires for room. */
uint32_t remed_table_hash(const struct remed_replica *replica, const uint8_t *key, size_t length);
/* Where an entry or mark hangs; where it would, when there is none. */
struct remed_entry **remed_table_find(const struct remed_replica *replica, uint32_t hash,
                                      const uint8_t *key, size_t length);
/* Puts a candidate in the place of what its key has, `old`, NULL for nothing. When need be marks
 * give way, or what has expired. 0; REMED_ELIMIT without room, REMED_ENOMEM: then its key has what
 * it had. A mark in the place of an entry or mark always finds room. */
int remed_table_put(struct remed_replica *replica, const struct remed_candidate *candidate,
                    struct remed_entry *old, uint64_t now);
/* Makes a mark of an entry, where it is. */
void remed_table_mark(struct remed_replica *replica, struct remed_entry *entry, uint64_t observed);
/* Takes an entry or a mark out of the table, and frees it. */
void remed_table_drop(struct remed_replica *replica, struct remed_entry **slot);
/* Keeps the table in order when a block moves; `context` is the replica. */
void remed_table_moved(void *context, struct remed_block *from, struct remed_block *to);

/* As remed_replica_apply_message(), of a record alone that no signature is asked of. */
int remed_replica_apply_opened(struct remed_replica *replica, const struct remed_message *message,
                               uint64_t now, struct remed_error *error);

/* Puts a mark back, as a snapshot has it. 0, or REMED_ELIMIT or REMED_ENOMEM without room. */
struct remed_mark {
    const uint8_t *key;
    size_t key_length; /* at most REMED_KEY_MAX */
    uint64_t epoch, sequence, observed;
    uint32_t partition;
};
int remed_replica_put_mark(struct remed_replica *replica, const struct remed_mark *mark);

/* An empty replica with the same options, secrets and fence, that tells nobody anything. */
int remed_replica_stage(const struct remed_replica *replica, struct remed_replica **staged,
                        struct remed_error *error);
/* Takes over all that a staged one has, and tells the hook; frees it. 0, or the last of
 * REMED_ELIMIT and REMED_ENOMEM when not all found room. */
int remed_replica_join(struct remed_replica *replica, struct remed_replica *staged, uint64_t now);

/* An entry's record. What is in the table was decoded before, so this can't fail but for memory;
 * and not at all into the replica's own records. */
int remed_entry_record(const struct remed_entry *entry, struct remed_record *record);

void remed_digest_prepare(struct remed_digest_secret *secret, const struct remed_digest_key *key);
uint32_t remed_digest_leaf(const struct remed_digest_secret *secret, const uint8_t *key,
                           size_t key_length);
/* What key and body add to their leaf's digest. `body` is room for REMED_BODY_MAX bytes. */
void remed_digest_part(const struct remed_digest_secret *secret, const uint8_t *key,
                       size_t key_length, const struct remed_record *record, uint8_t *body,
                       uint64_t sum[2]);

#endif
