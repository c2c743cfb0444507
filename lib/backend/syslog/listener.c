/* SPDX-License-Identifier: BSD-3-Clause */
/* The listener: its life, its turn, its lines. Threads: one thread a listener. */
#include "backend/syslog/listener.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_A_TURN 64
#define LEAST_LINE 480u
#define MOST_LINE (1u << 20)

void remed_listener_opts_init(struct remed_listener_opts *opts, size_t size)
{
    const struct remed_listener_opts defaults = {
        .size = size, .max_line = 65536, .max_connections = 1024, .max_sources = 1024};
    remed_stats_copy(opts, size, &defaults, sizeof defaults);
}

static bool are_in_range(const struct remed_listener_opts *opts)
{
    return opts->line != NULL && opts->max_line >= LEAST_LINE && opts->max_line <= MOST_LINE &&
           opts->max_connections >= 1 && opts->max_connections <= 65536 && opts->max_sources >= 1 &&
           opts->max_sources <= 1u << 20 && opts->by_host <= 1 && opts->max_per_address <= 65536;
}

static void destroy(struct remed_listener *listener)
{
    struct remed_allocator allocator = listener->allocator;
    while (listener->connections != NULL)
        remed_stream_close(listener, listener->connections);
    for (uint32_t i = 0; i < listener->input_count; i++)
        remed_input_close(listener, listener->inputs[i]);
    remed_datagrams_fini(listener);
    remed_peers_fini(listener);
    remed_sources_fini(listener);
    if (listener->epoll >= 0)
        close(listener->epoll);
    remed_release(&allocator, listener, sizeof *listener);
}

int remed_listener_new(struct remed_listener **listener, const struct remed_listener_opts *opts,
                       struct remed_error *error)
{
    struct remed_listener_opts own;
    remed_listener_opts_init(&own, sizeof own);
    int rc = remed_opts_copy(&own, sizeof own, opts, "listener options", error);
    if (rc < 0)
        return rc;
    if (!are_in_range(&own))
        return remed_error_set(error, REMED_EINVAL, "no callback, or an option out of its range");
    if (own.reserved != 0)
        return remed_error_set(error, REMED_EINVAL,
                               "listener options: a reserved member is not zero");
    struct remed_allocator allocator = remed_allocator_or_default(own.allocator);
    struct remed_listener *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a listener");
    made->allocator = allocator;
    made->opts = own;
    made->sweep = UINT64_MAX;
    remed_peers_fit_limit(made);
    made->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (made->epoll < 0)
        rc = remed_error_set(error, REMED_EIO, "no epoll: %s", strerror(errno));
    if (rc == 0)
        rc = remed_sources_init(made, error);
    if (rc == 0)
        rc = remed_peers_init(made, error);
    if (rc < 0)
        destroy(made);
    else
        *listener = made;
    return rc;
}

void remed_listener_free(struct remed_listener *listener)
{
    if (listener == NULL)
        return;
    listener->stopped = true;
    listener->doomed = true;
    if (!listener->inside)
        destroy(listener);
}

