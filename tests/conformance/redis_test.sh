#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A real Redis server: the conformance suite in the clear and over TLS with a user; what it refuses;
# entries trimmed away; several publishers; the server killed with -9 and started again in the middle
# of 100,000 publications, and stopped with SIGSTOP. Nothing is lost, by audit.
# Usage: redis_test.sh REDIS_CHECK REDIS_FAULTS_CHECK
set -eu
check=$1
faults=$2
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

REMED_REDIS=$plain/ "$check"
REMED_REDIS=$secure/ REMED_REDIS_QUERY=$cafile "$check"

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
redis-cli -p "$REDIS_PORT" set refused text >/dev/null
refuses "$plain/refused" "WRONGTYPE"
redis-cli -p "$REDIS_PORT" acl setuser reader on ">secret" "~*" +@read +select +ping >/dev/null
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
redis-cli -p "$REDIS_PORT" acl setuser publisher on ">secret" "~least" "~least:*" +select "+script|load" +evalsha +get +set \
    +incr +hget +hset +hdel +xadd >/dev/null
redis-cli -p "$REDIS_PORT" acl setuser subscriber on ">secret" "~least" "~least:*" +select +hget +hscan +xread >/dev/null
"$remediate" publish "redis://publisher:secret@127.0.0.1:$REDIS_PORT/least" <tests/data/records.jsonl
"$remediate" audit tests/data/records.jsonl "redis://subscriber:secret@127.0.0.1:$REDIS_PORT/least" -q
echo secret >"$SERVERS_FOLDER/password"
"$remediate" publish "rediss://remediate@localhost:$REDIS_TLS_PORT/file?$cafile&password_file=$SERVERS_FOLDER/password" \
    <tests/data/records.jsonl

for how in trim large many; do
    REMED_REDIS=$plain/ "$faults" $how
done

echo "killed with -9 and started again, with a subscriber"
REMED_REDIS=$secure/ REMED_REDIS_QUERY=$cafile "$faults" follow 6 >"$SERVERS_FOLDER/followed" &
follower=$!
until grep -q running "$SERVERS_FOLDER/followed" || ! kill -0 $follower; do
    sleep 0.1
done
sleep 1
kill -9 "$REDIS_PID"
sleep 1
servers_run_redis
wait $follower || { cat "$SERVERS_FOLDER/followed"; exit 1; }
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
    "$remediate" audit "$SERVERS_FOLDER/records" "$plain/$1" -q
}
halves 2 >"$SERVERS_FOLDER/pipe" &
"$remediate" publish "$plain/faults" <"$SERVERS_FOLDER/pipe" >"$SERVERS_FOLDER/published" &
publisher=$!
sleep 0.2
kill -9 "$REDIS_PID"
sleep 3
servers_run_redis
wait $publisher
expect_all faults

echo "its scripts flushed and its clients thrown out while publishing"
halves 2 >"$SERVERS_FOLDER/pipe" &
"$remediate" publish "$plain/thrown" <"$SERVERS_FOLDER/pipe" >"$SERVERS_FOLDER/published" &
publisher=$!
sleep 1
redis-cli -p "$REDIS_PORT" script flush >/dev/null
sleep 1.5
redis-cli -p "$REDIS_PORT" client kill type normal >/dev/null
wait $publisher
expect_all thrown

seconds=${REMED_STOP_SECONDS:-8}
echo "stopped with SIGSTOP for $seconds seconds"
REMED_REDIS=$plain/ "$faults" stop "$REDIS_PID" "$seconds"
