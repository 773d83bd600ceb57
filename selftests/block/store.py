#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 900
# TAGS: fast smoke
# DISK: 2G:serial=a
# DISK: 2G:serial=b,lbs=4096
"""Stores: open, close, reopening after a crash, damaged media, extents, and
the strictness of netlink."""

import errno
import os
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvnl
import hcvtest
import ktap
from hcvtest import uuid_text

A = hcvtest.disk_by_serial("a")
B = hcvtest.disk_by_serial("b")
node = hcvtest.Node()


def copy_metadata(src, dst):
    """What a crash would leave: the media as they are, without a close."""
    sb = hcvtest.read_super(src)
    with hcvtest.Device(src) as one, hcvtest.Device(dst) as two:
        for off in range(0, sb["data_off"], 1 << 20):
            two.write(off, one.read(off, 1 << 20))


def open_close(path, lba):
    first = node.open(path)
    ktap.check_eq("store", uuid_text("@s1"), first["STORE"])
    ktap.check_eq("label", "test", first["LABEL"])
    ktap.check_eq("sector", lba, first["LBA_BYTES"])
    ktap.check_eq("extents", (7, 0), (first["NR_EXTENTS"],
                                      first["NR_EXTENTS_USED"]))
    again = node.open(path, fmt=False)
    ktap.check_eq("repeated open", first["INCARNATION"], again["INCARNATION"])
    sb = hcvtest.read_super(path)
    ktap.check_eq("not clean while open", 0, sb["flags"])
    ktap.check_eq("node", hcvnl.parse_uuid("@n1"), sb["node"])
    ktap.check_eq("incarnation", first["INCARNATION"], sb["incarnation"])
    node.do("STORE_CLOSE", STORE="@s1")
    for copy in range(2):
        sb = hcvtest.read_super(path, copy)
        ktap.check_eq("clean, no lease", 3, sb["flags"])
    second = node.open(path, fmt=False)
    ktap.check("new incarnation",
               first["INCARNATION"] != second["INCARNATION"])
    node.do("STORE_CLOSE", STORE="@s1")


def test_open_close():
    open_close(A, 512)
    ktap.check_eq("nothing is left", [], node.dump("STORE_GET"))


def test_open_close_4096():
    open_close(B, 4096)


def test_open_refused():
    node.fails(errno.ENOENT, "cannot be opened", "STORE_OPEN",
               PATH="/dev/nothing")
    node.fails(errno.ENOENT, "not open", "STORE_GET", STORE="@s9")
    node.fails(errno.ENOENT, "no such store", "STORE_CLOSE", STORE="@s9")
    node.open(A)
    node.fails(errno.ESTALE, "is open as store", "STORE_OPEN", PATH=A,
               STORE="@s2")
    copy_metadata(A, B)
    node.fails(errno.EEXIST, f"open on {A}", "STORE_OPEN", PATH=B)
    node.fails(errno.EBUSY, "stores are open", "NODE_SET", NODE="@n2",
               CLUSTER="@cluster")
    node.do("NODE_SET", NODE="@n1", CLUSTER="@cluster")
    node.shut()
    node.fails(errno.ESTALE, "holds store", "STORE_OPEN", PATH=A, STORE="@s2")
    node.do("NODE_SET", NODE="@n1", CLUSTER="@other")
    node.fails(errno.ESTALE, "belongs to cluster", "STORE_OPEN", PATH=A)
    node.do("NODE_SET", NODE="@n1", CLUSTER="@cluster")
    with hcvtest.Device(A):
        fd = os.open(A, os.O_RDWR | os.O_EXCL)
        node.fails(errno.EBUSY, "cannot be opened", "STORE_OPEN", PATH=A)
        os.close(fd)


