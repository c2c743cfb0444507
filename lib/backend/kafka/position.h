/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Positions as text: "kafka:CLUSTER/TOPIC/PARTITION:OFFSET,…". They name what they belong to; '-'
 * stands for a cluster without an id. Places are digits alone, parted by commas.
 *
 * Threads: no state.
 */
#ifndef REMED_BACKEND_KAFKA_POSITION_H
#define REMED_BACKEND_KAFKA_POSITION_H

#include "base/percent.h"

#include <stdio.h>

#define REMED_KAFKA_NAME 400u /* a cluster's id or a topic, with room for escapes */

/* Digits up to `most`; *at moves behind them. */
static inline bool remed_kafka_read_digits(const char **at, uint64_t most, uint64_t *number)
{
    const char *digit = *at;
    *number = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        uint64_t value = (uint64_t)(*digit - '0');
        if (*number > (most - value) / 10)
            return false;
        *number = *number * 10 + value;
    }
    bool any = digit != *at;
    *at = digit;
    return any;
}

/* One place; *at moves behind it and its comma. False when it is none, or a comma is the last. */
static inline bool remed_kafka_read_place(const char **at, uint32_t *partition, int64_t *offset)
{
    uint64_t number, place;
    if (!remed_kafka_read_digits(at, INT32_MAX, &number) || *(*at)++ != ':' ||
        !remed_kafka_read_digits(at, INT64_MAX, &place) || (**at != '\0' && **at != ','))
        return false;
    *partition = (uint32_t)number;
    *offset = (int64_t)place;
    *at += **at == ',' && (*at)[1] != '\0';
    return **at != ',';
}

/* Whether a text is places and nothing else. */
static inline bool remed_kafka_is_position(const char *text)
{
    uint32_t partition;
    int64_t offset;
    do
        if (!remed_kafka_read_place(&text, &partition, &offset))
            return false;
    while (*text != '\0');
    return true;
}

/* Writes a name and a slash, with %XX for what could end it; `at` may be beyond the size. */
static inline size_t remed_kafka_write_part(char *text, size_t size, size_t at, const char *name)
{
    for (const char *c = *name != '\0' ? name : "-"; *c != '\0'; c++) {
        bool usual = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || strchr("._-", *c) != NULL;
        at += (size_t)snprintf(at < size ? text + at : NULL, at < size ? size - at : 0,
                               usual ? "%c" : "%%%02x", (unsigned char)*c);
    }
    return at + (size_t)snprintf(at < size ? text + at : NULL, at < size ? size - at : 0, "/");
}

/* Writes what stands before the places, as snprintf does. */
static inline size_t remed_kafka_write_name(char *text, size_t size, const char *cluster,
                                            const char *topic)
{
    size_t at = (size_t)snprintf(text, size, "kafka:");
    at = remed_kafka_write_part(text, size, at, cluster);
    return remed_kafka_write_part(text, size, at, topic);
}

/* Takes a position apart: its places, or NULL when it is none. `cluster` ("" for '-') and `topic`
 * have room for REMED_KAFKA_NAME bytes each. */
static inline const char *remed_kafka_read_position(const char *text, char *cluster, char *topic)
{
    const char *id = text + 6, *name, *places;
    if (strncmp(text, "kafka:", 6) != 0 || (name = strchr(id, '/')) == NULL ||
        (places = strchr(name + 1, '/')) == NULL)
        return NULL;
    if (!remed_percent_decode(cluster, REMED_KAFKA_NAME, id, (size_t)(name - id)) ||
        !remed_percent_decode(topic, REMED_KAFKA_NAME, name + 1, (size_t)(places - name - 1)) ||
        *cluster == '\0' || *topic == '\0' || !remed_kafka_is_position(places + 1))
        return NULL;
    if (strcmp(cluster, "-") == 0)
        *cluster = '\0';
    return places + 1;
}

#endif
