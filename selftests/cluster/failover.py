#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: cluster
# TIMEOUT: 2700
# TAGS: failover
"""A node with a replica, or with the volume, dies, freezes or is cut off.

While a writer runs on the owner: the gap that it feels is short, the absent
replica is out of sync in etcd before any write that it missed is acknowledged,
it catches up with what changed, all data verify, and after a clean detach both
stores hold the same. And with the owner gone, what had been flushed is on
another node. Each case leaves a volume in-sync and attached on n1.
"""

import contextlib
import json
import os
import signal
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
from hcvcluster import ctl, record, sh, volume, wait_insync
from vm import wait_for

MIB = 1 << 20
NAME = "db1"
DEV = hcvcluster.device(NAME)
DIV = int(os.environ.get("HCV_SIZE_DIV", "1"))
# The part that is written before, and not again.
FILL = max(16, 64 // DIV) * MIB
LOAD = 4 * MIB          # the part that gapmeter writes
LOG = FILL + LOAD       # where the part begins that flushlog writes
GAP_LIMIT_MS = 5000
QUIET_MS = 300          # the longest write of a machine that is not slow
# What an idle moment of an emulated machine may take; below a failure's gap.
NOISE_MS = 700
LIVE_S = 10             # the lease of a node in etcd
AWAY_S = 10             # how long what I/O does not need is away
INSPECT = boot.TREE / "build/bin/hcivol-inspect"


# --- writers

class Load:
    """gapmeter on the owner; asks etcd for the record after each gap."""

    def __init__(self, node, uuid):
        ask = hcvcluster.range_command(f"rec/{uuid}").replace("'", "'\\''")
        self.node = node
        self.cmd = node.spawn(
            f"exec {boot.helper('gapmeter')} {DEV} {FILL} {LOAD} 600 "
            f"{NOISE_MS} '{ask}'")
        before = self.writes()
        wait_for(lambda: self.writes() > before + 50, 30, "running writer")

    def writes(self):
        return volume(self.node, NAME)["module"]["write_ios"]

    def end(self):
        """Stop it; returns its figures and [(ms, record in etcd)].

        Who is stopped while etcd is being asked has no record.
        """
        self.cmd.kill()
        self.cmd.wait(120)
        lines = self.cmd.out.splitlines()
        gaps = []
        for i, text in enumerate(lines):
            line = json.loads(text or "{}")
            if "ms" in line:
                answer = lines[i + 1]
                gaps.append((line["ms"], hcvcluster.range_value(answer)
                             if answer else None))
        return json.loads(lines[-1]), gaps


@contextlib.contextmanager
def load(c):
    """A writer around what is done to the cluster; checks its data."""
    meter = Load(c.n1, c.uuid)
    try:
        yield meter
    finally:
        figures, meter.gaps = meter.end()
    meter.figures = figures
    ktap.note(f"{figures}; gaps: {[round(ms) for ms, _ in meter.gaps]} ms")
    ktap.check_eq("errors", 0, figures["errors"])
    ktap.check("data", figures["verified"])


# --- the cluster

@contextlib.contextmanager
def ready():
    """Three nodes and a volume, attached on n1 and filled in part."""
    with cluster.Cluster(nodes=3, disks=1, disk_size="4G", mem=1280) as c:
        try:
            c.start()
            c.n1 = c.nodes[0]
            urls = hcvcluster.start_etcd(c)
            c.each(hcvcluster.start_node)
            # The longer time-outs: what passes with them does with others.
            hcvcluster.form(c, urls, disk_class="hdd")
            ctl(c.n1, f"volume create {NAME} 1G --replicas 2")
            ctl(c.n1, f"volume attach {NAME}")
            sh(c.n1, f"dd if=/dev/urandom of={DEV} bs=1M oflag=direct "
                     f"count={(FILL + LOAD) // MIB} conv=fsync status=none",
               180)
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
    """What a gap may be: more on a machine on which writes take long without
    any fault."""
    meter = json.loads(sh(node, f"{boot.helper('gapmeter')} {DEV} {FILL} "
                                f"{LOAD} 5", 120))
    limit = GAP_LIMIT_MS + 10 * max(0, meter["gap_ms"] - QUIET_MS)
    ktap.note(f"{meter} without a fault: the limit is {limit:.0f} ms")
    return limit


def content(node):
    """Checksum of the part that no writer touches."""
    return sh(node, f"dd if={DEV} bs=1M count={FILL // MIB} iflag=direct "
                    "status=none | md5sum", 120).split()[0]


def remote(c):
    """The node with the replica that is not on n1, and its store's UUID."""
    return next((c[r["node"]], r["store"])
                for r in volume(c.n1, NAME)["replica_list"]
                if r["node"] != "n1")


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


def home_again(c, owner=None):
    """Detach and attach on n1, with both stores compared in between."""
    detach(c, owner or c.n1)
    ctl(c.n1, f"volume attach {NAME}")
    ktap.check_eq("content", c.sum, content(c.n1))


def lose_replica(c, hurt, mend):
    """The replica's node gets lost under load and comes back."""
    node, store = remote(c)
    leader_to(c, node)
    before = record(c.n1, c.uuid)
    with load(c) as meter:
        hurt(node)
        wait_for(lambda: record(c.n1, c.uuid)["stores"][store]["state"]
                 == "stale", 30, "stale replica")
        # Missed writes: without them there is nothing to catch up with.
        writes = meter.writes()
        wait_for(lambda: meter.writes() > writes + 100, 30, "writes on n1")
        mend(node)
        shown = wait_insync(c.n1, NAME, 150)
    gap_parts(c.n1)
    check_gap(c, meter, store, before)
    check_copied(shown, store)
    home_again(c)


def gap_parts(node):
    """What the agent says the gap was made of."""
    lines = sh(node, f"grep ' left: ' {hcvcluster.AGENT_LOG} | tail -n 1")
    ktap.check("the agent tells the parts of the gap", lines)
    ktap.note(lines)


def check_gap(c, meter, store, before):
    ktap.check("gap below 5 s", meter.figures["gap_ms"] < c.gap_limit_ms,
               f"{meter.figures['gap_ms']} ms")
    if not ktap.check("a write waited", bool(meter.gaps)):
        return
    rec = max(meter.gaps, key=lambda gap: gap[0])[1]
    if not ktap.check("etcd has answered", rec):
        return
    ktap.check_eq("in etcd at the first write after the gap", "stale",
                  rec["stores"][store]["state"])
    ktap.check("v grew", rec["v"] > before["v"], f"{before} {rec}")


def check_copied(shown, store):
    link = next(r for r in shown["replica_list"] if r["store"] == store)
    copied = link.get("sync_copied", 0)
    ktap.note(f"copied {copied >> 10} KiB of "
              f"{shown['module']['used_bytes'] >> 10} used")
    ktap.check("something was copied", copied > 0, str(link))
    ktap.check("only what changed", copied <= FILL // 2, f"{copied} bytes")


def check_named(shown):
    """After an unclean stop the other store gets what the log names."""
    copied = sum(r.get("sync_copied", 0) for r in shown["replica_list"])
    named = shown["module"]["log_named_bytes"]
    ktap.note(f"copied {copied >> 10} KiB, named {named >> 10} KiB of "
              f"{shown['module']['used_bytes'] >> 10} used")
    ktap.check("what was named was copied", 0 < copied <= 2 * named,
               f"{copied} bytes")
    ktap.check("only what changed", copied <= FILL // 2, f"{copied} bytes")


def leader_to(c, node):
    """Make a node's etcd member the leader: losing that hurts most."""
    def member(of):
        return json.loads(sh(of, "curl -s -m 10 http://127.0.0.1:2379"
                                 "/v3/maintenance/status -d '{}'"))
    want = member(node)["header"]["member_id"]
    lead = member(node)["leader"]
    if lead == want:
        return
    for other in c.nodes:
        if member(other)["header"]["member_id"] == lead:
            sh(other, "curl -s -m 10 http://127.0.0.1:2379/v3/maintenance/"
                      f"transfer-leadership -d '{{\"targetID\": \"{want}\"}}'")
    wait_for(lambda: member(c.n1)["leader"] == want, 30, f"leader {node}")


# --- the replica's node

def test_power_cut(c):
    lose_replica(c, lambda node: node.power_cut("drop"),
                 lambda node: hcvcluster.return_node(c, node))


def test_frozen(c):
    def hurt(node):
        node.freeze()
        time.sleep(LIVE_S + 2)  # the time is the fault: longer than a lease
    lose_replica(c, hurt, lambda node: node.thaw())


def test_cut_off(c):
    lose_replica(c, lambda node: node.cut(), lambda node: node.heal())


def unnoticed(c, hurt):
    """Whatever hurt() does, no replica leaves and I/O goes on."""
    before = record(c.n1, c.uuid)
    with load(c) as meter:
        hurt(meter)
        shown = wait_insync(c.n1, NAME)
    # A write that waits for who is away would do so for AWAY_S.
    ktap.check("no gap", meter.figures["gap_ms"] < AWAY_S * 500,
               f"{meter.figures['gap_ms']} ms")
    ktap.check_eq("the record", before, record(c.n1, c.uuid))
    ktap.check_eq("health", "ok", shown["health"])


def test_replica_agent_killed(c):
    node, _store = remote(c)

    def hurt(meter):
        node.agent.kill(9)
        node.agent.wait(10)
        # Longer than the node's lease, so that the cluster takes it for dead.
        wait_for(lambda: not any(
            n["live"] for n in hcvcluster.ctl_json(c.n1, "node list")["nodes"]
            if n["name"] == node.name), 40, "the end of its lease")
        writes = meter.writes()
        wait_for(lambda: meter.writes() > writes + 100, 30, "writes on n1")
        hcvcluster.start_agent(node)
    unnoticed(c, hurt)


def test_etcd_without_quorum(c):
    def hurt(meter):
        for node in c.nodes[1:]:
            node.stop_etcd()
        time.sleep(AWAY_S)      # the time is the fault
        writes = meter.writes()
        wait_for(lambda: meter.writes() > writes + 100, 30, "writes on n1")
        for node in c.nodes[1:]:
            node.start_etcd(c.nodes, hcvcluster.ETCD_ARGS)
        for node in c.nodes:
            wait_for(node.etcd_healthy, 60, f"etcd on {node}", 0.5)
    unnoticed(c, hurt)


# --- the owner's node

def start_log(c):
    """flushlog on n1; what it has flushed is told to us here."""
    cmd = c.n1.spawn(f"exec {boot.helper('flushlog')} write {DEV} {LOG} "
                     f"{LOAD}")
    wait_for(lambda: flushed(cmd) > 200 or not cmd.running, 240, "flushes")
    return cmd


def flushed(cmd):
    """The number of the last block that has been flushed."""
    whole = cmd.out.rpartition("\n")[0]
    return int(whole.rpartition("\n")[2] or 0)


def check_log(node, cmd):
    """All that was flushed must be on the volume, which node has now."""
    last = flushed(cmd)
    done = node.run(f"{boot.helper('flushlog')} check {DEV} {LOG} {LOAD} "
                    f"{last}", timeout=120)
    ktap.note(f"flushed up to {last}: {done.out.strip()}")
    ktap.check("all that was flushed", done.rc == 0, done.out + done.err)
    return json.loads(done.out)["newest"]


def clear_log(c):
    """Have the next flushlog find nothing of an earlier one."""
    sh(c.n1, f"blkdiscard -z -o {LOG} -l {LOAD} {DEV}")


def try_attach(node):
    return node.run(f"agentctl --timeout 60 volume attach {NAME}", timeout=80)


def check_refused(node):
    """A volume is not taken from a node that lives."""
    done = try_attach(node)
    if not done.rc:
        raise RuntimeError(f"{node} got what n1 has, which is alive")
    ktap.check_eq("attach, the owner being alive", 4, done.rc)
    ktap.check_match("says why", "node n1, which is alive",
                     done.out + done.err)


def take_over(c, node):
    """Attach on another node once the owner's has lost its lease."""
    def taken():
        done = try_attach(node)
        if done.rc:
            ktap.note(f"{node}: {done.out}{done.err}")
        # Or when the attempt before was given up a moment too early.
        return not done.rc or "on this node already" in done.out + done.err

    wait_for(taken, 120, f"take-over by {node}", 1)
    ktap.check_eq("owner", node.name, volume(node, NAME)["owner"])
    ktap.check_eq("content", c.sum, content(node))


def test_owner_killed(c):
    node, _store = remote(c)
    # The log of another attachment: it names nothing of what is old.
    home_again(c)
    clear_log(c)
    cmd = start_log(c)
    check_refused(node)
    c.n1.power_cut("drop")
    take_over(c, node)
    check_log(node, cmd)
    hcvcluster.return_node(c, c.n1)
    check_named(wait_insync(node, NAME, 150))
    ktap.check("n1 does not have it", "module" not in volume(c.n1, NAME))
    check_log(node, cmd)
    home_again(c, node)


def test_owner_frozen(c):
    node = next(n for n in c.nodes if n not in (c.n1, remote(c)[0]))
    # As in owner_killed, and this case may be the first of a run.
    home_again(c)
    clear_log(c)
    cmd = start_log(c)
    c.n1.freeze()
    take_over(c, node)
    newest = check_log(node, cmd)
    c.n1.thaw()
    ktap.check("its writer fails", cmd.wait(60).rc != 0, cmd.err)
    wait_for(lambda: "module" not in volume(c.n1, NAME), 60,
             "end of the volume on n1")
    check_named(wait_insync(node, NAME, 150))
    ktap.check_eq("nothing came late", newest, check_log(node, cmd))
    home_again(c, node)


# --- in order

def test_two_attaches_at_once(c):
    detach(c, c.n1)
    commands = [node.spawn(f"agentctl --timeout 60 volume attach {NAME}")
                for node in c.nodes]
    codes = [command.wait(80).rc for command in commands]
    ktap.check_eq("one wins", [0, 4, 4], sorted(codes))
    winner = c.nodes[codes.index(0)]
    ktap.check_eq("owner", winner.name, volume(winner, NAME)["owner"])
    ktap.check_eq("content", c.sum, content(winner))
    home_again(c, winner)


def test_attach_while_an_old_one_goes(c):
    """What another node took is still here when it is given back."""
    node = remote(c)[0]
    home_again(c)
    c.n1.agent.kill(signal.SIGSTOP)
    try:
        ctl(node, f"volume attach {NAME} --takeover")
        ktap.check_eq("content", c.sum, content(node))
        # Without n1's agent its store does not come back to it.
        ctl(node, f"volume detach {NAME}")
        # It waits there before the agent has seen anything of that.
        attach = c.n1.spawn(f"agentctl --timeout 60 volume attach {NAME}")
        wait_for(lambda: c.n1.run("ps -C agentctl -o stat=").out.startswith(
            "S"), 30, "the command at the agent")
    finally:
        c.n1.agent.kill(signal.SIGCONT)
    done = attach.wait(80)
    ktap.check("attach", not done.rc, attach.out + attach.err)
    ktap.check_eq("content", c.sum, content(c.n1))
    wait_insync(c.n1, NAME, 150)


def test_planned_move(c):
    clear_log(c)
    cmd = start_log(c)
    cmd.kill()
    cmd.wait(30)
    for node in c.nodes[1:]:
        detach(c, c.n1)
        ctl(node, f"volume attach {NAME}")
        ktap.check_eq("content", c.sum, content(node))
        check_log(node, cmd)
        home_again(c, node)


def cases():
    """All; on instrumented kernels, where each takes minutes, every other."""
    names = [name for name in globals() if name.startswith("test_")]
    return {name: explained(globals()[name])
            for name in hcvtest.sampled(names, 2)}


def explained(case):
    """A case that, should it fail, says how the nodes were at that time.

    Those that follow find all nodes and agents again.
    """
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
            raise
    return run


if __name__ == "__main__":
    ktap.main(cases(), ready(), parts=2)
