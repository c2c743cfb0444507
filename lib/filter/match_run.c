/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running a MATCH on a packet.
 *
 * A test answers yes, no, or that it had to read beyond the captured bytes. The order in which a
 * test reads is libpcap's, since on a short packet that decides between "no" and "beyond".
 *
 * Threads: no state.
 */
#include "filter/match.h"

#include "packet/link.h"

#define ETHERTYPE_ARP 0x0806u
#define ETHERTYPE_RARP 0x8035u
#define PPP_IPV4 0x0021u
#define PPP_IPV6 0x0057u
#define PPP_MPLS 0x0281u

enum answer { NO = 0, YES = 1, BEYOND = 2 };

struct view {
    const struct remed_packet *packet;
    const struct remed_headers *headers;
    struct remed_link link;
    bool inner; /* read from the classifying IP header on; nothing shifts */
};

static bool load8(const struct view *view, uint32_t offset, uint32_t *value)
{
    if (offset >= view->packet->captured)
        return false;
    *value = view->packet->data[offset];
    return true;
}

static bool load16(const struct view *view, uint32_t offset, uint32_t *value)
{
    uint32_t captured = view->packet->captured;
    if (offset > captured || captured - offset < 2)
        return false;
    *value = remed_load16(view->packet->data + offset);
    return true;
}

static bool load32(const struct view *view, uint32_t offset, uint32_t *value)
{
    uint32_t captured = view->packet->captured;
    if (offset > captured || captured - offset < 4)
        return false;
    *value = remed_load32(view->packet->data + offset);
    return true;
}

static uint32_t payload_of(const struct view *view, const struct remed_test *test)
{
    return view->link.payload + (view->inner ? 0 : test->shift);
}

/* Below MPLS nothing names the payload: the last label must be the stack's bottom, and IP's version
 * is the payload's first nibble. */
static enum answer is_below_mpls(const struct view *view, uint32_t payload, uint32_t type)
{
    uint32_t bottom, version;
    if (!load8(view, payload - 2, &bottom))
        return BEYOND;
    if ((bottom & 1) == 0)
        return NO;
    if (type != REMED_ETHERTYPE_IPV4 && type != REMED_ETHERTYPE_IPV6)
        return NO;
    if (!load8(view, payload, &version))
        return BEYOND;
    return version >> 4 == (type == REMED_ETHERTYPE_IPV4 ? 4u : 6u) ? YES : NO;
}

static uint32_t to_ppp(uint32_t type)
{
    return type == REMED_ETHERTYPE_IPV4   ? PPP_IPV4
           : type == REMED_ETHERTYPE_IPV6 ? PPP_IPV6
           : type == REMED_ETHERTYPE_MPLS ? PPP_MPLS
                                          : REMED_ETHERTYPE_NONE;
}

/* Whether the payload of the test's layer has an EtherType. */
static enum answer is_type(const struct view *view, const struct remed_test *test, uint32_t type)
{
    uint32_t found;
    if (view->inner || test->layer == REMED_LAYER_LINK) {
        if (view->link.status == REMED_LINK_TRUNCATED)
            return BEYOND;
        return view->link.protocol == type ? YES : NO;
    }
    uint32_t payload = payload_of(view, test);
    if (test->layer == REMED_LAYER_MPLS)
        return is_below_mpls(view, payload, type);
    if (!load16(view, payload - 2, &found))
        return BEYOND;
    return found == (test->layer == REMED_LAYER_PPP ? to_ppp(type) : type) ? YES : NO;
}

static enum answer is_ipv6_protocol(const struct view *view, uint32_t ip, uint32_t protocol)
{
    uint32_t next;
    if (!load8(view, ip + 6, &next))
        return BEYOND;
    if (next == protocol)
        return YES;
    if (next != 44)
        return NO;
    if (!load8(view, ip + 40, &next))
        return BEYOND;
    return next == protocol ? YES : NO;
}

static enum answer run_protocol(const struct view *view, const struct remed_test *test)
{
    uint32_t ip = payload_of(view, test), protocol;
    if ((test->families & REMED_FAMILY_IPV4) != 0) {
        enum answer is_ip = is_type(view, test, REMED_ETHERTYPE_IPV4);
        if (is_ip == BEYOND)
            return BEYOND;
        if (is_ip == YES) {
            if (!load8(view, ip + 9, &protocol))
                return BEYOND;
            return protocol == test->low ? YES : NO;
        }
    }
    if ((test->families & REMED_FAMILY_IPV6) == 0)
        return NO;
    enum answer is_ip6 = is_type(view, test, REMED_ETHERTYPE_IPV6);
    return is_ip6 == YES ? is_ipv6_protocol(view, ip, test->low) : is_ip6;
}

