#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# remediate listen and what really sends logs: rsyslogd, logger, nc, openssl. Every way in, every
# framing; certificates; hostile senders; a repository that is away; files that logrotate rotates,
# followed over restarts. Each line that is sent gives one record, so records are counted.
set -eu
export LC_ALL=C
remediate=${REMEDIATE:?}
work=$(mktemp -d)
cleanup() {
    for file in "$work"/*.pid; do
        [ ! -s "$file" ] || kill "$(cat "$file")" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap cleanup EXIT
for program in rsyslogd logger nc openssl logrotate python3; do
    command -v $program >/dev/null || { echo "skipped: $program is missing"; exit 77; }
done
complain() {
    echo "$*"
    for file in "$work"/*.err "$work"/*.out; do
        [ ! -s "$file" ] || { echo "== $file"; tail -20 "$file"; }
    done
    exit 1
}
same() {
    [ "$1" = "$2" ] || complain "expected '$1', got '$2'"
}
# A port that is free for UDP and TCP.
free_port() {
    python3 -c '
import socket
while True:
    tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
    tcp.bind(("127.0.0.1", 0))
    try:
        udp.bind(tcp.getsockname())
    except OSError:
        continue
    print(tcp.getsockname()[1])
    break'
}
# flows FIRST LAST: what ulogd2 says of new flows, one a line, without header
flows() {
    seq "$1" "$2" | awk '{ printf "[NEW] ORIG: SRC=10.0.%d.%d DST=203.0.113.9 PROTO=TCP SPT=%d DPT=443 PKTS=0 BYTES=0 , REPLY: SRC=203.0.113.9 DST=198.51.100.1 PROTO=TCP SPT=443 DPT=%d PKTS=0 BYTES=0 \n", int($1 / 250) % 250, $1 % 250 + 1, $1 % 60000 + 1, $1 % 60000 + 1 }'
}
# records REPOSITORY: how many keys it holds
records() {
    if [ -d "$work/$1" ]; then "$remediate" snapshot "file://$work/$1" 2>/dev/null | wc -l; else echo 0; fi
}
await_records() {
    for _ in $(seq 300); do
        [ "$(records "$1")" -lt "$2" ] || break
        sleep 0.1
    done
    same "$2" "$(records "$1")"
}
# listen NAME REPOSITORY ARGUMENT...: in the background, until stop NAME
listen() {
    name=$1 repository=$2
    shift 2
    "$remediate" listen "$@" --rules ulogd2 --json "file://$work/$repository" >"$work/$name.out" 2>"$work/$name.err" &
    echo $! >"$work/$name.pid"
    await_start "$name"
}
# It listens once its repository is there.
await_start() {
    for _ in $(seq 100); do
        [ -d "$work/$repository" ] && return
        kill -0 "$(cat "$work/$1.pid")" 2>/dev/null || complain "listen has ended"
        sleep 0.05
    done
    complain "listen does not start"
}
stop() {
    pid=$(cat "$work/$1.pid")
    rm "$work/$1.pid"
    kill "$pid"
    wait "$pid" || complain "listen failed"
}
# told NAME EXPRESSION: of the report, r
told() {
    python3 -c '
import json, sys
report = json.load(open(sys.argv[1]))
by_name = {s["name"]: s for s in report["sources"]}
def of(scheme, key): # of the inputs of a scheme and their senders
    inputs = {s["input"] for s in report["sources"] if s["role"] == "input" and s["name"].startswith(scheme + ":")}
    return sum(s[key] for s in report["sources"] if s["input"] in inputs)
print(*eval(f"({sys.argv[2]},)"))' "$work/$1.out" "$2"
}

udp=$(free_port) tcp=$(free_port) tls=$(free_port) mutual=$(free_port)
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=sender -keyout "$work/client.key" \
    -out "$work/client.pem" 2>/dev/null
certificate="cert=$work/cert.pem&key=$work/key.pem"

echo "every way in"
listen ways all "syslog://127.0.0.1:$udp" "syslog+tcp://127.0.0.1:$tcp" "syslog+tls://127.0.0.1:$tls?$certificate" \
    "syslog+tls://127.0.0.1:$mutual?$certificate&cafile=$work/client.pem" \
    "syslog+unix://$work/datagrams?mode=0600" "syslog+unix://$work/stream?type=stream"
same 600 "$(stat -c %a "$work/datagrams")"
send() { # send FIRST LAST LOGGER-OPTION...
    first=$1 last=$2
    shift 2
    flows "$first" "$last" | logger -i -t ulogd "$@"
}
send 1 20 -n 127.0.0.1 -P "$udp" -d --rfc3164
send 21 40 -n 127.0.0.1 -P "$udp" -d --rfc5424
send 41 60 -n 127.0.0.1 -P "$tcp" -T --rfc3164
send 61 80 -n 127.0.0.1 -P "$tcp" -T --rfc5424 --octet-count
send 81 100 -n 127.0.0.1 -P "$tcp" -T --rfc3164 --octet-count
send 101 120 -u "$work/datagrams"
send 121 140 -u "$work/datagrams" --rfc5424
flows 141 160 | sed 's/^/<30>Nov 24 10:00:00 gw ulogd[5]: /' | nc -N -U "$work/stream"
flows 161 180 | sed 's/^/<30>Nov 24 10:00:00 gw ulogd[5]: /' | nc -N 127.0.0.1 "$tcp"
flows 181 200 | sed 's/^/<30>Nov 24 10:00:00 gw ulogd[5]: /' | tr '\n' '\000' | nc -N 127.0.0.1 "$tcp"
secure() { # secure PORT OPTION...: standard input over TLS
    port=$1
    shift
    { cat; sleep 0.5; } | openssl s_client -quiet -no_ign_eof -connect "127.0.0.1:$port" -CAfile "$work/cert.pem" -verify_return_error "$@" >/dev/null 2>&1
}
flows 201 220 | sed 's/^/<30>Nov 24 10:00:00 gw ulogd[5]: /' | secure "$tls"
flows 221 240 | sed 's/^/<30>1 - gw ulogd 5 - - /' | awk '{ printf "%d %s", length($0), $0 }' | secure "$tls" -tls1_2
flows 241 260 | sed 's/^/<30>1 - gw ulogd 5 - - /' | awk '{ printf "%d %s", length($0), $0 }' | secure "$mutual" -cert "$work/client.pem" -key "$work/client.key"
await_records all 260

echo "refused: no certificate, TLS 1.1, no TLS at all"
flows 901 902 | secure "$mutual" || true
flows 901 902 | secure "$tls" -tls1_1 -cipher DEFAULT@SECLEVEL=0 || true
flows 901 902 | nc -N -w 2 127.0.0.1 "$tls" >/dev/null || true

echo "rsyslogd, which forwards in both framings and over TLS"
cat >"$work/rsyslog.conf" <<EOF
global(workDirectory="$work" defaultNetstreamDriverCAFile="$work/cert.pem")
module(load="imuxsock" sysSock.use="off")
input(type="imuxsock" socket="$work/in" rateLimit.interval="0" useSpecialParser="off" parseHostname="off")
ruleset(name="out") { }
:msg, contains, "SRC=10.0.1." { action(type="omfwd" target="127.0.0.1" port="$tcp" protocol="tcp" TCP_Framing="octet-counted") stop }
:msg, contains, "SRC=10.0.2." { action(type="omfwd" target="127.0.0.1" port="$tcp" protocol="tcp" template="RSYSLOG_SyslogProtocol23Format") stop }
:msg, contains, "SRC=10.0.3." { action(type="omfwd" target="127.0.0.1" port="$udp" protocol="udp") stop }
:msg, contains, "SRC=10.0.4." { action(type="omfwd" target="127.0.0.1" port="$tls" protocol="tcp" StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost" TCP_Framing="octet-counted") stop }
EOF
rsyslogd -n -f "$work/rsyslog.conf" -i "$work/rsyslogd.id" >"$work/rsyslogd.out" 2>&1 &
echo $! >"$work/rsyslogd.pid"
for _ in $(seq 100); do
    [ ! -S "$work/in" ] || break
    sleep 0.05
done
last=999 # with TLS up to 1249
[ ! -e "$(find /usr/lib -name lmnsd_ossl.so 2>/dev/null | head -1)" ] || last=1249
[ "$last" = 1249 ] || echo "  left out: rsyslogd over TLS, as rsyslog-openssl is not there"
flows 261 "$last" | logger -i -t ulogd -u "$work/in"
await_records all "$last"

echo "a table on request"
kill -USR1 "$(cat "$work/ways.pid")"
for _ in $(seq 100); do
    ! grep -q '"sources"' "$work/ways.err" || break
    sleep 0.05
done
grep -q '"sources"' "$work/ways.err" || complain "SIGUSR1 gave no table"
stop ways
same "$last 0" "$(told ways 'report["records"], report["lost"]')"
same 60 "$(told ways 'of("syslog+unix", "lines")')"
same True "$(told ways 'of("syslog+tls", "refused") >= 2')"
[ ! -e "$work/datagrams" ] || complain "the socket's path is still there"

echo "rules and the sample of unmatched lines anew on SIGHUP; wrong rules are not taken"
cp rules/conntrack.rules "$work/own.rules"
"$remediate" listen "syslog+tcp://127.0.0.1:$tcp" --rules "$work/own.rules" --unmatched "$work/sample" --sample 1/2 \
    --json "file://$work/renewed" >"$work/renewed.out" 2>"$work/renewed.err" &
echo $! >"$work/renewed.pid"
repository=renewed
await_start renewed
send 1 4 -n 127.0.0.1 -P "$tcp" -T --rfc3164
for _ in $(seq 50); do # it is written within a second
    [ ! -s "$work/sample" ] || break
    sleep 0.1
done
same 2 "$(grep -c 'ORIG: SRC=10.0.0.[24] ' "$work/sample")"
mv "$work/sample" "$work/sample.1"
cp rules/ulogd2.rules "$work/own.rules"
kill -HUP "$(cat "$work/renewed.pid")"
for _ in $(seq 50); do
    [ ! -e "$work/sample" ] || break
    sleep 0.1
done
send 5 8 -n 127.0.0.1 -P "$tcp" -T --rfc3164
await_records renewed 4
echo "rule nothing" >"$work/own.rules"
kill -HUP "$(cat "$work/renewed.pid")"
for _ in $(seq 50); do
    ! grep -q 'the rules are as before' "$work/renewed.err" || break
    sleep 0.1
done
grep -q 'the rules are as before' "$work/renewed.err" || complain "wrong rules were taken"
send 9 12 -n 127.0.0.1 -P "$tcp" -T --rfc3164
await_records renewed 8
stop renewed
same "12 4" "$(told renewed 'report["lines"], sum(s["unmatched"] for s in report["sources"])')"

echo "hostile: no trailer, 64 kB, NULs, a count that lies, many connections, a line in pieces"
listen hostile hostile "syslog://127.0.0.1:$udp" "syslog+tcp://127.0.0.1:$tcp" --unmatched "$work/unmatched" --unmatched-size 64KiB
python3 - "$udp" "$tcp" <<'EOF'
import socket, sys, time
udp, tcp = int(sys.argv[1]), int(sys.argv[2])
header = b"<30>Nov 24 10:00:00 gw ulogd[5]: "
def flow(n):
    return header + (b"[NEW] ORIG: SRC=10.9.0.%d DST=203.0.113.9 PROTO=TCP SPT=1 DPT=443 PKTS=0 BYTES=0 , REPLY: "
                     b"SRC=203.0.113.9 DST=198.51.100.1 PROTO=TCP SPT=443 DPT=%d PKTS=0 BYTES=0 " % (n, n))
def connect():
    return socket.create_connection(("127.0.0.1", tcp))
endless = connect()
for _ in range(64):
    endless.sendall(b"x" * 65536)  # 4 MiB without a trailer
endless.sendall(b"\n" + flow(1) + b"\n")
counted = connect()
counted.sendall(b"3000000 <" + b"y" * 2999999 + b"%d " % len(flow(2)) + flow(2))
liar = connect()
liar.sendall(b"9999 <30>not so long")  # and closes
liar.close()
nuls = connect()
nuls.sendall(flow(3) + b"\n<30>a\0b\0" + b"\0" * 5000 + b"\n" + flow(4) + b"\n")
datagram = socket.socket(type=socket.SOCK_DGRAM)
datagram.sendto(b"\0" * 60000, ("127.0.0.1", udp))
datagram.sendto(b"<30>" + b"[" * 65000, ("127.0.0.1", udp))
datagram.sendto(flow(5) + b"\r\n\0", ("127.0.0.1", udp))
slow = connect()
for byte in flow(6) + b"\n":
    slow.sendall(bytes([byte]))
many = [connect() for _ in range(1100)]
time.sleep(0.5)
for each in many[:900]:
    each.close()
time.sleep(0.5)
late = connect()
late.sendall(flow(7) + b"\n")
late.close()
time.sleep(0.5)
EOF
await_records hostile 7
stop hostile
same "7 2" "$(told hostile 'report["records"], report["lost"]')"
same True "$(told hostile 'of("syslog+tcp", "refused") >= 70 and of("syslog+tcp", "cut") == 1')"
[ "$(stat -c %s "$work/unmatched")" -le 65536 ] || complain "the sample has grown beyond its bound"

echo "connections before the first record: descriptors are left for it, and places for others"
# exhaust MAX_PER_ADDRESS: 400 connections of 40 addresses at a limit of 128 descriptors, then lines
exhaust() {
    repository=exhausted$1
    # shellcheck disable=SC3045 # dash and bash have it
    (ulimit -n 128 && exec "$remediate" listen "syslog+tcp://127.0.0.1:$tcp" --max-per-address "$1" --rules ulogd2 \
        --json "file://$work/$repository" >"$work/exhausted.out" 2>"$work/exhausted.err") &
    echo $! >"$work/exhausted.pid"
    await_start exhausted
    flows 1 20 | sed 's/^/<30>Nov 24 10:00:00 gw ulogd[5]: /' >"$work/late"
    python3 - "$tcp" "$work/late" <<'END'
import socket, sys, time
def connect(address):
    made = socket.socket()
    made.bind((address, 0))
    made.settimeout(5)
    try:
        made.connect(("127.0.0.1", int(sys.argv[1])))
    except OSError:
        pass
    return made
good = connect("127.0.1.1")
time.sleep(0.3)
held = [connect("127.0.0.%d" % (i % 40 + 1)) for i in range(400)]
time.sleep(0.5)
good.sendall(open(sys.argv[2], "rb").read())
time.sleep(0.5)
END
    await_records "$repository" 20
    stop exhausted
    grep -q 'limit of descriptors is 128' "$work/exhausted.err" || complain "a lower limit was not told"
    grep -q 'refused a connection' "$work/exhausted.err" || complain "refusals were not told"
    [ "$(wc -l <"$work/exhausted.err")" -le 4 ] || complain "refusals fill the log"
}
exhaust 1024
exhaust 2
same 320 "$(told exhausted 'of("syslog+tcp", "refused")')" # two of each of 40

echo "senders beyond the table's size; hosts behind a relay"
seq 1 3000 | awk '{ printf "<30>Nov 24 10:00:00 host%d ulogd[5]: x\n", $1 }' >"$work/hosts"
"$remediate" listen - --by-host --rules ulogd2 --json "file://$work/hosted" <"$work/hosts" >"$work/hosts.out"
same "3000 1 1976 1024" "$(told hosts 'report["lines"], by_name["host3000"]["lines"], by_name["others"]["unmatched"], sum(s["role"] == "sender" for s in report["sources"])')"

echo "files: rotation by renaming and by copytruncate, over restarts"
log=$work/nat.log
line() { flows "$1" "$2" | sed 's/^/Nov 24 10:00:00 gw ulogd[5]: /'; }
rotate() { # rotate OPTION...: as logrotate does it
    printf '%s {\n  size 1\n  rotate 4\n' "$log" >"$work/rotate.conf"
    for option in "$@"; do echo "  $option" >>"$work/rotate.conf"; done
    echo "}" >>"$work/rotate.conf"
    logrotate -f -s "$work/rotate.state" "$work/rotate.conf" 2>"$work/logrotate.err" || complain "logrotate failed"
}
chmod 755 "$work"
line 1 100 >"$log"
listen follow files "file://$log?from=begin&state=$work/position&poll=20ms"
await_records files 100
exec 3>>"$log" # a writer that keeps its file open
rotate create
line 101 150 >>"$log"
line 151 200 >&3 # to the renamed file
exec 3>&-
await_records files 200
rotate copytruncate
line 201 300 >>"$log"
await_records files 300
printf 'Nov 24 10:00:00 gw ulogd[5]: [NEW] ORIG: SRC=10.9' >>"$log" # half a line
stop follow
line 301 400 | head -100 | sed '1s/.*SRC=10\.[0-9]*//' >>"$log"
rotate create # while nobody looks
line 401 500 >>"$log"
listen follow files "file://$log?state=$work/position&poll=20ms"
await_records files 500 # the line of two halves too
stop follow
same 0 "$(told follow 'report["lost"]')"
listen follow files "file://$log?state=$work/position&poll=20ms"
line 501 501 >>"$log"
await_records files 501
stop follow
same 1 "$(told follow 'report["lines"]')" # nothing is read twice

echo "a repository that is away: streams stand still, a spool takes what fits, nothing is lost"
if "$remediate" publish --help | grep -q kafka:; then
    flows 1 5000 | sed 's/^/Nov 24 10:00:00 gw ulogd[5]: /' >"$work/many"
    "$remediate" listen - --rules ulogd2 --spool "$work/spool" --wait 300ms --json kafka://127.0.0.1:1/nobody \
        <"$work/many" >"$work/away.out" 2>/dev/null
    same "5000 0 5000" "$(told away 'report["published"], report["delivered"], report["pending"]')"
    rm "$work/spool/spool-state" # else it is that repository's alone
    "$remediate" publish "file://$work/later" --spool "$work/spool" </dev/null >/dev/null
    same 5000 "$(records later)"
fi

echo "a repository that never comes, and no spool: a file's position stays, and nothing of it is lost"
if "$remediate" publish --help | grep -q kafka:; then
    line 1 100000 >"$log"
    code=0
    timeout --preserve-status 2 "$remediate" listen "file://$log?from=begin&state=$work/unsafe" --rules ulogd2 \
        --wait 100ms --json kafka://127.0.0.1:1/nobody >"$work/never.out" 2>"$work/never.err" || code=$?
    same 1 "$code"
    same True "$(told never 'report["lines"] < 100000')" # reading stood still
    [ ! -e "$work/unsafe" ] || complain "a position was written for records that are nowhere"
    listen follow safe "file://$log?from=begin&state=$work/unsafe"
    await_records safe "$("$remediate" parse --rules ulogd2 "$log" 2>/dev/null | cut -d' ' -f3- | sort -u | wc -l)"
    stop follow
    same 100000 "$(told follow 'report["lines"]')"
fi

echo "signed records"
(umask 077; echo "1 $(openssl rand -hex 32)" >"$work/keys")
if flows 1 10 | "$remediate" listen - --rules ulogd2 --sign "$work/keys" "file://$work/signed" >/dev/null 2>"$work/sign.err"; then
    same 10 "$("$remediate" snapshot --verify "$work/keys" "file://$work/signed" | wc -l)"
else
    grep -q 'built without' "$work/sign.err" || complain "not signed"
    echo "  left out: built without libremediate-crypto"
fi

echo "standard input that can't be read is no end; one that is closed neither"
# shellcheck disable=SC2016 # it is expanded by eval
for input in 'exec <"$work"' 'exec <&-'; do
    code=0
    (eval "$input"; exec "$remediate" listen - --rules ulogd2 "file://$work/bad" >"$work/bad.out" 2>"$work/bad.err") || code=$?
    same 1 "$code"
    grep -q 'standard input: ' "$work/bad.err" || complain "the error of reading was not told"
done
echo "descriptors 0 to 2 closed: none of them becomes a segment"
flows 1 50 | sed 's/^/Nov 24 10:00:00 gw ulogd[5]: /' >"$work/few"
"$remediate" listen "file://$work/few?from=begin&state=$work/few.state" --rules ulogd2 "file://$work/closed" <&- >&- 2>&- &
echo $! >"$work/closed.pid"
await_records closed 50
kill "$(cat "$work/closed.pid")"
wait "$(cat "$work/closed.pid")" || true # its table could not be printed
rm "$work/closed.pid"

echo "state files and samples are nobody else's"
same 600 "$(stat -c %a "$work/few.state")"
(umask 000; echo 'of no rule' | "$remediate" listen - --rules ulogd2 --unmatched "$work/open" "file://$work/x" >"$work/open.out")
same 600 "$(stat -c %a "$work/open")"
if [ -w /dev/full ]; then
    code=0
    echo 'of no rule' | "$remediate" listen - --rules ulogd2 --unmatched /dev/full "file://$work/x" >"$work/full.out" 2>"$work/full.err" || code=$?
    same 1 "$code"
    same 1 "$(grep -c '/dev/full' "$work/full.err")"
fi

echo "waiting is told, once"
if "$remediate" publish --help | grep -q kafka:; then
    code=0
    timeout --preserve-status 5 "$remediate" listen "file://$work/many?from=begin" --rules ulogd2 --wait 1s \
        kafka://127.0.0.1:1/nobody >"$work/waits.out" 2>"$work/waits.err" || code=$?
    same 1 "$code"
    grep -q 'waits: ' "$work/waits.err" || complain "nobody was told what is waited for"
    [ "$(grep -c 'waits: ' "$work/waits.err")" -le 3 ] || complain "it was told too often"
fi

echo "errors"
refused() { # refused STATUS PATTERN ARGUMENT...
    status=$1 pattern=$2 code=0
    shift 2
    "$remediate" listen "$@" >/dev/null 2>"$work/refused.err" </dev/null || code=$?
    same "$status" "$code"
    grep -q "$pattern" "$work/refused.err" || complain "no '$pattern'"
}
refused 2 'rules is needed' - "file://$work/x"
refused 2 'INPUT and a URI' --rules ulogd2 "file://$work/x"
refused 1 "no rule set 'nothing'" - --rules nothing "file://$work/x"
refused 1 'is no input' --rules ulogd2 gopher://x "file://$work/x"
refused 1 'needs cert' --rules ulogd2 "syslog+tls://127.0.0.1:$tls" "file://$work/x"
refused 1 "can't be used" --rules ulogd2 "syslog+tls://127.0.0.1:$tls?cert=$work/none" "file://$work/x"
refused 1 'HOST:PORT' --rules ulogd2 "syslog://::1:514" "file://$work/x"
refused 1 "no parameter 'idle'" --rules ulogd2 "syslog://127.0.0.1:$udp?idle=1s" "file://$work/x"
refused 1 'from is end or begin' --rules ulogd2 "file://$log?from=here" "file://$work/x"
refused 1 'belongs to' --rules ulogd2 "file://$log?state=$work/few.state" "file://$work/x"
refused 1 'another input has it' --rules ulogd2 "file://$log?state=$work/one" "file://$work/few?state=$work/one" "file://$work/x"
refused 1 'another input has it as its state' --rules ulogd2 "file://$log?state=$work/one" "file://$work/one" "file://$work/x"
refused 1 'is the file that is followed' --rules ulogd2 "file://$work/few?state=$work/./few" "file://$work/x"
cp "$work/few" "$work/foreign"
refused 1 'is another file, not one of positions' --rules ulogd2 "file://$log?state=$work/foreign" "file://$work/x"
cmp "$work/few" "$work/foreign"
same 50 "$(wc -l <"$work/few")"
refused 1 'nothing/there' --rules ulogd2 "file://$log?state=$work/nothing/there" "file://$work/x"
refused 2 'no number' --rules ulogd2 --max-per-address 0 - "file://$work/x"
for uri in 'redis://me:SECRET@127.0.0.1:99999/s?x=SECRET' 'kafka://me:SECRET@127.0.0.1:1/t?sasl.password=SECRET&sasl.foo=1'; do
    refused 1 . --rules ulogd2 - "$uri"
    ! grep SECRET "$work/refused.err" || complain "a secret was told"
    refused 1 . --rules ulogd2 "$(echo "$uri" | sed 's/^[a-z]*/syslog+tcp/')" "file://$work/x"
    ! grep SECRET "$work/refused.err" || complain "a secret was told"
done
nc -l 127.0.0.1 "$tcp" >/dev/null &
echo $! >"$work/nc.pid"
sleep 0.3
refused 1 'cannot listen' --rules ulogd2 "syslog+tcp://127.0.0.1:$tcp" "file://$work/x"
echo ok
