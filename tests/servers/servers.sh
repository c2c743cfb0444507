# shellcheck shell=sh
# SPDX-License-Identifier: BSD-3-Clause
# Sourced: servers_start_kafka and servers_start_redis start real servers on free ports of the loopback,
# in $SERVERS_FOLDER; servers_stop stops what runs. Jars come from Maven Central once, into a cache.

servers_cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/libremediate

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Waits for a program that runs in the background, at most so many seconds, then ends it and fails.
# wait_for PID SECONDS
wait_for() {
    wait_left=$(($2 * 10))
    while kill -0 "$1" 2>/dev/null && [ $wait_left -gt 0 ]; do
        sleep 0.1
        wait_left=$((wait_left - 1))
    done
    if [ $wait_left -eq 0 ]; then
        echo "not done after $2 s" >&2
        kill -9 "$1" 2>/dev/null || true
    fi
    wait "$1"
}

wait_for_port() {
    for _ in $(seq 300); do
        if python3 -c "import socket; socket.create_connection(('127.0.0.1', $1), 1)" 2>/dev/null; then
            return 0
        fi
        sleep 0.1
    done
    echo "nothing listens on port $1" >&2
    return 1
}

# A certificate of our own for localhost, in PEM and as Java's key store.
servers_make_certificate() {
    [ ! -f "$SERVERS_FOLDER/cert.pem" ] || return 0
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout "$SERVERS_FOLDER/key.pem" -out "$SERVERS_FOLDER/cert.pem" 2>/dev/null
    openssl pkcs12 -export -in "$SERVERS_FOLDER/cert.pem" -inkey "$SERVERS_FOLDER/key.pem" \
        -out "$SERVERS_FOLDER/store.p12" -passout pass:secret -name broker
}

servers_fetch_kafka() {
    [ ! -f "$servers_cache/kafka/complete" ] || return 0
    echo "fetching a Kafka broker"
    timeout 600 mvn -q -B -f tests/servers/pom.xml dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$servers_cache/kafka" >"$SERVERS_FOLDER/fetch.log" 2>&1 ||
        { tail -5 "$SERVERS_FOLDER/fetch.log" >&2; return 1; }
    touch "$servers_cache/kafka/complete"
}

# Sets KAFKA_PORT (plain) and KAFKA_TLS_PORT (TLS with SASL/PLAIN, user remediate, password secret).
servers_configure_kafka() {
    KAFKA_PORT=$(free_port)
    KAFKA_TLS_PORT=$(free_port)
    controller=$(free_port)
    cat >"$SERVERS_FOLDER/kafka.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
listeners=PLAIN://127.0.0.1:$KAFKA_PORT,CONTROLLER://127.0.0.1:$controller,SECURE://127.0.0.1:$KAFKA_TLS_PORT
advertised.listeners=PLAIN://127.0.0.1:$KAFKA_PORT,SECURE://127.0.0.1:$KAFKA_TLS_PORT
listener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
inter.broker.listener.name=PLAIN
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=PLAIN
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_remediate="secret";
listener.name.secure.ssl.keystore.location=$SERVERS_FOLDER/store.p12
listener.name.secure.ssl.keystore.type=PKCS12
listener.name.secure.ssl.keystore.password=secret
log.dirs=$SERVERS_FOLDER/kafka
log.cleaner.backoff.ms=500
log.retention.check.interval.ms=1000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
PROPERTIES
    timeout 120 java -cp "$servers_cache/kafka/*" kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qk \
        -c "$SERVERS_FOLDER/kafka.properties" >"$SERVERS_FOLDER/kafka-format.log" 2>&1
}

# Starts, or starts again, the broker that is configured, and does not wait; sets KAFKA_PID.
servers_launch_kafka() {
    java -Xmx400m -XX:+UseSerialGC -cp "$servers_cache/kafka/*" kafka.Kafka \
        "$SERVERS_FOLDER/kafka.properties" >>"$SERVERS_FOLDER/kafka.log" 2>&1 &
    KAFKA_PID=$!
}

# The same, and waits for its port.
servers_run_kafka() {
    servers_launch_kafka && wait_for_port "$KAFKA_PORT"
}

servers_start_kafka() {
    servers_fetch_kafka && servers_make_certificate && servers_configure_kafka && servers_run_kafka
}

# Sets REDIS_PORT (plain) and REDIS_TLS_PORT; both want user remediate, password secret, but for the
# default user of the plain one. What is acknowledged is on the disk.
servers_configure_redis() {
    REDIS_PORT=$(free_port)
    REDIS_TLS_PORT=$(free_port)
    mkdir -p "$SERVERS_FOLDER/redis"
    cat >"$SERVERS_FOLDER/redis.conf" <<CONFIGURATION
bind 127.0.0.1
port $REDIS_PORT
tls-port $REDIS_TLS_PORT
tls-cert-file $SERVERS_FOLDER/cert.pem
tls-key-file $SERVERS_FOLDER/key.pem
tls-ca-cert-file $SERVERS_FOLDER/cert.pem
tls-auth-clients no
user remediate on >secret ~* +@all
dir $SERVERS_FOLDER/redis
appendonly yes
appendfsync always
save ""
CONFIGURATION
}

# Starts, or starts again, the server that is configured; sets REDIS_PID.
servers_run_redis() {
    redis-server "$SERVERS_FOLDER/redis.conf" >>"$SERVERS_FOLDER/redis.log" 2>&1 &
    REDIS_PID=$!
    wait_for_port "$REDIS_PORT"
}

servers_start_redis() {
    servers_make_certificate && servers_configure_redis && servers_run_redis
}

servers_stop() {
    [ -z "${KAFKA_PID:-}" ] || kill -9 "$KAFKA_PID" 2>/dev/null || true
    [ -z "${REDIS_PID:-}" ] || kill -9 "$REDIS_PID" 2>/dev/null || true
    KAFKA_PID='' REDIS_PID=''
}
