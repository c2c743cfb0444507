#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Whatever the umask: files that hold state or records are 0600, folders 0700, and what was more open is taken
# back or refused. A stranger holds no lock of ours, and files that are not ours stay.
set -eu
export LC_ALL=C
remediate=${REMEDIATE:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
    echo "$*"
    exit 1
}
record='{"domain":"d","kind":"counter","body":{"name":"x","value":1}}'
line='[NEW] tcp 6 120 SYN_SENT src=10.0.0.7 dst=203.0.113.9 sport=40001 dport=443 [UNREPLIED] src=203.0.113.9 dst=198.51.100.1 sport=443 dport=40001'

# Every file below a folder, and the folders themselves.
check_modes() {
    find "$1" -mindepth 1 \( -type f ! -perm 0600 -o -type d ! -perm 0700 \) -printf '%m %p\n' >"$work.bad"
    [ ! -s "$work.bad" ] || fail "umask $2: $(cat "$work.bad")"
}

for mask in 0000 0022 0077 0777; do
    box=$work/$mask
    mkdir -p "$box" "$work/input"
    echo "$line" >"$work/input/log"
    echo "nonsense" >>"$work/input/log"
    (
        umask $mask
        echo "$record" | "$remediate" publish "file://$box/r?segment=4KiB&compact=1" >/dev/null
        echo "$record" | "$remediate" publish "file://$box/r" --spool "$box/s" >/dev/null
        echo "$record" | "$remediate" publish redis://127.0.0.1:1/x --spool "$box/away" --wait 50ms >/dev/null 2>&1 || true
        "$remediate" snapshot "file://$box/r" -o "$box/snap"
        "$remediate" listen - --rules conntrack --unmatched "$box/unmatched" "file://$box/l" \
            <"$work/input/log" >/dev/null
        "$remediate" listen "file://$work/input/log?from=begin&state=$box/state&poll=10ms" --rules conntrack \
            "file://$box/f" >/dev/null 2>&1 &
        listen=$!
        for _ in $(seq 100); do
            [ ! -e "$box/state" ] || break
            sleep 0.05
        done
        kill -TERM $listen
        wait $listen
    ) || fail "umask $mask: a command fails"
    for made in r/lock s/lock away/lock snap unmatched l/lock state f/lock; do
        [ -e "$box/$made" ] || fail "umask $mask: no $made"
    done
    [ -s "$box/unmatched" ] || fail "umask $mask: nothing in the file of unmatched lines"
    check_modes "$box" $mask
done
echo "modes: four umasks, all 0600 and 0700"

echo "what was more open is taken back"
chmod -R a+rwX "$work/0022/r"
echo "$record" | "$remediate" publish "file://$work/0022/r" >/dev/null
[ "$(stat -c %a "$work/0022/r")" = 700 ] || fail "the folder stays open to others"
[ "$(stat -c %a "$work/0022/r/lock")" = 600 ] || fail "the lock stays open to others"

echo "a folder of something else, open to others, is refused"
mkdir "$work/open"
echo mine >"$work/open/thesis"
chmod 0777 "$work/open"
code=0
echo "$record" | "$remediate" publish "file://$work/open" >/dev/null 2>"$work/err" || code=$?
[ $code = 1 ] || fail "exit $code: $(cat "$work/err")"
grep -q "chmod" "$work/err" || fail "no remedy: $(cat "$work/err")"

echo "files that are not ours stay"
for name in thesis.tmp compaction.tmp front.tmp snap.tmp notes.log 1.log .hidden; do
    echo mine >"$work/0022/r/$name"
    echo mine >"$work/0022/s/$name"
done
echo mine >"$work/0022/snap.tmp"
for _ in 1 2 3; do
    echo "$record" | "$remediate" publish "file://$work/0022/r?segment=4KiB&compact=1" --spool "$work/0022/s" >/dev/null
    "$remediate" snapshot "file://$work/0022/r" -o "$work/0022/snap"
done
for name in r/thesis.tmp r/compaction.tmp r/notes.log r/.hidden s/thesis.tmp s/front.tmp s/notes.log snap.tmp; do
    [ "$(cat "$work/0022/$name" 2>/dev/null)" = mine ] || fail "$name is gone"
done

echo "a sample goes through no link, and into no pipe"
echo mine >"$work/victim"
chmod 0644 "$work/victim"
ln -s "$work/victim" "$work/link"
ln -s "$work/none" "$work/dangling"
ln "$work/victim" "$work/second"
mkfifo "$work/pipe"
for name in link dangling second pipe input; do
    code=0
    echo nonsense | timeout 10 "$remediate" listen - --rules conntrack --unmatched "$work/$name" "file://$work/u" \
        >/dev/null 2>"$work/err" || code=$?
    [ $code = 1 ] || fail "$name: exit $code: $(cat "$work/err")"
    grep -q "$work/$name: " "$work/err" || fail "$name: no cause: $(cat "$work/err")"
