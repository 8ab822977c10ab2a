# SPDX-License-Identifier: Apache-2.0
"""JSON as Mesos reads and writes it, which is not protobuf's own mapping (facts: mesos 0.4, 0.5, 13.1)."""
import json

import pytest

import frame
import mesos_wire as wire
from frame import ABSENT, ANY, Ask, Do, Has, Http, Row, Update, cases, expect, launch, run_row, task

JSON = {"Content-Type": "application/json"}
HEALTHY = {"type": "GET_HEALTH", "get_health": {"healthy": True}}


def row(fact, says, *steps, **more):
    return Row(fact, says, list(steps), encodings=("json",), **more)


def master(says, body, status, fact="0.4", node="master", **more):
    return row(fact, says, Http("POST", "/api/v1", status, node, JSON, body if isinstance(body, str) else json.dumps(body), **more))


def scheduler(says, call, status, fact="0.4", **more):
    """A call of a subscribed framework, by hand."""
    def send(context):
        body = {"framework_id": {"value": context.name("framework")}, **context.fill(call)}
        got = wire.ask(context.nodes.address("master"), "POST", "/api/v1/scheduler", {
            **JSON, "Mesos-Stream-Id": context.name("stream")}, json.dumps(body).encode())
        assert got.status == status, got
    return row(fact, says, Do(send), **more)


LEVEL = {"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": 0, "duration": {"nanoseconds": 1000}}}


def level(value, nanoseconds=1000):
    return {"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": value, "duration": {"nanoseconds": nanoseconds}}}


def info(**fields):
    return {"type": "UPDATE_FRAMEWORK", "update_framework": {"framework_info": {**frame.FRAMEWORK, "id": {"value": "$framework"}, **fields}}}


def request(**fields):
    return {"type": "REQUEST", "request": {"requests": [{"agent_id": {"value": "a"}, "resources": [
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}, **fields}]}]}}


def message(data):
    return {"type": "MESSAGE", "message": {"agent_id": {"value": "a"}, "executor_id": {"value": "e"}, "data": data}}


