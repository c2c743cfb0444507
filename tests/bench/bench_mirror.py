# SPDX-License-Identifier: BSD-3-Clause
"""`remediate mirror`, the whole process from capture to capture, against tcpdump with a SYN filter:
by turns in one run, wall time, medians of the rounds and of their ratios."""
import os
import statistics
import subprocess
import sys
import time

ROUNDS = 11


def seconds(command):
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main():
    if len(sys.argv) != 4:
        print("usage: bench_mirror.py REMEDIATE CAPTURE FOLDER", file=sys.stderr)
        return 2
    remediate, capture, folder = sys.argv[1:]
    ours, theirs = os.path.join(folder, "ours.pcap"), os.path.join(folder, "theirs.pcap")
    peer = ["tcpdump", "-r", capture, "-w", theirs, "tcp[tcpflags] & tcp-syn != 0"]
    for policy, bar in (("any : first 5", 1.0), ("any : syn", 0.45)):
        mine = [remediate, "mirror", "-p", policy, "-r", capture, "-w", ours]
        seconds(mine)
        seconds(peer)
        rounds = [(seconds(mine), seconds(peer)) for _ in range(ROUNDS)]
        a, b = (statistics.median(column) * 1000 for column in zip(*rounds))
        ratio = statistics.median(x / y for x, y in rounds)
        work = f"mirror '{policy}', ms"
        print(f"{work:<34} {'tcpdump SYN -w':<24} {a:8.1f} {b:8.1f} {ratio:7.2f}  (bar {bar:.2f})")
    for path in (ours, theirs):
        os.unlink(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
