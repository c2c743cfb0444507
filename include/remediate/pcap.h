/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file pcap.h
 * Captures and interfaces (libremediate-pcap): read pcap and pcapng, capture live, write, inject.
 *
 * Files are read by a block reader of our own, since libpcap's copies each packet through stdio and
 * refuses a pcapng with several link types. Ethernet is captured and injected by packet sockets;
 * other interfaces are captured by libpcap.
 *
 * Threads: one thread a handle. Only remed_pcap_source_break() may be called from a signal handler.
 */
#ifndef REMEDIATE_PCAP_H
#define REMEDIATE_PCAP_H

#include <remediate/error.h>
#include <remediate/log.h>
#include <remediate/memory.h>
#include <remediate/packet.h>
#include <stdbool.h>

REMED_BEGIN_DECLS

/** Where packets come from: a file, standard input or an interface. */
struct remed_pcap_source;
/** Where packets go: a file, standard output or an interface. */
struct remed_pcap_sink;

/** Options of a source. */
struct remed_pcap_source_opts {
    size_t size;           /**< sizeof this struct, set by the init function */
    uint32_t snap_length;  /**< live: bytes taken of each packet; default 262,144 */
    uint32_t buffer_bytes; /**< live: kernel buffer; default 16 MiB */
    uint32_t promiscuous;  /**< live: 1 (default) or 0 */
    uint32_t side;         /**< enum remed_side of every packet whose side the capture does not
                                tell; default unknown. pcapng flags and cooked captures tell; live
                                Ethernet tells (what the host sends is ::REMED_SIDE_OUT) unless a
                                side is set here */
    uint32_t max_packet;   /**< file: longest record accepted, bytes; default 16 MiB. A longer one
                                is damage (::REMED_EFORMAT), as nothing is allocated on its word */
    uint32_t reserved;     /**< zero */
    const struct remed_allocator *allocator; /**< NULL: malloc */
    struct remed_log log;  /**< hook for warnings; silent by default */
};

/** Counters of a source. */
struct remed_pcap_source_stats {
    uint64_t packets;         /**< handed out */
    uint64_t bytes;           /**< captured bytes handed out */
    uint64_t file_bytes;      /**< file: bytes read so far, for progress */
    uint64_t file_size;       /**< file: bytes in all, 0 when not known (a pipe) */
    uint64_t kernel_received; /**< live: packets that the kernel saw */
    uint64_t kernel_dropped;  /**< live: dropped for want of buffer */
    uint64_t interface_dropped; /**< live: dropped by interface or driver */
};

/** Sets the defaults. @param opts not NULL @param size sizeof *opts */
REMED_API void remed_pcap_source_opts_init(struct remed_pcap_source_opts *opts, size_t size);
/**
 * Opens a capture file, told by its contents: pcap (both byte orders, micro- and nanoseconds, the
 * modified variants that libpcap reads) or pcapng (several sections and interfaces).
 * @param[out] source to be freed with remed_pcap_source_free(); not NULL
 * @param path a file's path, or "-" for standard input
 * @param opts NULL for the defaults
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_ENOENT; ::REMED_EPERM; ::REMED_EFORMAT; ::REMED_ETRUNCATED; ::REMED_EIO;
 *         ::REMED_ENOMEM
 */
REMED_API int remed_pcap_open_file(struct remed_pcap_source **source, const char *path,
                                   const struct remed_pcap_source_opts *opts,
                                   struct remed_error *error);
/**
 * Captures from an interface, non-blocking. Ethernet and the loopback are read from the kernel's
 * ring of blocks, where packets lie by their bytes; a packet is handed out at most 4 ms (and a tick
 * of the kernel's timer) after it came. "any" and other interfaces are libpcap's.
 *
 * A packet may be as the kernel has it rather than as on the wire: merged of several, its checksum
 * not made. `offload` and `segment` of struct remed_packet say so, and an injector mends it.
 * @param[out] source to be freed with remed_pcap_source_free(); not NULL
 * @param interface its name, or "any"
 * @param opts NULL for the defaults
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_ENOENT; ::REMED_EPERM; ::REMED_EUNSUPPORTED; ::REMED_EIO; ::REMED_ENOMEM
 */
