/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segment files: any bytes as the last segment of a folder. A reader must come to an end, and a
 * writer must be able to open the folder, add a record and find it.
 */
#include <remediate/transport.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64], uri[128];

static void check(int holds)
{
    if (!holds)
        abort();
}

struct seen {
    int found, caught_up;
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
    char command[160];
    snprintf(command, sizeof command, "rm -f %s/*", folder);
    check(system(command) == 0);
}

static struct seen read_all(void)
{
    struct seen seen = {0, 0};
    struct remed_transport *transport = NULL;
    struct remed_transport_opts opts;
    remed_transport_opts_init(&opts, sizeof opts);
    opts.events = (struct remed_transport_events){
        .context = &seen, .message = on_message, .caught_up = on_caught_up};
    check(remed_transport_open(&transport, uri, &opts, NULL) == 0);
    check(remed_transport_subscribe(transport, "begin", NULL) == 0);
    for (unsigned i = 0; i < 100 && seen.caught_up == 0; i++)
        if (remed_transport_process(transport, i, NULL) < 0)
            break;
    remed_transport_close(transport, NULL);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t header[24] = {'R', 'E', 'M', 'E', 'D', 'S', 'E', 'G', 1};
    const struct remed_message marker = {.key = (const uint8_t *)"marker",
                                         .value = (const uint8_t *)"x",
                                         .key_length = 6,
                                         .value_length = 1};
    struct remed_transport *transport = NULL;
    char path[160];
    if (folder[0] == '\0') {
        snprintf(folder, sizeof folder, "/dev/shm/remediate-fuzz-XXXXXX");
        check(mkdtemp(folder) != NULL);
        snprintf(uri, sizeof uri, "file://%s?sync=never&compact=0", folder);
    }
    remove_segments();
    snprintf(path, sizeof path, "%s/%020d.log", folder, 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    check(fd >= 0);
    if (size > 0 && (data[0] & 1) == 0) /* half of them with a header that is right */
        check(write(fd, header, sizeof header) == (ssize_t)sizeof header);
    check(write(fd, data, size) == (ssize_t)size);
    close(fd);
    (void)read_all();
    check(remed_transport_open(&transport, uri, NULL, NULL) == 0);
    if (remed_transport_publish(transport, &marker, 0, NULL) == 0) {
        check(remed_transport_close(transport, NULL) == 0);
        struct seen seen = read_all();
        /* an offset near the end of all numbers, or a header of another kind, may stand in its way
         */
        check(seen.found || !seen.caught_up || size >= 24);
    } else {
        remed_transport_close(transport, NULL);
    }
    return 0;
}
