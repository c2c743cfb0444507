/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A folder for tests of the file transport: numbers published to it and read back, files looked at
 * and damaged. A record of a number has a key of 4 bytes and a value of 8: 36 bytes.
 */
#ifndef REMED_TEST_FILES_H
#define REMED_TEST_FILES_H

#include "unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <remediate/transport.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MOST 4096u
#define FILES_HEADER 24u
#define FILES_RECORD 36u
#define FILES_SECOND 1000000000ull

struct files_seen {
    unsigned times[FILES_MOST]; /* by number */
    unsigned count, delivered, lost;
    int caught_up;
    char damage[512];
    char position[128];
    struct remed_transport_stats stats;
    struct remed_error error;
};

static char files_folder[64];

static inline void files_begin(void)
{
    snprintf(files_folder, sizeof files_folder, "/tmp/remediate-files-XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(files_folder));
}

static inline void files_end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", files_folder);
    CU_ASSERT_EQUAL(system(command), 0);
}

static inline void files_on_delivered(void *context, uint64_t tag, int code)
{
    struct files_seen *seen = context;
    (void)tag;
    seen->delivered += code == 0;
    seen->lost += code != 0;
}

static inline void files_on_message(void *context, const struct remed_message *message)
{
    struct files_seen *seen = context;
    uint32_t number;
    memcpy(&number, message->key, sizeof number);
    seen->count++;
    if (number < FILES_MOST)
        seen->times[number]++;
}

static inline void files_on_caught_up(void *context)
{
    ((struct files_seen *)context)->caught_up++;
}

static inline struct remed_transport *files_open(const char *more, struct files_seen *seen)
{
    char uri[256];
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    snprintf(uri, sizeof uri, "file://%s%s", files_folder, more);
    remed_transport_opts_init(&opts, sizeof opts);
    opts.events = (struct remed_transport_events){.context = seen,
                                                  .delivered = files_on_delivered,
                                                  .message = files_on_message,
                                                  .caught_up = files_on_caught_up};
    if (remed_transport_open(&transport, uri, &opts, &seen->error) < 0)
        printf("%s: %s\n", uri, seen->error.message);
    return transport;
}

static inline int files_publish(struct remed_transport *transport, uint32_t number,
                                struct remed_error *error)
{
    uint64_t value = number;
    const struct remed_message message = {.key = (const uint8_t *)&number,
                                          .value = (const uint8_t *)&value,
                                          .key_length = sizeof number,
                                          .value_length = sizeof value};
    return remed_transport_publish(transport, &message, number, error);
}

/* Publishes numbers from `from` to below `to`; 0, or the error. */
static inline int files_write(const char *more, uint32_t from, uint32_t to,
                              struct remed_error *error)
{
    struct files_seen seen = {.count = 0};
    struct remed_transport *transport = files_open(more, &seen);
    int rc = transport != NULL ? 0 : seen.error.code;
    for (uint32_t number = from; number < to && rc >= 0; number++) {
        rc = files_publish(transport, number, error);
        if (rc == 0)
            rc = remed_transport_process(transport, number, error);
    }
    for (unsigned i = 0; i < 10000 && rc > 0; i++)
        rc = remed_transport_process(transport, FILES_MOST + i, error);
    int closed = remed_transport_close(transport, NULL);
    if (rc == 0 && (closed < 0 || seen.delivered != to - from))
        rc = closed < 0 ? closed : REMED_EIO;
    return rc;
}

/* Reads from a place until it has caught up; the clock goes by seconds. */
static inline int files_read(const char *more, const char *from, struct files_seen *seen)
{
    memset(seen, 0, sizeof *seen);
    struct remed_transport *transport = files_open(more, seen);
    if (transport == NULL)
        return seen->error.code;
    int rc = remed_transport_subscribe(transport, from, &seen->error);
    for (unsigned i = 1; i < 60 && rc >= 0 && seen->caught_up == 0; i++)
        rc = remed_transport_process(transport, i * FILES_SECOND, &seen->error);
    remed_transport_stats(transport, &seen->stats, sizeof seen->stats);
    remed_transport_damage(transport, seen->damage, sizeof seen->damage);
    remed_transport_position(transport, seen->position, sizeof seen->position);
    remed_transport_close(transport, NULL);
    return rc < 0 ? rc : 0;
}

static inline void files_path(char path[160], const char *name)
{
    snprintf(path, 160, "%s/%s", files_folder, name);
}

static inline long files_size(const char *name)
{
    char path[160];
    struct stat status;
    files_path(path, name);
    return stat(path, &status) == 0 ? (long)status.st_size : -1;
}

/* Writes bytes into a file, which grows where it must. */
static inline void files_put(const char *name, long at, const void *bytes, size_t length)
{
    char path[160];
    files_path(path, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(pwrite(fd, bytes, length, at), (ssize_t)length);
    close(fd);
}

static inline void files_flip(const char *name, long at, unsigned char bits)
{
    char path[160];
    unsigned char byte = 0;
    files_path(path, name);
    int fd = open(path, O_RDWR);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(pread(fd, &byte, 1, at), 1);
    byte ^= bits;
    CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static inline void files_cut(const char *name, long length)
{
    char path[160];
    files_path(path, name);
    CU_ASSERT_EQUAL(truncate(path, length), 0);
}

static inline void files_remove(const char *name)
{
    char path[160];
    files_path(path, name);
    CU_ASSERT_EQUAL(unlink(path), 0);
}

#endif
