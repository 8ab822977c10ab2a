# SPDX-License-Identifier: Apache-2.0
"""The executor API (facts: mesos 2.1-2.5): each row launches a custom executor, whose program only waits, and speaks for it."""
import base64
import json
import re
import uuid

import pytest

import frame
from frame import ABSENT, ANY, UUID, Ask, Do, Has, Http, Re, Row, Sees, Silence, Update, cases, expect, launch, run_row, task

PROGRAM = "env > environment; sleep 1000"
EXECUTOR = {"executor_id": {"value": "e1"}, "command": {"value": PROGRAM}, "resources": frame.SMALL, "name": "an executor", "source": "src"}
IDS = {"framework_id": {"value": "$framework"}, "executor_id": {"value": "e1"}}
JSON = {"Content-Type": "application/json"}


def custom(task_id="t1", executor=None, **more):
    return task(task_id, command=ABSENT, executor={**EXECUTOR, **(executor or {})}, **more)


def subscribe(name="executor", **body):
    def run(context):
        call = context.fill({"type": "SUBSCRIBE", "subscribe": body, **IDS})
        context.open_until_known(name, "executor", call)
    return Do(run)


def hears(kind, body=None, name="executor"):
    """The executor's next event."""
    def run(context):
        event = context.streams[name].next()
        assert event is not None, f"the stream ended instead of {kind}"
        expect(context.fill({"type": kind, **(body or {})}), event, "event")
        context.names["event"] = event
    return Do(run)


def ends(name="executor"):
    return Do(lambda c: frame.expect(None, c.streams[name].next()))


def fresh_uuid():
    return base64.b64encode(uuid.uuid4().bytes).decode()


def status(state="RUNNING", task_id="t1", **more):
    made = {"task_id": {"value": task_id}, "state": "TASK_" + state, "source": "SOURCE_EXECUTOR", "uuid": fresh_uuid(),
            "timestamp": 1.5, **more}
    return {k: v for k, v in made.items() if v is not ABSENT}


def update(state="RUNNING", expected=202, **more):
    return Do(lambda c: send_update(c, expected, status(state, **more)))


def send_update(context, expected, sent):
    context.names["sent"] = sent
    Ask("executor", {"type": "UPDATE", **IDS, "update": {"status": sent}}, expected).run(context)


def acknowledged(name="executor"):
    """ACKNOWLEDGED of the update sent last."""
    return Do(lambda c: hears("ACKNOWLEDGED", {"acknowledged": {"task_id": {"value": "t1"}, "uuid": c.names["sent"]["uuid"]}}, name).run(c))


def message(expected=202):
    return Ask("executor", {"type": "MESSAGE", **IDS, "message": {"data": "aGVsbG8="}}, expected)


LAUNCHED = [launch(custom()), subscribe(), hears("SUBSCRIBED"), hears("LAUNCH")]
RUNNING = LAUNCHED + [update(), acknowledged(), Update("t1", "RUNNING")]


def bad_update(says, fact="2.1", expected=400, **fields):
    return Row(fact, says, LAUNCHED + [update(expected=expected, **fields), Silence()])


