/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file packet.h
 * Bytes and a link type in, headers out: zero copy, every read bounds-checked.
 *
 * A packet is classified by one network header and one transport header. With
 * ::REMED_SCOPE_OUTER that is the first IP header behind the link layer (VLAN tags, MPLS labels and
 * PPPoE are link layer here); with ::REMED_SCOPE_INNER it is the last one, behind IPIP, 6in4, GRE,
 * ERSPAN, VXLAN, Geneve, GTP-U and others (docs/packet.md). An ICMP error belongs to the flow that it
 * quotes.
 *
 * Threads: functions without a handle keep no state; a fragment table belongs to one thread.
 */
#ifndef REMEDIATE_PACKET_H
#define REMEDIATE_PACKET_H

#include <remediate/entropy.h>
#include <remediate/error.h>
#include <remediate/memory.h>
#include <remediate/flow_key.h>
#include <stddef.h>
#include <stdint.h>

REMED_BEGIN_DECLS

/** Link types, by the numbers of pcap files (LINKTYPE_…, not DLT_…). */
enum remed_link_type {
    REMED_LINK_NULL = 0,
    REMED_LINK_ETHERNET = 1,
    REMED_LINK_SLIP = 8,
    REMED_LINK_PPP = 9,
    REMED_LINK_PPP_HDLC = 50,
    REMED_LINK_PPP_ETHER = 51,
    REMED_LINK_RAW = 101,
    REMED_LINK_C_HDLC = 104,
    REMED_LINK_FRELAY = 107,
    REMED_LINK_LOOP = 108,
    REMED_LINK_LINUX_SLL = 113,
    REMED_LINK_ARCNET_LINUX = 129,
    REMED_LINK_PPP_WITH_DIR = 204,
    REMED_LINK_IPNET = 226,
    REMED_LINK_IPV4 = 228,
    REMED_LINK_IPV6 = 229,
    REMED_LINK_LINUX_SLL2 = 276
};

/** Where the packet was seen, for rules with `in` or `out`. */
enum remed_side {
    REMED_SIDE_UNKNOWN = 0,
    REMED_SIDE_IN = 1, /**< received: on its way into the tapped device or the box's inner side */
    REMED_SIDE_OUT = 2 /**< sent */
};

/** One packet as it was seen. Borrowed: the bytes stay the caller's. */
struct remed_packet {
    const uint8_t *data; /**< `captured` bytes from the link header on; NULL only with 0 bytes */
    uint32_t captured;   /**< bytes at `data` */
    uint32_t wire;       /**< bytes on the wire; less than `captured` is tolerated */
    uint64_t time;       /**< nanoseconds since the Unix epoch */
    uint32_t link_type;  /**< enum remed_link_type; others give ::REMED_UNCLASSIFIED_LINK_TYPE */
    uint8_t side;        /**< enum remed_side */
    uint8_t offload;     /**< bits of enum remed_offload; 0: the packet is as it was on the wire */
    uint16_t segment;    /**< merged packets: bytes of payload that each had, the last one less */
};

/** Bits of `remed_packet.offload`: what a kernel left undone or merged, for whoever sends it on. */
enum remed_offload {
    REMED_OFFLOAD_CHECKSUM = 1 << 0, /**< the transport checksum is not made yet */
    REMED_OFFLOAD_TCP = 1 << 1,      /**< TCP segments merged into one; `segment` is set */
    REMED_OFFLOAD_UDP = 1 << 2,      /**< UDP datagrams of a flow merged into one; `segment` is set */
    REMED_OFFLOAD_INNER = 1 << 3     /**< that is about the transport header within the tunnels */
};

/** Which tuple classifies a tunnelled packet. */
enum remed_scope {
    REMED_SCOPE_OUTER = 0, /**< that of the first IP header */
    REMED_SCOPE_INNER = 1  /**< that of the last one */
};

