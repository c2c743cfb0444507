/* SPDX-License-Identifier: BSD-3-Clause */
/* The replica's table: entries and marks, and how they find room. Threads: one thread a replica. */
#include "repository/replica.h"

#include "base/hash.h"

#define SWEEP_FOR_ROOM 64u

uint32_t remed_table_hash(const struct remed_replica *replica, const uint8_t *key, size_t length)
{
    return (uint32_t)remed_hash_bytes(key, length, replica->secret);
}

static struct remed_entry **table_bucket(const struct remed_replica *replica, uint32_t hash)
{
    return &replica->buckets[hash & (replica->bucket_count - 1)];
}

struct remed_entry **remed_table_find(const struct remed_replica *replica, uint32_t hash,
                                      const uint8_t *key, size_t length)
{
    struct remed_entry **at = table_bucket(replica, hash);
    while (*at != NULL && ((*at)->hash != hash || (*at)->key_length != length ||
                           memcmp((*at)->bytes, key, length) != 0))
        at = &(*at)->chain;
    return at;
}

static size_t block_bytes(size_t key_length, size_t wire_length)
{
    return remed_arena_round(offsetof(struct remed_entry, bytes) + key_length + wire_length);
}

static void digest_add(struct remed_replica *replica, const struct remed_entry *entry,
                       uint64_t sign)
{
    struct remed_digest *leaf = &replica->leaves[entry->leaf];
    leaf->sum[0] += entry->as.sum[0] * sign;
    leaf->sum[1] += entry->as.sum[1] * sign;
    leaf->count += sign;
}

/* Where the list of marks has a pointer to this one, from either side. */
static void set_neighbours(struct remed_replica *replica, const struct remed_entry *mark,
                           struct remed_entry *from_newer, struct remed_entry *from_older)
{
    struct remed_entry *older = mark->as.mark.older, *newer = mark->as.mark.newer;
    *(older != NULL ? &older->as.mark.newer : &replica->oldest) = from_older;
    *(newer != NULL ? &newer->as.mark.older : &replica->newest) = from_newer;
}

static void unlink_mark(struct remed_replica *replica, struct remed_entry *mark)
{
    set_neighbours(replica, mark, mark->as.mark.older, mark->as.mark.newer);
    replica->stats.marks--;
}

static void link_mark(struct remed_replica *replica, struct remed_entry *mark)
{
    mark->as.mark.older = replica->newest;
    mark->as.mark.newer = NULL;
    set_neighbours(replica, mark, mark, mark);
    replica->stats.marks++;
}

void remed_table_moved(void *context, struct remed_block *from, struct remed_block *to)
{
    struct remed_replica *replica = context;
    struct remed_entry *was = (struct remed_entry *)from, *is = (struct remed_entry *)to;
    struct remed_entry **slot = table_bucket(replica, is->hash);
    while (*slot != was)
        slot = &(*slot)->chain;
    *slot = is;
    if (is->wire_length == 0)
        set_neighbours(replica, is, is, is);
}

/* It no longer counts as what it is: an entry, or a mark. */
static void discount(struct remed_replica *replica, struct remed_entry *entry)
{
    if (entry->wire_length == 0) {
        unlink_mark(replica, entry);
        return;
    }
    digest_add(replica, entry, UINT64_MAX);
    replica->stats.entries--;
}

void remed_table_drop(struct remed_replica *replica, struct remed_entry **slot)
{
    struct remed_entry *entry = *slot;
    *slot = entry->chain;
    discount(replica, entry);
    remed_arena_give(&replica->arena, &entry->block);
}

void remed_table_mark(struct remed_replica *replica, struct remed_entry *entry, uint64_t observed)
{
    discount(replica, entry);
    remed_arena_shrink(&replica->arena, &entry->block, block_bytes(entry->key_length, 0));
    entry->wire_length = 0;
    entry->expires = observed;
    link_mark(replica, entry);
}

static bool forget_oldest_mark(struct remed_replica *replica)
{
    struct remed_entry *mark = replica->oldest;
    if (mark == NULL)
        return false;
    remed_table_drop(replica, remed_table_find(replica, mark->hash, mark->bytes, mark->key_length));
    replica->stats.forgotten++;
    return true;
}

/* Room for a block of the candidate's, whose key's entry or mark goes as it comes. Marks give way
 * first: it costs a step each, and a full table has as many as its traffic leaves it. */
static bool make_room(struct remed_replica *replica, const struct remed_candidate *candidate,
                      const struct remed_entry *old, size_t size, uint64_t now)
{
    for (bool swept = false;;) {
        uint64_t others = replica->stats.entries + replica->stats.marks - (old != NULL);
        if (others < replica->opts.max_entries &&
            remed_arena_fits(&replica->arena, size, old != NULL ? old->block.size : 0))
            return true;
        if (!forget_oldest_mark(replica)) {
            if (swept || old != NULL) /* a sweep could take the entry that is replaced */
                return false;
            remed_replica_expire(replica, now, SWEEP_FOR_ROOM);
            swept = true;
        }
        if (old != NULL) /* it may have been that mark */
            old =
                *remed_table_find(replica, candidate->hash, candidate->key, candidate->key_length);
    }
}

/* All of an entry but its block and its place in the bucket. */
static void fill(struct remed_replica *replica, const struct remed_candidate *candidate,
                 struct remed_entry *entry)
{
    entry->epoch = candidate->epoch;
    entry->sequence = candidate->sequence;
    entry->expires = candidate->time;
    entry->hash = candidate->hash;
    entry->wire_length = (uint32_t)candidate->wire_length;
    entry->partition = candidate->partition;
    entry->key_length = (uint16_t)candidate->key_length;
    entry->leaf = 0;
    memcpy(entry->bytes, candidate->key, candidate->key_length);
    if (candidate->wire_length == 0) {
        link_mark(replica, entry);
        return;
    }
    memcpy(entry->bytes + candidate->key_length, candidate->wire, candidate->wire_length);
    entry->leaf =
        (uint16_t)remed_digest_leaf(&replica->digest, candidate->key, candidate->key_length);
    remed_digest_part(&replica->digest, candidate->key, candidate->key_length, candidate->record,
                      replica->body, entry->as.sum);
    digest_add(replica, entry, 1);
    replica->stats.entries++;
}

int remed_table_put(struct remed_replica *replica, const struct remed_candidate *candidate,
                    struct remed_entry *old, uint64_t now)
{
    size_t size = block_bytes(candidate->key_length, candidate->wire_length);
    if (old != NULL && old->block.size >= size) {
        discount(replica, old);
        remed_arena_shrink(&replica->arena, &old->block, size);
        fill(replica, candidate, old);
        return 0;
    }
    if (!make_room(replica, candidate, old, size, now))
        return REMED_ELIMIT;
    struct remed_entry *entry = (struct remed_entry *)remed_arena_take(&replica->arena, size);
    if (entry == NULL)
        return REMED_ENOMEM;
    if (old != NULL) { /* it may have moved, or given way */
        struct remed_entry **slot =
            remed_table_find(replica, candidate->hash, candidate->key, candidate->key_length);
        if (*slot != NULL)
            remed_table_drop(replica, slot);
    }
    struct remed_entry **bucket = table_bucket(replica, candidate->hash);
    entry->chain = *bucket;
    *bucket = entry;
    fill(replica, candidate, entry);
    return 0;
}
