# SPDX-License-Identifier: Apache-2.0
"""Names of a real cluster, asked by dig and by resolver libraries that people use, through failovers and floods, with a real
name server behind for other names.

As root everything is in a network namespace of its own with nothing but its loopback: port 53 is free there, and clients can
have thousands of addresses. An ordinary user gets the tests that need neither."""
import ctypes
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
import requests

import conftest
from conftest import Cluster, free_ports, leftovers

CLONE_NEWNET = 0x40000000
A, PTR, AAAA, SRV, ANY = 1, 12, 28, 33, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)


@pytest.fixture(scope="module")
def network():
    """True in a namespace of our own. Only the main thread, and what it starts, is in it."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET) != 0:
        os.close(before)
        yield False
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:  # lo comes down
        fcntl.ioctl(s, 0x8914, struct.pack("16sH22x", b"lo", 0x1 | 0x40))
    subprocess.run(["ip", "route", "add", "local", "10.66.0.0/16", "dev", "lo"], check=True, timeout=10)
    yield True
    assert libc.setns(before, CLONE_NEWNET) == 0
    os.close(before)


@pytest.fixture(scope="module")
def cluster(network, tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster") / "state")
    made.up("--empty")
    yield made
    done = made.down()
    assert done.returncode == 0, done.stderr + made.logs()
    assert not leftovers(made.dir)


class Server:
    """A process that tells READY (ours) or just answers (knot)."""

    def __init__(self, log):
        self.log, self.process, self.port = log, None, 0

    def start(self, words):
        read_end, write_end = os.pipe()
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(words, env={**os.environ, "MUSTER_READY_FD": str(write_end)}, pass_fds=[write_end],
                                            stderr=log, stdout=log)
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            assert select.select([ready], [], [], 20)[0], "not ready in time"
            line = ready.readline()
        assert line, self.log.read_text()
        self.port = int(line.rpartition(":")[2])
        return self

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        assert self.process.wait(20) == 0, self.log.read_text()


@pytest.fixture(scope="module")
def upstream(network, tmp_path_factory):
    """knot with a zone of ours; None when it is not installed."""
    if not shutil.which("knotd"):
        yield None
        return
    folder = tmp_path_factory.mktemp("knot")
    port = free_ports(1)[0]
    many = "".join(f"many IN A 192.0.2.{i}\n" for i in range(1, 201))
    (folder / "example.test.zone").write_text(
        "$ORIGIN example.test.\n$TTL 300\n@ IN SOA ns h 1 3600 600 86400 30\n@ IN NS ns\nns IN A 127.0.0.1\nwww IN A 192.0.2.80\n"
        "www IN AAAA 2001:db8::80\nalias IN CNAME www\ntext IN TXT \"hello\"\n" + many)
    (folder / "knot.conf").write_text(f"""server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{folder}"
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: "{folder}"
zone:
  - domain: example.test
    file: example.test.zone
    zonefile-sync: -1
    journal-content: none
