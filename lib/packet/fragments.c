/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Later fragments carry no ports: they find their flow by the datagram's addresses, identification
 * and (IPv4) protocol, under which the first fragment was remembered.
 *
 * Four datagrams a bucket; a full bucket forgets its oldest. A later fragment that comes before the
 * first is an orphan: nothing is queued, since packets are decided as they come.
 *
 * Threads: one thread a table.
 */
#include "packet/parse.h"

#include "base/hash.h"

#define WAYS 4u
#define MAX_CAPACITY (1u << 20)

struct datagram {
    uint8_t source[16];
    uint8_t destination[16];
    struct remed_flow_key key; /* of the first fragment, with ports */
    uint64_t time;
    uint32_t id;
    uint8_t protocol; /* IPv4's; IPv6 identifies by addresses alone */
    uint8_t ip_version;
    uint8_t direction;
    uint8_t used;
};

struct remed_fragments {
    struct datagram *datagrams;
    uint32_t buckets; /* a power of two */
    uint64_t timeout;
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

int remed_fragments_new(struct remed_fragments **fragments,
                        const struct remed_fragments_opts *given, struct remed_error *error)
{
    struct remed_fragments_opts opts;
    remed_fragments_opts_init(&opts, sizeof opts);
    int rc = given != NULL ? remed_opts_copy(&opts, sizeof opts, given, "fragments", error) : 0;
    if (rc < 0)
        return rc;
    if (opts.capacity == 0 || opts.capacity > MAX_CAPACITY)
        return remed_error_set(error, REMED_EINVAL, "fragments is %u, must be 1 to %u",
                               opts.capacity, MAX_CAPACITY);
    struct remed_allocator allocator = remed_allocator_or_default(opts.allocator);
    struct remed_fragments *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for the fragment table");
    made->allocator = allocator;
    made->timeout = opts.timeout;
    made->secret[0] = opts.seed;
    made->secret[1] = ~opts.seed;
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

static void remember(struct remed_fragments *fragments, const struct datagram *datagram,
                     uint64_t now)
{
    struct datagram *bucket = bucket_of(fragments, datagram), *place = &bucket[0];
    for (unsigned i = 0; i < WAYS; i++) {
        if (is_same(&bucket[i], datagram) || bucket[i].used == 0) {
            place = &bucket[i];
            break;
        }
        if (bucket[i].time < place->time)
            place = &bucket[i];
    }
    if (place->used != 0 && !is_same(place, datagram) && !is_old(fragments, place, now))
        fragments->stats.evicted++;
    *place = *datagram;
    place->used = 1;
    fragments->stats.first++;
}

static const struct datagram *recall(const struct remed_fragments *fragments,
                                     const struct datagram *datagram, uint64_t now)
{
    const struct datagram *bucket = bucket_of(fragments, datagram);
    for (unsigned i = 0; i < WAYS; i++)
        if (is_same(&bucket[i], datagram))
            return is_old(fragments, &bucket[i], now) ? NULL : &bucket[i];
    return NULL;
}

enum remed_unclassified remed_fragments_track(struct remed_fragments *fragments,
                                              struct remed_headers *headers, uint64_t time)
{
    struct datagram datagram;
    if ((headers->flags & REMED_HEADERS_FRAGMENT) == 0)
        return (enum remed_unclassified)headers->unclassified;
    identify(headers, &datagram);
    if ((headers->flags & REMED_HEADERS_LATER_FRAGMENT) == 0) {
        if (headers->unclassified == REMED_CLASSIFIED) {
            datagram.key = headers->key;
            datagram.direction = headers->direction;
            datagram.time = time;
            remember(fragments, &datagram, time);
        }
        return (enum remed_unclassified)headers->unclassified;
    }
    const struct datagram *first = recall(fragments, &datagram, time);
    if (first == NULL) {
        fragments->stats.orphans++;
        return (enum remed_unclassified)headers->unclassified;
    }
    headers->key = first->key;
    headers->direction = first->direction;
    headers->unclassified = REMED_CLASSIFIED;
    fragments->stats.matched++;
    return REMED_CLASSIFIED;
}

void remed_fragments_stats(const struct remed_fragments *fragments,
                           struct remed_fragments_stats *stats, size_t size)
{
    remed_stats_copy(stats, size, &fragments->stats, sizeof fragments->stats);
}
