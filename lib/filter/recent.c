/* SPDX-License-Identifier: BSD-3-Clause */
/* The duplicates of recent.h. Threads: belongs to one filter. */
#include "filter/recent.h"

#include "base/hash.h"
#include "filter/signal.h"
#include "flow/clock.h"

#define SIGNED_BYTES 64u /* from the transport header on; its checksum speaks for the rest */

uint64_t remed_recent_sign(const struct remed_packet *packet, const struct remed_headers *headers,
                           uint32_t flow, uint64_t began, const uint64_t secret[2])
{
    uint32_t end = remed_packet_end(packet, headers);
    if (headers->transport >= end || headers->network >= headers->transport)
        return 0;
    const uint8_t *ip = packet->data + headers->network;
    uint32_t length = end - headers->transport;
    uint64_t place = (uint64_t)flow << 1 | headers->direction;
    /* IPv4: length, identification and fragment offset; IPv6: the payload's length */
    uint64_t id = headers->ip_version == 4 ? remed_load64(ip + 2) >> 16 : remed_load16(ip + 4);
    uint64_t hash = remed_hash_words(place ^ began * REMED_HASH_C0, id, secret);
    hash ^= remed_hash_bytes(packet->data + headers->transport,
                             length < SIGNED_BYTES ? length : SIGNED_BYTES, secret);
    return hash != 0 ? hash : 1;
}

static bool is_recent(uint64_t then, uint64_t now)
{
    int64_t passed = remed_clock_since(then, now);
    return passed <= (int64_t)REMED_RECENT_TIME && passed >= -(int64_t)REMED_RECENT_TIME;
}

bool remed_recent_has(const struct remed_recent *recent, uint64_t signature, uint64_t now)
{
    const struct remed_recent_packet *set = recent->packet[signature % REMED_RECENT_SETS];
    for (unsigned i = 0; i < REMED_RECENT_WAYS; i++)
        if (set[i].signature == signature && is_recent(set[i].time, now))
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
