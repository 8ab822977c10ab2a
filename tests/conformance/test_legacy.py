# SPDX-License-Identifier: Apache-2.0
"""The endpoints of old (facts: mesos 5): their parameters, their values, jsonp. Which keys they have is held in test_shapes.py."""
import json
import pathlib
import re
import time

import pytest

import mesos_wire as wire
from frame import ABSENT, ANY, Ask, Do, Has, Http, Re, Row, Update, Where, cases, expect, launch, run_row, task

NODES = ("master", "agent")
NUMBER = Where("a number", lambda v: isinstance(v, (int, float)) and not isinstance(v, bool))
RUNNING = [launch(task("t1", "sleep 1000")), Update("t1", "STARTING"), Update("t1", "RUNNING")]


def row(says, *steps, fact="5.1", **more):
    return Row(fact, says, list(steps), encodings=("json",), **more)


def get(path, json=None, status=200, node="master", **more):
    return Http("GET", path, status, node, json=json, **more)


def ended(*names):
    """Tasks that are launched one after the other and have ended."""
    return [step for n in names for step in (launch(task(n)), Update(n, "STARTING"), Update(n, "RUNNING"), Update(n, "FINISHED"))]


def tasks(query, *names):
    return get(f"/tasks?framework_id=$framework{query}", {"tasks": [{"id": n} for n in names]})


PLAIN = [
    *[row(f"{n}: /health is 200 without a body", get("/health", node=n, body="", has={"content-type": ABSENT})) for n in NODES],
    *[row(f"{n}: /version", get("/version", {"version": Re(r"^\d+\.\d+\.\d+$"), "build_date": ANY, "build_time": NUMBER, "build_user": ANY}, node=n),
          fact="13.1") for n in NODES],
    *[row(f"{n}: /flags are strings by name", get("/flags", {"flags": Where("strings", lambda f: f and all(
        isinstance(v, str) for v in f.values()))}, node=n)) for n in NODES],
    *[row(f"{n}: /system/stats.json", get("/system/stats.json", {k: NUMBER for k in (
        "avg_load_1min", "avg_load_5min", "avg_load_15min", "cpus_total", "mem_total_bytes", "mem_free_bytes")}, node=n)) for n in NODES],
    *[row(f"{n}: /metrics/snapshot is numbers by name", get("/metrics/snapshot", Where("numbers", lambda m: len(m) > 30 and all(
        isinstance(v, (int, float)) for v in m.values())), node=n)) for n in NODES],
    *[row(f"{n}: /logging/toggle tells the level", get("/logging/toggle", node=n, body=Re(r"^0\s*$"))) for n in NODES],
    *[row(f"{n}: /logging/toggle changes it for a while", get("/logging/toggle?level=3&duration=1mins", node=n),
          get("/logging/toggle", node=n, body=Re(r"^3\s*$")), get("/logging/toggle?level=0&duration=1secs", node=n),
          get("/logging/toggle", node=n, body=Re(r"^0\s*$"))) for n in NODES],
    *[row(f"{n}: /logging/toggle?{query} is 400", get("/logging/toggle?" + query, status=400, node=n)) for n in NODES for query in (
        "level=1", "duration=1mins", "level=-1&duration=1mins", "level=x&duration=1mins", "level=1&duration=x", "level=1&duration=-1secs",
        "level=99&duration=1mins", "level=&duration=")],
    row("/redirect is 307 to the leader without a scheme", get("/redirect", status=307, body="", has={"location": Re(r"^//[\w.]+:\d+$")})),
    row("/master/redirect as well", get("/master/redirect", status=307, has={"location": Re(r"^//[\w.]+:\d+$")})),
    *[row(f"{n}: /files/{what} without path is 400", get("/files/" + what, status=400, node=n)) for n in NODES
      for what in ("browse", "read", "download")],
    *[row(f"{n}: /files/{what} of an unknown path is 404", get(f"/files/{what}?path=/no/such", status=404, node=n)) for n in NODES
      for what in ("browse", "read", "download")],
    *[row(f"{n}: /files/debug maps paths", get("/files/debug", Where("an object", lambda v: isinstance(v, dict)), node=n)) for n in NODES],
]

