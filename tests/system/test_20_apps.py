# SPDX-License-Identifier: Apache-2.0
"""Services on a real cluster: definitions, scaling, failures of every part under them."""
import json
import os
import pathlib
import signal
import time

import pytest
import requests

from conftest import pid_ends, processes_mentioning

EXAMPLES = pathlib.Path(__file__).parent / "data" / "marathon-examples"


def sleeper(app_id, instances, **more):
    """A service whose processes can be told from all others by a marker in their arguments."""
    return {"id": app_id, "cmd": f"exec sleep 10{sleeper.count}", "cpus": 0.01, "mem": 16, "instances": instances,
            "backoffSeconds": 0, **more}


sleeper.count = 100


@pytest.fixture
def app(cluster):
    """A fresh app id and its marker; removed at the end."""
    sleeper.count += 1
    app_id = f"/t{sleeper.count}"
    yield app_id
    if cluster.app(app_id):
        cluster.remove(app_id)
    assert not sleeps(), "a task outlived its app"


def processes(cluster, count):
    """The pids of the tasks once there are so many: a task is running a moment before its shell has become what it runs."""
    return cluster.wait_until(lambda: (lambda p: p if len(p) == count else None)(sorted(sleeps())), 10, f"{count} processes")


def sleeps():
    return [pid for pid, line in processes_mentioning(f"sleep 10{sleeper.count}") if line.startswith("sleep ")]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("examples/*.json")), ids=lambda p: p.name)
def test_examples_are_accepted_or_refused_with_a_reason(cluster, path):
    done = cluster.run("app", "add", str(path), check=False)
    definition = json.loads(path.read_text())
    if done.returncode == 0:
        cluster.remove(definition["id"])
        return
    assert done.returncode == 1
    text = path.read_text()
    assert "groups" in definition or "image" in text, done.stderr  # only what later versions bring may be refused
    assert "not supported" in done.stderr or "not built" in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) >= 2, done.stderr  # message, and the path of the field


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("rest-api/*.json")), ids=lambda p: p.name)
def test_request_bodies_never_crash(cluster, path):
    pid = cluster.role("marathon")["pid"]
    answer = requests.post(cluster.marathon + "/v2/apps", data=path.read_text(), timeout=30,
                           headers={"Content-Type": "application/json"})
    assert answer.status_code in (201, 400, 409, 422), answer.text
    if answer.status_code == 201:
        cluster.remove(answer.json()["id"])
    else:
        assert answer.json()["message"]
    assert cluster.role("marathon")["pid"] == pid


@pytest.mark.parametrize("body, path", [
    ({"id": "/x", "cmd": "true", "cpus": "many"}, "/cpus"),
    ({"id": "/x", "cmd": "true", "instances": -1}, "/instances"),
    ({"id": "/UPPER", "cmd": "true"}, "/id"),
    ({"cmd": "true"}, "/id"),
    ({"id": "/x", "cmd": "true", "upgradeStrategy": {"minimumHealthCapacity": 2, "maximumOverCapacity": 0}},
     "/upgradeStrategy/minimumHealthCapacity"),
    ({"id": "/x", "cmd": "true", "constraints": [["hostname", "NEAR"]]}, "/constraints"),
    ({"id": "/x", "cmd": "true", "container": {"type": "DOCKER", "docker": {"image": "a"}}}, "/container"),
])
def test_wrong_definitions_name_the_field(cluster, body, path):
    answer = requests.post(cluster.marathon + "/v2/apps", json=body, timeout=30)
    assert answer.status_code == 422, answer.text
    assert any(d["path"].startswith(path) for d in answer.json()["details"]), answer.text


def test_scale_up_and_down(cluster, app):
    cluster.add(sleeper(app, 0))
    cluster.run("app", "scale", app, "50")
    begin = time.monotonic()
    assert len(cluster.running(app, 50, bound=60)) == 50
    print(f"0 to 50 in {time.monotonic() - begin:.2f} s")
    processes(cluster, 50)
    cluster.run("app", "scale", app, "0")
    cluster.running(app, 0, bound=60)
    assert not sleeps()


