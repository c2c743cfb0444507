/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The header of a syslog message: which one it is, and that of RFC 5424. One pass, no step back but
 * to the beginning, when what looked like RFC 5424 is not.
 *
 * Threads: no state.
 */
#include "driver/syslog/syslog.h"

#include "driver/log/calendar.h"

const char *remed_syslog_format_name(unsigned format)
{
    static const char *const names[] = {"bare", "rfc3164", "rfc5424"};
    return format < REMED_SYSLOG_FORMATS ? names[format] : NULL;
}

const uint8_t *remed_syslog_priority(struct remed_syslog_message *message, const uint8_t *at,
                                     const uint8_t *end)
{
    unsigned value = 0, digits = 0;
    if (at == end || *at != '<')
        return NULL;
    for (at++; at < end && digits < 3 && *at >= '0' && *at <= '9'; at++, digits++)
        value = value * 10 + (unsigned)(*at - '0');
    if (digits == 0 || value > 191 || at == end || *at != '>')
        return NULL;
    message->facility = (uint8_t)(value >> 3);
    message->severity = (uint8_t)(value & 7);
    return at + 1;
}

/* One field up to its blank; "-" is none. False: there is no field, or nothing behind it. */
static bool field(const uint8_t **at, const uint8_t *end, struct remed_syslog_text *text)
{
    const uint8_t *begin = *at, *stop = memchr(begin, ' ', (size_t)(end - begin));
    if (stop == NULL || stop == begin)
        return false;
    *text = remed_syslog_span(begin, stop);
    if (text->length == 1 && *begin == '-')
        *text = (struct remed_syslog_text){NULL, 0};
    *at = stop + 1;
    return true;
}

/* Behind [id name="value" ...]; a value may hold \" \] and \\, so quotes alone tell its end. */
static const uint8_t *skip_element(const uint8_t *at, const uint8_t *end)
{
    bool quoted = false;
    for (at++; at < end; at++) {
        if (quoted && *at == '\\' && at + 1 < end)
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (!quoted && *at == ']')
            return at + 1;
    }
    return NULL;
}

/* Structured data, and what is behind its blank; false: it never ends. */
static bool structured(struct remed_syslog_message *message, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *begin = *at, *next = begin;
    if (next < end && *next == '-') {
        next++;
    } else {
        while (next != NULL && next < end && *next == '[')
            next = skip_element(next, end);
        if (next == NULL || next == begin)
            return false;
        message->data = remed_syslog_span(begin, next);
    }
    if (next < end && *next != ' ')
        return false;
    *at = next < end ? next + 1 : next;
    return true;
}

bool remed_syslog_read_5424(struct remed_syslog_message *message, const uint8_t *at,
                            const uint8_t *end, const struct remed_syslog_context *context)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    const struct remed_calendar calendar = {context->received, context->zone};
    struct remed_syslog_text stamp;
    if (!field(&at, end, &stamp))
        return false;
    if (stamp.text != NULL) {
        const uint8_t *begin = (const uint8_t *)stamp.text, *stop = begin + stamp.length;
        if (remed_read_stamp(&calendar, begin, stop, &message->time) != stop)
            return false;
        message->timed = 1;
    }
    if (!field(&at, end, &message->host) || !field(&at, end, &message->app) ||
        !field(&at, end, &message->procid) || !field(&at, end, &message->msgid) ||
        !structured(message, &at, end))
        return false;
    if (end - at >= 3 && memcmp(at, mark, sizeof mark) == 0)
        at += sizeof mark;
    message->message = remed_syslog_span(at, end);
    message->format = REMED_SYSLOG_RFC5424;
    return true;
}

void remed_syslog_read(struct remed_syslog_message *message, size_t size, const char *text,
                       size_t length, const struct remed_syslog_context *context)
{
    const struct remed_syslog_message empty = {.size = size,
                                               .facility = REMED_SYSLOG_NOT_TOLD,
                                               .severity = REMED_SYSLOG_NOT_TOLD,
                                               .time = context->received};
    struct remed_syslog_message own = empty;
    const uint8_t *begin = (const uint8_t *)text, *end = begin + length;
    const uint8_t *next = remed_syslog_priority(&own, begin, end);
    bool done = next != NULL && end - next > 2 && next[0] == '1' && next[1] == ' ' &&
                remed_syslog_read_5424(&own, next + 2, end, context);
    if (!done) {
        own = empty;
        next = remed_syslog_priority(&own, begin, end);
        own.format = next != NULL ? REMED_SYSLOG_RFC3164 : REMED_SYSLOG_BARE;
        remed_syslog_read_3164(&own, next != NULL ? next : begin, end, context);
    }
    remed_stats_copy(message, size, &own, sizeof own);
    message->size = size;
}
