/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Lines for bench_log, made from the formats; and the scan that is written by hand for them.
 */
#ifndef REMED_BENCH_LOG_LINES_H
#define REMED_BENCH_LOG_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lines {
    bool asa;
    char *text;
    uint32_t *starts; /* one more than lines */
};

static inline const char *line_text(const struct lines *lines, size_t index)
{
    return lines->text + lines->starts[index];
}

static inline size_t line_length(const struct lines *lines, size_t index)
{
    return lines->starts[index + 1] - lines->starts[index];
}

static inline void free_lines(struct lines *lines)
{
    free(lines->text);
    free(lines->starts);
}

static inline uint32_t next_random(void)
{
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

struct maker {
    char address[4][16];
    unsigned port[4];
    char time[24];
};

static inline void make_values(struct maker *maker, uint32_t number)
{
    for (unsigned i = 0; i < 4; i++) {
        uint32_t r = next_random();
        snprintf(maker->address[i], sizeof maker->address[i], "%u.%u.%u.%u", 1 + r % 223,
                 r >> 8 & 255, r >> 16 & 255, r >> 24);
        maker->port[i] = 1 + next_random() % 65535;
    }
    unsigned second = number / 5000; /* as many lines a second */
    snprintf(maker->time, sizeof maker->time, "Nov %2u %02u:%02u:%02u", 1 + second / 86400 % 24,
             second / 3600 % 24, second / 60 % 60, second % 60);
}

static inline void make_room(struct lines *lines, uint32_t count, size_t each)
{
    lines->text = malloc(count * each);
    lines->starts = malloc((count + 1) * sizeof *lines->starts);
    if (lines->text == NULL || lines->starts == NULL)
        exit(1);
    lines->starts[0] = 0;
}

static inline void make_iptables_lines(struct lines *lines, uint32_t count)
{
    static const char *const prefixes[] = {"", "new-out: ", "fw-forward "};
    lines->asa = false;
    make_room(lines, count, 320);
    for (uint32_t i = 0; i < count; i++) {
        struct maker m;
        make_values(&m, i);
        bool tcp = next_random() % 4 != 0;
        int length = sprintf(
            lines->text + lines->starts[i],
            "%s gw-%u kernel: [%u.%06u] %sIN=eth%u OUT=eth1 MAC=02:00:00:%02x:%02x:01:02:00:00:00:"
            "00:02:08:00 SRC=%s DST=%s LEN=%u TOS=0x00 PREC=0x00 TTL=%u ID=%u DF PROTO=%s SPT=%u "
            "DPT=%u %s",
            m.time, i % 3, 1000 + i / 1000, i % 1000000, prefixes[i % 3], i % 4, i & 255,
            i >> 8 & 255, m.address[0], m.address[1], 40 + i % 1400, 40 + i % 80, i & 65535,
            tcp ? "TCP" : "UDP", m.port[0], m.port[1],
            tcp ? "WINDOW=64240 RES=0x00 SYN URGP=0 " : "LEN=60 ");
        lines->starts[i + 1] = lines->starts[i] + (uint32_t)length;
    }
}

static inline int make_asa(char *text, const struct maker *m, uint32_t number)
{
    const char *way = number % 3 != 0 ? "outbound" : "inbound";
    const char *const protocols[] = {"TCP", "UDP"};
    unsigned kind = next_random() % 8;
    const char *protocol = protocols[kind >= 6 ? number % 2 : kind / 2 % 2];
    switch (kind) {
    case 0:
    case 2:
        return sprintf(text,
                       "%s asa-1 : %%ASA-6-30201%u: Built %s %s connection %u for outside:%s/%u "
                       "(%s/%u) to inside:%s/%u (%s/%u)",
                       m->time, 3 + kind, way, protocol, number, m->address[0], m->port[0],
                       m->address[1], m->port[1], m->address[2], m->port[2], m->address[3],
                       m->port[3]);
    case 1:
    case 3:
        return sprintf(text,
                       "%s asa-1 : %%ASA-6-30201%u: Teardown %s connection %u for outside:%s/%u to "
                       "inside:%s/%u duration 0:01:07 bytes %u%s",
                       m->time, 3 + kind, protocol, number, m->address[0], m->port[0],
                       m->address[2], m->port[2], number, kind == 1 ? " TCP FINs" : "");
    case 4:
        return sprintf(text,
                       "%s asa-1 : %%ASA-6-302020: Built %s ICMP connection for faddr %s/%u gaddr "
                       "%s/0 laddr %s/0 type 8 code 0",
                       m->time, way, m->address[0], m->port[0], m->address[1], m->address[2]);
    case 5:
        return sprintf(text,
                       "%s asa-1 : %%ASA-6-302021: Teardown ICMP connection for faddr %s/%u gaddr "
                       "%s/0 laddr %s/0 type 8 code 0",
                       m->time, m->address[0], m->port[0], m->address[1], m->address[2]);
    default:
        return sprintf(text,
                       "%s asa-1 : %%ASA-6-30501%u: %s dynamic %s translation from inside:%s/%u to "
                       "outside:%s/%u%s",
                       m->time, kind - 5, kind == 6 ? "Built" : "Teardown", protocol, m->address[0],
                       m->port[0], m->address[1], m->port[1], kind == 6 ? "" : " duration 0:00:30");
    }
}

static inline void make_asa_lines(struct lines *lines, uint32_t count)
{
    lines->asa = true;
    make_room(lines, count, 256);
    for (uint32_t i = 0; i < count; i++) {
        struct maker m;
        make_values(&m, i);
        lines->starts[i + 1] =
            lines->starts[i] + (uint32_t)make_asa(lines->text + lines->starts[i], &m, i);
    }
}

/* What each side reads. */
struct tuple {
    uint32_t client, server, client_after, server_after;
    uint32_t client_port, server_port, client_port_after, server_port_after;
    uint32_t protocol;
    bool reversed, ends;
};

static inline bool scan_address(const char **at, const char *end, uint32_t *address)
{
    const char *p = *at;
    *address = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned value = 0, digits = 0;
        for (; p < end && (unsigned char)(*p - '0') <= 9 && digits < 4; p++, digits++)
            value = value * 10 + (unsigned)(*p - '0');
        if (digits == 0 || value > 255 || (i < 3 && (p == end || *p++ != '.')))
            return false;
        *address = *address << 8 | value;
    }
    *at = p;
    return true;
}

