#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: host
# KVER: 6.1 6.12
# TAGS: fast
"""The disk with a volatile cache loses what it may lose, and only that.

A model keeps, per sector, every content that a power cut may leave.
"""

import contextlib
import random
import socket
import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import cluster
import ktap

SECTOR = 512
SECTORS = 512
READ, WRITE, DISC, FLUSH, TRIM, ZEROES = 0, 1, 2, 3, 4, 6
ROUNDS = 60


class Client:
    """As much of the NBD protocol as is needed here."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(path))
        self.stream = self.sock.makefile("rb")
        self.stream.read(18)
        self.sock.sendall(struct.pack(">I", 3))
        # An option that the server does not know, then GO.
        for option in (8, 7):
            data = struct.pack(">IH", 0, 0) if option == 7 else b""
            self.sock.sendall(struct.pack(">QII", 0x49484156454f5054, option,
                                          len(data)) + data)
            self._replies()

    def _replies(self):
        while True:
            _, _, kind, length = struct.unpack(">QIII", self.stream.read(20))
            data = self.stream.read(length)
            if kind == 3:
                self.size = struct.unpack(">Q", data[2:10])[0]
            if kind != 3:
                return

    def request(self, kind, offset=0, length=0, data=b"", fua=False):
        """Return (errno, data)."""
        self.sock.sendall(struct.pack(">IHHQQI", 0x25609513, fua, kind, 7,
                                      offset, length) + data)
        magic, error, handle = struct.unpack(">IIQ", self.stream.read(16))
        assert (magic, handle) == (0x67446698, 7)
        data = b""
        if kind == READ and not error:
            data = self.stream.read(length)
        return error, data

    def close(self):
        """Drop the connection."""
        self.stream.close()
        self.sock.close()


@contextlib.contextmanager
def disk():
    """A small empty disk and a client of it."""
    with tempfile.TemporaryDirectory(prefix="hcv-") as folder:
        path = Path(folder) / "disk.img"
        with open(path, "wb") as image:
            image.truncate(SECTORS * SECTOR)
        server = cluster.VolatileDisk(path, SECTOR)
        try:
            yield server
        finally:
            server.close()


class Model:
    """For each sector: what reads return, and what a cut may leave."""

    def __init__(self):
        zero = bytes(SECTOR)
        self.now = [zero] * SECTORS
        self.may = [{zero} for _ in range(SECTORS)]
        self.flushed = [zero] * SECTORS

    def change(self, first, sectors, fua):
        """Sectors from `first` on are written."""
        for index, data in enumerate(sectors, first):
            self.now[index] = data
            if fua:
                self.may[index] = {data}
                self.flushed[index] = data
            else:
                self.may[index] = self.may[index] | {data}

    def flush(self):
        """What is there now is what a cut leaves."""
        self.may = [{data} for data in self.now]
        self.flushed = list(self.now)


def random_step(rng, client, model, serial):
    """One random request to client and model."""
    first = rng.randrange(SECTORS)
    count = min(rng.choice((1, 1, 8, 40)), SECTORS - first)
    fua = rng.random() < 0.1
    kind = rng.choice((WRITE, WRITE, WRITE, WRITE, TRIM, ZEROES, FLUSH))
    if kind == FLUSH:
        if rng.random() < 0.3:
            assert client.request(FLUSH)[0] == 0
            model.flush()
        return
    sectors = [bytes(SECTOR)] * count
    data = b""
    if kind == WRITE:
        sectors = [struct.pack("<QQ", serial, index) * (SECTOR // 16)
                   for index in range(count)]
        data = b"".join(sectors)
    error, _ = client.request(kind, first * SECTOR, count * SECTOR, data, fua)
    assert error == 0
    model.change(first, sectors, fua)


def read_all(client):
    """The disk's sectors."""
    error, data = client.request(READ, 0, SECTORS * SECTOR)
    assert error == 0
    return [data[at:at + SECTOR] for at in range(0, len(data), SECTOR)]


