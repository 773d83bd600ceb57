#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1800
# MEM: 2048
"""Scrub: damage beneath a store, media errors, pages that a guest changes under
write, a replica or the volume that goes away in the middle, the rate."""

import contextlib
import errno
import mmap
import os
import random
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvbreak import (Command, RemoteVolume, Writer, bring_back, ended, failed,
                      fill, finish, no_autocommit, read_from, take_out)
from hcvtest import uuid_text
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 3)
setting = pool.setting
BLOCK = 4096
SLOW = 256		# KiB/s: half a minute for the data of a case
MIBS = 8
BAD = b"\xbd" * BLOCK


def block(mib, i):
    return bytes([mib + 1, i]) * (BLOCK // 2)


def write_data(disk, mibs=MIBS):
    """Mib i in slot i of the first extent, all of it data."""
    for mib in range(mibs):
        disk.write(mib * MIB, b"".join(block(mib, i) for i in range(256)))
    disk.flush()


@contextlib.contextmanager
def attached(count=2, kind=hcvvol.Volume, mibs=MIBS, end=finish, named=True,
             **attrs):
    """(volume with data, its devices, events, disk); a clean end, and equal
    replicas.  Its activity log names the data, or not."""
    with setting(count, kind=kind, extents=1, **attrs) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            write_data(disk, mibs)
        if not named:
            vol.detach()
            vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            yield vol, devs, events, disk
        end(vol)


def place(dev, mib, i):
    """Where a block of the first extent lies on a store's disk, in bytes."""
    return dev.slot(mib)[0] * 512 + i * BLOCK


def damage(dev, mib, i, data=BAD):
    hcvtest.device_write(dev.disk, place(dev, mib, i), data)


def beneath(dev, mib, i):
    return hcvtest.device_read(dev.disk, place(dev, mib, i))


def start(vol, kibps=0):
    vol.edo("VOL_SCRUB", SCRUB_OP="START", SCRUB_KIBPS=kibps)


def state(vol):
    return vol.get()["SCRUB"][0]["SCRUB_STATE"]


def result(vol, want="DONE", limit=120):
    """The pass when it is over."""
    hcvtest.wait_for(lambda: state(vol) == want, limit, f"scrub {want}")
    return vol.get()["SCRUB"][0]


def scrub(vol, **attrs):
    start(vol, **attrs)
    return result(vol)


def copy(got, store):
    return next(c for c in got["LINK"] if c["STORE"] == uuid_text(store))


def results(got, vol):
    return {s: copy(got, s)["SCRUB_RESULT"] for s in vol.names}


def found(got):
    return {k: got[f"SCRUB_{k}"] for k in
            ("DAMAGED", "MEDIA", "LOST", "CHANGED") if got[f"SCRUB_{k}"]}


def check_good(vol, what="all is well"):
    got = scrub(vol)
    ktap.check_eq(f"{what}: findings", {}, found(got))
    ktap.check_eq(f"{what}: results", {s: "GOOD" for s in vol.names},
                  results(got, vol))
    return got


def test_equal():
    with attached() as (vol, _, events, _disk):
        got = check_good(vol)
        ktap.check_eq("read", MIBS * 256, got["SCRUB_READ"])
        ktap.check_eq("read of each", [MIBS * 256] * 2,
                      [copy(got, s)["SCRUB_COVERED"] for s in vol.names])
        events.wait("SCRUB_ENDED", VOL=uuid_text("@v1"))
        events.poll()
        ktap.check("nothing told", not [e for e in events.seen
                                        if e["EVENT"] == "SCRUB_FOUND"])
        start(vol)
        ktap.check_eq("counted", 2, result(vol)["SCRUB_PASS"])
    with setting() as (vol, _, _events):
        vol.attach()
        got = scrub(vol)
        ktap.check_eq("without data", (0, {}), (got["SCRUB_READ"], found(got)))
        finish(vol)


def test_other_copy():
    """Beneath the replica that is not read: found, told, repaired."""
    with attached() as (vol, devs, events, disk), no_autocommit():
        ktap.check_eq("read from", "@s1", read_from(vol, disk, 2 * MIB))
        damage(devs[1], 2, 5)
        damage(devs[1], 2, 255)
        damage(devs[1], 7, 0)
        start(vol, SLOW)
        hcvtest.wait_for(lambda: vol.get()["SCRUB"][0]["SCRUB_DAMAGED"] == 2,
                         60, "the first two")
        ktap.check_eq("to be flushed", 1, vol.get()["UNFLUSHED_MIBS"])
        start(vol)
        got = result(vol)
        ktap.check_eq("flushed before it is called good", 0,
                      vol.get()["UNFLUSHED_MIBS"])
        ktap.check_eq("found", {"DAMAGED": 3}, found(got))
        ktap.check_eq("repaired", (3, 0), (copy(got, "@s2")["SCRUB_REPAIRED"],
                                           copy(got, "@s2")["SCRUB_FAILED"]))
        ktap.check_eq("the other one", 0, copy(got, "@s1")["SCRUB_DAMAGED"])
        ktap.check_eq("good now", {"@s1": "GOOD", "@s2": "GOOD"},
                      results(got, vol))
        told = events.wait("SCRUB_FOUND", STORE=uuid_text("@s2"))
        ktap.check_match("text", "differs.*MiB 2, 1 block", told["TEXT"])
        for mib, i in ((2, 5), (2, 255), (7, 0)):
            ktap.check_eq("content", block(mib, i), beneath(devs[1], mib, i))
        check_good(vol, "again")


def test_elected_copy():
    """What the guest has been reading stays what it reads."""
    with attached() as (vol, devs, _, disk):
        damage(devs[0], 3, 7)
        ktap.check_eq("read", BAD, disk.read(3 * MIB + 7 * BLOCK))
        got = scrub(vol)
        ktap.check_eq("found", {"DAMAGED": 1}, found(got))
        ktap.check_eq("counted at the other", 1,
                      copy(got, "@s2")["SCRUB_REPAIRED"])
        ktap.check_eq("read again", BAD, disk.read(3 * MIB + 7 * BLOCK))
        ktap.check_eq("equal", BAD, beneath(devs[1], 3, 7))
        ktap.check_eq("untouched", BAD, beneath(devs[0], 3, 7))


def test_three_copies():
    with attached(3, named=False) as (vol, devs, _, disk):
        damage(devs[1], 1, 1)
        damage(devs[2], 1, 1, b"\x77" * BLOCK)
        damage(devs[2], 4, 100)
        got = scrub(vol)
        ktap.check_eq("found", {"DAMAGED": 2}, found(got))
        ktap.check_eq("of each", [0, 1, 2], [copy(got, s)["SCRUB_REPAIRED"]
                                             for s in vol.names])
        ktap.check_eq("read", block(1, 1), disk.read(MIB + BLOCK))
        check_good(vol, "again")


def refuse_reads(dev, mib, i):
    """Reads of a block fail, writes reach the disk."""
    first = place(dev, mib, i) // 512
    dev._range(first, 8, f"delay /dev/mapper/refuse {first} 0 "
                         f"{dev.disk} {first} 0")


@contextlib.contextmanager
def refusing():
    hcvtest.dm_create("refuse", f"0 {hcvvol.STORE_BYTES // 512} error")
    try:
        yield
    finally:
        hcvtest.dm_remove("refuse")


def check_media_error(store, dev_nr):
    """One replica cannot be read at a place: written again from another."""
    with refusing(), attached(kind=RemoteVolume, remote=["@s1", "@s2"]) \
            as (vol, devs, _, disk):
        dev = devs[dev_nr]
        try:
            damage(dev, 5, 9)
            refuse_reads(dev, 5, 9)
            got = scrub(vol)
            ktap.check_eq("found", {"MEDIA": 1}, found(got))
            ktap.check_eq("repaired", 1, copy(got, store)["SCRUB_REPAIRED"])
            ktap.check_eq("good", {"@s1": "GOOD", "@s2": "GOOD"},
                          results(got, vol))
            ktap.check_eq("both stay", ["INSYNC"] * 2,
                          [vol.link(s)["LINK_STATE"] for s in vol.names])
        finally:
            dev.heal()
        ktap.check_eq("content", block(5, 9), beneath(dev, 5, 9))
        ktap.check_eq("read", block(5, 9), disk.read(5 * MIB + 9 * BLOCK))
        check_good(vol, "healed")


def test_media_error():
    check_media_error("@s2", 1)


def test_media_error_of_the_elected():
    check_media_error("@s1", 0)


def test_single_replica():
    """Nothing to compare, but what cannot be read is found."""
    with refusing(), attached(1, kind=RemoteVolume, remote=["@s1"]) \
            as (vol, devs, events, _):
        check_good(vol)
        try:
            refuse_reads(devs[0], 1, 1)
            got = scrub(vol)
        finally:
            devs[0].heal()
        ktap.check_eq("found", {"MEDIA": 1, "LOST": 1}, found(got))
        ktap.check_eq("bad", {"@s1": "BAD"}, results(got, vol))
        events.wait("SCRUB_FOUND", STORE=uuid_text("@s1"))
        check_good(vol, "healed")


class Changer:
    """Writes one block without end, and changes the page while the slower
    replica has not got it yet."""

    def __init__(self, path, off):
        self.path, self.off, self.end, self.writes = path, off, False, 0
        self.buf = mmap.mmap(-1, BLOCK)
        self.threads = [threading.Thread(target=f)
                        for f in (self.write, self.change)]
        for thread in self.threads:
            thread.start()

    def write(self):
        fd = os.open(self.path, os.O_RDWR | os.O_DIRECT)
        while not self.end:
            os.pwritev(fd, [self.buf], self.off)
            self.writes += 1
        os.close(fd)

    def change(self):
        n = 0
        while not self.end:
            n += 1
            self.buf[:8] = n.to_bytes(8, "little")
            time.sleep(0.002)

    def stop(self):
        self.end = True
        for thread in self.threads:
            thread.join()


def test_changed_under_write():
    """Counted apart, and not as damage, which is found beside it."""
    with attached() as (vol, devs, _, disk):
        damage(devs[1], 6, 6)
        devs[1].delay(write=100)
        changer = Changer(vol.path, 4 * MIB + 3 * BLOCK)
        try:
            hcvtest.wait_for(lambda: changer.writes > 3, 30, "some writes")
            got = scrub(vol)
        finally:
            changer.stop()
            devs[1].heal()
        ktap.check_eq("found", {"DAMAGED": 1, "CHANGED": 1}, found(got))
        ktap.check_eq("good", {"@s1": "GOOD", "@s2": "GOOD"},
                      results(got, vol))
        # The last write was changed as well, and nobody writes it again.
        scrub(vol)
        ktap.check_eq("equal", beneath(devs[0], 4, 3), beneath(devs[1], 4, 3))
        check_good(vol, "again")
        ktap.check_eq("read", block(6, 6), disk.read(6 * MIB + 6 * BLOCK))


class Storm:
    """Writes, discards and zeroes of whole and parts of blocks of a MiB, of
    which it knows the content."""

    def __init__(self, path, mib):
        self.path, self.off, self.rnd = path, mib * MIB, random.Random(mib)
        self.data = bytearray(b"".join(block(mib, i) for i in range(256)))
        self.end, self.thread = threading.Event(), None

    def put(self, at, data):
        self.data[at:at + len(data)] = data
        return self.off + at, data

    def step(self, disk):
        at, what = self.rnd.randrange(253) * BLOCK, self.rnd.randrange(8)
        if what == 0:
            disk.discard(self.put(at, bytes(2 * BLOCK))[0], 2 * BLOCK)
        elif what == 1:
            disk.zeroout(self.put(at, bytes(BLOCK))[0], BLOCK)
        elif what == 2:
            disk.write(*self.put(at + 512, os.urandom(1024)))
        else:
            disk.write(*self.put(at, os.urandom(self.rnd.choice((1, 3)) *
                                                BLOCK)))

    def run(self):
        with hcvvol.Disk(self.path) as disk:
            while not self.end.is_set():
                self.step(disk)

    def __enter__(self):
        self.end.clear()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.end.set()
        self.thread.join()


def test_beside_writes():
    """Repairs beside a storm of writes lose none of them, nor leave any on one
    replica alone, and the storm is not taken for damage."""
    with attached(named=False) as (vol, devs, _, disk):
        storms = [Storm(vol.path, mib) for mib in range(3)]
        rnd = random.Random(7)
        for turn in range(4):
            with contextlib.ExitStack() as stack:
                for one in storms:
                    stack.enter_context(one)
                for _ in range(24):
                    damage(devs[1], rnd.randrange(3), rnd.randrange(256))
                damage(devs[1], 5, 10 + turn)
                ktap.check("found", scrub(vol)["SCRUB_DAMAGED"] >= 1)
                ktap.check_eq("content", block(5, 10 + turn),
                              beneath(devs[1], 5, 10 + turn))
                ktap.check_eq("the storm alone", {}, found(scrub(vol)))
            for one in storms:
                ktap.check("what was written last is read",
                           disk.read(one.off, MIB) == one.data)
            check_good(vol, "after it")


def test_stop_in_the_middle():
    with attached() as (vol, devs, _, _disk):
        start(vol, SLOW)
        hcvtest.wait_for(lambda: vol.get()["SCRUB"][0]["SCRUB_READ"], 20,
                         "some of it")
        damage(devs[1], 7, 200)
        vol.edo("VOL_SCRUB", SCRUB_OP="STOP")
        got = result(vol, "STOPPED")
        ktap.check("not all of it", got["SCRUB_READ"] < MIBS * 256)
        ktap.check_eq("none is called good", {"@s1": "UNCOVERED",
                                              "@s2": "UNCOVERED"},
                      results(got, vol))
        vol.edo("VOL_SCRUB", SCRUB_OP="STOP")	# nothing to do
        ktap.check_eq("the next one", {"DAMAGED": 1}, found(scrub(vol)))


def test_replica_fails_in_the_middle():
    """It is not called good, and what is left is read to the end."""
    with attached() as (vol, devs, events, disk):
        start(vol, SLOW)
        hcvtest.wait_for(lambda: vol.get()["SCRUB"][0]["SCRUB_READ"] > 256,
                         20, "some of it")
        devs[1].fail()
        writer = Writer(vol.path, lambda d: fill(d, (0,), 9))
        failed(vol, events, "@s2")
        hcvtest.wait_for(lambda: state(vol) == "PAUSED", 20, "a pause")
        vol.confirm("@s2", "OUT")
        ktap.check_eq("the write", 0, writer.wait())
        start(vol, 0)		# without a limit from here
        got = result(vol)
        ktap.check_eq("all of it", MIBS * 256,
                      copy(got, "@s1")["SCRUB_COVERED"])
        ktap.check("some of it", copy(got, "@s2")["SCRUB_MISSED"] > 0)
        ktap.check_eq("results", {"@s1": "GOOD", "@s2": "UNCOVERED"},
                      results(got, vol))
        got = scrub(vol)
        ktap.check_eq("away all the time", {"@s1": "GOOD",
                                            "@s2": "UNCOVERED"},
                      results(got, vol))
        ktap.check_eq("nothing read of it", 0,
                      copy(got, "@s2")["SCRUB_COVERED"])
        disk.flush()
        bring_back(vol, events, "@s2", devs[1])
        check_good(vol, "back again")


def test_yields_to_resync():
    with attached() as (vol, devs, events, _disk):
        take_out(vol, events, "@s2", devs[1])
        with hcvvol.Disk(vol.path) as other:
            write_data(other)
        devs[1].heal()
        vol.edo("VOL_SET", SYNC_KIBPS=SLOW)
        vol.reopen_store("@s2")
        vol.place("@s2", range(len(vol.rows)))
        vol.link_add("@s2", "SYNCING")
        start(vol)
        hcvtest.wait_for(lambda: state(vol) == "PAUSED", 20, "a pause")
        before = vol.get()["SCRUB"][0]["SCRUB_READ"]
        time.sleep(1)
        ktap.check_eq("reads nothing", before,
                      vol.get()["SCRUB"][0]["SCRUB_READ"])
        vol.edo("VOL_SET", SYNC_KIBPS=0)
        events.wait("SYNC_DONE", 60, STORE=uuid_text("@s2"))
        vol.confirm("@s2", "INSYNC")
        got = result(vol)
        ktap.check_eq("found", {}, found(got))
        ktap.check_eq("it was not there from the start", "UNCOVERED",
                      copy(got, "@s2")["SCRUB_RESULT"])
        check_good(vol, "after it")


def test_repairs_beside_a_resync():
    """A resync that begins while pieces are repaired waits for these, and they
    for it, but not for each other."""
    with attached(3, named=False) as (vol, devs, events, disk):
        for turn in range(3):
            # The order of reads stays when this one is tied anew.
            take_out(vol, events, "@s1", devs[0])
            disk.flush()
            for mib in range(1, MIBS):
                for i in range(0, 256, 16):
                    damage(devs[2], mib, i)
            start(vol)
            time.sleep(0.3 * turn)	# another moment each time
            bring_back(vol, events, "@s1", devs[0])
            got = result(vol)
            ktap.check_eq("found", {"DAMAGED": 16 * (MIBS - 1)}, found(got))
            ktap.check_eq("repaired", 16 * (MIBS - 1),
                          copy(got, "@s3")["SCRUB_REPAIRED"])
        check_good(vol, "after it")


def sent(vol, action):
    """Some I/O that has ended, or waits for its blocks."""
    one = Writer(vol.path, action)
    hcvtest.wait_for(lambda: one.ended() or vol.get()["WAIT"] == "BUSY", 20,
                     "its end, or that it waits")
    return one


def kept(vol, what, action):
    """Some I/O that has to wait for its blocks."""
    one = sent(vol, action)
    ktap.check(f"{what} waits", not one.ended())
    return one


def kept_waiting(vol, action):
    """The same as soon as it has to."""
    ones = []

    def there():
        ones.append(sent(vol, action))
        return not ones[-1].ended()
    hcvtest.wait_for(there, 60, "an I/O that waits")
    ended("those before", *ones[:-1])
    return ones[-1]


def hold_reads(dev, mib):
    """The scrub gets no answer from here on; one that waits gets it now, of
    what the disk has at this moment."""
    dev.hold_reads(*dev.slot(mib))


def at_a_look(dev):
    """Until the scrub is at it, with the blocks."""
    hcvtest.wait_for(lambda: dev.held()[0], 60, "a look")


def check_healthy(vol, devs, got, *want):
    """What a pass has left, and what the copies have: (mib, block, data)."""
    ktap.check_eq("good", {s: "GOOD" for s in vol.names}, results(got, vol))
    for mib, i, data in want:
        ktap.check_eq("content of each", [data] * len(devs),
                      [beneath(dev, mib, i) for dev in devs])
    check_good(vol, "after it")


def test_write_in_flight():
    """Half of the replicas have it: the scrub does not look before its end."""
    new = b"\x31" * BLOCK
    with attached() as (vol, devs, events, _disk):
        devs[1].hold_writes(place(devs[1], 2, 5) // 512, 8, devs[1].disk)
        writer = Writer(vol.path, lambda d: d.write(2 * MIB + 5 * BLOCK, new))
        hcvtest.wait_for(lambda: devs[1].held()[1], 20, "half of a write")
        hcvtest.wait_for(lambda: beneath(devs[0], 2, 5) == new, 20,
                         "the other half")
        start(vol)
        # The scrub's turn comes before that of whoever comes after it.
        other = kept_waiting(vol, lambda d: d.write(2 * MIB + 9 * BLOCK, new))
        ktap.check_eq("nothing of it is read", 2 * 256,
                      vol.get()["SCRUB"][0]["SCRUB_READ"])
        devs[1].heal()
        ended("the writes", writer, other)
        got = result(vol)
        ktap.check_eq("found", {}, found(got))
        events.poll()
        ktap.check("nothing told", not [e for e in events.seen
                                        if e["EVENT"] == "SCRUB_FOUND"])
        check_healthy(vol, devs, got, (2, 5, new), (2, 9, new))


def test_written_between_the_looks():
    """A difference that a write has ended is not believed: nothing is written,
    least of all what the first look saw."""
    new = b"\x32" * BLOCK
    with attached() as (vol, devs, events, _disk):
        damage(devs[1], 2, 5)
        hold_reads(devs[1], 2)
        start(vol)
        at_a_look(devs[1])
        writer = kept(vol, "a write during the first look",
                      lambda d: d.write(2 * MIB + 5 * BLOCK, new))
        devs[1].heal()
        ended("the write", writer)
        got = result(vol)
        ktap.check_eq("found", {"CHANGED": 1}, found(got))
        ktap.check_eq("repaired", [0, 0], [copy(got, s)["SCRUB_REPAIRED"]
                                           for s in vol.names])
        events.poll()
        ktap.check("nothing told", not [e for e in events.seen
                                        if e["EVENT"] == "SCRUB_FOUND"])
        check_healthy(vol, devs, got, (2, 5, new))


def test_no_write_during_a_look():
    """The second one neither; what it sees is what the first write left."""
    one, two = b"\x33" * BLOCK, b"\x34" * BLOCK
    with attached() as (vol, devs, _, _disk):
        damage(devs[1], 2, 5)
        hold_reads(devs[1], 2)
        start(vol)
        at_a_look(devs[1])
        first = kept(vol, "a write during the first look",
                     lambda d: d.write(2 * MIB + 5 * BLOCK, one))
        hold_reads(devs[1], 2)
        ended("it goes on between them", first)
        at_a_look(devs[1])
        second = kept(vol, "a write during the second look",
                      lambda d: d.write(2 * MIB + 5 * BLOCK, two))
        devs[1].heal()
        ended("it goes on after that", second)
        got = result(vol)
        ktap.check_eq("found", {"CHANGED": 1}, found(got))
        check_healthy(vol, devs, got, (2, 5, two))


def test_not_twice_the_same():
    """A difference that is gone without a write is a media error, no damage."""
    with attached() as (vol, devs, events, _disk):
        damage(devs[1], 2, 5)
        hold_reads(devs[1], 2)
        start(vol)
        at_a_look(devs[1])
        hold_reads(devs[1], 2)
        at_a_look(devs[1])
        damage(devs[1], 2, 5, block(2, 5))
        devs[1].heal()
        got = result(vol)
        ktap.check_eq("found", {"MEDIA": 1}, found(got))
        ktap.check_eq("of which replica", [0, 1],
                      [copy(got, s)["SCRUB_MEDIA"] for s in vol.names])
        told = events.wait("SCRUB_FOUND", STORE=uuid_text("@s2"))
        ktap.check_match("text", "not twice the same: MiB 2", told["TEXT"])
        check_healthy(vol, devs, got, (2, 5, block(2, 5)))


def test_no_write_during_a_repair():
    """A write that comes meanwhile is the newer one, on all replicas."""
    new = b"\x35" * BLOCK
    with attached() as (vol, devs, _, _disk):
        damage(devs[1], 2, 5)
        devs[1].hold_writes(*devs[1].slot(2), devs[1].disk)
        start(vol)
        hcvtest.wait_for(lambda: devs[1].held()[1], 60, "a repair")
        writer = Writer(vol.path, lambda d: d.write(2 * MIB + 5 * BLOCK, new))
        hcvtest.wait_for(lambda: vol.get()["WAIT"] == "BUSY" or
                         devs[1].held()[1] > 1, 20, "what becomes of a write")
        ktap.check_eq("no other write there", 1, devs[1].held()[1])
        devs[1].heal()
        ended("it goes on", writer)
        got = result(vol)
        ktap.check_eq("found", {"DAMAGED": 1}, found(got))
        ktap.check_eq("repaired", 1, copy(got, "@s2")["SCRUB_REPAIRED"])
        check_healthy(vol, devs, got, (2, 5, new))


def test_repair_waits_for_older_reads():
    """Before it writes it waits for them, with the blocks, but not for long."""
    with attached() as (vol, devs, _, _disk):
        damage(devs[1], 0, 0)
        devs[0].hold_reads(*devs[0].slot(7))
        hung = Writer(vol.path, lambda d: d.read(7 * MIB))
        hcvtest.wait_for(lambda: vol.link("@s1")["INFLIGHT"], 20, "its read")
        start(vol)
        reader = kept_waiting(vol, lambda d: d.read(4 * BLOCK))
        ktap.check_eq("the reader goes on", 0, reader.wait())
        ktap.check_eq("nothing is written yet", (False, BAD),
                      (hung.ended(), beneath(devs[1], 0, 0)))
        devs[0].heal()
        ended("the older read", hung)
        got = result(vol)
        ktap.check_eq("found", {"DAMAGED": 1}, found(got))
        ktap.check_eq("repaired", 1, copy(got, "@s2")["SCRUB_REPAIRED"])
        ktap.check_eq("content", block(0, 0), beneath(devs[1], 0, 0))
        check_good(vol, "after it")


def test_path_hangs_in_the_middle():
    """The lease ends with a read under way: no repair, and no end of waiting
    but by the agent's word."""
    with attached(kind=RemoteVolume, remote=["@s2"]) \
            as (vol, devs, events, disk):
        start(vol, SLOW)
        hcvtest.wait_for(lambda: vol.get()["SCRUB"][0]["SCRUB_READ"] > 256,
                         20, "some of it")
        vol.paths["@s2"].suspend()
        failed(vol, events, "@s2")
        vol.confirm("@s2", "OUT")
        ktap.check_eq("reads go on", block(7, 0), disk.read(7 * MIB))
        vol.paths["@s2"].resume()
        start(vol, 0)
        got = result(vol)
        ktap.check_eq("results", {"@s1": "GOOD", "@s2": "UNCOVERED"},
                      results(got, vol))
        ktap.check_eq("findings", {}, found(got))
        disk.flush()


def test_suspend_in_the_middle():
    """Also while pieces are repaired; it goes on afterwards."""
    with attached(named=False) as (vol, devs, _, _disk):
        for mib in range(MIBS):
            for i in range(0, 256, 16):
                damage(devs[1], mib, i)
        start(vol)
        for _ in range(3):
            vol.edo("VOL_SUSPEND")
            ktap.check_eq("suspended", "SUSPENDED", vol.get()["VOL_STATE"])
            # PAUSED, as soon as it comes to where it would begin a piece.
            ktap.check("a pass", state(vol) in ("RUNNING", "PAUSED"),
                       state(vol))
            vol.edo("VOL_RESUME")
            time.sleep(0.7)		# another piece each time
        got = result(vol)
        ktap.check_eq("found", {"DAMAGED": 16 * MIBS}, found(got))
        ktap.check_eq("repaired", 16 * MIBS,
                      copy(got, "@s2")["SCRUB_REPAIRED"])
        check_good(vol, "after it")


def test_discard_in_the_middle():
    """What is given back while it is read leaves no slot in use."""
    with attached() as (vol, devs, _, disk):
        devs[1].delay(read=300)
        start(vol)
        hcvtest.wait_for(lambda: vol.get()["SCRUB"][0]["SCRUB_READ"], 20,
                         "the first piece")
        for mib in range(MIBS):
            disk.discard(mib * MIB, MIB)
        devs[1].heal()
        ktap.check_eq("found", {}, found(result(vol)))

        def gone():
            disk.flush()
            return not vol.get()["USED_SLOTS"]
        hcvtest.wait_for(gone, 60, "no slot in use")


def test_discard_of_what_is_held():
    """The last data of a mib goes while one block of it is held: whoever holds
    that gives the slot back."""
    with attached(mibs=0) as (vol, devs, _, disk):
        disk.write(BLOCK, b"\x36" * (MIB - BLOCK))
        disk.flush()
        devs[1].hold_reads(*pages(devs[1]))
        start(vol)
        at_a_look(devs[1])
        disk.discard(BLOCK, MIB - BLOCK)
        ktap.check_eq("kept", 1, vol.get()["USED_SLOTS"])
        devs[1].heal()
        ktap.check_eq("found", {}, found(result(vol)))

        def gone():
            disk.flush()
            return not vol.get()["USED_SLOTS"]
        hcvtest.wait_for(gone, 20, "no slot in use")


def test_refused_repair():
    """A copy that refuses the repair leaves, and is made equal by its return
    although it missed no write."""
    with attached() as (vol, devs, events, disk):
        damage(devs[1], 2, 2)
        disk.flush()
        devs[1].refuse_writes(*devs[1].slot(2))
        start(vol)
        failed(vol, events, "@s2")
        vol.confirm("@s2", "OUT")
        got = result(vol)
        ktap.check_eq("bad", "BAD", copy(got, "@s2")["SCRUB_RESULT"])
        ktap.check_eq("not repaired", 1, copy(got, "@s2")["SCRUB_FAILED"])
        bring_back(vol, events, "@s2", devs[1])
        ktap.check_eq("copied", block(2, 2), beneath(devs[1], 2, 2))
        check_good(vol, "back again")


def test_repair_is_named():
    """An owner that dies with a repair under way has named the mib: the next one
    makes the copies equal, whoever is its source."""
    for source, other, want in (("@s1", "@s2", block(4, 5)),
                                ("@s2", "@s1", BAD)):
        with setting(extents=1) as (vol, devs, events), no_autocommit():
            with vol.attached() as disk:
                write_data(disk)
            vol.attach()
            damage(devs[1], 4, 5)
            devs[1].refuse_writes(*devs[1].slot(4))
            start(vol)
            failed(vol, events, "@s2")
            ktap.check_eq("entries", 1, vol.get()["LOG_ENTRIES"])
            vol.stop(VOL_FLAGS="FORCE")
            devs[1].heal()
            vol.close_stores()
            vol.insync = {source}
            vol.attach()
            ktap.check_eq(f"named, from {source}", 1, vol.get()["LOG_NAMED"])
            vol.open_store(other)
            copied = vol.resync(events, other)
            ktap.check("that is copied, no more", 0 < copied <= MIB,
                       f"{copied} bytes")
            ktap.check_eq("content of each", [want] * 2,
                          [beneath(dev, 4, 5) for dev in devs])
            check_good(vol, "after it")
            finish(vol)


def test_repair_that_cannot_be_named():
    """The disk with the last copy of something refuses the log: nothing is
    written, which is told, and is done when it takes it again."""
    with setting(3, replicas=2, extents=3) as (vol, devs, events), \
            no_autocommit():
        with vol.attached() as disk:
            write_data(disk)
        vol.attach()
        take_out(vol, events, "@s3", devs[2])
        damage(devs[1], 4, 5)
        devs[0].refuse_writes(*log_area(devs[0]))
        got = scrub(vol)
        ktap.check_eq("found", {"DAMAGED": 1}, found(got))
        ktap.check_eq("not repaired", ("BAD", 1, 0), tuple(
            copy(got, "@s2")[f"SCRUB_{k}"]
            for k in ("RESULT", "FAILED", "REPAIRED")))
        events.wait("SCRUB_FOUND", STORE=uuid_text("@s2"))
        told = events.wait("SCRUB_FOUND", STORE=uuid_text("@s2"))
        ktap.check_match("text", "was not repaired: MiB 4", told["TEXT"])
        ktap.check_eq("content", BAD, beneath(devs[1], 4, 5))
        devs[0].heal()
        got = scrub(vol)
        ktap.check_eq("repaired then", ("GOOD", 0, 1), tuple(
            copy(got, "@s2")[f"SCRUB_{k}"]
            for k in ("RESULT", "FAILED", "REPAIRED")))
        bring_back(vol, events, "@s3", devs[2])
        finish(vol)


def test_stop_waits_for_a_repair():
    """It comes before the last flush, and the log is emptied after that."""
    with setting(extents=1) as (vol, devs, _):
        with vol.attached() as disk:
            write_data(disk)
        vol.attach()
        damage(devs[1], 2, 5)
        devs[1].hold_writes(*devs[1].slot(2), devs[1].disk)
        start(vol)
        hcvtest.wait_for(lambda: devs[1].held()[1], 60, "a repair")
        stop = Command("VOL_STOP", VOL=vol.vol)
        hcvtest.wait_for(lambda: vol.get()["VOL_STATE"] == "STOPPING", 20,
                         "a stop")
        time.sleep(0.5)		# longer than its flush takes
        got = vol.get()
        ktap.check_eq("it waits, and the entry stays", ("STOPPING", 1),
                      (got["VOL_STATE"], got["LOG_ENTRIES"]))
        devs[1].heal()
        ended("the stop", stop)
        vol.close_stores()
        ktap.check_eq("content", block(2, 5), beneath(devs[1], 2, 5))
        vol.check_stores()


def test_read_only():
    """Compared, not repaired."""
    with setting(extents=1) as (vol, devs, _):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            write_data(disk)
        vol.detach()
        damage(devs[1], 2, 2)
        vol.attach(VOL_FLAGS="READONLY")
        got = scrub(vol)
        ktap.check_eq("found", {"DAMAGED": 1}, found(got))
        ktap.check_eq("bad", {"@s1": "GOOD", "@s2": "BAD"},
                      results(got, vol))
        ktap.check_eq("untouched", BAD, beneath(devs[1], 2, 2))
        vol.detach()


def log_area(dev):
    """(first, count): sectors of the volume's activity log."""
    return (hcvtest.read_super(dev.disk)["vol_off"] + (128 << 10)) // 512, 128


def pages(dev):
    """(first, count): sectors of the pages of the first extent."""
    return (hcvtest.read_super(dev.disk)["meta_off"] // 512,
            hcvtest.META_SIZE // 512)


def page_place(dev, page, where):
    """A place of one of them, in bytes."""
    return pages(dev)[0] * 512 + (where * 9 + page) * BLOCK


def check_bad_page(change):
    """One replica's copy of a page, changed in both of its places."""
    with attached() as (vol, devs, events, disk):
        fill(disk, (19,), 1)
        disk.flush()		# its other place is written as well
        before = [hcvtest.device_read(devs[1].disk,
                                      page_place(devs[1], 0, where))
                  for where in range(2)]
        for where, data in enumerate(change(before)):
            hcvtest.device_write(devs[1].disk, page_place(devs[1], 0, where),
                                 data)
        got = scrub(vol)
        ktap.check_eq("of data", {}, found(got))
        ktap.check_eq("pages", (0, 1), tuple(copy(got, s)["SCRUB_PAGES"]
                                             for s in vol.names))
        told = events.wait("SCRUB_FOUND", STORE=uuid_text("@s2"))
        ktap.check_match("text", "metadata: extent 0, 1 page", told["TEXT"])
        # Two rounds write both places.
        for mib in (20, 21):
            fill(disk, (mib,), 1)
            disk.flush()
        ktap.check_eq("again", 0, copy(check_good(vol, "again"),
                                       "@s2")["SCRUB_PAGES"])


def test_bad_page():
    check_bad_page(lambda before: [BAD, BAD])


def test_page_of_another_place():
    check_bad_page(lambda before: before[::-1])


def test_blank_page():
    check_bad_page(lambda before: [bytes(BLOCK)] * 2)


def test_bad_page_at_one_look():
    """It is not believed, nor is anything written."""
    with attached() as (vol, devs, events, _disk), no_autocommit():
        at = [page_place(devs[1], 0, where) for where in range(2)]
        before = [hcvtest.device_read(devs[1].disk, off) for off in at]
        for off in at:
            hcvtest.device_write(devs[1].disk, off, BAD)
        devs[1].hold_reads(*pages(devs[1]))
        start(vol)
        at_a_look(devs[1])
        devs[1].hold_reads(*pages(devs[1]))
        at_a_look(devs[1])
        for off, data in zip(at, before):
            hcvtest.device_write(devs[1].disk, off, data)
        devs[1].heal()
        got = result(vol)
        ktap.check_eq("found", {}, found(got))
        ktap.check_eq("pages", [0, 0], [copy(got, s)["SCRUB_PAGES"]
                                        for s in vol.names])
        events.poll()
        ktap.check("nothing told", not [e for e in events.seen
                                        if e["EVENT"] == "SCRUB_FOUND"])
        check_healthy(vol, devs, got)


def test_detach_during_it():
    def end(vol):
        begin = time.monotonic()
        vol.stop()
        spent = time.monotonic() - begin
        ktap.check("at once", spent < hcvtest.scaled(5), f"{spent:.1f} s")
        vol.close_stores()
        vol.check_stores()
    with attached(end=end) as (vol, _, _events, _disk):
        start(vol, SLOW)
        hcvtest.wait_for(lambda: vol.get()["SCRUB"][0]["SCRUB_READ"], 20,
                         "some of it")


def check_forced(hang):
    with attached(end=lambda vol: None) as (vol, devs, _, disk):
        start(vol, SLOW)
        hcvtest.wait_for(lambda: vol.get()["SCRUB"][0]["SCRUB_READ"], 20,
                         "some of it")
        if hang:
            devs[1].suspend()
            hcvtest.wait_for(lambda: vol.link("@s2")["INFLIGHT"], 20,
                             "a read that hangs")
        begin = time.monotonic()
        vol.stop(VOL_FLAGS="FORCE")
        spent = time.monotonic() - begin
        ktap.check("at once", spent < 5, f"{spent:.1f} s")
        try:
            # Nothing: the disk is gone by now, and its size with it.
            ktap.check_eq("what is read", b"", disk.read(0))
        except OSError as e:
            ktap.check_eq("I/O fails", errno.EIO, e.errno)
        try:
            vol.get()
        except hcvnl.Fail as e:
            ktap.check_eq("gone", errno.ENOENT, e.code)
        if hang:
            devs[1].resume()


def test_forced_detach():
    check_forced(False)


def test_forced_detach_while_a_read_hangs():
    check_forced(True)


def test_rate():
    """Counted at the disks; a new limit holds at once."""
    with attached(mibs=24) as (vol, _, _events, _disk):
        for kibps in (1024, 512):
            start(vol, kibps)
            before = {s: vol.link(s)["READ_BYTES"] for s in vol.names}
            begin = time.monotonic()
            time.sleep(4)
            for s in vol.names:
                rate = (vol.link(s)["READ_BYTES"] - before[s]) / 1024 / \
                    (time.monotonic() - begin)
                # A piece and the pages of an extent more.
                ktap.check("not faster", rate < kibps * 1.3 + 64,
                           f"{s}: {rate:.0f} KiB/s")
                ktap.check("not much slower", rate > kibps / 4,
                           f"{s}: {rate:.0f} KiB/s")
            ktap.check_eq("still running", "RUNNING", state(vol))
            ktap.check_eq("limit", kibps, vol.get()["SCRUB"][0]["SCRUB_KIBPS"])
        begin = time.monotonic()
        start(vol, 0)
        result(vol)
        spent = time.monotonic() - begin
        ktap.check("faster without", spent < hcvtest.scaled(10),
                   f"{spent:.1f} s")


def test_words():
    with setting(extents=1) as (vol, _, _events):
        vol.prepare()
        node.fails(errno.EBUSY, "not active", "VOL_SCRUB", VOL="@v1",
                   EPOCH=vol.epoch, SCRUB_OP="START")
        vol.edo("VOL_START", V=vol.v)
        ktap.check("none yet", "SCRUB" not in vol.get())
        node.fails(errno.EINVAL, "SCRUB_OP is missing", "VOL_SCRUB",
                   VOL="@v1", EPOCH=vol.epoch)
        for op in (0, 3):
            node.fails(errno.ERANGE, "", "VOL_SCRUB", VOL="@v1",
                       EPOCH=vol.epoch, SCRUB_OP=op)
        node.fails(errno.ESTALE, "epoch", "VOL_SCRUB", VOL="@v1",
                   EPOCH=vol.epoch + 1, SCRUB_OP="START")
        vol.edo("VOL_SCRUB", SCRUB_OP="STOP")
        ktap.check_eq("empty", {}, found(scrub(vol)))
        finish(vol)


with pool:
    ktap.main(globals(), parts=3)
