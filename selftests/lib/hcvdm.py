# SPDX-License-Identifier: GPL-2.0-only
"""Device mapper and modules by system calls: a program takes an emulated guest
half a second, and some tests do this a thousand times."""

import ctypes
import errno
import fcntl
import functools
import os
import struct
from pathlib import Path

import hcvtest

HEAD = struct.Struct("<3IIIIiIIIQ128s129s7s")
SPEC = struct.Struct("<QQiI16s")
CREATE, REMOVE, SUSPEND, LOAD, MESSAGE = 3, 4, 6, 9, 14
INIT_MODULE, DELETE_MODULE = 175, 176	# of x86-64
_libc = ctypes.CDLL(None, use_errno=True)


def dm_call(command, name, data=b"", targets=0):
    """One ioctl; returns the device number."""
    size = max(HEAD.size + len(data), 1024)
    buf = bytearray(HEAD.pack(4, 0, 0, size, HEAD.size, targets, 0, 0, 0, 0,
                              0, name.encode(), b"", b"") + data)
    buf.extend(bytes(size - len(buf)))
    with open("/dev/mapper/control", "rb", buffering=0) as control:
        fcntl.ioctl(control, 0xc138fd00 | command, buf)
    return HEAD.unpack_from(buf)[10]


def create(name, table):
    """A device with a table of one line; returns its path."""
    start, length, kind, params = table.split(" ", 3)
    params = params.encode() + b"\0"
    params += bytes(-len(params) % 8)
    dev = dm_call(CREATE, name)
    try:
        dm_call(LOAD, name, SPEC.pack(int(start), int(length), 0, 0,
                                      kind.encode()) + params, 1)
        dm_call(SUSPEND, name)	# without a flag it resumes
    except OSError:
        dm_call(REMOVE, name)
        raise
    path = f"/dev/mapper/{name}"
    os.mknod(path, 0o600 | 0o060000, dev_number(dev))
    return path


def dev_number(dev):
    """The kernel's huge_encode_dev() as mknod(2) wants it."""
    return os.makedev((dev >> 8) & 0xfff, (dev & 0xff) | (dev >> 12 &
                                                         0xfff00))


def remove(name):
    os.unlink(f"/dev/mapper/{name}")

    def gone():
        try:
            dm_call(REMOVE, name)
        except OSError as e:
            if e.errno != errno.EBUSY:
                raise
            return False
        return True
    hcvtest.wait_for(gone, 10, f"removal of {name}")


def message(name, text):
    dm_call(MESSAGE, name, bytes(8) + text.encode() + b"\0")


@functools.lru_cache
def module_image():
    """Kept in memory: over 9p it takes a second to read."""
    return Path(os.environ["HCV_KO"]).read_bytes()


def system_call(number, *args):
    if _libc.syscall(number, *args):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def reload_module():
    """Unload hcivol and load it again."""
    system_call(DELETE_MODULE, b"hcivol", os.O_NONBLOCK)
    image = module_image()
    system_call(INIT_MODULE, image, ctypes.c_ulong(len(image)), b"")
