# SPDX-License-Identifier: BSD-3-Clause
"""From a frame to a flow, the slow and plain way: the outer tuple, as the documents define it."""
from collections import namedtuple

Packet = namedtuple("Packet", "source destination sport dport protocol flags seq ack fragment"
                              " cookie report signature named")
# flags, seq, ack: TCP's, or those that SCTP's chunks and DCCP's types stand for
# fragment: None, ("first", identity) or ("later", identity)
# cookie: part of SCTP's handshake, report: an ICMP error, signature: what a duplicate has in common
# named: it has a number of its own, so that it is not sent twice soon
FIN, SYN, RST, ACK = 1, 2, 4, 16
SCTP_FLAGS = {1: SYN, 2: SYN | ACK, 6: RST | ACK, 7: FIN | ACK, 8: FIN | ACK, 14: FIN | ACK}
DCCP_FLAGS = {0: SYN, 1: SYN | ACK, 5: FIN | ACK, 6: FIN | ACK, 7: RST | ACK}


class Short(Exception):
    """The bytes end before what is needed."""


def need(data, count):
    if len(data) < count:
        raise Short()


def word(data, at):
    need(data, at + 2)
    return data[at] << 8 | data[at + 1]


def by_nibble(data):
    need(data, 1)
    return {4: 0x0800, 6: 0x86DD}.get(data[0] >> 4)


def from_ppp(data):
    if data[:2] == b"\xff\x03":
        data = data[2:]
    need(data, 2)
    if data[0] & 1:
        number, data = data[0], data[1:]
    else:
        number, data = word(data, 0), data[2:]
    return {0x21: 0x0800, 0x57: 0x86DD, 0x281: 0x8847}.get(number), data


def from_null(data, either_order):
    need(data, 4)
    family = int.from_bytes(data[:4], "big")
    if either_order and family > 0xFFFF:
        family = int.from_bytes(data[:4], "little")
    kind = 0x0800 if family == 2 else 0x86DD if family in (10, 24, 28, 30) else None
    return kind, data[4:]


def link_payload(link, data):
    """(EtherType or None, payload); a length field gives its number."""
    if link == 1:
        need(data, 14)
        return word(data, 12), data[14:]
    if link == 113:
        need(data, 16)
        kind = word(data, 14)
        return (kind if kind >= 0x600 else None), data[16:]
    if link == 276:
        need(data, 20)
        kind = word(data, 0)
        return (kind if kind >= 0x600 else None), data[20:]
    if link in (101, 12, 14):
        return by_nibble(data), data
    if link == 228:
        return 0x0800, data
    if link == 229:
        return 0x86DD, data
    if link in (0, 108):
        return from_null(data, link == 0)
    if link in (9, 50):
        return from_ppp(data)
    if link == 204:
        return from_ppp(data[1:])
    if link == 51:
        return from_ppp(data[6:])
    if link == 8:
        return by_nibble(data[16:]), data[16:]
    if link == 104:
        if data[:2] == b"\xff\x03" and len(data) >= 4:
            return from_ppp(data)
        kind = word(data, 2)
        return (kind if kind >= 0x600 else None), data[4:]
    if link == 107:
        need(data, 4)
        return {0xCC: 0x0800, 0x8E: 0x86DD}.get(data[3]), data[4:]
    if link == 129:
        need(data, 5)
        return {212: 0x0800, 240: 0x0800, 196: 0x86DD}.get(data[4]), data[8:]
    if link == 226:
        need(data, 24)
        return {2: 0x0800, 26: 0x86DD}.get(data[1]), data[24:]
    return None, data


def network_payload(link, data):
    """The bytes from the first IP header on, or None."""
    kind, data = link_payload(link, data)
    for _ in range(64):
        if kind in (0x8100, 0x88A8, 0x9100):
            kind, data = word(data, 2), data[4:]
        elif kind == 0x8909:
            need(data, 8)
            kind, data = word(data, 6), data[8:]
        elif kind in (0x88E7, 0x894F):
            need(data, 8)
            size = 4 if kind == 0x88E7 else (data[1] & 63) * 4
            if kind == 0x894F and data[3] in (1, 2):
                return data[size:]
            if kind == 0x894F and data[3] != 3:
                return None
            kind, data = word(data, size + 12), data[size + 14:]
        elif kind in (0x8847, 0x8848):
            need(data, 5)
            while not data[2] & 1:
                data = data[4:]
                need(data, 5)
            data = data[4:]
            nibble = data[0] >> 4
            if nibble in (4, 6):
                return data
            if nibble != 0:
                return None
            data = data[4:]
            kind, data = word(data, 12), data[14:]
        elif kind == 0x8864:
            need(data, 8)
            if data[1] != 0:
                return None
            kind, data = from_ppp(data[6:])
        elif kind in (0x0800, 0x86DD):
            return data
        elif kind is not None and kind < 0x600:
            if data[:6] == b"\xaa\xaa\x03\0\0\0" and word(data, 6) in (0x0800, 0x86DD):
                return data[8:]
            return None
        else:
            return None
    return None


