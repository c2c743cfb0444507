/* SPDX-License-Identifier: BSD-3-Clause */
/* The connection of link.h. Threads: belongs to one transport. */
#include "backend/redis/link.h"
#include "backend/redis/socket.h"
#include "base/scrub.h"

#include <openssl/crypto.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define DELAY_LEAST_NS 100000000ull
#define DELAY_MOST_NS 2000000000ull
#define READ_BYTES 65536u
#define READS_A_PROCESS 16u
#define KEEP_BYTES                                                                                 \
    ((size_t)1 << 20) /* of a buffer, from one connection or large reply to the next */

void remed_redis_link_init(struct remed_redis_link *link, const struct remed_redis_options *options,
                           const struct remed_redis_tls *tls, int wake, const struct remed_log *log,
                           const struct remed_allocator *allocator)
{
    *link = (struct remed_redis_link){
        .options = options, .tls = tls, .wake = wake, .log = *log, .fd = -1};
    link->delay = DELAY_LEAST_NS;
    link->in.allocator = link->out.allocator = *allocator;
}

static void close_socket(struct remed_redis_link *link)
{
    SSL_free(link->ssl);
    link->ssl = NULL;
    if (link->fd >= 0)
        close(link->fd); /* which takes it out of the epoll */
    link->fd = -1;
    link->armed = 0;
}

void remed_redis_link_fini(struct remed_redis_link *link)
{
    close_socket(link);
    if (link->out.bytes != NULL)
        OPENSSL_cleanse(link->out.bytes, link->out.room); /* it had the password */
    remed_redis_buffer_clear(&link->in, 0);
    remed_redis_buffer_clear(&link->out, 0);
}

static void say(const struct remed_redis_link *link, enum remed_log_level level, const char *what,
                const char *why)
{
    char text[512];
    int kept = errno;
    if (link->log.write == NULL)
        return;
    snprintf(text, sizeof text, "%s:%s: %s%s%s", link->options->host, link->options->port, what,
             *why != '\0' ? ": " : "", why);
    link->log.write(link->log.context, level, "redis", text);
    errno = kept;
}

void remed_redis_link_drop(struct remed_redis_link *link, const char *why)
{
    if (link->why[0] == '\0' && link->trouble[0] == '\0')
        say(link, REMED_LOG_WARNING, "no connection", why);
    snprintf(link->why, sizeof link->why, "%s", why);
    snprintf(link->trouble, sizeof link->trouble, "%s", why);
    close_socket(link);
    link->state = REMED_REDIS_DOWN;
    link->awaited = 0;
    link->more = false;
    link->scan = (struct remed_resp_scan){0};
    remed_redis_buffer_clear(&link->in, KEEP_BYTES);
    remed_redis_buffer_clear(&link->out, KEEP_BYTES);
    link->retry_at = link->now + link->delay;
    link->delay = link->delay * 2 < DELAY_MOST_NS ? link->delay * 2 : DELAY_MOST_NS;
}

/* Before it is up, TLS that fails is a refusal to be told of: trying again alone will not help. */
static int lost(struct remed_redis_link *link, ssize_t rc, const char *why,
                struct remed_error *error)
{
    bool refused = rc == REMED_REDIS_REFUSED && link->state < REMED_REDIS_READY;
    remed_redis_link_drop(link, why);
    return refused ? remed_error_set(error, REMED_EPERM, "redis: TLS with %.100s: %.100s",
                                     link->options->host, why)
                   : 0;
}

/* Tells the epoll what is waited for. */
static void arm(struct remed_redis_link *link)
{
    short events = POLLIN;
    if (link->fd < 0)
        return;
    if (link->state == REMED_REDIS_CONNECTING || remed_redis_buffer_held(&link->out) > 0)
        events |= POLLOUT;
    if (link->state == REMED_REDIS_SECURING)
        events = link->wanted;
    if (events == link->armed)
        return;
    struct epoll_event event = {.events = EPOLLIN};
    if ((events & POLLOUT) != 0)
        event.events |= EPOLLOUT;
    (void)epoll_ctl(link->wake, link->armed != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, link->fd, &event);
    link->armed = events;
}

