/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * State files of followed files, as whoever can write one leaves them. What is taken as a position
 * comes back the same when it is saved and loaded again.
 */
#include "backend/syslog/follow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLLOWED "/var/log/a log"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char state[64];

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void remove_state(void)
{
    unlink(state);
}

static void write_state(const uint8_t *data, size_t size)
{
    if (state[0] == '\0') {
        snprintf(state, sizeof state, "/tmp/remediate-fuzz-position-%ld", (long)getpid());
        atexit(remove_state);
    }
    FILE *file = fopen(state, "wb");
    check(file != NULL);
    check(fwrite(data, 1, size, file) == size);
    check(fclose(file) == 0);
}

static int on_line(void *context, const struct remed_listener_line *line)
{
    (void)context;
    (void)line;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct remed_listener *listener;
    struct positions first, again;
    struct remed_error error;
    if (listener == NULL) {
        struct remed_listener_opts opts;
        remed_listener_opts_init(&opts, sizeof opts);
        opts.line = on_line;
        check(remed_listener_new(&listener, &opts, &error) == 0);
    }
    write_state(data, size);
    if (remed_positions_load(listener, state, FOLLOWED, &first, &error) < 0) {
        check(error.message[0] != '\0');
        return 0;
    }
    check(first.count <= FILES && (!first.damaged || first.count == 0));
    if (first.count == 0)
        return 0;
    check(remed_positions_save(state, FOLLOWED, first.each, first.count, &error) == 0);
    check(remed_positions_load(listener, state, FOLLOWED, &again, &error) == 0);
    check(again.count == first.count && !again.damaged && !again.unnamed);
    check(memcmp(first.each, again.each, first.count * sizeof *first.each) == 0);
    return 0;
}