def ipv4(data):
    need(data, 20)
    header, total = (data[0] & 15) * 4, word(data, 2)
    if header < 20 or (total and total < header):
        raise Short()
    need(data, header)
    fragment = word(data, 6)
    source, destination, protocol = data[12:16], data[16:20], data[9]
    mark = None
    if fragment & 0x3FFF:
        identity = (source, destination, protocol, word(data, 4))
        mark = ("later" if fragment & 0x1FFF else "first", identity)
    end = total if total and total < len(data) else len(data)
    return source, destination, protocol, mark, data[header:end]


def ipv6(data):
    need(data, 40)
    source, destination, following = data[8:24], data[24:40], data[6]
    length, mark = word(data, 4), None
    rest = data[40 : 40 + length] if length else data[40:]
    count = 0
    while following in (0, 43, 44, 51, 60, 135, 139, 140) and not (mark and mark[0] == "later"):
        count += 1
        if count > 16:
            raise Short()
        need(rest, 8)
        size = (rest[1] + 1) * 8
        if following == 51:
            size = (rest[1] + 2) * 4
        if following == 44:
            size = 8
            offset = word(rest, 2)
            if offset & 1 or offset >> 3:
                identity = (source, destination, None, rest[4:8])
                mark = ("later" if offset >> 3 else "first", identity)
        need(rest, size)
        following, rest = rest[0], rest[size:]
    return source, destination, following, mark, rest


def number(data, at):
    return int.from_bytes(data[at : at + 4], "big")


def sctp(packet, data):
    """Flags of all chunks (16 at most); an initiate tag is what the peer's tag acknowledges."""
    if len(data) < 16:
        return packet
    flags, seq, cookie, at = 0, 0, False, 12
    for _ in range(16):
        if at + 4 > len(data):
            break
        chunk, length = data[at], word(data, at + 2)
        if length < 4:
            break
        flags |= SCTP_FLAGS.get(chunk, ACK)
        cookie = cookie or chunk in (10, 11)
        if chunk in (1, 2) and at + 8 <= len(data):
            seq = (number(data, at + 4) - 1) % 2**32
        at += (length + 3) // 4 * 4
    return packet._replace(flags=flags, seq=seq, ack=number(data, 4), cookie=cookie)


def dccp(packet, data):
    if len(data) < 12:
        return packet
    flags, seq, ack = DCCP_FLAGS.get(data[8] >> 1 & 15, ACK), 0, 0
    if data[8] & 1:
        seq = number(data, 12) if len(data) >= 16 else 0
        ack = (number(data, 20) + 1) % 2**32 if len(data) >= 24 and flags & ACK else 0
    return packet._replace(flags=flags, seq=seq, ack=ack)


def signature(version, data):
    """What two sightings of one packet have in common: its IP length, identification and fragment
    offset, and all bytes behind the network header."""
    begin = (data[0] & 15) * 4 if version == 4 else 40
    length = word(data, 2) if version == 4 else word(data, 4) and 40 + word(data, 4)
    rest = data[begin : length or len(data)]
    return (data[2:8] if version == 4 else data[4:6], rest) if rest else None


def is_named(version, data, mark, protocol, rest):
    """It has a number of its own: an identification, or TCP's if it takes up any."""
    if version == 4 and word(data, 4) or version == 6 and mark:
        return True
    if protocol != 6 or len(rest) < 14 or mark and mark[0] == "later":
        return False
    header = (rest[12] >> 4) * 4
    return bool(rest[13] & (SYN | FIN)) or 20 <= header < len(rest)


def ip(data, quoted=False):
    need(data, 1)
    version = data[0] >> 4
    if version not in (4, 6):
        raise Short()
    source, destination, protocol, mark, rest = ipv4(data) if version == 4 else ipv6(data)
    plain = Packet(source, destination, 0, 0, protocol, 0, 0, 0, mark, False, False,
                   signature(version, data), is_named(version, data, mark, protocol, rest))
    if mark and mark[0] == "later":
        return plain
    if protocol in (6, 17, 33, 132, 136):
        ports = plain._replace(sport=word(rest, 0), dport=word(rest, 2))
        if protocol == 6 and len(rest) >= 14:
            numbers = [int.from_bytes(rest[i : i + 4], "big") for i in (4, 8)]
            return ports._replace(flags=rest[13], seq=numbers[0], ack=numbers[1])
        if protocol == 132:
            return sctp(ports, rest)
        return dccp(ports, rest) if protocol == 33 else ports
    if protocol in (1, 58):
        need(rest, 1)
        queries = (128, 129) if protocol == 58 else (0, 8, 13, 14, 15, 16, 17, 18)
        errors = (1, 2, 3, 4) if protocol == 58 else (3, 4, 5, 11, 12)
        if rest[0] in queries:
            identifier = word(rest, 4)
            return plain._replace(sport=identifier, dport=identifier)
        if rest[0] in errors and not quoted and not mark and len(rest) > 8:
            try:
                quote = ip(rest[8:], quoted=True)
            except Short:
                return plain
            if quote.fragment and quote.fragment[0] == "later":
                return plain
            return plain._replace(source=quote.destination, destination=quote.source,
                                  sport=quote.dport, dport=quote.sport, protocol=quote.protocol,
                                  report=True)
    return plain


def parse(link, data):
    """The packet, or None when it belongs to no flow by itself."""
    try:
        payload = network_payload(link, data)
        return ip(payload) if payload is not None else None
    except Short:
        return None
