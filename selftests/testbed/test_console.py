#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: host
# KVER: 6.1 6.12
# TAGS: fast smoke
"""Kernel reports are found in console text, and nothing else is."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import console
import ktap

FAULTS = """\
WARNING: CPU: 1 PID: 9 at block/blk-core.c:10 submit_bio+0x1/0x2
BUG: kernel NULL pointer dereference, address: 0000000000000000
BUG: KASAN: slab-use-after-free in hcv_vol_put+0x12/0x20 [hcivol]
BUG kmalloc-64 (Tainted: G    B      OE): Poison overwritten
BUG: sleeping function called from invalid context at mm/slab.h:1
UBSAN: shift-out-of-bounds in kernel/map.c:3:4
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: inconsistent lock state
INFO: possible recursive locking detected
WARNING: suspicious RCU usage
INFO: trying to register non-static key.
INFO: task kworker/0:1:10 blocked for more than 60 seconds.
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [fio:100]
unregister_netdevice: waiting for eth0 to become free. Usage count = 2
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
general protection fault, probably for non-canonical address 0xdead
list_del corruption. prev->next should be ffff, but was dead
refcount_t: underflow; use-after-free.
ODEBUG: free active (active state 0) object type: timer_list
BUG: scheduling while atomic: swapper/0/0/0x00000002
kernel BUG at kernel/volume.c:12!
Kernel panic - not syncing: sysrq triggered crash
Oops: 0000 [#1] PREEMPT SMP NOPTI
BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 30s!
""".splitlines()

HARMLESS = """\
hcivol: loading out-of-tree module taints kernel.
hcivol: module verification failed: signature and/or required key missing
EXT4-fs (vda): mounted filesystem with ordered data mode
nvmet: adding nsid 1 to subsystem debug: x
hcv-mark: begin block/warning.sh 1.
kmemleak: Kernel memory leak detector initialized (mem pool available: 1)
rcu: Hierarchical RCU implementation.
Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
Spectre V2 : Vulnerable
""".splitlines()

REPORT = """\
[    1.0] ------------[ cut here ]------------
[    1.0] WARNING: CPU: 1 PID: 9 at a.c:10 f+0x1/0x2
[    1.0] Call Trace:
[    1.0]  <TASK>
[    1.0]  nvmet_tcp_io_work+0x1/0x2
[    1.0]  </TASK>
[    1.0] ---[ end trace 0000000000000000 ]---
[    1.1] ordinary line
[    1.2] WARNING: CPU: 1 PID: 9 at b.c:10 g+0x1/0x2
"""


def test_faults():
    for line in FAULTS:
        found = console.find_faults(f"[    1.000000] {line}\n")
        ktap.check_eq(line, 1, len(found))


def test_harmless():
    for line in HARMLESS:
        found = console.find_faults(f"[    1.000000] {line}\n")
        ktap.check_eq(line, [], found)


def test_excerpt():
    found = console.find_faults(REPORT)
    ktap.check_eq("number", 2, len(found))
    ktap.check_in("trace is shown", "nvmet_tcp_io_work", found[0])
    ktap.check("ends with the report", "ordinary" not in found[0])


def test_allow():
    allow = [console.parse_allow("nvmet_tcp_io_work -- known in 6.1")]
    found = console.find_faults(REPORT, allow)
    ktap.check_eq("only the other one", 1, len(found))
    ktap.check_in("which", "b.c:10", found[0])


def test_allow_needs_reason():
    for text in ("nvmet", "nvmet -- ", "nvmet --"):
        ktap.check_raises(text, ValueError, lambda: console.parse_allow(text))


def test_emulator_race():
    for text, race in (("Oops: int3: 0000 [#1] PREEMPT SMP NOPTI", True),
                       ("int3: 0000 [#1] PREEMPT SMP NOPTI", True),
                       ("Oops: 0000 [#1] PREEMPT SMP NOPTI", False),
                       ("WARNING: at print3: 0000 [#1", False)):
        ktap.check_eq(text, race, bool(console.EMULATOR_RACE.search(text)))


STALL = """\
[   93.2] watchdog: BUG: soft lockup - CPU#1 stuck for 44s! [ksoftirqd/1:21]
[   93.2] Modules linked in: hcivol(OE)
[   93.2] CPU: 1 PID: 21 Comm: ksoftirqd/1 Tainted: G           OE
[   93.2] RIP: 0010:inner+0x1/0x20
[   93.2] Call Trace:
[   93.2]  <IRQ>
[   93.2]  ? watchdog_timer_fn+0x1a4/0x200
[   93.2]  tick+0x1/0x2
[   93.2]  </IRQ>
[   93.2]  <TASK>
[   93.2]  asm_sysvec+0x1/0x2
[   93.2] RIP: 0010:inner+0x1/0x20
[   93.2]  ? older+0x1/0x2
[   93.2]  inner+0x9/0x20
[   93.2]  outer.part.0+0x9/0x20 [hcivol]
[   93.2]  </TASK>"""


def test_brief():
    ktap.check_eq("a stall", STALL.splitlines()[0] +
                  " < asm_sysvec < inner < outer.part.0",
                  console.brief(STALL))
    ktap.check_eq("one line", "kernel BUG at a.c:1!",
                  console.brief("kernel BUG at a.c:1!"))


ktap.main(globals())
