/* SPDX-License-Identifier: BSD-3-Clause */
/* The names of words.h. Threads: constant. */
#include "filter/words.h"

#include "filter/match.h"

#define COUNT(table) (sizeof(table) / sizeof *(table))
#define TCP REMED_TRANSPORT_TCP
#define UDP REMED_TRANSPORT_UDP
#define ANY (REMED_TRANSPORT_TCP | REMED_TRANSPORT_UDP | REMED_TRANSPORT_SCTP)

struct named {
    const char *name;
    uint32_t value;
    uint8_t transports;
};

/* Offsets and values in ICMP (RFC 792), ICMPv6 (IANA) and TCP (RFC 9293, RFC 3168). */
static const struct named constants[] = {
    {"icmptype", 0, 0},
    {"icmpcode", 1, 0},
    {"icmp6type", 0, 0},
    {"icmp6code", 1, 0},
    {"tcpflags", 13, 0},
    {"tcp-fin", 1, 0},
    {"tcp-syn", 2, 0},
    {"tcp-rst", 4, 0},
    {"tcp-push", 8, 0},
    {"tcp-ack", 16, 0},
    {"tcp-urg", 32, 0},
    {"tcp-ece", 64, 0},
    {"tcp-cwr", 128, 0},
    {"icmp-echoreply", 0, 0},
    {"icmp-unreach", 3, 0},
    {"icmp-sourcequench", 4, 0},
    {"icmp-redirect", 5, 0},
    {"icmp-echo", 8, 0},
    {"icmp-routeradvert", 9, 0},
    {"icmp-routersolicit", 10, 0},
    {"icmp-timxceed", 11, 0},
    {"icmp-paramprob", 12, 0},
    {"icmp-tstamp", 13, 0},
    {"icmp-tstampreply", 14, 0},
    {"icmp-ireq", 15, 0},
    {"icmp-ireqreply", 16, 0},
    {"icmp-maskreq", 17, 0},
    {"icmp-maskreply", 18, 0},
    {"icmp6-destinationunreach", 1, 0},
    {"icmp6-packettoobig", 2, 0},
    {"icmp6-timeexceeded", 3, 0},
    {"icmp6-parameterproblem", 4, 0},
    {"icmp6-echo", 128, 0},
    {"icmp6-echoreply", 129, 0},
    {"icmp6-multicastlistenerquery", 130, 0},
    {"icmp6-multicastlistenerreportv1", 131, 0},
    {"icmp6-multicastlistenerdone", 132, 0},
    {"icmp6-routersolicit", 133, 0},
    {"icmp6-routeradvert", 134, 0},
    {"icmp6-neighborsolicit", 135, 0},
    {"icmp6-neighboradvert", 136, 0},
    {"icmp6-redirect", 137, 0},
    {"icmp6-routerrenum", 138, 0},
    {"icmp6-nodeinformationquery", 139, 0},
    {"icmp6-nodeinformationresponse", 140, 0},
    {"icmp6-ineighbordiscoverysolicit", 141, 0},
    {"icmp6-ineighbordiscoveryadvert", 142, 0},
    {"icmp6-multicastlistenerreportv2", 143, 0},
    {"icmp6-homeagentdiscoveryrequest", 144, 0},
    {"icmp6-homeagentdiscoveryreply", 145, 0},
    {"icmp6-mobileprefixsolicit", 146, 0},
    {"icmp6-mobileprefixadvert", 147, 0},
    {"icmp6-certpathsolicit", 148, 0},
    {"icmp6-certpathadvert", 149, 0},
    {"icmp6-multicastrouteradvert", 151, 0},
    {"icmp6-multicastroutersolicit", 152, 0},
    {"icmp6-multicastrouterterm", 153, 0},
};

