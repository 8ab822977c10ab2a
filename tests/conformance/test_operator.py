# SPDX-License-Identifier: Apache-2.0
"""The operator API of the master: queries, calls and the event stream (facts: mesos 3.1-3.3), and what both nodes have alike
(facts: mesos 4.2)."""
import json
import time

import pytest

import mesos_wire as wire
from frame import (ABSENT, ANY, TARGETS, Ask, Do, Has, Http, Re, Row, Update, Where, cases, expect, launch, run_row, task)

NODES = ("master", "agent")
NUMBER = Where("a number", lambda v: isinstance(v, (int, float)) and not isinstance(v, bool))
TIME = {"nanoseconds": Where("a time after 2020", lambda v: isinstance(v, int) and v > 1_577_836_800 * 10**9)}
RUNNING = [launch(task("t1", "sleep 1000")), Update("t1", "STARTING"), Update("t1", "RUNNING")]
ENDED = [launch(task("t1")), Update("t1", "STARTING"), Update("t1", "RUNNING"), Update("t1", "FINISHED")]


def asks(node, kind, answer, fact=None, before=(), says="", call=None):
    fact = fact or ("3.2" if node == "master" else "4.2")
    return Row(fact, f"{node}: {kind} {says}".strip(), [*before, Ask(node, {"type": kind, **(call or {})}, 200, {
        "type": kind, kind.lower(): answer})])


def mine(**fields):
    """A task of this row among those of others."""
    return Has({"task_id": {"value": "t1"}, "framework_id": {"value": "$framework"}, **fields})


