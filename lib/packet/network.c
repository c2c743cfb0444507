/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * IP headers: IPv4 with options (RFC 791), IPv6 with extension headers (RFC 8200).
 *
 * The packet ends where its length says, if that is within what was captured: bytes behind it are
 * padding. A length of 0 is a packet that the network card was to cut (TSO), and ends with the
 * frame.
 *
 * Threads: no state.
 */
#include "packet/parse.h"

#define IPV6_HEADER 40u
#define MAX_EXTENSIONS 16u

static void refuse(struct remed_headers *headers, enum remed_unclassified reason)
{
    headers->unclassified = (uint8_t)reason;
}

static uint32_t end_of(const struct remed_frame *frame, uint32_t offset, uint32_t length)
{
    uint32_t left = frame->captured - offset;
    return length != 0 && length < left ? offset + length : frame->captured;
}

static void set_addresses(struct remed_headers *headers, const struct remed_network *network,
                          unsigned version)
{
    headers->ip_version = (uint8_t)version;
    headers->direction = (uint8_t)remed_flow_key_init(&headers->key, version, headers->protocol,
                                                      network->source, 0, network->destination, 0);
}

/* Goes on behind an IP header whose protocol and fragment flags are in `headers`. */
static void follow(const struct remed_frame *frame, const struct remed_network *network,
                   struct remed_headers *headers)
{
    if ((headers->flags & REMED_HEADERS_LATER_FRAGMENT) != 0) {
        refuse(headers, REMED_UNCLASSIFIED_FRAGMENT);
        return;
    }
    headers->transport = network->transport;
    remed_parse_transport(frame, network, headers);
    if (frame->quoted == 0 && headers->unclassified == REMED_CLASSIFIED)
        remed_parse_tunnel(frame, network, headers);
}

static void set_fragment(struct remed_headers *headers, uint32_t identification, bool more,
                         bool later)
{
    if (!more && !later)
        return;
    headers->flags |= REMED_HEADERS_FRAGMENT;
    headers->flags |= later ? REMED_HEADERS_LATER_FRAGMENT : 0;
    headers->fragment_id = identification;
}

static void parse_ipv4(const struct remed_frame *frame, uint32_t offset,
                       struct remed_headers *headers)
{
    if (!remed_holds(frame, offset, 20)) {
        refuse(headers, REMED_UNCLASSIFIED_IP_TRUNCATED);
        return;
    }
    const uint8_t *ip = frame->data + offset;
    uint32_t header = (uint32_t)(ip[0] & 15) * 4, total = remed_load16(ip + 2);
    if (header < 20 || (total != 0 && total < header)) {
        refuse(headers, REMED_UNCLASSIFIED_IP_MALFORMED);
        return;
    }
    if (!remed_holds(frame, offset, header)) {
        refuse(headers, REMED_UNCLASSIFIED_IP_TRUNCATED);
        return;
    }
    uint32_t fragment = remed_load16(ip + 6);
    struct remed_network network = {offset + header, end_of(frame, offset, total), ip + 12,
                                    ip + 16};
    headers->protocol = ip[9];
    set_fragment(headers, remed_load16(ip + 4), (fragment & 0x2000) != 0, (fragment & 0x1fff) != 0);
    set_addresses(headers, &network, 4);
    follow(frame, &network, headers);
}

static bool is_extension(unsigned protocol)
{
    switch (protocol) {
    case 0:   /* hop by hop */
    case 43:  /* routing */
    case 44:  /* fragment */
    case 51:  /* authentication */
    case 60:  /* destination options */
    case 135: /* mobility */
    case 139: /* HIP */
    case 140: /* shim6 */
        return true;
    default:
        return false;
    }
}

/* Steps over one extension header. */
static enum remed_unclassified skip_extension(const struct remed_frame *frame,
                                              struct remed_network *network,
                                              struct remed_headers *headers)
{
    uint32_t at = network->transport;
    if (network->end < at || network->end - at < 8)
        return REMED_UNCLASSIFIED_IP_TRUNCATED;
    const uint8_t *header = frame->data + at;
    uint32_t length = ((uint32_t)header[1] + 1) * 8;
    if (headers->protocol == REMED_PROTO_AH)
        length = ((uint32_t)header[1] + 2) * 4;
    if (headers->protocol == REMED_PROTO_FRAGMENT) {
        uint32_t fragment = remed_load16(header + 2);
        set_fragment(headers, remed_load32(header + 4), (fragment & 1) != 0, fragment > 7);
        length = 8;
    }
    headers->protocol = header[0];
    if (network->end - at < length)
        return REMED_UNCLASSIFIED_IP_TRUNCATED;
    network->transport = at + length;
    return REMED_CLASSIFIED;
}

static void parse_ipv6(const struct remed_frame *frame, uint32_t offset,
                       struct remed_headers *headers)
{
    if (!remed_holds(frame, offset, IPV6_HEADER)) {
        refuse(headers, REMED_UNCLASSIFIED_IP_TRUNCATED);
        return;
    }
    const uint8_t *ip = frame->data + offset;
    uint32_t length = remed_load16(ip + 4);
    struct remed_network network = {offset + IPV6_HEADER,
                                    end_of(frame, offset, length != 0 ? length + IPV6_HEADER : 0),
                                    ip + 8, ip + 24};
    headers->protocol = ip[6];
    enum remed_unclassified reason = REMED_CLASSIFIED;
    unsigned count = 0;
    while (reason == REMED_CLASSIFIED && is_extension(headers->protocol) &&
           (headers->flags & REMED_HEADERS_LATER_FRAGMENT) == 0)
        reason = count++ < MAX_EXTENSIONS ? skip_extension(frame, &network, headers)
                                          : REMED_UNCLASSIFIED_IP_MALFORMED;
    set_addresses(headers, &network, 6);
    if (reason != REMED_CLASSIFIED)
        refuse(headers, reason);
    else
        follow(frame, &network, headers);
}

void remed_parse_ip(const struct remed_frame *frame, uint32_t offset, struct remed_headers *headers)
{
    if (!remed_holds(frame, offset, 1)) {
        refuse(headers, REMED_UNCLASSIFIED_IP_TRUNCATED);
        return;
    }
    unsigned version = frame->data[offset] >> 4;
    headers->network = offset;
    if (version == 4)
        parse_ipv4(frame, offset, headers);
    else if (version == 6)
        parse_ipv6(frame, offset, headers);
    else
        refuse(headers, REMED_UNCLASSIFIED_IP_MALFORMED);
}
