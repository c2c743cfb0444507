/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Later fragments carry no ports: they find their flow by the datagram's addresses, identification
 * and (IPv4) protocol, under which the first fragment was remembered.
 *
 * Four datagrams a bucket; a full bucket forgets the one that was remembered first, in the order of
 * arrival and not of the clock, which may step back. A later fragment that comes before the first
 * is an orphan: nothing is queued, since packets are decided as they come.
 *
 * With a tunnel in fragments, only the first has the headers of the packet inside. It is remembered
 * by the tunnel's addresses and identification with the flow inside, so that the others follow it.
 *
 * Threads: one thread a table.
 */
#include "packet/parse.h"

#include "base/entropy.h"
#include "base/hash.h"

#define WAYS 4u
#define MAX_CAPACITY (1u << 20)

struct datagram {
    uint8_t source[16];
    uint8_t destination[16];
    struct remed_flow_key key; /* of the first fragment, with ports */
    uint64_t time;
    uint64_t order; /* of arrival */
    uint32_t id;
    uint8_t protocol; /* IPv4's; IPv6 identifies by addresses alone */
    uint8_t ip_version;
    uint8_t direction;
    uint8_t tunnel; /* REMED_HEADERS_TUNNEL when the key is that of a packet inside */
    uint8_t used;
};

struct remed_fragments {
    struct datagram *datagrams;
    uint32_t buckets; /* a power of two */
    uint64_t timeout;
    uint64_t arrivals;
    uint64_t secret[2];
    struct remed_fragments_stats stats;
    struct remed_allocator allocator;
};

