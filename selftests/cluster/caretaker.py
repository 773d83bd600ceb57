#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: cluster
# TIMEOUT: 2700
"""A volume that is attached nowhere, and a node that takes care of it.

A store is emptied while nobody has the volume. Whoever attaches it meanwhile gets
it at once: on the node that takes care of it, where the copy just goes on, or on
another one, which needs no --takeover, also when the caretaker's agent or node is
dead or frozen, and one of two who want it at once. Care goes on over new agents,
another leader and an etcd without quorum, and on another node when its own one is
to be emptied. Nobody can open the volume before. After each the two stores hold the
same.
"""

import contextlib
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import boot
import cluster
import failover
import hcvcluster
import hcvtest
import ktap
from failover import DEV, FILL, LOAD, MIB, NAME, remote
from hcvcluster import ctl, record, replicas, sh, volume
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


def module(node, uuid):
    """What a node's module has of the volume, without its agent; None: nothing."""
    got = node.run(f"python3 -B {boot.TREE}/selftests/lib/hcvnl.py VOL_GET "
                   f"VOL={uuid}")
    return json.loads(got.out) if got.rc == 0 else None


def copied(node, uuid):
    """Bytes that a node's module has copied from replica to replica."""
    return sum(link.get("SYNC_COPIED", 0)
               for link in module(node, uuid).get("LINK", []))


def given_up(c):
    """Wait until nobody takes care of the volume any more: in order."""
    wait_for(lambda: record(c.n1, c.uuid)["owner"] == "", 60,
             "a volume that nobody takes care of")
    rec = record(c.n1, c.uuid)
    ktap.check_eq("given up in order", (True, "none", None),
                  (rec["clean"], rec["phase"], rec.get("caretaker")))


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
    given_up(c)
    ctl(c.n1, f"store undrain {node}-s1")
    attach(c, c.n1)
    failover.detach(c, c.n1)
    ctl(c.n1, f"volume attach {NAME}")


def test_new_agents(c):
    """Of the caretaker and of the one who leads: the care goes on."""
    keeper, node, to = cared_for(c)
    before = record(c.n1, c.uuid)
    agents = {keeper, c[jobs(c.n1)["leader"]]}
    for one in agents:
        one.agent.kill(9)
        one.agent.wait(10)
    for one in agents:
        hcvcluster.start_agent(one)
        hcvcluster.wait_knows(one)
    # Longer than a lease: nobody else has taken it.
    was, began = copied(keeper, c.uuid), time.monotonic()
    wait_for(lambda: time.monotonic() > began + 2 * LIVE_S and
             copied(keeper, c.uuid) > was, 60, "a copy that goes on")
    after = record(c.n1, c.uuid)
    ktap.check_eq("the same epoch", (before["epoch"], before["owner"]),
                  (after["epoch"], after["owner"]))
    ctl(c.n1, f"volume set {NAME} sync-kibps=0")
    moved(c.n1, to)
    freed(c, node)
    given_up(c)
    ctl(c.n1, f"store undrain {node}-s1")
    attach(c, c.n1)


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


def test_node_frozen(c):
    """Another node has the volume, and writes, when the caretaker goes on."""
    keeper, node, to = cared_for(c, 1024)
    other = next(n for n in c.nodes if n is not keeper)
    keeper.freeze()
    attach(c, other, 2 * ATTACH_S + LIVE_S)
    sh(other, f"dd if=/dev/urandom of={DEV} bs=1M oflag=direct conv=fsync,notrunc "
              f"seek={FILL // MIB} count={LOAD // MIB} status=none", 120)
    keeper.thaw()
    wait_for(lambda: module(keeper, c.uuid) is None, 60,
             f"the end of the care on {keeper}")
    hcvcluster.wait_knows(keeper)
    finish(c, other, node, to)


def test_etcd_outage(c):
    """Without a quorum the copy goes on, an attach is refused; with it the care goes
    its way."""
    keeper, node, to = cared_for(c)
    down = [n for n in c.nodes if n is not keeper]
    for one in down:
        one.stop_etcd()
    was = copied(keeper, c.uuid)
    # Longer than a lease, which tells of the keeper when etcd is back.
    for one in c.nodes:
        done = one.run(f"agentctl --timeout 8 volume attach {NAME}", timeout=60)
        ktap.check(f"an attach on {one} fails", done.rc in (5, 6),
                   f"{done.rc} {done.out} {done.err}")
    ktap.check("the copy goes on", copied(keeper, c.uuid) > was)
    ktap.check_eq("disks", [[], [], []], [disks(n) for n in c.nodes])
    for one in down:
        one.start_etcd(c.nodes, hcvcluster.ETCD_ARGS)
    for one in c.nodes:
        wait_for(one.etcd_healthy, 60, f"etcd on {one}", 0.5)
        hcvcluster.wait_knows(one)
    ctl(c.n1, f"volume set {NAME} sync-kibps=0")
    moved(c.n1, to)
    freed(c, node)
    given_up(c)
    ctl(c.n1, f"store undrain {node}-s1")
    attach(c, c.n1)


def test_node_drain(c):
    """Its node is to be emptied: the care moves to another one, in order."""
    keeper, node, to = cared_for(c)
    before = record(c.n1, c.uuid)
    ctl(c.n1, f"node drain {keeper}")
    wait_for(lambda: volume(c.n1, NAME)["caretaker"] not in
             ("", keeper.name), 120, "another caretaker", 0.5)
    after = record(c.n1, c.uuid)
    ktap.note(f"{volume(c.n1, NAME)['caretaker']} takes care of it")
    ktap.check_eq("one claim later", before["epoch"] + 1, after["epoch"])
    ktap.check_eq("no replica was given up", "insync",
                  replicas(c.n1, NAME)[keeper.name])
    wait_for(lambda: module(keeper, c.uuid) is None, 60, f"nothing on {keeper}")
    ctl(c.n1, f"node drain --off {keeper}")
    attach(c, keeper)
    finish(c, keeper, node, to)


def test_two_want_it(c):
    """One on the caretaker's node: one of them gets it."""
    keeper, node, to = cared_for(c)
    commands = [n.spawn(f"agentctl --timeout 60 volume attach {NAME}")
                for n in c.nodes]
    codes = [command.wait(80).rc for command in commands]
    ktap.check_eq("one wins", [0, 4, 4], sorted(codes))
    winner = c.nodes[codes.index(0)]
    ktap.note(f"{keeper} took care of it, {winner} has it")
    ktap.check_eq("owner", (winner.name, ""),
                  (volume(winner, NAME)["owner"],
                   volume(winner, NAME)["caretaker"]))
    ktap.check_eq("content", c.sum, failover.content(winner))
    finish(c, winner, node, to)


def cases():
    """All; on instrumented kernels, where each takes minutes, every other; with
    HCV_SHARE one of five parts."""
    names = ktap.share([name for name in globals()
                           if name.startswith("test_")], 5)
    return {name: failover.explained(globals()[name])
            for name in hcvtest.sampled(names, 2)}


if __name__ == "__main__":
    ktap.main(cases(), ready())
