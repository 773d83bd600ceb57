#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# TAGS: fast smoke
# MEM: 2048
"""What the module tells of a volume, its links and its stores: counters,
latencies, what waits for what and since when, tracepoints."""

import contextlib
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvtest
import hcvvol
import ktap
from hcvtest import uuid_text
from hcvvol import MIB, Volume

SECTORS = hcvvol.STORE_BYTES // 512
TRACING = Path("/sys/kernel/tracing")
DELAY_MS = 400		# what no machine needs for a write without it
OPS = ("READ", "WRITE", "FLUSH")
node = hcvtest.Node()


class Slow:
    """A dm device over a disk: delayed, failing or holding everything."""

    def __init__(self, name, disk):
        self.name, self.disk = name, disk
        self.path = hcvtest.dm_create(name, self.table(0))

    def table(self, ms):
        at = f"{self.disk} 0"
        return f"0 {SECTORS} delay {at} 0 {at} {ms}"

    def delay_writes(self, ms):
        hcvtest.dm_reload(self.name, self.table(ms))

    def fail(self):
        hcvtest.dm_reload(self.name, f"0 {SECTORS} error")

    def hold(self):
        hcvtest.run("dmsetup", "suspend", "--nolockfs", "--noflush",
                    self.name)

    def go_on(self):
        hcvtest.run("dmsetup", "resume", "--noudevsync", self.name)


@contextlib.contextmanager
def setting(count=2):
    """(attached volume, its slow devices, events)"""
    hcvtest.run("modprobe", "dm-delay")
    with contextlib.ExitStack() as stack:
        devs = []
        for i, disk in enumerate(stack.enter_context(hcvvol.ram_disks(count))):
            devs.append(Slow(f"d{i}", disk))
            stack.callback(hcvtest.dm_remove, f"d{i}")
        vol = Volume(node, [d.path for d in devs]).format()
        events = stack.enter_context(hcvvol.Events())
        stack.callback(vol.end)
        for dev in devs:
            stack.callback(dev.go_on)
        yield vol.attach(), devs, events


