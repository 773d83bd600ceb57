# SPDX-License-Identifier: GPL-2.0-only
"""Volumes whose stores and paths can be broken at will."""

import contextlib
import errno
import os
import traceback
from pathlib import Path

import hcvnl
import hcvremote
import hcvtest
import hcvvol
import ktap
from hcvtest import uuid_text
from hcvvol import MIB, Volume

CONFIGFS = Path("/sys/kernel/config")
HUNG_TASK = Path("/proc/sys/kernel/hung_task_timeout_secs")
EXTENT, SLOT = 256 * MIB // 512, MIB // 512


@contextlib.contextmanager
def cached_disks(count, size=hcvvol.STORE_BYTES, name="hcvc", **attrs):
    """null_blk disks with a write cache: FLUSH reaches them."""
    loaded = os.path.exists("/sys/module/null_blk")
    if not loaded:
        hcvtest.run("modprobe", "null_blk", "nr_devices=0")
    mounted = (CONFIGFS / "nullb").exists()
    if not mounted:
        hcvtest.run("mount", "-t", "configfs", "none", str(CONFIGFS))
    folders = []
    try:
        paths = []
        for i in range(count):
            folder = CONFIGFS / "nullb" / f"{name}{i}"
            folder.mkdir()
            folders.append(folder)
            for key, value in (("size", size >> 20), ("memory_backed", 1),
                               ("cache_size", 64), ("submit_queues", 2),
                               *attrs.items(), ("power", 1)):
                (folder / key).write_text(str(value))
            index = (folder / "index").read_text().strip()
            # The name is the folder's since 6.2.
            paths.append(next(p for p in (f"/dev/{folder.name}",
                                          f"/dev/nullb{index}")
                              if os.path.exists(p)))
        yield paths
    finally:
        for folder in folders:
            folder.rmdir()
        if not mounted:
            hcvtest.run("umount", str(CONFIGFS))
        if not loaded:
            hcvtest.remove_module("null_blk")


_hanging = {}


def _hangs(name):
    """What waits for this device is not hung, but waits for us."""
    if not _hanging and HUNG_TASK.exists():
        _hanging["limit"] = HUNG_TASK.read_text()
        HUNG_TASK.write_text(str(10 * int(_hanging["limit"])))
    _hanging[name] = True


def _goes_on(name):
    if _hanging.pop(name, None) and list(_hanging) == ["limit"]:
        HUNG_TASK.write_text(_hanging.pop("limit"))


