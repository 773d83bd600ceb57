# SPDX-License-Identifier: GPL-2.0-only
"""File systems on volumes: trees of files whose content is known, changed at
random by several threads, checked, trimmed, mounted again."""

import contextlib
import ctypes
import mmap
import os
import random
import shutil
import tempfile
import threading

import hcvtest
import ktap
from hcvload import DIV
from hcvvol import MIB

LARGE = 24			# MiB
MKFS = {"ext4": ("mke2fs", "-q", "-F", "-t", "ext4",
                 "-E", "lazy_itable_init=1"),
        "xfs": ("mkfs.xfs", "-q", "-f")}
FSCK = {"ext4": ("e2fsck", "-fn"), "xfs": ("xfs_repair", "-n")}
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
_libc = ctypes.CDLL(None, use_errno=True)


def fallocate(fd, mode, off, size):
    """fallocate(2), of which Python knows one mode only."""
    if _libc.fallocate(fd, mode, ctypes.c_long(off), ctypes.c_long(size)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class Tree:
    """Files of known content, changed at random."""

    def __init__(self, root, seed):
        self.root, self.rnd, self.files = root, random.Random(seed), {}
        self.made = 0

    def name(self):
        return f"{self.root}/d{self.rnd.randrange(4)}/f" \
            f"{self.rnd.randrange(20)}"

    def write(self, path):
        """By write(2), at the end, over old data or behind a hole."""
        data = self.files.get(path, bytearray())
        off = self.rnd.randrange(len(data) + 20000)
        new = self.rnd.randbytes(self.rnd.choice((10, 4096, 70000)))
        self.put(path, data, off, new)
        flags = self.rnd.choice((0, 0, 0, os.O_DSYNC))
        fd = os.open(path, os.O_RDWR | os.O_CREAT | flags)
        try:
            os.pwrite(fd, new, off)
            if self.rnd.random() < 0.2:
                self.rnd.choice((os.fsync, os.fdatasync))(fd)
        finally:
            os.close(fd)

    def put(self, path, data, off, new):
        data.extend(bytes(max(0, off + len(new) - len(data))))
        data[off:off + len(new)] = new
        self.files[path] = data

    def write_direct(self, path):
        """Past the page cache."""
        data = self.files[path]
        off = self.rnd.randrange(len(data) + 1) & ~4095
        new = self.rnd.randbytes(4096) * self.rnd.choice((1, 5, 32))
        self.put(path, data, off, new)
        with hcvtest.Device(path) as file:
            file.write(off, new)

    def write_mapped(self, path):
        """Through a mapping."""
        data = self.files[path]
        if not data:
            return
        off = self.rnd.randrange(len(data))
        new = self.rnd.randbytes(min(9000, len(data) - off))
        self.put(path, data, off, new)
        with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as where:
            where[off:off + len(new)] = new
            if self.rnd.random() < 0.3:
                where.flush()

    def zero(self, path):
        """A hole, or preallocated blocks, in the middle of a file."""
        data = self.files[path]
        if not data:
            return
        off = self.rnd.randrange(len(data))
        size = min(self.rnd.choice((1, 4096, 60000)), len(data) - off)
        self.put(path, data, off, bytes(size))
        mode = self.rnd.choice((PUNCH_HOLE, ZERO_RANGE)) | KEEP_SIZE
        with open(path, "r+b") as file:
            fallocate(file.fileno(), mode, off, size)

    def truncate(self, path):
        size = self.rnd.randrange(2 * len(self.files[path]) + 1)
        os.truncate(path, size)
        data = self.files[path]
        data.extend(bytes(max(0, size - len(data))))
        del data[size:]

    def unlink(self, path):
        os.unlink(path)
        del self.files[path]

    def rename(self, path):
        other = self.name()
        os.rename(path, other)
        self.files[other] = self.files.pop(path)

    def folders(self, _path):
        """Metadata alone: folders and links that come and go."""
        self.made += 1
        top = f"{self.root}/t{self.made}"
        os.makedirs(f"{top}/a/b")
        for i in range(10):
            os.symlink(f"nowhere-{i}", f"{top}/a/s{i}")
        os.rename(f"{top}/a", f"{top}/c")
        if self.rnd.random() < 0.7:
            shutil.rmtree(top)

    def check(self, path):
        with open(path, "rb") as file:
            if file.read() != self.files[path]:
                raise AssertionError(f"{path} has changed")

    ACTIONS = ((write, 8), (write_direct, 2), (write_mapped, 2), (zero, 2),
               (truncate, 2), (unlink, 2), (rename, 2), (folders, 1),
               (check, 3))

    def step(self):
        path = self.name()
        kinds, weights = zip(*self.ACTIONS)
        action = self.rnd.choices(kinds, weights)[0]
        if path not in self.files:
            action = Tree.write
        action(self, path)

    def run(self, steps):
        for i in range(4):
            os.makedirs(f"{self.root}/d{i}", exist_ok=True)
        for _ in range(max(steps // DIV, 20)):
            self.step()

    def check_all(self, root):
        """All of it, where the tree is now."""
        self.files = {path.replace(self.root, root, 1): data
                      for path, data in self.files.items()}
        self.root = root
        for path in self.files:
            self.check(path)


def at_once(trees, steps):
    """All trees are changed at the same time."""
    errors = []

    def work(tree):
        try:
            tree.run(steps)
        except Exception as e:  # shown by the one who waits for the thread
            errors.append(e)

    threads = [threading.Thread(target=work, args=(t,)) for t in trees]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@contextlib.contextmanager
def mounted(vol, kind, *options):
    with tempfile.TemporaryDirectory() as folder:
        hcvtest.run("mount", "-t", kind, *options, vol.path, folder)
        try:
            yield folder
        finally:
            hcvtest.run("umount", folder)


def check_trim(vol, folder):
    """What the file system frees becomes free in the volume."""
    before = vol.get()["USED_SLOTS"]
    with open(f"{folder}/large", "wb") as file:
        file.write(os.urandom(MIB) * LARGE)
        os.fsync(file.fileno())
    full = vol.get()["USED_SLOTS"]
    ktap.check("space is taken", full >= before + LARGE // 2,
               f"{before} {full}")
    os.unlink(f"{folder}/large")
    os.sync()
    hcvtest.run("fstrim", folder)
    hcvtest.wait_for(lambda: vol.get()["USED_SLOTS"] <= full - LARGE // 2,
                     20, "space after a trim")


def run(vol, kind, steps, threads=3):
    """Make, change, check, mount again, trim; vol is not attached."""
    with vol.attached():
        hcvtest.run(*MKFS[kind], vol.path)
        with mounted(vol, kind, "-o", "discard") as folder:
            trees = [Tree(f"{folder}/{i}", i) for i in range(threads)]
            at_once(trees, steps)
        hcvtest.run(*FSCK[kind], vol.path)
    vol.check_stores()
    with vol.attached():
        hcvtest.run(*FSCK[kind], vol.path)
        with mounted(vol, kind) as folder:
            for i, tree in enumerate(trees):
                tree.check_all(f"{folder}/{i}")
            at_once(trees, steps // 4)
            check_trim(vol, folder)
        hcvtest.run(*FSCK[kind], vol.path)
    vol.check_stores()
