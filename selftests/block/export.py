#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# TAGS: fast
# DISK: 2G:serial=a
# DISK: 2G:serial=b,lbs=4096
"""Gate and exports: what a handle reaches and what not, beacons and leases,
revocation with I/O in flight, handles that never come back, media errors."""

import contextlib
import errno
import os
import struct
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvtest import BLOCK, EXTENT, HANDLE, META_OFF, META_SIZE, uuid_text

A = hcvtest.disk_by_serial("a")
B = hcvtest.disk_by_serial("b")
LEASE_MS = 4500
CONTROL = META_OFF		# of handle 0
END = 1 << 62
node = hcvtest.Node()


def grant(vol="@v1", epoch=1, client="@n2", count=3, **attrs):
    return node.do("GRANT", STORE="@s1", VOL=vol, EPOCH=epoch, NODE=client,
                   COUNT=count, **attrs)


@contextlib.contextmanager
def exported(path=A, client="@n2", indexes="0-2", fmt=True):
    """An export of a store with volume v1; yields the opened device."""
    node.open(path, fmt=fmt)
    try:
        node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v1", INDEXES=indexes)
        name = node.do("EXPORT_ADD", STORE="@s1", NODE=client)["DEVNAME"]
        with hcvtest.Device(f"/dev/{name}") as dev:
            yield dev
    finally:
        node.shut()


def fails_io(what, action):
    try:
        action()
    except OSError as e:
        ktap.check_eq(what, errno.EIO, e.errno)
    else:
        ktap.check(f"{what} fails", False)


def addr(handle, off=0):
    return handle * HANDLE + off


def objects(path):
    """Offsets on the device: area 0, data and metadata of extents 0..2."""
    sb = hcvtest.read_super(path)
    return sb["vol_off"], [sb["data_off"] + i * EXTENT for i in range(3)], \
        [sb["meta_off"] + i * META_SIZE for i in range(3)]


def check_reach(path):
    with exported(path) as dev:
        first = grant()["FIRST"]
        area, data, meta = objects(path)
        where = [(addr(first), area), (addr(first, (256 << 10) - BLOCK),
                                       area + (256 << 10) - BLOCK)]
        for i in range(3):
            for off in (0, EXTENT - BLOCK):
                where.append((addr(first + 1 + i, off), data[i] + off))
            for off in (0, META_SIZE - BLOCK):
                where.append((addr(first + 1 + i, META_OFF + off),
                              meta[i] + off))
        for export_off, off in where:
            want = os.urandom(BLOCK)
            dev.write(export_off, want)
            dev.flush()
            ktap.check(f"on the media at {off:#x}",
                       hcvtest.device_read(path, off) == want)
            ktap.check("read back", dev.read(export_off) == want)
        big = os.urandom(1 << 20)
        dev.write(addr(first + 2, 5 << 20), big)
        ktap.check("1 MiB", dev.read(addr(first + 2, 5 << 20), 1 << 20) == big)


def test_reach():
    check_reach(A)


def test_reach_4096():
    check_reach(B)


def test_out_of_reach():
    with exported() as dev:
        first = grant()["FIRST"]
        dev.read(addr(first + 3))
        for what, off, size in (
                ("before the grant", addr(first - 1), BLOCK),
                ("handle 1", addr(1), BLOCK),
                ("handle 0", 2 << 20, BLOCK),
                ("an extent that is not there", addr(first + 4), BLOCK),
                ("behind the grant", addr(first + 1024), BLOCK),
                ("far away", addr(1 << 32), BLOCK),
                ("behind the area", addr(first, 256 << 10), BLOCK),
                ("over the area's end", addr(first, (256 << 10) - BLOCK),
                 2 * BLOCK),
                ("over the data's end", addr(first + 1, EXTENT - BLOCK),
                 2 * BLOCK),
                ("behind the metadata", addr(first + 1, META_OFF + META_SIZE),
                 BLOCK),
                ("over the metadata's end",
                 addr(first + 1, META_OFF + META_SIZE - BLOCK), 2 * BLOCK),
                ("two control windows", CONTROL, 2 * BLOCK)):
            fails_io(f"read {what}", lambda o=off, s=size: dev.read(o, s))
            fails_io(f"write {what}",
                     lambda o=off, s=size: dev.write(o, bytes(s)))
        fails_io("write control", lambda: dev.write(CONTROL, bytes(BLOCK)))
        fails_io("write edge", lambda: dev.write(0, bytes(BLOCK)))
        for off in (0, (1 << 20) - BLOCK, END - (1 << 20), END - BLOCK):
            ktap.check("edges are zero", not any(dev.read(off)))
        fails_io("read over the edge",
                 lambda: dev.read((1 << 20) - BLOCK, 2 * BLOCK))


def test_foreign_handles():
    with exported() as dev:
        mine, other = grant()["FIRST"], grant(client="@n3", epoch=2)["FIRST"]
        dev.read(addr(mine + 1))
        fails_io("another client's handle", lambda: dev.read(addr(other + 1)))
        name = node.do("EXPORT_ADD", STORE="@s1", NODE="@n3")["DEVNAME"]
        with hcvtest.Device(f"/dev/{name}") as second:
            second.read(addr(other + 1))
            fails_io("the other way", lambda: second.read(addr(mine + 1)))


