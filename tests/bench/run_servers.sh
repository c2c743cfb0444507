#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Builds the benchmarks that need a server, starts real ones on the loopback, and prints one row for each:
# us and the peer by turns in one run. Takes about two minutes for a server.
# What Redis acknowledges is on the disk. A rate's ratio is better when larger, an age's when smaller.
# Usage: tests/bench/run_servers.sh [kafka|redis]...; without a name, both
set -eu
cd "$(dirname "$0")/../.."
. tests/packages.sh
install_missing gcc libc6-dev cmake ninja-build pkg-config libpcap-dev libjansson-dev librdkafka-dev libmsgpack-dev default-jre-headless maven python3 openssl \
    libssl-dev libhiredis-dev redis-server

cmake -S . -B build/bench -G Ninja -DCMAKE_BUILD_TYPE=Release -DREMED_BENCH=ON -DREMED_TESTS=OFF \
    >/dev/null
ninja -C build/bench | tail -1
SERVERS_FOLDER=$(mktemp -d)
. tests/servers/servers.sh
trap 'servers_stop; rm -rf "$SERVERS_FOLDER"' EXIT INT TERM

# A million NAT bindings in one partition, published with more properties of librdkafka.
bench_partition() {
    echo "one partition, a million NAT bindings${2:+, $2}:"
    build/bench/tests/bench_kafka_scale publish "$1" "${2:+&$2}"
    build/bench/tests/bench_kafka_scale read "$1"
    du -sb "$SERVERS_FOLDER/kafka/$1-0" |
        awk '{ printf "broker: %.0f bytes on disk a key\n", $1 / 1000000 }'
}

bench_kafka() {
    servers_start_kafka
    REMED_KAFKA=127.0.0.1:$KAFKA_PORT
    export REMED_KAFKA
    printf '%-34s %-24s %8s %8s %7s\n' work peer ours theirs ratio
    build/bench/tests/bench_kafka
    bench_partition scale ""
    bench_partition scale-lz4 compression.type=lz4
    bench_partition scale-bare headers=no
}

bench_redis() {
    servers_start_redis
    REMED_REDIS=127.0.0.1:$REDIS_PORT build/bench/tests/bench_redis
}

lscpu | sed -n 's/^Model name: */machine: /p'
[ $# -gt 0 ] || set -- kafka redis
for server in "$@"; do
    "bench_$server"
    servers_stop
done
