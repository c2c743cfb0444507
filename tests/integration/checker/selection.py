# SPDX-License-Identifier: BSD-3-Clause
"""Which packets each action copies, by flows kept in plain dictionaries. What stands here follows
docs/policy.md, rule by rule, and shares nothing with the library."""
from . import headers
from .clock import Clock

SECOND = 10**9
FIN, SYN, RST, ACK = 1, 2, 4, 16
CONNECTIONS = (6, 33, 132)
LONG_AGO = 2**62


class Flow:
    def __init__(self, opener, time, protocol):
        self.opener, self.last, self.protocol = opener, time, protocol
        self.packets, self.bytes = {False: 0, True: 0}, {False: 0, True: 0}
        self.copied = {False: time, True: time}
        self.state, self.fins, self.talked, self.reset = "new", set(), set(), None
        self.expected, self.completed = [], False  # of SYN+ACKs: (number, by which side)
        self.fin = None  # the latest FIN: (side, number)
        self.syn, self.reuse = None, False  # the latest SYN: (side, number)

    def timeout(self):
        if self.protocol in CONNECTIONS:
            return 7440 if self.state == "open" else 240
        return {17: 300, 136: 300, 1: 60, 58: 60}.get(self.protocol, 600)

    def answers(self, direction, ack):
        return (self.syn is not None and self.syn[0] != direction
                and (ack - self.syn[1] - 1) % 2**32 < 2**16)


class Event:
    def __init__(self, flow, direction):
        self.flow, self.direction = flow, direction
        self.completes = self.reuse = False


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
        return first._replace(flags=0, fragment=packet.fragment, cookie=False,
                              signature=packet.signature, named=packet.named)

    def see(self, packet, time, wire):
        a, b = (packet.source, packet.sport), (packet.destination, packet.dport)
        key = (min(a, b), max(a, b), packet.protocol)
        direction = a > b
        flow = self.flows.get(key)
        tcp = packet.flags & 0xFF
        if flow is not None:
            idle = time - flow.last > flow.timeout() * SECOND \
                and not goes_on(flow, packet, direction, tcp)
            if idle or flow.state == "closed" and tcp & (SYN | ACK | RST) == SYN:
                flow = None
            elif flow.reuse and tcp & (SYN | ACK | RST) == SYN | ACK and flow.answers(direction, packet.ack):
                before, flow = flow, Flow(not direction, time, packet.protocol)
                flow.syn, flow.state = before.syn, "syn"
                flow.packets[not direction] = 1
                self.flows[key] = flow
        if flow is None:
            flow = self.flows[key] = Flow(direction, time, packet.protocol)
        if not 0 < flow.last - time <= SECOND:
            flow.last = time
        flow.packets[direction] += 1
        flow.bytes[direction] += wire
        event = Event(flow, direction)
        if not packet.report:
            follow(event, packet, tcp, time)
        return event


def follow(event, packet, tcp, time):
    flow, direction = event.flow, event.direction
    was_closed = flow.state == "closed"
    if tcp & RST:
        pass  # whatever else it says
    elif tcp & SYN and tcp & ACK:
        on_syn_ack(flow, packet, direction)
    elif tcp & SYN:
        event.reuse = on_syn(flow, packet, direction)
    else:
        event.completes = completes(flow, packet, direction, tcp)
        on_talk(event, packet, time)
    if tcp & RST:
        if flow.state != "closed":
            flow.state, flow.reset = "closed", direction
    elif tcp & FIN and not was_closed:
        flow.fins.add(direction)
        flow.fin, flow.expected = (direction, packet.seq), flow.expected[-1:]
        flow.state = "closed" if len(flow.fins) == 2 else "closing"


def on_syn(flow, packet, direction):
    opening, syn = flow.state == "syn", (direction, packet.seq)
    if flow.state == "new":
        flow.state = "syn"
    if flow.syn == syn:
        return flow.reuse
    if opening and flow.syn is not None and flow.syn[0] != direction:
        return False  # a simultaneous open
    flow.syn, flow.reuse = syn, sum(flow.packets.values()) > 1
    return flow.reuse


def on_syn_ack(flow, packet, direction):
    number = (packet.seq + 1) % 2**32
    if not flow.expected or flow.expected[-1] != (number, direction):
        waiting = flow.expected and not flow.completed and not flow.fin and flow.expected[-1][1] == direction
        flow.expected = ([flow.expected[-1]] if waiting else []) + [(number, direction)]
        flow.completed = False
    if flow.state in ("new", "syn"):
        flow.state = "syn-ack"


