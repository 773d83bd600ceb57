#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: host
# KVER: 6.1
# TAGS: fast
"""The failure scenes' steps, on nodes that are none: commands are answered
here, a volume is a file of the machine, and only the checker is real.
"""

import contextlib
import importlib.machinery
import os
import signal
import subprocess
import sys
import tempfile
import threading
import types
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import boot
import hcvcluster
import hcvfailures
import hcvscene
import ktap
import vm

BYTES = hcvfailures.BLOCKS * 4096


class Process:
    """A program of this machine, as one of a node."""

    def __init__(self, node, text, sink):
        self.node, self.text, self.err, self.rc = node, text, "", None
        self.process = subprocess.Popen(
            ["sh", "-c", text], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True)
        self.thread = threading.Thread(target=self._read, args=(sink,))
        self.thread.start()

    def _read(self, sink):
        while data := self.process.stdout.read1(65536):
            if sink:
                sink(6, data)
        self.process.stdout.close()

    @property
    def running(self):
        return self.process.poll() is None

    def kill(self, signo=signal.SIGTERM):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signo)

    def end(self):
        """Nothing of it lands later, as when a gate has been drained."""
        self.kill(signal.SIGKILL)
        self.process.wait(60)

    def wait(self, limit):
        code = self.process.wait(limit)
        self.thread.join()
        if self.rc is None:
            self.rc = 128 - code if code < 0 else code
        return vm.Result(self.rc, "", "")


