#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A Kafka broker that starts: publish at once when its port is open, and before there is one, with and
# without brokers that make topics by themselves; 20,000 records each, none of them lost. What will
# never be is an error, within the time of start=.
# Usage: kafka_start_test.sh ROUNDS
set -eu
rounds=$1
remediate=${REMEDIATE:?}
if ! command -v java >/dev/null 2>&1 || ! command -v mvn >/dev/null 2>&1; then
    echo "skipped: no java or no maven"
    exit 77
fi
SERVERS_FOLDER=$(mktemp -d)
. tests/servers/servers.sh
trap 'servers_stop; rm -rf "$SERVERS_FOLDER"' EXIT
servers_fetch_kafka
servers_make_certificate
python3 - >"$SERVERS_FOLDER/records" <<'PYTHON'
import json
for i in range(20000):
    print(json.dumps({"domain": "edge-1", "kind": "counter", "sequence": i + 1,
                      "body": {"name": f"c{i}", "value": i}}))
PYTHON

# A broker without any memory, on other ports.
anew() {
    [ -z "${KAFKA_PID:-}" ] || { kill -9 "$KAFKA_PID"; wait "$KAFKA_PID" 2>/dev/null || true; }
    KAFKA_PID=''
    rm -rf "$SERVERS_FOLDER/kafka"
    servers_configure_kafka
    [ $(($1 / 2 % 2)) -eq 0 ] ||
        sed -i 's/auto.create.topics.enable=false/auto.create.topics.enable=true/' "$SERVERS_FOLDER/kafka.properties"
}

publish() {
    timeout 150 "$remediate" publish "kafka://127.0.0.1:$KAFKA_PORT/start?partitions=3" \
        <"$SERVERS_FOLDER/records" >"$SERVERS_FOLDER/published" 2>"$SERVERS_FOLDER/said"
}

round=0
while [ "$round" -lt "$rounds" ]; do
    anew "$round"
    if [ $((round % 2)) -eq 0 ]; then
        publish & publisher=$!
        timeout 150 "$remediate" watch --once --from begin "kafka://127.0.0.1:$KAFKA_PORT/start?partitions=3" \
            >/dev/null 2>"$SERVERS_FOLDER/watched" & watcher=$!
        sleep 2.5
        servers_launch_kafka
    else
        servers_run_kafka
        publish & publisher=$!
    fi
    wait_for "$publisher" 160 || { cat "$SERVERS_FOLDER/said" "$SERVERS_FOLDER/published"; exit 1; }
    cat "$SERVERS_FOLDER/published"
    grep -q "published 20000, delivered 20000, lost 0" "$SERVERS_FOLDER/published"
    if [ $((round % 2)) -eq 0 ]; then
        wait_for "$watcher" 150
        for said in "waits: 127.0.0.1:$KAFKA_PORT.*refused; tries again" "there again"; do
            grep -q "$said" "$SERVERS_FOLDER/watched" ||
                { echo "not told: $said"; cat "$SERVERS_FOLDER/watched"; exit 1; }
        done
    fi
    timeout 120 "$remediate" audit "$SERVERS_FOLDER/records" "kafka://127.0.0.1:$KAFKA_PORT/start" -q
    round=$((round + 1))
done

echo "brokers that make topics by themselves did not make this one"
# They would have made it of one partition, and not compacted.
[ -d "$SERVERS_FOLDER/kafka/start-2" ]
grep -aq "cleanup.policy" "$SERVERS_FOLDER"/kafka/__cluster_metadata-0/*.log

echo "what will never be is an error after the time of a start, with its cause"
status=0
timeout 60 "$remediate" publish "kafka://127.0.0.1:$KAFKA_PORT/never?replication=7&start=3s" \
    <tests/data/records.jsonl >"$SERVERS_FOLDER/published" 2>"$SERVERS_FOLDER/said" || status=$?
cat "$SERVERS_FOLDER/said"
[ $status -eq 1 ] && grep -qi "replication factor" "$SERVERS_FOLDER/said"
