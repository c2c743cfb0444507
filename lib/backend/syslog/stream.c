/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams: connections that are accepted, in the clear or over TLS, and standard input.
 *
 * A connection is read one buffer at a turn. It is closed when its peer closes it, when it was idle
 * for too long, or when TLS fails; one too many of its address is closed at once, and counted. When
 * all places, or those of an address, are taken, the oldest of those that gave no whole line in
 * their first seconds gives way; one that gave lines never does.
 *
 * Threads: one thread a listener.
 */
#include "backend/syslog/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ACCEPTS_A_TURN 64
#define HANDSHAKE_NS (10 * REMED_NS_PER_S)
#define SILENT_NS (10 * REMED_NS_PER_S) /* in which a connection keeps its place without a line */
#define SILENT_LOOK_NS (REMED_NS_PER_S / 10)
#define SAY_NS (10 * REMED_NS_PER_S) /* who is refused must not fill a log */

/* The row of a connection's peer, as it is now: any look-up of another may move it. */
static void find_row(struct remed_listener *listener, struct connection *connection)
{
    connection->row = remed_source_address(listener, connection->input->row, connection->family,
                                           connection->address);
}

static int on_frame(void *context, const struct remed_syslog_frame *frame)
{
    struct remed_listener *listener = context;
    struct connection *connection = listener->rest.connection;
    if (connection != NULL)
        connection->gave |= frame->cut == 0;
    if (connection != NULL && listener->opts.by_host) /* the line before was counted elsewhere */
        find_row(listener, connection);
    remed_listener_line(listener, connection != NULL ? connection->row : listener->rest.pipe->row,
                        frame->text, frame->length, connection != NULL && frame->cut != 0);
    return listener->stopped;
}

static int make_frames(struct remed_listener *listener, uint32_t framing, bool whole,
                       struct remed_syslog_frames **frames)
{
    struct remed_syslog_frames_opts opts;
    remed_syslog_frames_opts_init(&opts, sizeof opts);
    opts.max_frame = listener->opts.max_line;
    opts.framing = framing;
    opts.whole_buffer = whole;
    opts.frame = on_frame;
    opts.context = listener;
    opts.allocator = &listener->allocator;
    return remed_syslog_frames_new(frames, &opts, NULL);
}

void remed_stream_close(struct remed_listener *listener, struct connection *connection)
{
    if (listener->rest.connection == connection)
        listener->rest = (struct rest){.at = 0};
    *(connection->previous != NULL ? &connection->previous->next : &listener->connections) =
        connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    remed_tls_end(connection->ssl);
    remed_peer_leave(listener, connection);
    close(connection->watch.fd);
    remed_syslog_frames_free(connection->frames);
    remed_release(&listener->allocator, connection, sizeof *connection);
    listener->connection_count--;
}

/* Counts what the deframer passed over since the last time. */
static void count_oversize(struct remed_listener *listener, struct remed_syslog_frames *frames,
                           uint64_t *seen, uint32_t row)
{
    struct remed_syslog_frames_stats stats;
    remed_syslog_frames_stats(frames, &stats, sizeof stats);
    remed_source(listener, row)->oversize += stats.oversize - *seen;
    *seen = stats.oversize;
}

/* The stream is over: what has no trailer is a line too. */
static void finish(struct remed_listener *listener, struct connection *connection)
{
    listener->rest = (struct rest){.connection = connection};
    remed_syslog_frames_end(connection->frames);
    remed_stream_close(listener, connection);
}

/* Whether a refusal is told of; the next one says how many were not. */
static bool is_to_be_told(struct remed_listener *listener, char since[48])
{
    since[0] = '\0';
    if (listener->now - listener->said < SAY_NS && listener->said != 0) {
        listener->refusals++;
        return false;
    }
    if (listener->refusals > 0)
        snprintf(since, 48, " (and %llu more before)", (unsigned long long)listener->refusals);
    listener->said = listener->now;
    listener->refusals = 0;
    return true;
}

