# SPDX-License-Identifier: GPL-2.0-only
"""Several guests with a private network and disks that survive restarts.

    with cluster.Cluster(nodes=3, disks=2) as c:
        c.start()
        n1, n2, n3 = c.nodes
        c.start_etcd()
        n1.run("agentctl cluster status", check=True)
        n2.power_cut()
        n2.start()

The bridge and the taps lie in a network namespace that nothing else leads
to. It belongs to a process of ours and goes away with it; so does every QEMU,
even when this process is killed. When the `with` block ends without an
exception, the consoles are looked through, hcivol has to unload, and Faults
is raised if anything is found.

Ways to hurt a node, and what its disks keep:

    freeze(), thaw()      the guest stops and goes on; its clock jumps
    kill()                QEMU is killed; all written data are kept
    power_cut("drop")     and nothing that was not flushed is kept
    power_cut("random")   and a random part of what was not flushed is kept
    power_cut("prefix")   and the first part of it is kept
    reboot()              sync, orderly end, boot
    cut(), heal()         its network cable
    cut_to(), heal_to()   packets from it to one other node, one way only
    delay()               packets from it
    disk_fail(), disk_hold()   one of its disks returns errors, or hangs
    disk_lie()            one of its disks makes nothing durable at a FLUSH
"""

import concurrent.futures
import os
import random
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import boot
import checks
import console
import vm
from vm import TestbedError, wait_for

NET = "10.77.0"
ETCD_PORT = 2379
ETCD_PEER_PORT = 2380
BESIDE = "6.12"         # what the other nodes run if n1 runs the debug kernel


class Faults(TestbedError):
    """Consoles or module unloading showed faults."""


