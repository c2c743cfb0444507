/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segment files: any bytes as the last segment of a folder, by half of them with checksums that are
 * right. A reader must come to an end, and a writer must be able to open the folder, add a record
 * and find it, and remove nothing but the beginning of a record at the end; a newer version of the
 * format is refused by both.
 */
#include "repository/segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECOND 1000000000ull

static char folder[64], uri[128];

static void check(int holds)
{
    if (!holds)
        abort();
}

struct seen {
    int found, caught_up, code;
};

static void on_message(void *context, const struct remed_message *message)
{
    struct seen *seen = context;
    seen->found |= message->key_length == 6 && memcmp(message->key, "marker", 6) == 0;
}

static void on_caught_up(void *context)
{
    ((struct seen *)context)->caught_up = 1;
}

static void remove_segments(void)
{
    DIR *open_folder = opendir(folder);
    const struct dirent *entry;
    check(open_folder != NULL);
    while ((entry = readdir(open_folder)) != NULL)
        if (entry->d_name[0] != '.')
            check(unlinkat(dirfd(open_folder), entry->d_name, 0) == 0);
    closedir(open_folder);
}

static struct seen read_all(void)
{
    struct seen seen = {0, 0, 0};
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    remed_transport_opts_init(&opts, sizeof opts);
    opts.max_pending = 16;
    opts.events = (struct remed_transport_events){
        .context = &seen, .message = on_message, .caught_up = on_caught_up};
    check(remed_transport_open(&transport, uri, &opts, NULL) == 0);
    check(remed_transport_subscribe(transport, "begin", NULL) == 0);
    for (unsigned i = 1; i < 100 && seen.caught_up == 0 && seen.code >= 0; i++)
        seen.code = remed_transport_process(transport, i * SECOND, NULL);
    remed_transport_close(transport, NULL);
    return seen;
}

/* Makes the checksum of whatever looks like a record right: no fuzzer finds it by chance. */
static void mend_checksums(uint8_t *bytes, size_t size)
{
    static struct remed_crc crc;
    if (crc.table[0][1] == 0)
        remed_crc_init(&crc);
    for (size_t at = 0; at + REMED_SEGMENT_RECORD <= size; at++) {
        size_t whole = (size_t)REMED_SEGMENT_RECORD + remed_load32_little(bytes + at + 16) +
                       remed_load32_little(bytes + at + 20);
        if (memcmp(bytes + at, "RER1", 4) != 0 || whole > size - at)
            continue;
        uint32_t sum = remed_crc_of(&crc, bytes + at + 8, whole - 8);
        for (unsigned i = 0; i < 4; i++)
            bytes[at + 4 + i] = (uint8_t)(sum >> 8 * i);
    }
}

/* Whether a record may begin within the last bytes before `end`. */
static int begins_record(const uint8_t *bytes, size_t size, size_t end)
{
    for (size_t at = end > REMED_SEGMENT_RECORD ? end - REMED_SEGMENT_RECORD : 0; at <= end; at++)
        if (memcmp(bytes + at, "RER1", size - at < 4 ? size - at : 4) == 0)
            return 1;
    return 0;
}

/* What there was is there, up to the beginning of a record at the end, in whose place the marker
 * may be now: it begins as that did. */
static void check_kept(const char *path, const uint8_t *bytes, size_t size, int has_header)
{
    static uint8_t now[65536];
    size_t same = 0;
    int fd = open(path, O_RDONLY);
    check(fd >= 0);
    ssize_t got = pread(fd, now, sizeof now, has_header ? (off_t)REMED_SEGMENT_HEADER : 0);
    close(fd);
    while (same < size && (ssize_t)same < got && now[same] == bytes[same])
        same++;
    check(same == size || begins_record(bytes, size, same));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[65536];
    static const uint8_t header[24] = {'R', 'E', 'M', 'E', 'D', 'S', 'E', 'G', 1};
    const struct remed_message marker = {.key = (const uint8_t *)"marker",
                                         .value = (const uint8_t *)"x",
                                         .key_length = 6,
                                         .value_length = 1};
    struct remed_transport *transport = NULL;
    struct remed_transport_opts few;
    char path[160];
    remed_transport_opts_init(&few, sizeof few);
    few.max_pending = 16;
    if (folder[0] == '\0') {
        snprintf(folder, sizeof folder, "/dev/shm/remediate-fuzz-XXXXXX");
        check(mkdtemp(folder) != NULL);
        snprintf(uri, sizeof uri, "file://%s?sync=never&compact=0", folder);
    }
    if (size > sizeof bytes)
        return 0;
    if (size > 0)
        memcpy(bytes, data, size);
    if (size > 0 && (data[0] & 2) == 0)
        mend_checksums(bytes, size);
    remove_segments();
    snprintf(path, sizeof path, "%s/%020d.log", folder, 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    check(fd >= 0);
    if (size > 0 && (data[0] & 1) == 0) /* half of them with a header that is right */
        check(write(fd, header, sizeof header) == (ssize_t)sizeof header);
    check(write(fd, bytes, size) == (ssize_t)size);
    close(fd);
    const struct seen before = read_all();
    check(before.caught_up || before.code == REMED_EUNSUPPORTED);
    check(remed_transport_open(&transport, uri, &few, NULL) == 0);
    int rc = remed_transport_publish(transport, &marker, 0, NULL);
    check(rc == (before.caught_up ? 0 : REMED_EUNSUPPORTED));
    check(remed_transport_close(transport, NULL) == 0);
    check_kept(path, bytes, size, size > 0 && (data[0] & 1) == 0);
    struct seen seen = read_all();
    check(before.caught_up == 0 || (seen.found && seen.caught_up));
    return 0;
}
