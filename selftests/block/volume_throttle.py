#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# TAGS: fast
# MEM: 2560
"""The limit of a resync: kept from the start, changed and lifted half-way; a
resync that is paused."""

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
# HCV_SYNC_PAUSED
PAUSED = 0xFFFFFFFF
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


def finish(vol, events, most_mib=None):
    """Lift the limit; returns how long the rest took."""
    start = time.monotonic()
    vol.edo("VOL_SET", SYNC_KIBPS=0)
    events.wait("SYNC_DONE", 120, STORE=uuid_text("@s2"))
    spent = time.monotonic() - start
    if most_mib:
        ktap.check("nothing was copied twice", copied(vol) <= most_mib * MIB,
                   f"{copied(vol) >> 20} MiB")
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


def paused_half_way(vol):
    """A resync that stands still after some of it; bytes that it has copied."""
    vol.edo("VOL_SET", SYNC_KIBPS=16 * LIMIT_KIBPS)
    vol.link_add("@s2", "SYNCING")
    hcvtest.wait_for(lambda: copied(vol) > 20 * MIB, 60, "20 MiB")
    vol.edo("VOL_SET", SYNC_KIBPS=PAUSED)
    # The piece that is on its way ends.
    hcvtest.wait_for(lambda: rate_kibps(vol) == 0, 30, "a standstill")
    return copied(vol)


def test_pause():
    """Nothing is copied and nothing is lost; what is written goes to both."""
    with stale_replica() as (vol, events):
        had = paused_half_way(vol)
        ktap.check("not all was copied", had < 190 * MIB, f"{had >> 20} MiB")
        ktap.check_eq("still syncing", "SYNCING", vol.link("@s2")["LINK_STATE"])
        writes = vol.link("@s2")["WRITE_IOS"]
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, os.urandom(MIB))
            disk.flush()
        ktap.check("writes go to it", vol.link("@s2")["WRITE_IOS"] > writes)
        ktap.check("a write is no copy", copied(vol) == had)
        finish(vol, events, most_mib=DATA_MIB + 2)


def test_detach_while_paused():
    """A pause holds neither a stop nor its own end up."""
    with stale_replica() as (vol, _events):
        paused_half_way(vol)
        start = time.monotonic()
        vol.detach()
        spent = time.monotonic() - start
        ktap.check("stopped at once", spent < 5, f"{spent:.1f} s")


def test_paused_from_the_start():
    """Nothing of the missed data is copied; a limit lets it go on."""
    with stale_replica() as (vol, events):
        vol.edo("VOL_SET", SYNC_KIBPS=PAUSED)
        vol.link_add("@s2", "SYNCING")
        ktap.check_eq("nothing is copied", 0, rate_kibps(vol))
        ktap.check_eq("nothing at all", 0, copied(vol))
        vol.edo("VOL_SET", SYNC_KIBPS=LIMIT_KIBPS)
        check_rate(vol)
        finish(vol, events)


ktap.main(globals())
