# SPDX-License-Identifier: Apache-2.0
"""Two nodes on one machine: a network namespace each, a link between them and no way out. Each node has an agent, a name
server and a balancer of its own; the client is on one node, the service on the other."""
import os
import select
import signal
import subprocess

import pytest

import conftest

RANGE = "11.0.0.0/8"
NODES = {"a": "10.77.0.1", "b": "10.77.0.2"}
NAME = "web.marathon.l4lb.thisdcos.directory"


def run(*words, check=True):
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert not check or done.returncode == 0, (words, done.stderr)
    return done.stdout


def inside(node, *words):
    return ["nsenter", f"--net=/run/netns/mt{os.getpid()}{node}", *map(str, words)]


@pytest.fixture(scope="module")
def nodes():
    names = {n: f"mt{os.getpid()}{n}" for n in NODES}
    if subprocess.run(["ip", "netns", "add", names["a"]], capture_output=True).returncode != 0:
        pytest.skip("this user may not make network namespaces")
    try:
        run("ip", "netns", "add", names["b"])
        run("ip", "link", "add", "veth0", "netns", names["a"], "type", "veth", "peer", "name", "veth0", "netns", names["b"])
        for node, address in NODES.items():
            run("ip", "-n", names[node], "link", "set", "lo", "up")
            run("ip", "-n", names[node], "addr", "add", f"{address}/24", "dev", "veth0")
            run("ip", "-n", names[node], "link", "set", "veth0", "up")
        yield names
    finally:
        for name in names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


class Role:
    """One process of a node; says READY when it serves."""

    def __init__(self, node, log, *words):
        read_end, write_end = os.pipe()
        with open(log, "w") as out:
            self.process = subprocess.Popen(inside(node, conftest.MUSTER, *words), stderr=out, pass_fds=[write_end],
                                            env={**os.environ, "MUSTER_READY_FD": str(write_end)})
        os.close(write_end)
        self.log = log
        with os.fdopen(read_end) as ready:
            assert select.select([ready], [], [], 30)[0], "not ready in time: " + log.read_text()
            self.ready = ready.readline().removeprefix("READY ").strip()

    def end(self):
        self.process.terminate()
        assert self.process.wait(30) is not None


@pytest.fixture(params=["proxy", "nft", "ebpf"])
def cluster(request, nodes, tmp_path):
    roles, master = [], NODES["a"] + ":5050"

    def start(node, name, *words):
        role = Role(node, tmp_path / f"{name}-{node}.log", name, *words)
        roles.append(role)
        return role.ready

    try:
        for node, address in NODES.items():
            if not start(node, "lb", "--master", master, "--plane", request.param, "--vip_range", RANGE, "--instance",
                         f"n{os.getpid()}{node}"):
                pytest.skip(roles[-1].log.read_text().strip().splitlines()[-1])
        assert start("a", "master", "--ip", NODES["a"], "--work_dir", tmp_path / "master")
        for node, address in NODES.items():
            assert start(node, "agent", "--master", master, "--ip", address, "--hostname", address, "--work_dir",
                         tmp_path / f"agent-{node}", "--cgroups_root", f"muster/two-{os.getpid()}-{node}", "--resources",
                         "cpus:2;mem:1024;ports:[31000-31099]")
            assert start(node, "dns", "--master", master, "--ip", address, "--port", "53", "--http_port", "0", "--vip_range",
                         RANGE)
        assert start("a", "marathon", "--master", master, "--http_address", NODES["a"], "--hostname", NODES["a"], "--work_dir",
                     tmp_path / "marathon", "--enable_features", "task_killing")
        yield roles
    finally:
        for role in reversed(roles):
            if role.process.poll() is None:
                if role.process.args[3] == "agent":
                    role.process.send_signal(signal.SIGUSR1)  # ends its tasks and signs off
                    role.process.wait(30)
                else:
                    role.end()


def curl(node, url, *options):
    return run(*inside(node, "curl", "-s", "--max-time", "10", *options, url), check=False)


def until(condition, what):
    for _ in range(100):
        value = condition()
        if value:
            return value
        select.select([], [], [], 0.1)
    raise AssertionError(what)


def test_client_on_one_node_service_on_the_other(cluster, tmp_path):
    app = tmp_path / "app.json"
    app.write_text('{"id": "/web", "cmd": "exec python3 -m http.server $PORT0 --bind 0.0.0.0", "cpus": 0.1, "mem": 32,'
                   f'"instances": 2, "constraints": [["hostname", "CLUSTER", "{NODES["b"]}"]],'
                   # A running instance may not listen yet; only one that passes its check takes part.
                   '"healthChecks": [{"protocol": "MESOS_TCP", "portIndex": 0, "intervalSeconds": 1, "delaySeconds": 0,'
                   '"gracePeriodSeconds": 20}],'
                   '"portDefinitions": [{"port": 0, "name": "http", "labels": {"VIP_0": "/web:80"}}]}')
    marathon = f"http://{NODES['a']}:8080"
    assert '"id":"/web"' in curl("a", marathon + "/v2/apps", "-d", f"@{app}", "-H", "Content-Type: application/json")
    for node, server in NODES.items():
        def name(what):
            return run(*inside(node, "dig", f"@{server}", "+short", "+tries=1", "+timeout=2", what), check=False).split()
        assert until(lambda: name("web.marathon.mesos") == [NODES["b"]], f"the service's name on node {node}")
        address = until(lambda: name(NAME), f"the VIP's name on node {node}")[0]
        assert address.startswith("11.")
        until(lambda: "Directory listing" in curl(node, f"http://{address}/"), f"the VIP {address} on node {node}")
        codes = [curl(node, f"http://{address}/", "-o", "/dev/null", "-w", "%{http_code}") for _ in range(20)]
        assert codes == ["200"] * 20
