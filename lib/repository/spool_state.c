/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of spool_state.h. Threads: belongs to one spool. */
#define _POSIX_C_SOURCE 200809L
#include "repository/spool_state.h"

#include "base/private_file.h"
#include "repository/uri.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY "spool-state.tmp"
#define MOST_BYTES (80u << 10)
#define MOST_POSITION (64u << 10)
static const char first_line[] = "remediate spool 2\n";
static const char old_line[] = "remediate spool 1\n"; /* it counted its own origin alone */

void remed_spool_identity(const char *uri, char *text, size_t size)
{
    struct remed_uri_parts parts;
    char db[32];
    text[0] = '\0';
    if (remed_uri_parse(&parts, uri, NULL) < 0)
        return;
    const char *at = strrchr(parts.host, '@');
    const char *host = at != NULL ? at + 1 : parts.host;
    bool has_db = remed_uri_parameter(&parts.uri, "db", db, sizeof db) == 1 && strcmp(db, "0") != 0;
    snprintf(text, size, "%s://%s%s%s%s", parts.scheme, host, parts.path, has_db ? "?db=" : "",
             has_db ? db : "");
    size_t length = strlen(text);
    while (!has_db && length > 0 && text[length - 1] == '/')
        text[--length] = '\0';
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
}

void remed_spool_state_position(struct remed_spool_state *state, const char *position)
{
    size_t length = position != NULL ? strlen(position) : 0;
    size_t old = state->position != NULL ? strlen(state->position) + 1 : 0;
    remed_release(&state->allocator, state->position, old);
    state->position = NULL;
    if (length == 0 || length > MOST_POSITION || strchr(position, '\n') != NULL)
        return;
    state->position = remed_reallocate(&state->allocator, NULL, 0, length + 1);
    if (state->position != NULL)
        memcpy(state->position, position, length + 1);
}

void remed_spool_state_end(struct remed_spool_state *state)
{
    remed_spool_state_position(state, NULL);
}

/* The value of the line that begins with `name`, and the next line. False: it is another. */
static bool spool_state_line(char **at, const char *name, char **value)
{
    size_t length = strlen(name);
    char *end = strchr(*at, '\n');
    if (end == NULL || strncmp(*at, name, length) != 0)
        return false;
    *end = '\0';
    *value = *at + length;
    *at = end + 1;
    return true;
}

static bool spool_state_number(char **at, const char *name, uint64_t *number)
{
    char *value, *end;
    if (!spool_state_line(at, name, &value) || *value < '0' || *value > '9')
        return false;
    errno = 0;
    *number = strtoull(value, &end, 10);
    return *end == '\0' && errno == 0;
}

static bool spool_state_text(char **at, const char *name, char *to, size_t size)
{
    char *value;
    if (!spool_state_line(at, name, &value) || strlen(value) >= size)
        return false;
    memcpy(to, value, strlen(value) + 1);
    return true;
}

/* The checksum stands in the last line, over all before it. */
static bool spool_state_parse(struct remed_spool_state *state, const struct remed_crc *crc,
                              char *text, size_t length)
{
    char *at = text, *position, sum[24];
    const size_t tail = 13; /* "sum 01234567\n" */
    if (length < tail + sizeof first_line || memchr(text, '\0', length) != NULL)
        return false;
    snprintf(sum, sizeof sum, "sum %08x\n",
             (unsigned)remed_crc_of(crc, (const uint8_t *)text, length - tail));
    if (memcmp(text + length - tail, sum, tail) != 0 ||
        (strncmp(text, first_line, sizeof first_line - 1) != 0 &&
         strncmp(text, old_line, sizeof old_line - 1) != 0))
        return false;
    bool old = strncmp(text, old_line, sizeof old_line - 1) == 0;
    at += sizeof first_line - 1;
    if (!spool_state_text(&at, "uri ", state->uri, sizeof state->uri) ||
        !spool_state_text(&at, "origin ", state->origin, sizeof state->origin) ||
        !spool_state_number(&at, "epoch ", &state->epoch) ||
        !spool_state_number(&at, "next ", &state->next) ||
        !spool_state_number(&at, "base ", &state->base) ||
        !spool_state_number(&at, "shift ", &state->shift) ||
        (!old && (!spool_state_text(&at, "waits ", state->waits, sizeof state->waits) ||
                  !spool_state_number(&at, "least ", &state->least))) ||
        !spool_state_line(&at, "position ", &position))
        return false;
    remed_spool_state_position(state, old ? NULL : position); /* others' records count now, too */
    return true;
}

