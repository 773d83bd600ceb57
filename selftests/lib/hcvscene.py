# SPDX-License-Identifier: GPL-2.0-only
"""Which failures there are, what is to be expected of them, and which are run.

Nothing here touches a guest. A scene is something that goes on (an activity)
and what fails meanwhile (faults), in terms of three nodes with one etcd member
each: the owner of the volume, which has a replica of it, the node with the
other replica, and a third one.

    steady owner-kill third-agent-freeze
"""

import dataclasses
import functools
import hashlib
import itertools
import random
import re

ROLES = ("owner", "replica", "third")
PAIRS = tuple(itertools.combinations(ROLES, 2))
ACTIVITIES = {
    "steady": "writers, readers, a FLUSH now and then",
    "flush": "writers that flush after every write",
    "attach": "an attach, begun just before",
    "resize": "a resize, begun just before, beside a load",
    "recovery": "a resync of the other replica, beside a load",
    "hand-over": "a hand-over to another node, begun up to 2 s before",
    "drain": "the other replica moves to the third node, beside a load",
    "compaction": "etcd compacts and defragments all the time, beside a load",
}
# What is to have scenes as well, and why it has none.
NOT_YET = {
    "merge": "no merge of an old copy with a temporary replica",
    "temporary": "no temporary replicas",
    "cache": "no cache on the hosts",
}
CUTS = ("drop", "random", "prefix")     # of what was not flushed

# --- faults


@dataclasses.dataclass(frozen=True)
class Fault:
    """kind: node, agent, etcd, disk, link, oneway, slow, split or all. who:
    roles; for oneway the packets from the first to the second one."""

    name: str
    kind: str
    who: tuple
    how: str = ""


def _all_faults():
    for role in ROLES:
        for how in ("kill", "freeze", *CUTS):
            yield Fault(f"{role}-{how}", "node", (role,), how)
        for how in ("kill", "freeze"):
            yield Fault(f"{role}-agent-{how}", "agent", (role,), how)
        yield Fault(f"slow-{role}", "slow", (role,))
        yield Fault(f"split-{role}", "split", (role,))
    for how in ("kill", "freeze"):
        yield Fault(f"etcd-leader-{how}", "etcd", ("third",), how)
        yield Fault(f"etcd-member-{how}", "etcd", ("third",), how)
        yield Fault(f"etcd-quorum-{how}", "etcd", ("replica", "third"), how)
    for role in ("owner", "replica"):
        for how in ("error", "write-error", "hang"):
            yield Fault(f"{role}-disk-{how}", "disk", (role,), how)
    for one, other in PAIRS:
        yield Fault(f"link-{one}-{other}", "link", (one, other))
        yield Fault(f"oneway-{one}-{other}", "oneway", (one, other))
        yield Fault(f"oneway-{other}-{one}", "oneway", (other, one))
    yield Fault("split-all", "split", ROLES)
    # "lie": disks that make nothing durable. It has to lose data, and is there
    # to see that this is noticed.
    for how in ("kill", *CUTS, "lie"):
        yield Fault(f"all-{how}", "all", ROLES, how)


FAULTS = {fault.name: fault for fault in _all_faults()}


def compatible(one, other):
    """Whether two faults at the same time mean something else than one."""
    if "all" in (one.kind, other.kind):
        return False
    both = {one.kind, other.kind}
    if both <= {"link", "oneway", "split"}:
        return False
    if not set(one.who) & set(other.who):
        return True
    # A node that is down has no agent, member, disk or link any more.
    return "node" not in both and not (one.kind == other.kind)


# --- what is to be expected


@dataclasses.dataclass
class World:
    """What works while faults last."""

    alive: set
    agents: set
    members: set            # of etcd
    ways: set               # (from, to) that packets go
    copies: set             # roles whose replica answers and may be used
    hangs: set              # whose own disk does not answer, nor fail

    def linked(self, one, other):
        """Whether two nodes are alive and hear each other."""
        return one in self.alive and other in self.alive and (
            one == other or {(one, other), (other, one)} <= self.ways)

    def quorum(self, role):
        """Whether a node reaches a majority of etcd."""
        for pair in itertools.combinations(sorted(self.members), 2):
            if self.linked(*pair) and (
                    any(self.linked(role, m) for m in pair)):
                return True
        return False

    def decides(self, role):
        """Whether its agent can change a record."""
        return role in self.agents and role in self.alive and \
            self.quorum(role)

    def reaches(self, role):
        """Replicas that a node can use."""
        return {copy for copy in self.copies if self.linked(role, copy)}

    def takes_over(self, role):
        """Whether a node can take the volume over: a replica has to be granted
        to it, which that replica's agent does."""
        return self.decides(role) and any(map(self.decides,
                                              self.reaches(role)))


