#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Speak the hcivol generic netlink family from a shell.

usage: hcvnl.py CMD [ATTR=VALUE ...] [--dump]
       hcvnl.py --events [--count N] [--timeout SECONDS] [ATTR=VALUE ...]
       hcvnl.py mkfs DEV [--uuid U] [--cluster U] [--label TEXT] [--lba BYTES]
       hcvnl.py super DEV
       hcvnl.py uuid NAME

CMD and ATTR are the names of uapi/linux/hcivol.h without their prefixes.
Each answer, dumped object or event is one JSON line with the same names.
A failure is one JSON line with ERROR, ERRNO and TEXT; the exit status is 1.

Values:
  numbers     decimal or 0x; flags and enums also by name: FORCE|READONLY
  uuids       text form, or @NAME for a fixed uuid made from NAME
  INDEXES     0,3,8-15
  RANGES      first:base:count,...
  EXTENTS     index:column:full:uuid+uuid[:FRESH],...
"""

import ctypes
import errno
import fcntl
import json
import os
import re
import select
import socket
import struct
import sys
import time
import uuid

HERE = os.path.dirname(os.path.realpath(__file__))
UAPI = os.path.join(HERE, "..", "..", "uapi", "linux", "hcivol.h")

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP_INTR = 0x200, 0x100, 0x10
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 270, 1
NETLINK_CAP_ACK, NETLINK_EXT_ACK = 10, 11
NETLINK_GENERIC, GENL_ID_CTRL = 16, 0x10

U32 = """ABI LBA_BYTES NR_EXTENTS NR_EXTENTS_USED NR_VOLS NR_VOLS_USED
 STORE_FLAGS COUNT INFLIGHT LEASE_MS GRANT_FLAGS STRIPE REPLICAS QUEUE
 VOL_FLAGS POLICY POLICY_MS MINOR LINK_STATE LINK_FLAGS COLUMN VOL_STATE WAIT
 WAIT_COUNT OPENERS READY SYNC_KIBPS MISSED_MIBS EVENT ERRNO
 UNFLUSHED_MIBS NEXT_INDEX LOG_ENTRIES LOG_NAMED SCRUB_OP SCRUB_KIBPS
 SCRUB_STATE SCRUB_RESULT HANDOVER_MS FEATURES""".split()
STRING = "VERSION PATH LABEL DEVNAME NAME TEXT".split()
UUID = "NODE CLUSTER STORE VOL BASE".split()
NESTED = "LINK WAITS SCRUB".split()
# attribute -> prefix of its enumerators or flags in the header
NAMED = {
    "QUEUE": "QUEUE", "POLICY": "POLICY", "LINK_STATE": "LINK",
    "VOL_STATE": "VOL", "WAIT": "WAIT", "EVENT": "EVENT",
    "VOL_FLAGS": "VOL_F", "STORE_FLAGS": "STORE_F", "GRANT_FLAGS": "GRANT_F",
    "LINK_FLAGS": "LINK_F", "SCRUB_OP": "SCRUB_OP", "SCRUB_STATE": "SCRUB",
    "SCRUB_RESULT": "SCRUBBED",
}
ALWAYS_DUMP = """STORE_EXTENT_GET EXPORT_GET GRANT_GET VOL_STATS_GET
 STORE_STATS_GET""".split()
DUMP_WITHOUT = {"STORE_GET": "STORE", "VOL_GET": "VOL"}


class Fail(Exception):
    """An error with its errno and a sentence."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code, self.text = code, text


