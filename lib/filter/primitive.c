/* SPDX-License-Identifier: BSD-3-Clause */
/* Primitives of MATCH, as pcap-filter(7) has them. Threads: belongs to one parse. */
#include "filter/primitive.h"

#include "packet/link.h"

#include <stdio.h>

enum remed_match_protocol {
    PROTOCOL_NONE = 0,
    PROTOCOL_IP,
    PROTOCOL_IP6,
    PROTOCOL_ARP,
    PROTOCOL_RARP,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    PROTOCOL_SCTP,
    PROTOCOL_ICMP,
    PROTOCOL_ICMP6
};

#define BOTH (REMED_FAMILY_IPV4 | REMED_FAMILY_IPV6)

static const struct protocol {
    const char *name;
    uint32_t value;   /* EtherType or IP protocol */
    uint8_t kind;     /* of the test when it stands alone */
    uint8_t families; /* of that test, and of addresses qualified with it */
    uint8_t transport;
} protocols[] = {
    [PROTOCOL_IP] = {"ip", REMED_ETHERTYPE_IPV4, REMED_TEST_ETHERTYPE, REMED_FAMILY_IPV4, 0},
    [PROTOCOL_IP6] = {"ip6", REMED_ETHERTYPE_IPV6, REMED_TEST_ETHERTYPE, REMED_FAMILY_IPV6, 0},
    [PROTOCOL_ARP] = {"arp", 0x0806, REMED_TEST_ETHERTYPE, REMED_FAMILY_ARP, 0},
    [PROTOCOL_RARP] = {"rarp", 0x8035, REMED_TEST_ETHERTYPE, REMED_FAMILY_RARP, 0},
    [PROTOCOL_TCP] = {"tcp", 6, REMED_TEST_PROTOCOL, BOTH, REMED_TRANSPORT_TCP},
    [PROTOCOL_UDP] = {"udp", 17, REMED_TEST_PROTOCOL, BOTH, REMED_TRANSPORT_UDP},
    [PROTOCOL_SCTP] = {"sctp", 132, REMED_TEST_PROTOCOL, BOTH, REMED_TRANSPORT_SCTP},
    [PROTOCOL_ICMP] = {"icmp", 1, REMED_TEST_PROTOCOL, REMED_FAMILY_IPV4, 0},
    [PROTOCOL_ICMP6] = {"icmp6", 58, REMED_TEST_PROTOCOL, REMED_FAMILY_IPV6, 0},
};

static const char *const directions[] = {"", "src", "dst", "src and dst"};
static const char *const types[] = {"host", "host", "net", "port", "portrange"};

static const struct {
    const char *name;
    uint32_t port;
} services[] = {{"ftp-data", 20}, {"ftp", 21},     {"ssh", 22},    {"telnet", 23},
                {"smtp", 25},     {"domain", 53},  {"tftp", 69},   {"http", 80},
                {"kerberos", 88}, {"pop3", 110},   {"ntp", 123},   {"imap2", 143},
                {"snmp", 161},    {"bgp", 179},    {"ldap", 389},  {"https", 443},
                {"syslog", 514},  {"ldaps", 636},  {"imaps", 993}, {"pop3s", 995},
                {"radius", 1812}, {"mysql", 3306}, {"sip", 5060},  {"postgresql", 5432}};

static unsigned protocol_of(const struct remed_token *token)
{
    for (unsigned i = 1; i < sizeof protocols / sizeof *protocols; i++)
        if (remed_token_is(token, protocols[i].name))
            return i;
    return PROTOCOL_NONE;
}

static unsigned type_of(const struct remed_token *token)
{
    for (unsigned i = REMED_VALUE_HOST; i <= REMED_VALUE_PORTRANGE; i++)
        if (remed_token_is(token, types[i]))
            return i;
    return REMED_VALUE_DEFAULT;
}

