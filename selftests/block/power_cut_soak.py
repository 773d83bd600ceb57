#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 10800
# TAGS: soak
# MEM: 2048
"""A thousand power cuts; see selftests/lib/hcvcut.py."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvcut
import hcvtest
import ktap

SEED = int(os.environ.get("HCV_CUT_SEED", "1000"))
LOADS, ROUNDS = 40, 25
node = hcvtest.Node()


def test_many_power_cuts():
    for part in range(LOADS):
        hcvcut.run(node, SEED + part, ROUNDS, 40 + part * 5)
        hcvtest.unload_module()
        node.__init__()


ktap.main(globals())
