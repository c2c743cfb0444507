/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file publisher.h
 * The publisher: records in, by any transport out, with a report for each; and a bounded spool on a
 * disk for the time when the repository is away.
 *
 * While the transport takes what comes, records go straight to it. When it is full (its broker is
 * away, or slow), they go to the spool, and from there to the transport, in order, as it has room;
 * only when all of the spool was delivered do records go straight again, so the order of each key is
 * kept. A full spool, or a full transport without one, is ::REMED_EBUSY: nothing is dropped.
 *
 * A publisher that closes keeps in its spool what no report has come for, and the next one that
 * opens the spool delivers it. What was in the transport when the process died without closing is
 * lost unless it was spooled, as no report had come for it. Some may be delivered twice; replicas do
 * not mind. docs/repository.md has what lies in the spool's folder.
 *
 * Threads: one thread a publisher.
 */
#ifndef REMEDIATE_PUBLISHER_H
#define REMEDIATE_PUBLISHER_H

#include <remediate/sign.h>
#include <remediate/state.h>
#include <remediate/transport.h>

REMED_BEGIN_DECLS

/** A publisher, open. */
struct remed_publisher;

/**
 * Hears how a publication ended, once for each that was taken, but for those that a closing publisher
 * keeps in its spool.
 * @param context the hook's
 * @param tag the publication's
 * @param code 0: delivered; negative: lost, and why
 */
typedef void (*remed_publisher_fn)(void *context, uint64_t tag, int code);

/** Options of a publisher. */
struct remed_publisher_opts {
    size_t size;             /**< sizeof this struct, set by the init function */
    const char *origin;      /**< for records that name none, and for the transport; NULL: "" */
    uint64_t epoch;          /**< for records with epoch 0; default 1; ::REMED_NUMBER_GIVEN_MAX at most */
    uint64_t first_sequence; /**< for records with sequence 0, counted on from here; default 1; 2^62 at
                                  most. Greater than any before of this origin, such as the clock in
                                  ns; @c resume sees to it where the clock can step back. A spool
                                  remembers its own in any case */
    const char *spool;       /**< a folder for this publisher alone; NULL: none */
    uint64_t spool_bytes;    /**< most bytes of the spool on the disk, in any moment: 1 MiB at least;
                                  default 1 GiB. What is in flight counts as well, as it may have to be
                                  kept when the publisher closes */
    remed_publisher_fn delivered; /**< may be NULL */
    void *context;                /**< for @c delivered */
    const struct remed_allocator *allocator; /**< NULL: malloc */
    const struct remed_mac *mac; /**< copied: records are signed; NULL: they are not */
    uint32_t key_id;             /**< the key to sign with, when there is a mac */
    uint32_t resume; /**< 1: read first what this origin has published, and go on behind it; 0: do
                          not (default); others are ::REMED_EINVAL. See remed_publisher_new() */
};

/** Counters of a publisher. */
struct remed_publisher_stats {
    uint64_t published;  /**< records taken */
    uint64_t delivered;  /**< reported as delivered, those of earlier publishers not counted */
    uint64_t lost;       /**< reported as lost */
    uint64_t refused;    /**< calls answered ::REMED_EBUSY */
    uint64_t spooled;    /**< records that went to the spool */
    uint64_t recovered;  /**< delivered for an earlier publisher on this spool */
    uint64_t damaged;    /**< places of the spool that could not be read */
    uint64_t pending;    /**< taken, without report: in the transport or in the spool */
    uint64_t waiting;    /**< in the spool now, those of earlier publishers too */
};

/** Sets the defaults. @param opts not NULL @param size sizeof *opts */
REMED_API void remed_publisher_opts_init(struct remed_publisher_opts *opts, size_t size);
/**
 * Opens a transport and publishes to it. What waits in the spool is delivered first.
 *
 * With @c resume a second transport reads the repository, from the beginning or, with a spool, from
 * where the last publisher on it had read to, until the greatest epoch of this origin and the greatest
 * sequence of all are known; those that are signed alone count where there is a mac. Meanwhile records
 * are taken, to the spool or to memory (@c max_pending and @c max_pending_bytes of @p transport). What
 * is filled in is behind all that was found, in an epoch that is not below that of the origin's last
 * record; where an epoch's sequences end, the next epoch begins. What the host gave stays as it is.
 * What waits in the spool keeps its own epoch and origin, whatever those of @p opts are.
 * A repository that can't be read is written to all the same, and the log hook is told why.
 *
 * A spool belongs to one repository. While something waits in it, it is refused for another one; the
 * file @c spool-state in its folder says which, and removing that file lifts the refusal.
 *
 * @param[out] publisher to be closed with remed_publisher_close(); not NULL
 * @param uri as remed_transport_open(); not NULL
 * @param transport options of the transport; its @c delivered event is the publisher's own, its
 *        origin that of @p opts unless it has one; NULL for the defaults
 * @param opts NULL for the defaults
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for an option out of range, a spool's folder that is a repository, or a
 *         spool with records for another repository; ::REMED_EPERM when another process has the spool,
 *         or others than its owner may write to it; ::REMED_EFORMAT when its state is damaged;
 *         ::REMED_EIO when it can't be read or written; what remed_transport_open() and
 *         remed_transport_subscribe() return; ::REMED_ENOMEM
 */
