#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Builds the benchmarks and prints one row for each: us and the peer by turns in one run, medians,
# the median of the rounds' ratios, and the bar that the project set itself. Takes about a minute,
# and 1.5 GB of memory for the capture. Usage: tests/bench/run.sh [PACKETS [FLOWS]]
set -eu
cd "$(dirname "$0")/../.."
. tests/packages.sh
install_missing gcc libc6-dev cmake ninja-build pkg-config libpcap-dev libjansson-dev librdkafka-dev libssl-dev libhiredis-dev libdpdk-dev libmsgpack-dev liblognorm-dev libpcre2-dev tcpdump python3 fio

cmake -S . -B build/bench -G Ninja -DCMAKE_BUILD_TYPE=Release -DREMED_BENCH=ON -DREMED_TESTS=OFF \
    >/dev/null
ninja -C build/bench | tail -1
folder=$(mktemp -d "${REMED_BENCH_FOLDER:-/dev/shm}/remediate-bench.XXXXXX")
pages=/proc/sys/vm/nr_hugepages # rte_hash is to have huge pages, as our table has
before=$(cat $pages)
[ "$before" -ge 256 ] || echo 256 2>/dev/null >$pages || true
trap 'rm -rf "$folder"; echo "$before" 2>/dev/null >$pages || true' EXIT INT TERM
capture=$folder/capture.pcap
build/bench/tests/make_capture "$capture" "${1:-2000000}" "${2:-100000}"
lscpu | sed -n 's/^Model name: */machine: /p'
printf '%-34s %-24s %8s %8s %7s\n' work peer ours theirs ratio
build/bench/tests/bench_flow
build/bench/tests/bench_state
build/bench/tests/bench_sign
mkdir -p build/bench/disk # not in memory: this one is about syncing
build/bench/tests/bench_file "$PWD/build/bench/disk"
build/bench/tests/bench_log
build/bench/tests/bench_filter "$capture"
python3 tests/bench/bench_mirror.py build/bench/remediate "$capture" "$folder"
