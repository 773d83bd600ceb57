#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""Histories around a failing replica that once lost data, hung, or gave
errors: what a FLUSH may forget, who is asked for it, which slot is reused."""

import ctypes
import errno
import mmap
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvbreak import (Writer, bring_back, failed, fill, finish, io_errno,
                      no_autocommit, take_out, verify, waits)
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 3)
setting = pool.setting
HELD = 3600000		# ms of delay: until the device is healed


def never(what, condition, seconds):
    """condition() must stay false for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return ktap.check(what, False)
        time.sleep(0.02)
    return True


def test_flush_while_failing():
    """A FLUSH between a failure and its confirmation forgets nothing: the
    overwritten block is copied when the replica is back."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (0, 1), 1)
            disk.flush()
            devs[1].fail_writes()
            writer = Writer(vol.path, lambda d: fill(d, (0,), 2))
            failed(vol, events, "@s2")
            flusher = Writer(vol.path, lambda d: d.flush())
            waits(vol, 2)
            never("the write is not forgotten",
                  lambda: vol.get()["UNFLUSHED_MIBS"] != 1, 0.5)
            ktap.check("both wait", not writer.ended() and
                       not flusher.ended())
            vol.confirm("@s2", "OUT")
            ktap.check_eq("both end", [0, 0], [writer.wait(), flusher.wait()])
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def test_flush_of_the_others():
    """The failed replica is out before the other one's FLUSH is through: that
    one counts."""
    with setting() as (vol, devs, events), no_autocommit():
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (0, 1), 1)
            disk.flush()
            devs[0].delay(flush=HELD)
            fill(disk, (0,), 2)
            devs[1].fail_flush()
            flusher = Writer(vol.path, lambda d: d.flush())
            failed(vol, events, "@s2")
            vol.confirm("@s2", "OUT")
            ktap.check("one FLUSH is on its way", not flusher.ended())
            devs[0].heal()
            ktap.check_eq("flush", 0, flusher.wait())
            ktap.check_eq("and again", 0, io_errno(disk.flush))
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def test_shared_store():
    """A disk tells of a loss once, to whoever asks first: no other volume's
    FLUSH is believed after that."""
    with setting(extents=2) as (vol, devs, events):
        vol.attach()
        with hcvbreak.neighbour(vol, extents=2) as other:
            with hcvvol.Disk(vol.path) as one, \
                    hcvvol.Disk(other.path) as two:
                fill(one, (1,), 1)
                fill(two, (1,), 2)
                devs[1].fail_flush()
                flusher = Writer(vol.path, lambda d: d.flush())
                told = events.wait("LINK_FAILED", VOL=hcvtest.uuid_text("@v1"))
                ktap.check_eq("store", hcvtest.uuid_text("@s2"),
                              told["STORE"])
                devs[1].heal()
                vol.confirm("@s2", "OUT")
                ktap.check_eq("flush", 0, flusher.wait())
                flusher = Writer(other.path, lambda d: d.flush())
                events.wait("LINK_FAILED", VOL=hcvtest.uuid_text("@v2"))
                ktap.check("waits", not flusher.ended())
                other.confirm("@s2", "OUT")
                ktap.check_eq("the other's flush", 0, flusher.wait())
            vol.stop()
            other.stop()


def check_told_of_a_loss(start, action):
    """A FLUSH that fails in another volume's command says as much."""
    with setting(1, extents=2) as (vol, devs, _):
        vol.attach()
        with hcvbreak.neighbour(vol, start, extents=2) as other:
            with no_autocommit(), hcvvol.Disk(vol.path) as disk:
                fill(disk, (1,), 1)
                disk.flush()
                fill(disk, (1,), 2)
                devs[0].fail_flush()
                try:
                    action(other)
                except hcvnl.Fail as e:
                    ktap.check_eq("the command", errno.EIO, e.code)
                else:
                    ktap.check("the command fails", False)
                devs[0].heal()
                ktap.check_eq("latched", "FAILED", node.do(
                    "STORE_GET", STORE="@s1").get("STORE_FLAGS"))
                for _ in range(2):
                    ktap.check_eq("flush", errno.EIO, io_errno(disk.flush))


def test_flush_of_a_start():
    check_told_of_a_loss(False, lambda v: v.edo("VOL_START", V=v.v))


def test_flush_of_the_volume_page():
    check_told_of_a_loss(True, lambda v: v.edo("VOL_SET", NAME="new"))


