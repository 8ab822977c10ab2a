# SPDX-License-Identifier: Apache-2.0
"""Nested and standalone containers by the agent's operator API, and what of them outlives the agent."""
import os
import pathlib
import uuid

import pytest

from agent_api import Agent


@pytest.fixture(scope="module")
def place(cluster):
    cluster.add({"id": "/outer", "cmd": "echo mine > file; exec sleep 1000", "cpus": 0.1, "mem": 128, "env": {"COLOUR": "blue"}})
    task = cluster.running("/outer", 1)[0]["id"]
    return cluster, Agent(cluster).container_of(task)


def sandboxes(cluster):
    return list(cluster.dir.glob("agent-1/slaves/*/frameworks/*/executors/*/runs/*"))


def nested(parent):
    return {"value": str(uuid.uuid4()), "parent": parent}


def code(waited):
    return os.waitstatus_to_exitcode(waited["exit_status"])


@pytest.mark.parametrize("kind, wait", [("LAUNCH_NESTED_CONTAINER", "WAIT_NESTED_CONTAINER"), ("LAUNCH_CONTAINER", "WAIT_CONTAINER")])
def test_a_nested_container_runs_in_a_folder_of_its_own(place, kind, wait):
    cluster, parent = place
    agent, container = Agent(cluster), nested(parent)
    answer = agent.call(kind, container_id=container, command={
        "value": "echo $COLOUR $EXTRA; cat ../../file; echo wrong >&2; while [ ! -e ../../go-$KEY ]; do sleep 0.05; done; exit 5",
        "environment": {"variables": [{"name": "EXTRA", "value": "more"}, {"name": "KEY", "value": container["value"]}]}})
    assert answer.status_code == 200, answer.text
    assert agent.call(kind, container_id=container, command={"value": "true"}).status_code == 202
    assert container not in [c["container_id"] for c in agent.containers()]
    listed = next(c for c in agent.containers(show_nested=True) if c["container_id"] == container)
    assert listed["container_status"]["executor_pid"] > 0 and listed["framework_id"]["value"]
    assert agent.call("REMOVE_CONTAINER", container_id=container).status_code == 500
    folder = next(p for p in sandboxes(cluster) if (p / "containers" / container["value"]).exists()) / "containers"
    (folder.parent / f"go-{container['value']}").touch()
    waited = agent.call(wait, container_id=container).json()[wait.lower()]
    assert code(waited) == 5
    assert (folder / container["value"] / "stdout").read_text() == "blue more\nmine\n"
    assert "wrong" in (folder / container["value"] / "stderr").read_text()
    assert agent.call("REMOVE_NESTED_CONTAINER", container_id=container).status_code == 200
    assert agent.call(wait, container_id=container).status_code == 404


