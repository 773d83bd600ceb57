#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 450
# TAGS: soak debug
# MEM: 2048
"""Commands against each other: whatever comes together with whatever, each
ends, with success or a clean error, and the volume can be let go and attached
again."""

import contextlib
import errno
import os
import random
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvvol import MIB, Volume

node = hcvtest.Node()
ROUNDS = 40 // int(os.environ.get("HCV_SIZE_DIV", "1"))
# What a command may say that another one has overtaken.
OVERTAKEN = {errno.EBUSY, errno.ENOENT, errno.ENODEV, errno.ESTALE,
             errno.EINVAL, errno.EEXIST, errno.EIO, errno.ENOLINK,
             errno.ETIMEDOUT}


class Other:
    """The node as another client of the module sees it."""

    def __init__(self):
        self.client = hcvnl.Client()

    def do(self, cmd, **attrs):
        out = self.client.call(cmd, **attrs)
        return out[0] if out else None


def together(actions, limit=60):
    """Each action(client) in a thread of its own, all begun at once.

    Returns what they returned or raised, in order.
    """
    barrier = threading.Barrier(len(actions))
    results = [TimeoutError("it has not ended")] * len(actions)

    def work(i, client):
        barrier.wait()
        try:
            results[i] = actions[i](client)
        except Exception as e:  # for the one who waits
            results[i] = e
    threads = [threading.Thread(target=work, args=(i, Other()), daemon=True)
               for i in range(len(actions))]
    for thread in threads:
        thread.start()
    end = time.monotonic() + limit * hcvtest.SCALE
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
    return results


def judge(what, results):
    """Nothing but success and clean errors; returns how many succeeded."""
    good = 0
    for got in results:
        if not isinstance(got, Exception):
            good += 1
            continue
        ktap.check(what, isinstance(got, hcvnl.Fail) and
                   got.code in OVERTAKEN and (got.text or
                                              got.code != errno.EINVAL),
                   repr(got))
    return good


@contextlib.contextmanager
def setting(count=2, **attrs):
    with hcvvol.ram_disks(count) as devs:
        vol = Volume(node, devs, **attrs).format()
        try:
            yield vol
        finally:
            vol.end()


def gone(vol):
    hcvtest.wait_for(lambda: not node.dump("VOL_GET"), 20, "no volume")
    hcvtest.wait_for(lambda: not os.path.exists(vol.path), 20, "no disk")


def cmd(name, **attrs):
    return lambda client: client.do(name, **attrs)


def test_create():
    """One of those with the same name, and one of those with the same id."""
    with setting() as vol:
        vol.epoch = 1
        base = {"SIZE": MIB, "STRIPE": 1, "REPLICAS": 2, "EPOCH": 1, "V": 1,
                "LINEAGE": 7, "QUEUE": "MQ"}
        for _ in range(ROUNDS):
            good = judge("create", together(
                [cmd("VOL_CREATE", VOL="@v1", NAME="v1", **base)] * 3 +
                [cmd("VOL_CREATE", VOL="@v2", NAME="v1", **base)] * 2))
            ktap.check_eq("made", (1, 1), (good, len(node.dump("VOL_GET"))))
            victim = node.dump("VOL_GET")[0]["VOL"]
            good = judge("stop", together(
                [cmd("VOL_STOP", VOL=victim)] * 2 +
                [cmd("VOL_STOP", VOL=victim, VOL_FLAGS="FORCE")] * 2))
            ktap.check("stopped", good >= 1)
            hcvtest.wait_for(lambda: not node.dump("VOL_GET"), 20, "none")


def test_start():
    """Several starts are one; one start and one stop end somehow."""
    with setting() as vol:
        for i in range(ROUNDS):
            vol.queue = ("MQ", "BIO")[i % 2]
            vol.prepare()
            start = cmd("VOL_START", VOL=vol.vol, EPOCH=vol.epoch, V=vol.v)
            ktap.check_eq("starts", 4, judge("start", together([start] * 4)))
            with hcvvol.Disk(vol.path) as disk:
                disk.write(0, b"s" * 4096)
            vol.detach()
            gone(vol)
            vol.prepare()
            start = cmd("VOL_START", VOL=vol.vol, EPOCH=vol.epoch, V=vol.v)
            stop = cmd("VOL_STOP", VOL=vol.vol, VOL_FLAGS="FORCE")
            judge("start and stop", together([start, start, stop]))
            gone(vol)
            vol.end()


def test_stop():
    """Clean stops and forced ones at once, of a volume at work."""
    with setting() as vol:
        for i in range(ROUNDS * 2):
            vol.queue = ("MQ", "BIO")[i % 2]
            vol.attach()
            with hcvvol.Disk(vol.path) as disk:
                disk.write(i * MIB, b"t" * 4096)
            stop = cmd("VOL_STOP", VOL=vol.vol)
            force = cmd("VOL_STOP", VOL=vol.vol, VOL_FLAGS="FORCE")
            good = judge("stop", together(
                ([stop] * 3, [stop, force], [stop, stop, force, force])
                [i % 3]))
            ktap.check("stopped", good >= 1)
            gone(vol)
            vol.close_stores()


