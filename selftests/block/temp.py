#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1200
# MEM: 2048
"""A temporary replica: @s2 is lost, @s3 stands in for it. Whatever happens,
@s2 as it was left and @s3 together are what @s1 is, and it needs no more than
what @s2 lacks."""

import contextlib
import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import Writer, failed, fill, no_autocommit, take_out, waits
from hcvtest import uuid_text
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 3)
DIV = int(os.environ.get("HCV_SIZE_DIV", "1"))
SLOW = 16		# KiB/s: minutes for each mib of data


class Lone:
    """Rows on the first two stores; the third one is spare."""

    def __init__(self, *args, size=64 * MIB, extents=1, **attrs):
        super().__init__(*args, size=size, extents=extents, replicas=2,
                         **attrs)
        self.insync = {"@s1", "@s2"}
        self.since = 0

    def _row(self, _):
        return ["@s1", "@s2"]

    def row_text(self, index):
        """Full on all of its stores, as the agent writes rows."""
        counts, self.insync = self.insync, set(self.names)
        try:
            return super().row_text(index)
        finally:
            self.insync = counts

    def lose(self, events, dev):
        """@s2 is gone, having all up to what it is stale for."""
        self.since = self.v
        take_out(self, events, "@s2", dev)

    def temp_place(self):
        """What it had before is gone: it starts from nothing."""
        if "@s3" not in self.incarnation:
            self.open_store("@s3")
        self.do("STORE_EXTENT_ADD", STORE="@s3",
                INDEXES=f"0-{len(self.rows) - 1}")

    def temp_add(self, **attrs):
        attrs = {"LINK_FLAGS": "TEMP", "BASE": "@s2", "SINCE": self.since,
                 **attrs}
        self.v += 1		# as the record's does
        self.link_add("@s3", "SYNCING", **attrs)

    def temp_filled(self, events, busy=False):
        """Filled, and it counts; returns the link. @busy: what was to be
        filled may be gone, or written, meanwhile."""
        events.wait("SYNC_DONE", 60, STORE=uuid_text("@s3"))
        link = self.link("@s3")
        ktap.check_eq("filled", "JOINING", link["LINK_STATE"])
        if not busy:
            ktap.check_eq("all of it", link["SYNC_TOTAL"], link["SYNC_DONE"])
        ktap.check_eq("flags", flags("TEMP", "NAMED"), link["LINK_FLAGS"])
        return link

    def mark(self):
        """The record has the mark, and the module hears of it."""
        self.confirm("@s3", "INSYNC")
        self.insync.discard("@s3")
        link = self.link("@s3")
        ktap.check_eq("stays", "JOINING", link["LINK_STATE"])
        ktap.check_eq("flags", flags("TEMP", "NAMED", "COVERS"),
                      link["LINK_FLAGS"])

    def temp(self, events, busy=False):
        """From nothing to the mark; returns the bytes copied."""
        self.temp_place()
        events.forget("SYNC_DONE")
        self.temp_add()
        copied = self.temp_filled(events, busy)["SYNC_COPIED"]
        self.mark()
        return copied

    def read(self, *args):
        """What stores have that nobody has open."""
        got = subprocess.run(["hcivol-inspect", "read", *args, "--volume",
                              uuid_text(self.vol)], check=False,
                             capture_output=True)
        if got.returncode:
            raise RuntimeError(got.stderr.decode())
        return got.stdout

    def read_pair(self):
        """@s2 and @s3 together."""
        return self.read(self.devs[1], self.devs[2], "--pair")

    def content(self, *args):
        """The same, in short."""
        return hashlib.sha256(self.read(*args)).hexdigest()

    def check_pair(self, same=True):
        """@s2 and @s3 together are what @s1 is."""
        a, base, temp = self.devs
        want = self.content(a)
        got = self.content(base, temp, "--pair")
        ktap.check("the pair is complete", (got == want) == same,
                   f"{got} {want}")

    def end_and_check(self, devs):
        """A clean end."""
        self.detach()
        for dev in devs:
            dev.heal()
        hcvtest.run("hcivol-inspect", "check", self.devs[0], self.devs[2],
                    "--data")
        hcvtest.run("hcivol-inspect", "check", self.devs[1], self.devs[2],
                    "--pair")
        self.check_pair()


