# SPDX-License-Identifier: GPL-2.0-only
"""What a test guest boots from: kernel, initramfs and helper programs."""

import contextlib
import fcntl
import hashlib
import lzma
import os
import shlex
import shutil
import struct
import subprocess
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent.parent
LIB = TREE / "selftests" / "lib"
BUILD = TREE / "build"
CACHE = Path(os.environ.get("HCV_CACHE") or Path.home() / ".cache/hcivol")

# Loaded by the initramfs, in this order, with what they depend on.
BOOT_MODULES = ["virtio_pci", "virtio_console", "virtio_blk", "virtio_net",
                "virtio_rng", "9pnet_virtio", "9p", "overlay", "ext4",
                "configfs",
                "crc32c_generic"]


class TestbedError(Exception):
    """The test bed itself cannot do what was asked; the text says why."""


@contextlib.contextmanager
def file_lock(path):
    """Hold an exclusive lock on path while the block runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _newer(sources, target):
    return not target.exists() or any(
        src.stat().st_mtime_ns > target.stat().st_mtime_ns for src in sources)


def helper(name):
    """Path of one of our C helper programs, compiled when it is out of date.

    guestd is static, since it runs before the guest has a root.
    """
    sources, flags = _helper_sources(name)
    target = BUILD / "testbed" / name
    watched = [dep for src in sources for dep in (src, *src.parent.glob("*.h"))]
    with file_lock(BUILD / "testbed/.lock"):
        if _newer(watched, target):
            part = target.with_suffix(".new")
            cmd = [os.environ.get("CC", "gcc"), "-O2", "-g", "-Wall",
                   "-Wextra", "-o", part, *sources, *flags]
            subprocess.run(cmd, check=True)
            part.rename(target)
    return target


def _helper_sources(name):
    """What a helper program is made of, and flags for the compiler."""
    if name in ("ckwrite", "ckverify"):
        checker = LIB / "checker"
        return ([checker / f"{part}.c" for part in
                 (name, "history", "log", "order", "stamp")]
                + [TREE / "tools/lib/hcv_crc32c.c"],
                ["-std=gnu11", "-Wno-sign-compare", "-Wno-unused-parameter",
                 f"-I{TREE}/uapi", f"-I{TREE}/selftests/unit/shim",
                 "-lpthread"])
    source = {"flushlog": LIB / "guest/flushlog.c",
              "gapmeter": LIB / "guest/gapmeter.c",
              "guestd": LIB / "guest/guestd.c",
              "hcv-nbd": LIB / "host/hcv-nbd.c"}[name]
    return [source], ["-static", "-lutil"] if name == "guestd" else []


class Kernel:
    """One kernel of the cache: "6.1", "6.12" or "debug"."""

    def __init__(self, kver):
        self.kver = kver
        self.dir = CACHE / "kernels" / kver
        try:
            self.release = (self.dir / "kver").read_text().strip()
        except FileNotFoundError:
            hint = ("make debug-kernel" if kver == "debug"
                    else "tools/dev/deps kernels")
            raise TestbedError(f"no kernel {kver} in {self.dir}; run "
                               f"'{hint}'") from None
        self.modules = self.dir / "lib/modules"
        self.vmlinuz = self.dir / "boot" / f"vmlinuz-{self.release}"

    def image(self):
        """Path of the image to boot.

        Unpacking the kernel takes an emulated guest seconds, so it is done
        here, once; QEMU enters the ELF file by its PVH note.
        """
        target = self.dir / f"vmlinux-{self.release}"
        with file_lock(self.dir / ".lock"):
            if _newer([self.vmlinuz], target):
                data = self._unpack()
                if data is None:
                    return self.vmlinuz
                part = target.with_suffix(".new")
                part.write_bytes(data)
                part.rename(target)
        return target

    def _unpack(self):
        image = self.vmlinuz.read_bytes()
        if image[0x202:0x206] < b"\x08\x02":
            return None
        start = ((image[0x1f1] or 4) + 1) * 512
        offset, length = struct.unpack_from("<II", image, 0x248)
        payload = image[start + offset:start + offset + length]
        if payload.startswith(b"\xfd7zXZ\0"):
            # The last four bytes hold the unpacked size.
            data = lzma.LZMADecompressor().decompress(payload)
        elif payload.startswith(b"\x28\xb5\x2f\xfd"):
            data = subprocess.run(["zstd", "-dcq"], input=payload[:-4],
                                  stdout=subprocess.PIPE, check=True).stdout
        elif payload.startswith(b"\x1f\x8b"):
            data = subprocess.run(["gzip", "-dcq"], input=payload[:-4],
                                  stdout=subprocess.PIPE, check=True).stdout
        else:
            return None
        return data if data.startswith(b"\x7fELF") and b"Xen\0" in data \
            else None

    def boot_modules(self):
        """(path, arguments) of the modules that the initramfs loads."""
        return self.modules_of(BOOT_MODULES)

    def modules_of(self, names):
        """(path, arguments) of modules and what they need, in load order."""
        seen = {}
        for name in names:
            result = subprocess.run(
                ["modprobe", "-C", "/dev/null", "-S", self.release,
                 "-d", self.dir, "--show-depends", name],
                capture_output=True, text=True, check=False)
            if result.returncode:
                raise TestbedError(f"kernel {self.kver}: no module {name}: "
                                   + result.stderr.strip())
            for line in result.stdout.splitlines():
                verb, _, rest = line.partition(" ")
                if verb == "insmod":
                    path, _, args = rest.partition(" ")
                    seen.setdefault(Path(path), args.strip())
        return list(seen.items())


class Cpio:
    """Writes an archive in the kernel's "newc" format."""

    def __init__(self):
        self.parts = []
        self.inode = 0

    def add(self, name, data=b"", mode=0o100644):
        """Add one file or, with a mode that says so, one folder."""
        self.inode += 1
        raw = name.encode() + b"\0"
        head = "070701" + "".join(
            f"{field:08X}" for field in
            (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0))
        entry = head.encode() + raw
        entry += b"\0" * (-len(entry) % 4) + data
        self.parts.append(entry + b"\0" * (-len(entry) % 4))

    def bytes(self):
        """The finished archive."""
        self.add("TRAILER!!!", mode=0)
        return b"".join(self.parts)


