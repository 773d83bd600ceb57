#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""Suspend, stop and forced stop in every state, with I/O stuck anywhere, and
the module's unloading after each of them."""

import errno
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import (Child, Command, Writer, bring_back, failed, fill,
                      finish, io_errno, verify, waits)
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 3)
setting = pool.setting


def in_time(what, action, limit=60):
    """Not when something that never ends has ended."""
    begin = time.monotonic()
    action()
    spent = time.monotonic() - begin
    ktap.check(f"{what} in time", spent < limit, f"{spent:.1f} s")


def force(vol):
    in_time("forced stop", lambda: vol.stop(VOL_FLAGS="FORCE"))
    node.fails(errno.ENOENT, "no such volume", "VOL_GET", VOL=vol.vol)


def test_stop_while_open():
    with setting() as (vol, _, _):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            node.fails(errno.EBUSY, "open", "VOL_STOP", VOL=vol.vol)
            fill(disk, (1,), 2)
            ktap.check_eq("goes on", "ACTIVE", vol.get()["VOL_STATE"])
            ktap.check_eq("openers", 1, vol.get()["OPENERS"])
        finish(vol)


def test_stop_with_a_failing_replica():
    """The last flush meets an error: the stop says so, in time, and succeeds
    after the word of the agent."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1, 2), 1)
            disk.flush()
            fill(disk, (1,), 2)
        devs[1].fail_flush()
        in_time("stop", lambda: node.fails(
            errno.EIO, "not yet removed", "VOL_STOP", VOL=vol.vol))
        failed(vol, events, "@s2")
        ktap.check_eq("goes on", "ACTIVE", vol.get()["VOL_STATE"])
        with hcvvol.Disk(vol.path) as disk:
            verify(disk, (1,), 2)
        vol.confirm("@s2", "OUT")
        vol.stop()
        vol.close_stores()
        devs[1].heal()
        with vol.attached() as disk:
            verify(disk, (1,), 2)
            verify(disk, (2,), 1)


def test_stop_with_a_resync():
    """A replica fails in the stop, after its flush, and nobody will confirm
    that; a resync that comes to its end now must not wait for it."""
    with setting(3, replicas=3, extents=1) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, bytes([1]) * MIB)
            disk.flush()
            hcvbreak.take_out(vol, events, "@s3", devs[2])
            disk.write(0, bytes([2]) * MIB)
            disk.flush()
        devs[2].heal()
        # Its last piece takes seconds, with nothing left to copy.
        vol.edo("VOL_SET", SYNC_KIBPS=64)
        vol.reopen_store("@s3")
        vol.place("@s3", range(1))
        vol.link_add("@s3", "SYNCING")
        hcvtest.wait_for(lambda: vol.link("@s3")["SYNC_COPIED"] == MIB, 60,
                         "all copied")
        sb = hcvtest.read_super(devs[1].path)
        devs[1].fail_range(sb["vol_off"] // 512,
                           (sb["meta_off"] - sb["vol_off"]) // 512)
        # The volume page goes there last, and the piece ends meanwhile.
        devs[2].delay(write=4000)
        stop = Command("VOL_STOP", VOL=vol.vol)
        ktap.check_eq("stopped", 0, stop.wait(30))
        devs[1].heal()
        vol.close_stores()


def test_stop_while_a_removal_is_confirmed():
    """What a replica missed is known after a stop in order, though the word
    came between the copy of the pages and the FLUSH that left it out."""
    with hcvbreak.no_autocommit(), hcvbreak.cached_disks(
            1, MIB, "slow", irqmode=2, completion_nsec=5 * 10**9,
            hw_queue_depth=1, submit_queues=1) as (slow,), \
            pool.remote_setting(2, ("@s2",)) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1, 2), 1)
            disk.flush()
            fill(disk, (1,), 2)
        vol.paths["@s2"].fail()
        failed(vol, events, "@s2")
        devs[0].add_flush_to(slow)
        # It has one tag: the round sends nothing to @s2 before this has ended.
        read = Writer(slow, lambda d: d.read(0, 4096))
        hcvtest.wait_for(lambda: hcvtest.in_flight(slow) == (1, 0), 10,
                         "read under way")
        stop = Command("VOL_STOP", VOL=vol.vol)
        waits(vol, 1)
        vol.confirm("@s2", "OUT")
        ktap.check("meanwhile", not read.ended() and not stop.ended())
        ktap.check_eq("stopped", 0, stop.wait(60))
        devs[0].heal()
        vol.close_stores()
        vol.attach()
        vol.open_store("@s2")
        copied = vol.resync(events, "@s2")
        ktap.check("what it may have missed", copied == 8192, str(copied))
        finish(vol)


def test_suspend_with_a_failing_replica():
    """A confirmation goes through while a suspend waits for its I/O."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1, 2), 1)
            disk.flush()
            devs[1].fail_writes()
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            failed(vol, events, "@s2")
            waits(vol, 1)
            command = Command("VOL_SUSPEND", VOL=vol.vol, EPOCH=vol.epoch)
            events.wait("VOL_STATE", VOL_STATE="SUSPENDED")
            in_time("confirmation", lambda: vol.confirm("@s2", "OUT"))
            ktap.check_eq("the write", 0, writer.wait())
            ktap.check_eq("suspend", 0, command.wait())
            ktap.check_eq("state", "SUSPENDED", vol.get()["VOL_STATE"])
            late = Writer(vol.path, lambda d: fill(d, (2,), 3))
            hcvtest.wait_for(lambda: vol.get()["WAIT"] == "SUSPEND", 10,
                             "a write that waits")
            vol.edo("VOL_RESUME")
            ktap.check_eq("the late write", 0, late.wait())
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def test_suspend_meets_a_failure():
    """The flush of a suspend fails on one replica: it says so and the volume
    goes on, the guest gets no error."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1, 2), 1)
            devs[1].fail_flush()
            in_time("suspend", lambda: node.fails(
                errno.EIO, "goes on", "VOL_SUSPEND", VOL=vol.vol,
                EPOCH=vol.epoch))
            failed(vol, events, "@s2")
            ktap.check_eq("goes on", "ACTIVE", vol.get()["VOL_STATE"])
            writer = Writer(vol.path, lambda d: fill(d, (1,), 3))
            waits(vol, 1)
            vol.confirm("@s2", "OUT")
            ktap.check_eq("the write", 0, writer.wait())
            vol.edo("VOL_SUSPEND")
            ktap.check_eq("state", "SUSPENDED", vol.get()["VOL_STATE"])
            vol.edo("VOL_RESUME")
            ktap.check_eq("flush", 0, io_errno(disk.flush))
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def no_data(disk):
    """A disk that is gone already has no length any more."""
    if not disk.read(0):
        raise OSError(errno.EIO, "nothing to read")


def forced(queue, stuck):
    """I/O of all kinds is stuck: in the device, behind that I/O's busy bits,
    waiting for the agent."""
    with setting(queue=queue) as (vol, devs, _):
        vol.attach()
        disk = hcvvol.Disk(vol.path)
        fill(disk, range(4), 1)
        disk.flush()
        stuck(devs[1])
        try:
            io = [Writer(vol.path, lambda d: fill(d, (1,), 2)),
                  Writer(vol.path, lambda d: d.flush())]
            io += [Writer(vol.path, lambda d, i=i: d.write(
                MIB + 2048 * i, bytes(16384))) for i in range(8)]
            io += [Writer(vol.path, lambda d: d.read(MIB, 65536)),
                   Writer(vol.path, lambda d: d.zeroout(MIB, 2 * MIB)),
                   Writer(vol.path, lambda d: d.discard(0, 4 * MIB))]
            hcvtest.wait_for(lambda: vol.get()["WAIT_COUNT"], 10, "a waiter")
            force(vol)
            ktap.check_eq("new I/O", errno.EIO,
                          Child(lambda: no_data(disk)).wait(5))
        finally:
            devs[1].heal()
        ktap.check("stuck I/O ends", all(isinstance(w.wait(), int)
                                         for w in io))
        disk.__exit__()
        vol.close_stores()
        hcvtest.wait_for(lambda: not os.path.exists(vol.path), 10,
                         "end of the zombie")
        # The same volume is back under the next epoch.
        vol.attach()
        with hcvvol.Disk(vol.path) as again:
            verify(again, (3,), 1)
        vol.detach()
    node.reload()


def hang(dev):
    dev.suspend()


def refuse(dev):
    dev.fail_writes()


def test_forced_stop_mq_hang():
    forced("MQ", hang)


def test_forced_stop_bio_hang():
    forced("BIO", hang)


def test_forced_stop_mq_failing():
    forced("MQ", refuse)


def test_forced_stop_bio_failing():
    forced("BIO", refuse)


def ends_waiters(queue):
    """What waits behind I/O that is stuck in a device ends with the stop; the
    stuck one when its device lets go of it."""
    with setting(queue=queue) as (vol, devs, _):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 1)
            disk.flush()
        hang(devs[1])
        stuck = Writer(vol.path, lambda d: d.write(MIB, bytes(65536)))
        hcvtest.wait_for(lambda: vol.link("@s2")["INFLIGHT"], 10,
                         "a write in the device")
        io = [Writer(vol.path, lambda d, i=i: d.write(
            MIB + 4096 * i, bytes(16384))) for i in range(3)]
        io.append(Writer(vol.path, lambda d: d.read(MIB, 8192)))
        waits(vol, len(io), "BUSY")
        attached = hcvvol.debugfs_waits()[vol.vol.strip("@")]
        ktap.check_eq("debugfs: state", "active", attached.state)
        ktap.check_eq("debugfs: what waits",
                      {"another write of the block": len(io)}, attached.waits)
        ktap.check_eq("debugfs: what a device has", [0, 1],
                      sorted(attached.inflight.values()))
        force(vol)
        ktap.check_eq("what waits", [errno.EIO] * len(io),
                      [w.wait(5) for w in io])
        ktap.check("the stuck one does not end", not stuck.ended())
        # Netlink does not know it any more, and it keeps the module.
        zombie = hcvvol.debugfs_waits()[vol.vol.strip("@")]
        ktap.check_eq("debugfs: zombie", "zombie", zombie.state)
        ktap.check_eq("debugfs: nothing waits behind it", {}, zombie.waits)
        ktap.check_eq("debugfs: its last I/O", [0, 1],
                      sorted(zombie.inflight.values()))
        devs[1].heal()
        ktap.check_eq("the stuck one", errno.EIO, stuck.wait())
        hcvtest.wait_for(lambda: not hcvvol.debugfs_waits(), 10,
                         "end of the zombie")
    node.reload()


def test_forced_stop_mq_ends_waiters():
    ends_waiters("MQ")


def test_forced_stop_bio_ends_waiters():
    ends_waiters("BIO")


def test_forced_stop_in_each_state():
    """Including those in which the agent was killed half way."""
    def none(vol):
        vol.epoch += 1
        vol.create()

    def tied(vol):
        vol.prepare()

    def suspended(vol):
        vol.attach()
        vol.edo("VOL_SUSPEND")

    def waiting(vol):
        suspended(vol)
        writer.append(Writer(vol.path, lambda d: fill(d, (1,), 2)))
        writer.append(Writer(vol.path, lambda d: d.discard(0, MIB)))
        # Both: who opens the disk only after the stop gets ENXIO.
        hcvtest.wait_for(lambda: vol.get()["WAIT"] == "SUSPEND" and
                         vol.get()["WAIT_COUNT"] >= 2, 10, "two that wait")

    def fenced(vol):
        vol.attach()
        vol.edo("VOL_FENCE")

    with setting() as (vol, _, _):
        for reach in (none, tied, suspended, waiting, fenced):
            writer = []
            ktap.note(reach.__name__)
            reach(vol)
            force(vol)
            ktap.check_eq("waiting I/O", [errno.EIO] * len(writer),
                          [w.wait() for w in writer])
            vol.close_stores()
    node.reload()


def test_clean_stop_in_each_state():
    with setting() as (vol, _, _):
        vol.epoch += 1
        vol.create()
        vol.stop()
        vol.prepare()
        vol.stop()
        vol.close_stores()
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 1)
        vol.edo("VOL_SUSPEND")
        vol.stop()
        vol.close_stores()
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            verify(disk, (1,), 1)
        vol.edo("VOL_FENCE")
        node.fails(errno.EIO, "force", "VOL_STOP", VOL=vol.vol)
        force(vol)
        vol.close_stores()
    node.reload()


def test_fence():
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 1)
            devs[1].fail_writes()
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            failed(vol, events, "@s2")
            waits(vol, 1)
            vol.edo("VOL_FENCE")
            ktap.check_eq("what waited", errno.EIO, writer.wait())
            for what, action in (("write", lambda: fill(disk, (1,), 2)),
                                 ("read", lambda: disk.read(0)),
                                 ("discard", lambda: disk.discard(0, MIB)),
                                 ("flush", disk.flush)):
                ktap.check_eq(what, errno.EIO, io_errno(action))
            ktap.check_eq("state", "FENCED", vol.get()["VOL_STATE"])
            for cmd, attrs in (("VOL_RESUME", {}), ("VOL_SUSPEND", {}),
                               ("VOL_START", {"V": vol.v}),
                               ("VOL_SET", {"SIZE": 1024 * MIB}),
                               ("VOL_LINK_DEL", {"STORE": "@s2"})):
                node.fails(errno.ENODEV, "fenced", cmd, VOL=vol.vol,
                           EPOCH=vol.epoch, **attrs)
            ktap.check_eq("state", "FENCED", vol.get()["VOL_STATE"])
        vol.end()


def test_stop_with_a_lagging_device():
    """Legs are under way on a store that was taken out: its device is let go
    when they have ended."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(4), 1)
            disk.flush()
            devs[1].delay(write=3600000)
            late = Writer(vol.path, lambda d: fill(d, (2,), 2))
            hcvtest.wait_for(lambda: vol.link("@s2")["INFLIGHT"], 10,
                             "a write under way")
            devs[1].load(f"0 {devs[1].sectors} error")
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            failed(vol, events, "@s2")
            vol.confirm("@s2", "OUT")
            vol.edo("VOL_LINK_DEL", STORE="@s2")
            ktap.check_eq("both", [0, 0], [late.wait(), writer.wait()])
        devs[1].heal()
        vol.stop()
        vol.close_stores()
        with vol.attached() as disk:
            verify(disk, (1, 2), 2)
    node.reload()


with pool:
    ktap.main(globals())
