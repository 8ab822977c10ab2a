# SPDX-License-Identifier: Apache-2.0
"""What tasks may not do to their host and to each other."""
import json
import os
import pathlib

import pytest
import requests


def run_to_log(cluster, app_id, command, marker="DONE", **more):
    """Runs a command as an app that then sleeps, and returns what it printed before the marker."""
    cluster.add({"id": app_id, "cmd": f"{command}; echo {marker}; sleep 1000", "cpus": 0.1, "mem": 64} | more)
    task = cluster.running(app_id, 1)[0]

    def text():
        out = cluster.run("task", "logs", task["id"]).stdout
        return out if marker in out else None
    out = cluster.wait_until(text, 20)
    cluster.remove(app_id)
    return out


def missing(cluster):
    agent = "http://" + cluster.role("agent-1")["address"]
    return " ".join(requests.get(agent + "/state", timeout=30).json()["isolation"]["missing"])


def need(cluster, *what):
    for name in what:
        if name in missing(cluster):
            pytest.skip(f"the host cannot give {name}")


def test_memory_limit_ends_the_task_alone(cluster):
    need(cluster, "memory")
    cluster.add({"id": "/neighbour", "cmd": "sleep 1000", "cpus": 0.1, "mem": 32})
    neighbour = cluster.running("/neighbour", 1)[0]["id"]
    cluster.add({"id": "/greedy", "cmd": "sleep 1; tail -c 300m /dev/zero | tail; sleep 1000", "cpus": 0.1, "mem": 32,
                 "backoffSeconds": 300})
    failure = cluster.wait_until(lambda: cluster.app("/greedy").get("lastTaskFailure"), 30)
    assert failure["state"] == "TASK_FAILED" and "memory" in failure["message"].lower(), failure
    assert cluster.running("/neighbour", 1)[0]["id"] == neighbour
    cluster.remove("/greedy")
    cluster.remove("/neighbour")


def test_fork_bomb_is_stopped(cluster):
    need(cluster, "pids")
    before = {t["id"] for t in cluster.tasks("/neighbour")}
    cluster.add({"id": "/bomb", "cmd": "b() { b | b & }; b 2>/dev/null; echo DONE; sleep 1000", "cpus": 0.1, "mem": 1500})
    task = cluster.running("/bomb", 1)[0]
    container = next(p.name for p in cluster.dir.glob(f"agent-1/slaves/*/frameworks/*/executors/{task['id']}/runs/*-*"))
    counter = next(p for p in pathlib.Path("/sys/fs/cgroup").glob(f"**/{container}/pids.max") if p.read_text().strip().isdigit())
    limit = int(counter.read_text())
    cluster.wait_until(lambda: int((counter.parent / "pids.current").read_text()) >= limit * 0.9, 60, "a bomb at its limit")
    assert int((counter.parent / "pids.current").read_text()) <= limit <= 10000
    assert cluster.run("node", "list").returncode == 0 and before == {t["id"] for t in cluster.tasks("/neighbour")}
    cluster.remove("/bomb", bound=60)


def test_privileges_are_gone(cluster):
    out = run_to_log(cluster, "/caps", "cat /proc/self/status; ls -l /proc/self/fd | wc -l; id -u")
    status = dict(line.split(":", 1) for line in out.splitlines() if ":" in line)
    assert int(status["NoNewPrivs"]) == 1
    assert int(status["Seccomp"]) == 2
    bounding = int(status["CapBnd"], 16)
    assert not bounding & (1 << 21), "CAP_SYS_ADMIN"
    assert not bounding & (1 << 13), "CAP_NET_RAW"
    assert int(status["CapInh"], 16) == 0 and int(status["CapAmb"], 16) == 0


def test_other_processes_and_sandboxes_are_invisible(cluster):
    need(cluster, "pid_namespace", "mount_namespace")
    cluster.add({"id": "/secret", "cmd": "echo hidden > secret.txt; exec sleep 1000", "cpus": 0.1, "mem": 32})
    cluster.running("/secret", 1)
    out = run_to_log(cluster, "/spy", f"ls /proc | grep -c '^[0-9]'; find {cluster.dir} -name secret.txt 2>/dev/null; "
                                      "cat /proc/kcore 2>&1 | head -c 0; echo x > /proc/sysrq-trigger; ls /proc/1/root/ >/dev/null")
    assert int(out.splitlines()[0]) < 15
    assert "secret.txt" not in out
    cluster.remove("/secret")


@pytest.mark.parametrize("command", [
    "mount -t tmpfs none /mnt", "unshare -m true", "unshare -U true", "hostname hacked", "mknod x b 8 0",
    "echo 1 > /proc/sys/kernel/panic", "echo c > /proc/sysrq-trigger", "dmesg -c",
])
def test_host_cannot_be_touched(cluster, command):
    out = run_to_log(cluster, "/touch", f"({command}) >/dev/null 2>&1 && echo REACHED || echo refused")
    if command == "hostname hacked":
        assert os.uname().nodename != "hacked"  # its own uts namespace, or refused
        return
    assert "refused" in out and "REACHED" not in out


def test_fetch_cannot_leave_the_sandbox(cluster, tmp_path):
    target = tmp_path / "target"
    for uri in ({"uri": "file:///etc/hostname", "destPath": "../../../../../../../../../../../.." + str(target)},
                {"uri": "file:///etc/hostname", "destPath": str(target)}):
        answer = requests.post(cluster.marathon + "/v2/apps", timeout=30, json={
            "id": "/fetch", "cmd": "sleep 1000", "cpus": 0.1, "mem": 32, "backoffSeconds": 300, "fetch": [uri]})
        if answer.status_code == 201:
            failure = cluster.wait_until(lambda: cluster.app("/fetch").get("lastTaskFailure"), 30)
            assert failure["state"] in ("TASK_FAILED", "TASK_ERROR")
            cluster.remove("/fetch")
        assert not target.exists()


def test_files_api_stays_in_the_sandbox(cluster):
    cluster.add({"id": "/links", "cmd": "ln -s /etc/passwd out; ln -s / root; mkfifo pipe; echo mine > ok; exec sleep 1000",
                 "cpus": 0.1, "mem": 32})
    task = cluster.running("/links", 1)[0]
    agent = "http://" + cluster.role("agent-1")["address"]
    state = requests.get(agent + "/state", timeout=30).json()
    sandbox = next(e["directory"] for f in state["frameworks"] for e in f["executors"] if e["id"] == task["id"])
    cluster.wait_until(lambda: requests.get(agent + "/files/read", params={"path": sandbox + "/ok", "offset": 0},
                                            timeout=30).json()["data"] == "mine\n", 10)
    for path in ("/out", "/root/etc/passwd", "/../../../../../../../../../../etc/passwd", "/pipe", "/ok/../out"):
        for endpoint in ("read", "download", "follow"):
            answer = requests.get(f"{agent}/files/{endpoint}", params={"path": sandbox + path, "offset": 0}, timeout=10)
            assert answer.status_code in (400, 403, 404), (endpoint, path, answer.status_code)
    for path in ("/etc/passwd", str(cluster.dir / "cluster.json"), "../../etc/passwd", ""):
        assert requests.get(agent + "/files/read", params={"path": path}, timeout=10).status_code in (400, 403, 404)
    cluster.remove("/links")