JSONP = [
    *[row(f"{n}: {path} with jsonp", Http("GET", path + "?jsonp=cb", 200, n, body=Re(r"^cb\([\[{].*[\]}]\);$"),
                                         has={"content-type": "text/javascript"}), fact="0.2")
      for n, path in (("master", "/state"), ("master", "/slaves"), ("master", "/tasks"), ("master", "/roles"), ("master", "/frameworks"),
                      ("master", "/state-summary"), ("master", "/version"), ("master", "/flags"), ("master", "/metrics/snapshot"),
                      ("master", "/system/stats.json"), ("agent", "/state"), ("agent", "/version"), ("agent", "/flags"),
                      ("agent", "/containers"), ("agent", "/monitor/statistics"), ("agent", "/metrics/snapshot"),
                      ("agent", "/system/stats.json"))],
    *[row(f"{n}: jsonp={name} is 400: no script of a stranger's", Http("GET", f"/version?jsonp={name}", 400, n, has={
        "content-type": "text/plain; charset=utf-8"}), fact="0.2")
      for n in NODES for name in ("alert(1)//", "%3Cscript%3E", "a%0Ab", "a;b", "a%20b", "1%2B1", "%22x", "")],
    *[row(f"{n}: jsonp=a.b$_9 is a name", Http("GET", "/version?jsonp=a.b$$_9", 200, n, body=Re(r"^a\.b\$_9\(")), fact="0.2") for n in NODES],
]

