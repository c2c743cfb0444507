# SPDX-License-Identifier: BSD-3-Clause
"""Which packets each action copies, by flows kept in plain dictionaries."""
from . import headers

SECOND = 10**9
FIN, SYN, RST, ACK = 1, 2, 4, 16


class Flow:
    def __init__(self, opener, time, protocol):
        self.opener, self.last, self.protocol = opener, time, protocol
        self.packets, self.bytes = {}, 0
        self.state, self.fins, self.expected, self.completed = "new", set(), None, False

    def timeout(self):
        if self.protocol == 6:
            return 7440 if self.state in ("new", "open") else 240
        table = {17: 300, 136: 300, 1: 60, 58: 60, 33: 7440, 132: 7440}
        return table.get(self.protocol, 600)


class Flows:
    def __init__(self):
        self.flows, self.fragments = {}, {}

    def whole(self, packet, time):
        """Gives a later fragment its flow, and remembers a first one."""
        if packet.fragment is None:
            return packet
        kind, identity = packet.fragment
        if kind == "first":
            self.fragments[identity] = (packet, time)
            return packet
        first, seen = self.fragments.get(identity, (None, 0))
        if first is None or time - seen > 30 * SECOND:
            return None
        return first._replace(flags=0, fragment=packet.fragment)

    def see(self, packet, time, wire):
        """Returns (flow, direction, completes a handshake)."""
        a, b = (packet.source, packet.sport), (packet.destination, packet.dport)
        key = (min(a, b), max(a, b), packet.protocol)
        direction = a > b
        flow = self.flows.get(key)
        tcp = packet.flags & 0xFF if packet.flags & 0x100 else 0
        if flow is not None:
            idle = time - flow.last > flow.timeout() * SECOND
            reopened = flow.state == "closed" and tcp & (SYN | ACK) == SYN
            if idle or reopened:
                flow = None
        if flow is None:
            flow = self.flows[key] = Flow(direction, time, packet.protocol)
        flow.last = max(flow.last, time)
        flow.packets[direction] = flow.packets.get(direction, 0) + 1
        flow.bytes += wire
        completes = self.follow(flow, packet, direction, tcp) if tcp else False
        return flow, direction, completes

    @staticmethod
    def follow(flow, packet, direction, tcp):
        completes, was_closed = False, flow.state == "closed"
        if tcp & SYN and tcp & ACK:
            expected = ((packet.seq + 1) % 2**32, not direction)
            if flow.expected != expected:
                flow.expected, flow.completed = expected, False
            if flow.state in ("new", "syn"):
                flow.state = "syn-ack"
        elif tcp & SYN:
            if flow.state == "new":
                flow.state = "syn"
        else:
            if (flow.expected == (packet.ack, direction) and not flow.completed and tcp & ACK
                    and not tcp & RST):
                completes = flow.completed = True
            if flow.state in ("syn", "syn-ack") or len(flow.packets) == 2 and flow.state == "new":
                flow.state = "open"
        if tcp & RST:
            flow.state = "closed"
        elif tcp & FIN and not was_closed:
            flow.fins.add(direction)
            flow.state = "closed" if len(flow.fins) == 2 else "closing"
        return completes


def wants(action, amount, packet, seen, wire):
    flow, direction, completes = seen
    if action == "first":
        return sum(flow.packets.values()) <= amount
    if action == "each":
        return flow.packets[direction] <= amount
    if action == "bytes":
        return flow.bytes - wire < amount
    tcp = packet.flags & 0xFF if packet.flags & 0x100 else 0
    if action == "syn":
        return tcp & (SYN | ACK) == SYN
    return bool(tcp & SYN) or completes


def select(capture, policies):
    """{policy: [packet numbers copied]} for {policy: (action, amount)}."""
    flows, copied, number = Flows(), {policy: [] for policy in policies}, 0
    for time, wire, link, data in capture:
        number += 1
        packet = headers.parse(link, data)
        packet = flows.whole(packet, time) if packet else None
        if packet is None:
            continue
        seen = flows.see(packet, time, wire)
        for policy, (action, amount) in policies.items():
            if wants(action, amount, packet, seen, wire):
                copied[policy].append(number)
    return copied, number
