#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Live: in namespaces, a client, an nftables NAT, a server and a standby's host. ulogd2 on the NAT logs
# connections to its syslog, rsyslogd sends that to `remediate listen` on the other host over TCP, and a
# replica of what it published is compared with `conntrack -L` of the NAT: at 20,000 connections, and
# after some of them ended. The comparison reads conntrack's XML and shares nothing with the rule sets.
# The repository is a folder, and then, with fewer connections, a Kafka broker.
set -eu
tool=${REMEDIATE:?}
connections=${CONNECTIONS:-20000}
repository=${REPOSITORY:-file}
id=$$
work=$(mktemp -d)
client=remed-c$id nat=remed-n$id server=remed-s$id node=remed-d$id
cleanup() {
    for name in "$client" "$nat" "$server" "$node"; do
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
for program in nft conntrack ulogd rsyslogd python3 unshare; do
    command -v $program >/dev/null || { echo "skipped: $program is missing"; exit 77; }
done
for name in "$client" "$server" "$node"; do ip netns add "$name"; done
for name in "$client" "$nat" "$server" "$node"; do
    ip netns exec "$name" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 >/dev/null 2>&1 || true
    ip -n "$name" link set lo up
done
# inside: client, outside: server, log: the standby's host
ip link add eth0 netns "$client" type veth peer name inside netns "$nat"
ip link add eth0 netns "$server" type veth peer name outside netns "$nat"
ip link add eth0 netns "$node" type veth peer name log netns "$nat"
ip -n "$client" addr add 10.0.0.2/24 dev eth0
ip -n "$nat" addr add 10.0.0.1/24 dev inside
ip -n "$nat" addr add 198.51.100.1/24 dev outside
ip -n "$server" addr add 198.51.100.9/24 dev eth0
ip -n "$nat" addr add 172.16.0.1/24 dev log
ip -n "$node" addr add 172.16.0.2/24 dev eth0
for name in "$client" "$server" "$node"; do ip -n "$name" link set eth0 up; done
for interface in inside outside log; do ip -n "$nat" link set "$interface" up; done
ip -n "$client" route add default via 10.0.0.1
ip netns exec "$nat" sysctl -qw net.ipv4.ip_forward=1
if ! ip netns exec "$nat" nft -f - <<'EOF'
table ip nat {
    chain post { type nat hook postrouting priority srcnat; oifname "outside" masquerade random; }
}
table ip raw { # the log's own connection is no state of the NAT
    chain pre { type filter hook prerouting priority raw; iifname "log" notrack; }
    chain out { type filter hook output priority raw; oifname "log" notrack; }
}
EOF
then
    echo "skipped: nftables can't translate addresses here"
    exit 77
fi

# As a user sets them up (docs/listen.md), but for the paths.
cat >"$work/ulogd.conf" <<EOF
[global]
logfile="$work/ulogd.log"
plugin="$(find /usr/lib -name ulogd_inpflow_NFCT.so | head -1)"
plugin="$(find /usr/lib -name ulogd_filter_IP2STR.so | head -1)"
plugin="$(find /usr/lib -name ulogd_filter_PRINTFLOW.so | head -1)"
plugin="$(find /usr/lib -name ulogd_output_SYSLOG.so | head -1)"
stack=ct1:NFCT,ip2str1:IP2STR,print1:PRINTFLOW,sys1:SYSLOG
[ct1]
hash_enable=0
event_mask=0x00000005
netlink_socket_buffer_size=16777216
netlink_socket_buffer_maxsize=134217728
[sys1]
facility=LOG_LOCAL2
EOF
cat >"$work/rsyslog.conf" <<EOF
global(workDirectory="$work")
module(load="imuxsock" sysSock.rateLimit.interval="0")
local2.* action(type="omfwd" target="172.16.0.2" port="5514" protocol="tcp" TCP_Framing="octet-counted"
                queue.type="LinkedList" queue.size="200000" queue.timeoutEnqueue="60000"
                action.resumeRetryCount="-1" action.resumeInterval="1")
EOF
uri=file://$work/repository
if [ "$repository" = kafka ]; then
    # the broker's loopback is that of the standby's host
    # shellcheck disable=SC2016 # the inner shell expands it
    SERVERS_FOLDER=$work ip netns exec "$node" sh -c '. tests/servers/servers.sh
        servers_start_kafka && echo "$KAFKA_PORT" >"$SERVERS_FOLDER/port" && wait' >"$work/kafka.out" 2>&1 &
    for _ in $(seq 90); do
        [ ! -s "$work/port" ] || break
        sleep 1
    done
    [ -s "$work/port" ] || { cat "$work/kafka.out"; echo "the broker does not start"; exit 1; }
    uri="kafka://127.0.0.1:$(cat "$work/port")/nat?partitions=4"
fi
ip netns exec "$node" "$tool" listen syslog+tcp://172.16.0.2:5514 --rules ulogd2 --domain nat --origin fw1 \
    --by-host --unmatched "$work/unmatched" --json "$uri" >"$work/listen.json" 2>"$work/listen.err" &
listen=$!
# a /dev of their own, so that /dev/log is theirs
ip netns exec "$nat" unshare -m sh -c "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 &&
    { rsyslogd -n -f $work/rsyslog.conf -i $work/rsyslogd.id & } && sleep 1 && exec ulogd -c $work/ulogd.conf" >"$work/log.out" 2>&1 &
ip netns exec "$server" python3 tests/testbed/connections.py serve 198.51.100.9 443 &
sleep 3

# Whether replica and table are equal, when what is under way has had time to arrive.
compare() {
    for _ in $(seq 120); do
        sleep 1
        ip netns exec "$nat" conntrack -L -o xml 2>/dev/null >"$work/table.xml"
        python3 tests/testbed/conntrack_records.py nat <"$work/table.xml" >"$work/table.jsonl"
        if ip netns exec "$node" "$tool" audit "$work/table.jsonl" "$uri" -q >"$work/audit" 2>&1; then
            echo "$1: conntrack -L has $(wc -l <"$work/table.jsonl") connections; $(cat "$work/audit")"
            return 0
        fi
    done
    echo "$1: the replica is not the NAT's table"
    cat "$work/audit"
    ip netns exec "$node" "$tool" audit "$work/table.jsonl" "$uri" | head -20
    tail -5 "$work/ulogd.log" "$work/log.out" "$work/listen.err"
    exit 1
}

mkfifo "$work/open"
ip netns exec "$client" python3 tests/testbed/connections.py open 198.51.100.9 443 "$connections" 500 \
    <"$work/open" >"$work/opened" &
opener=$!
exec 3>"$work/open"
for _ in $(seq 120); do
    ! grep -q open "$work/opened" || break
    kill -0 $opener 2>/dev/null || break
    sleep 1
done
grep -q open "$work/opened" || { echo "the connections could not be opened"; exit 1; }
compare "all open"
[ "$(wc -l <"$work/table.jsonl")" -ge "$connections" ] || { echo "fewer than $connections connections"; exit 1; }
ip netns exec "$nat" conntrack -D -p udp >/dev/null 2>&1
compare "without UDP"
before=$(wc -l <"$work/table.jsonl")
sed -n 's/.*"client": "[0-9.]*:\([0-9]*\)".*/\1/p' "$work/table.jsonl" | head -100 | while read -r port; do
    ip netns exec "$nat" conntrack -D -p tcp --orig-port-src "$port" >/dev/null 2>&1
done
compare "some ended"
[ "$(wc -l <"$work/table.jsonl")" = $((before - 100)) ] || { echo "100 did not end"; exit 1; }

exec 3>&-
kill -TERM $listen
wait $listen || { cat "$work/listen.err"; exit 1; }
python3 - "$work/listen.json" <<'EOF'
import json, sys
report = json.load(open(sys.argv[1]))
print({key: report[key] for key in ("lines", "lost", "records", "unmatched", "foreign", "delivered")})
for source in report["sources"]:
    if source["lines"]:
        print("source", source["name"], source["lines"], "lines", source["unmatched"], "unmatched")
sys.exit(report["lost"] != 0 or report["unmatched"] + report["foreign"] != 0)
EOF
[ "$repository" = file ] || exit 0
if "$tool" publish --help | grep -q kafka: && command -v java >/dev/null && command -v mvn >/dev/null; then
    echo "the same on Kafka"
    cleanup
    REPOSITORY=kafka CONNECTIONS=5000 sh "$0"
else
    echo "left out: Kafka, as java, mvn or libremediate-kafka is not there"
fi
