#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# TAGS: fast smoke
# MEM: 2048
"""Twenty power cuts; see selftests/lib/hcvcut.py. HCV_CUT_SEED starts from
another seed, HCV_CUT_ROUNDS asks for more rounds."""

import functools
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvcut
import hcvtest
import ktap
from hcvplan import Lost

SEED = int(os.environ.get("HCV_CUT_SEED", "1"))
DIV = int(os.environ.get("HCV_SIZE_DIV", "1"))
ROUNDS = int(os.environ.get("HCV_CUT_ROUNDS", "20" if DIV == 1 else "4"))
node = hcvtest.Node()


def test_power_cuts():
    for part in range(2):
        hcvcut.run(node, SEED + part, max(ROUNDS // 2, 1),
                   max(100 // DIV, 30))


def test_what_is_left_out_is_missed():
    """A look at a record notices one write that is not there."""
    with hcvcut.recorded(node, SEED + 2, 30) as cut:
        for look in cut.looks:
            for writes in look.needed():
                ktap.check_raises(f"without writes {writes}", Lost,
                                  functools.partial(look.check, writes))


ktap.main(globals())