QUERIES = [
    *[asks(n, "GET_HEALTH", {"healthy": True}) for n in NODES],
    *[asks(n, "GET_FLAGS", {"flags": Has({"name": "port", "value": ANY}, {"name": "ip", "value": "127.0.0.1"})}) for n in NODES],
    *[asks(n, "GET_VERSION", {"version_info": {"version": Re(r"^\d+\.\d+\.\d+$"), "build_date": ANY, "build_time": NUMBER,
                                               "build_user": ANY}}) for n in NODES],
    *[asks(n, "GET_LOGGING_LEVEL", {"level": 0}) for n in NODES],
    asks("master", "GET_METRICS", {"metrics": Has({"name": "master/uptime_secs", "value": NUMBER}, {"name": "master/elected", "value": 1.0})},
         call={"get_metrics": {}}),
    asks("agent", "GET_METRICS", {"metrics": Has({"name": "slave/uptime_secs", "value": NUMBER}, {"name": "slave/registered", "value": 1.0})},
         call={"get_metrics": {}}),
    *[asks(n, "GET_METRICS", {"metrics": ANY}, says="with a timeout", call={"get_metrics": {"timeout": {"nanoseconds": 10**9}}})
      for n in NODES],
    *[Row("0.7", f"{n}: GET_METRICS without get_metrics is 400", [Ask(n, {"type": "GET_METRICS"}, 400)]) for n in NODES],
    asks("master", "GET_MASTER", {"master_info": {"id": ANY, "pid": Re("^master@"), "port": ANY, "hostname": ANY, "ip": ANY,
                                                  "address": {"ip": "127.0.0.1"}}, "start_time": NUMBER, "elected_time": NUMBER}),
    asks("master", "GET_AGENTS", {"agents": [{
        "agent_info": {"id": {"value": "$agent"}, "hostname": ANY, "port": ANY, "resources": Has({"name": "cpus", "scalar": {"value": 4.0}}),
                       "attributes": Has({"name": "rack", "type": "TEXT", "text": {"value": "r1"}})},
        "active": True, "deactivated": False, "version": Re(r"^\d+\.\d+\.\d+$"), "pid": Re(r"^slave\(1\)@127\.0\.0\.1:\d+$"),
        "registered_time": TIME, "total_resources": Has({"name": "cpus", "role": "*", "scalar": {"value": 4.0}}),
        "capabilities": Has({"type": "MULTI_ROLE"}, {"type": "HIERARCHICAL_ROLE"}, {"type": "RESERVATION_REFINEMENT"})}]}),
    asks("master", "GET_AGENTS", {"agents": [{"allocated_resources": Has(
        {"name": "cpus", "scalar": {"value": 0.1}, "allocation_info": {"role": "*"}})}]}, before=RUNNING, says="tells what is in use"),
    asks("master", "GET_AGENTS", {"agents": [{"offered_resources": Has({"name": "cpus", "allocation_info": {"role": "*"}})}]},
         before=[Do(lambda c: c.take_offer())], says="tells what is offered"),
    asks("master", "GET_FRAMEWORKS", {"frameworks": Has({
        "framework_info": {"id": {"value": "$framework"}, "user": "root", "name": "conformance", "checkpoint": False,
                           "failover_timeout": 0.0},
        "active": True, "connected": True, "recovered": False, "registered_time": TIME, "reregistered_time": TIME})},
        before=[Do(lambda c: c.scheduler())]),
    asks("master", "GET_FRAMEWORKS", {"completed_frameworks": Has({
        "framework_info": {"id": {"value": "$framework"}}, "active": False, "connected": False, "unregistered_time": TIME})},
        before=[Ask("scheduler", {"type": "TEARDOWN"}, 202)], says="tells of those that ended"),
    asks("master", "GET_FRAMEWORKS", {"frameworks": Has({
        "framework_info": {"id": {"value": "$framework"}}, "offers": Has({"agent_id": {"value": "$agent"}}),
        "offered_resources": Has({"name": "cpus"})})}, before=[Do(lambda c: c.take_offer())], says="tells of offers"),
    asks("master", "GET_TASKS", {"tasks": mine(name="t1", agent_id={"value": "$agent"}, state="TASK_RUNNING", executor_id=ABSENT,
                                               resources=Has({"name": "cpus", "scalar": {"value": 0.1}, "allocation_info": {"role": "*"}}),
                                               statuses=Has({"state": "TASK_RUNNING"}), status_update_state="TASK_RUNNING",
                                               status_update_uuid=ANY)}, before=RUNNING),
    asks("master", "GET_TASKS", {"completed_tasks": mine(state="TASK_FINISHED")}, before=ENDED, says="tells of completed ones"),
    asks("master", "GET_STATE", {"get_tasks": {"tasks": mine(state="TASK_RUNNING")}, "get_executors": ANY, "get_frameworks": {
        "frameworks": Has({"framework_info": {"id": {"value": "$framework"}}})}, "get_agents": {"agents": [ANY]}}, before=RUNNING),
    asks("master", "GET_ROLES", {"roles": Has({"name": "web", "weight": 1.0, "frameworks": Has({"value": "$framework"})})},
         before=[Do(lambda c: c.scheduler())]),
    asks("master", "GET_EXECUTORS", ANY),
    asks("master", "GET_OPERATIONS", ANY),
    asks("agent", "GET_AGENT", {"agent_info": {"id": {"value": "$agent"}, "hostname": ANY, "port": ANY}}),
    asks("agent", "GET_STATE", {"get_tasks": {"launched_tasks": mine(state="TASK_RUNNING")}, "get_executors": {"executors": ANY},
                                "get_frameworks": {"frameworks": Has({"framework_info": {"id": {"value": "$framework"}}})}}, before=RUNNING),
    asks("agent", "GET_TASKS", {"launched_tasks": mine(state="TASK_RUNNING", statuses=Has({"state": "TASK_RUNNING"}))}, before=RUNNING),
    asks("agent", "GET_FRAMEWORKS", {"frameworks": Has({"framework_info": {"id": {"value": "$framework"}, "name": "conformance"}})},
         before=RUNNING),
    asks("agent", "GET_EXECUTORS", {"executors": Has({"executor_info": {"executor_id": {"value": "t1"}, "framework_id": {
        "value": "$framework"}, "source": "t1", "name": Re(r"Command Executor \(Task: t1\)")}})}, fact="2.6", before=RUNNING),
    asks("agent", "GET_CONTAINERS", {"containers": Has({
        "framework_id": {"value": "$framework"}, "executor_id": {"value": "t1"}, "container_id": {"value": ANY},
        "container_status": {"container_id": {"value": ANY}, "executor_pid": NUMBER},
        "resource_statistics": {"timestamp": NUMBER, "mem_limit_bytes": NUMBER, "cpus_soft_limit": NUMBER}})}, before=RUNNING),
    asks("agent", "GET_OPERATIONS", ANY),
    asks("agent", "GET_RESOURCE_PROVIDERS", ANY),
]
for row in QUERIES:
    if "GET_ROLES" in row.says:
        row.framework = {"capabilities": [{"type": "MULTI_ROLE"}], "roles": ["web"]}

