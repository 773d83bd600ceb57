# SPDX-License-Identifier: GPL-2.0-only
"""What tests of the module have in common: loading it, stores, direct I/O."""

import functools
import mmap
import os
import struct
import subprocess
import time
from pathlib import Path

import hcvnl
import ktap

NODE, CLUSTER = "@n1", "@cluster"
BLOCK = 4096
HANDLE = 512 << 20
META_OFF = 256 << 20
EXTENT = 256 << 20
META_SIZE = 72 << 10
SCALE = float(os.environ.get("HCV_TIMEOUT_SCALE", "1"))


def run(*words, **kwargs):
    """A program that must succeed; returns what it printed."""
    done = subprocess.run(words, check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, "DM_DISABLE_UDEV": "1"}, **kwargs)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout}")
    return done.stdout


def module_loaded():
    return os.path.exists("/sys/module/hcivol")


@functools.lru_cache
def load_depends(ko):
    depends = run("modinfo", "-F", "depends", ko).strip().split(",")
    for name in filter(None, depends):
        run("modprobe", name)


def load_module():
    ko = os.environ["HCV_KO"]
    load_depends(ko)
    if not module_loaded():
        run("insmod", ko)


def unload_module():
    run("rmmod", "hcivol")


def kernel_log():
    return run("dmesg")


def scaled(limit):
    """Seconds after which a wait fails: a minute at least, since what is
    waited for may take a slow machine many times what it takes others."""
    return max(limit, 15 * max(SCALE, 4))


def sampled(items, every=4):
    """All of them; on instrumented kernels every fourth, or so."""
    div = int(os.environ.get("HCV_SIZE_DIV", "1"))
    return items[::every] if div > 1 else items


def wait_for(condition, limit, what):
    """Until condition() is true; returns what it returned."""
    end = time.monotonic() + scaled(limit)
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise TimeoutError(f"no {what} within {scaled(limit):.0f} s")
        time.sleep(0.05)


def remove_module(*names):
    """Unload other modules than ours; who looked at their devices (a program
    that ends, udev) may be about to close them."""
    said = []

    def gone():
        done = subprocess.run(["modprobe", "-r", *names], check=False,
                              text=True, stderr=subprocess.PIPE)
        said[:] = [done.stderr.strip()]
        return not done.returncode
    try:
        wait_for(gone, 20, f"end of {names}")
    except TimeoutError as e:
        raise RuntimeError(said[0]) from e


def disk_by_serial(name):
    for path in Path("/sys/block").glob("vd*/serial"):
        if path.read_text() == name:
            return f"/dev/{path.parent.name}"
    raise ktap.Skip(f"no disk with serial {name}")


def dm_create(name, table):
    run("dmsetup", "create", name, "--noudevsync", input=table)
    return f"/dev/mapper/{name}"


def dm_reload(name, table):
    run("dmsetup", "load", name, input=table)
    # This suspends it first.
    run("dmsetup", "resume", "--nolockfs", "--noflush", "--noudevsync", name)


def in_flight(path):
    """(reads, writes) that a block device has not ended yet."""
    dev = os.stat(path).st_rdev
    text = Path(f"/sys/dev/block/{os.major(dev)}:{os.minor(dev)}/inflight") \
        .read_text()
    return tuple(int(n) for n in text.split())


def dm_remove(name):
    run("dmsetup", "remove", "--noudevsync", "--retry", name)


class Device:
    """Direct I/O to a block device."""

    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_DIRECT)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        os.close(self.fd)

    def read(self, off, size=BLOCK):
        with mmap.mmap(-1, size) as buf:
            got = os.preadv(self.fd, [buf], off)
            return buf[:got]

    def write(self, off, data, flags=0):
        with mmap.mmap(-1, len(data)) as buf:
            buf[:] = data
            done = os.pwritev(self.fd, [buf], off, flags)
            if done != len(data):
                raise OSError(f"short write of {done} bytes")

    def flush(self):
        os.fsync(self.fd)


def device_read(path, off, size=BLOCK):
    with Device(path) as dev:
        return dev.read(off, size)


def device_write(path, off, data):
    with Device(path) as dev:
        dev.write(off, data)


def read_super(path, copy=0):
    """The superblock as a dictionary."""
    buf = device_read(path, copy * (512 << 10))
    return dict(zip(hcvnl.SB_NAMES, hcvnl.SB.unpack(buf[:hcvnl.SB.size])))


