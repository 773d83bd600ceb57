#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# MEM: 2048
"""Words of the agent that are out of date or wrong, and two agents' worth of
them at once."""

import errno
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvbreak import Command, Writer, failed, fill, finish
from hcvtest import uuid_text
from hcvvol import MIB

node = hcvtest.Node()
pool = hcvbreak.Pool(node, 2)
setting = pool.setting

def test_stale_words():
    with setting() as (vol, devs, events):
        vol.attach()
        devs[1].fail()
        writer = Writer(vol.path, lambda d: fill(d, (1,), 2))
        told = failed(vol, events, "@s2")
        good = {"VOL": vol.vol, "EPOCH": vol.epoch, "V": vol.v + 1,
                "STORE": "@s2", "INCARNATION": told["INCARNATION"],
                "LINK_STATE": "OUT"}
        for code, text, change in (
                (errno.ESTALE, "attached under epoch",
                 {"EPOCH": vol.epoch + 1}),
                (errno.ESTALE, "older version", {"V": vol.v - 1}),
                (errno.ESTALE, "incarnation",
                 {"INCARNATION": told["INCARNATION"] ^ 1}),
                (errno.ENOENT, "not tied", {"STORE": "@s7"}),
                (errno.ENOENT, "no such volume", {"VOL": "@v9"}),
                (errno.EBUSY, "state", {"LINK_STATE": "INSYNC"}),
                (errno.EBUSY, "state", {"STORE": "@s1", "INCARNATION":
                                        vol.incarnation["@s1"]}),
                (errno.EINVAL, "OUT and INSYNC",
                 {"LINK_STATE": "SYNCING"})):
            node.fails(code, text, "VOL_CONFIRM", **{**good, **change})
            ktap.check("no effect", not writer.ended())
            ktap.check_eq("state", "FAILING", vol.link("@s2")["LINK_STATE"])
        vol.confirm("@s2", "OUT")
        ktap.check_eq("the right one", 0, writer.wait())
        # Repeated, it gets the same answer.
        node.do("VOL_CONFIRM", **good)
        for cmd, attrs in (("VOL_SUSPEND", {}), ("VOL_FENCE", {}),
                           ("VOL_SET", {"POLICY": "ERROR"}),
                           ("VOL_NOSPACE", {"COLUMN": 0}),
                           ("VOL_LINK_DEL", {"STORE": "@s2"})):
            node.fails(errno.ESTALE, "epoch", cmd, VOL=vol.vol,
                       EPOCH=vol.epoch + 1, **attrs)
        vol.end()


def test_create_twice():
    with setting() as (vol, _, _):
        vol.attach()
        base = {"SIZE": MIB, "STRIPE": 1, "REPLICAS": 1, "EPOCH": 9, "V": 1,
                "LINEAGE": 7, "QUEUE": "MQ"}
        node.fails(errno.EEXIST, "attached here already", "VOL_CREATE",
                   VOL=vol.vol, NAME="other", **base)
        node.fails(errno.EEXIST, "attached here already", "VOL_CREATE",
                   VOL="@v2", NAME="v1", **base)
        node.do("VOL_CREATE", VOL="@v2", NAME="v2", **base)
        node.fails(errno.EEXIST, "name", "VOL_SET", VOL="@v2", EPOCH=9,
                   NAME="v1")
        node.do("VOL_STOP", VOL="@v2", VOL_FLAGS="FORCE")
        finish(vol)


def test_attached_at_once():
    """Of several attaches at the same time one succeeds, in each step."""
    with setting() as (vol, _, _):
        vol.prepare()
        starts = [Command("VOL_START", VOL=vol.vol, EPOCH=vol.epoch, V=vol.v)
                  for _ in range(8)]
        ktap.check_eq("repeated start", [0] * 8, [c.wait() for c in starts])
        with hcvvol.Disk(vol.path) as disk:
            fill(disk, (1,), 1)
        base = {"SIZE": MIB, "STRIPE": 1, "REPLICAS": 1, "EPOCH": 9, "V": 1,
                "LINEAGE": 7, "QUEUE": "MQ", "NAME": "v2"}
        for _ in range(6):
            codes = [c.wait() for c in
                     [Command("VOL_CREATE", VOL="@v2", **base)
                      for _ in range(4)]]
            ktap.check_eq("created once", [0] + [errno.EEXIST] * 3,
                          sorted(codes))
            codes = [c.wait() for c in
                     [Command("VOL_STOP", VOL="@v2", VOL_FLAGS=flags)
                      for flags in ("FORCE", 0, "FORCE", 0)]]
            ktap.check("ended", 0 in codes and
                       not set(codes) - {0, errno.ENOENT, errno.EIO,
                                         errno.ENODEV}, str(codes))
            node.fails(errno.ENOENT, "no such volume", "VOL_GET", VOL="@v2")
        finish(vol)


def test_wrong_start():
    """What the stores have seen is not to be gone behind."""
    with setting() as (vol, _, _):
        vol.attach()
        vol.detach()
        keep = vol.epoch, vol.v
        vol.v = 0
        vol.prepare()
        node.fails(errno.ESTALE, "older than the data", "VOL_START",
                   VOL=vol.vol, EPOCH=vol.epoch, V=vol.v)
        vol.end()
        vol.epoch, vol.v = keep
        vol.prepare(LINEAGE=8)
        node.fails(errno.ESTALE, "another lineage", "VOL_START", VOL=vol.vol,
                   EPOCH=vol.epoch, V=vol.v)
        vol.end()
        with vol.attached():
            pass


