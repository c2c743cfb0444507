/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running a MATCH on a packet.
 *
 * A test answers yes, no, or that it had to read beyond the captured bytes. The order in which a
 * test reads is libpcap's, since on a short packet that decides between "no" and "beyond".
 *
 * Threads: no state.
 */
#include "filter/view.h"

#define ETHERTYPE_ARP 0x0806u
#define ETHERTYPE_RARP 0x8035u
#define PPP_IPV4 0x0021u
#define PPP_IPV6 0x0057u
#define PPP_MPLS 0x0281u

/* Below MPLS nothing names the payload: the last label must be the stack's bottom, and IP's version
 * is the payload's first nibble. */
static enum remed_answer is_below_mpls(const struct remed_view *view, uint32_t payload,
                                       uint32_t type)
{
    uint32_t bottom, version;
    if (!remed_view8(view, payload - 2, &bottom))
        return REMED_ANSWER_BEYOND;
    if ((bottom & 1) == 0)
        return REMED_ANSWER_NO;
    if (type != REMED_ETHERTYPE_IPV4 && type != REMED_ETHERTYPE_IPV6)
        return REMED_ANSWER_NO;
    if (!remed_view8(view, payload, &version))
        return REMED_ANSWER_BEYOND;
    return version >> 4 == (type == REMED_ETHERTYPE_IPV4 ? 4u : 6u) ? REMED_ANSWER_YES
                                                                    : REMED_ANSWER_NO;
}

static uint32_t to_ppp(uint32_t type)
{
    return type == REMED_ETHERTYPE_IPV4   ? PPP_IPV4
           : type == REMED_ETHERTYPE_IPV6 ? PPP_IPV6
           : type == REMED_ETHERTYPE_MPLS ? PPP_MPLS
                                          : type;
}

/* Whether the payload of the test's layer has an EtherType. */
static enum remed_answer is_type(const struct remed_view *view, const struct remed_test *test,
                                 uint32_t type)
{
    uint32_t found;
    if (view->inner || test->layer == REMED_LAYER_LINK) {
        if (view->link.status == REMED_LINK_TRUNCATED)
            return REMED_ANSWER_BEYOND;
        return view->link.protocol == type ? REMED_ANSWER_YES : REMED_ANSWER_NO;
    }
    uint32_t payload = remed_view_payload(view, test);
    if (test->layer == REMED_LAYER_MPLS)
        return is_below_mpls(view, payload, type);
    if (!remed_view16(view, payload - 2, &found))
        return REMED_ANSWER_BEYOND;
    return found == (test->layer == REMED_LAYER_PPP ? to_ppp(type) : type) ? REMED_ANSWER_YES
                                                                           : REMED_ANSWER_NO;
}

static enum remed_answer is_ipv6_protocol(const struct remed_view *view, uint32_t ip,
                                          uint32_t protocol)
{
    uint32_t next;
    if (!remed_view8(view, ip + 6, &next))
        return REMED_ANSWER_BEYOND;
    if (next == protocol)
        return REMED_ANSWER_YES;
    if (next != 44)
        return REMED_ANSWER_NO;
    if (!remed_view8(view, ip + 40, &next))
        return REMED_ANSWER_BEYOND;
    return next == protocol ? REMED_ANSWER_YES : REMED_ANSWER_NO;
}

static enum remed_answer run_protocol(const struct remed_view *view, const struct remed_test *test)
{
    uint32_t ip = remed_view_payload(view, test), protocol;
    if ((test->families & REMED_FAMILY_IPV4) != 0) {
        enum remed_answer is_ip = is_type(view, test, REMED_ETHERTYPE_IPV4);
        if (is_ip == REMED_ANSWER_BEYOND)
            return REMED_ANSWER_BEYOND;
        if (is_ip == REMED_ANSWER_YES) {
            if (!remed_view8(view, ip + 9, &protocol))
                return REMED_ANSWER_BEYOND;
            return protocol == test->low ? REMED_ANSWER_YES : REMED_ANSWER_NO;
        }
    }
    if ((test->families & REMED_FAMILY_IPV6) == 0)
        return REMED_ANSWER_NO;
    enum remed_answer is_ip6 = is_type(view, test, REMED_ETHERTYPE_IPV6);
    return is_ip6 == REMED_ANSWER_YES ? is_ipv6_protocol(view, ip, test->low) : is_ip6;
}

