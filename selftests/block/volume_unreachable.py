#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 300
# TAGS: soak
# MEM: 2048
"""Replicas of other nodes that fail, or cannot be reached though they are the
last: every policy, every way to stop. Exports of this node stand for the other
one's, so that a path is a device."""

import errno
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import Writer, ended, failed, fill, lost, verify
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 3)
setting = pool.remote_setting


def test_remote_replicas():
    """Exports as replicas: writes, a failed one, its resync."""
    with setting(3, ("@s2", "@s3")) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(10), 1)
            disk.write(5 * MIB + 512, b"x" * 1024)
            disk.flush()
            vol.paths["@s2"].fail()
            writer = Writer(vol.path, lambda d: fill(d, (3,), 2))
            failed(vol, events, "@s2")
            vol.confirm("@s2", "OUT")
            ended("the write", writer)
            del devs
            vol.reopen_store("@s2")
            copied = vol.resync(events, "@s2")
            ktap.check("little", 0 < copied <= 65536, str(copied))
            verify(disk, (3,), 2)
        hcvbreak.finish(vol)


def test_silent_peer():
    """No answer to a beacon for 3 s is a failure, without any I/O."""
    with setting(2, ("@s2",)) as (vol, _, events):
        vol.attach()
        begin = time.monotonic()
        vol.paths["@s2"].suspend()
        try:
            failed(vol, events, "@s2")
            spent = time.monotonic() - begin
            ktap.check("in time", 2.4 < spent < 5, f"{spent:.1f} s")
            vol.confirm("@s2", "OUT")
            with hcvvol.Disk(vol.path) as disk:
                fill(disk, (1,), 1)
                disk.flush()
                verify(disk, (1,), 1)
        finally:
            vol.paths["@s2"].resume()
        vol.reopen_store("@s2")
        vol.resync(events, "@s2")
        hcvbreak.finish(vol)


def test_policy_error():
    """With that policy I/O to a lost replica ends with an error in time."""
    with setting(1, ("@s1",), POLICY="ERROR", POLICY_MS=1000) as \
            (vol, _, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (0, 1), 1)
            disk.flush()
            vol.paths["@s1"].fail()
            fill_one = Writer(vol.path, lambda d: fill(d, (1,), 2))
            lost(vol, events, "@s1")
            for what, action in (("read", lambda d: d.read(4096)),
                                 ("small read", lambda d: d.read(4608, 512)),
                                 ("small write", lambda d: d.write(
                                     4608, bytes(512))),
                                 ("flush", lambda d: d.flush())):
                begin = time.monotonic()
                ktap.check_eq(what, errno.EIO,
                              Writer(vol.path, action).wait())
                spent = time.monotonic() - begin
                ktap.check(f"{what} in time", 0.9 < spent < 4,
                           f"{spent:.1f} s")
            ktap.check_eq("write", errno.EIO, fill_one.wait())
            vol.come_back("@s1")
            fill(disk, (1,), 3)
            verify(disk, (1,), 3)
            disk.flush()
        hcvbreak.finish(vol)


def test_forced_stop():
    """A volume whose only replica is lost can be left."""
    with setting(1, ("@s1",)) as (vol, _, events):
        vol.attach()
        disk = hcvvol.Disk(vol.path)
        fill(disk, (0, 1), 1)
        disk.flush()
        vol.paths["@s1"].fail()
        writers = [Writer(vol.path, lambda d: fill(d, (1,), 2)),
                   Writer(vol.path, lambda d: d.flush()),
                   Writer(vol.path, lambda d: d.read(4096)),
                   Writer(vol.path, lambda d: d.write(4608, bytes(512)))]
        lost(vol, events, "@s1")
        hcvtest.wait_for(lambda: vol.get()["WAIT_COUNT"] == 4, 10, "waiters")
        begin = time.monotonic()
        vol.stop(VOL_FLAGS="FORCE")
        ktap.check_eq("all end", [errno.EIO] * 4,
                      [w.wait(5) for w in writers])
        spent = time.monotonic() - begin
        ktap.check("in time", spent < 5, f"{spent:.1f} s")
        disk.__exit__()
        vol.close_stores()
        with vol.attached() as disk:
            verify(disk, (0,), 1)


def test_clean_stop():
    """It is refused while a replica is lost, in time, and works after it."""
    with setting(1, ("@s1",)) as (vol, _, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (0, 1), 1)
        vol.paths["@s1"].fail()
        begin = time.monotonic()
        node.fails(errno.EIO, "force", "VOL_STOP", VOL=vol.vol)
        spent = time.monotonic() - begin
        ktap.check("in time", spent < 5, f"{spent:.1f} s")
        lost(vol, events, "@s1")
        vol.come_back("@s1")
        hcvbreak.finish(vol)
        with vol.attached() as disk:
            verify(disk, (0, 1), 1)


def test_another_incarnation():
    """A lost store that was opened anew is not taken for the old one."""
    with setting(1, ("@s1",)) as (vol, _, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (0, 1), 1)
            vol.paths["@s1"].fail()
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            lost(vol, events, "@s1")
            node.fails(errno.ESTALE, "restarted", "VOL_LINK_ADD", VOL=vol.vol,
                       EPOCH=vol.epoch, STORE="@s1", LINK_STATE="INSYNC",
                       RANGES=vol.grant("@s1"), PATH=vol.paths["@s1"].path,
                       INCARNATION=vol.incarnation["@s1"] ^ 1)
            node.fails(errno.EBUSY, "state", "VOL_CONFIRM", VOL=vol.vol,
                       EPOCH=vol.epoch, STORE="@s1", LINK_STATE="OUT",
                       V=vol.v + 1, INCARNATION=vol.incarnation["@s1"])
            ktap.check("waits", not writer.ended())
            vol.come_back("@s1")
            ended("the write", writer)
        hcvbreak.finish(vol)


with pool:
    ktap.main(globals())
