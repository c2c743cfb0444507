#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A real Redis server: the conformance suite in the clear and over TLS with a user; what it refuses;
# entries trimmed away; several publishers; the server killed with -9 and started again in the middle
# of 100,000 publications, and stopped with SIGSTOP. Nothing is lost, by audit.
# Usage: redis_test.sh REDIS_CHECK REDIS_FAULTS_CHECK STOP_CHECK DESCRIPTORS_CHECK
set -eu
check=$1
faults=$2
stop_check=$3
descriptors_check=$4
remediate=${REMEDIATE:?}
if ! command -v redis-server >/dev/null 2>&1; then
    echo "skipped: no redis-server"
    exit 77
fi
SERVERS_FOLDER=$(mktemp -d)
. tests/servers/servers.sh
other=
trap 'servers_stop; [ -z "$other" ] || kill "$other"; rm -rf "$SERVERS_FOLDER"' EXIT
servers_start_redis
plain=redis://127.0.0.1:$REDIS_PORT
secure=rediss://remediate:secret@127.0.0.1:$REDIS_TLS_PORT
cafile=cafile=$SERVERS_FOLDER/cert.pem

# Nothing here waits for ever: a server that does not answer, or a name that does not resolve, fails.
REMED_REDIS=$plain/ timeout 300 "$check"
REMED_REDIS=$secure/ REMED_REDIS_QUERY=$cafile timeout 300 "$check"
timeout 200 "$descriptors_check" "$plain/descriptors" "$secure/descriptors2?$cafile"

echo "a position belongs to its stream"
timeout 60 "$remediate" publish "$plain/edge-1" <tests/data/records.jsonl
timeout 60 "$remediate" publish "$plain/edge-2" <tests/data/records.jsonl
position=$(timeout 60 "$remediate" watch --once --from begin "$plain/edge-1" 2>&1 >/dev/null | sed -n 's/^position: //p')
echo "  $position"
# says FROM STREAM WORDS: watching from there ends in an error with these words.
says() {
    if timeout 60 "$remediate" watch --once --from "$1" "$plain/$2" >"$SERVERS_FOLDER/out" 2>&1; then
        echo "taken: $1 by $2"
        return 1
    fi
    grep -q "$3" "$SERVERS_FOLDER/out" || { cat "$SERVERS_FOLDER/out"; return 1; }
    sed -n '/^remediate:/{s/^/  /p;q}' "$SERVERS_FOLDER/out"
}
says "$position" edge-2 "belongs to database and stream 0/edge-1, this is 0/edge-2"
says "$position" "edge-1?db=1" "belongs to"
says "${position##*/}" edge-1 "older version"
kill -9 "$REDIS_PID"
wait "$REDIS_PID" 2>/dev/null || true
servers_run_redis
timeout 60 "$remediate" watch --once --from "$position" "$plain/edge-1" # it survives a restart
timeout 20 redis-cli -p "$REDIS_PORT" del edge-1 edge-1:newest edge-1:id >/dev/null
says "$position" edge-1 "it is gone; begin anew"
timeout 60 "$remediate" publish "$plain/edge-1" <tests/data/records.jsonl
says "$position" edge-1 "it was made anew; begin anew"

echo "waiting is told: for whom, why, and that it is over"
timeout 20 redis-cli -p "$REDIS_PORT" config set maxmemory 1 >/dev/null
(sleep 3; timeout 20 redis-cli -p "$REDIS_PORT" config set maxmemory 0 >/dev/null) &
timeout 60 "$remediate" publish "$plain/full" <tests/data/records.jsonl
gone=$(free_port)
status=0
timeout 60 "$remediate" snapshot --wait 2s "redis://127.0.0.1:$gone/s" >"$SERVERS_FOLDER/out" 2>&1 || status=$?
grep -q "waits: 127.0.0.1:$gone: Connection refused" "$SERVERS_FOLDER/out" && grep -q "gave up" "$SERVERS_FOLDER/out"
[ $status -eq 1 ]
status=0
timeout 60 "$remediate" snapshot --wait 2s "redis://name.invalid:$gone/s" >"$SERVERS_FOLDER/out" 2>&1 || status=$?
cat "$SERVERS_FOLDER/out"
grep -q "waits: name.invalid:$gone: " "$SERVERS_FOLDER/out"
[ $status -eq 1 ]