def module_bytes(path):
    """A module's file, unpacked."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq"], input=data, check=True,
                              stdout=subprocess.PIPE).stdout
    return data


def _base_initramfs(kernel, busybox):
    """The part without configuration, kept in the cache by its content."""
    guestd = helper("guestd")
    init = LIB / "guest/init"
    key = hashlib.sha256()
    for path in (busybox, guestd, init, kernel.modules / kernel.release /
                 "modules.dep"):
        key.update(path.read_bytes())
    key.update(repr((kernel.release, BOOT_MODULES)).encode())
    target = kernel.dir / f"initramfs-{key.hexdigest()[:16]}"
    with file_lock(kernel.dir / ".lock"):
        if target.exists():
            return target
        cpio = Cpio()
        for folder in ("bin", "lib", "dev"):
            cpio.add(folder, mode=0o40755)
        cpio.add("bin/busybox", busybox.read_bytes(), 0o100755)
        cpio.add("bin/sh", b"/bin/busybox", 0o120777)
        cpio.add("guestd", guestd.read_bytes(), 0o100755)
        cpio.add("init", init.read_bytes(), 0o100755)
        lines = []
        for path, args in kernel.boot_modules():
            name = path.name.removesuffix(".xz").removesuffix(".zst")
            cpio.add(f"lib/{name}", module_bytes(path))
            lines.append(f"{name} {args}\n")
        cpio.add("modules", "".join(lines).encode())
        for old in kernel.dir.glob("initramfs-*"):
            old.unlink()
        part = target.with_suffix(".new")
        part.write_bytes(cpio.bytes())
        part.rename(target)
    return target


def write_initramfs(path, kernel, conf, hosts=""):
    """Write an initramfs that sets a guest up by conf (a dict of strings).

    Later archives are unpacked over earlier ones, so that the large part is
    made once and only the configuration is made for each guest.
    """
    busybox = shutil.which("busybox")
    if not busybox:
        raise TestbedError("no busybox; run 'tools/dev/deps test'")
    cpio = Cpio()
    cpio.add("hcv.conf", "".join(f"{key}={shlex.quote(str(value))}\n"
                                 for key, value in conf.items()).encode())
    if hosts:
        cpio.add("hosts", hosts.encode())
    with open(path, "wb") as out:
        out.write(_base_initramfs(kernel, Path(busybox)).read_bytes())
        out.write(b"\0" * (-out.tell() % 512))
        out.write(cpio.bytes())