MASTER = [
    row("/state counts agents", get("/state", {"activated_slaves": 1.0, "deactivated_slaves": 0.0, "unreachable_slaves": 0.0}), fact="5.2"),
    row("/state tells who leads", get("/state", {"pid": Re(r"^master@127"), "leader": Re(r"^master@127"), "leader_info": {
        "port": NUMBER, "hostname": ANY}, "id": ANY, "hostname": ANY, "start_time": NUMBER, "elected_time": NUMBER,
        "orphan_tasks": [], "unregistered_frameworks": []}), fact="5.2"),
    row("/state tells of an agent", get("/state", {"slaves": [{
        "id": "$agent", "pid": Re(r"^slave\(1\)@127"), "active": True, "deactivated": False, "registered_time": NUMBER,
        "attributes": {"rack": "r1", "size": 7.0}, "resources": {"cpus": 4.0, "mem": 4096.0, "disk": 8192.0, "gpus": 0.0,
                                                                "ports": "[31000-31100]"},
        "reserved_resources": {}, "unreserved_resources": {"cpus": 4.0}, "capabilities": Has("MULTI_ROLE"), "port": NUMBER}]}), fact="5.2"),
    row("/state tells of a framework", *RUNNING, get("/state", {"frameworks": Has({
        "id": "$framework", "name": "conformance", "user": "root", "active": True, "connected": True, "recovered": False,
        "failover_timeout": 0.0, "checkpoint": False, "role": "*", "roles": ABSENT, "pid": ABSENT, "registered_time": NUMBER,
        "unregistered_time": 0.0, "hostname": ANY, "webui_url": ANY, "capabilities": [], "used_resources": {"cpus": 0.1, "mem": 32.0},
        "completed_tasks": [], "unreachable_tasks": [], "executors": [], "offer_constraints": {}})}), fact="5.2"),
    row("/state of a MULTI_ROLE framework has roles", Do(lambda c: c.scheduler()), get("/state", {"frameworks": Has({
        "id": "$framework", "roles": ["a", "b"], "role": ABSENT, "capabilities": ["MULTI_ROLE"]})}), fact="5.2",
        framework={"capabilities": [{"type": "MULTI_ROLE"}], "roles": ["a", "b"]}),
    row("/state tells of a task", *RUNNING, get("/state", {"frameworks": Has({"id": "$framework", "tasks": [{
        "id": "t1", "name": "t1", "framework_id": "$framework", "executor_id": "", "slave_id": "$agent", "state": "TASK_RUNNING",
        "role": "*", "resources": {"cpus": 0.1, "mem": 32.0, "disk": 0.0, "gpus": 0.0},
        "statuses": [{"state": "TASK_STARTING", "timestamp": NUMBER}, {"state": "TASK_RUNNING", "container_status": {
            "container_id": {"value": ANY}, "network_infos": Has({"ip_addresses": Has({"ip_address": ANY})})}}]}]})}), fact="5.2"),
    row("/state tells of completed tasks", *ended("t1"), get("/state", {"frameworks": Has({
        "id": "$framework", "tasks": [], "completed_tasks": [{"id": "t1", "state": "TASK_FINISHED"}]})}), fact="5.2"),
    row("/state tells of offers", Do(lambda c: c.take_offer()), get("/state", {"frameworks": Has({"id": "$framework", "offers": [{
        "id": ANY, "framework_id": "$framework", "slave_id": "$agent", "allocation_info": {"role": "*"}, "resources": {"cpus": NUMBER}}]})}),
        fact="5.2"),
    row("/state tells of completed frameworks", Ask("scheduler", {"type": "TEARDOWN"}, 202), get("/state", {"completed_frameworks": Has({
        "id": "$framework", "active": False, "connected": False, "unregistered_time": Where("a time", lambda v: v > 1.5e9)})}), fact="5.2"),
    row("/slaves?slave_id", get("/slaves?slave_id=$agent", {"slaves": [{"id": "$agent"}], "recovered_slaves": []}),
        get("/slaves?slave_id=none", {"slaves": [], "recovered_slaves": []})),
    row("/slaves has resources in full", get("/slaves", {"slaves": [{"unreserved_resources_full": Has(
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 4.0}, "role": "*"}), "reserved_resources_full": {},
        "used_resources_full": ANY, "offered_resources_full": ANY}]})),
    row("/frameworks?framework_id", Do(lambda c: c.scheduler()), get("/frameworks?framework_id=$framework", {
        "frameworks": [{"id": "$framework"}], "completed_frameworks": [], "unregistered_frameworks": []}),
        get("/frameworks?framework_id=none", {"frameworks": [], "completed_frameworks": []})),
    row("/tasks: the newest first", *ended("t1", "t2", "t3"), tasks("", "t3", "t2", "t1")),
    row("/tasks: order=asc", *ended("t1", "t2", "t3"), tasks("&order=asc", "t1", "t2", "t3"), tasks("&order=desc", "t3", "t2", "t1")),
    row("/tasks: limit and offset", *ended("t1", "t2", "t3"), tasks("&limit=2", "t3", "t2"), tasks("&limit=2&offset=1", "t2", "t1"),
        tasks("&offset=3"), tasks("&limit=0"), tasks("&offset=99999999999")),
    row("/tasks: limit=-1 is all", *ended("t1", "t2"), tasks("&limit=-1", "t2", "t1"), tasks("&limit=-1&order=asc&offset=1", "t2")),
    row("/tasks: task_id", *ended("t1", "t2"), tasks("&task_id=t1", "t1"), tasks("&task_id=none")),
    row("/tasks of no framework", get("/tasks?framework_id=none", {"tasks": []})),
    row("/roles lists a role with its framework", Do(lambda c: c.scheduler()), get("/roles", {"roles": Has({
        "name": "web/a", "weight": 1.0, "frameworks": ["$framework"], "quota": {"role": "web/a", "guarantee": {}, "limit": {}, "consumed": {}},
        "resources": ANY, "allocated": {}, "offered": ANY, "reserved": {}})}), fact="5.4",
        framework={"capabilities": [{"type": "MULTI_ROLE"}], "roles": ["web/a"]}),
    row("/roles lists the ancestors of a role", Do(lambda c: c.scheduler()), get("/roles", {"roles": Has({"name": "tree"}, {"name": "tree/b"})}),
        fact="5.4", framework={"capabilities": [{"type": "MULTI_ROLE"}], "roles": ["tree/b"]}),
    row("/state-summary counts tasks of agents and frameworks", *ended("t1"), launch(task("t2", "sleep 1000")), Update("t2", "STARTING"),
        Update("t2", "RUNNING"), get("/state-summary", {"hostname": ANY, "slaves": [{
            "id": "$agent", "framework_ids": Has("$framework"), **{f"TASK_{s}": NUMBER for s in (
                "STAGING", "STARTING", "RUNNING", "KILLING", "FINISHED", "KILLED", "FAILED", "LOST", "ERROR", "UNREACHABLE")}}],
            "frameworks": Has({"id": "$framework", "TASK_RUNNING": 1, "TASK_FINISHED": 1, "TASK_FAILED": 0, "slave_ids": ["$agent"]})}), fact="5.3"),
    row("/teardown by form", Do(lambda c: c.scheduler()), Http("POST", "/teardown", 200, send="frameworkId=$framework", body=""),
        Http("POST", "/teardown", 400, send="frameworkId=$framework")),
    row("/master/teardown by form", Do(lambda c: c.scheduler()), Http("POST", "/master/teardown", 200, send="frameworkId=$framework")),
    row("/teardown without frameworkId is 400", Http("POST", "/teardown", 400, send=""), Http("POST", "/teardown", 400, send="other=1")),
    row("/teardown of nobody is 400", Http("POST", "/teardown", 400, send="frameworkId=none")),
    row("/teardown with bad percent signs is 400", Http("POST", "/teardown", 400, send="frameworkId=%zz")),
]

