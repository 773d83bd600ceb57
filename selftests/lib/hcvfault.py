# SPDX-License-Identifier: GPL-2.0-only
"""Allocations of the module that fail, on a kernel with fault injection.

    with hcvfault.Faults() as faults:
        faults.nth(7, lambda: node.do(...))     # the 7th one fails
        with faults.some(5):                    # of all tasks', 5 percent
            ...

Only allocations count that have a function of hcivol on the stack, and none
of the drivers that tests use as disks: their failures are errors of disks,
which is another story.
"""

import contextlib
import os
import re
import threading
from pathlib import Path

import ktap

DEBUGFS = Path("/sys/kernel/debug")
CAPS = ("failslab", "fail_page_alloc", "fail_usercopy")
COMMON = {"probability": 0, "interval": 1, "times": -1, "space": 0,
          "verbose": 0, "task-filter": "N", "stacktrace-depth": 32}
OWN = {"failslab": {"ignore-gfp-wait": "N", "cache-filter": "N"},
       "fail_page_alloc": {"ignore-gfp-wait": "N", "ignore-gfp-highmem": "N",
                           "min-order": 0}}
RESET = {"probability": 0, "stacktrace-depth": 0, "require-start": 0,
         "require-end": (1 << 64) - 1, "reject-start": 0, "reject-end": 0}


def supported():
    return all((DEBUGFS / cap / "require-start").exists() for cap in CAPS)


def need():
    """Skip where the kernel cannot make allocations fail."""
    if not supported():
        raise ktap.Skip("this kernel has no fault injection; "
                        "run it with --kver debug")


def code_of(module):
    """Where the module's code lies: (first, last) address."""
    pattern = re.compile(rf"([0-9a-f]+) [tT] \S+\t\[{module}\]$", re.M)
    found = [int(a, 16) for a in
             pattern.findall(Path("/proc/kallsyms").read_text())]
    if not found:
        raise RuntimeError(f"no code of {module}")
    return min(found), max(found) + 4096


class Faults:
    """Failures in hcivol's calls; `reject`: not in this module's."""

    def __init__(self, reject=None):
        self.reject = reject

    def _set(self, values, caps=CAPS):
        for cap in caps:
            for key, value in values.items():
                text = f"{value:#x}" if isinstance(value, int) and value > 99 \
                    else str(value)
                (DEBUGFS / cap / key).write_text(text)

    def __enter__(self):
        need()
        low, high = code_of("hcivol")
        self._set(COMMON | {"require-start": low, "require-end": high})
        for cap, values in OWN.items():
            self._set(values, (cap,))
        if self.reject:
            low, high = code_of(self.reject)
            self._set({"reject-start": low, "reject-end": high})
        return self

    def __exit__(self, *args):
        self._set(RESET)

    def nth(self, number, action):
        """action() with this task's number-th allocation failing.

        Returns (what action() raised or None, whether one has failed).
        """
        path = f"/proc/self/task/{threading.get_native_id()}/fail-nth"
        caught = None
        fd = os.open(path, os.O_RDWR)
        try:
            os.write(fd, str(number).encode())
            try:
                action()
            except Exception as e:  # the caller judges it
                caught = e
            left = int(os.pread(fd, 32, 0))
            os.pwrite(fd, b"0", 0)
        finally:
            os.close(fd)
        return caught, not left

    @contextlib.contextmanager
    def some(self, percent):
        """That part of all allocations, whoever makes them."""
        self._set({"probability": percent}, ("failslab", "fail_page_alloc"))
        try:
            yield
        finally:
            self._set({"probability": 0})


class IoFaults(Faults):
    """The number-th I/O of a task to one disk fails, by nth(); nothing else."""

    def __init__(self, path):
        super().__init__()
        dev = os.stat(path).st_rdev
        self.switch = Path(f"/sys/dev/block/{os.major(dev)}:{os.minor(dev)}"
                           "/make-it-fail")

    def __enter__(self):
        need()
        # nth() counts what is asked anywhere: of allocations, no place is.
        self._set(RESET | {"require-start": 1, "require-end": 2})
        self._set({"verbose": 0}, ("fail_make_request",))
        self.switch.write_text("1")
        return self

    def __exit__(self, *args):
        self.switch.write_text("0")
        super().__exit__(*args)