MUTATIONS = ("SET_LOGGING_LEVEL", "UPDATE_WEIGHTS", "RESERVE_RESOURCES", "UNRESERVE_RESOURCES", "CREATE_VOLUMES", "DESTROY_VOLUMES",
             "GROW_VOLUME", "SHRINK_VOLUME", "UPDATE_MAINTENANCE_SCHEDULE", "START_MAINTENANCE", "STOP_MAINTENANCE", "DRAIN_AGENT",
             "DEACTIVATE_AGENT", "REACTIVATE_AGENT", "UPDATE_QUOTA", "SET_QUOTA", "REMOVE_QUOTA", "TEARDOWN", "MARK_AGENT_GONE",
             "LIST_FILES", "READ_FILE", "GET_METRICS")
CALLS = [
    *[Row("3.1", f"{kind} without its sub-message is 400", [Ask("master", {"type": kind}, 400)]) for kind in MUTATIONS],
    *[Row("4.2", f"agent: {kind} without its sub-message is 400", [Ask("agent", {"type": kind}, 400)]) for kind in (
        "SET_LOGGING_LEVEL", "LIST_FILES", "READ_FILE", "GET_METRICS", "WAIT_CONTAINER", "KILL_CONTAINER",
        "REMOVE_CONTAINER", "WAIT_NESTED_CONTAINER", "KILL_NESTED_CONTAINER", "REMOVE_NESTED_CONTAINER",
        "LAUNCH_NESTED_CONTAINER_SESSION", "ATTACH_CONTAINER_OUTPUT")],
    *[Row("0.3", f"{n}: type UNKNOWN is 501", [Ask(n, {"type": "UNKNOWN"}, 501)]) for n in NODES],
    *[Row("0.3", f"{n}: a missing type is 400", [Ask(n, {}, 400)]) for n in NODES],
    *[Row("0.3", f"{n}: an unrecognised type is 400", [Http("POST", "/api/v1", 400, n, {"Content-Type": "application/json"},
                                                           '{"type":"NO_SUCH"}')], encodings=("json",)) for n in NODES],
    *[Row("3.1", f"{n}: SET_LOGGING_LEVEL changes the level for a while", [
        Ask(n, {"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": 2, "duration": {"nanoseconds": 60 * 10**9}}}, 200),
        Ask(n, {"type": "GET_LOGGING_LEVEL"}, 200, {"get_logging_level": {"level": 2}}),
        Ask(n, {"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": 0, "duration": {"nanoseconds": 10**9}}}, 200),
        Ask(n, {"type": "GET_LOGGING_LEVEL"}, 200, {"get_logging_level": {"level": 0}})]) for n in NODES],
    *[Row("3.1", f"{n}: SET_LOGGING_LEVEL goes back by itself", [
        Ask(n, {"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": 1, "duration": {"nanoseconds": 0}}}, 200),
        Do(lambda c, n=n: level_is_soon(c, n, 0))]) for n in NODES],
    *[Row("3.1", f"{n}: SET_LOGGING_LEVEL to {level} for {time} ns is 400", [
        Ask(n, {"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": level, "duration": {"nanoseconds": time}}}, 400)])
      for n in NODES for level, time in ((4, 10**9), (1000, 10**9), (1, -1))],
    *[Row("3.2", f"{n}: {kind} of an unknown file is 404", [Ask(n, {"type": kind, kind.lower(): body}, 404)])
      for n in NODES for kind, body in (("LIST_FILES", {"path": "/no/such"}), ("READ_FILE", {"path": "/no/such", "offset": 0}),
                                        ("LIST_FILES", {"path": "/etc"}), ("READ_FILE", {"path": "/etc/passwd", "offset": 0}),
                                        ("READ_FILE", {"path": "../../etc/passwd", "offset": 0}))],
    Row("3.1", "TEARDOWN ends a framework", [
        Do(lambda c: c.scheduler()), Ask("master", {"type": "TEARDOWN", "teardown": {"framework_id": {"value": "$framework"}}}, 200),
        Ask("master", {"type": "TEARDOWN", "teardown": {"framework_id": {"value": "$framework"}}}, 400)]),
    Row("3.1", "TEARDOWN of no framework is 400", [Ask("master", {"type": "TEARDOWN", "teardown": {"framework_id": {"value": "none"}}}, 400)]),
    Row("3.1", "MARK_AGENT_GONE of no agent is 404", [
        Ask("master", {"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": "none"}}}, 404)]),
    *[Row("3.1", f"{kind} of no agent is 400", [Ask("master", {"type": kind, kind.lower(): {"agent_id": {"value": "none"}}}, 400)])
      for kind in ("DRAIN_AGENT", "DEACTIVATE_AGENT", "REACTIVATE_AGENT")],
    Row("3.1", "REACTIVATE_AGENT of an active agent is 400", [
        Ask("master", {"type": "REACTIVATE_AGENT", "reactivate_agent": {"agent_id": {"value": "$agent"}}}, 400)]),
    Row("3.1", "an agent is deactivated and reactivated", [
        Ask("master", {"type": "DEACTIVATE_AGENT", "deactivate_agent": {"agent_id": {"value": "$agent"}}}, 200),
        Ask("master", {"type": "GET_AGENTS"}, 200, {"get_agents": {"agents": [{"deactivated": True, "active": False}]}}),
        Ask("master", {"type": "REACTIVATE_AGENT", "reactivate_agent": {"agent_id": {"value": "$agent"}}}, 200),
        Ask("master", {"type": "GET_AGENTS"}, 200, {"get_agents": {"agents": [{"deactivated": False, "active": True}]}})]),
]


