# SPDX-License-Identifier: GPL-2.0-only
"""The block devices that the benchmark compares, made inside a guest.

Each entry of STACKS is a function that is called with an ExitStack, which
undoes what it made, and returns the path of its device. RAM disks (brd) lie
beneath all of them; they are sparse, so that their size costs nothing.
"""

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "selftests/lib"))

import hcvnl

MIB = 1 << 20
EXTENT = 256 * MIB
# What is read and written; the same for all stacks.
SPAN = 64 * MIB
# First writes: that many chunks, each once, for each of FRESH_ROWS rows.
FRESH_IOS = 4096
FRESH_ROWS = 3
HCV_CHUNK = MIB
THIN_CHUNK = 64 << 10
NVMET = Path("/sys/kernel/config/nvmet")
DRBD = Path(os.environ["HCV_CACHE"]) / "drbd"
LIMIT = 30


def run(*words, text=None):
    """A program that must succeed; returns what it printed."""
    env = {**os.environ, "DM_DISABLE_UDEV": "1", "MDADM_NO_UDEV": "1"}
    done = subprocess.run([str(word) for word in words], check=False,
                          input=text, text=True, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout}")
    return done.stdout


def wait_for(condition, what):
    """Until condition() is true; the guest's clock runs ahead when idle."""
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"no {what} within {LIMIT} s")
        time.sleep(0.02)


def no_scheduler(dev):
    """As a machine with fast disks is set up, and as the method asks for."""
    path = Path(f"/sys/block/{Path(dev).name}/queue/scheduler")
    if path.exists() and "none" in path.read_text():
        path.write_text("none")


def ram_disks(ctx, number, size):
    """That many RAM disks of size bytes."""
    run("modprobe", "brd", f"rd_nr={number}", f"rd_size={size >> 10}")
    ctx.callback(run, "modprobe", "-r", "brd")
    return [f"/dev/ram{i}" for i in range(number)]


def prefill(dev, size, step=MIB):
    """Have every step bytes of a device written, the first 4 KiB at least.

    RAM disks allocate at the first write: not what is to be measured.
    """
    with open(dev, "wb", buffering=0) as out:
        data = bytes(min(step, MIB))
        data = data if step == MIB else data[:4096]
        for pos in range(0, size, step):
            os.pwrite(out.fileno(), data, pos)
        os.fsync(out.fileno())


# --- NVMe/TCP over 127.0.0.1

def nvme_tcp_to(ctx, dev, name="n1"):
    """Serve dev with nvmet-tcp and connect to it; returns its device."""
    nqn = f"nqn.2014-08.org.nvmexpress:uuid:{uuid.uuid5(uuid.NAMESPACE_DNS, name)}"
    if not Path("/sys/module/nvme_core").exists():
        run("modprobe", "nvme_core", "multipath=N")
    for module in ("nvmet", "nvmet-tcp", "nvme-tcp"):
        run("modprobe", module)
    subsys, port = NVMET / "subsystems" / nqn, NVMET / "ports/4420"
    subsys.mkdir()
    ctx.callback(subsys.rmdir)
    (subsys / "attr_allow_any_host").write_text("1")
    ns = subsys / "namespaces/1"
    ns.mkdir()
    ctx.callback(ns.rmdir)
    (ns / "device_path").write_text(dev)
    (ns / "enable").write_text("1")
    ctx.callback((ns / "enable").write_text, "0")
    port.mkdir()
    ctx.callback(port.rmdir)
    for key, value in (("trtype", "tcp"), ("adrfam", "ipv4"),
                       ("trsvcid", "4420"), ("traddr", "127.0.0.1")):
        (port / f"addr_{key}").write_text(value)
    link = port / "subsystems" / nqn
    link.symlink_to(subsys)
    ctx.callback(link.unlink)
    return connect(ctx, nqn)


