/* SPDX-License-Identifier: BSD-3-Clause */
/* The compaction of file_compact.h. Threads: belongs to the writer. */
#define _POSIX_C_SOURCE 200809L
#include "repository/file_compact.h"

#include "base/hash.h"
#include "base/private_file.h"
#include "repository/file_aside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define STEP_BYTES (4u << 20)
#define OUTPUT "remediate-compaction.tmp"
#define OUTPUT_BYTES (REMED_SEGMENT_WHOLE + (256u << 10))
#define FIRST_SLOTS 1024u

void remed_file_compact_init(struct remed_file_compact *compact, const struct remed_crc *crc,
                             int folder, const char *path, const struct remed_allocator *allocator)
{
    *compact = (struct remed_file_compact){
        .crc = crc, .path = path, .folder = folder, .output = -1, .allocator = *allocator};
    remed_file_reader_init(&compact->reader, crc, folder, path, allocator);
}

static void stop(struct remed_file_compact *compact)
{
    remed_file_reader_end(&compact->reader);
    if (compact->output >= 0) {
        close(compact->output);
        (void)unlinkat(compact->folder, OUTPUT, 0);
    }
    remed_release(&compact->allocator, compact->slots,
                  compact->slot_count * sizeof *compact->slots);
    remed_release(&compact->allocator, compact->arena, compact->arena_room);
    remed_release(&compact->allocator, compact->buffer, compact->buffer != NULL ? OUTPUT_BYTES : 0);
    remed_release(&compact->allocator, compact->aside,
                  compact->aside_room * sizeof *compact->aside);
    compact->slots = NULL;
    compact->aside = NULL;
    compact->aside_count = compact->aside_room = 0;
    compact->is_aside_full = false;
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

/* Why it is given up: a call that failed on a file of the folder. */
static bool fail_call(struct remed_file_compact *compact, const char *what, const char *name)
{
    int number = errno;
    remed_error_set(&compact->error, REMED_EIO, "file: compaction: cannot %s %.120s/%s: %s", what,
                    compact->path, name, strerror(number));
    return false;
}

static bool fail_room(struct remed_file_compact *compact)
{
    remed_error_set(&compact->error, REMED_ELIMIT,
                    "file: compaction of %.120s: more keys than %zu bytes hold; memory= makes more",
                    compact->path, compact->max_bytes);
    return false;
}

static bool fail_memory(struct remed_file_compact *compact)
{
    remed_error_set(&compact->error, REMED_ENOMEM, "file: compaction of %.120s: no memory",
                    compact->path);
    return false;
}

/* The reader met damage. Both passes do; the first is told by none that it met already. */
static void on_damage(void *context, uint64_t first)
{
    struct remed_file_compact *compact = context;
    for (size_t i = compact->aside_count; i > 0; i--)
        if (compact->aside[i - 1] == first)
            return;
    if (compact->aside_count == compact->aside_room) {
        size_t room = compact->aside_room == 0 ? 16 : compact->aside_room * 2;
        uint64_t *grown =
            remed_reallocate(&compact->allocator, compact->aside,
                             compact->aside_room * sizeof *grown, room * sizeof *grown);
        compact->is_aside_full |= grown == NULL;
        if (grown == NULL)
            return;
        compact->aside = grown;
        compact->aside_room = room;
    }
    compact->aside[compact->aside_count++] = first;
}

static bool begin_reading(struct remed_file_compact *compact)
{
    remed_file_reader_end(&compact->reader);
    remed_file_reader_init(&compact->reader, compact->crc, compact->folder, compact->path,
                           &compact->allocator);
    compact->reader.on_damage = on_damage;
    compact->reader.context = compact;
    if (remed_file_reader_begin(&compact->reader, compact->first) == 0)
        return true;
    compact->error = compact->reader.error;
    return false;
}

void remed_file_compact_consider(struct remed_file_compact *compact, size_t minimum)
{
    uint64_t *firsts = NULL;
    size_t count, room = 0;
    compact->error.code = 0;
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
        return fail_room(compact);
    struct remed_key_slot *slots = remed_allocate(&compact->allocator, count * sizeof *slots);
    if (slots == NULL)
        return fail_memory(compact);
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
            return fail_room(compact);
        uint8_t *grown =
            remed_reallocate(&compact->allocator, compact->arena, compact->arena_room, room);
        if (grown == NULL)
            return fail_memory(compact);
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
    uint64_t hash = remed_hash_bytes(message->key, message->key_length, compact->secret);
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
        if (got == 0)
            errno = ENOSPC;
        if (got <= 0)
            return fail_call(compact, "write", OUTPUT);
        done += (size_t)got;
    }
    compact->held = 0;
    return true;
}

