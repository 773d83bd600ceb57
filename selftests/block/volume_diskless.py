#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 600
# TAGS: fast
# MEM: 2048
"""A volume without a disk: replicas are brought up to date while nobody can open
it, and it gets its disk while that goes on."""

import errno
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import fill, take_out, verify
from hcvtest import uuid_text
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 2)
setting = pool.setting
DISKLESS = "LOG|DISKLESS"
SLOW = 16		# KiB/s: minutes for each mib of data


def no_disk(vol):
    """Nothing names it, neither in /dev nor in sysfs."""
    name = os.path.basename(vol.path)
    ktap.check_eq("no disk", (False, False),
                  (os.path.exists(vol.path),
                   os.path.exists(f"/sys/block/{name}")))


def flags(vol):
    got = vol.get()
    return got["VOL_STATE"], "DISKLESS" in str(got["VOL_FLAGS"])


def behind(vol, devs, events):
    """The second replica lacks what the first one has; nobody has the volume."""
    vol.attach()
    with hcvvol.Disk(vol.path) as disk:
        fill(disk, range(20), 1)
        disk.flush()
    take_out(vol, events, "@s2", devs[1])
    with hcvvol.Disk(vol.path) as disk:
        fill(disk, range(1, 20, 2), 2)
        disk.flush()
    vol.detach()
    devs[1].heal()


def data(vol):
    with hcvvol.Disk(vol.path) as disk:
        verify(disk, range(1, 20, 2), 2)
        verify(disk, range(2, 20, 2), 1)


def test_resync():
    with setting() as (vol, devs, events):
        behind(vol, devs, events)
        vol.attach(VOL_FLAGS=DISKLESS)
        ktap.check_eq("state", ("ACTIVE", True), flags(vol))
        no_disk(vol)
        vol.open_store("@s2")
        copied = vol.resync(events, "@s2")
        ktap.check("the difference was copied", 0 < copied <= 16 * MIB,
                   f"{copied} bytes")
        no_disk(vol)
        vol.detach()
        vol.check_stores()
        vol.attach()
        data(vol)
        vol.detach()


def test_changed():
    """Name and size are in its page, without anybody who sees the disk."""
    with setting() as (vol, _devs, _events):
        vol.attach(VOL_FLAGS=DISKLESS)
        vol.edo("VOL_SET", NAME="other", SIZE=2 * vol.size)
        ktap.check_eq("changed", ("other", 2 * vol.size),
                      (vol.get()["NAME"], vol.get()["SIZE"]))
        no_disk(vol)
        vol.detach()
        vol.check_stores()


def test_published():
    """It gets its disk in the middle of a copy, which goes on."""
    for queue in ("MQ", "BIO"):
        with setting() as (vol, devs, events):
            behind(vol, devs, events)
            vol.attach(VOL_FLAGS=DISKLESS, SYNC_KIBPS=SLOW)
            vol.open_store("@s2")
            vol.place("@s2", range(len(vol.rows)))
            vol.link_add("@s2", "SYNCING")
            hcvtest.wait_for(lambda v=vol: v.link("@s2")["SYNC_COPIED"], 10,
                             "something copied")
            vol.edo("VOL_SET", VOL_FLAGS=0, QUEUE=queue)
            ktap.check_eq("state", ("ACTIVE", False), flags(vol))
            ktap.check_eq("queue", queue, vol.get()["QUEUE"])
            ktap.check_eq("the copy goes on", "SYNCING",
                          vol.link("@s2")["LINK_STATE"])
            data(vol)
            with hcvvol.Disk(vol.path) as disk:
                fill(disk, (0,), 3)
                node.fails(errno.EBUSY, "open", "VOL_STOP", VOL=vol.vol)
            vol.edo("VOL_SET", SYNC_KIBPS=0)
            events.wait("SYNC_DONE", 60, STORE=uuid_text("@s2"))
            vol.confirm("@s2", "INSYNC")
            node.fails(errno.EINVAL, "without a disk", "VOL_SET", VOL=vol.vol,
                       EPOCH=vol.epoch, VOL_FLAGS=0)
            hcvbreak.finish(vol)


def test_published_readonly():
    with setting() as (vol, _devs, _events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 1)
        vol.detach()
        vol.attach(VOL_FLAGS=DISKLESS)
        vol.edo("VOL_SET", VOL_FLAGS="READONLY")
        ktap.check_eq("read-only", "1", hcvvol.sysfs(vol.path, "ro"))
        with open(vol.path, "rb", buffering=0) as disk:
            ktap.check_eq("data", bytes([1]) * 4096,
                          os.pread(disk.fileno(), 4096, MIB + 4096))
        vol.detach()


def test_stopped_by_force():
    with setting() as (vol, _devs, _events):
        vol.attach(VOL_FLAGS=DISKLESS)
        vol.stop(VOL_FLAGS="FORCE")
        hcvtest.wait_for(lambda: not node.dump("VOL_GET"), 20, "no volume")
        vol.close_stores()
        vol.attach()
        vol.detach()
        vol.check_stores()


def test_fenced():
    with setting() as (vol, _devs, _events):
        vol.attach(VOL_FLAGS=DISKLESS)
        vol.edo("VOL_FENCE")
        node.fails(errno.ENODEV, "fenced", "VOL_SET", VOL=vol.vol, EPOCH=vol.epoch,
                   VOL_FLAGS=0)
        no_disk(vol)
        vol.end()


def test_refused():
    with setting() as (vol, _devs, _events):
        def no(text, cmd="VOL_SET", **attrs):
            node.fails(errno.EINVAL, text, cmd, VOL=vol.vol,
                       EPOCH=max(vol.epoch, 1), **attrs)

        no("none in advance", "VOL_CREATE", NAME="v1", SIZE=vol.size, STRIPE=1,
           REPLICAS=2, V=1, LINEAGE=7, QUEUE="MQ",
           VOL_FLAGS="PREPARED|DISKLESS")
        vol.prepare(VOL_FLAGS=DISKLESS)
        no("without a disk", VOL_FLAGS=0)
        vol.edo("VOL_START", V=vol.v)
        no("READONLY or none", VOL_FLAGS="FORCE")
        no("READONLY or none", QUEUE="MQ")
        vol.edo("VOL_SUSPEND")
        no("without a disk", VOL_FLAGS=0)
        vol.edo("VOL_RESUME")
        no_disk(vol)
        vol.edo("VOL_SET", VOL_FLAGS=0)
        vol.detach()


with pool:
    ktap.main(globals())
