#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: cluster
# TIMEOUT: 2700
"""A volume that is attached nowhere, and a node that takes care of it.

A store is emptied while nobody has the volume. Whoever attaches it meanwhile gets
it at once: on the node that takes care of it, where the copy just goes on, or on
another one, which needs no --takeover, also when the caretaker's agent or node is
dead. Nobody can open it before. After each the two stores hold the same.
"""

import contextlib
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import cluster
import failover
import hcvcluster
import hcvtest
import ktap
from failover import DEV, FILL, LOAD, MIB, NAME, remote
from hcvcluster import ctl, ctl_json, record, replicas, sh, volume
from recovery import freed, jobs, moved, spare
from vm import wait_for

# Not minutes: the agent takes these from its environment.
LIMITS = "HCV_ABSENT_MS=8000 HCV_FAILED_MS=2000 HCV_CARE_MS=4000"
LIVE_S = 10     # the lease of a node in etcd
# A claim waits for leases and for grants, and more on a slow machine.
ATTACH_S = 30


@contextlib.contextmanager
def ready():
    """Three nodes and a volume, attached on n1 and filled in part."""
    with cluster.Cluster(nodes=3, disks=1, disk_size="4G", mem=1280) as c:
        try:
            c.start()
            c.n1 = c.nodes[0]
            urls = hcvcluster.start_etcd(c)
            for node in c.nodes:
                node.agent_env = LIMITS
            c.each(hcvcluster.start_node)
            hcvcluster.form(c, urls)
            ctl(c.n1, f"volume create {NAME} 1G --replicas 2")
            ctl(c.n1, f"volume attach {NAME}")
            sh(c.n1, f"dd if=/dev/urandom of={DEV} bs=1M oflag=direct "
                     f"count={(FILL + LOAD) // MIB} conv=fsync status=none",
               180)
            c.uuid = volume(c.n1, NAME)["uuid"]
            c.sum = failover.content(c.n1)
            yield c
            failover.detach(c, c.n1)
            hcvcluster.stop_nodes(c.nodes)
        except Exception:
            for node in c.nodes:
                ktap.note(hcvcluster.explain(node))
            raise


def disks(node):
    """The volumes' devices on a node."""
    return sh(node, "ls /dev | grep -E '^hcivol[0-9]' || true").split()


def cared_for(c, kibps=256):
    """Detach the volume, begin to empty the remote store, and wait until a node
    that takes care of the volume copies. Returns that node, the one with the
    store and the one that the copy goes to."""
    node, to = remote(c)[0], spare(c)
    ctl(c.n1, f"volume set {NAME} sync-kibps={kibps}")
    failover.detach(c, c.n1)
    ctl(c.n1, f"store drain {node}-s1")
    wait_for(lambda: replicas(c.n1, NAME).get(to.name) == "syncing", 120,
             "a copy of a volume that is attached nowhere", 0.5)
    shown = volume(c.n1, NAME)
    keeper = c[shown["caretaker"]]
    ktap.note(f"{keeper} takes care of it: {shown['caretaker_why']}")
    ktap.check_eq("attached", ("", "none"), (shown["owner"], shown["phase"]))
    ktap.check_match("why", "^drain: ", shown["caretaker_why"])
    ktap.check_eq("disks", [[], [], []], [disks(n) for n in c.nodes])
    return keeper, node, to


def attach(c, node, limit_s=ATTACH_S):
    """Attach without --takeover, in time, and look at the data."""
    began = time.monotonic()
    ctl(node, f"volume attach {NAME}")
    took = time.monotonic() - began
    ktap.note(f"attached on {node} after {took:.1f} s")
    ktap.check("in time", took < limit_s, f"{took:.1f} s")
    ktap.check_eq("content", c.sum, failover.content(node))
    shown = volume(node, NAME)
    ktap.check_eq("owner", (node.name, ""),
                  (shown["owner"], shown["caretaker"]))