def goes_on(flow, packet, direction, tcp):
    """By its numbers it is the next step of the handshake, whatever the clocks say."""
    kind = tcp & (SYN | ACK | FIN | RST)
    if flow.state == "syn":
        return kind == SYN | ACK and flow.answers(direction, packet.ack)
    return flow.state == "syn-ack" and kind == ACK and acknowledges(flow, packet, direction)


def acknowledges(flow, packet, direction):
    if not flow.expected or flow.completed or flow.expected[-1][1] == direction:
        return False
    room = 2**16 + min(flow.bytes[not direction], 2**24)
    return any((packet.ack - number) % 2**32 < room for number, _side in flow.expected)


def completes(flow, packet, direction, tcp):
    if not tcp & ACK or not acknowledges(flow, packet, direction):
        return False
    flow.completed = True
    return True


def is_false_fin(flow, direction, packet):
    """Its sender goes on elsewhere: neither behind that FIN nor a little before it."""
    closing = flow.state == "closing" or flow.state == "closed" and flow.reset is None
    if not closing or packet.protocol != 6 or packet.flags & (ACK | FIN) != ACK:
        return False
    return bool(flow.fin and flow.fin[0] == direction
                and (packet.seq - flow.fin[1] + 2**24) % 2**32 >= 2**24 + 2**17)


def on_talk(event, packet, time):
    flow, direction = event.flow, event.direction
    flow.talked.add(direction)
    reset = flow.state == "closed" and flow.reset == direction
    if reset or is_false_fin(flow, direction, packet):
        flow.reset, flow.fin, flow.fins = None, None, set()
        flow.state = "open" if len(flow.talked) == 2 else "new"
    if flow.state not in ("new", "syn", "syn-ack"):
        return
    if event.completes or len(flow.talked) == 2:
        if flow.protocol in CONNECTIONS and not flow.completed:
            flow.copied = {False: time - LONG_AGO, True: time - LONG_AGO}
        flow.state = "open"
    elif flow.packets[not direction] == 0:
        flow.state = "new"


def wants(rule, packet, event, wire):
    """What the action and `close` say."""
    flow, tcp = event.flow, packet.flags & 0xFF
    if rule.close and tcp & (FIN | RST):
        return True
    if rule.action in ("first", "each", "bytes") and event.reuse:
        return True
    if rule.action == "first":
        return sum(flow.packets.values()) <= rule.amount
    if rule.action == "each":
        return flow.packets[event.direction] <= rule.amount
    if rule.action == "bytes":
        return sum(flow.bytes.values()) - wire < rule.amount
    if rule.action == "syn":
        return packet.protocol == 6 and tcp & (SYN | ACK) == SYN
    if rule.action == "handshake":
        return bool(tcp & SYN) or packet.cookie or event.completes
    return False


class Selection:
    """One policy over one capture, with flows of its own: a duplicate is no packet of them."""

    def __init__(self, rule):
        self.rule, self.flows, self.recent, self.copied = rule, Flows(), {}, []

    def is_duplicate(self, packet, event, time):
        if self.rule.action == "syn" or packet.signature is None:
            return False
        key = (id(event.flow), event.direction, packet.signature)
        within = 5 * 10**6 if packet.named else 10**5
        if key in self.recent and abs(time - self.recent[key][0]) <= within:
            return True
        self.recent[key] = (time, event.flow)  # the flow lives as long as its id is in use
        return False

    def see(self, number, packet, time, wire):
        packet = self.flows.whole(packet, time)
        if packet is None:
            return
        event = self.flows.see(packet, time, wire)
        flow, direction = event.flow, event.direction
        wanted = wants(self.rule, packet, event, wire)
        if wanted and self.is_duplicate(packet, event, time):
            flow.packets[direction] -= 1
            flow.bytes[direction] -= wire
            return
        passed = time - flow.copied[direction]
        talks = not packet.flags & (FIN | SYN | RST) and not packet.report
        due = self.rule.refresh and (passed >= self.rule.refresh or passed < -SECOND)
        if wanted or due and talks:
            if talks:
                flow.copied[direction] = time
            self.copied.append(number)


class Rule:
    def __init__(self, action, amount=0, close=False, refresh=0):
        self.action, self.amount, self.close = action, amount, close
        self.refresh = refresh * SECOND


def select(capture, policies):
    """{policy: [packet numbers copied]} for {policy: Rule}, and how many packets there are."""
    selections = {policy: Selection(rule) for policy, rule in policies.items()}
    clock, number = Clock(), 0
    for time, wire, link, data in capture:
        number += 1
        steady = clock.read(time)
        packet = headers.parse(link, data)
        if packet is not None:
            for selection in selections.values():
                selection.see(number, packet, steady, wire)
    return {policy: selection.copied for policy, selection in selections.items()}, number
