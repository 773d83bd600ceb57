#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: host
# TIMEOUT: 600
# TAGS: soak
# PARTS: 3
"""A guest is killed under load, ten times a part, and its disks lose what was
not flushed, or some of it, or nothing. After each boot one of the stores that
were in-sync is attached and must hold every block as it was flushed or newer,
the other one is resynced while the next load is running.

What the agent keeps in etcd, the content seen and the progress of the load
lie in a folder of the machine, which the guest writes through: so they are
exact at every kill. HCV_CUT_SEED starts from another seed.
"""

import contextlib
import json
import os
import random
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvplan
import ktap
from hcvplan import BLOCK, RUN

OUT = "/run/hcv-out"
DISK = 1280 << 20
STEPS = 4000			# more than there is time for
ROUNDS = 10


# --- in the guest

class Kept:
    """What outlives the guest."""

    def __init__(self):
        self.data = {}
        with contextlib.suppress(FileNotFoundError):
            self.data = json.loads(Path(f"{OUT}/record").read_text("ascii"))

    def write(self, **fields):
        self.data.update(fields)
        path = Path(f"{OUT}/record.new")
        path.write_text(json.dumps(self.data), "ascii")
        path.rename(f"{OUT}/record")

    def plan(self):
        return hcvplan.Plan(self.data["seed"], STEPS)

    def begin(self, vol, seed, seen):
        """Another load, on top of what was seen."""
        Path(f"{OUT}/seen-{seed}").write_bytes(b"".join(seen))
        Path(f"{OUT}/progress-{seed}").write_bytes(bytes(72))
        self.write(seed=seed, epoch=vol.epoch, v=vol.v,
                   insync=sorted(vol.insync))

    def before(self):
        data = Path(f"{OUT}/seen-{self.data['seed']}").read_bytes()
        return [data[i:i + BLOCK] for i in range(0, len(data), BLOCK)]

    def progress(self):
        """(flushed, acked, begun) of the load."""
        data = Path(f"{OUT}/progress-{self.data['seed']}").read_bytes()
        numbers = struct.unpack("<9Q", data)
        return numbers[0:3], numbers[3:6], numbers[6:9]

    def teller(self):
        """Writes the progress of a load, at once."""
        fd = os.open(f"{OUT}/progress-{self.data['seed']}", os.O_WRONLY)

        def tell(load):
            os.pwrite(fd, struct.pack("<9Q", *load.flushed, *load.acked,
                                      *load.begun), 0)
        return tell


def in_guest(seed, last):
    """Attach, check, and unless it is the end run a load until killed."""
    import hcvtest
    import hcvvol
    kept = Kept()
    node = hcvtest.Node()

    class Volume(hcvvol.Volume):
        """Its in-sync set is kept before it is confirmed."""

        def confirm(self, store, state):
            if state == "INSYNC":
                kept.write(v=self.v + 1, insync=sorted(self.insync | {store}))
            super().confirm(store, state)

    rnd = random.Random(seed)
    devs = [hcvtest.disk_by_serial(name) for name in ("a", "b")]
    vol = Volume(node, devs, extents=2, size=256 * hcvvol.MIB, stripe=2,
                 queue=rnd.choice(("MQ", "BIO")),
                 epoch=kept.data.get("epoch", 0))
    if not kept.data:
        vol.format()
        vol.attach()
        seen = [bytes(BLOCK)] * (16 * RUN)
    else:
        source = rnd.choice(kept.data["insync"])
        vol.v, vol.insync, vol.fresh = kept.data["v"], {source}, set()
        kept.write(epoch=vol.epoch + 1, v=vol.v + 1, insync=[source])
        vol.attach()
        seen = check(kept, vol)
    if len(vol.insync) == 2:
        run_load(kept, vol, seed, seen)
    elif not last:
        other = next(s for s in vol.names if s not in vol.insync)
        vol.open_store(other)
        sync = threading.Thread(target=resync, args=(vol, other))
        run_load(kept, vol, seed, seen, sync)
    else:
        vol.detach()
        vol.check_stores()
        print("all is well", flush=True)