done
[ "$(cat "$work/victim")" = mine ] || fail "the file that a link leads to is written to"
[ "$(stat -c %a "$work/victim")" = 644 ] || fail "the file that a link leads to has another mode"
[ ! -e "$work/none" ] || fail "the file that a link leads to is made"

if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null; then
    echo "left out: another user, as this is not root or setpriv is missing"
    exit 0
fi
stranger() {
    setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"
}
echo "a stranger can't hold the lock, nor read"
chmod 755 "$work"
for folder in r s; do
    ! stranger flock -n "$work/0022/$folder/lock" true 2>/dev/null || fail "a stranger locks $folder"
    ! stranger ls "$work/0022/$folder" >/dev/null 2>&1 || fail "a stranger lists $folder"
done
! stranger cat "$work/0022/snap" >/dev/null 2>&1 || fail "a stranger reads the snapshot"

echo "what a stranger laid there is not written to"
mkdir -m 0755 "$work/theirs"
chown 65534 "$work/theirs"
setpriv --reuid 65534 --regid 65534 --clear-groups -- touch "$work/theirs/lock"
code=0
echo "$record" | "$remediate" publish "file://$work/theirs" >/dev/null 2>"$work/err" || code=$?
[ $code = 1 ] || fail "exit $code: $(cat "$work/err")"
grep -q "another user" "$work/err" || fail "no cause: $(cat "$work/err")"

if ! stranger "$remediate" --version >/dev/null 2>&1; then
    echo "left out: another user as the one who runs the command, as he can't reach it"
    exit 0
fi
echo "a new folder under a umask without the owner's rights, for who is not root"
mkdir -m 0777 "$work/public"
for mask in 0777 0700 0377; do
    echo "$record" | (
        umask $mask
        stranger "$remediate" publish "file://$work/public/d$mask"
    ) >/dev/null 2>"$work/err" || fail "umask $mask: $(cat "$work/err")"
    [ "$(stat -c %a "$work/public/d$mask")" = 700 ] || fail "umask $mask: mode $(stat -c %a "$work/public/d$mask")"
done

echo "root reads what others may write to and another user has, and does not write there"
chmod 0775 "$work/public/d0777"
"$remediate" watch "file://$work/public/d0777" --from begin --once 2>"$work/err" | grep -q '"x"' ||
    fail "not read: $(cat "$work/err")"
code=0
echo "$record" | "$remediate" publish "file://$work/public/d0777" >/dev/null 2>"$work/err" || code=$?
[ $code = 1 ] || fail "exit $code: $(cat "$work/err")"
grep -q "another user" "$work/err" || fail "no cause: $(cat "$work/err")"
rm "$work/public/d0777/lock"
code=0
echo "$record" | "$remediate" publish "file://$work/public/d0777" >/dev/null 2>"$work/err" || code=$?
[ $code = 1 ] || fail "exit $code: $(cat "$work/err")"
grep -q "another user" "$work/err" || fail "no cause: $(cat "$work/err")"
[ ! -e "$work/public/d0777/lock" ] || fail "root made a lock in it"

echo "a state in a folder that is written to and not read"
mkdir -m 0700 "$work/public/drop"
chown 65534 "$work/public/drop"
chmod 0300 "$work/public/drop"
cp "$work/input/log" "$work/public/log"
setpriv --reuid 65534 --regid 65534 --clear-groups -- "$remediate" listen \
    "file://$work/public/log?from=begin&state=$work/public/drop/state&poll=10ms" --rules conntrack "file://$work/public/from" \
    >/dev/null 2>"$work/err" &
listen=$!
for _ in $(seq 100); do
    [ ! -e "$work/public/drop/state" ] || break
    sleep 0.05
done
kill -TERM $listen
wait $listen || fail "exit $?: $(cat "$work/err")"
[ -e "$work/public/drop/state" ] || fail "no state: $(cat "$work/err")"
if grep -q "cannot write" "$work/err"; then fail "$(cat "$work/err")"; fi

echo "a repository on a read-only file system, whatever its modes"
if command -v unshare >/dev/null && unshare -m true 2>/dev/null; then
    mkdir "$work/medium"
    # shellcheck disable=SC2016 # the inner shell's
    unshare -m sh -eu -c 'mount -t tmpfs none "$1"; cp -r "$2" "$1/r"; chmod 0777 "$1/r"; mount -o remount,ro "$1"
        "$3" watch "file://$1/r" --from begin --once | grep -q "\"x\""
        ! echo "$4" | "$3" publish "file://$1/r" >/dev/null 2>&1' sh "$work/medium" "$work/0022/r" "$remediate" "$record" \
        2>"$work/err" || fail "not read: $(cat "$work/err")"
else
    echo "left out: no name spaces of mounts"
fi
