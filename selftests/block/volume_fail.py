#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""A replica fails: the agent is told, nothing is acknowledged before its word,
and what was missed is copied when the replica is back. Policies."""

import contextlib
import errno
import mmap
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import (Writer, bring_back, failed, fill, finish, io_errno,
                      take_out, verify, waits)
from hcvtest import uuid_text
from hcvvol import MIB, Volume

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 2)
setting = pool.setting


def lose(vol, events, breaks, action):
    """The second replica fails under some I/O."""
    with hcvvol.Disk(vol.path) as disk:
        fill(disk, range(40), 1)
        disk.flush()
        breaks()
        writer = Writer(vol.path, action)
        told = failed(vol, events, "@s2")
        ktap.check_eq("told", (uuid_text("@v1"), vol.epoch, vol.v,
                               vol.incarnation["@s2"]),
                      tuple(told[k] for k in ("VOL", "EPOCH", "V",
                                              "INCARNATION")))
        hcvtest.wait_for(lambda: vol.get()["WAIT"] == "CONFIRM", 10,
                         "a wait for the agent")
        ktap.check("not acknowledged before the word", not writer.ended())
        # Reads go on.
        verify(disk, range(20, 23), 1)
        vol.confirm("@s2", "OUT")
        ktap.check_eq("acknowledged", 0, writer.wait())
        fill(disk, (7, 60), 3)
        disk.write(5 * MIB, b"2" * 4096)
        disk.flush()


def write_flush(disk):
    disk.write(5 * MIB, b"1" * 4096)
    disk.flush()


def check_failure(how, action=write_flush):
    with setting() as (vol, devs, events):
        vol.attach()
        lose(vol, events, getattr(devs[1], how), action)
        copied = bring_back(vol, events, "@s2", devs[1])
        # Mibs 5, 7 and 60 were written; each has few valid blocks.
        ktap.check("only what changed was copied",
                   16384 <= copied <= 3 * 16384, str(copied))
        with hcvvol.Disk(vol.path) as disk:
            verify(disk, (7, 60), 3)
            verify(disk, (6, 39), 1)
            ktap.check_eq("mib 5", b"2" * 4096, disk.read(5 * MIB))
            fill(disk, range(30, 34), 4)
        finish(vol)


def test_write_errors():
    check_failure("fail_writes")


def test_dead_device():
    check_failure("fail")


def test_flush_errors():
    check_failure("fail_flush")


def test_forced_unit_access():
    check_failure("fail_writes", lambda d: d.write(
        5 * MIB + 512, b"1" * 1024, os.RWF_DSYNC))


def test_zeroes():
    """Nothing but the map changes: the end blocks are what meets the error."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            for mib in range(4):
                disk.write(mib * MIB, b"z" * MIB)
            disk.flush()
            devs[1].fail_writes()
            # A part of a block at either end, over three megabytes.
            writer = Writer(vol.path, lambda d: d.zeroout(512, 2 * MIB))
            failed(vol, events, "@s2")
            # One I/O on 6.1; 6.12 splits it at each megabyte.
            hcvtest.wait_for(lambda: vol.get()["WAIT"] == "CONFIRM", 10,
                             "waiter")
            ktap.check("waits", not writer.ended())
            vol.confirm("@s2", "OUT")
            ktap.check_eq("goes on", 0, writer.wait())
            flusher = Writer(vol.path, lambda d: d.flush())
            ktap.check_eq("flush", 0, flusher.wait())
        bring_back(vol, events, "@s2", devs[1])
        with hcvvol.Disk(vol.path) as disk:
            got = disk.read(0, 3 * MIB)
            ktap.check("content", got == b"z" * 512 + bytes(2 * MIB) +
                       b"z" * (MIB - 512))
        finish(vol)


def test_discard_waits():
    """A DISCARD is acknowledged as late as a write is."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(6), 1)
            disk.flush()
            devs[1].fail_writes()
            writer = Writer(vol.path, lambda d: fill(d, (0,), 2))
            failed(vol, events, "@s2")
            other = Writer(vol.path, lambda d: d.discard(2 * MIB, 2 * MIB))
            waits(vol, 2)
            ktap.check("both wait", not writer.ended() and not other.ended())
            vol.confirm("@s2", "OUT")
            ktap.check_eq("both end", [0, 0], [writer.wait(), other.wait()])
            disk.flush()
        bring_back(vol, events, "@s2", devs[1])
        with hcvvol.Disk(vol.path) as disk:
            ktap.check("gone", not any(disk.read(2 * MIB, 2 * MIB)))
            verify(disk, (1, 4, 5), 1)
        finish(vol)


def test_read_errors():
    """A read goes to another replica, and the first one is failed."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(8), 1)
            disk.flush()
            first = hcvbreak.read_from(vol, disk, 4096)
            dev = devs[vol.names.index(first)]
            dev.fail()
            verify(disk, range(8), 1)
            failed(vol, events, first)
            ktap.check_eq("a small read", b"\1" * 512,
                          disk.read(MIB + 4096, 512))
            vol.confirm(first, "OUT")
            disk.write(0, b"n" * 4096)
            disk.flush()
        bring_back(vol, events, first, dev)
        finish(vol)


