#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The command line: every command and option, exit codes, JSON, pipes, damage, a full disk.
set -u
tool=${REMEDIATE:?}
in=tests/data/quickstart.pcap
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

expect() { # expect CODE WORDS...: runs the tool, keeps what it says
    wanted=$1
    shift
    "$tool" "$@" >"$work/out" 2>"$work/err"
    code=$?
    [ "$code" = "$wanted" ] || { echo "remediate $*: exit $code, not $wanted"; cat "$work/err"; failed=1; }
}
says() { # says FILE PATTERN
    grep -q -e "$2" "$work/$1" || { echo "'$2' is missing from $1 of the last command:"; cat "$work/$1"; failed=1; }
}
json() {
    python3 -c 'import json,sys
for line in sys.stdin: json.loads(line)' <"$work/out" || { echo "no JSON"; failed=1; }
}

expect 0 --help && says out 'Usage: remediate'
expect 0 --version && says out '^remediate [0-9]'
expect 2 && says err 'no command'
expect 2 nonsense && says err "is no command"
for command in mirror flows policy; do
    expect 0 $command --help && says out "Usage: remediate $command"
    expect 2 $command --nonsense && says err 'is no option'
done
expect 2 mirror -r "$in" && says err 'a policy is needed'
expect 2 mirror -p 'any : all' && says err 'one input'
expect 2 mirror -p 'any : all' -r "$in" -i lo && says err 'one input'
expect 2 mirror -p 'any : all' -r "$in" -w x -o y && says err 'one output'
expect 2 mirror -p 'any : all' -i lo -o lo && says err 'copied again'
expect 2 mirror -p 'any : all' -r "$in" --max-flows 5 && says err '16 to'
expect 2 mirror -p 'any : all' -r "$in" --timeout udp=x && says err 'timeout'
expect 2 mirror -p 'any : all' -r "$in" --side up && says err 'in or out'
expect 2 mirror -p 'any : all' -r "$in" -c 0 && says err 'number of packets'
expect 2 mirror -p && says err 'needs a value'
expect 1 mirror -p 'any : all' -r /nowhere && says err 'No such file'
expect 1 mirror -p /nowhere -r "$in" && says err 'No such file'
expect 1 mirror -p 'any : all' -r CMakeLists.txt && says err 'neither a pcap'
expect 1 mirror -p 'any : frist 5' -r "$in" && says err "policy:1:7: .*did you mean 'first'"
expect 1 mirror -p 'any : all' -r "$in" -w /dev/full && says err 'No space left'

expect 0 mirror -p 'any : first 5' -r "$in" -w "$work/copy.pcap" --json && json && says out '"evicted":0'
expect 0 mirror -p 'any : syn' -r "$in" --json && json && says out '"flows":null'
expect 0 mirror -p 'preset nat' -r "$in" --max-flows 16 --inner --side in --timeout udp=5s --timeout tcp-open=2h
says out 'copied by rule'
expect 0 mirror -p 'any : all' -r "$in" -c 10 --json && says out '"packets":10,'
expect 0 mirror -p 'any : all' -r "$in" -w "$work/all.pcap"
# all but the file header, whose snap length is the tool's own
tail -c +25 "$in" >"$work/in.body"
tail -c +25 "$work/all.pcap" | cmp -s - "$work/in.body" || { echo "'any : all' does not give the capture back"; failed=1; }
expect 0 mirror -p 'any : all' -r "$in" -w "$work/all.pcapng"
expect 0 mirror -p 'any : all' -r "$work/all.pcapng" -w "$work/again.pcapng"
cmp -s "$work/all.pcapng" "$work/again.pcapng" || { echo "pcapng changes on its way"; failed=1; }
"$tool" mirror -p 'any : all' -r - -w - <"$in" 2>"$work/err" | tail -c +25 | cmp - "$work/in.body" || { echo "pipes change the capture"; failed=1; }
says err 'copied'
head -c 5000 "$in" >"$work/cut.pcap"
expect 1 mirror -p 'any : all' -r "$work/cut.pcap" -w "$work/whole.pcap" --json && says err 'ends within' && json
[ "$(wc -c <"$work/whole.pcap")" -gt 4000 ] || { echo "what came before the damage is lost"; failed=1; }
"$tool" flows -r "$in" --json 2>/dev/null >/dev/full && { echo "a full disk is success"; failed=1; }

once() { # once PATTERN: a message is printed once, and nothing else but the report
    if [ "$(grep -c -e "$1" "$work/err")" != 1 ] || [ "$(grep -c '^remediate: ' "$work/err")" != 1 ]; then
        echo "'$1' is not said once:"
        cat "$work/err"
        failed=1
    fi
}
# a capture is not written over itself, whatever its name and however it is opened
cp "$in" "$work/self.pcap"
ln "$work/self.pcap" "$work/hard.pcap"
ln -s self.pcap "$work/soft.pcap"
for name in self hard soft; do
    expect 1 mirror -p 'any : all' -r "$work/self.pcap" -w "$work/$name.pcap" && once "$name.pcap: is the file that is read"
    expect 1 mirror -p 'any : all' -r "$work/$name.pcap" -w "$work/self.pcap" && once 'is the file that is read'
