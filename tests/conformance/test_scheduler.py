# SPDX-License-Identifier: Apache-2.0
"""The scheduler API at work: subscription, offers, tasks, reconciliation (facts: mesos 1.3-1.15)."""
import pytest

import frame
from frame import (ABSENT, ANY, FRAMEWORK, Ask, Do, Ended, Has, Re, Row, Sees, Silence, Subscribe, Update, Where, accept, cases,
                   launch, launch_group, run_row, scalar, task)

UUID16 = "AAAAAAAAAAAAAAAAAAAAAA=="
PA = {"capabilities": [{"type": "PARTITION_AWARE"}]}
MULTI = {"capabilities": [{"type": "MULTI_ROLE"}]}
KILLING = {"capabilities": [{"type": "TASK_KILLING_STATE"}]}
SUBSCRIBED = {"type": "SUBSCRIBED", "subscribed": {"framework_id": {"value": ANY}}}
ERROR = {"type": "ERROR", "error": {"message": Re(".")}}
MASTER = {"source": "SOURCE_MASTER"}
EXECUTOR = {"source": "SOURCE_EXECUTOR"}
AGENT = {"source": "SOURCE_AGENT"}


def refused(says, info, fact="1.5", **subscribe):
    """Refusals that come in a stream of 200: ERROR, then its end."""
    return Row(fact, says, [Subscribe(ERROR, info=info, call={"subscribe": subscribe} if subscribe else {}, then_ends=True)])


def accepted(says, info, fact="1.5", **subscribe):
    return Row(fact, says, [Subscribe(SUBSCRIBED, info=info, call={"subscribe": subscribe} if subscribe else {}), Silence()])


def constrained(predicate):
    """Of the offers of role a."""
    return {"offer_constraints": {"role_constraints": {"a": {"groups": [{"attribute_constraints": [{
        "selector": {"attribute_name": "rack"}, "predicate": predicate}]}]}}}}