static bool copy_message(struct remed_file_compact *compact, const struct remed_message *message)
{
    uint64_t hash = remed_hash_bytes(message->key, message->key_length, compact->secret);
    if (compact->slot_count == 0)
        return true;
    const struct remed_key_slot *slot = find(compact, hash, message);
    if (slot->key == 0 || slot->offset != message->offset)
        return true;
    if (message->value_length == 0 && message->offset < compact->horizon) {
        if (compact->left_out <= message->offset)
            compact->left_out = message->offset + 1;
        return true;
    }
    if (compact->held > OUTPUT_BYTES - REMED_SEGMENT_WHOLE && !flush(compact))
        return false;
    compact->held += remed_segment_write(compact->crc, compact->buffer + compact->held, message);
    return true;
}

static bool begin_copy(struct remed_file_compact *compact)
{
    char who[160];
    snprintf(who, sizeof who, "file: compaction: %.120s", compact->path);
    compact->phase = REMED_COMPACT_COPY;
    compact->buffer = remed_allocate(&compact->allocator, OUTPUT_BYTES);
    if (compact->buffer == NULL)
        return fail_memory(compact);
    (void)unlinkat(compact->folder, OUTPUT, 0); /* of a process that died */
    int fd = remed_private_open(compact->folder, OUTPUT, O_WRONLY | O_CREAT | O_EXCL, who,
                                &compact->error);
    if (fd < 0)
        return false;
    compact->output = fd;
    compact->left_out = compact->reader.purged;
    remed_segment_header(compact->buffer, 0); /* until it is known what is left out */
    compact->held = REMED_SEGMENT_HEADER;
    return begin_reading(compact);
}

static bool write_header(struct remed_file_compact *compact)
{
    uint8_t header[REMED_SEGMENT_HEADER];
    ssize_t got;
    remed_segment_header(header, compact->left_out);
    do
        got = pwrite(compact->output, header, sizeof header, 0);
    while (got < 0 && errno == EINTR);
    if (got >= 0 && got != (ssize_t)sizeof header)
        errno = EIO;
    return got == (ssize_t)sizeof header || fail_call(compact, "write", OUTPUT);
}

/* Segments with damage stay under another name. */
static bool set_damaged_aside(struct remed_file_compact *compact)
{
    char name[REMED_SEGMENT_NAME];
    if (compact->is_aside_full)
        return fail_memory(compact);
    for (size_t i = 0; i < compact->aside_count; i++)
        if (compact->aside[i] < compact->end &&
            remed_file_set_aside(compact->folder, compact->aside[i]) < 0) {
            remed_segment_name(name, compact->aside[i]);
            return fail_call(compact, "set aside the damaged", name);
        }
    return true;
}

/* The old ones go when the new name is sure to last. */
static void remove_replaced(struct remed_file_compact *compact)
{
    char name[REMED_SEGMENT_NAME];
    uint64_t *firsts = NULL;
    size_t count = 0, room = 0;
    bool sure = fsync(compact->folder) == 0 && remed_segment_list(compact->folder, &firsts, &count,
                                                                  &room, &compact->allocator) == 0;
    for (size_t i = 0; sure && i < count; i++)
        if (firsts[i] > compact->first && firsts[i] < compact->end) {
            remed_segment_name(name, firsts[i]);
            (void)unlinkat(compact->folder, name, 0); /* or it is compacted again */
        }
    remed_release(&compact->allocator, firsts, room * sizeof *firsts);
}

/* Puts the new file in the place of the old ones. */
static bool replace(struct remed_file_compact *compact)
{
    char name[REMED_SEGMENT_NAME];
    remed_segment_name(name, compact->first);
    if (!flush(compact) || !write_header(compact))
        return false;
    if (fsync(compact->output) < 0)
        return fail_call(compact, "sync", OUTPUT);
    if (!set_damaged_aside(compact))
        return false;
    if (renameat(compact->folder, OUTPUT, compact->folder, name) < 0)
        return fail_call(compact, "put the result in the place of", name);
    close(compact->output);
    compact->output = -1;
    remove_replaced(compact);
    return true;
}

/* All that is to be compacted was read. */
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

static bool take_message(struct remed_file_compact *compact, const struct remed_message *message)
{
    return compact->phase == REMED_COMPACT_INDEX ? index_message(compact, message)
                                                 : copy_message(compact, message);
}

int remed_file_compact_step(struct remed_file_compact *compact)
{
    struct remed_message message;
    if (compact->phase == REMED_COMPACT_IDLE)
        return 0;
    for (size_t bytes = 0; bytes < STEP_BYTES;) {
        int rc = remed_file_reader_next(&compact->reader, &message);
        bool is_behind = compact->reader.segment >= 0 && compact->reader.first >= compact->end;
        if (rc < 0)
            compact->error = compact->reader.error;
        else if (rc == 0 && !is_behind) /* they are complete, so they can be read to their end */
            remed_error_set(&compact->error, REMED_EIO,
                            "file: compaction of %.120s: a segment is gone", compact->path);
        else if (is_behind)
            return end_phase(compact);
        if (rc <= 0 || !take_message(compact, &message))
            return give_up(compact);
        bytes += REMED_SEGMENT_RECORD + message.key_length + message.value_length;
    }
    return 1;
}