done
"$tool" mirror -p 'any : all' -r - -w "$work/soft.pcap" <"$work/hard.pcap" >"$work/out" 2>"$work/err" && { echo "standard input is written over"; failed=1; }
once 'is the file that is read'
"$tool" mirror -p 'any : all' -r "$work/soft.pcap" -w - >>"$work/hard.pcap" 2>"$work/err" && { echo "standard output is the input"; failed=1; }
once 'is the file that is read'
cmp "$in" "$work/self.pcap" || failed=1

echo 'any : all' >"$work/rules"
expect 1 mirror -p "$work/rules" -r "$in" -w "$work/rules" && once 'is the policy'
: >"$work/both"
ln "$work/both" "$work/both.pcap"
"$tool" mirror -p 'any : all' -r "$in" -w "$work/both.pcap" >"$work/both" 2>"$work/err" && { echo "the report is written into the copies"; failed=1; }
once 'is where the report'

# packed captures name their remedy
for packer in gzip zstd xz bzip2 lz4; do
    command -v $packer >/dev/null || continue
    $packer -c <"$in" >"$work/in.packed"
    for command in "mirror -p any:all" flows "policy explain any:all"; do
        # shellcheck disable=SC2086 # words
        expect 1 $command -r "$work/in.packed" && says err "in.packed: compressed by $packer; unpack it into a pipe: '.*cat FILE | … -r -'"
    done
done

# copies come out while the input pauses
(head -c 5000 "$in"; sleep 3; tail -c +5001 "$in") | "$tool" mirror -p 'any : all' -r - -w - 2>/dev/null >"$work/live.pcap" &
writer=$!
sleep 1.5
[ "$(wc -c <"$work/live.pcap")" -gt 3000 ] || { echo "copies wait for more input"; failed=1; }
wait $writer
tail -c +25 "$work/live.pcap" | cmp - "$work/in.body" || failed=1

# outputs that fail, each said once and by name
expect 1 mirror -p 'any : all' -r "$in" -w /dev/full && once '/dev/full: cannot write: No space left'
"$tool" mirror -p 'any : all' -r "$in" -w - >/dev/full 2>"$work/err" && { echo "a full disk is success"; failed=1; }
once 'standard output: cannot write: No space left'
{ "$tool" mirror -p 'any : all' -r "$in" -w - 2>"$work/err"; echo $? >"$work/code"; } | head -c 1 >/dev/null
[ "$(cat "$work/code")" = 1 ] || { echo "a closed pipe is exit $(cat "$work/code")"; failed=1; }
once 'standard output: cannot write: Broken pipe'
head -c 5000 "$in" | "$tool" mirror -p 'any : all' -r - >"$work/out" 2>"$work/err" && { echo "a cut pipe is success"; failed=1; }
once 'standard input: packet [0-9]*, byte [0-9]*: the file ends within'

# standard descriptors that are closed: their numbers are not given to files
"$tool" mirror -p 'any : all' -r "$in" -w "$work/closed.pcap" <&- >&- 2>&-
[ $? = 1 ] || { echo "a report that went nowhere is success"; failed=1; }
cmp "$work/closed.pcap" "$work/all.pcap" || failed=1
"$tool" mirror -p 'any : all' -r "$in" -w - >&- 2>"$work/err" && { echo "copies to a closed descriptor are success"; failed=1; }
once 'standard output: cannot write: Bad file descriptor'
"$tool" mirror -p 'any : all' -r - <&- >"$work/out" 2>"$work/err" && { echo "a closed input is success"; failed=1; }
once 'standard input: cannot read: Bad file descriptor'

# signals end a run with its report, also while a read waits
mkfifo "$work/fifo"
for signal in HUP INT TERM; do
    "$tool" mirror -p 'any : all' -r "$work/fifo" --json >"$work/out" 2>"$work/err" &
    run=$!
    exec 9>"$work/fifo"
    head -c 5000 "$in" >&9
    sleep 0.7
    kill -$signal $run
    wait $run || { echo "SIG$signal: exit $?"; failed=1; }
    exec 9>&-
    json && says out '"packets":[1-9]'
done

expect 0 flows -r "$in" && says out 'responder'
expect 0 flows -r "$in" --json --inner --max-flows 32 && json
expect 2 flows
expect 0 policy check 'preset nat' && says out 'ok, 5 rules'
expect 1 policy check 'tcp and : all' && says err 'expected a match'
expect 0 policy print 'preset ids; limit 5Mbit' && says out '^limit 5Mbit$'
cp "$work/out" "$work/policy"
expect 0 policy print "$work/policy"
cmp -s "$work/out" "$work/policy" || { echo "printing a printed policy changes it"; failed=1; }
expect 0 policy presets && says out 'preset firewall'
expect 2 policy explain 'any : all'
expect 0 policy explain 'tcp : handshake' -r "$in" --json && json && says out '"reason":"handshake-ack"'
expect 0 policy explain 'tcp : handshake' -r "$in" -c 3 && says out 'rule 1: tcp : handshake'

for command in mirror flows policy; do
    "$tool" $command --help | grep -o -e '--[a-z-]*' | sort -u | while read -r option; do
        page=man/remediate-$command.1
        grep -q -e "$(echo "$option" | sed 's/^--//; s/-/\\\\*-/g')" "$page" || echo "$option is missing from $page"
        grep -q -e "$option" tools/completion/remediate.bash || echo "$option is missing from the completion"
    done >"$work/missing"
    [ ! -s "$work/missing" ] || { cat "$work/missing"; failed=1; }
done
if command -v mandoc >/dev/null 2>&1; then
    mandoc -T lint -W warning man/*.1 man/*.7 || failed=1
fi
exit $failed
