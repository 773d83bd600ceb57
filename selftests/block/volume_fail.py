#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 600
# TAGS: soak
# MEM: 2048
"""Volumes in trouble: replicas that fail and come back, no space, a stop with
I/O stuck, words of the agent that are out of date or wrong."""

import contextlib
import errno
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvtest import uuid_text
from hcvvol import MIB, Volume

SECTORS = hcvvol.STORE_BYTES // 512
node = hcvtest.Node()


class Breakable:
    """A dm device over a disk that can be told to fail."""

    def __init__(self, name, disk):
        self.name, self.disk = name, disk
        self.path = hcvtest.dm_create(name, self.good())

    def good(self):
        return f"0 {SECTORS} linear {self.disk} 0"

    def load(self, table):
        hcvtest.dm_reload(self.name, table)

    def fail(self):
        self.load(f"0 {SECTORS} error")

    def fail_flush(self):
        """Each target gets a FLUSH; that of the unused end refuses it."""
        end = SECTORS - 8
        self.load(f"0 {end} linear {self.disk} 0\n{end} 8 flakey {self.disk} "
                  f"{end} 0 3600 1 error_writes")

    def fail_writes(self):
        self.load(f"0 {SECTORS} flakey {self.disk} 0 0 3600 1 error_writes")

    def heal(self):
        self.load(self.good())

    def suspend(self):
        hcvtest.run("dmsetup", "suspend", "--nolockfs", "--noflush",
                    self.name)

    def resume(self):
        hcvtest.run("dmsetup", "resume", "--noudevsync", self.name)


