/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop of remediate listen. Lines are read only while there is room for their records; so what
 * can't be published makes streams stand still, and the kernel count what it drops of datagrams.
 *
 * How far files were read is noted now and then, and written down once every record from before is
 * delivered.
 *
 * Threads: one; signals are let in only while waiting, so none is overlooked.
 */
#include "listening.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#define SECOND 1000000000u
#define MOST_WAIT_NS SECOND

static volatile sig_atomic_t wants_report, wants_reload;

static void on_request(int number)
{
    *(number == SIGUSR1 ? &wants_report : &wants_reload) = 1;
}

/* Blocks what is handled, and gives the mask to wait with. */
static void catch_requests(sigset_t *waiting)
{
    struct sigaction action;
    sigset_t blocked;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_request;
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    catch_interrupts();
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGHUP);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, waiting);
}

/* Publishes what waits, as far as there is room. */
static int flush_records(struct listening *listening)
{
    struct interpreter *interpreter = &listening->interpreter;
    struct remed_error error;
    while (interpreter->held > 0) {
        size_t count;
        struct remed_record *const *records = interpreter_waiting(interpreter, &count);
        int rc =
            remed_publisher_publish(listening->publisher, records, count, listening->tag, &error);
        if (rc == REMED_EBUSY)
            return EXIT_OK;
        if (rc < 0)
            return fail("%s", error.message);
        listening->tag += (uint64_t)rc;
        interpreter_pass(interpreter, (size_t)rc);
    }
    return EXIT_OK;
}

static int on_line(void *context, const struct remed_listener_line *line)
{
    struct listening *listening = context;
    uint64_t failed = listening->interpreter.failed;
    if (line->cut) /* half a port is a port too, and another */
        return 0;
    if (!interpreter_take(&listening->interpreter, line)) {
        remed_listener_unmatched(listening->listener, line->source);
        unmatched_take(&listening->unmatched, line->text, line->length);
    }
    if (failed == 0 && listening->interpreter.failed > 0)
        fail("no memory for a line's record, which is lost; positions of files stay from now on");
    return !interpreter_has_room(&listening->interpreter);
}

static void on_delivered(void *context, uint64_t tag, int code)
{
    struct listening *listening = context;
    listening->lost_some |= code < 0;
    if (listening->is_marked && tag < listening->mark_tag)
        listening->unsafe--;
}

/* Writes down what was marked, unless a record from before it was lost. A fault is told once. */
static int commit_positions(struct listening *listening)
{
    struct remed_error error;
    if (listening->lost_some || listening->interpreter.failed > 0)
        return EXIT_OK;
    if (remed_listener_commit(listening->listener, &error) == 0) {
        listening->position_fault[0] = '\0';
        return EXIT_OK;
    }
    if (strcmp(listening->position_fault, error.message) != 0)
        fail("%s; tried again", error.message);
    strcpy(listening->position_fault, error.message);
    return EXIT_FAILED;
}

static void keep_positions(struct listening *listening, uint64_t now)
{
    struct remed_publisher_stats stats;
    if (listening->is_marked && listening->unsafe == 0) {
        listening->is_marked = false;
        commit_positions(listening);
    }
    if (listening->is_marked || now < listening->mark_due || listening->interpreter.held > 0)
        return;
    remed_publisher_stats(listening->publisher, &stats, sizeof stats);
    remed_listener_mark(listening->listener);
    listening->is_marked = true;
    listening->mark_tag = listening->tag;
    listening->unsafe = stats.pending;
    listening->mark_due = now + SECOND;
}

static void answer_requests(struct listening *listening, uint64_t now)
{
    if (wants_reload) {
        wants_reload = 0;
        if (interpreter_load(&listening->interpreter) != EXIT_OK)
            fail("the rules are as before");
        unmatched_open(&listening->unmatched);
    }
    if (wants_report || now >= listening->stats_due) {
        wants_report = 0;
        if (now >= listening->stats_due)
            listening->stats_due = now + listening->stats_every;
        listening_report(listening, stderr);
        fflush(stderr);
    }
}

/* Waits for lines, unless there is no room for their records, and for the publisher. */
static int await(const struct listening *listening, bool reads, uint64_t until,
                 const sigset_t *waiting, bool *readable)
{
    struct pollfd files[2] = {{.fd = -1}, {.fd = -1, .events = POLLIN}};
    uint64_t now = monotonic_ns(), due = remed_publisher_deadline(listening->publisher);
    uint64_t lines = reads ? remed_listener_deadline(listening->listener) : UINT64_MAX;
    files[0].fd = remed_publisher_fd(listening->publisher, &files[0].events);
    if (reads)
        files[1].fd = remed_listener_fd(listening->listener);
    due = lines < due ? lines : due;
    due = until < due ? until : due;
    uint64_t wait = due > now ? due - now : 0;
    if (wait > MOST_WAIT_NS)
        wait = MOST_WAIT_NS;
    const struct timespec time = {.tv_sec = (time_t)(wait / SECOND),
                                  .tv_nsec = (long)(wait % SECOND)};
    if (ppoll(files, 2, &time, waiting) < 0 && errno != EINTR)
        return fail("cannot wait: %s", strerror(errno));
    *readable = reads && (files[1].revents != 0 || lines <= monotonic_ns());
    return EXIT_OK;
}

