#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 2700
# TAGS: fast
# MEM: 2048
# DISK: 2G:serial=a
# DISK: 2G:serial=b,lbs=4096
"""Volumes over each kind of device: fio with verification and models of the
content on both fronts, stripes, numbers of replicas. The combinations are
such that each two values of device, front, engine, block size, order and what
is mixed in meet; volume_nvme.py has those for NVMe/TCP, volume_soak.py all."""

import contextlib
import sys
import tempfile
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvdevs
import hcvload
import hcvtest
import hcvvol
import ktap
from hcvvol import MIB, Volume

node = hcvtest.Node()


def test_ram_disks():
    hcvdevs.check_device(node, "ram")


def test_null_blk():
    hcvdevs.check_device(node, "null")


def test_virtio():
    hcvdevs.check_device(node, "virtio")


def test_stripes_and_replicas():
    with hcvvol.ram_disks(3) as devs:
        for stripe, replicas, queue in ((1, 1, "MQ"), (2, 3, "BIO"),
                                        (4, 2, "MQ"), (4, 1, "BIO")):
            vol = Volume(node, devs, stripe=stripe, replicas=replicas,
                         queue=queue).format()
            with vol.attached():
                hcvload.model_alone(vol, stripe, 60)
                hcvload.model_shared(vol, replicas, 40)
                with hcvvol.Disk(vol.path) as disk:
                    for mib in range(48):
                        disk.write(mib * MIB + 8192, bytes([mib]) * 4096)
                before = hcvload.digest(vol, 48 * MIB)
            vol.check_stores()
            with vol.attached():
                ktap.check_eq(f"stripe {stripe} x {replicas}", before,
                              hcvload.digest(vol, 48 * MIB))
            with open_image(vol, 48 * MIB) as image:
                ktap.check_eq("read offline", before,
                              zlib.crc32(image.read()))


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