SUPER_FAULTS = [
    ({"magic": 0x1122334455667788}, "foreign magic 1122334455667788"),
    ({"crc": 1}, "wrong checksum"),
    ({"own_off": 4096}, "another place"),
    ({"major": 2}, "unknown version"),
    ({"incompat": 1}, "unknown version or feature"),
    ({"store": bytes(16)}, "out of range"),
    ({"seq": 0}, "out of range"),
    ({"lba_bytes": 1024}, "out of range"),
    ({"flags": 0x80}, "out of range"),
    ({"handle_next": 1}, "out of range"),
    ({"nr_extents": 8}, "out of range"),
    ({"nr_vols": 17}, "out of range"),
    ({"table_pages": 2}, "out of range"),
    ({"vol_off": 0}, "out of range"),
    ({"meta_off": 0}, "out of range"),
    ({"data_off": 0}, "out of range"),
    ({"dev_bytes": 4 << 30}, "truncated: 2147483648 of 4294967296"),
    ({"label": b"x" * 64}, "out of range"),
    ({"pad0": 1}, "out of range"),
    ({"tail": 1}, "out of range"),
]


def test_bad_superblocks():
    for fields, text in SUPER_FAULTS:
        node.format(A)
        hcvtest.patch_super(A, 0, **fields)
        hcvtest.patch_super(A, 1, **fields)
        code = errno.EPROTONOSUPPORT if "version" in text else errno.EUCLEAN
        node.fails(code, text, "STORE_OPEN", PATH=A)
    hcvtest.device_write(A, 0, bytes(4096))
    hcvtest.device_write(A, 512 << 10, bytes(4096))
    node.fails(errno.EUCLEAN, "not formatted", "STORE_OPEN", PATH=A)


def test_newer_superblock_copy():
    """An upgrade that did not come to its end: neither copy is touched."""
    for copy in range(2):
        for fields in ({"major": 2}, {"incompat": 1 << 40}):
            node.format(A)
            hcvtest.patch_super(A, copy, **fields)
            before = [hcvtest.device_read(A, off) for off in (0, 512 << 10)]
            node.fails(errno.EPROTONOSUPPORT, f"superblock {copy}: .*newer",
                       "STORE_OPEN", PATH=A)
            ktap.check("untouched", before == [
                hcvtest.device_read(A, off) for off in (0, 512 << 10)])


def test_superblock_repair():
    for copy in range(2):
        node.format(A)
        hcvtest.patch_super(A, 1 - copy, handle_next=4096)
        hcvtest.device_write(A, copy * (512 << 10), os.urandom(4096))
        before = len(hcvtest.kernel_log())
        node.open(A, fmt=False)
        ktap.check_in("log", f"superblock copy {copy} was bad",
                      hcvtest.kernel_log()[before:])
        node.shut()
        one, two = hcvtest.read_super(A, 0), hcvtest.read_super(A, 1)
        ktap.check_eq("handles of the good copy", (4096, 4096),
                      (one["handle_next"], two["handle_next"]))
        ktap.check_eq("equal", one["seq"], two["seq"])


def test_newest_superblock_wins():
    node.format(A)
    hcvtest.patch_super(A, 0, seq=9, handle_next=8192)
    node.open(A, fmt=False)
    node.shut()
    ktap.check_eq("handles", 8192,
                  hcvtest.read_super(A, 1)["handle_next"])


def test_two_stores_on_a_device():
    node.format(A)
    hcvtest.patch_super(A, 1, store=hcvnl.parse_uuid("@s2"))
    node.fails(errno.EUCLEAN, "two stores", "STORE_OPEN", PATH=A)


def test_readonly_feature():
    node.format(A)
    for copy in range(2):
        hcvtest.patch_super(A, copy, ro_compat=1)
    ktap.check_eq("flags", "READONLY", node.open(A, fmt=False)["STORE_FLAGS"])
    node.fails(errno.EROFS, "read-only", "STORE_EXTENT_ADD", STORE="@s1",
               VOL="@v1", INDEXES="0")
    node.shut()
    ktap.check_eq("untouched", 1, hcvtest.read_super(A)["seq"])


