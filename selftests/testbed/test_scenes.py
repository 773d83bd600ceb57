#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: host
# KVER: 6.1
# TAGS: fast
"""The failures that are run: which there are, what is expected of them, which
are chosen, what is too slow.
"""

import collections
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvscene
import ktap
from hcvscene import FAULTS, parse


def test_braces():
    for text, want in (
            ("a", ["a"]),
            ("a{b,c}", ["ab", "ac"]),
            ("{a,b}-{c,d}", ["a-c", "a-d", "b-c", "b-d"]),
            ("x {a,} y", ["x a y", "x  y"])):
        ktap.check_eq(text, want, hcvscene.braces(text))


def test_parse():
    scene = parse("flush owner-kill third-agent-freeze")
    ktap.check_eq("activity", "flush", scene.activity)
    ktap.check_eq("faults", ["owner-kill", "third-agent-freeze"],
                  [f.name for f in scene.faults])
    ktap.check_eq("name", "flush owner-kill third-agent-freeze", scene.name)
    ktap.check_eq("name", scene, parse(scene.name))
    for line, why in (("steady", "no fault"),
                      ("steady owner-explodes", "no fault: owner-explodes"),
                      ("temporary owner-kill", "not applicable yet"),
                      ("merge owner-kill", "not applicable yet"),
                      ("nothing owner-kill", "no activity"),
                      ("steady owner-kill owner-freeze", "are not two"),
                      ("steady all-drop third-kill", "are not two")):
        ktap.check_match(line, why, ktap.check_raises(
            line, ValueError, lambda line=line: parse(line)))


def test_table():
    """What the failures have to cover."""
    all_scenes = hcvscene.scenes()
    names = [scene.name for scene in all_scenes]
    ktap.check_eq("each once", [], [name for name, count in
                                    collections.Counter(names).items()
                                    if count > 1])
    ktap.check("80 of them", len(names) >= 80, str(len(names)))
    two = sum(len(scene.faults) > 1 for scene in all_scenes)
    ktap.check("half of them with two faults", two * 2 >= len(names), str(two))
    power = [scene for scene in all_scenes
             if scene.faults[0].kind == "all" and
             scene.faults[0].how in hcvscene.CUTS]
    ktap.check("10 cuts of all power", len(power) >= 10, str(len(power)))
    used = {fault for scene in all_scenes for fault in scene.faults}
    for kind in ("node", "agent", "etcd", "disk", "link", "oneway", "slow",
                 "split", "all"):
        ktap.check(f"kind {kind}", any(f.kind == kind for f in used))
    for role, how in itertools.product(hcvscene.ROLES, ("kill", "freeze")):
        if (role, how) != ("third", "freeze"):
            ktap.check(f"{role} {how}", FAULTS[f"{role}-{how}"] in used)
    for activity in hcvscene.ACTIVITIES:
        count = sum(scene.activity == activity for scene in all_scenes)
        ktap.check(f"during {activity}", count >= 4, str(count))
    for how in ("goes-on", "waits", "take-over", "return"):
        ktap.check(how, any(hcvscene.outcome(scene).how == how
                            for scene in all_scenes))


def test_compatible():
    for one, other, want in (
            ("owner-kill", "replica-kill", True),
            ("owner-kill", "owner-freeze", False),
            ("owner-kill", "owner-agent-kill", False),
            ("owner-agent-kill", "owner-disk-hang", True),
            ("owner-agent-kill", "owner-agent-freeze", False),
            ("etcd-leader-kill", "third-agent-kill", True),
            ("etcd-leader-kill", "third-kill", False),
            ("etcd-leader-kill", "etcd-quorum-kill", False),
            ("link-owner-third", "split-replica", False),
            ("slow-owner", "slow-replica", True),
            ("slow-owner", "owner-freeze", False),
            ("all-drop", "slow-owner", False)):
        for pair in ((one, other), (other, one)):
            ktap.check_eq(" ".join(pair), want,
                          hcvscene.compatible(*(FAULTS[f] for f in pair)))


