# SPDX-License-Identifier: GPL-2.0-only
"""Volumes over each kind of device that stores may lie on."""

import contextlib

import hcvfs
import hcvload
import hcvnvme
import hcvtest
import hcvvol
import ktap
from hcvvol import Volume

QUEUES = ("MQ", "BIO")


@contextlib.contextmanager
def ram():
    with hcvvol.ram_disks(2) as devs:
        yield Volume, devs


@contextlib.contextmanager
def null():
    """blk-mq: what is submitted under one plug comes as one."""
    with hcvvol.null_disks(2) as devs:
        yield Volume, devs


@contextlib.contextmanager
def virtio():
    """512 and 4096 byte sectors in one volume."""
    yield Volume, [hcvtest.disk_by_serial(name) for name in "ab"]


@contextlib.contextmanager
def nvme():
    """One replica here, one over NVMe/TCP."""
    with hcvvol.ram_disks(2) as devs, hcvnvme.transport():
        yield hcvnvme.NvmeVolume, devs


DEVICES = {"ram": ram, "null": null, "virtio": virtio, "nvme": nvme}
FACTORS = {"device": tuple(DEVICES), "queue": QUEUES, **hcvload.FIO_FACTORS}


def check_content(vol, jobs):
    """fio and models with one front; all of it is there with the other."""
    with vol.attached():
        hcvload.fio(vol, jobs)
        hcvload.models(vol)
        size = hcvload.WINDOW * (len(jobs) + 2)
        before = hcvload.digest(vol, size)
    vol.check_stores()
    vol.queue = QUEUES[1 - QUEUES.index(vol.queue)]
    with vol.attached():
        ktap.check_eq("content after stop and start", before,
                      hcvload.digest(vol, size))


def check_device(node, device):
    """Those of the covering rows that are for this device."""
    rows = hcvload.covering(FACTORS)
    with DEVICES[device]() as (kind, devs):
        for stripe, queue in enumerate(QUEUES, 1):
            jobs = [row for row in rows
                    if (row["device"], row["queue"]) == (device, queue)]
            vol = kind(node, devs, queue=queue, stripe=stripe).format()
            check_content(vol, jobs)


def check_file_systems(node, device, steps, **kinds):
    """A kind of file system for each front, of which its key is the name."""
    with DEVICES[device]() as (make, devs):
        for queue, kind in kinds.items():
            vol = make(node, devs, queue=queue, stripe=2).format()
            hcvfs.run(vol, kind, steps)
