# SPDX-License-Identifier: Apache-2.0
"""Commands in the containers of running tasks, by the agent's operator API: sessions, attachments, waiting, signals."""
import os
import pathlib
import re
import signal
import threading
import time

import pytest

from agent_api import Agent, Input
from conftest import Cluster, leftovers, pid_ends, processes_mentioning

APP = {"id": "/inside", "cmd": "echo mine > file; exec sleep 1000", "cpus": 0.1, "mem": 128, "env": {"COLOUR": "blue"}}


@pytest.fixture(scope="module", params=["root", "ordinary user"])
def place(request, tmp_path_factory):
    """A cluster with one task: (cluster, agent, container of the task)."""
    user = 65534 if request.param == "ordinary user" else None
    directory = tmp_path_factory.mktemp("cluster") / "state"
    if user:
        directory = pathlib.Path(f"/var/tmp/muster-sessions-{os.getpid()}")
        directory.mkdir(mode=0o700)
        os.chown(directory, user, user)
    cluster = Cluster(directory, user=user)
    cluster.up("--empty")
    cluster.add(APP)
    task = cluster.running("/inside", 1)[0]["id"]
    agent = Agent(cluster)
    yield cluster, agent, agent.container_of(task)
    done = cluster.down()
    assert done.returncode == 0, done.stderr
    left = leftovers(cluster.dir)
    if user:
        import shutil
        shutil.rmtree(cluster.dir, ignore_errors=True)
    assert not left, left


def test_a_session_has_the_tasks_folder_environment_and_status(place):
    _, agent, container = place
    status, out, err = agent.run(container, "cat file; echo $COLOUR; basename $PWD; test $PWD = $MESOS_SANDBOX || echo no;"
                                            "echo wrong >&2; exit 7")
    assert out.decode().split("\n")[:2] == ["mine", "blue"] and "no" not in out.decode().split("\n")
    assert err == b"wrong\n"
    assert os.waitstatus_to_exitcode(status) == 7


def test_a_session_does_not_see_what_is_between_executor_and_agent(place):
    _, agent, container = place
    _, out, _ = agent.run(container, "env")
    names = {line.split("=")[0] for line in out.decode().split("\n")}
    assert "MESOS_EXECUTOR_ID" in names
    assert not names & {"MESOS_DOMAIN_SOCKET", "MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "LIBPROCESS_PORT"}


def test_a_session_is_in_the_tasks_namespaces(place):
    cluster, agent, container = place
    _, out, _ = agent.run(container, {"value": "readlink", "arguments": [
        "readlink", "/proc/self/ns/pid", "/proc/self/ns/mnt", "/proc/self/ns/user"], "shell": False})
    missing = " ".join(__import__("requests").get(f"http://{agent.address}/state", timeout=30).json()["isolation"]["missing"])
    inside = out.decode().split()
    pid = next(p for p, line in processes_mentioning("sleep 1000") if str(cluster.dir) in
               pathlib.Path(f"/proc/{p}/cwd").resolve().as_posix())
    assert inside == [os.readlink(f"/proc/{pid}/ns/{n}") for n in ("pid", "mnt", "user")], missing


def test_input_is_copied_to_the_program(place):
    _, agent, container = place
    data = os.urandom(3 << 20)
    status, out, _ = agent.run(container, "cat", data)
    assert status == 0 and out == data


def test_input_of_a_terminal_echoes_interrupts_and_resizes(place):
    _, agent, container = place
    stream = agent.session(container, "trap 'stty size' WINCH; trap 'echo interrupted; exit 3' INT; tty; echo rea''dy;"
                                      "while :; do sleep 0.05; done", tty=True)
    with agent.attach_input(stream.container) as given:
        given.heartbeat()
        assert b"/dev/pts/" in stream.read_until(b"ready")
        given.window(31, 97)
        stream.read_until(b"31 97")
        given.data(b"\x03")
        stream.read_until(b"interrupted")
        assert given.answer() == (200, "")
    assert os.waitstatus_to_exitcode(agent.wait(stream.container)["exit_status"]) == 3


def test_recordio_is_declared_when_it_is_asked_for(place):
    _, agent, container = place
    stream = agent.session(container, "echo x", headers={"Accept": "application/recordio", "Message-Accept": "application/json"})
    assert stream.answer.headers["Content-Type"] == "application/recordio"
    assert stream.answer.headers["Message-Content-Type"] == "application/json"
    assert stream.read() == (b"x\n", b"")
    for headers, status in [({"Accept": "text/html"}, 406), ({"Message-Accept": "application/json"}, 406),
                            ({"Accept": "application/recordio", "Message-Accept": "text/html"}, 406),
                            ({"Content-Type": "application/recordio"}, 400),
                            ({"Message-Content-Type": "application/json"}, 415), ({"Content-Type": "text/html"}, 415)]:
        assert agent.session(container, "echo x", headers=headers).status == status, headers


def test_big_output_through_a_slow_reader_keeps_the_agent_small(place):
    cluster, agent, container = place
    pid = cluster.role("agent-1")["pid"]

    def memory():
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])
    before, largest, total = memory(), 0, 0
    stream = agent.session(container, "head -c 67108864 /dev/zero; echo done >&2; touch written")
    time.sleep(1)
    assert agent.run(container, "test -e written")[0] != 0  # it waits: nobody has read
    for kind, data in stream.pieces():
        if kind == "STDERR":
            assert data == b"done\n"
            continue
        assert data.count(0) == len(data)
        total += len(data)
        if total % (4 << 20) < 65536:
            largest = max(largest, memory())
            time.sleep(0.01)
    assert total == 64 << 20
    assert largest - before < 8192, (before, largest)  # KiB


