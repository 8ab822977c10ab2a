# SPDX-License-Identifier: Apache-2.0
"""Rows and what they are made of. A row names a section of the facts, says what holds, and is a list of steps that are
done in order: requests with the answer they must get, events that must come next. One row is run once in JSON and once in
protobuf, each time with a framework of its own, which exists from the first step that needs it.

Names in the steps are filled in when they run: "$agent", "$framework", "$stream", "$offer" (an offer that this framework
holds), and what a step kept; "$$" is a dollar."""
import base64
import dataclasses
import json
import re
import time
import uuid

import mesos_wire as wire

QUIET = ("HEARTBEAT", "OFFERS")  # come at any time; steps see them only when they ask for them


# -- expectations ------------------------------------------------------------------------------------------------------

class Any:
    """Set, whatever it is."""

    def __repr__(self):
        return "Any"


class Re:
    def __init__(self, pattern):
        self.pattern = pattern

    def __repr__(self):
        return f"Re({self.pattern!r})"


class Has:
    """A list with an element like each of these, in any order."""

    def __init__(self, *elements):
        self.elements = elements

    def __repr__(self):
        return f"Has{self.elements!r}"


class Where:
    """A value that a function says is right."""

    def __init__(self, says, function):
        self.says, self.function = says, function

    def __repr__(self):
        return self.says


ANY = Any()
ABSENT = object()
UUID = Where("16 bytes", lambda v: len(base64.b64decode(v)) == 16)


def differences(want, got, at="answer"):
    """What in `got` is not as wanted: dictionaries may have more keys, lists are of the same length."""
    if want is ANY:
        return []
    if isinstance(want, Re):
        return [] if isinstance(got, str) and re.search(want.pattern, got) else [f"{at}: {got!r} instead of {want}"]
    if isinstance(want, Where):
        return [] if want.function(got) else [f"{at}: {got!r} instead of {want}"]
    if isinstance(want, Has):
        if not isinstance(got, list):
            return [f"{at}: {got!r} is no list"]
        return [f"{at}: nothing like {w!r} in {got!r}" for w in want.elements if all(differences(w, g) for g in got)]
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return [f"{at}: {got!r} instead of {want!r}"]
        found = []
        for key, value in want.items():
            if value is ABSENT:
                found += [f"{at}.{key}: {got[key]!r} instead of nothing"] if key in got else []
            elif key not in got:
                found.append(f"{at}.{key} is missing in {got!r}")
            else:
                found += differences(value, got[key], f"{at}.{key}")
        return found
    if isinstance(want, list):
        if not isinstance(got, list) or len(got) != len(want):
            return [f"{at}: {got!r} instead of {want!r}"]
        return [d for i, (w, g) in enumerate(zip(want, got)) for d in differences(w, g, f"{at}[{i}]")]
    return [] if want == got and isinstance(want, bool) == isinstance(got, bool) else [f"{at}: {got!r} instead of {want!r}"]


def expect(want, got, at="answer"):
    found = differences(want, got, at)
    assert not found, "\n".join(found)


# -- rows --------------------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Row:
    fact: str  # section of facts/mesos.md
    says: str
    steps: list
    encodings: tuple = ("json", "protobuf")
    framework: dict = dataclasses.field(default_factory=dict)  # over FRAMEWORK
    subscribe: dict = dataclasses.field(default_factory=dict)  # beside framework_info


FRAMEWORK = {"user": "root", "name": "conformance"}
ROWS = []  # all of the module being collected; for the count at the end


def cases(rows):
    """For pytest.mark.parametrize: each row in each of its encodings."""
    import pytest
    ROWS.extend(rows)
    return [pytest.param(row, encoding, id=f"{row.fact}-{row.says}-{encoding}") for row in rows for encoding in row.encodings]


# -- where requests go -------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Target:
    node: str
    path: str
    module: str

    def call(self, context):
        return context.protos[self.module].Call

    def reply(self, context):
        return getattr(context.protos[self.module], "Response", None)

    def event(self, context):
        return context.protos[self.module].Event