SUBSCRIPTION = [
    Row("1.4", "SUBSCRIBED is first and tells id, interval and master", [Subscribe({"type": "SUBSCRIBED", "subscribed": {
        "framework_id": {"value": Re(r"^[0-9a-f-]{36}-\d{4,}$")}, "heartbeat_interval_seconds": 15.0, "master_info": {
            "id": ANY, "ip": ANY, "port": ANY, "pid": Re(r"^master@127\.0\.0\.1:\d+$"), "hostname": ANY, "version": Re(r"^\d+\.\d+\.\d+$"),
            "address": {"ip": "127.0.0.1", "port": ANY}}}})]),
    Row("1.4", "a HEARTBEAT follows at once", [
        Subscribe(SUBSCRIBED), Do(lambda c: frame.expect({"type": "HEARTBEAT"}, c.streams["scheduler"].next(3)))]),
    Row("1.4", "HEARTBEAT has nothing but its type", [
        Subscribe(SUBSCRIBED), Do(lambda c: frame.expect(1, len(c.streams["scheduler"].next(3))))]),
    Row("1.6", "an empty id is no id", [Subscribe(SUBSCRIBED, info={"id": {"value": ""}}, call={"framework_id": {"value": ""}})]),
    Row("1.6", "any valid id that the master does not know is taken", [Subscribe(
        {"type": "SUBSCRIBED", "subscribed": {"framework_id": {"value": "made-up-by-the-framework"}}},
        info={"id": {"value": "made-up-by-the-framework"}}, call={"framework_id": {"value": "made-up-by-the-framework"}})],
        encodings=("json",)),
    Row("1.6", "a second subscription takes over: the first gets ERROR and ends, ids stay, streams change", [
        Subscribe(SUBSCRIBED), Do(lambda c: c.streams.__setitem__("old", c.streams.pop("scheduler"))),
        Do(lambda c: c.names.__setitem__("old_stream", c.names["stream"])),
        Subscribe({"type": "SUBSCRIBED", "subscribed": {"framework_id": {"value": "$framework"}}},
                  info={"id": {"value": "$framework"}}, call={"framework_id": {"value": "$framework"}}),
        Do(lambda c: old_stream_ends(c)),
        Ask("scheduler", {"type": "REVIVE"}, 400, headers={"Mesos-Stream-Id": "$old_stream"}),
        Ask("scheduler", {"type": "REVIVE"}, 202), Silence()]),
    Row("1.6", "offers held at a failover are void and not rescinded", [
        Subscribe(SUBSCRIBED, info={"failover_timeout": 30.0}), Do(lambda c: c.take_offer()),
        Subscribe(SUBSCRIBED, info={"id": {"value": "$framework"}, "failover_timeout": 30.0}, call={"framework_id": {"value": "$framework"}}),
        Silence(), launch(task("t1"), offers=("$last_offer",)), Update("t1", "LOST", uuid=False, has={"reason": "REASON_INVALID_OFFERS"})]),
    Row("1.6", "a framework without a failover timeout is gone with its connection", [
        Subscribe(SUBSCRIBED), Do(lambda c: c.streams["scheduler"].close()), Do(lambda c: until_gone(c)),
        Subscribe(ERROR, info={"id": {"value": "$framework"}}, call={"framework_id": {"value": "$framework"}}, then_ends=True)]),
    Row("1.2", "a call to a framework that is not connected is 403", [
        Subscribe(SUBSCRIBED, info={"failover_timeout": 30.0}), Do(lambda c: c.streams["scheduler"].close()),
        Do(lambda c: until_status(c, 403))]),
    Row("1.6", "TEARDOWN ends the stream, and the id is not taken again", [
        Subscribe(SUBSCRIBED), Ask("scheduler", {"type": "TEARDOWN"}, 202), Ended(),
        Subscribe(ERROR, info={"id": {"value": "$framework"}}, call={"framework_id": {"value": "$framework"}}, then_ends=True)]),
    refused("duplicate roles", {**MULTI, "roles": ["a", "a"]}, "0.7"),
    refused("role together with roles", {**MULTI, "role": "a", "roles": ["b"]}, "0.7"),
    refused("role with MULTI_ROLE", {**MULTI, "role": "a"}),
    refused("roles without MULTI_ROLE", {"roles": ["a"]}, "0.7"),
    refused("roles with ..", {**MULTI, "roles": [".."]}, "0.7"),
    refused("roles with a leading dash", {**MULTI, "roles": ["-a"]}, "0.7"),
    *[refused(f"the role {role!r}", {"role": role}, "6.6") for role in ("", ".", "..", "a/", "/a", "a//b", "a b", "a\tb", "a/./b", "a/*", "-x")],
    refused("a failover timeout beyond 292 years", {"failover_timeout": 1e10}),
    Row("1.5", "an id with a slash is an ERROR", [Subscribe(ERROR, info={"id": {"value": "a/b"}}, call={"framework_id": {"value": "a/b"}},
                                                            then_ends=True)]),
    Row("1.5", "an id of 256 bytes is an ERROR", [Subscribe(ERROR, info={"id": {"value": "a" * 256}},
                                                            call={"framework_id": {"value": "a" * 256}}, then_ends=True)]),
    refused("a suppressed role that is not its own", {**MULTI, "roles": ["a"]}, "1.2", suppressed_roles=["b"]),
    accepted("a negative failover timeout", {"failover_timeout": -1.0}, "0.7"),
    *[refused(f"a constraint with {what}", {"role": "a"}, "1.18", **constrained(predicate)) for what, predicate in (
        ("an expression that is none", {"text_matches": {"regex": "("}}),
        ("an expression of more than 100 steps", {"text_not_matches": {"regex": "a{1000}"}}),
        ("no predicate", {}))],
    accepted("a constraint", {"role": "a"}, "1.18", **constrained({"text_matches": {"regex": "r[0-9]+|"}})),
    accepted("the role *", {"role": "*"}, "0.7"),
    accepted("no roles with MULTI_ROLE", MULTI),
    accepted("hierarchical roles", {**MULTI, "roles": ["a/b/c", "a"]}),
    accepted("suppressed roles of its own", {**MULTI, "roles": ["a", "b"]}, "1.3", suppressed_roles=["a"]),
    accepted("an unknown user", {"user": "nobody-of-that-name"}),
    accepted("labels", {"labels": {"labels": [{"key": "k", "value": "v"}, {"key": "only"}]}}),
    accepted("every capability", {"roles": ["a"], "capabilities": [{"type": t} for t in (
        "REVOCABLE_RESOURCES", "TASK_KILLING_STATE", "GPU_RESOURCES", "SHARED_RESOURCES", "PARTITION_AWARE", "MULTI_ROLE",
        "RESERVATION_REFINEMENT", "REGION_AWARE")]}),
]


def old_stream_ends(context):
    kinds = []
    while (event := context.streams["old"].next()) is not None:
        kinds.append(event["type"])
    assert kinds[-1] == "ERROR" and "RESCIND" not in kinds, kinds


def until_status(context, status):
    """The master learns of a closed connection a moment after it was closed."""
    for _ in range(200):
        got = context.ask("scheduler", {"type": "REVIVE"})
        if got.status == status:
            return
        assert got.status in (202, 400, 403), got
        frame.time.sleep(0.02)
    raise AssertionError(f"the answer never was {status}: {got}")


def until_gone(context):
    until_status(context, 400)


