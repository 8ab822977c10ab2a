# SPDX-License-Identifier: Apache-2.0
"""VIPs of real services on a real cluster, on every data plane that this machine allows.

As root everything is in a network namespace of its own that has no route to anywhere: the range of the VIPs is a routable
one there, and a mistake cannot leave the machine. An ordinary user's VIPs are at 127.64.0.0/10."""
import ctypes
import fcntl
import json
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
import requests

import conftest
from conftest import Cluster, leftovers

SERVER = pathlib.Path(__file__).parent / "data" / "vip_server.py"
PLANES = ["proxy", "nft", "ebpf"]
ZONE = ".marathon.l4lb.thisdcos.directory"
CLONE_NEWNET = 0x40000000


@pytest.fixture(scope="module")
def network():
    """The VIP range. Only the main thread, and what it starts, is in the new namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET) != 0:
        os.close(before)
        yield "127.64.0.0/10"
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:  # lo comes down
        fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 0x1 | 0x40))
    yield "11.0.0.0/8"
    assert libc.setns(before, CLONE_NEWNET) == 0
    os.close(before)


@pytest.fixture(scope="module")
def cluster(network, tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster") / "state", options=["--lb=false"])
    made.up("--empty")
    yield made
    done = made.down()
    assert done.returncode == 0, done.stderr + made.logs()
    assert not leftovers(made.dir)


class Lb:
    """`muster lb` beside the cluster."""

    def __init__(self, cluster, plane, vip_range, log):
        self.cluster, self.plane, self.range, self.log = cluster, plane, vip_range, log
        self.instance = f"t{os.getpid()}"
        self.process = None

    def start(self, *more):
        read_end, write_end = os.pipe()
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [conftest.MUSTER, "lb", "--master", self.cluster.master.removeprefix("http://"), "--port", "0", "--plane",
                 self.plane, "--vip_range", self.range, "--instance", self.instance, *more],
                env={**os.environ, "MUSTER_READY_FD": str(write_end)}, pass_fds=[write_end], stderr=log)
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            assert select.select([ready], [], [], 20)[0], "not ready in time"
            line = ready.readline()
        if not line:
            self.process.wait(10)
            return False
        self.url = "http://" + line.removeprefix("READY ").strip()
        return True

    def end(self, signo=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signo)
        status = self.process.wait(20)
        assert signo == signal.SIGKILL or status == 0, f"status {status}\n" + self.text()

    def clean(self):
        done = subprocess.run([conftest.MUSTER, "lb", "--clean", "--instance", self.instance], capture_output=True, text=True,
                              timeout=30)
        assert done.returncode == 0, done.stderr

    def text(self):
        return self.log.read_text()

    def get(self, path):
        answer = requests.get(self.url + path, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer

    def vips(self):
        return {(v["vip"], v["protocol"]): sorted((b["ip"], b["port"]) for b in v["backend"])
                for v in self.get("/v1/vips").json()}

    def address(self, name, protocol="tcp"):
        """Where a VIP is, (ip, port), once it works."""
        def find():
            for v in self.get("/v1/vips?verbose").json():
                if v["vip"] == name and v["protocol"] == protocol:
                    assert "problem" not in v, v
                    return v["ip"], v["port"]
            return None
        return self.cluster.wait_until(find, 20, f"{name}\n{self.text()}")

    def settled(self, name, ports, protocol="tcp", bound=20):
        """Waits until the VIP leads to these ports of this machine."""
        wanted = sorted(("127.0.0.1", p) for p in ports)
        self.cluster.wait_until(lambda: self.vips().get((name, protocol), []) == wanted or None, bound,
                                f"{name} at {wanted}: {self.vips()}")


missing = {}  # planes that this machine does not allow, and why


@pytest.fixture(params=PLANES)
def lb(request, cluster, network, tmp_path):
    made = Lb(cluster, request.param, network, tmp_path / "lb.log")
    if request.param not in missing and not made.start():
        missing[request.param] = made.text().strip().splitlines()[-1].partition("lb: ")[2]
    if request.param in missing:
        assert request.param != "proxy", missing
        pytest.skip(missing[request.param])
    yield made
    try:
        if made.process.poll() is None:
            made.end()
        assert not strangers(), made.text()
    finally:
        if made.process.poll() is None:
            made.process.kill()
        made.clean()
        print(made.text())


def strangers():
    """Routes of ours that are there."""
    done = subprocess.run(["ip", "route", "show", "table", "local", "proto", "109"], capture_output=True, text=True)
    return done.stdout.strip()


def service(app_id, ports, version="v1", instances=1, **more):
    """ports: [(protocol, label or None)]"""
    command = f"exec /usr/bin/python3 {SERVER} {version} " + " ".join(p for p, _ in ports)
    return {"id": app_id, "cmd": command, "cpus": 0.1, "mem": 32, "instances": instances, "backoffSeconds": 0,
            "portDefinitions": [{"port": 0, "protocol": p, "labels": {"VIP_0": label} if label else {}} for p, label in ports],
            "healthChecks": [{"protocol": "MESOS_TCP", "portIndex": 0, "intervalSeconds": 1, "delaySeconds": 0,
                          "gracePeriodSeconds": 20}],
            "upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 1}, **more}


counter = 0


@pytest.fixture
def app(cluster):
    global counter
    counter += 1
    app_id = f"/web{counter}"
    yield app_id
    if cluster.app(app_id):
        cluster.remove(app_id)


def ask(address, timeout=5):
    """What the service says over a connection of its own, None when there is no answer."""
    try:
        with socket.create_connection(address, timeout) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            data = b""
            while more := s.recv(4096):
                data += more
    except OSError:
        return None
    head, _, body = data.partition(b"\r\n\r\n")
    return body.decode() if head.startswith(b"HTTP/1.1 200") and body else None


def ports_of(cluster, app_id, count, index=0):
    """Ports of the healthy instances, when there are so many."""
    def healthy():
        tasks = [t for t in cluster.tasks(app_id) if t["state"] == "TASK_RUNNING"
                 and any(r["alive"] for r in t.get("healthCheckResults", []))]
        return sorted(t["ports"][index] for t in tasks) if len(tasks) == count else None
    return cluster.wait_until(healthy, 40, f"{count} healthy instances of {app_id}")


def test_a_named_vip_leads_to_every_instance(cluster, lb, app):
    cluster.add(service(app, [("tcp", f"{app}:80")], instances=3))
    ports = ports_of(cluster, app, 3)
    name = app[1:] + ZONE + ":80"
    lb.settled(name, ports)
    address = lb.address(name)
    assert {ask(address) for _ in range(100)} == {f"v1 {p}" for p in ports}
    answer = lb.get("/v1/vips")
    assert requests.get(lb.url + "/v1/vips", headers={"If-None-Match": answer.headers["ETag"]}, timeout=10).status_code == 304
    assert lb.get("/v1/plane").json()["plane"] == lb.plane


def test_connections_are_counted(cluster, lb, app):
    """On every plane, by VIP and by instance, and the numbers only grow when instances come and go."""
    cluster.add(service(app, [("tcp", f"{app}:80")], instances=2))
    ports = ports_of(cluster, app, 2)
    name = app[1:] + ZONE + ":80"
    lb.settled(name, ports)
    address = lb.address(name)

    def numbers():
        [vip] = [v for v in lb.get("/v1/vips?verbose").json() if v["vip"] == name]
        return vip["connections"], {b["port"]: b["connections"] for b in vip["backend"]}
    before, _ = numbers()  # the lb may check its instances, and some planes count from when the VIP came
    answers = [ask(address) for _ in range(60)]
    total, backends = numbers()
    assert total - before == 60
    assert {p: answers.count(f"v1 {p}") for p in ports} == {p: backends[p] for p in ports}
    metrics = lb.get("/metrics").text
    assert f'l4lb_vip_connections_total{{vip="{name}",family="ipv4",protocol="tcp"}} {total}\n' in metrics
    for port in ports:
        assert f'backend="127.0.0.1:{port}"}} {backends[port]}\n' in metrics
    requests.put(f"{cluster.marathon}/v2/apps/{app}", json={"instances": 1}, timeout=30)
    cluster.running(app, 1)
    lb.settled(name, ports_of(cluster, app, 1))
    assert ask(address) is not None
    assert numbers()[0] == total + 1


def test_several_ports_and_protocols_of_one_name(cluster, lb, app):
    cluster.add(service(app, [("tcp", f"{app}:80"), ("tcp", f"{app}:81"), ("udp", f"{app}:80")]))
    first, second, third = (ports_of(cluster, app, 1, i)[0] for i in range(3))
    name = app[1:] + ZONE
    lb.settled(name + ":80", [first])
    lb.settled(name + ":81", [second])
    lb.settled(name + ":80", [third], "udp")
    a, b, c = lb.address(name + ":80"), lb.address(name + ":81"), lb.address(name + ":80", "udp")
    assert a[0] == b[0] == c[0]
    assert ask(a) == f"v1 {first}" and ask(b) == f"v1 {second}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(5)
        s.connect(c)
        for _ in range(5):
            s.send(b"x")
            assert s.recv(100) == f"v1 {third}".encode()


def test_a_vip_given_by_its_address(cluster, lb, app, network):
    if network.startswith("127."):
        pytest.skip("an address outside the range needs a network namespace")
    cluster.add(service(app, [("tcp", "1.2.3.4:8080")]))
    ports = ports_of(cluster, app, 1)
    lb.settled("1.2.3.4:8080", ports)
    assert lb.address("1.2.3.4:8080") == ("1.2.3.4", 8080)
    assert ask(("1.2.3.4", 8080)) == f"v1 {ports[0]}"
    cluster.remove(app)
    cluster.wait_until(lambda: ("1.2.3.4:8080", "tcp") not in lb.vips(), 10)
    assert ask(("1.2.3.4", 8080), 1) is None
    assert "1.2.3.4" not in strangers()


def test_scaling_is_followed(cluster, lb, app):
    cluster.add(service(app, [("tcp", f"{app}:80")]))
    name = app[1:] + ZONE + ":80"
    lb.settled(name, ports_of(cluster, app, 1))
    for count in (4, 2):
        requests.put(f"{cluster.marathon}/v2/apps/{app}", json={"instances": count}, timeout=30)
        cluster.running(app, count)
        ports = ports_of(cluster, app, count)
        lb.settled(name, ports)
        assert {ask(lb.address(name)) for _ in range(60)} == {f"v1 {p}" for p in ports}
    cluster.remove(app)
    cluster.wait_until(lambda: (name, "tcp") not in lb.vips(), 10)


class MasterEvents(threading.Thread):
    """When the master says what, by a clock that never steps."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.answer = requests.post(cluster.master + "/api/v1", json={"type": "SUBSCRIBE"}, stream=True, timeout=(5, 60))
        self.ends = {}  # of tasks, by id
        self.told = threading.Condition()
        self.start()

    def run(self):
        data = b""
        try:
            for chunk in self.answer.iter_content(chunk_size=None):
                data += chunk
                while b"\n" in data:
                    length, _, rest = data.partition(b"\n")
                    if len(rest) < int(length):
                        break
                    event, data = json.loads(rest[:int(length)]), rest[int(length):]
                    if event["type"] == "TASK_UPDATED" and event["task_updated"]["state"] == "TASK_FAILED":
                        with self.told:
                            self.ends[event["task_updated"]["status"]["task_id"]["value"]] = time.monotonic()
                            self.told.notify_all()
        except (requests.RequestException, OSError, AttributeError, ValueError):
            pass

    def end_of(self, task_id):
        with self.told:
            assert self.told.wait_for(lambda: task_id in self.ends, 20), "the master was not told of the end"
            return self.ends[task_id]

    def close(self):
        self.answer.close()


