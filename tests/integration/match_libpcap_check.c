/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same answer as libpcap: on every capture that libpcap opens, generated MATCH expressions
 * select the same packets as pcap_compile and pcap_offline_filter. Addresses and ports come from
 * the capture itself. Differences that the design wants are listed, with reason, in
 * docs/pcap-filter-differences.md; there is none on these captures beyond link types that libpcap
 * refuses to compile for.
 */
#include "filter/match.h"
#include "integration/walk.h"
#include "packet/link.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPRESSIONS 500
#define MAX_PACKETS 3000
#define MAX_VALUES 64

struct capture {
    struct remed_packet packets[MAX_PACKETS];
    struct pcap_pkthdr headers[MAX_PACKETS];
    size_t count;
    char addresses[MAX_VALUES][REMED_ENDPOINT_TEXT_SIZE];
    unsigned versions[MAX_VALUES];
    unsigned ports[MAX_VALUES];
    size_t values;
    char macs[MAX_VALUES][18]; /* of Ethernet frames */
    unsigned types[MAX_VALUES];
    size_t frames;
};

static struct capture capture;
static uint32_t state;

static unsigned chance(unsigned below)
{
    state = state * 1664525u + 1013904223u;
    return (state >> 10) % below;
}

static void remember_frame(const struct remed_packet *packet)
{
    if (packet->link_type != REMED_LINK_ETHERNET || packet->captured < 14)
        return;
    size_t at = capture.frames < MAX_VALUES ? capture.frames++ : chance(MAX_VALUES);
    const uint8_t *mac = packet->data + 6 * chance(2);
    char mark = ":-."[chance(3)];
    snprintf(capture.macs[at], sizeof capture.macs[at], "%02x%c%02x%c%02x%c%02x%c%x%c%02x", mac[0],
             mark, mac[1], mark, mac[2], mark, mac[3], mark, mac[4], mark, mac[5]);
    capture.types[at] = (unsigned)packet->data[12] << 8 | packet->data[13];
}

static void remember(const struct remed_packet *packet)
{
    remember_frame(packet);
    struct remed_headers headers;
    if (remed_packet_parse(packet, REMED_SCOPE_OUTER, &headers) != 0)
        return;
    size_t at = capture.values < MAX_VALUES ? capture.values++ : chance(MAX_VALUES);
    struct remed_flow_key key = headers.key;
    unsigned end = chance(2);
    capture.ports[at] = key.port[end];
    key.protocol = 0; /* the address alone */
    remed_flow_key_endpoint(&key, end, capture.addresses[at]);
    capture.versions[at] = key.ip_version;
}

static const char *pick(const char *const *words, unsigned count)
{
    return words[chance(count)];
}

static void address(char *text, size_t size)
{
    static const char *const directions[] = {"", "src ", "dst ", "src or dst ", "src and dst "};
    const char *direction = pick(directions, 5);
    size_t at = chance((unsigned)(capture.values > 0 ? capture.values : 1));
    bool known = capture.values > 0 && chance(8) != 0;
    const char *value = known ? capture.addresses[at] : "10.0.0.1";
    unsigned version = known ? capture.versions[at] : 4;
    unsigned a, b, c, d;
    if (version == 4 && chance(3) == 0 && sscanf(value, "%u.%u.%u.%u", &a, &b, &c, &d) == 4) {
        if (chance(2) == 0)
            snprintf(text, size, "%snet %u.%u.%u.0/24", direction, a, b, c);
        else
            snprintf(text, size, "%snet %u.%u", direction, a, b);
        return;
    }
    static const char *const qualifiers4[] = {"host ", "host ", "ip host ", "arp host ", ""};
    if (version == 4) {
        const char *qualifier = pick(qualifiers4, 5);
        if (strncmp(qualifier, "ip ", 3) == 0 || strncmp(qualifier, "arp ", 4) == 0)
            snprintf(text, size, "%.*s%shost %s", (int)(strchr(qualifier, ' ') - qualifier + 1),
                     qualifier, direction, value);
        else
            snprintf(text, size, "%s%s%s", direction, qualifier, value);
    } else {
        snprintf(text, size, "%s%shost %s", chance(2) ? "ip6 " : "", direction, value);
    }
}