OFFERS = [
    Row("1.7", "an offer tells what an offer tells", [Do(lambda c: frame.expect({
        "id": {"value": Re(r"-O\d+$")}, "framework_id": {"value": c.name("framework")}, "agent_id": {"value": c.name("agent")},
        "hostname": ANY, "url": {"scheme": "http", "address": {"ip": "127.0.0.1", "port": c.nodes.address("agent")[1]}, "path": "/slave(1)"},
        "resources": Has({"name": "cpus"}, {"name": "mem"}, {"name": "disk"}, {"name": "ports"}),
        "attributes": Has({"name": "rack", "text": {"value": "r1"}}, {"name": "size", "scalar": {"value": 7.0}})},
        c.take_offer()))]),
    Row("1.7", "a framework of one role sees no allocation_info", [Do(lambda c: frame.expect(
        {"allocation_info": ABSENT, "resources": Has({"name": "cpus", "allocation_info": ABSENT})}, c.take_offer()))]),
    Row("1.7", "MULTI_ROLE frameworks see the role on the offer and each resource", [Do(lambda c: frame.expect(
        {"allocation_info": {"role": "web"}, "resources": Has({"name": "cpus", "allocation_info": {"role": "web"}})}, c.take_offer()))],
        framework={**MULTI, "roles": ["web"]}),
    Row("1.5", "MULTI_ROLE without roles gets no offers", [Do(lambda c: c.scheduler()), Silence(), Do(lambda c: no_offers(c))],
        framework=MULTI),
    Row("1.7", "scalars have a fraction and no reservation", [Do(lambda c: frame.expect({"resources": Has(
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": Where("a float", lambda v: isinstance(v, float))}, "reservations": ABSENT},
        {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31000, "end": 31100}]}})}, c.take_offer()))]),
    Row("1.8", "a declined offer without filter comes again", [
        Ask("scheduler", {"type": "DECLINE", "decline": {"offer_ids": [{"value": "$offer"}], "filters": {"refuse_seconds": 0}}}, 202),
        Do(lambda c: c.take_offer())]),
    Row("1.8", "a declined offer with a filter does not, until REVIVE", [
        Ask("scheduler", {"type": "DECLINE", "decline": {"offer_ids": [{"value": "$offer"}], "filters": {"refuse_seconds": 600}}}, 202),
        Do(lambda c: no_offers(c, 0.5)), Ask("scheduler", {"type": "REVIVE"}, 202), Do(lambda c: c.take_offer())]),
    Row("1.8", "unknown offers in DECLINE are passed over", [
        Ask("scheduler", {"type": "DECLINE", "decline": {"offer_ids": [{"value": "nonsense"}, {"value": "$offer"}],
                                                         "filters": {"refuse_seconds": 0}}}, 202),
        Do(lambda c: c.take_offer())]),
    Row("1.9", "ACCEPT without operations declines", [accept(refuse=0), Do(lambda c: c.take_offer())]),
    Row("1.9", "LAUNCH without tasks declines", [launch(), Do(lambda c: c.take_offer())]),
    Row("1.8", "SUPPRESS stops offers, REVIVE starts them", [
        Do(lambda c: c.take_offer()), Ask("scheduler", {"type": "SUPPRESS"}, 202),
        Ask("scheduler", {"type": "DECLINE", "decline": {"offer_ids": [{"value": "$last_offer"}], "filters": {"refuse_seconds": 0}}}, 202),
        Do(lambda c: no_offers(c, 0.5)), Ask("scheduler", {"type": "REVIVE"}, 202), Do(lambda c: c.take_offer())]),
    Row("1.8", "SUPPRESS leaves offers that are out", [
        Do(lambda c: c.take_offer()), Ask("scheduler", {"type": "SUPPRESS"}, 202), launch(task("t1"), offers=("$last_offer",)),
        Update("t1", "STARTING"), Update("t1", "RUNNING"), Update("t1", "FINISHED")]),
    Row("1.8", "a foreign role makes SUPPRESS void", [
        Do(lambda c: c.take_offer()), Ask("scheduler", {"type": "SUPPRESS", "suppress": {"roles": ["*", "other"]}}, 202),
        Ask("scheduler", {"type": "DECLINE", "decline": {"offer_ids": [{"value": "$last_offer"}], "filters": {"refuse_seconds": 0}}}, 202),
        Do(lambda c: c.take_offer())]),
    Row("1.3", "suppressed_roles of SUBSCRIBE", [Do(lambda c: c.scheduler()), Do(lambda c: no_offers(c, 0.5)),
                                                Ask("scheduler", {"type": "REVIVE", "revive": {"roles": ["a"]}}, 202),
                                                Do(lambda c: c.take_offer())],
        framework={**MULTI, "roles": ["a"]}, subscribe={"suppressed_roles": ["a"]}),
    Row("1.3", "REQUEST is accepted and does nothing", [
        Ask("scheduler", {"type": "REQUEST", "request": {"requests": [{"agent_id": {"value": "$agent"}}]}}, 202), Silence()]),
]


