# SPDX-License-Identifier: BSD-3-Clause
"""Reads pcap and pcapng the slow and plain way. Shares nothing with the library."""
import struct


def read(path):
    """Yields (time_ns, wire_length, link_type, bytes); stops at the first damage."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        yield from read_pcapng(data)
    else:
        yield from read_pcap(data)


def read_pcap(data):
    magics = {0xA1B2C3D4: (1000, 16), 0xA1B23C4D: (1, 16), 0xA1B2CD34: (1000, 24)}
    for order in "<>":
        if len(data) >= 24 and struct.unpack(order + "I", data[:4])[0] in magics:
            break
    else:
        return
    unit, header = magics[struct.unpack(order + "I", data[:4])[0]]
    _major, minor = struct.unpack(order + "HH", data[4:8])
    link = struct.unpack(order + "I", data[20:24])[0]
    if link & 0x03FF0000:
        return
    at = 24
    while at + header <= len(data):
        seconds, fraction, captured, wire = struct.unpack(order + "IIII", data[at : at + 16])
        if minor < 3 or (minor == 3 and captured > wire):
            captured, wire = wire, captured
        if captured > 1 << 24 or at + header + captured > len(data):
            return
        frame = data[at + header : at + header + captured]
        yield seconds * 10**9 + fraction * unit, wire, link & 0xFFFF, frame
        at += header + captured


def options(order, body):
    at = 0
    while at + 4 <= len(body):
        code, length = struct.unpack(order + "HH", body[at : at + 4])
        padded = (length + 3) // 4 * 4
        if code == 0 or at + 4 + padded > len(body):
            return
        yield code, body[at + 4 : at + 4 + length]
        at += 4 + padded


def describe_interface(order, body):
    link, _reserved, snap = struct.unpack(order + "HHI", body[:8])
    units, offset = 10**6, 0
    for code, value in options(order, body[8:]):
        if code == 9 and value:
            units = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        if code == 14 and len(value) == 8:
            offset = struct.unpack(order + "q", value)[0]
    return link, snap, units, offset


def read_pcapng(data):
    at, order, interfaces = 0, "<", []
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            magic = data[at + 8 : at + 12]
            if magic not in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"):
                return
            order, interfaces = ("<" if magic[0] == 0x4D else ">"), []
        kind, length = struct.unpack(order + "II", data[at : at + 8])
        if length < 12 or length % 4 or at + length > len(data) or length > 1 << 24:
            return
        if struct.unpack(order + "I", data[at + length - 4 : at + length])[0] != length:
            return
        body = data[at + 8 : at + length - 4]
        if kind == 1:
            if len(body) < 8:
                return
            interfaces.append(describe_interface(order, body))
        elif kind in (2, 6):
            if len(body) < 20:
                return
            number, high, low, captured, wire = struct.unpack(order + "IIIII", body[:20])
            if kind == 2:
                number = struct.unpack(order + "H", body[:2])[0]
            if number >= len(interfaces) or captured > len(body) - 20:
                return
            link, _snap, units, offset = interfaces[number]
            stamp = high << 32 | low
            time = stamp * 10**9 // units + offset * 10**9
            yield time, wire, link, body[20 : 20 + captured]
        elif kind == 3:
            if len(body) < 4 or not interfaces:
                return
            wire = struct.unpack(order + "I", body[:4])[0]
            captured = min(wire, interfaces[0][1] or wire)
            if captured > len(body) - 4:
                return
            yield 0, wire, interfaces[0][0], body[4 : 4 + captured]
        at += length
