/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values of MATCH: addresses, ports, protocols, and how they are written back.
 *
 * Threads: belongs to one parse.
 */
#include "filter/primitive.h"

#include "filter/words.h"

#include <stdio.h>

#define ALL_TRANSPORTS (REMED_TRANSPORT_TCP | REMED_TRANSPORT_UDP | REMED_TRANSPORT_SCTP)
#define MAX_LLC_LENGTH 1500u

static const char *const directions[] = {"", "src", "dst", "src and dst"};

static bool is_address(const struct remed_token *token)
{
    uint8_t address[16];
    const char *slash = memchr(token->text, '/', token->length);
    size_t length = slash != NULL ? (size_t)(slash - token->text) : token->length;
    return remed_read_ipv6(token->text, length, address) ||
           remed_read_mac(token->text, token->length, address);
}

bool remed_is_value(const struct remed_token *token, const struct remed_qualifiers *qualifiers)
{
    if (token->kind != REMED_TOKEN_WORD)
        return false;
    if ((*token->text >= '0' && *token->text <= '9') || *token->text == '\\' || is_address(token))
        return true;
    return qualifiers->type != REMED_VALUE_DEFAULT && !remed_word_is_reserved(token);
}

int remed_number_read(struct remed_lexer *lexer, uint32_t most, const char *what, uint32_t *number,
                      struct remed_error *error)
{
    const char *fault;
    enum remed_number_kind kind = remed_word_number(&lexer->token, number, &fault);
    if (kind == REMED_NUMBER_NONE)
        return remed_expected(lexer, error, what);
    if (kind == REMED_NUMBER_BAD)
        return remed_refuse(&lexer->token, error, fault);
    if (*number > most)
        return remed_refuse(&lexer->token, error, "the number is out of range");
    remed_lexer_next(lexer);
    return 0;
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
        return remed_refuse(token, error, "the prefix length is out of range");
    *length = (unsigned)number;
    return 0;
}

static int check_families(const struct remed_token *token, const struct remed_qualifiers *q,
                          unsigned possible, struct remed_test *test, struct remed_error *error)
{
    unsigned wanted = possible;
    if (q->protocol >= REMED_MATCH_TCP)
        return remed_refuse(token, error,
                            "an address goes with ip, ip6, arp or rarp, not with a transport");
    if (q->protocol != REMED_MATCH_NONE)
        wanted = remed_match_protocols[q->protocol].families & possible;
    if (wanted == 0)
        return remed_refuse(token, error, "the address is not of that protocol");
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
        return remed_refuse(&token, error, "a prefix length goes with net");
    int rc = slash != NULL ? read_length(&token, slash, 128, &length, error) : 0;
    if (rc == 0)
        rc = check_families(&token, q, REMED_FAMILY_IPV6, test, error);
    if (rc < 0)
        return rc;
    size_t digits = slash != NULL ? (size_t)(slash - token.text) : token.length;
    if (!remed_read_ipv6(token.text, digits, test->address))
        return remed_expected(lexer, error, "an address");
    test->kind = REMED_TEST_ADDRESS6;
    for (unsigned i = 0; i < 16; i++) {
        unsigned bits = length > 8 * i ? length - 8 * i : 0;
        test->mask[i] = bits >= 8 ? 0xff : (uint8_t)(0xff00u >> bits);
        if ((test->address[i] & ~test->mask[i]) != 0)
            return remed_refuse(&token, error, "there are bits set beyond the prefix");
    }
    remed_lexer_next(lexer);
    return 0;
}

/* `mask M` after a network; M may be as short as the network. */
static int read_mask(struct remed_lexer *lexer, uint32_t *mask, struct remed_error *error)
{
    remed_lexer_next(lexer);
    unsigned parts = lexer->token.kind == REMED_TOKEN_WORD
                         ? remed_read_ipv4(lexer->token.text, lexer->token.length, mask)
                         : 0;
    if (parts == 0)
        return remed_expected(lexer, error, "a mask such as 255.255.0.0");
    *mask = parts < 4 ? *mask << (32 - 8 * parts) : *mask;
    remed_lexer_next(lexer);
    return 0;
}

