/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records from the wire: whatever is taken must be a record that writes, reads and compares, and
 * that has a key; JSON of it must read back as the same.
 */
#include <remediate/json.h>
#include <remediate/state.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct remed_record *record, *again;

static void check(int holds)
{
    if (!holds)
        abort();
}

static void check_json(const struct remed_record *from)
{
    static char text[4 * REMED_RECORD_MAX];
    uint8_t key[REMED_KEY_MAX], other[REMED_KEY_MAX];
    size_t length;
    if (remed_json_write(from, text, sizeof text, &length) < 0)
        return;
    /* JSON has no room for fields of later versions, nor for a time beyond its years */
    if (remed_json_read(again, text, length, NULL, NULL) < 0)
        return;
    size_t m = remed_record_key(from, key, sizeof key);
    size_t n = remed_record_key(again, other, sizeof other);
    check(m == n && memcmp(key, other, m) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t wire[REMED_RECORD_MAX], second[REMED_RECORD_MAX];
    size_t length, other, measured;
    if (record == NULL)
        check(remed_record_new(&record, NULL) == 0 && remed_record_new(&again, NULL) == 0);
    int measure = remed_record_measure(data, size, &measured);
    if (remed_record_decode(record, data, size, NULL) < 0) {
        check(remed_record_key(record, NULL, 0) == 0);
        return 0;
    }
    check(measure == 0 && measured == size);
    check(remed_record_key(record, NULL, 0) > 0 &&
          remed_record_key(record, NULL, 0) <= REMED_KEY_MAX);
    check(remed_record_encode(record, wire, sizeof wire, &length) == 0);
    check(remed_record_decode(again, wire, length, NULL) == 0);
    check(remed_record_encode(again, second, sizeof second, &other) == 0);
    check(length == other && memcmp(wire, second, length) == 0);
    check(remed_record_compare(record, again) == 0);
    check_json(record);
    return 0;
}
