#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""The last replica of some data is another node's and cannot be reached: I/O
waits for it, and nothing is acknowledged that it has not got when it is back.
Exports of this node stand for the other one's, so that a path is a device."""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import (Command, Writer, ended, failed, fill, lost, take_out,
                      verify, waits)
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 3)
setting = pool.remote_setting


def test_return():
    """Writes that were through on the others when the lost one came back, and
    such that were under way: it has them before they are acknowledged."""
    with setting(3, ("@s2",), replicas=2, stripe=2, extents=2) as \
            (vol, devs, events):
        vol.rows = [["@s1", "@s2"], ["@s2", "@s3"]]
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(8), 1)
            disk.flush()
            take_out(vol, events, "@s1", devs[0])
            # The even mibs are on s2 alone now, the odd ones on s3, too.
            vol.paths["@s2"].fail()
            even = Writer(vol.path, lambda d: fill(d, (2,), 2))
            lost(vol, events, "@s2")
            held = [Writer(vol.path, lambda d: fill(d, (1,), 3)),
                    Writer(vol.path, lambda d: d.write(
                        3 * MIB, b"f" * 4096, os.RWF_DSYNC)),
                    Writer(vol.path, lambda d: d.write(
                        5 * MIB + 512, b"s" * 512)),
                    Writer(vol.path, lambda d: d.flush())]
            hcvtest.wait_for(lambda: vol.get()["WAIT_COUNT"] == 5, 10,
                             "five waiters")
            devs[2].delay(write=3600000)
            late = Writer(vol.path, lambda d: fill(d, (7,), 7))
            hcvtest.wait_for(lambda: vol.link("@s3")["INFLIGHT"], 10,
                             "a write under way")
            vol.come_back("@s2")
            ktap.check("one is under way", not late.ended())
            devs[2].heal()
            ended("all end", even, late, *held)
            verify(disk, (2,), 2)
            verify(disk, (1,), 3)
            verify(disk, (7,), 7)
        vol.detach()
        vol.check_stores()
        # The odd ones from the store that was away, alone.
        vol.insync = {"@s2"}
        with vol.attached() as disk:
            verify(disk, (2,), 2)
            verify(disk, (1,), 3)
            verify(disk, (7,), 7)
            ktap.check_eq("forced unit access", b"f" * 4096,
                          disk.read(3 * MIB))
            ktap.check_eq("small", b"s" * 512, disk.read(5 * MIB + 512, 512))


def test_both_lost():
    """Both replicas are remote and the network of this node goes: a write that
    one of them has got is on both in the end."""
    with setting(2, ("@s1", "@s2")) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(4), 1)
            disk.flush()
            # The write is on s1 while s2 fails, then s1 fails as well, and
            # the agent has no record to change: s2 is told of first.
            devs[0].delay(write=500)
            vol.paths["@s2"].fail()
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            failed(vol, events, "@s2")
            vol.paths["@s1"].fail()
            other = Writer(vol.path, lambda d: fill(d, (2,), 3))
            lost(vol, events, "@s1")
            ktap.check("both wait", not writer.ended() and not other.ended())
            vol.confirm("@s2", "OUT")
            vol.come_back("@s1")
            ended("both end", writer, other)
            devs[0].heal()
            vol.reopen_store("@s2")
            vol.resync(events, "@s2")
            verify(disk, (1,), 2)
            verify(disk, (2,), 3)
        hcvbreak.finish(vol)


def test_joined_meanwhile():
    """A copy that was about to join is in-sync after all: the lost one is the
    last of nothing any more, and is removed."""
    with setting(2, ("@s1",)) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(4), 1)
            disk.flush()
            take_out(vol, events, "@s2", devs[1])
            devs[1].heal()
            vol.reopen_store("@s2")
            vol.place("@s2", range(len(vol.rows)))
            vol.link_add("@s2", "SYNCING")
            events.wait("SYNC_DONE", 60, STORE=hcvtest.uuid_text("@s2"))
            vol.paths["@s1"].fail()
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            lost(vol, events, "@s1")
            ktap.check("waits", not writer.ended())
            vol.confirm("@s2", "INSYNC")
            failed(vol, events, "@s1")
            ktap.check("waits for the word", not writer.ended())
            vol.confirm("@s1", "OUT")
            ended("ends", writer)
            verify(disk, (1,), 2)
            verify(disk, (2, 3), 1)
            vol.paths["@s1"].heal()
            vol.reopen_store("@s1")
            vol.resync(events, "@s1")
            verify(disk, (1,), 2)
        hcvbreak.finish(vol)