def no_offers(context, bound=0.3):
    """None comes for a while; all that can make one come has been done before."""
    try:
        while True:
            event = context.streams["scheduler"].next(bound)
            assert event["type"] == "HEARTBEAT", event
    except TimeoutError:
        pass


def loses(says, operation, offers=("nonsense",), fact="1.9"):
    return Row(fact, says, [accept(operation, offers=offers), Update("t1", "LOST", uuid=False, has={
        **MASTER, "reason": "REASON_INVALID_OFFERS"}), Silence()])


LAUNCH_T1 = {"type": "LAUNCH", "launch": {"task_infos": [task("t1")]}}
POD = {"type": "DEFAULT", "executor_id": {"value": "pod"}, "framework_id": {"value": "$framework"},
       "resources": frame.SMALL + [scalar("disk", 32)]}
GROUP_T1 = {"type": "LAUNCH_GROUP", "launch_group": {"executor": POD, "task_group": {"tasks": [task("t1")]}}}

INVALID_OFFERS = [
    loses("an unknown offer loses its tasks", LAUNCH_T1),
    loses("an unknown offer loses its task group", GROUP_T1),
    loses("one offer given twice loses its tasks", LAUNCH_T1, ("$offer", "$last_offer")),
    loses("a good and an unknown offer lose the tasks", LAUNCH_T1, ("$offer", "nonsense")),
    loses("no offer at all loses the tasks", LAUNCH_T1, ()),
    Row("1.9", "PARTITION_AWARE frameworks see DROPPED", [
        accept(LAUNCH_T1, offers=("nonsense",)), Update("t1", "DROPPED", uuid=False, has={**MASTER, "reason": "REASON_INVALID_OFFERS"})],
        framework=PA),
    Row("1.9", "the good offer of an invalid ACCEPT comes back without filter", [
        accept(LAUNCH_T1, offers=("$offer", "nonsense"), refuse=600), Update("t1", "LOST", uuid=False), Do(lambda c: c.take_offer())]),
    Row("1.9", "an offer can be used once", [
        launch(task("t1")), Update("t1", "STARTING"), Update("t1", "RUNNING"), Update("t1", "FINISHED"),
        launch(task("t2"), offers=("$last_offer",)), Update("t2", "LOST", uuid=False, has={"reason": "REASON_INVALID_OFFERS"})]),
]


def error(says, made, text=".", fact="1.15", state="ERROR", reason="REASON_TASK_INVALID", name="t1", framework=None):
    return Row(fact, says, [launch(made), Update(name, state, uuid=False, has={**MASTER, "reason": reason, "message": Re(text)}), Silence()],
               framework=framework or {})


def check(**fields):
    return task("t1", check=fields)


def health(**fields):
    return task("t1", health_check=fields)


CUSTOM = {"executor_id": {"value": "e1"}, "command": {"value": "sleep 1000"}, "resources": frame.SMALL}


def custom(task_id="t1", **executor):
    return task(task_id, command=ABSENT, executor={k: v for k, v in {**CUSTOM, **executor}.items() if v is not ABSENT})


