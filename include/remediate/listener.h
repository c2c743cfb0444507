/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file listener.h
 * The listener (libremediate-syslog): lines of logs from the network, sockets, files and pipes, one
 * by one, with counters for each source (docs/listen.md).
 *
 * Inputs are named by URIs:
 *
 * - `syslog://HOST:PORT` or `syslog+udp://`: datagrams, a message each. `?rcvbuf=SIZE`
 * - `syslog+tcp://HOST:PORT`: RFC 6587. `?idle=TIME`
 * - `syslog+tls://HOST:PORT?cert=FILE&key=FILE`: RFC 5425; with `&cafile=FILE` clients must show a
 *   certificate. `?idle=TIME`
 * - `syslog+unix:///PATH`: a socket; `?type=dgram` (default) or `stream`, `?mode=0660`
 * - `file:///PATH`: followed over rotation. `?from=end|begin`, `?state=FILE`, `?poll=TIME`
 * - `-`: standard input
 *
 * Without HOST all addresses are listened on; PORT is 514, of TLS 6514, unless told.
 *
 * The host drives it: wait for the descriptor or the deadline, then call remed_listener_process().
 * Lines come from there alone. The host may take a line and say stop; then it stops to call process
 * until it has room again: streams stand still (their senders feel it), and the kernel counts what
 * it drops of datagrams.
 *
 * All is bounded: lines, connections, sources. SIGPIPE must be ignored by a host that uses TLS.
 *
 * Threads: one thread a listener.
 */
#ifndef REMEDIATE_LISTENER_H
#define REMEDIATE_LISTENER_H

#include <remediate/entropy.h>
#include <remediate/error.h>
#include <remediate/log.h>
#include <remediate/memory.h>
#include <stddef.h>
#include <stdint.h>

REMED_BEGIN_DECLS

/** What listens. */
struct remed_listener;

/** Longest name of a source, bytes without NUL. */
#define REMED_LISTENER_NAME_MAX 127
/** Most inputs of a listener. */
#define REMED_LISTENER_INPUTS_MAX 64

/** One line. */
struct remed_listener_line {
    const char *text;  /**< @c length bytes, without trailer; borrowed for the call */
    size_t length;     /**< above 0 */
    uint64_t received; /**< ns since the Unix epoch */
    uint32_t source;   /**< index of its source; holds until the callback returns */
    uint32_t cut;      /**< 1: its stream ended within it, so that its end may be missing; never of
                            standard input, whose end is a trailer too */
};

/**
 * Takes one line.
 * @param context the listener's
 * @param line borrowed for the call
 * @return 0 to go on; other: this line was taken, and no more is wanted now
 */
typedef int (*remed_listener_fn)(void *context, const struct remed_listener_line *line);

/** Options of a listener. */
struct remed_listener_opts {
    size_t size;              /**< sizeof this struct, set by the init function */
    uint32_t max_line;        /**< longest line, 480 bytes to 1 MiB; default 65,536 */
    uint32_t max_connections; /**< most at a time, 1 to 65,536; default 1,024. Lowered, which the log
                                   hook hears of, to what the limit of descriptors has room for
                                   beside those that are open when the listener is made */
    uint32_t max_sources;     /**< most senders told apart, 1 to 2^20; default 1,024. When there are
                                   more, the one not heard for the longest joins the others */
    uint32_t by_host;         /**< 1: a sender is the host that a line names, as behind a relay;
                                   lines that name none, and 0: the address it came from */
    uint64_t seed[2];         /**< secret, random: so that no sender chooses buckets; zeros: drawn */
    remed_listener_fn line;   /**< not NULL */
    void *context;            /**< for @c line */
    const struct remed_allocator *allocator; /**< NULL: malloc */
    struct remed_log log;     /**< hears of refused connections, rotations, lost positions, files that
                                   can't be read now */
    uint32_t max_per_address; /**< most connections of one address at a time (IPv4 /32, IPv6 /64, on
                                   local sockets a user); 0, the default: an eighth of
                                   @c max_connections, 16 at least; but at most half of them where the
                                   limit of descriptors has lowered these */
    uint32_t reserved;        /**< zero */
    const struct remed_entropy *entropy; /**< where the secret comes from when @c seed is zeros; used
                                              while the listener is made; NULL: the system's */
};

/** Whose counters they are. */
enum remed_listener_role {
    REMED_LISTENER_OTHERS = 0, /**< senders without counters of their own */
    REMED_LISTENER_INPUT,      /**< an input: what no sender can be named for; all of files and pipes */
    REMED_LISTENER_SENDER      /**< an address or a host */
};

