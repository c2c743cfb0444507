/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file state.h
 * The state record: one piece of a middlebox's state, on its way from whoever learned it to every
 * standby, and its compact form on the wire (docs/wire.md).
 *
 * A record has a head (whose state, who says so, when, how new) and a body by its kind. Its key is
 * made of the body: two records with the same domain, kind and key speak of the same thing, and the
 * one with the greater (epoch, sequence) holds.
 *
 * Threads: one thread a record; const means concurrent readers are fine.
 */
#ifndef REMEDIATE_STATE_H
#define REMEDIATE_STATE_H

#include <remediate/error.h>
#include <remediate/memory.h>
#include <stddef.h>
#include <stdint.h>

REMED_BEGIN_DECLS

/** One record of state, to be filled, encoded, decoded and read; reused without allocation. */
struct remed_record;

/** What a record is about. */
enum remed_kind {
    REMED_KIND_NAT_BINDING = 1,   /**< struct remed_nat_binding */
    REMED_KIND_LB_ASSIGNMENT = 2, /**< struct remed_lb_assignment */
    REMED_KIND_SESSION = 3,       /**< struct remed_session */
    REMED_KIND_FLOW_RULE = 4,     /**< struct remed_flow_rule */
    REMED_KIND_COUNTER = 5,       /**< struct remed_counter */
    REMED_KIND_OPAQUE = 6         /**< struct remed_opaque */
};

/** What is to happen with the entry. */
enum remed_op {
    REMED_OP_UPSERT = 0, /**< make it, or replace it whole */
    REMED_OP_REMOVE = 1  /**< take it away; the body needs what its key is made of, no more */
};

/** How the state was learned. */
enum remed_learned {
    REMED_LEARNED_MIRRORED = 0,
    REMED_LEARNED_INFERRED = 1,
    REMED_LEARNED_LOGGED = 2,
    REMED_LEARNED_EXTRACTED = 3
};

/** Longest domain and origin, bytes without NUL. */
#define REMED_NAME_MAX 64
/** Longest name of a backend or a counter, bytes without NUL. */
#define REMED_TEXT_MAX 128
/** Longest match, actions, opaque key and data: bytes. */
#define REMED_BLOB_MAX 16384
/** Longest canonical key, bytes. */
#define REMED_KEY_MAX 512
/** Longest record on the wire, bytes. */
#define REMED_RECORD_MAX 65536

/** Greatest epoch and sequence. Both are only ever counted up, so there is always a greater one for
 *  who goes on: a record with one beyond this is refused wherever it comes from. 2^62 is enough for
 *  nanoseconds of the clock until the year 2116. */
#define REMED_NUMBER_MAX ((uint64_t)1 << 62)
/** Greatest epoch and sequence that a host may give a publisher for a record of its own. What is above
 *  is for the publisher, so that it can always go on behind what it was given. */
#define REMED_NUMBER_GIVEN_MAX ((uint64_t)1 << 61)

/** All of a record but its body. Strings are NUL-terminated UTF-8 without control characters. */
struct remed_record_head {
    size_t size;         /**< sizeof this struct, set by the init function */
    const char *domain;  /**< the protected pair, 1 to ::REMED_NAME_MAX bytes */
    const char *origin;  /**< who says so, 0 to ::REMED_NAME_MAX bytes; NULL is "" when set */
    uint32_t kind;       /**< enum remed_kind, read only: set with the body */
    uint32_t op;         /**< enum remed_op */
    uint32_t source;     /**< enum remed_learned */
    uint32_t reserved;   /**< zero */
    uint64_t epoch;      /**< raised at every switchover; at most ::REMED_NUMBER_MAX */
    uint64_t sequence;   /**< per origin; at most ::REMED_NUMBER_MAX */
    uint64_t observed;   /**< ns since the Unix epoch */
    uint64_t expires;    /**< ns since the Unix epoch; 0 never */
};

/** An address with a port. */
struct remed_endpoint {
    uint8_t address[16]; /**< network order; IPv4 fills the first 4 bytes, the rest is zero */
    uint16_t port;       /**< host order; of ICMP the identifier; 0 without one */
    uint8_t ip_version;  /**< 4 or 6; 0: there is no endpoint here */
    uint8_t reserved;    /**< zero */
};

/** Bytes that remed_endpoint_print() needs at most, with the NUL. */
#define REMED_ENDPOINT_PRINT_SIZE 56
/** Writes "10.0.0.1:80" or "[2001:db8::1]:80", without a port the address alone, "" for no endpoint.
 *  @param endpoint not NULL @param[out] text ::REMED_ENDPOINT_PRINT_SIZE bytes */
REMED_API void remed_endpoint_print(const struct remed_endpoint *endpoint, char *text);
/** Reads what remed_endpoint_print() writes.
 *  @param[out] endpoint untouched on failure; not NULL @param text @p length bytes @param length
 *  @return 0; ::REMED_ESYNTAX */