def level_is_soon(context, node, level):
    for _ in range(100):
        got = context.ask(node, {"type": "GET_LOGGING_LEVEL"})
        if context.encoding.decode(TARGETS[node].reply(context), got.body)["get_logging_level"]["level"] == level:
            return
    raise AssertionError(f"the level is not {level}")


# -- files -------------------------------------------------------------------------------------------------------------

SANDBOX = "/frameworks/$framework/executors/t1/runs/latest"
WRITER = [launch(task("t1", "printf 0123456789 > digits; mkdir folder; ln -s /etc/passwd outside; sleep 1000")),
          Update("t1", "STARTING"), Update("t1", "RUNNING"), Do(lambda c: wait_for_file(c, "outside"))]


def wait_for_file(context, name):
    for _ in range(500):
        if any(context.nodes.work_dir.glob(f"slaves/*/frameworks/{context.framework_id}/executors/t1/runs/*/{name}")) or any(
                p.is_symlink() for p in context.nodes.work_dir.glob(f"slaves/*/frameworks/{context.framework_id}/executors/t1/runs/*/{name}")):
            return
        time.sleep(0.01)
    raise AssertionError(f"no {name} in the sandbox")


FILES = [
    Row("3.2", "agent: LIST_FILES tells of a sandbox", WRITER + [Ask("agent", {"type": "LIST_FILES", "list_files": {"path": SANDBOX}}, 200, {
        "type": "LIST_FILES", "list_files": {"file_infos": Has({
            "path": SANDBOX + "/digits", "nlink": 1, "size": 10, "mtime": TIME, "mode": 0o100644, "uid": "root", "gid": "root"},
            {"path": SANDBOX + "/stdout"}, {"path": SANDBOX + "/stderr"}, {"path": SANDBOX + "/folder", "nlink": NUMBER})}})]),
    Row("3.2", "agent: READ_FILE reads all", WRITER + [Ask("agent", {"type": "READ_FILE", "read_file": {
        "path": SANDBOX + "/digits", "offset": 0}}, 200, {"type": "READ_FILE", "read_file": {"size": 10, "data": "MDEyMzQ1Njc4OQ=="}})]),
    Row("3.2", "agent: READ_FILE reads a part", WRITER + [Ask("agent", {"type": "READ_FILE", "read_file": {
        "path": SANDBOX + "/digits", "offset": 3, "length": 2}}, 200, {"read_file": {"size": 10, "data": "MzQ="}})]),
    Row("3.2", "agent: READ_FILE past the end reads nothing", WRITER + [Ask("agent", {"type": "READ_FILE", "read_file": {
        "path": SANDBOX + "/digits", "offset": 100, "length": 2}}, 200, {"read_file": {"size": 10, "data": ""}})]),
    *[Row("3.2", f"agent: {kind} of {path} is {status}", WRITER + [Ask("agent", {"type": kind, kind.lower(): {
        "path": SANDBOX + path, **({"offset": 0} if kind == "READ_FILE" else {})}}, status)])
      for kind, path, status in (("READ_FILE", "/none", 404), ("LIST_FILES", "/none", 404), ("READ_FILE", "/folder", 400),
                                 ("LIST_FILES", "/digits", 400), ("READ_FILE", "/outside", 404), ("READ_FILE", "/../../../..", 404),
                                 ("READ_FILE", "/../latest/digits", 404), ("LIST_FILES", "/..", 404))],
    Row("5.1", "agent: /files/browse", WRITER + [Http("GET", "/files/browse?path=" + SANDBOX, 200, "agent", json=Has({
        "path": SANDBOX + "/digits", "nlink": 1, "size": 10, "mtime": NUMBER, "mode": "-rw-r--r--", "uid": "root", "gid": "root"},
        {"path": SANDBOX + "/folder", "mode": Re("^drwx")}))], encodings=("json",)),
    Row("5.1", "agent: /files/read without offset tells the size", WRITER + [
        Http("GET", f"/files/read?path={SANDBOX}/digits", 200, "agent", json={"data": "", "offset": 10}),
        Http("GET", f"/files/read?path={SANDBOX}/digits&offset=-1", 200, "agent", json={"data": "", "offset": 10})], encodings=("json",)),
    Row("5.1", "agent: /files/read reads", WRITER + [
        Http("GET", f"/files/read?path={SANDBOX}/digits&offset=0", 200, "agent", json={"data": "0123456789", "offset": 0}),
        Http("GET", f"/files/read?path={SANDBOX}/digits&offset=4&length=3", 200, "agent", json={"data": "456", "offset": 4}),
        Http("GET", f"/files/read?path={SANDBOX}/digits&offset=99", 200, "agent", json={"data": "", "offset": 99})], encodings=("json",)),
    Row("5.1", "agent: /files/download", WRITER + [
        Http("GET", f"/files/download?path={SANDBOX}/digits", 200, "agent", body="0123456789", has={"content-disposition": Re("attachment")}, chunked=True),
        Http("GET", f"/files/download?path={SANDBOX}/folder", 400, "agent")], encodings=("json",)),
    Row("5.1", "agent: files outside of sandboxes are not there", WRITER + [
        Http("GET", "/files/read?path=/etc/passwd&offset=0", 404, "agent"), Http("GET", "/files/download?path=/etc/passwd", 404, "agent"),
        Http("GET", f"/files/read?path={SANDBOX}/outside&offset=0", 404, "agent"),
        Http("GET", f"/files/download?path={SANDBOX}/outside", 404, "agent"),
        Http("GET", f"/files/download?path={SANDBOX}/folder/../../../../../../../../../../../etc/passwd", 404, "agent")], encodings=("json",)),
]