def rounds(mode, rng, server):
    """Random requests and cuts; yields (model, content after the cut)."""
    model = Model()
    serial = 0
    for _ in range(ROUNDS):
        client = Client(server.socket)
        for _ in range(rng.randrange(60)):
            serial += 1
            random_step(rng, client, model, serial)
        ktap.check("reads see the latest", read_all(client) == model.now)
        client.close()
        server.ask(mode if mode == "cut drop"
                   else f"{mode} {rng.randrange(1 << 30)}")
        client = Client(server.socket)
        found = read_all(client)
        client.close()
        yield model, found
        model.now = list(found)
        model.flush()


def run_rounds(mode):
    """Check a mode; returns how many sectors lost something."""
    rng = random.Random(mode)
    lost = 0
    with disk() as server:
        for model, found in rounds(mode, rng, server):
            bad = [index for index in range(SECTORS)
                   if found[index] not in model.may[index]]
            ktap.check_eq("impossible sectors", [], bad)
            lost += sum(data != now for data, now in zip(found, model.now))
            if mode == "cut drop":
                ktap.check("exactly the flushed is left",
                           found == model.flushed)
    return lost


def test_drop():
    ktap.check("something was lost", run_rounds("cut drop") > 0)


def test_random():
    ktap.check("something was lost", run_rounds("cut random") > 0)


def test_prefix():
    ktap.check("something was lost", run_rounds("cut prefix") > 0)


def test_kept_without_cut():
    with disk() as server:
        client = Client(server.socket)
        client.request(WRITE, 0, SECTOR, b"x" * SECTOR)
        client.close()
        client = Client(server.socket)
        ktap.check_eq("after reconnect", b"x" * SECTOR, read_all(client)[0])
        client.close()
        path = server.path
        server.close()
        ktap.check_eq("after the server's end", b"x" * SECTOR,
                      path.read_bytes()[:SECTOR])


def test_failures():
    with disk() as server:
        client = Client(server.socket)
        ktap.check_eq("size", SECTORS * SECTOR, client.size)
        ktap.check("beyond the end",
                   client.request(READ, SECTORS * SECTOR, SECTOR)[0])
        server.ask("fail write")
        ktap.check("write", client.request(WRITE, 0, SECTOR,
                                           b"y" * SECTOR)[0])
        ktap.check("flush", client.request(FLUSH)[0])
        ktap.check_eq("read", 0, client.request(READ, 0, SECTOR)[0])
        server.ask("fail all")
        ktap.check("read", client.request(READ, 0, SECTOR)[0])
        server.ask("fail none")
        ktap.check_eq("nothing written", bytes(SECTOR), read_all(client)[0])
        server.ask("hold on")
        client.sock.settimeout(0.3)
        ktap.check_raises("hangs", TimeoutError,
                          lambda: client.request(READ, 0, SECTOR))
        client.close()
        server.ask("hold off")
        ktap.check_raises("unknown", cluster.TestbedError,
                          lambda: server.ask("nonsense"))


def test_lies():
    """While it lies, neither FLUSH nor FUA keeps anything; before and after
    they do."""
    def write(sector, text, fua=False):
        ktap.check_eq(text, 0, client.request(
            WRITE, sector * SECTOR, SECTOR, text * SECTOR, fua)[0])

    with disk() as server:
        client = Client(server.socket)
        write(0, b"a")
        client.request(FLUSH)
        server.ask("lie on")
        write(0, b"b")
        write(1, b"c", fua=True)
        ktap.check_eq("flush", 0, client.request(FLUSH)[0])
        ktap.check_eq("as if", b"b" * SECTOR, read_all(client)[0])
        client.close()
        ktap.check_eq("lost", ["2"], server.ask("cut drop"))
        client = Client(server.socket)
        ktap.check_eq("after the cut", [b"a" * SECTOR, bytes(SECTOR)],
                      read_all(client)[:2])
        server.ask("lie off")
        write(1, b"d", fua=True)
        write(0, b"e")
        client.request(FLUSH)
        client.close()
        ktap.check_eq("lost", ["0"], server.ask("cut drop"))
        client = Client(server.socket)
        ktap.check_eq("after another one", [b"e" * SECTOR, b"d" * SECTOR],
                      read_all(client)[:2])
        client.close()


ktap.main(globals())
