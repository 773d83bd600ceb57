#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# TAGS: fast smoke
# MEM: 2048
"""Twenty power cuts; see selftests/lib/hcvcut.py. HCV_CUT_SEED starts from
another seed, HCV_CUT_ROUNDS asks for more rounds."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvcut
import hcvtest
import ktap

SEED = int(os.environ.get("HCV_CUT_SEED", "1"))
DIV = int(os.environ.get("HCV_SIZE_DIV", "1"))
ROUNDS = int(os.environ.get("HCV_CUT_ROUNDS", "20" if DIV == 1 else "4"))
node = hcvtest.Node()


def test_power_cuts():
    for part in range(2):
        hcvcut.run(node, SEED + part, max(ROUNDS // 2, 1),
                   max(100 // DIV, 30))


ktap.main(globals())
