#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""What the module does for a hand-over, both sides of it: a disk that is there
before the start and waits, a volume that is halted and goes on or is let go,
and the limits of every wait. Two modules are in selftests/cluster/handover.py."""

import contextlib
import errno
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import (Command, Writer, bring_back, failed, fill, finish,
                      io_errno, no_autocommit, take_out, verify, waits)
from hcvvol import MIB

LOG_OFF, LOG_SIZE = 128 << 10, 64 << 10

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 2)
setting = pool.setting
remote_setting = pool.remote_setting


def make_ready(vol, limit_ms=2000, **attrs):
    """The disk alone, under the next epoch."""
    vol.epoch += 1
    vol.v += 1
    vol.create(VOL_FLAGS="LOG|PREPARED", HANDOVER_MS=limit_ms, **attrs)


def start(vol):
    """What the agent does once the volume is this node's."""
    for store in vol.names:
        vol.open_store(store)
        vol.place(store, range(len(vol.rows)))
        vol.link_add(store, "INSYNC")
    vol.extent_add(range(len(vol.rows)))
    vol.edo("VOL_START", V=vol.v)


def halt(vol):
    vol.edo("VOL_SUSPEND", VOL_FLAGS="HANDOVER")


def let_go(vol):
    vol.stop(VOL_FLAGS="HANDOVER")


def state(vol):
    """And what is said of a hand-over."""
    got = vol.get()
    return got["VOL_STATE"], "|".join(
        flag for flag in got["VOL_FLAGS"].split("|") if flag != "LOG")


def waits_for_nothing(vol):
    """No store waits for a lease; the count of I/O takes a moment."""
    for store in vol.names:
        got = vol.edo("REVOKE", STORE=store)
        ktap.check_eq(f"lease of {store}", 0, got["LEASE_MS"])
        hcvtest.wait_for(lambda s=store: not vol.edo(
            "REVOKE", STORE=s)["INFLIGHT"], 10, "nothing in flight")


def prepared(path):
    return hcvvol.sysfs(path, "hcivol/prepared")


@contextlib.contextmanager
def held(path):
    """The disk, opened without I/O of ours, as QEMU holds it."""
    with hcvvol.Disk(path) as disk:
        yield disk


# --- the target

def test_disk_that_waits():
    with setting() as (vol, _, _):
        begin = time.monotonic()
        make_ready(vol, 5000)
        ktap.check("made at once", time.monotonic() - begin < 3,
                   "somebody read it")
        ktap.check_eq("state", ("NEW", "PREPARED"), state(vol))
        ktap.check_eq("sysfs", "1", prepared(vol.path))
        with held(vol.path) as disk:
            ktap.check_eq("size", vol.size, disk.size())
            ktap.check_eq("openers", 1, vol.get()["OPENERS"])
            reader = Writer(vol.path, lambda d: d.read(0))
            writer = Writer(vol.path, lambda d: fill(d, (1,), 1))
            waits(vol, 2, "HANDOVER")
            ktap.check("they wait", not reader.ended() and not writer.ended())
            ktap.check_eq("the read, after the limit", errno.EIO,
                          reader.wait())
            ktap.check_eq("the write", errno.EIO, writer.wait())
            ktap.check_eq("a flush", errno.EIO, io_errno(disk.flush))
            ktap.check_eq("still there", ("NEW", "PREPARED"), state(vol))
        vol.stop()
        node.fails(errno.ENOENT, "no such volume", "VOL_GET", VOL=vol.vol)


def start_case(queue):
    """What waits when the volume is started is done, and nothing was read
    before."""
    with setting(queue=queue) as (vol, _, _):
        make_ready(vol, 60000)
        with held(vol.path) as disk:
            writer = Writer(vol.path, lambda d: fill(d, (1, 2), 5))
            waits(vol, 1, "HANDOVER")
            start(vol)
            ktap.check_eq("the write", 0, writer.wait())
            ktap.check_eq("state", ("ACTIVE", ""), state(vol))
            ktap.check_eq("sysfs", "0", prepared(vol.path))
            verify(disk, (1, 2), 5)
            disk.flush()
        finish(vol)
        # And what a disk that was made by the start finds.
        vol.fresh = set()
        with vol.attached() as disk:
            verify(disk, (1, 2), 5)