class Volume(Lone, hcvvol.Volume):
    """All stores are this node's."""


class Remote(Lone, hcvbreak.RemoteVolume):
    """The spare one is another node's."""


def flags(*names):
    """The number of them."""
    known = node.client.codec.uapi.names("LINK_FLAGS")
    return "|".join(sorted(names, key=lambda n: known[n]))


@contextlib.contextmanager
def setting(kind=Volume, **attrs):
    with pool.setting(3, kind=kind, **attrs) as got:
        yield got


@contextlib.contextmanager
def left_alone(mibs=8, **attrs):
    """@s1 is alone; all have the first mibs, and @s2 lacks of them what
    take_out() has written to mib 0."""
    with setting(**attrs) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            for mib in range(mibs):
                disk.write(mib * MIB, bytes([mib + 1]) * MIB)
            disk.flush()
        vol.lose(events, devs[1])
        yield vol, devs, events


def all_kinds(disk, byte):
    """Each kind of change, in slots of before and in new ones."""
    disk.write(2 * MIB + 8192, bytes([byte]) * 4096)
    disk.write(3 * MIB + 512, bytes([byte + 1]) * 512)
    disk.zeroout(4 * MIB + 4096, 32768)
    disk.zeroout(4 * MIB + 65536 + 512, 8192)
    disk.discard(5 * MIB + 12288, 8192)
    disk.discard(6 * MIB, MIB)
    disk.write(20 * MIB + 4096 * byte, bytes([byte + 2]) * 8192)
    disk.zeroout(21 * MIB, MIB)
    disk.write(22 * MIB, bytes([byte + 3]) * MIB)
    disk.discard(22 * MIB, MIB)
    disk.flush()


def test_from_nothing_to_the_mark():
    """It is filled with what the base lacks, and gets all that is written."""
    with left_alone() as (vol, devs, events):
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 50)
            ktap.check_eq("copied", 2 * MIB, vol.temp(events))
            all_kinds(disk, 60)
            link = vol.link("@s3")
            ktap.check_eq("reads", 0, link["READ_IOS"])
            # 0, 1 and 20 whole, and what was written of 2 to 5.
            ktap.check_eq("held", 3 * 256 + 1 + 1 + 11 + 2, link["HELD"])
            ktap.check_eq("base", uuid_text("@s2"), link["BASE"])
            ktap.check_eq("since", vol.since, link["SINCE"])
        vol.end_and_check(devs)


def refused(code, text, vol, **attrs):
    attrs = {"STORE": "@s3", "LINK_STATE": "SYNCING", "LINK_FLAGS": "TEMP",
             "BASE": "@s2", "SINCE": vol.since, "RANGES": vol.grant("@s3"),
             "INCARNATION": vol.incarnation["@s3"], **attrs}
    attrs = {key: val for key, val in attrs.items() if val is not None}
    node.fails(code, text, "VOL_LINK_ADD", VOL=vol.vol, EPOCH=vol.epoch,
               **attrs)


