# SPDX-License-Identifier: GPL-2.0-only
"""Power cuts inside one guest.

Both stores of a volume lie on dm-log-writes devices, which record every write
and FLUSH in the order of their completion. After a load has run, each round
picks a point of the record and makes what a disk with a volatile cache may
hold if the power fails there: all that a FLUSH had made durable, and of what
was written after it everything, nothing, the first, the last or any part;
metadata even torn. The module is loaded anew, one of the stores is opened as it then is, the volume is attached
under the next epoch, and every block must hold a version between the last one
that was flushed before the cut and the last one that was begun.
"""

import hashlib
import os
import random
import struct
import threading

import hcvdm
import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvvol import MIB, Volume

BLOCK = 4096
RUN = 16			# neighbouring blocks
GROUPS = ((0, 6), (6, 12), (12, 16))	# one thread each
LW_MAGIC = 0x6a736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


def content(run, blk, seq):
    """What version seq of a block looks like, checked as a whole."""
    head = struct.pack("<4sIIQ", b"BLK!", run, blk, seq)
    return (head + hashlib.sha256(head).digest()).ljust(64, b".") * 64


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
                raise AssertionError(
                    f"block {blk} holds {describe(got)}, not one of the "
                    f"versions {low[blk]}..{high[blk]} of run {plan.seed}, "
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


class Record:
    """What dm-log-writes wrote down, replayed onto an image."""

    def __init__(self, log, image):
        self.image, self.applied = image, 0
        self.entries, self.mark_at = [], {}
        self.log = os.open(log, os.O_RDONLY)
        magic, _, count, sector = struct.unpack(
            "<QQQI", os.pread(self.log, 28, 0))
        if magic != LW_MAGIC:
            raise RuntimeError(f"{log} holds no log")
        self.sector, pos = sector, sector
        for i in range(count):
            head = os.pread(self.log, sector, pos)
            first, nr, flags, length = struct.unpack_from("<QQQQ", head)
            pos += sector
            self.entries.append((first * sector, nr * sector, flags, pos))
            if flags & MARK:
                self.mark_at[head[32:32 + length].rstrip(b"\0").decode()] = i
            elif not flags & DISCARD:
                pos += nr * sector

    def close(self):
        os.close(self.log)

    def data(self, entry):
        return os.pread(self.log, entry[1], entry[3])

    def between(self, mark):
        """Places at which a cut lies between this mark and the next."""
        return self.mark_at[f"m{mark}"] + 1, \
            self.mark_at.get(f"m{mark + 1}", len(self.entries))

    def flushes(self, mark):
        """Those of them that come right before a FLUSH."""
        first, after = self.between(mark)
        return [i for i in range(first, min(after + 1, len(self.entries)))
                if self.entries[i][2] & FLUSH]

    def flushed(self, cut):
        """Entries before this index are durable at the cut."""
        return max((i + 1 for i in range(self.applied, cut)
                    if self.entries[i][2] & FLUSH), default=self.applied)

    def advance(self, upto):
        """The image holds the entries before upto. No way back."""
        with open(self.image, "r+b", buffering=0) as file:
            for entry in self.entries[self.applied:upto]:
                if entry[1] and not entry[2] & (MARK | DISCARD):
                    os.pwrite(file.fileno(), self.data(entry), entry[0])
            os.fsync(file.fileno())
        self.applied = max(self.applied, upto)

    def spill(self, path, cut, rnd, meta_end):
        """Put some of what was not flushed before the cut onto path."""
        entries = [e for e in self.entries[self.applied:cut]
                   if e[1] and not e[2] & (MARK | DISCARD)]
        mode = rnd.choice(("none", "all", "prefix", "suffix", "suffix",
                           "some", "some", "some"))
        part = rnd.randrange(len(entries) + 1)
        with open(path, "r+b", buffering=0) as file:
            for i, entry in enumerate(entries):
                if not (entry[2] & FUA or mode == "all" or
                        mode == "prefix" and i < part or
                        mode == "suffix" and i >= part):
                    if mode != "some":
                        continue
                    self.tear(file, entry, rnd, meta_end)
                    continue
                os.pwrite(file.fileno(), self.data(entry), entry[0])
            os.fsync(file.fileno())
        return mode, len(entries)

    def tear(self, file, entry, rnd, meta_end):
        """Parts of a write: sectors of metadata, blocks of data."""
        unit = 512 if entry[0] < meta_end else BLOCK
        keep = rnd.choice((0.0, 0.5, 1.0))
        data = self.data(entry)
        for off in range(0, len(data), unit):
            if rnd.random() < keep:
                os.pwrite(file.fileno(), data[off:off + unit],
                          entry[0] + off)


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

    def close(self):
        for record in self.records:
            record.close()

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
        except Exception:
            ktap.note(f"seed {self.seed} round {number} mark {mark}: "
                      + "; ".join(text))
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


def run(node, seed, rounds, steps):
    """One load of that many steps a thread, then the rounds."""
    for name in ("dm-log-writes", "dm-snapshot"):
        hcvtest.run("modprobe", name)
    with hcvvol.ram_disks(8) as disks:
        cut = Cut(node, disks, seed)
        try:
            cut.record(steps)
            ktap.note(f"{len(cut.load.marks)} marks, "
                      f"{[len(r.entries) for r in cut.records]} entries")
            cut.rounds(rounds)
        finally:
            cut.close()