# -- event stream ------------------------------------------------------------------------------------------------------


def observe(context):
    stream = context.open("observer", "master", {"type": "SUBSCRIBE"})
    assert stream.refusal is None and "mesos-stream-id" not in stream.headers, stream.headers
    expect({"type": "SUBSCRIBED", "subscribed": {"get_state": {"get_agents": {"agents": [{"agent_info": {"id": {
        "value": context.nodes.agent_id}}}]}}, "heartbeat_interval_seconds": 15.0}}, stream.next())
    expect({"type": "HEARTBEAT"}, stream.next())


def observes(says, *steps, sees):
    """Events about this row's framework, in this order; others' are passed over."""
    def look(context):
        wanted = [context.fill(w) for w in sees]
        for want in wanted:
            while True:
                event = context.streams["observer"].next()
                text = json.dumps(event)
                if event["type"] != "HEARTBEAT" and (context.framework_id in text or event["type"] == want["type"]):
                    break
            expect(want, event, "event")
    return Row("3.3", says, [Do(observe), *steps, Do(look)])


FRAMEWORK_ADDED = {"type": "FRAMEWORK_ADDED", "framework_added": {"framework": {
    "framework_info": {"id": {"value": "$framework"}, "name": "conformance"}, "active": True, "connected": True}}}
