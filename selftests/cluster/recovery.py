#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: cluster
# TIMEOUT: 2700
"""Replicas that are made anew on another node, under load.

A node that does not come back is replaced, and gives up what it had when it is
back after all; a node is emptied from the attach on, while the agent that leads
dies; a target that is cut off half-way is filled when it is back, since there is
no other; the owner dies half-way, and who attaches the volume goes on. After each
the two stores hold the same.
"""

import contextlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import cluster
import failover
import hcvcluster
import hcvtest
import ktap
from failover import DEV, FILL, LOAD, MIB, NAME, home_again, load, remote
from hcvcluster import ctl, ctl_json, replicas, sh, volume
from vm import wait_for

# Not minutes: the agent takes these from its environment.
LIMITS = "HCV_ABSENT_MS=8000 HCV_FAILED_MS=2000 HCV_CARE_MS=600000"
MOVED_S = 300


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


def spare(c):
    """The node that has no replica."""
    return next(n for n in c.nodes if n.name not in replicas(c.n1, NAME))


def rate(node, **settings):
    """How fast the whole cluster recovers."""
    for name, value in settings.items():
        ctl(node, f"recovery set {name}={value}")


def jobs(node):
    return ctl_json(node, "recovery jobs")


def moved(owner, to):
    """Wait until both replicas are on the owner and `to`, and nothing else is
    left."""
    want = {owner.name: "insync", to.name: "insync"}
    wait_for(lambda: replicas(owner, NAME) == want and
             not jobs(owner)["jobs"], MOVED_S, f"replica on {to}", 1)
    ktap.check_eq("health", "ok", volume(owner, NAME)["health"])


def plan_of(c, node):
    """What `store show` says of the volume's part of a node's store."""
    shown = ctl_json(c.n1, f"store show {node}-s1")
    return next((v["plan"] for v in shown["volumes"] if v["name"] == NAME), "")


def freed(c, node):
    """Wait until a node has nothing of the volume."""
    def used():
        return [s["used_extents"]
                for s in ctl_json(c.n1, "store list")["stores"]
                if s["name"] == f"{node}-s1" and s["live"]]
    wait_for(lambda: used() == [0], 120, f"freed space on {node}", 1)


def test_node_gone(c):
    node, to = remote(c)[0], spare(c)
    with load(c):
        node.power_cut("drop")
        moved(c.n1, to)
    hcvcluster.return_node(c, node)
    freed(c, node)
    home_again(c)


def test_node_drain(c):
    node, to = remote(c)[0], spare(c)
    failover.detach(c, c.n1)
    ctl(c.n1, f"node drain {node}")
    wait_for(lambda: "attached nowhere" in plan_of(c, node), 60,
             "store show: it waits for an attach")
    ktap.check_match("recovery status", "drain .*the volume is attached nowhere",
                     sh(c.n1, "agentctl recovery status"))
    ktap.check_eq("jobs", [], jobs(c.n1)["jobs"])
    ctl(c.n1, f"volume attach {NAME}")
    with load(c):
        wait_for(lambda: jobs(c.n1)["jobs"], 60, "a job")
        leader = c[jobs(c.n1)["leader"]]
        leader.agent.kill(9)
        leader.agent.wait(10)
        hcvcluster.start_agent(leader)
        hcvcluster.wait_knows(leader)
        moved(c.n1, to)
    freed(c, node)
    ctl(c.n1, f"node drain --off {node}")
    home_again(c)


def test_target_cut_off(c):
    node, to = remote(c)[0], spare(c)
    rate(c.n1, mode="static", limit="1M")
    with load(c) as meter:
        ctl(c.n1, f"store drain {node}-s1")
        wait_for(lambda: replicas(c.n1, NAME).get(to.name) == "syncing", 120,
                 "a copy under way")
        to.cut()
        wait_for(lambda: replicas(c.n1, NAME)[to.name] == "stale", 60,
                 "the end of the copy")
        ktap.check_eq("the others", "insync",
                      replicas(c.n1, NAME)[node.name])
        writes = meter.writes()
        wait_for(lambda: meter.writes() > writes + 100, 30, "writes on n1")
        to.heal()
        rate(c.n1, mode="default", limit="default")
        moved(c.n1, to)
    freed(c, node)
    ctl(c.n1, f"store undrain {node}-s1")
    home_again(c)


def test_owner_gone(c):
    """The last one: n1's replica is not made anew on n1."""
    node, to = remote(c)[0], spare(c)
    rate(c.n1, mode="static", limit="1M")
    ctl(c.n1, f"store drain {node}-s1")
    wait_for(lambda: replicas(c.n1, NAME).get(to.name) == "syncing", 120,
             "a copy under way")
    c.n1.power_cut("drop")
    wait_for(lambda: [job["waits"] for job in jobs(node)["jobs"]] ==
             ["the node that has the volume is away"], 60, "a job that waits")
    failover.take_over(c, node)
    rate(node, mode="default", limit="default")
    # The copy counts for the one that is gone; the next drain finds no place.
    moved(node, to)
    hcvcluster.return_node(c, c.n1)
    freed(c, c.n1)
    ctl(node, f"store undrain {node}-s1")
    home_again(c, node)


def cases():
    """All; on instrumented kernels, where each takes minutes, every other; with
    HCV_SHARE one of two parts."""
    names = ktap.share([name for name in globals()
                           if name.startswith("test_")], 2)
    return {name: failover.explained(globals()[name])
            for name in hcvtest.sampled(names, 2)}


if __name__ == "__main__":
    ktap.main(cases(), ready())