""")
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(["knotd", "-c", folder / "knot.conf"], stderr=log, stdout=log)
    process.port = port
    end = time.monotonic() + 20
    while not (answer := ask(port, "www.example.test", A, timeout=0.2)) or answer.rcode != NOERROR:
        assert time.monotonic() < end and process.poll() is None, (folder / "log").read_text()
    yield process
    if process.poll() is None:
        process.terminate()
    process.wait(20)


def flags(cluster, upstream):
    return [conftest.MUSTER, "dns", "--master", cluster.master.removeprefix("http://"), "--http_port", "0", "--timeout", "2secs", "--vip_range", "127.64.0.0/10",
            *(["--resolvers", f"127.0.0.1:{upstream.port}"] if upstream else ["--no-external_on"])]


@pytest.fixture(scope="module")
def server(cluster, network, upstream, tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("dns") / "log")
    made.start([*flags(cluster, upstream), "--port", "53" if network else "0"])
    cluster.wait_until(lambda: ask(made.port, "leader.mesos", A).count, 20, "the leader's name")
    yield made
    made.end()


# -- asking ------------------------------------------------------------------------------------------------------------


class Answer:
    def __init__(self, data):
        _, self.flags, _, self.count, self.authorities, self.additionals = struct.unpack("!6H", data[:12])
        self.rcode, self.is_cut, self.size = self.flags & 15, bool(self.flags & 0x200), len(data)


def question(name, kind, number=7):
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.rstrip(".").split("."))
    return struct.pack("!6H", number, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


def ask(port, name, kind, timeout=3.0, source=None, to="127.0.0.1"):
    """By UDP without EDNS; None without an answer."""
    with socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as s:
        if source:
            s.bind((source, 0))
        s.settimeout(timeout)
        s.connect((to, port))
        try:
            s.send(question(name, kind))
            return Answer(s.recv(65535))
        except OSError:
            return None


def ask_tcp(port, name, kind, source=None, to="127.0.0.1"):
    with socket.create_connection((to, port), 5, (source, 0) if source else None) as s:
        packet = question(name, kind)
        s.sendall(struct.pack("!H", len(packet)) + packet)
        with s.makefile("rb") as f:
            return Answer(f.read(struct.unpack("!H", f.read(2))[0]))


def dig(server, *words):
    done = subprocess.run(["dig", "+tries=1", "+time=3", "+nocookie", "@127.0.0.1", "-p", str(server.port), *words],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout
    return done.stdout


def short(server, *words):
    return sorted(dig(server, "+short", *words).split("\n")[:-1])


class Poller(threading.Thread):
    """Asks all the time how many service records there are; keeps when that changed. The socket is made in the caller's
    thread, whose network namespace is ours."""

    def __init__(self, port, name):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(2)
        self.packet, self.changes, self.asked, self.stopped = question(name, SRV), [], 0, False
        self.changed = threading.Condition()

    def run(self):
        while not self.stopped:
            self.socket.send(self.packet)
            try:
                count = Answer(self.socket.recv(65535)).count
            except OSError as error:
                count = error
            self.asked += 1
            if not self.changes or self.changes[-1][1] != count:
                with self.changed:
                    self.changes.append((time.monotonic(), count))
                    self.changed.notify_all()

    def until(self, count, bound=2):
        """When it came to this count."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.changes and self.changes[-1][1] == count, bound), (count, self.changes)
            return self.changes[-1][0]

    def end(self):
        self.stopped = True
        self.join(5)
        self.socket.close()


