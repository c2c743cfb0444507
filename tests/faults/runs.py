# SPDX-License-Identifier: BSD-3-Clause
"""The runs that faults are injected into: each prepares a folder, runs one command of `remediate` in it, and
says afterwards what was acknowledged and is missing, or what was not told."""
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

REMEDIATE = os.environ.get("REMEDIATE", "build/dev/remediate")
RECORDS = 240
BEFORE = 120  # acknowledged before the faulty run
LIMIT = 30    # seconds that no run may take


def record(name):
    return '{"domain":"d","kind":"counter","body":{"name":"%s","value":1}}\n' % name


def conntrack_line(number):
    return ("[NEW] tcp 6 120 SYN_SENT src=10.0.%d.%d dst=203.0.113.9 sport=40001 dport=443 [UNREPLIED] "
            "src=203.0.113.9 dst=198.51.100.1 sport=443 dport=%d\n" % (number >> 8, number & 255, 1024 + number))


def run(arguments, text="", env=None, limit=LIMIT):
    """Runs remediate to its end: code (None when it hung), standard output and error."""
    try:
        done = subprocess.run([REMEDIATE, *arguments], input=text.encode(), capture_output=True, env=env, timeout=limit)
    except subprocess.TimeoutExpired as hung:
        return None, "", (hung.stderr or b"").decode(errors="replace")
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def run_fed(arguments, lines, env, chunk=12):
    """The same, with lines that come a few at a time, so that the command works in many rounds."""
    process = subprocess.Popen([REMEDIATE, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=env)

    def feed():
        try:
            for at in range(0, len(lines), chunk):
                process.stdin.write("".join(lines[at:at + chunk]).encode())
                process.stdin.flush()
                time.sleep(0.001)
        except OSError:
            pass  # it ended early
        finally:
            try:
                process.stdin.close()
            except OSError:
                pass

    feeder = threading.Thread(target=feed)
    feeder.start()
    texts = [b"", b""]
    readers = [threading.Thread(target=lambda i=i, f=f: texts.__setitem__(i, f.read()))
               for i, f in enumerate((process.stdout, process.stderr))]
    for reader in readers:
        reader.start()
    try:
        code = process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        code = None
    for thread in (feeder, *readers):
        thread.join()
    process.wait()
    return code, texts[0].decode(errors="replace"), texts[1].decode(errors="replace")


def names_of(uri):
    """The records that a good snapshot finds: code, names, standard error."""
    code, out, err = run(["snapshot", uri])
    names = set()
    for line in out.splitlines():
        body = json.loads(line)["body"]
        names.add(body.get("name") or body["client"])
    return code, names, err


CAUSES = [os.strerror(code) for code in (errno.EIO, errno.ENOSPC, errno.ENOMEM, errno.EACCES, errno.EMFILE)]
CAUSES += ["emory"]  # no memory, out of memory, cannot allocate memory


def is_told(err, call, work):
    """Whether a message names the cause and, but for memory, the file."""
    said = [line for line in err.splitlines() if line.startswith("remediate: ")]
    text = "\n".join(said)
    if not any(cause in text for cause in CAUSES):
        return False
    return call == "malloc" or call == "mmap" or work in text or ".log" in text or "/" in text or "'" in text


class Run:
    """One kind of run. `attempt` gives the complaints about one faulty run, and its exit code."""
    name = ""
    calls = ("read", "write", "fsync", "rename", "open", "mmap", "readdir", "malloc", "truncate", "unlink", "mkdir",
             "stat", "close", "flock")

    def __init__(self, work):
        self.work = os.path.join(work, self.name.replace(" ", "-"))
        self.template = self.work + ".template"
        shutil.rmtree(self.template, ignore_errors=True)
        os.makedirs(self.template)
        self.before = self.prepare(self.template)

    def prepare(self, folder):
        """Fills the template; gives the names that were acknowledged."""
        uri = "file://%s/r?segment=4KiB&compact=0" % folder
        names = ["before%d" % i for i in range(BEFORE)]
        code, _, err = run(["publish", uri], "".join(map(record, names)))
        assert code == 0, err
        return set(names)

    def fresh(self):
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.template, self.work)

    def counted(self, env):
        """How many calls of each kind a good run makes."""
        self.fresh()
        path = self.work + ".counts"
        code, complaints = self.attempt(dict(env, REMED_FAULT_COUNTS=path), None)
        assert code == 0 and not complaints, (self.name, code, complaints)
        with open(path, encoding="ascii") as file:
            counts = {name: int(count) for name, count in (line.split() for line in file)}
        assert counts["open"] > 0 and counts["malloc"] > 0, "the preloaded library sees no calls"
        return counts

    def complain(self, code, err, call):
        if code is None:
            return ["hangs"]
        if code < 0:
            return ["dies of signal %d" % -code]
        if code != 0 and call is not None and not is_told(err, call, self.work):
            return ["exit %d without file and cause: %r" % (code, err[-300:])]
        return []

    def missing(self, uri, wanted, count=0, prefix="n"):
        """Complaints about what a later, good run does not find: all of `wanted`, and `count` others."""
        code, names, err = names_of(uri)
        complaints = []
        if code is None or code < 0:
            complaints.append("snapshot afterwards: exit %s: %s" % (code, err[-200:]))
        lost = wanted - names
        if lost:
            complaints.append("%d acknowledged records are missing, as %s (%s)" % (len(lost), sorted(lost)[0], err[-200:]))
        found = sum(1 for name in names if name.startswith(prefix))
        if found < count:
            complaints.append("%d acknowledged, %d found (%s)" % (count, found, err[-200:]))
        return complaints


