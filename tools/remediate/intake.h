/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records from a stream, JSON lines or MessagePack, told by the first byte, as they come: read when
 * there is something to read, then taken one by one.
 *
 * Threads: one.
 */
#ifndef REMEDIATE_INTAKE_H
#define REMEDIATE_INTAKE_H

#include "carry.h"

struct intake {
    const char *name;
    struct remed_record *record; /* the one that was taken last */
    struct remed_json_defaults defaults;
    uint64_t number; /* of its line or record, from 1 */
    bool at_end;
    uint8_t *input;
    size_t begin, held, room;
};

/* `name` stands in complaints: a path, or "-" for standard input; borrowed. */
bool intake_init(struct intake *intake, const char *name);
void intake_fini(struct intake *intake);
/* Reads once; complains. */
int intake_read(struct intake *intake, int file);
/* Takes the next record: 1, 0 when more must be read first or all is taken, -1 after complaining.
 */
int intake_next(struct intake *intake);

#endif
