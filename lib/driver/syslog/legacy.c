/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RFC 3164 as boxes really send it. After the priority come, each only if it is there:
 *
 *   Cisco's number of the message   000029:
 *   its host, before the time       router1:
 *   a time                          Nov 24 10:00:00   *Mar  1 18:48:50.483 UTC:
 * 2026-11-24T10:00:00Z a host                          fw1   fw1:   fw1 :   192.0.2.1   2001:db8::1
 *   a tag                           app:   app[12]:   %ASA-6-302013:
 *   the message
 *
 * A word that ends in a colon, or has a bracket, is a tag: so a host that was left out is not taken
 * from the message. Without priority and time there is no header, and all is message.
 *
 * Threads: no state.
 */
#include "driver/syslog/syslog.h"

#include "driver/log/calendar.h"

#define HOST_MAX 255
#define TAG_MAX 64
#define ZONE_LETTERS 5

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') <= 9;
}

static bool is_letter(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') <= 'z' - 'a';
}

static const uint8_t *skip_blanks(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at == ' ')
        at++;
    return at;
}

/* What ends a word; at most `most` bytes away, else NULL. */
static const uint8_t *word_end(const uint8_t *at, const uint8_t *end, size_t most)
{
    const uint8_t *last = (size_t)(end - at) > most ? at + most : end;
    for (; at < last; at++)
        if (*at <= ' ')
            return at;
    return last == end ? end : NULL;
}

/* UTC or CET behind a time, and its colon; *utc says which. */
static const uint8_t *skip_zone(const uint8_t *at, const uint8_t *end, bool *utc)
{
    const uint8_t *next = at + 1;
    unsigned letters = 0;
    if (at == end || *at != ' ')
        return at;
    for (; next < end && *next >= 'A' && *next <= 'Z' && letters < ZONE_LETTERS; next++)
        letters++;
    if (letters < 3 || next == end || *next != ':')
        return at;
    *utc = memcmp(next - 3, "UTC", 3) == 0 || memcmp(next - 3, "GMT", 3) == 0;
    return next;
}

/* "Nov 24 10:00:00 2026": the year stands behind; the time is read again with it in its place. */
static const uint8_t *read_late_year(const struct remed_calendar *calendar, const uint8_t *begin,
                                     const uint8_t *next, const uint8_t *end, uint64_t *ns)
{
    uint8_t text[48];
    size_t length = (size_t)(next - begin), date = 7;                /* "Nov 24 " */
    bool colon = end - next > 6 && next[5] == ':' && next[6] == ' '; /* 2001:db8::1 is none */
    bool year = is_letter(*begin) && end - next > 5 && next[0] == ' ' && is_digit(next[3]) &&
                is_digit(next[4]) && (next[5] == ' ' || colon) &&
                (memcmp(next + 1, "20", 2) == 0 || memcmp(next + 1, "19", 2) == 0);
    if (!year || length + 5 > sizeof text || length < date)
        return next;
    memcpy(text, begin, date);
    memcpy(text + date, next + 1, 4);
    text[date + 4] = ' ';
    memcpy(text + date + 5, begin + date, length - date);
    const uint8_t *stop = text + length + 5;
    return remed_read_stamp(calendar, text, stop, ns) == stop ? next + 5 : next;
}

/* Behind a time and the colon that may end it, with blanks; `at` without one. */
static const uint8_t *read_time(struct remed_syslog_message *message, const uint8_t *at,
                                const uint8_t *end, const struct remed_syslog_context *context)
{
    struct remed_calendar calendar = {context->received, context->zone};
    const uint8_t *begin = at;
    bool utc = false;
    if (begin < end && *begin == ':') /* an ASA with timestamps and without host */
        begin++;
    if (begin < end &&
        (*begin == '*' || *begin == '.')) /* Cisco: the clock is not set, not synced */
        begin++;
    const uint8_t *next = remed_read_stamp(&calendar, begin, end, &message->time);
    if (next == NULL || (next < end && *next != ' ' && *next != ':')) {
        message->time = context->received;
        return at;
    }
    message->timed = 1;
    const uint8_t *behind = skip_zone(next, end, &utc);
    if (utc) {
        calendar.zone = 0;
        remed_read_stamp(&calendar, begin, end, &message->time);
    }
    if (behind == next)
        behind = read_late_year(&calendar, begin, next, end, &message->time);
    if (behind < end && *behind == ':')
        behind++;
    return skip_blanks(behind, end);
}