class Events(threading.Thread):
    """When the master told of the end of each task."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.ends, self.told = {}, threading.Condition()
        self.answer = requests.post(cluster.master + "/api/v1", json={"type": "SUBSCRIBE"}, stream=True, timeout=(5, 60),
                                    headers={"Accept": "application/json"})
        assert self.answer.status_code == 200

    def run(self):
        try:
            raw = self.answer.raw
            while True:
                size = b""
                while not size.endswith(b"\n"):
                    more = raw.read(1)
                    if not more:
                        return
                    size += more
                record, wanted = b"", int(size)
                while len(record) < wanted:
                    record += raw.read(wanted - len(record))
                event = json.loads(record)
                if event["type"] == "TASK_UPDATED" and event["task_updated"]["state"] not in ("TASK_STARTING", "TASK_RUNNING"):
                    with self.told:
                        self.ends.setdefault(event["task_updated"]["status"]["task_id"]["value"], time.monotonic())
                        self.told.notify_all()
        except Exception as error:  # pylint: disable=broad-except
            if not isinstance(error, (OSError, AttributeError, ValueError, requests.RequestException)):
                raise

    def of(self, task, bound=20):
        with self.told:
            assert self.told.wait_for(lambda: task in self.ends, bound), f"no end of {task}"
            return self.ends[task]


counter = 0


@pytest.fixture
def app(cluster):
    global counter
    counter += 1
    app_id = f"/names/web{counter}"
    yield app_id
    if cluster.app(app_id):
        cluster.remove(app_id)


def service(app_id, instances):
    return {"id": app_id, "cmd": "sleep 3600", "cpus": 0.05, "mem": 16, "instances": instances, "backoffSeconds": 0,
            "portDefinitions": [{"port": 0, "protocol": "tcp", "name": "http", "labels": {"VIP_0": f"{app_id}:80"}},
                                {"port": 0, "protocol": "udp"}]}


def label(app_id):
    return "-".join(reversed(app_id.strip("/").split("/")))


def name_of(app_id):
    return f"{label(app_id)}.marathon.mesos"


# -- names and answers -------------------------------------------------------------------------------------------------


def test_names_of_a_service(cluster, server, app):
    cluster.add(service(app, 2))
    tasks = cluster.running(app, 2)
    name, srv = name_of(app), f"_{label(app)}._tcp.{name_of(app).partition('.')[2]}"
    cluster.wait_until(lambda: ask(server.port, srv, SRV).count == 2, 10, "both instances in the names")
    assert short(server, name) == ["127.0.0.1"]
    assert short(server, "+tcp", name) == ["127.0.0.1"]
    assert short(server, name, "AAAA") == []
    canonical = [line.split() for line in short(server, srv, "SRV")]
    assert sorted(int(c[2]) for c in canonical) == sorted(t["ports"][0] for t in tasks)
    for line in canonical:
        assert line[:2] == ["0", "1"] and line[3].startswith(label(app) + "-") and line[3].endswith("-s0.marathon.mesos.")
        assert short(server, line[3]) == ["127.0.0.1"]
    assert short(server, f"_http.{srv}", "SRV") == [" ".join(c) for c in canonical]
    assert len(short(server, srv.replace("_tcp", "_udp"), "SRV")) == 2
    offered = sorted(p for t in tasks for p in t["ports"])
    slave = f"_{label(app)}._tcp.marathon.slave.mesos"
    assert sorted(int(line.split()[2]) for line in short(server, slave, "SRV")) == offered
    for zone in ("agentip", "autoip", "containerip"):
        assert short(server, f"{label(app)}.marathon.{zone}.dcos.thisdcos.directory") == ["127.0.0.1"]
    vip = short(server, f"{app.replace('/', '')}.marathon.l4lb.thisdcos.directory")
    assert len(vip) == 1 and vip[0].startswith("127.") and vip == short(
        server, f"{app.replace('/', '')}.marathon.dclb.thisdcos.global")
    assert short(server, "leader.mesos") == ["127.0.0.1"]
    assert short(server, "_leader._tcp.mesos", "SRV") == [f"0 1 {cluster.ports[1]} leader.mesos."]
    assert short(server, "slave.mesos") == ["127.0.0.1"]
    assert short(server, "_slave._tcp.mesos", "SRV") == [f"0 1 {cluster.ports[2]} slave.mesos."]


def test_forms_of_questions(cluster, server, app):
    cluster.add(service(app, 1))
    cluster.running(app, 1)
    name = name_of(app)
    cluster.wait_until(lambda: ask(server.port, name, A).count == 1, 10, "the name")
    text = dig(server, name)
    assert "status: NOERROR" in text and "flags: qr aa rd ra;" in text
    assert [f"{name}.", "60", "IN", "A", "127.0.0.1"] in [line.split() for line in text.splitlines()]
    assert "EDNS: version: 0, flags:; udp: 1232" in text
    assert "OPT PSEUDOSECTION" not in dig(server, "+noedns", name)
    assert "flags: do; udp: 1232" in dig(server, "+dnssec", name)
    assert "status: BADVERS" in dig(server, "+edns=1", "+noednsneg", name)
    assert "status: NOERROR" in dig(server, "+ednsopt=65001:abcd", name)
    text = dig(server, name, "AAAA")
    assert "status: NOERROR" in text and "ANSWER: 0, AUTHORITY: 1" in text and "SOA\tns1.mesos. root.ns1.mesos." in text
    text = dig(server, "nothing.mesos")
    assert "status: NXDOMAIN" in text and "SOA\tns1.mesos." in text
    text = dig(server, "_nothing._tcp.mesos", "SRV")
    assert "status: NOERROR" in text and "ANSWER: 0, AUTHORITY: 1" in text
    assert short(server, name, "ANY") == short(server, "+notcp", name, "ANY") == ["127.0.0.1"]
    assert "status: REFUSED" in dig(server, "-c", "CH", "version.bind", "TXT")
    assert "Transfer failed" in dig(server, "mesos", "AXFR")
    assert "status: NOTIMP" in dig(server, "+opcode=UPDATE", "+noquestion", "mesos")
    mixed = name[0].upper() + name[1:-1] + name[-1].upper()
    assert f"{mixed}." in dig(server, mixed)  # the case comes back, resolvers check it
    two = struct.pack("!6H", 7, 0x100, 2, 0, 0, 0) + question(name, A)[12:] * 2
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        s.connect(("127.0.0.1", server.port))
        for packet, rcode in ((two, FORMERR), (question(name, A)[:-1], FORMERR), (question(name, A) + b"x", FORMERR)):
            s.send(packet)
            assert Answer(s.recv(512)).rcode == rcode
        s.send(struct.pack("!H", 0x8180).join((question(name, A)[:2], question(name, A)[4:])))  # an answer: not answered
        s.send(question("leader.mesos", A, number=99))
        assert s.recv(512)[:2] == b"\0\x63"


def test_large_answers(cluster, server, app):
    cluster.add(service(app, 12))
    cluster.running(app, 12, bound=60)
    srv = f"_{label(app)}._tcp.marathon.mesos"
    cluster.wait_until(lambda: ask_tcp(server.port, srv, SRV).count == 12, 20, "all instances in the names")
    plain = ask(server.port, srv, SRV)
    assert plain.is_cut and plain.size <= 512 and 0 < plain.count < 12
    for size in (512, 600, 900, 1232):
        text = dig(server, "+ignore", "+notcp", f"+bufsize={size}", srv, "SRV")
        received = int(text.partition("MSG SIZE  rcvd: ")[2].split()[0])
        assert received <= size and ("flags: qr aa tc" in text) == (size < 900), text
    assert len(short(server, "+bufsize=512", srv, "SRV")) == 12  # dig comes again by TCP
    assert len(short(server, "+bufsize=4096", "+notcp", "+ignore", srv, "SRV")) == 12
    orders = {tuple(dig(server, "+short", srv, "SRV").split()) for _ in range(10)}
    assert len(orders) > 1  # shuffled


# -- resolver libraries ------------------------------------------------------------------------------------------------

GLIBC = """
import json, socket
socket.setdefaulttimeout(5)
out = {}
for name in %r:
    try:
        out[name] = sorted({a[4][0] for a in socket.getaddrinfo(name, 80)})
    except socket.gaierror as error:
        out[name] = error.errno