/* Missing parts are a shorter prefix, as in pcap-filter; a lone number is the address itself, or
 * the leading bytes of a network. */
static unsigned read_short4(const struct remed_token *token, size_t length, bool is_net,
                            uint32_t *address, uint32_t *mask)
{
    struct remed_token digits = *token;
    const char *fault;
    digits.length = length;
    *mask = UINT32_MAX;
    unsigned parts = remed_read_ipv4(token->text, length, address);
    if (length == token->length && parts < 2 &&
        remed_word_number(&digits, address, &fault) == REMED_NUMBER_GOOD) {
        for (; is_net && *address != 0 && *address >> 24 == 0; *mask <<= 8)
            *address <<= 8;
        return 4;
    }
    if (parts > 0 && parts < 4) {
        *address <<= 32 - 8 * parts;
        *mask <<= 32 - 8 * parts;
    }
    return parts;
}

static int read_address4(struct remed_lexer *lexer, const struct remed_qualifiers *q,
                         struct remed_test *test, struct remed_error *error)
{
    const struct remed_token token = lexer->token;
    const char *slash = memchr(token.text, '/', token.length);
    size_t digits = slash != NULL ? (size_t)(slash - token.text) : token.length;
    uint32_t address, mask;
    bool is_net = q->type == REMED_VALUE_NET;
    if (read_short4(&token, digits, is_net, &address, &mask) == 0)
        return remed_expected(lexer, error, "an address");
    if (slash != NULL && !is_net)
        return remed_refuse(&token, error, "a prefix length goes with net");
    unsigned length = 32;
    int rc = slash != NULL ? read_length(&token, slash, 32, &length, error) : 0;
    if (rc < 0)
        return rc;
    if (slash != NULL)
        mask = length == 0 ? 0 : UINT32_MAX << (32 - length);
    remed_lexer_next(lexer);
    if (slash == NULL && is_net && remed_token_is(&lexer->token, "mask"))
        rc = read_mask(lexer, &mask, error);
    if (rc < 0)
        return rc;
    if ((address & ~mask) != 0)
        return remed_refuse(&token, error, "there are bits set beyond the prefix");
    test->kind = REMED_TEST_ADDRESS4;
    put32(test->address, address);
    put32(test->mask, mask);
    return check_families(&token, q, REMED_FAMILY_IPV4 | REMED_FAMILY_ARP | REMED_FAMILY_RARP, test,
                          error);
}

static int read_mac(struct remed_lexer *lexer, const struct remed_qualifiers *q,
                    struct remed_test *test, struct remed_error *error)
{
    if (q->protocol != REMED_MATCH_ETHER)
        return remed_refuse(&lexer->token, error,
                            "an Ethernet address goes with ether, as in 'ether host'");
    if (q->type == REMED_VALUE_NET)
        return remed_refuse(&lexer->token, error, "an Ethernet address goes with host");
    if (test->layer == REMED_LAYER_PPP)
        return remed_refuse(&lexer->token, error, "behind pppoes there is no Ethernet header");
    remed_read_mac(lexer->token.text, lexer->token.length, test->address);
    test->kind = REMED_TEST_MAC;
    remed_lexer_next(lexer);
    return 0;
}

/* One port, and the transports that its name has; `length` bytes of the token. */
static bool read_port_part(const struct remed_token *token, size_t from, size_t length,
                           uint32_t *port, uint8_t *transports)
{
    struct remed_token part = *token;
    const char *fault;
    part.text += from;
    part.length = length;
    *transports = ALL_TRANSPORTS;
    if (remed_word_number(&part, port, &fault) == REMED_NUMBER_GOOD)
        return *port <= 65535;
    return remed_word_service(&part, port, transports);
}

/* `FIRST-LAST`, where names may hold a dash as well. */
static bool read_port_range(const struct remed_token *token, struct remed_test *test)
{
    uint8_t first, last;
    for (size_t i = 1; i + 1 < token->length; i++)
        if (token->text[i] == '-' && read_port_part(token, 0, i, &test->low, &first) &&
            read_port_part(token, i + 1, token->length - i - 1, &test->high, &last)) {
            test->transports = first == last ? first : ALL_TRANSPORTS;
            return true;
        }
    return false;
}

