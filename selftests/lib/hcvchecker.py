# SPDX-License-Identifier: GPL-2.0-only
"""The history of a volume, and what is wrong with it.

    history = hcvchecker.History(folder, first=0, blocks=4096)
    history.attached()                      # a session begins
    load = history.load(node, "/dev/hcivol/by-name/db1", seed=1)
    ...                                     # things happen
    load.stop(60)
    history.read(node, "/dev/hcivol/by-name/db1")
    history.detached()                      # in order; else it has crashed
    verdict = history.verdict()             # dict; ["good"]

What a node's programs do is written down here, outside of whatever fails, while
they run: see checker/log.h. A node is anything with vm.Guest's spawn().
"""

import dataclasses
import json
import random
import re
import signal
import subprocess
import threading
from pathlib import Path

import boot
import vm
from boot import TestbedError

BLOCK = 4096


@dataclasses.dataclass
class Profile:
    """What a load does."""

    writers: int = 4
    readers: int = 2
    seconds: int = 3600
    think_ms: int = 30
    flush_percent: int = 10


STEADY = Profile()
FLUSHES = Profile(writers=6, readers=1, think_ms=2, flush_percent=100)
# An I/O's end in the log, and what it took.
ENDED = re.compile(rb"^\d+ (?:W \d+ \d+|[FR] \d+) 0 (\d+)", re.M)
# A write's begin: its first block, and how many.
BEGUN = re.compile(rb"^\d+ w \d+ \d+ (\d+) (\d+) ", re.M)


class Program:
    """One ckwrite on a node, and the log of it."""

    def __init__(self, history, node, words, threads):
        self.path = history.folder / f"log-{len(history.programs):03}"
        self.node = node
        self._file = open(self.path, "wb")
        self._lock = threading.Lock()
        self.lines = 0
        self._file.write(history.header(threads).encode())
        self._file.flush()
        # After the header: not even one line of it can be missing.
        self.command = node.spawn(f"exec {boot.helper('ckwrite')} {words}",
                                  sink=self._take)

    def _take(self, kind, data):
        if vm.is_stderr(kind):
            return
        with self._lock:
            self._file.write(data)
            self._file.flush()
            self.lines += data.count(b"\n")

    def mark(self):
        """Now, for worst_ms() and changed()."""
        with self._lock:
            return self.path.stat().st_size

    def _since(self, mark):
        with self._lock:
            return self.path.read_bytes()[mark:]

    def worst_ms(self, mark=0):
        """The longest I/O that ended well since then, in ms."""
        return max((int(us) / 1000 for us in ENDED.findall(
            self._since(mark))), default=0.0)

    def changed(self, mark):
        """Bytes of all blocks to which a write was begun since then."""
        blocks = set()
        for first, count in BEGUN.findall(self._since(mark)):
            blocks.update(range(int(first), int(first) + int(count)))
        return len(blocks) * BLOCK

    def superseded(self):
        """Tell it that another owner serves the volume."""
        self.command.kill(signal.SIGUSR1)

    def wait(self, limit):
        """Wait for its end; returns its exit code."""
        return self.command.wait(limit).rc

    def stop(self, limit):
        """Have it end in order; returns its exit code."""
        self.command.kill(signal.SIGTERM)
        return self.wait(limit)


class History:
    """All that was done to one area of a volume."""

    def __init__(self, folder, first, blocks, run=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.first, self.blocks = first, blocks
        self.run = random.getrandbits(63) if run is None else run
        self.session = 0
        self.programs = []      # paths, in the order of their sessions
        self._threads = 0
        self._last = None       # program of this session

    def header(self, threads=None):
        """The lines that a log begins with."""
        text = (f"! volume {self.run:x} {self.first} {self.blocks}\n"
                f"! session {self.session}\n")
        if threads is not None:
            text += f"! threads {self._threads} {threads}\n"
        return text

    def attached(self):
        """A new session; if the last one has not been ended, it has crashed."""
        self.session += 1
        self._threads = 0
        self._last = None

    def detached(self):
        """The session ended in order: all of it is durable."""
        path = self.folder / f"log-{len(self.programs):03}"
        path.write_text(self.header() + "! end clean\n")
        self.programs.append(path)

    def _start(self, node, words, threads):
        # Logs of one session are read one after the other.
        if self._last and self._last.command.running:
            raise TestbedError(f"{self._last.command.text} has not ended")
        program = self._last = Program(self, node, words, threads)
        self.programs.append(program.path)
        self._threads += threads
        return program

    def _place(self):
        return (f"{self.run:x} {self.session} {self.first} {self.blocks} "
                f"{self._threads}")

    def load(self, node, device, seed, profile=STEADY):
        """Start writers and readers on a node; returns a Program."""
        p = profile
        return self._start(
            node, f"load {device} {self._place()} {p.writers} {p.readers} "
            f"{seed} {p.seconds} {p.think_ms} {p.flush_percent}",
            p.writers + p.readers)

    def read(self, node, device, limit=240):
        """Read all of it once; every block must be readable."""
        program = self._start(node, f"read {device} {self._place()}", 1)
        if program.wait(limit):
            raise TestbedError(f"{node}: {device} cannot be read:\n"
                               f"{program.command.err}")

    def verdict(self, replicas=(), partial=False):
        """What ckverify says, with "good".

        replicas: files with what each replica holds of the area, after the last
        session ended in order. partial: not all needs to have been read.
        """
        words = ["--partial"] if partial else []
        for path in replicas:
            words += ["--replica", path]
        done = subprocess.run(
            [boot.helper("ckverify"), *words, *self.programs], check=False,
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode not in (0, 1) or not done.stdout:
            raise TestbedError(f"ckverify: {done.returncode}: {done.stderr}")
        verdict = json.loads(done.stdout)
        verdict["good"] = done.returncode == 0
        if done.stderr:
            verdict["texts"].append(done.stderr.strip())
        return verdict