HTTP = [
    *[Row("2.1", f"{kind} of an unknown framework is 400", [Ask("executor", {
        "type": kind, "framework_id": {"value": "none"}, "executor_id": {"value": "e"}, **body}, 400)])
      for kind, body in (("SUBSCRIBE", {"subscribe": {}}), ("UPDATE", {"update": {"status": {
          "task_id": {"value": "t"}, "state": "TASK_RUNNING", "source": "SOURCE_EXECUTOR", "uuid": "AAAAAAAAAAAAAAAAAAAAAA=="}}}),
          ("MESSAGE", {"message": {"data": "aGk="}}))],
    Row("2.1", "an unknown executor of a known framework is 400", LAUNCHED + [Ask("executor", {
        "type": "MESSAGE", "framework_id": {"value": "$framework"}, "executor_id": {"value": "other"}, "message": {"data": "aGk="}}, 400)]),
    *[Row("2.1", f"a call without {field} is 400", [Http("POST", "/api/v1/executor", 400, "agent", JSON, json.dumps({
        k: v for k, v in {"type": "HEARTBEAT", "framework_id": {"value": "f"}, "executor_id": {"value": "e"}}.items() if k != field}))],
        encodings=("json",)) for field in ("framework_id", "executor_id", "type")],
    Row("2.1", "UPDATE without update is 400", [Ask("executor", {"type": "UPDATE", "framework_id": {"value": "f"}, "executor_id": {"value": "e"}}, 400)]),
    Row("2.1", "MESSAGE without message is 400", [Ask("executor", {"type": "MESSAGE", "framework_id": {"value": "f"}, "executor_id": {"value": "e"}}, 400)]),
    Row("2.1", "type UNKNOWN is 501", [Ask("executor", {"type": "UNKNOWN", "framework_id": {"value": "f"}, "executor_id": {"value": "e"}}, 501)]),
    Row("2.1", "SUBSCRIBE with a bad Accept is 406", [Ask("executor", {"type": "SUBSCRIBE", "subscribe": {}, "framework_id": {
        "value": "f"}, "executor_id": {"value": "e"}}, 406, headers={"Accept": "text/plain"})]),
    Row("2.1", "HEARTBEAT is 202", LAUNCHED + [Ask("executor", {"type": "HEARTBEAT", **IDS}, 202)]),
    Row("2.1", "the stream of an executor has no id", LAUNCHED + [
        Do(lambda c: frame.expect({"mesos-stream-id": ABSENT}, c.streams["executor"].headers))]),
    Row("13.1", "a stream id that an executor sends is passed over", LAUNCHED + [
        Ask("executor", {"type": "HEARTBEAT", **IDS}, 202, headers={"Mesos-Stream-Id": "anything"})]),
    Row("13.2", "SUBSCRIBE without its body is an empty one", [launch(custom()), Do(lambda c: c.open_until_known(
        "executor", "executor", c.fill({"type": "SUBSCRIBE", **IDS}))), hears("SUBSCRIBED"), hears("LAUNCH")]),
    Row("2.1", "MESSAGE while the executor registers is 403", [launch(custom()), Do(lambda c: refused_while_registering(c, {
        "type": "MESSAGE", **IDS, "message": {"data": "aGk="}}))]),
    Row("2.1", "UPDATE while the executor registers is 403", [launch(custom()), Do(lambda c: refused_while_registering(c, {
        "type": "UPDATE", **IDS, "update": {"status": status()}}))]),
]


def refused_while_registering(context, call):
    """400 until the agent has heard of the executor, 403 from then on."""
    for _ in range(500):
        got = context.ask("executor", call)
        if got.status == 403:
            return
        assert got.status == 400, got
        frame.time.sleep(0.01)
    raise AssertionError(got)


