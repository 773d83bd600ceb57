# SPDX-License-Identifier: GPL-2.0-only
"""One test guest: boot it, run commands in it, watch its console.

    kernel = boot.Kernel("6.1")
    with vm.Guest(kernel, disks=[vm.Disk.parse("1G:serial=d0")]) as guest:
        guest.start()
        print(guest.run("cat /proc/version").out)

Commands travel over a virtio-serial port, see guest/guestd.c. Every wait has
a limit, kept on the host, in seconds times boot-independent SCALE.
"""

import concurrent.futures
import contextlib
import ctypes
import dataclasses
import os
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path

import boot
from boot import TestbedError
from console import EMULATOR_RACE, MARK, Console

# Multiplies every limit, for slow machines and instrumented kernels.
SCALE = float(os.environ.get("HCV_TIMEOUT_SCALE") or 1)
BOOT_LIMIT = 240
# The emulator carries out rep movsb and stosb byte by byte.
CPU = "max,-erms,-fsrm"
# Seconds without a word on the console after which a boot is given up.
SILENCE = 60
# How guests cache the tree: "none" if it changes while they run.
TREE_CACHE = "loose"
MSIZE = 500 << 10

_FRAME = struct.Struct("<IIHHI")
_MAGIC = 0x47564348
(_RUN, _STDIN, _SIGNAL, _HALT, _HELLO, _OUT, _ERR, _EXIT) = range(1, 9)
_F_PTY, _F_STDIN = 1, 2
_F_SYNC, _F_OFF = 1, 2
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def use_scale_of(kver):
    """Stretch limits for slow kernels, unless the environment says how."""
    global SCALE
    if kver == "debug" and not os.environ.get("HCV_TIMEOUT_SCALE"):
        SCALE = 4.0


def size_div(kver):
    """What tests on kver divide sizes by, as text."""
    return os.environ.get("HCV_SIZE_DIV") or ("10" if kver == "debug" else "1")


class GuestDied(TestbedError):
    """The guest ended while something was asked of it."""


class BootStalled(GuestDied):
    """A booting guest stopped to print anything."""


class TimedOut(TestbedError):
    """A limit was exceeded."""


class CommandFailed(TestbedError):
    """A command that had to succeed did not."""


def wait_for(cond, limit, what=None, interval=0.1):
    """Wait until cond() is true and return its value.

    limit is in seconds, a minute at least, and is stretched by SCALE. TimedOut
    names `what`.
    """
    limit = max(limit, 60)
    end = time.monotonic() + limit * SCALE
    while True:
        value = cond()
        if value:
            return value
        if time.monotonic() > end:
            raise TimedOut(f"no {what or cond} within {limit * SCALE:g} s")
        time.sleep(interval)


# The kernel sends the parent-death signal when the *thread* ends that started
# the process, so that all are started by one thread that lives to the end.
_spawner = concurrent.futures.ThreadPoolExecutor(1)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def spawn_process(argv, **kwargs):
    """subprocess.Popen for helpers that must not outlive this process.

    A session of its own keeps an interrupt from the terminal away from it.
    """
    argv = [arg if isinstance(arg, str) else str(arg) for arg in argv]
    return _spawner.submit(subprocess.Popen, argv, start_new_session=True,
                           preexec_fn=_die_with_parent, **kwargs).result()


def removed_at_exit(owner, path):
    """Remove folder path when owner goes, at the latest when we exit.

    Call what is returned to remove it now, or its detach() to keep it.
    """
    return weakref.finalize(owner, shutil.rmtree, path, ignore_errors=True)


