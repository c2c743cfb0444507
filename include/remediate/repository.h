/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file repository.h
 * The replica: a table of the newest record of each key, fed from any transport; and the audit, which
 * tells how equal two replicas are.
 *
 * Applying is idempotent and order-proof: for each key the record with the greater (epoch, sequence)
 * wins, a repeat or a late one changes nothing. What was removed or has expired stays as a mark, so
 * that an older record does not bring the entry back, until its room is needed: then the oldest marks
 * give way.
 *
 * Threads: one thread a replica.
 */
#ifndef REMEDIATE_REPOSITORY_H
#define REMEDIATE_REPOSITORY_H

#include <remediate/entropy.h>
#include <remediate/error.h>
#include <remediate/memory.h>
#include <remediate/sign.h>
#include <remediate/state.h>
#include <remediate/transport.h>

REMED_BEGIN_DECLS

/** A materialised table of records. */
struct remed_replica;

/** What applying a record did. */
enum remed_applied {
    REMED_APPLIED_STALE = 0,   /**< nothing: the entry is as new or newer */
    REMED_APPLIED_NEW = 1,     /**< made an entry */
    REMED_APPLIED_CHANGED = 2, /**< replaced an entry */
    REMED_APPLIED_REMOVED = 3, /**< took an entry away */
    REMED_APPLIED_FENCED = 4,  /**< nothing: its epoch is below the fence */
    REMED_APPLIED_EXPIRED = 5, /**< no entry: it had expired already, and left its mark alone */
    REMED_APPLIED_FOREIGN = 6, /**< nothing: of another domain */
    REMED_APPLIED_RELEASED = 7 /**< told to the hook alone: its partition is another member's now */
};

/**
 * Hears of each change, after it. May read the replica, and may not change it.
 * @param context the hook's
 * @param what ::REMED_APPLIED_NEW, _CHANGED, _REMOVED, _EXPIRED for an entry that ended by time, or
 *        _RELEASED
 * @param record the record as it is now, of a removal as it was; borrowed for the call
 */
typedef void (*remed_replica_fn)(void *context, enum remed_applied what,
                                 const struct remed_record *record);

/** The key of a digest: 128 random bits. Who compares two tables draws it, both compute with it, and
 *  who knows it beforehand could choose records that make tables look equal that differ. */
struct remed_digest_key {
    uint64_t word[2]; /**< not both zero */
};

/** Options of a replica. */
struct remed_replica_opts {
    size_t size;          /**< sizeof this struct, set by the init function */
    uint32_t max_entries; /**< hard size, marks included: 16 to 2^28; default 2^20 */
    uint32_t reserved;    /**< zero */
    uint64_t max_bytes;   /**< of memory for entries and marks: 2 MiB or more; default 1 GiB; taken in
                               steps of 1 MiB as it is needed. They fill seven eighths of it, less
                               1 MiB; the rest is what keeps all of that usable for ever */
    uint64_t seed[2];     /**< secret of the hash; zeros: one is drawn */
    const char *domain;   /**< the only domain that is taken; NULL: all */
    remed_replica_fn change; /**< may be NULL */
    void *context;        /**< for @c change */
    const struct remed_allocator *allocator; /**< NULL: malloc */
    const struct remed_mac *mac; /**< copied: values must be signed; NULL: signatures do not count */
    struct remed_digest_key digest_key; /**< of the digest; zeros: one is drawn */
    const struct remed_entropy *entropy; /**< where secrets are drawn; NULL: the system's */
};

/** Counters of a replica. */
struct remed_replica_stats {
    uint64_t entries;   /**< live now, those that expired unseen included */
    uint64_t marks;     /**< removals and expiries remembered now */
    uint64_t bytes;     /**< of entries and marks now, of those that opts.max_bytes leaves them */
    uint64_t applied;   /**< records that changed something */
    uint64_t stale;     /**< records that were as old or older than the entry */
    uint64_t fenced;    /**< records below the fence */
    uint64_t expired;   /**< entries ended by time, and records that came too late */
    uint64_t foreign;   /**< records of another domain */
    uint64_t damaged;   /**< bytes that were no record, or not that of their key */
    uint64_t refused;   /**< records for which there was no room */
    uint64_t forgotten; /**< marks given up for room */
    uint64_t not_signed; /**< values refused: without a signature, or an entry's removal by the transport */
    uint64_t unknown_key; /**< values refused: signed with a key that the mac does not hold */
    uint64_t altered;   /**< values refused: the signature does not fit */
};