REMED_API int remed_pcap_open_live(struct remed_pcap_source **source, const char *interface,
                                   const struct remed_pcap_source_opts *opts,
                                   struct remed_error *error);
/**
 * Hands out the next packets. They are valid until the next call on this source.
 * @param source not NULL
 * @param[out] packets room for @p count
 * @param count most packets to hand out
 * @param error filled on failure with where in the file the damage is; may be NULL
 * @return packets handed out, above 0; 0 at the end of the file or after a break; ::REMED_EAGAIN
 *         live, when none is there yet; ::REMED_ETRUNCATED or ::REMED_EFORMAT at a damaged record
 *         (all packets before it were handed out first; later calls return the same);
 *         ::REMED_EIO (also: the interface went down)
 */
REMED_API int remed_pcap_read(struct remed_pcap_source *source, struct remed_packet *packets,
                              size_t count, struct remed_error *error);
/** Waits for live packets. @param source not NULL @param timeout_ms -1 forever
 *  @return 1 ready, 0 timeout or break or signal, negative ::REMED_EIO; a file is always ready */
REMED_API int remed_pcap_wait(struct remed_pcap_source *source, int timeout_ms);
/** Gives the descriptor to poll for reading. @param source not NULL @return it, -1 without one */
REMED_API int remed_pcap_source_fd(const struct remed_pcap_source *source);
/** Makes the next read return 0. Async-signal-safe. @param source not NULL */
REMED_API void remed_pcap_source_break(struct remed_pcap_source *source);
/** Tells whether the next read of a file or pipe has to ask the system for bytes, and so may wait for
 *  long: the moment to flush what was made of the packets so far.
 *  @param source not NULL @return true when all whole packets read so far were handed out; for a
 *          live source, which never waits, whether none is at hand */
REMED_API bool remed_pcap_source_drained(const struct remed_pcap_source *source);
/** Tells the link type of the file or interface; of a pcapng, that of its first interface.
 *  @param source not NULL @return LINKTYPE_…, UINT32_MAX before one was read */
REMED_API uint32_t remed_pcap_source_link_type(const struct remed_pcap_source *source);
/** Tells how fine the capture's times are. @param source not NULL @return true for nanoseconds */
REMED_API bool remed_pcap_source_nanoseconds(const struct remed_pcap_source *source);
/** Reads the counters. @param source not NULL @param[out] stats not NULL @param size sizeof *stats */
REMED_API void remed_pcap_source_stats(struct remed_pcap_source *source,
                                       struct remed_pcap_source_stats *stats, size_t size);
/** Closes and frees. @param source may be NULL */
REMED_API void remed_pcap_source_free(struct remed_pcap_source *source);

/** Options of a sink. */
struct remed_pcap_sink_opts {
    size_t size;          /**< sizeof this struct, set by the init function */
    uint32_t link_type;   /**< file: link type for a capture without packets; default Ethernet */
    uint32_t snap_length; /**< file: snap length in the header; default 262,144 */
    uint32_t nanoseconds; /**< file: 1 writes nanosecond times; default 0 */
    uint32_t pcapng;      /**< file: 1 writes pcapng, which may hold several link types; default 0 */
    const struct remed_allocator *allocator; /**< NULL: malloc */
    const struct remed_pcap_source *source;  /**< file: what is being read, so that it is not
                               overwritten; used while creating only; NULL (default): no check */
    struct remed_log log; /**< interface: hook for a link that goes down or comes back, a line each;
                               silent by default */
    /**
     * Interface: is told each packet that was refused after all, so that it does not count as sent
     * (remed_filter_not_sent()). Default NULL.
     * @param context `refused_context`
     * @param packet the packet, or the frame made of it that was refused first; its bytes, lengths
     *        and link type are set; valid only during the call, in which the sink may not be used
     */
    void (*refused)(void *context, const struct remed_packet *packet);
    void *refused_context; /**< handed to `refused` untouched */
    uint32_t hold_ms;      /**< interface: how long a write waits for room when the interface's queue
                                and ours are full, ms; 0 (default): not at all, for a live source */
    uint32_t reserved;     /**< zero */
};

