#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 300
# TAGS: soak
# MEM: 2048
"""Replicas behind exports: handles of a link that failed are not used again,
writes that come in late are refused, grants of many handles."""

import contextlib
import errno
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvremote import RemoteVolume
from hcvtest import BLOCK, HANDLE, uuid_text
from hcvvol import MIB

node = hcvtest.Node()


@contextlib.contextmanager
def setting(count=2, remote=("@s2",), **attrs):
    """(volume, events), the volume formatted."""
    with contextlib.ExitStack() as stack:
        disks = stack.enter_context(hcvvol.ram_disks(count))
        vol = RemoteVolume(node, disks, remote, **attrs).format()
        events = stack.enter_context(hcvvol.Events())
        stack.callback(vol.end)
        yield vol, events


def refused(vol, code, text, store, state, **attrs):
    try:
        vol.link_add(store, state, **attrs)
    except hcvnl.Fail as e:
        ktap.check_eq(f"refused ({e.text})", code, e.code)
        ktap.check_match("text", text, e.text)
    else:
        ktap.check("refused", False)


class Late:
    """What an old NVMe controller does: a write of before, sent now."""

    def __init__(self, vol, store, pattern):
        self.export = vol.paths[store].export
        self.addr = None
        first = vol.granted(store)["FIRST"]
        with hcvtest.Device(self.export) as dev:
            for slot in range(256):
                at = (first + 1) * HANDLE + slot * MIB
                if dev.read(at) == pattern:
                    self.addr = at
                    break
        ktap.check("found on the export", self.addr)

    def land(self):
        with hcvtest.Device(self.export) as dev:
            try:
                dev.write(self.addr, b"L" * BLOCK)
            except OSError as e:
                return e.errno
        return 0


def start_write(disk, data):
    thread = threading.Thread(target=disk.write, args=(0, data))
    thread.start()
    return thread


def fail_link(vol, events, disk, store):
    """Cut the path under a write; the removal is confirmed."""
    vol.paths[store].cut()
    writer = start_write(disk, b"B" * BLOCK)
    events.wait("LINK_FAILED", STORE=uuid_text(store))
    vol.confirm(store, "OUT")
    writer.join()
    vol.paths[store].heal()


def test_rejoin_needs_new_handles():
    with setting() as (vol, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"A" * BLOCK)
            disk.flush()
            old = vol.grant("@s2")
            ktap.check_eq("shown", vol.granted("@s2")["FIRST"],
                          vol.link("@s2")["FIRST"])
            late = Late(vol, "@s2", b"A" * BLOCK)
            fail_link(vol, events, disk, "@s2")
            vol.edo("VOL_LINK_DEL", STORE="@s2")
            refused(vol, errno.ESTALE, "renew its grant", "@s2", "SYNCING")
            vol.renewed("@s2")
            refused(vol, errno.ESTALE, "renew its grant", "@s2", "SYNCING",
                    RANGES=old)
            copied = vol.resync(events, "@s2")
            ktap.check("copied", copied >= BLOCK)
            disk.write(0, b"C" * BLOCK)
            disk.flush()
            ktap.check_eq("a late write is refused", errno.EIO, late.land())
            # And once more: each failure needs handles of its own.
            second = vol.grant("@s2")
            fail_link(vol, events, disk, "@s2")
            for ranges in (old, second):
                refused(vol, errno.ESTALE, "renew its grant", "@s2",
                        "SYNCING", RANGES=ranges)
            vol.renewed("@s2")
            vol.resync(events, "@s2")
            ktap.check_eq("newest", b"B" * BLOCK, disk.read(0))
        vol.detach()
        vol.check_stores()


def test_lost_needs_new_handles():
    """The last replica comes back: what was unacknowledged is written anew."""
    with setting(1, ("@s1",)) as (vol, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"A" * BLOCK)
            disk.flush()
            late = Late(vol, "@s1", b"A" * BLOCK)
            vol.paths["@s1"].cut()
            writer = start_write(disk, b"B" * BLOCK)
            vol.wait_link("@s1", "LOST")
            vol.paths["@s1"].heal()
            refused(vol, errno.ESTALE, "renew its grant", "@s1", "INSYNC")
            # Until the store has renewed it may land, and does no harm.
            ktap.check_eq("before the renewal", 0, late.land())
            vol.renewed("@s1")
            ktap.check_eq("after the renewal", errno.EIO, late.land())
            vol.link_add("@s1", "INSYNC")
            writer.join()
            ktap.check_eq("written anew", b"B" * BLOCK, disk.read(0))
            disk.flush()
        vol.detach()
        vol.check_stores()


def test_renewed_under_a_live_link():
    """A renewal that nobody should have asked for fails the link, no more."""
    with setting() as (vol, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"A" * BLOCK)
            vol.renewed("@s2")
            refused(vol, errno.ESTALE, "tied anew", "@s2", "INSYNC")
            fail_link(vol, events, disk, "@s2")
            vol.renewed("@s2")
            vol.resync(events, "@s2")
            ktap.check_eq("newest", b"B" * BLOCK, disk.read(0))
        vol.detach()
        vol.check_stores()


ktap.main(globals())
