#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A real Kafka broker: the conformance suite in the clear and over TLS with SASL; the broker killed with
# -9 and started again in the middle of 100,000 publications, and stopped with SIGSTOP. Nothing is lost,
# by audit. Usage: kafka_test.sh KAFKA_CHECK
set -eu
check=$1
remediate=${REMEDIATE:?}
if ! command -v java >/dev/null 2>&1 || ! command -v mvn >/dev/null 2>&1; then
    echo "skipped: no java or no maven"
    exit 77
fi
SERVERS_FOLDER=$(mktemp -d)
. tests/servers/servers.sh
trap 'servers_stop; rm -rf "$SERVERS_FOLDER"' EXIT
servers_start_kafka

REMED_KAFKA=127.0.0.1:$KAFKA_PORT "$check"
REMED_KAFKA=127.0.0.1:$KAFKA_TLS_PORT \
    REMED_KAFKA_QUERY="security.protocol=SASL_SSL&sasl.mechanism=PLAIN&sasl.username=remediate&sasl.password=secret&ssl.ca.location=$SERVERS_FOLDER/cert.pem" \
    "$check"

echo "a snapshot file of three partitions tells of each entry which it came from"
uri="kafka://127.0.0.1:$KAFKA_PORT/parts?partitions=3"
i=0
while [ $i -lt 60 ]; do
    echo "{\"domain\":\"edge-1\",\"kind\":\"counter\",\"body\":{\"name\":\"c$i\",\"value\":1}}"
    i=$((i + 1))
done | "$remediate" publish "$uri"
"$remediate" snapshot "$uri" --output "$SERVERS_FOLDER/saved"
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
"$remediate" publish "$uri" <"$SERVERS_FOLDER/pipe" >"$SERVERS_FOLDER/published" &
publisher=$!
sleep 1
kill -9 "$KAFKA_PID"
sleep 2
servers_run_kafka
wait $publisher
cat "$SERVERS_FOLDER/published"
grep -q "published 100000, delivered 100000, lost 0" "$SERVERS_FOLDER/published"
"$remediate" audit "$SERVERS_FOLDER/records" "$uri" -q

echo "stopped with SIGSTOP for 8 seconds while publishing"
kill -STOP "$KAFKA_PID"
(
    sleep 8
    kill -CONT "$KAFKA_PID"
) &
begin=$(date +%s)
"$remediate" publish "kafka://127.0.0.1:$KAFKA_PORT/stopped" <"$SERVERS_FOLDER/records" >"$SERVERS_FOLDER/published"
echo "took $(($(date +%s) - begin)) s"
cat "$SERVERS_FOLDER/published"
grep -q "published 100000, delivered 100000, lost 0" "$SERVERS_FOLDER/published"
"$remediate" audit "$SERVERS_FOLDER/records" "kafka://127.0.0.1:$KAFKA_PORT/stopped" -q
