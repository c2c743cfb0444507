/* SPDX-License-Identifier: BSD-3-Clause */
/* The reading of calendar.h. Threads: no state. */
#include "driver/log/calendar.h"

#define DAY 86400u

struct civil {
    unsigned year, month, day; /* year 0: not told */
};

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') <= 9;
}

/* Exactly `digits` decimal digits. */
static const uint8_t *fixed(const uint8_t *at, const uint8_t *end, unsigned digits, unsigned *value)
{
    if (at == NULL || (size_t)(end - at) < digits)
        return NULL;
    *value = 0;
    for (unsigned i = 0; i < digits; i++, at++) {
        if (!is_digit(*at))
            return NULL;
        *value = *value * 10 + (unsigned)(*at - '0');
    }
    return at;
}

static const uint8_t *byte(const uint8_t *at, const uint8_t *end, char c)
{
    return at != NULL && at < end && *at == (uint8_t)c ? at + 1 : NULL;
}

static unsigned month_number(const uint8_t *at)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    for (unsigned i = 0; i < 12; i++)
        if ((at[0] | 0x20) == names[3 * i] && (at[1] | 0x20) == names[3 * i + 1] &&
            (at[2] | 0x20) == names[3 * i + 2])
            return i + 1;
    return 0;
}

static bool is_leap(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool is_date(const struct civil *date)
{
    static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (date->month < 1 || date->month > 12 || date->day < 1 || date->day > days[date->month - 1])
        return false;
    if (date->year == 0)
        return true;
    return date->year >= 1970 && date->year <= 2500 &&
           (date->month != 2 || date->day < 29 || is_leap(date->year));
}

/* Days since 1970-01-01 (Howard Hinnant's days_from_civil). */
static uint64_t days_of(const struct civil *date)
{
    unsigned year = date->year - (date->month <= 2), era = year / 400, of_era = year - era * 400;
    unsigned of_year = (153 * (date->month + (date->month > 2 ? -3u : 9u)) + 2) / 5 + date->day - 1;
    return (uint64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* The year of a time, near enough to choose one: a day more or less does not matter. */
static unsigned year_of(uint64_t ns)
{
    uint64_t days = ns / (DAY * REMED_NS_PER_S);
    return (unsigned)(1970 + days * 400 / 146097);
}

/* .123456789, any number of digits */
static const uint8_t *fraction(const uint8_t *at, const uint8_t *end, uint64_t *ns)
{
    uint64_t unit = 100000000;
    if (at == end || (*at != '.' && *at != ',') || at + 1 == end || !is_digit(at[1]))
        return at;
    for (at++; at < end && is_digit(*at); at++, unit /= 10)
        *ns += (uint64_t)(*at - '0') * unit;
    return at;
}

const uint8_t *remed_read_clock(const uint8_t *at, const uint8_t *end, uint64_t *ns)
{
    unsigned hours, minutes, seconds;
    at = fixed(at, end, 2, &hours);
    at = fixed(byte(at, end, ':'), end, 2, &minutes);
    at = fixed(byte(at, end, ':'), end, 2, &seconds);
    if (at == NULL || hours > 23 || minutes > 59 || seconds > 60)
        return NULL;
    *ns = (hours * 3600ull + minutes * 60 + seconds) * REMED_NS_PER_S;
    return fraction(at, end, ns);
}

static const uint8_t *numeric_date(const uint8_t *at, const uint8_t *end, struct civil *date)
{
    at = fixed(at, end, 4, &date->year);
    if (at == NULL || at == end || (*at != '-' && *at != '/'))
        return NULL;
    char mark = (char)*at++;
    at = fixed(at, end, 2, &date->month);
    at = fixed(byte(at, end, mark), end, 2, &date->day);
    return at != NULL && date->year != 0 && is_date(date) ? at : NULL;
}

const uint8_t *remed_read_date(const uint8_t *at, const uint8_t *end, uint64_t *ns)
{
    struct civil date;
    at = numeric_date(at, end, &date);
    if (at != NULL)
        *ns = days_of(&date) * DAY * REMED_NS_PER_S;
    return at;
}

/* Nov 24, and a year when one follows */
static const uint8_t *named_date(const uint8_t *at, const uint8_t *end, struct civil *date)
{
    if (end - at < 8 || (date->month = month_number(at)) == 0 || at[3] != ' ')
        return NULL;
    at += 4;
    if (*at == ' ')
        at++;
    date->day = 0;
    for (unsigned i = 0; i < 2 && at < end && is_digit(*at); i++)
        date->day = date->day * 10 + (unsigned)(*at++ - '0');
    at = byte(at, end, ' ');
    date->year = 0;
    if (at != NULL && end - at > 5 && at[4] == ' ' && is_digit(at[2])) {
        at = fixed(at, end, 4, &date->year);
        at = byte(at, end, ' ');
        if (date->year == 0)
            return NULL;
    }
    return at != NULL && is_date(date) ? at : NULL;
}

/* 24/Nov/2026 */
static const uint8_t *clf_date(const uint8_t *at, const uint8_t *end, struct civil *date)
{
    at = byte(fixed(at, end, 2, &date->day), end, '/');
    if (at == NULL || end - at < 8 || (date->month = month_number(at)) == 0)
        return NULL;
    at = byte(fixed(byte(at + 3, end, '/'), end, 4, &date->year), end, ':');
    return at != NULL && date->year != 0 && is_date(date) ? at : NULL;
}

/* Z, +01:00 or -0500; *east stays as it is without one. */
static const uint8_t *zone(const uint8_t *at, const uint8_t *end, int32_t *east)
{
    unsigned hours, minutes;
    if (at < end && *at == 'Z') {
        *east = 0;
        return at + 1;
    }
    if (at == end || (*at != '+' && *at != '-'))
        return at;
    const uint8_t *next = fixed(at + 1, end, 2, &hours);
    if (next != NULL && next < end && *next == ':')
        next++;
    next = fixed(next, end, 2, &minutes);
    if (next == NULL || hours > 23 || minutes > 59)
        return at;
    *east = (int32_t)(hours * 3600 + minutes * 60) * (*at == '-' ? -1 : 1);
    return next;
}

static uint64_t shifted(uint64_t ns, int32_t east)
{
    uint64_t shift = (uint64_t)(east < 0 ? -east : east) * REMED_NS_PER_S;
    if (east < 0)
        return ns + shift;
    return ns > shift ? ns - shift : 0;
}

static uint64_t resolve(const struct remed_calendar *calendar, struct civil *date, uint64_t clock,
                        int32_t east)
{
    const uint64_t day = DAY * REMED_NS_PER_S;
    if (date->year != 0)
        return shifted(days_of(date) * day + clock, east);
    unsigned latest = year_of(calendar->received) + 1;
    for (unsigned back = 0; back < 9; back++) { /* nine: the 29th of February has a year */
        date->year = latest > 1970 + back ? latest - back : 1970;
        uint64_t ns = shifted(days_of(date) * day + clock, east);
        if (is_date(date) && ns <= calendar->received + day)
            return ns;
    }
    return calendar->received;
}

const uint8_t *remed_read_stamp(const struct remed_calendar *calendar, const uint8_t *at,
                                const uint8_t *end, uint64_t *ns)
{
    struct civil date;
    uint64_t clock;
    int32_t east = calendar->zone;
    const uint8_t *next;
    if (at == end)
        return NULL;
    if (!is_digit(*at)) {
        next = remed_read_clock(named_date(at, end, &date), end, &clock);
    } else if (end - at > 4 && is_digit(at[3])) {
        next = numeric_date(at, end, &date);
        if (next == NULL || next == end || (*next != 'T' && *next != ' '))
            return NULL;
        next = remed_read_clock(next + 1, end, &clock);
        next = next != NULL ? zone(next, end, &east) : NULL;
    } else {
        next = remed_read_clock(clf_date(at, end, &date), end, &clock);
        if (next != NULL && next < end && *next == ' ') {
            const uint8_t *behind = zone(next + 1, end, &east);
            next = behind != next + 1 ? behind : next;
        }
    }
    if (next != NULL)
        *ns = resolve(calendar, &date, clock, east);
    return next;
}

const uint8_t *remed_read_epoch(const uint8_t *at, const uint8_t *end, uint64_t *ns)
{
    unsigned digits = 0;
    uint64_t value = 0;
    for (; at < end && is_digit(*at) && digits < 20; at++, digits++)
        value = value * 10 + (uint64_t)(*at - '0');
    if (digits < 9 || digits > 19 || (at < end && is_digit(*at)))
        return NULL;
    for (unsigned whole = digits <= 10   ? 10
                          : digits <= 13 ? 13
                          : digits <= 16 ? 16
                                         : 19;
         whole < 19; whole += 3)
        value *= 1000;
    *ns = value;
    return at;
}
