#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Live floods: in two namespaces, FLOWS established connections and a flood of RATE packets a second go over
# a veth; `remediate mirror -p 'preset nat'` copies to a second one. A row a flood: what was sent, what the
# kernel dropped, the CPU that the mirror took, and the share of the established flows' directions for which no
# copy arrived for 2.5 refresh times. Wants a quiet machine: sender, mirror and receiver share its cores.
#   REMEDIATE=build/release/remediate sh tests/bench/live_floods.sh [KIND...]
set -eu
tool=${REMEDIATE:?}
rate=${RATE:-200000} seconds=${SECONDS_EACH:-60} flows=${FLOWS:-5000} policy=${POLICY:-preset nat}
id=$$
work=$(mktemp -d)
a=remed-fa$id b=remed-fb$id
cleanup() {
    for name in "$a" "$b"; do
        ip netns pids "$name" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
        ip netns del "$name" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
${CC:-cc} -std=c11 -O2 -D_GNU_SOURCE -o "$work/flood" tests/testbed/flood.c
ip netns add "$a"
ip netns add "$b"
ip link add eth0 netns "$a" type veth peer name eth0 netns "$b"
ip link add far0 netns "$a" type veth peer name tap0 netns "$b"
for name in "$a" "$b"; do
    ip netns exec "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 >/dev/null 2>&1 || true
    for interface in lo eth0 far0 tap0; do
        ip -n "$name" link set "$interface" up 2>/dev/null || true
    done
done
[ $# -gt 0 ] || set -- none syn ack null fin rst udp icmp sctp syn-ack
printf '%-8s %10s %10s %9s %10s %6s %7s %s\n' flood sent/s seen dropped copied cpu% stale% evicted
for kind in "$@"; do
    ip netns exec "$b" "$tool" mirror -p "$policy" -i eth0 -o tap0 --json >"$work/report" &
    mirror=$!
    ip netns exec "$a" "$work/flood" receive far0 $((seconds + 4)) 25 >"$work/received" &
    receiver=$!
    sleep 1
    ip netns exec "$a" "$work/flood" send eth0 "$kind" "$rate" "$seconds" "$flows" 5 >"$work/sent"
    pid=$(ip netns pids "$b" | head -1)
    cpu=$(awk '{print $14 + $15}' "/proc/$pid/stat")
    wait $receiver
    kill -INT "$pid"
    wait $mirror || true
    python3 - "$kind" "$work" "$cpu" "$seconds" <<'PYTHON'
import json, os, re, sys
kind, work, ticks, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
report = json.load(open(work + "/report"))
sent = int(re.search(r"sent (\d+)", open(work + "/sent").read()).group(1))
received = dict(re.findall(r"(directions|stale) (\d+)", open(work + "/received").read()))
stale = 100 * int(received["stale"]) / max(1, int(received["directions"]))
print("%-8s %10d %10d %9d %10d %6.1f %7.2f %s" % (kind, sent / seconds, report["packets"], report["kernel"]["dropped"],
      report["copied_packets"], 100 * ticks / os.sysconf("SC_CLK_TCK") / seconds, stale,
      json.dumps(report["flows"] and {k: v for k, v in report["flows"].items() if "evicted" in k})), flush=True)
PYTHON
done