bool remed_is_value(const struct remed_token *token)
{
    uint8_t address[16];
    if (token->kind != REMED_TOKEN_WORD)
        return false;
    if (token->text[0] >= '0' && token->text[0] <= '9')
        return true;
    const char *slash = memchr(token->text, '/', token->length);
    size_t length = slash != NULL ? (size_t)(slash - token->text) : token->length;
    return remed_read_ipv6(token->text, length, address);
}

static int refuse(const struct remed_token *at, struct remed_error *error, const char *why)
{
    int shown = at->length > 40 ? 40 : (int)at->length;
    return remed_error_at(error, REMED_ESYNTAX, at->line, at->column, "'%.*s': %s", shown, at->text,
                          why);
}

/* `src`, `dst`, and the two joined by `or` or `and`. */
static void read_direction(struct remed_lexer *lexer, struct remed_qualifiers *qualifiers)
{
    bool source = remed_token_is(&lexer->token, "src");
    if (!source && !remed_token_is(&lexer->token, "dst"))
        return;
    qualifiers->direction = source ? REMED_DIRECTION_SOURCE : REMED_DIRECTION_DESTINATION;
    remed_lexer_next(lexer);
    struct remed_lexer ahead = *lexer;
    bool either = remed_token_is(&ahead.token, "or") || remed_token_is(&ahead.token, "||");
    bool both = remed_token_is(&ahead.token, "and") || remed_token_is(&ahead.token, "&&");
    remed_lexer_next(&ahead);
    if ((!either && !both) || !remed_token_is(&ahead.token, source ? "dst" : "src"))
        return;
    remed_lexer_next(&ahead);
    if (type_of(&ahead.token) == REMED_VALUE_DEFAULT && !remed_is_value(&ahead.token))
        return;
    qualifiers->direction = either ? REMED_DIRECTION_OR : REMED_DIRECTION_AND;
    *lexer = ahead;
}

