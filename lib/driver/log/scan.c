/* SPDX-License-Identifier: BSD-3-Clause */
/* The slower ones of scan.h. Threads: no state. */
#include "driver/log/scan.h"

#include "filter/lexer.h"

static bool is_ipv6_byte(uint8_t c)
{
    return remed_is_digit(c) || (uint8_t)((c | 0x20) - 'a') <= 5 || c == ':' || c == '.';
}

/* Exactly one address in these bytes. */
static bool read_ipv6(const uint8_t *at, size_t length, struct remed_endpoint *endpoint)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    uint8_t address[16];
    if (length < 2 || length > 45 || !remed_read_ipv6((const char *)at, length, address))
        return false;
    memset(endpoint->address, 0, sizeof endpoint->address);
    bool is_mapped = memcmp(address, mapped, sizeof mapped) == 0;
    endpoint->ip_version = is_mapped ? 4 : 6;
    memcpy(endpoint->address, is_mapped ? address + 12 : address, is_mapped ? 4 : 16);
    return true;
}

/* Behind "%eth0". */
static const uint8_t *skip_interface(const uint8_t *at, const uint8_t *end)
{
    if (at == end || *at != '%')
        return at;
    for (at++; at < end && (remed_is_digit(*at) || remed_is_letter(*at) || *at == '.' ||
                            *at == '-' || *at == '_');)
        at++;
    return at;
}

static const uint8_t *ipv6_run(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *stop = at;
    while (stop < end && stop - at <= 48 && is_ipv6_byte(*stop))
        stop++;
    return stop;
}

const uint8_t *remed_scan_ipv6(const uint8_t *at, const uint8_t *end,
                               struct remed_endpoint *endpoint)
{
    const uint8_t *stop = ipv6_run(at, end);
    if (stop - at > 2 && (stop[-1] == ':' || stop[-1] == '.') && stop[-2] != ':')
        stop--; /* punctuation of the sentence around it */
    if (!read_ipv6(at, (size_t)(stop - at), endpoint))
        return NULL;
    if (stop < end && (remed_is_letter(*stop) || remed_is_digit(*stop) || *stop == '_'))
        return NULL;
    return skip_interface(stop, end);
}

static const uint8_t *port_behind(const uint8_t *at, const uint8_t *end,
                                  struct remed_endpoint *endpoint, bool *ported)
{
    *ported = false;
    if (at == NULL || at == end || *at != ':')
        return at;
    *ported = true;
    return remed_scan_port(at + 1, end, &endpoint->port);
}

const uint8_t *remed_scan_endpoint(const uint8_t *at, const uint8_t *end, bool last,
                                   struct remed_endpoint *endpoint, bool *ported)
{
    uint8_t address[4];
    endpoint->port = 0;
    if (at < end && *at == '[') {
        const uint8_t *close = ipv6_run(at + 1, end);
        const uint8_t *behind = skip_interface(close, end);
        if (behind == end || *behind != ']' ||
            !read_ipv6(at + 1, (size_t)(close - at - 1), endpoint))
            return NULL;
        return port_behind(behind + 1, end, endpoint, ported);
    }
    const uint8_t *next = remed_scan_ipv4(at, end, address);
    if (next != NULL) {
        memset(endpoint->address, 0, sizeof endpoint->address);
        memcpy(endpoint->address, address, sizeof address);
        endpoint->ip_version = 4;
        return port_behind(next, end, endpoint, ported);
    }
    *ported = false;
    if (!last)
        return remed_scan_ipv6(at, end, endpoint);
    const uint8_t *stop = ipv6_run(at, end), *colon = stop;
    while (colon > at && colon[-1] != ':')
        colon--;
    if (colon - at < 2 || !read_ipv6(at, (size_t)(colon - 1 - at), endpoint))
        return NULL;
    return port_behind(colon - 1, end, endpoint, ported);
}

const uint8_t *remed_scan_list(const uint8_t *at, const uint8_t *end,
                               struct remed_endpoint *endpoint, bool *ported)
{
    for (;;) {
        at = remed_scan_endpoint(at, end, false, endpoint, ported);
        if (at == NULL || at == end)
            return at;
        if (end - at > 3 && memcmp(at, " : ", 3) == 0)
            at++; /* another group, of nginx */
        else if (*at != ',')
            return at;
        for (at++; at < end && *at == ' ';)
            at++;
    }
}

static const struct {
    char name[10];
    uint8_t number;
} protocols[] = {
    {"tcp", 6},    {"udp", 17},      {"icmp", 1},   {"icmp6", 58},     {"icmpv6", 58},
    {"sctp", 132}, {"igmp", 2},      {"gre", 47},   {"esp", 50},       {"ah", 51},
    {"ospf", 89},  {"ospfigp", 89},  {"pim", 103},  {"vrrp", 112},     {"dccp", 33},
    {"ipip", 4},   {"ipencap", 4},   {"ipv6", 41},  {"ipv6-icmp", 58}, {"icmp-ipv6", 58},
    {"eigrp", 88}, {"udplite", 136}, {"carp", 112}, {"l2tp", 115},     {"hopopt", 0}};

bool remed_protocol_number(const char *name, size_t length, uint8_t *protocol)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        size_t at = 0;
        while (at < length && at < 9 && protocols[i].name[at] != '\0' &&
               (name[at] == protocols[i].name[at] ||
                (remed_is_letter((uint8_t)name[at]) && (name[at] | 0x20) == protocols[i].name[at])))
            at++;
        if (at == length && protocols[i].name[at] == '\0') {
            *protocol = protocols[i].number;
            return true;
        }
    }
    return false;
}

const uint8_t *remed_scan_any_protocol(const uint8_t *at, const uint8_t *end, uint8_t *protocol)
{
    const uint8_t *stop = at;
    if (at < end && remed_is_digit(*at)) {
        uint16_t number = 0;
        stop = remed_scan_port(at, end, &number);
        *protocol = (uint8_t)number;
        return stop != NULL && number <= 255 ? stop : NULL;
    }
    while (stop < end && stop - at < 10 &&
           (remed_is_letter(*stop) || remed_is_digit(*stop) || *stop == '-'))
        stop++;
    if (remed_protocol_number((const char *)at, (size_t)(stop - at), protocol))
        return stop;
    const uint8_t *dash = memchr(at, '-', (size_t)(stop - at)); /* TCP-C */
    bool known =
        dash != NULL && remed_protocol_number((const char *)at, (size_t)(dash - at), protocol);
    return known ? dash : NULL;
}
