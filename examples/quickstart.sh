#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# From nothing to the main job: installs what is missing, builds, records real HTTP, TLS and DNS
# traffic, and shows what a standby NAT, load balancer and IDS need of it. Safe to repeat.
set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh

install_missing gcc libc6-dev cmake ninja-build pkg-config libpcap-dev libjansson-dev librdkafka-dev libssl-dev tcpdump iproute2 \
    ethtool mawk nginx-light curl openssl dnsmasq-base bind9-dnsutils procps

echo "building"
cmake -S . -B build/quickstart -G Ninja -DCMAKE_BUILD_TYPE=Release -DREMED_TESTS=OFF >/dev/null
ninja -C build/quickstart | tail -1
remediate=build/quickstart/remediate
out=build/quickstart/out
mkdir -p "$out"

capture=$out/traffic.pcap
echo "recording HTTP, TLS and DNS between two network namespaces"
if [ "$(id -u)" = 0 ] && sh tests/testbed/record.sh "$capture"; then
    :
else
    echo "no namespaces here: taking a small capture that was recorded so"
    cp tests/data/quickstart.pcap "$capture"
fi

field() { # field NAME FILE: a number of a report's JSON
    sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" "$2" | head -1
}
first() { # the first occurrence: the whole run's, before those of single rules
    sed "s/\"flows\".*\"rules\"/\"rules\"/; s/\"rules\".*//" "$1"
}
created() {
    sed -n 's/.*"created":\([0-9]*\).*/\1/p' "$1"
}

echo
printf '%-5s %9s %10s %9s %9s %9s %7s\n' for packets bytes copied 'share' 'bytes' flows
for box in nat lb ids; do
    "$remediate" mirror --no-progress --json -p "preset $box" -r "$capture" -w "$out/$box.pcap" >"$out/$box.json"
    first "$out/$box.json" >"$out/$box.head"
    printf '%-5s %9s %10s %9s %8.2f%% %8.2f%% %7s\n' "$box" "$(field packets "$out/$box.head")" \
        "$(field bytes "$out/$box.head")" "$(field copied_packets "$out/$box.head")" \
        "$(field copied_packets_share "$out/$box.head" | awk '{printf "%.2f", 100 * $1}')" \
        "$(field copied_bytes_share "$out/$box.head" | awk '{printf "%.2f", 100 * $1}')" "$(created "$out/$box.json")"
    rm -f "$out/$box.head"
done
cat <<EOF

A standby NAT or load balancer builds the same state from the handshakes and first packets above, kept
fresh by one packet each way every ten seconds; an IDS needs the head of each flow. The copies are
$out/nat.pcap, lb.pcap and ids.pcap, the reports beside them.

Next: $remediate policy presets
      $remediate policy explain 'tcp : handshake' -r $capture | less
      $remediate mirror -p 'preset nat' -i IFACE -o IFACE      (live; see docs/policy.md)
EOF
