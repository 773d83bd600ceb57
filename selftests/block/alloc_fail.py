#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 450
# KVER: debug
# MEM: 2048
# ALLOW: kmemleak: Cannot allocate a scan area -- it scans the whole object
"""Allocation failures: each command fails cleanly at its first, second...
allocation and works afterwards."""

import contextlib
import errno
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvfault
import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvvol import MIB, Volume

node = hcvtest.Node()
MOST = 2000			# allocations of one command
CLEAN = (errno.ENOMEM,)


def numbers():
    """Each at first; where there are many of a kind, some of them."""
    n = 1
    while n < MOST:
        yield n
        n += 1 if n < 40 else n // 6
    raise AssertionError(f"more than {MOST} allocations")


def sweep(faults, what, action, undo, failed=None, clean=CLEAN):
    """action() with each of its allocations failing; then it must work.

    undo() follows each success, failed() each failure before action() is
    repeated.
    """
    counts = {}
    for n in numbers():
        error, hit = faults.nth(n, action)
        name = "success"
        if error:
            if not isinstance(error, hcvnl.Fail):
                raise error
            name = errno.errorcode[error.code]
            ktap.check(f"{what}: clean error at {n}", hit and
                       error.code in clean, f"{name} {error.text}")
            if failed:
                failed()
            action()
        undo()
        if not hit:
            ktap.check(f"{what}: allocates", counts)
            break
        counts[name] = counts.get(name, 0) + 1
    ktap.note(f"{what}: {n - 1} allocations, " +
              ", ".join(f"{v} {k}" for k, v in counts.items()))


@contextlib.contextmanager
def setting(count=2, **attrs):
    """(volume, faults), the volume formatted."""
    hcvfault.need()
    with hcvvol.ram_disks(count) as devs:
        vol = Volume(node, devs, epoch=1, **attrs).format()
        try:
            with hcvfault.Faults(reject="brd") as faults:
                yield vol, faults
        finally:
            vol.end()


def test_store():
    with setting(1) as (vol, faults):
        sweep(faults, "STORE_OPEN", lambda: vol.open_store("@s1"),
              vol.close_stores,
              lambda: ktap.check_eq("no store", [], node.dump("STORE_GET")))
        vol.open_store("@s1")
        sweep(faults, "STORE_EXTENT_ADD",
              lambda: vol.place("@s1", range(3)),
              lambda: vol.do("STORE_EXTENT_DEL", STORE="@s1"))
        sweep(faults, "STORE_CLOSE", lambda: vol.try_close("@s1"),
              lambda: vol.open_store("@s1"))
        sweep(faults, "STORE_GET", lambda: node.do("STORE_GET", STORE="@s1"),
              lambda: None)


def test_gate():
    with setting(1) as (vol, faults):
        vol.open_store("@s1")
        vol.place("@s1", range(3))
        sweep(faults, "EXPORT_ADD",
              lambda: node.do("EXPORT_ADD", STORE="@s1", NODE="@n2"),
              lambda: node.do("EXPORT_DEL", STORE="@s1", NODE="@n2"),
              lambda: ktap.check_eq("no export", [],
                                    node.dump("EXPORT_GET")))

        def new_epoch():
            vol.epoch += 1
            node.fence("@s1", vol.vol, vol.epoch)
            vol.epoch += 1
        sweep(faults, "GRANT", lambda: vol.grant("@s1"), new_epoch)
        vol.grant("@s1")
        sweep(faults, "REVOKE",
              lambda: vol.edo("REVOKE", STORE="@s1"), lambda: None)


def test_events():
    """Who listens learns of each event, or that one was lost."""
    with setting(1) as (vol, faults), hcvvol.Events() as events:
        vol.open_store("@s1")
        vol.place("@s1", range(1))

        def told():
            before = events.lost
            hcvtest.wait_for(lambda: events.poll(0.05) or
                             events.lost > before or events.seen, 10,
                             "event or word of its loss")
            events.seen.clear()
            vol.epoch += 1
            vol.grant("@s1")
        vol.grant("@s1")
        sweep(faults, "REVOKE with a listener",
              lambda: vol.edo("REVOKE", STORE="@s1"), told)
        ktap.check("some were lost", events.lost)


def end(vol):
    vol.end()
    hcvtest.wait_for(lambda: not node.dump("VOL_GET"), 20, "no volume")