GOOD = {"VOL": "@v3", "NAME": "v3", "SIZE": MIB, "STRIPE": 1, "REPLICAS": 1,
        "EPOCH": 1, "V": 1, "LINEAGE": 7, "QUEUE": "MQ"}


def test_wrong_input():
    """Each gets an errno and a sentence, and does nothing."""
    wrong = (errno.EINVAL, errno.ERANGE)
    for change in ({"NAME": ""}, {"NAME": "a b"}, {"NAME": "/"},
                   {"NAME": "x" * 64}, {"NAME": ".."}, {"SIZE": 0},
                   {"SIZE": 512}, {"SIZE": (1 << 52) + 4096}, {"STRIPE": 0},
                   {"STRIPE": 3}, {"STRIPE": 8}, {"REPLICAS": 0},
                   {"REPLICAS": 4}, {"QUEUE": 2}, {"EPOCH": 0}, {"V": 0},
                   {"LINEAGE": 0}, {"VOL_FLAGS": 0x80},
                   {"VOL_FLAGS": "FORCE"}, {"POLICY": 2},
                   {"COLUMN": 0}):
        got = refusal("VOL_CREATE", **{**GOOD, **change})
        ktap.check(f"create {change}", got and got.code in wrong and got.text,
                   got and f"{got.code} {got.text}")
    for name in GOOD:
        got = refusal("VOL_CREATE",
                      **{k: v for k, v in GOOD.items() if k != name})
        ktap.check(f"create without {name}", got and got.code == errno.EINVAL
                   and name in got.text, got and got.text)
    node.do("VOL_CREATE", **GOOD)
    vol = {"VOL": "@v3", "EPOCH": 1}
    link = {**vol, "STORE": "@s9", "LINK_STATE": "INSYNC", "INCARNATION": 5,
            "RANGES": "1024:0:1024"}
    u1 = uuid_text("@s9")
    for cmd, attrs, codes in (
            ("VOL_LINK_ADD", link, (errno.ENOENT,)),
            ("VOL_LINK_ADD", {**link, "LINK_STATE": "SYNCING"}, wrong),
            ("VOL_LINK_ADD", {**link, "LINK_STATE": 77}, wrong),
            ("VOL_LINK_ADD", {**link, "LINK_FLAGS": 2}, wrong),
            ("VOL_LINK_ADD", {**link, "LINK_FLAGS": 4}, wrong),
            ("VOL_LINK_ADD", {**link, "RANGES": ""}, wrong),
            ("VOL_LINK_ADD", {**link, "PATH": "/dev/nothing"},
             (errno.ENOENT, errno.ENXIO, errno.EINVAL)),
            ("VOL_LINK_ADD", vol, wrong),
            ("VOL_EXTENT_ADD", {**vol, "EXTENTS": f"0:1:1:{u1}"}, wrong),
            ("VOL_EXTENT_ADD", {**vol, "EXTENTS":
                                "0:0:1:" + "+".join([u1] * 2)}, wrong),
            ("VOL_EXTENT_ADD", {**vol, "EXTENTS": f"{1 << 24}:0:1:{u1}"},
             wrong),
            ("VOL_EXTENT_ADD", {**vol, "EXTENTS": f"{1 << 31}:0:1:{u1}"},
             wrong),
            ("VOL_EXTENT_ADD", {**vol, "EXTENTS": f"{0xffffffff}:0:1:{u1}"},
             wrong),
            ("VOL_START", {**vol, "EPOCH": 2, "V": 1}, (errno.ESTALE,)),
            ("VOL_START", vol, wrong),
            ("VOL_SUSPEND", vol, wrong),
            ("VOL_RESUME", vol, wrong),
            ("VOL_NOSPACE", {**vol, "COLUMN": 1}, wrong),
            ("VOL_NOSPACE", vol, wrong),
            ("VOL_SET", {**vol, "SIZE": 512}, wrong),
            ("VOL_SET", {**vol, "POLICY": 2}, wrong),
            ("VOL_SET", {**vol, "NAME": "a/b"}, wrong),
            ("VOL_SET", {**vol, "STRIPE": 2}, wrong),
            ("VOL_STOP", {"VOL": "@v3", "VOL_FLAGS": "READONLY"}, wrong),
            ("VOL_STOP", {}, wrong),
            ("VOL_CONFIRM", vol, wrong),
            ("VOL_GET", {"VOL": "@v9"}, (errno.ENOENT,))):
        got = refusal(cmd, **attrs)
        ktap.check(f"{cmd} {attrs}", got and got.code in codes and got.text,
                   got and f"{got.code} {got.text}")
    ktap.check_eq("still new", "NEW", node.do("VOL_GET",
                                              VOL="@v3")["VOL_STATE"])
    node.fails(errno.ENOLINK, "no in-sync store", "VOL_START", **vol, V=1)
    node.do("VOL_STOP", VOL="@v3", VOL_FLAGS="FORCE")
    ktap.check_eq("none left", [], node.dump("VOL_GET"))


def refusal(cmd, **attrs):
    try:
        node.client.call(cmd, False, **attrs)
    except hcvnl.Fail as e:
        return e
    return None


with pool:
    ktap.main(globals())
