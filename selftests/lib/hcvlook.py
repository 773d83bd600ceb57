# SPDX-License-Identifier: GPL-2.0-only
"""What a store would hold after a power cut, read from the record of its
writes without the module.

A round of power cuts reads one store as one cut left it. This looks at all
cuts of a record, right before each FLUSH and each mark, with nothing of what
was not flushed by then and with each part of it that ends in a metadata page.
It knows the media format from docs/media-format.md and nothing of the code.

Of the activity log it sees that it names, durably, whatever is written, before
that is written, and until it is flushed: data, and records of mibs.
"""

import struct

from hcvplan import Load, Lost, content
from hcvrecord import DISCARD, FLUSH, FUA, MARK
from hcvtest import BLOCK, EXTENT, META_SIZE
from hcvvol import MIB

RECORDS = 31	# in a page


class Page:
    """One image of a metadata page."""

    def __init__(self, data, addr, sb):
        self.extent, = struct.unpack_from("<I", data, 32)
        self.page, self.place = data[36], data[37]
        self.order = struct.unpack_from("<QQ", data, 40)
        extent = (addr - sb["meta_off"]) // META_SIZE
        base = sb["data_off"] + extent * EXTENT
        self.slots = []		# (mib, seq, address of the data, lo, hi)
        self.stamps = {}	# by (mib, seq)
        for i in range(RECORDS):
            rec = data[128 + i * 128:256 + i * 128]
            if rec[24]:
                mib, _, seq, stamp = struct.unpack_from("<IIQQ", rec)
                self.stamps[mib, seq] = stamp
                slot = self.page * RECORDS + i
                self.slots.append((mib, seq, base + slot * MIB,
                                   int.from_bytes(rec[64:96], "little"),
                                   int.from_bytes(rec[96:128], "little")))

    def bits(self, mib, blk):
        """For people: what it says of a block."""
        return [f"hi {hi >> blk & 1} lo {lo >> blk & 1}"
                for one, _, _, lo, hi in self.slots if one == mib]


class LogPage:
    """One image of a page of the activity log."""

    def __init__(self, data):
        self.page = data[34]
        count, = struct.unpack_from("<I", data, 36)
        self.order = struct.unpack_from("<QQ", data, 40)
        self.mibs = frozenset(struct.unpack_from(f"<{count}I", data, 128))


class Medium:
    """Pages and blocks by their addresses."""

    def __init__(self, pages=None, blocks=None, logs=None):
        self.pages, self.blocks = dict(pages or {}), dict(blocks or {})
        self.logs = dict(logs or {})

    def copy(self):
        return Medium(self.pages, self.blocks, self.logs)

    def apply(self, entry):
        self.pages.update(entry.pages)
        self.blocks.update(entry.blocks)
        self.logs.update(entry.logs)

    def named(self):
        """Mibs that the activity log names."""
        newest = {}
        for log in self.logs.values():
            if log.page not in newest or newest[log.page].order < log.order:
                newest[log.page] = log
        return frozenset().union(*(log.mibs for log in newest.values()))

    def newest(self):
        """{(extent, page): its newest image}"""
        newest = {}
        for page in self.pages.values():
            key = page.extent, page.page
            if key not in newest or newest[key].order < page.order:
                newest[key] = page
        return newest

    def slots(self):
        """The slot of each mib: newest images, highest sequences."""
        found = {}
        for page in self.newest().values():
            for slot in page.slots:
                if slot[0] not in found or found[slot[0]][1] < slot[1]:
                    found[slot[0]] = slot
        return found

    def block(self, slots, blk):
        """What a block reads as: (block, version), 0: zeroes, or None."""
        mib, index = where(blk)
        if mib not in slots:
            return 0
        _, _, base, lo, hi = slots[mib]
        if not lo >> index & 1:
            return 0
        if hi >> index & 1:
            return None
        return self.blocks.get(base + index * BLOCK)


class Entry:
    """One write of a record, taken apart."""

    def __init__(self, record, entry, sb, seed):
        self.flags, self.pages, self.blocks = entry[2], {}, {}
        self.logs = {}
        if not entry[1] or entry[2] & (MARK | DISCARD):
            return
        data = record.data(entry)
        for off in range(0, len(data), BLOCK):
            addr, part = entry[0] + off, data[off:off + BLOCK]
            if addr >= sb["data_off"]:
                self.blocks[addr] = self.version(part, seed)
            elif part[:4] == b"HCVP":
                self.pages[addr] = Page(part, addr, sb)
            elif part[:4] == b"HCVL":
                self.logs[addr] = LogPage(part)

    @staticmethod
    def version(part, seed):
        magic, run, blk, seq = struct.unpack_from("<4sIIQ", part)
        if magic == b"BLK!" and part == content(run, blk, seq) and \
                run == seed:
            return blk, seq
        return None if any(part) else 0


