#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""Starts that fail, are repeated, stopped half way, or go without some store;
changes of a volume that fail and are repeated."""

import errno
import os
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvfault
import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvbreak import (Command, Writer, bring_back, ended, failed, fill, finish,
                      take_out, verify, waits)
from hcvtest import BLOCK, uuid_text
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 3)
ENDED = (errno.ENODEV, errno.EIO, errno.ENOENT)


setting = pool.setting


def start(vol):
    return Command("VOL_START", VOL=vol.vol, EPOCH=vol.epoch, V=vol.v)


def test_repeated_start():
    """A start that failed after some pages were loaded is not done again on
    top of them; all data are there after a new attach."""
    with setting(extents=2) as (vol, devs, _):
        with vol.attached() as disk:
            for mib in range(260):	# both extents
                disk.write(mib * MIB, bytes([mib % 251 + 1]) * 4096)
                if mib % 2:
                    disk.discard(mib * MIB, 4096)
                    disk.write(mib * MIB + 8192, bytes([mib % 251]) * 4096)
        for dev in devs:
            first = hcvtest.read_super(dev.path)["meta_off"] + \
                hcvtest.META_SIZE
            dev.fail_range(first // 512, hcvtest.META_SIZE // 512)
        vol.prepare()
        node.fails(errno.EIO, "metadata of extent 1", "VOL_START",
                   VOL=vol.vol, EPOCH=vol.epoch, V=vol.v)
        for dev in devs:
            dev.heal()
        for _ in range(2):
            ktap.check_in("start again", start(vol).wait(), ENDED)
        vol.end()
        with vol.attached() as disk:
            for mib in range(260):
                want = bytes(8192) + bytes([mib % 251]) * 4096 if mib % 2 \
                    else bytes([mib % 251 + 1]) * 4096 + bytes(8192)
                if disk.read(mib * MIB, 12288) != want:
                    ktap.check(f"mib {mib}", False)
            # The tick has written what it wanted by then.
            disk.flush()
        vol.check_stores()


def test_start_meets_a_failure():
    """One replica fails in each of the start's steps. The volume starts or
    not; data are there in any case, also on the other replica."""
    with setting() as (vol, devs, _):
        with vol.attached() as disk:
            fill(disk, range(10), 1)
        sb = hcvtest.read_super(devs[1].path)
        for breaks in (devs[1].fail_flush, devs[1].fail_writes,
                       lambda: devs[1].fail_range(sb["vol_off"] // 512, 512),
                       lambda: devs[1].fail_range(sb["meta_off"] // 512, 144),
                       lambda: devs[1].fail_range(sb["data_off"] // 512,
                                                  1 << 19)):
            vol.prepare()
            breaks()
            code = start(vol).wait()
            states = [one["LINK_STATE"] for one in vol.get()["LINK"]]
            ktap.note(f"start: {code}, {vol.get()['VOL_STATE']}, {states}")
            if not code:
                ktap.check_eq("state", "ACTIVE", vol.get()["VOL_STATE"])
                if vol.link("@s2")["LINK_STATE"] == "FAILING":
                    vol.confirm("@s2", "OUT")
                with hcvvol.Disk(vol.path) as disk:
                    verify(disk, range(10), 1)
            else:
                ktap.check_in("start again", start(vol).wait(), ENDED)
            devs[1].heal()
            vol.end()
            vol.insync = {"@s1", "@s2"}
            with vol.attached() as disk:
                verify(disk, range(10), 1)
        vol.check_stores()


def breaks_of(dev):
    """What a start may meet, by name; those of extents as they were placed."""
    sb = hcvtest.read_super(dev.path)

    def fails(first, sectors):
        return lambda: dev.fail_range(first // 512, sectors)
    return {
        "flush": dev.fail_flush,
        "volume page": fails(sb["vol_off"], 512),
        "extent 0": fails(sb["meta_off"], 144),
        "extent 1": fails(sb["meta_off"] + hcvtest.META_SIZE, 144),
    }


def left_out(vol, events, store, dev):
    """The volume has started without the store: nothing is acknowledged before
    it is removed, all data are there, and it comes back like any other."""
    ktap.check_eq("state", "ACTIVE", vol.get()["VOL_STATE"])
    failed(vol, events, store)
    writer = Writer(vol.path, lambda d: fill(d, (20,), vol.epoch))
    waits(vol, 1)
    ktap.check("not acknowledged before the word", not writer.ended())
    vol.confirm(store, "OUT")
    ended("acknowledged", writer)
    with hcvvol.Disk(vol.path) as disk:
        verify(disk, range(10), 1)
        verify(disk, (20,), vol.epoch)
        disk.flush()
    bring_back(vol, events, store, dev)
    finish(vol)


def nobody_failed(vol, events, what):
    """Of a start that came to nothing."""
    events.poll()
    ktap.check_eq(f"{what}: nobody has failed", [],
                  [one for one in events.seen if one["EVENT"] ==
                   "LINK_FAILED"])
    ktap.check_eq(f"{what}: links", {"INSYNC"},
                  {one["LINK_STATE"] for one in vol.get()["LINK"]})


def unfit(vol):
    """The stores that the start failed for."""
    return {one["STORE"] for one in vol.get()["LINK"]
            if "UNFIT" in str(one.get("LINK_FLAGS", ""))}


def test_start_leaves_one_out():
    """An error of one replica costs this replica, not the start."""
    with setting(extents=2) as (vol, devs, events):
        with vol.attached() as disk:
            fill(disk, range(10), 1)
        for i, store in enumerate(vol.names):
            for name, breaks in breaks_of(devs[i]).items():
                # What is near is read first, of the first one here.
                if i and name.startswith("extent"):
                    continue
                ktap.note(f"{store}: {name}")
                vol.prepare()
                breaks()
                ktap.check_eq("start", 0, start(vol).wait())
                left_out(vol, events, store, devs[i])
        # Fenced after it ran: what was before the start is over.
        vol.prepare()
        devs[1].fail_flush()
        ktap.check_eq("start", 0, start(vol).wait())
        vol.edo("VOL_FENCE")
        ktap.check_eq("nobody is named", set(), unfit(vol))
        devs[1].heal()
        vol.end()


def test_start_needs_each_extent():
    """No start without some extent, and no replica leaves for one that came to
    nothing: it may be the one that is needed."""
    with setting(3, replicas=2, extents=3) as (vol, devs, events):
        with vol.attached() as disk:
            fill(disk, range(10), 1)
        # Extent 0 is on the first and the second, 1 on the second and third.
        for name, text, broken in (
                ("flush", "metadata of extent 0 cannot", (0, 1)),
                ("volume page", "metadata of extent 1 cannot", (1, 2)),
                ("flush", "store .* cannot be flushed", (0, 1, 2)),
                ("volume page", "store .* cannot be asked", (0, 1, 2))):
            vol.prepare()
            events.forget("LINK_FAILED")
            for i in broken:
                breaks_of(devs[i])[name]()
            what = f"{name} of {broken}"
            ktap.note(what)
            node.fails(errno.EIO, text, "VOL_START", VOL=vol.vol,
                       EPOCH=vol.epoch, V=vol.v)
            nobody_failed(vol, events, what)
            ktap.check_eq(f"{what}: says which", {
                uuid_text(vol.names[i]) for i in broken}, unfit(vol))
            for dev in devs:
                dev.heal()
            vol.end()
        # One of them alone is left out.
        vol.prepare()
        devs[1].fail_flush()
        ktap.check_eq("start", 0, start(vol).wait())
        left_out(vol, events, "@s2", devs[1])


def test_start_believes_all_or_none():
    """A page that looks like a first write torn by a power cut is taken for that
    only if every in-sync replica shows it: not while one cannot be read, nor
    beside one whose page has been written since."""
    with setting(extents=1) as (vol, devs, events):
        with vol.attached() as disk:
            fill(disk, (0,), 1)
        meta = hcvtest.read_super(devs[0].path)["meta_off"]
        places = (meta, meta + 9 * BLOCK)
        ktap.check("written once", not any(
            hcvtest.device_read(devs[0].path, places[1])))
        hcvtest.device_write(devs[0].path, places[0], os.urandom(BLOCK))
        vol.prepare()
        events.forget("LINK_FAILED")
        devs[1].fail_range(meta // 512, 144)
        node.fails(errno.EIO, "metadata of extent 0", "VOL_START",
                   VOL=vol.vol, EPOCH=vol.epoch, V=vol.v)
        nobody_failed(vol, events, "one unread")
        ktap.check_eq("neither will do alone", {
            uuid_text(store) for store in vol.names}, unfit(vol))
        devs[1].heal()
        vol.end()
        before = [hcvtest.device_read(devs[1].path, off) for off in places]
        for off in places:
            hcvtest.device_write(devs[1].path, off, os.urandom(BLOCK))
        vol.prepare()
        node.fails(errno.EUCLEAN, "metadata of extent 0", "VOL_START",
                   VOL=vol.vol, EPOCH=vol.epoch, V=vol.v)
        vol.end()
        for off, buf in zip(places, before):
            hcvtest.device_write(devs[1].path, off, buf)
        with vol.attached() as disk:
            verify(disk, (0,), 1)


def test_start_at_any_error():
    """Any single I/O of a start to either replica fails."""
    with setting(extents=2) as (vol, devs, events):
        with vol.attached() as disk:
            fill(disk, range(10), 1)
        for store, dev in zip(vol.names, devs):
            for n in range(1, 100):
                vol.prepare()
                with hcvfault.IoFaults(dev.path) as faults:
                    error, hit = faults.nth(
                        n, lambda: vol.edo("VOL_START", V=vol.v))
                if error:
                    ktap.check(f"{store}: start at {n}", False, str(error))
                    vol.end()
                    continue
                if not hit:
                    break
                left_out(vol, events, store, dev)
            ktap.check(f"{store}: {n - 1} I/Os", n > 4 and not hit)
            finish(vol)


def test_start_without_a_store():
    """A store of the rows is missing; it comes later."""
    with setting(3, replicas=2) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(10), 1)
        take_out(vol, events, "@s2", devs[1])
        vol.detach()
        vol.attach()
        ktap.check("no link to it", not vol.link("@s2"))
        with hcvvol.Disk(vol.path) as disk:
            verify(disk, range(1, 10), 1)
            fill(disk, (5, 300), 5)
        devs[1].heal()
        vol.open_store("@s2")
        bring_back(vol, events, "@s2", devs[1])
        with hcvvol.Disk(vol.path) as disk:
            verify(disk, (5, 300), 5)
        finish(vol)


def test_start_without_any_replica():
    """An extent without an in-sync store: refused by name."""
    with setting(3, replicas=1, extents=3) as (vol, _, _):
        with vol.attached() as disk:
            fill(disk, range(10), 1)
        vol.insync = {"@s1", "@s3"}
        vol.prepare()
        node.fails(errno.ENOLINK, "extent 1 has no in-sync replica",
                   "VOL_START", VOL=vol.vol, EPOCH=vol.epoch, V=vol.v)
        vol.end()
        vol.insync = set(vol.names)
        with vol.attached() as disk:
            verify(disk, range(10), 1)


def test_stop_in_a_start():
    """A forced stop comes while the start waits for a device, and commands
    that came before it wait for the start: all of them end, nothing is left."""
    with setting() as (vol, devs, _):
        with vol.attached() as disk:
            fill(disk, range(10), 1)
        vol.prepare()
        devs[1].suspend()
        begin = start(vol)
        hcvtest.wait_for(lambda: vol.get()["VOL_STATE"] == "LOADING", 10,
                         "a start under way")
        late = [Command(cmd, VOL=vol.vol, EPOCH=vol.epoch, **attrs)
                for cmd, attrs in (
                    ("VOL_START", {"V": vol.v}),
                    ("VOL_LINK_ADD", {
                        "STORE": "@s1", "LINK_STATE": "SYNCING",
                        "RANGES": vol.grant("@s1"),
                        "INCARNATION": vol.incarnation["@s1"]}),
                    ("VOL_LINK_DEL", {"STORE": "@s1"}),
                    ("VOL_EXTENT_ADD", {"EXTENTS": vol.row_text(0)}),
                    ("VOL_SUSPEND", {}), ("VOL_RESUME", {}),
                    ("VOL_SET", {"SIZE": 1024 * MIB}),
                    ("VOL_NOSPACE", {"COLUMN": 0}),
                    ("VOL_FENCE", {}))]
        stop = Command("VOL_STOP", VOL=vol.vol)
        hcvtest.wait_for(late[-1].ended, 10, "end of the fence")
        vol.stop(VOL_FLAGS="FORCE")
        ktap.check("the start waits", not begin.ended())
        devs[1].resume()
        ktap.check_in("start", begin.wait(), ENDED)
        codes = [c.wait() for c in late]
        ktap.check("late commands", not set(codes[:-2]) - set(ENDED),
                   str(codes))
        ktap.check_in("clean stop", stop.wait(), ENDED)
        hcvtest.wait_for(lambda: not os.path.exists(vol.path), 10,
                         "no disk")
        vol.close_stores()
        with vol.attached() as disk:
            verify(disk, range(10), 1)
    node.reload()


def test_unheard_reply():
    """Whoever asked cannot be told of the disk's number, its socket is full:
    then there is no volume, nor its name."""
    client = hcvnl.Client()
    client.genl.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    with setting() as (vol, _, _):
        for _ in range(64):
            client.post("VOL_GET", VOL=vol.vol)
        client.post("VOL_CREATE", VOL=vol.vol, NAME="v1", SIZE=vol.size,
                    STRIPE=1, REPLICAS=2, EPOCH=1, V=1, LINEAGE=7, QUEUE="MQ")
        ktap.check_eq("no volume", [], node.dump("VOL_GET"))
        client.genl.sock.close()
        with vol.attached() as disk:
            fill(disk, (0,), 1)


def test_resize_meets_a_failure():
    """It is repeated after the failed replica was removed; where none is left
    nothing changes before the next attach."""
    with setting(size=256 * MIB) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(4), 1)
            disk.flush()
            devs[1].fail_writes()
            change = Command("VOL_SET", VOL=vol.vol, EPOCH=vol.epoch,
                             SIZE=512 * MIB)
            failed(vol, events, "@s2")
            ktap.note(f"resize: {change.wait()}")
            vol.confirm("@s2", "OUT")
            vol.edo("VOL_SET", SIZE=512 * MIB)
            ktap.check_eq("told", 512 * MIB, vol.get()["SIZE"])
            ktap.check_eq("size", 512 * MIB, disk.size())
            fill(disk, (400,), 4)
            disk.flush()
            # All of them fail: nothing is changed by that.
            devs[0].fail_writes()
            ktap.check_eq("no replica", errno.EIO, Command(
                "VOL_SET", VOL=vol.vol, EPOCH=vol.epoch,
                SIZE=900 * MIB).wait())
            devs[0].heal()
            ktap.check_eq("size", 512 * MIB, disk.size())
            ktap.check_eq("told", 512 * MIB, vol.get()["SIZE"])
            # A flush has failed: the store has to be opened anew.
            ktap.check_eq("not repeated", errno.EIO, Command(
                "VOL_SET", VOL=vol.vol, EPOCH=vol.epoch,
                SIZE=900 * MIB).wait())
        vol.end()
        vol.size = 512 * MIB
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            vol.edo("VOL_SET", SIZE=900 * MIB)
            ktap.check_eq("size", 900 * MIB, disk.size())
            vol.size = 900 * MIB
        devs[1].heal()
        vol.open_store("@s2")
        bring_back(vol, events, "@s2", devs[1])
        vol.detach()
        vol.check_stores()
        vol.insync = {"@s2"}
        with vol.attached() as disk:
            ktap.check_eq("size", 900 * MIB, disk.size())
            verify(disk, (400,), 4)


def test_rename_meets_a_failure():
    with setting() as (vol, devs, events):
        vol.attach()
        devs[1].fail_writes()
        change = Command("VOL_SET", VOL=vol.vol, EPOCH=vol.epoch, NAME="new")
        failed(vol, events, "@s2")
        ktap.note(f"rename: {change.wait()}")
        vol.confirm("@s2", "OUT")
        vol.edo("VOL_SET", NAME="new")
        ktap.check_eq("name", "new", vol.get()["NAME"])
        ktap.check_eq("sysfs", "new", hcvvol.sysfs(vol.path, "hcivol/name"))
        vol.attrs["NAME"] = "new"
        bring_back(vol, events, "@s2", devs[1])
        finish(vol)


class ReadOnly(hcvvol.Disk):
    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECT)


def test_read_only_with_a_failure():
    """A replica of a read-only volume fails under a read."""
    with setting() as (vol, devs, events):
        with vol.attached() as disk:
            fill(disk, range(4), 1)
        vol.attach(VOL_FLAGS="READONLY")
        with ReadOnly(vol.path) as disk:
            first = hcvbreak.read_from(vol, disk, MIB + 4096)
            dev = devs[vol.names.index(first)]
            dev.fail()
            verify(disk, (2,), 1)
        failed(vol, events, first)
        vol.confirm(first, "OUT")
        bring_back(vol, events, first, dev)
        finish(vol)


with pool:
    ktap.main(globals())