def test_extents():
    with hcvtest.Device(A) as dev:
        node.format(A)
        sb = hcvtest.read_super(A)
        # Old metadata must not show through.
        for off in range(sb["vol_off"], sb["data_off"], 1 << 20):
            dev.write(off, b"\xff" * (1 << 20))
    node.open(A, fmt=False)
    node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v1", INDEXES="0-2")
    node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v1", INDEXES="0-2,2,9")
    node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v2", INDEXES="5")
    want = {uuid_text("@v1"): [0, 1, 2, 9], uuid_text("@v2"): [5]}
    ktap.check_eq("extents", want, node.extents())
    got = node.do("STORE_GET", STORE="@s1")
    ktap.check_eq("used", (5, 2), (got["NR_EXTENTS_USED"],
                                   got["NR_VOLS_USED"]))
    node.fails(errno.ENOSPC, "all 7 extents", "STORE_EXTENT_ADD", STORE="@s1",
               VOL="@v3", INDEXES="0-2")
    ktap.check_eq("nothing taken", want, node.extents())
    node.fails(errno.EINVAL, "too large", "STORE_EXTENT_ADD", STORE="@s1",
               VOL="@v3", INDEXES=str(1 << 24))
    with hcvtest.Device(A) as dev:
        zero = dev.read(sb["meta_off"], 5 * hcvtest.META_SIZE)
        rest = dev.read(sb["meta_off"] + 5 * hcvtest.META_SIZE, 4096)
        area = dev.read(sb["vol_off"], 2 * (256 << 10))
    ktap.check("metadata zeroed", not any(zero) and not any(area))
    ktap.check("no more than that", all(b == 255 for b in rest))
    copy_metadata(A, B)
    node.shut()
    node.open(A, fmt=False)
    ktap.check_eq("after close and open", want, node.extents())
    node.shut()
    node.open(B, fmt=False)
    ktap.check_eq("after a crash", want, node.extents())
    node.do("STORE_EXTENT_DEL", STORE="@s1", VOL="@v1", INDEXES="1,7")
    node.do("STORE_EXTENT_DEL", STORE="@s1", VOL="@v2")
    node.do("STORE_EXTENT_DEL", STORE="@s1", VOL="@v2")
    want = {uuid_text("@v1"): [0, 2, 9]}
    ktap.check_eq("deleted", want, node.extents())
    node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v4", INDEXES="0-3")
    want[uuid_text("@v4")] = [0, 1, 2, 3]
    node.shut()
    node.open(B, fmt=False)
    ktap.check_eq("reused", want, node.extents())
    node.shut()


def test_volume_areas():
    node.open(A)
    for i in range(7):
        node.do("STORE_EXTENT_ADD", STORE="@s1", VOL=f"@v{i}", INDEXES="0")
    for i in range(7):
        node.do("STORE_EXTENT_DEL", STORE="@s1", VOL=f"@v{i}", INDEXES="0")
    got = node.do("STORE_GET", STORE="@s1")
    ktap.check_eq("areas stay", (0, 7), (got["NR_EXTENTS_USED"],
                                         got["NR_VOLS_USED"]))
    ktap.check_eq("volumes without extents", [[]] * 7,
                  list(node.extents().values()))
    for i in range(7, 16):
        node.do("STORE_EXTENT_ADD", STORE="@s1", VOL=f"@v{i}", INDEXES="0")
        node.do("STORE_EXTENT_DEL", STORE="@s1", VOL=f"@v{i}", INDEXES="0")
    node.fails(errno.ENOSPC, "all 16 volume areas", "STORE_EXTENT_ADD",
               STORE="@s1", VOL="@v16", INDEXES="0")
    for i in range(16):
        node.do("STORE_EXTENT_DEL", STORE="@s1", VOL=f"@v{i}")
    got = node.do("STORE_GET", STORE="@s1")
    ktap.check_eq("all free", 0, got["NR_VOLS_USED"])
    node.shut()


def table_place(place):
    return hcvnl.MIB + place * 4096


def table_edit(place, entries, seq=None):
    """Change entries {number: (volume, index, state, seq)} of the only page."""
    buf = bytearray(hcvtest.device_read(A, table_place(place)))
    for num, (vol, index, state, eseq) in entries.items():
        struct.pack_into("<16sIB3xQ32x", buf, 64 + 64 * num,
                         hcvnl.parse_uuid(vol), index, state, eseq)
    if seq:
        struct.pack_into("<Q", buf, 32, seq)
    buf[4:8] = bytes(4)
    hcvtest.device_write(A, table_place(place), hcvnl.seal(bytes(buf), 4))