def where(blk):
    """Mib of the volume, block in it."""
    off = Load.off(blk)
    return off // MIB, off % MIB // BLOCK


class Look:
    """All cuts of one store's record."""

    def __init__(self, record, load, sb):
        self.plan, self.marks, self.record = load.plan, load.marks, record
        self.at = {record.mark_at[f"m{n}"]: n for n in range(len(load.marks))}
        self.entries = [Entry(record, entry, sb, self.plan.seed)
                        for entry in record.entries]
        self.cuts = 0

    def check(self, without=()):
        """Raises Lost for the first cut that is not what it must be; returns
        how many there are. To see whether it would, writes are left out."""
        durable, pending, mark = Medium(), [], None
        for i, entry in enumerate(self.entries):
            if mark is not None and (entry.flags & FLUSH or
                                     i in self.at):
                self.check_cut(durable, pending, i)
            if entry.flags & FLUSH:
                for one in pending:
                    durable.apply(one)
                pending = []
            if i in without:
                continue
            if entry.flags & (FLUSH | FUA):
                durable.apply(entry)
                self.check_named(durable, pending, i)
            elif entry.pages or entry.blocks:
                pending.append(entry)
                self.check_named(durable, [entry], i)
            if i in self.at:
                mark = self.at[i]
                self.expect(mark)
        return self.cuts

    def expect(self, mark):
        """What blocks may be from this mark on."""
        flushed, acked, _ = self.marks[mark]
        after = self.marks[min(mark + 1, len(self.marks) - 1)]
        self.low = self.plan.durable(flushed, acked)
        self.high = self.plan.versions(after[2])

    def check_named(self, durable, writes, i):
        """What writes that are not flushed tell of is named."""
        named = durable.named()
        slots = durable.slots() if any(one.pages for one in writes) else {}
        for one in writes:
            for got in one.blocks.values():
                if got and where(got[0])[0] not in named:
                    raise Lost(got[0], f"at {i} data of block {got[0]} are "
                                       "not flushed, and not named")
            for slot in (s for page in one.pages.values() for s in page.slots):
                known = slots.get(slot[0], (0, 0))
                if known != slot and known[1] <= slot[1] and \
                        slot[0] not in named:
                    raise Lost(0, f"at {i} a record of mib {slot[0]} is not "
                                  "flushed, and not named")

    def check_cut(self, durable, pending, i):
        self.check_medium(durable, f"a cut at {i}, nothing else of it")
        medium = durable.copy()
        for n, one in enumerate(pending):
            medium.apply(one)
            if one.pages:
                self.check_medium(medium, f"a cut at {i}, and {n + 1} of the "
                                          f"{len(pending)} not flushed")

    def check_medium(self, medium, how):
        self.cuts += 1
        slots = medium.slots()
        for blk, low in enumerate(self.low):
            got = medium.block(slots, blk)
            if not self.allowed(blk, low, self.high[blk], got):
                raise Lost(blk, f"{how}: block {blk} holds {got}, not "
                                       f"one of the versions {low}.."
                                       f"{self.high[blk]}")

    def allowed(self, blk, low, high, got):
        kinds = self.plan.kinds[blk]
        if got == 0:
            return any(kinds[seq] != "write" for seq in range(low, high + 1))
        return got is not None and got[0] == blk and \
            low <= got[1] <= high and kinds[got[1]] == "write"

    def needed(self):
        """Writes without which something flushed is lost, or not named: one of
        data, all of a metadata page, all of the log."""
        last = self.plan.versions(self.marks[-1][1])
        data = next(i for i, entry in enumerate(self.entries)
                    if any(got and got[1] == last[got[0]]
                           for got in entry.blocks.values()))
        first = next(page for entry in self.entries
                     for page in entry.pages.values())
        return {data}, {
            i for i, entry in enumerate(self.entries)
            if any((page.extent, page.page) == (first.extent, first.page)
                   for page in entry.pages.values())}, {
            i for i, entry in enumerate(self.entries) if entry.logs}

    def describe(self, blk):
        """Lines that tell where in the record a block lies."""
        mib, index = where(blk)
        for i, entry in enumerate(self.entries):
            if i in self.at:
                flushed, acked, begun = self.marks[self.at[i]]
                yield f"{i} mark {self.at[i]}: flushed {flushed} " \
                      f"acked {acked} begun {begun}"
            for addr, got in entry.blocks.items():
                if got and got[0] == blk:
                    yield f"{i} version {got[1]} at {addr:#x}"
            for page in entry.pages.values():
                yield f"{i} extent {page.extent} page {page.page} place " \
                      f"{page.place} {page.order}: {page.bits(mib, index)}"
            if entry.flags & FLUSH:
                yield f"{i} FLUSH"
