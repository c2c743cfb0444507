#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Records through the command line: published, watched, taken as a snapshot, audited; errors with their
# place; interrupted watching.
set -eu
export LC_ALL=C
remediate=${REMEDIATE:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
same() {
    [ "$1" = "$2" ] || { echo "expected '$1', got '$2'"; exit 1; }
}

python3 - >"$work/records" <<'PYTHON'
import json
for i in range(5000):
    print(json.dumps({"domain": "edge-1", "kind": "nat-binding", "body": {"protocol": "udp",
          "inside": f"10.0.{i >> 8}.{i & 255}:1000", "outside": f"198.51.100.1:{i + 1}"}}))
print(json.dumps({"domain": "edge-1", "kind": "session", "op": "remove",
      "body": {"protocol": "tcp", "client": "10.0.0.1:5", "server": "9.9.9.9:53"}}))
PYTHON

echo "publish, watch, snapshot"
same "published 5001, delivered 5001, lost 0" "$("$remediate" publish "file://$work/a" <"$work/records")"
same 5001 "$("$remediate" watch "file://$work/a" --from begin --once 2>/dev/null | wc -l)"
"$remediate" snapshot "file://$work/a" >"$work/snapshot"
same 5000 "$(wc -l <"$work/snapshot")"
"$remediate" snapshot "file://$work/a" --msgpack | "$remediate" publish "file://$work/b" --json |
    grep -q '"delivered":5000,"lost":0'

echo "golden vectors: the wire form of tests/data/records.jsonl is and stays tests/data/records.msgpack"
"$remediate" publish "file://$work/golden" <tests/data/records.msgpack >/dev/null
"$remediate" snapshot "file://$work/golden" | sort | cmp - tests/data/records.jsonl
while read -r line; do # each record's bytes are among the golden ones, whatever the order
    echo "$line" | "$remediate" publish "file://$work/one" >/dev/null
    "$remediate" snapshot "file://$work/one" --msgpack | od -An -tx1 -v | tr -d ' \n' >"$work/bytes"
    rm -rf "$work/one"
    od -An -tx1 -v tests/data/records.msgpack | tr -d ' \n' | grep -q -F -f "$work/bytes"
done <tests/data/records.jsonl

echo "audit"
"$remediate" audit "file://$work/a" "file://$work/b" -q | grep -q 'state match 100.0000 %'
"$remediate" audit "file://$work/a" "$work/snapshot" -q --json | grep -q '"match_percent":100.0000'
sed -e 1,7d -e '8s/198.51.100.1/198.51.100.9/' "$work/snapshot" >"$work/other"
echo '{"domain":"edge-2","kind":"counter","body":{"name":"x","value":1}}' >>"$work/other"
code=0
"$remediate" audit "$work/snapshot" "$work/other" >"$work/report" || code=$?
same 1 "$code"
same 7 "$(grep -c ^missing "$work/report")"
same 1 "$(grep -c ^extra "$work/report")"
same 1 "$(grep -c '^field *outside' "$work/report")"

echo "by digest: a table far away is compared, and only the leaves that differ are shipped"
"$remediate" snapshot "$work/other" --digest >"$work/digest"
[ "$(wc -c <"$work/digest")" -lt 250000 ]
code=0
"$remediate" audit "$work/snapshot" "$work/digest" --json >"$work/report" || code=$?
same 1 "$code"
differ=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["differ"])' "$work/report")
[ "$differ" -ge 6 ] && [ "$differ" -le 9 ] # 9 entries, spread by a key that is drawn anew
leaves=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["list"])' "$work/report")
"$remediate" snapshot "$work/other" --leaves "$leaves" >"$work/part"
[ "$(wc -l <"$work/part")" -lt 50 ]
code=0
"$remediate" audit "$work/snapshot" "$work/part" --leaves "$leaves" >"$work/report" || code=$?
same 1 "$code"
same 7 "$(grep -c ^missing "$work/report")"
same 1 "$(grep -c ^extra "$work/report")"
same 1 "$(grep -c '^field *outside' "$work/report")"
"$remediate" snapshot "file://$work/a" --digest >"$work/digest"
"$remediate" audit "$work/snapshot" "$work/digest" | grep -q '^entries 5000 and 5000: of 4096 leaves 0 differ'
echo "1 x" >>"$work/digest"
code=0
"$remediate" audit "$work/snapshot" "$work/digest" 2>"$work/error" >/dev/null || code=$?
same 1 "$code"
grep -q 'no line of a digest' "$work/error"
code=0
"$remediate" snapshot "$work/snapshot" --leaves "${leaves%%:*}:5-4096" 2>/dev/null >/dev/null || code=$?
same 2 "$code"
code=0
"$remediate" snapshot "$work/snapshot" --leaves 5 2>"$work/error" >/dev/null || code=$?
same 2 "$code"
grep -q 'its key' "$work/error"
printf 'remediate digest 1 4096\n5 1 0 0\n' >"$work/digest"
code=0
"$remediate" audit "$work/snapshot" "$work/digest" 2>"$work/error" >/dev/null || code=$?
same 1 "$code"
grep -q 'not a digest of version 2' "$work/error"

