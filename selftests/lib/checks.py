# SPDX-License-Identifier: GPL-2.0-only
"""What every test must leave behind: a clean console, no module, no leak."""

import re

_UNLOAD = r"""
[ -d /sys/module/hcivol ] || exit 0
refs=$(cat /sys/module/hcivol/refcnt)
rmmod hcivol || { echo "hcivol has $refs references"; lsmod | grep hcivol; }
"""

# Kmemleak takes an object for lost only if two scans in a row miss it.
_KMEMLEAK = r"""
leaks=/sys/kernel/debug/kmemleak
[ -w $leaks ] || exit 0
echo scan > $leaks 2> /dev/null || exit 0
echo scan > $leaks
head -c 20000 $leaks
"""

_LEAK_LINE = re.compile(r"kmemleak: \d+ new")


def at_start(guest):
    """Have later checks see only what is lost from now on."""
    guest.run("[ ! -w /sys/kernel/debug/kmemleak ] || "
              "echo clear > /sys/kernel/debug/kmemleak || true")


def after_test(guest, allow=()):
    """Faults left by the test that just ended in guest, as texts.

    hcivol is unloaded if the test left it loaded; that it cannot be is one.
    """
    faults = []
    result = guest.run(_UNLOAD, timeout=60)
    if result.rc or result.out.strip():
        faults.append("hcivol cannot be unloaded: "
                      + (result.out + result.err).strip())
    result = guest.run(_KMEMLEAK, timeout=240)
    if result.out.strip():
        faults.append("kmemleak:\n" + result.out)
    guest.sync_console("end")
    # The kernel's own line on leaks says no more than the list above.
    return faults + [text for text in guest.console.new_faults(allow)
                     if not _LEAK_LINE.search(text)]