static int read_port(const struct remed_token *token, const struct remed_qualifiers *q,
                     struct remed_test *test, struct remed_error *error)
{
    uint32_t number;
    const char *fault;
    if (read_port_part(token, 0, token->length, &test->low, &test->transports)) {
        test->high = test->low;
        return 0;
    }
    if (q->type == REMED_VALUE_PORTRANGE && read_port_range(token, test))
        return 0;
    enum remed_number_kind kind = remed_word_number(token, &number, &fault);
    if (kind == REMED_NUMBER_GOOD)
        fault = "a port is at most 65535";
    else if (kind == REMED_NUMBER_NONE && q->type == REMED_VALUE_PORTRANGE)
        fault = "expected ports such as 5000-5010";
    else if (kind == REMED_NUMBER_NONE)
        fault = "expected a port number or the name of a common service";
    return remed_refuse(token, error, fault);
}

static int read_ports(struct remed_lexer *lexer, const struct remed_qualifiers *q,
                      struct remed_test *test, struct remed_error *error)
{
    const struct remed_token token = lexer->token;
    if (token.kind != REMED_TOKEN_WORD)
        return remed_expected(lexer, error, "a port");
    unsigned wanted = q->protocol == REMED_MATCH_NONE
                          ? ALL_TRANSPORTS
                          : remed_match_protocols[q->protocol].transport;
    if (wanted == 0)
        return remed_refuse(&token, error, "a port goes with tcp, udp or sctp");
    int rc = read_port(&token, q, test, error);
    if (rc < 0)
        return rc;
    if (test->high < test->low) {
        uint32_t low = test->high;
        test->high = test->low;
        test->low = low;
    }
    test->kind = REMED_TEST_PORT;
    test->transports &= (uint8_t)wanted;
    if (test->transports == 0)
        return remed_refuse(&token, error,
                            "the service is not of that transport; write its number");
    remed_lexer_next(lexer);
    return 0;
}

static int read_ether_type(struct remed_lexer *lexer, struct remed_test *test,
                           struct remed_error *error)
{
    const struct remed_token token = lexer->token;
    test->kind = REMED_TEST_ETHERTYPE;
    if (remed_word_ethertype(&token, &test->low)) {
        remed_lexer_next(lexer);
        return 0;
    }
    int rc = remed_number_read(lexer, 0xfffe, "an EtherType such as 0x88cc", &test->low, error);
    if (rc == 0 && test->low <= MAX_LLC_LENGTH)
        return remed_refuse(&token, error,
                            "not an EtherType; for LLC write ether[12:2] <= 1500 and ether[14]");
    if (rc == 0 && (test->low == 0x809b || test->low == 0x80f3))
        return remed_refuse(&token, error,
                            "AppleTalk may stand in SNAP; write ether[12:2] for the type alone");
    return rc;
}

static int read_protocol(struct remed_lexer *lexer, const struct remed_qualifiers *q,
                         struct remed_test *test, struct remed_error *error)
{
    const char *what = "an IP protocol, a number or a name such as gre";
    if (lexer->token.kind != REMED_TOKEN_WORD)
        return remed_expected(lexer, error, what);
    if (q->direction != REMED_DIRECTION_OR || q->protocol > REMED_MATCH_IP6)
        return remed_refuse(&lexer->token, error, "a protocol goes with ether, ip, ip6 or nothing");
    if (q->protocol == REMED_MATCH_ETHER)
        return read_ether_type(lexer, test, error);
    test->kind = REMED_TEST_PROTOCOL;
    test->families = REMED_FAMILY_IPV4 | REMED_FAMILY_IPV6;
    if (q->protocol != REMED_MATCH_NONE)
        test->families = remed_match_protocols[q->protocol].families;
    if (remed_word_ip_protocol(&lexer->token, &test->low)) {
        remed_lexer_next(lexer);
        return 0;
    }
    return remed_number_read(lexer, 255, what, &test->low, error);
}