echo "numbers that do not fit are refused by name"
for epoch in '"99999999999999999999"' 99999999999999999999 4611686018427387905 1.5 -1 1e400; do
    code=0
    printf '{"domain":"d","kind":"counter","epoch":%s,"body":{"name":"x"}}\n' "$epoch" |
        "$remediate" publish "file://$work/numbers" 2>"$work/error" >/dev/null || code=$?
    same 1 "$code"
    grep -q 'epoch: ' "$work/error"
done

echo "snapshot files"
echo thesis >"$work/saved.tmp"
(umask 0; "$remediate" snapshot "file://$work/a" --output "$work/saved")
same 600 "$(stat -c %a "$work/saved")"
same thesis "$(cat "$work/saved.tmp")"
"$remediate" audit "$work/snapshot" "$work/saved" -q | grep -q '^entries 5000 and 5000: 5000 equal.*100.0000 %'
sort "$work/snapshot" >"$work/sorted"
"$remediate" snapshot "$work/saved" | sort | cmp - "$work/sorted"
printf x | dd of="$work/saved" bs=1 seek=9999 conv=notrunc 2>/dev/null
code=0
"$remediate" snapshot "$work/saved" >/dev/null 2>"$work/error" || code=$?
same 1 "$code"
grep -q '^remediate: snapshot: .* is damaged' "$work/error"

echo "numbers that are given are bounded, and what is left out goes behind them"
given() {
    echo "{\"domain\":\"edge-1\",\"kind\":\"counter\",$1\"body\":{\"name\":\"n\",\"value\":$2}}" |
        "$remediate" publish "file://$work/given" 2>"$work/error" >"$work/report"
}
for name in sequence epoch; do
    code=0
    given "\"$name\":2305843009213693953," 1 || code=$?
    same "1 published 0, delivered 0, lost 0" "$code $(cat "$work/report")"
    grep -q "the record's $name 2305843009213693953 is beyond 2^61" "$work/error"
done
given '"origin":"fw7","sequence":2305843009213693952,' 2
given '"origin":"fw8",' 3
given '' 4
same 2305843009213693954 "$("$remediate" snapshot "file://$work/given" 2>/dev/null |
    sed -n 's/.*"sequence":\([0-9]*\),.*"value":4.*/\1/p')"

echo "a spool: what one publish leaves, the next delivers"
if "$remediate" publish --help | grep -q kafka:; then
    away=kafka://127.0.0.1:1/nobody # nothing listens there
    "$remediate" publish "$away" --spool "$work/spool" --wait 300ms <"$work/records" >"$work/report"
    same "published 5001, delivered 0, lost 0, kept in the spool 5001, recovered from it 0" "$(cat "$work/report")"
    head -100 "$work/records" | "$remediate" publish "$away" --spool "$work/spool" --wait 100ms --json |
        grep -q '"published":100,"delivered":0,"lost":0,"kept":100,'
    code=0 # what waits for one repository is not another's, unless somebody says so
    "$remediate" publish "file://$work/d" --spool "$work/spool" </dev/null >"$work/report" 2>"$work/error" || code=$?
    same 1 "$code"
    grep -q "has records for $away; publish there first, or remove its file spool-state" "$work/error"
    rm "$work/spool/spool-state"
    "$remediate" publish "file://$work/d" --spool "$work/spool" </dev/null >"$work/report"
    same "published 0, delivered 0, lost 0, kept in the spool 0, recovered from it 5101" "$(cat "$work/report")"
    "$remediate" audit "$work/snapshot" "file://$work/d" -q | grep -q 'state match 100.0000 %'
    code=0
    "$remediate" publish "$away" --wait 100ms <"$work/records" >"$work/report" 2>/dev/null || code=$?
    same "1 published 5001, delivered 0, lost 5001" "$code $(cat "$work/report")"
    code=0 # a disk that takes some of them: what is said to be kept is there
    (trap '' XFSZ && ulimit -f 400 &&
        "$remediate" publish "$away?queue.buffering.max.messages=100" --spool "$work/spool" --wait 300ms --json \
            <"$work/records") >"$work/report" 2>/dev/null || code=$?
    same 1 "$code"
    kept=$(sed 's/.*"kept":\([0-9]*\).*/\1/' "$work/report")
    grep -q "\"lost\":$((5001 - kept))," "$work/report"
    rm "$work/spool/spool-state"
    "$remediate" publish "file://$work/e" --spool "$work/spool" --json </dev/null | grep -q "\"recovered\":$kept}"
