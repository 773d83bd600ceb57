#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""No space: who waits, who gets ENOSPC, and how it goes on after that. What
waits on one volume is no other volume's business."""

import errno
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvbreak import (Writer, bring_back, failed, fill, finish, io_errno,
                      take_out, verify)
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 2)
setting = pool.setting


def fill_up(disk, mibs=range(256)):
    for mib in mibs:
        disk.write(mib * MIB, bytes([mib % 256]) * 4096)


def wants_extent(vol, count=1):
    def there():
        got = vol.get()
        return got["WAIT"] == "EXTENT" and got["WAIT_COUNT"] == count
    hcvtest.wait_for(there, 10, "a wait for an extent")


def test_no_space():
    with setting(extents=1, size=1024 * MIB) as (vol, _, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill_up(disk)
            writer = Writer(vol.path, lambda d: fill(d, (300,), 1))
            told = events.wait("NEED_EXTENT", COLUMN=0)
            ktap.check_eq("epoch", vol.epoch, told["EPOCH"])
            wants_extent(vol)
            ktap.check("waits", not writer.ended())
            fill(disk, (10,), 7)
            vol.edo("VOL_NOSPACE", COLUMN=0)
            ktap.check_eq("no space", errno.ENOSPC, writer.wait())
            ktap.check_eq("still none", errno.ENOSPC, io_errno(
                lambda: disk.write(400 * MIB, bytes(4095) + b"1")))
            ktap.check_eq("a part of a block", errno.ENOSPC, io_errno(
                lambda: disk.write(400 * MIB + 512, bytes(512))))
            ktap.check_eq("no effect", bytes(4096), disk.read(400 * MIB))
            ktap.check_eq("flush", 0, io_errno(disk.flush))
            disk.discard(20 * MIB, MIB)
            disk.flush()
            hcvtest.wait_for(lambda: vol.get()["READY"] == 1, 10, "a slot")
            fill(disk, (400,), 8)
            vol.grow_extents(1)
            fill(disk, range(301, 310), 9)
            verify(disk, range(301, 310), 9)
            verify(disk, (400,), 8)
            verify(disk, (10,), 7)
        finish(vol)


def test_waiting_for_space():
    """An extent that comes lets the waiters go on."""
    with setting(extents=2, size=1024 * MIB, stripe=2) as (vol, _, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill_up(disk, range(0, 512, 2))
            writers = [Writer(vol.path, lambda d, m=m: fill(d, (m,), 5))
                       for m in (600, 602, 604)]
            events.wait("NEED_EXTENT", COLUMN=0)
            wants_extent(vol, 3)
            fill(disk, (601,), 5)	# the other column has space
            vol.grow_extents(1)		# extent 2 is of column 0
            ktap.check_eq("they end", [0] * 3, [w.wait() for w in writers])
            verify(disk, (600, 601, 602, 604), 5)
        finish(vol)


def test_freed_space():
    """A slot that is freed lets a waiter go on, without the agent."""
    with setting(extents=1, size=1024 * MIB) as (vol, _, _):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill_up(disk)
            writer = Writer(vol.path, lambda d: fill(d, (300,), 3))
            wants_extent(vol)
            disk.discard(7 * MIB, MIB)
            disk.flush()
            ktap.check_eq("goes on", 0, writer.wait())
            verify(disk, (300,), 3)
            ktap.check("gone", not any(disk.read(7 * MIB, MIB)))
        finish(vol)


def test_no_space_and_a_failure():
    """A replica fails while a write waits for space; both are answered."""
    with setting(extents=1, size=1024 * MIB) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill_up(disk)
            writer = Writer(vol.path, lambda d: fill(d, (300,), 3))
            wants_extent(vol)
            devs[1].fail_writes()
            other = Writer(vol.path, lambda d: fill(d, (1,), 4))
            failed(vol, events, "@s2")
            vol.confirm("@s2", "OUT")
            ktap.check_eq("goes on", 0, other.wait())
            ktap.check("waits still", not writer.ended())
            vol.place("@s1", ())
            vol.rows.append(vol.rows[0])
            vol.fresh.add(1)
            vol.place("@s1", (1,))
            vol.grant("@s1")
            vol.extent_add((1,))
            ktap.check_eq("and this one", 0, writer.wait())
        bring_back(vol, events, "@s2", devs[1])
        with hcvvol.Disk(vol.path) as disk:
            verify(disk, (300,), 3)
            verify(disk, (1,), 4)
        finish(vol)


def test_row_without_replica():
    """A new extent needs an in-sync replica, which no resync could fill, and
    none that is failing, whose removal its row may forbid."""
    with setting(extents=2, size=1024 * MIB) as (vol, devs, events):
        def refused(what, index=2):
            try:
                vol.extent_add((index,))
            except hcvnl.Fail as e:
                ktap.check_eq(what, errno.EBUSY, e.code)
            else:
                ktap.check(what, False, "taken")

        vol.attach()
        vol.rows += [["@s2"], ["@s1", "@s2"]]
        vol.fresh |= {2, 3}
        vol.place("@s1", (3,))
        vol.place("@s2", (2, 3))
        for store in vol.names:
            vol.grant(store)
        with hcvvol.Disk(vol.path) as disk:
            devs[1].fail_writes()
            writer = Writer(vol.path, lambda d: fill(d, (1,), 4))
            failed(vol, events, "@s2")
            refused("failing")
            refused("one is failing", 3)
            vol.confirm("@s2", "OUT")
            ktap.check_eq("goes on", 0, writer.wait())
            refused("out")
            devs[1].heal()
            vol.reopen_store("@s2")
            vol.resync(events, "@s2")
            vol.extent_add((2, 3))
            verify(disk, (1,), 4)
            fill(disk, range(768), 5)
            verify(disk, range(768), 5)
        finish(vol)


def test_no_space_while_stopping():
    """A write that waits for space does not keep a volume."""
    with setting(extents=1, size=1024 * MIB) as (vol, _, _):
        vol.attach()
        disk = hcvvol.Disk(vol.path)
        fill_up(disk)
        disk.flush()
        writer = Writer(vol.path, lambda d: fill(d, (300,), 3))
        wants_extent(vol)
        vol.edo("VOL_SUSPEND")
        ktap.check("waits", not writer.ended())
        vol.edo("VOL_RESUME")
        wants_extent(vol)
        vol.stop(VOL_FLAGS="FORCE")
        ktap.check_eq("ends", errno.EIO, writer.wait(5))
        disk.__exit__()
        vol.close_stores()
        with vol.attached() as disk:
            ktap.check_eq("content", bytes([9]) * 4096, disk.read(9 * MIB))


def test_suspended_neighbour():
    """Discards that wait on one volume stop none of another's."""
    with setting(extents=2) as (vol, _, _):
        vol.attach()
        with hcvbreak.neighbour(vol, extents=2) as other:
            try:
                suspended_neighbour(vol, other)
            finally:
                for path in Path("/dev/mapper").glob("part*"):
                    hcvtest.dm_remove(path.name)
            vol.stop()
            other.stop()


def suspended_neighbour(vol, other):
    with hcvvol.Disk(vol.path) as disk:
        for mib in range(16):
            disk.write(mib * MIB, b"d" * 4096)
    # Of one block device one discard at a time comes: take several.
    for mib in range(12):
        hcvtest.dm_create(f"part{mib}",
                          f"0 2048 linear {vol.path} {mib * 2048}")
    vol.edo("VOL_SUSPEND")
    stuck = [Writer(f"/dev/mapper/part{m}", lambda d: d.discard(0, MIB))
             for m in range(6)]
    stuck += [Writer(f"/dev/mapper/part{m}", lambda d: d.zeroout(0, MIB))
              for m in range(6, 12)]
    stuck += [Writer(vol.path, lambda d, m=m: d.write(
        m * MIB + 512, b"x" * 512)) for m in range(12, 16)]
    hcvtest.wait_for(lambda: vol.get()["WAIT_COUNT"] >= 4, 10, "waiters")
    with hcvvol.Disk(other.path) as disk:
        for action in (lambda d: d.write(MIB, b"o" * 8192),
                       lambda d: d.discard(MIB, 4096),
                       lambda d: d.zeroout(MIB + 4096, 2048),
                       lambda d: d.write(MIB + 8192 + 512, b"p" * 512),
                       lambda d: d.flush()):
            ktap.check_eq("the other goes on", 0,
                          Writer(other.path, action).wait(10))
        ktap.check("content", disk.read(MIB, 9216) == bytes(6144) +
                   b"o" * 2048 + bytes(512) + b"p" * 512)
    ktap.check("waiting still", not any(w.ended() for w in stuck))
    vol.edo("VOL_RESUME")
    ktap.check_eq("all end", [0] * 16, [w.wait() for w in stuck])


def test_full_store_after_a_failure():
    """All slots are in use when a replica returns: the copy needs none."""
    with setting(extents=1, size=1024 * MIB) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill_up(disk)
            disk.flush()
        take_out(vol, events, "@s2", devs[1])
        with hcvvol.Disk(vol.path) as disk:
            disk.discard(100 * MIB, 10 * MIB)
            disk.flush()
            hcvtest.wait_for(lambda: vol.get()["READY"] == 10, 10, "slots")
            fill(disk, range(400, 410), 4)
        bring_back(vol, events, "@s2", devs[1])
        with hcvvol.Disk(vol.path) as disk:
            verify(disk, range(400, 410), 4)
        finish(vol)


with pool:
    ktap.main(globals())
