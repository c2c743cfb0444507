/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transport headers: ports, TCP's flags and numbers, ICMP's identifiers, and the packet that an
 * ICMP error quotes (RFC 792, RFC 4443), whose flow the error belongs to.
 *
 * Threads: no state.
 */
#include "packet/parse.h"

static void set_key(struct remed_headers *headers, const struct remed_network *network,
                    uint16_t source, uint16_t destination)
{
    headers->direction =
        (uint8_t)remed_flow_key_init(&headers->key, headers->ip_version, headers->protocol,
                                     network->source, source, network->destination, destination);
}

static uint32_t bytes_left(const struct remed_network *network)
{
    return network->end > network->transport ? network->end - network->transport : 0;
}

static void set_payload(const struct remed_network *network, struct remed_headers *headers,
                        uint32_t length, uint32_t least)
{
    if (length >= least && length <= bytes_left(network))
        headers->payload = network->transport + length;
}

static void parse_tcp(const uint8_t *tcp, const struct remed_network *network,
                      struct remed_headers *headers)
{
    if (bytes_left(network) < 14) /* an ICMP error quotes as little as 8 bytes */
        return;
    headers->tcp_sequence = remed_load32(tcp + 4);
    headers->tcp_ack = remed_load32(tcp + 8);
    headers->tcp_flags = tcp[13];
    headers->flags |= REMED_HEADERS_TCP;
    set_payload(network, headers, (uint32_t)(tcp[12] >> 4) * 4, 20);
}

static void parse_ports(const struct remed_frame *frame, const struct remed_network *network,
                        struct remed_headers *headers)
{
    if (bytes_left(network) < 4) {
        headers->unclassified = REMED_UNCLASSIFIED_TRANSPORT_TRUNCATED;
        return;
    }
    const uint8_t *header = frame->data + network->transport;
    set_key(headers, network, remed_load16(header), remed_load16(header + 2));
    if (headers->protocol == REMED_PROTO_TCP)
        parse_tcp(header, network, headers);
    else if (headers->protocol == REMED_PROTO_SCTP)
        set_payload(network, headers, 12, 12);
    else if (headers->protocol == REMED_PROTO_DCCP && bytes_left(network) > 4)
        set_payload(network, headers, (uint32_t)header[4] * 4, 12);
    else if (headers->protocol != REMED_PROTO_DCCP)
        set_payload(network, headers, 8, 8);
}

static bool has_identifier(unsigned protocol, unsigned type)
{
    if (protocol == REMED_PROTO_ICMPV6)
        return type == 128 || type == 129;
    return type == 0 || type == 8 || (type >= 13 && type <= 18);
}

static bool is_error(unsigned protocol, unsigned type)
{
    if (protocol == REMED_PROTO_ICMPV6)
        return type >= 1 && type <= 4;
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/* Takes the key of the quoted packet, if that has one. The error travels towards its source. */
static void take_quote(const struct remed_frame *frame, const struct remed_network *network,
                       struct remed_headers *headers)
{
    struct remed_frame inside = *frame;
    struct remed_headers quote;
    memset(&quote, 0, sizeof quote);
    inside.quoted = 1;
    inside.captured = network->end;
    remed_parse_ip(&inside, network->transport + 8, &quote);
    if (quote.unclassified != REMED_CLASSIFIED)
        return;
    headers->key = quote.key;
    headers->direction = quote.direction ^ 1;
    headers->flags |= REMED_HEADERS_ICMP_ERROR;
}

static void parse_icmp(const struct remed_frame *frame, const struct remed_network *network,
                       struct remed_headers *headers)
{
    if (bytes_left(network) < 1) {
        headers->unclassified = REMED_UNCLASSIFIED_TRANSPORT_TRUNCATED;
        return;
    }
    const uint8_t *icmp = frame->data + network->transport;
    if (has_identifier(headers->protocol, icmp[0])) {
        if (bytes_left(network) < 6) {
            headers->unclassified = REMED_UNCLASSIFIED_TRANSPORT_TRUNCATED;
            return;
        }
        uint16_t identifier = remed_load16(icmp + 4);
        set_key(headers, network, identifier, identifier);
    }
    set_payload(network, headers, 8, 8);
    if (is_error(headers->protocol, icmp[0]) && frame->quoted == 0 &&
        (headers->flags & REMED_HEADERS_FRAGMENT) == 0 && bytes_left(network) > 8)
        take_quote(frame, network, headers);
}

void remed_parse_transport(const struct remed_frame *frame, const struct remed_network *network,
                           struct remed_headers *headers)
{
    switch (headers->protocol) {
    case REMED_PROTO_TCP:
    case REMED_PROTO_UDP:
    case REMED_PROTO_UDPLITE:
    case REMED_PROTO_SCTP:
    case REMED_PROTO_DCCP:
        parse_ports(frame, network, headers);
        break;
    case REMED_PROTO_ICMP:
    case REMED_PROTO_ICMPV6:
        parse_icmp(frame, network, headers);
        break;
    default: /* addresses and protocol are the key */
        break;
    }
}
