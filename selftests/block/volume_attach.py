#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# TAGS: fast smoke
# MEM: 2048
"""Attaches at the same time: of one volume, and of several on the same
stores."""

import errno
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvload
import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvvol import MIB, Volume

node = hcvtest.Node()


class Racer(Volume):
    """One of several that attach by themselves; the stores stay open."""

    def alone(self):
        """In a process of its own now: a socket of its own."""
        self.node = hcvtest.Node()
        return self

    def close_stores(self):
        for store in self.names:
            self.edo("REVOKE", STORE=store)


def racers(devs, names, **attrs):
    """Racers with open stores, and what closes these."""
    first = Volume(node, devs, **attrs).format()
    for store in first.names:
        first.open_store(store)
    out = [Racer(node, devs, vol=name, **attrs) for name in names]
    for one in out:
        one.incarnation = dict(first.incarnation)
    return out, first


def close(stores):
    for store in stores.names:
        hcvtest.wait_for(lambda s=store: stores.try_close(s), 20,
                         f"end of {store}")


def test_attaches_at_once():
    """Two agents attach the same volume with the same words: it becomes one
    disk, whose ever command comes first."""
    late = (errno.EEXIST, errno.EBUSY, errno.EINVAL, errno.EALREADY)

    def work(one):
        for store in one.names:
            one.place(store, range(len(one.rows)))
        steps = [one.create]
        steps += [lambda s=s: one.link_add(s, "INSYNC") for s in one.names]
        steps += [lambda: one.extent_add(range(len(one.rows))),
                  lambda: one.edo("VOL_START", V=one.v)]
        for step in steps:
            try:
                step()
            except hcvnl.Fail as e:
                if e.code not in late:
                    raise

    with hcvvol.ram_disks(2) as devs:
        pair, stores = racers(devs, ("@v1", "@v1"), extents=2)
        try:
            for turn in range(6):
                for one in pair:
                    one.epoch, one.v = turn + 1, 2 * turn + 2
                    one.fresh = set() if turn else {0, 1}
                    one.queue = ("MQ", "BIO")[turn % 2]
                hcvload.in_children(2, lambda i: work(pair[i].alone()))
                got = pair[0].get()
                ktap.check_eq("state", "ACTIVE", got["VOL_STATE"])
                ktap.check_eq("links", ["INSYNC"] * 2,
                              [one["LINK_STATE"] for one in got["LINK"]])
                with hcvvol.Disk(f"/dev/hcivol{got['MINOR']}") as disk:
                    ktap.check("what the last one wrote", disk.read(
                        turn * MIB) == bytes([turn]) * 4096)
                    disk.write((turn + 1) * MIB, bytes([turn + 1]) * 4096)
                pair[0].detach()
        finally:
            pair[0].end()
            close(stores)
        pair[0].check_stores()


def test_volumes_side_by_side():
    """Volumes on the same stores come and go at the same time."""
    def work(one):
        for turn in range(4):
            with one.attached(NAME=one.vol.strip("@")) as disk:
                for mib in range(20):
                    ktap.check(f"{one.vol} {mib}", disk.read(
                        mib * MIB) == bytes([turn]) * 4096)
                    disk.write(mib * MIB, bytes([turn + 1]) * 4096)
            one.fresh = set()

    with hcvvol.ram_disks(2) as devs:
        some, stores = racers(devs, ("@v1", "@v2", "@v3"), extents=1)
        try:
            hcvload.in_children(3, lambda i: work(some[i].alone()))
        finally:
            close(stores)
        some[0].check_stores()


ktap.main(globals())