static enum answer address4_at(const struct view *view, const struct remed_test *test,
                               uint32_t offset)
{
    uint32_t found;
    if (!load32(view, offset, &found))
        return BEYOND;
    return (found & remed_load32(test->mask)) == remed_load32(test->address) ? YES : NO;
}

static enum answer address6_at(const struct view *view, const struct remed_test *test,
                               uint32_t offset)
{
    for (unsigned word = 4; word-- > 0;) {
        uint32_t found;
        if (!load32(view, offset + 4 * word, &found))
            return BEYOND;
        if ((found & remed_load32(test->mask + 4 * word)) != remed_load32(test->address + 4 * word))
            return NO;
    }
    return YES;
}

typedef enum answer (*look_fn)(const struct view *view, const struct remed_test *test,
                               uint32_t offset);

/* Source and destination as the test's direction joins them. */
static enum answer both_ways(const struct view *view, const struct remed_test *test, look_fn look,
                             uint32_t source, uint32_t destination)
{
    if (test->direction == REMED_DIRECTION_DESTINATION)
        return look(view, test, destination);
    enum answer first = look(view, test, source);
    if (test->direction == REMED_DIRECTION_SOURCE || first == BEYOND)
        return first;
    if (first == (test->direction == REMED_DIRECTION_OR ? YES : NO))
        return first;
    return look(view, test, destination);
}

static enum answer run_address4(const struct view *view, const struct remed_test *test)
{
    static const struct {
        uint32_t family, type, source, destination;
    } places[] = {
        {REMED_FAMILY_IPV4, REMED_ETHERTYPE_IPV4, 12, 16},
        {REMED_FAMILY_ARP, ETHERTYPE_ARP, 14, 24},
        {REMED_FAMILY_RARP, ETHERTYPE_RARP, 14, 24},
    };
    uint32_t at = payload_of(view, test);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if ((test->families & places[i].family) == 0)
            continue;
        enum answer answer = is_type(view, test, places[i].type);
        if (answer == YES)
            return both_ways(view, test, address4_at, at + places[i].source,
                             at + places[i].destination);
        if (answer == BEYOND)
            return BEYOND;
    }
    return NO;
}

static enum answer run_address6(const struct view *view, const struct remed_test *test)
{
    uint32_t at = payload_of(view, test);
    enum answer is_ip6 = is_type(view, test, REMED_ETHERTYPE_IPV6);
    return is_ip6 == YES ? both_ways(view, test, address6_at, at + 8, at + 24) : is_ip6;
}

static enum answer port_at(const struct view *view, const struct remed_test *test, uint32_t offset)
{
    uint32_t port;
    if (!load16(view, offset, &port))
        return BEYOND;
    return port >= test->low && port <= test->high ? YES : NO;
}

static bool is_transport(const struct remed_test *test, uint32_t protocol)
{
    return (protocol == 6 && (test->transports & REMED_TRANSPORT_TCP) != 0) ||
           (protocol == 17 && (test->transports & REMED_TRANSPORT_UDP) != 0) ||
           (protocol == 132 && (test->transports & REMED_TRANSPORT_SCTP) != 0);
}

static enum answer run_port6(const struct view *view, const struct remed_test *test, uint32_t ip)
{
    uint32_t protocol;
    if (!load8(view, ip + 6, &protocol))
        return BEYOND;
    return is_transport(test, protocol) ? both_ways(view, test, port_at, ip + 40, ip + 42) : NO;
}

static enum answer run_port4(const struct view *view, const struct remed_test *test, uint32_t ip)
{
    uint32_t protocol, fragment, first;
    if (!load8(view, ip + 9, &protocol))
        return BEYOND;
    if (!is_transport(test, protocol))
        return NO;
    if (!load16(view, ip + 6, &fragment))
        return BEYOND;
    if ((fragment & 0x1fff) != 0)
        return NO;
    if (!load8(view, ip, &first))
        return BEYOND;
    uint32_t ports = ip + (first & 15) * 4;
    return both_ways(view, test, port_at, ports, ports + 2);
}

static enum answer run_port(const struct view *view, const struct remed_test *test)
{
    uint32_t ip = payload_of(view, test);
    enum answer is_ip6 = is_type(view, test, REMED_ETHERTYPE_IPV6);
    if (is_ip6 == YES)
        return run_port6(view, test, ip);
    enum answer is_ip = is_ip6 == BEYOND ? BEYOND : is_type(view, test, REMED_ETHERTYPE_IPV4);
    return is_ip == YES ? run_port4(view, test, ip) : is_ip;
}

