#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1200
# MEM: 2048
"""The activity log: what it costs, what waits for it, and that after an
unclean stop other copies get what may differ, all of it and nothing else."""

import contextlib
import errno
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvnbd
import hcvtest
import hcvvol
import ktap
from hcvbreak import (Writer, failed, fill, finish, no_autocommit, verify,
                      waits)
from hcvtest import BLOCK
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 3)
setting = pool.setting
ENTRIES = 8 * 992
LOG_OFF, LOG_SIZE = 128 << 10, 64 << 10


def log(vol):
    """(entries, misses, writes, dropped) of the log."""
    got = vol.get()
    return tuple(got[f"LOG_{n}"] for n in ("ENTRIES", "MISSES", "WRITES",
                                           "DROPPED"))


def unclean(vol):
    """The owner is gone with what it had not flushed."""
    vol.stop(VOL_FLAGS="FORCE")
    vol.close_stores()


def attach(vol):
    vol.attach(VOL_FLAGS="LOG")


def take_over(vol, *stores):
    """The next owner, with these as the in-sync set; returns what is named."""
    vol.insync = set(stores)
    attach(vol)
    return vol.get()["LOG_NAMED"]


def others(vol, events):
    """The other copies are brought up to date; bytes copied of each."""
    copied = {}
    for store in vol.names:
        if store not in vol.insync:
            vol.open_store(store)
            copied[store] = vol.resync(events, store)
    return copied


def base(vol, mibs):
    """Data that everybody has, and nobody named: from an earlier owner."""
    with vol.attached(VOL_FLAGS="LOG") as disk:
        fill(disk, mibs, 1)
        disk.flush()


def test_cost():
    """One entry for a mib, however often it is written and flushed."""
    with setting() as (vol, _, _), no_autocommit():
        attach(vol)
        entries, _, first, dropped = log(vol)
        ktap.check_eq("empty", (0, 0), (entries, dropped))
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 1)
            after = log(vol)
            ktap.check_eq("a miss", (1, first + 1), (after[0], after[2]))
            ktap.check("counted", after[1] >= 1)
            for turn in range(20):
                fill(disk, (1,), turn)
                if turn % 5 == 0:
                    disk.flush()
            disk.read(5 * MIB)
            disk.discard(6 * MIB, MIB)
            disk.discard(MIB, MIB)
            ktap.check_eq("no further ones", after, log(vol))
        finish(vol)
        named = take_over(vol, *vol.names)
        ktap.check_eq("a clean stop empties it", 0, named)
        ktap.check_eq("so that it is not written again", 0, log(vol)[2])
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 30)
        ktap.check_eq("but for the miss", 1, log(vol)[2])
        unclean(vol)
        ktap.check_eq("named", 1, take_over(vol, *vol.names))
        ktap.check("and is written", log(vol)[2] >= 32)
        finish(vol)


def test_batch():
    """Misses that come together share a write."""
    with setting() as (vol, devs, _), no_autocommit():
        attach(vol)
        before = log(vol)
        # The first one's log write does not end; the others queue.
        devs[1].suspend()
        writers = [Writer(vol.path, lambda d, i=i: fill(d, (i,), i + 1))
                   for i in range(12)]
        waits(vol, 12, "LOG")
        devs[1].resume()
        ktap.check_eq("written", [0] * 12, [w.wait(60) for w in writers])
        after = log(vol)
        ktap.check_eq("entries", 12, after[0])
        ktap.check("two writes at most", after[2] - before[2] <= 2,
                   f"{after[2] - before[2]} for 12 misses")
        with hcvvol.Disk(vol.path) as disk:
            for i in range(12):
                verify(disk, (i,), i + 1)
        finish(vol)


def test_wait():
    """Who waits for an entry is seen to, and others do not wait."""
    with setting() as (vol, devs, _), no_autocommit():
        attach(vol)
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 1)
            devs[1].suspend()
            writer = Writer(vol.path, lambda d: fill(d, (2,), 2))
            waits(vol, 1, "LOG")
            verify(disk, (1,), 1)
            devs[1].resume()
            ktap.check_eq("the write", 0, writer.wait())
        finish(vol)


def test_void():
    """While a replica is failing nothing is named, and nothing is sent."""
    with setting() as (vol, devs, events), no_autocommit():
        attach(vol)
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 1)
            disk.flush()
            devs[1].fail_writes()
            first = Writer(vol.path, lambda d: fill(d, (2,), 2))
            failed(vol, events, "@s2")
            second = Writer(vol.path, lambda d: fill(d, (3,), 3))
            waits(vol, 2)
            ktap.check_eq("used", 1, vol.get()["USED_SLOTS"])
            vol.confirm("@s2", "OUT")
            ktap.check_eq("written", [0, 0], [first.wait(), second.wait()])
            verify(disk, (2,), 2)
            verify(disk, (3,), 3)
        hcvbreak.bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def test_unclean():
    """What was named is copied to the others, and nothing else."""
    with setting(3, replicas=3) as (vol, _, events), no_autocommit():
        base(vol, range(40))
        attach(vol)
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (3, 30), 2)
            disk.flush()
            fill(disk, (7,), 3)
        unclean(vol)
        ktap.check_eq("named", 3, take_over(vol, "@s2"))
        with hcvvol.Disk(vol.path) as disk:
            verify(disk, (3, 30), 2)
            verify(disk, (1, 2, 39), 1)
        for store, copied in others(vol, events).items():
            ktap.check(f"{store} got what was named, no more",
                       0 < copied <= 3 * MIB, f"{copied} bytes")
        finish(vol)


