#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Live: in namespaces, a client, an nftables NAT, a server, and behind `remediate mirror -p 'preset nat'` a
# host whose kernel tracks connections. The client opens and closes 500 connections a second, and keeps some
# open. What the standby holds as established must be what lives on the NAT, within 2 %, while it runs and
# after, and of all entries it holds no more than the NAT. RATE, SECONDS_LONG and KEPT change the load.
#
# One connection in ten ends by RST. Its number is exact only for who saw the packet before it, which a standby
# did not: Linux then keeps the state and gives the entry ten seconds (the time of a closed one). So an entry
# that has no more than that counts as ended.
set -eu
tool=${REMEDIATE:?}
rate=${RATE:-500} seconds=${SECONDS_LONG:-20} kept=${KEPT:-400}
id=$$
work=$(mktemp -d)
client=remed-c$id nat=remed-n$id server=remed-s$id standby=remed-b$id
cleanup() {
    for name in "$client" "$nat" "$server" "$standby"; do
        ip netns pids "$name" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
        ip netns del "$name" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
if [ "$(id -u)" != 0 ] || ! ip netns add "$nat" 2>/dev/null || ! ip netns exec "$nat" true 2>/dev/null; then
    echo "skipped: no network namespaces here"
    exit 77
fi
for program in nft conntrack python3 ethtool; do
    command -v $program >/dev/null || { echo "skipped: $program is missing"; exit 77; }
done
for name in "$client" "$server" "$standby"; do ip netns add "$name"; done
for name in "$client" "$nat" "$server" "$standby"; do
    ip netns exec "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 >/dev/null 2>&1 || true
    ip -n "$name" link set lo up
done
ip link add eth0 netns "$client" type veth peer name inside netns "$nat"
ip link add eth0 netns "$server" type veth peer name outside netns "$nat"
ip link add copies netns "$nat" type veth peer name copies netns "$standby"
ip link add sink netns "$standby" type veth peer name nowhere netns "$standby"
ip -n "$client" addr add 10.0.0.2/24 dev eth0
ip -n "$nat" addr add 10.0.0.1/24 dev inside
ip -n "$nat" addr add 198.51.100.1/24 dev outside
ip -n "$server" addr add 198.51.100.9/24 dev eth0
ip -n "$standby" addr add 192.0.2.1/24 dev sink
for name in "$client" "$server"; do ip -n "$name" link set eth0 up; done
for interface in inside outside copies; do ip -n "$nat" link set "$interface" up; done
for interface in copies sink nowhere; do ip -n "$standby" link set "$interface" up; done
ip -n "$client" route add default via 10.0.0.1
ip netns exec "$client" sysctl -qw net.ipv4.ip_local_port_range="10000 60999" net.ipv4.tcp_tw_reuse=1
for name in "$nat" "$standby"; do
    ip netns exec "$name" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 \
        net.ipv4.conf.default.rp_filter=0
done
for interface in copies sink; do
    ip netns exec "$standby" sysctl -qw net.ipv4.conf.$interface.rp_filter=0
done
# As docs/policy.md says: a standby that sees a part of the packets does not check windows.
ip netns exec "$standby" sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=1
# Whatever the copies say, the standby takes them as its own, tracks them, and forwards into a sink.
ip -n "$standby" neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev sink
ip -n "$standby" route add default via 192.0.2.9 dev sink
cat >"$work/nat.nft" <<'RULES'
table ip nat {
    chain post { type nat hook postrouting priority srcnat; oifname "outside" masquerade; }
}
RULES
cat >"$work/standby.nft" <<'RULES'
table netdev receive {
    chain first { type filter hook ingress device "copies" priority 0; meta pkttype set host; }
}
table ip track {
    chain passing { type filter hook forward priority 0; ct state invalid counter; ct state new,established counter; }
}
RULES
if ! ip netns exec "$nat" nft -f "$work/nat.nft" || ! ip netns exec "$standby" nft -f "$work/standby.nft"; then
    echo "skipped: nftables can't translate addresses here"
    exit 77
fi

ip netns exec "$nat" "$tool" mirror -p 'preset nat' -i inside -o copies --json >"$work/report.json" 2>"$work/mirror.err" &
mirror=$!
for port in 443 444 445 446 447 448 449 450; do
    ip netns exec "$server" python3 tests/testbed/churn.py serve 198.51.100.9 $port &
done
sleep 2
mkfifo "$work/end"
ip netns exec "$client" python3 tests/testbed/churn.py run 198.51.100.9 443 "$rate" "$seconds" "$kept" \
    <"$work/end" >"$work/done" &
exec 3>"$work/end"

established() {
    ip netns exec "$1" conntrack -L -p tcp --state ESTABLISHED 2>/dev/null | awk '$3 > 10' | wc -l
}
entries() {
    ip netns exec "$1" conntrack -C
}
# Prints both tables, adds to the sums. Reading a table takes a while in which connections come and go, so
# looks under load are judged by their means.
look() {
    lives=$(established "$nat") holds=$(established "$standby")
    all_lives=$(entries "$nat") all_holds=$(entries "$standby")
    sum_lives=$((sum_lives + lives)) sum_holds=$((sum_holds + holds))
    echo "$1: established $lives on the NAT, $holds on the standby; all entries $all_lives and $all_holds"
    [ "$all_holds" -le $((all_lives + all_lives / 50 + 2)) ] || bad="the standby holds more entries than the NAT"
}
# Whether two numbers are within 2 %.
judge() {
    apart=$(($2 > $3 ? $2 - $3 : $3 - $2))
    echo "$1: $2 on the NAT, $3 on the standby, $((apart * 10000 / $2)) hundredths of a percent apart"
    [ $((apart * 50)) -le "$2" ] || bad="$1: more than 2 % apart"
}
bad='' sum_lives=0 sum_holds=0
while ! grep -q "done" "$work/done"; do
    kill -0 $mirror 2>/dev/null || { cat "$work/mirror.err"; exit 1; }
    sleep 2
    look "under load"
done
judge "established under load, all looks together" $sum_lives $sum_holds
sleep 3
look "at rest"
judge "established at rest" "$lives" "$holds"
echo "invalid on the standby: $(ip netns exec "$standby" nft list chain ip track passing |
    sed -n 's/.*invalid counter \(packets [0-9]*\).*/\1/p')"
exec 3>&-
# remediate runs as the child of `ip netns exec`, which becomes it: the signal reaches it
kill -INT $mirror
wait $mirror || { cat "$work/mirror.err"; exit 1; }
cat "$work/done"
python3 - "$work/report.json" <<'EOF2'
import json, sys
report = json.load(open(sys.argv[1]))
print({key: report[key] for key in ("packets", "copied_packets", "kernel", "written", "refused")})
EOF2
[ -z "$bad" ] || { echo "$bad"; exit 1; }
