/* SPDX-License-Identifier: BSD-3-Clause */
/* The duplicates of recent.h. Threads: belongs to one filter. */
#include "filter/recent.h"

#include "base/hash.h"
#include "filter/signal.h"
#include "flow/clock.h"

/* A packet with an identification of its own, which no sender gives to two in so short a time. */
static bool has_identification(const uint8_t *ip, const struct remed_headers *headers)
{
    if (headers->ip_version == 4)
        return remed_load16(ip + 4) != 0;
    return (headers->flags & REMED_HEADERS_FRAGMENT) != 0;
}

/* A segment that takes up sequence numbers: nobody sends it twice so soon, but for fast
 * retransmissions, and those are no news. */
static bool has_sequence(const struct remed_headers *headers, uint32_t end)
{
    return (headers->flags & REMED_HEADERS_TCP) != 0 &&
           ((headers->tcp_flags & (REMED_TCP_SYN | REMED_TCP_FIN)) != 0 || headers->payload < end);
}

/* Where the bytes begin that stay the same on the packet's way: behind the network header. */
static uint32_t begin_of(const uint8_t *ip, const struct remed_headers *headers)
{
    return headers->network + (headers->ip_version == 4 ? (ip[0] & 15u) * 4 : 40u);
}

struct remed_signature remed_recent_sign(const struct remed_packet *packet,
                                         const struct remed_headers *headers, uint32_t flow,
                                         uint64_t began, const uint64_t secret[2])
{
    struct remed_signature signature = {0, 0};
    uint32_t end = remed_packet_end(packet, headers);
    if (headers->network >= end || end - headers->network < 20)
        return signature;
    const uint8_t *ip = packet->data + headers->network;
    uint32_t begin = begin_of(ip, headers);
    if (begin >= end)
        return signature;
    uint64_t place = (uint64_t)flow << 1 | headers->direction;
    /* IPv4: length, identification and fragment offset; IPv6: the payload's length, and what
     * tells fragments apart is among the bytes behind */
    uint64_t id = headers->ip_version == 4 ? remed_load64(ip + 2) >> 16 : remed_load16(ip + 4);
    uint64_t hash = remed_hash_words(place ^ began * REMED_HASH_C0, id, secret);
    hash ^= remed_hash_bytes(packet->data + begin, end - begin, secret);
    signature.value = hash != 0 ? hash : 1;
    signature.within = has_identification(ip, headers) || has_sequence(headers, end)
                           ? REMED_RECENT_TIME
                           : REMED_RECENT_NAMELESS_TIME;
    return signature;
}

static bool is_recent(uint64_t then, uint64_t now, int64_t within)
{
    int64_t passed = remed_clock_since(then, now);
    return passed <= within && passed >= -within;
}

bool remed_recent_has(const struct remed_recent *recent, struct remed_signature signature,
                      uint64_t now)
{
    const struct remed_recent_packet *set = recent->packet[signature.value % REMED_RECENT_SETS];
    for (unsigned i = 0; i < REMED_RECENT_WAYS; i++)
        if (set[i].signature == signature.value && is_recent(set[i].time, now, signature.within))
            return true;
    return false;
}

void remed_recent_add(struct remed_recent *recent, uint64_t signature, uint64_t now)
{
    struct remed_recent_packet *set = recent->packet[signature % REMED_RECENT_SETS];
    struct remed_recent_packet *place = &set[0];
    for (unsigned i = 1; i < REMED_RECENT_WAYS && place->signature != 0; i++)
        if (set[i].signature == 0 || remed_clock_since(set[i].time, place->time) > 0)
            place = &set[i];
    *place = (struct remed_recent_packet){signature, now};
}
