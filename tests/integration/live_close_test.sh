#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Live: a Linux standby that tracks connections behind `preset nat`. Connections that ended are not
# ESTABLISHED there, those that live are: 20 whose first ACK was lost, and an SCTP association. First
# 50 connections end, then 2,000.
set -eu
tool=${REMEDIATE:?}
id=$$
work=$(mktemp -d)
standby=remed-s$id near=rsn$id
cleanup() {
    ip link del "$near" 2>/dev/null || true
    ip netns del "$standby" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
skip() {
    echo "skipped: $*"
    exit 77
}
if [ "$(id -u)" != 0 ] || ! ip netns add "$standby" 2>/dev/null || ! ip netns exec "$standby" true 2>/dev/null; then
    skip "no network namespaces here"
fi
for program in nft conntrack python3; do
    command -v $program >/dev/null || skip "$program is missing"
done
ip link add "$near" address 02:00:00:00:00:01 type veth peer name far netns "$standby" address 02:00:00:00:00:02
ip link set "$near" up
ip -n "$standby" link set far up
ip -n "$standby" addr add 10.99.0.1/24 dev far
ip -n "$standby" route add default dev far
set_in() { ip netns exec "$standby" sysctl -qw "$@"; }
set_in net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.far.rp_filter=0
cat >"$work/rules" <<'EOF'
table ip t {
    chain p {
        type filter hook prerouting priority 0; policy accept
        ct state new counter
    }
}
EOF
ip netns exec "$standby" nft -f "$work/rules" || skip "no connection tracking here"
set_in net.netfilter.nf_conntrack_tcp_be_liberal=1 || skip "no connection tracking here"

# Usage: capture.py FILE CLOSED
cat >"$work/capture.py" <<'EOF'
import struct, sys
SERVER, events = bytes([198, 51, 100, 7]), []
SYN, FIN, ACK, PSH = 2, 1, 16, 8

def ones(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF

def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF

def send(time, source, target, protocol, body):
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), len(events) & 0xFFFF, 0, 64, protocol, 0)
    head += source + target
    head = head[:10] + struct.pack(">H", ones(head)) + head[12:]
    events.append((time, bytes.fromhex("0200000000020200000000010800") + head + body))

def tcp(time, source, target, ports, flags, seq, ack, payload=b""):
    body = struct.pack(">HHIIBBHHH", *ports, seq, ack, 0x50, flags, 65535, 0, 0) + payload
    pseudo = source + target + struct.pack(">BBH", 0, 6, len(body))
    send(time, source, target, 6, body[:16] + struct.pack(">H", ones(pseudo + body)) + body[18:])

def sctp(time, source, target, ports, tag, chunk, value):
    body = struct.pack(">HHII", *ports, tag, 0) + struct.pack(">BBH", chunk, 0, 4 + len(value)) + value
    send(time, source, target, 132, body[:8] + struct.pack("<I", crc32c(body)) + body[12:])

def opened(time, client, port):
    tcp(time, client, SERVER, (3000, port), SYN, 100, 0)
    tcp(time + .001, SERVER, client, (port, 3000), SYN | ACK, 500, 101)

for i in range(int(sys.argv[2])):
    at, client = i / 500, bytes([192, 168, 16 + (i >> 8), i & 255])
    opened(at, client, 80)
    tcp(at + .002, client, SERVER, (3000, 80), ACK, 101, 501)
    tcp(at + .003, client, SERVER, (3000, 80), FIN | ACK, 101, 501)
    tcp(at + .004, SERVER, client, (80, 3000), FIN | ACK, 501, 102)
    tcp(at + .005, client, SERVER, (3000, 80), ACK, 102, 502)
for i in range(20):
    client = bytes([192, 168, 3, 1 + i])
    opened(.01, client, 25)
    tcp(.012, SERVER, client, (25, 3000), PSH | ACK, 501, 101, b"220 mail\r\n")
    tcp(.014, client, SERVER, (3000, 25), ACK, 101, 511)
one, there, back = bytes([192, 168, 1, 2]), (38412, 36412), (36412, 38412)
sctp(.02, one, SERVER, there, 0, 1, struct.pack(">IIHHI", 7, 65535, 1, 1, 1))
cookie = struct.pack(">HH", 7, 8) + b"cook"
sctp(.03, SERVER, one, back, 7, 2, struct.pack(">IIHHI", 9, 65535, 1, 1, 1) + cookie)
sctp(.04, one, SERVER, there, 9, 10, b"cook")
sctp(.05, SERVER, one, back, 7, 11, b"")
events.sort(key=lambda event: event[0])
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
    for time, frame in events:
        file.write(struct.pack("<IIII", 1000 + int(time), int(time % 1 * 1e6), len(frame), len(frame)) + frame)
EOF

established() {
    ip netns exec "$standby" conntrack -L 2>/dev/null | grep -c "^$1 .*ESTABLISHED" || true
}
check() { # how many connections end
    python3 "$work/capture.py" "$work/in.pcap" "$1"
    ip netns exec "$standby" conntrack -F 2>/dev/null
    "$tool" mirror -p 'preset nat' --max-flows 65536 -r "$work/in.pcap" -o "$near" --json >"$work/report.json"
    sleep 1
    tcp=$(established tcp) sctp=$(established sctp)
    echo "$1 connections ended, 20 live: $tcp TCP and $sctp SCTP established on the standby"
    if [ "$tcp" != 20 ] || [ "$sctp" != 1 ]; then exit 1; fi
}
check 50
check 2000
