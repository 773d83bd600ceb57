#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: guest
# TIMEOUT: 2700
# DISK: 2G:serial=a
"""The agent's target side on one node: what it does with its store when the
metadata store says that other nodes create, attach, take over, detach and
delete volumes. The other nodes are keys that this test writes itself, and one
NVMe connection over 127.0.0.1."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

import hcvtest
import ktap
from hcvtest import BLOCK, HANDLE, META_OFF, uuid_text

BIN = Path(os.environ.get("HCV_BIN") or
           os.path.join(os.environ["HCV_TREE"], "build/bin"))
DISK = hcvtest.disk_by_serial("a")
N2, N3 = uuid_text("@n2"), uuid_text("@n3")
V1 = uuid_text("@v1")


class Agent:
    """hcivold of a single-node cluster, and its keys."""

    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="hcv-target."))
        self.sock = self.dir / "sock"
        self.proc = None

    def start(self, crash=None):
        env = dict(os.environ)
        if crash:
            env["HCV_CRASH"] = crash
        with open(self.dir / "log", "ab") as log:
            self.proc = subprocess.Popen(
                [BIN / "hcivold", "--debug", "--state-dir", self.dir,
                 "--socket", self.sock], env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)

    def wait_ready(self):
        hcvtest.wait_for(lambda: self.ctl("version", check=False), 20,
                         "answer of hcivold")

    def end(self, sig=signal.SIGTERM):
        if self.proc:
            self.proc.send_signal(sig)
            self.proc.wait(60)
            self.proc = None

    def restart(self, crash=None):
        self.end(signal.SIGKILL)
        self.start(crash)

    def ctl(self, *words, check=True):
        done = subprocess.run([BIN / "agentctl", "--json", "--socket",
                               self.sock, *words], check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode and check:
            raise RuntimeError(f"{' '.join(words)}: {done.stdout}")
        return None if done.returncode else json.loads(done.stdout)

    def log(self):
        return (self.dir / "log").read_text()

    def db(self):
        path = next(p for p in self.dir.iterdir()
                    if p.suffix in (".db", ".sqlite", ".sqlite3"))
        return sqlite3.connect(path, timeout=10, isolation_level=None)

    def put(self, **keys):
        """Write keys ("__" for "/"; None deletes) in one transaction."""
        db = self.db()
        db.execute("BEGIN IMMEDIATE")
        rev = db.execute("SELECT rev FROM counter").fetchone()[0] + 1
        db.execute("UPDATE counter SET rev = ?", (rev,))
        for key, value in keys.items():
            db.execute("DELETE FROM kv WHERE key = ?", (key,))
            if value is not None:
                db.execute("INSERT INTO kv(key, value, rev, lease) "
                           "VALUES(?, ?, ?, 0)",
                           (key, json.dumps({"schema": 1, **value}), rev))
        db.execute("COMMIT")
        db.close()

    def keys(self, prefix=""):
        db = self.db()
        got = {k: json.loads(v) for k, v in
               db.execute("SELECT key, value FROM kv")
               if k.startswith(prefix)}
        db.close()
        return got


agent = Agent()
node = None
store = None


def setup():
    global node, store
    hcvtest.load_module()
    node = hcvtest.hcvnl.Client()
    agent.start()
    agent.wait_ready()
    agent.ctl("cluster", "init", "--addr", "127.0.0.1", "--node-name", "n1")
    store = agent.ctl("store", "add", DISK, "--name", "s1",
                      "--class", "ssd")["uuid"]
    for name, uuid in (("n2", N2), ("n3", N3)):
        agent.put(**{f"node/{uuid}": {
            "uuid": uuid, "name": name, "rack": "", "addr": "127.0.0.1",
            "port": 4420, "transport": "tcp",
            "hostnqn": f"nqn.2014-08.org.nvmexpress:uuid:{uuid}",
            "hostid": uuid, "state": "ready"}})


def teardown():
    agent.end()
    shutil.rmtree(agent.dir)
    if not hcvtest.module_loaded():
        return
    subprocess.run(["modprobe", "-rq", "nvme-tcp", "nvme-fabrics",
                    "nvmet-tcp", "nvmet", "nvme-core"], check=False)


def record(owner, epoch, phase):
    return {"owner": owner, "epoch": epoch, "phase": phase, "v": epoch * 2 + 1,
            "lineage": 7, "clean": phase == "none",
            "stores": {store: {"state": "insync", "v": 1}}}


def rows(count):
    return {"next": count, "stores": [store],
            "rows": [[i, 0, [0], 1] for i in range(count)]}


def volume(state="ready"):
    return {"uuid": V1, "name": "v1", "size": 1 << 30, "replicas": 1,
            "stripe": 1, "queue": "mq", "policy": "suspend", "policy_ms": 0,
            "readonly": False, "domain": "disk", "state": state,
            "created": 1}


def extents():
    out = []
    for one in node.call("STORE_EXTENT_GET", dump=True, STORE=store):
        if one["VOL"] == V1:
            out += one["INDEXES"]
    return out


def grants():
    return [g for g in node.call("GRANT_GET", dump=True) if g["VOL"] == V1]


def grant_key():
    return agent.keys(f"grant/{V1}/").get(f"grant/{V1}/{store}")


def wait_grant(epoch, client, ready, limit=20):
    """The grant key of this epoch, checked against the module."""
    def good():
        key = grant_key()
        return key if key and key["epoch"] == epoch and \
            key["ready"] == ready else None
    key = hcvtest.wait_for(good, limit, f"grant of epoch {epoch}")
    ktap.check_eq("client", client, key["client"])
    ktap.check_eq("live grants", [(epoch, client)],
                  [(g["EPOCH"], g["NODE"]) for g in grants()])
    info = node.call("STORE_GET", STORE=store)[0]
    ktap.check_eq("incarnation", info["INCARNATION"], key["incarnation"])
    return key


def take(owner, epoch, phase="taking"):
    agent.put(**{f"rec/{V1}": record(owner, epoch, phase)})


def tool(*words):
    return hcvtest.run(str(BIN / "hcv-nvme-tool"), *words).strip()


def connect(client):
    # The longer time-outs: no I/O of a slow machine is to meet them.
    return tool("connect", "tcp", "127.0.0.1", "4420", store, client, "hdd")


def disconnect(client):
    tool("disconnect", store, client, "idle")


def readable(dev, key):
    """Whether row 0 can be read through the key's handles."""
    handle = key["ranges"][0][0] + 1
    try:
        return len(dev.read(handle * HANDLE)) == BLOCK
    except OSError:
        return False