def test_start_mq():
    start_case("MQ")


def test_start_bio():
    start_case("BIO")


def test_partitions_after_the_start():
    """Nobody looked for them before; whoever opens it next does."""
    table = bytearray(512)
    table[446:462] = bytes([0, 0, 2, 0, 0x83, 0, 2, 0]) + \
        (2048).to_bytes(4, "little") + (4096).to_bytes(4, "little")
    table[510:] = b"\x55\xaa"
    with setting() as (vol, _, _):
        with vol.attached() as disk:
            disk.write(0, bytes(table).ljust(4096, b"\0"))
        vol.fresh = set()
        make_ready(vol, 60000)
        part = f"{vol.path}p1"
        ktap.check("none yet", not os.path.exists(part))
        start(vol)
        with held(vol.path):
            hcvtest.wait_for(lambda: os.path.exists(part), 10, part)
        finish(vol)


def test_started_wait_has_no_limit():
    """Once the start has begun, what waits is not given up by the limit."""
    with setting() as (vol, devs, _):
        vol.attach()
        vol.detach()
        vol.fresh = set()
        make_ready(vol, 1000)
        for store in vol.names:
            vol.open_store(store)
            vol.place(store, range(len(vol.rows)))
            vol.link_add(store, "INSYNC")
        vol.extent_add(range(len(vol.rows)))
        for dev in devs:
            dev.delay(read=3000)
        command = Command("VOL_START", VOL=vol.vol, EPOCH=vol.epoch, V=vol.v)
        hcvtest.wait_for(lambda: vol.get()["VOL_STATE"] == "LOADING", 10,
                         "loading")
        writer = Writer(vol.path, lambda d: fill(d, (1,), 3))
        ktap.check_eq("start", 0, command.wait(120))
        for dev in devs:
            dev.heal()
        ktap.check_eq("the write", 0, writer.wait(60))
        finish(vol)


def waited_ms(vol):
    return next((w["WAIT_MS"] for w in vol.get().get("WAITS", [])
                 if w["WAIT"] == "HANDOVER"), 0)


def test_owned_wait_has_no_limit():
    """Nor once the agent has said that this node owns it: stores may take
    their time until the start."""
    with setting() as (vol, _, _):
        make_ready(vol, 1000)
        node.fails(errno.EINVAL, "taken away only", "VOL_SET", VOL=vol.vol,
                   EPOCH=vol.epoch, HANDOVER_MS=5000)
        vol.edo("VOL_SET", HANDOVER_MS=0)
        ktap.check("no limit any more", "HANDOVER_MS" not in vol.get())
        writer = Writer(vol.path, lambda d: fill(d, (1,), 4))
        hcvtest.wait_for(lambda: waited_ms(vol) > 3000, 60, "a long wait")
        ktap.check("it waits still", not writer.ended())
        start(vol)
        ktap.check_eq("the write", 0, writer.wait())
        finish(vol)


def test_given_up():
    """By a stop, which a holder of the disk keeps off, and by force."""
    with setting() as (vol, _, _):
        make_ready(vol, 60000)
        with held(vol.path) as disk:
            node.fails(errno.EBUSY, "open", "VOL_STOP", VOL=vol.vol)
            writer = Writer(vol.path, lambda d: fill(d, (1,), 1))
            waits(vol, 1, "HANDOVER")
            vol.stop(VOL_FLAGS="FORCE")
            ktap.check_eq("what waited", errno.EIO, writer.wait())
            ktap.check("the holder gets an error",
                       io_errno(lambda: disk.write(0, bytes(4096))) != 0)
        # The same again: nothing of the first one is left.
        make_ready(vol)
        vol.stop()


def test_fenced():
    with setting() as (vol, _, _):
        make_ready(vol, 60000)
        writer = Writer(vol.path, lambda d: fill(d, (1,), 1))
        waits(vol, 1, "HANDOVER")
        vol.edo("VOL_FENCE")
        ktap.check_eq("what waited", errno.EIO, writer.wait())
        ktap.check_eq("state", ("FENCED", ""), state(vol))
        vol.stop(VOL_FLAGS="FORCE")