INPUT = [
    *[master(f"{n}: an unknown field is passed over", {"type": "GET_HEALTH", "bogus": {"a": [1, None, "x"]}}, 200, node=n, json=HEALTHY)
      for n in ("master", "agent")],
    master("null is not set", {"type": "GET_HEALTH", "get_metrics": None}, 200),
    master("null for the type is no type", {"type": None}, 400),
    master("null for a sub-message that is needed is 400", {"type": "GET_METRICS", "get_metrics": None}, 400),
    master("a number as a string", level("0", "1000"), 200),
    master("a string that is no number is 400", level("x"), 400),
    master("an empty string for a number is 400", level(""), 400),
    master("a fraction for an integer is 400", level(0.5), 400),
    master("a negative number for an unsigned one is 400", level(-1), 400),
    master("a number beyond its type is 400", level(2**32), 400),
    master("a number beyond 64 bits is 400", level(0, 2**64), 400),
    master("a bool for a number is 400", level(True), 400),
    master("an object for a number is 400", level({}), 400),
    master("a number for an enum is 400", {"type": 1}, 400),
    master("a bool for an enum is 400", {"type": True}, 400),
    master("an enum in lower case is not known", {"type": "get_health"}, 400),
    master("a scalar for a message is 400", {"type": "GET_METRICS", "get_metrics": 5}, 400),
    master("a string for a message is 400", {"type": "GET_METRICS", "get_metrics": "x"}, 400),
    master("an array for a message is 400", {"type": "GET_METRICS", "get_metrics": []}, 400),
    master("an array for a scalar is 400", {"type": ["GET_HEALTH"]}, 400),
    master("a required field that is missing is 400", {"type": "SET_LOGGING_LEVEL", "set_logging_level": {"level": 0}}, 400),
    master("a required field deep inside that is missing is 400", {"type": "SET_LOGGING_LEVEL", "set_logging_level": {
        "level": 0, "duration": {}}}, 400),
    *[master(f"{n}: 300 levels in an unknown field are 400", '{"type":"GET_HEALTH","bogus":' + "[" * 300 + "]" * 300 + "}", 400, "0.7", node=n)
      for n in ("master", "agent")],
    *[master(f"{n}: 100000 levels are 400", '{"type":"GET_HEALTH","bogus":' + "[" * 100_000, 400, "0.7", node=n) for n in ("master", "agent")],
    *[master(f"not JSON is 400: {text[:20]}", text, 400) for text in (
        "{'type':'GET_HEALTH'}", '{"type":"GET_HEALTH",}', '{"type":GET_HEALTH}', '{"type":"GET_HEALTH"', '{"type":"GET\nHEALTH"}',
        '{"type" "GET_HEALTH"}', '{"type":"\\ud800"}', '{"type":"\\x41"}', '{"type":"GET_HEALTH","a":01}', '{"type":"GET_HEALTH","a":+1}',
        '{"type":"GET_HEALTH","a":.5}', '{"type":"GET_HEALTH","a":NaN}', "\ufeff{}")],
    master("white space around and inside", ' \t\r\n{ "type" :\n"GET_HEALTH" } \n', 200, json=HEALTHY),
    master("escapes in names and values", '{"\\u0074ype":"GET\\u005fHEALTH"}', 200, json=HEALTHY),
    scheduler("a bool as a string: the same", info(checkpoint="false"), 200),
    scheduler("a bool as a string: another", info(checkpoint="true"), 400),
    scheduler("a string that is no bool is 400", info(checkpoint="yes"), 400),
    scheduler("a number for a bool is 400", info(checkpoint=1), 400),
    scheduler("a double as a string", info(failover_timeout="7.5"), 200),
    scheduler("an integer for a double", info(failover_timeout=7), 200),
    scheduler("an unknown name in an optional enum is not set", info(capabilities=[{"type": "NO_SUCH_CAPABILITY"}]), 200),
    scheduler("a number in an optional enum is 400", info(capabilities=[{"type": 1}]), 400),
    scheduler("an object for a list is a list of one", info(capabilities={"type": "PARTITION_AWARE"}), 200),
    scheduler("a number for a string is 400", info(hostname=5), 400),
    scheduler("a required string that is missing is 400", {"type": "KILL", "kill": {"task_id": {}}}, 400),
    scheduler("an unknown name in a required enum is 400", request(type="NO_SUCH_TYPE"), 400),
    scheduler("a required enum that is missing is 400", {"type": "REQUEST", "request": {"requests": [{"resources": [{"name": "cpus"}]}]}}, 400),
    scheduler("base64", message("AP9oaQ=="), 202),
    scheduler("base64 of nothing", message(""), 202),
    *[scheduler(f"what is not base64 is 400: {data!r}", message(data), 400) for data in ("***", "A", "AA", "AAA", "AA=A", "A===", "aGk=aGk=")],
    scheduler("a number for bytes is 400", message(5), 400),
]


def raw(says, kind, contains, before=(), node="master", lacks=(), fact="0.4", **more):
    """Looks at the text of an answer, before any parser has made it right."""
    def look(context):
        got = wire.ask(context.nodes.address(node), "POST", "/api/v1", JSON, json.dumps({"type": kind}).encode())
        assert got.status == 200, got
        text = got.body.decode("ascii")
        for part in context.fill(list(contains)):
            assert part in text, f"no {part} in {text}"
        for part in context.fill(list(lacks)):
            assert part not in text, f"{part} in {text}"
    return row(fact, says, *before, Do(look), **more)


