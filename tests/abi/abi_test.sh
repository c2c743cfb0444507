#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The ABI against that of the last release, kept in tests/abi/*.abi (libabigail). Nothing is suppressed:
# whatever removes or changes a function or a public struct fails; new functions pass.
# `tests/abi/abi_test.sh --update` writes the files anew, as part of a release.
set -eu
export CMAKE_GENERATOR="${CMAKE_GENERATOR:-Ninja}"
cd "$(dirname "$0")/../.."
if ! command -v abidiff >/dev/null 2>&1; then
    echo "skipped: no abidiff"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake -S . -B "$work/build" -DCMAKE_BUILD_TYPE=Debug -DREMED_TESTS=OFF -DREMED_TOOLS=OFF >/dev/null
cmake --build "$work/build" -j "$(nproc)" >/dev/null
headers=$PWD/include/remediate # what is not in them is opaque
code=0
for name in remediate remediate-pcap remediate-json remediate-kafka remediate-redis remediate-crypto remediate-syslog; do
    library=$work/build/lib/lib$name.so
    if [ "${1:-}" = --update ]; then
        abidw --no-comp-dir-path --no-corpus-path --headers-dir "$headers" \
            --out-file "$work/abi" "$library"
        sed "s|$PWD/||g" "$work/abi" >"tests/abi/lib$name.abi"
    elif abidiff --no-added-syms --headers-dir1 "$headers" --headers-dir2 "$headers" \
        "tests/abi/lib$name.abi" "$library" >"$work/report"; then
        echo "lib$name: nothing changed or removed"
    else
        cat "$work/report"
        echo "lib$name: the ABI changed; if that is meant, it belongs to a release (--update)"
        code=1
    fi
done
exit $code