@dataclasses.dataclass
class Disk:
    """A virtio disk of a guest."""

    path: Path | None = None    # None: a temporary file of `size`
    size: int = 0
    serial: str = ""
    lbs: int = 512              # logical block size
    cache: str = "writeback"    # writeback, none, unsafe
    ro: bool = False
    nbd: Path | None = None     # socket of an NBD server instead of a file

    @classmethod
    def parse(cls, text):
        """Make one from "SIZE|FILE[:key=value,...]"."""
        name, _, opts = text.partition(":")
        disk = cls()
        size = parse_size(name)
        if size is None:
            disk.path = Path(name).resolve()
        else:
            disk.size = size
        for opt in filter(None, opts.split(",")):
            key, _, value = opt.partition("=")
            if key == "lbs" and value in ("512", "4096"):
                disk.lbs = int(value)
            elif key == "serial" and 0 < len(value) <= 20:
                disk.serial = value
            elif key == "cache" and value in ("writeback", "none", "unsafe"):
                disk.cache = value
            elif key == "ro" and not value:
                disk.ro = True
            else:
                raise TestbedError(f"disk '{text}': bad option '{opt}'")
        return disk

    def qemu_args(self, index):
        """QEMU's arguments for this disk."""
        name = f"disk{index}"
        if self.nbd:
            lower = f"driver=nbd,server.type=unix,server.path={self.nbd}"
        else:
            lower = (f"driver=file,filename={self.path},discard=unmap,"
                     f"aio=threads")
        lower = ",".join("file." + part for part in lower.split(","))
        cache = {"writeback": "cache.direct=off,cache.no-flush=off",
                 "none": "cache.direct=on,cache.no-flush=off",
                 "unsafe": "cache.direct=off,cache.no-flush=on"}[self.cache]
        ro = "on" if self.ro else "off"
        return ["-blockdev", f"driver=raw,node-name={name},discard=unmap,"
                f"read-only={ro},{cache},{lower}",
                "-device", f"virtio-blk-pci,drive={name},"
                f"serial={self.serial or name},"
                f"logical_block_size={self.lbs},"
                f"physical_block_size={max(self.lbs, 512)},write-cache=on"]


def parse_size(text):
    """Bytes of "512M", "1G"... or None if text is no size."""
    units = {"K": 10, "M": 20, "G": 30, "T": 40}
    digits, unit = (text[:-1], text[-1:]) if text[-1:] in units else (text, "")
    if not digits.isascii() or not digits.isdigit():
        return None
    return int(digits) << units.get(unit, 0)


@dataclasses.dataclass
class Result:
    """How a command ended. rc is its exit code, 128 + n for signal n."""

    rc: int
    out: str
    err: str


class Command:
    """A command that runs in a guest."""

    def __init__(self, guest, ident, text, sink):
        self.guest = guest
        self.ident = ident
        self.text = text
        self.rc = None
        self._sink = sink
        self._out = bytearray()
        self._err = bytearray()
        self._done = threading.Event()

    def _data(self, kind, data):
        if self._sink:
            self._sink(kind, data)
        (self._out if kind == _OUT else self._err).extend(data)

    def _finish(self, status):
        if status is not None:
            self.rc = (os.waitstatus_to_exitcode(status)
                       if os.WIFEXITED(status)
                       else 128 + os.WTERMSIG(status))
        self._done.set()

    @property
    def running(self):
        """True until the command ended or the guest died."""
        return not self._done.is_set()

    @property
    def out(self):
        """What it wrote to standard output so far."""
        return bytes(self._out).decode("utf-8", "replace")

    @property
    def err(self):
        """What it wrote to standard error so far."""
        return bytes(self._err).decode("utf-8", "replace")

    def write(self, data):
        """Send bytes to its standard input; b"" ends the input."""
        self.guest._send(_STDIN, self.ident, 0, data)

    def kill(self, signo=signal.SIGTERM):
        """Send a signal to it and its process group."""
        self.guest._send(_SIGNAL, self.ident, 0, struct.pack("<I", signo))

    def wait(self, timeout):
        """Wait for its end and return a Result.

        After timeout seconds (times SCALE) it is killed and TimedOut is
        raised; GuestDied if the guest ended first.
        """
        if not self._done.wait(timeout * SCALE):
            self.guest._dump_blocked()
            for signo in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(TestbedError):
                    self.kill(signo)
                if self._done.wait(3):
                    break
            stuck = ", and it cannot be killed" if self.running else ""
            raise TimedOut(f"{self.guest.name}: no end after "
                           f"{timeout * SCALE:g} s{stuck}: {self.text}")
        if self.rc is None:
            raise GuestDied(f"{self.guest.name}: {self.guest.death} "
                            f"while running: {self.text}")
        return Result(self.rc, self.out, self.err)


