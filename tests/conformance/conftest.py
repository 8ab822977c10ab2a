# SPDX-License-Identifier: Apache-2.0
"""One master and one agent for all rows, as two plain processes; each row brings its own framework."""
import json
import os
import signal
import subprocess
import time

import pytest

import frame
import mesos_wire as wire

MUSTER = os.environ.get("MUSTER", str(wire.ROOT / "build/release/muster"))
RESOURCES = "cpus:4;mem:4096;disk:8192;ports:[31000-31100]"


class Node:
    """A role of muster, started and known to serve."""

    def __init__(self, directory, role, *flags, environment=None):
        self.log = directory / f"{role}.log"
        read, write = os.pipe()
        try:
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen([MUSTER, role, *flags], stdout=log, stderr=log, pass_fds=[write],
                                                env={**os.environ, **(environment or {}), "MUSTER_READY_FD": str(write)})
        finally:
            os.close(write)
        with os.fdopen(read) as ready:
            line = ready.readline()
        assert line.startswith("READY "), f"{role} does not start\n" + self.log.read_text()
        host, _, port = line.split()[1].rpartition(":")
        self.address = host, int(port)

    def end(self, signo=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signo)
        self.process.wait(20)


class Nodes:
    def __init__(self, directory, master_flags=(), agent_flags=()):
        self.directory = directory
        self.work_dir = directory / "agent"
        self.roles = {}
        self.agent_id = None
        self.roles["master"] = Node(directory, "master", "--port=0", "--registry=in_memory", *master_flags)
        self.roles["agent"] = Node(directory, "agent", "--port=0", f"--work_dir={self.work_dir}", f"--resources={RESOURCES}",
                                   f"--cgroups_root=conformance-{os.getpid()}-{self.address('master')[1]}",
                                   "--master=%s:%d" % self.address("master"), *agent_flags)
        self.agent_id = self.wait_for_agent()
        self.wait_until_told()

    def address(self, node):
        return self.roles[node].address

    def wait_for_agent(self):
        """By the operator's event stream: its first record shows the agent, or one of the next tells of it."""
        stream = wire.Stream(self.address("master"), "/api/v1", {"Content-Type": "application/json"}, b'{"type":"SUBSCRIBE"}',
                             wire.Json, None)
        try:
            agents = stream.next()["subscribed"]["get_state"]["get_agents"].get("agents", [])
            while not agents:
                event = stream.next()
                agents = [event["agent_added"]["agent"]] if event["type"] == "AGENT_ADDED" else []
            return agents[0]["agent_info"]["id"]["value"]
        finally:
            stream.close()

    def wait_until_told(self, bound=10):
        """The agent learns that it is registered a moment after the master has said so to others; executors' calls are 503 before."""
        end = time.monotonic() + bound
        while json.loads(wire.ask(self.address("agent"), "GET", "/state").body)["id"] != self.agent_id:
            assert time.monotonic() < end, "the agent was not told its id\n" + self.logs()
            time.sleep(0.01)

    def logs(self):
        return "".join(f"--- {r.log.name}\n" + r.log.read_text(errors="replace")[-2000:] for r in self.roles.values())

    def end(self):
        """SIGUSR1 ends an agent's containers too."""
        for name, signo in (("agent", signal.SIGUSR1), ("master", signal.SIGTERM)):
            if name in self.roles:
                self.roles[name].end(signo)


@pytest.fixture(scope="session")
def protos():
    return wire.compile_protos()


@pytest.fixture(scope="session")
def nodes(tmp_path_factory, protos):
    made = Nodes(tmp_path_factory.mktemp("conformance"), agent_flags=("--attributes=rack:r1;size:7",))
    yield made
    made.end()


def pytest_terminal_summary(terminalreporter):
    if frame.ROWS:
        terminalreporter.write_line(f"conformance: {len(frame.ROWS)} rows")
