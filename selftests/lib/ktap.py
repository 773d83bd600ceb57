# SPDX-License-Identifier: GPL-2.0-only
"""KTAP for tests written in Python.

    def test_sum():
        ktap.check_eq("sum", 4, 2 + 2)

    ktap.main(globals())

Each function test_* is one case, run in the order of definition; any
exception fails it. A failing check_* is noted and the case goes on. With
`context`, a context manager, each case is called with what it yields.
"""

import contextlib
import os
import re
import signal
import sys
import traceback

_failures = []


class Skip(Exception):
    """Raised by a case that cannot run here; the text says why."""


def note(text):
    """A remark in the output."""
    print("".join(f"# {line}\n" for line in str(text).splitlines()), end="",
          flush=True)


def check(name, good, detail=""):
    """good must be true."""
    if not good:
        _failures.append(name)
        note(f"{name}: failed {detail}")
    return good


def check_eq(name, want, got):
    """Both must be equal."""
    return check(name, want == got, f"expected {want!r}, got {got!r}")


def check_in(name, part, whole):
    """part must be in whole."""
    return check(name, part in whole, f"no {part!r} in {_short(whole)}")


def _short(text):
    text = repr(text)
    return text if len(text) < 400 else f"{text[:200]} ... {text[-200:]}"


def check_match(name, regex, text):
    """regex must be found in text."""
    return check(name, re.search(regex, text, re.M),
                 f"no match of {regex!r} in {_short(text)}")


def check_raises(name, kind, action):
    """action() must raise kind; returns the exception's text."""
    try:
        action()
    except kind as error:
        return str(error)
    check(name, False, f"{kind.__name__} was not raised")
    return ""


def _run_case(number, name, function, args):
    _failures.clear()
    title = name.removeprefix("test_")
    try:
        function(*args)
    except Skip as reason:
        print(f"ok {number} {title} # SKIP {reason}", flush=True)
        return True
    except Exception:  # whatever it is, the case failed and others go on
        note(traceback.format_exc())
        _failures.append("exception")
    word = "not ok" if _failures else "ok"
    print(f"{word} {number} {title}", flush=True)
    return not _failures


def share(items, parts):
    """All of them; with HCV_SHARE, a number, one of so many parts, and with the
    next number the next one.  Tables within tables take other numbers of
    parts, without a common divisor, or some would never come together."""
    number = os.environ.get("HCV_SHARE")
    return items[int(number) % parts::parts] if number else items


def main(names, context=None, parts=1):
    """Run the cases among names (globals() of the test) and exit; without cases
    on the command line one of so many parts of them, see share()."""
    # Lets `with` blocks clean up when the runner's patience ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cases = [(name, value) for name, value in names.items()
             if name.startswith("test_") and callable(value)]
    if len(sys.argv) > 1:
        cases = [(name, value) for name, value in cases
                 if name.removeprefix("test_") in sys.argv[1:]]
    else:
        cases = share(cases, parts)
    print("KTAP version 1")
    print(f"1..{len(cases) + bool(context)}", flush=True)
    good = True
    try:
        with context or contextlib.nullcontext() as value:
            args = (value,) if context else ()
            for number, (name, function) in enumerate(cases, 1):
                good &= _run_case(number, name, function, args)
    except Exception as error:
        # The context counts as a case: its end checks, too.
        note(traceback.format_exc() if not str(error) else error)
        print(f"not ok {len(cases) + 1} context", flush=True)
        sys.exit(1)
    if context:
        print(f"ok {len(cases) + 1} context")
    sys.exit(not good)