TASK_ADDED = {"type": "TASK_ADDED", "task_added": {"task": {"task_id": {"value": "t1"}, "state": "TASK_STAGING", "agent_id": {
    "value": "$agent"}}}}


def updated(state):
    return {"type": "TASK_UPDATED", "task_updated": {"framework_id": {"value": "$framework"}, "state": ANY, "status": {
        "task_id": {"value": "t1"}, "state": state, "uuid": ANY}}}


STREAM = [
    Row("3.3", "SUBSCRIBED with the state, then HEARTBEAT, no stream id", [Do(observe)]),
    Row("3.3", "SUBSCRIBE with a bad Accept is 406", [Ask("master", {"type": "SUBSCRIBE"}, 406, headers={"Accept": "text/plain"})]),
    observes("a framework is added", Do(lambda c: c.scheduler()), sees=[FRAMEWORK_ADDED]),
    observes("a task is added and updated", *ENDED, sees=[FRAMEWORK_ADDED, TASK_ADDED, updated("TASK_STARTING"),
                                                          updated("TASK_RUNNING"), updated("TASK_FINISHED")]),
    observes("a framework is removed", Ask("scheduler", {"type": "TEARDOWN"}, 202), sees=[
        FRAMEWORK_ADDED, {"type": "FRAMEWORK_REMOVED", "framework_removed": {"framework_info": {"id": {"value": "$framework"}}}}]),
    observes("a framework is updated", Ask("scheduler", {"type": "UPDATE_FRAMEWORK", "update_framework": {"framework_info": {
        "user": "root", "name": "other name", "id": {"value": "$framework"}}}}, 200), sees=[
        FRAMEWORK_ADDED, {"type": "FRAMEWORK_UPDATED", "framework_updated": {"framework": {"framework_info": {"name": "other name"}}}}]),
]


@pytest.mark.parametrize("row, encoding", cases(QUERIES + CALLS + FILES + STREAM))
def test_operator(nodes, protos, row, encoding):
    run_row(nodes, protos, row, encoding)


@pytest.mark.parametrize("node, kind", [(n, k) for n, kinds in (
    ("master", ("GET_FLAGS", "GET_VERSION", "GET_MASTER", "GET_AGENTS", "GET_FRAMEWORKS", "GET_TASKS", "GET_STATE", "GET_EXECUTORS", "GET_ROLES")),
    ("agent", ("GET_FLAGS", "GET_VERSION", "GET_AGENT", "GET_STATE", "GET_TASKS", "GET_FRAMEWORKS", "GET_EXECUTORS"))) for k in kinds])
def test_encodings_tell_the_same(nodes, protos, node, kind):
    """JSON and protobuf of one query, but for the lists that JSON shows also when they are empty."""
    target = TARGETS[node]
    bodies = {}
    for encoding in wire.ENCODINGS.values():
        module = protos[target.module]
        answer = wire.ask(nodes.address(node), "POST", "/api/v1", {"Content-Type": encoding.media, "Accept": encoding.media},
                          encoding.encode(module.Call, {"type": kind}))
        assert answer.status == 200, answer
        bodies[encoding.name] = without_empty_lists(encoding.decode(module.Response, answer.body))
    assert bodies["json"] == bodies["protobuf"]


def without_empty_lists(value):
    if isinstance(value, dict):
        return {k: without_empty_lists(v) for k, v in value.items() if v != []}
    return [without_empty_lists(v) for v in value] if isinstance(value, list) else value