/* Ports and transports by the registry of IANA, with the short names that systems add. */
static const struct named services[] = {
    {"echo", 7, ANY},          {"discard", 9, ANY},        {"systat", 11, TCP},
    {"daytime", 13, ANY},      {"netstat", 15, TCP},       {"chargen", 19, ANY},
    {"ftp-data", 20, TCP},     {"ftp", 21, TCP},           {"ssh", 22, TCP},
    {"telnet", 23, TCP},       {"smtp", 25, TCP},          {"time", 37, ANY},
    {"whois", 43, TCP},        {"tacacs", 49, ANY},        {"domain", 53, ANY},
    {"bootps", 67, UDP},       {"bootpc", 68, UDP},        {"tftp", 69, UDP},
    {"gopher", 70, TCP},       {"finger", 79, TCP},        {"http", 80, TCP},
    {"www", 80, TCP},          {"kerberos", 88, ANY},      {"iso-tsap", 102, TCP},
    {"pop3", 110, TCP},        {"sunrpc", 111, ANY},       {"portmapper", 111, ANY},
    {"auth", 113, TCP},        {"ident", 113, TCP},        {"nntp", 119, TCP},
    {"ntp", 123, UDP},         {"epmap", 135, TCP},        {"netbios-ns", 137, UDP},
    {"netbios-dgm", 138, UDP}, {"netbios-ssn", 139, TCP},  {"imap2", 143, TCP},
    {"imap", 143, TCP},        {"snmp", 161, ANY},         {"snmp-trap", 162, ANY},
    {"snmptrap", 162, ANY},    {"xdmcp", 177, UDP},        {"bgp", 179, TCP},
    {"ptp-event", 319, UDP},   {"ptp-general", 320, UDP},  {"ldap", 389, ANY},
    {"https", 443, ANY},       {"microsoft-ds", 445, TCP}, {"kpasswd", 464, ANY},
    {"submissions", 465, TCP}, {"smtps", 465, TCP},        {"isakmp", 500, UDP},
    {"exec", 512, TCP},        {"login", 513, TCP},        {"who", 513, UDP},
    {"shell", 514, TCP},       {"syslog", 514, ANY}};

static const struct named more_services[] = {
    {"rtsp", 554, ANY},           {"ipp", 631, TCP},           {"printer", 515, TCP},
    {"route", 520, UDP},          {"router", 520, UDP},        {"dhcpv6-client", 546, UDP},
    {"dhcpv6-server", 547, UDP},  {"nntps", 563, TCP},         {"submission", 587, TCP},
    {"ldaps", 636, ANY},          {"ldp", 646, ANY},           {"domain-s", 853, ANY},
    {"rsync", 873, TCP},          {"ftps-data", 989, TCP},     {"ftps", 990, TCP},
    {"telnets", 992, TCP},        {"imaps", 993, TCP},         {"pop3s", 995, TCP},
    {"socks", 1080, TCP},         {"openvpn", 1194, ANY},      {"ms-sql-s", 1433, TCP},
    {"ms-sql-m", 1434, UDP},      {"l2f", 1701, UDP},          {"l2tp", 1701, UDP},
    {"radius", 1812, ANY},        {"radius-acct", 1813, ANY},  {"nfs", 2049, ANY},
    {"icpv2", 3130, UDP},         {"iscsi-target", 3260, TCP}, {"mysql", 3306, TCP},
    {"ms-wbt-server", 3389, TCP}, {"nut", 3493, ANY},          {"svn", 3690, TCP},
    {"sieve", 4190, TCP},         {"epmd", 4369, TCP},         {"ipsec-nat-t", 4500, UDP},
    {"iax", 4569, UDP},           {"sip", 5060, ANY},          {"sip-tls", 5061, ANY},
    {"xmpp-client", 5222, TCP},   {"xmpp-server", 5269, TCP},  {"mdns", 5353, UDP},
    {"postgresql", 5432, TCP},    {"postgres", 5432, TCP},     {"amqps", 5671, TCP},
    {"x11", 6000, TCP},           {"redis", 6379, TCP},        {"syslog-tls", 6514, TCP},
    {"ircd", 6667, TCP},          {"ircs-u", 6697, TCP},       {"http-alt", 8080, TCP},
    {"git", 9418, TCP},           {"zabbix-agent", 10050, TCP}};