/** Why a packet belongs to no flow; also the index into counters. */
enum remed_unclassified {
    REMED_CLASSIFIED = 0,
    REMED_UNCLASSIFIED_LINK_TYPE,      /**< the link type is not known here */
    REMED_UNCLASSIFIED_LINK_TRUNCATED, /**< the bytes end within the link layer */
    REMED_UNCLASSIFIED_NOT_IP,         /**< ARP, LLDP, STP, …: no IP header to be had */
    REMED_UNCLASSIFIED_IP_TRUNCATED,   /**< the bytes end within an IP or extension header */
    REMED_UNCLASSIFIED_IP_MALFORMED,   /**< bad version or header length, a header chain too long */
    REMED_UNCLASSIFIED_TRANSPORT_TRUNCATED, /**< the bytes end before the ports */
    REMED_UNCLASSIFIED_FRAGMENT,       /**< a later fragment whose first was not seen (any more) */
    REMED_UNCLASSIFIED_TUNNEL_DEPTH,   /**< more tunnels in one another than the library opens */
    REMED_UNCLASSIFIED_COUNT           /**< how many there are; not a reason */
};

/** Bits of `remed_headers.flags`. */
enum remed_headers_flag {
    REMED_HEADERS_FRAGMENT = 1 << 0,       /**< a fragment, first or later */
    REMED_HEADERS_LATER_FRAGMENT = 1 << 1, /**< a fragment with no transport header */
    REMED_HEADERS_ICMP_ERROR = 1 << 2,     /**< the key is that of the quoted packet */
    REMED_HEADERS_TCP = 1 << 3,            /**< tcp_flags, tcp_sequence and tcp_ack are set */
    REMED_HEADERS_TUNNEL = 1 << 4,         /**< the key is that of a packet within a tunnel */
    REMED_HEADERS_OUTER_FRAGMENT = 1 << 5  /**< `around` is set: the tunnel is a first fragment */
};

/** TCP flags as in the header (RFC 9293, 3.1). */
enum remed_tcp_flag {
    REMED_TCP_FIN = 0x01,
    REMED_TCP_SYN = 0x02,
    REMED_TCP_RST = 0x04,
    REMED_TCP_PSH = 0x08,
    REMED_TCP_ACK = 0x10,
    REMED_TCP_URG = 0x20
};

/** No such offset: the header is absent or beyond the captured bytes. */
#define REMED_NO_OFFSET UINT32_MAX

/** What a packet says of itself. Offsets are in bytes from `packet.data`. */
struct remed_headers {
    struct remed_flow_key key;  /**< the flow; valid when `unclassified` is 0 */
    uint32_t network;           /**< offset of the classifying IP header, or ::REMED_NO_OFFSET */
    uint32_t transport;         /**< offset of the transport header, or ::REMED_NO_OFFSET */
    uint32_t payload;           /**< offset behind the transport header, or ::REMED_NO_OFFSET */
    uint32_t fragment_id;       /**< IP identification of a fragment */
    uint32_t tcp_sequence;      /**< host order */
    uint32_t tcp_ack;           /**< host order */
    uint16_t vlan;              /**< outermost 802.1Q/802.1ad id, 0xffff without a tag */
    uint8_t ip_version;         /**< 4 or 6 of the classifying header, 0 without one */
    uint8_t protocol;           /**< IP protocol of the packet itself (ICMP for an ICMP error) */
    uint8_t direction;          /**< 0: from key endpoint 0 to 1, 1: the other way */
    uint8_t tcp_flags;          /**< enum remed_tcp_flag */
    uint8_t flags;              /**< enum remed_headers_flag */
    uint8_t unclassified;       /**< enum remed_unclassified; 0: the key is valid */
    uint32_t around;            /**< with ::REMED_HEADERS_OUTER_FRAGMENT: offset of the outermost IP
                                     header around the classifying one that is a first fragment */
};

/**
 * Parses one packet, without memory of others: a later fragment is unclassified
 * (::REMED_UNCLASSIFIED_FRAGMENT), with addresses, protocol and fragment_id set.
 * @param packet the packet; not NULL
 * @param scope which tuple classifies a tunnelled packet
 * @param[out] headers filled whole, whatever the result; not NULL
 * @return `headers->unclassified`: 0 when the flow is known
 */