echo "what is refused, and why"
# refuses URI WORDS: publishing there ends in an error with these words, and without the password.
refuses() {
    if timeout 20 "$remediate" publish "$1" <tests/data/records.jsonl >"$SERVERS_FOLDER/out" 2>&1; then
        echo "not refused: $1"
        return 1
    fi
    grep -q "$2" "$SERVERS_FOLDER/out" || { cat "$SERVERS_FOLDER/out"; return 1; }
    if grep -q "secret\|mistake" "$SERVERS_FOLDER/out"; then
        echo "a password is in a message:"
        cat "$SERVERS_FOLDER/out"
        return 1
    fi
    sed -n '/^remediate:/{s/^/  /p;q}' "$SERVERS_FOLDER/out"
}
tls=127.0.0.1:$REDIS_TLS_PORT/refused
refuses "rediss://remediate:mistake@$tls?$cafile" "the server refused the user or the password (WRONGPASS)"
refuses "rediss://nobody:mistake@$tls?$cafile" "the server refused the user or the password (WRONGPASS)"
refuses "rediss://remediate:secret@$tls" "self-signed certificate"
refuses "rediss://remediate:secret@$tls?$cafile&servername=example.org" "hostname mismatch"
refuses "rediss://remediate:secret@$tls?cafile=/nowhere" "cafile /nowhere"
refuses "redis://remediate:secret@$tls?$cafile" "has no parameter 'cafile'"
timeout 20 redis-cli -p "$REDIS_PORT" set refused text >/dev/null
refuses "$plain/refused" "WRONGTYPE"
timeout 20 redis-cli -p "$REDIS_PORT" acl setuser reader on ">secret" "~*" +@read +select +ping >/dev/null
refuses "redis://reader:secret@127.0.0.1:$REDIS_PORT/other" "NOPERM"
port=$(free_port)
python3 - "$port" <<'PYTHON' &
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    client.recv(1)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
PYTHON
other=$!
wait_for_port "$port"
refuses "redis://127.0.0.1:$port/other" "what is no reply of Redis"
kill "$other"
other=
# The permissions that docs/transports.md names suffice.
timeout 20 redis-cli -p "$REDIS_PORT" acl setuser publisher on ">secret" "~least" "~least:*" +select "+script|load" +evalsha +get +set \
    +incr +hget +hset +hdel +xadd >/dev/null
timeout 20 redis-cli -p "$REDIS_PORT" acl setuser subscriber on ">secret" "~least" "~least:*" +select +hget +hscan +xread >/dev/null
timeout 60 "$remediate" publish "redis://publisher:secret@127.0.0.1:$REDIS_PORT/least" <tests/data/records.jsonl
timeout 60 "$remediate" audit tests/data/records.jsonl "redis://subscriber:secret@127.0.0.1:$REDIS_PORT/least" -q
echo secret >"$SERVERS_FOLDER/password"
timeout 60 "$remediate" publish "rediss://remediate@127.0.0.1:$REDIS_TLS_PORT/file?$cafile&password_file=$SERVERS_FOLDER/password" \
    <tests/data/records.jsonl

for how in trim large many; do
    REMED_REDIS=$plain/ timeout 200 "$faults" $how
done

echo "killed with -9 and started again, with a subscriber"
REMED_REDIS=$secure/ REMED_REDIS_QUERY=$cafile timeout 100 "$faults" follow 6 >"$SERVERS_FOLDER/followed" &
follower=$!
until grep -q running "$SERVERS_FOLDER/followed" || ! kill -0 $follower; do
    sleep 0.1 # the follower's own time is limited
done
sleep 1
kill -9 "$REDIS_PID"
sleep 1
servers_run_redis
wait_for $follower 100 || { cat "$SERVERS_FOLDER/followed"; exit 1; }
cat "$SERVERS_FOLDER/followed"

echo "killed with -9 in the middle of 100,000 publications"
python3 - >"$SERVERS_FOLDER/records" <<'PYTHON'
import json
for i in range(100000):
    print(json.dumps({"domain": "edge-1", "kind": "nat-binding", "sequence": i + 1,
          "body": {"protocol": "udp", "inside": f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}:1000",
                   "outside": f"198.51.100.1:{i % 65535 + 1}"}}))
PYTHON
mkfifo "$SERVERS_FOLDER/pipe"
# halves SECONDS: the records, with a pause in the middle.
halves() {
    head -50000 "$SERVERS_FOLDER/records"
    sleep "$1"
    tail -n +50001 "$SERVERS_FOLDER/records"
}
# expect_all STREAM: what was published is all there.
expect_all() {
    cat "$SERVERS_FOLDER/published"
    grep -q "published 100000, delivered 100000, lost 0" "$SERVERS_FOLDER/published"
    timeout 120 "$remediate" audit "$SERVERS_FOLDER/records" "$plain/$1" -q
}
halves 2 >"$SERVERS_FOLDER/pipe" &
timeout 200 "$remediate" publish "$plain/faults" <"$SERVERS_FOLDER/pipe" >"$SERVERS_FOLDER/published" &
publisher=$!
sleep 0.2
kill -9 "$REDIS_PID"
sleep 3
servers_run_redis
wait_for $publisher 200
expect_all faults

echo "its scripts flushed and its clients thrown out while publishing"
halves 2 >"$SERVERS_FOLDER/pipe" &
timeout 200 "$remediate" publish "$plain/thrown" <"$SERVERS_FOLDER/pipe" >"$SERVERS_FOLDER/published" &
publisher=$!
sleep 1
timeout 20 redis-cli -p "$REDIS_PORT" script flush >/dev/null
sleep 1.5
timeout 20 redis-cli -p "$REDIS_PORT" client kill type normal >/dev/null
wait_for $publisher 200
expect_all thrown

echo "stopped with SIGSTOP"
timeout 200 "$stop_check" run "$plain/stopped" "$REDIS_PID" "${REMED_STOP_SECONDS:-30}"
timeout 100 "$stop_check" close "$plain/closed" "$REDIS_PID"
