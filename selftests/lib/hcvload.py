# SPDX-License-Identifier: GPL-2.0-only
"""Loads for volumes that know what must be read back: models of the content,
fio, trees of files."""

import hashlib
import os
import random
import sys
import tempfile

import hcvtest
import hcvvol
import ktap
from hcvvol import MIB, Volume

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


FIO = """
[global]
filename={path}
direct=1
verify=crc32c
verify_fatal=1
randseed={seed}
[aio-512]
ioengine=libaio
iodepth=16
rw=randwrite
bs=512
offset=24m
size={tiny}k
fsync=32
[aio-4k]
ioengine=libaio
iodepth=32
rw=randwrite
bs=4k
offset=26m
size={small}k
fsync=16
fdatasync=24
[uring-mixed]
ioengine=io_uring
iodepth=16
rw=randwrite
bsrange=512-64k
verify=md5
offset=32m
size={small}k
[uring-1m]
ioengine=io_uring
iodepth=4
rw=write
bs=1m
offset=40m
size={large}k
end_fsync=1
[aio-seq]
ioengine=libaio
iodepth=8
rw=write
bs=64k
offset=64m
size={large}k
[trim]
ioengine=libaio
iodepth=8
rw=randtrimwrite
bs=4k
offset=96m
size={small}k
[uring-plug]
ioengine=io_uring
iodepth=32
iodepth_batch_submit=16
iodepth_batch_complete_min=8
rw=write
bs=4k
offset=112m
size={small}k
"""


def fio(vol, seed=1):
    with tempfile.NamedTemporaryFile("w", suffix=".fio") as job:
        job.write(FIO.format(path=vol.path, seed=seed, tiny=256 // DIV,
                             small=2048 // DIV, large=8192))
        job.flush()
        hcvtest.run("fio", "--output=/dev/null", job.name)


def digest(vol, size=128 * MIB):
    """Of the first part of the disk."""
    out = hashlib.sha256()
    with hcvvol.Disk(vol.path) as disk:
        for off in range(0, size, MIB):
            out.update(disk.read(off, MIB))
    return out.hexdigest()


def everything(node, devs, **attrs):
    """All ways of writing; equal replicas; everything is there again."""
    vol = Volume(node, devs, **attrs).format()
    with vol.attached():
        fio(vol)
        model_alone(vol, 1, 250)
        model_shared(vol, 2, 100)
        overlapping(vol, 3, 100)
        before = digest(vol)
    vol.check_stores()
    with vol.attached():
        ktap.check_eq("content after stop and start", before, digest(vol))
        model_alone(vol, 4, 50)
    vol.check_stores()


class Tree:
    """Files of known content, changed at random."""

    def __init__(self, root, seed):
        self.root, self.rnd, self.files = root, random.Random(seed), {}

    def name(self):
        return f"{self.root}/d{self.rnd.randrange(4)}/f" \
            f"{self.rnd.randrange(40)}"

    def write(self, path):
        data = self.files.get(path, bytearray())
        off = self.rnd.randrange(len(data) + 20000)
        new = self.rnd.randbytes(self.rnd.choice((10, 4096, 70000)))
        data.extend(bytes(max(0, off + len(new) - len(data))))
        data[off:off + len(new)] = new
        self.files[path] = data
        with open(path, "r+b" if os.path.exists(path) else "w+b") as file:
            file.seek(off)
            file.write(new)
            if self.rnd.random() < 0.2:
                file.flush()
                os.fsync(file.fileno())

    def step(self):
        path, kind = self.name(), self.rnd.random()
        if kind < 0.6 or path not in self.files:
            self.write(path)
        elif kind < 0.7:
            os.unlink(path)
            del self.files[path]
        elif kind < 0.8:
            size = self.rnd.randrange(len(self.files[path]) + 1)
            os.truncate(path, size)
            del self.files[path][size:]
        elif kind < 0.9:
            other = self.name()
            os.rename(path, other)
            self.files[other] = self.files.pop(path)
        else:
            self.check(path)

    def check(self, path):
        with open(path, "rb") as file:
            if file.read() != self.files[path]:
                raise AssertionError(f"{path} has changed")

    def run(self, steps):
        for i in range(4):
            os.makedirs(f"{self.root}/d{i}", exist_ok=True)
        for _ in range(steps // DIV):
            self.step()
