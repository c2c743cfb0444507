# SPDX-License-Identifier: BSD-3-Clause
"""Steady time from packet times, as docs/policy.md tells it. Shares nothing with the library."""
SECOND = 10**9
MEMORY = 600 * SECOND


class Clock:
    def __init__(self):
        self.last, self.offset, self.known, self.jumps = None, 0, {}, []

    def read(self, time):
        if self.last is None or 0 <= time - self.last <= SECOND:
            self.last = time
            return time + self.offset
        if -SECOND <= time - self.last < 0:
            return time + self.offset  # out of order
        return self.turn(time)

    def turn(self, time):
        steady = self.last + self.offset
        self.forget_jumps(steady)
        wild = [at for at, (before, landing, _from, _to) in enumerate(self.jumps)
                if time < self.last and before - SECOND <= time < landing]
        if wild:
            self.go_back(wild[0], time)
        else:
            self.keep(self.offset, steady)
            passed = [(time + offset - steady, offset) for offset, used in self.known.items()
                      if steady - used <= MEMORY]
            fitting = [(max(by, -by - 1), offset) for by, offset in passed if by >= -SECOND]
            if fitting and min(fitting)[0] > MEMORY \
                    and any(-MEMORY <= by < -SECOND for by, _offset in passed):
                return steady  # a clock that stands still
            self.follow(time, steady, fitting)
        self.last = time
        return time + self.offset

    def follow(self, time, steady, fitting):
        if not fitting:
            self.offset, self.jumps = -(-(steady - time) // SECOND) * SECOND, []
            return
        self.offset = min(fitting)[1]
        if time + self.offset - steady > SECOND:
            if len(self.jumps) == 8:
                widths = [to - start for _before, _landing, start, to in self.jumps]
                del self.jumps[widths.index(min(widths))]
            self.jumps.append((self.last, time, steady, time + self.offset))

    def forget_jumps(self, steady):
        """Those after which ten minutes were spent."""
        run, end = 0, steady
        for at in range(len(self.jumps) - 1, -1, -1):
            run += end - self.jumps[at][3]
            if not 0 <= run <= MEMORY:
                del self.jumps[: at + 1]
                return
            end = self.jumps[at][2]

    def go_back(self, first, time):
        before, _landing, start, _to = self.jumps[first]
        self.offset = start - before
        ends = [jump[0] for jump in self.jumps[first + 1 :]] + [self.last]
        for end in ends:
            self.keep(whole(time + self.offset - end), time + self.offset)
        del self.jumps[first:]

    def keep(self, offset, steady):
        if offset not in self.known and len(self.known) == 8:
            del self.known[min(self.known, key=self.known.get)]
        self.known[offset] = steady


def whole(offset):
    return (offset + SECOND // 2) // SECOND * SECOND