static const struct named ip_protocols[] = {
    {"icmp", 1, 0},     {"igmp", 2, 0},       {"ipencap", 4, 0},     {"tcp", 6, 0},
    {"egp", 8, 0},      {"igp", 9, 0},        {"udp", 17, 0},        {"dccp", 33, 0},
    {"ipv6", 41, 0},    {"rsvp", 46, 0},      {"gre", 47, 0},        {"esp", 50, 0},
    {"ah", 51, 0},      {"ipv6-icmp", 58, 0}, {"icmp6", 58, 0},      {"eigrp", 88, 0},
    {"ospf", 89, 0},    {"ipip", 94, 0},      {"etherip", 97, 0},    {"pim", 103, 0},
    {"ipcomp", 108, 0}, {"vrrp", 112, 0},     {"l2tp", 115, 0},      {"isis", 124, 0},
    {"sctp", 132, 0},   {"udplite", 136, 0},  {"mpls-in-ip", 137, 0}};

static const struct named ethertypes[] = {{"ip", 0x0800, 0},     {"ip6", 0x86dd, 0},
                                          {"arp", 0x0806, 0},    {"rarp", 0x8035, 0},
                                          {"revarp", 0x8035, 0}, {"loopback", 0x9000, 0}};

#define IN_OR_OUT "a rule tells the side by ', in' or ', out' behind its action"
#define BY_TYPE "write 'ether proto' and the number"
#define NO_802_11 "802.11 frames are not decoded"
#define NO_PF "the log of OpenBSD's pf is not decoded"
#define NO_ATM "ATM is not decoded"
#define NO_SS7 "SS7 is not decoded"

static const struct {
    const char *name, *hint;
} refused[] = {
    {"protochain", "following a chain of headers takes a loop; write 'proto' and the number"},
    {"gateway", "write 'ether host MAC and not host ADDRESS'"},
    {"inbound", IN_OR_OUT},
    {"outbound", IN_OR_OUT},
    {"on", IN_OR_OUT},
    {"ifname", IN_OR_OUT},
    {"ifindex", IN_OR_OUT},
    {"geneve", "tunnels are opened by --inner; write 'udp dst port 6081'"},
    {"vxlan", "tunnels are opened by --inner; write 'udp dst port 4789'"},
    {"byte", "write ether[N]"},
    {"llc", "write ether[12:2] <= 1500 and ether[14] for what follows"},
    {"radio", NO_802_11},
    {"wlan", NO_802_11},
    {"type", NO_802_11},
    {"subtype", NO_802_11},
    {"dir", NO_802_11},
    {"ppp", "write 'link' for the frame's own header, or 'pppoes'"},
    {"slip", "write 'link' for the frame's own header"},
    {"fddi", "write 'link' for the frame's own header"},
    {"tr", "write 'link' for the frame's own header"},
    {"atalk", BY_TYPE},
    {"aarp", BY_TYPE},
    {"decnet", BY_TYPE},
    {"lat", BY_TYPE},
    {"sca", BY_TYPE},
    {"moprc", BY_TYPE},
    {"mopdl", BY_TYPE},
    {"iso", BY_TYPE},
    {"clnp", BY_TYPE},
    {"esis", BY_TYPE},
    {"isis", BY_TYPE},
    {"stp", BY_TYPE},
    {"ipx", BY_TYPE},
    {"netbeui", BY_TYPE},
    {"reason", NO_PF},
    {"action", NO_PF},
    {"rulenum", NO_PF},
    {"rnum", NO_PF},
    {"ruleset", NO_PF},
    {"rset", NO_PF},
    {"srnr", NO_PF},
    {"subrulenum", NO_PF},
    {"lane", NO_ATM},
    {"vpi", NO_ATM},
    {"vci", NO_ATM},
    {"oam", NO_ATM},
    {"fisu", NO_SS7},
    {"lsu", NO_SS7},
    {"lssu", NO_SS7},
    {"msu", NO_SS7},
    {"sio", NO_SS7},
    {"opc", NO_SS7},
    {"dpc", NO_SS7},
    {"sls", NO_SS7},
};