def test_last_of_some_extents():
    """A disk with the last copy of some extents refuses blocks: that is EIO,
    for what others have as well; nothing waits, and copies stay equal."""
    with setting(3, replicas=2, stripe=2, extents=2) as (vol, devs, events):
        vol.rows = [["@s1", "@s2"], ["@s2", "@s3"]]
        vol.attach()
        # A disk that refuses writes refuses FLUSH.
        with no_autocommit(), hcvvol.Disk(vol.path) as disk:
            # Even mibs in the first extent, odd ones in the second.
            fill(disk, range(8), 1)
            disk.flush()
            take_out(vol, events, "@s1", devs[0])
            disk.flush()
            for mib in (2, 3):
                for bad in (devs[1].fail_range, devs[1].refuse_writes):
                    bad(*devs[1].slot(mib // 2, mib % 2))
                    ktap.check_eq(f"mib {mib}", errno.EIO, Writer(
                        vol.path, lambda d, m=mib: fill(d, (m,), 2)).wait())
                    ktap.check_eq("others", 0, Writer(
                        vol.path, lambda d: fill(d, (4, 5), 3)).wait())
                    devs[1].heal()
            ktap.check_eq("they stay", ["INSYNC"] * 2, [
                vol.link(s)["LINK_STATE"] for s in ("@s2", "@s3")])
            ktap.check_eq("flush", 0, io_errno(disk.flush))
            verify(disk, (2, 6, 7), 1)
            verify(disk, (4, 5), 3)
            bring_back(vol, events, "@s1", devs[0])
        finish(vol)


def test_last_of_some_refuses_in_part():
    """One block of a refused write cannot be read: the copies of the others
    are equal all the same."""
    with setting(3, replicas=2, stripe=2, extents=2) as (vol, devs, events):
        vol.rows = [["@s1", "@s2"], ["@s2", "@s3"]]
        vol.attach()
        # A disk that refuses writes refuses FLUSH.
        with no_autocommit(), hcvvol.Disk(vol.path) as disk:
            fill(disk, range(8), 1)
            disk.flush()
            take_out(vol, events, "@s1", devs[0])
            first, count = devs[1].slot(1, 1)
            devs[1].refuse_writes_and_read(first, count)
            ktap.check_eq("refused", errno.EIO, Writer(
                vol.path, lambda d: d.write(3 * MIB, b"n" * 32768)).wait())
            devs[1].heal()
            ktap.check_eq("they stay", ["INSYNC"] * 2, [
                vol.link(s)["LINK_STATE"] for s in ("@s2", "@s3")])
            with hcvtest.Device(devs[1].disk) as one, \
                    hcvtest.Device(devs[2].disk) as other:
                ktap.check("equal", one.read(first * 512 + 4096, 28672) ==
                           other.read(devs[2].slot(1)[0] * 512 + 4096, 28672))
            disk.write(3 * MIB, b"m" * 32768)
            bring_back(vol, events, "@s1", devs[0])
        finish(vol)


def test_refused_after_a_round():
    """A round ends, and forgets a write that is under way; one replica refuses
    it and leaves, then the last one refuses it.  What the first one's disk made
    of the write nobody knows: its resync goes over these blocks."""
    error = hcvtest.dm_create("hcverr", f"0 {hcvvol.STORE_BYTES // 512} error")
    try:
        with setting(2) as (vol, devs, events), no_autocommit():
            vol.attach()
            with hcvvol.Disk(vol.path) as disk:
                fill(disk, range(4), 1)
                disk.flush()
                for dev in devs:
                    dev.hold_writes(*dev.slot(1), error)
                writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
                hcvtest.wait_for(lambda: all(
                    vol.link(s)["INFLIGHT"] for s in vol.names), 10,
                    "the write is under way")
                # Nothing of that write, so it does not wait for it.
                fill(disk, (2,), 3)
                disk.flush()
                devs[1].heal()
                failed(vol, events, "@s2")
                vol.confirm("@s2", "OUT")
                devs[0].heal()
                ktap.check_eq("refused", errno.EIO, writer.wait())
                # As if its disk had written some of it nevertheless.
                with hcvtest.Device(devs[1].disk) as raw:
                    raw.write(devs[1].slot(1)[0] * 512 + 4096, b"\2" * 4096)
                bring_back(vol, events, "@s2", devs[1])
                verify(disk, (1,), 1)
                verify(disk, (2,), 3)
            finish(vol)
    finally:
        hcvtest.dm_remove("hcverr")


def test_two_last_of_some_extents():
    """Two disks, each with the last copy of something, refuse a write that
    both should take: neither takes the other's word away."""
    with setting(3, replicas=2, stripe=4, extents=4) as (vol, devs, events):
        vol.rows = [["@s1", "@s3"], ["@s2", "@s3"], ["@s1", "@s2"],
                    ["@s1", "@s2"]]
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(8), 1)
            disk.flush()
            take_out(vol, events, "@s3", devs[2])
            for dev in devs[:2]:
                # Of the third extent, which is the second on both.
                dev.fail_range(*dev.slot(1, 1))
            ktap.check_eq("refused", errno.EIO, Writer(
                vol.path, lambda d: fill(d, (6,), 2)).wait())
            ktap.check_eq("others", 0, Writer(
                vol.path, lambda d: fill(d, (4, 5, 7), 3)).wait())
            for dev in devs[:2]:
                dev.heal()
            ktap.check_eq("they stay", ["INSYNC"] * 2, [
                vol.link(s)["LINK_STATE"] for s in ("@s1", "@s2")])
            fill(disk, (6,), 4)
            verify(disk, (6,), 4)
            verify(disk, (4, 5, 7), 3)
            bring_back(vol, events, "@s3", devs[2])
        finish(vol)


def two_of_three(order):
    with setting(3) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(10), 1)
            for i in order:
                store = f"@s{i + 1}"
                devs[i].fail()
                writer = Writer(vol.path, lambda d, b=i: fill(d, (3,), b))
                failed(vol, events, store)
                ktap.check("waits", not writer.ended())
                vol.confirm(store, "OUT")
                ktap.check_eq("goes on", 0, writer.wait())
            disk.flush()
            fill(disk, (4,), 9)
            for i in order:
                bring_back(vol, events, f"@s{i + 1}", devs[i])
            verify(disk, (3,), order[1])
            verify(disk, (4,), 9)
            verify(disk, (5,), 1)
        finish(vol)


