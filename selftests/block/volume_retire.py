#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""Extents of an attached volume go back to the stores: what is idle, what is
retired and settled, what happens to it when the volume ends in between."""

import errno
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvbreak import Writer, bring_back, fill, finish, take_out, verify
from hcvtest import uuid_text
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 2)


class Volume(hcvvol.Volume):
    """Does for extents that go what the agents do.

    gone: indexes without a row
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.gone = set()

    def place(self, store, indexes):
        super().place(store, [i for i in indexes if i not in self.gone])

    def extent_add(self, indexes):
        super().extent_add([i for i in indexes if i not in self.gone])

    def retire(self, count, **attrs):
        self.edo("VOL_EXTENT_RETIRE", COLUMN=0, COUNT=count, **attrs)

    def settled(self, count):
        """Until so many are; returns them, sorted."""
        def there():
            got = self.get()
            return len(got.get("SETTLED", [])) == count and \
                "SETTLING" not in got
        hcvtest.wait_for(there, 10, f"{count} settled extents")
        return sorted(self.get().get("SETTLED", []))

    def forget(self, indexes):
        self.gone |= set(indexes)
        self.edo("VOL_EXTENT_DEL", INDEXES=",".join(map(str, indexes)))

    def withdraw(self, store, indexes):
        def done():
            try:
                self.do("STORE_EXTENT_WITHDRAW", STORE=store,
                        INDEXES=",".join(map(str, indexes)))
            except hcvnl.Fail as e:
                if e.code != errno.EINPROGRESS:
                    raise
                return False
            return True
        hcvtest.wait_for(done, 10, "withdrawal")

    def give_back(self, count):
        """All steps; returns the indexes."""
        self.retire(count)
        gone = self.settled(count)
        self.forget(gone)
        for store in self.names:
            self.withdraw(store, gone)
        return gone

    def on_store(self, store):
        return self.node.extents(store)[uuid_text(self.vol)]


def setting(**attrs):
    return pool.setting(kind=Volume, size=1024 * MIB, **attrs)


def fill_up(disk, mibs):
    for mib in mibs:
        disk.write(mib * MIB, bytes([mib % 251 + 1]) * 4096)


def check_up(disk, mibs):
    bad = [mib for mib in mibs if disk.read(mib * MIB) !=
           bytes([mib % 251 + 1]) * 4096]
    ktap.check_eq("wrong mibs", [], bad)


def idle(vol, count):
    hcvtest.wait_for(lambda: vol.get()["COL_IDLE"] == [count], 10,
                     f"{count} idle extents")


def test_give_back():
    with setting() as (vol, _, _):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill_up(disk, range(3))
            idle(vol, 3)
            vol.retire(2, INDEXES="3")
            gone = vol.settled(2)
            ktap.check_eq("not the one to be kept", [1, 2], gone)
            got = vol.get()
            ktap.check_eq("counts", (4, 4, [1], [1]),
                          (got["NR_EXTENTS"], got["NEXT_INDEX"],
                           got["COL_READY"], got["COL_IDLE"]))
            vol.retire(1, INDEXES="3")
            ktap.check_eq("no more", [1, 2], vol.settled(2))
            ktap.check_eq("in use", errno.EBUSY, ended(
                lambda: vol.edo("VOL_EXTENT_DEL", INDEXES="0")))
            vol.forget(gone)
            vol.forget(gone)
            got = vol.get()
            ktap.check_eq("left", (2, 4, []),
                          (got["NR_EXTENTS"], got["NEXT_INDEX"],
                           got.get("SETTLED", [])))
            fill_up(disk, range(3, 400))
            for store in vol.names:
                vol.withdraw(store, gone)
                vol.withdraw(store, gone)
                ktap.check_eq("on the store", [0, 3], vol.on_store(store))
                ktap.check_eq("used", 2, node.do(
                    "STORE_GET", STORE=store)["NR_EXTENTS_USED"])
            check_up(disk, range(400))
            vol.fresh |= set(gone)
            ktap.check_eq("not used again", errno.EINVAL, ended(
                lambda: hcvvol.Volume.extent_add(vol, gone)))
            vol.grow_extents(2)
            fill_up(disk, range(400, 700))
            disk.flush()
        vol.detach()
        vol.check_stores()
        with vol.attached() as disk:
            check_up(disk, range(700))
        vol.check_stores()