def test_exports():
    with exported() as dev:
        path = "/sys/block/" + os.path.basename(dev.path)
        queue = {name: Path(f"{path}/queue/{name}").read_text().strip()
                 for name in ("logical_block_size", "write_cache", "fua",
                              "discard_max_bytes", "write_zeroes_max_bytes")}
        ktap.check_eq("limits", {
            "logical_block_size": "4096", "write_cache": "write back",
            "fua": "1", "discard_max_bytes": "0",
            "write_zeroes_max_bytes": "0"}, queue)
        again = node.do("EXPORT_ADD", STORE="@s1", NODE="@n2")["DEVNAME"]
        ktap.check_eq("repeated", os.path.basename(dev.path), again)
        node.fails(errno.EBUSY, "is open", "EXPORT_DEL", STORE="@s1",
                   NODE="@n2")
        node.fails(errno.ENOENT, "no such export", "EXPORT_DEL", STORE="@s1",
                   NODE="@n3")
        node.fails(errno.EBUSY, "exports", "STORE_CLOSE", STORE="@s1")
        node.do("EXPORT_ADD", STORE="@s1", NODE="@n3")
        grant(client="@n3")
        node.fails(errno.EBUSY, "has grants", "EXPORT_DEL", STORE="@s1",
                   NODE="@n3")
        ktap.check_eq("dump", [(uuid_text("@n2"), 1), (uuid_text("@n3"), 0)],
                      [(e["NODE"], e["OPENERS"])
                       for e in node.dump("EXPORT_GET")])


def test_flush():
    """A FLUSH and FUA reach the store's device."""
    with exported() as dev:
        first = grant()["FIRST"]

        def flushes():
            # field 16 of stat: flush requests completed
            stat = Path(f"/sys/block/{os.path.basename(A)}/stat").read_text()
            return int(stat.split()[15])
        before = flushes()
        dev.write(addr(first + 1), bytes(BLOCK))
        ktap.check_eq("a plain write", before, flushes())
        dev.flush()
        ktap.check_eq("fsync", before + 1, flushes())
        dev.write(addr(first + 1), bytes(BLOCK), os.RWF_DSYNC)
        ktap.check("FUA", flushes() > before + 1)
        got = node.do("STORE_GET", STORE="@s1")
        ktap.check("counted", got["FLUSH_IOS"] > 0 and got["WRITE_IOS"] > 0)


def test_grants():
    with exported(indexes="0") as dev:
        one = grant(count=2)
        ktap.check_eq("rounded up", 1024, one["COUNT"])
        ktap.check_eq("repeated", one, grant(count=2))
        ktap.check_eq("within", one, grant(count=1024))
        fails_io("not yet", lambda: dev.read(addr(one["FIRST"] + 2)))
        node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v1", INDEXES="1,1300")
        dev.read(addr(one["FIRST"] + 2))
        ktap.check_eq("next epoch", one["FIRST"] + 1024,
                      grant(epoch=2)["FIRST"])
        more = grant(count=1302)
        ktap.check_eq("grown", (one["FIRST"], 2048),
                      (more["FIRST"], more["COUNT"]))
        ktap.check_eq("ranges", [(0, 1024), (1024, 1024)],
                      [(r["base"], r["count"]) for r in more["RANGES"]])
        second = more["RANGES"][1]["first"]
        dev.read(addr(second + 1301 - 1024))
        fails_io("hole", lambda: dev.read(addr(second)))
        ktap.check_eq("merged", [(0, 1024), (1024, 2048)],
                      [(r["base"], r["count"])
                       for r in grant(count=3000)["RANGES"]])
        node.fails(errno.ENOENT, "nothing of this volume", "GRANT",
                   STORE="@s1", VOL="@v9", EPOCH=1, NODE="@n2", COUNT=1)
        node.fails(errno.EINVAL, "a grant has", "GRANT", STORE="@s1",
                   VOL="@v1", EPOCH=1, NODE="@n2", COUNT=(1 << 24) + 2)
        node.fails(errno.EBUSY, "grant", "STORE_EXTENT_DEL", STORE="@s1",
                   VOL="@v1")
        node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        fails_io("revoked", lambda: dev.read(addr(second + 1301 - 1024)))
        dev.read(addr(one["FIRST"] + 1024 + 1))
        node.fails(errno.ESTALE, "epoch 1 is revoked here, up to 1", "GRANT",
                   STORE="@s1", VOL="@v1", EPOCH=1, NODE="@n2", COUNT=1)
        # Also for a volume that was never granted here.
        node.do("REVOKE", STORE="@s1", VOL="@v5", EPOCH=7)
        node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v5", INDEXES="0")
        node.fails(errno.ESTALE, "epoch 7 is revoked", "GRANT", STORE="@s1",
                   VOL="@v5", EPOCH=7, NODE="@n2", COUNT=1)
        grant(vol="@v5", epoch=8)


def test_handles_never_return():
    seen = set()
    for fmt in (True, False, False):
        with exported(fmt=fmt):
            for epoch in range(1, 4):
                first = grant(epoch=epoch)["FIRST"]
                ktap.check("a new handle", first not in seen)
                seen.add(first)
            after_crash = hcvtest.read_super(A)["handle_next"]
            ktap.check("reserved before use", after_crash >= max(seen) + 1024)


def test_handles_run_out():
    node.format(A)
    for copy in range(2):
        hcvtest.patch_super(A, copy, handle_next=(1 << 33) - 3 * 1024)
    with exported(fmt=False):
        grant(epoch=1)
        grant(epoch=2)
        node.fails(errno.ENOSPC, "", "GRANT", STORE="@s1", VOL="@v1", EPOCH=3,
                   NODE="@n2", COUNT=1)
        ktap.check_eq("the edge stays free", (1 << 33) - 1024,
                      hcvtest.read_super(A)["handle_next"])


def lease_of(vol="@v1", client="@n2"):
    return [g["LEASE_MS"] for g in node.dump("GRANT_GET")
            if g["VOL"] == uuid_text(vol) and g["NODE"] == uuid_text(client)]