def patch_super(path, copy, **fields):
    """Change fields of a superblock copy and make its checksum right, unless
    `crc` is among them; `tail` changes the last byte."""
    off = copy * (512 << 10)
    buf = device_read(path, off)
    one = dict(zip(hcvnl.SB_NAMES, hcvnl.SB.unpack(buf[:hcvnl.SB.size])))
    tail = fields.pop("tail", buf[-1])
    one.update({"crc": 0}, **fields)
    buf = hcvnl.SB.pack(*(one[n] for n in hcvnl.SB_NAMES)) + \
        buf[hcvnl.SB.size:-1] + bytes([tail])
    device_write(path, off, buf if "crc" in fields else hcvnl.seal(buf, 8))


def control(buf):
    """A control window: (fields, {volume: epoch})."""
    magic, crc, version, flags = struct.unpack_from("<IIII", buf)
    good = hcvnl.seal(buf[:4] + bytes(4) + buf[8:], 4) == buf
    incarnation, seq, count, window = struct.unpack_from("<QQII", buf, 32)
    revoked = {}
    for i in range(count):
        revoked[buf[256 + 24 * i:272 + 24 * i]] = \
            struct.unpack_from("<Q", buf, 272 + 24 * i)[0]
    return {"magic": magic, "crc": crc, "good": good, "version": version,
            "flags": flags, "store": buf[16:32], "incarnation": incarnation,
            "revoke_seq": seq, "window": window}, revoked


class Node:
    """The module under a name, and what this test opened in it."""

    def __init__(self, node=NODE, cluster=CLUSTER):
        self.names = {"NODE": node, "CLUSTER": cluster}
        self._begin()

    def _begin(self):
        load_module()
        self.client = hcvnl.Client()
        self.do("NODE_SET", **self.names)

    def reload(self):
        """Nothing holds the module: it is unloaded and loaded again."""
        count = Path("/sys/module/hcivol/refcnt")
        wait_for(lambda: count.read_text().strip() == "0", 10,
                 "module without users")
        unload_module()
        self._begin()

    def do(self, cmd, **attrs):
        """A command; its only answer, or None."""
        out = self.client.call(cmd, **attrs)
        return out[0] if out else None

    def dump(self, cmd, **attrs):
        return self.client.call(cmd, dump=True, **attrs)

    def fails(self, code, text, cmd, **attrs):
        """The command must fail with an errno and a text."""
        try:
            self.client.call(cmd, **attrs)
        except hcvnl.Fail as e:
            ktap.check_eq(f"{cmd} errno ({e.text})", code, e.code)
            ktap.check_match(f"{cmd} text", text, e.text)
        else:
            ktap.check(f"{cmd} fails", False, str(attrs))

    def format(self, path, store="@s1"):
        hcvnl.format_store(path, hcvnl.parse_uuid(store),
                           hcvnl.parse_uuid(CLUSTER), "test")

    def open(self, path, fmt=True, store="@s1"):
        if fmt:
            self.format(path, store)
        return self.do("STORE_OPEN", PATH=path)

    def fence(self, store, vol, epoch, limit=20):
        """Revoke until nothing is in flight and no lease is left."""
        def fenced():
            got = self.do("REVOKE", STORE=store, VOL=vol, EPOCH=epoch)
            return not got["INFLIGHT"] and not got["LEASE_MS"]
        wait_for(fenced, limit, "fence")

    def shut(self, store="@s1"):
        """Revoke and remove all there is of a store, and close it."""
        text = str(hcvnl.uuid.UUID(bytes=hcvnl.parse_uuid(store)))
        for grant in self.dump("GRANT_GET"):
            if grant["STORE"] == text:
                self.fence(store, grant["VOL"], grant["EPOCH"])
        for exp in self.dump("EXPORT_GET"):
            if exp["STORE"] == text:
                self.do("EXPORT_DEL", STORE=store, NODE=exp["NODE"])
        self.do("STORE_CLOSE", STORE=store)

    def extents(self, store="@s1"):
        """{volume uuid text: [indexes]}"""
        out = {}
        for one in self.dump("STORE_EXTENT_GET", STORE=store):
            out.setdefault(one["VOL"], []).extend(one["INDEXES"])
        return out


def uuid_text(name):
    return str(hcvnl.uuid.UUID(bytes=hcvnl.parse_uuid(name)))
