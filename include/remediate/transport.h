/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file transport.h
 * How records travel: a keyed log that keeps the newest value of each key, behind one contract,
 * chosen by URI.
 *
 * The contract, which one conformance test checks for every transport:
 * - publish takes a key and a value, and reports delivery once: after that, a crash of either side
 *   loses nothing. An empty value removes the key.
 * - Values of one key arrive in the order of their publication, each at least once.
 * - A subscriber starts at the beginning, at the end or at a position, and is told once when it has
 *   caught up with what was there when it began. From the beginning it gets at least the newest
 *   value of each key.
 * - A full queue is ::REMED_EBUSY, to be tried again; nothing is dropped silently.
 * - Nothing blocks but what the transport's document names (docs/transports.md).
 *
 * The host drives it: wait for the descriptor or the deadline, then call remed_transport_process().
 * Callbacks come from there alone. A transport may be closed inside its own callback.
 *
 * Threads: one thread a transport.
 */
#ifndef REMEDIATE_TRANSPORT_H
#define REMEDIATE_TRANSPORT_H

#include <remediate/entropy.h>
#include <remediate/error.h>
#include <remediate/log.h>
#include <remediate/memory.h>
#include <stddef.h>
#include <stdint.h>

REMED_BEGIN_DECLS

/** One way of travelling, open. */
struct remed_transport;

/** Longest key, bytes. */
#define REMED_TRANSPORT_KEY_MAX 1024u
/** Longest value, bytes. */
#define REMED_TRANSPORT_VALUE_MAX (1u << 20)

/** One value of one key. Bytes are borrowed, for the call. */
struct remed_message {
    const uint8_t *key;    /**< @c key_length bytes */
    const uint8_t *value;  /**< @c value_length bytes; NULL when the key is removed */
    size_t key_length;     /**< 1 to ::REMED_TRANSPORT_KEY_MAX */
    size_t value_length;   /**< 0 to ::REMED_TRANSPORT_VALUE_MAX; 0: the key is removed */
    uint64_t offset;       /**< place in its partition; publish ignores it */
    uint32_t partition;    /**< 0 where there is one only; publish ignores it */
    uint32_t reserved;     /**< zero, checked by publish */
};

/** What the host wants to hear; any may be NULL. */
struct remed_transport_events {
    void *context; /**< handed back untouched */
    /** A publication ended: @c tag is the publisher's, @c code 0 or why it was not delivered. */
    void (*delivered)(void *context, uint64_t tag, int code);
    /** A value has come. */
    void (*message)(void *context, const struct remed_message *message);
    /** Everything that was there when the subscription began has come. */
    void (*caught_up)(void *context);
    /** In a group: @c partition became this member's (1), or another's (0). */
    void (*share)(void *context, uint32_t partition, int gained);
};

struct remed_transport_driver;

/** Options of a transport. */
struct remed_transport_opts {
    size_t size;              /**< sizeof this struct, set by the init function */
    uint32_t max_pending;     /**< most publications without report, default 65,536 */
    uint32_t driver_count;    /**< of @c drivers */
    uint64_t max_pending_bytes; /**< most bytes of keys and values in them, default 64 MiB */
    const struct remed_transport_driver *const *drivers; /**< beside memory: and file: */
    struct remed_memory_hub *hub; /**< memory: what is shared; NULL: this transport alone */
    struct remed_transport_events events; /**< copied */
    const struct remed_allocator *allocator; /**< NULL: malloc */
    struct remed_log log;     /**< hook for warnings; silent by default */
    const char *origin; /**< who publishes; NULL: not told. Copied where it is carried (Kafka: a header) */
    const struct remed_entropy *entropy; /**< of secrets of hashes; NULL: the system's */
};

/** Counters of a transport. */
struct remed_transport_stats {
    uint64_t published;  /**< taken by publish */
    uint64_t delivered;  /**< reported as delivered */
    uint64_t failed;     /**< reported as not delivered */
    uint64_t refused;    /**< publications answered ::REMED_EBUSY */
    uint64_t received;   /**< messages handed out */
    uint64_t damaged;    /**< entries passed over: a checksum or a form was wrong */
    uint64_t reconnects; /**< connections made anew */
    uint64_t pending;    /**< publications without report now */
};

/** A URI in parts; texts live as long as the call that hands them out. */
struct remed_uri {
    const char *scheme; /**< "file" */
    const char *host;   /**< what stands between // and /, "" without; "a:9092,b:9092" */
    const char *path;   /**< decoded, with its leading slash; "" without */
    const char *query;  /**< raw, without '?'; read it with remed_uri_parameter() */
};