static int add_input(struct remed_listener *listener, const char *uri, struct remed_error *error)
{
    if (listener->input_count == REMED_LISTENER_INPUTS_MAX)
        return remed_error_set(error, REMED_ELIMIT, "more than %u inputs",
                               REMED_LISTENER_INPUTS_MAX);
    struct input *input = remed_allocate(&listener->allocator, sizeof *input);
    if (input == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for an input");
    input->watch.fd = -1;
    input->row = remed_source_pin(listener, strcmp(uri, "-") == 0 ? "standard-input" : uri);
    int rc = remed_input_open(listener, input, uri, error);
    if (rc < 0) {
        remed_source_unpin(listener);
        remed_input_close(listener, input);
        return rc;
    }
    listener->inputs[listener->input_count++] = input;
    if (input->kind == INPUT_STREAM)
        remed_peers_tell_limit(listener);
    return 0;
}

/* Back from where the host may have freed it; true: it has. */
static bool come_out(struct remed_listener *listener)
{
    bool doomed = listener->doomed;
    listener->inside = false;
    if (doomed)
        destroy(listener);
    return doomed;
}

int remed_listener_add(struct remed_listener *listener, const char *uri, struct remed_error *error)
{
    if (listener->inside)
        return remed_error_set(error, REMED_EINVAL,
                               "an input is not added within the listener's own callback");
    listener->inside = true; /* the log hook is the host's */
    int rc = add_input(listener, uri, error);
    if (come_out(listener))
        return remed_error_set(error, REMED_EINVAL, "the listener was freed within its log hook");
    return rc;
}

void remed_listener_say(const struct remed_listener *listener, enum remed_log_level level,
                        const char *format, ...)
{
    char message[REMED_ERROR_MESSAGE_SIZE];
    int kept = errno;
    if (listener->opts.log.write == NULL)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    listener->opts.log.write(listener->opts.log.context, level, "listener", message);
    errno = kept;
}

int remed_listener_watch(const struct remed_listener *listener, struct watch *watch,
                         uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    return epoll_ctl(listener->epoll, EPOLL_CTL_ADD, watch->fd, &event);
}

void remed_listener_rewatch(const struct remed_listener *listener, struct watch *watch,
                            uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    epoll_ctl(listener->epoll, EPOLL_CTL_MOD, watch->fd, &event);
}

void remed_listener_pause(struct remed_listener *listener, struct input *input)
{
    input->paused = true;
    epoll_ctl(listener->epoll, EPOLL_CTL_DEL, input->watch.fd, NULL);
    if (listener->sweep == UINT64_MAX)
        listener->sweep = listener->now + SWEEP_NS;
}

bool remed_listener_resume(struct remed_listener *listener)
{
    bool some = false;
    for (uint32_t i = 0; i < listener->input_count; i++) {
        struct input *input = listener->inputs[i];
        if (input->paused && remed_listener_watch(listener, &input->watch, EPOLLIN) == 0)
            input->paused = false;
        some |= input->paused;
    }
    return some;
}

uint64_t remed_listener_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * REMED_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* The row of the host that a line names. */
static uint32_t host_row(struct remed_listener *listener, uint32_t row, const char *text,
                         size_t length)
{
    const struct remed_syslog_context context = {.received = listener->received};
    struct remed_syslog_message message;
    remed_syslog_read(&message, sizeof message, text, length, &context);
    if (message.host.length == 0)
        return row;
    return remed_source_host(listener, remed_source(listener, row)->input, message.host);
}

void remed_listener_line(struct remed_listener *listener, uint32_t row, const char *text,
                         size_t length, bool cut)
{
    if (listener->opts.by_host)
        row = host_row(listener, row, text, length);
    struct remed_listener_source *source = remed_source(listener, row);
    const struct remed_listener_line line = {
        .text = text, .length = length, .received = listener->received, .source = row, .cut = cut};
    source->lines++;
    source->bytes += length;
    source->cut += cut;
    source->heard = listener->received;
    listener->lines++;
    if (listener->opts.line(listener->opts.context, &line) != 0)
        listener->stopped = true;
}

int remed_listener_fd(const struct remed_listener *listener)
{
    return listener->epoll;
}

uint64_t remed_listener_deadline(const struct remed_listener *listener)
{
    uint64_t deadline = listener->sweep;
    if (listener->rest.datagrams != NULL || listener->rest.connection != NULL ||
        listener->rest.pipe != NULL)
        return 0;
    for (uint32_t i = 0; i < listener->input_count; i++) {
        const struct input *input = listener->inputs[i];
        uint64_t due = input->follow != NULL            ? remed_follow_due(input->follow)
                       : input->always && !input->ended ? 0
                                                        : UINT64_MAX;
        deadline = due < deadline ? due : deadline;
    }
    if (deadline == UINT64_MAX || deadline <= listener->shift)
        return deadline == UINT64_MAX ? deadline : 0;
    return deadline - listener->shift;
}

/* What was read before the callback said stop; false: it says so again. */
static bool hand_out_rest(struct remed_listener *listener)
{
    if (listener->rest.datagrams != NULL)
        remed_datagrams_hand_out(listener);
    else if (listener->rest.connection != NULL || listener->rest.pipe != NULL)
        remed_stream_hand_out(listener);
    return !listener->stopped;
}

/* Those that epoll does not know. */
static bool read_the_others(struct remed_listener *listener)
{
    bool more = false;
    for (uint32_t i = 0; i < listener->input_count && !listener->stopped; i++) {
        struct input *input = listener->inputs[i];
        if (input->follow != NULL && remed_follow_due(input->follow) <= listener->now)
            more |= remed_follow_read(listener, input->follow);
        else if (input->always && !input->ended)
            remed_pipe_ready(listener, &input->watch, 0);
        more |= input->always && !input->ended;
    }
    return more;
}

/* Accepting may close another connection to make a place: after those had their turn. */
static void run_ready(struct remed_listener *listener, const struct epoll_event *events, int count)
{
    struct watch *accepting[EVENTS_A_TURN];
    int late = 0;
    for (int i = 0; i < count && !listener->stopped; i++) {
        struct watch *watch = events[i].data.ptr;
        if (watch->ready == remed_stream_accept)
            accepting[late++] = watch;
        else
            watch->ready(listener, watch, events[i].events);
    }
    for (int i = 0; i < late && !listener->stopped; i++)
        remed_stream_accept(listener, accepting[i], EPOLLIN);
}

/* A host that did not call for long has not read what came meanwhile: nobody was idle then. */
static void pass_time(struct remed_listener *listener, uint64_t passed)
{
    listener->heeded += passed < 2 * SWEEP_NS ? passed : 2 * SWEEP_NS;
}

static int take_turn(struct remed_listener *listener, uint64_t passed, struct remed_error *error)
{
    struct epoll_event events[EVENTS_A_TURN];
    if (!hand_out_rest(listener))
        return 1;
    pass_time(listener, passed);
    int count = epoll_wait(listener->epoll, events, EVENTS_A_TURN, 0);
    if (count < 0 && errno != EINTR)
        return remed_error_set(error, REMED_EIO, "cannot wait for lines: %s", strerror(errno));
    run_ready(listener, events, count);
    bool more = read_the_others(listener) || count == EVENTS_A_TURN;
    if (listener->now >= listener->sweep && !listener->stopped)
        remed_stream_sweep(listener);
    if (listener->broken != 0) {
        int number = listener->broken;
        listener->broken = 0; /* it is told once */
        return remed_error_set(error, REMED_EIO, "standard input: %s", strerror(number));
    }
    return more || listener->stopped;
}

int remed_listener_process(struct remed_listener *listener, uint64_t now, struct remed_error *error)
{
    if (listener->inside)
        return remed_error_set(error, REMED_EINVAL,
                               "a listener is not processed within its own callback");
    if (now + listener->shift < listener->now)
        listener->shift = listener->now - now;
    uint64_t passed = now + listener->shift - listener->now;
    listener->now += passed;
    listener->received = remed_listener_clock();
    listener->stopped = false;
    listener->inside = true;
    int rc = take_turn(listener, passed, error);
    return come_out(listener) ? 0 : rc;
}

void remed_listener_stats(struct remed_listener *listener, struct remed_listener_stats *stats,
                          size_t size)
{
    struct remed_listener_stats own = {.lines = listener->lines,
                                       .evicted = listener->sources.evicted,
                                       .sources = listener->sources.count,
                                       .connections = listener->connection_count};
    for (uint32_t i = 0; i < listener->input_count; i++) {
        own.inputs += !listener->inputs[i]->ended;
        own.failed += listener->inputs[i]->failing;
        if (listener->inputs[i]->kind == INPUT_DATAGRAM)
            remed_datagrams_count_drops(listener, listener->inputs[i]);
    }
    for (uint32_t i = 0; i < own.sources; i++)
        own.lost += remed_source(listener, i)->oversize + remed_source(listener, i)->dropped;
    remed_stats_copy(stats, size, &own, sizeof own);
}

void remed_listener_mark(struct remed_listener *listener)
{
    for (uint32_t i = 0; i < listener->input_count && !listener->inside; i++)
        if (listener->inputs[i]->follow != NULL)
            remed_follow_mark(listener->inputs[i]->follow);
}

int remed_listener_commit(struct remed_listener *listener, struct remed_error *error)
{
    int first = 0;
    for (uint32_t i = 0; i < listener->input_count; i++) {
        if (listener->inputs[i]->follow == NULL)
            continue;
        int rc = remed_follow_commit(listener->inputs[i]->follow, first == 0 ? error : NULL);
        first = first == 0 ? rc : first;
    }
    return first;
}
