#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 2700
# TAGS: slow
# DISK: 2G:serial=a
# DISK: 2G:serial=b
# DISK: 2G:serial=c
# DISK: 2G:serial=d
"""A store that is slower than its peers: noticed, told, and with the setting
slow_replica=drop out of the in-sync set until it is as fast as they are. Three
stores over dm-delay, a volume with a replica on each, a writer. A fourth disk
says that it is failing, by a smartctl of this test's own."""

import json
import mmap
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvtest
import ktap

BIN = Path(os.environ.get("HCV_BIN") or
           os.path.join(os.environ["HCV_TREE"], "build/bin"))
SPEED = 20              # windows of half a second, ten minutes in half of one
DELAY_MS = 300
THREADS = 16
SECTORS = (2 << 30) // 512
AREA = 32 << 20         # what the writer writes
DEV = "/dev/hcivol/by-name/db1"
SMARTCTL = Path("/usr/sbin/smartctl")


class Disk:
    """A store's device: a disk behind dm-delay."""

    def __init__(self, serial):
        self.name = f"slow-{serial}"
        self.at = hcvtest.disk_by_serial(serial)
        hcvtest.dm_create(self.name, self.table(0))
        self.path = f"/dev/mapper/{self.name}"

    def table(self, ms):
        return (f"0 {SECTORS} delay {self.at} 0 {ms} {self.at} 0 {ms} "
                f"{self.at} 0 {ms}")

    def delay(self, ms):
        hcvtest.dm_reload(self.name, self.table(ms))

    def remove(self):
        hcvtest.dm_remove(self.name)


