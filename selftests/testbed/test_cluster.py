#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: cluster
# KVER: 6.1 6.12
# TIMEOUT: 2700
# TAGS: testbed slow
"""Nodes can be frozen, killed, robbed of power and cut off, as promised."""

import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import boot
import cluster
import ktap
import vm
from vm import wait_for

BLOCK = 64 << 10


def reaches(source, target):
    """Whether a packet gets there and back."""
    return source.run(f"ping -c 3 -i 0.5 -W 2 {target.address}").rc == 0


def write(node, index, text, flush):
    """Fill block `index` of the first data disk, with a flush or without."""
    node.run(f"yes {text} | dd of={node.disk(0)} bs={BLOCK} count=1 "
             f"seek={index} iflag=fullblock oflag=direct status=none "
             + ("conv=notrunc,fsync" if flush else "conv=notrunc"),
             check=True)


def read(node, index):
    """The text that write() filled the block with, or ""."""
    text = node.out(f"dd if={node.disk(0)} bs={BLOCK} count=1 skip={index} "
                    "iflag=direct status=none | tr -d '\\0'")
    lines = text.splitlines()[:-1]
    if len(set(lines)) > 1:
        raise vm.TestbedError(f"{node}: block {index} is mixed: {set(lines)}")
    return lines[0] if lines else ""


def test_network(c):
    n1, n2, n3 = c.nodes
    ktap.check_eq("names", "n1 n2 n3", " ".join(
        result.out.strip() for result in c.run("hostname")))
    ktap.check("by name", n1.run("ping -c 3 -W 5 n3").rc == 0)
    ktap.check("no other network",
               n1.run("ping -c 1 -W 1 192.0.2.1").rc != 0)
    n1.cut()
    ktap.check("cable", not reaches(n2, n1) and reaches(n2, n3))
    ktap.check_eq("unnoticed", "1", n1.out("cat /sys/class/net/eth0/carrier"))
    n1.heal()
    wait_for(lambda: reaches(n2, n1), 20, "healed cable")
    c.partition([n1, n2], [n3])
    ktap.check("partition", reaches(n1, n2) and not reaches(n1, n3)
               and not reaches(n3, n2))
    c.heal()
    wait_for(lambda: reaches(n3, n1), 20, "healed partition")


def test_one_way(c):
    n1, n2, n3 = c.nodes
    received = "cat /sys/class/net/eth0/statistics/rx_packets"
    n1.cut_to(n2)
    ktap.check("cut", not reaches(n1, n2) and reaches(n1, n3))
    before = int(n1.out(received))
    n2.run(f"ping -c 3 -i 0.3 -W 1 {n1.address}")
    ktap.check("packets still arrive", int(n1.out(received)) >= before + 3)
    n1.heal_to(n2)
    ktap.check("healed", reaches(n1, n2))
    c.cut_link(n2, n3)
    ktap.check("link", not reaches(n2, n3) and reaches(n1, n2)
               and reaches(n1, n3))
    c.heal()
    ktap.check("healed link", reaches(n2, n3))


def test_delay(c):
    n1, n2, _ = c.nodes
    n1.delay(300)
    last = n1.out(f"ping -c 3 {n2.address} | tail -n 1")
    fastest = float(last.split("=")[1].split("/")[0])
    ktap.check("delayed", 300 <= fastest < 900, last)
    c.heal()
    last = n1.out(f"ping -c 3 {n2.address} | tail -n 1")
    ktap.check("not any more", float(last.split("=")[1].split("/")[0]) < 300,
               last)


def test_freeze(c):
    n1, n2, _ = c.nodes
    before = float(n1.out("cut -d' ' -f1 /proc/uptime"))
    ticker = n1.spawn("while :; do echo; sleep 0.2; done")
    wait_for(lambda: ticker.out, 10, "first tick")
    # A processor that does nothing for twice as long is a fault otherwise.
    n1.run("echo 2 > /proc/sys/kernel/watchdog_thresh", check=True)
    n1.freeze()
    ktap.check("does not answer", not reaches(n2, n1))
    count = len(ticker.out)     # what was on its way is here by now
    time.sleep(5)  # the clock must have something to jump over
    ktap.check_eq("does not run", count, len(ticker.out))
    n1.thaw()
    n1.run("echo 10 > /proc/sys/kernel/watchdog_thresh", check=True)
    ktap.check_eq("soft lockups are looked for", "1",
                  n1.out("cat /proc/sys/kernel/soft_watchdog"))
    wait_for(lambda: len(ticker.out) > count, 20, "tick after the thaw")
    after = float(n1.out("cut -d' ' -f1 /proc/uptime"))
    ktap.check("clock has jumped", after - before >= 5, f"{before} {after}")
    ticker.kill()


def test_kill_keeps_cache(c):
    n1 = c.nodes[0]
    write(n1, 0, "flushed", True)
    write(n1, 1, "unflushed", False)
    n1.run("echo kept > /var/lib/hcivol/file; sync", check=True)
    running = n1.spawn("sleep 100")
    n1.kill()
    ktap.check_raises("command ends", vm.GuestDied, lambda: running.wait(5))
    ktap.check_raises("no commands", vm.GuestDied, lambda: n1.run("true"))
    n1.start()
    ktap.check_eq("flushed", "flushed", read(n1, 0))
    ktap.check_eq("unflushed", "unflushed", read(n1, 1))
    ktap.check_eq("state", "kept", n1.read_file("/var/lib/hcivol/file").strip())


