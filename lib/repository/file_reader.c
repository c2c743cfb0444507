/* SPDX-License-Identifier: BSD-3-Clause */
/* The reader of file_reader.h. Threads: one thread a reader. */
#define _POSIX_C_SOURCE 200809L
#include "repository/file_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_GONE 1000u
#define LEAST_RECORD (REMED_SEGMENT_RECORD + 1u)

/* What a reader allocates: its search, and its window behind it. */
#define MEMORY (sizeof(struct remed_segment_search) + REMED_SEGMENT_WINDOW)

void remed_file_reader_init(struct remed_file_reader *reader, const struct remed_crc *crc,
                            int folder, const char *path, const struct remed_allocator *allocator)
{
    *reader = (struct remed_file_reader){
        .crc = crc, .path = path, .folder = folder, .segment = -1, .allocator = *allocator};
}

int remed_file_reader_begin(struct remed_file_reader *reader, uint64_t from)
{
    reader->segment = -1;
    reader->next_offset = from;
    reader->started = from != 0;
    reader->search = remed_allocate(&reader->allocator, MEMORY);
    reader->window = reader->search != NULL ? (uint8_t *)(reader->search + 1) : NULL;
    return reader->window != NULL
               ? 0
               : remed_error_set(&reader->error, REMED_ENOMEM, "file: no memory to read %.150s",
                                 reader->path != NULL ? reader->path : "");
}

void remed_file_reader_end(struct remed_file_reader *reader)
{
    if (reader->segment >= 0)
        close(reader->segment);
    remed_release(&reader->allocator, reader->search, reader->search != NULL ? MEMORY : 0);
    remed_release(&reader->allocator, reader->firsts, reader->first_room * sizeof *reader->firsts);
    reader->segment = -1;
    reader->search = NULL;
    reader->window = NULL;
    reader->firsts = NULL;
    reader->first_count = reader->first_room = 0;
}

/* An error with the folder in front, and the name of a segment where it is one's. */
static int fail_reading(struct remed_file_reader *reader, int code, const uint64_t *first,
                        const char *what)
{
    char name[REMED_SEGMENT_NAME] = "";
    if (first != NULL)
        remed_segment_name(name, *first);
    return remed_error_set(&reader->error, code, "file: %.120s%s%s: %s",
                           reader->path != NULL ? reader->path : "the folder",
                           first != NULL ? "/" : "", name, what);
}

static int fail_call(struct remed_file_reader *reader, const uint64_t *first, const char *call)
{
    char what[96];
    int number = errno;
    snprintf(what, sizeof what, "cannot %s: %s", call, strerror(number));
    return fail_reading(reader, number == ENOMEM ? REMED_ENOMEM : REMED_EIO, first, what);
}

/* Counts a place once, however many bytes are passed over there. */
static void note_damage(struct remed_file_reader *reader, uint64_t place, const char *what)
{
    char name[REMED_SEGMENT_NAME];
    if (reader->is_counting)
        return;
    reader->is_counting = true;
    if (reader->on_damage != NULL)
        reader->on_damage(reader->context, reader->first);
    if (reader->damaged++ != 0)
        return;
    remed_segment_name(name, reader->first);
    snprintf(reader->damage, sizeof reader->damage, "%s: byte %llu: %s", name,
             (unsigned long long)place, what);
}

/* Before the segment that is open now. */
static void note_missing(struct remed_file_reader *reader, uint64_t from)
{
    char what[80];
    snprintf(what, sizeof what, "records %llu to %llu before it are missing",
             (unsigned long long)from, (unsigned long long)(reader->first - 1));
    note_damage(reader, 0, what);
    reader->is_counting = false; /* it itself is sound */
}

static int list_segments(struct remed_file_reader *reader)
{
    int rc = remed_segment_list(reader->folder, &reader->firsts, &reader->first_count,
                                &reader->first_room, &reader->allocator);
    if (rc == REMED_ENOMEM)
        errno = ENOMEM;
    return rc < 0 ? fail_call(reader, NULL, "list the folder") : 0;
}