class Writer:
    """A process that does some I/O, and how that ended."""

    def __init__(self, path, action):
        self.pid = os.fork()
        if self.pid:
            self.code = None
            return
        code = 255
        try:
            with hcvvol.Disk(path) as disk:
                action(disk)
            code = 0
        except OSError as e:
            code = e.errno
        os._exit(code)

    def ended(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def wait(self, limit=20):
        hcvtest.wait_for(self.ended, limit, "end of an I/O")
        return self.code


def io_errno(action):
    try:
        action()
    except OSError as e:
        return e.errno
    return 0


@contextlib.contextmanager
def setting(count=2, **attrs):
    """(volume, breakable devices, events), the volume formatted."""
    hcvtest.run("modprobe", "dm-flakey")
    with contextlib.ExitStack() as stack:
        disks = stack.enter_context(hcvvol.ram_disks(count))
        devs = []
        for i, disk in enumerate(disks):
            devs.append(Breakable(f"b{i}", disk))
            stack.callback(hcvtest.dm_remove, f"b{i}")
        vol = Volume(node, [d.path for d in devs], **attrs).format()
        events = stack.enter_context(hcvvol.Events())
        stack.callback(vol.end)
        yield vol, devs, events


def fill(disk, mibs, byte):
    for mib in mibs:
        disk.write(mib * MIB + 4096, bytes([byte]) * 8192)


def verify(disk, mibs, byte):
    for mib in mibs:
        if disk.read(mib * MIB + 4096, 8192) != bytes([byte]) * 8192:
            ktap.check(f"content of mib {mib}", False)


def finish(vol):
    """A clean end, and equal replicas."""
    vol.detach()
    vol.check_stores()


def lose(vol, events, breaks):
    """The second replica fails under a write; returns the bytes resynced."""
    with hcvvol.Disk(vol.path) as disk:
        fill(disk, range(40), 1)
        disk.flush()
        breaks()
        writer = Writer(vol.path, lambda d: (d.write(5 * MIB, b"2" * 4096),
                                             d.flush()))
        told = events.wait("LINK_FAILED", STORE=uuid_text("@s2"))
        ktap.check_eq("told", (uuid_text("@v1"), vol.epoch, vol.v,
                               vol.incarnation["@s2"]),
                      tuple(told[k] for k in ("VOL", "EPOCH", "V",
                                              "INCARNATION")))
        hcvtest.wait_for(lambda: vol.get()["WAIT"] == "CONFIRM", 10,
                         "a wait for the agent")
        ktap.check("not acknowledged before the word", not writer.ended())
        ktap.check_eq("state", "FAILING", vol.link("@s2")["LINK_STATE"])
        # Reads go on.
        verify(disk, range(20, 23), 1)
        vol.confirm("@s2", "OUT")
        ktap.check_eq("acknowledged", 0, writer.wait())
        fill(disk, (7, 60), 3)
        disk.flush()
        ktap.check_eq("new data", b"2" * 4096, disk.read(5 * MIB))


def check_failure(how):
    with setting() as (vol, devs, events):
        vol.attach()
        lose(vol, events, getattr(devs[1], how))
        devs[1].heal()
        vol.reopen_store("@s2")
        copied = vol.resync(events, "@s2")
        # Mibs 5, 7 and 60 were written; each has few valid blocks.
        ktap.check("only what changed was copied",
                   16384 <= copied <= 3 * 16384, str(copied))
        with hcvvol.Disk(vol.path) as disk:
            verify(disk, (7, 60), 3)
            verify(disk, (6, 39), 1)
            fill(disk, range(30, 34), 4)
        finish(vol)


def test_write_errors():
    check_failure("fail_writes")


def test_dead_device():
    check_failure("fail")


def test_flush_errors():
    check_failure("fail_flush")


def test_read_errors():
    """A read goes to another replica, and the first one is failed."""
    with setting() as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(8), 1)
            disk.flush()
            before = [vol.link(s)["READ_IOS"] for s in vol.names]
            verify(disk, range(8), 1)
            for i, store in enumerate(vol.names):
                if vol.link(store)["READ_IOS"] > before[i]:
                    devs[i].fail()
            verify(disk, range(8), 1)
            failed = [s for s in vol.names
                      if vol.link(s)["LINK_STATE"] != "INSYNC"]
            if not failed:
                # Nothing had been read before: whichever was asked now.
                devs[0].fail()
                verify(disk, range(8), 1)
                failed = ["@s1"] if vol.link("@s1")["LINK_STATE"] \
                    != "INSYNC" else []
            if not failed:
                devs[0].heal()
                devs[1].fail()
                verify(disk, range(8), 1)
                failed = ["@s2"]
            ktap.check_eq("failed", "FAILING",
                          vol.link(failed[0])["LINK_STATE"])
            events.wait("LINK_FAILED", STORE=uuid_text(failed[0]))
            vol.confirm(failed[0], "OUT")
            disk.write(0, b"n" * 4096)
            disk.flush()
        for dev in devs:
            dev.heal()
        vol.reopen_store(failed[0])
        vol.resync(events, failed[0])
        finish(vol)


def test_three_replicas():
    """Two fail one after the other, the third goes on alone."""
    with setting(3) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(10), 1)
            for i in (2, 1):
                devs[i].fail()
                writer = Writer(vol.path, lambda d, b=i: fill(d, (3,), b))
                events.wait("LINK_FAILED", STORE=uuid_text(f"@s{i + 1}"))
                ktap.check("waits", not writer.ended())
                vol.confirm(f"@s{i + 1}", "OUT")
                ktap.check_eq("goes on", 0, writer.wait())
            disk.flush()
            for i in (1, 2):
                devs[i].heal()
                vol.reopen_store(f"@s{i + 1}")
                vol.resync(events, f"@s{i + 1}")
            verify(disk, (3,), 1)
            verify(disk, (4,), 1)
        finish(vol)


