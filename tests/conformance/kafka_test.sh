#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A real Kafka broker: the conformance suite in the clear and over TLS with SASL; the broker killed with
# -9 and started again in the middle of 100,000 publications; stopped with SIGSTOP for 30 s. Nothing is
# lost, by audit, and no call blocks. Usage: kafka_test.sh KAFKA_CHECK STOP_CHECK DESCRIPTORS_CHECK
set -eu
check=$1
stop_check=$2
descriptors_check=$3
remediate=${REMEDIATE:?}
if ! command -v java >/dev/null 2>&1 || ! command -v mvn >/dev/null 2>&1; then
    echo "skipped: no java or no maven"
    exit 77
fi
SERVERS_FOLDER=$(mktemp -d)
. tests/servers/servers.sh
trap 'servers_stop; rm -rf "$SERVERS_FOLDER"' EXIT
servers_start_kafka

REMED_KAFKA=127.0.0.1:$KAFKA_PORT timeout 400 "$check"
REMED_KAFKA=127.0.0.1:$KAFKA_TLS_PORT \
    REMED_KAFKA_QUERY="security.protocol=SASL_SSL&sasl.mechanism=PLAIN&sasl.username=remediate&sasl.password=secret&ssl.ca.location=$SERVERS_FOLDER/cert.pem" \
    timeout 400 "$check"
timeout 200 "$descriptors_check" "kafka://127.0.0.1:$KAFKA_PORT/descriptors"

echo "a position belongs to its topic and cluster"
timeout 60 "$remediate" publish "kafka://127.0.0.1:$KAFKA_PORT/edge-1" <tests/data/records.jsonl
timeout 60 "$remediate" publish "kafka://127.0.0.1:$KAFKA_PORT/edge-2" <tests/data/records.jsonl
position=$(timeout 60 "$remediate" watch --once --from begin "kafka://127.0.0.1:$KAFKA_PORT/edge-1" 2>&1 >/dev/null |
    sed -n 's/^position: //p')
echo "  $position"
timeout 60 "$remediate" watch --once --from "$position" "kafka://127.0.0.1:$KAFKA_PORT/edge-1"
# says FROM TOPIC WORDS: watching from there ends in an error with these words.
says() {
    if timeout 60 "$remediate" watch --once --from "$1" "kafka://127.0.0.1:$KAFKA_PORT/$2" >"$SERVERS_FOLDER/out" 2>&1; then
        echo "taken: $1 by $2"
        return 1
    fi
    grep -q "$3" "$SERVERS_FOLDER/out" || { cat "$SERVERS_FOLDER/out"; return 1; }
    sed -n '/^remediate:/{s/^/  /p;q}' "$SERVERS_FOLDER/out"
}
says "$position" edge-2 "belongs to topic edge-1, this is topic edge-2"
says "kafka:another${position#kafka:}" edge-1 "belongs to cluster another"
says "${position##*/}" edge-1 "older version"

echo "a password that is wrong is an error after the time of a start, and is not printed"
status=0
timeout 60 "$remediate" publish "kafka://127.0.0.1:$KAFKA_TLS_PORT/x?start=3s&security.protocol=SASL_SSL&sasl.mechanism=PLAIN&sasl.username=remediate&sasl.password=mistake&ssl.ca.location=$SERVERS_FOLDER/cert.pem" \
    <tests/data/records.jsonl >"$SERVERS_FOLDER/out" 2>&1 || status=$?
cat "$SERVERS_FOLDER/out"
[ $status -eq 1 ] && grep -qi "authentication" "$SERVERS_FOLDER/out"
! grep -q mistake "$SERVERS_FOLDER/out" || exit 1

echo "a snapshot file of three partitions tells of each entry which it came from"
uri="kafka://127.0.0.1:$KAFKA_PORT/parts?partitions=3"
i=0
while [ $i -lt 60 ]; do
    echo "{\"domain\":\"edge-1\",\"kind\":\"counter\",\"body\":{\"name\":\"c$i\",\"value\":1}}"
    i=$((i + 1))
done | timeout 60 "$remediate" publish "$uri"
timeout 60 "$remediate" snapshot "$uri" --output "$SERVERS_FOLDER/saved"
python3 - "$SERVERS_FOLDER/saved" <<'PYTHON'
import struct, sys
data = open(sys.argv[1], "rb").read()
at, seen = 24, {}
while at < len(data):
    key, value = struct.unpack_from("<II", data, at + 16)
    partition = struct.unpack_from("<I", data, at + 24 + key + 1)[0]
    if at > 24:  # the first record is the position
        seen[partition] = seen.get(partition, 0) + 1
    at += 24 + key + value
print(seen)
sys.exit(sorted(seen) != [0, 1, 2] or sum(seen.values()) != 60)
PYTHON

echo "killed with -9 in the middle of 100,000 publications"
python3 - >"$SERVERS_FOLDER/records" <<'PYTHON'
import json
for i in range(100000):
    print(json.dumps({"domain": "edge-1", "kind": "nat-binding", "sequence": i + 1,
          "body": {"protocol": "udp", "inside": f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}:1000",
                   "outside": f"198.51.100.1:{i % 65535 + 1}"}}))
PYTHON
uri=kafka://127.0.0.1:$KAFKA_PORT/faults
mkfifo "$SERVERS_FOLDER/pipe"
{
    head -50000 "$SERVERS_FOLDER/records"
    sleep 2
    tail -n +50001 "$SERVERS_FOLDER/records"
} >"$SERVERS_FOLDER/pipe" &
timeout 200 "$remediate" publish "$uri" <"$SERVERS_FOLDER/pipe" >"$SERVERS_FOLDER/published" &
publisher=$!
sleep 1
kill -9 "$KAFKA_PID"
sleep 2
servers_run_kafka
wait_for $publisher 200
cat "$SERVERS_FOLDER/published"
grep -q "published 100000, delivered 100000, lost 0" "$SERVERS_FOLDER/published"
timeout 120 "$remediate" audit "$SERVERS_FOLDER/records" "$uri" -q

echo "stopped with SIGSTOP"
timeout 200 "$stop_check" run "kafka://127.0.0.1:$KAFKA_PORT/stopped?partitions=3" "$KAFKA_PID" "${REMED_STOP_SECONDS:-30}"
uri="kafka://127.0.0.1:$KAFKA_PORT/closed?partitions=3"
timeout 100 "$stop_check" close "$uri" "$KAFKA_PID" "$uri&group=closers"