def test_beacon():
    with exported() as dev:
        node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v2", INDEXES="0")
        grant()
        grant(vol="@v2", client="@n3")
        store = node.do("STORE_GET", STORE="@s1")
        ktap.check_eq("no lease before", [0], lease_of())
        begin = time.monotonic()
        ctl, revoked = hcvtest.control(dev.read(CONTROL))
        ktap.check("sealed", ctl["good"])
        ktap.check_eq("magic", 0x43564348, ctl["magic"])
        ktap.check_eq("ids", (hcvnl.parse_uuid("@s1"), store["INCARNATION"]),
                      (ctl["store"], ctl["incarnation"]))
        ktap.check_eq("nothing revoked", (0, {}, 0),
                      (ctl["revoke_seq"], revoked, ctl["flags"]))
        left = lease_of()[0]
        spent = (time.monotonic() - begin) * 1000
        ktap.check("lease", LEASE_MS - spent - 1 <= left <= LEASE_MS,
                   f"{left} ms, {spent} ms later")
        ktap.check_eq("not another client's", [0], lease_of("@v2", "@n3"))
        node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        node.do("REVOKE", STORE="@s1", VOL="@v2", EPOCH=1)
        ctl, revoked = hcvtest.control(dev.read(CONTROL))
        ktap.check_eq("own revocations only",
                      ({hcvnl.parse_uuid("@v1"): 1}, 2),
                      (revoked, ctl["revoke_seq"]))
        grant(epoch=5)
        node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=9)
        _, revoked = hcvtest.control(dev.read(CONTROL))
        ktap.check_eq("highest epoch", {hcvnl.parse_uuid("@v1"): 5}, revoked)


def all_windows(dev):
    """The whole list of a client: (fields of the last window, {vol: epoch})"""
    revoked, window = {}, 0
    while True:
        ctl, part = hcvtest.control(dev.read(CONTROL + window * BLOCK))
        ktap.check("sealed", ctl["good"])
        ktap.check_eq("window", window, ctl["window"])
        ktap.check("listed once", not set(part) & set(revoked))
        revoked.update(part)
        if not ctl["flags"] & 2:
            return ctl, revoked
        ktap.check_eq("full", 160, len(part))
        window += 1


def test_beacon_windows():
    """Any number of revocations; what the client has let go of leaves."""
    with exported() as dev:
        grant()
        vols = [f"@w{i}" for i in range(450)]
        for i, vol in enumerate(vols):
            node.do("STORE_EXTENT_ADD", STORE="@s1", VOL=vol, INDEXES="0")
            grant(vol=vol, epoch=3)
            node.fence("@s1", vol, 3)
            node.do("STORE_EXTENT_DEL", STORE="@s1", VOL=vol)
            if i in (159, 160):
                ctl, _ = hcvtest.control(dev.read(CONTROL + BLOCK))
                ktap.check_eq("nothing but a lease by window 0", [0],
                              lease_of())
                _, first = hcvtest.control(hcvtest.device_read(
                    dev.path, CONTROL + BLOCK))
                ktap.check_eq("second window", i - 159, len(first))
        begin = time.monotonic()
        ctl, revoked = all_windows(dev)
        ktap.check_eq("all of them", {hcvnl.parse_uuid(v): 3 for v in vols},
                      revoked)
        ktap.check_eq("three windows", 2, ctl["window"])
        ktap.check("which gives a lease", lease_of()[0] >=
                   LEASE_MS - (time.monotonic() - begin) * 1000 - 1)
        for window in (3, 1000, 65535):
            last, part = hcvtest.control(dev.read(CONTROL + window * BLOCK))
            ktap.check_eq("behind the list", (window, {}, 0),
                          (last["window"], part, last["flags"]))
        fails_io("behind the windows", lambda: dev.read(CONTROL + EXTENT))
        # An epoch below the one that is listed does not do, the same does.
        dev.write(CONTROL, done_message("@w7", 2))
        ktap.check_eq("still listed", 450, len(all_windows(dev)[1]))
        dev.write(CONTROL, done_message("@w7", 3))
        after, revoked = all_windows(dev)
        ktap.check("gone", hcvnl.parse_uuid("@w7") not in revoked)
        ktap.check("whoever reads on notices",
                   after["revoke_seq"] > ctl["revoke_seq"])
        # Nobody can let go of what he never had.
        dev.write(CONTROL, done_message("@w8", 4))
        ktap.check("listed", hcvnl.parse_uuid("@w8") in all_windows(dev)[1])
        for vol in vols:
            dev.write(CONTROL, done_message(vol, 3))
        ktap.check_eq("empty", {}, all_windows(dev)[1])
        node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        ktap.check_eq("goes on", {hcvnl.parse_uuid("@v1"): 1},
                      all_windows(dev)[1])


def done_message(vol, epoch, store="@s1", **fields):
    """What a client writes when it has let go of a volume."""
    opened = node.do("STORE_GET", STORE="@s1")
    f = {"magic": 0x44564348, "version": 1, "pad": 0,
         "incarnation": opened["INCARNATION"], "tail": 0, **fields}
    buf = struct.pack("<IIII16sQ16sQ", f["magic"], 0, f["version"], f["pad"],
                      hcvnl.parse_uuid(store), f["incarnation"],
                      hcvnl.parse_uuid(vol), epoch)
    buf = buf.ljust(BLOCK - 1, b"\0") + bytes([f["tail"]])
    return hcvnl.seal(buf, 4)


