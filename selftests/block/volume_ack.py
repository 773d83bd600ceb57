#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""The right to acknowledge: what completed while a replica was lost is written
again when it is back, before the guest is told."""

import os
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import RemoteVolume, Writer, failed, waits
from hcvvol import MIB

node = hcvtest.Node()
ROUNDS = max(3, 12 // int(os.environ.get("HCV_SIZE_DIV", "1")))


def setting():
    """Store 2 is another node's: its own disk's errors would be the user's.
    Store 3 as well, so that reads ask store 2 first."""
    return hcvbreak.setting(node, 3, kind=RemoteVolume,
                            remote=("@s2", "@s3"), extents=2, stripe=2,
                            replicas=2)


def lose_last_of_column(vol, devs, events):
    """Store 1 leaves; from then on store 2 is the only one with column 0,
    while column 1 is on stores 2 and 3."""
    with hcvvol.Disk(vol.path) as disk:
        for mib in range(8):
            disk.write(mib * MIB, bytes([mib + 1]) * 65536)
        disk.flush()
    devs[0].fail()
    writer = Writer(vol.path, lambda d: d.write(0, b"a" * 4096))
    failed(vol, events, "@s1")
    vol.confirm("@s1", "OUT")
    ktap.check_eq("goes on", 0, writer.wait())


def finish(vol):
    vol.detach()
    vol.check_stores(["@s2", "@s3"])


def test_written_again():
    """Writes and forced ones that one replica took while the other was lost."""
    with setting() as (vol, devs, events):
        vol.attach()
        lose_last_of_column(vol, devs, events)
        vol.paths["@s2"].fail()
        writers = [
            Writer(vol.path, lambda d: d.write(MIB, b"b" * 8192)),
            Writer(vol.path, lambda d: d.write(3 * MIB + 512, b"c" * 512)),
            Writer(vol.path, lambda d: d.write(9 * MIB, b"d" * 4096)),
            Writer(vol.path, lambda d: d.write(5 * MIB, b"e" * 4096,
                                               os.RWF_DSYNC))]
        vol.wait_link("@s2", "LOST")
        waits(vol, 4)
        ktap.check("none is acknowledged", not any(w.ended()
                                                   for w in writers))
        vol.come_back("@s2")
        ktap.check_eq("all end well", [0] * 4, [w.wait() for w in writers])
        with hcvvol.Disk(vol.path) as disk:
            # Reads ask store 2 first.
            for off, byte in ((MIB, b"b"), (9 * MIB, b"d"), (5 * MIB, b"e")):
                ktap.check_eq(f"byte {off}", byte * 4096, disk.read(off))
            ktap.check_eq("part of a block", b"\4" * 512 + b"c" * 512,
                          disk.read(3 * MIB, 1024))
        finish(vol)


def test_come_and_go():
    """A replica that is lost and comes back, again and again, under load."""
    with setting() as (vol, devs, events):
        vol.attach()
        lose_last_of_column(vol, devs, events)
        stop, errors = threading.Event(), []

        def load(lane):
            turn = 0
            with hcvvol.Disk(vol.path) as disk:
                while not stop.is_set():
                    turn += 1
                    mib = 1 + 2 * (turn % 4)
                    off = mib * MIB + (lane * 8 + turn % 8) * 4096
                    try:
                        disk.write(off, turn.to_bytes(4, "big") * 1024)
                    except OSError as e:
                        errors.append(e)
                        return
        lanes = [threading.Thread(target=load, args=(i,)) for i in range(6)]
        for lane in lanes:
            lane.start()
        try:
            for _ in range(ROUNDS):
                vol.paths["@s2"].fail()
                vol.wait_link("@s2", "LOST")
                vol.come_back("@s2")
        except Exception:
            vol.stop(VOL_FLAGS="FORCE")	# or they would not end
            raise
        finally:
            stop.set()
            for lane in lanes:
                lane.join()
        ktap.check_eq("no error", [], errors)
        finish(vol)


ktap.main(globals())
