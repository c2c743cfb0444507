/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file followed by its name, over rotation. Looking is by time, not by inotify: that works on
 * every file system, and costs a read and a stat a look.
 *
 * When another file has the name, the old one is read on until it was quiet for a while, as its
 * writer may not have been told yet; its lines come before those of the new one at every look, so
 * that the order of one writer is kept. A file that gets its name back is read on where it was. One
 * that got shorter, or has another beginning, was truncated, and is read from its beginning. What
 * is between two looks written and truncated is not seen: copytruncate loses lines by its nature.
 *
 * Threads: one thread a listener.
 */
#include "backend/syslog/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define POLL_DEFAULT (200 * 1000000ull)
#define POLL_LEAST 1000000ull
#define POLL_MOST (3600 * REMED_NS_PER_S)
#define QUIET_NS (5 * REMED_NS_PER_S) /* after which an old file is left */
#define READS_A_LOOK 16

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
    struct reading reading[FILES]; /* the newest first; their frames are kept */
    struct position left[FILES]; /* of those that were left, the newest first: one may come back */
    uint64_t poll, due;
    struct position marked[FILES], saved[FILES];
    unsigned mark_count, saved_count;
    int fault, told; /* errno of this look, and as it was last told; 0: none */
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
    opts.whole_buffer = 1; /* a line lost for want of memory would lie before the position */
    return remed_syslog_frames_new(frames, &opts, NULL);
}

static void note_fault(struct follow *follow, int number)
{
    follow->fault = number;
}

/* Each change is told once: what can't be read is looked at again and again. */
static void tell_fault(struct follow *follow)
{
    follow->input->failing = follow->fault != 0;
    if (follow->fault == follow->told)
        return;
    follow->told = follow->fault;
    if (follow->fault != 0)
        remed_listener_say(follow->listener, REMED_LOG_WARNING, "%s: cannot read: %s; tried again",
                           follow->path, strerror(follow->fault));
    else
        remed_listener_say(follow->listener, REMED_LOG_NOTICE, "%s: can be read again",
                           follow->path);
}

/* Learns the file's beginning, as far as it is there: what was written once stays. */
static void learn_beginning(struct reading *reading)
{
    uint64_t sum;
    uint32_t summed;
    if (reading->at.summed == PRINT_BYTES || remed_position_learn(reading->fd, &sum, &summed) < 0 ||
        summed <= reading->at.summed)
        return;
    reading->at.sum = sum;
    reading->at.summed = summed;
}

/* Begins to read an open file at an offset; false: it can't be, errno says why. */
static bool take(struct follow *follow, struct reading *reading, int fd, uint64_t offset)
{
    struct stat state;
    if (reading->frames == NULL && make_frames(follow, &reading->frames) < 0) {
        errno = ENOMEM;
        return false;
    }
    if (fstat(fd, &state) < 0)
        return false;
    reading->fd = fd;
    reading->at = (struct position){
        .device = (uint64_t)state.st_dev, .inode = (uint64_t)state.st_ino, .offset = offset};
    learn_beginning(reading);
    return true;
}

static int open_regular(const char *path)
{
    struct stat state;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fd;
    int number = fstat(fd, &state) < 0 ? errno : EINVAL;
    if (number == EINVAL && S_ISREG(state.st_mode))
        return fd;
    close(fd);
    errno = number;
    return -1;
}

static void leave(struct follow *follow, struct reading *reading)
{
    remed_syslog_frames_end(reading->frames);
    memmove(follow->left + 1, follow->left, (FILES - 1) * sizeof *follow->left);
    follow->left[0] = reading->at;
    close(reading->fd);
    reading->fd = -1;
}

/* Reads once; above 0: bytes, 0: no more now, -1: a fault, which is no end. */
static ssize_t read_once(struct follow *follow, struct reading *reading)
{
    struct remed_listener *listener = follow->listener;
    struct remed_syslog_frames_stats stats;
    ssize_t got =
        pread(reading->fd, listener->buffer, sizeof listener->buffer, (off_t)reading->at.offset);
    if (got < 0 && errno != EINTR)
        note_fault(follow, errno);
    if (got <= 0)
        return got;
    listener->received = remed_listener_clock();
    size_t taken = remed_syslog_frames_push(reading->frames, listener->buffer, (size_t)got);
    reading->at.offset += taken;
    learn_beginning(reading);
    remed_syslog_frames_stats(reading->frames, &stats, sizeof stats);
    remed_source(listener, follow->input->row)->oversize += stats.oversize - reading->oversize;
    reading->oversize = stats.oversize;
    return (ssize_t)taken;
}