UPDATES = [
    bad_update("UPDATE without uuid is 400", uuid=ABSENT),
    bad_update("UPDATE whose uuid has 15 bytes is 400", uuid="AAAAAAAAAAAAAAAAAAAA"),
    bad_update("UPDATE whose uuid has 17 bytes is 400", uuid="AAAAAAAAAAAAAAAAAAAAAAA="),
    bad_update("UPDATE of another executor is 400", executor_id={"value": "other"}),
    bad_update("UPDATE of SOURCE_AGENT is 400", source="SOURCE_AGENT"),
    bad_update("UPDATE of SOURCE_MASTER is 400", source="SOURCE_MASTER"),
    bad_update("UPDATE without source is 400", source=ABSENT),
    bad_update("UPDATE of TASK_STAGING is 400", state="STAGING"),
    bad_update("UPDATE whose check_status has no type is 400", check_status={"command": {"exit_code": 1}}),
    bad_update("UPDATE whose check_status has another member is 400", check_status={"type": "HTTP", "command": {"exit_code": 1}}),
    Row("2.1", "UPDATE without timestamp is given the time", LAUNCHED + [update(timestamp=ABSENT), acknowledged(), Update("t1", "RUNNING", has={
        "timestamp": frame.Where("now", lambda v: abs(v - frame.time.time()) < 60)})]),
    Row("2.1", "UPDATE is told with what it carried", LAUNCHED + [update(
        executor_id={"value": "e1"}, message="a message", data="aGk=", healthy=True, labels={"labels": [{"key": "k", "value": "v"}]}),
        acknowledged(), Update("t1", "RUNNING", has={
            "source": "SOURCE_EXECUTOR", "executor_id": {"value": "e1"}, "agent_id": {"value": "$agent"}, "message": "a message",
            "data": "aGk=", "healthy": True, "timestamp": 1.5, "labels": {"labels": [{"key": "k", "value": "v"}]},
            "container_status": {"container_id": {"value": ANY}}})]),
    Row("2.1", "UPDATE keeps the executor's uuid", LAUNCHED + [update(), acknowledged(), Update("t1", "RUNNING"), Do(
        lambda c: frame.expect(c.names["sent"]["uuid"], c.names["uuid"]))]),
    Row("2.12", "the same update again is acknowledged, and not told twice", RUNNING + [
        Do(lambda c: send_update(c, 202, c.names["sent"])), acknowledged(), Silence()]),
    Row("2.12", "ACKNOWLEDGED does not wait for the scheduler", LAUNCHED + [
        update(), acknowledged(), update("FINISHED"), acknowledged(), Update("t1", "RUNNING"), Update("t1", "FINISHED")]),
    Row("1.11", "any number of RUNNING updates are told", LAUNCHED + [
        *[step for _ in range(3) for step in (update(message="again"), acknowledged(), Update("t1", "RUNNING"))]]),
    *[Row("1.11", f"TASK_{state} of an executor ends its task", LAUNCHED + [update(state), acknowledged(), Update("t1", state)])
      for state in ("FINISHED", "FAILED", "KILLED", "ERROR", "LOST")],
    Row("1.11", "TASK_STARTING is told", LAUNCHED + [update("STARTING"), acknowledged(), Update("t1", "STARTING")]),
]

EVENTS = [
    Row("2.3", "SUBSCRIBED tells of executor, framework, agent and container", [launch(custom()), subscribe(), hears("SUBSCRIBED", {
        "subscribed": {
            "executor_info": {"executor_id": {"value": "e1"}, "framework_id": {"value": "$framework"}, "command": {"value": PROGRAM, "shell": True},
                              "name": "an executor", "source": "src", "resources": Has({"name": "cpus", "scalar": {"value": 0.1}})},
            "framework_info": {"id": {"value": "$framework"}, "user": "root", "name": "conformance"},
            "agent_info": {"id": {"value": "$agent"}, "hostname": ANY, "port": ANY, "resources": Has({"name": "cpus"})},
            "container_id": {"value": Re(r"^[0-9a-f-]{36}$")}}})]),
    Row("2.3", "LAUNCH carries the task", [launch(custom(data="aGk=", labels={"labels": [{"key": "k", "value": "v"}]})), subscribe(),
                                           hears("SUBSCRIBED"), hears("LAUNCH", {"launch": {"task": {
                                               "name": "t1", "task_id": {"value": "t1"}, "agent_id": {"value": "$agent"}, "data": "aGk=",
                                               "resources": Has({"name": "mem", "scalar": {"value": 32.0}}),
                                               "labels": {"labels": [{"key": "k", "value": "v"}]}}}})]),
    Row("2.4", "tasks that wait for their executor come in order", [
        launch(*[custom(f"t{i}") for i in range(1, 5)]), subscribe(), hears("SUBSCRIBED"),
        *[hears("LAUNCH", {"launch": {"task": {"task_id": {"value": f"t{i}"}}}}) for i in range(1, 5)]]),
    Row("2.3", "one more task of a running executor", RUNNING + [
        launch(custom("t2")), hears("LAUNCH", {"launch": {"task": {"task_id": {"value": "t2"}}}})]),
    Row("2.3", "KILL is passed on", RUNNING + [
        Ask("scheduler", {"type": "KILL", "kill": {"task_id": {"value": "t1"}}}, 202),
        hears("KILL", {"kill": {"task_id": {"value": "t1"}, "kill_policy": ABSENT}}), update("KILLED"), acknowledged(), Update("t1", "KILLED")]),
    Row("2.3", "KILL is passed on with its policy", RUNNING + [
        Ask("scheduler", {"type": "KILL", "kill": {"task_id": {"value": "t1"}, "kill_policy": {"grace_period": {"nanoseconds": 7}}}}, 202),
        hears("KILL", {"kill": {"task_id": {"value": "t1"}, "kill_policy": {"grace_period": {"nanoseconds": 7}}}})]),
    Row("1.13", "KILL is passed on each time", RUNNING + [step for _ in range(2) for step in (
        Ask("scheduler", {"type": "KILL", "kill": {"task_id": {"value": "t1"}}}, 202), hears("KILL"))]),
    Row("1.13", "a scheduler's MESSAGE comes to the executor", RUNNING + [
        Ask("scheduler", {"type": "MESSAGE", "message": {"agent_id": {"value": "$agent"}, "executor_id": {"value": "e1"}, "data": "AP9oaQ=="}}, 202),
        hears("MESSAGE", {"message": {"data": "AP9oaQ=="}})]),
    Row("1.4", "an executor's MESSAGE comes to the scheduler", RUNNING + [
        message(), Sees("MESSAGE", {"message": {"agent_id": {"value": "$agent"}, "executor_id": {"value": "e1"}, "data": "aGVsbG8="}})]),
    Row("2.8", "SHUTDOWN is passed on, its end is told by FAILURE", RUNNING + [
        Ask("scheduler", {"type": "SHUTDOWN", "shutdown": {"agent_id": {"value": "$agent"}, "executor_id": {"value": "e1"}}}, 202),
        hears("SHUTDOWN")], ),
    Row("2.8", "the end of a framework is SHUTDOWN to its executors", RUNNING + [Ask("scheduler", {"type": "TEARDOWN"}, 202), hears("SHUTDOWN")]),
    Row("1.4", "the end of an executor is told: FAILED by the agent, FAILURE with its status", [
        launch(custom(executor={"command": {"value": "exit 3"}})), Do(lambda c: both_ends(c))]),
    Row("1.7", "an offer names the executors that are there", RUNNING + [
        Do(lambda c: frame.expect({"executor_ids": [{"value": "e1"}]}, offer_after(c)))]),
    Row("1.15", "another executor under the same id is an error", RUNNING + [
        launch(custom("t2", executor={"name": "another"})), Update("t2", "ERROR", uuid=False, has={"reason": "REASON_TASK_INVALID"})]),
]