VALIDATION = [
    *[error(f"the task id {name!r}", task(name, name="x"), name=name)
      for name in ("", ".", "..", "a/b", "a\\b", "a\nb", "a\x7fb", "x" * 256)],
    error("a task for another agent", task("t1", agent_id={"value": "other"})),
    error("a negative grace period", task("t1", kill_policy={"grace_period": {"nanoseconds": -1}})),
    error("a negative max_completion_time", task("t1", max_completion_time={"nanoseconds": -1})),
    error("no resources", task("t1", resources=[])),
    error("more than is offered", task("t1", resources=[scalar("cpus", 1000), scalar("mem", 32)])),
    error("a resource the agent does not have", task("t1", resources=frame.SMALL + [scalar("bananas", 1)])),
    error("a negative amount", task("t1", resources=[scalar("cpus", -1), scalar("mem", 32)])),
    error("half a gpu", task("t1", resources=frame.SMALL + [scalar("gpus", 0.5)])),
    error("a port outside of the offer", task("t1", resources=frame.SMALL + [
        {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 80, "end": 80}]}}])),
    error("a range that ends before it begins", task("t1", resources=frame.SMALL + [
        {"name": "ports", "type": "RANGES", "ranges": {"range": [{"begin": 31010, "end": 31001}]}}])),
    error("neither command nor executor", task("t1", command=ABSENT)),
    error("command and executor", task("t1", executor=CUSTOM)),
    error("an executor without a command", custom(command=ABSENT)),
    error("an executor of type DEFAULT in LAUNCH", custom(type="DEFAULT", command=ABSENT)),
    *[error(f"the executor id {name!r}", custom(executor_id={"value": name})) for name in ("", "..", "a/b", "x" * 256)],
    error("an executor of another framework", custom(framework_id={"value": "other"})),
    error("a negative shutdown_grace_period", custom(shutdown_grace_period={"nanoseconds": -1})),
    error("a check without type", check(command={"command": {"value": "true"}})),
    error("a check of COMMAND without command", check(type="COMMAND")),
    error("a check of HTTP without http", check(type="HTTP")),
    error("a check of TCP without tcp", check(type="TCP")),
    error("a check path without slash", check(type="HTTP", http={"port": 80, "path": "x"})),
    error("a negative check delay", check(type="TCP", tcp={"port": 1}, delay_seconds=-1)),
    error("a negative check interval", check(type="TCP", tcp={"port": 1}, interval_seconds=-1)),
    error("a negative check timeout", check(type="TCP", tcp={"port": 1}, timeout_seconds=-1)),
    error("a health check without type", health(delay_seconds=1)),
    error("a health check of COMMAND without command", health(type="COMMAND")),
    error("a health check of HTTP without http", health(type="HTTP")),
    error("a health check of HTTP by gopher", health(type="HTTP", http={"port": 80, "scheme": "gopher"})),
    error("a health check path without slash", health(type="HTTP", http={"port": 80, "path": "x"})),
    error("a health check of TCP without tcp", health(type="TCP")),
    error("a negative health check delay", health(type="TCP", tcp={"port": 1}, delay_seconds=-1)),
    error("a negative health check grace period", health(type="TCP", tcp={"port": 1}, grace_period_seconds=-1)),
    error("an environment variable without value", task("t1", command={"value": "true", "environment": {"variables": [{"name": "A"}]}})),
    error("a secret that is a value", task("t1", command={"value": "true", "environment": {"variables": [
        {"name": "A", "type": "SECRET", "value": "x"}]}})),
    error("a DOCKER container without docker", task("t1", container={"type": "DOCKER"})),
    error("a DOCKER parameter called name", task("t1", container={"type": "DOCKER", "docker": {
        "image": "x", "parameters": [{"key": "name", "value": "y"}]}})),
    error("a volume with two sources", task("t1", container={"type": "MESOS", "volumes": [
        {"container_path": "/x", "mode": "RW", "host_path": "/tmp", "source": {"type": "SANDBOX_PATH", "sandbox_path": {
            "type": "SELF", "path": "x"}}}]})),
    error("limits below the request", task("t1", limits={"cpus": {"value": 0.01}})),
    error("a limit of what is not requested", task("t1", resources=[scalar("cpus", 0.1)], limits={"mem": {"value": 100.0}})),
    error("a limit of disk", task("t1", limits={"disk": {"value": 100.0}})),
    Row("1.15", "a task id with a space is taken", [launch(task("a b")), Update("a b", "STARTING"), Update("a b", "RUNNING"),
                                                   Update("a b", "FINISHED")]),
    Row("1.15", "a bad task does not harm the good one beside it", [
        launch(task("bad/1", name="x"), task("t2")), Update("bad/1", "ERROR", uuid=False),
        Update("t2", "STARTING"), Update("t2", "RUNNING"), Update("t2", "FINISHED")]),
    Row("1.15", "the id of a living task is taken", [
        launch(task("t1", "sleep 1000")), Update("t1", "STARTING"), Update("t1", "RUNNING"),
        launch(task("t1")), Update("t1", "ERROR", uuid=False, has={"reason": "REASON_TASK_INVALID"})]),
    Row("1.9", "an operation id on LAUNCH is refused", [
        accept({"id": {"value": "o1"}, **LAUNCH_T1}), Update("t1", "ERROR", uuid=False, has={"reason": "REASON_TASK_INVALID"})]),
    Row("1.9", "an operation id on LAUNCH_GROUP is refused", [
        accept({"id": {"value": "o1"}, **GROUP_T1}), Update("t1", "ERROR", uuid=False, has={"reason": "REASON_TASK_GROUP_INVALID"})]),
]


def bad_group(says, executor, *tasks):
    return Row("1.15", says, [launch_group(executor, *tasks), *[Update(t["task_id"]["value"], "ERROR", uuid=False, has={
        **MASTER, "reason": "REASON_TASK_GROUP_INVALID"}) for t in tasks], Silence()])


