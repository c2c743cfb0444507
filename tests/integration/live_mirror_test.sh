#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Live: in namespaces, `remediate mirror -i … -o …` copies `first 5` of a wrk and an iperf3 run. What
# arrives is compared packet by packet with what the independent checker selects from a tcpdump of the
# source. Kernel drops on either side are told, and make the comparison impossible, not silent.
set -eu
tool=${REMEDIATE:?}
id=$$
work=$(mktemp -d)
a=remed-a$id b=remed-b$id
cleanup() {
    for name in "$a" "$b"; do
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
for program in wrk iperf3 tcpdump nginx ethtool; do
    command -v $program >/dev/null || { echo "skipped: $program is missing"; exit 77; }
done
ip netns add "$b"
# eth0: the traffic; tap0 in b -> far0 in a: the copies
ip link add eth0 netns "$a" type veth peer name eth0 netns "$b"
ip link add far0 netns "$a" type veth peer name tap0 netns "$b"
for name in "$a" "$b"; do
    ip netns exec "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 >/dev/null 2>&1 || true
    for interface in lo eth0 far0 tap0; do
        ip -n "$name" link set "$interface" up 2>/dev/null || true
        ip netns exec "$name" ethtool -K "$interface" tso off gso off gro off tx off rx off >/dev/null 2>&1 || true
    done
done
ip -n "$a" addr add 10.78.0.1/24 dev eth0
ip -n "$b" addr add 10.78.0.2/24 dev eth0
mkdir "$work/www"
head -c 3000 /dev/urandom >"$work/www/page"
cat >"$work/nginx.conf" <<EOF
daemon off; master_process off; pid $work/nginx.pid; error_log $work/error.log;
events { worker_connections 512; }
http { access_log off; keepalive_requests 20; server { listen 10.78.0.2:80; root $work/www; } }
EOF
# All who send are on one processor: two would hand packets to the two taps in orders of their own.
ip netns exec "$b" taskset -c 0 nginx -p "$work" -c "$work/nginx.conf" >/dev/null 2>&1 &
ip netns exec "$b" taskset -c 0 iperf3 -s -B 10.78.0.2 >/dev/null 2>&1 &
ip netns exec "$b" tcpdump -Z root -q -B 65536 -i eth0 -w "$work/source.pcap" 2>"$work/source.txt" &
source=$!
ip netns exec "$a" tcpdump -Z root -q -B 65536 -Q in -i far0 -w "$work/far.pcap" 2>"$work/far.txt" &
far=$!
ip netns exec "$b" "$tool" mirror -p 'any : first 5' -i eth0 -o tap0 -B 131072 --json >"$work/report.json" &
mirror=$!
sleep 2
ip netns exec "$a" taskset -c 0 wrk -t1 -c20 -d3 http://10.78.0.2:80/page >"$work/wrk.txt"
ip netns exec "$a" taskset -c 0 iperf3 -c 10.78.0.2 -t 3 -b 200M -P 2 >"$work/iperf.txt"
sleep 1
# remediate runs as the child of `ip netns exec`, which becomes it: the signal reaches it
kill -INT $mirror && wait $mirror
sleep 1
kill -INT $source $far
wait $source $far 2>/dev/null || true
python3 - "$work" <<'EOF'
import json, os, re, sys
sys.path.insert(0, "tests/integration")
from checker import captures, selection
work = sys.argv[1]
def dropped(name):
    return int(re.search(r"(\d+) packets dropped by kernel", open(f"{work}/{name}").read()).group(1))
report = json.load(open(work + "/report.json"))
source = list(captures.read(work + "/source.pcap"))
expected, count = selection.select(source, {"p": selection.Rule("first", 5)})
wanted = [source[number - 1][3] for number in expected["p"]]
arrived = [packet[3] for packet in captures.read(work + "/far.pcap")]
drops = dict(kernel=report["kernel"]["dropped"], refused=report["refused"], source=dropped("source.txt"), far=dropped("far.txt"))
print(f"seen {report['packets']} of {count}, copied {report['copied_packets']}, wanted {len(wanted)}, arrived {len(arrived)}, drops {drops}")
if any(drops.values()):
    lost = sum(drops.values())
    sys.exit(0 if abs(len(wanted) - len(arrived)) <= lost else "more is missing than the drops explain")
# the two taps may have begun a moment apart: only flows count, which the order keeps
if wanted != arrived:
    first = next((i for i, (x, y) in enumerate(zip(wanted, arrived)) if x != y), min(len(wanted), len(arrived)))
    print("first difference at copy", first)
    sys.exit("what arrived is not what the source's capture selects")
if len(arrived) < 100:
    sys.exit("too little traffic to say anything")
EOF
