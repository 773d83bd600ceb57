#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""Sectors of another node's store that cannot be read: that says nothing of the
rest of the replica.  The replicas are exports of this very node."""

import contextlib
import errno
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import RemoteVolume, Writer, failed, io_errno, waits
from hcvvol import MIB

node = hcvtest.Node()


def damage(dev, *blocks):
    """Make these (slot, block) of the extent that was placed first unreadable,
    and all others readable."""
    first = hcvtest.read_super(dev.disk)["data_off"] // 512
    at, table = 0, []
    for slot, blk in sorted(blocks):
        sector = first + slot * 2048 + blk * 8
        table.append(f"{at} {sector - at} linear {dev.disk} {at}")
        table.append(f"{sector} 8 error")
        at = sector + 8
    table.append(f"{at} {dev.sectors - at} linear {dev.disk} {at}")
    dev.load("\n".join(table))


@contextlib.contextmanager
def setting(count):
    """(volume with mibs 0 to 7 in slots 0 to 7, devices, events, disk)"""
    names = [f"@s{i + 1}" for i in range(count)]
    with hcvbreak.setting(node, count, kind=RemoteVolume, remote=names,
                          extents=1) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            for mib in range(8):
                disk.write(mib * MIB, b"".join(block(mib, i)
                                               for i in range(64)))
            disk.flush()
            yield vol, devs, events, disk


def block(mib, i):
    return bytes([mib, i]) * 2048


def states(vol):
    return [vol.link(s)["LINK_STATE"] for s in vol.names]


def test_another_replica():
    """Reads of any size find the other one; both stay."""
    with setting(2) as (vol, devs, events, disk):
        for dev in devs:
            damage(dev, (2, 5))
            ktap.check_eq("one block", block(2, 4), disk.read(2 * MIB + 16384))
            ktap.check_eq("the bad one", block(2, 5),
                          disk.read(2 * MIB + 20480))
            ktap.check_eq("a part of it", block(2, 5)[:512],
                          disk.read(2 * MIB + 20480, 512))
            ktap.check_eq("large", b"".join(block(2, i) for i in range(32)),
                          disk.read(2 * MIB, 131072))
            ktap.check_eq("both stay", ["INSYNC"] * 2, states(vol))
            dev.heal()


def test_each_another():
    """What each replica refuses a part of is read block by block."""
    with setting(2) as (vol, devs, events, disk):
        damage(devs[0], (3, 1), (3, 20))
        damage(devs[1], (3, 2), (3, 30))
        ktap.check_eq("all of it", b"".join(block(3, i) for i in range(32)),
                      disk.read(3 * MIB, 131072))
        ktap.check_eq("both stay", ["INSYNC"] * 2, states(vol))
        damage(devs[1], (3, 1))
        ktap.check_eq("none has it", errno.EIO,
                      io_errno(lambda: disk.read(3 * MIB + 4096)))
        ktap.check_eq("both stay", ["INSYNC"] * 2, states(vol))


def test_last_replica():
    """EIO for the block, not a wait, and not the end of the replica."""
    with setting(1) as (vol, devs, events, disk):
        damage(devs[0], (1, 7))
        for size, off in ((4096, 7 * 4096), (512, 7 * 4096 + 1024),
                          (65536, 0)):
            begin = time.monotonic()
            ktap.check_eq(f"{size} bytes", errno.EIO,
                          io_errno(lambda: disk.read(MIB + off, size)))
            spent = time.monotonic() - begin
            ktap.check("soon", spent < 30, f"{spent:.1f} s")
        ktap.check_eq("partial write", errno.EIO, io_errno(
            lambda: disk.write(MIB + 7 * 4096 + 512, b"x" * 512)))
        ktap.check_eq("its neighbour", block(1, 8),
                      disk.read(MIB + 8 * 4096))
        ktap.check_eq("it stays", ["INSYNC"], states(vol))
        events.poll()
        ktap.check("no failure told", not [e for e in events.seen
                                           if e["EVENT"] == "LINK_FAILED"])
        disk.write(7 * MIB, b"w" * 4096)
        disk.flush()


def test_revoked():
    """A closed gate answers the same, and must not become EIO."""
    with setting(1) as (vol, devs, events, disk):
        vol.edo("REVOKE", STORE="@s1")
        reader = Writer(vol.path, lambda d: d.read(MIB))
        vol.wait_link("@s1", "LOST")
        waits(vol, 1, "REPLICA")
        ktap.check("waits", not reader.ended())
        vol.stop(VOL_FLAGS="FORCE")
        ktap.check_eq("ends", errno.EIO, reader.wait())


def test_source_of_resync():
    """A replica that is copied from stays, and the other ones help out."""
    with setting(3) as (vol, devs, events, disk):
        devs[2].fail()
        writer = Writer(vol.path, lambda d: [d.write(m * MIB, block(m, 9))
                                             for m in range(4)])
        failed(vol, events, "@s3")
        vol.confirm("@s3", "OUT")
        ktap.check_eq("goes on", 0, writer.wait())
        disk.flush()
        devs[2].heal()
        vol.reopen_store("@s3")
        damage(devs[0], (2, 3), (2, 40))
        damage(devs[1], (2, 50))
        vol.resync(events, "@s3", LINK_FLAGS="FULL")
        ktap.check_eq("all stay", ["INSYNC"] * 3, states(vol))
        damage(devs[0], (2, 3), (2, 50))
        damage(devs[1], (2, 3), (2, 50))
        ktap.check_eq("copied", [block(2, 3), block(2, 50)],
                      [disk.read(2 * MIB + i * 4096) for i in (3, 50)])


ktap.main(globals())