class Publish(Run):
    parameters = "?segment=4KiB&compact=0&sync=always"
    spool = False

    def attempt(self, env, call):
        uri = "file://%s/r%s" % (self.work, self.parameters)
        arguments = ["publish", uri, "--json", "--wait", "300ms"]
        if self.spool:
            arguments += ["--spool", self.work + "/s"]
        code, out, err = run_fed(arguments, [record("n%d" % i) for i in range(RECORDS)], env)
        complaints = self.complain(code, err, call)
        try:
            stats = json.loads(out)
        except ValueError:
            stats = {}
        if self.spool:  # the next one, with all well, brings the rest
            again, _, said = run(["publish", uri, "--spool", self.work + "/s", "--wait", "10s"])
            if again != 0:
                complaints.append("the next publish fails: %s" % said[-200:])
        count = stats.get("delivered", 0) + stats.get("kept", 0)
        complaints += self.missing(uri, self.before, count)
        if code == 0:
            complaints += self.missing(uri, {"n%d" % i for i in range(RECORDS)})
        return code, complaints


class PublishFile(Publish):
    name = "publish"


class PublishCompact(Publish):
    name = "publish compact"
    parameters = "?segment=4KiB&compact=1&sync=1ms"


class PublishSpool(Publish):
    name = "publish spool"
    parameters = "?segment=4KiB&compact=0&sync=1ms"
    spool = True


class PublishAway(Run):
    """Redis is away, so all goes to the spool; the next publish, with Redis there, brings it."""
    name = "publish away"

    def __init__(self, work, server):
        self.server = server
        super().__init__(work)

    def prepare(self, folder):
        return set()

    def attempt(self, env, call):
        self.server.go_away()
        uri = "redis://127.0.0.1:%d/faults" % self.server.port
        arguments = ["publish", uri, "--spool", self.work + "/s", "--json"]
        code, out, err = run_fed(arguments + ["--wait", "50ms"], [record("n%d" % i) for i in range(RECORDS)], env)
        complaints = self.complain(code, err, None)
        try:
            stats = json.loads(out)
        except ValueError:
            stats = {}
        if call is not None and stats.get("kept", 0) < RECORDS and not is_told(err, call, self.work):
            complaints.append("records were not kept, without file and cause: %r" % err[-300:])
        self.server.come()
        again, _, said = run(["publish", uri, "--spool", self.work + "/s", "--wait", "10s"])
        if again != 0:
            complaints.append("the next publish fails: %s" % said[-200:])
        return code, complaints + self.missing(uri, set(), stats.get("delivered", 0) + stats.get("kept", 0))


class ListenStdin(Run):
    name = "listen"

    def attempt(self, env, call):
        uri = "file://%s/r?segment=4KiB&compact=0&sync=1ms" % self.work
        code, out, err = run_fed(["listen", "-", "--rules", "conntrack", "--json", "--wait", "1s", uri],
                                 [conntrack_line(i) for i in range(RECORDS)], env)
        complaints = self.complain(code, err, call)
        try:
            delivered = json.loads(out)["delivered"]
        except (ValueError, KeyError):
            delivered = 0
        wanted = RECORDS if code == 0 else delivered
        return code, complaints + self.missing(uri, self.before, wanted, "10.0.")