def connect(ctx, nqn):
    """Connect as the agent does; returns the namespace's device."""
    host = str(uuid.uuid5(uuid.NAMESPACE_DNS, "bench-host"))
    with open("/dev/nvme-fabrics", "r+b", buffering=0) as fabrics:
        fabrics.write(
            f"transport=tcp,traddr=127.0.0.1,trsvcid=4420,nqn={nqn},"
            f"hostnqn=nqn.2014-08.org.nvmexpress:uuid:{host},hostid={host},"
            "keep_alive_tmo=18,reconnect_delay=1,ctrl_loss_tmo=-1,"
            "fast_io_fail_tmo=0,nr_io_queues=1".encode())
        answer = fabrics.read(128).decode()
    name = f"nvme{answer.split('instance=')[1].split(',')[0]}"
    ctx.callback(Path(f"/sys/class/nvme/{name}/delete_controller").write_text,
                 "1")
    dev = f"/dev/{name}n1"
    wait_for(lambda: os.path.exists(dev), dev)
    no_scheduler(dev)
    Path(f"/sys/block/{name}n1/queue/io_timeout").write_text("1000")
    return dev


# --- peers

def brd(ctx):
    return ram_disks(ctx, 1, 256 * MIB)[0]


def null_blk(ctx):
    """Memory backed, blk-mq, completing inline."""
    run("modprobe", "null_blk", "nr_devices=0")
    ctx.callback(run, "modprobe", "-r", "null_blk")
    conf = Path("/sys/kernel/config/nullb/nullb0")
    conf.mkdir()
    ctx.callback(conf.rmdir)
    for key, value in (("memory_backed", 1), ("queue_mode", 2),
                       ("submit_queues", 1), ("irqmode", 0),
                       ("blocksize", 4096), ("size", 256),
                       ("power", 1)):
        (conf / key).write_text(str(value))
    no_scheduler("nullb0")
    return "/dev/nullb0"


def md_raid1(ctx, *legs):
    """A mirror with its bitmap; the second leg is read from in need only."""
    run("modprobe", "raid1")
    dev = "/dev/md0"
    run("mdadm", "--create", dev, "--level=1", "--raid-devices=2",
        "--metadata=1.2", "--bitmap=internal", "--assume-clean", "--run",
        f"--size={128 << 10}", legs[0], "--write-mostly", legs[1])
    ctx.callback(run, "mdadm", "--stop", dev)
    return dev


def md_raid1_bitmap(ctx):
    return md_raid1(ctx, *ram_disks(ctx, 2, 256 * MIB))


def md_raid1_tcp(ctx):
    local, remote = ram_disks(ctx, 2, 256 * MIB)
    return md_raid1(ctx, local, nvme_tcp_to(ctx, remote))


def nvme_tcp(ctx):
    return nvme_tcp_to(ctx, ram_disks(ctx, 1, 256 * MIB)[0])


def drbd_c(ctx):
    """Two resources on this machine, protocol C, over loopback TCP."""
    setup = DRBD / "lib/drbd/drbdsetup-84"
    disks = ram_disks(ctx, 2, 256 * MIB)
    addr = ["ipv4:127.0.0.1:7788", "ipv4:127.0.0.1:7789"]
    run("modprobe", "drbd", "usermode_helper=/bin/true")
    ctx.callback(run, "modprobe", "-r", "drbd")
    for i, disk in enumerate(disks):
        run(DRBD / "sbin/drbdmeta", "--force", i, "v08", disk, "internal",
            "create-md")
        run(setup, "new-resource", f"r{i}")
        run(setup, "new-minor", f"r{i}", i, 0)
        ctx.callback(run, setup, "down", f"r{i}")
        run(setup, "attach", i, disk, disk, "internal")
        run(setup, "connect", f"r{i}", addr[i], addr[1 - i], "--protocol=C")
    wait_for(lambda: run(setup, "cstate", "0").strip() == "Connected",
             "connection")
    run(setup, "new-current-uuid", "--clear-bitmap", 0)
    wait_for(lambda: run(setup, "dstate", "0").strip() ==
             "UpToDate/UpToDate", "agreement")
    run(setup, "primary", 0)
    ctx.callback(run, setup, "secondary", 0)
    return "/dev/drbd0"


