/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file followed by its name, over rotation. Looking is by time, not by inotify: that works on
 * every file system, and costs a read and a stat a look.
 *
 * When another file has the name, the old one is read on until it was quiet for a while, as its
 * writer may not have been told yet; its lines come before those of the new one at every look, so
 * that the order of one writer is kept. A file that got shorter, or has another beginning, was
 * truncated, and is read from its beginning. What is between two looks written and truncated is not
 * seen: copytruncate loses lines by its nature.
 *
 * Threads: one thread a listener.
 */
#include "backend/syslog/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define POLL_DEFAULT (200 * 1000000ull)
#define QUIET_NS (5 * REMED_NS_PER_S) /* after which an old file is left */
#define READS_A_LOOK 16
#define FILES 3 /* the one that has the name, and those that had it before */

struct reading {
    int fd; /* -1: none */
    struct position at;
    uint64_t oversize; /* of its frames, as counted so far */
    uint64_t grew;     /* the last time that it was longer; 0: not looked at yet */
    struct remed_syslog_frames *frames;
};

struct follow {
    struct remed_listener *listener;
    struct input *input;
    struct reading reading[FILES]; /* the newest first; their frames are made once */
    uint64_t poll, due;
    struct position marked[FILES];
    unsigned mark_count;
    char path[1024], state[1024];
};

static int on_frame(void *context, const struct remed_syslog_frame *frame)
{
    struct follow *follow = context;
    remed_listener_line(follow->listener, follow->input->row, frame->text, frame->length,
                        frame->cut != 0);
    return follow->listener->stopped;
}

static int make_frames(struct follow *follow, struct remed_syslog_frames **frames)
{
    struct remed_syslog_frames_opts opts;
    remed_syslog_frames_opts_init(&opts, sizeof opts);
    opts.max_frame = follow->listener->opts.max_line;
    opts.framing = REMED_SYSLOG_LINES;
    opts.frame = on_frame;
    opts.context = follow;
    opts.allocator = &follow->listener->allocator;
    return remed_syslog_frames_new(frames, &opts, NULL);
}

/* Learns the file's beginning, as far as it was read. */
static void learn_beginning(struct reading *reading)
{
    uint32_t most = reading->at.offset < PRINT_BYTES ? (uint32_t)reading->at.offset : PRINT_BYTES;
    uint64_t sum;
    if (reading->at.summed < most && remed_position_sum(reading->fd, most, &sum) == 0) {
        reading->at.sum = sum;
        reading->at.summed = most;
    }
}

/* Begins to read an open file at an offset. */
static void take(struct reading *reading, int fd, uint64_t offset)
{
    struct stat state = {.st_size = 0};
    fstat(fd, &state);
    reading->fd = fd;
    reading->at = (struct position){
        .device = (uint64_t)state.st_dev, .inode = (uint64_t)state.st_ino, .offset = offset};
    learn_beginning(reading);
}

static int open_regular(const char *path)
{
    struct stat state;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && fstat(fd, &state) == 0 && !S_ISREG(state.st_mode)) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    return fd;
}

static void leave(struct reading *reading)
{
    remed_syslog_frames_end(reading->frames);
    close(reading->fd);
    reading->fd = -1;
}

/* Reads once; above 0: bytes, 0: no more now. A file that can't be read gives no more. */
static size_t read_once(struct follow *follow, struct reading *reading)
{
    struct remed_listener *listener = follow->listener;
    struct remed_syslog_frames_stats stats;
    ssize_t got =
        pread(reading->fd, listener->buffer, sizeof listener->buffer, (off_t)reading->at.offset);
    if (got <= 0)
        return 0;
    listener->received = remed_listener_clock();
    size_t taken = remed_syslog_frames_push(reading->frames, listener->buffer, (size_t)got);
    reading->at.offset += taken;
    learn_beginning(reading);
    remed_syslog_frames_stats(reading->frames, &stats, sizeof stats);
    remed_source(listener, follow->input->row)->oversize += stats.oversize - reading->oversize;
    reading->oversize = stats.oversize;
    return taken;
}