def offer_after(context):
    """An offer of the time after the launch; older ones were used up by it."""
    return context.take_offer()


def both_ends(context):
    seen = {}
    while len(seen) < 2:
        event = context.next_event()
        if event["type"] == "UPDATE":
            expect({"state": "TASK_FAILED", "source": "SOURCE_AGENT", "reason": "REASON_EXECUTOR_TERMINATED"}, event["update"]["status"])
        elif event["type"] == "FAILURE":
            expect({"agent_id": {"value": context.nodes.agent_id}, "executor_id": {"value": "e1"}, "status": 3 << 8}, event["failure"])
        else:
            continue
        seen[event["type"]] = event


def unacknowledged(context, *statuses, tasks=()):
    context.open_until_known("executor", "executor", context.fill({"type": "SUBSCRIBE", **IDS, "subscribe": {
        "unacknowledged_tasks": list(tasks), "unacknowledged_updates": [{"status": s} for s in statuses]}}))


AGAIN = [
    Row("2.3", "a second SUBSCRIBE closes the first stream without a word", RUNNING + [
        Do(lambda c: c.streams.__setitem__("old", c.streams.pop("executor"))), subscribe(), hears("SUBSCRIBED"), ends("old"),
        update("FINISHED"), acknowledged(), Update("t1", "FINISHED")]),
    Row("2.4", "the stream that is gone may be opened again", RUNNING + [
        Do(lambda c: c.streams.pop("executor").close()), subscribe(), hears("SUBSCRIBED"), update("FINISHED"), acknowledged(),
        Update("t1", "FINISHED")]),
    Row("2.4", "an unacknowledged update of the agent's absence is told", LAUNCHED + [
        Do(lambda c: c.streams.pop("executor").close()), Do(lambda c: c.names.__setitem__("sent", status())),
        Do(lambda c: unacknowledged(c, c.names["sent"], tasks=[c.fill(custom())])), hears("SUBSCRIBED"), acknowledged(), Update("t1", "RUNNING")]),
    Row("2.4", "an unacknowledged update that was told is not told again", RUNNING + [
        Do(lambda c: c.streams.pop("executor").close()),
        Do(lambda c: unacknowledged(c, c.names["sent"], tasks=[c.fill(custom())])), hears("SUBSCRIBED"), acknowledged(), Silence()]),
    Row("2.4", "messages work over the second stream", RUNNING + [
        Do(lambda c: c.streams.pop("executor").close()), subscribe(), hears("SUBSCRIBED"),
        Ask("scheduler", {"type": "MESSAGE", "message": {"agent_id": {"value": "$agent"}, "executor_id": {"value": "e1"}, "data": "aGk="}}, 202),
        hears("MESSAGE")]),
]


