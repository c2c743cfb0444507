#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The log driver through the command line: own sample lines of every shipped set give the records beside
# them; errors with their place; listing, printing and checking rule sets; what explains a line.
set -eu
export LC_ALL=C
remediate=${REMEDIATE:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
same() {
    [ "$1" = "$2" ] || { echo "expected '$1', got '$2'"; exit 1; }
}
parse() {
    "$remediate" parse --quiet --now 2026-11-24T12:00:00 --rules "$@"
}

echo "samples"
for set in $("$remediate" rules list --json | sed 's/.*"name":"\([^"]*\)".*/\1/'); do
    case $set in cisco_ftd | ubiquiti | nft) continue ;; esac # other names of sets with samples
    parse "$set" "tests/data/logs/$set.log" >"$work/records"
    cmp "$work/records" "tests/data/logs/$set.records" || { diff "$work/records" "tests/data/logs/$set.records"; exit 1; }
    [ -s "$work/records" ] || { echo "$set: no record"; exit 1; }
    # The same from standard input, with another name for the file, and as JSON that reads as records.
    parse "$set" <"tests/data/logs/$set.log" | cmp - "$work/records"
    "$remediate" rules print "$set" >"$work/$set.rules"
    parse "$work/$set.rules" "tests/data/logs/$set.log" | cmp - "$work/records"
    parse "$set" --json "tests/data/logs/$set.log" >"$work/json"
    same "$(wc -l <"$work/records")" "$(wc -l <"$work/json")"
    "$remediate" publish "file://$work/$set" <"$work/json" >/dev/null
    "$remediate" rules check "$set" | grep -q '^ok, '
done

echo "a hostile line costs a line, and gives nothing"
python3 -c 'import sys; sys.stdout.buffer.write(b"IN=" + b" SRC= DST=" * 6000 + b"\n\0\xff\xfe\"\n" + b"x" * 3000000 + b"\n")' >"$work/hostile"
cat tests/data/logs/iptables.log >>"$work/hostile"
"$remediate" parse --rules iptables --now 2026-11-24T12:00:00 "$work/hostile" >"$work/records" 2>"$work/count"
records=$(wc -l <tests/data/logs/iptables.records)
same "$records" "$(wc -l <"$work/records")"
same "4: upsert session tcp 10.0.0.7:40001 > 203.0.113.9:443" "$(head -1 "$work/records")"
lines=$(($(wc -l <tests/data/logs/iptables.log) + 3))
grep -q "^$lines lines, $records records; .* too long 1\$" "$work/count"

echo "options"
line='203.0.113.9:5 [24/Nov/2026:10:00:00.000] f b/s 0/0/+1 2 -- 1/1/1/1/0 0/0'
echo "$line" | parse haproxy --virtual 198.51.100.1:443 | grep -q '> 198.51.100.1:443 by b/s$'
echo "$line" | parse haproxy --json --zone -5:30 --domain d --origin o --epoch 7 >"$work/json"
grep -q '"domain":"d".*"op":"upsert","epoch":7.*"origin":"o","source":"logged","observed":"2026-11-24T15:30:00.0' "$work/json"
echo 'Dec 31 10:00:00 lb haproxy[1]: Connect from 1.1.1.1:1 to 2.2.2.2:2 (f/HTTP)' | parse haproxy --json |
    grep -q '"observed":"2025-12-31T10:00:00'

echo "explaining"
parse cisco_asa --explain tests/data/logs/cisco_asa.log >"$work/text"
grep -q '^7: denied, rule denied_by_list, event deny$' "$work/text"
grep -q 'built: up to byte [0-9]*, then not what line [0-9]*, column [0-9]* says' "$work/text"
parse cisco_asa --explain --json tests/data/logs/cisco_asa.log | python3 -c '
import json, sys
items = [json.loads(text) for text in sys.stdin]
denied = [item for item in items if item.get("outcome") == "denied"]
assert [item["line"] for item in denied] == [7, 11] and denied[0]["fields"]["source"] == "203.0.113.66:1", denied
assert all(item["tries"] for item in items if "outcome" in item)'

echo "errors"
printf 'rule a\n match src:ip "x\n' >"$work/bad.rules"
code=0
parse "$work/bad.rules" </dev/null 2>"$work/error" || code=$?
same 1 "$code"
grep -q "^$work/bad.rules:2:15: a string without its closing" "$work/error"
code=0
parse nothing </dev/null 2>"$work/error" || code=$?
same 1 "$code"
grep -q "no rule set 'nothing' is shipped" "$work/error"
for arguments in "parse" "parse --rules" "parse --rules iptables --zone x" "parse --rules iptables --now x" \
    "parse --rules iptables --virtual x" "parse --rules iptables --nothing" "rules" "rules check" "rules nothing x"; do
    code=0
    # shellcheck disable=SC2086 # arguments are split on purpose
    "$remediate" $arguments </dev/null >/dev/null 2>&1 || code=$?
    same "2 $arguments" "$code $arguments"
done
code=0
parse iptables "$work/not there" 2>/dev/null || code=$?
same 1 "$code"
code=0
parse iptables tests/data/logs/iptables.log 2>/dev/null >/dev/full || code=$?
same 1 "$code"
printf 'rule a\n match "x" word\n event deny\nrule b\n match "x" digits\n event deny\n' >"$work/meet.rules"
"$remediate" rules check "$work/meet.rules" 2>&1 | grep -q "meet.rules:4: rule 'b' and 'a' in line 1 may match"

for command in parse rules; do
    "$remediate" $command --help | grep -o -e '--[a-z-]*' | sort -u | while read -r option; do
        grep -q -e "$(echo "$option" | sed 's/^--//; s/-/\\\\*-/g')" "man/remediate-$command.1" || echo "$option is missing from the page"
        grep -q -e "$option" tools/completion/remediate.bash || echo "$option is missing from the completion"
    done >"$work/missing"
    [ ! -s "$work/missing" ] || { cat "$work/missing"; exit 1; }
done
echo ok