class ListenFile(Run):
    """A followed file: what the position says was read is there, and a second, good run brings the rest."""
    name = "listen file"

    def prepare(self, folder):
        with open(folder + "/log", "w", encoding="ascii") as log:
            log.writelines(conntrack_line(i) for i in range(RECORDS))
        return super().prepare(folder)

    def once(self, env, wanted):
        """Until all is there, or it ends, or a while has passed; then SIGTERM."""
        uri = "file://%s/r?segment=4KiB&compact=0&sync=1ms" % self.work
        source = "file://%s/log?from=begin&state=%s/position&poll=10ms" % (self.work, self.work)
        errors = self.work + ".err"
        with open(errors, "wb") as file:
            process = subprocess.Popen([REMEDIATE, "listen", source, "--rules", "conntrack", "--wait", "1s", uri],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file, env=env)
            end = time.monotonic() + wanted
            while process.poll() is None and time.monotonic() < end:
                time.sleep(0.005)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                code = None
        with open(errors, encoding="utf-8", errors="replace") as file:
            return code, file.read(), uri

    def attempt(self, env, call):
        code, err, uri = self.once(env, 0.12)
        complaints = self.complain(code, err, call)
        again, said, _ = self.once(None, 0.25)
        if again != 0:
            complaints.append("the next listen fails: %s" % said[-200:])
        return code, complaints + self.missing(uri, self.before, RECORDS, "10.0.")


class Snapshot(Run):
    name = "snapshot"

    def attempt(self, env, call):
        code, out, err = run(["snapshot", "file://%s/r" % self.work], env=env)
        complaints = self.complain(code, err, call)
        if code == 0 and out.count("\n") != BEFORE:
            complaints.append("exit 0 with %d of %d records" % (out.count("\n"), BEFORE))
        return code, complaints


class SnapshotFile(Run):
    """A snapshot file that stands in the place of an older one, whole or not at all."""
    name = "snapshot file"

    def prepare(self, folder):
        names = super().prepare(folder)
        code, _, err = run(["snapshot", "file://%s/r" % folder, "-o", folder + "/snap"])
        assert code == 0, err
        code, _, err = run(["publish", "file://%s/r" % folder], record("later"))
        assert code == 0, err
        return names

    def attempt(self, env, call):
        path = self.work + "/snap"
        code, _, err = run(["snapshot", "file://%s/r" % self.work, "-o", path], env=env)
        complaints = self.complain(code, err, call)
        found, names, said = names_of(path)
        if found != 0 or not self.before <= names:
            complaints.append("the snapshot file is not whole: %s" % said[-200:])
        if code == 0 and "later" not in names:
            complaints.append("exit 0 and the older file")
        left = [name for name in os.listdir(self.work) if "tmp" in name]
        if left and call not in ("unlink", "malloc"):
            complaints.append("left behind: %s" % left)
        return code, complaints


class SnapshotLoad(SnapshotFile):
    name = "snapshot load"

    def attempt(self, env, call):
        code, out, err = run(["snapshot", self.work + "/snap"], env=env)
        complaints = self.complain(code, err, call)
        if code == 0 and out.count("\n") != BEFORE:
            complaints.append("exit 0 with %d of %d records" % (out.count("\n"), BEFORE))
        return code, complaints


class Audit(SnapshotFile):
    """Two that differ by one record: an audit that fails never says something else."""
    name = "audit"

    def attempt(self, env, call):
        code, out, err = run(["audit", "file://%s/r" % self.work, self.work + "/snap", "-q", "--json"], env=env)
        complaints = self.complain(code, err, None)
        if code == 0:
            complaints.append("exit 0 for two that differ")
        try:
            summary = json.loads(out)
        except ValueError:
            summary = None
        if summary is not None and summary.get("missing") != 1:
            complaints.append("a wrong summary: %s" % out[-200:])
        if summary is None and call is not None and not is_told(err, call, self.work):
            complaints.append("no summary, and no file and cause: %r" % err[-300:])
        if summary is None and call is None:
            complaints.append("no summary: %r" % err[-300:])
        return 0 if code == 1 and call is None else code, complaints


class Redis:
    """A real Redis server, behind a port that can be closed: then it is away."""

    def __init__(self, work):
        self.listener = self.process = None
        self.port, back = self.free_port(), self.free_port()
        self.process = subprocess.Popen(["redis-server", "--port", str(back), "--bind", "127.0.0.1", "--save", "",
                                         "--appendonly", "no", "--dir", work],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.back = back
        for _ in range(200):
            try:
                self.command("PING")
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("redis-server does not start")

    @staticmethod
    def free_port():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    def command(self, text):
        with socket.create_connection(("127.0.0.1", self.back), 5) as link:
            link.sendall(text.encode() + b"\r\n")
            return link.recv(1000)

    def go_away(self):
        if self.listener is not None:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None

    def come(self):
        self.command("FLUSHALL")
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen()
        threading.Thread(target=self.serve, args=(self.listener,), daemon=True).start()

    def serve(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.back))
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(source, target), daemon=True).start()

    @staticmethod
    def pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def stop(self):
        self.go_away()
        self.process.terminate()
        self.process.wait()