def test_a_killed_task_is_out_within_100_ms(cluster, lb, app):
    cluster.add(service(app, [("tcp", f"{app}:80")], instances=2, backoffSeconds=3600))
    ports = ports_of(cluster, app, 2)
    name = app[1:] + ZONE + ":80"
    lb.settled(name, ports)
    address = lb.address(name)
    victim = cluster.tasks(app)[0]
    [pid] = [p for p, line in conftest.processes_mentioning(str(SERVER)) if line.startswith("/usr/bin/python3")
             and f"PORT0={victim['ports'][0]}\0".encode() in pathlib.Path(f"/proc/{p}/environ").read_bytes()]
    events = MasterEvents(cluster)
    try:
        session = requests.Session()
        os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 20
        while any(b["port"] == victim["ports"][0] for v in session.get(lb.url + "/v1/vips", timeout=5).json()
                  for b in v["backend"]):
            assert time.monotonic() < end
        gone = time.monotonic()
        assert gone - events.end_of(victim["id"]) < 0.1
        other = next(p for p in ports if p != victim["ports"][0])
        assert {ask(address) for _ in range(30)} == {f"v1 {other}"}
    finally:
        events.close()


def test_a_killed_lb_is_replaced(cluster, lb, app):
    cluster.add(service(app, [("tcp", f"{app}:80")], instances=2))
    ports = ports_of(cluster, app, 2)
    name = app[1:] + ZONE + ":80"
    lb.settled(name, ports)
    address = lb.address(name)
    lb.end(signal.SIGKILL)
    if lb.plane != "proxy":  # the kernel works on
        assert {ask(address) for _ in range(40)} == {f"v1 {p}" for p in ports}
    requests.put(f"{cluster.marathon}/v2/apps/{app}", json={"instances": 1}, timeout=30)
    cluster.running(app, 1)
    ports = ports_of(cluster, app, 1)
    assert lb.start()
    lb.settled(name, ports)
    assert lb.address(name) == address
    assert {ask(address) for _ in range(20)} == {f"v1 {ports[0]}"}


