/* SPDX-License-Identifier: BSD-3-Clause */
/* JSON that anyone wrote: what is taken is a record that goes over the wire and back as JSON. */
#include <remediate/json.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct remed_record *record, *again;
    static uint8_t wire[REMED_RECORD_MAX];
    static char text[4 * REMED_RECORD_MAX];
    const struct remed_json_defaults defaults = {.size = sizeof defaults, .domain = "d"};
    struct remed_error error;
    size_t length;
    if (record == NULL)
        check(remed_record_new(&record, NULL) == 0 && remed_record_new(&again, NULL) == 0);
    if (remed_json_read(record, (const char *)data, size, &defaults, &error) < 0) {
        check(error.message[0] != '\0');
        return 0;
    }
    check(remed_record_encode(record, wire, sizeof wire, &length) == 0);
    check(remed_record_decode(again, wire, length, NULL) == 0);
    check(remed_json_write(again, text, sizeof text, &length) == 0);
    check(remed_json_read(record, text, length, NULL, &error) == 0);
    return 0;
}
