/* SPDX-License-Identifier: BSD-3-Clause */
/* Primitives of MATCH, as pcap-filter(7) has them. Threads: belongs to one parse. */
#include "filter/primitive.h"

#include "filter/words.h"
#include "packet/link.h"

#include <stdio.h>

#define BOTH (REMED_FAMILY_IPV4 | REMED_FAMILY_IPV6)
#define V4 REMED_FAMILY_IPV4
#define V6 REMED_FAMILY_IPV6

const struct remed_match_protocol_row remed_match_protocols[REMED_MATCH_PROTOCOLS] = {
    [REMED_MATCH_NONE] = {"", 0, 0, 0, 0},
    [REMED_MATCH_ETHER] = {"ether", 0, 0, 0, 0},
    [REMED_MATCH_IP] = {"ip", REMED_ETHERTYPE_IPV4, REMED_TEST_ETHERTYPE, V4, 0},
    [REMED_MATCH_IP6] = {"ip6", REMED_ETHERTYPE_IPV6, REMED_TEST_ETHERTYPE, V6, 0},
    [REMED_MATCH_ARP] = {"arp", 0x0806, REMED_TEST_ETHERTYPE, REMED_FAMILY_ARP, 0},
    [REMED_MATCH_RARP] = {"rarp", 0x8035, REMED_TEST_ETHERTYPE, REMED_FAMILY_RARP, 0},
    [REMED_MATCH_TCP] = {"tcp", 6, REMED_TEST_PROTOCOL, BOTH, REMED_TRANSPORT_TCP},
    [REMED_MATCH_UDP] = {"udp", 17, REMED_TEST_PROTOCOL, BOTH, REMED_TRANSPORT_UDP},
    [REMED_MATCH_SCTP] = {"sctp", 132, REMED_TEST_PROTOCOL, BOTH, REMED_TRANSPORT_SCTP},
    [REMED_MATCH_ICMP] = {"icmp", 1, REMED_TEST_PROTOCOL, V4, 0},
    [REMED_MATCH_ICMP6] = {"icmp6", 58, REMED_TEST_PROTOCOL, V6, 0},
    [REMED_MATCH_IGMP] = {"igmp", 2, REMED_TEST_PROTOCOL, V4, 0},
    [REMED_MATCH_IGRP] = {"igrp", 9, REMED_TEST_PROTOCOL, V4, 0},
    [REMED_MATCH_PIM] = {"pim", 103, REMED_TEST_PROTOCOL, BOTH, 0},
    [REMED_MATCH_VRRP] = {"vrrp", 112, REMED_TEST_PROTOCOL, V4, 0},
    [REMED_MATCH_CARP] = {"carp", 112, REMED_TEST_PROTOCOL, V4, 0},
    [REMED_MATCH_ESP] = {"esp", 50, REMED_TEST_PROTOCOL, BOTH, 0},
    [REMED_MATCH_AH] = {"ah", 51, REMED_TEST_PROTOCOL, BOTH, 0},
    [REMED_MATCH_PPPOED] = {"pppoed", 0x8863, REMED_TEST_ETHERTYPE, 0, 0},
};

static const char *const types[] = {"host", "host", "net", "port", "portrange", "proto"};

static unsigned protocol_of(const struct remed_token *token)
{
    if (remed_token_is(token, "link"))
        return REMED_MATCH_ETHER;
    for (unsigned i = 1; i < REMED_MATCH_PROTOCOLS; i++)
        if (remed_token_is(token, remed_match_protocols[i].name))
            return i;
    return REMED_MATCH_NONE;
}

static unsigned type_of(const struct remed_token *token)
{
    for (unsigned i = REMED_VALUE_HOST; i <= REMED_VALUE_PROTOCOL; i++)
        if (remed_token_is(token, types[i]))
            return i;
    return REMED_VALUE_DEFAULT;
}

int remed_refuse(const struct remed_token *at, struct remed_error *error, const char *why)
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
    if (type_of(&ahead.token) == REMED_VALUE_DEFAULT &&
        !remed_is_value(&ahead.token, &(struct remed_qualifiers){0, 0, 0}))
        return;
    qualifiers->direction = either ? REMED_DIRECTION_OR : REMED_DIRECTION_AND;
    *lexer = ahead;
}

/* Words with an optional number that enclose what follows. */
static int read_enclosure(struct remed_lexer *lexer, const char *name, uint8_t kind, uint32_t most,
                          struct remed_test *test, char *text, struct remed_error *error)
{
    uint32_t number;
    const char *fault;
    test->kind = kind;
    test->low = REMED_TEST_ANY_ID;
    snprintf(text, REMED_PRIMITIVE_TEXT, "%s", name);
    remed_lexer_next(lexer);
    if (remed_word_number(&lexer->token, &number, &fault) == REMED_NUMBER_NONE)
        return 0;
    int rc = remed_number_read(lexer, most, "a number", &test->low, error);
    snprintf(text, REMED_PRIMITIVE_TEXT, "%s %u", name, test->low);
    return rc;
}

static void move(struct remed_place *place, enum remed_layer_kind layer, uint32_t bytes)
{
    place->layer = (uint8_t)layer;
    place->shift += bytes;
    if (layer == REMED_LAYER_PPP)
        place->ppp = place->shift - 2;
}

static int read_length_test(struct remed_lexer *lexer, struct remed_test *test, char *text,
                            struct remed_error *error)
{
    bool less = remed_token_is(&lexer->token, "less");
    remed_lexer_next(lexer);
    test->kind = less ? REMED_TEST_LESS : REMED_TEST_GREATER;
    int rc = remed_number_read(lexer, UINT32_MAX, "a length in bytes", &test->low, error);
    snprintf(text, REMED_PRIMITIVE_TEXT, "%s %u", less ? "less" : "greater", test->low);
    return rc;
}