def world(faults, insync=("owner", "replica")):
    """The World of three nodes with these faults."""
    w = World(set(ROLES), set(ROLES), set(ROLES),
              set(itertools.permutations(ROLES, 2)), set(insync), set())
    for fault in faults:
        who = set(fault.who)
        if fault.kind in ("node", "all"):
            w.alive -= who
            w.copies -= who
            w.members -= who
        elif fault.kind == "agent":
            w.agents -= who
        elif fault.kind == "etcd":
            w.members -= who
        elif fault.kind == "disk":
            w.copies -= who
            if fault.how == "hang":
                w.hangs |= who
        elif fault.kind == "link":
            w.ways -= {fault.who, fault.who[::-1]}
        elif fault.kind == "oneway":
            w.ways.discard(fault.who)
        elif fault.kind == "split":
            w.ways -= {way for way in w.ways if who & set(way)}
    return w


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a scene has to go on.

    goes-on: I/O does, with a gap below the limit. waits: I/O may wait until the
    faults are over, not longer. take-over: one of `takers` attaches the volume
    while the faults last. return: the volume is attached when they are over.
    """

    how: str
    takers: tuple = ()


def outcome(scene):
    """The Outcome of a scene."""
    # What is being copied is none that can be gone on with.
    insync = ("owner",) if scene.activity == "recovery" else \
        ("owner", "replica")
    w = world(scene.faults, insync)
    # Where it is then depends on how far it had come; one node has it.
    if scene.activity in ("attach", "hand-over"):
        return Outcome("return")
    takers = tuple(role for role in ("replica", "third")
                   if w.takes_over(role))
    reached = w.reaches("owner")
    if "owner" in w.alive:
        if "owner" in w.hangs or not reached:
            return Outcome("waits")
        if _linked(scene) <= world(scene.faults, ROLES).reaches("owner"):
            return Outcome("goes-on")
        if w.decides("owner"):
            return Outcome("goes-on")
        if not w.quorum("owner") and takers:
            return Outcome("take-over", takers)
        return Outcome("waits")
    if takers:
        return Outcome("take-over", takers)
    # A node that is frozen alone goes on when it is thawed.
    frozen = any(fault.kind == "node" and fault.how == "freeze"
                 and "owner" in fault.who for fault in scene.faults)
    return Outcome("waits" if frozen else "return")


def _linked(scene):
    """Where writes go: who is being copied to is written to as well."""
    return set(ROLES) if scene.activity == "drain" else {"owner", "replica"}


def etcd_leader(scene):
    """The role whose member of etcd is to lead: losing that hurts most."""
    for fault in scene.faults:
        if fault.name.startswith("etcd-leader"):
            return "third"
    for fault in scene.faults:
        if fault.kind in ("node", "split") and len(fault.who) == 1:
            return fault.who[0]
    return "owner"


# --- the table


@dataclasses.dataclass(frozen=True)
class Scene:
    """What goes on, and what fails."""

    activity: str
    faults: tuple

    @property
    def name(self):
        """For people and for --filter."""
        return " ".join([self.activity, *(f.name for f in self.faults)])

    @property
    def at_once(self):
        """How many things fail."""
        return sum(len(f.who) if f.kind in ("all", "etcd") else 1
                   for f in self.faults)


TABLE = """
# One fault.
steady replica-{kill,freeze,drop,random}
steady owner-{kill,freeze,drop,random,prefix}
steady third-kill
steady {owner,replica,third}-agent-kill
steady {owner,replica}-agent-freeze
steady etcd-leader-{kill,freeze}
steady etcd-member-freeze
steady etcd-quorum-{kill,freeze}
steady replica-disk-{error,write-error,hang}
steady owner-disk-{write-error,hang}
steady {link-owner-replica,oneway-owner-replica,oneway-replica-owner}
steady slow-{owner,replica}
steady split-{owner,replica,third,all}

# The power of all nodes.
steady all-{drop,random,prefix}
flush all-{drop,random,prefix}
resize all-{drop,random}
recovery all-{drop,random}
attach all-drop
compaction all-random

# The owner, and what is needed to take over from it.
steady owner-{kill,freeze,drop} {replica,third}-agent-kill
steady owner-{kill,random} replica-{kill,drop}
steady owner-freeze replica-freeze
steady owner-kill etcd-leader-kill
steady split-owner replica-agent-freeze

# A replica, and what is needed to go on without it.
steady replica-{kill,freeze} {owner-agent-kill,etcd-leader-kill}
steady replica-{kill,drop} third-kill
steady link-owner-replica {etcd-leader-kill,third-agent-kill,etcd-quorum-freeze}
steady {oneway-owner-replica,oneway-replica-owner} etcd-leader-freeze
steady split-replica owner-agent-kill
steady slow-owner {replica-kill,etcd-leader-kill}
steady replica-disk-write-error {etcd-leader-kill,owner-agent-kill}
steady owner-disk-write-error {replica-agent-kill,etcd-leader-kill}