def test_done():
    """A client that has let go of a volume ends its lease at once, and who
    waits for the end of that is told."""
    with exported() as dev, hcvvol.Events() as events:
        first = grant()["FIRST"]
        grant(client="@n3")
        dev.write(addr(first + 1), bytes(BLOCK))
        dev.read(CONTROL)
        ktap.check("lease", lease_of()[0] > 0)
        good = done_message("@v1", 1)
        for what, bad in (
                ("another store", done_message("@v1", 1, store="@s2")),
                ("another incarnation",
                 done_message("@v1", 1, incarnation=1)),
                ("a newer version", done_message("@v1", 1, version=2)),
                ("no epoch", done_message("@v1", 0)),
                ("something behind", done_message("@v1", 1, tail=1)),
                ("another magic", done_message("@v1", 1, magic=0x43564348)),
                ("a wrong checksum", good[:4] + bytes(4) + good[8:])):
            fails_io(what, lambda m=bad: dev.write(CONTROL, m))
        fails_io("in another window", lambda: dev.write(CONTROL + BLOCK, good))
        # Of another epoch, or of a volume that it has not: nothing happens.
        dev.write(CONTROL, done_message("@v1", 2))
        dev.write(CONTROL, done_message("@v2", 1))
        dev.read(addr(first + 1))
        ktap.check("lease goes on", lease_of()[0] > 0)
        events.poll()
        ktap.check_eq("nobody was told", [], events.seen)
        dev.write(CONTROL, good)
        events.wait("REVOKED", STORE=uuid_text("@s1"), VOL=uuid_text("@v1"),
                    EPOCH=1)
        ktap.check_eq("lease is over", [0], lease_of())
        ktap.check_eq("shown", ["REVOKED|DONE", ""],
                      [g["GRANT_FLAGS"] for g in node.dump("GRANT_GET")])
        fails_io("handles are dead", lambda: dev.read(addr(first + 1)))
        dev.write(CONTROL, good)
        node.fails(errno.ESTALE, "is revoked", "GRANT", STORE="@s1",
                   VOL="@v1", EPOCH=1, NODE="@n2", COUNT=1)
        ktap.check_eq("not listed", {}, all_windows(dev)[1])
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        ktap.check_eq("no lease to wait for", 0, got["LEASE_MS"])
        node.fence("@s1", "@v1", 1)
        ktap.check_eq("nor to list", {}, all_windows(dev)[1])
        # The word about epoch 1 says nothing of epoch 2.
        again = grant(epoch=2)["FIRST"]
        dev.read(CONTROL)
        dev.write(CONTROL, good)
        dev.read(addr(again + 1))
        ktap.check("lease of the next epoch", lease_of()[0] > 0)
        node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=2)
        ktap.check_eq("listed", {hcvnl.parse_uuid("@v1"): 2},
                      all_windows(dev)[1])


class Writers:
    """Threads that write a growing number to their own blocks."""

    def __init__(self, path, base, count):
        self.path, self.base, self.errors = path, base, []
        self.stop = False
        self.threads = [threading.Thread(target=self.work, args=(i,))
                        for i in range(count)]
        for thread in self.threads:
            thread.start()

    def work(self, i):
        num = 0
        with hcvtest.Device(self.path) as dev:
            while not self.stop:
                num += 1
                try:
                    dev.write(self.base + i * BLOCK,
                              num.to_bytes(8, "little") * (BLOCK // 8))
                except OSError as e:
                    self.errors.append(e.errno)
                    return

    def refused(self):
        """Until all have ended by an error."""
        hcvtest.wait_for(
            lambda: not any(t.is_alive() for t in self.threads), 20,
            "end of the writers")
        ktap.check_eq("writers refused", [errno.EIO] * len(self.threads),
                      self.errors)

    def join(self):
        self.stop = True
        for thread in self.threads:
            thread.join()


class HeldWrites:
    """Writes to extents of v1 that a disk holds until it is told to let go.

    dev: the export's device; first: the volume's first handle; writers: those
    of the first of the extents; others: those of the second
    """

    def __init__(self, count=4, extents=(0,)):
        self.count, self.extents, self.held = count, extents, False
        self.groups = []
        self.table = f"0 {(2 << 30) // 512} delay {A} 0 0 {A} 0 "

    def __enter__(self):
        hcvtest.run("modprobe", "dm-delay")
        with contextlib.ExitStack() as stack:
            self.disk = hcvtest.dm_create("held", self.table + "0")
            stack.callback(hcvtest.dm_remove, "held")
            self.dev = stack.enter_context(exported(self.disk))
            self.first = grant()["FIRST"]
            self.hold()
            for extent in self.extents:
                self.groups.append(Writers(
                    self.dev.path, addr(self.first + 1 + extent), self.count))
                stack.callback(self.groups[-1].join)
            stack.callback(self.let_go)
            self.all_held(self.count * len(self.extents))
            self.stack = stack.pop_all()
        return self

    @property
    def writers(self):
        return self.groups[0]

    @property
    def others(self):
        return self.groups[1]

    def __exit__(self, *args):
        self.stack.close()

    def hold(self):
        self.held = True
        hcvtest.dm_reload("held", self.table + "3600000")

    def all_held(self, count):
        """Until so many writes are."""
        # START LENGTH delay READS WRITES FLUSHES that it holds
        hcvtest.wait_for(
            lambda: hcvtest.run("dmsetup", "status", "held").split()[3:5]
            == ["0", str(count)], 10, "writes under way")

    def let_go(self):
        if self.held:
            self.held = False
            hcvtest.dm_reload("held", self.table + "0")

    def ended(self):
        ktap.check_eq("under way after the fence", (0, 0),
                      hcvtest.in_flight(self.disk))

    def check_fenced(self):
        """All writes have ended, and the writers are let in no more."""
        self.ended()
        self.check_refused()

    def check_refused(self):
        """The first extent's writers are let in no more, nothing lands."""
        data = objects(A)[1][self.extents[0]]
        before = hcvtest.device_read(A, data, self.count * BLOCK)
        self.writers.refused()
        ktap.check("nothing landed", before ==
                   hcvtest.device_read(A, data, self.count * BLOCK))
        ktap.check("something had", any(before))


def test_done_does_not_drain():
    """What is in flight is waited for, whatever the client says."""
    with HeldWrites(1) as held:
        held.dev.write(CONTROL, done_message("@v1", 1))
        for _ in range(2):
            got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
            ktap.check_eq("in flight, no lease", (1, 0),
                          (got["INFLIGHT"], got["LEASE_MS"]))
        held.let_go()
        node.fence("@s1", "@v1", 1)
        held.check_fenced()


def test_lease_ends():
    with exported() as dev:
        grant()
        begin = time.monotonic()
        dev.read(CONTROL)
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        ktap.check("lease is out", got["LEASE_MS"] <= LEASE_MS, str(got))
        hcvtest.wait_for(lambda: lease_of()[0] <= LEASE_MS // 2, 6,
                         "half of the lease")
        again = time.monotonic()
        dev.read(CONTROL)
        node.fence("@s1", "@v1", 1)
        end = time.monotonic()
        ktap.check("waited out", end - begin > 4.5, f"{end - begin:.1f} s")
        ktap.check("not extended", end - again < 4.5, f"{end - again:.1f} s")
        # An I/O that was let in is a lease, too.
        first = grant(epoch=2)["FIRST"]
        hcvtest.wait_for(lambda: lease_of() == [0], 6, "end of lease")
        dev.read(addr(first + 1))
        ktap.check("lease of an I/O", lease_of()[0] > 0)


def test_close_waits_for_leases():
    with exported() as dev:
        grant()
        begin = time.monotonic()
        dev.read(CONTROL)

        def drained():
            node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
            return not any(g["INFLIGHT"] for g in node.dump("GRANT_GET"))
        hcvtest.wait_for(drained, 5, "drain")
        os.close(dev.fd)
        node.do("EXPORT_DEL", STORE="@s1", NODE="@n2")
        node.do("STORE_CLOSE", STORE="@s1")
        ktap.check("waited", time.monotonic() - begin > 4.5)
        ktap.check_eq("flags", 3, hcvtest.read_super(A)["flags"])
        node.open(A, fmt=False)
        dev.fd = os.open("/dev/null", os.O_RDONLY)


def test_silence_after_crash():
    node.format(A)
    for copy in range(2):
        hcvtest.patch_super(A, copy, flags=0)
    begin = time.monotonic()
    node.open(A, fmt=False)
    got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=3)
    ktap.check("silent", got["LEASE_MS"] <= LEASE_MS, str(got))
    node.fence("@s1", "@v1", 3)
    ktap.check("for one lease", time.monotonic() - begin > 4.5)
    node.shut()
    node.open(A, fmt=False)
    got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=3)
    ktap.check_eq("none after a clean close", 0, got["LEASE_MS"])
    node.shut()


