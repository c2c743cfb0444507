/* SPDX-License-Identifier: BSD-3-Clause */
/* The positions of position.h. Threads: no state. */
#include "backend/redis/position.h"

#include <stdio.h>

#define PREFIX "redis:"
#define NAME_MOST (3 * sizeof((struct remed_redis_options *)0)->stream)

bool remed_redis_id_read(const uint8_t *text, size_t length, struct remed_redis_id *id)
{
    uint64_t *numbers[] = {&id->ms, &id->sequence};
    size_t at = 0;
    for (unsigned i = 0; i < 2; i++) {
        size_t begin = at;
        uint64_t number = 0;
        for (; at < length && text[at] >= '0' && text[at] <= '9'; at++) {
            unsigned digit = text[at] - '0';
            if (number > (UINT64_MAX - digit) / 10)
                return false;
            number = number * 10 + digit;
        }
        if (at == begin || (i == 0 && (at == length || text[at++] != '-')))
            return false;
        *numbers[i] = number;
    }
    return at == length;
}

bool remed_redis_is_identity(const uint8_t *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (remed_hex_digit((char)text[i]) < 0)
            return false;
    return length == REMED_REDIS_IDENTITY;
}

/* "DATABASE/STREAM/", the stream with %XX for what could end it. */
static size_t write_name(const struct remed_redis_options *options, char *text, size_t size)
{
    int used = snprintf(text, size, "%u/", options->database);
    for (const char *c = options->stream; *c != '\0'; c++) {
        bool usual = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || strchr("._-:{}", *c) != NULL;
        used +=
            snprintf(text + used, size - (size_t)used, usual ? "%c" : "%%%02x", (unsigned char)*c);
    }
    return (size_t)used + (size_t)snprintf(text + used, size - (size_t)used, "/");
}

size_t remed_redis_position_write(const struct remed_redis_options *options, const char *identity,
                                  struct remed_redis_id at, char *text, size_t size)
{
    char name[NAME_MOST + 16];
    write_name(options, name, sizeof name);
    return (size_t)snprintf(text, size, PREFIX "%s/%s%llu-%llu",
                            identity[0] != '\0' ? identity : "-", name, (unsigned long long)at.ms,
                            (unsigned long long)at.sequence);
}

/* A position that is none may be anything, also a URI in the wrong place. */
static int refuse(const char *text, struct remed_error *error)
{
    char shown[80];
    struct remed_redis_id id;
    remed_uri_redacted(text, shown, sizeof shown);
    if (remed_redis_id_read((const uint8_t *)text, strlen(text), &id))
        return remed_error_set(error, REMED_EINVAL,
                               "redis: '%s' is a position of an older version, which does not name "
                               "its stream; begin anew",
                               shown);
    return remed_error_set(error, REMED_EINVAL, "'%s' is no position of redis:", shown);
}

int remed_redis_position_read(const struct remed_redis_options *options, const char *text,
                              char *identity, struct remed_redis_id *at, struct remed_error *error)
{
    char name[NAME_MOST + 16];
    size_t length = write_name(options, name, sizeof name);
    if (strncmp(text, PREFIX, sizeof PREFIX - 1) != 0)
        return refuse(text, error);
    const char *id = text + sizeof PREFIX - 1, *slash = strchr(id, '/'), *last = strrchr(id, '/');
    size_t id_length = slash != NULL ? (size_t)(slash - id) : 0;
    bool known = id_length != 1 || *id != '-';
    if (slash == NULL || last == slash ||
        (known && !remed_redis_is_identity((const uint8_t *)id, id_length)) ||
        !remed_redis_id_read((const uint8_t *)last + 1, strlen(last + 1), at))
        return refuse(text, error);
    if ((size_t)(last + 1 - (slash + 1)) != length || memcmp(slash + 1, name, length) != 0)
        return remed_error_set(error, REMED_EINVAL,
                               "redis: the position belongs to database and stream %.*s, this is "
                               "%.*s",
                               (int)(last - slash - 1 < 80 ? last - slash - 1 : 80), slash + 1,
                               (int)(length - 1 < 80 ? length - 1 : 80), name);
    memcpy(identity, id, known ? id_length : 0);
    identity[known ? id_length : 0] = '\0';
    return 0;
}