static const char *const reserved[] = {
    "any",   "ip",      "ip6",  "arp",    "rarp", "tcp",       "udp",       "sctp",
    "icmp",  "icmp6",   "igmp", "igrp",   "pim",  "vrrp",      "carp",      "esp",
    "ah",    "ether",   "link", "src",    "dst",  "host",      "net",       "port",
    "proto", "mask",    "and",  "or",     "not",  "portrange", "broadcast", "multicast",
    "less",  "greater", "len",  "length", "vlan", "mpls",      "pppoes",    "pppoed"};

static const struct named *find(const struct named *table, size_t count,
                                const struct remed_token *token)
{
    struct remed_token name = *token;
    if (name.kind != REMED_TOKEN_WORD)
        return NULL;
    if (name.length > 0 && *name.text == '\\') {
        name.text++;
        name.length--;
    }
    for (size_t i = 0; i < count; i++)
        if (remed_token_is(&name, table[i].name))
            return &table[i];
    return NULL;
}

static const char *read_digits(const char *text, size_t length, unsigned base, uint32_t *number)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned)remed_hex_digit(text[i]);
        if (digit >= base)
            return "a number that begins with 0 is octal";
        value = value * base + digit;
        if (value > UINT32_MAX)
            return "the number does not fit into 32 bits";
    }
    *number = (uint32_t)value;
    return NULL;
}

/* Digits of the base alone: `10.0.0.1` and `0xyz` are no numbers. */
static bool has_only_digits(const char *text, size_t length, int base)
{
    for (size_t i = 0; i < length; i++) {
        int digit = remed_hex_digit(text[i]);
        if (digit < 0 || digit >= base)
            return false;
    }
    return length > 0;
}

enum remed_number_kind remed_word_number(const struct remed_token *token, uint32_t *number,
                                         const char **fault)
{
    const char *text = token->text;
    size_t length = token->length;
    *fault = NULL;
    if (token->kind != REMED_TOKEN_WORD)
        return REMED_NUMBER_NONE;
    if (length > 2 && *text == '0' && (text[1] | 0x20) == 'x') {
        if (!has_only_digits(text + 2, length - 2, 16))
            return REMED_NUMBER_NONE;
        *fault = read_digits(text + 2, length - 2, 16, number);
    } else if (has_only_digits(text, length, 10)) {
        *fault = read_digits(text, length, *text == '0' ? 8 : 10, number);
    } else {
        const struct named *constant =
            *text == '\\' ? NULL : find(constants, COUNT(constants), token);
        if (constant == NULL)
            return REMED_NUMBER_NONE;
        *number = constant->value;
    }
    return *fault != NULL ? REMED_NUMBER_BAD : REMED_NUMBER_GOOD;
}

bool remed_word_service(const struct remed_token *token, uint32_t *port, uint8_t *transports)
{
    const struct named *service = find(services, COUNT(services), token);
    if (service == NULL)
        service = find(more_services, COUNT(more_services), token);
    if (service == NULL)
        return false;
    *port = service->value;
    *transports = service->transports;
    return true;
}

bool remed_word_ip_protocol(const struct remed_token *token, uint32_t *protocol)
{
    const struct named *found = find(ip_protocols, COUNT(ip_protocols), token);
    if (found != NULL)
        *protocol = found->value;
    return found != NULL;
}

bool remed_word_ethertype(const struct remed_token *token, uint32_t *type)
{
    const struct named *found = find(ethertypes, COUNT(ethertypes), token);
    if (found != NULL)
        *type = found->value;
    return found != NULL;
}

const char *remed_word_refused(const struct remed_token *token)
{
    for (size_t i = 0; i < COUNT(refused); i++)
        if (remed_token_is(token, refused[i].name))
            return refused[i].hint;
    return NULL;
}

bool remed_word_is_reserved(const struct remed_token *token)
{
    for (size_t i = 0; i < COUNT(reserved); i++)
        if (remed_token_is(token, reserved[i]))
            return true;
    return remed_word_refused(token) != NULL;
}
