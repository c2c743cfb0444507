# SPDX-License-Identifier: BSD-3-Clause
"""The same five-tuples as tshark: on every capture, each packet's outer and inner tuple as
`remediate policy explain` names it against the layers that tshark dissected."""
import collections
import glob
import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys

REMEDIATE = os.environ.get("REMEDIATE", "build/release/remediate")
DATA = os.environ.get("REMED_TEST_DATA", "../shared/data")
ONLY = sys.argv[1] if len(sys.argv) > 1 else "" # part of a path
FIELDS = ["frame.number", "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.proto",
          "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "sctp.srcport",
          "sctp.dstport", "dccp.srcport", "dccp.dstport", "icmp.ident", "icmpv6.echo.identifier",
          "icmp.type", "icmpv6.type", "ip.frag_offset", "ipv6.fraghdr.offset"]
PREFERENCES = ["ip.defragment:FALSE", "ipv6.defragment:FALSE", "tcp.desegment_tcp_streams:FALSE",
               "tcp.analyze_sequence_numbers:FALSE", "sctp.reassembly:FALSE"]
# Between two IP headers: what the library opens. Anything else is a tunnel that it does not.
OPENED = {"gre", "vxlan", "geneve", "gtp", "teredo", "eth", "ethertype", "vlan", "ip", "ipv6", "udp",
          "ppp", "erspan", "mpls", "ipv6.hopopts", "ipv6.fraghdr", "ipv6.dstopts", "ipv6.routing",
          "pwethheuristic", "pwethnocw", "pwethcw", "ah", "data", "llc", "pppoes", "l2tp", "nsh", "vntag",
          "etherip", "lisp-data", "ieee8021ah", "hsr", "cmd"}
# {capture: (outer tuples that differ, inner ones, why)}: exactly these, no more and no fewer.
EXPLAINED = {
    "arkime_arkime__tests__pcap__arkime_synthetic.pcap":
        (0, 1, "AH around IPv4 is not opened"),
    "arkime_arkime__tests__pcap__nflog.pcap":
        (10, 10, "link type NFLOG"),
    "nfstream_nfstream__tests__pcaps__BGP_Cisco_hdlc_slarp.pcap":
        (14, 14, "Cisco HDLC under the link type of PPP"),
    "ntop_nDPI__tests__cfgs__default__pcap__someip_sd_sample.pcap":
        (6, 6, "link type PPI"),
    "seladb_PcapPlusPlus__Tests__Packet_Test__PacketExamples__nflogPacket.pcap":
        (1, 1, "link type NFLOG"),
    "seladb_PcapPlusPlus__Tests__Pcap_Test__PcapExamples__null_loopback.pcap":
        (1, 1, "an address family that tcpdump does not know either"),
    "the-tcpdump-group_libpcap__tests__filter__AH-IPcomp-IPv4.pcap":
        (0, 6, "AH around IPv4 is not opened"),
    "the-tcpdump-group_libpcap__tests__filter__arcnet-rfc1051-arp-icmp-http.pcap":
        (13, 13, "ARCNET of RFC 1051, without split flag"),
    "the-tcpdump-group_libpcap__tests__filter__http_PPI.pcap":
        (3, 3, "link type PPI"),
    "the-tcpdump-group_libpcap__tests__filter__ipv6_ext_headers.pcap":
        (1, 1, "more than 16 extension headers"),
    "the-tcpdump-group_tcpdump__tests__LINKTYPE_PKTAP.pcap":
        (1, 1, "link type PKTAP"),
    "the-tcpdump-group_tcpdump__tests__LINKTYPE_USER2_PKTAP.pcap":
        (1, 1, "link type PKTAP"),
    "the-tcpdump-group_tcpdump__tests__bgp-aigp.pcap":
        (1, 1, "link type Juniper"),
    "the-tcpdump-group_tcpdump__tests__ipoib.pcap":
        (26, 26, "link type IPoIB"),
    "the-tcpdump-group_tcpdump__tests__nflog.pcap":
        (4, 4, "link type NFLOG"),
}
PORTS = {"tcp": 6, "udp": 17, "sctp": 132, "dccp": 33, "udplite": 136}
ERRORS = {"icmp": {3, 4, 5, 11, 12}, "icmpv6": {1, 2, 3, 4}}


def dissect(path):
    """Yields a dictionary of lists for each packet."""
    command = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=|", "-E",
               "occurrence=a", "-E", "aggregator=,"]
    for field in FIELDS:
        command += ["-e", field]
    for preference in PREFERENCES:
        command += ["-o", preference]
    run = subprocess.run(command, capture_output=True, check=False)
    for line in run.stdout.decode("utf-8", "replace").splitlines():
        values = line.split("|")
        if len(values) == len(FIELDS):
            yield {name: value.split(",") if value else []
                   for name, value in zip(FIELDS, values)}


class Layers:
    """tshark's layers in order, each with its own share of the fields."""

    def __init__(self, packet):
        self.packet, self.used = packet, collections.Counter()
        self.names = [name for value in packet["frame.protocols"] for name in value.split(":")]

    def take(self, field):
        at = self.used[field]
        self.used[field] += 1
        values = self.packet[field]
        return values[at] if at < len(values) else None

    def walk(self):
        """[(name, values)] for IP, transport and ICMP layers; other names with None."""
        layers = []
        for name in self.names:
            if name in ("ip", "ipv6"):
                layers.append((name, (self.take(name + ".src"), self.take(name + ".dst"))))
            elif name in PORTS:
                kind = "udp" if name == "udplite" else name
                layers.append((name, (self.take(kind + ".srcport"), self.take(kind + ".dstport"))))
            elif name in ("icmp", "icmpv6"):
                layers.append((name, self.take(name + ".type")))
            else:
                layers.append((name, None))
        return layers