static enum remed_answer address4_at(const struct remed_view *view, const struct remed_test *test,
                                     uint32_t offset)
{
    uint32_t found;
    if (!remed_view32(view, offset, &found))
        return REMED_ANSWER_BEYOND;
    return (found & remed_load32(test->mask)) == remed_load32(test->address) ? REMED_ANSWER_YES
                                                                             : REMED_ANSWER_NO;
}

static enum remed_answer address6_at(const struct remed_view *view, const struct remed_test *test,
                                     uint32_t offset)
{
    for (unsigned word = 0; word < 4; word++) {
        uint32_t found;
        if (!remed_view32(view, offset + 4 * word, &found))
            return REMED_ANSWER_BEYOND;
        if ((found & remed_load32(test->mask + 4 * word)) != remed_load32(test->address + 4 * word))
            return REMED_ANSWER_NO;
    }
    return REMED_ANSWER_YES;
}

typedef enum remed_answer (*look_fn)(const struct remed_view *view, const struct remed_test *test,
                                     uint32_t offset);

/* Source and destination as the test's direction joins them. */
static enum remed_answer both_ways(const struct remed_view *view, const struct remed_test *test,
                                   look_fn look, uint32_t source, uint32_t destination)
{
    if (test->direction == REMED_DIRECTION_DESTINATION)
        return look(view, test, destination);
    enum remed_answer first = look(view, test, source);
    if (test->direction == REMED_DIRECTION_SOURCE || first == REMED_ANSWER_BEYOND)
        return first;
    if (first == (test->direction == REMED_DIRECTION_OR ? REMED_ANSWER_YES : REMED_ANSWER_NO))
        return first;
    return look(view, test, destination);
}

static enum remed_answer run_address4(const struct remed_view *view, const struct remed_test *test)
{
    static const struct {
        uint32_t family, type, source, destination;
    } places[] = {
        {REMED_FAMILY_IPV4, REMED_ETHERTYPE_IPV4, 12, 16},
        {REMED_FAMILY_ARP, ETHERTYPE_ARP, 14, 24},
        {REMED_FAMILY_RARP, ETHERTYPE_RARP, 14, 24},
    };
    uint32_t at = remed_view_payload(view, test);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if ((test->families & places[i].family) == 0)
            continue;
        enum remed_answer answer = is_type(view, test, places[i].type);
        if (answer == REMED_ANSWER_YES)
            return both_ways(view, test, address4_at, at + places[i].source,
                             at + places[i].destination);
        if (answer == REMED_ANSWER_BEYOND)
            return REMED_ANSWER_BEYOND;
    }
    return REMED_ANSWER_NO;
}

static enum remed_answer run_address6(const struct remed_view *view, const struct remed_test *test)
{
    uint32_t at = remed_view_payload(view, test);
    enum remed_answer is_ip6 = is_type(view, test, REMED_ETHERTYPE_IPV6);
    return is_ip6 == REMED_ANSWER_YES ? both_ways(view, test, address6_at, at + 8, at + 24)
                                      : is_ip6;
}

static enum remed_answer port_at(const struct remed_view *view, const struct remed_test *test,
                                 uint32_t offset)
{
    uint32_t port;
    if (!remed_view16(view, offset, &port))
        return REMED_ANSWER_BEYOND;
    return port >= test->low && port <= test->high ? REMED_ANSWER_YES : REMED_ANSWER_NO;
}

static bool is_transport(const struct remed_test *test, uint32_t protocol)
{
    return (protocol == 6 && (test->transports & REMED_TRANSPORT_TCP) != 0) ||
           (protocol == 17 && (test->transports & REMED_TRANSPORT_UDP) != 0) ||
           (protocol == 132 && (test->transports & REMED_TRANSPORT_SCTP) != 0);
}

static enum remed_answer run_port6(const struct remed_view *view, const struct remed_test *test,
                                   uint32_t ip)
{
    uint32_t protocol;
    if (!remed_view8(view, ip + 6, &protocol))
        return REMED_ANSWER_BEYOND;
    return is_transport(test, protocol) ? both_ways(view, test, port_at, ip + 40, ip + 42)
                                        : REMED_ANSWER_NO;
}

static enum remed_answer run_port4(const struct remed_view *view, const struct remed_test *test,
                                   uint32_t ip)
{
    uint32_t protocol, fragment, first;
    if (!remed_view8(view, ip + 9, &protocol))
        return REMED_ANSWER_BEYOND;
    if (!is_transport(test, protocol))
        return REMED_ANSWER_NO;
    if (!remed_view16(view, ip + 6, &fragment))
        return REMED_ANSWER_BEYOND;
    if ((fragment & 0x1fff) != 0)
        return REMED_ANSWER_NO;
    if (!remed_view8(view, ip, &first))
        return REMED_ANSWER_BEYOND;
    uint32_t ports = ip + (first & 15) * 4;
    return both_ways(view, test, port_at, ports, ports + 2);
}

