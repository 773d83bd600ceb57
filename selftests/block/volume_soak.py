#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# TAGS: soak
# PARTS: 8
# MEM: 2048
# APPEND: hardened_usercopy=off
# DISK: 2G:serial=a
# DISK: 2G:serial=b,lbs=4096
"""Everything that volume_devices.py and volume_fs.py choose from: each part is
a kind of device and a front with all combinations of fio's jobs and both file
systems."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvdevs
import hcvfs
import hcvload
import hcvtest
import ktap

PART = int(os.environ.get("HCV_PART", "0"))
DEVICE = tuple(hcvdevs.DEVICES)[PART % 8 // 2]
QUEUE = hcvdevs.QUEUES[PART % 2]
AT_ONCE = 10
node = hcvtest.Node()


def test_content():
    jobs = hcvload.product(hcvload.FIO_FACTORS)
    with hcvdevs.DEVICES[DEVICE]() as (make, devs):
        for first in range(0, len(jobs), AT_ONCE):
            vol = make(node, devs, queue=QUEUE,
                       stripe=1 << first // AT_ONCE % 3).format()
            hcvdevs.check_content(vol, jobs[first:first + AT_ONCE])


def test_file_systems():
    with hcvdevs.DEVICES[DEVICE]() as (make, devs):
        for kind in hcvfs.MKFS:
            vol = make(node, devs, queue=QUEUE, stripe=2).format()
            hcvfs.run(vol, kind, 500)


ktap.main(globals())
