/* SPDX-License-Identifier: BSD-3-Clause */
/* The intake of intake.h. Threads: one. */
#include "intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_ROOM 65536u
#define MOST_ROOM (2u << 20) /* a record has 1 MiB as a line at most */

bool intake_init(struct intake *intake, const char *name)
{
    *intake = (struct intake){.name = name, .defaults = {.size = sizeof intake->defaults}};
    return remed_record_new(&intake->record, NULL) == 0;
}

void intake_fini(struct intake *intake)
{
    remed_record_free(intake->record);
    free(intake->input);
}

static bool make_room(struct intake *intake)
{
    if (intake->begin > 0) {
        memmove(intake->input, intake->input + intake->begin, intake->held);
        intake->begin = 0;
    }
    if (intake->held < intake->room)
        return true;
    size_t room = intake->room == 0 ? FIRST_ROOM : intake->room * 2;
    uint8_t *grown = room <= MOST_ROOM ? realloc(intake->input, room) : NULL;
    if (grown == NULL)
        return false;
    intake->input = grown;
    intake->room = room;
    return true;
}

int intake_read(struct intake *intake, int file)
{
    if (!make_room(intake))
        return fail("%s: a record longer than 1 MiB, after number %llu", intake->name,
                    (unsigned long long)intake->number);
    ssize_t got = read(file, intake->input + intake->held, intake->room - intake->held);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN ? EXIT_OK
                                                 : fail("%s: %s", intake->name, strerror(errno));
    intake->held += (size_t)got;
    intake->at_end = got == 0;
    return EXIT_OK;
}

static void pass(struct intake *intake, size_t bytes)
{
    intake->begin += bytes;
    intake->held -= bytes;
}

/* A line; blank ones are passed over. */
static int take_line(struct intake *intake, size_t length)
{
    struct remed_error error;
    const char *line = (const char *)intake->input + intake->begin;
    intake->number++;
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (length == 0)
        return 0;
    intake->defaults.observed = real_ns();
    if (remed_json_read(intake->record, line, length, &intake->defaults, &error) == 0)
        return 1;
    fail("%s:%llu:%u: %s", intake->name, (unsigned long long)intake->number, error.column,
         error.message);
    return -1;
}

static int next_line(struct intake *intake)
{
    while (intake->held > 0) {
        const uint8_t *at = intake->input + intake->begin;
        const uint8_t *newline = memchr(at, '\n', intake->held);
        if (newline == NULL && !intake->at_end)
            return 0;
        size_t length = newline != NULL ? (size_t)(newline - at) : intake->held;
        int taken = take_line(intake, length);
        pass(intake, length + (newline != NULL));
        if (taken != 0)
            return taken;
    }
    return 0;
}

static int next_wire(struct intake *intake)
{
    struct remed_error error;
    size_t length = 0;
    const uint8_t *at = intake->input + intake->begin;
    int rc = remed_record_measure(at, intake->held, &length);
    if (rc == REMED_ETRUNCATED && !intake->at_end)
        return 0;
    intake->number++;
    if (rc < 0)
        fail("%s: record %llu: %s", intake->name, (unsigned long long)intake->number,
             remed_strerror(rc));
    else if ((rc = remed_record_decode(intake->record, at, length, &error)) < 0)
        fail("%s: record %llu: %s", intake->name, (unsigned long long)intake->number,
             error.message);
    pass(intake, length);
    return rc < 0 ? -1 : 1;
}

int intake_next(struct intake *intake)
{
    if (intake->held == 0)
        return 0;
    return intake->input[intake->begin] >= 0x80 ? next_wire(intake) : next_line(intake);
}
