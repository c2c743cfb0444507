/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A publisher from within: what publisher.c, publisher_close.c and numbers.c share.
 *
 * Threads: one thread a publisher.
 */
#ifndef REMED_REPOSITORY_PUBLISHING_H
#define REMED_REPOSITORY_PUBLISHING_H

#include <remediate/publisher.h>
#include "repository/flight.h"
#include "repository/losses.h"
#include "repository/resume.h"
#include "repository/spool.h"
#include "repository/steady.h"
#include "state/record.h"

/*
 * Epoch and sequence of records that name none.
 *
 * While it is read what was published before (resume.h), records are taken all the same: to the
 * spool, or without one to a backlog in memory. They have sequences from `base` on; when it is
 * known that these are not beyond the last, `shift` is added to each on its way out, until nothing
 * of them waits. Their epoch stays, but is `least` at least. What the host gave is never changed:
 * each that waits has a mark of which numbers were filled in. The spool's state has base, shift
 * and least, so a restart goes on with them, whatever its own epoch and origin are.
 */
struct remed_numbers {
    uint64_t epoch, next;
    uint64_t bound; /* the spool's state allows all below; without a spool UINT64_MAX */
    uint64_t base;  /* 0: records go out as they are */
    uint64_t shift;
    uint64_t least;                 /* epoch of what is restamped, at least; 0: any */
    char waits[REMED_NAME_MAX + 1]; /* origin of what waits, where it is another; "" */
    bool resumes; /* as the options say: and goes to the next epoch where sequences end */
    bool resuming;
    struct remed_resume resume;
    struct remed_flight backlog; /* slots NULL: there is none */
    struct remed_record *scratch;
};

struct remed_publisher {
    struct remed_transport *transport;
    struct remed_transport_events host; /* what the host wants to hear of the transport */
    struct remed_log log;
    remed_publisher_fn delivered;
    void *context;
    char origin[REMED_NAME_MAX + 1];
    struct remed_numbers numbers;
    struct remed_mac mac; /* compute NULL: nothing is signed */
    uint32_t key_id;
    struct remed_spool spool;
    struct remed_message held; /* read from the spool, not taken by the transport yet */
    uint64_t held_tag;
    unsigned held_filled;
    bool holds;
    struct remed_flight flight;
    bool gave_up; /* the transport let go of something that the spool is to keep */
    bool processing, more, closing, close_later;
    struct remed_steady steady;
    uint64_t now; /* of the last process, on the steady clock */
    struct remed_losses losses;
    char cause[REMED_ERROR_MESSAGE_SIZE]; /* why the transport gives up; "" */
    uint8_t wire[REMED_SIGNED_MAX], restamped[REMED_SIGNED_MAX];
    struct remed_publisher_stats stats;
    struct remed_allocator allocator;
};

static inline bool remed_publisher_has_spool(const struct remed_publisher *publisher)
{
    return publisher->spool.folder >= 0;
}

/* Ends a record: counts, keeps the cause of a loss, and calls back. */
void remed_publisher_report(struct remed_publisher *publisher, uint64_t tag, int code,
                            const char *cause);
/* Lets go of all but the transport and the spool. */
void remed_publisher_release(struct remed_publisher *publisher);
int remed_publisher_close_now(struct remed_publisher *publisher, struct remed_error *error);

/* Begins with the options' numbers and the spool's, and to read the repository where it is wanted.
 */
int remed_numbers_begin(struct remed_publisher *publisher, const char *uri,
                        const struct remed_transport_opts *transport,
                        const struct remed_publisher_opts *opts, struct remed_error *error);
/* Notes down exactly what was given out. */
void remed_numbers_close(struct remed_publisher *publisher);
void remed_numbers_end(struct remed_publisher *publisher);
/* The next sequence, not used up yet. REMED_ELIMIT: there are no more; REMED_EBUSY: the spool can't
 * note it down now. */
int remed_numbers_next(struct remed_publisher *publisher, uint64_t *sequence,
                       struct remed_error *error);
/* Reads on. 1: there is more at once, 0, an error. */
int remed_numbers_process(struct remed_publisher *publisher, struct remed_error *error);
/* Nothing waits that has numbers to be shifted: new ones are as they should be. */
int remed_numbers_settle(struct remed_publisher *publisher, struct remed_error *error);
/* The host gave a record that was taken this number: what is filled in from now on is behind it. */
void remed_numbers_given(struct remed_publisher *publisher, const struct remed_record *record);
/* The message as it is to go out: the same, or one in `restamped`; filled: enum remed_filled.
 * REMED_ELIMIT: its numbers would be beyond all that may be. */
int remed_numbers_restamp(struct remed_publisher *publisher, struct remed_message *message,
                          unsigned filled, struct remed_error *error);
/* Whether a record may go straight. */
static inline bool remed_numbers_are_known(const struct remed_numbers *numbers)
{
    return !numbers->resuming && numbers->base == 0;
}
static inline bool remed_numbers_has_backlog(const struct remed_numbers *numbers)
{
    return numbers->backlog.first != numbers->backlog.next;
}

#endif