def test_refusals():
    """Only for a store that is out, one at a time, beside the rows."""
    with left_alone(1) as (vol, _, events):
        vol.open_store("@s3")
        vol.do("STORE_EXTENT_ADD", STORE="@s3", INDEXES="7")
        refused(errno.ENOENT, "not within the handles", vol)
        vol.temp_place()
        ktap.check("feature", node.do("MODULE_GET")["FEATURES"] & 4)
        for since in (0, vol.v, vol.v + 1):
            refused(errno.EINVAL, "SINCE", vol, SINCE=since)
        refused(errno.EINVAL, "has BASE and SINCE", vol, BASE=None)
        refused(errno.EINVAL, "has BASE and SINCE", vol, SINCE=None)
        refused(errno.EINVAL, "has BASE and SINCE", vol,
                LINK_FLAGS="TEMP|FULL")
        refused(errno.EINVAL, "has BASE and SINCE", vol, LINK_STATE="INSYNC")
        refused(errno.EINVAL, "of a link with the flag", vol, LINK_FLAGS=0)
        refused(errno.EINVAL, "", vol, LINK_FLAGS="TEMP|COVERS")
        refused(errno.EINVAL, "another store", vol, BASE="@s3")
        refused(errno.EINVAL, "another store", vol, BASE="@nobody")
        refused(errno.EBUSY, "takes part", vol, BASE="@s1")
        # A base that has nothing in full.
        whole = vol.row_text(0)
        index, column, _, stores = whole.split(":")
        vol.edo("VOL_EXTENT_ADD", EXTENTS=f"{index}:{column}:1:{stores}")
        refused(errno.EINVAL, "in full", vol)
        vol.edo("VOL_EXTENT_ADD", EXTENTS=whole)
        # One whose store rows name.
        vol.rows.append(["@s1", "@s3"])
        vol.fresh.add(1)
        for store in ("@s1", "@s3"):
            vol.place(store, [1])
            vol.grant(store)
        vol.extent_add([1])
        refused(errno.EBUSY, "names the store", vol)
        vol.edo("VOL_SUSPEND")
        refused(errno.EBUSY, "suspended", vol)
        vol.edo("VOL_RESUME")
        ktap.check_eq("nothing is left of it", None, vol.link("@s3"))
        # It may still become a copy like any.
        vol.rows[1] = ["@s1", "@s3"]
        vol.resync(events, "@s3")
        vol.detach()


def test_without_a_log():
    """Nobody could say in what the pair differs."""
    with left_alone(1, VOL_FLAGS=0) as (vol, _, _):
        vol.temp_place()
        refused(errno.EOPNOTSUPP, "activity log", vol)


def test_one_at_a_time():
    """It may be repeated; another one has to wait until it is deleted."""
    with left_alone(1) as (vol, devs, events):
        vol.temp(events)
        refused(errno.EBUSY, "tied to the volume already", vol)
        refused(errno.EBUSY, "tied to the volume already", vol,
                LINK_STATE="JOINING", SINCE=vol.since - 1)
        vol.link_add("@s3", "JOINING", LINK_FLAGS="TEMP", BASE="@s2",
                     SINCE=vol.since)
        # Another incarnation's word is not for this one.
        node.fails(errno.ESTALE, "", "VOL_CONFIRM", VOL=vol.vol,
                   EPOCH=vol.epoch, V=vol.v, STORE="@s3",
                   INCARNATION=vol.incarnation["@s3"] + 1, LINK_STATE="INSYNC")
        vol.mark()
        vol.end_and_check(devs)


def gone(vol):
    """The record has let go of it, then its store of its extents."""
    vol.confirm("@s3", "OUT")
    vol.edo("VOL_LINK_DEL", STORE="@s3")
    ktap.check_eq("gone", None, vol.link("@s3"))
    vol.edo("REVOKE", STORE="@s3")
    hcvtest.wait_for(lambda: vol.try_close("@s3"), 20, "end of @s3")
    vol.open_store("@s3")
    vol.do("STORE_EXTENT_DEL", STORE="@s3")


