#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1200
# MEM: 2048
"""A temporary replica: @s2 is lost, @s3 stands in for it. Whatever happens,
@s2 as it was left and @s3 together are what @s1 is, and it needs no more than
what @s2 lacks."""

import contextlib
import errno
import hashlib
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvtest
import hcvvol
import ktap
from hcvbreak import Writer, failed, fill, no_autocommit, take_out, waits
from hcvtest import uuid_text
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 3)
SLOW = 16		# KiB/s: minutes for each mib of data


class Volume(hcvvol.Volume):
    """Rows on the first two stores; the third one is spare."""

    def __init__(self, *args, size=64 * MIB, extents=1, **attrs):
        super().__init__(*args, size=size, extents=extents, replicas=2,
                         **attrs)
        self.insync = {"@s1", "@s2"}
        self.since = 0

    def _row(self, index):
        return ["@s1", "@s2"]

    def lose(self, events, dev):
        """@s2 is gone, having all up to what it is stale for."""
        self.since = self.v
        take_out(self, events, "@s2", dev)

    def temp_place(self):
        """What it had before is gone: it starts from nothing."""
        if "@s3" not in self.incarnation:
            self.open_store("@s3")
        self.do("STORE_EXTENT_ADD", STORE="@s3",
                INDEXES=f"0-{len(self.rows) - 1}")

    def temp_add(self, **attrs):
        attrs = {"LINK_FLAGS": "TEMP", "BASE": "@s2", "SINCE": self.since,
                 **attrs}
        self.v += 1		# as the record's does
        self.link_add("@s3", "SYNCING", **attrs)

    def temp_filled(self, events):
        """Filled, and it counts; returns the link."""
        events.wait("SYNC_DONE", 60, STORE=uuid_text("@s3"))
        link = self.link("@s3")
        ktap.check_eq("filled", "JOINING", link["LINK_STATE"])
        ktap.check_eq("all of it", link["SYNC_TOTAL"], link["SYNC_DONE"])
        ktap.check_eq("flags", flags("TEMP", "NAMED"), link["LINK_FLAGS"])
        return link

    def mark(self):
        """The record has the mark, and the module hears of it."""
        self.confirm("@s3", "INSYNC")
        self.insync.discard("@s3")
        link = self.link("@s3")
        ktap.check_eq("stays", "JOINING", link["LINK_STATE"])
        ktap.check_eq("flags", flags("TEMP", "NAMED", "COVERS"),
                      link["LINK_FLAGS"])

    def temp(self, events):
        """From nothing to the mark; returns the bytes copied."""
        self.temp_place()
        events.forget("SYNC_DONE")
        self.temp_add()
        copied = self.temp_filled(events)["SYNC_COPIED"]
        self.mark()
        return copied

    def content(self, *args):
        """As stores have it that nobody has open."""
        got = subprocess.run(["hcivol-inspect", "read", *args, "--volume",
                              uuid_text(self.vol)], check=False,
                             capture_output=True)
        if got.returncode:
            raise RuntimeError(got.stderr.decode())
        return hashlib.sha256(got.stdout).hexdigest()

    def check_pair(self, same=True):
        """@s2 and @s3 together are what @s1 is."""
        a, base, temp = self.devs
        want = self.content(a)
        got = self.content(base, temp, "--pair")
        ktap.check("the pair is complete", (got == want) == same,
                   f"{got} {want}")

    def end_and_check(self, devs):
        """A clean end."""
        self.detach()
        for dev in devs:
            dev.heal()
        hcvtest.run("hcivol-inspect", "check", self.devs[0], self.devs[2],
                    "--data")
        hcvtest.run("hcivol-inspect", "check", self.devs[1], self.devs[2],
                    "--pair")
        self.check_pair()


def flags(*names):
    """The number of them."""
    known = node.client.codec.uapi.names("LINK_FLAGS")
    return "|".join(sorted(names, key=lambda n: known[n]))


@contextlib.contextmanager
def setting(**attrs):
    with pool.setting(3, kind=Volume, **attrs) as got:
        yield got


@contextlib.contextmanager
def left_alone(mibs=8, **attrs):
    """@s1 is alone; all have the first mibs, and @s2 lacks of them what
    take_out() has written to mib 0."""
    with setting(**attrs) as (vol, devs, events):
        vol.attach()
        with hcvvol.Disk(vol.path) as disk:
            for mib in range(mibs):
                disk.write(mib * MIB, bytes([mib + 1]) * MIB)
            disk.flush()
        vol.lose(events, devs[1])
        yield vol, devs, events


def all_kinds(disk, byte):
    """Each kind of change, in slots of before and in new ones."""
    disk.write(2 * MIB + 8192, bytes([byte]) * 4096)
    disk.write(3 * MIB + 512, bytes([byte + 1]) * 512)
    disk.zeroout(4 * MIB + 4096, 32768)
    disk.zeroout(4 * MIB + 65536 + 512, 8192)
    disk.discard(5 * MIB + 12288, 8192)
    disk.discard(6 * MIB, MIB)
    disk.write(20 * MIB + 4096 * byte, bytes([byte + 2]) * 8192)
    disk.zeroout(21 * MIB, MIB)
    disk.write(22 * MIB, bytes([byte + 3]) * MIB)
    disk.discard(22 * MIB, MIB)
    disk.flush()


def test_from_nothing_to_the_mark():
    """It is filled with what the base lacks, and gets all that is written."""
    with left_alone() as (vol, devs, events):
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 50)
            ktap.check_eq("copied", 2 * MIB, vol.temp(events))
            all_kinds(disk, 60)
            link = vol.link("@s3")
            ktap.check_eq("reads", 0, link["READ_IOS"])
            # 0, 1 and 20 whole, and what was written of 2 to 5.
            ktap.check_eq("held", 3 * 256 + 1 + 1 + 11 + 2, link["HELD"])
            ktap.check_eq("base", uuid_text("@s2"), link["BASE"])
            ktap.check_eq("since", vol.since, link["SINCE"])
        vol.end_and_check(devs)


with pool:
    ktap.main(globals())