GROUPS = [
    bad_group("a group's executor without type", {k: v for k, v in POD.items() if k != "type"}, task("t1")),
    bad_group("a group's executor with a command", {**POD, "command": {"value": "true"}}, task("t1")),
    bad_group("a group's executor without framework id", {k: v for k, v in POD.items() if k != "framework_id"}, task("t1")),
    bad_group("a group's executor with less than 32 MB", {**POD, "resources": [scalar("cpus", 0.1), scalar("mem", 31), scalar("disk", 1)]},
              task("t1")),
    bad_group("a group's executor without disk", {**POD, "resources": frame.SMALL}, task("t1")),
    bad_group("one bad task spoils all", POD, task("t1"), task("t2", resources=[])),
    bad_group("a task in a DOCKER container", POD, task("t1", container={"type": "DOCKER", "docker": {"image": "x"}})),
    bad_group("a task with another executor", POD, task("t1", executor=CUSTOM)),
    bad_group("a CUSTOM executor without command", {**POD, "type": "CUSTOM"}, task("t1")),
    Row("2.7", "a group runs and ends", [
        launch_group(POD, task("t1")), Update("t1", "STARTING", has=EXECUTOR | {"executor_id": {"value": "pod"}}),
        Update("t1", "RUNNING"), Update("t1", "FINISHED"), Sees("FAILURE", {"failure": {
            "agent_id": {"value": "$agent"}, "executor_id": {"value": "pod"}, "status": 0}})]),
]

LIFE = [
    Row("0.7", "a command task: STARTING, RUNNING, FINISHED by its executor", [
        launch(task("t1")), *[Update("t1", s, has={**EXECUTOR, "agent_id": {"value": "$agent"}, "executor_id": {"value": "t1"},
                                                   "container_status": {"container_id": {"value": ANY}}})
                              for s in ("STARTING", "RUNNING", "FINISHED")], Silence()]),
    Row("2.7", "an exit status other than 0 is FAILED and told", [
        launch(task("t1", "exit 7")), Update("t1", "STARTING"), Update("t1", "RUNNING"), Update("t1", "FAILED", has={
            **EXECUTOR, "message": Re("7")})]),
    Row("2.7", "the end by a signal is FAILED and told", [
        launch(task("t1", shell="sh -c 'kill -9 $$PPID'")), Update("t1", "STARTING"), Update("t1", "RUNNING"),
        Update("t1", "FAILED", has={"message": Re("(?i)signal|kill")})]),
    Row("1.11", "a user that does not exist: FAILED by the agent", [
        launch(task("t1", command={"value": "true", "user": "no-such-user"})), Update("t1", "FAILED", has={
            **AGENT, "reason": "REASON_CONTAINER_LAUNCH_FAILED", "message": Re("no-such-user")})]),
    Row("0.7", "a URI that cannot be fetched: FAILED by the agent", [
        launch(task("t1", command={"value": "true", "uris": [{"value": "/no/such/file"}]})), Update("t1", "FAILED", has={
            **AGENT, "reason": "REASON_CONTAINER_LAUNCH_FAILED"})]),
    Row("2.7", "KILL of a running task is KILLED", [
        launch(task("t1", "sleep 1000")), Update("t1", "STARTING"), Update("t1", "RUNNING"),
        Ask("scheduler", {"type": "KILL", "kill": {"task_id": {"value": "t1"}}}, 202), Update("t1", "KILLED", has=EXECUTOR)]),
    Row("1.11", "TASK_KILLING_STATE frameworks see KILLING before", [
        launch(task("t1", "sleep 1000")), Update("t1", "STARTING"), Update("t1", "RUNNING"),
        Ask("scheduler", {"type": "KILL", "kill": {"task_id": {"value": "t1"}, "agent_id": {"value": "$agent"}}}, 202),
        Update("t1", "KILLING"), Update("t1", "KILLED")], framework=KILLING),
    Row("2.7", "a killed task that ends well is KILLED", [
        launch(task("t1", "trap 'exit 0' TERM; while :; do sleep 0.05; done")), Update("t1", "STARTING"), Update("t1", "RUNNING"),
        Ask("scheduler", {"type": "KILL", "kill": {"task_id": {"value": "t1"}}}, 202), Update("t1", "KILLED")]),
    Row("2.11", "the grace period of KILL counts", [
        launch(task("t1", "trap '' TERM; while :; do sleep 0.05; done")), Update("t1", "STARTING"), Update("t1", "RUNNING"),
        Ask("scheduler", {"type": "KILL", "kill": {"task_id": {"value": "t1"}, "kill_policy": {
            "grace_period": {"nanoseconds": 50_000_000}}}}, 202), Update("t1", "KILLED")]),
    Row("1.13", "KILL with another agent is ignored", [
        launch(task("t1", "sleep 1000")), Update("t1", "STARTING"), Update("t1", "RUNNING"),
        Ask("scheduler", {"type": "KILL", "kill": {"task_id": {"value": "t1"}, "agent_id": {"value": "other"}}}, 202), Silence()]),
    Row("2.11", "max_completion_time ends a task as FAILED", [
        launch(task("t1", "sleep 1000", max_completion_time={"nanoseconds": 300_000_000})), Update("t1", "STARTING"),
        Update("t1", "RUNNING"), Update("t1", "FAILED", has={"reason": "REASON_MAX_COMPLETION_TIME_REACHED"})]),
    Row("2.9", "a health check that succeeds: RUNNING and healthy", [
        launch(task("t1", "sleep 1000", health_check={"type": "COMMAND", "command": {"value": "true"}, "delay_seconds": 0,
                                                      "interval_seconds": 1})),
        Update("t1", "STARTING"), Update("t1", "RUNNING"), Update("t1", "RUNNING", has={
            "healthy": True, "reason": "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"})]),
    Row("1.9", "a health check without type and with a command is COMMAND", [
        launch(task("t1", "sleep 1000", health_check={"command": {"value": "true"}, "delay_seconds": 0, "interval_seconds": 1})),
        Update("t1", "STARTING"), Update("t1", "RUNNING"), Update("t1", "RUNNING", has={"healthy": True})]),
    Row("2.9", "a health check that fails ends the task", [
        launch(task("t1", "sleep 1000", health_check={"type": "COMMAND", "command": {"value": "false"}, "delay_seconds": 0,
                                                      "interval_seconds": 1, "grace_period_seconds": 0, "consecutive_failures": 1})),
        Update("t1", "STARTING"), Update("t1", "RUNNING"), Update("t1", "RUNNING", has={"healthy": False}),
        Update("t1", "KILLED", has={"healthy": False})]),
    Row("2.10", "a check tells the exit code", [
        launch(task("t1", "sleep 1000", check={"type": "COMMAND", "command": {"command": {"value": "exit 3"}}, "delay_seconds": 0,
                                               "interval_seconds": 1})),
        Update("t1", "STARTING"), Update("t1", "RUNNING", has={"check_status": {"type": "COMMAND", "command": {"exit_code": ABSENT}}}),
        Update("t1", "RUNNING", has={"reason": "REASON_TASK_CHECK_STATUS_UPDATED",
                                     "check_status": {"type": "COMMAND", "command": {"exit_code": 3}}})]),
    Row("1.11", "an update that is not acknowledged holds the next one back", [
        launch(task("t1")), Update("t1", "STARTING", acknowledge=False), Do(lambda c: no_updates(c)),
        Ask("scheduler", {"type": "ACKNOWLEDGE", "acknowledge": {"agent_id": {"value": "$agent"}, "task_id": {"value": "t1"},
                                                                "uuid": "$uuid"}}, 202), Update("t1", "RUNNING")]),
    Row("1.13", "MESSAGE to an executor that is not there is dropped", [
        Ask("scheduler", {"type": "MESSAGE", "message": {"agent_id": {"value": "$agent"}, "executor_id": {"value": "e"},
                                                         "data": "aGk="}}, 202), Silence()]),
    Row("1.13", "SHUTDOWN of an executor that is not there is ignored", [
        Ask("scheduler", {"type": "SHUTDOWN", "shutdown": {"agent_id": {"value": "$agent"}, "executor_id": {"value": "e"}}}, 202), Silence()]),
    Row("1.13", "SHUTDOWN of an executor on no agent is ignored", [
        Ask("scheduler", {"type": "SHUTDOWN", "shutdown": {"agent_id": {"value": "none"}, "executor_id": {"value": "e"}}}, 202), Silence()]),
    Row("1.13", "SHUTDOWN ends an executor and its tasks", [
        launch_group(POD, task("t1", "sleep 1000")), Update("t1", "STARTING"), Update("t1", "RUNNING"),
        Ask("scheduler", {"type": "SHUTDOWN", "shutdown": {"agent_id": {"value": "$agent"}, "executor_id": {"value": "pod"}}}, 202),
        Do(lambda c: ends_somehow(c))]),
]