/**
 * A kind of transport: what a host or a backend library fills in to add its own.
 * All functions get the state that open made; each that is called `optional` may be NULL.
 */
struct remed_transport_driver {
    size_t size;        /**< sizeof this struct */
    const char *scheme; /**< what the URI begins with, without the colon */
    /** Opens. @c events are those to call, from process alone; @c opts is the caller's. */
    int (*open)(void **state, const struct remed_uri *uri, const struct remed_transport_opts *opts,
                const struct remed_transport_events *events, struct remed_error *error);
    /** Takes one message: 0 or ::REMED_EBUSY or another error; then its tag is not reported. */
    int (*publish)(void *state, const struct remed_message *message, uint64_t tag,
                   struct remed_error *error);
    /** Starts handing out messages, from "begin", "end" or a position of this transport. */
    int (*subscribe)(void *state, const char *from, struct remed_error *error);
    /** Does what can be done without blocking: above 0 when there is more at once, 0, or an error. */
    int (*process)(void *state, uint64_t now, struct remed_error *error);
    /** The descriptor to poll, with the events wanted; -1 without one. Optional. */
    int (*descriptor)(const void *state, short *events);
    /** When process is due, ns as in process; UINT64_MAX: not by time. Optional. */
    uint64_t (*deadline)(const void *state);
    /** Writes the position behind the last message handed out, as snprintf does. Optional. */
    size_t (*position)(const void *state, char *text, size_t size);
    /** Adds what the wrapper can't count: damaged and reconnects. Optional. */
    void (*stats)(const void *state, struct remed_transport_stats *stats);
    /** Closes and frees, whatever the result. What is pending fails. */
    int (*close)(void *state, struct remed_error *error);
    /** Describes the first damage that was passed over, as snprintf does; 0 without. Optional. */
    size_t (*damage)(const void *state, char *text, size_t size);
    /** Tells what it waits for, as remed_transport_waiting(); 0 when for nothing. Optional. */
    size_t (*waiting)(const void *state, char *text, size_t size);
};

/** Sets the defaults. @param opts not NULL @param size sizeof *opts */
REMED_API void remed_transport_opts_init(struct remed_transport_opts *opts, size_t size);
/**
 * Opens a transport.
 * @param[out] transport to be closed with remed_transport_close(); not NULL
 * @param uri "memory:", "file:///var/lib/remediate?sync=10ms", or one of a driver's scheme; not NULL
 * @param opts NULL for the defaults
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for a URI that is none, with an unknown parameter or option;
 *         ::REMED_EUNSUPPORTED for a scheme without driver; what the driver returns; ::REMED_ENOMEM
 */
REMED_API int remed_transport_open(struct remed_transport **transport, const char *uri,
                                   const struct remed_transport_opts *opts,
                                   struct remed_error *error);
/**
 * Publishes one value.
 * @param transport not NULL
 * @param message key and value; copied; not NULL
 * @param tag comes back in the delivery report
 * @param error filled on failure; may be NULL
 * @return 0: taken, and reported later; ::REMED_EBUSY: try again after process; ::REMED_ELIMIT for
 *         a key or value too long; ::REMED_EPERM when this transport only reads; ::REMED_EINVAL in
 *         a callback when it closes, or when @c reserved is not zero; ::REMED_EUNSUPPORTED when what
 *         is there is of a newer version; ::REMED_EIO
 */
REMED_API int remed_transport_publish(struct remed_transport *transport,
                                      const struct remed_message *message, uint64_t tag,
                                      struct remed_error *error);
/**
 * Starts handing out messages.
 * @param transport not NULL
 * @param from "begin", "end", or what remed_transport_position() wrote; not NULL
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for no position, one of another repository, topic, stream or transport,
 *         one beyond the end, or a second subscription; ::REMED_EIO. What a position belongs to may
 *         be known later: process then returns ::REMED_ENOENT for one of another cluster or server
 */
REMED_API int remed_transport_subscribe(struct remed_transport *transport, const char *from,
                                        struct remed_error *error);
/**
 * Does what is to be done, and calls back.
 * @param transport not NULL
 * @param now the host's clock, ns; a step backwards stops nothing: time stands still for it
 * @param error filled on failure; may be NULL
 * @return above 0 when there is more at once; 0; ::REMED_EIO and others when the transport can't go
 *         on: a lost connection is no error, as it is made anew
 */