/* Another address of the host is tried at once. */
static void fail_to_connect(struct remed_redis_link *link, const char *why)
{
    uint64_t delay = link->delay;
    if (link->attempt != 0)
        link->delay = 0;
    remed_redis_link_drop(link, why);
    if (link->attempt != 0)
        link->delay = delay;
}

static void begin_connecting(struct remed_redis_link *link)
{
    const char *why = NULL;
    bool last = true;
    link->fd = remed_redis_socket_connect(link->options, link->attempt, &last, &why);
    link->attempt = last ? 0 : link->attempt + 1;
    link->active_at = link->now;
    link->state = REMED_REDIS_CONNECTING;
    if (link->fd < 0)
        fail_to_connect(link, why);
}

void remed_redis_link_expect(struct remed_redis_link *link)
{
    if (link->awaited++ == 0)
        link->active_at = link->now;
}

/* All at once: the answers come in this order. */
static void begin_greeting(struct remed_redis_link *link)
{
    const struct remed_redis_options *options = link->options;
    link->state = REMED_REDIS_GREETING;
    link->greeted = 0;
    if (options->password[0] != '\0') {
        remed_resp_array(&link->out, options->user[0] != '\0' ? 3 : 2);
        remed_resp_text(&link->out, "AUTH");
        if (options->user[0] != '\0')
            remed_resp_text(&link->out, options->user);
        remed_resp_text(&link->out, options->password);
        remed_redis_link_expect(link);
    }
    remed_resp_array(&link->out, 2);
    remed_resp_text(&link->out, "SELECT");
    remed_resp_number(&link->out, options->database);
    remed_redis_link_expect(link);
    if (link->script != NULL) {
        remed_resp_array(&link->out, 3);
        remed_resp_text(&link->out, "SCRIPT");
        remed_resp_text(&link->out, "LOAD");
        remed_resp_text(&link->out, link->script);
        remed_redis_link_expect(link);
    }
}

static int get_connected(struct remed_redis_link *link, struct remed_error *error)
{
    const char *why = NULL;
    int rc = remed_redis_socket_connected(link->fd, &why);
    if (rc < 0)
        fail_to_connect(link, why);
    if (rc <= 0)
        return 0;
    if (!link->options->secure) {
        begin_greeting(link);
        return 0;
    }
    link->ssl = remed_redis_tls_begin(link->tls, link->options, link->fd);
    link->state = REMED_REDIS_SECURING;
    link->wanted = POLLIN;
    if (link->ssl != NULL)
        return 0;
    remed_redis_link_drop(link, "no memory");
    return remed_error_set(error, REMED_ENOMEM, "redis: no memory for TLS");
}

static int secure(struct remed_redis_link *link, struct remed_error *error)
{
    const char *why = NULL;
    int rc = remed_redis_tls_handshake(link->ssl, &link->wanted, &why);
    if (rc == 1)
        begin_greeting(link);
    return rc == 1 || rc == REMED_REDIS_WAIT ? 0 : lost(link, rc, why, error);
}

static ssize_t plain(ssize_t rc, const char **why)
{
    if (rc >= 0)
        return rc;
    if (errno == EAGAIN || errno == EINTR)
        return REMED_REDIS_WAIT;
    *why = strerror(errno);
    return REMED_REDIS_LOST;
}

static int send_out(struct remed_redis_link *link, struct remed_error *error)
{
    struct remed_redis_buffer *out = &link->out;
    if (out->failed) {
        remed_redis_link_drop(link, "no memory");
        return remed_error_set(error, REMED_ENOMEM, "redis: no memory for a command");
    }
    while (remed_redis_buffer_held(out) > 0) {
        const uint8_t *bytes = out->bytes + out->begin;
        size_t size = remed_redis_buffer_held(out);
        const char *why = "closed by the server";
        ssize_t sent = link->ssl != NULL
                           ? remed_redis_tls_write(link->ssl, bytes, size, &link->wanted, &why)
                           : plain(send(link->fd, bytes, size, MSG_NOSIGNAL), &why);
        if (sent == REMED_REDIS_WAIT)
            return 0;
        if (sent <= 0)
            return lost(link, sent, why, error);
        out->begin += (size_t)sent;
        link->active_at = link->now;
    }
    remed_redis_buffer_clear(out, 2 * KEEP_BYTES);
    return 0;
}

