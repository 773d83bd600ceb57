#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""Resync of a returned replica: interrupted, under writes and discards, while
the volume grows, stops, or loses the source."""

import contextlib
import errno
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import (Writer, bring_back, failed, fill, finish, io_errno,
                      no_autocommit, take_out, verify, waits)
from hcvtest import uuid_text
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 3)
setting = pool.setting
# Each step through it takes an instrumented kernel long.
HUGE = 1 << (50 if hcvtest.SCALE == 1 else 46)
SLOW = 16		# KiB/s: minutes for each mib of data


def begin_resync(vol, store, dev, kibps=SLOW, **attrs):
    """A resync that has copied something, by default so slow that it is under
    way until it is told otherwise."""
    dev.heal()
    vol.edo("VOL_SET", SYNC_KIBPS=kibps)
    vol.reopen_store(store)
    vol.place(store, range(len(vol.rows)))
    vol.link_add(store, "SYNCING", **attrs)
    hcvtest.wait_for(lambda: vol.link(store)["SYNC_COPIED"], 10,
                     "something copied")


def end_resync(vol, events, store):
    vol.edo("VOL_SET", SYNC_KIBPS=0)
    events.wait("SYNC_DONE", 60, STORE=uuid_text(store))
    vol.confirm(store, "INSYNC")


def big_data(vol, mibs, size=256 << 10):
    with hcvvol.Disk(vol.path) as disk:
        for mib in mibs:
            disk.write(mib * MIB, bytes([mib % 251 + 1]) * size)
        disk.flush()


def test_failure_during_resync():
    with setting() as (vol, devs, events):
        vol.attach()
        take_out(vol, events, "@s2", devs[1])
        big_data(vol, range(40))
        begin_resync(vol, "@s2", devs[1])
        devs[1].fail()
        writer = Writer(vol.path, lambda d: d.write(0, b"w" * 4096))
        failed(vol, events, "@s2")
        vol.confirm("@s2", "OUT")
        ktap.check_eq("the write", 0, writer.wait())
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (2,), 9)
        vol.edo("VOL_SET", SYNC_KIBPS=0)
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def test_interrupted_twice():
    """What is written over after a resync was interrupted is copied by the
    next one, also where the first one was through."""
    with setting(stripe=2, extents=2) as (vol, devs, events):
        vol.attach()
        big_data(vol, [0, 2] + list(range(1, 31, 2)))
        take_out(vol, events, "@s2", devs[1])
        big_data(vol, [0, 2] + list(range(1, 31, 2)))
        # Two mibs of the first extent take seconds, those of the second many.
        begin_resync(vol, "@s2", devs[1], 256)
        hcvtest.wait_for(lambda: vol.link("@s2")["SYNC_DONE"] > 2 * MIB, 10,
                         "an extent done")
        vol.edo("VOL_SET", SYNC_KIBPS=SLOW)
        with hcvvol.Disk(vol.path) as disk:
            disk.flush()	# its pages, with present stamps, to the copy
            ktap.check_eq("still running", "SYNCING",
                          vol.link("@s2")["LINK_STATE"])
            devs[1].fail_writes()
            writer = Writer(vol.path, lambda d: d.write(0, b"n" * 8192))
            failed(vol, events, "@s2")
            vol.confirm("@s2", "OUT")
            ktap.check_eq("the write", 0, writer.wait())
            disk.write(2 * MIB + 8192, b"m" * 4096)
            disk.flush()
        vol.edo("VOL_SET", SYNC_KIBPS=0)
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def test_taken_out_during_resync():
    """The agent gives a syncing store up, with no error on it, under writes;
    the next resync finds all that was written since."""
    with setting(stripe=2, extents=2) as (vol, devs, events):
        vol.attach()
        take_out(vol, events, "@s2", devs[1])
        big_data(vol, range(20))
        for turn in range(5):
            begin_resync(vol, "@s2", devs[1], 256)
            writers = [Writer(vol.path, overwrite(i, 20, turn))
                       for i in range(2)]
            time.sleep(0.1 * turn)	# another moment each time
            vol.confirm("@s2", "OUT")
            ktap.check_eq("writers", [0, 0], [w.wait() for w in writers])
        vol.edo("VOL_SET", SYNC_KIBPS=0)
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def test_taken_out_under_a_known_version():
    """The record gave a copy up, and the module was told of that version by
    another one's confirmation, before it was told of the copy: that has pages
    with the version's stamps by then, and what it misses needs a higher one.
    Until the record has that, nothing waits."""
    with setting(stripe=2, extents=2) as (vol, devs, events):
        vol.attach()
        big_data(vol, [0, 2] + list(range(1, 31, 2)))
        take_out(vol, events, "@s2", devs[1])
        big_data(vol, [0, 2] + list(range(1, 31, 2)))
        begin_resync(vol, "@s2", devs[1], 256)
        hcvtest.wait_for(lambda: vol.link("@s2")["SYNC_DONE"] > 2 * MIB, 10,
                         "an extent done")
        vol.edo("VOL_SET", SYNC_KIBPS=SLOW)
        vol.confirm("@s1", "INSYNC")
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"v" * 4096)
            disk.flush()	# a page with the stamp of that version
            node.fails(errno.ERANGE, "the record has to move on",
                       "VOL_CONFIRM", VOL=vol.vol, EPOCH=vol.epoch, V=vol.v,
                       STORE="@s2", INCARNATION=vol.incarnation["@s2"],
                       LINK_STATE="OUT")
            ktap.check_eq("it goes on", "SYNCING",
                          vol.link("@s2")["LINK_STATE"])
            writer = Writer(vol.path, lambda d: d.write(0, b"w" * 8192))
            ktap.check_eq("and so do writes", 0, writer.wait())
            vol.confirm("@s2", "OUT")
            disk.write(MIB // 2, b"x" * 4096)
            disk.flush()
        vol.edo("VOL_SET", SYNC_KIBPS=0)
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def overwrite(first, mibs, byte):
    """Blocks that have data, again and again."""
    def run(disk):
        for turn in range(12):
            for mib in range(first, mibs, 2):
                disk.write(mib * MIB + turn * 4096, bytes([byte + 1]) * 4096)
            if turn % 4 == 0:
                disk.flush()
    return run


def test_writes_during_resync():
    """What is written, discarded and zeroed while it runs is on both."""
    with setting() as (vol, devs, events):
        vol.attach()
        take_out(vol, events, "@s2", devs[1])

        def busy(disk):
            end = time.monotonic() + 4
            turn = 0
            while time.monotonic() < end:
                turn += 1
                fill(disk, range(turn % 7, 40, 7), turn % 250)
                disk.write((turn % 40) * MIB + 512 * turn % 65536, b"q" * 512)
                disk.zeroout((turn * 3 % 40) * MIB + 2048, 16384)
                if turn % 5 == 0:
                    disk.discard(turn % 40 * MIB, MIB)
                    disk.flush()
        with hcvvol.Disk(vol.path) as disk:
            for mib in range(40):
                disk.write(mib * MIB, os.urandom(65536))
        writers = [Writer(vol.path, busy) for _ in range(2)]
        bring_back(vol, events, "@s2", devs[1], LINK_FLAGS="FULL")
        for writer in writers:
            ktap.check_eq("writer", 0, writer.wait(30))
        finish(vol)


@contextlib.contextmanager
def load_without_a_gap(path, mibs):
    """Slow writes that overlap, and slots that are freed all the time: some
    period is always on its way to its end."""
    stop, errors = threading.Event(), []

    def writes(lane):
        with hcvvol.Disk(path) as disk:
            while not stop.is_set():
                disk.write(lane * 4096, bytes([lane]) * 4096)

    def frees():
        with hcvvol.Disk(path) as disk:
            for mib in mibs:
                if stop.wait(0.1):
                    return
                disk.discard(mib * MIB, MIB)
                disk.flush()
        errors.append("nothing is left to be freed")

    def run(action, *args):
        try:
            action(*args)
        except OSError as e:
            errors.append(e)
    threads = [threading.Thread(target=run, args=(writes, i))
               for i in range(6)] + [threading.Thread(target=run,
                                                      args=(frees,))]
    for one in threads:
        one.start()
        time.sleep(0.1)		# out of step
    try:
        yield
    finally:
        stop.set()
        for one in threads:
            one.join()
    ktap.check_eq("load", [], errors)


def test_start_under_load():
    """It begins when what was under way has ended, whatever came after."""
    with setting(extents=1) as (vol, devs, events):
        vol.attach()
        take_out(vol, events, "@s2", devs[1])
        big_data(vol, range(150), 4096)
        devs[1].heal()
        vol.reopen_store("@s2")
        data = hcvtest.read_super(vol.devs[0])["data_off"] // 512
        slow = f"{devs[0].disk} {data}"
        devs[0].load(f"0 {data} linear {devs[0].disk} 0\n"
                     f"{data} {devs[0].sectors - data} "
                     f"delay {slow} 0 {slow} 600 {slow} 0")
        with load_without_a_gap(vol.path, range(1, 150)):
            vol.link_add("@s2", "SYNCING")
            hcvtest.wait_for(lambda: vol.link("@s2")["SYNC_DONE"], 60,
                             "a resync under way")
        devs[0].heal()
        end_resync(vol, events, "@s2")
        finish(vol)


def test_discard_and_reuse():
    """Slots that are freed, and taken by other data, while the copy is at
    other places; before and behind it."""
    with setting(extents=1) as (vol, devs, events):
        vol.attach()
        big_data(vol, range(40))
        take_out(vol, events, "@s2", devs[1])
        big_data(vol, range(40), 128 << 10)
        begin_resync(vol, "@s2", devs[1], 1024)
        hcvtest.wait_for(lambda: vol.link("@s2")["SYNC_COPIED"] > 2 * MIB, 10,
                         "a part behind it")
        vol.edo("VOL_SET", SYNC_KIBPS=SLOW)
        with hcvvol.Disk(vol.path) as disk:
            for turn in range(3):
                for mib in (0, 1, 20, 21, 38, 39):
                    disk.discard((mib + 50 * turn) * MIB, MIB)
                disk.flush()
                hcvtest.wait_for(lambda: vol.get()["READY"] == 256 - 34, 10,
                                 "freed slots")
                for mib in (0, 1, 20, 21, 38, 39):
                    disk.write((mib + 50 * turn + 50) * MIB,
                               bytes([200 + turn]) * 65536)
        ktap.check_eq("still running", "SYNCING",
                      vol.link("@s2")["LINK_STATE"])
        end_resync(vol, events, "@s2")
        with hcvvol.Disk(vol.path) as disk:
            for mib in (150, 170, 189):
                ktap.check_eq(f"mib {mib}", bytes([202]) * 4096,
                              disk.read(mib * MIB))
        finish(vol)


def test_discard_of_what_is_copied():
    """All of a mib goes while a piece of it is copied: the slot goes as well,
    although the next piece is held by then."""
    with setting(extents=1) as (vol, devs, events):
        vol.attach()
        take_out(vol, events, "@s2", devs[1])
        big_data(vol, range(1, 5), MIB)
        ktap.check_eq("used", 5, vol.get()["USED_SLOTS"])
        devs[1].heal()
        vol.reopen_store("@s2")
        vol.place("@s2", range(len(vol.rows)))
        devs[0].hold_reads(*devs[0].slot(1))
        vol.link_add("@s2", "SYNCING")
        for mib in range(1, 5):
            hcvtest.wait_for(lambda: devs[0].held()[0], 20, "a copy")
            discard = Writer(vol.path, lambda d, mib=mib:
                             d.discard(mib * MIB, MIB))
            waits(vol, 1, "BUSY")
            if mib < 4:
                devs[0].hold_reads(*devs[0].slot(mib + 1))
            else:
                devs[0].heal()
            hcvbreak.ended("the discard", discard)
        events.wait("SYNC_DONE", 60, STORE=uuid_text("@s2"))
        vol.confirm("@s2", "INSYNC")

        def gone():
            with hcvvol.Disk(vol.path) as disk:
                disk.flush()
            return vol.get()["USED_SLOTS"] == 1
        hcvtest.wait_for(gone, 20, "no slot in use without data")
        finish(vol)


def test_extent_in_the_last_round():
    """One that comes when there is nothing more to compare, and before the last
    round has looked at it: its pages go to the copy as well."""
    with no_autocommit(), setting(extents=1) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            for mib in range(256):
                disk.write(mib * MIB, bytes([1]) * 4096)
            disk.flush()
        take_out(vol, events, "@s2", devs[1])
        big_data(vol, range(2))
        vol.rows.append(vol.names[1::-1])
        vol.fresh.add(1)
        vol.place("@s1", range(2))
        vol.grant("@s1")
        begin_resync(vol, "@s2", devs[1])
        # The last round begins when this one has ended.
        devs[0].delay(flush=60000)
        flusher = Writer(vol.path, lambda d: d.flush())
        waits(vol, 1, "FLUSH")
        vol.edo("VOL_SET", SYNC_KIBPS=0)
        waits(vol, 2, "FLUSH")
        vol.extent_add([1])
        with hcvvol.Disk(vol.path) as disk:
            disk.write(300 * MIB, bytes([2]) * 4096)
        ktap.check("the first round still runs", not flusher.ended())
        devs[0].heal()
        ktap.check_eq("flushed", 0, flusher.wait())
        events.wait("SYNC_DONE", 60, STORE=uuid_text("@s2"))
        vol.confirm("@s2", "INSYNC")
        finish(vol)


def test_growth_during_resync():
    """The volume and its extents grow while a copy is under way."""
    with setting(extents=1, size=128 * MIB) as (vol, devs, events):
        vol.attach()
        big_data(vol, range(30))
        take_out(vol, events, "@s2", devs[1])
        big_data(vol, range(30), 128 << 10)
        begin_resync(vol, "@s2", devs[1])
        vol.edo("VOL_SET", SIZE=1000 * MIB)
        vol.size = 1000 * MIB
        vol.grow_extents(2)
        with hcvvol.Disk(vol.path) as disk:
            ktap.check_eq("size", 1000 * MIB, disk.size())
            fill(disk, range(100, 420), 5)
            disk.flush()
        ktap.check_eq("still running", "SYNCING",
                      vol.link("@s2")["LINK_STATE"])
        end_resync(vol, events, "@s2")
        finish(vol)
        # From the new copy alone.
        vol.insync = {"@s2"}
        with vol.attached() as disk:
            ktap.check_eq("size", 1000 * MIB, disk.size())
            verify(disk, (100, 300, 419), 5)


def test_stop_during_resync():
    """A clean stop and a forced one; the next attach resyncs what is left."""
    with setting() as (vol, devs, events):
        vol.attach()
        big_data(vol, range(30))
        take_out(vol, events, "@s2", devs[1])
        for flags in ({}, {"VOL_FLAGS": "FORCE"}):
            big_data(vol, range(30), 128 << 10)
            begin_resync(vol, "@s2", devs[1])
            begin = time.monotonic()
            vol.stop(**flags)
            spent = time.monotonic() - begin
            ktap.check("stopped in time", spent < 60, f"{spent:.1f} s")
            vol.close_stores()
            # The copy is not in-sync; nothing is tied to it.
            vol.attach()
            with hcvvol.Disk(vol.path) as disk:
                fill(disk, (3, 7), 77)
            vol.open_store("@s2")
        bring_back(vol, events, "@s2", devs[1])
        with hcvvol.Disk(vol.path) as disk:
            verify(disk, (3, 7), 77)
        finish(vol)


@contextlib.contextmanager
def on_its_way(vol, devs, events, equal):
    """@s2 is being copied from @s1; mib i is in slot i. Ends in-sync."""
    vol.attach()
    take_out(vol, events, "@s2", devs[1])
    big_data(vol, range(20))
    begin_resync(vol, "@s2", devs[1], 0 if equal else SLOW)
    if equal:
        events.wait("SYNC_DONE", 60, STORE=uuid_text("@s2"))
    with hcvvol.Disk(vol.path) as disk:
        disk.flush()
        yield disk


def refused(disk, mibs):
    for mib in mibs:
        ktap.check_eq(f"mib {mib}", errno.EIO, io_errno(
            lambda m=mib: disk.write(m * MIB + 4096, b"n" * 16384)))


def test_refused_by_the_source():
    """What the only source's disk refused must not stay in a copy."""
    for equal in (False, True):
        with setting(extents=1) as (vol, devs, events):
            # A disk that refuses writes refuses FLUSH.
            with no_autocommit(), \
                    on_its_way(vol, devs, events, equal) as disk:
                first, count = devs[0].slot(0)
                devs[0].refuse_writes(first, 20 * count)
                refused(disk, (0, 19))
                devs[0].heal()
                ktap.check_eq("goes on", "JOINING" if equal else "SYNCING",
                              vol.link("@s2")["LINK_STATE"])
                if not equal:
                    vol.edo("VOL_SET", SYNC_KIBPS=0)
                    events.wait("SYNC_DONE", 60, STORE=uuid_text("@s2"))
                vol.confirm("@s2", "INSYNC")
                ktap.check("content", disk.read(19 * MIB, 256 << 10) ==
                           bytes([20]) * (256 << 10))
            finish(vol)


