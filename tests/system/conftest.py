# SPDX-License-Identifier: Apache-2.0
"""Clusters of real processes for the system tests.

A test waits for things by Cluster.wait_until: the condition is looked at again whenever the service scheduler or the master
tells an event, and at the latest after a second; it fails after its bound. Nothing here sleeps for luck."""
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
MUSTER = os.environ.get("MUSTER", str(ROOT / "build/release/muster"))


def free_ports(count):
    """Ports that were free a moment ago, in a row (agents count upwards from the first)."""
    for _ in range(200):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            first = s.getsockname()[1]
        taken = []
        try:
            for i in range(count):
                s = socket.socket()
                s.bind(("127.0.0.1", first + i))
                taken.append(s)
            return list(range(first, first + count))
        except (OSError, OverflowError):
            continue
        finally:
            for s in taken:
                s.close()
    raise RuntimeError("no free ports in a row")


def pid_ends(pid, bound):
    """Waits for the end of a process that may not be ours; True when it ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], bound)[0])
    finally:
        os.close(fd)


def processes_mentioning(text):
    """(pid, command line) of every process whose arguments contain the text."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            line = pathlib.Path("/proc", entry, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line:
            found.append((int(entry), line))
    return found


def leftovers(directory):
    """What a cluster in the directory must not leave: processes, mounts, control groups."""
    left = [f"process {pid}: {line}" for pid, line in processes_mentioning(str(directory))]
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    left += [f"mount {line}" for line in mounts.splitlines() if str(directory) in line]
    if pathlib.Path(directory).exists():
        st = os.stat(directory)
        left += [f"cgroup {p}" for p in pathlib.Path("/sys/fs/cgroup").glob(f"*/muster/up-{st.st_dev:x}-{st.st_ino:x}")]
    # The sandboxes say which containers there were; other clusters on this machine have their own.
    containers = {p.name for p in pathlib.Path(directory).glob("agent-*/slaves/*/frameworks/*/executors/*/runs/*")}
    for path in pathlib.Path("/sys/fs/cgroup").glob("**/cgroup.procs"):
        if path.parent.name in containers:
            left.append(f"cgroup {path.parent}")
    return left


class Watcher(threading.Thread):
    """Reads an event stream and wakes the waiters at each line."""

    def __init__(self, wake, opener):
        super().__init__(daemon=True)
        self.wake, self.opener, self.stopped = wake, opener, False

    def run(self):
        while not self.stopped:
            try:
                with self.opener() as answer:
                    for _ in answer.iter_lines(chunk_size=1):
                        with self.wake:
                            self.wake.notify_all()
                        if self.stopped:
                            return
            except requests.RequestException:
                with self.wake:
                    self.wake.notify_all()
                    if not self.stopped:
                        self.wake.wait(0.2)  # the part is being started again; its return is told by nobody