static void port(char *text, size_t size)
{
    static const char *const protocols[] = {"", "", "tcp ", "udp ", "sctp "};
    static const char *const directions[] = {"", "src ", "dst ", "src or dst ", "src and dst "};
    const char *protocol = pick(protocols, 5), *direction = pick(directions, 5);
    unsigned number = capture.values > 0 && chance(8) != 0
                          ? capture.ports[chance((unsigned)capture.values)]
                          : chance(65536);
    if (chance(3) == 0)
        snprintf(text, size, "%s%sportrange %u-%u", protocol, direction, number,
                 number + chance(65536 - number));
    else if (chance(4) == 0)
        snprintf(text, size, "%s%sport %u or %u", protocol, direction, number, chance(65536));
    else
        snprintf(text, size, "%s%sport %u", protocol, direction, number);
}

static void ethernet(char *text, size_t size)
{
    static const char *const directions[] = {"", "src ", "dst ", "src or dst ", "src and dst "};
    static const char *const groups[] = {"broadcast",    "multicast",     "ether broadcast",
                                         "ip multicast", "ip6 multicast", "ether multicast"};
    const char *direction = pick(directions, 5);
    bool known = capture.frames > 0 && chance(8) != 0;
    size_t at = chance((unsigned)(capture.frames > 0 ? capture.frames : 1));
    unsigned type = known && capture.types[at] > 1535 ? capture.types[at] : 0x800;
    if (type == 0x809b || type == 0x80f3)
        type = 0x88cc; /* these may stand in SNAP too: refused here */
    switch (chance(3)) {
    case 0:
        snprintf(text, size, "%s", pick(groups, 6));
        break;
    case 1:
        snprintf(text, size, chance(2) ? "ether proto 0x%x" : "ether proto %u", type);
        break;
    default:
        snprintf(text, size, "ether %shost %s", direction,
                 known ? capture.macs[at] : "ffff.ffff.ffff");
    }
}

static void protocol(char *text, size_t size)
{
    static const char *const qualifiers[] = {"", "ip ", "ip6 "};
    static const char *const values[] = {"1",      "6",   "17",    "0x2f",   "\\tcp", "\\udp",
                                         "\\icmp", "gre", "\\esp", "\\igmp", "58",    "89"};
    static const char *const names[] = {"esp", "ah", "igmp", "igrp", "pim", "vrrp", "carp"};
    static const char *const services[] = {"http", "domain", "ftp",  "ssh",
                                           "ntp",  "https",  "smtp", "bootps"};
    switch (chance(4)) {
    case 0:
        snprintf(text, size, "%s", pick(names, 7));
        break;
    case 1:
        snprintf(text, size, "%sport (%s or %s)", chance(2) ? "src " : "", pick(services, 8),
                 pick(services, 8));
        break;
    case 2:
        snprintf(text, size, "port %s or %s", pick(services, 8), pick(services, 8));
        break;
    default:
        snprintf(text, size, "%sproto %s or %s", pick(qualifiers, 3), pick(values, 12),
                 pick(values, 12));
    }
}

static void header_bytes(char *text, size_t size)
{
    static const char *const headers[] = {"ether", "ip",   "ip6",  "arp",  "rarp",  "tcp",
                                          "udp",   "icmp", "tcp",  "ip",   "icmp6", "sctp",
                                          "igmp",  "pim",  "vrrp", "link", "igrp",  "carp"};
    static const char *const offsets[] = {"tcpflags", "icmptype", "icmpcode", "icmp6type", "0x10"};
    static const char *const sizes[] = {"", "", ":1", ":2", ":4"};
    if (chance(3) == 0)
        snprintf(text, size, "%s[%s%s]", pick(headers, 18), pick(offsets, 5), pick(sizes, 5));
    else
        snprintf(text, size, "%s[%u%s]", pick(headers, 18), chance(chance(6) == 0 ? 200 : 24),
                 pick(sizes, 5));
}

/* Numbers that often meet what packets have: small ones, flags, lengths. */
static void number(char *text, size_t size)
{
    static const char *const names[] = {"tcp-syn", "tcp-ack",   "tcp-fin",      "tcp-push",
                                        "tcp-rst", "icmp-echo", "icmp-unreach", "icmp6-echoreply"};
    static const char *const forms[] = {"%u", "%u", "0x%x", "0%o"};
    unsigned most = 1u << (1 + chance(16));
    if (chance(4) == 0)
        snprintf(text, size, "%s", pick(names, 8));
    else
        snprintf(text, size, pick(forms, 4), chance(most));
}

