/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stream cut into frames. A frame that lies within one push never moves; only what a push ends
 * within is kept. Trailers are found by memchr, so a byte costs the same whatever it is.
 *
 * Threads: one thread a deframer.
 */
#include <remediate/syslog.h>
#include "driver/syslog/syslog.h"

#define LEAST_FRAME 480u      /* what RFC 5424 asks of every receiver */
#define MOST_FRAME (1u << 20) /* so that no count can ask for more */
#define COUNT_DIGITS 10       /* of a count that is believed */
#define HEAD_MAX (COUNT_DIGITS + 2)
#define FIRST_ROOM 1024u

enum state {
    BETWEEN, /* frames: blanks are passed over */
    HEAD,    /* a digit was seen: a count, or a line */
    LINE,
    COUNTED,
    PASS_LINE, /* too long: passed over up to its trailer */
    PASS_COUNTED
};

struct remed_syslog_frames {
    struct remed_allocator allocator;
    struct remed_syslog_frames_opts opts;
    struct remed_syslog_frames_stats stats;
    enum state state;
    int trailer;   /* of lines; -1: not known yet */
    uint64_t left; /* COUNTED, PASS_COUNTED: bytes of it that are to come */
    uint64_t passed;
    uint8_t *buffer;
    size_t held, room;
};