def test_failure_during_resync():
    with setting() as (vol, devs, events):
        vol.attach()
        lose(vol, events, devs[1].fail)
        devs[1].heal()
        with hcvvol.Disk(vol.path) as disk:
            for mib in range(40):
                disk.write(mib * MIB, bytes([mib]) * (256 << 10))
            disk.flush()
        vol.edo("VOL_SET", SYNC_KIBPS=1024)
        vol.reopen_store("@s2")
        vol.place("@s2", range(4))
        vol.link_add("@s2", "SYNCING")
        hcvtest.wait_for(lambda: vol.link("@s2")["SYNC_COPIED"], 10,
                         "something copied")
        devs[1].fail()
        writer = Writer(vol.path, lambda d: d.write(0, b"w" * 4096))
        events.wait("LINK_FAILED", STORE=uuid_text("@s2"))
        vol.confirm("@s2", "OUT")
        ktap.check_eq("the write", 0, writer.wait())
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (2,), 9)
        devs[1].heal()
        vol.edo("VOL_SET", SYNC_KIBPS=0)
        vol.reopen_store("@s2")
        vol.resync(events, "@s2")
        finish(vol)


def test_writes_during_resync():
    """What is written while it runs is on both."""
    with setting() as (vol, devs, events):
        vol.attach()
        lose(vol, events, devs[1].fail_writes)
        devs[1].heal()
        vol.reopen_store("@s2")

        def busy(disk):
            end = time.monotonic() + 4
            turn = 0
            while time.monotonic() < end:
                turn += 1
                fill(disk, range(turn % 7, 40, 7), turn % 250)
                disk.write((turn % 40) * MIB + 512 * turn % 65536, b"q" * 512)
                if turn % 5 == 0:
                    disk.discard(turn % 40 * MIB, MIB)
                    disk.flush()
        with hcvvol.Disk(vol.path) as disk:
            for mib in range(40):
                disk.write(mib * MIB, os.urandom(65536))
        writers = [Writer(vol.path, busy) for _ in range(2)]
        vol.resync(events, "@s2", LINK_FLAGS="FULL")
        for writer in writers:
            ktap.check_eq("writer", 0, writer.wait(30))
        finish(vol)


def test_last_replica():
    """Its disk's errors are the answer; nothing flushed is claimed."""
    with setting() as (vol, devs, events):
        vol.attach()
        lose(vol, events, devs[1].fail)
        with hcvvol.Disk(vol.path) as disk:
            disk.write(MIB, b"g" * 4096)
            devs[0].fail()
            ktap.check_eq("write", errno.EIO, Writer(
                vol.path, lambda d: d.write(MIB, b"x" * 4096)).wait())
            ktap.check_eq("read", errno.EIO, io_errno(
                lambda: disk.read(MIB)))
            devs[0].heal()
            ktap.check_eq("read again", b"g" * 4096, disk.read(MIB))
            disk.write(2 * MIB, b"h" * 4096)
            devs[0].fail_flush()
            ktap.check_eq("flush", errno.EIO,
                          Writer(vol.path, lambda d: d.flush()).wait())
            devs[0].heal()
            for _ in range(2):
                ktap.check_eq("and ever after", errno.EIO, Writer(
                    vol.path, lambda d: d.flush()).wait())
            ktap.check_eq("forced unit access", errno.EIO, Writer(
                vol.path, lambda d: d.write(3 * MIB, bytes(4096),
                                            os.RWF_DSYNC)).wait())
        node.fails(errno.EIO, "flush", "VOL_STOP", VOL=vol.vol)
        vol.end()