WINDOW = 8 * MIB		# slots 0..7 lie on the disk with bad sectors


@contextlib.contextmanager
def scsi_windows(vol, devs):
    """Both stores' first slots on a SCSI disk; yields a function that makes
    blocks of slot 0 unreadable."""
    try:
        hcvtest.run("modprobe", "sd_mod")
    except RuntimeError as e:
        raise ktap.Skip("this kernel has no SCSI disks") from e
    hcvtest.run("modprobe", "scsi_debug", "delay=0",
                f"dev_size_mb={2 * WINDOW // MIB}")
    try:
        disk = hcvtest.wait_for(lambda: next(
            (f"/dev/{p.name}" for p in Path("/sys/block").glob("sd*")
             if "scsi_debug" in (p / "device/model").read_text() and
             os.path.exists(f"/dev/{p.name}")), None), 10, "a SCSI disk")
        size = WINDOW // 512
        for i, dev in enumerate(devs):
            first = hcvtest.read_super(vol.devs[i])["data_off"] // 512
            dev.load(f"0 {first} linear {dev.disk} 0\n"
                     f"{first} {size} linear {disk} {i * size}\n"
                     f"{first + size} {dev.sectors - first - size} "
                     f"linear {dev.disk} {first + size}")
        params = Path("/sys/module/scsi_debug/parameters")

        def spoil(first, last=None):
            """Block of one store, or all up to that of another: (i, block)."""
            at = [i * size + block * 8 for i, block in (first, last or first)]
            (params / "medium_error_start").write_text(str(at[0]))
            (params / "medium_error_count").write_text(
                str(at[1] - at[0] + 8))
            (params / "opts").write_text("2")
        yield spoil
        vol.end()
    finally:
        for dev in devs:
            dev.heal()
        hcvtest.remove_module("scsi_debug")


def test_bad_sector():
    """A sector that cannot be read is no reason to lose a replica: the other
    one is asked, in every way of reading. What none can read is EIO."""
    with setting() as (vol, devs, _), scsi_windows(vol, devs) as spoil:
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"b" * 65536)
            disk.write(131072, b"c" * 65536)
            disk.flush()
            first = vol.names.index(hcvbreak.read_from(vol, disk, 0))
            spoil((first, 2))
            want = b"b" * 65536 + bytes(65536) + b"c" * 65536
            for what, off, size in (("whole", 0, 65536),
                                    ("mixed", 0, len(want)),
                                    ("small", 8192 + 512, 512)):
                reader = Writer(vol.path, lambda d, o=off, s=size:
                                0 if d.read(o, s) == want[o:o + s] else
                                os._exit(254))
                ktap.check_eq(what, 0, reader.wait())
            ktap.check("counted", vol.link(vol.names[first])["ERRORS"] > 2)
            ktap.check_eq("small write", 0, Writer(
                vol.path, lambda d: d.write(8192, b"n" * 512)).wait())
            ktap.check_eq("block", b"n" * 512 + b"b" * 3584, disk.read(8192))
            spoil((0, 2), (1, 2))
            for what, off, size in (("whole", 0, 65536),
                                    ("mixed", 0, len(want)),
                                    ("small", 8192 + 512, 512)):
                ktap.check_eq(f"{what}, no replica", errno.EIO, Writer(
                    vol.path, lambda d, o=off, s=size: d.read(o, s)).wait())
            disk.write(8192, b"w" * 4096)
            disk.write(9 * MIB, b"w" * 4096)
            ktap.check_eq("all in-sync", ["INSYNC"] * 2, [
                vol.link(s)["LINK_STATE"] for s in vol.names])