static bool read_on(struct follow *follow, struct reading *reading)
{
    for (unsigned i = 0; i < READS_A_LOOK; i++)
        if (read_once(follow, reading) == 0)
            return false;
        else if (follow->listener->stopped)
            break;
    return true;
}

static void count_rotation(struct follow *follow, const char *what)
{
    remed_source(follow->listener, follow->input->row)->rotations++;
    remed_listener_say(follow->listener, REMED_LOG_INFO, "%s %s", follow->path, what);
}

/* Shorter than it was, or longer, but with another beginning: it was written anew. */
static bool is_truncated(const struct reading *reading)
{
    struct stat state;
    uint64_t sum;
    if (fstat(reading->fd, &state) < 0)
        return false;
    if ((uint64_t)state.st_size <= reading->at.offset)
        return (uint64_t)state.st_size < reading->at.offset;
    return remed_position_sum(reading->fd, reading->at.summed, &sum) < 0 ||
           (reading->at.summed > 0 && sum != reading->at.sum);
}

/* What is held of a line is one that was cut. */
static void look_for_truncation(struct follow *follow, struct reading *reading)
{
    if (!is_truncated(reading))
        return;
    count_rotation(follow, "was truncated");
    remed_syslog_frames_end(reading->frames);
    reading->at.offset = 0;
    reading->at.summed = 0;
}

/* Makes the first place free: who had it is an old one now, and the oldest is left. */
static struct reading *make_place(struct follow *follow)
{
    struct reading *reading = follow->reading;
    if (reading[0].fd >= 0) {
        if (reading[FILES - 1].fd >= 0)
            leave(&reading[FILES - 1]);
        const struct reading free_one = reading[FILES - 1];
        memmove(reading + 1, reading, (FILES - 1) * sizeof *reading);
        reading[0] = free_one;
    }
    reading[0].grew = 0;
    return reading;
}

/* Another file with the name: it is the one to read, and the one so far an old one. */
static void look_for_another(struct follow *follow)
{
    struct stat state;
    const struct reading *now = follow->reading;
    if (stat(follow->path, &state) < 0 || !S_ISREG(state.st_mode))
        return; /* moved away, and none made yet: its writer still has it */
    if (now->fd >= 0 && (uint64_t)state.st_dev == now->at.device &&
        (uint64_t)state.st_ino == now->at.inode)
        return;
    int fd = open_regular(follow->path);
    if (fd < 0)
        return;
    if (now->fd >= 0)
        count_rotation(follow, "is another file now");
    take(make_place(follow), fd, 0);
}

/* An old file, until it was quiet for a while. */
static bool read_old(struct follow *follow, struct reading *reading)
{
    uint64_t before = reading->at.offset, now = follow->listener->now;
    bool more = read_on(follow, reading);
    if (reading->grew == 0 || reading->at.offset != before)
        reading->grew = now;
    else if (now - reading->grew >= QUIET_NS)
        leave(reading);
    return more;
}

bool remed_follow_read(struct remed_listener *listener, struct follow *follow)
{
    bool more = false;
    follow->due = listener->now + follow->poll;
    for (unsigned i = FILES - 1; i > 0 && !more && !listener->stopped; i--)
        if (follow->reading[i].fd >= 0)
            more = read_old(follow, &follow->reading[i]);
    if (!more && !listener->stopped && follow->reading[0].fd >= 0) {
        look_for_truncation(follow, &follow->reading[0]);
        more = !listener->stopped && read_on(follow, &follow->reading[0]);
    }
    if (!more && !listener->stopped)
        look_for_another(follow);
    if (more || listener->stopped)
        follow->due = 0;
    return more;
}

uint64_t remed_follow_due(const struct follow *follow)
{
    return follow->due;
}

/* Goes on where an earlier listener was: in the file itself, and in those that had its name and now
 * have another. False: there was none. */