def check(kept, vol):
    import hcvvol
    plan, (flushed, acked, begun) = kept.plan(), kept.progress()
    with hcvvol.Disk(vol.path) as disk:
        seen = hcvplan.check(disk, plan, plan.durable(flushed, acked),
                            plan.versions(begun), kept.before(), 512)
    print(f"checked {sum(begun)} steps, {sum(flushed)} flushed", flush=True)
    return seen


def resync(vol, store):
    import hcvvol
    with hcvvol.Events() as events:
        # The log of the source names what this one may lack.
        vol.resync(events, store)
    print("in-sync", flush=True)


def run_load(kept, vol, seed, seen, beside=None):
    kept.begin(vol, seed, seen)
    print("load", flush=True)
    if beside:
        beside.start()
    hcvplan.Load(vol.path, kept.plan(), kept.teller()).run()
    print("load ended", flush=True)
    if beside:
        beside.join()


# --- outside

class Rig:
    """A guest with two disks that forget."""

    def __init__(self, folder):
        import boot
        import cluster
        import vm
        self.kernel = boot.Kernel(os.environ["HCV_KVER"])
        vm.use_scale_of(self.kernel.kver)
        out = folder / "out"
        out.mkdir()
        self.volatile, disks = [], []
        for serial, lbs in (("a", 512), ("b", 4096)):
            path = folder / f"{serial}.img"
            with open(path, "wb") as image:
                image.truncate(DISK)
            self.volatile.append(cluster.VolatileDisk(path, lbs))
            disks.append(vm.Disk(path=path, serial=serial, lbs=lbs,
                                 nbd=self.volatile[-1].socket))
        self.vm = vm
        self.guest = vm.Guest(self.kernel, disks=disks, out_dir=out)

    def close(self):
        self.guest.close()
        for disk in self.volatile:
            disk.close()

    def spawn(self, seed, *words):
        self.guest.start()
        return self.guest.spawn(["python3", "-B", __file__, "guest",
                                 str(seed), *words])

    def wait_line(self, command, text):
        self.vm.wait_for(lambda: text in command.out or not command.running,
                         60, f'"{text}"', 0.05)
        if not command.running:
            raise AssertionError(f"the guest's program ended: {command.out}"
                                 f"{command.err}")

    def cut(self, rnd):
        """Kill the guest; its disks forget."""
        self.guest.kill()
        how = rnd.choice(("keep", "drop", "prefix", "random", "random"))
        lost = 0
        if how != "keep":
            words = how if how == "drop" else f"{how} {rnd.randrange(1 << 31)}"
            lost = sum(int(disk.ask(f"cut {words}")[0])
                       for disk in self.volatile)
        self.no_faults()
        return f"{how}, {lost} changes lost"

    def no_faults(self):
        ktap.check_eq("faults on the console", [],
                      self.guest.console.new_faults([]))

    def round(self, seed):
        rnd = random.Random(seed)
        command = self.spawn(seed)
        in_load = rnd.random() < 0.8
        if in_load:
            self.wait_line(command, "load")
        # Not a wait for something: the moment of the kill is a random one.
        time.sleep(rnd.uniform(0.1, 4) * self.vm.SCALE)
        if not command.running:
            raise AssertionError(f"ended: {command.out}{command.err}")
        how = self.cut(rnd)
        ktap.note(f"{seed}: {' / '.join(command.out.split(chr(10)))}{how}")

    def last(self, seed):
        """Nothing is lost after the last kill either."""
        import checks
        command = self.spawn(seed, "last")
        done = command.wait(120)
        ktap.check_eq("last look", (0, True),
                      (done.rc, "all is well" in done.out))
        ktap.note(done.out + done.err)
        ktap.check_eq("faults", [], checks.after_test(self.guest))
        self.guest.shutdown()


def test_kills():
    first = int(os.environ.get("HCV_CUT_SEED", "5000")) + \
        100 * int(os.environ.get("HCV_PART", "0"))
    with tempfile.TemporaryDirectory(prefix="hcv-kill.") as folder:
        rig = Rig(Path(folder))
        try:
            for seed in range(first, first + ROUNDS):
                rig.round(seed)
            rig.last(first + ROUNDS)
        finally:
            rig.close()


if sys.argv[1:2] == ["guest"]:
    in_guest(int(sys.argv[2]), sys.argv[3:] == ["last"])
else:
    ktap.main(globals())