def test_clean_removes_what_a_killed_lb_left(cluster, lb, app):
    cluster.add(service(app, [("tcp", f"{app}:80")]))
    name = app[1:] + ZONE + ":80"
    lb.settled(name, ports_of(cluster, app, 1))
    address = lb.address(name)
    lb.end(signal.SIGKILL)
    lb.clean()
    assert ask(address, 1) is None
    assert not strangers()
    lb.clean()  # nothing is there


def test_keep_on_exit_leaves_the_kernel_at_work(cluster, lb, app):
    if lb.plane == "proxy":
        pytest.skip("the proxy is in the process")
    cluster.add(service(app, [("tcp", f"{app}:80")]))
    ports = ports_of(cluster, app, 1)
    name = app[1:] + ZONE + ":80"
    lb.end()
    assert lb.start("--keep_on_exit")
    lb.settled(name, ports)
    address = lb.address(name)
    lb.end()
    assert ask(address) == f"v1 {ports[0]}"
    lb.clean()
    assert ask(address, 1) is None


def test_vips_work_while_the_master_is_away(cluster, lb, app):
    cluster.add(service(app, [("tcp", f"{app}:80")], instances=2))
    ports = ports_of(cluster, app, 2)
    name = app[1:] + ZONE + ":80"
    lb.settled(name, ports)
    address = lb.address(name)
    load = Load(address, 1)
    cluster.kill_role("master")
    cluster.wait_until(lambda: lb.get("/v1/plane").json()["picture"]["is_current"], 30, "the stream of the new master")
    agent = lambda: requests.get(cluster.master + "/state", timeout=5).json()["slaves"][0]["active"]
    cluster.wait_until(agent, 30, "the agent's return")
    lb.settled(name, ports)
    failed, answers = load.stop()
    assert failed == 0 and answers
    assert {ask(address) for _ in range(40)} == {f"v1 {p}" for p in ports}
    cluster.running(app, 2)