def test_start_that_fails():
    with setting() as (vol, devs, _):
        vol.attach()
        vol.detach()
        vol.fresh = set()
        make_ready(vol, 60000)
        writer = Writer(vol.path, lambda d: fill(d, (1,), 1))
        waits(vol, 1, "HANDOVER")
        for store in vol.names:
            vol.open_store(store)
            vol.place(store, range(len(vol.rows)))
            vol.link_add(store, "INSYNC")
        vol.extent_add(range(len(vol.rows)))
        for dev in devs:
            dev.fail()
        command = Command("VOL_START", VOL=vol.vol, EPOCH=vol.epoch, V=vol.v)
        ktap.check("start", command.wait(60) != 0)
        ktap.check_eq("what waited", errno.EIO, writer.wait())


def test_replica_dies_before_the_start():
    """Between the record's change and the start: it costs the replica, not the
    disk that waits, nor the I/O that does."""
    with setting() as (vol, devs, events):
        with vol.attached() as disk:
            fill(disk, (1, 2), 1)
        for i, breaks in ((1, devs[1].fail), (0, devs[0].fail),
                          (1, devs[1].fail_flush)):
            store = vol.names[i]
            make_ready(vol, 60000)
            with held(vol.path) as disk:
                writer = Writer(vol.path, lambda d: fill(d, (1,), vol.epoch))
                waits(vol, 1, "HANDOVER")
                for one in vol.names:
                    if one not in vol.incarnation:
                        vol.open_store(one)
                    vol.place(one, range(len(vol.rows)))
                    vol.link_add(one, "INSYNC")
                vol.extent_add(range(len(vol.rows)))
                breaks()
                vol.edo("VOL_START", V=vol.v)
                ktap.check_eq("state", ("ACTIVE", ""), state(vol))
                failed(vol, events, store)
                waits(vol, 1, "CONFIRM")
                vol.confirm(store, "OUT")
                ktap.check_eq("what waited", 0, writer.wait())
                verify(disk, (1,), vol.epoch)
                verify(disk, (2,), 1)
            bring_back(vol, events, store, devs[i])
            finish(vol)


def test_changed_before_the_start():
    """Size and name, as the definition may change while it waits."""
    with setting() as (vol, _, _):
        make_ready(vol)
        vol.edo("VOL_SET", SIZE=2 * vol.size)
        vol.edo("VOL_SET", NAME="other")
        ktap.check_eq("name", "other", vol.get()["NAME"])
        ktap.check_eq("name in sysfs", "other",
                      hcvvol.sysfs(vol.path, "hcivol/name"))
        with held(vol.path) as disk:
            ktap.check_eq("size", 2 * vol.size, disk.size())
        start(vol)
        with held(vol.path) as disk:
            disk.write(2 * vol.size - 4096, bytes([7]) * 4096)
            ktap.check("at the end", disk.read(2 * vol.size - 4096) ==
                       bytes([7]) * 4096)
        finish(vol)


def test_words_that_do_not_fit():
    with setting() as (vol, _, _):
        node.fails(errno.EINVAL, "60000 ms at most", "VOL_CREATE",
                   VOL=vol.vol, NAME="v1", SIZE=vol.size, STRIPE=1, REPLICAS=2,
                   V=1, LINEAGE=7, EPOCH=1, QUEUE="MQ", VOL_FLAGS="PREPARED",
                   HANDOVER_MS=60001)
        node.fails(errno.EINVAL, "unknown volume flags", "VOL_CREATE",
                   VOL=vol.vol, NAME="v1", SIZE=vol.size, STRIPE=1, REPLICAS=2,
                   V=1, LINEAGE=7, EPOCH=1, QUEUE="MQ", VOL_FLAGS="HANDOVER")
        vol.attach()
        node.fails(errno.EINVAL, "HANDOVER", "VOL_SUSPEND", VOL=vol.vol,
                   EPOCH=vol.epoch, VOL_FLAGS="FORCE")
        node.fails(errno.EINVAL, "HANDOVER", "VOL_STOP", VOL=vol.vol,
                   VOL_FLAGS="FORCE|HANDOVER")
        node.fails(errno.EINVAL, "not halted", "VOL_STOP", VOL=vol.vol,
                   VOL_FLAGS="HANDOVER")
        vol.edo("VOL_SUSPEND")
        node.fails(errno.EINVAL, "not active", "VOL_SUSPEND", VOL=vol.vol,
                   EPOCH=vol.epoch, VOL_FLAGS="HANDOVER")
        node.fails(errno.EINVAL, "not halted", "VOL_STOP", VOL=vol.vol,
                   VOL_FLAGS="HANDOVER")
        vol.edo("VOL_RESUME")
        ktap.check("the module says that it can",
                   node.do("MODULE_GET")["FEATURES"] & 1)
        finish(vol)