/** Counters of a sink. */
struct remed_pcap_sink_stats {
    uint64_t packets; /**< written or injected, whole */
    uint64_t bytes;   /**< captured bytes written, or bytes of the frames injected */
    uint64_t refused; /**< interface: packets not sent, or not whole: a link that is down, queues
                           that stay full, a frame that is too long and cannot be taken apart */
    uint64_t link_lost;     /**< interface: of those, for a link that was down */
    uint64_t waiting;       /**< interface: frames that wait for room now */
    uint64_t retried;       /**< interface: frames that waited */
    uint64_t split_packets; /**< interface: packets sent as several frames, which the kernel had
                                 merged or which were longer than the MTU */
    uint64_t split_frames;  /**< interface: those frames */
};

/** Sets the defaults. @param opts not NULL @param size sizeof *opts */
REMED_API void remed_pcap_sink_opts_init(struct remed_pcap_sink_opts *opts, size_t size);
/**
 * Creates a capture file. Its header is written with the first packet or at close, so that it has
 * the packets' link type.
 * @param[out] sink to be closed with remed_pcap_sink_close(); not NULL
 * @param path a file's path (truncated), or "-" for standard output
 * @param opts NULL for the defaults @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for the file that `opts->source` reads, or an option out of range;
 *         ::REMED_EPERM; ::REMED_ENOENT; ::REMED_EIO; ::REMED_ENOMEM
 */
REMED_API int remed_pcap_create_file(struct remed_pcap_sink **sink, const char *path,
                                     const struct remed_pcap_sink_opts *opts,
                                     struct remed_error *error);
/**
 * Opens an interface for injection of whole frames, as they were on the wire: merged packets are
 * sent in the segments they were, checksums that the capturing kernel left undone are made, bytes
 * that a snap length cut off are sent as zeros, and what is longer than the MTU goes as TCP segments
 * or IP fragments.
 * @param[out] sink to be closed with remed_pcap_sink_close(); not NULL @param interface its name
 * @param opts NULL for the defaults @param error filled on failure; may be NULL
 * @return 0; ::REMED_ENOENT; ::REMED_EPERM; ::REMED_EINVAL for an option out of range;
 *         ::REMED_EUNSUPPORTED without Ethernet framing; ::REMED_EIO (also: the interface is down);
 *         ::REMED_EAGAIN without carrier, which may come a moment after the interface was brought up;
 *         ::REMED_ENOMEM
 */
REMED_API int remed_pcap_open_injector(struct remed_pcap_sink **sink, const char *interface,
                                       const struct remed_pcap_sink_opts *opts,
                                       struct remed_error *error);
/**
 * Writes or injects packets. Buffered for a file. What an interface has no room for waits in a queue
 * of 1 MiB and goes first in the next call; beyond that it is refused.
 * @param sink not NULL @param packets @p count of them @param count any number
 * @param error filled on failure; may be NULL
 * @return 0, with refused packets counted; ::REMED_EIO (disk full, closed pipe, the interface is
 *         gone); ::REMED_EUNSUPPORTED for a second link type in a pcap file, or a time that pcap
 *         cannot hold. Packets before the one that failed were taken
 */
REMED_API int remed_pcap_write(struct remed_pcap_sink *sink, const struct remed_packet *packets,
                               size_t count, struct remed_error *error);
/** Writes out what is buffered; sends what waits, as far as there is room, and looks at the link.
 *  @param sink not NULL @param error may be NULL @return 0, ::REMED_EIO */
REMED_API int remed_pcap_flush(struct remed_pcap_sink *sink, struct remed_error *error);
/** Reads the counters. @param sink not NULL @param[out] stats not NULL @param size sizeof *stats */
REMED_API void remed_pcap_sink_stats(const struct remed_pcap_sink *sink,
                                     struct remed_pcap_sink_stats *stats, size_t size);
/** Writes the end: what is buffered, with the header if no packet came; frames that wait have `hold_ms`
 *  (100 ms at the least), then they are refused. After it only the counters are of use, and closing.
 *  @param sink not NULL @param error may be NULL @return 0; ::REMED_EIO */
REMED_API int remed_pcap_sink_finish(struct remed_pcap_sink *sink, struct remed_error *error);
/** Finishes, closes and frees, whatever the result. @param sink may be NULL @param error may be NULL
 *  @return 0; ::REMED_EIO when buffered packets could not be written */
REMED_API int remed_pcap_sink_close(struct remed_pcap_sink *sink, struct remed_error *error);

REMED_END_DECLS
#endif
