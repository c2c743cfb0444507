/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file syslog.h
 * Syslog without its sockets: a stream cut into frames, and a frame's header read (docs/listen.md).
 *
 * Frames are those of RFC 6587, both kinds, told apart frame by frame: a count of octets before
 * `<PRI>`, else a line with a trailer. Headers are those of RFC 5424, and of RFC 3164 as boxes really
 * send it. Both cost time linear in the bytes, have hard bounds, and refuse nothing: what can't be
 * understood is a line, or all message.
 *
 * Threads: one thread a deframer; reading a header has no state.
 */
#ifndef REMEDIATE_SYSLOG_H
#define REMEDIATE_SYSLOG_H

#include <remediate/error.h>
#include <remediate/memory.h>
#include <stddef.h>
#include <stdint.h>

REMED_BEGIN_DECLS

/** What cuts a stream into frames. */
struct remed_syslog_frames;

/** How a stream may be framed. */
enum remed_syslog_framing {
    REMED_SYSLOG_AUTO = 0, /**< counts and lines, frame by frame; a line's trailer is LF or NUL,
                                whichever the stream shows first, and that for good */
    REMED_SYSLOG_LINES,    /**< lines that end in LF: files and pipes */
    REMED_SYSLOG_FRAMINGS  /**< how many there are; not a framing */
};

/** One frame. */
struct remed_syslog_frame {
    const char *text; /**< @c length bytes, without count and trailer; borrowed for the call */
    size_t length;    /**< above 0 */
    uint32_t cut;     /**< 1: the stream ended within it */
    uint32_t reserved; /**< zero */
};

/**
 * Takes one frame.
 * @param context the deframer's
 * @param frame borrowed for the call
 * @return 0 to go on; other: this frame was taken, and remed_syslog_frames_push() returns behind it
 */
typedef int (*remed_syslog_frame_fn)(void *context, const struct remed_syslog_frame *frame);

/** Options of a deframer. */
struct remed_syslog_frames_opts {
    size_t size;           /**< sizeof this struct, set by the init function */
    uint32_t max_frame;    /**< longest frame, 480 bytes to 1 MiB; default 65,536 */
    uint32_t framing;      /**< enum remed_syslog_framing; default ::REMED_SYSLOG_AUTO */
    remed_syslog_frame_fn frame; /**< not NULL; may not free the deframer */
    void *context;         /**< for @c frame */
    const struct remed_allocator *allocator; /**< NULL: malloc */
    uint32_t whole_buffer; /**< 1: the buffer has room for the longest frame from the beginning, so that
                                no frame is lost for want of memory; 0, the default: it grows */
    uint32_t reserved;     /**< zero */
};

/** Counters of a deframer. */
struct remed_syslog_frames_stats {
    uint64_t bytes;    /**< taken from the stream */
    uint64_t frames;   /**< handed out */
    uint64_t counted;  /**< of them, those that came with a count */
    uint64_t oversize; /**< longer than the limit, passed over */
    uint64_t cut;      /**< handed out, though the stream ended within a counted one */
};

/** Sets the defaults. @param opts not NULL @param size sizeof *opts */
REMED_API void remed_syslog_frames_opts_init(struct remed_syslog_frames_opts *opts, size_t size);
/**
 * Makes a deframer. Frames that lie within one push are handed out where they lie; a buffer for
 * those that do not grows up to the limit, and stays.
 * @param[out] frames to be freed with remed_syslog_frames_free(); untouched on failure; not NULL
 * @param opts not NULL: the callback has no default
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for an option out of its range, or a reserved member that is not zero;
 *         ::REMED_ENOMEM
 */
REMED_API int remed_syslog_frames_new(struct remed_syslog_frames **frames,
                                      const struct remed_syslog_frames_opts *opts,
                                      struct remed_error *error);