static inline bool scan_port(const char **at, const char *end, uint32_t *port)
{
    const char *p = *at;
    *port = 0;
    for (; p < end && (unsigned char)(*p - '0') <= 9 && p - *at < 6; p++)
        *port = *port * 10 + (uint32_t)(*p - '0');
    bool read = p > *at && *port <= 65535;
    *at = p;
    return read;
}

static inline bool scan_text(const char **at, const char *end, const char *text, size_t length)
{
    if ((size_t)(end - *at) < length || memcmp(*at, text, length) != 0)
        return false;
    *at += length;
    return true;
}

static inline bool scan_to(const char **at, const char *end, const char *text, size_t length)
{
    const char *found = memmem(*at, (size_t)(end - *at), text, length);
    if (found == NULL)
        return false;
    *at = found + length;
    return true;
}

static inline bool scan_to_byte(const char **at, const char *end, char byte)
{
    const char *found = memchr(*at, byte, (size_t)(end - *at));
    if (found == NULL)
        return false;
    *at = found + 1;
    return true;
}

#define SCAN_TEXT(text) scan_text(&at, end, text, sizeof text - 1)
#define SCAN_TO(text) scan_to(&at, end, text, sizeof text - 1)
#define SCAN_PAIR(address, port)                                                                   \
    (scan_address(&at, end, &(address)) && SCAN_TEXT("/") && scan_port(&at, end, &(port)))

static inline bool scan_iptables(const char *at, const char *end, struct tuple *t)
{
    if (!SCAN_TO(" SRC=") || !scan_address(&at, end, &t->client) || !SCAN_TEXT(" DST=") ||
        !scan_address(&at, end, &t->server) || !SCAN_TO(" PROTO="))
        return false;
    t->protocol = SCAN_TEXT("TCP") ? 6 : SCAN_TEXT("UDP") ? 17 : 0;
    return t->protocol != 0 && SCAN_TEXT(" SPT=") && scan_port(&at, end, &t->client_port) &&
           SCAN_TEXT(" DPT=") && scan_port(&at, end, &t->server_port);
}

/* Which of the eight, and where its text begins. */
static inline int asa_kind(const char *text, size_t length, size_t *start)
{
    const char *at = text, *end = text + length;
    uint32_t number = 0;
    if (!scan_to_byte(&at, end, '%') || !SCAN_TEXT("ASA-") || end - at < 10)
        return -1;
    at += 2;
    for (unsigned i = 0; i < 6; i++)
        number = number * 10 + (uint32_t)(at[i] - '0');
    *start = (size_t)(at + 8 - text);
    switch (number) {
    case 302013:
    case 302014:
    case 302015:
    case 302016:
        return (int)(number - 302013);
    case 302020:
    case 302021:
        return (int)(number - 302016);
    case 305011:
    case 305012:
        return (int)(number - 305005);
    default:
        return -1;
    }
}