def test_revoke_under_load():
    """Nothing lands on the media once a revocation reports zero."""
    with HeldWrites() as held:
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        ktap.check("in flight", got["INFLIGHT"] > 0, str(got))
        fails_io("no entry", lambda: held.dev.read(addr(held.first + 1)))
        node.fails(errno.EBUSY, "in flight", "STORE_EXTENT_DEL",
                   STORE="@s1", VOL="@v1")
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        ktap.check("still in flight", got["INFLIGHT"] > 0, str(got))
        held.let_go()
        node.fence("@s1", "@v1", 1)
        held.check_fenced()


def renewed(renew, count=3):
    """Ask for a renewal until the old handles are drained."""
    def done():
        try:
            return grant(RENEW=renew, count=count)
        except hcvnl.Fail as e:
            if e.code != errno.EINPROGRESS:
                raise
            return None
    return hcvtest.wait_for(done, 10, "renewal")


def test_renewal():
    """New handles in the same epoch; what held the old ones is refused."""
    with exported() as dev:
        old = grant(count=2000)
        ktap.check_eq("as it is", (0, old["FIRST"]),
                      (old["RENEW"], grant(RENEW=0)["FIRST"]))
        dev.write(addr(old["FIRST"] + 1), bytes(BLOCK))
        dev.read(CONTROL)
        got = renewed(7, 2000)
        ktap.check("new handles", got["FIRST"] >= old["FIRST"] + 2048 and
                   got["RENEW"] == 7, str(got))
        ktap.check_eq("repeated", got, grant(RENEW=7))
        ktap.check_eq("any will do", got, grant())
        for i in (1, 1500):
            fails_io("a late write",
                     lambda n=i: dev.write(addr(old["FIRST"] + n),
                                           b"L" * BLOCK))
        ktap.check("nothing landed", not any(
            dev.read(addr(got["FIRST"] + 1))))
        node.fails(errno.ESTALE, "renewed meanwhile, as 7", "GRANT",
                   STORE="@s1", VOL="@v1", EPOCH=1, NODE="@n2", COUNT=1,
                   RENEW=6)
        dev.write(addr(got["FIRST"] + 1), b"N" * BLOCK)
        # The volume stays open to the client; another's is not touched.
        _, revoked = hcvtest.control(dev.read(CONTROL))
        ktap.check_eq("not told as revoked", {}, revoked)
        grant(client="@n3", RENEW=2)
        dev.read(addr(got["FIRST"] + 1))
        ktap.check("as many as before", got["COUNT"] == 2048)
        both = [(g["GRANT_FLAGS"], g["RENEW"]) for g in node.dump("GRANT_GET")
                if g["NODE"] == uuid_text("@n2")]
        ktap.check_eq("dump", [("REVOKED", 0), ("", 7)], both)
        # The lease of the old handles is over when that of the new ones is.
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        ktap.check("lease", got["LEASE_MS"] > 0, str(got))
        node.fence("@s1", "@v1", 1)
        ktap.check_eq("all gone", [], node.dump("GRANT_GET"))
        ktap.check_eq("next epoch begins anew", 0, grant(epoch=2)["RENEW"])


def test_renewal_waits():
    """Nothing old lands once a renewal has given handles."""
    with HeldWrites() as held:
        for _ in range(2):
            node.fails(errno.EINPROGRESS, "has not ended", "GRANT",
                       STORE="@s1", VOL="@v1", EPOCH=1, NODE="@n2",
                       COUNT=1, RENEW=1)
        # A plain request, or a restarted agent's, gets no way around it.
        node.fails(errno.EINPROGRESS, "has not ended", "GRANT",
                   STORE="@s1", VOL="@v1", EPOCH=1, NODE="@n2", COUNT=1)
        fails_io("no entry", lambda: held.dev.read(addr(held.first + 1)))
        held.let_go()
        got = renewed(1)
        held.check_fenced()
        held.dev.read(addr(got["FIRST"] + 1))