REMED_API int remed_transport_process(struct remed_transport *transport, uint64_t now,
                                      struct remed_error *error);
/** Gives the descriptor to poll; ask again after subscribing. @param transport not NULL
 *  @param[out] events poll's; may be NULL @return it, -1 without one */
REMED_API int remed_transport_fd(const struct remed_transport *transport, short *events);
/** Tells when process is due. @param transport not NULL
 *  @return ns on process's clock; UINT64_MAX: only by the descriptor */
REMED_API uint64_t remed_transport_deadline(const struct remed_transport *transport);
/** Writes the position behind the last message, for a later subscribe. @param transport not NULL
 *  @param[out] text @p size bytes @param size bytes at @p text @return bytes without NUL, as snprintf */
REMED_API size_t remed_transport_position(const struct remed_transport *transport, char *text,
                                          size_t size);
/**
 * Describes the first damage that was passed over: the file or partition, the place in it, and what
 * was wrong. How often there was damage is in the counters.
 * @param transport not NULL
 * @param[out] text @p size bytes, "" without damage @param size bytes at @p text
 * @return bytes without NUL, as snprintf; 0 without damage
 */
REMED_API size_t remed_transport_damage(const struct remed_transport *transport, char *text,
                                        size_t size);
/**
 * Tells for people what the transport waits for, while it can neither deliver nor receive: for whom,
 * why, and until when it tries. "127.0.0.1:6379: Connection refused; tries again until it is there".
 * No secret of the URI stands in it.
 * @param transport not NULL
 * @param[out] text @p size bytes, "" when it waits for nothing @param size bytes at @p text
 * @return bytes without NUL, as snprintf; 0 when it waits for nothing
 */
REMED_API size_t remed_transport_waiting(const struct remed_transport *transport, char *text,
                                         size_t size);
/** Reads the counters. @param transport not NULL @param[out] stats not NULL @param size sizeof *stats */
REMED_API void remed_transport_stats(const struct remed_transport *transport,
                                     struct remed_transport_stats *stats, size_t size);
/**
 * Closes and frees. What is pending is reported as failed first; process until nothing is, to lose
 * nothing. Inside a callback the closing waits until the callback returns.
 * @param transport may be NULL @param error filled on failure; may be NULL
 * @return 0; ::REMED_EIO
 */
REMED_API int remed_transport_close(struct remed_transport *transport, struct remed_error *error);

/**
 * Reads one parameter of a URI's query, decoded.
 * @param uri not NULL @param name not NULL
 * @param[out] value @p size bytes, NUL-terminated @param size bytes at @p value, above 0
 * @return 1 when it is there; 0 when not; ::REMED_EINVAL when it is too long or badly escaped
 */
REMED_API int remed_uri_parameter(const struct remed_uri *uri, const char *name, char *value,
                                  size_t size);
/**
 * Checks that a URI has no parameter but those named.
 * @param uri not NULL @param names ends with NULL; not NULL @param error may be NULL
 * @return 0; ::REMED_EINVAL, with the name that is not known
 */
REMED_API int remed_uri_check(const struct remed_uri *uri, const char *const *names,
                              struct remed_error *error);

/**
 * Writes a URI as it may be printed and logged: without passwords, keys and tokens. Shown are the
 * scheme, a user before a password, hosts with their ports, the path, and parameters that are known
 * to be no secret up to the first that is not; all else is "***". Any text may be given: what is no
 * URI, or wrongly written, shows less. Control characters become '?'.
 * @param uri not NULL
 * @param[out] text @p size bytes, NUL-terminated; NULL when @p size is 0 @param size bytes at @p text
 * @return bytes without NUL, as snprintf
 */
REMED_API size_t remed_uri_redacted(const char *uri, char *text, size_t size);

/** What memory: transports share: one log, within one process and thread. */
struct remed_memory_hub;
/**
 * Makes a hub. It lives until it and every transport on it are freed.
 * @param[out] hub to be freed with remed_memory_hub_free(); not NULL
 * @param max_bytes most bytes of keys and values in it; publish is ::REMED_EBUSY beyond
 * @param allocator NULL for malloc
 * @return 0; ::REMED_ENOMEM; ::REMED_EIO when the system has no random bytes for its secret
 */
REMED_API int remed_memory_hub_new(struct remed_memory_hub **hub, size_t max_bytes,
                                   const struct remed_allocator *allocator);
/** Lets go of a hub. @param hub may be NULL */
REMED_API void remed_memory_hub_free(struct remed_memory_hub *hub);

REMED_END_DECLS
#endif
