# SPDX-License-Identifier: GPL-2.0-only
"""hcivol on the nodes of a cluster.Cluster, for tests and the demo.

    urls = hcvcluster.start_etcd(c)
    c.each(hcvcluster.start_node)
    hcvcluster.form(c, urls)
    ctl(n1, "volume create db1 1G")
    ...
    hcvcluster.stop_nodes(c.nodes)

A node is a cluster.Node; whatever fails raises a vm.TestbedError.
"""

import base64
import concurrent.futures
import contextlib
import json
import shlex

from vm import TestbedError, wait_for

# The loss of etcd's leader comes on top of an I/O error's second: what an
# election takes (once or twice this) is part of the gap that a guest feels.
ETCD_ARGS = ("--heartbeat-interval", "100", "--election-timeout", "1000")
AGENT_LOG = "/var/lib/hcivol/agent.log"
# Connections to other nodes' stores.
HOSTS_DOWN = """
for ctrl in /sys/class/nvme/nvme*; do
	grep -qs hcivol "$ctrl/subsysnqn" || continue
	echo 1 > "$ctrl/delete_controller"
done
exit 0
"""
# Takes nvmet's objects down in the order that fences nobody by accident.
NVMET_DOWN = """
cd /sys/kernel/config/nvmet 2>/dev/null || exit 0
rm -f subsystems/*/allowed_hosts/* ports/*/subsystems/*
for ns in subsystems/*/namespaces/*; do
	[ -d "$ns" ] || continue
	echo 0 > "$ns/enable"; rmdir "$ns"
done
for dir in subsystems/* ports/* hosts/*; do
	[ -d "$dir" ] && rmdir "$dir"
done
exit 0
"""


# --- commands

def sh(node, text, timeout=60):
    """Output of a command on a node, which must succeed."""
    return node.run(text, timeout=timeout, check=True).out


def ctl(node, words, timeout=90):
    """Output of agentctl, which must succeed within timeout seconds."""
    return sh(node, f"agentctl --timeout {timeout} {words}", timeout + 10)


def ctl_json(node, words):
    """What agentctl --json says."""
    return json.loads(ctl(node, f"--json {words}"))


# --- nodes

def start_etcd(c):
    """Start etcd on all nodes; returns the URLs for form()."""
    return c.start_etcd(args=ETCD_ARGS)


def start_agent(node):
    """Start hcivold and wait for its first answer; see node.agent.

    Its environment may have more, by node.agent_env.
    """
    env = getattr(node, "agent_env", "")
    node.agent = node.spawn(f"exec env {env} hcivold 2>>{AGENT_LOG}")
    def answers():
        if not node.agent.running:
            raise TestbedError(f"{node}: hcivold ended, {node.agent.rc}")
        return node.run("agentctl version").rc == 0
    try:
        wait_for(answers, 60, f"the agent of {node}")
    except TestbedError as error:
        raise TestbedError(f"{error}\n{explain(node)}") from None


def wait_knows(node):
    """A new agent of a cluster answers at once, but what it has not read yet is
    an error."""
    wait_for(lambda: node.run("agentctl node list").rc == 0, 60,
             f"what is in the metadata store on {node}")


def start_node(node):
    """Load the module and start the agent."""
    sh(node, "for m in $(modinfo -F depends $HCV_KO | tr , ' '); do "
             "modprobe $m; done; insmod $HCV_KO")
    start_agent(node)


def _stop_agent(node):
    """End the agent and this node's connections to the others' stores."""
    node.agent.kill()
    node.agent.wait(30)
    sh(node, HOSTS_DOWN)


def stop_nodes(nodes):
    """End agents and exports, so that the module can be unloaded.

    Connections first, on all nodes: a controller whose target has gone
    reconnects for long, and the node does not power off meanwhile.
    """
    with concurrent.futures.ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(_stop_agent, nodes))
        list(pool.map(lambda node: sh(node, NVMET_DOWN), nodes))


def return_node(c, node):
    """Boot a node that was killed, with all that ran on it."""
    node.start()
    node.start_etcd(c.nodes, ETCD_ARGS)
    wait_for(node.etcd_healthy, 60, f"etcd on {node}", 0.5)
    start_node(node)


def form(c, urls, say=lambda text: None, disk_class="ssd"):
    """Make a cluster of all nodes, each with its first data disk as store.

    A rack is a node, a store's name is n1-s1. What a virtual disk says of
    itself means nothing: its class, and with it how long a store may be silent
    before it counts as lost, is the caller's choice.
    """
    for number, node in enumerate(c.nodes, 1):
        verb = "init" if number == 1 else "join"
        ctl(node, f"cluster {verb} --metadata {urls} --node-name {node} "
                  f"--addr {node.address} --rack r{number}")
        say(f"{node}: cluster {verb}")
    for node in c.nodes:
        ctl(node, f"store add {node.disk(0)} --name {node}-s1 "
                  f"--class {disk_class}")


def explain(node):
    """What the agent and the module of a node have to say, as text."""
    if not node.alive or node.state != "running":
        return f"{node} is {node.state}"
    with contextlib.suppress(TestbedError):
        return f"{node}:\n" + node.run(
            f"tail -n 40 {AGENT_LOG}; agentctl volume list; "
            "agentctl node list; agentctl store list; "
            "curl -s -m 5 http://127.0.0.1:2379/health; "
            "tail -n 15 /var/lib/hcivol/etcd.log; "
            "for t in /proc/$(pidof hcivold)/task/*; do cat $t/stack; done; "
            "agentctl events | tail -n 20; dmesg | tail -n 20; "
            "ps -eo pid,ppid,stat,etimes,wchan,args | grep -v ' 2 '").out
    return f"{node} does not answer"


# --- volumes

def device(name):
    """The device node of a volume."""
    return f"/dev/hcivol/by-name/{name}"


def volume(node, name):
    """volume show, as a dict."""
    return ctl_json(node, f"volume show {name}")


def replicas(node, name):
    """{node name: state} of a volume, as the agent of `node` sees it."""
    return {r["node"]: r["state"] for r in volume(node, name)["replica_list"]}


def wait_insync(node, name, limit=120):
    """Wait until all replicas are in-sync; returns volume show."""
    def whole():
        shown = volume(node, name)
        return shown if all(r["state"] == "insync" and r["live"]
                            for r in shown["replica_list"]) else None
    return wait_for(whole, limit, f"replicas of {name} in-sync", 0.3)


# --- the metadata store, without the agent

def range_command(key, url="http://127.0.0.1:2379"):
    """Shell text that prints etcd's answer to a linearizable read of a key.

    A member that has just lost the leader answers with an error: ask again.
    """
    body = json.dumps({"key": base64.b64encode(
        f"/hcivol/default/{key}".encode()).decode()})
    return (f"for try in 1 2 3 4 5 6; do answer=$(curl -s -m 10 "
            f"{url}/v3/kv/range -d {shlex.quote(body)}); "
            "case $answer in *header*) break;; esac; sleep 0.5; done; "
            "echo \"$answer\" | tr -d '\\n'")


def range_value(answer):
    """The value in etcd's answer to range_command(), None without one."""
    kvs = json.loads(answer).get("kvs")
    return json.loads(base64.b64decode(kvs[0]["value"])) if kvs else None


def record(node, uuid):
    """The record of a volume in etcd."""
    return range_value(sh(node, range_command(f"rec/{uuid}")))