static void tell_refusal(struct remed_listener *listener, struct connection *connection,
                         const char *why)
{
    char since[48];
    find_row(listener, connection);
    remed_source(listener, connection->row)->refused++;
    if (is_to_be_told(listener, since))
        remed_listener_say(listener, REMED_LOG_NOTICE, "%s: refused a connection of %s: %s%s",
                           remed_source(listener, connection->input->row)->name,
                           remed_source(listener, connection->row)->name, why, since);
}

static void refuse(struct remed_listener *listener, struct connection *connection, const char *why)
{
    tell_refusal(listener, connection, why);
    remed_stream_close(listener, connection);
}

/* A connection that could not even be accepted. */
static void count_failed_accept(struct remed_listener *listener, const struct input *input,
                                const char *why)
{
    char since[48];
    remed_source(listener, input->row)->refused++;
    if (is_to_be_told(listener, since))
        remed_listener_say(listener, REMED_LOG_WARNING, "%s: cannot accept a connection: %s%s",
                           remed_source(listener, input->row)->name, why, since);
}

/* Hands out what lies in the buffer, up to a stop. */
static void push_rest(struct remed_listener *listener)
{
    struct rest *rest = &listener->rest;
    struct remed_syslog_frames *frames =
        rest->connection != NULL ? rest->connection->frames : rest->pipe->frames;
    rest->at += remed_syslog_frames_push(frames, listener->buffer + rest->at, rest->end - rest->at);
    if (rest->connection != NULL) {
        find_row(listener, rest->connection);
        count_oversize(listener, frames, &rest->connection->oversize, rest->connection->row);
    } else {
        count_oversize(listener, frames, &rest->pipe->oversize, rest->pipe->row);
    }
}

/* Above 0: bytes; 0: the end; negative: what tls.c says. */
/* That a peer went away is nothing to tell; that this machine can't read is. */
static void tell_failed_read(struct remed_listener *listener, struct connection *connection,
                             int number)
{
    char since[48];
    if (number == ECONNRESET || number == ETIMEDOUT || number == EPIPE || number == EHOSTUNREACH ||
        number == ENETUNREACH || !is_to_be_told(listener, since))
        return;
    find_row(listener, connection);
    remed_listener_say(listener, REMED_LOG_WARNING, "%s: cannot read from %s: %s%s",
                       remed_source(listener, connection->input->row)->name,
                       remed_source(listener, connection->row)->name, strerror(number), since);
}

static long read_some(struct remed_listener *listener, struct connection *connection)
{
    if (connection->ssl != NULL)
        return remed_tls_read(connection->ssl, listener->buffer, sizeof listener->buffer);
    long got = read(connection->watch.fd, listener->buffer, sizeof listener->buffer);
    if (got >= 0)
        return got;
    if (errno == EAGAIN || errno == EINTR)
        return TLS_WANTS_READ;
    tell_failed_read(listener, connection, errno);
    return TLS_CUT;
}

/* Reads while TLS itself holds bytes that epoll does not see, else once. */
static void read_connection(struct remed_listener *listener, struct connection *connection)
{
    do {
        long got = read_some(listener, connection);
        if (got == TLS_WANTS_READ || got == TLS_WANTS_WRITE)
            return;
        listener->received = remed_listener_clock();
        connection->heard = listener->heeded;
        find_row(listener, connection);
        if (got <= 0) {
            finish(listener, connection);
            return;
        }
        listener->rest = (struct rest){.connection = connection, .end = (size_t)got};
        push_rest(listener);
    } while (!listener->stopped && remed_tls_has_more(connection->ssl));
    if (!listener->stopped)
        listener->rest = (struct rest){.at = 0};
}

void remed_stream_hand_out(struct remed_listener *listener)
{
    struct connection *connection = listener->rest.connection;
    if (connection != NULL)
        find_row(listener, connection);
    if (listener->rest.at < listener->rest.end)
        push_rest(listener);
    if (listener->stopped)
        return;
    listener->rest = (struct rest){.at = 0};
    if (connection != NULL && remed_tls_has_more(connection->ssl))
        read_connection(listener, connection);
}

