#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 3072
"""Damaged, torn, foreign and newer metadata: each field of the superblock, of
the volume page and of the map's pages."""

import contextlib
import errno
import os
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvtest import BLOCK
from hcvvol import MIB, Volume

PLACE = 64 << 10		# of a volume page
PAGES = 9
node = hcvtest.Node()


# --- superblock

ONE_COPY = [
    {"magic": 0x1122334455667788}, {"crc": 1}, {"own_off": 4096},
    {"store": bytes(16)}, {"seq": 0}, {"lba_bytes": 1024}, {"flags": 0x80},
    {"handle_next": 1}, {"nr_extents": 8}, {"nr_vols": 17},
    {"table_pages": 2}, {"vol_off": 0}, {"meta_off": 0}, {"data_off": 0},
    {"dev_bytes": 4 << 30}, {"label": b"x" * 64}, {"pad0": 1}, {"tail": 1},
]


def sealed(path, off):
    buf = hcvtest.device_read(path, off)
    return hcvnl.seal(buf[:8] + bytes(4) + buf[12:], 8) == buf


def test_one_bad_superblock():
    """Any field of one copy: it is rewritten from the other."""
    with hcvvol.ram_disks(1) as (dev,):
        for copy in range(2):
            for fields in ONE_COPY:
                node.format(dev)
                hcvtest.patch_super(dev, copy, **fields)
                node.open(dev, fmt=False)
                node.shut()
                one, two = (hcvtest.read_super(dev, i) for i in range(2))
                for name in ("crc", "own_off"):
                    del one[name], two[name]
                ktap.check_eq(f"{fields} in copy {copy}", one, two)
                ktap.check("sealed", sealed(dev, 0) and
                           sealed(dev, 512 << 10))


def test_torn_superblock():
    """A write that a power cut ended at any sector."""
    with hcvvol.ram_disks(1) as (dev,):
        node.format(dev)
        before = hcvtest.device_read(dev, 0)
        node.open(dev, fmt=False)
        node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v1", INDEXES="0")
        node.do("GRANT", STORE="@s1", VOL="@v1", EPOCH=1, NODE="@n2", COUNT=1)
        node.shut()
        after = hcvtest.device_read(dev, 0)
        handles = hcvtest.read_super(dev)["handle_next"]
        for cut in range(512, BLOCK, 512):
            torn = after[:cut] + before[cut:]
            if torn == after:
                torn = before[:cut] + after[cut:]
            if torn == before:
                torn = after[:cut] + os.urandom(BLOCK - cut)
            hcvtest.device_write(dev, 0, torn)
            node.open(dev, fmt=False)
            node.shut()
            ktap.check_eq(f"handles after {cut} bytes", handles,
                          hcvtest.read_super(dev)["handle_next"])


def test_newer_superblock_copy():
    """One copy of a newer format: refused, and neither is touched."""
    with hcvvol.ram_disks(1) as (dev,):
        for copy in range(2):
            for fields in ({"major": 2}, {"incompat": 1 << 40},
                           {"major": 9, "seq": 1}):
                node.format(dev)
                hcvtest.patch_super(dev, copy, **fields)
                before = [hcvtest.device_read(dev, off)
                          for off in (0, 512 << 10)]
                node.fails(errno.EPROTONOSUPPORT,
                           f"superblock {copy}: .*newer", "STORE_OPEN",
                           PATH=dev)
                ktap.check("untouched", before == [
                    hcvtest.device_read(dev, off) for off in (0, 512 << 10)])
        ktap.check_eq("nothing is open", [], node.dump("STORE_GET"))


def test_store_too_small():
    """A device that lost its end, or never had one."""
    with hcvvol.ram_disks(1) as (dev,):
        node.format(dev)
        hcvtest.run("modprobe", "dm-mod")
        for mib in (1, 600, 1279):
            small = hcvtest.dm_create("small",
                                      f"0 {mib * 2048} linear {dev} 0")
            try:
                node.fails(errno.EUCLEAN, f"truncated: {mib << 20} of",
                           "STORE_OPEN", PATH=small)
            finally:
                hcvtest.dm_remove("small")


# --- volume page

def at_head(off, data):
    return lambda buf: buf[:off] + data + buf[off + len(data):]


def sealed_with(change):
    """The change, with a checksum that is right."""
    return lambda buf: hcvnl.seal(
        (lambda b: b[:4] + bytes(4) + b[8:])(change(buf)), 4)


def u32(off, num):
    return sealed_with(at_head(off, struct.pack("<I", num)))


def u64(off, num):
    return sealed_with(at_head(off, struct.pack("<Q", num)))


DAMAGED = (errno.EUCLEAN, "both copies of the volume page .* are bad")
VOLPAGE_FAULTS = {
    "magic": (u32(0, 1), *DAMAGED),
    "crc": (at_head(4, b"\1\2\3\4"), *DAMAGED),
    "bytes": (u32(8, 5), *DAMAGED),
    "place": (u32(12, 7), *DAMAGED),
    "volume": (sealed_with(at_head(16, b"x" * 16)), errno.EUCLEAN,
               "is that of another volume"),
    "lineage": (u64(32, 8), errno.ESTALE, "another lineage"),
    "epoch": (u64(40, 1 << 40), errno.ESTALE, "has seen epoch"),
    "v": (u64(48, 1 << 40), errno.ESTALE, "has seen epoch"),
    "size": (u64(64, 5), *DAMAGED),
    "stripe": (u32(72, 3), *DAMAGED),
    "replicas": (u32(76, 9), *DAMAGED),
    "cur_gen": (u32(80, 77), *DAMAGED),
    "nr_gens": (u32(84, 0), *DAMAGED),
    "name": (sealed_with(at_head(88, b"n" * 64)), *DAMAGED),
    "pad": (sealed_with(at_head(152, b"\1")), *DAMAGED),
    "torn": (lambda buf: buf[:512] + os.urandom(BLOCK - 512), *DAMAGED),
}


