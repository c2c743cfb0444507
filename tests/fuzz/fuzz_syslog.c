/* SPDX-License-Identifier: BSD-3-Clause */
/* A header of anyone's: its parts lie within the message and in order, and the rest is the message.
 */
#include <remediate/syslog.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

static void within(struct remed_syslog_text text, const uint8_t *data, size_t size)
{
    const char *begin = (const char *)data, *end = begin + size;
    if (text.text == NULL) {
        check(text.length == 0);
        return;
    }
    check(text.text >= begin && text.text <= end && text.length <= (size_t)(end - text.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct remed_syslog_context context = {.received = 1795521600000000000u, .zone = -3600};
    struct remed_syslog_message message;
    remed_syslog_read(&message, sizeof message, (const char *)data, size, &context);
    check(message.format < REMED_SYSLOG_FORMATS);
    check(message.facility < 24 || message.facility == REMED_SYSLOG_NOT_TOLD);
    check(message.severity < 8 || message.severity == REMED_SYSLOG_NOT_TOLD);
    check(message.timed || message.time == context.received);
    within(message.host, data, size);
    within(message.app, data, size);
    within(message.procid, data, size);
    within(message.msgid, data, size);
    within(message.data, data, size);
    within(message.message, data, size);
    check(message.message.text + message.message.length == (const char *)data + size);
    return 0;
}