static void shake(struct remed_listener *listener, struct connection *connection)
{
    char why[160];
    int step = remed_tls_shake(connection->ssl);
    if (step == TLS_WANTS_READ || step == TLS_WANTS_WRITE) {
        remed_listener_rewatch(listener, &connection->watch,
                               step == TLS_WANTS_READ ? EPOLLIN : EPOLLOUT);
        return;
    }
    if (step < 0) {
        remed_tls_reason(why, sizeof why);
        refuse(listener, connection, why);
        return;
    }
    connection->shaking = false;
    connection->heard = listener->heeded;
    remed_listener_rewatch(listener, &connection->watch, EPOLLIN);
    if (remed_tls_has_more(connection->ssl))
        read_connection(listener, connection);
}

static void connection_ready(struct remed_listener *listener, struct watch *watch, uint32_t events)
{
    struct connection *connection = (struct connection *)(void *)watch;
    (void)events; /* an error is read as one */
    if (connection->shaking)
        shake(listener, connection);
    else
        read_connection(listener, connection);
}

static void link_connection(struct remed_listener *listener, struct connection *made)
{
    made->next = listener->connections;
    if (made->next != NULL)
        made->next->previous = made;
    listener->connections = made;
    listener->connection_count++;
}

/* The oldest, of a peer or of all, that had its time and gave no whole line; the list has the
 * newest first. Who is refused again and again must not have it looked through each time. */
static struct connection *find_silent(struct remed_listener *listener, const struct peer *peer)
{
    struct connection *found = NULL;
    if (listener->heeded < listener->silent_due)
        return NULL;
    for (struct connection *at = listener->connections; at != NULL; at = at->next)
        if (!at->gave && listener->heeded - at->made >= SILENT_NS &&
            (peer == NULL || at->peer == peer))
            found = at;
    if (found == NULL)
        listener->silent_due = listener->heeded + SILENT_LOOK_NS;
    return found;
}

/* A silent connection gives way; false: there is none. */
static bool make_place(struct remed_listener *listener, const struct peer *peer)
{
    struct connection *silent = find_silent(listener, peer);
    if (silent == NULL)
        return false;
    tell_refusal(listener, silent, "it gave no line, and others wait for its place");
    finish(listener, silent);
    listener->rest = (struct rest){.at = 0};
    return true;
}

/* Descriptors are places, too: who is silent gives way, and the new one takes the lower number. */
static bool make_descriptor(struct remed_listener *listener, struct connection *made)
{
    if (!make_place(listener, NULL))
        return false;
    int lower = fcntl(made->watch.fd, F_DUPFD_CLOEXEC, 0);
    if (lower < 0)
        return false;
    close(made->watch.fd);
    made->watch.fd = lower;
    return remed_peers_fit_descriptor(lower);
}

/* Why there is no place for a new connection; NULL: there is, maybe now. */
static const char *find_place(struct remed_listener *listener, struct connection *made)
{
    if (!remed_peers_fit_descriptor(made->watch.fd) && !make_descriptor(listener, made))
        return "too few descriptors are left";
    if (remed_peer_has_too_many(listener, made) && !make_place(listener, made->peer))
        return "its address has as many as one may have";
    if (listener->connection_count > listener->opts.max_connections && !make_place(listener, NULL))
        return "there are too many";
    return NULL;
}

/* Prepares a connection that has a place; why not, or NULL. */
static const char *set_up(struct remed_listener *listener, struct connection *made)
{
    made->shaking = made->input->tls != NULL;
    if (made->shaking && (made->ssl = remed_tls_begin(made->input->tls, made->watch.fd)) == NULL)
        return "no memory for TLS";
    if (make_frames(listener, REMED_SYSLOG_AUTO, false, &made->frames) < 0)
        return "no memory";
    if (remed_listener_watch(listener, &made->watch, EPOLLIN) < 0)
        return strerror(errno);
    return NULL;
}