def test_a_program_that_does_not_read_stops_the_writer(place):
    cluster, agent, container = place
    stream = agent.session(container, "sleep 1000")
    given = agent.attach_input(stream.container)
    given.socket.settimeout(1)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 64 << 20:
            given.data(b"x" * 65536)
            sent += 65536
    assert sent < 24 << 20  # sockets' buffers, and ours
    given.close()
    stream.close()


def test_a_killed_client_ends_its_session(place):
    cluster, agent, container = place
    stream = agent.session(container, "trap '' HUP TERM INT; setsid sh -c 'echo begun; exec sleep 4321' & sleep 4321")
    stream.read_until(b"begun")  # by the one that has left the session
    assert processes_mentioning("sleep 4321")
    stream.close()
    cluster.wait_until(lambda: not processes_mentioning("sleep 4321"), 10, "the end of the session")
    assert agent.run(container, "cat file")[1] == b"mine\n"  # the task runs on


def test_one_input_at_a_time_and_errors_of_attachments(place):
    _, agent, container = place
    stream = agent.session(container, "cat")
    with agent.attach_input(stream.container) as first:
        first.data(b"a")
        stream.read_until(b"a")
        with agent.attach_input(stream.container) as second:
            assert second.answer()[0] == 409
        first.send({"type": "CONTAINER_ID", "container_id": stream.container})
        assert first.answer()[0] == 400
    with agent.attach_input(stream.container) as third:  # the place is free again
        third.data(b"b", "STDOUT")
        status, text = third.answer()
        assert status == 400 and "STDIN" in text
    for records, status in [([b"{}"], 400), ([b"nonsense"], 400), ([b'{"type":"GET_HEALTH"}'], 415)]:
        with Input(agent) as bad:
            for record in records:
                bad.record(record)
            assert bad.answer()[0] == status, records
    with Input(agent) as bad:
        bad.raw(b"-1\nxx")
        assert bad.answer()[0] == 400
    with Input(agent) as bad:
        bad.raw(b"99999999\n")
        assert bad.answer()[0] == 400
    with Input(agent, message_type=None) as bad:
        assert bad.answer()[0] == 400
    with Input(agent, message_type="text/html") as bad:
        assert bad.answer()[0] == 415
    with Input(agent, {"value": "nobody"}) as bad:
        assert bad.answer()[0] == 404
    with Input(agent, container) as bad:  # runs without a terminal
        assert bad.answer()[0] == 500
    assert agent.attach_output({"value": "nobody"}).status == 404
    assert agent.attach_output(container).status == 500
    late = agent.attach_output(stream.container)  # a second reader gets what comes from now on
    assert late.status == 200
    with agent.attach_input(stream.container) as given:
        given.data(b"to both")
        assert late.read_until(b"both") == b"to both"
        given.data(b"")
        assert given.end()[0] == 200
    assert stream.read()[0].endswith(b"to both")


@pytest.mark.parametrize("value, text", [
    ("", "ID must not be empty"), ("x" * 243, "ID must not be greater than 242 characters"), ("..", "'..' is disallowed"),
    ("a/b", "'a/b' contains invalid characters"), ("a\\b", "'a\\b' contains invalid characters"),
    ("a.b", "'ContainerID.value' 'a.b' contains invalid characters"),
    ("a b", "'ContainerID.value' 'a b' contains invalid characters"),
    ("a\nb", "'a\nb' contains invalid characters"), ("../../etc", "'../../etc' contains invalid characters")])
