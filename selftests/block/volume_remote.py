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
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvremote import CLIENT, RemoteVolume
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


def leases_over(vol):
    """How long until no store counts a lease or an I/O of the volume."""
    begin = time.monotonic()
    for store in vol.names:
        node.fence(store, vol.vol, vol.epoch)
    return time.monotonic() - begin


def test_stop_ends_leases():
    """After a detach nobody has to wait for leases."""
    with setting() as (vol, _):
        for force in (False, True):
            vol.attach()
            with hcvvol.Disk(vol.path) as disk:
                disk.write(0, b"A" * BLOCK)
            leases = [ms for s in vol.names for ms in vol.leases(s)]
            ktap.check("leases are out", min(leases) > 1000, str(leases))
            vol.stop(**({"VOL_FLAGS": "FORCE"} if force else {}))
            hcvtest.wait_for(
                lambda: [0, 0] == [ms for s in vol.names
                                   for ms in vol.leases(s)], 3, "done")
            ktap.check("at once", leases_over(vol) < 2)
            vol.close_stores()


def test_stop_without_an_answer():
    """A store that cannot be told waits the lease out; the stop does not."""
    with setting() as (vol, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"A" * BLOCK)
            fail_link(vol, events, disk, "@s2")
            vol.paths["@s2"].cut()
        begin = time.monotonic()
        vol.stop()
        ktap.check("stops", time.monotonic() - begin < 3)
        ktap.check_eq("local", [0], vol.leases("@s1"))
        ktap.check("remote", vol.leases("@s2")[0] > 0)
        vol.close_stores()


def revoke_others(store, vols):
    """Volumes of the client that are revoked, and stay in its list."""
    for other in vols:
        node.do("STORE_EXTENT_ADD", STORE=store, VOL=other, INDEXES="0")
        node.do("GRANT", STORE=store, VOL=other, EPOCH=1, NODE=CLIENT, COUNT=1)
        node.do("REVOKE", STORE=store, VOL=other, EPOCH=1)

        def freed(v=other):
            try:
                node.do("STORE_EXTENT_DEL", STORE=store, VOL=v)
            except hcvnl.Fail:
                return False
            return True
        hcvtest.wait_for(freed, 10, "drain")


def test_many_revoked():
    """More revoked volumes than a window lists cost the others nothing."""
    with setting(extents=2) as (vol, _):
        vol.attach()
        # All those revocations are events, too: more than a socket holds.
        revoke_others("@s2", [f"@x{i}" for i in range(410)])
        with hcvvol.Disk(vol.path) as disk, hcvvol.Events() as events:
            begin = time.monotonic()
            while time.monotonic() - begin < 6:
                disk.write(0, b"A" * BLOCK)
                time.sleep(0.2)
            ktap.check_eq("in-sync", "INSYNC",
                          vol.link("@s2")["LINK_STATE"])
            ktap.check("lease", vol.link("@s2")["LEASE_MS"] > 1000)
            # The last entry, in the third window.
            vol.edo("REVOKE", STORE="@s2")
            got = events.wait("LINK_FAILED", STORE=uuid_text("@s2"))
            ktap.check_eq("why", errno.ESTALE, got["ERRNO"])
            vol.confirm("@s2", "OUT")
            disk.flush()
        vol.stop()


def test_many_handles():
    """Rows beyond the first chunk of handles, granted while attached."""
    with setting(extents=1, size=1 << 40) as (vol, _):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"A" * BLOCK)
            far = len(vol.rows)
            # Holes in the numbers are as good as rows that are in use.
            while len(vol.rows) < 1500:
                vol.rows.append(None)
            vol.rows.append(vol.names)
            vol.fresh.add(1500)
            for store in vol.names:
                vol.place(store, [1500])
            ktap.check("not yet", not vol_extent_added(vol, 1500))
            for store in vol.names:
                vol.link_add(store, "INSYNC")
            ktap.check("within the handles", vol_extent_added(vol, 1500))
            ktap.check("extents", vol.get()["NR_EXTENTS"] == far + 1)
            for mib in range(250, 260):
                disk.write(mib * MIB, bytes([mib - 200]) * BLOCK)
            disk.flush()
            for mib in range(250, 260):
                ktap.check_eq("read", bytes([mib - 200]) * BLOCK,
                              disk.read(mib * MIB))
        vol.detach()


def vol_extent_added(vol, index):
    try:
        vol.extent_add([index])
    except hcvnl.Fail as e:
        ktap.check_eq(f"refused ({e.text})", errno.ENOENT, e.code)
        return False
    return True


ktap.main(globals())