def test_renewal_and_revocation():
    """A revocation between retiring and granting wins."""
    with HeldWrites(1) as held:
        node.fails(errno.EINPROGRESS, "has not ended", "GRANT",
                   STORE="@s1", VOL="@v1", EPOCH=1, NODE="@n2", COUNT=1,
                   RENEW=1)
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        ktap.check_eq("counts what was retired", 1, got["INFLIGHT"])
        _, revoked = hcvtest.control(held.dev.read(CONTROL))
        ktap.check_eq("told", {hcvnl.parse_uuid("@v1"): 1}, revoked)
        node.fails(errno.ESTALE, "is revoked", "GRANT", STORE="@s1",
                   VOL="@v1", EPOCH=1, NODE="@n2", COUNT=1, RENEW=1)
        held.let_go()
        node.fence("@s1", "@v1", 1)
        held.check_fenced()


def test_volume_leaves():
    """Its handles are over and what they let in is waited for; the epoch goes
    on, and the volume may come again, with a higher renewal."""
    def leave(renew=4):
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1, RENEW=renew)
        ktap.check_eq("no lease is waited for", 0, got["LEASE_MS"])
        return got["INFLIGHT"]
    with HeldWrites() as held:
        held.dev.read(CONTROL)
        for _ in range(2):
            ktap.check("in flight", leave() > 0)
        fails_io("no entry", lambda: held.dev.read(addr(held.first + 1)))
        node.fails(errno.EBUSY, "in flight", "STORE_EXTENT_DEL",
                   STORE="@s1", VOL="@v1")
        _, revoked = hcvtest.control(held.dev.read(CONTROL))
        ktap.check_eq("not told as revoked", {}, revoked)
        held.let_go()
        hcvtest.wait_for(lambda: not leave(), 20, "end of the writes")
        held.check_fenced()
        node.do("STORE_EXTENT_DEL", STORE="@s1", VOL="@v1")
        ktap.check_eq("freed", {}, node.extents())
        # Another volume has its place.
        node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v2", INDEXES="0-2")
        held.check_refused()
        node.do("STORE_EXTENT_DEL", STORE="@s1", VOL="@v2")
        node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v1", INDEXES="0-2")
        for renew in (1, 3):
            node.fails(errno.ESTALE, "renewed meanwhile, as 4", "GRANT",
                       STORE="@s1", VOL="@v1", EPOCH=1, NODE="@n2", COUNT=1,
                       RENEW=renew)
        first = grant(RENEW=5)["FIRST"]
        ktap.check_eq("whoever repeats it is late", 0, leave())
        ktap.check("empty", not any(held.dev.read(addr(first + 1))))
        held.dev.write(addr(first + 1), b"N" * BLOCK)
        second = grant(epoch=2)["FIRST"]
        hcvtest.wait_for(lambda: not leave(9), 20, "end of these, too")
        fails_io("over", lambda: held.dev.read(addr(first + 1)))
        held.dev.read(addr(second + 1))
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=2)
        ktap.check("the lease had gone on", got["LEASE_MS"] > 0, str(got))
        node.fails(errno.ESTALE, "is revoked", "GRANT", STORE="@s1",
                   VOL="@v1", EPOCH=1, NODE="@n2", COUNT=1, RENEW=10)