def test_rows_of_a_fresh_volume_are_formatted():
    agent.put(**{f"vol/{V1}": volume(), f"rows/{V1}": rows(3),
                 f"rec/{V1}": record("", 0, "none")})
    hcvtest.wait_for(lambda: extents() == [0, 1, 2], 20, "extents")
    ktap.check_eq("grants", [], grants())
    ktap.check_eq("grant key", None, grant_key())


def test_owner_gets_a_grant_and_an_export():
    take(N2, 1)
    key = wait_grant(1, N2, 3)
    ktap.check_match("device", "^/dev/hcvx[0-9]+$", key["devpath"])
    with hcvtest.Device(connect(N2)) as dev:
        info, _ = hcvtest.control(dev.read(META_OFF))
        ktap.check("control window", info["good"])
        ktap.check_eq("its incarnation", key["incarnation"],
                      info["incarnation"])
        ktap.check("row 0 is readable", readable(dev, key))
        take(N2, 1, "serving")
        agent.put(**{f"rows/{V1}": rows(4)})
        key = wait_grant(1, N2, 4)
        ktap.check_eq("extents", [0, 1, 2, 3], extents())


def test_takeover_fences_first():
    old = grant_key()
    with hcvtest.Device(connect(N2)) as dev:
        ktap.check("before", readable(dev, old))
        take(N3, 2)
        new = wait_grant(2, N3, 4)
        ktap.check("after", not readable(dev, old))
        ktap.check("with the new handles of another node",
                   not readable(dev, new))
    disconnect(N2)
    with hcvtest.Device(connect(N3)) as dev:
        ktap.check("new owner", readable(dev, new))
    disconnect(N3)