TARGETS = {
    "scheduler": Target("master", "/api/v1/scheduler", "scheduler"),
    "master": Target("master", "/api/v1", "master"),
    "executor": Target("agent", "/api/v1/executor", "executor"),
    "agent": Target("agent", "/api/v1", "agent"),
}


class Context:
    """One run of a row."""

    def __init__(self, nodes, protos, encoding, row):
        self.nodes, self.protos, self.row = nodes, protos, row
        self.encoding = wire.ENCODINGS[encoding]
        self.names = {"agent": nodes.agent_id, "agent_work_dir": str(nodes.work_dir)}
        self.streams = {}
        self.pending = []  # events that were read while something else was looked for
        self.offers = []
        self.used = []
        self.framework_id = None

    # -- names

    def fill(self, value):
        if isinstance(value, str):
            whole = re.fullmatch(r"\$(\w+)", value)
            if whole:
                return self.name(whole[1])
            return re.sub(r"\$(\w+|\$)", lambda m: "$" if m[1] == "$" else str(self.name(m[1])), value)
        if isinstance(value, dict):
            return {self.fill(k): self.fill(v) for k, v in value.items()}
        if isinstance(value, Has):
            return Has(*[self.fill(v) for v in value.elements])
        if isinstance(value, (list, tuple)):
            return [self.fill(v) for v in value]
        return value

    def name(self, name):
        if name in self.names:
            return self.names[name]
        if name == "offer":
            return self.take_offer()["id"]["value"]
        self.scheduler()
        return self.names[name]

    # -- the framework

    def scheduler(self):
        if "scheduler" not in self.streams:
            info = FRAMEWORK | self.fill(self.row.framework)
            self.open("scheduler", "scheduler", {"type": "SUBSCRIBE", "subscribe": {
                "framework_info": info, **self.fill(self.row.subscribe)}})
            first = self.streams["scheduler"].next()
            assert first["type"] == "SUBSCRIBED", first
            self.subscribed(first)
        return self.streams["scheduler"]

    def subscribed(self, event):
        self.framework_id = event["subscribed"]["framework_id"]["value"]
        self.names["framework"] = self.framework_id
        self.names["stream"] = self.streams["scheduler"].headers["mesos-stream-id"]

    def open(self, name, target, call, headers=(), path=None):
        target = TARGETS[target]
        headers = {"Content-Type": self.encoding.media, "Accept": self.encoding.media, **dict(headers)}
        if name in self.streams:
            self.streams[name].close()
        stream = wire.Stream(self.nodes.address(target.node), path or target.path, headers,
                             self.encoding.encode(target.call(self), call), self.encoding, target.event(self))
        self.streams[name] = stream
        return stream

    def open_until_known(self, name, target, call, bound=15):
        """The stream of an executor whose launch is under way: until the agent has heard of it the answer is 400 or 403."""
        end = time.monotonic() + bound
        while True:
            stream = self.open(name, target, call)
            if stream.refusal is None or time.monotonic() > end:
                assert stream.refusal is None, stream.refusal
                return stream
            time.sleep(0.02)

    def take_offer(self):
        """An offer not used yet; waits for one."""
        while not self.offers:
            self.next_event(keep=True)
        offer = self.offers.pop(0)
        self.used.append(offer)
        self.names["last_offer"] = offer["id"]["value"]
        return offer

    def next_event(self, keep=False, bound=15):
        """The next event of the scheduler that is not quiet; with keep any, but those that are not quiet stay to be seen."""
        if not keep and self.pending:
            return self.pending.pop(0)
        event = self.scheduler().next(bound)
        assert event is not None, "the scheduler's stream ended"
        if event["type"] == "OFFERS":
            self.offers += event["offers"]["offers"]
        elif event["type"] == "RESCIND":
            self.offers = [o for o in self.offers if o["id"] != event["rescind"]["offer_id"]]
        if keep and event["type"] not in QUIET:
            self.pending.append(event)
        return event

    def event(self, kind, bound=15):
        while True:
            event = self.next_event(bound=bound)
            if event["type"] == kind:
                return event
            assert event["type"] in QUIET, f"{event} instead of {kind}"

    # -- requests

    def ask(self, target, call, headers=None, path=None, method="POST"):
        """A call in the encoding of the run; a framework's call gets its ids and stream by itself."""
        to = TARGETS[target]
        call = self.fill(call)
        sent = {"Content-Type": self.encoding.media, "Accept": self.encoding.media}
        if target == "scheduler" and call.get("type") != "SUBSCRIBE":
            call = {"framework_id": {"value": self.name("framework")}, **call}
            sent["Mesos-Stream-Id"] = self.name("stream")
        for name, value in self.fill(headers or {}).items():
            sent[name] = value
        sent = {k: v for k, v in sent.items() if v is not None}
        call = {k: v for k, v in call.items() if v is not ABSENT}
        return wire.ask(self.nodes.address(to.node), method, self.fill(path) or to.path, sent,
                        self.encoding.encode(to.call(self), call))

    def close(self):
        """Ends the framework, so that nothing of it is left for the next row."""
        try:
            if self.framework_id is not None:
                call = {"type": "TEARDOWN", "teardown": {"framework_id": {"value": self.framework_id}}}
                answer = wire.ask(self.nodes.address("master"), "POST", "/api/v1", {"Content-Type": "application/json"},
                                  json.dumps(call).encode())
                assert answer.status in (200, 400), answer  # 400: it has ended already
        finally:
            for stream in self.streams.values():
                stream.close()