def no_updates(context):
    """Waits for what the agent would send, if it did not wait for the acknowledgement."""
    try:
        while True:
            event = context.streams["scheduler"].next(0.4)
            assert event["type"] in frame.QUIET, event
    except TimeoutError:
        pass


def ends_somehow(context):
    status = context.event("UPDATE")["update"]["status"]
    assert status["state"] in ("TASK_KILLED", "TASK_FAILED"), status


def reconciled(says, tasks, *updates, framework=None):
    return Row("1.12", says, [Ask("scheduler", {"type": "RECONCILE", "reconcile": {"tasks": tasks}}, 202), *[
        Update(name, state, uuid=False, has={**MASTER, "reason": "REASON_RECONCILIATION"}) for name, state in updates], Silence()],
        framework=framework or {})


ON_AGENT = {"task_id": {"value": "t1"}, "agent_id": {"value": "$agent"}}
RUNNING = [launch(task("t1", "sleep 1000")), Update("t1", "STARTING"), Update("t1", "RUNNING")]

RECONCILIATION = [
    reconciled("of nothing, with nothing there, is silent", []),
    reconciled("an unknown task on no agent is LOST", [{"task_id": {"value": "t1"}}], ("t1", "LOST")),
    reconciled("an unknown task on no agent is UNKNOWN to PARTITION_AWARE", [{"task_id": {"value": "t1"}}], ("t1", "UNKNOWN"), framework=PA),
    reconciled("an unknown task on an unknown agent is UNKNOWN", [{"task_id": {"value": "t1"}, "agent_id": {"value": "x"}}],
               ("t1", "UNKNOWN"), framework=PA),
    reconciled("an unknown task on a known agent is LOST", [ON_AGENT], ("t1", "LOST")),
    reconciled("an unknown task on a known agent is GONE to PARTITION_AWARE", [ON_AGENT], ("t1", "GONE"), framework=PA),
    reconciled("each of many is answered in order", [{"task_id": {"value": n}} for n in ("a", "b", "c")],
               ("a", "LOST"), ("b", "LOST"), ("c", "LOST")),
    Row("1.12", "implicit reconciliation tells of the living", RUNNING + [
        Ask("scheduler", {"type": "RECONCILE", "reconcile": {}}, 202),
        Update("t1", "RUNNING", uuid=False, has={**MASTER, "reason": "REASON_RECONCILIATION", "agent_id": {"value": "$agent"},
                                                 "container_status": ANY}), Silence()]),
    Row("1.12", "explicit reconciliation of a living task", RUNNING + [
        Ask("scheduler", {"type": "RECONCILE", "reconcile": {"tasks": [ON_AGENT]}}, 202),
        Update("t1", "RUNNING", uuid=False, has={**MASTER, "reason": "REASON_RECONCILIATION"}), Silence()]),
    Row("1.12", "implicit reconciliation does not tell of completed tasks", [
        launch(task("t1")), Update("t1", "STARTING"), Update("t1", "RUNNING"), Update("t1", "FINISHED"),
        Ask("scheduler", {"type": "RECONCILE", "reconcile": {}}, 202), Silence()]),
    Row("1.12", "a terminal task that is not acknowledged is told of", [
        launch(task("t1")), Update("t1", "STARTING"), Update("t1", "RUNNING"), Update("t1", "FINISHED", acknowledge=False),
        Ask("scheduler", {"type": "RECONCILE", "reconcile": {}}, 202), Update("t1", "FINISHED", uuid=False, has=MASTER), Silence()]),
    Row("1.13", "KILL of an unknown task is a reconciliation", [
        Ask("scheduler", {"type": "KILL", "kill": {"task_id": {"value": "t1"}}}, 202),
        Update("t1", "LOST", uuid=False, has={"reason": "REASON_RECONCILIATION"}), Silence()]),
    Row("0.7", "KILL of an unknown task on a known agent is GONE", [
        Ask("scheduler", {"type": "KILL", "kill": ON_AGENT}, 202), Update("t1", "GONE", uuid=False)], framework=PA),
    Row("1.12", "reconciliation of no operations is silent", [
        Ask("scheduler", {"type": "RECONCILE_OPERATIONS", "reconcile_operations": {}}, 202), Silence()]),
]