/* Opens a segment: 1; 0 when it is not there any more. */
static int open_segment(struct remed_file_reader *reader, uint64_t first)
{
    char name[REMED_SEGMENT_NAME];
    struct stat status;
    remed_segment_name(name, first);
    int fd = openat(reader->folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENOENT && reader->gone++ < MOST_GONE)
        return 0;
    if (fd < 0 || fstat(fd, &status) < 0) {
        int rc = fail_call(reader, &first, "open it");
        if (fd >= 0)
            close(fd);
        return rc;
    }
    if (reader->segment >= 0)
        close(reader->segment);
    reader->segment = fd;
    reader->first = reader->behind = first;
    reader->at = reader->sure = reader->begin = reader->held = 0;
    reader->is_readable = S_ISREG(status.st_mode);
    reader->has_header = reader->is_counting = reader->is_oldest = false;
    reader->bound = UINT64_MAX;
    reader->gone = 0;
    return 1;
}

/* Whether the name still leads to the file that is open: 1, 0, an error. */
static int is_current(struct remed_file_reader *reader)
{
    char name[REMED_SEGMENT_NAME];
    struct stat open, named;
    remed_segment_name(name, reader->first);
    if (fstat(reader->segment, &open) < 0)
        return fail_call(reader, &reader->first, "look at it");
    if (fstatat(reader->folder, name, &named, 0) < 0)
        return errno == ENOENT ? 0 : fail_call(reader, &reader->first, "look at it");
    return open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

/* Fills the window from the place that the reader is at. Nothing that it held is kept: it may have
 * been cut off, and other bytes been written there. */
static int read_window(struct remed_file_reader *reader)
{
    ssize_t got = 0;
    if (reader->is_readable)
        do
            got = pread(reader->segment, reader->window, REMED_SEGMENT_WINDOW, (off_t)reader->at);
        while (got < 0 && errno == EINTR);
    reader->begin = 0;
    reader->held = got < 0 ? 0 : (size_t)got;
    reader->sure = 0;
    remed_segment_search_begin(reader->search, reader->crc, reader->window, reader->held);
    return got < 0 ? fail_call(reader, &reader->first, "read it") : 0;
}

/* The same once more, when the front of the window is no whole record: 1 when it is sure that it is
 * none, as this changed nothing. */
static int read_again(struct remed_file_reader *reader)
{
    struct remed_message message;
    size_t held = reader->held, used;
    bool is_known = reader->begin == 0 && held > 0; /* read from here before */
    int rc = read_window(reader);
    if (rc < 0)
        return rc;
    if (reader->held == 0)
        return 1;
    if (!is_known || reader->held != held ||
        remed_segment_read(reader->crc, reader->window, held, &message, &used) == REMED_SEGMENT_OK)
        return 0;
    reader->sure = reader->at + held;
    return 1;
}

static void pass(struct remed_file_reader *reader, size_t bytes)
{
    reader->begin += bytes;
    reader->held -= bytes;
    reader->at += bytes;
}

/* What a compaction left out is not known: who reads on from within can't know what it missed. */
static int pass_damaged_header(struct remed_file_reader *reader)
{
    note_damage(reader, 0, "the header is damaged");
    if (reader->is_oldest && reader->started && reader->next_offset > reader->first)
        return fail_reading(reader, REMED_ENOENT, &reader->first,
                            "its header is damaged, so what was left out is not known; begin anew");
    if (reader->is_oldest && reader->first_count > 1 && reader->purged < reader->firsts[1])
        reader->purged = reader->firsts[1];
    pass(reader, REMED_SEGMENT_HEADER);
    return 1;
}

/* The header, when it is there: 1; 0 when more bytes are needed. */
static int take_header(struct remed_file_reader *reader)
{
    uint64_t purged = 0;
    uint32_t version = 0;
    char what[80];
    if (reader->held < REMED_SEGMENT_HEADER)
        return 0;
    reader->has_header = true;
    switch (remed_segment_check_header(reader->window + reader->begin, reader->held, &purged,
                                       &version)) {
    case REMED_HEADER_OK:
        break;
    case REMED_HEADER_NEWER:
        reader->has_header = false;
        snprintf(what, sizeof what, "version %u of the format; this library reads 1", version);
        return fail_reading(reader, REMED_EUNSUPPORTED, &reader->first, what);
    default:
        return pass_damaged_header(reader);
    }
    if (reader->started && purged > reader->next_offset) {
        reader->has_header = false;
        return fail_reading(reader, REMED_ENOENT, &reader->first,
                            "fell behind a compaction; begin anew");
    }
    if (purged > reader->purged)
        reader->purged = purged;
    pass(reader, REMED_SEGMENT_HEADER);
    return 1;
}

/* A whole record from the front of the window that was not handed out yet. */
static bool take_record(struct remed_file_reader *reader, struct remed_message *message)
{
    size_t used;
    while (remed_segment_read(reader->crc, reader->window + reader->begin, reader->held, message,
                              &used) == REMED_SEGMENT_OK) {
        uint64_t place = reader->at;
        pass(reader, used);
        reader->is_counting = false;
        if (!remed_segment_can_hold(reader->first, message->offset) ||
            (reader->passes_damage && message->offset >= reader->bound)) {
            note_damage(reader, place, "a record of another segment");
            reader->is_counting = false;
            continue; /* handed out it would hide what lies before it */
        }
        if (message->offset >= reader->behind)
            reader->behind = message->offset + 1;
        if (message->offset < reader->next_offset)
            continue;
        reader->next_offset = message->offset + 1;
        reader->started = true;
        return true;
    }
    return false;
}

/* Steps over bytes that are no record, wherever they end: there is room for any record in what is
 * held. */
static void pass_damage(struct remed_file_reader *reader)
{
    note_damage(reader, reader->at, "no record");
    pass(reader, remed_segment_skip(reader->search, reader->begin) - reader->begin);
}

/* What lies in the segment as far as it goes now: 1 with a message; 0 at its end. */
static int read_segment(struct remed_file_reader *reader, struct remed_message *message)
{
    int is_sure = 0;
    while (is_sure >= 0) {
        uint64_t at = reader->at;
        int rc = reader->has_header ? 1 : take_header(reader);
        if (rc < 0)
            return rc;
        if (rc == 1 && take_record(reader, message))
            return 1;
        is_sure = at == reader->at && is_sure != 0;
        if (reader->held >= REMED_SEGMENT_WHOLE &&
            (is_sure != 0 || reader->at + REMED_SEGMENT_WHOLE <= reader->sure)) {
            pass_damage(reader);
            is_sure = 0;
        } else if (is_sure != 0)
            return 0;
        else
            is_sure = read_again(reader);
    }
    return is_sure;
}

/* The place in the list of the segment that covers the next offset: the last that begins at or
 * before it, else the first. */
static size_t covering(const struct remed_file_reader *reader)
{
    size_t found = 0;
    for (size_t i = 1; i < reader->first_count; i++)
        if (reader->firsts[i] <= reader->next_offset)
            found = i;
    return found;
}

static size_t following(const struct remed_file_reader *reader)
{
    size_t at = 0;
    while (at < reader->first_count && reader->firsts[at] <= reader->first)
        at++;
    return at;
}

static bool exists(const struct remed_file_reader *reader, uint64_t first)
{
    char name[REMED_SEGMENT_NAME];
    struct stat status;
    remed_segment_name(name, first);
    return fstatat(reader->folder, name, &status, 0) == 0;
}

/* Where to go on. */
struct next {
    uint64_t first;
    uint64_t bound;  /* the first of the one behind it, if the folder was listed */
    bool is_oldest;  /* nothing is before it, and something behind */
    bool leads_back; /* it replaced the one that is open, or none is open */
    bool is_apart;   /* offsets are missing before it */
};

/* Looks into the folder: 1; 0 when there is nothing further. While it is read, segments may come
 * and be replaced, so one that seems to lie apart is looked for again. */
static int look_into_folder(struct remed_file_reader *reader, struct next *next)
{
    for (unsigned looks = 0; looks < 2; looks++) {
        int current = 0, rc = list_segments(reader);
        if (rc == 0 && reader->segment >= 0)
            current = is_current(reader); /* after listing: then nothing was replaced before */
        if (rc < 0 || current < 0)
            return rc < 0 ? rc : current;
        size_t at = current != 0 ? following(reader) : covering(reader);
        if (reader->hears && reader->first_count > 0)
            reader->heard = reader->firsts[reader->first_count - 1];
        if (at >= reader->first_count)
            return 0;
        uint64_t expected = current != 0 ? reader->behind : reader->next_offset;
        *next = (struct next){.first = reader->firsts[at],
                              .bound = UINT64_MAX,
                              .is_oldest = at == 0 && reader->first_count > 1,
                              .leads_back = current == 0,
                              .is_apart = reader->firsts[at] > expected};
        if (at + 1 < reader->first_count)
            next->bound = reader->firsts[at + 1];
        if (!next->is_apart)
            break;
    }
    return 1;
}

static int find_next(struct remed_file_reader *reader, struct next *next)
{
    if (reader->segment < 0)
        return look_into_folder(reader, next);
    if (!reader->passes_damage && reader->behind > reader->first &&
        exists(reader, reader->behind)) {
        *next = (struct next){.first = reader->behind, .bound = UINT64_MAX};
        return 1;
    }
    if (reader->hears && reader->heard <= reader->first) {
        int current = is_current(reader);
        if (current != 0)
            return current < 0 ? current : 0;
    }
    return look_into_folder(reader, next);
}

/* The end of a complete segment: what is left of it is no record, or has one behind it. True: there
 * is more to read. */
static bool leave_segment(struct remed_file_reader *reader)
{
    size_t found = reader->held;
    if (!reader->is_readable)
        note_damage(reader, 0, "no regular file");
    else if (reader->held > 0)
        note_damage(reader, reader->at, "no whole record");
    else if (!reader->has_header)
        note_damage(reader, 0, "the segment is empty");
    if (reader->has_header && reader->held > 0)
        found = remed_segment_find(reader->search, reader->begin, reader->behind, UINT64_MAX) -
                reader->begin;
    pass(reader, found);
    return reader->held > 0;
}

/* Goes on to another segment: 1. Offsets that none has are told, unless they may have been in the
 * damage before; but who resumes has to begin anew. */
static int go_on(struct remed_file_reader *reader, const struct next *next)
{
    bool is_apart = next->is_apart && !reader->passes_damage;
    bool is_told = is_apart && (next->leads_back || !reader->is_counting);
    uint64_t from = next->leads_back ? reader->next_offset : reader->behind;
    if (is_apart && next->leads_back && reader->started)
        return fail_reading(reader, REMED_ENOENT, &next->first,
                            "what lies before it is gone; begin anew");
    int rc = open_segment(reader, next->first);
    if (rc <= 0)
        return rc < 0 ? rc : 1; /* it is gone: the folder is looked at again */
    reader->bound = next->bound;
    reader->is_oldest = next->is_oldest;
    if (is_told)
        note_missing(reader, from);
    return 1;
}

/* A whole record behind bytes that are none: they are damage, wherever they are. */
static bool step_to_record(struct remed_file_reader *reader)
{
    uint64_t most = reader->behind + reader->held / LEAST_RECORD + 1;
    if (!reader->has_header || reader->held < LEAST_RECORD)
        return false;
    size_t found = remed_segment_find(reader->search, reader->begin, reader->behind, most);
    if (found == reader->begin + reader->held)
        return false;
    note_damage(reader, reader->at, "no record");
    pass(reader, found - reader->begin);
    return true;
}

/* The end of the last segment. Bytes that are no whole record are read again next time. */
static int wait_for_more(struct remed_file_reader *reader)
{
    bool torn =
        reader->has_header && remed_segment_is_torn(reader->crc, reader->window + reader->begin,
                                                    reader->held, reader->behind);
    reader->waits = !reader->has_header || reader->held > 0;
    if (reader->waits && reader->is_settled && !torn)
        note_damage(reader, reader->at,
                    reader->is_readable ? "no whole record" : "no regular file");
    reader->begin = reader->held = 0;
    return 0;
}

/* At the end of what can be read: 1 when there is more to read now. */
static int move_on(struct remed_file_reader *reader)
{
    struct next next;
    if (reader->segment >= 0 && step_to_record(reader))
        return 1;
    int rc = find_next(reader, &next);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return reader->segment >= 0 ? wait_for_more(reader) : 0;
    if (next.leads_back || reader->segment < 0)
        return go_on(reader, &next);
    rc = read_again(reader); /* it may have grown before the next one was begun */
    if (rc <= 0)
        return rc < 0 ? rc : 1;
    return leave_segment(reader) ? 1 : go_on(reader, &next);
}

int remed_file_reader_next(struct remed_file_reader *reader, struct remed_message *message)
{
    reader->waits = false;
    for (;;) {
        int rc = reader->segment >= 0 ? read_segment(reader, message) : 0;
        if (rc != 0)
            return rc;
        rc = move_on(reader);
        if (rc <= 0)
            return rc;
    }
}
