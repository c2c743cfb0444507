#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Starts a Redis server, with what it acknowledges on the disk, and runs bench_redis on it. A rate's
# ratio is better when larger, an age's when smaller. Usage: run_redis.sh BENCH_REDIS
set -eu
cd "$(dirname "$0")/../.."
SERVERS_FOLDER=$(mktemp -d)
. tests/servers/servers.sh
trap 'servers_stop; rm -rf "$SERVERS_FOLDER"' EXIT
servers_start_redis
REMED_REDIS=127.0.0.1:$REDIS_PORT "$1"