def test_hostile_ids_are_refused(place, value, text):
    _, agent, container = place
    for kind, extra in [("LAUNCH_NESTED_CONTAINER_SESSION", {"command": {"value": "true"}}), ("WAIT_NESTED_CONTAINER", {}),
                        ("KILL_CONTAINER", {}), ("REMOVE_CONTAINER", {}), ("ATTACH_CONTAINER_OUTPUT", {})]:
        answer = agent.call(kind, container_id={"value": value, "parent": container}, **extra)
        assert answer.status_code == 400
        assert answer.text == f"Failed to validate agent::Call: '{kind.lower()}.container_id' is invalid: {text}"
        answer = agent.call(kind, container_id={"value": "x", "parent": {"value": value, "parent": container}}, **extra)
        assert answer.text.endswith(f"'ContainerID.parent' is invalid: {text}")
    deep = container
    for _ in range(20):
        deep = {"value": "x", "parent": deep}
    assert agent.call("KILL_CONTAINER", container_id=deep).status_code == 400


def test_refused_launches_say_why(place):
    _, agent, container = place

    def refused(status, text, parent=container, **more):
        stream = agent.session(parent, more.pop("command", "true"), **more)
        answer = stream.text()
        assert stream.status == status and text in answer, answer
    refused(400, "container_id.parent' to be present", container_id={"value": "x"})
    refused(500, "Parent container nobody does not run", parent={"value": "nobody"})
    refused(400, "command is missing", command={})
    refused(400, "command.user", command={"value": "true", "user": "daemon"})
    refused(400, "command.uris", command={"value": "true", "uris": [{"value": "/etc/passwd"}]})
    refused(400, "container.volumes", container={"type": "MESOS", "volumes": [
        {"host_path": "/etc", "container_path": "etc", "mode": "RO"}]})
    refused(400, "share_cgroups", container={"type": "MESOS", "linux_info": {"share_cgroups": False}})
    refused(400, "DOCKER", container={"type": "DOCKER"})
    refused(500, "exec no-such-program", command={"value": "no-such-program", "shell": False})
    assert agent.call("LAUNCH_NESTED_CONTAINER_SESSION").status_code == 400


def test_wait_kill_and_remove(place):
    _, agent, container = place
    stream = agent.session(container, "trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done")
    stream.read_until(b"ready")
    again = agent.session(container, "true", container_id=stream.container)
    assert again.status == 202
    assert agent.call("REMOVE_CONTAINER", container_id=stream.container).status_code == 500
    results = []
    waiters = [threading.Thread(target=lambda: results.append(agent.wait(stream.container))) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    assert agent.call("KILL_CONTAINER", container_id=stream.container, signal=1000).status_code == 400
    assert agent.call("KILL_NESTED_CONTAINER", container_id=stream.container, signal=10).status_code == 200
    for waiter in waiters:
        waiter.join(20)
    assert [os.waitstatus_to_exitcode(r["exit_status"]) for r in results] == [9, 9, 9]
    nested = agent.call("WAIT_NESTED_CONTAINER", container_id=stream.container)
    assert os.waitstatus_to_exitcode(nested.json()["wait_nested_container"]["exit_status"]) == 9
    assert agent.call("KILL_CONTAINER", container_id=stream.container).status_code == 404
    assert agent.call("REMOVE_CONTAINER", container_id=stream.container).status_code == 200
    assert agent.call("WAIT_CONTAINER", container_id=stream.container).status_code == 404
    assert agent.call("WAIT_NESTED_CONTAINER", container_id=container).status_code == 400
    stream = agent.session(container, "sleep 1000")
    assert agent.call("KILL_CONTAINER", container_id=stream.container).status_code == 200  # SIGKILL
    assert os.waitstatus_to_exitcode(agent.wait(stream.container)["exit_status"]) == -signal.SIGKILL
    assert stream.read() == (b"", b"")


def test_a_killed_agent_takes_its_sessions_along_and_no_task(place):
    cluster, agent, container = place
    stream = agent.session(container, "echo begun; exec sleep 4322")
    stream.read_until(b"begun")
    program = cluster.wait_until(  # it says so before it is executed
        lambda: next(pid for pid, line in processes_mentioning("sleep 4322") if line.startswith("sleep")), 10)
    old = cluster.kill_role("agent-1")
    assert old and pid_ends(program, 10)
    back = Agent(cluster)
    cluster.wait_until(lambda: back.run(container, "cat file")[1] == b"mine\n", 30, "a session after the agent's return")
