# SPDX-License-Identifier: Apache-2.0
"""`muster task exec` and `muster task attach`, in pipes and on a terminal."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest
import requests

from agent_api import Agent
from conftest import MUSTER, processes_mentioning

PLAIN = {"id": "/plain", "cmd": "echo mine > file; exec sleep 1000", "cpus": 0.1, "mem": 128}


@pytest.fixture(scope="module")
def task(cluster):
    cluster.add(PLAIN)
    return cluster.running("/plain", 1)[0]["id"]


def execute(cluster, *words, data=None, **options):
    return subprocess.run([MUSTER, "task", "exec", "--dir", str(cluster.dir), *words], input=data, capture_output=True,
                          timeout=60, **options)


class Terminal:
    """A program on a terminal of ours."""

    def __init__(self, *words, rows=24, columns=80):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(words, stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.seen = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text)

    def read_until(self, marker, bound=15):
        end = time.monotonic() + bound
        while marker not in self.seen:
            left = end - time.monotonic()
            assert left > 0, f"{marker} did not come: {self.seen}"
            if select.select([self.master], [], [], left)[0]:
                self.seen += os.read(self.master, 65536)
        before, self.seen = self.seen.split(marker, 1)
        return before + marker

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ICANON

    def wait_raw(self, bound=15):
        """Before that what is typed is echoed and interpreted here."""
        end = time.monotonic() + bound
        while not self.is_raw():
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.02)
        return self

    def end(self):
        status = self.process.wait(20)
        now = termios.tcgetattr(self.slave)
        os.close(self.master)
        os.close(self.slave)
        assert now == self.before, "the terminal was not given back"
        return status


def test_output_and_status_are_the_commands(cluster, task):
    done = execute(cluster, task, "--", "sh", "-c", "cat file; echo wrong >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"mine\n", b"wrong\n")
    assert execute(cluster, task, "sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL
    assert execute(cluster, task[:12], "true").returncode == 0  # the beginning of an id will do


def test_input_from_a_pipe(cluster, task):
    data = os.urandom(1 << 20)
    done = execute(cluster, "-i", task, "--", "cat", data=data)
    assert done.returncode == 0 and done.stdout == data
    assert execute(cluster, task, "--", "cat", data=b"not passed on").stdout == b""
    with open("/dev/null") as null:
        assert subprocess.run([MUSTER, "task", "exec", "--dir", cluster.dir, "-i", task, "cat"], stdin=null,
                              capture_output=True, timeout=30).returncode == 0


def test_input_from_a_file(cluster, task, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(300000))
    with path.open() as file:
        done = subprocess.run([MUSTER, "task", "exec", "--dir", cluster.dir, "-i", task, "cat"], stdin=file,
                              capture_output=True, timeout=30)
    assert done.stdout == path.read_bytes()


def test_a_closed_pipe_ends_the_command(cluster, task):
    done = subprocess.run(f"{MUSTER} task exec --dir {cluster.dir} {task} -- sh -c 'exec yes 7531' | head -1", shell=True,
                          capture_output=True, timeout=30)
    assert done.stdout == b"7531\n"
    cluster.wait_until(lambda: not [p for p, line in processes_mentioning("yes 7531") if line.startswith("yes")], 10)


def test_mistakes_are_told(cluster, task):
    def fails(status, text, *words):
        done = execute(cluster, *words)
        assert done.returncode == status and text in done.stderr.decode(), done
    fails(1, "no task 'nobody'", "nobody", "true")
    fails(2, "a task and a command", task)
    fails(2, "a task and a command", task, "--")
    fails(1, "exec no-such-program", task, "no-such-program")
    fails(1, "-t with -i needs a terminal", "-it", task, "sh")
    fails(2, "no-such-option", "--no-such-option", task, "sh")
    done = subprocess.run([MUSTER, "task", "attach", "--dir", cluster.dir, task], capture_output=True, timeout=30)
    assert done.returncode == 1 and b"without a terminal" in done.stderr


def on_terminal(cluster, task, *command, **size):
    return Terminal(MUSTER, "task", "exec", "--dir", str(cluster.dir), "-it", task, "--", *command, **size).wait_raw()


def test_a_shell_on_a_terminal(cluster, task):
    t = on_terminal(cluster, task, "sh", rows=31, columns=97)
    t.type(b"stty size; tty; echo $TE''RM.\n")
    t.read_until(b"31 97")
    t.read_until(b"/dev/pts/")
    assert t.is_raw()
    t.resize(50, 120)
    for _ in range(50):
        t.type(b"stty size; echo lo''oked\n")
        if b"50 120" in t.read_until(b"looked"):
            break
    else:
        pytest.fail("the size did not follow")
    t.type(b"sleep 1000\n")
    t.read_until(b"sleep 1000\r\n")
    time.sleep(0.3)
    t.type(b"\x03")
    t.type(b"echo still he''re\n")
    t.read_until(b"still here")
    t.type(b"exit 9\n")
    assert t.end() == 9


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGSEGV])
def test_the_terminal_is_given_back_on_signals(cluster, task, signo):
    t = on_terminal(cluster, task, "sh", "-c", "echo rea''dy; sleep 6420")
    t.read_until(b"ready")
    assert t.is_raw()
    t.process.send_signal(signo)
    status = t.end()
    assert status == (-signo if signo == signal.SIGSEGV else 128 + signo)
    cluster.wait_until(lambda: not [p for p, line in processes_mentioning("sleep 6420") if line.startswith("sleep")], 10)


def test_keys_that_detach_end_the_command(cluster, task):
    t = on_terminal(cluster, task, "cat")
    t.type(b"a\x10b\n")  # the first key alone is passed on
    t.read_until(b"a^Pb")
    t.type(b"\x10\x11")
    t.read_until(b"detached")
    assert t.end() == 0


def test_the_terminal_is_given_back_when_the_agent_dies(cluster, task):
    t = on_terminal(cluster, task, "sh", "-c", "echo rea''dy; sleep 1000")
    t.read_until(b"ready")
    cluster.kill_role("agent-1")
    assert t.end() == 1
    cluster.wait_until(lambda: execute(cluster, task, "true").returncode == 0, 30, "the agent's return")


def test_attach_to_a_task_with_a_terminal(cluster):
    """By a scheduler of our own: services of Marathon have no terminals."""
    name = f"terminal-{os.getpid()}"
    master = cluster.master + "/api/v1/scheduler"
    session = requests.Session()
    answer = session.post(master, stream=True, timeout=30, json={"type": "SUBSCRIBE", "subscribe": {
        "framework_info": {"user": "root", "name": name, "roles": ["*"], "capabilities": [{"type": "MULTI_ROLE"}]}}})
    stream_id = answer.headers["Mesos-Stream-Id"]
    raw = answer.raw

    def events():
        import json
        data = b""
        for chunk in raw.stream(65536, decode_content=True):
            data += chunk
            while b"\n" in data:
                length, rest = data.split(b"\n", 1)
                if len(rest) < int(length):
                    break
                yield json.loads(rest[:int(length)])
                data = rest[int(length):]
    framework = None

    def call(kind, **fields):
        body = {"type": kind, "framework_id": framework, kind.lower(): fields}
        done = requests.post(master, json=body, headers={"Mesos-Stream-Id": stream_id}, timeout=30)
        assert done.status_code == 202, done.text
    state, launched = None, False
    stream = events()
    command = "echo rea''dy; read x; echo got $x; stty size; read y; exit 4"
    for event in stream:
        if event["type"] == "SUBSCRIBED":
            framework = event["subscribed"]["framework_id"]
        elif event["type"] == "OFFERS" and not launched:
            launched = True
            offer = event["offers"]["offers"][0]
            call("ACCEPT", offer_ids=[offer["id"]], operations=[{"type": "LAUNCH", "launch": {"task_infos": [{
                "name": "t", "task_id": {"value": name}, "agent_id": offer["agent_id"],
                "command": {"value": command}, "container": {"type": "MESOS", "tty_info": {"window_size": {"rows": 20, "columns": 60}}},
                "resources": [{"name": n, "type": "SCALAR", "scalar": {"value": v}, "allocation_info": {"role": "*"}}
                              for n, v in [("cpus", 0.1), ("mem", 32)]]}]}}])
        elif event["type"] == "UPDATE":
            status = event["update"]["status"]
            call("ACKNOWLEDGE", agent_id=status["agent_id"], task_id=status["task_id"], uuid=status["uuid"])
            state = status["state"]
            if state != "TASK_STARTING":
                break
    assert state == "TASK_RUNNING", event
    try:
        t = Terminal(MUSTER, "task", "attach", "--dir", str(cluster.dir), name, rows=40, columns=100).wait_raw()
        t.type(b"one\n")
        t.read_until(b"got one")
        t.read_until(b"40 100")
        t.type(b"\x10\x11")  # leaves it running
        t.read_until(b"detached")
        assert t.end() == 0
        agent = Agent(cluster)
        first, second = (agent.attach_output(agent.container_of(name)) for _ in range(2))
        assert first.status == second.status == 200
        done = subprocess.run([MUSTER, "task", "attach", "--dir", str(cluster.dir), name], input=b"two\n", capture_output=True,
                              timeout=30)
        assert b"two" in done.stdout
        assert b"two" in first.read()[0] and b"two" in second.read()[0]
        for event in stream:
            if event["type"] == "UPDATE":
                assert event["update"]["status"]["state"] == "TASK_FAILED"
                assert "status 4" in event["update"]["status"]["message"]
                break
        log = cluster.run("task", "logs", name).stdout
        assert "ready" in log and "got one" in log and "two" in log
    finally:
        requests.post(master, json={"type": "TEARDOWN", "framework_id": framework}, headers={"Mesos-Stream-Id": stream_id},
                      timeout=30)
