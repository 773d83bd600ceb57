#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# TAGS: fast smoke
# MEM: 2048
"""The links below /dev/hcivol with systemd-udevd running: they appear with the
disk, follow a rename, lead to partitions, and go with the disk.  No agent."""

import contextlib
import errno
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvtest import uuid_text
from hcvvol import Volume

TREE = Path(__file__).resolve().parents[2]
RULES = Path("/run/udev/rules.d")
LINKS = Path("/dev/hcivol")
DAEMON = next((p for p in ("/lib/systemd/systemd-udevd",
                           "/usr/lib/systemd/systemd-udevd")
               if os.path.exists(p)), None)


@contextlib.contextmanager
def udevd():
    """The daemon with our rules; what it made is removed with it."""
    if not DAEMON:
        raise ktap.Skip("systemd-udevd is not installed")
    RULES.mkdir(parents=True, exist_ok=True)
    shutil.copy(TREE / "tools/udev/60-hcivol.rules", RULES)
    with subprocess.Popen([DAEMON], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as daemon:
        try:
            hcvtest.wait_for(
                lambda: not subprocess.run(["udevadm", "control", "--ping"],
                                           check=False).returncode,
                20, "answer of udevd")
            yield
        finally:
            daemon.terminate()
            daemon.wait(20)
            (RULES / "60-hcivol.rules").unlink()
            shutil.rmtree(LINKS, ignore_errors=True)


def settle():
    hcvtest.run("udevadm", "settle", "--timeout=120")


def detach(vol):
    """udev may be looking at the disk: whoever had it open for writing has just
    closed it."""
    def stopped():
        try:
            vol.stop()
        except hcvnl.Fail as e:
            if e.code != errno.EBUSY:
                raise
            return False
        return True
    hcvtest.wait_for(stopped, 20, "a detach")
    vol.close_stores()


def links():
    """{path below /dev/hcivol: what it leads to}"""
    settle()
    return {str(p.relative_to(LINKS)): os.path.realpath(p)
            for p in LINKS.rglob("*") if p.is_symlink()}


def become(what, want):
    """Until the links are these: what leads to them is not in udevd's queue
    yet."""
    with contextlib.suppress(TimeoutError):
        hcvtest.wait_for(lambda: links() == want, 20, what)
    ktap.check_eq(what, want, links())


def both(name, vol, suffix=""):
    to = vol.path + (f"p{suffix[5:]}" if suffix else "")
    return {f"by-name/{name}{suffix}": to,
            f"by-id/{uuid_text(vol.vol)}{suffix}": to}


@contextlib.contextmanager
def volumes(*names):
    """Attached volumes with these names, on a disk each."""
    node = hcvtest.Node()
    with contextlib.ExitStack() as stack:
        disks = stack.enter_context(hcvvol.ram_disks(len(names)))
        vols = []
        for i, (disk, name) in enumerate(zip(disks, names)):
            vol = Volume(node, [disk], vol=f"@{name}")
            vol.names = [f"@s{i + 1}"]
            vol.insync = set(vol.names)
            vol.rows = [vol.names for _ in vol.rows]
            stack.callback(vol.end)
            vols.append(vol.format().attach(NAME=name))
        yield vols


def test_links_follow_the_volume():
    with udevd(), volumes("db1", "a.b_c-9") as (one, two):
        ktap.check_eq("both volumes", {**both("db1", one),
                                       **both("a.b_c-9", two)}, links())
        one.edo("VOL_SET", NAME="db2")
        ktap.check_eq("renamed", {**both("db2", one),
                                  **both("a.b_c-9", two)}, links())
        # The name is free for another one now.
        two.edo("VOL_SET", NAME="db1")
        ktap.check_eq("another one took the name",
                      {**both("db2", one), **both("db1", two)}, links())
        detach(one)
        ktap.check_eq("one is gone", both("db1", two), links())
        two.stop(VOL_FLAGS="FORCE")
        become("both are gone", {})


def has_partition(path):
    """udevd rereads the table as well, and is in the way while it does."""
    if not os.path.exists(f"{path}p2"):
        subprocess.run(["blockdev", "--rereadpt", path], check=False,
                       stderr=subprocess.DEVNULL)
    return os.path.exists(f"{path}p2")


def test_partitions():
    with udevd(), volumes("disk") as (vol,):
        # An MBR with two Linux partitions of 8 MiB.
        table = b"".join(
            struct.pack("<B3xB3xII", 0, 0x83, 2048 + 16384 * i, 16384)
            for i in range(2))
        hcvtest.device_write(vol.path, 0, (
            bytes(446) + table + bytes(32) + b"\x55\xaa").ljust(4096, b"\0"))
        hcvtest.wait_for(lambda: has_partition(vol.path), 20, "partition")
        want = both("disk", vol)
        for part in ("-part1", "-part2"):
            want.update(both("disk", vol, part))
        become("partitions", want)


def properties(path):
    return hcvtest.run("udevadm", "info", "--query=property",
                       f"--name={path}")


def test_prepared():
    """A disk that waits for its start has its links, nobody reads it, and it is
    not ready before it is started."""
    with udevd(), volumes("disk") as (vol,):
        detach(vol)
        become("gone", {})
        vol.fresh = set()
        vol.epoch += 1
        vol.v += 1
        vol.create(VOL_FLAGS="PREPARED", HANDOVER_MS=60000)
        become("prepared", both("disk", vol))
        ktap.check("nothing waits", not vol.get()["WAIT_COUNT"], vol.get())
        info = properties(vol.path)
        ktap.check("not ready", "SYSTEMD_READY=0" in info, info)
        for store in vol.names:
            vol.open_store(store)
            vol.place(store, range(len(vol.rows)))
            vol.link_add(store, "INSYNC")
        vol.extent_add(range(len(vol.rows)))
        vol.edo("VOL_START", V=vol.v)
        hcvtest.wait_for(lambda: "SYSTEMD_READY=0" not in
                         properties(vol.path), 20, "the word that it is ready")
        become("started", both("disk", vol))
        detach(vol)


def test_exports_have_none():
    """What other nodes are served is no disk of this one."""
    node = hcvtest.Node()
    with udevd(), hcvvol.ram_disks(1) as (disk,):
        node.open(disk)
        try:
            node.do("EXPORT_ADD", STORE="@s1", NODE="@n2")
            ktap.check_eq("no links", {}, links())
            info = hcvtest.run("udevadm", "info", "--query=property",
                               "--name=/dev/hcvx0")
            ktap.check("hidden from udisks", "UDISKS_IGNORE=1" in info, info)
            # Nobody probes 2^62 bytes for file systems.
            ktap.check("not probed", "ID_FS_TYPE" not in info and
                       "ID_PART_TABLE_TYPE" not in info, info)
        finally:
            settle()
            node.shut()


ktap.main(globals())