def test_vanishing_device():
    """A device that is pulled out."""
    hcvtest.run("modprobe", "null_blk", "nr_devices=0")
    top = Path("/sys/kernel/config")
    if not (top / "nullb").exists():
        hcvtest.run("mount", "-t", "configfs", "none", str(top))
    try:
        for name in ("va", "vb"):
            folder = top / "nullb" / name
            folder.mkdir()
            for key, value in (("size", 1280), ("memory_backed", 1),
                               ("power", 1)):
                (folder / key).write_text(str(value))
        devs = [f"/dev/{d}" for d in sorted(os.listdir("/sys/block"))
                if d.startswith("nullb") or d in ("va", "vb")]
        vol = Volume(node, devs).format()
        with hcvvol.Events() as events:
            vol.attach()
            try:
                with hcvvol.Disk(vol.path) as disk:
                    fill(disk, range(4), 1)
                    (top / "nullb/vb/power").write_text("0")
                    writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
                    events.wait("LINK_FAILED", STORE=uuid_text("@s2"))
                    vol.confirm("@s2", "OUT")
                    ktap.check_eq("goes on", 0, writer.wait())
                    verify(disk, (1,), 2)
                    verify(disk, (2,), 1)
                vol.stop()
            finally:
                vol.end()
    finally:
        for name in ("va", "vb"):
            with contextlib.suppress(FileNotFoundError):
                (top / "nullb" / name).rmdir()
        hcvtest.run("umount", str(top))
        hcvtest.run("rmmod", "null_blk")


# --- space


