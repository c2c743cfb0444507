#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# With each of standard input, output and error closed, alone and together: commands do what they can, none
# writes its messages into a file of its own, and none closes what the caller goes on to use.
set -eu
export LC_ALL=C
remediate=${REMEDIATE:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "$*"
    exit 1
}
python3 - >"$work/records" <<'PYTHON'
for i in range(3000):
    print('{"domain":"d","kind":"counter","body":{"name":"n%d","value":1}}' % i)
PYTHON
python3 - >"$work/lines" <<'PYTHON'
for i in range(3000):
    print("[NEW] tcp 6 120 SYN_SENT src=10.0.%d.%d dst=203.0.113.9 sport=40001 dport=443 [UNREPLIED] src=203.0.113.9 "
          "dst=198.51.100.1 sport=443 dport=40001" % (i >> 8, i & 255))
PYTHON
count() {
    "$remediate" snapshot "$1" | wc -l
}
uri() {
    echo "file://$work/$1?segment=16KiB&compact=1"
}

echo "standard input is read to its end, whatever a compaction opens and closes"
"$remediate" publish "$(uri a)" <"$work/records" >/dev/null
[ "$(count "$(uri a)")" = 3000 ] || fail "publish lost records"
"$remediate" listen - --rules conntrack "$(uri b)" <"$work/lines" >/dev/null
[ "$(count "$(uri b)")" = 3000 ] || fail "listen lost lines"
"$remediate" audit "$(uri a)" - -q <"$work/records" | grep -q '100.0000' || fail "audit lost its second table"

n=0
for closed in "0<&-" "1>&-" "2>&-" "0<&- 1>&-" "0<&- 2>&-" "1>&- 2>&-" "0<&- 1>&- 2>&-"; do
    n=$((n + 1))
    echo "closed: $closed"
    case $closed in
    *"0<"*) ;; # nothing to read
    *)
        eval "\"\$remediate\" publish \"\$(uri p$n)\" --spool \"\$work/s$n\" <\"\$work/records\" $closed" >"$work/out" 2>&1 || true
        [ "$(count "$(uri p$n)")" = 3000 ] || fail "publish lost records: $(count "$(uri p$n)")"
        eval "\"\$remediate\" listen - --rules conntrack \"\$(uri l$n)\" <\"\$work/lines\" $closed" >"$work/out" 2>&1 || true
        [ "$(count "$(uri l$n)")" = 3000 ] || fail "listen lost lines"
        ;;
    esac
    eval "\"\$remediate\" snapshot \"\$(uri a)\" -o \"\$work/snap$n\" $closed" || fail "snapshot fails"
    [ "$(count "$work/snap$n")" = 3000 ] || fail "the snapshot file is not whole"
    # a command that fails says so on standard error, which must not be a file of ours
    eval "\"\$remediate\" publish \"\$(uri p$n)\" --origin \"\$(printf '%0999d' 0)\" <\"\$work/records\" $closed" >"$work/out" 2>&1 || true
    eval "\"\$remediate\" snapshot \"\$(uri nowhere$n)/x/y\" $closed" >"$work/out" 2>&1 && fail "exit 0 without a repository"
done
! grep -r -l "remediate:" "$work" --include='*.log' --include='lock' --include='snap*' --include='position' || fail "a message in a file of state"
"$remediate" audit "$(uri a)" "$work/records" -q | grep -q '100.0000' || fail "the repository changed"
