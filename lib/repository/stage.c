/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replicas that are filled beside another one, and join it when all went well: what is read from a
 * file is checked as it comes, and nothing of a file that turns out to be bad is in the table.
 *
 * Threads: one thread a replica.
 */
#include "repository/replica.h"

int remed_replica_stage(const struct remed_replica *replica, struct remed_replica **staged,
                        struct remed_error *error)
{
    struct remed_replica_opts opts = replica->opts;
    opts.domain = replica->domain[0] != '\0' ? replica->domain : NULL;
    opts.allocator = &replica->allocator;
    opts.change = NULL;
    opts.mac = NULL;
    opts.entropy = NULL;
    opts.seed[0] = 1; /* none is drawn: it hashes as the other does */
    int rc = remed_replica_new(staged, &opts, error);
    if (rc < 0)
        return rc;
    memcpy((*staged)->secret, replica->secret, sizeof replica->secret);
    (*staged)->fence = replica->fence;
    return 0;
}

/* What happened to its records before they got here. */
static void add_stats(struct remed_replica *replica, const struct remed_replica *staged)
{
    struct remed_replica_stats *sum = &replica->stats;
    const struct remed_replica_stats *more = &staged->stats;
    sum->stale += more->stale;
    sum->fenced += more->fenced;
    sum->foreign += more->foreign;
    sum->expired += more->expired;
    sum->refused += more->refused;
    sum->forgotten += more->forgotten;
}

static void tell_all(struct remed_replica *replica)
{
    if (replica->opts.change == NULL)
        return;
    for (size_t i = 0; i < replica->bucket_count; i++)
        for (const struct remed_entry *entry = replica->buckets[i]; entry != NULL;
             entry = entry->chain)
            if (entry->wire_length != 0 && remed_entry_record(entry, replica->other) == 0)
                replica->opts.change(replica->opts.context, REMED_APPLIED_NEW, replica->other);
}

/* Into an empty replica: the whole table changes hands. */
static void adopt(struct remed_replica *replica, struct remed_replica *staged)
{
    struct remed_arena arena = replica->arena;
    struct remed_entry **buckets = replica->buckets;
    replica->arena = staged->arena;
    replica->arena.context = replica;
    replica->buckets = staged->buckets;
    replica->oldest = staged->oldest;
    replica->newest = staged->newest;
    memcpy(replica->leaves, staged->leaves, sizeof replica->leaves);
    replica->stats.entries = staged->stats.entries;
    replica->stats.marks = staged->stats.marks;
    replica->stats.applied += staged->stats.applied;
    staged->arena = arena;
    staged->buckets = buckets;
    tell_all(replica);
}

static int merge_entry(struct remed_replica *replica, const struct remed_entry *entry, uint64_t now)
{
    const struct remed_message message = {.key = entry->bytes,
                                          .key_length = entry->key_length,
                                          .value = remed_entry_wire(entry),
                                          .value_length = entry->wire_length,
                                          .partition = entry->partition};
    int rc = remed_replica_apply_opened(replica, &message, now, NULL);
    return rc < 0 ? rc : 0;
}

static int merge(struct remed_replica *replica, const struct remed_replica *staged, uint64_t now)
{
    int full = 0, rc;
    for (size_t i = 0; i < staged->bucket_count; i++)
        for (const struct remed_entry *entry = staged->buckets[i]; entry != NULL;
             entry = entry->chain)
            if (entry->wire_length != 0 && (rc = merge_entry(replica, entry, now)) < 0)
                full = rc;
    for (const struct remed_entry *at = staged->oldest; at != NULL; at = at->as.mark.newer) {
        const struct remed_mark mark = {.key = at->bytes,
                                        .key_length = at->key_length,
                                        .epoch = at->epoch,
                                        .sequence = at->sequence,
                                        .observed = at->expires,
                                        .partition = at->partition};
        (void)remed_replica_put_mark(replica, &mark); /* without room it is counted as forgotten */
    }
    return full;
}

int remed_replica_join(struct remed_replica *replica, struct remed_replica *staged, uint64_t now)
{
    int rc = 0;
    add_stats(replica, staged);
    if (replica->stats.entries + replica->stats.marks == 0)
        adopt(replica, staged);
    else
        rc = merge(replica, staged, now);
    remed_replica_free(staged);
    return rc;
}
