#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: cluster
# TIMEOUT: 2700
# TAGS: slow
"""How fast a replica is recovered: idle, under load, and idle again.

Thresholds and limits are made from what this machine does alone: the guest's
rate without recovery, and recovery's without a guest. Mode AUTO must then be at
its highest limit when idle, at its lowest within a period of load, and come
back step by step. A pause keeps what was copied, and lets a replica join to
which nothing has to be copied. The trace of AUTO is left in
build/throttle-KVER.json, of which tools/dev/throttle-plot makes a picture; what
the guest keeps in each mode in build/throttle-kept-KVER.json.
"""

import contextlib
import itertools
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
import ktap
from hcvcluster import ctl, ctl_json, sh, volume, wait_insync
from vm import wait_for

KIB, MIB = 1 << 10, 1 << 20
NAME = "db1"
DEV = hcvcluster.device(NAME)
DIV = int(os.environ.get("HCV_SIZE_DIV", "1"))
DATA = max(128, 256 // DIV) * MIB
LOAD = 64 * MIB         # the part that the load writes
LOAD_S = 48
PERIOD_S, LOOK_S = 4, 1
PAUSED = 0xFFFFFFFF     # HCV_SYNC_PAUSED
STATIC_KIBPS = 500 * KIB
# What a climb, an idle while, a load and a second climb copy, in seconds of
# the highest limit: it must not be over before.
COPIED_S = 75
INSPECT = boot.TREE / "build/bin/hcivol-inspect"
KVER = os.environ.get("KVER", "6.1")
TRACE = boot.TREE / f"build/throttle-{KVER}.json"
KEPT = boot.TREE / f"build/throttle-kept-{KVER}.json"
# Three lines a sample, whatever there is at the moment.
SAMPLER = f"""
while :; do
	cut -d' ' -f1 /proc/uptime
	cat "/sys/block/$(basename "$(readlink -f {DEV})")/stat" 2>/dev/null ||
		echo 0 0 0 0 0
	agentctl --json recovery status | tr -d '\\n'
	echo
	sleep 0.3
done
"""


# --- what is seen

class Samples:
    """Time, writes of the guest, limit and copied bytes, all the time."""

    def __init__(self, c):
        self.cmd = c.n1.spawn(SAMPLER)

    def all(self):
        lines = self.cmd.out.splitlines()
        out = []
        for at, stat, status in zip(lines[::3], lines[1::3], lines[2::3]):
            with contextlib.suppress(ValueError, KeyError):
                out.append(sample(float(at), stat, json.loads(status)))
        return out

    def end(self):
        self.cmd.kill()
        self.cmd.wait(30)
        return self.all()


def sample(at, stat, status):
    copies = [r for r in status["replicas"] if "sync_copied" in r]
    return {"t": at, "writes": int(stat.split()[4]),
            "limit_kibps": status["limit_kibps"], "why": status["reason"],
            "copied": sum(r["sync_copied"] for r in copies),
            "copying": bool(copies)}


@contextlib.contextmanager
def sampling(c):
    """A list that has all samples after the block."""
    samples, out = Samples(c), []
    try:
        yield out
    finally:
        out += samples.end()


def steps(samples):
    """(time, limit) of the first sample and of each with another limit."""
    return [(s["t"], s["limit_kibps"]) for before, s in
            zip([None, *samples], samples)
            if not before or before["limit_kibps"] != s["limit_kibps"]]


def widest(samples):
    """Seconds between two samples, at most: what cannot be told exactly."""
    return max(b["t"] - a["t"] for a, b in itertools.pairwise(samples))


def rate_kibps(samples):
    """What was copied in a second, of samples of one resync."""
    first, last = samples[0], samples[-1]
    return ((last["copied"] - first["copied"]) / KIB /
            max(last["t"] - first["t"], 0.1))


# --- what is done

@contextlib.contextmanager
def ready():
    """Three nodes and a volume with data, attached on n1."""
    with cluster.Cluster(nodes=3, disks=1, disk_size="4G", mem=1280) as c:
        try:
            c.start()
            c.n1 = c.nodes[0]
            urls = hcvcluster.start_etcd(c)
            c.each(hcvcluster.start_node)
            hcvcluster.form(c, urls, disk_class="hdd")
            ctl(c.n1, f"volume create {NAME} 2G --replicas 2")
            ctl(c.n1, f"volume attach {NAME}")
            sh(c.n1, f"fio --name=fill --filename={DEV} --rw=write --bs=1M "
                     f"--size={DATA} --direct=1 --ioengine=libaio "
                     "--iodepth=4 --end_fsync=1 --randseed=5", 600)
            yield c
            everything_equal(c)
            hcvcluster.stop_nodes(c.nodes)
        except Exception:
            for node in c.nodes:
                ktap.note(hcvcluster.explain(node))
            raise


def everything_equal(c):
    """At full speed to the end, detached in order: both stores are equal."""
    reset(c)
    shown = wait_insync(c.n1, NAME, 600)
    ctl(c.n1, f"volume detach {NAME}")
    images = [c[r["node"]].rundir / "data0.img"
              for r in shown["replica_list"]]
    done = subprocess.run([INSPECT, "check", "--data", *images], check=False,
                          text=True, capture_output=True)
    ktap.check("the stores are equal", done.returncode == 0,
               done.stdout[-2000:] + done.stderr)


def settings(c, **values):
    for key, value in values.items():
        ctl(c.n1, f"recovery set {key.replace('_', '-')}={value}")


def reset(c):
    """Nothing in the way of a resync."""
    ctl(c.n1, "recovery resume")
    settings(c, mode="static", limit=f"{STATIC_KIBPS}K")


def make_stale(c):
    """One replica is away while all of DATA is written anew."""
    away = replica_node(c)
    away.cut()
    wait_for(lambda: hcvcluster.replicas(c.n1, NAME)[away.name] == "stale", 60,
             "stale replica")
    sh(c.n1, f"fio --name=anew --filename={DEV} --rw=write --bs=1M "
             f"--size={DATA} --direct=1 --ioengine=libaio --iodepth=4 "
             "--end_fsync=1", 600)
    return away


def comes_back(c, away):
    """It is there again, and what it missed is copied to it."""
    away.heal()
    wait_for(lambda: any("sync_copied" in r for r in
                         ctl_json(c.n1, "recovery status")["replicas"]),
             150, "a resync")


def fio(node, seconds, more="", device=DEV):
    """4 KiB random writes; the command, which prints JSON."""
    return node.spawn(f"fio --name=load --filename={device} --size={LOAD} "
                      "--rw=randwrite --bs=4k --direct=1 --ioengine=libaio "
                      f"--iodepth=8 --time_based --runtime={seconds} "
                      f"--output-format=json {more}")


def replica_node(c):
    """The node with the replica that is not on n1."""
    return next(c[r["node"]] for r in volume(c.n1, NAME)["replica_list"]
                if r["node"] != "n1")


def iops_of(command):
    done = command.wait(LOAD_S * 3 + 60)
    if done.rc:
        raise RuntimeError(f"fio: {command.out}{command.err}")
    text = command.out
    return json.loads(text[text.index("{"):])["jobs"][0]["write"]["iops"]


def measure_alone(c):
    """IOPS of the guest and KiB/s of recovery, each by itself; once."""
    if hasattr(c, "alone"):
        return c.alone
    reset(c)
    wait_insync(c.n1, NAME, 600)
    # Whoever looks on costs an emulated node as much as either.
    with sampling(c):
        iops = iops_of(fio(c.n1, LOAD_S))
    away = make_stale(c)
    with sampling(c) as samples:
        comes_back(c, away)
        wait_insync(c.n1, NAME, 600)
    kibps = rate_kibps([s for s in samples if s["copying"]])
    ktap.note(f"alone: {iops:.0f} IOPS; recovery {kibps / KIB:.1f} MiB/s")
    c.alone = iops, kibps
    return c.alone


def keep(c, mode, iops, kibps):
    """Write down what the guest and recovery had at the same time."""
    c.kept = getattr(c, "kept", {})
    c.kept[mode] = {"iops": iops, "kibps": kibps}
    KEPT.write_text(json.dumps({
        "kver": KVER, "iops": c.alone[0], "kibps": c.alone[1],
        "modes": c.kept}, indent=1) + "\n")
    kept = iops / c.alone[0]
    ktap.note(f"{mode}: the guest kept {kept:.0%} of its rate beside "
              f"{kibps:.0f} KiB/s")
    return kept


def scaled_auto(c):
    """Mode AUTO with the reference's ratios; (lowest, highest) in KiB/s."""
    iops, kibps = measure_alone(c)
    highest = int(min(0.8 * kibps, DATA / KIB / COPIED_S))
    lowest = max(highest // 5, 64)
    # A mode begins at its lowest limit: set last, and not the one before.
    reset(c)
    wait_limit(c, STATIC_KIBPS)
    settings(c, iops=max(int(iops / 3), 1), bandwidth="64G",
             recovery_min="64K")
    settings(c, recovery_max=f"{highest}K")
    settings(c, recovery_min=f"{lowest}K")
    settings(c, mode="auto")
    ktap.note(f"scaled: threshold {iops / 3:.0f} IOPS, limits {lowest} to "
              f"{highest} KiB/s")
    return lowest, highest


def wait_limit(c, kibps):
    wait_for(lambda: ctl_json(c.n1, "recovery status")["limit_kibps"] == kibps,
             150, f"limit of {kibps} KiB/s", 0.3)


# --- AUTO

def test_idle_load_idle(c):
    lowest, highest = scaled_auto(c)
    away = make_stale(c)
    wait_limit(c, lowest)
    with sampling(c) as samples:
        comes_back(c, away)
        wait_limit(c, highest)
        time.sleep(2 * PERIOD_S)        # the time at full speed is measured
        iops = iops_of(fio(c.n1, LOAD_S))
        wait_limit(c, highest)
        time.sleep(PERIOD_S)            # the same
    TRACE.write_text(json.dumps({
        "title": "AUTO on the test bed", "min_kibps": lowest,
        "max_kibps": highest, "samples": samples}))
    under = check_trace(samples, c.alone[0], lowest, highest)
    kept = keep(c, "auto", iops, rate_kibps(under))
    ktap.check("the guest keeps 80 % of its rate", kept >= 0.8,
               f"{kept:.0%}: {iops:.0f} of {c.alone[0]:.0f} IOPS")
    ktap.check("it was not over before", samples[-1]["copying"])


def loaded(samples, iops):
    """Places between which the guest wrote."""
    busy = [i for i, (a, b) in enumerate(itertools.pairwise(samples))
            if (b["writes"] - a["writes"]) / (b["t"] - a["t"]) > 0.3 * iops]
    return busy[0], busy[-1] + 1


def check_trace(samples, iops, lowest, highest):
    begin, end = loaded(samples, iops)
    slack = widest(samples)
    idle = [s for s in samples[:begin] if s["limit_kibps"] == highest]
    fell = next(i for i, s in enumerate(samples)
                if i > begin and s["limit_kibps"] == lowest)
    after = samples[fell]["t"] - samples[begin]["t"]
    under = samples[fell + 2:end]
    ktap.note(f"idle {rate_kibps(idle):.0f} KiB/s; fell {after:.1f} s after "
              f"the load began (samples {slack:.1f} s apart); under load "
              f"{rate_kibps(under):.0f} KiB/s")
    ktap.check("idle at the highest limit", rate_kibps(idle) > 0.8 * highest)
    ktap.check("fell within a period",
               after <= PERIOD_S + LOOK_S + 2 * slack, f"{after:.1f} s")
    ktap.check("at once to the lowest", all(
        s["limit_kibps"] in (lowest, highest)
        for s in samples[begin:fell + 1]), str(steps(samples)))
    ktap.check("stays there", all(s["limit_kibps"] == lowest for s in under),
               str(steps(samples)))
    ktap.check("and runs no faster", rate_kibps(under) <= 1.15 * lowest)
    ktap.check("but gets on", rate_kibps(under) >= 0.2 * lowest)
    check_climb("up", samples[:begin], lowest, highest, slack)
    check_climb("back up", samples[fell:], lowest, highest, slack)
    return samples[begin:end]


def check_climb(name, samples, lowest, highest, slack):
    """Each step is the rule's, a period after the one before."""
    went = steps(samples)
    want = [lowest]
    while want[-1] < highest:
        want.append(min(want[-1] * 3 // 2, highest))
    got = [limit for _, limit in went]
    ktap.check(f"{name}: the steps", want == got[got.index(lowest):],
               f"{got}, wanted {want}")
    for (a, _), (b, limit) in itertools.pairwise(went[got.index(lowest):]):
        # From the lowest one as soon as the load is gone.
        if limit != want[1]:
            ktap.check(f"{name}: a period before {limit}",
                       b - a >= PERIOD_S - 0.3 - 2 * slack, f"{b - a:.1f} s")


def test_load_at_the_other_end(c):
    """The guests of the node that gets the copies count as well."""
    lowest, highest = scaled_auto(c)
    ctl(c.n1, "recovery pause")
    away = make_stale(c)
    comes_back(c, away)
    ctl(away, "volume create db2 256M --replicas 1")
    ctl(away, "volume attach db2")
    ctl(c.n1, "recovery resume")
    wait_limit(c, highest)
    load = fio(away, LOAD_S, device=hcvcluster.device("db2"))
    wait_limit(c, lowest)
    ktap.check("while it goes on", load.running)
    ktap.check_match("says who", f"node {away}, which gets the copies",
                     ctl(c.n1, "recovery status"))
    iops_of(load)
    wait_limit(c, highest)
    ctl(away, "volume detach db2")
    ctl(away, "volume delete db2")


# --- what an operator says

def copied(c):
    return sum(r.get("sync_copied", 0) for r in
               ctl_json(c.n1, "recovery status")["replicas"])


def standstill(c):
    """Wait until the module has the pause and the last piece has ended; bytes
    copied until then, and not one more while some should have been."""
    wait_for(lambda: volume(c.n1, NAME)["module"]["sync_kibps"] == PAUSED, 30,
             "the pause in the module")
    seen = [copied(c)]

    def stands():
        time.sleep(LOOK_S)
        seen.append(copied(c))
        return seen[-1] == seen[-2]

    wait_for(stands, 60, "standstill")
    time.sleep(PERIOD_S)                # in which something would be copied
    ktap.check_eq("stands still", seen[-1], copied(c))
    return seen[-1]


def test_pause(c):
    """Nothing is copied, nothing is lost; a volume's own limit counts."""
    measure_alone(c)
    reset(c)
    wait_insync(c.n1, NAME, 600)
    settings(c, limit="1M")
    comes_back(c, make_stale(c))
    wait_for(lambda: copied(c) >= 4 * MIB, 60, "4 MiB")
    ctl(c.n1, f"volume set {NAME} sync-kibps=200")
    wait_for(lambda: volume(c.n1, NAME)["module"]["sync_kibps"] == 200, 30,
             "the volume's own limit")
    ktap.check_match("says whose it is", "the volume's own limit",
                     volume(c.n1, NAME)["sync_limit"]["reason"])
    ctl(c.n1, f"volume set {NAME} sync-kibps=0")
    ctl(c.n1, "recovery pause")
    had = standstill(c)
    ktap.check_match("says why", "paused in the cluster",
                     ctl(c.n1, f"volume show {NAME}"))
    sh(c.n1, f"dd if=/dev/urandom of={DEV} bs=1M count=4 oflag=direct "
             "conv=fsync status=none", 120)
    ktap.check_eq("writes are no copies", had, copied(c))
    ctl(c.n1, "recovery resume")
    wait_for(lambda: copied(c) > had, 60, "progress")
    reset(c)
    shown = wait_insync(c.n1, NAME, 600)
    total = max(r.get("sync_copied", 0) for r in shown["replica_list"])
    ktap.check("copied once", total <= DATA + 8 * MIB, f"{total >> 20} MiB")
    ktap.check_eq("events", ["paused", "resumed"], [
        text.split()[0] for text in events(c) if
        text.startswith(("paused in", "resumed in"))][-2:])


def events(c):
    text = ctl(c.n1, "--json events")
    return [e["text"] for e in map(json.loads, text.splitlines())
            if e["object"] == "recovery"]


def test_pause_lets_join(c):
    """A short absence without a write: in-sync again, though paused."""
    reset(c)
    wait_insync(c.n1, NAME, 600)
    away = replica_node(c)
    sh(c.n1, f"dd if=/dev/urandom of={DEV} bs=4k count=1 oflag=direct "
             "conv=fsync status=none", 60)
    wait_for(lambda: not volume(c.n1, NAME)["module"]["unflushed_bytes"], 60,
             "all flushed")
    ctl(c.n1, "recovery pause")
    away.cut()
    wait_for(lambda: hcvcluster.replicas(c.n1, NAME)[away.name] == "stale", 60,
             "stale replica")
    away.heal()
    shown = wait_insync(c.n1, NAME, 150)
    ktap.check("is paused", shown["sync_limit"]["paused"])
    ktap.check_eq("nothing was copied", 0, max(
        r.get("sync_copied", 0) for r in shown["replica_list"]
        if r["node"] == away.name))
    ctl(c.n1, "recovery resume")


# --- LATENCY

def test_latency(c):
    """Never below the floor, and it gets on; what it does is told."""
    measure_alone(c)
    reset(c)
    wait_insync(c.n1, NAME, 600)
    # What make_stale() writes is not what latencies are compared with.
    away = make_stale(c)
    settings(c, recovery_max=f"{int(c.alone[1])}K", mode="latency",
             latency_factor=2, latency_floor="256K")
    comes_back(c, away)
    with sampling(c) as samples:
        command = fio(c.n1, 60, "--rate_iops=100")
        wait_for(lambda: not command.running, 180, "end of the load")
    iops_of(command)
    limits = [s["limit_kibps"] for s in samples if s["copying"]]
    ktap.note(f"limits {min(limits)} to {max(limits)} KiB/s; "
              f"{sorted({s['why'] for s in samples})}")
    ktap.check("never below the floor", min(limits) >= 256, str(limits))
    ktap.check("it gets on", rate_kibps(
        [s for s in samples if s["copying"]]) >= 128)


# --- what the guest keeps in the others

def loaded_rate(c, **values):
    """What the guest and recovery get at the same time, for LOAD_S."""
    away = make_stale(c)
    settings(c, **values)
    comes_back(c, away)
    with sampling(c) as samples:
        wait_for(lambda: copied(c) > 0, 60, "progress")
        iops = iops_of(fio(c.n1, LOAD_S))
    samples = [s for s in samples if s["copying"]]
    begin, end = loaded(samples, c.alone[0] / 3)
    return iops, rate_kibps(samples[begin:end + 1])


def test_kept_static(c):
    """As fast as the limit says, whatever the guest feels."""
    measure_alone(c)
    reset(c)
    wait_insync(c.n1, NAME, 600)
    keep(c, "static", *loaded_rate(
        c, limit=f"{int(DATA / KIB / COPIED_S)}K"))


def test_kept_latency(c):
    measure_alone(c)
    reset(c)
    wait_insync(c.n1, NAME, 600)
    keep(c, "latency", *loaded_rate(
        c, recovery_max=f"{int(DATA / KIB / COPIED_S)}K",
        mode="latency", latency_factor=2, latency_floor="256K"))


if __name__ == "__main__":
    ktap.main(globals(), ready())
