# SPDX-License-Identifier: BSD-3-Clause
"""The right packets: an independent checker and `remediate` agree on every packet of every capture,
by their numbers (policy explain) and by the bytes written (mirror)."""
import glob
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from checker import captures, selection  # noqa: E402

REMEDIATE = os.environ.get("REMEDIATE", "build/release/remediate")
DATA = os.environ.get("REMED_TEST_DATA", "../shared/data")
TABLE = ["--max-flows", "65536"]
Rule = selection.Rule
POLICIES = {
    "any : first 1": Rule("first", 1), "any : first 3": Rule("first", 3),
    "any : first 5": Rule("first", 5), "any : first 20": Rule("first", 20),
    "any : first 3 each": Rule("each", 3), "any : first 5 each": Rule("each", 5),
    "any : first 1kB": Rule("bytes", 1000), "any : first 64kB": Rule("bytes", 64000),
    "any : syn": Rule("syn"), "any : handshake": Rule("handshake"),
    "any : close": Rule("close", close=True),
    "any : handshake, close, refresh 1s": Rule("handshake", close=True, refresh=1),
    "any : first 2 each, close, refresh 10s": Rule("each", 2, close=True, refresh=10),
}
# (file, policy): {packet numbers: why}. Nothing needs it today.
EXPLAINED = {}


def explained(path, policy):
    run = subprocess.run([REMEDIATE, "policy", "explain", policy, "-r", path, "--json"] + TABLE,
                         capture_output=True, check=False)
    if run.returncode < 0:
        print(f"{path}: '{policy}': ended by signal {-run.returncode}: {run.stderr[-300:]!r}")
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    return [line["packet"] for line in lines if line["copy"]], len(lines)


def mirrored(path, policy, folder):
    out = os.path.join(folder, "out.pcapng")
    subprocess.run([REMEDIATE, "mirror", "-p", policy, "-r", path, "-w", out, "--json"] + TABLE,
                   capture_output=True, check=False)
    return [packet[1:] for packet in captures.read(out)]


def main():
    files = sorted(glob.glob(DATA + "/pcap/*") + glob.glob(DATA + "/ids/*/*.pcap")
                   + glob.glob("tests/data/*.pcap"))
    if not files:
        print("skipped: no captures at", DATA)
        return 77
    packets = comparisons = wrong = opened = 0
    with tempfile.TemporaryDirectory() as folder:
        for path in files:
            if path.endswith((".tsv", ".md")):
                continue
            whole = list(captures.read(path))
            expected, count = selection.select(whole, POLICIES)
            opened += count > 0
            for policy in POLICIES:
                numbers, total = explained(path, policy)
                allowed = EXPLAINED.get((os.path.basename(path), policy), {})
                different = (set(numbers) ^ set(expected[policy])) - set(allowed)
                if total != count or different:
                    wrong += 1
                    print(f"{path}: '{policy}': {count} packets here, {total} there;"
                          f" different: {sorted(different)[:10]}")
                packets += count
                comparisons += 1
                if policy in ("any : first 5", "any : handshake", "any : first 1kB") and count:
                    wanted = [whole[number - 1][1:] for number in numbers]
                    if mirrored(path, policy, folder) != wanted:
                        wrong += 1
                        print(f"{path}: '{policy}': the bytes written are others")
    print(f"{opened} captures, {comparisons} comparisons over {packets} packets, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
