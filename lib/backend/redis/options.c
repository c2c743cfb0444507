/* SPDX-License-Identifier: BSD-3-Clause */
/* The reading of options.h. Threads: no state. */
#include "backend/redis/options.h"
#include "base/percent.h"
#include "base/regular_file.h"

#include <stdio.h>
#include <unistd.h>

#define DEFAULT_ENTRIES 16384u
#define DEFAULT_TIMEOUT_MS 5000u
#define DATABASE_MOST 65535u

static int refuse(struct remed_error *error, const char *what)
{
    return remed_error_set(error, REMED_EINVAL, "redis: %s", what);
}

static int read_user(struct remed_redis_options *options, const char *text, size_t length,
                     struct remed_error *error)
{
    const char *colon = memchr(text, ':', length);
    size_t user = colon != NULL ? (size_t)(colon - text) : length;
    if (!remed_percent_decode(options->user, sizeof options->user, text, user) ||
        (colon != NULL && !remed_percent_decode(options->password, sizeof options->password,
                                                colon + 1, length - user - 1)))
        return refuse(error, "the user or the password is too long or badly escaped");
    return 0;
}

static bool is_port(const char *text, size_t length)
{
    unsigned port = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || port > 6553)
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port > 0 && port < 65536;
}

/* HOST[:PORT], an IPv6 address in brackets. */
static int read_host(struct remed_redis_options *options, const char *text,
                     struct remed_error *error)
{
    const char *end = text + strlen(text), *host = text, *stop;
    if (*text == '[') {
        host++;
        stop = strchr(host, ']');
        if (stop == NULL || (stop[1] != '\0' && stop[1] != ':'))
            return refuse(error, "an IPv6 address stands in brackets, as in redis://[::1]:6379/…");
        text = stop + 1;
    } else {
        stop = strchr(text, ':');
        stop = stop != NULL ? stop : end;
        text = stop;
    }
    size_t length = (size_t)(stop - host);
    if (length == 0 || length >= sizeof options->host)
        return refuse(error, "wants a server and a stream, as in redis://host:6379/stream");
    memcpy(options->host, host, length);
    options->host[length] = '\0';
    const char *port = *text == ':' ? text + 1 : "6379";
    if (strlen(port) >= sizeof options->port || !is_port(port, strlen(port)))
        return refuse(error, "a port is 1 to 65535");
    memcpy(options->port, port, strlen(port) + 1);
    return 0;
}

static int read_text(const struct remed_uri *uri, const char *name, char *text, size_t size,
                     struct remed_error *error)
{
    if (remed_uri_parameter(uri, name, text, size) < 0)
        return remed_error_set(error, REMED_EINVAL, "redis: %s is too long or badly escaped", name);
    return 0;
}

/* Reads digits and returns what follows them; NULL without any, or beyond `most`. */
static const char *read_digits(const char *text, uint64_t most, uint64_t *number)
{
    const char *at = text;
    *number = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        *number = *number * 10 + (uint64_t)(*at - '0');
        if (*number > most)
            return NULL;
    }
    return at > text ? at : NULL;
}

/* A count; it keeps its default when it is not there. */
static int read_count(const struct remed_uri *uri, const char *name, uint64_t most, uint64_t *count,
                      struct remed_error *error)
{
    char text[32];
    uint64_t number;
    int found = remed_uri_parameter(uri, name, text, sizeof text);
    if (found == 0)
        return 0;
    const char *rest = found > 0 ? read_digits(text, most, &number) : NULL;
    if (rest == NULL || *rest != '\0')
        return remed_error_set(error, REMED_EINVAL, "redis: %s is 0 to %llu", name,
                               (unsigned long long)most);
    *count = number;
    return 0;
}

static int read_timeout(struct remed_redis_options *options, const struct remed_uri *uri,
                        struct remed_error *error)
{
    char text[32];
    uint64_t number = DEFAULT_TIMEOUT_MS;
    int found = remed_uri_parameter(uri, "timeout", text, sizeof text);
    const char *unit = "ms";
    if (found != 0)
        unit = found > 0 ? read_digits(text, 3600000, &number) : NULL;
    if (unit != NULL && strcmp(unit, "s") == 0)
        number *= 1000;
    else if (unit == NULL || strcmp(unit, "ms") != 0)
        number = 0;
    if (number < 100 || number > 3600000)
        return refuse(error, "timeout is 100ms to 3600s");
    options->timeout = number * 1000000;
    return 0;
}