class Node:
    """Knows what was done to it, and refuses what makes no sense."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.state, self.alive = "running", True
        self.rundir = world.folder / name
        self.rundir.mkdir()
        self.processes = []
        self.agent = types.SimpleNamespace(
            running=True, kill=self._agent_kill, wait=lambda limit: None)
        self.console = types.SimpleNamespace(text=lambda: "")
        self.away = set()       # "cut", "disk", "etcd", "agent", "slow"

    def __str__(self):
        return self.name

    def _agent_kill(self, signo):
        self.need("running")
        if signo == signal.SIGCONT:
            self.away.discard("agent")
        else:
            self.away.add("agent")
        self.agent.running = signo != signal.SIGKILL

    def need(self, state):
        if self.state != state:
            raise vm.TestbedError(f"{self} is {self.state}, not {state}")

    def spawn(self, text, sink=None):
        self.need("running")
        if "agentctl" in text or ":2379/" in text:
            self.world.command(self, text)
            text = "true"
        process = Process(self, text, sink)
        self.processes.append(process)
        return process

    def run(self, text, timeout=60, check=False):
        self.need("running")
        rc, out = self.world.command(self, text)
        if rc and check:
            raise vm.CommandFailed(f"{self}: {text}: {out}")
        return vm.Result(rc, out, "")

    def out(self, text):
        return self.run(text, check=True).out

    # --- what is done to it

    def _end(self):
        for process in self.processes:
            process.end()
        self.state, self.alive = "killed", False
        self.agent.running = False

    def kill(self):
        self._end()

    def power_cut(self, _how, _seed):
        self._end()

    def start(self):
        self.need("killed")
        self.state, self.alive = "running", True

    def freeze(self):
        self.need("running")
        self.state = "frozen"
        for process in self.processes:
            process.kill(signal.SIGSTOP)

    def thaw(self):
        self.need("frozen")
        self.state = "running"
        for process in self.processes:
            process.kill(signal.SIGCONT)

    def cut(self):
        self.away.add("cut")

    def cut_to(self, _other):
        self.need("running")
        self.away.add("cut-to")

    def delay(self, *_how):
        self.need("running")
        self.away.add("slow")

    def heal(self):
        self.away -= {"cut", "cut-to", "slow"}

    def disk_hold(self, _index, hold=True):
        (self.away.add if hold else self.away.discard)("disk")

    def disk_lie(self, _index, lie=True):
        (self.away.add if lie else self.away.discard)("disk")

    def disk_fail(self, _index, what):
        (self.away.discard if what == "none" else self.away.add)("disk")

    def start_etcd(self, _nodes, _args):
        self.need("running")
        self.away.discard("etcd")

    def etcd_healthy(self):
        return self.state == "running" and "etcd" not in self.away


class World:
    """Three nodes and one volume; what agents and etcd would say."""

    def __init__(self, folder):
        self.folder = folder
        self.image = folder / "volume"
        self.differ = folder / "differ"
        self.nodes = [Node(self, f"n{i}") for i in (1, 2, 3)]
        self.owner = None
        self.size = 0
        self.sync = "insync"
        self.holders = ["n1", "n2"]
        self.drains = ""        # a node, while its replica moves to n3
        self.last_owner = None  # as its record has it
        self.handovers = 0
        self.said = []
        self.tamper = None
        self.reloaded = []

    def __getitem__(self, name):
        return next(n for n in self.nodes if n.name == name)

    def each(self, action, nodes=None):
        return [action(node) for node in list(nodes or self.nodes)]

    def cut_link(self, one, other):
        one.cut_to(other)
        other.cut_to(one)

    def partition(self, *groups):
        for group in groups:
            for node in group:
                node.cut()

    def heal(self):
        for node in self.nodes:
            node.heal()

    def faults(self):
        return []

    def finish(self):
        ktap.check_eq("nothing is left", {}, {
            str(n): n.away for n in self.nodes if n.away})

    def close(self):
        for node in self.nodes:
            node.kill()

    # --- commands

    def command(self, node, text):
        self.said.append(f"{node}: {text}")
        for word in ("create", "attach", "detach", "resize", "delete",
                     "handover", "set"):
            if f"volume {word} " in text:
                return getattr(self, word)(node, text)
        if "store drain" in text:
            self.drains = text.split()[-1].partition("-")[0]
        if "recovery jobs" in text:
            return 0, '{"jobs": []}'
        if "kill -" in text and "etcd.pid" in text:
            (node.away.discard if "CONT" in text else node.away.add)("etcd")
        if "maintenance/status" in text:
            return 0, '{"leader": "1", "header": {"member_id": "1"}}'
        if "node list" in text:
            return 0, '{"nodes": [{"live": true}]}'
        if "blockdev" in text:
            return 0, str(self.size)
        if "volume list" in text:
            return 0, '{"volumes": []}' if not self.size else \
                f'{{"volumes": ["{self.size}"]}}'
        return 0, "60"

    def create(self, _node, text):
        self.size = int(text.split()[-3])
        with open(self.image, "wb") as image:
            image.truncate(BYTES)
        self.holders, self.drains = ["n1", "n2"], ""
        return 0, ""

    def set(self, _node, text):
        """A copy is made as soon as it may be."""
        if self.drains and f"sync-kibps={hcvfailures.FULL_KIBPS}" in text:
            self.holders.remove(self.drains)
            self.holders.append("n3")
            self.drains = ""
        return 0, ""

    def attach(self, node, _text):
        old = self.owner
        if old is node:
            return 4, "it is attached on this node already"
        if old and old.state == "running" and "cut" not in old.away:
            return 4, f"it is attached on node {old}, which is alive"
        return self._serve(node)

    def handover(self, _node, text):
        """It comes to the end before the fault does, or not at all."""
        self.handovers += 1
        if self.handovers % 2:
            return self._serve(self[text.split()[-1]])
        return 3, "the target cannot prepare"

    def _serve(self, node):
        if self.owner:
            # As the gate would: nothing of it comes any more.
            for process in self.owner.processes:
                process.end()
        if self.tamper:
            self.tamper(self.image)
        self.owner = self.last_owner = node
        return 0, ""

    def detach(self, _node, _text):
        self.owner = None
        return 0, ""

    def resize(self, _node, text):
        self.size = int(text.split()[-1])
        return 0, ""

    def delete(self, _node, _text):
        self.size = 0
        return 0, ""

    # --- in place of hcvcluster's

    def start_node(self, node):
        node.need("running")
        node.agent.running = True
        node.away.discard("agent")
        if self.owner is node:
            self.owner = None

    def start_agent(self, node):
        node.agent.running = True
        node.away.discard("agent")

    def stop_nodes(self, nodes):
        self.reloaded += [str(node) for node in nodes]

    def volume(self, node, _name):
        shown = {"uuid": "u", "size": self.size, "replica_list": [
            {"node": name, "state": "insync", "live": True}
            for name in self.holders], "owner": str(self.last_owner)}
        return shown | ({"module": {"state": "active"}}
                        if self.owner is node else {})

    @staticmethod
    def record(_node, _uuid):
        return {"phase": "serving"}

    def replicas(self, _node, _name):
        if self.drains:
            return {"n1": "insync", "n2": "insync", "n3": "syncing"}
        # As begin_recovery() waits for them, one after the other.
        want = {"insync": "stale", "stale": "syncing"}
        now, self.sync = self.sync, want.get(self.sync, "insync")
        return {"n1": now, "n2": now}


@contextlib.contextmanager
def rig(tamper=None):
    """A Rig on a World."""
    saved = [(module, name, getattr(module, name)) for module, names in (
        (hcvcluster, ("start_node", "start_agent", "stop_nodes", "volume",
                      "record", "replicas", "wait_insync", "explain",
                      "device")),
        (hcvfailures, ("INSPECT", "LINES", "LIVE_S", "AWAY_S"))
        ) for name in names]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        world = World(Path(folder))
        world.tamper = tamper
        inspect = world.folder / "inspect"
        inspect.write_text(
            f"#!/bin/sh\ncase $1 in check) [ ! -e {world.differ} ];;\n"
            f"read) cat {world.image};; esac\n")
        inspect.chmod(0o755)
        for name in ("start_node", "start_agent", "stop_nodes", "volume",
                     "record", "replicas"):
            setattr(hcvcluster, name, getattr(world, name))
        hcvcluster.wait_insync = lambda node, name, limit=0: \
            world.volume(node, name)
        hcvcluster.explain = str
        hcvcluster.device = lambda name: world.image
        hcvfailures.INSPECT = inspect
        hcvfailures.LINES = 20
        hcvfailures.LIVE_S = hcvfailures.AWAY_S = -1.9
        time_sleep = hcvfailures.time.sleep
        hcvfailures.time.sleep = lambda s: time_sleep(max(0, s))
        with hcvfailures.Rig("6.1", world.folder / "logs") as a_rig:
            a_rig.boot = lambda: setattr(a_rig, "c", a_rig.c or world)
            try:
                yield a_rig, world
            finally:
                world.close()
                hcvfailures.time.sleep = time_sleep
                for module, name, value in saved:
                    setattr(module, name, value)


def patch(image, block, data):
    with open(image, "r+b") as file:
        file.seek(block * 4096)
        file.write(data)
        os.fsync(file.fileno())


def mended(world):
    """All nodes are as before."""
    return all(node.state == "running" and node.agent.running
               and not node.away for node in world.nodes)


def test_scenes():
    """Each kind of step comes up; all of them with HCV_ALL."""
    chosen = hcvscene.select(hcvscene.scenes(),
                             1 if os.environ.get("HCV_ALL") else 5, 4)
    with rig() as (a_rig, world):
        for number, scene in enumerate(chosen):
            result = a_rig.run(scene, number)
            if not ktap.check_eq(scene.name, "", result.why):
                ktap.note("\n".join(world.said[-12:]))
                break
            ktap.check(f"{scene.name}: mended", mended(world))
            ktap.check_eq(f"{scene.name}: deleted", 0, world.size)
            latched = any(f.kind == "disk" and f.how != "hang"
                          for f in scene.faults)
            ktap.check_eq(f"{scene.name}: stores opened anew", latched,
                          bool(world.reloaded))
            world.reloaded.clear()
            if "take-over" in result.detail:
                ktap.check_eq(scene.name, "take-over",
                              hcvscene.outcome(scene).how)
        ktap.check_eq("end", "", a_rig.end())


def test_random_scenes():
    with rig() as (a_rig, world):
        for number, scene in hcvscene.random_scenes(1):
            if number >= 12:
                break
            result = a_rig.run(scene, number)
            ktap.check_eq(scene.name, "", result.why)
            ktap.check(f"{scene.name}: mended", mended(world))


def reliability(world, a_rig):
    """selftests/failures/reliability on that world: its module."""
    path = Path(__file__).resolve().parents[1] / "failures/reliability"
    loader = importlib.machinery.SourceFileLoader("reliability", str(path))
    module = types.ModuleType(loader.name)
    module.__file__ = str(path)
    loader.exec_module(module)
    module.boot = types.SimpleNamespace(BUILD=world.folder)
    hcvfailures.Rig, saved = lambda *_: contextlib.nullcontext(a_rig), \
        hcvfailures.Rig
    try:
        yield module
    finally:
        hcvfailures.Rig = saved


def measured(tamper=None):
    """What it measures in two rounds of all."""
    with rig(tamper) as (a_rig, world), contextlib.contextmanager(
            reliability)(world, a_rig) as module:
        args = types.SimpleNamespace(kver="6.1", rounds=2, seed=1)
        return module.measure(args, module.SERIES), world.said


def test_reliability():
    out, said = measured()
    if not ktap.check_eq("well", "", out["why"]):
        ktap.note("\n".join(said[-12:]))
    for name, found in out["series"].items():
        ktap.check_eq(f"{name}: rounds", 2, len(found))
        ktap.check(f"{name}: took a time", all(f["ms"] > 0 for f in found))
        if "owner" not in name.split("-")[0] and "split" not in name:
            ktap.check(f"{name}: changed", all(f["changed"] for f in found))


def test_reliability_loses():
    """A volume that comes back empty is no figure."""
    def empty(image):
        with open(image, "r+b") as file:
            file.write(bytes(BYTES))

    out, _said = measured(empty)
    ktap.check_match("why", "Lost: the checker", out["why"])


def test_a_loss_is_told():
    """A volume that comes back empty fails the scene, and a new cluster
    follows."""
    def empty(image):
        with open(image, "r+b") as file:
            file.write(bytes(BYTES))

    with rig() as (a_rig, world):
        ktap.check_eq("before", "", a_rig.run(
            hcvscene.parse("steady replica-kill"), 1).why)
        world.tamper = empty
        result = a_rig.run(hcvscene.parse("flush owner-kill"), 1)
        ktap.check_match("why", "the checker: lost", result.why)
        ktap.check("no cluster is left", a_rig.c is None)
        folder = world.folder / "logs/flush+owner-kill"
        ktap.check("the logs are", list(folder.glob("logs/log-*")))
        ktap.check_in("and why", '"lost"',
                      (folder / "explain.txt").read_text())


def test_an_agent_that_cannot_say_yet():
    """It is asked again; one that never can is named with what it said."""
    answers = [vm.CommandFailed("not read yet"), None, "whole"]

    def ask():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer
    ktap.check_eq("asked", "whole", hcvfailures.eventually(ask, 1, "answer"))

    def never():
        raise vm.CommandFailed("not read yet")
    wait = hcvfailures.wait_for

    def wait_briefly(cond, _limit, what, _interval):
        for _ in range(3):
            if cond():
                return
        raise vm.TimedOut(f"no {what}")
    hcvfailures.wait_for = wait_briefly
    try:
        why = ktap.check_raises(
            "never", hcvfailures.Wrong,
            lambda: hcvfailures.eventually(never, 1, "answer"))
    finally:
        hcvfailures.wait_for = wait
    ktap.check_match("why", "no answer not read yet", why)


def test_where_a_block_lies():
    """By what hcivol-inspect says of a store."""
    said = {"super": {"data_off": 1 << 20}, "pages": {"extents": [
        {"at": 3, "pages": [{"page": 0}, {"page": 1, "records": [
            {"slot": 40, "mib": 1, "data": 0}, {"slot": 41, "mib": 2,
                                                "data": 9},
            {"slot": 42, "mib": 1, "data": 7}]}]}]}}
    stores = hcvfailures.Stores({}, {"uuid": "u", "replica_list": []}, None)
    stores._inspect = lambda word, *_words: said[word]
    ktap.check_eq("offset", (1 << 20) + (3 << 28) + (42 << 20) + 5 * 4096,
                  stores.offset("image", 256 + 5))
    ktap.check_raises("none", vm.TestbedError,
                      lambda: stores.offset("image", 0))


def test_a_gap_is_told():
    with rig() as (a_rig, _world):
        a_rig.quiet_ms = -1e6
        saved = hcvscene.GAP_MS
        hcvscene.GAP_MS = 0.001
        try:
            result = a_rig.run(hcvscene.parse("steady third-kill"), 1)
        finally:
            hcvscene.GAP_MS = saved
        ktap.check_match("why", r"io: \d+ ms, the limit is 0 ms", result.why)


def test_errors_are_told():
    verdict = {"sessions": [{"session": 1, "errors": 3},
                            {"session": 2, "errors": 0}]}
    for name, superseded, want in (
            ("steady third-kill", set(), "I/O failed, in sessions {1: 3}"),
            ("steady owner-freeze", {1}, ""),
            ("steady owner-freeze", {2}, "I/O failed, in sessions {1: 3}"),
            # Its own disk refuses, and nobody else has the data.
            ("steady owner-disk-error replica-kill", set(), "")):
        scene = hcvscene.parse(name)
        play = types.SimpleNamespace(
            scene=scene, outcome=hcvscene.outcome(scene),
            superseded=superseded)
        try:
            hcvfailures.Play.judge_errors(play, verdict)
            ktap.check_eq(name, want, "")
        except hcvfailures.Wrong as why:
            ktap.check_eq(name, want, str(why))


def test_quiet_machine():
    with rig() as (a_rig, world):
        a_rig.c = world
        saved = hcvfailures.hcvchecker.STEADY
        hcvfailures.hcvchecker.STEADY = hcvfailures.hcvchecker.Profile(
            think_ms=1)
        overwrite = hcvfailures.Stores.overwrite

        def overwrite_one_volume(stores, images, block, data):
            world.differ.unlink(missing_ok=True)
            if len(images) == 1:
                world.differ.touch()
            patch(world.image, block, data)
        hcvfailures.Stores.overwrite = overwrite_one_volume
        try:
            quiet = a_rig.measure()
            hcvfailures.Stores.overwrite = lambda *_args: None
            why = ktap.check_raises("tampering that is none",
                                    vm.TestbedError, a_rig.measure)
            ktap.check_match("what is said", "is old, check says ''", why)
            world.detach(None, "")
            world.delete(None, "")
        finally:
            hcvfailures.hcvchecker.STEADY = saved
            hcvfailures.Stores.overwrite = overwrite
        ktap.check("a time", 0 < quiet < 60000, str(quiet))
        ktap.check_eq("nothing is left", (0, None), (world.size, world.owner))


if __name__ == "__main__":
    boot.helper("ckwrite")
    ktap.main(globals())
