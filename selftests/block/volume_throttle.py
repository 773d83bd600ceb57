#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# TAGS: fast
# MEM: 2560
"""The limit of a resync: kept from the start, changed and lifted half-way."""

import contextlib
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvtest
import hcvvol
import ktap
from hcvbreak import Writer
from hcvtest import uuid_text
from hcvvol import MIB, Volume

SECTORS = hcvvol.STORE_BYTES // 512
DATA_MIB = 200
# A small part of what a slow machine copies.
LIMIT_KIBPS = 1024
# Time over which a rate is taken.
SECONDS = 4
node = hcvtest.Node()


def write_all(disk):
    """Each mib has another content; random bytes for all of them take an
    emulated guest minutes."""
    data = os.urandom(MIB)
    for mib in range(DATA_MIB):
        disk.write(mib * MIB, data[mib:] + data[:mib])


@contextlib.contextmanager
def stale_replica():
    """(volume, events): the second replica is out and misses DATA_MIB."""
    with contextlib.ExitStack() as stack:
        disks = stack.enter_context(hcvvol.ram_disks(2))
        good = f"0 {SECTORS} linear {disks[1]} 0"
        path = hcvtest.dm_create("t1", good)
        stack.callback(hcvtest.dm_remove, "t1")
        vol = Volume(node, [disks[0], path]).format()
        events = stack.enter_context(hcvvol.Events())
        stack.callback(vol.end)
        vol.attach()
        hcvtest.dm_reload("t1", f"0 {SECTORS} error")
        with hcvvol.Disk(vol.path) as disk:
            # The first write waits for the confirmation: not from here.
            writer = Writer(vol.path, write_all)
            events.wait("LINK_FAILED", STORE=uuid_text("@s2"))
            vol.confirm("@s2", "OUT")
            ktap.check_eq("data", 0, writer.wait(120))
            disk.flush()
        hcvtest.dm_reload("t1", good)
        vol.reopen_store("@s2")
        vol.place("@s2", range(4))
        yield vol, events


def copied(vol):
    return vol.link("@s2")["SYNC_COPIED"]


def rate_kibps(vol):
    """What is copied in a second, over some."""
    start, before = time.monotonic(), copied(vol)
    time.sleep(SECONDS)
    return (copied(vol) - before) / 1024 / (time.monotonic() - start)


def check_rate(vol):
    rate = rate_kibps(vol)
    # A window's end may be in it: a chunk more.
    ktap.check("not faster", rate < LIMIT_KIBPS * 1.3, f"{rate:.0f} KiB/s")
    ktap.check("not much slower", rate > LIMIT_KIBPS / 4, f"{rate:.0f} KiB/s")


def finish(vol, events):
    """Lift the limit; returns how long the rest took."""
    start = time.monotonic()
    vol.edo("VOL_SET", SYNC_KIBPS=0)
    events.wait("SYNC_DONE", 120, STORE=uuid_text("@s2"))
    spent = time.monotonic() - start
    vol.confirm("@s2", "INSYNC")
    vol.detach()
    vol.check_stores()
    return spent


def test_limit_from_the_start():
    with stale_replica() as (vol, events):
        vol.edo("VOL_SET", SYNC_KIBPS=LIMIT_KIBPS)
        vol.link_add("@s2", "SYNCING")
        check_rate(vol)
        spent = finish(vol, events)
        ktap.check("faster without a limit", spent <
                   DATA_MIB * 1024 / LIMIT_KIBPS / 2, f"{spent:.1f} s")


def test_limit_half_way():
    """What was copied before the limit was set is not owed."""
    with stale_replica() as (vol, events):
        # Fast, but not so fast that it is over when we look.
        vol.edo("VOL_SET", SYNC_KIBPS=16 * LIMIT_KIBPS)
        vol.link_add("@s2", "SYNCING")
        hcvtest.wait_for(lambda: copied(vol) > 40 * MIB, 60, "40 MiB")
        vol.edo("VOL_SET", SYNC_KIBPS=LIMIT_KIBPS)
        check_rate(vol)
        finish(vol, events)


ktap.main(globals())