static ssize_t spool_state_read(int file, char *text, size_t size)
{
    size_t held = 0;
    while (held < size) {
        ssize_t got = read(file, text + held, size - held);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -1 : (ssize_t)held;
        held += (size_t)got;
    }
    return (ssize_t)held;
}

int remed_spool_state_load(struct remed_spool_state *state, int folder, const char *path,
                           const struct remed_crc *crc, const struct remed_allocator *allocator,
                           struct remed_error *error)
{
    *state = (struct remed_spool_state){.allocator = *allocator};
    (void)unlinkat(folder, TEMPORARY, 0); /* ours, from a write that was cut short */
    int file = remed_private_open(folder, REMED_SPOOL_STATE, O_RDONLY, "spool", error);
    if (file < 0)
        return file == REMED_ENOENT ? 0 : file;
    char *text = remed_reallocate(allocator, NULL, 0, MOST_BYTES);
    ssize_t length = text != NULL ? spool_state_read(file, text, MOST_BYTES - 1) : 0;
    int rc = 0;
    if (text == NULL) {
        rc = remed_error_set(error, REMED_ENOMEM, "no memory for a spool");
    } else if (length < 0) {
        rc = remed_error_set(error, REMED_EIO, "spool: cannot read %s/%s: %s", path,
                             REMED_SPOOL_STATE, strerror(errno));
    } else {
        text[length] = '\0';
        state->bytes = (size_t)length;
        if (!spool_state_parse(state, crc, text, (size_t)length))
            rc = remed_error_set(error, REMED_EFORMAT,
                                 "spool: %s/%s is damaged, or of a later version; without it the "
                                 "spool is taken as it is: move it away to go on",
                                 path, REMED_SPOOL_STATE);
    }
    remed_release(allocator, text, text != NULL ? MOST_BYTES : 0);
    close(file);
    if (rc < 0)
        remed_spool_state_end(state);
    return rc;
}

static size_t spool_state_print(const struct remed_spool_state *state, const struct remed_crc *crc,
                                char *text)
{
    int length =
        snprintf(text, MOST_BYTES,
                 "%suri %s\norigin %s\nepoch %llu\nnext %llu\nbase %llu\nshift %llu\n"
                 "waits %s\nleast %llu\nposition %s\n",
                 first_line, state->uri, state->origin, (unsigned long long)state->epoch,
                 (unsigned long long)state->next, (unsigned long long)state->base,
                 (unsigned long long)state->shift, state->waits, (unsigned long long)state->least,
                 state->position != NULL ? state->position : "");
    size_t used = (size_t)length;
    unsigned sum = (unsigned)remed_crc_of(crc, (const uint8_t *)text, used);
    return used + (size_t)snprintf(text + used, MOST_BYTES - used, "sum %08x\n", sum);
}

/* 0, or errno. */
static int spool_state_write(int folder, const char *text, size_t length)
{
    struct remed_error ignored;
    size_t done = 0;
    int flags = O_WRONLY | O_CREAT | O_TRUNC;
    int file = remed_private_open(folder, TEMPORARY, flags, "spool", &ignored), number = 0;
    if (file < 0)
        return errno != 0 ? errno : EIO;
    while (number == 0 && done < length) {
        ssize_t got = write(file, text + done, length - done);
        if (got < 0 && errno != EINTR)
            number = errno;
        else if (got == 0)
            number = ENOSPC;
        done += got > 0 ? (size_t)got : 0;
    }
    if (number == 0 && fsync(file) < 0)
        number = errno;
    close(file);
    if (number == 0 && renameat(folder, TEMPORARY, folder, REMED_SPOOL_STATE) < 0)
        number = errno;
    else if (number == 0)
        return fsync(folder) < 0 ? errno : 0;
    (void)unlinkat(folder, TEMPORARY, 0);
    return number;
}

int remed_spool_state_save(struct remed_spool_state *state, int folder, const char *path,
                           const struct remed_crc *crc, struct remed_error *error)
{
    char *text = remed_reallocate(&state->allocator, NULL, 0, MOST_BYTES);
    if (text == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a spool");
    size_t length = spool_state_print(state, crc, text);
    int number = spool_state_write(folder, text, length);
    remed_release(&state->allocator, text, MOST_BYTES);
    if (number == 0) {
        state->bytes = length;
        return 0;
    }
    bool full = number == ENOSPC || number == EDQUOT || number == EFBIG;
    return remed_error_set(error, full ? REMED_EBUSY : REMED_EIO, "spool: cannot write %s/%s: %s",
                           path, REMED_SPOOL_STATE, strerror(number));
}