# --- the source

def test_halted_goes_on():
    with setting() as (vol, _, _):
        vol.attach()
        with held(vol.path) as disk:
            fill(disk, (1, 2), 1)
            for _ in range(2):      # a repeat says the same
                halt(vol)
                ktap.check_eq("state", ("SUSPENDED", "HANDOVER"), state(vol))
            ktap.check_eq("all is flushed", 0, vol.get()["UNFLUSHED_MIBS"])
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            waits(vol, 1, "HANDOVER")
            vol.edo("VOL_RESUME")
            ktap.check_eq("state", ("ACTIVE", ""), state(vol))
            ktap.check_eq("the write", 0, writer.wait())
            verify(disk, (1,), 2)
            verify(disk, (2,), 1)
        finish(vol)


def test_log_is_empty():
    """The next owner finds nothing named: it has no pages to be written while
    its guest waits."""
    with setting() as (vol, _, _), no_autocommit():
        vol.attach()
        with held(vol.path) as disk:
            fill(disk, range(1, 40), 1)
            ktap.check_eq("entries", 39, vol.get()["LOG_ENTRIES"])
            halt(vol)
            got = vol.get()
            ktap.check_eq("entries of a halted one", (0, 0),
                          (got["LOG_ENTRIES"], got["LOG_DROPPED"]))
            let_go(vol)
        vol.close_stores()
        make_ready(vol, 60000)
        with held(vol.path) as disk:
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            waits(vol, 1, "HANDOVER")
            start(vol)
            ktap.check_eq("named", 0, vol.get()["LOG_NAMED"])
            ktap.check_eq("the write", 0, writer.wait())
            verify(disk, (1,), 2)
            verify(disk, range(2, 40), 1)
        finish(vol)


def unclean(vol, source):
    """The owner is gone; what the next one finds named."""
    vol.stop(VOL_FLAGS="FORCE")
    vol.close_stores()
    vol.insync = {source}
    vol.attach()
    return vol.get()["LOG_NAMED"]


def test_log_after_a_resume():
    """Who goes on writes it anew: what is written from then on is named, what
    was written before as well, and nothing else."""
    with setting() as (vol, devs, events), no_autocommit():
        for source, other in (("@s1", "@s2"), ("@s2", "@s1")):
            vol.insync = set(vol.names)
            vol.attach()
            with held(vol.path) as disk:
                fill(disk, range(1, 9), 1)
                halt(vol)
                writer = Writer(vol.path, lambda d: fill(d, (3,), 2))
                waits(vol, 1, "HANDOVER")
                vol.edo("VOL_RESUME")
                ktap.check_eq("the write", 0, writer.wait())
                fill(disk, (9,), 2)
                ktap.check_eq("entries", 2, vol.get()["LOG_ENTRIES"])
                # Of a new slot; an entry stays beyond that.
                disk.flush()
            ktap.check_eq(f"named on {source}", 2, unclean(vol, source))
            with held(vol.path) as disk:
                verify(disk, (1, 2, 4, 8), 1)
                verify(disk, (3, 9), 2)
            vol.open_store(other)
            copied = vol.resync(events, other)
            ktap.check("copied what was named, no more",
                       0 < copied <= 2 * MIB, f"{copied} bytes")
            finish(vol)


def log_of(dev):
    """(first, count): sectors of the log of the first volume."""
    sb = hcvtest.read_super(dev.disk)
    return (sb["vol_off"] + LOG_OFF) // 512, LOG_SIZE // 512