class Load:
    """Threads that ask again and again, each time over a new connection. They are in the main thread's namespace."""

    def __init__(self, address, threads=4):
        self.address, self.failed, self.answers, self.stopped = address, [], {}, False
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.stopped:
            answer = ask(self.address)
            if answer is None:
                self.failed.append(time.monotonic())
            else:
                self.answers[answer.split()[0]] = self.answers.get(answer.split()[0], 0) + 1

    def stop(self):
        self.stopped = True
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive()
        return len(self.failed), self.answers


def test_a_rolling_update_fails_no_request(cluster, lb, app):
    cluster.add(service(app, [("tcp", f"{app}:80")], instances=4))
    name = app[1:] + ZONE + ":80"
    lb.settled(name, ports_of(cluster, app, 4))
    load = Load(lb.address(name))
    cluster.wait_until(lambda: load.answers.get("v1", 0) > 50)
    update = service(app, [("tcp", f"{app}:80")], "v2", 4)
    answer = requests.put(f"{cluster.marathon}/v2/apps/{app}", json=update, timeout=30)
    assert answer.status_code == 200, answer.text
    cluster.wait_until(lambda: not requests.get(cluster.marathon + "/v2/deployments", timeout=5).json(), 60, "the deployment")
    lb.settled(name, ports_of(cluster, app, 4))
    seen = load.answers.get("v2", 0)
    cluster.wait_until(lambda: load.answers.get("v2", 0) > seen + 50)
    failed, answers = load.stop()
    assert failed == 0, f"{failed} of {sum(answers.values())} requests failed"
    assert answers["v1"] > 50 and answers["v2"] > 50
    assert ask(lb.address(name)).startswith("v2")


def test_nonsense_hurts_nobody(cluster, lb, app):
    labels = ["", ":", "/x", "/x:0", "/x:99999", "0.0.0.0:80", "127.0.0.1:80", "255.255.255.255:1", ":::::80", "é☃:80",
              "a" * 300 + ":80", "%s%n:x"]
    bad = service(app + "-bad", [("tcp", label) for label in labels])
    bad["healthChecks"] = []
    cluster.add(bad)
    cluster.add(service(app, [("tcp", f"{app}:80")]))
    name = app[1:] + ZONE + ":80"
    ports = ports_of(cluster, app, 1)
    lb.settled(name, ports)
    host, port = lb.url.removeprefix("http://").split(":")
    for noise in (b"\0" * 5000, b"GET /" + b"a" * 100000, bytes(range(256)) * 20, b"GET /v1/vips HTTP/1.1\r\n" + b"x: y\r\n" * 5000,
                  b"POST /v1/vips HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
        with socket.create_connection((host, int(port)), 5) as s:
            s.settimeout(5)
            try:
                s.sendall(noise)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass
    cluster.running(app + "-bad", 1)
    ours = {vip for vip, _ in lb.vips()}
    assert ours <= {name, "a" * 63 + ZONE + ":80"}, ours  # one label may be cut into something usable
    assert ask(lb.address(name)) == f"v1 {ports[0]}"
    assert lb.process.poll() is None
    cluster.remove(app + "-bad")
