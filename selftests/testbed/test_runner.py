#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: host
# KVER: 6.1 6.12
# TIMEOUT: 600
# TAGS: fast
"""run-tests tells good tests from bad ones, whatever makes them bad."""

import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import boot
import ktap
import runner

FIXTURES = Path(__file__).resolve().parent / "fixtures"
KVER = os.environ.get("HCV_KVER") or "6.1"
RUN_TESTS = boot.TREE / "tools/dev/run-tests"


def run_tests(*args):
    """(exit code, output) of run-tests."""
    env = {key: value for key, value in os.environ.items()
           if key != "HCV_GUEST"}
    result = subprocess.run([RUN_TESTS, "--kver", KVER, *map(str, args)],
                            env=env, text=True, check=False, timeout=550,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return result.returncode, result.stdout


def test_one_of_each():
    wanted = {
        "good": ("ok  ", "1 case"),
        "allowed": ("ok  ", "1 case"),
        "skip": ("skip", "every case"),
        "bad": ("FAIL", "not ok 1 one"),
        "warn": ("FAIL", "fault on the console: .*WARNING: .*made/up"),
        "late": ("FAIL", "no end after"),
        "panic": ("FAIL", "kernel panicked"),
        "short": ("FAIL", "exit code 137"),
        "leak": ("FAIL", "fault on the console: hcivol cannot be unloaded"),
        "dirty": ("ok  ", "1 case"),
        "new-guest": ("ok  ", "1 case"),
    }
    rc, output = run_tests(*(FIXTURES / f"{name}.sh" for name in wanted))
    ktap.note(output)
    ktap.check_eq("exit code", 1, rc)
    for name, (state, detail) in wanted.items():
        ktap.check_match(name, rf"^{state} \S+ +testbed/fixtures/{name}\.sh "
                         rf"\(.*{detail}", output)
    ktap.check_match("last line", r"\n4 passed, 6 failed, 1 skipped\n\Z",
                     output)
    ktap.check_in("excerpt is shown", "for_the_test+0x1/0x2", output)
    ktap.check_in("values are shown", "expected '1', got '2'", output)
    ktap.check_match("named at the end",
                     r"\nfailed: \S+ testbed/fixtures/bad\.sh \(not ok 1",
                     output)
    ktap.check_match("why", r"\nfailed: \| .*expected '1', got '2'", output)


def test_all_good():
    rc, output = run_tests(FIXTURES / "good.sh")
    ktap.check_eq("exit code", 0, rc)
    ktap.check_match("last line", r"\n1 passed, 0 failed\n\Z", output)


def test_wrong_use():
    ktap.check_eq("no such file", 2, run_tests("no/such.sh")[0])
    ktap.check_eq("not a test", 2, run_tests(RUN_TESTS)[0])
    ktap.check_eq("no match", 2, run_tests("--filter", "^nothing$")[0])


def test_reasons():
    ktap.check_eq("of the failed case", ["# b", "# c", "not ok 2 y"],
                  runner.reasons("# a\nok 1 x\n# z\n# b\n# agent: log\n# c\n"
                                 "not ok 2 y\n# d\nok 3 w\n", 2))
    ktap.check_eq("the first comes last",
                  ["# b", "not ok 2 y", "# a", "not ok 1 x"],
                  runner.reasons("# a\nnot ok 1 x\n# b\nnot ok 2 y\n"))


def test_judge():
    for rc, text, state in (
            (0, "KTAP version 1\n1..1\nok 1 a\n", "ok"),
            (0, "1..1\nok 1 a\n# not ok 2 b\n", "ok"),
            (0, "1..2\nok 1 a\n", "FAIL"),
            (0, "1..1\nok 1 a\nok 2 b\n", "FAIL"),
            (0, "1..1\nok 1 a\nnot ok 1 a\n", "FAIL"),
            (0, "1..1\nnot ok 1 a\nok 1 a\n", "FAIL"),
            (0, "ok 1 a\n", "FAIL"),
            (0, "", "FAIL"),
            (1, "1..1\nok 1 a\n", "FAIL"),
            (4, "1..0 # SKIP no disk\n", "skip"),
            (4, "1..1\nok 1 a\n", "FAIL"),
            (0, "1..1\nok 1 a # SKIP why\n", "skip"),
            (0, "1..2\nok 1 a # SKIP why\nok 2 b\n", "ok")):
        ktap.check_eq(repr((rc, text)), state, runner.judge(rc, text).state)


def test_tree_hash():
    first = runner.tree_hash()
    probe = boot.TREE / "selftests/testbed/probe-of-test-runner"
    probe.write_text("1")
    try:
        second = runner.tree_hash()
        probe.write_text("2")
        third = runner.tree_hash()
    finally:
        probe.unlink()
    if first.startswith("no-repository"):
        raise ktap.Skip("not in a repository")
    ktap.check_eq("all differ", 3, len({first, second, third}))


def test_headers():
    names = [test.name for test in runner.find_tests()]
    ktap.check_in("finds itself", "testbed/test_runner.py", names)
    ktap.check("no fixtures", not any("fixtures" in name for name in names))
    ktap.check("no libraries",
               not any(re.match("lib/", name) for name in names))


def test_select():
    """Soak tests run when asked for, on the debug kernel if they say so."""
    def chosen(kver, *tags, **wishes):
        test = runner.Test(FIXTURES / "good.sh", "guest",
                           tags=frozenset(tags))
        return bool(runner.select([test], kver, **wishes))
    for kver, tags, wanted in (("6.1", (), True), ("6.1", ("soak",), False),
                               ("6.1", ("soak", "debug"), False),
                               ("debug", ("soak",), False),
                               ("debug", ("soak", "debug"), True)):
        ktap.check_eq(f"{kver} {tags}", wanted, chosen(kver, *tags))
    ktap.check("when asked for", chosen("6.1", "soak", tags=["soak"]))


ktap.main(globals())