class NetNamespace:
    """A network namespace with bridges and taps, held by a process of ours."""

    def __init__(self):
        self.holder = vm.spawn_process(
            ["unshare", "-n", "sh", "-c", "echo; exec sleep infinity"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        # The line says that the process is in its new namespace.
        if not self.holder.stdout.readline():
            raise TestbedError("cannot make a network namespace "
                               "(are you root?)")
        self.pid = self.holder.pid

    def ip(self, *commands):
        """Run commands of ip(8), all of which must succeed."""
        result = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-n", "ip", "-batch", "-"],
            input="\n".join(commands) + "\n", text=True, check=False,
            stderr=subprocess.PIPE)
        if result.returncode:
            raise TestbedError(f"ip: {result.stderr.strip()}: {commands}")

    def add_bridge(self, name):
        """A bridge without an address, so that no packet leaves it."""
        self.ip(f"link add {name} type bridge stp_state 0 mcast_snooping 0",
                f"link set {name} up")

    def close(self):
        """End the holder, and with the last process the namespace."""
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class VolatileDisk:
    """A disk file behind host/hcv-nbd.c, which can lose unflushed writes."""

    def __init__(self, path, sector):
        self.path = path
        self.socket = path.with_suffix(".sock")
        self._lock = threading.Lock()
        self.server = vm.spawn_process(
            [boot.helper("hcv-nbd"), self.socket, path, sector],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer("start")

    def ask(self, command):
        """Send one command to the server; returns the words of its answer."""
        with self._lock:
            self.server.stdin.write(command + "\n")
            self.server.stdin.flush()
            return self._answer(command)

    def _answer(self, command):
        answer = self.server.stdout.readline().split()
        if answer[:1] != ["ok"]:
            raise TestbedError(f"{self.path}: {command}: "
                               + (" ".join(answer) or "the server ended"))
        return answer[1:]

    def close(self):
        """End the server."""
        self.server.stdin.close()
        try:
            self.server.wait(10)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        self.server.stdout.close()


class Node(vm.Guest):
    """A guest of a cluster. start() boots it again after any kind of end."""

    def __init__(self, cluster, number, kernel, mem, **kwargs):
        if kernel.kver == "debug":
            mem = max(mem, 2048)
        self.cluster = cluster
        self.number = number
        self.address = f"{NET}.{number}"
        self.volatile = {}
        self.state = "never started"
        self._cut_to = set()
        self._delay = None
        name = f"n{number}"
        rundir = cluster.dir / name
        rundir.mkdir(exist_ok=True)
        super().__init__(
            kernel, name=name, rundir=rundir, netns=cluster.net.pid,
            tap=f"tap{number}", mac=f"52:54:00:77:00:{number:02x}",
            addr=f"{self.address}/24", hosts=cluster.hosts,
            state_disk="hcvstate", mem=mem, **kwargs)
        self.disks = [self._make_disk("hcvstate", cluster.state_size, 512)]
        mkfs = subprocess.run(
            ["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-E",
             "lazy_itable_init=1,nodiscard",
             rundir / "hcvstate.img"], check=False, capture_output=True,
            text=True)
        if mkfs.returncode:
            raise TestbedError(f"mke2fs: {mkfs.stderr.strip()}")
        for index in range(cluster.disk_count):
            self.disks.append(self._make_disk(f"data{index}",
                                              cluster.disk_size, cluster.lbs))

    def _make_disk(self, serial, size, lbs):
        path = self.rundir / f"{serial}.img"
        with open(path, "wb") as image:
            image.truncate(size)
        disk = vm.Disk(path=path, serial=serial, lbs=lbs)
        if self.cluster.volatile:
            self.volatile[serial] = VolatileDisk(path, lbs)
            disk.nbd = self.volatile[serial].socket
        return disk

    def __str__(self):
        return self.name

    # --- disks

    def disk(self, index):
        """Device of data disk `index` inside the guest: vda is the state."""
        return f"/dev/vd{chr(ord('b') + index)}"

    def _volatile(self, index):
        try:
            return self.volatile[f"data{index}"]
        except KeyError:
            raise TestbedError(f"{self.name}: no volatile disk {index}"
                               ) from None

    def disk_fail(self, index, what):
        """Answer requests to a data disk with an error from now on.

        what: "read", "write" (and flush), "all" or "none".
        """
        self._volatile(index).ask(f"fail {what}")

    def disk_hold(self, index, hold=True):
        """Have a data disk hang, or go on."""
        self._volatile(index).ask(f"hold {'on' if hold else 'off'}")

    def disk_lie(self, index, lie=True):
        """Have a data disk answer FLUSH and FUA without doing it, or do it."""
        self._volatile(index).ask(f"lie {'on' if lie else 'off'}")

    def disk_stats(self, index):
        """(changes, bytes) not flushed yet and number of flushes so far."""
        return tuple(map(int, self._volatile(index).ask("stats")))

    # --- life

    def wait_ready(self, limit=vm.BOOT_LIMIT):
        super().wait_ready(limit)
        self.state = "running"
        self._apply_rules()

    def kill(self):
        """End QEMU at once; all that was written to the disks is kept."""
        super().kill()
        if self.state != "never started":
            self.state = "killed"

    def shutdown(self, limit=60):
        """Sync and power off."""
        super().shutdown(limit)
        self.state = "off"

    def power_cut(self, mode="drop", seed=None):
        """End QEMU at once; unflushed writes to the disks are lost.

        mode: "drop" loses all of them, "random" some (single sectors, too),
        "prefix" the latest. Returns how many changes did not arrive in full.
        """
        if not self.volatile:
            raise TestbedError("power_cut() needs Cluster(volatile=True)")
        self.kill()
        if mode != "drop":
            seed = random.randrange(1 << 31) if seed is None else seed
            print(f"# {self.name}: power cut {mode} {seed}", flush=True)
            mode = f"{mode} {seed}"
        return sum(int(disk.ask(f"cut {mode}")[0])
                   for disk in self.volatile.values())

    def reboot(self, limit=vm.BOOT_LIMIT):
        """End in order and boot again."""
        self.shutdown()
        self.start(limit)

    def restart(self, limit=vm.BOOT_LIMIT):
        """Kill if it runs, and boot again."""
        self.kill()
        self.start(limit)

    def freeze(self):
        """Stop the guest in its tracks; its clock will jump at thaw()."""
        super().freeze()
        self.state = "frozen"

    def thaw(self):
        """Let a frozen guest go on."""
        super().thaw()
        self.state = "running"

    # --- network

    def cut(self):
        """Pull the cable: nothing in or out. The guest sees no event."""
        self.cluster.net.ip(f"link set {self.tap} down")

    def heal(self):
        """Plug the cable in again and undo cut_to() and delay()."""
        self.cluster.net.ip(f"link set {self.tap} up")
        self._cut_to.clear()
        self._delay = None
        if self.state == "running" and self.alive:
            self._apply_rules(clear=True)

    def cut_to(self, other):
        """Drop packets from this node to another; the way back stays open."""
        self._cut_to.add(other.address)
        self._apply_rules(clear=True)

    def heal_to(self, other):
        """Undo cut_to()."""
        self._cut_to.discard(other.address)
        self._apply_rules(clear=True)

    def delay(self, ms, jitter_ms=0, loss_percent=0):
        """Delay (and lose some of) all packets that this node sends."""
        self._delay = (ms, jitter_ms, loss_percent)
        self._apply_rules(clear=True)

    def _apply_rules(self, clear=False):
        """Set up the guest's own traffic control, again after a boot."""
        lines = []
        if clear:
            lines.append("tc qdisc del dev eth0 root 2>/dev/null || true\n"
                         "tc qdisc del dev eth0 clsact 2>/dev/null || true")
        if self._delay:
            ms, jitter, loss = self._delay
            lines.append(f"tc qdisc add dev eth0 root netem limit 100000 "
                         f"delay {ms}ms {jitter}ms loss {loss}%")
        if self._cut_to:
            lines.append("tc qdisc add dev eth0 clsact")
        for address in sorted(self._cut_to):
            lines.append("tc filter add dev eth0 egress protocol ip flower "
                         f"dst_ip {address} action drop")
        if lines:
            self.run("set -e\n" + "\n".join(lines), check=True, cwd="/")

    # --- etcd

    @property
    def etcd_url(self):
        """Client URL of this node's etcd member."""
        return f"http://{self.address}:{ETCD_PORT}"

    def start_etcd(self, initial_cluster, args=()):
        """Start the etcd member of this node; its data survive restarts.

        initial_cluster: the nodes that are members. See wait_etcd().
        """
        peers = ",".join(f"{node.name}=http://{node.address}:{ETCD_PEER_PORT}"
                         for node in initial_cluster)
        own_peer = f"http://{self.address}:{ETCD_PEER_PORT}"
        binary = boot.CACHE / "etcd/usr/bin/etcd"
        if not binary.exists():
            raise TestbedError("no etcd; run 'tools/dev/deps etcd'")
        words = [binary, "--name", self.name,
                 "--data-dir", "/var/lib/hcivol/etcd",
                 "--listen-client-urls",
                 f"{self.etcd_url},http://127.0.0.1:{ETCD_PORT}",
                 "--advertise-client-urls", self.etcd_url,
                 "--listen-peer-urls", own_peer,
                 "--initial-advertise-peer-urls", own_peer,
                 "--initial-cluster", peers,
                 "--initial-cluster-token", "hcvtest",
                 "--initial-cluster-state", "new", "--pre-vote=true",
                 "--heartbeat-interval", "200", "--election-timeout", "2000",
                 *args]
        log = "/var/lib/hcivol/etcd.log"
        text = " ".join(map(str, words))
        self.run(f"setsid {text} >> {log} 2>&1 < /dev/null & echo $! > "
                 "/run/etcd.pid", check=True, cwd="/")

    def stop_etcd(self):
        """Kill the member, as a crash would."""
        self.run("kill -9 $(cat /run/etcd.pid)", check=True)

    def etcd_healthy(self):
        """Whether the member of this node can commit."""
        result = self.run(f"curl -s -m 5 {self.etcd_url}/health", timeout=60)
        return '"health":"true"' in result.out


class Cluster:
    """nodes guests named n1, n2, ... at 10.77.0.1, ...

    disks, disk_size (bytes or "4G"), lbs: data disks of each node, /dev/vdb
    and on; /dev/vda holds /var/lib/hcivol. volatile: disks have a write cache
    that power_cut() loses. allow: console exceptions "REGEX -- REASON".
    workdir: folder for disks and logs, by default a temporary one.

    On the debug kernel that is n1's alone: three guests that are ten times
    slower leave etcd too little of a small machine. The others run BESIDE.
    """

    def __init__(self, nodes=3, disks=1, disk_size="4G", lbs=512, kver=None,
                 smp=2, mem=1024, append="", volatile=True, state_size="1G",
                 workdir=None, allow=(), env=None):
        kver = (kver or os.environ.get("HCV_KVER") or os.environ.get("KVER")
                or "6.1")
        vm.use_scale_of(kver)
        self.disk_count = disks
        self.disk_size = _bytes(disk_size)
        self.state_size = _bytes(state_size)
        self.lbs = lbs
        self.volatile = volatile
        self.allow = [console.parse_allow(text) for text in allow]
        self.dir = Path(workdir or tempfile.mkdtemp(prefix="hcv-"))
        self.dir.mkdir(parents=True, exist_ok=True)
        self._remove = vm.removed_at_exit(self, self.dir)
        if workdir:
            self._remove.detach()
        self.nodes = []
        self.net = None
        numbers = range(1, nodes + 1)
        self.hosts = "127.0.0.1 localhost\n" + "".join(
            f"{NET}.{number} n{number}\n" for number in numbers)
        try:
            kernel = boot.Kernel(kver)
            beside = boot.Kernel(BESIDE) if kver == "debug" else kernel
            self.net = NetNamespace()
            self.net.add_bridge("br0")
            for number in numbers:
                self.net.ip(f"tuntap add tap{number} mode tap",
                            f"link set tap{number} master br0 up")
                self.nodes.append(Node(self, number,
                                       kernel if number == 1 else beside,
                                       smp=smp, mem=mem, append=append,
                                       env=env))
        except BaseException:
            self.close()
            raise
        self._bridges = 1

    def __getitem__(self, name):
        for node in self.nodes:
            if node.name == name:
                return node
        raise TestbedError(f"no node {name}; there are "
                           + ", ".join(map(str, self.nodes)))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.finish()
            elif not issubclass(kind, (KeyboardInterrupt, SystemExit)):
                self.explain()
        finally:
            self.close()

    def start(self, nodes=None, limit=vm.BOOT_LIMIT):
        """Boot all nodes, or those given, at the same time."""
        self.each(lambda node: node.start(limit), nodes or self.nodes)

    def each(self, action, nodes=None):
        """Call action(node) for nodes in parallel; returns the results."""
        nodes = list(nodes or self.nodes)
        with concurrent.futures.ThreadPoolExecutor(len(nodes)) as pool:
            return list(pool.map(action, nodes))

    def run(self, cmd, timeout=60, nodes=None):
        """Run a command that must succeed on nodes; returns the Results."""
        return self.each(lambda node: node.run(cmd, timeout, check=True),
                         nodes)

    def start_etcd(self, nodes=None, args=()):
        """Start etcd on nodes and wait until all members are healthy."""
        nodes = list(nodes or self.nodes)
        self.each(lambda node: node.start_etcd(nodes, args), nodes)
        for node in nodes:
            wait_for(node.etcd_healthy, 60, f"healthy etcd on {node}", 0.5)
        return ",".join(node.etcd_url for node in nodes)

    def partition(self, *groups):
        """Nodes of different groups cannot reach each other any more.

        Nodes that are in no group stay with the first one.
        """
        moved = {node: index for index, group in enumerate(groups)
                 for node in group}
        while self._bridges < len(groups):
            self.net.add_bridge(f"br{self._bridges}")
            self._bridges += 1
        self.net.ip(*(f"link set {node.tap} master br{moved.get(node, 0)}"
                      for node in self.nodes))

    def cut_link(self, one, other):
        """Cut two nodes off from each other; both reach the rest."""
        one.cut_to(other)
        other.cut_to(one)

    def heal(self):
        """Undo whatever was done to the network."""
        self.partition(self.nodes)
        for node in self.nodes:
            node.heal()

    # --- the end

    def faults(self):
        """What consoles showed since the last call, as texts."""
        return [f"{node.name}: {fault}" for node in self.nodes
                for fault in node.console.new_faults(self.allow)]

    def finish(self):
        """Unload hcivol on running nodes and raise Faults if any is found.

        Services of ours and file systems on volumes must be gone by then.
        """
        found = []

        def end(node):
            if node.state != "running" or not node.alive:
                return
            try:
                faults = checks.after_test(node, self.allow)
                node.shutdown()
            except TestbedError as error:
                faults = [str(error)]
            found.extend(f"{node.name}: {fault}" for fault in faults)

        self.each(end)
        found += self.faults()
        if found:
            raise Faults("\n".join(["faults in the cluster:", *found]))

    def explain(self):
        """Print what helps to understand a failure, before all is gone."""
        for node in self.nodes:
            print(f"# {node.name} ({node.state}), end of its console:",
                  file=sys.stderr)
            print("".join(f"#   {line}\n"
                          for line in node.console.tail(30).splitlines()),
                  file=sys.stderr)
        for fault in self.faults():
            print(f"# FAULT: {console.brief(fault)}\n{fault}", file=sys.stderr)

    def keep(self):
        """Leave disks and logs in self.dir."""
        self._remove.detach()

    def close(self):
        """End every process and remove the temporary files."""
        for node in self.nodes:
            node.close()
            for disk in node.volatile.values():
                disk.close()
        if self.net:
            self.net.close()
        if self._remove.alive:
            for node in self.nodes:
                node.console.detach()
            self._remove()


def _bytes(size):
    """Bytes of 4096 or "4G"."""
    value = size if isinstance(size, int) else vm.parse_size(size)
    if not value:
        raise TestbedError(f"'{size}' is no size")
    return value