void remed_fragments_opts_init(struct remed_fragments_opts *opts, size_t size)
{
    const struct remed_fragments_opts defaults = {
        .size = size, .capacity = 4096, .timeout = 30 * REMED_NS_PER_S};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

static size_t table_bytes(const struct remed_fragments *fragments)
{
    return (size_t)fragments->buckets * WAYS * sizeof *fragments->datagrams;
}

static int check_opts(const struct remed_fragments_opts *opts, struct remed_error *error)
{
    if (opts->capacity == 0 || opts->capacity > MAX_CAPACITY)
        return remed_error_set(error, REMED_EINVAL, "fragments is %u, must be 1 to %u",
                               opts->capacity, MAX_CAPACITY);
    if (opts->reserved != 0)
        return remed_error_set(error, REMED_EINVAL, "fragments: reserved must be 0");
    return 0;
}

int remed_fragments_new(struct remed_fragments **fragments,
                        const struct remed_fragments_opts *given, struct remed_error *error)
{
    struct remed_fragments_opts opts;
    remed_fragments_opts_init(&opts, sizeof opts);
    int rc = given != NULL ? remed_opts_copy(&opts, sizeof opts, given, "fragments", error) : 0;
    if (rc == 0)
        rc = check_opts(&opts, error);
    const uint64_t seed[2] = {opts.seed, opts.seed != 0 ? ~opts.seed : 0};
    uint64_t secret[2];
    if (rc == 0)
        rc = remed_entropy_secret(secret, seed, opts.entropy, error);
    if (rc < 0)
        return rc;
    struct remed_allocator allocator = remed_allocator_or_default(opts.allocator);
    struct remed_fragments *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for the fragment table");
    made->allocator = allocator;
    made->timeout = opts.timeout;
    memcpy(made->secret, secret, sizeof secret);
    for (made->buckets = 1; made->buckets * WAYS < opts.capacity;)
        made->buckets *= 2;
    made->datagrams = remed_allocate(&allocator, table_bytes(made));
    if (made->datagrams == NULL) {
        remed_fragments_free(made);
        return remed_error_set(error, REMED_ENOMEM, "no memory for the fragment table");
    }
    *fragments = made;
    return 0;
}

void remed_fragments_free(struct remed_fragments *fragments)
{
    if (fragments == NULL)
        return;
    struct remed_allocator allocator = fragments->allocator;
    remed_release(&allocator, fragments->datagrams, table_bytes(fragments));
    remed_release(&allocator, fragments, sizeof *fragments);
}

/* What all fragments of a datagram have in common. */
static void identify(const struct remed_headers *headers, struct datagram *datagram)
{
    const struct remed_flow_key *key = &headers->key;
    memset(datagram, 0, sizeof *datagram);
    memcpy(datagram->source, key->address[headers->direction & 1], 16);
    memcpy(datagram->destination, key->address[(headers->direction & 1) ^ 1], 16);
    datagram->id = headers->fragment_id;
    datagram->ip_version = headers->ip_version;
    datagram->protocol = headers->ip_version == 4 ? headers->protocol : 0;
}

static struct datagram *bucket_of(const struct remed_fragments *fragments,
                                  const struct datagram *datagram)
{
    uint64_t hash = remed_hash_words(remed_load64(datagram->source),
                                     remed_load64(datagram->source + 8), fragments->secret);
    hash ^= remed_hash_words(remed_load64(datagram->destination) ^ REMED_HASH_C0,
                             remed_load64(datagram->destination + 8), fragments->secret);
    hash = remed_hash_words(hash, (uint64_t)datagram->id << 16 | datagram->protocol,
                            fragments->secret);
    hash = remed_hash_finish(hash);
    return fragments->datagrams + (size_t)(hash & (fragments->buckets - 1)) * WAYS;
}

static bool is_same(const struct datagram *a, const struct datagram *b)
{
    return a->used != 0 && a->id == b->id && a->protocol == b->protocol &&
           a->ip_version == b->ip_version && memcmp(a->source, b->source, 16) == 0 &&
           memcmp(a->destination, b->destination, 16) == 0;
}

static bool is_old(const struct remed_fragments *fragments, const struct datagram *datagram,
                   uint64_t now)
{
    return now > datagram->time && now - datagram->time > fragments->timeout;
}

/* Times after now are those before a clock stepped back: they age from now on. */
static void rejuvenate(struct datagram *bucket, uint64_t now)
{
    for (unsigned i = 0; i < WAYS; i++)
        if (bucket[i].used != 0 && bucket[i].time > now)
            bucket[i].time = now;
}

static void remember(struct remed_fragments *fragments, const struct datagram *datagram)
{
    struct datagram *bucket = bucket_of(fragments, datagram), *place = &bucket[0];
    rejuvenate(bucket, datagram->time);
    for (unsigned i = 0; i < WAYS; i++) {
        if (is_same(&bucket[i], datagram) || bucket[i].used == 0) {
            place = &bucket[i];
            break;
        }
        if (bucket[i].order < place->order)
            place = &bucket[i];
    }
    if (place->used != 0 && !is_same(place, datagram) && !is_old(fragments, place, datagram->time))
        fragments->stats.evicted++;
    *place = *datagram;
    place->order = fragments->arrivals++;
    place->used = 1;
    fragments->stats.first++;
}

static const struct datagram *recall(const struct remed_fragments *fragments,
                                     const struct datagram *datagram)
{
    struct datagram *bucket = bucket_of(fragments, datagram);
    rejuvenate(bucket, datagram->time);
    for (unsigned i = 0; i < WAYS; i++)
        if (is_same(&bucket[i], datagram))
            return is_old(fragments, &bucket[i], datagram->time) ? NULL : &bucket[i];
    return NULL;
}

/* Under the datagram's name, the flow that the headers now have. */
static void remember_flow(struct remed_fragments *fragments, struct datagram *datagram,
                          const struct remed_headers *headers)
{
    if (headers->unclassified != REMED_CLASSIFIED)
        return;
    datagram->key = headers->key;
    datagram->direction = headers->direction;
    datagram->tunnel = headers->flags & REMED_HEADERS_TUNNEL;
    remember(fragments, datagram);
}

enum remed_unclassified remed_fragments_track(struct remed_fragments *fragments,
                                              struct remed_headers *headers, uint64_t time)
{
    struct datagram datagram;
    if ((headers->flags & REMED_HEADERS_FRAGMENT) == 0)
        return (enum remed_unclassified)headers->unclassified;
    identify(headers, &datagram);
    datagram.time = time;
    if ((headers->flags & REMED_HEADERS_LATER_FRAGMENT) == 0) {
        remember_flow(fragments, &datagram, headers);
        return (enum remed_unclassified)headers->unclassified;
    }
    const struct datagram *first = recall(fragments, &datagram);
    if (first == NULL) {
        fragments->stats.orphans++;
        return (enum remed_unclassified)headers->unclassified;
    }
    headers->key = first->key;
    headers->direction = first->direction;
    headers->flags |= first->tunnel;
    headers->unclassified = REMED_CLASSIFIED;
    fragments->stats.matched++;
    return REMED_CLASSIFIED;
}

/* The fragmented header around the classifying one, as a frame of its own. */
static bool parse_around(const struct remed_packet *packet, const struct remed_headers *headers,
                         struct remed_headers *around)
{
    if (headers->around > packet->captured)
        return false;
    struct remed_packet outer = *packet;
    outer.data += headers->around;
    outer.captured -= headers->around;
    outer.link_type = REMED_LINK_RAW;
    remed_packet_parse(&outer, REMED_SCOPE_OUTER, around);
    return (around->flags & REMED_HEADERS_FRAGMENT) != 0;
}

enum remed_unclassified remed_fragments_track_packet(struct remed_fragments *fragments,
                                                     const struct remed_packet *packet,
                                                     struct remed_headers *headers)
{
    struct remed_headers around;
    struct datagram datagram;
    remed_fragments_track(fragments, headers, packet->time);
    if ((headers->flags & REMED_HEADERS_OUTER_FRAGMENT) != 0 &&
        parse_around(packet, headers, &around)) {
        identify(&around, &datagram);
        datagram.time = packet->time;
        remember_flow(fragments, &datagram, headers);
    }
    return (enum remed_unclassified)headers->unclassified;
}

void remed_fragments_stats(const struct remed_fragments *fragments,
                           struct remed_fragments_stats *stats, size_t size)
{
    remed_stats_copy(stats, size, &fragments->stats, sizeof fragments->stats);
}