/** Sets the defaults. @param opts not NULL @param size sizeof *opts */
REMED_API void remed_replica_opts_init(struct remed_replica_opts *opts, size_t size);
/**
 * Makes an empty replica.
 * @param[out] replica to be freed with remed_replica_free(); not NULL
 * @param opts NULL for the defaults
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for an option out of range, or a reserved member that is not zero;
 *         ::REMED_EIO without random bytes for a secret; ::REMED_ENOMEM
 */
REMED_API int remed_replica_new(struct remed_replica **replica,
                                const struct remed_replica_opts *opts, struct remed_error *error);
/**
 * Applies what came from a transport. With a mac in the options what is not signed, is signed with a
 * key that is not held or is altered changes nothing, nor does the transport's own removal of a key.
 * @param replica not NULL
 * @param key its key, checked against the record's own; NULL when there is none to check, which a
 *        mac does not allow
 * @param key_length bytes at @p key
 * @param bytes the record's wire form, with or without a signature; NULL with 0: the transport
 *        removed the key for good
 * @param length bytes at @p bytes
 * @param now ns since the Unix epoch, for expiry
 * @param error filled on failure; may be NULL
 * @return enum remed_applied; ::REMED_EFORMAT and others of remed_record_decode(), counted as
 *         damaged; ::REMED_ELIMIT when there is no room, and ::REMED_ENOMEM when the allocator gives
 *         no more of it, both counted as refused; ::REMED_EPERM for a signature, counted by its fault;
 *         ::REMED_EINVAL without a key; others of the mac. Whether there is room depends on
 *         what entries there are, never on what was there before: marks give way to an entry
 */
REMED_API int remed_replica_apply(struct remed_replica *replica, const uint8_t *key,
                                  size_t key_length, const uint8_t *bytes, size_t length,
                                  uint64_t now, struct remed_error *error);
/**
 * Applies a message of a transport, and remembers its partition. As remed_replica_apply().
 * @param replica not NULL
 * @param message key, value and partition; key NULL when there is none to check; not NULL
 * @param now ns since the Unix epoch, for expiry
 * @param error filled on failure; may be NULL
 * @return as remed_replica_apply()
 */
REMED_API int remed_replica_apply_message(struct remed_replica *replica,
                                          const struct remed_message *message, uint64_t now,
                                          struct remed_error *error);
/**
 * Lets go of all entries and marks of a partition, as it became another member's of the group: call
 * it when the transport tells so, in remed_transport_events.share.
 * @param replica not NULL @param partition as messages have it
 * @return how many entries went
 */
REMED_API size_t remed_replica_release(struct remed_replica *replica, uint32_t partition);
/** Applies a record. As remed_replica_apply(); a signature is not asked for, as it is the host's
 *  own. @param replica not NULL @param record not NULL
 *  @param now ns since the Unix epoch @param error may be NULL @return as remed_replica_apply() */
REMED_API int remed_replica_apply_record(struct remed_replica *replica,
                                         const struct remed_record *record, uint64_t now,
                                         struct remed_error *error);
/** Refuses records of an epoch below this from now on; never goes down. @param replica not NULL
 *  @param epoch the least that is taken @return 0; ::REMED_EINVAL above ::REMED_NUMBER_MAX: the fence
 *  stays */
REMED_API int remed_replica_fence(struct remed_replica *replica, uint64_t epoch);
/**
 * Finds an entry.
 * @param replica not NULL
 * @param key canonical, as remed_record_key() writes it; not NULL
 * @param key_length its bytes
 * @param[out] record filled; not NULL
 * @return 0; ::REMED_ENOENT
 */