fi

echo "waiting is told, once; what was not published too; the bound of a spool holds"
if "$remediate" publish --help | grep -q kafka:; then
    code=0
    timeout 20 "$remediate" publish kafka://127.0.0.1:1/nobody --wait 2s <"$work/records" >"$work/report" 2>"$work/error" || code=$?
    same "1 1" "$code $(grep -c '^remediate: kafka://127.0.0.1:1/nobody: waits: .*; gives up in ' "$work/error")"
    grep -q '^remediate: publisher: 5001 records were lost: ' "$work/error"
    code=0
    { yes '{"domain":"d","kind":"counter","body":{"name":"n","value":1}}' | head -30000 && sleep 3; } |
        timeout --preserve-status -s INT 3 "$remediate" publish kafka://127.0.0.1:1/nobody --spool "$work/small" \
            --spool-size 1MiB >"$work/report" 2>"$work/error" || code=$?
    same 1 "$code"
    grep -q 'waits: .*all of 1048576 bytes are in use' "$work/error"
    grep -q 'standard input was not published' "$work/error"
    grep -q 'lost 0, kept in the spool [1-9]' "$work/report"
    same within "$([ "$(du -sb "$work/small" | cut -f1)" -le 1048576 ] && echo within)"
fi

echo "errors"
code=0
printf '{"domain":"d","kind":"counter","body":{"name":"x"}}\n{"domain":"d",' |
    "$remediate" publish "file://$work/c" 2>"$work/error" >/dev/null || code=$?
same 1 "$code"
grep -q '^remediate: -:2:' "$work/error"
code=0
"$remediate" publish "nothing://x" </dev/null 2>"$work/error" >/dev/null || code=$?
same 1 "$code"
grep -q "no transport for 'nothing:'" "$work/error"
code=0
"$remediate" audit one 2>/dev/null || code=$?
same 2 "$code"

echo "pipes in the place of files of records are read once, also those whose writer has gone"
mkfifo "$work/pipe" "$work/pipe2"
# through WRITER COMMAND...: the command, while the writer writes to the pipe.
through() {
    sh -c "$1" >"$work/pipe" &
    shift
    timeout 20 "$@" || { wait; return 1; }
    wait $!
}
"$remediate" snapshot "$work/snapshot" --digest >"$work/digest"
through "cat '$work/snapshot'" "$remediate" snapshot "$work/pipe" >"$work/through"
same 5000 "$(wc -l <"$work/through")"
through "cat '$work/snapshot'" "$remediate" audit "$work/snapshot" "$work/pipe" -q | grep -q 'state match 100.0000 %'
through "cat '$work/snapshot'" "$remediate" audit "$work/pipe" "$work/snapshot" -q | grep -q 'state match 100.0000 %'
through "cat '$work/digest'" "$remediate" audit "$work/snapshot" "$work/pipe" | grep -q 'of 4096 leaves 0 differ'
through "head -c 5 '$work/digest'; sleep 0.3; tail -c +6 '$work/digest'" \
    "$remediate" audit "$work/snapshot" "$work/pipe" | grep -q 'of 4096 leaves 0 differ'
