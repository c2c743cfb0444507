#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A secret in each place where one can stand, in failing calls of all commands: it is in nothing that
# they print, nor in what the libraries tell a host (errors, log, waiting).
set -u
remediate=${REMEDIATE:?}
check=$REMED_BUILD/tests/secrets_check
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
# Any four letters of it in a row are too many; none is in another word here.
secret=Xy7QzZ9kvJw3
pattern='Xy7Q\|y7Qz\|7QzZ\|QzZ9\|zZ9k\|Z9kv\|9kvJ\|kvJw\|vJw3'
bad=0 calls=0

# call ARGUMENT...: runs the command for a moment and searches what it prints.
moment=0.4
call() {
    calls=$((calls + 1))
    timeout $moment "$remediate" "$@" </dev/null >"$work/out" 2>&1
    if grep -q "$pattern" "$work/out"; then
        echo "a secret is printed by: $*"
        cat "$work/out"
        bad=1
    fi
}

# tell URI MILLISECONDS: the same for what the libraries say.
tell() {
    calls=$((calls + 1))
    timeout 20 "$check" "$1" "$2" >"$work/out" 2>&1 || { echo "failed: $1"; cat "$work/out"; bad=1; }
    if grep -q "$pattern" "$work/out"; then
        echo "a secret is told of: $1"
        cat "$work/out"
        bad=1
    fi
}

# A server that refuses everything and quotes what it got.
cat >"$work/server.py" <<'PYTHON'
import re, socket, sys, threading
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
def serve(client):
    try:
        while data := client.recv(65536):
            text = re.sub(rb"[\r\n]+", b" ", data)[:120]
            client.sendall(b"-ERR refused '" + text + b"'\r\n" if b"AUTH" not in data or len(sys.argv) > 1
                           else b"-ERR unknown command 'AUTH', with args beginning with: " + text + b"\r\n")
    except OSError:
        pass
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
PYTHON
python3 "$work/server.py" >"$work/port" &
server=$!
for _ in $(seq 100); do
    [ -s "$work/port" ] && break
    sleep 0.1
done
port=$(cat "$work/port")

echo "$secret" >"$work/password"
printf 'sasl.password=%s\nsasl.foo=%s\n' "$secret" "$secret" >"$work/unknown.properties"
printf 'security.protocol=SSL\nssl.key.pem=-----BEGIN %s\n' "$secret" >"$work/pem.properties"
printf 'sasl.mechanism=OAUTHBEARER\nsecurity.protocol=SASL_PLAINTEXT\nsasl.oauthbearer.config=%s\n' "$secret" \
    >"$work/oauth.properties"