def commands(vol, rnd):
    """A random word of an agent that has lost its mind."""
    store = rnd.choice(vol.names)
    base = {"VOL": vol.vol, "EPOCH": vol.epoch}
    link = {**base, "STORE": store,
            "INCARNATION": vol.incarnation.get(store, 1)}
    v = vol.v + rnd.randrange(3)
    return rnd.choice((
        ("VOL_CONFIRM", {**link, "V": v, "LINK_STATE": "OUT"}),
        ("VOL_CONFIRM", {**link, "V": v, "LINK_STATE": "INSYNC"}),
        ("VOL_LINK_ADD", {**link, "RANGES": vol.ranges[store],
                          "LINK_STATE": rnd.choice(("SYNCING", "INSYNC"))}),
        ("VOL_LINK_DEL", {**base, "STORE": store}),
        ("VOL_EXTENT_ADD", {**base, "EXTENTS": ",".join(
            vol.row_text(i) for i in range(len(vol.rows)))}),
        ("VOL_SET", {**base, "SIZE": vol.size + rnd.randrange(64) * MIB}),
        ("VOL_SET", {**base, "NAME": f"v{rnd.randrange(3)}"}),
        ("VOL_SUSPEND", base), ("VOL_RESUME", base), ("VOL_RESUME", base),
        ("VOL_NOSPACE", {**base, "COLUMN": 0}),
        ("VOL_START", {**base, "V": v}),
        ("VOL_GET", {"VOL": vol.vol}), ("VOL_GET", {}),
        ("VOL_STATS_GET", {}), ("STORE_GET", {}), ("GRANT_GET", {}),
        ("STORE_CLOSE", {"STORE": store})))


def babble(vol, seed, stop):
    """Many of them, until it is to stop."""
    def work(client):
        rnd = random.Random(seed)
        while not stop.is_set():
            name, attrs = commands(vol, rnd)
            try:
                client.do(name, **attrs)
            except hcvnl.Fail as e:
                if e.code not in OVERTAKEN:
                    raise RuntimeError(f"{name} {attrs}: {e}") from e
    return work


def io(vol, stop):
    """I/O beside them, whose errors do not matter as long as it ends."""
    def work(_):
        rnd = random.Random(1)
        done = 0
        with contextlib.suppress(OSError), hcvvol.Disk(vol.path) as disk:
            while not stop.is_set():
                done += 1
                with contextlib.suppress(OSError):
                    off = rnd.randrange(64) * MIB // 2
                    if done % 7:
                        disk.write(off, bytes([done % 251 + 1]) * 4096)
                    elif done % 2:
                        disk.discard(off, 65536)
                    else:
                        disk.flush()
    return work


def babel(vol, seed, seconds):
    vol.attach()
    vol.ranges = {s: vol.grant(s) for s in vol.names}
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set)
    timer.start()

    def release(client):
        """The end of the volume, and so of all I/O that is held."""
        stop.wait()
        with contextlib.suppress(hcvnl.Fail):
            if seed % 3 == 1:
                client.do("VOL_FENCE", VOL=vol.vol, EPOCH=vol.epoch)
        client.do("VOL_STOP", VOL=vol.vol, VOL_FLAGS="FORCE")
    results = together([babble(vol, seed * 9 + i, stop)
                        for i in range(3)] +
                       [io(vol, stop), io(vol, stop), release], 90)
    judge(f"seed {seed}", results)
    gone(vol)
    for store in vol.names:
        with contextlib.suppress(hcvnl.Fail):
            node.do("REVOKE", STORE=store, VOL=vol.vol, EPOCH=vol.epoch)
        hcvtest.wait_for(lambda s=store: closed(s), 20, f"end of {store}")
    vol.incarnation = {}


def closed(store):
    try:
        node.do("STORE_CLOSE", STORE=store)
    except hcvnl.Fail as e:
        return e.code == errno.ENOENT
    return True


def test_all_at_once():
    """After all that, a fresh attach still works."""
    for seed in range(max(4, ROUNDS // 4)):
        with setting(queue=("MQ", "BIO")[seed % 2]) as vol:
            babel(vol, seed, 4)
            # The record of a sane agent: the data may be anything.
            vol.format()
            vol.fresh = set(range(len(vol.rows)))
            vol.insync = set(vol.names)
            with vol.attached() as disk:
                disk.write(MIB, b"z" * 4096)
                ktap.check_eq("works", b"z" * 4096, disk.read(MIB))
            vol.check_stores()


def test_module_in_use():
    """It stays as long as a volume is there, and goes between two commands."""
    def rmmod(_):
        try:
            hcvtest.run("rmmod", "hcivol")
        except RuntimeError:
            return False
        return True
    with setting() as vol:
        vol.attach()
        try:
            ktap.check_eq("in use", [False] * 2, together([rmmod] * 2))
        finally:
            vol.stop()
        vol.close_stores()
        for _ in range(max(3, ROUNDS // 2)):
            vol.epoch += 1
            make = cmd("VOL_CREATE", VOL=vol.vol, NAME="v1", SIZE=MIB,
                       STRIPE=1, REPLICAS=2, EPOCH=vol.epoch, V=1, LINEAGE=7,
                       QUEUE="MQ")
            drop = cmd("VOL_STOP", VOL=vol.vol, VOL_FLAGS="FORCE")
            removed = together([make, drop, rmmod, make, drop])[2]
            ktap.check("rmmod ends", isinstance(removed, bool), repr(removed))
            if not hcvtest.module_loaded():
                node.__init__()
            with contextlib.suppress(hcvnl.Fail):
                node.do("VOL_STOP", VOL=vol.vol, VOL_FLAGS="FORCE")
            hcvtest.wait_for(lambda: not node.dump("VOL_GET"), 20, "none")


ktap.main(globals())