# While something else is under way.
flush replica-{kill,random} third-agent-freeze
flush owner-{random,prefix} third-agent-kill
flush replica-disk-write-error slow-owner
attach replica-{kill,freeze} etcd-leader-kill
attach owner-agent-kill replica-agent-kill
attach owner-drop replica-agent-freeze
resize replica-kill owner-agent-kill
resize owner-kill third-agent-kill
resize etcd-quorum-kill owner-agent-freeze
resize link-owner-replica etcd-leader-freeze
recovery replica-{kill,drop} etcd-leader-kill
recovery owner-{kill,drop} replica-agent-kill
recovery link-owner-replica owner-agent-kill
recovery replica-disk-write-error third-kill
recovery owner-freeze third-agent-kill
hand-over {owner,replica,third}-{kill,freeze}
hand-over owner-agent-kill {replica,third}-agent-kill
hand-over {owner,replica}-drop etcd-leader-kill
hand-over etcd-quorum-{kill,freeze}
hand-over link-owner-{replica,third} etcd-leader-freeze
hand-over all-drop
drain replica-kill etcd-leader-kill
drain third-{drop,freeze} owner-agent-kill
drain owner-{kill,drop} third-agent-kill
drain link-owner-third replica-agent-kill
drain replica-disk-write-error third-agent-kill
drain split-third
drain all-random
compaction replica-kill etcd-leader-kill
compaction owner-kill third-agent-kill
compaction replica-freeze etcd-member-freeze
compaction link-owner-replica owner-agent-kill
"""


def braces(text):
    """What a shell makes of a{b,c}d, in its order."""
    match = re.search(r"\{([^{}]*)\}", text)
    if not match:
        return [text]
    return [line for part in match[1].split(",") for line in
            braces(text[:match.start()] + part + text[match.end():])]


def parse(line):
    """The Scene of one line; ValueError says what is wrong with it."""
    activity, *names = line.split()
    if activity in NOT_YET:
        raise ValueError(f"'{activity}' is not applicable yet: "
                         f"{NOT_YET[activity]}")
    if activity not in ACTIVITIES:
        raise ValueError(f"'{activity}' is no activity")
    unknown = [name for name in names if name not in FAULTS]
    if unknown or not names:
        raise ValueError(f"no fault: {' '.join(unknown) or line}")
    faults = tuple(FAULTS[name] for name in names)
    for one, other in itertools.combinations(faults, 2):
        if not compatible(one, other):
            raise ValueError(f"{one.name} and {other.name} are not two")
    return Scene(activity, faults)


@functools.cache
def scenes():
    """All that are named, in the table's order."""
    lines = [line.partition("#")[0].strip() for line in TABLE.splitlines()]
    return tuple(parse(text) for line in lines if line
                 for text in braces(line))


def select(chosen, share=1, seed=0, pattern=""):
    """One of `share` scenes, by seed; different seeds choose others."""
    chosen = [s for s in chosen if re.search(pattern, s.name)]
    if share <= 1:
        return chosen
    count = -(-len(chosen) // share)
    digest = {s: hashlib.sha256(f"{seed} {s.name}".encode()).digest()
              for s in chosen}
    picked = set(sorted(chosen, key=digest.get)[:count])
    return [s for s in chosen if s in picked]


def random_scene(rnd):
    """Any scene, also one that nobody has thought of."""
    activity = rnd.choice(tuple(ACTIVITIES))
    # Of every six one is the end of all nodes at once.
    if not rnd.randrange(6):
        return Scene(activity, (FAULTS[f"all-{rnd.choice(CUTS)}"],))
    pool = [fault for fault in FAULTS.values() if fault.kind != "all"]
    faults = []
    for _ in range(rnd.choice((1, 2, 2, 2, 3))):
        fit = [fault for fault in pool
               if all(compatible(fault, other) for other in faults)
               and fault not in faults]
        if fit:
            faults.append(rnd.choice(fit))
    return Scene(activity, tuple(faults))


def random_scenes(seed):
    """Random scenes without end; the n-th of a seed is always the same."""
    for number in itertools.count():
        rnd = random.Random(f"{seed} {number}")
        yield number, random_scene(rnd)


# --- limits

GAP_MS = 5000
LEASE_MS = 4500
QUIET_MS = 300          # the longest I/O of a machine that is not slow


def slack_ms(quiet_ms):
    """What is added to limits on a machine whose longest I/O without any fault
    takes quiet_ms."""
    return 10 * max(0.0, quiet_ms - QUIET_MS)


def gap_fault(how, worst_ms, quiet_ms):
    """Why a gap of that many ms is too long; "" if it is not.

    how: "io" for the longest I/O of a volume that goes on, "take-over" for the
    time from the attach command to the first I/O.
    """
    limit = {"io": GAP_MS, "take-over": LEASE_MS + GAP_MS}[how]
    limit += slack_ms(quiet_ms)
    if worst_ms < limit:
        return ""
    return f"{how}: {worst_ms:.0f} ms, the limit is {limit:.0f} ms"


def worst_io(verdict, sessions):
    """The longest I/O, in ms, that ended well in these sessions."""
    return max((s["worst_ms"] for s in verdict["sessions"]
                if s["session"] in sessions), default=0.0)
