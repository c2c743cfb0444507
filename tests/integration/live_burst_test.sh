#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Live, with every offload on: bursts of small packets lose none with the defaults; merged TCP frames
# go out in segments that a tracking standby takes for valid, with checksums that hold; an output that
# goes down is told, counted, and exit 1.
set -eu
tool=${REMEDIATE:?}
burst=${REMED_BUILD:?}/tests/burst
id=$$
work=$(mktemp -d)
a=remed-a$id b=remed-b$id c=remed-c$id
cleanup() {
    for name in "$a" "$b" "$c"; do
        ip netns pids "$name" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
        ip netns del "$name" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT
if [ "$(id -u)" != 0 ] || ! ip netns add "$a" 2>/dev/null || ! ip netns exec "$a" true 2>/dev/null; then
    echo "skipped: no network namespaces here"
    exit 77
fi
for program in iperf3 tcpdump tshark nft; do
    command -v $program >/dev/null || { echo "skipped: $program is missing"; exit 77; }
done
ip netns add "$b"
ip netns add "$c"
# a: client; b: server and mirror; c: standby. One address for all Ethernet ends: c takes what it is shown.
ip link add eth0 netns "$a" address 02:00:00:00:00:01 type veth peer name eth0 netns "$b" address 02:00:00:00:00:01
ip link add tap0 netns "$b" type veth peer name far0 netns "$c" address 02:00:00:00:00:01
for name in "$a" "$b" "$c"; do
    ip netns exec "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.conf.all.rp_filter=0 >/dev/null 2>&1 || true
    for interface in lo eth0 far0 tap0; do
        ip -n "$name" link set "$interface" up 2>/dev/null || true
    done
done
ip -n "$a" addr add 10.78.0.1/24 dev eth0
ip -n "$b" addr add 10.78.0.2/24 dev eth0
ip -n "$c" addr add 10.79.0.1/24 dev far0
ip link add sink0 netns "$c" type veth peer name sink1 netns "$a" # what the standby lets through ends here
ip -n "$c" link set sink0 up arp off
ip -n "$a" link set sink1 up
ip -n "$c" route add default dev sink0
ip netns exec "$c" sysctl -qw net.ipv4.ip_forward=1
ip netns exec "$c" nft -f - <<'EOF'
table ip t {
    chain c {
        type filter hook prerouting priority 0
        ct state invalid counter
        ct state new counter
        ct state established counter
    }
}
EOF
mirror_start() { # mirror_start OPTION...
    ip netns exec "$b" "$tool" mirror -i eth0 -o tap0 --json --no-progress "$@" >"$work/report.json" 2>"$work/errors" &
    mirror=$!
    sleep 1
}
mirror_stop() { # mirror_stop EXIT-CODE SIGNAL
    sleep 0.5
    kill -"$2" $mirror
    code=0
    wait $mirror || code=$?
    [ $code = "$1" ] || { echo "exit $code, not $1:"; cat "$work/errors"; exit 1; }
}
value() { # value EXPRESSION on the report r
    python3 -c "import json; r = json.load(open('$work/report.json')); print($1)"
}
far_packets() {
    ip netns exec "$c" cat /sys/class/net/far0/statistics/rx_packets 2>/dev/null || ip netns exec "$c" sh -c 'grep far0 /proc/net/dev | tr : " "' | awk '{ print $3 }'
}
counted() { # counted STATE: packets that the standby's rule saw
    ip netns exec "$c" nft list ruleset | sed -n "s/.*ct state $1 counter packets \([0-9]*\).*/\1/p"
}

told() { # told TEXT FILE: exit code 1 with a message
    if [ "$code" != 1 ] || ! grep -q "$1" "$2"; then
        echo "exit $code, '$1' expected:"
        cat "$2"
        exit 1
    fi
}

# 22,272 packets: 29 bursts of 768, one every 2 ms
before=$(far_packets)
mirror_start -p 'preset nat'
sent=$(ip netns exec "$a" "$burst" eth0 22272 768 2000)
mirror_stop 0 HUP
arrived=$(($(far_packets) - before))
echo "bursts: sent $sent, $(value '"seen %d, dropped %d, wanted %d, sent on %d" % (r["packets"], r["kernel"]["dropped"], r["copied_packets"], r["written"])'), arrived $arrived"
[ "$(value 'r["kernel"]["dropped"] + r["refused"]')" = 0 ] || exit 1
[ "$sent" = 22272 ] && [ "$(value 'r["written"]')" -ge "$sent" ] && [ "$arrived" = "$(value 'r["written"]')" ] || exit 1

# merged TCP, both ways
invalid=$(counted invalid)
established=$(counted established)
ip netns exec "$b" iperf3 -s -B 10.78.0.2 >/dev/null 2>&1 &
ip netns exec "$c" tcpdump -Z root -q -B 65536 -s 0 -Q in -i far0 -w "$work/far.pcap" tcp 2>"$work/far.txt" &
far=$!
mirror_start -p 'tcp : all'
ip netns exec "$a" iperf3 -c 10.78.0.2 -n 40M -b 200M >/dev/null
ip netns exec "$a" iperf3 -c 10.78.0.2 -n 40M -b 200M -R >/dev/null
mirror_stop 0 TERM
sleep 1
kill -INT $far
wait $far 2>/dev/null || true
echo "merged: $(value '"seen %d, dropped %d, sent on %d, %d of them as %d frames" % (r["packets"], r["kernel"]["dropped"], r["written"], r["split_packets"], r["split_frames"])')"
[ "$(value 'r["split_packets"]')" -gt 100 ] || { echo "nothing was merged: no test"; exit 1; }
[ "$(value 'r["refused"]')" = 0 ] || exit 1
longest=$(tshark -r "$work/far.pcap" -T fields -e frame.len 2>/dev/null | sort -n | tail -1)
bad=$(tshark -r "$work/far.pcap" -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -Y 'tcp.checksum.status == 0 or ip.checksum.status == 0' 2>/dev/null | wc -l)
lost=$(tshark -r "$work/far.pcap" -Y 'tcp.analysis.ack_lost_segment or tcp.analysis.lost_segment' 2>/dev/null | wc -l)
echo "standby: $(($(counted established) - established)) established, $(($(counted invalid) - invalid)) invalid, longest frame $longest, $bad bad checksums, $lost gaps"
[ "$(counted established)" -gt $((established + 20000)) ] || exit 1
[ "$longest" -le 1514 ] && [ "$bad" = 0 ] || exit 1
if [ "$(value 'r["kernel"]["dropped"]')" = 0 ] && grep -q '^0 packets dropped' "$work/far.txt"; then
    [ "$lost" = 0 ] && [ "$(counted invalid)" = "$invalid" ] || exit 1
fi

# merged UDP: 100 sends of 5,500 bytes each are datagrams of 1,000 and 500
ip netns exec "$c" tcpdump -Z root -q -s 0 -Q in -i far0 -w "$work/udp.pcap" udp dst port 9 2>/dev/null &
far=$!
mirror_start -p 'udp : all'
ip netns exec "$a" python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(17, 103, 1000)  # UDP_SEGMENT
for i in range(100):
    s.sendto(bytes([i]) * 5500, ("10.78.0.2", 9))'
mirror_stop 0 INT
sleep 1
kill -INT $far
wait $far 2>/dev/null || true
datagrams=$(tshark -r "$work/udp.pcap" -o udp.check_checksum:TRUE -Y 'udp.checksum.status == 1' -T fields -e udp.length 2>/dev/null | sort -n | uniq -c | tr -s ' \n' ' ')
echo "merged UDP: $datagrams"
[ "$datagrams" = " 100 508 500 1008 " ] || exit 1

# the output goes down in the middle, and comes back
mirror_start -p 'any : all'
ip netns exec "$a" "$burst" eth0 1000 100 1000 >/dev/null
sleep 0.3
ip -n "$b" link set tap0 down
ip netns exec "$a" "$burst" eth0 500 100 1000 >/dev/null
sleep 0.3
ip -n "$b" link set tap0 up
sleep 0.3
ip netns exec "$a" "$burst" eth0 700 100 1000 >/dev/null
mirror_stop 1 INT
cat "$work/errors"
[ "$(value 'r["link_lost"] >= 500 and r["refused"] == r["link_lost"] and r["written"] + r["refused"] == r["copied_packets"]')" = True ] || exit 1
[ "$(grep -c 'the interface is down; copies are lost' "$work/errors")" = 1 ] || exit 1
[ "$(grep -c 'the link is up again' "$work/errors")" = 1 ] || exit 1
[ "$(grep -c 'copies were not sent' "$work/errors")" = 1 ] || exit 1
# an output without room: what waits goes out in time, the rest is refused, and nothing is in neither
if ip netns exec "$b" tc qdisc add dev tap0 root tbf rate 2mbit burst 10kb limit 20kb 2>/dev/null; then
    before=$(far_packets)
    mirror_start -p 'any : all'
    ip netns exec "$a" "$burst" eth0 20000 768 2000 >/dev/null
    sleep 1.5
    mirror_stop 1 INT
    for _ in $(seq 50); do # what waits in the output's queue is on its way
        arrived=$(($(far_packets) - before))
        [ "$(value 'r["written"]')" != "$arrived" ] || break
        sleep 0.2
    done
    echo "no room: $(value '"wanted %d, sent on %d, of those that waited %d, refused %d" % (r["copied_packets"], r["written"], r["retried"], r["refused"])'), arrived $arrived"
    [ "$(value 'r["written"] + r["refused"] == r["copied_packets"] and r["retried"] > 0')" = True ] || exit 1
    [ "$(value 'r["written"]')" = "$arrived" ] || exit 1
    ip netns exec "$b" tc qdisc del dev tap0 root
else
    echo "left out: an output without room, as there is no tbf"
fi
# without a carrier: the other end is down, while running and at the start
mirror_start -p 'any : all'
ip -n "$c" link set far0 down
sleep 1.5
ip netns exec "$a" "$burst" eth0 500 100 1000 >/dev/null
mirror_stop 1 INT
grep -q 'tap0: the link is down: no carrier; copies are lost' "$work/errors" || { cat "$work/errors"; exit 1; }
[ "$(value 'r["link_lost"]')" -ge 500 ] || exit 1
for policy in 'any : all' 'preset nat'; do
    code=0
    ip netns exec "$b" "$tool" mirror -p "$policy" -i eth0 -o tap0 >"$work/out" 2>&1 || code=$?
    told 'tap0: the link is down: no carrier' "$work/out"
done
ip -n "$c" link set far0 up
# an input that is down, and one that goes away
ip -n "$b" link set eth0 down
code=0
ip netns exec "$b" "$tool" mirror -p 'any : all' -i eth0 >"$work/out" 2>&1 || code=$?
told 'eth0: the interface is down' "$work/out"
ip -n "$b" link set eth0 up
mirror_start -p 'any : all'
ip -n "$b" link del eth0
code=0
wait $mirror || code=$?
told 'eth0: the interface is gone' "$work/errors"
