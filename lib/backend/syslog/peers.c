/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many connections there may be: of one address, so that no peer holds all places; and of all,
 * so that descriptors are left for what else must be opened while they are there. Descriptors are
 * given out lowest first, so a new one near the limit says that nearly all are in use, whoever has
 * them.
 *
 * Threads: one thread a listener.
 */
#include "backend/syslog/listener.h"

#include "base/entropy.h"
#include "base/hash.h"

#include <fcntl.h>
#include <sys/resource.h>

#define SPARE 64u       /* descriptors that connections never take, */
#define SPARE_PART 4u   /* but at most this part of a small limit */
#define LEAST_SHARE 16u /* connections of one address, whatever max_connections is */
#define BUCKETS_MOST 4096u
#define KEY_BYTES 9 /* family, and an IPv4 address, half of an IPv6 address, or a user's number */

struct peer {
    struct peer *next;
    uint32_t bucket, count;
    uint8_t key[KEY_BYTES];
};

static uint32_t default_share(uint32_t most)
{
    uint32_t share = most / 8 > LEAST_SHARE ? most / 8 : LEAST_SHARE;
    return share < most ? share : most;
}

/* Descriptors that connections may have numbers below. */
static uint64_t usable_descriptors(uint64_t *limit)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY ||
        files.rlim_cur > INT32_MAX)
        files.rlim_cur = INT32_MAX;
    uint64_t spare = files.rlim_cur / SPARE_PART < SPARE ? files.rlim_cur / SPARE_PART : SPARE;
    *limit = files.rlim_cur;
    return files.rlim_cur - spare;
}

bool remed_peers_fit_descriptor(int fd)
{
    uint64_t limit;
    return (uint64_t)fd < usable_descriptors(&limit);
}

/* How many of them are free, `most` at most: what the host has open is no place. */
static uint32_t free_descriptors(uint64_t usable, uint32_t most)
{
    uint32_t count = 0;
    for (uint64_t fd = 0; fd < usable && count < most; fd++)
        count += fcntl((int)fd, F_GETFD) < 0;
    return count;
}

void remed_peers_fit_limit(struct remed_listener *listener)
{
    uint32_t *most = &listener->opts.max_connections;
    uint64_t limit, usable = usable_descriptors(&limit);
    uint32_t places = free_descriptors(usable, *most);
    bool defaults = listener->opts.max_per_address == 0;
    if (*most > places) {
        *most = places > 0 ? places : 1;
        listener->lowered = true;
    }
    if (defaults)
        listener->opts.max_per_address = default_share(*most);
    /* Where descriptors are few, one address must not have them all. */
    if (defaults && listener->lowered && listener->opts.max_per_address > (*most + 1) / 2)
        listener->opts.max_per_address = (*most + 1) / 2;
}

/* Once there is an input that has connections: it does not matter before. */
void remed_peers_tell_limit(struct remed_listener *listener)
{
    uint64_t limit;
    if (!listener->lowered)
        return;
    listener->lowered = false;
    usable_descriptors(&limit);
    remed_listener_say(listener, REMED_LOG_NOTICE,
                       "at most %u connections at a time, as the limit of descriptors is %llu "
                       "(RLIMIT_NOFILE, ulimit -n)",
                       listener->opts.max_connections, (unsigned long long)limit);
}

int remed_peers_init(struct remed_listener *listener, struct remed_error *error)
{
    struct peers *peers = &listener->peers;
    for (peers->buckets = 16;
         peers->buckets < listener->opts.max_connections && peers->buckets < BUCKETS_MOST;)
        peers->buckets *= 2;
    int rc =
        remed_entropy_secret(peers->secret, listener->opts.seed, listener->opts.entropy, error);
    if (rc < 0)
        return rc;
    peers->heads = remed_allocate(&listener->allocator, peers->buckets * sizeof *peers->heads);
    if (peers->heads == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for the peers of connections");
    return 0;
}

void remed_peers_fini(struct remed_listener *listener)
{
    struct peers *peers = &listener->peers;
    remed_release(&listener->allocator, peers->heads, peers->buckets * sizeof *peers->heads);
}

/* Of IPv6 the half that a site has to itself: addresses below it cost its owner nothing. */
static void put_key(uint8_t key[KEY_BYTES], const struct connection *connection)
{
    struct ucred credentials = {.uid = 0};
    socklen_t size = sizeof credentials;
    memset(key, 0, KEY_BYTES);
    key[0] = connection->family;
    if (connection->family != 0)
        memcpy(key + 1, connection->address, connection->family == 4 ? 4 : 8);
    else if (getsockopt(connection->watch.fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0)
        memcpy(key + 1, &credentials.uid, sizeof credentials.uid);
}

bool remed_peer_join(struct remed_listener *listener, struct connection *connection)
{
    struct peers *peers = &listener->peers;
    uint8_t key[KEY_BYTES];
    put_key(key, connection);
    uint32_t bucket =
        (uint32_t)remed_hash_bytes(key, sizeof key, peers->secret) & (peers->buckets - 1);
    struct peer *peer = peers->heads[bucket];
    while (peer != NULL && memcmp(peer->key, key, sizeof key) != 0)
        peer = peer->next;
    if (peer == NULL) {
        peer = remed_allocate(&listener->allocator, sizeof *peer);
        if (peer == NULL)
            return false;
        memcpy(peer->key, key, sizeof key);
        peer->bucket = bucket;
        peer->next = peers->heads[bucket];
        peers->heads[bucket] = peer;
    }
    peer->count++;
    connection->peer = peer;
    return true;
}

void remed_peer_leave(struct remed_listener *listener, struct connection *connection)
{
    struct peer *peer = connection->peer;
    if (peer == NULL || --peer->count > 0)
        return;
    struct peer **link = &listener->peers.heads[peer->bucket];
    while (*link != peer)
        link = &(*link)->next;
    *link = peer->next;
    remed_release(&listener->allocator, peer, sizeof *peer);
}

bool remed_peer_has_too_many(const struct remed_listener *listener,
                             const struct connection *connection)
{
    return connection->peer->count > listener->opts.max_per_address;
}
