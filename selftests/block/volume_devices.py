#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# TAGS: soak debug
# MEM: 2048
# DISK: 2G:serial=a
# DISK: 2G:serial=b,lbs=4096
"""Volumes over several kinds of devices: fio with verification and models of
the content on both fronts, stripes, numbers of replicas."""

import contextlib
import hashlib
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


def test_ram_disks_mq():
    with hcvvol.ram_disks(2) as devs:
        hcvload.everything(node, devs)


def test_ram_disks_bio():
    with hcvvol.ram_disks(2) as devs:
        hcvload.everything(node, devs, queue="BIO")


def test_null_blk():
    """blk-mq below: what is submitted under one plug comes as one."""
    with hcvvol.null_disks(2) as devs:
        for queue in ("MQ", "BIO"):
            hcvload.everything(node, devs, queue=queue, stripe=2)


def test_virtio():
    """512 and 4096 byte sectors in one volume."""
    devs = [hcvtest.disk_by_serial(name) for name in "ab"]
    hcvload.everything(node, devs)


def test_stripes_and_replicas():
    with hcvvol.ram_disks(3) as devs:
        for stripe, replicas, queue in ((1, 1, "MQ"), (2, 3, "BIO"),
                                        (4, 2, "MQ"), (4, 1, "BIO")):
            vol = Volume(node, devs, stripe=stripe, replicas=replicas,
                         queue=queue).format()
            with vol.attached():
                hcvload.model_alone(vol, stripe, 100)
                hcvload.model_shared(vol, replicas, 40)
                with hcvvol.Disk(vol.path) as disk:
                    for mib in range(64):
                        disk.write(mib * MIB + 8192, bytes([mib]) * 4096)
                before = hcvload.digest(vol, 64 * MIB)
            vol.check_stores()
            with vol.attached():
                ktap.check_eq(f"stripe {stripe} x {replicas}", before,
                              hcvload.digest(vol, 64 * MIB))
            with open_image(vol, 64 * MIB) as image:
                ktap.check_eq("read offline", before,
                              hashlib.sha256(image.read()).hexdigest())


@contextlib.contextmanager
def open_image(vol, size):
    """A file with what the offline tool makes of the closed stores."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/image"
        hcvtest.run("sh", "-c", 'out=$1; shift; exec "$@" > "$out"', "sh",
                    path, "hcivol-inspect", "read", *vol.devs, "--volume",
                    hcvtest.uuid_text(vol.vol), "--length", str(size))
        with open(path, "rb") as image:
            yield image


ktap.main(globals())
