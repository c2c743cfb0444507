/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory: a log within one process, for tests and for hosts whose parts talk to one another.
 *
 * The hub has one entry a key, the newest, in a list by offset, and finds it by a hash table that
 * grows. A new value takes its key's entry out of the list and appends it again; a removal stays as
 * an entry without value, so that whoever resumes hears of it, until room is needed. Subscribers
 * are cursors on the list, moved on when their entry leaves it.
 *
 * Threads: a hub and all transports on it belong to one thread.
 */
#include "repository/drivers.h"
#include "repository/position.h"
#include "repository/tags.h"

#include "base/entropy.h"
#include "base/hash.h"

#define MIN_BUCKETS 64u
#define MESSAGES_A_PROCESS 256u
#define DEFAULT_HUB_BYTES ((size_t)256 << 20)

struct entry {
    struct entry *before, *after; /* by offset */
    struct entry *chain;          /* in the hash bucket */
    uint64_t hash;
    uint64_t offset;
    uint32_t key_length, value_length;
    uint32_t holds;  /* callbacks that look at it */
    bool dropped;    /* out of list and table: the last holder frees it */
    uint8_t bytes[]; /* key, value */
};

struct cursor {
    struct cursor *next;
    struct entry *at; /* the next to hand out; NULL: what comes next */
};

struct remed_memory_hub {
    struct entry *first, *last;
    struct entry **buckets;
    size_t bucket_count, count;
    size_t bytes, max_bytes;
    uint64_t next_offset;
    uint64_t purged;    /* removals before this offset are forgotten */
    uint64_t secret[2]; /* of the hash: keys are strangers' */
    uint64_t id;        /* in positions */
    struct cursor *cursors;
    unsigned users; /* transports, and the host's own hold */
    struct remed_allocator allocator;
};

struct memory_transport {
    struct remed_memory_hub *hub;
    struct remed_transport_events events;
    struct remed_tags tags;
    struct cursor cursor;
    uint64_t position; /* offset of the next message */
    uint64_t marker;   /* offset to be reached for the catch-up marker */
    bool subscribed, caught_up;
    struct remed_allocator allocator;
};

static int draw(struct remed_memory_hub *hub, const struct remed_entropy *entropy)
{
    static const uint64_t none[2] = {0, 0};
    uint64_t drawn[2];
    int rc = remed_entropy_secret(hub->secret, none, entropy, NULL);
    if (rc == 0)
        rc = remed_entropy_secret(drawn, none, entropy, NULL);
    if (rc == 0)
        hub->id = drawn[0] != 0 ? drawn[0] : 1;
    return rc;
}

static int make_hub(struct remed_memory_hub **hub, size_t max_bytes,
                    const struct remed_entropy *entropy, const struct remed_allocator *given)
{
    struct remed_allocator allocator = remed_allocator_or_default(given);
    struct remed_memory_hub *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return REMED_ENOMEM;
    made->allocator = allocator;
    made->max_bytes = max_bytes;
    made->users = 1;
    made->bucket_count = MIN_BUCKETS;
    made->buckets = remed_allocate(&allocator, made->bucket_count * sizeof *made->buckets);
    int rc = made->buckets != NULL ? draw(made, entropy) : REMED_ENOMEM;
    if (rc == 0) {
        *hub = made;
        return 0;
    }
    remed_release(&allocator, made->buckets, made->bucket_count * sizeof *made->buckets);
    remed_release(&allocator, made, sizeof *made);
    return rc;
}

int remed_memory_hub_new(struct remed_memory_hub **hub, size_t max_bytes,
                         const struct remed_allocator *given)
{
    return make_hub(hub, max_bytes, NULL, given);
}

static size_t entry_bytes(const struct entry *entry)
{
    return sizeof *entry + entry->key_length + entry->value_length;
}

void remed_memory_hub_free(struct remed_memory_hub *hub)
{
    if (hub == NULL || --hub->users > 0)
        return;
    struct remed_allocator allocator = hub->allocator;
    for (struct entry *entry = hub->first, *after; entry != NULL; entry = after) {
        after = entry->after;
        remed_release(&allocator, entry, entry_bytes(entry));
    }
    remed_release(&allocator, hub->buckets, hub->bucket_count * sizeof *hub->buckets);
    remed_release(&allocator, hub, sizeof *hub);
}

static struct entry **find(struct remed_memory_hub *hub, uint64_t hash, const uint8_t *key,
                           size_t length)
{
    struct entry **at = &hub->buckets[hash & (hub->bucket_count - 1)];
    while (*at != NULL && ((*at)->hash != hash || (*at)->key_length != length ||
                           memcmp((*at)->bytes, key, length) != 0))
        at = &(*at)->chain;
    return at;
}

