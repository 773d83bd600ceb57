# SPDX-License-Identifier: GPL-2.0-only
"""Loads of which it is known beforehand what each block holds after each step,
and what it may hold after a cut."""

import hashlib
import os
import random
import struct
import threading

import hcvdm
import hcvvol
from hcvvol import MIB

BLOCK = 4096
RUN = 16			# neighbouring blocks
GROUPS = ((0, 6), (6, 12), (12, 16))	# one thread each


def content(run, blk, seq):
    """What version seq of a block looks like, checked as a whole."""
    head = struct.pack("<4sIIQ", b"BLK!", run, blk, seq)
    return (head + hashlib.sha256(head).digest()).ljust(64, b".") * 64


class Lost(AssertionError):
    """A block is none of the versions that it may be."""

    def __init__(self, blk, text):
        super().__init__(text)
        self.blk = blk


class Plan:
    """What the threads of a load do, known beforehand by its seed.

    Blocks come in runs, of which every second lies across the border of two
    slots. Each thread has its own blocks, and the n-th change to a block by
    the plan makes its version n; version 0 is what was there before.
    """

    def __init__(self, seed, steps, runs=16):
        self.seed, self.runs = seed, runs
        self.ops = [list(self.make(group, steps))
                    for group in range(len(GROUPS))]
        # Per block the kind of each version.
        self.kinds = [["before"] for _ in range(runs * RUN)]
        for kind, blks, _ in (op for ops in self.ops for op in ops):
            for blk in blks:
                self.kinds[blk].append(kind)

    def make(self, group, steps):
        rnd = random.Random(self.seed * 8 + group)
        low, high = GROUPS[group]
        flushes = (0.12, 0.05, 0.015)[self.seed % 3]
        for _ in range(steps):
            base = rnd.randrange(self.runs) * RUN
            kind = rnd.random()
            first = rnd.randrange(low, high)
            blks = [base + b for b in
                    range(first, rnd.randint(first, high - 1) + 1)]
            if kind < flushes:
                yield "flush", (), False
            elif kind < 0.75:
                yield "write", blks, kind < flushes * 1.3
            else:
                if kind > 0.82:
                    blks = [base + b for b in range(low, high)]
                yield "zero" if kind < 0.88 else "discard", blks, False

    def versions(self, counts, match=lambda group, index, fua: True):
        """Versions of all blocks after the first counts[i] steps of each
        thread; only matching steps count."""
        out, seen = [0] * len(self.kinds), [0] * len(self.kinds)
        for group, (ops, count) in enumerate(zip(self.ops, counts)):
            for index, (_, blks, fua) in enumerate(ops[:count]):
                for blk in blks:
                    seen[blk] += 1
                    if match(group, index, fua):
                        out[blk] = seen[blk]
        return out

    def durable(self, flushed, acked):
        """Versions that must not get lost: flushed, or written with FUA."""
        return self.versions(acked, lambda group, index, fua:
                             fua or index < flushed[group])

    def image(self, blk, seq, before):
        """What version seq looks like."""
        kind = self.kinds[blk][seq]
        if kind == "before" and before:
            return before[blk]
        if kind == "write":
            return content(self.seed, blk, seq)
        return bytes(BLOCK)

    def allowed(self, blk, seqs, got, before, unit):
        """Whether each unit of the block is of one of these versions."""
        images = [self.image(blk, seq, before) for seq in seqs]
        return all(any(got[off:off + unit] == image[off:off + unit]
                       for image in images)
                   for off in range(0, BLOCK, unit))


class Load:
    """Runs a plan; what is known of it are numbers of steps per thread:
    begun, ended, and ended before a FLUSH that has ended, too.

    tell(load), if given, is called whenever such a number has changed, before
    a step begins.
    """

    def __init__(self, path, plan, tell=None):
        self.path, self.plan = path, plan
        self.tell = tell or (lambda load: None)
        count = len(GROUPS)
        self.begun, self.acked = [0] * count, [0] * count
        self.flushed = [0] * count
        self.lock = threading.Lock()
        self.marks, self.errors = [], []

    @staticmethod
    def off(blk):
        """Every second run begins 8 blocks before the end of a slot."""
        run, index = divmod(blk, RUN)
        return 2 * run * MIB + run % 2 * (MIB - 8 * BLOCK) + index * BLOCK

    @classmethod
    def end(cls, plan):
        """First byte that no plan of that many runs reaches."""
        return (2 * plan.runs + 1) * MIB

    def change(self, disk, group, kind, blks, fua):
        """One step; the versions follow from the steps before it."""
        off, size = self.off(blks[0]), len(blks) * BLOCK
        if kind == "write":
            data = b"".join(content(self.plan.seed, blk, self.seqs[blk])
                            for blk in blks)
            disk.write(off, data, os.RWF_DSYNC if fua else 0)
        elif kind == "zero":
            disk.zeroout(off, size)
        else:
            disk.discard(off, size)
        with self.lock:
            self.acked[group] += 1
            if fua:
                self.tell(self)

    def flush(self, disk, group):
        with self.lock:
            before = list(self.acked)
        disk.flush()
        with self.lock:
            self.acked[group] += 1
            self.flushed = list(map(max, self.flushed, before))
            self.tell(self)

    def work(self, group):
        try:
            with hcvvol.Disk(self.path) as disk:
                for kind, blks, fua in self.plan.ops[group]:
                    for blk in blks:
                        self.seqs[blk] += 1
                    with self.lock:
                        self.begun[group] += 1
                        self.tell(self)
                    if kind == "flush":
                        self.flush(disk, group)
                    else:
                        self.change(disk, group, kind, blks, fua)
        except Exception as e:  # shown by the one who waits for the thread
            self.errors.append(e)

    def mark(self, logs):
        """Write down what is known now, and the place in the records."""
        with self.lock:
            flushed, acked = list(self.flushed), list(self.acked)
        for log in logs:
            hcvdm.message(log, f"mark m{len(self.marks)}")
        with self.lock:
            self.marks.append((flushed, acked, list(self.begun)))

    def run(self, every=None):
        """Run the plan; every() is called all the time."""
        self.seqs = [0] * len(self.plan.kinds)
        threads = [threading.Thread(target=self.work, args=(i,))
                   for i in range(len(GROUPS))]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.02)
                if every:
                    every()
        if self.errors:
            raise self.errors[0]


def check(disk, plan, low, high, before=None, unit=BLOCK):
    """Versions low..high are allowed; returns the content seen.

    unit: what the devices write as a whole. A write that was not flushed may
    have got there in part.
    """
    out = []
    for run in range(plan.runs):
        data = disk.read(Load.off(run * RUN), RUN * BLOCK)
        for i in range(RUN):
            blk, got = run * RUN + i, data[i * BLOCK:(i + 1) * BLOCK]
            out.append(got)
            want = range(low[blk], high[blk] + 1)
            if not plan.allowed(blk, want, got, before, unit):
                raise Lost(blk, f"block {blk} holds {describe(got)}, not one "
                                f"of the versions {low[blk]}..{high[blk]} of "
                                f"run {plan.seed}, "
                                f"{[plan.kinds[blk][seq] for seq in want]}")
    return out


def describe(got):
    """For people: which block it seems to be."""
    if not any(got):
        return "zeroes"
    magic, run, blk, seq = struct.unpack_from("<4sIIQ", got)
    if magic == b"BLK!":
        whole = "" if got == content(run, blk, seq) else ", torn"
        return f"version {seq} of block {blk} of run {run}{whole}"
    return f"foreign data {got[:32].hex()}"
