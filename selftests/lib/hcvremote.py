# SPDX-License-Identifier: GPL-2.0-only
"""Volumes with replicas behind exports, all on one node: the export's device is
tied by its path, as an NVMe namespace would be, over a dm device that can be
told to fail."""

import errno

import hcvnl
import hcvtest
from hcvtest import uuid_text
from hcvvol import Volume

CLIENT = "@n2"
SECTORS = (1 << 62) // 512


class Path:
    """What stands for the network: a dm device over an export."""

    def __init__(self, name, export):
        self.name, self.export = name, export
        self.path = hcvtest.dm_create(name, self.whole())

    def whole(self):
        return f"0 {SECTORS} linear {self.export} 0"

    def cut(self):
        hcvtest.dm_reload(self.name, f"0 {SECTORS} error")

    def heal(self):
        hcvtest.dm_reload(self.name, self.whole())

    def remove(self):
        hcvtest.dm_remove(self.name)


class RemoteVolume(Volume):
    """Stores in @remote are reached by their exports."""

    def __init__(self, node, devs, remote=("@s2",), **attrs):
        super().__init__(node, devs, **attrs)
        self.remote, self.paths, self.renew = set(remote), {}, {}

    def export(self, store):
        if store not in self.paths:
            name = self.node.do("EXPORT_ADD", STORE=store,
                                NODE=CLIENT)["DEVNAME"]
            self.paths[store] = Path(f"net-{store[1:]}", f"/dev/{name}")
        return self.paths[store]

    def granted(self, store):
        """The answer to GRANT under the renewal of the moment."""
        attrs = {"RENEW": self.renew[store]} if store in self.renew else {}
        return self.edo("GRANT", STORE=store, NODE=CLIENT,
                        COUNT=len(self.rows) + 1, **attrs)

    def renewed(self, store):
        """As the store's agent does: until nothing old is in flight."""
        self.renew[store] = self.renew.get(store, 0) + 1

        def done():
            try:
                return self.granted(store)
            except hcvnl.Fail as e:
                if e.code != errno.EINPROGRESS:
                    raise
                return None
        return hcvtest.wait_for(done, 20, f"renewal of {store}")

    def grant(self, store):
        if store not in self.remote:
            return super().grant(store)
        return ",".join(f"{r['first']}:{r['base']}:{r['count']}"
                        for r in self.granted(store)["RANGES"])

    def link_add(self, store, state, **attrs):
        if store in self.remote:
            attrs.setdefault("PATH", self.export(store).path)
        super().link_add(store, state, **attrs)

    def close_stores(self):
        for path in self.paths.values():
            path.remove()
        for store in self.paths:
            self.node.fence(store, self.vol, self.epoch)
            self.node.do("EXPORT_DEL", STORE=store, NODE=CLIENT)
        self.paths.clear()
        super().close_stores()

    def leases(self, store):
        """What the store still counts of the volume's leases, in ms."""
        return [g["LEASE_MS"] for g in self.node.dump("GRANT_GET")
                if g["VOL"] == uuid_text(self.vol) and
                g["STORE"] == uuid_text(store)]