def test_refused_and_unreadable():
    """Nobody knows what the source has there: the copy is made anew."""
    with setting(extents=1) as (vol, devs, events):
        with on_its_way(vol, devs, events, True) as disk:
            devs[0].fail_range(*devs[0].slot(3))
            refused(disk, (3,))
            failed(vol, events, "@s2")
            devs[0].heal()
            vol.confirm("@s2", "OUT")
            disk.flush()
            ktap.check("copied", bring_back(vol, events, "@s2", devs[1]) > 0)
        finish(vol)


def test_source_fails():
    """The replica that is copied from fails; another one is there."""
    with setting(3) as (vol, devs, events):
        vol.attach()
        take_out(vol, events, "@s3", devs[2])
        big_data(vol, range(30))
        begin_resync(vol, "@s3", devs[2])
        devs[0].fail()
        writer = Writer(vol.path, lambda d: fill(d, (31,), 31))
        failed(vol, events, "@s1")
        vol.confirm("@s1", "OUT")
        vol.edo("VOL_SET", SYNC_KIBPS=0)

        # Either it goes on with the other source, or it is to be begun anew.
        def settled():
            state = vol.link("@s3")["LINK_STATE"]
            return state if state in ("JOINING", "FAILING") else None
        state = hcvtest.wait_for(settled, 30, "end of the resync")
        vol.confirm("@s3", "INSYNC" if state == "JOINING" else "OUT")
        ktap.check_eq("the write", 0, writer.wait())
        if state == "FAILING":
            bring_back(vol, events, "@s3", devs[2])
        bring_back(vol, events, "@s1", devs[0])
        finish(vol)