def in_background(path, action):
    """A process that does some I/O; wait for it with os.waitpid()."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with hcvvol.Disk(path) as disk:
            action(disk)
        code = 0
    finally:
        os._exit(code)


def ended_well(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def hists(vol):
    """Histograms of the volume, and of its links by store."""
    one = node.dump("VOL_STATS_GET", VOL=vol.vol)
    ktap.check_eq("one volume", [uuid_text(vol.vol)], [v["VOL"] for v in one])
    return one[0], {li["STORE"]: li for li in one[0]["LINK"]}


def store_hists(store):
    one = node.dump("STORE_STATS_GET", STORE=store)
    ktap.check_eq("one store", [uuid_text(store)], [s["STORE"] for s in one])
    return one[0]


def check_sums(what, counters, hist):
    """Everything that was counted is in a histogram."""
    for op in OPS:
        ktap.check_eq(f"{what} {op}", counters[f"{op}_IOS"],
                      sum(hist[f"HIST_{op}"]))


def grown(before, after, names):
    return {n: after[n] - before[n] for n in names}


def test_counters():
    names = [f"{op}_IOS" for op in OPS] + ["READ_BYTES", "WRITE_BYTES",
                                           "ERRORS"]
    with setting() as (vol, _, _):
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"a" * MIB)
            disk.flush()
            vol0, link0 = vol.get(), {s: vol.link(s) for s in vol.names}
            for i in range(10):
                disk.write(i * 8192, b"b" * 8192)
            for i in range(7):
                disk.read(i * 4096)
            disk.flush()
            vol1, link1 = vol.get(), {s: vol.link(s) for s in vol.names}
        ktap.check_eq("volume", dict(zip(names, (7, 10, 1, 7 * 4096,
                                                 10 * 8192, 0))),
                      grown(vol0, vol1, names))
        got = {s: grown(link0[s], link1[s], names) for s in vol.names}
        ktap.check_eq("one replica was read", [0, 7],
                      sorted(g["READ_IOS"] for g in got.values()))
        for store, one in got.items():
            # Data, then FLUSH, the pages, FLUSH.
            ktap.check(f"writes of {store}", one["WRITE_IOS"] >= 10)
            ktap.check(f"bytes of {store}", one["WRITE_BYTES"] >= 10 * 8192)
            ktap.check(f"flushes of {store}", one["FLUSH_IOS"] >= 1)
            ktap.check_eq(f"errors of {store}", 0, one["ERRORS"])
        vol_hist, link_hist = hists(vol)
        check_sums("volume", vol.get(), vol_hist)
        for store in vol.names:
            check_sums(store, vol.link(store), link_hist[uuid_text(store)])
            ktap.check_eq("nothing in flight", 0, vol.link(store)["INFLIGHT"])


def test_store_counters_stay():
    """An I/O of a link counts for the store, once, also after the link."""
    with setting() as (vol, _, _):
        before = node.do("STORE_GET", STORE="@s1")
        link0 = vol.link("@s1")
        with hcvvol.Disk(vol.path) as disk:
            for i in range(20):
                disk.write(i * 4096, b"c" * 4096)
            disk.flush()
        got = grown(before, node.do("STORE_GET", STORE="@s1"), ["WRITE_IOS"])
        want = grown(link0, vol.link("@s1"), ["WRITE_IOS"])
        ktap.check_eq("store counts what the link does", want, got)
        vol.stop()
        after = node.do("STORE_GET", STORE="@s1")
        ktap.check("nothing is forgotten", after["WRITE_IOS"] >=
                   before["WRITE_IOS"] + got["WRITE_IOS"])
        check_sums("store", after, store_hists("@s1"))


def test_latency():
    """A slow replica shows in its own figures, the other one does not."""
    bucket = (DELAY_MS * 1000000 >> 10).bit_length() - 1
    with setting() as (vol, devs, _):
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"a" * 4096)
            disk.flush()
            devs[1].delay_writes(DELAY_MS)
            vol0, link0 = hists(vol)
            for _ in range(5):
                disk.write(0, b"b" * 4096)
            vol1, link1 = hists(vol)
            devs[1].delay_writes(0)
        for what, old, new in (
                ("volume", vol0, vol1),
                ("slow link", link0[uuid_text("@s2")],
                 link1[uuid_text("@s2")])):
            delta = [b - a for a, b in zip(old["HIST_WRITE"],
                                           new["HIST_WRITE"])]
            ktap.check_eq(f"{what}: none faster", 0, sum(delta[:bucket]))
            ktap.check(f"{what}: five", sum(delta[bucket:]) >= 5, str(delta))
        fast = [b - a for a, b in zip(
            link0[uuid_text("@s1")]["HIST_WRITE"],
            link1[uuid_text("@s1")]["HIST_WRITE"])]
        ktap.check("fast link: faster", sum(fast[:bucket]) >= 4, str(fast))


def waits(vol):
    return {w["WAIT"]: w for w in vol.get().get("WAITS", [])}


def wait_of(vol, kind, count=1):
    return hcvtest.wait_for(
        lambda: waits(vol).get(kind, {}).get("WAIT_COUNT", 0) >= count and
        waits(vol)[kind], 20, f"{count} waiting for {kind}")


def test_waits_for_confirmation():
    with setting() as (vol, devs, events):
        ktap.check_eq("nobody waits", {}, waits(vol))
        devs[1].fail()
        start = time.monotonic()
        pids = [in_background(vol.path, lambda d, i=i:
                              d.write(i * 4096, b"w" * 4096))
                for i in range(2)]
        events.wait("LINK_FAILED", STORE=uuid_text("@s2"))
        wait_of(vol, "CONFIRM", 2)
        hcvtest.wait_for(lambda: waits(vol)["CONFIRM"]["WAIT_MS"] >= 300, 10,
                         "time to pass")
        told = (waits(vol)["CONFIRM"]["WAIT_MS"], vol.link("@s2")["STATE_MS"])
        most = (time.monotonic() - start) * 1000
        for ms in told:
            ktap.check("since when", 300 <= ms <= most + 1, f"{ms} ms")
        ktap.check("errors", vol.link("@s2")["ERRORS"] >= 1)
        ktap.check_eq("none", 0, vol.link("@s1")["ERRORS"])
        vol.confirm("@s2", "OUT")
        ktap.check("they go on", all([ended_well(p) for p in pids]))
        ktap.check_eq("nobody waits any more", {}, waits(vol))


def test_waits_for_a_disk_and_for_each_other():
    with setting() as (vol, devs, _):
        with hcvvol.Disk(vol.path) as disk:
            disk.write(0, b"a" * 8192)
            disk.flush()
        ktap.check("no stall", "STALL_MS" not in vol.link("@s2"))
        devs[1].hold()
        first = in_background(vol.path, lambda d: d.write(0, b"1" * 8192))
        hcvtest.wait_for(lambda: vol.link("@s2")["INFLIGHT"] == 1, 10,
                         "one in flight")
        # Overlaps without being mergeable with it.
        second = in_background(vol.path, lambda d: d.write(4096, b"2" * 4096))
        wait_of(vol, "BUSY")
        hcvtest.wait_for(lambda: vol.link("@s2").get("STALL_MS", 0) >= 500,
                         20, "stall")
        ktap.check_eq("the other one has nothing", 0,
                      vol.link("@s1")["INFLIGHT"])
        devs[1].go_on()
        ktap.check("they end", all([ended_well(first), ended_well(second)]))
        ktap.check_eq("none in flight", 0, vol.link("@s2")["INFLIGHT"])
        ktap.check("no stall any more", "STALL_MS" not in vol.link("@s2"))


def test_waits_while_suspended():
    with setting() as (vol, _, _):
        vol.edo("VOL_SUSPEND")
        pid = in_background(vol.path, lambda d: d.write(0, b"s" * 4096))
        wait_of(vol, "SUSPEND")
        vol.edo("VOL_RESUME")
        ktap.check("it goes on", ended_well(pid))
        ktap.check_eq("nobody waits", {}, waits(vol))


def test_tracepoints():
    if not (TRACING / "events").is_dir():
        hcvtest.run("mount", "-t", "tracefs", "none", str(TRACING))
    enable = TRACING / "events/hcivol/enable"
    with setting() as (vol, devs, events), contextlib.ExitStack() as stack:
        (TRACING / "trace").write_text("")
        enable.write_text("1")
        stack.callback((TRACING / "trace").write_text, "")
        stack.callback(enable.write_text, "0")
        with hcvvol.Disk(vol.path) as disk:
            disk.write(40960, b"t" * 4096)
            disk.flush()
            disk.read(40960)
            devs[1].fail()
            pid = in_background(vol.path, lambda d: d.write(0, b"f" * 4096))
            events.wait("LINK_FAILED", STORE=uuid_text("@s2"))
            vol.confirm("@s2", "OUT")
            ktap.check("goes on", ended_well(pid))
        text = (TRACING / "trace").read_text()
        name = Path(vol.path).name
        store = uuid_text("@s2")
        for what in (f"{name} write pos=40960 len=4096 ns=[0-9]+ error=0",
                     f"{name} read pos=40960 len=4096 ns=[0-9]+ error=0",
                     f"{name} flush pos=0 len=0 ns=[0-9]+ error=0",
                     f"{name} pages=[1-9][0-9]* ns=[0-9]+ ret=0",
                     f"{name} {store} in-sync -> failing error=5",
                     f"{name} {store} failing -> out"):
            ktap.check_match("trace", what, text)


ktap.main(globals())
