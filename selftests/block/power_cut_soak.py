#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 600
# TAGS: soak
# PARTS: 40
# MEM: 2048
"""A thousand power cuts, 25 a part; see selftests/lib/hcvcut.py.

HCV_CUT_SEED starts from another seed.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvcut
import hcvtest
import ktap

PART = int(os.environ.get("HCV_PART", "0"))
SEED = int(os.environ.get("HCV_CUT_SEED", "1000")) + PART
ROUNDS = 25
node = hcvtest.Node()


def test_power_cuts():
    hcvcut.run(node, SEED, ROUNDS, 60 + PART % 40 * 5)


ktap.main(globals())
