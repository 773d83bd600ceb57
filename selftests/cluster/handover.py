#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: cluster
# TIMEOUT: 3600
# TAGS: failover
"""A volume in use is handed over to another node, as for live migration.

A writer on the source tells of every block that it has flushed; it is stopped
by the errors that its device gives after the switch, and whatever it had
flushed must be on the other node. A second writer waits there for its device.
The same with everything that takes part killed at each step: exactly one node
has the volume afterwards, no wish and no disk that waits is left, and nothing
that was flushed is lost. Each case leaves the volume in-sync and attached on
n1.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import boot
import cluster
import hcvcluster
import hcvtest
import ktap
import vm
from hcvcluster import ctl, ctl_json, record, sh, volume, wait_insync
from vm import GuestDied, wait_for

MIB = 1 << 20
NAME = "db1"
DEV = hcvcluster.device(NAME)
DIV = int(os.environ.get("HCV_SIZE_DIV", "1"))
FILL = max(16, 64 // DIV) * MIB
LOG = FILL              # the part that the writer on the source writes
LOG_BYTES = 4 * MIB
HERE = FILL + LOG_BYTES     # the block that the writer on the target writes
GAP_LIMIT_MS = 1000
QUIET_MS = 100          # a flushed write of a machine that is not slow
INSPECT = boot.TREE / "build/bin/hcivol-inspect"

# Points at which an agent dies, of the source and of the target.
SOURCE = """owner-halt owner-halt-done owner-hand-over owner-hand-over-done
 owner-let-go owner-let-go-done""".split()
TARGET = """owner-prepare owner-prepare-done owner-hand-ready
 owner-hand-ready-done owner-serve owner-serve-done owner-link-add-done
 owner-start owner-start-done""".split()


# --- writers

class Log:
    """flushlog on the source; notes when each line came in."""

    def __init__(self, node):
        sh(node, f"blkdiscard -z -o {LOG} -l {LOG_BYTES} {DEV}")
        self.last_s = 0.0
        self.cmd = node.spawn(f"exec {boot.helper('flushlog')} write {DEV} "
                              f"{LOG} {LOG_BYTES}", sink=self._told)
        wait_for(lambda: self.flushed() > 200 or not self.cmd.running, 240,
                 "flushes")

    def _told(self, kind, _data):
        # Not its last word, the error.
        if not vm.is_stderr(kind):
            self.last_s = time.monotonic()

    def flushed(self):
        """The number of the last block that has been flushed."""
        whole = self.cmd.out.rpartition("\n")[0]
        return int(whole.rpartition("\n")[2] or 0)

    def goes_on(self):
        was = self.flushed()
        wait_for(lambda: self.flushed() > was + 8, 60, "flushes on the source")

    def check(self, node):
        """All that was flushed must be on the volume, which node has now."""
        last = self.flushed()
        done = node.run(f"{boot.helper('flushlog')} check {DEV} {LOG} "
                        f"{LOG_BYTES} {last}", timeout=120)
        ktap.note(f"flushed up to {last}: {done.out.strip()}")
        ktap.check("all that was flushed", done.rc == 0, done.out + done.err)

    def end(self):
        if self.cmd.running:
            self.cmd.kill()
        self.cmd.wait(60)


class Waiter:
    """A write on the target, again and again until it is done; notes when."""

    def __init__(self, node):
        self.done_s = None
        self.cmd = node.spawn(
            f"until dd if=/dev/urandom of={DEV} bs=4096 count=1 oflag=direct "
            f"seek={HERE // 4096} conv=notrunc,fsync status=none 2>/dev/null; "
            "do sleep 0.02; done; echo done", sink=self._told)

    def _told(self, _kind, _data):
        if self.done_s is None:
            self.done_s = time.monotonic()


# --- the cluster

@contextlib.contextmanager
def ready():
    """Three nodes and a volume, attached on n1, with a replica there."""
    with cluster.Cluster(nodes=3, disks=1, disk_size="4G", mem=1280) as c:
        try:
            c.start()
            c.n1 = c.nodes[0]
            urls = hcvcluster.start_etcd(c)
            c.each(hcvcluster.start_node)
            hcvcluster.form(c, urls)
            ctl(c.n1, f"volume create {NAME} 1G --replicas 2")
            ctl(c.n1, f"volume attach {NAME}")
            sh(c.n1, f"dd if=/dev/urandom of={DEV} bs=1M oflag=direct "
                     f"count={(HERE + MIB) // MIB} conv=fsync status=none", 180)
            c.uuid = volume(c.n1, NAME)["uuid"]
            c.sum = content(c.n1)
            c.gap_limit_ms = gap_limit_ms(c.n1)
            yield c
            detach(c, c.n1)
            hcvcluster.stop_nodes(c.nodes)
        except Exception:
            for node in c.nodes:
                ktap.note(hcvcluster.explain(node))
            raise


def gap_limit_ms(node):
    """What the switch may cost: more on a machine on which an etcd write and a
    flushed write take long without any fault."""
    begin = time.monotonic()
    for _ in range(5):
        ctl(node, f"volume set {NAME} sync-kibps=0")
    meta_ms = (time.monotonic() - begin) * 200
    begin = time.monotonic()
    sh(node, f"dd if=/dev/zero of={DEV} bs=4096 count=20 oflag=direct,dsync "
             f"seek={HERE // 4096} conv=notrunc status=none")
    write_ms = (time.monotonic() - begin) * 50
    limit = GAP_LIMIT_MS + 10 * max(0, write_ms - QUIET_MS) + \
        10 * max(0, meta_ms - QUIET_MS)
    ktap.note(f"a command takes {meta_ms:.0f} ms, a flushed write "
              f"{write_ms:.0f} ms: the limit is {limit:.0f} ms")
    return limit


def content(node):
    """Checksum of the part that no writer touches."""
    return sh(node, f"dd if={DEV} bs=1M count={FILL // MIB} iflag=direct "
                    "status=none | md5sum", 120).split()[0]


def detach(c, node):
    """Detach in order; both stores must then hold the same."""
    shown = wait_insync(node, NAME)
    ctl(node, f"volume detach {NAME}")
    images = [c[r["node"]].rundir / "data0.img"
              for r in shown["replica_list"]]
    done = subprocess.run([INSPECT, "check", "--data", *images], check=False,
                          text=True, capture_output=True)
    ktap.check("the stores are equal", done.returncode == 0,
               done.stdout[-2000:] + done.stderr)


def home_again(c, owner):
    """Whoever has it: detach and attach on n1, the stores compared."""
    detach(c, owner)
    ctl(c.n1, f"volume attach {NAME}")
    ktap.check_eq("content", c.sum, content(c.n1))


def others(c):
    """The node with the other replica, and the one without any."""
    names = [r["node"] for r in volume(c.n1, NAME)["replica_list"]]
    with_one = next(c[n] for n in names if n != "n1")
    return with_one, next(n for n in c.nodes[1:] if n != with_one)


def state(node):
    """What the module of a node has of the volume."""
    shown = volume(node, NAME).get("module")
    return shown["state"] if shown else None


def hand_over(c, to, words="", node=None, timeout=60):
    return (node or c.n1).run(
        f"agentctl --json --timeout {timeout} volume handover {NAME} "
        f"--to {to} {words}", timeout=timeout + 20)


def check_left(c, owner):
    """One owner, no wish, no disk that waits; old disks are gone."""
    def clean():
        rec = record(c.n1, c.uuid)
        return "handover" not in rec and rec["phase"] == "serving"
    wait_for(clean, 90, "a record without a wish")
    ktap.check_eq("owner", owner.name, volume(owner, NAME)["owner"])
    for node in c.nodes:
        if node is owner:
            wait_for(lambda: state(owner) == "active", 60, "active volume")
        elif node.state == "running":
            wait_for(lambda n=node: state(n) is None, 60,
                     f"nothing of it on {node}")


def owner_of(c, node):
    return c[volume(node, NAME)["owner"]]


# --- in order

def switch(c, to, prepare):
    log = Log(c.n1)
    if prepare:
        done = hand_over(c, to, "--prepare")
        ktap.check_eq("prepared", 0, done.rc)
        ktap.check_eq("on the target", "prepared", state(to))
        ktap.check_eq("its disk has the size", 1 << 30, int(sh(
            to, f"blockdev --getsize64 {DEV}")))
        log.goes_on()
        waiter = Waiter(to)
        log.goes_on()
        wait_for(lambda: any(w["wait"] == "handover" for w in
                             volume(to, NAME)["module"]["waits"]), 30,
                 "what it waits for")
    done = hand_over(c, to)
    if not ktap.check("handed over", not done.rc, done.out + done.err):
        raise RuntimeError("not handed over")
    told = json.loads(done.out)
    ktap.check("the writer got an error", log.cmd.wait(60).rc != 0)
    ktap.check_match("who has it, whoever gives it up", f"node {to} has it",
                     ctl(c.n1, f"volume handover {NAME} --abort"))
    if not prepare:
        waiter = Waiter(to)
    ktap.check_eq("the write on the target", 0, waiter.cmd.wait(60).rc)
    gap = (waiter.done_s - log.last_s) * 1000
    ktap.note(f"I/O waited for {gap:.0f} ms, of these "
              f"{told.get('halt_ms')} by the agent's account")
    if prepare:
        ktap.check("the gap", gap < c.gap_limit_ms, f"{gap:.0f} ms")
    check_left(c, to)
    log.check(to)
    ktap.check_eq("content", c.sum, content(to))
    home_again(c, to)


def test_switch(c):
    switch(c, others(c)[0], True)


def test_switch_at_once(c):
    switch(c, others(c)[0], False)


def test_switch_to_a_node_without_replica(c):
    switch(c, others(c)[1], True)


def test_to_and_fro(c):
    """Three turns without a pause; each owner hands it over itself."""
    log = Log(c.n1)
    owner = c.n1
    for to in (others(c)[0], others(c)[1], c.n1):
        done = hand_over(c, to, node=owner)
        if not ktap.check(f"to {to}", not done.rc, done.out + done.err):
            break
        owner = to
        log.check(owner)
    check_left(c, owner)
    log.end()
    home_again(c, owner)


def test_open_on_the_source(c):
    """Its disk stays as long as it is open, and fails everything."""
    to = others(c)[0]
    holder = c.n1.spawn(f"exec 3<>{DEV}; echo open; read line; "
                        "dd bs=4096 count=1 <&3 2>&1 >/dev/null; "
                        "echo closing; exit 0", stdin=True)
    wait_for(lambda: "open" in holder.out, 30, "open disk")
    path = sh(c.n1, f"readlink -f {DEV}").strip()
    ktap.check_eq("handed over", 0, hand_over(c, to).rc)
    sh(c.n1, f"test -e {path}")
    holder.write(b"\n")
    holder.wait(30)
    ktap.check_match("its reads fail", "Input/output error", holder.out)
    wait_for(lambda: c.n1.run(f"test -e {path}").rc != 0, 30,
             "end of the old disk")
    check_left(c, to)
    home_again(c, to)


# --- given up

def test_abort(c):
    to = others(c)[0]
    log = Log(c.n1)
    ktap.check_eq("prepared", 0, hand_over(c, to, "--prepare").rc)
    held = to.spawn(f"exec 3<{DEV}; echo open; sleep 600")
    wait_for(lambda: "open" in held.out, 30, "open disk on the target")
    ctl(to, f"volume handover {NAME} --abort")
    check_left(c, c.n1)
    held.kill()
    log.goes_on()
    ktap.check_match("says who has it", "nothing .*node n1 has it",
                     ctl(c.n1, f"volume handover {NAME} --abort"))
    log.check(c.n1)
    log.end()


def test_limit(c):
    to = others(c)[0]
    log = Log(c.n1)
    ktap.check_eq("prepared", 0,
                  hand_over(c, to, "--prepare --limit 5").rc)
    check_left(c, c.n1)
    log.goes_on()
    log.end()


def test_one_at_a_time(c):
    one, two = others(c)
    ktap.check_eq("prepared", 0, hand_over(c, one, "--prepare").rc)
    done = hand_over(c, two)
    ktap.check_eq("to another one", 4, done.rc)
    ktap.check_match("says why", "already", done.out + done.err)
    done = hand_over(c, two, node=one)
    ktap.check_match("from where it is not", "not here", done.out + done.err)
    ctl(two, f"volume handover {NAME} --abort")
    check_left(c, c.n1)


def test_detach_meanwhile(c):
    """Detaching ends a hand-over; so does a forced take-over."""
    one, two = others(c)
    ktap.check_eq("prepared", 0, hand_over(c, one, "--prepare").rc)
    ctl(c.n1, f"volume detach {NAME}")
    wait_for(lambda: state(one) is None, 60, "nothing of it on the target")
    ctl(c.n1, f"volume attach {NAME}")
    ktap.check_eq("prepared", 0, hand_over(c, one, "--prepare").rc)
    ctl(two, f"volume attach {NAME} --takeover")
    check_left(c, two)
    ktap.check_eq("content", c.sum, content(two))
    home_again(c, two)


# --- somebody dies

def doomed_agent(node, point):
    """Another agent, which dies at a point."""
    other_agent(node, f"HCV_CRASH={point}:1")


def other_agent(node, env):
    node.agent.kill()
    node.agent.wait(30)
    node.agent = node.spawn(f"{env} exec hcivold 2>>{hcvcluster.AGENT_LOG}")
    wait_for(lambda: node.run("agentctl version").rc == 0, 60, "the agent")
    hcvcluster.wait_knows(node)


def agent_dies(c, who, point, to):
    """The agent of `who` dies at a point; another one follows."""
    log = Log(c.n1)
    doomed_agent(who, point)
    wait_for(lambda: all(n["live"] for n in
                         ctl_json(c.n1, "node list")["nodes"]), 60, "leases")
    cmd = c.n1.spawn(f"agentctl --timeout 40 volume handover {NAME} "
                     f"--to {to}")
    # The command may be over first: with the agent that it asked, or when all
    # is handed over but what the other one has to do.
    wait_for(lambda: not who.agent.running, 90, f"death at {point}")
    hcvcluster.start_agent(who)
    hcvcluster.wait_knows(who)
    cmd.wait(90)
    # The wish goes on without the command, or was taken back.
    wait_for(lambda: "handover" not in record(c.n1, c.uuid), 90, "its end")
    wait_for(lambda: record(c.n1, c.uuid)["phase"] == "serving", 90,
             "an owner that serves")
    owner = owner_of(c, c.n1)
    ktap.note(f"{point}: it is on {owner}")
    check_left(c, owner)
    wait_insync(owner, NAME, 150)
    log.check(owner)
    log.end()
    if owner is not c.n1:
        home_again(c, owner)
    ktap.check_eq("content", c.sum, content(c.n1))


def few(points):
    return ktap.share(hcvtest.sampled(points, 3), 4)


def test_source_agent_dies(c):
    to = others(c)[0]
    for point in few(SOURCE):
        agent_dies(c, c.n1, point, to)


def test_target_agent_dies(c):
    to = others(c)[0]
    for point in few(TARGET):
        agent_dies(c, to, point, to)


def take_over(c, node):
    def taken():
        done = node.run(f"agentctl --timeout 60 volume attach {NAME}",
                        timeout=80)
        if done.rc:
            ktap.note(f"{node}: {done.out}{done.err}")
        return not done.rc or "on this node already" in done.out + done.err
    wait_for(taken, 120, f"take-over by {node}", 1)


def test_source_dies_before(c):
    """The target is ready; an attach there goes on with the same disk."""
    to = others(c)[0]
    log = Log(c.n1)
    ktap.check_eq("prepared", 0, hand_over(c, to, "--prepare").rc)
    path = sh(to, f"readlink -f {DEV}").strip()
    held = to.spawn(f"exec 3<{DEV}; echo open; sleep 600")
    wait_for(lambda: "open" in held.out, 30, "open disk on the target")
    c.n1.power_cut("drop")
    take_over(c, to)
    ktap.check_eq("the same disk", path, sh(to, f"readlink -f {DEV}").strip())
    held.kill()
    log.check(to)
    hcvcluster.return_node(c, c.n1)
    wait_insync(to, NAME, 150)
    check_left(c, to)
    home_again(c, to)


def test_source_dies_after(c):
    """Just when it has handed it over: the target serves it."""
    to = others(c)[0]
    log = Log(c.n1)
    cmd = c.n1.spawn(f"agentctl --timeout 40 volume handover {NAME} --to {to}")
    wait_for(lambda: volume(to, NAME)["owner"] == to.name, 60, "the switch",
             0.02)
    c.n1.power_cut("drop")
    wait_for(lambda: state(to) == "active", 90, "the volume on the target")
    log.check(to)
    with contextlib.suppress(GuestDied):
        cmd.wait(30)
    hcvcluster.return_node(c, c.n1)
    wait_insync(to, NAME, 150)
    check_left(c, to)
    home_again(c, to)


def test_target_dies_before(c):
    """The source goes on, and gives up when the target stays away."""
    to = others(c)[1]
    log = Log(c.n1)
    ktap.check_eq("prepared", 0, hand_over(c, to, "--prepare").rc)
    to.power_cut("drop")
    # Until its lease in etcd has ended it might be alive.
    wait_for(lambda: not any(
        n["live"] for n in ctl_json(c.n1, "node list")["nodes"]
        if n["name"] == to.name), 40, "the end of its lease")
    done = hand_over(c, to, timeout=20)
    ktap.check_eq("not to a dead node", 4, done.rc)
    ktap.check_match("says why", "not live", done.out + done.err)
    wait_for(lambda: "handover" not in record(c.n1, c.uuid), 60,
             "end of the wish")
    log.goes_on()
    hcvcluster.return_node(c, to)
    check_left(c, c.n1)
    log.check(c.n1)
    log.end()


def test_target_dies_after(c):
    """The owner of the record never served: a third one takes it, clean."""
    to, third = others(c)[1], others(c)[0]
    log = Log(c.n1)
    doomed_agent(to, "owner-serve")
    cmd = c.n1.spawn(f"agentctl --timeout 30 volume handover {NAME} --to {to}")
    wait_for(lambda: not to.agent.running, 90, "death of the target's agent")
    to.power_cut("drop")
    take_over(c, third)
    log.check(third)
    shown = volume(third, NAME)
    ktap.check("nothing is copied, it was clean",
               all(r["state"] == "insync" for r in shown["replica_list"]),
               str(shown["replica_list"]))
    cmd.wait(60)
    log.end()
    hcvcluster.return_node(c, to)
    check_left(c, third)
    home_again(c, third)


def test_etcd_member_dies(c):
    """One of three, the leader or not: the switch waits for an election at
    most."""
    to = others(c)[0]
    for node in (others(c)[1], to):
        log = Log(c.n1)
        ktap.check_eq("prepared", 0, hand_over(c, to, "--prepare").rc)
        node.stop_etcd()
        done = hand_over(c, to)
        if ktap.check("handed over", not done.rc, done.out + done.err):
            ktap.note(f"halted for {json.loads(done.out).get('halt_ms')} ms")
        node.start_etcd(c.nodes, hcvcluster.ETCD_ARGS)
        wait_for(node.etcd_healthy, 60, f"etcd on {node}", 0.5)
        owner = owner_of(c, c.n1)
        check_left(c, owner)
        log.check(owner)
        log.end()
        home_again(c, owner)


def test_etcd_without_quorum(c):
    """Nobody can say who owns it: what was not halted goes on."""
    to = others(c)[0]
    log = Log(c.n1)
    ktap.check_eq("prepared", 0, hand_over(c, to, "--prepare").rc)
    for node in c.nodes[1:]:
        node.stop_etcd()
    done = hand_over(c, to, timeout=15)
    ktap.check("not handed over", done.rc != 0, done.out)
    log.goes_on()
    for node in c.nodes[1:]:
        node.start_etcd(c.nodes, hcvcluster.ETCD_ARGS)
    for node in c.nodes:
        wait_for(node.etcd_healthy, 60, f"etcd on {node}", 0.5)
    ctl(c.n1, f"volume handover {NAME} --abort")
    owner = owner_of(c, c.n1)
    check_left(c, owner)
    log.check(owner)
    log.end()
    if owner is not c.n1:
        home_again(c, owner)


def halted(node, uuid):
    """By its module, since the agent may know nothing for lack of etcd."""
    got = node.run(f"python3 -B {boot.TREE}/selftests/lib/hcvnl.py VOL_GET "
                   f"VOL={uuid}").out
    return "SUSPENDED" in got and "HANDOVER" in got


def test_halted_without_etcd(c):
    """The quorum goes while the volume is halted, just before the record is
    changed: it stays so until that can be read, then there is one owner."""
    to = others(c)[0]
    log = Log(c.n1)
    ktap.check_eq("prepared", 0, hand_over(c, to, "--prepare").rc)
    other_agent(c.n1, "HCV_HOLD=owner-hand-over:10000")
    cmd = c.n1.spawn(f"agentctl --timeout 120 volume handover {NAME} --to {to}")
    wait_for(lambda: halted(c.n1, c.uuid) or not cmd.running, 90, "the halt")
    for node in c.nodes[1:]:
        node.stop_etcd()
    was = time.monotonic()
    wait_for(lambda: time.monotonic() > was + 15 or
             not halted(c.n1, c.uuid), 60, "the end of the pause")
    ktap.check("halted still", halted(c.n1, c.uuid))
    for node in c.nodes[1:]:
        node.start_etcd(c.nodes, hcvcluster.ETCD_ARGS)
    for node in c.nodes:
        wait_for(node.etcd_healthy, 60, f"etcd on {node}", 0.5)
    cmd.wait(150)
    wait_for(lambda: "handover" not in record(c.n1, c.uuid), 90, "its end")
    wait_for(lambda: record(c.n1, c.uuid)["phase"] == "serving", 90,
             "an owner that serves")
    owner = owner_of(c, c.n1)
    ktap.note(f"it is on {owner}")
    check_left(c, owner)
    log.check(owner)
    log.end()
    c.n1.agent.kill()
    c.n1.agent.wait(30)
    hcvcluster.start_agent(c.n1)
    hcvcluster.wait_knows(c.n1)
    if owner is not c.n1:
        home_again(c, owner)


def cases():
    """All; on instrumented kernels, where each takes minutes, every third; with
    HCV_SHARE the first and a third of the others."""
    names = [name for name in globals() if name.startswith("test_")]
    names = names[:1] + ktap.share(names[1:], 3)
    return {name: explained(globals()[name])
            for name in hcvtest.sampled(names, 3)}


def explained(case):
    """A case that, should it fail, says how the nodes were at that time, and
    leaves all nodes and agents running."""
    def run(c):
        try:
            case(c)
        except Exception:
            for node in c.nodes:
                ktap.note(hcvcluster.explain(node))
            for node in c.nodes:
                node.heal()
                if node.state == "frozen":
                    node.thaw()
                elif node.state == "killed":
                    hcvcluster.return_node(c, node)
                elif not node.agent.running:
                    hcvcluster.start_agent(node)
            with contextlib.suppress(Exception):
                ctl(c.n1, f"volume handover {NAME} --abort")
            raise
    return run


if __name__ == "__main__":
    ktap.main(cases(), ready())
