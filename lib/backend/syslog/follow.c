/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file followed by its name, over rotation. Looking is by time, not by inotify: that works on
 * every file system, and costs a read and a stat a look.
 *
 * When another file has the name, the old one is read on until it was quiet for a while, as its
 * writer may not have been told yet; its lines come before those of the new one at every look, so
 * that the order of one writer is kept. A file that got shorter was truncated, and is read from its
 * beginning. What is between two looks written and truncated is not seen: copytruncate loses lines
 * by its nature.
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

struct reading {
    int fd; /* -1: none */
    uint64_t device, inode, offset;
    uint64_t oversize; /* of its frames, as counted so far */
    struct remed_syslog_frames *frames;
};

struct follow {
    struct remed_listener *listener;
    struct input *input;
    struct reading now, old;
    uint64_t poll, due, grew; /* the old one, the last time */
    struct position marked;
    bool is_marked;
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

/* Begins to read an open file at an offset. */
static void take(struct reading *reading, int fd, uint64_t offset)
{
    struct stat state = {.st_size = 0};
    fstat(fd, &state);
    reading->fd = fd;
    reading->device = (uint64_t)state.st_dev;
    reading->inode = (uint64_t)state.st_ino;
    reading->offset = offset;
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
        pread(reading->fd, listener->buffer, sizeof listener->buffer, (off_t)reading->offset);
    if (got <= 0)
        return 0;
    listener->received = remed_listener_clock();
    size_t taken = remed_syslog_frames_push(reading->frames, listener->buffer, (size_t)got);
    reading->offset += taken;
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

/* Truncated: what is held of a line is one that was cut. */
static void look_for_truncation(struct follow *follow, struct reading *reading)
{
    struct stat state;
    if (fstat(reading->fd, &state) < 0 || (uint64_t)state.st_size >= reading->offset)
        return;
    count_rotation(follow, "was truncated");
    remed_syslog_frames_end(reading->frames);
    reading->offset = 0;
}

/* Another file with the name: it is the one to read, and the one so far the old one. */
static void look_for_another(struct follow *follow)
{
    struct stat state;
    if (stat(follow->path, &state) < 0 || !S_ISREG(state.st_mode))
        return; /* moved away, and none made yet: its writer still has it */
    if (follow->now.fd >= 0 && (uint64_t)state.st_dev == follow->now.device &&
        (uint64_t)state.st_ino == follow->now.inode)
        return;
    int fd = open_regular(follow->path);
    if (fd < 0)
        return;
    if (follow->now.fd >= 0) {
        if (follow->old.fd >= 0)
            leave(&follow->old);
        const struct reading other = follow->old;
        follow->old = follow->now;
        follow->now = other;
        follow->grew = follow->listener->now;
        count_rotation(follow, "is another file now");
    }
    take(&follow->now, fd, 0);
}

bool remed_follow_read(struct remed_listener *listener, struct follow *follow)
{
    bool more = false;
    follow->due = listener->now + follow->poll;
    if (follow->old.fd >= 0) {
        uint64_t before = follow->old.offset;
        if (follow->grew == 0) /* it was resumed */
            follow->grew = listener->now;
        more = read_on(follow, &follow->old);
        if (follow->old.offset != before)
            follow->grew = listener->now;
        else if (listener->now - follow->grew >= QUIET_NS)
            leave(&follow->old);
    }
    if (!more && !listener->stopped && follow->now.fd >= 0) {
        look_for_truncation(follow, &follow->now);
        more = !listener->stopped && read_on(follow, &follow->now);
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

/* Goes on where an earlier listener was: in the file itself, or in one that was it and has another
 * name now. False: there was none, or it is lost. */
static bool resume(struct follow *follow, int fd)
{
    struct position position;
    if (follow->state[0] == '\0' ||
        remed_position_load(follow->listener, follow->state, &position) == 0)
        return false;
    if (fd >= 0 && remed_position_fits(&position, fd)) {
        take(&follow->now, fd, position.offset);
        return true;
    }
    int old = remed_position_find(follow->path, &position);
    if (old >= 0)
        take(&follow->old, old, position.offset);
    else if (position.summed > 0)
        remed_listener_say(follow->listener, REMED_LOG_WARNING,
                           "%s: the file that was read is not there any more; lines may be lost",
                           follow->path);
    if (fd >= 0)
        take(&follow->now, fd, 0);
    return true;
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
    if (make_frames(follow, &follow->now.frames) < 0 ||
        make_frames(follow, &follow->old.frames) < 0)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a file");
    int fd = open_regular(follow->path);
    if (fd < 0 && errno != ENOENT)
        return remed_error_set(error, errno == EACCES ? REMED_EPERM : REMED_EIO, "%s: %s",
                               follow->path, strerror(errno));
    if (!resume(follow, fd) && fd >= 0)
        take(&follow->now, fd,
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
    made->now.fd = made->old.fd = -1;
    input->follow = made;
    return set_up(made, uri, error);
}

void remed_follow_free(struct remed_listener *listener, struct follow *follow)
{
    if (follow == NULL)
        return;
    if (follow->now.fd >= 0)
        close(follow->now.fd);
    if (follow->old.fd >= 0)
        close(follow->old.fd);
    remed_syslog_frames_free(follow->now.frames);
    remed_syslog_frames_free(follow->old.frames);
    remed_release(&listener->allocator, follow, sizeof *follow);
}

/* With an old file open, its position: the lines of the new one then come twice, and none is lost.
 */
void remed_follow_mark(struct follow *follow)
{
    const struct reading *reading = follow->old.fd >= 0 ? &follow->old : &follow->now;
    follow->is_marked = follow->state[0] != '\0' && reading->fd >= 0;
    if (!follow->is_marked)
        return;
    struct position *marked = &follow->marked;
    marked->device = reading->device;
    marked->inode = reading->inode;
    marked->offset = reading->offset - remed_syslog_frames_held(reading->frames);
    marked->summed = marked->offset < PRINT_BYTES ? (uint32_t)marked->offset : PRINT_BYTES;
    if (remed_position_sum(reading->fd, marked->summed, &marked->sum) < 0)
        follow->is_marked = false; /* truncated meanwhile */
}

int remed_follow_commit(struct follow *follow, struct remed_error *error)
{
    if (!follow->is_marked)
        return 0;
    follow->is_marked = false;
    return remed_position_save(follow->state, &follow->marked, error);
}