def test_log_that_fails():
    """A replica refuses what empties the log: it leaves before the volume is
    halted."""
    with setting() as (vol, devs, events), no_autocommit():
        vol.attach()
        with held(vol.path) as disk:
            fill(disk, (1, 2), 1)
            devs[1].fail_range(*log_of(devs[1]))
            node.fails(errno.EAGAIN, "goes on", "VOL_SUSPEND", VOL=vol.vol,
                       EPOCH=vol.epoch, VOL_FLAGS="HANDOVER")
            failed(vol, events, "@s2")
            ktap.check_eq("goes on", ("ACTIVE", ""), state(vol))
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            waits(vol, 1)
            vol.confirm("@s2", "OUT")
            ktap.check_eq("the write", 0, writer.wait())
            halt(vol)
            ktap.check_eq("entries", 0, vol.get()["LOG_ENTRIES"])
            vol.edo("VOL_RESUME")
            fill(disk, (2,), 2)
            ktap.check_eq("named anew", 1, vol.get()["LOG_ENTRIES"])
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def test_log_that_takes_long():
    """The volume goes on after two seconds; who writes waits for the log as
    ever, and finds it as it should be."""
    with setting() as (vol, devs, events), no_autocommit():
        vol.attach()
        with held(vol.path) as disk:
            fill(disk, (1, 2), 1)
            devs[1].hold_data(*log_of(devs[1]))
            begin = time.monotonic()
            node.fails(errno.ETIMEDOUT, "goes on", "VOL_SUSPEND", VOL=vol.vol,
                       EPOCH=vol.epoch, VOL_FLAGS="HANDOVER")
            ktap.note(f"goes on after {time.monotonic() - begin:.1f} s")
            ktap.check_eq("goes on", ("ACTIVE", ""), state(vol))
            disk.read(MIB)
            writer = Writer(vol.path, lambda d: fill(d, (2, 7), 2))
            waits(vol, 1, "LOG")
            devs[1].heal()
            ktap.check_eq("the write", 0, writer.wait(60))
            ktap.check_eq("entries", 2, vol.get()["LOG_ENTRIES"])
            disk.flush()
        ktap.check_eq("named", 2, unclean(vol, "@s2"))
        with held(vol.path) as disk:
            verify(disk, (1,), 1)
            verify(disk, (2, 7), 2)
        vol.open_store("@s1")
        vol.resync(events, "@s1")
        finish(vol)


def scrubbed(vol):
    got = vol.get()["SCRUB"][0]
    return got["SCRUB_STATE"], got["SCRUB_READ"]


def test_halted_scrub():
    """A pass rests while the volume is halted, keeps nobody waiting, and goes
    on, or ends with the volume."""
    with setting() as (vol, _, events), no_autocommit():
        vol.attach()
        with held(vol.path) as disk:
            for mib in range(1, 20):
                disk.write(mib * MIB, bytes([mib]) * MIB)
            vol.edo("VOL_SCRUB", SCRUB_OP="START", SCRUB_KIBPS=512)
            hcvtest.wait_for(lambda: scrubbed(vol)[1], 30, "some of it")
            halt(vol)
            hcvtest.wait_for(lambda: scrubbed(vol)[0] == "PAUSED", 10,
                             "a pause")
            before = [vol.link(s)["WRITE_IOS"] + vol.link(s)["READ_IOS"]
                      for s in vol.names]
            writer = Writer(vol.path, lambda d: fill(d, (1,), 9))
            hcvtest.wait_for(lambda: waited_ms(vol) > 4000, 60, "some ticks")
            ktap.check_eq("I/O", before, [
                vol.link(s)["WRITE_IOS"] + vol.link(s)["READ_IOS"]
                for s in vol.names])
            read = scrubbed(vol)[1]
            vol.edo("VOL_RESUME")
            ktap.check_eq("the write", 0, writer.wait())
            hcvtest.wait_for(lambda: scrubbed(vol)[1] > read, 30,
                             "further pieces")
            # Without a limit from here: the halt comes upon it at work.
            vol.edo("VOL_SCRUB", SCRUB_OP="START", SCRUB_KIBPS=0)
            halt(vol)
            ktap.note(f"scrub: {scrubbed(vol)}")
            vol.edo("VOL_RESUME")
            events.wait("SCRUB_ENDED", 60)
            ktap.check_eq("its end", "DONE", scrubbed(vol)[0])
            vol.edo("VOL_SCRUB", SCRUB_OP="START", SCRUB_KIBPS=512)
            halt(vol)
            let_go(vol)
            events.wait("SCRUB_ENDED")
        vol.close_stores()
        with vol.attached() as disk:
            ktap.check("none is left of it", "SCRUB" not in vol.get())
            verify(disk, (1,), 9)