static enum answer run_vlan(const struct view *view, const struct remed_test *test)
{
    static const uint32_t types[] = {REMED_ETHERTYPE_VLAN, REMED_ETHERTYPE_QINQ,
                                     REMED_ETHERTYPE_QINQ_OLD};
    if (view->inner)
        return view->headers->vlan != 0xffff &&
                       (test->low == REMED_TEST_ANY_ID || test->low == view->headers->vlan)
                   ? YES
                   : NO;
    enum answer tagged = NO;
    for (unsigned i = 0; i < 3 && tagged == NO; i++)
        tagged = is_type(view, test, types[i]);
    if (tagged != YES || test->low == REMED_TEST_ANY_ID)
        return tagged;
    uint32_t tag;
    if (!load16(view, payload_of(view, test), &tag))
        return BEYOND;
    return (tag & 0xfff) == test->low ? YES : NO;
}

static enum answer run_mpls(const struct view *view, const struct remed_test *test)
{
    uint32_t payload = payload_of(view, test), label;
    enum answer labelled = NO;
    if (!view->inner &&
        test->layer == REMED_LAYER_MPLS) { /* one more: the last was not the bottom */
        uint32_t bottom;
        if (!load8(view, payload - 2, &bottom))
            return BEYOND;
        labelled = (bottom & 1) == 0 ? YES : NO;
    } else {
        labelled = is_type(view, test, REMED_ETHERTYPE_MPLS);
    }
    if (labelled != YES || test->low == REMED_TEST_ANY_ID)
        return labelled;
    if (!load32(view, payload, &label))
        return BEYOND;
    return label >> 12 == test->low ? YES : NO;
}

static enum answer run_pppoes(const struct view *view, const struct remed_test *test)
{
    uint32_t session;
    enum answer is_session = is_type(view, test, REMED_ETHERTYPE_PPPOE_SESSION);
    if (is_session != YES || test->low == REMED_TEST_ANY_ID)
        return is_session;
    if (!load16(view, payload_of(view, test) + 2, &session))
        return BEYOND;
    return session == test->low ? YES : NO;
}

static enum answer run_test(const struct view *view, const struct remed_test *test)
{
    switch (test->kind) {
    case REMED_TEST_TRUE:
        return YES;
    case REMED_TEST_ETHERTYPE:
        return is_type(view, test, test->low);
    case REMED_TEST_PROTOCOL:
        return run_protocol(view, test);
    case REMED_TEST_ADDRESS4:
        return run_address4(view, test);
    case REMED_TEST_ADDRESS6:
        return run_address6(view, test);
    case REMED_TEST_PORT:
        return run_port(view, test);
    case REMED_TEST_VLAN:
        return run_vlan(view, test);
    case REMED_TEST_MPLS:
        return run_mpls(view, test);
    case REMED_TEST_PPPOES:
        return run_pppoes(view, test);
    case REMED_TEST_LESS:
        return view->packet->wire <= test->low ? YES : NO;
    default:
        return view->packet->wire >= test->low ? YES : NO;
    }
}

static void look_inside(struct view *view)
{
    view->inner = true;
    view->link.payload = view->headers->network;
    view->link.status = REMED_LINK_OK;
    view->link.protocol =
        view->headers->ip_version == 6 ? REMED_ETHERTYPE_IPV6 : REMED_ETHERTYPE_IPV4;
}

static void look_outside(struct view *view)
{
    const struct remed_packet *packet = view->packet;
    if (REMED_LIKELY(packet->link_type == REMED_LINK_ETHERNET && packet->captured >= 14)) {
        view->link.payload = 14;
        view->link.protocol = remed_load16(packet->data + 12);
        view->link.status = REMED_LINK_OK;
    } else {
        remed_link_decode(packet->data, packet->captured, packet->link_type, &view->link);
    }
}

bool remed_match_run(const struct remed_match *match, const struct remed_packet *packet,
                     enum remed_scope scope, const struct remed_headers *headers)
{
    struct view view = {.packet = packet, .headers = headers};
    if (scope == REMED_SCOPE_INNER && headers->network != REMED_NO_OFFSET &&
        headers->ip_version != 0)
        look_inside(&view);
    else
        look_outside(&view);
    uint32_t at = 0;
    while (at < match->count) {
        const struct remed_test *test = &match->tests[at];
        enum answer answer = run_test(&view, test);
        if (answer == BEYOND)
            return false;
        at = answer == YES ? test->if_true : test->if_false;
    }
    return at == REMED_MATCH_ACCEPT;
}
