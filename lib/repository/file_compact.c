/* SPDX-License-Identifier: BSD-3-Clause */
/* The compaction of file_compact.h. Threads: belongs to the writer. */
#define _POSIX_C_SOURCE 200809L
#include "repository/file_compact.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define STEP_BYTES (4u << 20)
#define OUTPUT "compaction.tmp"
#define OUTPUT_BYTES (REMED_SEGMENT_WHOLE + (256u << 10))
#define FIRST_SLOTS 1024u

static const uint64_t secret[2] = {REMED_HASH_C0, REMED_HASH_C1};

static void stop(struct remed_file_compact *compact)
{
    remed_file_reader_end(&compact->reader);
    if (compact->output >= 0) {
        close(compact->output);
        unlinkat(compact->folder, OUTPUT, 0);
    }
    remed_release(&compact->allocator, compact->slots,
                  compact->slot_count * sizeof *compact->slots);
    remed_release(&compact->allocator, compact->arena, compact->arena_room);
    remed_release(&compact->allocator, compact->buffer, compact->buffer != NULL ? OUTPUT_BYTES : 0);
    compact->slots = NULL;
    compact->arena = compact->buffer = NULL;
    compact->slot_count = compact->used = compact->arena_used = compact->arena_room = 0;
    compact->output = -1;
    compact->phase = REMED_COMPACT_IDLE;
}

void remed_file_compact_end(struct remed_file_compact *compact)
{
    stop(compact);
}

static int give_up(struct remed_file_compact *compact)
{
    stop(compact);
    compact->abandoned++;
    return 0;
}

static bool begin_reading(struct remed_file_compact *compact)
{
    remed_file_reader_end(&compact->reader);
    compact->reader = (struct remed_file_reader){
        .crc = compact->crc, .folder = compact->folder, .allocator = compact->allocator};
    return remed_file_reader_begin(&compact->reader, compact->first) == 0;
}

void remed_file_compact_consider(struct remed_file_compact *compact, size_t minimum)
{
    uint64_t *firsts = NULL;
    size_t count, room = 0;
    if (compact->phase != REMED_COMPACT_IDLE ||
        remed_segment_list(compact->folder, &firsts, &count, &room, &compact->allocator) < 0) {
        remed_release(&compact->allocator, firsts, room * sizeof *firsts);
        return;
    }
    /* The last one is being written; of the others the first is the last compaction's. */
    if (count > minimum && firsts[count - 1] > compact->seen_end) {
        compact->first = firsts[0];
        compact->end = firsts[count - 1];
        compact->seen_end = compact->end;
        compact->phase = REMED_COMPACT_INDEX;
        if (!begin_reading(compact))
            give_up(compact);
    }
    remed_release(&compact->allocator, firsts, room * sizeof *firsts);
}

static struct remed_key_slot *find(const struct remed_file_compact *compact, uint64_t hash,
                                   const struct remed_message *message)
{
    for (size_t at = hash & (compact->slot_count - 1);; at = (at + 1) & (compact->slot_count - 1)) {
        struct remed_key_slot *slot = &compact->slots[at];
        if (slot->key == 0)
            return slot;
        const uint8_t *key = compact->arena + slot->key - 1;
        uint32_t length;
        memcpy(&length, key, sizeof length);
        if (slot->hash == hash && length == message->key_length &&
            memcmp(key + sizeof length, message->key, length) == 0)
            return slot;
    }
}

static bool grow_slots(struct remed_file_compact *compact)
{
    size_t count = compact->slot_count == 0 ? FIRST_SLOTS : compact->slot_count * 2;
    if (count * sizeof *compact->slots + compact->arena_room > compact->max_bytes)
        return false;
    struct remed_key_slot *slots = remed_allocate(&compact->allocator, count * sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < compact->slot_count; i++) {
        size_t at = compact->slots[i].hash & (count - 1);
        if (compact->slots[i].key == 0)
            continue;
        while (slots[at].key != 0)
            at = (at + 1) & (count - 1);
        slots[at] = compact->slots[i];
    }
    remed_release(&compact->allocator, compact->slots,
                  compact->slot_count * sizeof *compact->slots);
    compact->slots = slots;
    compact->slot_count = count;
    return true;
}