def test_last_replica():
    """Its disk's errors are the answer; nothing flushed is claimed."""
    # Nor lost before it is time: a FLUSH would fail the store for good.
    with setting() as (vol, devs, events), hcvbreak.no_autocommit():
        vol.attach()
        take_out(vol, events, "@s2", devs[1])
        with hcvvol.Disk(vol.path) as disk:
            disk.write(MIB, b"g" * 4096)
            disk.write(MIB + 8192, b"g" * 4096)
            devs[0].fail()
            ktap.check_eq("write", errno.EIO, Writer(
                vol.path, lambda d: d.write(MIB, b"x" * 4096)).wait())
            ktap.check_eq("read", errno.EIO, Writer(
                vol.path, lambda d: d.read(MIB)).wait())
            # In two pieces with a hole between them.
            ktap.check_eq("mixed read", errno.EIO, Writer(
                vol.path, lambda d: d.read(MIB, 12288)).wait())
            ktap.check_eq("small read", errno.EIO, Writer(
                vol.path, lambda d: d.read(MIB, 512)).wait())
            ktap.check_eq("small write", errno.EIO, Writer(
                vol.path, lambda d: d.write(MIB, b"x" * 512)).wait())
            devs[0].heal()
            ktap.check_eq("read again", b"g" * 4096, disk.read(MIB))
            disk.write(2 * MIB, b"h" * 4096)
            devs[0].fail_flush()
            ktap.check_eq("flush", errno.EIO,
                          Writer(vol.path, lambda d: d.flush()).wait())
            devs[0].heal()
            for _ in range(2):
                ktap.check_eq("and ever after", errno.EIO, Writer(
                    vol.path, lambda d: d.flush()).wait())
            ktap.check_eq("forced unit access", errno.EIO, Writer(
                vol.path, lambda d: d.write(3 * MIB, bytes(4096),
                                            os.RWF_DSYNC)).wait())
        node.fails(errno.EIO, "flush", "VOL_STOP", VOL=vol.vol)
        vol.end()


def test_vanishing_device():
    """A device that is pulled out, under I/O."""
    with hcvbreak.cached_disks(2, name="hcvp") as disks:
        vol = Volume(node, disks).format()
        with hcvvol.Events() as events:
            vol.attach()
            try:
                with hcvvol.Disk(vol.path) as disk:
                    fill(disk, range(4), 1)
                    disk.flush()
                    power = hcvbreak.CONFIGFS / "nullb/hcvp1/power"
                    gone = mmap.mmap(-1, 1)	# shared with the writers
                    busy = [Writer(vol.path, keep_busy(i, gone))
                            for i in (1, 2)]
                    power.write_text("0")
                    failed(vol, events, "@s2")
                    gone[0] = 1
                    vol.confirm("@s2", "OUT")
                    ktap.check_eq("they go on", [0, 0],
                                  [w.wait() for w in busy])
                    verify(disk, (1, 2), 200)
                    verify(disk, (0, 3), 1)
                vol.stop()
            finally:
                vol.end()
            vol.check_stores()


def keep_busy(mib, gone):
    def run(disk):
        i = 0
        while i < 200 or not gone[0]:
            fill(disk, (mib,), i % 200)
            i += 1
        fill(disk, (mib,), 200)
    return run


# --- policies


def test_policy_error():
    """No answer from the agent: errors, after the time that was asked for."""
    with setting(extents=1, POLICY="ERROR", POLICY_MS=1500) as \
            (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(4), 1)
            disk.flush()
            devs[1].fail()
            begin = time.monotonic()
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            ktap.check_eq("error", errno.EIO, writer.wait())
            spent = time.monotonic() - begin
            ktap.check("after the limit", 1.4 < spent < 30, f"{spent:.1f} s")
            for what, action in (
                    ("flush", lambda d: d.flush()),
                    ("zeroes", lambda d: d.zeroout(2 * MIB, MIB)),
                    ("forced unit access", lambda d: d.write(
                        0, b"2" * 4096, os.RWF_DSYNC))):
                ktap.check_eq(what, errno.EIO,
                              Writer(vol.path, action).wait(10))
            events.wait("LINK_FAILED")
            vol.confirm("@s2", "OUT")
            fill(disk, (1,), 3)
            verify(disk, (1,), 3)
            ktap.check_eq("flush", 0, io_errno(disk.flush))
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def test_policy_suspend():
    """It waits, and says so."""
    with setting() as (vol, devs, events):
        vol.attach()
        events.wait("VOL_STATE", VOL_STATE="ACTIVE")
        devs[1].fail()
        writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
        events.wait("VOL_STATE", 15, VOL_STATE="SUSPENDED")
        got = vol.get()
        ktap.check_eq("state", ("SUSPENDED", "CONFIRM", 1),
                      (got["VOL_STATE"], got["WAIT"], got["WAIT_COUNT"]))
        ktap.check("since when", got["WAIT_MS"] > 4900, str(got["WAIT_MS"]))
        ktap.check("held", not writer.ended())
        vol.confirm("@s2", "OUT")
        ktap.check_eq("ends", 0, writer.wait())
        events.wait("VOL_STATE", 15, VOL_STATE="ACTIVE")
        ktap.check_eq("active again", "ACTIVE", vol.get()["VOL_STATE"])
        time.sleep(0.6)		# longer than between two looks at what waits
        events.poll()
        ktap.check("suspended no more", not [
            e for e in events.seen if e.get("VOL_STATE") == "SUSPENDED"])
        vol.end()


with pool:
    ktap.main(globals())
