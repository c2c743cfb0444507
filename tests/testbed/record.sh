#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# record.sh FILE: real HTTP, TLS and DNS traffic between two namespaces of its own, recorded by tcpdump.
# Exit 77 where namespaces can't be made. Leaves nothing behind.
set -eu
out=$1
id=$$
client=remed-c$id
server=remed-s$id
work=$(mktemp -d)

cleanup() {
    for name in "$client" "$server"; do
        ip netns pids "$name" 2>/dev/null | xargs -r kill 2>/dev/null || true
        ip netns del "$name" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

ip netns add "$client" 2>/dev/null || { echo "cannot make network namespaces here" >&2; exit 77; }
ip netns add "$server"
ip link add veth0 netns "$client" type veth peer name veth0 netns "$server"
ip -n "$client" addr add 10.77.0.1/24 dev veth0
ip -n "$server" addr add 10.77.0.2/24 dev veth0
for name in "$client" "$server"; do
    ip -n "$name" link set lo up
    ip -n "$name" link set veth0 up
    ip netns exec "$name" ethtool -K veth0 tso off gso off gro off tx off >/dev/null 2>&1 || true
done

openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=remediate.test \
    -keyout "$work/key.pem" -out "$work/cert.pem" >/dev/null 2>&1
mkdir "$work/www"
head -c 20000 /dev/urandom | base64 >"$work/www/page"
cat >"$work/nginx.conf" <<EOF
daemon off; master_process off; pid $work/nginx.pid; error_log $work/error.log;
events { worker_connections 256; }
http {
    access_log off;
    server {
        listen 10.77.0.2:80;
        listen 10.77.0.2:443 ssl;
        ssl_certificate $work/cert.pem;
        ssl_certificate_key $work/key.pem;
        root $work/www;
    }
}
EOF
ip netns exec "$server" nginx -p "$work" -c "$work/nginx.conf" >/dev/null 2>&1 &
ip netns exec "$server" dnsmasq --no-daemon --no-hosts --no-resolv --conf-file=/dev/null \
    --listen-address=10.77.0.2 --bind-interfaces --address=/remediate.test/10.77.0.2 >/dev/null 2>&1 &
ip netns exec "$client" tcpdump -Z root -q -U -s 128 -i veth0 -w "$work/out.pcap" 'ip' >/dev/null 2>&1 &
dump=$!
tries=0
until ip netns exec "$client" curl -s -o /dev/null http://10.77.0.2/page; do
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || { echo "the web server does not answer" >&2; exit 1; }
    sleep 0.1
done
for i in 1 2 3 4 5 6 7 8; do
    ip netns exec "$client" dig +short +tries=2 "host$i.remediate.test" @10.77.0.2 >/dev/null
    ip netns exec "$client" curl -s -o /dev/null -o /dev/null "http://10.77.0.2/page" "http://10.77.0.2/page"
    ip netns exec "$client" curl -sk -o /dev/null -o /dev/null "https://10.77.0.2/page" "https://10.77.0.2/page"
done
sleep 0.5
kill -INT "$dump"
wait "$dump" 2>/dev/null || true
cp "$work/out.pcap" "$out"