def beacons(dev, seconds):
    """As an owner whose path lasts."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        dev.read(CONTROL)
        time.sleep(0.3)


def test_retired_keeps_the_lease():
    """Whoever is not told of a revocation goes on renewing its lease, though
    its handles are out of date and their I/O hangs in the disk."""
    with HeldWrites(1) as held:
        node.fails(errno.EINPROGRESS, "has not ended", "GRANT",
                   STORE="@s1", VOL="@v1", EPOCH=1, NODE="@n2", COUNT=1,
                   RENEW=1)
        # Longer than any lease that was out by then.
        beacons(held.dev, 1.5 * LEASE_MS / 1000)
        begin = time.monotonic()
        held.dev.read(CONTROL)
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        spent = (time.monotonic() - begin) * 1000
        ktap.check("lease and I/O", got["INFLIGHT"] == 1 and
                   LEASE_MS - spent - 1 <= got["LEASE_MS"] <= LEASE_MS,
                   str(got))
        held.let_go()
        node.fence("@s1", "@v1", 1)
        ktap.check("waited out", time.monotonic() - begin > LEASE_MS / 1000)
        held.check_fenced()


@contextlib.contextmanager
def without_grants():
    """A renewal that fails leaves a client with no handles and its lease."""
    node.format(A)
    for copy in range(2):
        hcvtest.patch_super(A, copy, handle_next=(1 << 33) - 2 * 1024)
    with exported(fmt=False) as dev:
        grant()
        hcvtest.wait_for(lambda: lease_of() == [0], 6, "end of lease")

        def forgotten():
            try:
                grant(RENEW=1)
            except hcvnl.Fail as e:
                if e.code not in (errno.ENOSPC, errno.EINPROGRESS):
                    raise
            return not node.dump("GRANT_GET")
        hcvtest.wait_for(forgotten, 6, "end of the old grant")
        yield dev


def test_lease_without_grants():
    with without_grants() as dev:
        begin = time.monotonic()
        dev.read(CONTROL)
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        ktap.check("lease", got["LEASE_MS"] > 0, str(got))
        ktap.check_eq("told", {hcvnl.parse_uuid("@v1"): 1},
                      all_windows(dev)[1])
        node.fence("@s1", "@v1", 1)
        ktap.check("waited out", time.monotonic() - begin > LEASE_MS / 1000)
        ktap.check_eq("once", 0, node.do("REVOKE", STORE="@s1", VOL="@v1",
                                         EPOCH=1)["LEASE_MS"])


def test_close_without_grants():
    with without_grants() as dev:
        begin = time.monotonic()
        dev.read(CONTROL)
        os.close(dev.fd)
        node.do("EXPORT_DEL", STORE="@s1", NODE="@n2")
        node.do("STORE_CLOSE", STORE="@s1")
        ktap.check("waited", time.monotonic() - begin > LEASE_MS / 1000)
        node.open(A, fmt=False)
        dev.fd = os.open("/dev/null", os.O_RDONLY)


def test_done_without_grants():
    """The word ends the lease, and the epoch gets no grant again."""
    with without_grants() as dev:
        dev.read(CONTROL)
        dev.write(CONTROL, done_message("@v1", 1))
        node.fails(errno.ESTALE, "is revoked", "GRANT", STORE="@s1",
                   VOL="@v1", EPOCH=1, NODE="@n2", COUNT=1, RENEW=1)
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        ktap.check_eq("no lease", 0, got["LEASE_MS"])


def test_nothing_granted():
    """Whoever got nothing has no lease, whatever it asked for."""
    node.format(A)
    for copy in range(2):
        hcvtest.patch_super(A, copy, handle_next=(1 << 33) - 2 * 1024)
    with exported(fmt=False) as dev:
        grant(client="@n3")
        node.fails(errno.ENOSPC, "", "GRANT", STORE="@s1", VOL="@v1",
                   EPOCH=2, NODE="@n2", COUNT=1)
        dev.read(CONTROL)
        node.fence("@s1", "@v1", 1)
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=2)
        ktap.check_eq("no lease", 0, got["LEASE_MS"])
        ktap.check_eq("not told", {}, all_windows(dev)[1])


@contextlib.contextmanager
def listening():
    """A list that events come into."""
    client, seen, end = hcvnl.Client(), [], threading.Event()
    client.genl.sock.setsockopt(hcvnl.SOL_NETLINK,
                                hcvnl.NETLINK_ADD_MEMBERSHIP,
                                client.groups["events"])
    client.genl.sock.settimeout(0.2)

    def listen():
        while not end.is_set():
            with contextlib.suppress(TimeoutError):
                for kind, _, _, data in client.genl.receive():
                    if kind == client.family:
                        seen.append(client.codec.decode(data[4:]))
    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield seen
    finally:
        end.set()
        thread.join()


def event(seen, kind):
    return hcvtest.wait_for(
        lambda: next((e for e in seen if e["EVENT"] == kind), None), 10, kind)


def withdraw(indexes):
    """False: I/O of before is in flight."""
    try:
        node.do("STORE_EXTENT_WITHDRAW", STORE="@s1", VOL="@v1",
                INDEXES=indexes)
    except hcvnl.Fail as e:
        if e.code != errno.EINPROGRESS:
            raise
        return False
    return True


def test_withdraw():
    """An extent goes although the volume has grants, for ever."""
    with exported() as dev:
        first = grant(count=10)["FIRST"]
        for i in range(3):
            dev.write(addr(first + 1 + i), bytes([i + 1]) * BLOCK)
        hcvtest.wait_for(lambda: withdraw("1,7"), 10, "withdrawal")
        ktap.check("repeated", withdraw("1") and withdraw("1,7"))
        ktap.check_eq("extents", {uuid_text("@v1"): [0, 2]}, node.extents())
        for off in (0, META_OFF):
            fails_io("a late write",
                     lambda o=off: dev.write(addr(first + 2, o), bytes(BLOCK)))
            fails_io("a late read",
                     lambda o=off: dev.read(addr(first + 2, o)))
        ktap.check_eq("the others", [1, 3], [
            dev.read(addr(first + 1 + i))[0] for i in (0, 2)])
        # Another volume gets the place.
        node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v2", INDEXES="0-4")
        other = grant(vol="@v2", count=10)["FIRST"]
        fails_io("a late write",
                 lambda: dev.write(addr(first + 2), b"L" * BLOCK))
        dev.read(addr(other + 1))
        # Grants that come later do not see it either.
        late = grant(client="@n3", epoch=2, count=10)["FIRST"]
        node.do("EXPORT_ADD", STORE="@s1", NODE="@n3")
        name = next(e["DEVNAME"] for e in node.dump("EXPORT_GET")
                    if e["NODE"] == uuid_text("@n3"))
        with hcvtest.Device(f"/dev/{name}") as third:
            third.read(addr(late + 1))
            fails_io("nothing there", lambda: third.read(addr(late + 2)))
        ktap.check("an unknown volume", node.do(
            "STORE_EXTENT_WITHDRAW", STORE="@s1", VOL="@v9", INDEXES="0")
            is None)
        node.fails(errno.EINVAL, "INDEXES is missing",
                   "STORE_EXTENT_WITHDRAW", STORE="@s1", VOL="@v1")
        # One more than that is the volume's own area.
        node.fails(errno.EINVAL, "extent 4294967295 is beyond",
                   "STORE_EXTENT_WITHDRAW", STORE="@s1", VOL="@v1",
                   INDEXES=str(2 ** 32 - 1))


def test_withdraw_waits():
    """Nothing lands in an extent once it is free; the others' I/O goes on."""
    with HeldWrites(extents=(1, 0)) as held:
        ktap.check("in flight", not withdraw("1"))
        fails_io("no entry", lambda: held.dev.read(addr(held.first + 2)))
        ktap.check("still", not withdraw("1"))
        ktap.check_eq("kept until then", [0, 1, 2],
                      node.extents()[uuid_text("@v1")])
        held.let_go()
        hcvtest.wait_for(lambda: withdraw("1"), 10, "withdrawal")
        held.check_refused()
        held.hold()
        held.all_held(held.count)
        ktap.check("a second one", not withdraw("2"))
        held.let_go()
        hcvtest.wait_for(lambda: withdraw("2"), 10, "withdrawal")
        ktap.check_eq("the others go on", [], held.others.errors)
        held.hold()
        held.all_held(held.count)
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        ktap.check("counted", got["INFLIGHT"] > 0, str(got))
        held.let_go()
        node.fence("@s1", "@v1", 1)
        held.ended()
        held.others.refused()