def test_two_of_three():
    two_of_three((2, 1))


def test_two_of_three_other_order():
    two_of_three((0, 2))


def test_two_at_once():
    """Both are confirmed, in either order; the write waits for both."""
    with setting(3) as (vol, devs, events):
        vol.attach()
        for order in (("@s2", "@s3"), ("@s3", "@s2")):
            with hcvvol.Disk(vol.path) as disk:
                fill(disk, range(10), 1)
                disk.flush()
                for dev in devs[1:]:
                    dev.fail_writes()
                writer = Writer(vol.path, lambda d: fill(d, (3,), 2))
                for store in order:
                    failed(vol, events, store)
                for store in order:
                    never("the write is not acknowledged", writer.ended, 0.2)
                    vol.confirm(store, "OUT")
                ktap.check_eq("goes on", 0, writer.wait())
                fill(disk, (4,), 3)
            for store in order:
                bring_back(vol, events, store, devs[int(store[2]) - 1])
            with hcvvol.Disk(vol.path) as disk:
                verify(disk, (3,), 2)
                verify(disk, (4,), 3)
        finish(vol)


def test_sets_by_row():
    """Four columns, each on two of three stores: the failure of each store in
    turn, with writes to all columns."""
    with setting(3, stripe=4, replicas=2) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(16), 1)
            disk.flush()
        for turn, store in enumerate(vol.names):
            devs[turn].fail_writes()
            writers = [Writer(vol.path,
                              lambda d, c=c: fill(d, (c, c + 8), turn + 2))
                       for c in range(4)]
            failed(vol, events, store)
            vol.confirm(store, "OUT")
            ktap.check_eq("all columns go on", [0] * 4,
                          [w.wait() for w in writers])
            with hcvvol.Disk(vol.path) as disk:
                disk.flush()
                fill(disk, (5, 6), turn + 20)
            bring_back(vol, events, store, devs[turn])
            with hcvvol.Disk(vol.path) as disk:
                verify(disk, list(range(4)) + list(range(8, 12)), turn + 2)
                verify(disk, (5, 6), turn + 20)
                verify(disk, (4, 7, 12, 15), 1)
        finish(vol)


def test_freed_slot():
    """A slot is not taken again while a read that began before it was freed
    is under way, however many rounds later."""
    with setting(1, extents=1) as (vol, devs, _):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (0, 1), 1)
            disk.flush()
            # A read is held before it goes down, until the device is healed.
            devs[0].delay(read=HELD)
            reader = Writer(vol.path, lambda d: os._exit(
                d.read(4096)[0]))
            hcvtest.wait_for(lambda: vol.link("@s1")["INFLIGHT"], 10,
                             "a read under way")
            before = vol.get()["READY"]
            disk.discard(MIB, MIB)
            disk.flush()	# its period ends with the read
            disk.discard(0, MIB)
            disk.flush()	# one without any I/O in it
            never("a slot is free already",
                  lambda: vol.get()["READY"] > before, 0.5)
            fill(disk, range(10, 14), 7)
            disk.flush()
            ktap.check("the read is still under way", not reader.ended())
            devs[0].heal()
            ktap.check_in("what it read", reader.wait(), (0, 1))
            hcvtest.wait_for(lambda: vol.get()["READY"] == before + 2 - 4, 10,
                             "free slots")
            verify(disk, range(10, 14), 7)
            ktap.check("gone", not any(disk.read(0, 2 * MIB)))
        finish(vol)


WANT = b"a" * 8192 + bytes(8192) + b"b" * 8192


