#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: host
# KVER: 6.1 6.12
# TIMEOUT: 600
# TAGS: testbed
"""vm-run brings back exit codes, output, files and faults."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import boot
import ktap
import vm

KVER = os.environ.get("HCV_KVER") or "6.1"


def vm_run(*args, data=None):
    """The finished process of vm-run."""
    return subprocess.run([boot.TREE / "tools/dev/vm-run", "--kver", KVER,
                           *map(str, args)], input=data, text=True,
                          capture_output=True, check=False, timeout=300)


def test_result():
    with tempfile.TemporaryDirectory(prefix="hcv-") as folder:
        image = Path(folder) / "image"
        image.write_bytes(b"from the host".ljust(1 << 20, b"\0"))
        out = Path(folder) / "out"
        done = vm_run(
            "--out", out, "--disk", f"{image}:serial=mine",
            "--disk", "64M:lbs=4096", "--env", "COLOUR=dark red",
            "cat /sys/block/vda/serial; head -c 13 /dev/vda; echo;"
            "cat /sys/block/vdb/queue/logical_block_size; echo $COLOUR;"
            "echo from the guest > /run/hcv-out/file; echo oops >&2;"
            "printf changed | dd of=/dev/vda conv=fsync status=none; exit 42")
        ktap.check_eq("exit code", 42, done.returncode)
        ktap.check_eq("output", "mine", done.stdout[:4])
        ktap.check_in("disk", "from the host\n4096\ndark red\n", done.stdout)
        ktap.check_eq("errors", "oops\n", done.stderr)
        ktap.check_eq("file", "from the guest\n", (out / "file").read_text())
        ktap.check_eq("disk was written", b"changed", image.read_bytes()[:7])


def test_fault():
    done = vm_run("echo '<4>BUG: made up' > /dev/kmsg")
    ktap.check_eq("exit code", 99, done.returncode)
    ktap.check_in("excerpt", "BUG: made up", done.stderr)


def test_allowed_fault():
    done = vm_run("--allow", "made up -- it is", "--",
                  "sh", "-c", "echo '<4>BUG: made up' > /dev/kmsg; exit 3")
    ktap.check_eq("exit code", 3, done.returncode)


def test_limit():
    done = vm_run("--timeout", 2, "trap '' TERM; while :; do read -t 9; done")
    ktap.check_eq("exit code", 98, done.returncode)
    ktap.check_in("message", "no end after", done.stderr)


def test_death():
    done = vm_run("echo c > /proc/sysrq-trigger")
    ktap.check_eq("exit code", 98, done.returncode)
    ktap.check_in("message", "panicked", done.stderr)


def test_shell():
    done = vm_run("--shell", data="echo $((6 * 7)) in $HCV_KVER\nexit 5\n")
    ktap.check_eq("exit code", 5, done.returncode)
    ktap.check_in("output", f"42 in {KVER}", done.stdout)


def test_wrong_use():
    for args in (["--disk", "1G:colour=red", "true"], ["--kver", "5.0", "true"],
                 ["--allow", "no reason", "true"], []):
        ktap.check_eq(str(args), 2, vm_run(*args).returncode)


class Stalling(vm.Guest):
    """A guest whose first boot hangs."""

    boots = 0

    def start_nowait(self):
        super().start_nowait()
        self.boots += 1
        vm.SILENCE = 60
        if self.boots == 1:
            self.qemu.send_signal(signal.SIGSTOP)
            vm.SILENCE = 2


def test_boot_stalls():
    with Stalling(boot.Kernel(KVER)) as guest:
        guest.start()
        ktap.check_eq("boots", 2, guest.boots)
        ktap.check_eq("works", "42", guest.out("echo 42").strip())


ktap.main(globals())