def test_killed_process_is_replaced(cluster, app):
    cluster.add(sleeper(app, 2))
    before = {t["id"] for t in cluster.running(app, 2)}
    os.kill(processes(cluster, 2)[0], signal.SIGKILL)
    cluster.wait_until(lambda: len({t["id"] for t in cluster.tasks(app) if t["state"] == "TASK_RUNNING"} - before) == 1, 10)
    cluster.running(app, 2)
    processes(cluster, 2)
    failure = cluster.app(app)["lastTaskFailure"]
    assert failure["state"] == "TASK_FAILED" and "signal" in failure["message"].lower(), failure


@pytest.mark.parametrize("role", ["marathon", "master", "agent-1"])
def test_killed_role_keeps_tasks(cluster, app, role):
    cluster.add(sleeper(app, 3))
    before, pids = {t["id"] for t in cluster.running(app, 3)}, processes(cluster, 3)
    cluster.kill_role(role)
    after = {t["id"] for t in cluster.running(app, 3, bound=60)}
    assert after == before and processes(cluster, 3) == pids
    # and everything still works: one more, then none
    cluster.run("app", "scale", app, "4")
    assert before < {t["id"] for t in cluster.running(app, 4, bound=60)}
    assert set(pids) < set(processes(cluster, 4))


def test_killed_executor_is_replaced_once(cluster, app):
    cluster.add(sleeper(app, 1))
    before = cluster.running(app, 1)[0]["id"]
    parent = int(pathlib.Path(f"/proc/{processes(cluster, 1)[0]}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(parent, signal.SIGKILL)
    cluster.wait_until(lambda: [t for t in cluster.tasks(app) if t["state"] == "TASK_RUNNING" and t["id"] != before], 20)
    cluster.running(app, 1)
    processes(cluster, 1)


def test_tasks_that_end_while_the_agent_is_away(cluster, app):
    """The exit status is kept by the supervisor: the task is replaced when the agent comes back, not lost."""
    cluster.add(sleeper(app, 2))
    before = {t["id"] for t in cluster.running(app, 2)}
    victim = processes(cluster, 2)[0]
    agent = cluster.role("agent-1")["pid"]
    os.kill(agent, signal.SIGSTOP)
    os.kill(victim, signal.SIGKILL)
    assert pid_ends(victim, 10)
    os.kill(agent, signal.SIGKILL)
    cluster.wait_until(lambda: cluster.role("agent-1")["pid"] not in (0, agent), 20)
    cluster.wait_until(lambda: len({t["id"] for t in cluster.tasks(app) if t["state"] == "TASK_RUNNING"} - before) == 1, 60)
    cluster.running(app, 2)
    processes(cluster, 2)
    assert "signal" in cluster.app(app)["lastTaskFailure"]["message"].lower()


def test_sigterm_ignored_dies_after_its_grace(cluster, app):
    cluster.add({"id": app, "cmd": f"trap '' TERM; sleep 10{sleeper.count} & while :; do wait; done", "cpus": 0.01, "mem": 16,
                 "taskKillGracePeriodSeconds": 1})
    cluster.running(app, 1)
    cluster.wait_until(sleeps, 10)
    cluster.remove(app, bound=20)
    assert not sleeps()


def test_rolling_update_keeps_the_floor(cluster, app):
    cluster.add(sleeper(app, 4, upgradeStrategy={"minimumHealthCapacity": 0.75, "maximumOverCapacity": 0.25}))
    before = {t["id"] for t in cluster.running(app, 4)}
    counts = []
    answer = requests.put(f"{cluster.marathon}/v2/apps/{app}", json={"env": {"CHANGED": "1"}}, timeout=30)
    assert answer.status_code == 200

    def done():
        tasks = [t for t in cluster.tasks(app) if t["state"] == "TASK_RUNNING"]
        counts.append(len(tasks))
        return not cluster.app(app)["deployments"] and len(tasks) == 4 and before.isdisjoint(t["id"] for t in tasks)
    cluster.wait_until(done, 60)
    assert min(counts) >= 3 and max(counts) <= 5, counts


def test_environment_and_logs(cluster, app):
    cluster.add({"id": app, "cmd": f"env; echo to-stderr >&2; exec sleep 10{sleeper.count}", "cpus": 0.01, "mem": 16,
                 "labels": {"owner": "me"}, "env": {"MINE": "yes"},
                 "portDefinitions": [{"port": 0, "name": "http"}, {"port": 0}]})
    task = cluster.running(app, 1)[0]
    text = cluster.wait_until(lambda: (lambda t: t if "PORT1=" in t else None)(cluster.run("task", "logs", task["id"]).stdout), 10)
    variables = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert variables["MARATHON_APP_ID"] == app and variables["MINE"] == "yes"
    assert variables["MESOS_TASK_ID"] == task["id"]
    assert variables["PORT0"] == str(task["ports"][0]) and variables["PORTS"] == ",".join(map(str, task["ports"]))
    assert variables["MARATHON_APP_LABEL_OWNER"] == "me"
    assert variables["MESOS_SANDBOX"]
    assert "to-stderr" in cluster.run("task", "logs", "--stderr", task["id"]).stdout


def test_command_line_for_apps_tasks_and_nodes(cluster, app):
    definition = json.dumps(sleeper(app, 1))
    assert "deployment" in cluster.run("app", "add", "-", stdin=definition).stdout
    task = cluster.running(app, 1)[0]
    assert app in cluster.run("app", "list").stdout
    assert json.loads(cluster.run("app", "list", "--json").stdout)[0]["id"] == app
    assert task["id"] in cluster.run("app", "show", app).stdout
    assert json.loads(cluster.run("app", "show", app, "--json").stdout)["instances"] == 1
    assert task["id"] in cluster.run("task", "list").stdout
    assert json.loads(cluster.run("task", "list", "--json").stdout)[0]["task_id"]["value"] == task["id"]
    nodes = json.loads(cluster.run("node", "list", "--json").stdout)
    assert json.loads(cluster.run("node", "show", nodes[0]["id"]).stdout)["used_resources"]["cpus"] > 0
    again = cluster.run("app", "add", "-", stdin=definition, check=False)
    assert again.returncode == 1 and "already exists" in again.stderr
    cluster.run("app", "restart", app)
    cluster.wait_until(lambda: [t for t in cluster.tasks(app) if t["state"] == "TASK_RUNNING" and t["id"] != task["id"]], 20)
    cluster.running(app, 1)
    cluster.run("app", "remove", app)
    cluster.wait_until(lambda: cluster.app(app) is None and not cluster.tasks(app), 20)
    missing = cluster.run("app", "show", app, check=False)
    assert missing.returncode == 1 and "does not exist" in missing.stderr


def test_health_checks_gate_and_kill(cluster, app):
    cluster.add({"id": app, "cmd": f"touch ok; exec sleep 10{sleeper.count}", "cpus": 0.01, "mem": 16,
                 "healthChecks": [{"protocol": "COMMAND", "command": {"value": "test -e ok"}, "gracePeriodSeconds": 1,
                                   "intervalSeconds": 1, "timeoutSeconds": 5, "maxConsecutiveFailures": 1, "delaySeconds": 0}]})
    task = cluster.running(app, 1)[0]
    assert cluster.wait_until(lambda: cluster.app(app)["tasksHealthy"] == 1, 20)
    os.unlink(f"/proc/{processes(cluster, 1)[0]}/cwd/ok")
    cluster.wait_until(lambda: [t for t in cluster.tasks(app) if t["id"] != task["id"] and t["state"] == "TASK_RUNNING"], 30)