def test_create():
    with setting() as (vol, faults):
        sweep(faults, "VOL_CREATE", vol.create, lambda: end(vol),
              lambda: ktap.check_eq("no volume", [], node.dump("VOL_GET")))
        for queue in ("MQ", "BIO"):
            vol.queue = queue
            sweep(faults, f"VOL_CREATE PREPARED {queue}",
                  lambda: vol.create(VOL_FLAGS="PREPARED"),
                  lambda: end(vol), lambda: ktap.check_eq(
                      "no volume", [], node.dump("VOL_GET")))


def test_link_add():
    with setting() as (vol, faults):
        vol.open_store("@s1")
        vol.place("@s1", range(4))
        vol.create()

        def again():
            vol.stop(VOL_FLAGS="FORCE")
            hcvtest.wait_for(lambda: not node.dump("VOL_GET"), 20, "end")
            vol.edo("REVOKE", STORE="@s1")
            vol.epoch += 1
            vol.create()
        sweep(faults, "VOL_LINK_ADD",
              lambda: vol.link_add("@s1", "INSYNC"), again)


def prepare(vol):
    """Up to the links; the extents and the start are to follow."""
    vol.epoch += 1
    vol.v += 1
    for store in vol.names:
        vol.open_store(store)
        vol.place(store, range(len(vol.rows)))
    vol.create()
    for store in vol.names:
        vol.link_add(store, "INSYNC")


def test_extent_add():
    with setting() as (vol, faults):
        def fresh():
            vol.fresh = set(range(len(vol.rows)))

        def again():
            end(vol)
            fresh()
            prepare(vol)
        prepare(vol)
        sweep(faults, "VOL_EXTENT_ADD",
              lambda: vol.extent_add(range(4)), again, fresh)


def test_start():
    with setting() as (vol, faults):
        with vol.attached() as disk:
            for mib in range(0, 40, 3):
                disk.write(mib * MIB + 4096 * mib, bytes([mib + 1]) * 8192)

        def check_and_prepare():
            with hcvvol.Disk(vol.path) as disk:
                for mib in (0, 39):
                    ktap.check_eq("data", bytes([mib + 1]) * 8192,
                                  disk.read(mib * MIB + 4096 * mib, 8192))
            vol.detach()
            vol.prepare()

        def failed():
            ktap.check_eq("state", "FENCED", vol.get()["VOL_STATE"])
            ktap.check("no disk", not os.path.exists(
                f"/sys/block/{os.path.basename(vol.path)}"))
            end(vol)
            vol.prepare()
        for queue in ("MQ", "BIO"):
            vol.queue = queue
            vol.prepare()
            # EINVAL: device_add() of a disk whose name was not allocated,
            # which device_add_disk() does not look at.
            sweep(faults, f"VOL_START {queue}",
                  lambda: vol.edo("VOL_START", V=vol.v), check_and_prepare,
                  failed, (errno.ENOMEM, errno.EIO, errno.EINVAL))
            end(vol)


def test_running():
    """Commands to a volume that is at work."""
    with setting(extents=1, size=8 * MIB) as (vol, faults):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(MIB, b"r" * 4096)

            def larger():
                vol.size += 1024 * MIB
            larger()
            sweep(faults, "VOL_SET SIZE",
                  lambda: vol.edo("VOL_SET", SIZE=vol.size), larger)
            ktap.check_eq("size", vol.get()["SIZE"], disk.size())
            names = iter(f"n{i}" for i in range(MOST))
            sweep(faults, "VOL_SET NAME",
                  lambda: vol.edo("VOL_SET", NAME=next(names)), lambda: None)

            def resume():
                sweep(faults, "VOL_RESUME", lambda: vol.edo("VOL_RESUME"),
                      lambda: vol.edo("VOL_SUSPEND"))
                vol.edo("VOL_RESUME")
            sweep(faults, "VOL_SUSPEND", lambda: vol.edo("VOL_SUSPEND"),
                  lambda: vol.edo("VOL_RESUME"))
            disk.write(2 * MIB, b"r" * 4096)
            with faults.some(100):
                ktap.check_raises("suspend without any memory", hcvnl.Fail,
                                  lambda: vol.edo("VOL_SUSPEND"))
            ktap.check_eq("goes on", "ACTIVE", vol.get()["VOL_STATE"])
            vol.edo("VOL_SUSPEND")
            resume()

            def scrubbed():
                vol.edo("VOL_SCRUB", SCRUB_OP="STOP")
                hcvtest.wait_for(
                    lambda: vol.get()["SCRUB"][0]["SCRUB_STATE"] in
                    ("DONE", "STOPPED"), 30, "the end of a scrub")
            sweep(faults, "VOL_SCRUB",
                  lambda: vol.edo("VOL_SCRUB", SCRUB_OP="START"), scrubbed)
            sweep(faults, "VOL_SUSPEND HANDOVER",
                  lambda: vol.edo("VOL_SUSPEND", VOL_FLAGS="HANDOVER"),
                  lambda: vol.edo("VOL_RESUME"),
                  lambda: ktap.check_eq("goes on", "ACTIVE",
                                        vol.get()["VOL_STATE"]))
            sweep(faults, "VOL_GET", vol.get, lambda: None)
            ktap.check_eq("data", b"r" * 4096, disk.read(MIB))

        def again():
            vol.close_stores()
            vol.attach()
        sweep(faults, "VOL_STOP", vol.stop, again)

        def again_halted():
            again()
            vol.edo("VOL_SUSPEND", VOL_FLAGS="HANDOVER")
        vol.edo("VOL_SUSPEND", VOL_FLAGS="HANDOVER")
        sweep(faults, "VOL_STOP HANDOVER",
              lambda: vol.stop(VOL_FLAGS="HANDOVER"), again_halted)
        vol.detach()
        vol.check_stores()