static inline bool scan_connection(const char *at, const char *end, bool built, struct tuple *t)
{
    if (built) {
        t->reversed = at < end && *at == 'o';
        if (!scan_to_byte(&at, end, ' '))
            return false;
    }
    t->protocol = SCAN_TEXT("TCP") ? 6 : SCAN_TEXT("UDP") ? 17 : 0;
    if (t->protocol == 0 || !SCAN_TEXT(" connection ") || !SCAN_TO(" for ") ||
        !scan_to_byte(&at, end, ':') || !SCAN_PAIR(t->client, t->client_port))
        return false;
    if (built &&
        (!SCAN_TEXT(" (") || !SCAN_PAIR(t->client_after, t->client_port_after) || !SCAN_TEXT(")")))
        return false;
    if (!SCAN_TEXT(" to ") || !scan_to_byte(&at, end, ':') || !SCAN_PAIR(t->server, t->server_port))
        return false;
    return !built ||
           (SCAN_TEXT(" (") && SCAN_PAIR(t->server_after, t->server_port_after) && SCAN_TEXT(")"));
}

static inline bool scan_icmp(const char *at, const char *end, struct tuple *t)
{
    uint32_t port;
    return SCAN_TO(" faddr ") && SCAN_PAIR(t->server, port) && SCAN_TEXT(" gaddr ") &&
           SCAN_PAIR(t->client_after, port) && SCAN_TEXT(" laddr ") && SCAN_PAIR(t->client, port);
}

static inline bool scan_translation(const char *at, const char *end, struct tuple *t)
{
    t->protocol = SCAN_TEXT("TCP") ? 6 : SCAN_TEXT("UDP") ? 17 : 0;
    return t->protocol != 0 && SCAN_TEXT(" translation from ") && scan_to_byte(&at, end, ':') &&
           SCAN_PAIR(t->client, t->client_port) && SCAN_TEXT(" to ") &&
           scan_to_byte(&at, end, ':') && SCAN_PAIR(t->client_after, t->client_port_after);
}

static inline bool scan_asa(const char *text, const char *end, struct tuple *t)
{
    size_t start;
    int kind = asa_kind(text, (size_t)(end - text), &start);
    const char *at = text + start;
    t->ends = kind % 2 == 1;
    switch (kind) {
    case 0:
    case 2:
        return SCAN_TEXT("Built ") && scan_connection(at, end, true, t);
    case 1:
    case 3:
        return SCAN_TEXT("Teardown ") && scan_connection(at, end, false, t);
    case 4:
        return SCAN_TEXT("Built ") && scan_icmp(at, end, t);
    case 5:
        return SCAN_TEXT("Teardown ") && scan_icmp(at, end, t);
    case 6:
        return SCAN_TEXT("Built dynamic ") && scan_translation(at, end, t);
    case 7:
        return SCAN_TEXT("Teardown dynamic ") && scan_translation(at, end, t);
    default:
        return false;
    }
}

static inline bool scan_line(bool asa, const char *text, size_t length, struct tuple *tuple)
{
    memset(tuple, 0, sizeof *tuple);
    return asa ? scan_asa(text, text + length, tuple) : scan_iptables(text, text + length, tuple);
}

/* By the parser that liblognorm has for these very lines. */
static const char iptables_rulebase[] =
    "version=2\n"
    "rule=:%t:date-rfc3164% %host:word% kernel: [%up:char-to:]%] %.:v2-iptables%\n"
    "rule=:%t:date-rfc3164% %host:word% kernel: [%up:char-to:]%] %prefix:word% %.:v2-iptables%\n";

