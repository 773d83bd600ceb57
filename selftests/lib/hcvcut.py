# SPDX-License-Identifier: GPL-2.0-only
"""Power cuts inside one guest.

Both stores of a volume lie on dm-log-writes devices, which record every write
and FLUSH in the order of their completion. After a load has run, hcvlook.py
looks at all cuts of the records by itself; then each round picks a point of a
record and makes what a disk with a volatile cache may hold if the power fails
there: all that a FLUSH had made durable, and of what was written after it
everything, nothing, the first, the last or any part; metadata even torn. The
module is loaded anew, one of the stores is opened as it then is, the volume is
attached under the next epoch, and every block must hold a version between the
last one that was flushed before the cut and the last one that was begun.
"""

import contextlib
import random

import hcvdm
import hcvlook
import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvplan import BLOCK, Load, Lost, Plan, check
from hcvrecord import Record
from hcvvol import MIB, Volume


class Cut:
    """One load on recorded stores, and the rounds on its record."""

    def __init__(self, node, disks, seed):
        self.node, self.seed, self.rnd = node, seed, random.Random(seed)
        # Two each: below the recorders, records, images, changes to these.
        self.below, self.logs = disks[0:2], disks[2:4]
        self.images, self.cows = disks[4:6], disks[6:8]
        self.sectors = hcvvol.STORE_BYTES // 512
        self.records = []

    def record(self, steps):
        """Run the load."""
        names = ["rec0", "rec1"]
        devs = [hcvdm.create(name, f"0 {self.sectors} log-writes "
                                  f"{below} {log}") for name, below, log in
                zip(names, self.below, self.logs)]
        try:
            vol = Volume(self.node, devs, extents=2, size=256 * MIB,
                         stripe=self.rnd.choice((1, 2)),
                         queue=self.rnd.choice(("MQ", "BIO"))).format()
            try:
                vol.attach()
                self.plan = Plan(self.seed, steps)
                self.load = Load(vol.path, self.plan)
                self.load.mark(names)
                self.load.run(lambda: self.load.mark(names))
                self.load.mark(names)
                vol.detach()
            finally:
                vol.end()
            self.load.flushed = list(self.load.acked)
            self.load.mark(names)
        finally:
            for name in names:
                hcvdm.remove(name)
        self.vol = vol
        self.meta_end = hcvtest.read_super(self.below[0])["data_off"]
        self.records = [Record(log, image) for log, image in
                        zip(self.logs, self.images)]
        sb = hcvtest.read_super(self.below[0])
        self.looks = [hcvlook.Look(record, self.load, sb)
                      for record in self.records]

    def close(self):
        for record in self.records:
            record.close()

    def look(self):
        """All cuts of both records, without the module."""
        for i, look in enumerate(self.looks):
            try:
                ktap.note(f"store {i + 1}: {look.check()} cuts looked at")
            except Lost as e:
                ktap.note(f"seed {self.seed} store {i + 1}")
                self.tell(look, e.blk)
                raise

    def tell(self, look, blk):
        """Where in the record the block is: it is gone with the guest."""
        for line in look.describe(blk):
            ktap.note(line)

    def cut_store(self, i, mark):
        """Make the store as a cut behind the mark may leave it."""
        record, path = self.records[i], f"/dev/mapper/cut{i}"
        first, after = record.between(mark)
        # Most is open right before a FLUSH ends: metadata then can be there
        # and what they speak of not.
        flushes = record.flushes(mark)
        if flushes and self.rnd.random() < 0.7:
            cut = self.rnd.choice(flushes)
        else:
            cut = self.rnd.randint(first, after)
        record.advance(record.flushed(cut))
        hcvdm.create(f"cut{i}", f"0 {self.sectors} snapshot "
                          f"{self.images[i]} {self.cows[i]} N 8")
        how = record.spill(path, cut, self.rnd, self.meta_end)
        return f"store {i + 1} at {cut} of {len(record.entries)}, {how}"

    def no_silence(self, path):
        """No lease is out: spares the wait for its end when it is closed."""
        for copy in range(2):
            buf = hcvtest.device_read(path, copy * (512 << 10))
            if hcvnl.seal(buf[:8] + bytes(4) + buf[12:], 8) == buf:
                hcvtest.patch_super(path, copy, flags=3)

    def round(self, number, mark):
        """A cut behind the mark, on one store; it may be resynced from."""
        one, both = number % 2, number % 5 == 4
        hcvdm.reload_module()
        self.node.__init__()
        text = [self.cut_store(one, mark)]
        if both:
            text.append(self.cut_store(1 - one, mark))
        paths = [f"/dev/mapper/cut{i}" for i in range(2)]
        vol = Volume(self.node, paths, extents=2, size=256 * MIB,
                     stripe=self.vol.stripe, queue=self.vol.queue,
                     epoch=self.vol.epoch)
        vol.v, vol.insync, vol.fresh = self.vol.v, {vol.names[one]}, set()
        try:
            if number % 10:
                for i in range(2) if both else (one,):
                    self.no_silence(paths[i])
            self.check_round(vol, mark, both)
        except Exception as e:
            ktap.note(f"seed {self.seed} round {number} mark {mark}: "
                      + "; ".join(text))
            if isinstance(e, Lost):
                self.tell(self.looks[one], e.blk)
            raise
        finally:
            vol.end()
            for i in range(2) if both else (one,):
                hcvdm.remove(f"cut{i}")

    def check_round(self, vol, mark, both):
        flushed, acked, _ = self.load.marks[mark]
        low = self.plan.durable(flushed, acked)
        after = self.load.marks[min(mark + 1, len(self.load.marks) - 1)]
        high = self.plan.versions(after[2])
        end = Load.end(self.plan)
        with vol.attached() as disk:
            seen = check(disk, self.plan, low, high)
            ktap.check("nothing behind it", not any(disk.read(end, MIB)))
            if both:
                other = next(s for s in vol.names if s not in vol.insync)
                vol.open_store(other)
                with hcvvol.Events() as events:
                    vol.resync(events, other, LINK_FLAGS="FULL")
            disk.write(end, b"after the cut".ljust(BLOCK))
        vol.check_stores()
        # What was read once stays.
        with vol.attached() as disk:
            again = check(disk, self.plan, low, high)
            ktap.check("from then on stable", seen == again)
            ktap.check("what was written then",
                       disk.read(end).startswith(b"after the cut"))

    def rounds(self, count):
        last = len(self.load.marks) - 2
        busy = [mark for mark in range(last + 1)
                if self.records[0].flushes(mark)]
        marks = sorted(self.rnd.choice(busy) if self.rnd.random() < 0.7 else
                       self.rnd.randint(0, last) for _ in range(count))
        for number, mark in enumerate(marks):
            self.round(number, mark)


@contextlib.contextmanager
def recorded(node, seed, steps):
    """One load of that many steps a thread, and its records."""
    for name in ("dm-log-writes", "dm-snapshot"):
        hcvtest.run("modprobe", name)
    with hcvvol.ram_disks(8) as disks:
        cut = Cut(node, disks, seed)
        try:
            cut.record(steps)
            ktap.note(f"{len(cut.load.marks)} marks, "
                      f"{[len(r.entries) for r in cut.records]} entries")
            yield cut
        finally:
            cut.close()


def run(node, seed, rounds, steps):
    """A load and so many rounds on it."""
    with recorded(node, seed, steps) as cut:
        cut.look()
        cut.rounds(rounds)