@contextlib.contextmanager
def written(count=1, **attrs):
    """(volume, devices): it was used, all places are written."""
    with hcvvol.ram_disks(count) as devs:
        vol = Volume(node, devs, extents=1, size=64 * MIB, **attrs).format()
        try:
            for _ in range(2):
                with vol.attached() as disk:
                    for mib in range(4):
                        disk.write(mib * MIB, bytes([65 + mib]) * BLOCK)
                        disk.flush()
            yield vol, devs
        finally:
            vol.end()


def starts(vol, code, text):
    """VOL_START with an errno (0: it must do) and a text."""
    try:
        vol.attach()
    except hcvnl.Fail as e:
        ktap.check_eq(f"errno ({e.text})", code, e.code)
        ktap.check_match("text", text, e.text)
    else:
        ktap.check_eq("starts", code, 0)
        with hcvvol.Disk(vol.path) as disk:
            for mib in range(4):
                ktap.check("data", disk.read(mib * MIB) ==
                           bytes([65 + mib]) * BLOCK)
    vol.end()


def patch(dev, offs, change):
    """Change blocks; returns what undoes it."""
    before = [hcvtest.device_read(dev, off) for off in offs]
    for off, buf in zip(offs, before):
        hcvtest.device_write(dev, off, change(buf))
    return list(zip(offs, before))


def test_volume_page():
    with written() as (vol, (dev,)):
        area = hcvtest.read_super(dev)["vol_off"]
        places = [area, area + PLACE]
        for place in places:
            ktap.check("written", any(hcvtest.device_read(dev, place)))
        for name, (change, code, text) in VOLPAGE_FAULTS.items():
            ktap.note(f"volume page: {name}")
            undo = patch(dev, places, change)
            starts(vol, code, text)
            for off, buf in undo:
                hcvtest.device_write(dev, off, buf)
            # One place alone: a torn write, unless it says what must not be.
            newest = max(places, key=lambda off: struct.unpack_from(
                "<Q", hcvtest.device_read(dev, off), 56)[0])
            patch(dev, [newest], change)
            starts(vol, 0 if text == DAMAGED[1] else code, text)
            for off, buf in undo:
                hcvtest.device_write(dev, off, buf)
        starts(vol, 0, "")


def test_volume_page_of_one_replica():
    """Such a store is named, and has to be left out."""
    with written(2) as (vol, devs):
        area = hcvtest.read_super(devs[0])["vol_off"]
        patch(devs[0], [area, area + PLACE], lambda buf: os.urandom(BLOCK))
        starts(vol, errno.EUCLEAN, f"on store {hcvtest.uuid_text('@s1')} are bad")
        vol.insync = {"@s2"}
        starts(vol, 0, "")


# --- pages of the map

REC = 128		# first record, of the first megabyte


def test_map_page():
    faults = {
        "magic": u32(0, 1), "crc": at_head(4, b"\1\2\3\4"),
        "volume": sealed_with(at_head(8, b"x" * 16)),
        "lineage": u64(24, 8), "extent": u32(32, 5),
        "page": sealed_with(at_head(36, b"\3")),
        "place": sealed_with(at_head(37, b"\7")),
        "pad0": sealed_with(at_head(38, b"\1")),
        "seq": u64(48, 0), "marks": u32(56, 1 << 31),
        "pad": sealed_with(at_head(60, b"\1")),
        "mib": u32(REC, 1 << 30), "gen": u32(REC + 4, 9),
        "rec.seq": u64(REC + 8, 0),
        "rec.state": sealed_with(at_head(REC + 24, b"\7")),
        "rec.free": sealed_with(at_head(REC + 24, b"\0")),
        "rec.pad0": sealed_with(at_head(REC + 25, b"\1")),
        "rec.pad": sealed_with(at_head(REC + 32, b"\1")),
        "torn": lambda buf: buf[:512] + os.urandom(BLOCK - 512),
    }
    with written() as (vol, (dev,)):
        meta = hcvtest.read_super(dev)["meta_off"]
        places = [meta, meta + PAGES * BLOCK]
        for place in places:
            ktap.check("written", any(hcvtest.device_read(dev, place)))
        for name, change in faults.items():
            ktap.note(f"map page: {name}")
            undo = patch(dev, places, change)
            try:
                vol.attach()
            except hcvnl.Fail as e:
                ktap.check_match(f"{name} is named", "extent 0", e.text)
                ktap.check(f"{name} errno", e.code in
                           (errno.EUCLEAN, errno.EILSEQ), str(e.code))
            else:
                ktap.check(f"{name} is refused", False)
            vol.end()
            for off, buf in undo:
                hcvtest.device_write(dev, off, buf)
        starts(vol, 0, "")


def test_map_page_of_one_replica():
    with written(2) as (vol, devs):
        meta = hcvtest.read_super(devs[0])["meta_off"]
        patch(devs[0], [meta, meta + PAGES * BLOCK],
              lambda buf: os.urandom(BLOCK))
        starts(vol, 0, "")


ktap.main(globals())