def ended(action):
    try:
        action()
    except hcvnl.Fail as e:
        return e.code
    return 0


def test_idle():
    """Data, and what is being freed, keep an extent."""
    with setting() as (vol, _, _):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill_up(disk, range(1024))
            idle(vol, 0)
            vol.retire(9)
            ktap.check_eq("none", [], vol.settled(0))
            disk.discard(512 * MIB, 512 * MIB)
            disk.flush()
            idle(vol, 2)
            vol.retire(9)
            gone = vol.settled(2)
            fill_up(disk, range(100))
            check_up(disk, range(512))
            ktap.check("discarded", not any(disk.read(600 * MIB)))
            vol.forget(gone)
            for store in vol.names:
                vol.withdraw(store, gone)
            check_up(disk, range(512))
        vol.detach()
        with vol.attached() as disk:
            check_up(disk, range(512))
            ktap.check("discarded", not any(disk.read(600 * MIB, MIB)))
        vol.check_stores()


def test_used_again():
    """A row that stays makes a retired extent usable again."""
    with setting(extents=2) as (vol, _, _):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill_up(disk, range(255))
            vol.retire(1)
            gone = vol.settled(1)
            fill_up(disk, range(255, 256))
            writer = Writer(vol.path, lambda d: fill_up(d, (256,)))
            hcvtest.wait_for(lambda: vol.get()["WAIT"] == "EXTENT", 10,
                             "a wait for an extent")
            vol.extent_add(gone)
            ktap.check_eq("goes on", 0, writer.wait())
            ktap.check_eq("too late", errno.EBUSY, ended(
                lambda: vol.edo("VOL_EXTENT_DEL", INDEXES=str(gone[0]))))
            fill_up(disk, range(257, 500))
            disk.flush()
        finish(vol)
        with vol.attached() as disk:
            check_up(disk, range(500))


def test_end_in_between():
    """The volume is dropped half-way: with the row, and without it."""
    with setting() as (vol, _, _):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill_up(disk, range(800))
            disk.discard(256 * MIB, 544 * MIB)
            disk.flush()
            idle(vol, 3)
            vol.retire(1)
            vol.settled(1)
        vol.stop(VOL_FLAGS="FORCE")
        vol.close_stores()
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            check_up(disk, range(256))
            ktap.check("discarded", not any(disk.read(700 * MIB, MIB)))
            idle(vol, 3)
            fill_up(disk, range(256, 300))
            vol.retire(9)
            gone = vol.settled(2)
        vol.gone |= set(gone)
        vol.stop(VOL_FLAGS="FORCE")
        vol.close_stores()
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            check_up(disk, range(256))
            ktap.check_eq("without them", 2, vol.get()["NR_EXTENTS"])
            for store in vol.names:
                vol.withdraw(store, gone)
            fill_up(disk, range(256, 512))
            check_up(disk, range(512))
        vol.detach()
        vol.check_stores()


