#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 1800
# MEM: 2048
"""The n-th request to a disk fails, for each n of an attachment: reads, writes
and FLUSHes of data, map, volume page and activity log. HCV_BIO_FROM and
HCV_BIO_STEP choose others than the first and every other, HCV_SHARE one of
five parts of these."""

import collections
import contextlib
import errno
import os
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvbreak
import hcvnbd
import hcvnl
import hcvtest
import hcvvol
import ktap
from hcvvol import MIB

SECTOR = 512
DIV = int(os.environ.get("HCV_SIZE_DIV", "1"))
FROM = int(os.environ.get("HCV_BIO_FROM", "1"))
STEP = int(os.environ.get("HCV_BIO_STEP", "6" if DIV > 1 else "2"))
SHARE = os.environ.get("HCV_SHARE")
PARTS = 5
MOST = 400
node = hcvtest.Node()
pool = hcvbreak.Pool(node, 1)


def numbers():
    """Of the requests; where there are many, some of them."""
    step = STEP * (PARTS if SHARE else 1)
    n = FROM + (int(SHARE) % PARTS * STEP if SHARE else 0)
    while n < MOST:
        yield n
        n += max(step, n // 16)
    raise AssertionError(f"more than {MOST} requests")


class Model:
    """What each sector may hold: now, and after a power cut."""

    def __init__(self):
        self.now, self.later = (collections.defaultdict(lambda: {0})
                                for _ in range(2))

    def wrote(self, off, size, byte, ok, fua=False):
        for sector in range(off // SECTOR, (off + size) // SECTOR):
            self.now[sector] = {byte} | (set() if ok else self.now[sector])
            self.later[sector] = self.now[sector] | (
                set() if ok and fua else self.later[sector])

    def flushed(self, ok):
        for sector, values in self.now.items():
            if ok:
                self.later[sector] = set(values)
            else:
                # What a disk had cached may be gone.
                values |= self.later[sector]

    def cut(self):
        self.now.clear()
        for sector, values in self.later.items():
            self.now[sector] = set(values)

    def fault(self, off, data):
        """What of data may not be there; "" if it all may."""
        for at in range(0, len(data), SECTOR):
            may = self.now[(off + at) // SECTOR]
            one = set(data[at:at + SECTOR])
            if len(one) != 1 or not one <= may:
                return f"{sorted(one)[:4]} at {off + at}, not {sorted(may)}"
        return ""


class User(threading.Thread):
    """Writes, discards, flushes and reads; errors: the steps that failed."""

    def __init__(self, vol, model, turn):
        super().__init__()
        self.path, self.model = vol.path, model
        self.byte = turn * 7 % 240
        self.errors, self.faults = [], []
        self.start()

    def _step(self, name, action, noted):
        try:
            action()
        except OSError as e:
            self.errors.append(f"{name}: {errno.errorcode[e.errno]}")
            noted(False)
        else:
            noted(True)

    def _write(self, disk, off, size, flags=0):
        self.byte += 1
        byte = self.byte
        self._step("write", lambda: disk.write(off, bytes([byte]) * size,
                                               flags),
                   lambda ok: self.model.wrote(off, size, byte, ok,
                                               bool(flags)))

    def _zero(self, name, action, off, size):
        self._step(name, lambda: action(off, size),
                   lambda ok: self.model.wrote(off, size, 0, ok))

    def _flush(self, disk):
        self._step("flush", disk.flush, self.model.flushed)

    def _read(self, disk, off, size):
        def action():
            why = self.model.fault(off, disk.read(off, size))
            if why:
                self.faults.append(why)
        self._step("read", action, lambda ok: None)

    def run(self):
        with hcvvol.Disk(self.path) as disk:
            self._write(disk, MIB, 8192)
            self._write(disk, 3 * MIB + 4096, 8192)     # a new slot
            self._write(disk, MIB + 12800, SECTOR)      # part of a block
            self._flush(disk)
            self._write(disk, 4 * MIB, 4096, os.RWF_DSYNC)
            self._zero("zeroes", disk.zeroout, 2 * MIB + SECTOR, MIB // 2)
            self._zero("discard", disk.discard, 3 * MIB, MIB)
            self._write(disk, 2 * MIB, 4096)
            self._read(disk, MIB, 16384)
            self._read(disk, 2 * MIB, 8192)
            self._flush(disk)
            self._write(disk, 5 * MIB, 8192)            # and no FLUSH


def attend(vol, condition, what):
    """What the agent does, until condition(): a replica that failed leaves."""
    def look():
        for link in vol.get().get("LINK", []):
            if link["LINK_STATE"] == "FAILING":
                vol.confirm(next(s for s in vol.names if
                                 hcvtest.uuid_text(s) == link["STORE"]), "OUT")
        return condition()
    hcvtest.wait_for(look, 60, what)


def use(vol, model, turn):
    """All of the plan; returns the steps that failed."""
    user = User(vol, model, turn)
    try:
        attend(vol, lambda: not user.is_alive(), "end of the I/O")
    except TimeoutError:
        vol.stop_if_there()
        raise
    finally:
        user.join(60)
    ktap.check_eq("content", [], user.faults)
    return user.errors


def stop(vol):
    """A clean stop, which may meet the failure, too."""
    for _ in range(3):
        child = hcvbreak.Command("VOL_STOP", VOL=vol.vol)
        ended = []

        def over(child=child, ended=ended):
            ended[:] = [child.ended()]
            return ended[0]
        with contextlib.suppress(hcvnl.Fail):       # it is gone
            attend(vol, over, "end of the stop")
        if child.wait() == 0:
            return
    raise AssertionError(f"no stop: errno {child.code}")


def verify(vol, model):
    """All that was ever written, as it is now."""
    with hcvvol.Disk(vol.path) as disk:
        for mib in range(1, 6):
            ktap.check_eq(f"mib {mib}", "", model.fault(
                mib * MIB, disk.read(mib * MIB, MIB)))


@contextlib.contextmanager
def setting(more):
    """(volume, its first disk, events); `more`: disks that never fail."""
    with hcvnbd.Disk(hcvvol.STORE_BYTES) as nbd, hcvvol.Events() as events, \
            hcvbreak.no_autocommit():
        vol = hcvvol.Volume(node, [nbd.path, *more]).format()
        try:
            yield vol, nbd, events
        finally:
            nbd.release()
            vol.end()


def sweep(nbd, turn):
    """turn(n) for each n until none is left that could fail."""
    seen = collections.Counter()
    for n in numbers():
        turn(n)
        if not nbd.what:
            break
        seen[nbd.what] += 1
    ktap.note(f"{n - 1} requests, failed: {dict(seen)}")
    for kind in ("READ", "WRITE", "FLUSH"):
        ktap.check(f"a {kind} failed", seen[kind] or FROM > 1 or SHARE)


def of_two(late):
    """Nobody notices, and what comes back is equal."""
    with setting([pool.devs[0].path]) as (vol, nbd, events):
        model = Model()

        def turn(n):
            vol.attach()
            nbd.fail_nth(n, late)
            errors = use(vol, model, n)
            beside = nbd.what
            stop(vol)
            nbd.fail_none()
            ktap.check_eq(f"{n}: errors", [], errors)
            out = "@s1" not in vol.insync
            vol.close_stores()
            # What fails behind the last round of a stop has missed nothing.
            ktap.check(f"{n}: out", out if beside else not out or nbd.what,
                       f"{out}: {beside} {nbd.what}")
            vol.attach()
            verify(vol, model)
            if out:
                vol.open_store("@s1")
                vol.resync(events, "@s1")
            hcvbreak.finish(vol)
        sweep(nbd, turn)


def test_one_of_two():
    of_two(False)


def test_one_of_two_done_all_the_same():
    of_two(True)


def of_one(late):
    """The only replica: errors are told, and then the power is cut: what was
    flushed is there, and no block is anything that it never was."""
    with setting([]) as (vol, nbd, _):
        model = Model()

        def turn(n):
            vol.attach()
            nbd.fail_nth(n, late)
            errors = use(vol, model, n)
            vol.stop(VOL_FLAGS="FORCE")
            nbd.fail_none()
            if nbd.what not in (None, "FLUSH"):
                ktap.check(f"{n}: told", errors or nbd.what == "READ", nbd.what)
            # Before the stores are closed, which flushes.
            nbd.lose_cache()
            model.cut()
            vol.close_stores()
            vol.attach()
            verify(vol, model)
            hcvbreak.finish(vol)
            model.flushed(True)
        sweep(nbd, turn)


def test_the_only_one():
    of_one(False)


def test_the_only_one_done_all_the_same():
    of_one(True)


with pool:
    ktap.main(globals())