REMED_API enum remed_unclassified remed_packet_parse(const struct remed_packet *packet,
                                                     enum remed_scope scope,
                                                     struct remed_headers *headers);

/** Names a reason for reports and JSON ("not-ip"). @param reason any value @return static string */
REMED_API const char *remed_unclassified_name(unsigned reason);

/**
 * Later fragments find the flow of the first by this table of fixed size (RFC 791, RFC 8200). A
 * datagram stands in one of four places, which a secret chooses; when all are taken, the one that was
 * remembered first is forgotten and counted. So a call costs the same whatever strangers send, but a
 * flood of first fragments makes the table forget datagrams before their later fragments come.
 */
struct remed_fragments;

/** Options of a fragment table. */
struct remed_fragments_opts {
    size_t size;          /**< sizeof this struct, set by the init function */
    uint32_t capacity;    /**< datagrams remembered at once, 1 to 2^20; default 4,096 */
    uint32_t reserved;    /**< zero */
    uint64_t timeout;     /**< ns that a datagram is remembered; default 30 s (RFC 791: 15 s and up) */
    uint64_t seed;        /**< secret of the hash; 0: one is drawn (see entropy.h) */
    const struct remed_allocator *allocator; /**< NULL: malloc */
    const struct remed_entropy *entropy; /**< where a secret is drawn from; NULL: the system's */
};

/** Counters of a fragment table. */
struct remed_fragments_stats {
    uint64_t first;    /**< first fragments remembered */
    uint64_t matched;  /**< later fragments given their flow */
    uint64_t orphans;  /**< later fragments without a first */
    uint64_t evicted;  /**< datagrams forgotten early, for want of room: the oldest of a bucket */
};

/** Sets the defaults. @param opts not NULL @param size sizeof *opts */
REMED_API void remed_fragments_opts_init(struct remed_fragments_opts *opts, size_t size);
/**
 * Makes a fragment table.
 * @param[out] fragments the table, to be freed with remed_fragments_free(); not NULL
 * @param opts options, NULL for the defaults
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for an option out of range; ::REMED_ENOMEM; ::REMED_EIO when there are no
 *         random bytes for the secret
 */
REMED_API int remed_fragments_new(struct remed_fragments **fragments,
                                  const struct remed_fragments_opts *opts,
                                  struct remed_error *error);
/**
 * Remembers a first fragment, or completes the key of a later one. Does nothing for other packets.
 * A time that goes back forgets nothing, and what it makes younger ages from there. No allocation.
 * @param fragments not NULL
 * @param headers as remed_packet_parse() left them; for a later fragment whose first is known the
 *        key is completed and `unclassified` becomes 0
 * @param time the packet's time, ns
 * @return `headers->unclassified` afterwards
 */
REMED_API enum remed_unclassified remed_fragments_track(struct remed_fragments *fragments,
                                                        struct remed_headers *headers,
                                                        uint64_t time);
/**
 * As remed_fragments_track(), for the headers of a packet that is at hand: of a tunnel whose first
 * fragment this is, the later fragments find the flow inside it too. No allocation.
 * @param fragments not NULL
 * @param packet the packet that was parsed; not NULL
 * @param headers as remed_packet_parse() left them for that packet; changed as above
 * @return `headers->unclassified` afterwards
 */
REMED_API enum remed_unclassified remed_fragments_track_packet(struct remed_fragments *fragments,
                                                               const struct remed_packet *packet,
                                                               struct remed_headers *headers);
/** Reads the counters. @param fragments not NULL @param[out] stats not NULL @param size sizeof *stats */
REMED_API void remed_fragments_stats(const struct remed_fragments *fragments,
                                     struct remed_fragments_stats *stats, size_t size);
/** Frees the table. @param fragments may be NULL */
REMED_API void remed_fragments_free(struct remed_fragments *fragments);

REMED_END_DECLS
#endif
