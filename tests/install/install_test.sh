#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Installs into a folder and uses that as a vendor would: pkg-config, the CMake package, both examples,
# each header alone and as C++; the minimal build needs libc alone; maps and headers name the same symbols.
set -eu
export CMAKE_GENERATOR="${CMAKE_GENERATOR:-Ninja}"
build=${REMED_BUILD:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/usr" >/dev/null
libdir=$(dirname "$(find "$work/usr" -name libremediate.so)")
export PKG_CONFIG_PATH="$libdir/pkgconfig" LD_LIBRARY_PATH="$libdir"
flags="--define-variable=prefix=$work/usr"

echo "examples, by pkg-config"
# shellcheck disable=SC2046 # flags are split on purpose
gcc -std=c11 -Wall -Wextra -Werror -o "$work/classify" examples/classify.c \
    $(pkg-config "$flags" --cflags --libs libremediate)
# shellcheck disable=SC2046
gcc -std=c11 -Wall -Wextra -Werror -o "$work/mirror" examples/mirror.c \
    $(pkg-config "$flags" --cflags --libs libremediate-pcap)
# shellcheck disable=SC2046
gcc -std=c11 -Wall -Wextra -Werror -o "$work/transport" examples/transport.c \
    $(pkg-config "$flags" --cflags --libs libremediate)
[ "$("$work/transport" | tail -1)" = "key = three" ]
# shellcheck disable=SC2046
gcc -std=c11 -Wall -Wextra -Werror -o "$work/sign" examples/sign.c \
    $(pkg-config "$flags" --cflags --libs libremediate-crypto)
[ "$("$work/sign" | tail -1)" = "1 held, 1 altered" ]
"$work/classify" tests/data/quickstart.pcap >"$work/flows"
rows=$(grep -c '>' "$work/flows")
expected=$("$work/usr/bin/remediate" flows -r tests/data/quickstart.pcap --json | wc -l)
[ "$rows" = "$expected" ] || { echo "classify lists $rows flows, remediate $expected"; exit 1; }
"$work/mirror" 'any : first 5' tests/data/quickstart.pcap "$work/a.pcap"
"$work/usr/bin/remediate" mirror -p 'any : first 5' -r tests/data/quickstart.pcap -w "$work/b.pcap" >/dev/null
cmp "$work/a.pcap" "$work/b.pcap"

echo "the CMake package"
mkdir "$work/app"
cp examples/mirror.c "$work/app/main.c"
cat >"$work/app/CMakeLists.txt" <<'EOF'
cmake_minimum_required(VERSION 3.22)
project(app C)
find_package(libremediate REQUIRED COMPONENTS pcap crypto)
add_executable(app main.c)
target_link_libraries(app PRIVATE libremediate::remediate-pcap_shared)
EOF
cmake -S "$work/app" -B "$work/app/build" -DCMAKE_PREFIX_PATH="$work/usr" >/dev/null
cmake --build "$work/app/build" >/dev/null

echo "headers, alone and as C++"
for header in "$work"/usr/include/remediate/*.h; do
    gcc -std=c11 -Wall -Wextra -Werror -I"$work/usr/include" -fsyntax-only -x c -include "$header" /dev/null
    if command -v g++ >/dev/null 2>&1; then
        g++ -std=c++11 -Wall -Wextra -Werror -I"$work/usr/include" -fsyntax-only -x c++ -include "$header" /dev/null
    fi
done

echo "exported symbols are those of the maps"
for name in remediate remediate-pcap remediate-json remediate-kafka remediate-redis remediate-crypto remediate-syslog; do
    nm -D --defined-only "$libdir/lib$name.so" | sed -n 's/.* T \(remed_[a-z0-9_]*\).*/\1/p' | sort >"$work/exported"
    sed -n 's/^    \(remed_[a-z0-9_]*\);/\1/p' "lib/$name.map" | sort >"$work/mapped"
    cmp "$work/exported" "$work/mapped"
    others=$(nm -D --defined-only "$libdir/lib$name.so" | grep -v -e ' remed_' -e ' REMEDIATE_' || true)
    [ -z "$others" ] || { echo "exports more than its own: $others"; exit 1; }
done

echo "the core needs libc alone"
cmake -S . -B "$work/minimal" -DREMED_BACKEND_PCAP=OFF -DREMED_BACKEND_JSON=OFF -DREMED_BACKEND_KAFKA=OFF -DREMED_BACKEND_REDIS=OFF -DREMED_BACKEND_CRYPTO=OFF -DREMED_BACKEND_SYSLOG=OFF -DREMED_TOOLS=OFF -DREMED_TESTS=OFF \
    -DCMAKE_BUILD_TYPE=MinSizeRel >/dev/null
cmake --build "$work/minimal" >/dev/null
needed=$(objdump -p "$work/minimal/lib/libremediate.so" | sed -n 's/ *NEEDED *//p' | grep -v -e '^libc\.so' -e '^libmsgpack' || true)
[ -z "$needed" ] || { echo "the core needs $needed"; exit 1; }
echo ok