def test_power_cut_drop(c):
    n1 = c.nodes[0]
    write(n1, 0, "old", True)
    write(n1, 1, "new", True)
    write(n1, 0, "newer", False)
    write(n1, 2, "unflushed", False)
    ktap.check_eq("reads see it", "newer", read(n1, 0))
    ktap.check("something to lose", n1.disk_stats(0)[0] >= 2)
    lost = n1.power_cut("drop")
    ktap.check("lost", lost >= 2, str(lost))
    n1.start()
    ktap.check_eq("old content is back", "old", read(n1, 0))
    ktap.check_eq("flushed is there", "new", read(n1, 1))
    ktap.check_eq("unflushed is gone", "", read(n1, 2))


def test_power_cut_random(c):
    n1 = c.nodes[0]
    write(n1, 10, "base", True)
    for index in range(11, 31):
        write(n1, index, "unflushed", False)
    n1.power_cut("random", seed=1)
    n1.start()
    ktap.check_eq("flushed is there", "base", read(n1, 10))
    sectors = n1.out(f"dd if={n1.disk(0)} bs={BLOCK} skip=11 count=20 "
                     "iflag=direct status=none | tr -d '\\0' | wc -c")
    ktap.check("some kept, some lost", 0 < int(sectors) < 20 * BLOCK, sectors)


def test_reboot(c):
    n2 = c.nodes[1]
    write(n2, 0, "before", False)
    boot_id = n2.read_file("/proc/sys/kernel/random/boot_id")
    n2.reboot()
    ktap.check("booted anew",
               n2.read_file("/proc/sys/kernel/random/boot_id") != boot_id)
    ktap.check_eq("data", "before", read(n2, 0))
    n2.restart()
    ktap.check("reachable", reaches(c.nodes[2], n2))


def test_bad_disk(c):
    n3 = c.nodes[2]
    write(n3, 0, "good", True)
    n3.disk_fail(0, "write")
    ktap.check_raises("write", vm.CommandFailed,
                      lambda: write(n3, 0, "bad", False))
    ktap.check_eq("read", "good", read(n3, 0))
    n3.disk_fail(0, "none")
    n3.disk_hold(0)
    hung = n3.spawn(f"dd if={n3.disk(0)} of=/dev/null bs=4k count=1 "
                    "iflag=direct status=none")
    ktap.check("hangs", not hung._done.wait(2))
    n3.disk_hold(0, False)
    ktap.check_eq("goes on", 0, hung.wait(30).rc)


def test_etcd(c):
    urls = c.start_etcd()
    n1, n2, n3 = c.nodes
    ctl = f"{boot.CACHE}/etcd/usr/bin/etcdctl --endpoints {urls} " \
        "--dial-timeout=60s --command-timeout=60s"
    n1.out(f"ETCDCTL_API=3 {ctl} put key value", timeout=120)
    n1.power_cut()
    wait_for(n2.etcd_healthy, 60, "etcd with two of three members", 0.5)
    n1.start()
    n1.start_etcd(c.nodes)
    wait_for(n1.etcd_healthy, 60, "third member back", 0.5)
    ktap.check_in("kept", "value", n1.out(
        f"ETCDCTL_API=3 {ctl} get key", timeout=120))
    c.each(lambda node: node.stop_etcd())


def test_console(c):
    n3 = c.nodes[2]
    n3.run("echo '<4>WARNING: made up' > /dev/kmsg", check=True)
    n3.sync_console()
    faults = c.faults()
    ktap.check_eq("found once", 1, len(faults))
    ktap.check_in("which", "n3: ", faults[0])
    ktap.check_eq("not again", [], c.faults())


def test_nothing_outlives_us(_):
    code = ("import sys, cluster\n"
            "c = cluster.Cluster(nodes=1)\n"
            "c.nodes[0].start_nowait()\n"
            "print(c.dir, c.net.pid, c.nodes[0].qemu.pid,\n"
            "      *(d.server.pid for d in c.nodes[0].volatile.values()))\n"
            "sys.stdout.flush()\n"
            "input()\n")
    env = os.environ | {"PYTHONPATH": str(boot.LIB)}
    with subprocess.Popen([sys.executable, "-B", "-c", code], env=env,
                          text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as child:
        folder, *pids = child.stdout.readline().split()
        ktap.check_eq("processes", 4, len(pids))
        child.kill()
    for pid in pids:
        wait_for(lambda pid=pid: not os.path.exists(f"/proc/{pid}"), 10,
                 f"end of process {pid}")
    subprocess.run(["rm", "-r", folder], check=True)


class Booted(cluster.Cluster):
    """A cluster that is up when the `with` block begins."""

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self


ktap.main(globals(), Booted(nodes=3, disks=1, disk_size="1G"))
