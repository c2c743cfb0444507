# SPDX-License-Identifier: BSD-3-Clause
"""Fails each system call and allocation of `publish`, `listen`, `snapshot` and `audit` in turn, and demands that
nothing acknowledged is missing afterwards, that each failure is told with its file and cause, and that nothing
hangs or dies.

faults_test.py INJECT.so [COUNT [RUN...]]: COUNT injections (default 600), spread over the runs and calls."""
import collections
import errno
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import runs  # noqa: E402

ERRORS = {
    "read": (errno.EIO,), "write": (errno.EIO, errno.ENOSPC), "fsync": (errno.EIO,),
    "rename": (errno.EIO, errno.ENOSPC), "open": (errno.EIO, errno.EMFILE, errno.EACCES), "mmap": (errno.ENOMEM,),
    "readdir": (errno.EIO,), "malloc": (errno.ENOMEM,), "truncate": (errno.EIO,), "unlink": (errno.EIO,),
    "mkdir": (errno.EIO, errno.ENOSPC), "stat": (errno.EIO,), "close": (errno.EIO,), "flock": (errno.EIO,),
}


def forms(call):
    """The ways in which a call of this kind fails: errno, sticky or not, short or not."""
    for code in ERRORS[call]:
        yield {"REMED_FAULT_ERRNO": str(code)}
        yield {"REMED_FAULT_ERRNO": str(code), "REMED_FAULT_STICKY": "1"}
    if call == "write":
        yield {"REMED_FAULT_SHORT": "1"}
        yield {"REMED_FAULT_SHORT": "1", "REMED_FAULT_STICKY": "1"}


def spread(count, most):
    """At most `most` numbers of 1 to count, the first ones and then evenly."""
    if count <= most:
        return list(range(1, count + 1))
    first = list(range(1, most // 3 + 1))
    step = (count - len(first)) / (most - len(first))
    return first + [len(first) + 1 + int(i * step) for i in range(most - len(first))]


def plan(counts, most):
    """The injections of one run, at most `most` of them, each kind of call getting its part."""
    kinds = [call for call in ERRORS if counts.get(call, 0) > 0]
    ways = sum(1 for call in kinds for _ in forms(call))
    each = max(1, most // max(1, ways))
    return [dict(form, REMED_FAULT_CALL=call, REMED_FAULT_AT=str(at))
            for call in kinds for form in forms(call) for at in spread(counts[call], each)]


def inject(kind, preload, most, totals):
    env = dict(os.environ, LD_PRELOAD=preload, LC_ALL="C")
    bad = 0
    for fault in plan(kind.counted(env), most):
        kind.fresh()
        code, complaints = kind.attempt(dict(env, **fault), fault["REMED_FAULT_CALL"])
        totals[code] += 1
        for complaint in complaints:
            bad += 1
            shown = " ".join("%s=%s" % (name[12:].lower(), value) for name, value in sorted(fault.items()))
            print("%s: %s: exit %s: %s" % (kind.name, shown, code, complaint), flush=True)
    return bad


def main():
    preload = os.path.abspath(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 600
    wanted = sys.argv[3:]
    work = tempfile.mkdtemp(prefix="faults")
    server = runs.Redis(work)
    totals, bad = collections.Counter(), 0
    try:
        kinds = [runs.PublishFile, runs.PublishCompact, runs.PublishSpool, runs.PublishAway, runs.ListenStdin,
                 runs.ListenFile, runs.Snapshot, runs.SnapshotFile, runs.SnapshotLoad, runs.Audit]
        chosen = [kind for kind in kinds if not wanted or kind.name in wanted]
        for kind in chosen:
            made = kind(work, server) if kind is runs.PublishAway else kind(work)
            before = sum(totals.values())
            found = inject(made, preload, max(1, count // len(chosen)), totals)
            bad += found
            print("%s: %d faults injected, %d complaints" % (kind.name, sum(totals.values()) - before, found), flush=True)
    finally:
        server.stop()
        shutil.rmtree(work, ignore_errors=True)
    print("%d faults injected, %d complaints; exit codes %s" % (sum(totals.values()), bad, dict(totals)))
    return 1 if bad or not totals else 0


if __name__ == "__main__":
    sys.exit(main())