def test_failures():
    """Whatever it refuses, a write, a page, a FLUSH, the log: nothing is
    acknowledged until it is out; the next one begins from nothing."""
    def write(disk):
        disk.write(2 * MIB, b"w" * 4096)

    def flush(disk):
        disk.write(3 * MIB, b"f" * 4096)
        disk.flush()

    def miss(disk):
        disk.write(30 * MIB, b"m" * 4096)
    with no_autocommit(), left_alone() as (vol, devs, events):
        data = hcvtest.read_super(devs[2].disk)["data_off"] // 512
        for name, action, what in (
                ("data", write, lambda d: d.refuse_writes(*d.slot(2))),
                ("page", flush, lambda d: d.refuse_writes(8, data - 8)),
                ("flush", flush, lambda d: d.fail_flush()),
                ("log", miss, lambda d: d.refuse_writes(8, data - 8)),
                ("all", write, lambda d: d.fail()),
                ("gate", write, lambda d: vol.edo("REVOKE", STORE="@s3"))):
            ktap.note(name)
            vol.temp(events)
            what(devs[2])
            writer = Writer(vol.path, action)
            failed(vol, events, "@s3")
            ktap.check(f"{name}: not acknowledged", not writer.ended())
            devs[2].heal()
            gone(vol)
            ktap.check_eq(f"{name}: acknowledged", 0, writer.wait())
        vol.temp(events)
        with hcvvol.Disk(vol.path) as disk:
            all_kinds(disk, 70)
        vol.end_and_check(devs)


def test_failure_while_it_is_filled():
    """It goes like any; the next one gets all that the base lacks."""
    with left_alone() as (vol, devs, events):
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(1, 8), 40)
        vol.edo("VOL_SET", SYNC_KIBPS=SLOW)
        vol.temp_place()
        vol.temp_add()
        hcvtest.wait_for(lambda: vol.link("@s3")["SYNC_COPIED"], 10,
                         "something copied")
        link = vol.link("@s3")
        ktap.check_eq("to be filled", 8 * MIB, link["SYNC_TOTAL"])
        ktap.check_eq("pages", flags("TEMP", "NAMED"), link["LINK_FLAGS"])
        node.fails(errno.EBUSY, "", "VOL_CONFIRM", VOL=vol.vol,
                   EPOCH=vol.epoch, V=vol.v, STORE="@s3", LINK_STATE="INSYNC",
                   INCARNATION=vol.incarnation["@s3"])
        devs[2].fail()
        writer = Writer(vol.path, lambda d: d.write(0, b"w" * 4096))
        failed(vol, events, "@s3")
        devs[2].heal()
        gone(vol)
        ktap.check_eq("the write", 0, writer.wait())
        vol.edo("VOL_SET", SYNC_KIBPS=0)
        ktap.check_eq("copied", 8 * MIB, vol.temp(events))
        vol.end_and_check(devs)


def test_ends_while_it_is_filled():
    """A suspension holds it, a stop ends it, by force as well."""
    for end in ({}, {"VOL_FLAGS": "FORCE"}):
        with left_alone() as (vol, _, _):
            with hcvvol.Disk(vol.path) as disk:
                fill(disk, range(1, 8), 40)
            vol.edo("VOL_SET", SYNC_KIBPS=SLOW)
            vol.temp_place()
            vol.temp_add()
            hcvtest.wait_for(lambda: vol.link("@s3")["SYNC_COPIED"], 10,
                             "something copied")
            vol.edo("VOL_SUSPEND")
            vol.edo("VOL_RESUME")
            vol.stop(**end)
            vol.close_stores()


def test_unclean_end():
    """The owner is gone: what was flushed is in the pair, too."""
    with no_autocommit(), left_alone() as (vol, devs, events):
        vol.temp(events)
        with hcvvol.Disk(vol.path) as disk:
            for turn in range(3):
                all_kinds(disk, 80 + 7 * turn)
        vol.stop(VOL_FLAGS="FORCE")
        vol.close_stores()
        devs[1].heal()
        vol.check_pair()