void remed_redis_link_flush(struct remed_redis_link *link)
{
    if (link->state != REMED_REDIS_READY || link->fd < 0)
        return;
    (void)send_out(link, NULL);
    arm(link);
}

static int receive(struct remed_redis_link *link, struct remed_error *error)
{
    struct remed_redis_buffer *in = &link->in;
    unsigned reads = 0;
    link->more = false;
    while (remed_redis_buffer_held(in) < REMED_REDIS_REPLY_MOST + READ_BYTES) {
        if (reads++ == READS_A_PROCESS) {
            link->more = true;
            return 0;
        }
        if (!remed_redis_buffer_reserve(in, READ_BYTES)) {
            remed_redis_link_drop(link, "no memory");
            return remed_error_set(error, REMED_ENOMEM, "redis: no memory for a reply");
        }
        uint8_t *to = in->bytes + in->end;
        size_t room = in->room - in->end;
        const char *why = "closed by the server";
        ssize_t got = link->ssl != NULL
                          ? remed_redis_tls_read(link->ssl, to, room, &link->wanted, &why)
                          : plain(recv(link->fd, to, room, 0), &why);
        if (got == REMED_REDIS_WAIT)
            return 0;
        if (got <= 0)
            return lost(link, got, why, error);
        in->end += (size_t)got;
        link->active_at = link->now;
        if (link->ssl == NULL && (size_t)got < room)
            return 0;
    }
    return 0;
}

/* Takes the answers to the greeting; the script's is its name. */
static int greet(struct remed_redis_link *link, struct remed_error *error)
{
    struct remed_resp_cursor reply;
    struct remed_resp_item item;
    int rc = 0;
    while (link->awaited > 0 && (rc = remed_redis_link_reply(link, &reply, error)) > 0) {
        link->greeted++;
        if (!remed_resp_next(&reply, &item))
            continue;
        if (item.kind == REMED_RESP_ERROR)
            return remed_redis_link_refused(link, &item, error);
        if (item.kind == REMED_RESP_TEXT && item.length == sizeof link->sha - 1)
            memcpy(link->sha, item.text, item.length);
    }
    if (rc < 0 || link->awaited > 0)
        return rc;
    link->state = REMED_REDIS_READY;
    link->session++;
    link->delay = DELAY_LEAST_NS;
    if (link->why[0] != '\0')
        say(link, REMED_LOG_NOTICE, "connected", "");
    link->why[0] = '\0';
    return 0;
}

static bool is_waiting(const struct remed_redis_link *link)
{
    return link->state != REMED_REDIS_DOWN &&
           (link->state != REMED_REDIS_READY || link->awaited > 0);
}

int remed_redis_link_process(struct remed_redis_link *link, uint64_t now, struct remed_error *error)
{
    int rc = 0;
    link->now = now;
    if (link->state == REMED_REDIS_DOWN && now >= link->retry_at)
        begin_connecting(link);
    if (link->state == REMED_REDIS_CONNECTING)
        rc = get_connected(link, error);
    if (rc == 0 && link->state == REMED_REDIS_SECURING)
        rc = secure(link, error);
    if (rc == 0 && link->state >= REMED_REDIS_GREETING)
        rc = send_out(link, error);
    if (rc == 0 && link->state >= REMED_REDIS_GREETING)
        rc = receive(link, error);
    if (rc == 0 && link->state == REMED_REDIS_GREETING)
        rc = greet(link, error);
    if (rc == 0 && is_waiting(link) && now - link->active_at >= link->options->timeout)
        remed_redis_link_drop(link, "no answer in time");
    arm(link);
    return rc;
}

