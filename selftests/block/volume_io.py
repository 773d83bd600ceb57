#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# TAGS: fast smoke
# MEM: 2048
"""Volumes that work: what is written is read, on both fronts; space that comes
back, growth, read-only, suspend, a new module."""

import errno
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvload
import hcvtest
import hcvvol
import ktap
from hcvvol import MIB, Volume

node = hcvtest.Node()


def check_content(queue):
    with hcvvol.ram_disks(2) as devs:
        vol = Volume(node, devs, queue=queue, stripe=2).format()
        with vol.attached():
            hcvload.model_alone(vol, 1, 150)
            hcvload.model_shared(vol, 2, 50)
            hcvload.overlapping(vol, 3, 50)
            before = hcvload.digest(vol, 24 * MIB)
        vol.check_stores()
        with vol.attached():
            ktap.check_eq("content after stop and start", before,
                          hcvload.digest(vol, 24 * MIB))


def test_content_mq():
    check_content("MQ")


def test_content_bio():
    check_content("BIO")


def used(vol):
    return vol.get()["USED_SLOTS"]


def test_space():
    """Slots are taken by the first write and come back."""
    with hcvvol.ram_disks(2) as devs:
        vol = Volume(node, devs).format()
        with vol.attached() as disk:
            ktap.check("never written", not any(disk.read(5 * MIB, MIB)))
            ktap.check_eq("none used", 0, used(vol))
            ready = vol.get()["READY"]
            disk.zeroout(0, 16 * MIB)
            ktap.check_eq("zeroes where nothing is take no slot", 0,
                          used(vol))
            for mib in range(16):
                disk.write(mib * MIB, os.urandom(4096))
            ktap.check_eq("used", 16, used(vol))
            disk.discard(4 * MIB, MIB - 4096)
            disk.zeroout(5 * MIB, 4096)
            disk.flush()
            hcvtest.wait_for(lambda: used(vol) == 14, 10, "14 slots")
            disk.discard(6 * MIB, 10 * MIB)
            disk.discard(0, 4 * MIB)
            disk.flush()
            hcvtest.wait_for(lambda: used(vol) == 0, 10, "no slot")
            hcvtest.wait_for(lambda: vol.get()["READY"] == ready, 10,
                             "all slots ready again")
            ktap.check("reads as zeroes", not any(disk.read(0, 16 * MIB)))
            disk.write(3 * MIB, b"x" * 4096)
            ktap.check_eq("zeroes beside new data", b"x" * 4096 + bytes(4096),
                          disk.read(3 * MIB, 8192))
        with vol.attached() as disk:
            ktap.check_eq("used after start", 1, used(vol))
            ktap.check_eq("the block", b"x" * 4096, disk.read(3 * MIB))
        vol.check_stores()


def test_reuse_of_space():
    """More is written over time than there is space."""
    with hcvvol.ram_disks(2) as devs:
        vol = Volume(node, devs, extents=1, size=1024 * MIB).format()
        with vol.attached() as disk:
            for turn in range(3):
                first = turn * 300
                for mib in range(first, first + 200):
                    disk.write(mib * MIB + 4096 * turn,
                               mib.to_bytes(4, "little") * 1024)
                for mib in range(first, first + 200):
                    want = mib.to_bytes(4, "little") * 1024
                    if disk.read(mib * MIB + 4096 * turn) != want:
                        ktap.check(f"mib {mib}", False)
                disk.discard(first * MIB, 200 * MIB)
                disk.flush()
                hcvtest.wait_for(lambda: vol.get()["READY"] == 256, 10,
                                 "free slots")
        vol.check_stores()