def test_growth():
    """An extent that the base gets is here from the beginning; one that it does
    not get, or gives up, is not."""
    with left_alone(4, size=600 * MIB) as (vol, devs, events):
        vol.temp(events)
        vol.rows += [["@s1", "@s2"], ["@s1"]]
        vol.fresh |= {1, 2}
        vol.place("@s1", [1, 2])
        vol.grant("@s1")
        node.fails(errno.ENOENT, "temporary replica", "VOL_EXTENT_ADD",
                   VOL=vol.vol, EPOCH=vol.epoch, EXTENTS=vol.row_text(1))
        vol.do("STORE_EXTENT_ADD", STORE="@s3", INDEXES="1-2")
        vol.link_add("@s3", "JOINING", LINK_FLAGS="TEMP", BASE="@s2",
                     SINCE=vol.since)
        vol.extent_add([1, 2])
        # Its base cannot get more of what is there without it.
        vol.rows[2] = ["@s1", "@s2"]
        node.fails(errno.EINVAL, "a row that changes", "VOL_EXTENT_ADD",
                   VOL=vol.vol, EPOCH=vol.epoch, EXTENTS=vol.row_text(2))
        vol.rows[2] = ["@s1"]
        with hcvvol.Disk(vol.path) as disk:
            # 252 slots, 256 slots, and a few in what it has not got.
            for mib in range(4, 520):
                disk.write(mib * MIB, bytes([mib % 251]) * 4096)
            disk.flush()
        ktap.check_eq("held", 256 * (1 + 252 + 256), vol.link("@s3")["HELD"])
        vol.rows[1] = ["@s1"]
        vol.edo("VOL_EXTENT_ADD", EXTENTS=vol.row_text(1))
        with hcvvol.Disk(vol.path) as disk:
            disk.write(300 * MIB, b"x" * 4096)
            disk.flush()
        ktap.check_eq("goes on", "JOINING", vol.link("@s3")["LINK_STATE"])
        vol.detach()


def test_the_base_returns():
    """It is resynced beside it, and fails there; then it is complete, and the
    temporary replica goes."""
    with left_alone() as (vol, devs, events):
        vol.temp(events)
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1, 2, 9), 33)
        devs[1].heal()
        vol.edo("VOL_SET", SYNC_KIBPS=SLOW)
        vol.reopen_store("@s2")
        vol.place("@s2", [0])
        vol.link_add("@s2", "SYNCING")
        hcvtest.wait_for(lambda: vol.link("@s2")["SYNC_COPIED"], 10,
                         "something copied")
        with hcvvol.Disk(vol.path) as disk:
            all_kinds(disk, 100)
            devs[1].fail()
            writer = Writer(vol.path, lambda d: fill(d, (3,), 34))
            failed(vol, events, "@s2")
            vol.confirm("@s2", "OUT")
            ktap.check_eq("the write", 0, writer.wait())
            all_kinds(disk, 110)
        vol.stop(VOL_FLAGS="FORCE")
        vol.close_stores()
        devs[1].heal()
        # Although the base is neither what it was nor what it is to be.
        vol.check_pair()
        vol.attach()
        vol.open_store("@s2")
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (4,), 35)
        vol.open_store("@s3")
        vol.do("STORE_EXTENT_DEL", STORE="@s3")
        vol.since = vol.v - 1
        vol.temp(events)
        vol.resync(events, "@s2")
        gone(vol)
        vol.detach()
        vol.check_stores()


def test_a_write_from_before():
    """What has no leg to it is waited for, and copied."""
    with no_autocommit(), left_alone() as (vol, devs, events):
        with hcvvol.Disk(vol.path) as disk:
            disk.write(5 * MIB, b"n" * 4096)	# named
            disk.flush()
        vol.temp_place()
        devs[0].hold_data(*devs[0].slot(5))
        writer = Writer(vol.path, lambda d: d.write(5 * MIB + 65536,
                                                    b"b" * 4096))
        hcvtest.wait_for(lambda: devs[0].held()[1], 20, "a write that is out")
        vol.temp_add()
        after = Writer(vol.path, lambda d: d.write(6 * MIB, b"a" * 4096))
        ktap.check_eq("one after it", 0, after.wait())
        link = vol.link("@s3")
        ktap.check_eq("not begun", ("SYNCING", 0, flags("TEMP")),
                      (link["LINK_STATE"], link["SYNC_TOTAL"],
                       link["LINK_FLAGS"]))
        devs[0].heal()
        ktap.check_eq("the write", 0, writer.wait())
        # Mibs 0, 5 and 6.
        ktap.check_eq("copied", 3 * MIB, vol.temp_filled(events)["SYNC_COPIED"])
        vol.mark()
        vol.end_and_check(devs)


