# SPDX-License-Identifier: GPL-2.0-only
"""Power cuts inside one guest.

Both stores of a volume lie on dm-log-writes devices, which record every write
and FLUSH in the order of their completion. After a load has run, each round
picks a point of the record and makes what a disk with a volatile cache may
hold if the power fails there: all that a FLUSH had made durable, and of what
was written after it everything, nothing, the first part or any part; metadata
even torn. One of the stores is opened as it then is, the volume is attached
under the next epoch, and every block must hold a version between the last one
that was flushed before the cut and the last one that was begun.
"""

import hashlib
import os
import random
import struct
import threading

import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvvol import MIB, Volume

BLOCK = 4096
RUN = 16			# neighbouring blocks at the start of a MiB
GROUPS = ((0, 6), (6, 12), (12, 16))	# one thread each
LW_MAGIC = 0x6a736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


def content(blk, seq):
    """What version seq of a block looks like, checked as a whole."""
    head = struct.pack("<4sIQ", b"BLK!", blk, seq)
    return (head + hashlib.sha256(head).digest()).ljust(64, b".") * 64


class Load:
    """Threads that write versions of blocks, and what is known of them."""

    def __init__(self, path, seed, mibs=16):
        self.path, self.seed, self.mibs = path, seed, mibs
        count = mibs * RUN
        self.lock = threading.Lock()
        self.issued, self.acked = [0] * count, [0] * count
        self.durable = [0] * count
        self.zero = [{0} for _ in range(count)]	# versions without content
        self.marks, self.errors = [], []

    def off(self, blk):
        return blk // RUN * MIB + blk % RUN * BLOCK

    def change(self, disk, blks, kind, fua):
        off, size = self.off(blks[0]), len(blks) * BLOCK
        with self.lock:
            for blk in blks:
                self.issued[blk] += 1
                if kind != "write":
                    self.zero[blk].add(self.issued[blk])
        seqs = [self.issued[blk] for blk in blks]
        if kind == "write":
            data = b"".join(map(content, blks, seqs))
            disk.write(off, data, os.RWF_DSYNC if fua else 0)
        elif kind == "zero":
            disk.zeroout(off, size)
        else:
            disk.discard(off, size)
        with self.lock:
            for blk, seq in zip(blks, seqs):
                self.acked[blk] = seq
                if fua and kind == "write":
                    self.durable[blk] = max(self.durable[blk], seq)

    def flush(self, disk):
        with self.lock:
            before = list(self.acked)
        disk.flush()
        with self.lock:
            self.durable = list(map(max, self.durable, before))

    def work(self, group, steps):
        rnd = random.Random(self.seed * 8 + group)
        low, high = GROUPS[group]
        try:
            with hcvvol.Disk(self.path) as disk:
                for _ in range(steps):
                    base = rnd.randrange(self.mibs) * RUN
                    kind = rnd.random()
                    first = rnd.randrange(low, high)
                    blks = [base + b for b in
                            range(first, rnd.randint(first, high - 1) + 1)]
                    if kind < 0.12:
                        self.flush(disk)
                    elif kind < 0.75:
                        self.change(disk, blks, "write", kind < 0.16)
                    else:
                        if kind > 0.82:
                            blks = [base + b for b in range(low, high)]
                        self.change(disk, blks,
                                    "zero" if kind < 0.88 else "discard",
                                    False)
        except Exception as e:  # shown by the one who waits for the thread
            self.errors.append(e)

    def mark(self, logs):
        """Write down what is known now, and the place in the records."""
        with self.lock:
            durable = list(self.durable)
        for log in logs:
            hcvtest.run("dmsetup", "message", log, "0", "mark",
                        f"m{len(self.marks)}")
        with self.lock:
            self.marks.append((durable, list(self.issued)))

    def run(self, logs, steps):
        self.mark(logs)
        threads = [threading.Thread(target=self.work, args=(i, steps))
                   for i in range(len(GROUPS))]
        for thread in threads:
            thread.start()
        while any(t.is_alive() for t in threads):
            threads[0].join(0.05)
            self.mark(logs)
        if self.errors:
            raise self.errors[0]
        self.mark(logs)

    def check(self, disk, low, high):
        """Versions low..high are allowed; returns the content seen."""
        out = []
        for mib in range(self.mibs):
            data = disk.read(mib * MIB, RUN * BLOCK)
            for i in range(RUN):
                blk, got = mib * RUN + i, data[i * BLOCK:(i + 1) * BLOCK]
                out.append(got)
                want = range(low[blk], high[blk] + 1)
                if any(not any(got) if seq in self.zero[blk] else
                       got == content(blk, seq) for seq in want):
                    continue
                raise AssertionError(
                    f"block {blk} holds {describe(got)}, not a version of "
                    f"{want.start}..{want.stop - 1}, of which "
                    f"{sorted(self.zero[blk] & set(want))} are zeroes")
        return out