static bool is_bare(const struct remed_qualifiers *q)
{
    return q->protocol == REMED_MATCH_NONE && q->direction == REMED_DIRECTION_OR &&
           q->type == REMED_VALUE_DEFAULT;
}

static int refuse_address(struct remed_lexer *lexer, struct remed_error *error)
{
    const struct remed_token *token = &lexer->token;
    bool is_word = token->kind == REMED_TOKEN_WORD && !remed_word_is_reserved(token) &&
                   (*token->text < '0' || *token->text > '9');
    return is_word ? remed_refuse(token, error, "a name is not looked up; write its address")
                   : remed_expected(lexer, error, "an address");
}

int remed_value_read(struct remed_lexer *lexer, const struct remed_qualifiers *q,
                     struct remed_test *test, struct remed_error *error)
{
    const struct remed_token *token = &lexer->token;
    uint8_t address[6];
    uint32_t number;
    const char *fault;
    test->direction = q->direction;
    if (q->type == REMED_VALUE_PORT || q->type == REMED_VALUE_PORTRANGE)
        return read_ports(lexer, q, test, error);
    if (q->type == REMED_VALUE_PROTOCOL)
        return read_protocol(lexer, q, test, error);
    if (token->kind == REMED_TOKEN_WORD && remed_read_mac(token->text, token->length, address))
        return read_mac(lexer, q, test, error);
    if (q->protocol == REMED_MATCH_ETHER)
        return remed_expected(lexer, error, "an Ethernet address such as 02:00:00:00:00:01");
    enum remed_number_kind kind = remed_word_number(token, &number, &fault);
    if (kind == REMED_NUMBER_BAD)
        return remed_refuse(token, error, fault);
    if (kind == REMED_NUMBER_GOOD && is_bare(q))
        return remed_refuse(token, error, "a number alone; write port, host or proto before it");
    if (kind == REMED_NUMBER_NONE &&
        (!remed_is_value(token, q) || (*token->text > '9' && !is_address(token))))
        return refuse_address(lexer, error);
    bool colon = memchr(token->text, ':', token->length) != NULL;
    return colon ? read_address6(lexer, q, test, error) : read_address4(lexer, q, test, error);
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

static size_t print_mac(const uint8_t *mac, char *text, size_t size)
{
    return (size_t)snprintf(text, size, "host %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
                            mac[2], mac[3], mac[4], mac[5]);
}

/* The name of a service may have narrowed the transports. */
static const char *protocol_name(const struct remed_qualifiers *q, const struct remed_test *test)
{
    if (q->protocol != REMED_MATCH_NONE || test->kind != REMED_TEST_PORT)
        return remed_match_protocols[q->protocol].name;
    for (unsigned i = REMED_MATCH_TCP; i <= REMED_MATCH_SCTP; i++)
        if (remed_match_protocols[i].transport == test->transports)
            return remed_match_protocols[i].name;
    return "";
}

void remed_value_print(const struct remed_qualifiers *q, const struct remed_test *test, char *text)
{
    const char *protocol = protocol_name(q, test), *direction = directions[q->direction];
    int at = snprintf(text, REMED_PRIMITIVE_TEXT, "%s%s%s%s", protocol, *protocol ? " " : "",
                      direction, *direction ? " " : "");
    size_t left = REMED_PRIMITIVE_TEXT - (size_t)at;
    if (test->kind == REMED_TEST_MAC)
        print_mac(test->address, text + at, left);
    else if (test->kind == REMED_TEST_ETHERTYPE)
        snprintf(text + at, left, "proto 0x%04x", test->low);
    else if (test->kind == REMED_TEST_PROTOCOL)
        snprintf(text + at, left, "proto %u", test->low);
    else if (test->kind != REMED_TEST_PORT)
        print_address(test, text + at, left);
    else if (test->low == test->high)
        snprintf(text + at, left, "port %u", test->low);
    else
        snprintf(text + at, left, "portrange %u-%u", test->low, test->high);
}