def test_small_reads_behind_a_failure():
    """Reads of parts of blocks and of several slots change the replica."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"a" * 8192)
            disk.write(16384, b"b" * 8192)
            disk.flush()
            first = hcvbreak.read_from(vol, disk, 0)
            dev = devs[vol.names.index(first)]
            for off, size in ((512, 512), (0, 24576), (16384 - 512, 1024)):
                dev.fail()
                reader = Writer(vol.path, lambda d, o=off, s=size: os._exit(
                    d.read(o, s) != WANT[o:o + s]))
                failed(vol, events, first)
                ktap.check_eq(f"read of {size} at {off}", 0, reader.wait())
                vol.confirm(first, "OUT")
                bring_back(vol, events, first, dev)
        finish(vol)


def cpu_seconds():
    """Of the kernel, all processors."""
    with open("/proc/stat", encoding="ascii") as stat:
        return int(stat.readline().split()[3]) / os.sysconf("SC_CLK_TCK")


def test_waiting_is_idle():
    """Overlapping writes behind one that waits for its confirmation sleep."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"a" * 65536)
            disk.flush()
        devs[1].fail_writes()
        first = Writer(vol.path, lambda d: d.write(16384, b"x" * 4096))
        failed(vol, events, "@s2")
        waits(vol, 1)
        others = [Writer(vol.path, lambda d, i=i: d.write(
            i * 4096, bytes([i]) * 32768)) for i in range(4)]
        reader = Writer(vol.path, lambda d: d.read(0, 65536))
        hcvtest.wait_for(lambda: vol.get()["WAIT_COUNT"] == 6, 10,
                         "six waiters")
        begin = cpu_seconds()
        time.sleep(2)		# the time in which they use no processor
        spent = cpu_seconds() - begin
        ktap.check("they sleep", spent < 1, f"{spent:.2f} s of 2")
        ktap.check("nobody got by", not any(
            w.ended() for w in others + [reader, first]))
        vol.confirm("@s2", "OUT")
        ktap.check_eq("all end", [0] * 6,
                      [w.wait() for w in others + [reader, first]])
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def test_many_segments():
    """256 segments that all straddle a page, to parts of blocks."""
    with setting() as (vol, _, _):
        vol.attach()
        huge = Path("/proc/sys/vm/nr_hugepages")
        if not huge.exists():
            raise ktap.Skip("a kernel without huge pages")
        huge.write_text("1")
        if huge.read_text().strip() != "1":
            raise ktap.Skip("no huge page")
        libc = ctypes.CDLL(None, use_errno=True)
        libc.pwritev.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int,
                                 ctypes.c_long]
        libc.pwritev.restype = ctypes.c_ssize_t
        # Contiguous pages: 0x40000 is MAP_HUGETLB.
        buf = mmap.mmap(-1, 2 * MIB, flags=mmap.MAP_PRIVATE |
                        mmap.MAP_ANONYMOUS | 0x40000)
        try:
            buf[:] = os.urandom(2 * MIB)
            base = ctypes.addressof(ctypes.c_char.from_buffer(buf))
            at = [(i + 1) * 4096 - 512 for i in range(256)]
            vec = (Iovec * 256)(*[Iovec(base + a, 1024) for a in at])
            data = b"".join(buf[a:a + 1024] for a in at)
            with hcvvol.Disk(vol.path) as disk:
                for off in (512, MIB, 3 * MIB - 512 - len(data)):
                    got = libc.pwritev(disk.fd, vec, 256, off)
                    ktap.check_eq(f"written at {off} (errno "
                                  f"{ctypes.get_errno()})", len(data), got)
                    ktap.check("read back", disk.read(
                        off - 512, len(data) + 1024) ==
                        bytes(512) + data + bytes(512))
                    disk.discard(off & ~4095, MIB)
        finally:
            huge.write_text("0")
        finish(vol)


def test_error_of_the_last():
    """Errors of the only replica left go to their I/O and to no other, while
    another one joins."""
    # A disk that refuses writes refuses FLUSH.
    with setting() as (vol, devs, events), no_autocommit():
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(8), 1)
        take_out(vol, events, "@s2", devs[1])
        devs[1].heal()
        vol.reopen_store("@s2")
        vol.place("@s2", range(4))
        vol.link_add("@s2", "SYNCING")
        events.wait("SYNC_DONE", 60)
        # JOINING: it counts for acknowledgments, not as the last one.
        devs[0].fail_writes()
        ktap.check_eq("write", errno.EIO, Writer(
            vol.path, lambda d: fill(d, (5,), 5)).wait())
        devs[0].heal()
        ktap.check_eq("states", ["INSYNC", "JOINING"], [
            vol.link(s)["LINK_STATE"] for s in vol.names])
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (5,), 6)
            verify(disk, (5,), 6)
        vol.confirm("@s2", "INSYNC")
        finish(vol)


with pool:
    ktap.main(globals())