static void put32(uint8_t *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static int read_length(const struct remed_token *token, const char *slash, unsigned most,
                       unsigned *length, struct remed_error *error)
{
    struct remed_token digits = *token;
    uint64_t number;
    digits.text = slash + 1;
    digits.length = token->length - (size_t)(digits.text - token->text);
    if (!remed_token_number(&digits, &number) || number > most)
        return refuse(token, error, "the prefix length is out of range");
    *length = (unsigned)number;
    return 0;
}

static int check_families(const struct remed_token *token, const struct remed_qualifiers *q,
                          unsigned possible, struct remed_test *test, struct remed_error *error)
{
    unsigned wanted = possible;
    if (q->protocol >= PROTOCOL_TCP)
        return refuse(token, error,
                      "an address goes with ip, ip6, arp or rarp, not with a transport");
    if (q->protocol != PROTOCOL_NONE)
        wanted = protocols[q->protocol].families & possible;
    if (wanted == 0)
        return refuse(token, error, "the address is not of that protocol");
    test->families = (uint8_t)wanted;
    return 0;
}

static int read_address6(struct remed_lexer *lexer, const struct remed_qualifiers *q,
                         struct remed_test *test, struct remed_error *error)
{
    const struct remed_token token = lexer->token;
    const char *slash = memchr(token.text, '/', token.length);
    unsigned length = 128;
    if (slash != NULL && q->type != REMED_VALUE_NET)
        return refuse(&token, error, "a prefix length goes with net");
    int rc = slash != NULL ? read_length(&token, slash, 128, &length, error) : 0;
    if (rc == 0)
        rc = check_families(&token, q, REMED_FAMILY_IPV6, test, error);
    if (rc < 0)
        return rc;
    size_t digits = slash != NULL ? (size_t)(slash - token.text) : token.length;
    test->kind = REMED_TEST_ADDRESS6;
    remed_read_ipv6(token.text, digits, test->address);
    for (unsigned i = 0; i < 16; i++) {
        unsigned bits = length > 8 * i ? length - 8 * i : 0;
        test->mask[i] = bits >= 8 ? 0xff : (uint8_t)(0xff00u >> bits);
        if ((test->address[i] & ~test->mask[i]) != 0)
            return refuse(&token, error, "there are bits set beyond the prefix");
    }
    remed_lexer_next(lexer);
    return 0;
}

/* `mask M` after a network. */
static int read_mask(struct remed_lexer *lexer, uint32_t *mask, struct remed_error *error)
{
    remed_lexer_next(lexer);
    if (lexer->token.kind != REMED_TOKEN_WORD ||
        remed_read_ipv4(lexer->token.text, lexer->token.length, mask) != 4)
        return remed_expected(lexer, error, "a mask such as 255.255.0.0");
    remed_lexer_next(lexer);
    return 0;
}

static int read_address4(struct remed_lexer *lexer, const struct remed_qualifiers *q,
                         struct remed_test *test, struct remed_error *error)
{
    const struct remed_token token = lexer->token;
    const char *slash = memchr(token.text, '/', token.length);
    size_t digits = slash != NULL ? (size_t)(slash - token.text) : token.length;
    uint32_t address, mask = UINT32_MAX;
    unsigned parts = remed_read_ipv4(token.text, digits, &address);
    if (parts == 0)
        return remed_expected(lexer, error, "an address");
    if (slash != NULL && q->type != REMED_VALUE_NET)
        return refuse(&token, error, "a prefix length goes with net");
    /* As in pcap-filter: missing parts are a shorter prefix, but a lone number is a whole host. */
    bool whole = parts == 1 && slash == NULL && (q->type != REMED_VALUE_NET || address == 0);
    if (parts < 4 && !whole) {
        address <<= 32 - 8 * parts;
        mask <<= 32 - 8 * parts;
    }
    unsigned length = 32;
    int rc = slash != NULL ? read_length(&token, slash, 32, &length, error) : 0;
    if (rc < 0)
        return rc;
    if (slash != NULL)
        mask = length == 0 ? 0 : UINT32_MAX << (32 - length);
    remed_lexer_next(lexer);
    if (slash == NULL && q->type == REMED_VALUE_NET && remed_token_is(&lexer->token, "mask"))
        rc = read_mask(lexer, &mask, error);
    if (rc < 0)
        return rc;
    if ((address & ~mask) != 0)
        return refuse(&token, error, "there are bits set beyond the prefix");
    test->kind = REMED_TEST_ADDRESS4;
    put32(test->address, address);
    put32(test->mask, mask);
    return check_families(&token, q, REMED_FAMILY_IPV4 | REMED_FAMILY_ARP | REMED_FAMILY_RARP, test,
                          error);
}

static int read_port(const struct remed_token *token, uint32_t *port, struct remed_error *error)
{
    uint64_t number;
    if (remed_token_number(token, &number)) {
        if (number > 65535)
            return refuse(token, error, "a port is at most 65535");
        *port = (uint32_t)number;
        return 0;
    }
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (remed_token_is(token, services[i].name)) {
            *port = services[i].port;
            return 0;
        }
    return refuse(token, error, "expected a port number or the name of a common service");
}

static int read_ports(struct remed_lexer *lexer, const struct remed_qualifiers *q,
                      struct remed_test *test, struct remed_error *error)
{
    const unsigned all = REMED_TRANSPORT_TCP | REMED_TRANSPORT_UDP | REMED_TRANSPORT_SCTP;
    struct remed_token first = lexer->token, last = first;
    if (first.kind != REMED_TOKEN_WORD)
        return remed_expected(lexer, error, "a port");
    unsigned transports = q->protocol == PROTOCOL_NONE ? all : protocols[q->protocol].transport;
    if (transports == 0)
        return refuse(&first, error, "a port goes with tcp, udp or sctp");
    const char *dash =
        first.text[0] >= '0' && first.text[0] <= '9' ? memchr(first.text, '-', first.length) : NULL;
    if (dash != NULL && q->type == REMED_VALUE_PORTRANGE) {
        first.length = (size_t)(dash - first.text);
        last.text = dash + 1;
        last.length -= first.length + 1;
        last.column += (uint32_t)first.length + 1;
    }
    int rc = read_port(&first, &test->low, error);
    if (rc == 0)
        rc = read_port(&last, &test->high, error);
    if (test->high < test->low) {
        uint32_t low = test->high;
        test->high = test->low;
        test->low = low;
    }
    test->kind = REMED_TEST_PORT;
    test->transports = (uint8_t)transports;
    if (rc == 0)
        remed_lexer_next(lexer);
    return rc;
}

static int read_value(struct remed_lexer *lexer, const struct remed_qualifiers *q,
                      struct remed_test *test, struct remed_error *error)
{
    test->direction = q->direction;
    if (q->type == REMED_VALUE_PORT || q->type == REMED_VALUE_PORTRANGE)
        return read_ports(lexer, q, test, error);
    if (!remed_is_value(&lexer->token))
        return remed_expected(lexer, error, "an address");
    bool colon = memchr(lexer->token.text, ':', lexer->token.length) != NULL;
    return colon ? read_address6(lexer, q, test, error) : read_address4(lexer, q, test, error);
}

/* Words with an optional number that enclose what follows. */
static int read_enclosure(struct remed_lexer *lexer, const char *name, uint8_t kind, uint64_t most,
                          struct remed_test *test, char *text, struct remed_error *error)
{
    uint64_t number;
    test->kind = kind;
    test->low = REMED_TEST_ANY_ID;
    snprintf(text, REMED_PRIMITIVE_TEXT, "%s", name);
    remed_lexer_next(lexer);
    if (!remed_token_number(&lexer->token, &number))
        return 0;
    if (number > most)
        return refuse(&lexer->token, error, "the number is out of range");
    test->low = (uint32_t)number;
    snprintf(text, REMED_PRIMITIVE_TEXT, "%s %u", name, test->low);
    remed_lexer_next(lexer);
    return 0;
}

static void move(struct remed_place *place, enum remed_layer_kind layer, uint32_t bytes)
{
    place->layer = (uint8_t)layer;
    place->shift += bytes;
}

static int read_length_test(struct remed_lexer *lexer, struct remed_test *test, char *text,
                            struct remed_error *error)
{
    bool less = remed_token_is(&lexer->token, "less");
    uint64_t number;
    remed_lexer_next(lexer);
    if (!remed_token_number(&lexer->token, &number) || number > UINT32_MAX)
        return remed_expected(lexer, error, "a length in bytes");
    test->kind = less ? REMED_TEST_LESS : REMED_TEST_GREATER;
    test->low = (uint32_t)number;
    snprintf(text, REMED_PRIMITIVE_TEXT, "%s %u", less ? "less" : "greater", test->low);
    remed_lexer_next(lexer);
    return 0;
}

static size_t print_address(const struct remed_test *test, char *text, size_t size)
{
    struct remed_flow_key key = {.ip_version = test->kind == REMED_TEST_ADDRESS6 ? 6 : 4};
    char address[REMED_ENDPOINT_TEXT_SIZE];
    memcpy(key.address[0], test->address, 16);
    remed_flow_key_endpoint(&key, 0, address);
    unsigned length = 0, bytes = key.ip_version == 6 ? 16 : 4;
    bool contiguous = true;
    for (unsigned bit = 0; bit < 8 * bytes; bit++) {
        bool set = (test->mask[bit / 8] & (0x80u >> bit % 8)) != 0;
        contiguous = contiguous && (!set || length == bit);
        length += set;
    }
    if (!contiguous)
        return (size_t)snprintf(text, size, "net %s mask %u.%u.%u.%u", address, test->mask[0],
                                test->mask[1], test->mask[2], test->mask[3]);
    if (length == 8 * bytes)
        return (size_t)snprintf(text, size, "host %s", address);
    return (size_t)snprintf(text, size, "net %s/%u", address, length);
}

static void print_value(const struct remed_qualifiers *q, const struct remed_test *test, char *text)
{
    const char *protocol = q->protocol != PROTOCOL_NONE ? protocols[q->protocol].name : "";
    const char *direction = directions[q->direction];
    int at = snprintf(text, REMED_PRIMITIVE_TEXT, "%s%s%s%s", protocol, *protocol ? " " : "",
                      direction, *direction ? " " : "");
    size_t left = REMED_PRIMITIVE_TEXT - (size_t)at;
    if (test->kind != REMED_TEST_PORT)
        print_address(test, text + at, left);
    else if (test->low == test->high)
        snprintf(text + at, left, "port %u", test->low);
    else
        snprintf(text + at, left, "portrange %u-%u", test->low, test->high);
}

/* `tcp`, or `tcp` as the first qualifier of what follows. */
static bool read_qualifiers(struct remed_lexer *lexer, struct remed_qualifiers *q)
{
    *q = (struct remed_qualifiers){0, 0, 0};
    unsigned protocol = protocol_of(&lexer->token);
    q->protocol = (uint8_t)protocol;
    if (protocol != PROTOCOL_NONE)
        remed_lexer_next(lexer);
    const struct remed_lexer before = *lexer;
    read_direction(lexer, q);
    q->type = (uint8_t)type_of(&lexer->token);
    if (q->type != REMED_VALUE_DEFAULT)
        remed_lexer_next(lexer);
    return before.at != lexer->at || remed_is_value(&lexer->token);
}

static void set_protocol(const struct protocol *protocol, struct remed_test *test, char *text)
{
    test->kind = protocol->kind;
    test->low = protocol->value;
    test->families = protocol->families;
    snprintf(text, REMED_PRIMITIVE_TEXT, "%s", protocol->name);
}

static int read_qualified(struct remed_lexer *lexer, struct remed_qualifiers *qualifiers,
                          struct remed_test *test, char *text, struct remed_error *error)
{
    if (!remed_is_value(&lexer->token) && !read_qualifiers(lexer, qualifiers)) {
        if (qualifiers->protocol == PROTOCOL_NONE)
            return remed_expected(lexer, error,
                                  "a match (any, ip, ip6, tcp, udp, sctp, icmp, icmp6, arp, vlan, "
                                  "mpls, pppoes, host, net, port, portrange, less, greater)");
        set_protocol(&protocols[qualifiers->protocol], test, text);
        *qualifiers = (struct remed_qualifiers){0, 0, 0};
        return 0;
    }
    int rc = read_value(lexer, qualifiers, test, error);
    if (rc == 0)
        print_value(qualifiers, test, text);
    return rc;
}

int remed_primitive_read(struct remed_lexer *lexer, struct remed_qualifiers *qualifiers,
                         struct remed_place *place, struct remed_test *test, char *text,
                         struct remed_error *error)
{
    const struct remed_token *token = &lexer->token;
    memset(test, 0, sizeof *test);
    test->layer = place->layer;
    test->shift = place->shift;
    int rc = 0;
    if (remed_token_is(token, "any")) {
        snprintf(text, REMED_PRIMITIVE_TEXT, "any");
        remed_lexer_next(lexer);
    } else if (remed_token_is(token, "vlan")) {
        rc = read_enclosure(lexer, "vlan", REMED_TEST_VLAN, 4095, test, text, error);
        move(place, REMED_LAYER_VLAN, 4);
    } else if (remed_token_is(token, "mpls")) {
        rc = read_enclosure(lexer, "mpls", REMED_TEST_MPLS, 1048575, test, text, error);
        move(place, REMED_LAYER_MPLS, 4);
    } else if (remed_token_is(token, "pppoes")) {
        rc = read_enclosure(lexer, "pppoes", REMED_TEST_PPPOES, 65535, test, text, error);
        move(place, REMED_LAYER_PPP, 8);
    } else if (remed_token_is(token, "less") || remed_token_is(token, "greater")) {
        rc = read_length_test(lexer, test, text, error);
    } else {
        return read_qualified(lexer, qualifiers, test, text, error);
    }
    *qualifiers = (struct remed_qualifiers){0, 0, 0};
    return rc;
}
