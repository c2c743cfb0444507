#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Replicas on a real Kafka broker: a group of three shares a million keys, one is killed, one comes, one
# goes; a replica joins at 150,000 live flows, is killed, and sees the broker killed, all with updates
# coming. Every step ends in an audit of 100 %. Usage: kafka_group_test.sh GROUP_CHECK JOIN_CHECK KEYS
set -eu
group_check=$1
join_check=$2
keys=$3
if ! command -v java >/dev/null 2>&1 || ! command -v mvn >/dev/null 2>&1; then
    echo "skipped: no java or no maven"
    exit 77
fi
SERVERS_FOLDER=$(mktemp -d)
. tests/servers/servers.sh
trap 'servers_stop; rm -rf "$SERVERS_FOLDER"' EXIT
servers_start_kafka

echo "a group of replicas"
mkdir "$SERVERS_FOLDER/group"
uri="kafka://127.0.0.1:$KAFKA_PORT/group?partitions=12"
timeout 500 "$group_check" "$uri&session.timeout.ms=6000&heartbeat.interval.ms=500" "$SERVERS_FOLDER/group" "$keys"

echo "a replica that joins"
mkdir "$SERVERS_FOLDER/join"
timeout 400 "$join_check" "kafka://127.0.0.1:$KAFKA_PORT/join?partitions=3" "$SERVERS_FOLDER/join" 150000 \
    "$KAFKA_PID" &
check=$!
while kill -0 $check 2>/dev/null && kill -0 "$KAFKA_PID" 2>/dev/null; do
    sleep 0.1 # until the check kills the broker
done
kill -0 "$KAFKA_PID" 2>/dev/null || servers_run_kafka
wait_for $check 400
