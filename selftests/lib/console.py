# SPDX-License-Identifier: GPL-2.0-only
"""Watching a guest's console for reports of the kernel."""

import re
import time
from pathlib import Path

# Whatever matches is a fault, also when the test itself saw none.
FAULTS = re.compile(
    r"\bWARNING:"
    r"|\bBUG:"
    r"|\bBUG \S+ \("                    # SLUB
    r"|\bOops\b"
    r"|\bKernel panic\b"
    r"|\bgeneral protection fault\b"
    r"|\bUnable to handle\b"
    r"|\b(?:KASAN|KCSAN|KFENCE|KMSAN|UBSAN):"
    r"|\bkernel BUG at\b"
    r"|\bpossible (?:circular locking|recursive locking|irq lock inversion)"
    r"|\binconsistent lock state\b"
    r"|\bINFO: (?:possible|suspicious|trying to register|lockdep is turned)"
    r"|\bsuspicious RCU\b"
    r"|\bINFO: task .* blocked for more than\b"
    r"|\bINFO: rcu_\w+ (?:detected|self-detected)"
    r"|\brcu: INFO:"
    r"|\b(?:soft lockup|hard LOCKUP|self-detected stall)\b"
    r"|\bunregister_netdevice: waiting\b"
    r"|\bkmemleak: \d+ new\b"
    r"|\bkmemleak: (?:Cannot|Memory pool|Kernel memory leak detector disabled)"
    r"|\bODEBUG:"
    r"|\brefcount_t:"
    r"|\blist_(?:add|del) corruption\b"
    r"|\bsleeping function called from\b"
    r"|\bscheduling while atomic\b"
    r"|\bbad: scheduling\b"
    r"|\bWorkqueue lockup\b|\bworkqueue lockup\b"
    r"|\bDEBUG_LOCKS_WARN_ON\b"
    r"|\bhcv-guestd:|\bhcv-init: (?:failed|no disk)")

# When the kernel patches its code, a processor emulated by QEMU 7.2 may go on
# with a translation of the breakpoint that stood there meanwhile: another one
# translates anew between the invalidation of the old code and the store of the
# new. C code cannot cause this oops, so that it says nothing about a test.
EMULATOR_RACE = re.compile(r"\bint3: 0000 \[#1\]")

MARK = "hcv-mark:"
RULE = re.compile(r"={20,}$")
EXCERPT_LINES = 60


def parse_allow(text):
    """An exception "REGEX -- REASON" as (compiled regex, reason)."""
    regex, sep, reason = text.partition(" -- ")
    if not sep or not reason.strip():
        raise ValueError(f"'{text}': a console exception needs a reason: "
                         "REGEX -- REASON")
    return re.compile(regex.strip()), reason.strip()


def find_faults(text, allow=()):
    """Reports in console text that no (regex, reason) of allow covers.

    Returns a list of excerpts. An exception is matched against the whole
    excerpt, since the first line of a report rarely says whose it is.
    """
    lines = text.splitlines()
    found = []
    index = 0
    while index < len(lines):
        if not FAULTS.search(lines[index]):
            index += 1
            continue
        end = _report_end(lines, index)
        excerpt = "\n".join(lines[index:end])
        if not any(regex.search(excerpt) for regex, _ in allow):
            found.append(excerpt)
        index = end
    return found


def _report_end(lines, start):
    """One past the last line of the report that begins at start."""
    framed = "KASAN" in lines[start] or "KFENCE" in lines[start]
    for index in range(start + 1, min(len(lines), start + EXCERPT_LINES)):
        line = lines[index]
        if MARK in line or "[ cut here ]" in line:
            return index
        if "---[ end " in line:
            return index + 1
        if framed and RULE.search(line):
            return index + 1
        if not framed and "</TASK>" in line:
            more = index + 1 < len(lines) and "---[ end " in lines[index + 1]
            return index + 1 + more
    return min(len(lines), start + EXCERPT_LINES)


_WHERE = re.compile(r"(?:\bRIP: \w+:|\] +)(?![?])([A-Za-z_][\w.]*)\+0x")


def brief(fault, limit=16):
    """One line of an excerpt: the report, and where it came from.

    Of what an interrupt broke into, the interrupt itself is left out.
    """
    first, _, rest = fault.partition("\n")
    names = []
    for name in _WHERE.findall(rest.rpartition("<TASK>")[2]):
        if names[-1:] != [name]:
            names.append(name)
    return " < ".join([first, *names[:limit]])


class Console:
    """The console log of one guest, across its restarts."""

    def __init__(self, path):
        self.path = Path(path)
        self.path.touch()
        self._checked = 0
        self._saved = None

    def text(self, start=0):
        """What was printed since byte start."""
        if self._saved is not None:
            data = self._saved[start:]
        else:
            with open(self.path, "rb") as log:
                log.seek(start)
                data = log.read()
        return data.decode("utf-8", "replace").replace("\r", "")

    def detach(self):
        """Keep the text: the file is about to be removed."""
        self._saved = self.path.read_bytes()

    def size(self):
        """Bytes printed so far."""
        if self._saved is not None:
            return len(self._saved)
        return self.path.stat().st_size

    def tail(self, lines=40):
        """The last lines, for error messages."""
        return "\n".join(self.text().splitlines()[-lines:])

    def wait_text(self, needle, start, limit):
        """Wait up to limit seconds for needle after byte start."""
        end = time.monotonic() + limit
        while needle not in self.text(start):
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    def skip(self):
        """Have new_faults() leave out what was printed so far."""
        self._checked = self.size()

    def new_faults(self, allow=()):
        """Faults printed since the last call of this function."""
        start, self._checked = self._checked, self.size()
        return find_faults(self.text(start), allow)