def finish(c, owner, node, to):
    """What was begun goes on, and the volume is on n1 again."""
    ctl(owner, f"volume set {NAME} sync-kibps=0")
    wait_for(lambda: replicas(owner, NAME).get(node.name) is None and
             not jobs(owner)["jobs"], 300, f"an empty store on {node}", 1)
    hcvcluster.wait_insync(owner, NAME)
    freed(c, node)
    ctl(c.n1, f"store undrain {node}-s1")
    failover.detach(c, owner)
    ctl(c.n1, f"volume attach {NAME}")
    ktap.check_eq("content", c.sum, failover.content(c.n1))


def test_drain(c):
    """From the beginning to the end without anybody who attaches it."""
    keeper, node, to = cared_for(c)
    ctl(c.n1, f"volume rename {NAME} {NAME}-new")
    ctl(c.n1, f"volume rename {NAME}-new {NAME}")
    done = keeper.run(f"agentctl volume detach {NAME}")
    ktap.check("it is not attached", done.rc and "not attached" in done.err,
               done.out + done.err)
    ctl(c.n1, f"volume set {NAME} sync-kibps=0")
    moved(c.n1, to)
    freed(c, node)
    wait_for(lambda: record(c.n1, c.uuid)["owner"] == "", 60,
             "a volume that nobody takes care of")
    rec = record(c.n1, c.uuid)
    ktap.check_eq("given up in order", (True, "none", None),
                  (rec["clean"], rec["phase"], rec.get("caretaker")))
    ctl(c.n1, f"store undrain {node}-s1")
    attach(c, c.n1)
    failover.detach(c, c.n1)
    ctl(c.n1, f"volume attach {NAME}")


def test_attach_there(c):
    """On the caretaker's node: the copy goes on."""
    keeper, node, to = cared_for(c)
    before = record(c.n1, c.uuid)
    attach(c, keeper, 10)
    after = record(c.n1, c.uuid)
    ktap.check_eq("the same epoch", before["epoch"], after["epoch"])
    ktap.check_eq("the copy goes on", "syncing",
                  replicas(c.n1, NAME).get(to.name))
    ktap.check_eq("disks", 1, len(disks(keeper)))
    finish(c, keeper, node, to)


def test_attach_elsewhere(c):
    """The caretaker gives it up, in order."""
    keeper, node, to = cared_for(c)
    other = next(n for n in c.nodes if n is not keeper)
    before = record(c.n1, c.uuid)
    attach(c, other)
    after = record(c.n1, c.uuid)
    ktap.check_eq("one claim later", before["epoch"] + 1, after["epoch"])
    ktap.check_eq("no replica was given up",
                  {c.n1.name: "insync", node.name: "insync"},
                  {n: s for n, s in replicas(other, NAME).items()
                   if n != to.name})
    ktap.check_eq("disks", [], disks(keeper))
    finish(c, other, node, to)


def test_agent_killed(c):
    """As soon as its lease in etcd is over it has nothing to say."""
    keeper, node, to = cared_for(c)
    other = next(n for n in c.nodes if n is not keeper)
    keeper.agent.kill(9)
    keeper.agent.wait(10)
    attach(c, other, ATTACH_S + LIVE_S)
    hcvcluster.start_agent(keeper)
    finish(c, other, node, to)


def test_node_killed(c):
    """Another node takes care of the volume, and is attached to it at last."""
    keeper, node, to = cared_for(c)
    other = next(n for n in c.nodes if n is not keeper)
    keeper.power_cut("drop")
    wait_for(lambda: volume(other, NAME)["caretaker"] not in
             ("", keeper.name), 150, "another caretaker", 1)
    ktap.note(f"{volume(other, NAME)['caretaker']} takes care of it")
    attach(c, other)
    hcvcluster.return_node(c, keeper)
    finish(c, other, node, to)


def cases():
    """All; on instrumented kernels, where each takes minutes, every other."""
    names = [name for name in globals() if name.startswith("test_")]
    return {name: failover.explained(globals()[name])
            for name in hcvtest.sampled(names, 2)}


if __name__ == "__main__":
    ktap.main(cases(), ready())