# Points that a new export and a new grant pass. nvme_target.sh has all of
# nvmet.*, agent_killed.sh and give_back.sh what extents and tombstones pass.
TAKE_OVER = (
    "nvmet.subsys-made", "nvmet.ns-made", "nvmet.ns-named", "nvmet.ns-enabled",
    "nvmet.host-made", "nvmet.host-allowed", "nvmet.port-ready",
    "nvmet.linked", "target.export-added", "target.export-served",
    "target.grant-written", "target.granted", "target.revoked")
LEFT = ("target.export-unserved", "target.export-deleted")


def dies_at(point):
    """The agent, started anew, does; another one is started."""
    agent.start(f"{point}:1")
    hcvtest.wait_for(lambda: agent.proc.poll() is not None, 60,
                     f"death at {point}")
    ktap.check_in("where it died", f"crash point {point}: killing",
                  agent.log())
    agent.restart()


def test_agent_is_killed_at_every_step():
    epoch = 2
    for point in hcvtest.sampled(TAKE_OVER):
        epoch += 1
        owner = (N2, N3)[epoch % 2]
        # everything is made anew, so that all points are passed
        agent.end(signal.SIGKILL)
        tool("target-remove", store, owner)
        take(owner, epoch)
        dies_at(point)
        key = wait_grant(epoch, owner, 4)
        with hcvtest.Device(connect(owner)) as dev:
            ktap.check(f"read after {point}", readable(dev, key))
        disconnect(owner)


def test_clean_detach_revokes():
    epoch = grant_key()["epoch"]
    take("", epoch, "none")
    hcvtest.wait_for(lambda: not grant_key(), 20, "end of the grant key")
    ktap.check_eq("grants", [], grants())
    ktap.check_eq("extents stay", [0, 1, 2, 3], extents())


def test_tombstone_frees():
    agent.put(**{f"vol/{V1}": None, f"rec/{V1}": None, f"rows/{V1}": None,
                 f"tomb/{store}/{V1}": {"deleted": 1}})
    hcvtest.wait_for(lambda: not agent.keys("tomb/"), 20,
                     "end of the tombstone")
    ktap.check_eq("extents", [], extents())


def test_unnamed_extents_are_kept_and_told():
    node.call("STORE_EXTENT_ADD", STORE=store, VOL=V1, INDEXES="0-1")
    agent.restart()
    agent.wait_ready()
    hcvtest.wait_for(lambda: "metadata store does not know" in agent.log(),
                     20, "event")
    ktap.check_eq("extents", [0, 1], extents())
    node.call("STORE_EXTENT_DEL", STORE=store, VOL=V1)


def test_controller_without_a_volume_is_dropped():
    me = next(n["uuid"] for n in agent.keys("node/").values()
              if n["name"] == "n1")
    name = node.call("EXPORT_ADD", STORE=store, NODE=me)[0]["DEVNAME"]
    tool("target-ensure", "tcp", "127.0.0.1", "4420", store, me,
         f"/dev/{name}")
    connect(me)
    hcvtest.wait_for(lambda: not tool("list", me), 90, "disconnection")
    tool("target-remove", store, me)
    node.call("EXPORT_DEL", STORE=store, NODE=me)


def exported():
    return sorted(e["NODE"] for e in node.call("EXPORT_GET", dump=True))


def test_node_that_left_loses_its_export():
    ktap.check_eq("exported before", sorted([N2, N3]), exported())
    for point in LEFT:
        agent.end(signal.SIGKILL)
        if N3 not in exported():
            node.call("EXPORT_ADD", STORE=store, NODE=N3)
        agent.put(**{f"node/{N3}": None})
        dies_at(point)
        hcvtest.wait_for(lambda: exported() == [N2], 30, "end of the export")
    ktap.check_eq("subsystems", f"{store} {N2}", tool("target-list"))


def test_store_can_be_removed():
    # The one before ends when the export is gone, which may be at once.
    agent.wait_ready()
    agent.ctl("store", "remove", store)
    ktap.check_eq("exports", [], node.call("EXPORT_GET", dump=True))
    ktap.check_eq("subsystems", "", tool("target-list"))
    ktap.check_eq("stores", [], node.call("STORE_GET", dump=True))


try:
    setup()
    ktap.main(globals())
except BaseException as e:
    if not isinstance(e, SystemExit) or e.code:
        ktap.note(agent.log()[-6000:])
    raise
finally:
    teardown()