void remed_syslog_frames_opts_init(struct remed_syslog_frames_opts *opts, size_t size)
{
    const struct remed_syslog_frames_opts defaults = {.size = size, .max_frame = 65536};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

/* Between streams: nothing is held, nothing known of the trailer. */
static void reset(struct remed_syslog_frames *frames)
{
    frames->state = BETWEEN;
    frames->trailer = frames->opts.framing == REMED_SYSLOG_LINES ? '\n' : -1;
    frames->left = 0;
    frames->passed = 0;
    frames->held = 0;
}

static bool make_room(struct remed_syslog_frames *frames, size_t wanted)
{
    size_t room = frames->room == 0 ? FIRST_ROOM : frames->room;
    while (room < wanted)
        room *= 2;
    if (room == frames->room)
        return true;
    uint8_t *grown = remed_reallocate(&frames->allocator, frames->buffer, frames->room, room);
    if (grown == NULL)
        return false;
    frames->buffer = grown;
    frames->room = room;
    return true;
}

int remed_syslog_frames_new(struct remed_syslog_frames **frames,
                            const struct remed_syslog_frames_opts *opts, struct remed_error *error)
{
    struct remed_syslog_frames_opts own;
    remed_syslog_frames_opts_init(&own, sizeof own);
    int rc = remed_opts_copy(&own, sizeof own, opts, "deframer options", error);
    if (rc < 0)
        return rc;
    if (own.reserved != 0 || own.whole_buffer > 1)
        return remed_error_set(
            error, REMED_EINVAL,
            "deframer options: whole_buffer is 0 or 1, reserved members are zero");
    if (own.frame == NULL || own.framing >= REMED_SYSLOG_FRAMINGS || own.max_frame < LEAST_FRAME ||
        own.max_frame > MOST_FRAME)
        return remed_error_set(error, REMED_EINVAL,
                               "a deframer needs a callback, and frames of %u to %u bytes",
                               LEAST_FRAME, MOST_FRAME);
    struct remed_allocator allocator = remed_allocator_or_default(own.allocator);
    struct remed_syslog_frames *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a deframer");
    made->allocator = allocator;
    made->opts = own;
    reset(made);
    if (own.whole_buffer && !make_room(made, own.max_frame)) {
        remed_syslog_frames_free(made);
        return remed_error_set(error, REMED_ENOMEM, "no memory for a frame of %u bytes",
                               own.max_frame);
    }
    *frames = made;
    return 0;
}

void remed_syslog_frames_free(struct remed_syslog_frames *frames)
{
    if (frames == NULL)
        return;
    struct remed_allocator allocator = frames->allocator;
    remed_release(&allocator, frames->buffer, frames->room);
    remed_release(&allocator, frames, sizeof *frames);
}

uint64_t remed_syslog_frames_held(const struct remed_syslog_frames *frames)
{
    return frames->held + frames->passed;
}

void remed_syslog_frames_stats(const struct remed_syslog_frames *frames,
                               struct remed_syslog_frames_stats *stats, size_t size)
{
    remed_stats_copy(stats, size, &frames->stats, sizeof frames->stats);
}

/* A frame is too long, or finds no memory: its bytes so far are dropped, the rest passed over. */
static void pass_over(struct remed_syslog_frames *frames, enum state state)
{
    frames->stats.oversize++;
    frames->passed = frames->held;
    frames->held = 0;
    frames->state = state;
}

static void keep(struct remed_syslog_frames *frames, const uint8_t *bytes, size_t length)
{
    if (length == 0)
        return;
    if (!make_room(frames, frames->held + length)) {
        pass_over(frames, frames->state == COUNTED ? PASS_COUNTED : PASS_LINE);
        frames->passed += length;
        return;
    }
    memcpy(frames->buffer + frames->held, bytes, length);
    frames->held += length;
}

/* Hands out what is held, with `length` more bytes behind it. True: go on. */
static bool hand_out(struct remed_syslog_frames *frames, const uint8_t *bytes, size_t length,
                     bool counted, bool cut)
{
    const uint8_t *text = bytes;
    frames->state = BETWEEN;
    if (frames->held > 0) {
        if (!make_room(frames, frames->held + length)) {
            frames->stats.oversize++;
            frames->held = 0;
            return true;
        }
        if (length > 0)
            memcpy(frames->buffer + frames->held, bytes, length);
        text = frames->buffer;
        length += frames->held;
        frames->held = 0;
    }
    length = remed_syslog_trim(text, length);
    if (length == 0)
        return true;
    frames->stats.frames++;
    frames->stats.counted += counted;
    frames->stats.cut += cut && counted;
    const struct remed_syslog_frame frame = {
        .text = (const char *)text, .length = length, .cut = cut};
    return frames->opts.frame(frames->opts.context, &frame) == 0;
}

/* What a line ends with; NULL: not within. The first trailer of a stream is the one of all. */
static const uint8_t *find_trailer(struct remed_syslog_frames *frames, const uint8_t *bytes,
                                   size_t length)
{
    if (frames->trailer >= 0)
        return memchr(bytes, frames->trailer, length);
    const uint8_t *line = memchr(bytes, '\n', length);
    const uint8_t *nul = memchr(bytes, '\0', line != NULL ? (size_t)(line - bytes) : length);
    const uint8_t *found = nul != NULL ? nul : line;
    if (found != NULL)
        frames->trailer = *found;
    return found;
}

/* Each of the takers below gets at least one byte, says how many it took, and clears *going when
 * the callback said stop. */
static size_t take_line(struct remed_syslog_frames *frames, const uint8_t *bytes, size_t length,
                        bool *going)
{
    const uint8_t *end = find_trailer(frames, bytes, length);
    size_t text = end != NULL ? (size_t)(end - bytes) : length;
    if (frames->held + text > frames->opts.max_frame) {
        pass_over(frames, end != NULL ? BETWEEN : PASS_LINE);
        frames->passed = end != NULL ? 0 : frames->passed + text;
        return text + (end != NULL);
    }
    if (end == NULL)
        keep(frames, bytes, length);
    else
        *going = hand_out(frames, bytes, text, false, false);
    return text + (end != NULL);
}

static size_t take_counted(struct remed_syslog_frames *frames, const uint8_t *bytes, size_t length,
                           bool *going)
{
    if (length < frames->left) {
        frames->left -= length;
        keep(frames, bytes, length);
        return length;
    }
    size_t text = (size_t)frames->left;
    frames->left = 0;
    *going = hand_out(frames, bytes, text, true, false);
    return text;
}

static size_t pass_line(struct remed_syslog_frames *frames, const uint8_t *bytes, size_t length)
{
    const uint8_t *end = find_trailer(frames, bytes, length);
    if (end == NULL) {
        frames->passed += length;
        return length;
    }
    frames->state = BETWEEN;
    frames->passed = 0;
    return (size_t)(end - bytes) + 1;
}

static size_t pass_counted(struct remed_syslog_frames *frames, size_t length)
{
    size_t taken = length < frames->left ? length : (size_t)frames->left;
    frames->left -= taken;
    frames->passed += taken;
    if (frames->left == 0) {
        frames->state = BETWEEN;
        frames->passed = 0;
    }
    return taken;
}

/* Passes over blank frames, and sees how the next one begins. */
static size_t begin_frame(struct remed_syslog_frames *frames, const uint8_t *bytes, size_t length)
{
    size_t at = 0;
    while (at < length && (bytes[at] == '\n' || bytes[at] == '\0' || bytes[at] == '\r'))
        at++;
    if (at < length) {
        bool digit = bytes[at] >= '1' && bytes[at] <= '9';
        frames->state = digit && frames->opts.framing == REMED_SYSLOG_AUTO ? HEAD : LINE;
    }
    return at;
}

/* What the bytes of a head are: 1 a count, with its value; 0 not to be told yet; -1 a line. A count
 * is digits, a blank and the '<' of a priority: a line may begin with a number too. */
static int judge_head(const uint8_t *head, size_t length, uint64_t *count)
{
    size_t at = 0;
    for (*count = 0; at < length && head[at] >= '0' && head[at] <= '9'; at++) {
        if (at == COUNT_DIGITS)
            return -1;
        *count = *count * 10 + (uint64_t)(head[at] - '0');
    }
    if (at < length && head[at] != ' ')
        return -1;
    if (at + 1 >= length)
        return 0;
    return head[at + 1] == '<' ? 1 : -1;
}

/* Digits, few enough to be looked at together: a head that pushes cut is put together in the
 * buffer. */
static size_t take_head(struct remed_syslog_frames *frames, const uint8_t *bytes, size_t length)
{
    uint8_t head[HEAD_MAX];
    size_t held = frames->held, fresh = length < HEAD_MAX - held ? length : HEAD_MAX - held;
    uint64_t count;
    if (held > 0)
        memcpy(head, frames->buffer, held);
    memcpy(head + held, bytes, fresh);
    int verdict = judge_head(head, held + fresh, &count);
    if (verdict == 0) {
        keep(frames, bytes, fresh);
        return fresh;
    }
    if (verdict < 0) { /* what is held is the line's beginning */
        frames->state = LINE;
        return 0;
    }
    size_t digits = 0; /* and the blank */
    while (head[digits++] != ' ')
        ;
    frames->held = 0;
    frames->left = count;
    frames->state = COUNTED;
    if (count > frames->opts.max_frame)
        pass_over(frames, PASS_COUNTED);
    return digits - held; /* of what was held, nothing can be behind the blank */
}

size_t remed_syslog_frames_push(struct remed_syslog_frames *frames, const void *bytes,
                                size_t length)
{
    const uint8_t *from = bytes;
    size_t at = 0;
    bool going = true;
    while (at < length && going) {
        const uint8_t *next = from + at;
        size_t left = length - at;
        switch (frames->state) {
        case BETWEEN:
            at += begin_frame(frames, next, left);
            break;
        case HEAD:
            at += take_head(frames, next, left);
            break;
        case LINE:
            at += take_line(frames, next, left, &going);
            break;
        case COUNTED:
            at += take_counted(frames, next, left, &going);
            break;
        case PASS_LINE:
            at += pass_line(frames, next, left);
            break;
        case PASS_COUNTED:
            at += pass_counted(frames, left);
            break;
        }
    }
    frames->stats.bytes += at;
    return at;
}

void remed_syslog_frames_end(struct remed_syslog_frames *frames)
{
    if (frames->held > 0)
        hand_out(frames, NULL, 0, frames->state == COUNTED, true);
    reset(frames);
}