def test_last_source_fails():
    """The only source cannot be read: the copy is never called equal."""
    # A FLUSH would fail it for good.
    with no_autocommit(), setting() as (vol, devs, events):
        vol.attach()
        take_out(vol, events, "@s2", devs[1])
        big_data(vol, range(30))
        begin_resync(vol, "@s2", devs[1])
        devs[0].fail()
        vol.edo("VOL_SET", SYNC_KIBPS=0)
        failed(vol, events, "@s2")
        ktap.check_eq("the last one stays", "INSYNC",
                      vol.link("@s1")["LINK_STATE"])
        vol.confirm("@s2", "OUT")
        devs[0].heal()
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def test_suspend_during_resync():
    """It waits with the volume and goes on with it."""
    with setting() as (vol, devs, events):
        vol.attach()
        take_out(vol, events, "@s2", devs[1])
        big_data(vol, range(20))
        begin_resync(vol, "@s2", devs[1], 1024)
        vol.edo("VOL_SUSPEND")
        done = vol.link("@s2")["SYNC_COPIED"]
        writer = Writer(vol.path, lambda d: fill(d, (5,), 5))
        hcvtest.wait_for(lambda: vol.get()["WAIT"] == "SUSPEND", 10,
                         "a write that waits")
        ktap.check("the copy waits as well",
                   vol.link("@s2")["SYNC_COPIED"] - done <= 128 << 10)
        vol.edo("VOL_RESUME")
        ktap.check_eq("the write", 0, writer.wait())
        end_resync(vol, events, "@s2")
        finish(vol)