def test_halted_stops():
    """The other ways out of it: in order when closed, and by force."""
    with setting() as (vol, _, _):
        vol.attach()
        with held(vol.path):
            halt(vol)
            node.fails(errno.EBUSY, "open", "VOL_STOP", VOL=vol.vol)
            ktap.check_eq("halted still", ("SUSPENDED", "HANDOVER"),
                          state(vol))
        vol.stop()
        vol.close_stores()
        vol.fresh = set()
        vol.attach()
        writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
        ktap.check_eq("a write", 0, writer.wait())
        halt(vol)
        writer = Writer(vol.path, lambda d: fill(d, (1,), 3))
        waits(vol, 1, "HANDOVER")
        vol.stop(VOL_FLAGS="FORCE")
        ktap.check_eq("what waited", errno.EIO, writer.wait())
        vol.close_stores()
        vol.check_stores()
        with vol.attached() as disk:
            verify(disk, (1,), 2)


def test_halt_with_a_failing_replica():
    with setting() as (vol, devs, events):
        vol.attach()
        with held(vol.path) as disk:
            fill(disk, (1, 2), 1)
            disk.flush()
            devs[1].fail_writes()
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            failed(vol, events, "@s2")
            node.fails(errno.EBUSY, "not yet removed", "VOL_SUSPEND",
                       VOL=vol.vol, EPOCH=vol.epoch, VOL_FLAGS="HANDOVER")
            ktap.check_eq("goes on", ("ACTIVE", ""), state(vol))
            vol.confirm("@s2", "OUT")
            ktap.check_eq("the write", 0, writer.wait())
            halt(vol)
            vol.edo("VOL_RESUME")
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def test_halt_meets_a_failure():
    """The flush before the halt fails on one replica: I/O is not held for
    that, and the halt succeeds after the word of the agent."""
    with setting() as (vol, devs, events):
        vol.attach()
        with held(vol.path) as disk:
            fill(disk, (1,), 1)
            devs[1].fail_flush()
            command = Command("VOL_SUSPEND", VOL=vol.vol, EPOCH=vol.epoch,
                              VOL_FLAGS="HANDOVER")
            failed(vol, events, "@s2")
            ktap.check_eq("not halted", ("ACTIVE", ""), state(vol))
            vol.confirm("@s2", "OUT")
            ktap.check_eq("halt", 0, command.wait(60))
            ktap.check_eq("state", ("SUSPENDED", "HANDOVER"), state(vol))
            vol.edo("VOL_RESUME")
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


def test_halted_writes_nothing():
    """The record may call it clean: not even a resync that finds nothing to be
    copied, nor the tick, has pages written."""
    with setting() as (vol, devs, events):
        vol.attach()
        with held(vol.path) as disk:
            fill(disk, (1, 2), 1)
            disk.flush()
            # It goes without having missed anything.
            devs[1].fail_flush()
            flusher = Writer(vol.path, lambda d: d.flush())
            failed(vol, events, "@s2")
            vol.confirm("@s2", "OUT")
            ktap.check_eq("a flush", 0, flusher.wait())
            devs[1].heal()
            vol.reopen_store("@s2")
            vol.place("@s2", range(len(vol.rows)))
            halt(vol)
            before = vol.link("@s1")["WRITE_IOS"]
            vol.link_add("@s2", "SYNCING")
            other = vol.link("@s2")["WRITE_IOS"]
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            hcvtest.wait_for(lambda: waited_ms(vol) > 8000, 60, "some ticks")
            ktap.check_eq("state", "SYNCING", vol.link("@s2")["LINK_STATE"])
            ktap.check_eq("nothing was to be copied", 0,
                          vol.link("@s2")["SYNC_COPIED"])
            ktap.check_eq("writes", (before, other), (
                vol.link("@s1")["WRITE_IOS"], vol.link("@s2")["WRITE_IOS"]))
            vol.edo("VOL_RESUME")
            ktap.check_eq("the write", 0, writer.wait())
            events.wait("SYNC_DONE", 60, STORE=hcvtest.uuid_text("@s2"))
            vol.confirm("@s2", "INSYNC")
        finish(vol)