def test_differ():
    """A write that one replica took and another one did not, and that nobody
    acknowledged, is the same on all afterwards, whoever is the source."""
    for source, other in (("@s1", "@s2"), ("@s2", "@s1")):
        with setting() as (vol, devs, events), no_autocommit():
            base(vol, range(8))
            attach(vol)
            with hcvvol.Disk(vol.path) as disk:
                fill(disk, range(8), 2)
                disk.flush()
            # The log can be written, the data cannot.
            devs[1].refuse_writes(*devs[1].slot(4))
            writer = Writer(vol.path, lambda d: fill(d, (4,), 3))
            failed(vol, events, "@s2")
            vol.stop(VOL_FLAGS="FORCE")
            writer.wait()
            devs[1].heal()
            vol.close_stores()
            ktap.check_eq(f"named, from {source}", 8, take_over(vol, source))
            with hcvvol.Disk(vol.path) as disk:
                want = 3 if source == "@s1" else 2
                verify(disk, (4,), want)
                verify(disk, (0, 7), 2)
            copied = others(vol, events)[other]
            ktap.check("copied", 0 < copied <= 8 * MIB, f"{copied} bytes")
            finish(vol)


def test_none():
    """Without the flag no log is kept, and what one names counts all the same."""
    with setting() as (vol, _, events), no_autocommit():
        base(vol, range(8))
        attach(vol)
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (5,), 2)
        unclean(vol)
        vol.insync = {"@s1"}
        vol.attach(VOL_FLAGS=0)
        ktap.check_eq("named", 1, vol.get()["LOG_NAMED"])
        before = log(vol)
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (6, 7), 2)
        ktap.check_eq("not kept", before, log(vol))
        others(vol, events)
        finish(vol)
        # That of the copy that joined an owner without one is as it was.
        for named in (1, 0):
            ktap.check_eq("named then", named, take_over(vol, *vol.names))
            finish(vol)


def test_again():
    """An owner that dies before the others have been compared leaves the next
    one no less."""
    with setting() as (vol, _, events), no_autocommit():
        base(vol, range(20))
        attach(vol)
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (5, 6), 2)
        unclean(vol)
        ktap.check_eq("named", 2, take_over(vol, "@s1"))
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (9,), 3)
        unclean(vol)
        # The first two have their stamps on the media by now.
        ktap.check_eq("named by the next", 1, take_over(vol, "@s1"))
        copied = others(vol, events)["@s2"]
        ktap.check("copied", 0 < copied <= 3 * MIB, f"{copied} bytes")
        finish(vol)


def test_joined():
    """A copy that joined has the log of what was written before."""
    with setting() as (vol, devs, events), no_autocommit():
        base(vol, range(8))
        attach(vol)
        hcvbreak.take_out(vol, events, "@s2", devs[1])
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (4, 5), 4)
        hcvbreak.bring_back(vol, events, "@s2", devs[1])
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (5,), 5)
        unclean(vol)
        ktap.check_eq("named", 3, take_over(vol, "@s2"))
        others(vol, events)
        finish(vol)


def test_damaged():
    """A damaged log names everything, whatever another one says: a store that
    came into the set with fresh extents has a blank one."""
    with setting() as (vol, _, events), no_autocommit():
        base(vol, range(30))
        attach(vol)
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (5,), 2)
        unclean(vol)
        sb = hcvtest.read_super(vol.devs[0])
        hcvtest.device_write(vol.devs[0], sb["vol_off"] + LOG_OFF,
                             b"\xa5" * LOG_SIZE)
        ktap.check_eq("all", 30, take_over(vol, "@s1"))
        copied = others(vol, events)["@s2"]
        ktap.check("all copied", copied > 0, f"{copied} bytes")
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (6,), 3)
        unclean(vol)
        hcvtest.device_write(vol.devs[0], sb["vol_off"] + LOG_OFF,
                             b"\xa5" * LOG_SIZE)
        ktap.check_eq("all, with a whole one", 30,
                      take_over(vol, "@s1", "@s2"))
        finish(vol)