def dm_create(ctx, name, table):
    run("dmsetup", "create", name, "--noudevsync", text=table)
    ctx.callback(run, "dmsetup", "remove", "--noudevsync", "--retry", name)
    return f"/dev/mapper/{name}"


def dm_thin(ctx, size, options="0"):
    """A thin device of size bytes in a pool of 64 KiB chunks."""
    meta, data = ram_disks(ctx, 2, size + 64 * MIB)
    prefill(data, size)
    prefill(meta, 16 * MIB)
    pool = dm_create(ctx, "pool",
                     f"0 {size >> 9} thin-pool {meta} {data} "
                     f"{THIN_CHUNK >> 9} 0 {options}")
    run("dmsetup", "message", pool, "0", "create_thin 0")
    return dm_create(ctx, "thin", f"0 {size >> 9} thin {pool} 0")


def dm_thin_64k(ctx):
    return dm_thin(ctx, 256 * MIB)


def dm_thin_64k_fresh(ctx):
    return dm_thin(ctx, FRESH_IOS * FRESH_ROWS * THIN_CHUNK)


# --- hcivol

class Hcivol:
    """A volume over stores on RAM disks, made without the agent."""

    def __init__(self, ctx, queue, size, copies):
        run("modprobe", "-a", *filter(None, run(
            "modinfo", "-F", "depends", os.environ["HCV_KO"]
        ).strip().split(",")))
        run("insmod", os.environ["HCV_KO"])
        ctx.callback(run, "rmmod", "hcivol")
        self.ctx = ctx
        self.queue = queue
        self.size = size
        self.extents = -(-size // EXTENT)
        # A store needs room for its own tables, and for no less than 1 GiB.
        self.disks = ram_disks(ctx, copies, max(size + EXTENT, 1280 * MIB))
        self.client = hcvnl.Client()
        self.do("NODE_SET", NODE="@n1", CLUSTER="@cluster")

    def do(self, cmd, **attrs):
        """A command; its only answer, or None."""
        out = self.client.call(cmd, **attrs)
        return out[0] if out else None

    def open_store(self, number):
        """Format and open store number on its disk, with all extents."""
        disk, store = self.disks[number], f"@s{number}"
        hcvnl.format_store(disk, hcvnl.parse_uuid(store),
                           hcvnl.parse_uuid("@cluster"), "bench")
        self.do("STORE_OPEN", PATH=disk)
        self.ctx.callback(self.do, "STORE_CLOSE", STORE=store)
        self.do("STORE_EXTENT_ADD", STORE=store, VOL="@v1",
                INDEXES=f"0-{self.extents - 1}")
        # Where the first block of each megabyte will go.
        data = hcvnl.layout(os.stat(disk).st_size or
                            int(Path(f"/sys/block/{Path(disk).name}/size")
                                .read_text()) << 9)[5]
        with open(disk, "r+b", buffering=0) as out:
            for pos in range(data, data + self.extents * EXTENT, MIB):
                os.pwrite(out.fileno(), bytes(4096), pos)
            os.fsync(out.fileno())
        return store

    def link(self, store, node, path=None):
        """Grant the store's handles to node and tie the volume to them."""
        grant = self.do("GRANT", STORE=store, VOL="@v1", EPOCH=1, NODE=node,
                        COUNT=self.extents + 1)
        self.ctx.callback(self.revoke, store)
        ranges = ",".join(f"{r['first']}:{r['base']}:{r['count']}"
                          for r in grant["RANGES"])
        attrs = {"PATH": path} if path else {}
        self.do("VOL_LINK_ADD", VOL="@v1", EPOCH=1, STORE=store,
                LINK_STATE="INSYNC", RANGES=ranges,
                INCARNATION=grant["INCARNATION"], **attrs)

    def revoke(self, store):
        """Take the handles back and wait for the end of the lease."""
        def fenced():
            got = self.do("REVOKE", STORE=store, VOL="@v1", EPOCH=1)
            return not got["INFLIGHT"] and not got["LEASE_MS"]
        wait_for(fenced, "end of the lease")

    def create(self, replicas):
        self.do("VOL_CREATE", VOL="@v1", NAME="v1", SIZE=self.size, STRIPE=1,
                REPLICAS=replicas, EPOCH=1, V=1, LINEAGE=7, QUEUE=self.queue,
                # As the agent does it.
                VOL_FLAGS="LOG" if replicas > 1 else 0)

    def start(self, stores):
        """Give the volume its extents and start it; returns its device."""
        full = (1 << len(stores)) - 1
        for first in range(0, self.extents, 32):
            rows = ",".join(f"{i}:0:{full}:{'+'.join(stores)}:FRESH"
                            for i in range(first,
                                           min(first + 32, self.extents)))
            self.do("VOL_EXTENT_ADD", VOL="@v1", EPOCH=1, EXTENTS=rows)
        self.do("VOL_START", VOL="@v1", EPOCH=1, V=1)
        minor = self.do("VOL_GET", VOL="@v1")["MINOR"]
        dev = f"/dev/hcivol{minor}"
        self.ctx.callback(self.do, "VOL_STOP", VOL="@v1")
        no_scheduler(dev)
        return dev


def hcv_local(ctx, queue, size=SPAN, copies=1):
    """All copies on stores of this node."""
    vol = Hcivol(ctx, queue, size, copies)
    stores = [vol.open_store(i) for i in range(copies)]
    vol.create(copies)
    # Undone in reverse: the volume is stopped before its handles go.
    for store in stores:
        vol.link(store, "@n1")
    return vol.start(stores)


def hcv_tcp(ctx, queue):
    """One local copy, one behind the module's export, nvmet and NVMe/TCP."""
    vol = Hcivol(ctx, queue, SPAN, 2)
    stores = [vol.open_store(i) for i in range(2)]
    export = vol.do("EXPORT_ADD", STORE=stores[1], NODE="@n2")
    ctx.callback(vol.do, "EXPORT_DEL", STORE=stores[1], NODE="@n2")
    vol.create(2)
    vol.link(stores[0], "@n1")
    remote = nvme_tcp_to(ctx, f"/dev/{export['DEVNAME']}")
    vol.link(stores[1], "@n2", remote)
    return vol.start(stores)


def hcv_fresh(ctx, queue):
    return hcv_local(ctx, queue, FRESH_IOS * FRESH_ROWS * HCV_CHUNK)


def hcv_wide(ctx, queue):
    """Two local copies of more megabytes than the activity log can name."""
    return hcv_local(ctx, queue, FRESH_IOS * FRESH_ROWS * HCV_CHUNK, copies=2)


def log_misses():
    """How often writes of the volume waited for the log until now."""
    return hcvnl.Client().call("VOL_GET", VOL="@v1")[0]["LOG_MISSES"]


STACKS = {
    "hcivol-local1": lambda ctx: hcv_local(ctx, "MQ"),
    "hcivol-local2": lambda ctx: hcv_local(ctx, "MQ", copies=2),
    "hcivol-tcp2": lambda ctx: hcv_tcp(ctx, "MQ"),
    "hcivol-fresh": lambda ctx: hcv_fresh(ctx, "MQ"),
    "hcivol-wide2": lambda ctx: hcv_wide(ctx, "MQ"),
    "hcivol-local1-bio": lambda ctx: hcv_local(ctx, "BIO"),
    "hcivol-local2-bio": lambda ctx: hcv_local(ctx, "BIO", copies=2),
    "hcivol-tcp2-bio": lambda ctx: hcv_tcp(ctx, "BIO"),
    "hcivol-fresh-bio": lambda ctx: hcv_fresh(ctx, "BIO"),
    "brd": brd,
    "null-blk": null_blk,
    "md-raid1-bitmap": md_raid1_bitmap,
    "md-raid1-tcp-bitmap": md_raid1_tcp,
    "drbd-c": drbd_c,
    "dm-thin-64k": dm_thin_64k,
    "dm-thin-64k-fresh": dm_thin_64k_fresh,
    "nvme-tcp": nvme_tcp,
}