printf '%s\n' "$secret" >"$work/no.properties"
printf 'sasl.password=%05000d\n%s=%s\n' 0 "$secret" "$secret" >"$work/long.properties"
printf '1 hmac-sha256 %s\n' "$secret" >"$work/keys"
printf '%s\n' "$secret" >"$work/keys2"
printf -- '-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n' "$secret" >"$work/key.pem"
printf -- '-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n' "$secret" >"$work/cert.pem"
chmod 600 "$work"/*

h=127.0.0.1
set -- \
    "redis://bob:$secret@$h:99999/s" "redis://bob:$secret@$h:1/s" "redis://:$secret@$h:$port/s" \
    "redis://bob:$secret@$h:$port/s" "redis://bob:p@$secret@$h:1/s" "redis://bob:$secret/x@$h:1/s" \
    "redis://bob:$secret?x@$h:1/s" "redis://bob:$secret#x@$h:1/s" "redis://bob:$secret%@$h/s" "redis://bob:$secret@$h" \
    "redis://bob:$secret@$h/a/b" "redis://bob:$secret@$h/s?db=x" "redis://bob:$secret/s" "redis://$h/s?password=$secret" \
    "redis://$h/s?db=0&$secret" "redis://$h/s?db=0&$secret=1" "redis://bob:$secret@$h:1,$h:2/s" \
    "rediss://bob:$secret@$h:$port/s" "rediss://bob:$secret@$h:1/s?cert=$work/cert.pem&key=$work/key.pem" \
    "rediss://$h:1/s?cafile=$work/key.pem" "redis://bob@$h:$port/s?password_file=$work/password" \
    "rediss:bob:$secret@$h/s" "redis:/bob:$secret@$h/s" "//bob:$secret@$h/s" "bob:$secret@$h:6379/s" "x://bob:$secret@$h/s" \
    "kafka://bob:$secret@$h:9/t" "kafka://$h:9/t?sasl.password=$secret" "kafka://$h:9/t?sasl.password=$secret&sasl.foo=1" \
    "kafka://$h:9/t?sasl.foo=$secret" "kafka://$h:9/t?$secret" "kafka://$h:9/t?$secret=1" "kafka://$h:9/t&sasl.password=$secret" \
    "kafka://$h:9/t?sasl.password=a&$secret=b" "kafka://$h:9/t?security.protocol=$secret" "kafka://$h:9/t?linger.ms=$secret" \
    "kafka://$h:9/t?sasl.mechanism=$secret" "kafka://$h:9/t?security.protocol=SASL_PLAINTEXT&sasl.mechanism=PLAIN&sasl.username=u&sasl.password=$secret" \
    "kafka://$h:9/t?security.protocol=SSL&ssl.key.pem=$secret" "kafka://$h:9/t?security.protocol=SSL&ssl.certificate.pem=$secret" \
    "kafka://$h:9/t?security.protocol=SSL&ssl.key.location=$work/key.pem&ssl.key.password=$secret" \
    "kafka://$h:9/t?security.protocol=SSL&ssl.keystore.location=$work/key.pem&ssl.keystore.password=$secret" \
    "kafka://$h:9/t?security.protocol=SASL_PLAINTEXT&sasl.mechanism=OAUTHBEARER&enable.sasl.oauthbearer.unsecure.jwt=true&sasl.oauthbearer.config=$secret" \
    "kafka://$h:9/t?security.protocol=SASL_PLAINTEXT&sasl.mechanism=OAUTHBEARER&sasl.oauthbearer.client.secret=$secret" \
    "kafka://$h:9/t?enable.ssl.certificate.verification=$secret" "kafka://$h:9/t?debug=all&sasl.password=$secret&security.protocol=SASL_PLAINTEXT&sasl.mechanism=PLAIN&sasl.username=u" \
    "kafka://$h:9/t?sasl%2Epassword=$secret" "kafka://$h:9/t?start=$secret" "kafka://$h:9/t?partitions=$secret" \
    "kafka://$h:9/t?properties=$work/unknown.properties" "kafka://$h:9/t?properties=$work/pem.properties" \
    "kafka://$h:9/t?properties=$work/oauth.properties" "kafka://$h:9/t?properties=$work/no.properties" \
    "kafka://$h:9/t?properties=$work/long.properties"
for uri; do
    call publish "$uri"
    call publish "$uri" --spool "$work/spool" --wait 10ms
    call listen - --rules conntrack "$uri"
    moment=1.3 # it says what it waits for after a second
    call watch "$uri" --from begin
    moment=0.4
    call snapshot "$uri"
    call snapshot "$uri" --output "$work/saved"
    call audit "$uri" tests/data/records.jsonl
    if [ -x "$check" ]; then
        tell "$uri" 150
    fi
done
[ -x "$check" ] || echo "left out: what the libraries tell, as $check is not built"

echo "in the wrong place of the command line"
for uri in "redis://bob:$secret@$h/s" "kafka://$h:9/t?sasl.password=$secret"; do
    for command in mirror flows policy publish watch snapshot audit listen parse rules; do
        call "$command" "$uri" "$uri"
        call "$command" "$uri" -Z
        call "$command" -r "$uri"
        call "$command" --wait "$uri"
        call "$command" "--wait=$uri"
        call "$command" "--password=$secret"
        call "$command" "--json=$secret"
        call "$command" --rules "$uri" -
        call "$command" --from "$uri" "file://$work/none"
        call "$command" --policy "$uri"
        call "$command" --epoch "$uri" x
        call "$command" --max-entries "$uri" x
        call "$command" --leaves "$uri" x
        call "$command" --leaves "@$uri" - -
        call "$command" "--leaves=@$uri" - -
        call "$command" --key "$uri" x
    done
    for command in check print explain presets; do
        call policy "$command" "$uri"
    done
    call "$uri"
    call rules check "$uri"
    call watch "file://$work/none?x=$secret"
done

echo "where a URI is read as something else"
for uri in "redis:/bob:$secret@$h/s" "redis//bob:$secret@$h/s" "redis:bob:$secret@$h/s" "redis//$secret@$h" "$secret@$h:1" \
    "any; redis:/bob:$secret@$h/s" "redis://[$secret]:1/s" "redis://[$secret]/s" "redis://[::1%$secret]:1/s"; do
    for command in check print explain presets; do
        call policy "$command" "$uri"
    done
    call rules check "$uri"
    call parse --rules "$uri" -
    call listen - --rules "$uri" "file://$work/x"
    call mirror --filter "$uri" -i lo
    call watch "$uri" --policy "$uri"
    call publish "$uri" --filter "$uri"
    call audit --leaves "@$uri" - -
    call snapshot "$uri"
done
for kind in syslog syslog+tcp; do
    call listen "$kind://bob:$secret" --rules conntrack "file://$work/x"
    call listen "$kind://$h:$secret" --rules conntrack "file://$work/x"
    call listen "$kind://[::1]:$secret" --rules conntrack "file://$work/x"
done

echo "in files of keys"
for file in keys keys2 key.pem; do
    call publish "file://$work/signed" --sign "$work/$file"
    call watch "file://$work/signed" --verify "$work/$file"
    call snapshot "file://$work/signed" --verify "$work/$file"
    call listen - --rules conntrack "file://$work/signed" --sign "$work/$file"
    call listen "syslog+tls://$h:0?cert=$work/cert.pem&key=$work/$file" --rules conntrack "file://$work/x"
done
call listen "syslog+tls://bob:$secret@$h:0?cert=$work/cert.pem&key=$work/key.pem" --rules conntrack "file://$work/x"
call listen "syslog+tls://$h:0?password=$secret" --rules conntrack "file://$work/x"
call listen "syslog://bob:$secret@$h:0" --rules conntrack "file://$work/x"
echo "$calls calls"
exit $bad