def test_no_space():
    with setting(extents=1, size=1024 * MIB) as (vol, _, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            for mib in range(256):
                disk.write(mib * MIB, bytes([mib]) * 4096)
            writer = Writer(vol.path, lambda d: fill(d, (300,), 1))
            told = events.wait("NEED_EXTENT", COLUMN=0)
            ktap.check_eq("epoch", vol.epoch, told["EPOCH"])
            hcvtest.wait_for(lambda: vol.get()["WAIT"] == "EXTENT", 10,
                             "a wait for an extent")
            ktap.check("waits", not writer.ended())
            fill(disk, (10,), 7)
            vol.edo("VOL_NOSPACE", COLUMN=0)
            ktap.check_eq("no space", errno.ENOSPC, writer.wait())
            ktap.check_eq("still none", errno.ENOSPC, io_errno(
                lambda: disk.write(400 * MIB, bytes(4095) + b"1")))
            ktap.check_eq("no effect", bytes(4096), disk.read(400 * MIB))
            disk.discard(20 * MIB, MIB)
            disk.flush()
            hcvtest.wait_for(lambda: vol.get()["READY"] == 1, 10, "a slot")
            fill(disk, (400,), 8)
            vol.grow_extents(1)
            fill(disk, range(301, 310), 9)
            verify(disk, range(301, 310), 9)
            verify(disk, (400,), 8)
            verify(disk, (10,), 7)
        finish(vol)


def test_waiting_for_space():
    """An extent that comes lets the waiters go on."""
    with setting(extents=2, size=1024 * MIB, stripe=2) as (vol, _, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            for mib in range(0, 512, 2):
                disk.write(mib * MIB, bytes(4096))
            writers = [Writer(vol.path, lambda d, m=m: fill(d, (m,), 5))
                       for m in (600, 602, 604)]
            events.wait("NEED_EXTENT", COLUMN=0)
            fill(disk, (601,), 5)	# the other column has space
            vol.grow_extents(1)		# extent 2 is of column 0
            ktap.check_eq("they end", [0] * 3, [w.wait() for w in writers])
            verify(disk, (600, 601, 602, 604), 5)
        finish(vol)


# --- policies, stops


def test_policy_error():
    """No answer from the agent: errors, after the time that was asked for."""
    with setting(extents=1, POLICY="ERROR", POLICY_MS=1500) as \
            (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(4), 1)
            disk.flush()
            devs[1].fail()
            begin = time.monotonic()
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            ktap.check_eq("error", errno.EIO, writer.wait())
            spent = time.monotonic() - begin
            ktap.check("after the limit", spent > 1.4, f"{spent:.1f} s")
            flusher = Writer(vol.path, lambda d: d.flush())
            ktap.check_eq("flush", errno.EIO, flusher.wait(10))
            events.wait("LINK_FAILED")
            vol.confirm("@s2", "OUT")
            fill(disk, (1,), 3)
            verify(disk, (1,), 3)
        vol.end()


def test_policy_suspend():
    """It waits, and says so."""
    with setting() as (vol, devs, events):
        vol.attach()
        devs[1].fail()
        writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
        events.wait("VOL_STATE", 15, VOL_STATE="SUSPENDED")
        got = vol.get()
        ktap.check_eq("state", ("SUSPENDED", "CONFIRM", 1),
                      (got["VOL_STATE"], got["WAIT"], got["WAIT_COUNT"]))
        ktap.check("since when", got["WAIT_MS"] > 4900, str(got["WAIT_MS"]))
        ktap.check("held", not writer.ended())
        vol.confirm("@s2", "OUT")
        ktap.check_eq("ends", 0, writer.wait())
        hcvtest.wait_for(lambda: vol.get()["VOL_STATE"] == "ACTIVE", 10,
                         "active again")
        vol.end()


def test_stop_while_open():
    with setting() as (vol, _, _):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            node.fails(errno.EBUSY, "open", "VOL_STOP", VOL=vol.vol)
            fill(disk, (1,), 2)
            ktap.check_eq("goes on", "ACTIVE", vol.get()["VOL_STATE"])
            ktap.check_eq("openers", 1, vol.get()["OPENERS"])
        finish(vol)


def forced(queue):
    with setting(queue=queue) as (vol, devs, _):
        vol.attach()
        disk = hcvvol.Disk(vol.path)
        fill(disk, range(4), 1)
        disk.flush()
        devs[1].suspend()
        try:
            writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
            flusher = Writer(vol.path, lambda d: d.flush())
            hcvtest.wait_for(lambda: vol.get()["WAIT_COUNT"], 10, "a waiter")
            begin = time.monotonic()
            vol.stop(VOL_FLAGS="FORCE")
            spent = time.monotonic() - begin
            ktap.check("within 5 s", spent < 5, f"{spent:.1f} s")
            node.fails(errno.ENOENT, "no such volume", "VOL_GET", VOL=vol.vol)
            ktap.check_eq("new I/O", errno.EIO, Writer(
                "/dev/null", lambda _: disk.read(0)).wait(5))
        finally:
            devs[1].resume()
        ktap.check("stuck I/O ends", isinstance(writer.wait(), int) and
                   isinstance(flusher.wait(), int))
        disk.__exit__()
        vol.close_stores()
        hcvtest.wait_for(lambda: not os.path.exists(vol.path), 10,
                         "end of the zombie")
        # The same volume is back under the next epoch.
        vol.attach()
        with hcvvol.Disk(vol.path) as again:
            verify(again, (0, 2, 3), 1)
        vol.detach()
    count = Path("/sys/module/hcivol/refcnt")
    hcvtest.wait_for(lambda: count.read_text().strip() == "0", 10,
                     "module without users")
    hcvtest.unload_module()
    node.__init__()


def test_forced_stop_mq():
    forced("MQ")


def test_forced_stop_bio():
    forced("BIO")


def test_fence():
    with setting() as (vol, _, _):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 1)
            vol.edo("VOL_FENCE")
            ktap.check_eq("write", errno.EIO,
                          io_errno(lambda: fill(disk, (1,), 2)))
            ktap.check_eq("read", errno.EIO, io_errno(lambda: disk.read(0)))
            ktap.check_eq("flush", errno.EIO, io_errno(disk.flush))
            ktap.check_eq("state", "FENCED", vol.get()["VOL_STATE"])
        vol.end()


# --- words of the agent


def test_stale_words():
    with setting() as (vol, devs, events):
        vol.attach()
        devs[1].fail()
        writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
        told = events.wait("LINK_FAILED")
        good = {"VOL": vol.vol, "EPOCH": vol.epoch, "V": vol.v + 1,
                "STORE": "@s2", "INCARNATION": told["INCARNATION"],
                "LINK_STATE": "OUT"}
        for code, text, change in (
                (errno.ESTALE, "attached under epoch",
                 {"EPOCH": vol.epoch + 1}),
                (errno.ESTALE, "older version", {"V": vol.v - 1}),
                (errno.ESTALE, "incarnation",
                 {"INCARNATION": told["INCARNATION"] ^ 1}),
                (errno.ENOENT, "not tied", {"STORE": "@s7"}),
                (errno.ENOENT, "no such volume", {"VOL": "@v9"}),
                (errno.EBUSY, "state", {"LINK_STATE": "INSYNC"}),
                (errno.EBUSY, "state", {"STORE": "@s1", "INCARNATION":
                                        vol.incarnation["@s1"]}),
                (errno.EINVAL, "OUT and INSYNC",
                 {"LINK_STATE": "SYNCING"})):
            node.fails(code, text, "VOL_CONFIRM", **{**good, **change})
            ktap.check("no effect", not writer.ended())
            ktap.check_eq("state", "FAILING", vol.link("@s2")["LINK_STATE"])
        vol.confirm("@s2", "OUT")
        ktap.check_eq("the right one", 0, writer.wait())
        # Repeated, it gets the same answer.
        node.do("VOL_CONFIRM", **good)
        for cmd, attrs in (("VOL_SUSPEND", {}), ("VOL_FENCE", {}),
                           ("VOL_SET", {"POLICY": "ERROR"}),
                           ("VOL_NOSPACE", {"COLUMN": 0}),
                           ("VOL_LINK_DEL", {"STORE": "@s2"})):
            node.fails(errno.ESTALE, "epoch", cmd, VOL=vol.vol,
                       EPOCH=vol.epoch + 1, **attrs)
        vol.end()


def test_create_twice():
    with setting() as (vol, _, _):
        vol.attach()
        base = {"SIZE": MIB, "STRIPE": 1, "REPLICAS": 1, "EPOCH": 9, "V": 1,
                "LINEAGE": 7, "QUEUE": "MQ"}
        node.fails(errno.EEXIST, "attached here already", "VOL_CREATE",
                   VOL=vol.vol, NAME="other", **base)
        node.fails(errno.EEXIST, "attached here already", "VOL_CREATE",
                   VOL="@v2", NAME="v1", **base)
        node.do("VOL_CREATE", VOL="@v2", NAME="v2", **base)
        node.fails(errno.EEXIST, "name", "VOL_SET", VOL="@v2", EPOCH=9,
                   NAME="v1")
        node.do("VOL_STOP", VOL="@v2", VOL_FLAGS="FORCE")
        finish(vol)


def test_wrong_start():
    """What the stores have seen is not to be gone behind."""
    with setting() as (vol, _, _):
        vol.attach()
        vol.detach()
        keep = vol.epoch, vol.v
        vol.v = 0
        vol.prepare()
        node.fails(errno.ESTALE, "older than the data", "VOL_START",
                   VOL=vol.vol, EPOCH=vol.epoch, V=vol.v)
        vol.end()
        vol.epoch, vol.v = keep
        vol.prepare(LINEAGE=8)
        node.fails(errno.ESTALE, "another lineage", "VOL_START", VOL=vol.vol,
                   EPOCH=vol.epoch, V=vol.v)
        vol.end()
        with vol.attached():
            pass


GOOD = {"VOL": "@v3", "NAME": "v3", "SIZE": MIB, "STRIPE": 1, "REPLICAS": 1,
        "EPOCH": 1, "V": 1, "LINEAGE": 7, "QUEUE": "MQ"}


def test_wrong_input():
    """Each gets an errno and a sentence, and does nothing."""
    wrong = (errno.EINVAL, errno.ERANGE)
    for change in ({"NAME": ""}, {"NAME": "a b"}, {"NAME": "/"},
                   {"NAME": "x" * 64}, {"NAME": ".."}, {"SIZE": 0},
                   {"SIZE": 512}, {"SIZE": (1 << 52) + 4096}, {"STRIPE": 0},
                   {"STRIPE": 3}, {"STRIPE": 8}, {"REPLICAS": 0},
                   {"REPLICAS": 4}, {"QUEUE": 2}, {"EPOCH": 0}, {"V": 0},
                   {"LINEAGE": 0}, {"VOL_FLAGS": 0x80},
                   {"VOL_FLAGS": "FORCE"}, {"POLICY": 2},
                   {"COLUMN": 0}):
        got = refusal("VOL_CREATE", **{**GOOD, **change})
        ktap.check(f"create {change}", got and got.code in wrong and got.text,
                   got and f"{got.code} {got.text}")
    for name in GOOD:
        got = refusal("VOL_CREATE",
                      **{k: v for k, v in GOOD.items() if k != name})
        ktap.check(f"create without {name}", got and got.code == errno.EINVAL
                   and name in got.text, got and got.text)
    node.do("VOL_CREATE", **GOOD)
    vol = {"VOL": "@v3", "EPOCH": 1}
    link = {**vol, "STORE": "@s9", "LINK_STATE": "INSYNC", "INCARNATION": 5,
            "RANGES": "1024:0:1024"}
    u1 = uuid_text("@s9")
    for cmd, attrs, codes in (
            ("VOL_LINK_ADD", link, (errno.ENOENT,)),
            ("VOL_LINK_ADD", {**link, "LINK_STATE": "SYNCING"}, wrong),
            ("VOL_LINK_ADD", {**link, "LINK_STATE": 77}, wrong),
            ("VOL_LINK_ADD", {**link, "LINK_FLAGS": 2}, wrong),
            ("VOL_LINK_ADD", {**link, "RANGES": ""}, wrong),
            ("VOL_LINK_ADD", {**link, "PATH": "/dev/nothing"},
             (errno.ENOENT, errno.ENXIO, errno.EINVAL)),
            ("VOL_LINK_ADD", vol, wrong),
            ("VOL_EXTENT_ADD", {**vol, "EXTENTS": f"0:1:1:{u1}"}, wrong),
            ("VOL_EXTENT_ADD", {**vol, "EXTENTS":
                                "0:0:1:" + "+".join([u1] * 2)}, wrong),
            ("VOL_EXTENT_ADD", {**vol, "EXTENTS": f"{1 << 31}:0:1:{u1}"},
             wrong),
            ("VOL_START", {**vol, "V": 1}, (errno.ENOLINK, errno.EINVAL)),
            ("VOL_START", {**vol, "EPOCH": 2, "V": 1}, (errno.ESTALE,)),
            ("VOL_START", vol, wrong),
            ("VOL_SUSPEND", vol, wrong),
            ("VOL_RESUME", vol, wrong),
            ("VOL_NOSPACE", {**vol, "COLUMN": 1}, wrong),
            ("VOL_NOSPACE", vol, wrong),
            ("VOL_SET", {**vol, "SIZE": 512}, wrong),
            ("VOL_SET", {**vol, "POLICY": 2}, wrong),
            ("VOL_SET", {**vol, "NAME": "a/b"}, wrong),
            ("VOL_SET", {**vol, "STRIPE": 2}, wrong),
            ("VOL_STOP", {"VOL": "@v3", "VOL_FLAGS": "READONLY"}, wrong),
            ("VOL_STOP", {}, wrong),
            ("VOL_CONFIRM", vol, wrong),
            ("VOL_GET", {"VOL": "@v9"}, (errno.ENOENT,))):
        got = refusal(cmd, **attrs)
        ktap.check(f"{cmd} {attrs}", got and got.code in codes and got.text,
                   got and f"{got.code} {got.text}")
    ktap.check_eq("still new", "NEW", node.do("VOL_GET",
                                              VOL="@v3")["VOL_STATE"])
    node.do("VOL_STOP", VOL="@v3")
    ktap.check_eq("none left", [], node.dump("VOL_GET"))


def refusal(cmd, **attrs):
    try:
        node.client.call(cmd, False, **attrs)
    except hcvnl.Fail as e:
        return e
    return None


ktap.main(globals())
