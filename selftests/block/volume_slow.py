#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""A replica that the agent finds too slow (VOL_LINK_DROP): it leaves like one
that failed, nothing is lost with it, and it is refused where it is needed."""

import errno
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import (Writer, bring_back, failed, fill, finish,
                      no_autocommit, take_out, verify, waits)

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 3)
setting = pool.setting
SLOW = 700		# ms of delay


def drop(vol, store):
    vol.edo("VOL_LINK_DROP", STORE=store)


def refused(vol, store, code, text):
    before = [vol.link(s)["LINK_STATE"] for s in vol.names]
    node.fails(code, text, "VOL_LINK_DROP", VOL=vol.vol, EPOCH=vol.epoch,
               STORE=store)
    ktap.check_eq("states", before,
                  [vol.link(s)["LINK_STATE"] for s in vol.names])


def test_drop():
    """Writes that came before the word wait for it, those after it need the
    slow disk no more, and the copy gets what it missed."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(8), 1)
            disk.flush()
            devs[1].delay(write=SLOW)
            drop(vol, "@s2")
            told = failed(vol, events, "@s2")
            ktap.check_eq("error", errno.ETIME, told["ERRNO"])
            drop(vol, "@s2")	# again: nothing more
            writer = Writer(vol.path, lambda d: fill(d, (3,), 2))
            waits(vol, 1)
            ktap.check("not acknowledged before the word", not writer.ended())
            vol.confirm("@s2", "OUT")
            ktap.check_eq("acknowledged", 0, writer.wait())
            sent = vol.link("@s2")["WRITE_IOS"]
            fill(disk, (4,), 3)
            disk.flush()
            ktap.check_eq("the slow one gets nothing", sent,
                          vol.link("@s2")["WRITE_IOS"])
            drop(vol, "@s2")
            ktap.check_eq("out", "OUT", vol.link("@s2")["LINK_STATE"])
            copied = bring_back(vol, events, "@s2", devs[1])
            ktap.check("what it missed was copied", copied > 0)
            verify(disk, (0, 7), 1)
            verify(disk, (3,), 2)
            verify(disk, (4,), 3)
        finish(vol)


def test_drop_under_writes():
    """Writes in flight on the slow disk end, and those that it missed are
    stamped: the copies are equal in the end."""
    def many(disk):
        for byte in range(1, 9):
            fill(disk, range(8), byte)
        disk.flush()

    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(8), 9)
            disk.flush()
        devs[1].delay(write=SLOW)
        writers = [Writer(vol.path, many) for _ in range(2)]
        hcvtest.wait_for(lambda: vol.link("@s2")["INFLIGHT"], 20,
                         "writes at the slow disk")
        drop(vol, "@s2")
        failed(vol, events, "@s2")
        vol.confirm("@s2", "OUT")
        hcvbreak.ended("writers", *writers)
        bring_back(vol, events, "@s2", devs[1])
        with hcvvol.Disk(vol.path) as disk:
            verify(disk, range(8), 8)
        finish(vol)


def test_refused():
    with setting(3, replicas=2, extents=3) as (vol, devs, events):
        vol.attach()
        node.fails(errno.ENOENT, "not tied", "VOL_LINK_DROP", VOL=vol.vol,
                   EPOCH=vol.epoch, STORE="@s9")
        node.fails(errno.ESTALE, "", "VOL_LINK_DROP", VOL=vol.vol,
                   EPOCH=vol.epoch + 1, STORE="@s1")
        node.fails(errno.EINVAL, "", "VOL_LINK_DROP", VOL=vol.vol,
                   EPOCH=vol.epoch)
        vol.edo("VOL_SUSPEND")
        refused(vol, "@s1", errno.EBUSY, "active volume")
        vol.edo("VOL_RESUME")
        # extents: @s1 @s2, @s2 @s3, @s3 @s1
        devs[2].fail_writes()
        writer = Writer(vol.path, lambda d: fill(d, range(300), 1))
        failed(vol, events, "@s3")
        refused(vol, "@s1", errno.EBUSY, "on its way")
        vol.confirm("@s3", "OUT")
        ktap.check_eq("written", 0, writer.wait())
        # both have the last copy of something now
        refused(vol, "@s1", errno.EBUSY, "last in-sync copy")
        refused(vol, "@s2", errno.EBUSY, "last in-sync copy")
        bring_back(vol, events, "@s3", devs[2])
        finish(vol)


def test_refused_for_the_last():
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(4), 1)
            disk.flush()
        take_out(vol, events, "@s2", devs[1])
        refused(vol, "@s1", errno.EBUSY, "last in-sync copy")
        devs[1].heal()
        vol.reopen_store("@s2")
        vol.place("@s2", range(4))
        vol.link_add("@s2", "SYNCING")
        events.wait("SYNC_DONE", 60)
        # equal, but not in the record yet
        refused(vol, "@s1", errno.EBUSY, "on its way|last in-sync copy")
        refused(vol, "@s2", errno.EBUSY, "only an in-sync replica")
        vol.confirm("@s2", "INSYNC")
        drop(vol, "@s1")
        failed(vol, events, "@s1")
        vol.confirm("@s1", "OUT")
        bring_back(vol, events, "@s1", devs[0])
        finish(vol)


def test_the_other_fails_meanwhile():
    """The other one's disk refuses a write before the word has come: it is the
    last by then, stays, and its error goes to that write alone."""
    with setting() as (vol, devs, events), no_autocommit():
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(8), 1)
            disk.flush()
        drop(vol, "@s2")
        failed(vol, events, "@s2")
        devs[0].fail_writes()
        writer = Writer(vol.path, lambda d: fill(d, (5,), 5))
        vol.confirm("@s2", "OUT")
        ktap.check_eq("write", errno.EIO, writer.wait())
        devs[0].heal()
        ktap.check_eq("states", ["INSYNC", "OUT"], [
            vol.link(s)["LINK_STATE"] for s in vol.names])
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (5,), 6)
            disk.flush()
            verify(disk, (4,), 1)
            verify(disk, (5,), 6)
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


with pool:
    ktap.main(globals())
