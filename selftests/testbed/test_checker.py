#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: host
# KVER: 6.1
# TAGS: fast
"""The checker of clusters, with a plain file in place of a volume: whatever is
done to the file behind its back is told, and nothing else is.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvchecker
import ktap
from boot import TestbedError
from vm import wait_for

FIRST, BLOCKS = 8, 512
BLOCK = hcvchecker.BLOCK
LOAD = hcvchecker.Profile(writers=4, readers=2, think_ms=1)


class LocalCommand:
    """A process of this machine that looks like one of a guest."""

    def __init__(self, text, sink):
        self.text = text
        self.process = subprocess.Popen(
            ["sh", "-c", text], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.reader = threading.Thread(target=self._read, args=(sink,))
        self.reader.start()

    def _read(self, sink):
        while data := self.process.stdout.read1(65536):
            sink(6, data)
        self.err = self.process.stderr.read().decode()

    @property
    def running(self):
        return self.process.poll() is None

    def kill(self, signo):
        self.process.send_signal(signo)

    def wait(self, limit):
        self.rc = self.process.wait(limit)
        self.reader.join()
        return self


class Local:
    """What History needs of a node."""

    def spawn(self, text, sink):
        return LocalCommand(text, sink)


@contextlib.contextmanager
def setting():
    """A history, a file for its volume, and where else to put something."""
    # Not in memory: O_DIRECT.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        image = Path(folder) / "image"
        with open(image, "wb") as file:
            file.truncate((FIRST + BLOCKS) * BLOCK)
        history = hcvchecker.History(Path(folder) / "logs", FIRST, BLOCKS)
        history.attached()
        yield history, image


def run_load(history, image, lines=2000):
    load = history.load(Local(), image, 1, LOAD)
    wait_for(lambda: load.lines > lines or not load.command.running, 60,
             "lines of the log")
    return load


def judge(history, *faults, **words):
    """The verdict must name these kinds of faults and no others."""
    verdict = history.verdict(**words)
    known = ("torn", "foreign", "lost", "back", "stale", "late", "fenced",
             "replica", "events")
    ktap.check_eq("kinds of faults", sorted(faults),
                  sorted(set(verdict) & set(known)))
    ktap.check_eq("good", not faults, verdict["good"])
    if faults:
        ktap.note(verdict["texts"][0])
    else:
        ktap.check_eq("what is said", [], verdict["texts"])
    return verdict


def end(history, image):
    history.read(Local(), image)
    history.detached()


def written(image):
    """The first block that is not zeroes."""
    data = image.read_bytes()
    return next(b for b in range(FIRST, FIRST + BLOCKS)
                if any(data[b * BLOCK:(b + 1) * BLOCK]))


def patch(image, offset, data):
    with open(image, "r+b") as file:
        file.seek(offset)
        file.write(data)
        os.fsync(file.fileno())


def test_in_order():
    with setting() as (history, image):
        ktap.check_eq("exit code", 0, run_load(history, image).stop(60))
        end(history, image)
        history.attached()
        run_load(history, image).stop(60)
        end(history, image)
        verdict = judge(history)
        ktap.check_eq("unread", 0, verdict["unread"])
        ktap.check_eq("sessions", 2, len(verdict["sessions"]))
        for session in verdict["sessions"]:
            for kind in ("writes", "reads", "flushes"):
                ktap.check(f"there are {kind}", session[kind] > 10)


def test_marks():
    """What is told since a moment is of what began or ended since then."""
    with setting() as (history, image):
        load = run_load(history, image)
        load.stop(60)
        begun = [line.split() for line in load.path.read_text().splitlines()
                 if " w " in line]
        blocks = {int(line[4]) + i for line in begun
                  for i in range(int(line[5]))}
        ktap.check_eq("all", len(blocks) * BLOCK, load.changed(0))
        ktap.check("the longest", load.worst_ms() > 0)
        ktap.check_eq("nothing since now", (0, 0.0), (
            load.changed(load.mark()), load.worst_ms(load.mark())))


def test_killed():
    with setting() as (history, image):
        for _ in range(3):
            load = run_load(history, image)
            load.command.kill(signal.SIGKILL)
            load.wait(60)
            history.attached()
        end(history, image)
        judge(history)


def test_logs_end_anywhere():
    """What was cut off with the end of a log raises no fault."""
    with setting() as (history, image):
        load = run_load(history, image)
        load.command.kill(signal.SIGKILL)
        load.wait(60)
        history.attached()
        end(history, image)
        text = load.path.read_bytes()
        head = text.index(b"threads")
        head = text.index(b"\n", head) + 1
        for part in range(20):
            size = head + (len(text) - head) * part // 20
            load.path.write_bytes(text[:size])
            judge(history)
        # In the middle it is none of ours.
        load.path.write_bytes(text[:head] + text[head + 2000:])
        ktap.check("bad lines", history.verdict()["bad_lines"] > 0)


def test_one_at_a_time():
    with setting() as (history, image):
        load = run_load(history, image)
        ktap.check_match("why", "has not ended", ktap.check_raises(
            "a second one", TestbedError,
            lambda: history.read(Local(), image)))
        load.stop(60)


def test_unread():
    with setting() as (history, image):
        run_load(history, image).stop(60)
        history.detached()
        verdict = history.verdict(partial=True)
        ktap.check_eq("partial", True, verdict["good"])
        history.attached()
        ktap.check_eq("whole", False, history.verdict()["good"])


def test_lost():
    with setting() as (history, image):
        old = image.with_suffix(".old")
        run_load(history, image).stop(60)
        shutil.copy(image, old)
        load = run_load(history, image)
        load.command.kill(signal.SIGKILL)
        load.wait(60)
        history.attached()
        shutil.copy(old, image)
        end(history, image)
        judge(history, "lost")


def test_one_block():
    """Of all blocks one is damaged."""
    with setting() as (history, image):
        run_load(history, image).stop(60)
        block = written(image)
        whole = image.read_bytes()
        good = whole[block * BLOCK:(block + 1) * BLOCK]
        for kind, data in (("torn", bytes(512) + good[512:]),
                           ("torn", good[:-1] + bytes([good[-1] ^ 1])),
                           ("lost", bytes(BLOCK))):
            folder = history.folder
            with tempfile.TemporaryDirectory(dir="/var/tmp") as other:
                shutil.copytree(folder, other, dirs_exist_ok=True)
                copy = hcvchecker.History(other, FIRST, BLOCKS, history.run)
                copy.session = 1
                copy.programs = [Path(other) / p.name
                                 for p in history.programs]
                copy.detached()
                copy.attached()
                patch(image, block * BLOCK, data)
                end(copy, image)
                judge(copy, kind)
            image.write_bytes(whole)


def test_replicas():
    with setting() as (history, image):
        run_load(history, image).stop(60)
        end(history, image)
        one, two = image.with_suffix(".1"), image.with_suffix(".2")
        area = image.read_bytes()[FIRST * BLOCK:]
        one.write_bytes(area)
        two.write_bytes(area)
        judge(history, replicas=[one, two])
        patch(two, (written(image) - FIRST) * BLOCK, bytes(BLOCK))
        judge(history, "replica", replicas=[one, two])
        two.write_bytes(area[:-1])
        ktap.check("a short one", not history.verdict(
            replicas=[one, two])["good"])


def test_fenced():
    with setting() as (history, image):
        load = run_load(history, image)
        load.superseded()
        before = load.lines
        wait_for(lambda: load.lines > before + 200, 60, "more lines")
        load.stop(60)
        end(history, image)
        judge(history, "fenced")


def test_errors():
    """What cannot be read is no fault, but it is not verified either."""
    with setting() as (history, image):
        run_load(history, image).stop(60)
        history.detached()
        history.attached()
        os.truncate(image, (FIRST + BLOCKS // 2) * BLOCK)
        error = ktap.check_raises("read", TestbedError,
                                  lambda: history.read(Local(), image))
        ktap.check_match("which", "cannot be read", error)
        verdict = history.verdict()
        ktap.check_eq("faults", 0, verdict["faults"])
        ktap.check_eq("unread", BLOCKS // 2, verdict["unread"])
        ktap.check_eq("good", False, verdict["good"])
        ktap.check("errors are counted", verdict["sessions"][1]["errors"] > 5)


if __name__ == "__main__":
    ktap.main(globals())