class Agent:
    """hcivold of a single-node cluster."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="hcv-slow."))
        self.sock = self.dir / "sock"
        self.proc = None
        self.member = False

    def start(self, crash=None):
        env = dict(os.environ, HCV_HEALTH_SPEED=str(SPEED))
        if crash:
            env["HCV_CRASH"] = f"{crash}:1"
        with open(self.dir / "log", "ab") as log:
            self.proc = subprocess.Popen(
                [BIN / "hcivold", "--debug", "--state-dir", self.dir,
                 "--socket", self.sock], env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        # It has read its cluster, or is in none.
        words = ("store", "list") if self.member else ("version",)
        hcvtest.wait_for(lambda: self.ctl(*words, check=False) or
                         crash and self.dead(), 60, "answer of hcivold")

    def dead(self):
        return self.proc.poll() is not None

    def end(self, sig=signal.SIGTERM):
        if self.proc:
            self.proc.send_signal(sig)
            self.proc.wait(60)
            self.proc = None

    def ctl(self, *words, check=True):
        done = subprocess.run([BIN / "agentctl", "--json", "--timeout", "90",
                               "--socket", self.sock, *words], check=False,
                              text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode and check:
            raise RuntimeError(f"{' '.join(words)}: {done.stdout}")
        return None if done.returncode else json.loads(done.stdout)

    def log(self):
        return (self.dir / "log").read_text()

    def keys(self, prefix):
        path = next(p for p in self.dir.iterdir()
                    if p.suffix in (".db", ".sqlite", ".sqlite3"))
        db = sqlite3.connect(path, timeout=10, isolation_level=None)
        got = {k: json.loads(v) for k, v in
               db.execute("SELECT key, value FROM kv")
               if k.startswith(prefix)}
        db.close()
        return got


class Writer:
    """Threads that write 4 KiB blocks and read them back, until the end.

    As many as it takes for a window of a slow disk to have enough I/Os.
    """

    def __init__(self):
        self.stop = threading.Event()
        self.error = None
        self.threads = [threading.Thread(target=self.run, args=(i,),
                                         daemon=True) for i in range(THREADS)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        part = AREA // THREADS
        try:
            fd = os.open(DEV, os.O_RDWR | os.O_DIRECT)
            buf = mmap.mmap(-1, 4096)
            while not self.stop.wait(0.1):
                off = number * part + random.randrange(part // 4096) * 4096
                word = os.urandom(16)
                buf[:16] = word
                os.pwrite(fd, buf, off)
                os.preadv(fd, [buf], off)
                if buf[:16] != word:
                    raise RuntimeError(f"{off} reads as something else")
            os.close(fd)
        except (OSError, RuntimeError) as error:
            self.error = error

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
        ktap.check_eq("writer", None, self.error)


agent = Agent()
disks = {}
writer = None


def store(name):
    return next(s for s in agent.ctl("store", "list")["stores"]
                if s["name"] == name)


def health(name):
    return store(name)["health"]


def states():
    """States of the replicas, sorted."""
    return sorted(r["state"] for r in
                  agent.ctl("volume", "show", "db1")["replica_list"])


def write_ms():
    """What the middle one of nine writes takes."""
    fd = os.open(DEV, os.O_WRONLY | os.O_DIRECT)
    buf, took = mmap.mmap(-1, 4096), []
    for i in range(9):
        begin = time.monotonic()
        os.pwrite(fd, buf, AREA + i * 4096)
        took.append((time.monotonic() - begin) * 1000)
    os.close(fd)
    return sorted(took)[4]


def events():
    """Lines "TIME SEVERITY OBJECT: TEXT"."""
    return hcvtest.run(str(BIN / "agentctl"), "--socket", str(agent.sock),
                       "events").splitlines()


def setup():
    global writer
    hcvtest.run("modprobe", "dm-delay")
    hcvtest.load_module()
    agent.start()
    agent.ctl("cluster", "init", "--addr", "127.0.0.1", "--node-name", "n1")
    agent.member = True
    for name in ("a", "b", "c"):
        disks[name] = Disk(name)
        agent.ctl("store", "add", disks[name].path, "--name", name,
                  "--class", "ssd")
    agent.ctl("volume", "create", "db1", "1G", "--replicas", "3")
    agent.ctl("volume", "attach", "db1")
    writer = Writer()


def teardown():
    for disk in disks.values():
        disk.delay(0)
    if writer:
        writer.end()
    agent.end()
    shutil.rmtree(agent.dir)
    if hcvtest.module_loaded():
        hcvtest.unload_module()
    for disk in disks.values():
        disk.remove()


def test_healthy_stores_are_ok():
    def measured():
        return all("write" in health(name)["p95_us"] for name in disks)
    hcvtest.wait_for(measured, 120, "a window of each store")
    for name in disks:
        ktap.check_eq(f"health of {name}", "ok", health(name)["state"])
    ktap.check_eq("replicas", ["insync"] * 3, states())


def test_slow_store_is_suspect_and_kept():
    disks["c"].delay(DELAY_MS)
    hcvtest.wait_for(lambda: health("c")["state"] == "suspect", 300,
                     "suspicion")
    ktap.check_eq("cause", "latency", health("c")["cause"])
    ktap.check("slow", health("c")["slow"])
    ktap.check_match("why", "5 % of its (reads|writes|flushes) take",
                     health("c")["why"])
    for name in ("a", "b"):
        ktap.check_eq(f"health of {name}", "ok", health(name)["state"])
    # by default it stays, and every write is as slow as it is
    ktap.check_eq("replicas", ["insync"] * 3, states())
    ktap.check("writes are slow", write_ms() >= DELAY_MS / 2)
    ktap.check("told", any("store c: health is suspect" in e
                           for e in events()))
    ktap.check_eq("nobody wishes to empty it", {}, agent.keys("drain/"))


def test_slow_replica_is_dropped():
    agent.ctl("volume", "set", "db1", "slow-replica=drop")
    hcvtest.wait_for(lambda: "stale" in states(), 120, "removal")
    ktap.check_eq("the others", ["insync", "insync", "stale"], states())
    # what the slow disk had got before has to end first
    hcvtest.wait_for(lambda: write_ms() < DELAY_MS / 2, 120, "fast writes")
    hcvtest.wait_for(
        lambda: "slow and stays out" in
        agent.ctl("volume", "show", "db1").get("waits_for", ""), 120,
        "what the volume waits for")
    ktap.check_eq("still", ["insync", "insync", "stale"], states())
    ktap.check_eq("writer", None, writer.error)


def test_an_agent_that_was_killed_knows():
    agent.end(signal.SIGKILL)
    agent.start()
    hcvtest.wait_for(lambda: store("c")["live"], 60, "the stores")
    ktap.check_eq("state", "suspect", health("c")["state"])
    hcvtest.wait_for(
        lambda: "slow and stays out" in
        agent.ctl("volume", "show", "db1").get("waits_for", ""), 120,
        "what the volume waits for")
    ktap.check_eq("still", ["insync", "insync", "stale"], states())


def test_a_second_one_is_not_dropped():
    disks["b"].delay(DELAY_MS)
    hcvtest.wait_for(
        lambda: health("b")["p95_us"].get("write", {}).get("from", 0) >=
        DELAY_MS * 1000 / 2, 300, "slow windows of the second one")
    # as many windows as would do, one of two ticks each
    time.sleep(20 * hcvtest.SCALE)
    # what is dropped has no I/O, and one peer is not enough to say who is slow
    ktap.check_eq("state", "ok", health("b")["state"])
    ktap.check_eq("nothing more is dropped", ["insync", "insync", "stale"],
                  states())
    disks["b"].delay(0)


def test_fast_again_it_returns():
    disks["c"].delay(0)
    hcvtest.wait_for(lambda: health("c")["state"] == "ok", 300, "health")
    hcvtest.wait_for(lambda: states() == ["insync"] * 3, 300, "its return")
    ktap.check("told", any("store c: is as fast as the others again" in e
                           for e in events()))
    ktap.check_eq("writer", None, writer.error)


def clear(name):
    """An operator calls a store healthy that is."""
    agent.ctl("store", "health", name, "--clear")
    hcvtest.wait_for(lambda: health(name)["state"] == "ok", 60, "health")
    hcvtest.wait_for(lambda: states() == ["insync"] * 3, 300, "its return")


def test_an_operator_clears():
    disks["c"].delay(DELAY_MS)
    hcvtest.wait_for(lambda: health("c")["state"] == "suspect", 300,
                     "suspicion")
    hcvtest.wait_for(lambda: "stale" in states(), 120, "removal")
    disks["c"].delay(0)
    clear("c")
    ktap.check_eq("nothing is held against it",
                  (False, 0, ""), (health("c")["slow"],
                                   health("c")["relapses"],
                                   health("c")["why"]))


def test_killed_at_each_step():
    """Whatever was done when it was killed, the agent goes on from there."""
    for point in ("health-write", "health-write-done", "owner-drop-slow",
                  "owner-drop-slow-done"):
        agent.end()
        agent.start(point)
        disks["c"].delay(DELAY_MS)
        hcvtest.wait_for(agent.dead, 300, f"death at {point}")
        agent.start()
        hcvtest.wait_for(lambda: store("c")["live"] and
                         health("c")["state"] == "suspect", 300, "suspicion")
        hcvtest.wait_for(lambda: "stale" in states(), 120, "removal")
        ktap.check_eq(f"others after {point}",
                      ["insync", "insync", "stale"], states())
        disks["c"].delay(0)
        clear("c")
    for point in ("store-health", "store-health-done"):
        agent.end()
        agent.start(point)
        disks["c"].delay(DELAY_MS)
        hcvtest.wait_for(lambda: health("c")["state"] == "suspect", 300,
                         "suspicion")
        agent.ctl("store", "health", "c", "--clear", check=False)
        hcvtest.wait_for(agent.dead, 60, f"death at {point}")
        agent.start()
        disks["c"].delay(0)
        clear("c")
    ktap.check("writer", writer.error is None)


def test_common_slowness_makes_nobody_suspect():
    for disk in disks.values():
        disk.delay(DELAY_MS)
    seen = {name: health(name)["p95_us"]["write"]["from"] for name in disks}
    hcvtest.wait_for(
        lambda: all(health(name)["p95_us"].get("write", {}).get("from", 0) >=
                    DELAY_MS * 1000 / 2 for name in disks), 300,
        f"slow windows of all, {seen} before")
    # as many windows as would do, one of a tick of a second each
    time.sleep(20 * hcvtest.SCALE)
    for name in disks:
        ktap.check_eq(f"health of {name}", "ok", health(name)["state"])
    ktap.check_eq("replicas", ["insync"] * 3, states())
    for disk in disks.values():
        disk.delay(0)


def test_a_disk_that_says_it_is_failing():
    if SMARTCTL.exists() or not os.access(SMARTCTL.parent, os.W_OK):
        raise ktap.Skip("there is a smartctl, or no place for one")
    says = {"json_format_version": [1, 0], "smartctl": {"exit_status": 8},
            "smart_status": {"passed": False}}
    SMARTCTL.write_text(f"#!/bin/sh\ncat <<'X'\n{json.dumps(says)}\nX\n"
                        "exit 8\n")
    SMARTCTL.chmod(0o755)
    try:
        uuid = agent.ctl("store", "add", hcvtest.disk_by_serial("d"),
                         "--name", "d", "--class", "hdd")["uuid"]
        # it has no extents: when it is drained it is out
        hcvtest.wait_for(lambda: health("d")["state"] == "out", 300, "out")
        ktap.check_eq("cause", "smart", health("d")["cause"])
        ktap.check_eq("SMART", "failing", health("d")["smart"])
        ktap.check_eq("wish", "health",
                      agent.keys("drain/")[f"drain/{uuid}"]["by"])
        said = [e for e in events() if "store d: health is" in e]
        for word in ("suspect", "draining", "out"):
            ktap.check(word, any(f"health is {word}" in e for e in said))
        agent.ctl("store", "health", "d", "--clear")
        ktap.check_eq("no wish", {}, agent.keys("drain/"))
        time.sleep(10 * hcvtest.SCALE)
        ktap.check_eq("accepted", "ok", health("d")["state"])
        agent.ctl("store", "remove", "d")
        ktap.check_eq("no keys", {}, agent.keys(f"health/{uuid}"))
    finally:
        SMARTCTL.unlink()


def test_the_writer_saw_nothing_of_it():
    writer.end()
    agent.ctl("volume", "detach", "db1")
    agent.ctl("volume", "delete", "db1")
    for name in disks:
        agent.ctl("store", "remove", name)


try:
    setup()
    ktap.main(globals())
except BaseException as e:
    if not isinstance(e, SystemExit) or e.code:
        ktap.note(agent.log()[-6000:])
    raise
finally:
    teardown()