REMED_API int remed_publisher_new(struct remed_publisher **publisher, const char *uri,
                                  const struct remed_transport_opts *transport,
                                  const struct remed_publisher_opts *opts,
                                  struct remed_error *error);
/**
 * Publishes a batch of records.
 * @param publisher not NULL
 * @param records @p count of them, with domain and body; what they leave out (origin "", epoch 0,
 *        sequence 0) is filled in, in those that were taken; may be used again after the call
 * @param count 1 to INT_MAX
 * @param tag of the first; the others count on from it
 * @param error filled when not all were taken; may be NULL
 * @return how many were taken, from the first on, when that is any; else ::REMED_EBUSY: try again
 *         after process; ::REMED_EINVAL for a record without domain or body, or in a callback when
 *         the publisher closes; ::REMED_ELIMIT for one that is too long, whose own epoch or sequence is
 *         above ::REMED_NUMBER_GIVEN_MAX, or (without @c resume) when sequences would pass 2^62;
 *         ::REMED_ENOENT when the mac does not hold the key; ::REMED_EIO; others of the mac and of remed_transport_publish()
 */
REMED_API int remed_publisher_publish(struct remed_publisher *publisher,
                                      struct remed_record *const *records, size_t count,
                                      uint64_t tag, struct remed_error *error);
/** Signs with another key from now on. What waits in the spool stays signed as it is.
 *  @param publisher not NULL @param key_id the key; no matter without a mac */
REMED_API void remed_publisher_sign_with(struct remed_publisher *publisher, uint32_t key_id);
/**
 * Does what is to be done, and calls back.
 * @param publisher not NULL
 * @param now the host's clock, ns; one that steps back stops nothing
 * @param error filled on failure; may be NULL
 * @return above 0 when there is more at once; 0; ::REMED_EIO and others when transport or spool
 *         can't go on: close it then, and what the transport gave up is kept in the spool, but for
 *         records that it will never take (::REMED_ELIMIT), which are reported as lost
 */
REMED_API int remed_publisher_process(struct remed_publisher *publisher, uint64_t now,
                                      struct remed_error *error);
/** Gives the descriptor to poll. @param publisher not NULL @param[out] events poll's; may be NULL
 *  @return it, -1 without one */
REMED_API int remed_publisher_fd(const struct remed_publisher *publisher, short *events);
/** Tells when process is due. @param publisher not NULL
 *  @return ns on process's clock; UINT64_MAX: only by the descriptor */
REMED_API uint64_t remed_publisher_deadline(const struct remed_publisher *publisher);
/** Gives the transport, to subscribe to it or read its counters; not to publish, process or close.
 *  @param publisher not NULL @return it, the publisher's own */
REMED_API struct remed_transport *remed_publisher_transport(struct remed_publisher *publisher);
/**
 * Tells for people what the publisher waits for: the repository, as remed_transport_waiting(); reading
 * what its origin published before; room in its spool or on the spool's disk. Parted by "; ".
 * @param publisher not NULL
 * @param[out] text @p size bytes, "" when it waits for nothing @param size bytes at @p text
 * @return bytes without NUL, as snprintf; 0 when it waits for nothing
 */
REMED_API size_t remed_publisher_waiting(const struct remed_publisher *publisher, char *text,
                                         size_t size);
/** Reads the counters. @param publisher not NULL @param[out] stats not NULL @param size sizeof *stats */
REMED_API void remed_publisher_stats(const struct remed_publisher *publisher,
                                     struct remed_publisher_stats *stats, size_t size);
/**
 * Closes and frees. What is pending is kept in the spool, or without one reported as lost.
 * Inside a callback the closing waits until the callback returns.
 * @param publisher may be NULL @param error filled on failure; may be NULL
 * @return 0; ::REMED_EIO when records were lost: the message has how many, and the cause of the first
 *         of each kind; others of transport and spool
 */
REMED_API int remed_publisher_close(struct remed_publisher *publisher, struct remed_error *error);

REMED_END_DECLS
#endif