def make_table():
    node.open(A)
    node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v1", INDEXES="0-2")
    want = node.extents()
    node.shut()
    return want


def test_table_repair():
    for place in range(2):
        want = make_table()
        hcvtest.device_write(A, table_place(place), os.urandom(4096))
        before = len(hcvtest.kernel_log())
        node.open(A, fmt=False)
        ktap.check_eq("extents", want, node.extents())
        ktap.check_in("log", f"place {place} was bad",
                      hcvtest.kernel_log()[before:])
        node.shut()
        for again in range(2):
            buf = hcvtest.device_read(A, table_place(again))
            ktap.check("repaired", hcvnl.seal(buf[:4] + bytes(4) + buf[8:], 4)
                       == buf)


def test_table_newest_wins():
    want = make_table()
    table_edit(0, {1: ("@v1", 77, 1, 99)}, seq=1000)
    want[uuid_text("@v1")] = [0, 2, 77]
    node.open(A, fmt=False)
    ktap.check_eq("extents", want, node.extents())
    node.shut()


TABLE_FAULTS = [
    ({1: ("@v1", 0, 1, 5)}, "entry 1: .*\\[0\\] wrong or double"),
    ({1: ("@v1", 1 << 24, 1, 5)}, "entry 1: .*wrong or double"),
    ({8: ("@v1", 0, 1, 5)}, "entry 8: .*wrong or double"),
    ({1: ("@v1", 1, 7, 5)}, "entry 1 is damaged"),
    ({1: ("@v1", 1, 1, 0)}, "entry 1 is damaged"),
    ({1: ("@v1", 1, 0, 0)}, "entry 1 is damaged"),
    ({40: ("@v1", 9, 1, 5)}, "entry 40 is damaged"),
]


def test_bad_tables():
    for entries, text in TABLE_FAULTS:
        make_table()
        table_edit(0, entries, seq=1000)
        node.fails(errno.EUCLEAN, text, "STORE_OPEN", PATH=A)
    make_table()
    for place in range(2):
        hcvtest.device_write(A, table_place(place), os.urandom(4096))
    node.fails(errno.EUCLEAN, "page 0: both places are bad", "STORE_OPEN",
               PATH=A)
    ktap.check_eq("nothing is open", [], node.dump("STORE_GET"))


def test_large_table():
    """Many pages of table; lists of extents that need several messages."""
    size = 1300 << 30
    meta_off = hcvnl.layout(size)[4]
    edge = meta_off // 512
    big = hcvtest.dm_create(
        "big", f"0 {edge} linear {A} 0\n{edge} {size // 512 - edge} zero")
    try:
        got = node.open(big)
        ktap.check_eq("extents", 5197, got["NR_EXTENTS"])
        node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v1",
                INDEXES="1-4200,9000")
        want = {uuid_text("@v1"): [*range(1, 4201), 9000]}
        for i in range(200):
            node.do("STORE_EXTENT_ADD", STORE="@s1", VOL=f"@w{i}",
                    INDEXES=f"{i}-{i + 1}")
            want[uuid_text(f"@w{i}")] = [i, i + 1]
        messages = node.dump("STORE_EXTENT_GET", STORE="@s1")
        ktap.check_eq("messages", (202, 4096),
                      (len(messages),
                       max(len(m["INDEXES"]) for m in messages)))
        ktap.check_eq("all extents", want, node.extents())
        node.fails(errno.ENOSPC, "all 5197", "STORE_EXTENT_ADD", STORE="@s1",
                   VOL="@w0", INDEXES="1000-1600")
        node.do("STORE_EXTENT_DEL", STORE="@s1", VOL="@v1", INDEXES="1-4199")
        want[uuid_text("@v1")] = [4200, 9000]
        node.shut()
        node.open(big, fmt=False)
        ktap.check_eq("after close and open", want, node.extents())
        node.shut()
    finally:
        hcvtest.dm_remove("big")