def tick(vol, store):
    """The leases on this node's stores were renewed a moment ago."""
    seen = [vol.link(store)["LEASE_MS"]]

    def renewed():
        seen.append(vol.link(store)["LEASE_MS"])
        return seen[-1] > seen[-2]
    hcvtest.wait_for(renewed, 10, "a tick")


def never_tied(vol, store):
    """Attached without a store, which is opened and has its extents."""
    vol.insync.discard(store)
    vol.attach()
    vol.open_store(store)
    vol.place(store, range(len(vol.rows)))


def test_lease_of_a_copy():
    """A copy that is equal at once does not stop the volume for want of a
    lease on its store."""
    with setting() as (vol, _, events):
        never_tied(vol, "@s2")
        # Half a second until anything else gives it one.
        tick(vol, "@s1")
        vol.link_add("@s2", "SYNCING")
        ktap.check("lease", vol.link("@s2")["LEASE_MS"] > 0)
        events.wait("SYNC_DONE", 20)
        vol.confirm("@s2", "INSYNC")
        finish(vol)


@contextlib.contextmanager
def rewriting(path, block):
    """A block is written and flushed without a pause; yields more(count):
    waits until that was done so many times again."""
    stop, errors, done = threading.Event(), [], [0]

    def run():
        try:
            with hcvvol.Disk(path) as disk:
                while not stop.is_set():
                    disk.write(block * 4096, bytes([done[0] % 251]) * 4096)
                    disk.flush()
                    done[0] += 1
        except OSError as e:
            errors.append(e)

    def more(count):
        want = done[0] + count
        hcvtest.wait_for(lambda: errors or done[0] >= want, 20,
                         "further writes")
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield more
    finally:
        stop.set()
        thread.join()
    ktap.check_eq("writes", [], errors)


