/* SPDX-License-Identifier: BSD-3-Clause */
/* The replica of repository.h. Threads: one thread a replica. */
#include "repository/replica.h"

#include "base/entropy.h"

#define MAX_ENTRIES (1u << 28)

void remed_replica_opts_init(struct remed_replica_opts *opts, size_t size)
{
    const struct remed_replica_opts defaults = {
        .size = size, .max_entries = 1u << 20, .max_bytes = 1u << 30};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

static int check_opts(const struct remed_replica_opts *opts, struct remed_error *error)
{
    if (opts->reserved != 0)
        return remed_error_set(error, REMED_EINVAL, "replica: its options' reserved is not zero");
    if (opts->max_entries < 16 || opts->max_entries > MAX_ENTRIES)
        return remed_error_set(error, REMED_EINVAL, "max_entries is %u, must be 16 to %u",
                               opts->max_entries, MAX_ENTRIES);
    if (opts->max_bytes < 2 * REMED_ARENA_CHUNK || opts->max_bytes > SIZE_MAX / 2)
        return remed_error_set(error, REMED_EINVAL, "max_bytes must be at least 2 MiB");
    if (opts->domain != NULL &&
        remed_text_length(opts->domain, REMED_NAME_MAX + 1) > REMED_NAME_MAX)
        return remed_error_set(error, REMED_EINVAL, "the domain is too long");
    if (opts->mac != NULL && (opts->mac->size < sizeof *opts->mac || opts->mac->compute == NULL))
        return remed_error_set(error, REMED_EINVAL, "the mac is not filled in");
    return 0;
}

int remed_digest_key_draw(struct remed_digest_key *key, const struct remed_entropy *entropy,
                          struct remed_error *error)
{
    static const uint64_t none[2];
    return remed_entropy_secret(key->word, none, entropy, error);
}

static bool is_key(const struct remed_digest_key *key)
{
    return (key->word[0] | key->word[1]) != 0;
}

/* The secrets of the buckets and the digest. */
static int draw_secrets(struct remed_replica *replica, struct remed_error *error)
{
    struct remed_replica_opts *opts = &replica->opts;
    int rc = remed_entropy_secret(replica->secret, opts->seed, opts->entropy, error);
    if (rc == 0 && !is_key(&opts->digest_key))
        rc = remed_digest_key_draw(&opts->digest_key, opts->entropy, error);
    if (rc == 0)
        remed_digest_prepare(&replica->digest, &opts->digest_key);
    return rc;
}

static int take_memory(struct remed_replica *replica, struct remed_error *error)
{
    const struct remed_allocator *allocator = &replica->allocator;
    size_t count = 16;
    while (count < replica->opts.max_entries)
        count *= 2;
    replica->buckets = remed_allocate(allocator, count * sizeof *replica->buckets);
    replica->bucket_count = replica->buckets != NULL ? count : 0;
    if (replica->buckets == NULL || remed_record_new(&replica->scratch, allocator) < 0 ||
        remed_record_new(&replica->other, allocator) < 0 ||
        remed_record_reserve(replica->scratch) < 0 || remed_record_reserve(replica->other) < 0)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a replica of %u entries",
                               replica->opts.max_entries);
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
    made->allocator = allocator;
    made->opts = opts;
    remed_arena_init(&made->arena, opts.max_bytes, &allocator);
    made->arena.tell = remed_table_moved;
    made->arena.context = made;
    if (opts.mac != NULL)
        made->mac = *opts.mac;
    if (opts.domain != NULL)
        memcpy(made->domain, opts.domain, strlen(opts.domain) + 1);
    rc = draw_secrets(made, error);
    if (rc == 0)
        rc = take_memory(made, error);
    if (rc < 0)
        remed_replica_free(made);
    else
        *replica = made;
    return rc;
}

void remed_replica_free(struct remed_replica *replica)
{
    if (replica == NULL)
        return;
    struct remed_allocator allocator = replica->allocator;
    remed_arena_fini(&replica->arena);
    remed_release(&allocator, replica->buckets, replica->bucket_count * sizeof *replica->buckets);
    remed_record_free(replica->scratch);
    remed_record_free(replica->other);
    remed_release(&allocator, replica, sizeof *replica);
}

int remed_entry_record(const struct remed_entry *entry, struct remed_record *record)
{
    return remed_record_decode(record, remed_entry_wire(entry), entry->wire_length, NULL);
}

static void tell(struct remed_replica *replica, enum remed_applied what,
                 const struct remed_record *record)
{
    if (replica->opts.change != NULL)
        replica->opts.change(replica->opts.context, what, record);
}

static bool is_newer(const struct remed_candidate *candidate, const struct remed_entry *entry)
{
    return candidate->epoch != entry->epoch ? candidate->epoch > entry->epoch
                                            : candidate->sequence > entry->sequence;
}

static int refuse(struct remed_replica *replica, int code, struct remed_error *error)
{
    replica->stats.refused++;
    return remed_error_set(error, code,
                           code == REMED_ENOMEM ? "no memory for another entry: %llu are held"
                                                : "no room for another entry: %llu are held",
                           (unsigned long long)replica->stats.entries);
}

/* Puts a candidate that is newer into the table, and tells the hook. `old` is what its key
 * has. `over`: it came after it had expired, and leaves its mark alone. */
