# SPDX-License-Identifier: GPL-2.0-only
"""Volumes of which some replicas are reached over NVMe/TCP, all in one guest:
the store's export, nvmet, 127.0.0.1 and an NVMe controller, set up by the same
tool that the agent uses.

Such a guest needs hardened_usercopy=off: what is sent over lo arrives as the
sender's own pages, and Linux 6.1 stops with "Kernel memory exposure attempt
detected from page alloc" when nvmet receives neighbouring pages of different
folios in one piece. Over a network card the data are copied."""

import contextlib
import os
from pathlib import Path

import hcvtest
from hcvtest import uuid_text
from hcvvol import Volume

CLIENT = "@n2"
WHERE = ("tcp", "127.0.0.1", "4420")


def tool(*words):
    folder = Path(os.environ["HCV_TREE"]) / "build/bin"
    return hcvtest.run(str(folder / "hcv-nvme-tool"), *words).strip()


@contextlib.contextmanager
def transport():
    """NVMe/TCP, loaded and unloaded."""
    hcvtest.run("modprobe", "-a", "nvmet-tcp", "nvme-tcp")
    try:
        yield
    finally:
        tool("clear")
        # Controllers and ports go away after the calls have returned.
        hcvtest.remove_module("nvme-tcp", "nvme-fabrics", "nvmet-tcp",
                              "nvmet", "nvme-core")


class NvmeVolume(Volume):
    """Stores in remote are reached over NVMe/TCP."""

    def __init__(self, node, devs, remote=("@s2",), **attrs):
        super().__init__(node, devs, **attrs)
        self.remote, self.paths = set(remote), {}

    def connect(self, store):
        """Export the store and connect to it; returns the device."""
        if store not in self.paths:
            name = self.node.do("EXPORT_ADD", STORE=store,
                                NODE=CLIENT)["DEVNAME"]
            ends = (uuid_text(store), uuid_text(CLIENT))
            tool("target-ensure", *WHERE, *ends, f"/dev/{name}")
            # The longer time-outs: no I/O of a slow machine is to meet them.
            self.paths[store] = tool("connect", *WHERE, *ends, "hdd")
        return self.paths[store]

    def grant(self, store):
        client = CLIENT if store in self.remote else hcvtest.NODE
        got = self.edo("GRANT", STORE=store, NODE=client,
                       COUNT=len(self.rows) + 1)
        return ",".join(f"{r['first']}:{r['base']}:{r['count']}"
                        for r in got["RANGES"])

    def link_add(self, store, state, **attrs):
        if store in self.remote:
            attrs.setdefault("PATH", self.connect(store))
        super().link_add(store, state, **attrs)

    def close_stores(self):
        for store in self.paths:
            ends = (uuid_text(store), uuid_text(CLIENT))
            self.node.fence(store, self.vol, self.epoch)
            tool("disconnect", *ends, "idle")
            tool("target-remove", *ends)
            hcvtest.wait_for(lambda s=store: self.try_unexport(s), 20,
                             f"end of the export of {store}")
        self.paths.clear()
        super().close_stores()

    def try_unexport(self, store):
        return self.tried("EXPORT_DEL", STORE=store, NODE=CLIENT)