static enum remed_answer run_port(const struct remed_view *view, const struct remed_test *test)
{
    uint32_t ip = remed_view_payload(view, test);
    enum remed_answer is_ip6 = is_type(view, test, REMED_ETHERTYPE_IPV6);
    if (is_ip6 == REMED_ANSWER_YES)
        return run_port6(view, test, ip);
    enum remed_answer is_ip = is_ip6 == REMED_ANSWER_BEYOND
                                  ? REMED_ANSWER_BEYOND
                                  : is_type(view, test, REMED_ETHERTYPE_IPV4);
    return is_ip == REMED_ANSWER_YES ? run_port4(view, test, ip) : is_ip;
}

static enum remed_answer run_vlan(const struct remed_view *view, const struct remed_test *test)
{
    static const uint32_t types[] = {REMED_ETHERTYPE_VLAN, REMED_ETHERTYPE_QINQ,
                                     REMED_ETHERTYPE_QINQ_OLD};
    if (view->inner)
        return view->headers->vlan != 0xffff &&
                       (test->low == REMED_TEST_ANY_ID || test->low == view->headers->vlan)
                   ? REMED_ANSWER_YES
                   : REMED_ANSWER_NO;
    enum remed_answer tagged = REMED_ANSWER_NO;
    for (unsigned i = 0; i < 3 && tagged == REMED_ANSWER_NO; i++)
        tagged = is_type(view, test, types[i]);
    if (tagged != REMED_ANSWER_YES || test->low == REMED_TEST_ANY_ID)
        return tagged;
    uint32_t tag;
    if (!remed_view16(view, remed_view_payload(view, test), &tag))
        return REMED_ANSWER_BEYOND;
    return (tag & 0xfff) == test->low ? REMED_ANSWER_YES : REMED_ANSWER_NO;
}

static enum remed_answer run_mpls(const struct remed_view *view, const struct remed_test *test)
{
    uint32_t payload = remed_view_payload(view, test), label;
    enum remed_answer labelled = REMED_ANSWER_NO;
    if (!view->inner &&
        test->layer == REMED_LAYER_MPLS) { /* one more: the last was not the bottom */
        uint32_t bottom;
        if (!remed_view8(view, payload - 2, &bottom))
            return REMED_ANSWER_BEYOND;
        labelled = (bottom & 1) == 0 ? REMED_ANSWER_YES : REMED_ANSWER_NO;
    } else {
        labelled = is_type(view, test, REMED_ETHERTYPE_MPLS);
    }
    if (labelled != REMED_ANSWER_YES || test->low == REMED_TEST_ANY_ID)
        return labelled;
    if (!remed_view32(view, payload, &label))
        return REMED_ANSWER_BEYOND;
    return label >> 12 == test->low ? REMED_ANSWER_YES : REMED_ANSWER_NO;
}

static enum remed_answer run_pppoes(const struct remed_view *view, const struct remed_test *test)
{
    uint32_t session;
    enum remed_answer is_session = is_type(view, test, REMED_ETHERTYPE_PPPOE_SESSION);
    if (is_session != REMED_ANSWER_YES || test->low == REMED_TEST_ANY_ID)
        return is_session;
    if (!remed_view16(view, remed_view_payload(view, test) + 2, &session))
        return REMED_ANSWER_BEYOND;
    return session == test->low ? REMED_ANSWER_YES : REMED_ANSWER_NO;
}

/* From the last bytes to the first, as libpcap compares. */
static enum remed_answer mac_at(const struct remed_view *view, const struct remed_test *test,
                                uint32_t offset)
{
    uint32_t tail, head;
    if (!remed_view32(view, offset + 2, &tail))
        return REMED_ANSWER_BEYOND;
    if (tail != remed_load32(test->address + 2))
        return REMED_ANSWER_NO;
    if (!remed_view16(view, offset, &head))
        return REMED_ANSWER_BEYOND;
    return head == remed_load16(test->address) ? REMED_ANSWER_YES : REMED_ANSWER_NO;
}