class Cluster:
    def __init__(self, directory, agents=1, options=(), user=None):
        self.dir, self.agents, self.user = pathlib.Path(directory), agents, user
        self.program = MUSTER
        if user:  # the build may lie where only root may go
            self.program = str(self.dir / "muster")
            shutil.copy(MUSTER, self.program)
            os.chmod(self.program, 0o755)
        self.ports = free_ports(6 + agents)
        self.marathon = f"http://127.0.0.1:{self.ports[0]}"
        self.master = f"http://127.0.0.1:{self.ports[1]}"
        self.dns_port, self.dns_http_port, lb_port = self.ports[-3:]
        self.lb = f"http://127.0.0.1:{lb_port}"
        self.cron = f"http://127.0.0.1:{self.ports[-4]}"
        self.options = list(options)
        self.wake = threading.Condition()
        self.watchers = []
        self.stream_session = requests.Session()

    def command(self, *arguments):
        prefix = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"] if self.user else []
        return prefix + [self.program, *map(str, arguments)]

    def up_arguments(self):
        return ["up", "--dir", self.dir, "--marathon_port", self.ports[0], "--master_port", self.ports[1], "--agent_port",
                self.ports[2], "--cron_port", self.ports[-4], "--dns_port", self.dns_port, "--dns_http_port", self.dns_http_port, "--lb_port",
                self.ports[-1], "--agents", self.agents, *self.options]

    def up(self, *more):
        done = subprocess.run(self.command(*self.up_arguments(), "--detach", *more), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        self.watch()
        return done.stdout

    def watch(self):
        self.watchers = [
            Watcher(self.wake, lambda: requests.get(self.marathon + "/v2/events", stream=True, timeout=(5, 30),
                                                    headers={"Accept": "text/event-stream"})),
            Watcher(self.wake, lambda: requests.post(self.master + "/api/v1", json={"type": "SUBSCRIBE"}, stream=True,
                                                     timeout=(5, 30))),
        ]
        for watcher in self.watchers:
            watcher.start()

    def down(self):
        for watcher in self.watchers:
            watcher.stopped = True
        return subprocess.run(self.command("down", "--dir", self.dir), capture_output=True, text=True, timeout=120)

    def run(self, *arguments, check=True, stdin=None):
        done = subprocess.run(self.command(*arguments, "--dir", self.dir), capture_output=True, text=True, timeout=60, input=stdin)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def status(self):
        return json.loads(self.run("status", "--json").stdout)

    def role(self, name):
        return next(r for r in self.status()["roles"] if r["name"] == name)

    def logs(self):
        text = ""
        for path in sorted(self.dir.glob("log/*.log")):
            text += f"--- {path.name}\n" + path.read_text(errors="replace")[-3000:]
        return text

    def wait_until(self, condition, bound=20, what="the condition"):
        """Returns the first true value of the condition."""
        end = time.monotonic() + bound
        with self.wake:
            while True:
                try:
                    value = condition()
                except (OSError, AssertionError, KeyError, IndexError, StopIteration):  # those of requests are OSErrors
                    value = None
                if value:
                    return value
                left = end - time.monotonic()
                assert left > 0, f"{what} did not come to hold in {bound} s\n" + self.logs()
                self.wake.wait(min(left, 0.5))

    # -- apps

    def add(self, app, expect=201):
        answer = requests.post(self.marathon + "/v2/apps", json=app, timeout=30)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def app(self, app_id):
        answer = requests.get(f"{self.marathon}/v2/apps/{app_id}", timeout=30)
        return answer.json()["app"] if answer.status_code == 200 else None

    def tasks(self, app_id):
        answer = requests.get(f"{self.marathon}/v2/apps/{app_id}/tasks", timeout=30)
        return answer.json()["tasks"] if answer.status_code == 200 else []

    def running(self, app_id, count, bound=30):
        """Waits until exactly count tasks run and no deployment is left; returns them."""
        def settled():
            app = self.app(app_id)
            tasks = [t for t in self.tasks(app_id) if t["state"] == "TASK_RUNNING"]
            return app and not app["deployments"] and app["tasksStaged"] == 0 and len(tasks) == count and (tasks or [True])
        return self.wait_until(settled, bound, f"{app_id} with {count} running tasks")

    def remove(self, app_id, bound=30):
        requests.delete(f"{self.marathon}/v2/apps/{app_id}", timeout=30)
        self.wait_until(lambda: not requests.get(self.marathon + "/v2/deployments", timeout=30).json()
                        and self.app(app_id) is None and not self.tasks(app_id), bound, f"the end of {app_id}")

    def task_pids(self, marker):
        """Processes (outside view) that carry the marker in their environment or arguments."""
        return sorted(pid for pid, line in processes_mentioning(marker) if "muster" not in line.split(" ")[0])

    def kill_role(self, name, signo=signal.SIGKILL):
        """Ends a role by signal and waits until `muster up` has started it again."""
        pid = self.role(name)["pid"]
        os.kill(pid, signo)
        assert pid_ends(pid, 10)
        self.wait_until(lambda: self.role(name)["pid"] not in (0, pid), 20, f"{name} started again")
        return pid


@pytest.fixture
def make_cluster(tmp_path_factory):
    made = []

    def make(**arguments):
        directory = tmp_path_factory.mktemp("cluster") / "state"
        if arguments.get("user"):
            directory = pathlib.Path(f"/var/tmp/muster-test-{os.getpid()}-{len(made)}")
            directory.mkdir(mode=0o700)
            os.chown(directory, arguments["user"], arguments["user"])
        cluster = Cluster(directory, **arguments)
        made.append(cluster)
        return cluster

    yield make
    left = []
    for cluster in made:
        done = cluster.down()
        if done.returncode != 0 and "no cluster" not in done.stderr:
            left.append(done.stderr)
        left += leftovers(cluster.dir)
        if cluster.user:
            shutil.rmtree(cluster.dir, ignore_errors=True)
    assert not left, left


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """One empty cluster for the tests of a module."""
    made = Cluster(tmp_path_factory.mktemp("cluster") / "state")
    made.up("--empty")
    yield made
    done = made.down()
    assert done.returncode == 0, done.stderr + made.logs()
    assert not leftovers(made.dir)
