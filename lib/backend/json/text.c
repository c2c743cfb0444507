/* SPDX-License-Identifier: BSD-3-Clause */
/* Times and protocols as text. Threads: no state. */
#include "backend/json/json.h"

#include <stdio.h>

#define DAY 86400u

/* Days since 1970 of a date of the Gregorian calendar, and back (eras of 400 years of 146,097
 * days). */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    unsigned of_era = (unsigned)(year - era * 400);
    unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + (int64_t)(of_era * 365 + of_era / 4 - of_era / 100 + of_year) - 719468;
}

static void date_of(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    uint64_t shifted = days + 719468, era = shifted / 146097;
    unsigned of_era = (unsigned)(shifted - era * 146097);
    unsigned years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * years + years / 4 - years / 100);
    unsigned shifted_month = (5 * of_year + 2) / 153;
    *day = of_year - (153 * shifted_month + 2) / 5 + 1;
    *month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    *year = years + (unsigned)era * 400 + (*month <= 2);
}

void remed_json_print_time(char text[REMED_TIME_TEXT], uint64_t ns)
{
    uint64_t seconds = ns / REMED_NS_PER_S;
    unsigned year, month, day, rest = (unsigned)(seconds % DAY);
    date_of(seconds / DAY, &year, &month, &day);
    snprintf(text, REMED_TIME_TEXT, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ", year, month, day,
             rest / 3600, rest / 60 % 60, rest % 60, (unsigned)(ns % REMED_NS_PER_S));
}

/* `count` digits at *text, and steps over them. */
static bool take_digits(const char **text, unsigned count, unsigned *value)
{
    *value = 0;
    for (unsigned i = 0; i < count; i++, ++*text) {
        if (**text < '0' || **text > '9')
            return false;
        *value = *value * 10 + (unsigned)(**text - '0');
    }
    return true;
}

static bool take_number(const char **text, unsigned count, char behind, unsigned *value)
{
    return take_digits(text, count, value) && *(*text)++ == behind;
}

static unsigned days_in(unsigned year, unsigned month)
{
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month == 2)
        return leap ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* Up to nine digits behind a point; what is there and no fraction is left for the caller to find.
 */
static uint64_t take_fraction(const char **text)
{
    uint64_t fraction = 0, unit = REMED_NS_PER_S;
    if (**text != '.' || (*text)[1] < '0' || (*text)[1] > '9')
        return 0;
    for (++*text; unit > 1 && **text >= '0' && **text <= '9'; ++*text) {
        unit /= 10;
        fraction += (uint64_t)(**text - '0') * unit;
    }
    return fraction;
}

bool remed_json_parse_time(const char *text, uint64_t *ns)
{
    unsigned year, month, day, hour, minute, second;
    if (!take_number(&text, 4, '-', &year) || !take_number(&text, 2, '-', &month) ||
        !take_number(&text, 2, 'T', &day) || !take_number(&text, 2, ':', &hour) ||
        !take_number(&text, 2, ':', &minute) || !take_digits(&text, 2, &second) || year < 1970 ||
        month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    uint64_t fraction = take_fraction(&text);
    if ((*text != 'Z' && *text != 'z') || text[1] != '\0')
        return false;
    uint64_t seconds = (uint64_t)days_of(year, month, day) * DAY;
    seconds += (uint64_t)hour * 3600 + (uint64_t)minute * 60 + second;
    if (seconds > (UINT64_MAX - fraction) / REMED_NS_PER_S)
        return false;
    *ns = seconds * REMED_NS_PER_S + fraction;
    return true;
}

static const struct {
    const char *name;
    uint8_t number;
} protocols[] = {{"any", 0},    {"icmp", 1},   {"igmp", 2},     {"tcp", 6},
                 {"udp", 17},   {"dccp", 33},  {"gre", 47},     {"esp", 50},
                 {"icmp6", 58}, {"sctp", 132}, {"udplite", 136}};

const char *remed_json_protocol_name(unsigned protocol)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (protocols[i].number == protocol)
            return protocols[i].name;
    return "";
}

bool remed_json_protocol_number(const char *name, uint8_t *protocol)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (strcmp(protocols[i].name, name) == 0) {
            *protocol = protocols[i].number;
            return true;
        }
    return false;
}
