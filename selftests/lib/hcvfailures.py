# SPDX-License-Identifier: GPL-2.0-only
"""Runs scenes (hcvscene.py) on a cluster, with the checker looking on.

    with Rig("6.1", folder) as rig:
        result = rig.run(hcvscene.parse("steady replica-kill"), seed=1)

Each scene has a volume of its own, which is created, attached, written, hurt,
mended, detached, compared replica by replica and deleted. Before the next one
all nodes, agents and members of etcd run again.
"""

import contextlib
import dataclasses
import json
import os
import random
import signal
import subprocess
import time

import boot
import cluster
import console
import hcvchecker
import hcvcluster
import hcvscene
from hcvcluster import ctl, ctl_json, sh
from vm import CommandFailed, GuestDied, TestbedError, TimedOut, wait_for

MIB = 1 << 20
EXTENT = 256 * MIB
SIZE = 256 * MIB        # one extent, so that there are two stores
DIV = int(os.environ.get("HCV_SIZE_DIV", "1"))
BLOCKS = max(512, 2048 // DIV)
LIVE_S = 10             # lease of a node in etcd
AWAY_S = 6              # above the lease of I/O
QUIET_S = 5             # of I/O without a fault
LINES = 60              # of a log: so much I/O means that it goes on
SLOW = (100, 50, 1)     # ms, +- ms, percent lost
SYNC_KIBPS = 64         # a resync that lasts
FULL_KIBPS = 4096       # any other: a slow machine has to do I/O as well
HUNG_TASK = "/proc/sys/kernel/hung_task_timeout_secs"
INSPECT = boot.TREE / "build/bin/hcivol-inspect"
PROFILES = {"flush": hcvchecker.FLUSHES}

# etcd's past goes, and with it what watches may still want to see.
COMPACT = r"""
while :; do
	rev=$(curl -s -m 5 http://127.0.0.1:2379/v3/kv/range \
		-d '{"key":"AA=="}' | sed 's/.*"revision":"\([0-9]*\)".*/\1/')
	curl -s -m 5 http://127.0.0.1:2379/v3/kv/compaction \
		-d "{\"revision\":\"$rev\",\"physical\":true}" > /dev/null
	curl -s -m 5 http://127.0.0.1:2379/v3/maintenance/defragment \
		-d '{}' > /dev/null
	sleep 2
done
"""


class Wrong(Exception):
    """What a scene showed that may not be."""


class Lost(Wrong):
    """Data are not what they must be."""


@dataclasses.dataclass
class Result:
    """How a scene ended; why is "" if it is well."""

    name: str
    why: str = ""
    detail: str = ""
    seconds: float = 0.0
    seed: int = 0
    lost: bool = False


def noticed(kind, verdict):
    """What was done must be told as this kind of a fault."""
    if kind not in verdict:
        raise TestbedError(f"not noticed, no '{kind}': {verdict}")
    print(f"# noticed: {verdict['texts'][0]}", flush=True)


def eventually(cond, limit, what):
    """Wait for a condition; an agent that cannot say it yet is asked again."""
    said = [None]

    def tried():
        try:
            return cond()
        except CommandFailed as error:
            said[0] = error
            return None
    try:
        return wait_for(tried, limit, what, 0.3)
    except TimedOut as error:
        raise Wrong(f"{error} {said[0] or ''}") from None


def etcd_post(node, path, body="{}"):
    """What a node's member answers; a shell starts sooner than curl does."""
    request = f"POST /v3/{path} HTTP/1.0\\r\\nContent-Length: " \
        f"{len(body)}\\r\\n\\r\\n"
    text = sh(node, "timeout 10 bash -c 'exec 3<>/dev/tcp/127.0.0.1/2379 && "
                    "printf \"$0%s\" \"$1\" >&3 && cat <&3' "
                    f"'{request}' '{body}'")
    return json.loads(text[text.index("{"):])


def leader_to(c, node):
    """Have the etcd member of a node lead."""
    members = {}    # of nodes that were asked

    def state(of):
        told = etcd_post(of, "maintenance/status")
        members[told["header"]["member_id"]] = of
        return told["header"]["member_id"], told["leader"]

    def leads():
        # Between two leaders there is none, and errors are the answer.
        with contextlib.suppress(LookupError, ValueError, TestbedError):
            want, lead = state(node)
            for other in c.nodes:
                if lead not in members and other is not node:
                    state(other)
            if lead == want:
                return True
            etcd_post(members[lead], "maintenance/transfer-leadership",
                      f'{{"targetID": "{want}"}}')
        return False
    wait_for(leads, 60, f"etcd's leader on {node}", 0.5)


class Stores:
    """What a volume left on its stores, looked at from outside."""

    def __init__(self, c, shown, folder):
        self.images = [c[r["node"]].rundir / "data0.img"
                       for r in shown["replica_list"]]
        self.uuid, self.folder = shown["uuid"], folder

    @staticmethod
    def _inspect(*words):
        return json.loads(subprocess.run(
            [INSPECT, *words, "--json"], check=True,
            stdout=subprocess.PIPE).stdout)

    def check(self):
        """Why the stores are not consistent and equal; "" if they are."""
        done = subprocess.run([INSPECT, "check", "--data", *self.images],
                              check=False, text=True, capture_output=True)
        if not done.returncode:
            return ""
        return (done.stdout + done.stderr)[-2000:] or f"{done.returncode}"

    def contents(self, apart=True):
        """Files with what each replica holds of the area.

        What a store lacks reads as zeroes: apart only if each has all.
        """
        files = []
        alone = [[image] for image in self.images] if apart else []
        for number, chosen in enumerate(alone + [self.images]):
            path = self.folder / f"content-{number}"
            with open(path, "wb") as out:
                done = subprocess.run(
                    [INSPECT, "read", *chosen, "--volume", self.uuid,
                     "--length", str(BLOCKS * hcvchecker.BLOCK)],
                    check=False, stdout=out, stderr=subprocess.PIPE)
            if done.returncode:
                raise Wrong(f"{chosen}: {done.stderr.decode()}")
            os.truncate(path, BLOCKS * hcvchecker.BLOCK)
            files.append(path)
        return files

    def offset(self, image, block):
        """Where a block of the volume lies in a store, in bytes."""
        data = self._inspect("super", image)["data_off"]
        mib, inside = divmod(block * hcvchecker.BLOCK, MIB)
        for extent in self._inspect("pages", image, "--volume",
                                    self.uuid)["extents"]:
            for page in extent["pages"]:
                for record in page.get("records", ()):
                    if record["mib"] == mib and record["data"]:
                        return data + extent["at"] * EXTENT + \
                            record["slot"] * MIB + inside
        raise TestbedError(f"{image}: no block {block}")

    def overwrite(self, images, block, data):
        """Put something else in place of a block, behind everybody's back."""
        for image in images:
            with open(image, "r+b") as file:
                file.seek(self.offset(image, block))
                file.write(data)


class Nodes:
    """Hurts nodes and mends them again."""

    def __init__(self, c):
        self.c = c
        self.dead = set()
        self.frozen = set()
        self.agents = {}        # node: how it was hurt
        self.members = {}
        self.disks = {}
        self.latched = set()    # nodes whose store is to be opened anew

    def hurt(self, fault, who, rnd):
        """Make a fault come true; who: nodes for its roles."""
        getattr(self, f"_{fault.kind}")(fault, who, rnd)

    def _node(self, fault, who, rnd):
        node = who[0]
        if fault.how == "freeze":
            node.freeze()
            self.frozen.add(node)
            return
        if fault.how == "kill":
            node.kill()
        else:
            node.power_cut(fault.how, rnd.randrange(1 << 31))
        self.dead.add(node)

    def _all(self, fault, who, rnd):
        # At once: what a cut keeps is decided when all are dark.
        self.c.each(lambda node: node.kill(), who)
        how = {"lie": "drop"}.get(fault.how, fault.how)
        for node in who:
            if how != "kill":
                node.power_cut(how, rnd.randrange(1 << 31))
            node.disk_lie(0, False)
            self.dead.add(node)

    def _agent(self, fault, who, _rnd):
        node = who[0]
        if fault.how == "kill":
            node.agent.kill(signal.SIGKILL)
            node.agent.wait(30)
        else:
            node.agent.kill(signal.SIGSTOP)
        self.agents[node] = fault.how

    def _etcd(self, fault, who, _rnd):
        signo = "KILL" if fault.how == "kill" else "STOP"
        for node in who:
            sh(node, f"kill -{signo} $(cat /run/etcd.pid)")
            self.members[node] = fault.how

    def _disk(self, fault, who, _rnd):
        node = who[0]
        if fault.how == "hang":
            node.disk_hold(0)
        else:
            node.disk_fail(0, {"error": "all", "write-error": "write"}
                           [fault.how])
            self.latched.add(node)
        self.disks[node] = fault.how

    def _link(self, _fault, who, _rnd):
        self.c.cut_link(*who)

    def _oneway(self, _fault, who, _rnd):
        who[0].cut_to(who[1])

    def _slow(self, _fault, who, _rnd):
        who[0].delay(*SLOW)

    def _split(self, _fault, who, _rnd):
        if len(who) == 1:
            who[0].cut()
        else:
            self.c.partition(*([node] for node in who))

    def mend(self):
        """All nodes, agents, members, disks and links work again.

        But stores that gave an error are out of use until reload().
        """
        for node, how in self.disks.items():
            if how == "hang":
                node.disk_hold(0, False)
            else:
                node.disk_fail(0, "none")
        self.disks.clear()
        self.c.heal()
        for node in self.frozen:
            node.thaw()
        # Whoever was frozen could not be told.
        if self.frozen:
            self.c.heal()
        self.frozen.clear()
        self._mend_etcd()
        for node, how in self.agents.items():
            if node in self.dead:
                continue
            if how == "freeze":
                node.agent.kill(signal.SIGCONT)
            else:
                hcvcluster.start_agent(node)
        self.agents.clear()
        if self.dead:
            self.c.each(hcvcluster.start_node, self.dead)
        # One that answers has not read the metadata store yet.
        for node in self.c.nodes:
            eventually(lambda node=node: not node.run(
                "agentctl volume list").rc, 60, f"an agent on {node} that has "
                "read the metadata store")
        # What died has opened its stores anew.
        self.latched -= self.dead
        self.dead.clear()

    def _mend_etcd(self):
        if self.dead:
            self.c.each(lambda node: node.start(), self.dead)
        for node, how in self.members.items():
            if node in self.dead:
                continue
            if how == "freeze":
                sh(node, "kill -CONT $(cat /run/etcd.pid)")
            else:
                node.start_etcd(self.c.nodes, hcvcluster.ETCD_ARGS)
        for node in self.dead:
            node.start_etcd(self.c.nodes, hcvcluster.ETCD_ARGS)
        self.members.clear()
        for node in self.c.nodes:
            wait_for(node.etcd_healthy, 60, f"etcd on {node}", 0.5)

    def reload(self):
        """Open stores anew that gave an error; no volume may be attached."""
        for node in self.latched:
            hcvcluster.stop_nodes([node])
            sh(node, "rmmod hcivol")
            hcvcluster.start_node(node)
        self.latched.clear()


class Play:
    """One scene on a cluster."""

    def __init__(self, rig, scene, seed, folder):
        self.c, self.scene, self.seed = rig.c, scene, seed
        self.rig, self.nodes = rig, Nodes(rig.c)
        self.rnd = random.Random(f"{seed} {scene.name}")
        self.outcome = hcvscene.outcome(scene)
        self.history = hcvchecker.History(folder / "logs", 0, BLOCKS)
        self.folder = folder
        self.name = f"v{rig.next_number()}"
        self.device = hcvcluster.device(self.name)
        self.roles = {}
        self.loads = []         # still running, or to be judged
        self.quiet = set()      # sessions whose gap counts
        self.superseded = set() # sessions whose I/O may fail
        self.take_over_ms = None
        self.quiet_ms = rig.quiet_ms
        self.well = 0           # the load's log is without a fault from here
        self.steps = []         # [name, seconds]
        self.beside = []        # commands that run along
        self.uuid = None
        self.detail = ""
        self.ended = ""         # of a hand-over
        self.hung_task = ""     # what it was, if it was changed

    def __str__(self):
        roles = " ".join(f"{role}={node}" for role, node in
                         self.roles.items())
        return f"{self.scene.name} [{roles} seed={self.seed}]"

    # --- the volume

    def create(self):
        """A volume of two stores, attached nowhere; and who has which role."""
        first = self.c.nodes[0] if self.rig.kver == "debug" else \
            self.rnd.choice(self.c.nodes)
        eventually(lambda: all(node["live"] for node in
                               ctl_json(first, "node list")["nodes"]), 60,
                   "leases of all nodes")
        ctl(first, f"volume create {self.name} {SIZE} --replicas 2")
        ctl(first, f"volume set {self.name} sync-kibps={FULL_KIBPS}")
        shown = hcvcluster.volume(first, self.name)
        self.uuid = shown["uuid"]
        holders = sorted({r["node"] for r in shown["replica_list"]})
        if len(holders) != 2:
            raise TestbedError(f"{self.name} has replicas on {holders}")
        owner = first if first.name in holders else self.c[holders[0]]
        other = next(self.c[name] for name in holders
                     if name != owner.name)
        self.roles = {"owner": owner, "replica": other, "third": next(
            node for node in self.c.nodes if node not in (owner, other))}

    def try_attach(self, node):
        """Attach and write; returns a Result, and ms until the first I/O."""
        begin = time.monotonic()
        done = node.run(
            f"agentctl --timeout 60 volume attach {self.name} && "
            f"dd if={self.device} of=/dev/null bs=4k count=1 iflag=direct "
            "status=none", timeout=90)
        return done, (time.monotonic() - begin) * 1000

    def attach(self, node, limit=120):
        """Attach on a node as soon as it may; returns ms of what succeeded."""
        took = []

        def attached():
            done, ms = self.try_attach(node)
            text = done.out + done.err
            took[:] = [ms, text]
            # Or when the attempt before was given up a moment too early.
            return not done.rc or "on this node already" in text
        try:
            wait_for(attached, limit, f"attach on {node}", 1)
        except TestbedError as error:
            raise Wrong(f"{error}: {took[1] if took else ''}") from None
        self.history.attached()
        return took[0]

    def load(self, node):
        """Start a load and wait until it runs."""
        profile = PROFILES.get(self.scene.activity, hcvchecker.STEADY)
        program = self.history.load(node, self.device,
                                    self.rnd.randrange(1 << 31), profile)
        self.loads.append(program)
        self.goes_on(program, "the load")
        return program

    def goes_on(self, program, what, limit=60):
        """I/O is made, beginning now."""
        before = program.lines
        wait_for(lambda: program.lines > before + LINES or
                 not program.command.running, limit, f"I/O of {what}")
        if not program.command.running:
            raise Wrong(f"{what} ended: {program.command.rc} "
                        f"{program.command.err}")

    # --- what goes on

    def before(self):
        """What an activity needs before anything fails."""
        owner = self.roles["owner"]
        self.attach(owner)
        self.quiet.add(self.history.session)
        program = self.load(owner)
        if self.scene.activity == "attach":
            self.stop(program)
            ctl(owner, f"volume detach {self.name}")
            self.history.detached()
            self.quiet.clear()
        elif self.scene.activity == "recovery":
            self.begin_recovery(owner)
        elif self.scene.activity == "drain":
            self.begin_drain(owner)

    def begin_recovery(self, owner):
        """Have the other replica miss writes, and a resync begin."""
        ctl(owner, f"volume set {self.name} sync-kibps={SYNC_KIBPS}")
        self.state_becomes("insync")
        self.roles["replica"].cut()
        self.state_becomes("stale")
        self.goes_on(self.loads[-1], "the load without the replica")
        self.roles["replica"].heal()
        self.state_becomes("syncing")

    def begin_drain(self, owner):
        """Have the other replica move to the third node."""
        third = self.roles["third"]
        self.state_becomes("insync")
        ctl(owner, f"volume set {self.name} sync-kibps={SYNC_KIBPS}")
        ctl(owner, f"store drain {self.roles['replica']}-s1")
        eventually(lambda: hcvcluster.replicas(owner, self.name)
                   .get(third.name) == "syncing", 90, f"a copy on {third}")

    def drained(self, node):
        """Wait until it has moved; returns volume show."""
        want = {self.roles[role].name: "insync" for role in ("owner", "third")}

        def moved():
            shown = hcvcluster.volume(node, self.name)
            return shown if {r["node"]: r["state"] for r in
                             shown["replica_list"]} == want and \
                not ctl_json(node, "recovery jobs")["jobs"] else None
        shown = eventually(moved, 240, "replica on the third node")
        ctl(node, f"store undrain {self.roles['replica']}-s1")
        return shown

    def insync(self, node):
        """Wait until all replicas are; returns volume show."""
        def whole():
            shown = hcvcluster.volume(node, self.name)
            return shown if all(r["state"] == "insync" and r["live"] for r in
                                shown["replica_list"]) else None
        return eventually(whole, 240, "in-sync replicas")

    def state_becomes(self, want):
        owner, other = self.roles["owner"], self.roles["replica"]
        eventually(lambda: hcvcluster.replicas(owner, self.name)
                   .get(other.name) == want, 90, f"{want} replica")

    def begin(self):
        """Begin what the faults are to meet."""
        owner = self.roles["owner"]
        if self.scene.activity == "attach":
            self.beside.append(owner.spawn(
                f"agentctl --timeout 60 volume attach {self.name}"))
        elif self.scene.activity == "resize":
            self.beside.append(owner.spawn(
                f"agentctl --timeout 60 volume resize {self.name} "
                f"{2 * SIZE}"))
        elif self.scene.activity == "hand-over":
            to = self.roles[self.rnd.choice(("replica", "third"))]
            self.beside.append(owner.spawn(
                f"agentctl --timeout 60 volume handover {self.name} "
                f"--to {to}"))
            # How far it has come is the seed's choice.
            time.sleep(self.rnd.uniform(0, 2))
        elif self.scene.activity == "compaction":
            self.beside += [node.spawn(COMPACT) for node in self.c.nodes]

    def hurt(self):
        """All faults, one right after the other."""
        if self.loads:
            self.quiet_ms = max(self.quiet_ms,
                                self.loads[-1].worst_ms(self.well))
        if self.outcome.how == "waits" or self.scene.activity == "hand-over":
            # Who waits until a node has booted is not hung.
            owner = self.roles["owner"]
            self.hung_task = owner.out(f"cat {HUNG_TASK}; echo 600 > "
                                       f"{HUNG_TASK}")
        for fault in self.scene.faults:
            who = [self.roles[role] for role in fault.who]
            if fault.how == "lie":
                for node in who:
                    node.disk_lie(0)
                self.goes_on(self.loads[-1], "the load on disks that lie")
            self.nodes.hurt(fault, who, self.rnd)

    def hold(self):
        """The time is the fault: longer than the leases."""
        long = any(fault.how == "freeze" for fault in self.scene.faults)
        time.sleep(LIVE_S + 2 if long else AWAY_S)

    # --- what comes of it

    def while_hurt(self):
        """What must go on while the faults last."""
        how = self.outcome.how
        if how == "take-over":
            self.take_over()
            return
        self.hold()
        if how == "goes-on" and self.scene.activity != "attach":
            self.goes_on(self.loads[-1], "the volume while it lasts")

    def take_over(self):
        taker = self.roles[self.rnd.choice(self.outcome.takers)]
        self.quiet.clear()
        self.superseded.add(self.history.session)
        self.take_over_ms = self.attach(taker)
        # The first owner may live: it must not serve any longer.
        if self.roles["owner"] not in self.nodes.dead:
            self.loads[-1].superseded()
        self.history.read(taker, self.device)
        self.roles["taker"] = taker
        self.load(taker)

    def after(self):
        """All is mended: returns the node that has the volume."""
        how, owner = self.outcome.how, self.roles["owner"]
        if self.scene.activity == "hand-over":
            return self.after_hand_over()
        if how == "take-over":
            self.old_load_ends(self.loads[-2])
            self.gone(owner)
            self.goes_on(self.loads[-1], "the volume on its new node")
            return self.roles["taker"]
        if how == "return":
            if self.loads and self.scene.activity != "attach":
                self.old_load_ends(self.loads[-1])
            self.quiet.clear()
            self.attach(owner)
            self.history.read(owner, self.device)
            self.load(owner)
        else:
            if how == "waits":
                self.quiet.clear()
            self.goes_on(self.loads[-1], "the volume afterwards")
        if self.hung_task:
            sh(owner, f"echo {self.hung_task} > {HUNG_TASK}")
        return owner

    def after_hand_over(self):
        """It is on one node, or will be where its record says."""
        owner, program = self.roles["owner"], self.loads[-1]
        node, attach = self.settled()
        self.quiet.clear()
        if node is owner and not attach:
            self.goes_on(program, "the volume that was not handed over")
        else:
            self.superseded.add(self.history.session)
            if node is not owner and program.command.running:
                # It may end meanwhile.
                with contextlib.suppress(TestbedError):
                    program.superseded()
            self.old_load_ends(program)
            if attach:
                self.attach(node)
            else:
                self.history.attached()
            self.history.read(node, self.device)
            self.load(node)
            if node is not owner:
                self.gone(owner)
        self.ended = "kept" if node is owner else "handed over"
        sh(owner, f"echo {self.hung_task} > {HUNG_TASK}")
        return node

    def settled(self):
        """(the node that has it by its record, whether it needs an attach)."""
        absent = []

        def looked():
            node = self.c[hcvcluster.volume(self.c.nodes[0],
                                            self.name)["owner"]]
            module = hcvcluster.volume(node, self.name).get("module")
            rec = hcvcluster.record(node, self.uuid)
            if not module:
                # Its agent may be about to begin.
                absent.append(time.monotonic())
                return absent[-1] > absent[0] + AWAY_S and (node, True)
            absent.clear()
            return module["state"] == "active" and "handover" not in rec and \
                rec["phase"] == "serving" and (node, False)
        return eventually(looked, 90, "a node that has the volume")

    def gone(self, owner):
        """Wait until a former owner's node has the volume no more."""
        eventually(lambda: "module" not in
                   hcvcluster.volume(owner, self.name), 60,
                   f"end of the volume on {owner}")

    def old_load_ends(self, program):
        """The load of an owner that is none any more ends, by itself."""
        # Its node's death is an end like another one.
        with contextlib.suppress(GuestDied):
            program.wait(60)
        self.loads.remove(program)

    def end_beside(self):
        """End commands that were run along; whatever they said."""
        for command in self.beside:
            if self.scene.activity == "compaction" and command.running:
                with contextlib.suppress(TestbedError):
                    command.kill(signal.SIGKILL)
            with contextlib.suppress(TestbedError):
                command.wait(90)
            if command.running:
                raise Wrong(f"no end: {command.text}")
        self.beside.clear()

    def end_resize(self, node):
        if self.scene.activity != "resize":
            return
        def size():
            return int(sh(node, f"blockdev --getsize64 {self.device}"))
        if hcvcluster.volume(node, self.name)["size"] != 2 * SIZE:
            ctl(node, f"volume resize {self.name} {2 * SIZE}")
        wait_for(lambda: size() == 2 * SIZE, 60, "the new size")

    def stop(self, program):
        program.stop(60)
        self.loads.remove(program)

    # --- the end

    def finish(self, node):
        """All replicas in-sync; detach; all agree with the history."""
        if self.scene.activity in ("recovery", "drain"):
            ctl(node, f"volume set {self.name} sync-kibps={FULL_KIBPS}")
        if self.nodes.latched:
            self.stop(self.loads[-1])
            self.history.read(node, self.device)
            ctl(node, f"volume detach {self.name}")
            self.history.detached()
            self.nodes.reload()
            self.attach(node)
        shown = self.drained(node) if self.scene.activity == "drain" else \
            self.insync(node)
        for program in list(self.loads):
            self.stop(program)
        self.history.read(node, self.device)
        ctl(node, f"volume detach {self.name}")
        self.history.detached()
        self.compare(shown)

    def compare(self, shown):
        """The stores, offline: with each other, and with the history."""
        stores = Stores(self.c, shown, self.folder)
        why = stores.check()
        # Grown, it has extents that one of three stores lacks.
        verdict = self.history.verdict(stores.contents(
            self.scene.activity != "resize"))
        if not verdict["good"]:
            raise Lost("the checker: " + "; ".join(verdict["texts"][:5]) +
                        f" ({verdict['faults']} faults, "
                        f"{verdict['unread']} blocks unread)" +
                        (f"; the stores differ: {why}" if why else ""))
        if why:
            raise Lost(f"the stores differ: {why}")
        self.judge_errors(verdict)
        self.judge_gap(verdict)

    def judge_errors(self, verdict):
        """No I/O fails, unless its owner is one no more, or no disk is left."""
        disks = any(fault.kind == "disk" for fault in self.scene.faults)
        if disks and self.outcome.how == "waits":
            return
        failed = {s["session"]: s["errors"] for s in verdict["sessions"]
                  if s["errors"] and s["session"] not in self.superseded}
        if failed:
            raise Wrong(f"I/O failed, in sessions {failed}")

    def judge_gap(self, verdict):
        worst = hcvscene.worst_io(verdict, self.quiet)
        why = hcvscene.gap_fault("io", worst, self.quiet_ms)
        self.detail = f"{self.ended or self.outcome.how}, longest I/O " \
            f"{worst:.0f} ms"
        if self.take_over_ms is not None:
            why = why or hcvscene.gap_fault("take-over", self.take_over_ms,
                                            self.quiet_ms)
            self.detail = f"take-over in {self.take_over_ms:.0f} ms"
        self.detail += f", {self.quiet_ms:.0f} ms before"
        if why:
            raise Wrong(why)

    def step(self, name):
        """Another step begins: how long each took is told with the scene."""
        now = time.monotonic()
        if self.steps:
            self.steps[-1][1] = now - self.steps[-1][1]
        self.steps += [[name, now]] if name else []

    def run(self):
        """All of it; raises what is wrong."""
        self.step("create")
        self.create()
        self.step("before")
        self.before()
        self.step("leader")
        leader_to(self.c, self.roles[hcvscene.etcd_leader(self.scene)])
        if self.scene.activity not in ("attach", "recovery", "drain"):
            # A machine that is slow may have lost it for a while.
            self.insync(self.roles["owner"])
        self.step("hurt")
        self.begin()
        self.hurt()
        self.while_hurt()
        self.step("mend")
        self.nodes.mend()
        self.end_beside()
        self.step("after")
        node = self.after()
        self.end_resize(node)
        self.step("finish")
        self.finish(node)
        self.step("delete")
        ctl(node, f"volume delete {self.name}")
        self.step("")
        return self.detail


class Rig:
    """A cluster that scenes share; a new one after a failure."""

    def __init__(self, kver, folder):
        self.kver, self.folder = kver, folder
        self.c = None
        self.quiet_ms = 0.0
        self._stack = contextlib.ExitStack()
        self._number = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self._stack.close()
        self.c = None

    def next_number(self):
        """Tells volumes apart."""
        self._number += 1
        return self._number

    def boot(self):
        """Boot a cluster, unless one runs."""
        if self.c:
            return
        # Guests may not see what comes into the tree later.
        for name in ("ckwrite", "ckverify"):
            boot.helper(name)
        # Blocks of 4 KiB below as well: a smaller sector may tear ours.
        c = cluster.Cluster(nodes=3, disks=1, disk_size="2G", lbs=4096,
                            mem=1280, kver=self.kver)
        self._stack.callback(c.close)
        try:
            c.start()
            urls = hcvcluster.start_etcd(c)
            c.each(hcvcluster.start_node)
            hcvcluster.form(c, urls)
            self.c = c
            self.quiet_ms = self.measure()
        except Exception:
            self.c = c
            self.explain(self.folder, None)
            self.drop()
            raise

    def measure(self):
        """The longest I/O of this machine without any fault, in ms.

        And that what the scenes look for would be found.
        """
        node, device = self.c.nodes[0], hcvcluster.device("quiet")
        ctl(node, f"volume create quiet {SIZE} --replicas 2")
        ctl(node, f"volume set quiet sync-kibps={FULL_KIBPS}")
        history = hcvchecker.History(self.folder / "quiet", 0, BLOCKS)
        stores = Stores(self.c, hcvcluster.volume(node, "quiet"),
                        history.folder)
        contents = []
        for seed in range(2):
            ctl(node, "volume attach quiet")
            history.attached()
            history.load(node, device, seed, dataclasses.replace(
                hcvchecker.STEADY, seconds=QUIET_S)).wait(120)
            hcvcluster.wait_insync(node, "quiet")
            history.read(node, device)
            ctl(node, "volume detach quiet")
            history.detached()
            contents.append(stores.contents()[-1].read_bytes())
        verdict = history.verdict(stores.contents())
        print(f"# without a fault: {verdict}", flush=True)
        why = stores.check()
        if why or not verdict["good"]:
            raise TestbedError(f"without a fault: {verdict} {why}")
        block, old = self.see_failing(history, stores, *contents)
        stores.overwrite(stores.images, block, old)
        ctl(node, "volume attach quiet")
        history.attached()
        history.read(node, device)
        ctl(node, "volume detach quiet")
        ctl(node, "volume delete quiet")
        noticed("lost", history.verdict())
        return hcvscene.worst_io(verdict, {1, 2})

    @staticmethod
    def see_failing(history, stores, *contents):
        """A block as it was once must be told, on one store and on all.

        Returns that block and what it was.
        """
        size = hcvchecker.BLOCK
        for block in range(BLOCKS):
            old, new = (text[block * size:(block + 1) * size]
                        for text in contents)
            if any(old) and old != new:
                break
        else:
            raise TestbedError("no block was written in both sessions")
        for images, differ in ((stores.images[1:], True),
                               (stores.images, False)):
            stores.overwrite(images, block, old)
            why = stores.check()
            if bool(why) != differ:
                raise TestbedError(f"block {block} of {images} is old, "
                                   f"check says '{why}'")
            noticed("replica", history.verdict(stores.contents()))
            stores.overwrite(images, block, new)
        return block, old

    def drop(self):
        """End the cluster, whatever it does."""
        self._stack.close()
        self.c = None

    def end(self):
        """End the cluster in order; returns why not."""
        if not self.c:
            return ""
        try:
            hcvcluster.stop_nodes(self.c.nodes)
            self.c.finish()
        except TestbedError as error:
            return str(error)
        finally:
            self.drop()
        return ""

    def clean(self):
        """Whether the cluster is as it was before; else why not."""
        for node in self.c.nodes:
            if node.state != "running" or not node.agent.running:
                return f"{node} is {node.state}"
        faults = self.c.faults()
        if faults:
            return "on a console: " + console.brief(faults[0])
        eventually(lambda: not ctl_json(self.c.nodes[0], "volume list")
                   ["volumes"], 60, "end of the deleted volume")
        return ""

    def run(self, scene, seed):
        """Run one scene; returns its Result."""
        begin = time.monotonic()
        result = Result(scene.name, seed=seed)
        folder = self.folder / scene.name.replace(" ", "+")
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("**/log-*"):
            old.unlink()
        play = None
        try:
            self.boot()
            play = Play(self, scene, seed, folder)
            result.detail = play.run()
            print("# " + ", ".join(f"{name} {took:.1f} s"
                                   for name, took in play.steps), flush=True)
            result.why = self.clean()
        except Exception as error:  # whatever it is, others go on
            result.why = f"{play or scene.name}: {type(error).__name__}: " \
                f"{error}"
            result.lost = isinstance(error, Lost)
        if result.why:
            self.explain(folder, play)
            self.drop()
        else:
            for path in folder.glob("content-*"):
                path.unlink()
        result.seconds = time.monotonic() - begin
        return result

    def explain(self, folder, play):
        """Keep what helps to understand a failure."""
        if not self.c:
            return
        with open(folder / "explain.txt", "w", encoding="utf-8") as out:
            if play:
                with contextlib.suppress(TestbedError):
                    verdict = play.history.verdict(partial=True)
                    out.write(json.dumps(verdict, indent=1) + "\n")
            for fault in self.c.faults():
                out.write(f"FAULT {fault}\n")
            for node in self.c.nodes:
                out.write(hcvcluster.explain(node) + "\n")
                (folder / f"{node}.console").write_text(node.console.text())
