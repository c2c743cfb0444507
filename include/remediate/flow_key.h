/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file flow_key.h
 * The symmetric five-tuple: both directions of a flow have the same key.
 *
 * Endpoint 0 is the lesser of the two (address bytes, then port), so that a key needs no search for
 * its direction; who opened the flow is the flow's business. Threads: plain data.
 */
#ifndef REMEDIATE_FLOW_KEY_H
#define REMEDIATE_FLOW_KEY_H

#include <remediate/export.h>
#include <stddef.h>
#include <stdint.h>

REMED_BEGIN_DECLS

/**
 * A canonical flow key: 40 bytes without padding, comparable with memcmp.
 * Ports are host order. Without ports both are 0; for ICMP and ICMPv6 with an identifier (echo,
 * timestamp, …) both are the identifier. An IPv4 address fills the first 4 bytes, the rest is 0.
 */
struct remed_flow_key {
    uint8_t address[2][16]; /**< network order; [0] is the lesser endpoint */
    uint16_t port[2];       /**< of the same endpoints */
    uint8_t protocol;       /**< IP protocol number */
    uint8_t ip_version;     /**< 4 or 6 */
    uint8_t reserved[2];    /**< zero */
};

/**
 * Makes a key canonical from a source and a destination.
 * @param[out] key not NULL
 * @param ip_version 4 or 6: how many bytes (4 or 16) the addresses have
 * @param protocol IP protocol number
 * @param source address bytes; not NULL
 * @param source_port host order
 * @param destination address bytes; not NULL
 * @param destination_port host order
 * @return the direction: 0 when the source became endpoint 0, else 1
 */
REMED_API unsigned remed_flow_key_init(struct remed_flow_key *key, unsigned ip_version,
                                       unsigned protocol, const uint8_t *source,
                                       uint16_t source_port, const uint8_t *destination,
                                       uint16_t destination_port);

/** Longest text of one endpoint ("[address]:port") with its NUL. */
#define REMED_ENDPOINT_TEXT_SIZE 56

/**
 * Writes one endpoint as "10.0.0.1:80" or "[2001:db8::1]:80"; the address alone for a protocol
 * without ports.
 * @param key not NULL
 * @param endpoint 0 or 1
 * @param[out] text ::REMED_ENDPOINT_TEXT_SIZE bytes; NUL-terminated
 */
REMED_API void remed_flow_key_endpoint(const struct remed_flow_key *key, unsigned endpoint,
                                       char *text);

REMED_END_DECLS
#endif
