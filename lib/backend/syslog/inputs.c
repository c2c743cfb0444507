/* SPDX-License-Identifier: BSD-3-Clause */
/* Inputs from their URIs. Threads: one thread a listener. */
#include "backend/syslog/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#define IDLE_DEFAULT (3600 * REMED_NS_PER_S)
#define RCVBUF_DEFAULT (4u << 20)
#define RCVBUF_MAX (1u << 30)

static int watch_input(struct remed_listener *listener, struct input *input,
                       struct remed_error *error)
{
    if (remed_listener_watch(listener, &input->watch, EPOLLIN) < 0)
        return remed_error_set(error, REMED_EIO, "cannot wait for lines: %s", strerror(errno));
    return 0;
}

/* What bind.c said is in the error; without one, that it failed has to do. */
static int bind_code(const struct remed_error *error)
{
    return error->code < 0 ? error->code : REMED_EIO;
}

static int open_datagrams(struct remed_listener *listener, struct input *input,
                          struct remed_error *error)
{
    if (remed_datagrams_init(listener) < 0)
        return remed_error_set(error, REMED_ENOMEM, "no memory for datagrams");
    input->kind = INPUT_DATAGRAM;
    input->watch.ready = remed_datagrams_ready;
    return watch_input(listener, input, error);
}

static int open_stream(struct remed_listener *listener, struct input *input,
                       const struct remed_uri *uri, struct remed_error *error)
{
    input->kind = INPUT_STREAM;
    input->watch.ready = remed_stream_accept;
    input->idle = IDLE_DEFAULT;
    int rc = remed_uri_time(uri, "idle", &input->idle, error);
    if (rc == 0 && input->idle == 0)
        rc = remed_error_set(error, REMED_EINVAL, "idle is above 0");
    return rc < 0 ? rc : watch_input(listener, input, error);
}