class Uapi:
    """Names and numbers, read from the header itself."""

    def __init__(self, path):
        with open(path, encoding="ascii") as f:
            text = f.read()
        text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        self.enums = {}
        for name, body in re.findall(r"enum (\w+) \{(.*?)\}", text, re.S):
            num, out = 0, {}
            for item in filter(None, (i.strip() for i in body.split(","))):
                key, _, val = (p.strip() for p in item.partition("="))
                num = int(val, 0) if val else num
                if not key.startswith("__"):
                    out[key] = num
                num += 1
            self.enums[name] = out
        self.flags = {n: 1 << int(b) for n, b in
                      re.findall(r"#define (HCV_\w+_F_\w+)\s+\(1U << (\d+)\)", text)}
        self.cmd = self.strip("hcv_cmd", "HCV_CMD_")
        self.attr = self.strip("hcv_attr", "HCV_A_")
        self.attr_name = {v: k for k, v in self.attr.items()}

    def strip(self, enum, prefix):
        return {k[len(prefix):]: v for k, v in self.enums[enum].items()}

    def names(self, attr):
        """name -> number for an attribute with named values"""
        prefix = "HCV_%s_" % NAMED[attr]
        if prefix.endswith("_F_"):
            return {k[len(prefix):]: v for k, v in self.flags.items()
                    if k.startswith(prefix)}
        enum = "hcv_" + {"LINK": "link_state", "VOL": "vol_state",
                         "SCRUB": "scrub_state", "SCRUBBED": "scrub_result"} \
            .get(NAMED[attr], NAMED[attr].lower())
        return self.strip(enum, prefix)


def parse_uuid(text):
    if text.startswith("@"):
        return uuid.uuid5(uuid.NAMESPACE_DNS, text[1:] + ".hcivol.test").bytes
    return uuid.UUID(text).bytes


def parse_indexes(text):
    out = []
    for part in filter(None, text.split(",")):
        lo, _, hi = part.partition("-")
        out.extend(range(int(lo), int(hi or lo) + 1))
    return struct.pack("=%dI" % len(out), *out)


def parse_ranges(text):
    out = b""
    for part in filter(None, text.split(",")):
        first, base, count = (int(x, 0) for x in part.split(":"))
        out += struct.pack("=QII", first, base, count)
    return out


def parse_extents(text):
    out = b""
    for part in filter(None, text.split(",")):
        fields = part.split(":")
        index, column, full = (int(x, 0) for x in fields[:3])
        stores = [parse_uuid(s) for s in fields[3].split("+")]
        flags = 1 if fields[4:] == ["FRESH"] else 0
        out += struct.pack("=IBBBB", index, column, len(stores), flags, full)
        out += b"".join(stores).ljust(64, b"\0")
    return out