/* ARCNET's only address of many is 0. */
static enum remed_answer run_arcnet_broadcast(const struct remed_view *view)
{
    uint32_t destination;
    if (!remed_view8(view, 1, &destination))
        return REMED_ANSWER_BEYOND;
    return destination == 0 ? REMED_ANSWER_YES : REMED_ANSWER_NO;
}

static enum remed_answer run_mac(const struct remed_view *view, const struct remed_test *test)
{
    if (view->packet->link_type == REMED_LINK_ETHERNET)
        return both_ways(view, test, mac_at, 6, 0);
    if (view->packet->link_type == REMED_LINK_ARCNET_LINUX && test->low == 1)
        return run_arcnet_broadcast(view);
    return REMED_ANSWER_NO;
}

static enum remed_answer run_link_group(const struct remed_view *view)
{
    uint32_t first;
    if (view->packet->link_type == REMED_LINK_ARCNET_LINUX)
        return run_arcnet_broadcast(view);
    if (view->packet->link_type != REMED_LINK_ETHERNET)
        return REMED_ANSWER_NO;
    if (!remed_view8(view, 0, &first))
        return REMED_ANSWER_BEYOND;
    return (first & 1) != 0 ? REMED_ANSWER_YES : REMED_ANSWER_NO;
}

static enum remed_answer run_group(const struct remed_view *view, const struct remed_test *test)
{
    if (test->families == 0)
        return run_link_group(view);
    bool v6 = test->families == REMED_FAMILY_IPV6;
    enum remed_answer is_ip = is_type(view, test, v6 ? REMED_ETHERTYPE_IPV6 : REMED_ETHERTYPE_IPV4);
    if (is_ip != REMED_ANSWER_YES)
        return is_ip;
    uint32_t first;
    if (!remed_view8(view, remed_view_payload(view, test) + (v6 ? 24 : 16), &first))
        return REMED_ANSWER_BEYOND;
    return first >= (v6 ? 255u : 224u) ? REMED_ANSWER_YES : REMED_ANSWER_NO;
}

static enum remed_answer run_first_fragment(const struct remed_view *view,
                                            const struct remed_test *test)
{
    uint32_t fragment;
    if (!remed_view16(view, remed_view_payload(view, test) + 6, &fragment))
        return REMED_ANSWER_BEYOND;
    return (fragment & 0x1fff) == 0 ? REMED_ANSWER_YES : REMED_ANSWER_NO;
}

static enum remed_answer run_next_header(const struct remed_view *view,
                                         const struct remed_test *test)
{
    uint32_t next;
    if (!remed_view8(view, remed_view_payload(view, test) + 6, &next))
        return REMED_ANSWER_BEYOND;
    return next == test->low ? REMED_ANSWER_YES : REMED_ANSWER_NO;
}

static enum remed_answer run_test(const struct remed_view *view, const struct remed_test *test)
{
    switch (test->kind) {
    case REMED_TEST_TRUE:
        return REMED_ANSWER_YES;
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
        return view->packet->wire <= test->low ? REMED_ANSWER_YES : REMED_ANSWER_NO;
    case REMED_TEST_MAC:
        return run_mac(view, test);
    case REMED_TEST_GROUP:
        return run_group(view, test);
    case REMED_TEST_FIRST_FRAGMENT:
        return run_first_fragment(view, test);
    case REMED_TEST_NEXT_HEADER:
        return run_next_header(view, test);
    case REMED_TEST_RELATION:
        return remed_relation_run(view, test);
    default:
        return view->packet->wire >= test->low ? REMED_ANSWER_YES : REMED_ANSWER_NO;
    }
}

static void look_inside(struct remed_view *view)
{
    view->inner = true;
    view->link.payload = view->headers->network;
    view->link.status = REMED_LINK_OK;
    view->link.protocol =
        view->headers->ip_version == 6 ? REMED_ETHERTYPE_IPV6 : REMED_ETHERTYPE_IPV4;
}

static void look_outside(struct remed_view *view)
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
    struct remed_view view = {.packet = packet, .headers = headers, .steps = match->steps};
    if (scope == REMED_SCOPE_INNER && headers->network != REMED_NO_OFFSET &&
        headers->ip_version != 0)
        look_inside(&view);
    else
        look_outside(&view);
    uint32_t at = 0;
    while (at < match->count) {
        const struct remed_test *test = &match->tests[at];
        enum remed_answer answer = run_test(&view, test);
        if (answer == REMED_ANSWER_BEYOND)
            return false;
        at = answer == REMED_ANSWER_YES ? test->if_true : test->if_false;
    }
    return at == REMED_MATCH_ACCEPT;
}
