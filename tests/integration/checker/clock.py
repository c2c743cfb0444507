# SPDX-License-Identifier: BSD-3-Clause
"""Steady time from packet times, as docs/policy.md tells it. Shares nothing with the library."""
SECOND = 10**9
MEMORY = 600 * SECOND


class Clock:
    def __init__(self):
        self.last, self.offset, self.known, self.jump = None, 0, {}, None

    def read(self, time):
        if self.last is None or 0 <= time - self.last <= SECOND:
            self.last = time
            return time + self.offset
        if -SECOND <= time - self.last < 0:
            return time + self.offset  # out of order
        self.turn(time)
        self.last = time
        return time + self.offset

    def turn(self, time):
        steady = self.last + self.offset
        if time < self.last and self.jump and time >= self.jump[0] - SECOND \
                and self.last - self.jump[1] <= MEMORY:
            self.jump = None
            self.keep(whole(time + self.offset - self.last), time + self.offset)
            return
        self.keep(self.offset, steady)
        fitting = [(time + offset - steady, offset) for offset, used in self.known.items()
                   if steady - used <= MEMORY and time + offset - steady >= -SECOND]
        if not fitting:
            self.offset, self.jump = whole(steady - time), None
            return
        before, (_passed, self.offset) = self.offset, min(fitting)
        if self.offset == before and time > self.last:
            self.note_jump(time)

    def note_jump(self, time):
        width = self.jump[1] - self.jump[0] if self.jump else 0
        recent = self.jump is not None and self.last - self.jump[1] <= MEMORY
        if recent and width <= MEMORY and time - self.last < width:
            return
        self.jump = (self.jump[0] if recent and width > MEMORY else self.last, time)

    def keep(self, offset, steady):
        if offset not in self.known and len(self.known) == 4:
            del self.known[min(self.known, key=self.known.get)]
        self.known[offset] = steady


def whole(offset):
    return -(-offset // SECOND) * SECOND
