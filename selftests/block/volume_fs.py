#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1800
# TAGS: fast
# MEM: 2048
# DISK: 2G:serial=a
# DISK: 2G:serial=b,lbs=4096
"""File systems on volumes, on both fronts and over each kind of device:
changed at random, checked, trimmed, mounted again."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvdevs
import hcvtest
import ktap

STEPS = 120
node = hcvtest.Node()


# Each file system meets each front, each kind of device meets all of them;
# NVMe/TCP does in volume_nvme.py.

def test_ram_disks():
    hcvdevs.check_file_systems(node, "ram", STEPS, MQ="ext4", BIO="xfs")


def test_null_blk():
    hcvdevs.check_file_systems(node, "null", STEPS, MQ="xfs", BIO="ext4")


def test_virtio():
    hcvdevs.check_file_systems(node, "virtio", STEPS, MQ="ext4", BIO="xfs")


ktap.main(globals())