def test_refused():
    """The last replica's disk refuses the log: an error, and no longer than
    it does."""
    with setting(1) as (vol, devs, _), no_autocommit():
        attach(vol)
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 1)
            sb = hcvtest.read_super(devs[0].disk)
            devs[0].refuse_writes((sb["vol_off"] + LOG_OFF) // 512,
                                  LOG_SIZE // 512)
            got = hcvbreak.io_errno(lambda: fill(disk, (2,), 2))
            ktap.check("an error", got != 0)
            fill(disk, (1,), 3)
            devs[0].heal()
            fill(disk, (2,), 4)
            verify(disk, (1,), 3)
            verify(disk, (2,), 4)
        finish(vol)


@contextlib.contextmanager
def nbd_setting():
    """(volume, disk of @s1, events): that disk is ours."""
    with hcvnbd.Disk(hcvvol.STORE_BYTES) as nbd, \
            hcvvol.Events() as events, no_autocommit():
        vol = hcvvol.Volume(node, [nbd.path, pool.devs[0].path]).format()
        try:
            yield vol, nbd, events
        finally:
            nbd.release()
            vol.end()


def test_lost_flush():
    """A disk refuses the FLUSH behind a log page and drops what it had cached,
    while a round's only FLUSH is queued behind that one, which succeeds. The
    store is not believed: what was cached is missing there, and comes back."""
    with nbd_setting() as (vol, nbd, events):
        base(vol, range(8))
        attach(vol)
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 2)
            disk.flush()
            # No page changes with it: the round has one FLUSH.
            fill(disk, (1,), 3)
            nbd.hold()
            writer = Writer(vol.path, lambda d: fill(d, (5,), 4))
            nbd.wait_held()
            before = vol.link("@s2")["FLUSH_IOS"]
            flusher = Writer(vol.path, lambda d: d.flush())
            # It is sent to @s1 first.
            hcvtest.wait_for(lambda: vol.link("@s2")["FLUSH_IOS"] > before, 10,
                             "the round's FLUSH")
            nbd.release(errno.EIO)
            failed(vol, events, "@s1")
            ktap.check_eq("latched", "FAILED", node.do(
                "STORE_GET", STORE="@s1").get("STORE_FLAGS"))
            vol.confirm("@s1", "OUT")
            hcvbreak.ended("both", writer, flusher)
            vol.reopen_store("@s1")
            copied = vol.resync(events, "@s1")
            ktap.check("copied", 0 < copied <= 2 * MIB, f"{copied} bytes")
            verify(disk, (1,), 3)
            verify(disk, (5,), 4)
        finish(vol)


def places(dev, page):
    """Where a page's newest place is on a device, and where the other one."""
    at = hcvtest.read_super(dev)["vol_off"] + LOG_OFF + page * BLOCK
    return sorted((at, at + LOG_SIZE // 2), reverse=True,
                  key=lambda off: struct.unpack_from(
                      "<QQ", hcvtest.device_read(dev, off), 40))


def test_unreadable():
    """A place that a power cut left unreadable is a damaged one, and is as
    good as new when it was written."""
    with nbd_setting() as (vol, nbd, events):
        base(vol, range(8))
        attach(vol)
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (5,), 2)
            disk.flush()
        unclean(vol)
        nbd.bad = {places(nbd.path, 0)[1]}
        ktap.check_eq("named", 1, take_over(vol, "@s1"))
        ktap.check_eq("written", set(), nbd.bad)
        with hcvvol.Disk(vol.path) as disk:
            verify(disk, (5,), 2)
            fill(disk, (6,), 3)
            disk.flush()
        others(vol, events)
        finish(vol)
        # Both places of a page: nobody knows what it named.
        attach(vol)
        unclean(vol)
        nbd.bad = set(places(nbd.path, 1))
        ktap.check_eq("all", 8, take_over(vol, "@s1", "@s2"))
        finish(vol)


def put(disk, mib):
    disk.write(mib * MIB, mib.to_bytes(4, "little") * 1024)


def test_full():
    """More mibs than there are entries: who comes then waits for a round, and
    is seen to."""
    count = ENTRIES + 200
    with hcvbreak.cached_disks(1, 12 << 30, "hcvl") as disks, \
            no_autocommit():
        dev = hcvbreak.Breakable("hcvfull", disks[0], (12 << 30) // 512)
        vol = hcvvol.Volume(node, [dev.path], size=(count + 8) * MIB,
                            extents=32)
        try:
            vol.format()
            attach(vol)
            with hcvvol.Disk(vol.path) as disk:
                for mib in range(ENTRIES):
                    put(disk, mib)
                got = log(vol)
                ktap.check_eq("full, none dropped", (ENTRIES, 0),
                              (got[0], got[3]))
                dev.suspend()
                writer = Writer(vol.path, lambda d: put(d, ENTRIES))
                waits(vol, 1, "LOG")
                dev.resume()
                ktap.check_eq("made room", 0, writer.wait())
                for mib in range(ENTRIES + 1, count):
                    put(disk, mib)
                got = log(vol)
                ktap.check_eq("full, others dropped", (ENTRIES, 200),
                              (got[0], got[3]))
                for mib in range(0, count, 97):
                    if disk.read(mib * MIB) != \
                            mib.to_bytes(4, "little") * 1024:
                        ktap.check(f"mib {mib}", False)
            vol.detach()
        finally:
            dev.heal()
            vol.end()
            dev.remove()


with pool:
    ktap.main(globals())
