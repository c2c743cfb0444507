#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Many TCP connections that stay open, and UDP flows.

connections.py serve ADDRESS PORT            answers until it is killed
connections.py open ADDRESS PORT COUNT UDP   opens COUNT connections and UDP flows, says "open", and
                                             waits for the end of standard input
"""
import ctypes
import os
import resource
import signal
import socket
import sys
import time

BATCH = 250  # connections between two looks at the clock
PER_SECOND = 4000
SPARE = 64  # descriptors for other things


def raise_limit():
    """Returns how many connections one process may have."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = 65536 if most == resource.RLIM_INFINITY else most
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most - SPARE


def serve(address, port, room):
    """A process that is full leaves the rest to a child of its own."""
    listener = socket.create_server((address, port), backlog=4096)
    datagrams = socket.socket(type=socket.SOCK_DGRAM)
    datagrams.bind((address, port))
    if os.fork() == 0:
        while True:
            data, peer = datagrams.recvfrom(64)
            datagrams.sendto(data, peer)
    kept = []
    while True:
        kept.append(listener.accept()[0])
        if len(kept) == room:
            if os.fork() != 0:
                signal.pause()
            for one in kept:
                one.close()
            kept = []


def open_tcp(address, port, count):
    kept = []
    begun = time.monotonic()
    for number in range(count):
        kept.append(socket.create_connection((address, port), timeout=10))
        if number % BATCH == 0:
            time.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
    return kept


def open_many(address, port, count, udp, room):
    """A child for each share, which tells by a byte that it is done, and ends with this process."""
    ready, done = os.pipe()
    while count > 0:
        share = min(count, room)
        count -= share
        if os.fork() == 0:
            prctl = ctypes.CDLL(None).prctl
            prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            kept = open_tcp(address, port, share)
            os.write(done, b"x")
            signal.pause()
            del kept
        os.read(ready, 1)  # one after the other
    kept = []
    for _ in range(udp):
        one = socket.socket(type=socket.SOCK_DGRAM)
        one.settimeout(10)
        one.connect((address, port))
        one.send(b"x")
        one.recv(64)
        kept.append(one)
    print("open", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    most = raise_limit()
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]), most)
    else:
        open_many(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), most)