class Codec:
    def __init__(self, uapi):
        self.uapi = uapi

    def number(self, name, text):
        if name not in NAMED:
            return int(text, 0)
        names, num = self.uapi.names(name), 0
        for part in text.split("|"):
            num |= names[part] if part in names else int(part, 0)
        return num

    def encode(self, name, text):
        if name in U32:
            data = struct.pack("=I", self.number(name, text))
        elif name in STRING:
            data = text.encode() + b"\0"
        elif name in UUID:
            data = parse_uuid(text)
        elif name == "INDEXES":
            data = parse_indexes(text)
        elif name == "RANGES":
            data = parse_ranges(text)
        elif name == "EXTENTS":
            data = parse_extents(text)
        elif name in NESTED:
            data = b"".join(self.encode(k, str(v))
                            for k, v in json.loads(text).items())
        else:
            data = struct.pack("=Q", int(text, 0))
        kind = self.uapi.attr[name] | (0x8000 if name in NESTED else 0)
        return nlattr(kind, data)

    def decode_number(self, name, num):
        if name not in NAMED:
            return num
        names = self.uapi.names(name)
        if not NAMED[name].endswith("_F"):
            return {v: k for k, v in names.items()}.get(num, num)
        out = [k for k, v in names.items() if num & v]
        return "|".join(out)

    def decode(self, data):
        out = {}
        for kind, body in nlattrs(data):
            name = self.uapi.attr_name.get(kind, str(kind))
            if name == "PAD":
                continue
            if name in NESTED:
                out.setdefault(name, []).append(self.decode(body))
            else:
                out[name] = self.value(name, body)
        return out

    def value(self, name, body):
        if name in U32:
            return self.decode_number(name, struct.unpack("=I", body)[0])
        if name in STRING:
            return body.rstrip(b"\0").decode(errors="replace")
        if name in UUID:
            return str(uuid.UUID(bytes=body))
        if name in ("INDEXES", "COL_READY", "COL_IDLE", "SETTLING", "SETTLED"):
            return list(struct.unpack("=%dI" % (len(body) // 4), body))
        if name == "RANGES":
            return [dict(zip(("first", "base", "count"), r))
                    for r in struct.iter_unpack("=QII", body)]
        if name == "EXTENTS":
            return [{"index": r[0], "column": r[1], "flags": r[3], "full": r[4],
                     "store": [str(uuid.UUID(bytes=r[5][16 * i:16 * i + 16]))
                               for i in range(r[2])]}
                    for r in struct.iter_unpack("=IBBBB64s", body)]
        if name.startswith("HIST_"):
            return list(struct.unpack("=%dQ" % (len(body) // 8), body))
        return struct.unpack("=Q", body)[0] if len(body) == 8 else body.hex()


def nlattr(kind, data):
    size = 4 + len(data)
    return struct.pack("=HH", size, kind) + data + b"\0" * (-size % 4)


def nlattrs(data):
    pos = 0
    while pos + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, pos)
        if size < 4:
            return
        yield kind & 0x3fff, data[pos + 4:pos + size]
        pos += (size + 3) & ~3


class Genl:
    """One generic netlink socket."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                                  NETLINK_GENERIC)
        self.sock.bind((0, 0))
        self.sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self.sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self.seq = int(time.time()) & 0xffff

    def send(self, family, cmd, version, payload, flags):
        self.seq += 1
        body = struct.pack("=BBH", cmd, version, 0) + payload
        self.sock.send(struct.pack("=IHHII", 16 + len(body), family,
                                   NLM_F_REQUEST | flags, self.seq, 0) + body)

    def call(self, family, cmd, version, payload, flags):
        self.send(family, cmd, version, payload, flags)
        while True:
            for kind, mflags, seq, data in self.receive():
                if seq != self.seq:
                    continue
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    check_ack(kind, mflags, data)
                    return
                if mflags & NLM_F_DUMP_INTR:
                    raise Fail(errno.EINTR, "the dump was disturbed")
                yield data[4:]

    def receive(self):
        data, pos = self.sock.recv(1 << 20), 0
        while pos + 16 <= len(data):
            size, kind, flags, seq, _ = struct.unpack_from("=IHHII", data, pos)
            yield kind, flags, seq, data[pos + 16:pos + size]
            pos += (size + 3) & ~3

    def family(self, name):
        payload = nlattr(2, name.encode() + b"\0")
        fam, groups = None, {}
        try:
            for data in self.call(GENL_ID_CTRL, 3, 2, payload, NLM_F_ACK):
                for kind, body in nlattrs(data):
                    if kind == 1:
                        fam = struct.unpack("=H", body)[0]
                    elif kind == 7:
                        for _, grp in nlattrs(body):
                            one = dict(nlattrs(grp))
                            groups[one[1].rstrip(b"\0").decode()] = \
                                struct.unpack("=I", one[2])[0]
        except Fail as e:
            raise Fail(e.code, "no netlink family %s: is the module loaded?"
                       % name) from e
        return fam, groups


def check_ack(kind, flags, data):
    code = struct.unpack_from("=i", data)[0] if len(data) >= 4 else 0
    if code >= 0:
        return
    text, tlvs = "", data[4:]
    if kind == NLMSG_ERROR:
        size = struct.unpack_from("=I", data, 4)[0]
        tlvs = data[20:] if flags & NLM_F_CAPPED else data[4 + size:]
    if flags & NLM_F_ACK_TLVS:
        found = dict(nlattrs(tlvs))
        text = found.get(1, b"").rstrip(b"\0").decode(errors="replace")
    raise Fail(-code, text)


CRC_TABLE = []


def crc32c(data):
    if not CRC_TABLE:
        for i in range(256):
            for _ in range(8):
                i = (i >> 1) ^ (0x82f63b78 if i & 1 else 0)
            CRC_TABLE.append(i)
    crc = 0xffffffff
    for byte in data:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 255]
    return crc ^ 0xffffffff


MIB = 1 << 20
SB_MAGIC, TABLE_MAGIC = 0x314c4f5649434848, 0x54564348
SB = struct.Struct("<QIHHQQQQ16s16s16sQQIIIIIIQQQQQQ64s")
SB_NAMES = """magic crc major minor own_off compat ro_compat incompat store
 cluster node seq dev_bytes lba_bytes flags nr_extents nr_vols table_pages pad0
 vol_off meta_off data_off handle_next incarnation format_time label""".split()


def layout(dev_bytes):
    """The same computation as hcv_fmt_layout()."""
    dev_bytes &= ~4095

    def place(nr):
        vols = min(max(nr // 4, 16), 4096)
        pages = -(-(nr + vols) // 63)
        vol_off = -(-(MIB + 2 * pages * 4096) // MIB) * MIB
        meta_off = -(-(vol_off + vols * (256 << 10)) // MIB) * MIB
        data_off = -(-(meta_off + nr * (72 << 10)) // MIB) * MIB
        return vols, pages, vol_off, meta_off, data_off

    lo, hi = 0, (dev_bytes >> 28) + 1
    while hi - lo > 1:
        mid = (lo + hi) // 2
        if place(mid)[4] + (mid << 28) <= dev_bytes:
            lo = mid
        else:
            hi = mid
    if dev_bytes < 1 << 30 or not lo:
        raise Fail(errno.ENOSPC, "the device is too small for a store")
    return (lo,) + place(lo)


def seal(buf, pos):
    """Put the checksum of a 4 KiB block to its place."""
    return buf[:pos] + struct.pack("<I", crc32c(buf)) + buf[pos + 4:]


def option(args, name, default):
    if name not in args:
        return default
    at = args.index(name)
    val = args[at + 1]
    del args[at:at + 2]
    return val


def sector_size(fd):
    out = ctypes.c_int()
    try:
        fcntl.ioctl(fd, 0x1268, out)
        return out.value
    except OSError:
        return 512


def format_store(path, store, cluster, label="", lba=0):
    """Write an empty store to a device; returns its layout."""
    fd = os.open(path, os.O_RDWR)
    lba = lba or sector_size(fd)
    dev_bytes = os.lseek(fd, 0, os.SEEK_END) & ~4095
    nr, vols, pages, vol_off, meta_off, data_off = layout(dev_bytes)
    for page in range(pages):
        buf = struct.pack("<II16sIIQ", TABLE_MAGIC, 0, store, page, 0, 1)
        os.pwrite(fd, seal(buf.ljust(4096, b"\0"), 4), MIB + page * 4096)
        os.pwrite(fd, bytes(4096), MIB + (pages + page) * 4096)
    os.fsync(fd)
    for off in (0, 512 << 10):
        buf = SB.pack(SB_MAGIC, 0, 1, 0, off, 0, 0, 0, store, cluster,
                      bytes(16), 1, dev_bytes, lba, 3, nr, vols, pages, 0,
                      vol_off, meta_off, data_off, 1024, 0, int(time.time()),
                      label.encode())
        os.pwrite(fd, seal(buf.ljust(4096, b"\0"), 8), off)
        os.fsync(fd)
    os.close(fd)
    return {"NR_EXTENTS": nr, "NR_VOLS": vols, "LBA_BYTES": lba}


def mkfs(args):
    store = parse_uuid(option(args, "--uuid", str(uuid.uuid4())))
    cluster = parse_uuid(option(args, "--cluster", "@cluster"))
    label = option(args, "--label", "")
    lba = int(option(args, "--lba", 0))
    show({"STORE": str(uuid.UUID(bytes=store)),
          "CLUSTER": str(uuid.UUID(bytes=cluster)),
          **format_store(args[0], store, cluster, label, lba)})


def super_show(dev):
    with open(dev, "rb") as f:
        for off in (0, 512 << 10):
            f.seek(off)
            buf = f.read(4096)
            one = dict(zip(SB_NAMES, SB.unpack(buf[:SB.size])))
            one["valid"] = seal(buf[:8] + bytes(4) + buf[12:], 8) == buf
            for key in ("store", "cluster", "node"):
                one[key] = str(uuid.UUID(bytes=one[key]))
            one["label"] = one["label"].rstrip(b"\0").decode(errors="replace")
            show(one)


def show(obj):
    print(json.dumps(obj), flush=True)


def events(args, codec):
    count = int(option(args, "--count", 0))
    timeout = float(option(args, "--timeout", 0))
    want = dict(a.split("=", 1) for a in args if "=" in a)
    genl = Genl()
    fam, groups = genl.family("hcivol")
    genl.sock.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, groups["events"])
    print("listening", file=sys.stderr, flush=True)
    end, seen = time.monotonic() + timeout, 0
    while not count or seen < count:
        left = end - time.monotonic() if timeout else None
        if left is not None and left <= 0:
            raise Fail(errno.ETIMEDOUT, "no such event")
        if not select.select([genl.sock], [], [], left)[0]:
            continue
        for kind, _, _, data in genl.receive():
            if kind != fam:
                continue
            out = codec.decode(data[4:])
            if all(str(out.get(k)) == match_value(k, v) for k, v in want.items()):
                show(out)
                seen += 1


def match_value(name, text):
    return str(uuid.UUID(bytes=parse_uuid(text))) if name in UUID else text


class Client:
    """The family, for programs: call() returns a list of dictionaries."""

    def __init__(self):
        self.codec = Codec(Uapi(UAPI))
        self.genl = Genl()
        self.family, self.groups = self.genl.family("hcivol")

    def raw(self, cmd, payload, dump=False):
        """Send attributes as they are."""
        num = self.codec.uapi.cmd[cmd] if isinstance(cmd, str) else cmd
        flags = NLM_F_DUMP if dump else NLM_F_ACK
        return [self.codec.decode(data) for data in
                self.genl.call(self.family, num, 1, payload, flags)]

    def encode(self, attrs):
        return b"".join(self.codec.encode(k, str(v))
                        for k, v in attrs.items())

    def post(self, cmd, **attrs):
        """Send a command, and leave what it answers where it is."""
        self.genl.send(self.family, self.codec.uapi.cmd[cmd], 1,
                       self.encode(attrs), NLM_F_ACK)

    def call(self, cmd, dump=None, **attrs):
        """Send a command with attributes given as text or numbers."""
        if dump is None:
            dump = cmd in ALWAYS_DUMP or (cmd in DUMP_WITHOUT and
                                          DUMP_WITHOUT[cmd] not in attrs)
        return self.raw(cmd, self.encode(attrs), dump)


def command(args):
    client, cmd = Client(), args.pop(0)
    pairs = [a.split("=", 1) for a in args if a != "--dump"]
    uapi = client.codec.uapi
    if cmd not in uapi.cmd or any(len(p) != 2 or p[0] not in uapi.attr
                                  for p in pairs):
        raise Fail(errno.EINVAL, "no such command or attribute; see --help")
    for answer in client.call(cmd, "--dump" in args or None, **dict(pairs)):
        show(answer)


def main(args):
    if not args or args[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if args else 2
    what = "hcvnl.py"
    try:
        what = args[0]
        if what == "mkfs":
            mkfs(args[1:])
        elif what == "super":
            super_show(args[1])
        elif what == "uuid":
            print(uuid.UUID(bytes=parse_uuid("@" + args[1])))
        elif what == "--events":
            events(args[1:], Codec(Uapi(UAPI)))
        else:
            command(list(args))
    except Fail as e:
        show({"ERROR": errno.errorcode.get(e.code, str(e.code)),
              "ERRNO": e.code, "TEXT": e.text})
        return 1
    except OSError as e:
        show({"ERROR": errno.errorcode.get(e.errno, str(e.errno)),
              "ERRNO": e.errno, "TEXT": "%s: %s" % (what, e)})
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