cat "$work/snapshot" >"$work/pipe2" &
through "cat '$work/snapshot'" "$remediate" audit "$work/pipe" "$work/pipe2" -q | grep -q 'state match 100.0000 %'
wait
through "cat '$work/snapshot'" "$remediate" audit "$work/pipe" - -q <"$work/snapshot" | grep -q 'state match 100.0000 %'
"$remediate" audit "$work/snapshot" - <"$work/digest" | grep -q 'of 4096 leaves 0 differ'
head -n 5000 "$work/digest" | "$remediate" audit "$work/snapshot" - | grep -q 'of 4096 leaves 0 differ'
head -n 3 "$work/snapshot" | (sleep 0.2; "$remediate" snapshot /dev/fd/3 3<&0 </dev/null >"$work/through")
same 3 "$(wc -l <"$work/through")"
: | (sleep 0.2; timeout 10 "$remediate" snapshot /dev/fd/3 3<&0 </dev/null >"$work/through")
same 0 "$(wc -l <"$work/through")"
code=0
through "echo nonsense" "$remediate" snapshot "$work/pipe" >/dev/null 2>&1 || code=$?
same 1 "$code"

echo "one that nobody writes to is told of, and left on a signal"
for signal in INT TERM; do
    for command in "snapshot $work/pipe" "audit $work/snapshot $work/pipe" "audit $work/pipe $work/snapshot"; do
        for open in no yes; do
            [ $open = no ] || exec 9<>"$work/pipe"
            # shellcheck disable=SC2086 # words of a command
            timeout -k 1 -s KILL 20 "$remediate" $command >/dev/null 2>"$work/error" 9<&- &
            run=$!
            sleep 0.5
            [ $signal$open != TERMno ] || sleep 2.5
            pkill -$signal -P $run
            code=0
            wait $run || code=$?
            [ $open = no ] || exec 9<&-
            same "1 interrupted" "$code $(grep -o 'interrupted' "$work/error")"
            [ $signal$open != TERMno ] || grep -q 'waits for somebody to write' "$work/error"
        done
    done
done

echo "pipes in the place of keys, passwords and settings are refused at once"
refused_pipe() {
    code=0
    timeout 10 "$remediate" "$@" </dev/null >/dev/null 2>"$work/error" || code=$?
    if [ $code != 1 ] || ! grep -q "$work/pipe: not a regular file" "$work/error"; then
        echo "exit $code of: $*"
        cat "$work/error"
        exit 1
    fi
}
printf 'x\n' >"$work/cert"
refused_pipe publish "file://$work/k" --sign "$work/pipe"
refused_pipe watch "file://$work/a" --verify "$work/pipe"
refused_pipe snapshot "file://$work/a" --verify "$work/pipe"
refused_pipe listen - --rules conntrack "file://$work/k" --sign "$work/pipe"
refused_pipe listen "syslog+tls://127.0.0.1:0?cert=$work/pipe" --rules conntrack "file://$work/k"
refused_pipe listen "syslog+tls://127.0.0.1:0?cert=$work/cert&key=$work/pipe" --rules conntrack "file://$work/k"
refused_pipe listen "syslog+tls://127.0.0.1:0?cert=$work/cert&cafile=$work/pipe" --rules conntrack "file://$work/k"
refused_pipe listen - --rules conntrack --unmatched "$work/pipe" "file://$work/k"
    refused_pipe publish "redis://127.0.0.1:1/s?password_file=$work/pipe"
    for name in cafile "cert=$work/cert&key" "key=$work/cert&cert"; do
        refused_pipe publish "rediss://127.0.0.1:1/s?$name=$work/pipe"
    done
    refused_pipe publish "kafka://127.0.0.1:1/t?properties=$work/pipe"
    refused_pipe publish "kafka://127.0.0.1:1/t?security.protocol=SSL&ssl.ca.location=$work/pipe"

echo "a watch that is interrupted tells its position, and another goes on from there"
"$remediate" watch "file://$work/a" --from begin >"$work/seen" 2>"$work/position" &
watch=$!
for _ in $(seq 100); do
    [ "$(wc -l <"$work/seen")" -lt 5001 ] || break
    sleep 0.05
done
kill -INT $watch
wait $watch
same 5001 "$(wc -l <"$work/seen")"
position=$(sed -n 's/^position: //p' "$work/position")
echo '{"domain":"edge-1","kind":"counter","body":{"name":"late"}}' | "$remediate" publish "file://$work/a" >/dev/null
"$remediate" watch "file://$work/a" --from "$position" --once 2>/dev/null >"$work/late"
same 1 "$(wc -l <"$work/late")"
grep -q '"late"' "$work/late"
echo ok