static void arithmetic(char *text, size_t size, unsigned depth)
{
    static const char *const operators[] = {" + ", " - ", " * ",  " / ",  " % ", " & ",
                                            " | ", " ^ ", " << ", " >> ", " & ", " & "};
    char left[512], right[512];
    unsigned which = depth == 0 ? chance(3) : chance(10);
    if (which == 0) {
        snprintf(text, size, "len");
    } else if (which == 1) {
        number(text, size);
    } else if (which < 5) {
        header_bytes(text, size);
    } else if (which == 5) {
        arithmetic(left, sizeof left, depth - 1);
        snprintf(text, size, "%s[%s%s]", chance(2) ? "ip" : (chance(2) ? "tcp" : "ether"), left,
                 chance(2) ? ":2" : "");
    } else if (which == 6) {
        arithmetic(left, sizeof left, depth - 1);
        snprintf(text, size, chance(3) == 0 ? "- %s" : "(%s)", left);
    } else {
        arithmetic(left, sizeof left, depth - 1);
        arithmetic(right, sizeof right, depth - 1);
        snprintf(text, size, "%s%s%s", left, pick(operators, 12), right);
    }
}

static void relation(char *text, size_t size)
{
    static const char *const relations[] = {" = ", " == ", " != ", " < ", " > ", " <= ", " >= "};
    char left[1024], right[1024];
    arithmetic(left, sizeof left, chance(4));
    if (chance(3) != 0)
        number(right, sizeof right);
    else
        arithmetic(right, sizeof right, chance(3));
    snprintf(text, size, "%s%s%s", left, pick(relations, 7), right);
}

static void primitive(char *text, size_t size, bool tags)
{
    static const char *const words[] = {"ip",    "ip6",  "tcp", "udp", "icmp",
                                        "icmp6", "sctp", "arp", "tcp", "ip"};
    if (chance(3) == 0) {
        switch (chance(6)) {
        case 0:
            ethernet(text, size);
            return;
        case 1:
            protocol(text, size);
            return;
        default:
            relation(text, size);
            return;
        }
    }
    unsigned which = chance(tags ? 12 : 10);
    if (which < 4)
        snprintf(text, size, "%s", pick(words, 10));
    else if (which < 7)
        address(text, size);
    else if (which < 9)
        port(text, size);
    else if (which < 10)
        snprintf(text, size, "%s %u", chance(2) ? "less" : "greater", chance(1600));
    else if (chance(4) == 0)
        snprintf(text, size, "%s", chance(2) ? "mpls" : "pppoes");
    else if (chance(3) == 0)
        snprintf(text, size, "vlan %u", chance(200));
    else
        snprintf(text, size, "vlan");
}

static void expression(char *text, size_t size, unsigned depth, bool tags)
{
    unsigned terms = depth == 0 ? 1 : 1 + chance(3);
    size_t at = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < terms; i++) {
        char term[2048];
        bool group = depth > 0 && chance(4) == 0;
        if (group)
            expression(term, sizeof term, depth - 1, tags);
        else
            primitive(term, sizeof term, tags);
        /* a value list joins what is around it: keep it together */
        bool wrapped = group || strstr(term, " or ") != NULL || strstr(term, " and ") != NULL;
        at += (size_t)snprintf(
            text + at, size - at, "%s%s%s%s%s", i == 0 ? "" : (chance(2) ? " and " : " or "),
            chance(5) == 0 ? "not " : "", wrapped ? "(" : "", term, wrapped ? ")" : "");
        if (at >= size) {
            snprintf(text, size, "ip");
            return;
        }
    }
}

struct totals {
    size_t files, expressions, refused, packets, different, ambiguous, excused;
};

/* Link types that this library does not decode, and those where libpcap looks at no byte that says
 * what the payload is, or at the wrong one. */
static bool is_excused(const struct remed_packet *packet)
{
    struct remed_link link;
    remed_link_decode(packet->data, packet->captured, packet->link_type, &link);
    if (link.status == REMED_LINK_UNKNOWN || packet->link_type == REMED_LINK_SLIP ||
        packet->link_type == REMED_LINK_FRELAY)
        return true;
    /* PPP whose address and control are left out, where libpcap expects them always */
    if (packet->link_type == REMED_LINK_PPP && packet->captured > 0 && packet->data[0] != 0xff)
        return true;
    /* cut within the Ethernet header: libpcap loads ahead of the test that needs it */
    return packet->link_type == REMED_LINK_ETHERNET && packet->captured < 14;
}