def refused(code, text, cmd, payload, dump=False):
    try:
        node.client.raw(cmd, payload, dump)
    except hcvnl.Fail as e:
        ktap.check_eq(f"errno ({e.text})", code, e.code)
        ktap.check_match("text", text, e.text)
    else:
        ktap.check("refused", False, f"{cmd} {payload!r}")


def test_netlink_strict():
    enc = node.client.codec.encode
    attr = node.client.codec.uapi.attr
    store, vol = enc("STORE", "@s1"), enc("VOL", "@v1")
    refused(errno.EINVAL, "STORE is missing", "STORE_CLOSE", b"")
    refused(errno.EINVAL, "VOL is not of this", "STORE_CLOSE", store + vol)
    refused(errno.EINVAL, "", "STORE_CLOSE", store + hcvnl.nlattr(99, b"1234"))
    refused(errno.EINVAL, "", "STORE_CLOSE",
            store + hcvnl.nlattr(attr["READ_IOS"], bytes(8)))
    for bad in (bytes(15), bytes(17), b""):
        refused(errno.ERANGE, "", "STORE_CLOSE",
                hcvnl.nlattr(attr["STORE"], bad))
    refused(errno.EINVAL, "", "STORE_OPEN", hcvnl.nlattr(attr["PATH"], b"/dev"))
    refused(errno.ERANGE, "", "REVOKE", store + vol + enc("EPOCH", "0"))
    refused(errno.ERANGE, "", "VOL_CREATE", enc("STRIPE", "5"))
    refused(errno.EINVAL, "", "VOL_STOP", vol + enc("VOL_FLAGS", "0x80"))
    refused(errno.EINVAL, "array of u32", "STORE_EXTENT_ADD", store + vol +
            hcvnl.nlattr(attr["INDEXES"], bytes(6)))
    refused(errno.EINVAL, "null UUID", "NODE_SET",
            hcvnl.nlattr(attr["NODE"], bytes(16)) + enc("CLUSTER", "@c"))
    # 6.1 does not hand the extended ack to the start of a dump.
    old = os.uname().release.startswith("6.1.")
    refused(errno.EINVAL, "" if old else "STORE is missing",
            "STORE_EXTENT_GET", b"", True)
    refused(errno.EINVAL, "" if old else "VOL is not of this", "GRANT_GET",
            vol, True)
    refused(errno.EOPNOTSUPP, "", 200, b"")


def as_nobody(action):
    """Errno of action() in a child without privileges, 0: it succeeded."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 0
    try:
        os.setgid(65534)
        os.setuid(65534)
        action()
    except hcvnl.Fail as e:
        code = e.code
    except OSError as e:
        code = e.errno
    os._exit(code)


def test_netlink_privileges():
    state_changes = [name for name in node.client.codec.uapi.cmd
                     if not name.endswith("_GET")
                     and name not in ("UNSPEC", "EVENT")]
    ktap.check_eq("commands", 26, len(state_changes))
    for name in state_changes:
        ktap.check_eq(name, errno.EPERM,
                      as_nobody(lambda n=name: hcvnl.Client().raw(n, b"")))
    ktap.check_eq("reading", 0,
                  as_nobody(lambda: hcvnl.Client().raw("MODULE_GET", b"")))

    def join():
        client = hcvnl.Client()
        client.genl.sock.setsockopt(hcvnl.SOL_NETLINK,
                                    hcvnl.NETLINK_ADD_MEMBERSHIP,
                                    client.groups["events"])
    ktap.check_eq("events", errno.EPERM, as_nobody(join))


def test_unload():
    """The module goes with stores open and grants out, and leaves them clean."""
    node.open(A)
    node.do("STORE_EXTENT_ADD", STORE="@s1", VOL="@v1", INDEXES="0-2")
    node.do("EXPORT_ADD", STORE="@s1", NODE="@n2")
    node.do("GRANT", STORE="@s1", VOL="@v1", EPOCH=1, NODE="@n2", COUNT=3)
    hcvtest.unload_module()
    ktap.check_eq("flags", 3, hcvtest.read_super(A)["flags"])
    node.__init__()
    node.open(A, fmt=False)
    ktap.check_eq("extents", {uuid_text("@v1"): [0, 1, 2]}, node.extents())
    node.shut()


ktap.main(globals())
