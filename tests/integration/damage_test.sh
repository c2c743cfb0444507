#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The command line on a damaged repository: every record that can be read is given, the damage is told
# with its place, and nothing exits with 0; publish warns and goes on. A position belongs to one
# repository.
set -u
remediate=${REMEDIATE:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
complain() {
    echo "FAILED: $*"
    bad=1
}

records() { # FROM TO
    seq "$1" "$2" | sed 's/.*/{"domain":"d","kind":"counter","body":{"name":"n&","value":1}}/'
}

# Flips bits of one byte. FILE BYTE BITS
flip() {
    byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\$(printf %o $((byte ^ $3)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# Makes a repository of 1,000 records, and damages it. NAME FILE BYTE BITS
damaged() {
    cp -a "$work/sound" "$work/$1"
    flip "$work/$1/$2" "$3" "$4"
}

expect() { # WHAT RECORDS TEXT
    "$remediate" snapshot "file://$work/$1" >"$work/out" 2>"$work/err"
    code=$?
    [ "$code" = 1 ] || complain "$1: snapshot exits with $code"
    [ "$(wc -l <"$work/out")" = "$2" ] || complain "$1: snapshot gives $(wc -l <"$work/out") records"
    grep -q "$3" "$work/err" || complain "$1: snapshot says: $(cat "$work/err")"
    "$remediate" watch "file://$work/$1" --from begin --once >"$work/out" 2>"$work/err"
    code=$?
    [ "$code" = 1 ] || complain "$1: watch exits with $code"
    [ "$(wc -l <"$work/out")" = "$2" ] || complain "$1: watch gives $(wc -l <"$work/out") records"
    grep -q "$3" "$work/err" || complain "$1: watch says: $(cat "$work/err")"
    "$remediate" audit "file://$work/$1" "file://$work/$1" >"$work/out" 2>"$work/err" &&
        complain "$1: audit exits with 0"
    grep -q "$2 equal" "$work/out" || complain "$1: audit says: $(cat "$work/out")"
    [ "$(grep -c "$3" "$work/err")" = 2 ] || complain "$1: audit says: $(cat "$work/err")"
}

first=00000000000000000000.log
for range in "1 900" "901 1000"; do # the first segment is full then
    # shellcheck disable=SC2086 # two numbers
    records $range | "$remediate" publish "file://$work/sound?segment=32KiB&compact=0" >/dev/null || exit 1
done
last=$(find "$work/sound" -name '*.log' | sort | tail -1)
last=${last##*/}
[ "$last" != "$first" ] || complain "there is one segment alone"
size=$(wc -c <"$work/sound/$last")
"$remediate" snapshot "file://$work/sound" >"$work/out" 2>"$work/err" || complain "a sound one fails"
[ ! -s "$work/err" ] || complain "a sound one says: $(cat "$work/err")"

damaged bit "$first" 5000 4
expect bit 999 "1 damaged place passed over; the first: $work/bit/$first: byte "
damaged end "$last" $((size - 10)) 1
expect end 999 "$last: byte .*: no whole record"
damaged header "$first" 17 128
expect header 1000 "$first: byte 0: the header is damaged"
damaged id id 20 1
expect id 1000 "first: $work/id/id: byte 0: "

cp -a "$work/end" "$work/more"
records 1001 1001 | "$remediate" publish "file://$work/more" >"$work/out" 2>"$work/err" ||
    complain "publish fails on a damaged repository"
grep -q "$last: byte .* are no record" "$work/err" || complain "publish says: $(cat "$work/err")"
[ "$(wc -c <"$work/more/$last")" = "$size" ] || complain "publish changed the size of $last"
expect more 1000 "$last: byte "

# A sound record of the transport (offset 1000) whose value is no record.
cp -a "$work/sound" "$work/value"
printf '\122\105\122\061\314\155\061\364\350\003\000\000\000\000\000\000\001\000\000\000\001\000\000\000\170\301' >>"$work/value/$last"
for what in "snapshot" "audit file://$work/sound"; do
    # shellcheck disable=SC2086 # a command and its argument
    "$remediate" $what "file://$work/value" >"$work/out" 2>"$work/err"
    code=$?
    [ "$code" = 1 ] || complain "value: $what exits with $code"
    grep -q "value: 1 damaged record left out; the first: offset 1000: " "$work/err" ||
        complain "value: $what says: $(cat "$work/err")"
    grep -q '1000 equal' "$work/out" || [ "$(wc -l <"$work/out")" = 1000 ] ||
        complain "value: $what gives: $(tail -3 "$work/out")"
done

cp -a "$work/sound" "$work/newer"
printf '\002\000\000\000\257\251\371\207' | # version 2, and its checksum
    dd of="$work/newer/$last" bs=1 seek=8 conv=notrunc 2>/dev/null
records 1001 1001 | "$remediate" publish "file://$work/newer" >"$work/out" 2>"$work/err" &&
    complain "publish writes behind a newer version"
grep -q "$last: version 2" "$work/err" || complain "publish says: $(cat "$work/err")"

position=$("$remediate" watch "file://$work/sound" --from begin --once 2>&1 >/dev/null | sed -n 's/^position: //p')
[ ${#position} -le 100 ] || complain "a long position: $position"
records 1 1 | "$remediate" publish "file://$work/other" >/dev/null || complain "publish fails"
"$remediate" watch "file://$work/other" --from "$position" --once 2>"$work/err" &&
    complain "a position of another repository is taken"
grep -q "is of repository" "$work/err" || complain "watch says: $(cat "$work/err")"
"$remediate" watch "file://$work/sound" --from "$position" --once >"$work/out" 2>/dev/null ||
    complain "its own position is refused"
[ ! -s "$work/out" ] || complain "records come twice"
exit $bad