def test_grow():
    with hcvvol.ram_disks(2) as devs:
        for queue in ("MQ", "BIO"):
            vol = Volume(node, devs, extents=1, size=8 * MIB,
                         queue=queue).format()
            with vol.attached() as disk:
                disk.write(8 * MIB - 4096, b"a" * 4096)
                try:
                    disk.write(8 * MIB, bytes(4096))
                except OSError as e:
                    ktap.check_eq("behind the end", errno.ENOSPC, e.errno)
                else:
                    ktap.check("writing behind the end fails", False)
                node.fails(errno.EINVAL, "cannot shrink", "VOL_SET",
                           VOL=vol.vol, EPOCH=vol.epoch, SIZE=4 * MIB)
                node.fails(errno.EINVAL, "", "VOL_SET", VOL=vol.vol,
                           EPOCH=vol.epoch, SIZE=9 * MIB + 512)
                vol.edo("VOL_SET", SIZE=700 * MIB)
                vol.size = 700 * MIB
                vol.grow_extents(2)
                ktap.check_eq("size", 700 * MIB, disk.size())
                ktap.check_eq("told", (700 * MIB, 3),
                              (vol.get()["SIZE"], vol.get()["NR_EXTENTS"]))
                disk.write(700 * MIB - 4096, b"b" * 4096)
                for mib in range(10, 310):
                    disk.write(mib * MIB, b"c" * 4096)
            vol.check_stores()
            with vol.attached() as disk:
                ktap.check_eq("size after start", 700 * MIB, disk.size())
                ktap.check_eq("data", b"abc", b"".join(
                    disk.read(off)[:1] for off in
                    (8 * MIB - 4096, 700 * MIB - 4096, 309 * MIB)))


def test_read_only():
    with hcvvol.ram_disks(2) as devs:
        vol = Volume(node, devs).format()
        with vol.attached() as disk:
            disk.write(MIB, b"r" * 4096)
        vol.attach(VOL_FLAGS="READONLY")
        try:
            ktap.check_eq("ro", "1", hcvvol.sysfs(vol.path, "ro"))
            fd = os.open(vol.path, os.O_RDONLY)
            ktap.check_eq("read", b"r" * 4096, os.pread(fd, 4096, MIB))
            os.close(fd)
            try:
                with hcvvol.Disk(vol.path) as disk:
                    disk.write(MIB, bytes(4096))
            except OSError as e:
                ktap.check_in("errno", e.errno, (errno.EROFS, errno.EPERM,
                                                 errno.EACCES))
            else:
                ktap.check("writing fails", False)
            vol.detach()
        finally:
            vol.end()


def test_limits():
    """What the disk says of itself."""
    with hcvvol.ram_disks(1) as devs:
        for queue in ("MQ", "BIO"):
            vol = Volume(node, devs, queue=queue, stripe=2).format()
            with vol.attached():
                got = {name: hcvvol.sysfs(vol.path, f"queue/{name}")
                       for name in ("logical_block_size", "write_cache",
                                    "physical_block_size", "fua",
                                    "discard_granularity")}
                ktap.check_eq(queue, {
                    "logical_block_size": "512", "write_cache": "write back",
                    "physical_block_size": "4096", "fua": "1",
                    "discard_granularity": "4096"}, got)
                ktap.check_eq("name", "v1",
                              hcvvol.sysfs(vol.path, "hcivol/name"))
                ktap.check_eq("uuid", hcvtest.uuid_text("@v1"),
                              hcvvol.sysfs(vol.path, "hcivol/uuid"))


def test_module_reload():
    with hcvvol.ram_disks(2) as devs:
        vol = Volume(node, devs).format()
        with vol.attached() as disk:
            want = os.urandom(MIB)
            disk.write(7 * MIB + 4096, want)
            disk.write(9 * MIB + 512, b"s" * 512)
        hcvtest.unload_module()
        node.__init__()
        with vol.attached() as disk:
            ktap.check("data", disk.read(7 * MIB + 4096, MIB) == want)
            ktap.check_eq("small write", bytes(512) + b"s" * 512 + bytes(512),
                          disk.read(9 * MIB, 1536))
            ktap.check_eq("slots", 3, used(vol))


def test_suspend():
    """Held I/O goes on; nothing gets lost."""
    with hcvvol.ram_disks(2) as devs:
        vol = Volume(node, devs).format()
        with vol.attached() as disk:
            disk.write(0, b"1" * 4096)
            vol.edo("VOL_SUSPEND")
            ktap.check_eq("state", "SUSPENDED", vol.get()["VOL_STATE"])
            pid = os.fork()
            if not pid:
                disk.write(0, b"2" * 4096)
                os._exit(0)
            hcvtest.wait_for(lambda: vol.get()["WAIT_COUNT"] == 1, 5,
                             "a waiting write")
            ktap.check_eq("why", "SUSPEND", vol.get()["WAIT"])
            ktap.check_eq("held", (0, 0), os.waitpid(pid, os.WNOHANG))
            vol.edo("VOL_RESUME")
            ktap.check_eq("ended", 0, os.waitpid(pid, 0)[1])
            ktap.check_eq("written", b"2" * 4096, disk.read(0))
        vol.check_stores()


ktap.main(globals())