/* Takes the descriptor, whatever comes. */
static void welcome(struct remed_listener *listener, struct input *input, int fd,
                    const struct sockaddr *from)
{
    const int on = 1;
    struct connection *made = remed_allocate(&listener->allocator, sizeof *made);
    if (made == NULL) {
        close(fd);
        count_failed_accept(listener, input, "no memory");
        return;
    }
    made->watch = (struct watch){.fd = fd, .ready = connection_ready};
    made->input = input;
    made->made = made->heard = listener->heeded;
    remed_from_sockaddr(from, &made->family, made->address);
    link_connection(listener, made);
    const char *why = "no memory";
    if (remed_peer_join(listener, made) && (why = find_place(listener, made)) == NULL)
        why = set_up(listener, made);
    if (why != NULL) {
        refuse(listener, made, why);
        return;
    }
    if (made->family != 0)
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    find_row(listener, made);
    remed_source(listener, made->row)->connections++;
    if (listener->sweep == UINT64_MAX)
        listener->sweep = listener->now + SWEEP_NS;
}

/* What accept(2) says of a peer that went away again. */
static bool is_of_the_peer(int number)
{
    static const int numbers[] = {EINTR,        ECONNABORTED, EPROTO,      ENETDOWN,
                                  ENOPROTOOPT,  EHOSTDOWN,    ENONET,      EPERM,
                                  EHOSTUNREACH, EOPNOTSUPP,   ENETUNREACH, ETIMEDOUT};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

void remed_stream_accept(struct remed_listener *listener, struct watch *watch, uint32_t events)
{
    struct input *input = (struct input *)(void *)watch;
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_A_TURN && !listener->stopped; i++) {
        struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
        socklen_t size = sizeof from;
        int fd = accept4(watch->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            welcome(listener, input, fd, (const struct sockaddr *)&from);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        int number = errno;
        if (is_of_the_peer(number) ||
            ((number == EMFILE || number == ENFILE) && make_place(listener, NULL)))
            continue;
        count_failed_accept(listener, input, strerror(number));
        remed_listener_pause(listener, input); /* it would be told of at once again */
        return;
    }
}

static bool is_overdue(const struct remed_listener *listener, const struct connection *connection)
{
    uint64_t quiet = listener->heeded - connection->heard;
    return quiet > (connection->shaking ? HANDSHAKE_NS : connection->input->idle);
}

void remed_stream_sweep(struct remed_listener *listener)
{
    bool paused = remed_listener_resume(listener);
    struct connection *next;
    for (struct connection *at = listener->connections; at != NULL && !listener->stopped;
         at = next) {
        next = at->next;
        if (!is_overdue(listener, at))
            continue;
        if (at->shaking) {
            refuse(listener, at, "no handshake in time");
            continue;
        }
        find_row(listener, at);
        finish(listener, at);
    }
    bool again = paused || listener->connections != NULL;
    listener->sweep = again ? listener->now + SWEEP_NS : UINT64_MAX;
}

int remed_pipe_init(struct remed_listener *listener, struct input *input, struct remed_error *error)
{
    if (make_frames(listener, REMED_SYSLOG_LINES, true, &input->frames) < 0)
        return remed_error_set(error, REMED_ENOMEM, "no memory for standard input");
    return 0;
}

/* Standard input is over, by its end or by an error, which is no end: what it ends within is cut.
 */
static void end_pipe(struct remed_listener *listener, struct input *input, int number)
{
    input->ended = true;
    if (input->watch.fd >= 0)
        epoll_ctl(listener->epoll, EPOLL_CTL_DEL, input->watch.fd, NULL);
    if (number == 0) {
        remed_syslog_frames_end(input->frames);
        return;
    }
    input->failing = true;
    listener->broken = number;
    if (remed_syslog_frames_held(input->frames) > 0)
        remed_source(listener, input->row)->cut++;
}

void remed_pipe_ready(struct remed_listener *listener, struct watch *watch, uint32_t events)
{
    struct input *input = (struct input *)(void *)watch;
    (void)events;
    long got = read(STDIN_FILENO, listener->buffer, sizeof listener->buffer);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    int number = got < 0 ? errno : 0;
    listener->received = remed_listener_clock();
    listener->rest = (struct rest){.pipe = input, .end = got > 0 ? (size_t)got : 0};
    if (got > 0)
        push_rest(listener);
    else
        end_pipe(listener, input, number);
    if (!listener->stopped || listener->rest.end == 0)
        listener->rest = (struct rest){.at = 0};
}