def environment(context):
    """What the program of the executor was given."""
    pattern = f"slaves/*/frameworks/{context.framework_id}/executors/e1/runs/*/environment"
    for _ in range(500):
        for path in context.nodes.work_dir.glob(pattern):
            text = path.read_text()
            if "MESOS_SLAVE_PID" in text:
                return dict(re.findall(r"^(\w+)=(.*)$", text, re.M)), str(path.parent)
        frame.time.sleep(0.01)
    raise AssertionError("the executor's program has not begun")


def has_environment(says, fact="2.5", framework=None, executor=None, **wanted):
    def check(context):
        got, _ = environment(context)
        expect(context.fill(wanted), got, "environment")
    return Row(fact, says, [launch(custom(executor=executor)), Do(check)], framework=framework or {})


ENVIRONMENT = [
    has_environment("ids", MESOS_FRAMEWORK_ID="$framework", MESOS_EXECUTOR_ID="e1", MESOS_SLAVE_ID="$agent"),
    has_environment("there is no MESOS_AGENT_ID", MESOS_AGENT_ID=ABSENT),
    has_environment("the agent's address", MESOS_AGENT_ENDPOINT=Re(r"^127\.0\.0\.1:\d+$"), MESOS_SLAVE_PID=Re(r"^slave\(1\)@127\.0\.0\.1:\d+$")),
    has_environment("folders", MESOS_DIRECTORY=Re("/runs/"), MESOS_SANDBOX=Re("/")),
    has_environment("without checkpoint", MESOS_CHECKPOINT="0", MESOS_RECOVERY_TIMEOUT=ABSENT, MESOS_SUBSCRIPTION_BACKOFF_MAX=ABSENT),
    has_environment("with checkpoint", framework={"checkpoint": True}, MESOS_CHECKPOINT="1", MESOS_RECOVERY_TIMEOUT="15mins",
                    MESOS_SUBSCRIPTION_BACKOFF_MAX="2secs"),
    has_environment("the grace period of the flag", MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD="5secs"),
    has_environment("the grace period of the executor", executor={"shutdown_grace_period": {"nanoseconds": 90 * 10**9}},
                    MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=Re("^(90secs|1.5mins)$")),
    has_environment("the other fixed ones", MESOS_HTTP_COMMAND_EXECUTOR=Re("^[01]$"), LIBPROCESS_PORT="0"),
    has_environment("the command's own wins", executor={"command": {"value": PROGRAM, "environment": {"variables": [
        {"name": "MINE", "value": "x y"}, {"name": "LIBPROCESS_PORT", "value": "9"}]}}}, MINE="x y", LIBPROCESS_PORT="9"),
    has_environment("not the agent's own", MUSTER_READY_FD=ABSENT, PYTEST_CURRENT_TEST=ABSENT),
    Row("2.5", "the sandbox is the working directory", [launch(custom(executor={"command": {"value": "pwd > environment; env >> environment; sleep 1000"}})),
                                                        Do(lambda c: frame.expect(environment(c)[0]["MESOS_SANDBOX"], environment(c)[0]["PWD"]))]),
]


@pytest.mark.parametrize("row, encoding", cases(HTTP + UPDATES + EVENTS + AGAIN + ENVIRONMENT))
def test_executor(nodes, protos, row, encoding):
    run_row(nodes, protos, row, encoding)
