# SPDX-License-Identifier: GPL-2.0-only
"""What tests of volumes have in common: putting one together, doing what the
agent does for it, events, the disk."""

import contextlib
import errno
import fcntl
import os
import re
import select
import struct
import time
import types
from pathlib import Path

import hcvnl
import hcvtest
import ktap
from hcvtest import uuid_text

MIB = 1 << 20
STORE_BYTES = 1280 * MIB	# four extents
BLKDISCARD, BLKZEROOUT = 0x1277, 0x127f


@contextlib.contextmanager
def ram_disks(count, size=STORE_BYTES):
    """RAM disks of the size; yields their paths."""
    hcvtest.run("modprobe", "brd", f"rd_nr={count}", f"rd_size={size >> 10}")
    try:
        yield [f"/dev/ram{i}" for i in range(count)]
    finally:
        hcvtest.remove_module("brd")


@contextlib.contextmanager
def null_disks(count, **params):
    """blk-mq null_blk disks that keep what is written; yields their paths."""
    params = {"gb": 2, "memory_backed": 1, "queue_mode": 2,
              "submit_queues": 2, **params}
    hcvtest.run("modprobe", "null_blk", f"nr_devices={count}",
                *(f"{k}={v}" for k, v in params.items()))
    try:
        yield [f"/dev/nullb{i}" for i in range(count)]
    finally:
        hcvtest.remove_module("null_blk")


class Events:
    """The module's events from now on, read when they are asked for."""

    def __init__(self):
        self.client, self.seen, self.lost = hcvnl.Client(), [], 0
        self.client.genl.sock.setsockopt(
            hcvnl.SOL_NETLINK, hcvnl.NETLINK_ADD_MEMBERSHIP,
            self.client.groups["events"])

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.client.genl.sock.close()

    def poll(self, seconds=0.0):
        genl = self.client.genl
        while select.select([genl.sock], [], [], seconds)[0]:
            seconds = 0
            try:
                for kind, _, _, data in genl.receive():
                    if kind == self.client.family:
                        self.seen.append(self.client.codec.decode(data[4:]))
            except OSError as e:
                if e.errno != errno.ENOBUFS:
                    raise
                self.lost += 1

    def forget(self, event):
        """Drop those of a kind that were sent until now."""
        self.poll()
        self.seen = [one for one in self.seen if one["EVENT"] != event]

    def wait(self, event, limit=10, **match):
        """The first event of a kind that was not waited for before."""
        end = time.monotonic() + hcvtest.scaled(limit)
        while True:
            self.poll(0.05)
            for i, one in enumerate(self.seen):
                if one["EVENT"] == event and match.items() <= one.items():
                    return self.seen.pop(i)
            if time.monotonic() > end:
                raise TimeoutError(f"no {event} {match}, but {self.lost} lost "
                                   f"and {self.seen[-20:]}")


class Disk(hcvtest.Device):
    """An attached volume's disk, opened."""

    def _range(self, request, off, size):
        fcntl.ioctl(self.fd, request, struct.pack("=QQ", off, size))

    def discard(self, off, size):
        self._range(BLKDISCARD, off, size)

    def zeroout(self, off, size):
        self._range(BLKZEROOUT, off, size)

    def size(self):
        return os.lseek(self.fd, 0, os.SEEK_END)