def number(text):
    return int(text, 0) if text else None


def tuple_at(packet, layers, at, quoted=False):
    """(source, destination, protocol, ports) of the IP layer at `at`; None when not comparable."""
    source, destination = layers[at][1]
    following = at + 1
    while following < len(layers) and layers[following][0] in (
            "ipv6.hopopts", "ipv6.fraghdr", "ipv6.dstopts", "ipv6.routing", "ah"):
        following += 1
    if following == len(layers):
        return None
    name, values = layers[following]
    if name in PORTS:
        if None in values:
            return None
        return source, destination, PORTS[name], int(values[0]), int(values[1])
    if name in ("icmp", "icmpv6") and values is not None and not quoted:
        if int(values) in ERRORS[name]:
            inner = following + 1
            if inner < len(layers) and layers[inner][0] in ("ip", "ipv6"):
                quote = tuple_at(packet, layers, inner, True)
                return (quote[1], quote[0], quote[2], quote[4], quote[3]) if quote else None
            return None
        identifier = number((packet["icmp.ident"] if name == "icmp"
                             else packet["icmpv6.echo.identifier"] or [None])[0]
                            if packet["icmp.ident"] or packet["icmpv6.echo.identifier"] else None)
        if identifier is not None:
            return source, destination, 1 if name == "icmp" else 58, identifier, identifier
    return None


def outer(packet, layers):
    for at, (name, _values) in enumerate(layers):
        if name in ("ip", "ipv6"):
            return tuple_at(packet, layers, at)
    return None


def inner(packet, layers):
    """The last IP layer that no ICMP error quotes; None past a tunnel that is not opened."""
    last = None
    for at, (name, _values) in enumerate(layers):
        if name in ("icmp", "icmpv6"):
            break
        if name in ("ip", "ipv6"):
            last = at
        elif last is not None and name not in OPENED and name not in PORTS:
            if any(later in ("ip", "ipv6") for later, _ in layers[at:]):
                return None
            break
    return tuple_at(packet, layers, last) if last is not None else None


def read_endpoint(text):
    match = re.fullmatch(r"\[(.*)\]:(\d+)", text) or re.fullmatch(r"([\d.]+):(\d+)", text)
    address, port = match.groups() if match else (text, 0)
    return ipaddress.ip_address(address), int(port)


PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58, "sctp": 132, "dccp": 33, "udplite": 136}


def explain(path, scope):
    run = subprocess.run([REMEDIATE, "policy", "explain", "any : none", "-r", path, "--json",
                          scope], capture_output=True, check=False)
    for line in run.stdout.splitlines():
        record = json.loads(line)
        if record["tuple"] is None or record["unclassified"] is not None:
            yield None
            continue
        protocol, source, _, destination = record["tuple"].split(" ")
        (a, sport), (b, dport) = read_endpoint(source), read_endpoint(destination)
        protocol = PROTOCOLS.get(protocol) or int(re.sub(r"\D", "", protocol) or -1)
        yield a, b, protocol, sport, dport


def as_addresses(value):
    return (ipaddress.ip_address(value[0]), ipaddress.ip_address(value[1])) + value[2:]


def differing(path):
    """Compares one capture: {scope: (compared, [lines that differ])}, and tuples left out."""
    result, silent = {}, 0
    packets = [(packet, Layers(packet).walk()) for packet in dissect(path)]
    for scope, choose in (("--outer", outer), ("--inner", inner)):
        ours, lines, compared = list(explain(path, scope)), [], 0
        for index, (packet, layers) in enumerate(packets):
            theirs = choose(packet, layers)
            if theirs is None or None in theirs:
                silent += 1
                continue
            compared += 1
            found = ours[index] if index < len(ours) else None
            if found != as_addresses(theirs):
                lines.append(f"packet {packet['frame.number'][0]}: tshark {theirs}, ours "
                             f"{found and tuple(map(str, found))}")
        result[scope] = compared, lines
    return result, silent


def main():
    if shutil.which("tshark") is None:
        print("skipped: no tshark")
        return 77
    files = sorted(glob.glob(DATA + "/pcap/*cap*") + glob.glob(DATA + "/ids/*/*.pcap")
                   + glob.glob("tests/data/*.pcap"))
    files = [path for path in files if ONLY in path]
    compared = silent = wrong = explained = captures = 0
    for path in files:
        result, unknown = differing(path)
        silent += unknown
        captures += any(count for count, _ in result.values())
        allowed = EXPLAINED.get(os.path.basename(path), (0, 0, ""))
        for (scope, (count, lines)), most in zip(result.items(), allowed):
            compared += count
            if len(lines) == most:
                explained += most
                continue
            wrong += 1
            print(f"{path} {scope}: {len(lines)} tuples differ, not {most}", *lines[:10], sep="\n  ")
    print(f"{captures} captures, {compared} tuples compared, {explained} differ for a stated reason,"
          f" {silent} without ports for tshark, {wrong} captures with other differences")
    return 1 if wrong or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