static bool is_group(const struct remed_token *token)
{
    return remed_token_is(token, "broadcast") || remed_token_is(token, "multicast");
}

static int read_link_group(const struct remed_token *token, struct remed_test *test, char *text,
                           struct remed_error *error)
{
    bool all = remed_token_is(token, "broadcast");
    if (test->layer == REMED_LAYER_PPP)
        return remed_refuse(token, error, "behind pppoes there is no Ethernet header");
    test->kind = all ? REMED_TEST_MAC : REMED_TEST_GROUP;
    test->direction = all ? REMED_DIRECTION_DESTINATION : REMED_DIRECTION_OR;
    test->low = all;
    if (all)
        memset(test->address, 0xff, 6);
    snprintf(text, REMED_PRIMITIVE_TEXT, "ether %s", all ? "broadcast" : "multicast");
    return 0;
}

/* `broadcast` or `multicast`, with ether, ip or ip6 before it. */
static int read_group(struct remed_lexer *lexer, unsigned protocol, struct remed_test *test,
                      char *text, struct remed_error *error)
{
    const struct remed_token token = lexer->token;
    remed_lexer_next(lexer);
    if (protocol == REMED_MATCH_NONE || protocol == REMED_MATCH_ETHER)
        return read_link_group(&token, test, text, error);
    if (protocol > REMED_MATCH_IP6)
        return remed_refuse(&token, error, "goes with ether, ip or ip6");
    if (remed_token_is(&token, "broadcast"))
        return remed_refuse(&token, error,
                            "the networks' masks are not known; write 'dst host' and the address");
    test->kind = REMED_TEST_GROUP;
    test->families = remed_match_protocols[protocol].families;
    snprintf(text, REMED_PRIMITIVE_TEXT, "%s multicast", remed_match_protocols[protocol].name);
    return 0;
}

/* Protocol, direction and type; false when the protocol stands alone. */
static bool read_qualifiers(struct remed_lexer *lexer, struct remed_qualifiers *q)
{
    static const struct remed_qualifiers none = {0, 0, 0};
    *q = none;
    q->protocol = (uint8_t)protocol_of(&lexer->token);
    if (q->protocol != REMED_MATCH_NONE)
        remed_lexer_next(lexer);
    const struct remed_lexer before = *lexer;
    read_direction(lexer, q);
    q->type = (uint8_t)type_of(&lexer->token);
    if (q->type != REMED_VALUE_DEFAULT)
        remed_lexer_next(lexer);
    return before.at != lexer->at || remed_is_value(&lexer->token, &none);
}

static int read_protocol_alone(struct remed_lexer *lexer, const struct remed_qualifiers *q,
                               struct remed_test *test, char *text, struct remed_error *error)
{
    const struct remed_match_protocol_row *protocol = &remed_match_protocols[q->protocol];
    const char *hint = remed_word_refused(&lexer->token);
    if (is_group(&lexer->token))
        return read_group(lexer, q->protocol, test, text, error);
    if (hint != NULL)
        return remed_refuse(&lexer->token, error, hint);
    if (q->protocol == REMED_MATCH_NONE)
        return remed_expected(
            lexer, error,
            "a match (any, ip, ip6, tcp, udp, sctp, icmp, icmp6, arp, ether, vlan, mpls, pppoes, "
            "host, net, port, portrange, proto, less, greater, len, tcp[13], ...)");
    if (q->protocol == REMED_MATCH_ETHER)
        return remed_expected(lexer, error, "host, src, dst, proto, broadcast or multicast");
    test->kind = protocol->kind;
    test->low = protocol->value;
    test->families = protocol->families;
    snprintf(text, REMED_PRIMITIVE_TEXT, "%s", protocol->name);
    return 0;
}

static bool is_value_list(const struct remed_token *token)
{
    return remed_token_is(token, "(") || remed_token_is(token, "not") || remed_token_is(token, "!");
}

static int read_qualified(struct remed_lexer *lexer, struct remed_qualifiers *qualifiers,
                          bool value_only, struct remed_test *test, char *text,
                          struct remed_error *error)
{
    if (!value_only && !remed_is_value(&lexer->token, qualifiers)) {
        if (!read_qualifiers(lexer, qualifiers)) {
            int rc = read_protocol_alone(lexer, qualifiers, test, text, error);
            *qualifiers = (struct remed_qualifiers){0, 0, 0};
            return rc;
        }
        if (is_value_list(&lexer->token))
            return REMED_PRIMITIVE_HEAD;
        const char *hint = remed_word_refused(&lexer->token);
        if (hint != NULL)
            return remed_refuse(&lexer->token, error, hint);
    }
    int rc = remed_value_read(lexer, qualifiers, test, error);
    if (rc == 0)
        remed_value_print(qualifiers, test, text);
    return rc;
}

int remed_primitive_read(struct remed_lexer *lexer, struct remed_qualifiers *qualifiers,
                         struct remed_place *place, bool value_only, struct remed_test *test,
                         char *text, struct remed_error *error)
{
    const struct remed_token *token = &lexer->token;
    memset(test, 0, sizeof *test);
    test->layer = place->layer;
    test->shift = place->shift;
    int rc = 0;
    if (value_only) {
        return read_qualified(lexer, qualifiers, true, test, text, error);
    } else if (remed_token_is(token, "any")) {
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
        return read_qualified(lexer, qualifiers, false, test, text, error);
    }
    *qualifiers = (struct remed_qualifiers){0, 0, 0};
    return rc;
}