# -- steps -------------------------------------------------------------------------------------------------------------

def check_refusal(answer):
    """Errors are one sentence of plain text (facts: mesos 0.3, 0.7)."""
    if answer.body:
        assert answer.header("content-type") == "text/plain; charset=utf-8", answer
        assert not answer.text.lstrip().startswith(("{", "<")), answer


@dataclasses.dataclass
class Ask:
    """A call; `answer` is compared with the decoded body, no answer wanted means none may come."""
    target: str
    call: dict
    status: int
    answer: object = None
    headers: dict = dataclasses.field(default_factory=dict)
    path: str = None
    text: str = None  # a pattern of the refusal's text

    def run(self, context):
        got = context.ask(self.target, self.call, self.headers, self.path)
        assert got.status == self.status, got
        if self.status >= 400:
            check_refusal(got)
            if self.text:
                assert re.search(self.text, got.text), got
        elif self.answer is not None:
            assert got.header("content-type") == context.encoding.media, got
            body = context.encoding.decode(TARGETS[self.target].reply(context), got.body)
            expect(context.fill(self.answer), body)
            context.names["answer"] = body
        else:
            assert got.body == b"" and got.header("content-type") is None, got


@dataclasses.dataclass
class Http:
    """A request by hand, the same in each encoding. `json` is compared with a JSON body, `body` with the text."""
    method: str
    path: str
    status: int
    node: str = "master"
    headers: dict = dataclasses.field(default_factory=dict)
    send: object = None
    chunks: list = None
    json: object = None
    body: object = None
    has: dict = dataclasses.field(default_factory=dict)  # headers of the answer
    chunked: bool = False  # the answer may come in chunks

    def run(self, context):
        send = context.fill(self.send)
        if isinstance(send, str):
            send = send.encode()
        got = wire.ask(context.nodes.address(self.node), self.method, context.fill(self.path), context.fill(self.headers),
                       send, self.chunks, self.chunked)
        assert got.status == self.status, got
        for name, value in self.has.items():
            if value is ABSENT:
                assert got.header(name) is None, got
            else:
                expect(context.fill(value), got.header(name), name)
        if self.json is not None:
            expect(context.fill(self.json), json.loads(got.body))
        if self.body is not None:
            expect(context.fill(self.body), got.text)