static bool read_on(struct follow *follow, struct reading *reading)
{
    for (unsigned i = 0; i < READS_A_LOOK; i++)
        if (read_once(follow, reading) <= 0)
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

/* Shorter than it was, or with another beginning: it was written anew. One of the same size is
 * looked at each time, too: a time of change does not show what was written in the same tick. */
static bool is_truncated(struct follow *follow, const struct reading *reading)
{
    struct stat state;
    uint64_t sum;
    if (fstat(reading->fd, &state) < 0) {
        note_fault(follow, errno);
        return false;
    }
    if ((uint64_t)state.st_size < reading->at.offset)
        return true;
    int rc = remed_position_sum(reading->fd, reading->at.summed, &sum);
    if (rc < 0)
        note_fault(follow, errno);
    return rc > 0 || (rc == 0 && reading->at.summed > 0 && sum != reading->at.sum);
}

/* What is held of a line is one that was cut. */
static void look_for_truncation(struct follow *follow, struct reading *reading)
{
    if (!is_truncated(follow, reading))
        return;
    count_rotation(follow, "was truncated");
    remed_syslog_frames_end(reading->frames);
    reading->at.offset = 0;
    reading->at.summed = 0;
}

/* The oldest is left; what it still has is told of. */
static void leave_oldest(struct follow *follow)
{
    struct reading *oldest = &follow->reading[FILES - 1];
    struct stat state;
    if (oldest->fd < 0)
        return;
    if (fstat(oldest->fd, &state) < 0 || (uint64_t)state.st_size > oldest->at.offset)
        remed_listener_say(follow->listener, REMED_LOG_WARNING,
                           "%s: more than %d files had this name at a time; the oldest was not "
                           "read to its end",
                           follow->path, FILES);
    leave(follow, oldest);
}

/* Makes the first place free: who had it is an old one now, and the oldest is left. */
static struct reading *make_place(struct follow *follow)
{
    struct reading *reading = follow->reading;
    if (reading[0].fd >= 0) {
        leave_oldest(follow);
        const struct reading free_one = reading[FILES - 1];
        memmove(reading + 1, reading, (FILES - 1) * sizeof *reading);
        reading[0] = free_one;
    }
    reading[0].grew = 0;
    return reading;
}

static bool is_of(const struct position *at, const struct stat *state)
{
    return (uint64_t)state->st_dev == at->device && (uint64_t)state->st_ino == at->inode;
}

/* One that is read as an old one has its name back: it is the newest again, and is read on. */
static bool take_back_old(struct follow *follow, const struct stat *state)
{
    unsigned i = 1;
    while (i < FILES && (follow->reading[i].fd < 0 || !is_of(&follow->reading[i].at, state)))
        i++;
    if (i == FILES)
        return false;
    const struct reading back = follow->reading[i];
    memmove(follow->reading + 1, follow->reading, i * sizeof back);
    follow->reading[0] = back;
    follow->reading[0].grew = 0;
    follow->reading[1].grew = 0;
    count_rotation(follow, "is an earlier file again");
    return true;
}

/* Where one that was left is to be read on; it is forgotten here. 0: it is none of them. */
static uint64_t offset_of_left(struct follow *follow, int fd)
{
    for (unsigned i = 0; i < FILES; i++) {
        struct position *at = &follow->left[i];
        if (at->summed == 0 || remed_position_fits(at, fd) <= 0)
            continue;
        uint64_t offset = at->offset;
        at->summed = 0;
        return offset;
    }
    return 0;
}

/* Another file with the name: it is the one to read, and the one so far an old one. */
static void look_for_another(struct follow *follow)
{
    struct stat state;
    const struct reading *now = follow->reading;
    if (stat(follow->path, &state) < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            note_fault(follow, errno);
        return; /* moved away, and none made yet: its writer still has it */
    }
    if (!S_ISREG(state.st_mode) || (now->fd >= 0 && is_of(&now->at, &state)) ||
        take_back_old(follow, &state))
        return;
    int fd = open_regular(follow->path);
    if (fd < 0) {
        if (errno != ENOENT)
            note_fault(follow, errno);
        return;
    }
    if (fstat(fd, &state) < 0) {
        note_fault(follow, errno);
        close(fd);
        return;
    }
    if (now->fd >= 0)
        count_rotation(follow, "is another file now");
    if (!take(follow, make_place(follow), fd, offset_of_left(follow, fd))) {
        note_fault(follow, errno);
        close(fd);
    }
}

/* An old file, until it was quiet for a while. */
static bool read_old(struct follow *follow, struct reading *reading)
{
    uint64_t before = reading->at.offset, now = follow->listener->now;
    follow->fault = 0;
    bool more = read_on(follow, reading);
    if (reading->grew == 0 || reading->at.offset != before || follow->fault != 0)
        reading->grew = now;
    else if (now - reading->grew >= QUIET_NS)
        leave(follow, reading);
    return more;
}

bool remed_follow_read(struct remed_listener *listener, struct follow *follow)
{
    bool more = false;
    int fault = 0; /* of old files: each begins anew */
    follow->due = listener->now + follow->poll;
    for (unsigned i = FILES - 1; i > 0 && !more && !listener->stopped; i--)
        if (follow->reading[i].fd >= 0) {
            more = read_old(follow, &follow->reading[i]);
            fault = follow->fault != 0 ? follow->fault : fault;
        }
    follow->fault = fault;
    if (!more && !listener->stopped && follow->reading[0].fd >= 0) {
        look_for_truncation(follow, &follow->reading[0]);
        more = !listener->stopped && read_on(follow, &follow->reading[0]);
    }
    if (!more && !listener->stopped)
        look_for_another(follow);
    if (more || listener->stopped)
        follow->due = 0;
    else
        tell_fault(follow);
    return more;
}

uint64_t remed_follow_due(const struct follow *follow)
{
    return follow->due;
}

static int no_reading(const struct follow *follow, int number, struct remed_error *error)
{
    int code = number == EACCES ? REMED_EPERM : REMED_EIO;
    return remed_error_set(error, number == ENOMEM ? REMED_ENOMEM : code, "%s: %s", follow->path,
                           strerror(number));
}

/* Goes on in one file; found: its descriptor, which is taken, or -1: it is gone. */
static int resume_one(struct follow *follow, const struct position *at, int found,
                      struct remed_error *error)
{
    if (found == -1 && at->summed > 0)
        remed_listener_say(follow->listener, REMED_LOG_WARNING,
                           "%s: a file that was read is not there any more; lines may be lost",
                           follow->path);
    if (found == -1 || take(follow, make_place(follow), found, at->offset))
        return 0;
    int number = errno;
    close(found);
    return no_reading(follow, number, error);
}

/* Which of the positions is of the file that has the name now; their count: none; -1: errno. */
static int find_named(const struct positions *positions, int fd)
{
    unsigned i = 0;
    for (int fits = 0; fd >= 0 && i < positions->count; i++)
        if ((fits = remed_position_fits(&positions->each[i], fd)) != 0)
            return fits < 0 ? -1 : (int)i;
    return (int)positions->count;
}

/* Goes on where an earlier listener was: in the file itself, and in those that had its name and now
 * have another. *fd is that of the name or -1, and becomes -1 once it is a reading's: the last, as
 * it is the newest, whichever it was then. */
static int resume(struct follow *follow, const struct positions *positions, int *fd,
                  struct remed_error *error)
{
    int named = find_named(positions, *fd), rc = 0;
    if (named < 0)
        return no_reading(follow, errno, error);
    for (unsigned i = positions->count; rc == 0 && i-- > 0;) { /* the oldest first */
        if ((int)i == named)
            continue;
        int found = remed_position_find(follow->path, &positions->each[i], error);
        rc = found < -1 ? found : resume_one(follow, &positions->each[i], found, error);
    }
    if (rc < 0 || named == (int)positions->count)
        return rc;
    int found = *fd;
    *fd = -1;
    return resume_one(follow, &positions->each[named], found, error);
}

/* Version 1 did not name its file, so only the file itself can show that it is the one. */
static void check_unnamed(struct follow *follow, struct positions *positions, int fd)
{
    if (!positions->unnamed || fd < 0 || remed_position_fits(&positions->each[0], fd) > 0)
        return;
    *positions = (struct positions){.damaged = true};
    remed_listener_say(follow->listener, REMED_LOG_WARNING,
                       "%s: does not fit %s, and does not say what file it belongs to; %s is read "
                       "from its beginning",
                       follow->state, follow->path, follow->path);
}

/* Where reading begins: behind what was read, else at the beginning, else where `from` says. */
static int begin(struct follow *follow, bool at_end, int *fd, struct remed_error *error)
{
    struct positions positions = {.count = 0};
    struct stat state = {.st_size = 0};
    int rc = 0;
    if (follow->state[0] != '\0')
        rc = remed_positions_load(follow->listener, follow->state, follow->path, &positions, error);
    if (rc < 0)
        return rc;
    check_unnamed(follow, &positions, *fd);
    rc = resume(follow, &positions, fd, error);
    if (rc < 0 || *fd < 0)
        return rc;
    bool known = positions.count > 0 || positions.damaged;
    if (!known && at_end && fstat(*fd, &state) < 0)
        return no_reading(follow, errno, error);
    if (!take(follow, make_place(follow), *fd, known || !at_end ? 0 : (uint64_t)state.st_size))
        return no_reading(follow, errno, error);
    *fd = -1;
    return 0;
}

/* A state file is nobody else's, neither as a state nor as a log. */
static bool is_state_taken(const struct follow *follow)
{
    const struct remed_listener *listener = follow->listener;
    bool own = follow->state[0] != '\0';
    for (uint32_t i = 0; i < listener->input_count; i++) {
        const struct follow *other = listener->inputs[i]->follow;
        if (other == NULL || other == follow)
            continue;
        if ((own && (remed_position_same_name(other->path, follow->state) ||
                     (other->state[0] != '\0' &&
                      remed_position_same_name(other->state, follow->state)))) ||
            (other->state[0] != '\0' && remed_position_same_name(other->state, follow->path)))
            return true;
    }
    return false;
}

static int read_parameters(struct follow *follow, const struct remed_uri *uri, bool *at_end,
                           struct remed_error *error)
{
    char from[8] = "end";
    int rc = remed_uri_time(uri, "poll", &follow->poll, error);
    if (rc < 0)
        return rc;
    if (uri->host[0] != '\0' || uri->path[0] != '/' ||
        remed_uri_parameter(uri, "state", follow->state, sizeof follow->state) < 0 ||
        remed_uri_parameter(uri, "from", from, sizeof from) < 0 ||
        (strcmp(from, "end") != 0 && strcmp(from, "begin") != 0))
        return remed_error_set(error, REMED_EINVAL,
                               "file: is /// and a path; from is end or begin");
    if (follow->poll < POLL_LEAST || follow->poll > POLL_MOST)
        return remed_error_set(error, REMED_EINVAL, "file: poll is 1ms to 1h");
    memcpy(follow->path, uri->path, strlen(uri->path) + 1);
    if (is_state_taken(follow) && follow->state[0] != '\0')
        return remed_error_set(error, REMED_EINVAL, "state %s: another input has it",
                               follow->state);
    if (is_state_taken(follow))
        return remed_error_set(error, REMED_EINVAL, "%s: another input has it as its state",
                               follow->path);
    *at_end = strcmp(from, "end") == 0;
    return follow->state[0] != '\0' ? remed_positions_check(follow->state, error) : 0;
}

static int set_up(struct follow *follow, const struct remed_uri *uri, struct remed_error *error)
{
    bool at_end = true;
    int rc = read_parameters(follow, uri, &at_end, error);
    if (rc < 0)
        return rc;
    int fd = open_regular(follow->path);
    if (fd < 0 && errno != ENOENT)
        return no_reading(follow, errno, error);
    rc = begin(follow, at_end, &fd, error);
    if (fd >= 0)
        close(fd);
    return rc;
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

/* A file whose beginning could not be read would not be known again: its lines would be lost. */
static bool can_be_marked(const struct follow *follow)
{
    for (unsigned i = 0; i < FILES; i++)
        if (follow->reading[i].fd >= 0 && follow->reading[i].at.offset > 0 &&
            follow->reading[i].at.summed == 0)
            return false;
    return follow->state[0] != '\0';
}

void remed_follow_mark(struct follow *follow)
{
    follow->mark_count = 0;
    if (!can_be_marked(follow))
        return;
    for (unsigned i = 0; i < FILES; i++)
        if (follow->reading[i].fd >= 0) {
            struct position *marked = &follow->marked[follow->mark_count++];
            *marked = follow->reading[i].at;
            marked->offset -= remed_syslog_frames_held(follow->reading[i].frames);
        }
}

static bool is_saved(const struct follow *follow)
{
    bool same = follow->mark_count == follow->saved_count;
    for (unsigned i = 0; same && i < follow->mark_count; i++) {
        const struct position *a = &follow->marked[i], *b = &follow->saved[i];
        same = a->device == b->device && a->inode == b->inode && a->offset == b->offset &&
               a->sum == b->sum && a->summed == b->summed;
    }
    return same && access(follow->state, F_OK) == 0;
}

int remed_follow_commit(struct follow *follow, struct remed_error *error)
{
    if (follow->mark_count == 0 || is_saved(follow))
        return 0;
    int rc = remed_positions_save(follow->state, follow->path, follow->marked, follow->mark_count,
                                  error);
    if (rc < 0)
        return rc;
    memcpy(follow->saved, follow->marked, sizeof follow->saved);
    follow->saved_count = follow->mark_count;
    follow->mark_count = 0;
    return 0;
}