def test_resync():
    """Never together with retired extents."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill_up(disk, range(600))
            disk.flush()
        take_out(vol, events, "@s2", devs[1])
        with hcvvol.Disk(vol.path) as disk:
            disk.zeroout(256 * MIB, 344 * MIB)
            disk.flush()
            fill(disk, range(20), 7)
            idle(vol, 3)
            vol.retire(2)
            gone = vol.settled(2)
            devs[1].heal()
            vol.reopen_store("@s2")
            vol.place("@s2", range(4))
            ktap.check_eq("no resync", errno.EBUSY, ended(
                lambda: vol.link_add("@s2", "SYNCING")))
            vol.forget(gone)
            vol.edo("VOL_SET", SYNC_KIBPS=64)
            vol.link_add("@s2", "SYNCING")
            ktap.check_eq("no retirement", errno.EBUSY, ended(
                lambda: vol.retire(1)))
            vol.edo("VOL_SET", SYNC_KIBPS=0)
            events.wait("SYNC_DONE", 60, STORE=uuid_text("@s2"))
            ktap.check_eq("nor now", errno.EBUSY, ended(
                lambda: vol.retire(1)))
            vol.confirm("@s2", "INSYNC")
            for store in vol.names:
                vol.withdraw(store, gone)
            more = vol.give_back(1)
            verify(disk, range(20), 7)
            ktap.check("zero", not any(disk.read(300 * MIB, MIB)))
            ktap.check_eq("on the store", 1, len(vol.on_store("@s2")))
            ktap.check("another one", more[0] not in gone)
        vol.detach()
        vol.check_stores()
        # What the returned copy holds is all there is of the volume.
        take = vol.names[0]
        vol.insync.discard(take)
        with vol.attached() as disk:
            verify(disk, range(20), 7)
            ktap.check("zero", not any(disk.read(300 * MIB, MIB)))


def test_failure_on_the_way():
    """A round that is void settles nothing."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill_up(disk, range(10))
            disk.flush()
            devs[1].fail_writes()
            vol.retire(1)
            events.wait("LINK_FAILED", STORE=uuid_text("@s2"))
            ktap.check_eq("settling", 1, len(vol.get()["SETTLING"]))
            time.sleep(0.5)
            ktap.check_eq("still", 1, len(vol.get()["SETTLING"]))
            ktap.check_eq("no more now", errno.EBUSY, ended(
                lambda: vol.retire(1)))
            vol.confirm("@s2", "OUT")
            vol.forget(vol.settled(1))
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def test_under_load():
    """Extents come and go under writes and discards to the others."""
    with setting(extents=2) as (vol, _, _):
        vol.attach()

        def busy(disk):
            for turn in range(40):
                for mib in range(0, 300, 7):
                    disk.write(mib * MIB + 8192, bytes([turn + 1]) * 4096)
                disk.discard(400 * MIB, MIB)
                disk.flush()
        writers = [Writer(vol.path, busy)]
        with hcvvol.Disk(vol.path) as disk:
            fill_up(disk, range(300))
            turns = 0
            while not all(w.ended() for w in writers) or turns < 4:
                vol.grow_extents(2)
                fill_up(disk, range(500, 800))
                disk.discard(500 * MIB, 300 * MIB)
                disk.flush()
                hcvtest.wait_for(lambda: vol.get()["COL_IDLE"][0] >= 2, 10,
                                 "idle extents")
                vol.give_back(2)
                turns += 1
            ktap.note(f"{turns} times")
            ktap.check_eq("writers", [0], [w.wait() for w in writers])
            check_up(disk, range(300))
            got = [m for m in range(0, 300, 7) if
                   disk.read(m * MIB + 8192) != bytes([40]) * 4096]
            ktap.check_eq("the last turn", [], got)
            ktap.check_eq("extents", 2, vol.get()["NR_EXTENTS"])
            for store in vol.names:
                ktap.check_eq("on the store", 2, len(vol.on_store(store)))
        vol.detach()
        vol.check_stores()


def test_refused():
    with setting(stripe=2) as (vol, _, _):
        vol.prepare()
        node.fails(errno.EBUSY, "not active", "VOL_EXTENT_RETIRE", VOL=vol.vol,
                   EPOCH=vol.epoch, COLUMN=0, COUNT=1)
        vol.edo("VOL_START", V=vol.v)
        for code, text, attrs in (
                (errno.EINVAL, "fewer columns", {"COLUMN": 2, "COUNT": 1}),
                (errno.ERANGE, "", {"COLUMN": 0, "COUNT": 0}),
                (errno.EINVAL, "at most 32", {"COLUMN": 0, "COUNT": 1,
                                              "INDEXES": "0-32"}),
                (errno.EINVAL, "COUNT is missing", {"COLUMN": 0}),
                (errno.ESTALE, "epoch", {"COLUMN": 0, "COUNT": 1,
                                         "EPOCH": vol.epoch + 1})):
            node.fails(code, text, "VOL_EXTENT_RETIRE",
                       **{"VOL": vol.vol, "EPOCH": vol.epoch, **attrs})
        vol.retire(2, READY=2)
        ktap.check_eq("columns", [2, 2], vol.get()["COL_IDLE"])
        node.fails(errno.EINVAL, "INDEXES is missing", "VOL_EXTENT_DEL",
                   VOL=vol.vol, EPOCH=vol.epoch)
        vol.detach()


with pool:
    ktap.main(globals())