def test_halted_resync():
    """A resync in the midst of its copies: it rests while the volume is halted,
    and goes on, or ends with the volume."""
    with setting() as (vol, devs, events):
        vol.attach(SYNC_KIBPS=128)
        with held(vol.path) as disk:
            fill(disk, range(1, 20), 1)
            disk.flush()
            take_out(vol, events, "@s2", devs[1])
            devs[1].heal()
            vol.reopen_store("@s2")
            for turn in (2, 3):
                for mib in range(1, 20):
                    disk.write(mib * MIB, bytes([turn]) * MIB)
                # Slots of before go back, others take their place.
                disk.discard(30 * MIB, 8 * MIB)
                fill(disk, range(30, 38), turn)
                disk.flush()
            vol.place("@s2", range(len(vol.rows)))
            vol.link_add("@s2", "SYNCING")
            hcvtest.wait_for(lambda: vol.link("@s2")["SYNC_COPIED"], 30,
                             "a resync under way")
            for turn in (4, 5):
                fill(disk, range(1, 10), turn)
                halt(vol)
                ktap.check_eq("syncing", "SYNCING",
                              vol.link("@s2")["LINK_STATE"])
                before = [vol.link(s)["WRITE_IOS"] for s in vol.names]
                writer = Writer(vol.path, lambda d: fill(d, (1,), 9))
                hcvtest.wait_for(lambda: waited_ms(vol) > 6000, 60,
                                 "some ticks")
                ktap.check_eq("writes", before,
                              [vol.link(s)["WRITE_IOS"] for s in vol.names])
                if turn == 4:
                    vol.edo("VOL_RESUME")
                    ktap.check_eq("the write", 0, writer.wait())
                    copied = vol.link("@s2")["SYNC_COPIED"]
                    hcvtest.wait_for(lambda: vol.link("@s2")["SYNC_COPIED"] >
                                     copied, 30, "further copies")
            let_go(vol)
            ktap.check_eq("what waited", errno.EIO, writer.wait())
        events.poll()
        vol.close_stores()
        with vol.attached() as disk:
            ktap.check("without the copy", vol.insync == {"@s1"})
            verify(disk, range(2, 10), 5)
            verify(disk, range(10, 20), 3)
            verify(disk, range(30, 38), 3)


def test_halt_that_takes_long():
    """I/O that does not end within two seconds: the volume goes on."""
    with setting() as (vol, devs, _):
        vol.attach()
        with held(vol.path) as disk:
            fill(disk, (1, 2), 1)
            disk.flush()
            for dev in devs:
                dev.delay(read=8000)
            reader = Writer(vol.path, lambda d: d.read(MIB + 4096))
            hcvtest.wait_for(lambda: hcvtest.in_flight(vol.path)[0] == 1, 10,
                             "a read under way")
            node.fails(errno.ETIMEDOUT, "goes on", "VOL_SUSPEND", VOL=vol.vol,
                       EPOCH=vol.epoch, VOL_FLAGS="HANDOVER")
            ktap.check("before the read", not reader.ended())
            ktap.check_eq("goes on", ("ACTIVE", ""), state(vol))
            fill(disk, (2,), 2)
            ktap.check_eq("the read", 0, reader.wait(60))
            for dev in devs:
                dev.heal()
            verify(disk, (2,), 2)
        finish(vol)


def let_go_case(queue):
    """With the disk open: it fails everything, the stores know at once that
    the epoch is over, and the volume may come again."""
    with setting(queue=queue) as (vol, _, _):
        vol.attach()
        old = vol.path
        with held(old) as disk:
            fill(disk, (1, 2), 1)
            halt(vol)
            writer = Writer(old, lambda d: fill(d, (1,), 9))
            waits(vol, 1, "HANDOVER")
            let_go(vol)
            ktap.check_eq("what waited", errno.EIO, writer.wait())
            for what, action in (
                    ("read", lambda: disk.read(MIB + 4096)),
                    ("write", lambda: disk.write(0, bytes(4096))),
                    ("flush", disk.flush)):
                ktap.check_eq(what, errno.EIO, io_errno(action))
            node.fails(errno.ENOENT, "no such volume", "VOL_GET", VOL=vol.vol)
            ktap.check("the disk is there", os.path.exists(old))
            ktap.check_eq("not for anybody else", errno.ENXIO,
                          io_errno(lambda: hcvtest.Device(old)))
            waits_for_nothing(vol)
            # The next owner, here; the old disk is in nobody's way.
            vol.fresh = set()
            vol.attach()
            ktap.check("another disk", vol.path != old, vol.path)
            with held(vol.path) as new:
                verify(new, (1, 2), 1)
                fill(new, (1,), 2)
            ktap.check_eq("the old one", errno.EIO,
                          io_errno(lambda: disk.read(MIB + 4096)))
        hcvtest.wait_for(lambda: not os.path.exists(old), 10,
                         "end of the old disk")
        finish(vol)
        with vol.attached() as disk:
            verify(disk, (1,), 2)
            verify(disk, (2,), 1)


