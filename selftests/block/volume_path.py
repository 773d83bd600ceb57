#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 240
# TAGS: soak
# MEM: 2048
"""The path to a replica over NVMe/TCP is cut and comes back: the errors that
real transports give."""

import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import RemoteVolume, Writer, failed, fill, verify
from hcvremote import CLIENT
from hcvtest import uuid_text
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 2)
TOOL = os.path.join(os.environ.get("HCV_BIN") or os.path.join(
    os.environ["HCV_TREE"], "build/bin"), "hcv-nvme-tool")
WHERE = ("tcp", "127.0.0.1", "4420")


class Connection:
    """A store's export, connected over the loopback network."""

    def __init__(self, store, export):
        self.ids = uuid_text(store), uuid_text(CLIENT)
        hcvtest.run(TOOL, "target-ensure", *WHERE, *self.ids, export)
        self.connect()

    def connect(self):
        self.path = hcvtest.run(TOOL, "connect", *WHERE, *self.ids,
                                "ssd").split()[-1]

    def remove(self):
        hcvtest.run(TOOL, "disconnect", *self.ids, "idle")
        hcvtest.run(TOOL, "target-remove", *self.ids)


class NvmeVolume(RemoteVolume):
    def make_path(self, store, export):
        return Connection(store, export)

    def come_back(self, store):
        """The controller comes back by itself, or a new one does."""
        self.renewed(store)

        def tied():
            try:
                self.paths[store].connect()
                self.link_add(store, "INSYNC")
            except (hcvtest.hcvnl.Fail, RuntimeError) as e:
                ktap.note(e)
                return False
            return True
        hcvtest.wait_for(tied, 30, "return of the link")


def network(state):
    hcvtest.run("ip", "link", "set", "lo", state)


def setting(count, remote):
    return pool.setting(count, kind=NvmeVolume, remote=remote)


def test_cut_of_the_last():
    """Reads and writes of all kinds wait for the path: none fails, though
    some were under way when it was cut."""
    with setting(1, ("@s1",)) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(8), 1)
            disk.write(20 * MIB, b"r" * 8192)
            disk.write(20 * MIB + 16384, b"r" * 8192)
            disk.flush()
            # Time to cut the path under them.
            devs[0].delay(read=700, write=700)
            count = vol.link("@s1")["READ_IOS"]
            io = [Writer(vol.path, reader(20 * MIB, 4096)),
                  Writer(vol.path, reader(20 * MIB, 8192 + 16384)),
                  Writer(vol.path, reader(20 * MIB + 512, 512)),
                  Writer(vol.path, lambda d: fill(d, (1,), 2)),
                  Writer(vol.path, lambda d: d.write(2 * MIB + 512,
                                                     b"s" * 512))]
            hcvtest.wait_for(
                lambda: vol.link("@s1")["READ_IOS"] >= count + 4, 10,
                "reads under way")
            network("down")
            try:
                events.wait("LINK_STATE", STORE=uuid_text("@s1"),
                            LINK_STATE="LOST")
                # Some may have been through before the cut.
                hcvtest.wait_for(
                    lambda: vol.get()["WAIT_COUNT"] ==
                    sum(not w.ended() for w in io), 15, "all waiting")
                io.append(Writer(vol.path, lambda d: d.flush()))
                io.append(Writer(vol.path, reader(20 * MIB, 4096)))
                ktap.check("they wait", not any(
                    w.ended() for w in io[-2:]))
                events.wait("VOL_STATE", 10, VOL_STATE="SUSPENDED")
                devs[0].heal()
            finally:
                network("up")
            vol.come_back("@s1")
            ktap.check_eq("all end well", [0] * len(io),
                          [w.wait() for w in io])
            verify(disk, (1,), 2)
            ktap.check_eq("small", b"s" * 512, disk.read(2 * MIB + 512, 512))
        hcvbreak.finish(vol)


def reader(off, size):
    def run(disk):
        for pos in range(0, size, 8192):
            hole = off % MIB == 0 and pos == 8192
            want = (b"\0" if hole else b"r") * min(8192, size - pos)
            if size <= 8192:
                got = disk.read(off, size)
            else:
                got = disk.read(off, size)[pos:pos + len(want)]
            if got != want:
                os._exit(254)
    return run


def test_cut_of_one():
    """The gap of I/O at a cut is below five seconds; data are equal after the
    return, whatever was under way."""
    with setting(2, ("@s2",)) as (vol, _, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, range(8), 1)
            disk.flush()
            busy = [Writer(vol.path, keep_writing(i)) for i in range(2)]
            count = vol.link("@s2")["WRITE_IOS"]
            hcvtest.wait_for(
                lambda: vol.link("@s2")["WRITE_IOS"] > count + 20, 10,
                "writes under way")
            network("down")
            begin = time.monotonic()
            try:
                failed(vol, events, "@s2")
                vol.confirm("@s2", "OUT")
                ktap.check_eq("a flush", 0, Writer(
                    vol.path, lambda d: d.flush()).wait())
                spent = time.monotonic() - begin
                ktap.check("the gap", spent < 5, f"{spent:.1f} s")
                ktap.check_eq("writers", [0, 0], [w.wait() for w in busy])
                verify(disk, (2, 3), 250)
            finally:
                network("up")
            vol.reopen_store("@s2")
            vol.resync(events, "@s2")
        hcvbreak.finish(vol)


def keep_writing(i):
    def run(disk):
        for turn in range(251):
            fill(disk, (2 + i,), turn)
            disk.write((4 + i) * MIB + turn * 512, bytes([turn]) * 512)
    return run


def clean():
    network("up")
    subprocess.run([TOOL, "clear"], check=False)
    subprocess.run(["modprobe", "-rq", "nvme-tcp", "nvme-fabrics",
                    "nvmet-tcp", "nvmet", "nvme-core"], check=False)


class Nvme:
    def __enter__(self):
        network("up")

    def __exit__(self, *args):
        clean()


if not os.path.exists(TOOL):
    print("1..0 # SKIP hcv-nvme-tool is not built")
    sys.exit(4)
with pool, Nvme():
    ktap.main(globals())