static void compare(pcap_t *handle, const char *name, const char *text, struct totals *totals)
{
    struct bpf_program program, plain;
    if (pcap_compile(handle, &program, text, 1, PCAP_NETMASK_UNKNOWN) < 0) {
        totals->refused++;
        return;
    }
    if (pcap_compile(handle, &plain, text, 0, PCAP_NETMASK_UNKNOWN) < 0)
        exit(EXIT_FAILURE);
    char rule[4096];
    struct remed_policy *policy = NULL;
    struct remed_error error;
    int length = snprintf(rule, sizeof rule, "%s : all", text);
    if (remed_policy_parse(&policy, NULL, rule, (size_t)length, &error) < 0) {
        /* What a constant makes wrong for all packets, libpcap finds only where it is written. */
        bool certain = strstr(error.message, "division") != NULL || strstr(error.message, "shift");
        if (!certain)
            printf("%s: '%s': libpcap takes it, we do not: %s\n", name, text, error.message);
        totals->different += !certain;
        totals->excused += certain;
        pcap_freecode(&program);
        pcap_freecode(&plain);
        return;
    }
    const struct remed_match *match = remed_policy_rules_of(policy)->rule[0].match;
    totals->expressions++;
    size_t wrong = 0;
    for (size_t i = 0; i < capture.count; i++) {
        struct remed_headers headers;
        remed_packet_parse(&capture.packets[i], REMED_SCOPE_OUTER, &headers);
        bool ours = match == NULL ||
                    remed_match_run(match, &capture.packets[i], REMED_SCOPE_OUTER, &headers);
        bool theirs =
            pcap_offline_filter(&program, &capture.headers[i], capture.packets[i].data) != 0;
        bool plainly =
            pcap_offline_filter(&plain, &capture.headers[i], capture.packets[i].data) != 0;
        totals->ambiguous += plainly != theirs;
        if (ours == theirs || ours == plainly)
            continue;
        if (is_excused(&capture.packets[i]))
            totals->excused++;
        else if (wrong++ == 0)
            printf("%s: packet %zu: '%s': libpcap %d, ours %d (link type %u)\n", name, i + 1, text,
                   theirs, ours, capture.packets[i].link_type);
    }
    totals->packets += capture.count;
    totals->different += wrong;
    remed_policy_free(policy);
    pcap_freecode(&program);
    pcap_freecode(&plain);
}

static void add(const struct pcap_pkthdr *header, const u_char *bytes, uint32_t captured,
                uint32_t link_type)
{
    uint8_t *copy = malloc(captured > 0 ? captured : 1);
    if (copy == NULL)
        exit(EXIT_FAILURE);
    memcpy(copy, bytes, captured);
    capture.headers[capture.count] = *header;
    capture.headers[capture.count].caplen = captured;
    capture.packets[capture.count] = (struct remed_packet){
        .data = copy, .captured = captured, .wire = header->len, .link_type = link_type};
    remember(&capture.packets[capture.count++]);
}

/* Each fourth packet also stands there cut short: what a test reads first decides then. */
static void load(pcap_t *handle)
{
    struct pcap_pkthdr *header;
    const u_char *bytes;
    capture.count = capture.values = capture.frames = 0;
    state = 1;
    int dlt = pcap_datalink(handle);
    uint32_t link_type = dlt == DLT_RAW ? REMED_LINK_RAW : (uint32_t)dlt;
    while (capture.count + 1 < MAX_PACKETS && pcap_next_ex(handle, &header, &bytes) == 1) {
        add(header, bytes, header->caplen, link_type);
        if (header->caplen > 14 && chance(4) == 0)
            add(header, bytes, 14 + chance((header->caplen < 96 ? header->caplen : 96) - 14),
                link_type);
    }
}

static void check_file(const char *path, const char *name, void *context)
{
    struct totals *totals = context;
    char text[PCAP_ERRBUF_SIZE], expression_text[3000];
    pcap_t *handle = pcap_open_offline(path, text);
    if (handle == NULL)
        return;
    load(handle);
    state = 1;
    for (unsigned i = 0; capture.count > 0 && i < EXPRESSIONS; i++) {
        expression(expression_text, sizeof expression_text, i % 4,
                   pcap_datalink(handle) == DLT_EN10MB);
        compare(handle, name, expression_text, totals);
    }
    for (size_t i = 0; i < capture.count; i++)
        free((void *)(uintptr_t)capture.packets[i].data);
    totals->files++;
    pcap_close(handle);
}

int main(int argc, char **argv)
{
    struct totals totals = {0, 0, 0, 0, 0, 0, 0};
    if (argc > 1) {
        check_file(argv[1], argv[1], &totals);
    } else {
        walk_captures(check_file, &totals);
    }
    printf("%zu captures, %zu expressions compiled by both, %zu not for libpcap, %zu comparisons, "
           "%zu differ; %zu excused, %zu where libpcap differs from itself\n",
           totals.files, totals.expressions, totals.refused, totals.packets, totals.different,
           totals.excused, totals.ambiguous);
    if (totals.files == 0) {
        puts("skipped: no captures");
        return 77;
    }
    return totals.different == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