def test_let_go_mq():
    let_go_case("MQ")


def test_let_go_bio():
    let_go_case("BIO")


def test_let_go_after_a_revocation():
    """A store that has revoked the epoch before the word comes waits for the
    end of a lease, and is told that it is over."""
    with setting() as (vol, _, events):
        vol.attach()
        halt(vol)
        for store in vol.names:
            got = vol.edo("REVOKE", STORE=store)
            ktap.check(f"{store} waits", got["LEASE_MS"] > 0, str(got))
        events.forget("REVOKED")
        let_go(vol)
        for store in vol.names:
            events.wait("REVOKED", STORE=hcvtest.uuid_text(store))
        waits_for_nothing(vol)


def test_let_go_of_who_does_not_answer():
    """The word to a store that hangs delays the one to no other."""
    with remote_setting(2, ("@s1", "@s2")) as (vol, _, events):
        vol.attach()
        halt(vol)
        events.forget("REVOKED")
        vol.paths["@s1"].suspend()
        word = Command("VOL_STOP", VOL=vol.vol, VOL_FLAGS="HANDOVER")
        events.wait("REVOKED", STORE=hcvtest.uuid_text("@s2"))
        ktap.check("one hangs", not word.ended())
        vol.paths["@s1"].resume()
        ktap.check_eq("let go", 0, word.wait())
        events.wait("REVOKED", STORE=hcvtest.uuid_text("@s1"))
        waits_for_nothing(vol)


def test_let_go_closed():
    """Nobody has it open: it is gone, and a second word finds nothing."""
    with setting() as (vol, _, _):
        vol.attach()
        halt(vol)
        let_go(vol)
        hcvtest.wait_for(lambda: not os.path.exists(vol.path), 10,
                         "end of the disk")
        node.fails(errno.ENOENT, "no such volume", "VOL_STOP", VOL=vol.vol,
                   VOL_FLAGS="HANDOVER")
        vol.close_stores()
        vol.check_stores()


def test_unload_waits_for_the_closer():
    with setting() as (vol, _, _):
        vol.attach()
        with held(vol.path):
            halt(vol)
            let_go(vol)
            vol.close_stores()
            try:
                hcvtest.unload_module()
                ktap.check("the module stays", False)
            except RuntimeError as e:
                ktap.check_match("says why", "in use", str(e))
        hcvtest.wait_for(lambda: not os.path.exists(vol.path), 10,
                         "end of the disk")


def test_many_turns():
    """To and fro with a writer that starts over each time: what was
    acknowledged is there."""
    with setting() as (vol, _, _):
        vol.attach()
        for turn in range(1, 11):
            with held(vol.path) as disk:
                fill(disk, range(1, 6), turn)
                writer = Writer(vol.path, lambda d, t=turn: [
                    fill(d, (6 + i % 4,), t) for i in range(500)])
                halt(vol)
                let_go(vol)
                # ENXIO: it came too late.
                got = writer.wait()
                ktap.check("the writer", got in (0, errno.EIO, errno.ENXIO),
                           got)
            vol.fresh = set()
            make_ready(vol, 60000)
            for store in vol.names:
                vol.link_add(store, "INSYNC")
            vol.extent_add(range(len(vol.rows)))
            vol.edo("VOL_START", V=vol.v)
            with held(vol.path) as disk:
                verify(disk, range(1, 6), turn)
        finish(vol)


with pool:
    ktap.main(globals(), parts=2)
