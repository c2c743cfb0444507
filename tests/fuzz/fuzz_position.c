/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Positions of kafka:, as a host or a snapshot file hands them back. What is taken as one comes
 * back the same when its places are written again, but for leading zeros.
 */
#include "backend/kafka/position.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Writes the places of a position anew. */
static void rewrite(const char *text, char *again, size_t room)
{
    uint32_t partition;
    int64_t offset;
    size_t used = 0;
    while (*text != '\0') {
        check(remed_kafka_read_place(&text, &partition, &offset) && offset >= 0);
        used += (size_t)snprintf(again + used, room - used, "%s%" PRIu32 ":%" PRId64,
                                 used > 0 ? "," : "", partition, offset);
        check(used < room);
    }
}

/* A whole position: the names in it come back out of what is written of them. */
static void check_name(const char *text)
{
    static char again[2 * LONGEST];
    char cluster[REMED_KAFKA_NAME], topic[REMED_KAFKA_NAME];
    char cluster2[REMED_KAFKA_NAME], topic2[REMED_KAFKA_NAME];
    const char *places = remed_kafka_read_position(text, cluster, topic);
    if (places == NULL)
        return;
    check(remed_kafka_is_position(places) && *topic != '\0');
    size_t length = remed_kafka_write_name(again, sizeof again, cluster, topic);
    check(length == strlen(again) && length + strlen(places) < sizeof again);
    memcpy(again + length, places, strlen(places) + 1);
    places = remed_kafka_read_position(again, cluster2, topic2);
    check(places == again + length && strcmp(cluster, cluster2) == 0);
    check(strcmp(topic, topic2) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char once[2 * LONGEST], twice[2 * LONGEST];
    char *text = size < LONGEST ? malloc(size + 1) : NULL;
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (remed_kafka_is_position(text)) {
        rewrite(text, once, sizeof once);
        check(remed_kafka_is_position(once));
        rewrite(once, twice, sizeof twice);
        check(strcmp(once, twice) == 0 && strlen(once) <= strlen(text));
    }
    check_name(text);
    free(text);
    return 0;
}