REMED_API int remed_replica_get(const struct remed_replica *replica, const uint8_t *key,
                                size_t key_length, struct remed_record *record);
/**
 * Walks the entries, in no order. Entries that change meanwhile may be met twice or not at all.
 * @param replica not NULL
 * @param[in,out] cursor 0 to begin; not NULL
 * @param[out] record filled; not NULL
 * @return 1 for an entry; 0 at the end
 */
REMED_API int remed_replica_next(const struct remed_replica *replica, uint64_t *cursor,
                                 struct remed_record *record);
/** Ends entries that have expired, looking at @p budget places of the table, on from where it
 *  stopped before. They become marks, at no cost of room. A clock that steps back stops nothing.
 *  @param replica not NULL @param now ns since the Unix epoch @param budget places
 *  @return how many ended */
REMED_API size_t remed_replica_expire(struct remed_replica *replica, uint64_t now, size_t budget);
/** Reads the counters. @param replica not NULL @param[out] stats not NULL @param size sizeof *stats */
REMED_API void remed_replica_stats(const struct remed_replica *replica,
                                   struct remed_replica_stats *stats, size_t size);
/** Frees the replica. @param replica may be NULL */
REMED_API void remed_replica_free(struct remed_replica *replica);

/** Longest position that a snapshot keeps, bytes. */
#define REMED_SNAPSHOT_POSITION_MAX 65536u

/**
 * Writes all entries and marks into a file, with the position that they stand for, and makes it last
 * before it takes the place of an older one. Nobody but this user can read it, whatever the umask.
 * Blocks while it writes.
 * @param replica not NULL
 * @param path of the file; not NULL. PATH.tmp-PID-NUMBER beside it is made, written and renamed; a
 *        file that is there already is neither written nor removed
 * @param position what remed_transport_position() tells now, "" without; not NULL
 * @param error filled on failure, with the file and the cause; may be NULL
 * @return 0; ::REMED_ELIMIT for a position or path too long; ::REMED_EPERM; ::REMED_ENOENT without
 *         its folder; ::REMED_EIO, a full disk too; ::REMED_ENOMEM. On failure an older file stays,
 *         and what was written beside it is gone; only when the folder's own fsync fails has the
 *         new file taken its place, and might be undone by a loss of power.
 */
REMED_API int remed_replica_save(const struct remed_replica *replica, const char *path,
                                 const char *position, struct remed_error *error);
/**
 * Applies a file of remed_replica_save(). It is read once, into a table beside the replica's, and
 * each record is checked as it comes: nothing is applied before all of it was. That table needs the
 * memory of the file's entries and 8 bytes for each of max_entries; an empty replica takes it over,
 * else its entries are applied one by one and it is freed. A mac of the replica does not count here:
 * what was saved was checked before, so guard the file. A file of another user than this one or root
 * is refused, and other users' rights to it are taken away.
 * @param replica not NULL; unchanged unless 0 or ::REMED_ELIMIT is returned, or ::REMED_ENOMEM while
 *        entries were applied to one that was not empty
 * @param path of the file; not NULL
 * @param[out] position @p size bytes, NUL-terminated: for remed_transport_subscribe(); not NULL
 * @param size bytes at @p position, above 0; ::REMED_SNAPSHOT_POSITION_MAX + 1 always suffice
 * @param now ns since the Unix epoch, for expiry
 * @param error filled on failure, with the file and the cause; may be NULL
 * @return 0; ::REMED_ENOENT, ::REMED_EPERM, ::REMED_EIO; ::REMED_EINVAL when @p size is too small;
 *         ::REMED_EFORMAT for damage, or a file cut within a record; ::REMED_ETRUNCATED for one cut
 *         between records; ::REMED_EUNSUPPORTED for a newer version, or a record of a kind too new;
 *         ::REMED_ELIMIT when not all entries found room, which stats count; ::REMED_ENOMEM
 */
REMED_API int remed_replica_load(struct remed_replica *replica, const char *path, char *position,
                                 size_t size, uint64_t now, struct remed_error *error);