class Breakable:
    """A dm device over a disk that can be told to fail."""

    def __init__(self, name, disk, sectors=hcvvol.STORE_BYTES // 512):
        self.name, self.disk, self.sectors = name, disk, sectors
        self.broken = False
        self.path = hcvtest.dm_create(name, self._table("linear {} 0"))

    def _table(self, target):
        return f"0 {self.sectors} {target.format(self.disk)}"

    def load(self, table):
        self.broken = True
        hcvtest.dm_reload(self.name, table)

    def fail(self):
        """Everything, at once."""
        self.load(self._table("flakey {} 0 0 3600"))

    def fail_writes(self):
        """And FLUSH with them."""
        self.load(self._table("flakey {} 0 0 3600 1 error_writes"))

    def fail_flush(self):
        """Each target gets a FLUSH; that of the unused end refuses it."""
        end = self.sectors - 8
        self.load(f"0 {end} linear {self.disk} 0\n{end} 8 flakey {self.disk} "
                  f"{end} 0 3600 1 error_writes")

    def add_flush_to(self, other):
        """Each target gets a FLUSH: another disk has the unused end."""
        end = self.sectors - 8
        self.load(f"0 {end} linear {self.disk} 0\n{end} 8 linear {other} 0")

    def _range(self, first, count, target):
        end = first + count
        self.load(f"0 {first} linear {self.disk} 0\n"
                  f"{first} {count} {target}\n"
                  f"{end} {self.sectors - end} linear {self.disk} {end}")

    def fail_range(self, first, count):
        """Reads and writes of some sectors; FLUSH goes through."""
        self._range(first, count, "error")

    def refuse_writes(self, first, count):
        """Of some sectors, and FLUSH with them; reads go through."""
        self._range(first, count,
                    f"flakey {self.disk} {first} 0 3600 1 error_writes")

    def refuse_writes_and_read(self, first, count):
        """Writes of some sectors; the first block cannot be read either."""
        end = first + count
        self.load(f"0 {first} linear {self.disk} 0\n{first} 8 error\n"
                  f"{first + 8} {count - 8} flakey {self.disk} {first + 8} "
                  f"0 3600 1 error_writes\n"
                  f"{end} {self.sectors - end} linear {self.disk} {end}")

    def hold_writes(self, first, count, error):
        """Of some sectors, until heal(); then @error, a device, gets them."""
        end = first + count
        _hangs(self.name)
        self.load(f"0 {first} linear {self.disk} 0\n"
                  f"{first} {count} delay {self.disk} {first} 0 "
                  f"{error} {first} 3600000 {self.disk} {first} 0\n"
                  f"{end} {self.sectors - end} linear {self.disk} {end}")

    def hold_data(self, first, count):
        """Writes of some sectors, until heal(); FLUSH goes through."""
        _hangs(self.name)
        self._range(first, count, f"delay {self.disk} {first} 0 "
                                  f"{self.disk} {first} 3600000 "
                                  f"{self.disk} {first} 0")

    def hold_reads(self, first, count):
        """Of some sectors, until heal()."""
        _hangs(self.name)
        self._range(first, count, f"delay {self.disk} {first} 3600000 "
                                  f"{self.disk} {first} 0")

    def held(self):
        """(reads, writes) that wait in a table with a delay."""
        lines = [line.split() for line in
                 hcvtest.run("dmsetup", "status", self.name).splitlines()]
        return tuple(sum(int(words[i]) for words in lines
                         if words[2] == "delay") for i in (3, 4))

    def slot(self, index, extent=0):
        """(first, count): sectors of a slot; extents as they were placed."""
        first = hcvtest.read_super(self.disk)["data_off"] // 512
        return first + extent * EXTENT + index * SLOT, SLOT

    def delay(self, read=0, write=0, flush=0):
        """Each I/O sleeps so many ms before it goes down."""
        self.load(self._table(f"delay {{0}} 0 {read} {{0}} 0 {write} "
                              f"{{0}} 0 {flush}"))

    def heal(self):
        if self.broken:
            self.load(self._table("linear {} 0"))
            self.broken = False
            _goes_on(self.name)

    def suspend(self):
        """I/O waits from now on."""
        self.broken = True
        _hangs(self.name)
        hcvtest.run("dmsetup", "suspend", "--nolockfs", "--noflush",
                    self.name)

    def resume(self):
        hcvtest.run("dmsetup", "resume", "--noudevsync", self.name)
        _goes_on(self.name)

    def remove(self):
        hcvtest.dm_remove(self.name)
        _goes_on(self.name)


class Child:
    """A process that does something, and how that ended."""

    def __init__(self, action):
        self.pid = os.fork()
        if self.pid:
            self.code = None
            return
        code = 255
        try:
            action()
            code = 0
        except OSError as e:
            code = e.errno
        except hcvnl.Fail as e:
            code = e.code
        except Exception:  # pylint: disable=broad-except
            ktap.note(traceback.format_exc())
        os._exit(code)

    def ended(self):
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def wait(self, limit=20):
        hcvtest.wait_for(self.ended, limit, "end of a process")
        return self.code


class Writer(Child):
    """A process that does some I/O."""

    def __init__(self, path, action):
        def run():
            with hcvvol.Disk(path) as disk:
                action(disk)
        super().__init__(run)


class Command(Child):
    """A process that gives the module a command; ends with its errno."""

    def __init__(self, cmd, **attrs):
        def run():
            hcvnl.Client().call(cmd, **attrs)
        super().__init__(run)


class RemoteVolume(hcvremote.RemoteVolume):
    """Some stores are reached through exports, as another node's are.

    paths: {store: Breakable over its export}, while it is tied.
    """

    def __init__(self, *args, remote=(), **kwargs):
        super().__init__(*args, remote=remote, **kwargs)

    def make_path(self, store, export):
        return Breakable(f"path{store.strip('@')}", export,
                         hcvremote.SECTORS)

    def export(self, store):
        if store not in self.paths:
            name = self.node.do("EXPORT_ADD", STORE=store,
                                NODE=hcvremote.CLIENT)["DEVNAME"]
            self.paths[store] = self.make_path(store, f"/dev/{name}")
        return self.paths[store]

    def come_back(self, store):
        """A lost store, in the same incarnation."""
        self.paths[store].heal()
        self.renewed(store)
        self.link_add(store, "INSYNC")

    def try_close(self, store):
        if store in self.remote:
            got = self.edo("REVOKE", STORE=store)
            if got["INFLIGHT"] or got["LEASE_MS"] or not self.unexport(store):
                return False
        return super().try_close(store)

    def unexport(self, store):
        if store in self.paths:
            self.paths[store].remove()
            del self.paths[store]
            self.renew.pop(store, None)
        try:
            self.node.do("EXPORT_DEL", STORE=store, NODE=hcvremote.CLIENT)
        except hcvnl.Fail as e:
            if e.code not in (errno.EBUSY, errno.ENOENT):
                raise
            return e.code == errno.ENOENT
        return True

    def close_stores(self):
        Volume.close_stores(self)


class Pool:
    """Breakable disks for all cases of a test; making them takes long."""

    def __init__(self, node, count):
        self.node, self.count = node, count
        self.stack, self.devs = contextlib.ExitStack(), []

    def __enter__(self):
        for name in ("dm-flakey", "dm-delay"):
            hcvtest.run("modprobe", name)
        disks = self.stack.enter_context(cached_disks(self.count))
        for i, disk in enumerate(disks):
            self.devs.append(Breakable(f"b{i}", disk))
            self.stack.callback(self.devs[i].remove)
        return self

    def __exit__(self, *args):
        self.stack.close()

    @contextlib.contextmanager
    def setting(self, count=2, kind=Volume, **attrs):
        """(volume, its devices, events), the stores formatted."""
        devs = self.devs[:count]
        vol = kind(self.node, [d.path for d in devs], **attrs).format()
        with contextlib.ExitStack() as stack:
            events = stack.enter_context(hcvvol.Events())
            stack.callback(vol.end)
            # Whatever a case left broken must not keep it from ending.
            for dev in devs:
                stack.callback(dev.heal)
            yield vol, devs, events

    def remote_setting(self, count, remote, **attrs):
        """The same, some stores being another node's."""
        return self.setting(count, kind=RemoteVolume, remote=remote, **attrs)


@contextlib.contextmanager
def setting(node, count=2, kind=Volume, **attrs):
    """The same for one case, with disks of its own."""
    with Pool(node, count) as pool, \
            pool.setting(count, kind, **attrs) as got:
        yield got


@contextlib.contextmanager
def no_autocommit():
    """Volumes flush nothing unless they are asked to."""
    path = Path("/sys/module/hcivol/parameters/autocommit_ms")
    before = path.read_text()
    path.write_text("3600000")
    try:
        yield
    finally:
        path.write_text(before)


@contextlib.contextmanager
def neighbour(vol, start=True, **attrs):
    """Another volume on the same stores, attached, or all but started."""
    other = Volume(vol.node, vol.devs, vol="@v2", **attrs)
    try:
        if start:
            other.attach()
        else:
            other.prepare()
        yield other
    finally:
        for one in (vol, other):
            one.stop_if_there()
            for store in one.names:
                one.edo("REVOKE", STORE=store)
        other.incarnation.clear()


def fill(disk, mibs, byte):
    for mib in mibs:
        disk.write(mib * MIB + 4096, bytes([byte]) * 8192)


def verify(disk, mibs, byte):
    for mib in mibs:
        got = disk.read(mib * MIB + 4096, 8192)
        if got != bytes([byte]) * 8192:
            ktap.check(f"content of mib {mib}", False,
                       f"{got[:4].hex()}, not {byte:02x}")


def io_errno(action):
    try:
        action()
    except OSError as e:
        return e.errno
    return 0


def read_from(vol, disk, off):
    """The store that reads of that place are sent to."""
    before = {s: vol.link(s)["READ_IOS"] for s in vol.names}
    disk.read(off)
    return next(s for s in vol.names if vol.link(s)["READ_IOS"] > before[s])


def waits(vol, count, wait="CONFIRM"):
    """Until so many I/Os wait for that."""
    def there():
        got = vol.get()
        return (got["WAIT_COUNT"], got["WAIT"]) == (count, wait)
    hcvtest.wait_for(there, 10, f"{count} waiter(s) for {wait}")


def failed(vol, events, store):
    """The module says that the store has failed; returns the event."""
    told = events.wait("LINK_FAILED", STORE=uuid_text(store))
    ktap.check_eq(f"{store} state", "FAILING", vol.link(store)["LINK_STATE"])
    return told


def lost(vol, events, store):
    """The module says that a last replica cannot be reached."""
    events.wait("LINK_STATE", STORE=uuid_text(store), LINK_STATE="LOST")


def ended(what, *writers):
    """All of them end well."""
    ktap.check_eq(what, [0] * len(writers), [w.wait() for w in writers])


def take_out(vol, events, store, dev):
    """A store fails for good, under a write, and is removed."""
    dev.fail()
    writer = Writer(vol.path, lambda d: fill(d, (0,), 0x99))
    failed(vol, events, store)
    ktap.check("not acknowledged before the word", not writer.ended())
    vol.confirm(store, "OUT")
    ktap.check_eq("acknowledged", 0, writer.wait())


def bring_back(vol, events, store, dev, **attrs):
    """It is back, and in-sync again; returns the bytes copied."""
    dev.heal()
    vol.reopen_store(store)
    return vol.resync(events, store, **attrs)


def finish(vol):
    """A clean end, and equal replicas."""
    vol.detach()
    vol.check_stores()