REMED_API int remed_endpoint_parse(struct remed_endpoint *endpoint, const char *text,
                                   size_t length);

/** A binding of a NAT. Key: protocol, inside, remote. */
struct remed_nat_binding {
    struct remed_endpoint inside;  /**< before translation */
    struct remed_endpoint outside; /**< after it; may be absent in a removal */
    struct remed_endpoint remote;  /**< the peer that it holds for; absent: for every peer */
    uint8_t protocol;              /**< IP protocol number; 0: any */
    uint8_t reserved[3];           /**< zero */
};

/** A load balancer's choice. Key: protocol, client, virtual. */
struct remed_lb_assignment {
    struct remed_endpoint client;  /**< who asks */
    struct remed_endpoint service; /**< the virtual address; "virtual" in JSON */
    struct remed_endpoint backend; /**< absent in a removal, or when the source only names it */
    uint8_t protocol;              /**< IP protocol number */
    uint8_t reserved[3];           /**< zero */
    char backend_name[REMED_TEXT_MAX + 1]; /**< "" without one */
};

/** Where a TCP connection stands; as RFC 9293, 3.3.2, from between the two. */
enum remed_tcp_state {
    REMED_TCP_STATE_NONE = 0, /**< not told, or not TCP */
    REMED_TCP_STATE_SYN_SENT,
    REMED_TCP_STATE_SYN_RECEIVED,
    REMED_TCP_STATE_ESTABLISHED,
    REMED_TCP_STATE_FIN_WAIT,
    REMED_TCP_STATE_CLOSE_WAIT,
    REMED_TCP_STATE_LAST_ACK,
    REMED_TCP_STATE_TIME_WAIT,
    REMED_TCP_STATE_CLOSED,
    REMED_TCP_STATE_COUNT /**< how many there are; not a state */
};

/** What a stateful box knows of one direction's TCP window. */
struct remed_tcp_window {
    uint32_t end;         /**< sequence number behind the last byte sent */
    uint32_t max_end;     /**< the highest that the other side allows */
    uint32_t max_window;  /**< the largest window seen, scaled */
    uint8_t scale;        /**< RFC 7323 shift, 0 to 14 */
    uint8_t known;        /**< 1: the others are set */
    uint8_t reserved[2];  /**< zero */
};

/** A flow as a firewall or a connection tracker knows it. Key: protocol, client, server. */
struct remed_session {
    struct remed_endpoint client;         /**< who opened it */
    struct remed_endpoint server;         /**< whom it opened it to */
    struct remed_endpoint client_outside; /**< the client after translation; may be absent */
    struct remed_endpoint server_inside;  /**< the server after translation; may be absent */
    struct remed_tcp_window window[2];    /**< from the client, from the server */
    uint64_t bytes[2];                    /**< from the client, from the server */
    uint64_t packets[2];                  /**< from the client, from the server */
    uint64_t timeout;                     /**< ns left when observed; 0 not told */
    uint8_t protocol;                     /**< IP protocol number */
    uint8_t tcp_state;                    /**< enum remed_tcp_state */
    uint8_t reserved[6];                  /**< zero */
};

/** A rule of an open switch or firewall. Key: table, priority, match. Bytes are borrowed. */
struct remed_flow_rule {
    const uint8_t *match;    /**< @c match_length bytes, canonical by the driver's rules */
    const uint8_t *actions;  /**< @c actions_length bytes */
    uint32_t match_length;   /**< 0 to ::REMED_KEY_MAX - 80 */
    uint32_t actions_length; /**< 0 to ::REMED_BLOB_MAX */
    uint64_t cookie;         /**< the controller's mark; 0 without one */
    uint32_t table;          /**< number of the table that holds the rule */
    uint32_t priority;       /**< the greater matches first */
};

/** A number with a name. Key: the name. */
struct remed_counter {
    char name[REMED_TEXT_MAX + 1]; /**< 1 to ::REMED_TEXT_MAX bytes */
    uint64_t value;                /**< as it stood when observed */
};

/** Bytes that only the drivers at both ends understand. Key: the key. Bytes are borrowed. */
struct remed_opaque {
    const uint8_t *key;   /**< @c key_length bytes */
    const uint8_t *data;  /**< @c data_length bytes */
    uint32_t key_length;  /**< 1 to ::REMED_KEY_MAX - 80 */
    uint32_t data_length; /**< 0 to ::REMED_BLOB_MAX */
};

/**
 * Makes an empty record: no domain, no body.
 * @param[out] record to be freed with remed_record_free(); not NULL
 * @param allocator NULL for malloc; also used for blobs and unknown fields
 * @return 0; ::REMED_ENOMEM
 */
REMED_API int remed_record_new(struct remed_record **record,
                               const struct remed_allocator *allocator);
/** Empties a record, and keeps its memory. @param record not NULL */
REMED_API void remed_record_clear(struct remed_record *record);
/** Frees a record. @param record may be NULL */
REMED_API void remed_record_free(struct remed_record *record);