print(json.dumps(out))
"""


def test_glibc_resolves(cluster, server, network, app, tmp_path):
    """The C library with its own resolv.conf, in a mount namespace: both families asked at once, search list and all."""
    if not network:
        pytest.skip("needs root: a resolv.conf and port 53 of its own")
    cluster.add(service(app, 1))
    cluster.running(app, 1)
    name = name_of(app)
    cluster.wait_until(lambda: ask(server.port, name, A).count == 1, 10, "the name")
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\nsearch marathon.mesos\noptions timeout:2 attempts:1\n")
    (tmp_path / "nsswitch.conf").write_text("hosts: dns\n")
    names = [name, label(app), "leader.mesos.", "nothing.mesos.", "ready.spartan"]
    script = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && mount --bind {tmp_path}/nsswitch.conf /etc/nsswitch.conf && exec /usr/bin/python3 -c \"$1\""
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", GLIBC % (names,)], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == {name: ["127.0.0.1"], label(app): ["127.0.0.1"], "leader.mesos.": ["127.0.0.1"],
                     "nothing.mesos.": socket.EAI_NONAME, "ready.spartan": ["127.0.0.1"]}


def test_dnspython_resolves(cluster, server, app):
    resolver_module = pytest.importorskip("dns.resolver")
    cluster.add(service(app, 3))
    cluster.running(app, 3)
    srv = f"_{label(app)}._tcp.marathon.mesos"
    cluster.wait_until(lambda: ask(server.port, srv, SRV).count == 3, 10, "the names")
    resolver = resolver_module.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], server.port, 5
    for tcp in (False, True):
        answer = resolver.resolve(srv, "SRV", tcp=tcp)
        assert len(answer) == 3 and answer.rrset.ttl == 60
        for record in answer:
            assert [a.address for a in resolver.resolve(record.target, "A", tcp=tcp)] == ["127.0.0.1"]
    with pytest.raises(resolver_module.NXDOMAIN):
        resolver.resolve("nothing.mesos", "A")
    with pytest.raises(resolver_module.NoAnswer):
        resolver.resolve("leader.mesos", "AAAA")


def test_cares_resolves(cluster, server, network, app):
    pycares = pytest.importorskip("pycares")
    cluster.add(service(app, 3))
    cluster.running(app, 3)
    srv = f"_{label(app)}._tcp.marathon.mesos"
    cluster.wait_until(lambda: ask(server.port, srv, SRV).count == 3, 10, "the names")
    channel = pycares.Channel(servers=["127.0.0.1"], udp_port=server.port, tcp_port=server.port, timeout=3, tries=1)
    results = {}

    def look_up(name, kind):
        channel.query(name, kind, lambda result, error: results.__setitem__((name, kind), error or result))

    look_up(srv, pycares.QUERY_TYPE_SRV)
    look_up(name_of(app), pycares.QUERY_TYPE_A)
    look_up("nothing.mesos", pycares.QUERY_TYPE_A)
    look_up("leader.mesos", pycares.QUERY_TYPE_AAAA)
    end = time.monotonic() + 10
    while len(results) < 4:
        readable, writable = channel.getsock()
        assert time.monotonic() < end
        can_read, can_write, _ = select.select(readable, writable, [], 1)
        for fd in can_read:
            channel.process_fd(fd, pycares.ARES_SOCKET_BAD)
        for fd in can_write:
            channel.process_fd(pycares.ARES_SOCKET_BAD, fd)
        channel.process_fd(pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)
    assert len(results[(srv, pycares.QUERY_TYPE_SRV)]) == 3
    assert [r.host for r in results[(name_of(app), pycares.QUERY_TYPE_A)]] == ["127.0.0.1"]
    assert results[("nothing.mesos", pycares.QUERY_TYPE_A)] == pycares.errno.ARES_ENOTFOUND
    assert results[("leader.mesos", pycares.QUERY_TYPE_AAAA)] == pycares.errno.ARES_ENODATA


# -- changes and failures ----------------------------------------------------------------------------------------------


def test_a_killed_task_is_out_at_once(cluster, server, app):
    cluster.add(service(app, 6))
    tasks = cluster.running(app, 6)
    poller, events = Poller(server.port, f"_{label(app)}._tcp.marathon.mesos"), Events(cluster)
    poller.start()
    events.start()
    poller.until(6, 10)
    taken = []
    for left, task in zip(range(5, 0, -1), tasks):
        requests.delete(f"{cluster.marathon}/v2/apps/{app}/tasks/{task['id']}?scale=true", timeout=30)
        told = events.of(task["id"])
        taken.append((poller.until(left) - told) * 1000)
        cluster.running(app, left)
    poller.end()
    events.answer.close()
    print(f"from the master's event to the names without it: {', '.join(f'{t:.1f}' for t in taken)} ms (negative: our stream was "
          f"read later than that of dns); asked {poller.asked} times")
    assert max(taken) < 2000
    assert [count for _, count in poller.changes] == [6, 5, 4, 3, 2, 1]


def test_names_stay_while_the_master_is_away(cluster, server, app):
    """kill -9 and start it again: from the old picture to the new one there is no blank moment."""
    cluster.add(service(app, 4))
    cluster.running(app, 4)
    poller = Poller(server.port, f"_{label(app)}._tcp.marathon.mesos")
    poller.start()
    poller.until(4, 10)
    cluster.kill_role("master")
    assert ask(server.port, "_leader._tcp.mesos", SRV) is not None
    cluster.wait_until(lambda: ask(server.port, "leader.mesos", A).count == 1, 30, "the leader's name")
    # the new picture is there when a change is seen
    cluster.add({**service(app + "-after", 1)})
    try:
        cluster.running(app + "-after", 1, bound=60)
        cluster.wait_until(lambda: ask(server.port, name_of(app + "-after"), A).count == 1, 20, "a name of after the failover")
    finally:
        cluster.remove(app + "-after", bound=60)
    poller.end()
    assert [count for _, count in poller.changes] == [4], poller.changes
    assert poller.asked > 100


def test_names_stay_while_the_agent_is_away(cluster, server, app):
    """Its tasks run on, and so do their names."""
    cluster.add(service(app, 2))
    cluster.running(app, 2)
    poller = Poller(server.port, f"_{label(app)}._tcp.marathon.mesos")
    poller.start()
    poller.until(2, 10)
    cluster.kill_role("agent-1")
    cluster.running(app, 2, bound=60)
    poller.end()
    assert [count for _, count in poller.changes] == [2], poller.changes


def test_a_new_server_has_everything_when_it_has_anything(cluster, network, upstream, app, tmp_path):
    """Started again it denies nothing that it would have known: until the first picture there is no cluster to speak of."""
    cluster.add(service(app, 3))
    cluster.running(app, 3)
    again = Server(tmp_path / "log").start([*flags(cluster, upstream), "--port", "0"])
    counts = []
    end = time.monotonic() + 10
    while not counts or counts[-1] != 3:
        counts.append(ask(again.port, f"_{label(app)}._tcp.marathon.mesos", SRV).count)
        assert time.monotonic() < end
    again.end()
    assert set(counts) <= {0, 3}  # never a part of it
    assert "error" not in (tmp_path / "log").read_text().lower()


# -- other names -------------------------------------------------------------------------------------------------------


def test_other_names_come_from_their_server(server, upstream):
    if not upstream:
        pytest.skip("knot is not installed")
    assert short(server, "www.example.test") == ["192.0.2.80"]
    assert short(server, "www.example.test", "AAAA") == ["2001:db8::80"]
    assert short(server, "alias.example.test") == ["192.0.2.80", "www.example.test."]
    assert short(server, "text.example.test", "TXT") == ['"hello"']
    assert "flags: qr rd ra;" in dig(server, "www.example.test")  # not ours: no AA
    assert "status: NXDOMAIN" in dig(server, "nothing.example.test")
    assert "status: REFUSED" in dig(server, "elsewhere.invalid")  # what knot says
    # a large answer: cut by UDP, whole by TCP, with EDNS as much as knot gives
    assert ask(server.port, "many.example.test", A).is_cut
    assert len(short(server, "many.example.test")) == 200
    assert len(short(server, "+tcp", "many.example.test")) == 200
    # kept with what is left of the TTL, in the spelling of who asks
    text = dig(server, "wWw.Example.test")
    assert "wWw.Example.test." in text
    upstream.send_signal(signal.SIGSTOP)
    try:
        assert short(server, "www.example.test") == ["192.0.2.80"]
        assert "status: NXDOMAIN" in dig(server, "nothing.example.test")
        before = time.monotonic()
        assert "status: SERVFAIL" in dig(server, "ns.example.test")
        assert time.monotonic() - before < 2.9
        assert short(server, "leader.mesos") == ["127.0.0.1"]
    finally:
        upstream.send_signal(signal.SIGCONT)
    assert short(server, "ns.example.test") == ["127.0.0.1"]


def test_no_recursion_and_no_circles(cluster, tmp_path):
    """Without forwarding other names are refused and nobody is promised recursion; a server that would ask itself, whatever
    its address, does not start."""
    plain = [conftest.MUSTER, "dns", "--master", cluster.master.removeprefix("http://"), "--http_port", "0"]
    none = Server(tmp_path / "none").start([*plain, "--port", "0", "--no-external_on", "--no-recurse_on"])
    text = dig(none, "www.example.test")
    assert "status: REFUSED" in text and " ra" not in text.partition("flags:")[2].partition(";")[0]
    assert "flags: qr aa rd;" in dig(none, "ready.spartan")
    none.end()
    port = str(free_ports(1)[0])
    for ip, resolvers in (("127.0.0.1", f"127.0.0.1:{port}"), ("0.0.0.0", f"192.0.2.1,127.0.0.53:{port}"), ("::", f"[::1]:{port}")):
        done = subprocess.run([*plain, "--port", port, "--ip", ip, "--resolvers", resolvers], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1 and "circles" in done.stderr, done.stderr
    done = subprocess.run([*plain, "--port", port, "--ip", "127.0.0.1", "--forward_zones", f"a.test=127.0.0.1:{port}"], capture_output=True,
                          text=True, timeout=20)
    assert done.returncode == 1 and "circles" in done.stderr, done.stderr


# -- clients -----------------------------------------------------------------------------------------------------------


def resident_kib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def test_floods_are_limited_and_strangers_refused(cluster, network, upstream, tmp_path):
    """One client beyond its rate gets half of its answers, empty and cut, and all of them by TCP; thousands of addresses cost
    no memory; who is not allowed is refused both ways. All addresses of both families are served by one socket."""
    if not network:
        pytest.skip("needs root: many addresses of its own")
    limited = Server(tmp_path / "log").start([*flags(cluster, upstream), "--port", "0", "--ip", "::", "--rate_limit", "50", "--threads",
                                              "1", "--allow", "10.66.0.0/18,::1/128"])
    port, to = limited.port, "10.66.0.1"
    cluster.wait_until(lambda: ask(port, "leader.mesos", A, to="::1").count, 20, "the leader's name")
    for source in range(300):
        assert ask(port, "leader.mesos", A, source=f"10.66.9.{source % 250 + 1}", to=to).count == 1  # a few each
    before = resident_kib(limited.process.pid)
    packet = question("leader.mesos", A)
    for third in range(20, 60):
        for last in range(1, 251):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind((f"10.66.{third}.{last}", 0))
                s.sendto(packet, (to, port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:  # 600 at once, amid forged ones: those do not help
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        s.bind(("10.66.8.8", 0))
        s.settimeout(1)
        started = time.monotonic()
        for i in range(600):
            s.sendto(packet, (to, port))
            for other in range(i * 16, i * 16 + 16):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forged:
                    forged.bind((f"10.66.{20 + other // 250}.{other % 250 + 1}", 0))
                    forged.sendto(packet, (to, port))
        sending = time.monotonic() - started
        answers = []
        while True:
            try:
                answers.append(Answer(s.recv(512)))
            except OSError:
                break
    full, cut = sum(a.count == 1 for a in answers), sum(a.is_cut and a.count == 0 for a in answers)
    assert 50 <= full <= 50 * (1 + sending) + 5 and full + cut == len(answers), (full, cut, sending)
    assert abs(cut - (600 - full) / 2) <= 1
    assert ask_tcp(port, "leader.mesos", A, source="10.66.8.8", to=to).count == 1
    assert ask(port, "leader.mesos", A, source="10.66.8.9", to=to).count == 1
    grown = resident_kib(limited.process.pid) - before
    print(f"10000 addresses: {grown} KiB more; of 600 questions at once {full} answered, {cut} sent to TCP")
    assert grown < 4096
    for stranger in ("10.66.64.1", "10.66.200.7"):
        assert ask(port, "leader.mesos", A, source=stranger, to=to).rcode == REFUSED
        assert ask_tcp(port, "leader.mesos", A, source=stranger, to=to).rcode == REFUSED
    assert ask(port, "leader.mesos", A).rcode == REFUSED  # our loopback is not in the list
    assert ask_tcp(port, "leader.mesos", A, to="::1").count == 1
    limited.end()
