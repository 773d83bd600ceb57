# SPDX-License-Identifier: GPL-2.0-only
"""A disk with a volatile cache and no FUA, of which any request fails when the
test says so, whose FLUSH waits, and whose blocks become unreadable until they
are written: /dev/nbd0, served by threads of the test itself."""

import errno
import fcntl
import mmap
import os
import socket
import struct
import subprocess
import threading

import hcvtest
import ktap
from hcvtest import BLOCK

SET_SOCK, SET_BLKSIZE, SET_SIZE, DO_IT, CLEAR_SOCK, DISCONNECT, SET_FLAGS = (
    0xab00, 0xab01, 0xab02, 0xab03, 0xab04, 0xab08, 0xab0a)
HAS_FLAGS, SEND_FLUSH = 1, 4
READ, WRITE, DISC, FLUSH = 0, 1, 2, 3
REQUEST, REPLY = 0x25609513, 0x67446698


class Disk:
    """path: the device; size in bytes; bad: blocks, by their addresses, that
    cannot be read."""

    path = "/dev/nbd0"

    def __init__(self, size):
        self.size = size
        self.seen, self.stable = mmap.mmap(-1, size), mmap.mmap(-1, size)
        self.cached = []        # (offset, length) of what was not flushed
        self.bad = set()
        self.cond = threading.Condition()
        self.holding, self.held, self.verdict = False, 0, 0
        self.countdown, self.late, self.what = 0, False, None

    def __enter__(self):
        if subprocess.run(["modprobe", "-nq", "nbd"], check=False).returncode:
            raise ktap.Skip("no module nbd")
        hcvtest.run("modprobe", "nbd", "nbds_max=1", "max_part=0")
        self.fd = os.open(self.path, os.O_RDWR)
        ours, its = socket.socketpair()
        for request, value in ((SET_BLKSIZE, 512), (SET_SIZE, self.size),
                               (SET_FLAGS, HAS_FLAGS | SEND_FLUSH),
                               (SET_SOCK, its.fileno())):
            fcntl.ioctl(self.fd, request, value)
        self.its = its
        self.threads = [threading.Thread(target=self._serve, args=(ours,)),
                        threading.Thread(target=self._do_it)]
        for thread in self.threads:
            thread.start()
        hcvtest.wait_for(lambda: os.lseek(self.fd, 0, os.SEEK_END) == self.size,
                         10, self.path)
        return self

    def __exit__(self, *args):
        self.release()
        fcntl.ioctl(self.fd, DISCONNECT)
        for thread in self.threads:
            thread.join()
        fcntl.ioctl(self.fd, CLEAR_SOCK)
        os.close(self.fd)
        self.its.close()
        hcvtest.remove_module("nbd")

    def _do_it(self):
        try:
            fcntl.ioctl(self.fd, DO_IT)
        except OSError:
            pass                # how it ends when the socket is closed

    # --- what the test says

    def hold(self):
        """FLUSHes that come from now on wait."""
        with self.cond:
            self.holding = True

    def wait_held(self):
        hcvtest.wait_for(lambda: self.held, 20, "a FLUSH")

    def release(self, error=0):
        """Those that wait end with @error, which loses what was cached."""
        with self.cond:
            self.holding, self.verdict = False, error
            self.cond.notify_all()

    def fail_nth(self, number, late=False):
        """The number-th request from now on fails, that one alone, and is not
        done; or it is done, late: only its answer is an error. A FLUSH that
        fails loses what was cached. See what."""
        with self.cond:
            self.countdown, self.late, self.what = number, late, None

    def fail_none(self):
        """No request fails from now on."""
        with self.cond:
            self.countdown = 0

    def lose_cache(self):
        """Its power is cut; nothing may be under way."""
        self._end_cached(lost=True)

    # --- the server

    def _fails(self, kind):
        """Whether it is this one's turn to fail; notes what it was."""
        with self.cond:
            self.countdown -= 1
            if self.countdown:
                return False
            self.what = {READ: "READ", WRITE: "WRITE", FLUSH: "FLUSH"}[kind]
            return True

    def _serve(self, sock):
        with sock:
            while True:
                head = self._take(sock, 28)
                if not head:
                    return
                magic, kind, cookie, off, size = struct.unpack(">II8sQI", head)
                assert magic == REQUEST
                kind &= 0xffff
                if kind == DISC:
                    return
                data, error = b"", 0
                fails = self._fails(kind)
                if kind == READ:
                    error = errno.EIO if fails else self._any_bad(off, size)
                    data = b"" if error else self.seen[off:off + size]
                elif kind == WRITE:
                    new = self._take(sock, size)
                    if not fails or self.late:
                        self.seen[off:off + size] = new
                        self.bad -= set(range(off, off + size, BLOCK))
                        self.cached.append((off, size))
                    error = errno.EIO if fails else 0
                elif kind == FLUSH:
                    error = self._flush(fails)
                else:
                    error = errno.EINVAL
                sock.sendall(struct.pack(">II8s", REPLY, error, cookie) + data)

    @staticmethod
    def _take(sock, size):
        data = b""
        while len(data) < size:
            more = sock.recv(size - len(data))
            if not more:
                return None
            data += more
        return data

    def _any_bad(self, off, size):
        return errno.EIO if any(off - BLOCK < at < off + size
                                for at in self.bad) else 0

    def _flush(self, fails):
        with self.cond:
            error = 0
            if self.holding:
                self.held += 1
                self.cond.wait_for(lambda: not self.holding)
                self.held -= 1
                error = self.verdict
        if fails:
            error = errno.EIO
        self._end_cached(lost=error and not (fails and self.late))
        return error

    def _end_cached(self, lost):
        for off, size in self.cached:
            if lost:
                self.seen[off:off + size] = self.stable[off:off + size]
            else:
                self.stable[off:off + size] = self.seen[off:off + size]
        self.cached.clear()
