/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader of file_reader.h. Threads: one thread a reader. */
#define _POSIX_C_SOURCE 200809L
#include "repository/file_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int remed_file_reader_begin(struct remed_file_reader *reader, uint64_t from)
{
    reader->segment = -1;
    reader->next_offset = from;
    reader->started = from != 0;
    reader->window = remed_allocate(&reader->allocator, REMED_SEGMENT_WHOLE);
    return reader->window == NULL ? REMED_ENOMEM : 0;
}

void remed_file_reader_end(struct remed_file_reader *reader)
{
    if (reader->segment >= 0)
        close(reader->segment);
    remed_release(&reader->allocator, reader->window,
                  reader->window != NULL ? REMED_SEGMENT_WHOLE : 0);
    remed_release(&reader->allocator, reader->firsts, reader->first_room * sizeof *reader->firsts);
    reader->segment = -1;
    reader->window = NULL;
    reader->firsts = NULL;
}

/* Opens a segment and checks its header; 0 when it is not there or not complete yet, REMED_EFORMAT
 * when it is none. */
static int open_segment(struct remed_file_reader *reader, uint64_t first)
{
    char name[REMED_SEGMENT_NAME];
    uint8_t header[REMED_SEGMENT_HEADER];
    remed_segment_name(name, first);
    int fd = openat(reader->folder, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : REMED_EIO;
    ssize_t got = pread(fd, header, sizeof header, 0);
    uint64_t purged = 0;
    int rc = got < 0 && errno != EISDIR ? REMED_EIO : got < (ssize_t)sizeof header ? 0 : 1;
    if (rc == 1 && !remed_segment_is_header(header, (size_t)got, &purged))
        rc = REMED_EFORMAT;
    else if (rc == 1 && reader->started && purged > reader->next_offset)
        rc = REMED_ENOENT;
    if (rc <= 0) {
        close(fd);
        return rc;
    }
    if (purged > reader->purged)
        reader->purged = purged;
    if (reader->segment >= 0)
        close(reader->segment);
    reader->segment = fd;
    reader->first = first;
    reader->at = sizeof header;
    reader->begin = reader->held = 0;
    return 1;
}

/* Whether the name still leads to the file that is open. */
static bool is_current(const struct remed_file_reader *reader)
{
    char name[REMED_SEGMENT_NAME];
    struct stat open, named;
    remed_segment_name(name, reader->first);
    return fstat(reader->segment, &open) == 0 && fstatat(reader->folder, name, &named, 0) == 0 &&
           open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

/* The segment that covers the next offset: the last that begins at or before it, else the first. */
static size_t covering(const struct remed_file_reader *reader)
{
    size_t found = 0;
    for (size_t i = 1; i < reader->first_count; i++)
        if (reader->firsts[i] <= reader->next_offset)
            found = i;
    return found;
}

/* Opens a listed segment, or where damage is passed over the first behind it that is one. */
static int open_from(struct remed_file_reader *reader, size_t at)
{
    uint64_t passed = 0;
    int rc = open_segment(reader, reader->firsts[at]);
    while (reader->passes_damage && (rc == 0 || rc == REMED_EFORMAT) &&
           at + 1 < reader->first_count) {
        passed++;
        rc = open_segment(reader, reader->firsts[++at]);
    }
    if (rc == 1) {
        reader->damaged += passed;
        reader->bound = at + 1 < reader->first_count ? reader->firsts[at + 1] : UINT64_MAX;
    }
    return rc == REMED_EFORMAT ? REMED_EIO : rc;
}

/* At the end of what can be read: 1 when there is another segment to read now. */
static int move_on(struct remed_file_reader *reader)
{
    bool current = reader->segment >= 0 && is_current(reader);
    int rc = remed_segment_list(reader->folder, &reader->firsts, &reader->first_count,
                                &reader->first_room, &reader->allocator);
    if (rc < 0)
        return rc;
    size_t at = covering(reader);
    if (current)
        for (at = 0; at < reader->first_count && reader->firsts[at] <= reader->first;)
            at++;
    return at < reader->first_count ? open_from(reader, at) : 0;
}

/* More bytes behind those held; 0 at the end of the file. */
static ssize_t read_on(struct remed_file_reader *reader)
{
    if (reader->begin > 0) {
        memmove(reader->window, reader->window + reader->begin, reader->held);
        reader->begin = 0;
    }
    ssize_t got;
    do
        got = pread(reader->segment, reader->window + reader->held,
                    REMED_SEGMENT_WHOLE - reader->held, (off_t)(reader->at + reader->held));
    while (got < 0 && errno == EINTR);
    if (got > 0)
        reader->held += (size_t)got;
    return got;
}

static void pass(struct remed_file_reader *reader, size_t bytes)
{
    reader->begin += bytes;
    reader->held -= bytes;
    reader->at += bytes;
}

/* A whole record from the window that was not handed out yet. */
static enum remed_segment_result take(struct remed_file_reader *reader,
                                      struct remed_message *message)
{
    for (;;) {
        size_t used;
        enum remed_segment_result result = remed_segment_read(
            reader->crc, reader->window + reader->begin, reader->held, message, &used);
        if (result != REMED_SEGMENT_OK)
            return result;
        pass(reader, used);
        bool misplaced = !remed_segment_can_hold(reader->first, message->offset) ||
                         (reader->passes_damage && message->offset >= reader->bound);
        reader->damaged += misplaced; /* handed out it would hide what lies before it */
        if (misplaced || message->offset < reader->next_offset)
            continue;
        reader->next_offset = message->offset + 1;
        reader->started = true;
        return REMED_SEGMENT_OK;
    }
}

/* The end of the file, or damage. In the last segment either may be a record on its way. */
static int at_end(struct remed_file_reader *reader)
{
    if (reader->held == 0 || !is_current(reader))
        return move_on(reader);
    struct stat status;
    uint64_t first = reader->first, at = reader->at;
    int rc = remed_segment_list(reader->folder, &reader->firsts, &reader->first_count,
                                &reader->first_room, &reader->allocator);
    if (rc < 0)
        return rc;
    bool last = reader->first_count == 0 || reader->firsts[reader->first_count - 1] == first;
    if (last)
        return 0;
    if (fstat(reader->segment, &status) == 0 && (uint64_t)status.st_size > at + reader->held)
        return 1; /* it grew between the two looks */
    reader->damaged++;
    pass(reader, remed_segment_resync(reader->window + reader->begin, reader->held));
    if (reader->held < REMED_SEGMENT_RECORD)
        pass(reader, reader->held);
    return 1;
}

int remed_file_reader_next(struct remed_file_reader *reader, struct remed_message *message)
{
    for (;;) {
        if (reader->segment >= 0) {
            enum remed_segment_result result = take(reader, message);
            if (result == REMED_SEGMENT_OK)
                return 1;
            ssize_t got = read_on(reader);
            if (got < 0)
                return REMED_EIO;
            if (got > 0)
                continue;
        }
        int rc = reader->segment >= 0 ? at_end(reader) : move_on(reader);
        if (rc <= 0)
            return rc;
    }
}