static int open_udp(struct remed_listener *listener, struct input *input,
                    const struct remed_uri *uri, struct remed_error *error)
{
    static const char *const names[] = {"rcvbuf", NULL};
    uint64_t bytes = RCVBUF_DEFAULT;
    int rc = remed_uri_check(uri, names, error);
    if (rc < 0 || (rc = remed_uri_size(uri, "rcvbuf", &bytes, error)) < 0)
        return rc;
    if (bytes > RCVBUF_MAX)
        return remed_error_set(error, REMED_EINVAL, "rcvbuf is at most 1GiB");
    if ((input->watch.fd = remed_bind_network(uri, SOCK_DGRAM, "514", error)) < 0)
        return bind_code(error);
    int size = (int)bytes;
    if (setsockopt(input->watch.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(input->watch.fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return open_datagrams(listener, input, error);
}

static int open_tcp(struct remed_listener *listener, struct input *input,
                    const struct remed_uri *uri, struct remed_error *error)
{
    static const char *const names[] = {"idle", NULL};
    int rc = remed_uri_check(uri, names, error);
    if (rc < 0)
        return rc;
    if ((input->watch.fd = remed_bind_network(uri, SOCK_STREAM, "514", error)) < 0)
        return bind_code(error);
    return open_stream(listener, input, uri, error);
}

static int open_tls(struct remed_listener *listener, struct input *input,
                    const struct remed_uri *uri, struct remed_error *error)
{
    static const char *const names[] = {"idle", "cert", "key", "cafile", NULL};
    int rc = remed_uri_check(uri, names, error);
    if (rc < 0 || (rc = remed_tls_server_new(listener, &input->tls, uri, error)) < 0)
        return rc;
    if ((input->watch.fd = remed_bind_network(uri, SOCK_STREAM, "6514", error)) < 0)
        return bind_code(error);
    return open_stream(listener, input, uri, error);
}

static int open_unix(struct remed_listener *listener, struct input *input,
                     const struct remed_uri *uri, struct remed_error *error)
{
    static const char *const names[] = {"type", "mode", "idle", NULL};
    char type[8] = "dgram";
    int rc = remed_uri_check(uri, names, error);
    if (rc < 0)
        return rc;
    if (remed_uri_parameter(uri, "type", type, sizeof type) < 0 ||
        (strcmp(type, "dgram") != 0 && strcmp(type, "stream") != 0))
        return remed_error_set(error, REMED_EINVAL, "syslog+unix: type is dgram or stream");
    bool stream = strcmp(type, "stream") == 0;
    input->watch.fd = remed_bind_local(uri, stream ? SOCK_STREAM : SOCK_DGRAM, error);
    if (input->watch.fd < 0)
        return bind_code(error);
    size_t size = strlen(uri->path) + 1;
    if ((input->unlinks = remed_allocate(&listener->allocator, size)) == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a path");
    memcpy(input->unlinks, uri->path, size);
    return stream ? open_stream(listener, input, uri, error)
                  : open_datagrams(listener, input, error);
}

static int open_file(struct remed_listener *listener, struct input *input,
                     const struct remed_uri *uri, struct remed_error *error)
{
    static const char *const names[] = {"from", "state", "poll", NULL};
    int rc = remed_uri_check(uri, names, error);
    input->kind = INPUT_FILE;
    return rc < 0 ? rc : remed_follow_new(listener, input, uri, error);
}

/* Where the host has closed descriptor 0, something of our own may have its number. */
static bool is_ours(const struct remed_listener *listener, int fd)
{
    bool ours = listener->epoll == fd;
    for (uint32_t i = 0; i < listener->input_count; i++)
        ours |= listener->inputs[i]->watch.fd == fd && listener->inputs[i]->kind != INPUT_PIPE;
    return ours;
}

static int open_pipe(struct remed_listener *listener, struct input *input,
                     struct remed_error *error)
{
    if (is_ours(listener, STDIN_FILENO) || fcntl(STDIN_FILENO, F_GETFD) < 0)
        return remed_error_set(error, REMED_EIO, "standard input: %s", strerror(EBADF));
    input->kind = INPUT_PIPE;
    input->watch.ready = remed_pipe_ready;
    int rc = remed_pipe_init(listener, input, error);
    if (rc < 0)
        return rc;
    input->watch.fd = STDIN_FILENO;
    if (remed_listener_watch(listener, &input->watch, EPOLLIN) == 0)
        return 0;
    input->always = errno == EPERM; /* a regular file: always ready */
    input->watch.fd = -1;
    if (input->always)
        return 0;
    return remed_error_set(error, REMED_EIO, "standard input: %s", strerror(errno));
}

int remed_input_open(struct remed_listener *listener, struct input *input, const char *text,
                     struct remed_error *error)
{
    static const struct {
        const char *scheme;
        int (*open)(struct remed_listener *listener, struct input *input,
                    const struct remed_uri *uri, struct remed_error *error);
    } kinds[] = {{"syslog", open_udp},     {"syslog+udp", open_udp},   {"syslog+tcp", open_tcp},
                 {"syslog+tls", open_tls}, {"syslog+unix", open_unix}, {"file", open_file}};
    struct remed_uri_parts parts;
    struct remed_error own; /* the caller's may be NULL, and bind.c reports by it */
    error = error != NULL ? error : &own;
    memset(error, 0, sizeof *error);
    if (strcmp(text, "-") == 0)
        return open_pipe(listener, input, error);
    int rc = remed_uri_parse(&parts, text, error);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].scheme, parts.uri.scheme) == 0)
            return kinds[i].open(listener, input, &parts.uri, error);
    return remed_error_set(error, REMED_EINVAL,
                           "'%s:' is no input: it is one of syslog:, syslog+udp:, syslog+tcp:, "
                           "syslog+tls:, syslog+unix:, file: or -",
                           parts.uri.scheme);
}

void remed_input_close(struct remed_listener *listener, struct input *input)
{
    if (input->watch.fd >= 0 && input->kind != INPUT_PIPE)
        close(input->watch.fd);
    if (input->unlinks != NULL) {
        unlink(input->unlinks);
        remed_release(&listener->allocator, input->unlinks, strlen(input->unlinks) + 1);
    }
    remed_follow_free(listener, input->follow);
    remed_tls_server_free(listener, input->tls);
    remed_syslog_frames_free(input->frames);
    remed_release(&listener->allocator, input, sizeof *input);
}
