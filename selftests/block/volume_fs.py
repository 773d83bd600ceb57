#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 600
# TAGS: soak debug
# MEM: 2048
"""File systems on volumes: changed at random, checked, trimmed, unmounted
and mounted again elsewhere."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvload
import hcvtest
import hcvvol
import ktap
from hcvvol import MIB, Volume

node = hcvtest.Node()


@contextlib.contextmanager
def mounted(vol, kind):
    with tempfile.TemporaryDirectory() as folder:
        hcvtest.run("mount", "-t", kind, vol.path, folder)
        try:
            yield folder
        finally:
            hcvtest.run("umount", folder)


def file_system(devs, kind, queue, mkfs, fsck):
    vol = Volume(node, devs, queue=queue, stripe=2, size=512 * MIB).format()
    vol.attach()
    try:
        hcvtest.run(*mkfs, vol.path)
        with mounted(vol, kind) as folder:
            trees = [hcvload.Tree(f"{folder}/{i}", i) for i in range(2)]
            for tree in trees:
                tree.run(300)
        hcvtest.run(*fsck, vol.path)
        vol.detach()
        vol.check_stores()
        vol.attach()
        hcvtest.run(*fsck, vol.path)
        with mounted(vol, kind) as folder:
            for tree in trees:
                for path in tree.files:
                    now = path.replace(tree.root, f"{folder}/{tree.root[-1]}")
                    with open(now, "rb") as file:
                        if file.read() != tree.files[path]:
                            ktap.check(f"{now} is the same", False)
            with open(f"{folder}/large", "wb") as file:
                file.write(os.urandom(MIB) * 24)
                os.fsync(file.fileno())
            full = vol.get()["USED_SLOTS"]
            os.unlink(f"{folder}/large")
            os.sync()
            hcvtest.run("fstrim", folder)
            hcvtest.wait_for(lambda: vol.get()["USED_SLOTS"] <= full - 16, 20,
                             "space after a trim")
        hcvtest.run(*fsck, vol.path)
        vol.detach()
        vol.check_stores()
    finally:
        vol.end()


def test_ext4():
    with hcvvol.ram_disks(2) as devs:
        file_system(devs, "ext4", "MQ",
                    ("mke2fs", "-q", "-F", "-t", "ext4",
                     "-E", "lazy_itable_init=1"), ("e2fsck", "-fn"))


def test_xfs():
    with hcvvol.ram_disks(2) as devs:
        file_system(devs, "xfs", "BIO", ("mkfs.xfs", "-q", "-f"),
                    ("xfs_repair", "-n"))


ktap.main(globals())
