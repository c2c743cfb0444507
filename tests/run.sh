#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Installs what is missing, builds, and runs every test: a release build and one under sanitizers.
# Safe to repeat. Ends in ctest's closing line; the exit code is ctest's.
set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh

install_missing gcc g++ libc6-dev cmake ninja-build pkg-config libpcap-dev libjansson-dev librdkafka-dev libssl-dev redis-server libcunit1-dev libmsgpack-dev default-jre-headless maven python3 \
    tcpdump tshark iproute2 ethtool wrk iperf3 nginx-light curl openssl dnsmasq-base bind9-dnsutils \
    mandoc procps netbase git valgrind abigail-tools doxygen shellcheck clang-format-14 \
    rsyslog rsyslog-openssl bsdutils netcat-openbsd logrotate ulogd2 nftables conntrack

jobs=$(nproc)
sanitized=build/tests-asan
echo "building with sanitizers"
cmake -S . -B "$sanitized" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DREMED_WERROR=ON \
    -DREMED_SANITIZE=address,undefined >/dev/null
ninja -C "$sanitized" -j "$jobs" | tail -1
echo "building the release"
cmake -S . -B build/tests -G Ninja -DCMAKE_BUILD_TYPE=Release -DREMED_WERROR=ON \
    -DREMED_TEST_ALSO="$PWD/$sanitized" >/dev/null
ninja -C build/tests -j "$jobs" | tail -1
cd build/tests
exec ctest --output-on-failure -j "$jobs"
