#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Signed records through the command line: published, checked by Python's hmac, altered on the disk by
# one who can compute its checksums; keys changed without a gap; key files that are refused.
set -eu
export LC_ALL=C
remediate=${REMEDIATE:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 077
same() {
    [ "$1" = "$2" ] || { echo "expected '$1', got '$2'"; exit 1; }
}
# fails CODE TEXT COMMAND...: it ends with that code and that text on standard error
fails() {
    expected=$1 text=$2 code=0
    shift 2
    "$@" >"$work/out" 2>"$work/error" </dev/null || code=$?
    same "$expected" "$code"
    grep -q -e "$text" "$work/error" || { echo "no '$text' in:"; cat "$work/error"; exit 1; }
}

echo "1 $(openssl rand -hex 32)" >"$work/keys1"
if "$remediate" publish --sign "$work/keys1" "file://$work/none" </dev/null 2>&1 | grep -q 'built without'; then
    echo "skipped: built without libremediate-crypto"
    exit 77
fi
echo "2 base64:$(openssl rand -base64 32)" >"$work/keys2"
cat "$work/keys2" "$work/keys1" >"$work/both"
echo "1 $(openssl rand -hex 32)" >"$work/strange"

records() { # records FIRST LAST
    for i in $(seq "$1" "$2"); do
        echo "{\"domain\":\"edge-1\",\"kind\":\"counter\",\"body\":{\"name\":\"c$i\",\"value\":$i}}"
    done
}

echo "signed, and checked by us and by Python"
same "published 100, delivered 100, lost 0" \
    "$(records 1 100 | "$remediate" publish --sign "$work/keys1" "file://$work/a")"
"$remediate" snapshot --verify "$work/keys1" "file://$work/a" | sort >"$work/checked"
same 100 "$(wc -l <"$work/checked")"
"$remediate" snapshot "file://$work/a" | sort | cmp - "$work/checked"
same 100 "$("$remediate" watch --verify "$work/keys1" "file://$work/a" --from begin --once 2>/dev/null | wc -l)"
"$remediate" audit -q --verify "$work/keys1" "file://$work/a" "$work/checked" | grep -q 'state match 100.0000 %'
"$remediate" snapshot "file://$work/a" --msgpack | # a snapshot has no signatures, and can be signed anew
    "$remediate" publish --sign "$work/keys2" "file://$work/again" >/dev/null
"$remediate" snapshot --verify "$work/keys2" "file://$work/again" | sort | cmp - "$work/checked"
cat >"$work/segment.py" <<'PYTHON'
"""segment.py check KEYS FILE: verifies each value of a segment. segment.py alter|move FILE: changes
the first value, or gives it the second's key, with checksums made anew (docs/transports.md)."""
import hashlib, hmac, struct, sys

def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff

def entries(data):
    at = 24
    while at < len(data):
        magic, crc, offset, key, value = struct.unpack_from("<4sIQII", data, at)
        assert magic == b"RER1"
        at += 24
        yield offset, data[at:at + key], data[at + key:at + key + value]
        at += key + value

def entry(offset, key, value):
    rest = struct.pack("<QII", offset, len(key), len(value)) + key + value
    return b"RER1" + struct.pack("<I", crc32c(rest)) + rest

what, path = sys.argv[1], sys.argv[-1]
with open(path, "rb") as file:
    data = file.read()
all = list(entries(data))
if what == "check":
    with open(sys.argv[2]) as file:
        number, secret = file.read().split()
    for _, key, value in all:
        record, head, mac = value[:-39], value[-39:-32], value[-32:]
        assert head == b"\xc7\x24\x52" + struct.pack(">I", int(number))
        text = b"remediate signed record 1\0" + struct.pack(">IQ", int(number), len(key)) + key + record
        assert hmac.compare_digest(mac, hmac.new(bytes.fromhex(secret), text, hashlib.sha256).digest())
    print(len(all))
else:
    offset, key, value = all[0]
    if what == "alter":
        all[0] = offset, key, value[:-40] + bytes([value[-40] ^ 2]) + value[-39:] # the counter
    else:
        all[0] = offset, all[1][1], value
    with open(path, "wb") as file:
        file.write(data[:24] + b"".join(entry(*each) for each in all))
PYTHON
segment() {
    echo "$work/$1"/*.log
}
same 100 "$(python3 "$work/segment.py" check "$work/keys1" "$(segment a)")"

echo "what is refused: not signed, of an unknown key, altered on the disk, moved to another key"
records 1 10 | "$remediate" publish "file://$work/bare" >/dev/null
fails 1 'refused 10 not signed, 0 signed with unknown keys, 0 altered' \
    "$remediate" snapshot --verify "$work/keys1" "file://$work/bare"
same 0 "$(wc -c <"$work/out")"
fails 1 'refused 0 not signed, 100 signed with unknown keys, 0 altered' \
    "$remediate" snapshot --verify "$work/keys2" "file://$work/a"
fails 1 'refused 0 not signed, 0 signed with unknown keys, 100 altered' \
    "$remediate" audit --verify "$work/strange" "file://$work/a" "$work/checked"
for what in alter move; do
    cp -r "$work/a" "$work/$what"
    python3 "$work/segment.py" "$what" "$(segment "$what")"
    fails 1 'refused 0 not signed, 0 signed with unknown keys, 1 altered' \
        "$remediate" snapshot --verify "$work/keys1" "file://$work/$what"
    fails 1 'offset 0: altered: the signature of key 1' \
        "$remediate" watch --verify "$work/keys1" "file://$work/$what" --from begin --once
    same 99 "$(wc -l <"$work/out")"
done
"$remediate" snapshot "file://$work/alter" >/dev/null # who does not ask sees what is there

echo "keys change without a gap"
records 1 50 | "$remediate" publish --sign "$work/both" "file://$work/a" >/dev/null # with 2
records 101 120 | "$remediate" publish --sign "$work/both" --key 1 "file://$work/a" >/dev/null
same 120 "$("$remediate" snapshot --verify "$work/both" "file://$work/a" | wc -l)"
fails 1 'refused 0 not signed, 50 signed with unknown keys' \
    "$remediate" snapshot --verify "$work/keys1" "file://$work/a"
records 51 120 | "$remediate" publish --sign "$work/keys2" "file://$work/a" >/dev/null
# those of key 1 are still in the log, until it is compacted
same 120 "$("$remediate" watch --verify "$work/keys2" "file://$work/a" --from begin --once 2>/dev/null | wc -l)"

echo "key files that are refused"
chmod 640 "$work/strange"
fails 1 'mode 0640 lets others at the keys' \
    "$remediate" publish --sign "$work/strange" "file://$work/x"
fails 1 'mode 0640 lets others at the keys' \
    "$remediate" watch --verify "$work/strange" "file://$work/a" --once
printf '1 0123456789abcdef0123456789abcdef\n2 xyz\n' >"$work/wrong"
fails 1 "^remediate: $work/wrong:2:3: " "$remediate" snapshot --verify "$work/wrong" "file://$work/a"
fails 1 "^remediate: $work/missing: No such file" \
    "$remediate" audit --verify "$work/missing" "file://$work/a" "$work/checked"
fails 1 'no key 9 in it' "$remediate" publish --sign "$work/both" --key 9 "file://$work/x"
fails 2 '--key goes with --sign' "$remediate" publish --key 1 "file://$work/x"
fails 2 "'0' is no number of a key" "$remediate" publish --sign "$work/both" --key 0 "file://$work/x"
fails 1 "no transport for 'nothing:'" "$remediate" publish --sign "$work/both" nothing://x
[ ! -e "$work/x" ] || { echo "a repository was made without a key"; exit 1; }

echo "keys come by a pipe of the shell's, too; a pipe in the place of a file is refused at once"
"$remediate" snapshot "file://$work/again" --verify /dev/fd/3 3<"$work/keys2" | wc -l >"$work/by-file"
# shellcheck disable=SC2002 # a pipe on purpose
cat "$work/keys2" | "$remediate" snapshot "file://$work/again" --verify /dev/stdin | wc -l >"$work/by-pipe"
same 100 "$(cat "$work/by-pipe")"
cmp "$work/by-file" "$work/by-pipe"
mkfifo "$work/fifo"
fails 1 'not a regular file' timeout 20 "$remediate" snapshot --verify "$work/fifo" "file://$work/a"
echo ok