/* "000029: " and "router1: " before a time. */
static const uint8_t *read_cisco(struct remed_syslog_message *message, const uint8_t *at,
                                 const uint8_t *end, const struct remed_syslog_context *context)
{
    const uint8_t *next = at;
    while (next < end && is_digit(*next) && next - at < 20)
        next++;
    if (next == at || end - next < 2 || next[0] != ':' || next[1] != ' ')
        return at;
    const uint8_t *number_end = next, *name = skip_blanks(next + 1, end);
    const uint8_t *stop = word_end(name, end, HOST_MAX);
    struct remed_syslog_message probe = *message;
    message->procid = remed_syslog_span(at, number_end);
    if (stop == NULL || stop - name < 2 || stop[-1] != ':' || *name == '%' || *name == '*' ||
        *name == '.')
        return name;
    const uint8_t *after = skip_blanks(stop, end);
    if (read_time(&probe, after, end, context) == after)
        return name;
    message->host = remed_syslog_span(name, stop - 1);
    return after;
}

static bool is_tag_byte(uint8_t c)
{
    return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '/' ||
           c == '%' || c == '(' || c == ')';
}

/* Behind app:  app[12]:  app[12]  %ASA-6-302013:  */
static const uint8_t *read_tag(struct remed_syslog_message *message, const uint8_t *at,
                               const uint8_t *end)
{
    const uint8_t *next = at, *last = end - at > TAG_MAX ? at + TAG_MAX : end;
    while (next < last && is_tag_byte(*next))
        next++;
    if (next == at || next == end || (*next != ':' && *next != '['))
        return at;
    struct remed_syslog_text app = remed_syslog_span(at, next), procid = {NULL, 0};
    if (*next == '[') {
        const uint8_t *stop =
            memchr(next, ']', (size_t)(end - next > TAG_MAX ? TAG_MAX : end - next));
        if (stop == NULL)
            return at;
        procid = remed_syslog_span(next + 1, stop);
        next = stop + 1;
    }
    if (next < end && *next == ':')
        next++;
    else if (next < end && *next != ' ')
        return at;
    message->app = app;
    if (procid.length > 0)
        message->procid = procid;
    if (*at == '%' && app.length > 1)
        message->msgid = remed_syslog_span(at + 1, at + app.length);
    return skip_blanks(next, end);
}

/* A name, an IPv4 or an IPv6 address. */
static bool is_host(const uint8_t *at, const uint8_t *end)
{
    for (; at < end; at++)
        if (!is_letter(*at) && !is_digit(*at) && *at != '-' && *at != '.' && *at != '_' &&
            *at != ':' && *at != '/' && *at < 0x80)
            return false;
    return true;
}

/* A host, unless the word is a tag; a colon at it or behind it (Cisco, F5) is passed over when what
 * follows is a message id. */
static const uint8_t *read_host(struct remed_syslog_message *message, const uint8_t *at,
                                const uint8_t *end)
{
    const uint8_t *stop = word_end(at, end, HOST_MAX);
    if (stop == NULL || stop == at || stop == end || !is_host(at, stop))
        return at;
    const uint8_t *next = skip_blanks(stop, end);
    if (stop[-1] == ':') {
        if (stop - at < 2 || next == end || *next != '%')
            return at;
        stop--;
    } else if (end - next > 2 && next[0] == ':' && next[1] == ' ') {
        next = skip_blanks(next + 1, end);
    }
    message->host = remed_syslog_span(at, stop);
    return next;
}

void remed_syslog_read_3164(struct remed_syslog_message *message, const uint8_t *at,
                            const uint8_t *end, const struct remed_syslog_context *context)
{
    const bool prioritised = message->format == REMED_SYSLOG_RFC3164;
    const uint8_t *next = read_cisco(message, at, end, context);
    next = read_time(message, next, end, context);
    if (!message->timed && !prioritised) {
        message->host = message->procid = (struct remed_syslog_text){NULL, 0};
        message->message = remed_syslog_span(at, end);
        return;
    }
    message->format = REMED_SYSLOG_RFC3164;
    if (message->timed && message->host.text == NULL)
        next = read_host(message, next, end);
    next = read_tag(message, next, end);
    message->message = remed_syslog_span(next, end);
}
