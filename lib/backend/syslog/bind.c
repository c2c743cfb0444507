/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets that are bound: addresses and ports, paths. Threads: no state. */
#include "backend/syslog/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

static int failed(struct remed_error *error, const char *what)
{
    int code = errno == EACCES || errno == EPERM ? REMED_EPERM : REMED_EIO;
    remed_error_set(error, code, "%s: %s", what, strerror(errno));
    return -1;
}

/* A name of a service, or a number that is a port: getaddrinfo would cut a greater one off. */
static bool is_port(const char *text)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    return *end != '\0' || number <= UINT16_MAX;
}

/* HOST, HOST:PORT, [ADDRESS]:PORT, :PORT into its parts; false: too long, or no brackets' end. */
static bool split_host(const char *text, char host[256], char port[32])
{
    const char *end = text + strlen(text), *name = text, *colon;
    size_t length;
    if (*text == '[') {
        const char *close = strchr(text, ']');
        if (close == NULL || (close[1] != '\0' && close[1] != ':'))
            return false;
        name++;
        length = (size_t)(close - name);
        colon = close[1] == ':' ? close + 1 : NULL;
    } else {
        colon = strrchr(text, ':');
        length = (size_t)((colon != NULL ? colon : end) - name);
        if (memchr(name, ':', length) != NULL)
            return false;
    }
    if (length > 255 ||
        (colon != NULL && (colon[1] == '\0' || end - colon > 31 || !is_port(colon + 1))))
        return false;
    memcpy(host, name, length);
    host[length] = '\0';
    if (colon != NULL)
        memcpy(port, colon + 1, (size_t)(end - colon));
    return true;
}

static int bind_one(const struct addrinfo *found, bool any)
{
    const int on = 1, off = 0;
    int fd = socket(found->ai_family, found->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (found->ai_socktype == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (found->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, any ? &off : &on, sizeof on);
    if (bind(fd, found->ai_addr, found->ai_addrlen) == 0 &&
        (found->ai_socktype != SOCK_STREAM || listen(fd, BACKLOG) == 0))
        return fd;
    int kept = errno;
    close(fd);
    errno = kept;
    return -1;
}

int remed_bind_network(const struct remed_uri *uri, int type, const char *port,
                       struct remed_error *error)
{
    char host[256], service[32];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = type, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    snprintf(service, sizeof service, "%s", port);
    if (uri->path[0] != '\0' || !split_host(uri->host, host, service)) {
        remed_error_set(error, REMED_EINVAL, "%s: what follows // is HOST:PORT or [ADDRESS]:PORT",
                        uri->scheme);
        return -1;
    }
    if (strchr(host, '@') != NULL) { /* it may be a password */
        remed_error_set(error, REMED_EINVAL, "%s: an input has no user or password", uri->scheme);
        return -1;
    }
    bool any = host[0] == '\0';
    int rc = getaddrinfo(any ? "::" : host, service, &hints, &found);
    int fd = -1;
    if (rc == 0)
        fd = bind_one(found, any);
    if (fd < 0 && any && (rc != 0 || errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
        if (found != NULL)
            freeaddrinfo(found); /* a kernel without IPv6 */
        found = NULL;
        rc = getaddrinfo("0.0.0.0", service, &hints, &found);
        fd = rc == 0 ? bind_one(found, false) : -1;
    }
    int kept = errno;
    if (found != NULL)
        freeaddrinfo(found);
    errno = kept;
    if (rc != 0) /* what is no port may be a password that misses its '@' */
        remed_error_set(error, REMED_EINVAL, "%s:%s: %s", host,
                        service[strspn(service, "0123456789")] == '\0' ? service : "***",
                        gai_strerror(rc));
    else if (fd < 0) {
        char what[320];
        snprintf(what, sizeof what, "cannot listen on %s:%s", any ? "*" : host, service);
        return failed(error, what);
    }
    return fd;
}

/* A socket that nobody listens on any more is removed. */
static void remove_stale(const struct sockaddr_un *name, int type)
{
    struct stat state;
    if (lstat(name->sun_path, &state) < 0 || !S_ISSOCK(state.st_mode))
        return;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)name, sizeof *name) < 0 && errno == ECONNREFUSED)
        unlink(name->sun_path);
    close(fd);
}

static bool read_mode(const struct remed_uri *uri, unsigned long *mode)
{
    char text[16], *end = text;
    int found = remed_uri_parameter(uri, "mode", text, sizeof text);
    if (found == 0)
        return true;
    if (found > 0)
        *mode = strtoul(text, &end, 8);
    return found > 0 && end > text && *end == '\0' && *mode <= 0777;
}

int remed_bind_local(const struct remed_uri *uri, int type, struct remed_error *error)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    unsigned long mode = 0660;
    if (uri->host[0] != '\0' || uri->path[0] != '/' || strlen(uri->path) >= sizeof name.sun_path ||
        !read_mode(uri, &mode)) {
        remed_error_set(error, REMED_EINVAL,
                        "syslog+unix: is /// and a path of at most %zu bytes; mode is octal",
                        sizeof name.sun_path - 1);
        return -1;
    }
    memcpy(name.sun_path, uri->path, strlen(uri->path));
    remove_stale(&name, type);
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failed(error, "no socket");
    fchmod(fd, (mode_t)mode); /* so that nobody is let in before the chmod */
    if (bind(fd, (const struct sockaddr *)&name, sizeof name) < 0) {
        failed(error, uri->path);
        close(fd);
        return -1;
    }
    if (chmod(uri->path, (mode_t)mode) == 0 && (type != SOCK_STREAM || listen(fd, BACKLOG) == 0))
        return fd;
    failed(error, uri->path);
    unlink(uri->path);
    close(fd);
    return -1;
}