static bool resume(struct follow *follow, int fd)
{
    struct position positions[FILES];
    unsigned count = 0;
    bool named = false;
    if (follow->state[0] != '\0')
        count = remed_positions_load(follow->listener, follow->state, positions, FILES);
    for (unsigned i = count; i-- > 0;) { /* the oldest first */
        named = i == 0 && fd >= 0 && remed_position_fits(&positions[0], fd);
        int found = named ? fd : remed_position_find(follow->path, &positions[i]);
        if (found >= 0)
            take(make_place(follow), found, positions[i].offset);
        else if (positions[i].summed > 0)
            remed_listener_say(follow->listener, REMED_LOG_WARNING,
                               "%s: a file that was read is not there any more; lines may be lost",
                               follow->path);
    }
    if (count > 0 && !named && fd >= 0)
        take(make_place(follow), fd, 0);
    return count > 0;
}

static int set_up(struct follow *follow, const struct remed_uri *uri, struct remed_error *error)
{
    char from[8] = "end";
    struct stat state;
    int rc = remed_uri_time(uri, "poll", &follow->poll, error);
    if (rc < 0)
        return rc;
    if (uri->host[0] != '\0' || uri->path[0] != '/' ||
        remed_uri_parameter(uri, "state", follow->state, sizeof follow->state) < 0 ||
        remed_uri_parameter(uri, "from", from, sizeof from) < 0 ||
        (strcmp(from, "end") != 0 && strcmp(from, "begin") != 0))
        return remed_error_set(error, REMED_EINVAL,
                               "file: is /// and a path; from is end or begin");
    memcpy(follow->path, uri->path, strlen(uri->path) + 1);
    for (unsigned i = 0; i < FILES; i++)
        if (make_frames(follow, &follow->reading[i].frames) < 0)
            return remed_error_set(error, REMED_ENOMEM, "no memory for a file");
    int fd = open_regular(follow->path);
    if (fd < 0 && errno != ENOENT)
        return remed_error_set(error, errno == EACCES ? REMED_EPERM : REMED_EIO, "%s: %s",
                               follow->path, strerror(errno));
    if (!resume(follow, fd) && fd >= 0)
        take(follow->reading, fd,
             strcmp(from, "end") == 0 && fstat(fd, &state) == 0 ? (uint64_t)state.st_size : 0);
    return 0;
}

int remed_follow_new(struct remed_listener *listener, struct input *input,
                     const struct remed_uri *uri, struct remed_error *error)
{
    struct follow *made = remed_allocate(&listener->allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a file");
    made->listener = listener;
    made->input = input;
    made->poll = POLL_DEFAULT;
    for (unsigned i = 0; i < FILES; i++)
        made->reading[i].fd = -1;
    input->follow = made;
    return set_up(made, uri, error);
}

void remed_follow_free(struct remed_listener *listener, struct follow *follow)
{
    if (follow == NULL)
        return;
    for (unsigned i = 0; i < FILES; i++) {
        if (follow->reading[i].fd >= 0)
            close(follow->reading[i].fd);
        remed_syslog_frames_free(follow->reading[i].frames);
    }
    remed_release(&listener->allocator, follow, sizeof *follow);
}

void remed_follow_mark(struct follow *follow)
{
    follow->mark_count = 0;
    if (follow->state[0] == '\0')
        return;
    for (unsigned i = 0; i < FILES; i++)
        if (follow->reading[i].fd >= 0) {
            struct position *marked = &follow->marked[follow->mark_count++];
            *marked = follow->reading[i].at;
            marked->offset -= remed_syslog_frames_held(follow->reading[i].frames);
        }
}

int remed_follow_commit(struct follow *follow, struct remed_error *error)
{
    if (follow->mark_count == 0)
        return 0;
    unsigned count = follow->mark_count;
    follow->mark_count = 0;
    return remed_positions_save(follow->state, follow->marked, count, error);
}