def page_seqs(dev, extent):
    """Sequences of an extent's first metadata page in its two places."""
    first = hcvtest.read_super(dev.path)["meta_off"]
    for _ in range(4):
        page = [hcvtest.device_read(dev.path, off) for off in
                (first, first + hcvtest.META_SIZE // 2)]
        if any(p[48] and p[32] == extent for p in page):
            return [int.from_bytes(p[48:56], "little") for p in page]
        first += hcvtest.META_SIZE
    raise AssertionError(f"{dev.path}: extent {extent} has no page")


def test_void_round():
    """Images that only some replicas have got are replaced where they are: in
    the other place is what the one that returns falls back on."""
    with hcvbreak.no_autocommit(), \
            setting(3, ("@s2",), replicas=2, stripe=2, extents=2) as \
            (vol, devs, events):
        vol.rows = [["@s1", "@s2"], ["@s2", "@s3"]]
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(8), 1)
            disk.flush()
            good = page_seqs(devs[1], 1)
            ktap.check_eq("all have the page", good, page_seqs(devs[2], 1))
            take_out(vol, events, "@s1", devs[0])
            fill(disk, (9,), 2)
            ranges = vol.granted("@s2")["RANGES"]
            ktap.check_eq("one range", 1, len(ranges))
            # The first one is the volume area's.
            handle = ranges[0]["first"] + 1 + 1
            vol.paths["@s2"].fail_range((handle * 512 + 256) * MIB // 512,
                                        hcvtest.META_SIZE // 512)
            flusher = Writer(vol.path, lambda d: d.flush())
            lost(vol, events, "@s2")
            kept = good.index(max(good))
            ktap.check_eq("not on s2", good, page_seqs(devs[1], 1))
            ktap.check("but on s3", good != page_seqs(devs[2], 1))
            vol.come_back("@s2")
            ended("flushed", flusher)
            for seqs in page_seqs(devs[1], 1), page_seqs(devs[2], 1):
                ktap.check_eq("the good one stays", good[kept], seqs[kept])
                ktap.check("a later one beside it",
                           seqs[1 - kept] > good[kept] + 1)
            verify(disk, (9,), 2)
        hcvbreak.finish(vol)


def test_flush_is_sent():
    """A FLUSH that waited for a lost replica is one on that replica's disk."""
    with setting(1, ("@s1",)) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (0, 1), 1)
            disk.flush()
            fill(disk, (1,), 2)
            vol.paths["@s1"].fail()
            flusher = Writer(vol.path, lambda d: d.flush())
            lost(vol, events, "@s1")
            waits(vol, 1)
            before = flushes(devs[0].disk)
            vol.come_back("@s1")
            ended("flush", flusher)
            ktap.check("sent", flushes(devs[0].disk) > before)
        hcvbreak.finish(vol)


def flushes(dev):
    return int(hcvvol.sysfs(dev, "stat").split()[15])


def test_suspend():
    """The lost store can be tied while a suspend waits for I/O that waits for
    it."""
    with setting(1, ("@s1",)) as (vol, _, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (0, 1), 1)
            disk.flush()
            vol.paths["@s1"].fail()
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            flusher = Writer(vol.path, lambda d: d.flush())
            lost(vol, events, "@s1")
            hcvtest.wait_for(lambda: vol.get()["WAIT_COUNT"] == 2, 10,
                             "waiters")
            command = Command("VOL_SUSPEND", VOL=vol.vol, EPOCH=vol.epoch)
            events.wait("VOL_STATE", VOL_STATE="SUSPENDED")
            begin = time.monotonic()
            vol.come_back("@s1")
            spent = time.monotonic() - begin
            ktap.check("tied in time", spent < 25, f"{spent:.1f} s")
            ktap.check_eq("suspend", 0, command.wait())
            vol.edo("VOL_RESUME")
            ended("both end", writer, flusher)
            verify(disk, (1,), 2)
        hcvbreak.finish(vol)


with pool:
    ktap.main(globals())