def test_given_up_when_equal():
    """The agent gives an equal copy up, under writes and flushes: whatever
    pages the copy gets until it is out, none of them says that it has what
    is written after that."""
    # The larger a volume, the longer its marks of what to stamp are sought.
    with setting(extents=1, size=HUGE) as (vol, _, events):
        never_tied(vol, "@s2")
        for turn in range(3):
            vol.link_add("@s2", "SYNCING")
            events.wait("SYNC_DONE", 60, STORE=uuid_text("@s2"))
            ktap.check_eq("copied", turn > 0,
                          vol.link("@s2")["SYNC_COPIED"] > 0)
            with rewriting(vol.path, turn) as more:
                more(2)
                vol.confirm("@s2", "OUT")
                more(2)
            vol.reopen_store("@s2")
        ktap.check("copied", vol.resync(events, "@s2") > 0)
        finish(vol)


def test_repeated_absences():
    """Each return copies what was written in the absence, and no more."""
    with setting() as (vol, devs, events):
        vol.attach()
        big_data(vol, range(24), 64 << 10)
        for turn in range(4):
            store, dev = (("@s2", devs[1]), ("@s1", devs[0]))[turn % 2]
            take_out(vol, events, store, dev)
            with hcvvol.Disk(vol.path) as disk:
                fill(disk, (turn + 1,), turn)
            copied = bring_back(vol, events, store, dev)
            # Mib 0 by take_out(), and that one; 16 blocks each or fewer.
            ktap.check("no more than that", 0 < copied <= 2 * 65536,
                       str(copied))
        with hcvvol.Disk(vol.path) as disk:
            for turn in range(4):
                verify(disk, (turn + 1,), turn)
        finish(vol)


with pool:
    ktap.main(globals())