/** Counters of a source. */
struct remed_listener_source {
    size_t size;          /**< sizeof this struct */
    uint32_t role;        /**< enum remed_listener_role */
    uint32_t input;       /**< index of the source that is its input; its own for an input */
    uint64_t lines;       /**< handed out */
    uint64_t bytes;       /**< of them */
    uint64_t oversize;    /**< lines too long, lost */
    uint64_t cut;         /**< lines whose stream ended within them; handed out */
    uint64_t dropped;     /**< datagrams that the kernel dropped: no room in the socket */
    uint64_t unmatched;   /**< as the host said with remed_listener_unmatched() */
    uint64_t connections; /**< made */
    uint64_t refused;     /**< connections: too many, no TLS, gave way to others; and failed accepts */
    uint64_t rotations;   /**< of a file: another one took its name, or it was truncated */
    uint64_t heard;       /**< the last time, ns since the Unix epoch; 0 never */
    char name[REMED_LISTENER_NAME_MAX + 1]; /**< an input's URI up to its '?', an address, a
                                                 host: ASCII without blanks and controls */
};

/** Counters of a listener. */
struct remed_listener_stats {
    uint64_t lines;       /**< handed out */
    uint64_t lost;        /**< oversize, and dropped by the kernel */
    uint64_t evicted;     /**< senders that joined the others */
    uint32_t sources;     /**< there are; their indices begin at 0 */
    uint32_t inputs;      /**< that may still give lines */
    uint32_t connections; /**< open now */
    uint32_t failed;      /**< inputs that an error of reading ended, or that can't be read now */
};

/** Sets the defaults. @param opts not NULL @param size sizeof *opts */
REMED_API void remed_listener_opts_init(struct remed_listener_opts *opts, size_t size);
/**
 * Makes a listener without inputs.
 * @param[out] listener to be freed with remed_listener_free(); untouched on failure; not NULL
 * @param opts not NULL: the callback has no default
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for an option out of its range, or a reserved member that is not zero;
 *         ::REMED_ENOMEM; ::REMED_EIO when there is no epoll, or no random bytes
 */
REMED_API int remed_listener_new(struct remed_listener **listener,
                                 const struct remed_listener_opts *opts, struct remed_error *error);
/**
 * Adds an input, and begins to listen on it.
 * @param listener not NULL
 * @param uri not NULL
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for a URI that is none, or with a wrong parameter, for a state file that
 *         belongs to another file, and within the listener's own callback; ::REMED_ELIMIT beyond
 *         ::REMED_LISTENER_INPUTS_MAX; ::REMED_ENOENT for a file of TLS; ::REMED_EPERM;
 *         ::REMED_EIO when the address is taken, or a file or its state can't be read;
 *         ::REMED_ENOMEM. The listener is as before
 */
REMED_API int remed_listener_add(struct remed_listener *listener, const char *uri,
                                 struct remed_error *error);
/** Gives the descriptor to poll for reading. @param listener not NULL @return it */
REMED_API int remed_listener_fd(const struct remed_listener *listener);
/** Tells when process is due. @param listener not NULL
 *  @return ns on process's clock; UINT64_MAX: only by the descriptor */
REMED_API uint64_t remed_listener_deadline(const struct remed_listener *listener);
/**
 * Hands out the lines that there are, until the callback says stop or each input had its turn.
 * @param listener not NULL
 * @param now the host's clock, ns; monotonic. Should it step back nonetheless, time goes on from there
 * @param error filled on failure; may be NULL
 * @return above 0 when there is more at once, or the callback said stop; 0; ::REMED_EIO when standard
 *         input can't be read any more (told once: the other inputs go on) or there is no waiting for
 *         lines; ::REMED_EINVAL within its own callback
 */
REMED_API int remed_listener_process(struct remed_listener *listener, uint64_t now,
                                     struct remed_error *error);
/** Counts a line that no rule matched. @param listener not NULL @param source of the line, within
 *  the callback */
REMED_API void remed_listener_unmatched(struct remed_listener *listener, uint32_t source);
/**
 * Reads a source's counters.
 * @param listener not NULL @param index from 0 @param[out] source not NULL @param size sizeof *source
 * @return 0; ::REMED_ENOENT beyond the last
 */
REMED_API int remed_listener_source(struct remed_listener *listener, uint32_t index,
                                    struct remed_listener_source *source, size_t size);
/** Reads the counters. @param listener not NULL @param[out] stats not NULL @param size sizeof *stats */
REMED_API void remed_listener_stats(struct remed_listener *listener,
                                    struct remed_listener_stats *stats, size_t size);
/** Notes how far files were read: up to the last line that was handed out. Within the callback nothing
 *  is noted. @param listener not NULL */
REMED_API void remed_listener_mark(struct remed_listener *listener);
/**
 * Writes what was noted into the files' state files: once all of those lines are safe, so that a
 * later listener goes on behind them. Each is replaced at once or not at all, has mode 0600, and names
 * the file that it belongs to.
 * @param listener not NULL @param error filled on failure, with the first file and its cause; may be
 *        NULL
 * @return 0; ::REMED_EIO or ::REMED_EPERM, and then the state files that failed are as they were, or
 *         are new, and it is not sure that they outlive a crash of the machine
 */
REMED_API int remed_listener_commit(struct remed_listener *listener, struct remed_error *error);
/** Closes and frees; what is not a whole line yet is dropped. Descriptor 0 stays open: it is the
 *  host's. Within a callback (of lines, or the log hook) the freeing waits until process or add
 *  returns. @param listener may be NULL */
REMED_API void remed_listener_free(struct remed_listener *listener);

REMED_END_DECLS
#endif