/** Leaves of the digest: parts of the table that are compared one by one. */
#define REMED_DIGEST_LEAVES 4096u

/** The digest of some entries: equal for equal state, whatever its history. */
struct remed_digest {
    uint64_t sum[2]; /**< of keyed hashes of key and body */
    uint64_t count;  /**< of entries */
};

/**
 * Draws a key, for a digest that is to be compared with one of another machine.
 * @param[out] key not NULL
 * @param entropy where it is drawn; NULL: the system's
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EIO without random bytes
 */
REMED_API int remed_digest_key_draw(struct remed_digest_key *key,
                                    const struct remed_entropy *entropy,
                                    struct remed_error *error);
/** Tells the key of a replica's digest. @param replica not NULL @param[out] key not NULL */
REMED_API void remed_replica_digest_key(const struct remed_replica *replica,
                                        struct remed_digest_key *key);
/**
 * Gives a replica's digest another key, in one pass over its table (docs/repository.md tells what it
 * costs); with the key that it has, nothing is done. From then on the digest follows every change by
 * that key.
 * @param replica not NULL
 * @param key what another machine's table is to be compared by; not NULL
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for zeros
 */
REMED_API int remed_replica_rekey(struct remed_replica *replica,
                                  const struct remed_digest_key *key, struct remed_error *error);
/**
 * Reads one leaf's digest. Keys are spread over leaves by a hash with the digest's key; epoch,
 * sequence, origin and times are no part of it, so equal digests by one key mean equal state.
 * @param replica not NULL @param leaf below ::REMED_DIGEST_LEAVES @param[out] digest not NULL
 */
REMED_API void remed_replica_digest(const struct remed_replica *replica, uint32_t leaf,
                                    struct remed_digest *digest);

/**
 * Tells in which leaf of a replica's digest a key's entry is counted, or would be; the same in every
 * replica whose digest has the same key. To compare with a table that is far, ask it for its digests
 * by one key, and then for the entries of the leaves that differ.
 * @param replica not NULL
 * @param key canonical, as remed_record_key() writes it; not NULL
 * @param key_length its bytes
 * @return below ::REMED_DIGEST_LEAVES
 */
REMED_API uint32_t remed_replica_leaf(const struct remed_replica *replica, const uint8_t *key,
                                      size_t key_length);

/** How an entry differs between two replicas. */
enum remed_difference {
    REMED_DIFFERENCE_MISSING = 0, /**< in the first alone */
    REMED_DIFFERENCE_EXTRA = 1,   /**< in the second alone */
    REMED_DIFFERENCE_STALE = 2,   /**< in both, the second's is older and its body another */
    REMED_DIFFERENCE_FIELD = 3    /**< in both, as new, with another body */
};

/**
 * Hears of one difference.
 * @param context the caller's
 * @param what how they differ
 * @param a the first's record; NULL when it has none
 * @param b the second's record; NULL when it has none
 * @param fields names of the fields that differ, parted by commas; "" without
 */
typedef void (*remed_audit_fn)(void *context, enum remed_difference what,
                               const struct remed_record *a, const struct remed_record *b,
                               const char *fields);

/** What an audit found. */
struct remed_audit {
    uint64_t entries[2];     /**< of both */
    uint64_t equal;          /**< in both with the same body */
    uint64_t differences[4]; /**< by enum remed_difference */
    uint64_t leaves;         /**< that had to be looked into */
};

/**
 * Compares two replicas: leaf by leaf by digest, entry by entry where a digest differs. Where their
 * digests have different keys, the second one's leaves are summed by the first one's first, in a pass
 * over its table.
 * @param a not NULL @param b not NULL
 * @param difference called for each; may be NULL
 * @param context for @p difference
 * @param[out] audit not NULL @param size sizeof *audit
 * @return 0 when they are equal; 1 when not; ::REMED_ENOMEM
 */
REMED_API int remed_replica_audit(const struct remed_replica *a, const struct remed_replica *b,
                                  remed_audit_fn difference, void *context,
                                  struct remed_audit *audit, size_t size);

REMED_END_DECLS
#endif
