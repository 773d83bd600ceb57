#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Measure block stacks inside a guest whose clock counts instructions.

usage: guest.py STACK[:OP:DEPTH]...

One JSON line per row: stack, op, depth, ns.
"""

import contextlib
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import stacks

IOS = 20000
FSYNC_IOS = 4000
BLOCK = 4096
# Lets timers that the preparation started run out. Idle time costs nothing.
SETTLE_S = 3
ROWS = [("randread", 1), ("randread", 32), ("randwrite", 1),
        ("randwrite", 32), ("write-fsync", 1)]


def fio(dev, depth, *options):
    """Run fio; returns its only job."""
    out = stacks.run("fio", "--name=bench", f"--filename={dev}", "--direct=1",
                     "--bs=4k", "--numjobs=1", "--ioengine=libaio",
                     f"--iodepth={depth}", "--randrepeat=1",
                     "--allow_file_create=0", "--disk_util=0", "--eta=never",
                     "--output-format=json", *options)
    job = json.loads(out[out.index("{"):])["jobs"][0]
    if job["error"]:
        raise RuntimeError(f"fio: {out}")
    return job


def result(job, op, depth):
    """Virtual nanoseconds of one I/O: latency, or the time between two."""
    way = job["read" if op == "randread" else "write"]
    if depth > 1:
        return way["runtime"] and 1e9 / way["iops"]
    ns = way["lat_ns"]["mean"]
    if op == "write-fsync":
        ns += job["sync"]["lat_ns"]["mean"]
    return ns


def hit(dev, op, depth):
    """I/O to space that was written before."""
    ios = FSYNC_IOS if op == "write-fsync" else IOS
    rw = "randread" if op == "randread" else "randwrite"
    extra = ["--fsync=1"] if op == "write-fsync" else []
    job = fio(dev, depth, f"--rw={rw}", "--norandommap",
              f"--size={stacks.SPAN}", f"--io_size={ios * BLOCK}", *extra)
    return result(job, op, depth)


def chunks(row):
    """The chunks that a row of first writes takes, in random order."""
    ios = stacks.FRESH_IOS
    order = list(range(row * ios, (row + 1) * ios))
    random.Random(row).shuffle(order)
    return order


def wide_chunks(row):
    """As many of all chunks, in random order."""
    total = stacks.FRESH_IOS * stacks.FRESH_ROWS
    return random.Random(row).sample(range(total), stacks.FRESH_IOS)


def chunk_writes(dev, op, depth, chunk, order):
    """One write of 4 KiB into each of these chunks."""
    with tempfile.NamedTemporaryFile("w", suffix=".iolog") as log:
        log.write(f"fio version 2 iolog\n{dev} add\n{dev} open\n")
        for number in order:
            log.write(f"{dev} write {number * chunk} {BLOCK}\n")
            if op == "write-fsync":
                log.write(f"{dev} sync 0 0\n")
        log.write(f"{dev} close\n")
        log.flush()
        job = fio(dev, depth, f"--read_iolog={log.name}",
                  "--replay_no_stall=1")
    if job["write"]["total_ios"] != len(order):
        raise RuntimeError(f"fio wrote {job['write']['total_ios']} blocks")
    return result(job, op, depth)


def rows_of(stack, dev, wanted):
    """Yield (op, depth, ns) of one stack."""
    fresh, wide = "-fresh" in stack, "-wide" in stack
    chunk = stacks.THIN_CHUNK if stack.startswith("dm-thin") else \
        stacks.HCV_CHUNK
    if wide:
        for row in range(stacks.FRESH_ROWS):
            chunk_writes(dev, "randwrite", 32, chunk, chunks(row))
    elif not fresh:
        fio(dev, 4, "--rw=write", "--bs=1M", f"--size={stacks.SPAN}",
            "--end_fsync=1")
    row = 0
    for op, depth in ROWS:
        written = op != "randread"
        if (op, depth) in wanted:
            time.sleep(SETTLE_S)
            if fresh and written:
                yield op, depth, chunk_writes(dev, op, depth, chunk,
                                              chunks(row))
            elif wide and written:
                yield op, depth, chunk_writes(dev, op, depth, chunk,
                                              wide_chunks(row))
            else:
                yield op, depth, hit(dev, op, depth)
        row += (fresh or wide) and written


def measure(stack, wanted):
    """Make a stack, print its rows, take it down."""
    with contextlib.ExitStack() as ctx:
        dev = stacks.STACKS[stack](ctx)
        before = 0
        for op, depth, ns in rows_of(stack, dev, wanted):
            row = {"stack": stack, "op": op, "depth": depth,
                   "ns": round(ns, 1)}
            if "-wide" in stack:
                # Since the row before; the first one counts the preparation.
                now = stacks.log_misses()
                row["misses"], before = now - before, now
            print(json.dumps(row), flush=True)


def main():
    """Entry point."""
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    for arg in sys.argv[1:]:
        stack, *rest = arg.split(":")
        wanted = [(rest[0], int(rest[1]))] if rest else ROWS
        measure(stack, wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
