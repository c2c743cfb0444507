/* SPDX-License-Identifier: BSD-3-Clause */
/* The replica of repository.h. Threads: one thread a replica. */
#include "repository/replica.h"

#include "base/hash.h"

#define MAX_ENTRIES (1u << 28)
#define SWEEP_FOR_ROOM 64u

void remed_replica_opts_init(struct remed_replica_opts *opts, size_t size)
{
    const struct remed_replica_opts defaults = {
        .size = size, .max_entries = 1u << 20, .max_bytes = 1u << 30};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

static int check_opts(const struct remed_replica_opts *opts, struct remed_error *error)
{
    if (opts->max_entries < 16 || opts->max_entries > MAX_ENTRIES)
        return remed_error_set(error, REMED_EINVAL, "max_entries is %u, must be 16 to %u",
                               opts->max_entries, MAX_ENTRIES);
    if (opts->max_bytes < 2 * REMED_SLAB_CHUNK || opts->max_bytes > SIZE_MAX / 2)
        return remed_error_set(error, REMED_EINVAL, "max_bytes must be at least 2 MiB");
    if (opts->domain != NULL &&
        remed_text_length(opts->domain, REMED_NAME_MAX + 1) > REMED_NAME_MAX)
        return remed_error_set(error, REMED_EINVAL, "the domain is too long");
    if (opts->mac != NULL && (opts->mac->size < sizeof *opts->mac || opts->mac->compute == NULL))
        return remed_error_set(error, REMED_EINVAL, "the mac is not filled in");
    return 0;
}

int remed_replica_new(struct remed_replica **replica, const struct remed_replica_opts *given,
                      struct remed_error *error)
{
    struct remed_replica_opts opts;
    remed_replica_opts_init(&opts, sizeof opts);
    int rc = given != NULL ? remed_opts_copy(&opts, sizeof opts, given, "replica", error) : 0;
    if (rc == 0)
        rc = check_opts(&opts, error);
    if (rc < 0)
        return rc;
    struct remed_allocator allocator = remed_allocator_or_default(opts.allocator);
    struct remed_replica *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a replica");
    made->allocator = made->slab.allocator = allocator;
    made->opts = opts;
    made->slab.max_bytes = (size_t)opts.max_bytes;
    remed_hash_secret(made->secret, opts.seed);
    if (opts.mac != NULL)
        made->mac = *opts.mac;
    if (opts.domain != NULL)
        memcpy(made->domain, opts.domain, strlen(opts.domain) + 1);
    for (made->bucket_count = 16; made->bucket_count < opts.max_entries;)
        made->bucket_count *= 2;
    made->buckets = remed_allocate(&allocator, made->bucket_count * sizeof *made->buckets);
    if (made->buckets == NULL || remed_record_new(&made->scratch, &allocator) < 0 ||
        remed_record_new(&made->other, &allocator) < 0) {
        remed_replica_free(made);
        return remed_error_set(error, REMED_ENOMEM, "no memory for a replica of %u entries",
                               opts.max_entries);
    }
    *replica = made;
    return 0;
}

void remed_replica_free(struct remed_replica *replica)
{
    if (replica == NULL)
        return;
    struct remed_allocator allocator = replica->allocator;
    remed_slab_fini(&replica->slab);
    remed_release(&allocator, replica->buckets,
                  replica->buckets != NULL ? replica->bucket_count * sizeof *replica->buckets : 0);
    remed_record_free(replica->scratch);
    remed_record_free(replica->other);
    remed_release(&allocator, replica, sizeof *replica);
}

int remed_entry_record(const struct remed_entry *entry, struct remed_record *record)
{
    return remed_record_decode(record, remed_entry_wire(entry), entry->wire_length, NULL);
}

static size_t entry_bytes(size_t key_length, size_t wire_length)
{
    return sizeof(struct remed_entry) + key_length + wire_length;
}

static struct remed_entry **find(const struct remed_replica *replica, uint64_t hash,
                                 const uint8_t *key, size_t length)
{
    struct remed_entry **at = &replica->buckets[hash & (replica->bucket_count - 1)];
    while (*at != NULL && ((*at)->hash != hash || (*at)->key_length != length ||
                           memcmp((*at)->bytes, key, length) != 0))
        at = &(*at)->chain;
    return at;
}

static void digest_add(struct remed_replica *replica, const struct remed_entry *entry,
                       uint64_t sign)
{
    struct remed_digest *leaf = &replica->leaves[entry->leaf];
    leaf->sum[0] += entry->as.sum[0] * sign;
    leaf->sum[1] += entry->as.sum[1] * sign;
    leaf->count += sign;
}

static void unlink_mark(struct remed_replica *replica, struct remed_entry *entry)
{
    struct remed_entry *older = entry->as.mark.older, *newer = entry->as.mark.newer;
    *(older != NULL ? &older->as.mark.newer : &replica->oldest) = newer;
    *(newer != NULL ? &newer->as.mark.older : &replica->newest) = older;
    replica->stats.marks--;
}

static void link_mark(struct remed_replica *replica, struct remed_entry *entry)
{
    entry->as.mark.older = replica->newest;
    entry->as.mark.newer = NULL;
    *(replica->newest != NULL ? &replica->newest->as.mark.newer : &replica->oldest) = entry;
    replica->newest = entry;
    replica->stats.marks++;
}

/* Takes an entry or a mark out of the table, and frees it. */
static void drop(struct remed_replica *replica, struct remed_entry **slot)
{
    struct remed_entry *entry = *slot;
    size_t bytes = entry_bytes(entry->key_length, entry->wire_length);
    *slot = entry->chain;
    if (entry->wire_length == 0) {
        unlink_mark(replica, entry);
    } else {
        digest_add(replica, entry, UINT64_MAX);
        replica->stats.entries--;
    }
    replica->stats.bytes -= bytes;
    remed_slab_give(&replica->slab, entry, bytes);
}

static bool forget_oldest_mark(struct remed_replica *replica)
{
    struct remed_entry *mark = replica->oldest;
    if (mark == NULL)
        return false;
    drop(replica, find(replica, mark->hash, mark->bytes, mark->key_length));
    replica->stats.forgotten++;
    return true;
}

/* A block for an entry, when need be in the place of marks or of what has expired. `replacing` says
 * that another entry goes as this one comes. */
static struct remed_entry *take(struct remed_replica *replica, size_t bytes, bool replacing,
                                uint64_t now)
{
    const uint64_t most = (uint64_t)replica->opts.max_entries + replacing;
    bool swept = replacing; /* a sweep could take the entry that is replaced */
    for (;;) {
        struct remed_entry *entry = NULL;
        if (replica->stats.entries + replica->stats.marks < most)
            entry = remed_slab_take(&replica->slab, bytes);
        if (entry != NULL || (swept && !forget_oldest_mark(replica)))
            return entry;
        if (!swept)
            remed_replica_expire(replica, now, SWEEP_FOR_ROOM);
        swept = true;
    }
}

/* What is to be put into the table: a record, or a mark. */
struct candidate {
    const struct remed_record *record; /* NULL for a mark from a snapshot */
    uint64_t epoch, sequence, time; /* time: of an entry when it expires, of a mark when observed */
    uint32_t partition;
    uint8_t key[REMED_KEY_MAX];
    size_t key_length;
    uint64_t hash;
    const uint8_t *wire;
    size_t wire_length; /* 0 for a removal: a mark */
};

/* Puts the entry or mark of a candidate into the table; its key must not be there. */
static void insert(struct remed_replica *replica, const struct candidate *candidate,
                   struct remed_entry *entry)
{
    struct remed_entry **bucket = &replica->buckets[candidate->hash & (replica->bucket_count - 1)];
    *entry = (struct remed_entry){.chain = *bucket,
                                  .hash = candidate->hash,
                                  .epoch = candidate->epoch,
                                  .sequence = candidate->sequence,
                                  .expires = candidate->time,
                                  .wire_length = (uint32_t)candidate->wire_length,
                                  .partition = candidate->partition,
                                  .key_length = (uint16_t)candidate->key_length};
    memcpy(entry->bytes, candidate->key, candidate->key_length);
    if (candidate->wire_length != 0)
        memcpy(entry->bytes + candidate->key_length, candidate->wire, candidate->wire_length);
    *bucket = entry;
    replica->stats.bytes += entry_bytes(candidate->key_length, candidate->wire_length);
    if (candidate->wire_length == 0) {
        link_mark(replica, entry);
        return;
    }
    entry->leaf = (uint16_t)remed_replica_leaf(candidate->key, candidate->key_length);
    remed_digest_part(candidate->key, candidate->key_length, candidate->record, entry->as.sum);
    digest_add(replica, entry, 1);
    replica->stats.entries++;
}

static void tell(struct remed_replica *replica, enum remed_applied what,
                 const struct remed_record *record)
{
    if (replica->opts.change != NULL)
        replica->opts.change(replica->opts.context, what, record);
}

static bool is_newer(const struct candidate *candidate, const struct remed_entry *entry)
{
    return candidate->epoch != entry->epoch ? candidate->epoch > entry->epoch
                                            : candidate->sequence > entry->sequence;
}

static int refuse(struct remed_replica *replica, struct remed_error *error)
{
    replica->stats.refused++;
    return remed_error_set(error, REMED_ELIMIT, "no room for another entry: %llu are held",
                           (unsigned long long)replica->stats.entries);
}

static int replace(struct remed_replica *replica, const struct candidate *candidate, bool exists,
                   uint64_t now, struct remed_error *error)
{
    bool removes = candidate->wire_length == 0, had = false;
    struct remed_entry *entry =
        take(replica, entry_bytes(candidate->key_length, candidate->wire_length), exists, now);
    if (entry == NULL && !removes)
        return refuse(replica, error); /* an older entry stays as it is */
    /* taking may have forgotten marks, this key's too */
    struct remed_entry **slot =
        find(replica, candidate->hash, candidate->key, candidate->key_length);
    if (*slot != NULL) {
        had = (*slot)->wire_length != 0 &&
              (!removes || remed_entry_record(*slot, replica->other) == 0);
        drop(replica, slot);
    }
    if (entry != NULL)
        insert(replica, candidate, entry);
    else
        replica->stats.forgotten++; /* removed, but no room for its mark */
    replica->stats.applied++;
    if (!removes) {
        tell(replica, had ? REMED_APPLIED_CHANGED : REMED_APPLIED_NEW, candidate->record);
        return had ? REMED_APPLIED_CHANGED : REMED_APPLIED_NEW;
    }
    if (had)
        tell(replica, REMED_APPLIED_REMOVED, replica->other);
    return REMED_APPLIED_REMOVED;
}

static int apply(struct remed_replica *replica, struct candidate *candidate, uint64_t now,
                 struct remed_error *error)
{
    const struct remed_record *record = candidate->record;
    if (replica->domain[0] != '\0' && strcmp(replica->domain, record->domain) != 0) {
        replica->stats.foreign++;
        return REMED_APPLIED_FOREIGN;
    }
    if (record->epoch < replica->fence) {
        replica->stats.fenced++;
        return REMED_APPLIED_FENCED;
    }
    candidate->hash = remed_hash_bytes(candidate->key, candidate->key_length, replica->secret);
    struct remed_entry **slot =
        find(replica, candidate->hash, candidate->key, candidate->key_length);
    candidate->epoch = record->epoch;
    candidate->sequence = record->sequence;
    candidate->time = record->expires;
    if (*slot != NULL && !is_newer(candidate, *slot)) {
        replica->stats.stale++;
        return REMED_APPLIED_STALE;
    }
    if (record->op == REMED_OP_REMOVE)
        candidate->wire_length = 0;
    else if (record->expires != 0 && record->expires <= now) {
        replica->stats.expired++;
        if (*slot == NULL || (*slot)->wire_length == 0)
            return REMED_APPLIED_EXPIRED;
        candidate->wire_length = 0; /* newer than the entry, and over: the entry goes */
    }
    if (candidate->wire_length == 0)
        candidate->time = record->observed;
    return replace(replica, candidate, *slot != NULL, now, error);
}

/* The record of a value: its signature is checked where one is asked for, else only taken off. */
static int open_value(struct remed_replica *replica, const struct remed_message *message,
                      size_t *length, struct remed_error *error)
{
    if (replica->mac.compute == NULL) {
        *length = remed_record_strip(message->value, message->value_length, NULL);
        return 0;
    }
    if (message->key == NULL)
        return remed_error_set(error, REMED_EINVAL, "a signature can't be checked without a key");
    int rc = remed_record_verify(&replica->mac, message->key, message->key_length, message->value,
                                 message->value_length, length, error);
    replica->stats.not_signed += rc == REMED_EFORMAT;
    replica->stats.unknown_key += rc == REMED_ENOENT;
    replica->stats.altered += rc == REMED_EPERM;
    if (rc != REMED_EFORMAT && rc != REMED_ENOENT)
        return rc;
    if (error != NULL)
        error->code = REMED_EPERM; /* with the message that tells which */
    return REMED_EPERM;
}

/* Nobody signed that the transport let go of a key: an entry or a mark stays. */
static int keep(struct remed_replica *replica, const struct remed_entry *entry,
                struct remed_error *error)
{
    if (entry == NULL || entry->wire_length == 0)
        return REMED_APPLIED_STALE;
    replica->stats.not_signed++;
    return remed_error_set(error, REMED_EPERM, "not signed: a removal by the transport");
}

/* The transport let go of a key: so do we, without a mark. */
static int forget(struct remed_replica *replica, const uint8_t *key, size_t length,
                  struct remed_error *error)
{
    uint64_t hash = remed_hash_bytes(key, length, replica->secret);
    struct remed_entry **slot = find(replica, hash, key, length);
    if (replica->mac.compute != NULL)
        return keep(replica, *slot, error);
    if (*slot == NULL)
        return REMED_APPLIED_STALE;
    bool had = (*slot)->wire_length != 0 && remed_entry_record(*slot, replica->other) == 0;
    drop(replica, slot);
    replica->stats.applied++;
    if (had)
        tell(replica, REMED_APPLIED_REMOVED, replica->other);
    return REMED_APPLIED_REMOVED;
}

int remed_replica_apply_message(struct remed_replica *replica, const struct remed_message *message,
                                uint64_t now, struct remed_error *error)
{
    struct remed_message record = *message;
    if (message->value_length == 0 && message->key_length > REMED_KEY_MAX)
        return REMED_APPLIED_STALE;
    if (message->value_length == 0)
        return message->key != NULL
                   ? forget(replica, message->key, message->key_length, error)
                   : remed_error_set(error, REMED_EINVAL, "neither a key nor a record");
    int rc = open_value(replica, message, &record.value_length, error);
    return rc < 0 ? rc : remed_replica_apply_opened(replica, &record, now, error);
}

int remed_replica_apply_opened(struct remed_replica *replica, const struct remed_message *message,
                               uint64_t now, struct remed_error *error)
{
    struct candidate candidate;
    const uint8_t *key = message->key;
    int rc = remed_record_decode(replica->scratch, message->value, message->value_length, error);
    if (rc < 0) {
        replica->stats.damaged += rc != REMED_ENOMEM;
        return rc;
    }
    candidate.record = replica->scratch;
    candidate.key_length = remed_record_key(replica->scratch, candidate.key, sizeof candidate.key);
    candidate.wire = message->value;
    candidate.wire_length = message->value_length;
    candidate.partition = message->partition;
    if (key != NULL && (message->key_length != candidate.key_length ||
                        memcmp(key, candidate.key, candidate.key_length) != 0)) {
        replica->stats.damaged++;
        return remed_error_set(error, REMED_EFORMAT, "the record is not that of its key");
    }
    return apply(replica, &candidate, now, error);
}

int remed_replica_apply(struct remed_replica *replica, const uint8_t *key, size_t key_length,
                        const uint8_t *bytes, size_t length, uint64_t now,
                        struct remed_error *error)
{
    const struct remed_message message = {
        .key = key, .key_length = key_length, .value = bytes, .value_length = length};
    return remed_replica_apply_message(replica, &message, now, error);
}

int remed_replica_put_mark(struct remed_replica *replica, const struct remed_mark *mark)
{
    struct candidate candidate = {.epoch = mark->epoch,
                                  .sequence = mark->sequence,
                                  .time = mark->observed,
                                  .partition = mark->partition,
                                  .key_length = mark->key_length};
    memcpy(candidate.key, mark->key, mark->key_length);
    candidate.hash = remed_hash_bytes(candidate.key, candidate.key_length, replica->secret);
    struct remed_entry **slot = find(replica, candidate.hash, candidate.key, candidate.key_length);
    if (*slot != NULL && !is_newer(&candidate, *slot))
        return 0;
    if (*slot != NULL) { /* an older one, from before: it goes as by any removal */
        int rc = replace(replica, &candidate, true, 0, NULL);
        return rc < 0 ? rc : 0;
    }
    struct remed_entry *entry = take(replica, entry_bytes(mark->key_length, 0), false, 0);
    if (entry == NULL)
        return REMED_ELIMIT;
    insert(replica, &candidate, entry);
    return 0;
}

size_t remed_replica_release(struct remed_replica *replica, uint32_t partition)
{
    size_t released = 0;
    for (size_t i = 0; i < replica->bucket_count; i++)
        for (struct remed_entry **slot = &replica->buckets[i]; *slot != NULL;) {
            if ((*slot)->partition != partition) {
                slot = &(*slot)->chain;
                continue;
            }
            bool told = (*slot)->wire_length != 0;
            released += told;
            told = told && remed_entry_record(*slot, replica->other) == 0;
            drop(replica, slot);
            if (told)
                tell(replica, REMED_APPLIED_RELEASED, replica->other);
        }
    return released;
}

int remed_replica_apply_record(struct remed_replica *replica, const struct remed_record *record,
                               uint64_t now, struct remed_error *error)
{
    struct candidate candidate = {.record = record};
    uint8_t small[512], *wire = small;
    size_t length = 0;
    int rc = remed_record_encode(record, small, sizeof small, &length);
    if (rc == REMED_ELIMIT && length <= REMED_RECORD_MAX) {
        wire = remed_allocate(&replica->allocator, length);
        if (wire == NULL)
            return remed_error_set(error, REMED_ENOMEM, "no memory for a record");
        rc = remed_record_encode(record, wire, length, &length);
    }
    candidate.key_length = remed_record_key(record, candidate.key, sizeof candidate.key);
    candidate.wire = wire;
    candidate.wire_length = length;
    rc = rc < 0 ? remed_error_set(error, rc, "the record has no domain or body, or is too long")
                : apply(replica, &candidate, now, error);
    if (wire != small)
        remed_release(&replica->allocator, wire, length);
    return rc;
}

void remed_replica_fence(struct remed_replica *replica, uint64_t epoch)
{
    if (epoch > replica->fence)
        replica->fence = epoch;
}

int remed_replica_get(const struct remed_replica *replica, const uint8_t *key, size_t key_length,
                      struct remed_record *record)
{
    uint64_t hash = remed_hash_bytes(key, key_length, replica->secret);
    struct remed_entry *entry = *find(replica, hash, key, key_length);
    if (entry == NULL || entry->wire_length == 0)
        return REMED_ENOENT;
    return remed_entry_record(entry, record);
}

/* The cursor is a bucket, and how many of its entries were met. */
int remed_replica_next(const struct remed_replica *replica, uint64_t *cursor,
                       struct remed_record *record)
{
    uint64_t bucket = *cursor >> 16, met = *cursor & 0xffff;
    for (; bucket < replica->bucket_count; bucket++, met = 0) {
        const struct remed_entry *entry = replica->buckets[bucket];
        for (uint64_t i = 0; i < met && entry != NULL; i++)
            entry = entry->chain;
        for (; entry != NULL; entry = entry->chain) {
            met++;
            if (entry->wire_length == 0)
                continue;
            *cursor = bucket << 16 | met;
            return remed_entry_record(entry, record) == 0;
        }
    }
    *cursor = bucket << 16;
    return 0;
}

size_t remed_replica_expire(struct remed_replica *replica, uint64_t now, size_t budget)
{
    size_t ended = 0;
    if (budget > replica->bucket_count)
        budget = replica->bucket_count;
    for (; budget > 0; budget--) {
        struct remed_entry **slot = &replica->buckets[replica->sweep];
        replica->sweep = (replica->sweep + 1) & (replica->bucket_count - 1);
        while (*slot != NULL) {
            struct remed_entry *entry = *slot;
            if (entry->wire_length == 0 || entry->expires == 0 || entry->expires > now) {
                slot = &entry->chain;
                continue;
            }
            bool told = remed_entry_record(entry, replica->other) == 0;
            drop(replica, slot);
            replica->stats.expired++;
            ended++;
            if (told)
                tell(replica, REMED_APPLIED_EXPIRED, replica->other);
        }
    }
    return ended;
}

void remed_replica_stats(const struct remed_replica *replica, struct remed_replica_stats *stats,
                         size_t size)
{
    remed_stats_copy(stats, size, &replica->stats, sizeof replica->stats);
}