AGENT = [
    row("agent: /state tells of itself", get("/state", {
        "id": "$agent", "pid": Re(r"^slave\(1\)@127"), "hostname": ANY, "start_time": NUMBER, "attributes": {"rack": "r1", "size": 7.0},
        "resources": {"cpus": 4.0, "ports": "[31000-31100]"}, "unreserved_resources": {"cpus": 4.0}, "reserved_resources": {},
        "reserved_resources_allocated": ANY, "unreserved_resources_allocated": ANY, "resource_providers": [], "capabilities": Has("MULTI_ROLE"),
        "frameworks": ANY, "completed_frameworks": ANY}, node="agent"), fact="5.6"),
    row("agent: /state tells where the sandbox is", *RUNNING, Do(lambda c: sandbox(c)), fact="5.6"),
    row("agent: /state tells of an executor and its task", *RUNNING, get("/state", {"frameworks": Has({
        "id": "$framework", "name": "conformance", "user": "root", "role": "*", "executors": [{
            "id": "t1", "source": "t1", "name": Re("Command Executor"), "container": ANY, "resources": {"cpus": NUMBER, "mem": NUMBER},
            "tasks": [{"id": "t1", "state": "TASK_RUNNING", "executor_id": ANY, "slave_id": "$agent"}], "queued_tasks": [],
            "completed_tasks": []}], "completed_executors": []})}, node="agent"), fact="5.6"),
    row("agent: /state tells of completed executors", *ended("t1"), Do(lambda c: completed(c)), fact="5.6"),
    row("agent: /monitor/statistics", *RUNNING, get("/monitor/statistics", Has({
        "framework_id": "$framework", "executor_id": "t1", "executor_name": Re("Command Executor"), "source": "t1", "statistics": {
            "timestamp": NUMBER, "cpus_soft_limit": NUMBER, "mem_limit_bytes": NUMBER}}), node="agent"), fact="5.5"),
    row("agent: /containers", *RUNNING, get("/containers?framework_id=$framework", [{
        "framework_id": "$framework", "executor_id": "t1", "container_id": ANY, "source": "t1", "statistics": ANY,
        "status": {"container_id": {"value": ANY}}}], node="agent"), fact="5.5"),
    row("agent: /containers by executor_id and container_id", *RUNNING,
        get("/containers?framework_id=$framework&executor_id=t1", [{"executor_id": "t1"}], node="agent"),
        get("/containers?framework_id=$framework&executor_id=none", [], node="agent"),
        get("/containers?container_id=none", [], node="agent"), get("/containers?framework_id=none", [], node="agent"), fact="5.5"),
]


def executors(context, key):
    state = json.loads(wire.ask(context.nodes.address("agent"), "GET", "/state").body)
    return [e for kind in ("frameworks", "completed_frameworks") for f in state[kind] if f["id"] == context.framework_id for e in f[key]]


def sandbox(context):
    directory, = [e["directory"] for e in executors(context, "executors")]
    assert pathlib.Path(directory, "stdout").is_file(), directory
    parts = rf"/slaves/{context.nodes.agent_id}/frameworks/{context.framework_id}/executors/t1/runs/[0-9a-f-]{{36}}$"
    assert directory.startswith(str(context.nodes.work_dir)) and re.search(parts, directory), directory


def completed(context):
    """The executor ends a moment after its task."""

    for _ in range(500):
        found = executors(context, "completed_executors")
        if found:
            expect([{"id": "t1", "tasks": [], "completed_tasks": [{"id": "t1", "state": "TASK_FINISHED"}], "directory": ANY}], found)
            return
        time.sleep(0.01)
    raise AssertionError("no completed executor")


@pytest.mark.parametrize("row, encoding", cases(PLAIN + JSONP + MASTER + AGENT))
def test_legacy(nodes, protos, row, encoding):
    run_row(nodes, protos, row, encoding)
