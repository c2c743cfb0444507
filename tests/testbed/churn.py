#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""TCP connections that come and go.

churn.py serve ADDRESS PORT                  echoes, and closes when its peer closes
churn.py run ADDRESS PORT RATE SECONDS KEPT  opens RATE connections a second for SECONDS, each lives half a
                                             second; one in ten ends by RST; KEPT more stay open and speak every
                                             second. Says "done COUNT" and keeps those until standard input ends
"""
import collections
import resource
import selectors
import socket
import struct
import sys
import time

LIFE = 0.5  # seconds


def serve(address, port):
    listener = socket.create_server((address, port), backlog=4096)
    listener.setblocking(False)
    ready = selectors.DefaultSelector()
    ready.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.fileobj is listener:
                accepted = listener.accept()[0]
                accepted.setblocking(False)
                ready.register(accepted, selectors.EVENT_READ)
                continue
            try:
                data = key.fileobj.recv(64)
                if data:
                    key.fileobj.send(data)
                    continue
            except OSError:
                pass
            ready.unregister(key.fileobj)
            key.fileobj.close()


def end(one, number):
    if number % 10 == 0:  # a reset
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


def run(address, port, rate, seconds, kept):
    stay = [socket.create_connection((address, port), timeout=10) for _ in range(kept)]
    alive, number, begun, spoken = collections.deque(), 0, time.monotonic(), 0.0
    while True:
        now = time.monotonic()
        if now - begun >= seconds:
            break
        while alive and now - alive[0][0] >= LIFE:
            _, one, which = alive.popleft()
            one.recv(64)
            end(one, which)
        if now - spoken >= 1:
            spoken = now
            for one in stay:
                one.send(b"x")
                one.recv(64)
        if number < (now - begun) * rate:
            one = socket.create_connection((address, port + number % 8), timeout=10)
            one.send(b"x")
            alive.append((now, one, number))
            number += 1
        else:
            time.sleep(0.0005)
    for _, one, which in alive:
        end(one, which)
    print("done", number, flush=True)
    while True:
        sys.stdin.read()
        return


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        run(sys.argv[2], int(sys.argv[3]), *(int(text) for text in sys.argv[4:7]))
