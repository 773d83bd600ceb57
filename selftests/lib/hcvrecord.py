# SPDX-License-Identifier: GPL-2.0-only
"""What dm-log-writes wrote down of a device."""

import os
import struct

from hcvplan import BLOCK

LW_MAGIC = 0x6a736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


class Record:
    """What dm-log-writes wrote down, replayed onto an image."""

    def __init__(self, log, image):
        self.image, self.applied = image, 0
        self.entries, self.mark_at = [], {}
        self.log = os.open(log, os.O_RDONLY)
        magic, _, count, sector = struct.unpack(
            "<QQQI", os.pread(self.log, 28, 0))
        if magic != LW_MAGIC:
            raise RuntimeError(f"{log} holds no log")
        self.sector, pos = sector, sector
        for i in range(count):
            head = os.pread(self.log, sector, pos)
            first, nr, flags, length = struct.unpack_from("<QQQQ", head)
            pos += sector
            self.entries.append((first * sector, nr * sector, flags, pos))
            if flags & MARK:
                self.mark_at[head[32:32 + length].rstrip(b"\0").decode()] = i
            elif not flags & DISCARD:
                pos += nr * sector

    def close(self):
        os.close(self.log)

    def data(self, entry):
        return os.pread(self.log, entry[1], entry[3])

    def between(self, mark):
        """Places at which a cut lies between this mark and the next."""
        return self.mark_at[f"m{mark}"] + 1, \
            self.mark_at.get(f"m{mark + 1}", len(self.entries))

    def flushes(self, mark):
        """Those of them that come right before a FLUSH."""
        first, after = self.between(mark)
        return [i for i in range(first, min(after + 1, len(self.entries)))
                if self.entries[i][2] & FLUSH]

    def flushed(self, cut):
        """Entries before this index are durable at the cut."""
        return max((i + 1 for i in range(self.applied, cut)
                    if self.entries[i][2] & FLUSH), default=self.applied)

    def advance(self, upto):
        """The image holds the entries before upto. No way back."""
        with open(self.image, "r+b", buffering=0) as file:
            for entry in self.entries[self.applied:upto]:
                if entry[1] and not entry[2] & (MARK | DISCARD):
                    os.pwrite(file.fileno(), self.data(entry), entry[0])
            os.fsync(file.fileno())
        self.applied = max(self.applied, upto)

    def spill(self, path, cut, rnd, meta_end):
        """Put some of what was not flushed before the cut onto path."""
        entries = [e for e in self.entries[self.applied:cut]
                   if e[1] and not e[2] & (MARK | DISCARD)]
        mode = rnd.choice(("none", "all", "prefix", "suffix", "suffix",
                           "some", "some", "some"))
        part = rnd.randrange(len(entries) + 1)
        with open(path, "r+b", buffering=0) as file:
            for i, entry in enumerate(entries):
                if not (entry[2] & FUA or mode == "all" or
                        mode == "prefix" and i < part or
                        mode == "suffix" and i >= part):
                    if mode != "some":
                        continue
                    self.tear(file, entry, rnd, meta_end)
                    continue
                os.pwrite(file.fileno(), self.data(entry), entry[0])
            os.fsync(file.fileno())
        return mode, len(entries)

    def tear(self, file, entry, rnd, meta_end):
        """Parts of a write: sectors of metadata, blocks of data."""
        unit = 512 if entry[0] < meta_end else BLOCK
        keep = rnd.choice((0.0, 0.5, 1.0))
        data = self.data(entry)
        for off in range(0, len(data), unit):
            if rnd.random() < keep:
                os.pwrite(file.fileno(), data[off:off + unit],
                          entry[0] + off)