# By hand, from the protocol's rules (ARCHITECTURE.md, 3).
OUTCOMES = {
    "steady replica-kill": "goes-on",
    "steady owner-kill": "take-over replica third",
    "steady owner-freeze": "take-over replica third",
    # Nobody can change the record; nothing has to be.
    "steady etcd-quorum-kill": "goes-on",
    "steady owner-agent-kill": "goes-on",
    "steady third-kill": "goes-on",
    "steady split-third": "goes-on",
    "steady slow-owner": "goes-on",
    # A replica has to leave, and nobody can say so.
    "steady replica-kill third-kill": "waits",
    "steady replica-kill owner-agent-kill": "waits",
    "steady replica-kill etcd-leader-kill": "waits",
    "steady link-owner-replica etcd-leader-kill": "waits",
    "steady oneway-replica-owner etcd-leader-freeze": "waits",
    "steady oneway-owner-replica owner-agent-kill": "waits",
    "steady split-all": "waits",
    # It leaves, whichever way its answers get lost.
    "steady oneway-owner-replica": "goes-on",
    "steady oneway-replica-owner": "goes-on",
    "steady link-owner-replica third-agent-kill": "goes-on",
    # Only who hears a majority goes on.
    "steady split-owner": "take-over replica third",
    "steady split-owner third-agent-kill": "take-over replica",
    # Nobody grants the replica.
    "steady owner-kill replica-agent-kill": "return",
    "steady split-owner replica-agent-freeze": "waits",
    "steady owner-kill third-agent-kill": "take-over replica",
    "steady owner-kill replica-kill": "return",
    "steady owner-kill etcd-leader-kill": "return",
    "steady owner-freeze replica-freeze": "waits",
    "steady owner-kill link-replica-third": "return",
    # The owner's own disk.
    "steady owner-disk-write-error": "goes-on",
    "steady owner-disk-hang": "waits",
    "steady owner-disk-error replica-kill": "waits",
    # What is being copied is not enough to go on with.
    "recovery owner-kill third-agent-kill": "return",
    "recovery replica-kill": "goes-on",
    "recovery owner-disk-error": "waits",
    "recovery owner-agent-kill": "goes-on",
    "attach owner-kill": "return",
    # One node has it, or who attaches it next.
    "hand-over replica-kill": "return",
    "hand-over etcd-quorum-kill": "return",
    # Three have to take each write.
    "drain third-kill": "goes-on",
    "drain third-kill owner-agent-kill": "waits",
    "drain replica-kill etcd-leader-kill": "waits",
    "drain owner-kill third-agent-kill": "take-over replica",
    "drain link-owner-third replica-agent-kill": "goes-on",
    "drain split-owner": "take-over replica third",
    "steady all-random": "return",
}


def test_outcomes():
    for name, want in OUTCOMES.items():
        got = hcvscene.outcome(parse(name))
        ktap.check_eq(name, want, " ".join((got.how, *got.takers)))


def test_leader():
    for name, want in (("steady etcd-leader-kill", "third"),
                       ("steady replica-kill etcd-leader-kill", "third"),
                       ("steady replica-kill", "replica"),
                       ("steady split-owner", "owner"),
                       ("steady slow-replica", "owner"),
                       ("steady etcd-member-kill", "owner")):
        ktap.check_eq(name, want, hcvscene.etcd_leader(parse(name)))


def test_select():
    everything = list(hcvscene.scenes())
    third = hcvscene.select(everything, 3, 1)
    ktap.check_eq("all", everything, hcvscene.select(everything))
    ktap.check_eq("a third", -(-len(everything) // 3), len(third))
    ktap.check_eq("the same again", third,
                  hcvscene.select(everything, 3, 1))
    ktap.check("another seed, others",
               third != hcvscene.select(everything, 3, 2))
    ktap.check_eq("in the table's order", third,
                  [s for s in everything if s in third])
    seen = set()
    for seed in range(100):
        seen |= set(hcvscene.select(everything, 10, seed))
    ktap.check_eq("none is left out for ever", len(everything), len(seen))
    ktap.check_eq("at least one", 1,
                  len(hcvscene.select(everything[:2], 10, 1)))
    ktap.check_eq("by name", ["steady all-drop", "attach all-drop"],
                  [s.name for s in hcvscene.select(
                      everything, pattern="^(steady|attach) all-drop")])


def test_random():
    first = list(itertools.islice(hcvscene.random_scenes(7), 600))
    ktap.check_eq("the same again", first[:50],
                  list(itertools.islice(hcvscene.random_scenes(7), 50)))
    ktap.check("another seed, others", first[:50] != list(
        itertools.islice(hcvscene.random_scenes(8), 50)))
    ktap.check_eq("numbers", list(range(600)), [nr for nr, _ in first])
    for _, scene in first:
        # Any of them can be repeated by name.
        if parse(scene.name) != scene:
            ktap.check_eq(scene.name, scene, parse(scene.name))
        hcvscene.outcome(scene)
        hcvscene.etcd_leader(scene)
    used = {fault.name for _, scene in first for fault in scene.faults}
    ktap.check_eq("every fault comes", [],
                  sorted(set(FAULTS) - used - {"all-kill", "all-lie"}))
    counts = collections.Counter(len(s.faults) for _, s in first)
    ktap.check("one, two, three", all(counts[n] > 50 for n in (1, 2, 3)),
               str(counts))


def test_gaps():
    for how, worst, quiet, want in (
            ("io", 4999, 0, ""),
            ("io", 5000, 300, "io: 5000 ms, the limit is 5000 ms"),
            ("io", 5999, 400, ""),
            ("io", 6000, 400, "io: 6000 ms, the limit is 6000 ms"),
            ("take-over", 9499, 100, ""),
            ("take-over", 9500, 100,
             "take-over: 9500 ms, the limit is 9500 ms")):
        ktap.check_eq(f"{how} {worst} {quiet}", want,
                      hcvscene.gap_fault(how, worst, quiet))
    verdict = {"sessions": [{"session": 1, "worst_ms": 5.0},
                            {"session": 2, "worst_ms": 700.5},
                            {"session": 3, "worst_ms": 9.0}]}
    ktap.check_eq("worst", 700.5, hcvscene.worst_io(verdict, {1, 2, 3}))
    ktap.check_eq("of some", 9.0, hcvscene.worst_io(verdict, {1, 3}))
    ktap.check_eq("of none", 0.0, hcvscene.worst_io(verdict, {4}))


if __name__ == "__main__":
    ktap.main(globals())
