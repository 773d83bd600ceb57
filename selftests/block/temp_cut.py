#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""Power cuts of a temporary replica and its base, @s1 being gone for good: at
any moment after the mark the two hold what was flushed. Before it, from the
moment on at which all of the temporary replica's pages are there, they lack
just what these name. HCV_CUT_SEED starts from another seed."""

import functools
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvdm
import hcvlook
import hcvtest
import hcvvol
import ktap
from hcvlook import Entry, Medium, where
from hcvplan import Load, Lost, Plan
from hcvrecord import FLUSH, FUA, Record
from hcvvol import Volume

SEED = int(os.environ.get("HCV_CUT_SEED", "1"))
DIV = int(os.environ.get("HCV_SIZE_DIV", "1"))
STEPS = max(240 // DIV, 60)
EXTENTS = 2
PAGES = 9		# of an extent
node = hcvtest.Node()


class Pair(hcvlook.Look):
    """All cuts of the temporary replica's record, beside its base as a cut
    has left that: with what was flushed, and nothing else."""

    def __init__(self, record, base, load, supers, script):
        super().__init__(record, load, supers[1])
        self.script = script
        self.base = durable(base, supers[0], load.plan.seed)
        self.base_slots = self.base.slots()
        self.number, self.named, self.lacking = -1, False, 0

    def expect(self, mark):
        super().expect(mark)
        self.number = mark

    def marked(self):
        return self.number >= self.script.mark["covers"]

    def check_named(self, durable, writes, i):
        """Its log is of no use before it counts."""
        if self.number >= self.script.mark["joining"]:
            super().check_named(durable, writes, i)

    def check_medium(self, medium, how):
        newest = medium.newest()
        complete = len(newest) == EXTENTS * PAGES
        if self.marked() and not complete:
            raise Lost(0, f"{how}: there are {len(newest)} pages")
        self.stamps = {}
        for page in newest.values():
            self.stamps.update(page.stamps)
        if complete:
            self.medium = medium
            super().check_medium(self, how)

    def slots(self):
        """Of self.medium: we stand in for it in check_medium()."""
        return self.medium.slots()

    def block(self, slots, blk):
        """From the one that has it; what may be lacking is said so."""
        got = self.medium.block(slots, blk)
        mib, index = where(blk)
        if got is not None or mib not in slots:
            return got
        _, seq, _, lo, hi = slots[mib]
        if not lo >> index & hi >> index & 1:
            return None
        if not self.marked() and self.stamps[mib, seq] > self.script.since:
            self.lacking += 1
            return "lacking"
        other = self.base_slots.get(mib)
        if not other or other[1] != seq:
            return 0 if mib in self.medium.named() else None
        return self.base.block(self.base_slots, blk)

    def allowed(self, blk, low, high, got):
        return got == "lacking" or super().allowed(blk, low, high, got)


def durable(record, sb, seed):
    """What a disk has for certain."""
    medium, pending = Medium(), []
    for entry in (Entry(record, one, sb, seed) for one in record.entries):
        if entry.flags & FLUSH:
            for one in pending:
                medium.apply(one)
            pending = []
        if entry.flags & (FLUSH | FUA):
            medium.apply(entry)
        elif entry.pages or entry.blocks or entry.logs:
            pending.append(entry)
    return medium


class Script:
    """What happens beside the load, step by step."""

    def __init__(self, vol, load, steps, names):
        self.vol, self.load, self.names = vol, load, names
        self.at, self.since, self.mark = 0, 0, {}
        self.steps = [(steps // 4, self.lose), (steps // 3, self.tie),
                      (0, self.joining), (0, self.covers)]

    def tick(self):
        self.load.mark(self.names)
        if self.at == len(self.steps):
            return
        begun, step = self.steps[self.at]
        if sum(self.load.begun) >= begun and step():
            self.mark[step.__name__] = len(self.load.marks)
            self.at += 1
            self.load.mark(self.names)

    def lose(self):
        """The base, with whatever is under way."""
        self.since = self.vol.v
        self.vol.edo("VOL_LINK_DROP", STORE="@s2")
        self.vol.wait_link("@s2", "FAILING")
        self.vol.confirm("@s2", "OUT")
        return True

    def tie(self):
        self.vol.open_store("@s3")
        self.vol.do("STORE_EXTENT_ADD", STORE="@s3",
                    INDEXES=f"0-{EXTENTS - 1}")
        self.vol.v += 1
        self.vol.edo("VOL_SET", SYNC_KIBPS=4096)
        self.vol.link_add("@s3", "SYNCING", LINK_FLAGS="TEMP", BASE="@s2",
                          SINCE=self.since)
        return True

    def joining(self):
        return self.vol.link("@s3")["LINK_STATE"] == "JOINING"

    def covers(self):
        self.vol.confirm("@s3", "INSYNC")
        self.vol.insync.discard("@s3")
        return True


class Three(Volume):
    """Rows on the first two stores."""

    def __init__(self, devs, **attrs):
        super().__init__(node, devs, replicas=2, **attrs)
        self.insync = {"@s1", "@s2"}

    def _row(self, index):
        return ["@s1", "@s2"]


def record(seed, disks):
    """(look, script): a load in the middle of which @s2 is lost."""
    names = ["rec0", "rec1"]
    sectors = hcvvol.STORE_BYTES // 512
    recs = [hcvdm.create(name, f"0 {sectors} log-writes {below} {log}")
            for name, below, log in zip(names, disks[1:3], disks[3:5])]
    try:
        vol = Three([disks[0], *recs], extents=EXTENTS, size=256 << 20,
                    stripe=1 + seed % 2).format()
        try:
            vol.attach()
            plan = Plan(seed, STEPS)
            load = Load(vol.path, plan)
            load.mark(names)
            script = Script(vol, load, 3 * STEPS, names)
            load.run(script.tick)
            ktap.check_eq("all happened", len(script.steps), script.at)
            ktap.note(f"{len(load.marks)} marks, {script.mark}")
            load.mark(names)
            vol.stop(VOL_FLAGS="FORCE")
        finally:
            vol.end()
        load.mark(names)
    finally:
        for name in names:
            hcvdm.remove(name)
    supers = [hcvtest.read_super(disk) for disk in disks[1:3]]
    records = [Record(log, None) for log in disks[3:5]]
    try:
        return Pair(records[1], records[0], load, supers, script)
    finally:
        for one in records:
            one.close()


def looks(seed):
    """One load, and all cuts of it."""
    hcvtest.run("modprobe", "dm-log-writes")
    with hcvvol.ram_disks(5) as disks:
        look = record(seed, disks)
        try:
            ktap.note(f"seed {seed}: {look.check()} cuts looked at, "
                      f"{look.lacking} blocks lacking in them")
        except Lost as e:
            for line in look.describe(e.blk):
                ktap.note(line)
            raise
        yield look


def test_cuts():
    """Three loads, with few flushes and with many."""
    for seed in range(SEED, SEED + 3):
        for _ in looks(seed):
            pass


def test_what_is_left_out_is_missed():
    """A look at a record notices one write that is not there."""
    for look in looks(SEED + 3):
        for writes in look.needed():
            ktap.check_raises(f"without writes {writes}", Lost,
                              functools.partial(look.check, writes))


ktap.main(globals())
