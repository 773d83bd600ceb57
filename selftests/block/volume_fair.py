#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""Who waits for blocks that others write gets them in turn: what needs many
blocks is not passed for ever by what needs few."""

import contextlib
import errno
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import Writer, failed, waits
from hcvvol import MIB

node = hcvtest.Node()
LANES = 10
DELAY_MS = 40
LIMIT = 50		# small writes of a lane: many times what the queue takes


@contextlib.contextmanager
def small_writes(path):
    """Many at a time, to all of the first mib, without a pause."""
    stop, errors, counts = threading.Event(), [], [0] * LANES

    def lane(i):
        with hcvvol.Disk(path) as disk:
            while not stop.is_set():
                counts[i] += 1
                try:
                    disk.write((counts[i] * LANES + i) % 256 * 4096,
                               bytes([i]) * 4096)
                except OSError as e:
                    errors.append(e)
                    return
    lanes = [threading.Thread(target=lane, args=(i,)) for i in range(LANES)]
    for one in lanes:
        one.start()
    try:
        yield counts
    finally:
        stop.set()
        for one in lanes:
            one.join()
    ktap.check_eq("no error", [], errors)


def check_large(queue):
    """Each lane holds a block for DELAY_MS: some bit of the mib is always set."""
    with hcvbreak.setting(node, 1, extents=1, queue=queue) as (vol, devs, _):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, bytes(MIB))
            devs[0].delay(write=DELAY_MS)
            with small_writes(vol.path) as counts:
                hcvtest.wait_for(lambda: min(counts) > 2, 20, "steady load")
                for name, action in (
                        ("write", lambda: disk.write(0, b"L" * MIB)),
                        ("zeroes", lambda: disk.zeroout(0, MIB)),
                        ("discard", lambda: disk.discard(0, MIB)),
                        ("partial", lambda: disk.write(512, b"p" * 65536))):
                    before = sum(counts)
                    action()
                    passed = sum(counts) - before
                    ktap.check(f"{name} in turn", passed < LIMIT * LANES,
                               f"after {passed} others")
                    hcvtest.wait_for(lambda n=before: sum(counts) >
                                     n + 3 * LANES, 20, "the small ones")
        hcvbreak.finish(vol)


def test_large_mq():
    check_large("MQ")


def test_large_bio():
    check_large("BIO")


def test_readers():
    """A read behind a write that waits gets the block when that has ended."""
    with hcvbreak.setting(node, 2, extents=1) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"a" * 65536)
            disk.flush()
            devs[1].fail()
            first = Writer(vol.path, lambda d: d.write(4096, b"b" * 4096))
            failed(vol, events, "@s2")
            waits(vol, 1)
            chain = [Writer(vol.path, lambda d: d.write(0, b"c" * 65536)),
                     Writer(vol.path, lambda d: d.read(4096)),
                     Writer(vol.path, lambda d: d.write(8192, b"d" * 4096)),
                     Writer(vol.path, lambda d: d.discard(0, MIB))]
            hcvtest.wait_for(lambda: vol.get()["WAIT_COUNT"] == 5, 10,
                             "five waiters")
            # Another mib, and other blocks, are not in their way.
            ktap.check_eq("elsewhere", b"a" * 4096, disk.read(32768))
            ktap.check("they wait", not any(w.ended()
                                            for w in [first] + chain))
            vol.confirm("@s2", "OUT")
            ktap.check_eq("all end", [0] * 5,
                          [w.wait() for w in [first] + chain])
        vol.end()


def test_policy_in_the_queue():
    """The limit of the policy is one for those in the queue as well."""
    with hcvbreak.setting(node, 2, extents=1, POLICY="ERROR",
                          POLICY_MS=1500) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"a" * 65536)
            disk.flush()
            devs[1].fail()
            writers = [Writer(vol.path, lambda d: d.write(0, b"b" * 8192))]
            failed(vol, events, "@s2")
            writers += [
                Writer(vol.path, lambda d: d.write(4096, b"c" * 4096)),
                Writer(vol.path, lambda d: d.discard(0, MIB)),
                Writer(vol.path, lambda d: d.flush())]
            ktap.check_eq("errors", [errno.EIO] * 4,
                          [w.wait(10) for w in writers])
            vol.confirm("@s2", "OUT")
            disk.write(0, b"d" * 8192)
            ktap.check_eq("goes on", b"d" * 8192, disk.read(0, 8192))
            disk.flush()
        vol.end()


ktap.main(globals())