@dataclasses.dataclass
class Subscribe:
    """The framework's own SUBSCRIBE, when the row wants to see more of it than that it works."""
    first: dict
    call: dict = dataclasses.field(default_factory=dict)
    info: dict = dataclasses.field(default_factory=dict)
    headers: dict = dataclasses.field(default_factory=dict)
    then_ends: bool = False
    name: str = "scheduler"

    def run(self, context):
        call = context.fill({"type": "SUBSCRIBE", **self.call})
        call.setdefault("subscribe", {})
        call["subscribe"] = {"framework_info": FRAMEWORK | context.fill(self.info), **call["subscribe"]}
        stream = context.open(self.name, "scheduler", call, self.headers)
        assert stream.refusal is None, stream.refusal
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", stream.headers["mesos-stream-id"])
        event = stream.next()
        expect(context.fill(self.first), event)
        if event["type"] == "SUBSCRIBED":
            context.subscribed(event)
            context.pending, context.offers = [], []
        if self.then_ends:
            assert stream.next() is None


@dataclasses.dataclass
class Sees:
    """The scheduler's next event that is not quiet (or the next of this quiet type)."""
    kind: str
    body: dict = dataclasses.field(default_factory=dict)
    keep: dict = dataclasses.field(default_factory=dict)  # name -> path of keys, to be used as $name

    def run(self, context):
        event = context.event(self.kind)
        expect(context.fill({"type": self.kind, **self.body}), event, "event")
        for name, path in self.keep.items():
            value = event
            for key in path.split("."):
                value = value[int(key)] if key.isdigit() else value[key]
            context.names[name] = value


@dataclasses.dataclass
class Update:
    """A status update of a task; `uuid` tells whether it must carry one, which is then acknowledged."""
    task: str
    state: str
    uuid: bool = True
    acknowledge: bool = True
    has: dict = dataclasses.field(default_factory=dict)

    def run(self, context):
        want = {"task_id": {"value": self.task}, "state": "TASK_" + self.state, "timestamp": ANY,
                "uuid": UUID if self.uuid else ABSENT, **self.has}
        status = context.event("UPDATE")["update"]["status"]
        expect(context.fill(want), status, "status")
        context.names["status"] = status
        if self.uuid:
            context.names["uuid"] = status["uuid"]
        if self.uuid and self.acknowledge:
            got = context.ask("scheduler", {"type": "ACKNOWLEDGE", "acknowledge": {
                "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"]}})
            assert got.status == 202, got


@dataclasses.dataclass
class Silence:
    """Nothing but quiet events came before the answer to a question that is asked now."""

    def run(self, context):
        mark = "mark-" + uuid.uuid4().hex
        got = context.ask("scheduler", {"type": "RECONCILE", "reconcile": {"tasks": [{"task_id": {"value": mark}}]}})
        assert got.status == 202, got
        status = context.event("UPDATE")["update"]["status"]
        assert status["task_id"]["value"] == mark, f"{status} where nothing was to come"


@dataclasses.dataclass
class Ended:
    """The stream ends; the events before it do not matter."""
    name: str = "scheduler"

    def run(self, context):
        while context.streams[self.name].next() is not None:
            pass


@dataclasses.dataclass
class Do:
    """What no other step can say."""
    function: object

    def run(self, context):
        self.function(context)


def scalar(name, value):
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}}


SMALL = [scalar("cpus", 0.1), scalar("mem", 32)]


def task(task_id, shell="true", **more):
    more.setdefault("command", {"value": shell})
    made = {"name": task_id, "task_id": {"value": task_id}, "agent_id": {"value": "$agent"}, "resources": SMALL, **more}
    return {k: v for k, v in made.items() if v is not ABSENT}


def accept(*operations, offers=("$offer",), refuse=0, status=202):
    return Ask("scheduler", {"type": "ACCEPT", "accept": {
        "offer_ids": [{"value": o} for o in offers], "operations": list(operations), "filters": {"refuse_seconds": refuse}}}, status)


def launch(*tasks, **more):
    return accept({"type": "LAUNCH", "launch": {"task_infos": list(tasks)}}, **more)


def launch_group(executor, *tasks, **more):
    return accept({"type": "LAUNCH_GROUP", "launch_group": {"executor": executor, "task_group": {"tasks": list(tasks)}}}, **more)


def run_row(nodes, protos, row, encoding):
    context = Context(nodes, protos, encoding, row)
    try:
        for number, step in enumerate(row.steps):
            try:
                step.run(context)
            except Exception as e:
                e.add_note(f"in step {number}: {step}\n{nodes.logs()}")
                raise
    finally:
        context.close()