static bool keep_key(struct remed_file_compact *compact, const struct remed_message *message,
                     uint64_t *place)
{
    uint32_t length = (uint32_t)message->key_length;
    size_t wanted = compact->arena_used + sizeof length + length, room = compact->arena_room;
    if (wanted > room) {
        room = room == 0 ? 65536 : room * 2;
        if (room + compact->slot_count * sizeof *compact->slots > compact->max_bytes)
            return false;
        uint8_t *grown =
            remed_reallocate(&compact->allocator, compact->arena, compact->arena_room, room);
        if (grown == NULL)
            return false;
        compact->arena = grown;
        compact->arena_room = room;
    }
    *place = compact->arena_used + 1;
    memcpy(compact->arena + compact->arena_used, &length, sizeof length);
    memcpy(compact->arena + compact->arena_used + sizeof length, message->key, length);
    compact->arena_used = wanted;
    return true;
}

static bool index_message(struct remed_file_compact *compact, const struct remed_message *message)
{
    uint64_t hash = remed_hash_bytes(message->key, message->key_length, secret);
    if (compact->used * 4 >= compact->slot_count * 3 && !grow_slots(compact))
        return false;
    struct remed_key_slot *slot = find(compact, hash, message);
    if (slot->key == 0) {
        if (!keep_key(compact, message, &slot->key)) {
            slot->key = 0;
            return false;
        }
        slot->hash = hash;
        compact->used++;
    }
    slot->offset = message->offset;
    return true;
}

static bool flush(struct remed_file_compact *compact)
{
    size_t done = 0;
    while (done < compact->held) {
        ssize_t got = write(compact->output, compact->buffer + done, compact->held - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    compact->held = 0;
    return true;
}

static bool copy_message(struct remed_file_compact *compact, const struct remed_message *message)
{
    uint64_t hash = remed_hash_bytes(message->key, message->key_length, secret);
    if (compact->slot_count == 0)
        return true;
    const struct remed_key_slot *slot = find(compact, hash, message);
    if (slot->key == 0 || slot->offset != message->offset ||
        (message->value_length == 0 && message->offset < compact->horizon))
        return true;
    if (compact->held > OUTPUT_BYTES - REMED_SEGMENT_WHOLE && !flush(compact))
        return false;
    compact->held += remed_segment_write(compact->crc, compact->buffer + compact->held, message);
    return true;
}

static bool begin_copy(struct remed_file_compact *compact)
{
    compact->phase = REMED_COMPACT_COPY;
    compact->buffer = remed_allocate(&compact->allocator, OUTPUT_BYTES);
    compact->output =
        openat(compact->folder, OUTPUT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (compact->buffer == NULL || compact->output < 0)
        return false;
    uint64_t purged = compact->reader.purged;
    remed_segment_header(compact->buffer, purged > compact->horizon ? purged : compact->horizon);
    compact->held = REMED_SEGMENT_HEADER;
    return begin_reading(compact);
}

/* Puts the new file in the place of the old ones. */
static bool replace(struct remed_file_compact *compact)
{
    char name[REMED_SEGMENT_NAME];
    remed_segment_name(name, compact->first);
    if (!flush(compact) || fsync(compact->output) < 0 ||
        renameat(compact->folder, OUTPUT, compact->folder, name) < 0)
        return false;
    close(compact->output);
    compact->output = -1;
    uint64_t *firsts = NULL;
    size_t count = 0, room = 0;
    if (fsync(compact->folder) == 0)
        (void)remed_segment_list(compact->folder, &firsts, &count, &room, &compact->allocator);
    for (size_t i = 0; i < count; i++)
        if (firsts[i] > compact->first && firsts[i] < compact->end) {
            remed_segment_name(name, firsts[i]);
            unlinkat(compact->folder, name, 0);
        }
    remed_release(&compact->allocator, firsts, room * sizeof *firsts);
    return true;
}

static int end_phase(struct remed_file_compact *compact)
{
    if (compact->phase == REMED_COMPACT_INDEX)
        return begin_copy(compact) ? 1 : give_up(compact);
    if (!replace(compact))
        return give_up(compact);
    compact->horizon = compact->end;
    compact->done++;
    stop(compact);
    return 0;
}

int remed_file_compact_step(struct remed_file_compact *compact)
{
    struct remed_message message;
    if (compact->phase == REMED_COMPACT_IDLE)
        return 0;
    for (size_t bytes = 0; bytes < STEP_BYTES;) {
        int rc = remed_file_reader_next(&compact->reader, &message);
        if (rc < 0)
            return give_up(compact);
        if (rc == 0 || message.offset >= compact->end)
            return end_phase(compact);
        if (!(compact->phase == REMED_COMPACT_INDEX ? index_message(compact, &message)
                                                    : copy_message(compact, &message)))
            return give_up(compact);
        bytes += REMED_SEGMENT_RECORD + message.key_length + message.value_length;
    }
    return 1;
}