class Volume:
    """A volume and the part of the agent that looks after it.

    devs: the stores' devices; @s1 lies on the first, and so on.  Extent i is
    of column i % stripe, with replicas on stores i, i + 1, ...
    """

    def __init__(self, node, devs, *, vol="@v1", size=512 * MIB, extents=4,
                 stripe=1, replicas=None, queue="MQ", epoch=0, **attrs):
        self.node, self.devs, self.vol = node, list(devs), vol
        self.size, self.stripe, self.queue = size, stripe, queue
        self.replicas = replicas or len(self.devs)
        self.names = [f"@s{i + 1}" for i in range(len(self.devs))]
        self.epoch, self.v, self.attrs = epoch, 1, attrs
        self.rows = [self._row(i) for i in range(extents)]
        self.fresh = set(range(extents))
        self.incarnation, self.path, self.insync = {}, None, set(self.names)

    def _row(self, index):
        count = len(self.names)
        return [self.names[(index + k) % count] for k in range(self.replicas)]

    def do(self, cmd, **attrs):
        return self.node.do(cmd, VOL=self.vol, **attrs)

    def edo(self, cmd, **attrs):
        return self.do(cmd, EPOCH=self.epoch, **attrs)

    def get(self):
        return self.do("VOL_GET")

    def link(self, store):
        want = uuid_text(store)
        return next((one for one in self.get().get("LINK", [])
                     if one["STORE"] == want), None)

    def wait_link(self, store, state, limit=30):
        hcvtest.wait_for(
            lambda: (self.link(store) or {"LINK_STATE": "OUT"})["LINK_STATE"]
            == state, limit, f"{store} {state}")

    # --- stores

    def format(self):
        for dev, store in zip(self.devs, self.names):
            self.node.format(dev, store)
        return self

    def open_store(self, store):
        dev = self.devs[self.names.index(store)]
        got = self.node.do("STORE_OPEN", PATH=dev, STORE=store)
        self.incarnation[store] = got["INCARNATION"]

    def place(self, store, indexes):
        """Have the store allocate those of the extents that are its own."""
        mine = [str(i) for i in indexes if store in self.rows[i]]
        if mine:
            self.do("STORE_EXTENT_ADD", STORE=store, INDEXES=",".join(mine))

    def close_stores(self):
        for store in self.names:
            if store not in self.incarnation:
                continue
            self.edo("REVOKE", STORE=store)
            # What was in flight may still be ending.
            hcvtest.wait_for(lambda s=store: self.try_close(s), 20,
                             f"end of {store}")
            del self.incarnation[store]

    def tried(self, cmd, **attrs):
        """False if something is still busy."""
        try:
            self.node.do(cmd, **attrs)
        except hcvnl.Fail as e:
            if e.code != errno.EBUSY:
                raise
            return False
        return True

    def try_close(self, store):
        return self.tried("STORE_CLOSE", STORE=store)

    # --- attach

    def grant(self, store):
        got = self.edo("GRANT", STORE=store, NODE=hcvtest.NODE,
                       COUNT=len(self.rows) + 1)
        ranges = got.get("RANGES") or [{"first": got["FIRST"], "base": 0,
                                        "count": got["COUNT"]}]
        return ",".join(f"{r['first']}:{r['base']}:{r['count']}"
                        for r in ranges)

    def row_text(self, index):
        stores = self.rows[index]
        full = sum(1 << i for i, s in enumerate(stores) if s in self.insync)
        text = f"{index}:{index % self.stripe}:{full}:" + "+".join(
            str(hcvnl.uuid.UUID(bytes=hcvnl.parse_uuid(s))) for s in stores)
        return text + (":FRESH" if index in self.fresh else "")

    def create(self, **attrs):
        attrs = {"NAME": self.vol.strip("@"), "SIZE": self.size,
                 "STRIPE": self.stripe, "REPLICAS": self.replicas,
                 "V": self.v, "LINEAGE": 7, "QUEUE": self.queue,
                 # As the agent does it.
                 "VOL_FLAGS": "LOG" if self.replicas > 1 else 0,
                 **self.attrs, **attrs}
        minor = self.edo("VOL_CREATE", **attrs)["MINOR"]
        self.path = f"/dev/hcivol{minor}"

    def link_add(self, store, state, **attrs):
        attrs = {"RANGES": self.grant(store),
                 "INCARNATION": self.incarnation[store], **attrs}
        self.edo("VOL_LINK_ADD", STORE=store, LINK_STATE=state, **attrs)

    def extent_add(self, indexes):
        self.edo("VOL_EXTENT_ADD",
                 EXTENTS=",".join(self.row_text(i) for i in indexes))
        self.fresh -= set(indexes)

    def prepare(self, **attrs):
        """All that comes before the start, under the next epoch."""
        self.epoch += 1
        self.v += 1
        for store in self.names:
            if store in self.insync and store not in self.incarnation:
                self.open_store(store)
            if store in self.incarnation:
                self.place(store, range(len(self.rows)))
        self.create(**attrs)
        for store in self.names:
            if store in self.insync:
                self.link_add(store, "INSYNC")
        self.extent_add(range(len(self.rows)))

    def attach(self, **attrs):
        self.prepare(**attrs)
        self.edo("VOL_START", V=self.v)
        return self

    def stop(self, **attrs):
        self.do("VOL_STOP", **attrs)

    def detach(self):
        self.stop()
        self.close_stores()

    def stop_if_there(self):
        try:
            self.stop(VOL_FLAGS="FORCE")
        except hcvnl.Fail as e:
            if e.code != errno.ENOENT:
                raise

    def end(self):
        """Whatever state it is in: let it go."""
        self.stop_if_there()
        self.close_stores()

    @contextlib.contextmanager
    def attached(self, **attrs):
        """Attached, with the disk opened; ends with a clean detach."""
        try:
            self.attach(**attrs)
            with Disk(self.path) as disk:
                yield disk
            self.detach()
        finally:
            self.end()

    # --- while attached

    def grow_extents(self, count):
        """Further fresh extents."""
        first = len(self.rows)
        new = range(first, first + count)
        self.rows += [self._row(i) for i in new]
        self.fresh |= set(new)
        for store in self.names:
            if store in self.incarnation:
                self.place(store, new)
                self.grant(store)
        self.extent_add(new)

    def confirm(self, store, state):
        """The record was changed; out of the in-sync set or into it."""
        self.v += 1
        self.edo("VOL_CONFIRM", V=self.v, STORE=store,
                 INCARNATION=self.incarnation[store], LINK_STATE=state)
        (self.insync.add if state == "INSYNC" else
         self.insync.discard)(store)

    def reopen_store(self, store):
        """Drop the link that is OUT, open the store anew."""
        self.edo("VOL_LINK_DEL", STORE=store)
        self.edo("REVOKE", STORE=store)
        hcvtest.wait_for(lambda: self.try_close(store), 20, f"end of {store}")
        self.open_store(store)

    def resync(self, events, store, **attrs):
        """Tie a store anew until it is in-sync; returns bytes copied."""
        self.place(store, range(len(self.rows)))
        # An earlier one that was given up may have been through.
        events.forget("SYNC_DONE")
        self.link_add(store, "SYNCING", **attrs)
        events.wait("SYNC_DONE", 60, STORE=uuid_text(store))
        copied = self.link(store)["SYNC_COPIED"]
        ktap.check_eq("joining", "JOINING", self.link(store)["LINK_STATE"])
        self.confirm(store, "INSYNC")
        ktap.check_eq("in-sync", "INSYNC", self.link(store)["LINK_STATE"])
        return copied

    # --- afterwards

    def check_stores(self, stores=None):
        """The closed stores are consistent and their replicas equal."""
        devs = [d for d, s in zip(self.devs, self.names)
                if s in (stores or self.insync)]
        hcvtest.run("hcivol-inspect", "check", *devs, "--data")


def sysfs(path, name):
    return Path(f"/sys/block/{os.path.basename(path)}/{name}") \
        .read_text().strip()


def debugfs_waits():
    """{name of a volume: its state, {what it waits for: I/Os}, {store: I/Os
    that it has}}, those that are being taken down as well."""
    vols, vol = {}, None
    for line in Path("/sys/kernel/debug/hcivol/waits").read_text().splitlines():
        if got := re.fullmatch(r"volume (\S+) \S+: (\w+), open \d+ times", line):
            vol = types.SimpleNamespace(state=got[2], waits={}, inflight={})
            vols[got[1]] = vol
        elif got := re.fullmatch(r"  wait: (\d+) for (.*) since \d+ ms", line):
            vol.waits[got[2]] = int(got[1])
        elif got := re.fullmatch(
                r"  store (\S+): [\w-]+, (\d+) in flight(, nothing.*)?", line):
            vol.inflight[got[1]] = int(got[2])
        else:
            raise ValueError(f"debugfs: {line!r}")
    return vols
