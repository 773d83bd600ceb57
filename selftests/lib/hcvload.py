# SPDX-License-Identifier: GPL-2.0-only
"""Loads for volumes that know what must be read back: models of the content,
fio."""

import itertools
import os
import random
import subprocess
import sys
import tempfile
import zlib

import hcvvol
import ktap
from hcvvol import MIB

SECTOR = 512
DIV = int(os.environ.get("HCV_SIZE_DIV", "1"))

# --- a model: every sector's content is known


class Model:
    """Random I/O to sectors of a part of the disk, compared with a mirror.

    A worker owns the sectors s with s // 3 % workers == worker: with several
    workers each block belongs to many of them, so that small writes to one
    block meet.
    """

    def __init__(self, disk, base, size, seed, worker=0, workers=1):
        self.disk, self.base, self.rnd = disk, base, random.Random(seed)
        self.sectors = size // SECTOR
        self.worker, self.workers = worker, workers
        self.mirror = bytearray(disk.read(base, size))

    def pick(self):
        """First sector and count of the next I/O."""
        rnd = self.rnd
        if self.workers == 1:
            count = rnd.choice((1, 1, 3, 8, 8, 8, 16, 61, 256, 2048))
            first = rnd.randrange(self.sectors)
            if rnd.random() < 0.5:
                first &= ~7
        else:
            group = rnd.randrange(self.sectors // 3 // self.workers)
            within = rnd.randrange(3)
            first = (group * self.workers + self.worker) * 3 + within
            count = rnd.randint(1, 3 - within)
        return first, min(count, self.sectors - first)

    def clear(self, first, count):
        self.mirror[first * SECTOR:(first + count) * SECTOR] = \
            bytes(count * SECTOR)

    def write(self, first, count):
        data = self.rnd.randbytes(min(count, 8) * SECTOR)
        data = (data * (count // 8 + 1))[:count * SECTOR]
        flags = os.RWF_DSYNC if self.rnd.random() < 0.05 else 0
        self.disk.write(self.base + first * SECTOR, data, flags)
        self.mirror[first * SECTOR:(first + count) * SECTOR] = data

    def zero(self, first, count):
        self.disk.zeroout(self.base + first * SECTOR, count * SECTOR)
        self.clear(first, count)

    def discard(self, first, count):
        """Whole blocks of it read as zeroes, the rest stays."""
        self.disk.discard(self.base + first * SECTOR, count * SECTOR)
        start, end = -(-first // 8) * 8, (first + count) // 8 * 8
        if start < end:
            self.clear(start, end - start)

    def check(self, first, count):
        got = self.disk.read(self.base + first * SECTOR, count * SECTOR)
        want = self.mirror[first * SECTOR:(first + count) * SECTOR]
        if got != want:
            bad = next(i for i in range(count) if
                       got[i * SECTOR:(i + 1) * SECTOR] !=
                       want[i * SECTOR:(i + 1) * SECTOR])
            raise AssertionError(
                f"sector {first + bad} of {first}+{count} reads "
                f"{got[bad * SECTOR:][:16].hex()}, not "
                f"{want[bad * SECTOR:][:16].hex()}")

    def step(self):
        first, count = self.pick()
        kind = self.rnd.random()
        if kind < 0.45:
            self.write(first, count)
        elif kind < 0.55:
            self.zero(first, count)
        elif kind < 0.65 and self.workers == 1:
            self.discard(first, count)
        elif kind < 0.68:
            self.disk.flush()
        else:
            self.check(first, count)

    def check_all(self):
        for first in range(0, self.sectors, 2048):
            count = min(2048, self.sectors - first)
            if self.workers == 1:
                self.check(first, count)
                continue
            for s in range(first, first + count):
                if s // 3 % self.workers == self.worker:
                    self.check(s, 1)


def in_children(count, action):
    """action(i) in that many processes; all must succeed."""
    sys.stdout.flush()
    pids = []
    for i in range(count):
        pid = os.fork()
        if pid:
            pids.append(pid)
            continue
        code = 1
        try:
            action(i)
            code = 0
        except BaseException as e:  # told, and then this process ends
            ktap.note(f"child {i}: {type(e).__name__}: {e}")
        os._exit(code)
    codes = [os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in pids]
    ktap.check_eq("children", [0] * count, codes)


def model_alone(vol, seed, steps):
    """Large and small I/O over the borders of slots, one at a time."""
    with hcvvol.Disk(vol.path) as disk:
        model = Model(disk, 3 * MIB - 64 * SECTOR, 3 * MIB, seed)
        for _ in range(steps // DIV):
            model.step()
        model.check_all()


def model_shared(vol, seed, steps, workers=4):
    """Small I/O of several processes into the same blocks."""
    def work(i):
        with hcvvol.Disk(vol.path) as disk:
            model = Model(disk, 8 * MIB, 96 * SECTOR * workers, seed + i, i,
                          workers)
            for _ in range(steps // DIV):
                model.step()
            model.check_all()
    in_children(workers, work)


def overlapping(vol, seed, rounds, workers=4):
    """Several write the same blocks: each is one writer's in the end."""
    def work(i):
        rnd = random.Random(seed + i)
        with hcvvol.Disk(vol.path) as disk:
            for _ in range(rounds // DIV):
                count = rnd.choice((1, 1, 2, 8))
                first = rnd.randrange(16 - count + 1)
                disk.write(20 * MIB + first * 4096,
                           bytes([65 + i]) * 4096 * count)
    in_children(workers, work)
    with hcvvol.Disk(vol.path) as disk:
        data = disk.read(20 * MIB, 16 * 4096)
    for i in range(16):
        ktap.check_eq(f"writers seen in block {i}", 1,
                      len(set(data[i * 4096:(i + 1) * 4096])))


# --- fio

ENGINES = ("libaio", "io_uring")
ORDERS = ("rand", "seq")
MIXED = ("fsync", "discard", "zeroes")
# Block sizes, and KiB written with each.
SIZES = {"512": 128, "4k": 1024, "64k": 6144, "1m": 16384, "512-64k": 2048}
# And KiB of the largest I/O, of those above 4.
LARGEST = {"64k": 64, "1m": 1024, "512-64k": 64}
FIO_FACTORS = {"engine": ENGINES, "size": tuple(SIZES), "order": ORDERS,
               "mixed": MIXED}
EDGE = MIB // 2
WINDOW = 18 * MIB		# a job's, with an edge before and behind it
MIXERS = {"fsync": "fsync=8", "discard": "", "zeroes": "fdatasync=32"}


def covering(factors):
    """Few combinations of which each two values of two factors share one."""
    names = list(factors)
    cells = [(name, value) for name in names for value in factors[name]]
    todo = {frozenset((a, b)) for a in cells for b in cells if a[0] != b[0]}
    rows = []
    while todo:
        # Always the first of what is left, then the values that add most.
        row = dict(min(todo, key=lambda p: sorted(map(cells.index, p))))
        for name in names:
            if name not in row:
                row[name] = max(factors[name], key=lambda v, n=name: len(
                    {frozenset(((n, v), other)) for other in row.items()}
                    & todo))
        todo -= {frozenset((a, b)) for a in row.items() for b in row.items()}
        rows.append(row)
    return rows


def product(factors):
    """All combinations."""
    return [dict(zip(factors, values))
            for values in itertools.product(*factors.values())]


def fio_job(index, job):
    """One section; every third job collects requests before it submits."""
    kind = "trimwrite" if job["mixed"] == "discard" else "write"
    sizes = "bsrange" if "-" in job["size"] else "bs"
    depth = 16
    if job.get("device") == "nvme":
        # A beacon queues behind what is under way over NVMe/TCP, that of all
        # jobs: it must not take a slow machine seconds, by count or by size.
        largest = LARGEST.get(job["size"], 4) * 1024
        depth = max(1, min(max(depth // DIV, 2), 4 * MIB // DIV // largest))
    kib = max(SIZES[job["size"]] // DIV, 64)
    if job["size"] == "1m":
        kib = max(kib, 2048)
    lines = [f"[job{index}]", f"ioengine={job['engine']}",
             f"rw={'rand' * (job['order'] == 'rand')}{kind}",
             f"{sizes}={job['size']}", f"offset={index * WINDOW + EDGE}",
             f"size={kib}k", f"iodepth={depth}", MIXERS[job["mixed"]]]
    if index % 3 == 0:
        lines += [f"iodepth_batch_submit={max(depth // 2, 1)}",
                  f"iodepth_batch_complete_min={max(depth // 4, 1)}"]
    return "\n".join(lines)


def fio(vol, jobs, seed=1):
    """The jobs at the same time, each in its own window; beside those with
    "discard" or "zeroes", such requests to the rest of the same slots."""
    text = f"[global]\nfilename={vol.path}\ndirect=1\nverify=crc32c\n" \
        f"verify_fatal=1\nrandseed={seed}\n" + "\n".join(
            itertools.starmap(fio_job, enumerate(jobs)))
    with tempfile.NamedTemporaryFile("w+", suffix=".fio") as file, \
            hcvvol.Disk(vol.path) as disk:
        file.write(text)
        file.flush()
        edges = [Model(disk, index * WINDOW + off, EDGE, seed + index)
                 for index, job in enumerate(jobs) if job["mixed"] != "fsync"
                 for off in (0, WINDOW - EDGE)]
        with tempfile.TemporaryFile("w+") as out, subprocess.Popen(
                ["fio", file.name], stdout=out, stderr=out) as process:
            while process.poll() is None:
                for edge in edges:
                    edge.step()
                if not edges:
                    process.wait()
            for edge in edges:
                edge.check_all()
            if process.returncode:
                out.seek(0)
                raise RuntimeError(f"fio: {out.read()[-4000:]}\n{text}")


def digest(vol, size=128 * MIB):
    """Of the first part of the disk."""
    out = 0
    with hcvvol.Disk(vol.path) as disk:
        for off in range(0, size, MIB):
            out = zlib.crc32(disk.read(off, MIB), out)
    return out


def models(vol):
    """Everything whose content is known at any moment."""
    model_alone(vol, 1, 120)
    model_shared(vol, 2, 60)
    overlapping(vol, 3, 60)