def describe(got):
    """For people: which block it seems to be."""
    if not any(got):
        return "zeroes"
    magic, blk, seq = struct.unpack_from("<4sIQ", got)
    if magic == b"BLK!":
        whole = "" if got == content(blk, seq) else ", torn"
        return f"version {seq} of block {blk}{whole}"
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
        mode = rnd.choice(("none", "all", "prefix", "some", "some", "some"))
        prefix = rnd.randrange(len(entries) + 1)
        with open(path, "r+b", buffering=0) as file:
            for i, entry in enumerate(entries):
                if not (entry[2] & FUA or mode == "all" or
                        mode == "prefix" and i < prefix):
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
        devs = [hcvtest.dm_create(name, f"0 {self.sectors} log-writes "
                                  f"{below} {log}") for name, below, log in
                zip(names, self.below, self.logs)]
        try:
            vol = Volume(self.node, devs, extents=2, size=256 * MIB,
                         stripe=self.rnd.choice((1, 2)),
                         queue=self.rnd.choice(("MQ", "BIO"))).format()
            try:
                vol.attach()
                self.load = Load(vol.path, self.seed)
                self.load.run(names, steps)
                vol.detach()
            finally:
                vol.end()
            self.load.mark(names)
        finally:
            for name in names:
                hcvtest.dm_remove(name)
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
        after = record.mark_at.get(f"m{mark + 1}", len(record.entries))
        cut = self.rnd.randint(record.mark_at[f"m{mark}"] + 1, after)
        record.advance(record.flushed(cut))
        hcvtest.dm_create(f"cut{i}", f"0 {self.sectors} snapshot "
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
        text = [self.cut_store(one, mark)]
        if both:
            text.append(self.cut_store(1 - one, mark))
        paths = [f"/dev/mapper/cut{i}" for i in range(2)]
        vol = Volume(self.node, paths, extents=2, size=256 * MIB,
                     stripe=self.vol.stripe, queue=self.vol.queue,
                     epoch=self.vol.epoch)
        vol.v, vol.insync, vol.fresh = self.vol.v, {vol.names[one]}, set()
        try:
            if number % 4:
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
                hcvtest.dm_remove(f"cut{i}")

    def check_round(self, vol, mark, both):
        low = self.load.marks[mark][0]
        high = self.load.marks[min(mark + 1,
                                   len(self.load.marks) - 1)][1]
        with vol.attached() as disk:
            seen = self.load.check(disk, low, high)
            if both:
                other = next(s for s in vol.names if s not in vol.insync)
                vol.open_store(other)
                with hcvvol.Events() as events:
                    vol.resync(events, other, LINK_FLAGS="FULL")
            disk.write(self.load.mibs * MIB, b"after the cut".ljust(BLOCK))
        vol.check_stores()
        # What was read once stays.
        with vol.attached() as disk:
            again = self.load.check(disk, low, high)
            ktap.check("from then on stable", seen == again)
            ktap.check("what was written then", disk.read(
                self.load.mibs * MIB).startswith(b"after the cut"))

    def rounds(self, count):
        last = len(self.load.marks) - 2
        marks = sorted(self.rnd.randint(0, last) for _ in range(count))
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
