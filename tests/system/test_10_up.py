# SPDX-License-Identifier: Apache-2.0
"""`muster up` and `muster down` as a person uses them."""
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import time

import pytest
import requests

from conftest import Cluster, leftovers, pid_ends


def read_until(process, text, bound):
    """Output of the process up to and including the line that contains the text."""
    end, output = time.monotonic() + bound, ""
    while text not in output:
        left = end - time.monotonic()
        assert left > 0, output
        assert select.select([process.stdout], [], [], left)[0], output
        chunk = os.read(process.stdout.fileno(), 65536).decode()
        assert chunk, output + process.stderr.read().decode()
        output += chunk
    return output


def printed(line):
    """Output of a line that a person is told to type."""
    done = subprocess.run(line.split(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


def test_foreground_example_answers_and_ctrl_c_leaves_nothing(make_cluster):
    cluster = make_cluster()
    process = subprocess.Popen(cluster.command(*cluster.up_arguments()), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output = read_until(process, "Ctrl-C", 30)
    curls, digs = re.findall(r"^ +(curl \S+)$", output, re.M), re.findall(r"^ +(dig .+)$", output, re.M)
    assert len(curls) == 2 and len(digs) == 2, output
    for line in curls:
        assert "Hello from Muster" in printed(line)
    url, vip = (line.removeprefix("curl ") for line in curls)
    assert printed(digs[0]).split() == ["127.0.0.1"]
    assert printed(digs[1]).split() == [vip.removeprefix("http://")]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert not leftovers(cluster.dir)
    for address in url, vip:
        with pytest.raises(requests.RequestException):
            requests.get(address, timeout=2)


def test_throwaway_cluster_removes_its_directory(make_cluster, tmp_path):
    cluster = make_cluster()
    environment = {k: v for k, v in os.environ.items() if k != "MUSTER_DIR"}
    directory = pathlib.Path(f"/var/tmp/muster-{os.getuid()}")
    if directory.exists():
        pytest.skip(f"{directory} is in use by another cluster")
    arguments = [a for a in cluster.up_arguments() if a not in ("--dir", cluster.dir)]
    process = subprocess.Popen(cluster.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    read_until(process, "Ctrl-C", 30)
    assert directory.exists()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not directory.exists() and not leftovers(directory)


def test_detached_status_and_down(make_cluster):
    cluster = make_cluster()
    cluster.up()
    status = cluster.status()
    assert {r["name"] for r in status["roles"]} == {"master", "agent-1", "marathon", "cron", "dns", "lb"}
    assert all(r["running"] and r["pid"] > 0 and r["address"] for r in status["roles"])
    assert status["leader"]["pid"] == cluster.role("master")["pid"]
    assert status["leader"]["address"] == cluster.master.removeprefix("http://")
    assert "leading" in cluster.run("status").stdout
    done = cluster.down()
    assert done.returncode == 0, done.stderr
    assert not leftovers(cluster.dir)
    assert "no cluster" in cluster.run("status", check=False).stderr


def test_second_up_in_the_same_directory_is_refused(make_cluster):
    cluster = make_cluster()
    cluster.up("--empty")
    done = cluster.run("up", "--empty", check=False)
    assert done.returncode == 1 and "already" in done.stderr


def test_taken_port_is_named(make_cluster):
    first, second = make_cluster(), make_cluster()
    first.up("--empty")
    second.ports[1] = first.ports[1]
    done = subprocess.run(second.command(*second.up_arguments(), "--detach"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert str(first.ports[1]) in done.stderr and "in use" in done.stderr.lower(), done.stderr


def test_two_clusters_side_by_side(make_cluster):
    first, second = make_cluster(), make_cluster()
    first.up("--empty")
    second.up("--empty")
    first.add({"id": "/only-first", "cmd": "sleep 1000", "cpus": 0.1, "mem": 32})
    first.running("/only-first", 1)
    assert second.app("/only-first") is None
    assert first.down().returncode == 0
    assert second.status()["leader"] is not None


def test_app_show_lists_names_and_vips(make_cluster):
    cluster = make_cluster()
    cluster.up("--empty")
    cluster.add({"id": "/shop/web", "cmd": "exec python3 -m http.server $PORT0", "cpus": 0.1, "mem": 32, "portDefinitions": [
        {"port": 0, "name": "http", "labels": {"VIP_0": "/shop-web:8080", "VIP_1": "127.0.0.1:81"}}]})
    cluster.running("/shop/web", 1)
    show = lambda: json.loads(cluster.run("app", "show", "/shop/web", "--json").stdout)["discovery"]
    shown = cluster.wait_until(lambda: (lambda d: any("address" in v for v in d["vips"]) and d)(show()), what="the address")
    assert shown["names"] == ["web-shop.marathon.mesos"]
    refused, named = sorted(shown["vips"], key=lambda v: v["port"])
    assert named["name"] == "shop-web.marathon.l4lb.thisdcos.directory" and named["port"] == 8080
    url = f"http://{named['address']}:8080/"
    assert cluster.wait_until(lambda: requests.get(url, timeout=5).status_code == 200, what=url)
    assert refused["name"] == "127.0.0.1" and "address" not in refused  # nobody's service may take the machine's own
    assert "shop-web.marathon.l4lb.thisdcos.directory" in cluster.run("app", "show", "/shop/web").stdout


def test_several_agents_share_the_machine(make_cluster):
    cluster = make_cluster(agents=3)
    cluster.up("--empty")
    nodes = json.loads(cluster.run("node", "list", "--json").stdout)
    assert len(nodes) == 3 and len({n["hostname"] for n in nodes}) == 3
    assert abs(sum(n["resources"]["cpus"] for n in nodes) - os.cpu_count()) < 0.01
    cluster.add({"id": "/spread", "cmd": "sleep 1000", "cpus": 0.1, "mem": 32, "instances": 3,
                 "constraints": [["hostname", "UNIQUE"]]})
    tasks = cluster.running("/spread", 3)
    assert len({t["host"] for t in tasks}) == 3


def test_state_is_kept_in_the_directory(make_cluster):
    cluster = make_cluster()
    cluster.up("--empty")
    cluster.add({"id": "/kept", "cmd": "sleep 1000", "cpus": 0.1, "mem": 32, "instances": 2})
    before = {t["id"] for t in cluster.running("/kept", 2)}
    assert cluster.down().returncode == 0
    assert not leftovers(cluster.dir)
    cluster.up("--empty")
    after = {t["id"] for t in cluster.running("/kept", 2)}
    assert before.isdisjoint(after)


def test_down_without_its_watcher(make_cluster):
    cluster = make_cluster()
    cluster.up("--empty")
    cluster.add({"id": "/x", "cmd": "sleep 1000", "cpus": 0.1, "mem": 32})
    cluster.running("/x", 1)
    watcher = json.loads((cluster.dir / "cluster.json").read_text())["up_pid"]
    os.kill(watcher, signal.SIGKILL)
    assert pid_ends(watcher, 10)
    assert cluster.role("master")["running"]
    done = cluster.down()
    assert done.returncode == 0, done.stderr
    assert not leftovers(cluster.dir)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become an ordinary user")
def test_ordinary_user(make_cluster):
    cluster = make_cluster(user=65534)
    output = cluster.up()
    url = re.search(r"curl (http://\S+)", output).group(1)
    assert requests.get(url, timeout=10).status_code == 200
    assert "cannot give" in output  # says which isolation is missing
    assert cluster.down().returncode == 0