static int replace(struct remed_replica *replica, const struct remed_candidate *candidate,
                   struct remed_entry *old, bool over, uint64_t now, struct remed_error *error)
{
    bool removes = candidate->wire_length == 0, had = old != NULL && old->wire_length != 0;
    bool told = had && removes && remed_entry_record(old, replica->other) == 0;
    int rc = remed_table_put(replica, candidate, old, now);
    if (rc < 0 && !removes)
        return refuse(replica, rc, error); /* an older entry stays as it is */
    replica->stats.forgotten += rc < 0;    /* there was nothing, and no room for a mark */
    if (over && !had)
        return REMED_APPLIED_EXPIRED;
    replica->stats.applied++;
    if (!removes) {
        tell(replica, had ? REMED_APPLIED_CHANGED : REMED_APPLIED_NEW, candidate->record);
        return had ? REMED_APPLIED_CHANGED : REMED_APPLIED_NEW;
    }
    if (told)
        tell(replica, REMED_APPLIED_REMOVED, replica->other);
    return REMED_APPLIED_REMOVED;
}

/* Whatever the order and the time in which records come: each key ends with its newest, or with
 * that one's mark. */
static int apply(struct remed_replica *replica, struct remed_candidate *candidate, uint64_t now,
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
    candidate->hash = remed_table_hash(replica, candidate->key, candidate->key_length);
    candidate->epoch = record->epoch;
    candidate->sequence = record->sequence;
    struct remed_entry *old =
        *remed_table_find(replica, candidate->hash, candidate->key, candidate->key_length);
    if (old != NULL && !is_newer(candidate, old)) {
        replica->stats.stale++;
        return REMED_APPLIED_STALE;
    }
    bool removes = record->op == REMED_OP_REMOVE;
    bool over = !removes && record->expires != 0 && record->expires <= now;
    replica->stats.expired += over;
    candidate->time = record->expires;
    if (removes || over) {
        candidate->wire_length = 0;
        candidate->time = record->observed;
    }
    return replace(replica, candidate, old, over, now, error);
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
    uint32_t hash = remed_table_hash(replica, key, length);
    struct remed_entry **slot = remed_table_find(replica, hash, key, length);
    if (replica->mac.compute != NULL)
        return keep(replica, *slot, error);
    if (*slot == NULL)
        return REMED_APPLIED_STALE;
    bool had = (*slot)->wire_length != 0 && remed_entry_record(*slot, replica->other) == 0;
    remed_table_drop(replica, slot);
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
    struct remed_candidate candidate;
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
    struct remed_candidate candidate = {.epoch = mark->epoch,
                                        .sequence = mark->sequence,
                                        .time = mark->observed,
                                        .partition = mark->partition,
                                        .key_length = mark->key_length};
    memcpy(candidate.key, mark->key, mark->key_length);
    candidate.hash = remed_table_hash(replica, candidate.key, candidate.key_length);
    struct remed_entry *old =
        *remed_table_find(replica, candidate.hash, candidate.key, candidate.key_length);
    if (old != NULL && !is_newer(&candidate, old))
        return 0;
    if (old != NULL) { /* an older one, from before: it goes as by any removal */
        int rc = replace(replica, &candidate, old, false, 0, NULL);
        return rc < 0 ? rc : 0;
    }
    int rc = remed_table_put(replica, &candidate, NULL, 0);
    replica->stats.forgotten += rc < 0;
    return rc;
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
            remed_table_drop(replica, slot);
            if (told)
                tell(replica, REMED_APPLIED_RELEASED, replica->other);
        }
    return released;
}

int remed_replica_apply_record(struct remed_replica *replica, const struct remed_record *record,
                               uint64_t now, struct remed_error *error)
{
    struct remed_candidate candidate = {.record = record, .wire = replica->wire};
    int rc =
        remed_record_encode(record, replica->wire, sizeof replica->wire, &candidate.wire_length);
    if (rc < 0)
        return remed_error_set(error, rc, "the record has no domain or body, or is too long");
    candidate.key_length = remed_record_key(record, candidate.key, sizeof candidate.key);
    return apply(replica, &candidate, now, error);
}

int remed_replica_fence(struct remed_replica *replica, uint64_t epoch)
{
    if (epoch > REMED_NUMBER_MAX)
        return REMED_EINVAL;
    if (epoch > replica->fence)
        replica->fence = epoch;
    return 0;
}

int remed_replica_get(const struct remed_replica *replica, const uint8_t *key, size_t key_length,
                      struct remed_record *record)
{
    uint32_t hash = remed_table_hash(replica, key, key_length);
    const struct remed_entry *entry = *remed_table_find(replica, hash, key, key_length);
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

/* Of the entries of a bucket, those that are over become marks. */
static size_t expire_bucket(struct remed_replica *replica, size_t bucket, uint64_t now)
{
    struct remed_record_head head = {.size = sizeof head};
    size_t ended = 0;
    for (struct remed_entry *entry = replica->buckets[bucket]; entry != NULL;
         entry = entry->chain) {
        if (entry->wire_length == 0 || entry->expires == 0 || entry->expires > now ||
            remed_entry_record(entry, replica->other) < 0)
            continue;
        remed_record_head(replica->other, &head, sizeof head);
        remed_table_mark(replica, entry, head.observed);
        replica->stats.expired++;
        ended++;
        tell(replica, REMED_APPLIED_EXPIRED, replica->other);
    }
    return ended;
}

size_t remed_replica_expire(struct remed_replica *replica, uint64_t now, size_t budget)
{
    size_t ended = 0;
    if (budget > replica->bucket_count)
        budget = replica->bucket_count;
    for (; budget > 0; budget--) {
        ended += expire_bucket(replica, replica->sweep, now);
        replica->sweep = (replica->sweep + 1) & (replica->bucket_count - 1);
    }
    return ended;
}

void remed_replica_stats(const struct remed_replica *replica, struct remed_replica_stats *stats,
                         size_t size)
{
    struct remed_replica_stats own = replica->stats;
    own.bytes = replica->arena.live;
    remed_stats_copy(stats, size, &own, sizeof own);
}