def test_on_another_node():
    """By handles and leases: one that cannot be reached holds reads and
    acknowledgments up until the record has let go of it."""
    with left_alone(kind=Remote, remote=("@s3",)) as (vol, devs, events):
        vol.temp(events)
        with hcvvol.Disk(vol.path) as disk:
            all_kinds(disk, 120)
        path = vol.paths["@s3"]
        path.suspend()
        failed(vol, events, "@s3")
        hcvtest.wait_for(lambda: not vol.link("@s3")["LEASE_MS"], 20,
                         "end of its lease")
        reader = Writer(vol.path, lambda d: d.read(2 * MIB))
        waits(vol, 1, "LEASE")
        vol.confirm("@s3", "OUT")
        ktap.check_eq("the read", 0, reader.wait())
        path.resume()
        vol.edo("VOL_LINK_DEL", STORE="@s3")
        hcvtest.wait_for(lambda: vol.try_close("@s3"), 30, "end of @s3")
        del vol.incarnation["@s3"]
        vol.open_store("@s3")
        vol.do("STORE_EXTENT_DEL", STORE="@s3")
        vol.temp(events)
        with hcvvol.Disk(vol.path) as disk:
            all_kinds(disk, 130)
        vol.end_and_check(devs)


def test_refused_by_the_last():
    """What @s1's disk refuses is an error. The temporary replica, which took it,
    has what that disk has; if nobody knows what that is it goes."""
    def refused(*mibs):
        for mib in mibs:
            ktap.check_eq(f"mib {mib}", errno.EIO, Writer(
                vol.path, lambda d, m=mib: fill(d, (m,), 77)).wait())
    # A disk that refuses writes refuses FLUSH.
    with no_autocommit(), left_alone() as (vol, devs, events):
        vol.temp(events)
        first, count = devs[0].slot(0)
        devs[0].refuse_writes(first, 4 * count)
        refused(0, 3)		# one that it holds, and one that it does not
        devs[0].heal()
        ktap.check_eq("goes on", "JOINING", vol.link("@s3")["LINK_STATE"])
        vol.end_and_check(devs)
    with no_autocommit(), left_alone() as (vol, devs, events):
        vol.temp(events)
        devs[0].fail_range(*devs[0].slot(3))
        refused(3)
        failed(vol, events, "@s3")
        devs[0].heal()
        gone(vol)
        vol.temp(events)
        with hcvvol.Disk(vol.path) as disk:
            all_kinds(disk, 150)
        vol.end_and_check(devs)


def test_what_an_earlier_life_left():
    """Of what is there from before nothing counts, should nobody have cleared
    it: complete, for a base that had less, and cut short."""
    with left_alone() as (vol, devs, events):
        with hcvvol.Disk(vol.path) as disk:
            vol.temp(events)
            all_kinds(disk, 140)
            vol.confirm("@s3", "OUT")
            vol.edo("VOL_LINK_DEL", STORE="@s3")
            # Rewritten, freed, taken anew: all of it without it.
            fill(disk, (1, 2, 9), 50)
            disk.discard(3 * MIB, MIB)
            disk.discard(20 * MIB, MIB)
            disk.write(30 * MIB, b"t" * 8192)
            disk.flush()
            since, vol.since = vol.since, 1
            # 0, 1, 7 and 2 but for a block; parts of 4, 5, 9, 30.
            ktap.check("copied", vol.temp(events) > 4 * MIB)
            all_kinds(disk, 141)
            vol.confirm("@s3", "OUT")
            vol.edo("VOL_LINK_DEL", STORE="@s3")
            fill(disk, (2, 4, 10), 51)
            vol.edo("VOL_SET", SYNC_KIBPS=SLOW)
            vol.since = since
            vol.temp_add()
            hcvtest.wait_for(lambda: vol.link("@s3")["SYNC_COPIED"], 10,
                             "something copied")
        # In the middle of it the volume is attached anew.
        vol.stop(VOL_FLAGS="FORCE")
        vol.close_stores()
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (5, 11), 52)
            disk.discard(10 * MIB, MIB)
            vol.temp(events)
            all_kinds(disk, 142)
        vol.end_and_check(devs)