/* The first line of a file: no process list has it. */
static int read_password(struct remed_redis_options *options, const struct remed_uri *uri,
                         struct remed_error *error)
{
    char path[REMED_REDIS_PATH] = "";
    int rc = read_text(uri, "password_file", path, sizeof path, error);
    if (rc < 0 || path[0] == '\0')
        return rc;
    if (options->password[0] != '\0')
        return refuse(error, "a password and a password_file");
    int fd = remed_regular_open(path, "redis: ", error);
    if (fd < 0)
        return fd;
    FILE *file = fdopen(fd, "r");
    if (file == NULL) {
        close(fd);
        return remed_error_set(error, REMED_ENOMEM, "redis: %s: no memory", path);
    }
    char *line = fgets(options->password, sizeof options->password, file);
    fclose(file);
    size_t length = line != NULL ? strcspn(line, "\r\n") : 0;
    if (length == 0 || length + 1 >= sizeof options->password)
        return remed_error_set(error, REMED_EINVAL, "redis: %s has no password of 1 to %zu bytes",
                               path, sizeof options->password - 2);
    options->password[length] = '\0';
    return 0;
}

static int read_security(struct remed_redis_options *options, const struct remed_uri *uri,
                         struct remed_error *error)
{
    int rc = read_text(uri, "cafile", options->ca_file, sizeof options->ca_file, error);
    if (rc == 0)
        rc = read_text(uri, "cadir", options->ca_folder, sizeof options->ca_folder, error);
    if (rc == 0)
        rc = read_text(uri, "cert", options->certificate, sizeof options->certificate, error);
    if (rc == 0)
        rc = read_text(uri, "key", options->key, sizeof options->key, error);
    if (rc == 0)
        rc = read_text(uri, "servername", options->server_name, sizeof options->server_name, error);
    if (rc == 0 && (options->certificate[0] != '\0') != (options->key[0] != '\0'))
        rc = refuse(error, "cert and key come together");
    return rc;
}

static int read_query(struct remed_redis_options *options, const struct remed_uri *uri,
                      struct remed_error *error)
{
    static const char *const names[] = {"cafile",        "cadir", "cert",   "key",
                                        "servername",    "db",    "maxlen", "timeout",
                                        "password_file", NULL};
    uint64_t database = 0;
    int rc = remed_uri_check(uri, options->secure ? names : names + 5, error);
    if (rc == 0)
        rc = read_count(uri, "db", DATABASE_MOST, &database, error);
    if (rc == 0)
        rc = read_count(uri, "maxlen", INT64_MAX, &options->max_entries, error);
    if (rc == 0)
        rc = read_timeout(options, uri, error);
    if (rc == 0)
        rc = read_password(options, uri, error);
    if (rc == 0 && options->secure)
        rc = read_security(options, uri, error);
    options->database = (uint32_t)database;
    return rc;
}

int remed_redis_options_read(struct remed_redis_options *options, const struct remed_uri *uri,
                             struct remed_error *error)
{
    memset(options, 0, sizeof *options);
    options->secure = strcmp(uri->scheme, "rediss") == 0;
    options->max_entries = DEFAULT_ENTRIES;
    const char *at = strrchr(uri->host, '@');
    int rc = at != NULL ? read_user(options, uri->host, (size_t)(at - uri->host), error) : 0;
    if (rc == 0)
        rc = read_host(options, at != NULL ? at + 1 : uri->host, error);
    if (rc < 0)
        return rc;
    size_t length = strlen(uri->path);
    if (length < 2 || length > sizeof options->stream || strchr(uri->path + 1, '/') != NULL)
        return refuse(error, "wants a stream, as in redis://host:6379/stream");
    memcpy(options->stream, uri->path + 1, length);
    rc = read_query(options, uri, error);
    if (rc == 0 && options->user[0] != '\0' && options->password[0] == '\0')
        rc = refuse(error, "a user without a password");
    return rc;
}