#define ASA_HEAD "rule=:%t:date-rfc3164% %host:word% : %%ASA-%level:number%-"
#define ASA_SIDE(n) "%if" n ":char-to:\\x3a%:%ip" n ":ipv4%/%port" n ":number%"
static const char
    asa_rulebase[] =
        "version=2\n" ASA_HEAD "302013: Built %dir:word% TCP connection %id:number% for " ASA_SIDE("1") " (%xip1:ipv4%/%xport1:number%) to " ASA_SIDE(
            "2") " (%xip2:ipv4%/%xport2:number%)\n" ASA_HEAD
                 "302015: Built %dir:word% UDP connection %id:number% for " ASA_SIDE(
                     "1") " (%xip1:ipv4%/%xport1:number%) to " ASA_SIDE("2") " (%xip2:ipv4%/"
                                                                             "%xport2:number%)"
                                                                             "\n" ASA_HEAD
                                                                             "302014: Teardown TCP "
                                                                             "connection "
                                                                             "%id:number% "
                                                                             "for " ASA_SIDE("1") " to " ASA_SIDE(
                                                                                 "2") " duration "
                                                                                      "%rest:rest%"
                                                                                      "\n" ASA_HEAD
                                                                                      "302016: "
                                                                                      "Teardown "
                                                                                      "UDP "
                                                                                      "connection "
                                                                                      "%id:number% "
                                                                                      "for"
                                                                                      " " ASA_SIDE("1") " to " ASA_SIDE(
                                                                                          "2") " du"
                                                                                               "rat"
                                                                                               "ion"
                                                                                               " %"
                                                                                               "res"
                                                                                               "t:"
                                                                                               "res"
                                                                                               "t%"
                                                                                               "\n" ASA_HEAD
                                                                                               "302"
                                                                                               "020"
                                                                                               ": "
                                                                                               "Bui"
                                                                                               "lt "
                                                                                               "%di"
                                                                                               "r:"
                                                                                               "wor"
                                                                                               "d% "
                                                                                               "ICM"
                                                                                               "P "
                                                                                               "con"
                                                                                               "nec"
                                                                                               "tio"
                                                                                               "n "
                                                                                               "for"
                                                                                               " fa"
                                                                                               "ddr"
                                                                                               " %"
                                                                                               "f:"
                                                                                               "ipv"
                                                                                               "4%/"
                                                                                               "%fp"
                                                                                               ":nu"
                                                                                               "mbe"
                                                                                               "r% "
                                                                                               "gad"
                                                                                               "dr "
                                                                                               "%g:"
                                                                                               "ipv"
                                                                                               "4%/"
                                                                                               "%gp"
                                                                                               ":nu"
                                                                                               "mbe"
                                                                                               "r% "
                                                                                               "lad"
                                                                                               "dr "
                                                                                               "%l:"
                                                                                               "ipv"
                                                                                               "4%/"
                                                                                               "%lp"
                                                                                               ":nu"
                                                                                               "mbe"
                                                                                               "r% "
                                                                                               "%re"
                                                                                               "st:"
                                                                                               "res"
                                                                                               "t%"
                                                                                               "\n" ASA_HEAD
                                                                                               "302"
                                                                                               "021"
                                                                                               ": "
                                                                                               "Tea"
                                                                                               "rdo"
                                                                                               "wn "
                                                                                               "ICM"
                                                                                               "P "
                                                                                               "con"
                                                                                               "nec"
                                                                                               "tio"
                                                                                               "n "
                                                                                               "for"
                                                                                               " fa"
                                                                                               "ddr"
                                                                                               " %"
                                                                                               "f:"
                                                                                               "ipv"
                                                                                               "4%/"
                                                                                               "%fp"
                                                                                               ":nu"
                                                                                               "mbe"
                                                                                               "r% "
                                                                                               "gad"
                                                                                               "dr "
                                                                                               "%g:"
                                                                                               "ipv"
                                                                                               "4%/"
                                                                                               "%gp"
                                                                                               ":nu"
                                                                                               "mbe"
                                                                                               "r% "
                                                                                               "lad"
                                                                                               "dr "
                                                                                               "%l:"
                                                                                               "ipv"
                                                                                               "4%/"
                                                                                               "%lp"
                                                                                               ":nu"
                                                                                               "mbe"
                                                                                               "r% "
                                                                                               "%re"
                                                                                               "st:"
                                                                                               "res"
                                                                                               "t%"
                                                                                               "\n" ASA_HEAD
                                                                                               "305"
                                                                                               "011"
                                                                                               ": "
                                                                                               "Bui"
                                                                                               "lt "
                                                                                               "dyn"
                                                                                               "ami"
                                                                                               "c "
                                                                                               "%pr"
                                                                                               "oto"
                                                                                               ":wo"
                                                                                               "rd%"
                                                                                               " tr"
                                                                                               "ans"
                                                                                               "lat"
                                                                                               "ion"
                                                                                               " fr"
                                                                                               "om"
                                                                                               " " ASA_SIDE("1") " to " ASA_SIDE(
                                                                                                   "2") "\n" ASA_HEAD
                                                                                                        "305012: Teardown dynamic %proto:word% translation from " ASA_SIDE(
                                                                                                            "1") " to " ASA_SIDE("2") " duration %rest:rest%\n";

#endif