/* Twice the buckets; not being able to is no failure, only slower. */
static void grow(struct remed_memory_hub *hub)
{
    size_t count = hub->bucket_count * 2;
    struct entry **buckets = remed_allocate(&hub->allocator, count * sizeof *buckets);
    if (buckets == NULL)
        return;
    for (struct entry *entry = hub->first; entry != NULL; entry = entry->after) {
        entry->chain = buckets[entry->hash & (count - 1)];
        buckets[entry->hash & (count - 1)] = entry;
    }
    remed_release(&hub->allocator, hub->buckets, hub->bucket_count * sizeof *hub->buckets);
    hub->buckets = buckets;
    hub->bucket_count = count;
}

/* Takes an entry out of list and table, and frees it. */
static void drop(struct remed_memory_hub *hub, struct entry **slot)
{
    struct entry *entry = *slot;
    for (struct cursor *cursor = hub->cursors; cursor != NULL; cursor = cursor->next)
        if (cursor->at == entry)
            cursor->at = entry->after;
    *slot = entry->chain;
    *(entry->before != NULL ? &entry->before->after : &hub->first) = entry->after;
    *(entry->after != NULL ? &entry->after->before : &hub->last) = entry->before;
    hub->bytes -= entry_bytes(entry);
    hub->count--;
    entry->dropped = true;
    if (entry->holds == 0)
        remed_release(&hub->allocator, entry, entry_bytes(entry));
}

/* Forgets the oldest removals until `wanted` bytes fit; each cursor has passed what it forgets. */
static bool make_room(struct remed_memory_hub *hub, size_t wanted)
{
    struct entry *entry = hub->first;
    while (entry != NULL && hub->max_bytes - hub->bytes < wanted) {
        struct entry *after = entry->after;
        for (struct cursor *cursor = hub->cursors; cursor != NULL; cursor = cursor->next)
            if (cursor->at == entry)
                return false;
        if (entry->value_length == 0) {
            hub->purged = entry->offset + 1;
            drop(hub, find(hub, entry->hash, entry->bytes, entry->key_length));
        }
        entry = after;
    }
    return hub->max_bytes - hub->bytes >= wanted;
}

static void append(struct remed_memory_hub *hub, struct entry *entry)
{
    struct entry **bucket = &hub->buckets[entry->hash & (hub->bucket_count - 1)];
    entry->offset = hub->next_offset++;
    entry->chain = *bucket;
    *bucket = entry;
    entry->before = hub->last;
    *(hub->last != NULL ? &hub->last->after : &hub->first) = entry;
    hub->last = entry;
    hub->bytes += entry_bytes(entry);
    hub->count++;
    for (struct cursor *cursor = hub->cursors; cursor != NULL; cursor = cursor->next)
        if (cursor->at == NULL)
            cursor->at = entry;
    if (hub->count > hub->bucket_count)
        grow(hub);
}

static int memory_publish(void *state, const struct remed_message *message, uint64_t tag,
                          struct remed_error *error)
{
    struct memory_transport *transport = state;
    struct remed_memory_hub *hub = transport->hub;
    size_t wanted = sizeof(struct entry) + message->key_length + message->value_length;
    if (!make_room(hub, wanted) || transport->tags.count == transport->tags.room)
        return remed_error_set(error, REMED_EBUSY, "memory: %zu of %zu bytes are in use",
                               hub->bytes, hub->max_bytes);
    struct entry *entry = remed_allocate(&hub->allocator, wanted);
    if (entry == NULL)
        return remed_error_set(error, REMED_EBUSY, "memory: no memory for %zu bytes", wanted);
    entry->hash = remed_hash_bytes(message->key, message->key_length, hub->secret);
    entry->key_length = (uint32_t)message->key_length;
    entry->value_length = (uint32_t)message->value_length;
    memcpy(entry->bytes, message->key, message->key_length);
    if (message->value_length != 0)
        memcpy(entry->bytes + message->key_length, message->value, message->value_length);
    struct entry **old = find(hub, entry->hash, entry->bytes, entry->key_length);
    if (*old != NULL)
        drop(hub, old);
    append(hub, entry);
    remed_tags_push(&transport->tags, tag);
    return 0;
}

static int memory_open(void **state, const struct remed_uri *uri,
                       const struct remed_transport_opts *opts,
                       const struct remed_transport_events *events, struct remed_error *error)
{
    static const char *const parameters[] = {NULL};
    int rc = remed_uri_check(uri, parameters, error);
    if (rc < 0)
        return rc;
    struct remed_allocator allocator = remed_allocator_or_default(opts->allocator);
    struct memory_transport *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a transport");
    made->allocator = allocator;
    made->events = *events;
    made->hub = opts->hub;
    rc = remed_tags_init(&made->tags, opts->max_pending, &allocator);
    if (rc == 0 && made->hub == NULL)
        rc = make_hub(&made->hub, DEFAULT_HUB_BYTES, opts->entropy, &allocator);
    else if (rc == 0)
        made->hub->users++;
    if (rc < 0) {
        remed_tags_fini(&made->tags, &allocator);
        remed_release(&allocator, made, sizeof *made);
        return remed_error_set(error, rc,
                               rc == REMED_ENOMEM ? "no memory for a transport"
                                                  : "no random bytes for the secret of a hash");
    }
    *state = made;
    return 0;
}