SUBSCRIBED = [Do(lambda c: c.scheduler())]
RUNNING = [launch(task("t1", "sleep 1000")), Update("t1", "STARTING"), Update("t1", "RUNNING")]
OUTPUT = [
    raw("defaults that are declared are printed", "GET_FRAMEWORKS", ['"failover_timeout":0.0', '"checkpoint":false'], SUBSCRIBED),
    raw("a deprecated field that is not set is not printed", "GET_FRAMEWORKS", [], SUBSCRIBED, lacks=['"role":"*","capabilities"']),
    raw("doubles keep a fraction", "GET_AGENTS", ['"scalar":{"value":4.0}'], SUBSCRIBED),
    raw("64-bit integers are numbers", "GET_AGENTS", ['"registered_time":{"nanoseconds":1'], lacks=['"nanoseconds":"']),
    raw("names are those of the .proto files", "GET_FRAMEWORKS", ['"framework_info"', '"registered_time"'], SUBSCRIBED,
        lacks=['"frameworkInfo"', '"registeredTime"']),
    raw("v1 says agent", "GET_AGENTS", ['"agent_info"'], lacks=['"slave_id"', '"slave_info"']),
    raw("enums are names", "GET_AGENTS", ['"type":"SCALAR"']),
    raw("bytes are base64 with padding", "GET_TASKS", ['=="'], RUNNING),
    raw("empty lists are left out", "GET_ROLES", [], SUBSCRIBED, lacks=['"resources":[]']),
    raw("non-ASCII is escaped", "GET_FRAMEWORKS", ["caf\\u00e9 \\ud83d\\ude00"], SUBSCRIBED, framework={"name": "caf\u00e9 \U0001f600"}, fact="13.1"),
    raw("control characters are escaped", "GET_FRAMEWORKS", ["a\\nb\\u0001c"], SUBSCRIBED, framework={"name": "a\nb\x01c"}),
    raw("a quote and a backslash are escaped", "GET_FRAMEWORKS", ['a\\"b\\\\c'], SUBSCRIBED, framework={"name": 'a"b\\c'}),
    row("13.1", "streams are ASCII: a message with what is not", launch(task("t1", command={"value": "true", "uris": [
        {"value": "/caf\u00e9"}]})), Update("t1", "FAILED", has={"message": frame.Re("caf\u00e9")})),
    Row("0.4", "the default of a command is told", [
        launch(task("t1", "sleep 1000")), Update("t1", "STARTING"), Update("t1", "RUNNING"),
        Ask("agent", {"type": "GET_EXECUTORS"}, 200, {"get_executors": {"executors": Has({"executor_info": {
            "framework_id": {"value": "$framework"}, "command": {"shell": ANY}}})}})]),
    Row("6.4", "what is offered has the role *", [Do(lambda c: frame.expect(
        {"resources": Has({"name": "cpus", "role": "*"})}, c.take_offer()))]),
    Row("6.4", "what is offered to who knows RESERVATION_REFINEMENT has no role of its own", [Do(lambda c: frame.expect(
        {"resources": Has({"name": "cpus", "role": ABSENT})}, c.take_offer()))],
        framework={"capabilities": [{"type": "RESERVATION_REFINEMENT"}]}),
    Row("0.4", "an infinite limit is read and told as a string", [Do(lambda c: infinite(c))], encodings=("json",)),
]


def infinite(context):
    launch(task("t1", "sleep 1000", limits={"cpus": {"value": "Infinity"}, "mem": {"value": "Infinity"}})).run(context)
    for state in ("STARTING", "RUNNING"):
        Update("t1", state).run(context)
    got = wire.ask(context.nodes.address("master"), "POST", "/api/v1", JSON, b'{"type":"GET_TASKS"}')
    tasks = [t for t in json.loads(got.body)["get_tasks"]["tasks"] if t["framework_id"]["value"] == context.framework_id]
    expect([{"limits": {"cpus": {"value": "Infinity"}, "mem": {"value": "Infinity"}}}], tasks)


@pytest.mark.parametrize("row, encoding", cases(INPUT + OUTPUT))
def test_json(nodes, protos, row, encoding):
    run_row(nodes, protos, row, encoding)