def test_what_is_refused(place):
    cluster, parent = place
    agent = Agent(cluster)
    for kind, fields, status, text in [
        ("LAUNCH_NESTED_CONTAINER", {"container_id": {"value": "x"}, "command": {"value": "true"}}, 400, "parent"),
        ("LAUNCH_CONTAINER", {"container_id": {"value": "x"}}, 400, "command is missing"),
        ("LAUNCH_CONTAINER", {"container_id": nested(parent), "command": {"value": "true"}, "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}]}, 400, "resources"),
        ("LAUNCH_CONTAINER", {"container_id": {"value": "x"}, "command": {"value": "true"}, "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}, "reservations": [{"type": "DYNAMIC", "role": "a"}]}]},
         400, "unreserved"),
        ("LAUNCH_CONTAINER", {"container_id": {"value": "x"}, "command": {"value": "true"}, "container": {
            "type": "MESOS", "linux_info": {"share_cgroups": False}}}, 400, "share_cgroups"),
        ("LAUNCH_CONTAINER", {"container_id": {"value": "../x"}, "command": {"value": "true"}}, 400, "invalid characters"),
        ("LAUNCH_CONTAINER", {"container_id": parent, "command": {"value": "true"}}, 400, "that of an executor"),
        ("LAUNCH_CONTAINER", {"container_id": {"value": "x"}, "command": {"value": "no-such-program", "shell": False}}, 500,
         "no-such-program"),
        ("LAUNCH_CONTAINER", {"container_id": {"value": "x"}, "command": {"value": "true", "user": "no-such-user"}}, 500,
         "no-such-user"),
        ("LAUNCH_NESTED_CONTAINER", {"container_id": nested({"value": "nobody"}), "command": {"value": "true"}}, 500,
         "does not run"),
    ]:
        answer = agent.call(kind, **fields)
        assert answer.status_code == status and text in answer.text, (fields, answer.status_code, answer.text)
    assert agent.call("WAIT_CONTAINER", container_id={"value": "x"}).status_code == 404
    assert not agent.containers(show_standalone=True, show_nested=True)[1:]


def test_a_standalone_container(place):
    cluster, _ = place
    agent, container = Agent(cluster), {"value": f"alone-{uuid.uuid4()}"}
    answer = agent.call("LAUNCH_CONTAINER", container_id=container, command={
        "value": "id -un; pwd; echo $COLOUR; trap 'exit 6' TERM; while :; do sleep 0.05; done",
        "environment": {"variables": [{"name": "COLOUR", "value": "red"}]}}, resources=[
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}}, {"name": "mem", "type": "SCALAR", "scalar": {"value": 64}}])
    assert answer.status_code == 200, answer.text
    assert container not in [c["container_id"] for c in agent.containers(show_nested=True)]
    listed = next(c for c in agent.containers(show_standalone=True) if c["container_id"] == container)
    assert "framework_id" not in listed
    folder = cluster.dir / "agent-1" / "containers" / container["value"]
    cluster.wait_until(lambda: (folder / "stdout").read_text().count("\n") == 3, 10, "its output")
    assert (folder / "stdout").read_text().split("\n") == ["root", str(folder), "red", ""]
    inside = agent.run(container, "id -un; echo $COLOUR; pwd")
    assert inside == (0, f"root\nred\n{folder}\n".encode(), b"")
    assert agent.call("KILL_CONTAINER", container_id=container, signal=15).status_code == 200
    assert code(agent.wait(container)) == 6
    assert agent.call("REMOVE_CONTAINER", container_id=container).status_code == 200


def test_a_container_over_its_memory_says_so(place):
    cluster, _ = place
    agent, container = Agent(cluster), {"value": f"greedy-{uuid.uuid4()}"}
    missing = " ".join(__import__("requests").get(f"http://{agent.address}/state", timeout=30).json()["isolation"]["missing"])
    if "memory" in missing:
        pytest.skip("no memory limits here")
    assert agent.call("LAUNCH_CONTAINER", container_id=container, command={"value": "sleep 0.5; tail -c 300m /dev/zero | tail"},
                      resources=[{"name": "mem", "type": "SCALAR", "scalar": {"value": 32}}]).status_code == 200
    waited = agent.wait(container)
    assert waited["state"] == "TASK_FAILED" and waited["reason"] == "REASON_CONTAINER_LIMITATION_MEMORY"
    assert waited["limitation"]["resources"][0]["name"] == "mem" and "limit" in waited["message"]
    agent.call("REMOVE_CONTAINER", container_id=container)


def test_they_outlive_the_agent(place):
    cluster, parent = place
    agent = Agent(cluster)
    alone, inside, over = {"value": f"alone-{uuid.uuid4()}"}, nested(parent), nested(parent)
    waiting = {"value": "while [ ! -e go ]; do sleep 0.1; done; exit 8"}
    assert agent.call("LAUNCH_CONTAINER", container_id=alone, command=waiting).status_code == 200
    assert agent.call("LAUNCH_NESTED_CONTAINER", container_id=inside, command=waiting).status_code == 200
    assert agent.call("LAUNCH_NESTED_CONTAINER", container_id=over, command={"value": "exit 3"}).status_code == 200
    assert code(agent.wait(over)) == 3
    pids = {c["container_status"]["executor_pid"] for c in agent.containers(show_nested=True, show_standalone=True)
            if c["container_id"] in (alone, inside)}
    assert len(pids) == 2
    cluster.kill_role("agent-1")
    agent = Agent(cluster)
    cluster.wait_until(lambda: agent.call("GET_CONTAINERS").status_code == 200, 30, "the agent's return")
    assert code(agent.wait(over)) == 3
    again = {c["container_status"]["executor_pid"] for c in agent.containers(show_nested=True, show_standalone=True)
             if c["container_id"] in (alone, inside)}
    assert again == pids
    (cluster.dir / "agent-1" / "containers" / alone["value"] / "go").touch()
    next(p for p in sandboxes(cluster) if (p / "containers" / inside["value"]).exists()).joinpath(
        "containers", inside["value"], "go").touch()
    assert code(agent.wait(alone)) == code(agent.wait(inside)) == 8
    for container in (alone, inside, over):
        assert agent.call("REMOVE_CONTAINER", container_id=container).status_code == 200
    cluster.kill_role("agent-1")
    agent = Agent(cluster)
    cluster.wait_until(lambda: agent.call("GET_CONTAINERS").status_code == 200, 30, "the agent's return")
    assert agent.call("WAIT_CONTAINER", container_id=alone).status_code == 404


def test_the_end_of_a_task_ends_what_is_inside(place):
    cluster, _ = place
    cluster.add({"id": "/short", "cmd": "exec sleep 1000", "cpus": 0.1, "mem": 64})
    task = cluster.running("/short", 1)[0]["id"]
    agent = Agent(cluster)
    container = nested(agent.container_of(task))
    assert agent.call("LAUNCH_NESTED_CONTAINER", container_id=container, command={"value": "trap '' TERM; sleep 1000"}).status_code == 200
    pid = next(c for c in agent.containers(show_nested=True) if c["container_id"] == container)["container_status"]["executor_pid"]
    cluster.remove("/short")
    cluster.wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), 15, "the end of the nested container")
    cluster.wait_until(lambda: agent.call("WAIT_CONTAINER", container_id=container).status_code == 404, 10)


def test_a_terminal_of_a_nested_container_can_be_attached_to(place):
    cluster, parent = place
    agent, container = Agent(cluster), nested(parent)
    assert agent.call("LAUNCH_NESTED_CONTAINER", container_id=container, command={"value": "read x; echo got $x"}, container={
        "type": "MESOS", "tty_info": {"window_size": {"rows": 10, "columns": 20}}}).status_code == 200
    stream = agent.attach_output(container)
    with agent.attach_input(container) as given:
        given.data(b"it\n")
        assert b"got it" in stream.read()[0]
    assert code(agent.wait(container)) == 0