class Guest:
    """A QEMU guest with one of the cached kernels.

    name: host name, also used in messages. rundir: an existing folder for
    its files (console.log and more), by default a temporary one that close()
    removes. netns: pid of a process in whose network namespace QEMU runs.
    """

    def __init__(self, kernel, name="guest", smp=2, mem=1024, disks=(),
                 append="", icount=False, out_dir=None, rundir=None,
                 netns=None, tap=None, mac=None, addr="", hosts="",
                 state_disk="", env=None):
        self.kernel = kernel
        self.name = name
        self.smp = 1 if icount else smp
        self.mem = mem
        self.disks = list(disks)
        self.append = append
        self.icount = icount
        self.out_dir = out_dir
        self.netns = netns
        self.tap = tap
        self.mac = mac
        self.conf = {
            "HCV_TREE": boot.TREE, "HCV_CACHE": boot.CACHE,
            "HCV_TREE_CACHE": TREE_CACHE,
            "HCV_MODULES": kernel.modules, "HCV_MSIZE": MSIZE,
            "HCV_OUT": int(bool(out_dir)), "HCV_HOSTNAME": name,
            "HCV_ADDR": addr, "HCV_NETDEV": "eth0", "HCV_MTU": 1500,
            "HCV_STATE_DISK": state_disk,
            "HCV_HUNG_TASK": 10 if kernel.kver == "debug" else 60,
        }
        self.hosts = hosts
        self.env = self._default_env() | (env or {})
        self.rundir = Path(rundir or tempfile.mkdtemp(prefix="hcv-vm-"))
        self._remove = None
        if not rundir:
            self._remove = removed_at_exit(self, self.rundir)
        self.console = Console(self.rundir / "console.log")
        self.death = None
        self.qemu = None
        self._sock = None
        self._reader = None
        self._commands = {}
        self._last_id = 0
        self._lock = threading.Lock()
        self._send_lock = threading.Lock()
        self._ready = threading.Event()
        self._boot_offset = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _default_env(self):
        build = boot.BUILD
        return {
            "HCV_GUEST": "1",
            "HCV_TREE": str(boot.TREE),
            "HCV_CACHE": str(boot.CACHE),
            "HCV_KVER": self.kernel.kver,
            "HCV_KO": str(build / self.kernel.kver / "hcivol.ko"),
            "HCV_TIMEOUT_SCALE": f"{SCALE:g}",
            "HCV_SIZE_DIV": size_div(self.kernel.kver),
            "HCV_SHARE": os.environ.get("HCV_SHARE", ""),
            "PATH": f"{build}/bin:{build}/testbed:/usr/local/sbin:"
                    "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb",
        }

    def _cmdline(self):
        words = ["console=ttyS0 panic=-1 oops=panic mitigations=off",
                 "tsc=reliable random.trust_cpu=on net.ifnames=0",
                 "norandmaps printk.devkmsg=on log_buf_len=1M loglevel=7",
                 # A busy machine may not run QEMU in time for this test.
                 "kunit.enable=0 no_timer_check"]
        if self.kernel.kver == "debug":
            words.append("pci=noacpi nokaslr")
        if self.icount:
            words.append("nokaslr norandmaps tsc=reliable clocksource=tsc "
                         "random.trust_cpu=off audit=0 nowatchdog")
        return " ".join(words + [self.append])

    def _qemu_args(self, cmd_fd):
        args = ["qemu-system-x86_64", "-nodefaults", "-no-user-config",
                "-display", "none", "-machine", "q35,usb=off,graphics=off",
                "-no-reboot", "-name", self.name, "-m", str(self.mem),
                "-smp", str(self.smp)]
        if self.icount:
            args += ["-accel", "tcg", "-cpu", CPU,
                     "-icount", "shift=0,sleep=off",
                     "-rtc", "base=2024-01-01T00:00:00,clock=vm",
                     "-seed", "1"]
        else:
            args += ["-accel", "tcg,thread=multi", "-cpu", CPU,
                     "-device", "virtio-rng-pci"]
        args += ["-kernel", self.kernel.image(),
                 "-initrd", self.rundir / "initramfs",
                 "-append", self._cmdline(),
                 "-chardev", f"file,id=con,append=on,path={self.console.path}",
                 "-serial", "chardev:con",
                 "-device", "virtio-serial-pci",
                 "-chardev", f"socket,id=cmd,fd={cmd_fd}",
                 "-device", "virtserialport,chardev=cmd,name=hcv.cmd"]
        shares = [("hcvroot", "/", True), ("hcvtree", boot.TREE, True)]
        if self.out_dir:
            shares.append(("hcvout", self.out_dir, False))
        for tag, path, ro in shares:
            args += ["-fsdev", f"local,id={tag},path={path},multidevs=remap,"
                     f"security_model=none,readonly={'on' if ro else 'off'}",
                     "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        if self.tap:
            args += ["-netdev", f"tap,id=net0,ifname={self.tap},script=no,"
                     "downscript=no",
                     "-device", f"virtio-net-pci,netdev=net0,mac={self.mac},"
                     "romfile="]
        for index, disk in enumerate(self.disks):
            args += disk.qemu_args(index)
        if self.netns:
            args = ["nsenter", "-t", str(self.netns), "-n"] + args
        return args

    def start(self, limit=BOOT_LIMIT):
        """Boot and wait until commands can be run.

        A boot that dies or stalls of the emulator's fault is repeated; none of
        our code has run by then.
        """
        for last in (False, False, True):
            start = self.console.size()
            self.start_nowait()
            try:
                return self.wait_ready(limit)
            except GuestDied as error:
                if last or not (
                        isinstance(error, BootStalled)
                        or EMULATOR_RACE.search(self.console.text(start))):
                    raise
                print(f"# {self.name}: boots again after "
                      + str(error).partition("\n")[0], file=sys.stderr)
                self.console.skip()
        return None

    def start_nowait(self):
        """Boot; wait_ready() must follow. Also after the guest has ended."""
        if self.alive:
            raise TestbedError(f"{self.name} runs already")
        self._reap()
        for index, disk in enumerate(self.disks):
            if not disk.path and not disk.nbd:
                disk.path = self.rundir / f"disk{index}.img"
                with open(disk.path, "wb") as image:
                    image.truncate(disk.size)
        boot.write_initramfs(self.rundir / "initramfs", self.kernel,
                             self.conf, self.hosts)
        ours, theirs = socket.socketpair()
        # A frozen guest must not block us for ever.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO,
                        struct.pack("ll", 60, 0))
        self._boot_offset = self.console.size()
        self.death = None
        self._ready.clear()
        with open(self.rundir / "qemu.log", "ab") as log:
            self.qemu = spawn_process(self._qemu_args(theirs.fileno()),
                                      pass_fds=[theirs.fileno()],
                                      stdin=subprocess.DEVNULL,
                                      stdout=log, stderr=log)
        theirs.close()
        self._sock = ours
        self._reader = threading.Thread(target=self._read_loop, args=(ours,),
                                        daemon=True)
        self._reader.start()

    def wait_ready(self, limit=BOOT_LIMIT):
        """Wait for a started guest to take commands."""
        end = time.monotonic() + limit * SCALE
        size, spoke = 0, time.monotonic()
        kind = GuestDied
        while not self._ready.wait(1):
            now = time.monotonic()
            if self.console.size() != size:
                size, spoke = self.console.size(), now
            if now - spoke > SILENCE * SCALE:
                kind = BootStalled
                why = f"was silent for {SILENCE * SCALE:g} s of its boot"
                break
            if now > end:
                why = f"did not boot within {limit * SCALE:g} s"
                break
        else:
            if not self.death:
                return
            why = self.death
        log = (self.rundir / "qemu.log").read_text(errors="replace")
        self.kill()
        raise kind(f"{self.name}: {why}\n{log}{self.console.tail()}")

    # --- channel

    def _read_loop(self, sock):
        stream = sock.makefile("rb", buffering=1 << 20)
        with contextlib.suppress(OSError):
            while True:
                head = stream.read(_FRAME.size)
                if len(head) < _FRAME.size:
                    break
                _, ident, kind, _, length = _FRAME.unpack(head)
                self._handle(kind, ident, stream.read(length))
        self._ended()

    def _handle(self, kind, ident, data):
        if kind == _HELLO:
            self._ready.set()
            return
        with self._lock:
            cmd = self._commands.get(ident)
            if cmd and kind == _EXIT:
                del self._commands[ident]
        if not cmd:
            return
        if kind == _EXIT:
            cmd._finish(struct.unpack("<I", data)[0])
        else:
            cmd._data(kind, data)

    def _ended(self):
        code = self.qemu.wait()
        text = self.console.text(self._boot_offset)
        if "Kernel panic" in text:
            self.death = "the guest's kernel panicked"
        elif code < 0:
            self.death = f"QEMU was ended by signal {-code}"
        else:
            self.death = f"QEMU ended with code {code}"
        with self._lock:
            pending = list(self._commands.values())
            self._commands.clear()
        for cmd in pending:
            cmd._finish(None)
        self._ready.set()

    def _send(self, kind, ident, flags, data):
        frame = _FRAME.pack(_MAGIC, ident, kind, flags, len(data)) + data
        try:
            with self._send_lock:
                self._sock.sendall(frame)
        except BlockingIOError:
            # Half a frame may be out: nothing can follow it.
            self.qemu.kill()
            raise GuestDied(f"{self.name}: takes no commands") from None
        except (OSError, AttributeError):
            raise GuestDied(f"{self.name}: {self.death or 'not running'}"
                            ) from None

    @property
    def alive(self):
        """True while QEMU runs."""
        return self.qemu is not None and self.qemu.poll() is None

    # --- commands

    def spawn(self, cmd, env=None, cwd=None, stdin=False, pty=False,
              sink=None):
        """Start a command (shell text, or a list of words) in the guest.

        sink(kind, bytes), if given, is called with each piece of output; see
        is_stderr(). Returns a Command.
        """
        text = cmd if isinstance(cmd, str) else shlex.join(map(str, cmd))
        lines = [f"export {key}={shlex.quote(str(value))}"
                 for key, value in (self.env | (env or {})).items()]
        lines.append(f"cd {shlex.quote(str(cwd or boot.TREE))} || exit 126")
        script = "\n".join(lines + [text])
        with self._lock:
            self._last_id += 1
            command = Command(self, self._last_id, text, sink)
            if self.death or not self._sock:
                raise GuestDied(f"{self.name}: {self.death or 'not started'}")
            self._commands[command.ident] = command
        flags = (_F_PTY if pty else 0) | (_F_STDIN if stdin else 0)
        self._send(_RUN, command.ident, flags, script.encode())
        return command

    def run(self, cmd, timeout=60, check=False, data=None, **kwargs):
        """Run a command to its end; see spawn() and Command.wait().

        check: raise CommandFailed unless it exits with 0.
        data: bytes for its standard input.
        """
        command = self.spawn(cmd, stdin=data is not None, **kwargs)
        if data is not None:
            for start in range(0, len(data), 1 << 20):
                command.write(data[start:start + (1 << 20)])
            command.write(b"")
        result = command.wait(timeout)
        if check and result.rc:
            raise CommandFailed(f"{self.name}: exit code {result.rc}: "
                                f"{command.text}\n{result.out}{result.err}")
        return result

    def out(self, cmd, timeout=60, **kwargs):
        """Standard output of a command that must succeed, stripped."""
        return self.run(cmd, timeout, check=True, **kwargs).out.strip()

    def write_file(self, path, data):
        """Put bytes or text into a file of the guest."""
        if isinstance(data, str):
            data = data.encode()
        self.run(f"cat > {shlex.quote(str(path))}", data=data, check=True)

    def read_file(self, path):
        """Text of a file of the guest."""
        return self.run(["cat", path], check=True).out

    def _dump_blocked(self):
        """Have the console say which tasks are blocked, for the log."""
        with contextlib.suppress(TestbedError):
            command = self.spawn("echo w > /proc/sysrq-trigger", cwd="/")
            command._done.wait(5)

    def sync_console(self, label="sync"):
        """Wait until all the guest printed so far is in the console log."""
        self._last_id += 1
        text = f"{MARK} {label} {self._last_id}."
        start = self.console.size()
        self.run(f"echo '<3>{text}' > /dev/kmsg", timeout=60, check=True,
                 cwd="/")
        if not self.console.wait_text(text, start, 60 * SCALE):
            raise TimedOut(f"{self.name}: the console is stuck")

    # --- power

    def shutdown(self, limit=60):
        """Sync and power off."""
        self._halt(_F_SYNC | _F_OFF, limit)

    def _halt(self, flags, limit):
        if self.alive:
            with contextlib.suppress(GuestDied):
                self._send(_HALT, 0, flags, b"")
            try:
                self.qemu.wait(limit * SCALE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise TimedOut(f"{self.name}: no power-off within "
                               f"{limit * SCALE:g} s") from None
        self._reap()

    def kill(self):
        """End QEMU at once. What the guest wrote to its disks is kept."""
        if self.alive:
            self.qemu.kill()
        self._reap()

    def _reap(self):
        if self.qemu:
            self.qemu.wait()
        if self._reader and self._reader is not threading.current_thread():
            self._reader.join()
        if self._sock:
            self._sock.close()
            self._sock = None

    def freeze(self):
        """Stop the guest in its tracks; its clock will jump at thaw()."""
        # However long that takes, it is no stall for the kernel to report.
        # For RCU that is one again from the next boot on only: what it knows
        # of the time before would be a stall after the thaw.
        self.run("echo 1 > "
                 "/sys/module/rcupdate/parameters/rcu_cpu_stall_suppress && "
                 + self._soft_watchdog(0), check=True, cwd="/")
        self.qemu.send_signal(signal.SIGSTOP)
        # Only then has the last of its threads stopped.
        os.waitid(os.P_PID, self.qemu.pid,
                  os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self):
        """Let a frozen guest go on."""
        self.qemu.send_signal(signal.SIGCONT)
        self.run(self._soft_watchdog(1), check=True, cwd="/")

    @staticmethod
    def _soft_watchdog(on):
        """Shell code; not every kernel has one."""
        file = "/proc/sys/kernel/soft_watchdog"
        return f"{{ [ ! -e {file} ] || echo {on} > {file}; }}"

    def keep(self):
        """Have close() leave the guest's files where they are."""
        if self._remove:
            self._remove.detach()

    def close(self):
        """Kill the guest and remove its temporary files."""
        self.kill()
        if self._remove and self._remove.alive:
            self.console.detach()
            self._remove()


def is_stderr(kind):
    """Whether the kind given to a sink stands for standard error."""
    return kind == _ERR


def echo_sink(kind, data):
    """A sink that passes output on to our own."""
    stream = sys.stderr if is_stderr(kind) else sys.stdout
    stream.buffer.write(data)
    stream.flush()


def end_on_signals():
    """Turn SIGTERM and SIGHUP into SystemExit, so that cleanup runs."""
    def handler(signo, _frame):
        sys.exit(128 + signo)
    for signo in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signo, handler)