def test_withdraw_under_load():
    """I/O to the extents that stay never fails."""
    with exported(indexes="0") as dev:
        first = grant(count=100)["FIRST"]
        others = Writers(dev.path, addr(first + 1), 4)
        for i in range(1, 60):
            node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v1", INDEXES=str(i))
            dev.write(addr(first + 1 + i), bytes(BLOCK))
            hcvtest.wait_for(lambda n=i: withdraw(str(n)), 10, "withdrawal")
        others.join()
        ktap.check_eq("errors", [], others.errors)
        ktap.check_eq("used", 1, node.do("STORE_GET", STORE="@s1")
                      ["NR_EXTENTS_USED"])


def test_withdraw_and_revoke():
    """A revocation waits for the I/O of both periods."""
    with HeldWrites(1, extents=(1,)) as held:
        ktap.check("in flight", not withdraw("1"))
        # The new period has none: the old one's counts.
        got = node.do("REVOKE", STORE="@s1", VOL="@v1", EPOCH=1)
        ktap.check_eq("counted", 1, got["INFLIGHT"])
        ktap.check("not free", not withdraw("1"))
        held.let_go()
        hcvtest.wait_for(lambda: withdraw("1"), 10, "withdrawal")
        node.fence("@s1", "@v1", 1)
        ktap.check_eq("all gone", [], node.dump("GRANT_GET"))
        held.check_fenced()


def test_media_errors():
    """A failed read is an error, a failed write ends the store."""
    sectors = (2 << 30) // 512
    hcvtest.run("modprobe", "dm-flakey")
    whole = f"0 {sectors} linear {A} 0"
    bad = hcvtest.dm_create("bad", whole)
    try:
        with listening() as seen, exported(bad) as dev:
            first = grant()["FIRST"]
            hcvtest.dm_reload("bad", f"0 {sectors} error")
            fails_io("read", lambda: dev.read(addr(first + 1)))
            got = event(seen, "MEDIA_ERROR")
            ktap.check_eq("event", (uuid_text("@s1"), uuid_text("@v1"),
                                    "read"),
                          (got["STORE"], got["VOL"], got["TEXT"]))
            hcvtest.dm_reload("bad", whole)
            dev.read(addr(first + 1))
            hcvtest.dm_reload("bad", f"0 {sectors} error")
            fails_io("write", lambda: dev.write(addr(first + 1), bytes(BLOCK)))
            got = event(seen, "STORE_FAILED")
            ktap.check_eq("event", (uuid_text("@s1"), "write"),
                          (got["STORE"], got["TEXT"]))
            hcvtest.dm_reload("bad", whole)
            fails_io("old handles are dead",
                     lambda: dev.read(addr(first + 1)))
            fails_io("flush", dev.flush)
            ktap.check("beacons go on",
                       hcvtest.control(dev.read(CONTROL))[0]["good"])
            got = node.do("STORE_GET", STORE="@s1")
            ktap.check_eq("flag", "FAILED", got["STORE_FLAGS"])
            ktap.check("counted", got["ERRORS"] >= 2)
            node.fails(errno.EIO, "has failed", "STORE_EXTENT_ADD",
                       STORE="@s1", VOL="@v1", INDEXES="3")
        ktap.check_eq("not clean", 0, hcvtest.read_super(A)["flags"])
        with exported(bad, fmt=False) as dev:
            dev.read(addr(grant()["FIRST"] + 1))
    finally:
        hcvtest.dm_remove("bad")


def test_failed_table_update():
    """A table that may or may not be on the media latches the store."""
    sectors = (2 << 30) // 512
    bad = hcvtest.dm_create("bad", f"0 {sectors} linear {A} 0")
    try:
        with listening() as seen:
            node.open(bad)
            hcvtest.dm_reload("bad", f"0 2048 linear {A} 0\n2048 2048 error\n"
                              f"4096 {sectors - 4096} linear {A} 4096")
            node.fails(errno.EIO, "", "STORE_EXTENT_ADD", STORE="@s1",
                       VOL="@v1", INDEXES="0-2")
            ktap.check_eq("event", "extent table update",
                          event(seen, "STORE_FAILED")["TEXT"])
            ktap.check_eq("not taken", {}, node.extents())
            node.shut()
        hcvtest.dm_reload("bad", f"0 {sectors} linear {A} 0")
        node.open(bad, fmt=False)
        node.shut()
    finally:
        hcvtest.dm_remove("bad")


def test_dumps_under_change():
    """Whoever is there during a whole dump is in it once."""
    with exported():
        for i in range(40):
            node.do("EXPORT_ADD", STORE="@s1", NODE=f"@m{i}")
            grant(client=f"@m{i}")
        stop = threading.Event()

        def churn():
            other, i = hcvtest.Node(), 0
            while not stop.is_set():
                i += 1
                other.do("GRANT", STORE="@s1", VOL="@v1", EPOCH=1 + i,
                         NODE=f"@t{i}", COUNT=1)
                other.do("EXPORT_ADD", STORE="@s1", NODE=f"@t{i}")
        thread = threading.Thread(target=churn)
        thread.start()
        want = sorted(uuid_text(f"@m{i}") for i in range(40))
        try:
            for _ in range(10):
                for cmd in ("EXPORT_GET", "GRANT_GET"):
                    got = [e["NODE"] for e in node.dump(cmd)]
                    ktap.check_eq(cmd, want,
                                  sorted(n for n in got if n in want))
        finally:
            stop.set()
            thread.join()


ktap.main(globals(), parts=2)
