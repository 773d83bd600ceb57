# SPDX-License-Identifier: GPL-2.0-only
"""Finding tests, running them and judging what they print."""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import boot
import checks
import console
import vm

HEADER = re.compile(r"^# ([A-Z-]+):\s*(.*?)\s*$")
HEADER_LINES = 40
KINDS = ("guest", "cluster", "host")
NOT_BY_DEFAULT = {"soak", "bench"}
LONG = 225			# limits above it grow no further when scaled


@dataclasses.dataclass
class Test:
    """One test file and what its header asks for."""

    path: Path
    kind: str
    timeout: float = 600
    kvers: tuple = ()
    tags: frozenset = frozenset()
    disks: tuple = ()
    mem: int = 0
    smp: int = 2
    append: str = ""
    parts: int = 0
    part: int | None = None
    allow: list = dataclasses.field(default_factory=list)

    @property
    def name(self):
        """Path below selftests/, and which part of it."""
        name = str(self.path.relative_to(boot.TREE / "selftests"))
        return name if self.part is None else f"{name}:{self.part}"

    @property
    def limit(self):
        """Seconds it may take on a kernel for which all is scaled."""
        return min(self.timeout * vm.SCALE, max(self.timeout, LONG * vm.SCALE))

    @property
    def env(self):
        """What it finds in its environment besides what all tests do."""
        return {} if self.part is None else {"HCV_PART": str(self.part)}

    def split(self, rounds):
        """Its parts as tests; rounds: how many instead of 1,000."""
        if not self.parts:
            return [self]
        count = max(1, -(-self.parts * rounds // 1000))
        return [dataclasses.replace(self, part=i) for i in range(count)]

    @property
    def config(self):
        """Tests with an equal config may share a guest."""
        return (self.smp, self.mem, self.disks, self.append)


def read_header(path):
    """The Test of a file, or None if it has no HCV-TEST line."""
    fields = {}
    with open(path, encoding="utf-8") as file:
        for _, line in zip(range(HEADER_LINES), file):
            match = HEADER.match(line)
            if match:
                fields.setdefault(match[1], []).append(match[2])
    kind = fields.pop("HCV-TEST", [None])[0]
    if kind is None:
        return None
    if kind not in KINDS:
        raise vm.TestbedError(f"{path}: HCV-TEST is one of {', '.join(KINDS)}")
    test = Test(path, kind)
    for key, values in fields.items():
        if key == "TIMEOUT":
            test.timeout = float(values[0])
        elif key == "KVER":
            test.kvers = tuple(values[0].split())
        elif key == "TAGS":
            test.tags = frozenset(" ".join(values).split())
        elif key == "DISK":
            test.disks = tuple(values)
        elif key == "MEM":
            test.mem = int(values[0])
        elif key == "SMP":
            test.smp = int(values[0])
        elif key == "PARTS":
            test.parts = int(values[0])
        elif key == "APPEND":
            test.append = " ".join(values)
        elif key == "ALLOW":
            test.allow = [console.parse_allow(text) for text in values]
        elif key not in ("SPDX-License-Identifier",):
            raise vm.TestbedError(f"{path}: unknown header line {key}:")
    return test


def find_tests():
    """All tests of the tree, sorted by name."""
    folder = boot.TREE / "selftests"
    files = [*folder.glob("*/*.sh"), *folder.glob("*/*.py")]
    return [test for test in map(read_header, sorted(files)) if test]


def select(tests, kver, pattern="", tags=(), skip_tags=()):
    """Those of tests that are meant for kver and match the wishes."""
    chosen = []
    for test in tests:
        if test.kvers and kver not in test.kvers:
            continue
        if not re.search(pattern, test.name):
            continue
        if tags and not test.tags & set(tags):
            continue
        if not tags and not pattern and test.tags & NOT_BY_DEFAULT and \
                not (kver == "debug" and "debug" in test.tags):
            continue
        if test.tags & set(skip_tags):
            continue
        chosen.append(test)
    return chosen


@dataclasses.dataclass
class Outcome:
    """How a test ended: state is "ok", "FAIL" or "skip"."""

    state: str
    detail: str = ""
    output: str = ""
    seconds: float = 0.0


def judge(rc, output):
    """The Outcome of a test by its exit code and its KTAP output."""
    plan = None
    skipped = None
    results = {}
    doubled = False
    for line in output.splitlines():
        match = re.match(r"1\.\.(\d+)(?:\s+#\s*SKIP\s*(.*))?$", line)
        if match and plan is None:
            plan, skipped = int(match[1]), match[2]
        match = re.match(r"(ok|not ok) (\d+)\s*(?:- )?(.*)$", line)
        if match:
            number = int(match[2])
            doubled = doubled or number in results
            results[number] = (match[1] == "ok", match[3])
    bad = [f"{nr} {name}" for nr, (good, name) in results.items()
           if not good and "# SKIP" not in name]
    if rc == 4 and plan == 0:
        return Outcome("skip", skipped or "no reason given", output)
    if bad:
        return Outcome("FAIL", "not ok " + ", ".join(bad), output)
    if rc:
        return Outcome("FAIL", f"exit code {rc}", output)
    if plan is None:
        return Outcome("FAIL", "no KTAP plan", output)
    if doubled or sorted(results) != list(range(1, plan + 1)):
        return Outcome("FAIL", f"planned {plan} cases, saw {len(results)}",
                       output)
    if plan and all("# SKIP" in name for _, name in results.values()):
        return Outcome("skip", "every case", output)
    return Outcome("ok", f"{plan} case{'s' * (plan != 1)}", output)


def reasons(output, limit=12):
    """The last limit lines of each failed case, an agent's log left out.

    The first comes last: what failed after it may do so because of it, and
    who keeps only the end of an output needs the cause.
    """
    found, said = [], []
    for line in output.splitlines():
        if re.match(r"not ok \d+", line):
            found.append([*said[-limit:], line])
        if re.match(r"(ok|not ok) \d+", line):
            said = []
        elif line.startswith("# ") and not line.startswith("# agent: "):
            said.append(line)
    return [line for case in reversed(found) for line in case]


class Memory:
    """Which tests passed on which state of the tree, for --resume."""

    def __init__(self, kver):
        self.path = boot.BUILD / "test-results" / f"{kver}.json"
        self.key = f"{tree_hash()} {boot.Kernel(kver).release}"
        self.lock = threading.Lock()
        self.passed = set()
        with contextlib.suppress(FileNotFoundError, ValueError):
            data = json.loads(self.path.read_text())
            if data["key"] == self.key:
                self.passed = set(data["passed"])

    def forget(self):
        """Start anew."""
        self.passed = set()
        self._write()

    def add(self, test):
        """Note that test passed."""
        with self.lock:
            self.passed.add(test.name)
            self._write()

    def _write(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".new")
        part.write_text(json.dumps({"key": self.key,
                                    "passed": sorted(self.passed)}))
        part.rename(self.path)


def tree_hash():
    """Stands for every file of the tree, committed or not, but build/."""
    digest = hashlib.sha256()

    def git(*args):
        return subprocess.run(["git", "-C", boot.TREE, *args], check=True,
                              stdout=subprocess.PIPE).stdout
    try:
        names = git("ls-files", "-z", "-c", "-o", "--exclude-standard")
    except (OSError, subprocess.CalledProcessError):
        # A release tree is no repository: nothing can be resumed there.
        return f"no-repository-{time.time()}"
    for name in sorted(set(filter(None, names.split(b"\0")))):
        path = os.path.join(os.fsencode(boot.TREE), name)
        digest.update(name + b"\0")
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            with open(path, "rb") as file:
                digest.update(hashlib.sha256(file.read()).digest())
    return digest.hexdigest()[:24]


# What a test may leave different without harm is left out: modules, caches.
# Only builtins of bash: a fork takes an emulated guest 20 ms.
_FINGERPRINT = r"""
shopt -s nullglob
echo "$(< /proc/mounts)"
for dev in /sys/block/*; do
	[[ $dev != */loop* || -d $dev/loop ]] && echo "$dev"
done
echo /tmp/* /dev/shm/* /sys/class/net/* /sys/kernel/config/nvmet/*/*
echo "$(< /proc/net/route)"
for proc in /proc/[1-9]*; do
	[ "${proc#/proc/}" != $BASHPID ] &&
		IFS= read -rd '' name < "$proc/cmdline" && echo "$name"
done 2> /dev/null
"""


class GuestLane:
    """Runs guest tests one after the other, in one guest while it is clean."""

    def __init__(self, kernel, log_dir, sink=None, shell=None):
        self.kernel = kernel
        self.log_dir = log_dir
        self.sink = sink
        self.shell = shell
        self.guest = None
        self.config = None
        self.clean = ""
        self.ran = []

    def _boot(self, test):
        debug = self.kernel.kver == "debug"
        disks = [vm.Disk.parse(text) for text in test.disks]
        self.guest = vm.Guest(self.kernel, smp=test.smp, disks=disks,
                              mem=test.mem or (2048 if debug else 1024),
                              append=test.append)
        self.config = test.config
        self.ran = []
        self.guest.start()
        checks.at_start(self.guest)
        self.clean = self.guest.run(_FINGERPRINT).out

    def run(self, test):
        """Run one test; returns its Outcome."""
        start = time.monotonic()
        if self.guest and self.config != test.config:
            self.close()
        try:
            if not self.guest:
                self._boot(test)
            outcome = self._run_booted(test)
        except vm.TestbedError as error:
            outcome = Outcome("FAIL", str(error))
        if self.guest:
            self._settle(test, outcome)
        outcome.seconds = time.monotonic() - start
        return outcome

    def _run_booted(self, test):
        guest = self.guest
        self.ran.append(test.name)
        guest.sync_console("begin " + test.name)
        for index in range(len(test.disks)):
            guest.run(f"blkdiscard -f /dev/vd{chr(ord('a') + index)}",
                      check=True)
        interp = "python3 -B " if test.path.suffix == ".py" else "bash "
        output = []
        lock = threading.Lock()

        def sink(kind, data):
            with lock:
                output.append(data)
            if self.sink:
                self.sink(kind, data)

        command = guest.spawn(interp + str(test.path), env=test.env,
                              sink=sink)
        try:
            rc = command.wait(test.limit / vm.SCALE).rc
            outcome = judge(rc, b"".join(output).decode("utf-8", "replace"))
        except vm.TestbedError as error:
            outcome = Outcome("FAIL", str(error),
                              b"".join(output).decode("utf-8", "replace"))
        if self.shell and guest.alive:
            self.shell(guest)
        return outcome

    def _settle(self, test, outcome):
        """Look for faults; drop the guest unless it is as good as new."""
        guest = self.guest
        try:
            faults = checks.after_test(guest, test.allow)
            if guest.run(_FINGERPRINT).out != self.clean:
                faults += self.close(test.allow)
        except vm.TestbedError as error:
            faults = guest.console.new_faults(test.allow)
            if outcome.state != "FAIL":
                faults.append(str(error))
        if faults:
            outcome.output += "".join(f"\n# FAULT:\n{text}\n"
                                      for text in faults)
            why = "fault on the console: " + console.brief(faults[0])
            outcome.detail = (f"{outcome.detail}; {why}"
                              if outcome.state == "FAIL" else why)
            outcome.state = "FAIL"
        if outcome.state == "FAIL" and self.guest:
            self._drop()
        log = self.log_dir / (test.name.replace("/", "-") + ".console")
        log.write_text(guest.console.text())

    def close(self, allow=()):
        """End the guest; returns faults that only its end shows."""
        if not self.guest:
            return []
        try:
            self.guest.shutdown()
            return self.guest.console.new_faults(allow)
        except vm.TestbedError as error:
            return [str(error)]
        finally:
            self._drop()

    def _drop(self):
        self.guest.close()
        self.guest = None


def run_on_host(test, kver, sink=None):
    """Run a "cluster" or "host" test, which is a program of the host."""
    start = time.monotonic()
    interp = ["python3", "-B"] if test.path.suffix == ".py" else ["bash"]
    # HCV_GUEST keeps ktap.sh from looking for a guest.
    env = os.environ | {"HCV_KVER": kver, "HCV_GUEST": "host",
                        "HCV_TREE": str(boot.TREE),
                        "HCV_TIMEOUT_SCALE": f"{vm.SCALE:g}",
                        "HCV_SIZE_DIV": vm.size_div(kver),
                        **test.env}
    process = vm.spawn_process(interp + [test.path], env=env, cwd=boot.TREE,
                               stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    output = []

    def read():
        for line in process.stdout:
            output.append(line)
            if sink:
                sink(0, line)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    late = False
    try:
        process.wait(test.limit)
    except subprocess.TimeoutExpired:
        late = True
        # SystemExit in the test ends its guests in order.
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    reader.join(5)
    text = b"".join(output).decode("utf-8", "replace")
    if late:
        outcome = Outcome("FAIL", "no end after "
                          f"{test.limit:g} s", text)
    else:
        outcome = judge(process.returncode, text)
    outcome.seconds = time.monotonic() - start
    return outcome
