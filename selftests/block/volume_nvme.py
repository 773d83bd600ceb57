#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1800
# TAGS: fast smoke
# MEM: 2048
# APPEND: hardened_usercopy=off
"""What volume_devices.py and volume_fs.py do, with a replica over NVMe/TCP.
See selftests/lib/hcvnvme.py for hardened_usercopy."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvdevs
import hcvtest
import ktap

node = hcvtest.Node()


def test_content():
    hcvdevs.check_device(node, "nvme")


def test_file_systems():
    hcvdevs.check_file_systems(node, "nvme", 120, MQ="xfs", BIO="ext4")


ktap.main(globals())