/** Sets the defaults. @param head not NULL @param size sizeof *head */
REMED_API void remed_record_head_init(struct remed_record_head *head, size_t size);
/**
 * Sets all of the head but the kind.
 * @param record not NULL; unchanged on failure
 * @param head not NULL; its strings are copied
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL for a name that is empty, too long or no plain UTF-8, a value out of its
 *         range, an epoch or sequence above ::REMED_NUMBER_MAX included, or a reserved member that is
 *         not zero
 */
REMED_API int remed_record_set_head(struct remed_record *record,
                                    const struct remed_record_head *head,
                                    struct remed_error *error);
/**
 * Reads the head.
 * @param record not NULL
 * @param[out] head not NULL; its strings are valid until the record changes
 * @param size sizeof *head
 */
REMED_API void remed_record_head(const struct remed_record *record, struct remed_record_head *head,
                                 size_t size);

/**
 * Sets body and kind. The body is checked: endpoints of the same IP version where they must be, the
 * parts that make the key present.
 * @param record not NULL; unchanged on failure
 * @param kind enum remed_kind
 * @param body the struct of that kind; not NULL; copied, with what it points to
 * @param size sizeof that struct
 * @param error filled on failure; may be NULL
 * @return 0; ::REMED_EINVAL, also for a reserved member that is not zero; ::REMED_ENOMEM
 */
REMED_API int remed_record_set_body(struct remed_record *record, unsigned kind, const void *body,
                                    size_t size, struct remed_error *error);
/**
 * Reads the body.
 * @param record not NULL
 * @param kind the kind that is expected
 * @param[out] body the struct of that kind; not NULL; what it points to is valid until the record
 *        changes
 * @param size sizeof that struct
 * @return 0; ::REMED_ENOENT when the record is of another kind
 */
REMED_API int remed_record_body(const struct remed_record *record, unsigned kind, void *body,
                                size_t size);
/**
 * Writes the canonical key: domain, kind and what identifies the entry within them. Equal for all
 * records of one thing, on every machine.
 * @param record not NULL, with domain and body
 * @param[out] key @p size bytes; may be NULL with size 0
 * @param size bytes at @p key; ::REMED_KEY_MAX always suffice
 * @return bytes of the whole key, also when it does not fit; 0 without domain or body
 */
REMED_API size_t remed_record_key(const struct remed_record *record, uint8_t *key, size_t size);

/**
 * Writes the record's wire form.
 * @param record not NULL
 * @param[out] bytes @p size bytes; may be NULL with size 0
 * @param size bytes at @p bytes; ::REMED_RECORD_MAX always suffice
 * @param[out] length bytes of the whole wire form, also when it does not fit; not NULL
 * @return 0; ::REMED_EINVAL without domain or body, or with an epoch or sequence above
 *         ::REMED_NUMBER_MAX; ::REMED_ELIMIT when it does not fit
 */
REMED_API int remed_record_encode(const struct remed_record *record, uint8_t *bytes, size_t size,
                                  size_t *length);
/**
 * Reads a wire form. Every length is checked before anything is allocated on its word; fields that
 * a later version added are kept, and written again by remed_record_encode().
 * @param record not NULL; holds the record on success, is empty on failure
 * @param bytes the wire form
 * @param length its bytes, all of them one record
 * @param error filled on failure, with the byte where it is; may be NULL
 * @return 0; ::REMED_ETRUNCATED; ::REMED_EFORMAT for what is no record, an epoch or sequence above
 *         ::REMED_NUMBER_MAX included; ::REMED_EUNSUPPORTED for a version or kind too new; ::REMED_ELIMIT; ::REMED_ENOMEM
 */
REMED_API int remed_record_decode(struct remed_record *record, const uint8_t *bytes, size_t length,
                                  struct remed_error *error);

/**
 * Tells how long the record at the head of some bytes is, without reading it.
 * @param bytes @p available bytes
 * @param available may be less than the record
 * @param[out] length bytes of the record; not NULL
 * @return 0; ::REMED_ETRUNCATED when more bytes are needed; ::REMED_EFORMAT for what begins no record;
 *         ::REMED_ELIMIT for one that is too long
 */
REMED_API int remed_record_measure(const uint8_t *bytes, size_t available, size_t *length);

/** Which of two records of one key is the newer, by (epoch, sequence).
 *  @param a not NULL @param b not NULL @return above 0 for @p a, below for @p b, 0 for neither */
REMED_API int remed_record_compare(const struct remed_record *a, const struct remed_record *b);

/** Names a kind ("nat-binding"). @param kind any value @return static string, NULL for no kind */
REMED_API const char *remed_kind_name(unsigned kind);
/** Names a source ("logged"). @param source any value @return static string, NULL for no source */
REMED_API const char *remed_learned_name(unsigned source);
/** Names a TCP state ("established"). @param state any value @return static string or NULL */
REMED_API const char *remed_tcp_state_name(unsigned state);

REMED_END_DECLS
#endif