static int memory_subscribe(void *state, const char *from, struct remed_error *error)
{
    struct memory_transport *transport = state;
    struct remed_memory_hub *hub = transport->hub;
    uint64_t position = 0, id = 0;
    if (strcmp(from, "end") == 0)
        position = hub->next_offset;
    else if (strcmp(from, "begin") != 0 && !remed_position_parse(from, &id, &position))
        return remed_error_set(error, REMED_EINVAL, "'%.60s' is no position of memory:", from);
    if (id != 0 && id != hub->id)
        return remed_error_set(error, REMED_EINVAL, "memory: the position is of another hub");
    if (position > hub->next_offset || (position != 0 && position < hub->purged))
        return remed_error_set(error, REMED_EINVAL, "position %llu is gone; begin anew",
                               (unsigned long long)position);
    struct entry *entry = hub->last;
    while (entry != NULL && entry->before != NULL && entry->before->offset >= position)
        entry = entry->before;
    transport->cursor.at = entry != NULL && entry->offset >= position ? entry : NULL;
    transport->cursor.next = hub->cursors;
    hub->cursors = &transport->cursor;
    transport->position = position;
    transport->marker = hub->next_offset;
    transport->subscribed = true;
    return 0;
}

/* Those that are there now: a report may publish another. */
static void report_deliveries(struct memory_transport *transport)
{
    for (uint32_t count = transport->tags.count; count > 0; count--)
        transport->events.delivered(transport->events.context, remed_tags_pop(&transport->tags), 0);
}

static void hand_out(struct memory_transport *transport)
{
    struct entry *entry = transport->cursor.at;
    struct remed_allocator allocator = transport->hub->allocator;
    const struct remed_message message = {
        .key = entry->bytes,
        .value = entry->value_length != 0 ? entry->bytes + entry->key_length : NULL,
        .key_length = entry->key_length,
        .value_length = entry->value_length,
        .offset = entry->offset};
    transport->cursor.at = entry->after;
    transport->position = entry->offset + 1;
    entry->holds++;
    transport->events.message(transport->events.context, &message);
    if (--entry->holds == 0 && entry->dropped)
        remed_release(&allocator, entry, entry_bytes(entry));
}

static int memory_process(void *state, uint64_t now, struct remed_error *error)
{
    struct memory_transport *transport = state;
    (void)now;
    (void)error;
    report_deliveries(transport);
    for (unsigned i = 0; i < MESSAGES_A_PROCESS && transport->cursor.at != NULL; i++)
        hand_out(transport);
    bool done = transport->cursor.at == NULL || transport->cursor.at->offset >= transport->marker;
    if (transport->subscribed && !transport->caught_up && done) {
        transport->caught_up = true;
        transport->events.caught_up(transport->events.context);
    }
    return transport->cursor.at != NULL || transport->tags.count != 0;
}

static size_t memory_position(const void *state, char *text, size_t size)
{
    const struct memory_transport *transport = state;
    return remed_position_write(transport->hub->id, transport->position, text, size);
}

/* Work that is there already makes it due at once. */
static uint64_t memory_deadline(const void *state)
{
    const struct memory_transport *transport = state;
    bool due = transport->cursor.at != NULL || transport->tags.count != 0 ||
               (transport->subscribed && !transport->caught_up);
    return due ? 0 : UINT64_MAX;
}

static int memory_close(void *state, struct remed_error *error)
{
    struct memory_transport *transport = state;
    struct cursor **at = &transport->hub->cursors;
    (void)error;
    report_deliveries(transport); /* they are in the hub */
    while (*at != NULL && *at != &transport->cursor)
        at = &(*at)->next;
    if (*at != NULL)
        *at = transport->cursor.next;
    remed_memory_hub_free(transport->hub);
    struct remed_allocator allocator = transport->allocator;
    remed_tags_fini(&transport->tags, &allocator);
    remed_release(&allocator, transport, sizeof *transport);
    return 0;
}

const struct remed_transport_driver remed_memory_driver = {
    .size = sizeof(struct remed_transport_driver),
    .scheme = "memory",
    .open = memory_open,
    .publish = memory_publish,
    .subscribe = memory_subscribe,
    .process = memory_process,
    .deadline = memory_deadline,
    .position = memory_position,
    .close = memory_close,
};