int remed_redis_link_reply(struct remed_redis_link *link, struct remed_resp_cursor *reply,
                           struct remed_error *error)
{
    struct remed_redis_buffer *in = &link->in;
    if (link->state < REMED_REDIS_GREETING)
        return 0;
    if (remed_redis_buffer_held(in) == 0) {
        remed_redis_buffer_clear(in, 4 * KEEP_BYTES);
        return 0;
    }
    const uint8_t *bytes = in->bytes + in->begin;
    int rc =
        remed_resp_measure(&link->scan, bytes, remed_redis_buffer_held(in), REMED_REDIS_REPLY_MOST);
    if (rc == 0)
        return 0;
    if (rc > 0 && link->awaited == 0)
        rc = REMED_EFORMAT; /* an answer to nothing */
    if (rc < 0) {
        remed_redis_link_drop(link, rc == REMED_ELIMIT ? "a reply that is too long" : "no reply");
        return remed_error_set(error, rc, "redis: the server sent %s",
                               rc == REMED_ELIMIT ? "a reply that is too long"
                                                  : "what is no reply of Redis");
    }
    *reply = (struct remed_resp_cursor){.at = bytes, .end = bytes + link->scan.at};
    in->begin += link->scan.at;
    link->scan = (struct remed_resp_scan){0};
    link->awaited--;
    link->active_at = link->now;
    return 1;
}

static bool begins_with_one(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strncmp(text, *words, strlen(*words)) == 0)
            return true;
    return false;
}

int remed_redis_link_refused(struct remed_redis_link *link, const struct remed_resp_item *reply,
                             struct remed_error *error)
{
    static const char *const passing[] = {"LOADING ",  "BUSY ",        "MASTERDOWN ",
                                          "READONLY ", "CLUSTERDOWN ", "TRYAGAIN ",
                                          "OOM ",      "NOREPLICAS ",  "MISCONF ",
                                          "NOSCRIPT ", "UNBLOCKED ",   "ERR max number of clients",
                                          NULL};
    static const char *const denying[] = {"NOAUTH", "WRONGPASS", "NOPERM", "DENIED", NULL};
    char text[160], said[160];
    bool authenticating = link->state == REMED_REDIS_GREETING && link->greeted == 1 &&
                          link->options->password[0] != '\0';
    snprintf(said, sizeof said, "%.*s", (int)(reply->length < 150 ? reply->length : 150),
             (const char *)reply->text);
    remed_scrub(text, sizeof text, said, link->options->password,
                strlen(link->options->password) + 1);
    bool passes = begins_with_one(text, passing);
    if (authenticating && !passes)
        text[strcspn(text, " ")] = '\0'; /* the rest may quote the password */
    remed_redis_link_drop(link, text);
    if (passes)
        return 0;
    if (authenticating)
        return remed_error_set(error, REMED_EPERM,
                               "redis: the server refused the user or the password (%s)", text);
    return remed_error_set(error, begins_with_one(text, denying) ? REMED_EPERM : REMED_EIO,
                           "redis: %s", text);
}

uint64_t remed_redis_link_deadline(const struct remed_redis_link *link)
{
    if (link->state == REMED_REDIS_DOWN)
        return link->retry_at;
    return is_waiting(link) ? link->active_at + link->options->timeout : UINT64_MAX;
}

size_t remed_redis_link_waiting(const struct remed_redis_link *link, char *text, size_t size)
{
    const char *why = link->trouble;
    bool silent = link->state == REMED_REDIS_READY && link->awaited > 0 &&
                  link->now > link->active_at && link->now - link->active_at >= REMED_NS_PER_S;
    if (*why == '\0' && link->state != REMED_REDIS_READY)
        why = "connecting";
    if (*why == '\0' && silent)
        why = "no answer yet";
    if (*why == '\0')
        return 0;
    bool address = strchr(link->options->host, ':') != NULL;
    return (size_t)snprintf(text, size, "%s%s%s:%s: %s; tries again until it is there",
                            address ? "[" : "", link->options->host, address ? "]" : "",
                            link->options->port, why);
}