/** Frees a deframer. @param frames may be NULL */
REMED_API void remed_syslog_frames_free(struct remed_syslog_frames *frames);
/**
 * Takes bytes of the stream. Empty frames are passed over. A frame for which there is no memory is
 * counted as oversize.
 * @param frames not NULL
 * @param bytes @p length bytes
 * @param length bytes at @p bytes
 * @return how many were taken: all, or those up to the frame at which the callback said stop; push
 *         the rest again later
 */
REMED_API size_t remed_syslog_frames_push(struct remed_syslog_frames *frames, const void *bytes,
                                          size_t length);
/**
 * Ends the stream: what has no trailer is a frame, a counted one that is not whole a cut one. The
 * deframer is then as new, but for its counters.
 * @param frames not NULL
 */
REMED_API void remed_syslog_frames_end(struct remed_syslog_frames *frames);
/** Tells how many bytes of a frame that is not whole it holds. @param frames not NULL
 *  @return bytes, 0 between frames; of a frame that is being passed over, those so far */
REMED_API uint64_t remed_syslog_frames_held(const struct remed_syslog_frames *frames);
/** Reads the counters. @param frames not NULL @param[out] stats not NULL @param size sizeof *stats */
REMED_API void remed_syslog_frames_stats(const struct remed_syslog_frames *frames,
                                         struct remed_syslog_frames_stats *stats, size_t size);

/** Which header a message has. */
enum remed_syslog_format {
    REMED_SYSLOG_BARE = 0, /**< none: all is message */
    REMED_SYSLOG_RFC3164,  /**< `<PRI>` or a time, and what follows, as far as it is there */
    REMED_SYSLOG_RFC5424,  /**< version 1 */
    REMED_SYSLOG_FORMATS   /**< how many there are; not a format */
};
/** Names a format ("rfc5424"). @param format any value @return static string or NULL */
REMED_API const char *remed_syslog_format_name(unsigned format);

/** A severity or facility that was not told. */
#define REMED_SYSLOG_NOT_TOLD 255

/** Part of a message, within it; NULL and 0 when it is not there. */
struct remed_syslog_text {
    const char *text; /**< @c length bytes of the message */
    size_t length;    /**< bytes */
};

/** A message, taken apart. */
struct remed_syslog_message {
    size_t size;        /**< sizeof this struct */
    uint8_t format;     /**< enum remed_syslog_format */
    uint8_t facility;   /**< 0 to 23, or ::REMED_SYSLOG_NOT_TOLD */
    uint8_t severity;   /**< 0 emergency to 7 debug, or ::REMED_SYSLOG_NOT_TOLD */
    uint8_t timed;      /**< 1: @c time is the message's own */
    uint32_t reserved;  /**< zero */
    uint64_t time;      /**< ns since the Unix epoch; when it was received, without an own one */
    struct remed_syslog_text host;    /**< as the sender calls itself */
    struct remed_syslog_text app;     /**< the program, or the tag */
    struct remed_syslog_text procid;  /**< process id, or a Cisco box's number of the message */
    struct remed_syslog_text msgid;   /**< kind of message: RFC 5424's, or `ASA-6-302013` */
    struct remed_syslog_text data;    /**< structured data, in its brackets */
    struct remed_syslog_text message; /**< what is left, without the mark of UTF-8 */
};

/** What the reader must know beside the bytes. */
struct remed_syslog_context {
    uint64_t received; /**< ns since the Unix epoch: gives the year of a time without one, the latest
                            that puts it at most a day ahead */
    int32_t zone;      /**< seconds east of Greenwich for times without a zone */
    uint32_t reserved; /**< zero; not looked at, as reading never fails */
};

/**
 * Reads a message's header. Never fails.
 * @param[out] message not NULL; points into @p text
 * @param size sizeof *message
 * @param text @p length bytes, any bytes; needs no NUL
 * @param length bytes at @p text
 * @param context not NULL
 */
REMED_API void remed_syslog_read(struct remed_syslog_message *message, size_t size, const char *text,
                                 size_t length, const struct remed_syslog_context *context);

REMED_END_DECLS
#endif