def patient(action):
    """action()'s answer, or True; None: no memory for it."""
    try:
        return action() or True
    except hcvnl.Fail as e:
        if e.code != errno.ENOMEM:
            raise
        return None


def test_temporary():
    """A temporary replica: either it is tied or nothing of it is left."""
    with setting(3, extents=1, replicas=2) as (vol, faults), \
            hcvvol.Events() as events:
        vol.insync = {"@s1", "@s2"}
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            disk.write(MIB, b"t" * 8192)
        vol.edo("VOL_LINK_DROP", STORE="@s2")
        vol.wait_link("@s2", "FAILING")
        since = vol.v
        vol.confirm("@s2", "OUT")
        vol.open_store("@s3")
        vol.do("STORE_EXTENT_ADD", STORE="@s3", INDEXES="0")

        def add():
            vol.link_add("@s3", "SYNCING", LINK_FLAGS="TEMP", BASE="@s2",
                         SINCE=since)

        def leave():
            events.wait("SYNC_DONE", 60, STORE=hcvtest.uuid_text("@s3"))
            vol.confirm("@s3", "OUT")
            vol.reopen_store("@s3")
        sweep(faults, "VOL_LINK_ADD TEMP", add, leave,
              lambda: ktap.check_eq("no link", None, vol.link("@s3")))
        vol.detach()


def test_resync():
    with setting() as (vol, faults), hcvvol.Events() as events:
        vol.insync = {"@s1"}
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            for mib in range(4):
                disk.write(mib * MIB, bytes([mib + 1]) * 8192)
        vol.open_store("@s2")
        vol.place("@s2", range(4))

        def leave():
            events.wait("SYNC_DONE", 60, STORE=hcvtest.uuid_text("@s2"))
            vol.confirm("@s2", "OUT")
            vol.reopen_store("@s2")
        sweep(faults, "VOL_LINK_ADD SYNCING",
              lambda: vol.link_add("@s2", "SYNCING"), leave)
        # The copy's own allocations: it goes on when there is memory.
        for mib in range(4, 36, 4):
            with hcvvol.Disk(vol.path) as disk:
                for i in range(mib, mib + 4):
                    disk.write(i * MIB, bytes([i]) * 8192)
            vol.place("@s2", range(4))
            with faults.some(10):
                hcvtest.wait_for(lambda: patient(
                    lambda: vol.link_add("@s2", "SYNCING")), 20, "link")
                hcvtest.wait_for(lambda: patient(
                    lambda: vol.link("@s2")["LINK_STATE"]) == "JOINING", 20,
                    "equal copy")
            vol.confirm("@s2", "OUT")
            vol.reopen_store("@s2")
        events.poll()
        events.seen.clear()
        vol.resync(events, "@s2")
        vol.detach()
        vol.check_stores()


def test_nothing_lost():
    """What all of this left behind; the module goes first."""
    hcvfault.need()
    hcvtest.unload_module()
    leaks = Path("/sys/kernel/debug/kmemleak")
    # Objects that a first scan misses may just have moved.
    leaks.write_text("scan")
    leaks.write_text("scan")
    ktap.check_eq("leaks", "", leaks.read_text())
    node.__init__()


ktap.main(globals())