def update_framework(says, status, fact="1.14", more=None, **info):
    return Row(fact, says, [Ask("scheduler", {"type": "UPDATE_FRAMEWORK", "update_framework": {
        "framework_info": {**FRAMEWORK, "id": {"value": "$framework"}, **info}, **(more or {})}}, status), Silence()])


UPDATES = [
    update_framework("the same again is 200", 200),
    update_framework("a new name is 200", 200, "0.7", name="renamed"),
    Row("1.14", "a new role is 200, and offers of the old one are rescinded", [
        Do(lambda c: c.take_offer()), Ask("scheduler", {"type": "UPDATE_FRAMEWORK", "update_framework": {
            "framework_info": {**FRAMEWORK, "id": {"value": "$framework"}, "role": "another"}}}, 200),
        Sees("RESCIND", {"rescind": {"offer_id": {"value": "$last_offer"}}}), Do(lambda c: c.take_offer())]),
    update_framework("another user is 400", 400, "0.7", user="nobody"),
    update_framework("another checkpoint is 400", 400, checkpoint=True),
    update_framework("another principal is 400", 400, principal="p"),
    update_framework("an invalid role is 400", 400, role="a//b"),
    update_framework("roles without MULTI_ROLE are 400", 400, roles=["a"]),
    update_framework("a foreign suppressed role is 400", 400, more={"suppressed_roles": ["foreign"]}),
]


@pytest.mark.parametrize("row, encoding", cases(
    SUBSCRIPTION + OFFERS + INVALID_OFFERS + VALIDATION + GROUPS + LIFE + RECONCILIATION + UPDATES))
def test_scheduler(nodes, protos, row, encoding):
    run_row(nodes, protos, row, encoding)