def load(disk, discards=1):
    """Writes and discards of all sizes, until it is ended; so many of twenty
    give a mib back."""
    rnd = random.Random(os.getpid())
    while True:
        mib, byte = rnd.randrange(40), rnd.randrange(1, 256)
        off = mib * MIB + 512 * rnd.randrange(1024)
        size = 512 * rnd.choice((1, 3, 8, 8, 16, 64))
        kind = rnd.randrange(20)
        if kind < discards:
            disk.discard(mib * MIB, MIB)
        elif kind == 18:
            disk.zeroout(off, size)
        elif kind == 19:
            disk.flush()
        else:
            disk.write(off, bytes([byte]) * size)


@contextlib.contextmanager
def loaded(vol, **attrs):
    """What is under way when that ends is done, and nothing more begins."""
    writers = [Writer(vol.path, lambda d: load(d, **attrs)) for _ in range(4)]
    try:
        yield
        ktap.check("they write", not any(w.ended() for w in writers))
    finally:
        for writer in writers:
            if not writer.ended():
                os.kill(writer.pid, signal.SIGKILL)
        for writer in writers:
            writer.wait()


def test_under_load():
    """It comes and goes while everything is written."""
    with left_alone(queue="BIO") as (vol, devs, events):
        with loaded(vol):
            for _ in range(max(6 // DIV, 2)):
                vol.temp(events, busy=True)
                gone(vol)
            vol.temp(events, busy=True)
        with hcvvol.Disk(vol.path) as disk:
            disk.flush()
        vol.end_and_check(devs)


def test_tied_under_load():
    """Slots that are taken in the very moment of the tie: their first write may
    have no leg to it. Nothing comes after that which could hide it."""
    with left_alone() as (vol, devs, events):
        for turn in range(max(6 // DIV, 2)):
            vol.temp_place()
            events.forget("SYNC_DONE")
            with loaded(vol, discards=6):
                vol.temp_add()
            vol.temp_filled(events, busy=True)
            vol.mark()
            vol.end_and_check(devs)
            devs[1].fail()
            vol.attach()
            vol.open_store("@s3")
            vol.do("STORE_EXTENT_DEL", STORE="@s3")
        vol.detach()


def test_held_when_it_is_there():
    """What has not landed on it is not held, whatever is flushed meanwhile."""
    error = hcvtest.dm_create("hcverr", f"0 {hcvvol.STORE_BYTES // 512} error")
    try:
        with no_autocommit(), left_alone() as (vol, devs, events):
            vol.temp(events)
            devs[2].hold_writes(*devs[2].slot(5), error)
            writer = Writer(vol.path, lambda d: d.write(5 * MIB + 8192,
                                                        b"n" * 4096))
            hcvtest.wait_for(lambda: devs[2].held()[1], 20,
                             "a write that is out")
            with hcvvol.Disk(vol.path) as disk:
                disk.write(2 * MIB, b"o" * 4096)
                disk.flush()
            devs[2].heal()
            failed(vol, events, "@s3")
            vol.stop(VOL_FLAGS="FORCE")
            ktap.check_eq("refused", errno.EIO, writer.wait())
            vol.close_stores()
            devs[1].heal()
            got = vol.read_pair()
            ktap.check_eq("written and flushed", b"o" * 4096,
                          got[2 * MIB:2 * MIB + 4096])
            ktap.check_eq("not there: as the base has it", bytes([6]) * 4096,
                          got[5 * MIB + 8192:5 * MIB + 12288])
    finally:
        hcvtest.dm_remove("hcverr")


with pool:
    ktap.main(globals())