/* An input that can't be read any more ends alone: the others go on, and the exit status tells. */
static int outlive_input(struct listening *listening, const char *message)
{
    struct remed_listener_stats stats;
    remed_listener_stats(listening->listener, &stats, sizeof stats);
    listening->listener_failed = stats.failed <= listening->failed_inputs;
    listening->failed_inputs = stats.failed;
    fail("%s", message);
    return listening->listener_failed ? EXIT_FAILED : EXIT_OK;
}

/* One turn; *more: there are lines at once. */
static int take_turn(struct listening *listening, bool reads, bool *more)
{
    struct remed_error error;
    int rc = reads ? remed_listener_process(listening->listener, monotonic_ns(), &error) : 0;
    if (rc < 0 && outlive_input(listening, error.message) != EXIT_OK)
        return EXIT_FAILED;
    *more = rc > 0;
    if (flush_records(listening) != EXIT_OK)
        return EXIT_FAILED;
    if (remed_publisher_process(listening->publisher, monotonic_ns(), &error) < 0)
        return fail("%s", error.message);
    return EXIT_OK;
}

/* Whether records are under way and no report came for a second. */
static bool is_stuck(struct listening *listening, uint64_t now)
{
    struct remed_publisher_stats stats;
    remed_publisher_stats(listening->publisher, &stats, sizeof stats);
    if (stats.pending == 0 || stats.delivered != listening->reported || listening->moved == 0) {
        listening->reported = stats.delivered;
        listening->moved = now;
    }
    return now - listening->moved >= SECOND;
}

/* Tells what is waited for: the library's words where it has some. */
static void tell_waiting(struct listening *listening, uint64_t until)
{
    char text[WAITING_TEXT];
    uint64_t now = monotonic_ns();
    bool stuck = is_stuck(listening, now);
    if (remed_publisher_waiting(listening->publisher, text, sizeof text) == 0) {
        if (listening->interpreter.held > 0)
            snprintf(text, sizeof text, "the repository takes no more records");
        else if (stuck)
            snprintf(text, sizeof text, "the repository does not acknowledge records");
    }
    waiting_look(&listening->waiting, text, until, now);
}

static bool has_inputs(const struct listening *listening)
{
    struct remed_listener_stats stats;
    remed_listener_stats(listening->listener, &stats, sizeof stats);
    return stats.inputs > 0;
}

static int listen_on(struct listening *listening, const sigset_t *waiting)
{
    bool more = false;
    int code = EXIT_OK;
    uint64_t flushed = 0;
    while (code == EXIT_OK && !interrupted && has_inputs(listening)) {
        bool readable = false, reads = listening->interpreter.held == 0;
        code = await(listening, reads, more && reads ? 0 : UINT64_MAX, waiting, &readable);
        if (code == EXIT_OK)
            code = take_turn(listening, readable || (more && reads), &more);
        uint64_t now = monotonic_ns();
        answer_requests(listening, now);
        keep_positions(listening, now);
        tell_waiting(listening, UINT64_MAX);
        if (now - flushed >= SECOND) {
            unmatched_flush(&listening->unmatched);
            flushed = now;
        }
    }
    return code;
}

static bool is_published(const struct listening *listening)
{
    struct remed_publisher_stats stats;
    remed_publisher_stats(listening->publisher, &stats, sizeof stats);
    return listening->interpreter.held == 0 && stats.pending == 0 && stats.waiting == 0;
}

/* Publishes what is left, for a while; a second signal ends that. */
static int drain(struct listening *listening, const sigset_t *waiting)
{
    uint64_t begun = monotonic_ns();
    uint64_t until = listening->wait < UINT64_MAX - begun ? begun + listening->wait : UINT64_MAX;
    int code = flush_records(listening);
    interrupted = 0;
    while (code == EXIT_OK && !is_published(listening) && !interrupted && monotonic_ns() < until) {
        bool readable, more;
        code = await(listening, false, until, waiting, &readable);
        if (code == EXIT_OK)
            code = take_turn(listening, false, &more);
        tell_waiting(listening, until);
    }
    return code;
}

/* Closes the publisher: what its spool keeps is safe, what else it had is lost. */
static int finish(struct listening *listening, int code)
{
    struct remed_listener_stats lines;
    struct remed_error error;
    listening_report(listening, stdout);
    remed_listener_stats(listening->listener, &lines, sizeof lines);
    uint64_t left = listening->interpreter.held + listening->interpreter.failed;
    listening->is_marked = false;
    if (left == 0)
        remed_listener_mark(listening->listener);
    int rc = remed_publisher_close(listening->publisher, &error);
    listening->publisher = NULL;
    if (rc < 0)
        return fail("%s", error.message);
    if (left > 0)
        return fail("%llu records were not published", (unsigned long long)left);
    if (commit_positions(listening) != EXIT_OK || listening->lost_some)
        return EXIT_FAILED;
    if (lines.failed > 0)
        return fail("%u inputs could not be read to their end", lines.failed);
    return code;
}

int listening_run(struct listening *listening)
{
    sigset_t waiting;
    catch_requests(&waiting);
    listening->stats_due =
        listening->stats_every != UINT64_MAX ? monotonic_ns() + listening->stats_every : UINT64_MAX;
    int code = listen_on(listening, &waiting);
    if (code == EXIT_OK || listening->listener_failed) {
        int drained = drain(listening, &waiting);
        code = code == EXIT_OK ? drained : code;
    }
    waiting_end(&listening->waiting);
    return finish(listening, code);
}

void listening_connect(struct listening *listening)
{
    listening->listener_opts.line = on_line;
    listening->listener_opts.context = listening;
    listening->publisher_opts.delivered = on_delivered;
    listening->publisher_opts.context = listening;
}
